/* ehlo/client.h: the sending machine, SMTP and LMTP.
 *
 * SPDX-License-Identifier: MIT
 *
 * Part of ehlo.h; include that.
 *
 * The loop of a host, once for each connection:
 *
 *     ehlo_client_hello(client, 0);
 *     while (!((want = ehlo_client_want(client)) & EHLO_WANT_CLOSE)) {
 *       while ((data = ehlo_client_output(client, &size)), size > 0) {
 *         count = write(fd, data, size);
 *         if (count < 0) ehlo_client_eof(client); else ehlo_client_sent(client, count);
 *       }
 *       if (want & EHLO_WANT_TLS) { // behind ehlo_client_starttls
 *         error = handshake(fd) == 0 ? ehlo_client_tls_done(client) : ehlo_client_eof(client);
 *       } else if (want & EHLO_WANT_FEED) { // where content goes by BDAT
 *         ehlo_client_feed(client, NULL, 0, &taken);
 *       } else if (want & EHLO_WANT_CONTENT) {
 *         if (held == 0 && (held = fread(at = message, 1, sizeof message, file)) == 0)
 *           error = ehlo_client_body_end(client);
 *         else
 *           error = ehlo_client_body(client, at, held, &taken), at += taken, held -= taken;
 *         if (error != EHLO_OK || ferror(file))
 *           ehlo_client_body_abort(client);
 *       } else if (!(want & EHLO_WANT_WRITE)) {
 *         count = read(fd, buffer, sizeof buffer);
 *         if (count > 0) ehlo_client_feed(client, buffer, count, &taken); else ehlo_client_eof(client);
 *       }
 *     }
 *
 * and in its handler:
 *
 *     HELLO            ehlo_client_mail(...); ehlo_client_rcpt(...); ehlo_client_data(...);
 *     REPLY over 399   ehlo_client_quit(...): where it is too early for that it is an error, and changes nothing
 *     END              ehlo_client_quit(...), or the next message
 *
 * Every command is a call. It is checked, written into the output at once, and released when the protocol allows:
 * what may stand together in a group goes out together where the server offered PIPELINING (RFC 2920), one command at a
 * time where it did not. The calls and the events are the same either way. A call that fails changes nothing, and not
 * one octet leaves.
 *
 * Events, in the order of the wire:
 *
 *     LINE       every line of a reply but the last
 *     REPLY      the last line of a reply: which command it answers, its tag, the code
 *     HELLO      behind the REPLY that opened the session: what the server offers is known; now is the time for MAIL
 *     CONTENT    behind the REPLY 354: now is the time for ehlo_client_body (not if the REPLY's handler gave it all)
 *     END        once for each MAIL, SEND, SOML, SAML that was called: how the transaction went
 *     CHALLENGE  in AUTH, in place of a REPLY 334: now is the time for ehlo_client_auth_respond
 *     VIOLATION  the server broke the protocol: the session is over
 *
 * The session has changed by the time that its REPLY is told: what it allows can be called in that handler already.
 *
 * Replies belong to commands by counting alone (RFC 2920 3.1), never by what they say.
 */
#ifndef EHLO_CLIENT_H
#define EHLO_CLIENT_H

#include "base.h"
#include "grammar.h"
#include "parameters.h"
#include "sasl.h"

#if !defined(EHLO_BINDING) && defined(__cplusplus)
extern "C" {
#endif

/* ---- limits and their defaults ---------------------------------------------------------------------------------- */

enum {
  /* The output buffer: commands, and the content given to ehlo_client_body. More lets a pipelined group leave in one
   * write. The longest command must fit: where `use` allows for more than output_size, it is as large as that, without
   * being asked; ehlo_client_size tells. All extensions together make up some 3,100 octets. */
  EHLO_CLIENT_DEFAULT_OUTPUT_SIZE = 4096,
  EHLO_CLIENT_MIN_OUTPUT_SIZE = 1024,
  EHLO_CLIENT_MAX_OUTPUT_SIZE = 16777216,
  /* Commands whose replies have not come yet. A server that reads a group before it answers holds that many replies
   * back, so this also keeps both ends from waiting for each other (RFC 2920 3.1). */
  EHLO_CLIENT_DEFAULT_MAX_COMMANDS = 64,
  EHLO_CLIENT_MAX_MAX_COMMANDS = 10000,
  /* LMTP: recipients of a transaction. Each will get a verdict of its own. */
  EHLO_CLIENT_DEFAULT_MAX_RECIPIENTS = 100,
  EHLO_CLIENT_MAX_MAX_RECIPIENTS = 1000000,
  /* The longest line of a reply, CRLF included. RFC 5321 4.5.3.1.5 has 512; servers have been seen to pass it. */
  EHLO_CLIENT_DEFAULT_MAX_REPLY_LINE = 1024,
  EHLO_CLIENT_MIN_REPLY_LINE = 512,
  EHLO_CLIENT_MAX_REPLY_LINE = 65536,
  /* Lines in one reply, and octets in all its lines together. Only HELP and EXPN have reason to be long. */
  EHLO_CLIENT_DEFAULT_MAX_REPLY_LINES = 1000,
  EHLO_CLIENT_DEFAULT_MAX_REPLY_SIZE = 65536,
  /* What is kept of the parameters that the server lists behind its keywords, in octets; three more for each keyword.
   * The block holds twice as much. What does not fit is as if it had not been said. */
  EHLO_CLIENT_DEFAULT_PARAMETERS_SIZE = 512,
  EHLO_CLIENT_MAX_PARAMETERS_SIZE = 65536,
  /* The longest line of an exchange of AUTH, either way, CRLF included: RFC 4954 4 finds that 12,288 suffice. Where
   * use[EHLO_EXT_AUTH] is set, as it is by default, output and the line of a reply have room for that; who never logs
   * in clears it and saves some 20,000 octets. */
  EHLO_CLIENT_DEFAULT_MAX_SASL_LINE = 12288,
  /* Challenges in an exchange that the host leads. After one more the library gives it up. */
  EHLO_CLIENT_MAX_CHALLENGES = 32,
  /* Seconds, as RFC 5321 4.5.3.2 recommends. */
  EHLO_CLIENT_DEFAULT_GREETING_TIMEOUT = 300, /* 4.5.3.2.1 */
  EHLO_CLIENT_DEFAULT_COMMAND_TIMEOUT = 300,  /* 4.5.3.2.2, 4.5.3.2.3 */
  EHLO_CLIENT_DEFAULT_DATA_TIMEOUT = 120,     /* 4.5.3.2.4: from DATA to 354 */
  EHLO_CLIENT_DEFAULT_CONTENT_TIMEOUT = 180,  /* 4.5.3.2.5: a piece of content */
  EHLO_CLIENT_DEFAULT_VERDICT_TIMEOUT = 600   /* 4.5.3.2.6: from the final dot to its reply */
};

/* When content goes out by BDAT in place of DATA (RFC 3030). */
enum {
  EHLO_CHUNKING_AUTO = 0,   /* where it must: with BODY=BINARYMIME */
  EHLO_CHUNKING_ALWAYS = 1, /* where the server offers it */
  EHLO_CHUNKING_NEVER = 2
};

/* ---- config ------------------------------------------------------------------------------------------------------ */

/* What a session is. Fill it with ehlo_client_config_init, then change what should be otherwise. The library copies
 * what it needs at init; nothing here has to live longer. New fields are appended. */
typedef struct ehlo_client_config {
  size_t struct_size; /* set by ehlo_client_config_init */

  ehlo_span hostname; /* this host, as HELO, EHLO and LHLO say it: a domain or an address literal. Required */
  uint32_t protocol;  /* EHLO_PROTOCOL_ */

  /* Which extensions are used if the server offers them: 1 at [EHLO_EXT_...]. By default all. What is 0 here counts as
   * not offered. */
  uint8_t use[EHLO_EXT_ROOM];

  /* Limits. Each default is above; 0 is legal only where it is said. */
  uint32_t output_size;      /* octets, at the least */
  uint32_t max_commands;     /* commands */
  uint32_t max_recipients;   /* LMTP: recipients */
  uint32_t max_reply_line;   /* octets, CRLF included */
  uint32_t max_reply_lines;  /* lines */
  uint32_t max_reply_size;   /* octets; at least max_reply_line */
  uint32_t parameters_size;  /* octets; 0 is legal */
  uint32_t max_sasl_line;    /* octets, CRLF included; within the same bounds as max_reply_line */
  uint32_t greeting_timeout; /* seconds; 0: none. So are the next four */
  uint32_t command_timeout;
  uint32_t data_timeout;
  uint32_t content_timeout;
  uint32_t verdict_timeout;

  /* Options, 0 by default. */
  uint8_t no_helo;         /* do not fall back to HELO where EHLO is not understood */
  uint8_t hold_data;       /* keep DATA back until every RCPT has its reply, where the server pipelines too */
  uint8_t pass_parameters; /* send parameters that the library does not know; else EHLO_ERR_NOT_OFFERED */
  uint8_t chunking;        /* EHLO_CHUNKING_ */
  uint8_t
      allow_plaintext_auth; /* log in without TLS by mechanisms that show the secret to whoever listens: PLAIN, LOGIN,
                               XOAUTH2, OAUTHBEARER. For tests, and sockets that leave no machine (RFC 4954 4) */
  uint8_t convert_lf; /* content comes with LF as line ending, as local files have it: a bare LF becomes CRLF. CRLF
                         stays as it is; a bare CR is refused as ever */

  /* The library's own: what ehlo_client_config_init found out about the processor. */
  uint8_t processor;
} ehlo_client_config;

/* Fills a config with defaults. `struct_size` is sizeof(ehlo_client_config) as the host was compiled. Returns EHLO_OK;
 * EHLO_ERR_ARGUMENT for NULL or a size too small to hold a config of version 0.1. */
EHLO_API int ehlo_client_config_init(ehlo_client_config *config, size_t struct_size);

/* ---- events ------------------------------------------------------------------------------------------------------ */

typedef struct ehlo_client ehlo_client;

enum {
  EHLO_CLIENT_EVENT_LINE = 1,
  EHLO_CLIENT_EVENT_REPLY = 2,
  EHLO_CLIENT_EVENT_HELLO = 3,
  EHLO_CLIENT_EVENT_CONTENT = 4,
  EHLO_CLIENT_EVENT_END = 5,
  EHLO_CLIENT_EVENT_VIOLATION = 6,
  EHLO_CLIENT_EVENT_CHALLENGE = 7
};

/* LINE and REPLY: a line of a reply; a reply of one line is just a REPLY. Whether a code means success is told by its
 * first digit, also for codes that nobody has heard of (RFC 5321 4.2): see ehlo_reply_is_temporary. A 2yz to RCPT
 * promises nothing yet: END tells how the transaction went. */
typedef struct ehlo_client_event_reply {
  uint32_t verb;     /* EHLO_VERB_: what is answered; CONNECT for the greeting, MESSAGE for the verdict on the message,
                        RESULT for that on one LMTP recipient, UNKNOWN for ehlo_client_command, NONE for a 421 that
                        answers nothing */
  uint32_t code;     /* 200 to 559 */
  uint32_t ordinal;  /* RCPT and RESULT: the recipient, counted from 0 in the order of the calls; else 0 */
  uint32_t number;   /* of the line, from 1; in REPLY so the count of lines */
  uint32_t fallback; /* REPLY: 1 if EHLO was not understood and HELO follows by itself, with the same tag */
  ehlo_enhanced enhanced; /* zero if there is none, or the server did not offer ENHANCEDSTATUSCODES (RFC 2034 5) */
  ehlo_span text;         /* behind code and enhanced code. Raw: it may hold control characters and octets above 127 */
  ehlo_span line;         /* all of it, without its CRLF. Raw */
  uint64_t offset;        /* REPLY 355 to MAIL with TRANSID: the octets of content that the server has (RFC 1845 3).
                             Whether the message has so many is for the host to see */
} ehlo_client_event_reply;

/* CONTENT: the server waits for the message. */
typedef struct ehlo_client_event_content {
  uint32_t recipients; /* accepted, at least 1; 0 where a transaction is resumed and only the server knows */
} ehlo_client_event_content;

/* END: a transaction is over; once for each that was called, unless a handler ended the session. ACCEPTED: the server
 * is responsible for the message, for every recipient that it accepted. MIXED (LMTP): for those whose RESULT was 2yz.
 * Anything else: for none. */
typedef struct ehlo_client_event_end {
  uint32_t reason;      /* EHLO_END_ */
  uint32_t recipients;  /* accepted */
  uint32_t code;        /* the reply that decided: to the message, to DATA, to MAIL, or a 421; else 451, as RFC 5321 3.8
                           has it for a connection that broke; 554 if every recipient was refused, whatever was said of
                           the message; 0 for RESET (or the refusal of RSET), SUPERSEDED, QUIT. In LMTP the last
                           RESULT: each has told its own */
  uint32_t needs_reset; /* 1 if the server still holds the transaction, and nothing has been called that clears it:
                           RSET before the next MAIL */
  ehlo_enhanced enhanced; /* of that reply */
} ehlo_client_event_end;

/* VIOLATION: the server broke a rule. What it has not answered yet has no answer; the open transactions END with
 * EHLO_END_FAILED behind this, and the session wants CLOSE; unless goes_on is set. (A refusal of content that comes
 * before all of it has been sent is told as what it is, a REPLY of MESSAGE and END with EHLO_END_REFUSED; the session
 * is over with it.) */
typedef struct ehlo_client_event_violation {
  uint32_t kind;    /* EHLO_VIOLATION_ */
  uint32_t verb;    /* what an answer was expected to; EHLO_VERB_NONE if nothing */
  ehlo_span octets; /* the line in question, as far as it was read; raw: escape it before it is shown */
  uint32_t goes_on; /* 1 if the session goes on after all: SASL, where AUTH was cancelled because of it */
} ehlo_client_event_violation;

/* CHALLENGE: the server wants to hear more (RFC 4954 4). Until the host responds no clock runs. (A 334 in several lines
 * is none: its lines are told as LINE, raw, and at the last the exchange is given up with a VIOLATION.) */
typedef struct ehlo_client_event_challenge {
  ehlo_span octets;  /* decoded from base64. Wiped from the block when the handler returns */
  uint32_t number;   /* of the challenge in this exchange, from 1 */
  uint32_t answered; /* 1 if the library has answered it by itself, out of the credentials or with what was to be said;
                        0: the host calls ehlo_client_auth_respond or ehlo_client_auth_cancel, now or later */
} ehlo_client_event_challenge;

typedef union ehlo_client_event_union {
  ehlo_client_event_reply reply; /* LINE, REPLY */
  ehlo_client_event_content content;
  ehlo_client_event_end end;
  ehlo_client_event_violation violation;
  ehlo_client_event_challenge challenge;
} ehlo_client_event_union;

/* An event. It, and every span in it, lives until the handler returns. HELLO has no data. */
typedef struct ehlo_client_event {
  uint32_t type; /* EHLO_CLIENT_EVENT_ */
  uint64_t tag;  /* LINE, REPLY, CHALLENGE: of the command that is answered (for MESSAGE that of DATA, or of the BURL
                    that ended the message, for RESULT that of RCPT); HELLO: of the hello; CONTENT: of DATA; END: of
                    MAIL; else 0 */
  ehlo_client_event_union as;
} ehlo_client_event;

/* The event callback. `user` is what was given at init. It returns EHLO_HANDLED; anything else is fatal. All calls on
 * this session are allowed inside it but those that call back themselves: feed, eof, timed_out, body_abort (they return
 * EHLO_ERR_REENTRANT). */
typedef int ehlo_client_event_fn(ehlo_client *client, const ehlo_client_event *event, void *user);

/* The name of an event for logs ("REPLY"). Static; "?" for none. */
EHLO_API const char *ehlo_client_event_name(uint32_t type);

/* ---- life -------------------------------------------------------------------------------------------------------- */

/* The octets of memory that a session with this config needs, 0 if the config is illegal or NULL. It follows from the
 * config alone. */
EHLO_API size_t ehlo_client_size(const ehlo_client_config *config);

/* Makes a session in the host's block of `size` octets at `memory`, aligned for max_align_t. *out becomes `memory`. No
 * event fires; the session waits for the server's greeting. The block holds everything; to destroy the session forget
 * the block. `user` may be NULL, nothing else. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_CONFIG, EHLO_ERR_MEMORY;
 * *out is NULL then (unless out is). */
EHLO_API int ehlo_client_init(ehlo_client **out, void *memory, size_t size, const ehlo_client_config *config,
                              ehlo_client_event_fn *on_event, void *user);

/* Takes up a session whose block was moved or copied, octet by octet, to `memory`: same library version, same kind of
 * machine, aligned. Sets callback and user anew. Pointers that ehlo_client_output gave are stale. No event fires.
 * Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_MEMORY, EHLO_ERR_VERSION. */
EHLO_API int ehlo_client_attach(ehlo_client **out, void *memory, size_t size, ehlo_client_event_fn *on_event,
                                void *user);

/* Gives the session `size` octets that arrived. *consumed tells how many it took: all, unless the session is in the
 * TURN state; then what follows belongs to the server machine that takes over. `data` is not kept. May fire every
 * event. Octets count as a reply only if the command had been covered by ehlo_client_sent: what comes earlier is
 * unsolicited. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_REENTRANT (*consumed 0), EHLO_ERR_HOST (everything
 * consumed). After the session wants CLOSE everything is consumed and ignored. */
EHLO_API int ehlo_client_feed(ehlo_client *client, const void *data, size_t size, size_t *consumed);

/* The octets to send, *size of them; NULL and 0 if there are none. They stay where they are, and more are only appended
 * behind them, until ehlo_client_sent, a command call, a body call, or a move of the block. No event fires. */
EHLO_API const void *ehlo_client_output(ehlo_client *client, size_t *size);

/* `size` octets of the output have been handed to the server; 0 is legal. More than there are, as what a write that
 * failed returned, is ignored. To be called before the answer to them is fed. No event fires. */
EHLO_API void ehlo_client_sent(ehlo_client *client, size_t size);

/* What the session is waiting for: a sum of EHLO_WANT_READ, WRITE, FEED, CONTENT, TLS, TURN, CLOSE. Pure. READ is shown
 * until TLS, TURN or CLOSE, so that a 421 and the end of the connection are noticed. */
EHLO_API uint32_t ehlo_client_want(const ehlo_client *client);

/* The server will send no more, or the connection broke. Every open transaction ENDs with EHLO_END_LOST (in LMTP with
 * EHLO_END_MIXED if some recipients have their 2yz: it counts, RFC 2033 5), and the session wants CLOSE. After the
 * reply to QUIT this is the ordinary end. May fire END. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_REENTRANT,
 * EHLO_ERR_HOST. */
EHLO_API int ehlo_client_eof(ehlo_client *client);

/* The clock that ehlo_client_timeout asked for has run out: as ehlo_client_eof, with EHLO_END_TIMED_OUT. */
EHLO_API int ehlo_client_timed_out(ehlo_client *client);

/* How many seconds the server may be silent now, 0 for as long as it likes (RFC 5321 4.5.3.2). *epoch, if not NULL, is
 * a number that changes whenever the clock is to start anew: a complete reply, output taken, content given; never
 * single lines or octets of a reply; it is never 0. There is no clock while the host is to act, unless octets wait to
 * be sent, or may: see ehlo_client_body_gather. Pure. */
EHLO_API uint32_t ehlo_client_timeout(const ehlo_client *client, uint64_t *epoch);

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* Common to all of them. `tag` is the host's own and comes back in the events of the reply. No event fires; nothing is
 * kept of what the pointers lead to. All return, beside what their comments say:
 *
 *   EHLO_OK             the command is in the output
 *   EHLO_ERR_ARGUMENT   client is NULL, or a parameter is out of its range
 *   EHLO_ERR_STATE      not now: see the command; never while a hello, STARTTLS, AUTH (but see there), QUIT, TURN,
 *                       ATRN or XCLIENT waits for its reply, nor from DATA to the end of the content, nor after the
 *                       session is over
 *   EHLO_ERR_SPACE      the output or max_commands is full: send, feed, and call again
 *   EHLO_ERR_SYNTAX     what was given is not of the grammar: CR, LF, NUL and all that could begin another command
 *                       are among it, and so are spaces around an argument
 *   EHLO_ERR_TOO_LONG   the line would be longer than 512 octets and what the offered extensions add to this command
 *                       (RFC 5321 4.5.3.1.4)
 *
 * Commands may be called before the greeting has come; if it refuses the session they are dropped without a reply, and
 * only QUIT is left (RFC 5321 4.1.4). */

/* EHLO, or LHLO in LMTP, with the config's hostname (RFC 5321 4.1.1.1, RFC 2033 4.1). If EHLO is answered 50z, and none
 * was accepted before, HELO follows by itself (RFC 5321 3.2), unless no_helo; the REPLY says so. After a 2yz, HELLO; an
 * open transaction ENDs then, and what the server offered before is forgotten. Legal whenever a command is. */
EHLO_API int ehlo_client_hello(ehlo_client *client, uint64_t tag);

/* HELO itself, for servers that are known to drop the connection at EHLO (RFC 1869 4.7). EHLO_ERR_STATE in LMTP. */
EHLO_API int ehlo_client_helo(ehlo_client *client, uint64_t tag);

/* MAIL FROM opens a transaction (RFC 5321 4.1.1.2). `path` is the reverse-path: "user@example.org", with or without
 * angle brackets; empty or "<>" for the null path. A source route is left out, a quoted local-part gets the least
 * quoting. `parameters` may be NULL; they are formatted as ehlo_format_mail_parameters does. Legal after HELLO when no
 * transaction is open (nor held by the server: see END), also while the verdict on the last message is still to come.
 *
 * What the server did not offer does not leave: SIZE and BODY=7BIT, which promise what holds anyhow, are left out, all
 * else is an error. In `others` what the library knows counts as if it stood in its field; the rest is let out with
 * pass_parameters. Returns also
 *
 *   EHLO_ERR_SIZE         more than the server's SIZE
 *   EHLO_ERR_8BITMIME     BODY=8BITMIME is not offered
 *   EHLO_ERR_SMTPUTF8     SMTPUTF8 is not offered, or the path needs it and it was not asked for
 *   EHLO_ERR_TLS          REQUIRETLS without TLS (RFC 8689 2). That the certificate was verified, and the name of the
 *                         mail exchange, the host vouches for: it says REQUIRETLS only then
 *   EHLO_ERR_NOT_OFFERED  BINARYMIME, DSN (for ENVID also MTRK), AUTH, REQUIRETLS, MT-PRIORITY, DELIVERBY,
 *                         FUTURERELEASE, NO-SOLICITING, MTRK, SUBMITTER, CONPERM or CHECKPOINT is needed, or what is
 *                         unknown is not let out. Whether the message then goes without (RFC 6710 4.3), back with a DSN
 *                         (RFC 3461 5.2.2, RFC 2852 4.1.4), or to another host, QUIT first (RFC 8689 4.2.1), is the
 *                         host's to decide
 *   EHLO_ERR_LIMIT        more MAILs on this connection than MAILMAX (RFC 9422 4.1); a hold beyond the maximum of
 *                         FUTURERELEASE (RFC 4865 5.1.1); BY with mode R below the minimum of DELIVERBY (RFC 2852
 *                         4.1.4.1)
 *
 * With TRANSID (RFC 1845) nothing can be called until MAIL is answered: by 250, or by 355, if the server has a part of
 * this message already. Then there is no RCPT any more, ehlo_client_data is next, and the content that is given begins
 * `offset` octets into the message (see REPLY). EHLO_ERR_ARGUMENT with BINARYMIME, and in LMTP.
 *
 * A notification (DSN, MDN) has no hold (RFC 4865 4.1), and a DSN no RET and no NOTIFY but NEVER (RFC 3461 6.1): the
 * host knows what it sends. */
EHLO_API int ehlo_client_mail(ehlo_client *client, ehlo_span path, const ehlo_mail_parameters *parameters,
                              uint64_t tag);

/* SEND, SOML and SAML FROM open a transaction as MAIL does (RFC 821 3.4); to terminals, or to terminals and mailboxes.
 * EHLO_ERR_NOT_OFFERED unless the server lists them; after HELO, which lists nothing, they are let out. */
EHLO_API int ehlo_client_send(ehlo_client *client, ehlo_span path, const ehlo_mail_parameters *parameters,
                              uint64_t tag);
EHLO_API int ehlo_client_soml(ehlo_client *client, ehlo_span path, const ehlo_mail_parameters *parameters,
                              uint64_t tag);
EHLO_API int ehlo_client_saml(ehlo_client *client, ehlo_span path, const ehlo_mail_parameters *parameters,
                              uint64_t tag);

/* RCPT TO adds a recipient (RFC 5321 4.1.1.3). `path` as in ehlo_client_mail, but for the null path; "postmaster" may
 * stand without a domain. `parameters` may be NULL; as in ehlo_client_mail, what the server did not offer is an error.
 * Legal in a transaction. Returns also EHLO_ERR_REFUSED (MAIL has been refused: END comes when the replies to what is
 * still out have); EHLO_ERR_SMTPUTF8 (the path, or an ORCPT, is in UTF-8, and the transaction is not: only the form of
 * 7 bits that RFC 6533 3 has goes out then); EHLO_ERR_NOT_OFFERED (DSN, for ORCPT also MTRK, RRVS or CONNEG is needed,
 * or what is unknown is not let out); EHLO_ERR_LIMIT (more in this transaction than RCPTMAX; those that failed count
 * too: RFC 9422 4.2); EHLO_ERR_TOO_LONG past max_recipients in LMTP. */
EHLO_API int ehlo_client_rcpt(ehlo_client *client, ehlo_span path, const ehlo_rcpt_parameters *parameters,
                              uint64_t tag);

/* DATA (RFC 5321 4.1.1.4), or where content goes by BDAT nothing yet: CONTENT comes as soon as every RCPT has its reply
 * (if they have, ehlo_client_want shows FEED: call ehlo_client_feed with no octets), and if all are refused, END. Legal
 * in a transaction in which RCPT has been called. If all recipients are refused and 354 comes nevertheless, the library
 * ends the content by itself, empty, and the transaction ENDs REFUSED (RFC 2920 3.1). After a refusal of DATA the
 * transaction ENDs. Returns also EHLO_ERR_REFUSED: MAIL, or every RCPT, has been refused already (in the second case
 * the transaction waits for RSET or QUIT). */
EHLO_API int ehlo_client_data(ehlo_client *client, uint64_t tag);

/* RSET ends the open transaction, if there is one (RFC 5321 4.1.1.5), and what the server still holds of one that has
 * ENDed (needs_reset). */
EHLO_API int ehlo_client_rset(ehlo_client *client, uint64_t tag);

/* VRFY and EXPN (RFC 5321 4.1.1.6, 4.1.1.7): part of SMTP itself, so they, as HELP, need no offer. `argument` is a user
 * name, mailbox or list, not empty, printable; with `smtputf8` UTF-8 too, and so may the answer be (RFC 6531 3.7.4.2).
 * Returns also EHLO_ERR_SMTPUTF8. */
EHLO_API int ehlo_client_vrfy(ehlo_client *client, ehlo_span argument, int smtputf8, uint64_t tag);
EHLO_API int ehlo_client_expn(ehlo_client *client, ehlo_span argument, int smtputf8, uint64_t tag);

/* HELP and NOOP (RFC 5321 4.1.1.8, 4.1.1.9). `argument` is printable ASCII and may be empty. */
EHLO_API int ehlo_client_help(ehlo_client *client, ehlo_span argument, uint64_t tag);
EHLO_API int ehlo_client_noop(ehlo_client *client, ehlo_span argument, uint64_t tag);

/* QUIT (RFC 5321 4.1.1.10): the last command. When it is answered, by whatever code, the session wants CLOSE. */
EHLO_API int ehlo_client_quit(ehlo_client *client, uint64_t tag);

/* TURN (RFC 821 3.8). After a 2yz the session wants TURN: it takes no more octets, and the host, once all is written,
 * starts a server machine on this connection, which greets; see ehlo_server_init. RFC 5321 F.1 tells what must be known
 * about the peer before. Legal after HELLO, outside of transactions. Returns also EHLO_ERR_NOT_OFFERED, as for SEND. */
EHLO_API int ehlo_client_turn(ehlo_client *client, uint64_t tag);

/* STARTTLS (RFC 3207). After a 2yz the session wants TLS: the host does the handshake and calls ehlo_client_tls_done.
 * Octets behind the reply, in whichever read, are a VIOLATION. Legal after HELLO, outside of transactions, if TLS is
 * not there. Returns also EHLO_ERR_NOT_OFFERED. */
EHLO_API int ehlo_client_starttls(ehlo_client *client, uint64_t tag);

/* TLS is there: everything that the server said before is forgotten, what it offers too; ehlo_client_hello is next (RFC
 * 3207 4.2). If the handshake fails the host closes and calls ehlo_client_eof. Before the greeting, of which no octet
 * has come then, it says that TLS was there first (RFC 8314 3.3). No event fires. Returns EHLO_OK, EHLO_ERR_ARGUMENT,
 * EHLO_ERR_STATE, EHLO_ERR_REENTRANT. */
EHLO_API int ehlo_client_tls_done(ehlo_client *client);

/* AUTH (RFC 4954): who is there, by PLAIN, LOGIN, EXTERNAL, XOAUTH2 or OAUTHBEARER. The library leads the exchange;
 * each CHALLENGE is told, and answered already. An initial response goes out with AUTH unless the line would pass 512
 * octets (RFC 4954 4). Nothing can be called until it is answered, but behind PLAIN and EXTERNAL with an initial
 * response: they may stand in a group with what follows, which is then said whether AUTH succeeds or not.
 *
 * Its REPLY is 235, or a refusal: then other credentials may be tried, or the session goes on without. What the server
 * offers may change: ehlo_client_hello asks. Layers of SASL are not supported: a mechanism that would begin one is not
 * for this library.
 *
 * Legal after HELLO, outside of transactions, and not after success. `credentials` is read while this is called. What
 * is made of it waits in the block until it is sent, and is wiped then. A challenge that is not base64, more than one
 * line, or one too many is answered by "*", which cancels, and told as a VIOLATION that goes on; another behind that
 * ends the session. Returns also
 *
 *   EHLO_ERR_NOT_OFFERED  the server does not list the mechanism
 *   EHLO_ERR_TLS          the mechanism shows the secret, there is no TLS, and allow_plaintext_auth is not set
 *   EHLO_ERR_TEXT, EHLO_ERR_ARGUMENT  as ehlo_sasl_encode; for LOGIN, NUL in authcid or secret, or one of them empty
 *   EHLO_ERR_TOO_LONG     a line would pass max_sasl_line, or all of it together the output */
EHLO_API int ehlo_client_auth(ehlo_client *client, const ehlo_credentials *credentials, uint64_t tag);

/* The same by any mechanism, of which the host makes the responses: `mechanism` is its name, in any case. `initial` are
 * the octets of an initial response, which may be empty, or NULL for none; one for CRAM-MD5 or LOGIN, where the server
 * speaks first, is EHLO_ERR_ARGUMENT. If the line would be too long it is kept, and answers the first CHALLENGE. Behind
 * each other CHALLENGE the host responds; after EHLO_CLIENT_MAX_CHALLENGES of them the library cancels. Returns as
 * ehlo_client_auth; EHLO_ERR_SYNTAX for what is no name. A mechanism that the library does not know is looked for in
 * what ehlo_client_parameters gives. */
EHLO_API int ehlo_client_auth_begin(ehlo_client *client, ehlo_span mechanism, const ehlo_span *initial, uint64_t tag);

/* Answers a CHALLENGE whose `answered` was 0 with these octets, which may be none; they become base64 here, and are
 * wiped from the block once they are sent. No event fires. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_STATE,
 * EHLO_ERR_TOO_LONG (past max_sasl_line), EHLO_ERR_SPACE (drain and call again). */
EHLO_API int ehlo_client_auth_respond(ehlo_client *client, ehlo_span octets);

/* Answers it with "*": the exchange is given up, and the server says 501 (RFC 4954 4); a 2yz is a VIOLATION. No event
 * fires. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_STATE. */
EHLO_API int ehlo_client_auth_cancel(ehlo_client *client);

/* ETRN (RFC 1985): the server is asked to begin to send what it has for a host, over a connection of its own. `node` is
 * a domain, "@" and a domain (its subdomains too), or "#" and the name of a queue. A 4yz concerns this node; after a
 * 5yz the server counts as not having ETRN, until the next hello (RFC 1985 5.2). Legal after HELLO, outside of
 * transactions. Returns also EHLO_ERR_NOT_OFFERED. */
EHLO_API int ehlo_client_etrn(ehlo_client *client, ehlo_span node, uint64_t tag);

/* ATRN (RFC 2645): the same over this connection, for whom AUTH has said to be there. `domains` is a list with commas,
 * or empty for all that are this host's; each has two labels at least. After a 2yz the session wants TURN, as behind
 * ehlo_client_turn. 453 (no mail), 450 (not for all of these domains), 530 (AUTH first) are replies like others. Legal
 * after HELLO, outside of transactions. Returns also EHLO_ERR_NOT_OFFERED. */
EHLO_API int ehlo_client_atrn(ehlo_client *client, ehlo_span domains, uint64_t tag);

/* BURL (RFC 4468): content that the server fetches from `url`, an absolute URI. With `last` it ends the message: either
 * in place of DATA, in a transaction in which RCPT has been called, or from CONTENT on where that goes by BDAT. Then
 * the verdict is the REPLY of MESSAGE, with the tag that is given here, and END; nothing can be called until it has
 * come (RFC 4468 3.2), and after a refusal the server may still hold the transaction (needs_reset). Without `last` it
 * is one chunk of several, only from CONTENT on; its REPLY is that of BURL, and all else as for a chunk by
 * ehlo_client_body. Whether PIPELINING lets it follow RCPT at once hold_data says, as for DATA. EHLO_ERR_STATE in LMTP.
 * Returns also EHLO_ERR_NOT_OFFERED, EHLO_ERR_REFUSED (as ehlo_client_data; in content, a chunk was refused),
 * EHLO_ERR_BARE_NEWLINE (the piece before ended in a CR). */
EHLO_API int ehlo_client_burl(ehlo_client *client, ehlo_span url, int last, uint64_t tag);

/* XCLIENT (Postfix): tells a server that trusts this host whom it stands for. `attributes` is a list as
 * ehlo_attribute_next reads it ("NAME=spike.example ADDR=192.0.2.1"), values in xtext. After a 2yz the session is as
 * behind the greeting: everything that the server said, and who had logged in, is forgotten, and ehlo_client_hello is
 * next. Legal after HELLO, outside of transactions. Returns also EHLO_ERR_NOT_OFFERED, for an attribute too that the
 * server does not list. */
EHLO_API int ehlo_client_xclient(ehlo_client *client, ehlo_span attributes, uint64_t tag);

/* XFORWARD (Postfix): the same for the server's log alone: nothing changes. */
EHLO_API int ehlo_client_xforward(ehlo_client *client, ehlo_span attributes, uint64_t tag);

/* A command that the library does not know: `verb`, a word of letters, digits and hyphens, a space and the printable
 * ASCII argument, if there is one. It stands last in its group (RFC 2920 3.1). EHLO_ERR_ARGUMENT also for a verb that
 * the library knows: it has a function of its own. A 3yz to it is a violation. Not for verbs that change how the octets
 * behind them are read (BDAT, STARTTLS): the library would not know. */
EHLO_API int ehlo_client_command(ehlo_client *client, ehlo_span verb, ehlo_span argument, uint64_t tag);

/* ---- content ----------------------------------------------------------------------------------------------------- */

/* From CONTENT on, while ehlo_client_want shows CONTENT. Content has CRLF line endings (or, with convert_lf, LF), no
 * bare CR; dots are stuffed here. Octets above 127 need BODY=8BITMIME in MAIL. No event fires.
 *
 * By BDAT (RFC 3030) each call makes a chunk of what it takes, without dots. It may take nothing while replies to
 * chunks are still to come; ehlo_client_want shows no CONTENT then. If a chunk is refused the calls return
 * EHLO_ERR_REFUSED, and the transaction ENDs when the chunks that are out have been answered. Text is held to the same
 * line endings and its last line completed; with BODY=BINARYMIME every octet goes as it is. */

/* Takes the next piece of content, `size` octets, into the output; *taken tells how many went in: fewer than `size`, or
 * none, when the output is full: send some, and give the rest. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_STATE,
 * EHLO_ERR_BARE_NEWLINE (a CR, or without convert_lf an LF, that is not part of a CRLF), EHLO_ERR_8BITMIME. After the
 * last two *taken counts what went in before, the message cannot be completed any more: all body calls return the same
 * again, and ehlo_client_body_abort is left. */
EHLO_API int ehlo_client_body(ehlo_client *client, const void *data, size_t size, size_t *taken);

/* The same without a copy: writes at most `max` spans, at least 8, to `spans`, and sets *count to how many. They point
 * into `data` and to static storage, fit for writev, and are to be sent before anything else of this session: the
 * output must be empty, or EHLO_ERR_SPACE. *taken is fewer than `size` when the list is full. Returns as
 * ehlo_client_body; after an error *count may be above 0: what came before it. With convert_lf there are two spans a
 * line: ehlo_client_body is less work then. The library does not see these spans go: until the next body call its clock
 * (ehlo_client_timeout) runs on, and the host stops it if it has sent them and has nothing to give. */
EHLO_API int ehlo_client_body_gather(ehlo_client *client, const void *data, size_t size, size_t *taken,
                                     ehlo_span *spans, size_t max, size_t *count);

/* The content is complete: adds the CRLF that the last line may lack, and the final dot. The verdict comes as the REPLY
 * of MESSAGE, or in LMTP of RESULT for each accepted recipient; then END. Returns EHLO_OK, EHLO_ERR_ARGUMENT,
 * EHLO_ERR_STATE, EHLO_ERR_BARE_NEWLINE (it ended in a CR, or as the piece before), EHLO_ERR_8BITMIME (as the piece
 * before), EHLO_ERR_REFUSED (a chunk was refused), EHLO_ERR_SPACE (drain, let the chunks be answered, and call again).
 */
EHLO_API int ehlo_client_body_end(ehlo_client *client);

/* The content cannot be given. If DATA is still held back, not among what ehlo_client_output shows, it is taken back,
 * and the transaction stands as before it. Else nothing but closing the connection keeps the server from taking the
 * half for the whole: what waits to be sent is dropped, the transaction ENDs with EHLO_END_FAILED, and the session
 * wants CLOSE. May fire END. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_STATE before DATA and after body_end,
 * EHLO_ERR_REENTRANT, EHLO_ERR_HOST. */
EHLO_API int ehlo_client_body_abort(ehlo_client *client);

/* ---- getters ----------------------------------------------------------------------------------------------------- */

/* All are pure, and answer NULL with nothing. */

/* Is the extension on offer, by the last EHLO or LHLO, and used (`use` of the config)? 1 or 0. */
EHLO_API int ehlo_client_offers(const ehlo_client *client, uint32_t extension);

/* The octets of a message that the server takes at most, as SIZE says; 0 if it does not say (RFC 1870 3). */
EHLO_API uint64_t ehlo_client_size_limit(const ehlo_client *client);

/* What the server listed behind an extension's keyword, as it is spelt, without spaces around it: the mechanisms of
 * AUTH, the policy of MT-PRIORITY, the keywords of NO-SOLICITING, the arguments of BURL, the attributes of XCLIENT and
 * XFORWARD. Of a keyword on two lines the last counts. Empty if that is nothing, if the extension is not on offer, or
 * if it found no room (parameters_size). The span lies in the block: it is stale after the next hello,
 * ehlo_client_tls_done, or a move. */
EHLO_API ehlo_span ehlo_client_parameters(const ehlo_client *client, uint32_t extension);

/* The mechanisms of AUTH that the library knows and the server listed, as bits: 1 << EHLO_SASL_PLAIN (RFC 4954 3).
 * Those of a line "AUTH=LOGIN PLAIN", as it was before there was an RFC, count too. */
EHLO_API uint32_t ehlo_client_mechanisms(const ehlo_client *client);

/* The least time that BY may have with mode R, in seconds; 0 if the server does not say (RFC 2852 2). */
EHLO_API uint32_t ehlo_client_by_min(const ehlo_client *client);

/* The longest time that a message can be held, in seconds, and the last moment up to which it can, in seconds since
 * 1970-01-01 00:00 UTC (RFC 4865 3). A server that does not say both does not offer FUTURERELEASE. 0 without it. */
EHLO_API uint32_t ehlo_client_hold_max(const ehlo_client *client);
EHLO_API int64_t ehlo_client_hold_until_max(const ehlo_client *client);

/* What the last hello said in LIMITS (RFC 9422 4); 0 if it did not say. MAILMAX: MAILs on this connection, RCPTMAX:
 * RCPTs in a transaction, refused ones too; the library holds the host to both. RCPTDOMAINMAX: different domains in all
 * recipients of this session; the library keeps no addresses, so it is for the host to obey. */
EHLO_API uint32_t ehlo_client_mail_max(const ehlo_client *client);
EHLO_API uint32_t ehlo_client_rcpt_max(const ehlo_client *client);
EHLO_API uint32_t ehlo_client_rcpt_domain_max(const ehlo_client *client);

/* The verb of the hello that opened the session; EHLO_VERB_NONE before. */
EHLO_API uint32_t ehlo_client_hello_verb(const ehlo_client *client);

/* Has AUTH succeeded since the connection was made, or TLS? 1 or 0. */
EHLO_API int ehlo_client_authenticated(const ehlo_client *client);

/* Is the session under TLS? 1 or 0. */
EHLO_API int ehlo_client_tls(const ehlo_client *client);

/* How many commands wait for their replies. */
EHLO_API uint32_t ehlo_client_pending(const ehlo_client *client);

/* What ended the session, if the server broke the protocol: EHLO_VIOLATION_; else 0. */
EHLO_API uint32_t ehlo_client_violation(const ehlo_client *client);

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
