/* loop.h: the event loop: what is ready on descriptors, whose time is up. One thread, one loop.
 *
 * SPDX-License-Identifier: MIT
 *
 * By epoll, or by poll where there is no epoll or loop_open is asked for it; both behave alike. Sources and timers are
 * parts of their owners' structs; the loop keeps pointers to them until loop_forget and timer_stop. Both may be called
 * from any callback, for any source or timer.
 */
#ifndef MAILD_LOOP_H
#define MAILD_LOOP_H

#include <stdint.h>

enum {
  LOOP_IN = 1,  /* something can be read, or the end was reached */
  LOOP_OUT = 2, /* something can be written */
  LOOP_GONE = 4 /* broken, or closed by both ends; told whether it is wanted or not */
};

struct source {
  int fd;
  unsigned wanted; /* LOOP_IN, LOOP_OUT */
  uint32_t place;  /* poll: index of its entry */
  void (*ready)(struct source *source, unsigned events);
};

struct timer {
  int64_t due;    /* in the time of loop_now */
  uint32_t place; /* in the heap, from 1; 0 if not set */
  void (*fire)(struct timer *timer);
};

/* Returns 0, or -1 with errno. */
int loop_open(int by_poll);
void loop_close(void);

/* Milliseconds of a clock that is never set, as of the beginning of this round. */
int64_t loop_now(void);

/* Begins to watch. `fd` and `ready` must be set. Returns 0, or -1 with errno. */
int loop_watch(struct source *source, unsigned wanted);
/* Changes what is waited for. Costs nothing if it is the same. */
void loop_want(struct source *source, unsigned wanted);
/* Ends it; to be called before the descriptor is closed. */
void loop_forget(struct source *source);

/* (Re)sets a timer. Putting it off costs next to nothing. Returns 0, or -1 if there is no memory. */
int timer_set(struct timer *timer, int64_t due);
void timer_stop(struct timer *timer);

/* How often a source should go on when it is ready, before others get their turn. A round by epoll costs next to
 * nothing, so once is best; one by poll looks at every source there is. */
int loop_at_once(void);

/* Waits until something is to be done, and does it. */
void loop_round(void);

#endif
