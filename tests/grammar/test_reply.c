/* test_reply.c: reply lines and enhanced status codes, read and written. */
#include "check.h"

/* ---- reading lines ---- */

static void lines_are_taken_apart(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_span line;
    uint32_t code; /* 0: refused */
    uint32_t last;
    ehlo_span text;
  } rows[] = {
      {"P-RPLY-01", TEXT("250 Okay"), 250, 1, TEXT("Okay")},
      {"P-RPLY-01", TEXT("200 x"), 200, 1, TEXT("x")},
      {"P-RPLY-01", TEXT("559 x"), 559, 1, TEXT("x")},
      {"P-RPLY-01", TEXT("354 go on"), 354, 1, TEXT("go on")},
      {"P-RPLY-02", TEXT("250-first"), 250, 0, TEXT("first")},
      {"P-RPLY-02", TEXT("250-"), 250, 0, TEXT("")},
      {"P-RPLY-05", TEXT("250-234 Text"), 250, 0, TEXT("234 Text")},
      {"P-RPLY-05", TEXT("250 250-x"), 250, 1, TEXT("250-x")},
      {"P-RPLY-06", TEXT("250"), 250, 1, TEXT("")},
      {"P-RPLY-06", TEXT("250 "), 250, 1, TEXT("")},
      {"P-RPLY-06", TEXT("250  two"), 250, 1, TEXT(" two")},
      {"P-HELO-10", TEXT("220-\x01\xFF\x7F\t"), 220, 0, TEXT("\x01\xFF\x7F\t")},
      {"P-RPLY-01", TEXT(""), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("2"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("25"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("25 x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("150 x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("650 x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("260 x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("2/0 x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("25: x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("25/ x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("2500 x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT(" 250 x"), 0, 0, TEXT("")},
      {"P-RPLY-01", TEXT("OK 250"), 0, 0, TEXT("")},
      {"P-RPLY-02", TEXT("250\tx"), 0, 0, TEXT("")},
      {"P-RPLY-02", TEXT("250.x"), 0, 0, TEXT("")},
      {"P-CMD-01", TEXT("250 a\rb"), 0, 0, TEXT("")},
      {"P-CMD-01", TEXT("250 a\n"), 0, 0, TEXT("")},
      {"P-CMD-01", TEXT("250-\r"), 0, 0, TEXT("")},
      {"P-CMD-01", TEXT("250\r"), 0, 0, TEXT("")},
      {"P-HELO-10", TEXT("250 a\0b"), 0, 0, TEXT("")},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_reply_line reply;
    ehlo_span line = guard_copy(0, rows[i].line);
    memset(&reply, 0xAA, sizeof reply);
    int result = ehlo_parse_reply_line(line, &reply);
    CHECK(rows[i].rule, line, result == (rows[i].code == 0 ? EHLO_ERR_SYNTAX : EHLO_OK));
    CHECK(rows[i].rule, line, result == EHLO_OK || is_zero(&reply, sizeof reply));
    CHECK(rows[i].rule, line, reply.code == rows[i].code && reply.last == rows[i].last);
    CHECK(rows[i].rule, line, ehlo_span_equal(reply.text, rows[i].text) && lies_inside(reply.text, line));
    for (size_t length = 0; length < line.len; length++) {
      ehlo_span part = guard_copy(1, front(rows[i].line, length));
      int part_result = ehlo_parse_reply_line(part, &reply);
      CHECK(rows[i].rule, part, rows[i].code == 0 || part_result == (length < 3 ? EHLO_ERR_SYNTAX : EHLO_OK));
      CHECK(rows[i].rule, part, lies_inside(reply.text, part));
    }
  }
  ehlo_reply_line reply;
  ehlo_span nothing = {NULL, 0};
  assert_int_equal(ehlo_parse_reply_line(SPAN("250"), NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_parse_reply_line(nothing, &reply), EHLO_ERR_SYNTAX);
}

static void every_code_is_judged(void **state)
{
  (void)state;
  for (unsigned code = 0; code <= 999; code++) {
    char text[8];
    ehlo_reply_line reply;
    int good = code / 100 >= 2 && code / 100 <= 5 && code / 10 % 10 <= 5;
    ehlo_span line = {text, (size_t)snprintf(text, sizeof text, "%03u x", code)};
    line = guard_copy(0, line);
    CHECK("P-RPLY-01", line, (ehlo_parse_reply_line(line, &reply) == EHLO_OK) == good);
    CHECK("P-RPLY-01", line, reply.code == (good ? code : 0));

    char buffer[16];
    size_t length;
    int result = ehlo_format_reply_line(code, 1, NULL, SPAN("x"), 0, buffer, sizeof buffer, &length);
    CHECK("P-RPLY-01", line, result == (good ? EHLO_OK : EHLO_ERR_CODE));
    CHECK("P-RPLY-01", line, length == (good ? line.len + 2 : 0));
  }
}

/* ---- enhanced codes ---- */

/* C-RPLY-14, C-RPLY-15: by the first digit, also of codes that nobody has heard of. */
static void severity_is_the_first_digit(void **state)
{
  (void)state;
  for (uint32_t code = 0; code < 1000; code++) {
    assert_int_equal(ehlo_reply_is_temporary(code), code >= 400 && code <= 499);
    assert_int_equal(ehlo_reply_is_permanent(code), code >= 500 && code <= 599);
  }
}

static void enhanced_codes_are_read(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    ehlo_span text;
    size_t used; /* 0: refused */
    ehlo_enhanced code;
  } rows[] = {
      {"P-ESC-01", TEXT("2.1.5"), 5, {2, 1, 5}},
      {"P-ESC-01", TEXT("2.1.5 Okay"), 6, {2, 1, 5}},
      {"P-ESC-01", TEXT("4.0.0 \t  x"), 9, {4, 0, 0}},
      {"P-ESC-01", TEXT("5.7.1\tx"), 6, {5, 7, 1}},
      {"P-ESC-01", TEXT("5.999.999"), 9, {5, 999, 999}},
      {"P-ESC-01", TEXT("5.10.100 "), 9, {5, 10, 100}},
      {"P-ESC-01", TEXT("2.1.5Okay"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1.5."), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1.5.1"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("1.1.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("3.1.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("6.1.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("22.1.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.01.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1.05"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1.00"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1000.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1.1000"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2. 1.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2 .1.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2..15"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT(" 2.1.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1."), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1.x"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.x.1"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1,5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2,1.5"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("2.1.5\r"), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT(""), 0, {0, 0, 0}},
      {"P-ESC-01", TEXT("Okay"), 0, {0, 0, 0}},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_enhanced code;
    size_t used = SIZE_MAX;
    ehlo_span text = guard_copy(0, rows[i].text);
    memset(&code, 0xAA, sizeof code);
    int result = ehlo_parse_enhanced(text, &code, &used);
    CHECK(rows[i].rule, text, result == (rows[i].used == 0 ? EHLO_ERR_SYNTAX : EHLO_OK));
    CHECK(rows[i].rule, text, used == rows[i].used);
    CHECK(rows[i].rule, text, memcmp(&code, &rows[i].code, sizeof code) == 0);
    for (size_t length = 0; length < text.len; length++) {
      ehlo_span part = guard_copy(1, front(rows[i].text, length));
      result = ehlo_parse_enhanced(part, &code, &used);
      CHECK(rows[i].rule, part, used <= length && (result == EHLO_OK) == (used > 0));
      CHECK(rows[i].rule, part, length >= 5 || result == EHLO_ERR_SYNTAX);
    }
  }
  ehlo_enhanced code = {9, 9, 9};
  size_t used = 9;
  assert_int_equal(ehlo_parse_enhanced(SPAN("2.0.0"), NULL, &used), EHLO_ERR_ARGUMENT);
  assert_int_equal(used, 0);
  assert_int_equal(ehlo_parse_enhanced(SPAN("2.0.0"), &code, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(code.status_class, 0);
}

/* ---- writing lines ---- */

struct line_input {
  uint32_t code;
  uint32_t last;
  ehlo_enhanced enhanced;
  ehlo_span text;
  uint32_t flags;
};

static int format(const void *input, char *buffer, size_t size, size_t *length)
{
  const struct line_input *in = input;
  return ehlo_format_reply_line(in->code, in->last, &in->enhanced, in->text, in->flags, buffer, size, length);
}

static int format_without(const void *input, char *buffer, size_t size, size_t *length)
{
  const struct line_input *in = input;
  return ehlo_format_reply_line(in->code, in->last, NULL, in->text, in->flags, buffer, size, length);
}

enum { UTF8 = EHLO_PARSE_UTF8 };

static void lines_are_formatted(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    struct line_input in;
    ehlo_span want;
  } rows[] = {
      {"P-RPLY-02", {250, 1, {0, 0, 0}, TEXT("Okay"), 0}, TEXT("250 Okay\r\n")},
      {"P-RPLY-02", {250, 0, {0, 0, 0}, TEXT("Okay"), 0}, TEXT("250-Okay\r\n")},
      {"P-RPLY-02", {250, 7, {0, 0, 0}, TEXT("Okay"), 0}, TEXT("250 Okay\r\n")},
      {"P-RPLY-07", {250, 1, {0, 0, 0}, TEXT(""), 0}, TEXT("250 \r\n")},
      {"P-RPLY-07", {250, 0, {0, 0, 0}, TEXT(""), 0}, TEXT("250-\r\n")},
      {"S-ESC-07", {250, 1, {2, 1, 5}, TEXT("Okay"), 0}, TEXT("250 2.1.5 Okay\r\n")},
      {"S-ESC-05", {250, 0, {2, 1, 5}, TEXT("Okay"), 0}, TEXT("250-2.1.5 Okay\r\n")},
      {"S-ESC-07", {421, 1, {4, 0, 0}, TEXT(""), 0}, TEXT("421 4.0.0 \r\n")},
      {"P-ESC-01", {550, 1, {5, 10, 999}, TEXT("x"), 0}, TEXT("550 5.10.999 x\r\n")},
      {"P-ESC-01", {550, 1, {5, 999, 10}, TEXT("x"), 0}, TEXT("550 5.999.10 x\r\n")},
      {"P-ESC-01", {550, 1, {5, 100, 99}, TEXT("x"), 0}, TEXT("550 5.100.99 x\r\n")},
      {"S-ESC-03", {354, 1, {0, 0, 0}, TEXT("Go"), 0}, TEXT("354 Go\r\n")},
      {"P-RPLY-08", {250, 1, {0, 0, 0}, TEXT("\t !~"), 0}, TEXT("250 \t !~\r\n")},
      {"P-RPLY-08", {251, 1, {0, 0, 0}, TEXT("<\xC3\xA9@x>"), UTF8}, TEXT("251 <\xC3\xA9@x>\r\n")},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    struct line_input input = rows[i].in;
    input.text = guard_copy(0, rows[i].in.text);
    check_format(rows[i].rule, rows[i].want, format, &input, rows[i].want);
    if (input.enhanced.status_class == 0) {
      check_format(rows[i].rule, rows[i].want, format_without, &input, rows[i].want);
    }
    /* and read again */
    ehlo_reply_line reply;
    ehlo_enhanced enhanced;
    size_t used;
    ehlo_span line = front(rows[i].want, rows[i].want.len - 2);
    CHECK(rows[i].rule, line, ehlo_parse_reply_line(line, &reply) == EHLO_OK && reply.code == input.code);
    CHECK(rows[i].rule, line, reply.last == (input.last != 0));
    if (input.enhanced.status_class != 0) {
      CHECK(rows[i].rule, line, ehlo_parse_enhanced(reply.text, &enhanced, &used) == EHLO_OK);
      CHECK(rows[i].rule, line, memcmp(&enhanced, &input.enhanced, sizeof enhanced) == 0);
      CHECK(rows[i].rule, line, reply.text.len - used == input.text.len);
    }
  }
}

static void bad_lines_are_refused(void **state)
{
  (void)state;
  static const struct {
    const char *rule;
    struct line_input in;
    int error;
  } rows[] = {
      {"P-RPLY-01", {199, 1, {0, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"P-RPLY-01", {560, 1, {0, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"P-RPLY-01", {260, 1, {0, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"P-RPLY-01", {0, 1, {0, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"P-RPLY-01", {UINT32_MAX, 1, {0, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"S-ESC-04", {250, 1, {5, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"S-ESC-04", {550, 1, {4, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"S-ESC-03", {354, 1, {3, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"S-ESC-03", {354, 1, {2, 0, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"P-ESC-01", {250, 1, {2, 1000, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"P-ESC-01", {250, 1, {2, 0, 1000}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"P-ESC-01", {250, 1, {0, 1, 0}, TEXT("x"), 0}, EHLO_ERR_CODE},
      {"P-RPLY-08", {250, 1, {0, 0, 0}, TEXT("a\r\n221 b"), UTF8}, EHLO_ERR_TEXT},
      {"P-RPLY-08", {250, 1, {0, 0, 0}, TEXT("a\n"), UTF8}, EHLO_ERR_TEXT},
      {"P-RPLY-08", {250, 1, {0, 0, 0}, TEXT("\r"), UTF8}, EHLO_ERR_TEXT},
      {"P-RPLY-08", {250, 1, {0, 0, 0}, TEXT("a\0b"), UTF8}, EHLO_ERR_TEXT},
      {"P-RPLY-08", {250, 1, {0, 0, 0}, TEXT("\x7F"), UTF8}, EHLO_ERR_TEXT},
      {"P-RPLY-08", {250, 1, {0, 0, 0}, TEXT("\x1F"), UTF8}, EHLO_ERR_TEXT},
      {"P-RPLY-08", {250, 1, {0, 0, 0}, TEXT("\xC3\xA9"), 0}, EHLO_ERR_TEXT},
      {"S-UTF8-06", {250, 1, {0, 0, 0}, TEXT("\xC3"), UTF8}, EHLO_ERR_TEXT},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    struct line_input input = rows[i].in;
    input.text = guard_copy(0, rows[i].in.text);
    check_refused(rows[i].rule, input.text, format, &input, rows[i].error);
  }
}

static void lines_end_at_512_octets(void **state)
{
  (void)state;
  char text[512];
  memset(text, 'x', sizeof text);
  struct line_input input = {250, 1, {0, 0, 0}, {text, 506}, 0};
  char buffer[600];
  size_t length;
  assert_int_equal(format(&input, buffer, sizeof buffer, &length), EHLO_OK);
  assert_int_equal(length, 512); /* P-RPLY-09 */
  input.text.len = 507;
  check_refused("P-RPLY-09", input.text, format, &input, EHLO_ERR_TOO_LONG);
  input.enhanced = (ehlo_enhanced){2, 0, 0};
  input.text.len = 500;
  assert_int_equal(format(&input, buffer, sizeof buffer, &length), EHLO_OK);
  assert_int_equal(length, 512);
  input.text.len = 501;
  check_refused("P-RPLY-09", input.text, format, &input, EHLO_ERR_TOO_LONG);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(severity_is_the_first_digit), cmocka_unit_test(lines_are_taken_apart),
      cmocka_unit_test(every_code_is_judged),        cmocka_unit_test(enhanced_codes_are_read),
      cmocka_unit_test(lines_are_formatted),         cmocka_unit_test(bad_lines_are_refused),
      cmocka_unit_test(lines_end_at_512_octets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
