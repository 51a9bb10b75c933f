/* scan.h: vector search. Floor: bytes.
 *
 * Two searches carry the library's speed: for the few places in content where anything at all happens, and for the end
 * of a command line. Content is looked at in blocks as bit masks; on a block without an event nothing is done per line,
 * let alone per octet. Which kernel suits the processor is found once and remembered by the caller.
 */
#ifndef EHLO_BYTES_SCAN_H
#define EHLO_BYTES_SCAN_H

#include "span.h"

enum { KERNEL_PORTABLE = 0, KERNEL_SSE2 = 1, KERNEL_AVX2 = 2, KERNEL_NEON = 3 };

/* The best kernel that this build has for this processor. Executes a few instructions that ask the processor; the
 * answer is the same all the time. */
unsigned ehlo_scan_kernel(void);

/* Octets in a block of the search, one bit of a mask each. */
enum { SCAN_BLOCK = 64 };

/* What the search finds in a block: bit i of each mask for the octet at block + i. */
struct scan_events {
  size_t block;
  uint64_t dots; /* the LF of a CRLF before a dot */
  uint64_t bare; /* the octet that shows a bare newline: an LF not behind a CR, or another octet behind a CR */
};

/* Finds the next events in data[at, to); those of `bare` only if `strict`. Looks at octets within data[0, to], so there
 * must be one at `to`, and `at` is at least 1. Returns 1, and the first block that has events; go on SCAN_BLOCK octets
 * behind its begin. Returns 0 if there are none. */
int ehlo_scan_content(unsigned kernel, int strict, const unsigned char *data, size_t at, size_t to,
                      struct scan_events *events);

/* What else stood in a line. */
enum {
  SEEN_NON_ASCII = 1, /* an octet above 127 */
  SEEN_CONTROL = 2    /* a control character other than HT, CR, LF */
};

/* The offset of the first CR or LF in data[0, size); size if there is none. Adds to *seen what stood before it. */
size_t ehlo_scan_line(const unsigned char *data, size_t size, unsigned *seen);

#endif
