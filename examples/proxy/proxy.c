/* proxy: stands in front of a mail server: takes what clients say, says it to the server, gives them its answers. For
 * looking at messages before they are taken (a before-queue filter), for TLS, for watching.
 *
 * SPDX-License-Identifier: MIT
 *
 *     session.c   a client's connection, and how it goes on together with the one to the next hop: begin there
 *     behind.c    that one
 *     side.c      what both connections have
 *     front.c     what the client says: the host of the library's server
 *     next.c      what the next hop answers: the host of the library's client
 *     content.c   messages, on their way through
 *     filter.c    messages that wait until a program has seen them
 *     offer.c     what the client is offered
 *     listener.c  where clients come from
 *     options.c   the command line
 *     proxy.c     the beginning, signals, the end */
#define _GNU_SOURCE /* pipe2 */
#include "proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { GRACE = 30 /* seconds for open messages after SIGTERM */ };

struct settings settings;

/* A signal becomes an octet in a pipe, and so an event like others. */
static int signal_pipe[2];
static struct timer grace;
static int stops;

static void on_signal(int number)
{
  char octet = (char)number;
  int error = errno;
  (void)!write(signal_pipe[1], &octet, 1);
  errno = error;
}

static void on_grace(struct timer *timer)
{
  (void)timer;
  sessions_stop(1);
}

static void on_pipe(struct source *source, unsigned events)
{
  char octet;
  (void)events;
  if (read(source->fd, &octet, 1) != 1)
    return;
  if (stops++ == 0) {
    fprintf(stderr, "%s: stopping\n", program);
    listeners_close();
    timer_set(&grace, loop_now() + GRACE * 1000);
  }
  sessions_stop(stops > 1); /* who asks twice does not want to wait */
}

static void watch_signals(struct source *source)
{
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
    bad_system("pipe", strerror(errno));
  *source = (struct source){.fd = signal_pipe[0], .ready = on_pipe};
  if (loop_watch(source, LOOP_IN) != 0)
    bad_system("epoll", strerror(errno));
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
  sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
  signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error of write */
}

int main(int argc, char **argv)
{
  static char log[65536];
  struct source signals;
  program = "proxy";
  open_standard_descriptors();
  setvbuf(stderr, log, _IOFBF, sizeof log); /* written out once a round */
  if (loop_open(0) != 0)
    bad_system("epoll", strerror(errno));
  watch_signals(&signals);
  raise_descriptors(); /* two for each session */
  grace.fire = on_grace;
  read_options(argc, argv);
  while (stops == 0 || sessions_count() > 0) {
    fflush(stderr);
    loop_round();
  }
  timer_stop(&grace);
  loop_forget(&signals);
  tls_context_free(settings.front_context);
  tls_context_free(settings.next_context);
  loop_close();
  fprintf(stderr, "%s: stopped\n", program);
  return EX_OK;
}
