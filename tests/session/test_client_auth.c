/* test_client_auth.c: AUTH at the client, with servers that play false, and what is left of secrets in its block; BURL
 * between chunks. */
#define _GNU_SOURCE /* memmem */
#include "desk.h"

#include <stdio.h>
#include <string.h>

#define MECHANISMS \
  "250-mail.example.org\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN EXTERNAL XOAUTH2 OAUTHBEARER X-OWN\r\n"
#define SECRET    "tanstaaf-tanstaaf-tanstaaf"
#define SECRET_64 "dGFuc3RhYWYtdGFuc3RhYWYtdGFuc3RhYWY="

static void open_auth(struct desk *desk)
{
  ehlo_client_config config = desk_config();
  config.allow_plaintext_auth = 1;
  desk_begin(desk, &config, MECHANISMS);
}

static int login(struct desk *desk, uint32_t mechanism, uint64_t tag)
{
  ehlo_credentials credentials = {.struct_size = sizeof credentials,
                                  .mechanism = mechanism,
                                  .authcid = ehlo_span_of("tim"),
                                  .secret = ehlo_span_of(SECRET)};
  return ehlo_client_auth(desk->client, &credentials, tag);
}

/* ---- secrets ---- */

/* Are these octets anywhere in the block? */
static int is_in_block(const struct desk *desk, const char *octets)
{
  return memmem(desk->block, desk->size, octets, strlen(octets)) != NULL;
}

/* Is any part of a secret there, decoded or not? */
static int knows_secret(const struct desk *desk)
{
  return is_in_block(desk, "tanstaaf") || is_in_block(desk, "dGFuc3Rh") || is_in_block(desk, "AHRpbQB0YW5z") ||
         is_in_block(desk, "RhbnN0YWFm") || is_in_block(desk, "eTogc2VjcmV0"); /* of the longer messages */
}

/* Sends all there is, `take` octets at a time. */
static void send_by(struct desk *desk, size_t take)
{
  for (ehlo_span output; (output = desk_output(desk)).len > 0;) {
    ehlo_client_sent(desk->client, output.len < take ? output.len : take);
  }
}

static void secrets_are_wiped_as_they_leave(void **state)
{
  (void)state;
  static const uint32_t mechanisms[] = {EHLO_SASL_PLAIN, EHLO_SASL_LOGIN, EHLO_SASL_XOAUTH2, EHLO_SASL_OAUTHBEARER};
  for (unsigned i = 0; i < 4; i++) {
    for (size_t take = 1; take < 80; take = take * 3 + 1) {
      struct desk desk;
      open_auth(&desk);
      assert_int_equal(login(&desk, mechanisms[i], 2), EHLO_OK);
      assert_false(is_in_block(&desk, "tanstaaf")); /* it is there in base64 alone */
      send_by(&desk, take);
      if (mechanisms[i] == EHLO_SASL_LOGIN) {
        desk_hear(&desk, "334 \r\n");
        assert_true(knows_secret(&desk));
        send_by(&desk, take);
        desk_hear(&desk, "334 \r\n");
        send_by(&desk, take);
      }
      assert_false(knows_secret(&desk));
      desk_hear(&desk, "235 ok\r\n");
      assert_int_equal(ehlo_client_authenticated(desk.client), 1);
      assert_false(knows_secret(&desk));
      desk_close(&desk);
    }
  }
}

/* Also what of it has left while the rest waits. */
static void half_of_a_secret_is_wiped(void **state)
{
  (void)state;
  struct desk desk;
  open_auth(&desk);
  assert_int_equal(login(&desk, EHLO_SASL_PLAIN, 2), EHLO_OK);
  ehlo_client_sent(desk.client, strlen("AUTH PLAIN AHRpbQB0YW5zdG"));
  assert_false(is_in_block(&desk, "AHRpbQB0"));
  assert_true(is_in_block(&desk, "dGFhZi10YW5zdGFhZg=="));
  desk_close(&desk);
}

/* Whatever ends the exchange before the secret was asked for. */
static void secrets_are_wiped_when_they_are_not_wanted(void **state)
{
  (void)state;
  static const char *const ends[] = {"535 no\r\n", "334 !\r\n",    "421 bye\r\n",
                                     "250\r\n",    "nonsense\r\n", "334-\r\n334 \r\n"};
  for (unsigned i = 0; i < sizeof ends / sizeof *ends + 2; i++) {
    struct desk desk;
    open_auth(&desk);
    assert_int_equal(login(&desk, EHLO_SASL_LOGIN, 2), EHLO_OK);
    assert_true(knows_secret(&desk));
    desk_expect(&desk, "AUTH LOGIN\r\n");
    if (i < sizeof ends / sizeof *ends) {
      desk_hear(&desk, ends[i]);
    } else {
      assert_int_equal(i & 1 ? ehlo_client_eof(desk.client) : ehlo_client_timed_out(desk.client), EHLO_OK);
    }
    assert_false(knows_secret(&desk));
    desk_close(&desk);
  }
}

/* A call that fails leaves nothing of them. */
static void secrets_do_not_stay_behind_a_call_that_fails(void **state)
{
  (void)state;
  static char longest[20000];
  memset(longest, 's', sizeof longest);
  struct desk desk;
  open_auth(&desk);
  ehlo_credentials credentials = {.struct_size = sizeof credentials, .authcid = ehlo_span_of("tim")};
  for (uint32_t mechanism = EHLO_SASL_PLAIN; mechanism <= EHLO_SASL_OAUTHBEARER; mechanism++) {
    credentials.mechanism = mechanism;
    credentials.authzid = mechanism == EHLO_SASL_EXTERNAL ? (ehlo_span){longest, 9300} : ehlo_span_of("");
    credentials.secret = (ehlo_span){longest, 9300};
    assert_int_equal(ehlo_client_auth(desk.client, &credentials, 2), EHLO_ERR_TOO_LONG);
    credentials.secret = (ehlo_span){"ssssssss\0", 9};
    credentials.authzid = (ehlo_span){"ssssssss\0", 9};
    assert_int_equal(ehlo_client_auth(desk.client, &credentials, 2), EHLO_ERR_TEXT);
    credentials.secret = ehlo_span_of("");
    credentials.authzid = ehlo_span_of("");
    if (mechanism != EHLO_SASL_EXTERNAL) {
      assert_int_equal(ehlo_client_auth(desk.client, &credentials, 2), EHLO_ERR_ARGUMENT);
    }
  }
  assert_int_equal(desk_output(&desk).len, 0);
  assert_int_equal(ehlo_client_pending(desk.client), 0);
  assert_false(is_in_block(&desk, "ssssss") || is_in_block(&desk, "c3Nzc3Nz"));
  assert_int_equal(login(&desk, EHLO_SASL_PLAIN, 2), EHLO_OK);
  desk_close(&desk);
}

/* [C-AUTH-13] [B-AUTH-15] */
static void the_longest_secret_arrives_as_it_is(void **state)
{
  (void)state;
  static char secret[9300];
  static char message[9400];
  static char expected[13000];
  for (size_t i = 0; i < sizeof secret; i++) {
    secret[i] = (char)('!' + i % 90);
  }
  for (size_t length = 9200; length <= 9211; length++) {
    struct desk desk;
    size_t encoded;
    open_auth(&desk);
    ehlo_credentials credentials = {.struct_size = sizeof credentials,
                                    .mechanism = EHLO_SASL_PLAIN,
                                    .authcid = ehlo_span_of("tim"),
                                    .secret = {secret, length}};
    int result = ehlo_client_auth(desk.client, &credentials, 2);
    assert_int_equal(result, length + 5 > 9213 ? EHLO_ERR_TOO_LONG : EHLO_OK); /* which become 12,284, and CRLF */
    if (result == EHLO_OK) {
      desk_expect(&desk, "AUTH PLAIN\r\n");
      desk_hear(&desk, "334 \r\n");
      memcpy(message, "\0tim\0", 5);
      memcpy(message + 5, secret, length);
      assert_int_equal(ehlo_base64_encode((ehlo_span){message, length + 5}, expected, sizeof expected, &encoded),
                       EHLO_OK);
      memcpy(expected + encoded, "\r\n", 3);
      desk_expect(&desk, expected);
    }
    desk_close(&desk);
  }
}

/* ---- servers that play false ---- */

/* More challenges than anybody needs. */
static void a_flood_of_challenges_ends(void **state)
{
  (void)state;
  struct desk desk;
  open_auth(&desk);
  assert_int_equal(ehlo_client_auth_begin(desk.client, ehlo_span_of("X-OWN"), NULL, 2), EHLO_OK);
  desk_expect(&desk, "AUTH X-OWN\r\n");
  for (unsigned i = 1; i <= EHLO_CLIENT_MAX_CHALLENGES; i++) {
    desk_hear(&desk, "334 YWJj\r\n");
    assert_int_equal(desk.challenge.number, i);
    assert_int_equal(desk.challenge.answered, 0);
    assert_int_equal(ehlo_client_auth_respond(desk.client, ehlo_span_of("abc")), EHLO_OK);
    desk_expect(&desk, "YWJj\r\n");
  }
  desk_hear(&desk, "334 YWJj\r\n");
  assert_int_equal(desk.violation.kind, EHLO_VIOLATION_SASL);
  assert_int_equal(desk.violation.goes_on, 1);
  assert_int_equal(ehlo_client_violation(desk.client), 0);
  desk_expect(&desk, "*\r\n");
  desk_hear(&desk, "334 YWJj\r\n");
  assert_int_equal(desk.violation.goes_on, 0);
  assert_int_equal(ehlo_client_violation(desk.client), EHLO_VIOLATION_SASL);
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
  desk_close(&desk);
}

/* [C-AUTH-14] [P-AUTH-09] */
static void what_is_not_base64_is_cancelled(void **state)
{
  (void)state;
  static const char *const bad[] = {"334 a\r\n",
                                    "334 ab\r\n",
                                    "334 abc\r\n",
                                    "334 ab=c\r\n",
                                    "334 =\r\n",
                                    "334 ====\r\n",
                                    "334 YWJj=\r\n",
                                    "334 YWJj \r\n",
                                    "334  YWJj\r\n",
                                    "334 YW-j\r\n",
                                    "334 YWJjYQ\r\n",
                                    "334 YR==\r\n",
                                    "334 \x80\x80\x80\x80\r\n",
                                    "334-YWJj\r\n334 YWJj\r\n",
                                    "334 *\r\n",
                                    "334 YWJj\tYWJj\r\n"};
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct desk desk;
    open_auth(&desk);
    assert_int_equal(ehlo_client_auth_begin(desk.client, ehlo_span_of("X-OWN"), NULL, 2), EHLO_OK);
    desk_answer(&desk, bad[i]);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CHALLENGE], 0);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_VIOLATION], 1);
    assert_int_equal(desk.violation.goes_on, 1);
    desk_expect(&desk, "*\r\n");
    desk_hear(&desk, "501 cancelled\r\n");
    assert_int_equal(desk.reply.verb, EHLO_VERB_AUTH);
    assert_int_equal(desk_mail(&desk, 3), EHLO_OK);
    desk_close(&desk);
  }
}

/* The decoded octets are there in the handler, and nowhere behind it. */
static void respond_in_handler(struct desk *desk, const ehlo_client_event *event)
{
  if (event->type == EHLO_CLIENT_EVENT_CHALLENGE) {
    assert_true(ehlo_span_equal(event->as.challenge.octets, ehlo_span_of("the nonce of it all")));
    assert_int_equal(ehlo_client_auth_respond(desk->client, event->as.challenge.octets), EHLO_OK);
    assert_int_equal(ehlo_client_auth_respond(desk->client, event->as.challenge.octets), EHLO_ERR_STATE);
  }
}

static void challenges_are_wiped(void **state)
{
  (void)state;
  static const char line[] = "334 dGhlIG5vbmNlIG9mIGl0IGFsbA==\r\n";
  for (size_t cut = 0; cut < sizeof line - 1; cut++) {
    struct desk desk;
    size_t consumed;
    open_auth(&desk);
    desk.in_handler = respond_in_handler;
    assert_int_equal(ehlo_client_auth_begin(desk.client, ehlo_span_of("X-OWN"), NULL, 2), EHLO_OK);
    desk_send_all(&desk);
    assert_int_equal(ehlo_client_feed(desk.client, line, cut, &consumed), EHLO_OK);
    desk_hear(&desk, line + cut);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CHALLENGE], 1);
    assert_false(is_in_block(&desk, "the nonce"));
    desk_expect(&desk, "dGhlIG5vbmNlIG9mIGl0IGFsbA==\r\n");
    assert_false(is_in_block(&desk, "GFsbA==")); /* nor what decoding it in place does not write over */
    desk_close(&desk);
  }
}

/* A session can be moved in the middle of an exchange. */
static void an_exchange_can_be_moved(void **state)
{
  (void)state;
  static _Alignas(max_align_t) char memory[1 << 16];
  struct desk desk;
  open_auth(&desk);
  assert_int_equal(login(&desk, EHLO_SASL_LOGIN, 2), EHLO_OK);
  desk_expect(&desk, "AUTH LOGIN\r\n");
  assert_in_range(desk.size, 1, sizeof memory);
  memcpy(memory, desk.block, desk.size);
  struct desk moved = desk;
  assert_int_equal(ehlo_client_attach(&moved.client, memory, desk.size, desk_on_event, &moved), EHLO_OK);
  desk_hear(&moved, "334 \r\n");
  desk_expect(&moved, "dGlt\r\n");
  desk_hear(&moved, "334 \r\n");
  desk_expect(&moved, SECRET_64 "\r\n");
  desk_hear(&moved, "235 ok\r\n");
  assert_int_equal(ehlo_client_authenticated(moved.client), 1);
  desk_close(&desk);
}

/* Room for the longest line is there only where AUTH is used. */
static void auth_has_its_memory(void **state)
{
  (void)state;
  ehlo_client_config config = desk_config();
  size_t with = ehlo_client_size(&config);
  config.use[EHLO_EXT_AUTH] = 0;
  size_t without = ehlo_client_size(&config);
  assert_true(with - without == 12288 + 512 - 4096 + 12288 - 1024);
  config.max_sasl_line = 65536;
  assert_true(ehlo_client_size(&config) == without);
  config.use[EHLO_EXT_AUTH] = 1;
  assert_true(ehlo_client_size(&config) - without == 65536 + 512 - 4096 + 65536 - 1024);
  config.parameters_size = 0;
  assert_true(ehlo_client_size(&config) - without == 65536 + 512 - 4096 + 65536 - 1024 - 1024);
}

/* ---- BURL between chunks ---- */

static void open_chunks(struct desk *desk)
{
  ehlo_client_config config = desk_config();
  config.chunking = EHLO_CHUNKING_ALWAYS;
  desk_begin(desk, &config, "250-mail.example.org\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BURL imap\r\n");
  desk_transaction(desk);
  desk_answer(desk, "250 ok\r\n250 ok\r\n");
  assert_int_equal(ehlo_client_want(desk->client) & EHLO_WANT_CONTENT, EHLO_WANT_CONTENT);
}

/* [S-BURL-04] [C-BURL-06] */
static void burl_and_bdat_can_be_mixed(void **state)
{
  (void)state;
  struct desk desk;
  size_t taken;
  open_chunks(&desk);
  ehlo_span url = ehlo_span_of("imap://x/y");
  assert_int_equal(ehlo_client_body(desk.client, "a\r\n", 3, &taken), EHLO_OK);
  assert_int_equal(ehlo_client_burl(desk.client, url, 0, 5), EHLO_OK);
  assert_int_equal(ehlo_client_body(desk.client, "b\r\n", 3, &taken), EHLO_OK);
  assert_int_equal(ehlo_client_burl(desk.client, ehlo_span_of("imap"), 1, 6), EHLO_ERR_SYNTAX);
  assert_int_equal(ehlo_client_burl(desk.client, url, 1, 6), EHLO_OK);
  assert_int_equal(desk_mail(&desk, 7), EHLO_ERR_STATE);
  desk_expect(&desk, "BDAT 3\r\na\r\nBURL imap://x/y\r\nBDAT 3\r\nb\r\nBURL imap://x/y LAST\r\n");
  desk_hear(&desk, "250 ok\r\n250 ok\r\n");
  assert_int_equal(desk.reply.verb, EHLO_VERB_BURL);
  assert_true(desk.reply_tag == 5);
  desk_hear(&desk, "250 ok\r\n250 ok\r\n");
  assert_int_equal(desk.reply.verb, EHLO_VERB_MESSAGE);
  assert_true(desk.reply_tag == 6);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
  assert_int_equal(desk_mail(&desk, 7), EHLO_OK);
  desk_close(&desk);
}

static void a_burl_that_fails_fails_the_message(void **state)
{
  (void)state;
  for (int last = 0; last < 2; last++) {
    struct desk desk;
    open_chunks(&desk);
    assert_int_equal(ehlo_client_burl(desk.client, ehlo_span_of("imap://x/y"), last, 5), EHLO_OK);
    desk_answer(&desk, "554 5.6.6 no\r\n");
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
    assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
    assert_int_equal(desk.end.code, 554);
    assert_int_equal(desk.end.needs_reset, 1);
    assert_int_equal(desk_mail(&desk, 7), EHLO_ERR_STATE);
    assert_int_equal(ehlo_client_rset(desk.client, 8), EHLO_OK);
    assert_int_equal(desk_mail(&desk, 9), EHLO_OK);
    desk_close(&desk);
  }
}

static void the_message_can_end_by_bdat(void **state)
{
  (void)state;
  struct desk desk;
  size_t taken;
  open_chunks(&desk);
  assert_int_equal(ehlo_client_body(desk.client, "a\r", 2, &taken), EHLO_OK);
  assert_int_equal(ehlo_client_burl(desk.client, ehlo_span_of("imap://x/y"), 0, 5), EHLO_ERR_BARE_NEWLINE);
  assert_int_equal(ehlo_client_body(desk.client, "\n", 1, &taken), EHLO_OK);
  assert_int_equal(ehlo_client_burl(desk.client, ehlo_span_of("imap://x/y"), 0, 5), EHLO_OK);
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  desk_expect(&desk, "BDAT 2\r\na\rBDAT 1\r\n\nBURL imap://x/y\r\nBDAT 0 LAST\r\n");
  desk_hear(&desk, "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
  desk_close(&desk);
}

/* ---- what only looks like an exchange ---- */

static void begin_content(struct desk *desk)
{
  assert_int_equal(ehlo_client_mail(desk->client, ehlo_span_of("alice@example.com"), NULL, 2), EHLO_OK);
  assert_int_equal(ehlo_client_rcpt(desk->client, ehlo_span_of("bob@example.org"), NULL, 3), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk->client, 4), EHLO_OK);
  desk_send_all(desk);
  desk_hear(desk, "250 ok\r\n250 ok\r\n");
}

/* By its first digit a 334 to DATA is a 354 (RFC 821 4.4): nothing is a challenge but in AUTH. So is a 355. */
static void a_challenge_is_one_in_auth_only(void **state)
{
  (void)state;
  static const char *const codes[] = {"334 \r\n", "355 go\r\n"};
  for (unsigned i = 0; i < 4; i++) {
    struct desk desk;
    open_auth(&desk);
    if (i >= 2) { /* an exchange that is over leaves nothing behind */
      assert_int_equal(login(&desk, EHLO_SASL_XOAUTH2, 2), EHLO_OK);
      desk_send_all(&desk);
      desk_hear(&desk, "535 no\r\n");
    }
    begin_content(&desk);
    desk_hear(&desk, codes[i % 2]);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CHALLENGE], 0);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_VIOLATION], 0);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 1);
    assert_int_equal(desk_output(&desk).len, 0);
    assert_int_equal(ehlo_client_auth_respond(desk.client, ehlo_span_of("x")), EHLO_ERR_STATE);
    desk_close(&desk);
  }
}

/* PLAIN with an initial response is one round trip, unless the server wants more: then it is an exchange like others,
 * and what is called would be taken for the answer. */
static void nothing_is_called_behind_a_challenge(void **state)
{
  (void)state;
  static char response[9000];
  struct desk desk;
  const ehlo_span initial = {"\0tim\0x", 6};
  open_auth(&desk);
  assert_int_equal(ehlo_client_auth_begin(desk.client, ehlo_span_of("PLAIN"), &initial, 2), EHLO_OK);
  desk_send_all(&desk);
  desk_hear(&desk, "334 \r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CHALLENGE], 1);
  assert_int_equal(ehlo_client_noop(desk.client, ehlo_span_of(""), 3), EHLO_ERR_STATE);
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of(""), NULL, 3), EHLO_ERR_STATE);
  assert_int_equal(ehlo_client_auth_respond(desk.client, (ehlo_span){response, sizeof response}), EHLO_OK);
  desk_send_all(&desk);
  desk_hear(&desk, "535 no\r\n");
  assert_int_equal(ehlo_client_noop(desk.client, ehlo_span_of(""), 3), EHLO_OK);
  desk_close(&desk);
}

/* RFC 4954 4: behind "*" the server MUST reject. */
static void what_was_cancelled_does_not_succeed(void **state)
{
  (void)state;
  struct desk desk;
  open_auth(&desk);
  assert_int_equal(ehlo_client_auth_begin(desk.client, ehlo_span_of("X-OWN"), NULL, 2), EHLO_OK);
  desk_send_all(&desk);
  desk_hear(&desk, "334 \r\n");
  assert_int_equal(ehlo_client_auth_cancel(desk.client), EHLO_OK);
  desk_expect(&desk, "*\r\n");
  desk_hear(&desk, "235 welcome\r\n");
  assert_int_equal(ehlo_client_authenticated(desk.client), 0);
  assert_int_equal(ehlo_client_violation(desk.client), EHLO_VIOLATION_REPLY_CODE);
  desk_close(&desk);
}

/* A span of NULL with a length is none. */
static void credentials_are_spans(void **state)
{
  (void)state;
  static const uint32_t all[] = {EHLO_SASL_PLAIN, EHLO_SASL_LOGIN, EHLO_SASL_XOAUTH2, EHLO_SASL_OAUTHBEARER};
  const ehlo_span none = {NULL, 5};
  for (unsigned i = 0; i < 4; i++) {
    struct desk desk;
    open_auth(&desk);
    ehlo_credentials credentials = {.struct_size = sizeof credentials, .mechanism = all[i]};
    credentials.authcid = ehlo_span_of("tim");
    credentials.secret = none;
    assert_int_equal(ehlo_client_auth(desk.client, &credentials, 2), EHLO_ERR_ARGUMENT);
    credentials.secret = ehlo_span_of(SECRET);
    credentials.authcid = none;
    if (all[i] != EHLO_SASL_OAUTHBEARER) {
      assert_int_equal(ehlo_client_auth(desk.client, &credentials, 2), EHLO_ERR_ARGUMENT);
    }
    credentials.authcid = ehlo_span_of("tim");
    credentials.authzid = credentials.host = none;
    if (all[i] == EHLO_SASL_PLAIN || all[i] == EHLO_SASL_OAUTHBEARER) {
      assert_int_equal(ehlo_client_auth(desk.client, &credentials, 2), EHLO_ERR_ARGUMENT);
    }
    assert_int_equal(desk_output(&desk).len, 0);
    desk_close(&desk);
  }
}

/* ---- TLS, checkpoints, chunks ---- */

/* A greeting that began in clear is not one that came over TLS. */
static void tls_is_there_before_the_greeting_or_not(void **state)
{
  (void)state;
  static const char *const begun[] = {"2", "220 mail.example.org", "220-mail.example.org\r\n"};
  for (unsigned i = 0; i < 3; i++) {
    struct desk desk;
    desk_open(&desk, NULL);
    desk_hear(&desk, begun[i]);
    assert_int_equal(ehlo_client_tls_done(desk.client), EHLO_ERR_STATE);
    assert_int_equal(ehlo_client_tls(desk.client), 0);
    desk_close(&desk);
  }
}

/* The reply to a MAIL before it is none to that with TRANSID. */
static void a_checkpoint_waits_for_its_own_mail(void **state)
{
  (void)state;
  for (unsigned early = 0; early < 2; early++) {
    struct desk desk;
    ehlo_mail_parameters parameters = {.struct_size = sizeof parameters, .transid = ehlo_span_of("<a@b>")};
    desk_begin(&desk, NULL, "250-mail.example.org\r\n250-PIPELINING\r\n250 CHECKPOINT\r\n");
    assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of("a@b.example"), NULL, 2), EHLO_OK);
    assert_int_equal(ehlo_client_rset(desk.client, 3), EHLO_OK);
    assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of("a@b.example"), &parameters, 4), EHLO_OK);
    desk_send_all(&desk);
    desk_hear(&desk, early ? "355 7 there\r\n" : "250 ok\r\n");
    assert_int_equal(ehlo_client_violation(desk.client), early ? EHLO_VIOLATION_REPLY_CODE : 0);
    assert_int_equal(ehlo_client_rcpt(desk.client, ehlo_span_of("c@d.example"), NULL, 5), EHLO_ERR_STATE);
    if (!early) {
      desk_hear(&desk, "250 ok\r\n355 100 there\r\n");
      assert_int_equal(desk.reply.offset, 100);
      assert_int_equal(ehlo_client_data(desk.client, 6), EHLO_OK);
    }
    desk_close(&desk);
  }
}

/* A refusal that comes before all of a chunk has gone is told as one of content that goes by DATA is. */
static void a_chunk_can_be_refused_early(void **state)
{
  (void)state;
  struct desk desk;
  size_t taken;
  open_chunks(&desk);
  assert_int_equal(ehlo_client_body(desk.client, "hello\r\n", 7, &taken), EHLO_OK);
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  ehlo_client_sent(desk.client, 9);
  desk_hear(&desk, "552 too big\r\n");
  assert_int_equal(ehlo_client_violation(desk.client), 0);
  assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
  assert_int_equal(desk.end.code, 552);
  desk_close(&desk);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(secrets_are_wiped_as_they_leave),
      cmocka_unit_test(half_of_a_secret_is_wiped),
      cmocka_unit_test(secrets_are_wiped_when_they_are_not_wanted),
      cmocka_unit_test(secrets_do_not_stay_behind_a_call_that_fails),
      cmocka_unit_test(the_longest_secret_arrives_as_it_is),
      cmocka_unit_test(a_flood_of_challenges_ends),
      cmocka_unit_test(what_is_not_base64_is_cancelled),
      cmocka_unit_test(challenges_are_wiped),
      cmocka_unit_test(an_exchange_can_be_moved),
      cmocka_unit_test(auth_has_its_memory),
      cmocka_unit_test(burl_and_bdat_can_be_mixed),
      cmocka_unit_test(a_burl_that_fails_fails_the_message),
      cmocka_unit_test(the_message_can_end_by_bdat),
      cmocka_unit_test(a_challenge_is_one_in_auth_only),
      cmocka_unit_test(nothing_is_called_behind_a_challenge),
      cmocka_unit_test(what_was_cancelled_does_not_succeed),
      cmocka_unit_test(credentials_are_spans),
      cmocka_unit_test(tls_is_there_before_the_greeting_or_not),
      cmocka_unit_test(a_checkpoint_waits_for_its_own_mail),
      cmocka_unit_test(a_chunk_can_be_refused_early),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
