/* test_utf8.c: well-formed UTF-8, against an independent decoder. */
#include "check.h"

/* Decodes one character the plain way: by value, then judged. Returns its length, or 0. */
static size_t simple_character(const unsigned char *at, size_t left)
{
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t length = at[0] < 0x80             ? 1
                  : (at[0] & 0xE0) == 0xC0 ? 2
                  : (at[0] & 0xF0) == 0xE0 ? 3
                  : (at[0] & 0xF8) == 0xF0 ? 4
                                           : 0;
  if (length == 0 || length > left) {
    return 0;
  }
  uint32_t value = length == 1 ? at[0] : at[0] & (0x7Fu >> length);
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xC0) != 0x80) {
      return 0;
    }
    value = value << 6 | (at[i] & 0x3Fu);
  }
  return value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF) ? 0 : length;
}

static size_t simple_valid(ehlo_span text)
{
  size_t at = 0;
  while (at < text.len) {
    size_t length = simple_character((const unsigned char *)text.ptr + at, text.len - at);
    if (length == 0) {
      break;
    }
    at += length;
  }
  return at;
}

static void check_text(ehlo_span text)
{
  ehlo_span copy = guard_copy(0, text);
  CHECK("S-UTF8-06", copy, ehlo_utf8_valid(copy) == simple_valid(text));
}

/* All strings of up to two octets, and of three and four with the octets at the rims of the ranges. */
static void all_short_strings_are_judged(void **state)
{
  (void)state;
  for (unsigned first = 0; first < 256; first++) {
    char text[4] = {(char)first, 0, 0, 0};
    check_text((ehlo_span){text, 1});
    for (unsigned second = 0; second < 256; second++) {
      static const unsigned char rims[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                           0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0, 0xFF};
      text[1] = (char)second;
      check_text((ehlo_span){text, 2});
      for (size_t third = 0; third < sizeof rims; third++) {
        text[2] = (char)rims[third];
        check_text((ehlo_span){text, 3});
        for (size_t fourth = 0; fourth < sizeof rims; fourth++) {
          text[3] = (char)rims[fourth];
          check_text((ehlo_span){text, 4});
        }
      }
    }
  }
}

static void the_front_is_measured(void **state)
{
  (void)state;
  static const struct {
    ehlo_span text;
    size_t valid;
  } rows[] = {
      {TEXT(""), 0},
      {TEXT("plain\0\r\n"), 8},
      {TEXT("na\xC3\xAFve"), 6},
      {TEXT("\xF0\x9F\x93\xA7 \xE2\x82\xAC"), 8},
      {TEXT("\xF4\x8F\xBF\xBF"), 4},   /* U+10FFFF */
      {TEXT("\xF4\x90\x80\x80"), 0},   /* above */
      {TEXT("a\xED\x9F\xBF"), 4},      /* U+D7FF */
      {TEXT("a\xED\xA0\x80"), 1},      /* a surrogate */
      {TEXT("a\xEE\x80\x80"), 4},      /* U+E000 */
      {TEXT("ab\xC0\x80"), 2},         /* NUL, overlong */
      {TEXT("ab\xC1\xBF"), 2},         /* overlong */
      {TEXT("ab\xE0\x9F\xBF"), 2},     /* overlong */
      {TEXT("ab\xF0\x8F\xBF\xBF"), 2}, /* overlong */
      {TEXT("ab\xE2\x82"), 2},         /* cut off */
      {TEXT("ab\xE2\x82"
            "c"),
       2},
      {TEXT("\xC3\xA9\xA9"), 2},
      {TEXT("\xEF\xBB\xBF"), 3},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_span text = guard_copy(0, rows[i].text);
    CHECK("S-UTF8-06", text, ehlo_utf8_valid(text) == rows[i].valid);
    for (size_t length = 0; length < text.len; length++) {
      check_text(front(rows[i].text, length));
    }
  }
  ehlo_span nothing = {NULL, 0};
  assert_int_equal(ehlo_utf8_valid(nothing), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_short_strings_are_judged),
      cmocka_unit_test(the_front_is_measured),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
