/* tls-server: a mail server with STARTTLS, or with TLS from the beginning, by OpenSSL, for tests.
 *
 * SPDX-License-Identifier: MIT
 *
 *     tls-server CERTIFICATE KEY FILE USER:PASSWORD starttls|implicit
 *
 * Standard input is a socket, as inetd has it; one session a process. Content is appended to FILE, and behind each
 * message "---sent by ESMTPS---" or the like. AUTH is offered under TLS alone. What happens is told on standard
 * error. */
#define _POSIX_C_SOURCE 200809L
#include "host.h"

#include <signal.h>
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
    if (is_known(host, &event->as.auth))
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

static void serve(ehlo_server *server, struct connection *connection, SSL_CTX *context)
{
  static char buffer[READ_SIZE];
  size_t size, used;
  ssize_t held = 0;
  char *at = buffer;
  ehlo_server_start(server);
  for (uint32_t want; (want = ehlo_server_want(server)) != EHLO_WANT_CLOSE;) {
    if (want & EHLO_WANT_WRITE) {
      const void *octets = ehlo_server_output(server, &size);
      ssize_t count = connection_write(connection, octets, size);
      count > 0 ? ehlo_server_sent(server, (size_t)count) : (void)ehlo_server_lost(server);
    } else if (want & EHLO_WANT_TLS) {
      if (connection_begin_tls(connection, context, 0))
        ehlo_server_tls_done(server, NULL);
      else
        ehlo_server_lost(server);
    } else {
      if (!(want & EHLO_WANT_FEED) && (held = connection_read(connection, at = buffer, sizeof buffer)) <= 0) {
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
  if (argc != 6)
    die("usage");
  alarm(PATIENCE);
  signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
  struct connection connection = {.fd = dup(STDIN_FILENO)};
  dup2(STDERR_FILENO, STDOUT_FILENO);
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  if (context == NULL || SSL_CTX_use_certificate_file(context, argv[1], SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1)
    die(argv[1]);
  struct host host = {.file = fopen(argv[3], "ab"), .user = argv[4]};
  if (host.file == NULL)
    die(argv[3]);

  ehlo_server *server;
  ehlo_server_config config;
  ehlo_server_config_init(&config, sizeof config);
  config.hostname = ehlo_span_of("localhost");
  config.offer[EHLO_EXT_STARTTLS] = config.offer[EHLO_EXT_AUTH] = 1;
  config.mechanisms = 1U << EHLO_SASL_PLAIN | 1U << EHLO_SASL_LOGIN;
  size_t size = ehlo_server_size(&config);
  void *memory = malloc(size);
  if (memory == NULL || ehlo_server_init(&server, memory, size, &config, on_event, &host) != EHLO_OK)
    die("ehlo_server_init");
  int implicit = strcmp(argv[5], "implicit") == 0;
  if (!implicit || connection_begin_tls(&connection, context, 0)) {
    if (implicit)
      ehlo_server_tls_done(server, NULL);
    serve(server, &connection, context);
  }
  connection_close(&connection);
  free(memory);
  SSL_CTX_free(context);
  return fclose(host.file) == 0 ? 0 : 74;
}
