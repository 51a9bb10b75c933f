/* dialogue.c: what is said on a connection: hello, then message after message, then QUIT.
 *
 * SPDX-License-Identifier: MIT
 */
#include "load.h"

#include <string.h>

/* ---- events: what the server says -------------------------------------------------------------------------------- */

static void on_line(struct connection *connection, const ehlo_client_event_reply *line)
{
  size_t length = line->number == 1 ? 0 : strlen(connection->text);
  snprintf(connection->text + length, TEXT_SIZE - length, "%s%.*s", length > 0 ? " " : "", (int)line->text.len,
           line->text.ptr);
}

static void fail(struct connection *connection, const char *what, const char *why)
{
  figures_unexpected(what, 0, NULL, why);
  connection->failed = 1;
  connection->next = NEXT_QUIT;
}

static void on_reply(struct connection *connection, const ehlo_client_event_reply *reply)
{
  if (reply->code < 400 || reply->fallback)
    return;
  on_line(connection, reply);
  const char *what = reply->verb == EHLO_VERB_NONE ? "unasked" : ehlo_verb_name(reply->verb);
  figures_unexpected(what, reply->code, &reply->enhanced, connection->text);
  connection->refused += reply->verb == EHLO_VERB_RCPT || reply->verb == EHLO_VERB_RESULT;
  switch (reply->verb) {
  case EHLO_VERB_CONNECT:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_HELO:
  case EHLO_VERB_LHLO:
  case EHLO_VERB_STARTTLS:
  case EHLO_VERB_RSET: connection->next = NEXT_QUIT; break;
  default: break;
  }
  if (reply->code == 421) {
    connection->failed = 1; /* that it closes now need not be told */
    connection->next = NEXT_NONE;
  }
}

static void on_hello(struct connection *connection)
{
  const ehlo_client *client = connection->client;
  if (settings.security == SECURITY_STARTTLS && !ehlo_client_tls(client)) {
    if (ehlo_client_offers(client, EHLO_EXT_STARTTLS))
      connection->next = NEXT_STARTTLS;
    else
      fail(connection, "EHLO", "STARTTLS is not offered");
  } else if (settings.insist_pipelining && !ehlo_client_offers(client, EHLO_EXT_PIPELINING)) {
    fail(connection, "EHLO", "PIPELINING is not offered");
  } else if (settings.insist_chunking && !ehlo_client_offers(client, EHLO_EXT_CHUNKING)) {
    fail(connection, "EHLO", "CHUNKING is not offered");
  } else {
    connection->next = NEXT_MAIL;
  }
}

static void on_end(struct connection *connection, const ehlo_client_event_end *end)
{
  enum fate fate = FATE_FAILED;
  if (end->reason == EHLO_END_ACCEPTED && connection->refused == 0)
    fate = FATE_ACCEPTED;
  else if (end->reason == EHLO_END_ACCEPTED || end->reason == EHLO_END_MIXED)
    fate = FATE_IN_PART;
  figures_message(fate, figures_clock() - connection->begun);
  connection->open = 0;
  connection->number = 0;
  connection->fruitless = 0;
  connection->needs_reset = (int)end->needs_reset;
  if (connection->next != NEXT_NONE)
    connection->next = NEXT_MAIL;
}

int dialogue_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct connection *connection = user;
  (void)client;
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE: on_line(connection, &event->as.reply); break;
  case EHLO_CLIENT_EVENT_REPLY: on_reply(connection, &event->as.reply); break;
  case EHLO_CLIENT_EVENT_HELLO: on_hello(connection); break;
  case EHLO_CLIENT_EVENT_CONTENT: connection->offset = 0; break;
  case EHLO_CLIENT_EVENT_END: on_end(connection, &event->as.end); break;
  case EHLO_CLIENT_EVENT_VIOLATION:
    figures_unexpected("the server broke the protocol", 0, NULL, ehlo_violation_name(event->as.violation.kind));
    connection->failed = 1;
    break;
  default: break; /* a later library may know more of them */
  }
  return EHLO_HANDLED;
}

/* ---- commands: what is said to it -------------------------------------------------------------------------------- */

static int then(struct connection *connection, int error, enum next next)
{
  if (error == EHLO_OK)
    connection->next = next;
  return error;
}

static int issue_mail(struct connection *connection)
{
  ehlo_mail_parameters parameters = {.struct_size = sizeof parameters, .size = settings.size, .has_size = 1};
  if (figures_is_over() || (settings.per_connection != 0 && connection->mails == settings.per_connection))
    return then(connection, EHLO_OK, NEXT_QUIT);
  if (connection->number == 0)
    connection->number = figures_take();
  if (connection->number == 0)
    return then(connection, EHLO_OK, NEXT_QUIT);
  int error = connection->needs_reset ? ehlo_client_rset(connection->client, 0) : EHLO_OK;
  if (error != EHLO_OK)
    return error;
  connection->needs_reset = 0;
  error = ehlo_client_mail(connection->client, ehlo_span_of(settings.from), &parameters, 0);
  if (error == EHLO_ERR_LIMIT) /* the server wants no more on one connection (RFC 9422 4.1) */
    return then(connection, EHLO_OK, NEXT_QUIT);
  if (error == EHLO_ERR_SPACE)
    return error;
  if (error != EHLO_OK) {
    figures_message(FATE_FAILED, 0);
    connection->number = 0;
    fail(connection, "MAIL", ehlo_strerror(error));
    return EHLO_OK;
  }
  connection->begun = figures_clock();
  connection->mails++;
  connection->open = 1;
  connection->recipient = connection->refused = 0;
  return then(connection, EHLO_OK, NEXT_RCPT);
}

static int issue_rcpt(struct connection *connection)
{
  if (connection->recipient == settings.recipients)
    return then(connection, EHLO_OK, NEXT_DATA);
  ehlo_span to = ehlo_span_of(settings.to[connection->recipient]);
  int error = ehlo_client_rcpt(connection->client, to, NULL, connection->recipient);
  if (error == EHLO_ERR_REFUSED)
    return then(connection, EHLO_OK, NEXT_REPLY); /* with MAIL; END is on its way */
  if (error == EHLO_ERR_SPACE || error == EHLO_ERR_STATE)
    return error;
  if (error != EHLO_OK) { /* more than the server takes (RFC 9422 4.2), for one */
    figures_unexpected("RCPT", 0, NULL, ehlo_strerror(error));
    connection->refused++;
  }
  connection->recipient++;
  return EHLO_OK;
}

/* Where nobody is left to send to only RSET ends the transaction. */
static int issue_data(struct connection *connection)
{
  int error = ehlo_client_data(connection->client, 0);
  if (error == EHLO_ERR_REFUSED && connection->refused < settings.recipients)
    return then(connection, EHLO_OK, NEXT_REPLY); /* as for RCPT */
  if (error == EHLO_ERR_REFUSED || (error == EHLO_ERR_STATE && connection->refused == settings.recipients))
    return then(connection, EHLO_OK, NEXT_RSET);
  return then(connection, error, NEXT_REPLY);
}

static int issue(struct connection *connection)
{
  ehlo_client *client = connection->client;
  switch (connection->next) {
  case NEXT_HELLO: return then(connection, ehlo_client_hello(client, 0), NEXT_REPLY);
  case NEXT_STARTTLS: return then(connection, ehlo_client_starttls(client, 0), NEXT_REPLY);
  case NEXT_MAIL: return issue_mail(connection);
  case NEXT_RCPT: return issue_rcpt(connection);
  case NEXT_DATA: return issue_data(connection);
  case NEXT_RSET: return then(connection, ehlo_client_rset(client, 0), NEXT_REPLY);
  default: connection->quit = 1; return then(connection, ehlo_client_quit(client, 0), NEXT_REPLY);
  }
}

/* Where commands wait for replies anyway, none is issued that a refusal could make pointless. */
static int must_wait(const struct connection *connection)
{
  return connection->next == NEXT_NONE || connection->next == NEXT_REPLY ||
         (ehlo_client_pending(connection->client) > 0 && !ehlo_client_offers(connection->client, EHLO_EXT_PIPELINING));
}

int dialogue_advance(struct connection *connection)
{
  int error = EHLO_OK, issued = 0;
  while (!must_wait(connection) && (error = issue(connection)) == EHLO_OK)
    issued = 1;
  if (error == EHLO_OK || error == EHLO_ERR_SPACE)
    return issued;
  figures_unexpected("load", 0, NULL, ehlo_strerror(error)); /* a defect of this program */
  connection->failed = 1;
  ehlo_client_eof(connection->client);
  return 1;
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

/* A small message is put together: it leaves in one write, or by BDAT as one chunk. Returns what is to be given. */
static ehlo_span small_message(const struct connection *connection)
{
  static char whole[SMALL_SIZE];
  size_t size = 0;
  while (size < settings.size) {
    ehlo_span piece = message_piece(connection->header, size);
    memcpy(whole + size, piece.ptr, piece.len);
    size += piece.len;
  }
  return (ehlo_span){whole + connection->offset, size - (size_t)connection->offset};
}

static int give_piece(struct connection *connection, size_t *taken)
{
  *taken = 0;
  if (connection->offset == 0)
    message_header(connection->header, connection->number);
  if (settings.size <= SMALL_SIZE) {
    ehlo_span whole = small_message(connection);
    return ehlo_client_body(connection->client, whole.ptr, whole.len, taken);
  }
  ehlo_span piece = message_piece(connection->header, connection->offset);
  connection->span = 0;
  return ehlo_client_body_gather(connection->client, piece.ptr, piece.len, taken, connection->spans, BODY_SPANS,
                                 &connection->span_count);
}

int dialogue_content(struct connection *connection)
{
  size_t taken = 0;
  int error = EHLO_OK;
  if (connection->offset < settings.size) {
    error = give_piece(connection, &taken);
    connection->offset += taken;
  }
  if (error == EHLO_OK && connection->offset == settings.size && connection->span == connection->span_count) {
    error = ehlo_client_body_end(connection->client);
    if (error == EHLO_OK)
      return 1;
  }
  /* REFUSED: a chunk was; END is on its way. */
  if (error != EHLO_OK && error != EHLO_ERR_SPACE && error != EHLO_ERR_REFUSED) {
    fail(connection, "content", ehlo_strerror(error));
    ehlo_client_body_abort(connection->client);
    return 1;
  }
  return taken > 0;
}
