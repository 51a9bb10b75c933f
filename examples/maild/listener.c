/* listener.c: see listener.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * Whoever is over a limit is told so with a 421, at once and at no cost to those who are in. When descriptors run out
 * one that is kept for this is given up for as long as it takes to say the same.
 */
#define _GNU_SOURCE
#include "listener.h"

#include "../address.h"
#include "manager.h"
#include "metrics.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  BACKLOG = 4096,
  PAUSE = 100 /* milliseconds after accept failed for want of memory */
};

struct listener {
  struct source source;
  struct timer pause;
  struct listener *next;
  const struct place *place;
  int watched;
  char *path; /* of a Unix socket */
};

static struct listener *listeners;
static int reserve = -1;
static int64_t complained;

/* In a flood one line a second says as much as a thousand. */
static void complain_rarely(const char *what, const char *why)
{
  if (complained != 0 && loop_now() < complained + 1000)
    return;
  complained = loop_now();
  complain(what, why);
}

static void let_in(const struct listener *listener, int fd, const struct ip_address *peer)
{
  metrics_count(METRIC_CONNECTIONS);
  if (sessions_count() >= settings.max_connections) {
    metrics_count(METRIC_TURNED_AWAY);
    complain_rarely("connection", "too many in all");
    session_refuse(fd, listener->place, "4.3.2", "Too many connections, try again later");
  } else if (sessions_crowded(peer)) {
    metrics_count(METRIC_TURNED_AWAY);
    complain_rarely("connection", "too many from one address");
    session_refuse(fd, listener->place, "4.7.0", "Too many connections from your address");
  } else {
    session_open(fd, peer, listener->place);
  }
}

/* Returns 1 if another one may be there. */
static int take_one(struct listener *listener)
{
  struct source *source = &listener->source;
  struct sockaddr_storage from = {.ss_family = AF_UNIX};
  struct ip_address peer;
  socklen_t size = sizeof from;
  int fd = accept4(source->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    ip_address_take(&peer, &from);
    let_in(listener, fd, &peer);
    return 1;
  }
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
    return 0;
  int error = errno;
  complain_rarely("accept", strerror(error));
  if ((error == EMFILE || error == ENFILE) && reserve >= 0) {
    close(reserve);
    fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
      session_refuse(fd, listener->place, "4.3.2", "Too many connections, try again later");
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
      return 1;
  }
  loop_want(source, 0);
  timer_set(&listener->pause, loop_now() + PAUSE);
  return 0;
}

static void on_ready(struct source *source, unsigned events)
{
  struct listener *listener = (struct listener *)(void *)source; /* its first member */
  (void)events;
  for (int left = loop_at_once(); left > 0 && take_one(listener); left--) {
  }
}

static void on_pause(struct timer *timer)
{
  struct listener *listener = (struct listener *)(void *)((char *)timer - offsetof(struct listener, pause));
  if (reserve < 0)
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
  loop_want(&listener->source, LOOP_IN);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void add(const char *where, int fd, const struct place *place, const char *path)
{
  struct listener *listener = must_allocate(1, sizeof *listener);
  *listener = (struct listener){.source = {.fd = fd, .ready = on_ready},
                                .pause = {.fire = on_pause},
                                .next = listeners,
                                .place = place,
                                .path = path == NULL ? NULL : strdup(path)};
  listeners = listener;
  if (listen(fd, BACKLOG) != 0)
    bad_system(where, strerror(errno));
  fprintf(stderr, "%s: listening on %s for %s\n", program, where, place->word);
}

/* By the address that it is bound to. */
static void add_named(int fd, const struct place *place)
{
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  char name[NI_MAXHOST + NI_MAXSERV + 4];
  const struct sockaddr_un *path = (const void *)&bound;
  memset(&bound, 0, sizeof bound);
  if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0)
    bad_system(place->where, strerror(errno));
  if (bound.ss_family == AF_UNIX) {
    add(path->sun_path[0] == '/' ? path->sun_path : place->where, fd, place,
        strchr(place->where, '/') != NULL ? place->where : NULL);
    return;
  }
  if (getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    bad_system(place->where, "cannot be told");
  snprintf(name, sizeof name, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
  add(name, fd, place, NULL);
}

static void open_address(const struct place *place, const struct address *address, int optional)
{
  int fd = address_bind(address);
  if (fd < 0 && errno == EAFNOSUPPORT && optional)
    return; /* a system without IPv6 */
  if (fd < 0)
    bad_system(place->where, strerror(errno));
  add_named(fd, place);
}

/* Those of the command line are known by their place there, others by what they are for. */
static void name_of(const struct place *place, char *name, size_t size)
{
  if (place->handed_over)
    snprintf(name, size, "%s", place->word);
  else
    snprintf(name, size, "place%zu", (size_t)(place - settings.places));
}

static int take_handed_over(const struct place *place)
{
  char name[32];
  int taken = 0;
  name_of(place, name, sizeof name);
  if (manager_sockets() == 0)
    return 0;
  if (place->handed_over) {
    add_named(place->descriptor, place);
    return 1;
  }
  for (int fd; (fd = manager_take(name)) >= 0; taken = 1)
    add_named(fd, place);
  return taken;
}

void listener_open(const struct place *place)
{
  struct addresses found;
  char option[40];
  if (reserve < 0)
    reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (take_handed_over(place))
    return;
  snprintf(option, sizeof option, "--%s", place->option);
  addresses_find(&found, option, place->where, 1);
  for (size_t i = 0; i < found.count; i++)
    open_address(place, &found.list[i], found.count > 1);
}

void listeners_watch(void)
{
  for (struct listener *listener = listeners; listener != NULL; listener = listener->next) {
    if (loop_watch(&listener->source, LOOP_IN) != 0)
      bad_system("listen", strerror(errno));
    listener->watched = 1;
  }
}

void listeners_close(int how)
{
  while (listeners != NULL) {
    struct listener *listener = listeners;
    listeners = listener->next;
    timer_stop(&listener->pause);
    if (listener->watched)
      loop_forget(&listener->source);
    close(listener->source.fd);
    if (listener->path != NULL && how == LISTENERS_END)
      unlink(listener->path);
    free(listener->path);
    free(listener);
  }
  if (reserve >= 0)
    close(reserve);
  reserve = -1;
}

int listeners_hand_over(int *descriptors, int most, char *names, size_t size)
{
  int count = 0;
  size_t used = 0;
  char name[32];
  names[0] = '\0';
  for (const struct listener *listener = listeners; listener != NULL && count < most; listener = listener->next) {
    name_of(listener->place, name, sizeof name);
    int length = snprintf(names + used, size - used, "%s%s", used > 0 ? ":" : "", name);
    if (length < 0 || (size_t)length >= size - used)
      break;
    used += (size_t)length;
    descriptors[count++] = listener->source.fd;
  }
  return count;
}
