/* check.h: what the tests of the grammar floor share.
 *
 * Rows of tables carry the ids of the rules that they show; a failure names the rule and the input. Inputs and buffers
 * end at a guard page.
 */
#ifndef EHLO_TESTS_GRAMMAR_CHECK_H
#define EHLO_TESTS_GRAMMAR_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ehlo.h"
#include "guard.h"

/* A span over a literal, which may hold NUL; as an initialiser and as a value. */
#define TEXT(literal)               \
  {                                 \
    "" literal, sizeof(literal) - 1 \
  }
#define SPAN(literal) ((ehlo_span)TEXT(literal))

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Fails with the rule and the input if the condition does not hold. */
#define CHECK(rule, input, condition)                                                        \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      fail_msg("%s: line %d: \"%s\": not so: %s", rule, __LINE__, shown(input), #condition); \
    }                                                                                        \
  } while (0)

/* The octets as C would spell them, in a static buffer. */
const char *shown(ehlo_span octets);

/* The first `length` octets of a span. */
ehlo_span front(ehlo_span text, size_t length);

/* Two spans over the same place, or both empty. */
int same_place(ehlo_span a, ehlo_span b);

/* Does the span lie inside `whole`? An empty one does wherever it points to. */
int lies_inside(ehlo_span part, ehlo_span whole);

/* Are all octets of an object zero (and so its pointers NULL)? */
int is_zero(const void *object, size_t size);

/* A formatter or codec, with its input behind one pointer. */
typedef int format_fn(const void *input, char *buffer, size_t size, size_t *length);

/* The formatter gives exactly `want` with every buffer that it fits in, and EHLO_ERR_BUFFER with the length needed for
 * every smaller one; without a buffer or length EHLO_ERR_ARGUMENT. `input_text` is for the message. */
void check_format(const char *rule, ehlo_span input_text, format_fn *format, const void *input, ehlo_span want);

/* The formatter returns `error`, with *length 0, whatever the room. */
void check_refused(const char *rule, ehlo_span input_text, format_fn *format, const void *input, int error);

#endif
