/* server_envelope.c: MAIL, SEND, SOML, SAML and RCPT: path and parameters. Floor: session. */
#include "server.h"

#include "../bytes/scan.h"
#include "../grammar/envelope.h"
#include "../grammar/value.h"

#include <string.h>

/* ---- MAIL, SEND, SOML, SAML and RCPT ---- */

/* Reads a path at the front of *rest and moves on. `flags` are the EHLO_PARSE_ bits on offer. Returns 1 if it may pass.
 */
static int read_path(ehlo_server *server, uint32_t verb, ehlo_span *rest, uint32_t flags, ehlo_path *path)
{
  size_t used;
  int bare = rest->len == 0 || rest->ptr[0] != '<';
  int parsed = bare ? ehlo_parse_mailbox(*rest, flags, path, &used) : ehlo_parse_path(*rest, flags, path, &used);
  if (parsed != EHLO_OK) {
    flags |= EHLO_PARSE_UNDERSCORE;
    parsed = bare ? ehlo_parse_mailbox(*rest, flags, path, &used) : ehlo_parse_path(*rest, flags, path, &used);
    if (parsed != EHLO_OK) {
      return 0;
    }
    if (!ehlo_server_lenient(server, verb, EHLO_VIOLATION_UNDERSCORE, path->raw, server->allow_underscore)) {
      return 0;
    }
  }
  if (bare && !ehlo_server_lenient(server, verb, EHLO_VIOLATION_BARE_ADDRESS, path->raw, server->allow_bare_address)) {
    return 0;
  }
  *rest = span_from(*rest, used);
  return 1;
}

/* Does the text begin with the word, which is in lower case? */
static inline int is_word(const char *text, ehlo_span word)
{
  size_t at = 0;
  while (at < word.len && octet_lower((unsigned char)text[at]) == (unsigned char)word.ptr[at]) {
    at++;
  }
  return at == word.len;
}

/* Reads "FROM:" or "TO:", the path, and where the parameters begin (RFC 5321 3.3, 4.1.1.2, 4.1.1.3). Returns 1 if it
 * may pass. */
static int read_envelope(ehlo_server *server, uint32_t verb, ehlo_span argument, ehlo_path *path, ehlo_span *parameters)
{
  ehlo_span keyword = verb == EHLO_VERB_RCPT ? span_of("to:", 3) : span_of("from:", 5);
  if (argument.len < keyword.len || !is_word(argument.ptr, keyword)) {
    return 0;
  }
  ehlo_span rest = span_from(argument, keyword.len);
  if (span_skip_spaces(&rest) > 0 &&
      !ehlo_server_lenient(server, verb, EHLO_VIOLATION_SPACE_AFTER_COLON, argument, server->allow_space_after_colon)) {
    return 0;
  }
  if (!read_path(server, verb, &rest, server_parse_flags(server), path)) {
    return 0;
  }
  size_t spaces = span_skip_spaces(&rest);
  *parameters = rest;
  if (rest.len > 0 && spaces == 0) {
    return 0;
  }
  return spaces < 2 ||
         ehlo_server_lenient(server, verb, EHLO_VIOLATION_EXTRA_SPACES, argument, server->allow_extra_spaces);
}

/* What this server has to say to a parameter of MAIL that is right in itself. Returns the row of the reply that refuses
 * it, or REPLY_ROWS. */
static unsigned check_mail_parameter(const ehlo_server *server, uint32_t id, const ehlo_mail_parameters *mail)
{
  switch (id) {
  case EHLO_PARAMETER_SIZE:
    return server->max_message_size != 0 && mail->size > server->max_message_size ? REPLY_TOO_BIG : REPLY_ROWS;
  case EHLO_PARAMETER_BODY:
    return mail->body == EHLO_BODY_BINARYMIME && !server_offers(server, EHLO_EXT_BINARYMIME) ? REPLY_BAD_PARAMETER
                                                                                             : REPLY_ROWS;
  case EHLO_PARAMETER_BY:
    return mail->by_mode == EHLO_BY_RETURN && (uint32_t)mail->by_time < server->deliver_by_min ? REPLY_BY_TOO_SOON
                                                                                               : REPLY_ROWS;
  case EHLO_PARAMETER_HOLDFOR: return mail->hold_for > server->hold_max ? REPLY_BAD_PARAMETER : REPLY_ROWS;
  case EHLO_PARAMETER_HOLDUNTIL: return mail->hold_until > server->hold_max_time ? REPLY_BAD_PARAMETER : REPLY_ROWS;
  default: return REPLY_ROWS;
  }
}

/* Is the parameter, which is in the table, on offer for this verb? MTRK brings two of DSN's with it (RFC 3885 2). */
static int is_offered(const ehlo_server *server, uint32_t id, uint32_t verb)
{
  int tracked = (id == EHLO_PARAMETER_ENVID || id == EHLO_PARAMETER_ORCPT) && server_offers(server, EHLO_EXT_MTRK);
  return ehlo_parameters[id].verb == verb && (tracked || server_offers(server, ehlo_parameters[id].extension));
}

/* The reply to a parameter that is not on offer (RFC 5321 4.1.1.11; 504 for those of RFC 4141 4.2, 5.2). */
static unsigned unknown_row(uint32_t id)
{
  return id == EHLO_PARAMETER_CONPERM || id == EHLO_PARAMETER_CONNEG ? REPLY_NO_PARAMETER : REPLY_PARAMETERS;
}

/* Where the parameters of a command go: one of the two is NULL. */
struct parameters {
  ehlo_mail_parameters *mail;
  ehlo_rcpt_parameters *rcpt;
};

/* Is RCPT to go on without this ORCPT, though it is none? */
static int is_passed_over(ehlo_server *server, const ehlo_parameter *parameter)
{
  return server->allow_8bit_orcpt && parameter->id == EHLO_PARAMETER_ORCPT && ehlo_is_8bit_orcpt(parameter->value) &&
         ehlo_server_lenient(server, EHLO_VERB_RCPT, EHLO_VIOLATION_PARAMETER, parameter->raw, 1);
}

/* Reads one that is on offer. Returns as check_mail_parameter. */
static unsigned take_parameter(ehlo_server *server, const ehlo_parameter *parameter, struct parameters into)
{
  uint32_t flags = server_parse_flags(server);
  if (into.rcpt != NULL) {
    int good = ehlo_rcpt_parameter_read(parameter, flags, into.rcpt) == EHLO_OK || is_passed_over(server, parameter);
    return good ? REPLY_ROWS : REPLY_BAD_PARAMETER;
  }
  if (ehlo_mail_parameter_read(parameter, flags, into.mail) != EHLO_OK) {
    return parameter->id == EHLO_PARAMETER_MT_PRIORITY ? REPLY_BAD_PRIORITY : REPLY_BAD_PARAMETER;
  }
  return check_mail_parameter(server, parameter->id, into.mail);
}

/* Reads the parameters of MAIL or RCPT. Returns as check_mail_parameter, with *culprit what it is about. */
static unsigned read_parameters(ehlo_server *server, ehlo_span list, struct parameters into, ehlo_span *culprit)
{
  uint32_t verb = into.mail != NULL ? EHLO_VERB_MAIL : EHLO_VERB_RCPT;
  uint64_t seen = 0;
  while (list.len > 0) {
    ehlo_parameter parameter;
    if (ehlo_parameter_next(&list, server_parse_flags(server), &parameter) != 1) {
      *culprit = list;
      return REPLY_SYNTAX;
    }
    *culprit = parameter.raw;
    if (parameter.id == EHLO_PARAMETER_UNKNOWN || !is_offered(server, parameter.id, verb)) {
      ehlo_span own = ehlo_server_text(server, into.mail != NULL ? TEXT_MAIL : TEXT_RCPT);
      if (!server->pass_parameters && !ehlo_list_has(own, parameter.keyword)) {
        return unknown_row(parameter.id);
      }
      continue;
    }
    if ((seen >> parameter.id & 1) != 0) {
      return REPLY_REPEATED;
    }
    seen |= (uint64_t)1 << parameter.id;
    unsigned refusal = take_parameter(server, &parameter, into);
    if (refusal != REPLY_ROWS) {
      return refusal;
    }
  }
  return into.mail != NULL && !ehlo_mail_parameters_agree(into.mail) ? REPLY_BAD_PARAMETER : REPLY_ROWS;
}

static uint32_t parameter_violation(unsigned row)
{
  return row == REPLY_TOO_BIG  ? EHLO_VIOLATION_TOO_BIG
         : row == REPLY_SYNTAX ? EHLO_VIOLATION_SYNTAX
                               : EHLO_VIOLATION_PARAMETER;
}

/* A submission server wants domains that mean the same everywhere (RFC 6409 4.2). */
static int is_unqualified(const ehlo_server *server, const ehlo_path *path)
{
  ehlo_span name = path->domain.raw;
  return server->submission && path->domain.kind == EHLO_DOMAIN_NAME && memchr(name.ptr, '.', name.len) == NULL;
}

void ehlo_command_mail(ehlo_server *server, uint32_t verb, ehlo_span argument, unsigned seen)
{
  ehlo_event event = {.type = EHLO_EVENT_MAIL, .as.mail.verb = verb};
  ehlo_event_mail *envelope = &event.as.mail;
  if (!read_envelope(server, verb, argument, &envelope->path, &envelope->raw) ||
      envelope->path.kind == EHLO_PATH_POSTMASTER) {
    if (server->state != STATE_CLOSED) {
      ehlo_server_refuse(server, verb, EHLO_VIOLATION_SYNTAX, argument, REPLY_BAD_SENDER);
    }
    return;
  }
  ehlo_span culprit;
  envelope->parameters.struct_size = sizeof envelope->parameters;
  unsigned row = read_parameters(server, envelope->raw, (struct parameters){&envelope->parameters, NULL}, &culprit);
  if (row != REPLY_ROWS) {
    ehlo_server_refuse(server, verb, parameter_violation(row), culprit, row);
    return;
  }
  if ((seen & SEEN_NON_ASCII) != 0 && !envelope->parameters.smtputf8) {
    ehlo_server_refuse(server, verb, EHLO_VIOLATION_NON_ASCII, argument,
                       envelope->path.utf8 ? REPLY_NON_ASCII_SENDER : REPLY_NON_ASCII);
    return;
  }
  if (is_unqualified(server, &envelope->path)) {
    ehlo_server_refuse(server, verb, EHLO_VIOLATION_SYNTAX, argument, REPLY_NOT_QUALIFIED);
    return;
  }
  if (server->max_transactions != 0 && server->mails > server->max_transactions) {
    ehlo_server_refuse(server, verb, EHLO_VIOLATION_SEQUENCE, argument, REPLY_TOO_MANY_MAILS);
    return;
  }
  server->next_smtputf8 = (uint8_t)envelope->parameters.smtputf8;
  server->next_transid = envelope->parameters.transid.len > 0;
  server->next_body = (uint8_t)envelope->parameters.body;
  ehlo_slot_ask(server, ehlo_slot_open(server, verb), &event);
}

void ehlo_command_rcpt(ehlo_server *server, ehlo_span argument, unsigned seen)
{
  ehlo_event event;
  event.type = EHLO_EVENT_RCPT;
  ehlo_event_rcpt *envelope = &event.as.rcpt;
  if (!read_envelope(server, EHLO_VERB_RCPT, argument, &envelope->path, &envelope->raw) ||
      envelope->path.kind == EHLO_PATH_NULL) {
    if (server->state != STATE_CLOSED) {
      ehlo_server_refuse(server, EHLO_VERB_RCPT, EHLO_VIOLATION_SYNTAX, argument, REPLY_BAD_RECIPIENT);
    }
    return;
  }
  if (server->resumed) {
    ehlo_server_refuse(server, EHLO_VERB_RCPT, EHLO_VIOLATION_SEQUENCE, argument, REPLY_RESUMED);
    return;
  }
  ehlo_span culprit;
  memset(&envelope->parameters, 0, sizeof envelope->parameters);
  envelope->parameters.struct_size = sizeof envelope->parameters;
  unsigned row = read_parameters(server, envelope->raw, (struct parameters){NULL, &envelope->parameters}, &culprit);
  if (row != REPLY_ROWS) {
    ehlo_server_refuse(server, EHLO_VERB_RCPT, parameter_violation(row), culprit, row);
    return;
  }
  if ((seen & SEEN_NON_ASCII) != 0 && !server->smtputf8) {
    ehlo_server_refuse(server, EHLO_VERB_RCPT, EHLO_VIOLATION_NON_ASCII, argument,
                       envelope->path.utf8 ? REPLY_NON_ASCII_RCPT : REPLY_NON_ASCII);
    return;
  }
  if (is_unqualified(server, &envelope->path)) {
    ehlo_server_refuse(server, EHLO_VERB_RCPT, EHLO_VIOLATION_SYNTAX, argument, REPLY_NOT_QUALIFIED);
    return;
  }
  if (server->doomed) {
    ehlo_server_say(server, EHLO_VERB_RCPT, REPLY_LOCAL_ERROR);
    return;
  }
  if (server->recipients >= server->max_recipients) {
    ehlo_server_refuse(server, EHLO_VERB_RCPT, EHLO_VIOLATION_TOO_MANY_RECIPIENTS, argument, REPLY_TOO_MANY_RCPTS);
    return;
  }
  struct slot *slot = ehlo_slot_open(server, EHLO_VERB_RCPT);
  slot->utf8 = server->smtputf8;
  ehlo_slot_ask(server, slot, &event);
}
