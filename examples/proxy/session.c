/* session.c: a client's connection, and how it goes on together with the one to the next hop.
 *
 * SPDX-License-Identifier: MIT
 *
 * The next hop is connected to first: what the client is offered, and whether it is greeted at all, depends on it.
 * Each side is read from only while the other takes what comes of it, so a slow one makes the other slow, and nothing
 * grows in between. */
#define _GNU_SOURCE
#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINGER = 2 /* seconds that a connection is drained before it is closed */ };

static struct session *sessions;
static size_t count;
static int stopping;

size_t sessions_count(void)
{
  return count;
}

const char *session_client(const struct session *session, unsigned *port)
{
  static char text[INET6_ADDRSTRLEN + 8];
  const struct sockaddr_in *in = (const void *)&session->peer;
  const struct sockaddr_in6 *in6 = (const void *)&session->peer;
  unsigned number = 0;
  strcpy(text, "[UNAVAILABLE]");
  if (session->peer.ss_family == AF_INET) {
    inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
    number = ntohs(in->sin_port);
  } else if (session->peer.ss_family == AF_INET6) {
    int mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    if (mapped) {
      inet_ntop(AF_INET, (const char *)&in6->sin6_addr + 12, text, sizeof text);
    } else {
      memcpy(text, "IPv6:", 5);
      inet_ntop(AF_INET6, &in6->sin6_addr, text + 5, sizeof text - 5);
    }
    number = ntohs(in6->sin6_port);
  }
  if (port != NULL)
    *port = number;
  return text;
}

/* ---- the client -------------------------------------------------------------------------------------------------- */

/* A socket that is closed with unread octets in it is reset, and the peer may then never see the last reply: so what it
 * still says is thrown away for a moment. */
static void front_finish(struct session *session)
{
  session->server = NULL;
  if (session->end_seen || stream_shutdown(&session->front.stream) != 0) {
    side_close(&session->front);
    return;
  }
  session->lingering = 1;
  side_set_timer(&session->front, LINGER);
}

/* The next hop is there, or will not be. */
static void front_start(struct session *session)
{
  ehlo_server_config config;
  offer_make(session, &config);
  size_t size = ehlo_server_size(&config);
  session->server_block = size == 0 ? NULL : malloc(size);
  int error = session->server_block == NULL
                  ? EHLO_ERR_CONFIG
                  : ehlo_server_init(&session->server, session->server_block, size, &config, front_event, session);
  if (error != EHLO_OK) {
    complain("session", size == 0 ? ehlo_strerror(error) : "there is no memory");
    session->end_seen = 1;
    front_finish(session);
    return;
  }
  session->front.epoch = 0;
  if (session->implicit)
    ehlo_server_tls_done(session->server, NULL);
  ehlo_server_start(session->server);
}

static void front_feed(struct session *session)
{
  size_t used;
  ehlo_server_feed(session->server, session->input + session->input_from, session->input_size - session->input_from,
                   &used);
  session->input_from += used;
  if (session->input_from == session->input_size)
    session->input_from = session->input_size = 0;
}

static void front_lost(struct session *session)
{
  session->end_seen = session->end_told = 1;
  if (session->server == NULL)
    side_close(&session->front);
  else
    ehlo_server_lost(session->server);
}

static void front_read(struct session *session)
{
  ssize_t size = stream_read(&session->front.stream, session->input, sizeof session->input);
  if (size == STREAM_WAIT)
    return;
  if (size < 0 || (size == 0 && session->server == NULL)) {
    front_lost(session);
  } else if (size == 0) {
    session->end_seen = 1;
  } else if (session->server != NULL) {
    session->input_size = (size_t)size;
    front_feed(session);
  }
}

static void front_write(struct session *session)
{
  size_t size;
  const void *output = ehlo_server_output(session->server, &size);
  ssize_t sent = stream_write(&session->front.stream, output, size);
  if (sent >= 0)
    ehlo_server_sent(session->server, (size_t)sent);
  else if (sent == STREAM_WAIT)
    session->front.blocked = 1;
  else
    front_lost(session);
}

static void front_shake(struct session *session)
{
  int result = stream_handshake(&session->front.stream);
  if (result == STREAM_FAILED) {
    complain("TLS of a client", tls_error());
    front_lost(session);
    session->front.shaking = 0;
  } else if (result == 0) {
    session->front.shaking = 0;
    session->front.epoch = 0;
    side_set_timer(&session->front, 0);
    if (session->server != NULL)
      ehlo_server_tls_done(session->server, NULL);
  }
}

static void front_start_tls(struct session *session)
{
  side_shake(&session->front);
  if (stream_start_server(&session->front.stream, settings.front_context) != 0)
    front_lost(session);
  else
    front_shake(session);
}

static void front_farewell(struct session *session)
{
  char buffer[24];
  const struct answer *why = &session->failure;
  size_t length = strcspn(why->text, "\n");
  session->told = 1;
  snprintf(buffer, sizeof buffer, "4.%u.%u", why->enhanced.subject, why->enhanced.detail);
  const char *enhanced = why->enhanced.status_class == 4 ? buffer : NULL;
  if (ehlo_server_shutdown(session->server, 421, enhanced, (ehlo_span){why->text, length > 200 ? 200 : length}) !=
      EHLO_OK)
    ehlo_server_shutdown(session->server, 421, "4.4.2", ehlo_span_of(NULL));
}

/* Is it time to end the session, because there is no next hop any more, or this host stops? */
static int must_leave(struct session *session)
{
  if (session->told || session->in_content)
    return 0;
  if (session->gone)
    return session->ready; /* else CONNECT has told */
  if (stopping && !session->mail_open)
    answer_say(&session->failure, 421, 3, 2, "Stopping, try again later");
  return stopping && !session->mail_open;
}

/* Does one thing; returns 0 if there is none. */
static int front_step(struct session *session)
{
  if (!session->front.open || session->front.shaking || session->lingering)
    return 0;
  if (session->server == NULL) {
    if (!session->ready && session->failure.code == 0)
      return 0;
    front_start(session);
    return 1;
  }
  uint32_t want = ehlo_server_want(session->server);
  if (!(want & EHLO_WANT_CLOSE) && must_leave(session)) {
    front_farewell(session);
  } else if ((want & EHLO_WANT_WRITE) && !session->front.blocked) {
    front_write(session);
  } else if (want & EHLO_WANT_FEED) {
    front_feed(session);
  } else if ((want & EHLO_WANT_TLS) && !(want & EHLO_WANT_WRITE)) {
    front_start_tls(session);
  } else if ((want & EHLO_WANT_CLOSE) && !(want & EHLO_WANT_WRITE)) {
    front_finish(session);
  } else if (session->end_seen && !session->end_told && session->input_size == 0) {
    session->end_told = 1;
    ehlo_server_eof(session->server);
  } else if ((want & EHLO_WANT_READ) && session->input_size == 0 && stream_pending(&session->front.stream)) {
    front_read(session);
  } else {
    return 0;
  }
  return 1;
}

static void front_ready(struct source *source, unsigned events)
{
  struct side *side = (struct side *)(void *)source; /* its first member */
  struct session *session = side->session;
  unsigned wanted = source->wanted;
  if (side->shaking) {
    front_shake(session);
  } else if (session->lingering) {
    char octets[4096];
    ssize_t size = stream_read(&side->stream, octets, sizeof octets);
    if (size <= 0 && size != STREAM_WAIT)
      side_close(side);
  } else {
    short can = side_ready(side, events);
    if ((can & POLLIN) && wanted != 0 && session->input_size == 0)
      front_read(session);
    else if (events & LOOP_GONE)
      front_lost(session);
  }
  session_drive(session);
}

static void front_time(struct timer *timer)
{
  struct side *side = (struct side *)(void *)((char *)timer - offsetof(struct side, timer));
  struct session *session = side->session;
  if (session->lingering || session->server == NULL || side->shaking) {
    front_lost(session);
    side_close(side);
  } else if (side->closing) {
    front_lost(session); /* it had its time */
  } else {
    ehlo_server_timed_out(session->server);
  }
  session_drive(session);
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

static void destroy(struct session *session)
{
  *(session->previous != NULL ? &session->previous->following : &sessions) = session->following;
  if (session->following != NULL)
    session->following->previous = session->previous;
  count--;
  content_forget(session);
  side_close(&session->front);
  side_close(&session->next);
  free(session->server_block);
  free(session->client_block);
  free(session);
  listeners_pause(0);
}

static void wait_for_front(struct session *session)
{
  struct side *side = &session->front;
  uint64_t epoch;
  if (!side->open)
    return;
  if (side->shaking || session->lingering) {
    side_wait(side, POLLIN);
  } else if (session->server == NULL) {
    loop_want(&side->source, 0); /* it has nothing to say before the greeting */
  } else {
    uint32_t want = ehlo_server_want(session->server);
    int read = (want & EHLO_WANT_READ) && session->input_size == 0 && !session->end_seen;
    side_wait(side, (short)((read ? POLLIN : 0) | (side->blocked ? POLLOUT : 0)));
    uint32_t seconds = ehlo_server_timeout(session->server, &epoch);
    side_keep_time(side, epoch, seconds, (want & EHLO_WANT_CLOSE) != 0);
  }
}

void session_drive(struct session *session)
{
  int more;
  do {
    more = 0;
    while (next_step(session))
      more = 1;
    while (front_step(session))
      more = 1;
  } while (more);
  if (!session->front.open && session->server != NULL) /* the handshake failed, and the library has been told */
    session->server = NULL;
  if (!session->front.open && session->client == NULL) {
    destroy(session);
    return;
  }
  wait_for_front(session);
  next_wait(session);
}

void session_open(int fd, const struct sockaddr_storage *peer, int implicit)
{
  struct session *session = calloc(1, sizeof *session);
  if (session != NULL)
    session->client_block = malloc(ehlo_client_size(&settings.client));
  if (session == NULL || session->client_block == NULL) {
    complain("connection", strerror(ENOMEM));
    free(session);
    close(fd);
    return;
  }
  session->peer = *peer;
  session->file = -1;
  session->front.session = session->next.session = session;
  session->front.timer.fire = front_time;
  session->implicit = (uint8_t)implicit;
  session->following = sessions;
  if (sessions != NULL)
    sessions->previous = session;
  sessions = session;
  if (++count >= settings.max_connections)
    listeners_pause(1);
  stream_open(&session->front.stream, fd);
  session->front.source = (struct source){.fd = fd, .ready = front_ready};
  if (loop_watch(&session->front.source, 0) != 0) {
    complain("connection", strerror(errno));
    stream_close(&session->front.stream);
  } else {
    session->front.open = 1;
    next_begin(session);
    if (implicit && session->front.open)
      front_start_tls(session);
  }
  session_drive(session);
}

void sessions_stop(int at_once)
{
  struct session *following;
  stopping = 1;
  for (struct session *session = sessions; session != NULL; session = following) {
    following = session->following;
    if (at_once) {
      front_lost(session);
      next_close(session);
      side_close(&session->front);
    }
    session_drive(session);
  }
}
