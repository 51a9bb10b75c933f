/* margin.h: blocks that show when something was written behind them. */
#ifndef EHLO_TESTS_MARGIN_H
#define EHLO_TESTS_MARGIN_H

#include <stddef.h>

enum { MARGIN = 64, MARGIN_OCTET = 0x5A };

/* A block of `size` octets, all MARGIN_OCTET, with a margin of the same behind it. Ends the program if there is no
 * memory. */
char *margin_block(size_t size);

/* Ends the program if the margin behind the `size` octets of a block has been written to. */
void margin_check(const char *block, size_t size);

/* The same, and frees the block. */
void margin_free(char *block, size_t size);

#endif
