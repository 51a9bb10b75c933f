/* network.c: see network.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ip_address_set(struct ip_address *address, uint8_t family, const void *octets, uint16_t port)
{
  static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  memset(address, 0, sizeof *address);
  address->family = family;
  address->port = port;
  memcpy(address->octets, octets, family == AF_INET ? 4 : 16);
  if (family == AF_INET6 && memcmp(address->octets, mapped, sizeof mapped) == 0) {
    address->family = AF_INET;
    memmove(address->octets, address->octets + 12, 4);
    memset(address->octets + 4, 0, 12);
  }
}

void ip_address_take(struct ip_address *address, const struct sockaddr_storage *peer)
{
  const struct sockaddr_in *in = (const void *)peer;
  const struct sockaddr_in6 *in6 = (const void *)peer;
  if (peer->ss_family == AF_INET) {
    ip_address_set(address, AF_INET, &in->sin_addr, ntohs(in->sin_port));
  } else if (peer->ss_family == AF_INET6) {
    ip_address_set(address, AF_INET6, &in6->sin6_addr, ntohs(in6->sin6_port));
  } else {
    memset(address, 0, sizeof *address);
    address->family = AF_UNIX;
  }
}

int ip_address_parse(struct ip_address *address, const char *text)
{
  uint8_t octets[16];
  uint8_t family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
  if (inet_pton(family, text, octets) != 1)
    return -1;
  ip_address_set(address, family, octets, 0);
  return 0;
}

const char *ip_address_text(const struct ip_address *address)
{
  static char text[INET6_ADDRSTRLEN + 8];
  char octets[INET6_ADDRSTRLEN];
  if (address->family != AF_INET && address->family != AF_INET6)
    return "local";
  inet_ntop(address->family, address->octets, octets, sizeof octets);
  snprintf(text, sizeof text, address->family == AF_INET ? "[%s]" : "[IPv6:%s]", octets);
  return text;
}

size_t ip_address_significant(const struct ip_address *address)
{
  return address->family == AF_INET ? 4 : 8;
}

int network_parse(struct network *network, const char *text)
{
  char word[INET6_ADDRSTRLEN + 1];
  size_t length = strcspn(text, "/");
  memset(network, 0, sizeof *network);
  network->local = strcmp(text, "local") == 0;
  if (network->local)
    return 0;
  if (length >= sizeof word)
    return -1;
  memcpy(word, text, length);
  word[length] = '\0';
  if (ip_address_parse(&network->address, word) != 0)
    return -1;
  unsigned most = network->address.family == AF_INET ? 32 : 128;
  network->bits = most;
  if (text[length] == '\0')
    return 0;
  char *end;
  unsigned long bits = strtoul(text + length + 1, &end, 10);
  if (end == text + length + 1 || *end != '\0' || text[length + 1] < '0' || text[length + 1] > '9' || bits > most)
    return -1;
  network->bits = (unsigned)bits;
  return 0;
}

static int has(const struct network *network, const struct ip_address *address)
{
  if (network->local || address->family == AF_UNIX)
    return network->local && address->family == AF_UNIX;
  unsigned whole = network->bits / 8;
  unsigned rest = network->bits % 8;
  return network->address.family == address->family && memcmp(network->address.octets, address->octets, whole) == 0 &&
         (rest == 0 || (network->address.octets[whole] ^ address->octets[whole]) >> (8 - rest) == 0);
}

int networks_have(const struct network *networks, size_t count, const struct ip_address *address)
{
  for (size_t i = 0; i < count; i++) {
    if (has(&networks[i], address))
      return 1;
  }
  return 0;
}
