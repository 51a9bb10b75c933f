/* envelope.c: see envelope.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "envelope.h"

#include <stdlib.h>
#include <string.h>

/* ---- paths ------------------------------------------------------------------------------------------------------- */

/* A path without its brackets and route: the last octets but one. (A bare address has neither.) */
static ehlo_span mailbox_of(ehlo_span path, size_t len)
{
  return (ehlo_span){path.ptr + (path.len - len) - (path.len > len ? 1 : 0), len};
}

ehlo_span recipient_path(const struct recipient *recipient)
{
  return (ehlo_span){recipient->spelt, recipient->len};
}

ehlo_span recipient_mailbox(const struct recipient *recipient)
{
  return mailbox_of(recipient_path(recipient), recipient->mailbox_len);
}

ehlo_span sender_mailbox(const struct envelope *envelope)
{
  return mailbox_of(envelope->sender, envelope->sender_mailbox_len);
}

/* ---- envelopes --------------------------------------------------------------------------------------------------- */

struct envelope *envelope_open(const ehlo_event_mail *mail)
{
  struct envelope *envelope = calloc(1, sizeof *envelope + mail->path.raw.len);
  if (envelope == NULL)
    return NULL;
  memcpy(envelope + 1, mail->path.raw.ptr, mail->path.raw.len);
  envelope->sender = (ehlo_span){(char *)(envelope + 1), mail->path.raw.len};
  envelope->sender_mailbox_len = (uint32_t)mail->path.mailbox.len;
  envelope->size = mail->parameters.size;
  envelope->has_size = mail->parameters.has_size;
  envelope->body = mail->parameters.body;
  envelope->utf8 = mail->parameters.smtputf8 != 0;
  envelope->message.fd = -1;
  delivery_id(envelope->message.id);
  return envelope;
}

void envelope_close(struct envelope *envelope)
{
  if (envelope == NULL)
    return;
  helper_cancel(envelope->making);
  helper_cancel(envelope->storing);
  message_discard(&envelope->message);
  for (size_t i = 0; i < envelope->count; i++)
    free(envelope->recipients[i]);
  free(envelope->recipients);
  free(envelope->results);
  free(envelope->early);
  free(envelope);
}

int envelope_add(struct envelope *envelope, const ehlo_path *path, const char *directories, uint32_t copies,
                 uint32_t ticket)
{
  if (envelope->count == envelope->room) {
    size_t room = envelope->room == 0 ? 4 : envelope->room * 2;
    struct recipient **recipients = realloc(envelope->recipients, room * sizeof *recipients);
    if (recipients == NULL)
      return -1;
    envelope->recipients = recipients;
    envelope->room = room;
  }
  size_t size = 0;
  for (uint32_t i = 0; i < copies; i++)
    size += strlen(directories + size) + 1;
  struct recipient *recipient = malloc(sizeof *recipient + path->raw.len + size);
  if (recipient == NULL)
    return -1;
  memset(recipient, 0, sizeof *recipient);
  recipient->ticket = ticket;
  recipient->mailbox_len = (uint32_t)path->mailbox.len;
  recipient->len = (uint32_t)path->raw.len;
  recipient->copies = copies;
  memcpy(recipient->spelt, path->raw.ptr, path->raw.len);
  recipient->directories = recipient->spelt + path->raw.len;
  if (size > 0)
    memcpy(recipient->spelt + path->raw.len, directories, size);
  envelope->recipients[envelope->count++] = recipient;
  return 0;
}

void envelope_settle(struct session *session, const ehlo_event_reply *reply)
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
    recipient->first = (uint32_t)envelope->copies;
    envelope->copies += recipient->copies;
    envelope->accepted++; /* replies come in the order of the questions: it is the first of the rest */
    return;
  }
  free(recipient);
  envelope->count--;
  memmove(envelope->recipients + at, envelope->recipients + at + 1, (envelope->count - at) * sizeof recipient);
}

int envelope_is_relayed(const struct envelope *envelope)
{
  return envelope->accepted > 0 && envelope->recipients[0]->relayed;
}

int envelope_has_it(const struct envelope *envelope, size_t ordinal)
{
  const struct recipient *recipient = envelope->recipients[ordinal];
  uint32_t stored = 0;
  if (settings.discard || envelope->all_stored || recipient->relayed)
    return 1;
  for (uint32_t i = 0; i < recipient->copies; i++)
    stored += envelope->results != NULL && envelope->results[recipient->first + i] == '.';
  return stored > 0 && stored == recipient->copies;
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

void log_client(const struct session *session)
{
  fprintf(stderr, " client=%s:%u hello=", ip_address_text(&session->client), session->client.port);
  print_octets(stderr, ehlo_server_hello(session->server), 0);
}

static void log_sender(const struct envelope *envelope)
{
  fputs(" from=", stderr);
  print_octets(stderr, envelope->sender, 0);
}

void log_accepted(const struct session *session, uint64_t octets)
{
  const struct envelope *envelope = session->envelope;
  fprintf(stderr, "%s: accepted id=%s", program, envelope->message.id);
  log_client(session);
  if (session->stream.tls != NULL)
    fprintf(stderr, " tls=%s", stream_protocol(&session->stream));
  if (ehlo_server_identity(session->server).len > 0) {
    fputs(" user=", stderr);
    print_octets(stderr, ehlo_server_identity(session->server), 0);
  }
  log_sender(envelope);
  const char *before = " to=";
  for (size_t i = 0; i < envelope->accepted; i++) {
    if (!envelope_has_it(envelope, i))
      continue;
    fputs(before, stderr);
    print_octets(stderr, recipient_path(envelope->recipients[i]), 0);
    before = ",";
  }
  if (envelope_is_relayed(envelope))
    fprintf(stderr, " relay=%s", settings.relay_to);
  fprintf(stderr, " octets=%llu\n", (unsigned long long)octets);
}

void log_refused(const struct session *session, const ehlo_event_reply *reply, const struct recipient *recipient)
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
    print_octets(stderr, recipient_path(recipient), 0);
  }
  if (reply->asked == 0 && session->violated != 0)
    fprintf(stderr, " because=\"%s\"", ehlo_violation_name(session->violated));
  fputc('\n', stderr);
}
