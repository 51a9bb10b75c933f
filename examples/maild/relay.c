/* relay.c: see relay.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * The server's events take notes and put their tickets off; what follows from the notes is done in the next round of
 * the loop (relay_advance), and the client's events answer the tickets. So neither machine is ever called from within
 * the other but to be answered.
 */
#define _GNU_SOURCE
#include "relay.h"

#include "envelope.h"
#include "relay_dialogue.h"

#include <stdlib.h>
#include <string.h>

static struct relay *leaving;

/* ---- the connection ---------------------------------------------------------------------------------------------- */

static void rest(struct next_hop *hop)
{
  struct relay *relay = (struct relay *)(void *)hop;
  int go_on = relay->answered && relay->session != NULL;
  relay->answered = 0;
  if (go_on)
    session_go_on(relay->session); /* which may be the end of both */
}

static void destroy(struct relay *relay)
{
  struct relay **at = &leaving;
  while (*at != NULL && *at != relay)
    at = &(*at)->next;
  if (*at != NULL)
    *at = relay->next;
  if (relay->session != NULL)
    relay->session->relay = NULL;
  next_hop_end(&relay->hop);
  free(relay->content);
  free(relay);
}

/* The connection is. What the transaction comes to is what was said last, or that nobody knows. */
static void over(struct next_hop *hop)
{
  struct relay *relay = (struct relay *)(void *)hop;
  struct session *session = relay->session;
  if (session == NULL) {
    destroy(relay);
    return;
  }
  if (hop->why != NULL)
    fprintf(stderr, "%s: relay %s: %s\n", program, next_hop_name(), hop->why);
  relay_fail(relay, 451, 4, 2, "The next server cannot be reached now, or was lost");
  /* The rest of its transaction is told the same; what it was not asked about yet gets a new connection. */
  if (session->envelope != NULL && session->envelope->relaying) {
    int code = relay->failed.code;
    session->envelope->lost = 1;
    session->envelope->lost_code = code < 400 || code == 421 ? 451 : code;
  }
  destroy(relay);
  session_go_on(session);
}

/* ---- what the session says --------------------------------------------------------------------------------------- */

static int is_lost(struct session *session, const ehlo_event *event)
{
  return session->envelope->lost
             ? answer(session->server, event, session->envelope->lost_code, NULL, "The next server was lost")
             : EHLO_FAIL_TRANSACTION;
}

/* Returns -1 if there is no memory. */
static int connect_to_next(struct session *session)
{
  struct relay *relay = calloc(1, sizeof *relay);
  if (relay == NULL)
    return -1;
  relay->session = session;
  relay->hop.advance = relay_advance;
  relay->hop.rest = rest;
  relay->hop.over = over;
  if (next_hop_begin(&relay->hop, relay_event, relay) != 0) {
    free(relay);
    return -1;
  }
  session->relay = relay;
  return 0;
}

static void begin_transaction(struct relay *relay, struct envelope *envelope)
{
  envelope->relaying = 1;
  relay->step = MAIL;
  relay->asked = relay->complete = 0;
  relay->ticket = 0;
  relay->from = relay->to = 0;
  memset(&relay->failed, 0, sizeof relay->failed);
  relay->parameters = (ehlo_mail_parameters){.struct_size = sizeof relay->parameters,
                                             .size = envelope->size,
                                             .has_size = envelope->has_size,
                                             .body = envelope->body,
                                             .smtputf8 = (uint32_t)envelope->utf8};
}

/* It has said QUIT: the rest it does by itself. */
static void let_go(struct relay *relay)
{
  relay->session->relay = NULL;
  relay->session = NULL;
  relay->next = leaving;
  leaving = relay;
  next_hop_wake(&relay->hop);
}

int relay_rcpt(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  struct envelope *envelope = session->envelope;
  if (envelope->lost)
    return is_lost(session, event);
  if (session->relay != NULL && session->relay->hop.most != 0 && !envelope->relaying)
    let_go(session->relay);
  if (session->relay == NULL && connect_to_next(session) != 0)
    return answer(server, event, 451, "4.3.0", NULL);
  struct relay *relay = session->relay;
  if (!envelope->relaying)
    begin_transaction(relay, envelope);
  struct recipient *recipient = envelope->recipients[envelope->count - 1];
  recipient->relayed = 1;
  if (relay->failed.code != 0) {
    recipient->told = 1;
    relay_pass(relay, event->ticket, &relay->failed);
    return EHLO_HANDLED;
  }
  next_hop_wake(&relay->hop);
  return answered(ehlo_server_defer(server, event->ticket, 0));
}

/* Keeps octets until the next server takes them. Returns 0 or -1. */
static int keep(struct relay *relay, const ehlo_span *spans, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    if (relay->to + spans[i].len > relay->room) {
      size_t room = (relay->to + spans[i].len) * 2;
      char *content = realloc(relay->content, room);
      if (content == NULL)
        return -1;
      relay->content = content;
      relay->room = room;
    }
    memcpy(relay->content + relay->to, spans[i].ptr, spans[i].len);
    relay->to += spans[i].len;
  }
  return 0;
}

/* Puts this event off until the next server has done its part. */
static int put_off(struct relay *relay, ehlo_server *server, const ehlo_event *event)
{
  relay->asked = 1;
  relay->ticket = event->ticket;
  relay->ticket_is_body = event->type == EHLO_EVENT_BODY;
  if (relay->failed.code != 0) {
    relay->ticket = 0;
    if (relay->failed.code < 400 && event->type != EHLO_EVENT_MESSAGE)
      relay_fail(relay, 451, 5, 0, "");
    relay_pass(relay, event->ticket, &relay->failed);
    return EHLO_HANDLED;
  }
  next_hop_wake(&relay->hop);
  return answered(ehlo_server_defer(server, event->ticket, 0));
}

int relay_data(struct session *session, ehlo_server *server, const ehlo_event *event, ehlo_span header)
{
  if (session->relay == NULL)
    return is_lost(session, event);
  if (keep(session->relay, &header, 1) != 0)
    return EHLO_FAIL_TRANSACTION;
  return event->type == EHLO_EVENT_DATA ? put_off(session->relay, server, event) : EHLO_HANDLED;
}

int relay_body(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  if (session->relay == NULL)
    return is_lost(session, event);
  if (keep(session->relay, event->as.body.spans, event->as.body.count) != 0)
    return EHLO_FAIL_TRANSACTION;
  return put_off(session->relay, server, event);
}

int relay_verdict(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  if (session->relay == NULL)
    return is_lost(session, event);
  session->relay->complete = 1;
  return put_off(session->relay, server, event);
}

int relay_is_unanswered(const struct session *session)
{
  return session->relay != NULL && session->relay->step == WAIT_VERDICT;
}

/* A transaction that the next server still holds is ended there by RSET, or, if content is under way, only by the end
 * of the connection: a half message must not be taken for a whole one. */
void relay_end(struct session *session)
{
  struct relay *relay = session->relay;
  if (relay == NULL || session->envelope == NULL || !session->envelope->relaying)
    return;
  relay->ticket = 0;
  if (relay->used && (relay->asked || ehlo_client_pending(relay->hop.client) > 0)) {
    destroy(relay);
    return;
  }
  relay->reset |= relay->used;
  relay->used = 0;
  relay->step = OVER;
}

void relay_leave(struct session *session)
{
  struct relay *relay = session->relay;
  if (relay == NULL)
    return;
  if (!relay->greeted || relay->used || ehlo_client_quit(relay->hop.client, 0) != EHLO_OK) {
    destroy(relay);
    return;
  }
  relay->hop.most = RELAY_GOODBYE; /* there may be many of them, and nothing limits how many */
  let_go(relay);
}

void relay_open(const char *where)
{
  next_hop_look_up(where);
}

void relay_reload(void)
{
  next_hop_look_up_again();
}

void relay_close(void)
{
  while (leaving != NULL)
    destroy(leaving);
  next_hop_forget();
}
