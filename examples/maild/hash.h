/* hash.h: what SCRAM is made of (RFC 5802), by OpenSSL.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_HASH_H
#define MAILD_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_SIZE = 32 }; /* SHA-256 */

/* Was OpenSSL there when this was built? If not, none of the others does anything, and all return -1. */
int hash_is_there(void);

/* Each returns 0, or -1. */
int hash_digest(const void *octets, size_t size, uint8_t out[HASH_SIZE]);
int hash_hmac(const void *key, size_t key_size, const void *octets, size_t size, uint8_t out[HASH_SIZE]);
int hash_password(const char *password, size_t size, const uint8_t *salt, size_t salt_size, uint32_t iterations,
                  uint8_t out[HASH_SIZE]);
int hash_random(void *octets, size_t size);

/* 1 or 0, in a time that does not tell where they differ. */
int hash_equal(const uint8_t *one, const uint8_t *other, size_t size);

/* Fills with zeros, and no compiler leaves it out. */
void hash_wipe(void *octets, size_t size);

#endif
