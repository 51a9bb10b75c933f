/* dot.c: dot-stuffing, both ways, streaming. Floor: mechanism.
 *
 * Both directions work alike. A small machine knows, from octet to octet, where in a line the stream stands; it runs only
 * at the ends of a piece. Everything between is searched in blocks (scan.h) for the few places where something happens:
 * a dot behind a CRLF, or a CR or LF that is not part of a CRLF. What is content in a piece is handed out as it lies there,
 * in runs between those places.
 *
 * A CR at the end of a piece is withheld, since only the next octet tells whether it is content; so is the dot
 * that begins a line, until it is known whether it ends the content or was stuffed.
 */
#include "ehlo/content.h"

#include "../bytes/scan.h"

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

/* How much is searched at once: positions fit 32 bits with room to spare. */
enum { SEARCH_MAX = 1 << 30 };

/* A piece on its way through the machine. */
struct piece {
  const unsigned char *data;
  size_t size;
  size_t at; /* the next octet */
  size_t
      run; /* where the content that is not handed out yet begins; it ends at `at`, or earlier if something is withheld */
  ehlo_span *spans;
  size_t max;
  size_t count;
};

static const char cr[] = "\r";
static const char dot_octet[] = ".";
static const char line_end[] = "\r\n";
static const char last_line[] = ".\r\n";

void ehlo_dot_init(ehlo_dot *dot, uint32_t flags)
{
  dot->state = LINE;
  dot->flags = (uint8_t)flags;
  dot->kernel = (uint8_t)ehlo_scan_kernel();
  dot->reserved = 0;
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

/* Handles the event at p, behind which the search had found nothing before. The stream is in TEXT behind p - 1 as far as
 * dots go. Returns as decode_octet, with the machine's state and `at` where the search may go on. */
static int decode_event(ehlo_dot *dot, struct piece *piece, size_t p)
{
  const unsigned char *data = piece->data;
  if (data[p] != '\n') {
    piece->at = p;
    dot->state = CR;
    return EHLO_ERR_BARE_NEWLINE;
  }
  if (data[p - 1] != '\r') {
    if (!strict(dot)) {
      return EHLO_DOT_MORE;
    }
    piece->at = p;
    dot->state = TEXT;
    return EHLO_ERR_BARE_NEWLINE;
  }
  cut(piece, p + 1, p + 2);
  piece->at = p + 2;
  if (piece->size - piece->at < 2) {
    dot->state = DOT;
    return EHLO_DOT_MORE;
  }
  if (data[p + 2] == '\r' && data[p + 3] == '\n') {
    piece->at = piece->run = p + 4;
    dot->state = END;
    return EHLO_DOT_END;
  }
  dot->state = TEXT;
  return EHLO_DOT_MORE;
}

/* Takes what can be taken of a piece by searching: from TEXT, with an octet of this piece behind. Returns as
 * decode_octet. On EHLO_DOT_MORE either the spans are full, or less than two octets are left, or the state is no
 * longer TEXT. */
static int decode_run(ehlo_dot *dot, struct piece *piece)
{
  uint32_t events[2 * SCAN_BLOCK];
  while (dot->state == TEXT && piece->size - piece->at >= 2 && piece->max - piece->count >= SPANS_FREE) {
    size_t from = piece->at;
    size_t to = piece->size - from > SEARCH_MAX ? from + SEARCH_MAX : piece->size - 1;
    size_t found;
    size_t end = ehlo_scan_content(dot->kernel, strict(dot), piece->data, from, to, events, 2 * SCAN_BLOCK, &found);
    for (size_t i = 0; i < found; i++) {
      size_t p = from + events[i];
      int status = p < piece->at ? EHLO_DOT_MORE : decode_event(dot, piece, p);
      if (status != EHLO_DOT_MORE) {
        return status;
      }
      if (piece->max - piece->count < SPANS_FREE || dot->state != TEXT) {
        return EHLO_DOT_MORE;
      }
    }
    if (piece->at < end) {
      piece->at = end;
      dot->state = piece->data[end - 1] == '\r' ? CR : TEXT;
    }
  }
  return EHLO_DOT_MORE;
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
    if (dot->state == TEXT && piece.at > 0 && size - piece.at >= 2) {
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

static void stuff(struct piece *piece, size_t at)
{
  cut(piece, at, at);
  add(piece, dot_octet, 1);
}

/* Takes one octet. Returns EHLO_OK, or EHLO_ERR_BARE_NEWLINE with nothing taken. */
static int encode_octet(ehlo_dot *dot, struct piece *piece)
{
  unsigned char octet = piece->data[piece->at];
  int after_cr = dot->state == CR;
  if (strict(dot) && (octet == '\n') != after_cr) {
    return EHLO_ERR_BARE_NEWLINE;
  }
  if (after_cr) {
    release_cr(piece);
  }
  if (dot->state == LINE && octet == '.') {
    stuff(piece, piece->at);
  }
  if (octet == '\r') {
    dot->state = CR;
  } else {
    dot->state = octet == '\n' && after_cr ? LINE : TEXT;
  }
  piece->at++;
  return EHLO_OK;
}

/* As decode_run, the other way. */
static int encode_run(ehlo_dot *dot, struct piece *piece)
{
  uint32_t events[2 * SCAN_BLOCK];
  while (dot->state == TEXT && piece->size - piece->at >= 2 && piece->max - piece->count >= SPANS_FREE) {
    size_t from = piece->at;
    size_t to = piece->size - from > SEARCH_MAX ? from + SEARCH_MAX : piece->size - 1;
    size_t found;
    size_t end = ehlo_scan_content(dot->kernel, strict(dot), piece->data, from, to, events, 2 * SCAN_BLOCK, &found);
    for (size_t i = 0; i < found && piece->max - piece->count >= SPANS_FREE; i++) {
      size_t p = from + events[i];
      int after_cr = piece->data[p - 1] == '\r';
      int lf = piece->data[p] == '\n';
      if (strict(dot) && lf != after_cr) {
        piece->at = p;
        dot->state = after_cr ? CR : TEXT;
        return EHLO_ERR_BARE_NEWLINE;
      }
      if (lf && after_cr) {
        stuff(piece, p + 1);
        piece->at = p + 2;
      }
    }
    if (piece->max - piece->count >= SPANS_FREE && piece->at < end) {
      piece->at = end;
      dot->state = piece->data[end - 1] == '\r' ? CR : TEXT;
    }
  }
  return EHLO_OK;
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
    if (dot->state == TEXT && piece.at > 0 && size - piece.at >= 2) {
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
