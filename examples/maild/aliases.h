/* aliases.h: a file of names and who gets their mail.
 *
 * SPDX-License-Identifier: MIT
 *
 *     # a name, a colon, targets with commas between; a line that begins with white space goes on with the one before
 *     info:   alice, bob@example.org
 *     alice:  alice                       a name that is its own target is a mailbox, made when mail comes for it
 *
 * Names and targets without "@" are of the first --domain. A target is another alias or a mailbox: one that the file
 * names as its own target, or whose Maildir is there. Nothing is forwarded elsewhere: there is no queue for that.
 */
#ifndef MAILD_ALIASES_H
#define MAILD_ALIASES_H

#include "../common.h"

#include <stdint.h>

/* Reads the file. Ends the process if it cannot be read, has a loop, or a target that nobody knows. */
void aliases_open(const char *file);

/* Reads it again. If that fails, the log says why, and what was there stays. */
void aliases_reload(void);
void aliases_close(void);

/* Who gets the mail for a mailbox, named as its directory is? */
struct expansion {
  const char *directories; /* `count` names, each with its NUL */
  const char *addresses;   /* the same for people to read */
  uint32_t count;          /* 0: nobody, there is no such name */
};
struct expansion aliases_expand(const char *directory);

/* VRFY and EXPN. */
int aliases_verify(ehlo_server *server, const ehlo_event *event);
int aliases_list(ehlo_server *server, const ehlo_event *event);

#endif
