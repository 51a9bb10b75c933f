/* client_chunks.c: BDAT out (RFC 3030). Floor: session.
 *
 * ehlo_client_data takes a place in the queue, a DATA that is never sent; when it comes to the front every RCPT
 * is answered, and content begins. Each call with content then makes one chunk of what it takes. That of the last is
 * the end of the message, with the verdicts behind it.
 */
#include "client.h"

#include <string.h>

/* "BDAT ", 20 digits, " LAST", CRLF. */
enum { HEADER_MAX = 32 };

int ehlo_client_chunks_due(const ehlo_client *client)
{
  return client->state == CLIENT_GREETED && client->count > 0 && client->released == 0 &&
         (client_command(client, 0)->flags & COMMAND_PLACE) != 0;
}

void ehlo_client_chunks_begin(ehlo_client *client, ehlo_client_event *event)
{
  const struct command place = *client_command(client, 0);
  client->first = client->first + 1 == client->max_commands ? 0 : client->first + 1;
  client->count--;
  client->data_tag = place.tag;
  client->broken = 0;
  client->gathered = 0;
  client->ending = 0;
  client->chunk.after_cr = 0;
  client->at_line_begin = 1;
  if (client->in_transaction && !client->doomed && client->rcpts_accepted > 0) {
    client->call = CALL_CONTENT;
    event->type = EHLO_CLIENT_EVENT_CONTENT;
    event->tag = place.tag;
    event->as.content.recipients = client->rcpts_accepted;
    return;
  }
  client->call = CALL_IDLE;
  if (client->doomed) {
    client->doomed_left--;
    ehlo_client_end_doomed(client, event);
  } else {
    client->held = 1;
    ehlo_client_end(client, EHLO_END_REFUSED, 554, no_enhanced(), event);
  }
}

void ehlo_client_chunk_answered(ehlo_client *client, uint32_t code, ehlo_enhanced enhanced, ehlo_client_event *event)
{
  client->chunks--;
  if (code >= 300 && !client->chunk_failed) {
    client->chunk_failed = 1;
    client->refused_code = code;
    client->refused_enhanced = enhanced;
    client->broken = EHLO_ERR_REFUSED;
  }
  if (client->chunk_failed && client->chunks == 0 && client->call == CALL_CONTENT) {
    client->call = CALL_IDLE;
    client->held = 1;
    ehlo_client_end(client, EHLO_END_REFUSED, client->refused_code, client->refused_enhanced, event);
  }
}

int ehlo_client_chunk_can_go(const ehlo_client *client)
{
  if (client->chunk_failed) {
    return 0;
  }
  if (client->ending || !client_offers(client, EHLO_EXT_PIPELINING)) {
    return client->count == 0;
  }
  return client->count < client->max_commands;
}

/* ---- text ---- */

/* Looks through content for what may not go out. Returns how many octets are good; *error tells of the rest. */
static size_t check(ehlo_client *client, const unsigned char *data, size_t size, int *error)
{
  *error = EHLO_OK;
  if (client->call_binary) {
    return size;
  }
  if (!client->call_8bit && ehlo_client_has_high_bit(data, size)) {
    *error = EHLO_ERR_8BITMIME;
    return 0;
  }
  size_t good = 0;
  while (good < size) {
    good += ehlo_chunk_check(&client->chunk, client->dot.kernel, data + good, size - good);
    if (good < size) {
      if (!client->convert_lf || data[good] != '\n') {
        *error = EHLO_ERR_BARE_NEWLINE;
        return good;
      }
      client->chunk.after_cr = 1; /* the CR that is put before it */
    }
  }
  return good;
}

/* Is this an LF that becomes a CRLF? `before` is the octet before it, or 0. */
static int converts(const ehlo_client *client, const unsigned char *data, size_t at, int after_cr)
{
  return client->convert_lf && !client->call_binary && data[at] == '\n' && !(at > 0 ? data[at - 1] == '\r' : after_cr);
}

/* How many CRs are put into a piece. */
static size_t count_added(const ehlo_client *client, const unsigned char *data, size_t size, int after_cr)
{
  size_t added = 0;
  if (!client->convert_lf || client->call_binary) {
    return 0;
  }
  for (const unsigned char *at = data; (at = memchr(at, '\n', size - (size_t)(at - data))) != NULL; at++) {
    added += (size_t)converts(client, data, (size_t)(at - data), after_cr);
    if ((size_t)(at - data) + 1 == size) {
      break;
    }
  }
  return added;
}

/* ---- chunks ---- */

static size_t write_header(char *to, size_t octets, int last)
{
  struct writer writer = writer_on(to, HEADER_MAX);
  write_string(&writer, "BDAT ");
  write_number(&writer, octets, 1);
  write_string(&writer, last ? " LAST\r\n" : "\r\n");
  return writer.length;
}

/* A chunk made of this piece stands at the tail of the output, with `length` octets; or beside it. */
static void queue_chunk(ehlo_client *client, const unsigned char *data, size_t size, size_t length)
{
  client->at_line_begin = data[size - 1] == '\n';
  client->epoch++;
  client->chunks++;
  ehlo_client_queue(client, EHLO_VERB_BDAT, 0, client->data_tag, length);
}

int ehlo_client_chunk_body(ehlo_client *client, const unsigned char *data, size_t size, size_t *taken)
{
  int error;
  ehlo_client_make_room(client);
  size_t room = output_room(&client->output);
  if (size == 0 || !ehlo_client_chunk_can_go(client) || room <= HEADER_MAX + 1) {
    return EHLO_OK;
  }
  /* An octet becomes two at most. */
  size_t most = client->convert_lf ? (room - HEADER_MAX) / 2 : room - HEADER_MAX;
  int after_cr = client->chunk.after_cr;
  size_t count = check(client, data, size < most ? size : most, &error);
  client->broken = (int8_t)error;
  if (count == 0) {
    return error;
  }
  size_t added = count_added(client, data, count, after_cr);
  unsigned char *begin = client_part(client, client->output_at) + client->output.tail;
  unsigned char *to = begin + write_header((char *)begin, count + added, 0);
  if (added == 0) {
    memcpy(to, data, count);
    to += count;
  } else {
    for (size_t i = 0; i < count; i++) {
      if (converts(client, data, i, after_cr)) {
        *to++ = '\r';
      }
      *to++ = data[i];
    }
  }
  client->gathered = 0;
  queue_chunk(client, data, count, (size_t)(to - begin));
  *taken = count;
  return error;
}

/* Cuts a piece into spans, from spans[1] on, at each CR that is put in. Returns how many octets of it there was room
 * for; *used is one past the last span, *added counts the CRs. */
static size_t cut(const ehlo_client *client, const unsigned char *data, size_t size, int after_cr, ehlo_span *spans,
                  size_t max, size_t *used, size_t *added)
{
  size_t run = 0;
  *used = 1;
  *added = 0;
  for (size_t i = 0; client->convert_lf && i < size; i++) {
    const unsigned char *lf = memchr(data + i, '\n', size - i);
    i = lf == NULL ? size : (size_t)(lf - data);
    if (i < size && converts(client, data, i, after_cr)) {
      if (max - *used < 4) {
        size = i;
        break;
      }
      if (i > run) {
        spans[(*used)++] = span_of(data + run, i - run);
      }
      spans[(*used)++] = span_of("\r", 1);
      ++*added;
      run = i;
    }
  }
  if (size > run) {
    spans[(*used)++] = span_of(data + run, size - run);
  }
  return size;
}

int ehlo_client_chunk_gather(ehlo_client *client, const unsigned char *data, size_t size, size_t *taken,
                             ehlo_span *spans, size_t max, size_t *count)
{
  int error;
  size_t used;
  size_t added;
  if (size == 0 || !ehlo_client_chunk_can_go(client)) {
    return EHLO_OK;
  }
  struct chunk before = client->chunk;
  size_t good = check(client, data, size, &error);
  size_t fit = cut(client, data, good, before.after_cr, spans, max, &used, &added);
  if (fit < good) {
    client->chunk = before;
    good = check(client, data, fit, &error);
  }
  client->broken = (int8_t)error;
  if (good == 0) {
    return error;
  }
  spans[0] = span_of(client->header, write_header(client->header, good + added, 0));
  client->gathered = 1;
  queue_chunk(client, data, good, 0);
  *count = used;
  *taken = good;
  return error;
}

int ehlo_client_chunk_end(ehlo_client *client)
{
  ehlo_client_make_room(client);
  /* In LMTP the last chunk has as many replies as there are recipients, if those before it were taken; so that is
   * waited for. */
  client->ending = client_is_lmtp(client) || !client_offers(client, EHLO_EXT_PIPELINING);
  if (!ehlo_client_chunk_can_go(client) || output_room(&client->output) < HEADER_MAX + 2) {
    return EHLO_ERR_SPACE;
  }
  if (client->chunk.after_cr && !client->call_binary) {
    return EHLO_ERR_BARE_NEWLINE;
  }
  int complete = client->call_binary || client->at_line_begin;
  char header[HEADER_MAX];
  ehlo_span spans[2];
  spans[0] = span_of(header, write_header(header, complete ? 0 : 2, 1));
  spans[1] = span_of("\r\n", complete ? 0 : 2);
  ehlo_client_end_content(client, COMMAND_CHUNKS, client->data_tag, spans, 2);
  return EHLO_OK;
}
