/* policy.c: the mail: what the events of the library mean here.
 *
 * SPDX-License-Identifier: MIT
 *
 * An envelope holds what is known of a transaction, from MAIL to END. Recipients stand in it in the order in which they
 * were asked about: those that were accepted in front, then those whose verdict is out. Three things are put off until
 * somebody else has done his part: RCPT (a checker), DATA (a mailbox must be made first), and the verdict on the
 * message (it must be on the disk). When the peer leaves, CANCEL brings the tag of a RCPT back, which is the number of
 * its question; the other two are the envelope's, which forgets them at the end.
 */
#define _GNU_SOURCE
#include "session.h"

#include "checking.h"
#include "delivery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEADER = 4096 };

struct recipient {
  uint32_t ticket;      /* what is open: of RCPT, later of RESULT or MESSAGE; 0: nothing */
  uint32_t mailbox_len; /* of the address without brackets and route; it ends where they close */
  uint32_t len;
  const char *directory; /* its Maildir; behind the path */
  char spelt[];          /* the path as it came */
};

struct envelope {
  struct message message;
  struct recipient **recipients;
  size_t accepted, count, room;
  uint64_t making; /* a mailbox, the one of the recipient `place`; 0: none was */
  size_t place;
  uint64_t storing; /* the message; 0: not yet */
  int told;         /* the writer has answered, and */
  int all_stored;   /* this was its answer; if not, */
  char *results;    /* has '.' for each recipient who has it, or is NULL: none has */
  int error;        /* why not */
  int utf8;
  uint32_t sender_mailbox_len;
  ehlo_span sender; /* the path as it came; behind the struct */
};

static ehlo_span spelt(const struct recipient *recipient)
{
  return (ehlo_span){recipient->spelt, recipient->len};
}

/* Nobody has a message unless a writer said so, or none is to be kept. */
static int has_it(const struct envelope *envelope, size_t ordinal)
{
  return settings.discard || envelope->all_stored || (envelope->results != NULL && envelope->results[ordinal] == '.');
}

/* A path without its brackets and route: the last octets but one. (A bare address has neither.) */
static ehlo_span mailbox_of(ehlo_span path, size_t len)
{
  return (ehlo_span){path.ptr + (path.len - len) - (path.len > len ? 1 : 0), len};
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

static void log_client(const struct session *session)
{
  fprintf(stderr, " client=%s:%u hello=", session_client(session), session->port);
  print_octets(stderr, ehlo_server_hello(session->server), 0);
}

static void log_sender(const struct envelope *envelope)
{
  fputs(" from=", stderr);
  print_octets(stderr, envelope->sender, 0);
}

static void log_accepted(const struct session *session, uint64_t octets)
{
  const struct envelope *envelope = session->envelope;
  fprintf(stderr, "%s: accepted id=%s", program, envelope->message.id);
  log_client(session);
  log_sender(envelope);
  const char *before = " to=";
  for (size_t i = 0; i < envelope->accepted; i++) {
    if (!has_it(envelope, i))
      continue;
    fputs(before, stderr);
    print_octets(stderr, spelt(envelope->recipients[i]), 0);
    before = ",";
  }
  fprintf(stderr, " octets=%llu\n", (unsigned long long)octets);
}

static void log_refused(const struct session *session, const ehlo_event_reply *reply, const struct recipient *recipient)
{
  if (sessions_stopping() && reply->code == 421)
    return;
  fprintf(stderr, "%s: refused %s %u", program, ehlo_verb_name(reply->verb), reply->code);
  if (reply->enhanced.status_class != 0)
    fprintf(stderr, " %u.%u.%u", reply->enhanced.status_class, reply->enhanced.subject, reply->enhanced.detail);
  log_client(session);
  if (session->envelope != NULL)
    log_sender(session->envelope);
  if (recipient != NULL) {
    fputs(" to=", stderr);
    print_octets(stderr, spelt(recipient), 0);
  }
  if (reply->asked == 0 && session->violated != 0)
    fprintf(stderr, " because=\"%s\"", ehlo_violation_name(session->violated));
  fputc('\n', stderr);
}

/* ---- envelopes --------------------------------------------------------------------------------------------------- */

void policy_forget(struct session *session)
{
  struct envelope *envelope = session->envelope;
  if (envelope == NULL)
    return;
  helper_cancel(envelope->making);
  helper_cancel(envelope->storing);
  message_discard(&envelope->message);
  for (size_t i = 0; i < envelope->count; i++)
    free(envelope->recipients[i]);
  free(envelope->recipients);
  free(envelope->results);
  free(envelope);
  session->envelope = NULL;
}

static int on_mail(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_event_mail *mail = &event->as.mail;
  policy_forget(session); /* a MAIL that was refused has no END */
  if (sessions_stopping())
    return answer(server, event, 421, "4.3.2", NULL);
  struct envelope *envelope = calloc(1, sizeof *envelope + mail->path.raw.len);
  if (envelope == NULL)
    return answer(server, event, 451, "4.3.0", NULL);
  memcpy(envelope + 1, mail->path.raw.ptr, mail->path.raw.len);
  envelope->sender = (ehlo_span){(char *)(envelope + 1), mail->path.raw.len};
  envelope->sender_mailbox_len = (uint32_t)mail->path.mailbox.len;
  envelope->utf8 = mail->parameters.smtputf8 != 0;
  envelope->message.fd = -1;
  delivery_id(envelope->message.id);
  session->envelope = envelope;
  return answered(ehlo_server_accept(server, event->ticket));
}

static struct recipient *add_recipient(struct envelope *envelope, const ehlo_path *path, const char *directory,
                                       uint32_t ticket)
{
  if (envelope->count == envelope->room) {
    size_t room = envelope->room == 0 ? 4 : envelope->room * 2;
    struct recipient **recipients = realloc(envelope->recipients, room * sizeof *recipients);
    if (recipients == NULL)
      return NULL;
    envelope->recipients = recipients;
    envelope->room = room;
  }
  size_t size = strlen(directory) + 1;
  struct recipient *recipient = malloc(sizeof *recipient + path->raw.len + size);
  if (recipient == NULL)
    return NULL;
  recipient->ticket = ticket;
  recipient->mailbox_len = (uint32_t)path->mailbox.len;
  recipient->len = (uint32_t)path->raw.len;
  memcpy(recipient->spelt, path->raw.ptr, path->raw.len);
  recipient->directory = memcpy(recipient->spelt + path->raw.len, directory, size);
  envelope->recipients[envelope->count++] = recipient;
  return recipient;
}

/* The reply to a RCPT is on its way: the recipient is accepted, or no longer one. */
static void on_rcpt_reply(struct session *session, const ehlo_event_reply *reply)
{
  struct envelope *envelope = session->envelope;
  size_t at = envelope == NULL ? 0 : envelope->accepted;
  while (envelope != NULL && at < envelope->count && envelope->recipients[at]->ticket != reply->asked)
    at++;
  struct recipient *recipient =
      envelope == NULL || reply->asked == 0 || at == envelope->count ? NULL : envelope->recipients[at];
  if (reply->code >= 400)
    log_refused(session, reply, recipient);
  if (recipient == NULL)
    return;
  recipient->ticket = 0;
  if (reply->code < 300) {
    envelope->accepted++; /* replies come in the order of the questions: it is the first of the rest */
    return;
  }
  free(recipient);
  envelope->count--;
  memmove(envelope->recipients + at, envelope->recipients + at + 1, (envelope->count - at) * sizeof recipient);
}

/* ---- RCPT -------------------------------------------------------------------------------------------------------- */

static void on_checked(void *owner, uint32_t ticket, const char *said)
{
  struct session *session = owner;
  checking_reply(session->server, ticket, said);
  session_go_on(session);
}

static int on_rcpt(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_path *path = &event->as.rcpt.path;
  struct envelope *envelope = session->envelope;
  char directory[MAILBOX_NAME + 1] = "";
  struct verdict verdict = recipients_judge(&settings.recipients, path);
  if (verdict.code == 250 && settings.maildir != NULL && delivery_mailbox(path, directory) != 0)
    verdict = (struct verdict){553, "5.1.3", "That name is too long for a mailbox"};
  if (add_recipient(envelope, path, directory, event->ticket) == NULL)
    return answer(server, event, 451, "4.3.0", NULL);
  if (verdict.code != 250)
    return answer(server, event, verdict.code, verdict.enhanced, verdict.text);
  if (!settings.checking)
    return answered(ehlo_server_accept(server, event->ticket));
  uint64_t question =
      checking_ask(path->mailbox, mailbox_of(envelope->sender, envelope->sender_mailbox_len), session_client(session),
                   ehlo_server_hello(server), on_checked, session, event->ticket);
  if (question == 0)
    return answer(server, event, 451, "4.4.3", "The recipient cannot be checked now");
  return answered(ehlo_server_defer(server, event->ticket, question));
}

/* ---- DATA and content -------------------------------------------------------------------------------------------- */

/* Something with the disk did not work. */
static int fail(ehlo_server *server, uint32_t ticket, const char *where, int error)
{
  int full = error == ENOSPC || error == EDQUOT;
  complain(where, strerror(error));
  return answered(ehlo_server_reply(server, ticket, full ? 452 : 451, full ? "4.3.1" : "4.3.0",
                                    ehlo_span_of("The message cannot be stored now")));
}

/* Return-Path, Delivered-To and Received. For several recipients, who have one file in common, no recipient is named:
 * blind copies would tell each other (RFC 5321 7.2). Returns 0 or an errno. */
static int write_header(struct session *session)
{
  struct envelope *envelope = session->envelope;
  const struct recipient *only = envelope->accepted == 1 ? envelope->recipients[0] : NULL;
  char header[HEADER];
  size_t used;
  size_t length;
  if (ehlo_format_return_path(envelope->sender, EHLO_PARSE_UTF8, header, sizeof header, &used) != EHLO_OK)
    return EINVAL;
  if (only != NULL)
    used += (size_t)snprintf(header + used, sizeof header - used, "Delivered-To: %.*s\r\n", (int)only->mailbox_len,
                             mailbox_of(spelt(only), only->mailbox_len).ptr);
  time_t now = time(NULL);
  struct tm local;
  localtime_r(&now, &local);
  const char *client = session_client(session);
  ehlo_received received = {
      .hello = ehlo_server_hello(session->server),
      .client_address = ehlo_span_of(client[0] == '[' ? client : NULL),
      .by = settings.config[session->protocol].hostname,
      .with = ehlo_server_transmission_type(session->server),
      .id = ehlo_span_of(envelope->message.id),
      .recipient = only != NULL ? spelt(only) : ehlo_span_of(NULL),
      .utf8 = (uint32_t)envelope->utf8,
      .utc_offset = (int32_t)(local.tm_gmtoff / 60),
      .time = now,
  };
  if (ehlo_format_received(&received, header + used, sizeof header - used, &length) != EHLO_OK)
    return EINVAL;
  ehlo_span span = {header, used + length};
  return message_write(&envelope->message, &span, 1);
}

/* The file is open, or could not be. */
static int begun(struct session *session, uint32_t ticket, int error)
{
  struct envelope *envelope = session->envelope;
  if (error == 0)
    error = write_header(session);
  if (error == 0)
    return answered(ehlo_server_accept(session->server, ticket));
  message_discard(&envelope->message);
  return fail(session->server, ticket, envelope->recipients[envelope->place]->directory, error);
}

static void on_made(void *owner, uint32_t ticket, const char *said);

/* Finds the message a place: the first recipient's Maildir, or in LMTP, where each stands for himself, the first that
 * works. Returns 0, an errno, or -1 if a mailbox is being made for it. */
static int find_place(struct session *session, uint32_t ticket, size_t from)
{
  struct envelope *envelope = session->envelope;
  size_t most = session->protocol == EHLO_PROTOCOL_LMTP ? envelope->accepted : from + 1;
  int error = EINVAL;
  for (envelope->place = from; envelope->place < most; envelope->place++) {
    const char *mailbox = envelope->recipients[envelope->place]->directory;
    error = message_begin(&envelope->message, mailbox);
    if (error == ENOENT && (envelope->making = mailbox_make(mailbox, on_made, session, ticket)) != 0)
      return -1;
    if (error == 0)
      return 0;
  }
  envelope->place = most - 1;
  return error;
}

static void on_made(void *owner, uint32_t ticket, const char *said)
{
  struct session *session = owner;
  struct envelope *envelope = session->envelope;
  const char *mailbox = envelope->recipients[envelope->place]->directory;
  const char *results;
  int error = delivery_error(said, &results);
  envelope->making = 0;
  if (error == 0)
    error = message_begin(&envelope->message, mailbox);
  if (error != 0 && session->protocol == EHLO_PROTOCOL_LMTP && envelope->place + 1 < envelope->accepted) {
    complain(mailbox, strerror(error));
    error = find_place(session, ticket, envelope->place + 1);
  }
  if (error >= 0)
    begun(session, ticket, error);
  session_go_on(session);
}

static int on_data(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  if (settings.discard)
    return answered(ehlo_server_accept(server, event->ticket));
  int error = find_place(session, event->ticket, 0);
  /* The tag is not needed: what is being made is known to the envelope, which forgets it at the end. */
  return error < 0 ? answered(ehlo_server_defer(server, event->ticket, 0)) : begun(session, event->ticket, error);
}

static int on_body(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  struct envelope *envelope = session->envelope;
  int error = 0;
  if (!settings.discard)
    error = message_write(&envelope->message, event->as.body.spans, event->as.body.count);
  if (error == 0)
    return EHLO_HANDLED;
  message_discard(&envelope->message);
  return fail(server, event->ticket, envelope->message.mailbox, error);
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

static int accept_message(struct session *session, ehlo_server *server, uint32_t ticket)
{
  char text[MESSAGE_ID + 32];
  snprintf(text, sizeof text, "Message accepted as %s", session->envelope->message.id);
  return answered(ehlo_server_reply(server, ticket, 250, NULL, ehlo_span_of(text)));
}

/* What a recipient gets to hear. In SMTP one answer is for all, and if one of them failed all have. */
static int tell(struct session *session, uint32_t ticket, size_t ordinal)
{
  const struct envelope *envelope = session->envelope;
  if (has_it(envelope, ordinal))
    return accept_message(session, session->server, ticket);
  return fail(session->server, ticket, envelope->recipients[ordinal]->directory, envelope->error);
}

static void on_stored(void *owner, uint32_t number, const char *said)
{
  struct session *session = owner;
  struct envelope *envelope = session->envelope;
  const char *results;
  (void)number;
  envelope->error = delivery_error(said, &results);
  envelope->told = 1;
  envelope->all_stored = envelope->error == 0;
  if (envelope->error != 0 && strlen(results) == envelope->accepted)
    envelope->results = strdup(results);
  size_t count = envelope->accepted; /* a reply ends nothing yet: that is for session_go_on */
  for (size_t i = 0; i < count; i++) {
    uint32_t ticket = envelope->recipients[i]->ticket;
    envelope->recipients[i]->ticket = 0;
    if (ticket != 0)
      tell(session, ticket, i);
  }
  session_go_on(session);
}

/* Hands the message to a writer. Returns 0 or an errno. */
static int commit(struct session *session)
{
  struct envelope *envelope = session->envelope;
  const char **mailboxes = malloc(envelope->accepted * sizeof *mailboxes);
  if (mailboxes == NULL)
    return errno;
  for (size_t i = 0; i < envelope->accepted; i++)
    mailboxes[i] = envelope->recipients[i]->directory;
  int all = session->protocol == EHLO_PROTOCOL_SMTP;
  envelope->storing = message_commit(&envelope->message, mailboxes, envelope->accepted, all, on_stored, session);
  free(mailboxes);
  return envelope->storing != 0 ? 0 : EAGAIN; /* no writer, or too much for it */
}

/* MESSAGE asks once, RESULT for each recipient. */
static int on_verdict(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  struct envelope *envelope = session->envelope;
  size_t ordinal = event->type == EHLO_EVENT_RESULT ? event->as.result.ordinal : 0;
  if (settings.discard || envelope->told)
    return tell(session, event->ticket, ordinal);
  int error = envelope->storing == 0 ? commit(session) : 0;
  if (error != 0) {
    envelope->told = 1; /* and so nobody has it */
    envelope->error = error;
    return tell(session, event->ticket, ordinal);
  }
  envelope->recipients[ordinal]->ticket = event->ticket;
  return answered(ehlo_server_defer(server, event->ticket, 0));
}

static void on_end(struct session *session, const ehlo_event_end *end)
{
  if ((end->reason == EHLO_END_ACCEPTED || end->reason == EHLO_END_MIXED) && !settings.quiet)
    log_accepted(session, end->octets);
  else if (session->envelope != NULL && session->envelope->storing != 0 && !session->envelope->told)
    fprintf(stderr, "%s: unanswered id=%s: its peer left while it was stored, and may send it again\n", program,
            session->envelope->message.id);
  policy_forget(session);
}

static void on_reply(struct session *session, const ehlo_event_reply *reply)
{
  if (reply->verb == EHLO_VERB_RCPT)
    on_rcpt_reply(session, reply);
  else if (reply->code >= 400)
    log_refused(session, reply, NULL);
  else if (reply->verb == EHLO_VERB_QUIT)
    session->quit = 1;
}

int policy_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct session *session = user;
  switch (event->type) {
  case EHLO_EVENT_MAIL: return on_mail(session, server, event);
  case EHLO_EVENT_RCPT: return on_rcpt(session, server, event);
  case EHLO_EVENT_DATA: return on_data(session, server, event);
  case EHLO_EVENT_BODY: return on_body(session, server, event);
  case EHLO_EVENT_MESSAGE:
  case EHLO_EVENT_RESULT: return on_verdict(session, server, event);
  case EHLO_EVENT_END: on_end(session, &event->as.end); return EHLO_HANDLED;
  case EHLO_EVENT_REPLY: on_reply(session, &event->as.reply); return EHLO_HANDLED;
  case EHLO_EVENT_CANCEL: helper_cancel(event->as.cancel.tag); return EHLO_HANDLED;
  case EHLO_EVENT_COMMAND: session->violated = 0; return EHLO_HANDLED;
  case EHLO_EVENT_VIOLATION: session->violated = (uint8_t)event->as.violation.kind; return EHLO_HANDLED;
  default: return EHLO_HANDLED; /* the safe answer: 220, 250 to EHLO, 252 to VRFY ... */
  }
}
