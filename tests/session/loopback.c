/* loopback.c: a client and a server of this library, joined in memory. */
#include "loopback.h"

#include "../support/margin.h"

#include <stdlib.h>
#include <string.h>

enum { CLIENT, SERVER };
enum { SPANS = 9 };

#define REQUIRE(condition) ((condition) ? (void)0 : loop_fail(#condition, __FILE__, __LINE__))

/* ---- pipes ---- */

static void put(struct loop_pipe *pipe, const void *octets, size_t size)
{
  if (pipe->broken || size == 0) {
    return;
  }
  if (pipe->room - pipe->tail < size) {
    pipe->room = 2 * pipe->room + size;
    pipe->octets = realloc(pipe->octets, pipe->room);
    REQUIRE(pipe->octets != NULL);
  }
  memcpy(pipe->octets + pipe->tail, octets, size);
  pipe->tail += size;
}

static size_t in(const struct loop_pipe *pipe)
{
  return pipe->tail - pipe->head;
}

/* How many of `most` octets a step moves. */
static size_t portion(const struct loop *loop, unsigned step, size_t amount, size_t most)
{
  size_t size = amount == 0 || most < amount ? most : amount;
  size_t to_cut = loop->cut[step] - loop->moved[step];
  return loop->moved[step] < loop->cut[step] && to_cut < size ? to_cut : size;
}

/* ---- the sending host ---- */

enum {
  CALL_HELLO,
  CALL_MAIL,
  CALL_RCPT,
  CALL_DATA,
  CALL_RSET,
  CALL_TURN,
  CALL_SERVICE,
  CALL_QUIT,
  GIVE_CONTENT,
  WAIT, /* for an event that says how it goes on */
  WAIT_RESET,
  NOTHING
};

static uint64_t tag_of(int message, uint32_t verb, uint32_t ordinal)
{
  return (uint64_t)message << 32 | verb << 16 | ordinal;
}

/* The first service that is still to be called before this message; service_count if there is none. */
static size_t next_service(const struct loop *loop)
{
  size_t i = 0;
  while (i < loop->service_count && (loop->done[i].called != 0 || loop->services[i].at != (size_t)loop->at)) {
    i++;
  }
  return i;
}

static void next_message(struct loop *loop)
{
  loop->at++;
  loop->given = 0;
  if (next_service(loop) < loop->service_count) {
    loop->stage = CALL_SERVICE;
    return;
  }
  loop->stage = (size_t)loop->at == loop->turn_at ? CALL_TURN
                : (size_t)loop->at < loop->count  ? CALL_MAIL
                : loop->keep                      ? NOTHING
                                                  : CALL_QUIT;
}

static int call_hello(struct loop *loop)
{
  if (ehlo_client_hello(loop->client, tag_of(0, EHLO_VERB_EHLO, loop->hello_calls)) != EHLO_OK) {
    return 0;
  }
  loop->hello_calls++;
  loop->stage = WAIT;
  return 1;
}

/* Goes on with what is still to be done before this message, or with it. */
static void go_on(struct loop *loop)
{
  loop->at--;
  next_message(loop);
}

static size_t waiting(struct loop *loop)
{
  size_t size;
  (void)ehlo_client_output(loop->client, &size);
  return size;
}

/* Is the last message still to END, which may tell that RSET is next? */
static int is_open(const struct loop *loop)
{
  int last = loop->at - 1;
  while (last >= 0 && !loop->sent[last].called) {
    last--;
  }
  return last >= 0 && loop->sent[last].ends == 0;
}

static int has_transid(const struct loop_message *message)
{
  return message->options != NULL && message->options->transid.len > 0;
}

static int call_mail(struct loop *loop, const struct loop_message *message, struct loop_sent *sent)
{
  size_t before = waiting(loop);
  int result = ehlo_client_mail(loop->client, ehlo_span_of(message->from), message->options,
                                tag_of(loop->at, EHLO_VERB_MAIL, 0));
  if (result == EHLO_ERR_SPACE || (result == EHLO_ERR_STATE && is_open(loop))) {
    return 0;
  }
  if (result == EHLO_ERR_SIZE || result == EHLO_ERR_8BITMIME || result == EHLO_ERR_SMTPUTF8 || result == EHLO_ERR_TLS ||
      result == EHLO_ERR_NOT_OFFERED || result == EHLO_ERR_LIMIT) {
    REQUIRE(waiting(loop) == before);
    sent->error = result;
    next_message(loop);
    return 1;
  }
  REQUIRE(result == EHLO_OK);
  sent->called = 1;
  loop->stage = has_transid(message) ? WAIT : message->recipients > 0 ? CALL_RCPT : CALL_RSET;
  return 1;
}

/* RCPT and DATA are refused to the host once MAIL has been, DATA also if all RCPTs have been. (If nothing else is out
 * the transaction is over with the reply to MAIL, and there is none to add to.) */
static int is_refused(int result, const struct loop_sent *sent)
{
  return result == EHLO_ERR_REFUSED || (result == EHLO_ERR_STATE && sent->mail >= 400);
}

static void give_up(struct loop *loop, const struct loop_sent *sent)
{
  int mail_refused = sent->mail >= 400;
  for (uint32_t i = 0; i < sent->rcpt_called && !mail_refused; i++) {
    REQUIRE(sent->rcpt[i] >= 400);
  }
  loop->stage = mail_refused ? WAIT : CALL_RSET;
}

static int call_rcpt(struct loop *loop, const struct loop_message *message, struct loop_sent *sent)
{
  size_t before = waiting(loop);
  const ehlo_rcpt_parameters *options = message->rcpt_options[sent->rcpt_called];
  uint64_t tag = tag_of(loop->at, EHLO_VERB_RCPT, sent->rcpt_called);
  ehlo_span path = ehlo_span_of(message->to[sent->rcpt_called]);
  int result = ehlo_client_rcpt(loop->client, path, options, tag);
  if (options != NULL && (result == EHLO_ERR_NOT_OFFERED || result == EHLO_ERR_SMTPUTF8)) {
    REQUIRE(waiting(loop) == before);
    sent->plain |= 1U << sent->rcpt_called;
    result = ehlo_client_rcpt(loop->client, path, NULL, tag);
  }
  if (result == EHLO_ERR_SPACE) {
    return 0;
  }
  if (result == EHLO_ERR_LIMIT) {
    REQUIRE(waiting(loop) == before && sent->rcpt_called == ehlo_client_rcpt_max(loop->client));
    loop->stage = CALL_DATA;
    return 1;
  }
  if (is_refused(result, sent)) {
    REQUIRE(sent->mail >= 400);
    give_up(loop, sent);
    return 1;
  }
  REQUIRE(result == EHLO_OK);
  sent->rcpt_called++;
  loop->stage = sent->rcpt_called < message->recipients ? CALL_RCPT : CALL_DATA;
  return 1;
}

static int call_data(struct loop *loop, struct loop_sent *sent)
{
  const char *burl = loop->messages[loop->at].burl;
  uint64_t tag = tag_of(loop->at, EHLO_VERB_DATA, 0);
  int result = EHLO_ERR_NOT_OFFERED;
  if (burl != NULL && !sent->resumed && loop->client_config.protocol == EHLO_PROTOCOL_SMTP) {
    result = ehlo_client_burl(loop->client, ehlo_span_of(burl), 1, tag);
    sent->burl = result == EHLO_OK;
  }
  if (result == EHLO_ERR_NOT_OFFERED) {
    result = ehlo_client_data(loop->client, tag);
  }
  if (result == EHLO_ERR_SPACE) {
    return 0;
  }
  if (is_refused(result, sent)) {
    give_up(loop, sent);
    return 1;
  }
  REQUIRE(result == EHLO_OK);
  sent->data_called = 1;
  loop->stage = WAIT;
  return 1;
}

static int call_rset(struct loop *loop, const struct loop_sent *sent)
{
  int result = ehlo_client_rset(loop->client, tag_of(loop->at, EHLO_VERB_RSET, 0));
  if (result == EHLO_ERR_SPACE) {
    return 0;
  }
  REQUIRE(result == EHLO_OK);
  if (sent->ends > 0) {
    next_message(loop);
  } else {
    loop->stage = WAIT_RESET;
  }
  return 1;
}

static int call_turn(struct loop *loop)
{
  if (is_open(loop)) {
    return 0;
  }
  int result = ehlo_client_turn(loop->client, tag_of(loop->at, EHLO_VERB_TURN, 0));
  if (result == EHLO_ERR_SPACE) {
    return 0;
  }
  if (result == EHLO_ERR_NOT_OFFERED) {
    loop->turn_at = SIZE_MAX;
    go_on(loop);
    return 1;
  }
  REQUIRE(result == EHLO_OK);
  loop->stage = WAIT;
  return 1;
}

static int start_auth(struct loop *loop, const ehlo_credentials *credentials, uint64_t tag)
{
  if (credentials->mechanism <= EHLO_SASL_OAUTHBEARER) {
    return ehlo_client_auth(loop->client, credentials, tag);
  }
  ehlo_span name = ehlo_span_of(ehlo_sasl_name(credentials->mechanism));
  const ehlo_span *initial = credentials->mechanism == EHLO_SASL_CRAM_MD5 ? NULL : &credentials->authzid;
  return ehlo_client_auth_begin(loop->client, name, initial, tag);
}

static int call_service(struct loop *loop)
{
  size_t number = next_service(loop);
  const struct loop_service *service = &loop->services[number];
  size_t before = waiting(loop);
  uint64_t tag = tag_of(0, service->verb, (uint32_t)number);
  ehlo_span argument = ehlo_span_of(service->argument != NULL ? service->argument : "");
  int result = EHLO_OK;
  if (is_open(loop)) {
    return 0;
  }
  if ((service->verb == EHLO_VERB_AUTH && ehlo_client_authenticated(loop->client)) ||
      (service->verb == EHLO_VERB_STARTTLS && ehlo_client_tls(loop->client))) {
    loop->done[number] = (struct loop_done){.called = -1, .error = EHLO_ERR_STATE};
    go_on(loop);
    return 1;
  }
  switch (service->verb) {
  case EHLO_VERB_STARTTLS: result = ehlo_client_starttls(loop->client, tag); break;
  case EHLO_VERB_AUTH: result = start_auth(loop, service->credentials, tag); break;
  case EHLO_VERB_ETRN: result = ehlo_client_etrn(loop->client, argument, tag); break;
  case EHLO_VERB_ATRN: result = ehlo_client_atrn(loop->client, argument, tag); break;
  case EHLO_VERB_XCLIENT: result = ehlo_client_xclient(loop->client, argument, tag); break;
  default: result = ehlo_client_xforward(loop->client, argument, tag); break;
  }
  if (result == EHLO_ERR_SPACE) {
    return 0;
  }
  loop->done[number].called = result == EHLO_OK ? 1 : -1;
  loop->done[number].error = result;
  if (result != EHLO_OK) {
    REQUIRE(result == EHLO_ERR_NOT_OFFERED || result == EHLO_ERR_TLS);
    REQUIRE(waiting(loop) == before);
    go_on(loop);
    return 1;
  }
  loop->serving = number;
  loop->done[number].order = loop->served++;
  loop->steps = 0;
  loop->stage = WAIT;
  return 1;
}

static int call_quit(struct loop *loop)
{
  int result = ehlo_client_quit(loop->client, tag_of(0, EHLO_VERB_QUIT, 0));
  if (result == EHLO_ERR_SPACE) {
    return 0;
  }
  REQUIRE(result == EHLO_OK);
  loop->stage = NOTHING;
  return 1;
}

static int give_piece(struct loop *loop, const struct loop_message *message, size_t size)
{
  /* In a block of its own, so that a sanitizer sees a look beyond it. */
  char *piece = malloc(size);
  REQUIRE(piece != NULL);
  memcpy(piece, message->content + loop->given, size);
  size_t taken = SIZE_MAX;
  int result;
  if (message->gather) {
    ehlo_span spans[SPANS];
    size_t count = SIZE_MAX;
    result = ehlo_client_body_gather(loop->client, piece, size, &taken, spans, SPANS, &count);
    REQUIRE(count <= SPANS);
    for (size_t i = 0; i < count; i++) {
      REQUIRE(spans[i].len > 0);
      put(&loop->up, spans[i].ptr, spans[i].len);
    }
  } else {
    result = ehlo_client_body(loop->client, piece, size, &taken);
  }
  free(piece);
  if (result == EHLO_ERR_SPACE) {
    REQUIRE(message->gather && taken == 0 && (ehlo_client_want(loop->client) & EHLO_WANT_WRITE) != 0);
    return 0;
  }
  REQUIRE(taken <= size);
  loop->given += taken;
  if (result != EHLO_OK) {
    REQUIRE(result == EHLO_ERR_BARE_NEWLINE || result == EHLO_ERR_8BITMIME);
    REQUIRE(ehlo_client_body_end(loop->client) != EHLO_OK);
    loop->lost = 1;
    REQUIRE(ehlo_client_body_abort(loop->client) == EHLO_OK);
    return 1;
  }
  return taken > 0;
}

/* Does content go by BDAT, without a reply to DATA? */
static int by_chunks(const struct loop *loop, const struct loop_message *message)
{
  const ehlo_mail_parameters *options = message->options;
  int binary = options != NULL && options->body == EHLO_BODY_BINARYMIME;
  return (binary || loop->client_config.chunking == EHLO_CHUNKING_ALWAYS) &&
         ehlo_client_offers(loop->client, EHLO_EXT_CHUNKING);
}

static int give_content(struct loop *loop, const struct loop_message *message, struct loop_sent *sent, size_t amount)
{
  size_t left = message->size - loop->given;
  size_t piece = amount != 0 ? amount : message->piece;
  piece = piece == 0 || piece > left ? left : piece;
  if (loop->in_handler || (ehlo_client_want(loop->client) & EHLO_WANT_CONTENT) == 0) {
    return 0;
  }
  if (message->abort && loop->given >= message->abort_at) {
    loop->lost = 1;
    REQUIRE(ehlo_client_body_abort(loop->client) == EHLO_OK);
    return 1;
  }
  if (piece > 0) {
    return give_piece(loop, message, piece);
  }
  int result = ehlo_client_body_end(loop->client);
  if (result == EHLO_ERR_BARE_NEWLINE) {
    loop->lost = 1;
    REQUIRE(ehlo_client_body_abort(loop->client) == EHLO_OK);
    return 1;
  }
  if (result == EHLO_ERR_SPACE) {
    return 0;
  }
  REQUIRE(result == EHLO_OK);
  sent->whole = 1;
  loop->stage = WAIT;
  if (loop->eager) {
    next_message(loop);
  }
  return 1;
}

/* The next call that the sending host has to make. Returns 1 if it was made, 0 if it cannot be now. */
static int act(struct loop *loop, size_t amount)
{
  const struct loop_message *message = &loop->messages[loop->at < 0 ? 0 : loop->at];
  struct loop_sent *sent = &loop->sent[loop->at < 0 ? 0 : loop->at];
  uint32_t want = ehlo_client_want(loop->client);
  if ((want & (EHLO_WANT_CLOSE | EHLO_WANT_TURN)) != 0 ||
      (loop->patient && loop->stage < GIVE_CONTENT && ehlo_client_pending(loop->client) > 0)) {
    return 0;
  }
  if (loop->owes_reset && loop->stage != CALL_QUIT && loop->stage != NOTHING) {
    loop->owes_reset = ehlo_client_rset(loop->client, tag_of(0, EHLO_VERB_RSET, 0)) != EHLO_OK;
    return !loop->owes_reset;
  }
  switch (loop->stage) {
  case CALL_HELLO: return call_hello(loop);
  case CALL_MAIL: return call_mail(loop, message, sent);
  case CALL_RCPT: return call_rcpt(loop, message, sent);
  case CALL_DATA: return call_data(loop, sent);
  case CALL_RSET: return call_rset(loop, sent);
  case CALL_TURN: return call_turn(loop);
  case CALL_SERVICE: return call_service(loop);
  case CALL_QUIT: return call_quit(loop);
  case GIVE_CONTENT: return give_content(loop, message, sent, amount);
  default: return 0;
  }
}

static void on_service_reply(struct loop *loop, const ehlo_client_event_reply *reply, uint32_t number)
{
  REQUIRE(number == loop->serving && loop->services[number].verb == reply->verb);
  REQUIRE(loop->done[number].code == 0);
  loop->done[number].code = reply->code;
  if (reply->code / 100 == 2 && reply->verb == EHLO_VERB_XCLIENT) {
    loop->stage = CALL_HELLO;
  } else if (reply->code / 100 != 2 || reply->verb != EHLO_VERB_STARTTLS) {
    go_on(loop);
  }
}

static void on_client_reply(struct loop *loop, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  struct loop_sent *sent = &loop->sent[event->tag >> 32];
  uint32_t ordinal = event->tag & 0xFFFF;
  REQUIRE(event->tag >> 32 <= LOOP_MESSAGES);
  switch (reply->verb) {
  case EHLO_VERB_CONNECT:
    loop->greeting = reply->code;
    loop->stage = reply->code < 400 ? loop->stage : CALL_QUIT;
    break;
  case EHLO_VERB_HELO:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_LHLO: loop->stage = reply->code < 400 || reply->fallback ? WAIT : CALL_QUIT; break;
  case EHLO_VERB_MAIL:
    sent->mail = reply->code;
    if (reply->code == 355) {
      sent->resumed = 1;
      sent->offset = (uint32_t)reply->offset;
      loop->given = reply->offset < loop->messages[loop->at].size ? reply->offset : loop->messages[loop->at].size;
      loop->stage = CALL_DATA;
    } else if (reply->code < 300 && has_transid(&loop->messages[event->tag >> 32])) {
      loop->stage = loop->messages[loop->at].recipients > 0 ? CALL_RCPT : CALL_RSET;
    }
    break;
  case EHLO_VERB_STARTTLS:
  case EHLO_VERB_AUTH:
  case EHLO_VERB_ETRN:
  case EHLO_VERB_ATRN:
  case EHLO_VERB_XCLIENT:
  case EHLO_VERB_XFORWARD: on_service_reply(loop, reply, ordinal); break;
  case EHLO_VERB_RCPT:
    REQUIRE(reply->ordinal == ordinal && ordinal < sent->rcpt_called && sent->rcpt[ordinal] == 0);
    sent->rcpt[ordinal] = reply->code;
    break;
  case EHLO_VERB_DATA: sent->data = reply->code; break;
  case EHLO_VERB_BDAT:
    if (sent->chunk / 100 <= 2) {
      sent->chunk = reply->code;
    }
    break;
  case EHLO_VERB_MESSAGE:
    REQUIRE(loop->client_config.protocol == EHLO_PROTOCOL_SMTP);
    sent->message = reply->code;
    break;
  case EHLO_VERB_RESULT:
    REQUIRE(loop->client_config.protocol == EHLO_PROTOCOL_LMTP);
    REQUIRE(reply->ordinal == ordinal && sent->rcpt[ordinal] / 100 == 2 && sent->result[ordinal] == 0);
    sent->result[ordinal] = reply->code;
    break;
  case EHLO_VERB_TURN:
    loop->turned = reply->code;
    loop->turn_at = SIZE_MAX;
    go_on(loop);
    break;
  case EHLO_VERB_QUIT: loop->quit = reply->code; break;
  default: break;
  }
}

static void on_client_end(struct loop *loop, const ehlo_client_event *event)
{
  int message = (int)(event->tag >> 32);
  struct loop_sent *sent = &loop->sent[message];
  REQUIRE(event->tag == tag_of(message, EHLO_VERB_MAIL, 0));
  REQUIRE(sent->called && message <= loop->at);
  sent->ends++;
  sent->end.reason = event->as.end.reason;
  sent->end.recipients = event->as.end.recipients;
  sent->end.code = event->as.end.code;
  sent->end.needs_reset = event->as.end.needs_reset;
  sent->end.enhanced = event->as.end.enhanced;
  if (message < loop->at || loop->stage == CALL_QUIT || loop->stage == NOTHING) {
    REQUIRE(!event->as.end.needs_reset || ehlo_client_pending(loop->client) == 0);
    loop->owes_reset = event->as.end.needs_reset != 0;
  } else if (loop->stage != WAIT_RESET && event->as.end.needs_reset) {
    loop->stage = CALL_RSET;
  } else {
    next_message(loop);
  }
}

static int on_client_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct loop *loop = user;
  REQUIRE(client == loop->client && !loop->in_handler);
  loop->in_handler = 1;
  loop->events++;
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE: break;
  case EHLO_CLIENT_EVENT_REPLY: on_client_reply(loop, event); break;
  case EHLO_CLIENT_EVENT_HELLO:
    loop->hello_verb = ehlo_client_hello_verb(client);
    if (loop->at < 0) {
      next_message(loop);
    } else {
      go_on(loop);
    }
    break;
  case EHLO_CLIENT_EVENT_CONTENT:
    REQUIRE(loop->stage == WAIT && (loop->sent[loop->at].data == 354 || by_chunks(loop, &loop->messages[loop->at])));
    REQUIRE((event->as.content.recipients == 0) == (loop->sent[loop->at].resumed != 0));
    REQUIRE(event->tag == tag_of(loop->at, EHLO_VERB_DATA, 0));
    loop->sent[loop->at].content++;
    loop->stage = GIVE_CONTENT;
    break;
  case EHLO_CLIENT_EVENT_CHALLENGE:
    REQUIRE((event->tag & 0xFFFF) == loop->serving);
    if (!event->as.challenge.answered) {
      REQUIRE(ehlo_client_auth_respond(client, loop->services[loop->serving].credentials->authcid) == EHLO_OK);
    }
    break;
  case EHLO_CLIENT_EVENT_END: on_client_end(loop, event); break;
  default:
    REQUIRE(event->type == EHLO_CLIENT_EVENT_VIOLATION);
    loop->violations[CLIENT] = event->as.violation.kind;
    break;
  }
  while (!loop->outside && act(loop, 0)) {
  }
  loop->in_handler = 0;
  return EHLO_HANDLED;
}

/* ---- the receiving host ---- */

static int say(struct loop *loop, uint32_t ticket, struct loop_verdict verdict)
{
  return verdict.code == 0 ? ehlo_server_accept(loop->server, ticket)
                           : ehlo_server_reply(loop->server, ticket, verdict.code, NULL, ehlo_span_of(""));
}

static void put_off(struct loop *loop, const ehlo_event *event, struct loop_verdict verdict)
{
  REQUIRE(loop->ask_count < LOOP_OUT);
  loop->asks[loop->ask_count++] = (struct loop_ask){event->ticket, event->type, verdict};
  REQUIRE(ehlo_server_defer(loop->server, event->ticket, event->type) == EHLO_OK);
}

static int decide(struct loop *loop, const ehlo_event *event, struct loop_verdict verdict)
{
  switch (verdict.how) {
  case LOOP_NOW: REQUIRE(say(loop, event->ticket, verdict) == EHLO_OK); return EHLO_HANDLED;
  case LOOP_LATER: put_off(loop, event, verdict); return EHLO_HANDLED;
  case LOOP_FAIL: return EHLO_FAIL_TRANSACTION;
  default: return EHLO_HANDLED;
  }
}

/* Answers one of what was put off. Returns 1 if there was something, and room for the answer. */
static int answer(struct loop *loop, size_t which)
{
  if (loop->ask_count == 0) {
    return 0;
  }
  which = which == LOOP_LAST ? loop->ask_count - 1 : which % loop->ask_count;
  struct loop_ask ask = loop->asks[which];
  int result = ask.type == EHLO_EVENT_BODY && ask.verdict.code == 0 ? ehlo_server_resume(loop->server, ask.ticket)
                                                                    : say(loop, ask.ticket, ask.verdict);
  if (result == EHLO_ERR_SPACE) {
    return 0;
  }
  REQUIRE(result == EHLO_OK);
  memmove(&loop->asks[which], &loop->asks[which + 1], (loop->ask_count - which - 1) * sizeof loop->asks[0]);
  loop->ask_count--;
  return 1;
}

static void on_cancel(struct loop *loop, uint32_t ticket)
{
  size_t which = 0;
  while (which < loop->ask_count && loop->asks[which].ticket != ticket) {
    which++;
  }
  REQUIRE(which < loop->ask_count);
  loop->asks[which] = loop->asks[--loop->ask_count];
}

static void copy(char *to, ehlo_span from)
{
  REQUIRE(from.len < 320);
  if (from.len > 0) {
    memcpy(to, from.ptr, from.len);
  }
}

/* The n-th MAIL that arrives is the n-th that was called. */
static void on_command(struct loop *loop, uint32_t verb)
{
  if (verb == EHLO_VERB_MAIL) {
    do {
      loop->receiving++;
      REQUIRE((size_t)loop->receiving < loop->count);
    } while (!loop->sent[loop->receiving].called);
  } else if (verb == EHLO_VERB_RCPT) {
    REQUIRE(loop->receiving >= 0 && loop->got[loop->receiving].rcpt_commands < LOOP_RECIPIENTS);
    loop->got[loop->receiving].rcpt_commands++;
  }
}

static int on_body(struct loop *loop, const ehlo_event *event, struct loop_got *got, struct loop_verdict verdict)
{
  size_t before = got->size;
  for (size_t i = 0; i < event->as.body.count; i++) {
    ehlo_span span = event->as.body.spans[i];
    got->content = realloc(got->content, got->size + span.len);
    REQUIRE(got->content != NULL);
    memcpy(got->content + got->size, span.ptr, span.len);
    got->size += span.len;
  }
  REQUIRE(got->size == event->as.body.octets);
  uint64_t at = loop->messages[loop->receiving].body_at;
  if ((verdict.code == 0 && verdict.how == LOOP_NOW) || got->size <= at || (before > 0 && before > at)) {
    return EHLO_HANDLED;
  }
  return decide(loop, event, verdict);
}

static void on_server_reply(const ehlo_event_reply *reply, struct loop_got *got)
{
  switch (reply->verb) {
  case EHLO_VERB_MAIL:
    got->mail = reply->code;
    got->opened = reply->code < 400;
    break;
  case EHLO_VERB_RCPT:
    REQUIRE(got->rcpt_replies < got->rcpt_commands);
    got->rcpt[got->rcpt_replies++] = reply->code;
    break;
  case EHLO_VERB_DATA: got->data = reply->code; break;
  case EHLO_VERB_BURL: /* that was out of order */
  case EHLO_VERB_MESSAGE: got->message = reply->code; break;
  case EHLO_VERB_RESULT:
    REQUIRE(reply->ordinal == got->results && got->results < LOOP_RECIPIENTS);
    got->result[got->results++] = reply->code;
    break;
  default: break;
  }
}

static int same(ehlo_span a, ehlo_span b)
{
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* What came is what was given, but for SIZE and BODY=7BIT where they are not on offer. */
static void check_mail_parameters(const struct loop *loop, const ehlo_mail_parameters *given,
                                  const ehlo_mail_parameters *came)
{
  static const ehlo_mail_parameters none;
  ehlo_mail_parameters all = given != NULL ? *given : none;
  if (!ehlo_client_offers(loop->client, EHLO_EXT_SIZE)) {
    all.has_size = 0;
  }
  if (all.body == EHLO_BODY_7BIT && !ehlo_client_offers(loop->client, EHLO_EXT_8BITMIME)) {
    all.body = EHLO_BODY_NONE;
  }
  REQUIRE(came->has_size == all.has_size && came->size == (all.has_size ? all.size : 0));
  REQUIRE(came->body == all.body && came->smtputf8 == all.smtputf8);
  REQUIRE(came->ret == all.ret && same(came->envid, all.envid) && same(came->auth, all.auth));
  REQUIRE(came->requiretls == all.requiretls && came->has_priority == all.has_priority);
  REQUIRE(came->priority == all.priority);
  REQUIRE(came->by_mode == all.by_mode && came->by_trace == all.by_trace && came->by_time == all.by_time);
  REQUIRE(came->hold_for == all.hold_for && came->has_hold_until == all.has_hold_until);
  REQUIRE(came->hold_until == all.hold_until && same(came->solicit, all.solicit));
  REQUIRE(same(came->mtrk, all.mtrk) && came->has_mtrk_timeout == all.has_mtrk_timeout);
  REQUIRE(came->mtrk_timeout == all.mtrk_timeout && same(came->submitter, all.submitter));
  REQUIRE(came->conperm == all.conperm && same(came->transid, all.transid) && came->others.len == 0);
}

static void check_rcpt_parameters(const ehlo_rcpt_parameters *given, const ehlo_rcpt_parameters *came)
{
  static const ehlo_rcpt_parameters none;
  ehlo_rcpt_parameters all = given != NULL ? *given : none;
  REQUIRE(came->notify == all.notify && came->conneg == all.conneg);
  REQUIRE(same(came->orcpt_type, all.orcpt_type) && same(came->orcpt_address, all.orcpt_address));
  REQUIRE(came->rrvs == all.rrvs && came->rrvs_action == all.rrvs_action && came->rrvs_time == all.rrvs_time);
  REQUIRE(came->others.len == 0);
}

static int on_mail(struct loop *loop, const ehlo_event *event, const struct loop_message *message, struct loop_got *got)
{
  const ehlo_event_mail *mail = &event->as.mail;
  copy(got->from, mail->path.mailbox);
  check_mail_parameters(loop, message->options, &mail->parameters);
  if (!message->resume || mail->parameters.transid.len == 0 || message->mail.code != 0 ||
      message->mail.how != LOOP_NOW) {
    return decide(loop, event, message->mail);
  }
  char offset[] = "00000 octets";
  size_t rest = message->resume_at;
  for (int i = 4; i >= 0; i--, rest /= 10) {
    offset[i] = (char)('0' + rest % 10);
  }
  REQUIRE(ehlo_server_reply(loop->server, event->ticket, 355, NULL, ehlo_span_of(offset)) == EHLO_OK);
  got->resumed = 1;
  return EHLO_HANDLED;
}

static int on_rcpt(struct loop *loop, const ehlo_event *event, const struct loop_message *message, struct loop_got *got)
{
  uint32_t number = got->rcpt_commands - 1;
  int plain = (int)(loop->sent[loop->receiving].plain >> number & 1);
  copy(got->to[number], event->as.rcpt.path.mailbox);
  check_rcpt_parameters(plain ? NULL : message->rcpt_options[number], &event->as.rcpt.parameters);
  return decide(loop, event, message->rcpt[number]);
}

static const struct loop_service *arrived(struct loop *loop, uint32_t verb)
{
  REQUIRE(loop->serving < loop->service_count);
  const struct loop_service *service = &loop->services[loop->serving];
  REQUIRE(service->verb == verb && loop->done[loop->serving].called == 1);
  loop->done[loop->serving].arrived++;
  return service;
}

static int on_auth(struct loop *loop, const ehlo_event *event)
{
  const struct loop_service *service = arrived(loop, EHLO_VERB_AUTH);
  const ehlo_credentials *given = service->credentials;
  const ehlo_credentials *came = &event->as.auth;
  uint32_t mechanism = came->mechanism;
  int has_authzid =
      mechanism == EHLO_SASL_PLAIN || mechanism == EHLO_SASL_EXTERNAL || mechanism == EHLO_SASL_OAUTHBEARER;
  int has_authcid = mechanism == EHLO_SASL_PLAIN || mechanism == EHLO_SASL_LOGIN || mechanism == EHLO_SASL_XOAUTH2;
  int has_host = mechanism == EHLO_SASL_OAUTHBEARER;
  ehlo_span empty = {NULL, 0};
  REQUIRE(mechanism == given->mechanism);
  REQUIRE(same(came->authzid, has_authzid ? given->authzid : empty));
  REQUIRE(same(came->authcid, has_authcid ? given->authcid : empty));
  REQUIRE(same(came->secret, mechanism == EHLO_SASL_EXTERNAL ? empty : given->secret));
  REQUIRE(same(came->host, has_host ? given->host : empty) && came->port == (has_host ? given->port : 0));
  return decide(loop, event, service->verdict);
}

static int on_step(struct loop *loop, const ehlo_event *event)
{
  const struct loop_service *service = arrived(loop, EHLO_VERB_AUTH);
  const ehlo_event_step *step = &event->as.step;
  int speaks_first = service->credentials->mechanism == EHLO_SASL_CRAM_MD5;
  REQUIRE(step->mechanism == service->credentials->mechanism);
  if (loop->steps++ > 0) {
    REQUIRE(step->has_response && same(step->response, service->credentials->authcid));
    return decide(loop, event, service->verdict);
  }
  REQUIRE(step->has_response == !speaks_first);
  REQUIRE(speaks_first || same(step->response, service->credentials->authzid));
  REQUIRE(ehlo_server_challenge(loop->server, event->ticket, ehlo_span_of("what?")) == EHLO_OK);
  return EHLO_HANDLED;
}

static int on_argument(struct loop *loop, const ehlo_event *event, uint32_t verb, uint32_t option, ehlo_span argument)
{
  const struct loop_service *service = arrived(loop, verb);
  const char *given = service->argument;
  REQUIRE(option == 0 || (uint32_t)(unsigned char)*given == option);
  REQUIRE(same(argument, ehlo_span_of(given + (option != 0))));
  return decide(loop, event, service->verdict);
}

/* An answer that was given late leaves before it is told: the next of the same verb may have been called by then. */
static void on_service_said(struct loop *loop, const ehlo_event_reply *reply)
{
  struct loop_done *first = NULL;
  for (size_t i = 0; i < loop->service_count; i++) {
    struct loop_done *done = &loop->done[i];
    int is_owed = done->called == 1 && (done->said == 0 || done->said == 334);
    if (is_owed && loop->services[i].verb == reply->verb && (first == NULL || done->order < first->order)) {
      first = done;
    }
  }
  if (first != NULL) {
    first->said = reply->code;
  }
}

static int on_server_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct loop *loop = user;
  if (event->type == EHLO_EVENT_COMMAND) {
    on_command(loop, event->as.command.verb);
  }
  const struct loop_message *message = &loop->messages[loop->receiving < 0 ? 0 : loop->receiving];
  struct loop_got *got = &loop->got[loop->receiving < 0 ? 0 : loop->receiving];
  REQUIRE(server == loop->server);
  loop->events++;
  switch (event->type) {
  case EHLO_EVENT_CONNECT: return decide(loop, event, loop->opened);
  case EHLO_EVENT_HELLO:
    return decide(loop, event, event->as.hello.verb == EHLO_VERB_HELO ? (struct loop_verdict){0, 0} : loop->hello);
  case EHLO_EVENT_MAIL: return on_mail(loop, event, message, got);
  case EHLO_EVENT_RCPT: return on_rcpt(loop, event, message, got);
  case EHLO_EVENT_STARTTLS: return decide(loop, event, arrived(loop, EHLO_VERB_STARTTLS)->verdict);
  case EHLO_EVENT_AUTH: return on_auth(loop, event);
  case EHLO_EVENT_STEP: return on_step(loop, event);
  case EHLO_EVENT_ETRN: return on_argument(loop, event, EHLO_VERB_ETRN, event->as.etrn.option, event->as.etrn.node);
  case EHLO_EVENT_ATRN: return on_argument(loop, event, EHLO_VERB_ATRN, 0, event->as.atrn.domains);
  case EHLO_EVENT_XCLIENT: return on_argument(loop, event, EHLO_VERB_XCLIENT, 0, event->as.peer.attributes);
  case EHLO_EVENT_XFORWARD: return on_argument(loop, event, EHLO_VERB_XFORWARD, 0, event->as.peer.attributes);
  case EHLO_EVENT_BURL:
    REQUIRE(event->as.burl.last == 1 && event->as.burl.octets == 0);
    REQUIRE(message->burl != NULL && same(event->as.burl.url, ehlo_span_of(message->burl)));
    return decide(loop, event, message->message);
  case EHLO_EVENT_DATA: return decide(loop, event, message->data);
  case EHLO_EVENT_BODY: return on_body(loop, event, got, message->body);
  case EHLO_EVENT_MESSAGE: return decide(loop, event, message->message);
  case EHLO_EVENT_RESULT: return decide(loop, event, message->result[event->as.result.ordinal]);
  case EHLO_EVENT_TURN: return decide(loop, event, loop->turn);
  case EHLO_EVENT_REPLY:
    on_server_reply(&event->as.reply, got);
    on_service_said(loop, &event->as.reply);
    break;
  case EHLO_EVENT_CANCEL: on_cancel(loop, event->as.cancel.ticket); break;
  case EHLO_EVENT_VIOLATION: loop->violations[SERVER] = event->as.violation.kind; break;
  case EHLO_EVENT_END: /* of the one that is open, behind which another MAIL may have been refused */
    while (!(got->opened && got->ends == 0) && got > loop->got) {
      got--;
    }
    got->ends++;
    got->end = event->as.end;
    break;
  default: break;
  }
  return EHLO_HANDLED;
}

/* ---- what moves ---- */

static int client_send(struct loop *loop, size_t amount)
{
  size_t size;
  const char *output = ehlo_client_output(loop->client, &size);
  REQUIRE(size <= loop->sizes[CLIENT]);
  REQUIRE((size > 0) == ((ehlo_client_want(loop->client) & EHLO_WANT_WRITE) != 0));
  size = portion(loop, LOOP_CLIENT_SEND, amount, size);
  put(&loop->up, output, size);
  ehlo_client_sent(loop->client, size);
  loop->moved[LOOP_CLIENT_SEND] += size;
  return size > 0;
}

static int server_send(struct loop *loop, size_t amount)
{
  size_t size;
  const char *output = ehlo_server_output(loop->server, &size);
  size = portion(loop, LOOP_SERVER_SEND, amount, size);
  put(&loop->down, output, size);
  ehlo_server_sent(loop->server, size);
  loop->moved[LOOP_SERVER_SEND] += size;
  return size > 0;
}

/* The next octets of the pipe, in a block of their own. */
static char *piece_of(const struct loop_pipe *pipe, size_t size)
{
  char *piece = malloc(size > 0 ? size : 1);
  REQUIRE(piece != NULL);
  if (size > 0) {
    memcpy(piece, pipe->octets + pipe->head, size);
  }
  return piece;
}

static int server_feed(struct loop *loop, size_t amount)
{
  uint32_t want = ehlo_server_want(loop->server);
  unsigned events = loop->events;
  size_t size = portion(loop, LOOP_SERVER_FEED, amount, in(&loop->up));
  if ((want & EHLO_WANT_TURN) != 0 || ((want & (EHLO_WANT_FEED | EHLO_WANT_CLOSE)) == 0 && size == 0)) {
    return 0;
  }
  char *piece = piece_of(&loop->up, size);
  size_t consumed = SIZE_MAX;
  REQUIRE(ehlo_server_feed(loop->server, piece, size, &consumed) == EHLO_OK);
  free(piece);
  REQUIRE(consumed <= size);
  loop->up.head += consumed;
  loop->moved[LOOP_SERVER_FEED] += consumed;
  return consumed > 0 || loop->events != events || ehlo_server_want(loop->server) != want;
}

static int client_feed(struct loop *loop, size_t amount)
{
  size_t size = portion(loop, LOOP_CLIENT_FEED, amount, in(&loop->down));
  uint32_t want = ehlo_client_want(loop->client);
  if ((size == 0 && (want & EHLO_WANT_FEED) == 0) || (want & EHLO_WANT_TURN) != 0) {
    return 0;
  }
  char *piece = piece_of(&loop->down, size);
  size_t consumed = SIZE_MAX;
  REQUIRE(ehlo_client_feed(loop->client, piece, size, &consumed) == EHLO_OK);
  free(piece);
  REQUIRE(consumed == size || (ehlo_client_want(loop->client) & EHLO_WANT_TURN) != 0);
  loop->down.head += consumed;
  loop->moved[LOOP_CLIENT_FEED] += consumed;
  return 1;
}

static void start(struct loop *loop)
{
  if (!loop->started) {
    loop->started = 1;
    REQUIRE(ehlo_server_start(loop->server) == EHLO_OK);
  }
}

/* The handshake of TLS, once both want it and nothing is on its way. */
static int shake_hands(struct loop *loop)
{
  ehlo_tls tls = {sizeof tls, 1};
  if ((ehlo_client_want(loop->client) & ehlo_server_want(loop->server) & EHLO_WANT_TLS) == 0 || in(&loop->up) > 0 ||
      in(&loop->down) > 0 ||
      ((ehlo_client_want(loop->client) | ehlo_server_want(loop->server)) & EHLO_WANT_WRITE) != 0 || loop->up.broken ||
      loop->closed[CLIENT] || loop->closed[SERVER]) {
    return 0;
  }
  REQUIRE(ehlo_server_tls_done(loop->server, &tls) == EHLO_OK);
  REQUIRE(ehlo_client_tls_done(loop->client) == EHLO_OK);
  loop->stage = CALL_HELLO;
  return 1;
}

int loop_step(struct loop *loop, unsigned step, size_t amount)
{
  start(loop);
  if (shake_hands(loop)) {
    return 1;
  }
  switch (step) {
  case LOOP_HOST: return act(loop, amount);
  case LOOP_CLIENT_SEND: return client_send(loop, amount);
  case LOOP_SERVER_FEED: return server_feed(loop, amount);
  case LOOP_ANSWER: return answer(loop, amount);
  case LOOP_SERVER_SEND: return server_send(loop, amount);
  default: return client_feed(loop, amount);
  }
}

int loop_is_over(const struct loop *loop)
{
  uint32_t client = ehlo_client_want(loop->client);
  uint32_t server = ehlo_server_want(loop->server);
  return (client & (EHLO_WANT_CLOSE | EHLO_WANT_TURN)) != 0 && (server & (EHLO_WANT_CLOSE | EHLO_WANT_TURN)) != 0 &&
         ((client | server) & EHLO_WANT_WRITE) == 0;
}

/* Where nothing moves any more: who has nobody left at the other end is told. Returns 1 if somebody was. */
static int hang_up(struct loop *loop)
{
  uint32_t client = ehlo_client_want(loop->client);
  uint32_t server = ehlo_server_want(loop->server);
  int client_left = (client & EHLO_WANT_CLOSE) != 0 || loop->stage == NOTHING || loop->up.broken;
  int server_left = (server & EHLO_WANT_CLOSE) != 0 || loop->down.broken;
  if (client_left && !loop->closed[SERVER] && (server & EHLO_WANT_CLOSE) == 0 && in(&loop->up) == 0) {
    loop->closed[SERVER] = 1;
    REQUIRE((loop->down.broken ? ehlo_server_lost(loop->server) : ehlo_server_eof(loop->server)) == EHLO_OK);
    return 1;
  }
  if (server_left && !loop->closed[CLIENT] && (client & EHLO_WANT_CLOSE) == 0 && in(&loop->down) == 0) {
    loop->closed[CLIENT] = 1;
    REQUIRE(ehlo_client_eof(loop->client) == EHLO_OK);
    return 1;
  }
  return 0;
}

int loop_advance(struct loop *loop)
{
  for (size_t i = 0; i < LOOP_STEPS; i++) {
    if (loop_step(loop, loop->order[i], loop->amount[loop->order[i]])) {
      return 1;
    }
  }
  return !loop_is_over(loop) && hang_up(loop);
}

void loop_run(struct loop *loop)
{
  while (loop_advance(loop)) {
  }
  REQUIRE(loop_is_over(loop)); /* else they wait for each other */
  REQUIRE(loop->ask_count == 0);
}

void loop_lose(struct loop *loop, size_t up, size_t down)
{
  loop->lost = 1;
  loop->up.tail = in(&loop->up) > up ? loop->up.head + up : loop->up.tail;
  loop->down.tail = in(&loop->down) > down ? loop->down.head + down : loop->down.tail;
  loop->up.broken = loop->down.broken = 1;
}

void loop_time_out(struct loop *loop, int which)
{
  if (which == SERVER) {
    start(loop);
    REQUIRE(ehlo_server_timed_out(loop->server) == EHLO_OK);
  } else {
    loop->lost = 1;
    REQUIRE(ehlo_client_timed_out(loop->client) == EHLO_OK);
  }
}

/* ---- blocks ---- */

void loop_move(struct loop *loop, int which)
{
  char *old = loop->blocks[which];
  char *block = margin_block(loop->sizes[which]);
  memcpy(block, old, loop->sizes[which]);
  memset(old, 0xEE, loop->sizes[which]);
  margin_free(old, loop->sizes[which]);
  loop->blocks[which] = block;
  REQUIRE((which == SERVER
               ? ehlo_server_attach(&loop->server, block, loop->sizes[which], on_server_event, loop)
               : ehlo_client_attach(&loop->client, block, loop->sizes[which], on_client_event, loop)) == EHLO_OK);
}

static void open_on(struct loop *loop, struct loop_pipe up, struct loop_pipe down, const ehlo_client_config *client,
                    const ehlo_server_config *server, const struct loop_message *messages, size_t count)
{
  REQUIRE(count <= LOOP_MESSAGES);
  memset(loop, 0, sizeof *loop);
  loop->up = up;
  loop->down = down;
  loop->messages = messages;
  loop->count = count;
  loop->turn_at = loop->serving = SIZE_MAX;
  loop->turn.how = LOOP_SILENT;
  loop->receiving = loop->at = -1;
  for (uint8_t i = 0; i < LOOP_STEPS; i++) {
    loop->order[i] = i;
  }
  if (client == NULL) {
    REQUIRE(ehlo_client_config_init(&loop->client_config, sizeof loop->client_config) == EHLO_OK);
    loop->client_config.hostname = ehlo_span_of("client.example.com");
  } else {
    loop->client_config = *client;
  }
  if (server == NULL) {
    REQUIRE(ehlo_server_config_init(&loop->server_config, sizeof loop->server_config) == EHLO_OK);
    loop->server_config.hostname = ehlo_span_of("mail.example.org");
  } else {
    loop->server_config = *server;
  }
  loop->sizes[CLIENT] = ehlo_client_size(&loop->client_config);
  loop->sizes[SERVER] = ehlo_server_size(&loop->server_config);
  loop->blocks[CLIENT] = margin_block(loop->sizes[CLIENT]);
  loop->blocks[SERVER] = margin_block(loop->sizes[SERVER]);
  REQUIRE(ehlo_client_init(&loop->client, loop->blocks[CLIENT], loop->sizes[CLIENT], &loop->client_config,
                           on_client_event, loop) == EHLO_OK);
  REQUIRE(ehlo_server_init(&loop->server, loop->blocks[SERVER], loop->sizes[SERVER], &loop->server_config,
                           on_server_event, loop) == EHLO_OK);
}

void loop_open(struct loop *loop, const ehlo_client_config *client, const ehlo_server_config *server,
               const struct loop_message *messages, size_t count)
{
  struct loop_pipe none = {NULL, 0, 0, 0, 0};
  open_on(loop, none, none, client, server, messages, count);
}

void loop_turn(struct loop *loop, struct loop *from, const ehlo_client_config *client, const ehlo_server_config *server,
               const struct loop_message *messages, size_t count)
{
  struct loop_pipe none = {NULL, 0, 0, 0, 0};
  REQUIRE(ehlo_client_want(from->client) & ehlo_server_want(from->server) & EHLO_WANT_TURN);
  open_on(loop, from->down, from->up, client, server, messages, count);
  from->up = from->down = none;
}

void loop_close(struct loop *loop)
{
  for (int which = CLIENT; which <= SERVER; which++) {
    margin_free(loop->blocks[which], loop->sizes[which]);
  }
  for (size_t i = 0; i < loop->count; i++) {
    free(loop->got[i].content);
  }
  free(loop->up.octets);
  free(loop->down.octets);
}

/* ---- the one held to the other ---- */

char *loop_expected_content(const struct loop_message *message, int convert_lf, size_t *size)
{
  char *content = malloc(2 * message->size + 2);
  size_t length = 0;
  int text = message->options == NULL || message->options->body != EHLO_BODY_BINARYMIME;
  REQUIRE(content != NULL);
  for (size_t i = 0; i < message->size; i++) {
    if (text && convert_lf && message->content[i] == '\n' && (i == 0 || message->content[i - 1] != '\r')) {
      content[length++] = '\r';
    }
    content[length++] = message->content[i];
  }
  if (text && length > 0 && content[length - 1] != '\n') {
    content[length++] = '\r';
    content[length++] = '\n';
  }
  *size = length;
  return content;
}

/* Was the recipient with this place among the RCPTs served? As the client knows it. */
static int served_by_client(const struct loop *loop, const struct loop_sent *sent, size_t recipient)
{
  int whole = sent->ends > 0 && sent->end.reason == EHLO_END_ACCEPTED;
  int mixed = sent->ends > 0 && sent->end.reason == EHLO_END_MIXED;
  int result = loop->client_config.protocol == EHLO_PROTOCOL_SMTP || sent->result[recipient] / 100 == 2;
  REQUIRE(!whole || sent->rcpt[recipient] / 100 != 2 || result);
  return sent->rcpt[recipient] / 100 == 2 && (whole || (mixed && result));
}

/* As the server knows it. */
static int served_by_server(const struct loop *loop, const struct loop_got *got, size_t recipient)
{
  uint32_t ordinal = 0;
  for (size_t i = 0; i < recipient; i++) {
    ordinal += got->rcpt[i] / 100 == 2;
  }
  uint32_t code = loop->server_config.protocol == EHLO_PROTOCOL_LMTP ? got->result[ordinal] : got->message;
  int whole = got->ends > 0 && got->end.reason == EHLO_END_ACCEPTED;
  int mixed = got->ends > 0 && got->end.reason == EHLO_END_MIXED;
  REQUIRE(!whole || got->rcpt[recipient] / 100 != 2 || code / 100 == 2);
  return got->rcpt[recipient] / 100 == 2 && (whole || mixed) && code / 100 == 2;
}

/* Two codes of a reply, at the client and at the server: the same, unless it was lost on its way. A 421 that the server
 * says to nothing is an answer to what the client had under way. */
static void check_code(const struct loop *loop, uint32_t at_client, uint32_t at_server)
{
  REQUIRE(at_client == at_server || (loop->lost && at_client == 0) || (at_client == 421 && at_server == 0));
}

static void check_codes(const struct loop *loop, const struct loop_sent *sent, const struct loop_got *got)
{
  uint32_t ordinal = 0;
  check_code(loop, sent->mail, got->mail);
  check_code(loop, sent->data, got->data);
  int chunk_failed =
      sent->chunk >= 400; /* then the last one is no message to the server, and its refusal that of BDAT */
  REQUIRE(!chunk_failed || sent->end.reason != EHLO_END_ACCEPTED);
  if (!chunk_failed) {
    check_code(loop, sent->message, got->message);
  }
  for (size_t i = 0; i < sent->rcpt_called; i++) {
    check_code(loop, sent->rcpt[i], got->rcpt[i]);
    if (sent->rcpt[i] / 100 == 2) {
      if (!chunk_failed) {
        check_code(loop, sent->result[i], got->result[ordinal]);
      }
      ordinal++;
    }
  }
  if (sent->ends > 0) {
    REQUIRE(sent->end.recipients == ordinal);
  }
}

static void check_reason(const struct loop *loop, const struct loop_message *message, const struct loop_sent *sent,
                         const struct loop_got *got)
{
  int lmtp = loop->client_config.protocol == EHLO_PROTOCOL_LMTP;
  uint32_t code = sent->end.code;
  switch (sent->end.reason) {
  case EHLO_END_ACCEPTED:
    REQUIRE(sent->burl || sent->whole);
    REQUIRE((sent->end.recipients > 0 || sent->resumed) && code / 100 == 2);
    REQUIRE(lmtp || code == sent->message);
    REQUIRE(got->ends == 1 && got->end.reason == EHLO_END_ACCEPTED);
    break;
  case EHLO_END_MIXED: REQUIRE(lmtp && sent->whole && sent->end.recipients > 1 && got->ends == 1); break;
  case EHLO_END_REFUSED:
    REQUIRE(code >= 400 && code != 421);
    REQUIRE(code == sent->mail || code == sent->data || code == sent->chunk ||
            (lmtp ? sent->whole != 0 : code == sent->message) ||
            (code == 554 && (sent->burl || by_chunks(loop, message)) && sent->end.recipients == 0));
    break;
  case EHLO_END_SHUTDOWN: REQUIRE(code == 421); break;
  case EHLO_END_RESET:
  case EHLO_END_SUPERSEDED:
  case EHLO_END_QUIT: REQUIRE(code == 0 && !sent->content); break;
  case EHLO_END_FAILED: REQUIRE(code == 451 && !sent->whole); break;
  default:
    REQUIRE(sent->end.reason == EHLO_END_LOST || sent->end.reason == EHLO_END_TIMED_OUT);
    REQUIRE(code == 451);
    break;
  }
}

static void check_envelope(const struct loop_message *message, const struct loop_sent *sent, const struct loop_got *got)
{
  if (got->opened) {
    REQUIRE(sent->called && strcmp(got->from, message->from) == 0);
  }
  REQUIRE(got->rcpt_commands <= sent->rcpt_called);
  for (size_t i = 0; i < got->rcpt_commands; i++) {
    REQUIRE(got->to[i][0] == '\0' ? got->rcpt[i] == 0 || got->rcpt[i] >= 400 : strcmp(got->to[i], message->to[i]) == 0);
  }
}

/* A message that anybody was served with is whole; what came of another is the beginning of it. */
static void check_content(const struct loop *loop, const struct loop_message *message, const struct loop_sent *sent,
                          const struct loop_got *got, int served)
{
  size_t size;
  struct loop_message rest = *message;
  size_t there = sent->offset < message->size ? sent->offset : message->size;
  rest.content += there;
  rest.size -= there;
  char *content = loop_expected_content(&rest, loop->client_config.convert_lf, &size);
  REQUIRE(got->size <= size);
  REQUIRE(got->size == 0 || memcmp(got->content, content, got->size) == 0);
  free(content);
  if (served && sent->burl) {
    REQUIRE(!sent->content && got->size == 0);
  } else if (served) {
    REQUIRE(sent->whole && got->size == size);
  }
}

/* What was called arrived once, and was answered by what the server's host said. */
static void check_services(const struct loop *loop)
{
  for (size_t i = 0; i < loop->service_count; i++) {
    const struct loop_done *done = &loop->done[i];
    REQUIRE(done->called == 1 || (done->arrived == 0 && done->said == 0 && done->code == 0));
    REQUIRE(loop->lost || done->code == done->said || done->code == 421);
    REQUIRE(done->code / 100 != 2 || done->arrived > 0);
  }
  if (!loop->lost &&
      (loop->service_count == 0 || loop->serving >= loop->service_count || loop->done[loop->serving].code != 421)) {
    REQUIRE(ehlo_client_tls(loop->client) == ehlo_server_tls(loop->server));
    REQUIRE(ehlo_client_authenticated(loop->client) == ehlo_server_authenticated(loop->server));
  }
}

void loop_check(const struct loop *loop)
{
  REQUIRE(loop->lost || loop->violations[CLIENT] == 0);
  check_services(loop);
  for (size_t i = 0; i < loop->count; i++) {
    const struct loop_sent *sent = &loop->sent[i];
    const struct loop_got *got = &loop->got[i];
    int served = 0;
    REQUIRE(sent->ends == sent->called);
    REQUIRE(got->ends == got->opened);
    check_envelope(&loop->messages[i], sent, got);
    check_codes(loop, sent, got);
    for (size_t r = 0; r < sent->rcpt_called; r++) {
      int at_client = served_by_client(loop, sent, r);
      int at_server = served_by_server(loop, got, r);
      REQUIRE(at_client == at_server || (loop->lost && at_server));
      served |= at_server;
    }
    if (sent->ends > 0) {
      check_reason(loop, &loop->messages[i], sent, got);
    }
    if (!loop->lost) {
      REQUIRE((sent->end.reason == EHLO_END_ACCEPTED) == (got->end.reason == EHLO_END_ACCEPTED));
    }
    check_content(loop, &loop->messages[i], sent, got, served);
  }
}
