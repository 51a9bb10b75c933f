/* value.c: the values of the parameters of MAIL and RCPT. Floor: grammar.
 *
 * Words are compared without their case: strings of ABNF have none (RFC 5234 2.3). What is encoded is decoded to be
 * judged, into an array on the stack, and handed on as it is spelt.
 */
#include "value.h"

#include "../bytes/buffer.h"
#include "calendar.h"
#include "utf8.h"

#include <string.h>

enum {
  /* RFC 3461 4.4 and 4.2. Whether the keyword counts is read both ways (RFC 3885 2: no); the longer reading is taken.
   */
  ENVID_MAX = 100,
  ORCPT_MAX = 500,
  /* Of a mailbox, decoded: what RFC 4954 3 counts for all of AUTH, and about twice what a path may have (RFC 5321
   * 4.5.3.1.3). */
  ADDRESS_MAX = 500,
  SOLICIT_MAX = 1000, /* RFC 3865 2.2 */
  TRANSID_MAX = 80    /* RFC 1845 2, with its brackets */
};

static int is_word(ehlo_span value, const char *word)
{
  return ehlo_span_equal_nocase(value, ehlo_span_of(word));
}

/* 1*9DIGIT */
static int nine_digits(ehlo_span text, uint64_t *number)
{
  return ehlo_parse_number(text, 9, number) == EHLO_OK;
}

/* ---- what xtext stands for ---- */

/* `buffer` holds `size` octets; what is longer is refused. */
static int decode(ehlo_span xtext, char *buffer, size_t size, ehlo_span *decoded)
{
  decoded->ptr = buffer;
  return ehlo_xtext_decode(xtext, buffer, size, &decoded->len) == EHLO_OK;
}

/* "printable (graphic and white space) characters from the US-ASCII repertoire"               (RFC 3461 4.2, 4.4) */
static int is_printable_xtext(ehlo_span xtext)
{
  char buffer[ORCPT_MAX];
  ehlo_span decoded;
  return decode(xtext, buffer, sizeof buffer, &decoded) && span_is(decoded, CLASS_TEXT);
}

static int is_mailbox(ehlo_span text, uint32_t flags)
{
  ehlo_path path;
  size_t used;
  return ehlo_parse_mailbox(text, flags, &path, &used) == EHLO_OK && used == text.len;
}

/* ---- SIZE, BODY ---- */

/* size-value ::= 1*20DIGIT                                                                          (RFC 1870 3) */
int ehlo_read_size(ehlo_span value, ehlo_mail_parameters *into)
{
  uint64_t size;
  if (ehlo_parse_number(value, 20, &size) != EHLO_OK) {
    return 0;
  }
  into->size = size;
  into->has_size = 1;
  return 1;
}

/* body-value ::= "7BIT" / "8BITMIME" / "BINARYMIME"                                     (RFC 6152 2, RFC 3030 3) */
int ehlo_read_body(ehlo_span value, ehlo_mail_parameters *into)
{
  uint32_t body = is_word(value, "7BIT")         ? EHLO_BODY_7BIT
                  : is_word(value, "8BITMIME")   ? EHLO_BODY_8BITMIME
                  : is_word(value, "BINARYMIME") ? EHLO_BODY_BINARYMIME
                                                 : EHLO_BODY_NONE;
  into->body = body != EHLO_BODY_NONE ? body : into->body;
  return body != EHLO_BODY_NONE;
}

/* ---- DSN ---- */

/* FULL, HDRS: "may be spelled in any combination of upper and lower case letters"                 (RFC 3461 4.3) */
int ehlo_read_ret(ehlo_span value, ehlo_mail_parameters *into)
{
  uint32_t ret = is_word(value, "FULL") ? EHLO_RET_FULL : is_word(value, "HDRS") ? EHLO_RET_HDRS : EHLO_RET_NONE;
  into->ret = ret != EHLO_RET_NONE ? ret : into->ret;
  return ret != EHLO_RET_NONE;
}

/* envid-parameter = "ENVID=" xtext                                                                (RFC 3461 4.4) */
int ehlo_is_envid(ehlo_span value)
{
  return value.len >= 1 && value.len <= ENVID_MAX && is_printable_xtext(value);
}

static uint32_t notify_bit(ehlo_span element)
{
  return is_word(element, "SUCCESS")   ? EHLO_NOTIFY_SUCCESS
         : is_word(element, "FAILURE") ? EHLO_NOTIFY_FAILURE
         : is_word(element, "DELAY")   ? EHLO_NOTIFY_DELAY
                                       : EHLO_NOTIFY_NONE;
}

/* notify-esmtp-value  = "NEVER" / 1#notify-list-element                                           (RFC 3461 4.1)
 * notify-list-element = "SUCCESS" / "FAILURE" / "DELAY"
 * An element may come twice. Those that say nothing, which the # of RFC 822 2.7 lets stand between commas, are refused:
 * nobody means them. */
int ehlo_read_notify(ehlo_span value, ehlo_rcpt_parameters *into)
{
  uint32_t notify = EHLO_NOTIFY_NONE;
  if (is_word(value, "NEVER")) {
    into->notify = EHLO_NOTIFY_NEVER;
    return 1;
  }
  for (;;) {
    const char *comma = value.len == 0 ? NULL : memchr(value.ptr, ',', value.len);
    uint32_t bit = notify_bit(comma == NULL ? value : span_between(value.ptr, comma));
    if (bit == EHLO_NOTIFY_NONE) {
      return 0;
    }
    notify |= bit;
    if (comma == NULL) {
      break;
    }
    value = span_between(comma + 1, value.ptr + value.len);
  }
  into->notify = notify;
  return 1;
}

/* HEXPOINT = ( ( "0"/"1" ) %x31-39 ) / "10" / "20" / "2B" / "3D" / "7F" / "5C" /                    (RFC 6533 3)
 *            (HEXDIG8 HEXDIG) / ( NZHEXDIG 2(HEXDIG) ) / ( NZDHEXDIG 3(HEXDIG) ) /
 *            ( "D" %x30-37 2(HEXDIG) ) / ( NZHEXDIG 4(HEXDIG) ) / ( "10" 4*HEXDIG )
 * That is a code point that is no surrogate, in two digits or else without a leading zero; of ASCII only what may not
 * stand there unquoted. Control characters, which are of that, are in no mailbox, so they are not looked for here. The
 * last form is read as 4HEXDIG: there is nothing above U+10FFFF. [at, end) are the digits; 0 if they are none. */
static uint32_t hexpoint(const unsigned char *at, const unsigned char *end)
{
  size_t digits = (size_t)(end - at);
  uint32_t value = 0;
  if (digits < 2 || digits > 6) {
    return 0;
  }
  for (; at < end; at++) {
    unsigned char lower = octet_lower(*at);
    if (!octet_is(lower, CLASS_DIGIT) && (lower < 'a' || lower > 'f')) {
      return 0;
    }
    value = value << 4 | (uint32_t)(octet_is(lower, CLASS_DIGIT) ? lower - '0' : lower - 'a' + 10);
  }
  if (digits == 2) {
    return value >= 0x80 || value == ' ' || value == '+' || value == '=' || value == '\\' ? value : 0;
  }
  return value >> 4 * (digits - 1) != 0 && (value < 0xD800 || value > 0xDFFF) && value <= 0x10FFFF ? value : 0;
}

static void write_character(struct writer *writer, uint32_t point)
{
  if (point < 0x80) {
    write_octet(writer, (char)point);
    return;
  }
  unsigned tails = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
  write_octet(writer, (char)(first[tails] | point >> 6 * tails));
  while (tails-- > 0) {
    write_octet(writer, (char)(0x80 | (point >> 6 * tails & 0x3F)));
  }
}

/* utf-8-type-addr    = "utf-8;" utf-8-enc-addr                                                      (RFC 6533 3)
 * utf-8-enc-addr     = utf-8-addr-xtext / utf-8-addr-unitext / utf-8-address    utf-8-address = Mailbox
 * utf-8-addr-xtext   = 1*(QCHAR / EmbeddedUnicodeChar) ; 7bit form of utf-8-addr-unitext
 * utf-8-addr-unitext = 1*(QUCHAR / EmbeddedUnicodeChar) ; MUST follow utf-8-address ABNF when dequoted
 * QCHAR              = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e
 * QUCHAR             = QCHAR / UTF8-2 / UTF8-3 / UTF8-4
 * EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"
 * A utf-8-address of which all may stand in ORCPT is a utf-8-addr-unitext too. UTF-8 needs its flag. Dequoted it is no
 * longer than quoted, which is ORCPT_MAX at most. */
static int is_utf8_address(ehlo_span address, uint32_t flags)
{
  char buffer[ORCPT_MAX];
  struct writer writer = writer_on(buffer, sizeof buffer);
  const unsigned char *at = span_begin(address);
  const unsigned char *end = span_end(address);
  while (at < end) {
    size_t sequence = *at > 127 && (flags & EHLO_PARSE_UTF8) != 0 ? ehlo_utf8_sequence(at, end) : 0;
    if (*at == '\\') {
      int opens = end - at > 3 && at[1] == 'x' && at[2] == '{';
      const unsigned char *brace = opens ? memchr(at + 3, '}', (size_t)(end - at) - 3) : NULL;
      uint32_t point = brace != NULL ? hexpoint(at + 3, brace) : 0;
      if (point == 0) {
        return 0;
      }
      write_character(&writer, point);
      at = brace + 1;
    } else if (sequence > 0) {
      write_span(&writer, span_of(at, sequence));
      at += sequence;
    } else if (octet_is(*at, CLASS_XCHAR)) {
      write_octet(&writer, (char)*at++);
    } else {
      return 0;
    }
  }
  return is_mailbox(span_of(buffer, writer.length), flags | EHLO_PARSE_UTF8);
}

/* original-recipient-address = addr-type ";" xtext    addr-type = atom                            (RFC 3461 4.2)
 * An atom of RFC 822 has the same octets as one of RFC 5321; "=" is one of them, but not of an esmtp-value. */
static int is_address_type(ehlo_span type)
{
  return type.len > 0 && span_is(type, CLASS_ATEXT) && memchr(type.ptr, '=', type.len) == NULL;
}

int ehlo_is_orcpt(ehlo_span type, ehlo_span address, uint32_t flags)
{
  if (!is_address_type(type) || type.len + 1 + address.len > ORCPT_MAX) {
    return 0;
  }
  return is_word(type, "utf-8") ? is_utf8_address(address, flags) : is_printable_xtext(address);
}

static int split_orcpt(ehlo_span value, ehlo_span *type, ehlo_span *address)
{
  const char *semicolon = value.len == 0 ? NULL : memchr(value.ptr, ';', value.len);
  if (semicolon == NULL) {
    return 0;
  }
  *type = span_between(value.ptr, semicolon);
  *address = span_from(value, type->len + 1);
  return 1;
}

int ehlo_read_orcpt(ehlo_span value, uint32_t flags, ehlo_rcpt_parameters *into)
{
  ehlo_span type, address;
  if (!split_orcpt(value, &type, &address) || !ehlo_is_orcpt(type, address, flags)) {
    return 0;
  }
  into->orcpt_type = type;
  into->orcpt_address = address;
  return 1;
}

int ehlo_is_8bit_orcpt(ehlo_span value)
{
  char buffer[ORCPT_MAX];
  ehlo_span type, address, decoded;
  if (value.len > ORCPT_MAX || !split_orcpt(value, &type, &address) || !is_address_type(type) ||
      is_word(type, "utf-8") || !decode(address, buffer, sizeof buffer, &decoded)) {
    return 0;
  }
  int high = 0;
  for (size_t i = 0; i < decoded.len; i++) {
    unsigned char octet = (unsigned char)decoded.ptr[i];
    if (octet > 127) {
      high = 1;
    } else if (!octet_is(octet, CLASS_TEXT)) {
      return 0;
    }
  }
  return high;
}

/* ---- mailboxes ---- */

/* "SUBMITTER=" Mailbox, in xtext                                                                    (RFC 4405 4) */
int ehlo_is_submitter(ehlo_span value, uint32_t flags)
{
  char buffer[ADDRESS_MAX];
  ehlo_span decoded;
  return decode(value, buffer, sizeof buffer, &decoded) && is_mailbox(decoded, flags);
}

/* auth-param = "AUTH=" xtext ; The decoded form of the xtext MUST be either a Mailbox or the two characters "<>"
 *                                                                                                  (RFC 4954 8) */
int ehlo_is_auth(ehlo_span value, uint32_t flags)
{
  char buffer[ADDRESS_MAX];
  ehlo_span decoded;
  return decode(value, buffer, sizeof buffer, &decoded) && (is_word(decoded, "<>") || is_mailbox(decoded, flags));
}

/* ---- when ---- */

/* by-value = by-time";"by-mode[by-trace]    by-mode = "N" / "R"    by-trace = "T"                   (RFC 2852 4)
 * by-time  = ["-" / "+"]1*9digit ; a negative or zero value is not allowed with a by-mode of "R" */
int ehlo_read_by(ehlo_span value, ehlo_mail_parameters *into)
{
  const char *semicolon = value.len == 0 ? NULL : memchr(value.ptr, ';', value.len);
  uint64_t seconds;
  if (semicolon == NULL) {
    return 0;
  }
  ehlo_span time = span_between(value.ptr, semicolon);
  ehlo_span mode = span_from(value, time.len + 1);
  int negative = time.len > 0 && *time.ptr == '-';
  if (!nine_digits(span_from(time, negative || (time.len > 0 && *time.ptr == '+')), &seconds)) {
    return 0;
  }
  int by_return = is_word(mode, "R") || is_word(mode, "RT");
  if ((!by_return && !is_word(mode, "N") && !is_word(mode, "NT")) || (by_return && (negative || seconds == 0))) {
    return 0;
  }
  into->by_mode = by_return ? EHLO_BY_RETURN : EHLO_BY_NOTIFY;
  into->by_trace = mode.len == 2;
  into->by_time = negative ? -(int32_t)seconds : (int32_t)seconds;
  return 1;
}

/* hold-for-param = "HOLDFOR=" future-release-interval                                               (RFC 4865 3)
 * future-release-interval = future-release-integer    future-release-integer = %x31-39 *8DIGIT */
int ehlo_read_hold_for(ehlo_span value, ehlo_mail_parameters *into)
{
  uint64_t seconds;
  if (!nine_digits(value, &seconds) || *value.ptr == '0') {
    return 0;
  }
  into->hold_for = (uint32_t)seconds;
  return 1;
}

/* hold-until-param = "HOLDUNTIL=" future-release-date-time, a date-time of RFC 3339 "normalized to UTC"
 *                                                                                    (RFC 4865 3; erratum 2040)
 * A fraction, for which the RFC counts room, is rounded up: nothing is released before its time. */
int ehlo_read_hold_until(ehlo_span value, ehlo_mail_parameters *into)
{
  int64_t time;
  int32_t utc_offset;
  if (!ehlo_read_date_time(value, 1, &time, &utc_offset) || utc_offset != 0) {
    return 0;
  }
  into->hold_until = time;
  into->has_hold_until = 1;
  return 1;
}

/* rrvs-param = "RRVS=" date-time [ ";" ( "C" / "R" ) ], without time-secfrac                      (RFC 7293 3.1) */
int ehlo_read_rrvs(ehlo_span value, ehlo_rcpt_parameters *into)
{
  const char *semicolon = value.len == 0 ? NULL : memchr(value.ptr, ';', value.len);
  ehlo_span date = semicolon == NULL ? value : span_between(value.ptr, semicolon);
  ehlo_span action = span_from(value, date.len + (semicolon != NULL));
  int64_t time;
  int32_t utc_offset;
  int goes_on = is_word(action, "C");
  if ((semicolon != NULL && !goes_on && !is_word(action, "R")) || !ehlo_read_date_time(date, 0, &time, &utc_offset)) {
    return 0;
  }
  into->rrvs = goes_on ? EHLO_RRVS_CONTINUE : EHLO_RRVS_REJECT;
  into->rrvs_action = semicolon != NULL;
  into->rrvs_time = time;
  return 1;
}

/* ---- others ---- */

/* priority-value = (["-"] NZDIGIT) / "0"    NZDIGIT = %x31-39                                       (RFC 6710 7) */
int ehlo_read_priority(ehlo_span value, ehlo_mail_parameters *into)
{
  int negative = value.len > 0 && *value.ptr == '-';
  ehlo_span digit = span_from(value, (size_t)negative);
  if (digit.len != 1 || !span_is(digit, CLASS_DIGIT) || (negative && *digit.ptr == '0')) {
    return 0;
  }
  int32_t priority = *digit.ptr - '0';
  into->has_priority = 1;
  into->priority = negative ? -priority : priority;
  return 1;
}

/* Solicitation-keywords = word 0*("," word) ; length of this string is limited to <= 1000 characters
 * word = ALPHA 0*(wordchar)    wordchar = ("." / "-" / "_" / ":" / ALPHA / DIGIT)                 (RFC 3865 2.2) */
int ehlo_is_solicit(ehlo_span value)
{
  int begins = 1;
  for (size_t i = 0; i < value.len; i++) {
    unsigned char octet = (unsigned char)value.ptr[i];
    if (begins ? !octet_is(octet, CLASS_ALPHA)
               : !octet_is(octet, CLASS_LDH) && octet != '.' && octet != '_' && octet != ':' && octet != ',') {
      return 0;
    }
    begins = octet == ',';
  }
  return !begins && value.len <= SOLICIT_MAX;
}

/* mtrk-certifier = base64                                                                         (RFC 3885 3.1)
 * As an esmtp-value it can hold no "=", so it stands without its padding: the 27 octets that RFC 3885 3.2 counts for
 * SHA-1. What it stands for is judged with the padding that belongs there. */
int ehlo_is_certifier(ehlo_span value)
{
  char none;
  size_t length;
  char last[] = "====";
  size_t rest = value.len % 4;
  if (value.len == 0 || memchr(value.ptr, '=', value.len) != NULL) {
    return 0;
  }
  memcpy(last, value.ptr + (value.len - rest), rest);
  return ehlo_base64_decode(span_of(value.ptr, value.len - rest), &none, 0, &length) != EHLO_ERR_SYNTAX &&
         (rest == 0 || ehlo_base64_decode(span_of(last, 4), &none, 0, &length) != EHLO_ERR_SYNTAX);
}

/* mtrk-parameter = "MTRK=" mtrk-certifier [ ":" mtrk-timeout ]    mtrk-timeout = 1*9DIGIT         (RFC 3885 3.1) */
int ehlo_read_mtrk(ehlo_span value, ehlo_mail_parameters *into)
{
  const char *colon = value.len == 0 ? NULL : memchr(value.ptr, ':', value.len);
  ehlo_span certifier = colon == NULL ? value : span_between(value.ptr, colon);
  uint64_t timeout = 0;
  if (!ehlo_is_certifier(certifier) || (colon != NULL && !nine_digits(span_from(value, certifier.len + 1), &timeout))) {
    return 0;
  }
  into->mtrk = certifier;
  into->has_mtrk_timeout = colon != NULL;
  into->mtrk_timeout = (uint32_t)timeout;
  return 1;
}

/* transid-token ::= transid-atom *("." transid-atom)                                                (RFC 1845 2)
 * transid-atom  ::= 1*<any (ASCII) CHAR except SPACE, CTLs, tspecials, or ".">
 * tspecials are "(" ")" "<" ">" "@" "," ";" ":" "\" <"> "/" "[" "]" "?" "=": the octets of an atom but for "/", "?" and
 * "=". Behind the token at `at`, or NULL. */
static const unsigned char *transid_token(const unsigned char *at, const unsigned char *end)
{
  for (;;) {
    const unsigned char *begin = at;
    while (at < end && octet_is(*at, CLASS_ATEXT) && *at != '/' && *at != '?' && *at != '=') {
      at++;
    }
    if (at == begin) {
      return NULL;
    }
    if (at == end || *at != '.') {
      return at;
    }
    at++;
  }
}

/* transid-value ::= "<" transid-spec ">" ; transid-value may not be longer than 80 characters       (RFC 1845 2)
 * transid-spec  ::= transid-local "@" transid-domain
 * transid-local ::= transid-token    transid-domain ::= transid-token */
int ehlo_is_transid(ehlo_span value)
{
  const unsigned char *at = span_begin(value);
  const unsigned char *end = span_end(value);
  if (value.len < sizeof "<>" || value.len > TRANSID_MAX || *at != '<' || *--end != '>') {
    return 0;
  }
  at = transid_token(at + 1, end);
  return at != NULL && at < end && *at == '@' && transid_token(at + 1, end) == end;
}
