/* fuzz_dot.c: dot-stuffing against a decoder that is too simple to be wrong.
 *
 * The input: one octet of flags (1 allows bare newlines, 2 encodes first, 4 and 8 choose the kernel of the search, 16
 * converts LF when encoding), one
 * of the room in the span list, one that says how many octets of piece lengths follow, those, and then the content. The
 * pieces are cut to these lengths, over and over, and each lies in a heap block of its own size.
 *
 * Held to: the joined content and the end do not depend on the cuts or on the room; they are those of the simple
 * decoder, which looks at the whole input at once; a bare CR or LF is told once, with all that came before it and
 * nothing else; what is encoded decodes to what it was.
 */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"

/* ---- octets that grow ---- */

struct text {
  char *ptr;
  size_t len;
};

static struct text text_new(size_t room)
{
  struct text text = {malloc(room + 1), 0};
  REQUIRE(text.ptr != NULL);
  return text;
}

static void text_add(struct text *text, const char *ptr, size_t len)
{
  memcpy(text->ptr + text->len, ptr, len);
  text->len += len;
}

/* ---- the simple codec ---- */

/* Where the content ends: behind the first line that is a dot alone; SIZE_MAX if there is none. */
static size_t simple_end(const char *data, size_t size)
{
  const char *at = data;
  const char *end = data + size;
  for (;;) {
    const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
    if (line_end == NULL) {
      return SIZE_MAX;
    }
    if (line_end - at == 1 && *at == '.') {
      return (size_t)(line_end + 2 - data);
    }
    at = line_end + 2;
  }
}

/* The first CR or LF that is not part of a CRLF; SIZE_MAX if there is none. A CR at the very end is still open. */
static size_t simple_bare(const char *data, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    if ((data[i] == '\n' && (i == 0 || data[i - 1] != '\r')) ||
        (data[i] == '\r' && i + 1 < size && data[i + 1] != '\n')) {
      return i;
    }
  }
  return SIZE_MAX;
}

/* Copies line by line: without the first dot of each if `add` is 0, with one more before it if `add` is 1. */
static struct text simple_copy(const char *data, size_t size, int add)
{
  struct text text = text_new(2 * size + 8);
  const char *at = data;
  const char *end = data + size;
  while (at < end) {
    const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
    const char *next = line_end == NULL ? end : line_end + 2;
    if (*at == '.' && add) {
      text_add(&text, ".", 1);
    }
    int skip = *at == '.' && !add;
    text_add(&text, at + skip, (size_t)(next - at) - (size_t)skip);
    at = next;
  }
  return text;
}

/* ---- the library's, piece by piece ---- */

struct cuts {
  const uint8_t *lengths;
  size_t count;
  size_t at;
  size_t room; /* in the span list */
};

static size_t next_cut(struct cuts *cuts, size_t left)
{
  size_t length = cuts->count == 0 ? left : cuts->lengths[cuts->at++ % cuts->count];
  /* A round of zeros would never come to an end. */
  if (cuts->count > 0 && cuts->at % (cuts->count + 1) == 0 && length == 0) {
    length = 1;
  }
  return length < left ? length : left;
}

struct outcome {
  struct text text;   /* all spans, joined */
  size_t end;         /* octets taken up to the end, or SIZE_MAX */
  size_t bare_after;  /* length of the text when a bare newline was told, or SIZE_MAX */
  unsigned bare_told; /* how often */
};

typedef int codec(ehlo_dot *, const void *, size_t, size_t *, ehlo_span *, size_t, size_t *);

static void take_spans(struct text *text, const ehlo_span *spans, size_t count, size_t room)
{
  REQUIRE(count <= room);
  for (size_t i = 0; i < count; i++) {
    REQUIRE(spans[i].len > 0);
    text_add(text, spans[i].ptr, spans[i].len);
  }
}

static struct outcome run(codec *code, ehlo_dot *dot, struct cuts cuts, const char *data, size_t size)
{
  struct outcome outcome = {text_new(2 * size + 64), SIZE_MAX, SIZE_MAX, 0};
  ehlo_span *spans = malloc(cuts.room * sizeof *spans);
  size_t done = 0;
  unsigned idle = 0;
  while (done < size && outcome.end == SIZE_MAX) {
    size_t length = next_cut(&cuts, size - done);
    ehlo_span piece = copy_of(data + done, length);
    size_t consumed = SIZE_MAX;
    size_t count = SIZE_MAX;
    int result = code(dot, piece.ptr, length, &consumed, spans, cuts.room, &count);
    REQUIRE(consumed <= length);
    REQUIRE(result == EHLO_DOT_MORE || result == EHLO_DOT_END || result == EHLO_ERR_BARE_NEWLINE);
    take_spans(&outcome.text, spans, count, cuts.room);
    REQUIRE(outcome.text.len <= 2 * size + 64);
    release(piece);
    done += consumed;
    idle = consumed == 0 ? idle + 1 : 0;
    REQUIRE(length == 0 || idle <= 2 + cuts.count);
    if (result == EHLO_ERR_BARE_NEWLINE) {
      outcome.bare_told++;
      outcome.bare_after = outcome.bare_after == SIZE_MAX ? outcome.text.len : outcome.bare_after;
      if (code == ehlo_dot_encode) {
        break;
      }
    } else if (result == EHLO_DOT_END) {
      outcome.end = done;
    } else {
      REQUIRE(consumed == length || count > cuts.room - 8);
    }
  }
  free(spans);
  return outcome;
}

static void require_same(struct text a, const char *ptr, size_t len)
{
  REQUIRE(a.len == len);
  REQUIRE(memcmp(a.ptr, ptr, len) == 0);
}

/* The best kernel, or one of those before it in the numbers, all of which this processor has. */
static ehlo_dot begin(uint32_t flags)
{
  ehlo_dot dot;
  ehlo_dot_init(&dot, (flags & EHLO_DOT_ALLOW_BARE_NEWLINE) | ((flags & 16) != 0 ? EHLO_DOT_CONVERT_LF : 0U));
  dot.kernel = (uint8_t)((dot.kernel + (flags >> 2 & 3)) % (dot.kernel + 1U));
  return dot;
}

/* ---- decoding ---- */

static void check_decode(struct cuts cuts, uint32_t flags, const char *data, size_t size)
{
  ehlo_dot dot = begin(flags);
  struct outcome outcome = run(ehlo_dot_decode, &dot, cuts, data, size);

  size_t end = simple_end(data, size);
  size_t whole = end == SIZE_MAX ? size : end - 3;
  size_t bare = simple_bare(data, whole);
  REQUIRE(outcome.end == end);
  if (bare != SIZE_MAX && (flags & EHLO_DOT_ALLOW_BARE_NEWLINE) == 0) {
    REQUIRE(outcome.bare_told == 1);
    struct text before = simple_copy(data, bare, 0);
    REQUIRE(outcome.bare_after == before.len);
    free(before.ptr);
  } else {
    REQUIRE(outcome.bare_told == 0);
  }
  /* Nothing is lost by what was told: the stream goes on with the bare newline as content. */
  struct text content = simple_copy(data, whole, 0);
  if (end != SIZE_MAX) {
    require_same(outcome.text, content.ptr, content.len);
  } else {
    REQUIRE(outcome.text.len <= content.len && content.len - outcome.text.len <= 3);
    REQUIRE(memcmp(outcome.text.ptr, content.ptr, outcome.text.len) == 0);
  }
  free(content.ptr);
  if (end != SIZE_MAX) {
    ehlo_span spans[8];
    size_t consumed = 0;
    size_t count = 0;
    REQUIRE(ehlo_dot_decode(&dot, "x", 1, &consumed, spans, 8, &count) == EHLO_ERR_STATE);
  }
  free(outcome.text.ptr);
}

/* ---- encoding, and back ---- */

/* The content with every LF that no CR stands before made a CRLF. */
static struct text simple_convert(const char *data, size_t size)
{
  struct text text = text_new(2 * size + 1);
  for (size_t i = 0; i < size; i++) {
    text_add(&text, "\r", data[i] == '\n' && (i == 0 || data[i - 1] != '\r'));
    text_add(&text, data + i, 1);
  }
  return text;
}

static void check_encode(struct cuts cuts, uint32_t flags, const char *data, size_t size)
{
  ehlo_dot dot = begin(flags);
  struct outcome outcome = run(ehlo_dot_encode, &dot, cuts, data, size);
  int strict = (flags & EHLO_DOT_ALLOW_BARE_NEWLINE) == 0;
  struct text converted = {NULL, 0};
  if (strict && (flags & 16) != 0) {
    converted = simple_convert(data, size);
    data = converted.ptr;
    size = converted.len;
  }
  size_t bare = simple_bare(data, size);
  ehlo_span tail[4];
  size_t count = SIZE_MAX;
  if (strict && bare != SIZE_MAX) {
    struct text before = simple_copy(data, bare, 1);
    REQUIRE(outcome.bare_told == 1);
    require_same(outcome.text, before.ptr, before.len);
    free(before.ptr);
    REQUIRE(ehlo_dot_encode_end(&dot, tail, &count) == EHLO_ERR_STATE);
  } else if (strict && size > 0 && data[size - 1] == '\r') {
    REQUIRE(outcome.bare_told == 0);
    REQUIRE(ehlo_dot_encode_end(&dot, tail, &count) == EHLO_ERR_BARE_NEWLINE);
    REQUIRE(count == 0);
  } else {
    REQUIRE(outcome.bare_told == 0);
    REQUIRE(ehlo_dot_encode_end(&dot, tail, &count) == EHLO_OK);
    take_spans(&outcome.text, tail, count, 4);
    int complete = size == 0 || (size >= 2 && data[size - 2] == '\r' && data[size - 1] == '\n');
    struct text wanted = simple_copy(data, size, 1);
    text_add(&wanted, "\r\n", complete ? 0 : 2);
    text_add(&wanted, ".\r\n", 3);
    require_same(outcome.text, wanted.ptr, wanted.len);
    free(wanted.ptr);

    dot = begin(flags);
    struct outcome back = run(ehlo_dot_decode, &dot, cuts, outcome.text.ptr, outcome.text.len);
    REQUIRE(back.end == outcome.text.len);
    REQUIRE(back.bare_told == 0);
    REQUIRE(back.text.len == size + (complete ? 0 : 2));
    REQUIRE(memcmp(back.text.ptr, data, size) == 0);
    free(back.text.ptr);
  }
  free(converted.ptr);
  free(outcome.text.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 3 || size - 3 < data[2] % 32U) {
    return 0;
  }
  uint32_t flags = data[0] & 31;
  struct cuts cuts = {data + 3, data[2] % 32U, 0, 8U + data[1] % 64U};
  /* The content too lies in a block of its own, so that a whole piece that is overrun is seen. */
  size_t length = size - 3 - cuts.count;
  ehlo_span content = copy_of(data + 3 + cuts.count, length);
  if (data[0] & 2) {
    check_encode(cuts, flags, content.ptr, length);
  } else {
    check_decode(cuts, flags, content.ptr, length);
  }
  release(content);
  return 0;
}
