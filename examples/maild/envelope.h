/* envelope.h: what is known of a transaction, from MAIL to END, and the lines of the log about it.
 *
 * SPDX-License-Identifier: MIT
 *
 *     policy.c    who may send whom what: MAIL, RCPT and all that has no content
 *     content.c   DATA, content, verdicts
 *     envelope.c  what both work on
 */
#ifndef MAILD_ENVELOPE_H
#define MAILD_ENVELOPE_H

#include "delivery.h"
#include "session.h"

struct recipient {
  uint32_t ticket;      /* what is open: of RCPT, later of RESULT or MESSAGE; 0: nothing */
  uint32_t mailbox_len; /* of the address without brackets and route; it ends where they close */
  uint32_t len;
  uint32_t copies;         /* how many Maildirs get one */
  uint32_t first;          /* the place of the first of them in what a writer is told */
  uint8_t relayed;         /* it is the next server's to say; */
  uint8_t asked;           /* who has been asked, */
  uint8_t told;            /* and what it said has been passed on */
  const char *directories; /* their names, each with a NUL; behind the path */
  char spelt[];            /* the path as it came */
};

/* Recipients stand in the order in which they were asked about: those that were accepted in front, then those whose
 * verdict is out. */
struct envelope {
  struct message message;
  struct recipient **recipients;
  size_t accepted, count, room;
  size_t copies;       /* of those that were accepted */
  size_t asked_copies; /* and of those that may be */

  int begun;        /* the file is there, or could not be made */
  uint64_t making;  /* a mailbox, the one of the recipient `place`; 0: none is */
  size_t place;     /* in whose Maildir the file is, or is to be */
  uint32_t waiting; /* the event that waits for the file, DATA, BODY or MESSAGE, */
  uint32_t ticket;  /* and its ticket */
  char *early;      /* content that came before there was a file */
  size_t early_size;

  uint64_t storing; /* the message; 0: not yet */
  int told;         /* the writer has answered, and */
  int all_stored;   /* this was its answer; if not, */
  char *results;    /* has '.' for each copy that is there, or is NULL: none is */
  int error;        /* why not */

  int relaying;  /* it goes to the next server, */
  int lost;      /* which is not there any more; */
  int lost_code; /* this is the answer then */
  uint64_t size; /* what MAIL said of it */
  uint32_t has_size;
  uint32_t body;
  int utf8;
  uint32_t sender_mailbox_len;
  ehlo_span sender; /* the path as it came; behind the struct */
};

/* Opens an envelope. NULL if there is no memory. */
struct envelope *envelope_open(const ehlo_event_mail *mail);
void envelope_close(struct envelope *envelope); /* NULL is legal */

/* Adds a recipient whose verdict is `ticket`. `directories`: `copies` names, each with its NUL. Returns -1 if there is
 * no memory. */
int envelope_add(struct envelope *envelope, const ehlo_path *path, const char *directories, uint32_t copies,
                 uint32_t ticket);

/* The reply to a RCPT is on its way: the recipient is accepted, or no longer one. */
void envelope_settle(struct session *session, const ehlo_event_reply *reply);

/* Is it the next server who has it? (Of recipients here and elsewhere only one kind is accepted.) */
int envelope_is_relayed(const struct envelope *envelope);

/* Has the recipient got all his copies? Nobody has unless a writer said so, or none is to be kept. */
int envelope_has_it(const struct envelope *envelope, size_t ordinal);

/* The paths as they came, and without brackets and route. */
ehlo_span recipient_path(const struct recipient *recipient);
ehlo_span recipient_mailbox(const struct recipient *recipient);
ehlo_span sender_mailbox(const struct envelope *envelope);

/* ---- the log ---- */

void log_client(const struct session *session);
void log_accepted(const struct session *session, uint64_t octets);
/* `recipient`: whom it is about, or NULL. */
void log_refused(const struct session *session, const ehlo_event_reply *reply, const struct recipient *recipient);

/* ---- content.c ---- */

int content_data(struct session *session, ehlo_server *server, const ehlo_event *event);
int content_body(struct session *session, ehlo_server *server, const ehlo_event *event);
int content_verdict(struct session *session, ehlo_server *server, const ehlo_event *event); /* MESSAGE, RESULT */

#endif
