/* session.c: the connection: octets in, octets out, the clock, the end.
 *
 * SPDX-License-Identifier: MIT
 *
 * What comes is read into one buffer for all. Nothing is read from a peer while the library cannot take it, so a peer
 * that is ahead of its replies waits in its own system. Under TLS the same is read and written through a stream; what
 * that waits for on the socket is its own affair.
 */
#define _GNU_SOURCE
#include "session.h"

#include "blocks.h"
#include "certificates.h"
#include "login.h"
#include "metrics.h"
#include "proxy_protocol.h"
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  READ_SIZE = 65536,
  HANDSHAKE = 30,  /* seconds that a peer gets for it */
  LAST_WORDS = 10, /* seconds that the peer gets to take the last reply */
  LINGER = 2       /* seconds that a connection is drained before it is closed */
};

static int stopping; /* STOP_; 0: no */

/* ---- what is waited for ------------------------------------------------------------------------------------------ */

static void want(struct session *session, unsigned wants)
{
  short events =
      stream_events(&session->stream, (short)((wants & LOOP_IN ? POLLIN : 0) | (wants & LOOP_OUT ? POLLOUT : 0)));
  session->wants = (uint8_t)wants;
  loop_want(&session->source, (events & POLLIN ? LOOP_IN : 0U) | (events & POLLOUT ? LOOP_OUT : 0U));
}

/* What has become possible: LOOP_IN, LOOP_OUT. */
static unsigned able(const struct session *session, unsigned events)
{
  short can =
      stream_ready(&session->stream, (short)((events & LOOP_IN ? POLLIN : 0) | (events & LOOP_OUT ? POLLOUT : 0)));
  return (can & POLLIN ? LOOP_IN : 0U) | (can & POLLOUT ? LOOP_OUT : 0U);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void destroy(struct session *session)
{
  loop_forget(&session->source);
  timer_stop(&session->timer);
  session_leave_block(session);
  stream_close(&session->stream);
  session_unlist(session);
  policy_forget(session); /* if it ended for want of memory */
  login_forget(session);
  relay_leave(session);
  free(session->bed);
  free(session->held);
  free(session->preamble);
  free(session->client_name);
  free(session->vouched);
  free(session);
}

/* The library is done with it. A socket that is closed with unread octets in it is reset, and the peer may then never
 * see the last reply; so unless it said goodbye, what it still says is thrown away for a moment. */
static void finish(struct session *session)
{
  session_leave_block(session);
  relay_leave(session);
  if (session->half || stopping == STOP_AT_ONCE) {
    destroy(session);
    return;
  }
  if (stream_shutdown(&session->stream) == STREAM_WAIT || session->quit) {
    destroy(session);
    return;
  }
  session->phase = PHASE_LINGER;
  loop_want(&session->source, LOOP_IN);
  timer_set(&session->timer, loop_now() + LINGER * 1000);
}

static void linger(struct session *session)
{
  char octets[4096];
  ssize_t size = read(session->stream.fd, octets, sizeof octets);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
    destroy(session);
}

/* ---- octets ------------------------------------------------------------------------------------------------------ */

/* One for all: what a session cannot take it copies. */
static char buffer[READ_SIZE];

static void feed(struct session *session, const char *octets, size_t size)
{
  size_t used;
  ehlo_server_feed(session->server, octets, size, &used);
  if (used == size)
    return;
  session->held = malloc(size - used);
  if (session->held == NULL) {
    ehlo_server_lost(session->server);
    return;
  }
  memcpy(session->held, octets + used, size - used);
  session->held_from = 0;
  session->held_size = (uint32_t)(size - used);
}

static void feed_held(struct session *session)
{
  size_t used;
  size_t size = session->held_size - session->held_from;
  ehlo_server_feed(session->server, session->held == NULL ? NULL : session->held + session->held_from, size, &used);
  session->held_from += (uint32_t)used;
  if (used == size) {
    free(session->held);
    session->held = NULL;
    session->held_from = session->held_size = 0;
  }
}

static void write_some(struct session *session, const void *octets, size_t size)
{
  ssize_t written = stream_write(&session->stream, octets, size);
  if (written >= 0)
    ehlo_server_sent(session->server, (size_t)written);
  else if (written == STREAM_WAIT)
    session->blocked = 1;
  else
    ehlo_server_lost(session->server);
}

static void keep_time(struct session *session, int closing)
{
  uint64_t epoch;
  uint32_t seconds = ehlo_server_timeout(session->server, &epoch);
  if (closing)
    seconds = LAST_WORDS;
  if (epoch == session->epoch && seconds == session->seconds && closing == session->closing)
    return;
  session->epoch = epoch;
  session->seconds = seconds;
  session->closing = (uint8_t)closing;
  if (seconds == 0)
    timer_stop(&session->timer);
  else
    timer_set(&session->timer, loop_now() + (int64_t)seconds * 1000);
}

static void shake_hands(struct session *session);

/* For what comes before or between the library's turns. */
static void begin_phase(struct session *session, uint8_t phase)
{
  uint32_t patience = settings.config[session->place->kind].command_timeout;
  session->phase = phase;
  session->seconds = UINT32_MAX; /* so that the clock starts anew behind it */
  timer_set(&session->timer, loop_now() + (patience < HANDSHAKE ? patience : HANDSHAKE) * 1000);
}

static void begin_tls(struct session *session)
{
  begin_phase(session, PHASE_HANDSHAKE);
  if (certificates_context() == NULL || stream_start_server(&session->stream, certificates_context()) != 0) {
    complain("TLS", certificates_context() == NULL ? "it is gone" : tls_error());
    session->half = 1;
  }
  shake_hands(session);
}

/* Does what the session wants, until it wants something of the peer or of somebody who decides. The session may be gone
 * afterwards: whoever calls this has nothing more to do with it. */
static void drive(struct session *session)
{
  for (;;) {
    uint32_t wants = ehlo_server_want(session->server);
    if (wants & EHLO_WANT_FEED) {
      feed_held(session);
    } else if (stopping && session->envelope == NULL && (wants & EHLO_WANT_CLOSE) == 0 && !session->told) {
      session->told = 1;
      ehlo_server_shutdown(session->server, 421, "4.3.2", ehlo_span_of(NULL));
    } else if ((wants & EHLO_WANT_WRITE) != 0 && !session->blocked) {
      size_t size;
      const void *octets = ehlo_server_output(session->server, &size);
      write_some(session, octets, size);
    } else {
      if ((wants & (EHLO_WANT_CLOSE | EHLO_WANT_WRITE)) == EHLO_WANT_CLOSE) {
        finish(session);
        return;
      }
      if ((wants & EHLO_WANT_CLOSE) != 0 && stopping == STOP_AT_ONCE) {
        session->half = 1;
        finish(session);
        return;
      }
      if ((wants & (EHLO_WANT_TLS | EHLO_WANT_WRITE)) == EHLO_WANT_TLS && session->held == NULL) {
        begin_tls(session);
        return;
      }
      int read_on = (wants & EHLO_WANT_READ) != 0 && session->held == NULL && !session->half;
      want(session, (read_on ? LOOP_IN : 0U) | (session->blocked ? LOOP_OUT : 0U));
      keep_time(session, (wants & EHLO_WANT_CLOSE) != 0);
      session_rest(session);
      return;
    }
  }
}

void session_go_on(struct session *session)
{
  if (session->server != NULL && session_wake(session) == 0)
    drive(session);
}

/* The connection broke, or never came to be one. */
static void lose(struct session *session)
{
  session->half = 1;
  if (!session->started || session_wake(session) != 0) {
    destroy(session); /* nothing can be said without memory */
    return;
  }
  ehlo_server_lost(session->server);
  drive(session);
}

static void take_input(struct session *session)
{
  ssize_t size = stream_read(&session->stream, buffer, sizeof buffer);
  if (size == STREAM_WAIT) {
    want(session, session->wants); /* of the socket it may be something else now */
    return;
  }
  if (size < 0 || (size == 0 && session->proving)) { /* nothing can follow such a login: it need not be checked */
    lose(session);
    return;
  }
  if (session_wake(session) != 0) {
    lose(session);
    return;
  }
  if (size > 0) {
    feed(session, buffer, (size_t)size);
  } else {
    session->half = 1;
    ehlo_server_eof(session->server);
  }
  drive(session);
}

/* ---- TLS --------------------------------------------------------------------------------------------------------- */

static void shake_hands(struct session *session)
{
  int result = session->half ? STREAM_FAILED : stream_handshake(&session->stream);
  if (result == STREAM_WAIT) {
    want(session, LOOP_IN);
    return;
  }
  metrics_count(result == 0 ? METRIC_HANDSHAKES : METRIC_HANDSHAKES_FAILED);
  if (result != 0) {
    fprintf(stderr, "%s: TLS failed client=%s:%u because=\"", program, ip_address_text(&session->client),
            session->client.port);
    print_octets(stderr, ehlo_span_of(tls_error()), 1);
    fputs("\"\n", stderr);
    lose(session);
    return;
  }
  if (session_wake(session) != 0) {
    lose(session);
    return;
  }
  session->phase = PHASE_DIALOGUE;
  ehlo_server_tls_done(session->server, NULL);
  if (!session->started) {
    session->started = 1;
    ehlo_server_start(session->server);
  }
  drive(session);
}

void session_begin(struct session *session)
{
  /* It is the client who is trusted, not the balancer in front of everybody. */
  session->trusted = networks_have(settings.xclient.list, settings.xclient.count, &session->client) != 0;
  if (!session->trusted && settings.xclient.count > 0)
    ehlo_server_offer(session->server, EHLO_EXT_XCLIENT, 0);
  if (session->place->tls) {
    begin_tls(session);
    return;
  }
  session->phase = PHASE_DIALOGUE;
  session->started = 1;
  ehlo_server_start(session->server);
  drive(session);
}

/* ---- a balancer in front ----------------------------------------------------------------------------------------- */

static void read_preamble(struct session *session)
{
  uint8_t octets[PREAMBLE_SIZE];
  struct ip_address client = session->client;
  ssize_t size = recv(session->stream.fd, octets, sizeof octets, MSG_PEEK);
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  size_t needed = size <= 0 ? 0 : preamble_needs(session->preamble, octets, (size_t)size);
  int result = needed == 0 ? -1 : preamble_take(session->preamble, octets, needed, &client);
  if (needed > 0 && recv(session->stream.fd, octets, needed, 0) != (ssize_t)needed)
    result = -1;
  if (result < 0) {
    fprintf(stderr, "%s: no PROXY protocol client=%s:%u\n", program, ip_address_text(&session->client),
            session->client.port);
    lose(session);
  } else if (result > 0) {
    free(session->preamble);
    session->preamble = NULL;
    session->crowded = sessions_crowded(&client) != 0;
    session_relist(session, &client);
    session_begin(session);
  }
}

static void expect_preamble(struct session *session)
{
  session->preamble = calloc(1, sizeof *session->preamble);
  if (session->preamble == NULL)
    lose(session);
  else
    begin_phase(session, PHASE_PREAMBLE);
}

/* ---- what happens ------------------------------------------------------------------------------------------------ */

static void on_dialogue(struct session *session, unsigned events)
{
  unsigned can = able(session, events);
  if (can & LOOP_OUT)
    session->blocked = 0;
  if (((can & LOOP_IN) != 0 || (events & LOOP_GONE) != 0) && (session->wants & LOOP_IN) != 0)
    take_input(session);
  else if ((events & LOOP_GONE) != 0)
    lose(session);
  else if (session_wake(session) == 0)
    drive(session);
}

static void on_ready(struct source *source, unsigned events)
{
  struct session *session = (struct session *)(void *)source; /* its first member */
  switch (session->phase) {
  case PHASE_LINGER: linger(session); break;
  case PHASE_HANDSHAKE: shake_hands(session); break;
  case PHASE_PREAMBLE: read_preamble(session); break;
  default: on_dialogue(session, events); break;
  }
}

static void on_time(struct timer *timer)
{
  struct session *session = (struct session *)(void *)((char *)timer - offsetof(struct session, timer));
  if (session->phase == PHASE_LINGER) {
    destroy(session);
  } else if (session->phase != PHASE_DIALOGUE || session->closing) {
    if (session->phase == PHASE_HANDSHAKE)
      fprintf(stderr, "%s: TLS failed client=%s:%u because=\"timed out\"\n", program, ip_address_text(&session->client),
              session->client.port);
    lose(session);
  } else if (session_wake(session) != 0) {
    timer_set(timer, loop_now() + 1000);
  } else {
    ehlo_server_timed_out(session->server);
    drive(session);
  }
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

void session_open(int fd, const struct ip_address *peer, const struct place *place)
{
  struct session *session = calloc(1, sizeof *session);
  void *block = session == NULL ? NULL : block_take();
  if (block == NULL) {
    complain("connection", strerror(errno));
    free(session);
    close(fd);
    return;
  }
  session->source = (struct source){.fd = fd, .ready = on_ready};
  session->timer.fire = on_time;
  session->place = place;
  session->awake = 1;
  session->client = *peer;
  stream_open(&session->stream, fd);
  int error =
      ehlo_server_init(&session->server, block, block_size(), &settings.config[place->kind], policy_event, session);
  if (error != EHLO_OK || loop_watch(&session->source, LOOP_IN) != 0) {
    complain("connection", error != EHLO_OK ? ehlo_strerror(error) : strerror(errno));
    block_give(block);
    free(session);
    close(fd);
    return;
  }
  if (peer->family == AF_UNIX && settings.config[place->kind].offer[EHLO_EXT_STARTTLS])
    ehlo_server_offer(session->server, EHLO_EXT_STARTTLS, 0); /* nobody listens in there */
  session_list(session);
  if (networks_have(settings.balancers.list, settings.balancers.count, peer))
    expect_preamble(session);
  else
    session_begin(session);
}

int sessions_stopping(void)
{
  return stopping;
}

void sessions_set_stopping(int how)
{
  stopping = how;
}

void session_stop(struct session *session)
{
  if (session->phase == PHASE_LINGER) {
    if (stopping == STOP_AT_ONCE)
      destroy(session);
    return;
  }
  if (session->phase != PHASE_DIALOGUE || session_wake(session) != 0) {
    if (session->phase != PHASE_DIALOGUE || stopping == STOP_AT_ONCE)
      lose(session);
    return;
  }
  if (session->envelope != NULL && stopping != STOP_IN_ORDER && !session->told) {
    session->told = 1;
    ehlo_server_shutdown(session->server, 421, "4.3.2", ehlo_span_of(NULL));
  }
  drive(session);
}
