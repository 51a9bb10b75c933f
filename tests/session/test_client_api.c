/* test_client_api.c: what a host can do wrong with the client, and what it is told; by what is published, one call at a
 * time.
 *
 * Sessions are shown by the transcripts; here stand the calls around them: configs, memory, NULL, calls at the wrong
 * moment and out of handlers, room that is not there, what may leave together, what is wanted and how long.
 */
#include "configs.h"
#include "desk.h"

#include <stdio.h>
#include <string.h>

/* ---- config and memory ---- */

static void config_has_the_defaults_of_the_header(void **state)
{
  (void)state;
  ehlo_client_config config;
  assert_int_equal(ehlo_client_config_init(NULL, sizeof config), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_config_init(&config, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_config_init(&config, sizeof config - 1), EHLO_ERR_ARGUMENT);
  memset(&config, 0xFF, sizeof config);
  assert_int_equal(ehlo_client_config_init(&config, sizeof config), EHLO_OK);
  assert_int_equal(config.struct_size, sizeof config);
  assert_int_equal(config.hostname.len, 0);
  assert_int_equal(config.protocol, EHLO_PROTOCOL_SMTP);
  for (unsigned i = 0; i < EHLO_EXT_COUNT; i++) {
    assert_int_equal(config.use[i], 1);
  }
  assert_int_equal(config.output_size, 4096);
  assert_int_equal(config.max_commands, 64);
  assert_int_equal(config.max_recipients, 100);
  assert_int_equal(config.max_reply_line, 1024);
  assert_int_equal(config.max_reply_lines, 1000);
  assert_int_equal(config.max_reply_size, 65536);
  assert_int_equal(config.greeting_timeout, 300); /* [H-TIME-02] */
  assert_int_equal(config.command_timeout, 300);  /* [H-TIME-03] [H-TIME-04] */
  assert_int_equal(config.data_timeout, 120);     /* [H-TIME-05] */
  assert_int_equal(config.content_timeout, 180);  /* [H-TIME-06] */
  assert_int_equal(config.verdict_timeout, 600);  /* [H-TIME-07] */
  assert_int_equal(config.parameters_size, 512);
  assert_int_equal(config.max_sasl_line, 12288); /* [B-AUTH-15] */
  assert_int_equal(config.no_helo | config.hold_data | config.pass_parameters | config.convert_lf, 0);
  assert_int_equal(config.allow_plaintext_auth | config.chunking, 0); /* [B-AUTH-21] */
  assert_int_equal(ehlo_client_size(&config), 0);                     /* a host name is required */
}

static int is_legal(const void *config)
{
  static _Alignas(max_align_t) char memory[1 << 16];
  ehlo_client *client = (ehlo_client *)(void *)memory;
  size_t size = ehlo_client_size(config);
  int result = ehlo_client_init(&client, memory, sizeof memory, config, desk_on_event, NULL);
  assert_int_equal(result, size == 0 ? EHLO_ERR_CONFIG : size <= sizeof memory ? EHLO_OK : EHLO_ERR_MEMORY);
  assert_int_equal(client == NULL, result != EHLO_OK);
  return size != 0;
}

static void config_limits_are_checked(void **state)
{
  (void)state;
  ehlo_client_config config = desk_config();
  const struct config_limit limits[] = {
      {&config.output_size, 1024, 16777216},     {&config.max_commands, 1, 10000},
      {&config.max_recipients, 1, 1000000},      {&config.max_reply_line, 512, 65536},
      {&config.max_reply_lines, 1, UINT32_MAX},  {&config.max_reply_size, 1024, UINT32_MAX},
      {&config.greeting_timeout, 0, UINT32_MAX}, {&config.command_timeout, 0, UINT32_MAX},
      {&config.data_timeout, 0, UINT32_MAX},     {&config.content_timeout, 0, UINT32_MAX},
      {&config.verdict_timeout, 0, UINT32_MAX},  {&config.protocol, 0, 1},
      {&config.parameters_size, 0, 65536},       {&config.max_sasl_line, 512, 65536}};
  check_config_limits(limits, sizeof limits / sizeof limits[0], is_legal, &config);
  config.max_reply_line = 1025;
  config.max_reply_size = 1024;
  assert_false(is_legal(&config));
  config = desk_config();
  check_config_hostname(&config.hostname, is_legal, &config);
  config = desk_config();
  config.struct_size = 0;
  assert_false(is_legal(&config));
  assert_int_equal(ehlo_client_size(NULL), 0);
}

static void init_and_attach_check_the_memory(void **state)
{
  (void)state;
  static _Alignas(max_align_t) char memory[1 << 16];
  ehlo_client_config config = desk_config();
  size_t size = ehlo_client_size(&config);
  ehlo_client *client = (ehlo_client *)(void *)memory;
  assert_in_range(size, 1, sizeof memory - 16);
  assert_int_equal(ehlo_client_init(NULL, memory, size, &config, desk_on_event, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_init(&client, NULL, size, &config, desk_on_event, NULL), EHLO_ERR_ARGUMENT);
  assert_null(client);
  assert_int_equal(ehlo_client_init(&client, memory, size, NULL, desk_on_event, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_init(&client, memory, size, &config, NULL, NULL), EHLO_ERR_ARGUMENT);
  client = (ehlo_client *)(void *)memory;
  assert_int_equal(ehlo_client_init(&client, memory, size - 1, &config, desk_on_event, NULL), EHLO_ERR_MEMORY);
  assert_null(client);
  for (size_t off = 1; off < _Alignof(max_align_t); off++) {
    assert_int_equal(ehlo_client_init(&client, memory + off, size, &config, desk_on_event, NULL), EHLO_ERR_MEMORY);
    assert_int_equal(ehlo_client_attach(&client, memory + off, size, desk_on_event, NULL), EHLO_ERR_MEMORY);
  }
  assert_int_equal(ehlo_client_attach(&client, memory, size, desk_on_event, NULL), EHLO_ERR_VERSION);
  assert_int_equal(ehlo_client_init(&client, memory, size, &config, desk_on_event, NULL), EHLO_OK);
  assert_ptr_equal(client, memory);

  struct desk desk;
  desk_begin(&desk, NULL, ALL_OFFERED);
  assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
  memcpy(memory, desk.block, desk.size);
  assert_int_equal(ehlo_client_attach(NULL, memory, desk.size, desk_on_event, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_attach(&client, NULL, desk.size, desk_on_event, NULL), EHLO_ERR_ARGUMENT);
  assert_null(client);
  assert_int_equal(ehlo_client_attach(&client, memory, desk.size, NULL, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_attach(&client, memory, desk.size - 1, desk_on_event, NULL), EHLO_ERR_MEMORY);
  assert_int_equal(ehlo_client_attach(&client, memory, 1, desk_on_event, NULL), EHLO_ERR_MEMORY);
  assert_null(client);
  memset(desk.block, 0xEE, desk.size);
  struct desk other_desk = desk;
  assert_int_equal(ehlo_client_attach(&other_desk.client, memory, sizeof memory, desk_on_event, &other_desk), EHLO_OK);
  assert_ptr_equal(other_desk.client, memory);
  desk_expect(&other_desk, MAIL_LINE);
  desk_hear(&other_desk, "250 ok\r\n");
  assert_int_equal(other_desk.reply_tag, 2);
  assert_int_equal(desk.reply_tag, 1);

  /* A server's block is none of a client's. */
  ehlo_server_config other;
  ehlo_server *server;
  assert_int_equal(ehlo_server_config_init(&other, sizeof other), EHLO_OK);
  other.hostname = ehlo_span_of("mail.example.org");
  assert_int_equal(ehlo_client_attach(&client, memory, sizeof memory, desk_on_event, NULL), EHLO_OK);
  assert_int_equal(
      ehlo_server_attach(&server, memory, sizeof memory, (ehlo_server_event_fn *)(void (*)(void))desk_on_event, NULL),
      EHLO_ERR_VERSION);
  desk_close(&desk);
}

/* ---- NULL ---- */

static void null_is_told(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_span none = {NULL, 0};
  ehlo_span lie = {NULL, 3};
  ehlo_span spans[8];
  size_t size = 1;
  size_t count = 1;
  uint64_t epoch = 1;
  assert_int_equal(ehlo_client_feed(NULL, "", 0, &size), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_eof(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_timed_out(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_hello(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_helo(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_mail(NULL, none, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_send(NULL, none, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_soml(NULL, none, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_saml(NULL, none, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_rcpt(NULL, ehlo_span_of("a@b"), NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_data(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_rset(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_vrfy(NULL, ehlo_span_of("a"), 0, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_expn(NULL, ehlo_span_of("a"), 0, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_help(NULL, none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_noop(NULL, none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_quit(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_turn(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_command(NULL, ehlo_span_of("X"), none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body(NULL, "", 0, &size), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(NULL, "", 0, &size, spans, 8, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_end(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_abort(NULL), EHLO_ERR_ARGUMENT);
  assert_null(ehlo_client_output(NULL, &size));
  assert_int_equal(size, 0);
  ehlo_client_sent(NULL, 1);
  assert_int_equal(ehlo_client_want(NULL), 0);
  assert_int_equal(ehlo_client_timeout(NULL, &epoch), 0);
  assert_true(epoch == 0);
  assert_int_equal(ehlo_client_offers(NULL, 0), 0);
  assert_true(ehlo_client_size_limit(NULL) == 0);
  assert_int_equal(ehlo_client_hello_verb(NULL), EHLO_VERB_NONE);
  assert_int_equal(ehlo_client_pending(NULL), 0);
  assert_int_equal(ehlo_client_violation(NULL), 0);
  assert_int_equal(ehlo_client_starttls(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_tls_done(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_auth(NULL, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_auth_begin(NULL, ehlo_span_of("X"), NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_auth_respond(NULL, none), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_auth_cancel(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_etrn(NULL, ehlo_span_of("a.b"), 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_atrn(NULL, none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_burl(NULL, ehlo_span_of("a:b"), 1, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_xclient(NULL, ehlo_span_of("A=b"), 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_xforward(NULL, ehlo_span_of("A=b"), 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_authenticated(NULL) + ehlo_client_tls(NULL), 0);
  assert_int_equal(ehlo_client_parameters(NULL, EHLO_EXT_AUTH).len, 0);
  assert_int_equal(ehlo_client_mechanisms(NULL) + ehlo_client_by_min(NULL) + ehlo_client_hold_max(NULL), 0);
  assert_true(ehlo_client_hold_until_max(NULL) == 0);
  assert_int_equal(ehlo_client_mail_max(NULL) + ehlo_client_rcpt_max(NULL) + ehlo_client_rcpt_domain_max(NULL), 0);

  desk_begin(&desk, NULL, ALL_OFFERED);
  assert_int_equal(ehlo_client_feed(desk.client, NULL, 1, &size), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_feed(desk.client, "", 0, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_feed(desk.client, NULL, 0, &size), EHLO_OK);
  assert_int_equal(ehlo_client_mail(desk.client, lie, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_vrfy(desk.client, lie, 0, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_expn(desk.client, lie, 0, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_help(desk.client, lie, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_noop(desk.client, lie, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_command(desk.client, lie, none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_command(desk.client, ehlo_span_of("X"), lie, 0), EHLO_ERR_ARGUMENT);
  ehlo_credentials credentials = {.struct_size = sizeof credentials - 1, .mechanism = EHLO_SASL_EXTERNAL};
  assert_int_equal(ehlo_client_auth(desk.client, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_auth(desk.client, &credentials, 0), EHLO_ERR_ARGUMENT);
  credentials = (ehlo_credentials){.struct_size = sizeof credentials, .mechanism = EHLO_SASL_CRAM_MD5};
  assert_int_equal(ehlo_client_auth(desk.client, &credentials, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_auth_begin(desk.client, lie, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_auth_begin(desk.client, ehlo_span_of("X"), &lie, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_etrn(desk.client, lie, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_atrn(desk.client, lie, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_burl(desk.client, lie, 1, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_xclient(desk.client, lie, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_xforward(desk.client, lie, 0), EHLO_ERR_ARGUMENT);
  ehlo_mail_parameters mail = {.struct_size = sizeof mail - 1};
  ehlo_rcpt_parameters rcpt = {.struct_size = 0};
  assert_int_equal(ehlo_client_mail(desk.client, none, &mail, 0), EHLO_ERR_ARGUMENT);
  mail = (ehlo_mail_parameters){.struct_size = sizeof mail, .body = 4};
  assert_int_equal(ehlo_client_mail(desk.client, none, &mail, 0), EHLO_ERR_ARGUMENT);
  mail = (ehlo_mail_parameters){.struct_size = sizeof mail, .others = lie};
  assert_int_equal(ehlo_client_mail(desk.client, none, &mail, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(desk_output(&desk).len, 0);
  assert_null(ehlo_client_output(desk.client, NULL));
  assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
  assert_int_equal(ehlo_client_rcpt(desk.client, ehlo_span_of("a@b"), &rcpt, 0), EHLO_ERR_ARGUMENT);
  rcpt = (ehlo_rcpt_parameters){.struct_size = sizeof rcpt, .others = lie};
  assert_int_equal(ehlo_client_rcpt(desk.client, ehlo_span_of("a@b"), &rcpt, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_rcpt(desk.client, lie, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(desk_rcpt(&desk, 3), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk.client, 4), EHLO_OK);
  desk_send_all(&desk);
  desk_hear(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  assert_int_equal(ehlo_client_body(desk.client, NULL, 1, &size), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body(desk.client, "", 0, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, NULL, 1, &size, spans, 8, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, NULL, spans, 8, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, &size, NULL, 8, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, &size, spans, 7, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, &size, spans, 8, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body(desk.client, NULL, 0, &size), EHLO_OK);
  assert_int_equal(ehlo_client_body_gather(desk.client, NULL, 0, &size, spans, 8, &count), EHLO_OK);
  assert_int_equal(size + count, 0);
  assert_int_equal(desk_output(&desk).len, 0);
  desk_close(&desk);
}

/* ---- what may be called when ---- */

enum {
  NEW,
  HELLO_OUT,
  IDLE,
  IN_MAIL,
  IN_RCPT,
  MAIL_REFUSED,
  DATA_OUT,
  CONTENT,
  VERDICT_OUT,
  QUIT_OUT,
  TURN_OUT,
  TURNED,
  GREETING_REFUSED,
  AUTH_OUT,
  CHALLENGED,
  OVER,
  STATES
};

static void bring_to(struct desk *desk, unsigned state)
{
  if (state == NEW || state == GREETING_REFUSED) {
    desk_open(desk, NULL);
    if (state == GREETING_REFUSED) {
      desk_hear(desk, "554 no\r\n");
    }
    return;
  }
  desk_begin(desk, NULL, ALL_OFFERED);
  switch (state) {
  case HELLO_OUT: assert_int_equal(ehlo_client_hello(desk->client, 1), EHLO_OK); break;
  case IN_MAIL:
  case IN_RCPT:
  case MAIL_REFUSED:
    assert_int_equal(desk_mail(desk, 2), EHLO_OK);
    if (state != IN_MAIL) {
      assert_int_equal(desk_rcpt(desk, 3), EHLO_OK);
    }
    desk_answer(desk, state == MAIL_REFUSED ? "550 no\r\n" : "250 ok\r\n");
    break;
  case DATA_OUT: desk_transaction(desk); break;
  case CONTENT:
  case VERDICT_OUT:
    desk_transaction(desk);
    desk_answer(desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
    if (state == VERDICT_OUT) {
      assert_int_equal(ehlo_client_body_end(desk->client), EHLO_OK);
    }
    break;
  case QUIT_OUT: assert_int_equal(ehlo_client_quit(desk->client, 5), EHLO_OK); break;
  case TURN_OUT:
  case TURNED:
    assert_int_equal(ehlo_client_turn(desk->client, 6), EHLO_OK);
    if (state == TURNED) {
      desk_answer(desk, "250 ok\r\n");
    }
    break;
  case AUTH_OUT:
  case CHALLENGED:
    assert_int_equal(ehlo_client_auth_begin(desk->client, ehlo_span_of("X-OWN"), NULL, 7), EHLO_OK);
    if (state == CHALLENGED) {
      desk_answer(desk, "334 \r\n");
    }
    break;
  case OVER: assert_int_equal(ehlo_client_eof(desk->client), EHLO_OK); break;
  default: break;
  }
  desk_send_all(desk);
}

enum { CALLS = 32 };

static int make_call(struct desk *desk, unsigned call)
{
  ehlo_client *client = desk->client;
  static const ehlo_credentials external = {.struct_size = sizeof external, .mechanism = EHLO_SASL_EXTERNAL};
  ehlo_span path = ehlo_span_of("a@b");
  ehlo_span spans[8];
  size_t taken;
  size_t count;
  switch (call) {
  case 0: return ehlo_client_hello(client, 0);
  case 1: return ehlo_client_helo(client, 0);
  case 2: return ehlo_client_mail(client, path, NULL, 0);
  case 3: return ehlo_client_send(client, path, NULL, 0);
  case 4: return ehlo_client_soml(client, path, NULL, 0);
  case 5: return ehlo_client_saml(client, path, NULL, 0);
  case 6: return ehlo_client_rcpt(client, path, NULL, 0);
  case 7: return ehlo_client_data(client, 0);
  case 8: return ehlo_client_rset(client, 0);
  case 9: return ehlo_client_vrfy(client, path, 0, 0);
  case 10: return ehlo_client_vrfy(client, path, 1, 0);
  case 11: return ehlo_client_expn(client, path, 0, 0);
  case 12: return ehlo_client_help(client, path, 0);
  case 13: return ehlo_client_noop(client, path, 0);
  case 14: return ehlo_client_quit(client, 0);
  case 15: return ehlo_client_turn(client, 0);
  case 16: return ehlo_client_command(client, ehlo_span_of("X"), path, 0);
  case 17: return ehlo_client_body(client, "x", 1, &taken);
  case 18: return ehlo_client_body_gather(client, "x", 1, &taken, spans, 8, &count);
  case 19: return ehlo_client_body_end(client);
  case 20: return ehlo_client_body_abort(client);
  case 21: return ehlo_client_eof(client);
  case 22: return ehlo_client_starttls(client, 0);
  case 23: return ehlo_client_auth(client, &external, 0);
  case 24: return ehlo_client_auth_begin(client, ehlo_span_of("X-OWN"), NULL, 0);
  case 25: return ehlo_client_auth_respond(client, path);
  case 26: return ehlo_client_auth_cancel(client);
  case 27: return ehlo_client_etrn(client, ehlo_span_of("example.com"), 0);
  case 28: return ehlo_client_atrn(client, ehlo_span_of(""), 0);
  case 29: return ehlo_client_burl(client, ehlo_span_of("imap://x/y"), 1, 0);
  case 30: return ehlo_client_xclient(client, ehlo_span_of("NAME=x"), 0);
  default: return ehlo_client_xforward(client, ehlo_span_of("NAME=x"), 0);
  }
}

/* For each state a letter for each call, in the order above: "." it can be made, "S" EHLO_ERR_STATE, "R"
 * EHLO_ERR_REFUSED, "8" EHLO_ERR_SMTPUTF8, "N" EHLO_ERR_NOT_OFFERED, "?" it can or EHLO_ERR_STATE. */
static const char *const may_be_called[STATES] = {
    [NEW] = "..SSSSSS..8....S.SSSS.SSSSSSSSNS",
    [HELLO_OUT] = "SSSSSSSSSSSSSSSSSSSSS.SSSSSSSSSS",
    [IDLE] = "......SS.........SSSS....SS..S..",
    [IN_MAIL] = "..SSSS.S.......S.SSSS.SSSSSSSSSS",
    [IN_RCPT] = "..SSSS.........S.SSSS.SSSSSSS.SS",
    [MAIL_REFUSED] = "..SSSSRR.......S.SSSS.SSSSSSSRSS",
    [DATA_OUT] = "SSSSSSSSSSSSSSSSSSSS..SSSSSSSSSS",
    [CONTENT] = "SSSSSSSSSSSSSSSSS.....SSSSSSSSSS",
    [VERDICT_OUT] = "......SS.......?.SSSS.???SS??S??",
    [QUIT_OUT] = "SSSSSSSSSSSSSSSSSSSSS.SSSSSSSSSS",
    [TURN_OUT] = "SSSSSSSSSSSSSSSSSSSSS.SSSSSSSSSS",
    [TURNED] = "SSSSSSSSSSSSSSSSSSSSS.SSSSSSSSSS",
    [GREETING_REFUSED] = "SSSSSSSSSSSSSS.SSSSSS.SSSSSSSSSS",
    [AUTH_OUT] = "SSSSSSSSSSSSSSSSSSSSS.SSSSSSSSSS",
    [CHALLENGED] = "SSSSSSSSSSSSSSSSSSSSS.SSS..SSSSS",
    [OVER] = "SSSSSSSSSSSSSSSSSSSSS.SSSSSSSSSS",
};

static void every_call_in_every_state(void **state)
{
  (void)state;
  for (unsigned at = 0; at < STATES; at++) {
    assert_int_equal(strlen(may_be_called[at]), CALLS);
    for (unsigned call = 0; call < CALLS; call++) {
      struct desk desk;
      bring_to(&desk, at);
      size_t before = desk_output(&desk).len;
      uint32_t pending = ehlo_client_pending(desk.client);
      uint32_t want = ehlo_client_want(desk.client);
      int result = make_call(&desk, call);
      char letter = may_be_called[at][call];
      int expected = letter == 'S'   ? EHLO_ERR_STATE
                     : letter == 'R' ? EHLO_ERR_REFUSED
                     : letter == '8' ? EHLO_ERR_SMTPUTF8
                     : letter == 'N' ? EHLO_ERR_NOT_OFFERED
                                     : EHLO_OK;
      if (result != expected && (letter != '?' || result != EHLO_ERR_STATE)) {
        fail_msg("state %u, call %u: %s, not %s", at, call, ehlo_strerror(result), ehlo_strerror(expected));
      }
      if (result != EHLO_OK) {
        assert_int_equal(desk_output(&desk).len, before);
        assert_int_equal(ehlo_client_pending(desk.client), pending);
        assert_int_equal(ehlo_client_want(desk.client), want);
      } else if (call < 17) {
        assert_int_equal(ehlo_client_pending(desk.client), pending + 1);
      }
      desk_close(&desk);
    }
  }
}

static void be_reentrant(struct desk *desk, const ehlo_client_event *event)
{
  (void)event;
  size_t consumed = 1;
  assert_int_equal(ehlo_client_feed(desk->client, "250 ok\r\n", 8, &consumed), EHLO_ERR_REENTRANT);
  assert_int_equal(consumed, 0);
  assert_int_equal(ehlo_client_eof(desk->client), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_client_timed_out(desk->client), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_client_body_abort(desk->client), EHLO_ERR_REENTRANT);
}

/* A session that has every event but VIOLATION, or with `bad` that too. Each reply is an event of its own. */
static void have_every_event(struct desk *desk, int bad)
{
  desk_hear(desk, GREETING);
  (void)ehlo_client_hello(desk->client, 1);
  desk_answer(desk, PIPELINING);
  (void)desk_mail(desk, 2);
  (void)desk_rcpt(desk, 3);
  (void)ehlo_client_data(desk->client, 4);
  desk_answer(desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  if (bad) {
    desk_answer(desk, "nonsense\r\n");
  }
  (void)ehlo_client_body_end(desk->client);
  desk_answer(desk, "250 ok\r\n");
  (void)ehlo_client_quit(desk->client, 5);
  desk_answer(desk, "221 bye\r\n");
}

static void handlers_cannot_call_what_calls_them(void **state)
{
  (void)state;
  for (int bad = 0; bad < 2; bad++) {
    struct desk desk;
    desk_open(&desk, NULL);
    desk.in_handler = be_reentrant;
    have_every_event(&desk, bad);
    for (uint32_t type = 1; type < 7; type++) {
      assert_int_equal(desk.count[type] > 0, type != EHLO_CLIENT_EVENT_VIOLATION || bad);
    }
    assert_int_equal(desk.end.reason, bad ? EHLO_END_FAILED : EHLO_END_ACCEPTED);
    desk_close(&desk);
  }
}

static void a_handler_can_end_the_session(void **state)
{
  (void)state;
  static const int results[] = {-1, EHLO_FAIL_TRANSACTION, 7};
  for (uint32_t type = 1; type < 7; type++) {
    for (unsigned i = 0; i < 3; i++) {
      struct desk desk;
      size_t size = 1;
      desk_open(&desk, NULL);
      desk.fatal_at = type;
      desk.fatal = results[i];
      have_every_event(&desk, type == EHLO_CLIENT_EVENT_VIOLATION);
      assert_int_equal(desk.over, 1);
      assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
      assert_null(ehlo_client_output(desk.client, &size));
      assert_int_equal(ehlo_client_feed(desk.client, "220 hi\r\n", 8, &size), EHLO_ERR_HOST);
      assert_int_equal(size, 8);
      assert_int_equal(ehlo_client_eof(desk.client), EHLO_ERR_HOST);
      assert_int_equal(ehlo_client_timed_out(desk.client), EHLO_ERR_HOST);
      assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_ERR_HOST);
      assert_int_equal(ehlo_client_noop(desk.client, ehlo_span_of(""), 0), EHLO_ERR_STATE);
      assert_int_equal(ehlo_client_body_end(desk.client), EHLO_ERR_STATE);
      assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
      assert_int_equal(ehlo_client_pending(desk.client), 0);
      desk_close(&desk);
    }
  }
}

/* The handler that ends the session in the very call that would tell more. */
static void a_handler_that_ends_the_session_hears_no_more(void **state)
{
  (void)state;
  struct desk desk;
  desk_begin(&desk, NULL, ALL_OFFERED);
  assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
  assert_int_equal(ehlo_client_rset(desk.client, 3), EHLO_OK);
  assert_int_equal(desk_mail(&desk, 4), EHLO_OK);
  desk.fatal_at = EHLO_CLIENT_EVENT_END;
  desk.fatal = -1;
  assert_int_equal(ehlo_client_eof(desk.client), EHLO_ERR_HOST);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  desk_close(&desk);
  desk_begin(&desk, NULL, ALL_OFFERED);
  desk_transaction(&desk);
  desk.fatal_at = EHLO_CLIENT_EVENT_REPLY;
  desk.fatal = -1;
  desk_send_all(&desk);
  size_t consumed;
  assert_int_equal(ehlo_client_feed(desk.client, "250 ok\r\n250 ok\r\n354 go on\r\n", 27, &consumed), EHLO_ERR_HOST);
  assert_int_equal(consumed, 27);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_REPLY], 3); /* the greeting, EHLO, MAIL */
  desk_close(&desk);
}

/* ---- room ---- */

static void room_for_commands_comes_with_replies(void **state)
{
  (void)state;
  for (uint32_t most = 1; most < 4; most++) {
    struct desk desk;
    ehlo_client_config config = desk_config();
    config.max_commands = most;
    desk_begin(&desk, &config, ALL_OFFERED);
    uint32_t called = 0;
    while (ehlo_client_rset(desk.client, called) == EHLO_OK) {
      called++;
    }
    assert_int_equal(called, most);
    assert_int_equal(ehlo_client_rset(desk.client, 0), EHLO_ERR_SPACE);
    assert_int_equal(ehlo_client_quit(desk.client, 0), EHLO_ERR_SPACE);
    assert_int_equal(ehlo_client_pending(desk.client), most);
    assert_int_equal(desk_output(&desk).len, most * strlen("RSET\r\n"));
    desk_send_all(&desk);
    assert_int_equal(ehlo_client_rset(desk.client, 0), EHLO_ERR_SPACE); /* sent is not answered */
    for (uint32_t i = 0; i < 3 * most; i++) {
      desk_hear(&desk, "250 ok\r\n");
      assert_int_equal(desk.reply_tag, i);
      assert_int_equal(ehlo_client_rset(desk.client, called++), EHLO_OK);
      assert_int_equal(ehlo_client_rset(desk.client, 0), EHLO_ERR_SPACE);
      desk_expect(&desk, "RSET\r\n");
    }
    desk_close(&desk);
  }
}

/* More recipients than the output holds: all arrive, in order, and not more than the output holds at once. */
static void many_recipients(const char *offered, size_t take)
{
  struct desk desk;
  char expected[64];
  char wire[64 * 300];
  size_t length = 0;
  size_t at = 0;
  unsigned called = 0;
  unsigned answered = 0;
  ehlo_client_config config = desk_small_config();
  config.max_commands = 1000;
  desk_begin(&desk, &config, offered);
  assert_int_equal(desk_mail(&desk, 0), EHLO_OK);
  desk_answer(&desk, "250 ok\r\n");
  while (answered < 200) {
    int result = EHLO_OK;
    while (called < 200 && result == EHLO_OK) {
      snprintf(expected, sizeof expected, "recipient-%u@example.org", called);
      result = ehlo_client_rcpt(desk.client, ehlo_span_of(expected), NULL, called);
      called += result == EHLO_OK;
    }
    assert_true(result == EHLO_OK || result == EHLO_ERR_SPACE);
    ehlo_span output = desk_output(&desk);
    assert_in_range(output.len, 0, config.output_size);
    size_t size = output.len < take ? output.len : take;
    if (size > 0) {
      memcpy(wire + length, output.ptr, size);
      length += size;
    }
    ehlo_client_sent(desk.client, size);
    const char *end;
    while (answered < 200 && (end = memchr(wire + at, '\n', length - at)) != NULL) {
      int line = snprintf(expected, sizeof expected, "RCPT TO:<recipient-%u@example.org>\r\n", answered);
      assert_int_equal(end + 1 - (wire + at), line);
      assert_memory_equal(wire + at, expected, (size_t)line);
      at += (size_t)line;
      desk_hear(&desk, "250 ok\r\n");
      assert_int_equal(desk.reply.ordinal, answered);
      assert_int_equal(desk.reply_tag, answered);
      answered++;
    }
  }
  desk_close(&desk);
}

static void room_for_output_comes_with_sending(void **state)
{
  (void)state;
  static const size_t takes[] = {1, 7, 500, 5000};
  for (unsigned i = 0; i < 4; i++) {
    many_recipients(PIPELINING, takes[i]);
    many_recipients(LOCKSTEP, takes[i]);
  }
}

/* Content that does not fit is taken in part, and its end when there is room for all of that. */
static void room_for_content_comes_with_sending(void **state)
{
  (void)state;
  static char content[3000];
  static char wire[8000];
  unsigned refused = 0;
  memset(content, '.', sizeof content);
  for (size_t take = 1; take < 9; take++) {
    struct desk desk;
    ehlo_span spans[8];
    ehlo_client_config config = desk_small_config();
    size_t given = 0;
    size_t length = 0;
    size_t taken;
    size_t count;
    int result = EHLO_ERR_SPACE;
    desk_begin(&desk, &config, PIPELINING);
    desk_transaction(&desk);
    desk_answer(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
    while (result == EHLO_ERR_SPACE) {
      assert_int_equal(ehlo_client_body(desk.client, content + given, sizeof content - given, &taken), EHLO_OK);
      given += taken;
      ehlo_span output = desk_output(&desk);
      assert_in_range(output.len, 1, config.output_size);
      assert_int_equal(ehlo_client_body_gather(desk.client, "x", 1, &taken, spans, 8, &count), EHLO_ERR_SPACE);
      assert_int_equal(taken + count, 0);
      if (given == sizeof content) {
        result = ehlo_client_body_end(desk.client);
        refused += result != EHLO_OK;
        output = desk_output(&desk);
      }
      size_t size = result == EHLO_OK || output.len < take ? output.len : take;
      memcpy(wire + length, output.ptr, size);
      length += size;
      ehlo_client_sent(desk.client, size);
    }
    assert_int_equal(result, EHLO_OK);
    assert_int_equal(length, sizeof content + 6);
    assert_memory_equal(wire, "..", 2);
    assert_memory_equal(wire + 1, content, sizeof content);
    assert_memory_equal(wire + length - 5, "\r\n.\r\n", 5);
    desk_hear(&desk, "250 ok\r\n");
    assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
    desk_close(&desk);
  }
  assert_int_not_equal(refused, 0);
}

static void lmtp_recipients_have_a_limit(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_client_config config = desk_config();
  config.max_recipients = 2;
  for (unsigned n = 0; n < 2; n++) {
    config.protocol = n ? EHLO_PROTOCOL_SMTP : EHLO_PROTOCOL_LMTP;
    desk_begin(&desk, &config, PIPELINING);
    for (unsigned message = 0; message < 2; message++) {
      assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
      assert_int_equal(desk_rcpt(&desk, 3), EHLO_OK);
      assert_int_equal(desk_rcpt(&desk, 4), EHLO_OK);
      /* Only verdicts have to be waited for: SMTP has one for all. */
      assert_int_equal(desk_rcpt(&desk, 5), n ? EHLO_OK : EHLO_ERR_TOO_LONG);
      assert_int_equal(ehlo_client_data(desk.client, 6), EHLO_OK);
      desk_answer(&desk, n ? "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n"
                           : "250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n");
      assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
      desk_answer(&desk, n ? "250 ok\r\n" : "250 ok\r\n250 ok\r\n");
      assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
      assert_int_equal(desk.end.recipients, n ? 3 : 2);
    }
    assert_int_equal(ehlo_client_helo(desk.client, 0), n ? EHLO_OK : EHLO_ERR_STATE);
    desk_close(&desk);
  }
}

/* ---- groups ---- */

static void groups_end_where_they_must(void **state)
{
  (void)state;
  struct desk desk;
  desk_begin(&desk, NULL, ALL_OFFERED);
  /* RSET, MAIL, SEND, SOML, SAML and RCPT stand anywhere. */
  assert_int_equal(ehlo_client_rset(desk.client, 0), EHLO_OK);
  assert_int_equal(desk_mail(&desk, 1), EHLO_OK);
  assert_int_equal(ehlo_client_rset(desk.client, 2), EHLO_OK);
  assert_int_equal(ehlo_client_send(desk.client, ehlo_span_of(""), NULL, 3), EHLO_OK);
  assert_int_equal(desk_rcpt(&desk, 4), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk.client, 5), EHLO_OK);
  desk_expect(&desk, "RSET\r\n" MAIL_LINE "RSET\r\nSEND FROM:<>\r\n" RCPT_LINE "DATA\r\n"); /* [C-PIPE-03] */
  desk_hear(&desk, "250 ok\r\n250 ok\r\n250 ok\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_RESET);
  assert_int_equal(desk.end.code, 0);
  assert_int_equal(desk.end_tag, 1);
  desk_hear(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  /* The end of content may be followed at once. */
  assert_int_equal(desk_mail(&desk, 6), EHLO_OK);
  assert_int_equal(ehlo_client_noop(desk.client, ehlo_span_of(""), 7), EHLO_OK);
  assert_int_equal(ehlo_client_rset(desk.client, 8), EHLO_OK);
  desk_expect(&desk, ".\r\n" MAIL_LINE "NOOP\r\n"); /* [C-PIPE-05] */
  desk_hear(&desk, "250 ok\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
  assert_int_equal(desk.end_tag, 3);
  desk_hear(&desk, "250 ok\r\n");
  desk_expect(&desk, "");
  desk_hear(&desk, "250 ok\r\n");
  desk_expect(&desk, "RSET\r\n");
  desk_hear(&desk, "250 ok\r\n");
  /* Nothing stands behind these until they are answered. [C-PIPE-04] */
  static const unsigned last[] = {9, 10, 11, 12, 13, 16};
  for (unsigned i = 0; i < sizeof last / sizeof last[0]; i++) {
    assert_int_equal(make_call(&desk, last[i]), EHLO_OK);
    assert_int_equal(ehlo_client_rset(desk.client, 8), EHLO_OK);
    ehlo_span output = desk_output(&desk);
    assert_ptr_equal(memchr(output.ptr, '\n', output.len), output.ptr + output.len - 1);
    desk_answer(&desk, "250 ok\r\n");
    desk_expect(&desk, "RSET\r\n");
    desk_hear(&desk, "250 ok\r\n");
  }
  assert_int_equal(ehlo_client_rset(desk.client, 8), EHLO_OK);
  assert_int_equal(ehlo_client_quit(desk.client, 9), EHLO_OK);
  desk_expect(&desk, "RSET\r\nQUIT\r\n");
  desk_close(&desk);
}

static void without_pipelining_one_at_a_time(void **state)
{
  (void)state;
  struct desk desk;
  for (unsigned n = 0; n < 2; n++) {
    ehlo_client_config config = desk_config();
    config.use[EHLO_EXT_PIPELINING] = (uint8_t)n;
    desk_begin(&desk, &config, n ? LOCKSTEP : PIPELINING);
    assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_PIPELINING), 0);
    desk_transaction(&desk);
    desk_expect(&desk, MAIL_LINE); /* [C-PIPE-02] [C-SESS-02] */
    desk_hear(&desk, "250 o");
    desk_expect(&desk, "");
    desk_hear(&desk, "k\r\n");
    desk_expect(&desk, RCPT_LINE);
    desk_hear(&desk, "250 ok\r\n");
    desk_expect(&desk, "DATA\r\n");
    desk_hear(&desk, "354 go on\r\n");
    assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
    assert_int_equal(desk_mail(&desk, 5), EHLO_OK);
    desk_expect(&desk, ".\r\n");
    desk_hear(&desk, "250 ok\r\n");
    desk_expect(&desk, MAIL_LINE);
    desk_close(&desk);
  }
}

static void data_can_be_held_back(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_client_config config = desk_config();
  config.hold_data = 1;
  desk_begin(&desk, &config, PIPELINING);
  desk_transaction(&desk);
  desk_expect(&desk, MAIL_LINE RCPT_LINE);
  desk_hear(&desk, "250 ok\r\n");
  desk_expect(&desk, "");
  desk_hear(&desk, "250 ok\r\n");
  desk_expect(&desk, "DATA\r\n");
  desk_hear(&desk, "354 go on\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 1);
  desk_close(&desk);
}

/* ---- hello ---- */

static void what_was_not_offered_is_refused(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_mail_parameters options = {.struct_size = sizeof options, .body = EHLO_BODY_8BITMIME};
  desk_begin(&desk, NULL, "250-mail.example.org\r\n250 SMTPUTF8\r\n"); /* which is nothing without 8BITMIME */
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of(""), &options, 0), EHLO_ERR_8BITMIME); /* [C-8BIT-05] */
  options.body = EHLO_BODY_NONE;
  options.smtputf8 = 1;
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of(""), &options, 0), EHLO_ERR_SMTPUTF8); /* [C-UTF8-15] */
  options.smtputf8 = 0;
  options.others = ehlo_span_of("X=1");
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of(""), &options, 0),
                   EHLO_ERR_NOT_OFFERED); /* [C-HELO-09] */
  assert_int_equal(ehlo_client_vrfy(desk.client, ehlo_span_of("a"), 1, 0), EHLO_ERR_SMTPUTF8);
  assert_int_equal(ehlo_client_expn(desk.client, ehlo_span_of("a"), 1, 0), EHLO_ERR_SMTPUTF8);
  assert_int_equal(ehlo_client_send(desk.client, ehlo_span_of(""), NULL, 0), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(ehlo_client_soml(desk.client, ehlo_span_of(""), NULL, 0), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(ehlo_client_saml(desk.client, ehlo_span_of(""), NULL, 0), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(ehlo_client_turn(desk.client, 0), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(desk_output(&desk).len, 0);
  desk_close(&desk);
}

/* What a failed write returned is no count of octets. */
static void more_than_there_is_was_not_sent(void **state)
{
  (void)state;
  struct desk desk;
  desk_open(&desk, NULL);
  desk_hear(&desk, "220 hi\r\n");
  assert_int_equal(ehlo_client_hello(desk.client, 1), EHLO_OK);
  ehlo_client_sent(desk.client, (size_t)-1);
  ehlo_client_sent(desk.client, desk_output(&desk).len + 1);
  desk_expect(&desk, "EHLO client.example.com\r\n");
  desk_close(&desk);
}

/* ---- transactions that fail ---- */

static void data_that_has_not_left_is_taken_back(void **state)
{
  (void)state;
  struct desk desk;
  /* Then the transaction stands as before it. */
  desk_begin(&desk, NULL, LOCKSTEP);
  desk_transaction(&desk);
  assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_OK);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 0);
  assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_ERR_STATE);
  assert_int_equal(ehlo_client_pending(desk.client), 2);
  desk_answer(&desk, "250 ok\r\n");
  desk_answer(&desk, "250 ok\r\n");
  desk_expect(&desk, "");
  assert_int_equal(desk_rcpt(&desk, 5), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk.client, 6), EHLO_OK);
  desk_expect(&desk, RCPT_LINE);
  desk_hear(&desk, "250 ok\r\n");
  desk_expect(&desk, "DATA\r\n");
  desk_hear(&desk, "354 go on\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 1);
  desk_close(&desk);
  /* If its MAIL was refused meanwhile, END comes with the last of the replies. */
  desk_begin(&desk, NULL, LOCKSTEP);
  desk_transaction(&desk);
  desk_answer(&desk, "550 no\r\n");
  assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_OK);
  assert_int_equal(desk_rcpt(&desk, 5), EHLO_ERR_REFUSED);
  desk_answer(&desk, "503 no\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
  assert_int_equal(desk.end.code, 550);
  desk_close(&desk);
}

/* Content that broke stays broken: only giving up is left, and nothing that waits leaves any more. */
static void content_that_broke_stays_broken(void **state)
{
  (void)state;
  static const struct {
    const char *content;
    size_t taken; /* before it broke */
    int error;
  } broken[] = {{"a\n", 1, EHLO_ERR_BARE_NEWLINE}, {"a\rb", 2, EHLO_ERR_BARE_NEWLINE}, {"a\xC3", 0, EHLO_ERR_8BITMIME}};
  for (unsigned n = 0; n < 6; n++) {
    struct desk desk;
    ehlo_span spans[8];
    size_t taken = SIZE_MAX;
    size_t count = SIZE_MAX;
    int error = broken[n / 2].error;
    desk_begin(&desk, NULL, ALL_OFFERED);
    desk_transaction(&desk);
    desk_answer(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
    ehlo_span bad = ehlo_span_of(broken[n / 2].content);
    assert_int_equal(n & 1 ? ehlo_client_body_gather(desk.client, bad.ptr, bad.len, &taken, spans, 8, &count)
                           : ehlo_client_body(desk.client, bad.ptr, bad.len, &taken),
                     error);
    assert_int_equal(taken, broken[n / 2].taken);
    assert_true((n & 1) == 0 || count <= 1);
    desk_send_all(&desk);
    for (unsigned again = 0; again < 2; again++) {
      assert_int_equal(ehlo_client_body(desk.client, "x\r\n", 3, &taken), error);
      assert_int_equal(taken, 0);
      assert_int_equal(ehlo_client_body_gather(desk.client, "x\r\n", 3, &taken, spans, 8, &count), error);
      assert_int_equal(taken + count, 0);
      assert_int_equal(ehlo_client_body_end(desk.client), error);
    }
    assert_int_equal(desk_output(&desk).len, 0);
    assert_int_equal(ehlo_client_want(desk.client) & EHLO_WANT_CLOSE, 0);
    assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_OK);
    assert_int_equal(desk.end.reason, EHLO_END_FAILED);
    assert_int_equal(desk.end.code, 451);
    assert_int_equal(desk_output(&desk).len, 0);
    assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
    desk_close(&desk);
  }
}

/* RSET, QUIT and silence behind a transaction that nobody finishes. */
static void transactions_end_as_they_are_left(void **state)
{
  (void)state;
  struct desk desk;
  desk_begin(&desk, NULL, PIPELINING);
  assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
  assert_int_equal(desk_rcpt(&desk, 3), EHLO_OK);
  desk_answer(&desk, "250 ok\r\n550 no\r\n");
  assert_int_equal(ehlo_client_data(desk.client, 4), EHLO_ERR_REFUSED);
  assert_int_equal(desk_rcpt(&desk, 4), EHLO_OK); /* another may do better */
  desk_answer(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_data(desk.client, 5), EHLO_OK);
  desk_answer(&desk, "451 later\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
  assert_int_equal(desk.end.recipients, 1);
  assert_int_equal(desk.end.needs_reset, 1);
  assert_int_equal(ehlo_client_rset(desk.client, 6), EHLO_OK);
  assert_int_equal(desk_mail(&desk, 7), EHLO_OK);
  assert_int_equal(ehlo_client_quit(desk.client, 8), EHLO_OK);
  desk_answer(&desk, "250 ok\r\n250 ok\r\n221 bye\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 2);
  assert_int_equal(desk.end.reason, EHLO_END_QUIT);
  assert_int_equal(desk.end.code, 0);
  assert_int_equal(desk.end_tag, 7);
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
  assert_int_equal(ehlo_client_eof(desk.client), EHLO_OK);
  desk_close(&desk);

  /* Several on their way: each has its END. */
  desk_begin(&desk, NULL, PIPELINING);
  for (uint64_t tag = 1; tag <= 3; tag++) {
    assert_int_equal(desk_mail(&desk, tag), EHLO_OK);
    assert_int_equal(ehlo_client_rset(desk.client, tag), EHLO_OK);
  }
  desk_answer(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_timed_out(desk.client), EHLO_OK);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 3);
  assert_int_equal(desk.end.reason, EHLO_END_TIMED_OUT);
  assert_int_equal(desk.end.needs_reset, 0);
  assert_int_equal(desk.end_tag, 3);
  desk_close(&desk);
}

/* ---- time ---- */

static void clocks_run_while_the_server_is_to_act(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_client_config config = desk_config();
  uint64_t before;
  uint64_t after;
  size_t taken;
  config.greeting_timeout = 1;
  config.command_timeout = 2;
  config.data_timeout = 3;
  config.content_timeout = 4;
  config.verdict_timeout = 5;
  desk_open(&desk, &config);
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 1);
  desk_hear(&desk, "220-a\r\n220 ");
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 1);
  assert_true(before == after); /* lines and octets stop no clock */
  desk_hear(&desk, "b\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 0);
  assert_true(before != after);
  assert_int_equal(ehlo_client_hello(desk.client, 1), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 2);
  ehlo_client_sent(desk.client, 0);
  (void)ehlo_client_timeout(desk.client, &after);
  assert_true(before == after);
  ehlo_client_sent(desk.client, 1);
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 2);
  assert_true(before != after);
  desk_answer(&desk, PIPELINING);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  desk_transaction(&desk);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 2);
  desk_answer(&desk, "250 ok\r\n250 ok\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 3);
  desk_hear(&desk, "354 go on\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 0); /* the host is to act */
  assert_true(before != after);
  assert_int_equal(ehlo_client_body(desk.client, "x\r\n", 3, &taken), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 4);
  desk_send_all(&desk);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 4);
  desk_send_all(&desk);
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 5);
  assert_true(before != after);
  desk_hear(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  /* What was gathered is the host's to send: the clock runs until it gives more. */
  ehlo_span spans[8];
  size_t count;
  desk_transaction(&desk);
  desk_answer(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 0);
  assert_int_equal(ehlo_client_body_gather(desk.client, "x\r\n", 3, &taken, spans, 8, &count), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 4);
  assert_true(before != after);
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  desk_send_all(&desk);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 5);
  desk_transaction(&desk);
  desk_answer(&desk, "250 ok\r\n");
  desk_answer(&desk, "250 ok\r\n");
  desk_answer(&desk, "250 ok\r\n");
  desk_answer(&desk, "354 go on\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 3);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  desk_answer(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_quit(desk.client, 1), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 2);
  desk_answer(&desk, "221 bye\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  desk_close(&desk);
}

/* A clock starts with the wait, and what is no progress does not start it anew. */
static void clocks_start_with_the_wait(void **state)
{
  (void)state;
  struct desk desk;
  uint64_t idle;
  uint64_t first;
  uint64_t second;
  size_t taken;
  size_t count;
  ehlo_span spans[8];
  desk_begin(&desk, NULL, PIPELINING);
  assert_int_equal(ehlo_client_timeout(desk.client, &idle), 0);
  assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
  (void)ehlo_client_timeout(desk.client, &first);
  assert_true(first != idle);
  assert_int_equal(desk_rcpt(&desk, 3), EHLO_OK);
  (void)ehlo_client_timeout(desk.client, &second);
  assert_true(second == first);
  assert_int_equal(ehlo_client_data(desk.client, 4), EHLO_OK);
  desk_answer(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  (void)ehlo_client_timeout(desk.client, &first);
  assert_int_equal(ehlo_client_body(desk.client, "", 0, &taken), EHLO_OK);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, &taken, spans, 8, &count), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, &second), 0);
  assert_true(second == first);
  do {
    static const char line[] = "text and more text, until no more of it is taken\r\n";
    (void)ehlo_client_timeout(desk.client, &first);
    assert_int_equal(ehlo_client_body(desk.client, line, sizeof line - 1, &taken), EHLO_OK);
    (void)ehlo_client_timeout(desk.client, &second);
    assert_true((second != first) == (taken > 0));
  } while (taken > 0);
  desk_close(&desk);
}

/* BINARYMIME counts with CHUNKING and 8BITMIME alone. [C-CHNK-17] */
static void binary_content_needs_the_offer(void **state)
{
  (void)state;
  static const struct {
    const char *hello;
    int result;
  } rows[] = {{"250-hi\r\n250-CHUNKING\r\n250-8BITMIME\r\n250 BINARYMIME\r\n", EHLO_OK},
              {"250-hi\r\n250-8BITMIME\r\n250 BINARYMIME\r\n", EHLO_ERR_NOT_OFFERED},
              {"250-hi\r\n250-CHUNKING\r\n250 BINARYMIME\r\n", EHLO_ERR_NOT_OFFERED},
              {"250-hi\r\n250-CHUNKING\r\n250 8BITMIME\r\n", EHLO_ERR_NOT_OFFERED}};
  ehlo_mail_parameters options = {.struct_size = sizeof options, .body = EHLO_BODY_BINARYMIME};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct desk desk;
    desk_begin(&desk, NULL, rows[i].hello);
    assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of(""), &options, 2), rows[i].result);
    desk_expect(&desk, rows[i].result == EHLO_OK ? "MAIL FROM:<> BODY=BINARYMIME\r\n" : "");
    desk_close(&desk);
  }
}

static const char chunking[] = "250-hi\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250 BINARYMIME\r\n";

/* A message by BDAT fails when the next has been called already: the server refuses that too, as it holds the first,
 * and now the host is told to clear it. By what way the next one's content would have gone makes no difference.
 * [C-CHNK-12] */
static void a_message_behind_chunks_that_failed_is_refused_with_them(void **state)
{
  (void)state;
  ehlo_mail_parameters options = {.struct_size = sizeof options, .body = EHLO_BODY_BINARYMIME};
  for (int both = 0; both < 2; both++) {
    struct desk desk;
    size_t taken;
    desk_begin(&desk, NULL, chunking);
    assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of("alice@example.com"), &options, 2), EHLO_OK);
    assert_int_equal(desk_rcpt(&desk, 3), EHLO_OK);
    assert_int_equal(ehlo_client_data(desk.client, 4), EHLO_OK);
    desk_answer(&desk, "250 ok\r\n250 ok\r\n");
    assert_int_equal(ehlo_client_body(desk.client, "x", 1, &taken), EHLO_OK);
    assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
    assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of("alice@example.com"), both ? &options : NULL, 5),
                     EHLO_OK);
    assert_int_equal(desk_rcpt(&desk, 6), EHLO_OK);
    assert_int_equal(ehlo_client_data(desk.client, 7), EHLO_OK);
    desk_answer(&desk, "250 ok\r\n554 no\r\n");
    assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
    assert_int_equal(desk.end_tag, 2);
    assert_int_equal(desk.end.needs_reset, 0);
    desk_hear(&desk, both ? "503 no\r\n503 no\r\n" : "503 no\r\n503 no\r\n503 no\r\n");
    if (both) { /* the place of content is left when it comes to the front */
      assert_int_equal(ehlo_client_want(desk.client) & EHLO_WANT_FEED, 0);
    }
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 2);
    assert_int_equal(desk.end_tag, 5);
    assert_int_equal(desk.end.code, 503);
    assert_int_equal(desk.end.needs_reset, 1);
    assert_int_equal(desk_mail(&desk, 8), EHLO_ERR_STATE);
    assert_int_equal(ehlo_client_rset(desk.client, 9), EHLO_OK);
    assert_int_equal(desk_mail(&desk, 10), EHLO_OK);
    desk_close(&desk);
  }
}

/* Content by BDAT begins in feed: until that is called there is no clock. */
static void no_clock_runs_while_feed_is_due(void **state)
{
  (void)state;
  struct desk desk;
  size_t consumed;
  ehlo_client_config config = desk_config();
  config.chunking = EHLO_CHUNKING_ALWAYS;
  desk_begin(&desk, &config, chunking);
  assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
  assert_int_equal(desk_rcpt(&desk, 3), EHLO_OK);
  desk_answer(&desk, "250 ok\r\n250 ok\r\n");
  assert_int_equal(ehlo_client_data(desk.client, 4), EHLO_OK);
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_READ | EHLO_WANT_FEED);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  assert_int_equal(ehlo_client_feed(desk.client, NULL, 0, &consumed), EHLO_OK);
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_READ | EHLO_WANT_CONTENT);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 1);
  desk_close(&desk);
}

static void give_all_at_354(struct desk *desk, const ehlo_client_event *event)
{
  size_t taken;
  if (event->type == EHLO_CLIENT_EVENT_REPLY && event->as.reply.code == 354) {
    assert_int_equal(ehlo_client_body(desk->client, "x\r\n", 3, &taken), EHLO_OK);
    assert_int_equal(ehlo_client_body_end(desk->client), EHLO_OK);
  }
}

/* What the REPLY of 354 allows can be called in its handler: then nothing asks for it again. */
static void content_given_at_354_is_not_asked_for(void **state)
{
  (void)state;
  struct desk desk;
  desk_begin(&desk, NULL, PIPELINING);
  desk_transaction(&desk);
  desk.in_handler = give_all_at_354;
  desk_answer(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 0);
  desk_expect(&desk, "x\r\n.\r\n");
  desk_hear(&desk, "250 ok\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
  desk_close(&desk);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_has_the_defaults_of_the_header),
      cmocka_unit_test(config_limits_are_checked),
      cmocka_unit_test(init_and_attach_check_the_memory),
      cmocka_unit_test(null_is_told),
      cmocka_unit_test(every_call_in_every_state),
      cmocka_unit_test(handlers_cannot_call_what_calls_them),
      cmocka_unit_test(a_handler_can_end_the_session),
      cmocka_unit_test(a_handler_that_ends_the_session_hears_no_more),
      cmocka_unit_test(room_for_commands_comes_with_replies),
      cmocka_unit_test(room_for_output_comes_with_sending),
      cmocka_unit_test(room_for_content_comes_with_sending),
      cmocka_unit_test(lmtp_recipients_have_a_limit),
      cmocka_unit_test(groups_end_where_they_must),
      cmocka_unit_test(without_pipelining_one_at_a_time),
      cmocka_unit_test(data_can_be_held_back),
      cmocka_unit_test(what_was_not_offered_is_refused),
      cmocka_unit_test(more_than_there_is_was_not_sent),
      cmocka_unit_test(data_that_has_not_left_is_taken_back),
      cmocka_unit_test(content_that_broke_stays_broken),
      cmocka_unit_test(transactions_end_as_they_are_left),
      cmocka_unit_test(clocks_run_while_the_server_is_to_act),
      cmocka_unit_test(binary_content_needs_the_offer),
      cmocka_unit_test(clocks_start_with_the_wait),
      cmocka_unit_test(a_message_behind_chunks_that_failed_is_refused_with_them),
      cmocka_unit_test(no_clock_runs_while_feed_is_due),
      cmocka_unit_test(content_given_at_354_is_not_asked_for),
  };
  return cmocka_run_group_tests_name("the client's calls", tests, NULL, NULL);
}
