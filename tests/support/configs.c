/* configs.c: what the configs of both machines must hold to. */
#include "configs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void check_value(const struct config_limit *limits, size_t at, uint32_t value, config_is_legal_fn *is_legal,
                        const void *config)
{
  uint32_t before = *limits[at].field;
  int legal = value >= limits[at].least && value <= limits[at].most;
  *limits[at].field = value;
  if (is_legal(config) != legal) {
    fail_msg("limit %zu: %u is %s", at, (unsigned)value, legal ? "refused" : "taken");
  }
  *limits[at].field = before;
}

void check_config_limits(const struct config_limit *limits, size_t count, config_is_legal_fn *is_legal,
                         const void *config)
{
  assert_true(is_legal(config));
  for (size_t i = 0; i < count; i++) {
    check_value(limits, i, limits[i].least, is_legal, config);
    check_value(limits, i, limits[i].most, is_legal, config);
    check_value(limits, i, limits[i].least - 1, is_legal, config);
    check_value(limits, i, limits[i].most + 1, is_legal, config);
  }
}

void check_config_hostname(ehlo_span *hostname, config_is_legal_fn *is_legal, const void *config)
{
  static const char *const good[] = {"mail.example.org", "client.example.com", "localhost", "[192.0.2.1]",
                                     "[IPv6:2001:db8::1]"}; /* [C-HELO-06] */
  static const char *const bad[] = {"",
                                    "a..b",
                                    ".a",
                                    "a.",
                                    "under_score.example",
                                    "a b",
                                    "a\r\nb",
                                    "a\r",
                                    "mail.example.org\r",
                                    "-a",
                                    "<a.b>",
                                    "<mail.example.org>",
                                    "[192.0.2.256]",
                                    "m\xC3\xB8ller.example"}; /* [C-UTF8-13] */
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    *hostname = ehlo_span_of(good[i]);
    if (!is_legal(config)) {
      fail_msg("refused: %s", good[i]);
    }
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    *hostname = ehlo_span_of(bad[i]);
    if (is_legal(config)) {
      fail_msg("taken: %s", bad[i]);
    }
  }
  char longest[256];
  for (size_t i = 0; i < sizeof longest; i += 2) {
    memcpy(longest + i, "x.", 2);
  }
  longest[255] = 'x'; /* the longest by its last label */
  *hostname = (ehlo_span){longest, 255};
  assert_true(is_legal(config));
  hostname->len = 256;
  assert_false(is_legal(config));
}
