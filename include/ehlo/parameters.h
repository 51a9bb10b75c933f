/* ehlo/parameters.h: the parameters of MAIL and RCPT as values, both ways.
 *
 * SPDX-License-Identifier: MIT
 *
 * Part of ehlo.h; include that. The server's events carry these structs, the client's calls take them, so what came in
 * can be passed on as it is.
 *
 * Values that the RFCs encode (xtext, base64) stay as they stand on the wire, and so are passed on unchanged:
 * ehlo_xtext_decode and ehlo_base64_decode tell what they mean. All zero is: nothing said.
 */
#ifndef EHLO_PARAMETERS_H
#define EHLO_PARAMETERS_H

#include "base.h"
#include "grammar.h"

#if !defined(EHLO_BINDING) && defined(__cplusplus)
extern "C" {
#endif

/* RET: what of the message comes back with a failure (RFC 3461 4.3). */
enum { EHLO_RET_NONE = 0, EHLO_RET_FULL = 1, EHLO_RET_HDRS = 2 };

/* NOTIFY: when the sender wants to be told, as bits (RFC 3461 4.1). NEVER stands alone. */
enum {
  EHLO_NOTIFY_NONE = 0, /* not said */
  EHLO_NOTIFY_NEVER = 1,
  EHLO_NOTIFY_SUCCESS = 2,
  EHLO_NOTIFY_FAILURE = 4,
  EHLO_NOTIFY_DELAY = 8
};

/* BY: what becomes of a message that is late (RFC 2852 4). */
enum { EHLO_BY_NONE = 0, EHLO_BY_NOTIFY = 1, EHLO_BY_RETURN = 2 };

/* RRVS: what a host does that cannot pass the question on (RFC 7293 5.1.1). */
enum { EHLO_RRVS_NONE = 0, EHLO_RRVS_CONTINUE = 1, EHLO_RRVS_REJECT = 2 };

/* What MAIL can say beside its path. New fields are appended. */
typedef struct ehlo_mail_parameters {
  size_t struct_size; /* sizeof(ehlo_mail_parameters) */

  uint64_t size;     /* SIZE, octets with CRLF line endings, without dots and final dot (RFC 1870 5) */
  uint32_t has_size; /* 1 if SIZE is there */
  uint32_t body;     /* BODY, EHLO_BODY_ (RFC 6152 2, RFC 3030 3) */
  uint32_t smtputf8; /* 1 if SMTPUTF8 is there (RFC 6531 3.4) */

  uint32_t ret;    /* RET, EHLO_RET_ */
  ehlo_span envid; /* ENVID, xtext of printable ASCII (RFC 3461 4.4) */
  ehlo_span auth;  /* AUTH, xtext of a mailbox or of "<>" (RFC 4954 5) */

  uint32_t requiretls;   /* 1 if REQUIRETLS is there (RFC 8689 2) */
  uint32_t has_priority; /* 1 if MT-PRIORITY is there (RFC 6710 3) */
  int32_t priority;      /* -9 to 9 */

  uint32_t by_mode;  /* BY, EHLO_BY_ */
  uint32_t by_trace; /* 1 if T stands behind the mode */
  int32_t by_time;   /* seconds left, -999,999,999 to 999,999,999; above 0 for RETURN */

  uint32_t hold_for;       /* HOLDFOR, seconds, 1 to 999,999,999; 0 if it is not there (RFC 4865 3) */
  uint32_t has_hold_until; /* 1 if HOLDUNTIL is there */
  int64_t hold_until;      /* HOLDUNTIL, seconds since 1970-01-01 00:00 UTC */

  ehlo_span solicit; /* SOLICIT, keywords with commas (RFC 3865 2.3) */
  ehlo_span mtrk;    /* MTRK, the certifier, base64 without its padding: a value has no "=" (RFC 3885 3) */
  uint32_t has_mtrk_timeout;
  uint32_t mtrk_timeout; /* seconds, 0 to 999,999,999 */
  ehlo_span submitter;   /* SUBMITTER, xtext of a mailbox (RFC 4405 4) */
  uint32_t conperm;      /* 1 if CONPERM is there (RFC 4141 4) */
  ehlo_span transid;     /* TRANSID, with its angle brackets (RFC 1845 3) */

  ehlo_span others; /* those that the library does not know or that this session did not offer, as a list */
} ehlo_mail_parameters;

/* What RCPT can say beside its path. New fields are appended. */
typedef struct ehlo_rcpt_parameters {
  size_t struct_size; /* sizeof(ehlo_rcpt_parameters) */

  uint32_t notify;         /* NOTIFY, EHLO_NOTIFY_ bits */
  uint32_t conneg;         /* 1 if CONNEG is there (RFC 4141 5) */
  ehlo_span orcpt_type;    /* ORCPT, "rfc822", "utf-8" or another atom (RFC 3461 4.2, RFC 6533 3) */
  ehlo_span orcpt_address; /* xtext of printable ASCII; for utf-8 a mailbox in the forms of RFC 6533 3 */
  uint32_t rrvs;           /* RRVS, EHLO_RRVS_; without an action it is REJECT */
  uint32_t rrvs_action;    /* 1 if the action is spelt out; CONTINUE always is */
  int64_t rrvs_time;       /* seconds since 1970-01-01 00:00 UTC */

  ehlo_span others; /* as above */
} ehlo_rcpt_parameters;

/* Reads one parameter, as ehlo_parameter_next gave it, into its fields; what stays as it is spelt is a span over the
 * parameter. `flags`: EHLO_PARSE_UTF8 lets UTF-8 into ORCPT (RFC 6533 3), and into the mailboxes that AUTH and
 * SUBMITTER hold. Returns EHLO_OK; EHLO_ERR_SYNTAX for a value outside the grammar of its RFC, one that is missing or
 * one too many, for a parameter given twice, and for HOLDUNTIL beside HOLDFOR; EHLO_ERR_NOT_OFFERED for a keyword that
 * is not one of this command; EHLO_ERR_ARGUMENT. After an error the struct is as it was. */
EHLO_API int ehlo_mail_parameter_read(const ehlo_parameter *parameter, uint32_t flags, ehlo_mail_parameters *into);
EHLO_API int ehlo_rcpt_parameter_read(const ehlo_parameter *parameter, uint32_t flags, ehlo_rcpt_parameters *into);

/* Formats all that is said, a space before each, in the order of the struct. Returns EHLO_OK; EHLO_ERR_BUFFER;
 * EHLO_ERR_ARGUMENT for a number out of its range, and for what may not stand together: HOLDFOR beside HOLDUNTIL or a
 * BY that ends before it (RFC 4865 4.2, 5.2.2), MTRK without ENVID (RFC 3885 3.2); EHLO_ERR_TEXT for a span that would
 * not be read back as what it is. What the library knows is let through in `others` if it keeps its grammar and no
 * field says it. */
EHLO_API int ehlo_format_mail_parameters(const ehlo_mail_parameters *parameters, uint32_t flags, char *buffer,
                                         size_t size, size_t *length);
EHLO_API int ehlo_format_rcpt_parameters(const ehlo_rcpt_parameters *parameters, uint32_t flags, char *buffer,
                                         size_t size, size_t *length);

/* Reads a date-time of RFC 3339 without fractions, "2026-11-26T10:30:00Z" or with an offset; the whole span. *time
 * becomes seconds since 1970-01-01 00:00 UTC, of years 1 to 9999 there and where it was written. A second of 60 is
 * legal at the end of a month in UTC, and reads as the second behind it. */
EHLO_API int ehlo_parse_date_time(ehlo_span text, int64_t *time);

/* The other way, in UTC; 20 octets. Years 1 to 9999, or EHLO_ERR_ARGUMENT. */
EHLO_API int ehlo_format_date_time(int64_t time, char *buffer, size_t size, size_t *length);

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
