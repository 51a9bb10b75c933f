/* client_draft.h: a command in the making. Floor: session.
 *
 * A command checks whether it may be called, writes its line at the tail of the output, where nobody looks yet, and
 * commits it only when all of it was right and fits.
 */
#ifndef EHLO_SESSION_CLIENT_DRAFT_H
#define EHLO_SESSION_CLIENT_DRAFT_H

#include "../bytes/buffer.h"
#include "client.h"

/* The longest command line, CRLF included, before extensions (RFC 5321 4.5.3.1.4). */
enum { COMMAND_LINE_MAX = 512 };

struct draft {
  struct writer writer;
  uint32_t verb;
  unsigned flags; /* COMMAND_ */
  int error;      /* the first, which is the one that is told */
};

static inline void draft_fail(struct draft *draft, int error)
{
  draft->error = draft->error == EHLO_OK ? error : draft->error;
}

/* Begins a command. The verb on the wire is in upper case, as some servers want it (RFC 5321 2.4). */
struct draft ehlo_client_begin(ehlo_client *client, uint32_t verb);

/* Ends the line and queues it, if nothing was wrong with it. Returns what the call is to return. */
int ehlo_client_commit(ehlo_client *client, struct draft *draft, uint64_t tag);

/* The same for a command that nothing can be called behind until it is answered. */
int ehlo_client_commit_last(ehlo_client *client, struct draft *draft, uint64_t tag);

/* An optional verb must have been offered (RFC 821 has no way to offer, so after HELO it can only be tried). */
void ehlo_client_check_offer(const ehlo_client *client, struct draft *draft);

/* Is it time for content: are there recipients, or may there be? */
void ehlo_client_check_content(const ehlo_client *client, struct draft *draft);

/* Writes a space and a printable argument, if there is one. */
void ehlo_client_write_argument(struct draft *draft, ehlo_span text, int utf8);

#endif
