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
#define PARAMETER(id, first, keyword, extension, on, value) {keyword, sizeof keyword - 1},
#include "parameters.def"
#undef PARAMETER
};

/* Where a keyword's number lies in the table below: told by its first letter, in either case, and its length. The
 * factor gives each row a slot of its own; compilers warn where two fall into one. */
#define SLOTS               64
#define SLOT(first, length) ((((unsigned)(first)&31) + 7 * (unsigned)(length)) % SLOTS)

static const uint8_t slots[SLOTS] = {
#define PARAMETER(id, first, keyword, extension, on, value) [SLOT(first, sizeof keyword - 1)] = EHLO_PARAMETER_##id,
#include "parameters.def"
#undef PARAMETER
};

/* The parameter that a keyword spells; it is not empty. Case is one bit, and letters, digits and hyphens that differ in
 * that bit alone are the same letter. */
static uint32_t find_keyword(const unsigned char *text, size_t length)
{
  uint32_t id = slots[SLOT(text[0], length)];
  if (keywords[id].length != length) {
    return EHLO_PARAMETER_UNKNOWN;
  }
  for (size_t i = 0; i < length; i++) {
    if ((text[i] | 0x20) != (keywords[id].text[i] | 0x20)) {
      return EHLO_PARAMETER_UNKNOWN;
    }
  }
  return id;
}

/* Most keywords have less than eight letters and a value. Such a one is found, by all its letters together, in the
 * eight octets that it begins; its length is set then. Octets that differ from one of those letters in the bit for case
 * alone are the same letter. */
static uint32_t find_short_keyword(const unsigned char *text, size_t *length)
{
  word octets = load_word(text);
  word other = octets ^ EVERY('=');
  word equals = (other - EVERY(1)) & ~other & EVERY(0x80); /* borrows come from "=" alone: the lowest bit is right */
  if (equals == 0) {
    return EHLO_PARAMETER_UNKNOWN;
  }
  *length = lowest_bit(equals) / 8;
  octets &= (((word)1 << 8 * *length) - 1) & EVERY(0xDF);
  uint32_t id = slots[SLOT(octets & 31, *length)];
  return load_word((const unsigned char *)keywords[id].text) == octets ? id : EHLO_PARAMETER_UNKNOWN;
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
  size_t length = 0;
  uint32_t id = end - begin >= WORD_OCTETS ? find_short_keyword(begin, &length) : EHLO_PARAMETER_UNKNOWN;
  if (id == EHLO_PARAMETER_UNKNOWN) {
    length = (size_t)(skip_octets(begin, end, CLASS_LDH) - begin);
    if (length == 0 || *begin == '-') {
      return refuse(rest, begin, end, parameter);
    }
    id = find_keyword(begin, length);
  }
  const unsigned char *at = begin + length;
  parameter->keyword = span_of(begin, length);
  parameter->id = id;
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
