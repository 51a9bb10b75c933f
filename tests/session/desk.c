/* desk.c: a small host for tests that call the client by themselves. */
#include "desk.h"

#include "margin.h"

#include <string.h>

ehlo_client_config desk_config(void)
{
  ehlo_client_config config;
  assert_int_equal(ehlo_client_config_init(&config, sizeof config), EHLO_OK);
  config.hostname = ehlo_span_of("client.example.com");
  return config;
}

ehlo_client_config desk_small_config(void)
{
  ehlo_client_config config = desk_config();
  memset(config.use + EHLO_EXT_DSN, 0, sizeof config.use - EHLO_EXT_DSN);
  config.output_size = EHLO_CLIENT_MIN_OUTPUT_SIZE;
  return config;
}

int desk_on_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct desk *desk = user;
  assert_ptr_equal(client, desk->client);
  assert_false(desk->over);
  assert_in_range(event->type, 1, 7);
  desk->count[event->type]++;
  switch (event->type) {
  case EHLO_CLIENT_EVENT_REPLY:
    desk->reply = event->as.reply;
    desk->reply_tag = event->tag;
    break;
  case EHLO_CLIENT_EVENT_END:
    desk->end = event->as.end;
    desk->end_tag = event->tag;
    break;
  case EHLO_CLIENT_EVENT_VIOLATION: desk->violation = event->as.violation; break;
  case EHLO_CLIENT_EVENT_CHALLENGE: desk->challenge = event->as.challenge; break;
  default: break;
  }
  if (desk->in_handler != NULL) {
    desk->in_handler(desk, event);
  }
  desk->over = event->type == desk->fatal_at;
  return desk->over ? desk->fatal : EHLO_HANDLED;
}

void desk_open(struct desk *desk, const ehlo_client_config *config)
{
  ehlo_client_config usual = desk_config();
  config = config == NULL ? &usual : config;
  memset(desk, 0, sizeof *desk);
  desk->size = ehlo_client_size(config);
  assert_int_not_equal(desk->size, 0);
  desk->block = margin_block(desk->size);
  assert_int_equal(ehlo_client_init(&desk->client, desk->block, desk->size, config, desk_on_event, desk), EHLO_OK);
}

void desk_close(struct desk *desk)
{
  margin_free(desk->block, desk->size);
}

void desk_begin(struct desk *desk, const ehlo_client_config *config, const char *offered)
{
  desk_open(desk, config);
  assert_int_equal(ehlo_client_hello(desk->client, 1), EHLO_OK);
  desk_hear(desk, GREETING);
  desk_answer(desk, offered);
  assert_int_equal(desk->count[EHLO_CLIENT_EVENT_HELLO], 1);
}

void desk_hear(struct desk *desk, const char *string)
{
  size_t consumed = SIZE_MAX;
  int result = ehlo_client_feed(desk->client, string, strlen(string), &consumed);
  assert_int_equal(result, desk->over ? EHLO_ERR_HOST : EHLO_OK);
  assert_int_equal(consumed, strlen(string));
}

ehlo_span desk_output(const struct desk *desk)
{
  ehlo_span span;
  span.ptr = ehlo_client_output(desk->client, &span.len);
  return span;
}

void desk_expect_at(struct desk *desk, const char *expected, const char *file, int line)
{
  ehlo_span output = desk_output(desk);
  if (!ehlo_span_equal(output, ehlo_span_of(expected))) {
    fail_msg("%s:%d: expected %s\nbut there was %.*s", file, line, expected, (int)output.len,
             output.len > 0 ? output.ptr : "");
  }
  ehlo_client_sent(desk->client, output.len);
}

void desk_send_all(struct desk *desk)
{
  for (ehlo_span output; (output = desk_output(desk)).len > 0;) {
    ehlo_client_sent(desk->client, output.len);
  }
}

void desk_answer(struct desk *desk, const char *string)
{
  desk_send_all(desk);
  desk_hear(desk, string);
}

int desk_mail(struct desk *desk, uint64_t tag)
{
  return ehlo_client_mail(desk->client, ehlo_span_of("alice@example.com"), NULL, tag);
}

int desk_rcpt(struct desk *desk, uint64_t tag)
{
  return ehlo_client_rcpt(desk->client, ehlo_span_of("bob@example.org"), NULL, tag);
}

void desk_transaction(struct desk *desk)
{
  assert_int_equal(desk_mail(desk, 2), EHLO_OK);
  assert_int_equal(desk_rcpt(desk, 3), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk->client, 4), EHLO_OK);
}
