/* reply.h: writing a line of a reply that is known to be right. Floor: grammar. */
#ifndef EHLO_GRAMMAR_REPLY_H
#define EHLO_GRAMMAR_REPLY_H

#include "ehlo/grammar.h"

/* The longest reply line, CRLF included (RFC 5321 4.5.3.1.5). */
enum { REPLY_LINE_MAX = 512 };

/* How many octets a number below 1,000 takes. */
static inline size_t reply_digits(unsigned number)
{
  return number > 99 ? 3 : number > 9 ? 2 : 1;
}

/* How many octets the line of a reply takes, CRLF included, with `text` octets of text. `enhanced` of class 0 is none.
 */
static inline size_t reply_length(ehlo_enhanced enhanced, size_t text)
{
  size_t length = 4 + text + 2;
  if (enhanced.status_class != 0) {
    length += 2 + reply_digits(enhanced.subject) + 1 + reply_digits(enhanced.detail) + 1;
  }
  return length;
}

/* Writes a line of a reply, CRLF included, to `to`, where reply_length octets have room. Nothing is checked. */
void ehlo_reply_write(char *to, unsigned code, int last, ehlo_enhanced enhanced, ehlo_span text);

#endif
