/* signals.h: signals become events of the loop like others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_SIGNALS_H
#define MAILD_SIGNALS_H

/* Calls `what` from the loop for SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2, and with `children` for SIGCHLD. */
void signals_watch(void (*what)(int number), int children);
void signals_forget(void);

#endif
