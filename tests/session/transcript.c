/* transcript.c: every way to replay a transcript, each held to the log of the first (DESIGN: split-blind, deferred or
 * not, however drained). */
#include "transcript.h"

#include <string.h>

enum {
  /* Up to here every pair of cuts is tried. */
  PAIRS_UP_TO = 120,
  /* Every single cut is tried unless that would replay more octets than this for one way (sections of some 1,400
   * octets); then as many as that allows, spread evenly. */
  OCTETS_REPLAYED = 2000000
};

/* The first is the plainest; the log of every replay is held to its. */
static const struct way ways[] = {
    /* answers        drains       moves  max_pending, output_size */
    {ANSWER_INLINE, DRAIN_WHOLE, 0, 1, EHLO_DEFAULT_OUTPUT_SIZE},
    {ANSWER_INLINE, DRAIN_OCTET, 1, 1, EHLO_MIN_OUTPUT_SIZE},
    {ANSWER_INLINE, DRAIN_EAGER, 0, 1, EHLO_DEFAULT_OUTPUT_SIZE},
    {ANSWER_SOON, DRAIN_WHOLE, 0, 1, EHLO_DEFAULT_OUTPUT_SIZE},
    {ANSWER_SOON, DRAIN_OCTET, 0, 4, EHLO_MIN_OUTPUT_SIZE},
    {ANSWER_LATE, DRAIN_WHOLE, 0, 4, EHLO_DEFAULT_OUTPUT_SIZE},
    {ANSWER_REVERSE, DRAIN_OCTET, 1, 4, EHLO_DEFAULT_OUTPUT_SIZE},
    {ANSWER_REVERSE, DRAIN_EAGER, 0, 64, EHLO_DEFAULT_OUTPUT_SIZE},
};

enum { WAYS = sizeof ways / sizeof ways[0] };

struct tester {
  const struct section *section;
  FILE *report;
  FILE *logs; /* NULL: nobody wants them */
  struct text reference;
  struct text log;
  struct text trouble;
  unsigned long replays;
  int failed;
};

static void print_way(FILE *report, const struct way *way, long first, long second)
{
  static const char *const answers[] = {"in the handler", "soon", "late", "late, in reverse"};
  static const char *const drains[] = {"whole", "octet by octet", "eagerly"};
  fprintf(report, "answered %s, drained %s%s, ", answers[way->answers], drains[way->drains],
          way->moves ? ", moved at every pause" : "");
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

static void replay(struct tester *tester, const struct way *way, long first, long second)
{
  if (tester->failed) {
    return;
  }
  tester->replays++;
  int result = transcript_replay(tester->section, way, first, second, 0, &tester->log, &tester->trouble);
  if (result == 0 && strcmp(string_of(&tester->log), string_of(&tester->reference)) == 0) {
    return;
  }
  tester->failed = 1;
  fprintf(tester->report, "%s:%u: %s\n  ", tester->section->file, tester->section->line, tester->section->title);
  print_way(tester->report, way, first, second);
  fprintf(tester->report, ":\n%s\n", string_of(&tester->trouble));
  if (result == 0) {
    print_difference(tester->report, string_of(&tester->reference), string_of(&tester->log));
  }
}

static void test_section(struct tester *tester)
{
  const struct section *section = tester->section;
  tester->failed = 0;
  tester->replays++;
  if (transcript_replay(section, &ways[0], CUT_NONE, CUT_NONE, 1, &tester->log, &tester->trouble) != 0) {
    fprintf(tester->report, "%s:%u: %s\n%s\n", section->file, section->line, section->title,
            string_of(&tester->trouble));
    tester->failed = 1;
    return;
  }
  transcript_replay(section, &ways[0], CUT_NONE, CUT_NONE, 0, &tester->reference, &tester->trouble);
  if (tester->logs != NULL) {
    fprintf(tester->logs, "## %s\n%s", section->title, string_of(&tester->reference));
  }
  long octets = (long)section->octets;
  long stride = octets * octets / OCTETS_REPLAYED + 1;
  for (size_t i = 0; i < WAYS; i++) {
    if (section->drain_as_written && ways[i].drains == DRAIN_EAGER) {
      continue;
    }
    replay(tester, &ways[i], CUT_NONE, CUT_NONE);
    replay(tester, &ways[i], CUT_EVERYWHERE, CUT_NONE);
    for (long cut = 1; cut < octets && !tester->failed; cut += stride) {
      replay(tester, &ways[i], cut, CUT_NONE);
    }
    if (octets <= PAIRS_UP_TO && (i == 0 || i == WAYS - 3)) {
      for (long first = 1; first < octets && !tester->failed; first++) {
        for (long second = first + 1; second < octets && !tester->failed; second++) {
          replay(tester, &ways[i], first, second);
        }
      }
    }
  }
}

unsigned transcript_test(const char *path, FILE *report, FILE *logs, unsigned long *sections, unsigned long *replays)
{
  struct transcript transcript;
  struct tester tester = {.report = report, .logs = logs};
  unsigned failed = 0;
  if (transcript_read(&transcript, path) != 0) {
    return 1;
  }
  for (size_t i = 0; i < transcript.count; i++) {
    tester.section = &transcript.sections[i];
    test_section(&tester);
    failed += tester.failed != 0;
  }
  *sections = transcript.count;
  *replays = tester.replays;
  text_free(&tester.reference);
  text_free(&tester.log);
  text_free(&tester.trouble);
  transcript_free(&transcript);
  return failed;
}
