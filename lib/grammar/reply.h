/* reply.h: writing a line of a reply that is known to be right. Floor: grammar. */
#ifndef EHLO_GRAMMAR_REPLY_H
#define EHLO_GRAMMAR_REPLY_H

#include "../bytes/span.h"
#include "ehlo/grammar.h"

/* The longest reply line, CRLF included (RFC 5321 4.5.3.1.5). */
enum { REPLY_LINE_MAX = 512 };

/* ehlo_parse_reply_line for a line that is known to hold no CR, LF or NUL. */
static inline int reply_parse(ehlo_span line, ehlo_reply_line *reply)
{
  const unsigned char *at = span_begin(line);
  if (line.len < 3) {
    return EHLO_ERR_SYNTAX;
  }
  unsigned hundreds = at[0] - (unsigned)'0';
  unsigned tens = at[1] - (unsigned)'0';
  unsigned ones = at[2] - (unsigned)'0';
  if (hundreds - 2 > 3 || tens > 5 || ones > 9) {
    return EHLO_ERR_SYNTAX;
  }
  reply->code = hundreds * 100 + tens * 10 + ones;
  reply->last = 1;
  reply->text = span_of(NULL, 0);
  if (line.len > 3) {
    if (at[3] != ' ' && at[3] != '-') {
      return EHLO_ERR_SYNTAX;
    }
    reply->last = at[3] == ' ';
    reply->text = span_from(line, 4);
  }
  return EHLO_OK;
}

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
