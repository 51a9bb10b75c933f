/* dot.c: dot-stuffing, both ways, streaming. Floor: mechanism.
 *
 * Both directions work alike. A small machine knows, from octet to octet, where in a line the stream stands; it runs
 * only at the ends of a piece. Everything between is searched in blocks (scan.h) for the few places where something
 * happens: a dot behind a CRLF, or a CR or LF that is not part of a CRLF. What is content in a piece is handed out as
 * it lies there, in runs between those places.
 *
 * A CR at the end of a piece is withheld, since only the next octet tells whether it is content; so is the dot
 * that begins a line, until it is known whether it ends the content or was stuffed.
 */
#include "dot.h"

#include "../bytes/scan.h"
#include "../bytes/word.h"

/* Where the stream stands. The content begins at LINE: the CRLF of the DATA command counts (S-DATA-06). */
enum {
  LINE,   /* behind a CRLF */
  TEXT,   /* inside a line, not behind a CR */
  CR,     /* behind a CR, which is withheld */
  DOT,    /* behind a dot that began a line; it was stuffed or ends the content, so it is no content either way */
  DOT_CR, /* behind such a dot and a CR, which is withheld */
  END
};

/* Spans that one step can add at most: a withheld CR and two runs; and what the loops keep free for that. */
enum { SPANS_FREE = 4, SPANS_MIN = 8 };

/* The search leaves three octets: behind the last event are a dot and, if it ends the content, CRLF. */
enum { SEARCH_MIN = 4 };

/* A piece on its way through the machine. */
struct piece {
  const unsigned char *data;
  size_t size;
  size_t at;  /* the next octet */
  size_t run; /* where the content that is not handed out yet begins; it ends at `at`, or before what is withheld */
  ehlo_span *spans;
  size_t max;
  size_t count;
};

static const char cr[] = "\r";
static const char dot_octet[] = ".";
static const char line_end[] = "\r\n";
static const char last_line[] = ".\r\n";

void ehlo_dot_begin(ehlo_dot *dot, uint32_t flags, unsigned kernel)
{
  dot->state = LINE;
  dot->flags = (uint8_t)flags;
  dot->kernel = (uint8_t)kernel;
  dot->reserved = 0;
}

void ehlo_dot_init(ehlo_dot *dot, uint32_t flags)
{
  ehlo_dot_begin(dot, flags, ehlo_scan_kernel());
}

static void add(struct piece *piece, const void *ptr, size_t len)
{
  if (len > 0) {
    piece->spans[piece->count++] = span_of(ptr, len);
  }
}

/* Hands out the run up to `end` and begins a new one at `next`. */
static void cut(struct piece *piece, size_t end, size_t next)
{
  if (end > piece->run) {
    add(piece, piece->data + piece->run, end - piece->run);
  }
  piece->run = next;
}

/* A CR that was withheld turns out to be content. In this piece it still stands in the run; from the last piece it is
 * handed out by itself. */
static void release_cr(struct piece *piece)
{
  if (piece->at == 0) {
    add(piece, cr, 1);
  }
}

/* Hands out what is certain at the end of a piece. */
static void finish(const ehlo_dot *dot, struct piece *piece)
{
  int withheld = (dot->state == CR || dot->state == DOT_CR) && piece->at > piece->run;
  cut(piece, piece->at - (withheld ? 1 : 0), piece->at);
}

static int strict(const ehlo_dot *dot)
{
  return (dot->flags & EHLO_DOT_ALLOW_BARE_NEWLINE) == 0;
}

static int bad_call(const ehlo_dot *dot, const void *data, size_t size, const size_t *consumed, const ehlo_span *spans,
                    size_t max, const size_t *count)
{
  return dot == NULL || (data == NULL && size > 0) || consumed == NULL || spans == NULL || max < SPANS_MIN ||
         count == NULL;
}

/* ---- decoding ---- */

/* Takes one octet. Returns EHLO_DOT_MORE, EHLO_DOT_END, or EHLO_ERR_BARE_NEWLINE with nothing taken. */
static int decode_octet(ehlo_dot *dot, struct piece *piece)
{
  unsigned char octet = piece->data[piece->at];
  int after_cr = dot->state == CR || dot->state == DOT_CR;
  if (strict(dot) && (octet == '\n') != after_cr) {
    return EHLO_ERR_BARE_NEWLINE;
  }
  switch (dot->state) {
  case LINE:
    if (octet == '.') {
      cut(piece, piece->at, piece->at + 1);
      dot->state = DOT;
      piece->at++;
      return EHLO_DOT_MORE;
    }
    break;
  case DOT:
    if (octet == '\r') {
      dot->state = DOT_CR;
      piece->at++;
      return EHLO_DOT_MORE;
    }
    break;
  case DOT_CR:
    if (octet == '\n') {
      dot->state = END;
      piece->at++;
      piece->run = piece->at;
      return EHLO_DOT_END;
    }
    release_cr(piece);
    break;
  case CR: release_cr(piece); break;
  default: break;
  }
  if (octet == '\r') {
    dot->state = CR;
  } else {
    dot->state = octet == '\n' && after_cr ? LINE : TEXT;
  }
  piece->at++;
  return EHLO_DOT_MORE;
}

/* Can the search go on from here? What it looks at must lie in this piece, and a dot at the start of a line must be
 * behind. */
static int can_search(const ehlo_dot *dot, const struct piece *piece)
{
  return piece->at > 0 && piece->size - piece->at >= SEARCH_MIN &&
         (dot->state == TEXT || dot->state == CR || (dot->state == LINE && piece->data[piece->at] != '.'));
}

/* What came before the first bare newline of a block. */
static uint64_t before_bare(const struct scan_events *events)
{
  return events->bare == 0 ? events->dots : events->dots & ((events->bare & (0U - events->bare)) - 1);
}

/* Stops the search at the octet that shows a bare newline. */
static int stop_at_bare(ehlo_dot *dot, struct piece *piece, size_t at)
{
  piece->at = at;
  dot->state = piece->data[piece->at - 1] == '\r' ? CR : TEXT;
  return EHLO_ERR_BARE_NEWLINE;
}

/* The search stops at `at`, which is in a line. */
static int stop_in_line(ehlo_dot *dot, struct piece *piece, size_t at)
{
  piece->at = at;
  dot->state = at > piece->run && piece->data[at - 1] == '\r' ? CR : TEXT;
  return EHLO_DOT_MORE;
}

/* Takes what can be taken of a piece by searching; the last octets are left, so that those behind an event are there.
 * Returns as decode_octet. */
static int decode_run(ehlo_dot *dot, struct piece *piece)
{
  const unsigned char *data = piece->data;
  const size_t to = piece->size - (SEARCH_MIN - 1);
  struct scan_events events;
  for (size_t at = piece->at; ehlo_scan_content(dot->kernel, strict(dot), data, at, to, &events);) {
    /* Where lines are short this loop is all there is; what it changes is kept out of memory until its end. */
    const unsigned char *behind_block = data + events.block + 1;
    const unsigned char *run = data + piece->run;
    ehlo_span *span = piece->spans + piece->count;
    const ehlo_span *first = span;
    const ehlo_span *limit = piece->spans + piece->max - SPANS_FREE;
    uint64_t dots = before_bare(&events);
    while (dots != 0) {
      const unsigned char *found = behind_block + lowest_bit(dots);
      dots &= dots - 1;
      span->ptr = (const char *)run;
      span->len = (size_t)(found - run);
      span++;
      run = found + 1;
      if ((found[1] == '\r' && found[2] == '\n') || span > limit) {
        break;
      }
    }
    piece->count = (size_t)(span - piece->spans);
    piece->run = (size_t)(run - data);
    if (span > first && run[0] == '\r' && run[1] == '\n') {
      piece->at = piece->run += 2;
      dot->state = END;
      return EHLO_DOT_END;
    }
    if (span > limit) {
      return stop_in_line(dot, piece, piece->run);
    }
    if (events.bare != 0) {
      return stop_at_bare(dot, piece, events.block + lowest_bit(events.bare));
    }
    if (to - events.block <= SCAN_BLOCK) {
      break;
    }
    at = events.block + SCAN_BLOCK;
  }
  return stop_in_line(dot, piece, piece->run > to ? piece->run : to);
}

int ehlo_dot_decode(ehlo_dot *dot, const void *data, size_t size, size_t *consumed, ehlo_span *spans, size_t max,
                    size_t *count)
{
  if (bad_call(dot, data, size, consumed, spans, max, count)) {
    return EHLO_ERR_ARGUMENT;
  }
  struct piece piece = {data, size, 0, 0, spans, max, 0};
  int status = dot->state == END ? EHLO_ERR_STATE : EHLO_DOT_MORE;
  while (status == EHLO_DOT_MORE && piece.at < size && max - piece.count >= SPANS_FREE) {
    if (can_search(dot, &piece)) {
      status = decode_run(dot, &piece);
    } else {
      status = decode_octet(dot, &piece);
    }
  }
  finish(dot, &piece);
  if (status == EHLO_ERR_BARE_NEWLINE) {
    dot->flags |= EHLO_DOT_ALLOW_BARE_NEWLINE;
  }
  *consumed = piece.at;
  *count = piece.count;
  return status;
}

/* ---- encoding ---- */

/* Is this LF, which no CR stands before, to become a CRLF? */
static int converts(const ehlo_dot *dot, unsigned char octet)
{
  return octet == '\n' && (dot->flags & EHLO_DOT_CONVERT_LF) != 0;
}

/* Puts an octet of the library's own before the octet at `at`. */
static void put_before(struct piece *piece, size_t at, const char *octet)
{
  cut(piece, at, at);
  add(piece, octet, 1);
}

/* Takes one octet. Returns EHLO_OK, or EHLO_ERR_BARE_NEWLINE with nothing taken. */
static int encode_octet(ehlo_dot *dot, struct piece *piece)
{
  unsigned char octet = piece->data[piece->at];
  int after_cr = dot->state == CR;
  if (strict(dot) && (octet == '\n') != after_cr) {
    if (!converts(dot, octet)) {
      return EHLO_ERR_BARE_NEWLINE;
    }
    put_before(piece, piece->at, cr);
    after_cr = 1;
  } else if (after_cr) {
    release_cr(piece);
  }
  if (dot->state == LINE && octet == '.') {
    put_before(piece, piece->at, dot_octet);
  }
  if (octet == '\r') {
    dot->state = CR;
  } else {
    dot->state = octet == '\n' && after_cr ? LINE : TEXT;
  }
  piece->at++;
  return EHLO_OK;
}

/* The search stops at `at`, behind what it has taken. What follows need not be what was looked at here, so the state is
 * that of the octets before. */
static int stop_encoding(ehlo_dot *dot, struct piece *piece, size_t at)
{
  const unsigned char *data = piece->data;
  if (at > piece->at) {
    int line = data[at - 1] == '\n' && (strict(dot) || data[at - 2] == '\r');
    dot->state = data[at - 1] == '\r' ? CR : line ? LINE : TEXT;
    piece->at = at;
  }
  return EHLO_OK;
}

/* As decode_run, the other way. A run ends behind the dot that is to be stuffed and the next begins before it, so that
 * the same octet is sent twice. */
static int encode_run(ehlo_dot *dot, struct piece *piece)
{
  const unsigned char *data = piece->data;
  const size_t to = piece->size - (SEARCH_MIN - 1);
  size_t behind = 0;
  struct scan_events events;
  for (size_t at = piece->at; ehlo_scan_content(dot->kernel, strict(dot), data, at, to, &events);) {
    for (uint64_t found = events.dots | events.bare; found != 0; found &= found - 1) {
      unsigned bit = lowest_bit(found);
      size_t lf = events.block + bit;
      behind = lf + 1;
      if ((events.bare >> bit & 1) != 0) {
        if (!converts(dot, data[lf])) {
          return stop_at_bare(dot, piece, lf);
        }
        put_before(piece, lf, cr);
      }
      if (data[behind] == '.') {
        behind++;
        add(piece, data + piece->run, behind - piece->run);
        piece->run = behind - 1;
      }
      if (piece->max - piece->count < SPANS_FREE) {
        return stop_encoding(dot, piece, behind);
      }
    }
    if (to - events.block <= SCAN_BLOCK) {
      break;
    }
    at = events.block + SCAN_BLOCK;
  }
  return stop_encoding(dot, piece, behind > to ? behind : to);
}

int ehlo_dot_encode(ehlo_dot *dot, const void *data, size_t size, size_t *consumed, ehlo_span *spans, size_t max,
                    size_t *count)
{
  if (bad_call(dot, data, size, consumed, spans, max, count)) {
    return EHLO_ERR_ARGUMENT;
  }
  struct piece piece = {data, size, 0, 0, spans, max, 0};
  int status = dot->state == END ? EHLO_ERR_STATE : EHLO_OK;
  while (status == EHLO_OK && piece.at < size && max - piece.count >= SPANS_FREE) {
    if (can_search(dot, &piece)) {
      status = encode_run(dot, &piece);
    } else {
      status = encode_octet(dot, &piece);
    }
  }
  finish(dot, &piece);
  if (status == EHLO_ERR_BARE_NEWLINE) {
    dot->state = END;
  }
  *consumed = piece.at;
  *count = piece.count;
  return status;
}

int ehlo_dot_encode_end(ehlo_dot *dot, ehlo_span *spans, size_t *count)
{
  if (dot == NULL || spans == NULL || count == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *count = 0;
  if (dot->state == END) {
    return EHLO_ERR_STATE;
  }
  if (dot->state == CR && strict(dot)) {
    return EHLO_ERR_BARE_NEWLINE;
  }
  struct piece piece = {NULL, 0, 0, 0, spans, SPANS_MIN, 0};
  if (dot->state == CR) {
    add(&piece, cr, 1);
  }
  if (dot->state != LINE) {
    add(&piece, line_end, 2);
  }
  add(&piece, last_line, 3);
  dot->state = END;
  *count = piece.count;
  return EHLO_OK;
}
