/* transcript_shared.c: see transcript_shared.h. */
#include "transcript_shared.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- growing text --------------------------------------------------------------------------- */

void text_clear(struct text *text)
{
  text->len = 0;
  if (text->ptr != NULL) {
    text->ptr[0] = '\0';
  }
}

void text_free(struct text *text)
{
  free(text->ptr);
  memset(text, 0, sizeof *text);
}

static void text_reserve(struct text *text, size_t more)
{
  if (text->room - text->len <= more) {
    text->room = (text->len + more + 1) * 2;
    text->ptr = realloc(text->ptr, text->room);
    if (text->ptr == NULL) {
      abort();
    }
  }
}

void text_add(struct text *text, const void *octets, size_t size)
{
  text_reserve(text, size);
  if (size > 0) {
    memcpy(text->ptr + text->len, octets, size);
  }
  text->len += size;
  text->ptr[text->len] = '\0';
}

void text_print(struct text *text, const char *format, ...)
{
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text_add(text, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1);
}

void text_add_escaped(struct text *text, ehlo_span octets)
{
  for (size_t i = 0; i < octets.len; i++) {
    unsigned char octet = (unsigned char)octets.ptr[i];
    if (octet == '\r') {
      text_add(text, "\\r", 2);
    } else if (octet == '\n') {
      text_add(text, "\\n", 2);
    } else if (octet == '\t') {
      text_add(text, "\\t", 2);
    } else if (octet == '\0') {
      text_add(text, "\\0", 2);
    } else if (octet == ' ') {
      text_add(text, "\\s", 2);
    } else if (octet == '\\') {
      text_add(text, "\\\\", 2);
    } else if (octet < 32 || octet == 127) {
      text_print(text, "\\x%02X", octet);
    } else {
      text_add(text, &octet, 1);
    }
  }
}

static int hexadecimal(char digit)
{
  const char *digits = "0123456789ABCDEF";
  const char *found = digit == '\0' ? NULL : strchr(digits, digit);
  return found == NULL ? -1 : (int)(found - digits);
}

const char *text_add_unescaped(struct text *out, const char *from, size_t length)
{
  const char *end = from + length;
  while (from < end) {
    if (*from == '{') {
      const char *close = from;
      while (close < end && *close != '}') {
        close++;
      }
      const char *star = close;
      while (star > from && *star != '*') {
        star--;
      }
      if (close == end || star == from) {
        return "expected {text*count}";
      }
      struct text piece = {0};
      const char *trouble = text_add_unescaped(&piece, from + 1, (size_t)(star - from - 1));
      for (unsigned long count = strtoul(star + 1, NULL, 10); count > 0; count--) {
        text_add(out, piece.ptr, piece.len);
      }
      text_free(&piece);
      if (trouble != NULL) {
        return trouble;
      }
      from = close + 1;
      continue;
    }
    if (*from != '\\' || from + 1 == end) {
      text_add(out, from, 1);
      from++;
      continue;
    }
    static const char names[] = "rnt0s\\{";
    static const char octets[] = "\r\n\t\0 \\{";
    const char *name = strchr(names, from[1]);
    if (name != NULL) {
      text_add(out, &octets[name - names], 1);
      from += 2;
    } else if (from[1] == 'x' && end - from >= 4 && hexadecimal(from[2]) >= 0 && hexadecimal(from[3]) >= 0) {
      unsigned char octet = (unsigned char)(hexadecimal(from[2]) * 16 + hexadecimal(from[3]));
      text_add(out, &octet, 1);
      from += 4;
    } else {
      return "unknown escape";
    }
  }
  return NULL;
}

/* ---- words and lines ------------------------------------------------------------------------ */

size_t next_word(const char **at, const char **word)
{
  *word = *at;
  size_t length = strcspn(*at, " ");
  *at += length;
  while (**at == ' ') {
    (*at)++;
  }
  return length;
}

int word_is(const char *word, size_t length, const char *name)
{
  return strlen(name) == length && memcmp(word, name, length) == 0;
}

int starts(const char *line, const char *with)
{
  return strncmp(line, with, strlen(with)) == 0;
}

void print_span(struct text *out, const char *label, ehlo_span span)
{
  if (span.len > 0) {
    text_print(out, " %s", label);
    text_add_escaped(out, span);
  }
}

static const char *const violation_names[] = {"?",
                                              "EARLY_TALKER",
                                              "EARLY_HELLO",
                                              "BARE_NEWLINE",
                                              "LINE_TOO_LONG",
                                              "SYNTAX",
                                              "UNKNOWN_VERB",
                                              "NOT_OFFERED",
                                              "SEQUENCE",
                                              "NON_ASCII",
                                              "PARAMETER",
                                              "TOO_MANY_RECIPIENTS",
                                              "TOO_BIG",
                                              "TOO_MANY_ERRORS",
                                              "SPACE_AFTER_COLON",
                                              "BARE_ADDRESS",
                                              "EXTRA_SPACES",
                                              "UNDERSCORE",
                                              "HELLO_NAME",
                                              "CONTROL",
                                              "UNSOLICITED",
                                              "REPLY_CODE",
                                              "REPLY_MISMATCH",
                                              "REPLY_TOO_LONG",
                                              "BEFORE_TLS",
                                              "SASL"};

const char *verb_name(uint32_t verb)
{
  static const char *const names[] = {"UNKNOWN", "NONE", "LINE", "CONNECT", "MESSAGE", "RESULT"};
  return verb < sizeof names / sizeof names[0] ? names[verb] : ehlo_verb_name(verb);
}

static const char *const end_names[] = {"?",          "ACCEPTED",  "REFUSED", "MIXED",        "RESET",
                                        "SUPERSEDED", "QUIT",      "TOO_BIG", "BARE_NEWLINE", "LOST",
                                        "SHUTDOWN",   "TIMED_OUT", "FAILED"};

const char *name_in(const char *const *names, size_t count, uint32_t number)
{
  return number < count ? names[number] : "?";
}

const char *end_name(uint32_t reason)
{
  return name_in(end_names, sizeof end_names / sizeof end_names[0], reason);
}

const char *violation_name(uint32_t kind)
{
  return name_in(violation_names, sizeof violation_names / sizeof violation_names[0], kind);
}

/* Are the words of `expected` the words of `actual`, the first the same and the others in order, perhaps with more
 * between them? Both end at LF. */
static int words_match(const char *expected, const char *actual)
{
  int first = 1;
  while (*expected != '\n') {
    size_t word = strcspn(expected, " \n");
    for (;;) {
      size_t length = strcspn(actual, " \n");
      int same = length == word && memcmp(actual, expected, word) == 0;
      int ended = actual[length] == '\n';
      actual += ended ? length : length + 1;
      if (same) {
        break;
      }
      if (first || ended) {
        return 0;
      }
    }
    first = 0;
    expected += word;
    expected += *expected == ' ';
  }
  return 1;
}

const char *next_line_of(const char *line)
{
  return strchr(line, '\n') + 1;
}

const char *events_unmatched(const char *expected, const char *actual, int which, int exact)
{
  while (*expected != '\0') {
    if (which != EVENTS_ALL && starts(expected, "REPLY ") != (which == EVENTS_REPLIES)) {
      expected = next_line_of(expected);
      continue;
    }
    while (*actual != '\0' && !words_match(expected, actual)) {
      if (exact) {
        return expected;
      }
      actual = next_line_of(actual);
    }
    if (*actual == '\0') {
      return expected;
    }
    actual = next_line_of(actual);
    expected = next_line_of(expected);
  }
  return exact && *actual != '\0' ? actual : NULL;
}

int has_line(const char *lines, const char *line, size_t length)
{
  for (; *lines != '\0'; lines = next_line_of(lines)) {
    if (strcspn(lines, "\n") == length && memcmp(lines, line, length) == 0) {
      return 1;
    }
  }
  return 0;
}

const char *string_of(const struct text *text)
{
  return text->ptr == NULL ? "" : text->ptr;
}

int text_differs(const struct text *a, const struct text *b)
{
  return a->len != b->len || (a->len > 0 && memcmp(a->ptr, b->ptr, a->len) != 0);
}

void print_lines(struct text *out, char marker, const struct text *octets)
{
  for (size_t at = 0; at < octets->len;) {
    size_t end = at;
    while (end < octets->len && !(octets->ptr[end] == '\n' && end > at && octets->ptr[end - 1] == '\r')) {
      end++;
    }
    int whole = end < octets->len;
    struct text line = {0};
    for (size_t i = at; i < (whole ? end - 1 : end); i++) { /* spaces stay readable */
      if (octets->ptr[i] == ' ') {
        text_add(&line, " ", 1);
      } else {
        text_add_escaped(&line, (ehlo_span){octets->ptr + i, 1});
      }
    }
    text_print(out, "%c%c ", marker, whole ? ':' : '>');
    text_add(out, line.ptr, line.len);
    text_print(out, "\n");
    text_free(&line);
    at = whole ? end + 1 : end;
  }
}

void print_difference(FILE *report, const char *expected, const char *actual)
{
  size_t same = 0;
  while (expected[same] != '\0' && expected[same] == actual[same]) {
    same++;
  }
  size_t from = same;
  for (int lines = 0; from > 0 && lines < 4; from--) {
    lines += expected[from - 1] == '\n';
  }
  fprintf(report, "    plainly:\n%.*s\n    here:\n%.*s\n", (int)(same - from + 400), expected + from,
          (int)(same - from + 400), actual + from);
}

/* ---- memory with a guard page behind it ----------------------------------------------------- */

char *arena_new(void)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *memory = mmap(NULL, ARENA_SIZE + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory + ARENA_SIZE, page, PROT_NONE) != 0) {
    perror("mmap");
    exit(2);
  }
  return memory + ARENA_SIZE;
}

/* ---- the program ---------------------------------------------------------------------------- */

/* Opens the file for the logs of a transcript; NULL with a message if that cannot be. */
static FILE *open_logs(const char *directory, const char *prefix, const char *name)
{
  struct text path = {0};
  const char *slash = strrchr(name, '/');
  text_print(&path, "%s/%s%s.log", directory, prefix, slash == NULL ? name : slash + 1);
  FILE *logs = fopen(path.ptr, "wb");
  if (logs == NULL) {
    perror(path.ptr);
  }
  text_free(&path);
  return logs;
}

int transcript_main(int count, char **names, const char *prefix, transcript_test_fn *test)
{
  const char *directory = getenv("EHLO_LOGS");
  unsigned failed = 0;
  if (count < 2) {
    fprintf(stderr, "usage: %s TRANSCRIPT...\n", names[0]);
    return 64;
  }
  for (int i = 1; i < count; i++) {
    unsigned long sections = 0;
    unsigned long replays = 0;
    FILE *logs = NULL;
    if (directory != NULL && (logs = open_logs(directory, prefix, names[i])) == NULL) {
      return EXIT_FAILURE;
    }
    unsigned bad = test(names[i], stderr, logs, &sections, &replays);
    printf("%s: %lu sections, %lu replays, %u failed\n", names[i], sections, replays, bad);
    failed += bad;
    if (logs != NULL && fclose(logs) != 0) {
      perror(directory);
      return EXIT_FAILURE;
    }
  }
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
