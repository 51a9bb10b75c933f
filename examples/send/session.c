/* session.c: the dialogue with the server. This is the file to copy.
 *
 * SPDX-License-Identifier: MIT
 *
 * From top to bottom:
 *
 *     on_event      what the server said, and whom it is about: events only take notes
 *     advance       which command is next: from the notes
 *     give_content  the message, a piece at a time
 *     converse      the loop: write, give content, issue commands, read, keep the clock
 *     session_...   which of that for whom; TLS is in secure.c, AUTH in auth.c
 *
 * The library knows the protocol: what may be said when, what goes out in groups, which reply belongs to which command,
 * how long to wait. Here is what each host decides for itself, and that is not much: recipients that the server puts
 * off because it takes no more of them at a time (452; 552 from old servers: RFC 5321 4.5.3.1.10) get a further
 * transaction, and another, as long as each brings somebody the message. */
#include "send.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 65536 };

/* ---- events: what the server said -------------------------------------------------------------------------------- */

/* Nothing more can be sent. That counts as 451 (RFC 5321 3.8), unless the server has said more. */
static void give_up(struct session *session, uint16_t subject, uint16_t detail, const char *what, const char *why)
{
  if (session->over.code == 0)
    outcome_say(&session->over, 451, subject, detail, what, why);
}

/* Who has no answer of his own gets that to the transaction; if there is none, that to all that is still to be sent. */
static void settle(struct session *session)
{
  const struct outcome *for_all = session->decided.code != 0 ? &session->decided : &session->over;
  for (size_t i = 0; i < session->envelope->count; i++) {
    struct recipient *recipient = &session->envelope->recipients[i];
    if (recipient->outcome.code != 0)
      continue;
    recipient->outcome = *for_all;
    session->broken |= for_all == &session->over && session->violation != 0;
  }
  session->decided.code = 0;
}

/* The text of a reply is that of all its lines. */
static void on_line(struct session *session, const ehlo_client_event_reply *line)
{
  struct outcome *reply = &session->reply;
  size_t length = line->number == 1 ? 0 : strlen(reply->text);
  snprintf(reply->text + length, TEXT_SIZE - length, "%s%.*s", length > 0 ? " " : "", (int)line->text.len,
           line->text.ptr);
  reply->code = line->code;
  reply->enhanced = line->enhanced;
  trace_line(line->line);
}

static void on_rcpt_reply(struct session *session, struct recipient *recipient)
{
  uint32_t code = session->reply.code;
  if (code < 400 || session->decided.code >= 400)
    return; /* a yes promises nothing: END decides. And if MAIL was refused, that is the reason */
  recipient->outcome = session->reply;
  recipient->put_off = code == 452 || code == 552;
}

static void on_reply(struct session *session, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  int refused = reply->code >= 400 && !reply->fallback;
  int over = reply->code == 421;
  switch (reply->verb) {
  case EHLO_VERB_CONNECT:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_HELO:
  case EHLO_VERB_LHLO:
    over = refused;
    if (refused)
      session->next = NEXT_NONE;
    break;
  case EHLO_VERB_STARTTLS:
    if (refused) {
      secure_refused(session);
      session->next = NEXT_NONE;
    }
    break;
  case EHLO_VERB_XCLIENT: /* which is the greeting to another */
    over = refused;
    session->next = refused ? NEXT_NONE : NEXT_HELLO;
    break;
  case EHLO_VERB_AUTH:
    auth_reply(session);
    session->next = NEXT_NONE;
    break;
  case EHLO_VERB_MAIL:
  case EHLO_VERB_DATA:
  case EHLO_VERB_BDAT:
  case EHLO_VERB_MESSAGE:
    if (session->decided.code == 0 && (refused || reply->verb == EHLO_VERB_MESSAGE))
      session->decided = session->reply;
    break;
  case EHLO_VERB_RCPT: on_rcpt_reply(session, &session->envelope->recipients[event->tag]); break;
  case EHLO_VERB_RESULT: session->envelope->recipients[event->tag].outcome = session->reply; break;
  default: break;
  }
  if (over && session->over.code == 0)
    session->over = session->reply;
}

/* Recipients that were put off get another transaction if this one has brought anybody the message. */
static void on_end(struct session *session, const ehlo_client_event_end *end)
{
  int got_through = end->reason == EHLO_END_ACCEPTED || end->reason == EHLO_END_MIXED;
  settle(session);
  session->needs_reset = (int)end->needs_reset;
  session->next = NEXT_NONE;
  for (size_t i = 0; i < session->envelope->count; i++) {
    struct recipient *recipient = &session->envelope->recipients[i];
    if (recipient->put_off && got_through) {
      recipient->outcome.code = 0;
      session->next = NEXT_MAIL;
    }
    recipient->put_off = 0;
  }
}

static int on_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct session *session = user;
  (void)client;
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE: on_line(session, &event->as.reply); break;
  case EHLO_CLIENT_EVENT_REPLY:
    on_line(session, &event->as.reply);
    on_reply(session, event);
    break;
  case EHLO_CLIENT_EVENT_CHALLENGE: auth_challenge(session, &event->as.challenge); break;
  case EHLO_CLIENT_EVENT_HELLO: session->next = NEXT_NONE; break;
  case EHLO_CLIENT_EVENT_CONTENT: session->offset = 0; break;
  case EHLO_CLIENT_EVENT_END: on_end(session, &event->as.end); break;
  case EHLO_CLIENT_EVENT_VIOLATION:
    trace_line(event->as.violation.octets); /* no reply, so no REPLY showed it */
    session->violation = event->as.violation.kind;
    give_up(session, 5, 0, "The server broke the protocol", ehlo_violation_name(session->violation));
    break;
  default: break; /* a later library may know more of them */
  }
  return EHLO_HANDLED;
}

/* ---- commands: what is said to it -------------------------------------------------------------------------------- */

static int then(struct session *session, int error, enum next next)
{
  if (error == EHLO_OK)
    session->next = next;
  return error;
}

/* As many messages as a server wants on one connection: the others get another one (RFC 9422 4.1). */
static int is_full(const struct session *session)
{
  uint32_t most = ehlo_client_mail_max(session->client);
  return most > 0 && session->mails >= most;
}

static int issue_mail(struct session *session)
{
  const struct envelope *envelope = session->envelope;
  const struct message *message = session->message;
  ehlo_mail_parameters parameters = envelope->parameters;
  parameters.size = message->wire_size;
  parameters.has_size = 1;
  parameters.body = message->is_binary ? EHLO_BODY_BINARYMIME : message->has_8bit ? EHLO_BODY_8BITMIME : EHLO_BODY_NONE;
  parameters.smtputf8 = (uint32_t)envelope->smtputf8;
  session->full = is_full(session);
  if (session->full)
    return then(session, EHLO_OK, NEXT_NONE);
  int error = session->needs_reset ? ehlo_client_rset(session->client, 0) : EHLO_OK;
  if (error != EHLO_OK)
    return error;
  session->needs_reset = 0;
  session->recipient = 0;
  error = ehlo_client_mail(session->client, ehlo_span_of(envelope->from), &parameters, 0);
  session->mails += error == EHLO_OK;
  if (outcome_refuse(&session->decided, error, message->name))
    return then(session, EHLO_OK, NEXT_NONE);
  return then(session, error, NEXT_RCPT);
}

/* For one recipient, who comes back as the tag of the reply. */
static int issue_rcpt(struct session *session)
{
  if (session->recipient == session->envelope->count)
    return then(session, EHLO_OK, NEXT_DATA);
  struct recipient *recipient = &session->envelope->recipients[session->recipient];
  if (recipient->outcome.code == 0) {
    int error =
        ehlo_client_rcpt(session->client, ehlo_span_of(recipient->address), &recipient->parameters, session->recipient);
    if (error == EHLO_ERR_REFUSED)
      return then(session, EHLO_OK, NEXT_REPLY); /* with MAIL; END is on its way */
    if (error == EHLO_ERR_LIMIT) {               /* as if the server had said it */
      outcome_say(&recipient->outcome, 452, 5, 3, recipient->address, ehlo_strerror(error));
      recipient->put_off = 1;
    } else if (error != EHLO_OK && !outcome_refuse(&recipient->outcome, error, recipient->address)) {
      return error;
    }
  }
  session->recipient++;
  return EHLO_OK;
}

/* Where nobody is left to send to, because the server or the library would have none of them, only RSET ends the
 * transaction. */
static int issue_data(struct session *session)
{
  int error = ehlo_client_data(session->client, 0);
  if (error == EHLO_ERR_REFUSED && session->decided.code >= 400)
    return then(session, EHLO_OK, NEXT_REPLY); /* as for RCPT */
  if (error == EHLO_ERR_REFUSED || error == EHLO_ERR_STATE)
    return then(session, EHLO_OK, NEXT_RSET);
  return then(session, error, NEXT_REPLY);
}

static int issue_xclient(struct session *session)
{
  int error = ehlo_client_xclient(session->client, ehlo_span_of(settings.xclient), 0);
  if (outcome_refuse(&session->over, error, "--xclient"))
    return then(session, EHLO_OK, NEXT_NONE);
  return then(session, error, NEXT_REPLY);
}

static int issue(struct session *session)
{
  switch (session->next) {
  case NEXT_HELLO: return then(session, ehlo_client_hello(session->client, 0), NEXT_REPLY);
  case NEXT_STARTTLS: return then(session, ehlo_client_starttls(session->client, 0), NEXT_REPLY);
  case NEXT_XCLIENT: return issue_xclient(session);
  case NEXT_AUTH: return then(session, EHLO_OK, auth_begin(session) == EHLO_OK ? NEXT_REPLY : NEXT_NONE);
  case NEXT_MAIL: return issue_mail(session);
  case NEXT_RCPT: return issue_rcpt(session);
  case NEXT_DATA: return issue_data(session);
  case NEXT_RSET: return then(session, ehlo_client_rset(session->client, 0), NEXT_REPLY);
  default: return then(session, ehlo_client_quit(session->client, 0), NEXT_REPLY); /* NEXT_QUIT; see must_wait */
  }
}

/* Where commands wait for replies anyway, none is issued that a refusal could make pointless. */
static int must_wait(const struct session *session)
{
  return session->next == NEXT_NONE || session->next == NEXT_REPLY ||
         (ehlo_client_pending(session->client) > 0 && !ehlo_client_offers(session->client, EHLO_EXT_PIPELINING));
}

/* Issues what can be issued now; the rest when replies have made room. Returns 0 if that is nothing. */
static int advance(struct session *session)
{
  int error = EHLO_OK, issued = 0;
  while (!must_wait(session) && (error = issue(session)) == EHLO_OK)
    issued = 1;
  if (error == EHLO_OK || error == EHLO_ERR_SPACE)
    return issued;
  complain("command", ehlo_strerror(error)); /* a defect of this program */
  give_up(session, 3, 0, "Given up", ehlo_strerror(error));
  ehlo_client_eof(session->client);
  return 1;
}

/* ---- content ----------------------------------------------------------------------------------------------------- */

/* Will content go out by BDAT? */
static int in_chunks(const struct session *session)
{
  uint8_t when = settings.config.chunking;
  return ehlo_client_offers(session->client, EHLO_EXT_CHUNKING) &&
         (when == EHLO_CHUNKING_ALWAYS || (when == EHLO_CHUNKING_AUTO && session->message->is_binary));
}

/* What is put into the output now is content. Of a chunk the command before it is shown. */
static void note_content(struct session *session)
{
  const char *output = ehlo_client_output(session->client, &session->content);
  if (session->content > 0 && in_chunks(session))
    trace_sent(output, (size_t)((const char *)memchr(output, '\n', session->content) + 1 - output));
}

/* Puts the next piece into the output, which is empty. The dot, or the last chunk, goes along with the last one.
 * Returns NULL, or why there can be no more. */
static const char *give_piece(struct session *session)
{
  const struct message *message = session->message;
  ehlo_span piece;
  size_t taken;
  const char *why = message_read(message, session->offset, &piece);
  if (why != NULL)
    return why;
  int error = ehlo_client_body(session->client, piece.ptr, piece.len, &taken);
  session->offset += taken;
  note_content(session);
  if (error == EHLO_OK && session->offset == message->size) {
    error = ehlo_client_body_end(session->client);
    if (error == EHLO_OK && !in_chunks(session))
      trace_content(message);
  }
  /* SPACE: there will be some when the output has gone, or chunks have been answered. REFUSED: one of those was; END is
   * on its way. Any other error message_examine would have seen. */
  return error == EHLO_OK || error == EHLO_ERR_SPACE || error == EHLO_ERR_REFUSED ? NULL : message_changed;
}

/* A half message must not be taken for a whole one: only the end of the connection makes sure of that. */
static void give_content(struct session *session)
{
  const char *why = give_piece(session);
  show_progress(session->message, session->offset);
  if (why == NULL)
    return;
  give_up(session, 6, 0, session->message->name, why);
  ehlo_client_body_abort(session->client);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void lost(struct session *session, const char *why)
{
  give_up(session, 4, 2, "The connection was lost", why);
  ehlo_client_eof(session->client);
}

/* Returns 0 if there was nothing to read. */
static int receive(struct session *session)
{
  static char buffer[READ_SIZE];
  size_t used;
  ssize_t count = stream_read(&session->stream, buffer, sizeof buffer);
  if (count == STREAM_WAIT)
    return 0;
  if (count > 0)
    ehlo_client_feed(session->client, buffer, (size_t)count, &used);
  else
    lost(session, count == 0 ? "closed by the server" : tls_error());
  return 1;
}

/* Returns 0 if the socket takes no more now. */
static int send_output(struct session *session)
{
  size_t size;
  const char *output = ehlo_client_output(session->client, &size);
  ssize_t sent = stream_write(&session->stream, output, size);
  if (sent == STREAM_FAILED) {
    char why[TEXT_SIZE];
    snprintf(why, sizeof why, "%s", tls_error());
    if (!receive(session)) /* what the server said before it went tells more */
      lost(session, why);
    return 1;
  }
  if (sent <= 0)
    return 0;
  size_t content = session->content < (size_t)sent ? session->content : (size_t)sent;
  session->content -= content;
  if (!session->secret)
    trace_sent(output + content, (size_t)sent - content);
  ehlo_client_sent(session->client, (size_t)sent);
  if ((size_t)sent == size)
    session->secret = 0;
  return 1;
}

/* Waits for the server, as long as RFC 5321 4.5.3.2 has it. What it waits for is, under TLS, not always what the socket
 * has to be ready for. */
static void wait_for(struct session *session, short wants)
{
  struct stream *stream = &session->stream;
  uint64_t epoch;
  uint32_t seconds = ehlo_client_timeout(session->client, &epoch);
  if (epoch != session->epoch)
    session->deadline = deadline_after(seconds);
  session->epoch = epoch;
  short ready = stream_pending(stream) ? stream->read_event
                                       : wait_until(stream->fd, stream_events(stream, wants), session->deadline);
  if (ready == 0) {
    give_up(session, 4, 2, "Timed out", "the server was silent for too long");
    ehlo_client_timed_out(session->client);
  } else if (stream_ready(stream, ready) & POLLIN) {
    receive(session);
  }
}

/* The handshake that STARTTLS was answered for, and hello again: what was said in clear counts no more. */
static void begin_tls(struct session *session)
{
  if (secure_begin(session) && ehlo_client_tls_done(session->client) == EHLO_OK)
    session->next = NEXT_HELLO;
  else
    ehlo_client_eof(session->client);
}

/* From the first command until nothing more is to be said. A server may stop reading until its replies are read
 * (RFC 2920 3.1), or say 421 in the middle of content: so whenever writing has to wait, reading is waited for too. */
static void converse(struct session *session, enum next first)
{
  uint32_t want;
  session->next = first;
  while (!((want = ehlo_client_want(session->client)) & EHLO_WANT_CLOSE) && session->next != NEXT_NONE) {
    if (want & EHLO_WANT_WRITE) {
      if (!send_output(session))
        wait_for(session, POLLIN | POLLOUT);
    } else if (want & EHLO_WANT_TLS) {
      begin_tls(session);
    } else if (want & EHLO_WANT_CONTENT) {
      give_content(session);
    } else if (!advance(session)) {
      wait_for(session, POLLIN);
    }
  }
}

/* ---- the session ------------------------------------------------------------------------------------------------- */

static void greet(struct session *session, int fd)
{
  ehlo_client_config config = settings.config;
  if (config.hostname.len == 0)
    config.hostname = ehlo_span_of(own_name(fd));
  size_t size = ehlo_client_size(&config);
  void *memory = must_allocate(1, size);
  int error = ehlo_client_init(&session->client, memory, size, &config, on_event, session);
  if (error != EHLO_OK)
    bad_usage("options", ehlo_strerror(error));
  stream_open(&session->stream, fd);
  session->epoch = UINT64_MAX; /* none of the library's, so that the clock starts */
  if (settings.secure.use == TLS_AT_ONCE) {
    if (!secure_begin(session)) {
      ehlo_client_eof(session->client);
      return;
    }
    ehlo_client_tls_done(session->client);
  }
  converse(session, NEXT_HELLO);
  if (session->over.code == 0 && secure_is_due(session))
    converse(session, NEXT_STARTTLS);
  if (session->over.code == 0 && settings.xclient != NULL)
    converse(session, NEXT_XCLIENT);
  if (session->over.code == 0 && settings.auth.wanted)
    converse(session, NEXT_AUTH);
}

void session_open(struct session *session)
{
  int fd;
  do {
    session_close(session);
    fd = connect_to(settings.server, &session->over);
    if (fd >= 0)
      greet(session, fd);
  } while (fd >= 0 && secure_falls_back(session));
}

/* To the same server once more. */
static void session_renew(struct session *session)
{
  session_close(session);
  session->mails = 0;
  session->needs_reset = 0;
  session_open(session);
}

void session_send(struct session *session, struct envelope *envelope, struct message *message)
{
  session->envelope = envelope;
  session->message = message;
  for (size_t i = 0; i < envelope->count; i++)
    envelope->recipients[i].outcome.code = 0;
  if (session->over.code == 0) {
    const char *why = message_open(message);
    if (why == NULL)
      converse(session, NEXT_MAIL);
    else
      outcome_say(&session->decided, 451, 6, 0, message->name, why);
    while (session->full && session->over.code == 0) {
      session->full = 0;
      session_renew(session);
      if (session->over.code == 0)
        converse(session, NEXT_MAIL);
    }
    message_close(message);
    /* For those that come after content that was refused before all of it had been sent: the library ends the session
     * with that, and it is no answer to them. */
    if (session->client != NULL && ehlo_client_want(session->client) & EHLO_WANT_CLOSE)
      give_up(session, 4, 2, "The connection was closed", "the message before was refused while it was being sent");
  }
  settle(session);
}

void session_close(struct session *session)
{
  if (session->client == NULL)
    return;
  converse(session, NEXT_QUIT);
  stream_shutdown(&session->stream);
  stream_close(&session->stream);
  free(session->client); /* the block that was given to it */
  session->client = NULL;
}
