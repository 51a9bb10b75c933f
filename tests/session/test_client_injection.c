/* test_client_injection.c: nothing malformed leaves the client, and no more than was called.
 *
 * Everything that a host can hand to a command is tried with what could end the line and begin another: at worst the
 * call fails and nothing leaves. What is let out is one line that says what was called.
 */
#include "desk.h"

#include <string.h>

enum {
  PATH_MAIL,
  PATH_SEND,
  PATH_SOML,
  PATH_SAML,
  PATH_MAIL_UTF8,
  PATH_RCPT,
  PATH_RCPT_UTF8,
  WORDS_MAIL,
  WORDS_RCPT,
  TEXT_VRFY,
  TEXT_EXPN,
  TEXT_VRFY_UTF8,
  TEXT_HELP,
  TEXT_NOOP,
  TEXT_COMMAND,
  WORD_COMMAND,
  PLACES
};

static const uint32_t place_verbs[PLACES] = {EHLO_VERB_MAIL, EHLO_VERB_SEND, EHLO_VERB_SOML,    EHLO_VERB_SAML,
                                             EHLO_VERB_MAIL, EHLO_VERB_RCPT, EHLO_VERB_RCPT,    EHLO_VERB_MAIL,
                                             EHLO_VERB_RCPT, EHLO_VERB_VRFY, EHLO_VERB_EXPN,    EHLO_VERB_VRFY,
                                             EHLO_VERB_HELP, EHLO_VERB_NOOP, EHLO_VERB_UNKNOWN, EHLO_VERB_UNKNOWN};

static int is_path(unsigned place)
{
  return place <= PATH_RCPT_UTF8;
}

static int is_for_rcpt(unsigned place)
{
  return place == PATH_RCPT || place == PATH_RCPT_UTF8 || place == WORDS_RCPT;
}

/* A session in which there is place for it. */
static void open_for(struct desk *desk, unsigned place)
{
  ehlo_client_config config = desk_config();
  config.pass_parameters = 1;
  desk_begin(desk, &config, ALL_OFFERED);
  if (is_for_rcpt(place)) {
    ehlo_mail_parameters options = {.struct_size = sizeof options, .smtputf8 = place == PATH_RCPT_UTF8};
    assert_int_equal(ehlo_client_mail(desk->client, ehlo_span_of("a@b"), &options, 2), EHLO_OK);
    desk_answer(desk, "250 ok\r\n");
  }
}

static int call_with(struct desk *desk, unsigned place, ehlo_span span)
{
  ehlo_client *client = desk->client;
  ehlo_mail_parameters mail = {.struct_size = sizeof mail, .smtputf8 = place == PATH_MAIL_UTF8};
  ehlo_rcpt_parameters rcpt = {.struct_size = sizeof rcpt, .others = span};
  switch (place) {
  case PATH_MAIL:
  case PATH_MAIL_UTF8: return ehlo_client_mail(client, span, &mail, 9);
  case PATH_SEND: return ehlo_client_send(client, span, NULL, 9);
  case PATH_SOML: return ehlo_client_soml(client, span, NULL, 9);
  case PATH_SAML: return ehlo_client_saml(client, span, NULL, 9);
  case PATH_RCPT:
  case PATH_RCPT_UTF8: return ehlo_client_rcpt(client, span, NULL, 9);
  case WORDS_MAIL: mail.others = span; return ehlo_client_mail(client, ehlo_span_of("a@b"), &mail, 9);
  case WORDS_RCPT: return ehlo_client_rcpt(client, ehlo_span_of("a@b"), &rcpt, 9);
  case TEXT_VRFY: return ehlo_client_vrfy(client, span, 0, 9);
  case TEXT_EXPN: return ehlo_client_expn(client, span, 0, 9);
  case TEXT_VRFY_UTF8: return ehlo_client_vrfy(client, span, 1, 9);
  case TEXT_HELP: return ehlo_client_help(client, span, 9);
  case TEXT_NOOP: return ehlo_client_noop(client, span, 9);
  case TEXT_COMMAND: return ehlo_client_command(client, ehlo_span_of("XYZZY"), span, 9);
  default: return ehlo_client_command(client, span, ehlo_span_of("now"), 9);
  }
}

/* What a call that failed left behind: nothing. */
static void expect_unchanged(struct desk *desk, const char *what, int result)
{
  if (result == EHLO_OK || desk_output(desk).len != 0 || ehlo_client_pending(desk->client) != 0 ||
      ehlo_client_want(desk->client) != EHLO_WANT_READ) {
    fail_msg("let out: %s", what);
  }
}

/* The path on the wire is who was called, however that was spelt. */
static void expect_same_path(const ehlo_path *path, ehlo_span called)
{
  ehlo_path given;
  size_t used;
  char names[2][64];
  size_t lengths[2];
  if (called.ptr[0] != '<' && ehlo_parse_mailbox(called, EHLO_PARSE_UTF8, &given, &used) != EHLO_OK) {
    assert_int_equal(path->kind, EHLO_PATH_POSTMASTER);
    assert_true(ehlo_span_equal_nocase(called, ehlo_span_of("postmaster")));
    return;
  }
  if (called.ptr[0] == '<') {
    assert_int_equal(ehlo_parse_path(called, EHLO_PARSE_UTF8, &given, &used), EHLO_OK);
  }
  assert_int_equal(used, called.len);
  assert_int_equal(path->kind, given.kind);
  if (given.kind == EHLO_PATH_MAILBOX) {
    assert_int_equal(ehlo_local_part_decode(path->local_part, names[0], sizeof names[0], &lengths[0]), EHLO_OK);
    assert_int_equal(ehlo_local_part_decode(given.local_part, names[1], sizeof names[1], &lengths[1]), EHLO_OK);
    assert_int_equal(lengths[0], lengths[1]);
    assert_memory_equal(names[0], names[1], lengths[0]);
    assert_true(ehlo_span_equal(path->domain.raw, given.domain.raw));
  }
}

/* What stands on the line before and behind what was called, which is on it as it is. Paths are not. */
static const char *const place_lines[PLACES][2] = {[WORDS_MAIL] = {"MAIL FROM:<a@b> ", ""},
                                                   [WORDS_RCPT] = {"RCPT TO:<a@b> ", ""},
                                                   [TEXT_VRFY] = {"VRFY ", ""},
                                                   [TEXT_EXPN] = {"EXPN ", ""},
                                                   [TEXT_VRFY_UTF8] = {"VRFY ", " SMTPUTF8"},
                                                   [TEXT_HELP] = {"HELP ", ""},
                                                   [TEXT_NOOP] = {"NOOP ", ""},
                                                   [TEXT_COMMAND] = {"XYZZY ", ""},
                                                   [WORD_COMMAND] = {"", " now"}};

/* What a call that did not fail left: one command line that reads as what was called. */
static void expect_one_line(struct desk *desk, unsigned place, ehlo_span called)
{
  ehlo_span line = desk_output(desk);
  ehlo_command command;
  assert_true(line.len > 2 && memcmp(line.ptr + line.len - 2, "\r\n", 2) == 0);
  line.len -= 2;
  assert_null(memchr(line.ptr, '\r', line.len)); /* [C-CMD-21] */
  assert_null(memchr(line.ptr, '\n', line.len));
  assert_null(memchr(line.ptr, '\0', line.len));
  assert_int_equal(ehlo_parse_command(line, &command), EHLO_OK);
  assert_int_equal(command.verb, place_verbs[place]);
  int utf8 = place == PATH_MAIL_UTF8 || place == PATH_RCPT_UTF8 || place == TEXT_VRFY_UTF8;
  for (size_t i = 0; i < line.len && !utf8; i++) {
    assert_in_range((unsigned char)line.ptr[i], ' ', '~'); /* [C-CMD-22] */
  }
  if (is_path(place)) {
    ehlo_path path;
    size_t used;
    size_t colon = is_for_rcpt(place) ? 3 : 5;
    ehlo_span rest = {command.argument.ptr + colon, command.argument.len - colon};
    assert_memory_equal(command.argument.ptr, is_for_rcpt(place) ? "TO:" : "FROM:", colon);
    assert_int_equal(ehlo_parse_path(rest, utf8 ? EHLO_PARSE_UTF8 : 0, &path, &used), EHLO_OK);
    assert_int_equal(path.route.len, 0); /* [C-MAIL-18] */
    ehlo_span behind = {rest.ptr + used, rest.len - used};
    assert_true(ehlo_span_equal(behind, ehlo_span_of(place == PATH_MAIL_UTF8 ? " SMTPUTF8" : "")));
    expect_same_path(&path, called);
  } else {
    size_t before = strlen(place_lines[place][0]);
    size_t behind = strlen(place_lines[place][1]);
    assert_int_equal(line.len, before + called.len + behind);
    assert_memory_equal(line.ptr, place_lines[place][0], before);
    assert_memory_equal(line.ptr + before, called.ptr, called.len);
    assert_memory_equal(line.ptr + before + called.len, place_lines[place][1], behind);
  }
}

static const struct {
  unsigned from, to; /* places */
  const char *bad;
  int error;
} injections[] = {
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b\r\nRCPT TO:<c@d>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b>\r\nDATA", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b\r\n", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b>\n", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\r\nDATA\r\n\"@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\\\nb\"@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\tb\"@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b> SIZE=1", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b> SIZE=1", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b> ", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b ", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, " a@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<<a@b>>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b>>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a>b@c>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a>@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b>@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a\"@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\"b\"@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\\\"@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"\"@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a b@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b,c@d", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, ".a@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a..b@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@-b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b..c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b_c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@[1.2.3]", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@[1.2.3.4", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "< >", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<>x", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\xC3@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@\xFF", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_SAML, "\xC3\xB8@b", EHLO_ERR_SMTPUTF8}, /* [C-UTF8-14] */
    {PATH_MAIL, PATH_SAML, "postmaster", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_SAML, "<postmaster>", EHLO_ERR_SYNTAX},
    {PATH_RCPT, PATH_RCPT, "a@\xC3\xB8", EHLO_ERR_SMTPUTF8},
    {PATH_RCPT, PATH_RCPT_UTF8, "", EHLO_ERR_SYNTAX},
    {PATH_RCPT, PATH_RCPT_UTF8, "<>", EHLO_ERR_SYNTAX},
    {PATH_RCPT, PATH_RCPT_UTF8, "postmaster\r\n", EHLO_ERR_SYNTAX},

    {WORDS_MAIL, WORDS_RCPT, "X=1\r\nDATA", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=1\r", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "\nX=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=1 ", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, " X=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=1  Y", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X==1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=\x7F", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=\xC3\xB8", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "-X=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_MAIL, "SIZE=1 SIZE=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_MAIL, "SIZE=2000", EHLO_ERR_SIZE},
    {WORDS_MAIL, WORDS_MAIL, "RET=FULL", EHLO_ERR_NOT_OFFERED},
    {WORDS_MAIL, WORDS_MAIL, "X=1 body=7BITS", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_MAIL, "SmtpUtf8=1", EHLO_ERR_SYNTAX},

    {TEXT_VRFY, TEXT_COMMAND, "a\r\nDATA", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "a\r", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "\na", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "a\x7F", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "a\x1B[2J", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "\xFF", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_EXPN, "\xC3\xB8", EHLO_ERR_SYNTAX},
    {TEXT_HELP, TEXT_COMMAND, "\xC3\xB8", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_VRFY_UTF8, "", EHLO_ERR_SYNTAX},

    {WORD_COMMAND, WORD_COMMAND, "", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X\r\nDATA", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X\n", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X Y", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X ", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, " X", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X:", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "\xC3\xB8", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "DATA", EHLO_ERR_ARGUMENT},
    {WORD_COMMAND, WORD_COMMAND, "quit", EHLO_ERR_ARGUMENT},
    {WORD_COMMAND, WORD_COMMAND, "Mail", EHLO_ERR_ARGUMENT},
};

static void injections_are_refused(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof injections / sizeof injections[0]; i++) {
    for (unsigned place = injections[i].from; place <= injections[i].to; place++) {
      struct desk desk;
      open_for(&desk, place);
      int result = call_with(&desk, place, ehlo_span_of(injections[i].bad));
      expect_unchanged(&desk, injections[i].bad, result);
      if (result != injections[i].error) {
        fail_msg("place %u, %s: %s", place, injections[i].bad, ehlo_strerror(result));
      }
      /* Also with something before it in the output. */
      assert_int_equal(ehlo_client_noop(desk.client, ehlo_span_of(""), 0), EHLO_OK);
      assert_int_equal(call_with(&desk, place, ehlo_span_of(injections[i].bad)), injections[i].error);
      assert_int_equal(ehlo_client_pending(desk.client), 1);
      desk_expect(&desk, "NOOP\r\n");
      desk_hear(&desk, "250 ok\r\n");
      desk_close(&desk);
    }
  }
}

/* Every octet at every place of a good argument: what is not refused is still one line that says what it should. */
static void every_octet_everywhere(void **state)
{
  (void)state;
  static const char *const good[PLACES][4] = {
      {"alice@example.com", "<a@[192.0.2.1]>", "\"a \\\"b\"@c", "<@r.example:a@b>"},
      {"<a@b>"},
      {"a@b"},
      {"<>"},
      {"\xC3\xB8@b", "<\"\xC3\xB8 \"@\xC3\xB8>"},
      {"bob@example.org", "<\"a>b\"@c>", "postmaster", "<@r:a@b>"},
      {"\xC3\xB8@\xC3\xB8"},
      {"X=1 Y", "LONG=VALUE"},
      {"X=1 Y"},
      {"Jones", "a b"},
      {"list"},
      {"J\xC3\xB8nes"},
      {"HELP"},
      {"a b"},
      {"a b"},
      {"XYZZY"}};
  for (unsigned place = 0; place < PLACES; place++) {
    for (unsigned g = 0; g < 4 && good[place][g] != NULL; g++) {
      struct desk desk;
      size_t length = strlen(good[place][g]);
      open_for(&desk, place);
      assert_int_equal(call_with(&desk, place, ehlo_span_of(good[place][g])), EHLO_OK);
      expect_one_line(&desk, place, ehlo_span_of(good[place][g]));
      desk_close(&desk);
      for (size_t at = 0; at <= length; at++) {
        for (unsigned octet = 0; octet < 512; octet++) {
          /* Put before, or in place of, the octet that stands there. */
          size_t replaced = octet >> 8;
          if (replaced > length - at) {
            continue;
          }
          char bad[64];
          memcpy(bad, good[place][g], at);
          bad[at] = (char)octet;
          memcpy(bad + at + 1, good[place][g] + at + replaced, length - at - replaced);
          open_for(&desk, place);
          ehlo_span called = {bad, length + 1 - replaced};
          int result = call_with(&desk, place, called);
          if (place >= TEXT_VRFY && place <= TEXT_COMMAND && place != TEXT_VRFY_UTF8) {
            int printable = (octet & 255) >= ' ' && (octet & 255) < 127;
            assert_int_equal(result == EHLO_OK, printable && bad[0] != ' ' && bad[called.len - 1] != ' ');
          }
          if (result != EHLO_OK) {
            expect_unchanged(&desk, good[place][g], result);
          } else {
            assert_true((octet & 255) >= ' ' && (octet & 255) != 127);
            expect_one_line(&desk, place, called);
          }
          desk_close(&desk);
        }
      }
    }
  }
}

/* ---- parameters in fields ---- */

#define PARAMETERS_OFFERED                                                                                     \
  "250-mail.example.org\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-AUTH PLAIN\r\n250-NO-SOLICITING\r\n" \
  "250-MTRK\r\n250-SUBMITTER\r\n250-CHECKPOINT\r\n250-DELIVERBY 10\r\n250-MT-PRIORITY\r\n250-RRVS\r\n"         \
  "250 FUTURERELEASE 1000 2030-01-01T00:00:00Z\r\n"

enum { ENVID, AUTH_OF, SOLICIT, MTRK, SUBMITTER, TRANSID, ORCPT_TYPE, ORCPT_ADDRESS, FIELDS };

static int call_with_field(struct desk *desk, unsigned field, ehlo_span span)
{
  ehlo_mail_parameters mail = {.struct_size = sizeof mail};
  ehlo_rcpt_parameters rcpt = {
      .struct_size = sizeof rcpt, .orcpt_type = ehlo_span_of("rfc822"), .orcpt_address = ehlo_span_of("a@b")};
  ehlo_span *const fields[FIELDS] = {&mail.envid,     &mail.auth,    &mail.solicit,    &mail.mtrk,
                                     &mail.submitter, &mail.transid, &rcpt.orcpt_type, &rcpt.orcpt_address};
  mail.envid = field == MTRK ? ehlo_span_of("Q1") : mail.envid;
  *fields[field] = span;
  return field < ORCPT_TYPE ? ehlo_client_mail(desk->client, ehlo_span_of("a@b"), &mail, 9)
                            : ehlo_client_rcpt(desk->client, ehlo_span_of("a@b"), &rcpt, 9);
}

/* [P-AUTH-33] [P-DSN-03] [P-DSN-05] [P-MISC-01] [P-MISC-03] [P-NSOL-01] */
static void fields_are_checked(void **state)
{
  (void)state;
  static const char *const never[] = {"a\r\nDATA", "a\r", "a\n", "a b", " ", "a=b", "\x01", "\x7F", "\xC3\xB8"};
  static const struct {
    unsigned field;
    const char *bad;
  } more[] = {{ENVID, "a+4"},
              {ENVID, "a+4g"},
              {ENVID, "a+4a"},
              {ENVID, "a+0D+0ADATA"},
              {AUTH_OF, "a+40b+"},
              {AUTH_OF, "a"},
              {AUTH_OF, "a@b+0D+0A"},
              {SOLICIT, "a,,b"},
              {MTRK, "a:b"},
              {SUBMITTER, "a"},
              {SUBMITTER, "<>"},
              {TRANSID, "a@b"},
              {TRANSID, "<a"},
              {ORCPT_TYPE, ""},
              {ORCPT_TYPE, "rfc822;x"},
              {ORCPT_ADDRESS, "a+40b+4"},
              {ORCPT_ADDRESS, "+FF"},
              {ORCPT_ADDRESS, "+00"},
              {ENVID, "+"},
              {AUTH_OF, "+"},
              {SUBMITTER, "+"},
              {ORCPT_ADDRESS, "+"}};
  for (unsigned field = 0; field < FIELDS; field++) {
    struct desk desk;
    desk_begin(&desk, NULL, PARAMETERS_OFFERED);
    if (field >= ORCPT_TYPE) {
      assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
      desk_answer(&desk, "250 ok\r\n");
    }
    assert_int_equal(call_with_field(&desk, field, (ehlo_span){NULL, 3}), EHLO_ERR_ARGUMENT);
    assert_int_equal(call_with_field(&desk, field, (ehlo_span){"a\0b", 3}), EHLO_ERR_SYNTAX);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
      expect_unchanged(&desk, never[i], call_with_field(&desk, field, ehlo_span_of(never[i])));
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
      if (more[i].field == field) {
        expect_unchanged(&desk, more[i].bad, call_with_field(&desk, field, ehlo_span_of(more[i].bad)));
      }
    }
    desk_close(&desk);
  }
}

static void numbers_are_checked(void **state)
{
  (void)state;
  static const ehlo_mail_parameters bad[] = {
      {.struct_size = sizeof *bad, .ret = 3},
      {.struct_size = sizeof *bad, .has_priority = 1, .priority = 10},
      {.struct_size = sizeof *bad, .has_priority = 1, .priority = -10},
      {.struct_size = sizeof *bad, .by_mode = 3, .by_time = 20},
      {.struct_size = sizeof *bad, .by_mode = EHLO_BY_NOTIFY, .by_time = 1000000000},
      {.struct_size = sizeof *bad, .hold_for = 10, .has_hold_until = 1, .hold_until = 10},
      {.struct_size = sizeof *bad, .hold_for = 100, .by_mode = EHLO_BY_NOTIFY, .by_time = 99},
      {.struct_size = sizeof *bad, .mtrk = {"YWJj", 4}}, /* [P-MISC-03]: without ENVID */
  };
  struct desk desk;
  desk_begin(&desk, NULL, PARAMETERS_OFFERED);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int result = ehlo_client_mail(desk.client, ehlo_span_of("a@b"), &bad[i], 9);
    if (result != EHLO_ERR_ARGUMENT) {
      fail_msg("row %zu: %s", i, ehlo_strerror(result));
    }
  }
  assert_int_equal(desk_output(&desk).len, 0);
  ehlo_mail_parameters none = {.struct_size = sizeof none};
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of("a@b"), &none, 9), EHLO_OK);
  ehlo_rcpt_parameters rcpt = {.struct_size = sizeof rcpt, .notify = EHLO_NOTIFY_NEVER | EHLO_NOTIFY_DELAY};
  assert_int_equal(ehlo_client_rcpt(desk.client, ehlo_span_of("a@b"), &rcpt, 9), EHLO_ERR_ARGUMENT);
  rcpt = (ehlo_rcpt_parameters){.struct_size = sizeof rcpt, .rrvs = 3};
  assert_int_equal(ehlo_client_rcpt(desk.client, ehlo_span_of("a@b"), &rcpt, 9), EHLO_ERR_ARGUMENT);
  desk_expect(&desk, "MAIL FROM:<a@b>\r\n");
  desk_close(&desk);
}

static void lines_have_their_limit(void **state)
{
  (void)state;
  static char longest[6000];
  memset(longest, 'x', sizeof longest);
  static const uint32_t outputs[] = {EHLO_CLIENT_MIN_OUTPUT_SIZE, EHLO_CLIENT_DEFAULT_OUTPUT_SIZE, 20000};
  for (size_t i = 0; i < 3; i++) {
    struct desk desk;
    ehlo_client_config config = desk_config();
    config.output_size = outputs[i];
    desk_begin(&desk, &config, "250 mail.example.org\r\n");
    /* "NOOP " and CRLF are seven. */
    assert_int_equal(ehlo_client_noop(desk.client, (ehlo_span){longest, 506}, 0), EHLO_ERR_TOO_LONG);
    assert_int_equal(ehlo_client_noop(desk.client, (ehlo_span){longest, sizeof longest}, 0), EHLO_ERR_TOO_LONG);
    assert_int_equal(desk_output(&desk).len, 0);
    assert_int_equal(ehlo_client_noop(desk.client, (ehlo_span){longest, 505}, 0), EHLO_OK);
    assert_int_equal(desk_output(&desk).len, 512);
    desk_answer(&desk, "250 ok\r\n");
    memcpy(longest + 400, "@example.com", 12);
    assert_int_equal(ehlo_client_mail(desk.client, (ehlo_span){longest, 412}, NULL, 0), EHLO_OK);
    assert_int_equal(desk_output(&desk).len, 412 + strlen("MAIL FROM:<>\r\n"));
    desk_answer(&desk, "250 ok\r\n");
    memset(longest + 400, 'x', 12);
    memcpy(longest + 488, "@example.com", 12);
    assert_int_equal(ehlo_client_rcpt(desk.client, (ehlo_span){longest, 500}, NULL, 0), EHLO_OK);
    assert_int_equal(desk_output(&desk).len, 512);
    desk_answer(&desk, "550 no\r\n");
    memset(longest + 488, 'x', 12);
    memcpy(longest + 489, "@example.com", 12);
    assert_int_equal(ehlo_client_rcpt(desk.client, (ehlo_span){longest, 501}, NULL, 0), EHLO_ERR_TOO_LONG);
    memset(longest + 489, 'x', 12);
    memcpy(longest + sizeof longest - 12, "@example.com", 12);
    assert_int_equal(ehlo_client_rcpt(desk.client, (ehlo_span){longest, sizeof longest}, NULL, 0), EHLO_ERR_TOO_LONG);
    longest[0] = longest[sizeof longest - 13] = '"';
    assert_int_equal(ehlo_client_rcpt(desk.client, (ehlo_span){longest, sizeof longest}, NULL, 0), EHLO_ERR_TOO_LONG);
    longest[0] = longest[sizeof longest - 13] = 'x';
    memset(longest + sizeof longest - 12, 'x', 12);
    assert_int_equal(desk_output(&desk).len, 0);
    desk_close(&desk);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(injections_are_refused), cmocka_unit_test(every_octet_everywhere),
      cmocka_unit_test(fields_are_checked),     cmocka_unit_test(numbers_are_checked),
      cmocka_unit_test(lines_have_their_limit),
  };
  return cmocka_run_group_tests_name("what the client lets out", tests, NULL, NULL);
}
