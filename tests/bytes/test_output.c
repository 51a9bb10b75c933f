/* test_output.c: bounded output keeps the order, the bound, and what it has shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bytes/output.h"
#include "guard.h"

static void write_octet(struct output *output, unsigned char *buffer, unsigned char octet)
{
  buffer[output->tail] = octet;
  output_wrote(output, 1);
}

/* Writes octets that count from `from` to before `to`. */
static void write_counted(struct output *output, unsigned char *buffer, unsigned char from, unsigned char to)
{
  for (unsigned char octet = from; octet < to; octet++) {
    write_octet(output, buffer, octet);
  }
}

static void test_empty(void **state)
{
  struct output output = {16, 0, 0};
  unsigned char buffer[16];
  (void)state;
  assert_int_equal(output_waiting(&output), 0);
  assert_int_equal(output_room(&output), 16);
  ehlo_output_took(&output, buffer, 0);
  assert_int_equal(output_room(&output), 16);
}

/* All that is written is taken, in its order, whatever the portions; never more than the buffer is in it. */
static void test_order(void **state)
{
  struct output output = {64, 0, 0};
  unsigned char *buffer = (unsigned char *)guard_room(0, 64);
  unsigned written = 0;
  unsigned taken = 0;
  (void)state;
  for (unsigned round = 0; round < 5000; round++) {
    unsigned more = round * 7 % 23;
    while (more-- > 0 && output_room(&output) > 0) {
      write_octet(&output, buffer, (unsigned char)written++);
    }
    assert_int_equal(output_waiting(&output), written - taken);
    assert_true(output_waiting(&output) + output_room(&output) <= 64);
    size_t count = round * 5 % 19;
    count = count < output_waiting(&output) ? count : output_waiting(&output);
    for (size_t i = 0; i < count; i++) {
      assert_int_equal(buffer[output.head + i], (unsigned char)(taken + i));
    }
    ehlo_output_took(&output, buffer, count);
    taken += (unsigned)count;
  }
  assert_true(taken > 10000);
}

/* What has been shown and not taken stays where it is while more is written. */
static void test_shown_stays(void **state)
{
  struct output output = {16, 0, 0};
  unsigned char buffer[16];
  (void)state;
  write_counted(&output, buffer, 0, 10);
  ehlo_output_took(&output, buffer, 3);
  uint32_t head = output.head;
  for (unsigned char i = 10; output_room(&output) > 0; i++) {
    write_octet(&output, buffer, i);
    assert_int_equal(output.head, head);
    assert_int_equal(buffer[output.head], 3);
  }
}

/* Room comes back: at once if all was taken, and at the latest when half of the buffer was. */
static void test_room_comes_back(void **state)
{
  struct output output = {16, 0, 0};
  unsigned char buffer[16] = {0};
  (void)state;
  output_wrote(&output, 16);
  assert_int_equal(output_room(&output), 0);
  ehlo_output_took(&output, buffer, 8);
  assert_int_equal(output_room(&output), 8);
  assert_int_equal(output_waiting(&output), 8);
  ehlo_output_took(&output, buffer, 8);
  assert_int_equal(output_room(&output), 16);
  output_wrote(&output, 5);
  ehlo_output_took(&output, buffer, 5);
  assert_int_equal(output_room(&output), 16);
}

/* Compacted, all room that there is lies at the tail, and what waits is the same. */
static void test_compact(void **state)
{
  struct output output = {16, 0, 0};
  unsigned char buffer[16];
  (void)state;
  write_counted(&output, buffer, 0, 16);
  ehlo_output_took(&output, buffer, 3);
  ehlo_output_compact(&output, buffer);
  assert_int_equal(output_waiting(&output), 13);
  assert_int_equal(output_room(&output), 3);
  for (unsigned char i = 0; i < 13; i++) {
    assert_int_equal(buffer[output.head + i], 3 + i);
  }
  ehlo_output_took(&output, buffer, 13);
  ehlo_output_compact(&output, buffer);
  assert_int_equal(output_room(&output), 16);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_empty),   cmocka_unit_test(test_order),           cmocka_unit_test(test_shown_stays),
      cmocka_unit_test(test_compact), cmocka_unit_test(test_room_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
