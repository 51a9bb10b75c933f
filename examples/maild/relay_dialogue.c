/* relay_dialogue.c: see relay_dialogue.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "relay_dialogue.h"

#include "envelope.h"

#include <string.h>

/* ---- answers to the session -------------------------------------------------------------------------------------- */

void relay_pass(struct relay *relay, uint32_t ticket, const struct verdict_of_next *verdict)
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
    relay_pass(relay, recipient->ticket, &relay->failed);
  }
  if (relay->ticket != 0)
    relay_pass(relay, relay->ticket, &relay->failed);
  relay->ticket = 0;
}

void relay_fail(struct relay *relay, int code, uint16_t subject, uint16_t detail, const char *text)
{
  if (relay->failed.code == 0) {
    relay->failed.code = code;
    relay->failed.enhanced = (ehlo_enhanced){(uint16_t)(code / 100), subject, detail};
    snprintf(relay->failed.text, VERDICT_TEXT, "%s", text);
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
  snprintf(reply->text + length, VERDICT_TEXT - length, "%s%.*s", length > 0 ? " " : "", (int)line->text.len,
           line->text.ptr);
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

/* Nothing comes of this connection. */
static void say_goodbye(struct relay *relay)
{
  relay->hop.most = RELAY_GOODBYE;
  ehlo_client_quit(relay->hop.client, 0);
}

/* Its code is for this host: a user who heard 535 would doubt his own password. Its text is not logged: there are
 * servers that repeat the command in it. */
static void on_refused_login(struct relay *relay)
{
  const ehlo_enhanced *enhanced = &relay->reply.enhanced;
  fprintf(stderr, "%s: relay %s: the login is refused: %d %u.%u.%u\n", program, next_hop_name(), relay->reply.code,
          enhanced->status_class, enhanced->subject, enhanced->detail);
  relay_fail(relay, 451, 3, 5, "The next server refuses the login of this one");
  say_goodbye(relay);
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
    relay_pass(relay, recipient->ticket, relay->failed.code != 0 ? &relay->failed : &relay->reply);
    break;
  case EHLO_VERB_MESSAGE:
    relay->used = 0;
    relay->step = OVER;
    relay->failed = relay->reply; /* if it comes before all content has */
    if (relay->ticket != 0 && (refused || !relay->ticket_is_body)) {
      relay_pass(relay, relay->ticket, &relay->reply);
      relay->ticket = 0;
    }
    break;
  case EHLO_VERB_AUTH:
    relay->greeted = 1;
    if (refused)
      on_refused_login(relay);
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
    relay_fail(relay, 0, 0, 0, "");
    if (!relay->greeted)
      say_goodbye(relay);
    break;
  }
}

static void on_hello(struct relay *relay)
{
  if (next_hop_secures(&relay->hop))
    return;
  int secure = !settings.relay_tls_required || ehlo_client_tls(relay->hop.client);
  int login = secure ? next_hop_logs_in(&relay->hop) : 0;
  if (login > 0)
    return;
  relay->greeted = 1;
  if (secure && login == 0)
    return;
  relay_fail(relay, 451, 7, 5, secure ? "The next server offers no login" : "The next server offers no TLS");
  say_goodbye(relay);
}

int relay_event(ehlo_client *client, const ehlo_client_event *event, void *user)
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
    relay_fail(relay, 451, 5, 0, "The next server broke the protocol");
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
  case EHLO_ERR_SIZE: relay_fail(relay, 552, 3, 4, "The next server takes no messages of that size"); return 0;
  case EHLO_ERR_8BITMIME: relay_fail(relay, 554, 6, 3, "The next server takes no 8-bit content"); return 0;
  case EHLO_ERR_SMTPUTF8: relay_fail(relay, 550, 6, 7, "The next server takes no addresses in UTF-8"); return 0;
  case EHLO_ERR_LIMIT: relay_fail(relay, 452, 5, 3, "The next server takes no more"); return 0;
  default: relay_fail(relay, 451, 3, 0, ehlo_strerror(error)); return 0;
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

void relay_advance(struct next_hop *hop)
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
