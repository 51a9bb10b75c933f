/* server.c: the receiving machine: feed, output, and every change of state. Floor: session. */
#include "server.h"

/* ---- what everything goes through ---- */

/* A handler returned something else than EHLO_HANDLED. */
static int handler_failed(ehlo_server *server, int result)
{
  if (result == EHLO_FAIL_TRANSACTION) {
    server->doomed = server_in_transaction(server) ? 1 : 0;
    return EHLO_FAIL_TRANSACTION;
  }
  server->fatal = 1;
  /* What the failing handler began to say is not to be trusted. */
  struct slot *front = server_front(server);
  if (server->asking != 0 && front != NULL && front->ticket == server->asking && !server->begun_before) {
    server->output.tail = server->visible;
    front->begun = 0;
  }
  if (ehlo_server_close(server, EHLO_END_SHUTDOWN)) {
    ehlo_server_say(server, EHLO_VERB_NONE, REPLY_UNAVAILABLE);
  }
  return 0;
}

int ehlo_server_emit(ehlo_server *server, ehlo_event *event)
{
  if (server->fatal) {
    return 0;
  }
  server->handling = 1;
  server->visible = server->output.tail;
  int result = server->on_event(server, event, server->user);
  server->handling = 0;
  return result == EHLO_HANDLED ? 0 : handler_failed(server, result);
}

void ehlo_server_violation(ehlo_server *server, uint32_t kind, uint32_t verb, ehlo_span octets)
{
  ehlo_event event;
  event.type = EHLO_EVENT_VIOLATION;
  event.ticket = 0;
  event.as.violation = (ehlo_event_violation){kind, verb, octets};
  ehlo_server_emit(server, &event);
}

void ehlo_server_enter(ehlo_server *server, enum state state)
{
  server->state = (uint8_t)state;
}

void ehlo_server_forget(ehlo_server *server)
{
  server->hello_verb = EHLO_VERB_NONE;
  server->hello_len = 0;
  server->watch = 0;
  ehlo_auth_forget(server);
}

void ehlo_server_open_transaction(ehlo_server *server, uint32_t verb)
{
  server->mail_verb = (uint8_t)verb;
  server->smtputf8 = server->next_smtputf8;
  server->body = server->next_body;
  server->chunking = 0;
  server->chunk_failed = 0;
  server->resumed = 0;
  server->doomed = 0;
  server->draining = 0;
  server->paused = 0;
  server->fate = 0;
  server->recipients = 0;
  server->results_asked = 0;
  server->results_replied = 0;
  server->results_good = 0;
  server->octets = 0;
  server->transactions++;
  ehlo_server_enter(server, STATE_MAIL);
}

void ehlo_server_end_transaction(ehlo_server *server, uint32_t reason)
{
  if (!server_in_transaction(server)) {
    return;
  }
  int by_peer = reason == EHLO_END_RESET || reason == EHLO_END_SUPERSEDED || reason == EHLO_END_QUIT;
  if (by_peer && server->fate != 0) {
    reason = server->fate; /* a chunk failed, and this is how the peer takes note of it */
  } else if (by_peer && server->doomed) {
    reason = EHLO_END_FAILED;
  }
  ehlo_event event = {.type = EHLO_EVENT_END, .as.end = {reason, server->recipients, server->octets}};
  server->mail_verb = EHLO_VERB_NONE;
  server->doomed = 0;
  server->chunk_failed = 0;
  ehlo_server_enter(server, STATE_IDLE);
  ehlo_server_emit(server, &event);
}

int ehlo_server_close(ehlo_server *server, uint32_t reason)
{
  int turned = server->state == STATE_TURN || server->state == STATE_TLS;
  if (server->results_good > 0) {
    reason = EHLO_END_MIXED; /* what some recipients were promised holds, however the session ends */
  }
  ehlo_server_cancel(server);
  if (server->state != STATE_CLOSED) {
    ehlo_server_end_transaction(server, reason);
  }
  if (server->state == STATE_CLOSED) {
    return 0; /* a handler ended it meanwhile, and the last word is said */
  }
  ehlo_auth_wipe(server, server->line.used); /* a line that is never dealt with may be a secret */
  ehlo_server_enter(server, STATE_CLOSED);
  return !server->unfinished && !turned;
}

/* An error counts against the peer, unless it is the host's verdict on a message or part of it, or a chunk that was on
 * its way when an earlier one failed (RFC 3030 2). */
static void count_error(ehlo_server *server, uint32_t verb)
{
  int is_chunk = verb == EHLO_VERB_BDAT || verb == EHLO_VERB_BURL;
  if (verb == EHLO_VERB_MESSAGE || verb == EHLO_VERB_RESULT || verb == EHLO_VERB_CONNECT ||
      (is_chunk && server->chunk_failed) || server->state == STATE_CLOSED) {
    return;
  }
  server->errors++;
  if (server->max_errors != 0 && server->errors >= server->max_errors) {
    ehlo_server_violation(server, EHLO_VIOLATION_TOO_MANY_ERRORS, verb, span_of("", 0));
    if (server->state != STATE_CLOSED && ehlo_server_close(server, EHLO_END_SHUTDOWN)) {
      ehlo_server_say(server, EHLO_VERB_NONE, REPLY_TOO_MANY_ERRORS);
    }
  }
}

/* Can settle do something? */
static int front_is_ready(const ehlo_server *server)
{
  const struct slot *front = server_front(server);
  if (front == NULL || front->state == SLOT_WRITTEN) {
    return front != NULL;
  }
  if (front->verb == EHLO_VERB_MESSAGE && server->state == STATE_CONTENT) {
    return 0;
  }
  return (front->state == SLOT_ANSWERED || front->unparked < front->parked) && ehlo_server_has_room(server);
}

/* Tells the host of a reply. Returns as ehlo_server_emit. */
static int emit_reply(ehlo_server *server, const struct slot *slot)
{
  ehlo_event event;
  event.type = EHLO_EVENT_REPLY;
  event.ticket = 0;
  event.as.reply.verb = slot->verb;
  event.as.reply.code = slot->code;
  event.as.reply.enhanced = slot->enhanced;
  event.as.reply.asked = slot->asked ? slot->ticket : 0;
  event.as.reply.ordinal = 0;
  if (slot->verb == EHLO_VERB_RCPT && slot->code < 300) {
    event.as.reply.ordinal = server->recipients;
  } else if (slot->verb == EHLO_VERB_RESULT) {
    event.as.reply.ordinal = server->results_replied;
  }
  return ehlo_server_emit(server, &event);
}

/* What follows from a reply, whose slot was at the index `first`; it may be used anew in here. */
static void proceed(ehlo_server *server, const struct slot *done, uint32_t first)
{
  uint32_t verb = done->verb;
  int error = done->code >= 500;
  if (done->code == 421) {
    if (server->state != STATE_CLOSED) {
      (void)ehlo_server_close(server, EHLO_END_SHUTDOWN);
    }
  } else if (done->verb == EHLO_VERB_MESSAGE || done->verb == EHLO_VERB_RESULT) {
    if (ehlo_content_proceed(server, done)) {
      /* The same answer again, for the next recipient: the slot goes back to the front. */
      struct slot *slot = server_slot(server, first);
      slot->state = SLOT_ANSWERED;
      slot->begun = 0;
      slot->unparked = 0;
      server->first = first;
      server->count++;
    }
  } else {
    ehlo_command_proceed(server, done);
  }
  if (error) {
    count_error(server, verb);
  }
}

/* Takes written answers off the queue and lets their commands proceed. */
static void settle(ehlo_server *server)
{
  for (;;) {
    struct slot *front = server_front(server);
    if (front == NULL) {
      return;
    }
    if (front->state != SLOT_WRITTEN) {
      if (!front_is_ready(server)) {
        return;
      }
      ehlo_slot_write(server, front);
      if (front->state != SLOT_WRITTEN) {
        return;
      }
    }
    /* Off the queue first: what the host does in its handler must not find it. The slot itself stays as it is until
     * another is opened. */
    uint32_t first = server->first;
    server->first = first + 1 < server->max_pending ? first + 1 : 0;
    server->count--;
    int failed = emit_reply(server, front);
    if (!server->fatal) {
      proceed(server, front, first);
    }
    if (failed && server_in_transaction(server)) {
      server->doomed = 1; /* the transaction that this very reply opened is lost too */
    }
  }
}

/* ---- feed ---- */

void ehlo_server_watch(ehlo_server *server, uint32_t kind)
{
  server->watch = (uint8_t)kind;
  server->uncovered = (uint32_t)output_waiting(&server->output);
}

/* Octets are here: are they early? Told once for each greeting and each hello. */
static void check_early(ehlo_server *server)
{
  if (server->watch == 0) {
    return;
  }
  uint32_t kind = server->watch;
  const struct slot *front = server_front(server);
  int unanswered = server->state == STATE_GREETING || (front != NULL && kind == EHLO_VIOLATION_EARLY_HELLO);
  server->watch = 0;
  if (unanswered || server->uncovered > 0) {
    ehlo_server_violation(server, kind, EHLO_VERB_NONE, span_of("", 0));
  }
}

/* Must this command wait for what is still out? Only RCPTs go side by side, as long as no limit can be crossed by what
 * is still undecided. */
static int must_wait(const ehlo_server *server, uint32_t verb)
{
  uint32_t pending = server->count;
  if (pending == 0) {
    return 0;
  }
  return verb != EHLO_VERB_RCPT || pending >= server->max_pending ||
         server->recipients + pending >= server->max_recipients ||
         (server->max_errors != 0 && server->errors + pending >= server->max_errors);
}

enum { STALL_NO, STALL_ROOM, STALL_TICKETS, STALL_PAUSED };

/* Takes a line. Returns 1 if the machine can go on. */
static int feed_line(ehlo_server *server, const unsigned char *data, size_t size, size_t *taken)
{
  const struct slot *front = server_front(server);
  if (size == 0 && !server->line.held) {
    return 0;
  }
  if (front != NULL && front->verb != EHLO_VERB_RCPT) {
    server->stalled = STALL_TICKETS;
    return 0;
  }
  if (!ehlo_server_has_room(server)) {
    server->stalled = STALL_ROOM;
    return 0;
  }
  ehlo_span line;
  unsigned seen;
  unsigned char *buffer = server_part(server, server->line_at);
  /* One limit at all times: of what is in the buffer already a smaller one would make nonsense. Lines that are not of
   * AUTH, and too long, are refused once they are known. */
  int result = ehlo_line_take(&server->line, buffer, server->line_size, data, size, taken, &line, &seen);
  if (result == LINE_MORE) {
    return 0;
  }
  if (front != NULL && must_wait(server, ehlo_command_verb(result, line))) {
    if (!server->line.held) {
      *taken = 0;
    }
    server->stalled = STALL_TICKETS;
    return 0;
  }
  server->epoch++;
  if (server->state == STATE_AUTH) {
    ehlo_auth_line(server, result, line);
    ehlo_auth_wipe(server, line.len);
  } else {
    ehlo_command_line(server, result, line, seen);
  }
  ehlo_line_done(&server->line);
  return 1;
}

/* Nothing more comes, nothing is left to do: the session is over. */
static void finish_eof(ehlo_server *server)
{
  if (!server->ended || server->state == STATE_CLOSED) {
    return;
  }
  int cut_off = server->state == STATE_CONTENT && (server->found & FOUND_END) == 0;
  cut_off |= server->skipping;
  int busy = server->count > 0 || server->line.held || server->state == STATE_VERDICT;
  if (cut_off || !busy) {
    (void)ehlo_server_close(server, EHLO_END_LOST);
  }
}

/* Octets came where the handshake is to begin: they are nothing that a client could have meant (CVE-2011-0411). */
static void before_tls(ehlo_server *server, ehlo_span octets)
{
  ehlo_server_violation(server, EHLO_VIOLATION_BEFORE_TLS, EHLO_VERB_STARTTLS, octets);
  if (server->state != STATE_CLOSED) {
    (void)ehlo_server_close(server, EHLO_END_SHUTDOWN);
    server->output.head = server->output.tail = 0;
  }
}

/* The machine itself: as long as it can go on. Returns how many octets it took. */
static size_t run(ehlo_server *server, const unsigned char *data, size_t size)
{
  size_t at = 0;
  int going = 1;
  server->stalled = STALL_NO;
  while (going) {
    settle(server);
    if (at < size && server->state != STATE_CLOSED) {
      check_early(server);
    }
    const unsigned char *here = size == 0 ? data : data + at;
    size_t taken = 0;
    switch (server->state) {
    case STATE_CLOSED: return size;
    case STATE_NEW:
    case STATE_TURN: going = 0; break;
    case STATE_TLS:
      if (at < size) {
        before_tls(server, span_of(here, size - at));
      }
      going = 0;
      break;
    case STATE_GREETING:
      server->stalled = at < size ? STALL_TICKETS : STALL_NO;
      going = 0;
      break;
    case STATE_CONTENT:
      going = ehlo_content_feed(server, here, size - at, &taken);
      server->stalled = !going && server->paused && server->state == STATE_CONTENT ? STALL_PAUSED : STALL_NO;
      break;
    case STATE_VERDICT:
      going = ehlo_content_verdict(server);
      if (!going && !ehlo_server_has_room(server)) {
        server->stalled = STALL_ROOM;
      } else if (!going && at < size) {
        server->stalled = STALL_TICKETS;
      }
      break;
    default:
      going =
          server->skipping ? ehlo_content_skip(server, size - at, &taken) : feed_line(server, here, size - at, &taken);
      break;
    }
    at += taken;
  }
  return at;
}

/* May a call that calls back run now? */
static int enter_call(ehlo_server *server)
{
  if (server == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if (server->busy) {
    return EHLO_ERR_REENTRANT;
  }
  if (server->fatal) {
    return EHLO_ERR_HOST;
  }
  if (server->state == STATE_NEW || server->asleep) {
    return EHLO_ERR_STATE;
  }
  server->busy = 1;
  return EHLO_OK;
}

static int leave_call(ehlo_server *server)
{
  server->busy = 0;
  return server->fatal ? EHLO_ERR_HOST : EHLO_OK;
}

int ehlo_server_start(ehlo_server *server)
{
  int new_state = server != NULL && server->state == STATE_NEW && !server->asleep;
  if (new_state) {
    ehlo_server_enter(server, STATE_GREETING);
  }
  int result = enter_call(server);
  if (result != EHLO_OK) {
    return result;
  }
  if (!new_state) {
    leave_call(server);
    return EHLO_ERR_STATE;
  }
  ehlo_server_watch(server, EHLO_VIOLATION_EARLY_TALKER);
  ehlo_event event = {.type = EHLO_EVENT_CONNECT};
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_CONNECT), &event);
  run(server, NULL, 0);
  return leave_call(server);
}

int ehlo_server_feed(ehlo_server *server, const void *data, size_t size, size_t *consumed)
{
  if (consumed == NULL || (data == NULL && size > 0)) {
    return EHLO_ERR_ARGUMENT;
  }
  *consumed = 0;
  int result = enter_call(server);
  if (result != EHLO_OK) {
    *consumed = result == EHLO_ERR_HOST ? size : 0;
    return result;
  }
  *consumed = run(server, data, size);
  finish_eof(server);
  return leave_call(server);
}

int ehlo_server_eof(ehlo_server *server)
{
  int result = enter_call(server);
  if (result != EHLO_OK) {
    return result;
  }
  server->ended = 1;
  run(server, NULL, 0);
  finish_eof(server);
  return leave_call(server);
}

int ehlo_server_lost(ehlo_server *server)
{
  int result = enter_call(server);
  if (result != EHLO_OK) {
    return result;
  }
  settle(server);
  if (server->state != STATE_CLOSED) {
    ehlo_server_close(server, EHLO_END_LOST);
  }
  server->count = 0;
  server->output.head = server->output.tail = 0;
  return leave_call(server);
}

int ehlo_server_timed_out(ehlo_server *server)
{
  int result = enter_call(server);
  if (result != EHLO_OK) {
    return result;
  }
  settle(server);
  if (server->state != STATE_CLOSED && ehlo_server_close(server, EHLO_END_TIMED_OUT)) {
    ehlo_server_say(server, EHLO_VERB_NONE, REPLY_TIMED_OUT);
  }
  settle(server);
  return leave_call(server);
}

int ehlo_server_shutdown(ehlo_server *server, int code, const char *enhanced, ehlo_span text)
{
  int result = enter_call(server);
  if (result != EHLO_OK) {
    return result;
  }
  result = ehlo_server_check_last(server, code, enhanced, text);
  if (result != EHLO_OK) {
    server->busy = 0;
    return result;
  }
  settle(server);
  if (server->state != STATE_CLOSED && ehlo_server_close(server, EHLO_END_SHUTDOWN)) {
    ehlo_server_say_last(server, code, enhanced, text);
  }
  settle(server);
  return leave_call(server);
}

int ehlo_server_tls_done(ehlo_server *server, const ehlo_tls *tls)
{
  if (server == NULL || (tls != NULL && tls->struct_size < sizeof *tls)) {
    return EHLO_ERR_ARGUMENT;
  }
  if (server->busy) {
    return EHLO_ERR_REENTRANT;
  }
  if ((server->state != STATE_TLS && server->state != STATE_NEW) || server->tls ||
      output_waiting(&server->output) > 0) {
    return EHLO_ERR_STATE;
  }
  server->tls = 1;
  server->tls_verified = tls != NULL && tls->verified;
  ehlo_server_hide(server);
  if (server->state == STATE_TLS) {
    ehlo_server_forget(server);
    server->epoch++;
    ehlo_server_enter(server, STATE_OPEN);
  }
  return EHLO_OK;
}

/* ---- output ---- */

const void *ehlo_server_output(ehlo_server *server, size_t *size)
{
  if (size == NULL) {
    return NULL;
  }
  *size = 0;
  if (server == NULL) {
    return NULL;
  }
  uint32_t end = server->handling ? server->visible : server->output.tail;
  *size = end - server->output.head;
  return *size == 0 ? NULL : server_part(server, server->output_at) + server->output.head;
}

void ehlo_server_sent(ehlo_server *server, size_t size)
{
  size_t waiting;
  (void)ehlo_server_output(server, &waiting);
  if (waiting == 0 || size > waiting) {
    return; /* what a write that failed returned is no count */
  }
  uint32_t count = (uint32_t)size;
  uint32_t tail = server->output.tail;
  server->uncovered -= count < server->uncovered ? count : server->uncovered;
  ehlo_output_took(&server->output, server_part(server, server->output_at), count);
  server->visible -= tail - server->output.tail;
  if (output_waiting(&server->output) == 0) {
    server->epoch++;
  }
  struct slot *front = server_front(server);
  if (front != NULL && ehlo_server_has_room(server) && !server->handling) {
    ehlo_slot_write(server, front);
  }
}

uint32_t ehlo_server_want(const ehlo_server *server)
{
  if (server == NULL) {
    return 0;
  }
  uint32_t want = output_waiting(&server->output) > 0 ? EHLO_WANT_WRITE : 0;
  int ready = front_is_ready(server);
  if (server->state == STATE_CLOSED) {
    /* After a fatal error no call would take the last reply off the queue; to have written it is enough. */
    int over = server->count == 0 || (server->fatal && server_front(server)->state == SLOT_WRITTEN);
    return want | (over ? EHLO_WANT_CLOSE : ready && !server->fatal ? EHLO_WANT_FEED : 0U);
  }
  if (server->state == STATE_TURN) {
    return want | EHLO_WANT_TURN;
  }
  if (server->state == STATE_TLS) {
    return want | EHLO_WANT_TLS;
  }
  const struct slot *front = server_front(server);
  if (server->paused || (front != NULL && front->state == SLOT_DEFERRED)) {
    want |= EHLO_WANT_DECISION;
  }
  if (ready || (server->stalled == STALL_ROOM && ehlo_server_has_room(server)) ||
      (server->stalled == STALL_PAUSED && !server->paused)) {
    return want | EHLO_WANT_FEED;
  }
  if (server->stalled == STALL_NO && !server->ended && server->state != STATE_NEW && !server->paused) {
    want |= EHLO_WANT_READ;
  }
  return want;
}

uint32_t ehlo_server_timeout(const ehlo_server *server, uint64_t *epoch)
{
  if (epoch != NULL) {
    *epoch = server == NULL ? 0 : server->epoch;
  }
  if (server == NULL || server->state == STATE_NEW) {
    return 0;
  }
  if (output_waiting(&server->output) > 0) {
    return server->command_timeout;
  }
  if (server->state == STATE_CONTENT) {
    return server->paused ? 0 : server->content_timeout;
  }
  return server->count > 0 || server->state >= STATE_VERDICT ? 0 : server->command_timeout;
}

/* ---- getters ---- */

int ehlo_server_tls(const ehlo_server *server)
{
  return server != NULL && server->tls;
}

ehlo_span ehlo_server_hello(const ehlo_server *server)
{
  return server == NULL ? span_of("", 0) : span_of(server_part(server, server->hello_at), server->hello_len);
}

uint32_t ehlo_server_hello_verb(const ehlo_server *server)
{
  return server == NULL ? (uint32_t)EHLO_VERB_NONE : server->hello_verb;
}

/* RFC 5321 4.4, RFC 3848, RFC 6531 4.3: by protocol, SMTPUTF8, TLS and AUTH. */
ehlo_span ehlo_server_transmission_type(const ehlo_server *server)
{
  static const char types[4][4][12] = {{"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"},
                                       {"LMTP", "LMTPS", "LMTPA", "LMTPSA"},
                                       {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"},
                                       {"UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"}};
  if (server == NULL || server->hello_verb == EHLO_VERB_NONE) {
    return span_of("", 0);
  }
  int utf8 = server_in_transaction(server) && server->smtputf8;
  int lmtp = server->hello_verb == EHLO_VERB_LHLO;
  if (server->hello_verb == EHLO_VERB_HELO && !utf8) {
    return span_of("SMTP", 4);
  }
  return ehlo_span_of(types[utf8 * 2 + lmtp][server->authenticated * 2 + server->tls]);
}

uint32_t ehlo_server_recipients(const ehlo_server *server)
{
  return server == NULL || !server_in_transaction(server) ? 0 : server->recipients;
}

uint32_t ehlo_server_transactions(const ehlo_server *server)
{
  return server == NULL ? 0 : server->transactions;
}

uint32_t ehlo_server_errors(const ehlo_server *server)
{
  return server == NULL ? 0 : server->errors;
}

uint64_t ehlo_server_octets(const ehlo_server *server)
{
  return server == NULL || !server_in_transaction(server) ? 0 : server->octets;
}
