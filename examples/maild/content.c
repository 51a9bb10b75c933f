/* content.c: DATA, content by DATA and BDAT, and what becomes of it. See envelope.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * Content needs a file, and a file needs a Maildir, which a helper may have to make first. So whatever comes first,
 * DATA, BODY (by BDAT) or the verdict (by BDAT, of a message without content), waits until that is done; and the
 * verdict until the message is on the disk. Both are the envelope's, which forgets them at the end: the tags of these
 * tickets are not needed.
 */
#define _GNU_SOURCE
#include "envelope.h"
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEADER = 4096 };

/* Something with the disk did not work. */
static int fail(ehlo_server *server, uint32_t ticket, const char *where, int error)
{
  int full = error == ENOSPC || error == EDQUOT;
  complain(where, strerror(error));
  return answered(ehlo_server_reply(server, ticket, full ? 452 : 451, full ? "4.3.1" : "4.3.0",
                                    ehlo_span_of("The message cannot be stored now")));
}

/* ---- the verdict ------------------------------------------------------------------------------------------------- */

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
  if (envelope_has_it(envelope, ordinal))
    return accept_message(session, session->server, ticket);
  return fail(session->server, ticket, envelope->recipients[ordinal]->directories, envelope->error);
}

/* A reply ends nothing yet: that is for session_go_on. */
static void tell_all(struct session *session)
{
  struct envelope *envelope = session->envelope;
  envelope->told = 1;
  for (size_t i = 0; i < envelope->accepted; i++) {
    uint32_t ticket = envelope->recipients[i]->ticket;
    envelope->recipients[i]->ticket = 0;
    if (ticket != 0)
      tell(session, ticket, i);
  }
}

static void on_stored(void *owner, uint32_t number, const char *said)
{
  struct session *session = owner;
  struct envelope *envelope = session->envelope;
  const char *results;
  (void)number;
  envelope->error = delivery_error(said, &results);
  envelope->all_stored = envelope->error == 0;
  if (envelope->error != 0 && strlen(results) == envelope->copies)
    envelope->results = strdup(results);
  tell_all(session);
  session_go_on(session);
}

/* Hands the message to a writer. Returns 0 or an errno. */
static int commit(struct session *session)
{
  struct envelope *envelope = session->envelope;
  const char **mailboxes = malloc(envelope->copies * sizeof *mailboxes);
  size_t count = 0;
  if (mailboxes == NULL)
    return errno;
  for (size_t i = 0; i < envelope->accepted; i++) {
    const char *directory = envelope->recipients[i]->directories;
    for (uint32_t copy = 0; copy < envelope->recipients[i]->copies; copy++, directory += strlen(directory) + 1)
      mailboxes[count++] = directory;
  }
  int all = session->place->kind != KIND_LMTP;
  envelope->storing = message_commit(&envelope->message, mailboxes, count, all, on_stored, session);
  free(mailboxes);
  return envelope->storing != 0 ? 0 : EAGAIN; /* no writer, or too much for it */
}

/* ---- a place for the content ------------------------------------------------------------------------------------- */

enum { WITH_RETURN_PATH = 1 };

/* Return-Path and Delivered-To, for what is delivered here, and Received. For several recipients, who have one file in
 * common, no recipient is named: blind copies would tell each other (RFC 5321 7.2). Returns the length, or 0. */
static size_t make_header(struct session *session, int how, char header[HEADER])
{
  struct envelope *envelope = session->envelope;
  const struct recipient *only = envelope->accepted == 1 ? envelope->recipients[0] : NULL;
  size_t used = 0;
  size_t length;
  if (how == WITH_RETURN_PATH &&
      ehlo_format_return_path(envelope->sender, EHLO_PARSE_UTF8, header, HEADER, &used) != EHLO_OK)
    return 0;
  if (how == WITH_RETURN_PATH && only != NULL)
    used += (size_t)snprintf(header + used, HEADER - used, "Delivered-To: %.*s\r\n", (int)only->mailbox_len,
                             recipient_mailbox(only).ptr);
  time_t now = time(NULL);
  struct tm local;
  localtime_r(&now, &local);
  const char *client = ip_address_text(&session->client);
  ehlo_received received = {
      .hello = ehlo_server_hello(session->server),
      .client_name = ehlo_span_of(session->client_name),
      .client_address = ehlo_span_of(client[0] == '[' ? client : NULL),
      .by = settings.config[session->place->kind].hostname,
      .with = ehlo_server_transmission_type(session->server),
      .id = ehlo_span_of(envelope->message.id),
      .recipient = only != NULL ? recipient_path(only) : ehlo_span_of(NULL),
      .utf8 = (uint32_t)envelope->utf8,
      .utc_offset = (int32_t)(local.tm_gmtoff / 60),
      .time = now,
  };
  return ehlo_format_received(&received, header + used, HEADER - used, &length) == EHLO_OK ? used + length : 0;
}

/* Returns 0 or an errno. */
static int write_header(struct session *session)
{
  char header[HEADER];
  ehlo_span span = {header, make_header(session, WITH_RETURN_PATH, header)};
  return span.len == 0 ? EINVAL : message_write(&session->envelope->message, &span, 1);
}

/* To the next server, in front of the first piece of content. */
static int relay_header(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  char header[HEADER];
  ehlo_span span = {header, make_header(session, 0, header)};
  session->envelope->begun = 1;
  return relay_data(session, server, event, span);
}

/* The file is open, or could not be: whoever waits for it goes on. */
static int begun(struct session *session, int error)
{
  struct envelope *envelope = session->envelope;
  ehlo_span early = {envelope->early, envelope->early_size};
  envelope->begun = 1;
  if (error == 0)
    error = write_header(session);
  if (error == 0 && early.len > 0)
    error = message_write(&envelope->message, &early, 1);
  free(envelope->early);
  envelope->early = NULL;
  if (error == 0 && envelope->waiting == EHLO_EVENT_DATA)
    return answered(ehlo_server_accept(session->server, envelope->ticket));
  if (error == 0 && envelope->waiting == EHLO_EVENT_BODY)
    return early.len > 0 ? answered(ehlo_server_resume(session->server, envelope->ticket)) : EHLO_HANDLED;
  if (error == 0 && (error = commit(session)) == 0)
    return EHLO_HANDLED;
  message_discard(&envelope->message);
  if (envelope->waiting == EHLO_EVENT_DATA || envelope->waiting == EHLO_EVENT_BODY)
    return fail(session->server, envelope->ticket, envelope->recipients[envelope->place]->directories, error);
  envelope->error = error;
  tell_all(session);
  return EHLO_HANDLED;
}

static void on_made(void *owner, uint32_t number, const char *said);

/* Finds the message a place: the first recipient's Maildir, or in LMTP, where each stands for himself, the first that
 * works. Returns 0, an errno, or -1 if a mailbox is being made for it. */
static int find_place(struct session *session, size_t from)
{
  struct envelope *envelope = session->envelope;
  size_t most = session->place->kind == KIND_LMTP ? envelope->accepted : from + 1;
  int error = EINVAL;
  for (envelope->place = from; envelope->place < most; envelope->place++) {
    const char *mailbox = envelope->recipients[envelope->place]->directories;
    error = message_begin(&envelope->message, mailbox);
    if (error == ENOENT && (envelope->making = mailbox_make(mailbox, on_made, session, 0)) != 0)
      return -1;
    if (error == 0)
      return 0;
  }
  envelope->place = most - 1;
  return error;
}

static void on_made(void *owner, uint32_t number, const char *said)
{
  struct session *session = owner;
  struct envelope *envelope = session->envelope;
  const char *mailbox = envelope->recipients[envelope->place]->directories;
  const char *results;
  int error = delivery_error(said, &results);
  (void)number;
  envelope->making = 0;
  if (error == 0)
    error = message_begin(&envelope->message, mailbox);
  if (error != 0 && session->place->kind == KIND_LMTP && envelope->place + 1 < envelope->accepted) {
    complain(mailbox, strerror(error));
    error = find_place(session, envelope->place + 1);
  }
  if (error >= 0)
    begun(session, error);
  session_go_on(session);
}

/* Begins the message for this event. Returns -1 if that takes a while. */
static int begin(struct session *session, const ehlo_event *event)
{
  session->envelope->waiting = event->type;
  session->envelope->ticket = event->ticket;
  return find_place(session, 0);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

int content_data(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  if (envelope_is_relayed(session->envelope))
    return relay_header(session, server, event);
  if (settings.discard)
    return answered(ehlo_server_accept(server, event->ticket));
  int error = begin(session, event);
  return error < 0 ? answered(ehlo_server_defer(server, event->ticket, 0)) : begun(session, error);
}

/* Content by BDAT comes without a DATA before it, when there may be no Maildir yet: this piece, which is the event's,
 * is kept, and no more comes until there is one. */
static int keep_early(struct envelope *envelope, const ehlo_event_body *body)
{
  size_t size = 0;
  for (size_t i = 0; i < body->count; i++)
    size += body->spans[i].len;
  envelope->early = malloc(size);
  if (envelope->early == NULL)
    return -1;
  for (size_t i = 0; i < body->count; i++) {
    memcpy(envelope->early + envelope->early_size, body->spans[i].ptr, body->spans[i].len);
    envelope->early_size += body->spans[i].len;
  }
  return 0;
}

int content_body(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  struct envelope *envelope = session->envelope;
  const ehlo_event_body *body = &event->as.body;
  if (envelope_is_relayed(envelope)) {
    int result = envelope->begun ? EHLO_HANDLED : relay_header(session, server, event);
    return result == EHLO_HANDLED ? relay_body(session, server, event) : result;
  }
  if (settings.discard)
    return EHLO_HANDLED;
  if (!envelope->begun) {
    int error = begin(session, event);
    if (error < 0 && keep_early(envelope, body) != 0)
      return EHLO_FAIL_TRANSACTION;
    if (error < 0)
      return answered(ehlo_server_defer(server, event->ticket, 0));
    int result = begun(session, error);
    if (envelope->message.fd < 0)
      return result;
  }
  int error = message_write(&envelope->message, body->spans, body->count);
  if (error == 0)
    return EHLO_HANDLED;
  message_discard(&envelope->message);
  return fail(server, event->ticket, envelope->message.mailbox, error);
}

/* MESSAGE asks once, RESULT for each recipient. */
int content_verdict(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  struct envelope *envelope = session->envelope;
  size_t ordinal = event->type == EHLO_EVENT_RESULT ? event->as.result.ordinal : 0;
  if (envelope_is_relayed(envelope)) {
    int result = envelope->begun ? EHLO_HANDLED : relay_header(session, server, event);
    return result == EHLO_HANDLED ? relay_verdict(session, server, event) : result;
  }
  if (settings.discard || envelope->told)
    return tell(session, event->ticket, ordinal);
  envelope->recipients[ordinal]->ticket = event->ticket;
  if (envelope->making == 0 && envelope->storing == 0) {
    int error = envelope->begun ? commit(session) : begin(session, event);
    if (error >= 0 && !envelope->begun) {
      begun(session, error);
    } else if (error > 0) {
      envelope->error = error;
      tell_all(session);
    }
  }
  return envelope->told ? EHLO_HANDLED : answered(ehlo_server_defer(server, event->ticket, 0));
}
