/* server_content.c: DATA and BDAT in, and their verdicts. Floor: session.
 *
 * Behind 354 one slot stands in the queue: the message's. Its ticket goes out with every BODY, so that the host can
 * refuse early; the answer then waits in the slot for the end of the content. At the end the slot becomes the verdict
 * in SMTP; in LMTP it is given back and each recipient gets a slot of its own, or, if the whole message was refused, it
 * answers for all recipients one after the other.
 *
 * Each chunk of BDAT has such a slot too. At the end of one that is not the last it becomes the answer to BDAT: 250, or
 * what the host said early.
 */
#include "server.h"

#include <string.h>

/* How many spans one BODY can carry. */
enum { BODY_SPANS = 64 };

/* Opens the slot that the content of a message or chunk ends with. */
static void begin(ehlo_server *server)
{
  server->found = 0;
  struct slot *slot = ehlo_slot_open(server, EHLO_VERB_MESSAGE);
  slot->asked = 1;
  ehlo_server_enter(server, STATE_CONTENT);
}

void ehlo_content_begin(ehlo_server *server)
{
  ehlo_dot_begin(&server->dot, 0, server->dot.kernel);
  begin(server);
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

/* Hands out what fits the limit on the size of a message. Returns FOUND_TOO_BIG if there is more. */
static unsigned deliver(ehlo_server *server, ehlo_span *spans, size_t count)
{
  uint64_t room = server->max_message_size == 0 ? UINT64_MAX : server->max_message_size - server->octets;
  uint64_t octets = 0;
  size_t kept = 0;
  while (kept < count && octets + spans[kept].len <= room) {
    octets += spans[kept++].len;
  }
  int more = kept < count;
  if (more && octets < room) {
    spans[kept++].len = (size_t)(room - octets);
    octets = room;
  }
  server->octets += octets;
  if (kept > 0) {
    struct slot *slot = server_front(server);
    ehlo_event event; /* not set to zero first: the event of MAIL is large, and this one comes for every piece */
    event.type = EHLO_EVENT_BODY;
    event.ticket = slot->ticket;
    event.as.body = (ehlo_event_body){spans, kept, server->octets};
    server->asking = slot->ticket;
    server->begun_before = 0;
    int failed = ehlo_server_emit(server, &event);
    server->asking = 0;
    if (server->state != STATE_CLOSED && (failed || slot->state == SLOT_ANSWERED)) {
      drain(server, REPLY_LOCAL_ERROR, 0);
    }
  }
  return more ? FOUND_TOO_BIG : 0;
}

static void too_big(ehlo_server *server)
{
  ehlo_server_violation(server, EHLO_VIOLATION_TOO_BIG, EHLO_VERB_MESSAGE, span_of("", 0));
  if (server->state != STATE_CLOSED) {
    drain(server, REPLY_TOO_BIG, EHLO_END_TOO_BIG);
  }
}

static void bare_newline(ehlo_server *server)
{
  ehlo_server_violation(server, EHLO_VIOLATION_BARE_NEWLINE, EHLO_VERB_MESSAGE, span_of("", 0));
  if (server->state != STATE_CLOSED && !server->allow_bare_newline) {
    drain(server, REPLY_BARE_NEWLINE_DATA, EHLO_END_BARE_NEWLINE);
  }
}

/* The content is complete. What was decided about all of it already goes to everybody who waits for a verdict; else the
 * message's slot waits for the host, or in LMTP makes room for the recipients'. */
static void complete(ehlo_server *server)
{
  struct slot *slot = server_front(server);
  int lmtp = server->protocol == EHLO_PROTOCOL_LMTP;
  if (server->doomed && slot->state != SLOT_ANSWERED) {
    ehlo_slot_answer(server, slot, REPLY_LOCAL_ERROR);
  }
  if (lmtp && slot->state != SLOT_ANSWERED && slot->code != 0) {
    /* A refusal was begun and not ended, and there will be no MESSAGE to end it in. */
    (void)ehlo_server_close(server, EHLO_END_SHUTDOWN);
    return;
  }
  if (slot->state == SLOT_ANSWERED) {
    slot->verb = lmtp ? EHLO_VERB_RESULT : EHLO_VERB_MESSAGE;
    server->results_asked = lmtp ? server->recipients : 1;
  } else if (lmtp) {
    server->count = 0;
  }
  ehlo_server_enter(server, STATE_VERDICT);
}

/* A chunk that is not the last is complete: 250, unless the host or the content said otherwise. */
static void complete_chunk(ehlo_server *server)
{
  struct slot *slot = server_front(server);
  ehlo_server_enter(server, STATE_CHUNKS);
  slot->verb = EHLO_VERB_BDAT;
  server->draining = 0;
  if (slot->state != SLOT_ANSWERED && slot->code != 0) {
    (void)ehlo_server_close(server, EHLO_END_SHUTDOWN); /* a refusal was begun and not ended */
  } else if (slot->state != SLOT_ANSWERED) {
    ehlo_slot_answer(server, slot, server->doomed ? REPLY_LOCAL_ERROR : REPLY_OKAY);
  }
}

/* Deals with what was found, in the order of the octets, unless the host has paused the content. */
static void deal(ehlo_server *server)
{
  unsigned found = server->found;
  if (server->paused || found == 0) {
    return;
  }
  server->found = 0;
  if ((found & FOUND_TOO_BIG) != 0 && !server->draining) {
    too_big(server);
  }
  if ((found & FOUND_BARE_NEWLINE) != 0 && !server->draining && server->state == STATE_CONTENT) {
    bare_newline(server);
  }
  if (server->doomed && !server->draining && server->state == STATE_CONTENT) {
    drain(server, REPLY_LOCAL_ERROR, 0);
  }
  if ((found & FOUND_END) != 0 && server->state == STATE_CONTENT) {
    if (server->chunking && !server->chunk.last) {
      complete_chunk(server);
    } else {
      complete(server);
    }
  }
}

/* Takes octets of a chunk: content as it stands. Text is held to the same line endings as in DATA: whoever gets it next
 * may get it that way. May take nothing but note of a bare newline, once. */
static size_t feed_chunk(ehlo_server *server, const unsigned char *data, size_t size)
{
  size_t taken = chunk_has(&server->chunk, size);
  size_t good = taken;
  int text = server->body != EHLO_BODY_BINARYMIME && !server->draining;
  if (text && !server->chunk.bare) {
    good = ehlo_chunk_check(&server->chunk, server->dot.kernel, data, taken);
    if (server->chunk.left == taken && server->chunk.last && server->chunk.after_cr && good == taken) {
      good--; /* a CR ends the message */
    }
  }
  if (good < taken) {
    server->found |= FOUND_BARE_NEWLINE;
    taken = server->allow_bare_newline ? good : taken; /* it is told before what follows is looked at */
    server->chunk.after_cr = 0;
    server->chunk.bare = 1;
  }
  server->chunk.left -= taken;
  if (good > 0 && !server->draining) {
    ehlo_span span = span_of(data, good);
    server->found |= (uint8_t)deliver(server, &span, 1);
  }
  server->found |= server->chunk.left == 0 ? FOUND_END : 0;
  return taken;
}

int ehlo_content_feed(ehlo_server *server, const unsigned char *data, size_t size, size_t *taken)
{
  ehlo_span spans[BODY_SPANS];
  size_t at = 0;
  if ((server_front(server)->state == SLOT_ANSWERED || server->doomed) && !server->draining) {
    drain(server, REPLY_LOCAL_ERROR, 0); /* refused while it was paused, or a handler failed */
  }
  deal(server);
  while (at < size && !server->paused && server->state == STATE_CONTENT) {
    if (server->chunking) {
      at += feed_chunk(server, data + at, size - at);
      deal(server);
      continue;
    }
    size_t used;
    size_t count;
    int result = ehlo_dot_decode(&server->dot, data + at, size - at, &used, spans, BODY_SPANS, &count);
    at += used;
    if (count > 0 && !server->draining) {
      server->found |= (uint8_t)deliver(server, spans, count);
    }
    server->found |= result == EHLO_ERR_BARE_NEWLINE ? FOUND_BARE_NEWLINE : 0;
    server->found |= result == EHLO_DOT_END ? FOUND_END : 0;
    deal(server);
  }
  *taken = at;
  if (at > 0) {
    server->epoch++;
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
  if (server->doomed) {
    ehlo_slot_answer(server, slot, REPLY_LOCAL_ERROR);
  } else {
    ehlo_slot_ask(server, slot, &event);
  }
}

int ehlo_content_verdict(ehlo_server *server)
{
  int lmtp = server->protocol == EHLO_PROTOCOL_LMTP;
  uint32_t owed = lmtp ? server->recipients : 1;
  if (server->results_asked == owed || (lmtp && server->count == server->max_pending) ||
      !ehlo_server_has_room(server)) {
    return 0;
  }
  if (lmtp) {
    ask_result(server);
  } else {
    ask_message(server);
  }
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

/* ---- BDAT ---- */

void ehlo_content_chunk(ehlo_server *server, ehlo_span argument, unsigned row)
{
  uint64_t size;
  uint32_t last;
  if (ehlo_parse_chunk(argument, &size, &last) != EHLO_OK) {
    /* Where its octets end nobody knows. */
    if (ehlo_server_close(server, EHLO_END_SHUTDOWN)) {
      ehlo_server_say(server, EHLO_VERB_BDAT, row);
    }
    return;
  }
  /* "BDAT LAST returns one reply for each previously successful RCPT" (RFC 2033 4.3), a chunk before it that failed or
   * not. */
  int refuses_all = last && row == REPLY_CHUNK_FAILED && server->protocol == EHLO_PROTOCOL_LMTP;
  if (row != REPLY_ROWS && !refuses_all) {
    int silent = last && row == REPLY_NO_RECIPIENTS_503 && server->protocol == EHLO_PROTOCOL_LMTP;
    server->skip = size;
    server->skipping = 1;
    server->skip_row = (uint8_t)(silent ? REPLY_ROWS : row); /* nobody has a verdict to get (RFC 2033 4.3) */
    return;
  }
  if (!server->chunking) {
    server->chunking = 1;
    server->chunk.after_cr = 0;
    server->chunk.bare = 0;
  }
  server->chunk.left = size;
  server->chunk.last = (uint8_t)last;
  begin(server);
  if (refuses_all) {
    drain(server, row, server->fate);
  }
  if (size == 0) {
    server->found |= FOUND_END;
    if (last && server->chunk.after_cr && server->body != EHLO_BODY_BINARYMIME) {
      server->found |= FOUND_BARE_NEWLINE;
    }
  }
}

int ehlo_content_skip(ehlo_server *server, size_t size, size_t *taken)
{
  *taken = size < server->skip ? size : (size_t)server->skip;
  server->skip -= *taken;
  if (*taken > 0) {
    server->epoch++;
  }
  if (server->skip > 0) {
    return 0;
  }
  server->skipping = 0;
  if (server->skip_row != REPLY_ROWS) {
    ehlo_server_say(server, EHLO_VERB_BDAT, server->skip_row);
  }
  return 1;
}

/* A part of the message is missing, so nothing but the end of the transaction helps. */
static void chunk_fails(ehlo_server *server)
{
  server->chunk_failed = 1;
  if (server->fate == 0 && !server->doomed) {
    server->fate = EHLO_END_REFUSED;
  }
}

void ehlo_content_missing(ehlo_server *server)
{
  int begins = server->state == STATE_RCPT && server_offers(server, EHLO_EXT_BURL);
  if (begins || server->state == STATE_CHUNKS) {
    ehlo_server_enter(server, STATE_CHUNKS);
    chunk_fails(server);
  }
}

void ehlo_content_burl(ehlo_server *server, ehlo_span url, int last)
{
  ehlo_event event = {.type = EHLO_EVENT_BURL, .as.burl = {url, (uint32_t)last, server->recipients, server->octets}};
  /* A CR before what is fetched has lost its LF, as at the end of the message. */
  int bare = server->chunking && server->chunk.after_cr;
  server->chunk.after_cr = 0;
  if (bare) {
    server->chunk.bare = 1;
    ehlo_server_violation(server, EHLO_VIOLATION_BARE_NEWLINE, EHLO_VERB_MESSAGE, span_of("", 0));
    if (server->state == STATE_CLOSED) {
      return;
    }
  }
  struct slot *slot = ehlo_slot_open(server, last ? EHLO_VERB_MESSAGE : EHLO_VERB_BURL);
  server->results_asked = last ? 1 : 0;
  ehlo_server_enter(server, last ? STATE_VERDICT : STATE_CHUNKS);
  if (bare && !server->allow_bare_newline) {
    server->fate = EHLO_END_BARE_NEWLINE;
    ehlo_slot_answer(server, slot, REPLY_BARE_NEWLINE_DATA);
  } else if (server->doomed) {
    ehlo_slot_answer(server, slot, REPLY_LOCAL_ERROR);
  } else {
    ehlo_slot_ask(server, slot, &event);
  }
}

void ehlo_content_proceed_chunk(ehlo_server *server, const struct slot *slot)
{
  if (slot->code >= 300 && server->state == STATE_CHUNKS) {
    chunk_fails(server);
  }
}
