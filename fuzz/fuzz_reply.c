/* fuzz_reply.c: lines of replies, read and written.
 *
 * The input: two octets of code, three of an enhanced code, one of flags (EHLO_PARSE_UTF8, 4 last line, 8 with the
 * enhanced code), then a line, or the text of one.
 *
 * Held to: a line is taken if a plain reading takes it; what was written is read as what it was written from, is not
 * longer than 512 octets, and holds nothing that may not go out.
 */
#include "fuzz_grammar.h"

static void check_reading(ehlo_span line)
{
  ehlo_reply_line reply;
  memset(&reply, 0xAA, sizeof reply);
  int result = ehlo_parse_reply_line(line, &reply);
  int good = line.len >= 3 && line.ptr[0] >= '2' && line.ptr[0] <= '5' && line.ptr[1] >= '0' && line.ptr[1] <= '5' &&
             line.ptr[2] >= '0' && line.ptr[2] <= '9' && (line.len == 3 || line.ptr[3] == ' ' || line.ptr[3] == '-');
  for (size_t i = 4; i < line.len; i++) {
    good = good && line.ptr[i] != '\r' && line.ptr[i] != '\n' && line.ptr[i] != '\0';
  }
  REQUIRE(result == (good ? EHLO_OK : EHLO_ERR_SYNTAX));
  if (!good) {
    REQUIRE(is_zero(&reply, sizeof reply));
    return;
  }
  char code[16];
  snprintf(code, sizeof code, "%u", (unsigned)reply.code);
  REQUIRE(memcmp(code, line.ptr, 3) == 0 && strlen(code) == 3);
  REQUIRE(reply.last == (line.len == 3 || line.ptr[3] == ' '));
  REQUIRE(reply.text.len == (line.len > 4 ? line.len - 4 : 0) && lies_inside(reply.text, line));
}

static void check_enhanced(ehlo_span text)
{
  ehlo_enhanced enhanced;
  size_t used;
  int result = ehlo_parse_enhanced(text, &enhanced, &used);
  if (result != EHLO_OK) {
    REQUIRE(result == EHLO_ERR_SYNTAX && used == 0 && is_zero(&enhanced, sizeof enhanced));
    return;
  }
  char code[32];
  size_t length =
      (size_t)snprintf(code, sizeof code, "%u.%u.%u", enhanced.status_class, enhanced.subject, enhanced.detail);
  REQUIRE(enhanced.status_class == 2 || enhanced.status_class == 4 || enhanced.status_class == 5);
  REQUIRE(enhanced.subject <= 999 && enhanced.detail <= 999);
  REQUIRE(used <= text.len && length <= used && memcmp(text.ptr, code, length) == 0);
  for (size_t i = length; i < used; i++) {
    REQUIRE(text.ptr[i] == ' ' || text.ptr[i] == '\t');
  }
  REQUIRE(used == text.len || used > length);
  REQUIRE(used == text.len || (text.ptr[used] != ' ' && text.ptr[used] != '\t'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 6) {
    return 0;
  }
  uint32_t code = (uint32_t)data[0] + (uint32_t)data[1] * 4;
  ehlo_enhanced enhanced = {data[2] % 8, (uint16_t)(data[3] * 4), (uint16_t)(data[4] * 4)};
  uint32_t flags = data[5] & EHLO_PARSE_UTF8;
  uint32_t last = (data[5] & 4) != 0;
  int with_enhanced = (data[5] & 8) != 0;
  ehlo_span text = copy_of(data + 6, size - 6);
  check_reading(text);
  check_enhanced(text);

  size_t length;
  size_t needed;
  char *none = block_of(0);
  int result = ehlo_format_reply_line(code, last, with_enhanced ? &enhanced : NULL, text, flags, none, 0, &needed);
  free(none);
  if (result != EHLO_ERR_BUFFER) {
    REQUIRE(result == EHLO_ERR_CODE || result == EHLO_ERR_TEXT || result == EHLO_ERR_TOO_LONG);
    REQUIRE(needed == 0);
    release(text);
    return 0;
  }
  REQUIRE(needed <= 512);
  char *line = block_of(needed);
  REQUIRE(ehlo_format_reply_line(code, last, with_enhanced ? &enhanced : NULL, text, flags, line, needed, &length) ==
          EHLO_OK);
  REQUIRE(length == needed && memcmp(line + length - 2, "\r\n", 2) == 0);
  for (size_t i = 0; i < length - 2; i++) {
    unsigned char octet = (unsigned char)line[i];
    REQUIRE(octet == '\t' || (octet >= 32 && octet != 127 && (octet < 128 || flags != 0)));
  }
  ehlo_span written = copy_of(line, length - 2);
  free(line);
  ehlo_reply_line reply;
  ehlo_enhanced read = {0, 0, 0};
  size_t used = 0;
  REQUIRE(ehlo_utf8_valid(written) == written.len);
  REQUIRE(ehlo_parse_reply_line(written, &reply) == EHLO_OK && reply.code == code && reply.last == last);
  if (with_enhanced && enhanced.status_class != 0) {
    REQUIRE(ehlo_parse_enhanced(reply.text, &read, &used) == EHLO_OK);
    REQUIRE(memcmp(&read, &enhanced, sizeof read) == 0);
  }
  /* Spaces at the front of the text join those behind the enhanced code. */
  REQUIRE(reply.text.len >= text.len);
  REQUIRE(text.len == 0 || memcmp(reply.text.ptr + (reply.text.len - text.len), text.ptr, text.len) == 0);
  release(written);
  release(text);
  return 0;
}
