/* tls-client: gives a message to a server on this machine, or asks it for its queue, under TLS by OpenSSL, for tests.
 *
 * SPDX-License-Identifier: MIT
 *
 *     tls-client PORT AUTHORITY starttls|implicit USER:PASSWORD|- MECHANISM mail FROM TO FILE
 *     tls-client PORT AUTHORITY starttls|implicit USER:PASSWORD|- MECHANISM etrn NODE
 *
 * The server has to show a certificate for "localhost" that AUTHORITY vouches for. What happens is told on standard
 * output. The exit code is 0 if the message was taken, or the queue is run. */
#define _POSIX_C_SOURCE 200809L
#include "host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 65536, PATIENCE = 60 };

struct host {
  int starttls;
  const char *login; /* "USER:PASSWORD", or "-" */
  uint32_t mechanism;
  char **what;
  int good;
};

static void log_in(ehlo_client *client, const struct host *host)
{
  size_t length = strcspn(host->login, ":");
  ehlo_credentials credentials = {.struct_size = sizeof credentials,
                                  .mechanism = host->mechanism,
                                  .authcid = {host->login, length},
                                  .secret = ehlo_span_of(host->login + length + 1)};
  int error = ehlo_client_auth(client, &credentials, 0);
  if (error == EHLO_OK)
    return;
  printf("error: %s\n", ehlo_strerror(error));
  ehlo_client_quit(client, 0);
}

static void ask(ehlo_client *client, const struct host *host)
{
  int error;
  if (strcmp(host->what[0], "etrn") == 0) {
    error = ehlo_client_etrn(client, ehlo_span_of(host->what[1]), 0);
  } else {
    error = ehlo_client_mail(client, ehlo_span_of(host->what[1]), NULL, 0);
    if (error == EHLO_OK)
      error = ehlo_client_rcpt(client, ehlo_span_of(host->what[2]), NULL, 0);
    if (error == EHLO_OK)
      error = ehlo_client_data(client, 0);
  }
  if (error == EHLO_OK)
    return;
  printf("error: %s\n", ehlo_strerror(error));
  ehlo_client_quit(client, 0);
}

/* No login and no mail in clear: a server that lost its STARTTLS to somebody in between gets nothing. */
static void on_hello(ehlo_client *client, const struct host *host)
{
  if (host->starttls && !ehlo_client_tls(client)) {
    int error = ehlo_client_starttls(client, 0);
    if (error != EHLO_OK) {
      printf("error: %s\n", ehlo_strerror(error));
      ehlo_client_quit(client, 0);
    }
  } else if (strcmp(host->login, "-") != 0) {
    log_in(client, host);
  } else {
    ask(client, host);
  }
}

static int on_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct host *host = user;
  const ehlo_client_event_reply *reply = &event->as.reply;
  switch (event->type) {
  case EHLO_CLIENT_EVENT_HELLO: on_hello(client, host); break;
  case EHLO_CLIENT_EVENT_REPLY:
    printf("%s: %u\n", ehlo_verb_name(reply->verb), (unsigned)reply->code);
    if (reply->verb == EHLO_VERB_AUTH && reply->code < 300)
      ask(client, host);
    if (reply->verb == EHLO_VERB_ETRN)
      host->good = reply->code < 300;
    if (reply->code >= 400 || reply->verb == EHLO_VERB_ETRN)
      ehlo_client_quit(client, 0); /* where that is too early it is an error and changes nothing */
    break;
  case EHLO_CLIENT_EVENT_END:
    host->good = event->as.end.reason == EHLO_END_ACCEPTED;
    ehlo_client_quit(client, 0);
    break;
  case EHLO_CLIENT_EVENT_VIOLATION: printf("violation: %s\n", ehlo_violation_name(event->as.violation.kind)); break;
  default: break;
  }
  return EHLO_HANDLED;
}

static void give(ehlo_client *client, FILE *message)
{
  static char piece[READ_SIZE];
  size_t taken;
  size_t count = fread(piece, 1, sizeof piece, message);
  int error = count > 0 ? ehlo_client_body(client, piece, count, &taken) : ehlo_client_body_end(client);
  if (error == EHLO_OK && count > 0)
    fseek(message, (long)taken - (long)count, SEEK_CUR); /* what found no room comes again */
  else if (error != EHLO_OK && error != EHLO_ERR_SPACE)
    ehlo_client_body_abort(client);
}

static void converse(ehlo_client *client, struct stream *stream, tls_context *context, FILE *message)
{
  static char buffer[READ_SIZE];
  size_t size;
  ehlo_client_hello(client, 0);
  for (uint32_t want; !((want = ehlo_client_want(client)) & EHLO_WANT_CLOSE);) {
    if (want & EHLO_WANT_WRITE) {
      const void *octets = ehlo_client_output(client, &size);
      ssize_t count = host_write(stream, octets, size);
      count > 0 ? ehlo_client_sent(client, (size_t)count) : (void)ehlo_client_eof(client);
    } else if (want & EHLO_WANT_TLS) {
      if (host_begin_tls(stream, context, 1)) {
        ehlo_client_tls_done(client);
        ehlo_client_hello(client, 0);
      } else {
        ehlo_client_eof(client);
      }
    } else if (want & EHLO_WANT_CONTENT) {
      give(client, message);
    } else {
      ssize_t count = host_read(stream, buffer, sizeof buffer);
      count > 0 ? ehlo_client_feed(client, buffer, (size_t)count, &size) : ehlo_client_eof(client);
    }
  }
}

static int connect_to(const char *port)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
    die("connect");
  return fd;
}

int main(int argc, char **argv)
{
  if (argc < 8 || (argc < 10 && strcmp(argv[6], "etrn") != 0))
    die("usage");
  alarm(PATIENCE);
  struct host host = {.starttls = strcmp(argv[3], "starttls") == 0,
                      .login = argv[4],
                      .mechanism = ehlo_sasl_find(ehlo_span_of(argv[5])),
                      .what = argv + 6};
  struct stream stream;
  host_open(&stream, connect_to(argv[1]));
  struct tls_client_options options = {.authorities = argv[2]};
  tls_context *context = tls_client_context(&options);
  if (context == NULL)
    die(tls_error());
  FILE *message = fopen(argc > 9 ? argv[9] : "/dev/null", "rb");
  if (message == NULL)
    die(argv[9]);

  ehlo_client *client;
  ehlo_client_config config;
  ehlo_client_config_init(&config, sizeof config);
  config.hostname = ehlo_span_of("client.example");
  size_t size = ehlo_client_size(&config);
  void *memory = malloc(size);
  if (memory == NULL || ehlo_client_init(&client, memory, size, &config, on_event, &host) != EHLO_OK)
    die("ehlo_client_init");
  if (host.starttls || host_begin_tls(&stream, context, 1)) {
    if (!host.starttls)
      ehlo_client_tls_done(client);
    converse(client, &stream, context, message);
  }
  host_close(&stream);
  tls_context_free(context);
  fclose(message);
  free(memory);
  return host.good ? 0 : 1;
}
