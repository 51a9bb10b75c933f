/* offer.h: what an EHLO answer says, read line by line. Floor: mechanism. */
#ifndef EHLO_MECHANISM_OFFER_H
#define EHLO_MECHANISM_OFFER_H

#include "../bytes/span.h"
#include "capability.h"

/* All zero: nothing is offered. */
struct offer {
  ehlo_capabilities set;
  uint64_t size_limit;      /* SIZE; 0 for none */
  int64_t hold_until_max;   /* FUTURERELEASE: seconds since 1970-01-01 00:00 UTC */
  uint32_t hold_max;        /* FUTURERELEASE: seconds */
  uint32_t by_min;          /* DELIVERBY: seconds; 0 for none */
  uint32_t mechanisms;      /* AUTH: 1 << EHLO_SASL_ */
  uint32_t mail_max;        /* LIMITS; 0 for none */
  uint32_t rcpt_max;        /* LIMITS; 0 for none */
  uint32_t rcpt_domain_max; /* LIMITS; 0 for none */
  uint32_t texts;           /* octets of the area that are in use */
};

/* Takes a line of the answer, behind the first and without its code. `area` of `size` octets keeps what stands behind
 * the keywords, as it is spelt; what does not fit is left out. A line that cannot be read is ignored, as unknown
 * keywords are (RFC 5321 4.1.1.1). */
void ehlo_offer_read(struct offer *offer, ehlo_span line, unsigned char *area, size_t size);

/* What stood behind an extension's keyword, out of the area; empty if there was nothing or it did not fit. */
ehlo_span ehlo_offer_text(const struct offer *offer, const unsigned char *area, uint32_t extension);

/* Does a list of words with spaces between them hold this one, in any case? 1 or 0. */
int ehlo_offer_lists(ehlo_span list, ehlo_span word);

#endif
