/* fuzz_path.c: paths, mailboxes, domains and local-parts against a reading that looks at whole strings only.
 *
 * The input: one octet of EHLO_PARSE_ flags, then the text.
 *
 * Held to: the longest front part that the simple reading takes is what is matched; addresses are what inet_pton reads;
 * local-parts and paths survive decoding and encoding, and the encoded spelling is never longer than the one that came.
 */
#include "fuzz_grammar.h"

#include <arpa/inet.h>

/* ---- the simple reading ---- */

/* Is the octet in the set, or one that UTF-8 may add? Whether it is well-formed is judged for the whole text. */
static int allowed(char octet, const char *marks, uint32_t flags)
{
  if ((unsigned char)octet > 127) {
    return (flags & EHLO_PARSE_UTF8) != 0;
  }
  return is_letter_or_digit(octet) || (octet != '\0' && strchr(marks, octet) != NULL);
}

static int simple_label(ehlo_span label, uint32_t flags)
{
  const char *inner = (flags & EHLO_PARSE_UNDERSCORE) != 0 ? "-_" : "-";
  if (label.len == 0 || !allowed(label.ptr[0], "", flags) || !allowed(label.ptr[label.len - 1], "", flags)) {
    return 0;
  }
  for (size_t i = 0; i < label.len; i++) {
    if (!allowed(label.ptr[i], inner, flags)) {
      return 0;
    }
  }
  return 1;
}

static int simple_name(ehlo_span name, uint32_t flags)
{
  size_t from = 0;
  for (size_t i = 0; i <= name.len; i++) {
    if (i == name.len || name.ptr[i] == '.') {
      if (!simple_label(part_of(name, from, i), flags)) {
        return 0;
      }
      from = i + 1;
    }
  }
  return 1;
}

/* Groups of zeros that "::" stands for may be only one to inet_pton: count what is spelt. */
static int gap_is_wide_enough(const char *text)
{
  size_t groups = 0;
  const char *gap = strstr(text, "::");
  if (gap == NULL) {
    return 1;
  }
  for (const char *at = text; *at != '\0';) {
    size_t length = strcspn(at, ":");
    groups += length == 0 ? 0 : memchr(at, '.', length) != NULL ? 2 : 1;
    at += length;
    at += *at == ':';
  }
  return groups <= 6;
}

/* Takes the zeros in front off each number of a dotted address, which inet_pton would refuse. 0 if a number has more
 * than three digits. */
static int plain_numbers(char *text)
{
  char *to = text;
  for (const char *at = text; *at != '\0';) {
    size_t digits = strspn(at, "0123456789");
    if (digits > 3) {
      return 0;
    }
    for (; digits > 1 && *at == '0'; digits--) {
      at++;
    }
    memmove(to, at, digits);
    to += digits;
    at += digits;
    if (*at != '\0') {
      *to++ = *at++;
    }
  }
  *to = '\0';
  return 1;
}

/* An address literal; `address` gets what inet_pton says. */
static int simple_literal(ehlo_span text, uint8_t address[16])
{
  char inside[128];
  memset(address, 0, 16);
  if (text.len < 3 || text.len > sizeof inside || text.ptr[0] != '[' || text.ptr[text.len - 1] != ']' ||
      memchr(text.ptr, '\0', text.len) != NULL) {
    return 0;
  }
  memcpy(inside, text.ptr + 1, text.len - 2);
  inside[text.len - 2] = '\0';
  char *begin = inside;
  int version = 4;
  ehlo_span tag = {inside, text.len < 7 ? 0 : 5};
  if (ehlo_span_equal_nocase(tag, ehlo_span_of("IPv6:"))) {
    begin += 5;
    version = 6;
  }
  char *dotted = version == 4 ? begin : strchr(begin, '.');
  if (dotted != NULL) {
    while (dotted > begin && dotted[-1] != ':') {
      dotted--;
    }
    if (!plain_numbers(dotted)) {
      return 0;
    }
  }
  return inet_pton(version == 4 ? AF_INET : AF_INET6, begin, address) == 1 &&
         (version == 4 || gap_is_wide_enough(begin));
}

static int simple_domain(ehlo_span text, uint32_t flags)
{
  uint8_t address[16];
  if (ehlo_utf8_valid(text) != text.len) {
    return 0;
  }
  return simple_name(text, flags) || simple_literal(text, address);
}

static int simple_local_part(ehlo_span text, uint32_t flags)
{
  if (text.len > 0 && text.ptr[0] == '"') {
    if (text.len < 3 || text.ptr[text.len - 1] != '"') {
      return 0;
    }
    for (size_t i = 1; i < text.len - 1; i++) {
      unsigned char octet = (unsigned char)text.ptr[i];
      if (octet == '\\') {
        octet = (unsigned char)text.ptr[++i];
        if (i == text.len - 1 || octet < 32 || octet > 126) {
          return 0;
        }
      } else if (octet < 32 || octet == '"' || octet == 127 || (octet > 127 && (flags & EHLO_PARSE_UTF8) == 0)) {
        return 0;
      }
    }
    return 1;
  }
  char before = '.';
  for (size_t i = 0; i < text.len; i++) {
    if (!allowed(text.ptr[i], before == '.' ? "!#$%&'*+-/=?^_`{|}~" : ".!#$%&'*+-/=?^_`{|}~", flags)) {
      return 0;
    }
    before = text.ptr[i];
  }
  return before != '.';
}

static int simple_mailbox(ehlo_span text, uint32_t flags)
{
  size_t at = text.len;
  while (at > 0 && text.ptr[at - 1] != '@') {
    at--;
  }
  return at > 0 && ehlo_utf8_valid(text) == text.len && simple_local_part(part_of(text, 0, at - 1), flags) &&
         simple_domain(part_of(text, at, text.len), flags);
}

static int simple_path(ehlo_span text, uint32_t flags)
{
  if (text.len < 2 || text.ptr[0] != '<' || text.ptr[text.len - 1] != '>') {
    return 0;
  }
  ehlo_span inside = part_of(text, 1, text.len - 1);
  if (inside.len == 0 || ehlo_span_equal_nocase(inside, ehlo_span_of("postmaster"))) {
    return 1;
  }
  if (inside.ptr[0] == '@') {
    const char *colon = memchr(inside.ptr, ':', inside.len);
    if (colon == NULL) {
      return 0;
    }
    ehlo_span route = part_of(inside, 0, (size_t)(colon - inside.ptr));
    for (size_t from = 0, i = 0; i <= route.len; i++) {
      if (i == route.len || route.ptr[i] == ',') {
        ehlo_span domain = part_of(route, from, i);
        if (domain.len < 2 || domain.ptr[0] != '@' || !simple_name(part_of(domain, 1, domain.len), flags)) {
          return 0;
        }
        from = i + 1;
      }
    }
    if (ehlo_utf8_valid(route) != route.len) {
      return 0;
    }
    inside = part_of(inside, route.len + 1, inside.len);
  }
  return simple_mailbox(inside, flags);
}

/* The length of the longest front part that the simple reading takes; 0 for none. */
static size_t longest(ehlo_span text, uint32_t flags, int (*takes)(ehlo_span, uint32_t))
{
  size_t length = text.len;
  while (length > 0 && !takes(part_of(text, 0, length), flags)) {
    length--;
  }
  return length;
}

/* ---- what is held ---- */

static void check_domain(const ehlo_domain *domain, ehlo_span text)
{
  uint8_t address[16];
  REQUIRE(lies_inside(domain->raw, text));
  REQUIRE(domain->utf8 == (uint32_t)has_high_octet(domain->raw));
  if (domain->kind == EHLO_DOMAIN_IPV4 || domain->kind == EHLO_DOMAIN_IPV6) {
    REQUIRE(simple_literal(domain->raw, address));
    REQUIRE(memcmp(address, domain->address, sizeof address) == 0);
  } else {
    REQUIRE(is_zero(domain->address, sizeof domain->address));
    REQUIRE((domain->kind == EHLO_DOMAIN_NAME) == (domain->raw.len > 0));
  }
}

/* Decodes, encodes and formats what a path names; the result must name the same. */
static void check_round_trip(const ehlo_path *path, uint32_t flags)
{
  size_t room = 2 * path->raw.len + 8;
  char *decoded = block_of(room);
  char *encoded = block_of(room);
  char *formatted = block_of(room);
  size_t decoded_length = 0;
  size_t length;
  size_t used;
  ehlo_path again;
  if (path->kind != EHLO_PATH_NULL) {
    REQUIRE(ehlo_local_part_decode(path->local_part, decoded, room, &decoded_length) == EHLO_OK);
    REQUIRE(ehlo_local_part_encode((ehlo_span){decoded, decoded_length}, flags, encoded, room, &length) == EHLO_OK);
    REQUIRE(length <= path->local_part.len);
    REQUIRE(ehlo_local_part_equal(path->local_part, (ehlo_span){encoded, length}));
  }
  REQUIRE(ehlo_format_path((ehlo_span){decoded, decoded_length}, path->domain.raw, flags, formatted, room, &length) ==
          EHLO_OK);
  REQUIRE(ehlo_parse_path((ehlo_span){formatted, length}, flags, &again, &used) == EHLO_OK && used == length);
  REQUIRE(again.kind == path->kind && ehlo_span_equal(again.domain.raw, path->domain.raw));
  REQUIRE(path->kind == EHLO_PATH_NULL || ehlo_local_part_equal(again.local_part, path->local_part));
  free(decoded);
  free(encoded);
  free(formatted);
}

static void check_path(int result, const ehlo_path *path, size_t used, size_t want, ehlo_span text)
{
  REQUIRE(used == want);
  REQUIRE(result == (want > 0 ? EHLO_OK : EHLO_ERR_SYNTAX));
  if (result != EHLO_OK) {
    REQUIRE(is_zero(path, sizeof *path));
    return;
  }
  REQUIRE(path->raw.ptr == text.ptr && path->raw.len == used);
  REQUIRE(lies_inside(path->route, path->raw) && lies_inside(path->mailbox, path->raw));
  REQUIRE(lies_inside(path->local_part, path->mailbox) && lies_inside(path->domain.raw, path->mailbox));
  REQUIRE(path->utf8 == (uint32_t)has_high_octet(path->raw));
  REQUIRE(path->quoted == (path->local_part.len > 0 && path->local_part.ptr[0] == '"'));
  check_domain(&path->domain, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1 || size > 400) {
    return 0;
  }
  uint32_t flags = data[0] & (EHLO_PARSE_UTF8 | EHLO_PARSE_UNDERSCORE);
  ehlo_span text = copy_of(data + 1, size - 1);
  ehlo_path path;
  ehlo_domain domain;
  size_t used;

  memset(&path, 0xAA, sizeof path);
  int result = ehlo_parse_path(text, flags, &path, &used);
  check_path(result, &path, used, longest(text, flags, simple_path), text);
  if (result == EHLO_OK) {
    check_round_trip(&path, flags);
  }

  memset(&path, 0xAA, sizeof path);
  result = ehlo_parse_mailbox(text, flags, &path, &used);
  check_path(result, &path, used, longest(text, flags, simple_mailbox), text);
  REQUIRE(result != EHLO_OK || (path.kind == EHLO_PATH_MAILBOX && path.route.len == 0));
  if (result == EHLO_OK) {
    check_round_trip(&path, flags);
  }

  memset(&domain, 0xAA, sizeof domain);
  result = ehlo_parse_domain(text, flags, &domain, &used);
  REQUIRE(used == longest(text, flags, simple_domain));
  REQUIRE(result == (used > 0 ? EHLO_OK : EHLO_ERR_SYNTAX));
  REQUIRE(result == EHLO_OK ? domain.raw.ptr == text.ptr && domain.raw.len == used : is_zero(&domain, sizeof domain));
  check_domain(&domain, text);

  /* The text as a local-part, spelt and decoded. */
  char *buffer = block_of(2 * text.len + 2);
  size_t length;
  result = ehlo_local_part_decode(text, buffer, text.len, &length);
  REQUIRE(result ==
          (simple_local_part(text, EHLO_PARSE_UTF8) && ehlo_utf8_valid(text) == text.len ? EHLO_OK : EHLO_ERR_SYNTAX));
  REQUIRE(ehlo_local_part_equal(text, text) == (result == EHLO_OK));
  result = ehlo_local_part_encode(text, flags, buffer, 2 * text.len + 2, &length);
  REQUIRE(result == EHLO_OK || (result == EHLO_ERR_TEXT && length == 0));
  if (result == EHLO_OK) {
    ehlo_span spelt = copy_of(buffer, length);
    REQUIRE(simple_local_part(spelt, flags));
    REQUIRE(ehlo_local_part_decode(spelt, buffer, text.len, &length) == EHLO_OK);
    REQUIRE(ehlo_span_equal((ehlo_span){buffer, length}, text));
    release(spelt);
  }
  free(buffer);
  release(text);
  return 0;
}
