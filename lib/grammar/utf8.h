/* utf8.h: UTF-8, and runs of octets that may hold it. Floor: grammar.
 *
 * SMTPUTF8 widens most rules of the grammar in one and the same way: UTF8-non-ascii joins the octets of a class (RFC
 * 6531 3.3). So the rules of this floor read runs: octets of a class, and between them whole sequences of UTF-8 where
 * the caller's flags let them in.
 */
#ifndef EHLO_GRAMMAR_UTF8_H
#define EHLO_GRAMMAR_UTF8_H

#include "../bytes/span.h"
#include "ehlo/grammar.h"

/* The length, 2 to 4, of the well-formed sequence of a character above U+007F at the front of [at, end); 0 if there is
 * none. at < end. */
size_t ehlo_utf8_sequence(const unsigned char *at, const unsigned char *end);

/* Behind the octets of the classes at the front of [at, end). Four at a time: most of what a command costs is here. */
static inline const unsigned char *skip_octets(const unsigned char *at, const unsigned char *end, unsigned classes)
{
  for (size_t fours = (size_t)(end - at) / 4; fours > 0; fours--, at += 4) {
    if (!octet_is(at[0], classes)) {
      return at;
    }
    if (!octet_is(at[1], classes)) {
      return at + 1;
    }
    if (!octet_is(at[2], classes)) {
      return at + 2;
    }
    if (!octet_is(at[3], classes)) {
      return at + 3;
    }
  }
  while (at < end && octet_is(*at, classes)) {
    at++;
  }
  return at;
}

/* Goes on where UTF-8 turned up: behind sequences of it and octets of the classes. */
const unsigned char *ehlo_skip_utf8(const unsigned char *at, const unsigned char *end, unsigned classes,
                                    uint32_t *seen);

/* As skip_octets, with UTF-8 among the octets if `flags` have EHLO_PARSE_UTF8; *seen becomes 1 if there is some. */
static inline const unsigned char *skip_text(const unsigned char *at, const unsigned char *end, unsigned classes,
                                             uint32_t flags, uint32_t *seen)
{
  at = skip_octets(at, end, classes);
  return at != end && *at > 127 && (flags & EHLO_PARSE_UTF8) != 0 ? ehlo_skip_utf8(at, end, classes, seen) : at;
}

#endif
