/* configs.h: what the configs of both machines must hold to. */
#ifndef EHLO_TESTS_CONFIGS_H
#define EHLO_TESTS_CONFIGS_H

#include "ehlo.h"

/* A number in a config, and from where to where it is legal. */
struct config_limit {
  uint32_t *field;
  uint32_t least, most;
};

/* Is the config legal, by all that says so? */
typedef int config_is_legal_fn(const void *config);

/* Each limit is legal at its least and its most, and not one beyond: 0 and UINT32_MAX count as neighbours. All fields
 * are those of `config`, and are as they were on return. */
void check_config_limits(const struct config_limit *limits, size_t count, config_is_legal_fn *is_legal,
                         const void *config);

/* `hostname`, which is of `config`, may be what can stand behind EHLO, and nothing else. It is changed. */
void check_config_hostname(ehlo_span *hostname, config_is_legal_fn *is_legal, const void *config);

#endif
