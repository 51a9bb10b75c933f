/* digest.h: what SASL needs of cryptography: HMAC, PBKDF2, random octets; by OpenSSL.
 *
 * SPDX-License-Identifier: MIT
 *
 * Built without OpenSSL each of these fails, but for wipe.
 */
#ifndef EHLO_EXAMPLES_DIGEST_H
#define EHLO_EXAMPLES_DIGEST_H

#include <ehlo.h>

enum digest { DIGEST_MD5, DIGEST_SHA_1, DIGEST_SHA_256 };

enum { DIGEST_MOST = 32 }; /* octets of the longest of them */

/* Was OpenSSL there when this was built? */
int digest_is_there(void);

/* How many octets one has. */
size_t digest_size(enum digest digest);

/* All return 1, or 0 if it cannot be done: where the system forbids MD5, for one. `into` has room for DIGEST_MOST. */

int digest_of(enum digest digest, ehlo_span octets, uint8_t *into);

/* Of all the parts, one behind the other. */
int digest_hmac(enum digest digest, ehlo_span key, const ehlo_span *parts, size_t count, uint8_t *into);

/* PBKDF2 with HMAC, as long as the digest: the Hi of RFC 5802 2.2. */
int digest_stretch(enum digest digest, ehlo_span password, ehlo_span salt, uint32_t iterations, uint8_t *into);

/* Are both the same? In a time that does not tell where they differ. */
int digest_equal(const void *one, const void *other, size_t size);

int random_octets(void *into, size_t size);

/* Overwrites what nobody is to find in memory later. */
void wipe(void *octets, size_t size);

#endif
