/* test_interrupted.c: answers and transactions that something comes between: a handler that fails, a host that stops, a
 * peer that leaves, an offer that changes. Whatever comes, no reply changes its code midway, no promise is taken back,
 * nothing sticks. */
#include "host.h"

#include <string.h>

#define EHLO_LINE "EHLO client.example.com\r\n"
#define MAIL_LINE "MAIL FROM:<alice@example.com>\r\n"
#define RCPT_LINE "RCPT TO:<bob@example.org>\r\n"
#define DATA_LINE "DATA\r\n"

static ehlo_span text_of(const char *string)
{
  return ehlo_span_of(string);
}

/* ---- half a reply on the wire ---- */

static void begin_a_refusal_in_body(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_BODY) {
    assert_int_equal(ehlo_server_reply_more(host->server, event->ticket, 554, NULL, text_of("first")), EHLO_OK);
  }
}

static void a_refusal_begun_before_a_failure_ends_as_it_began(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE);
  host.in_handler = begin_a_refusal_in_body;
  host.fail = EVENT_BIT(EHLO_EVENT_MESSAGE);
  host.failure = EHLO_FAIL_TRANSACTION;
  host_say(&host, "text\r\n.\r\nNOOP\r\n");
  host_expect(&host,
              "554-5.0.0 first\r\n554 5.0.0 \r\n250 2.0.0 Requested mail action okay, completed\r\n"); /* P-RPLY-03 */
  assert_int_equal(host.end.reason, EHLO_END_FAILED);
  host_close(&host);
}

static void nothing_follows_half_a_reply_when_the_host_ends_it(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE);
  host.in_handler = begin_a_refusal_in_body;
  host.fail = EVENT_BIT(EHLO_EVENT_MESSAGE);
  host.failure = -1;
  size_t consumed;
  assert_int_equal(ehlo_server_feed(host.server, "text\r\n.\r\n", 9, &consumed), EHLO_ERR_HOST);
  host_drain(&host);
  assert_int_equal(host.output_size, strlen("554-5.0.0 first\r\n")); /* P-RPLY-03 */
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  host_close(&host);
}

static void nothing_follows_half_a_reply_when_a_handler_fails_on_the_way_out(void **state)
{
  (void)state;
  static const uint32_t failing[] = {EHLO_EVENT_CANCEL, EHLO_EVENT_END};
  for (size_t i = 0; i < 2; i++) {
    struct host host;
    host_begin(&host, NULL, EHLO_LINE MAIL_LINE);
    host.defer = EVENT_BIT(EHLO_EVENT_VRFY);
    host_say(&host, "VRFY bob\r\n");
    uint32_t ticket = host.ticket[EHLO_EVENT_VRFY];
    assert_int_equal(ehlo_server_reply_more(host.server, ticket, 250, NULL, text_of("one")), EHLO_OK);
    host.fail = EVENT_BIT(failing[i]);
    host.failure = -1;
    assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, text_of("")), EHLO_ERR_HOST);
    host_drain(&host);
    assert_int_equal(host.output_size, strlen("250-2.0.0 one\r\n"));
    assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
    host_close(&host);
  }
}

static void a_fatal_handler_without_room_still_wants_close(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.output_size = EHLO_MIN_OUTPUT_SIZE;
  host_begin(&host, &config, EHLO_LINE);
  host.fail = EVENT_BIT(EHLO_EVENT_COMMAND);
  host.failure = -1;
  size_t consumed;
  assert_int_equal(ehlo_server_feed(host.server, "NOOP\r\n", 6, &consumed), EHLO_ERR_HOST);
  assert_int_equal(consumed, 6);
  host_drain(&host);
  assert_memory_equal(host.output, "421 ", 4);
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  host_close(&host);
}

static void an_answer_begun_before_an_offer_changes_can_be_ended(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_VRFY);
  host_say(&host, "VRFY bob\r\n");
  uint32_t ticket = host.ticket[EHLO_EVENT_VRFY];
  assert_int_equal(ehlo_server_reply_more(host.server, ticket, 250, NULL, text_of("one")), EHLO_OK);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_ENHANCEDSTATUSCODES, 0), EHLO_OK);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 250, NULL, text_of("two")), EHLO_OK);
  host_say(&host, "NOOP\r\n");
  host_expect(&host, "250-2.0.0 one\r\n250 2.0.0 two\r\n250 Requested mail action okay, completed\r\n"); /* S-ESC-05 */
  host_close(&host);
}

static void the_list_behind_ehlo_is_not_the_host_s(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, "");
  host.defer = EVENT_BIT(EHLO_EVENT_HELLO);
  host_say(&host, EHLO_LINE);
  uint32_t ticket = host.ticket[EHLO_EVENT_HELLO];
  assert_int_equal(ehlo_server_reply_more(host.server, ticket, 250, NULL, text_of("AUTH PLAIN")),
                   EHLO_ERR_CODE); /* S-HELO-04 */
  assert_int_equal(ehlo_server_reply_more(host.server, ticket, 550, NULL, text_of("no")), EHLO_OK);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 550, NULL, text_of("really")), EHLO_OK);
  host_expect(&host, "550-no\r\n550 really\r\n");
  host_close(&host);
}

/* ---- LMTP ---- */

static ehlo_server_config lmtp(void)
{
  ehlo_server_config config = host_config();
  config.protocol = EHLO_PROTOCOL_LMTP;
  return config;
}

static void a_promise_to_one_recipient_holds_however_the_session_ends(void **state)
{
  (void)state;
  ehlo_server_config config = lmtp();
  for (int way = 0; way < 3; way++) {
    struct host host;
    host_begin(&host, &config, "LHLO client.example.com\r\n" MAIL_LINE RCPT_LINE RCPT_LINE DATA_LINE);
    host.defer = EVENT_BIT(EHLO_EVENT_RESULT);
    host_say(&host, "text\r\n.\r\n");
    assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_RESULT]), EHLO_OK);
    host_expect(&host, "250 2.6.0 Message accepted\r\n");
    assert_int_equal(host.count[EHLO_EVENT_RESULT], 2);
    if (way == 0) {
      assert_int_equal(ehlo_server_lost(host.server), EHLO_OK);
    } else if (way == 1) {
      assert_int_equal(ehlo_server_timed_out(host.server), EHLO_OK);
    } else {
      assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, text_of("")), EHLO_OK);
    }
    assert_int_equal(host.count[EHLO_EVENT_END], 1);
    assert_int_equal(host.end.reason, EHLO_END_MIXED); /* S-LMTP-15 */
    host_close(&host);
  }
}

/* ---- ends ---- */

static void nothing_is_said_once_the_roles_are_reversed(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  config.offer[EHLO_EXT_TURN] = 1;
  for (int way = 0; way < 2; way++) {
    struct host host;
    host_begin(&host, &config, EHLO_LINE);
    host.defer = EVENT_BIT(EHLO_EVENT_TURN);
    host_say(&host, "TURN\r\n");
    assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_TURN]), EHLO_OK);
    host_expect(&host, "250 2.0.0 Okay, turn\r\n");
    assert_int_equal(host_want(&host), EHLO_WANT_TURN);
    assert_int_equal(way == 0 ? ehlo_server_timed_out(host.server)
                              : ehlo_server_shutdown(host.server, 421, NULL, text_of("")),
                     EHLO_OK);
    host_expect(&host, ""); /* S-TURN-02: the next line is the peer's 220 */
    assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
    host_close(&host);
  }
}

static void a_peer_that_left_before_its_354_gets_an_end(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_DATA);
  host_say(&host, DATA_LINE);
  assert_int_equal(ehlo_server_eof(host.server), EHLO_OK);
  assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_DATA]), EHLO_OK);
  host_expect(&host, "354 Start mail input; end with <CRLF>.<CRLF>\r\n");
  assert_int_equal(host.count[EHLO_EVENT_END], 1);
  assert_int_equal(host.end.reason, EHLO_END_LOST); /* S-SESS-12 */
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  host_close(&host);
}

static void a_transaction_whose_very_reply_fails_is_lost(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host.fail = EVENT_BIT(EHLO_EVENT_REPLY);
  host.failure = EHLO_FAIL_TRANSACTION;
  host_say(&host, MAIL_LINE);
  host.fail = 0;
  host_say(&host, RCPT_LINE "RSET\r\n");
  host_expect(&host, "250 2.1.0 Sender okay\r\n451 4.3.0 Requested action aborted: local error in processing\r\n"
                     "250 2.0.0 Requested mail action okay, completed\r\n");
  assert_int_equal(host.count[EHLO_EVENT_RCPT], 0);
  assert_int_equal(host.end.reason, EHLO_END_FAILED);
  host_close(&host);
}

/* ---- peers ---- */

static void utf8_needs_smtputf8_in_parameters_too(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.pass_parameters = 1;
  host_begin(&host, &config, EHLO_LINE);
  host_say(&host, "MAIL FROM:<a@b> X=\xC3\xA9\r\n" MAIL_LINE "RCPT TO:<a@b> X=\xC3\xA9\r\nRSET\r\n"
                  "MAIL FROM:<a@b> X=\xC3\xA9 SMTPUTF8\r\n");
  host_expect(&host, "500 5.5.2 Non-ASCII characters not permitted here\r\n250 2.1.0 Sender okay\r\n"
                     "500 5.5.2 Non-ASCII characters not permitted here\r\n"
                     "250 2.0.0 Requested mail action okay, completed\r\n250 2.1.0 Sender okay\r\n"); /* P-CMD-12 */
  host_close(&host);
}

static size_t octets_told;

static void look_at_the_line(struct host *host, const ehlo_event *event)
{
  (void)host;
  if (event->type == EHLO_EVENT_VIOLATION) {
    octets_told = event->as.violation.octets.len;
  }
}

static void a_line_too_long_is_told_alike_however_it_is_cut(void **state)
{
  (void)state;
  char line[2002];
  memset(line, 'A', sizeof line);
  memcpy(line + 2000, "\r\n", 2);
  for (size_t piece = 1; piece <= sizeof line; piece += piece < 3 ? 1 : 666) {
    struct host host;
    host_begin(&host, NULL, EHLO_LINE);
    host.in_handler = look_at_the_line;
    octets_told = 0;
    for (size_t at = 0; at < sizeof line; at += piece) {
      size_t size = sizeof line - at < piece ? sizeof line - at : piece;
      assert_int_equal(host_feed(&host, line + at, size), size);
    }
    host_expect(&host, "500 5.5.2 Line too long\r\n"); /* P-CMD-14 */
    assert_int_equal(octets_told, EHLO_DEFAULT_MAX_COMMAND_LINE - 2);
    host_close(&host);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_refusal_begun_before_a_failure_ends_as_it_began),
      cmocka_unit_test(nothing_follows_half_a_reply_when_the_host_ends_it),
      cmocka_unit_test(nothing_follows_half_a_reply_when_a_handler_fails_on_the_way_out),
      cmocka_unit_test(a_fatal_handler_without_room_still_wants_close),
      cmocka_unit_test(an_answer_begun_before_an_offer_changes_can_be_ended),
      cmocka_unit_test(the_list_behind_ehlo_is_not_the_host_s),
      cmocka_unit_test(a_promise_to_one_recipient_holds_however_the_session_ends),
      cmocka_unit_test(nothing_is_said_once_the_roles_are_reversed),
      cmocka_unit_test(a_peer_that_left_before_its_354_gets_an_end),
      cmocka_unit_test(a_transaction_whose_very_reply_fails_is_lost),
      cmocka_unit_test(utf8_needs_smtputf8_in_parameters_too),
      cmocka_unit_test(a_line_too_long_is_told_alike_however_it_is_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
