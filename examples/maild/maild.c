/* maild: a mail server on one thread: SMTP and LMTP in, Maildirs out.
 *
 * SPDX-License-Identifier: MIT
 *
 *     loop.c      the event loop: what is ready, whose time is up
 *     listener.c  where connections come from, and how many are let in
 *     session.c   one connection and its session of the library
 *     policy.c    what the library's events mean here
 *     checking.c  recipients that somebody else is asked about; the answer comes later
 *     delivery.c  messages into Maildirs, durably
 *     helper.c    processes that are asked things: the checker, and the writers that wait for the disk
 *     settings.c  the command line
 *     maild.c     signals, the beginning, the end */
#define _GNU_SOURCE

#include "aliases.h"
#include "certificates.h"
#include "checking.h"
#include "delivery.h"
#include "listener.h"
#include "passwords.h"
#include "relay.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum { SPARE_DESCRIPTORS = 64 };

/* ---- signals ----------------------------------------------------------------------------------------------------- */

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
  sessions_stop(STOP_ALL);
}

static void stop(void)
{
  if (stops++ > 0) {
    sessions_stop(STOP_AT_ONCE); /* who asks twice does not want to wait */
    return;
  }
  fprintf(stderr, "%s: stopping\n", program);
  listeners_close();
  timer_set(&grace, loop_now() + (int64_t)settings.grace * 1000);
  sessions_stop(STOP_IN_ORDER);
}

static void reload(void)
{
  fprintf(stderr, "%s: reading files again\n", program);
  certificates_reload();
  if (settings.passwords != NULL)
    passwords_reload();
  if (settings.aliases != NULL)
    aliases_reload();
  if (settings.relay_to != NULL)
    relay_reload();
}

static void on_pipe(struct source *source, unsigned events)
{
  char octets[16];
  (void)events;
  ssize_t count = read(source->fd, octets, sizeof octets);
  for (ssize_t i = 0; i < count; i++) {
    if (octets[i] == SIGUSR1)
      sessions_status();
    else if (octets[i] == SIGHUP)
      reload();
    else
      stop();
  }
}

static void watch_signals(struct source *source)
{
  static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
    bad_system("pipe", strerror(errno));
  *source = (struct source){.fd = signal_pipe[0], .ready = on_pipe};
  loop_watch(source, LOOP_IN);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    sigaction(numbers[i], &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
  signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error of write */
  signal(SIGXFSZ, SIG_IGN); /* so is a limit on the size of files */
  signal(SIGCHLD, SIG_IGN); /* helpers are noticed by their sockets; nothing is left of them */
}

/* Descriptors for all connections and for a file each, as far as the system lets us have them. */
static void raise_limit(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < settings.max_connections + SPARE_DESCRIPTORS)
    fprintf(stderr, "%s: no more than %llu descriptors: connections over that get 421\n", program,
            (unsigned long long)limit.rlim_cur);
}

int main(int argc, char **argv)
{
  static char log[65536];
  struct source signals;
  program = "maild";
  setvbuf(stderr, log, _IOFBF, sizeof log); /* written out once a round */
  settings_read(argc, argv);
  if (settings.hash_password != NULL)
    return passwords_hash(settings.hash_password);
  raise_limit();
  if (loop_open(settings.by_poll) != 0)
    bad_system("epoll", strerror(errno));
  watch_signals(&signals);
  certificates_open();
  if (settings.passwords != NULL)
    passwords_open(settings.passwords);
  if (settings.maildir != NULL)
    delivery_open(settings.maildir, (unsigned)settings.writers, settings.config[0].hostname);
  if (settings.aliases != NULL)
    aliases_open(settings.aliases); /* which looks for Maildirs */
  if (settings.relay_to != NULL)
    relay_open(settings.relay_to);
  if (settings.check != NULL)
    checking_open(settings.check, (unsigned)settings.check_timeout);
  grace.fire = on_grace;
  for (size_t i = 0; i < settings.place_count; i++)
    listener_open(&settings.places[i]);

  while (stops == 0 || sessions_count() > 0) {
    fflush(stderr);
    loop_round();
  }

  timer_stop(&grace);
  loop_forget(&signals);
  if (settings.check != NULL)
    checking_close();
  if (settings.passwords != NULL)
    passwords_close();
  if (settings.maildir != NULL)
    delivery_close();
  certificates_close();
  if (settings.relay_to != NULL)
    relay_close();
  aliases_close();
  loop_close();
  settings_forget();
  fprintf(stderr, "%s: stopped\n", program);
  return EX_OK;
}
