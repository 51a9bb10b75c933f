/* server_commands.c: one handler for each command: check, ask, proceed. Floor: session.
 *
 * A line is first checked against its row in the table of commands: is it known, on offer, in order, with the argument
 * that it may have? Then its handler checks the argument and asks the host, or says what is to be said. What follows
 * from a reply is in ehlo_command_proceed, once the reply is on its way.
 */
#include "server.h"

#include "../bytes/scan.h"
#include "../mechanism/sasl.h"

#include <string.h>

/* The reply to a command that is none, if anybody is still there to read it. */
static void say_no(ehlo_server *server, uint32_t verb, unsigned row)
{
  if (server->state == STATE_CLOSED) {
    return;
  }
  if (verb == EHLO_VERB_BURL) { /* without what it stood for the message is another one */
    ehlo_content_missing(server);
  }
  ehlo_server_say(server, verb, row);
}

void ehlo_server_refuse(ehlo_server *server, uint32_t verb, uint32_t kind, ehlo_span octets, unsigned row)
{
  ehlo_server_violation(server, kind, verb, octets);
  say_no(server, verb, row);
}

int ehlo_server_lenient(ehlo_server *server, uint32_t verb, uint32_t kind, ehlo_span octets, int allowed)
{
  ehlo_server_violation(server, kind, verb, octets);
  return allowed && server->state != STATE_CLOSED;
}

/* ---- hello ---- */

/* Reads the name of HELO, EHLO, LHLO: Domain, or behind EHLO and LHLO an address literal, after which old clients put
 * text (RFC 5321 4.1.1.1). Returns 1 if it may pass. */
static int read_hello(ehlo_server *server, uint32_t verb, ehlo_span argument, ehlo_event_hello *hello)
{
  size_t used;
  int strict = ehlo_parse_domain(argument, 0, &hello->domain, &used) == EHLO_OK;
  int literal = hello->domain.kind != EHLO_DOMAIN_NAME;
  if (strict && literal && verb != EHLO_VERB_HELO && used < argument.len && argument.ptr[used] == ' ') {
    hello->text = span_from(argument, used + 1);
    return 1;
  }
  if (strict && used == argument.len && !(literal && verb == EHLO_VERB_HELO)) {
    return 1;
  }
  if (strict && used == argument.len) {
    return ehlo_server_lenient(server, verb, EHLO_VIOLATION_HELLO_NAME, argument, server->allow_any_hello);
  }
  if (ehlo_parse_domain(argument, EHLO_PARSE_UNDERSCORE, &hello->domain, &used) == EHLO_OK && used == argument.len) {
    return ehlo_server_lenient(server, verb, EHLO_VIOLATION_UNDERSCORE, argument,
                               server->allow_underscore || server->allow_any_hello);
  }
  memset(&hello->domain, 0, sizeof hello->domain);
  hello->domain.raw = argument;
  int printable = span_is(argument, CLASS_TEXT) && memchr(argument.ptr, '\t', argument.len) == NULL &&
                  memchr(argument.ptr, ' ', argument.len) == NULL;
  uint32_t kind = printable ? EHLO_VIOLATION_HELLO_NAME : EHLO_VIOLATION_SYNTAX;
  return ehlo_server_lenient(server, verb, kind, argument, printable && server->allow_any_hello);
}

static void hello(ehlo_server *server, uint32_t verb, ehlo_span argument)
{
  ehlo_event event = {.type = EHLO_EVENT_HELLO, .as.hello.verb = verb};
  if (!read_hello(server, verb, argument, &event.as.hello)) {
    if (server->state != STATE_CLOSED) {
      ehlo_server_say(server, verb, REPLY_BAD_HELLO);
    }
    return;
  }
  ehlo_server_watch(server, EHLO_VIOLATION_EARLY_HELLO);
  ehlo_span name = event.as.hello.domain.raw;
  ehlo_slot_ask(server, ehlo_slot_open(server, verb), &event);
  /* The name is kept only if the answer is yes, which may come much later. Until then no line is read: the name waits
   * in the line buffer. */
  server->next_hello = (uint32_t)name.len;
  memmove(server_part(server, server->line_at), name.ptr, name.len);
}

static void proceed_hello(ehlo_server *server, const struct slot *slot)
{
  server->uncovered = (uint32_t)output_waiting(&server->output);
  if (slot->code >= 300) {
    return;
  }
  ehlo_server_end_transaction(server, EHLO_END_SUPERSEDED);
  if (server->state == STATE_CLOSED) {
    return;
  }
  server->hello_verb = slot->verb;
  server->hello_len = server->next_hello <= server->hello_size ? server->next_hello : 0;
  memcpy(server_part(server, server->hello_at), server_part(server, server->line_at), server->hello_len);
  ehlo_server_enter(server, STATE_IDLE);
}

/* ---- the others that ask ---- */

static void data(ehlo_server *server)
{
  if (server->doomed) {
    ehlo_server_say(server, EHLO_VERB_DATA, REPLY_LOCAL_ERROR);
    return;
  }
  ehlo_event event = {.type = EHLO_EVENT_DATA, .as.data.recipients = server->recipients};
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_DATA), &event);
}

/* VRFY and EXPN: a string, and behind it SMTPUTF8 if that is on offer (RFC 6531 3.7.4.2). */
static void query(ehlo_server *server, uint32_t verb, ehlo_span argument)
{
  static const char suffix[] = " SMTPUTF8";
  ehlo_span tail = span_of(suffix, sizeof suffix - 1);
  ehlo_event event = {.type = verb == EHLO_VERB_VRFY ? EHLO_EVENT_VRFY : EHLO_EVENT_EXPN};
  size_t utf8_from = argument.len > tail.len ? argument.len - tail.len : argument.len;
  if (server_offers(server, EHLO_EXT_SMTPUTF8) && ehlo_span_equal_nocase(span_from(argument, utf8_from), tail)) {
    event.as.query.smtputf8 = 1;
    argument.len = utf8_from;
  }
  size_t valid = ehlo_utf8_valid(argument);
  int ascii = 1;
  for (size_t i = 0; i < argument.len; i++) {
    ascii &= (unsigned char)argument.ptr[i] < 128;
  }
  if (valid < argument.len) {
    ehlo_server_refuse(server, verb, EHLO_VIOLATION_SYNTAX, argument, REPLY_SYNTAX);
    return;
  }
  if (!ascii && !event.as.query.smtputf8) {
    ehlo_server_refuse(server, verb, EHLO_VIOLATION_NON_ASCII, argument, REPLY_NON_ASCII_RCPT);
    return;
  }
  event.as.query.argument = argument;
  struct slot *slot = ehlo_slot_open(server, verb);
  slot->utf8 = (uint8_t)event.as.query.smtputf8;
  ehlo_slot_ask(server, slot, &event);
}

static void help(ehlo_server *server, ehlo_span argument)
{
  ehlo_event event = {.type = EHLO_EVENT_HELP, .as.help.argument = argument};
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_HELP), &event);
}

static void starttls(ehlo_server *server)
{
  ehlo_event event = {.type = EHLO_EVENT_STARTTLS};
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_STARTTLS), &event);
}

static void unknown(ehlo_server *server, const ehlo_command *command)
{
  ehlo_server_violation(server, EHLO_VIOLATION_UNKNOWN_VERB, EHLO_VERB_UNKNOWN, command->name);
  if (server->state == STATE_CLOSED) {
    return;
  }
  ehlo_event event = {.type = EHLO_EVENT_UNKNOWN, .as.unknown = {command->name, command->argument}};
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_UNKNOWN), &event);
}

/* ---- checks by the table ---- */

/* The state as the table knows it. */
static unsigned legal_bit(const ehlo_server *server)
{
  switch (server->state) {
  case STATE_OPEN: return LEGAL_OPEN;
  case STATE_IDLE: return LEGAL_IDLE;
  case STATE_MAIL: return LEGAL_MAIL;
  case STATE_RCPT: return LEGAL_RCPT;
  case STATE_CHUNKS: return LEGAL_CHUNKS;
  default: return 0;
  }
}

/* What to say to a command that is out of order (RFC 5321 4.1.4). */
static unsigned sequence_row(const ehlo_server *server, uint32_t verb)
{
  if (server->state == STATE_OPEN) {
    return server->protocol == EHLO_PROTOCOL_LMTP ? REPLY_LHLO_FIRST : REPLY_HELLO_FIRST;
  }
  if (server->state == STATE_IDLE) {
    return verb == EHLO_VERB_RCPT || verb == EHLO_VERB_DATA || verb == EHLO_VERB_BDAT ? REPLY_MAIL_FIRST
                                                                                      : REPLY_SEQUENCE;
  }
  if (server->state == STATE_CHUNKS) {
    return server->chunk_failed ? REPLY_CHUNK_FAILED : REPLY_CHUNKS_OPEN;
  }
  return ehlo_commands[verb].states == LEGAL_IDLE && verb != EHLO_VERB_TURN ? REPLY_NESTED : REPLY_SEQUENCE;
}

/* Does the session's protocol not know this verb? (RFC 2033 4.1) */
static int foreign(const ehlo_server *server, uint32_t verb)
{
  if (server->protocol == EHLO_PROTOCOL_LMTP) {
    return verb == EHLO_VERB_HELO || verb == EHLO_VERB_EHLO;
  }
  return verb == EHLO_VERB_LHLO;
}

/* Verbs whose arguments may hold UTF-8 where SMTPUTF8 is on offer. */
static int takes_mailbox(uint32_t verb)
{
  return (verb >= EHLO_VERB_MAIL && verb <= EHLO_VERB_RCPT) || verb == EHLO_VERB_VRFY || verb == EHLO_VERB_EXPN;
}

static int not_offered(const ehlo_server *server, uint32_t verb)
{
  uint32_t extension = ehlo_commands[verb].extension;
  return extension != EXTENSION_ALWAYS && !server_offers(server, extension);
}

/* What may be said before AUTH where that is required (RFC 4954 6); STARTTLS, because AUTH may need it. */
static int free_of_auth(uint32_t verb)
{
  return verb == EHLO_VERB_AUTH || verb_is_hello(verb) || verb == EHLO_VERB_NOOP || verb == EHLO_VERB_RSET ||
         verb == EHLO_VERB_QUIT || verb == EHLO_VERB_STARTTLS;
}

/* All that a server for on-demand relay knows (RFC 2645 5.1, 5.2). */
static int is_of_odmr(uint32_t verb)
{
  return free_of_auth(verb) || verb == EHLO_VERB_ATRN;
}

static int needs_recipients(uint32_t verb)
{
  return verb == EHLO_VERB_DATA || verb == EHLO_VERB_BDAT || verb == EHLO_VERB_BURL;
}

/* Everything that can be wrong with a command before its argument is read. Returns the row of the reply, with *kind the
 * violation, or REPLY_ROWS. */
static unsigned check_command(const ehlo_server *server, const ehlo_command *command, unsigned seen, uint32_t *kind)
{
  const struct command_row *row = &ehlo_commands[command->verb];
  *kind = EHLO_VIOLATION_SEQUENCE;
  if (server->state == STATE_REFUSED) {
    return server->refusal;
  }
  *kind = EHLO_VIOLATION_UNKNOWN_VERB;
  if (foreign(server, command->verb)) {
    return REPLY_UNKNOWN_COMMAND;
  }
  *kind = EHLO_VIOLATION_NON_ASCII;
  if ((seen & SEEN_NON_ASCII) != 0 && !(server_offers(server, EHLO_EXT_SMTPUTF8) && takes_mailbox(command->verb))) {
    return REPLY_NON_ASCII;
  }
  *kind = EHLO_VIOLATION_CONTROL;
  if ((seen & SEEN_CONTROL) != 0) {
    return REPLY_CONTROL;
  }
  *kind = EHLO_VIOLATION_NOT_OFFERED;
  if (server->odmr && !is_of_odmr(command->verb)) {
    return REPLY_NOT_IMPLEMENTED;
  }
  if (not_offered(server, command->verb)) {
    return command->verb == EHLO_VERB_EXPN && server->expn_252 ? REPLY_CANNOT_VERIFY : REPLY_NOT_IMPLEMENTED;
  }
  *kind = EHLO_VIOLATION_SEQUENCE;
  if (server->require_tls && !server->tls && command->verb != EHLO_VERB_NOOP && command->verb != EHLO_VERB_EHLO &&
      command->verb != EHLO_VERB_LHLO && command->verb != EHLO_VERB_STARTTLS && command->verb != EHLO_VERB_QUIT) {
    return REPLY_TLS_REQUIRED;
  }
  if (server->require_auth && !server->authorized && !free_of_auth(command->verb)) {
    int needs_tls = !server_offers(server, EHLO_EXT_AUTH) && server_offers(server, EHLO_EXT_STARTTLS);
    return needs_tls ? REPLY_TLS_REQUIRED : REPLY_AUTH_REQUIRED;
  }
  if ((row->states & legal_bit(server)) == 0) {
    return sequence_row(server, command->verb);
  }
  *kind = EHLO_VIOLATION_SYNTAX;
  if (row->argument == ARGUMENT_NO && command->has_argument) {
    return REPLY_NO_ARGUMENT;
  }
  if (row->argument == ARGUMENT_MUST && !command->has_argument) {
    return REPLY_NEEDS_ARGUMENT;
  }
  *kind = EHLO_VIOLATION_SEQUENCE;
  if (command->verb == EHLO_VERB_DATA && server->body == EHLO_BODY_BINARYMIME) {
    return REPLY_BINARY_BY_DATA;
  }
  if (command->verb == EHLO_VERB_BURL && server->chunk_failed) {
    return REPLY_CHUNK_FAILED;
  }
  if (needs_recipients(command->verb) && server->recipients == 0 && !server->resumed) {
    return server->protocol == EHLO_PROTOCOL_LMTP ? REPLY_NO_RECIPIENTS_503 : REPLY_NO_RECIPIENTS;
  }
  return REPLY_ROWS;
}

/* BURL: an absolute URI, and whether it is the last (RFC 4468 3.1). */
static void burl(ehlo_server *server, ehlo_span argument)
{
  ehlo_span url;
  uint32_t last;
  if (ehlo_parse_burl(argument, &url, &last) != EHLO_OK) {
    ehlo_server_refuse(server, EHLO_VERB_BURL, EHLO_VIOLATION_SYNTAX, argument, REPLY_SYNTAX);
    return;
  }
  ehlo_content_burl(server, url, last != 0);
}

static void dispatch(ehlo_server *server, const ehlo_command *command, unsigned seen)
{
  switch (command->verb) {
  case EHLO_VERB_HELO:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_LHLO: hello(server, command->verb, command->argument); break;
  case EHLO_VERB_MAIL:
  case EHLO_VERB_SEND:
  case EHLO_VERB_SOML:
  case EHLO_VERB_SAML: ehlo_command_mail(server, command->verb, command->argument, seen); break;
  case EHLO_VERB_RCPT: ehlo_command_rcpt(server, command->argument, seen); break;
  case EHLO_VERB_DATA: data(server); break;
  case EHLO_VERB_VRFY:
  case EHLO_VERB_EXPN: query(server, command->verb, command->argument); break;
  case EHLO_VERB_HELP: help(server, command->argument); break;
  case EHLO_VERB_TURN: ehlo_command_turn(server); break;
  case EHLO_VERB_ETRN: ehlo_command_etrn(server, command->argument); break;
  case EHLO_VERB_ATRN: ehlo_command_atrn(server, command->argument); break;
  case EHLO_VERB_AUTH: ehlo_command_auth(server, command->argument); break;
  case EHLO_VERB_BURL: burl(server, command->argument); break;
  case EHLO_VERB_XCLIENT:
  case EHLO_VERB_XFORWARD: ehlo_command_peer(server, command->verb, command->argument); break;
  case EHLO_VERB_STARTTLS: starttls(server); break;
  case EHLO_VERB_UNKNOWN: unknown(server, command); break;
  default: ehlo_server_say(server, command->verb, ehlo_commands[command->verb].accept_reply); break;
  }
}

uint32_t ehlo_command_verb(int result, ehlo_span line)
{
  ehlo_command command;
  return result == LINE_READY && ehlo_parse_command(line, &command) == EHLO_OK ? command.verb
                                                                               : (uint32_t)EHLO_VERB_LINE;
}

/* BDAT: what is wrong with it is told at once, and answered behind its octets (RFC 3030 2). */
static void bdat(ehlo_server *server, const ehlo_command *command, ehlo_span line, unsigned row, uint32_t kind)
{
  uint64_t size;
  uint32_t last;
  if (ehlo_parse_chunk(command->argument, &size, &last) != EHLO_OK) {
    row = REPLY_BAD_CHUNK;
    kind = EHLO_VIOLATION_SYNTAX;
  } else if (row == REPLY_ROWS && server->chunk_failed) {
    row = REPLY_CHUNK_FAILED;
    kind = EHLO_VIOLATION_SEQUENCE;
  }
  if (row != REPLY_ROWS) {
    ehlo_server_violation(server, kind, EHLO_VERB_BDAT, line);
  }
  if (server->state != STATE_CLOSED) {
    ehlo_content_chunk(server, command->argument, row);
  }
}

/* The greeting refused mail service: only QUIT is left (RFC 5321 3.1). */
static void refused_session(ehlo_server *server, uint32_t verb)
{
  if (verb == EHLO_VERB_QUIT) {
    ehlo_server_say(server, verb, REPLY_BYE);
  } else {
    ehlo_server_refuse(server, verb, EHLO_VIOLATION_SEQUENCE, span_of("", 0), server->refusal);
  }
}

/* A line that is no command. */
static void bad_line(ehlo_server *server, uint32_t kind, ehlo_span line, unsigned row)
{
  ehlo_server_refuse(server, EHLO_VERB_LINE, kind, line, server->state == STATE_REFUSED ? server->refusal : row);
}

/* A line that cannot be read as a command: too long, or with a bare CR or LF in it. What it would have brought is
 * missing: of BDAT nobody knows where its octets end, and a message without what BURL stood for is another one. */
static void unreadable_line(ehlo_server *server, uint32_t kind, ehlo_span line, unsigned row, uint32_t verb)
{
  if (verb == EHLO_VERB_BDAT) {
    ehlo_server_violation(server, kind, EHLO_VERB_BDAT, line);
    if (server->state != STATE_CLOSED && ehlo_server_close(server, EHLO_END_SHUTDOWN)) {
      ehlo_server_say(server, EHLO_VERB_BDAT, REPLY_BAD_CHUNK);
    }
    return;
  }
  if (verb == EHLO_VERB_BURL) {
    ehlo_content_missing(server);
  }
  bad_line(server, kind, line, row);
}

/* Deals with a command whose line was read; `line` is as much of it as anybody may see. */
static void take_command(ehlo_server *server, ehlo_command *command, ehlo_span line, unsigned seen)
{
  ehlo_event event;
  event.type = EHLO_EVENT_COMMAND;
  event.ticket = 0;
  event.as.command.verb = command->verb;
  event.as.command.line = line;
  ehlo_server_emit(server, &event);
  if (server->state == STATE_CLOSED) {
    return;
  }
  server->mails += verb_opens_transaction(command->verb) ? 1 : 0;
  if (server->state == STATE_REFUSED && command->verb != EHLO_VERB_BDAT) {
    refused_session(server, command->verb);
    return;
  }
  uint32_t kind;
  unsigned row = check_command(server, command, seen, &kind);
  if (command->verb == EHLO_VERB_BDAT) {
    bdat(server, command, line, row, kind);
    return;
  }
  if (row != REPLY_ROWS) {
    ehlo_server_refuse(server, command->verb, kind, line, row);
    return;
  }
  if (command->argument.len > 0 && (command->argument.ptr[0] == ' ' || command->argument.ptr[0] == '\t') &&
      ehlo_commands[command->verb].argument == ARGUMENT_MUST) {
    if (!ehlo_server_lenient(server, command->verb, EHLO_VIOLATION_EXTRA_SPACES, line, server->allow_extra_spaces)) {
      say_no(server, command->verb, REPLY_SYNTAX);
      return;
    }
    span_skip_spaces(&command->argument);
  }
  dispatch(server, command, seen);
}

/* AUTH as far as anybody may see it: an initial response is a secret, and may stand where a mechanism should. */
static ehlo_span without_response(const ehlo_command *command)
{
  ehlo_span argument = command->argument;
  size_t length = 0;
  while (length < argument.len && length < SASL_NAME_MAX &&
         (octet_is((unsigned char)argument.ptr[length], CLASS_LDH) || argument.ptr[length] == '_')) {
    length++;
  }
  return argument.len == 0 ? command->name : span_between(command->name.ptr, argument.ptr + length);
}

void ehlo_command_line(ehlo_server *server, int result, ehlo_span line, unsigned seen)
{
  ehlo_command command;
  size_t size = line.len;
  int parsed = ehlo_parse_command(line, &command) == EHLO_OK; /* of a line that was dropped, its beginning */
  uint32_t verb = parsed ? command.verb : (uint32_t)EHLO_VERB_LINE;
  if (verb == EHLO_VERB_AUTH) {
    line = without_response(&command);
  } else if (size + 2 > server->max_line) { /* only AUTH has the whole buffer */
    result = LINE_TOO_LONG;
    line.len = server->max_line - 2;
  }
  if (result == LINE_TOO_LONG) {
    int is_exchange = verb == EHLO_VERB_AUTH && server_offers(server, EHLO_EXT_AUTH); /* RFC 4954 4 */
    unreadable_line(server, EHLO_VIOLATION_LINE_TOO_LONG, line, is_exchange ? REPLY_SASL_TOO_LONG : REPLY_LINE_TOO_LONG,
                    verb);
  } else if (result == LINE_BARE_NEWLINE) {
    unreadable_line(server, EHLO_VIOLATION_BARE_NEWLINE, line, REPLY_BARE_NEWLINE_LINE, verb);
  } else if (!parsed) {
    bad_line(server, EHLO_VIOLATION_SYNTAX, line, REPLY_BAD_LINE);
  } else {
    take_command(server, &command, line, seen);
  }
  if (verb == EHLO_VERB_AUTH) {
    ehlo_auth_wipe(server, size);
  }
}

/* ---- proceed ---- */

static void proceed_connect(ehlo_server *server, const struct slot *slot)
{
  server->uncovered = (uint32_t)output_waiting(&server->output);
  server->refusal = slot->code == 521 ? REPLY_NO_MAIL_HOST : REPLY_SEQUENCE;
  ehlo_server_enter(server, slot->code == 220 ? STATE_OPEN : STATE_REFUSED);
}

void ehlo_command_proceed(ehlo_server *server, const struct slot *slot)
{
  int positive = slot->code < 400;
  switch (slot->verb) {
  case EHLO_VERB_CONNECT: proceed_connect(server, slot); break;
  case EHLO_VERB_HELO:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_LHLO: proceed_hello(server, slot); break;
  case EHLO_VERB_MAIL:
  case EHLO_VERB_SEND:
  case EHLO_VERB_SOML:
  case EHLO_VERB_SAML:
    if (positive) {
      ehlo_server_open_transaction(server, slot->verb);
    }
    if (slot->code == 355) {
      server->resumed = 1;
      ehlo_server_enter(server, STATE_RCPT);
    }
    break;
  case EHLO_VERB_RCPT:
    if (positive) {
      server->recipients++;
      ehlo_server_enter(server, STATE_RCPT);
    }
    break;
  case EHLO_VERB_DATA:
    if (positive) {
      ehlo_content_begin(server);
    }
    break;
  case EHLO_VERB_BDAT: ehlo_content_proceed_chunk(server, slot); break;
  case EHLO_VERB_RSET:
    if (positive) {
      ehlo_server_end_transaction(server, EHLO_END_RESET);
    }
    break;
  case EHLO_VERB_QUIT:
    if (positive) {
      (void)ehlo_server_close(server, EHLO_END_QUIT);
    }
    break;
  case EHLO_VERB_STARTTLS:
    if (positive) {
      ehlo_server_end_transaction(server, EHLO_END_SUPERSEDED);
      if (server->state != STATE_CLOSED) {
        ehlo_server_enter(server, STATE_TLS);
      }
    }
    break;
  case EHLO_VERB_TURN:
  case EHLO_VERB_ATRN:
    if (positive) {
      ehlo_server_enter(server, STATE_TURN);
    }
    break;
  case EHLO_VERB_AUTH: ehlo_auth_proceed(server, slot); break;
  case EHLO_VERB_BURL: ehlo_content_proceed_chunk(server, slot); break;
  case EHLO_VERB_XCLIENT:
    if (positive) {
      ehlo_peer_proceed(server);
    }
    break;
  default: break;
  }
}
