/* tls.c: streams, and what they do in clear. See tls.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char error_text[512];

const char *tls_error(void)
{
  return error_text;
}

void tls_say(const char *what, const char *why)
{
  snprintf(error_text, sizeof error_text, "%s%s%s", what == NULL ? "" : what, what == NULL ? "" : ": ", why);
}

void stream_open(struct stream *stream, int fd)
{
  *stream = (struct stream){.fd = fd, .read_event = POLLIN, .write_event = POLLOUT};
}

/* What the system said of a call that gave no octets. */
static ssize_t without_octets(void)
{
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
    return STREAM_WAIT;
  tls_say(NULL, strerror(errno));
  return STREAM_FAILED;
}

ssize_t stream_read(struct stream *stream, void *buffer, size_t size)
{
  if (stream->tls != NULL)
    return tls_read(stream, buffer, size);
  ssize_t count = recv(stream->fd, buffer, size, 0);
  return count >= 0 ? count : without_octets();
}

ssize_t stream_write(struct stream *stream, const void *octets, size_t size)
{
  if (size == 0)
    return 0;
  if (stream->tls != NULL)
    return tls_write(stream, octets, size);
  ssize_t count = send(stream->fd, octets, size, MSG_NOSIGNAL);
  return count >= 0 ? count : without_octets();
}

int stream_shutdown(struct stream *stream)
{
  if (stream->tls != NULL && !stream->broken && tls_goodbye(stream) == STREAM_WAIT)
    return STREAM_WAIT;
  shutdown(stream->fd, SHUT_WR);
  return 0;
}

void stream_close(struct stream *stream)
{
  if (stream->tls != NULL)
    tls_end(stream);
  close(stream->fd);
  stream->fd = -1;
}

short stream_events(const struct stream *stream, short wants)
{
  short events = 0;
  if (wants & POLLIN)
    events |= stream->read_event;
  if (wants & POLLOUT)
    events |= stream->write_event;
  return events;
}

/* A connection that is broken is told by whatever is tried. */
short stream_ready(const struct stream *stream, short events)
{
  short can = 0;
  if (events & ~(POLLIN | POLLOUT))
    return POLLIN | POLLOUT;
  if (events & stream->read_event)
    can |= POLLIN;
  if (events & stream->write_event)
    can |= POLLOUT;
  return can;
}
