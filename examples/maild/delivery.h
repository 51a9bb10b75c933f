/* delivery.h: messages into Maildirs, so that what is told to be there is there after a power cut too.
 *
 * SPDX-License-Identifier: MIT
 *
 * The server's thread writes content to a file in the tmp directory of the first recipient's Maildir: that goes to the
 * page cache and rarely waits for the disk. What does wait (fsync, and bringing the file into place) is asked of
 * writers, which are processes of their own; the server meanwhile serves others.
 */
#ifndef MAILD_DELIVERY_H
#define MAILD_DELIVERY_H

#include "helper.h"

#include <ehlo.h>

#include <stddef.h>
#include <stdint.h>

enum {
  MAILBOX_NAME = 255, /* the longest name of a directory */
  MESSAGE_ID = 64,
  DELIVERY_WRITERS = 64,     /* at most */
  DELIVERY_MAILBOXES = 10000 /* of a message, at most: an answer has an octet for each */
};

/* A message that is being written. */
struct message {
  int fd;              /* -1: there is none */
  const char *mailbox; /* in whose tmp it lies; lives as long as the message */
  char id[MESSAGE_ID]; /* its name there, and in all that is said of it */
  uint64_t size;
};

/* Opens the directory of all Maildirs and starts the writers. Ends the process if it cannot. */
void delivery_open(const char *directory, unsigned writers, ehlo_span hostname);
void delivery_close(void);

/* The name of the directory for a mailbox, in `name` of MAILBOX_NAME + 1 octets: the address, its local-part as it is
 * meant and its domain in lower case, with %XX for what a file name should not have. Returns 0, or -1 if it would be
 * too long. */
int delivery_mailbox(const ehlo_path *path, char *name);

/* Is there a Maildir of that name? */
int delivery_exists(const char *directory);

/* A new id, unlike all others. */
void delivery_id(char id[MESSAGE_ID]);

/* What a writer's answer (NULL: it died) comes to: 0 if all was done, else an errno. *results has a character for each
 * mailbox of a message, '.' where it was stored; it may be empty, then none was. */
int delivery_error(const char *answer, const char **results);

/* Begins a message: opens its file. Returns 0 or an errno; ENOENT: the mailbox is not there yet. */
int message_begin(struct message *message, const char *mailbox);

/* Makes a mailbox that was not there. Returns a question to cancel, or 0 if it cannot be asked for now. `number`
 * comes back with the answer. */
uint64_t mailbox_make(const char *mailbox, helper_answer_fn *done, void *owner, uint32_t number);

/* Adds octets. Lines end in LF there, as all programs expect that read Maildirs: each CR is dropped, for in accepted
 * content none stands but before LF. Returns 0 or an errno. */
int message_write(struct message *message, const ehlo_span *spans, size_t count);

/* Hands the message to a writer, for these mailboxes, of which it was begun in one. `all`: either it gets into
 * all of them or into none. The message is no longer the caller's, whatever comes. Returns as mailbox_make; a writer
 * that was asked does it, even if the question is cancelled. */
uint64_t message_commit(struct message *message, const char *const *mailboxes, size_t count, int all,
                        helper_answer_fn *done, void *owner);

/* Forgets a message that was begun and not committed. */
void message_discard(struct message *message);

#endif
