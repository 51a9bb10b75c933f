/* parameter.c: the parameters of MAIL and RCPT. Floor: grammar. */
#include "../bytes/span.h"
#include "ehlo/grammar.h"
#include "table.h"
#include "utf8.h"

static int no_parameter(int result, ehlo_parameter *parameter)
{
  static const ehlo_parameter none;
  if (parameter != NULL) {
    *parameter = none;
  }
  return result;
}

/* Mail-parameters = esmtp-param *(SP esmtp-param)              (RFC 5321 4.1.2; Rcpt-parameters are the same)
 * esmtp-param     = esmtp-keyword ["=" esmtp-value]
 * esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 * esmtp-value     = 1*(%d33-60 / %d62-126)
 * esmtp-value     =/ UTF8-non-ascii                           (RFC 6531 3.3) */
int ehlo_parameter_next(ehlo_span *rest, uint32_t flags, ehlo_parameter *parameter)
{
  if (rest == NULL || parameter == NULL) {
    return no_parameter(EHLO_ERR_ARGUMENT, parameter);
  }
  if (rest->len == 0) {
    return no_parameter(0, parameter);
  }
  const unsigned char *begin = span_begin(*rest);
  const unsigned char *end = span_end(*rest);
  if (!octet_is(*begin, CLASS_ALPHA | CLASS_DIGIT)) {
    return no_parameter(EHLO_ERR_SYNTAX, parameter);
  }
  const unsigned char *keyword_end = skip_octets(begin + 1, end, CLASS_LDH);
  const unsigned char *at = keyword_end;
  ehlo_span value = {NULL, 0};
  if (at < end && *at == '=') {
    uint32_t seen = 0;
    at = skip_text(keyword_end + 1, end, CLASS_VALUE, flags, &seen);
    value = span_between(keyword_end + 1, at);
  }
  if ((at < end && *at != ' ') || at == keyword_end + 1) {
    *rest = span_between(at, end);
    return no_parameter(EHLO_ERR_SYNTAX, parameter);
  }
  parameter->keyword = span_between(begin, keyword_end);
  parameter->id = ehlo_parameter_find(parameter->keyword);
  parameter->has_value = value.len > 0;
  parameter->raw = span_between(begin, at);
  parameter->value = value;
  /* A space with nothing behind it stays, for the next call to refuse. */
  *rest = span_between(end - at > 1 ? at + 1 : at, end);
  return 1;
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
    if (value > (UINT64_MAX - digit) / 10) {
      value = UINT64_MAX;
      break;
    }
    value = value * 10 + digit;
  }
  *number = value;
  return EHLO_OK;
}
