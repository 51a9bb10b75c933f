/* server_offer.c: what the server offers: which of it when, and how an EHLO answer tells it. Floor: session. */
#include "server.h"

#include "../bytes/buffer.h"
#include "../grammar/value.h"
#include "../mechanism/sasl.h"

#include <string.h>

/* The longest text of a config: with a keyword before it, or all mechanisms that the library knows, it fits a line of a
 * reply. */
enum { TEXT_MAX = 384 };

/* What Postfix knows: XCLIENT_README, XFORWARD_README. */
static const char xclient_names[] = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";
static const char xforward_names[] = "NAME ADDR PORT PROTO HELO IDENT SOURCE";

/* ---- the texts of a config ---- */

static ehlo_span names_for(const ehlo_server_config *config, uint32_t extension, ehlo_span names, const char *usual)
{
  return names.len > 0 || !config->offer[extension] ? names : ehlo_span_of(usual);
}

ehlo_span ehlo_config_text(const ehlo_server_config *config, unsigned text)
{
  switch (text) {
  case TEXT_MECHANISMS: return config->other_mechanisms;
  case TEXT_PRIORITY: return config->priority_policy;
  case TEXT_SOLICIT: return config->solicit;
  case TEXT_BURL: return config->burl;
  case TEXT_XCLIENT: return names_for(config, EHLO_EXT_XCLIENT, config->xclient, xclient_names);
  case TEXT_XFORWARD: return names_for(config, EHLO_EXT_XFORWARD, config->xforward, xforward_names);
  case TEXT_KEYWORDS: return config->own_keywords;
  case TEXT_VERBS: return config->own_verbs;
  case TEXT_MAIL: return config->own_mail_parameters;
  default: return config->own_rcpt_parameters;
  }
}

ehlo_span ehlo_server_text(const ehlo_server *server, unsigned text)
{
  size_t at = server->texts_of_config_at;
  for (unsigned i = 0; i < text; i++) {
    at += server->text_len[i];
  }
  return span_of(server_part(server, (uint32_t)at), server->text_len[text]);
}

/* Takes the next word off the front of a list of words with a space between. Returns 0 if there is none. */
static int next_word(ehlo_span *list, ehlo_span *word)
{
  if (list->len == 0) {
    return 0;
  }
  const char *space = memchr(list->ptr, ' ', list->len);
  size_t length = space == NULL ? list->len : (size_t)(space - list->ptr);
  *word = span_of(list->ptr, length);
  *list = span_from(*list, space == NULL ? length : length + 1);
  return 1;
}

int ehlo_list_has(ehlo_span list, ehlo_span word)
{
  ehlo_span member;
  while (next_word(&list, &member)) {
    if (ehlo_span_equal_nocase(member, word)) {
      return 1;
    }
  }
  return 0;
}

static int is_other_mechanism(ehlo_span word)
{
  return ehlo_sasl_is_name(word) && ehlo_sasl_find(word) == EHLO_SASL_OTHER;
}

static int is_printable(ehlo_span word)
{
  return word.len > 0 && span_is(word, CLASS_TEXT) && memchr(word.ptr, '\t', word.len) == NULL;
}

/* A word of letters, digits and hyphens that begins with none of the latter, as keywords of all kinds are. */
static int is_keyword(ehlo_span word)
{
  return word.len > 0 && span_is(word, CLASS_LDH) && word.ptr[0] != '-';
}

static int is_own_verb(ehlo_span word)
{
  ehlo_command command;
  return is_keyword(word) && ehlo_parse_command(word, &command) == EHLO_OK && command.verb == EHLO_VERB_UNKNOWN;
}

static int is_own_parameter(ehlo_span word)
{
  ehlo_parameter parameter;
  return is_keyword(word) && ehlo_parameter_next(&word, 0, &parameter) == 1 && parameter.id == EHLO_PARAMETER_UNKNOWN;
}

/* Is it a list of words of this kind, a space between each two? */
static int is_list(ehlo_span list, int is_word(ehlo_span))
{
  ehlo_span word;
  if (list.len > 0 && list.ptr[list.len - 1] == ' ') {
    return 0;
  }
  while (next_word(&list, &word)) {
    if (!is_word(word)) {
      return 0;
    }
  }
  return 1;
}

/* ehlo-line = ehlo-keyword *( SP ehlo-param ) (RFC 5321 4.1.1.1), for a keyword that is none of the table's */
static int is_own_line(ehlo_span line)
{
  ehlo_span keyword;
  if (line.len > TEXT_MAX || !is_list(line, is_printable) || ehlo_extension_find(line) < EHLO_EXT_COUNT) {
    return 0;
  }
  return next_word(&line, &keyword) && is_keyword(keyword);
}

/* Takes the next line off the front of a text of lines with LF between. Returns 0 if there is none. */
static int next_line(ehlo_span *text, ehlo_span *line)
{
  if (text->len == 0) {
    return 0;
  }
  const char *lf = memchr(text->ptr, '\n', text->len);
  size_t length = lf == NULL ? text->len : (size_t)(lf - text->ptr);
  *line = span_of(text->ptr, length);
  *text = span_from(*text, lf == NULL ? length : length + 1);
  return 1;
}

static int are_own_lines(ehlo_span text)
{
  ehlo_span line;
  unsigned count = 0;
  if (text.len > 0 && text.ptr[text.len - 1] == '\n') {
    return 0;
  }
  while (next_line(&text, &line)) {
    if (!is_own_line(line) || ++count > OWN_KEYWORDS_MAX) {
      return 0;
    }
  }
  return 1;
}

int ehlo_config_texts_are_legal(const ehlo_server_config *config)
{
  for (unsigned i = 0; i < TEXTS; i++) {
    ehlo_span text = ehlo_config_text(config, i);
    if (span_is_lie(text) || text.len > (i == TEXT_KEYWORDS ? 8 * TEXT_MAX : TEXT_MAX)) {
      return 0;
    }
  }
  ehlo_span policy = config->priority_policy; /* 1*20 of letters, digits and hyphens (RFC 6710 7) */
  return is_list(config->other_mechanisms, is_other_mechanism) && policy.len <= 20 && span_is(policy, CLASS_LDH) &&
         (config->solicit.len == 0 || ehlo_is_solicit(config->solicit)) && is_list(config->burl, is_printable) &&
         is_list(config->xclient, is_keyword) && is_list(config->xforward, is_keyword) &&
         are_own_lines(config->own_keywords) && is_list(config->own_verbs, is_own_verb) &&
         is_list(config->own_mail_parameters, is_own_parameter) &&
         is_list(config->own_rcpt_parameters, is_own_parameter);
}

/* ---- which, and when ---- */

/* Can the mechanism be used as things are? */
static int is_usable(const ehlo_server *server, uint32_t mechanism)
{
  switch (mechanism) {
  case EHLO_SASL_EXTERNAL: return server->tls_verified; /* nobody else says who the client is (RFC 4422 A) */
  case EHLO_SASL_SCRAM_SHA_1_PLUS:
  case EHLO_SASL_SCRAM_SHA_256_PLUS: return server->tls; /* there is no other channel to bind to (RFC 5802 6) */
  default: return !ehlo_sasl_in_clear(mechanism) || server->tls || server->allow_plaintext_auth;
  }
}

uint32_t ehlo_server_mechanisms(const ehlo_server *server)
{
  uint32_t set = server->mechanisms;
  for (uint32_t mechanism = 0; mechanism < EHLO_SASL_COUNT; mechanism++) {
    set &= is_usable(server, mechanism) ? UINT32_MAX : ~(1U << mechanism);
  }
  return set;
}

void ehlo_server_hide(ehlo_server *server)
{
  server->hidden = 0;
  if (server->tls) {
    server->hidden |= capability_bit(EHLO_EXT_STARTTLS); /* RFC 3207 4.2 */
  } else {
    server->hidden |= capability_bit(EHLO_EXT_REQUIRETLS); /* RFC 8689 2 */
  }
  if (ehlo_server_mechanisms(server) == 0 && server->text_len[TEXT_MECHANISMS] == 0) {
    server->hidden |= capability_bit(EHLO_EXT_AUTH);
  }
}

int ehlo_server_offer(ehlo_server *server, uint32_t extension, int on)
{
  if (server == NULL || extension >= EHLO_EXT_COUNT) {
    return EHLO_ERR_ARGUMENT;
  }
  ehlo_capabilities set = server->offered & ~capability_bit(extension);
  set |= on ? capability_bit(extension) : 0;
  if ((set & ~server->allowed) != 0 || !ehlo_capability_agrees(set, server->protocol)) {
    return EHLO_ERR_CONFIG;
  }
  const struct slot *front = server_front(server);
  if (front != NULL && front->capability > 0) {
    return EHLO_ERR_STATE; /* the list is being sent just now */
  }
  server->offered = set;
  return EHLO_OK;
}

/* ---- how it is told ---- */

static void write_mechanisms(const ehlo_server *server, struct writer *writer)
{
  uint32_t set = ehlo_server_mechanisms(server);
  for (uint32_t mechanism = 0; mechanism < EHLO_SASL_COUNT; mechanism++) {
    if ((set >> mechanism & 1) != 0) {
      write_octet(writer, ' ');
      write_string(writer, ehlo_sasl_name(mechanism));
    }
  }
}

/* Limits have 1 to 6 digits (RFC 9422 4): of more the most that can be said is told, for one limit at least there must
 * be, and that of recipients always is (RFC 9422 3). */
static void write_limit(struct writer *writer, const char *name, uint32_t limit)
{
  if (limit > 0) {
    write_octet(writer, ' ');
    write_string(writer, name);
    write_number(writer, limit <= 999999 ? limit : 999999, 1);
  }
}

static void write_text(const ehlo_server *server, struct writer *writer, unsigned text)
{
  ehlo_span span = ehlo_server_text(server, text);
  if (span.len > 0) {
    write_octet(writer, ' ');
    write_span(writer, span);
  }
}

static void write_parameters(const ehlo_server *server, struct writer *writer, uint32_t extension)
{
  char date[20];
  size_t length;
  switch (extension) {
  case EHLO_EXT_SIZE: /* 0 says that there is no fixed maximum (RFC 1870 3) */
    write_octet(writer, ' ');
    write_number(writer, server->max_message_size, 1);
    break;
  case EHLO_EXT_AUTH:
    write_mechanisms(server, writer);
    write_text(server, writer, TEXT_MECHANISMS);
    break;
  case EHLO_EXT_DELIVERBY:
    if (server->deliver_by_min > 0) {
      write_octet(writer, ' ');
      write_number(writer, server->deliver_by_min, 1);
    }
    break;
  case EHLO_EXT_FUTURERELEASE:
    (void)ehlo_format_date_time(server->hold_max_time, date, sizeof date, &length);
    write_octet(writer, ' ');
    write_number(writer, server->hold_max, 1);
    write_octet(writer, ' ');
    write_span(writer, span_of(date, length));
    break;
  case EHLO_EXT_LIMITS:
    write_limit(writer, "MAILMAX=", server->max_transactions);
    write_limit(writer, "RCPTMAX=", server->max_recipients);
    write_limit(writer, "RCPTDOMAINMAX=", server->max_rcpt_domains);
    break;
  case EHLO_EXT_MT_PRIORITY: write_text(server, writer, TEXT_PRIORITY); break;
  case EHLO_EXT_NO_SOLICITING: write_text(server, writer, TEXT_SOLICIT); break;
  case EHLO_EXT_BURL: write_text(server, writer, TEXT_BURL); break;
  case EHLO_EXT_XCLIENT: write_text(server, writer, TEXT_XCLIENT); break;
  case EHLO_EXT_XFORWARD: write_text(server, writer, TEXT_XFORWARD); break;
  default: break;
  }
}

uint32_t ehlo_server_next_line(const ehlo_server *server, uint32_t from)
{
  if (from < EHLO_EXT_COUNT) {
    from = ehlo_capability_next(server_offered(server), from);
  }
  if (from < EHLO_EXT_COUNT) {
    return from;
  }
  ehlo_span text = ehlo_server_text(server, TEXT_KEYWORDS);
  ehlo_span line;
  for (uint32_t i = EHLO_EXT_COUNT; i <= from; i++) {
    if (!next_line(&text, &line)) {
      return HELLO_LINES;
    }
  }
  return from;
}

ehlo_span ehlo_server_line(const ehlo_server *server, uint32_t index, char *buffer)
{
  if (index >= EHLO_EXT_COUNT) {
    ehlo_span text = ehlo_server_text(server, TEXT_KEYWORDS);
    ehlo_span line = span_of("", 0);
    for (uint32_t i = EHLO_EXT_COUNT; i <= index; i++) {
      (void)next_line(&text, &line);
    }
    return line;
  }
  struct writer writer = writer_on(buffer, REPLY_LINE_MAX);
  write_span(&writer, ehlo_extension_word(index));
  write_parameters(server, &writer, index);
  return span_of(buffer, writer.length);
}
