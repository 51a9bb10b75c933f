/* chunk.h: BDAT accounting. Floor: mechanism. */
#ifndef EHLO_MECHANISM_CHUNK_H
#define EHLO_MECHANISM_CHUNK_H

#include "../bytes/span.h"

/* A chunk on its way, and what must be remembered between the chunks of a message. All zero to begin with. */
struct chunk {
  uint64_t left;    /* octets of it that have not come */
  uint8_t last;     /* it is the message's last */
  uint8_t after_cr; /* the last octet of text was a CR */
  uint8_t bare;     /* a bare newline was found: told once for a message, so no other is looked for */
};

/* How many octets at the front of data[0, size) belong to the chunk. */
static inline size_t chunk_has(const struct chunk *chunk, size_t size)
{
  return size < chunk->left ? size : (size_t)chunk->left;
}

/* Looks through the next octets of a message of text for a CR or LF that is not part of a CRLF. Returns how many octets
 * come before the octet that shows one; size if there is none. A CR at the end may still become one. */
size_t ehlo_chunk_check(struct chunk *chunk, unsigned kernel, const unsigned char *data, size_t size);

#endif
