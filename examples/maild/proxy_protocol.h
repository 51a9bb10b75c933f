/* proxy_protocol.h: what a balancer says in front of a connection about whose it is (HAProxy's PROXY protocol, versions
 * 1 and 2).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_PROXY_PROTOCOL_H
#define MAILD_PROXY_PROTOCOL_H

#include "network.h"

enum { PREAMBLE_SIZE = 256 /* 107 octets at most in version 1; addresses in version 2 are shorter */ };

struct preamble {
  uint8_t octets[PREAMBLE_SIZE];
  size_t used;
  size_t skip; /* octets of version 2 behind the addresses that are still to come */
};

/* How many of these octets, which are the next ones on the connection, belong to the preamble for sure. What comes
 * behind it is the client's, and perhaps TLS: it has to stay where it is. 0: what is there is no preamble. */
size_t preamble_needs(const struct preamble *preamble, const uint8_t *octets, size_t size);

/* Takes so many. Returns 1 when it is complete, with *client changed to who it is, unless the balancer speaks for
 * itself or does not know; 0 if more is to come; -1 if it is none. */
int preamble_take(struct preamble *preamble, const uint8_t *octets, size_t size, struct ip_address *client);

#endif
