/* fuzz_grammar.h: what the targets for the grammar floor share.
 *
 * Each of them holds the parsers to their words: what they tell lies inside what they were given, what they refuse
 * leaves zeroes behind, and what they take is what a second, simpler reading of the same rule takes.
 */
#ifndef EHLO_FUZZ_GRAMMAR_H
#define EHLO_FUZZ_GRAMMAR_H

#include "fuzz.h"

static inline ehlo_span part_of(ehlo_span text, size_t from, size_t to)
{
  ehlo_span part = {text.ptr + from, to - from};
  return part;
}

static inline int lies_inside(ehlo_span part, ehlo_span whole)
{
  return part.len == 0 ||
         (part.ptr >= whole.ptr && part.len <= whole.len && (size_t)(part.ptr - whole.ptr) <= whole.len - part.len);
}

static inline int is_zero(const void *object, size_t size)
{
  const unsigned char *octets = object;
  for (size_t i = 0; i < size; i++) {
    if (octets[i] != 0) {
      return 0;
    }
  }
  return 1;
}

static inline int is_letter_or_digit(int octet)
{
  return (octet >= '0' && octet <= '9') || (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z');
}

static inline int has_high_octet(ehlo_span text)
{
  for (size_t i = 0; i < text.len; i++) {
    if ((unsigned char)text.ptr[i] > 127) {
      return 1;
    }
  }
  return 0;
}

#endif
