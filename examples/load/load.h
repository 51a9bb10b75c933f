/* load.h: what the files of load share.
 *
 * SPDX-License-Identifier: MIT
 *
 *     load.c        the beginning, the rounds, the end
 *     options.c     the command line
 *     connection.c  one connection: octets in, octets out, the clock
 *     dialogue.c    what is said on it: the host of the library's client
 *     message.c     content, made as it is sent
 *     figures.c     what is counted, and how it is told
 *
 * Everything is made before the first connection is: a message costs no memory of its own. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include "../address.h"
#include "../common.h"
#include "../loop.h"
#include "../tls.h"

enum {
  TEXT_SIZE = 512,    /* more of a reply is not kept */
  HEADER_SIZE = 80,   /* room for what message_header writes */
  SMALL_SIZE = 4096,  /* a message that leaves in one write with the dot behind it */
  BODY_SPANS = 8,     /* as few as the library allows: content has no dots, so a piece is one */
  MOST_FRUITLESS = 10 /* connections in a row that came to no message: then no more is tried */
};

enum security {
  SECURITY_NONE,
  SECURITY_STARTTLS,
  SECURITY_TLS /* from the beginning */
};

/* What the command line said. */
struct settings {
  ehlo_client_config config;
  struct addresses server;
  uint32_t connections;
  uint64_t messages;       /* 0: as many as there is time for */
  uint64_t per_connection; /* 0: no limit */
  uint32_t duration;       /* seconds; 0: no limit */
  uint32_t timeout;        /* seconds that the server may be silent at most */
  uint64_t size;           /* octets of a message */
  const char *from;
  const char **to; /* `recipients` of them */
  uint32_t recipients;
  enum security security;
  tls_context *tls;
  int insist_pipelining, insist_chunking;
  int quiet, progress;
};
extern struct settings settings;

/* Which command is due. */
enum next {
  NEXT_NONE,  /* nothing more is said on this connection */
  NEXT_REPLY, /* none until the server has said more */
  NEXT_HELLO,
  NEXT_STARTTLS,
  NEXT_MAIL,
  NEXT_RCPT,
  NEXT_DATA,
  NEXT_RSET,
  NEXT_QUIT
};

enum phase { PHASE_CONNECTING, PHASE_HANDSHAKE, PHASE_TALKING, PHASE_PAUSED, PHASE_OVER };

/* One of --connections. When it ends and there is more to send, the next takes its place. */
struct connection {
  struct source source;
  struct timer timer;
  struct stream stream;
  enum phase phase;
  int blocked;        /* the server takes no more for now */
  int failed;         /* it has been told why */
  size_t address;     /* of the server's, the one that is used */
  uint32_t fruitless; /* connections in a row that came to no message */

  ehlo_client *client;
  void *block; /* of the library's; for all connections after each other */
  uint64_t epoch;

  enum next next;
  int quit;                    /* it has been said */
  uint64_t number;             /* of the message, from 1; 0: none is taken on */
  int64_t begun;               /* when its MAIL was called */
  int open;                    /* MAIL has been called, END has not come */
  int needs_reset;             /* by RSET before the next MAIL */
  uint64_t mails;              /* on this connection */
  uint32_t recipient;          /* the next to be named */
  uint32_t refused;            /* of them */
  uint64_t offset;             /* how much of the content the library has */
  ehlo_span spans[BODY_SPANS]; /* of it that are to be sent before anything else */
  size_t span, span_count;
  char header[HEADER_SIZE];
  char text[TEXT_SIZE]; /* of the reply that is being read, all its lines */
};

/* ---- connection.c ---- */

/* Begins the first of `connection`; all zero but that is the beginning. */
void connection_begin(struct connection *connection);

/* Ends it, whatever is under way: a message whose verdict is not there was not accepted. */
void connection_end(struct connection *connection);

/* How many of them are not over. */
uint32_t connections_active(void);

/* ---- dialogue.c ---- */

/* The event callback; user is the connection. */
int dialogue_event(ehlo_client *client, const ehlo_client_event *event, void *user);

/* Calls what is due. Returns 0 if that is nothing. */
int dialogue_advance(struct connection *connection);

/* Gives the library more content, or the end of it. Returns 0 if it takes none now. */
int dialogue_content(struct connection *connection);

/* ---- message.c ---- */

/* Makes what all messages share. To be called once. */
void message_prepare(void);

/* Writes the beginning of the message of this number. */
void message_header(char header[HEADER_SIZE], uint64_t number);

/* The piece that begins at `offset`, which is less than settings.size. */
ehlo_span message_piece(const char *header, uint64_t offset);

/* ---- figures.c ---- */

/* How a message went. */
enum fate { FATE_ACCEPTED, FATE_IN_PART, FATE_FAILED };

/* The clock starts. */
void figures_begin(void);

/* Nanoseconds of a clock that is never set. */
int64_t figures_clock(void);

/* The number of the next message; 0 if no more is to be sent. One that was taken on and not begun is given back. */
uint64_t figures_take(void);
void figures_give_back(uint64_t number);

/* No more messages are begun: since it was called, or because the time is up. */
void figures_stop(void);
int figures_is_over(void);

void figures_connected(void);
void figures_message(enum fate fate, int64_t nanoseconds);

/* What should not have been said; or with code 0, should not have happened. Counted by its text. */
void figures_unexpected(const char *what, uint32_t code, const ehlo_enhanced *enhanced, const char *text);

/* One line on the terminal. */
void figures_progress(void);

/* All of them on standard output. Returns the exit code that they make. */
int figures_report(void);

/* ---- options.c ---- */

void read_options(int argc, char **argv);

#endif
