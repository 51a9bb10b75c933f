/* test_server_api.c: what a host can do wrong, and what it is told; by what is published, one call at a time.
 *
 * Sessions are shown by the transcripts; here stand the calls around them: configs, memory, tickets and codes that are
 * not legal, room that is not there, calls at the wrong moment, what is wanted and how long, and what a peer can do
 * with a host that reads and does not write.
 */
#include "configs.h"
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EHLO_LINE "EHLO client.example.com\r\n"
#define MAIL_LINE "MAIL FROM:<alice@example.com>\r\n"
#define RCPT_LINE "RCPT TO:<bob@example.org>\r\n"
#define DATA_LINE "DATA\r\n"

#define SENDER_OKAY    "250 2.1.0 Sender okay\r\n"
#define RECIPIENT_OKAY "250 2.1.5 Recipient okay\r\n"
#define START          "354 Start mail input; end with <CRLF>.<CRLF>\r\n"
#define MESSAGE_OKAY   "250 2.6.0 Message accepted\r\n"
#define OKAY           "250 2.0.0 Requested mail action okay, completed\r\n"
#define LOCAL_ERROR    "451 4.3.0 Requested action aborted: local error in processing\r\n"
#define SHUT_DOWN      "421 4.3.2 mail.example.org Service not available, closing transmission channel\r\n"

static ehlo_span text_of(const char *string)
{
  return ehlo_span_of(string);
}

static int reply(const struct host *host, uint32_t ticket, int code, const char *text)
{
  return ehlo_server_reply(host->server, ticket, code, NULL, text_of(text));
}

static int reply_more(const struct host *host, uint32_t ticket, int code, const char *text)
{
  return ehlo_server_reply_more(host->server, ticket, code, NULL, text_of(text));
}

static size_t waiting(const struct host *host)
{
  size_t size;
  (void)ehlo_server_output(host->server, &size);
  return size;
}

/* ---- config and memory ---------------------------------------------------------------------------------------------
 */

static void config_has_the_defaults_of_the_header(void **state)
{
  (void)state;
  ehlo_server_config config;
  assert_int_equal(ehlo_server_config_init(NULL, sizeof config), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_config_init(&config, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_config_init(&config, sizeof config - 1), EHLO_ERR_ARGUMENT);
  memset(&config, 0xFF, sizeof config);
  assert_int_equal(ehlo_server_config_init(&config, sizeof config), EHLO_OK);
  assert_int_equal(config.struct_size, sizeof config);
  assert_int_equal(config.hostname.len, 0);
  assert_int_equal(config.protocol, EHLO_PROTOCOL_SMTP);
  assert_int_equal(config.max_command_line, 1024);
  assert_int_equal(config.output_size, 1024);
  assert_int_equal(config.max_pending, 1);
  assert_int_equal(config.pending_text, 128);
  assert_int_equal(config.hello_size, 255);
  assert_int_equal(config.max_recipients, 1000);
  assert_int_equal(config.max_errors, 20);
  assert_int_equal(config.command_timeout, 300);
  assert_int_equal(config.content_timeout, 300);
  assert_true(config.max_message_size == 0);
  for (uint32_t e = 0; e < EHLO_EXT_ROOM; e++) {
    int on = e == EHLO_EXT_PIPELINING || e == EHLO_EXT_SIZE || e == EHLO_EXT_8BITMIME ||
             e == EHLO_EXT_ENHANCEDSTATUSCODES || e == EHLO_EXT_SMTPUTF8 || e == EHLO_EXT_HELP ||
             e == EHLO_EXT_CHUNKING;
    assert_int_equal(config.offer[e], on);
  }
  assert_int_equal(config.expn_252 | config.pass_parameters | config.allow_bare_newline |
                       config.allow_space_after_colon | config.allow_bare_address | config.allow_extra_spaces |
                       config.allow_underscore | config.allow_any_hello | config.allow_8bit_orcpt,
                   0);
  assert_int_equal(ehlo_server_size(&config), 0); /* a host name is required */
}

/* Is the config legal, by ehlo_server_size and by ehlo_server_init? */
static int is_legal(const void *config)
{
  static _Alignas(max_align_t) char memory[1 << 22];
  ehlo_server *server = (ehlo_server *)(void *)memory;
  size_t size = ehlo_server_size(config);
  int result = ehlo_server_init(&server, memory, sizeof memory, config, NULL, NULL);
  assert_int_equal(result, EHLO_ERR_ARGUMENT); /* without a handler never */
  assert_null(server);
  return size != 0;
}

static void config_limits_are_checked(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  const struct config_limit limits[] = {{&config.max_command_line, 512, 65536},
                                        {&config.output_size, 512, 1048576},
                                        {&config.max_pending, 1, 10000},
                                        {&config.pending_text, 64, 4096},
                                        {&config.hello_size, 0, 1024},
                                        {&config.max_recipients, 1, UINT32_MAX},
                                        {&config.max_errors, 0, UINT32_MAX},
                                        {&config.command_timeout, 0, UINT32_MAX},
                                        {&config.content_timeout, 0, UINT32_MAX},
                                        {&config.protocol, 0, 1}};
  check_config_limits(limits, sizeof limits / sizeof limits[0], is_legal, &config);
}

static void config_host_names_are_checked(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  check_config_hostname(&config.hostname, is_legal, &config);
}

static void config_extensions_must_agree(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  config.offer[EHLO_EXT_8BITMIME] = 0;
  assert_false(is_legal(&config)); /* SMTPUTF8 demands it */
  config.offer[EHLO_EXT_SMTPUTF8] = 0;
  assert_true(is_legal(&config));
  config.protocol = EHLO_PROTOCOL_LMTP;
  assert_true(is_legal(&config));
  config.offer[EHLO_EXT_PIPELINING] = 0;
  assert_false(is_legal(&config));
  config.offer[EHLO_EXT_PIPELINING] = 1;
  config.offer[EHLO_EXT_ENHANCEDSTATUSCODES] = 0;
  assert_false(is_legal(&config));
  config = host_config();
  config.offer[EHLO_EXT_COUNT] = 1;
  assert_false(is_legal(&config));
  config = host_config();
  config.struct_size = 0;
  assert_false(is_legal(&config));
  assert_int_equal(ehlo_server_size(NULL), 0);
}

static int deaf(ehlo_server *server, const ehlo_event *event, void *user)
{
  (void)server;
  (void)event;
  (void)user;
  return EHLO_HANDLED;
}

static void init_checks_its_arguments_and_the_memory(void **state)
{
  (void)state;
  static _Alignas(max_align_t) char memory[1 << 16];
  ehlo_server_config config = host_config();
  size_t size = ehlo_server_size(&config);
  ehlo_server *server = (ehlo_server *)(void *)memory;
  assert_in_range(size, 1, sizeof memory - 16);
  assert_int_equal(ehlo_server_init(NULL, memory, size, &config, deaf, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_init(&server, NULL, size, &config, deaf, NULL), EHLO_ERR_ARGUMENT);
  assert_null(server);
  server = (ehlo_server *)(void *)memory;
  assert_int_equal(ehlo_server_init(&server, memory, size, NULL, deaf, NULL), EHLO_ERR_ARGUMENT);
  assert_null(server);
  assert_int_equal(ehlo_server_init(&server, memory, size, &config, NULL, NULL), EHLO_ERR_ARGUMENT);
  server = (ehlo_server *)(void *)memory;
  assert_int_equal(ehlo_server_init(&server, memory, size - 1, &config, deaf, NULL), EHLO_ERR_MEMORY);
  assert_null(server);
  for (size_t off = 1; off < _Alignof(max_align_t); off++) {
    assert_int_equal(ehlo_server_init(&server, memory + off, size, &config, deaf, NULL), EHLO_ERR_MEMORY);
  }
  config.max_recipients = 0;
  assert_int_equal(ehlo_server_init(&server, memory, sizeof memory, &config, deaf, NULL), EHLO_ERR_CONFIG);
  config.max_recipients = 1;
  assert_int_equal(ehlo_server_init(&server, memory, size, &config, deaf, NULL), EHLO_OK);
  assert_ptr_equal(server, memory);
}

static void sizes_keep_their_promise(void **state)
{
  (void)state;
  ehlo_server_config config = host_config();
  assert_in_range(ehlo_server_size(&config), 1, 4096);
  ehlo_server_config small = host_config();
  memset(small.offer, 0, sizeof small.offer);
  small.max_command_line = EHLO_MIN_COMMAND_LINE;
  small.output_size = EHLO_MIN_OUTPUT_SIZE;
  small.pending_text = EHLO_MIN_PENDING_TEXT;
  small.hello_size = 0;
  assert_in_range(ehlo_server_size(&small), 1, 1536);
  /* What a config does not keep room for costs nothing; what a peer sends is not in it. */
  config.max_recipients = UINT32_MAX;
  config.max_message_size = UINT64_MAX;
  size_t plain = ehlo_server_size(&config);
  ehlo_server_config usual = host_config();
  assert_int_equal(plain, ehlo_server_size(&usual));
}

static void attach_checks_what_it_takes_up(void **state)
{
  (void)state;
  static _Alignas(max_align_t) char memory[1 << 16];
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  ehlo_server *server = host.server;
  memcpy(memory, host.memory, host.size);
  assert_int_equal(ehlo_server_attach(NULL, memory, host.size, deaf, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_attach(&server, NULL, host.size, deaf, NULL), EHLO_ERR_ARGUMENT);
  assert_null(server);
  assert_int_equal(ehlo_server_attach(&server, memory, host.size, NULL, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_attach(&server, memory, host.size - 1, deaf, NULL), EHLO_ERR_MEMORY);
  assert_int_equal(ehlo_server_attach(&server, memory, 1, deaf, NULL), EHLO_ERR_MEMORY);
  assert_null(server);
  memcpy(memory + 1, host.memory, host.size);
  assert_int_equal(ehlo_server_attach(&server, memory + 1, host.size, deaf, NULL), EHLO_ERR_MEMORY);
  memset(memory, 0, host.size);
  assert_int_equal(ehlo_server_attach(&server, memory, host.size, deaf, NULL), EHLO_ERR_VERSION);
  assert_null(server);
  memcpy(memory, host.memory, host.size);
  assert_int_equal(ehlo_server_attach(&server, memory, sizeof memory, deaf, NULL), EHLO_OK);
  assert_ptr_equal(server, memory);
  assert_true(ehlo_span_equal(ehlo_server_hello(server), text_of("client.example.com")));
  host_close(&host);
}

static void a_session_sleeps_in_what_it_keeps(void **state)
{
  (void)state;
  static _Alignas(max_align_t) char bed[1024];
  static _Alignas(max_align_t) char whole[1 << 16];
  ehlo_server_config config = host_config();
  config.max_pending = 100;
  config.output_size = EHLO_MAX_OUTPUT_SIZE / 32;
  struct host host;
  host_begin(&host, &config, EHLO_LINE);
  ehlo_server *server = NULL;
  size_t kept = ehlo_server_kept(host.server);
  assert_in_range(kept, 1, sizeof bed - 1); /* whatever the config has room for */
  assert_int_equal(ehlo_server_kept(NULL), 0);

  assert_int_equal(ehlo_server_move(NULL, bed, sizeof bed, host.server), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_move(&server, NULL, sizeof bed, host.server), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_move(&server, bed, sizeof bed, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_move(&server, host.memory, host.size, host.server), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_move(&server, bed, kept - 1, host.server), EHLO_ERR_MEMORY);
  assert_int_equal(ehlo_server_move(&server, bed + 1, sizeof bed - 1, host.server), EHLO_ERR_MEMORY);
  assert_null(server);

  memset(bed, 0x5A, sizeof bed);
  assert_int_equal(ehlo_server_move(&server, bed, kept, host.server), EHLO_OK);
  assert_ptr_equal(server, bed);
  for (size_t i = kept; i < sizeof bed; i++) {
    assert_int_equal(bed[i], 0x5A);
  }
  uint64_t epoch[2];
  size_t size = 1;
  assert_int_equal(ehlo_server_kept(server), kept);
  assert_int_equal(ehlo_server_want(server), EHLO_WANT_READ);
  assert_int_equal(ehlo_server_timeout(server, &epoch[0]), ehlo_server_timeout(host.server, &epoch[1]));
  assert_true(epoch[0] == epoch[1]);
  assert_true(ehlo_span_equal(ehlo_server_hello(server), text_of("client.example.com")));
  assert_null(ehlo_server_output(server, &size));
  assert_int_equal(size, 0);
  ehlo_server_sent(server, 1);
  assert_int_equal(ehlo_server_accept(server, host.ticket[EHLO_EVENT_HELLO]), EHLO_ERR_TICKET);
  assert_int_equal(ehlo_server_start(server), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_feed(server, "NOOP\r\n", 6, &size), EHLO_ERR_STATE);
  assert_int_equal(size, 0);
  assert_int_equal(ehlo_server_eof(server), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_lost(server), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_timed_out(server), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_shutdown(server, 421, NULL, text_of("")), EHLO_ERR_STATE);
  for (size_t i = kept; i < sizeof bed; i++) {
    assert_int_equal(bed[i], 0x5A);
  }

  memset(host.memory, 0xEE, host.size);
  assert_int_equal(ehlo_server_move(&host.server, whole, host.size, server), EHLO_OK);
  host_say(&host, MAIL_LINE);
  host_expect(&host, SENDER_OKAY);
  /* A cut line, an answer that is out, output that waits: none of them may be lost. */
  host_say(&host, "RCPT");
  assert_int_equal(ehlo_server_kept(host.server), host.size);
  assert_int_equal(ehlo_server_move(&server, bed, sizeof bed, host.server), EHLO_ERR_MEMORY);
  host.defer = EVENT_BIT(EHLO_EVENT_RCPT);
  host_say(&host, " TO:<bob@example.org>\r\n");
  assert_int_equal(ehlo_server_kept(host.server), host.size);
  assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_RCPT]), EHLO_OK);
  assert_int_equal(ehlo_server_feed(host.server, NULL, 0, &size), EHLO_OK);
  assert_int_equal(ehlo_server_kept(host.server), host.size);
  host_expect(&host, RECIPIENT_OKAY);
  assert_int_equal(ehlo_server_kept(host.server), kept);
  host_close(&host);
}

static void move_in_handler(struct host *host, const ehlo_event *event)
{
  static _Alignas(max_align_t) char whole[1 << 14];
  ehlo_server *server = host->server;
  if (event->type == EHLO_EVENT_MAIL) {
    assert_int_equal(ehlo_server_kept(host->server), host->size);
    assert_int_equal(ehlo_server_move(&server, whole, sizeof whole, host->server), EHLO_ERR_REENTRANT);
    assert_ptr_equal(server, host->server); /* a failed move loses nothing */
  }
}

static void nothing_moves_inside_a_handler(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host.in_handler = move_in_handler;
  host_say(&host, MAIL_LINE);
  host_expect(&host, SENDER_OKAY);
  host_close(&host);
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

static void calls_before_start_are_errors(void **state)
{
  (void)state;
  struct host host;
  size_t consumed = 7;
  host_open(&host, NULL);
  assert_int_equal(ehlo_server_feed(host.server, "NOOP\r\n", 6, &consumed), EHLO_ERR_STATE);
  assert_int_equal(consumed, 0);
  assert_int_equal(ehlo_server_eof(host.server), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_lost(host.server), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_timed_out(host.server), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, text_of(NULL)), EHLO_ERR_STATE);
  assert_int_equal(waiting(&host), 0);
  assert_int_equal(ehlo_server_start(host.server), EHLO_OK);
  assert_int_equal(ehlo_server_start(host.server), EHLO_ERR_STATE);
  host_expect(&host, "220 mail.example.org ESMTP Service ready\r\n");
  host_close(&host);
}

static void arguments_are_checked(void **state)
{
  (void)state;
  struct host host;
  size_t consumed = 7;
  size_t size = 7;
  host_begin(&host, NULL, EHLO_LINE);
  assert_int_equal(ehlo_server_start(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_feed(NULL, "", 0, &consumed), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_feed(host.server, NULL, 1, &consumed), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_feed(host.server, "", 0, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_feed(host.server, NULL, 0, &consumed), EHLO_OK);
  assert_int_equal(ehlo_server_eof(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_lost(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_timed_out(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_shutdown(NULL, 421, NULL, text_of("")), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_reply(NULL, 1, 250, NULL, text_of("")), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_reply_more(NULL, 1, 250, NULL, text_of("")), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_accept(NULL, 1), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_defer(NULL, 1, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_resume(NULL, 1), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_offer(NULL, 0, 1), EHLO_ERR_ARGUMENT);
  assert_null(ehlo_server_output(NULL, &size));
  assert_int_equal(size, 0);
  assert_null(ehlo_server_output(host.server, NULL));
  ehlo_server_sent(NULL, 1);
  host_close(&host);
}

static void getters_take_null(void **state)
{
  (void)state;
  uint64_t epoch = 7;
  assert_int_equal(ehlo_server_want(NULL), 0);
  assert_int_equal(ehlo_server_timeout(NULL, &epoch), 0);
  assert_true(epoch == 0);
  assert_int_equal(ehlo_server_timeout(NULL, NULL), 0);
  assert_int_equal(ehlo_server_hello(NULL).len, 0);
  assert_int_equal(ehlo_server_hello_verb(NULL), EHLO_VERB_NONE);
  assert_int_equal(ehlo_server_transmission_type(NULL).len, 0);
  assert_int_equal(ehlo_server_recipients(NULL), 0);
  assert_int_equal(ehlo_server_transactions(NULL), 0);
  assert_int_equal(ehlo_server_errors(NULL), 0);
  assert_true(ehlo_server_octets(NULL) == 0);
}

static void names_are_there_for_every_number(void **state)
{
  (void)state;
  for (uint32_t i = 1; i < 19; i++) {
    assert_string_not_equal(ehlo_event_name(i), "?");
  }
  for (uint32_t i = 1; i < 26; i++) {
    assert_string_not_equal(ehlo_violation_name(i), "?");
  }
  for (uint32_t i = 1; i < 13; i++) {
    assert_string_not_equal(ehlo_end_name(i), "?");
  }
  assert_string_equal(ehlo_event_name(EHLO_EVENT_RCPT), "RCPT");
  assert_string_equal(ehlo_violation_name(EHLO_VIOLATION_BARE_NEWLINE), "bare newline");
  assert_string_equal(ehlo_event_name(0), "?");
  assert_string_equal(ehlo_event_name(EHLO_EVENT_XFORWARD + 1), "?");
  assert_string_equal(ehlo_violation_name(0), "?");
  assert_string_equal(ehlo_violation_name(26), "?");
  assert_string_equal(ehlo_end_name(0), "?");
  assert_string_equal(ehlo_end_name(UINT32_MAX), "?");
}

static void output_is_pulled_in_parts(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host_say(&host, "NOOP\r\n");
  size_t all;
  const char *output = ehlo_server_output(host.server, &all);
  assert_int_equal(all, strlen(OKAY));
  ehlo_server_sent(host.server, 0);
  size_t size;
  assert_ptr_equal(ehlo_server_output(host.server, &size), output);
  assert_int_equal(size, all);
  ehlo_server_sent(host.server, 10);
  output = ehlo_server_output(host.server, &size);
  assert_int_equal(size, all - 10);
  assert_memory_equal(output, &OKAY[10], size);
  host_say(&host, "RSET\r\n"); /* is only appended */
  const char *longer = ehlo_server_output(host.server, &size);
  assert_ptr_equal(longer, output);
  assert_int_equal(size, all - 10 + strlen(OKAY));
  ehlo_server_sent(host.server, size + 1); /* more than there is was not sent */
  ehlo_server_sent(host.server, (size_t)-1);
  assert_ptr_equal(ehlo_server_output(host.server, &size), output);
  assert_int_equal(size, all - 10 + strlen(OKAY));
  ehlo_server_sent(host.server, size);
  assert_null(ehlo_server_output(host.server, &size));
  assert_int_equal(size, 0);
  host_say(&host, "NOOP\r\n");
  host_expect(&host, OKAY);
  host_close(&host);
}

static void want_tells_what_is_waited_for(void **state)
{
  (void)state;
  static const char text[] = "text\r\n";
  struct host host;
  host_open(&host, NULL);
  host.defer = EVENT_BIT(EHLO_EVENT_CONNECT);
  ehlo_server_start(host.server);
  assert_int_equal(host_want(&host) & (EHLO_WANT_DECISION | EHLO_WANT_WRITE | EHLO_WANT_FEED | EHLO_WANT_CLOSE),
                   EHLO_WANT_DECISION);
  assert_int_equal(ehlo_server_defer(host.server, host.ticket[EHLO_EVENT_CONNECT], 1), EHLO_ERR_STATE); /* too late */
  assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_CONNECT]), EHLO_OK);
  assert_int_equal(host_want(&host) & ~(uint32_t)EHLO_WANT_READ, EHLO_WANT_WRITE | EHLO_WANT_FEED);
  host_feed(&host, NULL, 0);
  assert_int_equal(host_want(&host), EHLO_WANT_WRITE | EHLO_WANT_READ);
  host_expect(&host, "220 mail.example.org ESMTP Service ready\r\n");
  assert_int_equal(host_want(&host), EHLO_WANT_READ);

  host_say(&host, EHLO_LINE);
  host_drain(&host);
  host.defer = EVENT_BIT(EHLO_EVENT_MAIL) | EVENT_BIT(EHLO_EVENT_BODY);
  size_t consumed = host_feed(&host, MAIL_LINE RCPT_LINE, strlen(MAIL_LINE RCPT_LINE));
  assert_int_equal(consumed, strlen(MAIL_LINE)); /* the host keeps the rest */
  assert_int_equal(host_want(&host), EHLO_WANT_DECISION);
  ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_MAIL]);
  assert_int_equal(host_want(&host), EHLO_WANT_WRITE | EHLO_WANT_FEED);
  host_say(&host, RCPT_LINE DATA_LINE);
  host_drain(&host);
  assert_int_equal(host_want(&host), EHLO_WANT_READ);
  consumed = host_feed(&host, text, 6);
  assert_int_equal(host_want(&host), EHLO_WANT_DECISION);
  assert_int_equal(host.count[EHLO_EVENT_BODY], 1);
  size_t more = host_feed(&host, &text[consumed], 6 - consumed); /* does not help */
  assert_int_equal(host_want(&host), EHLO_WANT_DECISION);
  assert_int_equal(host.count[EHLO_EVENT_BODY], 1);
  host.defer = 0;
  assert_int_equal(ehlo_server_resume(host.server, host.ticket[EHLO_EVENT_BODY]), EHLO_OK);
  assert_int_equal(ehlo_server_resume(host.server, host.ticket[EHLO_EVENT_BODY]), EHLO_ERR_STATE);
  assert_int_equal(host_want(&host), EHLO_WANT_FEED);
  host_feed(&host, &text[consumed + more], 6 - consumed - more);
  host_say(&host, ".\r\nQUIT\r\n");
  assert_int_equal(host_want(&host), EHLO_WANT_WRITE | EHLO_WANT_CLOSE);
  host_drain(&host);
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  host_close(&host);
}

/* ---- tickets -------------------------------------------------------------------------------------------------------
 */

static void assert_stale(const struct host *host, uint32_t ticket)
{
  assert_int_equal(reply(host, ticket, 550, ""), EHLO_ERR_TICKET);
  assert_int_equal(reply_more(host, ticket, 550, ""), EHLO_ERR_TICKET);
  assert_int_equal(ehlo_server_accept(host->server, ticket), EHLO_ERR_TICKET);
  assert_int_equal(ehlo_server_defer(host->server, ticket, 1), EHLO_ERR_TICKET);
  assert_int_equal(ehlo_server_resume(host->server, ticket), EHLO_ERR_TICKET);
}

static void tickets_are_good_for_one_answer(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_RCPT);
  host_say(&host, RCPT_LINE);
  uint32_t ticket = host.ticket[EHLO_EVENT_RCPT];
  assert_stale(&host, 0);
  assert_stale(&host, ticket - 1);
  assert_stale(&host, ticket + 1);
  assert_stale(&host, UINT32_MAX);
  assert_int_equal(ehlo_server_defer(host.server, ticket, 1), EHLO_ERR_STATE); /* not in its handler any more */
  assert_int_equal(ehlo_server_resume(host.server, ticket), EHLO_ERR_STATE);   /* is no BODY */
  assert_int_equal(waiting(&host), 0);
  assert_int_equal(reply(&host, ticket, 550, "No"), EHLO_OK);
  assert_stale(&host, ticket);
  host_expect(&host, "550 5.1.1 No\r\n");
  assert_stale(&host, ticket);
  host_expect(&host, "");
  host_close(&host);
}

static void answer_twice(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_MAIL) {
    assert_int_equal(reply(host, event->ticket, 550, "First"), EHLO_OK);
    assert_int_equal(reply(host, event->ticket, 250, "Second"), EHLO_ERR_TICKET);
    assert_int_equal(ehlo_server_defer(host->server, event->ticket, 1), EHLO_ERR_TICKET);
  }
}

static void a_second_answer_in_the_handler_is_stale_too(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host.in_handler = answer_twice;
  host_say(&host, MAIL_LINE);
  host_expect(&host, "550 5.1.1 First\r\n");
  host_close(&host);
}

static void silence_closes_the_ticket(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE);
  host.silent = EVENT_BIT(EHLO_EVENT_RCPT);
  host_say(&host, RCPT_LINE);
  assert_stale(&host, host.ticket[EHLO_EVENT_RCPT]);
  host_expect(&host, LOCAL_ERROR);
  host_close(&host);
}

static void cancelled_tickets_are_stale(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_MESSAGE);
  host_say(&host, ".\r\n");
  assert_int_equal(ehlo_server_lost(host.server), EHLO_OK);
  assert_int_equal(host.count[EHLO_EVENT_CANCEL], 1);
  assert_int_equal(host.cancel.ticket, host.ticket[EHLO_EVENT_MESSAGE]);
  assert_true(host.cancel.tag == EHLO_EVENT_MESSAGE);
  assert_stale(&host, host.ticket[EHLO_EVENT_MESSAGE]);
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  host_close(&host);
}

static void body_cannot_be_accepted_before_the_end(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE);
  host_say(&host, "text\r\n");
  uint32_t ticket = host.ticket[EHLO_EVENT_BODY];
  assert_int_equal(ehlo_server_accept(host.server, ticket), EHLO_ERR_CODE);
  assert_int_equal(reply(&host, ticket, 250, ""), EHLO_ERR_CODE);
  assert_int_equal(reply(&host, ticket, 354, ""), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_defer(host.server, ticket, 1), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_resume(host.server, ticket), EHLO_ERR_STATE);
  assert_int_equal(reply(&host, ticket, 554, "No"), EHLO_OK); /* but refused at any moment */
  assert_int_equal(reply(&host, ticket, 554, "No"), EHLO_ERR_TICKET);
  host_say(&host, "more\r\n");
  assert_int_equal(host.count[EHLO_EVENT_BODY], 1);
  host_expect(&host, "");
  host_say(&host, ".\r\n");
  host_expect(&host, "554 5.0.0 No\r\n");
  assert_int_equal(host.end.reason, EHLO_END_REFUSED);
  assert_int_equal(host.count[EHLO_EVENT_MESSAGE], 0);
  host_close(&host);
}

/* ---- codes, texts, lengths ------------------------------------------------------------------ */

/* Brings a session to where an event of this kind is deferred, and returns its ticket. */
static uint32_t ask(struct host *host, uint32_t event)
{
  static const struct {
    uint32_t event;
    const char *before;
    const char *line;
  } ways[] = {{EHLO_EVENT_HELLO, "", EHLO_LINE},
              {EHLO_EVENT_MAIL, EHLO_LINE, MAIL_LINE},
              {EHLO_EVENT_RCPT, EHLO_LINE MAIL_LINE, RCPT_LINE},
              {EHLO_EVENT_DATA, EHLO_LINE MAIL_LINE RCPT_LINE, DATA_LINE},
              {EHLO_EVENT_BODY, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE, "text\r\n"},
              {EHLO_EVENT_MESSAGE, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE, ".\r\n"},
              {EHLO_EVENT_RESULT, "LHLO a.example\r\n" MAIL_LINE RCPT_LINE DATA_LINE, ".\r\n"},
              {EHLO_EVENT_VRFY, EHLO_LINE, "VRFY bob\r\n"},
              {EHLO_EVENT_EXPN, EHLO_LINE, "EXPN staff\r\n"},
              {EHLO_EVENT_HELP, EHLO_LINE, "HELP\r\n"},
              {EHLO_EVENT_TURN, EHLO_LINE, "TURN\r\n"},
              {EHLO_EVENT_UNKNOWN, EHLO_LINE, "XYZZY\r\n"}};
  ehlo_server_config config = host_config();
  config.offer[EHLO_EXT_EXPN] = config.offer[EHLO_EXT_TURN] = 1;
  config.protocol = event == EHLO_EVENT_RESULT ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
  if (event == EHLO_EVENT_CONNECT) {
    host_open(host, &config);
    host->defer = EVENT_BIT(event);
    ehlo_server_start(host->server);
    return host->ticket[event];
  }
  size_t i = 0;
  while (ways[i].event != event) {
    i++;
  }
  host_begin(host, &config, ways[i].before);
  host->defer = EVENT_BIT(event);
  host_feed(host, ways[i].line, strlen(ways[i].line));
  assert_int_equal(host->count[event], 1);
  return host->ticket[event];
}

static int begins_with(int code, const char *digits)
{
  char text[16];
  snprintf(text, sizeof text, "%d", code);
  return strncmp(text, digits, strlen(digits)) == 0;
}

static void only_the_codes_that_may_answer_are_taken(void **state)
{
  (void)state;
  static const struct {
    uint32_t event;
    const char *positive; /* how such a code begins, as the events' comments say; 4yz and 5yz may always answer */
    int accept;
  } asked[] = {{EHLO_EVENT_CONNECT, "220", 220}, {EHLO_EVENT_HELLO, "250", 250}, {EHLO_EVENT_MAIL, "25", 250},
               {EHLO_EVENT_RCPT, "25", 250},     {EHLO_EVENT_DATA, "354", 354},  {EHLO_EVENT_BODY, "none", 0},
               {EHLO_EVENT_MESSAGE, "25", 250},  {EHLO_EVENT_RESULT, "25", 250}, {EHLO_EVENT_VRFY, "25", 250},
               {EHLO_EVENT_EXPN, "25", 250},     {EHLO_EVENT_HELP, "21", 214},   {EHLO_EVENT_TURN, "250", 250},
               {EHLO_EVENT_UNKNOWN, "2", 250}};
  static const int never[] = {INT32_MIN, -250, -1,  0,   1,   25,   99,          100,
                              150,       199,  560, 600, 999, 2500, 65536 + 250, INT32_MAX};
  for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
    struct host host;
    uint32_t ticket = ask(&host, asked[i].event);
    for (size_t n = 0; n < sizeof never / sizeof never[0]; n++) {
      assert_int_equal(reply(&host, ticket, never[n], ""), EHLO_ERR_CODE);
      assert_int_equal(reply_more(&host, ticket, never[n], ""), EHLO_ERR_CODE);
    }
    for (int code = 200; code < 400; code++) {
      if (!begins_with(code, asked[i].positive)) {
        assert_int_equal(reply(&host, ticket, code, ""), EHLO_ERR_CODE);
      }
    }
    assert_int_equal(waiting(&host), 0);
    if (asked[i].accept == 0) {
      assert_int_equal(ehlo_server_accept(host.server, ticket), EHLO_ERR_CODE);
    } else {
      assert_int_equal(ehlo_server_accept(host.server, ticket), EHLO_OK);
      host_drain(&host);
      assert_int_equal(atoi(host.output), asked[i].accept);
    }
    host_close(&host);
    for (int code = 200; code < 560; code++) {
      if (code >= 400 || begins_with(code, asked[i].positive)) {
        int in_grammar = code / 10 % 10 <= 5; /* RFC 5321 4.2, Reply-code */
        ticket = ask(&host, asked[i].event);
        assert_int_equal(reply(&host, ticket, code, ""), in_grammar ? EHLO_OK : EHLO_ERR_CODE);
        host_close(&host);
      }
    }
    ticket = ask(&host, asked[i].event);
    assert_int_equal(reply(&host, ticket, 421, ""), EHLO_OK); /* always legal */
    host_close(&host);
  }
}

static void enhanced_codes_are_checked(void **state)
{
  (void)state;
  static const char *const bad[] = {"4.1.1",    "2.1.1",  "5.1",     "5",    "",       " 5.1.1",    "5.01.1", "5.1.01",
                                    "5.1.1000", "5.1.-1", "5.1.1.1", "five", "5.1.1 ", "5.1.1\r\n", "55.1.1", "5..1"};
  struct host host;
  uint32_t ticket = ask(&host, EHLO_EVENT_RCPT);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(ehlo_server_reply(host.server, ticket, 550, bad[i], text_of("No")), EHLO_ERR_CODE);
    assert_int_equal(ehlo_server_reply_more(host.server, ticket, 550, bad[i], text_of("No")), EHLO_ERR_CODE);
  }
  assert_int_equal(waiting(&host), 0);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 550, "5.999.0", text_of("No")), EHLO_OK);
  host_expect(&host, "550 5.999.0 No\r\n");
  host_close(&host);
}

static void no_text_that_could_be_more_than_a_line_leaves(void **state)
{
  (void)state;
  struct host host;
  uint32_t ticket = ask(&host, EHLO_EVENT_RCPT);
  for (int octet = 0; octet < 256; octet++) {
    char text[] = {'a', (char)octet, 'b'};
    if (octet == '\t' || (octet >= 32 && octet < 127)) {
      continue;
    }
    assert_int_equal(ehlo_server_reply(host.server, ticket, 550, NULL, (ehlo_span){text, 3}), EHLO_ERR_TEXT);
    assert_int_equal(ehlo_server_reply_more(host.server, ticket, 550, NULL, (ehlo_span){text, 3}), EHLO_ERR_TEXT);
    assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, (ehlo_span){text, 3}), EHLO_ERR_TEXT);
  }
  assert_int_equal(ehlo_server_reply(host.server, ticket, 550, NULL, (ehlo_span){NULL, 1}), EHLO_ERR_ARGUMENT);
  assert_int_equal(reply(&host, ticket, 550, "No such \xC3\xBCser"), EHLO_ERR_TEXT);
  assert_int_equal(waiting(&host), 0);
  assert_int_equal(host.count[EHLO_EVENT_END], 0);
  assert_int_equal(reply(&host, ticket, 550, "\t !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"), EHLO_OK);
  host_expect(&host, "550 5.1.1 \t !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~\r\n");
  host_close(&host);
}

static void utf8_leaves_only_where_it_may(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE "MAIL FROM:<alice@example.com> SMTPUTF8\r\n");
  host.defer = EVENT_BIT(EHLO_EVENT_RCPT) | EVENT_BIT(EHLO_EVENT_DATA) | EVENT_BIT(EHLO_EVENT_VRFY);
  host_say(&host, RCPT_LINE);
  uint32_t ticket = host.ticket[EHLO_EVENT_RCPT];
  assert_int_equal(reply(&host, ticket, 551, "\xC3"), EHLO_ERR_TEXT);
  assert_int_equal(reply(&host, ticket, 551, "\xC0\xAF"), EHLO_ERR_TEXT);
  assert_int_equal(reply(&host, ticket, 551, "\xED\xA0\x80"), EHLO_ERR_TEXT);
  assert_int_equal(reply(&host, ticket, 551, "a\xC3\xBC\n"), EHLO_ERR_TEXT);
  assert_int_equal(reply(&host, ticket, 550, "\xC3\xBC"), EHLO_ERR_TEXT);
  assert_int_equal(reply(&host, ticket, 250, "\xC3\xBC"), EHLO_ERR_TEXT);
  assert_int_equal(reply(&host, ticket, 251, "\xC3\xBC"), EHLO_OK);
  host_expect(&host, "251 2.1.5 \xC3\xBC\r\n");
  host_say(&host, "VRFY bob\r\n");
  assert_int_equal(reply(&host, host.ticket[EHLO_EVENT_VRFY], 250, "\xC3\xBC"), EHLO_ERR_TEXT);
  assert_int_equal(reply(&host, host.ticket[EHLO_EVENT_VRFY], 250, "u"), EHLO_OK);
  host_expect(&host, "250 2.0.0 u\r\n");
  host_say(&host, DATA_LINE);
  assert_int_equal(reply(&host, host.ticket[EHLO_EVENT_DATA], 554, "\xC3\xBC"), EHLO_ERR_TEXT);
  host_close(&host);
}

/* A text of `size` octets. */
static ehlo_span long_text(size_t size)
{
  static char text[2048];
  memset(text, 'x', sizeof text);
  return (ehlo_span){text, size};
}

static void reply_lines_keep_to_512_octets(void **state)
{
  (void)state;
  struct host host;
  uint32_t ticket = ask(&host, EHLO_EVENT_VRFY);
  size_t most = 512 - strlen("250 2.1.5 \r\n");
  assert_int_equal(ehlo_server_reply(host.server, ticket, 250, "2.1.5", long_text(most + 1)), EHLO_ERR_TOO_LONG);
  assert_int_equal(ehlo_server_reply_more(host.server, ticket, 250, "2.1.5", long_text(most + 1)), EHLO_ERR_TOO_LONG);
  assert_int_equal(waiting(&host), 0);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 250, "2.1.5", long_text(most)), EHLO_OK);
  assert_int_equal(waiting(&host), 512);
  host_close(&host);
  /* The names that the library puts before a text count. */
  ticket = ask(&host, EHLO_EVENT_VRFY);
  most = 512 - strlen("421 4.3.2 mail.example.org \r\n");
  assert_int_equal(ehlo_server_reply(host.server, ticket, 421, "4.3.2", long_text(most + 1)), EHLO_ERR_TOO_LONG);
  assert_int_equal(ehlo_server_shutdown(host.server, 421, "4.3.2", long_text(most + 1)), EHLO_ERR_TOO_LONG);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 421, "4.3.2", long_text(most)), EHLO_OK);
  assert_int_equal(waiting(&host), 512);
  host_close(&host);
  ticket = ask(&host, EHLO_EVENT_HELLO);
  most = 512 - strlen("250-mail.example.org \r\n");
  assert_int_equal(ehlo_server_reply(host.server, ticket, 250, NULL, long_text(most + 1)), EHLO_ERR_TOO_LONG);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 250, NULL, long_text(most)), EHLO_OK);
  host_close(&host);
}

static void shutdown_checks_its_reply(void **state)
{
  (void)state;
  static const int bad[] = {0, 199, 220, 250, 354, 399, 560, -421};
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(ehlo_server_shutdown(host.server, bad[i], NULL, text_of("")), EHLO_ERR_CODE);
  }
  assert_int_equal(ehlo_server_shutdown(host.server, 421, "5.3.2", text_of("")), EHLO_ERR_CODE);
  assert_int_equal(host.count[EHLO_EVENT_END], 0);
  assert_int_equal(host_want(&host), EHLO_WANT_READ);
  assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, text_of("")), EHLO_OK);
  assert_int_equal(host.count[EHLO_EVENT_END], 1);
  assert_int_equal(host.reply.verb, EHLO_VERB_NONE);
  assert_int_equal(host.reply.asked, 0);
  host_expect(&host, SHUT_DOWN);
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  /* It is over: nothing is said or told twice. */
  assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, text_of("")), EHLO_OK);
  assert_int_equal(ehlo_server_timed_out(host.server), EHLO_OK);
  assert_int_equal(ehlo_server_eof(host.server), EHLO_OK);
  assert_int_equal(ehlo_server_lost(host.server), EHLO_OK);
  host_say(&host, "NOOP\r\n");
  host_expect(&host, "");
  assert_int_equal(host.count[EHLO_EVENT_END], 1);
  assert_int_equal(host.count[EHLO_EVENT_REPLY], 1);
  host_close(&host);
}

/* ---- long answers, and room ----------------------------------------------------------------- */

static void a_long_answer_keeps_its_code(void **state)
{
  (void)state;
  struct host host;
  uint32_t ticket = ask(&host, EHLO_EVENT_VRFY);
  assert_int_equal(ehlo_server_reply_more(host.server, ticket, 553, "5.1.4", text_of("One")), EHLO_OK);
  assert_int_equal(ehlo_server_reply_more(host.server, ticket, 550, "5.1.4", text_of("Two")), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_reply_more(host.server, ticket, 553, "5.1.1", text_of("Two")), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 250, NULL, text_of("Two")), EHLO_ERR_CODE);
  assert_int_equal(ehlo_server_reply(host.server, ticket, 553, "5.1.4", text_of("Two")), EHLO_OK);
  host_expect(&host, "553-5.1.4 One\r\n553 5.1.4 Two\r\n");
  assert_int_equal(host.count[EHLO_EVENT_REPLY], 1);
  host_close(&host);
}

static void begin_and_leave(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_VRFY) {
    assert_int_equal(reply_more(host, event->ticket, 250, "One"), EHLO_OK);
  }
}

static void begin_on_body(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_BODY) {
    assert_int_equal(reply_more(host, event->ticket, 554, "One"), EHLO_OK);
  }
}

/* Nor does a handler that fails behind it put another code under its lines. */
static void begun_on_body_and_never_ended_closes_too(void **state)
{
  (void)state;
  for (int way = 0; way < 4; way++) {
    struct host host;
    ehlo_server_config config = host_config();
    config.protocol = way == 3 ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
    host_begin(&host, &config,
               way == 3 ? "LHLO a.example\r\n" MAIL_LINE RCPT_LINE DATA_LINE : EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE);
    host.in_handler = begin_on_body;
    host.silent = EVENT_BIT(EHLO_EVENT_MESSAGE) | EVENT_BIT(EHLO_EVENT_RESULT);
    host_say(&host, "text\r\n");
    host.result = way == 1 ? EHLO_FAIL_TRANSACTION : way == 2 ? -1 : EHLO_HANDLED;
    size_t consumed;
    int error = ehlo_server_feed(host.server, ".\r\n", 3, &consumed);
    assert_int_equal(error, way == 2 ? EHLO_ERR_HOST : EHLO_OK);
    host_drain(&host);
    /* The refusal that a failing handler left open can be ended for it. */
    assert_int_equal(host_want(&host), way == 1 ? EHLO_WANT_READ : EHLO_WANT_CLOSE);
    assert_int_equal(host.count[EHLO_EVENT_END], way == 2 ? 0 : 1);
    for (size_t at = 0; at < host.output_size;) {
      assert_memory_equal(host.output + at, "554", 3);
      at = (size_t)((char *)memchr(host.output + at, '\n', host.output_size - at) - host.output) + 1;
    }
    host_close(&host);
  }
}

static void a_long_answer_that_is_never_ended_closes(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE);
  host.in_handler = begin_and_leave;
  host_say(&host, "VRFY bob\r\nNOOP\r\n");
  host_drain(&host);
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  assert_int_equal(host.count[EHLO_EVENT_END], 1);
  assert_true(host.output_size < 5 ||
              memcmp(host.output + host.output_size - strlen("250-2.0.0 One\r\n"), "250-", 4) == 0);
  host_close(&host);
}

static void without_room_an_answer_changes_nothing(void **state)
{
  (void)state;
  struct host host;
  char expected[HOST_OUTPUT] = "";
  uint32_t ticket = ask(&host, EHLO_EVENT_VRFY);
  unsigned refused = 0;
  for (int line = 0; line < 100; line++) {
    char text[64];
    snprintf(text, sizeof text, "%040d", line);
    int error = reply_more(&host, ticket, 250, text);
    if (error == EHLO_ERR_SPACE) {
      refused++;
      assert_int_equal(reply_more(&host, ticket, 250, text), EHLO_ERR_SPACE);
      host_drain(&host);
      error = reply_more(&host, ticket, 250, text);
    }
    assert_int_equal(error, EHLO_OK);
    sprintf(expected + strlen(expected), "250-2.0.0 %s\r\n", text);
  }
  assert_in_range(refused, 1, 99);
  int error = reply(&host, ticket, 250, "last");
  if (error == EHLO_ERR_SPACE) {
    host_drain(&host);
    error = reply(&host, ticket, 250, "last");
  }
  assert_int_equal(error, EHLO_OK);
  strcat(expected, "250 2.0.0 last\r\n");
  host_expect(&host, expected);
  assert_int_equal(host.count[EHLO_EVENT_REPLY], 1);
  host_close(&host);
}

static void an_answer_out_of_turn_parks_only_what_fits(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.max_pending = 2;
  config.pending_text = 64;
  host_begin(&host, &config, EHLO_LINE MAIL_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_RCPT);
  host_say(&host, RCPT_LINE RCPT_LINE);
  uint32_t first = host.tickets[EHLO_EVENT_RCPT];
  uint32_t second = host.ticket[EHLO_EVENT_RCPT];
  assert_int_not_equal(first, second);
  assert_int_equal(ehlo_server_reply(host.server, second, 550, NULL, long_text(65)), EHLO_ERR_SPACE);
  assert_int_equal(ehlo_server_reply(host.server, second, 550, NULL, long_text(65)), EHLO_ERR_SPACE);
  assert_int_equal(waiting(&host), 0);
  assert_int_equal(reply(&host, first, 550, "First"), EHLO_OK);
  host_expect(&host, "550 5.1.1 First\r\n");
  assert_int_equal(ehlo_server_reply(host.server, second, 550, NULL, long_text(65)), EHLO_OK);
  assert_int_equal(waiting(&host), strlen("550 5.1.1 ") + 65 + 2);
  host_drain(&host);
  host.output_size = 0;

  host_feed(&host, NULL, 0);
  host_say(&host, RCPT_LINE RCPT_LINE);
  first = host.ticket[EHLO_EVENT_RCPT] - 1;
  second = host.ticket[EHLO_EVENT_RCPT];
  assert_int_equal(ehlo_server_reply(host.server, second, 550, NULL, long_text(64)), EHLO_OK);
  assert_int_equal(waiting(&host), 0);
  assert_int_equal(reply(&host, first, 450, "First"), EHLO_OK);
  host_feed(&host, NULL, 0);
  host_drain(&host);
  assert_int_equal(host.output_size, strlen("450 4.2.0 First\r\n550 5.1.1 \r\n") + 64);
  host_close(&host);
}

static void a_long_answer_out_of_turn_comes_whole(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.max_pending = 3;
  host_begin(&host, &config, EHLO_LINE MAIL_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_RCPT);
  host_say(&host, RCPT_LINE RCPT_LINE);
  uint32_t first = host.tickets[EHLO_EVENT_RCPT];
  uint32_t second = host.ticket[EHLO_EVENT_RCPT];
  assert_int_equal(reply_more(&host, second, 250, "Two"), EHLO_OK);
  assert_int_equal(reply_more(&host, second, 250, "Three"), EHLO_OK);
  assert_int_equal(waiting(&host), 0);
  assert_int_equal(reply_more(&host, first, 551, "One"), EHLO_OK);
  assert_int_equal(reply(&host, first, 551, ""), EHLO_OK);
  host_expect(&host, "551-5.1.6 One\r\n551 5.1.6 User not local; please try another path\r\n250-2.1.5 Two\r\n"
                     "250-2.1.5 Three\r\n");
  assert_int_equal(host_want(&host) & EHLO_WANT_DECISION, EHLO_WANT_DECISION);
  assert_int_equal(reply(&host, second, 250, "Four"), EHLO_OK);
  host_expect(&host, "250 2.1.5 Four\r\n");
  assert_int_equal(ehlo_server_recipients(host.server), 1);
  host_close(&host);
}

static void an_offer_does_not_change_an_answer_that_is_begun(void **state)
{
  (void)state;
  struct host host;
  uint32_t ticket = ask(&host, EHLO_EVENT_VRFY);
  assert_int_equal(reply_more(&host, ticket, 250, "One"), EHLO_OK);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_ENHANCEDSTATUSCODES, 0), EHLO_OK);
  assert_int_equal(reply(&host, ticket, 250, "Two"), EHLO_OK);
  host_expect(&host, "250-2.0.0 One\r\n250 2.0.0 Two\r\n");
  host_say(&host, "NOOP\r\n");
  host_expect(&host, "250 Requested mail action okay, completed\r\n");
  host_close(&host);
}

static void the_lines_of_a_hello_are_the_library_s(void **state)
{
  (void)state;
  struct host host;
  uint32_t ticket = ask(&host, EHLO_EVENT_HELLO);
  assert_int_equal(reply_more(&host, ticket, 250, "One"), EHLO_ERR_CODE);
  assert_int_equal(reply_more(&host, ticket, 550, "One"), EHLO_OK);
  assert_int_equal(reply(&host, ticket, 550, "Two"), EHLO_OK);
  host_expect(&host, "550-One\r\n550 Two\r\n");
  host_close(&host);
}

static void shutdown_says_nothing_behind_half_an_answer(void **state)
{
  (void)state;
  struct host host;
  uint32_t ticket = ask(&host, EHLO_EVENT_VRFY);
  assert_int_equal(reply_more(&host, ticket, 250, "One"), EHLO_OK);
  assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, text_of("")), EHLO_OK);
  assert_int_equal(host.count[EHLO_EVENT_CANCEL], 1);
  host_expect(&host, "250-2.0.0 One\r\n");
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  host_close(&host);
}

/* ---- inside the handler --------------------------------------------------------------------- */

static unsigned reentered;

static void reenter(struct host *host, const ehlo_event *event)
{
  (void)event;
  size_t consumed = 7;
  size_t size;
  uint64_t epoch;
  reentered++;
  assert_int_equal(ehlo_server_feed(host->server, "NOOP\r\n", 6, &consumed), EHLO_ERR_REENTRANT);
  assert_int_equal(consumed, 0);
  assert_int_equal(ehlo_server_start(host->server), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_server_eof(host->server), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_server_lost(host->server), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_server_timed_out(host->server), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_server_shutdown(host->server, 421, NULL, text_of("")), EHLO_ERR_REENTRANT);
  /* These are allowed. */
  (void)ehlo_server_output(host->server, &size);
  ehlo_server_sent(host->server, 0);
  (void)ehlo_server_want(host->server);
  (void)ehlo_server_timeout(host->server, &epoch);
  (void)ehlo_server_hello(host->server);
  (void)ehlo_server_transmission_type(host->server);
}

static void calls_that_call_back_are_refused_in_the_handler(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.offer[EHLO_EXT_EXPN] = 1;
  host_open(&host, &config);
  host.in_handler = reenter;
  reentered = 0;
  assert_int_equal(ehlo_server_start(host.server), EHLO_OK);
  host_say(&host, EHLO_LINE);
  host_drain(&host);
  host_say(&host, MAIL_LINE RCPT_LINE "VRFY a\r\nEXPN b\r\nHELP\r\nXYZZY\r\n");
  host_drain(&host);
  host_say(&host, DATA_LINE "text\r\n.\r\n");
  host_drain(&host);
  host.defer = EVENT_BIT(EHLO_EVENT_MAIL);
  host_say(&host, MAIL_LINE);
  assert_int_equal(ehlo_server_lost(host.server), EHLO_OK);
  for (uint32_t event = 1; event < EVENT_KINDS; event++) {
    int never = event == EHLO_EVENT_RESULT || event == EHLO_EVENT_TURN || event >= EHLO_EVENT_STARTTLS;
    assert_int_equal(host.count[event] > 0, !never);
  }
  assert_true(reentered > 20);
  assert_int_equal(host.end.reason, EHLO_END_ACCEPTED);
  host_close(&host);
}

static void drain_inside(struct host *host, const ehlo_event *event)
{
  (void)event;
  host_drain(host);
}

static void output_can_be_drained_in_the_handler(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host.in_handler = drain_inside;
  host_say(&host, MAIL_LINE RCPT_LINE "NOOP\r\n" DATA_LINE);
  host_expect(&host, SENDER_OKAY RECIPIENT_OKAY OKAY START);
  host_close(&host);
}

static void answer_others(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_RCPT && host->count[EHLO_EVENT_RCPT] == 2) {
    assert_int_equal(reply(host, host->tickets[EHLO_EVENT_RCPT], 550, "In another's handler"), EHLO_OK);
  }
}

static void any_ticket_can_be_answered_in_any_handler(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.max_pending = 2;
  host_begin(&host, &config, EHLO_LINE MAIL_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_RCPT);
  host.in_handler = answer_others;
  host_say(&host, RCPT_LINE RCPT_LINE);
  assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_RCPT]), EHLO_OK);
  host_expect(&host, "550 5.1.1 In another's handler\r\n" RECIPIENT_OKAY);
  host_close(&host);
}

/* A handler that fails after it accepted: what it said is taken back; a refusal stands. */
static int code_before_failing;

static void answer_then_fail(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_MAIL || event->type == EHLO_EVENT_BODY) {
    assert_int_equal(reply(host, event->ticket, code_before_failing, ""), EHLO_OK);
    host->result = EHLO_FAIL_TRANSACTION;
  }
}

static void a_failing_handler_takes_its_yes_back(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host.in_handler = answer_then_fail;
  code_before_failing = 250;
  host_say(&host, MAIL_LINE);
  host_expect(&host, LOCAL_ERROR);
  assert_int_equal(ehlo_server_transactions(host.server), 0);
  code_before_failing = 550;
  host_say(&host, MAIL_LINE);
  host_expect(&host, "550 5.1.1 Requested action not taken: mailbox unavailable\r\n");
  host_close(&host);

  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE);
  host.in_handler = answer_then_fail;
  code_before_failing = 550;
  host_say(&host, "text\r\n.\r\n");
  host_expect(&host, "550 5.1.1 Requested action not taken: mailbox unavailable\r\n");
  assert_int_equal(host.count[EHLO_EVENT_END], 1);
  host_close(&host);
}

/* A handler that fails at an event that does not ask loses the transaction as well, also at the REPLY that opened it.
 */
static void a_handler_that_fails_at_any_event_loses_the_transaction(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host.fail_at = EVENT_BIT(EHLO_EVENT_REPLY);
  host_say(&host, MAIL_LINE);
  host.fail_at = 0;
  host_say(&host, RCPT_LINE DATA_LINE "RSET\r\n");
  assert_int_equal(host.count[EHLO_EVENT_RCPT], 0);
  assert_int_equal(host.end.reason, EHLO_END_FAILED);
  host_close(&host);

  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE);
  host.fail_at = EVENT_BIT(EHLO_EVENT_COMMAND);
  host_say(&host, "NOOP\r\n");
  host.fail_at = 0;
  host_say(&host, DATA_LINE "RSET\r\n");
  host_expect(&host, OKAY LOCAL_ERROR OKAY);
  assert_int_equal(host.end.reason, EHLO_END_FAILED);
  host_close(&host);
}

static void a_failing_handler_takes_its_deferral_back(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_MAIL);
  host.result = EHLO_FAIL_TRANSACTION;
  host_say(&host, MAIL_LINE "NOOP\r\n");
  host_expect(&host, LOCAL_ERROR OKAY);
  assert_stale(&host, host.ticket[EHLO_EVENT_MAIL]);
  host_close(&host);
}

static void a_fatal_handler_ends_it_for_good(void **state)
{
  (void)state;
  static const int results[] = {-1, 2, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
    struct host host;
    size_t consumed = 0;
    host_begin(&host, NULL, EHLO_LINE MAIL_LINE);
    host.result = results[i];
    assert_int_equal(ehlo_server_feed(host.server, RCPT_LINE "NOOP\r\n", strlen(RCPT_LINE "NOOP\r\n"), &consumed),
                     EHLO_ERR_HOST);
    assert_int_equal(consumed, strlen(RCPT_LINE "NOOP\r\n"));
    assert_true(ehlo_error_is_fatal(EHLO_ERR_HOST));
    unsigned events = 0;
    for (uint32_t event = 0; event < EVENT_KINDS; event++) {
      events += host.count[event];
    }
    assert_int_equal(events, 2); /* COMMAND and RCPT */
    assert_int_equal(ehlo_server_feed(host.server, "NOOP\r\n", 6, &consumed), EHLO_ERR_HOST);
    assert_int_equal(consumed, 6);
    assert_int_equal(ehlo_server_eof(host.server), EHLO_ERR_HOST);
    assert_int_equal(ehlo_server_lost(host.server), EHLO_ERR_HOST);
    assert_int_equal(ehlo_server_timed_out(host.server), EHLO_ERR_HOST);
    assert_int_equal(ehlo_server_shutdown(host.server, 421, NULL, text_of("")), EHLO_ERR_HOST);
    assert_stale(&host, host.ticket[EHLO_EVENT_RCPT]);
    assert_int_equal(host.count[EHLO_EVENT_END] + host.count[EHLO_EVENT_REPLY], 0);
    host_drain(&host);
    host.output[host.output_size] = '\0';
    assert_string_equal(host.output, SHUT_DOWN);
    assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
    host_close(&host);
  }
}

/* ---- offer ---------------------------------------------------------------------------------- */

static void offers_change_within_what_was_reserved(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.offer[EHLO_EXT_EXPN] = 1;
  host_begin(&host, &config, EHLO_LINE);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_COUNT, 1), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_TURN, 1), EHLO_ERR_CONFIG);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_TURN, 0), EHLO_OK);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_8BITMIME, 0), EHLO_ERR_CONFIG); /* SMTPUTF8 needs it */
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_SMTPUTF8, 0), EHLO_OK);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_8BITMIME, 0), EHLO_OK);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_SMTPUTF8, 1), EHLO_ERR_CONFIG);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_EXPN, 0), EHLO_OK);
  host_say(&host, "EXPN staff\r\n");
  host_expect(&host, "502 5.5.1 Command not implemented\r\n");
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_EXPN, 1), EHLO_OK);
  host_say(&host, "EXPN staff\r\n");
  host_expect(&host, "252 2.0.0 Cannot VRFY user, but will accept message and attempt delivery\r\n");
  host_close(&host);

  config.protocol = EHLO_PROTOCOL_LMTP;
  host_begin(&host, &config, "");
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_PIPELINING, 0), EHLO_ERR_CONFIG);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_ENHANCEDSTATUSCODES, 0), EHLO_ERR_CONFIG);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_PIPELINING, 1), EHLO_OK);
  host_close(&host);
}

static void a_list_is_not_changed_while_it_is_sent(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = host_config();
  config.output_size = EHLO_MIN_OUTPUT_SIZE;
  host_begin(&host, &config, "");
  host.defer = EVENT_BIT(EHLO_EVENT_HELLO);
  host_say(&host, EHLO_LINE);
  assert_int_equal(ehlo_server_reply(host.server, host.ticket[EHLO_EVENT_HELLO], 250, NULL, long_text(64)), EHLO_OK);
  host_feed(&host, NULL, 0);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_SIZE, 0), EHLO_OK); /* all of it is in the output */
  host_drain(&host);
  host_say(&host, EHLO_LINE);
  assert_int_equal(ehlo_server_reply(host.server, host.ticket[EHLO_EVENT_HELLO], 250, NULL, long_text(450)), EHLO_OK);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_HELP, 0), EHLO_ERR_STATE);
  host_drain(&host);
  host_feed(&host, NULL, 0);
  assert_int_equal(ehlo_server_offer(host.server, EHLO_EXT_HELP, 0), EHLO_OK);
  host_close(&host);
}

/* ---- time ----------------------------------------------------------------------------------- */

static uint64_t epoch_of(const struct host *host)
{
  uint64_t epoch;
  uint32_t seconds = ehlo_server_timeout(host->server, &epoch);
  uint64_t again;
  assert_int_equal(ehlo_server_timeout(host->server, &again), seconds); /* asking changes nothing */
  assert_true(epoch == again);
  return epoch;
}

static void the_clock_restarts_for_progress_only(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  uint64_t epoch = epoch_of(&host);
  for (const char *octet = "NOOP and a very slow client\r"; *octet != '\0'; octet++) {
    host_feed(&host, octet, 1);
    assert_true(epoch_of(&host) == epoch); /* a slow-loris runs out */
  }
  host_feed(&host, "\n", 1);
  assert_true(epoch_of(&host) != epoch); /* a complete command */
  epoch = epoch_of(&host);
  ehlo_server_sent(host.server, 5);
  host_drain(&host);
  assert_true(epoch_of(&host) != epoch); /* a reply that was drained */
  host_say(&host, MAIL_LINE RCPT_LINE DATA_LINE);
  host_drain(&host);
  epoch = epoch_of(&host);
  host_say(&host, "text");
  assert_true(epoch_of(&host) != epoch); /* progress of content */
  epoch = epoch_of(&host);
  host_feed(&host, NULL, 0);
  assert_true(epoch_of(&host) == epoch);
  host_close(&host);
}

/* ---- the end of input, anywhere ------------------------------------------------------------- */

static const char whole_session[] =
    EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE "Subject: one\r\n\r\n..text\r\n.\r\n" MAIL_LINE RCPT_LINE RCPT_LINE
                                            "RSET\r\n" MAIL_LINE RCPT_LINE DATA_LINE ".\r\n" MAIL_LINE "QUIT\r\n";

static void feed_all(struct host *host, const char *octets, size_t size)
{
  while (size > 0 && (host_want(host) & EHLO_WANT_CLOSE) == 0) {
    size_t consumed = host_feed(host, octets, size);
    octets += consumed;
    size -= consumed;
    host_drain(host);
    host->output_size = 0;
  }
}

static void an_end_anywhere_stores_nothing_unfinished(void **state)
{
  (void)state;
  size_t first = (size_t)(strstr(whole_session, "text\r\n.\r\n") - whole_session) + 9;
  size_t second = (size_t)(strstr(whole_session, DATA_LINE ".\r\n") - whole_session) + 9;
  for (int way = 0; way < 4; way++) {
    for (size_t cut = 0; cut <= strlen(whole_session); cut++) {
      struct host host;
      host_begin(&host, NULL, "");
      feed_all(&host, whole_session, cut);
      int error = way == 0   ? ehlo_server_eof(host.server)
                  : way == 1 ? ehlo_server_lost(host.server)
                  : way == 2 ? ehlo_server_shutdown(host.server, 421, NULL, text_of(""))
                             : ehlo_server_timed_out(host.server);
      assert_int_equal(error, EHLO_OK);
      host_drain(&host);
      assert_int_equal(host.accepted, (cut >= first) + (cut >= second));
      assert_int_equal(host.count[EHLO_EVENT_END], ehlo_server_transactions(host.server));
      assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
      host_close(&host);
    }
  }
}

static void an_end_while_the_message_is_judged_leaves_it_to_the_host(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_MESSAGE);
  host_say(&host, "text\r\n.\r\n");
  assert_int_equal(ehlo_server_eof(host.server), EHLO_OK);
  assert_int_equal(host_want(&host), EHLO_WANT_DECISION);
  assert_int_equal(host.count[EHLO_EVENT_END], 0);
  assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_MESSAGE]), EHLO_OK);
  host_expect(&host, MESSAGE_OKAY);
  assert_int_equal(host.end.reason, EHLO_END_ACCEPTED);
  assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
  host_close(&host);
}

/* An answer that was given but not yet told when the peer goes away: the host knows what it said, and END agrees. */
static void an_answer_given_before_the_loss_counts(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE MAIL_LINE RCPT_LINE DATA_LINE);
  host.defer = EVENT_BIT(EHLO_EVENT_MESSAGE);
  host_say(&host, ".\r\n");
  assert_int_equal(ehlo_server_accept(host.server, host.ticket[EHLO_EVENT_MESSAGE]), EHLO_OK);
  assert_int_equal(ehlo_server_lost(host.server), EHLO_OK);
  assert_int_equal(host.count[EHLO_EVENT_REPLY], 1);
  assert_int_equal(host.count[EHLO_EVENT_END], 1);
  assert_int_equal(host.end.reason, EHLO_END_ACCEPTED);
  assert_int_equal(host.count[EHLO_EVENT_CANCEL], 0);
  assert_int_equal(waiting(&host), 0);
  host_close(&host);
}

/* ---- much ----------------------------------------------------------------------------------- */

static void a_megabyte_of_noop_unread(void **state)
{
  (void)state;
  enum { COUNT = 175000 };
  struct host host;
  size_t size = (size_t)COUNT * 6;
  char *noops = malloc(size);
  assert_non_null(noops);
  for (size_t i = 0; i < COUNT; i++) {
    memcpy(noops + 6 * i, "NOOP\r\n", 6);
  }
  host_begin(&host, NULL, EHLO_LINE);
  size_t fed = host_feed(&host, noops, size);
  /* The peer does not read: little is taken, and nothing but writing helps. */
  assert_true(fed < 2048);
  assert_int_equal(host_want(&host), EHLO_WANT_WRITE);
  assert_int_equal(host_feed(&host, noops + fed, size - fed), 0);
  assert_int_equal(host_want(&host), EHLO_WANT_WRITE);
  assert_true(waiting(&host) <= 1024);
  /* When it reads, all of it is answered, once each. */
  unsigned replies = 0;
  for (;;) {
    host_drain(&host);
    for (size_t i = 0; i < host.output_size; i++) {
      replies += host.output[i] == '\n';
    }
    host.output_size = 0;
    if (fed == size && (host_want(&host) & EHLO_WANT_FEED) == 0) {
      break;
    }
    fed += host_feed(&host, noops + fed, size - fed);
  }
  assert_int_equal(replies, COUNT);
  assert_int_equal(host.count[EHLO_EVENT_REPLY], COUNT);
  assert_int_equal(host_want(&host), EHLO_WANT_READ);
  free(noops);
  host_close(&host);
}

static void ten_thousand_recipients(void **state)
{
  (void)state;
  for (int limit = 1000; limit <= 10000; limit *= 10) {
    struct host host;
    ehlo_server_config config = host_config();
    config.max_recipients = (uint32_t)limit;
    host_begin(&host, &config, EHLO_LINE MAIL_LINE);
    unsigned too_many = 0;
    for (int i = 0; i < 10000; i++) {
      host_say(&host, RCPT_LINE);
      host_drain(&host);
      too_many += host.output[0] == '4';
      host.output_size = 0;
    }
    assert_int_equal(too_many, 10000 - limit);
    assert_int_equal(ehlo_server_recipients(host.server), limit);
    host_say(&host, DATA_LINE ".\r\n");
    host_expect(&host, START MESSAGE_OKAY);
    assert_int_equal(host.end.recipients, limit);
    host_close(&host);
  }
}

static void a_line_without_end_is_thrown_away(void **state)
{
  (void)state;
  static char piece[4096];
  struct host host;
  memset(piece, 'x', sizeof piece);
  host_begin(&host, NULL, EHLO_LINE);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(host_feed(&host, piece, sizeof piece), sizeof piece);
    assert_int_equal(waiting(&host), 0);
  }
  host_say(&host, "\r\nNOOP\r\n");
  host_expect(&host, "500 5.5.2 Line too long\r\n" OKAY);
  assert_int_equal(ehlo_server_errors(host.server), 1);
  host_close(&host);
}

static void answer_after_answer_for_ten_thousand_messages(void **state)
{
  (void)state;
  struct host host;
  host_begin(&host, NULL, EHLO_LINE);
  for (int i = 0; i < 10000; i++) {
    host_say(&host, MAIL_LINE RCPT_LINE DATA_LINE ".\r\n");
    host_expect(&host, SENDER_OKAY RECIPIENT_OKAY START MESSAGE_OKAY);
  }
  assert_int_equal(ehlo_server_transactions(host.server), 10000);
  assert_int_equal(host.count[EHLO_EVENT_END], 10000);
  host_close(&host);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(config_has_the_defaults_of_the_header),
      cmocka_unit_test(config_limits_are_checked),
      cmocka_unit_test(config_host_names_are_checked),
      cmocka_unit_test(config_extensions_must_agree),
      cmocka_unit_test(init_checks_its_arguments_and_the_memory),
      cmocka_unit_test(sizes_keep_their_promise),
      cmocka_unit_test(attach_checks_what_it_takes_up),
      cmocka_unit_test(a_session_sleeps_in_what_it_keeps),
      cmocka_unit_test(nothing_moves_inside_a_handler),
      cmocka_unit_test(calls_before_start_are_errors),
      cmocka_unit_test(arguments_are_checked),
      cmocka_unit_test(getters_take_null),
      cmocka_unit_test(names_are_there_for_every_number),
      cmocka_unit_test(output_is_pulled_in_parts),
      cmocka_unit_test(want_tells_what_is_waited_for),
      cmocka_unit_test(tickets_are_good_for_one_answer),
      cmocka_unit_test(a_second_answer_in_the_handler_is_stale_too),
      cmocka_unit_test(silence_closes_the_ticket),
      cmocka_unit_test(cancelled_tickets_are_stale),
      cmocka_unit_test(body_cannot_be_accepted_before_the_end),
      cmocka_unit_test(only_the_codes_that_may_answer_are_taken),
      cmocka_unit_test(enhanced_codes_are_checked),
      cmocka_unit_test(no_text_that_could_be_more_than_a_line_leaves),
      cmocka_unit_test(utf8_leaves_only_where_it_may),
      cmocka_unit_test(reply_lines_keep_to_512_octets),
      cmocka_unit_test(shutdown_checks_its_reply),
      cmocka_unit_test(a_long_answer_keeps_its_code),
      cmocka_unit_test(a_long_answer_that_is_never_ended_closes),
      cmocka_unit_test(begun_on_body_and_never_ended_closes_too),
      cmocka_unit_test(without_room_an_answer_changes_nothing),
      cmocka_unit_test(an_answer_out_of_turn_parks_only_what_fits),
      cmocka_unit_test(a_long_answer_out_of_turn_comes_whole),
      cmocka_unit_test(an_offer_does_not_change_an_answer_that_is_begun),
      cmocka_unit_test(the_lines_of_a_hello_are_the_library_s),
      cmocka_unit_test(shutdown_says_nothing_behind_half_an_answer),
      cmocka_unit_test(calls_that_call_back_are_refused_in_the_handler),
      cmocka_unit_test(output_can_be_drained_in_the_handler),
      cmocka_unit_test(any_ticket_can_be_answered_in_any_handler),
      cmocka_unit_test(a_failing_handler_takes_its_yes_back),
      cmocka_unit_test(a_handler_that_fails_at_any_event_loses_the_transaction),
      cmocka_unit_test(a_failing_handler_takes_its_deferral_back),
      cmocka_unit_test(a_fatal_handler_ends_it_for_good),
      cmocka_unit_test(offers_change_within_what_was_reserved),
      cmocka_unit_test(a_list_is_not_changed_while_it_is_sent),
      cmocka_unit_test(the_clock_restarts_for_progress_only),
      cmocka_unit_test(an_end_anywhere_stores_nothing_unfinished),
      cmocka_unit_test(an_end_while_the_message_is_judged_leaves_it_to_the_host),
      cmocka_unit_test(an_answer_given_before_the_loss_counts),
      cmocka_unit_test(a_megabyte_of_noop_unread),
      cmocka_unit_test(ten_thousand_recipients),
      cmocka_unit_test(a_line_without_end_is_thrown_away),
      cmocka_unit_test(answer_after_answer_for_ten_thousand_messages),
  };
  return cmocka_run_group_tests_name("server api", tests, NULL, NULL);
}
