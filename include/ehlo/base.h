/* ehlo/base.h: spans, error codes, verbs, extensions.
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
  EHLO_ERR_HOST = -15          /* fatal: the host's own event callback asked for the end; stays for good */
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
  EHLO_VERB_COUNT = 22
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
  EHLO_EXT_COUNT = 12,
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

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
