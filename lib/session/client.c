/* client.c: the sending machine: feed, output, and every change of state. Floor: session. */
#include "client.h"

#include "../bytes/scan.h"
#include "../grammar/reply.h"

#include <string.h>

/* ---- what everything goes through ---- */

static void drop_output(ehlo_client *client)
{
  uint32_t tail = client->output.tail;
  client->output.head = client->output.tail = 0;
  client->released_to = client->sent;
  ehlo_client_wipe_behind(client, tail);
}

void ehlo_client_enter(ehlo_client *client, enum client_state state)
{
  client->state = (uint8_t)state;
  if (state == CLIENT_CLOSED) {
    drop_output(client); /* nothing that waits may follow, least of all the rest of a message */
  }
}

void ehlo_client_emit(ehlo_client *client, const ehlo_client_event *event)
{
  if (!client->fatal && client->on_event(client, event, client->user) != EHLO_HANDLED) {
    client->fatal = 1;
    client->count = client->released = 0;
    ehlo_client_enter(client, CLIENT_CLOSED);
  }
}

void ehlo_client_end(ehlo_client *client, uint32_t reason, uint32_t code, ehlo_enhanced enhanced,
                     ehlo_client_event *event)
{
  if (client->results_good > 0 && reason != EHLO_END_ACCEPTED) {
    reason = EHLO_END_MIXED; /* what some recipients were promised holds, however the session ends (RFC 2033 5) */
  }
  event->type = EHLO_CLIENT_EVENT_END;
  event->tag = client->mail_tag;
  uint32_t needs_reset = (uint32_t)ehlo_client_needs_reset(client);
  event->as.end = (ehlo_client_event_end){reason, client->rcpts_accepted, code, needs_reset, enhanced};
  client->in_transaction = 0;
  client->results_good = 0;
}

void ehlo_client_close(ehlo_client *client, uint32_t reason, uint32_t code, ehlo_enhanced enhanced)
{
  ehlo_client_event event;
  ehlo_client_enter(client, CLIENT_CLOSED);
  if (client->in_transaction) {
    if (reason == EHLO_END_REFUSED && !client_has_recipients(client)) {
      ehlo_client_nobody(client, &code, &enhanced);
    }
    ehlo_client_end(client, reason, code, enhanced, &event);
    ehlo_client_emit(client, &event);
  }
  if (reason == EHLO_END_REFUSED) {
    /* Who is called behind a message that was refused so early has heard nothing. */
    reason = EHLO_END_LOST;
    code = 451;
    enhanced = no_enhanced();
  }
  for (uint32_t i = 0; i < client->count; i++) {
    const struct command *command = client_command(client, i);
    if (verb_opens_transaction(command->verb)) {
      event.type = EHLO_CLIENT_EVENT_END;
      event.tag = command->tag;
      event.as.end = (ehlo_client_event_end){reason, 0, code, 0, enhanced};
      ehlo_client_emit(client, &event);
    }
  }
  client->count = client->released = 0;
}

/* ---- the queue ---- */

/* Does the server hold no transaction any more where it says yes to this? */
static int verb_clears(uint32_t verb)
{
  switch (verb) {
  case EHLO_VERB_RSET:
  case EHLO_VERB_STARTTLS:
  case EHLO_VERB_TURN:
  case EHLO_VERB_ATRN:
  case EHLO_VERB_XCLIENT:
  case EHLO_VERB_QUIT: return 1;
  default: return verb_is_hello(verb) || verb_opens_transaction(verb);
  }
}

int ehlo_client_needs_reset(const ehlo_client *client)
{
  for (uint32_t i = 0; client->held && i < client->count; i++) {
    if (verb_clears(client_command(client, i)->verb)) {
      return 0;
    }
  }
  return client->held && client->state != CLIENT_CLOSED;
}

void ehlo_client_release(ehlo_client *client)
{
  if (client->state != CLIENT_GREETED && client->state != CLIENT_REFUSED) {
    return;
  }
  for (; client->released < client->count; client->released++) {
    const struct command *command = client_command(client, client->released);
    if (command->flags & COMMAND_PLACE) {
      return; /* content by BDAT begins when all before it is answered */
    }
    if (client->released > 0) {
      const struct command *before = client_command(client, client->released - 1);
      int is_last = ehlo_commands[before->verb].group == GROUP_LAST && (before->flags & COMMAND_ONE_TRIP) == 0;
      int begins_content = command->verb == EHLO_VERB_DATA || command->flags == COMMAND_BURL;
      if (!client_offers(client, EHLO_EXT_PIPELINING) || is_last || (client->hold_data && begins_content)) {
        return;
      }
    }
    client->released_to = command->end;
  }
}

void ehlo_client_make_room(ehlo_client *client)
{
  uint32_t tail = client->output.tail;
  ehlo_output_compact(&client->output, client_part(client, client->output_at));
  ehlo_client_wipe_behind(client, tail);
}

void ehlo_client_queue(ehlo_client *client, uint32_t verb, unsigned flags, uint64_t tag, size_t length)
{
  output_wrote(&client->output, length);
  struct command *command = client_command(client, client->count++);
  command->tag = tag;
  command->verb = (uint16_t)verb;
  command->flags = (uint16_t)flags;
  command->end = client->sent + (uint32_t)output_waiting(&client->output);
  client->mails_ahead += verb_opens_transaction(verb) ? 1 : 0;
  client->epoch += client->count == 1 ? 1 : 0; /* what it waits for begins now */
  ehlo_client_release(client);
}

void ehlo_client_drop(ehlo_client *client)
{
  client->count = client->released;
  client->output.tail = client->output.head + (client->released_to - client->sent);
}

int ehlo_client_take_back(ehlo_client *client)
{
  if (client->released == client->count) {
    return 0;
  }
  client->count--;
  uint32_t end = client->count == 0 ? client->released_to : client_command(client, client->count - 1)->end;
  client->output.tail = client->output.head + (end - client->sent);
  return 1;
}

/* Takes the command at the front off the queue. */
static struct command pop(ehlo_client *client)
{
  struct command command = *client_command(client, 0);
  client->first = client->first + 1 == client->max_commands ? 0 : client->first + 1;
  client->count--;
  client->released--;
  client->mails_ahead -= verb_opens_transaction(command.verb) ? 1 : 0;
  return command;
}

/* ---- replies ---- */

/* What the next reply answers: by counting alone (RFC 2920 3.1). A command that has not been sent cannot be answered.
 */
static uint32_t expected_verb(const ehlo_client *client)
{
  if (client->state == CLIENT_GREETING) {
    return EHLO_VERB_CONNECT;
  }
  if (client->released == 0) {
    return EHLO_VERB_NONE;
  }
  const struct command *front = client_command(client, 0);
  if (front->verb == EHLO_VERB_AUTH && client->sasl == SASL_CHALLENGED) {
    return EHLO_VERB_NONE; /* the response is still to come */
  }
  return client->sent - front->end < UINT32_MAX / 2 ? front->verb : EHLO_VERB_NONE;
}

/* The same for the line that is being read: what counts is when its first octets came. */
static uint32_t awaited_verb(const ehlo_client *client)
{
  return client->begun_early ? (uint32_t)EHLO_VERB_NONE : expected_verb(client);
}

void ehlo_client_violate(ehlo_client *client, uint32_t kind, ehlo_span octets)
{
  ehlo_client_event event = {.type = EHLO_CLIENT_EVENT_VIOLATION};
  uint32_t verb = client->reply_code == 0 ? awaited_verb(client) : client->reply_verb;
  event.as.violation = (ehlo_client_event_violation){kind, verb, octets, 0};
  client->violation = (uint8_t)kind;
  ehlo_client_enter(client, CLIENT_CLOSED);
  ehlo_client_emit(client, &event);
  ehlo_client_close(client, EHLO_END_FAILED, 451, no_enhanced());
}

/* Is it a challenge (RFC 4954 4)? Any 3yz to DATA is as good as 354: there 334 is none. */
static int is_challenge(uint32_t verb, uint32_t code)
{
  return code == 334 && verb == EHLO_VERB_AUTH;
}

/* Does it resume a transaction (RFC 1845 3)? */
static int is_resumption(const ehlo_client *client, uint32_t verb, uint32_t code)
{
  return code == 355 && verb_opens_transaction(verb) && (client_command(client, 0)->flags & COMMAND_CHECKPOINT) != 0;
}

/* Does the code answer the command? By its first digit (RFC 821 4.4): 4yz and 5yz say no to all of them, and what says
 * yes is one of 2yz and 3yz. AUTH has 334 beside, MAIL with TRANSID 355. A cancelled AUTH cannot succeed: "the server
 * MUST reject the AUTH command" (RFC 4954 4). */
static int code_answers(const ehlo_client *client, uint32_t verb, uint32_t code)
{
  if (verb == EHLO_VERB_AUTH && client->sasl == SASL_CANCELLED && code < 300) {
    return 0;
  }
  return code >= 400 || code / 100 == ehlo_commands[verb].accept / 100 || is_challenge(verb, code) ||
         is_resumption(client, verb, code);
}

/* The greeting: the session is open, or it is refused (RFC 5321 3.1), and what was called for an open one is void. */
static void greeted(ehlo_client *client, uint32_t code)
{
  if (code < 400) {
    ehlo_client_enter(client, CLIENT_GREETED);
  } else {
    ehlo_client_drop(client);
    ehlo_client_enter(client, CLIENT_REFUSED);
    client->call = CALL_HELLO;
  }
}

/* Closes the session with the reply that says so, or that leaves nothing else. */
static void closed_by_reply(ehlo_client *client, const ehlo_client_event *event)
{
  uint32_t code = event->as.reply.code;
  ehlo_client_enter(client, CLIENT_CLOSED);
  ehlo_client_emit(client, event);
  ehlo_client_close(client, code == 421 ? EHLO_END_SHUTDOWN : EHLO_END_REFUSED, code, event->as.reply.enhanced);
}

/* Content by BDAT begins when nothing before it waits for a reply any more. */
static void begin_chunks(ehlo_client *client)
{
  ehlo_client_event event;
  if (!ehlo_client_chunks_due(client)) {
    return;
  }
  event.type = 0;
  ehlo_client_chunks_begin(client, &event);
  ehlo_client_release(client);
  if (event.type != 0) {
    ehlo_client_emit(client, &event);
  }
}

/* 355 octet-offset is the transaction offset                                                        (RFC 1845 3) */
static int read_offset(ehlo_span text, uint64_t *offset)
{
  const char *space = text.len == 0 ? NULL : memchr(text.ptr, ' ', text.len);
  text.len = space == NULL ? text.len : (size_t)(space - text.ptr);
  return ehlo_parse_number(text, 20, offset) == EHLO_OK && *offset < UINT64_MAX;
}

/* A reply is complete. */
static void complete(ehlo_client *client, ehlo_client_event *event)
{
  ehlo_client_event_reply *reply = &event->as.reply;
  ehlo_client_event next;
  next.type = 0;
  client->epoch++;
  client->reply_code = 0;
  if (reply->code == 421 || client->premature) {
    closed_by_reply(client, event);
    return;
  }
  if (is_resumption(client, reply->verb, reply->code) && !read_offset(reply->text, &reply->offset)) {
    ehlo_client_violate(client, EHLO_VIOLATION_SYNTAX, reply->line);
    return;
  }
  if (is_challenge(reply->verb, reply->code)) {
    ehlo_client_challenged(client, event);
    return;
  }
  if (reply->verb == EHLO_VERB_CONNECT) {
    greeted(client, reply->code);
  } else if (reply->verb == EHLO_VERB_RESULT && client->results + 1 < client->rcpts_accepted) {
    ehlo_client_verdict(client, client_command(client, 0), reply->code, reply->enhanced, &next);
  } else {
    struct command command = pop(client);
    reply->fallback = (uint32_t)ehlo_client_proceed(client, &command, reply->code, reply->enhanced, &next);
  }
  ehlo_client_release(client);
  ehlo_client_emit(client, event);
  if (next.type == EHLO_CLIENT_EVENT_HELLO && client->in_transaction) {
    ehlo_client_event end;
    ehlo_client_end(client, EHLO_END_SUPERSEDED, 0, no_enhanced(), &end);
    ehlo_client_emit(client, &end);
  }
  int is_stale = next.type == EHLO_CLIENT_EVENT_CONTENT && client->call != CALL_CONTENT; /* it was given at REPLY */
  if (next.type != 0 && !is_stale) {
    ehlo_client_emit(client, &next);
  }
  begin_chunks(client);
}

/* Fills in which command a line answers. */
static void name_command(const ehlo_client *client, ehlo_client_event *event)
{
  ehlo_client_event_reply *reply = &event->as.reply;
  reply->verb = client->reply_verb;
  reply->ordinal = 0;
  if (reply->verb == EHLO_VERB_CONNECT || reply->verb == EHLO_VERB_NONE) {
    event->tag = 0;
  } else if (client->premature) {
    int is_end = client->count > 0 && client_command(client, 0)->verb == EHLO_VERB_MESSAGE;
    event->tag = is_end ? client_command(client, 0)->tag : client->data_tag;
  } else if (reply->verb == EHLO_VERB_RESULT) {
    const struct recipient *recipient = client_recipient(client, client->results);
    event->tag = recipient->tag;
    reply->ordinal = recipient->ordinal;
  } else {
    event->tag = client_command(client, 0)->tag;
    reply->ordinal = reply->verb == EHLO_VERB_RCPT ? client->rcpts_answered : 0;
  }
}

/* Takes the text of a line: the enhanced code off its front, or what it says about extensions. */
static void read_text(ehlo_client *client, ehlo_client_event_reply *reply, ehlo_span text)
{
  reply->text = text;
  reply->enhanced = no_enhanced();
  if (verb_is_hello(reply->verb) || reply->verb == EHLO_VERB_CONNECT) {
    int lists = reply->verb == EHLO_VERB_EHLO || reply->verb == EHLO_VERB_LHLO;
    if (lists && reply->number > 1 && reply->code < 300) {
      ehlo_offer_read(&client->next_offer, text, client_area(client, 1), client->area_size);
    }
  } else if (client_offers(client, EHLO_EXT_ENHANCEDSTATUSCODES)) {
    ehlo_enhanced enhanced;
    size_t used;
    if (ehlo_parse_enhanced(text, &enhanced, &used) == EHLO_OK && enhanced.status_class == reply->code / 100) {
      reply->enhanced = enhanced;
      reply->text = span_from(text, used);
    }
  }
}

/* Is content, or its end, on its way? A server may refuse it then and go: it has no right to (RFC 5321 4.3.1), but some
 * do, and what they say is worth more than that they said it too early. */
static int in_content(const ehlo_client *client)
{
  if (client->call == CALL_CONTENT || client->count == 0) {
    return client->call == CALL_CONTENT;
  }
  uint32_t front = client_command(client, 0)->verb;
  return front == EHLO_VERB_MESSAGE || front == EHLO_VERB_RESULT || front == EHLO_VERB_BDAT || front == EHLO_VERB_BURL;
}

/* The first line of a reply: what it answers, and whether it can. Returns 0, or EHLO_VIOLATION_. */
static uint32_t begin_reply(ehlo_client *client, uint32_t code)
{
  client->reply_verb = awaited_verb(client);
  client->premature = 0;
  if (code != 421 && client->reply_verb == EHLO_VERB_NONE) {
    if (code < 400 || !in_content(client)) {
      return EHLO_VIOLATION_UNSOLICITED;
    }
    client->premature = 1;
    client->reply_verb = EHLO_VERB_MESSAGE;
  }
  if (!code_answers(client, client->reply_verb, code)) {
    return EHLO_VIOLATION_REPLY_CODE;
  }
  client->reply_code = code;
  client->reply_lines = 0;
  client->reply_octets = 0;
  if (verb_is_hello(client->reply_verb)) {
    static const struct offer nothing;
    client->next_offer = nothing;
  }
  return 0;
}

static void reply_line(ehlo_client *client, ehlo_span line, unsigned seen)
{
  ehlo_reply_line parsed;
  uint32_t wrong = 0;
  if (reply_parse(line, &parsed) != EHLO_OK ||
      ((seen & SEEN_CONTROL) != 0 && memchr(line.ptr, '\0', line.len) != NULL)) {
    wrong = EHLO_VIOLATION_SYNTAX;
  } else if (client->reply_code == 0) {
    wrong = begin_reply(client, parsed.code);
  } else if (parsed.code != client->reply_code) {
    wrong = EHLO_VIOLATION_REPLY_MISMATCH;
  }
  if (wrong == 0) {
    client->reply_octets += line.len + 2;
    client->reply_lines++;
    int is_long = client->reply_lines > 1 && client->reply_octets > client->max_reply_size;
    wrong = client->reply_lines > client->max_reply_lines || is_long ? EHLO_VIOLATION_REPLY_TOO_LONG : 0U;
  }
  if (wrong != 0) {
    ehlo_client_violate(client, wrong, line);
    return;
  }
  ehlo_client_event event;
  event.type = parsed.last ? EHLO_CLIENT_EVENT_REPLY : EHLO_CLIENT_EVENT_LINE;
  event.as.reply.code = parsed.code;
  event.as.reply.number = client->reply_lines;
  event.as.reply.fallback = 0;
  event.as.reply.offset = 0;
  event.as.reply.line = line;
  name_command(client, &event);
  read_text(client, &event.as.reply, parsed.text);
  if (parsed.last) {
    complete(client, &event);
  } else {
    ehlo_client_emit(client, &event);
  }
}

/* ---- feed ---- */

/* The longest line that may come now, CRLF included: in an exchange of AUTH it is another. */
static size_t line_limit(const ehlo_client *client)
{
  int in_exchange = client->count > 0 && client_command(client, 0)->verb == EHLO_VERB_AUTH;
  return in_exchange ? client->max_sasl_line : client->max_reply_line;
}

/* Takes what is there of a line, and deals with it if it is whole. A line that can be no reply any more is not waited
 * for. Returns how many octets it took. */
static size_t feed_line(ehlo_client *client, const unsigned char *data, size_t size)
{
  ehlo_span line;
  unsigned seen;
  size_t taken;
  size_t limit = line_limit(client);
  if (line_lies_whole(&client->line, limit, data, size, &line, &seen)) {
    reply_line(client, line, seen);
    return line.len + 2;
  }
  if (line_is_fresh(&client->line)) {
    client->begun_early = client->reply_code == 0 && expected_verb(client) == EHLO_VERB_NONE;
  }
  unsigned char *buffer = client_part(client, client->line_at);
  int result = ehlo_line_take(&client->line, buffer, limit, data, size, &taken, &line, &seen);
  if (result == LINE_READY) {
    uint32_t used = client->sasl != SASL_NONE ? client->line.used : 0;
    reply_line(client, line, seen);
    memset(buffer, 0, used); /* a challenge leaves nothing behind */
    ehlo_line_done(&client->line);
    client->begun_early = 0;
  } else if (client->line.fault != 0) {
    ehlo_client_violate(
        client, client->line.fault == LINE_TOO_LONG ? EHLO_VIOLATION_LINE_TOO_LONG : EHLO_VIOLATION_BARE_NEWLINE,
        span_of(buffer, client->line.used));
  }
  return taken;
}

int ehlo_client_enter_call(ehlo_client *client)
{
  if (client == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if (client->busy) {
    return EHLO_ERR_REENTRANT;
  }
  if (client->fatal) {
    return EHLO_ERR_HOST;
  }
  client->busy = 1;
  return EHLO_OK;
}

int ehlo_client_leave_call(ehlo_client *client)
{
  client->busy = 0;
  return client->fatal ? EHLO_ERR_HOST : EHLO_OK;
}

int ehlo_client_feed(ehlo_client *client, const void *data, size_t size, size_t *consumed)
{
  if (consumed == NULL || (data == NULL && size > 0)) {
    return EHLO_ERR_ARGUMENT;
  }
  *consumed = 0;
  int result = ehlo_client_enter_call(client);
  if (result != EHLO_OK) {
    *consumed = result == EHLO_ERR_HOST ? size : 0;
    return result;
  }
  const unsigned char *octets = data;
  size_t at = 0;
  begin_chunks(client);
  while (at < size && client->state < CLIENT_TURN) {
    if (client->state == CLIENT_TLS) {
      ehlo_client_violate(client, EHLO_VIOLATION_BEFORE_TLS, span_of(octets + at, size - at));
      break;
    }
    at += feed_line(client, octets + at, size - at);
  }
  *consumed = client->state == CLIENT_CLOSED ? size : at;
  return ehlo_client_leave_call(client);
}

static int ended(ehlo_client *client, uint32_t reason)
{
  int result = ehlo_client_enter_call(client);
  if (result != EHLO_OK) {
    return result;
  }
  if (client->state != CLIENT_CLOSED) {
    ehlo_client_close(client, reason, 451, no_enhanced());
  }
  return ehlo_client_leave_call(client);
}

int ehlo_client_eof(ehlo_client *client)
{
  return ended(client, EHLO_END_LOST);
}

int ehlo_client_timed_out(ehlo_client *client)
{
  return ended(client, EHLO_END_TIMED_OUT);
}

/* ---- output ---- */

const void *ehlo_client_output(ehlo_client *client, size_t *size)
{
  if (size == NULL) {
    return NULL;
  }
  *size = client == NULL ? 0 : client->released_to - client->sent;
  return *size == 0 ? NULL : client_part(client, client->output_at) + client->output.head;
}

void ehlo_client_sent(ehlo_client *client, size_t size)
{
  size_t waiting;
  (void)ehlo_client_output(client, &waiting);
  if (size == 0 || size > waiting) {
    return; /* what a write that failed returned is no count */
  }
  client->sent += (uint32_t)size;
  client->epoch++;
  unsigned char *buffer = client_part(client, client->output_at);
  uint32_t tail = client->output.tail;
  if (client->sasl != SASL_NONE) {
    memset(buffer + client->output.head, 0, size);
  }
  ehlo_output_took(&client->output, buffer, size);
  ehlo_client_wipe_behind(client, tail);
}

uint32_t ehlo_client_want(const ehlo_client *client)
{
  if (client == NULL) {
    return 0;
  }
  if (client->state == CLIENT_CLOSED) {
    return EHLO_WANT_CLOSE;
  }
  if (client->state == CLIENT_TURN) {
    return EHLO_WANT_TURN;
  }
  if (client->state == CLIENT_TLS) {
    return EHLO_WANT_TLS;
  }
  uint32_t want = EHLO_WANT_READ;
  want |= client->released_to != client->sent ? EHLO_WANT_WRITE : 0U;
  want |= ehlo_client_chunks_due(client) ? EHLO_WANT_FEED : 0U;
  int content = client->call == CALL_CONTENT && (!client->by_chunks || ehlo_client_chunk_can_go(client));
  return want | (content ? EHLO_WANT_CONTENT : 0U);
}

uint32_t ehlo_client_timeout(const ehlo_client *client, uint64_t *epoch)
{
  if (epoch != NULL) {
    *epoch = client == NULL ? 0 : client->epoch;
  }
  if (client == NULL || client->state >= CLIENT_TLS) {
    return 0;
  }
  if (ehlo_client_chunks_due(client)) {
    return 0; /* the host is to call feed */
  }
  if (client->call == CALL_CONTENT && client->chunks == 0) {
    return client->gathered || client->released_to != client->sent ? client->content_timeout : 0;
  }
  if (client->state == CLIENT_GREETING) {
    return client->greeting_timeout;
  }
  if (client->sasl == SASL_CHALLENGED) {
    return 0;
  }
  if (client->count == 0) {
    return client->released_to != client->sent ? client->content_timeout : 0; /* the end of content for nobody */
  }
  switch (client_command(client, 0)->verb) {
  case EHLO_VERB_DATA: return client->data_timeout;
  case EHLO_VERB_MESSAGE:
  case EHLO_VERB_RESULT:
    return expected_verb(client) == EHLO_VERB_NONE ? client->content_timeout : client->verdict_timeout;
  default: return client->command_timeout;
  }
}
