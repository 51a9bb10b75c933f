/* fuzz.h: what all targets share.
 *
 * Each of them copies what it hands to the library into a heap block of exactly its size, so that the address sanitizer
 * sees every octet that is read beside it.
 */
#ifndef EHLO_FUZZ_H
#define EHLO_FUZZ_H

#include "ehlo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : not_so(__FILE__, __LINE__, #condition))

static inline _Noreturn void not_so(const char *file, int line, const char *condition)
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

#endif
