/* digest_none.c: in place of digest_openssl.c where OpenSSL was not found. See digest.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "digest.h"

int digest_is_there(void)
{
  return 0;
}

size_t digest_size(enum digest digest)
{
  (void)digest;
  return 0;
}

int digest_of(enum digest digest, ehlo_span octets, uint8_t *into)
{
  (void)digest, (void)octets, (void)into;
  return 0;
}

int digest_hmac(enum digest digest, ehlo_span key, const ehlo_span *parts, size_t count, uint8_t *into)
{
  (void)digest, (void)key, (void)parts, (void)count, (void)into;
  return 0;
}

int digest_stretch(enum digest digest, ehlo_span password, ehlo_span salt, uint32_t iterations, uint8_t *into)
{
  (void)digest, (void)password, (void)salt, (void)iterations, (void)into;
  return 0;
}

int digest_equal(const void *one, const void *other, size_t size)
{
  (void)one, (void)other, (void)size;
  return 0;
}

int random_octets(void *into, size_t size)
{
  (void)into, (void)size;
  return 0;
}

void wipe(void *octets, size_t size)
{
  volatile unsigned char *octet = octets;
  while (size-- > 0)
    *octet++ = 0;
}
