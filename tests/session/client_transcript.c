/* client_transcript.c: every way to replay a transcript, each held to the log of the first (DESIGN: split-blind, called
 * from the handler or not, however drained). */
#include "client_transcript.h"

#include <string.h>

enum {
  /* Up to here every pair of cuts is tried. */
  PAIRS_UP_TO = 90,
  /* Every single cut is tried each way unless that would replay more octets than this for one way (sections of some 350
   * octets); then as many as that allows, spread evenly, and other ones each way. */
  OCTETS_REPLAYED = 120000
};

/* The first is the plainest; the log of every replay is held to its. */
static const struct client_way ways[] = {
    /* calls       drains              body         moves  output_size */
    {CALLS_BEHIND, CLIENT_DRAIN_WHOLE, BODY_WHOLE, 0, EHLO_CLIENT_DEFAULT_OUTPUT_SIZE},
    {CALLS_BEHIND, CLIENT_DRAIN_OCTET, BODY_OCTETS, 1, EHLO_CLIENT_MIN_OUTPUT_SIZE},
    {CALLS_BEHIND, CLIENT_DRAIN_EAGER, BODY_GATHER, 0, EHLO_CLIENT_DEFAULT_OUTPUT_SIZE},
    {CALLS_BEHIND, CLIENT_DRAIN_LATE, BODY_WHOLE, 0, EHLO_CLIENT_MIN_OUTPUT_SIZE},
    {CALLS_INLINE, CLIENT_DRAIN_WHOLE, BODY_OCTETS, 0, EHLO_CLIENT_MIN_OUTPUT_SIZE},
    {CALLS_INLINE, CLIENT_DRAIN_OCTET, BODY_GATHER, 0, 65536},
    {CALLS_INLINE, CLIENT_DRAIN_EAGER, BODY_WHOLE, 0, EHLO_CLIENT_MIN_OUTPUT_SIZE},
    {CALLS_INLINE, CLIENT_DRAIN_LATE, BODY_WHOLE, 1, EHLO_CLIENT_DEFAULT_OUTPUT_SIZE},
};

enum { WAYS = sizeof ways / sizeof ways[0] };

struct tester {
  const struct client_section *section;
  FILE *report;
  FILE *logs; /* NULL: nobody wants them */
  struct client_log reference;
  struct client_log log;
  struct text trouble;
  unsigned long replays;
  int failed;
};

static void print_way(FILE *report, const struct client_way *way, long first, long second)
{
  static const char *const calls[] = {"behind feed", "in the handler"};
  static const char *const drains[] = {"whole", "octet by octet", "eagerly", "late"};
  static const char *const bodies[] = {"whole", "octet by octet", "by gather"};
  fprintf(report, "called %s, drained %s, content %s%s, output-size %u, ", calls[way->calls], drains[way->drains],
          bodies[way->body], way->moves ? ", moved at every pause" : "", way->output_size);
  if (first == CUT_EVERYWHERE) {
    fprintf(report, "byte by byte");
  } else if (first == CUT_NONE) {
    fprintf(report, "uncut");
  } else if (second == CUT_NONE) {
    fprintf(report, "cut at %ld", first);
  } else {
    fprintf(report, "cut at %ld and %ld", first, second);
  }
}

/* Is the log that of the first replay? If not, *expected and *actual are the parts that differ. */
static int same_logs(const struct tester *tester, const char **expected, const char **actual)
{
  *expected = string_of(&tester->reference.text);
  *actual = string_of(&tester->log.text);
  int same = strcmp(*expected, *actual) == 0;
  for (size_t i = 0; i < tester->reference.count && same; i++) {
    *expected = string_of(&tester->reference.turns[i].states);
    *actual = string_of(&tester->log.turns[i].states);
    same = (*actual)[0] == '\0' || strcmp(*expected, *actual) == 0;
  }
  return same;
}

static void replay(struct tester *tester, const struct client_way *way, long first, long second)
{
  const struct client_section *section = tester->section;
  if (tester->failed) {
    return;
  }
  tester->replays++;
  int result =
      client_transcript_replay(section, way, first, second, &tester->reference, &tester->log, &tester->trouble);
  const char *expected;
  const char *actual;
  if (result == 0 && same_logs(tester, &expected, &actual)) {
    return;
  }
  tester->failed = 1;
  fprintf(tester->report, "%s:%u: %s\n  ", section->file, section->line, section->title);
  print_way(tester->report, way, first, second);
  fprintf(tester->report, ":\n%s\n", string_of(&tester->trouble));
  if (result == 0) {
    print_difference(tester->report, expected, actual);
  }
}

static void test_section(struct tester *tester)
{
  const struct client_section *section = tester->section;
  tester->failed = 0;
  tester->replays++;
  if (client_transcript_replay(section, &ways[0], CUT_NONE, CUT_NONE, NULL, &tester->reference, &tester->trouble) !=
      0) {
    fprintf(tester->report, "%s:%u: %s\n%s\n", section->file, section->line, section->title,
            string_of(&tester->trouble));
    tester->failed = 1;
    return;
  }
  if (tester->logs != NULL) {
    fprintf(tester->logs, "## %s\n%s", section->title, string_of(&tester->reference.text));
    for (size_t i = 0; i < tester->reference.count; i++) {
      fprintf(tester->logs, "-- state %zu\n%s", i, string_of(&tester->reference.turns[i].states));
    }
  }
  long octets = (long)section->octets;
  long stride = octets * octets / OCTETS_REPLAYED + 1;
  for (size_t i = 0; i < WAYS; i++) {
    if (section->drain_as_written && ways[i].drains != CLIENT_DRAIN_WHOLE) {
      continue;
    }
    replay(tester, &ways[i], CUT_NONE, CUT_NONE);
    replay(tester, &ways[i], CUT_EVERYWHERE, CUT_NONE);
    for (long cut = 1 + (long)i % stride; cut < octets && !tester->failed; cut += stride) {
      replay(tester, &ways[i], cut, CUT_NONE);
    }
    if (octets <= PAIRS_UP_TO && (i == 0 || i == WAYS - 1)) {
      for (long first = 1; first < octets && !tester->failed; first++) {
        for (long second = first + 1; second < octets && !tester->failed; second++) {
          replay(tester, &ways[i], first, second);
        }
      }
    }
  }
}

unsigned client_transcript_test(const char *path, FILE *report, FILE *logs, unsigned long *sections,
                                unsigned long *replays)
{
  struct client_transcript transcript;
  struct tester tester = {.report = report, .logs = logs};
  unsigned failed = 0;
  if (client_transcript_read(&transcript, path) != 0) {
    client_transcript_free(&transcript);
    return 1;
  }
  for (size_t i = 0; i < transcript.count; i++) {
    tester.section = &transcript.sections[i];
    test_section(&tester);
    failed += tester.failed != 0;
  }
  *sections = transcript.count;
  *replays = tester.replays;
  client_log_free(&tester.reference);
  client_log_free(&tester.log);
  text_free(&tester.trouble);
  client_transcript_free(&transcript);
  return failed;
}
