/* stdio-server.h: what the files of stdio-server share.
 *
 * SPDX-License-Identifier: MIT
 *
 *     stdio-server.c   the loop: write what is owed, feed what was read, keep the clock
 *     policy.c         whom to take mail for, who may log in, and what to do with the content
 *     spool.c          what a 250 promises: the message is on the disk before it is said
 *     trace.c          the dialogue and the events, readable, on standard error
 *     options.c        the command line
 */
#ifndef STDIO_SERVER_STDIO_SERVER_H
#define STDIO_SERVER_STDIO_SERVER_H

#include "../common.h"

enum { NAME_SIZE = 64, FILE_NAME_SIZE = NAME_SIZE + 8 };

/* Who can log in. */
struct user {
  ehlo_span name;
  ehlo_span password;
};

struct host {
  /* From the command line. */
  struct recipients recipients; /* --domain, --refuse */
  struct user *users;           /* --auth */
  size_t user_count;
  uint32_t max_rcpt_domains; /* --extension LIMITS=RCPTDOMAINMAX=... */
  const char *spool_name;
  int spool; /* the open directory, or -1 */
  int trace;

  /* The clock: the epoch that the session told last, and when its time is up, in milliseconds. */
  uint64_t epoch;
  int64_t deadline;
  int closing;

  /* --trace. */
  int inside_line; /* the last octet shown was inside a reply */
  int hide;        /* the last command was AUTH */

  /* The session. */
  unsigned char *domain_used; /* each of recipients.domains: has there been a recipient in it? */
  uint32_t domains_used;

  /* The open transaction. */
  FILE *envelope; /* writes to text, which will be NAME.env */
  char *text;
  size_t text_size;
  FILE *content;                     /* writes to content_file, which will be NAME.eml */
  char content_file[FILE_NAME_SIZE]; /* temporary names in the spool; empty when there is no such file */
  char envelope_file[FILE_NAME_SIZE];
  char name[NAME_SIZE];
  int tried, stored; /* was spool_store called, and did it succeed? */
};

/* ---- options.c ---- */

/* Reads them into host and config. What cannot be is the end of the process. */
void options_read(int argc, char **argv, struct host *host, ehlo_server_config *config);

/* ---- policy.c ---- */

ehlo_server_event_fn on_event;

/* ---- spool.c ---- */

/* Opens the file for the content of a message, under a name that whoever works the spool off does not look at. Returns
 * 0, with errno set, if it cannot be. */
int spool_open_content(struct host *host);

/* Puts both files in place, with all their octets on the disk. Returns 0, with errno set, if they are not. */
int spool_store(struct host *host);

/* Forgets the transaction, and removes what there is of files that did not become a message. */
void spool_discard(struct host *host);

/* ---- trace.c ---- */

void trace_event(struct host *host, const ehlo_event *event);

/* Octets of replies, as they went out. */
void trace_replies(struct host *host, const char *octets, size_t size);

#endif
