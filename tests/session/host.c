/* host.c: a small host for tests that call the server by themselves. */
#include "host.h"

#include "margin.h"

#include <string.h>

ehlo_server_config host_config(void)
{
  ehlo_server_config config;
  assert_int_equal(ehlo_server_config_init(&config, sizeof config), EHLO_OK);
  config.hostname = ehlo_span_of("mail.example.org");
  return config;
}

static int accepts_by_itself(uint32_t event)
{
  return event == EHLO_EVENT_RCPT || event == EHLO_EVENT_MESSAGE || event == EHLO_EVENT_RESULT;
}

static void note(struct host *host, const ehlo_event *event)
{
  switch (event->type) {
  case EHLO_EVENT_END: host->end = event->as.end; break;
  case EHLO_EVENT_REPLY: host->reply = event->as.reply; break;
  case EHLO_EVENT_CANCEL: host->cancel = event->as.cancel; break;
  case EHLO_EVENT_VIOLATION: host->violation = event->as.violation; break;
  case EHLO_EVENT_BODY: host->content = event->as.body.octets; break;
  default: break;
  }
}

static int handler(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct host *host = user;
  assert_in_range(event->type, 1, EVENT_KINDS - 1);
  host->count[event->type]++;
  note(host, event);
  if (host->in_handler != NULL) {
    host->in_handler(host, event);
  }
  if ((host->fail & EVENT_BIT(event->type)) != 0) {
    return host->failure;
  }
  if ((host->fail_at & EVENT_BIT(event->type)) != 0) {
    return EHLO_FAIL_TRANSACTION;
  }
  if (event->ticket == 0) {
    return EHLO_HANDLED;
  }
  if (host->ticket[event->type] == 0) {
    host->tickets[event->type] = event->ticket;
  }
  host->ticket[event->type] = event->ticket;
  if ((host->defer & EVENT_BIT(event->type)) != 0) {
    assert_int_equal(ehlo_server_defer(server, event->ticket, event->type), EHLO_OK);
  } else if (accepts_by_itself(event->type) && (host->silent & EVENT_BIT(event->type)) == 0) {
    assert_int_equal(ehlo_server_accept(server, event->ticket), EHLO_OK);
    host->accepted += event->type != EHLO_EVENT_RCPT;
  }
  return host->result;
}

void host_open(struct host *host, const ehlo_server_config *config)
{
  ehlo_server_config usual = host_config();
  memset(host, 0, sizeof *host);
  host->size = ehlo_server_size(config == NULL ? &usual : config);
  assert_int_not_equal(host->size, 0);
  host->memory = margin_block(host->size);
  assert_int_equal(
      ehlo_server_init(&host->server, host->memory, host->size, config == NULL ? &usual : config, handler, host),
      EHLO_OK);
}

void host_close(struct host *host)
{
  margin_free(host->memory, host->size);
}

size_t host_feed(struct host *host, const void *octets, size_t size)
{
  size_t consumed = SIZE_MAX;
  assert_int_equal(ehlo_server_feed(host->server, octets, size, &consumed), EHLO_OK);
  assert_true(consumed <= size);
  return consumed;
}

void host_say(struct host *host, const char *string)
{
  assert_int_equal(host_feed(host, string, strlen(string)), strlen(string));
}

void host_drain(struct host *host)
{
  size_t size;
  const char *output = ehlo_server_output(host->server, &size);
  assert_true(size <= HOST_OUTPUT - host->output_size);
  if (size > 0) {
    memcpy(host->output + host->output_size, output, size);
  }
  host->output_size += size;
  ehlo_server_sent(host->server, size);
}

uint32_t host_want(const struct host *host)
{
  return ehlo_server_want(host->server);
}

static void settle(struct host *host)
{
  host_drain(host);
  while ((host_want(host) & EHLO_WANT_FEED) != 0) {
    host_feed(host, NULL, 0);
    host_drain(host);
  }
}

void host_expect_at(struct host *host, const char *replies, const char *file, int line)
{
  settle(host);
  if (host->output_size != strlen(replies) || memcmp(host->output, replies, host->output_size) != 0) {
    fail_msg("%s:%d: expected:\n%sbut came:\n%.*s", file, line, replies, (int)host->output_size, host->output);
  }
  host->output_size = 0;
}

void host_begin(struct host *host, const ehlo_server_config *config, const char *lines)
{
  host_open(host, config);
  assert_int_equal(ehlo_server_start(host->server), EHLO_OK);
  for (;;) {
    settle(host);
    if (host->output_size == 0 || host->output[0] > '3') {
      fail_msg("not accepted: %.*s", (int)host->output_size, host->output);
    }
    host->output_size = 0;
    const char *end = strstr(lines, "\r\n");
    if (end == NULL) {
      break;
    }
    size_t length = (size_t)(end + 2 - lines);
    assert_int_equal(host_feed(host, lines, length), length);
    lines += length;
  }
  memset(host->count, 0, sizeof host->count);
  memset(host->ticket, 0, sizeof host->ticket);
  memset(host->tickets, 0, sizeof host->tickets);
}
