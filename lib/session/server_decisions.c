/* server_decisions.c: tickets, parked answers, silence. Floor: session.
 *
 * server.h tells how slots work. Here an answer is checked, parked or written; what it leads to is not decided here, so
 * that ehlo_server_reply can be called at any moment.
 */
#include "server.h"

#include "../bytes/buffer.h"

#include <string.h>

/* Text of this length fits a line whatever stands before it: code, enhanced code, the host's name (at most 255). */
enum { TEXT_LENGTH_SURE = 200 };

int ehlo_server_has_room(const ehlo_server *server)
{
  return output_room(&server->output) >= REPLY_LINE_MAX;
}

static unsigned char *slot_text(const ehlo_server *server, const struct slot *slot)
{
  uint32_t index = (uint32_t)(slot - server_slot(server, 0));
  return server_part(server, server->texts_at) + (size_t)index * server->pending_text;
}

struct slot *ehlo_slot_open(ehlo_server *server, uint32_t verb)
{
  uint32_t index = server->first + server->count;
  struct slot *slot = server_slot(server, index < server->max_pending ? index : index - server->max_pending);
  memset(slot, 0, sizeof *slot);
  slot->verb = (uint8_t)verb;
  slot->row = REPLY_ROWS;
  slot->state = SLOT_ASKED;
  slot->ticket = ++server->next_ticket;
  server->count++;
  return slot;
}

/* Tickets in the queue are consecutive. */
struct slot *ehlo_slot_find(const ehlo_server *server, uint32_t ticket)
{
  const struct slot *front = server_front(server);
  if (front == NULL || ticket - front->ticket >= server->count) {
    return NULL;
  }
  uint32_t index = server->first + (ticket - front->ticket);
  struct slot *slot = server_slot(server, index < server->max_pending ? index : index - server->max_pending);
  return slot->asked && slot->state <= SLOT_DEFERRED ? slot : NULL;
}

/* ---- writing ---- */

/* Does the first line of this reply begin with the host's name? (RFC 5321 4.2: the texts of 220, 221 and 421,
 * and 4.1.1.1) */
static int names_host(uint32_t verb, uint32_t code)
{
  return code == 421 || code == 221 || (code == 220 && (verb == EHLO_VERB_CONNECT || verb == EHLO_VERB_XCLIENT)) ||
         (code == 250 && verb_is_hello(verb));
}

/* Does this reply carry an enhanced code? (RFC 2034 4: not in greetings, answers to hello, and 3yz) */
static inline int has_enhanced(const ehlo_server *server, uint32_t verb, uint32_t code)
{
  /* LHLO is no greeting to SMTP, but a word like any other. */
  int greeting = verb == EHLO_VERB_CONNECT || verb == EHLO_VERB_HELO || verb == EHLO_VERB_EHLO ||
                 (verb == EHLO_VERB_LHLO && server->protocol == EHLO_PROTOCOL_LMTP);
  greeting |= verb == EHLO_VERB_XCLIENT && code == 220;
  return server_offers(server, EHLO_EXT_ENHANCEDSTATUSCODES) && code / 100 != 3 && !greeting;
}

/* Appends one line of the front slot's reply to the output. Returns 1, or 0 if there is no room. */
static int put_line(ehlo_server *server, struct slot *slot, int last, ehlo_span text)
{
  char with_host[REPLY_LINE_MAX];
  if (!slot->begun && names_host(slot->verb, slot->code)) {
    struct writer writer = writer_on(with_host, sizeof with_host);
    write_span(&writer, server_hostname(server));
    if (text.len > 0) {
      write_octet(&writer, ' ');
      write_span(&writer, text);
    }
    text = span_of(with_host, writer.length);
  }
  size_t length = reply_length(slot->enhanced, text.len);
  if (length > output_room(&server->output)) {
    return 0;
  }
  char *tail = (char *)server_part(server, server->output_at) + server->output.tail;
  ehlo_reply_write(tail, slot->code, last, slot->enhanced, text);
  output_wrote(&server->output, length);
  slot->begun = 1;
  return 1;
}

/* "Commands:" and the verbs that this session knows, in `buffer` of REPLY_LINE_MAX octets. */
static ehlo_span help_text(const ehlo_server *server, char *buffer)
{
  struct writer writer = writer_on(buffer, REPLY_LINE_MAX);
  write_span(&writer, ehlo_reply_text(REPLY_HELP_COMMANDS));
  for (uint32_t verb = EHLO_VERB_HELO; verb < EHLO_VERB_COUNT; verb++) {
    uint32_t extension = ehlo_commands[verb].extension;
    int lmtp = server->protocol == EHLO_PROTOCOL_LMTP;
    int other_protocol = lmtp ? verb == EHLO_VERB_HELO || verb == EHLO_VERB_EHLO : verb == EHLO_VERB_LHLO;
    if (!other_protocol && (extension == EXTENSION_ALWAYS || server_offers(server, extension))) {
      write_octet(&writer, ' ');
      write_string(&writer, ehlo_verb_name(verb));
    }
  }
  return span_of(buffer, writer.length);
}

/* Writes the last line of an answer, and for EHLO and LHLO the list of extensions behind it. */
static void write_last(ehlo_server *server, struct slot *slot, ehlo_span text)
{
  int lists = (slot->verb == EHLO_VERB_EHLO || slot->verb == EHLO_VERB_LHLO) && slot->code == 250;
  if (!lists) {
    if (put_line(server, slot, 1, text)) {
      slot->state = SLOT_WRITTEN;
    }
    return;
  }
  uint32_t next = ehlo_server_next_line(server, 0);
  if (slot->capability == 0) {
    if (!put_line(server, slot, next == HELLO_LINES, text)) {
      return;
    }
    slot->capability = 1;
  } else {
    next = ehlo_server_next_line(server, slot->capability - 1U);
  }
  while (next < HELLO_LINES) {
    char buffer[REPLY_LINE_MAX];
    uint32_t behind = ehlo_server_next_line(server, next + 1);
    if (!put_line(server, slot, behind == HELLO_LINES, ehlo_server_line(server, next, buffer))) {
      return;
    }
    slot->capability = (uint8_t)(behind + 1);
    next = behind;
  }
  slot->state = SLOT_WRITTEN;
}

/* Writes the parked lines that are not the last. Returns 1 if none is left. */
static int write_parked(ehlo_server *server, struct slot *slot)
{
  const char *text = (const char *)slot_text(server, slot);
  while (slot->unparked < slot->parked) {
    const char *line = text + slot->unparked;
    const char *lf = memchr(line, '\n', (size_t)(slot->parked - slot->unparked));
    if (lf == NULL) {
      break;
    }
    if (!put_line(server, slot, 0, span_between(line, lf))) {
      return 0;
    }
    slot->unparked = (uint16_t)(lf + 1 - text);
  }
  return 1;
}

void ehlo_slot_write(ehlo_server *server, struct slot *slot)
{
  char buffer[REPLY_LINE_MAX];
  if (slot->verb == EHLO_VERB_MESSAGE && server->state == STATE_CONTENT) {
    return; /* refused early: its turn comes at the end of the content */
  }
  if ((slot->unparked < slot->parked && !write_parked(server, slot)) || slot->state != SLOT_ANSWERED) {
    return;
  }
  if (slot->row == REPLY_ROWS) {
    size_t parked = (size_t)(slot->parked - slot->unparked);
    write_last(server, slot, span_of(slot_text(server, slot) + slot->unparked, parked));
  } else if (slot->row == REPLY_HELP_COMMANDS) {
    write_last(server, slot, help_text(server, buffer));
  } else {
    write_last(server, slot, ehlo_reply_text(slot->row));
  }
}

/* ---- what the library says ---- */

static void write_if_front(ehlo_server *server, struct slot *slot)
{
  if (slot == server_front(server)) {
    ehlo_slot_write(server, slot);
  }
}

/* Most replies by far are one line of the table as it stands there: a copy does for those. Returns 1 if it was one. */
static int write_row(ehlo_server *server, struct slot *slot)
{
  if (slot != server_front(server) || slot->enhanced.status_class == 0 || slot->begun ||
      slot->row == REPLY_HELP_COMMANDS || names_host(slot->verb, slot->code) || !ehlo_server_has_room(server) ||
      (slot->verb == EHLO_VERB_MESSAGE && server->state == STATE_CONTENT)) {
    return 0;
  }
  ehlo_span line = ehlo_reply_row_line(slot->row);
  char *tail = (char *)server_part(server, server->output_at) + server->output.tail;
  memcpy(tail, line.ptr, line.len);
  tail[4] = tail[0];
  output_wrote(&server->output, line.len);
  slot->begun = 1;
  slot->state = SLOT_WRITTEN;
  return 1;
}

void ehlo_slot_answer(ehlo_server *server, struct slot *slot, unsigned row)
{
  const struct reply_row *reply = &ehlo_replies[row];
  ehlo_enhanced none = {0, 0, 0};
  slot->code = reply->code;
  slot->enhanced = none;
  if (has_enhanced(server, slot->verb, slot->code)) {
    slot->enhanced.status_class = (uint16_t)(slot->code / 100);
    slot->enhanced.subject = reply->subject;
    slot->enhanced.detail = reply->detail;
  }
  slot->row = (uint8_t)row;
  slot->parked = slot->unparked = 0;
  slot->state = SLOT_ANSWERED;
  if (!write_row(server, slot)) {
    write_if_front(server, slot);
  }
}

void ehlo_server_say(ehlo_server *server, uint32_t verb, unsigned row)
{
  ehlo_slot_answer(server, ehlo_slot_open(server, verb), row);
}

/* The row of the positive answer to a verb. */
static unsigned accept_row(const ehlo_server *server, uint32_t verb)
{
  unsigned row = ehlo_commands[verb].accept_reply;
  return row == REPLY_GREETING && server->protocol == EHLO_PROTOCOL_LMTP ? REPLY_GREETING_LMTP : row;
}

/* The default row for a code in answer to a verb. */
static unsigned default_row(const ehlo_server *server, uint32_t verb, uint32_t code)
{
  if (code == ehlo_commands[verb].accept) {
    return accept_row(server, verb);
  }
  if (verb == EHLO_VERB_AUTH && code == 454) {
    return REPLY_AUTH_LATER;
  }
  if (verb == EHLO_VERB_ETRN && (code == 251 || code == 252)) {
    return code == 251 ? REPLY_ETRN_NONE : REPLY_ETRN_PENDING;
  }
  return verb == EHLO_VERB_CONNECT && code == 554 ? (unsigned)REPLY_NO_SERVICE : ehlo_reply_find(code);
}

/* A handler failed: what it may have said is taken back, unless it is a whole refusal. */
static void revoke(ehlo_server *server, struct slot *slot)
{
  if (slot->state >= SLOT_ANSWERED && slot->code >= 400) {
    return;
  }
  if (server->begun_before) {
    /* Lines of a refusal are on the wire: it must be ended as it was begun. */
    slot->row = REPLY_ROWS;
    slot->parked = slot->unparked = 0;
    slot->state = SLOT_ANSWERED;
    write_if_front(server, slot);
    return;
  }
  if (slot->begun && slot == server_front(server)) {
    server->output.tail = server->visible;
  }
  slot->begun = 0;
  slot->capability = 0;
  slot->code = 0;
  ehlo_slot_answer(server, slot, slot->verb == EHLO_VERB_CONNECT ? REPLY_UNAVAILABLE : REPLY_LOCAL_ERROR);
}

void ehlo_slot_ask(ehlo_server *server, struct slot *slot, ehlo_event *event)
{
  event->ticket = slot->ticket;
  slot->asked = 1;
  server->asking = slot->ticket;
  server->begun_before = slot->begun;
  int failed = ehlo_server_emit(server, event);
  server->asking = 0;
  if (server->state == STATE_CLOSED) {
    return;
  }
  if (failed) {
    revoke(server, slot);
  } else if (slot->state == SLOT_ASKED && slot->code == 0) {
    unsigned row = ehlo_commands[slot->verb].silence;
    ehlo_slot_answer(server, slot, row == REPLY_GREETING ? accept_row(server, slot->verb) : row);
  } else if (slot->state == SLOT_ASKED) {
    /* A long answer was begun and not ended. Nothing can be said that would not end it in the host's name. */
    ehlo_server_close(server, EHLO_END_SHUTDOWN);
  }
}

void ehlo_server_cancel(ehlo_server *server)
{
  const struct slot *front = server_front(server);
  if (front != NULL && front->begun && front->state != SLOT_WRITTEN) {
    server->unfinished = 1;
  }
  while (server->count > 0) {
    struct slot slot = *server_front(server);
    server->first = server->first + 1 < server->max_pending ? server->first + 1 : 0;
    server->count--;
    if (slot.state == SLOT_DEFERRED || (slot.verb == EHLO_VERB_MESSAGE && server->paused)) {
      ehlo_event event = {.type = EHLO_EVENT_CANCEL, .as.cancel = {slot.ticket, slot.tag}};
      server->paused = 0;
      ehlo_server_emit(server, &event);
      if (server->fatal) {
        server->count = 0;
      }
    }
  }
}

/* ---- what the host says ---- */

/* Is the text legal in a reply? UTF-8 stands only in the answers that quote an address to a client that asked for it:
 * 251 and 551 in a transaction with SMTPUTF8, and those to VRFY and EXPN with SMTPUTF8 (RFC 6531 3.7.4). */
static int text_is_legal(const struct slot *slot, int code, ehlo_span text)
{
  if (span_is(text, CLASS_TEXT)) {
    return 1;
  }
  for (size_t i = 0; i < text.len; i++) {
    unsigned char octet = (unsigned char)text.ptr[i];
    if (octet < 128 && !octet_is(octet, CLASS_TEXT)) {
      return 0;
    }
  }
  int quotes_address = slot->verb != EHLO_VERB_RCPT || code == 251 || code == 551;
  return slot->utf8 && quotes_address && ehlo_utf8_valid(text) == text.len;
}

/* How many octets the line will take. */
static size_t line_length(const ehlo_server *server, const struct slot *slot, uint32_t code, ehlo_enhanced enhanced,
                          size_t text)
{
  if (!slot->begun && names_host(slot->verb, code)) {
    text += server->hostname_len + (text > 0 ? 1U : 0U);
  }
  return reply_length(enhanced, text);
}

/* May this code answer what was asked? */
static int code_is_legal(const ehlo_server *server, const struct slot *slot, int code)
{
  if (code < 200 || code > 559 || code / 10 % 10 > 5 || (slot->code != 0 && code != slot->code)) {
    return 0;
  }
  if (code == 421) {
    return 1;
  }
  if (code == 521 && server->submission) {
    return 0; /* RFC 6409 7 */
  }
  if (code < 400 && slot->verb == EHLO_VERB_MESSAGE && server->state == STATE_CONTENT) {
    return 0; /* not before its end has been seen */
  }
  if (code == 355 && verb_opens_transaction(slot->verb)) {
    return server->next_transid;
  }
  const struct command_row *row = &ehlo_commands[slot->verb];
  int accept = row->accept;
  int exact = (row->answers & ANSWER_EXACT) != 0;
  if (code < 400 && slot->verb != EHLO_VERB_UNKNOWN && (exact ? code != accept : code / 10 != accept / 10)) {
    return 0;
  }
  return (row->answers >> (code / 100) & 1) != 0;
}

/* Reads the host's enhanced code, or finds the default. Returns 1, or 0 if it is not legal. */
static int read_enhanced(const ehlo_server *server, const struct slot *slot, int code, const char *text, unsigned row,
                         ehlo_enhanced *enhanced)
{
  ehlo_enhanced none = {0, 0, 0};
  *enhanced = none;
  if (text != NULL) {
    size_t used;
    ehlo_span span = ehlo_span_of(text);
    if (ehlo_parse_enhanced(span, enhanced, &used) != EHLO_OK || used != span.len ||
        !octet_is((unsigned char)span.ptr[span.len - 1], CLASS_DIGIT) ||
        enhanced->status_class != (unsigned)code / 100) {
      return 0;
    }
  } else {
    enhanced->status_class = (uint16_t)(code / 100);
    enhanced->subject = row < REPLY_ROWS ? ehlo_replies[row].subject : 0;
    enhanced->detail = row < REPLY_ROWS ? ehlo_replies[row].detail : 0;
  }
  /* What an answer was begun with it goes on with, even if another offer was made meanwhile. */
  int carries = slot->code != 0 ? slot->enhanced.status_class != 0 : has_enhanced(server, slot->verb, (uint32_t)code);
  if (!carries) {
    *enhanced = none;
  }
  return 1;
}

/* Parks a line, or finds that it does not fit. */
static int park(ehlo_server *server, struct slot *slot, int last, ehlo_span text)
{
  if (slot->unparked == slot->parked) {
    slot->unparked = slot->parked = 0;
  }
  size_t size = text.len + (last ? 0 : 1);
  if (size > server->pending_text - (size_t)slot->parked) {
    return EHLO_ERR_SPACE;
  }
  unsigned char *at = slot_text(server, slot) + slot->parked;
  if (text.len > 0) {
    memcpy(at, text.ptr, text.len);
  }
  if (!last) {
    at[text.len] = '\n';
  }
  slot->parked = (uint16_t)(slot->parked + size);
  return EHLO_OK;
}

/* "355" SP octet-offset [SP text] (RFC 1845 3) */
static int begins_with_offset(ehlo_span text)
{
  size_t digits = 0;
  while (digits < text.len && octet_is((unsigned char)text.ptr[digits], CLASS_DIGIT)) {
    digits++;
  }
  return digits > 0 && (digits == text.len || text.ptr[digits] == ' ');
}

/* What a line of the host's answer comes to, once checked. */
struct line_said {
  ehlo_enhanced enhanced;
  unsigned row; /* of the default text, or REPLY_ROWS */
  ehlo_span text;
};

static int check(const ehlo_server *server, const struct slot *slot, int code, const char *enhanced, ehlo_span text,
                 int last, struct line_said *said)
{
  said->row = default_row(server, slot->verb, (uint32_t)code);
  if (!last && verb_is_hello(slot->verb) && code == 250) {
    return EHLO_ERR_CODE; /* the lines that follow are the library's (RFC 5321 4.1.1.1) */
  }
  if (!code_is_legal(server, slot, code) || !read_enhanced(server, slot, code, enhanced, said->row, &said->enhanced) ||
      (slot->code != 0 && memcmp(&said->enhanced, &slot->enhanced, sizeof said->enhanced) != 0)) {
    return EHLO_ERR_CODE;
  }
  if (!text_is_legal(slot, code, text) || (code == 355 && !begins_with_offset(text))) {
    return EHLO_ERR_TEXT;
  }
  said->text = text;
  if (text.len > 0 || !last) {
    said->row = REPLY_ROWS;
  } else if (said->row < REPLY_ROWS) {
    said->text = ehlo_reply_text(said->row);
  }
  if (said->text.len > TEXT_LENGTH_SURE &&
      line_length(server, slot, (uint32_t)code, said->enhanced, said->text.len) > REPLY_LINE_MAX) {
    return EHLO_ERR_TOO_LONG;
  }
  return EHLO_OK;
}

/* One line of the host's answer. */
static int answer(ehlo_server *server, uint32_t ticket, int code, const char *enhanced, ehlo_span text, int last)
{
  if (server == NULL || span_is_lie(text)) {
    return EHLO_ERR_ARGUMENT;
  }
  struct slot *slot = ehlo_slot_find(server, ticket);
  if (slot == NULL) {
    return EHLO_ERR_TICKET;
  }
  struct line_said said;
  int result = check(server, slot, code, enhanced, text, last, &said);
  if (result != EHLO_OK) {
    return result;
  }

  struct slot before = *slot;
  slot->code = (uint16_t)code;
  slot->enhanced = said.enhanced;
  int in_turn = slot == server_front(server) && !(slot->verb == EHLO_VERB_MESSAGE && server->state == STATE_CONTENT);
  if (in_turn) {
    ehlo_slot_write(server, slot);
  }
  if (said.row < REPLY_ROWS) {
    slot->row = (uint8_t)said.row;
    slot->state = SLOT_ANSWERED;
    write_if_front(server, slot);
  } else if (in_turn && slot->unparked == slot->parked && !last && put_line(server, slot, 0, text)) {
    /* written straight from the host's text */
  } else if (in_turn && slot->unparked == slot->parked && last && ehlo_server_has_room(server)) {
    slot->state = SLOT_ANSWERED;
    write_last(server, slot, text);
  } else if (park(server, slot, last, text) != EHLO_OK) {
    before.begun = slot->begun;
    before.parked = slot->parked;
    before.unparked = slot->unparked;
    *slot = before;
    return EHLO_ERR_SPACE;
  } else if (last) {
    slot->state = SLOT_ANSWERED;
    write_if_front(server, slot);
  }
  if (slot->state == SLOT_ANSWERED && slot->verb == EHLO_VERB_MESSAGE) {
    server->paused = 0; /* what was refused is drained */
  }
  return EHLO_OK;
}

int ehlo_server_check_last(const ehlo_server *server, int code, const char *enhanced, ehlo_span text)
{
  struct slot slot = {.verb = EHLO_VERB_NONE};
  struct line_said said;
  if (span_is_lie(text)) {
    return EHLO_ERR_ARGUMENT;
  }
  int result = check(server, &slot, code, enhanced, text, 1, &said);
  return result == EHLO_OK && text.len > server->pending_text ? EHLO_ERR_TOO_LONG : result;
}

void ehlo_server_say_last(ehlo_server *server, int code, const char *enhanced, ehlo_span text)
{
  struct slot *slot = ehlo_slot_open(server, EHLO_VERB_NONE);
  slot->asked = 1;
  (void)answer(server, slot->ticket, code, enhanced, text, 1);
  slot->asked = 0;
}

int ehlo_server_reply(ehlo_server *server, uint32_t ticket, int code, const char *enhanced, ehlo_span text)
{
  return answer(server, ticket, code, enhanced, text, 1);
}

int ehlo_server_reply_more(ehlo_server *server, uint32_t ticket, int code, const char *enhanced, ehlo_span text)
{
  return answer(server, ticket, code, enhanced, text, 0);
}

int ehlo_server_accept(ehlo_server *server, uint32_t ticket)
{
  struct slot *slot = server == NULL ? NULL : ehlo_slot_find(server, ticket);
  int early = slot != NULL && slot->verb == EHLO_VERB_MESSAGE && server->state == STATE_CONTENT;
  if (slot == NULL || slot->code != 0 || early) {
    int code = slot != NULL && slot->code != 0 ? slot->code : 250;
    return answer(server, ticket, code, NULL, span_of("", 0), 1);
  }
  ehlo_slot_answer(server, slot, accept_row(server, slot->verb));
  return EHLO_OK;
}

int ehlo_server_defer(ehlo_server *server, uint32_t ticket, uint64_t tag)
{
  if (server == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  struct slot *slot = ehlo_slot_find(server, ticket);
  if (slot == NULL) {
    return EHLO_ERR_TICKET;
  }
  if (ticket != server->asking) {
    return EHLO_ERR_STATE;
  }
  slot->tag = tag;
  if (slot->verb == EHLO_VERB_MESSAGE && server->state == STATE_CONTENT) {
    server->paused = 1;
  } else {
    slot->state = SLOT_DEFERRED;
  }
  return EHLO_OK;
}

int ehlo_server_resume(ehlo_server *server, uint32_t ticket)
{
  if (server == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  const struct slot *slot = ehlo_slot_find(server, ticket);
  if (slot == NULL) {
    return EHLO_ERR_TICKET;
  }
  if (slot->verb != EHLO_VERB_MESSAGE || !server->paused) {
    return EHLO_ERR_STATE;
  }
  server->paused = 0;
  return EHLO_OK;
}
