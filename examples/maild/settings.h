/* settings.h: what the command line said.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_SETTINGS_H
#define MAILD_SETTINGS_H

#include "../common.h"
#include "network.h"

/* What a listener is for: the presets of the library, by their numbers. */
enum { KIND_MX = EHLO_PRESET_MX, KIND_SUBMISSION = EHLO_PRESET_SUBMISSION, KIND_LMTP = EHLO_PRESET_LMTP, KINDS = 3 };

/* A place to listen at. */
struct place {
  const char *option;
  const char *where;
  const char *word; /* in the log */
  uint8_t kind;
  uint8_t tls;         /* from the beginning */
  uint8_t handed_over; /* by a service manager: */
  int descriptor;
};

struct networks {
  struct network *list;
  size_t count;
};

struct settings {
  ehlo_server_config config[KINDS];
  struct recipients recipients;
  struct place *places;
  size_t place_count;
  const char *maildir;
  const char *check;
  const char *passwords;
  const char *hash_password;
  const char *tls_cert, *tls_key;
  uint64_t max_connections, max_per_address; /* 0: no limit */
  uint64_t check_timeout, max_pending, writers, grace;
  struct networks balancers, xclient; /* whom is believed who the client is */
  const char *metrics, *user;
  uint64_t processes;
  const char *relay_to;
  int relay_tls_required;
  const char *relay_login;
  const char *aliases;
  int allow_vrfy, allow_expn;
  int discard, quiet, by_poll;
};
extern struct settings settings;

/* Fills `settings`. Bad usage, and --help, end the process. */
void settings_read(int argc, char **argv);
void settings_forget(void);

#endif
