/* front.c: what the client says: each command is said to the next hop, and its answer is awaited.
 *
 * SPDX-License-Identifier: MIT
 *
 * A ticket is the tag of the command that it became, so each answer finds back by itself, however many recipients are
 * out at a time. */
#include "proxy.h"

#include <string.h>

/* ---- answers ----------------------------------------------------------------------------------------------------- */

void answer_say(struct answer *answer, int code, uint16_t subject, uint16_t detail, const char *text)
{
  answer->code = code;
  answer->enhanced = (ehlo_enhanced){(uint16_t)(code / 100), subject, detail};
  answer->length = (size_t)snprintf(answer->text, sizeof answer->text, "%s", text);
}

/* What the next hop writes need not be what this host may write. */
static ehlo_span clean(char buffer[LINE_SIZE], ehlo_span line)
{
  size_t length = line.len < LINE_SIZE ? line.len : LINE_SIZE;
  for (size_t i = 0; i < length; i++) {
    char octet = line.ptr[i];
    buffer[i] = (char)(octet == '\t' || (octet >= ' ' && octet <= '~') ? octet : '?');
  }
  return (ehlo_span){buffer, length};
}

typedef int reply_fn(ehlo_server *, uint32_t, int, const char *, ehlo_span);

/* UTF-8 may stand in some answers: it is let be where the library lets it be. */
static int write_line(reply_fn *write, ehlo_server *server, uint32_t ticket, int code, const char *enhanced,
                      ehlo_span line)
{
  char buffer[LINE_SIZE];
  int error = write(server, ticket, code, enhanced, line);
  return error == EHLO_ERR_TEXT || error == EHLO_ERR_TOO_LONG
             ? write(server, ticket, code, enhanced, clean(buffer, line))
             : error;
}

void front_answer(struct session *session, uint32_t ticket, const struct answer *answer)
{
  char buffer[24];
  const char *enhanced = NULL;
  const char *at = answer->text, *end = answer->text + answer->length, *lf;
  if (ticket == 0 || session->server == NULL)
    return;
  if (answer->enhanced.status_class == answer->code / 100) {
    snprintf(buffer, sizeof buffer, "%u.%u.%u", answer->enhanced.status_class, answer->enhanced.subject,
             answer->enhanced.detail);
    enhanced = buffer;
  }
  int error = EHLO_OK;
  while (error == EHLO_OK && (lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
    error = write_line(ehlo_server_reply_more, session->server, ticket, answer->code, enhanced,
                       (ehlo_span){at, (size_t)(lf - at)});
    at = lf + 1;
  }
  lf = memchr(at, '\n', (size_t)(end - at));
  error = write_line(ehlo_server_reply, session->server, ticket, answer->code, enhanced,
                     (ehlo_span){at, (size_t)((lf == NULL ? end : lf) - at)});
  if (error == EHLO_ERR_CODE) /* a code that nobody has heard of, for which there is one that is right */
    error = answer->code < 400
                ? ehlo_server_accept(session->server, ticket)
                : ehlo_server_reply(session->server, ticket, answer->code < 500 ? 451 : 554, NULL, ehlo_span_of(NULL));
  if (error != EHLO_OK && error != EHLO_ERR_TICKET)
    complain("answer", ehlo_strerror(error));
}

void front_verdict(struct session *session, const struct answer *answer)
{
  int asked = session->data_ticket != 0 || session->message_ticket != 0;
  front_answer(session, session->data_ticket, answer);
  front_answer(session, session->message_ticket, answer);
  session->data_ticket = session->message_ticket = 0;
  session->paused = 0; /* what was refused is drained */
  for (; session->results_answered < session->result_count; session->results_answered++, asked = 1)
    front_answer(session, session->results[session->results_answered], answer);
  int is_lmtp = settings.server.protocol == EHLO_PROTOCOL_LMTP; /* in which more recipients may ask */
  if ((!asked || is_lmtp) && answer->code >= 400 && session->early.code == 0)
    session->early = *answer; /* a yes there is only to what was asked */
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* A command that was not let out was not said: what a server would have said to it. */
static int refuse(struct session *session, uint32_t ticket, int error)
{
  struct answer answer;
  const char *why = ehlo_strerror(error);
  switch (error) {
  case EHLO_ERR_SIZE: answer_say(&answer, 552, 3, 4, why); break;
  case EHLO_ERR_8BITMIME: answer_say(&answer, 554, 6, 3, why); break;
  case EHLO_ERR_SMTPUTF8: answer_say(&answer, 553, 6, 7, why); break;
  case EHLO_ERR_TOO_LONG:
  case EHLO_ERR_SYNTAX: answer_say(&answer, 553, 1, 0, why); break;
  case EHLO_ERR_LIMIT: answer_say(&answer, 452, 5, 3, why); break;
  case EHLO_ERR_NOT_OFFERED: answer_say(&answer, 554, 3, 3, why); break;
  default: answer_say(&answer, 451, 3, 0, "The next hop cannot be asked now"); break;
  }
  front_answer(session, ticket, &answer);
  return EHLO_HANDLED;
}

static int put_off(struct session *session, uint32_t ticket, int error)
{
  if (error != EHLO_OK)
    return refuse(session, ticket, error);
  return answered(ehlo_server_defer(session->server, ticket, 0));
}

static int on_hello(struct session *session, const ehlo_event *event)
{
  session->forwarded = 0;
  if (!settings.xclient || ehlo_server_authenticated(session->server))
    return EHLO_HANDLED; /* which is 250 */
  if ((session->reset_due || session->mail_open) && ehlo_client_rset(session->client, 0) == EHLO_OK)
    session->reset_due = session->mail_open = 0;
  int error = offer_xclient(session, event->as.hello.domain.raw, 0);
  session->hello_ticket = error == EHLO_OK ? event->ticket : 0;
  return put_off(session, event->ticket, error);
}

static int on_mail(struct session *session, const ehlo_event *event)
{
  ehlo_mail_parameters parameters = event->as.mail.parameters;
  if (session->reset_due && ehlo_client_rset(session->client, 0) == EHLO_OK)
    session->reset_due = 0;
  if (settings.xforward && !session->forwarded && ehlo_client_offers(session->client, EHLO_EXT_XFORWARD) &&
      offer_xforward(session) == EHLO_OK)
    session->forwarded = 1;
  /* Many send what they have not declared. Who declares it can pass either on, and what comes is not known yet. */
  if (parameters.body == EHLO_BODY_NONE && ehlo_client_offers(session->client, EHLO_EXT_8BITMIME))
    parameters.body = EHLO_BODY_8BITMIME;
  int error = ehlo_client_mail(session->client, event->as.mail.path.raw, &parameters, event->ticket);
  if (error == EHLO_OK) {
    session->mail_tag = event->ticket;
    session->mail_open = 1;
  }
  return put_off(session, event->ticket, error);
}

static int on_rcpt(struct session *session, const ehlo_event *event)
{
  const ehlo_path *path = &event->as.rcpt.path;
  return put_off(session, event->ticket,
                 ehlo_client_rcpt(session->client, path->raw, &event->as.rcpt.parameters, event->ticket));
}

static int on_query(struct session *session, const ehlo_event *event)
{
  const ehlo_event_query *query = &event->as.query;
  int error = event->type == EHLO_EVENT_VRFY
                  ? ehlo_client_vrfy(session->client, query->argument, (int)query->smtputf8, event->ticket)
                  : ehlo_client_expn(session->client, query->argument, (int)query->smtputf8, event->ticket);
  return put_off(session, event->ticket, error);
}

static int on_auth(struct session *session, const ehlo_event *event)
{
  ehlo_credentials credentials = event->as.auth;
  uint32_t there = ehlo_client_mechanisms(session->client);
  if ((there >> credentials.mechanism & 1) == 0 || credentials.authzid.len > 0)
    credentials.mechanism = EHLO_SASL_PLAIN; /* LOGIN cannot say whom to act as */
  if ((there >> credentials.mechanism & 1) == 0 && credentials.authzid.len == 0)
    credentials.mechanism = EHLO_SASL_LOGIN;
  return put_off(session, event->ticket, ehlo_client_auth(session->client, &credentials, event->ticket));
}

/* ---- the message ------------------------------------------------------------------------------------------------- */

static int on_data(struct session *session, const ehlo_event *event)
{
  session->early.code = 0;
  if (settings.filter != NULL) { /* the next hop gets to know of it when the filter has seen it */
    session->in_content = 1;
    return EHLO_HANDLED;
  }
  session->data_ticket = event->ticket;
  int error = ehlo_server_defer(session->server, event->ticket, 0);
  content_begin(session);
  return answered(error);
}

static int on_body(struct session *session, const ehlo_event *event)
{
  const ehlo_event_body *body = &event->as.body;
  session->in_content = 1;
  session->message_ticket = event->ticket;
  if (session->early.code == 0 && settings.filter != NULL) {
    if (filter_keep(session, body))
      return EHLO_HANDLED;
    answer_say(&session->early, 452, 3, 1, "There is no room for the message");
  } else if (session->early.code == 0 && session->stage == STAGE_NONE) {
    content_begin(session); /* by BDAT there was no DATA */
  }
  if (session->early.code != 0) {
    front_answer(session, event->ticket, &session->early);
    session->message_ticket = 0;
    return EHLO_HANDLED;
  }
  if (session->message_ticket == 0 || content_take(session, body))
    return EHLO_HANDLED;
  session->paused = 1;
  return answered(ehlo_server_defer(session->server, event->ticket, 0));
}

/* All of the content is there. */
static int on_whole(struct session *session, uint32_t ticket)
{
  session->in_content = 1;
  if (session->early.code != 0) {
    front_answer(session, ticket, &session->early);
    return EHLO_HANDLED;
  }
  int error = ehlo_server_defer(session->server, ticket, 0);
  if (session->end_due || session->stage == STAGE_ENDED || session->filter != 0)
    return answered(error); /* LMTP: for another recipient */
  if (settings.filter != NULL) {
    filter_begin(session);
  } else {
    session->end_due = 1;
    if (session->stage == STAGE_NONE)
      content_begin(session); /* a message without content, by BDAT */
  }
  return answered(error);
}

static int on_message(struct session *session, const ehlo_event *event)
{
  session->message_ticket = event->ticket;
  return on_whole(session, event->ticket);
}

static int on_result(struct session *session, const ehlo_event *event)
{
  session->message_ticket = 0; /* from here on each recipient has one */
  session->results[session->result_count++] = event->ticket;
  if (session->early.code != 0)
    session->results_answered++;
  return on_whole(session, event->ticket);
}

static void on_end(struct session *session, const ehlo_event_end *end)
{
  const char *client = session_client(session, NULL);
  fprintf(stderr, "%s: message client=[%s] recipients=%u octets=%llu end=", program, client, (unsigned)end->recipients,
          (unsigned long long)end->octets);
  print_octets(stderr, ehlo_span_of(ehlo_end_name(end->reason)), 1);
  fputc('\n', stderr);
  session->reset_due |= session->mail_open;
  content_forget(session);
}

int front_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct session *session = user;
  switch (event->type) {
  case EHLO_EVENT_CONNECT:
    if (session->failure.code != 0)
      front_answer(session, event->ticket, &session->failure);
    return EHLO_HANDLED; /* which is 220 */
  case EHLO_EVENT_END: on_end(session, &event->as.end); return EHLO_HANDLED;
  case EHLO_EVENT_STARTTLS: return answered(ehlo_server_accept(server, event->ticket));
  default: break;
  }
  if (event->ticket == 0)
    return EHLO_HANDLED;
  if (event->type == EHLO_EVENT_BODY)
    return on_body(session, event);
  if (event->type == EHLO_EVENT_MESSAGE)
    return on_message(session, event);
  if (event->type == EHLO_EVENT_RESULT)
    return on_result(session, event);
  if (session->client == NULL) /* 421 is on its way */
    return refuse(session, event->ticket, EHLO_ERR_STATE);
  switch (event->type) {
  case EHLO_EVENT_HELLO: return on_hello(session, event);
  case EHLO_EVENT_MAIL: return on_mail(session, event);
  case EHLO_EVENT_RCPT: return on_rcpt(session, event);
  case EHLO_EVENT_DATA: return on_data(session, event);
  case EHLO_EVENT_VRFY:
  case EHLO_EVENT_EXPN: return on_query(session, event);
  case EHLO_EVENT_AUTH: return on_auth(session, event);
  default: return EHLO_HANDLED; /* the safe answer is the right one */
  }
}
