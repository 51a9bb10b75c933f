/* capability.c: what an EHLO answer lists. Floor: mechanism. */
#include "capability.h"

#include "../bytes/word.h"
#include "../grammar/table.h"

int ehlo_capability_agrees(ehlo_capabilities set, uint32_t protocol)
{
  ehlo_capabilities needed = 0;
  if (capability_has(set, EHLO_EXT_SMTPUTF8)) {
    needed |= capability_bit(EHLO_EXT_8BITMIME);
  }
  if (capability_has(set, EHLO_EXT_BINARYMIME)) {
    needed |= capability_bit(EHLO_EXT_CHUNKING) | capability_bit(EHLO_EXT_8BITMIME);
  }
  if (capability_has(set, EHLO_EXT_BURL)) {
    needed |= capability_bit(EHLO_EXT_8BITMIME);
  }
  if (protocol == EHLO_PROTOCOL_LMTP) {
    if (capability_has(set, EHLO_EXT_CHECKPOINT)) {
      return 0;
    }
    needed |= capability_bit(EHLO_EXT_PIPELINING) | capability_bit(EHLO_EXT_ENHANCEDSTATUSCODES);
  }
  return (set & needed) == needed;
}

uint32_t ehlo_capability_mail_line(ehlo_capabilities set)
{
  uint32_t octets = 0;
  for (uint32_t e = ehlo_capability_next(set, 0); e < EHLO_EXT_COUNT; e = ehlo_capability_next(set, e + 1)) {
    octets += ehlo_extensions[e].mail;
  }
  return octets;
}

uint32_t ehlo_capability_rcpt_line(ehlo_capabilities set)
{
  uint32_t octets = 0;
  for (uint32_t e = ehlo_capability_next(set, 0); e < EHLO_EXT_COUNT; e = ehlo_capability_next(set, e + 1)) {
    octets += ehlo_extensions[e].rcpt;
  }
  return octets;
}

uint32_t ehlo_capability_line(ehlo_capabilities set)
{
  uint32_t mail = ehlo_capability_mail_line(set);
  uint32_t rcpt = ehlo_capability_rcpt_line(set);
  return mail > rcpt ? mail : rcpt;
}

uint32_t ehlo_capability_next(ehlo_capabilities set, uint32_t from)
{
  set = from < EHLO_EXT_COUNT ? set >> from << from : 0;
  return set == 0 ? EHLO_EXT_COUNT : lowest_bit(set);
}
