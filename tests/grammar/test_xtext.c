/* test_xtext.c: xtext. */
#include "check.h"

static int encode(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_xtext_encode(*(const ehlo_span *)input, buffer, size, length);
}

static int decode(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_xtext_decode(*(const ehlo_span *)input, buffer, size, length);
}

static void text_is_encoded_and_decoded(void **state)
{
  (void)state;
  static const struct {
    ehlo_span octets;
    ehlo_span text;
  } rows[] = {
      {TEXT(""), TEXT("")},
      {TEXT("plain"), TEXT("plain")},
      {TEXT("user@example.org"), TEXT("user@example.org")},
      {TEXT("a+b"), TEXT("a+2Bb")},
      {TEXT("a=b"), TEXT("a+3Db")},
      {TEXT("a b"), TEXT("a+20b")},
      {TEXT("+"), TEXT("+2B")},
      {TEXT("\0\r\n\x7F\x80\xFF"), TEXT("+00+0D+0A+7F+80+FF")},
      {TEXT("!*,<>~"), TEXT("!*,<>~")},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_span octets = guard_copy(0, rows[i].octets);
    ehlo_span text = guard_copy(1, rows[i].text);
    check_format("P-AUTH-33", octets, encode, &octets, rows[i].text);
    check_format("P-AUTH-33", text, decode, &text, rows[i].octets);
  }
}

/* More is encoded than needs to be: legal, and decoded. */
static void needless_encoding_is_decoded(void **state)
{
  (void)state;
  ehlo_span text = guard_copy(0, SPAN("+41+62c"));
  check_format("P-AUTH-33", text, decode, &text, SPAN("Abc"));
}

static void each_octet_survives(void **state)
{
  (void)state;
  for (unsigned octet = 0; octet < 256; octet++) {
    char one = (char)octet;
    char text[4];
    char back[4];
    size_t length;
    size_t back_length;
    assert_int_equal(ehlo_xtext_encode((ehlo_span){&one, 1}, text, sizeof text, &length), EHLO_OK);
    assert_int_equal(length, octet >= 33 && octet <= 126 && octet != '+' && octet != '=' ? 1 : 3);
    assert_int_equal(ehlo_xtext_decode((ehlo_span){text, length}, back, sizeof back, &back_length), EHLO_OK);
    assert_int_equal(back_length, 1);
    assert_int_equal((unsigned char)back[0], octet);

    /* As it is, and as either digit of a pair. */
    ehlo_span alone = guard_copy(0, (ehlo_span){&one, 1});
    int plain = octet >= 33 && octet <= 126 && octet != '+' && octet != '=';
    CHECK("P-AUTH-33", alone, (ehlo_xtext_decode(alone, back, sizeof back, &back_length) == EHLO_OK) == plain);
    int digit = (octet >= '0' && octet <= '9') || (octet >= 'A' && octet <= 'F');
    char high[] = {'+', one, '0'};
    char low[] = {'+', '0', one};
    ehlo_span pair = guard_copy(0, (ehlo_span){high, 3});
    CHECK("P-AUTH-33", pair, (ehlo_xtext_decode(pair, back, sizeof back, &back_length) == EHLO_OK) == digit);
    pair = guard_copy(0, (ehlo_span){low, 3});
    CHECK("P-AUTH-33", pair, (ehlo_xtext_decode(pair, back, sizeof back, &back_length) == EHLO_OK) == digit);
  }
}

static void malformed_text_is_refused(void **state)
{
  (void)state;
  static const ehlo_span wrong[] = {TEXT("+"),   TEXT("a+"),  TEXT("+2"),   TEXT("a+2"),  TEXT("+2b"),
                                    TEXT("+b2"), TEXT("+2G"), TEXT("++2B"), TEXT("="),    TEXT("a=b"),
                                    TEXT(" "),   TEXT("a b"), TEXT("\0"),   TEXT("\x7F"), TEXT("\xC3\xA9"),
                                    TEXT("\r"),  TEXT("+ 0"), TEXT("=41"),  TEXT(" 41"),  TEXT("a=41")};
  for (size_t i = 0; i < ROWS(wrong); i++) {
    ehlo_span text = guard_copy(0, wrong[i]);
    check_refused("P-AUTH-33", text, decode, &text, EHLO_ERR_SYNTAX);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_encoded_and_decoded),
      cmocka_unit_test(needless_encoding_is_decoded),
      cmocka_unit_test(each_octet_survives),
      cmocka_unit_test(malformed_text_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
