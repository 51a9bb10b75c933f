/* xtext.c: xtext, the quoting of parameter values. Floor: grammar. */
#include "../bytes/buffer.h"
#include "../bytes/span.h"
#include "ehlo/grammar.h"

static const char digits[17] = "0123456789ABCDEF";

/* What an upper-case hexadecimal digit stands for; 16 for others. */
static unsigned hexadecimal(unsigned char digit)
{
  if (octet_is(digit, CLASS_DIGIT)) {
    return digit - '0' + 0U;
  }
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10U : 16;
}

/* xtext = *( xchar / hexchar )    xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and
 * "=" hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits                    (RFC 3461 4) */
int ehlo_xtext_encode(ehlo_span octets, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  struct writer writer = writer_on(buffer, size);
  for (size_t i = 0; i < octets.len; i++) {
    unsigned char octet = (unsigned char)octets.ptr[i];
    if (octet_is(octet, CLASS_XCHAR)) {
      write_octet(&writer, (char)octet);
    } else {
      write_octet(&writer, '+');
      write_octet(&writer, digits[octet >> 4]);
      write_octet(&writer, digits[octet & 15]);
    }
  }
  return writer_end(&writer, length);
}

int ehlo_xtext_decode(ehlo_span text, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  struct writer writer = writer_on(buffer, size);
  const unsigned char *end = span_end(text);
  for (const unsigned char *at = span_begin(text); at < end; at++) {
    if (octet_is(*at, CLASS_XCHAR)) {
      write_octet(&writer, (char)*at);
      continue;
    }
    if (*at != '+' || end - at < 3) {
      return EHLO_ERR_SYNTAX;
    }
    unsigned high = hexadecimal(at[1]);
    unsigned low = hexadecimal(at[2]);
    if (high > 15 || low > 15) {
      return EHLO_ERR_SYNTAX;
    }
    write_octet(&writer, (char)(high << 4 | low));
    at += 2;
  }
  return writer_end(&writer, length);
}
