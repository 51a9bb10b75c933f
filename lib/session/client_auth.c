/* client_auth.c: AUTH (RFC 4954). Floor: session.
 *
 * AUTH stays at the front of the queue until its last reply. What is said in between goes out behind it, and the end of
 * the command moves along: so an answer counts only once what it answers has been sent. What is known before it is
 * asked for, a password for one, waits in the output, not released. All of it is wiped as it leaves, or when it is not
 * wanted any more.
 */
#include "client_draft.h"

#include "../mechanism/sasl.h"

#include <string.h>

/* What is to be said in an exchange. */
struct exchange {
  ehlo_span name;                      /* of the mechanism */
  uint32_t mechanism;                  /* EHLO_SASL_, by that name */
  const ehlo_credentials *credentials; /* out of which the one message is made, or NULL: */
  ehlo_span messages[2];
  size_t lengths[2];
  unsigned count;   /* messages that are known beforehand */
  int client_first; /* the first may stand behind AUTH */
  int is_the_hosts; /* who answers challenges that those do not answer */
};

static size_t base64_length(size_t octets)
{
  return (octets + 2) / 3 * 4;
}

/* ---- secrets ---- */

void ehlo_client_wipe_behind(ehlo_client *client, uint32_t tail)
{
  if (client->sasl != SASL_NONE && tail > client->output.tail) {
    memset(client_part(client, client->output_at) + client->output.tail, 0, tail - client->output.tail);
  }
}

/* What waits to be asked for is not wanted any more. */
static void drop_steps(ehlo_client *client)
{
  if (client->sasl_next < client->sasl_count) {
    uint32_t tail = client->output.tail;
    client->output.tail = client->output.head + (client->released_to - client->sent);
    ehlo_client_wipe_behind(client, tail);
    client->sasl_next = client->sasl_count;
  }
}

/* Writes message `index` of the exchange in base64 to `to`, of `size` octets, where it fits. One that is made of
 * credentials is made at the end of that room: encoding it overtakes nothing that has not been read. */
static void write_message(const struct exchange *exchange, unsigned index, char *to, size_t size)
{
  size_t length = exchange->lengths[index];
  size_t encoded = base64_length(length);
  ehlo_span octets = exchange->messages[index];
  if (exchange->credentials != NULL) {
    octets = span_of(to + size - length, length);
    (void)ehlo_sasl_encode(exchange->credentials, to + size - length, length, &length);
  }
  (void)ehlo_base64_encode(octets, to, size, &length);
  if (exchange->credentials != NULL) {
    memset(to + encoded, 0, size - encoded);
  }
}

/* ---- AUTH ---- */

/* Does the server list the mechanism, and may it be used here? */
static int check_mechanism(const ehlo_client *client, const struct exchange *exchange)
{
  if (!ehlo_sasl_is_name(exchange->name)) {
    return EHLO_ERR_SYNTAX;
  }
  int is_listed = exchange->mechanism != EHLO_SASL_OTHER
                      ? (client->offer.mechanisms >> exchange->mechanism & 1) != 0
                      : ehlo_offer_lists(ehlo_client_parameters(client, EHLO_EXT_AUTH), exchange->name);
  if (!client_offers(client, EHLO_EXT_AUTH) || !is_listed) {
    return EHLO_ERR_NOT_OFFERED;
  }
  if (ehlo_sasl_in_clear(exchange->mechanism) && !client->tls && !client->allow_plaintext_auth) {
    return EHLO_ERR_TLS;
  }
  return EHLO_OK;
}

/* May AUTH be said now? (RFC 4954 4) */
static int check_time(const ehlo_client *client)
{
  return client->authenticated || client->sasl != SASL_NONE || ehlo_client_needs_reset(client) ? EHLO_ERR_STATE
                                                                                               : EHLO_OK;
}

/* Does all of it fit, the first message in the line of AUTH or in one of its own, which is longer by one octet? */
static int check_room(const ehlo_client *client, const struct draft *draft, const struct exchange *exchange)
{
  size_t needed = draft->writer.length + 2;
  for (unsigned i = 0; i < exchange->count; i++) {
    size_t line = base64_length(exchange->lengths[i]) + 2;
    if (line > client->max_sasl_line) {
      return EHLO_ERR_TOO_LONG;
    }
    needed += line;
  }
  return needed > client->output.size ? EHLO_ERR_TOO_LONG : needed > draft->writer.size ? EHLO_ERR_SPACE : EHLO_OK;
}

/* Writes the initial response behind AUTH; an empty one is "=" (RFC 4954 4). */
static void write_initial(struct draft *draft, const struct exchange *exchange)
{
  struct writer *writer = &draft->writer;
  write_octet(writer, ' ');
  if (exchange->lengths[0] == 0) {
    write_octet(writer, '=');
    return;
  }
  write_message(exchange, 0, writer->ptr + writer->length, writer->size - writer->length);
  writer->length += base64_length(exchange->lengths[0]);
}

/* Puts the messages that wait for their challenges behind what is in the output. */
static void keep_steps(ehlo_client *client, const struct exchange *exchange, unsigned from)
{
  client->sasl_next = client->sasl_count = 0;
  for (unsigned i = from; i < exchange->count; i++) {
    char *to = (char *)client_part(client, client->output_at) + client->output.tail;
    size_t length = base64_length(exchange->lengths[i]);
    write_message(exchange, i, to, output_room(&client->output));
    memcpy(to + length, "\r\n", 2);
    output_wrote(&client->output, length + 2);
    client->sasl_ends[client->sasl_count++] = client->sent + (uint32_t)output_waiting(&client->output);
  }
}

/* One round trip, and no layer: what may stand in the middle of a group (RFC 4954 4). */
static int is_one_trip(const struct exchange *exchange, int in_line)
{
  return in_line && (exchange->mechanism == EHLO_SASL_PLAIN || exchange->mechanism == EHLO_SASL_EXTERNAL);
}

static int start(ehlo_client *client, const struct exchange *exchange, int error, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_AUTH);
  if (draft.error != EHLO_OK) {
    return draft.error;
  }
  draft_fail(&draft, check_time(client));
  draft_fail(&draft, error);
  draft_fail(&draft, check_mechanism(client, exchange));
  if (draft.error != EHLO_OK) {
    return draft.error;
  }
  write_octet(&draft.writer, ' ');
  write_span(&draft.writer, exchange->name);
  size_t first = exchange->count > 0 ? base64_length(exchange->lengths[0]) : 0;
  int in_line = exchange->count > 0 && exchange->client_first &&
                draft.writer.length + 3 + (first > 0 ? first : 1) <= COMMAND_LINE_MAX;
  draft_fail(&draft, check_room(client, &draft, exchange));
  if (draft.error == EHLO_OK && in_line) {
    write_initial(&draft, exchange);
  }
  draft.flags = is_one_trip(exchange, in_line) ? COMMAND_ONE_TRIP : 0;
  int result =
      draft.flags != 0 ? ehlo_client_commit(client, &draft, tag) : ehlo_client_commit_last(client, &draft, tag);
  if (result == EHLO_OK) {
    client->sasl = SASL_OUT;
    client->sasl_mechanism = exchange->is_the_hosts ? (uint8_t)EHLO_SASL_OTHER : (uint8_t)exchange->mechanism;
    client->sasl_refused = 0;
    client->sasl_challenges = 0;
    keep_steps(client, exchange, in_line != 0);
  }
  return result;
}

/* The fields that LOGIN says, which has no grammar of its own: neither is empty, nor ends early. */
static int prepare_login(struct exchange *exchange)
{
  const ehlo_span fields[2] = {exchange->credentials->authcid, exchange->credentials->secret};
  exchange->credentials = NULL;
  exchange->count = 2;
  for (unsigned i = 0; i < 2; i++) {
    if (fields[i].len == 0 || fields[i].ptr == NULL) {
      return EHLO_ERR_ARGUMENT;
    }
    if (memchr(fields[i].ptr, '\0', fields[i].len) != NULL) {
      return EHLO_ERR_TEXT;
    }
    exchange->messages[i] = fields[i];
    exchange->lengths[i] = fields[i].len;
  }
  return EHLO_OK;
}

int ehlo_client_auth(ehlo_client *client, const ehlo_credentials *credentials, uint64_t tag)
{
  char nothing[1];
  if (client == NULL || credentials == NULL || credentials->struct_size < sizeof *credentials ||
      !ehlo_sasl_is_complete(credentials->mechanism)) {
    return EHLO_ERR_ARGUMENT;
  }
  struct exchange exchange = {.name = ehlo_span_of(ehlo_sasl_name(credentials->mechanism)),
                              .mechanism = credentials->mechanism,
                              .credentials = credentials,
                              .client_first = ehlo_sasl_client_first(credentials->mechanism)};
  int error;
  if (credentials->mechanism == EHLO_SASL_LOGIN) {
    error = prepare_login(&exchange);
  } else {
    exchange.count = 1;
    error = ehlo_sasl_encode(credentials, nothing, 0, &exchange.lengths[0]);
    error = error == EHLO_ERR_BUFFER ? EHLO_OK : error;
  }
  return start(client, &exchange, error, tag);
}

int ehlo_client_auth_begin(ehlo_client *client, ehlo_span mechanism, const ehlo_span *initial, uint64_t tag)
{
  if (client == NULL || span_is_lie(mechanism) || (initial != NULL && span_is_lie(*initial))) {
    return EHLO_ERR_ARGUMENT;
  }
  struct exchange exchange = {
      .name = mechanism, .mechanism = ehlo_sasl_find(mechanism), .client_first = 1, .is_the_hosts = 1};
  if (initial != NULL) {
    exchange.count = 1;
    exchange.messages[0] = *initial;
    exchange.lengths[0] = initial->len;
  }
  int is_wrong =
      initial != NULL && exchange.mechanism != EHLO_SASL_OTHER && !ehlo_sasl_client_first(exchange.mechanism);
  return start(client, &exchange, is_wrong ? EHLO_ERR_ARGUMENT : EHLO_OK, tag);
}

/* ---- challenges and responses ---- */

/* Lets out what stands in the output up to `end`: a response. */
static void let_out(ehlo_client *client, uint32_t end)
{
  client_command(client, 0)->end = end;
  client->released_to = end;
  client->sasl = SASL_OUT;
  client->epoch++;
}

/* Says a line that is no secret. There is room: all before it has been sent. */
static void say(ehlo_client *client, ehlo_span line)
{
  ehlo_client_make_room(client);
  memcpy(client_part(client, client->output_at) + client->output.tail, line.ptr, line.len);
  output_wrote(&client->output, line.len);
  let_out(client, client->sent + (uint32_t)output_waiting(&client->output));
}

static void give_up(ehlo_client *client)
{
  drop_steps(client);
  say(client, span_of("*\r\n", 3));
  client->sasl = SASL_CANCELLED;
}

/* A server that was refused a token says why in a challenge, and wants to hear something before it says 535 (RFC 7628
 * 3.2.3; XOAUTH2 alike, where that is nothing). */
static ehlo_span after_refusal(const ehlo_client *client)
{
  if (client->sasl_refused) {
    return span_of(NULL, 0);
  }
  switch (client->sasl_mechanism) {
  case EHLO_SASL_XOAUTH2: return span_of("\r\n", 2);
  case EHLO_SASL_OAUTHBEARER: return span_of("AQ==\r\n", 6);
  default: return span_of(NULL, 0);
  }
}

/* Answers a challenge that can be read, if that is the library's to do. Returns 0 if it is one too many. */
static int answer(ehlo_client *client, uint32_t *answered)
{
  ehlo_span refusal = after_refusal(client);
  *answered = 1;
  if (client->sasl_next < client->sasl_count) {
    let_out(client, client->sasl_ends[client->sasl_next++]);
  } else if (refusal.len > 0) {
    client->sasl_refused = 1;
    say(client, refusal);
  } else if (client->sasl_mechanism == EHLO_SASL_OTHER && client->sasl_challenges <= EHLO_CLIENT_MAX_CHALLENGES) {
    client->sasl = SASL_CHALLENGED;
    *answered = 0;
  } else {
    return 0;
  }
  return 1;
}

void ehlo_client_challenged(ehlo_client *client, const ehlo_client_event *reply)
{
  ehlo_span text = reply->as.reply.text;
  char *buffer = (char *)client_part(client, client->line_at);
  size_t length;
  ehlo_client_event event = {.type = EHLO_CLIENT_EVENT_CHALLENGE, .tag = reply->tag};
  if (client->sasl == SASL_CANCELLED || client->count > 1) {
    /* There is nothing to say to it any more, or what stands behind AUTH would be taken for the answer. */
    ehlo_client_violate(client, EHLO_VIOLATION_SASL, reply->as.reply.line);
    return;
  }
  struct command *command = client_command(client, 0);
  if (command->flags & COMMAND_ONE_TRIP) {
    command->flags = 0; /* it is not: what would be called now would be taken for the answer */
    client->call_before = client->call;
    client->call = CALL_WAIT;
  }
  client->sasl_challenges++;
  int result = ehlo_base64_decode(text, buffer, 0, &length); /* nothing is written over a line that may be told */
  int good = reply->as.reply.number == 1 && (result == EHLO_OK || result == EHLO_ERR_BUFFER);
  if (!good || !answer(client, &event.as.challenge.answered)) {
    give_up(client);
    event.type = EHLO_CLIENT_EVENT_VIOLATION;
    event.tag = 0;
    event.as.violation = (ehlo_client_event_violation){EHLO_VIOLATION_SASL, EHLO_VERB_AUTH, reply->as.reply.line, 1};
    ehlo_client_emit(client, &event);
    return;
  }
  (void)ehlo_base64_decode(text, buffer, length, &length);
  event.as.challenge.octets = span_of(buffer, length);
  event.as.challenge.number = client->sasl_challenges;
  ehlo_client_emit(client, &event);
  memset(buffer, 0, length);
}

void ehlo_client_auth_answered(ehlo_client *client, const struct command *command, uint32_t code)
{
  drop_steps(client);
  client->authenticated = code < 300;
  client->sasl = SASL_NONE;
  if ((command->flags & COMMAND_ONE_TRIP) == 0) {
    client->call = client->call_before;
  }
}

/* Is it the host's turn? */
static int check_challenged(const ehlo_client *client)
{
  if (client == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  return client->state == CLIENT_GREETED && client->sasl == SASL_CHALLENGED ? EHLO_OK : EHLO_ERR_STATE;
}

int ehlo_client_auth_respond(ehlo_client *client, ehlo_span octets)
{
  int result = check_challenged(client);
  if (result != EHLO_OK || span_is_lie(octets)) {
    return result != EHLO_OK ? result : EHLO_ERR_ARGUMENT;
  }
  size_t length = base64_length(octets.len);
  if (octets.len > client->max_sasl_line || length + 2 > client->max_sasl_line) {
    return EHLO_ERR_TOO_LONG;
  }
  ehlo_client_make_room(client);
  if (length + 2 > output_room(&client->output)) {
    return EHLO_ERR_SPACE;
  }
  char *to = (char *)client_part(client, client->output_at) + client->output.tail;
  (void)ehlo_base64_encode(octets, to, length, &length);
  memcpy(to + length, "\r\n", 2);
  output_wrote(&client->output, length + 2);
  let_out(client, client->sent + (uint32_t)output_waiting(&client->output));
  return EHLO_OK;
}

int ehlo_client_auth_cancel(ehlo_client *client)
{
  int result = check_challenged(client);
  if (result == EHLO_OK) {
    give_up(client);
  }
  return result;
}
