/* test_error.c: errors and the version in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ehlo.h"

#include <stdio.h>
#include <string.h>

static void every_error_has_a_text_of_its_own(void **state)
{
  (void)state;
  const char *unknown = ehlo_strerror(-1000);
  assert_non_null(unknown);
  assert_string_equal(ehlo_strerror(1), unknown);
  assert_string_equal(ehlo_strerror(EHLO_ERR_LIMIT - 1), unknown);
  for (int a = EHLO_OK; a >= EHLO_ERR_LIMIT; a--) {
    assert_true(strlen(ehlo_strerror(a)) > 0);
    assert_string_not_equal(ehlo_strerror(a), unknown);
    for (int b = EHLO_OK; b > a; b--) {
      assert_string_not_equal(ehlo_strerror(a), ehlo_strerror(b));
    }
  }
}

static void one_error_is_fatal(void **state)
{
  (void)state;
  for (int error = 1; error >= -1000; error--) {
    assert_int_equal(ehlo_error_is_fatal(error), error == EHLO_ERR_HOST);
  }
}

static void version_is_that_of_the_header(void **state)
{
  (void)state;
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", EHLO_VERSION_MAJOR, EHLO_VERSION_MINOR, EHLO_VERSION_PATCH);
  assert_string_equal(ehlo_version(), version);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_error_has_a_text_of_its_own),
      cmocka_unit_test(one_error_is_fatal),
      cmocka_unit_test(version_is_that_of_the_header),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
