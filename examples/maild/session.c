/* session.c: the connection: octets in, octets out, the clock, sleep, the end.
 *
 * SPDX-License-Identifier: MIT
 *
 * Ten thousand connections mostly wait for their peers, and while they do each keeps only what it must: this struct,
 * and the few hundred octets that an idle session of the library has in use, which sleeps in a `bed` of just that size.
 * What comes is read into one buffer for all; for the time of the work a session lies in a block of full size, which
 * the next one uses after it. Only who is in the midst of something (an answer is awaited, the peer does not take its
 * replies, half a line is there) keeps a block for that long.
 *
 * Nothing is read from a peer while the library cannot take it, so a peer that is ahead of its replies waits in its own
 * system.
 */
#define _GNU_SOURCE
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  READ_SIZE = 65536,
  LAST_WORDS = 10, /* seconds that the peer gets to take the last reply */
  LINGER = 2,      /* seconds that a connection is drained before it is closed */
  SPARE_BLOCKS = 64,
  BUCKETS = 4096
};

static struct session *sessions; /* all of them */
static struct session *buckets[BUCKETS];
static size_t count, asleep;
static int stopping; /* STOP_; 0: no */

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void *spare[SPARE_BLOCKS];
static unsigned spare_count;
static size_t sizes[KINDS]; /* of a session */
static size_t block_size;

/* All blocks are fit for all sessions that there can be. */
static void *block_take(void)
{
  if (block_size == 0) {
    for (size_t i = 0; i < settings.place_count; i++) {
      uint8_t kind = settings.places[i].kind;
      sizes[kind] = ehlo_server_size(&settings.config[kind]);
      block_size = sizes[kind] > block_size ? sizes[kind] : block_size;
    }
  }
  return spare_count > 0 ? spare[--spare_count] : malloc(block_size);
}

static void block_give(void *block)
{
  if (spare_count < SPARE_BLOCKS)
    spare[spare_count++] = block;
  else
    free(block);
}

/* Moves the session to a block of full size. Returns 0, or -1 if there is no memory. */
static int wake(struct session *session)
{
  if (session->awake)
    return 0;
  void *block = block_take();
  if (block == NULL)
    return -1;
  ehlo_server_move(&session->server, block, block_size, session->server);
  session->awake = 1;
  asleep--;
  return 0;
}

/* Sends it to sleep if it has nothing to do. */
static void rest(struct session *session)
{
  size_t kept = ehlo_server_kept(session->server);
  if (kept == sizes[session->kind])
    return; /* something is under way */
  if (kept > session->bed_size) {
    void *bed = realloc(session->bed, kept);
    if (bed == NULL)
      return; /* it stays awake */
    session->bed = bed;
    session->bed_size = (uint32_t)kept;
  }
  void *block = session->server;
  ehlo_server_move(&session->server, session->bed, session->bed_size, session->server);
  session->awake = 0;
  asleep++;
  block_give(block);
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static void set_peer(struct session *session, const struct sockaddr_storage *peer)
{
  session->family = (uint8_t)peer->ss_family;
  if (peer->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const void *)peer;
    memcpy(session->address, &in->sin_addr, 4);
    session->port = ntohs(in->sin_port);
  } else if (peer->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const void *)peer;
    memcpy(session->address, &in6->sin6_addr, 16);
    session->port = ntohs(in6->sin6_port);
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (memcmp(session->address, mapped, sizeof mapped) == 0) { /* an IPv4 peer on a socket for both */
      session->family = AF_INET;
      memmove(session->address, session->address + 12, 4);
      memset(session->address + 4, 0, 12);
    }
  }
}

/* Who has one address of a /64 has all of them. */
static struct session **bucket_of(const struct session *session)
{
  size_t size = session->family == AF_INET ? 4 : 8;
  uint32_t hash = 2166136261U;
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ session->address[i]) * 16777619U;
  return &buckets[(hash ^ hash >> 16) % BUCKETS];
}

size_t sessions_from(const struct sockaddr_storage *peer)
{
  struct session like;
  memset(&like, 0, sizeof like);
  set_peer(&like, peer);
  size_t found = 0;
  for (const struct session *at = *bucket_of(&like); at != NULL; at = at->chain)
    found += at->family == like.family && memcmp(at->address, like.address, like.family == AF_INET ? 4 : 8) == 0;
  return found;
}

const char *session_client(const struct session *session)
{
  static char text[INET6_ADDRSTRLEN + 8];
  char address[INET6_ADDRSTRLEN];
  if (session->family != AF_INET && session->family != AF_INET6)
    return "local";
  inet_ntop(session->family, session->address, address, sizeof address);
  snprintf(text, sizeof text, session->family == AF_INET ? "[%s]" : "[IPv6:%s]", address);
  return text;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void destroy(struct session *session)
{
  loop_forget(&session->source);
  timer_stop(&session->timer);
  close(session->source.fd);
  *session->chain_from = session->chain;
  if (session->chain != NULL)
    session->chain->chain_from = session->chain_from;
  *(session->previous != NULL ? &session->previous->next : &sessions) = session->next;
  if (session->next != NULL)
    session->next->previous = session->previous;
  count--;
  policy_forget(session); /* if it ended for want of memory */
  free(session->bed);
  free(session->held);
  free(session);
}

/* The library is done with it. A socket that is closed with unread octets in it is reset, and the peer may then never
 * see the last reply; so unless it said goodbye, what it still says is thrown away for a moment. */
static void finish(struct session *session)
{
  if (session->awake)
    block_give(session->server);
  else
    asleep--;
  session->server = NULL;
  session->awake = 0;
  if (session->half || session->quit || stopping == STOP_AT_ONCE || shutdown(session->source.fd, SHUT_WR) != 0) {
    destroy(session);
    return;
  }
  loop_want(&session->source, LOOP_IN);
  timer_set(&session->timer, loop_now() + LINGER * 1000);
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
  ssize_t written = write(session->source.fd, octets, size);
  if (written >= 0)
    ehlo_server_sent(session->server, (size_t)written);
  else if (errno == EAGAIN)
    session->blocked = 1;
  else if (errno != EINTR)
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

/* Does what the session wants, until it wants something of the peer or of somebody who decides. The session may be gone
 * afterwards: whoever calls this has nothing more to do with it. */
static void drive(struct session *session)
{
  for (;;) {
    uint32_t want = ehlo_server_want(session->server);
    if (want & EHLO_WANT_FEED) {
      feed_held(session);
    } else if (stopping && session->envelope == NULL && (want & EHLO_WANT_CLOSE) == 0 && !session->told) {
      session->told = 1;
      ehlo_server_shutdown(session->server, 421, "4.3.2", ehlo_span_of(NULL));
    } else if ((want & EHLO_WANT_WRITE) != 0 && !session->blocked) {
      size_t size;
      const void *octets = ehlo_server_output(session->server, &size);
      write_some(session, octets, size);
    } else {
      if ((want & (EHLO_WANT_CLOSE | EHLO_WANT_WRITE)) == EHLO_WANT_CLOSE) {
        finish(session);
        return;
      }
      if ((want & EHLO_WANT_CLOSE) != 0 && stopping == STOP_AT_ONCE) {
        session->half = 1;
        finish(session);
        return;
      }
      int read_on = (want & EHLO_WANT_READ) != 0 && session->held == NULL && !session->half;
      loop_want(&session->source, (read_on ? LOOP_IN : 0U) | (session->blocked ? LOOP_OUT : 0U));
      keep_time(session, (want & EHLO_WANT_CLOSE) != 0);
      rest(session);
      return;
    }
  }
}

void session_go_on(struct session *session)
{
  if (wake(session) == 0)
    drive(session);
}

static void take_input(struct session *session)
{
  ssize_t size = read(session->source.fd, buffer, sizeof buffer);
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (session->server == NULL) {
    if (size <= 0)
      destroy(session);
    return;
  }
  if (wake(session) != 0) {
    session->half = 1; /* nothing can be said without memory */
    finish(session);
    return;
  }
  if (size > 0) {
    feed(session, buffer, (size_t)size);
  } else if (size == 0) {
    session->half = 1;
    ehlo_server_eof(session->server);
  } else {
    session->half = 1;
    ehlo_server_lost(session->server);
  }
  drive(session);
}

static void on_ready(struct source *source, unsigned events)
{
  struct session *session = (struct session *)(void *)source; /* its first member */
  if (events & LOOP_OUT)
    session->blocked = 0;
  if ((events & (LOOP_IN | LOOP_GONE)) != 0 && (source->wanted & LOOP_IN) != 0) {
    take_input(session);
  } else if ((events & LOOP_GONE) != 0) {
    session->half = 1;
    if (session->server == NULL || wake(session) != 0) {
      destroy(session);
      return;
    }
    ehlo_server_lost(session->server);
    drive(session);
  } else if (session->server != NULL && wake(session) == 0) {
    drive(session);
  }
}

static void on_time(struct timer *timer)
{
  struct session *session = (struct session *)(void *)((char *)timer - offsetof(struct session, timer));
  if (session->server == NULL) {
    destroy(session);
    return;
  }
  if (wake(session) != 0) {
    timer_set(timer, loop_now() + 1000);
    return;
  }
  if (session->closing) {
    session->half = 1; /* it had its time */
    ehlo_server_lost(session->server);
  } else {
    ehlo_server_timed_out(session->server);
  }
  drive(session);
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

void session_open(int fd, const struct sockaddr_storage *peer, uint8_t kind)
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
  session->kind = kind;
  session->awake = 1;
  set_peer(session, peer);
  int error = ehlo_server_init(&session->server, block, block_size, &settings.config[kind], policy_event, session);
  if (error != EHLO_OK || loop_watch(&session->source, LOOP_IN) != 0) {
    complain("connection", error != EHLO_OK ? ehlo_strerror(error) : strerror(errno));
    block_give(block);
    free(session);
    close(fd);
    return;
  }
  struct session **bucket = bucket_of(session);
  session->chain = *bucket;
  session->chain_from = bucket;
  if (session->chain != NULL)
    session->chain->chain_from = &session->chain;
  *bucket = session;
  session->next = sessions;
  if (sessions != NULL)
    sessions->previous = session;
  sessions = session;
  count++;
  ehlo_server_start(session->server);
  drive(session);
}

struct refusal {
  const char *enhanced;
  const char *text;
};

static int refuse_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  const struct refusal *refusal = user;
  if (event->type != EHLO_EVENT_CONNECT)
    return EHLO_HANDLED;
  return answer(server, event, 421, refusal->enhanced, refusal->text);
}

void session_refuse(int fd, uint8_t kind, const char *enhanced, const char *text)
{
  struct refusal refusal = {enhanced, text};
  void *block = block_take();
  ehlo_server *server;
  if (block != NULL &&
      ehlo_server_init(&server, block, block_size, &settings.config[kind], refuse_event, &refusal) == EHLO_OK) {
    size_t size;
    ehlo_server_start(server);
    const void *octets = ehlo_server_output(server, &size);
    (void)!write(fd, octets, size); /* a line fits the empty buffer of a new connection */
  }
  if (block != NULL)
    block_give(block);
  close(fd);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

size_t sessions_count(void)
{
  return count;
}

int sessions_stopping(void)
{
  return stopping;
}

void sessions_stop(int how)
{
  stopping = how;
  struct session *next;
  for (struct session *session = sessions; session != NULL; session = next) {
    next = session->next;
    if (session->server == NULL || wake(session) != 0) {
      if (how == STOP_AT_ONCE)
        destroy(session);
      continue;
    }
    if (session->envelope != NULL && how != STOP_IN_ORDER && !session->told) {
      session->told = 1;
      ehlo_server_shutdown(session->server, 421, "4.3.2", ehlo_span_of(NULL));
    }
    drive(session);
  }
}

void sessions_status(void)
{
  size_t engine = 0;
  size_t held = 0;
  for (const struct session *session = sessions; session != NULL; session = session->next) {
    engine += session->bed_size + (session->awake ? block_size : 0);
    held += session->held_size;
  }
  fprintf(stderr, "%s: status connections=%zu asleep=%zu engine=%zu held=%zu\n", program, count, asleep, engine, held);
}
