/* attribute.c: the attributes of XCLIENT and XFORWARD. Floor: grammar. */
#include "../bytes/span.h"
#include "ehlo/grammar.h"

static int no_attribute(int result, ehlo_attribute *attribute)
{
  static const ehlo_attribute none;
  if (attribute != NULL) {
    *attribute = none;
  }
  return result;
}

/* Behind the xtext at the front of [at, end): whole hexchars only (RFC 3461 4). */
static const unsigned char *skip_xtext(const unsigned char *at, const unsigned char *end)
{
  char octet;
  size_t length;
  while (at < end) {
    if (octet_is(*at, CLASS_XCHAR)) {
      at++;
    } else if (end - at >= 3 && ehlo_xtext_decode(span_of(at, 3), &octet, 1, &length) == EHLO_OK) {
      at += 3;
    } else {
      break;
    }
  }
  return at;
}

/* xclient-command  = XCLIENT 1*( SP attribute-name"="attribute-value )     (Postfix, XCLIENT_README; XFORWARD the same)
 * attribute-value  = xtext ; or "[UNAVAILABLE]", "[TEMPUNAVAIL]", which are xtext too */
int ehlo_attribute_next(ehlo_span *rest, ehlo_attribute *attribute)
{
  if (rest == NULL || attribute == NULL) {
    return no_attribute(EHLO_ERR_ARGUMENT, attribute);
  }
  if (rest->len == 0) {
    return no_attribute(0, attribute);
  }
  const unsigned char *begin = span_begin(*rest);
  const unsigned char *end = span_end(*rest);
  const unsigned char *name_end = begin;
  while (name_end < end && (octet_is(*name_end, CLASS_LDH) || *name_end == '_')) {
    name_end++;
  }
  const unsigned char *value = name_end < end && *name_end == '=' ? name_end + 1 : end;
  const unsigned char *at = skip_xtext(value, end);
  int followed = at < end && *at == ' ' && end - at > 1;
  if (name_end == begin || at == value || (at < end && !followed)) {
    return no_attribute(EHLO_ERR_SYNTAX, attribute);
  }
  attribute->name = span_between(begin, name_end);
  attribute->value = span_between(value, at);
  *rest = span_between(at + followed, end);
  return 1;
}
