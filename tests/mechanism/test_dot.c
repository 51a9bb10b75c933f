/* test_dot.c: dot-stuffing, both ways. Each row is played at every pair of cuts, by each kernel of the search; pieces
 * end at a guard page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bytes/scan.h"
#include "guard.h"
#include "mechanism/dot.h"

enum { NEVER = -1, ALLOW = EHLO_DOT_ALLOW_BARE_NEWLINE, CONVERT = EHLO_DOT_CONVERT_LF, ROOM = 4096, SPANS = 8 };

#define TEXT(literal)               \
  {                                 \
    "" literal, sizeof(literal) - 1 \
  }
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* What came out of a stream. */
struct outcome {
  char text[ROOM];
  size_t length;
  long end;       /* octets taken up to the end of the content */
  long bare;      /* length of the text when a bare newline was told */
  unsigned tolds; /* how often */
};

typedef int codec(ehlo_dot *, const void *, size_t, size_t *, ehlo_span *, size_t, size_t *);

/* Plays one piece. `max` is the room in the span list. */
static void play_piece(codec *code, ehlo_dot *dot, ehlo_span piece, size_t max, struct outcome *outcome, size_t *taken)
{
  /* Behind what may be written stands what must not be: */
  ehlo_span spans[SPANS + 1];
  static const ehlo_span untouched = {"untouched", 9};
  spans[max] = untouched;
  ehlo_span here = guard_copy(0, piece);
  size_t done = 0;
  int result = EHLO_DOT_MORE;
  while (done < here.len && result != EHLO_DOT_END) {
    size_t consumed = 99999;
    size_t count = 99999;
    result = code(dot, here.ptr + done, here.len - done, &consumed, spans, max, &count);
    assert_true(consumed <= here.len - done && count <= max);
    assert_ptr_equal(spans[max].ptr, untouched.ptr);
    assert_true(consumed > 0 || count > 0 || result == EHLO_ERR_BARE_NEWLINE);
    for (size_t i = 0; i < count; i++) {
      assert_true(spans[i].len > 0 && spans[i].len <= ROOM - outcome->length);
      memcpy(outcome->text + outcome->length, spans[i].ptr, spans[i].len);
      outcome->length += spans[i].len;
    }
    done += consumed;
    if (result == EHLO_ERR_BARE_NEWLINE) {
      outcome->tolds++;
      outcome->bare = (long)outcome->length;
      if (code == ehlo_dot_encode) {
        break;
      }
    }
  }
  *taken += done;
  if (result == EHLO_DOT_END) {
    outcome->end = (long)*taken;
  }
}

static void play(codec *code, ehlo_dot *dot, ehlo_span wire, size_t first, size_t second, struct outcome *outcome)
{
  const size_t cuts[4] = {0, first, second, wire.len};
  size_t taken = 0;
  memset(outcome, 0, sizeof *outcome);
  outcome->end = outcome->bare = NEVER;
  for (unsigned i = 0; i < 3 && outcome->end == NEVER && (outcome->bare == NEVER || code == ehlo_dot_decode); i++) {
    ehlo_span piece = {wire.ptr + cuts[i], cuts[i + 1] - cuts[i]};
    play_piece(code, dot, piece, SPANS, outcome, &taken);
  }
}

#define CHECK(rule, condition)                                                                          \
  do {                                                                                                  \
    if (!(condition)) {                                                                                 \
      fail_msg("%s: kernel %u, cuts %zu and %zu: not so: %s", rule, kernel, first, second, #condition); \
    }                                                                                                   \
  } while (0)

/* ---- decoding ---- */

struct decode_row {
  const char *rule;
  uint32_t flags;
  ehlo_span wire;
  ehlo_span content;
  long rest; /* octets behind the end; NEVER if there is none */
  long bare; /* octets of content before it */
};

static const struct decode_row decode_rows[] = {
    {"S-DATA-01", 0, TEXT("a\r\nb\r\n.\r\n"), TEXT("a\r\nb\r\n"), 0, NEVER},
    {"S-DATA-01 what follows is not content", 0, TEXT("a\r\n.\r\n.\r\nQUIT\r\n"), TEXT("a\r\n"), 9, NEVER},
    {"S-DATA-05", 0, TEXT("\r\n.\r\n"), TEXT("\r\n"), 0, NEVER},
    {"S-DATA-06", 0, TEXT(".\r\n"), TEXT(""), 0, NEVER},
    {"S-DATA-07", 0, TEXT("..\r\n.a\r\n...b\r\nc.d\r\n.\r\n"), TEXT(".\r\na\r\n..b\r\nc.d\r\n"), 0, NEVER},
    {"S-DATA-07 one dot only", 0, TEXT("....\r\n.\r\n"), TEXT("...\r\n"), 0, NEVER},
    {"S-DATA-07 the line's first octet only", 0, TEXT(" .\r\nx.\r\n.\r\n"), TEXT(" .\r\nx.\r\n"), 0, NEVER},
    {"S-DATA-16", 0, TEXT("\0\x01\t\x7F\x80\xFF\r\n.\r\n"), TEXT("\0\x01\t\x7F\x80\xFF\r\n"), 0, NEVER},
    {"S-DATA-01 no end yet", 0, TEXT("a\r\nb\r\n"), TEXT("a\r\nb\r\n"), NEVER, NEVER},
    {"S-DATA-03 bare LF before", 0, TEXT("a\n.\r\nb\r\n.\r\n"), TEXT("a\n.\r\nb\r\n"), 0, 1},
    {"S-DATA-03 bare LF behind", 0, TEXT("a\r\n.\nb\r\n.\r\n"), TEXT("a\r\n\nb\r\n"), 0, 3},
    {"S-DATA-03 both bare", 0, TEXT("a\n.\nb\r\n.\r\n"), TEXT("a\n.\nb\r\n"), 0, 1},
    {"S-DATA-03 bare CR before", 0, TEXT("a\r.\r\nb\r\n.\r\n"), TEXT("a\r.\r\nb\r\n"), 0, 1},
    {"S-DATA-03 bare CR behind", 0, TEXT("a\r\n.\rb\r\n.\r\n"), TEXT("a\r\n\rb\r\n"), 0, 3},
    {"S-DATA-03 two CR behind", 0, TEXT("a\r\n.\r\r\nb\r\n.\r\n"), TEXT("a\r\n\r\r\nb\r\n"), 0, 3},
    {"S-DATA-03 two CR before", 0, TEXT("a\r\r\n.\r\n"), TEXT("a\r\r\n"), 0, 1},
    {"S-DATA-03 LF CR", 0, TEXT("a\n\r.\n\r\r\n.\r\n"), TEXT("a\n\r.\n\r\r\n"), 0, 1},
    {"S-DATA-04", 0, TEXT("a\nb\r\n.\r\n"), TEXT("a\nb\r\n"), 0, 1},
    {"S-DATA-04 at the very first", 0, TEXT("\n.\r\n.\r\n"), TEXT("\n.\r\n"), 0, 0},
    {"S-DATA-04 a dot behind it is no line's first", 0, TEXT("a\n..b\r\n.\r\n"), TEXT("a\n..b\r\n"), 0, 1},
    {"S-DATA-03 allowed", ALLOW, TEXT("a\n.\r\nb\r.\r\n\n.\n.\r\r\n.\r\n"), TEXT("a\n.\r\nb\r.\r\n\n.\n.\r\r\n"), 0,
     NEVER},
    {"S-DATA-07 allowed", ALLOW, TEXT("\n..a\r..b\r\n..c\r\n.\r\n"), TEXT("\n..a\r..b\r\n.c\r\n"), 0, NEVER},
    {"S-DATA-03 allowed, behind a dot", ALLOW, TEXT(".\n.\r\n.\rx\r\n.\r\n"), TEXT("\n.\r\n\rx\r\n"), 0, NEVER},
};

static void check_decode(const struct decode_row *row, unsigned kernel, size_t first, size_t second)
{
  static struct outcome outcome;
  ehlo_dot dot;
  ehlo_dot_begin(&dot, row->flags, kernel);
  play(ehlo_dot_decode, &dot, row->wire, first, second, &outcome);
  CHECK(row->rule, outcome.end == (row->rest == NEVER ? NEVER : (long)row->wire.len - row->rest));
  CHECK(row->rule, outcome.bare == row->bare);
  CHECK(row->rule, outcome.tolds == (row->bare == NEVER ? 0U : 1U));
  CHECK(row->rule, outcome.length == row->content.len);
  CHECK(row->rule, memcmp(outcome.text, row->content.ptr, row->content.len) == 0);
}

static void test_decode(void **state)
{
  (void)state;
  for (unsigned kernel = 0; kernel <= ehlo_scan_kernel(); kernel++) {
    for (size_t i = 0; i < ROWS(decode_rows); i++) {
      for (size_t first = 0; first <= decode_rows[i].wire.len; first++) {
        for (size_t second = first; second <= decode_rows[i].wire.len; second++) {
          check_decode(&decode_rows[i], kernel, first, second);
        }
      }
    }
  }
}

/* The same happenings at every place in the blocks of the search: behind `before` octets of ordinary content. */
static void test_decode_every_place(void **state)
{
  static char wire[512];
  static char content[512];
  static const struct {
    ehlo_span wire;
    ehlo_span content;
    long bare;
  } rows[] = {
      {TEXT("\r\n..x\r\n.\r\n"), TEXT("\r\n.x\r\n"), NEVER},
      {TEXT("\r\n.\r\nNOOP\r\n"), TEXT("\r\n"), NEVER},
      {TEXT("\r\n..\r\n..\r\n..\r\n.\r\n"), TEXT("\r\n.\r\n.\r\n.\r\n"), NEVER},
      {TEXT("\nx\r\n.\r\n"), TEXT("\nx\r\n"), 0},
      {TEXT("\rx\r\n.\r\n"), TEXT("\rx\r\n"), 0},
      {TEXT("\r\n..\n..\r\n.\r\n"), TEXT("\r\n.\n..\r\n"), 3},
      {TEXT("\r\n.\r.\r\n.\r\n"), TEXT("\r\n\r.\r\n"), 2},
  };
  (void)state;
  memset(wire, 'x', sizeof wire);
  memset(content, 'x', sizeof content);
  for (unsigned kernel = 0; kernel <= ehlo_scan_kernel(); kernel++) {
    for (size_t i = 0; i < ROWS(rows); i++) {
      for (size_t before = 0; before < 300; before++) {
        memcpy(wire + before, rows[i].wire.ptr, rows[i].wire.len);
        memcpy(content + before, rows[i].content.ptr, rows[i].content.len);
        long rest = i == 1 ? 6 : 0;
        struct decode_row row = {"S-DATA-03, at every place",
                                 0,
                                 {wire, before + rows[i].wire.len},
                                 {content, before + rows[i].content.len},
                                 rest,
                                 rows[i].bare == NEVER ? NEVER : (long)before + rows[i].bare};
        check_decode(&row, kernel, 0, 0);
        check_decode(&row, kernel, before / 2, before + 2);
        memset(wire, 'x', sizeof wire);
        memset(content, 'x', sizeof content);
      }
    }
  }
}

/* Nothing is kept back but what may not be content: a CR, and the dot of a line's start. */
static void test_decode_keeps_little_back(void **state)
{
  static const struct {
    ehlo_span wire;
    size_t content;
  } rows[] = {{TEXT("a"), 1},        {TEXT("a\r"), 1},     {TEXT("a\r\n"), 3},    {TEXT("a\r\n."), 3},
              {TEXT("a\r\n.\r"), 3}, {TEXT("a\r\n.b"), 4}, {TEXT("a\r\n.b\r"), 4}};
  (void)state;
  for (size_t i = 0; i < ROWS(rows); i++) {
    struct outcome outcome;
    ehlo_dot dot;
    ehlo_dot_init(&dot, 0);
    play(ehlo_dot_decode, &dot, rows[i].wire, 0, 0, &outcome);
    assert_int_equal(outcome.length, rows[i].content);
  }
}

static void test_decode_fills_the_list(void **state)
{
  ehlo_dot dot;
  ehlo_span spans[SPANS];
  char wire[4 * 40];
  size_t done = 0;
  size_t octets = 0;
  (void)state;
  for (size_t i = 0; i < sizeof wire; i += 4) {
    memcpy(wire + i, "..\r\n", 4);
  }
  ehlo_dot_init(&dot, 0);
  for (unsigned calls = 0; done < sizeof wire; calls++) {
    size_t consumed;
    size_t count;
    assert_true(calls < 40);
    assert_int_equal(ehlo_dot_decode(&dot, wire + done, sizeof wire - done, &consumed, spans, SPANS, &count),
                     EHLO_DOT_MORE);
    assert_true(consumed > 0 && count <= SPANS);
    done += consumed;
    for (size_t i = 0; i < count; i++) {
      octets += spans[i].len;
    }
  }
  assert_int_equal(octets, 3 * 40);
}

static void test_decode_mistakes(void **state)
{
  ehlo_dot dot;
  ehlo_span spans[SPANS];
  size_t consumed;
  size_t count;
  (void)state;
  ehlo_dot_init(&dot, 0);
  assert_int_equal(ehlo_dot_decode(NULL, "a", 1, &consumed, spans, SPANS, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_decode(&dot, NULL, 1, &consumed, spans, SPANS, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_decode(&dot, "a", 1, NULL, spans, SPANS, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_decode(&dot, "a", 1, &consumed, NULL, SPANS, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_decode(&dot, "a", 1, &consumed, spans, 7, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_decode(&dot, "a", 1, &consumed, spans, SPANS, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_decode(&dot, NULL, 0, &consumed, spans, SPANS, &count), EHLO_DOT_MORE);
  assert_int_equal(consumed + count, 0);
  assert_int_equal(ehlo_dot_decode(&dot, ".\r\n", 3, &consumed, spans, SPANS, &count), EHLO_DOT_END);
  assert_int_equal(ehlo_dot_decode(&dot, "a", 1, &consumed, spans, SPANS, &count), EHLO_ERR_STATE);
  assert_int_equal(consumed + count, 0);
}

/* ---- encoding ---- */

struct encode_row {
  const char *rule;
  uint32_t flags;
  ehlo_span content;
  ehlo_span wire; /* up to a bare newline, or with the end */
  int result;     /* of ehlo_dot_encode_end; EHLO_ERR_STATE behind a bare newline */
};

static const struct encode_row encode_rows[] = {
    {"S-DATA-06", 0, TEXT(""), TEXT(".\r\n"), EHLO_OK},
    {"S-DATA-05", 0, TEXT("a\r\n"), TEXT("a\r\n.\r\n"), EHLO_OK},
    {"S-DATA-05 a line without its CRLF", 0, TEXT("a\r\nb"), TEXT("a\r\nb\r\n.\r\n"), EHLO_OK},
    {"S-DATA-07", 0, TEXT(".\r\n.a\r\n..\r\nb.\r\n"), TEXT("..\r\n..a\r\n...\r\nb.\r\n.\r\n"), EHLO_OK},
    {"S-DATA-07 alone", 0, TEXT("."), TEXT("..\r\n.\r\n"), EHLO_OK},
    {"S-DATA-16", 0, TEXT("\0\x80\xFF"), TEXT("\0\x80\xFF\r\n.\r\n"), EHLO_OK},
    {"S-DATA-04 bare LF", 0, TEXT("a\r\n.\nb"), TEXT("a\r\n.."), EHLO_ERR_STATE},
    {"S-DATA-04 bare CR", 0, TEXT("a\rb"), TEXT("a"), EHLO_ERR_STATE},
    {"S-DATA-04 two CR", 0, TEXT("a\r\r\n"), TEXT("a"), EHLO_ERR_STATE},
    {"S-DATA-04 CR at the end", 0, TEXT("a\r"), TEXT("a"), EHLO_ERR_BARE_NEWLINE},
    {"S-DATA-04 allowed", ALLOW, TEXT("a\n.b\r.c\r\n.d"), TEXT("a\n.b\r.c\r\n..d\r\n.\r\n"), EHLO_OK},
    {"C-DATA-28 converted", CONVERT, TEXT("a\n\n.b\r\n.\n..\nc"), TEXT("a\r\n\r\n..b\r\n..\r\n...\r\nc\r\n.\r\n"),
     EHLO_OK},
    {"C-DATA-27 converted, a dot at once", CONVERT, TEXT("\n."), TEXT("\r\n..\r\n.\r\n"), EHLO_OK},
    {"C-DATA-28 converted, complete", CONVERT, TEXT(".\n"), TEXT("..\r\n.\r\n"), EHLO_OK},
    {"C-CMD-21 converted, bare CR", CONVERT, TEXT("a\n.\rb"), TEXT("a\r\n.."), EHLO_ERR_STATE},
    {"C-CMD-21 converted, two CR", CONVERT, TEXT("a\n\r\r\n"), TEXT("a\r\n"), EHLO_ERR_STATE},
    {"C-CMD-21 converted, CR at the end", CONVERT, TEXT("a\n\r"), TEXT("a\r\n"), EHLO_ERR_BARE_NEWLINE},
    {"S-DATA-04 CR at the end, allowed", ALLOW, TEXT("a\r"), TEXT("a\r\r\n.\r\n"), EHLO_OK},
};

static void check_encode(const struct encode_row *row, unsigned kernel, size_t first, size_t second)
{
  static struct outcome outcome;
  ehlo_dot dot;
  ehlo_span tail[4];
  size_t count = 99;
  ehlo_dot_begin(&dot, row->flags, kernel);
  play(ehlo_dot_encode, &dot, row->content, first, second, &outcome);
  CHECK(row->rule, ehlo_dot_encode_end(&dot, tail, &count) == row->result);
  CHECK(row->rule, count <= 4 && (count == 0) == (row->result != EHLO_OK));
  CHECK(row->rule, outcome.tolds == (row->result == EHLO_ERR_STATE ? 1U : 0U));
  for (size_t i = 0; i < count; i++) {
    memcpy(outcome.text + outcome.length, tail[i].ptr, tail[i].len);
    outcome.length += tail[i].len;
  }
  CHECK(row->rule, outcome.length == row->wire.len);
  CHECK(row->rule, memcmp(outcome.text, row->wire.ptr, row->wire.len) == 0);
  CHECK(row->rule, row->result != EHLO_OK || ehlo_dot_encode_end(&dot, tail, &count) == EHLO_ERR_STATE);
}

static void test_encode(void **state)
{
  (void)state;
  for (unsigned kernel = 0; kernel <= ehlo_scan_kernel(); kernel++) {
    for (size_t i = 0; i < ROWS(encode_rows); i++) {
      for (size_t first = 0; first <= encode_rows[i].content.len; first++) {
        for (size_t second = first; second <= encode_rows[i].content.len; second++) {
          check_encode(&encode_rows[i], kernel, first, second);
        }
      }
    }
  }
}

static void test_encode_every_place(void **state)
{
  static char content[512];
  static char wire[512];
  (void)state;
  for (unsigned kernel = 0; kernel <= ehlo_scan_kernel(); kernel++) {
    for (size_t before = 0; before < 300; before++) {
      memset(content, 'x', sizeof content);
      memset(wire, 'x', sizeof wire);
      memcpy(content + before, "\r\n.a\r\n.\r\n", 9);
      memcpy(wire + before, "\r\n..a\r\n..\r\n.\r\n", 14);
      struct encode_row good = {"S-DATA-07, at every place", 0, {content, before + 9}, {wire, before + 14}, EHLO_OK};
      check_encode(&good, kernel, 0, 0);
      check_encode(&good, kernel, before / 2, before + 3);
      memcpy(content + before, "\nxxxxxxxx", 9);
      memset(wire, 'x', sizeof wire);
      struct encode_row bare = {"S-DATA-04, at every place", 0, {content, before + 9}, {wire, before}, EHLO_ERR_STATE};
      check_encode(&bare, kernel, 0, 0);
      memcpy(content + before, "\rxxxxxxxx", 9);
      check_encode(&bare, kernel, 0, 0);
      memcpy(content + before, "\n.a\n.\nb\r", 8);
      memcpy(wire + before, "\r\n..a\r\n..\r\nb\r\n.\r\n", 17);
      struct encode_row converted = {
          "C-CMD-21, at every place", CONVERT, {content, before + 7}, {wire, before + 17}, EHLO_OK};
      check_encode(&converted, kernel, 0, 0);
      check_encode(&converted, kernel, before / 2, before + 1);
    }
  }
}

static void test_encode_fills_the_list(void **state)
{
  static struct outcome outcome;
  char content[3 * 40];
  char wire[4 * 40];
  (void)state;
  for (size_t i = 0; i < 40; i++) {
    memcpy(content + 3 * i, ".\r\n", 3);
    memcpy(wire + 4 * i, "..\r\n", 4);
  }
  ehlo_dot dot;
  ehlo_dot_init(&dot, 0);
  play(ehlo_dot_encode, &dot, (ehlo_span){content, sizeof content}, 0, 0, &outcome);
  assert_int_equal(outcome.length, sizeof wire);
  assert_memory_equal(outcome.text, wire, sizeof wire);
}

/* What comes behind octets that were not taken need not be those: the state is that of what was taken. (C-DATA-27) */
static void test_encode_goes_on_with_others(void **state)
{
  (void)state;
  static const char lines[] =
      "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nu\nv\nw\nx\ny\nz\n0\n1\n2\n3\n4\n5\n";
  static const char crlf[] =
      "a\r\n.b\r\n.c\r\n.d\r\n.e\r\n.f\r\n.g\r\n.h\r\n.i\r\n.j\r\n.k\r\n.l\r\n.m\r\n.n\r\n.o\r\n";
  for (unsigned kernel = 0; kernel <= ehlo_scan_kernel(); kernel++) {
    for (unsigned n = 0; n < 2; n++) {
      ehlo_span whole = n ? ehlo_span_of(crlf) : ehlo_span_of(lines);
      for (size_t from = 0; from < 8; from++) {
        ehlo_dot dot;
        ehlo_span spans[SPANS];
        size_t consumed;
        size_t count;
        if (whole.ptr[from] == '\n' && n) {
          continue;
        }
        ehlo_dot_begin(&dot, n ? 0 : CONVERT, kernel);
        assert_int_equal(ehlo_dot_encode(&dot, "\r\n", 2, &consumed, spans, SPANS, &count), EHLO_OK);
        assert_int_equal(ehlo_dot_encode(&dot, whole.ptr + from, whole.len - from, &consumed, spans, SPANS, &count),
                         EHLO_OK);
        assert_true(consumed > 0 && consumed < whole.len - from && count > 0);
        char last = spans[count - 1].ptr[spans[count - 1].len - 1];
        assert_int_equal(ehlo_dot_encode(&dot, ".\r\n", 3, &consumed, spans, SPANS, &count),
                         last == '\r' ? EHLO_ERR_BARE_NEWLINE : EHLO_OK);
        size_t octets = 0;
        for (size_t i = 0; i < count; i++) {
          octets += spans[i].len;
        }
        assert_int_equal(octets, last == '\n' ? 4 : last == '\r' ? 0 : 3);
      }
    }
  }
}

static void test_encode_mistakes(void **state)
{
  ehlo_dot dot;
  ehlo_span spans[SPANS];
  size_t consumed;
  size_t count;
  (void)state;
  ehlo_dot_init(&dot, 0);
  assert_int_equal(ehlo_dot_encode(NULL, "a", 1, &consumed, spans, SPANS, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_encode(&dot, NULL, 1, &consumed, spans, SPANS, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_encode(&dot, "a", 1, &consumed, spans, 7, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_encode_end(NULL, spans, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_encode_end(&dot, NULL, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_encode_end(&dot, spans, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_dot_encode_end(&dot, spans, &count), EHLO_OK);
  assert_int_equal(ehlo_dot_encode(&dot, "a", 1, &consumed, spans, SPANS, &count), EHLO_ERR_STATE);
  assert_int_equal(consumed + count, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_decode),
      cmocka_unit_test(test_decode_every_place),
      cmocka_unit_test(test_decode_keeps_little_back),
      cmocka_unit_test(test_decode_fills_the_list),
      cmocka_unit_test(test_decode_mistakes),
      cmocka_unit_test(test_encode),
      cmocka_unit_test(test_encode_every_place),
      cmocka_unit_test(test_encode_fills_the_list),
      cmocka_unit_test(test_encode_goes_on_with_others),
      cmocka_unit_test(test_encode_mistakes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
