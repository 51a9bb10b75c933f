/* client.h: the sending machine, inside. Floor: session.
 *
 * One struct, thirteen files: client_config.c (how a session is made), client.c (feed, output, the queue, and every
 * change of state), client_draft.c (how a line is made), client_commands.c and client_envelope.c (a function for each
 * command), client_auth.c (AUTH), client_services.c (ETRN, ATRN, XCLIENT, XFORWARD), client_replies.c (what follows
 * from each reply), client_content.c (DATA out), client_chunks.c (BDAT out), client_burl.c (BURL), client_getters.c.
 *
 * How it works. There are two sides, and the queue of commands between them.
 *
 * The calling side (`call`) knows what the host may call next. A call writes its line at the tail of the output and a
 * `struct command` at the end of the queue. `release` then decides how far the output may be seen: a command is
 * released when what stands before it in the queue lets it into the same group (RFC 2920 3.1), or has been answered.
 *
 * The replying side (`state`, and the transaction under "replies") knows what the server has answered. A reply belongs
 * to the command at the front of the queue, provided that its octets have been sent. What follows from a reply changes
 * the state first; then the host hears of it, and may call what that state allows.
 *
 * So several transactions can be on their way at once, called but not answered; the replying side sees them one by one.
 *
 * Octets of output are counted from the begin of the session, modulo 2^32: `sent`, `released_to`, and the end of each
 * command in the queue are such counts, and tell the same whatever moves inside the buffer.
 */
#ifndef EHLO_SESSION_CLIENT_H
#define EHLO_SESSION_CLIENT_H

#include "ehlo/client.h"

#include "../bytes/buffer.h"
#include "../bytes/line.h"
#include "../bytes/output.h"
#include "../grammar/table.h"
#include "../mechanism/capability.h"
#include "../mechanism/chunk.h"
#include "../mechanism/dot.h"
#include "../mechanism/offer.h"

/* The session, as the server's replies have it. */
enum client_state {
  CLIENT_GREETING, /* the greeting is awaited */
  CLIENT_REFUSED,  /* greeted with 4yz or 5yz: only QUIT is left */
  CLIENT_GREETED,  /* the session is open */
  CLIENT_TLS,      /* STARTTLS was accepted; the handshake is the host's */
  CLIENT_TURN,     /* TURN was accepted */
  CLIENT_CLOSED    /* over */
};

/* What the host may call. */
enum client_call {
  CALL_HELLO,   /* before the hello */
  CALL_WAIT,    /* a hello, QUIT or TURN is out: nothing */
  CALL_IDLE,    /* no transaction */
  CALL_MAIL,    /* in a transaction */
  CALL_REFUSED, /* the same, but its MAIL was refused */
  CALL_DATA,    /* DATA is out: nothing */
  CALL_CONTENT  /* content */
};

/* An exchange of AUTH. */
enum client_sasl {
  SASL_NONE,
  SASL_OUT,        /* AUTH, or a response, is out */
  SASL_CHALLENGED, /* the host is to respond */
  SASL_CANCELLED   /* "*" is out */
};

/* What is to be known of a command beside its verb. */
enum {
  COMMAND_PLACE = 1,      /* DATA that is never sent: where content by BDAT begins */
  COMMAND_CHUNKS = 2,     /* MESSAGE, RESULT: the content went by chunks */
  COMMAND_BURL = 4,       /* MESSAGE: its end is BURL; without COMMAND_CHUNKS that is all of it */
  COMMAND_CHECKPOINT = 8, /* MAIL: it says TRANSID */
  COMMAND_ONE_TRIP = 16   /* AUTH: commands may stand behind it in its group */
};

/* A command in the queue. */
struct command {
  uint64_t tag;
  uint32_t end; /* of its line, in octets of output */
  uint16_t verb;
  uint16_t flags; /* COMMAND_ */
};

/* LMTP: a recipient whose verdict is to come. */
struct recipient {
  uint64_t tag;
  uint32_t ordinal;
};

/* The session. Lies at the start of the host's block; offsets lead to the rest of it. */
struct ehlo_client {
  uint64_t version; /* CLIENT_VERSION: how attach knows it */
  ehlo_client_event_fn *on_event;
  void *user;
  size_t block; /* octets of the whole block */

  /* What the config said. */
  uint32_t hostname_at;
  uint32_t hostname_len;
  uint32_t commands_at;
  uint32_t recipients_at;
  uint32_t areas_at;
  uint32_t line_at;
  uint32_t output_at;
  uint32_t max_commands;
  uint32_t max_recipients;
  uint32_t max_reply_line;
  uint32_t max_reply_lines;
  uint32_t max_reply_size;
  uint32_t greeting_timeout;
  uint32_t command_timeout;
  uint32_t data_timeout;
  uint32_t content_timeout;
  uint32_t verdict_timeout;
  uint32_t area_size; /* of each of the two */
  uint32_t max_sasl_line;
  ehlo_capabilities use;
  uint8_t protocol;
  uint8_t no_helo;
  uint8_t hold_data;
  uint8_t pass_parameters;
  uint8_t convert_lf;
  uint8_t allow_plaintext_auth;
  uint8_t chunking; /* EHLO_CHUNKING_ */

  /* The session. */
  uint8_t state;       /* CLIENT_ */
  uint8_t call;        /* CALL_ */
  uint8_t call_before; /* CALL_WAIT: what is called next once that is answered, unless it changes more */
  uint8_t busy;        /* a call that may call back is running */
  uint8_t fatal;       /* the host ended it: EHLO_ERR_HOST from now on */
  uint8_t hello_verb;  /* of the accepted hello */
  uint8_t tls;         /* it is there */
  uint8_t violation;   /* EHLO_VIOLATION_ that ended it, else 0 */
  uint8_t area;        /* which of the two holds what stood behind the keywords: 0 or 1 */
  struct offer offer;  /* by the accepted hello */
  uint64_t epoch;

  /* The queue of commands: a ring. */
  uint32_t first;
  uint32_t count;
  uint32_t released;    /* how many of them the host may send */
  uint32_t released_to; /* the end of the last of those, in octets of output */
  uint32_t sent;        /* octets of output */

  /* The transaction that is being called. */
  uint8_t call_8bit;    /* BODY=8BITMIME or BINARYMIME */
  uint8_t call_utf8;    /* SMTPUTF8 */
  uint8_t call_binary;  /* BODY=BINARYMIME */
  uint8_t by_chunks;    /* its content goes by BDAT */
  uint8_t call_resumed; /* the server has its recipients, and some of its content: DATA is next */
  uint8_t ending;       /* its end waits for chunks to be answered */
  uint8_t gathered;     /* the last content went past the output */
  int8_t broken;        /* EHLO_ERR_ that its content has come to, else 0 */
  uint32_t rcpts_called;
  uint32_t mails_ahead;  /* MAILs in the queue */
  uint32_t mails_called; /* since the connection was made */

  /* AUTH. */
  uint8_t sasl;             /* SASL_ */
  uint8_t sasl_mechanism;   /* EHLO_SASL_ that the library speaks; OTHER: the host does */
  uint8_t sasl_refused;     /* the challenge that tells of a refused token has been answered */
  uint8_t sasl_next;        /* of the responses that wait in the output, */
  uint8_t sasl_count;       /* of so many, */
  uint8_t authenticated;    /* AUTH was answered 2yz */
  uint32_t sasl_ends[2];    /* and where each ends, in octets of output */
  uint32_t sasl_challenges; /* so far */

  /* Replies: the one that is being read, */
  uint32_t reply_code; /* 0 between replies */
  uint8_t begun_early; /* its first octets came before its command had been sent */
  uint8_t premature;   /* it refuses content that has not been sent to its end */
  uint32_t reply_verb;
  uint32_t reply_lines;
  uint64_t reply_octets;
  struct offer next_offer; /* of the EHLO answer that is being read; its texts go to the other area */

  /* and the transaction that they have come to: behind the reply to its MAIL, until its END. */
  uint8_t in_transaction; /* there is one */
  uint8_t doomed;         /* its MAIL was refused */
  uint8_t resumed;        /* its MAIL was answered 355 */
  uint8_t held;           /* one that has ENDed is still open at the server: see ehlo_client_needs_reset */
  ehlo_enhanced refused_enhanced;
  uint32_t refused_code; /* that refused its MAIL, or a chunk */
  uint64_t mail_tag;
  uint64_t data_tag;
  uint32_t doomed_left; /* doomed: RCPTs and DATA in the queue */
  uint32_t rcpts_answered;
  uint32_t rcpts_accepted;
  uint32_t results;     /* verdicts given */
  uint32_t chunks;      /* BDATs in the queue */
  uint8_t chunk_failed; /* one was refused */
  uint32_t results_good;

  struct chunk chunk;    /* of it `after_cr` */
  uint8_t at_line_begin; /* where the next chunk stands */
  char header[32];       /* the BDAT line that ehlo_client_body_gather gave */
  ehlo_dot dot;          /* its kernel is known from init on */
  struct line line;
  struct output output;
};

/* Changes when the struct or the meaning of a field does, and with the kind of machine. */
#define CLIENT_VERSION ((uint64_t)0x65686C6F80000000U + 5 * 65536 + sizeof(void *) * 4096 + sizeof(struct ehlo_client))

/* ---- the parts of the block ---- */

static inline unsigned char *client_part(const ehlo_client *client, uint32_t at)
{
  return (unsigned char *)(uintptr_t)client + at;
}

/* The command at `index` of the queue. */
static inline struct command *client_command(const ehlo_client *client, uint32_t index)
{
  uint32_t at = client->first + index;
  at -= at >= client->max_commands ? client->max_commands : 0;
  return (struct command *)(void *)client_part(client, client->commands_at) + at;
}

static inline struct recipient *client_recipient(const ehlo_client *client, uint32_t index)
{
  return (struct recipient *)(void *)client_part(client, client->recipients_at) + index;
}

static inline int client_offers(const ehlo_client *client, uint32_t extension)
{
  return capability_has(client->offer.set, extension);
}

static inline int client_is_lmtp(const ehlo_client *client)
{
  return client->protocol == EHLO_PROTOCOL_LMTP;
}

/* The area for what stands behind keywords: the one that counts (`next` 0), or that of the answer that is being read.
 */
static inline unsigned char *client_area(const ehlo_client *client, unsigned next)
{
  return client_part(client, client->areas_at) + (client->area ^ next) * client->area_size;
}

/* Is there anybody to get the message that the replies have come to? */
static inline int client_has_recipients(const ehlo_client *client)
{
  return client->rcpts_accepted > 0 || client->resumed;
}

/* The enhanced code of what has none. */
static inline ehlo_enhanced no_enhanced(void)
{
  ehlo_enhanced none = {0, 0, 0};
  return none;
}

/* ---- client.c ---- */

/* Calls the host. The one place that does. If the host ended the session, the state is CLIENT_CLOSED on return, and
 * nothing is called any more. */
void ehlo_client_emit(ehlo_client *client, const ehlo_client_event *event);

/* Changes the state. The one place that does. */
void ehlo_client_enter(ehlo_client *client, enum client_state state);

/* Makes room at the tail of the output, if it can. Moves what the host was shown. */
void ehlo_client_make_room(ehlo_client *client);

/* `length` octets were written at the tail of the output: a whole command. Queues it, and releases it if it may go. */
void ehlo_client_queue(ehlo_client *client, uint32_t verb, unsigned flags, uint64_t tag, size_t length);

/* Releases what may go. */
void ehlo_client_release(ehlo_client *client);

/* Lets go of all commands that are not released. */
void ehlo_client_drop(ehlo_client *client);

/* Takes the command at the end of the queue back, if it is not released. Returns 1 if it did. */
int ehlo_client_take_back(ehlo_client *client);

/* Closes the transaction of the replying side and makes its END. Whether the server holds it still is known before. */
void ehlo_client_end(ehlo_client *client, uint32_t reason, uint32_t code, ehlo_enhanced enhanced,
                     ehlo_client_event *event);

/* Has RSET to be called before the next MAIL? The server holds a transaction that has ENDed, and nothing that clears it
 * is out. */
int ehlo_client_needs_reset(const ehlo_client *client);

/* May a call that calls back run now? Returns EHLO_OK, or what the call is to return. */
int ehlo_client_enter_call(ehlo_client *client);
int ehlo_client_leave_call(ehlo_client *client);

/* The session is over, unless it is already: every transaction that was called and has not ENDed does so. */
void ehlo_client_close(ehlo_client *client, uint32_t reason, uint32_t code, ehlo_enhanced enhanced);

/* The server broke the protocol: the session is over. */
void ehlo_client_violate(ehlo_client *client, uint32_t kind, ehlo_span octets);

/* ---- client_auth.c ---- */

/* In an exchange what has been moved away or taken back leaves nothing behind: the output ended at `tail` before. */
void ehlo_client_wipe_behind(ehlo_client *client, uint32_t tail);

/* 334 to AUTH, with the event that the reply would be. Answers it, or tells the host. */
void ehlo_client_challenged(ehlo_client *client, const ehlo_client_event *reply);

/* The exchange that `command` began is over. */
void ehlo_client_auth_answered(ehlo_client *client, const struct command *command, uint32_t code);

/* ---- client_commands.c ---- */

/* Calls EHLO, HELO or LHLO. Returns as ehlo_client_hello. */
int ehlo_client_say_hello(ehlo_client *client, uint32_t verb, uint64_t tag);

/* ---- client_replies.c ---- */

/* Everything that the server said is forgotten: the session is as behind the greeting, and a hello is next. */
void ehlo_client_forget(ehlo_client *client);

/* `command`, off the queue by now, has been answered: what follows from it for the session. `event` becomes what is to
 * be told behind the REPLY; its type stays 0 if there is nothing. Returns 1 if HELO was queued because EHLO was not
 * understood. */
int ehlo_client_proceed(ehlo_client *client, const struct command *command, uint32_t code, ehlo_enhanced enhanced,
                        ehlo_client_event *event);

/* DATA was taken back: the transaction is as before it; if its MAIL has been refused that may be the end of it. As
 * ehlo_client_proceed. */
void ehlo_client_data_taken_back(ehlo_client *client, ehlo_client_event *event);

/* The transaction whose MAIL was refused is over once the last of its commands is answered. As ehlo_client_proceed. */
void ehlo_client_end_doomed(ehlo_client *client, ehlo_client_event *event);

/* ---- client_content.c ---- */

/* 354: content begins, or if nobody is to get it ends at once. As ehlo_client_proceed. */
void ehlo_client_content_begin(ehlo_client *client, const struct command *command, ehlo_client_event *event);

/* How a message that nobody was to get was refused, whatever the server says of it. */
void ehlo_client_nobody(const ehlo_client *client, uint32_t *code, ehlo_enhanced *enhanced);

/* Puts what ends the content into the output, which has room for it, and what waits for the verdict into the queue. */
void ehlo_client_end_content(ehlo_client *client, unsigned flags, uint64_t tag, const ehlo_span *spans, size_t count);

/* Does any octet have its high bit set? */
int ehlo_client_has_high_bit(const unsigned char *data, size_t size);

/* A verdict came, to `command`. As ehlo_client_proceed. */
void ehlo_client_verdict(ehlo_client *client, const struct command *command, uint32_t code, ehlo_enhanced enhanced,
                         ehlo_client_event *event);

/* ---- client_chunks.c ---- */

/* Is it time for content by BDAT: does its place stand at the front of the queue? */
int ehlo_client_chunks_due(const ehlo_client *client);

/* Begins the content, or ends the transaction if nobody is to get it. As ehlo_client_proceed. */
void ehlo_client_chunks_begin(ehlo_client *client, ehlo_client_event *event);

/* A chunk that was not the last has been answered. As ehlo_client_proceed. */
void ehlo_client_chunk_answered(ehlo_client *client, uint32_t code, ehlo_enhanced enhanced, ehlo_client_event *event);

/* Can a chunk go out now? */
int ehlo_client_chunk_can_go(const ehlo_client *client);

/* ehlo_client_body, ehlo_client_body_gather and ehlo_client_body_end by BDAT. */
int ehlo_client_chunk_body(ehlo_client *client, const unsigned char *data, size_t size, size_t *taken);
int ehlo_client_chunk_gather(ehlo_client *client, const unsigned char *data, size_t size, size_t *taken,
                             ehlo_span *spans, size_t max, size_t *count);
int ehlo_client_chunk_end(ehlo_client *client);

#endif
