/* takeover.c: see takeover.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "takeover.h"

#include "../loop.h"
#include "listener.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 64, ASIDE = FIRST + MOST + 1 /* descriptors from here on are in nobody's way */ };

static const char variable[] = "MAILD_TAKEOVER";
static char **words;
static struct source waiting;
static int under_way;
static void (*when_done)(void);

void takeover_remember(char **argv)
{
  const char *text = getenv(variable);
  words = argv;
  if (text != NULL)
    fcntl(atoi(text), F_SETFD, FD_CLOEXEC); /* no helper's business */
}

/* In the new process: the sockets from descriptor 3 on, behind them the pipe, nothing else. */
static _Noreturn void become(int ready)
{
  int sockets[MOST];
  char names[MOST * 16], text[32];
  int moved = 1;
  int count = listeners_hand_over(sockets, MOST, names, sizeof names);
  for (int i = 0; i < count; i++)
    sockets[i] = fcntl(sockets[i], F_DUPFD, ASIDE);
  ready = fcntl(ready, F_DUPFD, ASIDE);
  for (int i = 0; i < count; i++)
    moved &= dup2(sockets[i], FIRST + i) >= 0;
  moved &= dup2(ready, FIRST + count) >= 0;
  if (!moved) {
    complain("takeover", strerror(errno));
    fflush(stderr);
    _exit(EX_OSERR);
  }
  close_range((unsigned)(FIRST + count + 1), ~0U, 0);
  snprintf(text, sizeof text, "%d", count);
  setenv("LISTEN_FDS", text, 1);
  setenv("LISTEN_FDNAMES", names, 1);
  snprintf(text, sizeof text, "%ld", (long)getpid());
  setenv("LISTEN_PID", text, 1);
  snprintf(text, sizeof text, "%d", FIRST + count);
  setenv(variable, text, 1);
  for (int number = 1; number < NSIG; number++)
    signal(number, SIG_DFL);
  signals_release();
  execvp(words[0], words);
  complain(words[0], strerror(errno));
  fflush(stderr);
  _exit(127);
}

static void on_ready(struct source *source, unsigned events)
{
  char octet;
  (void)events;
  ssize_t count = read(source->fd, &octet, 1);
  if (count < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  loop_forget(source);
  close(source->fd);
  under_way = 0;
  if (count == 1)
    when_done();
  else
    complain("takeover", "the new process did not come to serve; this one goes on");
}

void takeover_begin(void (*done)(void))
{
  int ends[2];
  if (under_way || pipe2(ends, O_CLOEXEC) != 0) {
    complain("takeover", under_way ? "one is under way" : strerror(errno));
    return;
  }
  fprintf(stderr, "%s: starting a new process to take over\n", program);
  fflush(stderr);
  signals_hold();
  pid_t process = fork();
  if (process == 0)
    become(ends[1]);
  signals_release();
  close(ends[1]);
  waiting = (struct source){.fd = ends[0], .ready = on_ready};
  if (process < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || loop_watch(&waiting, LOOP_IN) != 0) {
    complain("takeover", strerror(errno));
    close(ends[0]);
    return;
  }
  under_way = 1;
  when_done = done;
}

int takeover_done(void)
{
  const char *text = getenv(variable);
  if (text == NULL)
    return 0;
  int fd = atoi(text);
  unsetenv(variable);
  (void)!write(fd, "1", 1);
  close(fd);
  return 1;
}
