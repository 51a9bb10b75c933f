/* signals.h: signals become events of the loop like others.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MAILD_SIGNALS_H
#define MAILD_SIGNALS_H

/* Calls `what` from the loop for SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2, and with `children` for SIGCHLD. */
void signals_watch(void (*what)(int number), int children);
void signals_forget(void);

/* Around a fork: whatever comes in between waits, for the new process until it watches too, or lets it come. Else it
 * would fall to a handler whose pipe is the other process's, or is closed already. */
void signals_hold(void);
void signals_release(void);

#endif
