/* load: gives one SMTP or LMTP server as many messages as it takes, over many connections on one thread, and tells how
 * fast it took them.
 *
 * SPDX-License-Identifier: MIT
 *
 *     connection.c  one connection: octets in, octets out, the clock
 *     dialogue.c    what is said on it: begin there
 *     message.c     content, made as it is sent
 *     figures.c     what is counted, and how it is told
 *     options.c     the command line
 *     load.c        the beginning, the rounds, the end */
#define _GNU_SOURCE /* sigaction */
#include "load.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
  PROGRESS_EVERY = 500, /* milliseconds */
  SPARE_DESCRIPTORS = 16
};

struct settings settings;

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
  (void)number;
  interrupts++;
}

/* Without a terminal, too: a signal that comes just before the loop waits is seen at the next round. */
static void on_progress(struct timer *timer)
{
  if (settings.progress)
    figures_progress();
  timer_set(timer, loop_now() + PROGRESS_EVERY);
}

int main(int argc, char **argv)
{
  program = "load";
  open_standard_descriptors();
  read_options(argc, argv);
  if (raise_descriptors() < settings.connections + SPARE_DESCRIPTORS)
    bad_usage("--connections", "more than the system lets this process have: see ulimit -n");
  message_prepare();
  if (loop_open(0) != 0)
    bad_system("epoll", strerror(errno));
  sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_interrupt}, NULL);

  struct connection *connections = must_allocate(settings.connections, sizeof *connections);
  struct timer progress = {.fire = on_progress};
  timer_set(&progress, loop_now() + PROGRESS_EVERY);
  figures_begin();
  for (uint32_t i = 0; i < settings.connections; i++)
    connection_begin(&connections[i]);
  /* Who interrupts it wants the figures; who does so twice does not want to wait for the messages that are open. */
  while (connections_active() > 0 && interrupts < 2) {
    loop_round();
    if (interrupts > 0)
      figures_stop();
  }

  for (uint32_t i = 0; i < settings.connections; i++)
    connection_end(&connections[i]);
  int status = figures_report();
  free(connections);
  for (uint32_t i = 0; i < settings.recipients; i++)
    free((void *)(uintptr_t)settings.to[i]);
  free(settings.to);
  tls_context_free(settings.tls);
  timer_stop(&progress);
  loop_close();
  return status;
}
