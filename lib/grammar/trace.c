/* trace.c: the trace fields, Received and Return-Path. Floor: grammar.
 *
 * A field is written word by word. Before each word goes a space, or, where the line would pass 78 octets, CRLF and a
 * tab; words are never cut. Every part that the host passes in is parsed by the rule that it has to keep, so nothing
 * else comes out.
 */
#include "../bytes/buffer.h"
#include "../bytes/span.h"
#include "calendar.h"
#include "ehlo/grammar.h"
#include "utf8.h"

#include <string.h>

/* RFC 5322 2.1.1, without CRLF: what a line should keep and what it must keep. */
enum { SOFT_LINE = 78, HARD_LINE = 998 };

/* ---- fields ---- */

struct field {
  struct writer writer;
  size_t column; /* octets in the line so far */
  int too_long;  /* 1 if a line passed HARD_LINE */
};

static void put(struct field *field, ehlo_span text)
{
  write_span(&field->writer, text);
  field->column += text.len;
  field->too_long |= field->column > HARD_LINE;
}

static struct field field_on(char *buffer, size_t size, const char *name)
{
  struct field field = {writer_on(buffer, size), 0, 0};
  put(&field, ehlo_span_of(name));
  return field;
}

/* Writes the white space before a word that is `width` wide. */
static void begin_word(struct field *field, size_t width)
{
  if (field->column + 1 + width > SOFT_LINE) {
    write_string(&field->writer, "\r\n\t");
    field->column = 1;
  } else {
    put(field, ehlo_span_of(" "));
  }
}

static void word(struct field *field, const char *before, ehlo_span text, const char *after)
{
  ehlo_span first = ehlo_span_of(before);
  ehlo_span last = ehlo_span_of(after);
  begin_word(field, first.len + text.len + last.len);
  put(field, first);
  put(field, text);
  put(field, last);
}

/* A keyword and its value, on one line if they fit there. */
static void clause(struct field *field, const char *keyword, const char *before, ehlo_span value, const char *after)
{
  ehlo_span name = ehlo_span_of(keyword);
  size_t width = name.len + 1 + strlen(before) + value.len + strlen(after);
  /* Room for all of it, before the keyword, lets no fold come between the two. */
  begin_word(field, 1 + width <= SOFT_LINE ? width : name.len);
  put(field, name);
  word(field, before, value, after);
}

/* comment = "(" *([FWS] ccontent) [FWS] ")"    ccontent = ctext / quoted-pair / comment      (RFC 5322 3.2.2)
 * ctext = %d33-39 / %d42-91 / %d93-126, and UTF-8 (RFC 6532 3.2). `text` is known to be printable. */
static void comment(struct field *field, const char *before, ehlo_span text)
{
  size_t escapes = 0;
  for (size_t i = 0; i < text.len; i++) {
    escapes += text.ptr[i] == '(' || text.ptr[i] == ')' || text.ptr[i] == '\\';
  }
  ehlo_span first = ehlo_span_of(before);
  begin_word(field, 1 + first.len + text.len + escapes + 1);
  put(field, ehlo_span_of("("));
  put(field, first);
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] == '(' || text.ptr[i] == ')' || text.ptr[i] == '\\') {
      put(field, ehlo_span_of("\\"));
    }
    put(field, span_of(text.ptr + i, 1));
  }
  put(field, ehlo_span_of(")"));
}

static int field_end(struct field *field, size_t *length)
{
  write_string(&field->writer, "\r\n");
  return field->too_long ? EHLO_ERR_TEXT : writer_end(&field->writer, length);
}

/* ---- parts ---- */

/* EHLO_DOMAIN_NONE if the text is no Domain or address-literal from end to end. */
static uint32_t domain_kind(ehlo_span text, uint32_t flags)
{
  ehlo_domain domain;
  size_t used;
  return ehlo_parse_domain(text, flags, &domain, &used) == EHLO_OK && used == text.len ? domain.kind : EHLO_DOMAIN_NONE;
}

/* Is the text a path from end to end? */
static int is_path(ehlo_span text, uint32_t flags, ehlo_path *path)
{
  size_t used;
  return ehlo_parse_path(text, flags, path, &used) == EHLO_OK && used == text.len;
}

static int is_literal(uint32_t kind)
{
  return kind == EHLO_DOMAIN_IPV4 || kind == EHLO_DOMAIN_IPV6;
}

/* Octets that a comment can hold: printable ASCII, and UTF-8 if the flags let it in. */
static int is_printable(ehlo_span text, uint32_t flags)
{
  uint32_t seen = 0;
  const unsigned char *end = span_end(text);
  return skip_text(span_begin(text), end, CLASS_QTEXT | CLASS_VALUE, flags, &seen) == end;
}

/* Atom = 1*atext */
static int is_atom(ehlo_span text)
{
  return text.len > 0 && span_is(text, CLASS_ATEXT);
}

/* dot-atom-text = 1*atext *("." 1*atext)                                                       (RFC 5322 3.2.3) */
static int is_dot_atom(ehlo_span text)
{
  const unsigned char *at = span_begin(text);
  const unsigned char *end = span_end(text);
  for (;;) {
    const unsigned char *begin = at;
    at = skip_octets(at, end, CLASS_ATEXT);
    if (at == begin) {
      return 0;
    }
    if (at == end) {
      return 1;
    }
    if (*at++ != '.') {
      return 0;
    }
  }
}

/* ---- date and time ---- */

enum { DATE_TIME_WIDTH = sizeof "Thu, 31 Dec 2026 23:59:59 +0000" - 1 };

/* date-time = [ day-of-week "," ] date time    date = day month year    time = time-of-day zone    (RFC 5322 3.3)
 * zone = (FWS ( "+" / "-" ) 4DIGIT): the date is local time, its offset from UTC explicit (RFC 5321 4.4). `local` is in
 * range. */
static void write_date_time(struct writer *writer, int64_t local, int32_t utc_offset)
{
  static const char day_names[] = "SunMonTueWedThuFriSat";
  static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  struct civil civil = ehlo_civil_of(local);
  write_span(writer, span_of(day_names + (size_t)3 * civil.weekday, 3));
  write_string(writer, ", ");
  write_number(writer, civil.day, 1);
  write_octet(writer, ' ');
  write_span(writer, span_of(month_names + (size_t)3 * (civil.month - 1), 3));
  write_octet(writer, ' ');
  write_number(writer, civil.year, 4);
  write_octet(writer, ' ');
  write_number(writer, civil.hour, 2);
  write_octet(writer, ':');
  write_number(writer, civil.minute, 2);
  write_octet(writer, ':');
  write_number(writer, civil.second, 2);
  write_string(writer, utc_offset < 0 ? " -" : " +");
  uint32_t minutes = (uint32_t)(utc_offset < 0 ? -utc_offset : utc_offset);
  write_number(writer, minutes / 60, 2);
  write_number(writer, minutes % 60, 2);
}

/* ---- Received ---- */

/* From-domain     = "FROM" FWS Extended-Domain                                                 (RFC 5321 4.4)
 * Extended-Domain = Domain / ( Domain FWS "(" TCP-info ")" ) / ( address-literal FWS "(" TCP-info ")" )
 * TCP-info        = address-literal / ( Domain FWS address-literal )
 *
 * What the client called itself stands first. Where it cannot (it is no domain, or a literal without TCP-info behind
 * it) the best that is known of the client does, and what it called itself follows as a comment, which may stand before
 * By-domain. A name without an address is no TCP-info either, so it is a comment. 0 if a part is not legal. */
static int from_domain(struct field *field, const ehlo_received *received, uint32_t flags)
{
  ehlo_span name = received->client_name;
  ehlo_span address = received->client_address;
  if ((name.len > 0 && domain_kind(name, flags) != EHLO_DOMAIN_NAME) ||
      (address.len > 0 && !is_literal(domain_kind(address, 0))) || !is_printable(received->hello, flags)) {
    return 0;
  }
  uint32_t kind = domain_kind(received->hello, flags);
  int hello_fits = kind == EHLO_DOMAIN_NAME || (is_literal(kind) && address.len > 0);
  if (hello_fits) {
    clause(field, "from", "", received->hello, "");
  } else if (name.len > 0 || address.len > 0) {
    clause(field, "from", "", name.len > 0 ? name : address, "");
  } else if (received->hello.len > 0) {
    clause(field, "from", "", ehlo_span_of("unknown"), "");
  }
  if (name.len > 0 && address.len > 0) {
    word(field, "(", name, "");
    word(field, "", address, ")");
  } else if (name.len > 0 || address.len > 0) {
    word(field, "(", name.len > 0 ? name : address, ")");
  }
  if (received->hello.len > 0 && !hello_fits) {
    comment(field, "HELO ", received->hello);
  }
  return 1;
}

/* The same for the host: By-domain = CFWS "BY" FWS Extended-Domain. Its literal is its TCP-info too. */
static int by_domain(struct field *field, ehlo_span by)
{
  uint32_t kind = domain_kind(by, 0);
  if (kind == EHLO_DOMAIN_NONE) {
    return 0;
  }
  clause(field, "by", "", by, "");
  if (is_literal(kind)) {
    word(field, "(", by, ")");
  }
  return 1;
}

/* Opt-info = [Via] [With] [ID] [For] [Additional-Registered-Clauses]                           (RFC 5321 4.4)
 * With = CFWS "WITH" FWS Protocol    Protocol = "ESMTP" / "SMTP" / Attdl-Protocol    Attdl-Protocol = Atom
 * ID   = CFWS "ID" FWS ( Atom / msg-id )    For = CFWS "FOR" FWS ( Path / Mailbox )
 * Identifiers may have dots, as a dot-atom. The path is written without its route. */
static int opt_info(struct field *field, const ehlo_received *received, uint32_t flags)
{
  int has_id = received->id.len > 0;
  int has_recipient = received->recipient.len > 0;
  ehlo_path path;
  if (!is_atom(received->with) || (has_id && !is_dot_atom(received->id)) ||
      (has_recipient && !is_path(received->recipient, flags, &path))) {
    return 0;
  }
  clause(field, "with", "", received->with, has_id || has_recipient ? "" : ";");
  if (has_id) {
    clause(field, "id", "", received->id, has_recipient ? "" : ";");
  }
  if (has_recipient) {
    if (path.kind == EHLO_PATH_NULL) {
      return 0;
    }
    clause(field, "for", "<", path.mailbox, ">;");
  }
  return 1;
}

/* Time-stamp-line = "Received:" FWS Stamp <CRLF>                                               (RFC 5321 4.4)
 * Stamp = From-domain By-domain Opt-info [CFWS] ";" FWS date-time */
int ehlo_format_received(const ehlo_received *received, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (received == NULL || buffer == NULL || received->utc_offset < -1439 || received->utc_offset > 1439 ||
      !calendar_holds(received->time) || !calendar_holds(received->time + received->utc_offset * 60)) {
    return EHLO_ERR_ARGUMENT;
  }
  uint32_t flags = received->utf8 ? EHLO_PARSE_UTF8 : 0;
  struct field field = field_on(buffer, size, "Received:");
  if (!from_domain(&field, received, flags) || !by_domain(&field, received->by) || !opt_info(&field, received, flags)) {
    return EHLO_ERR_TEXT;
  }
  begin_word(&field, DATE_TIME_WIDTH);
  write_date_time(&field.writer, received->time + received->utc_offset * 60, received->utc_offset);
  return field_end(&field, length);
}

/* ---- Return-Path ---- */

/* Return-path-line = "Return-Path:" FWS Reverse-path <CRLF>                                    (RFC 5321 4.4) */
int ehlo_format_return_path(ehlo_span path, uint32_t flags, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  ehlo_path parsed;
  if (!is_path(path, flags, &parsed) || parsed.kind == EHLO_PATH_POSTMASTER) {
    return EHLO_ERR_TEXT;
  }
  struct field field = field_on(buffer, size, "Return-Path:");
  word(&field, "<", parsed.mailbox, ">");
  return field_end(&field, length);
}
