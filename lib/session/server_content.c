/* server_content.c: DATA in, and its verdicts. Floor: session.
 *
 * Behind 354 one slot stands in the queue: the message's. Its ticket goes out with every BODY, so that the host can refuse early;
 * the answer then waits in the slot for the end of the content. At the end the slot becomes the verdict in SMTP; in LMTP it is
 * given back and each recipient gets a slot of its own, or, if the whole message was refused, it answers for all
 * recipients one after the other.
 */
#include "server.h"

#include <string.h>

/* How many spans one BODY can carry. */
enum { BODY_SPANS = 64 };

void ehlo_content_begin(ehlo_server *server)
{
  ehlo_dot_init(&server->dot, 0);
  struct slot *slot = ehlo_slot_open(server, EHLO_VERB_MESSAGE);
  slot->asked = 1;
  slot->utf8 = server->smtputf8;
  ehlo_server_enter(server, STATE_CONTENT);
}

/* Content that nobody wants any more: it is read to its end, and what is said there is settled. */
static void drain(ehlo_server *server, unsigned row, uint32_t fate)
{
  struct slot *slot = server_front(server);
  if (slot->state != SLOT_ANSWERED) {
    ehlo_slot_answer(server, slot, row);
    server->fate = (uint8_t)fate;
  }
  server->paused = 0;
  server->draining = 1;
}

/* Hands out what fits the limit on the size of a message; the rest makes it too big. */
static void deliver(ehlo_server *server, ehlo_span *spans, size_t count)
{
  uint64_t room = server->max_message_size == 0 ? UINT64_MAX : server->max_message_size - server->octets;
  uint64_t octets = 0;
  size_t kept = 0;
  while (kept < count && octets + spans[kept].len <= room) {
    octets += spans[kept++].len;
  }
  int too_big = kept < count;
  if (too_big && octets < room) {
    spans[kept++].len = (size_t)(room - octets);
    octets = room;
  }
  server->octets += octets;
  if (kept > 0) {
    struct slot *slot = server_front(server);
    ehlo_event event = {.type = EHLO_EVENT_BODY, .ticket = slot->ticket, .as.body = {spans, kept, server->octets}};
    server->asking = slot->ticket;
    int failed = ehlo_server_emit(server, &event);
    server->asking = 0;
    if (server->state == STATE_CLOSED) {
      return;
    }
    if (failed) {
      drain(server, REPLY_LOCAL_ERROR, 0);
    } else if (slot->state == SLOT_ANSWERED) {
      drain(server, REPLY_LOCAL_ERROR, 0);
    }
  }
  if (too_big && !server->draining) {
    ehlo_server_violation(server, EHLO_VIOLATION_TOO_BIG, EHLO_VERB_MESSAGE, span_of("", 0));
    if (server->state != STATE_CLOSED) {
      drain(server, REPLY_TOO_BIG, EHLO_END_TOO_BIG);
    }
  }
}

static void bare_newline(ehlo_server *server)
{
  if (server->draining) {
    return;
  }
  ehlo_server_violation(server, EHLO_VIOLATION_BARE_NEWLINE, EHLO_VERB_MESSAGE, span_of("", 0));
  if (server->state != STATE_CLOSED && !server->allow_bare_newline) {
    drain(server, REPLY_BARE_NEWLINE_DATA, EHLO_END_BARE_NEWLINE);
  }
}

int ehlo_content_feed(ehlo_server *server, const unsigned char *data, size_t size, size_t *taken)
{
  ehlo_span spans[BODY_SPANS];
  size_t at = 0;
  int result = EHLO_DOT_MORE;
  const struct slot *slot = server_front(server);
  if (slot->state == SLOT_ANSWERED && !server->draining) {
    drain(server, REPLY_LOCAL_ERROR, 0); /* refused while it was paused */
  }
  while (at < size && result != EHLO_DOT_END && !server->paused && server->state == STATE_CONTENT) {
    size_t used;
    size_t count;
    result = ehlo_dot_decode(&server->dot, data + at, size - at, &used, spans, BODY_SPANS, &count);
    at += used;
    if (count > 0 && !server->draining) {
      deliver(server, spans, count);
    }
    if (result == EHLO_ERR_BARE_NEWLINE && server->state == STATE_CONTENT) {
      bare_newline(server);
    }
  }
  *taken = at;
  if (at > 0) {
    server->epoch++;
  }
  if (result == EHLO_DOT_END && server->state == STATE_CONTENT) {
    ehlo_server_enter(server, STATE_VERDICT);
    return 1;
  }
  return server->state != STATE_CONTENT;
}

/* Whole content: asks for the verdict on it. */
static void ask_message(ehlo_server *server)
{
  ehlo_event event = {.type = EHLO_EVENT_MESSAGE, .as.message = {server->recipients, server->octets}};
  server->results_asked = 1;
  ehlo_slot_ask(server, server_front(server), &event);
}

static void ask_result(ehlo_server *server)
{
  ehlo_event event = {.type = EHLO_EVENT_RESULT, .as.result = {server->results_asked, server->octets}};
  server->results_asked++;
  struct slot *slot = ehlo_slot_open(server, EHLO_VERB_RESULT);
  slot->utf8 = server->smtputf8;
  if (server->doomed) {
    ehlo_slot_answer(server, slot, REPLY_LOCAL_ERROR);
  } else {
    ehlo_slot_ask(server, slot, &event);
  }
}

int ehlo_content_verdict(ehlo_server *server)
{
  struct slot *front = server_front(server);
  int lmtp = server->protocol == EHLO_PROTOCOL_LMTP;
  if (!ehlo_server_has_room(server)) {
    return 0;
  }
  if (front != NULL && front->verb == EHLO_VERB_MESSAGE && server->results_asked == 0) {
    if (server->doomed && front->state != SLOT_ANSWERED) {
      ehlo_slot_answer(server, front, REPLY_LOCAL_ERROR);
    }
    if (front->state == SLOT_ANSWERED) {
      front->verb = lmtp ? EHLO_VERB_RESULT : EHLO_VERB_MESSAGE;
      server->results_asked = lmtp ? server->recipients : 1;
      return 1;
    }
    if (!lmtp) {
      ask_message(server);
      return 1;
    }
    server->count = 0;
  }
  if (!lmtp || server->results_asked == server->recipients || server->count == server->max_pending) {
    return 0;
  }
  ask_result(server);
  return 1;
}

/* How a transaction whose verdicts are all given has gone. */
static uint32_t outcome(const ehlo_server *server, uint32_t verdicts)
{
  if (server->fate != 0) {
    return server->fate;
  }
  if (server->results_good == verdicts) {
    return EHLO_END_ACCEPTED;
  }
  if (server->results_good > 0) {
    return EHLO_END_MIXED;
  }
  return server->doomed ? EHLO_END_FAILED : EHLO_END_REFUSED;
}

int ehlo_content_proceed(ehlo_server *server, const struct slot *slot)
{
  uint32_t verdicts = slot->verb == EHLO_VERB_RESULT ? server->recipients : 1;
  server->results_replied++;
  if (slot->code < 300) {
    server->results_good++;
    server->errors = 0;
  }
  if (server->results_replied == verdicts) {
    ehlo_server_end_transaction(server, outcome(server, verdicts));
    return 0;
  }
  /* An answer for all recipients is the only one in the queue while others are still owed. */
  return server->count == 0 && server->results_asked == verdicts;
}
