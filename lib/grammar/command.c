/* command.c: a command line, taken apart. Floor: grammar. */
#include "../bytes/span.h"
#include "ehlo/grammar.h"
#include "table.h"
#include "utf8.h"

#include <string.h>

/* ---- verbs ---- */

/* The names of commands.def, side by side, with their NUL. */
static const char names[EHLO_VERB_COUNT][12] = {
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

/* Verbs that have another length than four. */
static uint32_t find_long_verb(ehlo_span word)
{
  for (uint32_t verb = EHLO_VERB_HELO; verb < EHLO_VERB_COUNT; verb++) {
    if (ehlo_span_equal_nocase(word, ehlo_span_of(names[verb]))) {
      return verb;
    }
  }
  return EHLO_VERB_UNKNOWN;
}

/* The verb that a word of letters, digits and hyphens spells. Nearly all have four letters. Case is one bit; without it
 * no other octet of such a word is a letter. */
static uint32_t find_verb(const unsigned char *word, size_t length)
{
  uint32_t letters;
  if (length != sizeof letters) {
    return find_long_verb(span_of(word, length));
  }
  memcpy(&letters, word, sizeof letters);
  letters &= 0xDFDFDFDF;
  if (is_verb(EHLO_VERB_RCPT, letters)) { /* there are most of them */
    return EHLO_VERB_RCPT;
  }
  for (uint32_t verb = EHLO_VERB_HELO; verb < EHLO_VERB_COUNT; verb++) {
    if (is_verb(verb, letters) && names[verb][sizeof letters] == '\0') {
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

/* bdat-cmd   = "BDAT" SP chunk-size [ SP end-marker ] CR LF
 * chunk-size = 1*DIGIT    end-marker = "LAST"                                                        (RFC 3030 2) */
int ehlo_parse_chunk(ehlo_span argument, uint64_t *size, uint32_t *last)
{
  if (size == NULL || last == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *size = 0;
  *last = 0;
  const unsigned char *begin = span_begin(argument);
  const unsigned char *end = span_end(argument);
  const unsigned char *at = skip_octets(begin, end, CLASS_DIGIT);
  ehlo_span marker = span_between(at, end);
  uint32_t is_last =
      marker.len == 5 && marker.ptr[0] == ' ' && ehlo_span_equal_nocase(span_from(marker, 1), span_of("LAST", 4));
  if (at == begin || (marker.len > 0 && !is_last)) {
    return EHLO_ERR_SYNTAX;
  }
  uint64_t value = 0;
  for (; begin < at; begin++) {
    uint64_t digit = (uint64_t)(*begin - '0');
    if (value > (UINT64_MAX - digit) / 10) {
      return EHLO_ERR_TOO_LONG;
    }
    value = value * 10 + digit;
  }
  *size = value;
  *last = is_last;
  return EHLO_OK;
}

/* burl-cmd    = "BURL" SP absolute-URI [SP "LAST"] CRLF (RFC 4468 3.5)
 * absolute-URI = scheme ":" hier-part [ "?" query ]    scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (RFC 3986)
 */
int ehlo_parse_burl(ehlo_span argument, ehlo_span *url, uint32_t *last)
{
  if (url == NULL || last == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *url = span_of(NULL, 0);
  *last = 0;
  const unsigned char *begin = span_begin(argument);
  const unsigned char *end = span_end(argument);
  const unsigned char *at = begin;
  while (at < end && (octet_is(*at, CLASS_LDH) || *at == '+' || *at == '.')) {
    at++;
  }
  if (at == begin || !octet_is(*begin, CLASS_ALPHA) || at == end || *at != ':') {
    return EHLO_ERR_SYNTAX;
  }
  const unsigned char *behind = at + 1;
  while (behind<end && * behind> ' ' && *behind < 127 && *behind != '#') {
    behind++;
  }
  ehlo_span marker = span_between(behind, end);
  uint32_t is_last =
      marker.len == 5 && marker.ptr[0] == ' ' && ehlo_span_equal_nocase(span_from(marker, 1), span_of("LAST", 4));
  if (behind == at + 1 || (marker.len > 0 && !is_last)) {
    return EHLO_ERR_SYNTAX;
  }
  *url = span_between(begin, behind);
  *last = is_last;
  return EHLO_OK;
}
