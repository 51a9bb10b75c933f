/* config.h: what both machines ask of a config and of the memory that they are given. Floor: session. */
#ifndef EHLO_SESSION_CONFIG_H
#define EHLO_SESSION_CONFIG_H

#include "ehlo/grammar.h"

/* The longest domain (RFC 5321 4.5.3.1.2). */
enum { HOSTNAME_MAX = 255 };

static inline int config_within(uint32_t value, uint32_t least, uint32_t most)
{
  return value >= least && value <= most;
}

static inline int config_hostname_is_legal(ehlo_span hostname)
{
  ehlo_domain domain;
  size_t used;
  return hostname.ptr != NULL && hostname.len <= HOSTNAME_MAX &&
         ehlo_parse_domain(hostname, 0, &domain, &used) == EHLO_OK && used == hostname.len;
}

static inline int block_is_aligned(const void *memory)
{
  return (uintptr_t)memory % _Alignof(max_align_t) == 0;
}

#endif
