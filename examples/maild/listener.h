/* listener.h: where connections come from, and how many are let in.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_LISTENER_H
#define MAILD_LISTENER_H

#include "settings.h"

/* Listens on "ADDRESS:PORT", "[ADDRESS]:PORT", "*:PORT", or, for a name with a slash in it, on a Unix socket. Port 0 is
 * any free one; the log tells which. A socket that was handed over for this place is taken instead. Ends the process if
 * it cannot. */
void listener_open(const struct place *place);

/* Begins to accept. */
void listeners_watch(void);

/* Takes no more connections. The sockets may live on in other processes: then those on paths stay there. */
enum { LISTENERS_END = 0, LISTENERS_LIVE_ON = 1 };
void listeners_close(int how);

/* For a new process: their descriptors, and names with colons between by which it knows them (manager.h). Returns how
 * many. */
int listeners_hand_over(int *descriptors, int most, char *names, size_t size);

#endif
