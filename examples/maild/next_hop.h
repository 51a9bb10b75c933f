/* next_hop.h: a connection to the server that mail is relayed to.
 *
 * SPDX-License-Identifier: MIT
 *
 *     next_hop.c                 the connection: addresses, TLS, octets, the clock
 *     relay.c, relay_dialogue.c  the mail
 */
#ifndef MAILD_NEXT_HOP_H
#define MAILD_NEXT_HOP_H

#include "../loop.h"
#include "../tls.h"

#include <ehlo.h>

struct next_hop {
  struct source source;
  struct timer timer; /* its patience */
  struct timer kick;  /* something is to be done in the next round */
  struct stream stream;
  ehlo_client *client;
  void *block;
  uint64_t epoch;
  uint8_t open;     /* there is a socket */
  uint8_t phase;    /* of next_hop.c */
  uint8_t blocked;  /* it takes no more for now */
  uint8_t try_next; /* the address to try next */
  uint32_t most;    /* seconds of patience, at most; 0: as many as the library says */
  const char *why;  /* it cannot be used, or NULL; static, or tls_error's */

  /* The owner's. Called from the loop alone, never from within another call. */
  void (*advance)(struct next_hop *hop); /* issue commands, give content; may be called often */
  void (*rest)(struct next_hop *hop);    /* all is done for now: tell whom it concerns. The hop may go */
  void (*over)(struct next_hop *hop);    /* it is over. The hop must go */
};

/* Where it is, and who we are there; what is wrong ends the process. And again: then what was there before stays. */
void next_hop_look_up(const char *where);
void next_hop_look_up_again(void);
void next_hop_forget(void);
const char *next_hop_name(void); /* as it was told */

/* Begins. Returns 0, or -1 if there is no memory. The rest comes from the loop. */
int next_hop_begin(struct next_hop *hop, ehlo_client_event_fn *on_event, void *user);

/* There is something to do: in the next round. */
void next_hop_wake(struct next_hop *hop);

/* HELLO came: is there something else to do first, TLS for one? Returns 1, and then HELLO comes once more. */
int next_hop_secures(struct next_hop *hop);

/* HELLO came, and there is nothing else to do: logs in, if that was asked for. Returns 1 if the reply to AUTH is to be
 * awaited; 0 if there is no need; -1 if it cannot: the server offers nothing that would do. */
int next_hop_logs_in(struct next_hop *hop);

/* Closes, without a goodbye. */
void next_hop_end(struct next_hop *hop);

#endif
