/* digest_openssl.c: see digest.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "digest.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <limits.h>
#include <stdio.h>

static const struct {
  const char *name;
  size_t size;
} digests[] = {{"MD5", 16}, {"SHA1", 20}, {"SHA256", 32}};

int digest_is_there(void)
{
  return 1;
}

size_t digest_size(enum digest digest)
{
  return digests[digest].size;
}

/* Errors are told by what is returned, and are not to lie in the queue when a stream looks there. */
static int drained(int good)
{
  if (!good)
    ERR_clear_error();
  return good;
}

int digest_of(enum digest digest, ehlo_span octets, uint8_t *into)
{
  return drained(EVP_Q_digest(NULL, digests[digest].name, NULL, octets.ptr, octets.len, into, NULL) == 1);
}

int digest_hmac(enum digest digest, ehlo_span key, const ehlo_span *parts, size_t count, uint8_t *into)
{
  char name[8];
  size_t length;
  snprintf(name, sizeof name, "%s", digests[digest].name);
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", name, 0), OSSL_PARAM_construct_end()};
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
  int good = context != NULL && EVP_MAC_init(context, (const unsigned char *)key.ptr, key.len, params) == 1;
  for (size_t i = 0; i < count && good; i++)
    good = EVP_MAC_update(context, (const unsigned char *)parts[i].ptr, parts[i].len) == 1;
  good = good && EVP_MAC_final(context, into, &length, DIGEST_MOST) == 1;
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return drained(good);
}

int digest_stretch(enum digest digest, ehlo_span password, ehlo_span salt, uint32_t iterations, uint8_t *into)
{
  const EVP_MD *by = EVP_get_digestbyname(digests[digest].name);
  if (password.len > INT_MAX || salt.len > INT_MAX || iterations > INT_MAX)
    return 0;
  return drained(PKCS5_PBKDF2_HMAC(password.ptr, (int)password.len, (const unsigned char *)salt.ptr, (int)salt.len,
                                   (int)iterations, by, (int)digests[digest].size, into) == 1);
}

int digest_equal(const void *one, const void *other, size_t size)
{
  return CRYPTO_memcmp(one, other, size) == 0;
}

int random_octets(void *into, size_t size)
{
  return drained(size <= INT_MAX && RAND_bytes(into, (int)size) == 1);
}

void wipe(void *octets, size_t size)
{
  OPENSSL_cleanse(octets, size);
}
