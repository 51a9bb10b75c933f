/* test_loopback.c: the client against the server, by what is published of both.
 *
 * The oracle is loop_check: what the one sent is exactly what the other received, or both know that it failed. Beside
 * it each test says what is to come of it, so that nothing is the same only because nothing went through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loopback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT, SERVER };

_Noreturn void loop_fail(const char *condition, const char *file, int line)
{
  print_error("not so: %s\n", condition);
  _fail(file, line);
  abort();
}

#define ALICE        .from = "alice@example.com"
#define BOB          .to = {"bob@example.org"}, .recipients = 1
#define THREE        .to = {"bob@example.org", "carol@example.org", "dave@example.org"}, .recipients = 3
#define TEXT(string) .content = (string), .size = sizeof(string) - 1

#define CONTENT "Subject: dots\r\n\r\n.\r\n..\r\n.x\r\ntext.\r\n"

static ehlo_client_config client_config(void)
{
  ehlo_client_config config;
  assert_int_equal(ehlo_client_config_init(&config, sizeof config), EHLO_OK);
  config.hostname = ehlo_span_of("client.example.com");
  return config;
}

static ehlo_server_config server_config(void)
{
  ehlo_server_config config;
  assert_int_equal(ehlo_server_config_init(&config, sizeof config), EHLO_OK);
  config.hostname = ehlo_span_of("mail.example.org");
  config.max_errors = 0;
  return config;
}

static void set_protocol(ehlo_client_config *client, ehlo_server_config *server, uint32_t protocol)
{
  client->protocol = protocol;
  server->protocol = protocol;
}

static void expect_at(const struct loop *loop, size_t message, uint32_t reason, uint32_t recipients, int line)
{
  const struct loop_sent *sent = &loop->sent[message];
  if (sent->ends != 1 || sent->end.reason != reason || sent->end.recipients != recipients) {
    fail_msg("line %d: message %zu: %u ENDs, %s for %u, not %s for %u", line, message, sent->ends,
             ehlo_end_name(sent->end.reason), sent->end.recipients, ehlo_end_name(reason), recipients);
  }
}

#define expect(loop, message, reason, recipients) expect_at((loop), (message), (reason), (recipients), __LINE__)

/* Did two runs come to the same? */
static void expect_same(const struct loop *a, const struct loop *b)
{
  assert_memory_equal(a->sent, b->sent, sizeof a->sent);
  for (size_t i = 0; i < a->count; i++) {
    const struct loop_got *x = &a->got[i];
    const struct loop_got *y = &b->got[i];
    assert_memory_equal(x, y, offsetof(struct loop_got, content));
    assert_int_equal(x->size, y->size);
    assert_memory_equal(x->size > 0 ? x->content : "", y->size > 0 ? y->content : "", x->size);
  }
  assert_int_equal(a->quit, b->quit);
}

static void run_and_check(struct loop *loop)
{
  loop_run(loop);
  loop_check(loop);
  assert_int_equal(loop->violations[CLIENT], 0);
  /* What was called before a refusal was known is out of order then, and nothing else is wrong with it. */
  assert_true(loop->violations[SERVER] == 0 || loop->violations[SERVER] == EHLO_VIOLATION_SEQUENCE);
}

/* ---- cuts -------------------------------------------------------------------------------------------------------- */

static const struct loop_message short_session[] = {{ALICE, THREE, TEXT(CONTENT), .rcpt = {{550, LOOP_NOW}}},
                                                    {.from = "", BOB, TEXT("x")}};

enum { SHORT = sizeof short_session / sizeof short_session[0] };

static const unsigned octet_steps[] = {LOOP_CLIENT_SEND, LOOP_SERVER_FEED, LOOP_SERVER_SEND, LOOP_CLIENT_FEED};

static void open_short(struct loop *loop, uint32_t protocol, int pipelining, int chunking)
{
  ehlo_client_config client = client_config();
  ehlo_server_config server = server_config();
  set_protocol(&client, &server, protocol);
  client.use[EHLO_EXT_PIPELINING] = (uint8_t)pipelining;
  client.chunking = chunking ? EHLO_CHUNKING_ALWAYS : EHLO_CHUNKING_NEVER;
  server.offer[EHLO_EXT_CHUNKING] = 1;
  loop_open(loop, &client, &server, short_session, SHORT);
}

static void cut_short_session(uint32_t protocol, int pipelining, int chunking)
{
  struct loop whole;
  open_short(&whole, protocol, pipelining, chunking);
  run_and_check(&whole);
  expect(&whole, 0, EHLO_END_ACCEPTED, 2);
  expect(&whole, 1, EHLO_END_ACCEPTED, 1);
  assert_int_equal(whole.quit, 221);
  for (unsigned i = 0; i < 4; i++) {
    for (size_t cut = 1; cut < whole.moved[octet_steps[i]]; cut++) {
      struct loop loop;
      open_short(&loop, protocol, pipelining, chunking);
      loop.cut[octet_steps[i]] = cut;
      run_and_check(&loop);
      expect_same(&loop, &whole);
      loop_close(&loop);
    }
  }
  static const size_t amounts[] = {0, 1, 2, 3, 17};
  for (unsigned n = 0; n < 5 * 5 * 5 * 5; n++) {
    struct loop loop;
    open_short(&loop, protocol, pipelining, chunking);
    for (unsigned i = 0, rest = n; i < 4; i++, rest /= 5) {
      loop.amount[octet_steps[i]] = amounts[rest % 5];
    }
    run_and_check(&loop);
    expect_same(&loop, &whole);
    loop_close(&loop);
  }
  loop_close(&whole);
}

static void every_cut_comes_to_the_same(void **state)
{
  (void)state;
  cut_short_session(EHLO_PROTOCOL_SMTP, 1, 0); /* [C-PIPE-07] [C-DATA-27] [C-DATA-28] */
  cut_short_session(EHLO_PROTOCOL_SMTP, 0, 0); /* [C-SESS-02] */
  cut_short_session(EHLO_PROTOCOL_LMTP, 1, 0); /* [C-LMTP-14] */
  cut_short_session(EHLO_PROTOCOL_LMTP, 0, 0);
  for (int pipelining = 0; pipelining < 2; pipelining++) {
    cut_short_session(EHLO_PROTOCOL_SMTP, pipelining, 1); /* [C-CHNK-13] */
    cut_short_session(EHLO_PROTOCOL_LMTP, pipelining, 1);
  }
}

/* What is answered later, and every order in which things move. */
static const struct loop_message late_session[] = {
    {ALICE, THREE, TEXT(CONTENT), .mail = {0, LOOP_LATER}, .data = {0, LOOP_LATER}, .message = {0, LOOP_LATER},
     .rcpt = {{0, LOOP_LATER}, {450, LOOP_LATER}, {0, LOOP_LATER}}, .body = {0, LOOP_LATER},
     .result = {{0, LOOP_LATER}, {552, LOOP_LATER}}},
    {ALICE, BOB, TEXT(CONTENT), .body = {554, LOOP_LATER}},
    {ALICE, BOB, TEXT(CONTENT), .rcpt = {{550, LOOP_LATER}}},
    {ALICE, BOB, TEXT(CONTENT), .message = {250, LOOP_LATER}, .result = {{250, LOOP_LATER}}}};

static void every_order(uint32_t protocol, size_t amount)
{
  for (unsigned n = 0; n < 720; n++) {
    struct loop loop;
    ehlo_client_config client = client_config();
    ehlo_server_config server = server_config();
    set_protocol(&client, &server, protocol);
    server.max_pending = 1 + n % 3;
    loop_open(&loop, &client, &server, late_session, 4);
    uint8_t left[LOOP_STEPS] = {0, 1, 2, 3, 4, 5};
    for (unsigned i = 0, rest = n; i < LOOP_STEPS; rest /= LOOP_STEPS - i, i++) {
      unsigned which = rest % (LOOP_STEPS - i);
      loop.order[i] = left[which];
      memmove(&left[which], &left[which + 1], LOOP_STEPS - which - 1);
    }
    for (unsigned i = 0; i < 4; i++) {
      loop.amount[octet_steps[i]] = amount;
    }
    loop.amount[LOOP_ANSWER] = n % 2 ? LOOP_LAST : 0;
    loop.outside = n % 5 == 0;
    loop.eager = n % 7 < 3;
    run_and_check(&loop);
    expect(&loop, 0, protocol == EHLO_PROTOCOL_SMTP ? EHLO_END_ACCEPTED : EHLO_END_MIXED, 2);
    expect(&loop, 1, EHLO_END_REFUSED, 1);
    expect(&loop, 3, EHLO_END_ACCEPTED, 1);
    assert_int_equal(loop.got[2].content == NULL, 1); /* [C-DATA-26] */
    loop_close(&loop);
  }
}

static void every_order_of_moves_and_answers(void **state)
{
  (void)state;
  for (size_t amount = 0; amount < 3; amount++) {
    every_order(EHLO_PROTOCOL_SMTP, amount);
    every_order(EHLO_PROTOCOL_LMTP, amount);
  }
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

enum { AT_MAIL, AT_FIRST_RCPT, AT_LAST_RCPT, AT_DATA, AT_BODY, AT_MESSAGE, AT_FIRST_RESULT, AT_LAST_RESULT, PLACES };

static const struct loop_verdict verdicts[] = {{0, LOOP_NOW},   {0, LOOP_LATER},   {0, LOOP_SILENT}, {0, LOOP_FAIL},
                                               {450, LOOP_NOW}, {450, LOOP_LATER}, {554, LOOP_NOW},  {554, LOOP_LATER},
                                               {421, LOOP_NOW}, {421, LOOP_LATER}};

enum { VERDICTS = sizeof verdicts / sizeof verdicts[0] };

static void put_verdict(struct loop_message *message, unsigned place, struct loop_verdict verdict)
{
  switch (place) {
  case AT_MAIL: message->mail = verdict; break;
  case AT_FIRST_RCPT: message->rcpt[0] = verdict; break;
  case AT_LAST_RCPT: message->rcpt[2] = verdict; break;
  case AT_DATA: message->data = verdict; break;
  case AT_BODY: message->body = verdict; break;
  case AT_MESSAGE: message->message = verdict; break;
  case AT_FIRST_RESULT: message->result[0] = verdict; break;
  default: message->result[2] = verdict; break;
  }
}

/* What is to come of a message to three with this one verdict: reason and count of recipients. */
static void expect_of_verdict(const struct loop *loop, unsigned place, struct loop_verdict verdict)
{
  int lmtp = loop->client_config.protocol == EHLO_PROTOCOL_LMTP;
  int silent_no = verdict.how == LOOP_SILENT && place != AT_MAIL && place != AT_DATA && place != AT_BODY;
  int asked = lmtp ? place != AT_MESSAGE : place < AT_FIRST_RESULT;
  int no = asked && (verdict.code >= 400 || silent_no || verdict.how == LOOP_FAIL);
  uint32_t accepted = place > AT_LAST_RCPT ? 3 : 0;
  if (!no) {
    expect(loop, 0, EHLO_END_ACCEPTED, 3);
  } else if (verdict.code == 421) {
    const struct loop_sent *sent = &loop->sent[0];
    assert_int_equal(sent->ends, 1);
    assert_int_equal(sent->end.reason, place == AT_LAST_RESULT ? EHLO_END_MIXED : EHLO_END_SHUTDOWN); /* [C-SESS-08] */
    assert_int_equal(sent->end.code, 421);
    assert_int_equal(loop->quit, 0);
    return;
  } else if (verdict.how == LOOP_FAIL && place != AT_MAIL) {
    assert_int_equal(loop->sent[0].ends, 1);
    uint32_t reason = loop->sent[0].end.reason;
    assert_true(reason == (loop->sent[0].data_called ? EHLO_END_REFUSED : EHLO_END_RESET) ||
                (reason == EHLO_END_MIXED && place == AT_LAST_RESULT));
  } else if (place == AT_FIRST_RCPT || place == AT_LAST_RCPT) {
    expect(loop, 0, EHLO_END_ACCEPTED, 2);
  } else if (place == AT_FIRST_RESULT || place == AT_LAST_RESULT) {
    expect(loop, 0, EHLO_END_MIXED, 3);
  } else {
    expect(loop, 0, EHLO_END_REFUSED, accepted);
  }
  /* The session goes on. */
  expect(loop, 1, EHLO_END_ACCEPTED, 3);
  assert_int_equal(loop->quit, 221);
}

/* Bits of a way to hold the session. */
enum {
  WAY_LMTP = 1,
  WAY_LOCKSTEP = 2, /* the client does not use PIPELINING */
  WAY_PLAIN = 4,    /* the server does not offer it, nor enhanced codes */
  WAY_HOLD_DATA = 8,
  WAY_SMALL = 16, /* little output, few commands */
  WAY_MANY_PENDING = 32,
  WAY_GATHER = 64,
  WAY_EAGER = 128,
  WAY_PATIENT = 256,
  WAYS = 512
};

static int is_way(unsigned way)
{
  return !((way & WAY_LMTP) && (way & WAY_PLAIN)) && !((way & WAY_PLAIN) && (way & WAY_LOCKSTEP));
}

static void open_way(struct loop *loop, unsigned way, const struct loop_message *messages, size_t count)
{
  ehlo_client_config client = client_config();
  ehlo_server_config server = server_config();
  set_protocol(&client, &server, way & WAY_LMTP ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP);
  client.use[EHLO_EXT_PIPELINING] = !(way & WAY_LOCKSTEP);
  server.offer[EHLO_EXT_PIPELINING] = !(way & WAY_PLAIN);
  server.offer[EHLO_EXT_ENHANCEDSTATUSCODES] = !(way & WAY_PLAIN);
  client.hold_data = (way & WAY_HOLD_DATA) != 0;
  client.output_size = way & WAY_SMALL ? EHLO_CLIENT_MIN_OUTPUT_SIZE : EHLO_CLIENT_DEFAULT_OUTPUT_SIZE;
  loop_use_little(&client);
  client.max_commands = way & WAY_SMALL ? 1 : EHLO_CLIENT_DEFAULT_MAX_COMMANDS;
  server.output_size = way & WAY_SMALL ? EHLO_MIN_OUTPUT_SIZE : EHLO_DEFAULT_OUTPUT_SIZE;
  server.max_pending = way & WAY_MANY_PENDING ? 8 : 1;
  loop_open(loop, &client, &server, messages, count);
  loop->eager = (way & WAY_EAGER) != 0;
  loop->patient = (way & WAY_PATIENT) != 0;
}

static void every_verdict_in_every_way(void **state)
{
  (void)state;
  for (unsigned way = 0; way < WAYS; way++) {
    for (unsigned n = 0; n < PLACES * VERDICTS && is_way(way); n++) {
      struct loop_message messages[] = {{ALICE, THREE, TEXT(CONTENT)}, {ALICE, THREE, TEXT(CONTENT)}};
      messages[0].gather = messages[1].gather = (way & WAY_GATHER) != 0;
      put_verdict(&messages[0], n % PLACES, verdicts[n / PLACES]);
      struct loop loop;
      open_way(&loop, way, messages, 2);
      loop.amount[LOOP_ANSWER] = LOOP_LAST;
      run_and_check(&loop);
      expect_of_verdict(&loop, n % PLACES, verdicts[n / PLACES]);
      loop_close(&loop);
    }
  }
}

/* Each of three recipients, and each result: the truth of each is known. */
static void every_mixture_of_results(void **state)
{
  (void)state;
  static const struct loop_verdict some[] = {{0, LOOP_NOW}, {0, LOOP_LATER}, {450, LOOP_NOW}, {550, LOOP_LATER}};
  for (unsigned n = 0; n < 8 * 64 * 4; n++) {
    struct loop_message messages[] = {{ALICE, THREE, TEXT(CONTENT)}, {ALICE, BOB, TEXT(CONTENT)}};
    for (unsigned i = 0; i < 3; i++) {
      messages[0].rcpt[i].code = n >> i & 1 ? 550 : 0;
      messages[0].result[i] = some[n >> (3 + 2 * i) & 3];
    }
    uint32_t accepted = 3U - (n & 1) - (n >> 1 & 1) - (n >> 2 & 1);
    uint32_t good = 0;
    for (unsigned i = 0; i < accepted; i++) {
      good += messages[0].result[i].code == 0;
    }
    struct loop loop;
    open_way(&loop, WAY_LMTP | (n >> 9 & 1 ? WAY_MANY_PENDING : 0) | (n >> 10 & 1 ? WAY_LOCKSTEP : 0), messages, 2);
    loop.amount[LOOP_ANSWER] = LOOP_LAST;
    run_and_check(&loop); /* [C-LMTP-14] [C-PIPE-06] */
    expect(&loop, 0,
           accepted == 0 || good == 0 ? EHLO_END_REFUSED
           : good == accepted         ? EHLO_END_ACCEPTED
                                      : EHLO_END_MIXED,
           accepted);
    expect(&loop, 1, EHLO_END_ACCEPTED, 1);
    loop_close(&loop);
  }
}

/* All RCPTs refused: DATA may be on its way already. [C-PIPE-09] */
static void nobody_accepted_means_no_content(void **state)
{
  (void)state;
  static const struct loop_message messages[] = {
      {ALICE, THREE, TEXT(CONTENT), .rcpt = {{550, LOOP_NOW}, {450, LOOP_LATER}, {0, LOOP_SILENT}}},
      {ALICE, BOB, TEXT(CONTENT)}};
  for (unsigned way = 0; way < WAYS; way++) {
    if (is_way(way)) {
      struct loop loop;
      open_way(&loop, way, messages, 2);
      run_and_check(&loop);
      expect(&loop, 0, loop.sent[0].data_called ? EHLO_END_REFUSED : EHLO_END_RESET, 0);
      assert_int_equal(loop.sent[0].content, 0); /* [C-DATA-26] */
      assert_int_equal(loop.got[0].size, 0);
      expect(&loop, 1, EHLO_END_ACCEPTED, 1);
      loop_close(&loop);
    }
  }
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

static char lines[20000]; /* lines of every length, some of dots */

static void make_lines(void)
{
  size_t at = 0;
  for (size_t length = 0; at + length + 2 < sizeof lines; length++) {
    memset(lines + at, length % 3 == 0 ? '.' : 'x', length);
    at += length;
    lines[at++] = '\r';
    lines[at++] = '\n';
  }
  memset(lines + at, 'x', sizeof lines - at);
}

static void send_content(const char *content, size_t size, size_t piece, unsigned way, int convert_lf)
{
  struct loop_message messages[] = {{ALICE, BOB}, {ALICE, BOB, TEXT("next\r\n")}};
  messages[0].content = content;
  messages[0].size = size;
  messages[0].piece = piece;
  messages[0].gather = (way & WAY_GATHER) != 0;
  struct loop loop;
  ehlo_client_config client = client_config();
  client.convert_lf = (uint8_t)convert_lf;
  client.output_size = way & WAY_SMALL ? EHLO_CLIENT_MIN_OUTPUT_SIZE : EHLO_CLIENT_DEFAULT_OUTPUT_SIZE;
  loop_use_little(&client);
  loop_open(&loop, &client, NULL, messages, 2);
  loop.amount[LOOP_CLIENT_SEND] = way & WAY_SMALL ? 7 : 0;
  loop.eager = (way & WAY_EAGER) != 0;
  run_and_check(&loop);
  expect(&loop, 0, EHLO_END_ACCEPTED, 1);
  expect(&loop, 1, EHLO_END_ACCEPTED, 1);
  loop_close(&loop);
}

static void every_content_arrives_as_it_is(void **state)
{
  (void)state;
  static const char *const contents[] = {"",       "\r\n",     ".",         "..",         ".\r\n",     "a",
                                         "a\r\n",  "a\r\n.",   "\r\n.\r\n", "\r\n.\r\n.", "a\r\n..\r", "a\r\n\r\n\r\n",
                                         ".\r\nb", "x.\r\n.y", "...",       "\tx \r\n",   CONTENT};
  static const size_t pieces[] = {0, 1, 2, 3, 5, 64, 1000, 5000};
  static const unsigned ways[] = {0, WAY_GATHER, WAY_SMALL, WAY_GATHER | WAY_EAGER, WAY_SMALL | WAY_EAGER};
  make_lines();
  for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
      for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        size_t size = strlen(contents[i]);
        if (size == 0 || contents[i][size - 1] != '\r') {
          send_content(contents[i], size, pieces[p], ways[w], 0); /* [C-DATA-27] [C-DATA-28] [C-CMD-21] */
        }
      }
      send_content(lines, sizeof lines, pieces[p], ways[w], 0);
    }
  }
}

/* As local files have it. Content of both endings mixed is the same octets with LF alone, CRLF where it was. */
static void line_feeds_are_converted(void **state)
{
  (void)state;
  static const char *const contents[] = {"",        "\n",     ".\n",       "a\nb",           "\n\n.\n.\n", "a\r\nb\n",
                                         "a\n\r\n", "\r\n\n", "a\n..b\n.", "\n.\r\n.\n\r\n", ".",          "a\n"};
  static const size_t pieces[] = {0, 1, 2, 3};
  static const unsigned ways[] = {0, WAY_GATHER, WAY_SMALL};
  for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
      for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        send_content(contents[i], strlen(contents[i]), pieces[p], ways[w], 1);
      }
    }
  }
}

static void expect_given_up(const struct loop_message *message, const ehlo_client_config *client, size_t amount)
{
  struct loop loop;
  loop_open(&loop, client, NULL, message, 1);
  loop.amount[LOOP_CLIENT_SEND] = loop.amount[LOOP_SERVER_FEED] = amount;
  loop_run(&loop);
  loop_check(&loop);
  expect(&loop, 0, EHLO_END_FAILED, 1);
  assert_int_equal(loop.got[0].end.reason, EHLO_END_LOST);
  assert_int_equal(loop.sent[0].whole, 0);
  loop_close(&loop);
}

static void content_that_may_not_go_out_is_never_whole(void **state)
{
  (void)state;
  static const char *const contents[] = {"a\nb\r\n", "a\rb\r\n", "a\r\n\n",      "\n.\r\n",       "a\r\n\r",
                                         "\r",       "a\r\r\n",  "\xC3\xB8\r\n", "a\r\n.\r\n\x80"};
  for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
    for (size_t piece = 0; piece < 4; piece++) {
      for (unsigned gather = 0; gather < 2; gather++) {
        struct loop_message message = {ALICE, BOB, .content = contents[i], .size = strlen(contents[i])};
        message.piece = piece;
        message.gather = (uint8_t)gather;
        expect_given_up(&message, NULL, piece); /* [C-CMD-21] [C-DATA-29] [C-8BIT-05] */
      }
    }
  }
  /* With BODY=8BITMIME octets are octets; a bare CR stays forbidden where LF is converted. */
  ehlo_mail_parameters options = {.struct_size = sizeof options, .body = EHLO_BODY_8BITMIME};
  struct loop_message message = {ALICE, BOB, TEXT("\xC3\xB8\x80\xFF\r\n"), .options = &options};
  struct loop loop;
  loop_open(&loop, NULL, NULL, &message, 1);
  run_and_check(&loop);
  expect(&loop, 0, EHLO_END_ACCEPTED, 1);
  loop_close(&loop);
  ehlo_client_config client = client_config();
  client.convert_lf = 1;
  struct loop_message bare = {ALICE, BOB, TEXT("a\rb\n")};
  expect_given_up(&bare, &client, 0);
}

static void content_given_up_is_never_whole(void **state)
{
  (void)state;
  for (size_t at = 0; at <= sizeof CONTENT - 1; at++) {
    for (unsigned n = 0; n < 8; n++) {
      struct loop_message message = {ALICE, BOB, TEXT(CONTENT), .abort = 1, .abort_at = at};
      message.piece = 1 + n / 4;
      message.gather = n & 1;
      expect_given_up(&message, NULL, n >> 1 & 1 ? 1 : 0);
    }
  }
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

static void open_chunks(struct loop *loop, unsigned way, int convert_lf, const struct loop_message *messages,
                        size_t count)
{
  ehlo_client_config client = client_config();
  ehlo_server_config server = server_config();
  set_protocol(&client, &server, way & 1 ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP);
  client.use[EHLO_EXT_PIPELINING] = way >> 1 & 1;
  client.chunking = EHLO_CHUNKING_ALWAYS;
  client.convert_lf = (uint8_t)convert_lf;
  client.max_commands = way & 4 ? 2 : client.max_commands;
  server.offer[EHLO_EXT_CHUNKING] = server.offer[EHLO_EXT_BINARYMIME] = 1;
  loop_open(loop, &client, &server, messages, count);
}

/* What comes out of chunks is what went in, whatever the pieces. [C-CHNK-11] [C-CHNK-13] */
static void content_goes_by_chunks(void **state)
{
  (void)state;
  static const char *const contents[] = {"", "x", ".\r\n.\r\n", "a\r\nb", "BDAT 5\r\n\r\n", "QUIT\r\n.\r\nRSET\r\n"};
  static const char *const converted[] = {
      "", "x", "\n", ".\n.\n", "a\r\nb\nc", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\nx"};
  for (unsigned way = 0; way < 8; way++) {
    for (unsigned n = 0; n < 2 * 6 * 2 * 4; n++) {
      const char *content = n & 1 ? converted[n / 2 % 6] : contents[n / 2 % 6];
      struct loop_message message = {ALICE, BOB, .content = content, .size = strlen(content)};
      message.gather = n / 12 % 2;
      message.piece = n / 24;
      struct loop loop;
      open_chunks(&loop, way, n & 1, &message, 1);
      run_and_check(&loop);
      expect(&loop, 0, EHLO_END_ACCEPTED, 1);
      assert_int_equal(loop.sent[0].data, 0);
      loop_close(&loop);
    }
  }
}

static void binary_content_goes_as_it_is(void **state)
{
  (void)state;
  ehlo_mail_parameters options = {.struct_size = sizeof options, .body = EHLO_BODY_BINARYMIME};
  for (unsigned way = 0; way < 8; way++) {
    for (unsigned n = 0; n < 6; n++) {
      struct loop_message message = {ALICE, BOB, TEXT("\n\r\0\xFF\n.\r\n.\n\r"), .options = &options};
      message.gather = n & 1;
      message.piece = n / 2;
      struct loop loop;
      open_chunks(&loop, way, n & 1, &message, 1);
      loop_run(&loop);
      expect(&loop, 0, EHLO_END_ACCEPTED, 1);
      assert_int_equal(loop.got[0].size, message.size);
      assert_memory_equal(loop.got[0].content, message.content, message.size);
      loop_close(&loop);
    }
  }
}

/* A refused chunk is the end of the transaction, whatever of it is out. [C-CHNK-12] [C-RSET-04] */
static void a_refused_chunk_fails_the_message(void **state)
{
  (void)state;
  for (unsigned way = 0; way < 8; way++) {
    for (unsigned n = 0; n < 2 * 4 * 20; n++) {
      struct loop_message messages[2] = {{ALICE, BOB, TEXT("abcdefghijklmnopqrst\r\n")}, {ALICE, BOB, TEXT("x\r\n")}};
      messages[0].body = (struct loop_verdict){552, LOOP_NOW};
      messages[0].body_at = n / 8;
      messages[0].gather = n & 1;
      messages[0].piece = 1 + n / 2 % 4;
      struct loop loop;
      open_chunks(&loop, way, 0, messages, 2);
      loop_run(&loop);
      expect(&loop, 0, EHLO_END_REFUSED, 1);
      assert_int_equal(loop.sent[0].end.needs_reset, 1); /* [C-CHNK-12] */
      expect(&loop, 1, EHLO_END_ACCEPTED, 1);
      assert_int_equal(loop.sent[0].end.code, 552);
      assert_int_equal(loop.got[0].end.reason, EHLO_END_REFUSED);
      assert_int_equal(loop.quit, 221);
      loop_close(&loop);
    }
  }
}

/* And the server holds it until RSET, also if the last chunk was on its way: the next message is taken behind that.
 * [C-CHNK-12] */
static void behind_a_refused_chunk_the_next_message_is_taken(void **state)
{
  (void)state;
  for (unsigned n = 0; n < 8 * 4; n++) {
    struct loop_message messages[] = {{ALICE, BOB, TEXT("abcdef"), .body = {552, LOOP_NOW}, .piece = 1 + n / 8 % 4 * 2},
                                      {ALICE, BOB, TEXT(CONTENT)}};
    ehlo_client_config client = client_config();
    ehlo_server_config server = server_config();
    set_protocol(&client, &server, n & 1 ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP);
    client.use[EHLO_EXT_PIPELINING] = n >> 1 & 1;
    client.chunking = EHLO_CHUNKING_ALWAYS;
    struct loop loop;
    loop_open(&loop, &client, &server, messages, 2);
    loop.patient = n >> 2 & 1;
    run_and_check(&loop);
    expect(&loop, 0, EHLO_END_REFUSED, 1);
    assert_int_equal(loop.sent[0].end.needs_reset, 1);
    expect(&loop, 1, EHLO_END_ACCEPTED, 1);
    loop_close(&loop);
  }
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

/* Several messages on one connection, each of which ends in another way. */
static void many_messages_on_one_connection(void **state)
{
  (void)state;
  static const struct loop_message messages[] = {
      {ALICE, BOB, TEXT(CONTENT)},
      {ALICE, THREE, TEXT("2"), .mail = {550, LOOP_NOW}},
      {ALICE, THREE, TEXT("3\r\n"), .rcpt = {{450, LOOP_LATER}}},
      {.from = "", BOB, TEXT("."), .message = {451, LOOP_LATER}, .result = {{451, LOOP_LATER}}},
      {ALICE, THREE, TEXT("5\r\n"), .data = {452, LOOP_NOW}},
      {ALICE, THREE, TEXT("6\r\n"), .rcpt = {{550, LOOP_NOW}, {550, LOOP_NOW}, {550, LOOP_NOW}}},
      {ALICE, THREE, TEXT("7\r\n"), .body = {552, LOOP_NOW}},
      {ALICE, THREE, TEXT("8\r\n")},
  };
  static const uint32_t reasons[] = {EHLO_END_ACCEPTED, EHLO_END_REFUSED, EHLO_END_ACCEPTED,
                                     EHLO_END_REFUSED,  EHLO_END_REFUSED, 0,
                                     EHLO_END_REFUSED,  EHLO_END_ACCEPTED};
  for (unsigned way = 0; way < WAYS; way++) {
    for (size_t amount = 0; amount < 2 && is_way(way); amount++) {
      struct loop loop;
      open_way(&loop, way, messages, 8);
      loop.amount[LOOP_CLIENT_SEND] = loop.amount[LOOP_CLIENT_FEED] = amount;
      run_and_check(&loop); /* [C-PIPE-05] [C-MAIL-15] */
      for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(loop.sent[i].ends, 1);
        assert_true(reasons[i] == 0 || loop.sent[i].end.reason == reasons[i]);
      }
      assert_int_equal(loop.quit, 221); /* [C-SESS-05] */
      loop_close(&loop);
    }
  }
}

static void a_server_that_refuses_to_talk(void **state)
{
  (void)state;
  static const struct loop_message message = {ALICE, BOB, TEXT(CONTENT)};
  static const struct loop_verdict no[] = {{554, LOOP_NOW}, {450, LOOP_NOW}, {554, LOOP_LATER}, {521, LOOP_NOW}};
  for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
    struct loop loop;
    loop_open(&loop, NULL, NULL, &message, 1);
    loop.hello = no[i];
    run_and_check(&loop);
    assert_int_equal(loop.sent[0].called, 0);
    assert_int_equal(loop.quit, 221);
    loop_close(&loop);
    loop_open(&loop, NULL, NULL, &message, 1);
    loop.opened = no[i];
    run_and_check(&loop);
    assert_int_equal(loop.sent[0].called, 0);
    assert_int_equal(loop.greeting, no[i].code);
    assert_int_equal(loop.quit / 100 == 2 || loop.quit == 521, 1); /* [C-SESS-07] */
    loop_close(&loop);
  }
}

static void a_server_that_knows_no_ehlo(void **state)
{
  (void)state;
  static const struct loop_message messages[] = {{ALICE, THREE, TEXT(CONTENT), .rcpt = {{550, LOOP_NOW}}},
                                                 {ALICE, BOB, TEXT(CONTENT)}};
  for (size_t amount = 0; amount < 2; amount++) {
    for (uint16_t code = 500; code <= 504; code++) {
      struct loop loop;
      loop_open(&loop, NULL, NULL, messages, 2);
      loop.amount[LOOP_CLIENT_FEED] = loop.amount[LOOP_CLIENT_SEND] = amount;
      loop.hello = (struct loop_verdict){code, LOOP_NOW};
      run_and_check(&loop);
      assert_int_equal(loop.hello_verb, EHLO_VERB_HELO); /* [C-HELO-02] */
      assert_int_equal(ehlo_client_offers(loop.client, EHLO_EXT_PIPELINING), 0);
      expect(&loop, 0, EHLO_END_ACCEPTED, 2);
      expect(&loop, 1, EHLO_END_ACCEPTED, 1);
      loop_close(&loop);
    }
  }
}

/* ---- extensions -------------------------------------------------------------------------------------------------- */

/* A server that offers all that can be offered together, as a submission server or as another. */
static ehlo_server_config server_with_all(int submission)
{
  ehlo_server_config config = server_config();
  for (unsigned e = 0; e < EHLO_EXT_COUNT; e++) {
    config.offer[e] = 1;
  }
  config.submission = (uint8_t)submission;
  config.offer[EHLO_EXT_BURL] = config.offer[EHLO_EXT_FUTURERELEASE] = (uint8_t)submission;
  config.offer[EHLO_EXT_ETRN] = config.offer[EHLO_EXT_ATRN] = (uint8_t)!submission;
  config.mechanisms = (1U << EHLO_SASL_COUNT) - 2;
  config.hold_max = 86400;
  config.hold_max_time = 2000000000;
  return config;
}

static ehlo_span span(const char *text)
{
  return ehlo_span_of(text);
}

/* MAIL and RCPT with all that may stand together, in three ways. */
static ehlo_mail_parameters mail_with(unsigned which)
{
  ehlo_mail_parameters all = {.struct_size = sizeof all};
  all.size = which == 0 ? 0 : 12345;
  all.has_size = 1;
  all.body = which == 1 ? EHLO_BODY_BINARYMIME : which == 2 ? EHLO_BODY_7BIT : EHLO_BODY_8BITMIME;
  all.smtputf8 = which == 1;
  all.ret = which == 0 ? EHLO_RET_FULL : EHLO_RET_HDRS;
  all.envid = span("QQ314159+2B");
  all.auth = span(which == 0 ? "<>" : "e+3Dmc2@example.com");
  all.requiretls = 1;
  all.has_priority = 1;
  all.priority = (int32_t)which * 9 - 9;
  if (which == 0) {
    all.by_mode = EHLO_BY_NOTIFY;
    all.by_trace = 1;
    all.by_time = -120;
  } else if (which == 1) {
    all.hold_for = 86400;
  } else {
    all.has_hold_until = 1;
    all.hold_until = 2000000000;
  }
  all.solicit = span("net.example:ADV,org.example:ADV:ADLT");
  all.mtrk = span("bG9jYXRpb24K");
  all.has_mtrk_timeout = which != 2;
  all.mtrk_timeout = which == 1 ? 1440 : 0;
  all.submitter = span("alice@example.com");
  all.conperm = 1;
  return all;
}

static ehlo_rcpt_parameters rcpt_with(unsigned which)
{
  ehlo_rcpt_parameters all = {.struct_size = sizeof all};
  all.notify = which == 0 ? EHLO_NOTIFY_NEVER : which == 1 ? EHLO_NOTIFY_SUCCESS | EHLO_NOTIFY_DELAY : 14;
  all.conneg = 1;
  all.orcpt_type = span(which == 1 ? "x400" : "rfc822");
  all.orcpt_address = span("Bob+20B@example.org");
  all.rrvs = which == 1 ? EHLO_RRVS_CONTINUE : EHLO_RRVS_REJECT;
  all.rrvs_action = which != 0;
  all.rrvs_time = 1396566060;
  return all;
}

static const struct loop_service with_tls[] = {{.verb = EHLO_VERB_STARTTLS}};

/* What is given at the one end is told at the other, whatever the extension: the loopback holds the one to the other.
 * Without the offer it does not leave. */
static void every_parameter_arrives(void **state)
{
  (void)state;
  for (unsigned n = 0; n < 3 * 2 * 2; n++) {
    unsigned which = n % 3;
    int offered = n / 3 % 2 == 0;
    ehlo_client_config client = client_config();
    ehlo_server_config server = offered ? server_with_all(1) : server_config();
    ehlo_mail_parameters options = mail_with(which);
    ehlo_rcpt_parameters rcpt[] = {rcpt_with(0), rcpt_with(1), rcpt_with(2)};
    struct loop_message message = {ALICE, THREE, TEXT("x\r\n"), .options = &options};
    message.rcpt_options[0] = &rcpt[0];
    message.rcpt_options[1] = &rcpt[1];
    message.rcpt_options[2] = &rcpt[2];
    struct loop loop;
    loop_open(&loop, &client, &server, &message, 1);
    loop.services = with_tls;
    loop.service_count = 1;
    loop.amount[LOOP_CLIENT_SEND] = loop.amount[LOOP_CLIENT_FEED] = n / 6;
    run_and_check(&loop);
    if (offered) {
      expect(&loop, 0, EHLO_END_ACCEPTED, 3);
      assert_int_equal(loop.sent[0].plain, 0);
      assert_int_equal(loop.sent[0].data, which == 1 ? 0 : 354);
      assert_int_equal(ehlo_server_tls(loop.server), 1);
    } else {
      assert_int_equal(loop.sent[0].called, 0);
      assert_true(loop.sent[0].error == EHLO_ERR_NOT_OFFERED || loop.sent[0].error == EHLO_ERR_TLS);
      assert_int_equal(loop.receiving, -1);
      assert_int_equal(loop.done[0].error, EHLO_ERR_NOT_OFFERED);
    }
    assert_int_equal(loop.quit, 221);
    loop_close(&loop);
  }
}

/* A server's events, given as they came to a client's calls. */
struct relay {
  ehlo_client *client;
  int mails, rcpts;
};

static int relay_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct relay *relay = user;
  if (event->type == EHLO_EVENT_MAIL) {
    const ehlo_event_mail *mail = &event->as.mail;
    assert_int_equal(ehlo_client_mail(relay->client, mail->path.mailbox, &mail->parameters, 0), EHLO_OK);
    relay->mails++;
  } else if (event->type == EHLO_EVENT_RCPT) {
    const ehlo_event_rcpt *rcpt = &event->as.rcpt;
    assert_int_equal(ehlo_client_rcpt(relay->client, rcpt->path.mailbox, &rcpt->parameters, 0), EHLO_OK);
    relay->rcpts++;
  }
  return event->type == EHLO_EVENT_RCPT ? ehlo_server_accept(server, event->ticket) : EHLO_HANDLED;
}

static int ignore_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  (void)client;
  (void)event;
  (void)user;
  return EHLO_HANDLED;
}

/* Feeds the server what the client has to send, and back, until nothing is left. */
static void carry(ehlo_client *client, ehlo_server *server)
{
  size_t up = 1;
  size_t down = 1;
  while (up + down > 0) {
    size_t used;
    const void *data = ehlo_client_output(client, &up);
    char copy[8192];
    assert_true(up <= sizeof copy);
    memcpy(copy, up > 0 ? data : "", up);
    ehlo_client_sent(client, up);
    assert_int_equal(ehlo_server_feed(server, copy, up, &used), EHLO_OK);
    assert_int_equal(used, up);
    data = ehlo_server_output(server, &down);
    assert_true(down <= sizeof copy);
    memcpy(copy, down > 0 ? data : "", down);
    ehlo_server_sent(server, down);
    assert_int_equal(ehlo_client_feed(client, copy, down, &used), EHLO_OK);
  }
}

static ehlo_server *make_server(const ehlo_server_config *config, ehlo_server_event_fn *on_event, void *user)
{
  ehlo_server *server;
  size_t size = ehlo_server_size(config);
  assert_true(size > 0);
  assert_int_equal(ehlo_server_init(&server, malloc(size), size, config, on_event, user), EHLO_OK);
  assert_int_equal(ehlo_server_tls_done(server, NULL), EHLO_OK);
  assert_int_equal(ehlo_server_start(server), EHLO_OK);
  return server;
}

static ehlo_client *make_client(void)
{
  ehlo_client *client;
  ehlo_client_config config = client_config();
  size_t size = ehlo_client_size(&config);
  assert_int_equal(ehlo_client_init(&client, malloc(size), size, &config, ignore_event, NULL), EHLO_OK);
  assert_int_equal(ehlo_client_tls_done(client), EHLO_OK);
  assert_int_equal(ehlo_client_hello(client, 0), EHLO_OK);
  return client;
}

struct told {
  char raw[2][4096];
};

static int tell_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct told *told = user;
  if (event->type == EHLO_EVENT_MAIL) {
    assert_true(event->as.mail.raw.len < sizeof told->raw[0]);
    memcpy(told->raw[0], event->as.mail.raw.ptr, event->as.mail.raw.len);
  } else if (event->type == EHLO_EVENT_RCPT) {
    assert_true(event->as.rcpt.raw.len < sizeof told->raw[1]);
    memcpy(told->raw[1], event->as.rcpt.raw.ptr, event->as.rcpt.raw.len);
  }
  return event->type == EHLO_EVENT_RCPT ? ehlo_server_accept(server, event->ticket) : EHLO_HANDLED;
}

/* Two hops: what the first server tells is what the second client takes, and the second server is told the same as the
 * first was, octet by octet. */
static void what_came_in_can_be_passed_on(void **state)
{
  (void)state;
  ehlo_server_config config = server_with_all(1);
  for (unsigned n = 0; n < 3; n++) {
    struct relay relay = {0};
    struct told told = {0};
    ehlo_client *first = make_client();
    ehlo_server *relaying = make_server(&config, relay_event, &relay);
    relay.client = make_client();
    ehlo_server *last = make_server(&config, tell_event, &told);
    carry(relay.client, last);
    carry(first, relaying);
    ehlo_mail_parameters mail = mail_with(n);
    ehlo_rcpt_parameters rcpt = rcpt_with(n);
    assert_int_equal(ehlo_client_mail(first, span("alice@example.com"), &mail, 0), EHLO_OK);
    assert_int_equal(ehlo_client_rcpt(first, span("bob@example.org"), &rcpt, 0), EHLO_OK);
    carry(first, relaying);
    assert_int_equal(relay.mails, 1);
    assert_int_equal(relay.rcpts, 1);
    carry(relay.client, last);
    char formatted[4096];
    size_t length;
    assert_int_equal(ehlo_format_mail_parameters(&mail, EHLO_PARSE_UTF8, formatted, sizeof formatted - 1, &length),
                     EHLO_OK);
    formatted[length] = '\0';
    assert_string_equal(told.raw[0], formatted + 1);
    assert_int_equal(ehlo_format_rcpt_parameters(&rcpt, EHLO_PARSE_UTF8, formatted, sizeof formatted - 1, &length),
                     EHLO_OK);
    formatted[length] = '\0';
    assert_string_equal(told.raw[1], formatted + 1);
    free(first);
    free(relaying);
    free(relay.client);
    free(last);
  }
}

static ehlo_credentials credentials_of(uint32_t mechanism)
{
  ehlo_credentials all = {.struct_size = sizeof all, .mechanism = mechanism};
  all.authzid = span("admin");
  all.authcid = span("tim@example.com");
  all.secret = span("tanstaaftanstaaf==");
  all.host = span("mail.example.org");
  all.port = 587;
  return all;
}

/* Each mechanism, in clear and under TLS, accepted and not: the server's host hears what the client's host said. */
static void every_mechanism_arrives(void **state)
{
  (void)state;
  static const struct loop_message message = {ALICE, BOB, TEXT(CONTENT)};
  for (unsigned n = 0; n < (EHLO_SASL_COUNT - 1) * 8; n++) {
    uint32_t mechanism = 1 + n / 8;
    int under_tls = n & 1;
    uint16_t code = n & 2 ? 535 : 235;
    ehlo_credentials credentials = credentials_of(mechanism);
    struct loop_service services[] = {
        {.verb = EHLO_VERB_STARTTLS, .verdict = {under_tls ? 220 : 454, LOOP_NOW}},
        {.verb = EHLO_VERB_AUTH, .credentials = &credentials, .verdict = {code, n & 4 ? LOOP_LATER : LOOP_NOW}}};
    ehlo_client_config client = client_config();
    ehlo_server_config server = server_with_all(0);
    client.allow_plaintext_auth = server.allow_plaintext_auth = n & 4 ? 1 : 0;
    struct loop loop;
    loop_open(&loop, &client, &server, &message, 1);
    loop.services = services;
    loop.service_count = 2;
    run_and_check(&loop);
    assert_int_equal(loop.done[0].code, under_tls ? 220 : 454);
    if (loop.done[1].called == 1) {
      assert_int_equal(loop.done[1].code, code);
      assert_int_equal(loop.done[1].arrived, mechanism <= EHLO_SASL_OAUTHBEARER ? 1 : 2);
      assert_int_equal(ehlo_client_authenticated(loop.client), code == 235);
    } else {
      int needs_tls = mechanism <= EHLO_SASL_OAUTHBEARER || mechanism == EHLO_SASL_SCRAM_SHA_1_PLUS ||
                      mechanism == EHLO_SASL_SCRAM_SHA_256_PLUS;
      assert_true(!under_tls && needs_tls);
    }
    assert_true(!under_tls || loop.done[1].called == 1);
    expect(&loop, 0, EHLO_END_ACCEPTED, 1);
    loop_close(&loop);
  }
}

/* The services between the messages of one session. */
static void services_between_messages(void **state)
{
  (void)state;
  static const struct loop_message messages[] = {{ALICE, BOB, TEXT("1\r\n")}, {ALICE, BOB, TEXT("2\r\n")}};
  ehlo_credentials credentials = credentials_of(EHLO_SASL_PLAIN);
  struct loop_service services[] = {
      {.verb = EHLO_VERB_STARTTLS, .at = 0},
      {.verb = EHLO_VERB_AUTH, .at = 0, .credentials = &credentials, .verdict = {235, LOOP_NOW}},
      {.verb = EHLO_VERB_ETRN, .at = 0, .argument = "@example.com", .verdict = {253, LOOP_LATER}},
      {.verb = EHLO_VERB_XFORWARD, .at = 1, .argument = "NAME=spike.example ADDR=192.0.2.1"},
      {.verb = EHLO_VERB_ETRN, .at = 1, .argument = "#queue", .verdict = {458, LOOP_NOW}},
      {.verb = EHLO_VERB_XCLIENT, .at = 1, .argument = "NAME=spike.example PROTO=ESMTP"},
      {.verb = EHLO_VERB_ETRN, .at = 2, .argument = "example.com", .verdict = {250, LOOP_NOW}}};
  static const uint32_t codes[] = {220, 235, 253, 250, 458, 220, 250};
  for (size_t amount = 0; amount < 4; amount++) {
    ehlo_client_config client = client_config();
    ehlo_server_config server = server_with_all(0);
    struct loop loop;
    loop_open(&loop, &client, &server, messages, 2);
    loop.services = services;
    loop.service_count = 7;
    for (unsigned i = 0; i < 4; i++) {
      loop.amount[octet_steps[i]] = amount;
    }
    loop.eager = amount & 1;
    run_and_check(&loop);
    for (unsigned i = 0; i < 7; i++) {
      assert_int_equal(loop.done[i].code, codes[i]);
      assert_int_equal(loop.done[i].arrived, 1);
    }
    assert_int_equal(ehlo_client_authenticated(loop.client), 0); /* XCLIENT made it forgotten */
    assert_int_equal(ehlo_client_tls(loop.client), 1);
    expect(&loop, 0, EHLO_END_ACCEPTED, 1);
    expect(&loop, 1, EHLO_END_ACCEPTED, 1);
    loop_close(&loop);
  }
}

/* By URL in place of DATA, and what was begun in another session goes on at its offset. */
static void content_that_the_server_has_or_fetches(void **state)
{
  (void)state;
  ehlo_mail_parameters options = {.struct_size = sizeof options, .transid = span("<1@client.example.com>")};
  for (unsigned n = 0; n < 12; n++) {
    struct loop_message message = {ALICE, THREE, TEXT(CONTENT)};
    if (n & 1) {
      message.burl = "imap://example.org/Drafts;uid=1;urlauth=submit";
      message.message.code = n & 2 ? 554 : 0;
    } else {
      message.options = &options;
      message.resume = n & 2 ? 1 : 0;
      message.resume_at = n & 4 ? 18 : 0; /* behind a line */
    }
    ehlo_client_config client = client_config();
    client.chunking = n & 8 ? EHLO_CHUNKING_ALWAYS : EHLO_CHUNKING_AUTO;
    ehlo_server_config server = server_with_all(1);
    struct loop loop;
    loop_open(&loop, &client, &server, &message, 1);
    run_and_check(&loop);
    if (n & 1) {
      expect(&loop, 0, n & 2 ? EHLO_END_REFUSED : EHLO_END_ACCEPTED, 3);
      assert_int_equal(loop.sent[0].burl, 1);
    } else {
      expect(&loop, 0, EHLO_END_ACCEPTED, n & 2 ? 0 : 3);
      assert_int_equal(loop.sent[0].mail, n & 2 ? 355 : 250);
      assert_int_equal(loop.got[0].size, sizeof CONTENT - 1 - (n & 2 ? message.resume_at : 0));
    }
    loop_close(&loop);
  }
}

/* LIMITS: the client stops where the server would (RFC 9422 4.1). */
static void limits_are_kept(void **state)
{
  (void)state;
  static const struct loop_message messages[] = {{ALICE, THREE, TEXT("1\r\n")}, {ALICE, BOB, TEXT("2\r\n")}};
  for (unsigned use = 0; use < 2; use++) {
    ehlo_client_config client = client_config();
    ehlo_server_config server = server_with_all(0);
    client.use[EHLO_EXT_LIMITS] = (uint8_t)use;
    server.max_transactions = 1;
    server.max_recipients = 2;
    struct loop loop;
    loop_open(&loop, &client, &server, messages, 2);
    loop_run(&loop);
    loop_check(&loop);
    expect(&loop, 0, EHLO_END_ACCEPTED, 2);
    assert_int_equal(loop.sent[0].rcpt_called, use ? 2 : 3);
    assert_int_equal(loop.sent[1].called, !use);
    assert_int_equal(loop.sent[1].error, use ? EHLO_ERR_LIMIT : 0);
    assert_int_equal(loop.sent[1].mail, use ? 0 : 452);
    loop_close(&loop);
  }
}

/* ---- what breaks ------------------------------------------------------------------------------------------------- */

static const struct loop_message break_session[] = {
    {ALICE, THREE, TEXT(CONTENT), .rcpt = {{0, LOOP_LATER}, {550, LOOP_NOW}}, .message = {0, LOOP_LATER},
     .result = {{0, LOOP_NOW}, {550, LOOP_LATER}}},
    {ALICE, BOB, TEXT("second\r\n")}};

enum { LOSE_ALL, LOSE_UP, LOSE_DOWN, CLIENT_TIME_OUT, SERVER_TIME_OUT, SHUT_DOWN, MOVE, BREAKS };

/* Something happens behind the n-th move. Returns 0 if all was over before. */
static int break_at(unsigned n, unsigned how, unsigned way, size_t amount)
{
  struct loop loop;
  open_way(&loop, way, break_session, 2);
  for (unsigned i = 0; i < 4; i++) {
    loop.amount[octet_steps[i]] = amount;
  }
  int going = 1;
  for (unsigned i = 0; i < n && going; i++) {
    going = loop_advance(&loop);
    if (going && how == MOVE) {
      loop_move(&loop, CLIENT);
      loop_move(&loop, SERVER);
    }
  }
  if (going) {
    switch (how) {
    case LOSE_ALL: loop_lose(&loop, 0, 0); break;
    case LOSE_UP: loop_lose(&loop, 0, SIZE_MAX); break;
    case LOSE_DOWN: loop_lose(&loop, SIZE_MAX, 0); break;
    case CLIENT_TIME_OUT: loop_time_out(&loop, CLIENT); break;
    case SERVER_TIME_OUT: loop_time_out(&loop, SERVER); break;
    case SHUT_DOWN: assert_int_equal(ehlo_server_shutdown(loop.server, 421, NULL, ehlo_span_of("Bye")), EHLO_OK); break;
    default: break;
    }
  }
  loop_run(&loop);
  loop_check(&loop); /* [C-SESS-04] [C-LMTP-13] */
  loop_close(&loop);
  return going;
}

static void break_everywhere(unsigned how)
{
  static const unsigned ways[] = {0, WAY_LMTP, WAY_LOCKSTEP | WAY_EAGER, WAY_LMTP | WAY_MANY_PENDING | WAY_EAGER};
  static const size_t amounts[] = {0, 5};
  for (unsigned i = 0; i < 8; i++) {
    for (unsigned n = 1; break_at(n, how, ways[i / 2], amounts[i % 2]); n++) {
    }
  }
}

static void a_connection_that_breaks_anywhere(void **state)
{
  (void)state;
  break_everywhere(LOSE_ALL);
  break_everywhere(LOSE_UP);
  break_everywhere(LOSE_DOWN);
}

static void a_clock_that_runs_out_anywhere(void **state)
{
  (void)state;
  break_everywhere(CLIENT_TIME_OUT);
  break_everywhere(SERVER_TIME_OUT);
}

static void a_server_that_shuts_down_anywhere(void **state)
{
  (void)state;
  break_everywhere(SHUT_DOWN);
}

static void blocks_move_at_any_time(void **state)
{
  (void)state;
  assert_int_equal(break_at(100000, MOVE, WAY_EAGER, 1), 0);
  assert_int_equal(break_at(100000, MOVE, WAY_LMTP | WAY_MANY_PENDING, 3), 0);
}

/* ---- TURN -------------------------------------------------------------------------------------------------------- */

static const struct loop_message a_to_b[] = {{ALICE, BOB, TEXT("from A\r\n")}};
static const struct loop_message b_to_a[] = {{.from = "bob@example.org",
                                              .to = {"alice@example.com", "eve@example.com"},
                                              .recipients = 2,
                                              TEXT("from B\r\n"),
                                              .rcpt = {{0, LOOP_NOW}, {550, LOOP_NOW}}},
                                             {.from = "", .to = {"alice@example.com"}, .recipients = 1, TEXT(".")}};

static ehlo_server_config server_with_turn(void)
{
  ehlo_server_config config = server_config();
  config.offer[EHLO_EXT_TURN] = 1;
  return config;
}

/* RFC 821 3.8: A mails to B, then they change roles, and B mails to A. */
static void roles_are_reversed(void **state)
{
  (void)state;
  static const size_t amounts[] = {0, 1, 3};
  ehlo_server_config with_turn = server_with_turn();
  for (unsigned n = 0; n < 3 * 2 * 2; n++) {
    struct loop first;
    loop_open(&first, NULL, &with_turn, a_to_b, 1);
    first.turn_at = n & 1; /* before or behind the message */
    first.turn = (struct loop_verdict){0, n >> 1 & 1 ? LOOP_LATER : LOOP_NOW};
    for (unsigned i = 0; i < 4; i++) {
      first.amount[octet_steps[i]] = amounts[n / 4];
    }
    run_and_check(&first);
    assert_int_equal(ehlo_client_want(first.client), EHLO_WANT_TURN);
    assert_int_equal(ehlo_server_want(first.server), EHLO_WANT_TURN);
    assert_int_equal(first.turned, 250);
    assert_int_equal(first.sent[0].ends, n & 1);
    assert_int_equal(ehlo_client_noop(first.client, ehlo_span_of(""), 0), EHLO_ERR_STATE);

    ehlo_client_config b = client_config();
    ehlo_server_config a = server_config();
    b.hostname = ehlo_span_of("b.example.org");
    a.hostname = ehlo_span_of("a.example.com");
    struct loop second;
    loop_turn(&second, &first, &b, &a, b_to_a, 2);
    for (unsigned i = 0; i < 4; i++) {
      second.amount[octet_steps[i]] = amounts[n / 4];
    }
    run_and_check(&second);
    expect(&second, 0, EHLO_END_ACCEPTED, 1);
    expect(&second, 1, EHLO_END_ACCEPTED, 1);
    assert_int_equal(second.greeting, 220);
    assert_int_equal(second.quit, 221);
    loop_close(&first);
    loop_close(&second);
  }
}

static void roles_that_are_not_reversed(void **state)
{
  (void)state;
  static const struct loop_verdict no[] = {{0, LOOP_SILENT}, {502, LOOP_NOW}, {502, LOOP_LATER}, {450, LOOP_NOW}};
  ehlo_server_config with_turn = server_with_turn();
  for (unsigned n = 0; n < 4 * 2; n++) {
    struct loop loop;
    loop_open(&loop, NULL, &with_turn, a_to_b, 1);
    loop.turn_at = n & 1;
    loop.turn = no[n / 2];
    run_and_check(&loop);
    assert_int_equal(loop.turned, no[n / 2].code == 0 ? 502 : no[n / 2].code);
    expect(&loop, 0, EHLO_END_ACCEPTED, 1);
    assert_int_equal(loop.quit, 221);
    loop_close(&loop);
  }
}

/* The peer's octets behind TURN and behind its reply, in the same read, belong to the machine that takes over: at A to
 * its new server, at B to its new client. */
static void what_follows_turn_is_left_to_the_other_machine(void **state)
{
  (void)state;
  static const char to_a[] = "250 2.0.0 Turned\r\nEHLO b.example.org\r\nQUIT\r\n";
  static const char to_b[] = "TURN\r\n220 a.example.com\r\n";
  enum { TURNED = 18, TURN = 6 };
  ehlo_server_config with_turn = server_with_turn();
  for (size_t cut = 0; cut < sizeof to_a; cut++) {
    struct loop first;
    struct loop second;
    size_t size;
    size_t used;
    size_t more = 0;
    loop_open(&first, NULL, &with_turn, a_to_b, 0);
    first.turn_at = 0;
    first.turn.how = LOOP_NOW;
    while (first.hello_verb == 0) {
      assert_true(loop_advance(&first));
    }
    size_t turn_size;
    (void)ehlo_client_output(first.client, &turn_size);
    ehlo_client_sent(first.client, turn_size);

    /* A is impatient: it greets before it has read the reply. */
    size_t cut_at_b = cut % sizeof to_b;
    assert_int_equal(ehlo_server_feed(first.server, to_b, cut_at_b, &used), EHLO_OK);
    if (cut_at_b < TURN) {
      assert_int_equal(used, cut_at_b);
      assert_int_equal(ehlo_server_feed(first.server, to_b + used, sizeof to_b - 1 - used, &more), EHLO_OK);
    }
    assert_int_equal(used + more, TURN);
    assert_int_equal(ehlo_server_want(first.server) & EHLO_WANT_TURN, EHLO_WANT_TURN);

    /* And so is B: it says EHLO before it has read the greeting. */
    more = 0;
    assert_int_equal(ehlo_client_feed(first.client, to_a, cut, &used), EHLO_OK);
    if (cut < TURNED) {
      assert_int_equal(used, cut);
      assert_int_equal(ehlo_client_feed(first.client, to_a + cut, sizeof to_a - 1 - cut, &more), EHLO_OK);
    }
    assert_int_equal(used + more, TURNED);
    assert_int_equal(ehlo_client_want(first.client), EHLO_WANT_TURN);
    assert_int_equal(ehlo_client_feed(first.client, to_a + TURNED, 1, &used), EHLO_OK);
    assert_int_equal(used, 0);
    loop_close(&first);

    loop_open(&second, NULL, NULL, b_to_a, 0);
    assert_int_equal(loop_step(&second, LOOP_SERVER_SEND, 0), 1); /* the greeting */
    assert_int_equal(ehlo_client_feed(second.client, to_b + TURN, sizeof to_b - 1 - TURN, &used), EHLO_OK);
    assert_int_equal(second.greeting, 220);
    char replies[1024] = "";
    for (size_t at = TURNED; at < sizeof to_a - 1; at += used) {
      assert_int_equal(ehlo_server_feed(second.server, to_a + at, sizeof to_a - 1 - at, &used), EHLO_OK);
      const char *output = ehlo_server_output(second.server, &size);
      strncat(replies, size > 0 ? output : "", size);
      ehlo_server_sent(second.server, size);
    }
    assert_memory_equal(replies, "250-mail.example.org", 20);
    assert_non_null(strstr(replies, "\r\n221 "));
    loop_close(&second);
  }
}

/* RFC 2645: who has logged in gets his mail on the same connection; who has not is told to. */
static void roles_are_reversed_by_atrn(void **state)
{
  (void)state;
  ehlo_credentials credentials = credentials_of(EHLO_SASL_CRAM_MD5);
  for (unsigned n = 0; n < 6; n++) {
    struct loop_service services[] = {
        {.verb = EHLO_VERB_ATRN, .at = 0, .argument = "example.com,sub.example.com"},
        {.verb = EHLO_VERB_AUTH, .at = 0, .credentials = &credentials, .verdict = {235, LOOP_NOW}},
        {.verb = EHLO_VERB_ATRN, .at = 0, .argument = "example.net", .verdict = {450, LOOP_NOW}},
        {.verb = EHLO_VERB_ATRN,
         .at = 0,
         .argument = n & 1 ? "" : "example.com,sub.example.com",
         .verdict = {250, n & 1 ? LOOP_LATER : LOOP_NOW}}};
    ehlo_client_config client = client_config();
    ehlo_server_config server = server_with_all(0);
    struct loop first;
    struct loop second;
    loop_open(&first, &client, &server, a_to_b, 0);
    first.services = services;
    first.service_count = 4;
    for (unsigned i = 0; i < 4; i++) {
      first.amount[octet_steps[i]] = n / 2;
    }
    run_and_check(&first);
    assert_int_equal(first.done[0].code, 530); /* [S-ATRN-03] */
    assert_int_equal(first.done[0].arrived, 0);
    assert_int_equal(first.done[2].code, 450); /* [S-ATRN-05] */
    assert_int_equal(first.done[3].code, 250); /* [S-ATRN-07] [S-ATRN-09] */
    assert_int_equal(ehlo_client_want(first.client), EHLO_WANT_TURN);
    assert_int_equal(ehlo_server_want(first.server), EHLO_WANT_TURN);
    loop_turn(&second, &first, NULL, NULL, b_to_a, 2);
    run_and_check(&second);
    expect(&second, 0, EHLO_END_ACCEPTED, 1);
    expect(&second, 1, EHLO_END_ACCEPTED, 1);
    assert_int_equal(second.quit, 221);
    loop_close(&first);
    loop_close(&second);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cut_comes_to_the_same),
      cmocka_unit_test(every_order_of_moves_and_answers),
      cmocka_unit_test(every_verdict_in_every_way),
      cmocka_unit_test(every_mixture_of_results),
      cmocka_unit_test(nobody_accepted_means_no_content),
      cmocka_unit_test(every_content_arrives_as_it_is),
      cmocka_unit_test(line_feeds_are_converted),
      cmocka_unit_test(content_that_may_not_go_out_is_never_whole),
      cmocka_unit_test(content_given_up_is_never_whole),
      cmocka_unit_test(content_goes_by_chunks),
      cmocka_unit_test(binary_content_goes_as_it_is),
      cmocka_unit_test(a_refused_chunk_fails_the_message),
      cmocka_unit_test(behind_a_refused_chunk_the_next_message_is_taken),
      cmocka_unit_test(many_messages_on_one_connection),
      cmocka_unit_test(a_server_that_refuses_to_talk),
      cmocka_unit_test(a_server_that_knows_no_ehlo),
      cmocka_unit_test(a_connection_that_breaks_anywhere),
      cmocka_unit_test(a_clock_that_runs_out_anywhere),
      cmocka_unit_test(a_server_that_shuts_down_anywhere),
      cmocka_unit_test(blocks_move_at_any_time),
      cmocka_unit_test(roles_are_reversed),
      cmocka_unit_test(roles_that_are_not_reversed),
      cmocka_unit_test(what_follows_turn_is_left_to_the_other_machine),
      cmocka_unit_test(roles_are_reversed_by_atrn),
      cmocka_unit_test(every_parameter_arrives),
      cmocka_unit_test(what_came_in_can_be_passed_on),
      cmocka_unit_test(every_mechanism_arrives),
      cmocka_unit_test(services_between_messages),
      cmocka_unit_test(content_that_the_server_has_or_fetches),
      cmocka_unit_test(limits_are_kept),
  };
  return cmocka_run_group_tests_name("loopback", tests, NULL, NULL);
}
