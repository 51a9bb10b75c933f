/* test_line.c: from octets to lines. Each row is fed at every pair of cuts; pieces and the buffer end at a guard page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bytes/line.h"
#include "bytes/scan.h"
#include "guard.h"

#define TEXT(literal)               \
  {                                 \
    "" literal, sizeof(literal) - 1 \
  }
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* What is told of the octets, one line of it for each line of theirs: the text, "!long" or "!bare"; SEEN_NON_ASCII adds
 * an "8", SEEN_CONTROL a "c", before a colon. */
struct line_row {
  const char *rule;
  size_t limit;
  ehlo_span octets;
  ehlo_span told;
};

static const struct line_row rows[] = {
    {"P-CMD-01", 20, TEXT("NOOP\r\n"), TEXT(":NOOP\n")},
    {"P-CMD-01 two lines", 20, TEXT("NOOP\r\nQUIT\r\n"), TEXT(":NOOP\n:QUIT\n")},
    {"P-CMD-01 empty lines", 20, TEXT("\r\n\r\nA\r\n"), TEXT(":\n:\n:A\n")},
    {"P-CMD-01 LF", 20, TEXT("NOOP\nQUIT\r\nRSET\r\n"), TEXT("!bare\n:RSET\n")},
    {"P-CMD-01 CR", 20, TEXT("NOOP\rQUIT\r\nRSET\r\n"), TEXT("!bare\n:RSET\n")},
    {"P-CMD-01 LF CR", 20, TEXT("NOOP\n\rQUIT\r\nRSET\r\n"), TEXT("!bare\n:RSET\n")},
    {"P-CMD-01 CR CR LF", 20, TEXT("NOOP\r\r\nRSET\r\n"), TEXT("!bare\n:RSET\n")},
    {"P-CMD-01 LF alone", 20, TEXT("\n\r\nRSET\r\n"), TEXT("!bare\n:RSET\n")},
    {"P-CMD-01 LF, then CRLF", 20, TEXT("NOOP\n\r\nRSET\r\n"), TEXT("!bare\n:RSET\n")},
    {"P-CMD-01 LF, then CR CR LF", 20, TEXT("NOOP\nx\r\r\nRSET\r\n"), TEXT("!bare\n:RSET\n")},
    {"P-CMD-01 CR, then LF alone", 20, TEXT("NOOP\rx\n\r\nRSET\r\n"), TEXT("!bare\n:RSET\n")},
    {"P-CMD-02", 20, TEXT("NOOP"), TEXT("")},
    {"P-CMD-02 CR", 20, TEXT("NOOP\r"), TEXT("")},
    {"P-CMD-02 a broken one", 20, TEXT("NOOP\nQUIT"), TEXT("")},
    {"P-CMD-13", 8, TEXT("123456\r\nA\r\n"), TEXT(":123456\n:A\n")},
    {"P-CMD-14", 8, TEXT("1234567\r\nA\r\n"), TEXT("!long\n:A\n")},
    {"P-CMD-14 much longer", 8, TEXT("123456789012345678901234567890\r\nA\r\n"), TEXT("!long\n:A\n")},
    {"P-CMD-14 its tail is no command", 8, TEXT("1234567890\nQUIT\rQUIT\r\nA\r\n"), TEXT("!long\n:A\n")},
    {"P-CMD-14 too long before it is broken", 8, TEXT("1234567\n\r\nA\r\n"), TEXT("!long\n:A\n")},
    {"P-CMD-14 broken before it is too long", 8, TEXT("123456\n7890123\r\nA\r\n"), TEXT("!bare\n:A\n")},
    {"P-CMD-14 CR CR LF", 8, TEXT("1234567\r\r\nA\r\n"), TEXT("!long\n:A\n")},
    {"P-CMD-13 the least limit", 3, TEXT("A\r\nAB\r\n\r\n"), TEXT(":A\n!long\n:\n")},
    {"P-CMD-11", 20, TEXT("A\0B\r\nA\tB\r\nA\x7F\r\nAB\r\n"), TEXT("c:A\0B\n:A\tB\nc:A\x7F\n:AB\n")},
    {"P-CMD-12", 20, TEXT("A\x80\r\n\xFF\x01\r\nAB\r\n"), TEXT("8:A\x80\n8c:\xFF\x01\n:AB\n")},
};

struct told {
  char text[256];
  size_t length;
};

static void tell(struct told *told, int result, ehlo_span text, unsigned seen)
{
  const char *fault = result == LINE_TOO_LONG ? "!long" : "!bare";
  if (result == LINE_READY) {
    told->length += (size_t)sprintf(told->text + told->length, "%s%s:", seen & SEEN_NON_ASCII ? "8" : "",
                                    seen & SEEN_CONTROL ? "c" : "");
    memcpy(told->text + told->length, text.ptr, text.len);
    told->length += text.len;
  } else {
    told->length += (size_t)sprintf(told->text + told->length, "%s", fault);
  }
  told->text[told->length++] = '\n';
}

/* Feeds a piece, and asks about each line twice, as the machine does that must first wait. */
static void feed(const struct line_row *row, struct line *line, ehlo_span piece, struct told *told)
{
  unsigned char *buffer = (unsigned char *)guard_room(1, row->limit);
  ehlo_span here = guard_copy(0, piece);
  const unsigned char *data = (const unsigned char *)here.ptr;
  size_t at = 0;
  int result;
  do {
    size_t taken;
    ehlo_span text;
    unsigned seen;
    result = ehlo_line_take(line, buffer, row->limit, data + at, here.len - at, &taken, &text, &seen);
    assert_true(taken <= here.len - at);
    if (result == LINE_MORE) {
      assert_int_equal(taken, here.len - at);
      return;
    }
    size_t again_taken;
    ehlo_span again_text;
    unsigned again_seen;
    size_t again_at = line->held ? at + taken : at;
    assert_int_equal(ehlo_line_take(line, buffer, row->limit, data + again_at, here.len - again_at, &again_taken,
                                    &again_text, &again_seen),
                     result);
    assert_int_equal(again_taken, line->held ? 0 : taken);
    assert_true(result != LINE_READY || (again_text.len == text.len && again_seen == seen));
    assert_true(result != LINE_READY || memcmp(again_text.ptr, text.ptr, text.len) == 0);
    tell(told, result, text, seen);
    ehlo_line_done(line);
    at += taken;
  } while (1);
}

static void check(const struct line_row *row, size_t first, size_t second)
{
  const size_t cuts[4] = {0, first, second, row->octets.len};
  struct told told = {"", 0};
  struct line line;
  memset(&line, 0, sizeof line);
  for (unsigned i = 0; i < 3; i++) {
    ehlo_span piece = {row->octets.ptr + cuts[i], cuts[i + 1] - cuts[i]};
    feed(row, &line, piece, &told);
  }
  if (told.length != row->told.len || memcmp(told.text, row->told.ptr, told.length) != 0) {
    fail_msg("%s: cuts %zu and %zu: told \"%.*s\"", row->rule, first, second, (int)told.length, told.text);
  }
}

static void test_lines(void **state)
{
  (void)state;
  for (size_t i = 0; i < ROWS(rows); i++) {
    for (size_t first = 0; first <= rows[i].octets.len; first++) {
      for (size_t second = first; second <= rows[i].octets.len; second++) {
        check(&rows[i], first, second);
      }
    }
  }
}

/* A line that arrives whole is handed out where it lies, even if another is behind it. */
static void test_whole_line_is_not_copied(void **state)
{
  struct line line;
  unsigned char buffer[16];
  const unsigned char *data = (const unsigned char *)"NOOP\r\nQUIT\r\n";
  size_t taken;
  ehlo_span text;
  unsigned seen;
  (void)state;
  memset(&line, 0, sizeof line);
  assert_int_equal(ehlo_line_take(&line, buffer, sizeof buffer, data, 12, &taken, &text, &seen), LINE_READY);
  assert_ptr_equal(text.ptr, data);
  assert_int_equal(taken, 6);
  assert_int_equal(line.used, 0);
}

/* Whatever its length, each octet of an endless line is taken, and nothing of it is kept but the beginning. */
static void test_endless_line(void **state)
{
  struct line line;
  unsigned char buffer[512];
  unsigned char piece[1000];
  size_t taken;
  ehlo_span text;
  unsigned seen;
  (void)state;
  memset(&line, 0, sizeof line);
  memset(piece, 'x', sizeof piece);
  for (unsigned i = 0; i < 1000; i++) {
    assert_int_equal(ehlo_line_take(&line, buffer, sizeof buffer, piece, sizeof piece, &taken, &text, &seen),
                     LINE_MORE);
    assert_int_equal(taken, sizeof piece);
    assert_true(line.used <= sizeof buffer);
  }
  assert_int_equal(
      ehlo_line_take(&line, buffer, sizeof buffer, (const unsigned char *)"\r\nNOOP", 6, &taken, &text, &seen),
      LINE_TOO_LONG);
  assert_int_equal(taken, 2);
}

/* The limit comes down while a line is on its way: what is there stays, nothing is written behind the buffer. */
static void test_limit_that_comes_down(void **state)
{
  (void)state;
  static const char octets[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\nNOOP\r\n";
  struct line line = {0};
  unsigned char *to = (unsigned char *)guard_room(0, 16);
  ehlo_span text;
  unsigned seen;
  size_t taken;
  const unsigned char *data = (const unsigned char *)octets;
  assert_int_equal(ehlo_line_take(&line, to, 16, data, 10, &taken, &text, &seen), LINE_MORE);
  assert_int_equal(ehlo_line_take(&line, to, 8, data + 10, sizeof octets - 11, &taken, &text, &seen), LINE_TOO_LONG);
  assert_int_equal(taken, 18);
  assert_memory_equal(text.ptr, "ABCDEFGHIJ", 10);
  ehlo_line_done(&line);
  assert_int_equal(ehlo_line_take(&line, to, 8, data + 28, 6, &taken, &text, &seen), LINE_READY);
  assert_int_equal(text.len, 4);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lines),
      cmocka_unit_test(test_whole_line_is_not_copied),
      cmocka_unit_test(test_endless_line),
      cmocka_unit_test(test_limit_that_comes_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
