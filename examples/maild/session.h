/* session.h: one connection and what becomes of it.
 *
 * SPDX-License-Identifier: MIT
 *
 *     session.c   the connection: octets in, octets out, the clock, the end
 *     sessions.c  all of them
 *     blocks.c    memory: sleep
 *     policy.c    the mail: what the events of the library mean here
 */
#ifndef MAILD_SESSION_H
#define MAILD_SESSION_H

#include "../loop.h"
#include "../tls.h"
#include "network.h"
#include "settings.h"

struct envelope;
struct login;
struct preamble;
struct relay;

/* What goes on on the connection. */
enum {
  PHASE_PREAMBLE = 0, /* a balancer is to say who the client is */
  PHASE_HANDSHAKE = 1,
  PHASE_DIALOGUE = 2,
  PHASE_LINGER = 3 /* it is over, and what the peer still says is thrown away */
};

struct session {
  struct source source;
  struct timer timer;
  struct stream stream;
  const struct place *place;
  ehlo_server *server; /* in a block of full size, or in `bed`; NULL once it is over */
  void *bed;           /* where it sleeps; kept while it is awake */
  uint32_t bed_size;
  uint32_t held_from, held_size; /* input that the library could not take yet */
  char *held;
  uint64_t epoch;
  uint32_t seconds; /* that the timer was set for */
  uint8_t phase;
  uint8_t wants;   /* LOOP_IN, LOOP_OUT: to read, to write, whatever that takes of the socket */
  uint8_t started; /* the greeting has been asked for */
  uint8_t awake;
  uint8_t blocked;    /* the peer takes no more output for now */
  uint8_t told;       /* that the server stops */
  uint8_t closing;    /* the last words are on their way */
  uint8_t half;       /* the peer has closed its side */
  uint8_t proving;    /* a password is being checked */
  uint8_t quit;       /* the peer said QUIT */
  uint8_t violated;   /* the last EHLO_VIOLATION_, for the log */
  uint8_t trusted;    /* XCLIENT is believed */
  uint8_t introduced; /* by that */
  uint8_t crowded;    /* too many are there from the client's address */
  struct ip_address client;
  char *client_name;         /* as somebody trusted has told it, or NULL */
  char *vouched;             /* whom he has logged in, or NULL */
  struct preamble *preamble; /* in its phase */
  struct envelope *envelope; /* of the open transaction */
  struct login *login;       /* an exchange of AUTH that takes several steps */
  struct relay *relay;       /* a connection to the next server */
  struct session *next, *previous;
  struct session *chain, **chain_from; /* of those whose address falls into the same bucket */
};

/* Takes a new connection over, or closes it if there is no memory. */
void session_open(int fd, const struct ip_address *peer, const struct place *place);

/* Says 421 and closes. */
void session_refuse(int fd, const struct place *place, const char *enhanced, const char *text);

/* How many there are, in all and from the address of this peer (IPv6: from its /64). */
size_t sessions_count(void);
size_t sessions_from(const struct ip_address *peer);

/* Are as many there from its address as may be? Unix sockets and balancers, who stand for many, have no limit. */
int sessions_crowded(const struct ip_address *peer);

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

/* ---- between session.c and sessions.c ---- */

/* Into the list of all, and out of it. */
void session_list(struct session *session);
void session_unlist(struct session *session);
/* The client is somebody else than it was: for the limits. */
void session_relist(struct session *session, const struct ip_address *client);

/* How the server stops, from now on, and what that means for this one. */
void sessions_set_stopping(int how);
void session_stop(struct session *session);

/* Begins what is said first, or TLS before it. */
void session_begin(struct session *session);

/* ---- policy.c ---- */

/* The event callback; user is the session. */
int policy_event(ehlo_server *server, const ehlo_event *event, void *user);

/* Forgets the open transaction, and what somebody was still asked for it. */
void policy_forget(struct session *session);

#endif
