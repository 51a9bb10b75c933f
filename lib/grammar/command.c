/* command.c: a command line, taken apart. Floor: grammar. */
#include "../bytes/span.h"
#include "ehlo/grammar.h"
#include "table.h"
#include "utf8.h"

/* Verb [ SP argument ] *( SP / HTAB ), the line without its CRLF. RFC 5321 2.4: verb and argument are separated by a space;
 * 4.1.1: white space before the CRLF is tolerated. Verbs are words of letters; extensions have used digits and hyphens
 * for theirs too. */
int ehlo_parse_command(ehlo_span line, ehlo_command *command)
{
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
    command->verb = EHLO_VERB_UNKNOWN;
    command->has_argument = 0;
    command->name = span_of(NULL, 0);
    command->argument = span_of(NULL, 0);
    return EHLO_ERR_SYNTAX;
  }
  command->name = span_between(begin, at);
  command->verb = ehlo_verb_find(command->name);
  command->has_argument = at < end;
  command->argument = at < end ? span_between(at + 1, end) : span_of(NULL, 0);
  return EHLO_OK;
}
