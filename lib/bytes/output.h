/* output.h: bounded output. Floor: bytes.
 *
 * A straight buffer: octets are appended at the tail and taken from the head. What has been shown to the host stays
 * where it is until some of it is taken, or the buffer is compacted.
 */
#ifndef EHLO_BYTES_OUTPUT_H
#define EHLO_BYTES_OUTPUT_H

#include "span.h"

struct output {
  uint32_t size; /* of the buffer */
  uint32_t head; /* first octet not yet taken */
  uint32_t tail; /* behind the last octet */
};

/* How many octets can be appended now. */
static inline size_t output_room(const struct output *output)
{
  return output->size - output->tail;
}

/* How many octets wait to be taken. */
static inline size_t output_waiting(const struct output *output)
{
  return output->tail - output->head;
}

/* `count` octets were written at the tail; they fit. */
static inline void output_wrote(struct output *output, size_t count)
{
  output->tail += (uint32_t)count;
}

/* `count` octets were taken, at most what waits. Moves the rest to the front once half of the buffer has been taken, so
 * that moving costs no more than taking did. */
void ehlo_output_took(struct output *output, unsigned char *buffer, size_t count);

/* Moves what waits to the front of the buffer. */
void ehlo_output_compact(struct output *output, unsigned char *buffer);

#endif
