/* path.c: paths, mailboxes, domains, local-parts. Floor: grammar.
 *
 * One function for each rule of RFC 5321 4.1.2 and 4.1.3. Each starts at `at`, never looks at `end`, and returns where
 * its longest match ends, or NULL. One pass: nothing is looked at twice but what a rule gives back (the hyphens at the
 * end of a label, the four digits before the first dot of an IPv4 address inside an IPv6 one).
 */
#include "../bytes/buffer.h"
#include "../bytes/span.h"
#include "ehlo/grammar.h"
#include "utf8.h"

#include <string.h>

typedef const unsigned char *cursor;

static const ehlo_domain no_domain;
static const ehlo_path no_path;

/* ---- domains ---- */

/* May the octet stand inside a label only? An underscore that was let in is no better than a hyphen. */
static int is_inner(unsigned char octet)
{
  return octet == '-' || octet == '_';
}

/* sub-domain = Let-dig [Ldh-str]    Let-dig = ALPHA / DIGIT                                    (RFC 5321 4.1.2)
 * Ldh-str    = *( ALPHA / DIGIT / "-" ) Let-dig
 * sub-domain =/ U-label                                                  (RFC 6531 3.3)    Here at < end. */
static cursor sub_domain(cursor at, cursor end, uint32_t flags, uint32_t *utf8)
{
  cursor begin = at;
  if (is_inner(*at)) {
    return NULL;
  }
  at = skip_text(at, end, CLASS_LDH, flags, utf8);
  while (at < end && *at == '_' && (flags & EHLO_PARSE_UNDERSCORE) != 0) {
    at = skip_text(at + 1, end, CLASS_LDH, flags, utf8);
  }
  if (at == begin) {
    return NULL;
  }
  while (is_inner(at[-1])) {
    at--;
  }
  return at;
}

/* Domain = sub-domain *("." sub-domain)                                                        (RFC 5321 4.1.2) */
static cursor domain_name(cursor at, cursor end, uint32_t flags, uint32_t *utf8)
{
  cursor matched = NULL;
  while (at < end) {
    at = sub_domain(at, end, flags, utf8);
    if (at == NULL) {
      break;
    }
    matched = at;
    if (at == end || *at != '.') {
      break;
    }
    at++;
  }
  return matched;
}

/* IPv4-address-literal = Snum 3("." Snum)
 * Snum = 1*3DIGIT, a value in the range 0 through 255                                          (RFC 5321 4.1.3) */
static cursor ipv4_address(cursor at, cursor end, uint8_t *address)
{
  for (unsigned i = 0; i < 4; i++) {
    if (i > 0) {
      if (at == end || *at != '.') {
        return NULL;
      }
      at++;
    }
    unsigned value = 0;
    cursor begin = at;
    for (; at < end && at - begin < 3 && octet_is(*at, CLASS_DIGIT); at++) {
      value = value * 10 + *at - '0';
    }
    if (at == begin || value > 255) {
      return NULL;
    }
    address[i] = (uint8_t)value;
  }
  return at;
}

/* IPv6-hex = 1*4HEXDIG                                                                         (RFC 5321 4.1.3) */
static cursor ipv6_group(cursor at, cursor end, unsigned *group)
{
  cursor begin = at;
  *group = 0;
  for (; at < end && at - begin < 4; at++) {
    unsigned char lower = octet_lower(*at);
    if (octet_is(lower, CLASS_DIGIT)) {
      *group = *group << 4 | (unsigned)(lower - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      *group = *group << 4 | (unsigned)(lower - 'a' + 10);
    } else {
      break;
    }
  }
  return at == begin ? NULL : at;
}

/* IPv6-addr   = IPv6-full / IPv6-comp / IPv6v4-full / IPv6v4-comp                              (RFC 5321 4.1.3)
 * IPv6-full   = IPv6-hex 7(":" IPv6-hex)
 * IPv6-comp   = [IPv6-hex *5(":" IPv6-hex)] "::" [IPv6-hex *5(":" IPv6-hex)]
 * IPv6v4-full = IPv6-hex 5(":" IPv6-hex) ":" IPv4-address-literal
 * IPv6v4-comp = [IPv6-hex *3(":" IPv6-hex)] "::" [IPv6-hex *3(":" IPv6-hex) ":"] IPv4-address-literal
 * "::" stands for two groups at least, so at most 12 octets may be spelt beside it. */
static cursor ipv6_address(cursor at, cursor end, uint8_t *address)
{
  enum { ALL = 16, BESIDE_GAP = 12, NO_GAP = 17 };
  size_t filled = 0;
  size_t gap = NO_GAP; /* how many octets stand before the "::" */
  if (end - at >= 2 && at[0] == ':' && at[1] == ':') {
    gap = 0;
    at += 2;
  }
  for (;;) {
    unsigned group;
    cursor behind = ipv6_group(at, end, &group);
    if (behind == NULL) {
      if (gap != filled) {
        return NULL;
      }
      break;
    }
    if (behind < end && *behind == '.') {
      at = filled > ALL - 4 ? NULL : ipv4_address(at, end, address + filled);
      if (at == NULL) {
        return NULL;
      }
      filled += 4;
      break;
    }
    if (filled > ALL - 2) {
      return NULL;
    }
    address[filled++] = (uint8_t)(group >> 8);
    address[filled++] = (uint8_t)(group & 255);
    at = behind;
    if (at == end || *at != ':') {
      break;
    }
    at++;
    if (at < end && *at == ':') {
      if (gap != NO_GAP) {
        return NULL;
      }
      gap = filled;
      at++;
    }
  }
  if (gap == NO_GAP) {
    return filled == ALL ? at : NULL;
  }
  if (filled > BESIDE_GAP) {
    return NULL;
  }
  memmove(address + ALL - (filled - gap), address + gap, filled - gap);
  memset(address + gap, 0, ALL - filled);
  return at;
}

/* address-literal      = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"
 * IPv6-address-literal = "IPv6:" IPv6-addr                                              (RFC 5321 4.1.2, 4.1.3)
 * A General-address-literal needs a registered tag; there is none but IPv6 (RFC 5321 8). `address` comes zeroed. */
static cursor address_literal(cursor at, cursor end, ehlo_domain *domain)
{
  static const char tag[] = "IPv6:";
  size_t tag_length = sizeof tag - 1;
  at++;
  if ((size_t)(end - at) > tag_length && ehlo_span_equal_nocase(span_of(at, tag_length), span_of(tag, tag_length))) {
    domain->kind = EHLO_DOMAIN_IPV6;
    at = ipv6_address(at + tag_length, end, domain->address);
  } else {
    domain->kind = EHLO_DOMAIN_IPV4;
    at = ipv4_address(at, end, domain->address);
  }
  return at == NULL || at == end || *at != ']' ? NULL : at + 1;
}

/* Domain / address-literal. Sets all of *domain, to whatever it may be if NULL is returned. */
static inline cursor domain_or_literal(cursor at, cursor end, uint32_t flags, ehlo_domain *domain)
{
  cursor begin = at;
  memset(domain->address, 0, sizeof domain->address);
  domain->kind = EHLO_DOMAIN_NAME;
  domain->utf8 = 0;
  if (at < end && *at == '[') {
    at = address_literal(at, end, domain);
  } else {
    at = domain_name(at, end, flags, &domain->utf8);
  }
  if (at != NULL) {
    domain->raw = span_between(begin, at);
  }
  return at;
}

int ehlo_parse_domain(ehlo_span text, uint32_t flags, ehlo_domain *domain, size_t *used)
{
  int result = EHLO_ERR_ARGUMENT;
  if (domain != NULL && used != NULL) {
    cursor behind = domain_or_literal(span_begin(text), span_end(text), flags, domain);
    if (behind != NULL) {
      *used = domain->raw.len;
      return EHLO_OK;
    }
    result = EHLO_ERR_SYNTAX;
  }
  if (domain != NULL) {
    *domain = no_domain;
  }
  if (used != NULL) {
    *used = 0;
  }
  return result;
}

/* ---- local-parts ---- */

/* Dot-string = Atom *("." Atom)    Atom = 1*atext                                              (RFC 5321 4.1.2)
 * atext =/ UTF8-non-ascii                                                                      (RFC 6531 3.3) */
static cursor dot_string(cursor at, cursor end, uint32_t flags, uint32_t *utf8)
{
  for (;;) {
    cursor begin = at;
    at = skip_text(at, end, CLASS_ATEXT, flags, utf8);
    if (at == begin) {
      return NULL;
    }
    if (at == end || *at != '.') {
      return at;
    }
    at++;
  }
}

/* Quoted-string    = DQUOTE 1*QcontentSMTP DQUOTE                               (RFC 5321 4.1.2; erratum 5414)
 * QcontentSMTP     = qtextSMTP / quoted-pairSMTP
 * quoted-pairSMTP  = %d92 %d32-126
 * qtextSMTP        = %d32-33 / %d35-91 / %d93-126    qtextSMTP =/ UTF8-non-ascii                (RFC 6531 3.3) */
static cursor quoted_string(cursor at, cursor end, uint32_t flags, uint32_t *utf8)
{
  cursor content = ++at;
  for (;;) {
    at = skip_text(at, end, CLASS_QTEXT, flags, utf8);
    if (at == end) {
      return NULL;
    }
    if (*at == '"') {
      return at == content ? NULL : at + 1;
    }
    if (*at != '\\' || end - at < 2 || at[1] < 32 || at[1] > 126) {
      return NULL;
    }
    at += 2;
  }
}

/* Local-part = Dot-string / Quoted-string                                                      (RFC 5321 4.1.2) */
static inline cursor local_part(cursor at, cursor end, uint32_t flags, uint32_t *quoted, uint32_t *utf8)
{
  *quoted = at < end && *at == '"';
  return *quoted ? quoted_string(at, end, flags, utf8) : dot_string(at, end, flags, utf8);
}

static int is_local_part(ehlo_span text)
{
  uint32_t quoted;
  uint32_t utf8 = 0;
  return text.len > 0 &&
         local_part(span_begin(text), span_end(text), EHLO_PARSE_UTF8, &quoted, &utf8) == span_end(text);
}

/* The next octet of a valid local-part behind its quoting; 256 at the end. In a dot-string neither quote nor backslash
 * can come up. */
static unsigned decoded_octet(cursor *at, cursor end)
{
  if (*at < end && **at == '"') {
    ++*at; /* the first or the last; one inside has a backslash before it */
  }
  if (*at == end) {
    return 256;
  }
  if (**at == '\\') {
    ++*at;
  }
  return *(*at)++;
}

int ehlo_local_part_decode(ehlo_span raw, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if (!is_local_part(raw)) {
    return EHLO_ERR_SYNTAX;
  }
  struct writer writer = writer_on(buffer, size);
  cursor at = span_begin(raw);
  cursor end = span_end(raw);
  for (unsigned octet = decoded_octet(&at, end); octet < 256; octet = decoded_octet(&at, end)) {
    write_octet(&writer, (char)octet);
  }
  return writer_end(&writer, length);
}

int ehlo_local_part_equal(ehlo_span a, ehlo_span b)
{
  if (!is_local_part(a) || !is_local_part(b)) {
    return 0;
  }
  cursor at_a = span_begin(a);
  cursor at_b = span_begin(b);
  unsigned octet;
  do {
    octet = decoded_octet(&at_a, span_end(a));
    if (octet != decoded_octet(&at_b, span_end(b))) {
      return 0;
    }
  } while (octet < 256);
  return 1;
}

/* Writes a decoded local-part with the least quoting; 0 if no spelling of it is legal. */
static int write_local_part(struct writer *writer, ehlo_span decoded, uint32_t flags)
{
  cursor at = span_begin(decoded);
  cursor end = span_end(decoded);
  uint32_t utf8 = 0;
  if (at == end) {
    return 0;
  }
  if (dot_string(at, end, flags, &utf8) == end) {
    write_span(writer, decoded);
    return 1;
  }
  write_octet(writer, '"');
  while (at < end) {
    cursor behind = skip_text(at, end, CLASS_QTEXT, flags, &utf8);
    write_span(writer, span_between(at, behind));
    at = behind;
    if (at < end) {
      if (*at != '"' && *at != '\\') {
        return 0;
      }
      write_octet(writer, '\\');
      write_octet(writer, (char)*at++);
    }
  }
  write_octet(writer, '"');
  return 1;
}

int ehlo_local_part_encode(ehlo_span decoded, uint32_t flags, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  struct writer writer = writer_on(buffer, size);
  return write_local_part(&writer, decoded, flags) ? writer_end(&writer, length) : EHLO_ERR_TEXT;
}

/* ---- mailboxes and paths ---- */

static int is_postmaster(ehlo_span local_part)
{
  static const char name[] = "postmaster";
  return ehlo_span_equal_nocase(local_part, span_of(name, sizeof name - 1));
}

/* A-d-l = At-domain *( "," At-domain )    At-domain = "@" Domain                               (RFC 5321 4.1.2) */
static cursor source_route(cursor at, cursor end, uint32_t flags, uint32_t *utf8)
{
  for (;;) {
    if (at == end || *at != '@') {
      return NULL;
    }
    at = domain_name(at + 1, end, flags, utf8);
    if (at == NULL || at == end || *at != ',') {
      return at;
    }
    at++;
  }
}

static int refuse_path(int error, ehlo_path *path, size_t *used)
{
  if (path != NULL) {
    *path = no_path;
  }
  if (used != NULL) {
    *used = 0;
  }
  return error;
}

/* Path    = "<" [ A-d-l ":" ] Mailbox ">"    Reverse-path = Path / "<>"                        (RFC 5321 4.1.2)
 * Mailbox = Local-part "@" ( Domain / address-literal )
 * "<Postmaster>"                                                                               (RFC 5321 4.1.1.3)
 * With brackets a path, without a mailbox alone. */
static int parse_path(ehlo_span text, uint32_t flags, int brackets, ehlo_path *path, size_t *used)
{
  if (path == NULL || used == NULL) {
    return refuse_path(EHLO_ERR_ARGUMENT, path, used);
  }
  cursor begin = span_begin(text);
  cursor end = span_end(text);
  cursor at = begin;
  uint32_t utf8 = 0;
  path->route = span_of(NULL, 0);
  if (brackets) {
    if (end - at < 2 || *at != '<') {
      return refuse_path(EHLO_ERR_SYNTAX, path, used);
    }
    at++;
    if (*at == '>') {
      *path = no_path;
      path->raw = span_of(begin, 2);
      *used = 2;
      return EHLO_OK;
    }
    if (*at == '@') {
      cursor behind = source_route(at, end, flags, &utf8);
      if (behind == NULL || behind == end || *behind != ':') {
        return refuse_path(EHLO_ERR_SYNTAX, path, used);
      }
      path->route = span_between(at, behind);
      at = behind + 1;
    }
  }
  cursor inside = at;
  at = local_part(at, end, flags, &path->quoted, &utf8);
  if (at == NULL || at == end) {
    return refuse_path(EHLO_ERR_SYNTAX, path, used);
  }
  path->local_part = span_between(inside, at);
  path->kind = EHLO_PATH_MAILBOX;
  if (*at == '@') {
    at = domain_or_literal(at + 1, end, flags, &path->domain);
    utf8 |= path->domain.utf8;
  } else if (brackets && path->route.len == 0 && is_postmaster(path->local_part)) {
    path->kind = EHLO_PATH_POSTMASTER;
    path->domain = no_domain;
  } else {
    at = NULL;
  }
  if (at == NULL || (brackets && (at == end || *at != '>'))) {
    return refuse_path(EHLO_ERR_SYNTAX, path, used);
  }
  path->utf8 = utf8;
  path->mailbox = span_between(inside, at);
  at += brackets;
  path->raw = span_between(begin, at);
  *used = path->raw.len;
  return EHLO_OK;
}

/* Most paths have no route, quotes, literal or UTF-8. Such a one is read here in one go, by the same rules as above. 0
 * for any other, right or wrong, with nothing set. Here text.len > 0. */
static int parse_plain_path(ehlo_span text, ehlo_path *path, size_t *used)
{
  cursor begin = span_begin(text);
  cursor end = begin + text.len;
  cursor at = begin;
  if (*at != '<') {
    return 0;
  }
  do {
    cursor atom = ++at;
    at = skip_octets(at, end, CLASS_ATEXT);
    if (at == atom || at == end) {
      return 0;
    }
  } while (*at == '.');
  cursor local_end = at;
  if (*at != '@') {
    return 0;
  }
  do {
    cursor label = ++at;
    at = skip_octets(at, end, CLASS_LDH);
    if (at == end || *label == '-' || !octet_is(at[-1], CLASS_ALPHA | CLASS_DIGIT)) {
      return 0;
    }
  } while (*at == '.');
  if (*at != '>') {
    return 0;
  }
  path->raw = span_between(begin, at + 1);
  path->route = span_of(NULL, 0);
  path->mailbox = span_between(begin + 1, at);
  path->local_part = span_between(begin + 1, local_end);
  path->domain.raw = span_between(local_end + 1, at);
  path->domain.kind = EHLO_DOMAIN_NAME;
  path->domain.utf8 = 0;
  memset(path->domain.address, 0, sizeof path->domain.address);
  path->kind = EHLO_PATH_MAILBOX;
  path->quoted = 0;
  path->utf8 = 0;
  *used = path->raw.len;
  return 1;
}

int ehlo_parse_path(ehlo_span text, uint32_t flags, ehlo_path *path, size_t *used)
{
  if (text.len > 0 && path != NULL && used != NULL && parse_plain_path(text, path, used)) {
    return EHLO_OK;
  }
  return parse_path(text, flags, 1, path, used);
}

int ehlo_parse_mailbox(ehlo_span text, uint32_t flags, ehlo_path *path, size_t *used)
{
  return parse_path(text, flags, 0, path, used);
}

int ehlo_format_path(ehlo_span local_part, ehlo_span domain, uint32_t flags, char *buffer, size_t size, size_t *length)
{
  if (length == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *length = 0;
  if (buffer == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  struct writer writer = writer_on(buffer, size);
  write_octet(&writer, '<');
  if (domain.len > 0) {
    ehlo_domain parsed;
    if (domain_or_literal(span_begin(domain), span_end(domain), flags, &parsed) != span_end(domain) ||
        !write_local_part(&writer, local_part, flags)) {
      return EHLO_ERR_TEXT;
    }
    write_octet(&writer, '@');
    write_span(&writer, domain);
  } else if (local_part.len == 0 || is_postmaster(local_part)) {
    write_span(&writer, local_part);
  } else {
    return EHLO_ERR_TEXT;
  }
  write_octet(&writer, '>');
  return writer_end(&writer, length);
}
