/* relay_dialogue.h: what the next server hears, and what becomes of what it says. Between relay.c and relay_dialogue.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_RELAY_DIALOGUE_H
#define MAILD_RELAY_DIALOGUE_H

#include "next_hop.h"
#include "session.h"

enum { VERDICT_TEXT = 400 };

struct verdict_of_next {
  int code; /* 0: none yet */
  ehlo_enhanced enhanced;
  char text[VERDICT_TEXT];
};

/* What the next server is to hear, in this order. */
enum step { WAIT_HELLO, MAIL, RCPTS, DATA, CONTENT, END_CONTENT, WAIT_VERDICT, OVER };

enum { RELAY_GOODBYE = 5 /* seconds that the next server gets to answer QUIT */ };

struct relay {
  struct next_hop hop;
  struct session *session; /* NULL: it says goodbye, and is one of */
  struct relay *next;      /* these */
  enum step step;
  int greeted;     /* HELLO came, and nothing is to come before MAIL */
  int used;        /* for a transaction, which is not over there */
  int reset;       /* RSET is needed before the next MAIL */
  int asked;       /* for content: DATA, or BODY, came */
  int complete;    /* all content is here */
  int answered;    /* the session has to go on */
  uint32_t ticket; /* of DATA, BODY or MESSAGE, which waits; 0: none */
  int ticket_is_body;
  struct verdict_of_next reply;  /* the one that comes in */
  struct verdict_of_next failed; /* why nothing more comes of this transaction */
  char *content;                 /* what is to be sent next */
  size_t from, to, room;
  ehlo_mail_parameters parameters;
};

/* The event callback of the client machine; user is the relay. */
int relay_event(ehlo_client *client, const ehlo_client_event *event, void *user);

/* Gives the next server what it can take now: the hop's `advance`. */
void relay_advance(struct next_hop *hop);

/* Answers a ticket of the session. */
void relay_pass(struct relay *relay, uint32_t ticket, const struct verdict_of_next *verdict);

/* Nothing more comes of this transaction: whoever waits hears why, the first time that there is a why. */
void relay_fail(struct relay *relay, int code, uint16_t subject, uint16_t detail, const char *text);

#endif
