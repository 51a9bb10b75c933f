/* blocks.c: see blocks.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "blocks.h"

#include <stdlib.h>

enum { SPARE_BLOCKS = 64 };

static void *spare[SPARE_BLOCKS];
static unsigned spare_count;
static size_t sizes[KINDS]; /* of a session */
static size_t largest;
static size_t asleep;

size_t block_size(void)
{
  if (largest != 0)
    return largest;
  for (size_t i = 0; i < settings.place_count; i++) {
    uint8_t kind = settings.places[i].kind;
    sizes[kind] = ehlo_server_size(&settings.config[kind]);
    largest = sizes[kind] > largest ? sizes[kind] : largest;
  }
  return largest;
}

void *block_take(void)
{
  return spare_count > 0 ? spare[--spare_count] : malloc(block_size());
}

void block_give(void *block)
{
  if (spare_count < SPARE_BLOCKS)
    spare[spare_count++] = block;
  else
    free(block);
}

int session_wake(struct session *session)
{
  if (session->awake)
    return 0;
  void *block = block_take();
  if (block == NULL)
    return -1;
  ehlo_server_move(&session->server, block, block_size(), session->server);
  session->awake = 1;
  asleep--;
  return 0;
}

void session_rest(struct session *session)
{
  size_t kept = ehlo_server_kept(session->server);
  if (kept == sizes[session->place->kind])
    return; /* something is under way */
  if (kept > session->bed_size) {
    void *bed = realloc(session->bed, kept);
    if (bed == NULL)
      return; /* it stays awake */
    session->bed = bed;
    session->bed_size = (uint32_t)kept;
  }
  void *block = session->server;
  ehlo_server_move(&session->server, session->bed, session->bed_size, session->server);
  session->awake = 0;
  asleep++;
  block_give(block);
}

void session_leave_block(struct session *session)
{
  if (session->server == NULL)
    return;
  if (session->awake)
    block_give(session->server);
  else
    asleep--;
  session->server = NULL;
  session->awake = 0;
}

size_t sessions_asleep(void)
{
  return asleep;
}
