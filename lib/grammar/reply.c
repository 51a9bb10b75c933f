/* reply.c: lines of replies and enhanced status codes, read and written. Floor: grammar. */
#include "reply.h"
#include "../bytes/scan.h"
#include "../bytes/span.h"
#include "utf8.h"

#include <string.h>

static int no_reply_line(int result, ehlo_reply_line *reply)
{
  static const ehlo_reply_line none;
  if (reply != NULL) {
    *reply = none;
  }
  return result;
}

/* Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 * Reply-code = %x32-35 %x30-35 %x30-39                                                           (RFC 5321 4.2)
 * A client accepts a space with nothing behind it too (4.2.1), and in the text whatever does not break the line. */
int ehlo_parse_reply_line(ehlo_span line, ehlo_reply_line *reply)
{
  if (reply == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  unsigned seen = 0;
  int broken = ehlo_scan_line(span_begin(line), line.len, &seen) < line.len ||
               ((seen & SEEN_CONTROL) != 0 && memchr(line.ptr, '\0', line.len) != NULL);
  return !broken && reply_parse(line, reply) == EHLO_OK ? EHLO_OK : no_reply_line(EHLO_ERR_SYNTAX, reply);
}

int ehlo_reply_is_temporary(uint32_t code)
{
  return code / 100 == 4;
}

int ehlo_reply_is_permanent(uint32_t code)
{
  return code / 100 == 5;
}

/* subject = 1*3digit, without leading zeros; detail is the same (RFC 2034 4). Behind it, or NULL. There is an octet at
 * `at`. */
static inline const unsigned char *subcode(const unsigned char *at, const unsigned char *end, uint16_t *number)
{
  unsigned value = *at - (unsigned)'0';
  if (value > 9) {
    return NULL;
  }
  at++;
  for (unsigned digits = 1; at < end && octet_is(*at, CLASS_DIGIT); at++, digits++) {
    if (value == 0 || digits == 3) {
      return NULL;
    }
    value = value * 10 + *at - '0';
  }
  *number = (uint16_t)value;
  return at;
}

/* Are they three single digits, a space and text: "2.1.5 Recipient okay"? Most are. */
static inline int is_short_enhanced(const unsigned char *at, const unsigned char *end)
{
  return end - at > 6 && at[1] == '.' && at[3] == '.' && at[5] == ' ' && at[6] > ' ' &&
         (at[0] == '2' || at[0] == '4' || at[0] == '5') && octet_is(at[2], CLASS_DIGIT) && octet_is(at[4], CLASS_DIGIT);
}

/* status-code = class "." subject "." detail    class = "2" / "4" / "5"                       (RFC 2034 4, RFC 3463 2)
 */
int ehlo_parse_enhanced(ehlo_span text, ehlo_enhanced *enhanced, size_t *used)
{
  static const ehlo_enhanced none;
  if (enhanced == NULL || used == NULL) {
    if (enhanced != NULL) {
      *enhanced = none;
    }
    if (used != NULL) {
      *used = 0;
    }
    return EHLO_ERR_ARGUMENT;
  }
  *enhanced = none;
  *used = 0;
  const unsigned char *at = span_begin(text);
  const unsigned char *end = span_end(text);
  if (is_short_enhanced(at, end)) {
    enhanced->status_class = (uint16_t)(at[0] - '0');
    enhanced->subject = (uint16_t)(at[2] - '0');
    enhanced->detail = (uint16_t)(at[4] - '0');
    *used = 6;
    return EHLO_OK;
  }
  if (end - at < 5 || (*at != '2' && *at != '4' && *at != '5') || at[1] != '.') {
    return EHLO_ERR_SYNTAX;
  }
  ehlo_enhanced found = {(uint16_t)(*at - '0'), 0, 0};
  at = subcode(at + 2, end, &found.subject);
  if (at == NULL || end - at < 2 || *at != '.') {
    return EHLO_ERR_SYNTAX;
  }
  at = subcode(at + 1, end, &found.detail);
  if (at == NULL || (at < end && *at != ' ' && *at != '\t')) {
    return EHLO_ERR_SYNTAX;
  }
  while (at < end && (*at == ' ' || *at == '\t')) {
    at++;
  }
  *enhanced = found;
  *used = (size_t)(at - span_begin(text));
  return EHLO_OK;
}

/* Is it one that may stand in a reply of this code? "The class equals the first digit": RFC 2034 4. */
static int enhanced_fits(const ehlo_enhanced *enhanced, uint32_t code)
{
  return enhanced->status_class == code / 100 && enhanced->status_class != 3 && enhanced->subject <= 999 &&
         enhanced->detail <= 999;
}

/* Writes a number below 1,000. */
static char *write_digits(char *to, unsigned number)
{
  if (number < 10) {
    *to = (char)('0' + number);
    return to + 1;
  }
  if (number > 99) {
    *to++ = (char)('0' + number / 100);
  }
  *to++ = (char)('0' + number / 10 % 10);
  *to++ = (char)('0' + number % 10);
  return to;
}

void ehlo_reply_write(char *to, unsigned code, int last, ehlo_enhanced enhanced, ehlo_span text)
{
  to = write_digits(to, code);
  *to++ = last ? ' ' : '-';
  if (enhanced.status_class != 0) {
    *to++ = (char)('0' + enhanced.status_class);
    *to++ = '.';
    to = write_digits(to, enhanced.subject);
    *to++ = '.';
    to = write_digits(to, enhanced.detail);
    *to++ = ' ';
  }
  if (text.len > 0) {
    memcpy(to, text.ptr, text.len);
    to += text.len;
  }
  memcpy(to, "\r\n", 2);
}

/* One Reply-line as above. textstring = 1*(%d09 / %d32-126), and UTF-8 where RFC 6531 3.7.4 allows it. The space behind
 * the code is there even if no text is (RFC 5321 4.2.1), and so is the one behind the enhanced code (RFC 2034 3). */
int ehlo_format_reply_line(uint32_t code, uint32_t last, const ehlo_enhanced *enhanced, ehlo_span text, uint32_t flags,
                           char *buffer, size_t size, size_t *length)
{
  ehlo_enhanced none = {0, 0, 0};
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if (code < 200 || code > 559 || code / 10 % 10 > 5) {
    return EHLO_ERR_CODE;
  }
  int has_enhanced =
      enhanced != NULL && (enhanced->status_class != 0 || enhanced->subject != 0 || enhanced->detail != 0);
  if (has_enhanced && !enhanced_fits(enhanced, code)) {
    return EHLO_ERR_CODE;
  }
  uint32_t seen = 0;
  if (skip_text(span_begin(text), span_end(text), CLASS_TEXT, flags, &seen) != span_end(text)) {
    return EHLO_ERR_TEXT;
  }
  size_t needed = reply_length(has_enhanced ? *enhanced : none, text.len);
  if (needed > REPLY_LINE_MAX) {
    return EHLO_ERR_TOO_LONG;
  }
  *length = needed;
  if (needed > size) {
    return EHLO_ERR_BUFFER;
  }
  ehlo_reply_write(buffer, code, last != 0, has_enhanced ? *enhanced : none, text);
  return EHLO_OK;
}
