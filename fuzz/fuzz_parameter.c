/* fuzz_parameter.c: parameter lists and numbers against a plainer reading.
 *
 * The input: one octet, of which bit 0 is EHLO_PARSE_UTF8 and the rest the most digits of a number; then the text.
 *
 * Held to: a list is taken if each piece between two spaces is a parameter, and up to the first piece that is none;
 * joined by spaces the pieces are the list; a number is what adding up its digits gives.
 */
#include "fuzz_grammar.h"

static int simple_parameter(ehlo_span text, uint32_t flags)
{
  const char *equals = text.len == 0 ? NULL : memchr(text.ptr, '=', text.len);
  size_t keyword = equals == NULL ? text.len : (size_t)(equals - text.ptr);
  if (keyword == 0 || text.ptr[0] == '-' || keyword + 1 == text.len) {
    return equals == NULL && text.len == 1 && is_letter_or_digit(text.ptr[0]);
  }
  for (size_t i = 0; i < text.len; i++) {
    unsigned char octet = (unsigned char)text.ptr[i];
    if (i < keyword ? !is_letter_or_digit(octet) && octet != '-'
                    : octet < 33 || octet == 127 || (octet == '=' && i > keyword) ||
                          (octet > 127 && (flags & EHLO_PARSE_UTF8) == 0)) {
      return 0;
    }
  }
  return ehlo_utf8_valid(text) == text.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1) {
    return 0;
  }
  uint32_t flags = data[0] & EHLO_PARSE_UTF8;
  size_t max_digits = data[0] >> 1;
  ehlo_span text = copy_of(data + 1, size - 1);

  ehlo_span rest = text;
  size_t at = 0; /* where the next piece begins; text.len + 1 behind the last */
  if (text.len == 0) {
    at = 1;
  }
  for (;;) {
    ehlo_parameter parameter;
    memset(&parameter, 0xAA, sizeof parameter);
    int result = ehlo_parameter_next(&rest, flags, &parameter);
    REQUIRE(lies_inside(rest, text));
    if (at == text.len + 1) {
      REQUIRE(result == 0 && rest.len == 0 && is_zero(&parameter, sizeof parameter));
      break;
    }
    size_t end = at;
    while (end < text.len && text.ptr[end] != ' ') {
      end++;
    }
    ehlo_span piece = part_of(text, at, end);
    if (!simple_parameter(piece, flags)) {
      REQUIRE(result == EHLO_ERR_SYNTAX && is_zero(&parameter, sizeof parameter));
      size_t trouble = text.len - rest.len;
      /* A space with nothing behind it is the trouble itself. */
      REQUIRE((trouble >= at && trouble <= end) || (at == text.len && trouble == at - 1));
      break;
    }
    REQUIRE(result == 1);
    REQUIRE(parameter.raw.ptr == piece.ptr && parameter.raw.len == piece.len);
    REQUIRE(parameter.keyword.ptr == piece.ptr && lies_inside(parameter.value, piece));
    REQUIRE(parameter.keyword.len + parameter.has_value + parameter.value.len == piece.len);
    REQUIRE(parameter.has_value == (memchr(piece.ptr, '=', piece.len) != NULL));
    REQUIRE(parameter.id < EHLO_PARAMETER_COUNT);
    at = end + 1;
  }

  uint64_t number = 1;
  int good = text.len > 0 && text.len <= max_digits;
  uint64_t sum = 0;
  for (size_t i = 0; i < text.len; i++) {
    unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
    good = good && digit < 10;
    if (good) {
      sum = __builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, digit, &sum) ? UINT64_MAX : sum;
    }
  }
  REQUIRE(ehlo_parse_number(text, max_digits, &number) == (good ? EHLO_OK : EHLO_ERR_SYNTAX));
  REQUIRE(number == (good ? sum : 0));
  release(text);
  return 0;
}
