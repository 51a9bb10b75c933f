/* reply.h: writing a line of a reply that is known to be right. Floor: grammar. */
#ifndef EHLO_GRAMMAR_REPLY_H
#define EHLO_GRAMMAR_REPLY_H

#include "ehlo/grammar.h"

/* The longest reply line, CRLF included (RFC 5321 4.5.3.1.5). */
enum { REPLY_LINE_MAX = 512 };

/* How many octets the line of a reply takes, CRLF included, with `text` octets of text. `enhanced` of class 0 is none. */
size_t ehlo_reply_length(ehlo_enhanced enhanced, size_t text);

/* Writes a line of a reply, CRLF included, to `to`, where ehlo_reply_length octets have room. Nothing is checked. Returns
 * behind it. */
char *ehlo_reply_write(char *to, unsigned code, int last, ehlo_enhanced enhanced, ehlo_span text);

#endif
