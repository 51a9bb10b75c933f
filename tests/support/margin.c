/* margin.c: blocks that show when something was written behind them. */
#include "margin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *margin_block(size_t size)
{
  char *block = malloc(size + MARGIN);
  if (block == NULL) {
    perror("margin");
    abort();
  }
  return memset(block, MARGIN_OCTET, size + MARGIN);
}

void margin_check(const char *block, size_t size)
{
  for (size_t i = 0; i < MARGIN; i++) {
    if (block[size + i] != MARGIN_OCTET) {
      fprintf(stderr, "margin: octet %zu behind a block of %zu was written\n", i, size);
      abort();
    }
  }
}

void margin_free(char *block, size_t size)
{
  margin_check(block, size);
  free(block);
}
