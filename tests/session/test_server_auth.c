/* test_server_auth.c: AUTH, BURL, XCLIENT and CHECKPOINT at the server, by what transcripts cannot show: what the calls
 * return, tickets, sizes, and sessions that are moved in the middle of an exchange.
 */
#define _GNU_SOURCE /* memmem */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EHLO_LINE  "EHLO client.example\r\n"
#define ALICE      "AGFsaWNlAHNlY3JldA==" /* NUL alice NUL secret */
#define CHALLENGED "334 YWJj\r\n"

static ehlo_server_config auth_config(uint32_t mechanisms)
{
  ehlo_server_config config = host_config();
  config.offer[EHLO_EXT_AUTH] = 1;
  config.mechanisms = mechanisms;
  config.other_mechanisms = ehlo_span_of("X-OWN");
  config.allow_plaintext_auth = 1;
  config.max_errors = 0;
  return config;
}

enum {
  ALL_MECHANISMS = (1 << EHLO_SASL_COUNT) - 2,
};

static int challenge(const struct host *host, uint32_t ticket, const char *octets)
{
  return ehlo_server_challenge(host->server, ticket, ehlo_span_of(octets));
}

static int reply(const struct host *host, uint32_t ticket, int code)
{
  return ehlo_server_reply(host->server, ticket, code, NULL, ehlo_span_of(""));
}

static void expect_identity(const struct host *host, const char *name)
{
  assert_true(ehlo_span_equal(ehlo_server_identity(host->server), ehlo_span_of(name)));
}

/* ---- what calls return ---------------------------------------------------------------------- */

static void nobody_is_nobody(void **state)
{
  (void)state;
  ehlo_span none = {NULL, 1};
  struct host host;
  assert_int_equal(ehlo_server_authenticated(NULL), 0);
  assert_int_equal(ehlo_server_mechanism(NULL), EHLO_SASL_OTHER);
  assert_int_equal(ehlo_server_identity(NULL).len, 0);
  assert_int_equal(ehlo_server_authorize(NULL, ehlo_span_of("")), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_challenge(NULL, 1, ehlo_span_of("")), EHLO_ERR_ARGUMENT);
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  host_open(&host, &config);
  assert_int_equal(ehlo_server_authorize(host.server, none), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_challenge(host.server, 1, none), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_challenge(host.server, 1, ehlo_span_of("")), EHLO_ERR_TICKET);
  assert_int_equal(ehlo_server_authenticated(host.server), 0);
  assert_int_equal(ehlo_server_mechanism(host.server), EHLO_SASL_OTHER);
  assert_int_equal(ehlo_server_identity(host.server).len, 0);
  host_close(&host);
}

static void a_name_has_255_octets(void **state)
{
  (void)state;
  char name[256];
  struct host host;
  memset(name, 'n', sizeof name);
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  host_open(&host, &config);
  assert_int_equal(ehlo_server_authorize(host.server, (ehlo_span){name, 256}), EHLO_ERR_TOO_LONG);
  assert_int_equal(ehlo_server_identity(host.server).len, 0);
  assert_int_equal(ehlo_server_authorize(host.server, (ehlo_span){name, 255}), EHLO_OK); /* before start too */
  assert_int_equal(ehlo_server_identity(host.server).len, 255);
  assert_int_equal(ehlo_server_authorize(host.server, ehlo_server_identity(host.server)), EHLO_OK);
  assert_int_equal(ehlo_server_authorize(host.server, (ehlo_span){NULL, 0}), EHLO_OK);
  expect_identity(&host, "");
  host_close(&host);
  host_open(&host, NULL); /* no AUTH: no room for a name */
  assert_int_equal(ehlo_server_authorize(host.server, ehlo_span_of("a")), EHLO_ERR_TOO_LONG);
  assert_int_equal(ehlo_server_authorize(host.server, ehlo_span_of("")), EHLO_OK);
  host_close(&host);
}

/* A challenge is for STEP, and for AUTH of the two of OAuth, while nothing else is said. */
static void a_challenge_has_its_place(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  host_begin(&host, &config, "");
  host.defer = EVENT_BIT(EHLO_EVENT_HELLO) | EVENT_BIT(EHLO_EVENT_MAIL) | EVENT_BIT(EHLO_EVENT_AUTH) |
               EVENT_BIT(EHLO_EVENT_STEP);
  host_say(&host, EHLO_LINE);
  assert_int_equal(challenge(&host, host.ticket[EHLO_EVENT_HELLO], "abc"), EHLO_ERR_CODE);
  assert_int_equal(reply(&host, host.ticket[EHLO_EVENT_HELLO], 250), EHLO_OK);
  host_drain(&host);
  host.output_size = 0;
  host_feed(&host, NULL, 0);
  static const char *const complete[] = {("PLAIN " ALICE), "LOGIN YWJj", "OAUTHBEARER biwsAWF1dGg9QmVhcmVyIGFiYwEB"};
  for (size_t i = 0; i < 3; i++) {
    char line[100];
    snprintf(line, sizeof line, "AUTH %s\r\n", complete[i]);
    host_say(&host, line);
    if (i == 1) {
      host_expect(&host, "334 UGFzc3dvcmQ6\r\n");
      host_say(&host, "YWJj\r\n");
    }
    uint32_t ticket = host.ticket[EHLO_EVENT_AUTH];
    assert_int_equal(challenge(&host, ticket + 1, "abc"), EHLO_ERR_TICKET);
    assert_int_equal(challenge(&host, ticket - 1, "abc"), EHLO_ERR_TICKET);
    if (i < 2) {
      assert_int_equal(challenge(&host, ticket, "abc"), EHLO_ERR_CODE);
      assert_int_equal(reply(&host, ticket, 535), EHLO_OK);
      assert_int_equal(challenge(&host, ticket, "abc"), EHLO_ERR_TICKET);
      host_expect(&host, "535 5.7.8 Authentication credentials invalid\r\n");
    } else {
      assert_int_equal(challenge(&host, ticket, "abc"), EHLO_OK);
      host_expect(&host, CHALLENGED);
      host_say(&host, "*\r\n");
      host_expect(&host, "501 5.7.0 Authentication cancelled\r\n");
    }
  }
  host_say(&host, "AUTH X-OWN\r\n");
  uint32_t first = host.ticket[EHLO_EVENT_STEP];
  assert_int_equal(ehlo_server_reply_more(host.server, first, 334, NULL, ehlo_span_of("")), EHLO_ERR_CODE);
  assert_int_equal(reply(&host, first, 334), EHLO_ERR_CODE);
  assert_int_equal(challenge(&host, first, "abc"), EHLO_OK);
  assert_int_equal(challenge(&host, first, "abc"), EHLO_ERR_TICKET); /* answered */
  assert_int_equal(reply(&host, first, 235), EHLO_ERR_TICKET);
  assert_int_equal(ehlo_server_accept(host.server, first), EHLO_ERR_TICKET);
  assert_int_equal(ehlo_server_defer(host.server, first, 1), EHLO_ERR_TICKET);
  host_expect(&host, CHALLENGED);
  assert_int_equal(challenge(&host, first, "abc"), EHLO_ERR_TICKET);
  host_say(&host, "YWJj\r\n");
  uint32_t second = host.ticket[EHLO_EVENT_STEP];
  assert_int_not_equal(second, first);
  assert_int_equal(challenge(&host, first, "abc"), EHLO_ERR_TICKET); /* stale */
  assert_int_equal(ehlo_server_defer(host.server, second, 1), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_reply_more(host.server, second, 535, NULL, ehlo_span_of("Well")), EHLO_OK);
  assert_int_equal(challenge(&host, second, "abc"), EHLO_ERR_CODE); /* something else is being said */
  assert_int_equal(reply(&host, second, 535), EHLO_OK);
  host_expect(&host, "535-5.7.8 Well\r\n535 5.7.8 Authentication credentials invalid\r\n");
  host_say(&host, "MAIL FROM:<a@b.example>\r\n");
  assert_int_equal(challenge(&host, host.ticket[EHLO_EVENT_MAIL], "abc"), EHLO_ERR_CODE);
  host_close(&host);
}

/* ---- in the handler ------------------------------------------------------------------------- */

static void challenge_in_handler(struct host *host, const ehlo_event *event)
{
  static _Alignas(max_align_t) char other[1 << 16];
  size_t consumed;
  if (event->type != EHLO_EVENT_STEP) {
    return;
  }
  ehlo_server *moved = host->server;
  size_t before;
  size_t after;
  (void)ehlo_server_output(host->server, &before);
  assert_int_equal(ehlo_server_feed(host->server, "*\r\n", 3, &consumed), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_server_move(&moved, other, sizeof other, host->server), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_server_kept(host->server), host->size);
  assert_int_equal(challenge(host, event->ticket, "abc"), EHLO_OK);
  assert_int_equal(challenge(host, event->ticket, "abc"), EHLO_ERR_TICKET);
  (void)ehlo_server_output(host->server, &after);
  assert_int_equal(before, after); /* not before the handler has returned */
  assert_int_equal(ehlo_server_authenticated(host->server), 0);
}

static void a_handler_can_challenge_at_once(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  host_begin(&host, &config, EHLO_LINE);
  host.in_handler = challenge_in_handler;
  host_say(&host, "AUTH SCRAM-SHA-256 biws\r\n");
  host_expect(&host, CHALLENGED);
  host.result = EHLO_FAIL_TRANSACTION; /* what it said is taken back */
  host_say(&host, "YWJj\r\n");
  host_expect(&host, "451 4.3.0 Requested action aborted: local error in processing\r\n");
  assert_int_equal(host.reply.code, 451);
  host.result = EHLO_HANDLED;
  host.fail = EVENT_BIT(EHLO_EVENT_STEP);
  host.failure = -1;
  size_t consumed;
  assert_int_equal(ehlo_server_feed(host.server, "AUTH SCRAM-SHA-1 biws\r\n", 23, &consumed), EHLO_ERR_HOST);
  host_drain(&host);
  host.output[host.output_size] = '\0';
  assert_string_equal(host.output,
                      "421 4.3.2 mail.example.org Service not available, closing transmission channel\r\n");
  host_close(&host);
}

static void name_in_handler(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_STEP || event->type == EHLO_EVENT_AUTH) {
    assert_int_equal(ehlo_server_authorize(host->server, ehlo_span_of("alice@example.com")), EHLO_OK);
    assert_int_equal(reply(host, event->ticket, host->accepted > 0 ? 535 : 235), EHLO_OK);
  }
}

/* What the host says in the exchange stands. */
static void the_host_may_name_whom_it_lets_in(void **state)
{
  (void)state;
  static const char *const lines[] = {"AUTH X-OWN YWJj\r\n", "AUTH PLAIN " ALICE "\r\n"};
  for (size_t i = 0; i < 4; i++) {
    struct host host;
    ehlo_server_config config = auth_config(ALL_MECHANISMS);
    host_begin(&host, &config, EHLO_LINE);
    assert_int_equal(ehlo_server_authorize(host.server, ehlo_span_of("before")), EHLO_OK);
    host.in_handler = name_in_handler;
    host.accepted = i >= 2; /* refuse */
    host_say(&host, lines[i % 2]);
    assert_int_equal(host.reply.code, i >= 2 ? 535 : 235);
    assert_int_equal(ehlo_server_authenticated(host.server), i < 2);
    expect_identity(&host, "alice@example.com");
    host_close(&host);
  }
}

static void accept_in_handler(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_STEP || event->type == EHLO_EVENT_AUTH) {
    assert_int_equal(ehlo_server_accept(host->server, event->ticket), EHLO_OK);
  }
}

/* A name that came before the exchange does not stand for whom that lets in. */
static void an_earlier_name_goes_with_a_login(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  host_begin(&host, &config, EHLO_LINE);
  assert_int_equal(ehlo_server_authorize(host.server, ehlo_span_of("before")), EHLO_OK);
  host.in_handler = accept_in_handler;
  host_say(&host, "AUTH X-OWN YWJj\r\n");
  assert_int_equal(ehlo_server_authenticated(host.server), 1);
  expect_identity(&host, "");
  host_close(&host);
}

/* ---- room ----------------------------------------------------------------------------------- */

static void a_challenge_fits_the_output_and_a_line(void **state)
{
  (void)state;
  static char octets[9300];
  static const uint32_t sizes[] = {512, 515, 12286, 12288, 16384};
  static const size_t most[] = {378, 381, 9210, 9210, 9210};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct host host;
    ehlo_server_config config = auth_config(ALL_MECHANISMS);
    config.output_size = sizes[i];
    host_begin(&host, &config, EHLO_LINE);
    host.defer = EVENT_BIT(EHLO_EVENT_STEP);
    host_say(&host, "AUTH X-OWN\r\n");
    uint32_t ticket = host.ticket[EHLO_EVENT_STEP];
    size_t longest = (sizes[i] < 12288 ? sizes[i] - 6 : 12282) / 4 * 3;
    assert_int_equal(longest, most[i]);
    assert_int_equal(ehlo_server_challenge(host.server, ticket, (ehlo_span){octets, SIZE_MAX}), EHLO_ERR_TOO_LONG);
    assert_int_equal(ehlo_server_challenge(host.server, ticket, (ehlo_span){octets, longest + 1}), EHLO_ERR_TOO_LONG);
    assert_int_equal(ehlo_server_challenge(host.server, ticket, (ehlo_span){octets, longest}), EHLO_OK);
    host_drain(&host);
    assert_int_equal(host.output_size, longest / 3 * 4 + 6);
    assert_memory_equal(host.output, "334 AAAA", 8);
    assert_memory_equal(host.output + host.output_size - 6, "AAAA\r\n", 6);
    host_close(&host);
  }
}

static void a_challenge_waits_for_room(void **state)
{
  (void)state;
  char octets[600] = {0};
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  config.output_size = 600;
  host_begin(&host, &config, EHLO_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_STEP);
  host_say(&host, "NOOP\r\nAUTH X-OWN\r\n");
  size_t waiting;
  assert_non_null(ehlo_server_output(host.server, &waiting));
  host_say(&host, "");
  uint32_t ticket = host.ticket[EHLO_EVENT_STEP];
  assert_int_equal(ehlo_server_challenge(host.server, ticket, (ehlo_span){octets, 300}), EHLO_OK); /* 406 */
  host_drain(&host);
  host.output_size = 0;
  host_say(&host, "NOOPNOOP\r\n");
  ticket = host.ticket[EHLO_EVENT_STEP];
  assert_int_equal(ehlo_server_challenge(host.server, ticket, (ehlo_span){octets, 300}), EHLO_OK);
  ehlo_server_sent(host.server, 10); /* in part: the rest stays where it is */
  host_say(&host, "");
  assert_int_equal(host_want(&host), EHLO_WANT_WRITE | EHLO_WANT_READ);
  size_t consumed;
  assert_int_equal(ehlo_server_feed(host.server, "NOOPNOOP\r\n", 10, &consumed), EHLO_OK);
  assert_int_equal(consumed, 0); /* no room for an answer */
  host_drain(&host);
  host.output_size = 0;
  host_say(&host, "NOOPNOOP\r\n");
  ticket = host.ticket[EHLO_EVENT_STEP];
  assert_int_equal(challenge(&host, ticket, "abc"), EHLO_OK);
  host_say(&host, "");
  host_say(&host, "NOOPNOOP\r\n");
  ticket = host.ticket[EHLO_EVENT_STEP];
  assert_int_equal(ehlo_server_challenge(host.server, ticket, (ehlo_span){octets, 444}), EHLO_ERR_SPACE); /* 598 */
  assert_int_equal(ehlo_server_challenge(host.server, ticket, (ehlo_span){octets, 445}), EHLO_ERR_TOO_LONG);
  host_expect(&host, CHALLENGED);
  assert_int_equal(ehlo_server_challenge(host.server, ticket, (ehlo_span){octets, 441}), EHLO_OK);
  host_close(&host);
}

/* AUTH has its octets only where it is on offer. */
static void what_auth_costs(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  size_t plain = ehlo_server_size(&config);
  config.mechanisms = ALL_MECHANISMS;
  assert_int_equal(ehlo_server_size(&config), plain);
  config.offer[EHLO_EXT_AUTH] = 1;
  size_t with_auth = ehlo_server_size(&config);
  assert_in_range(with_auth - plain, 12288 - 1024, 12288 - 1024 + 2 * EHLO_IDENTITY_SIZE + 20 + 16);
  config.max_command_line = 16384;
  assert_in_range(ehlo_server_size(&config) - with_auth, 16384 - 12288 - 16, 16384 - 12288 + 16);
  config = host_config();
  config.submission = 1;
  config.offer[EHLO_EXT_BURL] = 1;
  assert_int_equal(ehlo_server_size(&config), plain);
  config = host_config();
  config.offer[EHLO_EXT_ETRN] = config.offer[EHLO_EXT_ATRN] = 1;
  assert_int_equal(ehlo_server_size(&config), plain);
}

/* ---- moved ---------------------------------------------------------------------------------- */

/* Moves the session to a bed of no more than it keeps, and back. */
static void sleep_and_wake(struct host *host)
{
  size_t kept = ehlo_server_kept(host->server);
  void *bed = malloc(kept);
  assert_int_equal(ehlo_server_move(&host->server, bed, kept, host->server), EHLO_OK);
  memset(host->memory, 0xEE, host->size);
  assert_int_equal(ehlo_server_move(&host->server, host->memory, host->size, host->server), EHLO_OK);
  free(bed);
}

static void a_login_is_kept_asleep(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  host_begin(&host, &config, EHLO_LINE);
  host.in_handler = accept_in_handler;
  host_say(&host, "AUTH PLAIN " ALICE "\r\n");
  host_drain(&host);
  host.output_size = 0;
  assert_true(ehlo_server_kept(host.server) < 1500);
  sleep_and_wake(&host);
  assert_int_equal(ehlo_server_authenticated(host.server), 1);
  assert_int_equal(ehlo_server_mechanism(host.server), EHLO_SASL_PLAIN);
  expect_identity(&host, "alice");
  host_say(&host, "AUTH PLAIN " ALICE "\r\n");
  host_expect(&host, "503 5.5.1 Already authenticated\r\n");
  expect_identity(&host, "alice");
  host_close(&host);
}

static void an_exchange_does_not_sleep(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  host_begin(&host, &config, EHLO_LINE);
  host_say(&host, "AUTH LOGIN YWxpY2U=\r\n");
  host_expect(&host, "334 UGFzc3dvcmQ6\r\n");
  assert_int_equal(host_want(&host), EHLO_WANT_READ);
  assert_int_equal(ehlo_server_kept(host.server), host.size);
  sleep_and_wake(&host);
  host_say(&host, "c2Vj"); /* moved with half of a response in it */
  sleep_and_wake(&host);
  host.in_handler = accept_in_handler;
  host_say(&host, "cmV0\r\n");
  host_expect(&host, "235 2.7.0 Authentication succeeded\r\n");
  expect_identity(&host, "alice");
  host_close(&host);
}

/* ---- secrets -------------------------------------------------------------------------------- */

static int is_left(const struct host *host, const char *octets)
{
  return memmem(host->memory, host->size, octets, strlen(octets)) != NULL;
}

/* However the session ends, half a response is not left behind. */
static void half_a_secret_is_wiped(void **state)
{
  (void)state;
  static const char *const lines[] = {"AUTH PLAIN AGFsaWNlAHNlY3", "AUTH PLAIN\r\nAGFsaWNlAHNlY3"};
  for (size_t i = 0; i < 8; i++) {
    struct host host;
    ehlo_server_config config = auth_config(ALL_MECHANISMS);
    host_begin(&host, &config, EHLO_LINE);
    host_say(&host, lines[i % 2]);
    assert_true(is_left(&host, "AGFsaWNl"));
    switch (i / 2) {
    case 0: assert_int_equal(ehlo_server_lost(host.server), EHLO_OK); break;
    case 1: assert_int_equal(ehlo_server_eof(host.server), EHLO_OK); break;
    case 2: assert_int_equal(ehlo_server_timed_out(host.server), EHLO_OK); break;
    default: assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, ehlo_span_of("")), EHLO_OK); break;
    }
    assert_false(is_left(&host, "AGFsaWNl"));
    host_close(&host);
  }
}

/* Nor is a response to an AUTH that was refused, or to one that was no base64. */
static void what_was_refused_is_wiped(void **state)
{
  (void)state;
  static const char *const lines[] = {"AUTH NONE c2VjcmV0c2VjcmV0\r\n", "AUTH PLAIN c2VjcmV0c2VjcmV0==\r\n",
                                      "AUTH PLAIN c2VjcmV0c2VjcmV0\r\n", "AUTH PLAIN c2VjcmV0\nc2VjcmV0\r\n",
                                      "AUTH LOGIN\r\nc2VjcmV0\r\nc2VjcmV0\r\n"};
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    struct host host;
    ehlo_server_config config = auth_config(ALL_MECHANISMS);
    host_begin(&host, &config, EHLO_LINE);
    for (const char *at = lines[i]; *at != '\0'; at++) { /* so that it is put together in the block */
      assert_int_equal(host_feed(&host, at, 1), 1);
    }
    assert_false(is_left(&host, "c2VjcmV0"));
    assert_false(is_left(&host, "secret"));
    host_close(&host);
  }
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void other_lines_keep_their_limit(void **state)
{
  (void)state;
  static char line[4000];
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  config.max_command_line = 2048;
  host_begin(&host, &config, EHLO_LINE);
  for (size_t length = 2047; length < 3000; length += 100) {
    for (unsigned fault = 0; fault < 2; fault++) {
      memset(line, 'x', sizeof line);
      memcpy(line + length, "\r\n", 3);
      line[0] = fault ? '-' : 'x';
      if (fault) {
        line[length - 1] = '\n';
      }
      memset(&host.violation, 0, sizeof host.violation);
      host_say(&host, line);
      int bare_first = fault && length - 1 <= 2046;
      host_expect(&host, bare_first ? "500 5.5.2 Bare CR or LF in command line\r\n" : "500 5.5.2 Line too long\r\n");
      assert_int_equal(host.violation.kind, bare_first ? EHLO_VIOLATION_BARE_NEWLINE : EHLO_VIOLATION_LINE_TOO_LONG);
      assert_int_equal(host.violation.octets.len, 2046);
    }
  }
  host_close(&host);
}

/* Of a response where a mechanism should stand no more is told than a name can have. */
static void see_command(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_COMMAND) {
    host->content = event->as.command.line.len;
  }
}

static void a_response_is_no_name(void **state)
{
  (void)state;
  static char line[4000];
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  host_begin(&host, &config, EHLO_LINE);
  host.in_handler = see_command;
  memset(line, 'x', sizeof line);
  memcpy(line, "AUTH ", 5);
  memcpy(line + 3000, "\r\n", 3);
  host_say(&host, line);
  host_expect(&host, "501 5.5.4 Syntax error in parameters or arguments\r\n");
  assert_true(host.content == 25);
  assert_int_equal(host.violation.octets.len, 20);
  host_close(&host);
}

/* ---- codes ---------------------------------------------------------------------------------- */

static void what_xclient_forgets(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = auth_config(ALL_MECHANISMS);
  config.offer[EHLO_EXT_XCLIENT] = 1;
  host_begin(&host, &config, EHLO_LINE);
  host.in_handler = accept_in_handler;
  host_say(&host, "AUTH PLAIN " ALICE "\r\n");
  assert_int_equal(ehlo_server_mechanism(host.server), EHLO_SASL_PLAIN);
  host.defer = EVENT_BIT(EHLO_EVENT_XCLIENT);
  host_say(&host, "XCLIENT NAME=a\r\n");
  assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_XCLIENT]), EHLO_OK);
  assert_int_equal(ehlo_server_mechanism(host.server), EHLO_SASL_PLAIN); /* until the answer has had its turn */
  host_feed(&host, NULL, 0);
  assert_int_equal(ehlo_server_mechanism(host.server), EHLO_SASL_OTHER);
  assert_int_equal(ehlo_server_authenticated(host.server), 0);
  expect_identity(&host, "");
  assert_false(is_left(&host, "alice"));
  host_close(&host);
}

/* What opens a door has one positive code. */
static void positive_codes_are_exact(void **state)
{
  (void)state;
  static const struct {
    const char *line;
    uint32_t event;
    int code;
  } asks[] = {{"AUTH X-OWN\r\n", EHLO_EVENT_STEP, 235},          {"AUTH PLAIN " ALICE "\r\n", EHLO_EVENT_AUTH, 235},
              {"XFORWARD NAME=a\r\n", EHLO_EVENT_XFORWARD, 250}, {"ATRN\r\n", EHLO_EVENT_ATRN, 250},
              {"STARTTLS\r\n", EHLO_EVENT_STARTTLS, 220},        {"XCLIENT NAME=a\r\n", EHLO_EVENT_XCLIENT, 220}};
  for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
    struct host host;
    ehlo_server_config config = auth_config(ALL_MECHANISMS);
    config.offer[EHLO_EXT_XCLIENT] = config.offer[EHLO_EXT_XFORWARD] = 1;
    config.offer[EHLO_EXT_STARTTLS] = config.offer[EHLO_EXT_ATRN] = 1;
    host_begin(&host, &config, EHLO_LINE);
    assert_int_equal(ehlo_server_authorize(host.server, ehlo_span_of("")), EHLO_OK);
    host.defer = EVENT_BIT(asks[i].event);
    host_say(&host, asks[i].line);
    uint32_t ticket = host.ticket[asks[i].event];
    assert_int_not_equal(ticket, 0);
    for (int code = 200; code < 400; code++) {
      if (code != asks[i].code) {
        assert_int_equal(reply(&host, ticket, code), EHLO_ERR_CODE);
      }
    }
    assert_int_equal(reply(&host, ticket, asks[i].code), EHLO_OK);
    host_close(&host);
  }
}

static void etrn_and_burl_have_25z(void **state)
{
  (void)state;
  for (unsigned burl = 0; burl < 2; burl++) {
    struct host host;
    ehlo_server_config config = host_config();
    config.submission = (uint8_t)burl;
    config.offer[burl ? EHLO_EXT_BURL : EHLO_EXT_ETRN] = 1;
    host_begin(&host, &config, burl ? EHLO_LINE "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n" : EHLO_LINE);
    host.defer = EVENT_BIT(EHLO_EVENT_ETRN) | EVENT_BIT(EHLO_EVENT_BURL);
    host_say(&host, burl ? "BURL imap://a/b LAST\r\n" : "ETRN a.example\r\n");
    uint32_t ticket = host.ticket[burl ? EHLO_EVENT_BURL : EHLO_EVENT_ETRN];
    assert_int_equal(challenge(&host, ticket, ""), EHLO_ERR_CODE);
    for (int code = 200; code < 400; code++) {
      if (code < 250 || code > 259) {
        assert_int_equal(reply(&host, ticket, code), EHLO_ERR_CODE);
      }
    }
    assert_int_equal(ehlo_server_accept(host.server, ticket), EHLO_OK);
    host_expect(&host, burl ? "250 2.6.0 Message accepted\r\n" : "250 2.0.0 Okay, queuing started\r\n");
    host_close(&host);
  }
}

/* P-MISC-01 */
static void code_355_needs_transid_and_an_offset(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.offer[EHLO_EXT_CHECKPOINT] = 1;
  config.protocol = EHLO_PROTOCOL_LMTP;
  assert_int_equal(ehlo_server_size(&config), 0);
  config.protocol = EHLO_PROTOCOL_SMTP;
  host_begin(&host, &config, EHLO_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_MAIL) | EVENT_BIT(EHLO_EVENT_RCPT);
  host_say(&host, "MAIL FROM:<a@b.example>\r\n");
  uint32_t ticket = host.ticket[EHLO_EVENT_MAIL];
  assert_int_equal(ehlo_server_reply(host.server, ticket, 355, NULL, ehlo_span_of("5")), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_accept(host.server, ticket), EHLO_OK);
  host_expect(&host, "250 2.1.0 Sender okay\r\n");
  host_say(&host, "RCPT TO:<a@b.example>\r\n");
  ticket = host.ticket[EHLO_EVENT_RCPT];
  assert_int_equal(ehlo_server_reply(host.server, ticket, 355, NULL, ehlo_span_of("5")), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_accept(host.server, ticket), EHLO_OK);
  host_expect(&host, "250 2.1.5 Recipient okay\r\n");
  host_say(&host, "RSET\r\nMAIL FROM:<a@b.example> TRANSID=<a@b>\r\n");
  host_expect(&host, "250 2.0.0 Requested mail action okay, completed\r\n");
  ticket = host.ticket[EHLO_EVENT_MAIL];
  static const char *const wrong[] = {"", "x", " 5", "5x", "-5", "5\t", "octets 5"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_int_equal(ehlo_server_reply(host.server, ticket, 355, NULL, ehlo_span_of(wrong[i])), EHLO_ERR_TEXT);
  }
  assert_int_equal(ehlo_server_reply(host.server, ticket, 354, NULL, ehlo_span_of("5")), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 356, NULL, ehlo_span_of("5")), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 355, "3.0.0", ehlo_span_of("5")), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_reply_more(host.server, ticket, 355, NULL, ehlo_span_of("hm")), EHLO_ERR_TEXT);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 355, NULL, ehlo_span_of("09 octets")), EHLO_OK);
  host_expect(&host, "355 09 octets\r\n");
  host.defer = 0;
  host_say(&host, "DATA\r\n");
  host_expect(&host, "354 Start mail input; end with <CRLF>.<CRLF>\r\n");
  host_close(&host);
}

/* RFC 2645 5.1.1: on port 366 there are AUTH and ATRN. [S-ATRN-02] */
static void odmr_needs_both(void **state)
{
  (void)state;
  for (unsigned bits = 0; bits < 4; bits++) {
    ehlo_server_config config = auth_config(1U << EHLO_SASL_CRAM_MD5);
    config.odmr = 1;
    config.offer[EHLO_EXT_AUTH] = bits & 1;
    config.offer[EHLO_EXT_ATRN] = bits >> 1 & 1;
    assert_int_equal(ehlo_server_size(&config) != 0, bits == 3);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nobody_is_nobody),
      cmocka_unit_test(a_name_has_255_octets),
      cmocka_unit_test(a_challenge_has_its_place),
      cmocka_unit_test(a_handler_can_challenge_at_once),
      cmocka_unit_test(the_host_may_name_whom_it_lets_in),
      cmocka_unit_test(an_earlier_name_goes_with_a_login),
      cmocka_unit_test(a_challenge_fits_the_output_and_a_line),
      cmocka_unit_test(a_challenge_waits_for_room),
      cmocka_unit_test(what_auth_costs),
      cmocka_unit_test(a_login_is_kept_asleep),
      cmocka_unit_test(an_exchange_does_not_sleep),
      cmocka_unit_test(half_a_secret_is_wiped),
      cmocka_unit_test(what_was_refused_is_wiped),
      cmocka_unit_test(other_lines_keep_their_limit),
      cmocka_unit_test(a_response_is_no_name),
      cmocka_unit_test(what_xclient_forgets),
      cmocka_unit_test(positive_codes_are_exact),
      cmocka_unit_test(etrn_and_burl_have_25z),
      cmocka_unit_test(code_355_needs_transid_and_an_offset),
      cmocka_unit_test(odmr_needs_both),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
