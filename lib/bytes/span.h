/* span.h: spans and character classes. Floor: bytes.
 *
 * A cursor over octets is a pair of pointers here (at, end); public spans are made from them at the rim. Classes are
 * one table of bits, a load and a test an octet.
 */
#ifndef EHLO_BYTES_SPAN_H
#define EHLO_BYTES_SPAN_H

#include "ehlo/base.h"

/* Character classes (RFC 5234 B.1, RFC 5321 4.1.2, RFC 5322 3.2.3, RFC 3461 4). */
enum {
  CLASS_ALPHA = 1,
  CLASS_DIGIT = 2,
  CLASS_ATEXT = 4,  /* of an atom: letters, digits and !#$%&'*+-/=?^_`{|}~ */
  CLASS_QTEXT = 8,  /* qtextSMTP: 32-33, 35-91, 93-126 */
  CLASS_VALUE = 16, /* of an esmtp-value: 33-60, 62-126 */
  CLASS_XCHAR = 32, /* of xtext as it is: 33-42, 44-60, 62-126 */
  CLASS_TEXT = 64,  /* of a reply's text: HT, 32-126 */
  CLASS_LDH = 128   /* letters, digits, hyphen */
};

/* The classes of each octet, as a sum of the bits above. Octets above 127 are in none. */
extern const uint8_t ehlo_class[256];

/* Is the octet in (one of) the classes? */
static inline int octet_is(unsigned char octet, unsigned classes)
{
  return (ehlo_class[octet] & classes) != 0;
}

/* The lower-case form of an ASCII letter; any other octet as it is. */
static inline unsigned char octet_lower(unsigned char octet)
{
  return (unsigned char)(octet - 'A') < 26 ? (unsigned char)(octet | 0x20) : octet;
}

static inline ehlo_span span_of(const void *ptr, size_t len)
{
  ehlo_span span = {(const char *)ptr, len};
  return span;
}

static inline ehlo_span span_between(const void *from, const void *to)
{
  return span_of(from, (size_t)((const char *)to - (const char *)from));
}

static inline const unsigned char *span_begin(ehlo_span span)
{
  return (const unsigned char *)span.ptr;
}

/* Does the host say that there are octets where there are none? */
static inline int span_is_lie(ehlo_span span)
{
  return span.ptr == NULL && span.len > 0;
}

/* One past the last octet. An empty span may have a NULL ptr; nothing is added to it then. */
static inline const unsigned char *span_end(ehlo_span span)
{
  return span.len == 0 ? (const unsigned char *)span.ptr : (const unsigned char *)span.ptr + span.len;
}

/* The span behind its first `count` octets, count <= span.len. */
static inline ehlo_span span_from(ehlo_span span, size_t count)
{
  return count == 0 ? span : span_of(span.ptr + count, span.len - count);
}

/* Moves *span behind its leading spaces. Returns how many there were. */
static inline size_t span_skip_spaces(ehlo_span *span)
{
  size_t count = 0;
  while (count < span->len && span->ptr[count] == ' ') {
    count++;
  }
  *span = span_from(*span, count);
  return count;
}

/* Are all octets of the span in the classes? Yes for an empty one. */
static inline int span_is(ehlo_span span, unsigned classes)
{
  for (size_t i = 0; i < span.len; i++) {
    if (!octet_is((unsigned char)span.ptr[i], classes)) {
      return 0;
    }
  }
  return 1;
}

#endif
