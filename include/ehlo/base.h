/* ehlo/base.h: spans, error codes, verbs, extensions, the words of sessions.
 *
 * SPDX-License-Identifier: MIT
 *
 * Part of ehlo.h; include that.
 */
#ifndef EHLO_BASE_H
#define EHLO_BASE_H

#ifdef EHLO_BINDING
#define EHLO_API
#else
#include <stddef.h>
#include <stdint.h>
#if defined(_WIN32) && defined(EHLO_SHARED)
#ifdef EHLO_BUILD
#define EHLO_API __declspec(dllexport)
#else
#define EHLO_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define EHLO_API __attribute__((visibility("default")))
#else
#define EHLO_API
#endif
#ifdef __cplusplus
extern "C" {
#endif
#endif

/* ---- version ---------------------------------------------------------------------------------------------- */

enum { EHLO_VERSION_MAJOR = 0, EHLO_VERSION_MINOR = 1, EHLO_VERSION_PATCH = 0 };

/* The version of the library that is linked, as "0.1.0". Static; never NULL. */
EHLO_API const char *ehlo_version(void);

/* ---- spans ------------------------------------------------------------------------------------------------ */

/* Octets that somebody else owns. Not NUL-terminated, and may hold any octet unless said otherwise. An empty span
 * has len 0; its ptr may then be NULL. */
typedef struct ehlo_span {
  const char *ptr;
  size_t len;
} ehlo_span;

/* A span over a NUL-terminated string; NULL gives the empty span. Lives as long as the string. */
EHLO_API ehlo_span ehlo_span_of(const char *string);

/* Are the octets the same? 1 or 0. */
EHLO_API int ehlo_span_equal(ehlo_span a, ehlo_span b);

/* The same, with ASCII letters compared without their case. No locale is asked. */
EHLO_API int ehlo_span_equal_nocase(ehlo_span a, ehlo_span b);

/* ---- errors ----------------------------------------------------------------------------------------------- */

/* What a call returns to the host about the host's own doing. A peer's mistakes are never here: they are replies
 * and events. Numbers are fixed for good; new ones are appended. An error changes nothing, unless its line says so.
 */
enum {
  EHLO_OK = 0,
  EHLO_ERR_ARGUMENT = -1,      /* a pointer that may not be NULL is NULL, or a number is out of its range */
  EHLO_ERR_CONFIG = -2,        /* the config contradicts itself or a limit in it is illegal */
  EHLO_ERR_MEMORY = -3,        /* the block is too small or not aligned for max_align_t */
  EHLO_ERR_VERSION = -4,       /* the block was made by another version, or on another kind of machine */
  EHLO_ERR_STATE = -5,         /* not possible in this state of the session */
  EHLO_ERR_REENTRANT = -6,     /* called from inside the event callback, where this call is not allowed */
  EHLO_ERR_TICKET = -7,        /* the ticket is stale: answered already, cancelled, or never given */
  EHLO_ERR_CODE = -8,          /* a reply code or enhanced code that may not answer what was asked */
  EHLO_ERR_TEXT = -9,          /* text with CR, LF, NUL or another octet that may not stand there */
  EHLO_ERR_SPACE = -10,        /* no room in the output (or in the parked answer) now: drain and try again */
  EHLO_ERR_SYNTAX = -11,       /* the input is not of the grammar asked for */
  EHLO_ERR_TOO_LONG = -12,     /* longer than the protocol or the config allows */
  EHLO_ERR_BUFFER = -13,       /* the caller's buffer is too small; the length needed is told */
  EHLO_ERR_BARE_NEWLINE = -14, /* content with a CR or LF that is not part of a CRLF */
  EHLO_ERR_HOST = -15,         /* fatal: the host's own event callback asked for the end; stays for good */
  EHLO_ERR_NOT_OFFERED = -16,  /* a verb or parameter that the server has not offered */
  EHLO_ERR_8BITMIME = -17,     /* octets above 127 in content, or BODY=8BITMIME, where 8BITMIME was not agreed on */
  EHLO_ERR_SMTPUTF8 = -18,     /* UTF-8 in an address, or SMTPUTF8, where SMTPUTF8 was not agreed on */
  EHLO_ERR_SIZE = -19,         /* the message is larger than the server says it takes */
  EHLO_ERR_REFUSED = -20,      /* the transaction has failed already: nothing more can be added to it */
  EHLO_ERR_TLS = -21,          /* not without TLS: a password in clear, REQUIRETLS */
  EHLO_ERR_LIMIT = -22         /* more than the server says it takes (LIMITS) */
};

/* A short English text for an EHLO_ERR_ number, for logs. Static; never NULL, whatever the number. */
EHLO_API const char *ehlo_strerror(int error);

/* Has this error ended the session for good? 1 for EHLO_ERR_HOST, else 0. */
EHLO_API int ehlo_error_is_fatal(int error);

/* ---- verbs ------------------------------------------------------------------------------------------------ */

/* What a command line may begin with, after the moments beside commands that are answered too. Append-only. */
enum {
  EHLO_VERB_UNKNOWN = 0, /* a well-formed word that is no verb of ours */
  EHLO_VERB_NONE = 1,    /* nothing: a 421 that comes unasked */
  EHLO_VERB_LINE = 2,    /* a line that is no command: malformed or too long */
  EHLO_VERB_CONNECT = 3, /* the connection itself, answered by the greeting */
  EHLO_VERB_MESSAGE = 4, /* the end of the content, answered by the verdict */
  EHLO_VERB_RESULT = 5,  /* LMTP: the verdict for one recipient */
  EHLO_VERB_HELO = 6,
  EHLO_VERB_EHLO = 7,
  EHLO_VERB_LHLO = 8,
  EHLO_VERB_MAIL = 9,
  EHLO_VERB_SEND = 10,
  EHLO_VERB_SOML = 11,
  EHLO_VERB_SAML = 12,
  EHLO_VERB_RCPT = 13,
  EHLO_VERB_DATA = 14,
  EHLO_VERB_RSET = 15,
  EHLO_VERB_VRFY = 16,
  EHLO_VERB_EXPN = 17,
  EHLO_VERB_HELP = 18,
  EHLO_VERB_NOOP = 19,
  EHLO_VERB_QUIT = 20,
  EHLO_VERB_TURN = 21,
  EHLO_VERB_BDAT = 22,
  EHLO_VERB_STARTTLS = 23,
  EHLO_VERB_AUTH = 24,
  EHLO_VERB_ETRN = 25,
  EHLO_VERB_ATRN = 26,
  EHLO_VERB_BURL = 27,
  EHLO_VERB_XCLIENT = 28,
  EHLO_VERB_XFORWARD = 29,
  EHLO_VERB_COUNT = 30
};

/* The verb as it stands on the wire ("MAIL"), or a name for logs for those that do not ("connect"). Static. "?" for a
 * number that is none. */
EHLO_API const char *ehlo_verb_name(uint32_t verb);

/* ---- extensions ------------------------------------------------------------------------------------------- */

/* What an EHLO answer can list: the service extensions and the optional verbs (RFC 5321 2.2, 4.1.1.1). The numbers
 * index `offer` in the configs. */
enum {
  EHLO_EXT_PIPELINING = 0,          /* RFC 2920 */
  EHLO_EXT_SIZE = 1,                /* RFC 1870 */
  EHLO_EXT_8BITMIME = 2,            /* RFC 6152 */
  EHLO_EXT_ENHANCEDSTATUSCODES = 3, /* RFC 2034 */
  EHLO_EXT_SMTPUTF8 = 4,            /* RFC 6531; needs 8BITMIME */
  EHLO_EXT_VRFY = 5,                /* RFC 5321 3.5.2: VRFY is always understood; this only lists it */
  EHLO_EXT_EXPN = 6,                /* RFC 5321 4.1.1.7 */
  EHLO_EXT_HELP = 7,                /* RFC 5321 4.1.1.8 */
  EHLO_EXT_SEND = 8,                /* RFC 821 3.4 */
  EHLO_EXT_SOML = 9,                /* RFC 821 3.4 */
  EHLO_EXT_SAML = 10,               /* RFC 821 3.4 */
  EHLO_EXT_TURN = 11,               /* RFC 821 3.8; see RFC 5321 F.1 before turning it on */
  EHLO_EXT_DSN = 12,                /* RFC 3461 */
  EHLO_EXT_STARTTLS = 13,           /* RFC 3207 */
  EHLO_EXT_AUTH = 14,               /* RFC 4954 */
  EHLO_EXT_CHUNKING = 15,           /* RFC 3030 2 */
  EHLO_EXT_BINARYMIME = 16,         /* RFC 3030 3; needs CHUNKING */
  EHLO_EXT_DELIVERBY = 17,          /* RFC 2852 */
  EHLO_EXT_FUTURERELEASE = 18,      /* RFC 4865 */
  EHLO_EXT_MT_PRIORITY = 19,        /* RFC 6710 */
  EHLO_EXT_REQUIRETLS = 20,         /* RFC 8689 */
  EHLO_EXT_RRVS = 21,               /* RFC 7293 */
  EHLO_EXT_NO_SOLICITING = 22,      /* RFC 3865 */
  EHLO_EXT_MTRK = 23,               /* RFC 3885 */
  EHLO_EXT_SUBMITTER = 24,          /* RFC 4405 */
  EHLO_EXT_CONPERM = 25,            /* RFC 4141 4 */
  EHLO_EXT_CONNEG = 26,             /* RFC 4141 5 */
  EHLO_EXT_CHECKPOINT = 27,         /* RFC 1845 */
  EHLO_EXT_LIMITS = 28,             /* RFC 9422 */
  EHLO_EXT_ETRN = 29,               /* RFC 1985 */
  EHLO_EXT_ATRN = 30,               /* RFC 2645 */
  EHLO_EXT_BURL = 31,               /* RFC 4468 */
  EHLO_EXT_XCLIENT = 32,            /* Postfix, XCLIENT_README */
  EHLO_EXT_XFORWARD = 33,           /* Postfix, XFORWARD_README */
  EHLO_EXT_COUNT = 34,
  EHLO_EXT_ROOM = 64 /* the room that config structs keep, so that they do not change when rows are added */
};

/* The EHLO keyword of an extension ("8BITMIME"). Static. "?" for a number that is none. */
EHLO_API const char *ehlo_extension_keyword(uint32_t extension);

/* The protocols a session can speak. */
enum {
  EHLO_PROTOCOL_SMTP = 0, /* RFC 5321: HELO or EHLO, one verdict a message */
  EHLO_PROTOCOL_LMTP = 1  /* RFC 2033: LHLO, one verdict a recipient */
};

/* An enhanced status code (RFC 3463 2): 5.1.1 is {5, 1, 1}. All zero means none. */
typedef struct ehlo_enhanced {
  uint16_t status_class; /* 2, 4 or 5 */
  uint16_t subject;      /* 0 to 999 */
  uint16_t detail;       /* 0 to 999 */
} ehlo_enhanced;

/* ---- sessions --------------------------------------------------------------------------------------------- */

/* The words that both machines use. */

/* What a session is waiting for, as bits. */
enum {
  EHLO_WANT_READ = 1,     /* octets from the peer */
  EHLO_WANT_WRITE = 2,    /* output is there to be sent */
  EHLO_WANT_FEED = 4,     /* server: feed is to be called now, with held octets or none, before more is read */
  EHLO_WANT_DECISION = 8, /* server: a deferred ticket holds things up or is out */
  EHLO_WANT_TLS = 16,     /* once all is written: the TLS handshake on this connection */
  EHLO_WANT_TURN = 32,    /* the roles are reversed: once all is written start the other machine on this connection */
  EHLO_WANT_CLOSE = 64,   /* the session is over: write what is left and close */
  EHLO_WANT_CONTENT = 128 /* client: the content of the message, now */
};

/* Why a transaction ended. */
enum {
  EHLO_END_ACCEPTED = 1,     /* 2yz; in LMTP for every recipient */
  EHLO_END_REFUSED = 2,      /* 4yz or 5yz; in LMTP for every recipient */
  EHLO_END_MIXED = 3,        /* LMTP: accepted for some recipients, not for others, however the session goes on */
  EHLO_END_RESET = 4,        /* RSET */
  EHLO_END_SUPERSEDED = 5,   /* a new EHLO, HELO or LHLO */
  EHLO_END_QUIT = 6,         /* QUIT */
  EHLO_END_TOO_BIG = 7,      /* server: more content than max_message_size */
  EHLO_END_BARE_NEWLINE = 8, /* server: content with a bare CR or LF */
  EHLO_END_LOST = 9,         /* the peer went away */
  EHLO_END_SHUTDOWN = 10,    /* 421; at the server also a fatal handler, or the error limit */
  EHLO_END_TIMED_OUT = 11,   /* the peer was silent for too long */
  EHLO_END_FAILED = 12 /* server: a handler returned EHLO_FAIL_TRANSACTION; client: the server broke the protocol, or
                          the host gave the content up */
};

/* What a peer did wrong. */
enum {
  EHLO_VIOLATION_EARLY_TALKER = 1,  /* octets before the greeting had been sent (RFC 5321 4.3.1) */
  EHLO_VIOLATION_EARLY_HELLO = 2,   /* octets behind EHLO before its answer had been sent (RFC 2920 3.1) */
  EHLO_VIOLATION_BARE_NEWLINE = 3,  /* CR or LF alone in a command line or in content (RFC 5321 2.3.8) */
  EHLO_VIOLATION_LINE_TOO_LONG = 4, /* a command line over the limit (RFC 5321 4.5.3.1.4) */
  EHLO_VIOLATION_SYNTAX = 5,        /* a line or an argument outside the grammar */
  EHLO_VIOLATION_UNKNOWN_VERB = 6,  /* a verb that nobody knows */
  EHLO_VIOLATION_NOT_OFFERED = 7,   /* a verb that is known but not offered */
  EHLO_VIOLATION_SEQUENCE = 8,      /* a command out of order */
  EHLO_VIOLATION_NON_ASCII = 9,     /* octets above 127 where no extension allows them */
  EHLO_VIOLATION_PARAMETER = 10,    /* a parameter that is unknown, repeated, or has a bad value */
  EHLO_VIOLATION_TOO_MANY_RECIPIENTS = 11,
  EHLO_VIOLATION_TOO_BIG = 12, /* declared or real content over max_message_size */
  EHLO_VIOLATION_TOO_MANY_ERRORS = 13,
  EHLO_VIOLATION_SPACE_AFTER_COLON = 14, /* see allow_space_after_colon; so are the next four, in their order */
  EHLO_VIOLATION_BARE_ADDRESS = 15,
  EHLO_VIOLATION_EXTRA_SPACES = 16,
  EHLO_VIOLATION_UNDERSCORE = 17,
  EHLO_VIOLATION_HELLO_NAME = 18,
  EHLO_VIOLATION_CONTROL = 19, /* a control character in a command line (RFC 5321 4.1.2) */
  /* By a server; SYNTAX, BARE_NEWLINE and LINE_TOO_LONG are there for its replies too. */
  EHLO_VIOLATION_UNSOLICITED = 20,    /* a reply to nothing that had been sent (RFC 5321 4.2) */
  EHLO_VIOLATION_REPLY_CODE = 21,     /* a first digit that does not answer the command (RFC 821 4.4) */
  EHLO_VIOLATION_REPLY_MISMATCH = 22, /* lines of one reply with different codes (RFC 5321 4.2.1) */
  EHLO_VIOLATION_BEFORE_TLS = 24,     /* octets in clear behind STARTTLS or its 220 (RFC 3207 6) */
  EHLO_VIOLATION_REPLY_TOO_LONG = 23, /* more lines or more octets in one reply than the limits */
  EHLO_VIOLATION_SASL = 25            /* a line of an AUTH exchange that is none: not base64, or too long */
};

/* What an event handler returns. Anything else than these two is fatal: the session is over, no more events come, and
 * every further call that could give one returns EHLO_ERR_HOST. (The server queues 421 as its last word.) */
enum {
  EHLO_HANDLED = 0,
  /* The handler could not do its work. At the server the open transaction is lost: its content is drained, what is
   * asked within it is answered 451, and it ENDs with EHLO_END_FAILED when the peer ends it; the session goes on.
   * Outside a transaction what was asked gets 451, CONNECT 421. The answer that the handler may have given stands if it
   * is a refusal. At the client it is fatal as well: what was promised to nobody need not be taken back. */
  EHLO_FAIL_TRANSACTION = 1
};

/* BODY= of MAIL (RFC 6152 2, RFC 3030 3). */
enum {
  EHLO_BODY_NONE = 0, /* not said */
  EHLO_BODY_7BIT = 1,
  EHLO_BODY_8BITMIME = 2,
  EHLO_BODY_BINARYMIME = 3
};

/* The name of a violation or of a reason for logs ("bare newline"). Static; "?" for a number that is none. */
EHLO_API const char *ehlo_violation_name(uint32_t kind);
EHLO_API const char *ehlo_end_name(uint32_t reason);

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
