/* metrics.h: what this process has done so far, in figures.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_METRICS_H
#define MAILD_METRICS_H

#include <ehlo.h>

/* Events of the library are counted here, whatever becomes of them. */
void metrics_event(const ehlo_event *event);

enum metric {
  METRIC_CONNECTIONS,
  METRIC_TURNED_AWAY,
  METRIC_HANDSHAKES,
  METRIC_HANDSHAKES_FAILED,
  METRIC_RELAYED,
  METRIC_OWN /* the events are counted behind these */
};
void metrics_count(enum metric metric);

/* Writes them: to the file, whole or not at all, or to the log where there is none. In a worker the file has its number
 * behind its name. A line each, as Prometheus reads it: a name, a space, a number. */
void metrics_write(const char *file, unsigned worker);

#endif
