/* offer.c: what an EHLO answer says, read line by line. Floor: mechanism. */
#include "offer.h"

#include "../grammar/table.h"
#include "ehlo/parameters.h"
#include "ehlo/sasl.h"

#include <string.h>

/* ---- words ---- */

/* Takes the word at the front of a list, and the space behind it. 0 if nothing is left. */
static int next_word(ehlo_span *list, ehlo_span *word)
{
  if (list->len == 0) {
    return 0;
  }
  const char *space = memchr(list->ptr, ' ', list->len);
  size_t length = space == NULL ? list->len : (size_t)(space - list->ptr);
  *word = span_of(list->ptr, length);
  *list = span_from(*list, space == NULL ? length : length + 1);
  return 1;
}

int ehlo_offer_lists(ehlo_span list, ehlo_span word)
{
  ehlo_span at;
  while (next_word(&list, &at)) {
    if (at.len > 0 && ehlo_span_equal_nocase(at, word)) {
      return 1;
    }
  }
  return 0;
}

/* ---- what stands behind the keywords ---- */

/* size-param = [ 1*20DIGIT ]; alone, or unreadable, it says nothing about the maximum                 (RFC 1870 3) */
static void read_size(struct offer *offer, ehlo_span text)
{
  uint64_t limit;
  if (ehlo_parse_number(text, SIZE_MAX, &limit) == EHLO_OK) {
    offer->size_limit = limit;
  }
}

/* auth-param = sasl-mech *( SP sasl-mech )                                                             (RFC 4954 3) */
static void read_auth(struct offer *offer, ehlo_span text)
{
  ehlo_span name;
  while (next_word(&text, &name)) {
    uint32_t mechanism = ehlo_sasl_find(name);
    offer->mechanisms |= mechanism == EHLO_SASL_OTHER ? 0 : 1U << mechanism;
  }
}

/* deliverby-param = min-by-time *( ',' extension-token )    min-by-time = [1*9DIGIT]                   (RFC 2852 2) */
static void read_deliverby(struct offer *offer, ehlo_span text)
{
  uint64_t seconds;
  const char *comma = text.len == 0 ? NULL : memchr(text.ptr, ',', text.len);
  text.len = comma == NULL ? text.len : (size_t)(comma - text.ptr);
  offer->by_min = ehlo_parse_number(text, 9, &seconds) == EHLO_OK ? (uint32_t)seconds : 0;
}

/* future-release-param = max-future-release-interval SP max-future-release-date-time                   (RFC 4865 3)
 * Returns 1 if it is one. */
static int read_futurerelease(struct offer *offer, ehlo_span text)
{
  ehlo_span interval;
  uint64_t seconds;
  int64_t time;
  if (!next_word(&text, &interval) || ehlo_parse_number(interval, 9, &seconds) != EHLO_OK ||
      ehlo_parse_date_time(text, &time) != EHLO_OK) {
    return 0;
  }
  offer->hold_max = (uint32_t)seconds;
  offer->hold_until_max = time;
  return 1;
}

/* MAILMAX, RCPTMAX, RCPTDOMAINMAX = %x31-39 0*5DIGIT                                         (RFC 9422 4.1 to 4.3)
 * Another value leaves its limit as if it had not been said (3.7). */
static void read_limit(struct offer *offer, ehlo_span name, ehlo_span value)
{
  uint64_t number;
  if (ehlo_parse_number(value, 6, &number) != EHLO_OK || value.ptr[0] == '0') {
    number = 0;
  }
  if (ehlo_span_equal_nocase(name, ehlo_span_of("MAILMAX"))) {
    offer->mail_max = (uint32_t)number;
  } else if (ehlo_span_equal_nocase(name, ehlo_span_of("RCPTMAX"))) {
    offer->rcpt_max = (uint32_t)number;
  } else if (ehlo_span_equal_nocase(name, ehlo_span_of("RCPTDOMAINMAX"))) {
    offer->rcpt_domain_max = (uint32_t)number;
  }
}

/* limit-name-value = limit-name ["=" limit-value]                                                     (RFC 9422 3)
 * limit-name       = 1*(ALPHA / DIGIT / "-" / "_")    limit-value = 1*(%x21-3A / %x3C-7E) ; any VCHAR except ";" */
static int split_limit(ehlo_span limit, ehlo_span *name, ehlo_span *value)
{
  const char *equals = limit.len == 0 ? NULL : memchr(limit.ptr, '=', limit.len);
  *name = span_of(limit.ptr, equals == NULL ? limit.len : (size_t)(equals - limit.ptr));
  *value = equals == NULL ? span_of(NULL, 0) : span_from(limit, name->len + 1);
  for (size_t i = 0; i < name->len; i++) {
    if (!octet_is((unsigned char)name->ptr[i], CLASS_LDH) && name->ptr[i] != '_') {
      return 0;
    }
  }
  for (size_t i = 0; i < value->len; i++) {
    if (value->ptr[i] < '!' || value->ptr[i] > '~' || value->ptr[i] == ';') {
      return 0;
    }
  }
  return name->len > 0 && (equals == NULL || value->len > 0);
}

/* limits-param = limit-name-value 0*[SP limit-name-value]                                             (RFC 9422 3)
 * Returns 1 if it is one; else nothing of it counts (3.7). */
static int read_limits(struct offer *offer, ehlo_span text)
{
  ehlo_span limit;
  ehlo_span name;
  ehlo_span value;
  offer->mail_max = offer->rcpt_max = offer->rcpt_domain_max = 0;
  for (ehlo_span rest = text; next_word(&rest, &limit);) {
    if (!split_limit(limit, &name, &value)) {
      return 0;
    }
  }
  for (ehlo_span rest = text; next_word(&rest, &limit);) {
    (void)split_limit(limit, &name, &value);
    read_limit(offer, name, value);
  }
  return text.len > 0;
}

/* ---- the area: for each text the extension, two octets of length, and the text ---- */

enum { TEXT_HEADER = 3 };

static void keep_text(struct offer *offer, uint32_t extension, ehlo_span text, unsigned char *area, size_t size)
{
  if (text.len == 0 || text.len > UINT16_MAX || size - offer->texts < TEXT_HEADER + text.len) {
    return;
  }
  unsigned char *to = area + offer->texts;
  to[0] = (unsigned char)extension;
  to[1] = (unsigned char)(text.len >> 8);
  to[2] = (unsigned char)text.len;
  memcpy(to + TEXT_HEADER, text.ptr, text.len);
  offer->texts += (uint32_t)(TEXT_HEADER + text.len);
}

ehlo_span ehlo_offer_text(const struct offer *offer, const unsigned char *area, uint32_t extension)
{
  ehlo_span text = span_of(NULL, 0);
  for (uint32_t at = 0; at < offer->texts;) {
    size_t length = (size_t)area[at + 1] << 8 | area[at + 2];
    if (area[at] == extension) {
      text = span_of(area + at + TEXT_HEADER, length); /* the last that was said counts */
    }
    at += TEXT_HEADER + (uint32_t)length;
  }
  return text;
}

/* ---- lines ---- */

/* AUTH as it was before RFC 2554: "AUTH=LOGIN PLAIN". Servers list it beside the other for clients of that time. */
static int is_old_auth(ehlo_span line)
{
  return line.len >= 5 && line.ptr[4] == '=' && ehlo_span_equal_nocase(span_of(line.ptr, 4), span_of("AUTH", 4));
}

/* ehlo-line = ehlo-keyword *( SP ehlo-param )                                                    (RFC 5321 4.1.1.1) */
void ehlo_offer_read(struct offer *offer, ehlo_span line, unsigned char *area, size_t size)
{
  int is_old = is_old_auth(line);
  uint32_t extension = is_old ? (uint32_t)EHLO_EXT_AUTH : ehlo_extension_find(line);
  if (extension == EHLO_EXT_COUNT) {
    return;
  }
  size_t behind = ehlo_extension_word(extension).len + 1;
  ehlo_span text = span_from(line, line.len < behind ? line.len : behind);
  while (text.len > 0 && text.ptr[text.len - 1] == ' ') {
    text.len--;
  }
  int is_offered = 1;
  switch (extension) {
  case EHLO_EXT_SIZE: read_size(offer, text); break;
  case EHLO_EXT_AUTH: read_auth(offer, text); break;
  case EHLO_EXT_DELIVERBY: read_deliverby(offer, text); break;
  case EHLO_EXT_FUTURERELEASE: is_offered = read_futurerelease(offer, text); break;
  case EHLO_EXT_LIMITS: is_offered = read_limits(offer, text); break;
  default: break;
  }
  if (!is_offered) {
    offer->set &= ~capability_bit(extension);
    return;
  }
  offer->set |= capability_bit(extension);
  if (!is_old || ehlo_offer_text(offer, area, extension).len == 0) {
    keep_text(offer, extension, text, area, size);
  }
}
