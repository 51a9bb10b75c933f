/* metrics.c: see metrics.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "metrics.h"

#include "../common.h"
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum {
  MESSAGES = METRIC_OWN,
  MESSAGES_REFUSED,
  OCTETS,
  RECIPIENTS,
  RECIPIENTS_REFUSED,
  LOGINS,
  LOGINS_REFUSED,
  COMMANDS,
  VIOLATIONS,
  COUNT
};

static const char *const names[COUNT] = {
    [METRIC_CONNECTIONS] = "connections_total",
    [METRIC_TURNED_AWAY] = "connections_turned_away_total",
    [METRIC_HANDSHAKES] = "tls_handshakes_total",
    [METRIC_HANDSHAKES_FAILED] = "tls_handshakes_failed_total",
    [METRIC_RELAYED] = "messages_relayed_total",
    [MESSAGES] = "messages_accepted_total",
    [MESSAGES_REFUSED] = "messages_refused_total",
    [OCTETS] = "octets_accepted_total",
    [RECIPIENTS] = "recipients_accepted_total",
    [RECIPIENTS_REFUSED] = "recipients_refused_total",
    [LOGINS] = "logins_total",
    [LOGINS_REFUSED] = "logins_refused_total",
    [COMMANDS] = "commands_total",
    [VIOLATIONS] = "violations_total",
};
static uint64_t figures[COUNT];

void metrics_count(enum metric metric)
{
  figures[metric]++;
}

static void count_reply(const ehlo_event_reply *reply)
{
  int refused = reply->code >= 400;
  switch (reply->verb) {
  case EHLO_VERB_RCPT: figures[refused ? RECIPIENTS_REFUSED : RECIPIENTS]++; break;
  case EHLO_VERB_AUTH:
    if (reply->code != 334)
      figures[refused ? LOGINS_REFUSED : LOGINS]++;
    break;
  default: break;
  }
}

void metrics_event(const ehlo_event *event)
{
  const ehlo_event_end *end = &event->as.end;
  switch (event->type) {
  case EHLO_EVENT_COMMAND: figures[COMMANDS]++; break;
  case EHLO_EVENT_VIOLATION: figures[VIOLATIONS]++; break;
  case EHLO_EVENT_REPLY: count_reply(&event->as.reply); break;
  case EHLO_EVENT_END:
    if (end->reason == EHLO_END_ACCEPTED || end->reason == EHLO_END_MIXED) {
      figures[MESSAGES]++;
      figures[OCTETS] += end->octets;
    } else if (end->reason == EHLO_END_REFUSED || end->reason == EHLO_END_TOO_BIG ||
               end->reason == EHLO_END_BARE_NEWLINE || end->reason == EHLO_END_FAILED) {
      figures[MESSAGES_REFUSED]++;
    }
    break;
  default: break;
  }
}

static void write_to(FILE *file, const char *before)
{
  fprintf(file, "%smaild_connections %zu\n", before, sessions_count());
  for (size_t i = 0; i < COUNT; i++)
    fprintf(file, "%smaild_%s %llu\n", before, names[i], (unsigned long long)figures[i]);
}

void metrics_write(const char *file, unsigned worker)
{
  char name[PATH_MAX], fresh[PATH_MAX + 2];
  if (file == NULL) {
    write_to(stderr, "maild: metric ");
    return;
  }
  if (worker > 0)
    snprintf(name, sizeof name, "%s.%u", file, worker);
  else
    snprintf(name, sizeof name, "%s", file);
  snprintf(fresh, sizeof fresh, "%s~", name);
  FILE *to = fopen(fresh, "we");
  if (to != NULL)
    write_to(to, "");
  if (to == NULL || fclose(to) != 0 || rename(fresh, name) != 0)
    complain(name, strerror(errno));
}
