/* transcript_shared.h: what the transcripts of the server and those of the client share.
 *
 * Growing text and its escapes, the words of a line, how what happened is held to what is written, memory that ends
 * at a guard page, and the program around it all.
 */
#ifndef EHLO_TESTS_TRANSCRIPT_SHARED_H
#define EHLO_TESTS_TRANSCRIPT_SHARED_H

#include "ehlo.h"

#include <stdio.h>

/* ---- growing text --------------------------------------------------------------------------- */

struct text {
  char *ptr; /* a NUL stands behind the octets */
  size_t len;
  size_t room;
};

void text_clear(struct text *text);
void text_free(struct text *text);
void text_add(struct text *text, const void *octets, size_t size);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds octets so that they can be read: one word, without spaces or control characters. */
void text_add_escaped(struct text *text, ehlo_span octets);
/* Adds a line with its escapes and repetitions made real: \r \n \t \0 \s \\ \{ \xHH, and {text*count}. NULL, or what is
 * wrong with it. */
const char *text_add_unescaped(struct text *text, const char *from, size_t length);
int text_differs(const struct text *a, const struct text *b);
/* Its octets as a string; "" if nothing was ever added. */
const char *string_of(const struct text *text);

/* ---- words and lines ------------------------------------------------------------------------ */

/* The word at *at, which moves behind it and the space that follows. */
size_t next_word(const char **at, const char **word);
int word_is(const char *word, size_t length, const char *name);
int starts(const char *line, const char *with);

/* " label" and the octets, escaped; nothing for an empty span. */
void print_span(struct text *out, const char *label, ehlo_span span);
/* Prints octets as lines of a transcript. */
void print_lines(struct text *out, char marker, const struct text *octets);

/* The name of a verb in capitals, also where the library's is for logs ("MESSAGE"). */
const char *verb_name(uint32_t verb);
/* EHLO_END_ and EHLO_VIOLATION_ without their beginnings; "?" for a number that is none. */
const char *end_name(uint32_t reason);
const char *violation_name(uint32_t kind);
const char *name_in(const char *const *names, size_t count, uint32_t number);

/* The line behind this one, which ends at LF. */
const char *next_line_of(const char *line);
int has_line(const char *lines, const char *line, size_t length);

enum { EVENTS_OTHERS, EVENTS_REPLIES, EVENTS_ALL };

/* Holds the "* " lines against what happened: `which` of them, EVENTS_. The first line that did not, or NULL; with
 * `exact`, also an event that no line expects. */
const char *events_unmatched(const char *expected, const char *actual, int which, int exact);

/* Shows where two logs part, with the lines before. */
void print_difference(FILE *report, const char *expected, const char *actual);

/* ---- memory with a guard page behind it ----------------------------------------------------- */

enum { ARENA_SIZE = 1 << 21, CANARY = 64, CANARY_OCTET = 0xC5, POISON = 0xDB };

/* The octet behind an arena of ARENA_SIZE octets, which cannot be touched. */
char *arena_new(void);

/* ---- the program ---------------------------------------------------------------------------- */

/* Replays all sections of a file every way. Returns how many sections failed, and reports them on `report`. *replays
 * counts the replays. Each section's title and the log of its first replay go to `logs`, unless that is NULL. */
typedef unsigned transcript_test_fn(const char *path, FILE *report, FILE *logs, unsigned long *sections,
                                    unsigned long *replays);

/* Tests the transcripts that are named on the command line.
 *
 * Where the environment's EHLO_LOGS names a directory, the logs of data.txt are left there in data.txt.log, `prefix`
 * before that, so that those of several machines can be compared (tests/cross/run.sh). */
int transcript_main(int count, char **names, const char *prefix, transcript_test_fn *test);

#endif
