/* ehlo/grammar.h: the grammar alone.
 *
 * SPDX-License-Identifier: MIT
 *
 * Part of ehlo.h; include that. Pure functions on spans, one for each rule of the RFCs. The machines use these same
 * functions; they are public for those who want only them.
 *
 * Common to all of them. Parsers take a span and never look at one octet beyond it. What they hand out are spans into
 * the caller's input, which live as long as that does. Outputs are always set, to zero where there is nothing to
 * tell. Parsers return EHLO_OK or EHLO_ERR_SYNTAX unless their comment says more; with `used`, they read the longest
 * match at the front and tell its length, and what follows is the caller's concern; without it, the whole span must
 * match. Formatters write to the caller's buffer, add no NUL, set *length to the octets written, and return
 * EHLO_OK; EHLO_ERR_BUFFER, with *length the size needed and nothing of use written; or EHLO_ERR_TEXT for input that
 * may not go out, with *length 0. NULL for a pointer that is not said to be optional is EHLO_ERR_ARGUMENT.
 */
#ifndef EHLO_GRAMMAR_H
#define EHLO_GRAMMAR_H

#include "base.h"

#if !defined(EHLO_BINDING) && defined(__cplusplus)
extern "C" {
#endif

/* What a parser lets in beyond the strict grammar of RFC 5321. */
enum {
  EHLO_PARSE_UTF8 = 1,      /* RFC 6531 3.3: UTF-8 in local-parts, domains and parameter values */
  EHLO_PARSE_UNDERSCORE = 2 /* "_" in domain labels where a hyphen may stand; never right, mostly harmless */
};

/* ---- paths, mailboxes, domains (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3) -------------------------------------------- */

enum {
  EHLO_DOMAIN_NONE = 0, /* no domain: <> and <Postmaster> */
  EHLO_DOMAIN_NAME = 1, /* example.org */
  EHLO_DOMAIN_IPV4 = 2, /* [192.0.2.1] */
  EHLO_DOMAIN_IPV6 = 3  /* [IPv6:2001:db8::1] */
};

/* A domain or an address literal. (Literals with other tags are refused: none but IPv6 is registered, RFC 5321 8.) */
typedef struct ehlo_domain {
  ehlo_span raw;       /* as it is spelt, brackets included */
  uint32_t kind;       /* EHLO_DOMAIN_ */
  uint32_t utf8;       /* 1 if it holds octets above 127 */
  uint8_t address[16]; /* the address in network order: 4 octets of an IPv4, 16 of an IPv6 literal; rest zero */
} ehlo_domain;

enum {
  EHLO_PATH_NULL = 0,       /* <> */
  EHLO_PATH_POSTMASTER = 1, /* <Postmaster>, without a domain */
  EHLO_PATH_MAILBOX = 2     /* <local-part@domain> */
};

/* A reverse-path or forward-path. */
typedef struct ehlo_path {
  ehlo_span raw;        /* as it is spelt, angle brackets included (none for a bare mailbox) */
  ehlo_span route;      /* the source route "@a,@b" without its colon; empty if there is none; to be ignored */
  ehlo_span mailbox;    /* what stands between the brackets, behind the route */
  ehlo_span local_part; /* as it is spelt, quotes included; ehlo_local_part_decode takes them off */
  ehlo_domain domain;
  uint32_t kind;   /* EHLO_PATH_ */
  uint32_t quoted; /* 1 if the local-part is a quoted string */
  uint32_t utf8;   /* 1 if local-part, domain or route holds octets above 127 */
} ehlo_path;

/* Parses a path at the front of `text`: Path = "<" [ A-d-l ":" ] Mailbox ">", or "<>", or "<Postmaster>" in any case.
 * Which of the three is allowed where is the caller's to decide, by `kind`. `flags` are EHLO_PARSE_ bits. The
 * quoted local-part must have at least one character (erratum 5414). No limits on lengths but the input's. */
EHLO_API int ehlo_parse_path(ehlo_span text, uint32_t flags, ehlo_path *path, size_t *used);

/* Parses Mailbox = Local-part "@" ( Domain / address-literal ), without brackets, at the front of `text`. */
EHLO_API int ehlo_parse_mailbox(ehlo_span text, uint32_t flags, ehlo_path *path, size_t *used);

/* Parses Domain / address-literal at the front of `text`. Labels are letters, digits and hyphens, with a letter or
 * digit at both ends; no empty label, no trailing dot. */
EHLO_API int ehlo_parse_domain(ehlo_span text, uint32_t flags, ehlo_domain *domain, size_t *used);

/* The local-part without its quoting: "a\"b" gives a"b, and a.b gives a.b (RFC 5321 4.1.2: all spellings of the same
 * decoded octets are the same mailbox). `raw` must be a whole local-part. Returns also EHLO_ERR_SYNTAX. */
EHLO_API int ehlo_local_part_decode(ehlo_span raw, char *buffer, size_t size, size_t *length);

/* The other way, with the least quoting (RFC 5321 4.1.2): a dot-string as it is, anything else in quotes. UTF-8 is
 * let through with EHLO_PARSE_UTF8. EHLO_ERR_TEXT for an empty one, for control characters, for octets above 127
 * without the flag or that are no UTF-8. */
EHLO_API int ehlo_local_part_encode(ehlo_span decoded, uint32_t flags, char *buffer, size_t size, size_t *length);

/* Do two local-parts as spelt name the same mailbox? 1 or 0. Their case counts (RFC 5321 2.4). */
EHLO_API int ehlo_local_part_equal(ehlo_span a, ehlo_span b);

/* Formats <local-part@domain> from a decoded local-part and a domain or address literal; both empty gives <>; a
 * local-part "postmaster" with an empty domain gives <postmaster>. The result parses back to the same. EHLO_ERR_TEXT if
 * a part is not legal under `flags`. */
EHLO_API int ehlo_format_path(ehlo_span local_part, ehlo_span domain, uint32_t flags, char *buffer, size_t size,
                              size_t *length);

/* ---- command lines (RFC 5321 2.4, 4.1.1) -------------------------------------------------------------------- */

typedef struct ehlo_command {
  uint32_t verb;         /* EHLO_VERB_; EHLO_VERB_UNKNOWN for a word that is none of ours */
  uint32_t has_argument; /* 1 if a space followed the verb, with something behind it */
  ehlo_span name;        /* the verb as it is spelt */
  ehlo_span argument;    /* what follows the first space, trailing spaces and tabs removed (RFC 5321 4.1.1) */
} ehlo_command;

/* Takes a command line, without its CRLF, apart. EHLO_ERR_SYNTAX if it does not begin with a word of letters, digits
 * and hyphens that a space or the end follows. The argument is not looked at. */
EHLO_API int ehlo_parse_command(ehlo_span line, ehlo_command *command);

/* Reads chunk-size [ SP "LAST" ], the argument of BDAT (RFC 3030 2). EHLO_ERR_TOO_LONG for a size that does not fit 64
 * bits. */
EHLO_API int ehlo_parse_chunk(ehlo_span argument, uint64_t *size, uint32_t *last);

/* ---- parameters of MAIL and RCPT (RFC 5321 4.1.2) ----------------------------------------------------------- */

enum {
  EHLO_PARAMETER_UNKNOWN = 0,
  EHLO_PARAMETER_SIZE = 1,         /* MAIL, RFC 1870 */
  EHLO_PARAMETER_BODY = 2,         /* MAIL, RFC 6152, RFC 3030 */
  EHLO_PARAMETER_SMTPUTF8 = 3,     /* MAIL, RFC 6531 */
  EHLO_PARAMETER_RET = 4,          /* MAIL, RFC 3461 */
  EHLO_PARAMETER_ENVID = 5,        /* MAIL, RFC 3461 */
  EHLO_PARAMETER_NOTIFY = 6,       /* RCPT, RFC 3461 */
  EHLO_PARAMETER_ORCPT = 7,        /* RCPT, RFC 3461, RFC 6533 */
  EHLO_PARAMETER_AUTH = 8,         /* MAIL, RFC 4954 */
  EHLO_PARAMETER_BY = 9,           /* MAIL, RFC 2852 */
  EHLO_PARAMETER_HOLDFOR = 10,     /* MAIL, RFC 4865 */
  EHLO_PARAMETER_HOLDUNTIL = 11,   /* MAIL, RFC 4865 */
  EHLO_PARAMETER_MT_PRIORITY = 12, /* MAIL, RFC 6710 */
  EHLO_PARAMETER_REQUIRETLS = 13,  /* MAIL, RFC 8689 */
  EHLO_PARAMETER_RRVS = 14,        /* RCPT, RFC 7293 */
  EHLO_PARAMETER_SOLICIT = 15,     /* MAIL, RFC 3865 */
  EHLO_PARAMETER_MTRK = 16,        /* MAIL, RFC 3885 */
  EHLO_PARAMETER_SUBMITTER = 17,   /* MAIL, RFC 4405 */
  EHLO_PARAMETER_CONPERM = 18,     /* MAIL, RFC 4141 */
  EHLO_PARAMETER_CONNEG = 19,      /* RCPT, RFC 4141 */
  EHLO_PARAMETER_TRANSID = 20,     /* MAIL, RFC 1845 */
  EHLO_PARAMETER_COUNT = 21
};

typedef struct ehlo_parameter {
  uint32_t id;        /* EHLO_PARAMETER_ */
  uint32_t has_value; /* 1 if "=" and a value follow the keyword */
  ehlo_span raw;      /* keyword, "=" and value as they are spelt */
  ehlo_span keyword;
  ehlo_span value;
} ehlo_parameter;

/* Takes the next parameter from the front of *rest, a list with one space between its members and none around it.
 * Returns 1, with *parameter set and *rest moved on; 0 when *rest is empty; EHLO_ERR_SYNTAX, with *rest where the
 * trouble is. `flags`: EHLO_PARSE_UTF8 lets UTF-8 into values. */
EHLO_API int ehlo_parameter_next(ehlo_span *rest, uint32_t flags, ehlo_parameter *parameter);

/* Reads 1 to `max_digits` decimal digits, nothing else (SIZE has 20). A number too large for 64 bits reads as
 * UINT64_MAX. */
EHLO_API int ehlo_parse_number(ehlo_span text, size_t max_digits, uint64_t *number);

/* Reads the argument of BURL: an absolute URI of printable ASCII, and perhaps " LAST" (RFC 4468 3.5, RFC 3986 4.3).
 * Returns EHLO_OK, EHLO_ERR_SYNTAX, EHLO_ERR_ARGUMENT; after an error *url is empty. */
EHLO_API int ehlo_parse_burl(ehlo_span argument, ehlo_span *url, uint32_t *last);

/* ---- attributes of XCLIENT and XFORWARD (Postfix) ------------------------------------------------------------- */

/* NAME=value: who the client of a proxy is. */
typedef struct ehlo_attribute {
  ehlo_span name;  /* "ADDR", in any case: letters, digits, "-", "_" */
  ehlo_span value; /* xtext, not empty: ehlo_xtext_decode tells what it means. "[UNAVAILABLE]" and "[TEMPUNAVAIL]" are
                      words of their own */
} ehlo_attribute;

/* Takes the next attribute from the front of *rest, a list with one space between its members and none around it.
 * Returns 1, with *attribute set and *rest moved on; 0 when *rest is empty; EHLO_ERR_SYNTAX, with *rest as it was. What
 * names there are, and whether one may stand twice, is the caller's concern. */
EHLO_API int ehlo_attribute_next(ehlo_span *rest, ehlo_attribute *attribute);

/* ---- replies (RFC 5321 4.2; RFC 2034; RFC 3463) --------------------------------------------------------------- */

typedef struct ehlo_reply_line {
  uint32_t code;  /* 200 to 559 */
  uint32_t last;  /* 1 if no further line of this reply follows */
  ehlo_span text; /* behind the code and its space or hyphen; may be empty */
} ehlo_reply_line;

/* Parses one line of a reply, without its CRLF: Reply-code ( "-" / SP ) [ textstring ], or a code alone. Text may hold
 * any octet but CR, LF and NUL here (greetings and SMTPUTF8 answers do); what to do with it is the caller's concern. */
EHLO_API int ehlo_parse_reply_line(ehlo_span line, ehlo_reply_line *reply);

/* Parses status-code = class "." subject "." detail at the front of `text`; it must end there or before a space or
 * tab. *used counts the code and the white space behind it. */
EHLO_API int ehlo_parse_enhanced(ehlo_span text, ehlo_enhanced *enhanced, size_t *used);

/* Formats one line of a reply, CRLF included. `enhanced` may be NULL, for none. Text is HT, SP and printable ASCII, and
 * with EHLO_PARSE_UTF8 in `flags` UTF-8 too. Returns also EHLO_ERR_CODE for a code outside 200 to 559 or with a second
 * digit above 5, or an enhanced code whose class is not the code's first digit, EHLO_ERR_TOO_LONG if the line would
 * pass 512 octets (RFC 5321 4.5.3.1.5). */
EHLO_API int ehlo_format_reply_line(uint32_t code, uint32_t last, const ehlo_enhanced *enhanced, ehlo_span text,
                                    uint32_t flags, char *buffer, size_t size, size_t *length);

/* What a code means by its first digit, which counts also where nobody knows the rest (RFC 5321 4.2): 4yz may succeed
 * if tried again unchanged, 5yz will not (4.2.1). 1 or 0. Neither holds for 2yz and 3yz. */
EHLO_API int ehlo_reply_is_temporary(uint32_t code);
EHLO_API int ehlo_reply_is_permanent(uint32_t code);

/* The default text of a reply code ("Requested mail action okay, completed") and its default enhanced code, from the
 * table of replies. *enhanced may be NULL; it is all zero for codes that carry none. Static; empty for an unknown code.
 */
EHLO_API ehlo_span ehlo_reply_default(uint32_t code, ehlo_enhanced *enhanced);

/* ---- codecs ---------------------------------------------------------------------------------------------------- */

/* base64 (RFC 4648 4), with padding, nothing outside the alphabet let in or ignored, unused bits zero. Decoding
 * returns also EHLO_ERR_SYNTAX. Decoding needs 3 octets of buffer for 4 of text; encoding 4 for 3. */
EHLO_API int ehlo_base64_encode(ehlo_span octets, char *buffer, size_t size, size_t *length);
EHLO_API int ehlo_base64_decode(ehlo_span text, char *buffer, size_t size, size_t *length);

/* xtext (RFC 3461 4): "+" and two upper-case hexadecimal digits for "+", "=" and all outside 33 to 126. Decoding
 * returns also EHLO_ERR_SYNTAX. */
EHLO_API int ehlo_xtext_encode(ehlo_span octets, char *buffer, size_t size, size_t *length);
EHLO_API int ehlo_xtext_decode(ehlo_span text, char *buffer, size_t size, size_t *length);

/* How many octets at the front of `text` are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing
 * above U+10FFFF)? text.len means all of it. */
EHLO_API size_t ehlo_utf8_valid(ehlo_span text);

/* ---- trace fields (RFC 5321 4.4) -------------------------------------------------------------------------------- */

/* What a Received field says. Empty spans are left out, but `by` and `with` are needed. */
typedef struct ehlo_received {
  ehlo_span hello;          /* FROM: the name the client gave; a domain or address literal. Another spelling that a
                               leniency let in is put into a comment */
  ehlo_span client_name;    /* the client's name as the host looked it up; a domain */
  ehlo_span client_address; /* the client's address as a literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]" */
  ehlo_span by;             /* this host: a domain or address literal */
  ehlo_span with;           /* ESMTP and so on: ehlo_server_transmission_type */
  ehlo_span id;             /* the host's own identifier: an atom with dots */
  ehlo_span recipient;      /* FOR: exactly one path, in brackets; leave it out for several recipients (RFC 5321 7.2) */
  uint32_t utf8;            /* 1 lets UTF-8 stand in hello, client_name and recipient (RFC 6531 3.7.3) */
  int32_t utc_offset;       /* minutes east of UTC, -1439 to 1439 */
  int64_t time;             /* seconds since 1970-01-01 00:00 UTC, years 1 to 9999: the host's clock */
} ehlo_received;

/* Formats a Received field, folded to lines of at most 78 octets where a token allows it, CRLF included. 1,536 octets
 * of buffer suffice for parts that keep RFC 5321's limits. Also EHLO_ERR_ARGUMENT for a time or offset out of range. */
EHLO_API int ehlo_format_received(const ehlo_received *received, char *buffer, size_t size, size_t *length);

/* Formats "Return-Path: <...>CRLF" from a reverse-path as it is spelt, brackets included ("<>" for none). A source
 * route is left out. */
EHLO_API int ehlo_format_return_path(ehlo_span path, uint32_t flags, char *buffer, size_t size, size_t *length);

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
