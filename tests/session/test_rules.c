/* test_rules.c: rules of the RFCs, one test for each or for a few that belong together.
 *
 * Dialogues that read best as such are in tests/transcripts; here are the rules that want a loop, a table, a look at
 * when a reply leaves, or the host's side. Only what is published is used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ehlo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a host that says what it was told to say ----------------------------------------------------------------------
 */

enum { EVENTS = EHLO_EVENT_CANCEL + 1, SILENT = 0, ACCEPT = 1, DEFER = 2 };

struct answer {
  int code; /* or SILENT, ACCEPT, DEFER */
  const char *enhanced;
  const char *text; /* lines parted by LF */
};

struct session {
  ehlo_server *server;
  void *block;
  struct answer answers[EVENTS];
  int result; /* of the last answer that was given in a handler */
  uint32_t deferred[16];
  unsigned deferred_count;
  char replies[65536];
  size_t replies_length;
  char *content;
  size_t content_length;
  uint32_t ends[16]; /* reasons */
  unsigned end_count;
  unsigned seen[EVENTS];
  uint32_t violation; /* the last kind */
  char path[1024];    /* of the last MAIL or RCPT, raw */
};

static int answer(struct session *session, uint32_t ticket, const struct answer *with)
{
  const char *text = with->text != NULL ? with->text : "";
  const char *line_end;
  while ((line_end = strchr(text, '\n')) != NULL) {
    ehlo_span line = {text, (size_t)(line_end - text)};
    int result = ehlo_server_reply_more(session->server, ticket, with->code, with->enhanced, line);
    if (result != EHLO_OK) {
      return result;
    }
    text = line_end + 1;
  }
  return ehlo_server_reply(session->server, ticket, with->code, with->enhanced, ehlo_span_of(text));
}

static int on_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct session *session = user;
  session->seen[event->type]++;
  if (event->type == EHLO_EVENT_BODY) {
    for (size_t i = 0; i < event->as.body.count; i++) {
      const ehlo_span *span = &event->as.body.spans[i];
      session->content = realloc(session->content, session->content_length + span->len);
      assert_non_null(session->content);
      memcpy(session->content + session->content_length, span->ptr, span->len);
      session->content_length += span->len;
    }
  } else if (event->type == EHLO_EVENT_END) {
    session->ends[session->end_count++ % 16] = event->as.end.reason;
  } else if (event->type == EHLO_EVENT_VIOLATION) {
    session->violation = event->as.violation.kind;
  } else if (event->type == EHLO_EVENT_MAIL || event->type == EHLO_EVENT_RCPT) {
    ehlo_span raw = event->type == EHLO_EVENT_MAIL ? event->as.mail.path.raw : event->as.rcpt.path.raw;
    snprintf(session->path, sizeof session->path, "%.*s", (int)raw.len, raw.ptr);
  }
  const struct answer *with = &session->answers[event->type];
  if (event->ticket == 0 || with->code == SILENT) {
    return EHLO_HANDLED;
  }
  if (with->code == ACCEPT) {
    session->result = ehlo_server_accept(server, event->ticket);
  } else if (with->code == DEFER) {
    assert_true(session->deferred_count < 16);
    session->deferred[session->deferred_count++] = event->ticket;
    session->result = ehlo_server_defer(server, event->ticket, 0);
  } else {
    session->result = answer(session, event->ticket, with);
  }
  return EHLO_HANDLED;
}

static struct session *session_new(const ehlo_server_config *config)
{
  struct session *session = calloc(1, sizeof *session);
  assert_non_null(session);
  size_t size = ehlo_server_size(config);
  assert_true(size > 0);
  session->block = malloc(size);
  assert_non_null(session->block);
  session->answers[EHLO_EVENT_RCPT].code = ACCEPT;
  session->answers[EHLO_EVENT_MESSAGE].code = ACCEPT;
  session->answers[EHLO_EVENT_RESULT].code = ACCEPT;
  assert_int_equal(ehlo_server_init(&session->server, session->block, size, config, on_event, session), EHLO_OK);
  return session;
}

static void session_free(struct session *session)
{
  free(session->content);
  free(session->block);
  free(session);
}

static ehlo_server_config config_new(void)
{
  ehlo_server_config config;
  assert_int_equal(ehlo_server_config_init(&config, sizeof config), EHLO_OK);
  config.hostname = ehlo_span_of("mail.example.org");
  return config;
}

static void answers_with(struct session *session, uint32_t event, int code, const char *enhanced, const char *text)
{
  session->answers[event].code = code;
  session->answers[event].enhanced = enhanced;
  session->answers[event].text = text;
}

/* What is ready to be sent now, without sending it. */
static const char *waiting(struct session *session)
{
  size_t size;
  const char *output = ehlo_server_output(session->server, &size);
  assert_true(size < sizeof session->replies);
  if (size > 0) {
    memcpy(session->replies, output, size);
  }
  session->replies[size] = '\0';
  return session->replies;
}

/* Sends everything, and tells it. */
static const char *replies(struct session *session)
{
  session->replies_length = 0;
  for (;;) {
    size_t size;
    const char *output = ehlo_server_output(session->server, &size);
    if (size > 0) {
      assert_true(session->replies_length + size < sizeof session->replies);
      memcpy(session->replies + session->replies_length, output, size);
      session->replies_length += size;
      ehlo_server_sent(session->server, size);
    } else if ((ehlo_server_want(session->server) & EHLO_WANT_FEED) != 0) {
      size_t consumed;
      assert_int_equal(ehlo_server_feed(session->server, NULL, 0, &consumed), EHLO_OK);
    } else {
      break;
    }
  }
  session->replies[session->replies_length] = '\0';
  return session->replies;
}

static const char *start(struct session *session)
{
  assert_int_equal(ehlo_server_start(session->server), EHLO_OK);
  return replies(session);
}

static const char *say_octets(struct session *session, const char *octets, size_t size)
{
  char *all = malloc(sizeof session->replies);
  size_t length = 0;
  assert_non_null(all);
  for (;;) {
    size_t consumed;
    assert_int_equal(ehlo_server_feed(session->server, octets, size, &consumed), EHLO_OK);
    octets += consumed;
    size -= consumed;
    const char *some = replies(session);
    assert_true(length + strlen(some) < sizeof session->replies);
    memcpy(all + length, some, strlen(some) + 1);
    length += strlen(some);
    if (size == 0 || (consumed == 0 && (ehlo_server_want(session->server) & EHLO_WANT_FEED) == 0)) {
      break;
    }
  }
  assert_int_equal(size, 0);
  memcpy(session->replies, all, length + 1);
  free(all);
  return session->replies;
}

/* What the server replies to octets that arrive at once. */
static const char *say(struct session *session, const char *octets)
{
  return say_octets(session, octets, strlen(octets));
}

/* The codes of replies, with a space between: of the last line of each. */
static const char *codes_of(const char *text)
{
  static char codes[4096];
  char *at = codes;
  while (*text != '\0') {
    const char *line_end = strstr(text, "\r\n");
    assert_non_null(line_end);
    assert_true(line_end - text >= 4);
    if (text[3] != '-') {
      at += sprintf(at, at == codes ? "%.3s" : " %.3s", text);
    }
    text = line_end + 2;
  }
  *at = '\0';
  return codes;
}

#define assert_codes(session, octets, codes) assert_string_equal(codes_of(say(session, octets)), codes)

static struct session *session_open(const ehlo_server_config *config, const char *hello)
{
  struct session *session = session_new(config);
  assert_string_equal(codes_of(start(session)), "220");
  assert_codes(session, hello, "250");
  return session;
}

static struct session *session_default(void)
{
  ehlo_server_config config = config_new();
  return session_open(&config, "EHLO client.example\r\n");
}

static int begins(const char *text, const char *with)
{
  return strncmp(text, with, strlen(with)) == 0;
}

/* ---- the greeting
 * ---------------------------------------------------------------------------------------------------- */

static void greeting_of_several_lines(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  struct session *session = session_new(&config);
  answers_with(session, EHLO_EVENT_CONNECT, 220, NULL, "welcome\nno unsolicited mail");
  /* S-SESS-02: only the first line carries the domain. */
  assert_string_equal(start(session), "220-mail.example.org welcome\r\n220 no unsolicited mail\r\n");
  session_free(session);
}

static void greeting_521(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  struct session *session = session_new(&config);
  answers_with(session, EHLO_EVENT_CONNECT, 521, NULL, NULL);
  assert_string_equal(codes_of(start(session)), "521");                      /* S-SESS-06 */
  assert_codes(session, "EHLO a.example\r\nMAIL FROM:<a@b>\r\n", "521 521"); /* S-SESS-07 */
  assert_int_equal(ehlo_server_want(session->server) & EHLO_WANT_CLOSE, 0);
  assert_codes(session, "QUIT\r\n", "221");
  session_free(session);
}

static void unsolicited_421(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  struct session *session = session_new(&config);
  answers_with(session, EHLO_EVENT_CONNECT, 421, NULL, NULL);
  assert_string_equal(codes_of(start(session)), "421"); /* S-SESS-08: as greeting */
  assert_int_equal(ehlo_server_want(session->server), EHLO_WANT_CLOSE);
  session_free(session);

  static const uint32_t asks[] = {EHLO_EVENT_HELLO, EHLO_EVENT_MAIL,    EHLO_EVENT_RCPT,
                                  EHLO_EVENT_DATA,  EHLO_EVENT_MESSAGE, EHLO_EVENT_VRFY};
  static const char script[] = "EHLO a.example\r\nVRFY x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n";
  for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
    session = session_new(&config);
    answers_with(session, asks[i], 421, NULL, NULL);
    start(session);
    const char *got = codes_of(say(session, script));
    assert_string_equal(got + strlen(got) - 3, "421"); /* S-SESS-08: to any command */
    assert_int_equal(ehlo_server_want(session->server), EHLO_WANT_CLOSE);
    session_free(session);
  }

  session = session_default();
  assert_int_equal(ehlo_server_shutdown(session->server, 421, NULL, ehlo_span_of("")), EHLO_OK);
  assert_string_equal(codes_of(replies(session)), "421"); /* S-SESS-08, S-SESS-11: unasked */
  assert_int_equal(ehlo_server_want(session->server), EHLO_WANT_CLOSE);
  session_free(session);
}

static void close_is_never_the_servers_idea(void **state)
{
  (void)state;
  struct session *session = session_default();
  for (int i = 0; i < 19; i++) {
    assert_codes(session, "FLY me\r\n", "500"); /* S-SESS-10 */
    assert_int_equal(ehlo_server_want(session->server), EHLO_WANT_READ);
  }
  assert_codes(session, "MAIL FROM:<a@b>\r\nRSET\r\n", "250 250"); /* S-SESS-09, S-RSET-02 */
  assert_int_equal(ehlo_server_want(session->server), EHLO_WANT_READ);
  assert_codes(session, "FLY me\r\n", "500 421"); /* S-SESS-15, S-SESS-09: in defence, and with 421 */
  assert_int_equal(ehlo_server_want(session->server), EHLO_WANT_CLOSE);
  session_free(session);
}

static void lost_connection(void **state)
{
  (void)state;
  struct session *session = session_default();
  assert_codes(session, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\none\r\n.\r\n", "250 250 354 250");
  assert_codes(session, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 250 354");
  assert_codes(session, "two\r\n.", "");
  assert_int_equal(ehlo_server_lost(session->server), EHLO_OK);
  /* S-SESS-12: the open one is cancelled, the complete one stays. */
  assert_int_equal(session->end_count, 2);
  assert_int_equal(session->ends[0], EHLO_END_ACCEPTED);
  assert_int_equal(session->ends[1], EHLO_END_LOST);
  assert_int_equal(session->seen[EHLO_EVENT_MESSAGE], 1);
  assert_int_equal(ehlo_server_want(session->server), EHLO_WANT_CLOSE); /* S-SESS-13: over, as after QUIT */
  session_free(session);
}

/* ---- EHLO
 * ------------------------------------------------------------------------------------------------------------ */

/* The registry of SMTP service extensions, and the verbs of RFC 821 that RFC 5321 has listed in the same way. (What
 * begins with X needs no registration, RFC 5321 2.2.2.) */
static const char *const registered[] = {"PIPELINING",    "SIZE",       "8BITMIME",      "ENHANCEDSTATUSCODES",
                                         "SMTPUTF8",      "EXPN",       "HELP",          "SEND",
                                         "SOML",          "SAML",       "TURN",          "VRFY",
                                         "DSN",           "STARTTLS",   "AUTH",          "CHUNKING",
                                         "BINARYMIME",    "DELIVERBY",  "FUTURERELEASE", "MTRK",
                                         "MT-PRIORITY",   "REQUIRETLS", "RRVS",          "SUBMITTER",
                                         "CONPERM",       "CONNEG",     "LIMITS",        "CHECKPOINT",
                                         "NO-SOLICITING", "ETRN",       "ATRN",          "BURL"};

static void keywords_are_registered(void **state)
{
  (void)state;
  for (uint32_t i = 0; i < EHLO_EXT_COUNT; i++) {
    size_t at = 0;
    while (at < sizeof registered / sizeof *registered && strcmp(registered[at], ehlo_extension_keyword(i)) != 0) {
      at++;
    }
    int is_private = *ehlo_extension_keyword(i) == 'X';
    assert_true(at < sizeof registered / sizeof *registered || is_private); /* S-HELO-07, P-CMD-17 */
  }
  assert_string_equal(ehlo_extension_keyword(EHLO_EXT_COUNT), "?");

  static const char *const verbs[] = {"HELO", "EHLO",     "LHLO", "MAIL", "SEND", "SOML", "SAML",    "RCPT",
                                      "DATA", "RSET",     "VRFY", "EXPN", "HELP", "NOOP", "QUIT",    "TURN",
                                      "BDAT", "STARTTLS", "AUTH", "ETRN", "ATRN", "BURL", "XCLIENT", "XFORWARD"};
  assert_int_equal(EHLO_VERB_COUNT - EHLO_VERB_HELO, sizeof verbs / sizeof *verbs);
  for (uint32_t i = EHLO_VERB_HELO; i < EHLO_VERB_COUNT; i++) {
    assert_string_equal(ehlo_verb_name(i), verbs[i - EHLO_VERB_HELO]); /* P-CMD-17 */
  }
}

static void keywords_keep_their_word(void **state)
{
  (void)state;
  static const struct {
    uint32_t extension;
    const char *command;
  } verbs[] = {
      {EHLO_EXT_VRFY, "VRFY x"},          {EHLO_EXT_EXPN, "EXPN x"},          {EHLO_EXT_HELP, "HELP"},
      {EHLO_EXT_SEND, "SEND FROM:<a@b>"}, {EHLO_EXT_SOML, "SOML FROM:<a@b>"}, {EHLO_EXT_SAML, "SAML FROM:<a@b>"}};
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
    for (int on = 0; on < 2; on++) {
      ehlo_server_config config = config_new();
      memset(config.offer, 0, sizeof config.offer);
      config.offer[verbs[i].extension] = (uint8_t)on;
      struct session *session = session_new(&config);
      start(session);
      char line[64];
      snprintf(line, sizeof line, "250 %s\r\n", ehlo_extension_keyword(verbs[i].extension));
      const char *listed = strstr(say(session, "EHLO a.example\r\n"), line);
      assert_true((listed != NULL) == on); /* S-HELO-05, S-HELO-06, S-EXPN-01, S-SEND-08 */
      snprintf(line, sizeof line, "%s\r\n", verbs[i].command);
      const char *got = say(session, line);
      if (on) {
        assert_true(got[0] == '2'); /* S-HELO-08 */
      } else if (verbs[i].extension != EHLO_EXT_VRFY) {
        assert_true(begins(got, "502 ")); /* P-CMD-07, S-SEND-09 */
      }
      session_free(session);
    }
  }
}

static void hello_without_extensions(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  memset(config.offer, 0, sizeof config.offer);
  struct session *session = session_new(&config);
  start(session);
  assert_string_equal(say(session, "EHLO a.example\r\n"), "250 mail.example.org\r\n"); /* S-HELO-01 */
  session_free(session);
}

static void hello_refused(void **state)
{
  (void)state;
  static const int codes[] = {501, 502, 504, 550, 554};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    struct session *session = session_default();
    assert_codes(session, "MAIL FROM:<a@b>\r\n", "250");
    answers_with(session, EHLO_EVENT_HELLO, codes[i], NULL, NULL);
    char code[8];
    snprintf(code, sizeof code, "%d", codes[i]);
    assert_codes(session, "EHLO other.example\r\n", code); /* S-HELO-16 */
    assert_int_equal(session->end_count, 0);
    ehlo_span hello = ehlo_server_hello(session->server);
    assert_int_equal(hello.len, strlen("client.example"));
    assert_codes(session, "RCPT TO:<c@d>\r\n", "250"); /* S-HELO-10: as it was before */
    session_free(session);
  }
}

static void domain_of_the_host(void **state)
{
  (void)state;
  static const char *const bad[] = {"m\xC3\xBC.example",    "a b",        "", "-a.example",
                                    "mail.example.org\r\n", "a_b.example"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ehlo_server_config config = config_new();
    config.hostname = ehlo_span_of(bad[i]);
    assert_int_equal(ehlo_server_size(&config), 0); /* S-UTF8-12 */
  }
  static const char *const good[] = {"xn--m-xka.example", "localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    ehlo_server_config config = config_new();
    config.hostname = ehlo_span_of(good[i]);
    struct session *session = session_new(&config);
    assert_true(begins(start(session) + 4, good[i]));                     /* S-SESS-01 */
    assert_true(begins(say(session, "EHLO a.example\r\n") + 4, good[i])); /* S-HELO-04, S-UTF8-12 */
    session_free(session);
  }
}

/* ---- what may be answered
 * -------------------------------------------------------------------------------------------- */

/* RFC 5321 4.3.2 with RFC 7504 and RFC 821 4.3: the host can give each of these, and it arrives as it was given. */
static void replies_that_a_host_can_give(void **state)
{
  (void)state;
  static const struct {
    uint32_t event;
    const char *given; /* that leads there */
    const char *command;
    int codes[12];
  } rows[] = {
      {EHLO_EVENT_HELLO, "", "EHLO a.example\r\n", {250, 504, 550}},
      {EHLO_EVENT_HELLO, "", "HELO a.example\r\n", {250, 504, 550}},
      {EHLO_EVENT_MAIL,
       "EHLO a.example\r\n",
       "MAIL FROM:<a@b>\r\n",
       {250, 552, 451, 452, 550, 553, 455, 555}},                                           /* S-MAIL-10 */
      {EHLO_EVENT_MAIL, "EHLO a.example\r\n", "SEND FROM:<a@b>\r\n", {250, 552, 451, 452}}, /* S-SEND-06 */
      {EHLO_EVENT_MAIL, "EHLO a.example\r\n", "SOML FROM:<a@b>\r\n", {250, 552, 451, 452}}, /* S-SEND-06 */
      {EHLO_EVENT_MAIL, "EHLO a.example\r\n", "SAML FROM:<a@b>\r\n", {250, 552, 451, 452}}, /* S-SEND-06 */
      {EHLO_EVENT_RCPT,
       "EHLO a.example\r\nMAIL FROM:<a@b>\r\n",
       "RCPT TO:<c@d>\r\n",
       {250, 251, 550, 551, 552, 553, 450, 451, 452, 455, 555, 556}}, /* S-RCPT-15, S-RCPT-09, S-SIZE-09 */
      {EHLO_EVENT_DATA,
       "EHLO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
       "DATA\r\n",
       {503, 554, 451}}, /* S-DATA-15 */
      {EHLO_EVENT_MESSAGE,
       "EHLO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
       ".\r\n",
       {250, 552, 554, 451, 452, 450, 550}},                                         /* S-DATA-15 */
      {EHLO_EVENT_VRFY, "", "VRFY x\r\n", {250, 251, 252, 550, 551, 553, 502, 504}}, /* S-VRFY-08, P-CMD-09 */
      {EHLO_EVENT_EXPN, "", "EXPN x\r\n", {250, 252, 550, 500, 502, 504}},           /* S-EXPN-03 */
      {EHLO_EVENT_HELP, "", "HELP\r\n", {211, 214, 502, 504}},                       /* S-HELP-01 */
      {EHLO_EVENT_HELP, "", "HELP MAIL\r\n", {211, 214, 502, 504}},                  /* S-HELP-01 */
      {EHLO_EVENT_TURN, "EHLO a.example\r\n", "TURN\r\n", {250, 502, 503}},          /* S-TURN-03 */
      {EHLO_EVENT_UNKNOWN, "", "XVENDOR x\r\n", {250, 500, 502}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (size_t at = 0; at < 12 && rows[i].codes[at] != 0; at++) {
      int code = rows[i].codes[at];
      ehlo_server_config config = config_new();
      config.offer[EHLO_EXT_EXPN] = config.offer[EHLO_EXT_SEND] = config.offer[EHLO_EXT_SOML] = 1;
      config.offer[EHLO_EXT_SAML] = config.offer[EHLO_EXT_TURN] = 1;
      struct session *session = session_new(&config);
      start(session);
      say(session, rows[i].given);
      answers_with(session, rows[i].event, code, NULL, "in the host's own words");
      const char *got = say(session, rows[i].command);
      char begin[8];
      snprintf(begin, sizeof begin, "%d ", code);
      if (!begins(got, begin) && rows[i].event != EHLO_EVENT_HELLO) {
        fail_msg("%.10s: %d was answered %s", rows[i].command, code, got);
      }
      assert_int_equal(session->result, EHLO_OK);
      assert_non_null(strstr(got, "in the host's own words\r\n")); /* S-RPLY-12: the code stays, the text is free */
      session_free(session);
    }
  }
}

/* RFC 5321 4.2.2 and 4.2.3, RFC 7504, RFC 821 4.2.2; 454 and 530 of RFC 3207 4; 235, 432, 534, 535 and 538 of RFC 4954
 * 6, 523 and 525 of RFC 5248 2.4, 253, 458 and 459 of RFC 1985 5.1, 453 of RFC 2645 7. */
static const uint32_t listed_codes[] = {211, 214, 220, 221, 235, 250, 251, 252, 253, 354, 421, 432, 450,
                                        451, 452, 453, 454, 455, 458, 459, 500, 501, 502, 503, 504, 521,
                                        523, 525, 530, 534, 535, 538, 550, 551, 552, 553, 554, 555, 556};

static void default_replies(void **state)
{
  (void)state;
  /* RFC 3463 3 and the registry of RFC 5248: what may stand as a default. */
  static const char *const details[] = {"0.0", "1.0", "1.1", "1.3", "1.5",  "1.6",  "1.7",  "1.10", "2.0", "3.0",
                                        "3.1", "3.2", "3.4", "4.2", "5.0",  "5.1",  "5.2",  "5.3",  "5.4", "6.0",
                                        "6.7", "7.0", "7.8", "7.9", "7.10", "7.11", "7.12", "7.13"};
  size_t found = 0;
  for (uint32_t code = 0; code < 1000; code++) {
    ehlo_enhanced enhanced;
    ehlo_span text = ehlo_reply_default(code, &enhanced);
    int listed = 0;
    for (size_t i = 0; i < sizeof listed_codes / sizeof *listed_codes; i++) {
      listed |= listed_codes[i] == code;
    }
    assert_true((text.len > 0) == listed); /* S-RPLY-11 */
    if (!listed) {
      assert_int_equal(enhanced.status_class, 0);
      continue;
    }
    found++;
    if (code == 354) {
      assert_int_equal(enhanced.status_class, 0); /* S-ESC-03 */
      continue;
    }
    assert_int_equal(enhanced.status_class, code / 100); /* S-ESC-04 */
    char detail[16];
    snprintf(detail, sizeof detail, "%u.%u", (unsigned)enhanced.subject, (unsigned)enhanced.detail);
    size_t at = 0;
    while (at < sizeof details / sizeof *details && strcmp(details[at], detail) != 0) {
      at++;
    }
    assert_true(at < sizeof details / sizeof *details); /* S-ESC-08, S-ESC-11: none that is deprecated or made up */
  }
  assert_int_equal(found, sizeof listed_codes / sizeof *listed_codes);
}

static void codes_that_no_reply_may_have(void **state)
{
  (void)state;
  static const int codes[] = {0, 99, 100, 199, 299, 354, 399, 600, 650, 999, 2500, -250};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    struct session *session = session_default();
    answers_with(session, EHLO_EVENT_MAIL, DEFER, NULL, NULL);
    assert_codes(session, "MAIL FROM:<a@b>\r\n", "");
    assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], codes[i], NULL, ehlo_span_of("x")),
                     EHLO_ERR_CODE); /* S-RPLY-10 */
    assert_string_equal(replies(session), "");
    assert_int_equal(ehlo_server_accept(session->server, session->deferred[0]), EHLO_OK);
    assert_string_equal(codes_of(replies(session)), "250");
    session_free(session);
  }
}

static void lines_of_one_reply(void **state)
{
  (void)state;
  struct session *session = session_default();
  answers_with(session, EHLO_EVENT_VRFY, 553, "5.1.4",
               "Ambiguous; Possibilities are\nJoe Smith <jsmith@foo.com>\n234 Text");
  /* P-RPLY-02, P-RPLY-03, P-RPLY-05, S-ESC-05, S-ESC-07, S-VRFY-06 */
  assert_string_equal(say(session, "VRFY smith\r\n"), "553-5.1.4 Ambiguous; Possibilities are\r\n"
                                                      "553-5.1.4 Joe Smith <jsmith@foo.com>\r\n"
                                                      "553 5.1.4 234 Text\r\n");
  session_free(session);

  /* The code is the same on all lines, or it is the host's mistake and nothing changes. */
  session = session_default();
  answers_with(session, EHLO_EVENT_VRFY, DEFER, NULL, NULL);
  assert_codes(session, "VRFY smith\r\n", "");
  ehlo_span text = ehlo_span_of("x");
  assert_int_equal(ehlo_server_reply_more(session->server, session->deferred[0], 553, "5.1.4", text), EHLO_OK);
  assert_int_equal(ehlo_server_reply_more(session->server, session->deferred[0], 550, "5.1.4", text),
                   EHLO_ERR_CODE); /* P-RPLY-03 */
  assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], 553, "5.1.1", text),
                   EHLO_ERR_CODE); /* S-ESC-05 */
  assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], 553, "5.1.4", text), EHLO_OK);
  assert_string_equal(replies(session), "553-5.1.4 x\r\n553 5.1.4 x\r\n");
  session_free(session);
}

static void text_of_replies(void **state)
{
  (void)state;
  static const struct {
    const char *octets;
    size_t size;
  } bad[] = {{"a\rb", 3}, {"a\nb", 3}, {"a\0b", 3}, {"a\x7F", 2}, {"a\x01", 2}, {"caf\xC3\xA9", 5}, {"\xFF", 1}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct session *session = session_default();
    answers_with(session, EHLO_EVENT_RCPT, DEFER, NULL, NULL);
    assert_codes(session, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250");
    ehlo_span text = {bad[i].octets, bad[i].size};
    assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], 550, NULL, text),
                     EHLO_ERR_TEXT); /* P-RPLY-08 */
    char longest[600];
    memset(longest, 'x', sizeof longest);
    text = (ehlo_span){longest, 512 - strlen("550 5.1.1 ") - 2 + 1};
    assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], 550, "5.1.1", text),
                     EHLO_ERR_TOO_LONG); /* P-RPLY-09 */
    text.len--;
    assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], 550, "5.1.1", text), EHLO_OK);
    assert_int_equal(strlen(replies(session)), 512); /* P-RPLY-09 */
    session_free(session);
  }
}

/* P-RPLY-07: there is a space behind the code, and then something, whatever was asked and nobody said anything. */
static void no_bare_codes(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  config.offer[EHLO_EXT_ENHANCEDSTATUSCODES] = 0;
  config.max_errors = 0;
  struct session *session = session_new(&config);
  const char *script[] = {"HELO a.example\r\n",
                          "EHLO a.example\r\n",
                          "MAIL FROM:<a@b>\r\n",
                          "RCPT TO:<c@d>\r\n",
                          "DATA\r\n",
                          ".\r\n",
                          "RSET\r\n",
                          "NOOP\r\n",
                          "VRFY x\r\n",
                          "EXPN x\r\n",
                          "HELP\r\n",
                          "FLY\r\n",
                          "QUIT\r\n"};
  assert_true(begins(start(session), "220 "));
  for (size_t i = 0; i < sizeof script / sizeof *script; i++) {
    const char *line = say(session, script[i]);
    while (*line != '\0') {
      const char *line_end = strstr(line, "\r\n");
      assert_non_null(line_end);
      assert_true(line_end - line > 4);
      assert_true(line[3] == ' ' || line[3] == '-'); /* P-RPLY-01, P-RPLY-07 */
      line = line_end + 2;
    }
  }
  session_free(session);
}

/* ---- enhanced codes
 * -------------------------------------------------------------------------------------------------- */

static void enhanced_codes_everywhere(void **state)
{
  (void)state;
  for (int helo = 0; helo < 2; helo++) {
    ehlo_server_config config = config_new();
    config.max_errors = 0;
    struct session *session = session_new(&config);
    assert_true(begins(start(session), "220 mail.example.org")); /* S-ESC-02: not in the greeting */
    const char *hello = say(session, helo ? "HELO a.example\r\n" : "EHLO a.example\r\n");
    assert_true(begins(hello + 4, "mail.example.org")); /* S-ESC-02: nor in its answer */
    static const char lines[] = "NOOP\0RSET\0VRFY x\0EXPN x\0HELP\0FLY\0\x01\0DATA\0RCPT TO:<a@b>\0MAIL FROM:\0"
                                "MAIL FROM:<a@b> X=Y\0MAIL FROM:<a@b>\0MAIL FROM:<a@b>\0DATA\0RCPT TO:<a\0"
                                "RCPT TO:<a@b>\0QUIT x\0RCPT TO:<>\0NO\rOP\0QUIT\0";
    for (const char *command = lines; *command != '\0'; command += strlen(command) + 1) {
      char line[64];
      snprintf(line, sizeof line, "%s\r\n", command);
      const char *got = say(session, line);
      for (const char *at = got; *at != '\0'; at = strstr(at, "\r\n") + 2) {
        ehlo_enhanced enhanced;
        size_t used;
        ehlo_span text = {at + 4, strcspn(at + 4, "\r")};
        /* S-ESC-02, S-ESC-06: with HELO too; S-ESC-05: on every line */
        assert_int_equal(ehlo_parse_enhanced(text, &enhanced, &used), EHLO_OK);
        assert_int_equal(enhanced.status_class, at[0] - '0'); /* S-ESC-04 */
        assert_true(at[4 + used - 1] == ' ');                 /* S-ESC-07 */
      }
    }
    session_free(session);
  }
  struct session *session = session_default();
  assert_true(begins(say(session, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"), "250 2."));
  assert_true(begins(say(session, "DATA\r\n"), "354 Start")); /* S-ESC-03 */
  session_free(session);

  session = session_default();
  answers_with(session, EHLO_EVENT_MAIL, DEFER, NULL, NULL);
  assert_codes(session, "MAIL FROM:<a@b>\r\n", "");
  static const char *const bad[] = {"4.1.1",   "2.0.0",    "5",      "5.1",    "5.1.",
                                    "5.1.1.1", "5.1000.0", "5.01.1", "5. 1.1", "x"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], 550, bad[i], ehlo_span_of("x")),
                     EHLO_ERR_CODE); /* S-ESC-04, P-ESC-01 */
  }
  session_free(session);
}

/* ---- command lines
 * --------------------------------------------------------------------------------------------------- */

static void white_space_around_arguments(void **state)
{
  (void)state;
  struct session *session = session_default();
  /* P-CMD-04 */
  assert_codes(session, "NOOP \r\nRSET\t \r\nMAIL FROM:<a@b>  \r\nRCPT TO:<c@d>\t\r\nDATA   \r\n.\r\n",
               "250 250 250 250 354 250");
  assert_codes(session, "MAIL  FROM:<a@b>\r\n", "501"); /* P-CMD-05: strict */
  session_free(session);

  ehlo_server_config config = config_new();
  config.allow_extra_spaces = 1;
  session = session_open(&config, "EHLO  a.example\r\n");
  assert_codes(session, "MAIL   FROM:<a@b>\r\n", "250"); /* P-CMD-05: as a leniency with a name */
  assert_int_equal(session->violation, EHLO_VIOLATION_EXTRA_SPACES);
  session_free(session);
}

static void required_commands_are_recognised(void **state)
{
  (void)state;
  static const char *const required[] = {"EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY"};
  static const char *const given[] = {"", "EHLO a.example\r\n", "EHLO a.example\r\nMAIL FROM:<a@b>\r\n",
                                      "EHLO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"};
  static const char *const arguments[] = {"", " x", " FROM:<a@b>", " TO:<", " \x22"};
  for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
    for (size_t j = 0; j < sizeof given / sizeof *given; j++) {
      for (size_t k = 0; k < sizeof arguments / sizeof *arguments; k++) {
        ehlo_server_config config = config_new();
        struct session *session = session_new(&config);
        start(session);
        say(session, given[j]);
        char line[64];
        snprintf(line, sizeof line, "%s%s\r\n", required[i], arguments[k]);
        const char *got = say(session, line);
        assert_true(got[0] != '\0' && !begins(got, "500") && !begins(got, "502")); /* P-CMD-08, S-HELO-02, S-VRFY-01 */
        session_free(session);
      }
    }
  }
}

static void characters_that_no_command_may_hold(void **state)
{
  (void)state;
  for (int octet = 1; octet < 128; octet++) {
    if ((octet >= 32 && octet < 127) || octet == '\r' || octet == '\n' || octet == '\t') {
      continue;
    }
    struct session *session = session_default();
    char line[64];
    snprintf(line, sizeof line, "MAIL FROM:<a%c@b>\r\n", octet);
    assert_codes(session, line, "501"); /* P-CMD-11, P-ADDR-19 */
    snprintf(line, sizeof line, "NOOP %c\r\n", octet);
    assert_codes(session, line, "501"); /* P-CMD-11 */
    session_free(session);
  }
  struct session *session = session_default();
  assert_codes(session, "XFOO bar\r\n", "500"); /* P-CMD-16 */
  session_free(session);
}

/* ---- limits
 * ---------------------------------------------------------------------------------------------------------- */

static void sizes_that_must_be_taken(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  memset(config.offer, 0, sizeof config.offer);
  config.max_command_line = EHLO_MIN_COMMAND_LINE;
  struct session *session = session_open(&config, "EHLO a.example\r\n");
  char line[1200];
  char local_part[65];
  memset(local_part, 'l', 64);
  local_part[64] = '\0';
  char domain[256];
  for (int i = 0; i < 255; i++) {
    domain[i] = i % 64 == 63 ? '.' : 'd';
  }
  domain[255] = '\0';
  snprintf(line, sizeof line, "MAIL FROM:<%s@b.example>\r\n", local_part);
  assert_codes(session, line, "250"); /* P-LIM-01 */
  snprintf(line, sizeof line, "RCPT TO:<x@%s>\r\n", domain);
  assert_codes(session, line, "250"); /* P-LIM-02, P-LIM-06: a path of 259 octets */
  snprintf(line, sizeof line, "RCPT TO:<%s@%.189s>\r\n", local_part, domain + 66);
  assert_codes(session, line, "250"); /* P-LIM-03 */
  assert_int_equal(strlen(session->path), 256);

  /* P-CMD-13: 512 octets, all counted; P-CMD-14: not one more, and the next line is read as ever. */
  memset(line, 'x', sizeof line);
  memcpy(line, "NOOP ", 5);
  strcpy(line + 510, "\r\n");
  assert_codes(session, line, "250");
  memset(line, 'x', sizeof line);
  memcpy(line, "NOOP ", 5);
  strcpy(line + 511, "\r\nRSET\r\n");
  assert_codes(session, line, "500 250"); /* P-LIM-07 */
  session_free(session);

  /* P-CMD-15: the extensions on offer make MAIL longer, whatever the config says. */
  config = config_new();
  config.max_command_line = EHLO_MIN_COMMAND_LINE;
  session = session_open(&config, "EHLO a.example\r\n");
  static const char parameters[] = " SIZE=12345678901234567890 BODY=8BITMIME SMTPUTF8"; /* 26 + 14 + 9 */
  memset(line, 'l', sizeof line);
  memcpy(line, "MAIL FROM:<", 11);
  int length = 512 - 2 - (int)strlen("@b.example>");
  sprintf(line + length, "@b.example>%s\r\n", parameters);
  config.max_message_size = 0;
  assert_codes(session, line, "250"); /* P-CMD-15, P-SIZE-02, P-UTF8-03 */
  session_free(session);
}

static void content_that_must_be_taken(void **state)
{
  (void)state;
  struct session *session = session_default();
  assert_codes(session, "MAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 250 354");
  static char message[70000];
  size_t length = 0;
  /* P-LIM-04, S-8BIT-03: lines of 1000 octets, their CRLF included and the stuffed dot not. */
  while (length < 66000) {
    message[length] = '.';
    memset(message + length + 1, 'x', 998);
    message[length + 998] = '\r';
    message[length + 999] = '\n';
    length += 1000;
  }
  /* S-DATA-16, S-8BIT-02: every octet there is, but CR and LF only as the end of the line. */
  for (int octet = 0; octet < 256; octet++) {
    if (octet != '\r' && octet != '\n') {
      message[length++] = (char)octet;
    }
  }
  memcpy(message + length, "\r\n", 2);
  length += 2;
  assert_true(length >= 65536); /* P-LIM-05 */
  for (size_t at = 0; at < length;) {
    size_t line = (size_t)((const char *)memchr(message + at, '\n', length - at) - (message + at)) + 1;
    if (message[at] == '.') {
      say(session, ".");
    }
    assert_string_equal(say_octets(session, message + at, line), "");
    at += line;
  }
  assert_codes(session, ".\r\n", "250");
  assert_int_equal(session->content_length, length); /* S-DATA-05, S-DATA-07 */
  assert_memory_equal(session->content, message, length);
  session_free(session);
}

static void recipients_by_the_hundred(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  config.max_recipients = 100;
  config.max_errors = 0;
  struct session *session = session_open(&config, "EHLO a.example\r\n");
  assert_codes(session, "MAIL FROM:<a@b>\r\n", "250");
  for (int i = 0; i < 100; i++) {
    assert_codes(session, "RCPT TO:<c@d>\r\n", "250"); /* S-RCPT-10, S-RCPT-01 */
  }
  assert_codes(session, "RCPT TO:<e@f>\r\n", "452");              /* S-RCPT-11, P-LIM-07 */
  assert_int_equal(ehlo_server_recipients(session->server), 100); /* S-RCPT-13 */
  assert_codes(session, "DATA\r\n.\r\n", "354 250");
  session_free(session);

  /* S-RCPT-12: where the site wants fewer, its host says so, with the code it likes. */
  session = session_default();
  assert_codes(session, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");
  answers_with(session, EHLO_EVENT_RCPT, 550, "5.5.3", "too many for us");
  answers_with(session, EHLO_EVENT_DATA, 503, NULL, NULL);
  assert_codes(session, "RCPT TO:<c@d>\r\nDATA\r\n", "550 503");
  assert_int_equal(ehlo_server_recipients(session->server), 1); /* S-RCPT-14 */
  session_free(session);
}

/* ---- SIZE
 * ------------------------------------------------------------------------------------------------------------ */

static void size_is_what_it_says(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  config.max_message_size = 10;
  struct session *session = session_new(&config);
  start(session);
  assert_non_null(strstr(say(session, "EHLO a.example\r\n"), "SIZE 10\r\n")); /* P-SIZE-01, P-LIM-08 */
  assert_codes(session, "MAIL FROM:<a@b> SIZE=11\r\n", "552");                /* S-SIZE-04 */
  assert_codes(session, "MAIL FROM:<a@b> SIZE=10\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 250 354");
  assert_codes(session, "..345678\r\n.\r\n", "250"); /* P-SIZE-03, S-DATA-08: ten octets, without the dots, with CRLF */
  assert_codes(session, "MAIL FROM:<a@b> SIZE=5\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 250 354");
  assert_codes(session, "12345678\r\n.\r\n",
               "250"); /* S-SIZE-06, S-SIZE-07: more than was declared, and all of it read */
  assert_codes(session, "MAIL FROM:<a@b> SIZE=1\r\nRCPT TO:<c@d>\r\nDATA\r\n", "250 250 354");
  assert_codes(session, "123456789\r\n", ""); /* S-DATA-24: not before the end */
  assert_codes(session, ".\r\nNOOP\r\n", "552 250");
  assert_codes(session, "MAIL FROM:<a@b> SIZE=1 SIZE=1\r\n", "501");              /* P-SIZE-02 */
  assert_codes(session, "MAIL FROM:<a@b> SIZE=123456789012345678901\r\n", "501"); /* P-SIZE-02 */
  answers_with(session, EHLO_EVENT_MAIL, 452, "4.3.1", NULL);
  assert_codes(session, "MAIL FROM:<a@b> SIZE=9\r\n", "452"); /* S-SIZE-05 */
  session_free(session);

  session = session_default();
  assert_codes(session, "MAIL FROM:<a@b> SIZE=12345678901234567890\r\n", "250"); /* P-SIZE-01: no maximum */
  session_free(session);
}

/* ---- pipelining
 * ------------------------------------------------------------------------------------------------------ */

static const char *feed_only(struct session *session, const char *octets)
{
  size_t consumed;
  assert_int_equal(ehlo_server_feed(session->server, octets, strlen(octets), &consumed), EHLO_OK);
  return waiting(session);
}

static void replies_leave_in_time(void **state)
{
  (void)state;
  /* S-PIPE-13, S-PIPE-14: when feed returns, all that was answered is there to be sent. */
  struct session *session = session_default();
  assert_string_equal(codes_of(feed_only(session, "RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT T")),
                      "250 250 250");
  /* S-PIPE-12: and they leave as one unit; S-PIPE-11: in order */
  assert_string_equal(codes_of(feed_only(session, "O:<e@f>\r\nNOOP\r\nVRFY x\r\nFLY\r\nDATA\r\n")),
                      "250 250 250 250 250 252 500 354");
  session_free(session);

  /* S-PIPE-18, P-CMD-02: nothing depends on what has not come. */
  session = session_default();
  static const char script[] = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
  for (const char *at = script; *at != '\0'; at++) {
    char octet[2] = {*at, '\0'};
    const char *got = say(session, octet);
    assert_int_equal(*got != '\0', *at == '\n');
  }
  session_free(session);
}

static void a_failure_loses_no_input(void **state)
{
  (void)state;
  struct session *session = session_default();
  session->answers[EHLO_EVENT_RCPT].code = 550;
  /* S-PIPE-17, S-PIPE-15: DATA succeeds only if a recipient did */
  assert_codes(session, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nRSET\r\nMAIL FROM:<e@f>\r\nNOOP\r\n",
               "250 550 554 250 250 250");
  session->answers[EHLO_EVENT_RCPT].code = ACCEPT;
  assert_codes(session, "RCPT TO:<c@d>\r\nDATA\r\n", "250 354"); /* S-PIPE-15 */
  session_free(session);
}

/* ---- VRFY, EXPN, and UTF-8 in replies
 * -------------------------------------------------------------------------------- */

static void verifying(void **state)
{
  (void)state;
  struct session *session = session_default();
  /* S-VRFY-02, S-VRFY-03, S-VRFY-04: nobody verified it */
  assert_codes(session, "VRFY postmaster\r\nVRFY <a@b.example>\r\nVRFY a@b.example\r\n",
               "252 252 252"); /* S-VRFY-01, S-VRFY-09 */
  answers_with(session, EHLO_EVENT_VRFY, 250, NULL, "Joe Smith <joe@example.org>");
  assert_string_equal(say(session, "VRFY joe\r\n"), "250 2.0.0 Joe Smith <joe@example.org>\r\n"); /* S-VRFY-05 */
  session_free(session);

  ehlo_server_config config = config_new();
  config.expn_252 = 1;
  session = session_open(&config, "EHLO a.example\r\n");
  assert_codes(session, "EXPN staff\r\n", "252"); /* S-VRFY-03 */
  session_free(session);

  config.offer[EHLO_EXT_EXPN] = 1;
  session = session_open(&config, "EHLO a.example\r\n");
  assert_codes(session, "EXPN staff\r\n", "252"); /* S-VRFY-02 */
  answers_with(session, EHLO_EVENT_EXPN, 250, NULL, "a@b.example\nC D <c@d.example>");
  assert_string_equal(say(session, "EXPN staff\r\n"),
                      "250-2.0.0 a@b.example\r\n250 2.0.0 C D <c@d.example>\r\n"); /* S-EXPN-02 */
  session_free(session);
}

static void utf8_in_replies(void **state)
{
  (void)state;
  static const struct {
    uint32_t event;
    const char *given;
    const char *command;
    int allowed;
  } rows[] = {
      {EHLO_EVENT_RCPT, "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", 0},
      {EHLO_EVENT_RCPT, "MAIL FROM:<a@b> SMTPUTF8\r\n", "RCPT TO:<c@d>\r\n", 1},
      {EHLO_EVENT_VRFY, "", "VRFY x\r\n", 0},
      {EHLO_EVENT_VRFY, "", "VRFY x SMTPUTF8\r\n", 1},
      {EHLO_EVENT_EXPN, "", "EXPN x\r\n", 0},
      {EHLO_EVENT_EXPN, "", "EXPN x SMTPUTF8\r\n", 1},
      {EHLO_EVENT_MAIL, "", "MAIL FROM:<a@b> SMTPUTF8\r\n", 0},
      {EHLO_EVENT_DATA, "MAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<c@d>\r\n", "DATA\r\n", 0},
      {EHLO_EVENT_HELP, "", "HELP\r\n", 0},
  };
  static const char text[] = "<j\xC3\xBCrgen@d.example>";
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ehlo_server_config config = config_new();
    config.offer[EHLO_EXT_EXPN] = 1;
    struct session *session = session_open(&config, "EHLO a.example\r\n");
    say(session, rows[i].given);
    answers_with(session, rows[i].event, 551, NULL, text);
    const char *got = say(session, rows[i].command);
    /* S-UTF8-09; S-UTF8-10, S-UTF8-11: without the parameter the host cannot say it, and is told so. */
    assert_int_equal(session->result, rows[i].allowed ? EHLO_OK : EHLO_ERR_TEXT);
    assert_true((strstr(got, text) != NULL) == rows[i].allowed);
    session_free(session);
  }
}

static void utf8_lets_nothing_else_in(void **state)
{
  (void)state;
  static const char *const bad[] = {"\rj\xC3\xBC", "\nj\xC3\xBC", "\x7F\xC3\xBC", "\xC3\xBC\x01",
                                    "\xC3\xBC\r",  "\xC3",        "\xBC\xC3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct session *session = session_default();
    answers_with(session, EHLO_EVENT_VRFY, DEFER, NULL, NULL);
    assert_codes(session, "VRFY x SMTPUTF8\r\n", "");
    ehlo_span text = ehlo_span_of(bad[i]);
    assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], 251, NULL, text), EHLO_ERR_TEXT);
    assert_int_equal(ehlo_server_reply_more(session->server, session->deferred[0], 251, NULL, text), EHLO_ERR_TEXT);
    text = (ehlo_span){"\0\xC3\xBC", 3};
    assert_int_equal(ehlo_server_reply(session->server, session->deferred[0], 251, NULL, text), EHLO_ERR_TEXT);
    assert_string_equal(replies(session), ""); /* S-UTF8-09, P-RPLY-08 */
    session_free(session);
  }
}

static void utf8_in_addresses(void **state)
{
  (void)state;
  struct session *session = session_default();
  assert_codes(session, "MAIL FROM:<j\xC3\xBC@b>\r\n", "550");                          /* S-UTF8-07, P-ADDR-19 */
  assert_codes(session, "MAIL FROM:<j\xC3\xBC@m\xC3\xBC.example> SMTPUTF8\r\n", "250"); /* S-UTF8-05, P-UTF8-04 */
  assert_codes(session, "RCPT TO:<\xE5\xBE\x90@b>\r\n", "250");                         /* S-UTF8-05 */
  assert_codes(session, "RCPT TO:<j\xC3@b>\r\nRCPT TO:<\xED\xA0\x80@b>\r\nRCPT TO:<\xC0\xAF@b>\r\n",
               "501 501 501"); /* S-UTF8-06 */
  answers_with(session, EHLO_EVENT_MESSAGE, 554, "5.6.9", NULL);
  assert_true(begins(say(session, "DATA\r\n.\r\n") + strlen("354 Start mail input; end with <CRLF>.<CRLF>\r\n"),
                     "554 5.6.9 "));                                                /* S-UTF8-08 */
  assert_codes(session, "MAIL FROM:<a@b>\r\nRCPT TO:<j\xC3\xBC@b>\r\n", "250 553"); /* S-UTF8-07 */
  assert_codes(session, "RSET\r\nMAIL FROM:<a@b> SMTPUTF8=yes\r\n", "250 501");     /* P-UTF8-03 */
  session_free(session);

  /* S-UTF8-02: not without 8BITMIME. */
  ehlo_server_config config = config_new();
  config.offer[EHLO_EXT_8BITMIME] = 0;
  assert_int_equal(ehlo_server_size(&config), 0);
  config.offer[EHLO_EXT_SMTPUTF8] = 0;
  assert_true(ehlo_server_size(&config) > 0);
}

/* ---- senders, recipients
 * ---------------------------------------------------------------------------------------------- */

static void host_says_no(void **state)
{
  (void)state;
  struct session *session = session_default();
  answers_with(session, EHLO_EVENT_MAIL, 451, NULL, NULL);
  assert_codes(session, "MAIL FROM:<a@b>\r\n", "451"); /* S-MAIL-06: not now */
  answers_with(session, EHLO_EVENT_MAIL, 553, NULL, NULL);
  assert_codes(session, "MAIL FROM:<a@b>\r\n", "553"); /* S-MAIL-06: never */
  answers_with(session, EHLO_EVENT_MAIL, 455, NULL, NULL);
  assert_codes(session, "MAIL FROM:<a@b> SIZE=1\r\n", "455"); /* S-MAIL-09 */
  answers_with(session, EHLO_EVENT_MAIL, SILENT, NULL, NULL);
  answers_with(session, EHLO_EVENT_RCPT, 550, "5.1.8", "no such sender");
  assert_string_equal(codes_of(say(session, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")),
                      "250 550"); /* S-MAIL-07, S-RCPT-08, S-RCPT-16 */
  session_free(session);
}

static void send_and_its_kin(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  config.offer[EHLO_EXT_SEND] = config.offer[EHLO_EXT_SOML] = config.offer[EHLO_EXT_SAML] = 1;
  struct session *session = session_open(&config, "EHLO a.example\r\n");
  answers_with(session, EHLO_EVENT_RCPT, 450, NULL, "User not active now");
  assert_codes(session, "SEND FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\n",
               "250 450 250"); /* S-SEND-03, RFC 821 scenario 5 */
  answers_with(session, EHLO_EVENT_RCPT, 251, NULL, "User not active now, so will do mail");
  assert_codes(session, "SEND FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\n", "250 251 250"); /* S-SEND-05 */
  answers_with(session, EHLO_EVENT_RCPT, 250, NULL, "User not active now, so will do mail");
  assert_codes(session, "SOML FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "250 250");                          /* S-SEND-04 */
  assert_codes(session, "SEND FROM:<a@b>\r\nSOML FROM:<a@b>\r\nSAML FROM:<a@b>\r\n", "503 503 503"); /* S-SEND-07 */
  assert_codes(session, "DATA\r\nx\r\n.\r\n", "354 250");                                            /* S-SEND-01 */
  /* B-SEND-12: anywhere in a group, with the replies of the group. */
  assert_string_equal(
      codes_of(feed_only(session, "RSET\r\nSAML FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\nSEND FROM:<a@b>\r\n")),
      "250 250 250 250 250");
  session_free(session);
}

static void turning(void **state)
{
  (void)state;
  struct session *session = session_default();
  assert_codes(session, "TURN\r\n", "502"); /* S-TURN-04: off, unless the host has its reasons */
  session_free(session);

  ehlo_server_config config = config_new();
  config.offer[EHLO_EXT_TURN] = 1;
  session = session_open(&config, "EHLO a.example\r\n");
  assert_codes(session, "TURN\r\nTURN now\r\n", "502 501");                    /* S-TURN-01: the host did not agree */
  assert_codes(session, "MAIL FROM:<a@b>\r\nTURN\r\nRSET\r\n", "250 503 250"); /* S-TURN-03 */
  answers_with(session, EHLO_EVENT_TURN, ACCEPT, NULL, NULL);
  static const char group[] = "NOOP\r\nTURN\r\n220 client.example\r\n";
  size_t consumed;
  assert_int_equal(ehlo_server_feed(session->server, group, strlen(group), &consumed), EHLO_OK);
  assert_int_equal(consumed,
                   strlen("NOOP\r\nTURN\r\n")); /* S-TURN-05: it ends its group, the rest is the new client's */
  assert_string_equal(codes_of(waiting(session)), "250 250");             /* S-TURN-01 */
  assert_true((ehlo_server_want(session->server) & EHLO_WANT_TURN) != 0); /* S-TURN-02 */
  session_free(session);
}

/* ---- LMTP
 * ------------------------------------------------------------------------------------------------------------ */

static void lmtp_needs(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  config.protocol = EHLO_PROTOCOL_LMTP;
  assert_true(ehlo_server_size(&config) > 0);
  config.offer[EHLO_EXT_PIPELINING] = 0;
  assert_int_equal(ehlo_server_size(&config), 0); /* S-LMTP-08 */
  config.offer[EHLO_EXT_PIPELINING] = 1;
  config.offer[EHLO_EXT_ENHANCEDSTATUSCODES] = 0;
  assert_int_equal(ehlo_server_size(&config), 0); /* S-LMTP-08 */
  config.offer[EHLO_EXT_ENHANCEDSTATUSCODES] = 1;
  struct session *session = session_new(&config);
  start(session);
  const char *hello = say(session, "LHLO a.example\r\n");
  assert_non_null(strstr(hello, "PIPELINING\r\n"));
  assert_non_null(strstr(hello, "ENHANCEDSTATUSCODES\r\n")); /* S-LMTP-08 */
  assert_non_null(strstr(hello, "8BITMIME\r\n"));            /* S-LMTP-09, S-8BIT-04 */
  session_free(session);
}

static void lmtp_results_leave_when_known(void **state)
{
  (void)state;
  ehlo_server_config config = config_new();
  config.protocol = EHLO_PROTOCOL_LMTP;
  config.max_pending = 3;
  struct session *session = session_open(&config, "LHLO a.example\r\n");
  assert_codes(session, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n",
               "250 250 250 250 354");
  answers_with(session, EHLO_EVENT_RESULT, DEFER, NULL, NULL);
  assert_codes(session, "x\r\n.\r\n", "");
  assert_int_equal(session->deferred_count, 3);
  /* S-LMTP-05: several lines are one recipient's reply; S-LMTP-11: it is ready at once. */
  struct answer several = {250, "2.1.5", "stored\nin two places"};
  assert_int_equal(answer(session, session->deferred[0], &several), EHLO_OK);
  assert_string_equal(replies(session), "250-2.1.5 stored\r\n250 2.1.5 in two places\r\n");
  struct answer later = {450, NULL, NULL};
  assert_int_equal(answer(session, session->deferred[2], &later), EHLO_OK);
  assert_string_equal(replies(session), ""); /* S-LMTP-04: in the order of RCPT */
  assert_int_equal(ehlo_server_accept(session->server, session->deferred[1]), EHLO_OK);
  assert_string_equal(codes_of(replies(session)), "250 450"); /* S-LMTP-04: duplicates too */
  assert_int_equal(session->ends[0], EHLO_END_MIXED);
  session_free(session);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(greeting_of_several_lines),
      cmocka_unit_test(greeting_521),
      cmocka_unit_test(unsolicited_421),
      cmocka_unit_test(close_is_never_the_servers_idea),
      cmocka_unit_test(lost_connection),
      cmocka_unit_test(keywords_are_registered),
      cmocka_unit_test(keywords_keep_their_word),
      cmocka_unit_test(hello_without_extensions),
      cmocka_unit_test(hello_refused),
      cmocka_unit_test(domain_of_the_host),
      cmocka_unit_test(replies_that_a_host_can_give),
      cmocka_unit_test(default_replies),
      cmocka_unit_test(codes_that_no_reply_may_have),
      cmocka_unit_test(lines_of_one_reply),
      cmocka_unit_test(text_of_replies),
      cmocka_unit_test(no_bare_codes),
      cmocka_unit_test(enhanced_codes_everywhere),
      cmocka_unit_test(white_space_around_arguments),
      cmocka_unit_test(required_commands_are_recognised),
      cmocka_unit_test(characters_that_no_command_may_hold),
      cmocka_unit_test(sizes_that_must_be_taken),
      cmocka_unit_test(content_that_must_be_taken),
      cmocka_unit_test(recipients_by_the_hundred),
      cmocka_unit_test(size_is_what_it_says),
      cmocka_unit_test(replies_leave_in_time),
      cmocka_unit_test(a_failure_loses_no_input),
      cmocka_unit_test(verifying),
      cmocka_unit_test(utf8_in_replies),
      cmocka_unit_test(utf8_lets_nothing_else_in),
      cmocka_unit_test(utf8_in_addresses),
      cmocka_unit_test(host_says_no),
      cmocka_unit_test(send_and_its_kin),
      cmocka_unit_test(turning),
      cmocka_unit_test(lmtp_needs),
      cmocka_unit_test(lmtp_results_leave_when_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
