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

/* Who somebody says to be, and what is to prove it. */
typedef struct ehlo_credentials {
  size_t struct_size; /* sizeof(ehlo_credentials) */
  uint32_t mechanism; /* EHLO_SASL_ */
  ehlo_span authzid;  /* whom to act as; empty for the same as authcid (RFC 4422 3.4.1) */
  ehlo_span authcid;  /* who is there: PLAIN, LOGIN, XOAUTH2 (its "user"), and what OAUTHBEARER has before its "auth" */
  ehlo_span secret;   /* the password, or for XOAUTH2 and OAUTHBEARER the bearer token */
  ehlo_span host;     /* OAUTHBEARER: the server's name, if it is told */
  uint32_t port;      /* OAUTHBEARER: and its port; 0 if it is not told */
} ehlo_credentials;

/* The name of a mechanism as EHLO lists it ("SCRAM-SHA-256"). Static. "?" for a number that is none, and for OTHER. */
EHLO_API const char *ehlo_sasl_name(uint32_t mechanism);

/* The mechanism of a name, in any case; EHLO_SASL_OTHER if it is none of ours. */
EHLO_API uint32_t ehlo_sasl_find(ehlo_span name);

/* sasl-mech = 1*20mech-char; mech-char = A-Z 0-9 "-" "_" (RFC 4422 3.1), here in any case. 1 or 0. */
EHLO_API int ehlo_sasl_is_name(ehlo_span name);

/* Reads the one message of a client by PLAIN, EXTERNAL, XOAUTH2 or OAUTHBEARER, decoded from base64 already. Spans of
 * *into lie in `message`. Returns EHLO_OK; EHLO_ERR_SYNTAX for what is outside its grammar; EHLO_ERR_ARGUMENT for NULL
 * or another mechanism. */
EHLO_API int ehlo_sasl_decode(uint32_t mechanism, ehlo_span message, ehlo_credentials *into);

/* Makes that message, not in base64 yet. Returns EHLO_OK; EHLO_ERR_BUFFER with the length that is needed in *length;
 * EHLO_ERR_TEXT for a field that cannot stand in it (NUL, ill-formed UTF-8, control characters in OAuth);
 * EHLO_ERR_ARGUMENT for NULL, another mechanism, or a field that it needs and is empty. */
EHLO_API int ehlo_sasl_encode(const ehlo_credentials *credentials, char *buffer, size_t size, size_t *length);

#if !defined(EHLO_BINDING) && defined(__cplusplus)
}
#endif
#endif
