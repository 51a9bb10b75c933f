/* sasl.h: what the sessions must know of a SASL mechanism. Floor: mechanism. */
#ifndef EHLO_MECHANISM_SASL_H
#define EHLO_MECHANISM_SASL_H

#include "ehlo/sasl.h"

/* The longest line of an exchange, CRLF included (RFC 4954 4). */
enum { SASL_LINE_MAX = 12288 };

/* The longest name of a mechanism (RFC 4422 3.1). */
enum { SASL_NAME_MAX = 20 };

/* Does the client speak first? If so it may do so behind AUTH, and an empty challenge asks it to; if not, an initial
 * response is refused with 501 (RFC 4954 4). 0 for OTHER: the host knows. */
int ehlo_sasl_client_first(uint32_t mechanism);

/* Would whoever listens learn the secret? These are for TLS (RFC 4954 4, RFC 4616 5). */
int ehlo_sasl_in_clear(uint32_t mechanism);

/* Is all of it the library's to read and say? */
int ehlo_sasl_is_complete(uint32_t mechanism);

#endif
