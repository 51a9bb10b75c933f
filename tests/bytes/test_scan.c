/* test_scan.c: each kernel of the search finds what an octet at a time finds. Inputs end at a guard page; those of
 * content are searched once more in a heap block of their own size, which the sanitizers guard at both ends. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes/scan.h"
#include "guard.h"

enum { MOST = 400, ROUNDS = 4000 };

static unsigned random_number(void)
{
  static uint64_t seed = 88172645463325252U;
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (unsigned)(seed >> 32);
}

/* ---- content ---- */

enum { NOTHING = 0, DOTS = 1, BARE = 2 };

/* By the definition in scan.h. */
static int event_at(const unsigned char *at, int strict)
{
  int lf = at[0] == '\n';
  int after_cr = at[-1] == '\r';
  return (lf && after_cr && at[1] == '.' ? DOTS : NOTHING) | (strict && lf != after_cr ? BARE : NOTHING);
}

static void check_placed(unsigned kernel, int strict, const unsigned char *data, size_t from, size_t to)
{
  struct scan_events events;
  size_t at = from;
  size_t seen = from; /* everything before is accounted for */
  while (at < to && ehlo_scan_content(kernel, strict, data, at, to, &events)) {
    assert_true(events.block >= at && events.block < to);
    assert_true((events.dots | events.bare) != 0);
    for (; seen < events.block; seen++) {
      assert_int_equal(event_at(data + seen, strict), NOTHING);
    }
    for (unsigned bit = 0; bit < SCAN_BLOCK; bit++) {
      int found = (events.dots >> bit & 1 ? DOTS : NOTHING) | (events.bare >> bit & 1 ? BARE : NOTHING);
      assert_int_equal(found, events.block + bit < to ? event_at(data + events.block + bit, strict) : NOTHING);
    }
    at = seen = to - events.block > SCAN_BLOCK ? events.block + SCAN_BLOCK : to;
  }
  for (; seen < to; seen++) {
    assert_int_equal(event_at(data + seen, strict), NOTHING);
  }
}

static void check_content(ehlo_span octets, size_t from)
{
  static unsigned best = UINT_MAX;
  best = best == UINT_MAX ? ehlo_scan_kernel() : best;
  ehlo_span guarded = guard_copy(0, octets);
  unsigned char *heap = malloc(octets.len);
  assert_non_null(heap);
  memcpy(heap, octets.ptr, octets.len);
  for (unsigned kernel = 0; kernel <= best; kernel++) {
    for (int strict = 0; strict <= 1; strict++) {
      check_placed(kernel, strict, (const unsigned char *)guarded.ptr, from, octets.len - 1);
      check_placed(kernel, strict, heap, from, octets.len - 1);
    }
  }
  free(heap);
}

/* Octets of which some are what the search looks for: one in `rarity`. */
static ehlo_span random_content(size_t size, unsigned rarity)
{
  static char octets[MOST];
  static const char special[] = "\r\n.\r\n\n\r.";
  for (size_t i = 0; i < size; i++) {
    octets[i] = random_number() % rarity == 0 ? special[random_number() % 8] : (char)(random_number() % 256);
  }
  /* And whole CRLFs, with a dot behind or not. */
  for (size_t i = 3; i < size; i += 1 + random_number() % (4 * rarity)) {
    memcpy(octets + i - 3, random_number() % 2 ? "\r\n." : "\r\nx", 3);
  }
  return (ehlo_span){octets, size};
}

static void test_content(void **state)
{
  (void)state;
  for (unsigned round = 0; round < ROUNDS; round++) {
    size_t size = 2 + random_number() % (MOST - 2);
    check_content(random_content(size, 1 + random_number() % 40), 1 + random_number() % (size - 1));
  }
}

/* One event in ordinary content, at every place of the first blocks. */
static void test_content_every_place(void **state)
{
  static const char *const happenings[] = {"\r\n.", "x\nx", "\rxx", "\n\nx", "\r\r\n"};
  char octets[MOST];
  (void)state;
  for (unsigned h = 0; h < sizeof happenings / sizeof *happenings; h++) {
    for (size_t size = 4; size < 200; size += 1 + size / 20) {
      for (size_t at = 0; at + 3 <= size; at++) {
        memset(octets, 'x', size);
        memcpy(octets + at, happenings[h], 3);
        check_content((ehlo_span){octets, size}, 1);
      }
    }
  }
}

/* ---- lines ---- */

static void check_line(ehlo_span octets)
{
  const unsigned char *data = (const unsigned char *)octets.ptr;
  size_t end = 0;
  unsigned wanted = 0;
  for (; end < octets.len && data[end] != '\r' && data[end] != '\n'; end++) {
    wanted |= data[end] > 127 ? SEEN_NON_ASCII : 0U;
    wanted |= (data[end] < 32 && data[end] != '\t') || data[end] == 127 ? SEEN_CONTROL : 0U;
  }
  unsigned seen = 0;
  assert_int_equal(ehlo_scan_line(data, octets.len, &seen), end);
  assert_int_equal(seen, wanted);
  seen = SEEN_CONTROL | SEEN_NON_ASCII;
  assert_int_equal(ehlo_scan_line(data, octets.len, &seen), end);
  assert_int_equal(seen, SEEN_CONTROL | SEEN_NON_ASCII);
}

/* Each octet that there is, at every place of a line. */
static void test_line_every_octet(void **state)
{
  char octets[80];
  (void)state;
  for (unsigned octet = 0; octet < 256; octet++) {
    for (size_t size = 1; size <= sizeof octets; size += 1 + size / 8) {
      for (size_t at = 0; at < size; at++) {
        memset(octets, 'x', size);
        octets[at] = (char)octet;
        check_line(guard_copy(0, (ehlo_span){octets, size}));
      }
    }
  }
}

static void test_line_random(void **state)
{
  char octets[MOST];
  (void)state;
  check_line((ehlo_span){"", 0});
  for (unsigned round = 0; round < ROUNDS; round++) {
    size_t size = random_number() % MOST;
    unsigned rarity = 1 + random_number() % 100;
    for (size_t i = 0; i < size; i++) {
      octets[i] = (char)(random_number() % rarity == 0 ? random_number() % 256 : 32 + random_number() % 95);
    }
    check_line(guard_copy(0, (ehlo_span){octets, size}));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_content),
      cmocka_unit_test(test_content_every_place),
      cmocka_unit_test(test_line_every_octet),
      cmocka_unit_test(test_line_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
