/* fuzz_grammar.h: what the targets for the grammar floor share.
 *
 * Each of them copies its input into a heap block of exactly its size, so that the address sanitizer sees every octet
 * that is read beside it, and holds the parsers to their words: what they tell lies inside what they were given, what
 * they refuse leaves zeroes behind, and what they take is what a second, simpler reading of the same rule takes.
 */
#ifndef EHLO_FUZZ_GRAMMAR_H
#define EHLO_FUZZ_GRAMMAR_H

#include "ehlo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : not_so(__FILE__, __LINE__, #condition))

static inline void not_so(const char *file, int line, const char *condition)
{
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
  abort();
}

/* A block of exactly `size` octets; never NULL. The caller frees it. */
static inline char *block_of(size_t size)
{
  char *block = malloc(size);
  REQUIRE(block != NULL || size == 0);
  return block != NULL ? block : malloc(1);
}

static inline ehlo_span copy_of(const void *octets, size_t size)
{
  ehlo_span copy = {block_of(size), size};
  if (size > 0) {
    memcpy((char *)(uintptr_t)copy.ptr, octets, size);
  }
  return copy;
}

static inline void release(ehlo_span copy)
{
  free((void *)(uintptr_t)copy.ptr);
}

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
