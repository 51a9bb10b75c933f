/* line.h: from octets to lines that end in CRLF. Floor: bytes.
 *
 * The one place that knows what a bare CR or LF is and how long a line may be. A line that arrives whole is handed out
 * where it lies; a cut one is assembled in the caller's buffer. Both are judged alike. Only CRLF ends a line (RFC
 * 5321 2.3.8): a line with a bare CR or LF, or one over the limit, is dropped up to its CRLF, and the first thing wrong
 * with it told then.
 */
#ifndef EHLO_BYTES_LINE_H
#define EHLO_BYTES_LINE_H

#include "scan.h"
#include "span.h"

enum {
  LINE_MORE = 0,        /* no line yet; all octets were taken */
  LINE_READY = 1,       /* a line */
  LINE_TOO_LONG = 2,    /* the end of a line over the limit */
  LINE_BARE_NEWLINE = 3 /* the end of a line with a bare CR or LF */
};

/* A line in the making. All zero to begin with. */
struct line {
  uint32_t used;    /* octets in the buffer */
  uint8_t seen;     /* SEEN_ bits of those */
  uint8_t after_cr; /* the last octet taken was a CR; it is not in the buffer */
  uint8_t fault;    /* LINE_TOO_LONG or LINE_BARE_NEWLINE: dropping until CRLF */
  uint8_t held;     /* the line (or fault) is complete and waits for ehlo_line_done */
};

/* Is nothing of a line kept from earlier octets? */
static inline int line_is_fresh(const struct line *line)
{
  return line->used == 0 && (line->after_cr | line->fault | line->held) == 0;
}

/* Does a fresh line of up to `limit` octets, CRLF included, lie whole at the front of data[0, size)? Sets *text and
 * *seen as ehlo_line_take does, which does the rest. */
static inline int line_lies_whole(const struct line *line, size_t limit, const unsigned char *data, size_t size,
                                  ehlo_span *text, unsigned *seen)
{
  *seen = 0;
  if (!line_is_fresh(line)) {
    return 0;
  }
  size_t end = ehlo_scan_line(data, size, seen);
  *text = span_of(data, end);
  return size - end >= 2 && data[end] == '\r' && data[end + 1] == '\n' && end <= limit - 2;
}

/* Takes octets from data[0, size) up to the end of a line. `buffer` holds `limit` octets; limit counts CRLF and is at
 * least 3. Sets *taken to the octets used, *text to the line without its CRLF and *seen to the SEEN_ bits of it
 * (LINE_READY only). From one call to the next the limit may change, within what `buffer` holds.
 *
 * The caller calls ehlo_line_done when it has dealt with a line, or a fault. Until then the same is told again: either
 * *taken counts it and nothing has changed (it lies whole in `data`; offer those octets again), or it is held and
 * *taken is 0. */
int ehlo_line_take(struct line *line, unsigned char *buffer, size_t limit, const unsigned char *data, size_t size,
                   size_t *taken, ehlo_span *text, unsigned *seen);

/* The line was dealt with. */
void ehlo_line_done(struct line *line);

#endif
