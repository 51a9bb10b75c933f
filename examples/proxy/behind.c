/* behind.c: the connection to the next hop: octets in, octets out, TLS, the clock.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "proxy.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

void next_close(struct session *session)
{
  if (session->next.open && !session->next.shaking && !session->next.blocked)
    stream_shutdown(&session->next.stream);
  side_close(&session->next);
  session->client = NULL;
  session->connecting = 0;
  if (session->gone)
    return;
  session->gone = 1;
  next_lost(session);
}

static void next_unreachable(struct session *session, const char *why)
{
  complain(settings.next.text, why);
  if (session->failure.code == 0)
    answer_say(&session->failure, 421, 4, 1, "The next hop cannot be reached, try again later");
  next_close(session);
}

static void next_failed_to_connect(struct session *session, int error)
{
  side_close(&session->next);
  if (++session->address < settings.next.count)
    next_begin(session);
  else
    next_unreachable(session, strerror(error));
}

/* TLS could not be had. */
static void next_without_tls(struct session *session)
{
  if (settings.next_tls != NEXT_TLS_TRY || session->ready) {
    next_unreachable(session, tls_error());
    return;
  }
  complain(settings.next.text, tls_error());
  side_close(&session->next);
  session->client = NULL;
  session->clear = 1;
  session->address = 0;
  next_begin(session);
}

static void next_shake(struct session *session)
{
  int result = stream_handshake(&session->next.stream);
  if (result == STREAM_FAILED) {
    next_without_tls(session);
  } else if (result == 0) {
    session->next.shaking = 0;
    session->next.epoch = 0;
    ehlo_client_tls_done(session->client);
    ehlo_client_hello(session->client, 0);
  }
}

static void next_start_tls(struct session *session)
{
  side_shake(&session->next);
  if (stream_start_client(&session->next.stream, settings.next_context, settings.next.name) != 0)
    next_without_tls(session);
  else
    next_shake(session);
}

static void next_connected(struct session *session)
{
  int error = address_connected(session->next.stream.fd);
  if (error != 0) {
    next_failed_to_connect(session, error);
    return;
  }
  session->connecting = 0;
  error = ehlo_client_init(&session->client, session->client_block, ehlo_client_size(&settings.client),
                           &settings.client, next_event, session);
  if (error != EHLO_OK) {
    next_unreachable(session, ehlo_strerror(error));
    return;
  }
  session->next.epoch = 0;
  if (settings.next_tls == NEXT_TLS_IMPLICIT)
    next_start_tls(session);
  else
    ehlo_client_hello(session->client, 0);
}

static void next_read(struct session *session)
{
  static char buffer[65536];
  size_t used;
  ssize_t size = stream_read(&session->next.stream, buffer, sizeof buffer);
  if (size > 0)
    ehlo_client_feed(session->client, buffer, (size_t)size, &used);
  else if (size != STREAM_WAIT)
    ehlo_client_eof(session->client);
}

static void next_write(struct session *session)
{
  size_t size;
  const void *output = ehlo_client_output(session->client, &size);
  ssize_t sent = stream_write(&session->next.stream, output, size);
  if (sent >= 0) {
    ehlo_client_sent(session->client, (size_t)sent);
  } else if (sent == STREAM_WAIT) {
    session->next.blocked = 1;
  } else {
    if (!session->next.stream.broken)
      next_read(session); /* what it said before it went tells more */
    if (session->client != NULL && !(ehlo_client_want(session->client) & EHLO_WANT_CLOSE))
      ehlo_client_eof(session->client);
  }
}

int next_step(struct session *session)
{
  size_t used;
  if (session->client == NULL || session->next.shaking)
    return 0;
  uint32_t want = ehlo_client_want(session->client);
  if (want & EHLO_WANT_CLOSE) {
    next_close(session);
  } else if (want & EHLO_WANT_WRITE) {
    if (session->next.blocked)
      return 0;
    next_write(session);
  } else if (want & EHLO_WANT_TLS) {
    next_start_tls(session);
  } else if (want & EHLO_WANT_FEED) {
    ehlo_client_feed(session->client, NULL, 0, &used);
  } else if ((session->lingering || !session->front.open) && !session->quit) {
    session->quit = 1;
    if (ehlo_client_quit(session->client, 0) != EHLO_OK)
      next_close(session);
  } else if (stream_pending(&session->next.stream)) {
    next_read(session);
  } else {
    return (want & EHLO_WANT_CONTENT) != 0 && content_push(session);
  }
  return 1;
}

static void next_ready(struct source *source, unsigned events)
{
  struct side *side = (struct side *)(void *)source; /* its first member */
  struct session *session = side->session;
  if (session->connecting) {
    next_connected(session);
  } else if (side->shaking) {
    next_shake(session);
  } else if (side_ready(side, events) & POLLIN) {
    next_read(session);
  }
  session_drive(session);
}

static void next_time(struct timer *timer)
{
  struct side *side = (struct side *)(void *)((char *)timer - offsetof(struct side, timer));
  struct session *session = side->session;
  if (session->connecting) {
    next_failed_to_connect(session, ETIMEDOUT);
  } else if (side->shaking) {
    next_unreachable(session, "the handshake of TLS takes too long");
  } else if (side->closing) {
    next_close(session);
  } else {
    complain(settings.next.text, "timed out");
    answer_say(&session->failure, 421, 4, 2, "The next hop does not answer");
    ehlo_client_timed_out(session->client);
  }
  session_drive(session);
}

void next_begin(struct session *session)
{
  struct side *side = &session->next;
  int fd = address_connect(&settings.next.list[session->address]);
  if (fd < 0) {
    next_failed_to_connect(session, errno);
    return;
  }
  stream_open(&side->stream, fd);
  side->source = (struct source){.fd = fd, .ready = next_ready};
  side->timer.fire = next_time;
  side->blocked = side->shaking = 0;
  session->connecting = 1;
  if (loop_watch(&side->source, LOOP_OUT) != 0) {
    stream_close(&side->stream);
    next_unreachable(session, strerror(errno));
    return;
  }
  side->open = 1;
  side_set_timer(side, CONNECT_TIMEOUT);
}

void next_wait(struct session *session)
{
  struct side *side = &session->next;
  uint64_t epoch;
  if (!side->open || session->connecting)
    return;
  side_wait(side, side->blocked ? POLLIN | POLLOUT : POLLIN);
  if (side->shaking)
    return;
  uint32_t seconds = ehlo_client_timeout(session->client, &epoch);
  side_keep_time(side, epoch, seconds, session->quit);
}
