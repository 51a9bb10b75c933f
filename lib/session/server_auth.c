/* server_auth.c: AUTH, from the command to the verdict (RFC 4954). Floor: session.
 *
 * Each challenge, and the verdict at the end, is a reply like any other and goes through a slot; behind a 334 the
 * session is in STATE_AUTH, where the next line is a response. What the library knows to read it reads until all is
 * said, and asks the host once; for other mechanisms each response is a step that asks, and the host answers with a
 * challenge or the verdict.
 *
 * Responses are decoded into the line buffer, and wiped from it when the host has seen them. The name that is being
 * proved has a place of its own, so that whatever is said in an exchange that comes to nothing changes nothing.
 */
#include "server.h"

#include "../mechanism/sasl.h"

#include <string.h>

/* Where an exchange is: what the next response is to be. */
enum { STEP_FIRST, STEP_USER, STEP_PASSWORD, STEP_HOST };

/* Written so that no compiler takes it for useless. */
static void wipe(void *octets, size_t size)
{
  volatile unsigned char *at = octets;
  while (size > 0) {
    at[--size] = 0;
  }
}

static char *identity(const ehlo_server *server)
{
  return (char *)server_part(server, server->identity_at);
}

/* The name that is being proved. */
static char *next_identity(const ehlo_server *server)
{
  return (char *)server_part(server, server->exchange_at);
}

/* The mechanism as the client spelt it, behind that. */
static char *sasl_name(const ehlo_server *server)
{
  return next_identity(server) + server->identity_size;
}

/* Keeps the name that is being proved, if there is room for it. */
static void keep_identity(ehlo_server *server, ehlo_span name)
{
  server->next_identity = name.len <= server->identity_size ? (uint32_t)name.len : 0;
  if (server->next_identity > 0) {
    memcpy(next_identity(server), name.ptr, name.len);
  }
}

void ehlo_auth_forget(ehlo_server *server)
{
  server->authenticated = 0;
  server->authorized = 0;
  server->identity_len = 0;
  wipe(identity(server), server->identity_size);
}

/* ---- challenges ---- */

/* How many octets a challenge takes: code, space, base64, CRLF. */
static size_t challenge_length(size_t octets)
{
  return 4 + (octets + 2) / 3 * 4 + 2;
}

/* Writes a challenge into the front slot's place in the output, where there is room. */
static void write_challenge(ehlo_server *server, struct slot *slot, ehlo_span octets)
{
  char *to = (char *)server_part(server, server->output_at) + server->output.tail;
  size_t length = challenge_length(octets.len);
  size_t written = 0;
  memcpy(to, "334 ", 4);
  if (octets.len > 0) {
    (void)ehlo_base64_encode(octets, to + 4, length - 6, &written);
  }
  memcpy(to + 4 + written, "\r\n", 2);
  output_wrote(&server->output, length);
  slot->code = 334;
  slot->begun = 1;
  slot->state = SLOT_WRITTEN;
}

/* What the library asks by itself. */
static void challenge(ehlo_server *server, const char *octets, unsigned step)
{
  server->sasl_step = (uint8_t)step;
  write_challenge(server, ehlo_slot_open(server, EHLO_VERB_AUTH), ehlo_span_of(octets));
}

int ehlo_server_challenge(ehlo_server *server, uint32_t ticket, ehlo_span octets)
{
  if (server == NULL || span_is_lie(octets)) {
    return EHLO_ERR_ARGUMENT;
  }
  struct slot *slot = ehlo_slot_find(server, ticket);
  if (slot == NULL) {
    return EHLO_ERR_TICKET;
  }
  uint32_t mechanism = server->sasl;
  int is_oauth = mechanism == EHLO_SASL_XOAUTH2 || mechanism == EHLO_SASL_OAUTHBEARER;
  if (slot->verb != EHLO_VERB_AUTH || slot->code != 0 || (ehlo_sasl_is_complete(mechanism) && !is_oauth)) {
    return EHLO_ERR_CODE;
  }
  size_t length = challenge_length(octets.len);
  if (octets.len > SASL_LINE_MAX || length > SASL_LINE_MAX || length > server->output.size) {
    return EHLO_ERR_TOO_LONG;
  }
  if (length > output_room(&server->output)) {
    return EHLO_ERR_SPACE;
  }
  server->sasl_step = STEP_HOST;
  write_challenge(server, slot, octets);
  return EHLO_OK;
}

/* ---- responses ---- */

/* A response that is none ends the exchange. */
static void bad_response(ehlo_server *server, uint32_t kind, unsigned row)
{
  ehlo_server_violation(server, kind, EHLO_VERB_AUTH, span_of("", 0));
  if (server->state != STATE_CLOSED) {
    ehlo_server_say(server, EHLO_VERB_AUTH, row);
  }
}

/* Asks for the verdict on credentials that are complete. */
static void ask_verdict(ehlo_server *server, const ehlo_credentials *credentials)
{
  ehlo_event event = {.type = EHLO_EVENT_AUTH, .as.auth = *credentials};
  if (server->sasl != EHLO_SASL_LOGIN) { /* whose name lies there already */
    keep_identity(server, credentials->authzid.len > 0 ? credentials->authzid : credentials->authcid);
  }
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_AUTH), &event);
}

/* Tells the host a response, NULL for none, of a mechanism that is the host's. */
static void ask_step(ehlo_server *server, const ehlo_span *response)
{
  ehlo_event event = {.type = EHLO_EVENT_STEP, .as.step.mechanism = server->sasl};
  event.as.step.name = span_of(sasl_name(server), server->sasl_name_len);
  if (response != NULL) {
    event.as.step.has_response = 1;
    event.as.step.response = *response;
  }
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_AUTH), &event);
}

/* LOGIN: first the name, then the password, each what it can be in PLAIN too. An empty password is none: some that
 * check passwords take it for a client that wants no more than to be nobody (RFC 4513 5.1.2). */
static void take_login(ehlo_server *server, ehlo_span response)
{
  int is_name = server->sasl_step != STEP_PASSWORD;
  if (response.len == 0 || (is_name && response.len > server->identity_size) ||
      ehlo_utf8_valid(response) != response.len || memchr(response.ptr, '\0', response.len) != NULL) {
    bad_response(server, EHLO_VIOLATION_SASL, REPLY_SASL_SYNTAX);
    return;
  }
  if (is_name) {
    keep_identity(server, response);
    challenge(server, "Password:", STEP_PASSWORD);
    return;
  }
  ehlo_credentials credentials = {.struct_size = sizeof credentials, .mechanism = EHLO_SASL_LOGIN};
  credentials.authcid = span_of(next_identity(server), server->next_identity);
  credentials.secret = response;
  ask_verdict(server, &credentials);
}

/* Takes what the client said, in base64. */
static void take_response(ehlo_server *server, ehlo_span text)
{
  size_t length;
  char *buffer = (char *)server_part(server, server->line_at);
  if (ehlo_base64_decode(text, buffer, server->line_size, &length) != EHLO_OK) {
    bad_response(server, EHLO_VIOLATION_SASL, REPLY_SASL_SYNTAX);
    return;
  }
  ehlo_span response = span_of(buffer, length);
  ehlo_credentials credentials = {.struct_size = sizeof credentials};
  if (server->sasl == EHLO_SASL_LOGIN) {
    take_login(server, response);
  } else if (server->sasl_step == STEP_HOST || !ehlo_sasl_is_complete(server->sasl)) {
    ask_step(server, &response);
  } else if (ehlo_sasl_decode(server->sasl, response, &credentials) != EHLO_OK) {
    bad_response(server, EHLO_VIOLATION_SASL, REPLY_SASL_SYNTAX);
  } else {
    ask_verdict(server, &credentials);
  }
}

/* ---- the command and the lines behind it ---- */

static int mechanism_is_offered(const ehlo_server *server, uint32_t mechanism, ehlo_span name)
{
  if (mechanism == EHLO_SASL_OTHER) {
    return ehlo_list_has(ehlo_server_text(server, TEXT_MECHANISMS), name);
  }
  return (ehlo_server_mechanisms(server) >> mechanism & 1) != 0;
}

/* "AUTH" SP sasl-mech [ SP initial-response ]    initial-response = base64 / "=" (RFC 4954 8) */
void ehlo_command_auth(ehlo_server *server, ehlo_span argument)
{
  const char *space = memchr(argument.ptr, ' ', argument.len);
  ehlo_span name = space == NULL ? argument : span_between(argument.ptr, space);
  ehlo_span initial = space == NULL ? span_of("", 0) : span_from(argument, name.len + 1);
  uint32_t mechanism = ehlo_sasl_find(name);
  int known = mechanism != EHLO_SASL_OTHER;
  int client_first = ehlo_sasl_client_first(mechanism);
  if (!ehlo_sasl_is_name(name)) { /* of what may be a response, no more than a name has */
    name.len = name.len < SASL_NAME_MAX ? name.len : SASL_NAME_MAX;
    ehlo_server_refuse(server, EHLO_VERB_AUTH, EHLO_VIOLATION_SYNTAX, name, REPLY_SYNTAX);
    return;
  }
  if (server->authenticated) {
    ehlo_server_refuse(server, EHLO_VERB_AUTH, EHLO_VIOLATION_SEQUENCE, name, REPLY_AUTH_TWICE);
    return;
  }
  if (!mechanism_is_offered(server, mechanism, name)) {
    ehlo_server_refuse(server, EHLO_VERB_AUTH, EHLO_VIOLATION_NOT_OFFERED, name, REPLY_BAD_MECHANISM);
    return;
  }
  if (initial.len > 0 && known && !client_first && mechanism != EHLO_SASL_LOGIN) { /* clients do so with LOGIN */
    bad_response(server, EHLO_VIOLATION_SASL, REPLY_SASL_INITIAL);
    return;
  }
  server->sasl = (uint8_t)mechanism;
  server->sasl_step = STEP_FIRST;
  server->sasl_name_len = (uint8_t)name.len;
  server->named = 0;
  memcpy(sasl_name(server), name.ptr, name.len);
  if (initial.len > 0) {
    take_response(server, initial.len == 1 && initial.ptr[0] == '=' ? span_of("", 0) : initial);
  } else if (client_first) {
    challenge(server, "", STEP_FIRST); /* RFC 4954 4: "334 " */
  } else if (mechanism == EHLO_SASL_LOGIN) {
    challenge(server, "Username:", STEP_USER);
  } else {
    ask_step(server, NULL);
  }
}

void ehlo_auth_line(ehlo_server *server, int result, ehlo_span line)
{
  ehlo_server_enter(server, STATE_IDLE);
  if (result == LINE_TOO_LONG) {
    bad_response(server, EHLO_VIOLATION_SASL, REPLY_SASL_TOO_LONG);
  } else if (result == LINE_BARE_NEWLINE) {
    bad_response(server, EHLO_VIOLATION_BARE_NEWLINE, REPLY_SASL_SYNTAX);
  } else if (line.len == 1 && line.ptr[0] == '*') {
    ehlo_server_say(server, EHLO_VERB_AUTH, REPLY_SASL_CANCELLED);
  } else {
    take_response(server, line);
  }
}

void ehlo_auth_wipe(ehlo_server *server, size_t size)
{
  wipe(server_part(server, server->line_at), size);
}

void ehlo_auth_proceed(ehlo_server *server, const struct slot *slot)
{
  if (slot->code == 334) {
    ehlo_server_enter(server, STATE_AUTH);
    return;
  }
  if (slot->code < 300) {
    server->authenticated = 1;
    server->authorized = 1;
    server->mechanism = server->sasl;
    if (!server->named) {
      server->identity_len = server->next_identity;
      memcpy(identity(server), next_identity(server), server->next_identity);
    }
  }
  wipe(next_identity(server), server->next_identity);
  server->next_identity = 0;
}

/* ---- what the host says and asks ---- */

int ehlo_server_authorize(ehlo_server *server, ehlo_span name)
{
  if (server == NULL || span_is_lie(name)) {
    return EHLO_ERR_ARGUMENT;
  }
  if (name.len > server->identity_size) {
    return EHLO_ERR_TOO_LONG;
  }
  server->authorized = 1;
  server->named = 1;
  server->identity_len = (uint32_t)name.len;
  if (name.len > 0) {
    memmove(identity(server), name.ptr, name.len);
  }
  return EHLO_OK;
}

int ehlo_server_authenticated(const ehlo_server *server)
{
  return server != NULL && server->authenticated;
}

uint32_t ehlo_server_mechanism(const ehlo_server *server)
{
  return server == NULL || !server->authenticated ? (uint32_t)EHLO_SASL_OTHER : server->mechanism;
}

ehlo_span ehlo_server_identity(const ehlo_server *server)
{
  return server == NULL ? span_of("", 0) : span_of(identity(server), server->identity_len);
}
