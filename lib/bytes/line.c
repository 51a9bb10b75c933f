/* line.c: from octets to lines that end in CRLF. Floor: bytes. */
#include "line.h"

#include <string.h>

/* Drops octets up to and including a CRLF. Returns how many it dropped; line->held tells whether CRLF was found. */
static size_t drop(struct line *line, const unsigned char *data, size_t size)
{
  size_t at = 0;
  while (at < size) {
    if (line->after_cr && data[at] == '\n') {
      line->held = 1;
      return at + 1;
    }
    const unsigned char *lf = memchr(data + at + 1, '\n', size - at - 1);
    size_t next = lf == NULL ? size : (size_t)(lf - data);
    line->after_cr = data[next - 1] == '\r';
    at = next;
  }
  return size;
}

/* Appends what fits to the line; what does not is the fault of its being too long. */
static void append(struct line *line, unsigned char *buffer, size_t limit, const unsigned char *data, size_t size)
{
  size_t room = line->used < limit - 2 ? limit - 2 - line->used : 0; /* the limit may have come down meanwhile */
  if (size > room) {
    line->fault = LINE_TOO_LONG;
    size = room;
  }
  if (size > 0) {
    memcpy(buffer + line->used, data, size);
  }
  line->used += (uint32_t)size;
}

void ehlo_line_done(struct line *line)
{
  if (line->held) {
    memset(line, 0, sizeof *line);
  }
}

/* Puts a line together that does not lie whole in data: there is some of it in the buffer already, or it is cut, or it
 * has a fault. */
static int assemble(struct line *line, unsigned char *buffer, size_t limit, const unsigned char *data, size_t size,
                    size_t *taken, ehlo_span *text, unsigned *seen)
{
  size_t at = 0;
  if (!line->held && line->fault == 0 && !line->after_cr) {
    unsigned here = 0;
    at = ehlo_scan_line(data, size, &here);
    append(line, buffer, limit, data, at);
    line->seen |= (uint8_t)here;
    if (line->fault == 0 && at < size) {
      line->after_cr = data[at] == '\r';
      line->fault = line->after_cr ? 0 : LINE_BARE_NEWLINE;
      at++;
    }
  }
  if (!line->held && line->fault == 0 && line->after_cr && at < size) {
    if (data[at] == '\n') {
      line->held = 1;
      at++;
    } else {
      line->fault = LINE_BARE_NEWLINE;
    }
  }
  if (!line->held && line->fault != 0) {
    at += drop(line, data + at, size - at);
  }
  *taken = at;
  *text = span_of(buffer, line->used);
  *seen = line->seen;
  if (!line->held) {
    return LINE_MORE;
  }
  return line->fault == 0 ? LINE_READY : line->fault;
}

int ehlo_line_take(struct line *line, unsigned char *buffer, size_t limit, const unsigned char *data, size_t size,
                   size_t *taken, ehlo_span *text, unsigned *seen)
{
  if (line_lies_whole(line, limit, data, size, text, seen)) {
    *taken = text->len + 2;
    return LINE_READY;
  }
  return assemble(line, buffer, limit, data, size, taken, text, seen);
}
