/* fuzz_command.c: command lines against a plainer reading. The input is the line.
 *
 * Held to: the same split as the plain reading; the verb is the one whose name, in any case, is the word; a line put
 * together from what was found is read as the same.
 */
#include "fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  ehlo_span line = copy_of(data, size);
  ehlo_command command;
  memset(&command, 0xAA, sizeof command);
  int result = ehlo_parse_command(line, &command);

  size_t length = line.len;
  while (length > 0 && (line.ptr[length - 1] == ' ' || line.ptr[length - 1] == '\t')) {
    length--;
  }
  size_t word = 0;
  while (word < length && (is_letter_or_digit(line.ptr[word]) || line.ptr[word] == '-')) {
    word++;
  }
  int good = word > 0 && (word == length || line.ptr[word] == ' ');
  REQUIRE(result == (good ? EHLO_OK : EHLO_ERR_SYNTAX));
  if (!good) {
    REQUIRE(is_zero(&command, sizeof command));
    release(line);
    return 0;
  }
  REQUIRE(command.name.ptr == line.ptr && command.name.len == word);
  REQUIRE(command.has_argument == (length > word));
  REQUIRE(command.argument.len == (length > word ? length - word - 1 : 0));
  REQUIRE(lies_inside(command.argument, line));
  uint32_t verb = EHLO_VERB_UNKNOWN;
  for (uint32_t candidate = EHLO_VERB_HELO; candidate < EHLO_VERB_COUNT; candidate++) {
    if (ehlo_span_equal_nocase(command.name, ehlo_span_of(ehlo_verb_name(candidate)))) {
      verb = candidate;
    }
  }
  REQUIRE(command.verb == verb);

  ehlo_span trimmed = copy_of(line.ptr, length);
  ehlo_command again;
  REQUIRE(ehlo_parse_command(trimmed, &again) == EHLO_OK && again.verb == verb);
  REQUIRE(ehlo_span_equal(again.argument, command.argument) && again.has_argument == command.has_argument);
  release(trimmed);
  release(line);
  return 0;
}
