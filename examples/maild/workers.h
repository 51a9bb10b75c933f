/* workers.h: several processes that serve the same sockets.
 *
 * SPDX-License-Identifier: MIT
 *
 * The first process opens the sockets and lets the others accept from them; it serves nobody. All share one queue of
 * connections for each socket, so one that dies, or is replaced, takes none with it that waited for it (as it would
 * with SO_REUSEPORT, where each has a queue of its own). One that dies is started again.
 */
#ifndef MAILD_WORKERS_H
#define MAILD_WORKERS_H

/* Starts so many. Returns in each of them, with its number from 1; in the first process never. */
unsigned workers_start(unsigned count);

#endif
