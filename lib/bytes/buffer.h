/* buffer.h: writing into a caller's buffer that may be too small. Floor: bytes.
 *
 * A writer counts what it is given and stores what fits. So a formatter is written once, straight down, and its end
 * tells whether all fitted and how much room it takes.
 */
#ifndef EHLO_BYTES_BUFFER_H
#define EHLO_BYTES_BUFFER_H

#include "span.h"

#include <string.h>

struct writer {
  char *ptr;     /* may be NULL if size is 0 */
  size_t size;   /* of the buffer */
  size_t length; /* octets written or owed so far; beyond size they are only counted */
};

static inline struct writer writer_on(char *buffer, size_t size)
{
  struct writer writer = {buffer, size, 0};
  return writer;
}

static inline void write_octet(struct writer *writer, char octet)
{
  if (writer->length < writer->size) {
    writer->ptr[writer->length] = octet;
  }
  writer->length++;
}

static inline void write_span(struct writer *writer, ehlo_span span)
{
  if (writer->length < writer->size && span.len > 0) {
    size_t room = writer->size - writer->length;
    memcpy(writer->ptr + writer->length, span.ptr, span.len < room ? span.len : room);
  }
  writer->length += span.len;
}

/* Writes a NUL-terminated string without its NUL. */
static inline void write_string(struct writer *writer, const char *string)
{
  write_span(writer, span_of(string, strlen(string)));
}

/* Writes a number in decimal, with leading zeros up to `digits` of them. */
static inline void write_number(struct writer *writer, uint64_t number, unsigned digits)
{
  char text[20];
  unsigned at = sizeof text;
  do {
    text[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0 || (sizeof text - at < digits && at > 0));
  write_span(writer, span_of(text + at, sizeof text - at));
}

/* Ends a formatter: sets *length and returns EHLO_OK or EHLO_ERR_BUFFER. */
static inline int writer_end(const struct writer *writer, size_t *length)
{
  *length = writer->length;
  return writer->length <= writer->size ? EHLO_OK : EHLO_ERR_BUFFER;
}

#endif
