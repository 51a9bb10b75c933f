/* blocks.h: the memory that sessions work and sleep in.
 *
 * SPDX-License-Identifier: MIT
 *
 * Ten thousand connections mostly wait for their peers, and while they do each keeps only what it must: its struct, and
 * the few hundred octets that an idle session of the library has in use, which sleeps in a `bed` of just that size. For
 * the time of the work it lies in a block of full size, which the next one uses after it. Only who is in the midst of
 * something (an answer is awaited, the peer does not take its replies, half a line is there) keeps a block for that
 * long.
 */
#ifndef MAILD_BLOCKS_H
#define MAILD_BLOCKS_H

#include "session.h"

/* A block that is fit for every session that there can be, or NULL. */
void *block_take(void);
void block_give(void *block);
size_t block_size(void);

/* Moves the session to a block of full size. Returns 0, or -1 if there is no memory. */
int session_wake(struct session *session);

/* Sends it to sleep if it has nothing to do. */
void session_rest(struct session *session);

/* The library is done with it: what it lay in is free. */
void session_leave_block(struct session *session);

/* How many sleep. */
size_t sessions_asleep(void);

#endif
