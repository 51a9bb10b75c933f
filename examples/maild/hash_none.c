/* hash_none.c: see hash.h; built where there is no OpenSSL.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "hash.h"

#include <string.h>

int hash_is_there(void)
{
  return 0;
}

int hash_digest(const void *octets, size_t size, uint8_t out[HASH_SIZE])
{
  (void)octets, (void)size, (void)out;
  return -1;
}

int hash_hmac(const void *key, size_t key_size, const void *octets, size_t size, uint8_t out[HASH_SIZE])
{
  (void)key, (void)key_size, (void)octets, (void)size, (void)out;
  return -1;
}

int hash_password(const char *password, size_t size, const uint8_t *salt, size_t salt_size, uint32_t iterations,
                  uint8_t out[HASH_SIZE])
{
  (void)password, (void)size, (void)salt, (void)salt_size, (void)iterations, (void)out;
  return -1;
}

int hash_random(void *octets, size_t size)
{
  (void)octets, (void)size;
  return -1;
}

int hash_equal(const uint8_t *one, const uint8_t *other, size_t size)
{
  (void)one, (void)other, (void)size;
  return 0;
}

void hash_wipe(void *octets, size_t size)
{
  explicit_bzero(octets, size);
}
