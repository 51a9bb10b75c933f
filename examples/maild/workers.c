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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { RESTART = 500 /* milliseconds before one that died is started again */, MOST = 256 };

static pid_t workers[MOST];
static unsigned count;
static int ending;
static int exit_status = EX_OK;
static struct timer restart;
static unsigned started; /* set in a worker: its number */

static void start(unsigned at)
{
  pid_t parent = getpid();
  fflush(stderr);
  workers[at] = fork();
  if (workers[at] < 0) {
    complain("fork", strerror(errno));
    workers[at] = 0;
    timer_set(&restart, loop_now() + RESTART);
  } else if (workers[at] == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
      _exit(EX_OSERR);
    started = at + 1;
  }
}

static void on_restart(struct timer *timer)
{
  (void)timer;
  for (unsigned i = 0; i < count && !ending && started == 0; i++) {
    if (workers[i] == 0)
      start(i);
  }
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

static void bury(void)
{
  int status;
  for (pid_t process; (process = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (unsigned i = 0; i < count; i++) {
      if (workers[i] != process)
        continue;
      workers[i] = 0;
      if (ending)
        continue;
      if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        end_because(WEXITSTATUS(status)); /* it has said why: a file that is wrong stays so */
        continue;
      }
      fprintf(stderr, "%s: process %ld has ended; another one is started\n", program, (long)process);
      timer_set(&restart, loop_now() + RESTART);
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
  case SIGUSR2: takeover_begin(on_taken_over); break;
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
  timer_set(&restart, loop_now());
  int told = 0;
  while (started == 0 && (!ending || alive())) {
    fflush(stderr);
    loop_round();
    if (!told && started == 0) {
      told = 1;
      manager_tell_ready(takeover_done());
    }
  }
  signals_forget();
  timer_stop(&restart);
  loop_close();
  if (started != 0)
    return started;
  listeners_close(LISTENERS_END);
  fprintf(stderr, "%s: stopped\n", program);
  exit(exit_status);
}
