/* listener.c: where clients come from. While there are as many as are let in, the others wait in the system's queue.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* accept4 */
#include "proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 1024, PAUSE = 100 /* milliseconds after accept failed for want of something */ };

struct listener {
  struct source source;
  struct timer pause;
  struct listener *following;
  int implicit;
  char *path; /* of a Unix socket */
};

static struct listener *listeners;

static void on_ready(struct source *source, unsigned events)
{
  struct listener *listener = (struct listener *)(void *)source; /* its first member */
  struct sockaddr_storage peer = {.ss_family = AF_UNIX};
  socklen_t size = sizeof peer;
  (void)events;
  int fd = accept4(source->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    session_open(fd, &peer, listener->implicit);
  } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    complain("accept", strerror(errno));
    loop_want(source, 0);
    timer_set(&listener->pause, loop_now() + PAUSE);
  }
}

static void on_pause(struct timer *timer)
{
  struct listener *listener = (struct listener *)(void *)((char *)timer - offsetof(struct listener, pause));
  if (sessions_count() < settings.max_connections)
    loop_want(&listener->source, LOOP_IN);
}

void listeners_pause(int pause)
{
  for (struct listener *listener = listeners; listener != NULL; listener = listener->following) {
    if (listener->pause.place == 0)
      loop_want(&listener->source, pause ? 0 : LOOP_IN);
  }
}

/* Where it really is, also if the port was left to the system. */
static void announce(const struct listener *listener, const char *where)
{
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  unsigned port = 0;
  getsockname(listener->source.fd, (struct sockaddr *)&address, &size);
  if (address.ss_family == AF_INET)
    port = ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
  else if (address.ss_family == AF_INET6)
    port = ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
  if (port == 0)
    fprintf(stderr, "%s: listening on %s\n", program, where);
  else
    fprintf(stderr, "%s: listening on %.*s:%u\n", program, (int)(strrchr(where, ':') - where), where, port);
}

static void add(int fd, const struct address *address, const char *where, int implicit)
{
  struct listener *listener = must_allocate(1, sizeof *listener);
  if (listen(fd, BACKLOG) != 0)
    bad_system(where, strerror(errno));
  if (address->socket.ss_family == AF_UNIX)
    listener->path = strdup(where);
  listener->source = (struct source){.fd = fd, .ready = on_ready};
  listener->pause.fire = on_pause;
  listener->implicit = implicit;
  listener->following = listeners;
  listeners = listener;
  if (loop_watch(&listener->source, LOOP_IN) != 0)
    bad_system(where, strerror(errno));
  announce(listener, where);
}

/* Every address is every one that this system has: it may be one without IPv6. */
static int is_dispensable(const struct address *address, const char *where, int error)
{
  return where[0] == '*' && address->socket.ss_family == AF_INET6 && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL);
}

void listener_open(const char *option, const char *where, int implicit)
{
  struct addresses addresses;
  addresses_find(&addresses, option, where, 1);
  for (size_t i = 0; i < addresses.count; i++) {
    const struct address *address = &addresses.list[i];
    int fd = address_bind(address);
    if (fd >= 0)
      add(fd, address, where, implicit);
    else if (!is_dispensable(address, where, errno))
      bad_system(where, strerror(errno));
  }
}

void listeners_close(void)
{
  struct listener *following;
  for (struct listener *listener = listeners; listener != NULL; listener = following) {
    following = listener->following;
    timer_stop(&listener->pause);
    loop_forget(&listener->source);
    close(listener->source.fd);
    if (listener->path != NULL)
      unlink(listener->path);
    free(listener->path);
    free(listener);
  }
  listeners = NULL;
}
