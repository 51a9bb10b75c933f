/* helper.h: a process that is asked things and answers when it can.
 *
 * SPDX-License-Identifier: MIT
 *
 * Questions and answers are lines on a socket that is the helper's standard input and output:
 *
 *     to the helper      WORD <TAB> ID <TAB> whatever the question is
 *                        cancel <TAB> ID           nobody waits for that answer any more (if it wants to know)
 *     from the helper    ID <SPACE> the answer     in any order, any time later
 *
 * Every question gets exactly one answer unless it is cancelled: if the helper dies or takes too long,
 * that answer is NULL. Lines that are no answers are told to the log. A helper that died is started again.
 */
#ifndef MAILD_HELPER_H
#define MAILD_HELPER_H

#include "../loop.h"

#include <stddef.h>
#include <sys/types.h>

/* What is called with the answer: a string without its line end, or NULL. */
typedef void helper_answer_fn(void *owner, uint32_t number, const char *answer);

enum { HELPER_LINE = 16384 }; /* the longest answer */

struct question;

struct helper {
  /* Set before helper_start. */
  const char *name;    /* for complaints */
  const char *command; /* run by /bin/sh -c; or NULL, and */
  void (*run)(int fd); /* what the process does by itself, on that socket */
  int64_t patience;    /* milliseconds for an answer, 0: any time */
  int tell;            /* cancel lines are sent */
  int secret;          /* questions are wiped from memory once they are out */
  size_t most_queued;  /* octets that may wait to be taken by the helper */
  size_t at_once;      /* questions that it is given before it has answered; the others wait here, where they can still
                          be taken back. 0: all */

  struct source source;
  struct timer restart, late;
  pid_t process; /* 0: there is none */
  char *out;
  size_t out_from, out_to, out_room;
  char *in;
  size_t in_used;
  struct question *first, *last; /* the open ones, oldest first */
  size_t open;
  size_t given; /* to it, without an answer, cancelled or not */
  size_t held;  /* octets of those that wait here */
};

/* Starts the process. Failing that it says why, and tries again later. */
void helper_start(struct helper *helper);

/* Ends the helper's input. Open questions get no answer any more. */
void helper_stop(struct helper *helper);

/* Asks. `owner` and `number` come back with the answer. Returns the question's id, or 0 if nothing can be asked now. */
uint64_t helper_ask(struct helper *helper, const char *word, const char *text, size_t size, helper_answer_fn *done,
                    void *owner, uint32_t number);

/* Nobody waits for the answer any more, whichever helper was asked. Does nothing for an id that is not open. */
void helper_cancel(uint64_t id);

#endif
