/* figures.c: what is counted, and how it is told.
 *
 * SPDX-License-Identifier: MIT
 *
 * Latencies are kept as a histogram whose steps are a 64th of what they measure, so a million of them take no more room
 * than one, and what is told of them is right to 1.6 %; the worst is kept as it was. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

enum {
  STEPS = 64,           /* for each doubling */
  BUCKETS = STEPS * 59, /* up to 2^63 nanoseconds */
  MOST_UNEXPECTED = 100 /* different ones; the others are counted together */
};

static struct {
  uint64_t taken; /* numbers given out */
  uint64_t returned[64];
  size_t returned_count;
  uint64_t fates[3];
  uint64_t connected;
  int64_t begun, last, ends; /* `ends`: when no more is begun; 0: never */
  int stopped;
  uint64_t histogram[BUCKETS];
  uint64_t measured;
  int64_t worst;
} figures;

static struct {
  uint64_t count;
  char text[TEXT_SIZE + 64];
} unexpected[MOST_UNEXPECTED + 1]; /* the last is for those that have no room */
static size_t unexpected_count;

int64_t figures_clock(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void figures_begin(void)
{
  figures.begun = figures.last = figures_clock();
  if (settings.duration != 0)
    figures.ends = figures.begun + (int64_t)settings.duration * 1000000000;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

int figures_is_over(void)
{
  return figures.stopped || (figures.ends != 0 && figures_clock() >= figures.ends);
}

uint64_t figures_take(void)
{
  if (figures_is_over())
    return 0;
  if (figures.returned_count > 0)
    return figures.returned[--figures.returned_count];
  return settings.messages == 0 || figures.taken < settings.messages ? ++figures.taken : 0;
}

/* Where there is no room it is one that nobody sends. */
void figures_give_back(uint64_t number)
{
  if (figures.returned_count < sizeof figures.returned / sizeof *figures.returned)
    figures.returned[figures.returned_count++] = number;
}

void figures_stop(void)
{
  figures.stopped = 1;
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

/* Values below 64 have a bucket each; from there on each doubling has 64. */
static size_t bucket_of(uint64_t value)
{
  unsigned shift = 0;
  while (value >> shift >= 2 * STEPS)
    shift++;
  return value < STEPS ? (size_t)value : (size_t)(shift * STEPS + (value >> shift));
}

/* The most that is in it. */
static uint64_t bucket_value(size_t bucket)
{
  if (bucket < 2 * STEPS)
    return bucket;
  unsigned shift = (unsigned)(bucket / STEPS) - 1;
  return ((uint64_t)(STEPS + bucket % STEPS + 1) << shift) - 1;
}

void figures_connected(void)
{
  figures.connected++;
}

void figures_message(enum fate fate, int64_t nanoseconds)
{
  figures.fates[fate]++;
  figures.last = figures_clock();
  if (fate == FATE_FAILED)
    return; /* a refusal takes no time that says anything */
  figures.histogram[bucket_of((uint64_t)nanoseconds)]++;
  figures.measured++;
  if (nanoseconds > figures.worst)
    figures.worst = nanoseconds;
}

void figures_unexpected(const char *what, uint32_t code, const ehlo_enhanced *enhanced, const char *text)
{
  char line[sizeof unexpected[0].text];
  if (code == 0)
    snprintf(line, sizeof line, "%s: %s", what, text);
  else if (enhanced == NULL || enhanced->status_class == 0)
    snprintf(line, sizeof line, "%s: %u %s", what, (unsigned)code, text);
  else
    snprintf(line, sizeof line, "%s: %u %u.%u.%u %s", what, (unsigned)code, enhanced->status_class, enhanced->subject,
             enhanced->detail, text);
  size_t at = 0;
  while (at < unexpected_count && strcmp(unexpected[at].text, line) != 0)
    at++;
  if (at == unexpected_count && at < MOST_UNEXPECTED) {
    memcpy(unexpected[at].text, line, sizeof line);
    unexpected_count++;
  }
  unexpected[at].count++;
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

static double seconds_of(struct timeval time)
{
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static uint64_t done(void)
{
  return figures.fates[FATE_ACCEPTED] + figures.fates[FATE_IN_PART] + figures.fates[FATE_FAILED];
}

void figures_progress(void)
{
  static uint64_t before;
  static int64_t then;
  int64_t now = figures_clock();
  double since = (double)(now - (then == 0 ? figures.begun : then)) / 1e9;
  fprintf(stderr, "\r%llu", (unsigned long long)done());
  if (settings.messages != 0)
    fprintf(stderr, " of %llu", (unsigned long long)settings.messages);
  fprintf(stderr, " messages, %.0f/s, %llu not accepted, %u connections    ",
          since > 0 ? (double)(done() - before) / since : 0.0,
          (unsigned long long)(done() - figures.fates[FATE_ACCEPTED]), (unsigned)connections_active());
  before = done();
  then = now;
}

/* In milliseconds: what `share` of the messages did not take longer than. */
static double latency(double share)
{
  uint64_t rank = (uint64_t)((double)figures.measured * share);
  uint64_t sum = 0;
  size_t bucket = 0;
  while (bucket < BUCKETS - 1 && (sum += figures.histogram[bucket]) <= rank)
    bucket++;
  double value = (double)bucket_value(bucket);
  return (value < (double)figures.worst ? value : (double)figures.worst) / 1e6;
}

static void report_figures(uint64_t not_sent)
{
  struct rusage usage;
  uint64_t taken = figures.fates[FATE_ACCEPTED] + figures.fates[FATE_IN_PART];
  double seconds = (double)(figures.last - figures.begun) / 1e9;
  getrusage(RUSAGE_SELF, &usage);
  double user = seconds_of(usage.ru_utime), system = seconds_of(usage.ru_stime);
  printf("accepted       %llu\n", (unsigned long long)figures.fates[FATE_ACCEPTED]);
  printf("in part        %llu\n", (unsigned long long)figures.fates[FATE_IN_PART]);
  printf("not accepted   %llu\n", (unsigned long long)figures.fates[FATE_FAILED]);
  printf("not sent       %llu\n", (unsigned long long)not_sent);
  printf("connections    %llu\n", (unsigned long long)figures.connected);
  printf("seconds        %.3f\n", seconds);
  printf("messages/s     %.1f\n", seconds > 0 ? (double)taken / seconds : 0.0);
  printf("MB/s           %.2f\n", seconds > 0 ? (double)taken * (double)settings.size / seconds / 1e6 : 0.0);
  printf("CPU seconds    %.3f (%.3f user, %.3f system)\n", user + system, user, system);
  if (figures.measured > 0)
    printf("latency, ms    %.2f median, %.2f 99th, %.2f worst\n", latency(0.5), latency(0.99),
           (double)figures.worst / 1e6);
}

int figures_report(void)
{
  uint64_t asked = settings.messages != 0 && settings.duration == 0 ? settings.messages : done();
  uint64_t not_sent = asked > done() ? asked - done() : 0;
  if (settings.progress)
    fprintf(stderr, "\r%79s\r", "");
  if (!settings.quiet)
    report_figures(not_sent);
  for (size_t i = 0; i <= MOST_UNEXPECTED; i++) {
    if (unexpected[i].count == 0)
      continue;
    printf("%8llu x ", (unsigned long long)unexpected[i].count);
    print_octets(stdout, ehlo_span_of(i < MOST_UNEXPECTED ? unexpected[i].text : "others"), 1);
    putchar('\n');
  }
  if (fflush(stdout) != 0 || ferror(stdout)) {
    complain("standard output", strerror(errno));
    return EX_IOERR;
  }
  if (figures.connected == 0)
    return EX_UNAVAILABLE;
  return figures.fates[FATE_ACCEPTED] == 0 || figures.fates[FATE_ACCEPTED] < asked;
}
