/* test_table.c: the tables against what the RFCs say, said a second time. */
#include "check.h"

#include "grammar/table.h"

/* ---- commands ---- */

enum {
  O = LEGAL_OPEN,
  I = LEGAL_IDLE,
  M = LEGAL_MAIL,
  R = LEGAL_RCPT,
  C = LEGAL_CHUNKS,
  D2 = DIGIT_2,
  D3 = DIGIT_3,
  D4 = DIGIT_4,
  D5 = DIGIT_5,
  VERDICT = D2 | D4 | D5,
  EXACT = ANSWER_EXACT | VERDICT /* whoever answers 251 to EHLO has said something else */
};

struct command_fact {
  const char *rule;
  uint32_t verb;
  const char *name;
  unsigned silence; /* code */
  unsigned answers;
  unsigned accept;
  unsigned states;
  unsigned argument;
  unsigned extension;
  unsigned group;
};

static const struct command_fact commands[] = {
    /* Groups by RFC 2920 3.1; the end of content may have others behind it. */
    {"RFC 5321 4.3.2", EHLO_VERB_CONNECT, "connect", 220, EXACT, 220, 0, ARGUMENT_NO, EXTENSION_ALWAYS, GROUP_LAST},
    {"RFC 5321 4.3.2", EHLO_VERB_MESSAGE, "message", 451, VERDICT, 250, 0, ARGUMENT_NO, EXTENSION_ALWAYS,
     GROUP_ANYWHERE},
    {"RFC 2033 4", EHLO_VERB_RESULT, "result", 451, VERDICT, 250, 0, ARGUMENT_NO, EXTENSION_ALWAYS, GROUP_ANYWHERE},
    {"RFC 5321 4.3.2", EHLO_VERB_HELO, "HELO", 250, EXACT, 250, O | I | M | R | C, ARGUMENT_MUST, EXTENSION_ALWAYS,
     GROUP_LAST},
    {"RFC 5321 4.3.2", EHLO_VERB_EHLO, "EHLO", 250, EXACT, 250, O | I | M | R | C, ARGUMENT_MUST, EXTENSION_ALWAYS,
     GROUP_LAST},
    {"RFC 2033 4", EHLO_VERB_LHLO, "LHLO", 250, EXACT, 250, O | I | M | R | C, ARGUMENT_MUST, EXTENSION_ALWAYS,
     GROUP_LAST},
    {"RFC 5321 4.3.2", EHLO_VERB_MAIL, "MAIL", 250, VERDICT, 250, I, ARGUMENT_MUST, EXTENSION_ALWAYS, GROUP_ANYWHERE},
    {"RFC 821 4.3", EHLO_VERB_SEND, "SEND", 250, VERDICT, 250, I, ARGUMENT_MUST, EHLO_EXT_SEND, GROUP_ANYWHERE},
    {"RFC 821 4.3", EHLO_VERB_SOML, "SOML", 250, VERDICT, 250, I, ARGUMENT_MUST, EHLO_EXT_SOML, GROUP_ANYWHERE},
    {"RFC 821 4.3", EHLO_VERB_SAML, "SAML", 250, VERDICT, 250, I, ARGUMENT_MUST, EHLO_EXT_SAML, GROUP_ANYWHERE},
    {"RFC 5321 4.3.2", EHLO_VERB_RCPT, "RCPT", 451, VERDICT, 250, M | R, ARGUMENT_MUST, EXTENSION_ALWAYS,
     GROUP_ANYWHERE},
    {"RFC 5321 4.3.2", EHLO_VERB_DATA, "DATA", 354, ANSWER_EXACT | D3 | D4 | D5, 354, M | R, ARGUMENT_NO,
     EXTENSION_ALWAYS, GROUP_LAST},
    {"RFC 5321 4.1.4", EHLO_VERB_RSET, "RSET", 250, D2, 250, O | I | M | R | C, ARGUMENT_NO, EXTENSION_ALWAYS,
     GROUP_ANYWHERE},
    {"RFC 5321 4.1.4", EHLO_VERB_VRFY, "VRFY", 252, VERDICT, 250, O | I | M | R | C, ARGUMENT_MUST, EXTENSION_ALWAYS,
     GROUP_LAST},
    {"RFC 5321 4.1.4", EHLO_VERB_EXPN, "EXPN", 252, VERDICT, 250, O | I | M | R | C, ARGUMENT_MUST, EHLO_EXT_EXPN,
     GROUP_LAST},
    {"RFC 5321 4.1.4", EHLO_VERB_HELP, "HELP", 214, VERDICT, 214, O | I | M | R | C, ARGUMENT_MAY, EHLO_EXT_HELP,
     GROUP_LAST},
    {"RFC 5321 4.1.4", EHLO_VERB_NOOP, "NOOP", 250, D2, 250, O | I | M | R | C, ARGUMENT_MAY, EXTENSION_ALWAYS,
     GROUP_LAST},
    {"RFC 5321 4.3.2", EHLO_VERB_QUIT, "QUIT", 221, D2, 221, O | I | M | R | C, ARGUMENT_NO, EXTENSION_ALWAYS,
     GROUP_LAST},
    {"RFC 821 4.3", EHLO_VERB_TURN, "TURN", 502, EXACT, 250, I, ARGUMENT_NO, EHLO_EXT_TURN, GROUP_LAST},
    {"RFC 3030 2", EHLO_VERB_BDAT, "BDAT", 250, VERDICT, 250, M | R | C, ARGUMENT_MUST, EHLO_EXT_CHUNKING,
     GROUP_ANYWHERE},
    {"RFC 3207 4", EHLO_VERB_STARTTLS, "STARTTLS", 454, EXACT, 220, I | M | R, ARGUMENT_NO, EHLO_EXT_STARTTLS,
     GROUP_LAST},
    {"RFC 4954 4, 6", EHLO_VERB_AUTH, "AUTH", 454, EXACT, 235, I, ARGUMENT_MUST, EHLO_EXT_AUTH, GROUP_LAST},
    {"RFC 1985 5", EHLO_VERB_ETRN, "ETRN", 458, VERDICT, 250, I, ARGUMENT_MUST, EHLO_EXT_ETRN, GROUP_LAST},
    {"RFC 2645 5.2.1", EHLO_VERB_ATRN, "ATRN", 451, EXACT, 250, I, ARGUMENT_MAY, EHLO_EXT_ATRN, GROUP_LAST},
    {"RFC 4468 3.1, 3.2", EHLO_VERB_BURL, "BURL", 451, VERDICT, 250, M | R | C, ARGUMENT_MUST, EHLO_EXT_BURL,
     GROUP_ANYWHERE},
    /* Postfix's XCLIENT_README and XFORWARD_README: not in a transaction, at the end of a group. */
    {"RFC 5321 2.2.2", EHLO_VERB_XCLIENT, "XCLIENT", 550, EXACT, 220, O | I, ARGUMENT_MUST, EHLO_EXT_XCLIENT,
     GROUP_LAST},
    {"RFC 5321 2.2.2", EHLO_VERB_XFORWARD, "XFORWARD", 550, EXACT, 250, I, ARGUMENT_MUST, EHLO_EXT_XFORWARD,
     GROUP_LAST},
    {"RFC 5321 4.3.2", EHLO_VERB_UNKNOWN, "unknown", 500, VERDICT, 250, O | I | M | R | C, ARGUMENT_MAY,
     EXTENSION_ALWAYS, GROUP_LAST},
};

static void commands_are_as_the_rfcs_say(void **state)
{
  (void)state;
  assert_int_equal(ROWS(commands), EHLO_VERB_COUNT - 2); /* all but NONE and LINE, which are never asked about */
  for (size_t i = 0; i < ROWS(commands); i++) {
    const struct command_fact *fact = &commands[i];
    const struct command_row *row = &ehlo_commands[fact->verb];
    ehlo_span name = ehlo_span_of(fact->name);
    CHECK(fact->rule, name, strcmp(ehlo_verb_name(fact->verb), fact->name) == 0);
    CHECK(fact->rule, name, ehlo_replies[row->silence].code == fact->silence);
    CHECK(fact->rule, name, row->answers == fact->answers);
    CHECK(fact->rule, name, row->accept == fact->accept && ehlo_replies[row->accept_reply].code == fact->accept);
    CHECK(fact->rule, name, row->states == fact->states);
    CHECK(fact->rule, name, row->argument == fact->argument);
    CHECK(fact->rule, name, row->extension == fact->extension);
    CHECK(fact->rule, name, row->group == fact->group);
    CHECK(fact->rule, name, (row->answers & 1u << row->accept / 100) != 0);
    CHECK(fact->rule, name, (row->answers & 1u << fact->silence / 100) != 0);
  }
}

static uint32_t verb_of(ehlo_span word)
{
  ehlo_command command;
  return ehlo_parse_command(word, &command) == EHLO_OK ? command.verb : (uint32_t)EHLO_VERB_UNKNOWN;
}

static uint32_t parameter_of(ehlo_span keyword)
{
  ehlo_parameter parameter;
  ehlo_span rest = keyword;
  return ehlo_parameter_next(&rest, 0, &parameter) == 1 ? parameter.id : (uint32_t)EHLO_PARAMETER_UNKNOWN;
}

static void verbs_are_found_in_any_case(void **state)
{
  (void)state;
  unsigned verbs = 0;
  for (uint32_t verb = 0; verb < EHLO_VERB_COUNT; verb++) {
    ehlo_span name = ehlo_span_of(ehlo_verb_name(verb));
    int on_the_wire = verb >= EHLO_VERB_HELO;
    verbs += (unsigned)on_the_wire;
    /* Each way to set the case of the letters, but for names for logs, which are never found. */
    for (unsigned cases = 0; cases < 1u << name.len; cases++) {
      char text[16];
      memcpy(text, name.ptr, name.len);
      for (size_t i = 0; i < name.len; i++) {
        text[i] = (char)((cases & 1u << i) != 0 ? text[i] | 0x20 : text[i] & ~0x20);
      }
      ehlo_span word = guard_copy(0, (ehlo_span){text, name.len});
      CHECK("P-CMD-03", word, verb_of(word) == (on_the_wire ? verb : (uint32_t)EHLO_VERB_UNKNOWN));
    }
    for (size_t length = 0; length < name.len; length++) {
      ehlo_span part = guard_copy(0, front(name, length));
      CHECK("P-CMD-03", part, verb_of(part) == EHLO_VERB_UNKNOWN);
    }
    char longer[16];
    ehlo_span word = {longer, (size_t)snprintf(longer, sizeof longer, "%sX", name.ptr)};
    word = guard_copy(0, word);
    CHECK("P-CMD-03", word, verb_of(word) == EHLO_VERB_UNKNOWN);
  }
  assert_int_equal(verbs, 24);
  assert_string_equal(ehlo_verb_name(EHLO_VERB_COUNT), "?");
  assert_string_equal(ehlo_verb_name(UINT32_MAX), "?");
}

/* ---- extensions and parameters ---- */

static void extensions_are_as_the_rfcs_say(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    uint32_t extension;
    const char *keyword;
    unsigned offered, mail, rcpt;
  } facts[] = {
      {"RFC 2920 2", EHLO_EXT_PIPELINING, "PIPELINING", 1, 0, 0},
      {"P-SIZE-02", EHLO_EXT_SIZE, "SIZE", 1, 26, 0},
      {"RFC 6152 2", EHLO_EXT_8BITMIME, "8BITMIME", 1, sizeof " BODY=8BITMIME" - 1, 0},
      {"RFC 2034 3", EHLO_EXT_ENHANCEDSTATUSCODES, "ENHANCEDSTATUSCODES", 1, 0, 0},
      {"P-UTF8-03", EHLO_EXT_SMTPUTF8, "SMTPUTF8", 1, 10, 0},
      {"RFC 5321 3.5.2", EHLO_EXT_VRFY, "VRFY", 0, 0, 0},
      {"RFC 5321 4.1.1.1", EHLO_EXT_EXPN, "EXPN", 0, 0, 0},
      {"RFC 5321 4.1.1.1", EHLO_EXT_HELP, "HELP", 1, 0, 0},
      {"RFC 5321 4.1.1.1", EHLO_EXT_SEND, "SEND", 0, 0, 0},
      {"RFC 5321 4.1.1.1", EHLO_EXT_SOML, "SOML", 0, 0, 0},
      {"RFC 5321 4.1.1.1", EHLO_EXT_SAML, "SAML", 0, 0, 0},
      {"RFC 5321 4.1.1.1", EHLO_EXT_TURN, "TURN", 0, 0, 0},
      {"P-DSN-01", EHLO_EXT_DSN, "DSN", 0, 107 + sizeof " RET=HDRS" - 1, 530},
      {"RFC 3207 4", EHLO_EXT_STARTTLS, "STARTTLS", 0, 0, 0},
      {"P-AUTH-29", EHLO_EXT_AUTH, "AUTH", 0, 500, 0},
      {"P-CHNK-01", EHLO_EXT_CHUNKING, "CHUNKING", 1, 0, 0},
      {"P-CHNK-14", EHLO_EXT_BINARYMIME, "BINARYMIME", 0, sizeof " BODY=BINARYMIME" - 1, 0},
      {"P-DLBY-01", EHLO_EXT_DELIVERBY, "DELIVERBY", 0, 17, 0},
      {"P-FREL-01", EHLO_EXT_FUTURERELEASE, "FUTURERELEASE", 0, 34, 0},
      {"P-MTPR-01", EHLO_EXT_MT_PRIORITY, "MT-PRIORITY", 0, 15, 0},
      {"P-RTLS-01", EHLO_EXT_REQUIRETLS, "REQUIRETLS", 0, 11, 0},
      {"P-RRVS-01", EHLO_EXT_RRVS, "RRVS", 0, 0, 33},
      {"P-NSOL-01", EHLO_EXT_NO_SOLICITING, "NO-SOLICITING", 0, 1007, 0},
      {"P-MISC-03", EHLO_EXT_MTRK, "MTRK", 0, 40 + 107, 507},
      {"P-MISC-04", EHLO_EXT_SUBMITTER, "SUBMITTER", 0, 500, 0},
      {"P-MISC-05", EHLO_EXT_CONPERM, "CONPERM", 0, sizeof " CONPERM" - 1, 0},
      {"P-MISC-05", EHLO_EXT_CONNEG, "CONNEG", 0, 0, sizeof " CONNEG" - 1},
      {"P-MISC-01", EHLO_EXT_CHECKPOINT, "CHECKPOINT", 0, 88, 0},
      {"P-LIMT-01", EHLO_EXT_LIMITS, "LIMITS", 0, 0, 0},
      {"P-ETRN-01", EHLO_EXT_ETRN, "ETRN", 0, 0, 0},
      {"P-ATRN-01", EHLO_EXT_ATRN, "ATRN", 0, 0, 0},
      {"P-BURL-01", EHLO_EXT_BURL, "BURL", 0, 0, 0},
      {"RFC 5321 2.2.2", EHLO_EXT_XCLIENT, "XCLIENT", 0, 0, 0},
      {"RFC 5321 2.2.2", EHLO_EXT_XFORWARD, "XFORWARD", 0, 0, 0},
  };
  assert_int_equal(ROWS(facts), EHLO_EXT_COUNT);
  for (size_t i = 0; i < ROWS(facts); i++) {
    const struct extension_row *row = &ehlo_extensions[facts[i].extension];
    ehlo_span keyword = ehlo_span_of(facts[i].keyword);
    CHECK(facts[i].rule, keyword, strcmp(ehlo_extension_keyword(facts[i].extension), facts[i].keyword) == 0);
    CHECK(facts[i].rule, keyword, row->offered == facts[i].offered);
    CHECK(facts[i].rule, keyword, row->mail == facts[i].mail && row->rcpt == facts[i].rcpt);
  }
  assert_string_equal(ehlo_extension_keyword(EHLO_EXT_COUNT), "?");
  assert_string_equal(ehlo_extension_keyword(UINT32_MAX), "?");
}

/* In any case, with a value of any length behind it and without, and with any octet of it another one. */
static void check_spellings(const char *rule, ehlo_span keyword, uint32_t id)
{
  char text[32];
  for (size_t value = 0; value < 10; value++) {
    for (unsigned way = 0; way < 3; way++) {
      size_t length = keyword.len;
      memcpy(text, keyword.ptr, keyword.len);
      for (size_t i = 0; i < keyword.len; i++) {
        int letter = text[i] >= 'A' && text[i] <= 'Z';
        text[i] = (char)(letter && (way == 1 || (way == 2 && i % 2 == 0)) ? text[i] | 0x20 : text[i]);
      }
      if (value > 0) {
        text[length++] = '=';
        memset(text + length, 'x', value);
        length += value;
      }
      CHECK("P-CMD-03", keyword, parameter_of(guard_copy(1, (ehlo_span){text, length})) == id);
      for (size_t i = 0; i < keyword.len; i++) {
        char was = text[i];
        text[i] = (char)(was == 'Z' || was == 'z' ? 'Q' : was + 1);
        ehlo_span other = guard_copy(1, (ehlo_span){text, length});
        CHECK(rule, other, parameter_of(other) == EHLO_PARAMETER_UNKNOWN);
        text[i] = (char)(was ^ 0x20);
        other = guard_copy(1, (ehlo_span){text, length});
        int same_letter = (was >= 'A' && was <= 'Z') || (was >= 'a' && was <= 'z');
        CHECK(rule, other, parameter_of(other) == (same_letter ? id : (uint32_t)EHLO_PARAMETER_UNKNOWN));
        text[i] = was;
      }
    }
  }
}

static void parameters_are_as_the_rfcs_say(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    uint32_t id;
    const char *keyword;
    unsigned extension, verb, value;
  } facts[] = {
      {"P-SIZE-02", EHLO_PARAMETER_SIZE, "SIZE", EHLO_EXT_SIZE, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-8BIT-01", EHLO_PARAMETER_BODY, "BODY", EHLO_EXT_8BITMIME, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-UTF8-03", EHLO_PARAMETER_SMTPUTF8, "SMTPUTF8", EHLO_EXT_SMTPUTF8, EHLO_VERB_MAIL, VALUE_NONE},
      {"P-DSN-01", EHLO_PARAMETER_RET, "RET", EHLO_EXT_DSN, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-DSN-01", EHLO_PARAMETER_ENVID, "ENVID", EHLO_EXT_DSN, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-DSN-01", EHLO_PARAMETER_NOTIFY, "NOTIFY", EHLO_EXT_DSN, EHLO_VERB_RCPT, VALUE_SOME},
      {"P-DSN-01", EHLO_PARAMETER_ORCPT, "ORCPT", EHLO_EXT_DSN, EHLO_VERB_RCPT, VALUE_SOME},
      {"P-AUTH-29", EHLO_PARAMETER_AUTH, "AUTH", EHLO_EXT_AUTH, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-DLBY-01", EHLO_PARAMETER_BY, "BY", EHLO_EXT_DELIVERBY, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-FREL-01", EHLO_PARAMETER_HOLDFOR, "HOLDFOR", EHLO_EXT_FUTURERELEASE, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-FREL-01", EHLO_PARAMETER_HOLDUNTIL, "HOLDUNTIL", EHLO_EXT_FUTURERELEASE, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-MTPR-01", EHLO_PARAMETER_MT_PRIORITY, "MT-PRIORITY", EHLO_EXT_MT_PRIORITY, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-RTLS-01", EHLO_PARAMETER_REQUIRETLS, "REQUIRETLS", EHLO_EXT_REQUIRETLS, EHLO_VERB_MAIL, VALUE_NONE},
      {"P-RRVS-01", EHLO_PARAMETER_RRVS, "RRVS", EHLO_EXT_RRVS, EHLO_VERB_RCPT, VALUE_SOME},
      {"P-NSOL-01", EHLO_PARAMETER_SOLICIT, "SOLICIT", EHLO_EXT_NO_SOLICITING, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-MISC-03", EHLO_PARAMETER_MTRK, "MTRK", EHLO_EXT_MTRK, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-MISC-04", EHLO_PARAMETER_SUBMITTER, "SUBMITTER", EHLO_EXT_SUBMITTER, EHLO_VERB_MAIL, VALUE_SOME},
      {"P-MISC-05", EHLO_PARAMETER_CONPERM, "CONPERM", EHLO_EXT_CONPERM, EHLO_VERB_MAIL, VALUE_NONE},
      {"P-MISC-05", EHLO_PARAMETER_CONNEG, "CONNEG", EHLO_EXT_CONNEG, EHLO_VERB_RCPT, VALUE_NONE},
      {"P-MISC-01", EHLO_PARAMETER_TRANSID, "TRANSID", EHLO_EXT_CHECKPOINT, EHLO_VERB_MAIL, VALUE_SOME},
  };
  assert_int_equal(ROWS(facts), EHLO_PARAMETER_COUNT - 1);
  for (size_t i = 0; i < ROWS(facts); i++) {
    const struct parameter_row *row = &ehlo_parameters[facts[i].id];
    ehlo_span keyword = guard_copy(0, ehlo_span_of(facts[i].keyword));
    CHECK(facts[i].rule, keyword, parameter_of(keyword) == facts[i].id);
    CHECK(facts[i].rule, keyword, row->extension == facts[i].extension);
    CHECK(facts[i].rule, keyword, row->verb == facts[i].verb && row->value == facts[i].value);
    for (size_t length = 1; length < keyword.len; length++) {
      ehlo_span part = guard_copy(1, front(keyword, length));
      CHECK(facts[i].rule, part, parameter_of(part) == EHLO_PARAMETER_UNKNOWN);
    }
    check_spellings(facts[i].rule, keyword, facts[i].id);
  }
}

/* ---- replies ---- */

static void replies_have_the_texts_of_the_rfcs(void **state)
{
  (void)state;
  static const struct {
    unsigned code;
    ehlo_enhanced enhanced;
    const char *text;
  } facts[] = {
      /* RFC 5321 4.2.2 without its examples in brackets; RFC 7504 3 and 4; RFC 4954 6; RFC 1985 5.1 and RFC 2645 7
       * without what stands for a node's name; RFC 5248 2.4; RFC 3463 and RFC 5248 for the enhanced codes */
      {211, {2, 0, 0}, "System status, or system help reply"},
      {214, {2, 0, 0}, "Help message"},
      {220, {2, 0, 0}, "Service ready"},
      {221, {2, 0, 0}, "Service closing transmission channel"},
      {235, {2, 7, 0}, "Authentication succeeded"},
      {250, {2, 0, 0}, "Requested mail action okay, completed"},
      {251, {2, 1, 5}, "User not local; will forward"},
      {252, {2, 0, 0}, "Cannot VRFY user, but will accept message and attempt delivery"},
      {253, {2, 0, 0}, "Okay, pending messages started"},
      {354, {0, 0, 0}, "Start mail input; end with <CRLF>.<CRLF>"},
      {421, {4, 3, 2}, "Service not available, closing transmission channel"},
      {432, {4, 7, 12}, "A password transition is needed"},
      {450, {4, 2, 0}, "Requested mail action not taken: mailbox unavailable"},
      {451, {4, 3, 0}, "Requested action aborted: local error in processing"},
      {452, {4, 3, 1}, "Requested action not taken: insufficient system storage"},
      {453, {4, 3, 2}, "You have no mail"},
      {454, {4, 7, 0}, "TLS not available due to temporary reason"}, /* RFC 3207 4 */
      {455, {4, 5, 4}, "Server unable to accommodate parameters"},
      {458, {4, 5, 0}, "Unable to queue messages"},
      {459, {4, 5, 0}, "Node not allowed"},
      {500, {5, 5, 1}, "Syntax error, command unrecognized"},
      {501, {5, 5, 4}, "Syntax error in parameters or arguments"},
      {502, {5, 5, 1}, "Command not implemented"},
      {503, {5, 5, 1}, "Bad sequence of commands"},
      {504, {5, 5, 4}, "Command parameter not implemented"},
      {521, {5, 3, 2}, "Host does not accept mail"},
      {523, {5, 7, 10}, "Encryption needed"},
      {525, {5, 7, 13}, "User account disabled"},
      {530, {5, 7, 0}, "Must issue a STARTTLS command first"}, /* RFC 3207 4 */
      {534, {5, 7, 9}, "Authentication mechanism is too weak"},
      {535, {5, 7, 8}, "Authentication credentials invalid"},
      {538, {5, 7, 11}, "Encryption required for requested authentication mechanism"},
      {550, {5, 1, 1}, "Requested action not taken: mailbox unavailable"},
      {551, {5, 1, 6}, "User not local; please try another path"},
      {552, {5, 3, 4}, "Requested mail action aborted: exceeded storage allocation"},
      {553, {5, 1, 3}, "Requested action not taken: mailbox name not allowed"},
      {554, {5, 0, 0}, "Transaction failed"},
      {555, {5, 5, 4}, "MAIL FROM/RCPT TO parameters not recognized or not implemented"},
      {556, {5, 1, 10}, "Domain does not accept mail"},
  };
  size_t next = 0;
  for (unsigned code = 0; code < 1000; code++) {
    ehlo_enhanced enhanced = {9, 9, 9};
    const ehlo_enhanced none = {0, 0, 0};
    ehlo_span text = ehlo_reply_default(code, &enhanced);
    if (next < ROWS(facts) && facts[next].code == code) {
      CHECK("P-RPLY-08", text, ehlo_span_equal(text, ehlo_span_of(facts[next].text)));
      CHECK("S-ESC-08", text, memcmp(&enhanced, &facts[next].enhanced, sizeof enhanced) == 0);
      next++;
    } else {
      CHECK("P-RPLY-01", text, text.len == 0 && memcmp(&enhanced, &none, sizeof none) == 0);
    }
    assert_true(ehlo_span_equal(ehlo_reply_default(code, NULL), text));
  }
  assert_int_equal(next, ROWS(facts));
}

/* Every row, those for particular situations too, can go out as it stands. */
static void replies_can_go_out(void **state)
{
  (void)state;
  for (unsigned row = 0; row < REPLY_ROWS; row++) {
    const struct reply_row *reply = &ehlo_replies[row];
    ehlo_span text = ehlo_reply_text(row);
    ehlo_enhanced enhanced = {(uint16_t)(reply->code / 100), reply->subject, reply->detail};
    char buffer[512];
    size_t length;
    CHECK("P-RPLY-08", text, memchr(text.ptr, '\0', text.len) == NULL && memchr(text.ptr, '\t', text.len) == NULL);
    int result = ehlo_format_reply_line(reply->code, 1, reply->code / 100 == 3 ? NULL : &enhanced, text, 0, buffer,
                                        sizeof buffer, &length);
    CHECK("P-RPLY-08", text, result == EHLO_OK);
    CHECK("P-RPLY-01", text, ehlo_reply_find(reply->code) <= row);
    CHECK("P-RPLY-01", text, ehlo_replies[ehlo_reply_find(reply->code)].code == reply->code);
  }
  assert_int_equal(ehlo_reply_find(299), REPLY_ROWS);
}

/* The pairs of code and situation that the RFCs give, with enhanced codes by RFC 3463 and RFC 5248. */
static void situations_have_their_codes(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    unsigned row, code, subject, detail;
  } facts[] = {
      {"RFC 5321 4.5.3.1.9", REPLY_LINE_TOO_LONG, 500, 5, 2},
      {"RFC 5321 2.4", REPLY_NON_ASCII, 500, 5, 2},
      {"RFC 5321 2.3.8", REPLY_BARE_NEWLINE_LINE, 500, 5, 2},
      {"RFC 5321 4.1.2", REPLY_CONTROL, 501, 5, 2},
      {"RFC 5321 4.3.2", REPLY_NO_ARGUMENT, 501, 5, 4},
      {"RFC 5321 4.1.4", REPLY_SEQUENCE, 503, 5, 1},
      {"RFC 5321 4.1.4", REPLY_BAD_HELLO, 501, 5, 4},
      {"RFC 5321 4.1.4", REPLY_BAD_SENDER, 501, 1, 7},
      {"RFC 5248 2.4", REPLY_BAD_RECIPIENT, 501, 1, 3},
      {"RFC 5321 4.1.4", REPLY_NESTED, 503, 5, 1},
      {"RFC 5321 4.1.1.11", REPLY_PARAMETERS, 555, 5, 4},
      {"RFC 5321 3.3", REPLY_MAIL_FIRST, 503, 5, 1},
      {"RFC 5321 4.5.3.1.10", REPLY_TOO_MANY_RCPTS, 452, 5, 3},
      {"RFC 5321 3.1", REPLY_NO_SERVICE, 554, 3, 2},
      {"RFC 6531 3.5", REPLY_NON_ASCII_SENDER, 550, 6, 7},
      {"RFC 6531 3.5", REPLY_NON_ASCII_RCPT, 553, 6, 7},
      {"RFC 2033 4.2", REPLY_NO_RECIPIENTS_503, 503, 5, 1},
      {"RFC 5321 3.8", REPLY_UNAVAILABLE, 421, 3, 2},
      {"RFC 1870 6.1", REPLY_TOO_BIG, 552, 3, 4},
      {"RFC 5321 7.8", REPLY_TOO_MANY_ERRORS, 421, 7, 0},
      {"RFC 4954 6", REPLY_AUTH_OKAY, 235, 7, 0},
      {"RFC 4954 6", REPLY_AUTH_LATER, 454, 7, 0},
      {"RFC 4954 6", REPLY_AUTH_REQUIRED, 530, 7, 0},
      {"RFC 4954 6", REPLY_SASL_TOO_LONG, 500, 5, 6},
      {"RFC 4954 4", REPLY_SASL_SYNTAX, 501, 5, 2},
      {"RFC 4954 4", REPLY_SASL_INITIAL, 501, 7, 0},
      {"RFC 4954 4", REPLY_SASL_CANCELLED, 501, 7, 0},
      {"RFC 4954 4", REPLY_BAD_MECHANISM, 504, 5, 4},
      {"RFC 4954 4", REPLY_AUTH_TWICE, 503, 5, 1},
      {"RFC 1985 5.1", REPLY_ETRN_OKAY, 250, 0, 0},
      {"RFC 1985 5.1", REPLY_CANNOT_QUEUE, 458, 5, 0},
      {"RFC 5248 2.4", REPLY_TOO_MANY_MAILS, 452, 5, 0}, /* X.5.3 is about recipients */
      {"RFC 6710 3", REPLY_BAD_PRIORITY, 501, 5, 2},
  };
  for (size_t i = 0; i < ROWS(facts); i++) {
    const struct reply_row *row = &ehlo_replies[facts[i].row];
    CHECK(facts[i].rule, ehlo_reply_text(facts[i].row), row->code == facts[i].code);
    CHECK(facts[i].rule, ehlo_reply_text(facts[i].row), row->subject == facts[i].subject);
    CHECK(facts[i].rule, ehlo_reply_text(facts[i].row), row->detail == facts[i].detail);
  }
}

static void keywords_are_found_in_any_case(void **state)
{
  (void)state;
  for (uint32_t extension = 0; extension < EHLO_EXT_COUNT; extension++) {
    char line[64];
    ehlo_span word = ehlo_extension_word(extension);
    for (unsigned way = 0; way < 3; way++) {
      for (size_t i = 0; i < word.len; i++) {
        char octet = word.ptr[i];
        int letter = octet >= 'A' && octet <= 'Z';
        line[i] = (char)(letter && way > 0 && (way == 1 || i % 2 == 0) ? octet | 0x20 : octet);
      }
      memcpy(line + word.len, " 1", 2);
      CHECK("C-HELO-07", word, ehlo_extension_find((ehlo_span){line, word.len}) == extension);
      CHECK("C-HELO-07", word, ehlo_extension_find((ehlo_span){line, word.len + 2}) == extension);
      CHECK("C-HELO-07", word, ehlo_extension_find((ehlo_span){line, word.len + 1}) == extension);
      CHECK("P-HELO-10", word, ehlo_extension_find((ehlo_span){line, word.len - 1}) == EHLO_EXT_COUNT);
      line[word.len] = '=';
      CHECK("P-HELO-10", word, ehlo_extension_find((ehlo_span){line, word.len + 2}) == EHLO_EXT_COUNT);
      line[word.len] = ' ';
      for (size_t i = 0; i < word.len; i++) {
        char was = line[i];
        line[i] = (char)(was ^ 0x20);
        int same_letter = (was >= 'A' && was <= 'Z') || (was >= 'a' && was <= 'z');
        CHECK("P-HELO-10", word,
              ehlo_extension_find((ehlo_span){line, word.len}) == (same_letter ? extension : EHLO_EXT_COUNT));
        line[i] = was;
      }
    }
  }
  static const ehlo_span others[] = {TEXT("D"),      TEXT("DS"),   TEXT("DSN\0"), TEXT("DSM"),
                                     TEXT("DSNX"),   TEXT("DSN="), TEXT("   "),   TEXT("    "),
                                     TEXT("\0\0\0"), TEXT("SIZ"),  TEXT("SIZ "),  TEXT("ETR\0")};
  for (size_t i = 0; i < ROWS(others); i++) {
    CHECK("P-HELO-10", others[i], ehlo_extension_find(guard_copy(0, others[i])) == EHLO_EXT_COUNT);
  }
  CHECK("P-DSN-01", SPAN("dsn"), ehlo_extension_find(guard_copy(0, SPAN("dsn"))) == EHLO_EXT_DSN);
  assert_int_equal(ehlo_extension_find((ehlo_span){NULL, 0}), EHLO_EXT_COUNT);
  assert_int_equal(ehlo_extension_find(ehlo_span_of("UTF8SMTP")), EHLO_EXT_COUNT); /* P-MISC-06 */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keywords_are_found_in_any_case),
      cmocka_unit_test(commands_are_as_the_rfcs_say),
      cmocka_unit_test(verbs_are_found_in_any_case),
      cmocka_unit_test(extensions_are_as_the_rfcs_say),
      cmocka_unit_test(parameters_are_as_the_rfcs_say),
      cmocka_unit_test(replies_have_the_texts_of_the_rfcs),
      cmocka_unit_test(replies_can_go_out),
      cmocka_unit_test(situations_have_their_codes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
