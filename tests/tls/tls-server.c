/* tls-server: a mail server with STARTTLS, or with TLS from the beginning, by OpenSSL, for tests.
 *
 * SPDX-License-Identifier: MIT
 *
 *     tls-server CERTIFICATE KEY FILE USER:PASSWORD starttls|implicit [AUTHORITIES]
 *
 * Standard input is a socket, as inetd has it; one session a process. Content is appended to FILE, and behind each
 * message "---sent by ESMTPS---" or the like. AUTH is offered under TLS alone. What happens is told on standard
 * error. With AUTHORITIES clients are asked for certificates, and who has one of theirs is let in by EXTERNAL. */
#define _POSIX_C_SOURCE 200809L
#include "host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 65536, PATIENCE = 60 };

struct host {
  FILE *file;
  const char *user; /* "USER:PASSWORD" */
};

static int is_known(const struct host *host, const ehlo_credentials *who)
{
  size_t length = strcspn(host->user, ":");
  ehlo_span name = {host->user, length};
  return ehlo_span_equal(who->authcid, name) && ehlo_span_equal(who->secret, ehlo_span_of(host->user + length + 1));
}

static int on_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct host *host = user;
  ehlo_span type;
  switch (event->type) {
  case EHLO_EVENT_COMMAND: printf("command: %s\n", ehlo_verb_name(event->as.command.verb)); return EHLO_HANDLED;
  case EHLO_EVENT_VIOLATION:
    printf("violation: %s\n", ehlo_violation_name(event->as.violation.kind));
    return EHLO_HANDLED;
  case EHLO_EVENT_STARTTLS:
  case EHLO_EVENT_RCPT: return ehlo_server_accept(server, event->ticket);
  case EHLO_EVENT_AUTH:
    if (event->as.auth.mechanism == EHLO_SASL_EXTERNAL || is_known(host, &event->as.auth))
      return ehlo_server_accept(server, event->ticket);
    return ehlo_server_reply(server, event->ticket, 535, NULL, ehlo_span_of(NULL));
  case EHLO_EVENT_BODY:
    for (size_t i = 0; i < event->as.body.count; i++)
      fwrite(event->as.body.spans[i].ptr, 1, event->as.body.spans[i].len, host->file);
    return EHLO_HANDLED;
  case EHLO_EVENT_MESSAGE:
    type = ehlo_server_transmission_type(server);
    fprintf(host->file, "---sent by %.*s---\n", (int)type.len, type.ptr);
    return fflush(host->file) == 0 ? ehlo_server_accept(server, event->ticket) : EHLO_HANDLED;
  default: return EHLO_HANDLED;
  }
}

static void tls_done(ehlo_server *server, const struct stream *stream)
{
  ehlo_tls tls = {.struct_size = sizeof tls, .verified = stream_doubt(stream) == NULL};
  ehlo_server_tls_done(server, &tls);
}

static void serve(ehlo_server *server, struct stream *stream, tls_context *context)
{
  static char buffer[READ_SIZE];
  size_t size, used;
  ssize_t held = 0;
  char *at = buffer;
  ehlo_server_start(server);
  for (uint32_t want; (want = ehlo_server_want(server)) != EHLO_WANT_CLOSE;) {
    if (want & EHLO_WANT_WRITE) {
      const void *octets = ehlo_server_output(server, &size);
      ssize_t count = host_write(stream, octets, size);
      count > 0 ? ehlo_server_sent(server, (size_t)count) : (void)ehlo_server_lost(server);
    } else if (want & EHLO_WANT_TLS) {
      if (host_begin_tls(stream, context, 0))
        tls_done(server, stream);
      else
        ehlo_server_lost(server);
    } else {
      if (!(want & EHLO_WANT_FEED) && (held = host_read(stream, at = buffer, sizeof buffer)) <= 0) {
        ehlo_server_lost(server);
        continue;
      }
      ehlo_server_feed(server, at, (size_t)held, &used);
      at += used;
      held -= (ssize_t)used;
    }
  }
}

int main(int argc, char **argv)
{
  if (argc < 6)
    die("usage");
  alarm(PATIENCE);
  struct stream stream;
  host_open(&stream, dup(STDIN_FILENO));
  dup2(STDERR_FILENO, STDOUT_FILENO);
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  struct tls_server_options options = {.certificate = argv[1], .key = argv[2], .authorities = argv[6]};
  tls_context *context = tls_server_context(&options);
  if (context == NULL)
    die(tls_error());
  struct host host = {.file = fopen(argv[3], "ab"), .user = argv[4]};
  if (host.file == NULL)
    die(argv[3]);

  ehlo_server *server;
  ehlo_server_config config;
  ehlo_server_config_init(&config, sizeof config);
  config.hostname = ehlo_span_of("localhost");
  config.offer[EHLO_EXT_STARTTLS] = config.offer[EHLO_EXT_AUTH] = 1;
  config.mechanisms = 1U << EHLO_SASL_PLAIN | 1U << EHLO_SASL_LOGIN | 1U << EHLO_SASL_EXTERNAL;
  size_t size = ehlo_server_size(&config);
  void *memory = malloc(size);
  if (memory == NULL || ehlo_server_init(&server, memory, size, &config, on_event, &host) != EHLO_OK)
    die("ehlo_server_init");
  int implicit = strcmp(argv[5], "implicit") == 0;
  if (!implicit || host_begin_tls(&stream, context, 0)) {
    if (implicit)
      tls_done(server, &stream);
    serve(server, &stream, context);
  }
  host_close(&stream);
  free(memory);
  tls_context_free(context);
  return fclose(host.file) == 0 ? 0 : 74;
}
