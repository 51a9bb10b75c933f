/* check.c: what the tests of the grammar floor share. */
#include "check.h"

const char *shown(ehlo_span octets)
{
  static char text[4096];
  size_t at = 0;
  for (size_t i = 0; i < octets.len && at + 8 < sizeof text; i++) {
    unsigned char octet = (unsigned char)octets.ptr[i];
    if (octet < 32 || octet > 126) {
      at += (size_t)snprintf(text + at, sizeof text - at, "\\x%02X", octet);
    } else {
      text[at++] = (char)octet;
    }
  }
  text[at] = '\0';
  return text;
}

ehlo_span front(ehlo_span text, size_t length)
{
  ehlo_span span = {text.ptr, length};
  return span;
}

int same_place(ehlo_span a, ehlo_span b)
{
  return a.len == b.len && (a.len == 0 || a.ptr == b.ptr);
}

int lies_inside(ehlo_span part, ehlo_span whole)
{
  return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

int is_zero(const void *object, size_t size)
{
  const unsigned char *octets = object;
  for (size_t i = 0; i < size; i++) {
    if (octets[i] != 0) {
      return 0;
    }
  }
  return 1;
}

void check_format(const char *rule, ehlo_span input_text, format_fn *format, const void *input, ehlo_span want)
{
  for (size_t size = 0; size <= want.len + 2; size++) {
    char *buffer = guard_room(GUARD_SLOTS - 1, size);
    size_t length = SIZE_MAX;
    int result = format(input, buffer, size, &length);
    ehlo_span got = {buffer, length};
    CHECK(rule, input_text, length == want.len);
    CHECK(rule, input_text, result == (size < want.len ? EHLO_ERR_BUFFER : EHLO_OK));
    if (result == EHLO_OK) {
      CHECK(rule, got, ehlo_span_equal(got, want));
    }
  }
  size_t length = SIZE_MAX;
  CHECK(rule, input_text, format(input, NULL, 0, &length) == EHLO_ERR_ARGUMENT && length == 0);
  CHECK(rule, input_text, format(input, guard_room(GUARD_SLOTS - 1, 1), 1, NULL) == EHLO_ERR_ARGUMENT);
}

void check_refused(const char *rule, ehlo_span input_text, format_fn *format, const void *input, int error)
{
  static const size_t sizes[] = {0, 1, 20, 4096};
  for (size_t i = 0; i < ROWS(sizes); i++) {
    size_t length = SIZE_MAX;
    int result = format(input, guard_room(GUARD_SLOTS - 1, sizes[i]), sizes[i], &length);
    CHECK(rule, input_text, result == error);
    CHECK(rule, input_text, length == 0);
  }
}
