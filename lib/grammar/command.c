/* command.c: a command line, taken apart. Floor: grammar. */
#include "../bytes/span.h"
#include "ehlo/grammar.h"
#include "table.h"
#include "utf8.h"

#include <string.h>

/* ---- verbs ---- */

/* The names of commands.def, side by side, with their NUL. */
static const char names[EHLO_VERB_COUNT][8] = {
#define COMMAND(id, wire, argument, states, extension, silence, answers, accept, accept_reply, group) {wire},
#include "commands.def"
#undef COMMAND
};

static int is_verb(uint32_t verb, uint32_t letters)
{
  uint32_t name;
  memcpy(&name, names[verb], sizeof name);
  return name == letters;
}

/* The verb that a word of letters, digits and hyphens spells. All have four letters. Case is one bit; without it no
 * other octet of such a word is a letter. */
static uint32_t find_verb(const unsigned char *word, size_t length)
{
  uint32_t letters;
  if (length != sizeof letters) {
    return EHLO_VERB_UNKNOWN;
  }
  memcpy(&letters, word, sizeof letters);
  letters &= 0xDFDFDFDF;
  if (is_verb(EHLO_VERB_RCPT, letters)) { /* there are most of them */
    return EHLO_VERB_RCPT;
  }
  for (uint32_t verb = EHLO_VERB_HELO; verb < EHLO_VERB_COUNT; verb++) {
    if (is_verb(verb, letters)) {
      return verb;
    }
  }
  return EHLO_VERB_UNKNOWN;
}

/* ---- lines ---- */

/* Verb [ SP argument ] *( SP / HTAB ), the line without its CRLF. RFC 5321 2.4: verb and argument are separated by a
 * space; 4.1.1: white space before the CRLF is tolerated. Verbs are words of letters; extensions have used digits and
 * hyphens for theirs too. */
int ehlo_parse_command(ehlo_span line, ehlo_command *command)
{
  static const ehlo_command none;
  if (command == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  const unsigned char *begin = span_begin(line);
  const unsigned char *end = span_end(line);
  while (end > begin && (end[-1] == ' ' || end[-1] == '\t')) {
    end--;
  }
  const unsigned char *at = skip_octets(begin, end, CLASS_LDH);
  if (at == begin || (at < end && *at != ' ')) {
    *command = none;
    return EHLO_ERR_SYNTAX;
  }
  command->name = span_between(begin, at);
  command->verb = find_verb(begin, command->name.len);
  command->has_argument = at < end;
  command->argument = at < end ? span_between(at + 1, end) : none.argument;
  return EHLO_OK;
}
