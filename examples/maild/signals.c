/* signals.c: see signals.h. A signal becomes an octet in a pipe.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "signals.h"

#include "../common.h"
#include "../loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int ends[2];
static struct source source;
static void (*handler)(int number);

static void on_signal(int number)
{
  char octet = (char)number;
  int error = errno;
  (void)!write(ends[1], &octet, 1);
  errno = error;
}

static void on_pipe(struct source *from, unsigned events)
{
  char octets[16];
  (void)events;
  ssize_t count = read(from->fd, octets, sizeof octets);
  for (ssize_t i = 0; i < count; i++)
    handler(octets[i]);
}

void signals_hold(void)
{
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
}

void signals_release(void)
{
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

void signals_watch(void (*what)(int number), int children)
{
  static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  handler = what;
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    bad_system("pipe", strerror(errno));
  source = (struct source){.fd = ends[0], .ready = on_pipe};
  loop_watch(&source, LOOP_IN);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    sigaction(numbers[i], &action, NULL);
  signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error of write */
  signal(SIGXFSZ, SIG_IGN); /* so is a limit on the size of files */
  if (children)
    sigaction(SIGCHLD, &action, NULL);
  else
    signal(SIGCHLD, SIG_IGN); /* helpers are noticed by their sockets; nothing is left of them */
  signals_release();
}

void signals_forget(void)
{
  loop_forget(&source);
  close(ends[0]);
  close(ends[1]);
}
