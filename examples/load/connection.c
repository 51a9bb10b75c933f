/* connection.c: one connection: octets in, octets out, TLS, the clock; and the next one in its place.
 *
 * SPDX-License-Identifier: MIT
 */
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
  CONNECT_TIMEOUT = 30, /* seconds, for each address of the server, and for the handshake */
  QUIT_TIMEOUT = 10,    /* that the answer to QUIT may take: nothing hangs on it */
  PAUSE = 100           /* milliseconds after a connection that came to nothing */
};

static uint32_t active;

uint32_t connections_active(void)
{
  return active;
}

static void open_next(struct connection *connection);
static void drive(struct connection *connection);

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void unexpected(struct connection *connection, const char *what, const char *why)
{
  if (!connection->failed)
    figures_unexpected(what, 0, NULL, why);
  connection->failed = 1;
}

static void over(struct connection *connection)
{
  if (connection->number != 0)
    figures_give_back(connection->number);
  connection->number = 0;
  connection->phase = PHASE_OVER;
  active--;
}

static void pause_or_end(struct connection *connection)
{
  if (connection->number == 0)
    connection->number = figures_take(); /* so that no connection is made in vain */
  if (connection->fruitless == MOST_FRUITLESS || connection->number == 0 || figures_is_over()) {
    over(connection);
  } else if (connection->fruitless > 0) {
    connection->phase = PHASE_PAUSED;
    timer_set(&connection->timer, loop_now() + PAUSE);
  } else {
    open_next(connection);
  }
}

static void close_socket(struct connection *connection)
{
  loop_forget(&connection->source);
  timer_stop(&connection->timer);
  if (connection->phase == PHASE_TALKING && !connection->blocked)
    stream_shutdown(&connection->stream);
  stream_close(&connection->stream);
}

static void finish(struct connection *connection)
{
  close_socket(connection);
  if (connection->mails == 0)
    connection->fruitless++;
  pause_or_end(connection);
}

/* ---- octets ------------------------------------------------------------------------------------------------------ */

static void broken(struct connection *connection, const char *why)
{
  unexpected(connection, "connection", why);
  ehlo_client_eof(connection->client);
}

/* Returns 0 if there was nothing to read. */
static int receive(struct connection *connection)
{
  static char buffer[65536];
  size_t used;
  ssize_t count = stream_read(&connection->stream, buffer, sizeof buffer);
  if (count == STREAM_WAIT)
    return 0;
  if (count > 0)
    ehlo_client_feed(connection->client, buffer, (size_t)count, &used);
  else
    broken(connection, count == 0 ? "closed by the server" : tls_error());
  return 1;
}

/* Returns how many of these went out. */
static size_t transmit(struct connection *connection, const char *octets, size_t size)
{
  ssize_t count = stream_write(&connection->stream, octets, size);
  if (count >= 0)
    return (size_t)count;
  if (count == STREAM_WAIT) {
    connection->blocked = 1;
  } else {
    const char *why = tls_error();
    if (connection->stream.broken || !receive(connection)) /* what the server said before it went tells more */
      broken(connection, why);
  }
  return 0;
}

static void send_spans(struct connection *connection)
{
  ehlo_span *span = &connection->spans[connection->span];
  size_t sent = transmit(connection, span->ptr, span->len);
  span->ptr += sent;
  span->len -= sent;
  if (span->len == 0)
    connection->span++;
}

static void send_output(struct connection *connection)
{
  size_t size;
  const char *output = ehlo_client_output(connection->client, &size);
  ehlo_client_sent(connection->client, transmit(connection, output, size));
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static void wait_for(struct connection *connection, short wants)
{
  short events = stream_events(&connection->stream, wants);
  loop_want(&connection->source, (events & POLLIN ? LOOP_IN : 0U) | (events & POLLOUT ? LOOP_OUT : 0U));
}

static void keep_time(struct connection *connection)
{
  uint64_t epoch;
  uint32_t seconds = ehlo_client_timeout(connection->client, &epoch);
  if (epoch == connection->epoch)
    return;
  connection->epoch = epoch;
  if (seconds > settings.timeout)
    seconds = settings.timeout;
  if (connection->quit && seconds > QUIT_TIMEOUT)
    seconds = QUIT_TIMEOUT;
  if (seconds == 0)
    timer_stop(&connection->timer);
  else
    timer_set(&connection->timer, loop_now() + (int64_t)seconds * 1000);
}

/* ---- the connection ---------------------------------------------------------------------------------------------- */

/* Returns 0 while it is not done, and where the connection ended with it. */
static int shake_hands(struct connection *connection)
{
  int result = stream_handshake(&connection->stream);
  if (result == STREAM_WAIT) {
    wait_for(connection, POLLIN);
    return 0;
  }
  if (result == STREAM_FAILED) {
    unexpected(connection, "TLS", tls_error());
    ehlo_client_eof(connection->client);
    finish(connection);
    return 0;
  }
  connection->phase = PHASE_TALKING;
  ehlo_client_tls_done(connection->client);
  connection->epoch = 0; /* none of the library's, so that its clock starts */
  connection->next = NEXT_HELLO;
  return 1;
}

static int start_tls(struct connection *connection)
{
  connection->phase = PHASE_HANDSHAKE;
  timer_set(&connection->timer, loop_now() + CONNECT_TIMEOUT * 1000);
  if (stream_start_client(&connection->stream, settings.tls, settings.server.name) != 0) {
    unexpected(connection, "TLS", tls_error());
    ehlo_client_eof(connection->client);
    finish(connection);
    return 0;
  }
  return shake_hands(connection);
}

/* Does what is to be done until the server has to say or to take something. */
static void drive(struct connection *connection)
{
  for (;;) {
    uint32_t want = ehlo_client_want(connection->client);
    if ((want & EHLO_WANT_CLOSE) || (connection->next == NEXT_NONE && !connection->open)) {
      finish(connection);
      return;
    }
    if (!connection->blocked && connection->span < connection->span_count) {
      send_spans(connection);
    } else if (!connection->blocked && (want & EHLO_WANT_WRITE)) {
      send_output(connection);
    } else if (want & EHLO_WANT_TLS) {
      if (!start_tls(connection))
        return;
    } else if (want & EHLO_WANT_FEED) {
      size_t used;
      ehlo_client_feed(connection->client, NULL, 0, &used);
    } else if (connection->blocked ||
               (want & EHLO_WANT_CONTENT ? !dialogue_content(connection) : !dialogue_advance(connection))) {
      if (stream_pending(&connection->stream) && receive(connection))
        continue;
      wait_for(connection, connection->blocked ? POLLIN | POLLOUT : POLLIN);
      keep_time(connection);
      return;
    }
  }
}

static void fail_to_connect(struct connection *connection, int error)
{
  connection->address = (connection->address + 1) % settings.server.count;
  if (connection->address == 0) {
    figures_unexpected("connect", 0, NULL, strerror(error));
    connection->fruitless++;
    pause_or_end(connection);
  } else {
    open_next(connection);
  }
}

static void connected(struct connection *connection)
{
  int error = address_connected(connection->stream.fd);
  if (error != 0) {
    close_socket(connection);
    fail_to_connect(connection, error);
    return;
  }
  size_t size = ehlo_client_size(&settings.config);
  figures_connected();
  /* The settings have been tried by then: nothing but memory could be missing, and it is there. */
  ehlo_client_init(&connection->client, connection->block, size, &settings.config, dialogue_event, connection);
  connection->phase = PHASE_TALKING;
  connection->epoch = 0;
  connection->next = NEXT_HELLO;
  connection->failed = connection->quit = connection->needs_reset = connection->open = 0;
  connection->blocked = 0;
  connection->mails = 0;
  connection->span = connection->span_count = 0;
  if (settings.security != SECURITY_TLS || start_tls(connection))
    drive(connection);
}

static void on_ready(struct source *source, unsigned events)
{
  struct connection *connection = (struct connection *)(void *)source; /* its first member */
  if (connection->phase == PHASE_CONNECTING) {
    connected(connection);
    return;
  }
  if (connection->phase == PHASE_HANDSHAKE) {
    if (shake_hands(connection))
      drive(connection);
    return;
  }
  short can =
      stream_ready(&connection->stream, (short)((events & LOOP_IN ? POLLIN : 0) | (events & LOOP_OUT ? POLLOUT : 0) |
                                                (events & LOOP_GONE ? POLLHUP : 0)));
  if (can & POLLOUT)
    connection->blocked = 0;
  if (can & POLLIN)
    receive(connection);
  drive(connection);
}

static void on_time(struct timer *timer)
{
  struct connection *connection = (struct connection *)(void *)((char *)timer - offsetof(struct connection, timer));
  switch (connection->phase) {
  case PHASE_PAUSED: open_next(connection); break;
  case PHASE_CONNECTING:
    close_socket(connection);
    fail_to_connect(connection, ETIMEDOUT);
    break;
  case PHASE_HANDSHAKE:
    unexpected(connection, "TLS", "timed out");
    ehlo_client_eof(connection->client);
    finish(connection);
    break;
  default:
    unexpected(connection, "connection", connection->quit ? "QUIT was not answered" : "timed out");
    ehlo_client_timed_out(connection->client);
    drive(connection);
    break;
  }
}

static void open_next(struct connection *connection)
{
  int fd = address_connect(&settings.server.list[connection->address]);
  if (fd < 0) {
    fail_to_connect(connection, errno);
    return;
  }
  stream_open(&connection->stream, fd);
  connection->phase = PHASE_CONNECTING;
  connection->source = (struct source){.fd = fd, .ready = on_ready};
  if (loop_watch(&connection->source, LOOP_OUT) != 0)
    bad_system("epoll", strerror(errno));
  timer_set(&connection->timer, loop_now() + CONNECT_TIMEOUT * 1000);
}

void connection_begin(struct connection *connection)
{
  connection->timer.fire = on_time;
  connection->block = must_allocate(1, ehlo_client_size(&settings.config));
  active++;
  pause_or_end(connection);
}

void connection_end(struct connection *connection)
{
  if (connection->open)
    figures_message(FATE_FAILED, 0);
  if (connection->phase == PHASE_PAUSED)
    timer_stop(&connection->timer);
  else if (connection->phase != PHASE_OVER)
    close_socket(connection);
  free(connection->block);
}
