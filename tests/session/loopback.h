/* loopback.h: a client and a server of this library, joined in memory.
 *
 * What is to be sent, and what the receiving host says to it, stands in `messages`. Nothing moves by itself: loop_step
 * moves one thing, by as many octets as it is told, loop_run moves what there is to move, in an order and in pieces of
 * the test's choice, until both sessions are over. What became of each message stands then in `sent` and `got`, as the
 * two hosts saw it, and loop_check holds the one to the other.
 *
 *     loop_open(&loop, &client_config, &server_config, messages, count);
 *     loop.amount[LOOP_CLIENT_FEED] = 1;
 *     loop_run(&loop);
 *     loop_check(&loop);
 *     loop_close(&loop);
 *
 * No cmocka here: the fuzz target of the same name uses this too.
 */
#ifndef EHLO_TESTS_LOOPBACK_H
#define EHLO_TESTS_LOOPBACK_H

#include <stddef.h>
#include <stdint.h>

#include "ehlo.h"

enum { LOOP_MESSAGES = 8, LOOP_SERVICES = 8, LOOP_RECIPIENTS = 12, LOOP_OUT = LOOP_RECIPIENTS + 4 };

/* Whoever uses this says what happens where `condition` does not hold; it does not return. */
_Noreturn void loop_fail(const char *condition, const char *file, int line);

/* When the receiving host answers: in its handler, at some LOOP_ANSWER, never, or by failing. */
enum { LOOP_NOW, LOOP_LATER, LOOP_SILENT, LOOP_FAIL };

struct loop_verdict {
  uint16_t code; /* 0: the one that accepts */
  uint8_t how;   /* LOOP_ */
};

/* A message, as the sending host has it, and what the receiving host says to it. */
struct loop_message {
  const char *from; /* without brackets; "" is the null path */
  const char *to[LOOP_RECIPIENTS];
  size_t recipients;
  const char *content;
  size_t size;
  const ehlo_mail_parameters *options; /* or NULL */
  const ehlo_rcpt_parameters *rcpt_options[LOOP_RECIPIENTS];
  const char *burl; /* content that the server is to fetch in place of DATA, or NULL */
  uint8_t resume;   /* MAIL with TRANSID that is accepted is answered by 355 and resume_at */
  size_t resume_at;
  size_t piece;   /* octets given at once, 0: all */
  uint8_t gather; /* by ehlo_client_body_gather */
  uint8_t abort;  /* by ehlo_client_body_abort, once abort_at octets were taken */
  size_t abort_at;

  struct loop_verdict mail, data, message;
  struct loop_verdict rcpt[LOOP_RECIPIENTS];   /* in the order of the commands */
  struct loop_verdict result[LOOP_RECIPIENTS]; /* in the order of acceptance */
  struct loop_verdict body; /* if not all zero: once body_at octets came. LATER stops the content for a while */
  uint64_t body_at;
};

/* What the sending host calls before message `at` (or, at `count`, before QUIT), beside the messages. What a server
 * does not offer is left out; what it refuses is not tried again. */
struct loop_service {
  uint32_t verb; /* EHLO_VERB_STARTTLS, AUTH, ETRN, ATRN, XCLIENT, XFORWARD */
  size_t at;
  const char *argument;                /* ETRN and below */
  const ehlo_credentials *credentials; /* AUTH; of a mechanism that is the host's it says authzid, then authcid */
  struct loop_verdict verdict;
};

/* What became of it. */
struct loop_done {
  int called;       /* 1 if it was let out, -1 if the call was refused by `error` */
  uint32_t order;   /* that it was let out as */
  int error;        /* EHLO_ERR_ */
  uint32_t code;    /* of the REPLY at the client */
  uint32_t arrived; /* how many events the server told */
  uint32_t said;    /* code of the REPLY at the server */
};

/* What the sending host knows of a message. Plain data, to be compared by memcmp. */
struct loop_sent {
  uint32_t called;  /* MAIL was */
  int error;        /* why it was not; EHLO_ERR_ */
  uint32_t plain;   /* bits of RCPTs that went without their parameters, which the server did not offer */
  uint32_t burl;    /* BURL was called in place of DATA */
  uint32_t resumed; /* 355 came, and so many octets are there already: */
  uint32_t offset;
  uint32_t rcpt_called; /* so many RCPTs */
  uint32_t data_called;
  uint32_t content; /* CONTENT came */
  uint32_t whole;   /* body_end was called */
  uint32_t mail;    /* codes of the replies; 0: none came */
  uint32_t rcpt[LOOP_RECIPIENTS];
  uint32_t data;
  uint32_t chunk; /* of the last BDAT but LAST, or the first that was refused */
  uint32_t message;
  uint32_t result[LOOP_RECIPIENTS]; /* by the recipient's ordinal at the client */
  uint32_t ends;                    /* how many END events */
  ehlo_client_event_end end;        /* the last of them */
};

/* What the receiving host knows of it. */
struct loop_got {
  uint32_t opened;  /* MAIL was accepted */
  uint32_t resumed; /* by 355 */
  char from[320];
  uint32_t rcpt_commands;
  uint32_t rcpt_replies;
  char to[LOOP_RECIPIENTS][320]; /* of each RCPT command; empty if it did not reach the host */
  uint32_t rcpt[LOOP_RECIPIENTS];
  uint32_t mail, data, message;     /* codes of the replies */
  uint32_t result[LOOP_RECIPIENTS]; /* by the ordinal at the server */
  uint32_t results;
  uint32_t ends;
  ehlo_event_end end;
  char *content;
  size_t size;
};

/* What loop_step does. */
enum {
  LOOP_HOST,        /* the sending host makes its next call; amount: octets of content, 0: as the message says */
  LOOP_CLIENT_SEND, /* octets leave the client */
  LOOP_SERVER_FEED, /* and reach the server */
  LOOP_ANSWER,      /* the receiving host answers what it put off; amount: the how many-th of it, LOOP_LAST: the last */
  LOOP_SERVER_SEND,
  LOOP_CLIENT_FEED,
  LOOP_STEPS
};

#define LOOP_LAST SIZE_MAX

/* One direction of the connection. */
struct loop_pipe {
  char *octets;
  size_t head, tail, room;
  int broken; /* nothing gets in any more */
};

struct loop_ask {
  uint32_t ticket;
  uint32_t type; /* EHLO_EVENT_; BODY: resume or refuse */
  struct loop_verdict verdict;
};

struct loop {
  /* Chosen by the test, between loop_open and loop_run. */
  const struct loop_message *messages;
  size_t count;
  const struct loop_service *services;
  size_t service_count;
  struct loop_done done[LOOP_SERVICES];
  uint8_t eager;              /* the next message (or QUIT) is begun before the verdict on the last one */
  uint8_t patient;            /* one call at a time, the next when it has been answered */
  uint8_t outside;            /* the sending host makes no calls in its handler */
  uint8_t keep;               /* no QUIT at the end: the sending host hangs up */
  size_t turn_at;             /* TURN is called before this message, `count`: before QUIT; SIZE_MAX: never */
  struct loop_verdict turn;   /* what is said to it */
  size_t amount[LOOP_STEPS];  /* what loop_run tells loop_step; 0: all */
  size_t cut[LOOP_STEPS];     /* the stream is cut at this place, if not 0 */
  uint8_t order[LOOP_STEPS];  /* in which loop_run looks for something that moves */
  struct loop_verdict hello;  /* what is said to EHLO or LHLO */
  struct loop_verdict opened; /* and to the connection */

  /* For the test to look at. */
  ehlo_client *client;
  ehlo_server *server;
  struct loop_sent sent[LOOP_MESSAGES];
  struct loop_got got[LOOP_MESSAGES];
  uint32_t violations[2];          /* EHLO_VIOLATION_ that the client, the server told last; 0: none */
  uint32_t greeting, quit, turned; /* codes of replies at the client */
  uint32_t hello_verb;             /* of the HELLO event */
  uint8_t lost;                    /* the connection was: what the one says the other may not have seen */
  unsigned events;
  size_t moved[LOOP_STEPS]; /* octets so far */

  /* Its own. */
  struct loop_pipe up, down; /* to the server, to the client */
  int started;
  ehlo_client_config client_config;
  ehlo_server_config server_config;
  char *blocks[2];
  size_t sizes[2];
  int stage, at; /* of the sending host: what it calls next, and for which message */
  size_t given;  /* octets of its content */
  uint32_t hello_calls;
  int owes_reset; /* the sending host, before it goes on */
  int receiving;  /* the message that the server is at, -1 before the first */
  int closed[2];  /* the client was told that the connection is, the server was */
  struct loop_ask asks[LOOP_OUT];
  size_t ask_count;
  int in_handler;
  size_t serving;  /* the service whose reply is awaited */
  uint32_t served; /* so many have been let out */
  unsigned steps;  /* STEP events in the exchange */
};

/* Makes both sessions; the server's is started at the first step. The configs and messages are not copied; NULL stands
 * for the defaults, with host names "client.example.com" and "mail.example.org". */
void loop_open(struct loop *loop, const ehlo_client_config *client, const ehlo_server_config *server,
               const struct loop_message *messages, size_t count);

/* The same on a connection where `from` has reversed the roles: the new server stands where the client of `from` was.
 * The pipes, and what is in them, go over to the new loop. */
void loop_turn(struct loop *loop, struct loop *from, const ehlo_client_config *client, const ehlo_server_config *server,
               const struct loop_message *messages, size_t count);

/* Checks that neither session wrote behind its block, and frees everything. */
void loop_close(struct loop *loop);

/* One step. Returns 1 if anything moved. */
int loop_step(struct loop *loop, unsigned step, size_t amount);

/* The first step in `order` that moves anything; where none does, whoever has nobody left at the other end is told.
 * Returns 0 if there was nothing to do. */
int loop_advance(struct loop *loop);

/* Steps until both sessions are over, or both want TURN; loop_fail if nothing moves before. */
void loop_run(struct loop *loop);

/* Are both sessions over, or both in the TURN state with all written? */
int loop_is_over(const struct loop *loop);

/* The connection breaks: of what is on its way `up` octets still reach the server and `down` the client. */
void loop_lose(struct loop *loop, size_t up, size_t down);

/* The client's clock, or the server's (which 1), has run out. */
void loop_time_out(struct loop *loop, int which);

/* Moves the client's block, or the server's (which 1). */
void loop_move(struct loop *loop, int which);

/* What the one sent is exactly what the other received, or both know that it failed: each transaction ended once on
 * either side; envelope and content are the same; a recipient was served at the client's if and only if he was at the
 * server's, by the same code. If the connection was lost the server may have served more, never the client. */
void loop_check(const struct loop *loop);

/* The content of a message as it is to arrive: CRLF line endings (of LF too, with convert_lf), the last one there; with
 * BODY=BINARYMIME as it is. The caller frees it. */
char *loop_expected_content(const struct loop_message *message, int convert_lf, size_t *size);

/* As little output as can be for the client: without the extensions that make commands longer. */
static inline void loop_use_little(ehlo_client_config *config)
{
  for (unsigned extension = EHLO_EXT_DSN; extension < EHLO_EXT_ROOM; extension++) {
    config->use[extension] = extension == EHLO_EXT_CHUNKING || extension == EHLO_EXT_BINARYMIME;
  }
}

#endif
