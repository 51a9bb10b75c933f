/* chunk.c: BDAT accounting. Floor: mechanism. */
#include "chunk.h"

#include "../bytes/scan.h"
#include "../bytes/word.h"

size_t ehlo_chunk_check(struct chunk *chunk, unsigned kernel, const unsigned char *data, size_t size)
{
  if (size == 0) {
    return 0;
  }
  if ((data[0] == '\n') != chunk->after_cr) {
    return 0;
  }
  /* The search looks at the octet before and the one behind: the ends are looked at by themselves. */
  size_t at = 1;
  struct scan_events events;
  while (at + 1 < size && ehlo_scan_content(kernel, 1, data, at, size - 1, &events)) {
    if (events.bare != 0) {
      return events.block + lowest_bit(events.bare);
    }
    at = events.block + SCAN_BLOCK < size - 1 ? events.block + SCAN_BLOCK : size - 1;
  }
  if (size > 1 && (data[size - 1] == '\n') != (data[size - 2] == '\r')) {
    return size - 1;
  }
  chunk->after_cr = data[size - 1] == '\r';
  return size;
}
