/* guard.h: octets that end where the readable memory ends.
 *
 * Each slot is a stretch of memory with a page behind it that may not be touched. What is placed in a slot ends flush
 * against that page, so a reader or writer that goes one octet too far crashes.
 */
#ifndef EHLO_TESTS_GUARD_H
#define EHLO_TESTS_GUARD_H

#include "ehlo.h"

enum { GUARD_SLOTS = 4, GUARD_ROOM = 131072 };

/* A copy of the octets at the end of slot 0 to GUARD_SLOTS - 1, until the next use of the slot. Ends the program if
 * they are more than GUARD_ROOM. */
ehlo_span guard_copy(unsigned slot, ehlo_span octets);

/* The last `size` octets of a slot, to write to. */
char *guard_room(unsigned slot, size_t size);

#endif
