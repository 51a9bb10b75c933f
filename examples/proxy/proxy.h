/* proxy.h: what the files of proxy share.
 *
 * SPDX-License-Identifier: MIT
 *
 *     proxy.c     the beginning, signals, the end
 *     options.c   the command line
 *     listener.c  where clients come from
 *     session.c   a client's connection, and how it goes on together with the one to the next hop
 *     behind.c    that one
 *     side.c      what both connections have
 *     front.c     what the client says, and becomes of it: the host of the library's server
 *     next.c      what the next hop answers: the host of the library's client
 *     content.c   messages, on their way through
 *     filter.c    messages that wait until a program has seen them
 *     offer.c     what the client is offered, and what the next hop is told of it
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "../address.h"
#include "../common.h"
#include "../loop.h"
#include "../tls.h"

#include <stddef.h>
#include <sys/types.h>

enum {
  INPUT_SIZE = 16384, /* of a client that is read at a time */
  SPILL_SIZE = INPUT_SIZE + 64,
  NEXT_OUTPUT = 2 * INPUT_SIZE + 64, /* what was read, even if it is all dots, and so no piece waits for another */
  MAX_PENDING = 20,                  /* recipients that are with the next hop at a time */
  MAX_RESULTS = 100,                 /* LMTP: recipients of a message */
  ANSWER_SIZE = 1000,                /* octets in all lines of a reply of the next hop; more are cut off */
  LINE_SIZE = 480,                   /* in one of them: RFC 5321 4.5.3.1.5, less code and enhanced code */
  FILTER_SIZE = 104857600,           /* of a message that waits for a filter, if nobody says less */
  FILTER_LINE = 400,                 /* of what a filter says */
  CONNECT_TIMEOUT = 30,              /* seconds, for each address of the next hop, and for a handshake */
  LAST_WORDS = 10                    /* that the client gets to take the last reply, and the next hop to answer QUIT */
};

enum next_tls { NEXT_TLS_OFF, NEXT_TLS_TRY, NEXT_TLS_REQUIRE, NEXT_TLS_IMPLICIT };

/* What the command line said. */
struct settings {
  ehlo_server_config server; /* what is not decided by the next hop */
  ehlo_client_config client;
  struct addresses next;
  enum next_tls next_tls;
  tls_context *front_context, *next_context;
  const char *filter, *directory; /* where messages wait for it */
  unsigned filter_timeout;
  int xclient, xforward;
  size_t max_connections;
};
extern struct settings settings;

/* A reply of the next hop, or one in place of it. Lines have an LF between them. */
struct answer {
  int code; /* 0: none */
  ehlo_enhanced enhanced;
  size_t length;
  char text[ANSWER_SIZE + 1];
};

struct session;

/* One of the two connections of a session. */
struct side {
  struct source source;
  struct stream stream;
  struct session *session;
  struct timer timer;
  uint64_t epoch;   /* of the library's clock */
  uint32_t seconds; /* that the timer was set for */
  uint8_t open;
  uint8_t blocked; /* takes no more for now */
  uint8_t shaking; /* the handshake of TLS is under way */
  uint8_t closing; /* the last words are on their way */
};

/* How far a message has got into the next hop. */
enum stage {
  STAGE_NONE,
  STAGE_ASKED, /* DATA was called */
  STAGE_OPEN,  /* content may come */
  STAGE_ENDED  /* all of it is there: the verdict is awaited */
};

struct session {
  struct side front, next;
  struct session *following, *previous;

  /* The client. */
  ehlo_server *server; /* NULL until the next hop has said what it offers, and when it is over */
  void *server_block;
  uint8_t implicit;  /* TLS from the beginning */
  uint8_t end_seen;  /* the client has closed its side */
  uint8_t end_told;  /* and the library knows */
  uint8_t lingering; /* all is said: what still comes is thrown away for a moment */
  uint8_t told;      /* 421 */
  struct sockaddr_storage peer;
  size_t input_from, input_size;
  char input[INPUT_SIZE];

  /* The next hop. */
  ehlo_client *client; /* NULL until it is connected, and when it is gone */
  void *client_block;
  size_t address;     /* of those of its name */
  uint8_t connecting; /* and the library has nothing to do with it yet */
  uint8_t ready;      /* it has said what it offers */
  uint8_t gone;       /* for good */
  uint8_t quit;       /* by our QUIT */
  uint8_t clear;      /* TLS was tried in vain, and is not asked for */
  uint32_t mail_tag;  /* of the transaction that is open there */
  uint8_t mail_open;
  uint8_t reset_due;     /* RSET before the next MAIL */
  uint8_t forwarded;     /* XFORWARD was said */
  struct answer reply;   /* the one that is being read, all its lines */
  struct answer failure; /* why there is no next hop, or none any more */

  /* What was put off: tickets of the server. The others are tags of commands to the next hop. */
  uint32_t hello_ticket; /* until XCLIENT is answered */
  uint32_t data_ticket;
  uint32_t message_ticket;
  uint32_t results[MAX_RESULTS];
  uint32_t result_count, results_answered;

  /* The message. */
  enum stage stage;
  uint8_t in_content;  /* the client is giving it, or waits for the verdict on it */
  uint8_t paused;      /* until `spill` is empty */
  uint8_t end_due;     /* the client has given all of it */
  struct answer early; /* the verdict that was there before somebody asked for it */
  size_t spill_from, spill_size;
  char spill[SPILL_SIZE]; /* what the next hop has not taken yet */

  /* With --filter. */
  int file; /* -1: none */
  uint64_t file_size, file_at;
  pid_t filter; /* 0: it does not run */
  struct source filter_end, filter_output;
  struct timer filter_timer;
  size_t line_length;
  char line[FILTER_LINE + 1]; /* the last one of its output */
};

/* ---- listener.c ---- */

void listener_open(const char *option, const char *where, int implicit);
void listeners_close(void);
void listeners_pause(int pause); /* while there are too many sessions */

/* ---- session.c ---- */

void session_open(int fd, const struct sockaddr_storage *peer, int implicit);
size_t sessions_count(void);

/* The process is to end: those without a message get 421, or with `at_once` all. */
void sessions_stop(int at_once);

/* Does what is to be done on both sides, until somebody has to say or to take something. The session may be gone
 * afterwards. */
void session_drive(struct session *session);

/* The client's address ("192.0.2.1", "IPv6:2001:db8::1", or "[UNAVAILABLE]") and port (0: none). In a static buffer. */
const char *session_client(const struct session *session, unsigned *port);

/* ---- side.c ---- */

/* Waits for what the host would do: read (POLLIN), write (POLLOUT). */
void side_wait(struct side *side, short wants);

/* What of that can be tried, when the loop has told these events. */
short side_ready(struct side *side, unsigned events);

/* The clock: 0 stops it. side_keep_time starts it anew when the library's epoch has changed, or the end begins. */
void side_set_timer(struct side *side, uint32_t seconds);
void side_keep_time(struct side *side, uint64_t epoch, uint32_t seconds, int closing);

/* The handshake begins. */
void side_shake(struct side *side);

void side_close(struct side *side);

/* ---- behind.c ---- */

/* Begins to connect. */
void next_begin(struct session *session);

/* Does one thing; returns 0 if there is none. */
int next_step(struct session *session);

/* Sets what is waited for, and how long. */
void next_wait(struct session *session);

/* Closes it; who waits for an answer is told that there will be none. */
void next_close(struct session *session);

/* ---- front.c ---- */

int front_event(ehlo_server *server, const ehlo_event *event, void *user);

/* Gives the client an answer of the next hop. A ticket that is 0 is nobody's. */
void front_answer(struct session *session, uint32_t ticket, const struct answer *answer);

/* The same in words of this host. */
void answer_say(struct answer *answer, int code, uint16_t subject, uint16_t detail, const char *text);

/* The verdict on DATA, or on the message for all its recipients; kept until somebody asks if nobody has yet. */
void front_verdict(struct session *session, const struct answer *answer);

/* ---- next.c ---- */

int next_event(ehlo_client *client, const ehlo_client_event *event, void *user);

/* The next hop is lost: who waits for it is told. */
void next_lost(struct session *session);

/* ---- content.c ---- */

/* Begins to give the next hop a message. */
void content_begin(struct session *session);

/* Takes a piece. Returns 0 if the client has to wait with the next one. */
int content_take(struct session *session, const ehlo_event_body *body);

/* Gives the next hop what waits for it. Returns 0 if it takes nothing now. */
int content_push(struct session *session);

/* The transaction is over, whatever was still under way. */
void content_forget(struct session *session);

/* ---- filter.c ---- */

/* Can a message be kept where the command line says? If not, errno says why. */
int filter_can_keep(void);

/* Keeps a piece. Returns 0 if there is no room. */
int filter_keep(struct session *session, const ehlo_event_body *body);

/* Has the program look at what was kept. */
void filter_begin(struct session *session);

/* The next piece of what was kept, into `spill`. Returns 0 if it cannot be read. */
int filter_read(struct session *session);

/* Ends the program if it runs, and forgets what was kept. */
void filter_forget(struct session *session);

/* ---- offer.c ---- */

/* What can be offered to the client, now that the next hop has said what it offers. */
void offer_make(const struct session *session, ehlo_server_config *config);

/* The next hop has said it anew, and may offer less. */
void offer_narrow(const struct session *session);

/* Writes what XCLIENT or XFORWARD is to say of the client, as far as the next hop lists it. Returns an error. */
int offer_xclient(struct session *session, ehlo_span hello, uint64_t tag);
int offer_xforward(struct session *session);

/* ---- options.c ---- */

void read_options(int argc, char **argv);

#endif
