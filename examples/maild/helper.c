/* helper.c: see helper.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "helper.h"

#include "../common.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RESTART = 1000, /* milliseconds before a helper that died is started again */ MOST_OPEN = 1 << 20 };

/* A question that was not answered yet. */
struct question {
  struct question *next, *previous; /* in the order of asking */
  struct question *chain;           /* of the same bucket */
  uint64_t id;
  int64_t asked;
  struct helper *helper;
  helper_answer_fn *answer;
  void *owner;
  uint32_t number;
  const char *word;
  char *text; /* of one that waits for its turn to be given to the helper, or NULL */
  size_t size;
};

enum { BUCKETS = 4096 };
static struct question *buckets[BUCKETS];
static uint64_t last_id;

/* ---- open questions ---------------------------------------------------------------------------------------------- */

static struct question **find(uint64_t id)
{
  struct question **at = &buckets[id % BUCKETS];
  while (*at != NULL && (*at)->id != id)
    at = &(*at)->chain;
  return at;
}

static void set_late(struct helper *helper)
{
  if (helper->patience > 0 && helper->first != NULL)
    timer_set(&helper->late, helper->first->asked + helper->patience);
  else
    timer_stop(&helper->late);
}

static void forget_text(struct question *question)
{
  if (question->text == NULL)
    return;
  question->helper->held -= question->size;
  if (question->helper->secret)
    explicit_bzero(question->text, question->size);
  free(question->text);
  question->text = NULL;
}

/* Takes a question out of all lists. */
static struct question drop(struct question **at)
{
  forget_text(*at);
  struct question question = **at;
  struct helper *helper = question.helper;
  free(*at);
  *at = question.chain;
  *(question.previous != NULL ? &question.previous->next : &helper->first) = question.next;
  *(question.next != NULL ? &question.next->previous : &helper->last) = question.previous;
  helper->open--;
  return question;
}

static void settle(struct question **at, const char *answer)
{
  struct question question = drop(at);
  question.answer(question.owner, question.number, answer);
}

static void fail_all(struct helper *helper)
{
  while (helper->first != NULL)
    settle(find(helper->first->id), NULL);
}

/* ---- the process ------------------------------------------------------------------------------------------------- */

static void end(struct helper *helper, const char *why)
{
  complain(helper->name, why);
  loop_forget(&helper->source);
  close(helper->source.fd);
  helper->process = 0; /* if it lives still, the end of its input tells it; its number may be another's by now */
  helper->out_from = helper->out_to = helper->in_used = helper->given = 0;
  timer_stop(&helper->late);
  timer_set(&helper->restart, loop_now() + RESTART);
  fail_all(helper);
}

static void write_out(struct helper *helper)
{
  while (helper->out_from < helper->out_to) {
    ssize_t count = send(helper->source.fd, helper->out + helper->out_from, helper->out_to - helper->out_from,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0)
      break; /* a broken one is noticed where it is read */
    helper->out_from += (size_t)count;
  }
  if (helper->secret && helper->out_from > 0)
    explicit_bzero(helper->out, helper->out_from);
  if (helper->out_from == helper->out_to)
    helper->out_from = helper->out_to = 0;
  loop_want(&helper->source, helper->out_to > 0 ? LOOP_IN | LOOP_OUT : LOOP_IN);
}

static int queue(struct helper *helper, const char *word, uint64_t id, const char *text, size_t size)
{
  char head[64];
  size_t length = (size_t)snprintf(head, sizeof head, "%s\t%llu", word, (unsigned long long)id);
  size_t needed = length + size + 1;
  if (helper->process == 0 || helper->out_to - helper->out_from + needed > helper->most_queued)
    return 0;
  if (helper->out_to + needed > helper->out_room) {
    helper->out_to -= helper->out_from;
    if (helper->out_from > 0)
      memmove(helper->out, helper->out + helper->out_from, helper->out_to);
    helper->out_from = 0;
    size_t room = helper->out_to + needed < 4096 ? 4096 : (helper->out_to + needed) * 2;
    char *out = room <= helper->out_room ? helper->out : realloc(helper->out, room);
    if (out == NULL)
      return 0;
    helper->out = out;
    helper->out_room = room > helper->out_room ? room : helper->out_room;
  }
  memcpy(helper->out + helper->out_to, head, length);
  memcpy(helper->out + helper->out_to + length, text, size);
  helper->out[helper->out_to + needed - 1] = '\n';
  helper->out_to += needed;
  write_out(helper);
  return 1;
}

/* What waits here, as far as it is its turn. */
static void give_next(struct helper *helper)
{
  struct question *question = helper->first;
  for (; question != NULL && helper->given < helper->at_once; question = question->next) {
    if (question->text == NULL)
      continue;
    if (!queue(helper, question->word, question->id, question->text, question->size))
      return;
    helper->given++;
    forget_text(question);
  }
}

/* An answer: a number, and after a space the rest. Returns 0 if it is none. */
static int take_line(struct helper *helper, const char *line)
{
  char *rest;
  errno = 0;
  uint64_t id = strtoull(line, &rest, 10);
  if (rest == line || (*rest != ' ' && *rest != '\0') || errno != 0)
    return 0;
  helper->given -= helper->given > 0;
  struct question **at = find(id);
  /* Else it was cancelled, or came too late; or it is another's: a checker has no say in what a writer is asked. */
  if (*at != NULL && (*at)->helper == helper)
    settle(at, *rest == ' ' ? rest + 1 : rest);
  return 1;
}

static void take_lines(struct helper *helper)
{
  char *line = helper->in;
  char *in_end = helper->in + helper->in_used;
  for (char *lf; (lf = memchr(line, '\n', (size_t)(in_end - line))) != NULL; line = lf + 1) {
    *lf = '\0';
    if (!take_line(helper, line))
      complain(helper->name, "a line that is no answer");
    if (helper->process == 0)
      return;
  }
  give_next(helper);
  helper->in_used = (size_t)(in_end - line);
  memmove(helper->in, line, helper->in_used);
  if (helper->in_used == HELPER_LINE)
    end(helper, "an answer that is too long");
  else
    set_late(helper);
}

static void on_ready(struct source *source, unsigned events)
{
  struct helper *helper = (struct helper *)(void *)((char *)source - offsetof(struct helper, source));
  if (events & LOOP_OUT)
    write_out(helper);
  if ((events & (LOOP_IN | LOOP_GONE)) == 0)
    return;
  ssize_t count = read(source->fd, helper->in + helper->in_used, HELPER_LINE - helper->in_used);
  if (count > 0) {
    helper->in_used += (size_t)count;
    take_lines(helper);
  } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
    end(helper, "ended; it is started again");
  }
}

static void on_late(struct timer *timer)
{
  struct helper *helper = (struct helper *)(void *)((char *)timer - offsetof(struct helper, late));
  while (helper->first != NULL && helper->first->asked + helper->patience <= loop_now()) {
    complain(helper->name, "no answer in time");
    settle(find(helper->first->id), NULL);
  }
  set_late(helper);
}

static void on_restart(struct timer *timer)
{
  helper_start((struct helper *)(void *)((char *)timer - offsetof(struct helper, restart)));
}

/* In the new process: nothing of the server's is left open, least of all the connections. */
static _Noreturn void become(const struct helper *helper, int fd)
{
  /* What a terminal or a service manager sends to the whole group is for the server: its helpers have to finish what it
   * waits for, and end when it does. */
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGUSR1, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGUSR2, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  signals_release();
  if (helper->command == NULL) {
    helper->run(fd);
    _exit(0);
  }
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, SIG_DFL);
  signal(SIGUSR1, SIG_DFL);
  signal(SIGHUP, SIG_DFL);
  signal(SIGUSR2, SIG_DFL);
  if (dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0) /* all others are closed by exec */
    execl("/bin/sh", "sh", "-c", helper->command, (char *)NULL);
  _exit(127);
}

void helper_start(struct helper *helper)
{
  int pair[2];
  helper->restart.fire = on_restart;
  helper->late.fire = on_late;
  helper->source.ready = on_ready;
  if (helper->in == NULL)
    helper->in = must_allocate(1, HELPER_LINE + 1);
  timer_set(&helper->restart, loop_now() + RESTART); /* unless it works out */
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    complain(helper->name, strerror(errno));
    return;
  }
  fflush(stderr); /* or both processes would write what it holds */
  signals_hold();
  pid_t process = fork();
  if (process == 0)
    become(helper, pair[1]);
  signals_release();
  close(pair[1]);
  fcntl(pair[0], F_SETFL, O_NONBLOCK);
  helper->source.fd = pair[0];
  if (process < 0 || loop_watch(&helper->source, LOOP_IN) != 0) {
    complain(helper->name, strerror(errno));
    close(pair[0]);
    return;
  }
  helper->process = process;
  timer_stop(&helper->restart);
}

void helper_stop(struct helper *helper)
{
  timer_stop(&helper->restart);
  timer_stop(&helper->late);
  if (helper->process != 0) {
    loop_forget(&helper->source);
    close(helper->source.fd);
  }
  while (helper->first != NULL)
    drop(find(helper->first->id));
  free(helper->in);
  free(helper->out);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* A copy of a question that has to wait, or NULL. */
static char *keep(struct helper *helper, const char *text, size_t size)
{
  char *copy = helper->process != 0 && helper->held + size <= helper->most_queued ? malloc(size) : NULL;
  if (copy == NULL)
    return NULL;
  memcpy(copy, text, size);
  helper->held += size;
  return copy;
}

uint64_t helper_ask(struct helper *helper, const char *word, const char *text, size_t size, helper_answer_fn *done,
                    void *owner, uint32_t number)
{
  struct question *question = helper->open < MOST_OPEN ? malloc(sizeof *question) : NULL;
  if (question == NULL)
    return 0;
  uint64_t id = ++last_id;
  int waits = helper->at_once > 0 && (helper->given >= helper->at_once || helper->held > 0); /* its turn is the last */
  char *copy = waits ? keep(helper, text, size) : NULL;
  if (waits ? copy == NULL : !queue(helper, word, id, text, size)) {
    free(question);
    return 0;
  }
  helper->given += !waits;
  struct question **bucket = &buckets[id % BUCKETS];
  *question = (struct question){.previous = helper->last,
                                .chain = *bucket,
                                .id = id,
                                .asked = loop_now(),
                                .helper = helper,
                                .answer = done,
                                .owner = owner,
                                .number = number,
                                .word = word,
                                .text = copy,
                                .size = size};
  *bucket = question;
  *(helper->last != NULL ? &helper->last->next : &helper->first) = question;
  helper->last = question;
  if (helper->open++ == 0)
    set_late(helper);
  give_next(helper);
  return id;
}

void helper_cancel(uint64_t id)
{
  struct question **at = find(id);
  if (*at == NULL)
    return;
  struct question question = drop(at);
  if (question.helper->tell)
    queue(question.helper, "cancel", id, "", 0);
}
