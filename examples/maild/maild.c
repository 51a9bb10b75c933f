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
#include "manager.h"
#include "metrics.h"
#include "passwords.h"
#include "relay.h"
#include "session.h"
#include "signals.h"
#include "takeover.h"
#include "user.h"
#include "workers.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { SPARE_DESCRIPTORS = 64 };

/* ---- the end ----------------------------------------------------------------------------------------------------- */

/* How far it is. */
static enum { SERVING, TAKEN_OVER, IN_ORDER, ALL } stage;
static struct timer grace;
static unsigned worker; /* its number; 0: this is the only process */

static void set_grace(void)
{
  timer_set(&grace, loop_now() + (int64_t)settings.grace * 1000);
}

static void stop(void)
{
  if (stage >= IN_ORDER) {
    sessions_stop(STOP_AT_ONCE); /* who asks twice does not want to wait */
    return;
  }
  fprintf(stderr, "%s: stopping\n", program);
  if (stage == SERVING) {
    if (worker == 0)
      manager_tell("STOPPING=1");
    listeners_close(worker == 0 ? LISTENERS_END : LISTENERS_LIVE_ON);
  }
  stage = IN_ORDER;
  set_grace();
  sessions_stop(STOP_IN_ORDER);
}

/* Another one accepts from the same sockets now. Sessions that are there go on. */
static void be_taken_over(void)
{
  if (stage != SERVING)
    return;
  fprintf(stderr, "%s: taken over; %zu sessions are left\n", program, sessions_count());
  listeners_close(LISTENERS_LIVE_ON);
  stage = TAKEN_OVER;
  set_grace();
}

static void on_grace(struct timer *timer)
{
  (void)timer;
  if (stage == TAKEN_OVER) {
    stop();
  } else {
    stage = ALL;
    sessions_stop(STOP_ALL);
  }
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

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

static void on_signal(int number)
{
  switch (number) {
  case SIGUSR1:
    sessions_status();
    metrics_write(settings.metrics, worker);
    break;
  case SIGHUP: reload(); break;
  case SIGUSR2:
    if (worker > 0)
      be_taken_over(); /* so the first process says */
    else if (stage == SERVING)
      takeover_begin(be_taken_over);
    break;
  default: stop(); break;
  }
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

/* Descriptors for all connections and for a file each. */
static void raise_limit(void)
{
  uint64_t most = raise_descriptors();
  if (most < settings.max_connections + SPARE_DESCRIPTORS)
    fprintf(stderr, "%s: no more than %llu descriptors: connections over that get 421\n", program,
            (unsigned long long)most);
}

/* What needs a loop, and helpers. */
static void open_all(void)
{
  if (loop_open(settings.by_poll) != 0)
    bad_system("epoll", strerror(errno));
  signals_watch(on_signal, 0);
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
  listeners_watch();
}

static void close_all(void)
{
  timer_stop(&grace);
  signals_forget();
  if (settings.check != NULL)
    checking_close();
  if (settings.passwords != NULL)
    passwords_close();
  if (settings.maildir != NULL)
    delivery_close();
  if (settings.relay_to != NULL)
    relay_close();
  aliases_close();
  certificates_close();
  loop_close();
  settings_forget();
}

int main(int argc, char **argv)
{
  static char log[65536];
  program = "maild";
  open_standard_descriptors();
  setvbuf(stderr, log, _IOFBF, sizeof log); /* written out once a round */
  takeover_remember(argv);
  settings_read(argc, argv);
  if (settings.hash_password != NULL)
    return passwords_hash(settings.hash_password);
  raise_limit();
  for (size_t i = 0; i < settings.place_count; i++)
    listener_open(&settings.places[i]);
  certificates_open();
  if (settings.user != NULL)
    user_become(settings.user);
  if (settings.processes > 1)
    worker = workers_start((unsigned)settings.processes);
  open_all();
  if (worker > 0)
    workers_tell_ready();
  else
    manager_tell_ready(takeover_done());
  while (stage == SERVING || sessions_count() > 0) {
    fflush(stderr);
    loop_round();
  }
  close_all();
  if (worker == 0)
    fprintf(stderr, "%s: stopped\n", program);
  return EX_OK;
}
