/* base64.c: base64, strictly. Floor: grammar.
 *
 * Encoders differ in nothing, decoders in what they let pass; this one lets nothing pass: each octets string has
 * exactly one text that decodes to it (RFC 4648 3.3 and 3.5; RFC 4954 4 demands the same).
 */
#include "../bytes/buffer.h"
#include "../bytes/span.h"
#include "ehlo/grammar.h"

static const char alphabet[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* What a character of the alphabet stands for; 64 for others. */
static unsigned sextet(unsigned char character)
{
  if (octet_is(character, CLASS_ALPHA)) {
    return character < 'a' ? character - 'A' + 0U : character - 'a' + 26U;
  }
  if (octet_is(character, CLASS_DIGIT)) {
    return character - '0' + 52U;
  }
  return character == '+' ? 62 : character == '/' ? 63 : 64;
}

/* base64 = base64-terminal / ( 1*(4base64-char) [base64-terminal] )    base64-char = ALPHA / DIGIT / "+" / "/"
 * base64-terminal = (2base64-char "==") / (3base64-char "=")                                    (RFC 4954 8) */
int ehlo_base64_encode(ehlo_span octets, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  struct writer writer = writer_on(buffer, size);
  const unsigned char *at = span_begin(octets);
  for (size_t left = octets.len; left > 0;) {
    unsigned second = left > 1 ? at[1] : 0;
    unsigned third = left > 2 ? at[2] : 0;
    unsigned group = (unsigned)at[0] << 16 | second << 8 | third;
    write_octet(&writer, alphabet[group >> 18]);
    write_octet(&writer, alphabet[group >> 12 & 63]);
    write_octet(&writer, left > 1 ? alphabet[group >> 6 & 63] : '=');
    write_octet(&writer, left > 2 ? alphabet[group & 63] : '=');
    if (left <= 3) {
      break;
    }
    at += 3;
    left -= 3;
  }
  return writer_end(&writer, length);
}

int ehlo_base64_decode(ehlo_span text, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if (text.len % 4 != 0) {
    return EHLO_ERR_SYNTAX;
  }
  struct writer writer = writer_on(buffer, size);
  const unsigned char *at = span_begin(text);
  for (size_t left = text.len; left > 0; left -= 4, at += 4) {
    unsigned padding = left > 4 || at[3] != '=' ? 0U : at[2] != '=' ? 1U : 2U;
    unsigned third = padding > 1 ? 0 : sextet(at[2]);
    unsigned fourth = padding > 0 ? 0 : sextet(at[3]);
    unsigned group = sextet(at[0]) << 18 | sextet(at[1]) << 12 | third << 6 | fourth;
    if (sextet(at[0]) > 63 || sextet(at[1]) > 63 || third > 63 || fourth > 63) {
      return EHLO_ERR_SYNTAX;
    }
    /* RFC 4648 3.5: bits of the last character that no octet needs must be zero. */
    if ((padding == 1 && (group & 0xFF) != 0) || (padding == 2 && (group & 0xFFFF) != 0)) {
      return EHLO_ERR_SYNTAX;
    }
    write_octet(&writer, (char)(group >> 16));
    if (padding < 2) {
      write_octet(&writer, (char)(group >> 8 & 255));
    }
    if (padding < 1) {
      write_octet(&writer, (char)(group & 255));
    }
  }
  return writer_end(&writer, length);
}
