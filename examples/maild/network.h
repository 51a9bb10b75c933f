/* network.h: where a client is, and whether that is within a network.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_NETWORK_H
#define MAILD_NETWORK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ip_address {
  uint8_t family; /* AF_INET, AF_INET6, AF_UNIX */
  uint16_t port;
  uint8_t octets[16];
};

/* As accept gave it. An IPv4 address that is mapped into IPv6 becomes one of IPv4. */
void ip_address_take(struct ip_address *address, const struct sockaddr_storage *peer);

/* From octets in network order: 4 or 16 of them. */
void ip_address_set(struct ip_address *address, uint8_t family, const void *octets, uint16_t port);

/* From text, without a port. Returns 0, or -1 if it is none. */
int ip_address_parse(struct ip_address *address, const char *text);

/* As a literal ("[192.0.2.1]", "[IPv6:2001:db8::1]"), "local" for a Unix socket. In a static buffer. */
const char *ip_address_text(const struct ip_address *address);

/* Who has one address of an IPv6 /64 has all of them: how many octets tell a peer from another. */
size_t ip_address_significant(const struct ip_address *address);

struct network {
  struct ip_address address;
  unsigned bits;
  int local; /* all Unix sockets */
};

/* "192.0.2.0/24", "2001:db8::/32", an address alone, or "local" for Unix sockets. Returns 0 or -1. */
int network_parse(struct network *network, const char *text);

/* Is it in one of them? */
int networks_have(const struct network *networks, size_t count, const struct ip_address *address);

#endif
