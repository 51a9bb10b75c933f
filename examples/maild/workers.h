/* workers.h: several processes that serve the same sockets.
 *
 * SPDX-License-Identifier: MIT
 *
 * The first process opens the sockets and lets the others accept from them; it serves nobody. All share one queue of
 * connections for each socket, so one that dies, or is replaced, takes none with it that waited for it (as it would
 * with SO_REUSEPORT, where each has a queue of its own). One that dies is started again. One that cannot begin, because
 * a file is wrong, ends all if it is at the start; later the others serve on, and it is tried again.
 */
#ifndef MAILD_WORKERS_H
#define MAILD_WORKERS_H

/* In one of them: it serves. When all do, whoever waits for that is told. */
void workers_tell_ready(void);

/* Starts so many. Returns in each of them, with its number from 1; in the first process never. */
unsigned workers_start(unsigned count);

#endif
