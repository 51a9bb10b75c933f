/* host.c: see host.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "host.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

void die(const char *what)
{
  perror(what);
  exit(70);
}

void host_open(struct stream *stream, int fd)
{
  if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
    die("fcntl");
  stream_open(stream, fd);
}

static void wait_for(const struct stream *stream, short wants)
{
  struct pollfd ready = {.fd = stream->fd, .events = stream_events(stream, wants)};
  do
    poll(&ready, 1, -1); /* until the alarm */
  while (!(stream_ready(stream, ready.revents) & wants));
}

int host_begin_tls(struct stream *stream, tls_context *context, int is_client)
{
  char subject[256];
  int error = is_client ? stream_start_client(stream, context, "localhost") : stream_start_server(stream, context);
  if (error == 0) {
    while ((error = stream_handshake(stream)) == STREAM_WAIT)
      wait_for(stream, POLLIN);
  }
  if (error != 0) {
    printf("handshake failed: %s\n", tls_error());
    return 0;
  }
  printf("handshake: %s\n", stream_protocol(stream));
  if (stream_peer(stream, subject, sizeof subject) != NULL)
    printf("peer: %s, %s\n", subject, stream_doubt(stream) == NULL ? "verified" : stream_doubt(stream));
  return 1;
}

ssize_t host_read(struct stream *stream, void *buffer, size_t size)
{
  ssize_t count;
  while ((count = stream_read(stream, buffer, size)) == STREAM_WAIT)
    wait_for(stream, POLLIN);
  return count;
}

ssize_t host_write(struct stream *stream, const void *octets, size_t size)
{
  ssize_t count;
  while ((count = stream_write(stream, octets, size)) == STREAM_WAIT)
    wait_for(stream, POLLOUT);
  return count;
}

void host_close(struct stream *stream)
{
  while (stream_shutdown(stream) == STREAM_WAIT)
    wait_for(stream, POLLOUT);
  stream_close(stream);
}
