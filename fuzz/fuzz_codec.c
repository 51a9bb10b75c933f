/* fuzz_codec.c: base64, xtext and UTF-8. The input is octets to encode, and text to decode.
 *
 * Held to: what is encoded decodes to what it was, in exactly the room that was told; base64 that decodes is what
 * encoding would give; UTF-8 is judged as a decoder by values judges it.
 */
#include "fuzz_grammar.h"

typedef int codec(ehlo_span input, char *buffer, size_t size, size_t *length);

/* Runs a codec twice: to learn the size, and into a block of exactly that. Returns its result. */
static int run(codec *function, ehlo_span input, ehlo_span *output)
{
  size_t needed;
  size_t length;
  char *none = block_of(0);
  int result = function(input, none, 0, &needed);
  free(none);
  REQUIRE(result == EHLO_OK || result == EHLO_ERR_BUFFER || result == EHLO_ERR_SYNTAX);
  REQUIRE(result == EHLO_ERR_BUFFER ? needed > 0 : needed == 0);
  char *buffer = block_of(needed);
  output->ptr = buffer;
  output->len = needed;
  if (result == EHLO_ERR_SYNTAX) {
    return result;
  }
  REQUIRE(function(input, buffer, needed, &length) == EHLO_OK && length == needed);
  if (needed > 0) {
    char *smaller = block_of(needed - 1);
    REQUIRE(function(input, smaller, needed - 1, &length) == EHLO_ERR_BUFFER && length == needed);
    free(smaller);
  }
  return EHLO_OK;
}

static void check_codec(codec *encode, codec *decode, ehlo_span input, int one_text_only)
{
  ehlo_span text;
  ehlo_span octets;
  REQUIRE(run(encode, input, &text) == EHLO_OK);
  REQUIRE(run(decode, text, &octets) == EHLO_OK);
  REQUIRE(ehlo_span_equal(octets, input));
  release(text);
  release(octets);

  if (run(decode, input, &octets) == EHLO_OK) {
    ehlo_span again;
    REQUIRE(octets.len <= input.len);
    REQUIRE(run(encode, octets, &text) == EHLO_OK);
    REQUIRE(!one_text_only || ehlo_span_equal(text, input));
    REQUIRE(text.len <= input.len || one_text_only);
    REQUIRE(run(decode, text, &again) == EHLO_OK && ehlo_span_equal(again, octets));
    release(again);
    release(text);
  }
  release(octets);
}

static size_t simple_utf8(ehlo_span text)
{
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const unsigned char *octets = (const unsigned char *)text.ptr;
  size_t at = 0;
  while (at < text.len) {
    unsigned char first = octets[at];
    size_t length = first < 0x80             ? 1
                    : (first & 0xE0) == 0xC0 ? 2
                    : (first & 0xF0) == 0xE0 ? 3
                    : (first & 0xF8) == 0xF0 ? 4
                                             : 0;
    if (length == 0 || length > text.len - at) {
      break;
    }
    uint32_t value = length == 1 ? first : first & (0x7FU >> length);
    size_t i = 1;
    while (i < length && (octets[at + i] & 0xC0) == 0x80) {
      value = value << 6 | (octets[at + i] & 0x3FU);
      i++;
    }
    if (i < length || value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      break;
    }
    at += length;
  }
  return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  ehlo_span input = copy_of(data, size);
  check_codec(ehlo_base64_encode, ehlo_base64_decode, input, 1);
  check_codec(ehlo_xtext_encode, ehlo_xtext_decode, input, 0);
  REQUIRE(ehlo_utf8_valid(input) == simple_utf8(input));
  release(input);
  return 0;
}
