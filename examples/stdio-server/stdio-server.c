/* stdio-server: a small SMTP or LMTP server on standard input and output, as inetd would run it.
 *
 * SPDX-License-Identifier: MIT
 *
 * A host of libehlo to copy from. The library knows the protocol; what is left is what every host decides for itself:
 *
 *     stdio-server.c   the loop: write what is owed, feed what was read, keep the clock
 *     policy.c         whom to take mail for, who may log in, and what to do with the content
 *     spool.c          what a 250 promises: the message is on the disk before it is said
 *     trace.c          the dialogue and the events, readable, on standard error
 *     options.c        the command line
 *
 * Each accepted message becomes two files in the spool: NAME.eml, its octets exactly as they were sent (without the
 * dots that the protocol adds), and NAME.env, a line "FROM:address" and then a line "TO:address" for each recipient.
 * Behind each of these there is a line "PARAMETERS:RET=HDRS ENVID=x" if the command had parameters that the message
 * does not show by itself: all but SIZE, BODY=7BIT, BODY=8BITMIME and SMTPUTF8, as they were spelt, a space between.
 * Names sort in the order of acceptance. Whoever works the spool off looks for .env files: their .eml is there
 * already.
 *
 * Nothing is deferred here: each verdict is given in the handler that is asked for it. What a handler leaves open gets
 * the library's safe answer, which for recipients and messages is 451. */
#define _GNU_SOURCE /* ppoll */
#include "stdio-server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
  READ_SIZE = 65536,
  LAST_WORDS = 10, /* seconds that the peer gets to read the last reply */
  LINGER = 2       /* seconds that a socket is drained before it is closed */
};

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int number)
{
  (void)number;
  stop_asked = 1;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static int64_t milliseconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the descriptor is ready, and returns 1. When the peer's time is up first, or this process is asked to
 * stop, it tells the session so and returns 0: what is to be done then is what the session wants then.
 *
 * The descriptors stay blocking, because others may share them; so each read and write is waited for. What is written
 * at a time (output_size, 1,024 octets) is too little to block when there is room at all. */
static int wait_for(struct host *host, ehlo_server *server, int fd, short what)
{
  uint64_t epoch;
  uint32_t seconds = ehlo_server_timeout(server, &epoch);
  int closing = (ehlo_server_want(server) & EHLO_WANT_CLOSE) != 0;
  if (closing)
    seconds = LAST_WORDS;
  if (host->deadline == 0 || epoch != host->epoch || closing != host->closing)
    host->deadline = milliseconds() + (int64_t)seconds * 1000;
  host->epoch = epoch;
  host->closing = closing;

  int64_t left = host->deadline - milliseconds();
  if (left < 0)
    left = 0;
  struct timespec timeout = {(time_t)(left / 1000), (long)(left % 1000) * 1000000};
  struct pollfd ready = {.fd = fd, .events = what};
  sigset_t none; /* the signals that ask to stop are let in only here, where nothing is half done */
  sigemptyset(&none);
  int count = stop_asked ? -1 : ppoll(&ready, 1, seconds == 0 ? NULL : &timeout, &none);
  if (count > 0)
    return 1;
  if (count < 0 && !stop_asked)
    return 0; /* another signal */
  if (closing)
    ehlo_server_lost(server);
  else if (count == 0)
    ehlo_server_timed_out(server);
  else
    ehlo_server_shutdown(server, 421, "4.3.2", ehlo_span_of(NULL));
  stop_asked = 0;
  return 0;
}

static void write_some(struct host *host, ehlo_server *server)
{
  size_t size;
  const void *octets = ehlo_server_output(server, &size);
  if (!wait_for(host, server, STDOUT_FILENO, POLLOUT))
    return;
  ssize_t count = write(STDOUT_FILENO, octets, size);
  if (count < 0 && errno != EINTR && errno != EAGAIN)
    ehlo_server_lost(server);
  if (count <= 0)
    return;
  if (host->trace)
    trace_replies(host, octets, (size_t)count);
  ehlo_server_sent(server, (size_t)count);
}

/* A socket that is closed with unread octets in it is reset, and the peer may then never see the last reply. So the
 * peer is told that nothing more will come, and what it still says is thrown away for a moment. */
static void linger(void)
{
  char scrap[1024];
  struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
  int64_t deadline = milliseconds() + LINGER * 1000;
  if (shutdown(STDOUT_FILENO, SHUT_WR) != 0)
    return; /* no socket: a pipe or a terminal loses nothing */
  for (;;) {
    int64_t left = deadline - milliseconds();
    if (left <= 0 || poll(&ready, 1, (int)left) <= 0 || read(STDIN_FILENO, scrap, sizeof scrap) <= 0)
      return;
  }
}

static void serve(struct host *host, ehlo_server *server)
{
  static char buffer[READ_SIZE];
  size_t from = 0; /* what was read and not yet consumed is buffer[from] to buffer[held - 1] */
  size_t held = 0;
  ehlo_server_start(server);
  for (;;) {
    uint32_t want = ehlo_server_want(server);
    size_t consumed = 0;
    if (want & EHLO_WANT_WRITE) {
      write_some(host, server);
    } else if (want & EHLO_WANT_CLOSE) {
      break;
    } else if (want & EHLO_WANT_TLS) {
      ehlo_server_tls_done(server, NULL); /* --starttls-in-clear: a host that has TLS does the handshake here */
    } else if (want & EHLO_WANT_FEED) {
      ehlo_server_feed(server, buffer + from, held - from, &consumed);
      from += consumed;
    } else if (wait_for(host, server, STDIN_FILENO, POLLIN)) {
      ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
      if (count < 0 && (errno == EINTR || errno == EAGAIN))
        continue;
      from = 0;
      held = count < 0 ? 0 : (size_t)count;
      if (count < 0)
        ehlo_server_lost(server);
      else if (count == 0)
        ehlo_server_eof(server);
      else
        ehlo_server_feed(server, buffer, held, &from);
    }
  }
  linger();
}

/* ---- the whole of it ----------------------------------------------------------------------------------------------
 */

int main(int argc, char **argv)
{
  program = "stdio-server";
  static struct host host = {.spool = -1};
  ehlo_server_config config;
  ehlo_server *server;

  ehlo_server_config_init(&config, sizeof config);
  options_read(argc, argv, &host, &config);

  size_t size = ehlo_server_size(&config);
  void *memory = malloc(size);
  if (memory == NULL) {
    complain("memory", strerror(errno));
    return EX_OSERR;
  }
  int error = ehlo_server_init(&server, memory, size, &config, on_event, &host);
  if (error != EHLO_OK) {
    complain("init", ehlo_strerror(error));
    return EX_SOFTWARE;
  }

  /* A peer that goes away is an error of write, not the end of this process in the middle of a message. */
  signal(SIGPIPE, SIG_IGN);
  struct sigaction stop = {.sa_handler = ask_to_stop};
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  sigprocmask(SIG_BLOCK, &stops, NULL);
  sigaction(SIGTERM, &stop, NULL);
  sigaction(SIGINT, &stop, NULL);
  setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* --trace writes many small pieces */

  serve(&host, server);

  spool_discard(&host);
  free(memory);
  free(host.users);
  free(host.domain_used);
  recipients_close(&host.recipients);
  if (host.spool >= 0)
    close(host.spool);
  return EX_OK;
}
