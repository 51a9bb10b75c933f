/* client_transcript_laws.c: what must hold whatever is replayed.
 *
 * A small model, written from the header and RFC 2920 alone, keeps account of which replies are due, by counting, and
 * holds events and octets to it:
 *
 *   - each command that a call took leaves once, as one line that begins with its verb, in the order of the calls;
 *   - nothing leaves before the greeting; one command at a time unless the server offers PIPELINING; nothing
 *     behind a command that stands last in its group before that is answered; with hold_data, DATA after all others;
 *   - each reply names the command at the front of the queue, its tag, and the recipient; its lines are counted, and
 *     agree on the code; no 3yz but to DATA, no 2yz to DATA; an enhanced code only where it is offered;
 *   - CONTENT comes where a recipient was accepted, and tells how many;
 *   - content on the wire is what was given, dots stuffed, ended by the line of a dot, and no line is cut;
 *   - by BDAT no DATA leaves; CONTENT comes when nothing waits for its reply any more;
 *   - each chunk says how many octets it has, none but the last has none, all together are what was given; LAST leaves
 *     with body_end; none follows one that was refused;
 *   - CONTENT is wanted while content can go;
 *   - a message that lacks a chunk is refused, by that chunk's code, and RSET is asked for;
 *   - a verdict comes for the message, or in LMTP for each recipient that was accepted, and for no other;
 *   - each MAIL, SEND, SOML, SAML that was called ENDs once, in the order of the calls;
 *   - content is refused before its end was sent, if it is, as a message, and that ends the session;
 *   - after a violation, such a refusal, or a 421 nothing comes but END;
 *   - as many commands are pending as have no reply.
 */
#include "client_transcript.h"

#include <stdlib.h>
#include <string.h>

void laws_break(struct laws *laws, const char *law)
{
  if (laws->broken == NULL) {
    laws->broken = law;
  }
}

#define LAW(laws, condition, law) \
  do {                            \
    if (!(condition)) {           \
      laws_break(laws, law);      \
    }                             \
  } while (0)

static struct due *due_add(struct laws *laws, uint32_t verb, uint64_t tag)
{
  laws->due = realloc(laws->due, (laws->due_count + 1) * sizeof *laws->due);
  if (laws->due == NULL) {
    abort();
  }
  struct due *due = &laws->due[laws->due_count++];
  memset(due, 0, sizeof *due);
  due->verb = verb;
  due->tag = tag;
  due->transaction = laws->transaction_count - 1;
  return due;
}

void laws_begin(struct laws *laws, const ehlo_client_config *config)
{
  memset(laws, 0, sizeof *laws);
  laws->config = config;
  due_add(laws, EHLO_VERB_CONNECT, 0)->seen = 1;
}

void laws_free(struct laws *laws)
{
  for (size_t i = 0; i < laws->transaction_count; i++) {
    free(laws->transactions[i].verdicts);
  }
  free(laws->transactions);
  free(laws->due);
  text_free(&laws->line);
  text_free(&laws->given);
  text_free(&laws->stuffed);
}

static int is_lmtp(const struct laws *laws)
{
  return laws->config->protocol == EHLO_PROTOCOL_LMTP;
}

/* ---- content -------------------------------------------------------------------------------- */

/* What the server will make of the content on the wire: without the stuffed dots, up to the line of a dot, which must
 * be the last. */
static void unstuff(struct laws *laws, struct text *out)
{
  const struct text *wire = &laws->stuffed;
  for (size_t at = 0; at < wire->len;) {
    size_t end = at;
    while (end + 1 < wire->len && (wire->ptr[end] != '\r' || wire->ptr[end + 1] != '\n')) {
      LAW(laws, wire->ptr[end] != '\r' && wire->ptr[end] != '\n', "content has no bare CR or LF");
      end++;
    }
    LAW(laws, end + 1 < wire->len, "content ends at the end of a line");
    end += 2;
    if (end - at == 3 && wire->ptr[at] == '.') {
      LAW(laws, end == wire->len, "the line of a dot is the last");
      return;
    }
    at += wire->ptr[at] == '.';
    text_add(out, wire->ptr + at, end > wire->len ? wire->len - at : end - at);
    at = end;
  }
  laws_break(laws, "content ends with the line of a dot");
}

/* What the host gave, as it is to arrive. */
static void complete(const struct laws *laws, int is_binary, struct text *out)
{
  const struct text *given = &laws->given;
  if (is_binary) {
    text_add(out, given->ptr, given->len);
    return;
  }
  for (size_t i = 0; i < given->len; i++) {
    if (laws->config->convert_lf && given->ptr[i] == '\n' && (i == 0 || given->ptr[i - 1] != '\r')) {
      text_add(out, "\r", 1);
    }
    text_add(out, given->ptr + i, 1);
  }
  if (out->len > 0 && given->len != laws->complete_at &&
      (out->len < 2 || memcmp(out->ptr + out->len - 2, "\r\n", 2) != 0)) {
    text_add(out, "\r\n", 2);
  }
}

static void verdicts_due(struct laws *laws, uint64_t tag, const struct transaction *transaction, int seen)
{
  if (!is_lmtp(laws)) {
    due_add(laws, EHLO_VERB_MESSAGE, tag)->seen = seen;
    return;
  }
  uint32_t ordinal = 0;
  for (size_t i = 0; i < laws->answered; i++) { /* whose tags the results will have */
    struct due rcpt = laws->due[i];
    if (rcpt.verb == EHLO_VERB_RCPT && &laws->transactions[rcpt.transaction] == transaction) {
      if (transaction->verdicts[ordinal] != 0) {
        struct due *due = due_add(laws, EHLO_VERB_RESULT, rcpt.tag);
        due->ordinal = ordinal;
        due->seen = seen;
      }
      ordinal++;
    }
  }
}

/* What the server will make of the chunks: all of them together. */
static void join(struct laws *laws, int is_binary, struct text *out)
{
  const struct text *wire = &laws->stuffed;
  for (size_t i = 0; i < wire->len && !is_binary; i++) {
    LAW(laws, wire->ptr[i] != '\r' || (i + 1 < wire->len && wire->ptr[i + 1] == '\n'), "chunks have no bare CR");
    LAW(laws, wire->ptr[i] != '\n' || (i > 0 && wire->ptr[i - 1] == '\r'), "chunks have no bare LF");
  }
  LAW(laws, laws->chunk_left == 0, "the last chunk is whole");
  text_add(out, wire->ptr, wire->len);
}

static void check_arrival(struct laws *laws)
{
  struct text arrives = {0};
  struct text meant = {0};
  int is_binary = laws->transactions[laws->due[laws->data].transaction].is_binary;
  if (laws->chunked) {
    join(laws, is_binary, &arrives);
  } else {
    unstuff(laws, &arrives);
  }
  complete(laws, is_binary, &meant);
  LAW(laws, !laws->content_broken, "content that failed is not ended");
  LAW(laws, !text_differs(&arrives, &meant), "content arrives as it was given");
  text_free(&arrives);
  text_free(&meant);
  laws->in_content = 0;
}

static void content_ended(struct laws *laws)
{
  struct due data = laws->due[laws->data];
  check_arrival(laws);
  LAW(laws, !laws->chunked || laws->last_chunk, "the last chunk says LAST");
  verdicts_due(laws, data.tag, &laws->transactions[data.transaction], 1);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static uint32_t verb_of(const struct laws *laws, int kind)
{
  static const uint32_t verbs[] = {
      EHLO_VERB_EHLO, EHLO_VERB_HELO, EHLO_VERB_MAIL,    EHLO_VERB_SEND,     EHLO_VERB_SOML,     EHLO_VERB_SAML,
      EHLO_VERB_RCPT, EHLO_VERB_DATA, EHLO_VERB_RSET,    EHLO_VERB_VRFY,     EHLO_VERB_EXPN,     EHLO_VERB_HELP,
      EHLO_VERB_NOOP, EHLO_VERB_QUIT, EHLO_VERB_TURN,    EHLO_VERB_STARTTLS, EHLO_VERB_AUTH,     EHLO_VERB_AUTH,
      EHLO_VERB_ETRN, EHLO_VERB_ATRN, EHLO_VERB_MESSAGE, EHLO_VERB_XCLIENT,  EHLO_VERB_XFORWARD, EHLO_VERB_UNKNOWN};
  return kind == CALL_HELLO && is_lmtp(laws) ? EHLO_VERB_LHLO : verbs[kind];
}

static void transaction_add(struct laws *laws, uint64_t tag)
{
  laws->transactions = realloc(laws->transactions, (laws->transaction_count + 1) * sizeof *laws->transactions);
  if (laws->transactions == NULL) {
    abort();
  }
  laws->transactions[laws->transaction_count++] = (struct transaction){.tag = tag};
}

static int says_binary(const struct text *parameters)
{
  return strcasestr(string_of(parameters), "body=BINARYMIME") != NULL;
}

static void transaction_called(struct laws *laws, const struct call *call, uint64_t tag)
{
  transaction_add(laws, tag);
  struct transaction *transaction = &laws->transactions[laws->transaction_count - 1];
  transaction->is_binary = says_binary(&call->options) || says_binary(&call->parameters);
  LAW(laws,
      !transaction->is_binary ||
          (ehlo_client_offers(laws->client, EHLO_EXT_BINARYMIME) && laws->config->chunking != EHLO_CHUNKING_NEVER),
      "BINARYMIME needs its offer, and BDAT");
}

/* DATA: a command, or what stands for it where content goes by BDAT. */
static uint32_t data_called(struct laws *laws)
{
  struct transaction *transaction = &laws->transactions[laws->transaction_count - 1];
  int always = laws->config->chunking == EHLO_CHUNKING_ALWAYS && ehlo_client_offers(laws->client, EHLO_EXT_CHUNKING);
  transaction->by_chunks = !transaction->resumed && (transaction->is_binary || always);
  return transaction->by_chunks ? EHLO_VERB_NONE : EHLO_VERB_DATA;
}

/* BURL: in place of DATA, or among chunks. */
static uint32_t burl_called(struct laws *laws, int last)
{
  if (!laws->in_content) {
    return EHLO_VERB_MESSAGE;
  }
  LAW(laws, laws->chunked, "BURL is for content by BDAT");
  LAW(laws, laws->transactions[laws->transaction_count - 1].failed == 0, "no BURL follows a chunk that was refused");
  laws->complete_at = laws->given.len;
  if (last) {
    check_arrival(laws);
  }
  return last ? EHLO_VERB_MESSAGE : EHLO_VERB_BURL;
}

void laws_called(struct laws *laws, const struct call *call, uint64_t tag)
{
  uint32_t verb = 0;
  switch (call->kind) {
  case CALL_BODY: return;
  case CALL_BODY_END: content_ended(laws); return;
  case CALL_AUTH_RESPOND:
  case CALL_AUTH_CANCEL:
    laws->sasl_lines++;
    laws->challenged = 0;
    return;
  case CALL_BODY_ABORT:
    if (!laws->in_content) { /* DATA is taken back */
      uint32_t last = laws->due[laws->due_count - 1].verb;
      LAW(laws, last == EHLO_VERB_DATA || last == EHLO_VERB_NONE, "DATA is the last that was called");
      laws->due_count--;
    }
    return;
  case CALL_MAIL:
  case CALL_SEND:
  case CALL_SOML:
  case CALL_SAML:
    transaction_called(laws, call, tag);
    verb = verb_of(laws, call->kind);
    break;
  case CALL_DATA: verb = data_called(laws); break;
  case CALL_BURL: verb = burl_called(laws, call->number != 0); break;
  default: verb = verb_of(laws, call->kind); break;
  }
  LAW(laws, !laws->has_quit, "nothing is called after QUIT");
  laws->has_quit |= call->kind == CALL_QUIT;
  struct due *due = due_add(laws, verb, tag);
  if (call->kind == CALL_RCPT) {
    struct transaction *transaction = &laws->transactions[due->transaction];
    due->ordinal = transaction->called++;
    transaction->verdicts = realloc(transaction->verdicts, transaction->called);
    if (transaction->verdicts == NULL) {
      abort();
    }
    transaction->verdicts[due->ordinal] = 0;
  }
}

/* ---- octets --------------------------------------------------------------------------------- */

static int stands_last(uint32_t verb)
{
  switch (verb) {
  case EHLO_VERB_MAIL:
  case EHLO_VERB_SEND:
  case EHLO_VERB_SOML:
  case EHLO_VERB_SAML:
  case EHLO_VERB_RCPT:
  case EHLO_VERB_RSET:
  case EHLO_VERB_BDAT:
  case EHLO_VERB_BURL:
  case EHLO_VERB_MESSAGE: /* content is the first of the next group */
  case EHLO_VERB_RESULT: return 0;
  default: return 1;
  }
}

/* A whole line of a command has left. */
static void line_left(struct laws *laws)
{
  size_t index = laws->answered;
  if (index < laws->due_count && laws->due[index].verb == EHLO_VERB_AUTH && laws->due[index].seen &&
      laws->sasl_lines > 0) {
    laws->sasl_lines--;
    text_clear(&laws->line);
    return;
  }
  int pipelining = ehlo_client_offers(laws->client, EHLO_EXT_PIPELINING);
  for (; index < laws->due_count && laws->due[index].seen; index++) {
    LAW(laws, pipelining, "one command at a time where PIPELINING is not offered");
    LAW(laws, !stands_last(laws->due[index].verb) || laws->due[index].one_trip,
        "nothing leaves behind what stands last in its group");
  }
  if (index == laws->due_count) {
    LAW(laws, laws->dot_due && strcmp(laws->line.ptr, ".\r\n") == 0, "no octet leaves that was not called");
    laws->dot_due = 0;
    text_clear(&laws->line);
    return;
  }
  struct due *due = &laws->due[index];
  LAW(laws, due->verb != EHLO_VERB_NONE, "nothing leaves between DATA and content by BDAT");
  LAW(laws,
      !laws->config->hold_data || (due->verb != EHLO_VERB_DATA && !starts(laws->line.ptr, "BURL ")) ||
          index == laws->answered || laws->transactions[due->transaction].by_chunks,
      "with hold_data DATA waits for all replies");
  due->seen = 1;
  size_t verb = strcspn(laws->line.ptr, " \r");
  if (due->verb == EHLO_VERB_MESSAGE) {
    LAW(laws, strcmp(laws->line.ptr, ".\r\n") == 0 || starts(laws->line.ptr, "BURL "),
        "a message that nobody is to get is empty");
  } else if (due->verb != EHLO_VERB_UNKNOWN) {
    LAW(laws, word_is(laws->line.ptr, verb, ehlo_verb_name(due->verb)), "commands leave in the order of the calls");
  }
  due->one_trip = starts(laws->line.ptr, "AUTH PLAIN ") || starts(laws->line.ptr, "AUTH EXTERNAL ");
  LAW(laws, strlen(laws->line.ptr) == laws->line.len, "no NUL leaves");
  LAW(laws, strcspn(laws->line.ptr, "\r\n") == laws->line.len - 2, "a call is one line");
  text_clear(&laws->line);
}

/* The line before a chunk has left. */
static void bdat_left(struct laws *laws)
{
  char *rest;
  const char *number = laws->line.ptr + 5;
  laws->chunk_left = strtoul(number, &rest, 10);
  laws->last_chunk = strcmp(rest, " LAST\r\n") == 0;
  LAW(laws, *number >= '0' && *number <= '9' && (laws->last_chunk || strcmp(rest, "\r\n") == 0),
      "BDAT has a number, and perhaps LAST");
  LAW(laws, laws->chunk_left > 0 || laws->last_chunk, "no chunk but the last is empty");
  struct due data = laws->due[laws->data];
  LAW(laws, laws->transactions[data.transaction].failed == 0, "no chunk follows one that was refused");
  LAW(laws,
      laws->answered == laws->due_count ||
          (ehlo_client_offers(laws->client, EHLO_EXT_PIPELINING) && !(laws->last_chunk && is_lmtp(laws))),
      "without PIPELINING, or as the last in LMTP, a chunk waits for those before it");
  if (!laws->last_chunk) {
    due_add(laws, EHLO_VERB_BDAT, data.tag)->seen = 1;
  }
  text_clear(&laws->line);
}

void laws_wire(struct laws *laws, ehlo_span octets)
{
  LAW(laws, laws->greeted || octets.len == 0, "nothing leaves before the greeting");
  for (size_t i = 0; i < octets.len;) {
    if (laws->in_content && (!laws->chunked || laws->chunk_left > 0)) {
      size_t count = octets.len - i;
      if (laws->chunked) {
        count = count < laws->chunk_left ? count : laws->chunk_left;
        laws->chunk_left -= count;
      }
      text_add(&laws->stuffed, octets.ptr + i, count);
      i += count;
      continue;
    }
    text_add(&laws->line, octets.ptr + i, 1);
    if (octets.ptr[i++] != '\n') {
      continue;
    }
    if (laws->in_content && starts(laws->line.ptr, "BDAT ")) {
      LAW(laws, !laws->last_chunk, "nothing follows the last chunk");
      bdat_left(laws);
    } else {
      line_left(laws);
    }
  }
}

/* ---- events --------------------------------------------------------------------------------- */

/* A refusal of content before its end was sent: does it come while there is some, with the tag of its DATA, or of the
 * BURL that is its end? */
static void check_premature(struct laws *laws, const ehlo_client_event *event)
{
  size_t of = laws->answered;
  int is_end = of < laws->due_count && laws->due[of].verb == EHLO_VERB_MESSAGE;
  while (!is_end && of > 0 &&
         (of == laws->answered || (laws->due[of].verb != EHLO_VERB_DATA && laws->due[of].verb != EHLO_VERB_NONE))) {
    of--;
  }
  LAW(laws, laws->in_content || laws->unsent, "content is refused too early only while it is on its way");
  LAW(laws, event->tag == laws->due[of].tag, "a message has the tag of DATA");
  LAW(laws, event->as.reply.code >= 400 && event->as.reply.ordinal == 0, "only a refusal can come too early");
}

/* LINE and REPLY: is it the answer that is due? */
static void check_reply(struct laws *laws, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  const struct due *due = laws->answered < laws->due_count ? &laws->due[laws->answered] : NULL;
  if (reply->verb == EHLO_VERB_NONE) {
    LAW(laws, reply->code == 421 && event->tag == 0, "only a 421 comes unasked");
    LAW(laws, laws->lines > 0 || due == NULL || !due->seen || laws->in_content || laws->unsent || laws->challenged,
        "a 421 answers what has left");
  } else if (reply->verb == EHLO_VERB_MESSAGE && (due == NULL || due->verb != EHLO_VERB_MESSAGE || laws->unsent)) {
    check_premature(laws, event);
    laws->is_premature = 1;
  } else if (due == NULL) {
    laws_break(laws, "no reply without a command");
  } else {
    LAW(laws, reply->verb == due->verb, "replies are matched by counting: the verb");
    LAW(laws, event->tag == due->tag, "replies are matched by counting: the tag");
    LAW(laws, reply->ordinal == due->ordinal, "replies are matched by counting: the recipient");
    LAW(laws, due->seen, "no reply comes before its command has left");
    LAW(laws,
        reply->code / 100 != 3 || due->verb == EHLO_VERB_DATA || (due->verb == EHLO_VERB_AUTH && reply->code == 334) ||
            (due->verb == EHLO_VERB_MAIL && reply->code == 355),
        "no 3yz but to DATA, AUTH, MAIL");
    LAW(laws, reply->code / 100 != 2 || due->verb != EHLO_VERB_DATA, "no 2yz to DATA");
  }
  LAW(laws, reply->number == laws->lines + 1, "the lines of a reply are counted");
  LAW(laws, laws->lines == 0 || reply->code == laws->line_code, "the lines of a reply have one code");
  LAW(laws, reply->enhanced.status_class == 0 || ehlo_client_offers(laws->client, EHLO_EXT_ENHANCEDSTATUSCODES),
      "no enhanced code where it is not offered");
  LAW(laws, reply->enhanced.status_class == 0 || reply->enhanced.status_class == reply->code / 100,
      "the enhanced code of a reply is of the code's class");
  LAW(laws, reply->text.len <= reply->line.len && reply->line.len >= 3, "a line holds its text");
  LAW(laws,
      reply->text.len == 0 ||
          memcmp(reply->line.ptr + reply->line.len - reply->text.len, reply->text.ptr, reply->text.len) == 0,
      "the text is the end of the line");
  laws->lines++;
  laws->line_code = reply->code;
}

/* What follows from a reply. */
static void answered(struct laws *laws, const ehlo_client_event_reply *reply)
{
  laws->lines = 0;
  laws->replies++;
  if (laws->is_premature || reply->code == 421) {
    laws->is_last_event = 1;
    return;
  }
  struct due due = laws->due[laws->answered++];
  struct transaction *transaction =
      due.transaction < laws->transaction_count ? &laws->transactions[due.transaction] : NULL;
  int good = reply->code < 300;
  switch (due.verb) {
  case EHLO_VERB_CONNECT:
    laws->greeted = 1;
    if (!good) { /* what was called is dropped */
      laws->due_count = laws->answered;
    }
    break;
  case EHLO_VERB_EHLO:
    if (reply->fallback) {
      LAW(laws, reply->code / 10 == 50 && !laws->config->no_helo, "HELO follows where EHLO is not understood");
      laws->answered--;
      laws->due[laws->answered].verb = EHLO_VERB_HELO;
      laws->due[laws->answered].seen = 0;
    }
    break;
  case EHLO_VERB_MAIL:
  case EHLO_VERB_SEND:
  case EHLO_VERB_SOML:
  case EHLO_VERB_SAML:
    transaction->refused = reply->code >= 400;
    transaction->resumed = reply->code == 355;
    break;
  case EHLO_VERB_RCPT:
    transaction->verdicts[due.ordinal] = good && !transaction->refused;
    transaction->accepted += good && !transaction->refused;
    break;
  case EHLO_VERB_DATA:
    if (reply->code / 100 == 3 && transaction->accepted == 0 && !transaction->resumed) {
      verdicts_due(laws, due.tag, transaction, 0);
      laws->dot_due = is_lmtp(laws); /* and no verdict is (RFC 2033 4.2) */
    }
    break;
  case EHLO_VERB_BDAT:
  case EHLO_VERB_BURL:
    transaction->failed = good || transaction->failed != 0 ? transaction->failed : reply->code;
    break;
  default: break;
  }
  LAW(laws, reply->fallback == 0 || (reply->fallback == 1 && due.verb == EHLO_VERB_EHLO), "only EHLO has a fallback");
}

/* Is it time for content by BDAT? */
static int is_place(const struct laws *laws)
{
  return laws->answered < laws->due_count && laws->due[laws->answered].verb == EHLO_VERB_NONE;
}

static void check_content(struct laws *laws, const ehlo_client_event *event)
{
  laws->chunked = is_place(laws);
  laws->answered += (size_t)laws->chunked;
  const struct due *data = laws->answered > 0 ? &laws->due[laws->answered - 1] : NULL;
  if (data == NULL || (data->verb != EHLO_VERB_DATA && !laws->chunked)) {
    laws_break(laws, "CONTENT comes behind the reply to DATA, or when by BDAT none is to come");
    return;
  }
  const struct transaction *transaction = &laws->transactions[data->transaction];
  LAW(laws, event->tag == data->tag, "CONTENT has the tag of DATA");
  LAW(laws, laws->chunked || laws->line_code / 100 == 3, "CONTENT comes behind a 3yz");
  LAW(laws, transaction->accepted > 0 || transaction->resumed, "CONTENT only if there is somebody to get it");
  LAW(laws, event->as.content.recipients == transaction->accepted, "CONTENT tells how many recipients there are");
  laws->in_content = 1;
  laws->data = laws->answered - 1;
  laws->last_chunk = 0;
  laws->ending = 0;
  laws->complete_at = SIZE_MAX;
  laws->content_broken = 0;
  text_clear(&laws->given);
  text_clear(&laws->stuffed);
}

/* Is something due that resets the transaction, or stands behind what does? */
static int is_reset_due(const struct laws *laws)
{
  for (size_t i = laws->answered; i < laws->due_count; i++) {
    uint32_t verb = laws->due[i].verb;
    if (verb != EHLO_VERB_NOOP && verb != EHLO_VERB_HELP && verb != EHLO_VERB_VRFY && verb != EHLO_VERB_EXPN &&
        verb != EHLO_VERB_UNKNOWN) {
      return 1;
    }
  }
  return 0;
}

/* END of a transaction whose content goes by BDAT. */
static void check_end_of_chunks(struct laws *laws, const ehlo_client_event_end *end)
{
  const struct transaction *transaction = &laws->transactions[laws->ended];
  int is_over = end->reason != EHLO_END_REFUSED || laws->is_last_event; /* not decided by a reply to this one */
  if (!transaction->by_chunks) {
    return;
  }
  LAW(laws, transaction->failed == 0 || (end->reason != EHLO_END_ACCEPTED && end->reason != EHLO_END_MIXED),
      "a message that lacks a chunk is not accepted");
  if (is_place(laws) && laws->due[laws->answered].transaction == laws->ended) {
    LAW(laws, is_over || transaction->accepted == 0, "content for somebody begins");
    laws->answered++;
  } else if (laws->in_content && laws->ended == laws->transaction_count - 1) {
    LAW(laws, is_over || (transaction->failed != 0 && laws->answered == laws->due_count),
        "a chunk that is refused ends the transaction when all that are out are answered");
    laws->in_content = 0;
  }
  if (!is_over) {
    LAW(laws, transaction->failed == 0 || end->code == transaction->failed, "the first chunk refused decides");
    LAW(laws, transaction->refused || end->needs_reset == (uint32_t)!is_reset_due(laws),
        "behind content by BDAT that was refused RSET is asked for");
  }
}

void laws_event(struct laws *laws, const ehlo_client_event *event)
{
  laws->events++;
  LAW(laws, !laws->is_last_event || event->type == EHLO_CLIENT_EVENT_END, "at the end of all nothing comes but END");
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE: check_reply(laws, event); break;
  case EHLO_CLIENT_EVENT_REPLY:
    check_reply(laws, event);
    answered(laws, &event->as.reply);
    break;
  case EHLO_CLIENT_EVENT_HELLO:
    LAW(laws, laws->line_code / 100 == 2 && laws->answered > 0, "HELLO comes behind a 2yz");
    LAW(laws, event->tag == laws->due[laws->answered - 1].tag, "HELLO has the tag of the hello");
    break;
  case EHLO_CLIENT_EVENT_CONTENT: check_content(laws, event); break;
  case EHLO_CLIENT_EVENT_END:
    LAW(laws,
        event->as.end.enhanced.status_class == 0 || event->as.end.enhanced.status_class == event->as.end.code / 100,
        "the enhanced code of END is of the code's class");
    LAW(laws, event->as.end.needs_reset <= 1, "what is told as 1 or 0 is one of them");
    LAW(laws, laws->ended < laws->transaction_count, "one END for each transaction");
    if (laws->ended < laws->transaction_count) {
      LAW(laws, event->tag == laws->transactions[laws->ended].tag, "ENDs come in the order of the calls");
      check_end_of_chunks(laws, &event->as.end);
      laws->ended++;
    }
    break;
  case EHLO_CLIENT_EVENT_CHALLENGE: {
    const struct due *due = laws->answered < laws->due_count ? &laws->due[laws->answered] : NULL;
    LAW(laws, due != NULL && due->verb == EHLO_VERB_AUTH && due->seen && due->tag == event->tag,
        "CHALLENGE comes for an AUTH that has left");
    LAW(laws, laws->sasl_lines == 0, "CHALLENGE comes when the response has left");
    LAW(laws, !laws->challenged, "CHALLENGE comes when the last one has its response");
    laws->challenged = !event->as.challenge.answered;
    laws->sasl_lines += event->as.challenge.answered;
    laws->lines = 0;
    laws->replies++;
    break;
  }
  case EHLO_CLIENT_EVENT_VIOLATION:
    if (event->as.violation.goes_on) {
      laws->sasl_lines++; /* the "*" */
      laws->lines = 0;
      laws->replies++;
      break;
    }
    LAW(laws, event->tag == 0, "a violation has no tag");
    LAW(laws, ehlo_client_violation(laws->client) == event->as.violation.kind, "the getter tells the violation");
    laws->is_last_event = 1;
    break;
  default: laws_break(laws, "events have a type"); break;
  }
}

/* ---- in between ----------------------------------------------------------------------------- */

void laws_pause(struct laws *laws)
{
  uint32_t pending = 0;
  LAW(laws, laws->chunk_left == 0, "chunks are whole");
  LAW(laws, !laws->in_content || !laws->last_chunk, "LAST leaves with body_end");
  for (size_t i = laws->answered; i < laws->due_count; i++) {
    uint32_t verb = laws->due[i].verb; /* the results of a message stand for one command */
    pending += verb != EHLO_VERB_CONNECT &&
               (verb != EHLO_VERB_RESULT || i == laws->answered || laws->due[i - 1].verb != EHLO_VERB_RESULT);
  }
  LAW(laws, ehlo_client_pending(laws->client) == pending, "pending counts what has no reply");
  LAW(laws, pending <= laws->config->max_commands, "no more is pending than there may be");
  int can_go = laws->in_content;
  if (laws->in_content && laws->chunked) {
    int one_by_one = laws->ending || !ehlo_client_offers(laws->client, EHLO_EXT_PIPELINING);
    can_go = laws->transactions[laws->due[laws->data].transaction].failed == 0 &&
             pending < (one_by_one ? 1 : laws->config->max_commands);
  }
  uint32_t want = ehlo_client_want(laws->client);
  LAW(laws, can_go == ((want & EHLO_WANT_CONTENT) != 0),
      "CONTENT is wanted from its event to the end of the content, but while no chunk can go");
  LAW(laws, is_place(laws) == ((want & EHLO_WANT_FEED) != 0), "FEED is wanted where content by BDAT can begin");
}

void laws_end(struct laws *laws)
{
  LAW(laws, laws->ended == laws->transaction_count, "each transaction has its END at last");
}
