/* utf8.c: well-formed UTF-8. Floor: grammar.
 *
 * One character at a time, by the table of RFC 3629 4: the first octet tells the length and the range of the second,
 * all others are 80 to BF. So surrogates, overlong forms and what lies above U+10FFFF cannot come up.
 */
#include "utf8.h"

/* UTF8-2 = %xC2-DF UTF8-tail
 * UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) / %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 * UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail )
 * UTF8-tail = %x80-BF                                                                              (RFC 3629 4) */
size_t ehlo_utf8_sequence(const unsigned char *at, const unsigned char *end)
{
  unsigned char first = at[0];
  size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (first < 0xC2 || first > 0xF4 || (size_t)(end - at) < length) {
    return 0;
  }
  unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (at[1] < low || at[1] > high) {
    return 0;
  }
  for (size_t i = 2; i < length; i++) {
    if ((at[i] & 0xC0) != 0x80) {
      return 0;
    }
  }
  return length;
}

const unsigned char *ehlo_skip_utf8(const unsigned char *at, const unsigned char *end, unsigned classes, uint32_t *seen)
{
  while (at != end && *at > 127) {
    size_t length = ehlo_utf8_sequence(at, end);
    if (length == 0) {
      break;
    }
    *seen = 1;
    at = skip_octets(at + length, end, classes);
  }
  return at;
}

/* UTF8-octets = *( UTF8-char )    UTF8-char = UTF8-1 / UTF8-2 / UTF8-3 / UTF8-4    UTF8-1 = %x00-7F    (RFC 3629 4) */
size_t ehlo_utf8_valid(ehlo_span text)
{
  const unsigned char *begin = span_begin(text);
  const unsigned char *end = span_end(text);
  const unsigned char *at = begin;
  while (at < end) {
    size_t length = *at < 0x80 ? 1 : ehlo_utf8_sequence(at, end);
    if (length == 0) {
      break;
    }
    at += length;
  }
  return (size_t)(at - begin);
}
