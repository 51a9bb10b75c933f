/* scan.h: vector search. Floor: bytes.
 *
 * Two searches carry the library's speed: for the few places in content where anything at all happens, and for the end of
 * a command line. Content is looked at in blocks as bit masks; on a block without an event nothing is done per line, let
 * alone per octet. Which kernel suits the processor is found once and remembered by the caller.
 */
#ifndef EHLO_BYTES_SCAN_H
#define EHLO_BYTES_SCAN_H

#include "span.h"

enum { KERNEL_PORTABLE = 0, KERNEL_SSE2 = 1, KERNEL_AVX2 = 2, KERNEL_NEON = 3 };

/* The best kernel that this build has for this processor. Executes a few instructions that ask the processor; the answer
 * is the same all the time. */
unsigned ehlo_scan_kernel(void);

/* The most events that one block of any kernel can give. */
enum { SCAN_BLOCK = 128 };

/* Finds the events in data[from, to): the positions p where data[p] is LF and data[p + 1] is a dot, and, if `strict`, those where
 * it is LF but data[p - 1] is not CR, or is not LF though data[p - 1] is CR. Reads data[from - 1] to data[to]; all those must be
 * readable. If not strict, an LF before a dot need not follow a CR; the caller looks.
 *
 * Writes positions, ascending, to events[0, *count). `room` is at least SCAN_BLOCK; the search stops when less than a block's
 * worth is left. to - from must fit 32 bits; positions are relative to `from`. Returns where it stopped: `to`, or
 * less; everything before that has been looked at. */
size_t ehlo_scan_content(unsigned kernel, int strict, const unsigned char *data, size_t from, size_t to,
                         uint32_t *events, size_t room, size_t *count);

/* What else stood in a line. */
enum {
  SEEN_NON_ASCII = 1, /* an octet above 127 */
  SEEN_CONTROL = 2    /* a control character other than HT, CR, LF */
};

/* The offset of the first CR or LF in data[0, size); size if there is none. Adds to *seen what stood before it. */
size_t ehlo_scan_line(const unsigned char *data, size_t size, unsigned *seen);

#endif
