/* manager.h: what a service manager says and hears: sockets that it opened, readiness (systemd's protocols, without its
 * library). A maild that starts its successor is one too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_MANAGER_H
#define MAILD_MANAGER_H

/* Looks at LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID. Returns how many sockets were handed over. */
int manager_sockets(void);

/* The name of the `at`-th, "unknown" if it has none, and its descriptor; -1 if it is taken. */
const char *manager_name(int at);
int manager_descriptor(int at);

/* Takes the next one of that name. Returns its descriptor, or -1 if there is none. */
int manager_take(const char *name);

/* Tells NOTIFY_SOCKET, if there is one: "READY=1". */
void manager_tell(const char *state);

/* The same of "READY=1"; a process that took over says which it is. */
void manager_tell_ready(int took_over);

#endif
