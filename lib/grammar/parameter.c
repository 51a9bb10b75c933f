/* parameter.c: the parameters of MAIL and RCPT. Floor: grammar. */
#include "../bytes/span.h"
#include "ehlo/grammar.h"
#include "table.h"
#include "utf8.h"

#include <string.h>

static int no_parameter(int result, ehlo_parameter *parameter)
{
  static const ehlo_parameter none;
  if (parameter != NULL) {
    *parameter = none;
  }
  return result;
}

/* Behind the octets of CLASS_VALUE at the front of [at, end), a word at a time: values make up half of a command. */
static const unsigned char *skip_value(const unsigned char *at, const unsigned char *end)
{
  const size_t each = SIZE_MAX / 255; /* 01 01 ... 01 */
  for (size_t words = (size_t)(end - at) / sizeof each; words > 0; words--, at += sizeof each) {
    size_t word;
    memcpy(&word, at, sizeof word);
    /* The high bit of an octet tells of one below 33, of "=", of DEL, of one above 127. Borrows and carries into an octet
     * come from such ones alone, so no high bit at all means that all are good. */
    if ((((word - '!' * each) | ((word ^ '=' * each) - each) | (word + each) | word) & 128 * each) != 0) {
      break;
    }
  }
  return skip_octets(at, end, CLASS_VALUE);
}

/* Mail-parameters = esmtp-param *(SP esmtp-param)              (RFC 5321 4.1.2; Rcpt-parameters are the same)
 * esmtp-param     = esmtp-keyword ["=" esmtp-value]
 * esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 * esmtp-value     = 1*(%d33-60 / %d62-126)
 * esmtp-value     =/ UTF8-non-ascii                           (RFC 6531 3.3) */
static int next_parameter(ehlo_span *rest, uint32_t flags, ehlo_parameter *parameter)
{
  const unsigned char *begin = span_begin(*rest);
  const unsigned char *end = begin + rest->len;
  const unsigned char *at = begin;
  if (!octet_is(*at, CLASS_ALPHA | CLASS_DIGIT)) {
    return no_parameter(EHLO_ERR_SYNTAX, parameter);
  }
  at = skip_octets(at + 1, end, CLASS_LDH);
  parameter->keyword = span_between(begin, at);
  parameter->has_value = at < end && *at == '=';
  parameter->value = span_of(NULL, 0);
  if (parameter->has_value) {
    const unsigned char *value = ++at;
    at = skip_value(at, end);
    if (at != end && *at > 127) {
      uint32_t seen = 0;
      at = skip_text(at, end, CLASS_VALUE, flags, &seen);
    }
    parameter->value = span_between(value, at);
  }
  if ((at < end && *at != ' ') || (parameter->has_value && parameter->value.len == 0)) {
    *rest = span_between(at, end);
    return no_parameter(EHLO_ERR_SYNTAX, parameter);
  }
  parameter->raw = span_between(begin, at);
  /* A space with nothing behind it stays, for the next call to refuse. */
  at += end - at > 1;
  *rest = span_between(at, end);
  parameter->id = ehlo_parameter_find(parameter->keyword);
  return 1;
}

int ehlo_parameter_next(ehlo_span *rest, uint32_t flags, ehlo_parameter *parameter)
{
  if (rest == NULL || parameter == NULL) {
    return no_parameter(EHLO_ERR_ARGUMENT, parameter);
  }
  return rest->len == 0 ? no_parameter(0, parameter) : next_parameter(rest, flags, parameter);
}

/* size-value = 1*20DIGIT (RFC 1870 3), and the like. */
int ehlo_parse_number(ehlo_span text, size_t max_digits, uint64_t *number)
{
  if (number == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *number = 0;
  if (text.len == 0 || text.len > max_digits || !span_is(text, CLASS_DIGIT)) {
    return EHLO_ERR_SYNTAX;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < text.len; i++) {
    uint64_t digit = (uint64_t)(text.ptr[i] - '0');
    if (value > UINT64_MAX / 10 || value * 10 > UINT64_MAX - digit) {
      *number = UINT64_MAX;
      return EHLO_OK;
    }
    value = value * 10 + digit;
  }
  *number = value;
  return EHLO_OK;
}
