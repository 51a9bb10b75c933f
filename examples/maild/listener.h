/* listener.h: where connections come from, and how many are let in.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_LISTENER_H
#define MAILD_LISTENER_H

#include "settings.h"

/* Listens on "ADDRESS:PORT", "[ADDRESS]:PORT", "*:PORT", or, for a name with a slash in it, on a Unix socket. Port 0 is
 * any free one; the log tells which. Ends the process if it cannot. */
void listener_open(const struct place *place);

/* Takes no more connections. */
void listeners_close(void);

#endif
