/* workers.c: see workers.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "workers.h"

#include "../loop.h"
#include "certificates.h"
#include "listener.h"
#include "manager.h"
#include "signals.h"
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
  RESTART = 500,   /* milliseconds before one that died is started again, */
  MENDING = 10000, /* and one that could not begin: somebody has to mend a file first */
  MOST = 256
};

static pid_t workers[MOST];
static unsigned count;
static int ending;
static int exit_status = EX_OK;
static struct timer restart;
static int due;      /* it has fired */
static int ready[2]; /* an octet for each that serves */
static struct source serving;
static unsigned serving_count;
static int all_served;
static unsigned started; /* set in a worker: its number */

static void start(unsigned at)
{
  pid_t parent = getpid();
  fflush(stderr);
  signals_hold();
  workers[at] = fork();
  if (workers[at] == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
      _exit(EX_OSERR);
    started = at + 1;
    return; /* signals wait until it watches for them */
  }
  signals_release();
  if (workers[at] < 0) {
    complain("fork", strerror(errno));
    workers[at] = 0;
    timer_set(&restart, loop_now() + RESTART);
  }
}

/* Between rounds of the loop: in the midst of one a new process would go on with what is the first one's to do. */
static void start_missing(void)
{
  due = 0;
  for (unsigned i = 0; i < count && !ending && started == 0; i++) {
    if (workers[i] == 0)
      start(i);
  }
}

static void on_restart(struct timer *timer)
{
  (void)timer;
  due = 1;
}

void workers_tell_ready(void)
{
  (void)!write(ready[1], "", 1);
  close(ready[1]);
}

static void on_serving(struct source *source, unsigned events)
{
  char octets[MOST];
  ssize_t size = read(source->fd, octets, sizeof octets);
  (void)events;
  serving_count += size > 0 ? (unsigned)size : 0;
  if (serving_count < count || all_served || ending)
    return;
  all_served = 1;
  manager_tell_ready(takeover_done());
}

static void tell_all(int number)
{
  for (unsigned i = 0; i < count; i++) {
    if (workers[i] != 0)
      kill(workers[i], number);
  }
}

static void end_because(int status)
{
  ending = 1;
  exit_status = status;
  tell_all(SIGTERM);
}

/* A worker that ended by itself, not in order, has said why: a file that is wrong stays so. */
static void bury_one(pid_t process, int failed)
{
  if (failed != 0 && !all_served) {
    end_because(failed);
    return;
  }
  fprintf(stderr, "%s: process %ld has ended; another one is started\n", program, (long)process);
  timer_set(&restart, loop_now() + (failed != 0 ? MENDING : RESTART));
}

static void bury(void)
{
  int status;
  for (pid_t process; (process = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (unsigned i = 0; i < count; i++) {
      if (workers[i] != process)
        continue;
      workers[i] = 0;
      if (!ending)
        bury_one(process, WIFEXITED(status) ? WEXITSTATUS(status) : 0);
    }
  }
}

static void on_taken_over(void)
{
  ending = 1;
  listeners_close(LISTENERS_LIVE_ON);
  tell_all(SIGUSR2);
}

static void on_signal(int number)
{
  switch (number) {
  case SIGCHLD: bury(); break;
  case SIGHUP:
    certificates_reload(); /* for those that are still to come */
    tell_all(number);
    break;
  case SIGUSR1: tell_all(number); break;
  case SIGUSR2:
    if (!ending)
      takeover_begin(on_taken_over);
    break;
  default:
    if (!ending)
      manager_tell("STOPPING=1");
    ending = 1;
    tell_all(number);
    break;
  }
}

static int alive(void)
{
  for (unsigned i = 0; i < count; i++) {
    if (workers[i] != 0)
      return 1;
  }
  return 0;
}

unsigned workers_start(unsigned number)
{
  count = number < MOST ? number : MOST;
  restart.fire = on_restart;
  if (loop_open(1) != 0)
    bad_system("poll", strerror(errno));
  signals_watch(on_signal, 1);
  if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) != 0)
    bad_system("pipe", strerror(errno));
  serving = (struct source){.fd = ready[0], .ready = on_serving};
  loop_watch(&serving, LOOP_IN);
  start_missing();
  while (started == 0 && (!ending || alive())) {
    fflush(stderr);
    loop_round();
    if (due)
      start_missing();
  }
  signals_forget();
  loop_forget(&serving);
  close(ready[0]);
  timer_stop(&restart);
  loop_close();
  if (started != 0)
    return started;
  listeners_close(LISTENERS_END);
  fprintf(stderr, "%s: stopped\n", program);
  exit(exit_status);
}
