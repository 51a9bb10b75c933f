/* envelope.h: what the parameters of MAIL must keep together. Floor: grammar. */
#ifndef EHLO_GRAMMAR_ENVELOPE_H
#define EHLO_GRAMMAR_ENVELOPE_H

#include "ehlo/parameters.h"

/* Do those of one MAIL go together? 1 or 0: 501. Only once all of them were read, as they come in any order:
 *
 *   - HOLDFOR and HOLDUNTIL do not (RFC 4865 4.2: one hold-param; a second is refused by the reader already);
 *   - nor HOLDFOR and a BY that ends before it (RFC 4865 5.2.2). HOLDUNTIL needs a clock for that: the host's concern;
 *   - MTRK needs ENVID (RFC 3885 3.2). */
int ehlo_mail_parameters_agree(const ehlo_mail_parameters *parameters);

#endif
