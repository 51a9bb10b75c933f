/* loop.c: see loop.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * A round: wait until a descriptor is ready or the earliest timer is due; put what is ready on a list; fire timers;
 * call the sources on the list. A source that is forgotten meanwhile is taken off the list, so its memory can go at
 * once.
 *
 * Timers are a heap by the time at which they will be looked at. That may be earlier than they are due: a timer that is
 * put off stays where it is, and is put right only when its old time comes. Sessions put theirs off with every command,
 * and nearly none of them ever fires.
 */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256 };

static struct {
  int epoll; /* -1: poll */
  int64_t now;

  struct pollfd *polls; /* poll: an entry a source */
  struct source **sources;
  uint32_t count, room;

  struct {
    struct source *source; /* NULL: forgotten since */
    unsigned events;
  } ready[BATCH];
  int ready_from, ready_count;

  struct entry {
    int64_t look;
    struct timer *timer;
  } * heap; /* from 1 */
  uint32_t heap_count, heap_room;
} loop = {.epoll = -1};

static int64_t clock_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t loop_now(void)
{
  return loop.now;
}

int loop_open(int by_poll)
{
  loop.now = clock_now();
  if (by_poll)
    return 0;
  loop.epoll = epoll_create1(EPOLL_CLOEXEC);
  return loop.epoll < 0 && errno != ENOSYS ? -1 : 0;
}

void loop_close(void)
{
  if (loop.epoll >= 0)
    close(loop.epoll);
  free(loop.polls);
  free(loop.sources);
  free(loop.heap);
  memset(&loop, 0, sizeof loop); /* another one may be opened */
  loop.epoll = -1;
}

/* ---- sources ----------------------------------------------------------------------------------------------------- */

static int epoll_change(struct source *source, int what)
{
  struct epoll_event event = {.data.ptr = source};
  event.events = (source->wanted & LOOP_IN ? EPOLLIN : 0U) | (source->wanted & LOOP_OUT ? EPOLLOUT : 0U);
  return epoll_ctl(loop.epoll, what, source->fd, &event);
}

static void poll_change(struct source *source)
{
  loop.polls[source->place].events =
      (short)((source->wanted & LOOP_IN ? POLLIN : 0) | (source->wanted & LOOP_OUT ? POLLOUT : 0));
}

static int poll_add(struct source *source)
{
  if (loop.count == loop.room) {
    uint32_t room = loop.room == 0 ? 64 : loop.room * 2;
    struct pollfd *polls = realloc(loop.polls, room * sizeof *polls);
    if (polls != NULL)
      loop.polls = polls;
    struct source **sources = polls == NULL ? NULL : realloc(loop.sources, room * sizeof(struct source *));
    if (sources == NULL)
      return -1;
    loop.sources = sources;
    loop.room = room;
  }
  source->place = loop.count++;
  loop.sources[source->place] = source;
  loop.polls[source->place] = (struct pollfd){.fd = source->fd};
  poll_change(source);
  return 0;
}

int loop_watch(struct source *source, unsigned wanted)
{
  source->wanted = wanted;
  return loop.epoll >= 0 ? epoll_change(source, EPOLL_CTL_ADD) : poll_add(source);
}

void loop_want(struct source *source, unsigned wanted)
{
  if (source->wanted == wanted)
    return;
  source->wanted = wanted;
  if (loop.epoll >= 0)
    epoll_change(source, EPOLL_CTL_MOD);
  else
    poll_change(source);
}

void loop_forget(struct source *source)
{
  if (loop.epoll >= 0) {
    epoll_change(source, EPOLL_CTL_DEL);
  } else {
    uint32_t place = source->place;
    loop.count--;
    loop.polls[place] = loop.polls[loop.count];
    loop.sources[place] = loop.sources[loop.count];
    loop.sources[place]->place = place;
  }
  for (int i = loop.ready_from; i < loop.ready_count; i++) {
    if (loop.ready[i].source == source)
      loop.ready[i].source = NULL;
  }
}

static void put_ready(struct source *source, unsigned events)
{
  loop.ready[loop.ready_count].source = source;
  loop.ready[loop.ready_count++].events = events;
}

static void wait_epoll(int milliseconds)
{
  struct epoll_event events[BATCH];
  int count = epoll_wait(loop.epoll, events, BATCH, milliseconds);
  for (int i = 0; i < count; i++) {
    unsigned what = events[i].events;
    put_ready(events[i].data.ptr, (what & EPOLLIN ? LOOP_IN : 0U) | (what & EPOLLOUT ? LOOP_OUT : 0U) |
                                      (what & (EPOLLERR | EPOLLHUP) ? LOOP_GONE : 0U));
  }
}

static void wait_poll(int milliseconds)
{
  static uint32_t next; /* where to begin, so that a full batch does not starve those behind it */
  int left = poll(loop.polls, loop.count, milliseconds);
  uint32_t count = loop.count;
  for (uint32_t i = 0; i < count && left > 0 && loop.ready_count < BATCH; i++) {
    uint32_t at = (next + i) % count;
    int what = loop.polls[at].revents;
    if (what == 0)
      continue;
    left--;
    put_ready(loop.sources[at], (what & POLLIN ? LOOP_IN : 0U) | (what & POLLOUT ? LOOP_OUT : 0U) |
                                    (what & (POLLERR | POLLHUP | POLLNVAL) ? LOOP_GONE : 0U));
    if (loop.ready_count == BATCH)
      next = at + 1;
  }
}

/* ---- timers ------------------------------------------------------------------------------------------------------ */

static void place(uint32_t at, struct entry entry)
{
  loop.heap[at] = entry;
  entry.timer->place = at;
}

static void sift_up(uint32_t at, struct entry entry)
{
  for (; at > 1 && loop.heap[at / 2].look > entry.look; at /= 2)
    place(at, loop.heap[at / 2]);
  place(at, entry);
}

static void sift_down(uint32_t at, struct entry entry)
{
  for (;;) {
    uint32_t child = at * 2;
    if (child < loop.heap_count && loop.heap[child + 1].look < loop.heap[child].look)
      child++;
    if (child > loop.heap_count || loop.heap[child].look >= entry.look)
      break;
    place(at, loop.heap[child]);
    at = child;
  }
  place(at, entry);
}

int timer_set(struct timer *timer, int64_t due)
{
  timer->due = due;
  if (timer->place != 0) {
    if (due < loop.heap[timer->place].look)
      sift_up(timer->place, (struct entry){due, timer});
    return 0;
  }
  if (loop.heap_count + 1 >= loop.heap_room) {
    uint32_t room = loop.heap_room == 0 ? 64 : loop.heap_room * 2;
    struct entry *heap = realloc(loop.heap, room * sizeof *heap);
    if (heap == NULL)
      return -1;
    loop.heap = heap;
    loop.heap_room = room;
  }
  sift_up(++loop.heap_count, (struct entry){due, timer});
  return 0;
}

void timer_stop(struct timer *timer)
{
  uint32_t at = timer->place;
  if (at == 0)
    return;
  timer->place = 0;
  struct entry last = loop.heap[loop.heap_count--];
  if (at > loop.heap_count)
    return;
  if (at > 1 && loop.heap[at / 2].look > last.look)
    sift_up(at, last);
  else
    sift_down(at, last);
}

static void fire_timers(void)
{
  while (loop.heap_count > 0 && loop.heap[1].look <= loop.now) {
    struct timer *timer = loop.heap[1].timer;
    if (timer->due > loop.now) {
      sift_down(1, (struct entry){timer->due, timer});
      continue;
    }
    timer_stop(timer);
    timer->fire(timer);
  }
}

static int time_left(void)
{
  if (loop.heap_count == 0)
    return -1;
  int64_t left = loop.heap[1].look - clock_now();
  return left <= 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

int loop_at_once(void)
{
  return loop.epoll >= 0 ? 1 : 64;
}

/* ---- a round ----------------------------------------------------------------------------------------------------- */

void loop_round(void)
{
  int left = time_left();
  loop.ready_from = loop.ready_count = 0;
  if (loop.epoll >= 0)
    wait_epoll(left);
  else
    wait_poll(left);
  loop.now = clock_now();
  fire_timers();
  while (loop.ready_from < loop.ready_count) {
    struct source *source = loop.ready[loop.ready_from].source;
    unsigned events = loop.ready[loop.ready_from++].events;
    if (source != NULL)
      source->ready(source, events);
  }
}
