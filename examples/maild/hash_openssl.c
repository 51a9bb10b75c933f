/* hash_openssl.c: see hash.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "hash.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

/* What OpenSSL has to say about a failure must not be taken for what a stream came to. */
static int checked(int good)
{
  ERR_clear_error();
  return good ? 0 : -1;
}

int hash_is_there(void)
{
  return 1;
}

int hash_digest(const void *octets, size_t size, uint8_t out[HASH_SIZE])
{
  return checked(EVP_Digest(octets, size, out, NULL, EVP_sha256(), NULL) == 1);
}

int hash_hmac(const void *key, size_t key_size, const void *octets, size_t size, uint8_t out[HASH_SIZE])
{
  return checked(key_size <= INT_MAX && HMAC(EVP_sha256(), key, (int)key_size, octets, size, out, NULL) != NULL);
}

int hash_password(const char *password, size_t size, const uint8_t *salt, size_t salt_size, uint32_t iterations,
                  uint8_t out[HASH_SIZE])
{
  return checked(
      size <= INT_MAX && salt_size <= INT_MAX && iterations <= INT_MAX &&
      PKCS5_PBKDF2_HMAC(password, (int)size, salt, (int)salt_size, (int)iterations, EVP_sha256(), HASH_SIZE, out) == 1);
}

int hash_random(void *octets, size_t size)
{
  return checked(size <= INT_MAX && RAND_bytes(octets, (int)size) == 1);
}

int hash_equal(const uint8_t *one, const uint8_t *other, size_t size)
{
  return CRYPTO_memcmp(one, other, size) == 0;
}

void hash_wipe(void *octets, size_t size)
{
  OPENSSL_cleanse(octets, size);
}
