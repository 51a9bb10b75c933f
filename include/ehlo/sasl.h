/* ehlo/sasl.h: the mechanisms of AUTH.
 *
 * SPDX-License-Identifier: MIT
 *
 * Part of ehlo.h; include that. The sessions do the exchange (RFC 4954); this is about what is said in it.
 */
#ifndef EHLO_SASL_H
#define EHLO_SASL_H

#include "base.h"

#if !defined(EHLO_BINDING) && defined(__cplusplus)
extern "C" {
#endif

/* SASL mechanisms. Those of the first group are complete: the library says and reads all that they say. For the others,
 * and for any that is not listed here, it carries the octets, and the host makes and checks them. The numbers are bits
 * of `mechanisms` in the configs: 1 << EHLO_SASL_PLAIN. */
enum {
  EHLO_SASL_OTHER = 0,       /* none of these */
  EHLO_SASL_PLAIN = 1,       /* RFC 4616 */
  EHLO_SASL_LOGIN = 2,       /* draft-murchison-sasl-login */
  EHLO_SASL_EXTERNAL = 3,    /* RFC 4422 A: who the peer is says TLS */
  EHLO_SASL_XOAUTH2 = 4,     /* Google and Microsoft; no RFC */
  EHLO_SASL_OAUTHBEARER = 5, /* RFC 7628 */
  EHLO_SASL_CRAM_MD5 = 6,    /* RFC 2195 */
  EHLO_SASL_SCRAM_SHA_1 = 7, /* RFC 5802 */
  EHLO_SASL_SCRAM_SHA_1_PLUS = 8,
  EHLO_SASL_SCRAM_SHA_256 = 9, /* RFC 7677 */
  EHLO_SASL_SCRAM_SHA_256_PLUS = 10,
  EHLO_SASL_COUNT = 11
};

/* Who somebody says to be, and what is to prove it. Spans are borrowed: ehlo_sasl_decode points them into the message,
 * and ehlo_sasl_encode reads them while it is called. No secret is copied anywhere but to the buffer of the caller, who
 * is to wipe that and the message. */
typedef struct ehlo_credentials {
  size_t struct_size; /* sizeof(ehlo_credentials) */
  uint32_t mechanism; /* EHLO_SASL_ */
  ehlo_span authzid; /* whom to act as: PLAIN, EXTERNAL, OAUTHBEARER; empty for whom the rest proves (RFC 4422 3.4.1) */
  ehlo_span authcid; /* who is there: PLAIN, LOGIN, XOAUTH2 (its "user") */
  ehlo_span secret;  /* the password, or for XOAUTH2 and OAUTHBEARER the bearer token */
  ehlo_span host;    /* OAUTHBEARER: the server's name, if it is told */
  uint32_t port;     /* OAUTHBEARER: and its port, 1 to 65535; 0 if it is not told */
} ehlo_credentials;

/* The name of a mechanism as EHLO lists it ("SCRAM-SHA-256"). Static. "?" for a number that is none, and for OTHER. */
EHLO_API const char *ehlo_sasl_name(uint32_t mechanism);

/* The mechanism of a name, in any case; EHLO_SASL_OTHER if it is none of ours. */
EHLO_API uint32_t ehlo_sasl_find(ehlo_span name);

/* sasl-mech = 1*20mech-char; mech-char = A-Z 0-9 "-" "_" (RFC 4422 3.1), here in any case. 1 or 0. */
EHLO_API int ehlo_sasl_is_name(ehlo_span name);

/* The one message of a client, and what may stand in it:
 *
 * PLAIN: [authzid] NUL authcid NUL secret (RFC 4616 2), well-formed UTF-8 without NUL; authcid and secret are not
 * empty. The RFC asks for 255 octets of each and sets no upper limit, so there is none here but that of the line (RFC
 * 4954 4). Nothing is prepared (SASLprep): the host does that before it compares.
 *
 * EXTERNAL: the authzid, or nothing (RFC 4422 A.1), well-formed UTF-8 without NUL.
 *
 * XOAUTH2: "user=" authcid ^A "auth=Bearer " secret ^A ^A.
 *
 * OAUTHBEARER: "n," ["a=" authzid] "," ^A, keys with their values, ^A (RFC 7628 3.1). The keys "auth", which must be
 * there, "host" and "port" come in any order and no more than once; others are left out. "y" is read as "n" is; there
 * is no channel binding ("p="). The authzid stays as it is spelt, both ways: a comma in it is "=2C", an equals sign
 * "=3D" (RFC 5801 4), and neither stands there as itself. An empty "auth", which asks where to get a token (RFC
 * 7628 4.3), and a single ^A, which answers an error, are no credentials: EHLO_ERR_SYNTAX.
 *
 * In the last two, names are well-formed UTF-8 without control characters and not empty, the secret is a b64token (RFC
 * 6750 2.1), "Bearer" has any case, more than one space may follow it, and the host is of printable ASCII. */

/* Reads that message, decoded from base64 already. Of *into, struct_size is set by the caller; fields that the
 * mechanism does not have come out empty. Returns EHLO_OK; EHLO_ERR_SYNTAX, with all empty but struct_size, for what is
 * outside the grammar; EHLO_ERR_ARGUMENT, with nothing changed, for NULL, a struct_size too small, or another
 * mechanism. */
EHLO_API int ehlo_sasl_decode(uint32_t mechanism, ehlo_span message, ehlo_credentials *into);

/* Makes that message, not in base64 yet. Fields that the mechanism does not have are not looked at. What it makes is
 * read by ehlo_sasl_decode as the same. Returns EHLO_OK; EHLO_ERR_BUFFER with the length that is needed in *length;
 * EHLO_ERR_TEXT for a field that cannot stand in it (NUL, ill-formed UTF-8, control characters in OAuth, a token that
 * is none); EHLO_ERR_ARGUMENT for NULL, a struct_size too small, another mechanism, an authcid or secret that it needs
 * and that is empty, or a port above 65535. */
EHLO_API int ehlo_sasl_encode(const ehlo_credentials *credentials, char *buffer, size_t size, size_t *length);

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
