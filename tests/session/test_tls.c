/* test_tls.c: STARTTLS, both ends (RFC 3207): what was said in clear is forgotten, what comes at the wrong time is
 * refused. The handshake itself is the host's. */
#include "host.h"

#include <stdlib.h>
#include <string.h>

/* ---- the server ---- */

static ehlo_server_config tls_config(void)
{
  ehlo_server_config config = host_config();
  memset(config.offer, 0, sizeof config.offer);
  config.offer[EHLO_EXT_PIPELINING] = config.offer[EHLO_EXT_STARTTLS] = 1;
  return config;
}

#define HELLO     "250-mail.example.org\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
#define HELLO_TLS "250-mail.example.org\r\n250 PIPELINING\r\n"
#define READY     "220 Ready to start TLS\r\n"
#define SEQUENCE  "503 EHLO or HELO first\r\n"

/* Accepts STARTTLS. */
static void accept_tls(struct host *host, const ehlo_event *event)
{
  if (event->type == EHLO_EVENT_STARTTLS && (host->silent & EVENT_BIT(EHLO_EVENT_STARTTLS)) == 0) {
    assert_int_equal(ehlo_server_accept(host->server, event->ticket), EHLO_OK);
  }
}

static void open_tls(struct host *host)
{
  ehlo_server_config config = tls_config();
  host_open(host, &config);
  host->in_handler = accept_tls;
  assert_int_equal(ehlo_server_start(host->server), EHLO_OK);
  host_drain(host);
  host->output_size = 0;
}

static void the_server_forgets_what_came_in_clear(void **state)
{
  (void)state;
  struct host host;
  open_tls(&host);
  host_say(&host, "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n");
  host_expect(&host, HELLO "250 Sender okay\r\n");
  host_say(&host, "STARTTLS\r\n");
  assert_int_equal(host.count[EHLO_EVENT_END], 1);
  assert_int_equal(host.end.reason, EHLO_END_SUPERSEDED);
  assert_int_equal(host_want(&host), EHLO_WANT_TLS | EHLO_WANT_WRITE);
  assert_int_equal(ehlo_server_tls_done(host.server, NULL), EHLO_ERR_STATE); /* the 220 has not been sent */
  host_expect(&host, READY);                                                 /* S-TLS-02 */
  assert_int_equal(host_want(&host), EHLO_WANT_TLS);                         /* S-TLS-03: nothing is there to be sent */
  assert_int_equal(ehlo_server_tls(host.server), 0);
  assert_int_equal(ehlo_server_tls_done(host.server, NULL), EHLO_OK);
  assert_int_equal(ehlo_server_tls(host.server), 1);
  assert_int_equal(host_want(&host), EHLO_WANT_READ);      /* S-TLS-05: no greeting */
  assert_int_equal(ehlo_server_hello(host.server).len, 0); /* S-TLS-06 */
  host_say(&host, "MAIL FROM:<a@client.example>\r\n");
  host_expect(&host, SEQUENCE);
  host_say(&host, "EHLO client.example\r\n");
  host_expect(&host, HELLO_TLS); /* S-TLS-09, S-TLS-12 */
  assert_true(ehlo_span_equal(ehlo_server_transmission_type(host.server), ehlo_span_of("ESMTPS")));
  host_say(&host, "STARTTLS\r\n");
  host_expect(&host, "502 Command not implemented\r\n");
  assert_int_equal(ehlo_server_tls_done(host.server, NULL), EHLO_ERR_STATE);
  host_close(&host);
}

/* S-TLS-04: in whichever read, and whether or not the 220 has been written. */
static void octets_behind_starttls_are_never_read(void **state)
{
  (void)state;
  static const char line[] = "STARTTLS\r\nRSET\r\n";
  for (size_t cut = sizeof "STARTTLS\r\n" - 1; cut < sizeof line - 1; cut++) {
    for (unsigned drained = 0; drained < 2; drained++) {
      struct host host;
      open_tls(&host);
      host_say(&host, "EHLO client.example\r\n");
      host_expect(&host, HELLO);
      size_t consumed;
      assert_int_equal(ehlo_server_feed(host.server, line, cut, &consumed), EHLO_OK);
      if (cut == sizeof "STARTTLS\r\n" - 1) {
        assert_int_equal(host.count[EHLO_EVENT_VIOLATION], 0);
        if (drained) {
          host_drain(&host);
        }
        assert_int_equal(ehlo_server_feed(host.server, line + cut, sizeof line - 1 - cut, &consumed), EHLO_OK);
      }
      assert_int_equal(host.count[EHLO_EVENT_VIOLATION], 1);
      assert_int_equal(host.violation.kind, EHLO_VIOLATION_BEFORE_TLS);
      assert_int_equal(host_want(&host), EHLO_WANT_CLOSE);
      assert_int_equal(host.count[EHLO_EVENT_COMMAND], 2); /* RSET was none */
      assert_int_equal(ehlo_server_tls_done(host.server, NULL), EHLO_ERR_STATE);
      host_close(&host);
    }
  }
}

static void starttls_is_answered(void **state)
{
  (void)state;
  struct host host;
  open_tls(&host);
  host_say(&host, "STARTTLS\r\n");
  host_expect(&host, SEQUENCE);
  host_say(&host, "EHLO client.example\r\nSTARTTLS now\r\n");
  host_expect(&host, HELLO "501 No argument is permitted\r\n"); /* P-TLS-01 */
  host.silent = EVENT_BIT(EHLO_EVENT_STARTTLS);
  host_say(&host, "STARTTLS\r\nNOOP\r\n");
  host_expect(&host, "454 TLS not available due to temporary reason\r\n250 Requested mail action okay, completed\r\n");
  host_close(&host);
}

/* S-TLS-14 */
static void tls_can_be_required(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = tls_config();
  config.require_tls = 1;
  config.max_errors = 0;
  host_open(&host, &config);
  host.in_handler = accept_tls;
  assert_int_equal(ehlo_server_start(host.server), EHLO_OK);
  host_drain(&host);
  host.output_size = 0;
  host_say(&host, "EHLO client.example\r\nNOOP\r\n");
  host_expect(&host, HELLO "250 Requested mail action okay, completed\r\n");
  static const char *const others[] = {"HELO client.example\r\n",
                                       "MAIL FROM:<a@client.example>\r\n",
                                       "RSET\r\n",
                                       "VRFY a\r\n",
                                       "RCPT TO:<b@example.org>\r\n",
                                       "DATA\r\n",
                                       "WHAT\r\n"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    host_say(&host, others[i]);
    host_expect(&host, "530 Must issue a STARTTLS command first\r\n");
  }
  host_say(&host, "STARTTLS\r\n");
  host_expect(&host, READY);
  assert_int_equal(ehlo_server_tls_done(host.server, NULL), EHLO_OK);
  host_say(&host, "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n");
  host_expect(&host, HELLO_TLS "250 Sender okay\r\n");
  host_close(&host);
}

/* B-TLS-18 */
static void tls_can_be_there_first(void **state)
{
  (void)state;
  struct host host;
  ehlo_server_config config = tls_config();
  ehlo_tls tls = {sizeof tls, 1};
  host_open(&host, &config);
  host.in_handler = accept_tls;
  assert_int_equal(ehlo_server_tls_done(host.server, &tls), EHLO_OK);
  assert_int_equal(ehlo_server_tls_done(host.server, &tls), EHLO_ERR_STATE);
  assert_int_equal(ehlo_server_start(host.server), EHLO_OK);
  host_drain(&host);
  host.output_size = 0;
  host_say(&host, "EHLO client.example\r\n");
  host_expect(&host, HELLO_TLS);
  tls.struct_size = 0;
  assert_int_equal(ehlo_server_tls_done(host.server, &tls), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_server_tls_done(NULL, NULL), EHLO_ERR_ARGUMENT);
  host_close(&host);
}

/* ---- the client ---- */

struct desk {
  ehlo_client *client;
  void *memory;
  uint32_t violation;
  uint32_t code;
};

static int on_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct desk *desk = user;
  (void)client;
  if (event->type == EHLO_CLIENT_EVENT_VIOLATION) {
    desk->violation = event->as.violation.kind;
  } else if (event->type == EHLO_CLIENT_EVENT_REPLY) {
    desk->code = event->as.reply.code;
  }
  return EHLO_HANDLED;
}

static void hear(struct desk *desk, const char *octets)
{
  size_t size;
  size_t consumed;
  while (ehlo_client_output(desk->client, &size) != NULL) {
    ehlo_client_sent(desk->client, size);
  }
  assert_int_equal(ehlo_client_feed(desk->client, octets, strlen(octets), &consumed), EHLO_OK);
  assert_int_equal(consumed, strlen(octets));
}

static void desk_open(struct desk *desk, int tls_first)
{
  ehlo_client_config config;
  memset(desk, 0, sizeof *desk);
  assert_int_equal(ehlo_client_config_init(&config, sizeof config), EHLO_OK);
  config.hostname = ehlo_span_of("client.example");
  size_t size = ehlo_client_size(&config);
  desk->memory = malloc(size);
  assert_int_equal(ehlo_client_init(&desk->client, desk->memory, size, &config, on_event, desk), EHLO_OK);
  if (tls_first) {
    assert_int_equal(ehlo_client_tls_done(desk->client), EHLO_OK);
  }
  assert_int_equal(ehlo_client_hello(desk->client, 1), EHLO_OK);
  hear(desk, "220 mail.example.org\r\n");
  hear(desk, "250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 5\r\n250 STARTTLS\r\n");
}

static void the_client_forgets_what_came_in_clear(void **state)
{
  (void)state;
  struct desk desk;
  desk_open(&desk, 0);
  assert_int_equal(ehlo_client_tls_done(desk.client), EHLO_ERR_STATE);
  assert_int_equal(ehlo_client_starttls(desk.client, 2), EHLO_OK);
  assert_int_equal(ehlo_client_noop(desk.client, ehlo_span_of(""), 3), EHLO_ERR_STATE); /* B-TLS-11 */
  hear(&desk, "220 go on\r\n");
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_TLS);
  assert_int_equal(ehlo_client_hello(desk.client, 3), EHLO_ERR_STATE);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  assert_int_equal(ehlo_client_tls_done(desk.client), EHLO_OK);
  assert_int_equal(ehlo_client_tls(desk.client), 1);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_PIPELINING), 0); /* C-TLS-07 */
  assert_true(ehlo_client_size_limit(desk.client) == 0);
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of("a@b.example"), NULL, 4), EHLO_ERR_STATE);
  assert_int_equal(ehlo_client_hello(desk.client, 4), EHLO_OK); /* C-TLS-08 */
  hear(&desk, "250-mail.example.org\r\n250 STARTTLS\r\n");
  assert_int_equal(ehlo_client_starttls(desk.client, 5), EHLO_ERR_STATE); /* C-TLS-10 */
  free(desk.memory);
}

/* C-TLS-07: in the same read or in the next. */
static void octets_behind_the_220_are_never_read(void **state)
{
  (void)state;
  for (unsigned later = 0; later < 2; later++) {
    struct desk desk;
    desk_open(&desk, 0);
    assert_int_equal(ehlo_client_starttls(desk.client, 2), EHLO_OK);
    if (later) {
      hear(&desk, "220 go on\r\n");
      hear(&desk, "250 fooled\r\n");
    } else {
      hear(&desk, "220 go on\r\n250 fooled\r\n");
    }
    assert_int_equal(desk.code, 220);
    assert_int_equal(desk.violation, EHLO_VIOLATION_BEFORE_TLS);
    assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
    assert_int_equal(ehlo_client_tls_done(desk.client), EHLO_ERR_STATE);
    free(desk.memory);
  }
}

/* C-TLS-16: without a handshake there is nothing but the end. */
static void a_failed_handshake_is_the_end(void **state)
{
  (void)state;
  struct desk desk;
  size_t consumed;
  desk_open(&desk, 0);
  assert_int_equal(ehlo_client_starttls(desk.client, 2), EHLO_OK);
  hear(&desk, "220 go on\r\n");
  assert_int_equal(ehlo_client_eof(desk.client), EHLO_OK);
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
  assert_int_equal(ehlo_client_tls_done(desk.client), EHLO_ERR_STATE);
  assert_int_equal(ehlo_client_feed(desk.client, "250 x\r\n", 7, &consumed), EHLO_OK);
  free(desk.memory);
  /* S-TLS-19: nothing is offered unless the host says that it has what it takes. */
  ehlo_server_config config = host_config();
  assert_int_equal(config.offer[EHLO_EXT_STARTTLS], 0);
}

static void a_refused_starttls_changes_nothing(void **state)
{
  (void)state;
  struct desk desk;
  desk_open(&desk, 0);
  assert_int_equal(ehlo_client_starttls(desk.client, 2), EHLO_OK);
  hear(&desk, "454 later\r\n");
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_READ);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_PIPELINING), 1);
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of("a@b.example"), NULL, 3), EHLO_OK);
  assert_int_equal(ehlo_client_starttls(desk.client, 4), EHLO_ERR_STATE);
  free(desk.memory);
  desk_open(&desk, 1);
  assert_int_equal(ehlo_client_starttls(desk.client, 2), EHLO_ERR_STATE);
  free(desk.memory);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_server_forgets_what_came_in_clear),
      cmocka_unit_test(octets_behind_starttls_are_never_read),
      cmocka_unit_test(starttls_is_answered),
      cmocka_unit_test(tls_can_be_required),
      cmocka_unit_test(tls_can_be_there_first),
      cmocka_unit_test(the_client_forgets_what_came_in_clear),
      cmocka_unit_test(octets_behind_the_220_are_never_read),
      cmocka_unit_test(a_failed_handshake_is_the_end),
      cmocka_unit_test(a_refused_starttls_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
