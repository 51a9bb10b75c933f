/* client_content.c: DATA out, and its verdicts. Floor: session. */
#include "client.h"

#include "../bytes/word.h"

#include <string.h>

/* How many spans one piece can become before more are asked for. */
enum { BODY_SPANS = 64 };

/* The most that ends content: a CR that was withheld, CRLF, the dot line. */
enum { END_OCTETS = 6 };

void ehlo_client_end_content(ehlo_client *client, unsigned flags, uint64_t tag, const ehlo_span *spans, size_t count)
{
  size_t length = 0;
  unsigned char *to = client_part(client, client->output_at) + client->output.tail;
  for (size_t i = 0; i < count; i++) {
    memcpy(to + length, spans[i].ptr, spans[i].len);
    length += spans[i].len;
  }
  client->call = CALL_IDLE;
  client->epoch++;
  if (client_is_lmtp(client) && client->rcpts_accepted == 0) {
    output_wrote(&client->output, length); /* nobody has a verdict to get (RFC 2033 4.2) */
    client->released_to += (uint32_t)length;
    return;
  }
  ehlo_client_queue(client, client_is_lmtp(client) ? EHLO_VERB_RESULT : EHLO_VERB_MESSAGE, flags, tag, length);
}

void ehlo_client_content_begin(ehlo_client *client, const struct command *command, ehlo_client_event *event)
{
  ehlo_dot_begin(&client->dot, client->convert_lf ? EHLO_DOT_CONVERT_LF : 0, client->dot.kernel);
  client->broken = 0;
  client->gathered = 0;
  client->data_tag = command->tag;
  if (client_has_recipients(client)) {
    client->call = CALL_CONTENT;
    event->type = EHLO_CLIENT_EVENT_CONTENT;
    event->tag = command->tag;
    event->as.content.recipients = client->rcpts_accepted;
    return;
  }
  /* The server goes on although it refused every recipient: the content is ended empty (RFC 2920 3.1). */
  ehlo_span spans[4];
  size_t count;
  (void)ehlo_dot_encode_end(&client->dot, spans, &count);
  ehlo_client_end_content(client, 0, command->tag, spans, count);
  if (client->count == 0) {
    uint32_t code;
    ehlo_enhanced enhanced;
    ehlo_client_nobody(client, &code, &enhanced);
    ehlo_client_end(client, EHLO_END_REFUSED, code, enhanced, event);
  }
}

void ehlo_client_nobody(const ehlo_client *client, uint32_t *code, ehlo_enhanced *enhanced)
{
  *code = client->doomed ? client->refused_code : 554;
  *enhanced = client->doomed ? client->refused_enhanced : no_enhanced();
}

void ehlo_client_verdict(ehlo_client *client, const struct command *command, uint32_t code, ehlo_enhanced enhanced,
                         ehlo_client_event *event)
{
  uint32_t verdicts = client_is_lmtp(client) ? client->rcpts_accepted : 1;
  client->results++;
  client->results_good += code < 300 && client_has_recipients(client);
  if (client->results < verdicts) {
    return;
  }
  if (!client_has_recipients(client)) {
    ehlo_client_nobody(client, &code, &enhanced);
  }
  if (client->chunk_failed) {
    /* What lacks a chunk is no message, whatever the server says of the last. */
    code = client->refused_code;
    enhanced = client->refused_enhanced;
    client->results_good = 0;
  }
  uint32_t reason = client->results_good == verdicts ? EHLO_END_ACCEPTED : EHLO_END_REFUSED;
  if (client->results_good == 0 && !client->doomed && (command->flags & (COMMAND_CHUNKS | COMMAND_BURL)) != 0) {
    client->held = 1; /* a BDAT or BURL that failed leaves a state that only RSET clears (RFC 3030 2) */
  }
  if (command->flags & COMMAND_BURL) {
    client->call = CALL_IDLE;
  }
  ehlo_client_end(client, reason, code, enhanced, event);
}

int ehlo_client_has_high_bit(const unsigned char *data, size_t size)
{
  word all = 0;
  size_t at = 0;
  for (; size - at >= WORD_OCTETS; at += WORD_OCTETS) {
    all |= load_word(data + at);
  }
  for (; at < size; at++) {
    all |= data[at];
  }
  return (all & EVERY(0x80)) != 0;
}

/* Is it the time for content? */
static int check_content(const ehlo_client *client)
{
  if (client->state != CLIENT_GREETED || client->call != CALL_CONTENT) {
    return EHLO_ERR_STATE;
  }
  return client->broken;
}

/* Encodes a piece of content. Returns EHLO_OK or what broke it, which is kept. */
static int encode(ehlo_client *client, const unsigned char *data, size_t size, size_t *taken, ehlo_span *spans,
                  size_t max, size_t *count)
{
  int result = ehlo_dot_encode(&client->dot, data, size, taken, spans, max, count);
  if (!client->call_8bit && ehlo_client_has_high_bit(data, *taken)) {
    result = EHLO_ERR_8BITMIME;
    *count = 0;
    *taken = 0;
  }
  client->broken = (int8_t)result;
  return result;
}

int ehlo_client_body(ehlo_client *client, const void *data, size_t size, size_t *taken)
{
  if (client == NULL || taken == NULL || (data == NULL && size > 0)) {
    return EHLO_ERR_ARGUMENT;
  }
  *taken = 0;
  int result = check_content(client);
  if (result != EHLO_OK) {
    return result;
  }
  if (client->by_chunks) {
    return ehlo_client_chunk_body(client, data, size, taken);
  }
  ehlo_client_make_room(client);
  client->gathered = 0;
  const unsigned char *octets = data;
  ehlo_span spans[BODY_SPANS];
  while (*taken < size && result == EHLO_OK) {
    /* An octet becomes two at most, behind a CR that was withheld. */
    size_t room = output_room(&client->output) / 2;
    size_t used;
    size_t count;
    size_t left = size - *taken;
    if (room <= 1) {
      break;
    }
    room--;
    result = encode(client, octets + *taken, left < room ? left : room, &used, spans, BODY_SPANS, &count);
    *taken += used;
    for (size_t i = 0; i < count; i++) {
      memcpy(client_part(client, client->output_at) + client->output.tail, spans[i].ptr, spans[i].len);
      output_wrote(&client->output, spans[i].len);
      client->released_to += (uint32_t)spans[i].len;
    }
  }
  client->epoch += *taken > 0 ? 1 : 0;
  return result;
}

int ehlo_client_body_gather(ehlo_client *client, const void *data, size_t size, size_t *taken, ehlo_span *spans,
                            size_t max, size_t *count)
{
  if (client == NULL || taken == NULL || (data == NULL && size > 0) || spans == NULL || max < 8 || count == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *taken = 0;
  *count = 0;
  int result = check_content(client);
  if (result != EHLO_OK) {
    return result;
  }
  if (client->released_to != client->sent) {
    return EHLO_ERR_SPACE;
  }
  if (client->by_chunks) {
    return ehlo_client_chunk_gather(client, data, size, taken, spans, max, count);
  }
  result = encode(client, data, size, taken, spans, max, count);
  client->gathered = *count > 0;
  client->epoch += *taken > 0 ? 1 : 0;
  return result;
}

int ehlo_client_body_end(ehlo_client *client)
{
  if (client == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  int result = check_content(client);
  if (result != EHLO_OK) {
    return result;
  }
  if (client->by_chunks) {
    return ehlo_client_chunk_end(client);
  }
  ehlo_client_make_room(client);
  if (output_room(&client->output) < END_OCTETS) {
    return EHLO_ERR_SPACE;
  }
  ehlo_span spans[4];
  size_t count;
  result = ehlo_dot_encode_end(&client->dot, spans, &count);
  if (result != EHLO_OK) {
    return result;
  }
  ehlo_client_end_content(client, 0, client->data_tag, spans, count);
  return EHLO_OK;
}

int ehlo_client_body_abort(ehlo_client *client)
{
  int result = ehlo_client_enter_call(client);
  if (result != EHLO_OK) {
    return result;
  }
  if (client->state > CLIENT_GREETED || (client->call != CALL_DATA && client->call != CALL_CONTENT)) {
    client->busy = 0;
    return EHLO_ERR_STATE;
  }
  if (client->call == CALL_DATA && ehlo_client_take_back(client)) {
    ehlo_client_event event = {.type = 0};
    ehlo_client_data_taken_back(client, &event);
    if (event.type != 0) {
      ehlo_client_emit(client, &event);
    }
  } else {
    ehlo_client_close(client, EHLO_END_FAILED, 451, no_enhanced());
  }
  return ehlo_client_leave_call(client);
}
