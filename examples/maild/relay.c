/* relay.c: see relay.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * The server's events take notes and put their tickets off; what follows from the notes is done in the next round of
 * the loop (advance), and the client's events answer the tickets. So neither machine is ever called from within the
 * other but to be answered.
 */
#define _GNU_SOURCE
#include "relay.h"

#include "envelope.h"
#include "next_hop.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT = 400, GOODBYE = 5 /* seconds that the next server gets to answer QUIT */ };

struct verdict_of_next {
  int code; /* 0: none yet */
  ehlo_enhanced enhanced;
  char text[TEXT];
};

/* What the next server is to hear, in this order. */
enum step { WAIT_HELLO, MAIL, RCPTS, DATA, CONTENT, END_CONTENT, WAIT_VERDICT, OVER };

struct relay {
  struct next_hop hop;
  struct session *session; /* NULL: it says goodbye, and is one of */
  struct relay *next;      /* these */
  enum step step;
  int greeted;     /* HELLO came, and nothing is to come before MAIL */
  int used;        /* for a transaction, which is not over there */
  int reset;       /* RSET is needed before the next MAIL */
  int asked;       /* for content: DATA, or BODY, came */
  int complete;    /* all content is here */
  int answered;    /* the session has to go on */
  uint32_t ticket; /* of DATA, BODY or MESSAGE, which waits; 0: none */
  int ticket_is_body;
  struct verdict_of_next reply;  /* the one that comes in */
  struct verdict_of_next failed; /* why nothing more comes of this transaction */
  char *content;                 /* what is to be sent next */
  size_t from, to, room;
  ehlo_mail_parameters parameters;
};

static struct relay *leaving;

/* ---- answers to the session -------------------------------------------------------------------------------------- */

static void pass(struct relay *relay, uint32_t ticket, const struct verdict_of_next *verdict)
{
  char word[24];
  const char *enhanced = NULL;
  /* 421 would close the session here, where nothing is wrong. */
  int code = verdict->code == 421 ? 451 : verdict->code;
  if (verdict->enhanced.status_class == (uint32_t)code / 100) {
    snprintf(word, sizeof word, "%u.%u.%u", verdict->enhanced.status_class, verdict->enhanced.subject,
             verdict->enhanced.detail);
    enhanced = word;
  }
  int error = ehlo_server_reply(relay->session->server, ticket, code, enhanced, ehlo_span_of(verdict->text));
  if (error == EHLO_ERR_TEXT || error == EHLO_ERR_TOO_LONG || error == EHLO_ERR_SPACE)
    error = ehlo_server_reply(relay->session->server, ticket, code, enhanced, ehlo_span_of(NULL));
  if (error != EHLO_OK)
    answered(ehlo_server_reply(relay->session->server, ticket, 451, "4.3.0", ehlo_span_of(NULL)));
  relay->answered = 1;
}

/* Whoever still waits hears it. */
static void pass_to_all(struct relay *relay)
{
  struct envelope *envelope = relay->session->envelope;
  for (size_t i = envelope == NULL ? 0 : envelope->accepted; envelope != NULL && i < envelope->count; i++) {
    struct recipient *recipient = envelope->recipients[i];
    if (!recipient->relayed || recipient->told)
      continue;
    recipient->told = 1;
    pass(relay, recipient->ticket, &relay->failed);
  }
  if (relay->ticket != 0)
    pass(relay, relay->ticket, &relay->failed);
  relay->ticket = 0;
}

static void fail(struct relay *relay, int code, uint16_t subject, uint16_t detail, const char *text)
{
  if (relay->failed.code == 0) {
    relay->failed.code = code;
    relay->failed.enhanced = (ehlo_enhanced){(uint16_t)(code / 100), subject, detail};
    snprintf(relay->failed.text, TEXT, "%s", text);
  }
  relay->step = OVER;
  if (relay->session != NULL)
    pass_to_all(relay);
}

/* ---- what the next server says ----------------------------------------------------------------------------------- */

static void on_line(struct relay *relay, const ehlo_client_event_reply *line)
{
  struct verdict_of_next *reply = &relay->reply;
  size_t length = line->number == 1 ? 0 : strlen(reply->text);
  snprintf(reply->text + length, TEXT - length, "%s%.*s", length > 0 ? " " : "", (int)line->text.len, line->text.ptr);
  reply->code = (int)line->code;
  reply->enhanced = line->enhanced;
}

static struct recipient *find_recipient(struct relay *relay, uint64_t ticket)
{
  struct envelope *envelope = relay->session->envelope;
  for (size_t i = envelope == NULL ? 0 : envelope->accepted; envelope != NULL && i < envelope->count; i++) {
    if (envelope->recipients[i]->ticket == ticket)
      return envelope->recipients[i];
  }
  return NULL;
}

static void on_reply(struct relay *relay, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  struct recipient *recipient;
  int refused = reply->code >= 400 && !reply->fallback;
  if (relay->session == NULL)
    return;
  switch (reply->verb) {
  case EHLO_VERB_RCPT:
    recipient = find_recipient(relay, event->tag);
    if (recipient == NULL || recipient->told)
      break;
    recipient->told = 1;
    pass(relay, recipient->ticket, relay->failed.code != 0 ? &relay->failed : &relay->reply);
    break;
  case EHLO_VERB_MESSAGE:
    relay->used = 0;
    relay->step = OVER;
    relay->failed = relay->reply; /* if it comes before all content has */
    if (relay->ticket != 0 && (refused || !relay->ticket_is_body)) {
      pass(relay, relay->ticket, &relay->reply);
      relay->ticket = 0;
    }
    break;
  case EHLO_VERB_RSET:
  case EHLO_VERB_QUIT: break;
  default: /* the greeting, EHLO, STARTTLS, MAIL, DATA, and 421 unasked */
    if (!refused)
      break;
    if (reply->verb == EHLO_VERB_STARTTLS && !settings.relay_tls_required) {
      relay->greeted = 1; /* in clear, then */
      break;
    }
    if (relay->failed.code == 0)
      relay->failed = relay->reply;
    fail(relay, 0, 0, 0, "");
    if (!relay->greeted)
      ehlo_client_quit(relay->hop.client, 0); /* nothing comes of this connection */
    break;
  }
}

static void on_hello(struct relay *relay)
{
  if (next_hop_secures(&relay->hop))
    return;
  relay->greeted = 1;
  if (!settings.relay_tls_required || ehlo_client_tls(relay->hop.client))
    return;
  fail(relay, 451, 7, 5, "The next server offers no TLS");
  ehlo_client_quit(relay->hop.client, 0);
}

static int on_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct relay *relay = user;
  (void)client;
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE: on_line(relay, &event->as.reply); break;
  case EHLO_CLIENT_EVENT_REPLY:
    on_line(relay, &event->as.reply);
    on_reply(relay, event);
    break;
  case EHLO_CLIENT_EVENT_HELLO: on_hello(relay); break;
  case EHLO_CLIENT_EVENT_CONTENT:
    if (relay->step == DATA)
      relay->step = CONTENT;
    if (relay->session != NULL && relay->ticket != 0 && !relay->ticket_is_body && !relay->complete) {
      answered(ehlo_server_accept(relay->session->server, relay->ticket)); /* 354 */
      relay->ticket = 0;
      relay->answered = 1;
    }
    break;
  case EHLO_CLIENT_EVENT_END:
    relay->used = 0;
    relay->reset = (int)event->as.end.needs_reset;
    break;
  case EHLO_CLIENT_EVENT_VIOLATION:
    fprintf(stderr, "%s: relay %s: %s\n", program, next_hop_name(), ehlo_violation_name(event->as.violation.kind));
    fail(relay, 451, 5, 0, "The next server broke the protocol");
    break;
  default: break;
  }
  return EHLO_HANDLED;
}

/* ---- what it is to hear ------------------------------------------------------------------------------------------ */

/* A command that cannot be given. SPACE and STATE: later. Returns 1 if it was given. */
static int given(struct relay *relay, int error)
{
  switch (error) {
  case EHLO_OK: return 1;
  case EHLO_ERR_SPACE:
  case EHLO_ERR_STATE:
  case EHLO_ERR_REFUSED: return 0;
  case EHLO_ERR_SIZE: fail(relay, 552, 3, 4, "The next server takes no messages of that size"); return 0;
  case EHLO_ERR_8BITMIME: fail(relay, 554, 6, 3, "The next server takes no 8-bit content"); return 0;
  case EHLO_ERR_SMTPUTF8: fail(relay, 550, 6, 7, "The next server takes no addresses in UTF-8"); return 0;
  case EHLO_ERR_LIMIT: fail(relay, 452, 5, 3, "The next server takes no more"); return 0;
  default: fail(relay, 451, 3, 0, ehlo_strerror(error)); return 0;
  }
}

static void issue_rcpts(struct relay *relay)
{
  struct envelope *envelope = relay->session->envelope;
  for (size_t i = envelope->accepted; i < envelope->count && relay->step == RCPTS; i++) {
    struct recipient *recipient = envelope->recipients[i];
    if (!recipient->relayed || recipient->asked || recipient->told)
      continue;
    if (!given(relay, ehlo_client_rcpt(relay->hop.client, recipient_mailbox(recipient), NULL, recipient->ticket)))
      return;
    recipient->asked = 1;
  }
}

/* Returns 0 if there is nothing to give, or no room for it. */
static void give_content(struct relay *relay)
{
  ehlo_client *client = relay->hop.client;
  size_t taken = 0;
  if (relay->from < relay->to) {
    int error = ehlo_client_body(client, relay->content + relay->from, relay->to - relay->from, &taken);
    relay->from += taken;
    if (error != EHLO_OK && error != EHLO_ERR_SPACE && error != EHLO_ERR_REFUSED && error != EHLO_ERR_STATE) {
      given(relay, error);
      return;
    }
  }
  if (relay->from < relay->to)
    return;
  relay->from = relay->to = 0;
  if (relay->complete) {
    if (given(relay, ehlo_client_body_end(client)))
      relay->step = WAIT_VERDICT;
  } else if (relay->ticket != 0 && relay->ticket_is_body) {
    answered(ehlo_server_resume(relay->session->server, relay->ticket));
    relay->ticket = 0;
    relay->answered = 1;
  }
}

static void advance(struct next_hop *hop)
{
  struct relay *relay = (struct relay *)(void *)hop; /* its first member */
  ehlo_client *client = hop->client;
  if (!relay->greeted || relay->session == NULL || relay->session->envelope == NULL)
    return;
  if (relay->step == MAIL) {
    if (relay->reset && !given(relay, ehlo_client_rset(client, 0)))
      return;
    relay->reset = 0;
    if (!given(relay, ehlo_client_mail(client, sender_mailbox(relay->session->envelope), &relay->parameters, 0)))
      return;
    relay->used = 1;
    relay->step = RCPTS;
  }
  if (relay->step == RCPTS) {
    issue_rcpts(relay);
    if (relay->asked && relay->step == RCPTS && given(relay, ehlo_client_data(client, 0)))
      relay->step = DATA;
  }
  if (relay->step == CONTENT)
    give_content(relay);
}

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
  fail(relay, 451, 4, 2, "The next server cannot be reached now, or was lost");
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

static int is_lost(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  (void)server;
  return session->envelope->lost
             ? answer(session->server, event, session->envelope->lost_code, NULL, "The next server was lost")
             : EHLO_FAIL_TRANSACTION;
}

int relay_rcpt(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  struct envelope *envelope = session->envelope;
  if (envelope->lost)
    return is_lost(session, server, event);
  struct relay *relay = session->relay;
  if (relay == NULL) {
    relay = calloc(1, sizeof *relay);
    if (relay == NULL)
      return answer(server, event, 451, "4.3.0", NULL);
    relay->session = session;
    relay->hop.advance = advance;
    relay->hop.rest = rest;
    relay->hop.over = over;
    if (next_hop_begin(&relay->hop, on_event, relay) != 0) {
      free(relay);
      return answer(server, event, 451, "4.3.0", NULL);
    }
    session->relay = relay;
  }
  if (!envelope->relaying) {
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
  struct recipient *recipient = envelope->recipients[envelope->count - 1];
  recipient->relayed = 1;
  if (relay->failed.code != 0) {
    recipient->told = 1;
    pass(relay, event->ticket, &relay->failed);
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
      fail(relay, 451, 5, 0, "");
    pass(relay, event->ticket, &relay->failed);
    return EHLO_HANDLED;
  }
  next_hop_wake(&relay->hop);
  return answered(ehlo_server_defer(server, event->ticket, 0));
}

int relay_data(struct session *session, ehlo_server *server, const ehlo_event *event, ehlo_span header)
{
  if (session->relay == NULL)
    return is_lost(session, server, event);
  if (keep(session->relay, &header, 1) != 0)
    return EHLO_FAIL_TRANSACTION;
  return event->type == EHLO_EVENT_DATA ? put_off(session->relay, server, event) : EHLO_HANDLED;
}

int relay_body(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  if (session->relay == NULL)
    return is_lost(session, server, event);
  if (keep(session->relay, event->as.body.spans, event->as.body.count) != 0)
    return EHLO_FAIL_TRANSACTION;
  return put_off(session->relay, server, event);
}

int relay_verdict(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  if (session->relay == NULL)
    return is_lost(session, server, event);
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
  relay->hop.most = GOODBYE; /* there may be many of them, and nothing limits how many */
  session->relay = NULL;
  relay->session = NULL;
  relay->next = leaving;
  leaving = relay;
  next_hop_wake(&relay->hop);
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
