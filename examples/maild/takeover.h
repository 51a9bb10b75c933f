/* takeover.h: a new maild takes the sockets over from the old one, and no client is refused.
 *
 * SPDX-License-Identifier: MIT
 *
 * The old one starts the program that its command line names, with the same words, and hands it the listening sockets.
 * Connections that come meanwhile wait in them, whoever accepts. When the new one serves, it says so, and the old one
 * accepts no more, and goes when its sessions have ended. If the new one does not come to that, nothing has changed.
 */
#ifndef MAILD_TAKEOVER_H
#define MAILD_TAKEOVER_H

/* The words of the command line. */
void takeover_remember(char **argv);

/* In the old one: starts a new one. `done` is called when it serves. */
void takeover_begin(void (*done)(void));

/* In the new one: serves. Returns 1 if somebody waited for that. */
int takeover_done(void);

#endif
