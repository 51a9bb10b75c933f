/* test_base64.c: base64. */
#include "check.h"

static int encode(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_base64_encode(*(const ehlo_span *)input, buffer, size, length);
}

static int decode(const void *input, char *buffer, size_t size, size_t *length)
{
  return ehlo_base64_decode(*(const ehlo_span *)input, buffer, size, length);
}

static void octets_are_encoded_and_decoded(void **state)
{
  (void)state;
  static const struct {
    ehlo_span octets;
    ehlo_span text;
  } rows[] = {
      /* RFC 4648 10 */
      {TEXT(""), TEXT("")},
      {TEXT("f"), TEXT("Zg==")},
      {TEXT("fo"), TEXT("Zm8=")},
      {TEXT("foo"), TEXT("Zm9v")},
      {TEXT("foob"), TEXT("Zm9vYg==")},
      {TEXT("fooba"), TEXT("Zm9vYmE=")},
      {TEXT("foobar"), TEXT("Zm9vYmFy")},
      /* RFC 4616 4, and every character of the alphabet */
      {TEXT("\0tim\0tanstaaftanstaaf"), TEXT("AHRpbQB0YW5zdGFhZnRhbnN0YWFm")},
      {TEXT("\x00\x10\x83\x10\x51\x87\x20\x92\x8B\x30\xD3\x8F\x41\x14\x93\x51\x55\x97\x61\x96\x9B\x71\xD7\x9F"
            "\x82\x18\xA3\x92\x59\xA7\xA2\x9A\xAB\xB2\xDB\xAF\xC3\x1C\xB3\xD3\x5D\xB7\xE3\x9E\xBB\xF3\xDF\xBF"),
       TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")},
      {TEXT("\xFF\xFF\xFF"), TEXT("////")},
      {TEXT("\xFF\xFF"), TEXT("//8=")},
      {TEXT("\xFF"), TEXT("/w==")},
  };
  for (size_t i = 0; i < ROWS(rows); i++) {
    ehlo_span octets = guard_copy(0, rows[i].octets);
    ehlo_span text = guard_copy(1, rows[i].text);
    check_format("P-AUTH-09", octets, encode, &octets, rows[i].text);
    check_format("P-AUTH-09", text, decode, &text, rows[i].octets);
  }
}

static void malformed_text_is_refused(void **state)
{
  (void)state;
  static const ehlo_span wrong[] = {
      TEXT("Z"),          TEXT("Zg"),   TEXT("Zm8"),  TEXT("Zg="),   TEXT("="),        TEXT("=="),
      TEXT("==="),        TEXT("===="), TEXT("Z==="), TEXT("Zg==="), TEXT("Zg==Zg=="), TEXT("Zm8=Zm9v"),
      TEXT("Z=g="),       TEXT("Z=9v"), TEXT("=m9v"), TEXT("Zm=v"),  TEXT("Zm9v\r\n"), TEXT("Zm9v\r\n=="),
      TEXT(" Zm9"),       TEXT("Zm 9"), TEXT("Zm9 "), TEXT("Zm-_"),  TEXT("Zm9\0"),    TEXT("Zm9\xFF"),
      TEXT("Zh=="),       TEXT("Z/=="), TEXT("Zm9="), TEXT("Zm/="), /* unused bits that are not zero */
      TEXT("Zm9vZm9vZg"),
  };
  for (size_t i = 0; i < ROWS(wrong); i++) {
    ehlo_span text = guard_copy(0, wrong[i]);
    check_refused("P-AUTH-09", text, decode, &text, EHLO_ERR_SYNTAX);
  }
}

/* Every octet at every place of a group: what decodes is what would be encoded, so there is one text for each string.
 */
static void each_character_stands_where_it_may(void **state)
{
  (void)state;
  static const char *const groups[] = {"Zm9v", "Zm8=", "Zg==", "Zm9vZm9v", "Zm9vZg=="};
  for (size_t group = 0; group < ROWS(groups); group++) {
    for (size_t at = 0; at < strlen(groups[group]); at++) {
      for (unsigned octet = 0; octet < 256; octet++) {
        char text[8];
        char octets[8];
        char again[8];
        size_t length;
        memcpy(text, groups[group], strlen(groups[group]));
        text[at] = (char)octet;
        ehlo_span input = guard_copy(0, (ehlo_span){text, strlen(groups[group])});
        if (ehlo_base64_decode(input, octets, sizeof octets, &length) != EHLO_OK) {
          CHECK("P-AUTH-09", input, length == 0);
          continue;
        }
        CHECK("P-AUTH-09", input,
              ehlo_base64_encode((ehlo_span){octets, length}, again, sizeof again, &length) == EHLO_OK);
        CHECK("P-AUTH-09", input, ehlo_span_equal((ehlo_span){again, length}, input));
      }
    }
  }
}

/* All lengths of one to a hundred octets, there and back. */
static void octets_survive_the_round_trip(void **state)
{
  (void)state;
  uint32_t number = 1;
  for (size_t size = 0; size <= 100; size++) {
    char octets[100];
    char text[136];
    char back[100];
    size_t length;
    for (size_t i = 0; i < size; i++) {
      number = number * 1103515245 + 12345;
      octets[i] = (char)(number >> 16);
    }
    ehlo_span input = guard_copy(0, (ehlo_span){octets, size});
    assert_int_equal(ehlo_base64_encode(input, text, sizeof text, &length), EHLO_OK);
    assert_int_equal(length, (size + 2) / 3 * 4);
    assert_int_equal(ehlo_base64_decode(guard_copy(1, (ehlo_span){text, length}), back, size, &length), EHLO_OK);
    assert_int_equal(length, size);
    assert_memory_equal(back, octets, size);
  }
}

/* A decoder may write over what it reads: it never gets ahead of itself. */
static void text_is_decoded_in_place(void **state)
{
  (void)state;
  char text[] = {'Z', 'm', '9', 'v', 'Y', 'm', 'F', 'y'};
  size_t length;
  assert_int_equal(ehlo_base64_decode((ehlo_span){text, sizeof text}, text, sizeof text, &length), EHLO_OK);
  assert_int_equal(length, 6);
  assert_memory_equal(text, "foobar", 6);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(octets_are_encoded_and_decoded),     cmocka_unit_test(malformed_text_is_refused),
      cmocka_unit_test(each_character_stands_where_it_may), cmocka_unit_test(octets_survive_the_round_trip),
      cmocka_unit_test(text_is_decoded_in_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
