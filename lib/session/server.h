/* server.h: the receiving machine, inside. Floor: session.
 *
 * One struct, several files: server_config.c (how a session is made), server.c (feed, output, and every change of
 * state), server_decisions.c (tickets and answers), server_offer.c (what is on offer, and the EHLO answer),
 * server_commands.c (checks, and a handler for each command but those of the files behind it), server_envelope.c (MAIL
 * and RCPT), server_content.c (DATA, BDAT, BURL and their verdicts), server_auth.c (AUTH), server_turn.c (TURN, ETRN,
 * ATRN), server_peer.c (XCLIENT, XFORWARD).
 *
 * How it works. Every reply, whether the host or the library gives it, goes through a slot; slots form a queue in the
 * order of the commands:
 *
 *     ASKED      the host's handler is running, or it was the silent BODY of a message
 *     DEFERRED   the host will answer later
 *     ANSWERED   the answer is known and parked: its turn has not come, or the output has no room
 *     WRITTEN    its octets are in the output
 *
 * `settle` takes written answers off the front of the queue: it emits their REPLY events and lets each command proceed,
 * which is where the session's state changes. It runs in every call that may call back. So an answer that comes between
 * two calls queues its octets at once and has its consequences in the next call; everything is in the order of the
 * wire.
 *
 * All but RCPT and RESULT are barriers: nothing else is asked while they are in the queue.
 */
#ifndef EHLO_SESSION_SERVER_H
#define EHLO_SESSION_SERVER_H

#include "ehlo/server.h"

#include "../bytes/line.h"
#include "../bytes/output.h"
#include "../grammar/reply.h"
#include "../grammar/table.h"
#include "../mechanism/capability.h"
#include "../mechanism/chunk.h"
#include "../mechanism/dot.h"

/* All states of a session. */
enum state {
  STATE_NEW,      /* before ehlo_server_start */
  STATE_GREETING, /* CONNECT was asked */
  STATE_REFUSED,  /* greeted with 4yz or 5yz: only QUIT is left (RFC 5321 3.1) */
  STATE_OPEN,     /* greeted */
  STATE_IDLE,     /* after HELO, EHLO, LHLO: no transaction */
  STATE_MAIL,     /* a transaction without recipients */
  STATE_RCPT,     /* a transaction with recipients */
  STATE_CHUNKS,   /* behind a chunk that was not the last */
  STATE_AUTH,     /* behind 334: the next line is a response */
  STATE_CONTENT,  /* behind 354, or inside a chunk */
  STATE_VERDICT,  /* the content is complete; its verdict is not */
  STATE_TURN,     /* TURN was accepted */
  STATE_TLS,      /* STARTTLS was accepted; the handshake is the host's */
  STATE_CLOSED    /* over; a last reply may still be on its way */
};

/* The texts that a config gives the extensions, and its own keywords, verbs and parameters, in their order in the
 * block. */
enum {
  TEXT_MECHANISMS,
  TEXT_PRIORITY,
  TEXT_SOLICIT,
  TEXT_BURL,
  TEXT_XCLIENT,
  TEXT_XFORWARD,
  TEXT_KEYWORDS,
  TEXT_VERBS,
  TEXT_MAIL,
  TEXT_RCPT,
  TEXTS
};

/* Lines of an EHLO answer behind the first: one for each extension on offer, by its number, and behind those the
 * config's own. */
enum { OWN_KEYWORDS_MAX = 100, HELLO_LINES = EHLO_EXT_COUNT + OWN_KEYWORDS_MAX };

/* What content can come to behind the last BODY. If that paused the content, it waits for the resume, as it would have
 * if it had come in a piece of its own. */
enum { FOUND_TOO_BIG = 1, FOUND_BARE_NEWLINE = 2, FOUND_END = 4 };

enum slot_state { SLOT_ASKED, SLOT_DEFERRED, SLOT_ANSWERED, SLOT_WRITTEN };

/* The place of one reply. */
struct slot {
  uint64_t tag;
  uint32_t ticket;
  ehlo_enhanced enhanced; /* the reply's; zero for none */
  uint16_t code;          /* 0 until one line or the whole answer is known */
  uint16_t parked;        /* octets of parked text: lines that end in LF, then the last line's text */
  uint16_t unparked;      /* octets of it that have been written */
  uint8_t verb;           /* EHLO_VERB_: what is answered */
  uint8_t state;          /* SLOT_ */
  uint8_t row;            /* text of the last line: REPLY_ row, or REPLY_ROWS if it is parked */
  uint8_t asked;          /* the host has seen the ticket */
  uint8_t begun;          /* a line has been written */
  uint8_t utf8;           /* UTF-8 may stand in the text */
  uint8_t capability;     /* EHLO answer: the next extension to list */
};

/* The session. Lies at the start of the host's block; offsets lead to the rest of it. */
struct ehlo_server {
  uint64_t version; /* SERVER_VERSION: how attach knows it */
  ehlo_server_event_fn *on_event;
  void *user;
  size_t block; /* octets of the whole block */

  /* What the config said. */
  uint32_t hostname_at;
  uint32_t hostname_len;
  uint32_t texts_of_config_at;
  uint32_t identity_at;
  uint32_t identity_size;
  uint32_t exchange_at; /* where AUTH is offered: the name that is being proved, and the mechanism as it is spelt */
  uint32_t slots_at;
  uint32_t texts_at;
  uint32_t hello_at;
  uint32_t line_at;
  uint32_t output_at;
  uint32_t max_line;  /* of a command */
  uint32_t line_size; /* of the line buffer */
  uint32_t max_pending;
  uint32_t pending_text;
  uint32_t hello_size;
  uint32_t max_recipients;
  uint32_t max_errors;
  uint32_t command_timeout;
  uint32_t content_timeout;
  uint64_t max_message_size;
  int64_t hold_max_time;
  uint32_t hold_max;
  uint32_t deliver_by_min;
  uint32_t max_transactions;
  uint32_t max_rcpt_domains;
  uint32_t mechanisms; /* bits 1 << EHLO_SASL_ */
  uint16_t text_len[TEXTS];
  ehlo_capabilities allowed; /* room was kept for these */
  ehlo_capabilities offered; /* these are on */
  ehlo_capabilities hidden;  /* but not these, as things are: see ehlo_server_hide */
  uint8_t protocol;
  uint8_t expn_252;
  uint8_t require_tls;
  uint8_t pass_parameters;
  uint8_t allow_bare_newline;
  uint8_t allow_space_after_colon;
  uint8_t allow_bare_address;
  uint8_t allow_extra_spaces;
  uint8_t allow_underscore;
  uint8_t allow_any_hello;
  uint8_t allow_8bit_orcpt;
  uint8_t allow_plaintext_auth;
  uint8_t submission;
  uint8_t require_auth;
  uint8_t odmr;

  /* The session. */
  uint8_t state;        /* STATE_ */
  uint8_t busy;         /* a call that may call back is running */
  uint8_t fatal;        /* the host ended it: EHLO_ERR_HOST from now on */
  uint8_t ended;        /* ehlo_server_eof was called */
  uint8_t asleep;       /* the block is smaller than the session needs: see ehlo_server_move */
  uint8_t unfinished;   /* a reply of several lines was left without its end on the wire: nothing may follow */
  uint8_t begun_before; /* the reply to what is being asked had been begun before its handler was called */
  uint8_t stalled;      /* the last feed stopped with something left to do */
  uint8_t refusal;      /* STATE_REFUSED: the row that answers everything */
  uint8_t hello_verb;   /* of the accepted hello */
  uint8_t tls;          /* it is there */
  uint8_t tls_verified; /* with a certificate of the peer that the host trusts */
  uint8_t watch;        /* EHLO_VIOLATION_EARLY_...: what octets would mean before `uncovered` is sent; 0: nothing */
  uint32_t uncovered;   /* octets of output up to the end of the greeting or EHLO answer */
  uint32_t hello_len;   /* of the name that is kept */
  uint32_t next_hello;  /* of the name that is being asked about, at the front of the line buffer; or over hello_size */
  uint32_t errors;
  uint32_t transactions;
  uint8_t authenticated; /* by AUTH */
  uint8_t authorized;    /* so, or by the host's word */
  uint8_t mechanism;     /* of that AUTH */
  uint8_t sasl;          /* EHLO_SASL_ of the exchange that goes on */
  uint8_t sasl_step;     /* STEP_ of server_auth.c */
  uint8_t sasl_name_len;
  uint8_t named;          /* the host has named the client since the exchange began */
  uint32_t identity_len;  /* of the name that was proved */
  uint32_t next_identity; /* of the one that is being proved */
  uint32_t mails;         /* MAIL and its kin, whatever became of them (RFC 9422 4.1) */
  uint64_t epoch;

  /* The queue of slots: a ring. */
  uint32_t first;
  uint32_t count;
  uint32_t next_ticket;
  uint32_t asking;   /* the ticket whose handler is running, else 0 */
  uint32_t handling; /* a handler is running */
  uint32_t visible;  /* behind this octet of the output nothing may be shown while a handler runs */

  /* The transaction. */
  uint8_t next_smtputf8; /* of the MAIL that is being asked about */
  uint8_t next_transid;  /* that MAIL has one, so it may be answered 355 */
  uint8_t resumed;       /* 355: the recipients are known from before (RFC 1845) */
  uint8_t smtputf8;
  uint8_t mail_verb;
  uint8_t next_body;    /* of the MAIL that is being asked about */
  uint8_t body;         /* EHLO_BODY_ */
  uint8_t chunking;     /* content comes by BDAT */
  uint8_t chunk_failed; /* nothing but the end of the transaction helps */
  uint8_t doomed;       /* a handler failed: everything in it is answered 451 */
  uint8_t paused;       /* BODY was deferred */
  uint8_t draining;     /* content is read but no longer handed out */
  uint8_t found;        /* FOUND_ bits: what the content has come to and was not dealt with, for BODY is paused */
  uint8_t fate;         /* EHLO_END_ reason that content earned by itself (too big, bare newline), else 0 */
  uint32_t recipients;
  uint32_t results_asked;   /* LMTP */
  uint32_t results_replied; /* LMTP; SMTP: 1 after the verdict */
  uint32_t results_good;
  uint64_t octets;

  struct chunk chunk;
  uint64_t skip;    /* octets of a refused BDAT that have not come */
  uint8_t skipping; /* such a BDAT waits for its reply */
  uint8_t skip_row; /* the row of that, REPLY_ROWS for none */

  ehlo_dot dot; /* its kernel is known from init on */
  struct line line;
  struct output output;
};

/* Changes when the struct or the meaning of a field does, and with the kind of machine. */
#define SERVER_VERSION ((uint64_t)0x65686C6F00000000U + 5 * 65536 + sizeof(void *) * 4096 + sizeof(struct ehlo_server))

/* ---- the parts of the block ---- */

static inline unsigned char *server_part(const ehlo_server *server, uint32_t at)
{
  return (unsigned char *)(uintptr_t)server + at;
}

static inline struct slot *server_slot(const ehlo_server *server, uint32_t index)
{
  return (struct slot *)(void *)server_part(server, server->slots_at) + index;
}

static inline ehlo_span server_hostname(const ehlo_server *server)
{
  return span_of(server_part(server, server->hostname_at), server->hostname_len);
}

/* The slot at the front of the queue, or NULL. */
static inline struct slot *server_front(const ehlo_server *server)
{
  return server->count == 0 ? NULL : server_slot(server, server->first);
}

/* What is on offer just now. */
static inline ehlo_capabilities server_offered(const ehlo_server *server)
{
  return server->offered & ~server->hidden;
}

static inline int server_offers(const ehlo_server *server, uint32_t extension)
{
  return capability_has(server_offered(server), extension);
}

/* EHLO_PARSE_ bits for the addresses of this session. */
static inline uint32_t server_parse_flags(const ehlo_server *server)
{
  return server_offers(server, EHLO_EXT_SMTPUTF8) ? EHLO_PARSE_UTF8 : 0;
}

static inline int server_in_transaction(const ehlo_server *server)
{
  return server->mail_verb != EHLO_VERB_NONE;
}

/* ---- server.c ---- */

/* Calls the host. The one place that does. Returns 0, or EHLO_FAIL_TRANSACTION, after which the open transaction is
 * doomed. If the host ended the session, the state is STATE_CLOSED on return, and nothing is called any more. */
int ehlo_server_emit(ehlo_server *server, ehlo_event *event);

/* Emits a VIOLATION. */
void ehlo_server_violation(ehlo_server *server, uint32_t kind, uint32_t verb, ehlo_span octets);

/* Changes the state. The one place that does. */
void ehlo_server_enter(ehlo_server *server, enum state state);

/* Forgets all that the client said: TLS or another client begins anew (RFC 3207 4.2). */
void ehlo_server_forget(ehlo_server *server);

/* Opens the transaction that `verb` asked for. */
void ehlo_server_open_transaction(ehlo_server *server, uint32_t verb);

/* Ends the open transaction, if there is one, with its END event, and goes back to STATE_IDLE. */
void ehlo_server_end_transaction(ehlo_server *server, uint32_t reason);

/* Begins to watch for octets that come before all that is queued now has been sent; `kind` is what that violates. */
void ehlo_server_watch(ehlo_server *server, uint32_t kind);

/* Ends the session in order: CANCELs, then END. Returns 1 if a last reply may follow, 0 if not: a reply of several
 * lines was left unfinished on the wire, the roles are reversed, or a handler ended it all meanwhile. */
int ehlo_server_close(ehlo_server *server, uint32_t reason);

/* ---- server_offer.c ---- */

/* A text of a config, or what stands for it; TEXT_. And of a session: it lives as long as the block stays. */
ehlo_span ehlo_config_text(const ehlo_server_config *config, unsigned text);
ehlo_span ehlo_server_text(const ehlo_server *server, unsigned text);

/* Are all of them well-formed and short enough? */
int ehlo_config_texts_are_legal(const ehlo_server_config *config);

/* Is the word, in any case, in a list of words with a space between? */
int ehlo_list_has(ehlo_span list, ehlo_span word);

/* The mechanisms of AUTH that are on offer now, as bits: those that show a secret only under TLS (RFC 4954 4). */
uint32_t ehlo_server_mechanisms(const ehlo_server *server);

/* TLS has come, or the session begins: finds anew what of the offer is hidden: STARTTLS under TLS, REQUIRETLS without,
 * AUTH without a mechanism. */
void ehlo_server_hide(ehlo_server *server);

/* The first line of an EHLO answer from number `from` on; HELLO_LINES if there is none. */
uint32_t ehlo_server_next_line(const ehlo_server *server, uint32_t from);

/* That line, keyword and parameters; in `buffer` of REPLY_LINE_MAX octets, or in the block. */
ehlo_span ehlo_server_line(const ehlo_server *server, uint32_t index, char *buffer);

/* ---- server_auth.c ---- */

/* The handler of AUTH. */
void ehlo_command_auth(ehlo_server *server, ehlo_span argument);

/* Deals with a line in STATE_AUTH; `result` as in ehlo_command_line. */
void ehlo_auth_line(ehlo_server *server, int result, ehlo_span line);

/* Wipes a line of so many octets from the line buffer, and what was decoded from it: it was dealt with, or never will
 * be. */
void ehlo_auth_wipe(ehlo_server *server, size_t size);

/* Nobody is logged in any more. */
void ehlo_auth_forget(ehlo_server *server);

/* A challenge or the verdict in the slot has been queued. */
void ehlo_auth_proceed(ehlo_server *server, const struct slot *slot);

/* ---- server_turn.c, server_peer.c ---- */

void ehlo_command_turn(ehlo_server *server);
void ehlo_command_etrn(ehlo_server *server, ehlo_span argument);
void ehlo_command_atrn(ehlo_server *server, ehlo_span argument);

/* The handler of XCLIENT and XFORWARD, and what follows from the 220 to XCLIENT. */
void ehlo_command_peer(ehlo_server *server, uint32_t verb, ehlo_span argument);
void ehlo_peer_proceed(ehlo_server *server);

/* ---- server_decisions.c ---- */

/* The slot that a ticket opens, if its answer is still awaited; else NULL. */
struct slot *ehlo_slot_find(const ehlo_server *server, uint32_t ticket);

/* Takes a place in the queue for the reply to `verb`; there must be one. */
struct slot *ehlo_slot_open(ehlo_server *server, uint32_t verb);

/* Gives a slot the reply of a row of the table, and writes it if it can. */
void ehlo_slot_answer(ehlo_server *server, struct slot *slot, unsigned row);

/* ehlo_slot_open and ehlo_slot_answer: what the library says by itself. */
void ehlo_server_say(ehlo_server *server, uint32_t verb, unsigned row);

/* Is what the host wants to say last legal? Returns as ehlo_server_shutdown. */
int ehlo_server_check_last(const ehlo_server *server, int code, const char *enhanced, ehlo_span text);

/* Says it; it was checked. */
void ehlo_server_say_last(ehlo_server *server, int code, const char *enhanced, ehlo_span text);

/* Asks the host by an event; slot->ticket becomes the event's. Gives the safe answer to silence. */
void ehlo_slot_ask(ehlo_server *server, struct slot *slot, ehlo_event *event);

/* Writes what of the front slot can be written now. */
void ehlo_slot_write(ehlo_server *server, struct slot *slot);

/* Is a reply line sure to fit the output? */
int ehlo_server_has_room(const ehlo_server *server);

/* CANCEL for every ticket that the host deferred; empties the queue, and marks it if a reply of several lines is left
 * unfinished on the wire. */
void ehlo_server_cancel(ehlo_server *server);

/* ---- server_commands.c ---- */

/* A violation by a line, and the reply to it. */
void ehlo_server_refuse(ehlo_server *server, uint32_t verb, uint32_t kind, ehlo_span octets, unsigned row);

/* Tells a violation that one leniency is about. Returns 1 if it is let through. */
int ehlo_server_lenient(ehlo_server *server, uint32_t verb, uint32_t kind, ehlo_span octets, int allowed);

/* Deals with a line: `result` is what ehlo_line_take said of it, `seen` the SEEN_ bits. */
void ehlo_command_line(ehlo_server *server, int result, ehlo_span line, unsigned seen);

/* The verb of a line, EHLO_VERB_LINE if it has none. */
uint32_t ehlo_command_verb(int result, ehlo_span line);

/* The reply in the slot has been queued: what follows from it for the session. */
void ehlo_command_proceed(ehlo_server *server, const struct slot *slot);

/* ---- server_envelope.c ---- */

/* The handlers of MAIL and its kin, and of RCPT. `seen`: the SEEN_ bits of the line. */
void ehlo_command_mail(ehlo_server *server, uint32_t verb, ehlo_span argument, unsigned seen);
void ehlo_command_rcpt(ehlo_server *server, ehlo_span argument, unsigned seen);

/* ---- server_content.c ---- */

/* BURL: content that the host fetches, as a chunk. */
void ehlo_content_burl(ehlo_server *server, ehlo_span url, int last);

/* A BURL was refused: its part of the message is missing, so the transaction has failed (RFC 4468 3.2). If it is not on
 * offer, only where the message had begun. */
void ehlo_content_missing(ehlo_server *server);

/* Behind 354: content begins. */
void ehlo_content_begin(ehlo_server *server);

/* BDAT with its argument; `row` is what refuses it before that is looked at, REPLY_ROWS for nothing. Whatever is wrong
 * with it, its octets are read as what they are. */
void ehlo_content_chunk(ehlo_server *server, ehlo_span argument, unsigned row);

/* Drops octets of a refused BDAT, and answers it behind them. Returns as ehlo_content_feed. */
int ehlo_content_skip(ehlo_server *server, size_t size, size_t *taken);

/* A chunk that was not the last has been answered. */
void ehlo_content_proceed_chunk(ehlo_server *server, const struct slot *slot);

/* Takes content. Returns 1 if the machine can go on, 0 if it needs more or must wait. */
int ehlo_content_feed(ehlo_server *server, const unsigned char *data, size_t size, size_t *taken);

/* STATE_VERDICT: asks for what can be asked. Returns as ehlo_content_feed. */
int ehlo_content_verdict(ehlo_server *server);

/* The verdict in the slot has been queued. Returns 1 if the same slot is to answer the next recipient too. */
int ehlo_content_proceed(ehlo_server *server, const struct slot *slot);

#endif
