/* fuzz_trace.c: Received and Return-Path.
 *
 * The input: one octet of flags (EHLO_PARSE_ bits; 4 tells `utf8`), two of utc_offset, eight of time, then seven parts,
 * each an octet of length and as many octets as it says or as there are.
 *
 * Held to: nothing but printable octets goes out, in folded lines that none passes the limit; the parts come back out
 * of the field; the date, read by the C library, is the time that went in.
 */
#define _GNU_SOURCE /* strptime, timegm */
#include "fuzz_grammar.h"

#include <time.h>

struct input {
  const uint8_t *at;
  size_t left;
};

static uint64_t take_number(struct input *input, unsigned octets)
{
  uint64_t number = 0;
  for (; octets > 0 && input->left > 0; octets--) {
    number = number << 8 | *input->at++;
    input->left--;
  }
  return number;
}

static ehlo_span take_part(struct input *input)
{
  size_t length = (size_t)take_number(input, 1);
  length = length < input->left ? length : input->left;
  ehlo_span part = copy_of(input->at, length);
  input->at += length;
  input->left -= length;
  return part;
}

/* Lines that end in CRLF, those behind the first begin with a tab, none is too long or blank, all octets may stand
 * there. */
static void check_field(ehlo_span field, int utf8)
{
  size_t column = 0;
  int word = 0;
  REQUIRE(field.len > 2 && memcmp(field.ptr + field.len - 2, "\r\n", 2) == 0);
  REQUIRE(ehlo_utf8_valid(field) == field.len);
  for (size_t i = 0; i < field.len; i++) {
    unsigned char octet = (unsigned char)field.ptr[i];
    if (octet == '\r') {
      REQUIRE(i + 1 < field.len && field.ptr[i + 1] == '\n');
      REQUIRE(word && column <= 998);
      i++;
      column = 0;
      word = 0;
      REQUIRE(i + 1 == field.len || field.ptr[i + 1] == '\t');
      continue;
    }
    REQUIRE((octet >= 32 && octet < 127) || (octet > 127 && utf8) || (octet == '\t' && column == 0 && i > 0));
    word |= octet != ' ' && octet != '\t';
    column++;
  }
}

/* The field without its folds, ended by a NUL. */
static char *unfold(ehlo_span field)
{
  char *text = block_of(field.len + 1);
  size_t length = 0;
  for (size_t i = 0; i < field.len; i++) {
    if (field.ptr[i] != '\r' && field.ptr[i] != '\n') {
      text[length++] = field.ptr[i] == '\t' ? ' ' : field.ptr[i];
    }
  }
  text[length] = '\0';
  return text;
}

static void check_date(const char *date, const ehlo_received *received)
{
  struct tm when;
  char again[64];
  memset(&when, 0, sizeof when);
  const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S", &when);
  REQUIRE(end != NULL);
  int weekday = when.tm_wday;
  REQUIRE((int64_t)timegm(&when) == received->time + (int64_t)received->utc_offset * 60);
  REQUIRE(when.tm_wday == weekday);
  int minutes = received->utc_offset < 0 ? -received->utc_offset : received->utc_offset;
  snprintf(again, sizeof again, " %c%02d%02d", received->utc_offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
  REQUIRE(strcmp(end, again) == 0);
}

/* Does " keyword value" stand in the text? */
static int tells(const char *text, const char *keyword, ehlo_span value, const char *behind)
{
  char *clause = block_of(value.len + strlen(keyword) + strlen(behind) + 3);
  sprintf(clause, " %s %.*s%s", keyword, (int)value.len, value.ptr, behind);
  int found = strstr(text, clause) != NULL;
  free(clause);
  return found;
}

static void check_received(const ehlo_received *received, uint32_t flags)
{
  size_t needed;
  size_t length;
  char *none = block_of(0);
  int result = ehlo_format_received(received, none, 0, &needed);
  free(none);
  if (result != EHLO_ERR_BUFFER) {
    REQUIRE(result == EHLO_ERR_TEXT || result == EHLO_ERR_ARGUMENT);
    REQUIRE(needed == 0);
    return;
  }
  char *buffer = block_of(needed);
  REQUIRE(ehlo_format_received(received, buffer, needed, &length) == EHLO_OK && length == needed);
  ehlo_span field = {buffer, length};
  check_field(field, (flags & EHLO_PARSE_UTF8) != 0);
  char *text = unfold(field);
  const char *semicolon = strrchr(text, ';');
  REQUIRE(strncmp(text, "Received: ", 10) == 0 && semicolon != NULL);
  check_date(semicolon + 2, received);
  REQUIRE(tells(text, "by", received->by, ""));
  REQUIRE(tells(text, "with", received->with, ""));
  REQUIRE(received->id.len == 0 || tells(text, "id", received->id, ""));
  if (received->recipient.len > 0) {
    ehlo_path path;
    size_t used;
    REQUIRE(ehlo_parse_path(received->recipient, flags, &path, &used) == EHLO_OK && used == received->recipient.len);
    ehlo_span inside = {path.mailbox.ptr - 1, path.mailbox.len + 2};
    if (path.route.len == 0) {
      REQUIRE(tells(text, "for", inside, ";"));
    }
  }
  free(text);
  free(buffer);
}

static void check_return_path(ehlo_span path, uint32_t flags)
{
  size_t room = path.len + 20;
  char *buffer = block_of(room);
  size_t length;
  int result = ehlo_format_return_path(path, flags, buffer, room, &length);
  ehlo_path parsed;
  size_t used;
  int good = ehlo_parse_path(path, flags, &parsed, &used) == EHLO_OK && used == path.len &&
             parsed.kind != EHLO_PATH_POSTMASTER;
  REQUIRE(result == (good ? EHLO_OK : EHLO_ERR_TEXT));
  if (good) {
    ehlo_path again;
    ehlo_span field = {buffer, length};
    check_field(field, (flags & EHLO_PARSE_UTF8) != 0);
    char *text = unfold(field);
    REQUIRE(strncmp(text, "Return-Path: ", 13) == 0);
    ehlo_span rest = ehlo_span_of(text + 13);
    REQUIRE(ehlo_parse_path(rest, flags, &again, &used) == EHLO_OK && used == rest.len);
    REQUIRE(again.route.len == 0 && ehlo_span_equal(again.mailbox, parsed.mailbox));
    free(text);
  }
  free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct input input = {data, size};
  ehlo_received received;
  memset(&received, 0, sizeof received);
  uint32_t flags = (uint32_t)take_number(&input, 1);
  received.utf8 = (flags & 4) != 0;
  received.utc_offset = (int16_t)take_number(&input, 2);
  received.time = (int64_t)take_number(&input, 8);
  if ((flags & 8) != 0) {
    received.utc_offset %= 1440;
    received.time %= 253402300800;
  }
  received.hello = take_part(&input);
  received.client_name = take_part(&input);
  received.client_address = take_part(&input);
  received.by = take_part(&input);
  received.with = take_part(&input);
  received.id = take_part(&input);
  received.recipient = take_part(&input);
  check_received(&received, received.utf8 ? EHLO_PARSE_UTF8 : 0);
  check_return_path(received.recipient, flags & (EHLO_PARSE_UTF8 | EHLO_PARSE_UNDERSCORE));
  release(received.hello);
  release(received.client_name);
  release(received.client_address);
  release(received.by);
  release(received.with);
  release(received.id);
  release(received.recipient);
  return 0;
}
