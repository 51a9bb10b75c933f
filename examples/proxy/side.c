/* side.c: what both connections of a session have: waiting, the clock, the end.
 *
 * SPDX-License-Identifier: MIT
 */
#include "proxy.h"

#include <poll.h>

void side_wait(struct side *side, short wants)
{
  short events = stream_events(&side->stream, wants);
  loop_want(&side->source, (events & POLLIN ? LOOP_IN : 0U) | (events & POLLOUT ? LOOP_OUT : 0U));
}

void side_close(struct side *side)
{
  if (!side->open)
    return;
  loop_forget(&side->source);
  timer_stop(&side->timer);
  stream_close(&side->stream);
  side->open = side->shaking = 0;
}

void side_set_timer(struct side *side, uint32_t seconds)
{
  side->seconds = seconds;
  if (seconds == 0)
    timer_stop(&side->timer);
  else
    timer_set(&side->timer, loop_now() + (int64_t)seconds * 1000);
}

void side_keep_time(struct side *side, uint64_t epoch, uint32_t seconds, int closing)
{
  if (closing)
    seconds = LAST_WORDS;
  if (epoch == side->epoch && seconds == side->seconds && closing == side->closing)
    return;
  side->epoch = epoch;
  side->closing = (uint8_t)closing;
  side_set_timer(side, seconds);
}

void side_shake(struct side *side)
{
  side->shaking = 1;
  side_set_timer(side, CONNECT_TIMEOUT);
}

short side_ready(struct side *side, unsigned events)
{
  short can = stream_ready(&side->stream, (short)((events & LOOP_IN ? POLLIN : 0) | (events & LOOP_OUT ? POLLOUT : 0) |
                                                  (events & LOOP_GONE ? POLLHUP : 0)));
  if (can & POLLOUT)
    side->blocked = 0;
  return can;
}
