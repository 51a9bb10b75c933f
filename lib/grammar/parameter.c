/* parameter.c: the parameters of MAIL and RCPT, and numbers. Floor: grammar. */
#include "../bytes/span.h"
#include "../bytes/word.h"
#include "ehlo/grammar.h"
#include "table.h"
#include "utf8.h"

#ifdef __GNUC__
#define OUT_OF_LINE __attribute__((noinline))
#else
#define OUT_OF_LINE
#endif

/* ---- keywords ---- */

/* Those of parameters.def, side by side, by their numbers; number 0 is none. */
static const struct keyword {
  char text[15];
  uint8_t length;
} keywords[EHLO_PARAMETER_COUNT] = {
    {"", 0},
#define PARAMETER(id, keyword, extension, on, value) {keyword, sizeof keyword - 1},
#include "parameters.def"
#undef PARAMETER
};

/* Their lengths, a bit for each. */
enum {
  KEYWORD_LENGTHS = 0
#define PARAMETER(id, keyword, extension, on, value) | 1 << (sizeof keyword - 1)
#include "parameters.def"
#undef PARAMETER
};

/* The parameter that a keyword spells. Case is one bit, and letters, digits and hyphens that differ in that bit alone
 * are the same letter. */
static uint32_t find_keyword(const unsigned char *text, size_t length)
{
  if (length > sizeof keywords->text || (1U << length & KEYWORD_LENGTHS) == 0) {
    return EHLO_PARAMETER_UNKNOWN;
  }
  for (uint32_t id = 1; id < EHLO_PARAMETER_COUNT; id++) {
    if (keywords[id].length != length) {
      continue;
    }
    size_t same = 0;
    while (same < length && (text[same] | 0x20) == (keywords[id].text[same] | 0x20)) {
      same++;
    }
    if (same == length) {
      return id;
    }
  }
  return EHLO_PARAMETER_UNKNOWN;
}

/* ---- lists ---- */

static int no_parameter(int result, ehlo_parameter *parameter)
{
  static const ehlo_parameter none;
  if (parameter != NULL) {
    *parameter = none;
  }
  return result;
}

/* Behind the octets of CLASS_VALUE at the front of [at, end). Values make up half of a command, so eight octets are
 * looked at together. */
static const unsigned char *skip_value(const unsigned char *at, const unsigned char *end)
{
  for (; end - at >= 8; at += 8) {
    word octets = load_word(at);
    /* The high bit tells of an octet below 33, of "=", or of one above 126. Borrows and carries come from such octets
     * alone, so the lowest high bit is right. */
    word wrong = ((octets - EVERY('!')) | ((octets ^ EVERY('=')) - EVERY(1)) | (octets + EVERY(1))) & EVERY(0x80);
    if (wrong != 0) {
      return at + lowest_bit(wrong) / 8;
    }
  }
  return skip_octets(at, end, CLASS_VALUE);
}

/* Refuses what stands at `at`. */
static OUT_OF_LINE int refuse(ehlo_span *rest, const unsigned char *at, const unsigned char *end,
                              ehlo_parameter *parameter)
{
  *rest = span_between(at, end);
  return no_parameter(EHLO_ERR_SYNTAX, parameter);
}

/* Mail-parameters = esmtp-param *(SP esmtp-param)              (RFC 5321 4.1.2; Rcpt-parameters are the same)
 * esmtp-param     = esmtp-keyword ["=" esmtp-value]
 * esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 * esmtp-value     = 1*(%d33-60 / %d62-126)
 * esmtp-value     =/ UTF8-non-ascii                           (RFC 6531 3.3)
 * Of a list that is not empty. Out of line, so that the call that finds the end of one costs next to nothing. */
static OUT_OF_LINE int take_parameter(ehlo_span *rest, uint32_t flags, ehlo_parameter *parameter)
{
  const unsigned char *begin = span_begin(*rest);
  const unsigned char *end = begin + rest->len;
  const unsigned char *at = skip_octets(begin, end, CLASS_LDH);
  if (at == begin || *begin == '-') {
    return refuse(rest, begin, end, parameter);
  }
  parameter->keyword = span_between(begin, at);
  parameter->id = find_keyword(begin, parameter->keyword.len);
  parameter->has_value = 0;
  parameter->value = span_of(NULL, 0);
  if (at != end && *at == '=') {
    const unsigned char *value = at + 1;
    at = skip_value(value, end);
    if (at != end && *at > 127 && (flags & EHLO_PARSE_UTF8) != 0) {
      uint32_t seen = 0;
      at = ehlo_skip_utf8(at, end, CLASS_VALUE, &seen);
    }
    if (at == value) {
      return refuse(rest, at, end, parameter);
    }
    parameter->has_value = 1;
    parameter->value = span_between(value, at);
  }
  parameter->raw = span_between(begin, at);
  if (at != end) {
    if (*at != ' ') {
      return refuse(rest, at, end, parameter);
    }
    at += end - at > 1; /* a space with nothing behind it stays, for the next call to refuse */
  }
  *rest = span_between(at, end);
  return 1;
}

int ehlo_parameter_next(ehlo_span *rest, uint32_t flags, ehlo_parameter *parameter)
{
  if (rest == NULL || parameter == NULL) {
    return no_parameter(EHLO_ERR_ARGUMENT, parameter);
  }
  return rest->len == 0 ? no_parameter(0, parameter) : take_parameter(rest, flags, parameter);
}

/* ---- numbers ---- */

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
