/* ehlo/server.h: the receiving machine, SMTP and LMTP.
 *
 * SPDX-License-Identifier: MIT
 *
 * Part of ehlo.h; include that.
 *
 * The loop of a host, once for each connection:
 *
 *     ehlo_server_start(server);
 *     for (held = 0;;) {
 *       while ((data = ehlo_server_output(server, &size)), size > 0) {
 *         count = write(fd, data, size);
 *         if (count < 0) ehlo_server_lost(server); else ehlo_server_sent(server, count);
 *       }
 *       want = ehlo_server_want(server);
 *       if (want & EHLO_WANT_CLOSE) break;
 *       if (want & EHLO_WANT_READ) {
 *         held = read(fd, at = buffer, sizeof buffer);
 *         if (held <= 0) { ehlo_server_eof(server); held = 0; continue; }
 *       } else if (!(want & EHLO_WANT_FEED)) {
 *         ... wait until the peer takes output, or a verdict that was put off is there ...
 *         continue;
 *       }
 *       ehlo_server_feed(server, at, held, &consumed);
 *       at += consumed, held -= consumed;
 *     }
 *
 * Events, in the order of a session:
 *
 *     CONNECT                                         once, from ehlo_server_start
 *     COMMAND, then the event that the command has    for every line that has a verb
 *     HELLO                                           HELO, EHLO, LHLO
 *     MAIL, RCPT ..., DATA                            the transaction
 *     BODY ..., then MESSAGE, or in LMTP RESULT ...   its content and verdict
 *     END                                             once for each MAIL that was accepted
 *     AUTH, STEP                                      the exchange of AUTH
 *     BURL                                            content that the host is to fetch
 *     VRFY, EXPN, HELP, TURN, STARTTLS, UNKNOWN,      commands that ask the host
 *     ETRN, ATRN, XCLIENT, XFORWARD
 *     REPLY                                           for every reply, in the order of the wire
 *     VIOLATION                                       for every breach of the protocol, before its reply
 *     CANCEL                                          for each deferred ticket that became pointless
 *
 * An event that asks carries a ticket, never the same twice (in 2^32 asks). In its handler, or whenever it knows, the
 * host answers with ehlo_server_reply or ehlo_server_accept; if it does not know yet it calls ehlo_server_defer in the
 * handler. If it does neither, the safe answer is given when the handler returns. Answers go out in the order in which
 * things were asked.
 */
#ifndef EHLO_SERVER_H
#define EHLO_SERVER_H

#include "base.h"
#include "grammar.h"
#include "parameters.h"
#include "sasl.h"

#if !defined(EHLO_BINDING) && defined(__cplusplus)
extern "C" {
#endif

/* ---- limits and their defaults ---------------------------------------------------------------------------------- */

enum {
  /* The longest command line, CRLF included. Never less than 512 plus the increments of the extensions that the config
   * offers (RFC 5321 4.5.3.1.4); twice that leaves room for parameters that nobody has thought of yet. */
  EHLO_DEFAULT_MAX_COMMAND_LINE = 1024,
  EHLO_MIN_COMMAND_LINE = 512,
  EHLO_MAX_COMMAND_LINE = 65536,
  /* The output buffer. One reply line (512, RFC 5321 4.5.3.1.5) must fit; two let a batch of replies leave in few
   * writes. */
  EHLO_DEFAULT_OUTPUT_SIZE = 1024,
  EHLO_MIN_OUTPUT_SIZE = 512,
  EHLO_MAX_OUTPUT_SIZE = 1048576,
  /* How many RCPTs, or LMTP verdicts, can be with the host at once. One is the simplest to write a host for. Fewer are,
   * where those that are out could cross max_recipients or max_errors, whatever the verdicts. */
  EHLO_DEFAULT_MAX_PENDING = 1,
  EHLO_MAX_MAX_PENDING = 10000,
  /* The text of an answer that must wait for its turn or for room. An ordinary sentence fits. */
  EHLO_DEFAULT_PENDING_TEXT = 128,
  EHLO_MIN_PENDING_TEXT = 64,
  EHLO_MAX_PENDING_TEXT = 4096,
  /* The name of HELO or EHLO that ehlo_server_hello can tell: a domain has at most 255 octets (RFC 5321 4.5.3.1.2). */
  EHLO_DEFAULT_HELLO_SIZE = 255,
  EHLO_MAX_HELLO_SIZE = 1024,
  /* Recipients of a transaction. RFC 5321 4.5.3.1.8 demands 100; public servers have settled on 1,000. */
  EHLO_DEFAULT_MAX_RECIPIENTS = 1000,
  /* Replies of 500 to 599 since the last accepted message, verdicts on messages not counted, after which the session
   * ends with 421. A person who types makes fewer; a harvester of addresses makes more (RFC 5321 7.8). */
  EHLO_DEFAULT_MAX_ERRORS = 20,
  /* Seconds that the peer may take for its next command, or for more content (RFC 5321 4.5.3.2.7: at least 5 minutes).
   */
  EHLO_DEFAULT_COMMAND_TIMEOUT = 300,
  EHLO_DEFAULT_CONTENT_TIMEOUT = 300,
  /* Where AUTH is offered: octets of the name that ehlo_server_identity can tell. RFC 4616 2 asks for 255. */
  EHLO_IDENTITY_SIZE = 255
};

/* ---- config ------------------------------------------------------------------------------------------------------ */

/* What a session is and allows. Fill it with ehlo_server_config_init, then change what should be otherwise. The
 * library copies what it needs at init; nothing here has to live longer. New fields are appended. */
typedef struct ehlo_server_config {
  size_t struct_size; /* set by ehlo_server_config_init */

  ehlo_span hostname; /* this host: a domain or an address literal. Required */
  uint32_t protocol;  /* EHLO_PROTOCOL_ */

  /* Which extensions and optional verbs are offered: 1 at [EHLO_EXT_...]. By default PIPELINING, SIZE, 8BITMIME,
   * ENHANCEDSTATUSCODES, SMTPUTF8, HELP and CHUNKING. LMTP demands the first and the fourth, SMTPUTF8 and BURL demand
   * 8BITMIME, BINARYMIME demands CHUNKING. STARTTLS, REQUIRETLS and AUTH are listed where TLS and `mechanisms` let
   * them: offer them, and they show when they can be had. */
  uint8_t offer[EHLO_EXT_ROOM];

  /* Limits. Each default is above; 0 is legal only where it is said. */
  uint32_t max_command_line; /* octets, CRLF included; raised by itself to what the extensions on offer need */
  uint32_t output_size;      /* octets */
  uint32_t max_pending;      /* tickets */
  uint32_t pending_text;     /* octets */
  uint32_t hello_size;       /* octets; 0 keeps no name */
  uint32_t max_recipients;   /* a transaction; at least 1. RFC 5321 asks for 100 or more */
  uint32_t max_errors;       /* 0: no limit */
  uint32_t command_timeout;  /* seconds; 0: none */
  uint32_t content_timeout;  /* seconds; 0: none */
  uint64_t max_message_size; /* octets of content after un-stuffing, what SIZE says; 0: no limit */

  /* What extensions tell of themselves in the EHLO answer. Texts have at most 384 octets, `own_keywords` 3,072 and 100
   * lines of at most 384. */
  uint32_t mechanisms; /* AUTH: bits 1 << EHLO_SASL_; those that show a secret and the -PLUS are for TLS, EXTERNAL for
                          TLS with a client that was verified */
  ehlo_span other_mechanisms; /* AUTH: the names of others, a space between; the host makes and reads all they say */
  uint32_t max_transactions;  /* MAILs of a session, refused ones too; then 452. LIMITS: MAILMAX. 0: no limit */
  uint32_t max_rcpt_domains;  /* LIMITS: RCPTDOMAINMAX. 0: none. The host's to hold: the library keeps no addresses */
  uint32_t deliver_by_min;    /* DELIVERBY: seconds; BY with R and less gets 555. 0: none (RFC 2852 3) */
  uint32_t hold_max;          /* FUTURERELEASE: seconds, 1 to 999,999,999; more gets 501 (RFC 4865 3) */
  int64_t hold_max_time;      /* FUTURERELEASE: seconds since 1970-01-01 00:00 UTC; later gets 501 */
  ehlo_span priority_policy;  /* MT-PRIORITY: the name of the policy, or empty (RFC 6710 7) */
  ehlo_span solicit;          /* NO-SOLICITING: keywords, a comma between, or empty (RFC 3865 2.2) */
  ehlo_span burl;             /* BURL: "imap", "imap://server", a space between, or empty (RFC 4468 3.5) */
  ehlo_span xclient;          /* XCLIENT: attribute names, a space between; empty for all that Postfix knows */
  ehlo_span xforward;         /* XFORWARD: the same */

  /* The host's own. Names have letters, digits and hyphens, and are none that the library knows. */
  ehlo_span own_keywords;        /* lines of the EHLO answer, keyword and parameters, an LF between each two */
  ehlo_span own_verbs;           /* a space between; come as UNKNOWN, without a VIOLATION */
  ehlo_span own_mail_parameters; /* a space between; let through, the host finds them in `raw` */
  ehlo_span own_rcpt_parameters;

  /* Options. */
  uint8_t submission;   /* this is a submission server (RFC 6409): addresses need full domains (554), FUTURERELEASE and
                           BURL may be offered, ETRN and ATRN may not */
  uint8_t require_auth; /* 530 to all but AUTH, EHLO, HELO, NOOP, RSET, QUIT and STARTTLS until somebody is logged in or
                           ehlo_server_authorize was called (RFC 4954 6) */
  uint8_t odmr;         /* on-demand relay, port 366: 502 to what is not AUTH or ATRN, nor one of those; both must be
                           on offer (RFC 2645 5) */
  uint8_t expn_252;     /* EXPN that is not offered gets 252 in place of 502 (RFC 5321 7.3) */
  uint8_t require_tls;  /* 530 to everything but NOOP, EHLO, STARTTLS and QUIT until TLS is there (RFC 3207 4). Not for
                           servers that an MX names */
  uint8_t pass_parameters; /* unknown parameters of MAIL and RCPT reach the host in place of 555 */
  /* Leniencies, 0 by default. Each use of one is still a VIOLATION event. */
  uint8_t allow_bare_newline; /* pass bare CR and LF of content through unchanged, never as line endings, in place of
                                   refusing the message. Danger: a next hop may take them for line endings, and a
                                   message smuggled within this one comes out there */
  uint8_t allow_space_after_colon; /* "MAIL FROM: <a@b>". Danger: none known; other hosts may refuse it */
  uint8_t allow_bare_address; /* "MAIL FROM:a@b", without brackets. Danger: what follows may be read as address or as
                                   parameters by different programs */
  uint8_t allow_extra_spaces; /* several spaces between verb and argument, or before parameters, as in RFC 821.
                                   Danger: programs differ in what they take for the argument */
  uint8_t allow_underscore; /* "_" in domains. Danger: such names cannot be host names, so replies may not reach them */
  uint8_t allow_any_hello; /* HELO and EHLO with any printable word, or a literal after HELO. Danger: the name goes into
                                   logs and trace fields as it came */
  uint8_t allow_8bit_orcpt; /* ORCPT whose xtext stands for octets above 127, as "rfc822;b+C3+BC@example.org" of Postfix
                                   3.7 for an address in UTF-8: RCPT goes on as if it were not there; `raw` has it.
                                   Danger: notifications cannot name the original recipient */
  uint8_t allow_plaintext_auth; /* mechanisms of AUTH that show the secret are offered without TLS too. Danger: whoever
                                   listens has the password (RFC 4954 4) */

  /* The library's own: what ehlo_server_config_init found out about the processor. Asking is slow on virtual machines;
   * a config serves many sessions. */
  uint8_t processor;
} ehlo_server_config;

/* Fills a config with the defaults of a good public server. `struct_size` is sizeof(ehlo_server_config) as the host was
 * compiled. Returns EHLO_OK; EHLO_ERR_ARGUMENT for NULL or a size too small to hold a config of version 0.1. */
EHLO_API int ehlo_server_config_init(ehlo_server_config *config, size_t struct_size);

/* What a server is for. */
enum {
  EHLO_PRESET_MX = 0,         /* takes mail for its own domains from anybody: as ehlo_server_config_init */
  EHLO_PRESET_SUBMISSION = 1, /* takes mail from its own users (RFC 6409): AUTH by PLAIN and LOGIN under TLS, STARTTLS,
                                 DSN; nothing but a login before the login */
  EHLO_PRESET_LMTP = 2        /* takes mail for its own mailboxes from a server beside it (RFC 2033) */
};

/* The same with the defaults of such a server. Returns as ehlo_server_config_init; EHLO_ERR_ARGUMENT also for another
 * number. */
EHLO_API int ehlo_server_config_preset(ehlo_server_config *config, size_t struct_size, uint32_t preset);

/* ---- events ------------------------------------------------------------------------------------------------------ */

typedef struct ehlo_server ehlo_server;

enum {
  EHLO_EVENT_CONNECT = 1,
  EHLO_EVENT_COMMAND = 2,
  EHLO_EVENT_HELLO = 3,
  EHLO_EVENT_MAIL = 4,
  EHLO_EVENT_RCPT = 5,
  EHLO_EVENT_DATA = 6,
  EHLO_EVENT_BODY = 7,
  EHLO_EVENT_MESSAGE = 8,
  EHLO_EVENT_RESULT = 9,
  EHLO_EVENT_END = 10,
  EHLO_EVENT_VRFY = 11,
  EHLO_EVENT_EXPN = 12,
  EHLO_EVENT_HELP = 13,
  EHLO_EVENT_TURN = 14,
  EHLO_EVENT_UNKNOWN = 15,
  EHLO_EVENT_REPLY = 16,
  EHLO_EVENT_VIOLATION = 17,
  EHLO_EVENT_CANCEL = 18,
  EHLO_EVENT_STARTTLS = 19,
  EHLO_EVENT_AUTH = 20,
  EHLO_EVENT_STEP = 21,
  EHLO_EVENT_ETRN = 22,
  EHLO_EVENT_ATRN = 23,
  EHLO_EVENT_BURL = 24,
  EHLO_EVENT_XCLIENT = 25,
  EHLO_EVENT_XFORWARD = 26
};

/* COMMAND: a command line has arrived, before anything is made of it. Does not ask. */
typedef struct ehlo_event_command {
  uint32_t verb;  /* EHLO_VERB_ */
  ehlo_span line; /* the whole line without its CRLF; of AUTH without the response that stands in it, a secret */
} ehlo_event_command;

/* HELLO asks whether to open the session; silence is 250. Answers: 250 (one line: its text stands behind the host name,
 * the extensions follow), 4yz, 5yz. */
typedef struct ehlo_event_hello {
  uint32_t verb;      /* EHLO_VERB_HELO, EHLO or LHLO */
  ehlo_domain domain; /* the name or literal; kind EHLO_DOMAIN_NONE if a leniency let another spelling in */
  ehlo_span text;     /* what an old client put behind a literal (RFC 5321 4.1.1.1); mostly empty */
} ehlo_event_hello;

/* MAIL asks whether to open a transaction; silence is 250. Answers: 25z, 4yz, 5yz; with TRANSID also 355 and a text
 * that begins with the octets that are here already: the transaction of before goes on, with its recipients, RCPT gets
 * 503, and BODY brings what follows (RFC 1845 3; `recipients` of this session are 0 then, and of the content only what
 * comes in this session counts for max_message_size). */
typedef struct ehlo_event_mail {
  uint32_t verb;                   /* EHLO_VERB_MAIL, SEND, SOML or SAML */
  ehlo_path path;                  /* the reverse-path; EHLO_PATH_NULL or EHLO_PATH_MAILBOX */
  ehlo_mail_parameters parameters; /* `others` is empty: what the library does not know stands in `raw` alone */
  ehlo_span raw;                   /* all parameters as they are spelt, for ehlo_parameter_next */
} ehlo_event_mail;

/* RCPT asks whether to take a recipient; silence is 451. Answers: 25z, 4yz, 5yz. Recipients are counted in the order of
 * their commands: the k-th that is accepted is `ordinal` k, from 0, in REPLY and RESULT. */
typedef struct ehlo_event_rcpt {
  ehlo_path path;                  /* the forward-path; EHLO_PATH_MAILBOX or EHLO_PATH_POSTMASTER */
  ehlo_rcpt_parameters parameters; /* as in MAIL */
  ehlo_span raw;
} ehlo_event_rcpt;

/* DATA asks whether the content may come; silence is 354. Answers: 354, 4yz, 5yz. After a refusal the transaction is as
 * it was. */
typedef struct ehlo_event_data {
  uint32_t recipients; /* accepted so far */
} ehlo_event_data;

/* BODY: a piece of content, dots removed. By BDAT (RFC 3030), which is offered by default, it comes without DATA before
 * it: prepare for content at the first BODY, or at MESSAGE if there is none, not at DATA. Its ticket is the message's:
 * with it the host may refuse (4yz, 5yz: no more BODY comes, the rest is drained, the reply is given at the end), or
 * defer to be fed no more until ehlo_server_resume. Silence means: go on. */
typedef struct ehlo_event_body {
  const ehlo_span *spans; /* never empty ones */
  size_t count;           /* at least 1 */
  uint64_t octets;        /* of content so far, this piece included */
} ehlo_event_body;

/* MESSAGE asks for the verdict on the whole content (SMTP); silence is 451. Answers: 25z, 4yz, 5yz. The ticket is
 * the one that BODY carried. A 2yz takes responsibility for the message (RFC 5321 4.2.5). */
typedef struct ehlo_event_message {
  uint32_t recipients; /* accepted */
  uint64_t octets;     /* of content */
} ehlo_event_message;

/* RESULT asks for the verdict for one recipient (LMTP); silence is 451. Answers: 25z, 4yz, 5yz. */
typedef struct ehlo_event_result {
  uint32_t ordinal; /* the recipient, counted from 0 in the order of acceptance */
  uint64_t octets;  /* of content */
} ehlo_event_result;

/* END: a transaction is over, after its last verdict. Does not ask. */
typedef struct ehlo_event_end {
  uint32_t reason;     /* EHLO_END_ */
  uint32_t recipients; /* accepted */
  uint64_t octets;     /* of content that was given in BODY */
} ehlo_event_end;

/* VRFY and EXPN ask; silence is 252. Answers: 25z, 4yz, 5yz; one mailbox a line (ehlo_server_reply_more). 250 only for
 * an address that was truly verified (RFC 5321 3.5.3). */
typedef struct ehlo_event_query {
  ehlo_span argument; /* without a trailing SMTPUTF8 */
  uint32_t smtputf8;  /* 1 if SMTPUTF8 followed: the answer may hold UTF-8 (RFC 6531 3.7.4.2) */
} ehlo_event_query;

/* HELP asks; silence lists the commands. Answers: 21z, 4yz, 5yz. */
typedef struct ehlo_event_help {
  ehlo_span argument; /* may be empty */
} ehlo_event_help;

/* UNKNOWN asks what to say to a verb that the library does not know; silence is 500. Answers: 2yz, 4yz, 5yz. Does not
 * come for lines that are no command at all. */
typedef struct ehlo_event_unknown {
  ehlo_span name;
  ehlo_span argument;
} ehlo_event_unknown;

/* AUTH asks whether credentials that are complete are good (PLAIN, LOGIN, EXTERNAL, XOAUTH2, OAUTHBEARER); silence is
 * 454. Answers: 235, 4yz, 5yz: 535 where they are not. For the two of OAuth ehlo_server_challenge tells the client what
 * is wrong; its next response comes as STEP. Name and password of LOGIN are held to what they can be in PLAIN: UTF-8
 * without NUL, not empty. The spans die with the handler, and their octets are wiped. */
typedef ehlo_credentials ehlo_event_auth;

/* STEP asks what to say to a response by a mechanism that is the host's to know; silence is 454. Answers: 235, 4yz,
 * 5yz, or a challenge (ehlo_server_challenge), behind which the next response comes as STEP again. The exchange is over
 * with the REPLY of AUTH that is not 334: the verdict, or 5yz because the client cancelled it or said what is no
 * response. Mechanisms that negotiate a security layer cannot be had. */
typedef struct ehlo_event_step {
  uint32_t mechanism;    /* EHLO_SASL_ */
  uint32_t has_response; /* 0 where AUTH came without an initial one: the host speaks first */
  ehlo_span name;        /* the mechanism as it is spelt */
  ehlo_span response;    /* decoded; wiped behind the handler */
} ehlo_event_step;

/* ETRN asks to send what is queued for a node, over another connection (RFC 1985); silence is 458. Answers: 25z (250
 * started, 251 nothing there, 252 some pending, 253 so many pending), 4yz (458, 459), 5yz. Answer before the queue is
 * run, not behind it (5.1). */
typedef struct ehlo_event_etrn {
  uint32_t option; /* '@': the domain and all below it; '#': a queue; 0: the domain */
  ehlo_span node;
} ehlo_event_etrn;

/* ATRN asks to turn round and send what there is for these domains, as TURN does but for clients that are logged in
 * (530 else) (RFC 2645); silence is 451. Answers: 250, 4yz (450: not allowed for one of them, 453: no mail), 5yz. */
typedef struct ehlo_event_atrn {
  ehlo_span domains; /* a comma between; empty for all that the client may have */
} ehlo_event_atrn;

/* BURL asks the host to fetch content, as a chunk between those of BDAT (RFC 4468 3); silence is 451. Answers: 25z,
 * 4yz, 5yz (554 5.6.6: it cannot be fetched). With `last` this is the verdict on the message, the REPLY is MESSAGE's,
 * and a 2yz takes responsibility for it. Behind a BURL that failed, or could not be read, all but RSET, QUIT and the
 * like is 503. Neither max_message_size nor the check for bare newlines knows what is fetched: both are the host's
 * there. */
typedef struct ehlo_event_burl {
  ehlo_span url;
  uint32_t last;
  uint32_t recipients; /* accepted */
  uint64_t octets;     /* of content by BDAT so far */
} ehlo_event_burl;

/* XCLIENT asks whether this peer may say who the client is (Postfix, XCLIENT_README); silence is 550. Answers: 220,
 * 4yz, 5yz. Behind 220 the session is as behind the greeting, which the 220 is: everything that was said before is
 * forgotten, a login too (for the attribute LOGIN call ehlo_server_authorize in the next HELLO; with require_auth also
 * in CONNECT, for peers that may say XCLIENT). TLS stays, but its certificate was the peer's: EXTERNAL is not on offer
 * any more. XFORWARD asks whether to note what it says, for logs; silence is 550. Answers: 250, 4yz, 5yz. */
typedef struct ehlo_event_peer {
  ehlo_span attributes; /* for ehlo_attribute_next; all of them are on offer and well-formed */
} ehlo_event_peer;

/* REPLY: a reply has been queued for the wire. Does not ask. A deferred answer's REPLY comes from the next call that
 * may call back. */
typedef struct ehlo_event_reply {
  uint32_t verb; /* EHLO_VERB_: what is answered */
  uint32_t code;
  ehlo_enhanced enhanced; /* as it stands in the reply; zero if none does */
  uint32_t asked;         /* the ticket that asked, answered or not; 0 if the host was not asked */
  uint32_t ordinal;       /* of the recipient, for an accepted RCPT and for RESULT; else 0 */
} ehlo_event_reply;

/* VIOLATION: the peer broke a rule. Does not ask. */
typedef struct ehlo_event_violation {
  uint32_t kind;    /* EHLO_VIOLATION_ */
  uint32_t verb;    /* of the line it stood in, EHLO_VERB_MESSAGE in content, EHLO_VERB_LINE for what is
                       no command, or EHLO_VERB_NONE for early octets */
  ehlo_span octets; /* the line or part in question, if it is at hand; raw: escape it before it is shown */
} ehlo_event_violation;

/* CANCEL: a deferred ticket became stale because the session ends. Does not ask. */
typedef struct ehlo_event_cancel {
  uint32_t ticket;
  uint64_t tag; /* as given to ehlo_server_defer */
} ehlo_event_cancel;

typedef union ehlo_event_union {
  ehlo_event_command command;
  ehlo_event_hello hello;
  ehlo_event_mail mail;
  ehlo_event_rcpt rcpt;
  ehlo_event_data data;
  ehlo_event_body body;
  ehlo_event_message message;
  ehlo_event_result result;
  ehlo_event_end end;
  ehlo_event_query query; /* VRFY, EXPN */
  ehlo_event_help help;
  ehlo_event_unknown unknown;
  ehlo_event_auth auth;
  ehlo_event_step step;
  ehlo_event_etrn etrn;
  ehlo_event_atrn atrn;
  ehlo_event_burl burl;
  ehlo_event_peer peer; /* XCLIENT, XFORWARD */
  ehlo_event_reply reply;
  ehlo_event_violation violation;
  ehlo_event_cancel cancel;
} ehlo_event_union;

/* An event. It, and every span in it, lives until the handler returns. CONNECT, TURN and STARTTLS have no data. CONNECT
 * asks for the greeting (see ehlo_server_start). TURN asks whether to reverse the roles; silence is 502. Answers: 250,
 * 4yz, 5yz. STARTTLS asks whether to begin TLS; silence is 454. Answers: 220, 4yz, 5yz. See ehlo_server_tls_done.
 */
typedef struct ehlo_event {
  uint32_t type;   /* EHLO_EVENT_ */
  uint32_t ticket; /* what to answer it by; 0 if it does not ask */
  ehlo_event_union as;
} ehlo_event;

/* The event callback. `user` is what was given at init. All calls on this session are allowed inside it but those that
 * call back themselves (they return EHLO_ERR_REENTRANT). */
typedef int ehlo_server_event_fn(ehlo_server *server, const ehlo_event *event, void *user);

/* The name of an event for logs ("RCPT"). Static; "?" for none. */
EHLO_API const char *ehlo_event_name(uint32_t type);

/* ---- life -------------------------------------------------------------------------------------------------------- */

/* The octets of memory that a session with this config needs, 0 if the config is illegal or NULL. It follows from the
 * config alone. */
EHLO_API size_t ehlo_server_size(const ehlo_server_config *config);

/* Makes a session in the host's block of `size` octets at `memory`, aligned for max_align_t. *out becomes `memory`. No
 * event fires. The block holds everything; to destroy the session forget the block. `user` may be NULL, nothing else.
 * Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_CONFIG, EHLO_ERR_MEMORY; *out is NULL then (unless out is). */
EHLO_API int ehlo_server_init(ehlo_server **out, void *memory, size_t size, const ehlo_server_config *config,
                              ehlo_server_event_fn *on_event, void *user);

/* Takes up a session whose block was moved or copied, octet by octet, to `memory`: same library version, same kind of
 * machine, aligned. Sets callback and user anew. Pointers that ehlo_server_output gave are stale. No event fires.
 * Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_MEMORY, EHLO_ERR_VERSION. */
EHLO_API int ehlo_server_attach(ehlo_server **out, void *memory, size_t size, ehlo_server_event_fn *on_event,
                                void *user);

/* How many octets at the front of the block hold something just now: all of it while a line, an answer, an exchange of
 * AUTH or content is under way, and some hundred octets while the session is idle between two commands. Pure; 0 for
 * NULL. */
EHLO_API size_t ehlo_server_kept(const ehlo_server *server);

/* Moves a session, within this process, to the `size` octets at `memory`, aligned for max_align_t and apart from the
 * old block: the old block is free then, pointers that ehlo_server_output gave are stale, callback and user stay. With
 * less memory than ehlo_server_size told, but at least ehlo_server_kept, the session sleeps there: it has no output and
 * no open ticket, ehlo_server_want, ehlo_server_timeout and the getters tell what they would, and calls that may call
 * back return EHLO_ERR_STATE until it is moved to a block of full size. So ten thousand idle sessions need no ten
 * thousand line buffers. No event fires. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_MEMORY, EHLO_ERR_REENTRANT from
 * inside a handler; *out and the old block are as they were then. */
EHLO_API int ehlo_server_move(ehlo_server **out, void *memory, size_t size, const ehlo_server *from);

/* Switches an extension on or off for the next EHLO answer. What the init config had off cannot be switched on
 * (EHLO_ERR_CONFIG): no room was kept for it. Takes effect at once for what is accepted. Returns EHLO_OK,
 * EHLO_ERR_ARGUMENT, EHLO_ERR_CONFIG (also where the protocol or another extension needs it), EHLO_ERR_STATE from the
 * time that an EHLO answer is begun until its REPLY event. */
EHLO_API int ehlo_server_offer(ehlo_server *server, uint32_t extension, int on);

/* The connection is there: asks for the greeting with CONNECT (silence: 220; answers: 2yz is 220, 421, or 4yz or 5yz
 * to refuse mail service, after which everything but QUIT gets 503 (521 after 521); RFC 5321 3.1). May fire CONNECT,
 * REPLY. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_STATE if it was started before, EHLO_ERR_REENTRANT,
 * EHLO_ERR_HOST. */
EHLO_API int ehlo_server_start(ehlo_server *server);

/* Gives the session `size` octets that arrived. *consumed tells how many it took: all, unless it must wait for an
 * answer, for output to be drained, or in the TURN state. The rest is the host's to keep and to feed first, as soon as
 * ehlo_server_want shows FEED; with size 0 (data may be NULL) if nothing is left. `data` is not kept. May fire any
 * event but CONNECT. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_STATE before start, EHLO_ERR_REENTRANT (*consumed 0),
 * EHLO_ERR_HOST (everything consumed). After the session wants CLOSE everything is consumed and ignored. */
EHLO_API int ehlo_server_feed(ehlo_server *server, const void *data, size_t size, size_t *consumed);

/* The octets to send, *size of them; NULL and 0 if there are none. They stay where they are, and more are only appended
 * behind them, until ehlo_server_sent or a move of the block. No event fires. */
EHLO_API const void *ehlo_server_output(ehlo_server *server, size_t *size);

/* `size` octets of the output have been handed to the peer; 0 is legal. More than there are, as what a write that
 * failed returned, is ignored. No event fires. */
EHLO_API void ehlo_server_sent(ehlo_server *server, size_t size);

/* What the session is waiting for: a sum of EHLO_WANT_. Pure. READ is shown while an answer is awaited too, so that the
 * host notices when the peer leaves; what it reads then may have to wait, and READ goes until it was taken. */
EHLO_API uint32_t ehlo_server_want(const ehlo_server *server);

/* What a TLS handshake came to. New fields are appended. */
typedef struct ehlo_tls {
  size_t struct_size; /* sizeof(ehlo_tls) */
  uint32_t verified;  /* 1: the peer showed a certificate, and the host trusts it. EXTERNAL is on offer only then */
} ehlo_tls;

/* TLS is there. Behind a STARTTLS that the host accepted, once ehlo_server_want shows TLS and the output is written,
 * the host does the handshake and calls this; the session is then as behind the greeting, without another one:
 * everything that the client said before is forgotten, STARTTLS is not offered any more (RFC 3207 4.2). If the
 * handshake fails the host closes and calls ehlo_server_lost. Octets that are fed between 220 and this call came in
 * clear: they are a VIOLATION and close the session, whichever read brought them. Before ehlo_server_start it says that
 * TLS was there first (RFC 8314 3.3). `tls` may be NULL. No event fires. Returns EHLO_OK, EHLO_ERR_ARGUMENT,
 * EHLO_ERR_STATE (also while output waits, and if TLS is there already), EHLO_ERR_REENTRANT. */
EHLO_API int ehlo_server_tls_done(ehlo_server *server, const ehlo_tls *tls);

/* The peer will send no more (a half-close); to be called after all held input was fed, and the last call that brings
 * octets: feed is called with none from then on. An open transaction ends once what was asked has been answered; then
 * the session wants CLOSE. May fire REPLY, VIOLATION, CANCEL (for a paused BODY), END. Returns EHLO_OK,
 * EHLO_ERR_ARGUMENT, EHLO_ERR_STATE before start, EHLO_ERR_REENTRANT, EHLO_ERR_HOST. */
EHLO_API int ehlo_server_eof(ehlo_server *server);

/* The peer is gone, nothing can be sent any more. May fire REPLY (for answers that were queued before), CANCEL for each
 * deferred ticket, then END for an open transaction. The output is dropped. Returns as ehlo_server_eof. */
EHLO_API int ehlo_server_lost(ehlo_server *server);

/* The host must stop: cancels deferred tickets, queues a last reply and ends the session. `code` is 421, or another
 * 4yz or 5yz in defence against an attack (RFC 5321 3.8, 7.8). `enhanced` and text as in ehlo_server_reply; the text
 * has at most `pending_text` octets. May fire REPLY, CANCEL, END. If a reply of several lines has been begun nothing
 * can follow it: the session wants CLOSE without the last reply. Returns as ehlo_server_eof, or EHLO_ERR_CODE,
 * EHLO_ERR_TEXT, EHLO_ERR_TOO_LONG. */
EHLO_API int ehlo_server_shutdown(ehlo_server *server, int code, const char *enhanced, ehlo_span text);

/* The clock that ehlo_server_timeout asked for has run out: as ehlo_server_shutdown with 421 4.4.2, with
 * EHLO_END_TIMED_OUT. */
EHLO_API int ehlo_server_timed_out(ehlo_server *server);

/* How many seconds the peer may be silent now, 0 for as long as it likes (RFC 5321 4.5.3.2.7). *epoch, if not NULL, is
 * a number that changes whenever the clock is to start anew: a complete command, progress of content, a reply drained;
 * never single octets of a command line. There is no clock while only the host's decision is awaited. Pure. */
EHLO_API uint32_t ehlo_server_timeout(const ehlo_server *server, uint64_t *epoch);

/* The host vouches for the client: by its address, its certificate, XCLIENT's LOGIN, or to name whom a mechanism of its
 * own has let in. What require_auth and ATRN ask for is met; `name`, which may be empty, is what ehlo_server_identity
 * tells, copied; given in an exchange of AUTH, it stands in place of the name that this proves. STARTTLS and XCLIENT
 * make it forgotten. No event fires. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_TOO_LONG over EHLO_IDENTITY_SIZE, or
 * for any name where AUTH is not offered. */
EHLO_API int ehlo_server_authorize(ehlo_server *server, ehlo_span name);

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* Answers what `ticket` asked. `code` is legal if the event's comment lists its first digit; 421 always is, and closes
 * the session once its turn is sent. `enhanced` ("5.1.1") may be NULL for the default of the code; its class must be
 * the code's first digit; it is left out where none may stand. An empty text gives the default. Text is printable
 * ASCII, HT and SP; UTF-8 too in 251 and 551 to RCPT in an SMTPUTF8 transaction, and in answers to VRFY and EXPN with
 * SMTPUTF8 (RFC 6531 3.7.4). The line must keep to 512 octets. If the turn of this reply has not come, or there is no
 * room, it is parked, at most `pending_text` octets of it.
 *
 * No event fires; the octets may be queued at once. Outside a handler, call ehlo_server_feed next (want shows FEED).
 * Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_TICKET, EHLO_ERR_CODE, EHLO_ERR_TEXT, EHLO_ERR_TOO_LONG,
 * EHLO_ERR_SPACE (it fits neither the output nor `pending_text` now: drain, or wait for its turn, and call again; the
 * ticket stays open). */
EHLO_API int ehlo_server_reply(ehlo_server *server, uint32_t ticket, int code, const char *enhanced, ehlo_span text);

/* Adds a line to a long answer, which ehlo_server_reply ends, with the same code and enhanced code. Returns as
 * ehlo_server_reply; EHLO_ERR_CODE also for 250 to HELLO. A begun answer that is never ended closes the session without
 * another octet. */
EHLO_API int ehlo_server_reply_more(ehlo_server *server, uint32_t ticket, int code, const char *enhanced,
                                    ehlo_span text);

/* Answers with the right positive reply and its default text: 250, or 214, 220, 235 or 354 where that is it. Returns as
 * ehlo_server_reply. (For the ticket of BODY, before MESSAGE, it is EHLO_ERR_CODE.) */
EHLO_API int ehlo_server_accept(ehlo_server *server, uint32_t ticket);

/* Answers AUTH or STEP with a challenge: 334 and `octets`, in base64. Only for STEP, and for AUTH by XOAUTH2 and
 * OAUTHBEARER. No event fires. Returns EHLO_OK, EHLO_ERR_ARGUMENT, EHLO_ERR_TICKET, EHLO_ERR_CODE, EHLO_ERR_TOO_LONG
 * (over 12,288 octets as a line, RFC 4954 4, or over output_size), EHLO_ERR_SPACE (drain and call again). */
EHLO_API int ehlo_server_challenge(ehlo_server *server, uint32_t ticket, ehlo_span octets);

/* Puts the answer off; `tag` is the host's own and comes back in CANCEL. Only from inside the handler that got the
 * ticket. For BODY it stops the content until ehlo_server_resume. No event fires. Returns EHLO_OK, EHLO_ERR_ARGUMENT,
 * EHLO_ERR_TICKET, EHLO_ERR_STATE outside of that handler. */
EHLO_API int ehlo_server_defer(ehlo_server *server, uint32_t ticket, uint64_t tag);

/* Lets content flow again that a deferred BODY stopped; then call ehlo_server_feed. No event fires. Returns EHLO_OK,
 * EHLO_ERR_ARGUMENT, EHLO_ERR_TICKET, EHLO_ERR_STATE if it was not stopped. */
EHLO_API int ehlo_server_resume(ehlo_server *server, uint32_t ticket);

/* ---- getters ----------------------------------------------------------------------------------------------------- */

/* All are pure, and answer NULL with emptiness. */

/* The name that the client gave in the last HELO, EHLO or LHLO that was accepted; empty before, or if it was longer
 * than hello_size. Lives until the next feed or move. */
EHLO_API ehlo_span ehlo_server_hello(const ehlo_server *server);

/* The verb of that command; EHLO_VERB_NONE before. */
EHLO_API uint32_t ehlo_server_hello_verb(const ehlo_server *server);

/* Is the session under TLS? 1 or 0. */
EHLO_API int ehlo_server_tls(const ehlo_server *server);

/* Did AUTH succeed? 1 or 0; an exchange that fails changes nothing. By which mechanism, EHLO_SASL_OTHER before, or for
 * one that is none of ours; and who it is: the authzid, or the authcid where that is empty; empty if it is longer than
 * EHLO_IDENTITY_SIZE, or unknown to the library, which is so for mechanisms that are the host's. Lives until the next
 * feed or move. */
EHLO_API int ehlo_server_authenticated(const ehlo_server *server);
EHLO_API uint32_t ehlo_server_mechanism(const ehlo_server *server);
EHLO_API ehlo_span ehlo_server_identity(const ehlo_server *server);

/* The keyword for the WITH clause of Received, for the open transaction ("ESMTP", "UTF8LMTP"): RFC 5321 4.4, RFC 3848,
 * RFC 6531 4.3. Static. */
EHLO_API ehlo_span ehlo_server_transmission_type(const ehlo_server *server);

EHLO_API uint32_t ehlo_server_recipients(const ehlo_server *server);   /* accepted in the open transaction */
EHLO_API uint32_t ehlo_server_transactions(const ehlo_server *server); /* opened in this session */
EHLO_API uint32_t ehlo_server_errors(const ehlo_server *server);       /* counted against max_errors */
EHLO_API uint64_t ehlo_server_octets(const ehlo_server *server);       /* of content so far in the open transaction */

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
