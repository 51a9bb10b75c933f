/* next.c: what the next hop answers, and whom it is for.
 *
 * SPDX-License-Identifier: MIT
 */
#include "proxy.h"

#include <string.h>

static void add_line(struct answer *answer, const ehlo_client_event_reply *line)
{
  size_t length = line->text.len < LINE_SIZE ? line->text.len : LINE_SIZE;
  if (line->number == 1)
    answer->length = 0;
  answer->code = (int)line->code;
  answer->enhanced = line->enhanced;
  if (answer->length + length + 1 > ANSWER_SIZE)
    return;
  if (line->number > 1)
    answer->text[answer->length++] = '\n';
  memcpy(answer->text + answer->length, line->text.ptr, length);
  answer->length += length;
  answer->text[answer->length] = '\0';
}

/* There is no next hop for this client. */
static void fail(struct session *session, const struct answer *answer)
{
  session->failure = *answer;
  ehlo_client_quit(session->client, 0);
  session->quit = 1;
}

/* The same in words of this host. */
static void fail_saying(struct session *session, const char *text)
{
  struct answer answer;
  complain(settings.next.text, text);
  answer_say(&answer, 421, 4, 0, text);
  fail(session, &answer);
}

/* For the log: the client is told less, for it is not what it said that was refused. */
static void complain_of(const struct answer *reply, uint32_t verb)
{
  char text[80 + LINE_SIZE];
  snprintf(text, sizeof text, "%s is refused: %d %.*s", verb == EHLO_VERB_CONNECT ? "session" : ehlo_verb_name(verb),
           reply->code, (int)strcspn(reply->text, "\n"), reply->text);
  complain(settings.next.text, text);
}

static void on_hello(struct session *session)
{
  ehlo_client *client = session->client;
  int tls = ehlo_client_tls(client) || session->clear;
  if (settings.next_tls != NEXT_TLS_OFF && !tls && ehlo_client_offers(client, EHLO_EXT_STARTTLS)) {
    ehlo_client_starttls(client, 0);
  } else if (settings.next_tls == NEXT_TLS_REQUIRE && !tls) {
    fail_saying(session, "The next hop does not offer STARTTLS");
  } else if (settings.xclient && !ehlo_client_offers(client, EHLO_EXT_XCLIENT)) {
    /* What it believes of whom it takes for this host, it would believe of any client. */
    fail_saying(session, "The next hop does not offer XCLIENT");
  } else if (session->hello_ticket != 0) {
    offer_narrow(session);
    ehlo_server_accept(session->server, session->hello_ticket);
    session->hello_ticket = 0;
  } else {
    session->ready = 1;
  }
}

/* The answer to something that came before the client could say anything. */
static void on_opening(struct session *session, const struct answer *reply, uint32_t verb)
{
  if (reply->code < 400)
    return;
  complain_of(reply, verb);
  if (verb == EHLO_VERB_STARTTLS && settings.next_tls == NEXT_TLS_TRY) {
    session->clear = 1;
    on_hello(session); /* what it has offered holds */
  } else if (session->hello_ticket != 0) {
    front_answer(session, session->hello_ticket, reply);
    session->hello_ticket = 0;
  } else if (verb == EHLO_VERB_CONNECT) {
    fail(session, reply);
  } else {
    fail_saying(session, "The next hop refuses the session");
  }
}

static void on_xclient(struct session *session, const struct answer *reply)
{
  if (reply->code < 400 && ehlo_client_hello(session->client, 0) == EHLO_OK)
    return;
  complain(settings.next.text, "XCLIENT is refused: may this host say it?");
  struct answer answer;
  answer_say(&answer, 451, 3, 5, "The next hop does not trust this host");
  front_answer(session, session->hello_ticket, &answer);
  session->hello_ticket = 0;
}

/* Where a chunk was refused, the client may be at its next message before the chunks behind that one are answered. */
static int is_of_this_message(const struct session *session, const ehlo_client_event *event)
{
  return session->stage != STAGE_NONE && event->tag == session->mail_tag;
}

static void on_reply(struct session *session, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  const struct answer *answer = &session->reply;
  switch (reply->verb) {
  case EHLO_VERB_CONNECT:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_HELO:
  case EHLO_VERB_LHLO:
  case EHLO_VERB_STARTTLS:
    if (!reply->fallback)
      on_opening(session, answer, reply->verb);
    break;
  case EHLO_VERB_XCLIENT: on_xclient(session, answer); break;
  case EHLO_VERB_DATA:
  case EHLO_VERB_BDAT:
    if (answer->code >= 400 && is_of_this_message(session, event))
      front_verdict(session, answer);
    break;
  case EHLO_VERB_MESSAGE:
    if (is_of_this_message(session, event))
      front_verdict(session, answer);
    break;
  case EHLO_VERB_RESULT:
    if (session->results_answered < session->result_count)
      front_answer(session, session->results[session->results_answered++], answer);
    break;
  case EHLO_VERB_NONE: session->failure = *answer; break;
  case EHLO_VERB_XFORWARD:
  case EHLO_VERB_RSET:
  case EHLO_VERB_QUIT: break;
  default: front_answer(session, (uint32_t)event->tag, answer); break; /* MAIL, RCPT, VRFY, EXPN, AUTH */
  }
  if (answer->code == 421)
    session->failure = *answer;
}

static void on_content(struct session *session)
{
  session->stage = STAGE_OPEN;
  if (session->data_ticket == 0)
    return;
  session->in_content = 1;
  ehlo_server_accept(session->server, session->data_ticket);
  session->data_ticket = 0;
}

static void on_end(struct session *session, const ehlo_client_event *event)
{
  if (event->tag != session->mail_tag)
    return; /* RSET was said, and the next MAIL */
  session->mail_open = 0;
  session->reset_due |= event->as.end.needs_reset != 0;
  if (session->stage == STAGE_ASKED || session->stage == STAGE_OPEN) {
    session->stage = STAGE_NONE;
    session->spill_from = session->spill_size = 0;
  }
}

static void on_violation(struct session *session, uint32_t kind)
{
  char text[80];
  snprintf(text, sizeof text, "broke the protocol: %s", ehlo_violation_name(kind));
  complain(settings.next.text, text);
  answer_say(&session->failure, 421, 5, 0, "The next hop broke the protocol");
}

int next_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct session *session = user;
  (void)client;
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE: add_line(&session->reply, &event->as.reply); break;
  case EHLO_CLIENT_EVENT_REPLY:
    add_line(&session->reply, &event->as.reply);
    on_reply(session, event);
    break;
  case EHLO_CLIENT_EVENT_HELLO: on_hello(session); break;
  case EHLO_CLIENT_EVENT_CONTENT: on_content(session); break;
  case EHLO_CLIENT_EVENT_END: on_end(session, event); break;
  case EHLO_CLIENT_EVENT_VIOLATION: on_violation(session, event->as.violation.kind); break;
  default: break; /* CHALLENGE is answered by the library */
  }
  return EHLO_HANDLED;
}

void next_lost(struct session *session)
{
  if (session->failure.code == 0) {
    if (!session->quit)
      complain(settings.next.text, "the connection was lost");
    answer_say(&session->failure, 421, 4, 2, "There is no connection to the next hop any more");
  }
  if (!session->in_content)
    return; /* the session ends with 421, and so does what was put off */
  struct answer answer;
  filter_forget(session);
  answer_say(&answer, 451, 4, 2, "The next hop is lost, the message was not taken");
  if (session->early.code == 0)
    front_verdict(session, &answer);
}
