/* capability.h: what an EHLO answer lists. Floor: mechanism. */
#ifndef EHLO_MECHANISM_CAPABILITY_H
#define EHLO_MECHANISM_CAPABILITY_H

#include "ehlo/base.h"

/* A set of extensions, a bit each: 1 << EHLO_EXT_. */
typedef uint64_t ehlo_capabilities;

static inline int capability_has(ehlo_capabilities set, uint32_t extension)
{
  return (int)(set >> extension & 1);
}

static inline ehlo_capabilities capability_bit(uint32_t extension)
{
  return (ehlo_capabilities)1 << extension;
}

/* Does the set agree with itself and with the protocol? 1 or 0. SMTPUTF8 needs 8BITMIME (RFC 6531 3.1 item 8),
 * BINARYMIME needs CHUNKING (RFC 3030 3), BURL needs 8BITMIME (RFC 4468 4); LMTP needs PIPELINING and
 * ENHANCEDSTATUSCODES (RFC 2033 5) and has no CHECKPOINT, whose 355 knows of one verdict only. */
int ehlo_capability_agrees(ehlo_capabilities set, uint32_t protocol);

/* What the set adds to the longest command line (RFC 5321 4.5.3.1.4): to that of MAIL and its kin, to that of RCPT, and
 * whichever of the two is more. */
uint32_t ehlo_capability_mail_line(ehlo_capabilities set);
uint32_t ehlo_capability_rcpt_line(ehlo_capabilities set);
uint32_t ehlo_capability_line(ehlo_capabilities set);

/* The first extension of the set from number `from` on; EHLO_EXT_COUNT if there is none. */
uint32_t ehlo_capability_next(ehlo_capabilities set, uint32_t from);

#endif
