/* sessions.c: all sessions: who is there, who is one too many, the end of all. See session.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "blocks.h"
#include "session.h"

#include <string.h>
#include <unistd.h>

enum { BUCKETS = 4096 };

static struct session *sessions;
static struct session *buckets[BUCKETS];
static size_t count;

/* ---- by their addresses ------------------------------------------------------------------------------------------ */

static struct session **bucket_of(const struct ip_address *address)
{
  size_t size = ip_address_significant(address);
  uint32_t hash = 2166136261U;
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ address->octets[i]) * 16777619U;
  return &buckets[(hash ^ hash >> 16) % BUCKETS];
}

size_t sessions_from(const struct ip_address *peer)
{
  size_t found = 0;
  for (const struct session *at = *bucket_of(peer); at != NULL; at = at->chain)
    found +=
        at->client.family == peer->family && memcmp(at->client.octets, peer->octets, ip_address_significant(peer)) == 0;
  return found;
}

int sessions_crowded(const struct ip_address *peer)
{
  return settings.max_per_address != 0 && peer->family != AF_UNIX &&
         !networks_have(settings.balancers.list, settings.balancers.count, peer) &&
         sessions_from(peer) >= settings.max_per_address;
}

static void chain(struct session *session)
{
  struct session **bucket = bucket_of(&session->client);
  session->chain = *bucket;
  session->chain_from = bucket;
  if (session->chain != NULL)
    session->chain->chain_from = &session->chain;
  *bucket = session;
}

static void unchain(struct session *session)
{
  *session->chain_from = session->chain;
  if (session->chain != NULL)
    session->chain->chain_from = session->chain_from;
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

void session_list(struct session *session)
{
  chain(session);
  session->next = sessions;
  if (sessions != NULL)
    sessions->previous = session;
  sessions = session;
  count++;
}

void session_unlist(struct session *session)
{
  unchain(session);
  *(session->previous != NULL ? &session->previous->next : &sessions) = session->next;
  if (session->next != NULL)
    session->next->previous = session->previous;
  count--;
}

void session_relist(struct session *session, const struct ip_address *client)
{
  unchain(session);
  session->client = *client;
  chain(session);
}

size_t sessions_count(void)
{
  return count;
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

struct refusal {
  const char *enhanced;
  const char *text;
};

static int refuse_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  const struct refusal *refusal = user;
  if (event->type != EHLO_EVENT_CONNECT)
    return EHLO_HANDLED;
  return answer(server, event, 421, refusal->enhanced, refusal->text);
}

/* Under TLS there would have to be a handshake first: that is what there is no room for. */
void session_refuse(int fd, const struct place *place, const char *enhanced, const char *text)
{
  struct refusal refusal = {enhanced, text};
  void *block = place->tls ? NULL : block_take();
  ehlo_server *server;
  if (block != NULL && ehlo_server_init(&server, block, block_size(), &settings.config[place->kind], refuse_event,
                                        &refusal) == EHLO_OK) {
    size_t size;
    ehlo_server_start(server);
    const void *octets = ehlo_server_output(server, &size);
    (void)!write(fd, octets, size); /* a line fits the empty buffer of a new connection */
  }
  if (block != NULL)
    block_give(block);
  close(fd);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

void sessions_stop(int how)
{
  struct session *next;
  sessions_set_stopping(how);
  for (struct session *session = sessions; session != NULL; session = next) {
    next = session->next;
    session_stop(session);
  }
}

void sessions_status(void)
{
  size_t engine = 0;
  size_t held = 0;
  size_t tls = 0;
  for (const struct session *session = sessions; session != NULL; session = session->next) {
    engine += session->bed_size + (session->awake ? block_size() : 0);
    held += session->held_size;
    tls += session->stream.tls != NULL;
  }
  fprintf(stderr, "%s: status connections=%zu asleep=%zu engine=%zu held=%zu tls=%zu\n", program, count,
          sessions_asleep(), engine, held, tls);
}
