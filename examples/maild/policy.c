/* policy.c: the mail: what the events of the library mean here.
 *
 * SPDX-License-Identifier: MIT
 *
 * Things are put off until somebody else has done his part. When the peer leaves, CANCEL brings the tag of the ticket
 * back, which is the number of a question to a helper; what the envelope waits for by itself has the tag 0, and is
 * forgotten at the end.
 */
#define _GNU_SOURCE
#include "aliases.h"
#include "certificates.h"
#include "checking.h"
#include "envelope.h"
#include "login.h"
#include "metrics.h"
#include "relay.h"
#include "xclient.h"

#include <stdlib.h>
#include <string.h>

/* ---- MAIL -------------------------------------------------------------------------------------------------------- */

void policy_forget(struct session *session)
{
  relay_end(session);
  envelope_close(session->envelope);
  session->envelope = NULL;
}

static int on_mail(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  policy_forget(session); /* a MAIL that was refused has no END */
  if (sessions_stopping())
    return answer(server, event, 421, "4.3.2", NULL);
  session->envelope = envelope_open(&event->as.mail);
  if (session->envelope == NULL)
    return answer(server, event, 451, "4.3.0", NULL);
  return answered(ehlo_server_accept(server, event->ticket));
}

/* ---- RCPT -------------------------------------------------------------------------------------------------------- */

static void on_checked(void *owner, uint32_t ticket, const char *said)
{
  struct session *session = owner;
  checking_reply(session->server, ticket, said);
  session_go_on(session);
}

/* Is this for the next server? Its users may send anybody mail. */
static int is_elsewhere(const struct session *session, const ehlo_server *server, const ehlo_path *path)
{
  return settings.relay_to != NULL && session->place->kind == KIND_SUBMISSION && ehlo_server_identity(server).len > 0 &&
         path->kind != EHLO_PATH_POSTMASTER &&
         recipients_domain(&settings.recipients, path->domain.raw) == settings.recipients.domain_count;
}

/* Which way the recipients go that are there, or may be: 1 to the next server, 0 here, -1 there are none. */
static int goes_on_relay(const struct envelope *envelope)
{
  for (size_t i = 0; i < envelope->count; i++) {
    if (envelope->recipients[i]->relayed || envelope->recipients[i]->copies > 0)
      return envelope->recipients[i]->relayed;
  }
  return -1;
}

static int on_rcpt(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_path *path = &event->as.rcpt.path;
  struct envelope *envelope = session->envelope;
  char directory[MAILBOX_NAME + 1] = "";
  struct verdict verdict = recipients_judge(&settings.recipients, path);
  if (verdict.code == 250 && delivery_mailbox(path, directory) != 0)
    verdict = (struct verdict){553, "5.1.3", "That name is too long for a mailbox"};
  /* A message is answered with one code, and the two are answered by different servers: it goes one way or the other.
   */
  int elsewhere = is_elsewhere(session, server, path);
  if ((verdict.code == 250 || elsewhere) && envelope->count > 0 && goes_on_relay(envelope) != elsewhere &&
      goes_on_relay(envelope) >= 0)
    verdict = (struct verdict){452, "4.5.3", "Recipients here and elsewhere go in separate messages"};
  else if (elsewhere)
    verdict = (struct verdict){0, NULL, NULL};
  struct expansion whom = {directory, NULL, 1};
  if (verdict.code == 250 && settings.aliases != NULL) {
    whom = aliases_expand(directory);
    if (whom.count == 0)
      verdict = (struct verdict){550, "5.1.1", "No such mailbox here"};
  }
  /* Each reply to a writer has an octet for each copy; those whose verdict is out may come too. */
  if (verdict.code == 250 && envelope->asked_copies + whom.count > DELIVERY_MAILBOXES)
    verdict = (struct verdict){452, "4.5.3", "Too many mailboxes in one message"};
  if (verdict.code == 250)
    envelope->asked_copies += whom.count;
  if (envelope_add(envelope, path, whom.directories, verdict.code == 250 ? whom.count : 0, event->ticket) != 0)
    return answer(server, event, 451, "4.3.0", NULL);
  if (verdict.code == 0)
    return relay_rcpt(session, server, event);
  if (verdict.code != 250)
    return answer(server, event, verdict.code, verdict.enhanced, verdict.text);
  if (settings.check == NULL)
    return answered(ehlo_server_accept(server, event->ticket));
  uint64_t question = checking_ask(path->mailbox, sender_mailbox(envelope), ip_address_text(&session->client),
                                   ehlo_server_hello(server), on_checked, session, event->ticket);
  if (question == 0)
    return answer(server, event, 451, "4.4.3", "The recipient cannot be checked now");
  return answered(ehlo_server_defer(server, event->ticket, question));
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void on_end(struct session *session, const ehlo_event_end *end)
{
  if (end->reason == EHLO_END_ACCEPTED && envelope_is_relayed(session->envelope))
    metrics_count(METRIC_RELAYED);
  if ((end->reason == EHLO_END_ACCEPTED || end->reason == EHLO_END_MIXED) && !settings.quiet)
    log_accepted(session, end->octets);
  else if (session->envelope != NULL && session->envelope->storing != 0 && !session->envelope->told)
    fprintf(stderr, "%s: unanswered id=%s: its peer left while it was stored, and may send it again\n", program,
            session->envelope->message.id);
  else if (relay_is_unanswered(session))
    fprintf(stderr, "%s: unanswered id=%s: its peer left while the next server had it, and may send it again\n",
            program, session->envelope->message.id);
  policy_forget(session);
}

static void on_reply(struct session *session, const ehlo_event_reply *reply)
{
  if (reply->verb == EHLO_VERB_RCPT)
    envelope_settle(session, reply);
  else if (reply->code >= 400)
    log_refused(session, reply, NULL);
  else if (reply->verb == EHLO_VERB_QUIT)
    session->quit = 1;
  if (reply->verb == EHLO_VERB_AUTH && reply->code != 334)
    login_forget(session);
}

int policy_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct session *session = user;
  metrics_event(event);
  switch (event->type) {
  case EHLO_EVENT_CONNECT:
    xclient_vouch(session, server);
    return session->crowded ? answer(server, event, 421, "4.7.0", "Too many connections from your address")
                            : EHLO_HANDLED;
  case EHLO_EVENT_HELLO: xclient_vouch(session, server); return EHLO_HANDLED;
  case EHLO_EVENT_XCLIENT: return xclient_take(session, server, event);
  case EHLO_EVENT_MAIL: return on_mail(session, server, event);
  case EHLO_EVENT_RCPT: return on_rcpt(session, server, event);
  case EHLO_EVENT_DATA: return content_data(session, server, event);
  case EHLO_EVENT_BODY: return content_body(session, server, event);
  case EHLO_EVENT_MESSAGE:
  case EHLO_EVENT_RESULT: return content_verdict(session, server, event);
  case EHLO_EVENT_VRFY: return settings.allow_vrfy ? aliases_verify(server, event) : EHLO_HANDLED;
  case EHLO_EVENT_EXPN: return settings.allow_expn ? aliases_list(server, event) : EHLO_HANDLED;
  case EHLO_EVENT_AUTH: return login_check(session, server, event);
  case EHLO_EVENT_STEP: return login_step(session, server, event);
  case EHLO_EVENT_STARTTLS:
    return certificates_context() == NULL ? EHLO_HANDLED : answered(ehlo_server_accept(server, event->ticket));
  case EHLO_EVENT_END: on_end(session, &event->as.end); return EHLO_HANDLED;
  case EHLO_EVENT_REPLY: on_reply(session, &event->as.reply); return EHLO_HANDLED;
  case EHLO_EVENT_CANCEL: helper_cancel(event->as.cancel.tag); return EHLO_HANDLED;
  case EHLO_EVENT_COMMAND: session->violated = 0; return EHLO_HANDLED;
  case EHLO_EVENT_VIOLATION: session->violated = (uint8_t)event->as.violation.kind; return EHLO_HANDLED;
  default: return EHLO_HANDLED; /* the safe answer: 220, 250 to EHLO, 252 to VRFY ... */
  }
}
