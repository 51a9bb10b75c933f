/* session.h: one connection and what becomes of it.
 *
 * SPDX-License-Identifier: MIT
 *
 *     session.c   the connection: octets in, octets out, the clock, sleep, the end
 *     policy.c    the mail: what the events of the library mean here
 */
#ifndef MAILD_SESSION_H
#define MAILD_SESSION_H

#include "loop.h"
#include "settings.h"

#include <sys/socket.h>

struct envelope;

struct session {
  struct source source;
  struct timer timer;
  ehlo_server *server; /* in a block of full size, or in `bed`; NULL once it is over and the connection lingers */
  void *bed;           /* where it sleeps; kept while it is awake */
  uint32_t bed_size;
  uint32_t held_from, held_size; /* input that the library could not take yet */
  char *held;
  uint64_t epoch;
  uint32_t seconds; /* that the timer was set for */
  uint8_t kind;     /* KIND_ */
  uint8_t awake;
  uint8_t blocked;  /* the peer takes no more output for now */
  uint8_t told;     /* that the server stops */
  uint8_t closing;  /* the last words are on their way */
  uint8_t half;     /* the peer has closed its side */
  uint8_t quit;     /* the peer said QUIT */
  uint8_t violated; /* the last EHLO_VIOLATION_, for the log */
  uint8_t family;   /* AF_INET, AF_INET6, AF_UNIX */
  uint16_t port;
  uint8_t address[16];
  struct envelope *envelope; /* of the open transaction */
  struct session *next, *previous;
  struct session *chain, **chain_from; /* of those whose address falls into the same bucket */
};

/* ---- session.c ---- */

/* Takes a new connection over, or closes it if there is no memory. `peer` as accept gave it. */
void session_open(int fd, const struct sockaddr_storage *peer, uint8_t kind);

/* Says 421 and closes. */
void session_refuse(int fd, uint8_t kind, const char *enhanced, const char *text);

/* How many there are, in all and from the address of this peer (IPv6: from its /64). */
size_t sessions_count(void);
size_t sessions_from(const struct sockaddr_storage *peer);

/* The server is to stop, in one of these ways; a later one outdoes an earlier one. */
enum {
  STOP_IN_ORDER = 1, /* sessions without a transaction get 421 now, others when theirs is over */
  STOP_ALL = 2,      /* all get 421 now */
  STOP_AT_ONCE = 3   /* and who does not take it at once goes without; none is left behind this call */
};
void sessions_stop(int how);
int sessions_stopping(void);

/* Writes a line about all of them to the log. */
void sessions_status(void);

/* A verdict was given from outside of a handler: goes on. */
void session_go_on(struct session *session);

/* The client's address as a literal ("[192.0.2.1]", "[IPv6:2001:db8::1]"), "local" for a Unix socket. In a static
 * buffer. */
const char *session_client(const struct session *session);

/* ---- policy.c ---- */

/* The event callback; user is the session. */
int policy_event(ehlo_server *server, const ehlo_event *event, void *user);

/* Forgets the open transaction, and what somebody was still asked for it. */
void policy_forget(struct session *session);

#endif
