/* proxy_protocol.c: see proxy_protocol.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "proxy_protocol.h"

#include <stdlib.h>
#include <string.h>

enum {
  MOST_OF_1 = 107, /* CRLF included */
  HEADER_OF_2 = 16,
  ADDRESSES_4 = 12, /* two addresses, two ports */
  ADDRESSES_6 = 36,
  LOCAL = 0x20,
  PROXY = 0x21,
  TCP4 = 0x11,
  TCP6 = 0x21
};

static const uint8_t signature[] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
static const char word[] = "PROXY ";

static size_t length_of_2(const struct preamble *preamble)
{
  return (size_t)preamble->octets[14] << 8 | preamble->octets[15];
}

/* How much of version 2 is kept: the addresses. */
static size_t kept_of_2(const struct preamble *preamble)
{
  size_t length = length_of_2(preamble);
  return HEADER_OF_2 + (length < ADDRESSES_6 ? length : ADDRESSES_6);
}

/* Does it begin like this, as far as it is there? */
static int begins(const struct preamble *preamble, const uint8_t *octets, size_t size, const void *with, size_t length)
{
  const uint8_t *expected = with;
  for (size_t i = 0; i < length && i < preamble->used + size; i++) {
    if ((i < preamble->used ? preamble->octets[i] : octets[i - preamble->used]) != expected[i])
      return 0;
  }
  return 1;
}

size_t preamble_needs(const struct preamble *preamble, const uint8_t *octets, size_t size)
{
  size_t most;
  if (preamble->skip > 0) {
    most = preamble->skip;
  } else if (begins(preamble, octets, size, signature, sizeof signature)) {
    most = (preamble->used < HEADER_OF_2 ? HEADER_OF_2 : kept_of_2(preamble)) - preamble->used;
  } else if (begins(preamble, octets, size, word, sizeof word - 1)) {
    const uint8_t *lf = memchr(octets, '\n', size);
    most = lf != NULL ? (size_t)(lf - octets) + 1 : size;
    if (preamble->used + most > MOST_OF_1)
      return 0;
  } else {
    return 0;
  }
  return most < size ? most : size;
}

/* "PROXY TCP4 192.0.2.1 198.51.100.1 56324 25" CRLF */
static int read_1(const struct preamble *preamble, struct ip_address *client)
{
  char line[MOST_OF_1 + 1], *rest = line, *fields[6];
  size_t count = 0;
  memcpy(line, preamble->octets, preamble->used);
  if (preamble->used < 2 || line[preamble->used - 2] != '\r')
    return -1;
  line[preamble->used - 2] = '\0';
  if (strncmp(line, "PROXY UNKNOWN", 13) == 0 && (line[13] == ' ' || line[13] == '\0'))
    return 1;
  while (count < 6 && rest != NULL)
    fields[count++] = strsep(&rest, " ");
  if (count != 6 || rest != NULL)
    return -1;
  struct ip_address source, target;
  int six = strcmp(fields[1], "TCP6") == 0;
  if ((!six && strcmp(fields[1], "TCP4") != 0) || ip_address_parse(&source, fields[2]) != 0 ||
      ip_address_parse(&target, fields[3]) != 0 || (strchr(fields[2], ':') != NULL) != six)
    return -1;
  char *end;
  unsigned long port = strtoul(fields[4], &end, 10);
  if (fields[4][0] < '0' || fields[4][0] > '9' || *end != '\0' || port > UINT16_MAX)
    return -1;
  source.port = (uint16_t)port;
  *client = source;
  return 1;
}

static int read_2(const struct preamble *preamble, struct ip_address *client)
{
  const uint8_t *at = preamble->octets + HEADER_OF_2;
  size_t length = length_of_2(preamble);
  int family = preamble->octets[13];
  if (preamble->octets[12] == LOCAL)
    return 1;
  if (preamble->octets[12] != PROXY)
    return -1;
  if (family == TCP4 && length >= ADDRESSES_4)
    ip_address_set(client, AF_INET, at, (uint16_t)(at[8] << 8 | at[9]));
  else if (family == TCP6 && length >= ADDRESSES_6)
    ip_address_set(client, AF_INET6, at, (uint16_t)(at[32] << 8 | at[33]));
  else if (family == TCP4 || family == TCP6)
    return -1;
  return 1;
}

int preamble_take(struct preamble *preamble, const uint8_t *octets, size_t size, struct ip_address *client)
{
  if (preamble->skip > 0) {
    preamble->skip -= size;
    return preamble->skip == 0 ? read_2(preamble, client) : 0;
  }
  memcpy(preamble->octets + preamble->used, octets, size);
  preamble->used += size;
  if (preamble->octets[0] == word[0])
    return preamble->octets[preamble->used - 1] == '\n' ? read_1(preamble, client) : 0;
  if (preamble->used < HEADER_OF_2 || preamble->used < kept_of_2(preamble))
    return 0;
  preamble->skip = HEADER_OF_2 + length_of_2(preamble) - preamble->used;
  return preamble->skip == 0 ? read_2(preamble, client) : 0;
}
