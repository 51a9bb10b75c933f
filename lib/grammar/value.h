/* value.h: the values of the parameters of MAIL and RCPT, each by the rule of its RFC. Floor: grammar.
 *
 * A reader takes a value, as it stands behind "=", and returns 1, with its fields of the struct set, or 0, with nothing
 * set. Whether the parameter stood there before is the caller's concern. Values that stay as they are spelt have a
 * predicate in place of a reader; it holds for what is to go out as for what came in.
 */
#ifndef EHLO_GRAMMAR_VALUE_H
#define EHLO_GRAMMAR_VALUE_H

#include "../bytes/span.h"
#include "ehlo/parameters.h"

/* The most that a number of 1*9DIGIT tells: BY, HOLDFOR, MTRK. */
enum { NINE_DIGITS = 999999999 };

int ehlo_read_size(ehlo_span value, ehlo_mail_parameters *into);
int ehlo_read_body(ehlo_span value, ehlo_mail_parameters *into);
int ehlo_read_ret(ehlo_span value, ehlo_mail_parameters *into);
int ehlo_read_by(ehlo_span value, ehlo_mail_parameters *into);
int ehlo_read_hold_for(ehlo_span value, ehlo_mail_parameters *into);
int ehlo_read_hold_until(ehlo_span value, ehlo_mail_parameters *into);
int ehlo_read_priority(ehlo_span value, ehlo_mail_parameters *into);
int ehlo_read_mtrk(ehlo_span value, ehlo_mail_parameters *into);
int ehlo_read_notify(ehlo_span value, ehlo_rcpt_parameters *into);
int ehlo_read_orcpt(ehlo_span value, uint32_t flags, ehlo_rcpt_parameters *into);
int ehlo_read_rrvs(ehlo_span value, ehlo_rcpt_parameters *into);

int ehlo_is_envid(ehlo_span value);
int ehlo_is_auth(ehlo_span value, uint32_t flags);
int ehlo_is_submitter(ehlo_span value, uint32_t flags);
int ehlo_is_solicit(ehlo_span value);
int ehlo_is_certifier(ehlo_span value); /* of MTRK */
int ehlo_is_transid(ehlo_span value);
int ehlo_is_orcpt(ehlo_span type, ehlo_span address, uint32_t flags);

/* Would this be an ORCPT, of another type than utf-8, if octets above 127 could stand in what its xtext encodes? They
 * cannot (RFC 3461 4.2), and there is at least one. */
int ehlo_is_8bit_orcpt(ehlo_span value);

#endif
