/* server_config.c: from a config to a session in the host's block: sizes, limits, what is offered. Floor: session. */
#include "server.h"

#include "config.h"

#include "../bytes/scan.h"
#include "../mechanism/sasl.h"

#include <string.h>

/* The smallest config that any version had. */
enum { CONFIG_SIZE_MIN = sizeof(ehlo_server_config) };

/* ---- config ---- */

int ehlo_server_config_init(ehlo_server_config *config, size_t struct_size)
{
  if (config == NULL || struct_size < CONFIG_SIZE_MIN) {
    return EHLO_ERR_ARGUMENT;
  }
  memset(config, 0, struct_size);
  config->struct_size = struct_size;
  config->processor = (uint8_t)ehlo_scan_kernel();
  config->protocol = EHLO_PROTOCOL_SMTP;
  for (uint32_t e = 0; e < EHLO_EXT_COUNT; e++) {
    config->offer[e] = ehlo_extensions[e].offered;
  }
  config->max_command_line = EHLO_DEFAULT_MAX_COMMAND_LINE;
  config->output_size = EHLO_DEFAULT_OUTPUT_SIZE;
  config->max_pending = EHLO_DEFAULT_MAX_PENDING;
  config->pending_text = EHLO_DEFAULT_PENDING_TEXT;
  config->hello_size = EHLO_DEFAULT_HELLO_SIZE;
  config->max_recipients = EHLO_DEFAULT_MAX_RECIPIENTS;
  config->max_errors = EHLO_DEFAULT_MAX_ERRORS;
  config->command_timeout = EHLO_DEFAULT_COMMAND_TIMEOUT;
  config->content_timeout = EHLO_DEFAULT_CONTENT_TIMEOUT;
  return EHLO_OK;
}

int ehlo_server_config_preset(ehlo_server_config *config, size_t struct_size, uint32_t preset)
{
  int result = preset > EHLO_PRESET_LMTP ? EHLO_ERR_ARGUMENT : ehlo_server_config_init(config, struct_size);
  if (result != EHLO_OK) {
    return result;
  }
  if (preset == EHLO_PRESET_SUBMISSION) {
    config->submission = 1;
    config->require_auth = 1;
    config->mechanisms = 1U << EHLO_SASL_PLAIN | 1U << EHLO_SASL_LOGIN;
    config->offer[EHLO_EXT_AUTH] = 1;
    config->offer[EHLO_EXT_STARTTLS] = 1;
    config->offer[EHLO_EXT_DSN] = 1;
  } else if (preset == EHLO_PRESET_LMTP) {
    config->protocol = EHLO_PROTOCOL_LMTP;
    config->offer[EHLO_EXT_DSN] = 1;
  }
  return EHLO_OK;
}

static ehlo_capabilities capabilities_of(const ehlo_server_config *config)
{
  ehlo_capabilities set = 0;
  for (uint32_t e = 0; e < EHLO_EXT_COUNT; e++) {
    set |= config->offer[e] ? capability_bit(e) : 0;
  }
  return set;
}

static int extensions_are_known(const ehlo_server_config *config)
{
  for (uint32_t e = EHLO_EXT_COUNT; e < EHLO_EXT_ROOM; e++) {
    if (config->offer[e]) {
      return 0;
    }
  }
  return 1;
}

static int offers(const ehlo_server_config *config, uint32_t extension)
{
  return config->offer[extension] != 0;
}

/* Does what the extensions need to tell stand in the config, and may they be offered here? */
static int extensions_are_legal(const ehlo_server_config *config)
{
  char date[20];
  size_t length;
  if (offers(config, EHLO_EXT_FUTURERELEASE) &&
      (!config->submission || config->protocol == EHLO_PROTOCOL_LMTP ||
       !config_within(config->hold_max, 1, 999999999) || /* RFC 4865 3, 4.2 */
       ehlo_format_date_time(config->hold_max_time, date, sizeof date, &length) != EHLO_OK)) {
    return 0;
  }
  int names_mechanism = config->mechanisms != 0 || config->other_mechanisms.len > 0;
  if (offers(config, EHLO_EXT_AUTH) && !names_mechanism) {
    return 0;
  }
  if (offers(config, EHLO_EXT_BURL) && (!config->submission || config->protocol == EHLO_PROTOCOL_LMTP)) {
    return 0; /* RFC 4468 3.1 */
  }
  if (config->submission && (offers(config, EHLO_EXT_ETRN) || offers(config, EHLO_EXT_ATRN))) {
    return 0; /* RFC 6409 7 */
  }
  if (config->odmr && !(offers(config, EHLO_EXT_ATRN) && offers(config, EHLO_EXT_AUTH))) {
    return 0; /* RFC 2645 5.1.1 */
  }
  return config->deliver_by_min <= 999999999 && (config->mechanisms & 1) == 0 &&
         config->mechanisms >> EHLO_SASL_COUNT == 0;
}

static int config_is_legal(const ehlo_server_config *config)
{
  return config->struct_size >= CONFIG_SIZE_MIN && config_hostname_is_legal(config->hostname) &&
         config_within(config->protocol, EHLO_PROTOCOL_SMTP, EHLO_PROTOCOL_LMTP) && extensions_are_known(config) &&
         ehlo_capability_agrees(capabilities_of(config), config->protocol) &&
         config_within(config->max_command_line, EHLO_MIN_COMMAND_LINE, EHLO_MAX_COMMAND_LINE) &&
         config_within(config->output_size, EHLO_MIN_OUTPUT_SIZE, EHLO_MAX_OUTPUT_SIZE) &&
         config_within(config->max_pending, 1, EHLO_MAX_MAX_PENDING) &&
         config_within(config->pending_text, EHLO_MIN_PENDING_TEXT, EHLO_MAX_PENDING_TEXT) &&
         config_within(config->hello_size, 0, EHLO_MAX_HELLO_SIZE) && config->max_recipients >= 1 &&
         extensions_are_legal(config) && ehlo_config_texts_are_legal(config);
}

/* Lays the parts out behind the struct: first what is kept while nothing goes on, see ehlo_server_kept. Returns the
 * size of the block. */
static size_t lay_out(ehlo_server *server, const ehlo_server_config *config)
{
  size_t at = sizeof *server;
  uint32_t increments = ehlo_capability_line(capabilities_of(config));
  uint32_t needed = EHLO_MIN_COMMAND_LINE + increments;
  server->max_line = config->max_command_line < needed ? needed : config->max_command_line;
  server->line_size = server->max_line;
  if (offers(config, EHLO_EXT_AUTH) && server->line_size < SASL_LINE_MAX) {
    server->line_size = SASL_LINE_MAX;
  }
  server->hostname_at = (uint32_t)at;
  at += config->hostname.len;
  server->texts_of_config_at = (uint32_t)at;
  for (unsigned i = 0; i < TEXTS; i++) {
    at += ehlo_config_text(config, i).len;
  }
  server->identity_at = (uint32_t)at;
  server->identity_size = offers(config, EHLO_EXT_AUTH) ? EHLO_IDENTITY_SIZE : 0;
  at += server->identity_size;
  server->hello_at = (uint32_t)at;
  at += config->hello_size;
  server->exchange_at = (uint32_t)at;
  at += server->identity_size == 0 ? 0 : (size_t)server->identity_size + SASL_NAME_MAX;
  at = (at + 15) / 16 * 16;
  server->slots_at = (uint32_t)at;
  at += (size_t)config->max_pending * sizeof(struct slot);
  server->texts_at = (uint32_t)at;
  at += (size_t)config->max_pending * config->pending_text;
  server->line_at = (uint32_t)at;
  at += server->line_size;
  server->output_at = (uint32_t)at;
  at += config->output_size;
  return at;
}

size_t ehlo_server_size(const ehlo_server_config *config)
{
  ehlo_server server;
  return config == NULL || !config_is_legal(config) ? 0 : lay_out(&server, config);
}

/* ---- life ---- */

int ehlo_server_init(ehlo_server **out, void *memory, size_t size, const ehlo_server_config *config,
                     ehlo_server_event_fn *on_event, void *user)
{
  if (out == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *out = NULL;
  if (memory == NULL || config == NULL || on_event == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  size_t needed = ehlo_server_size(config);
  if (needed == 0) {
    return EHLO_ERR_CONFIG;
  }
  if (size < needed || !block_is_aligned(memory)) {
    return EHLO_ERR_MEMORY;
  }
  ehlo_server *server = memory;
  memset(server, 0, sizeof *server); /* the parts behind it are written before they are read */
  server->version = SERVER_VERSION;
  server->on_event = on_event;
  server->user = user;
  server->block = lay_out(server, config);
  memcpy(server_part(server, server->hostname_at), config->hostname.ptr, config->hostname.len);
  server->hostname_len = (uint32_t)config->hostname.len;
  uint32_t text_at = server->texts_of_config_at;
  for (unsigned i = 0; i < TEXTS; i++) {
    ehlo_span text = ehlo_config_text(config, i);
    server->text_len[i] = (uint16_t)text.len;
    if (text.len > 0) {
      memcpy(server_part(server, text_at), text.ptr, text.len);
    }
    text_at += server->text_len[i];
  }
  server->max_pending = config->max_pending;
  server->pending_text = config->pending_text;
  server->hello_size = config->hello_size;
  server->max_recipients = config->max_recipients;
  server->max_errors = config->max_errors;
  server->command_timeout = config->command_timeout;
  server->content_timeout = config->content_timeout;
  server->max_message_size = config->max_message_size;
  server->max_transactions = config->max_transactions;
  server->max_rcpt_domains = config->max_rcpt_domains;
  server->deliver_by_min = config->deliver_by_min;
  server->hold_max = config->hold_max;
  server->hold_max_time = config->hold_max_time;
  server->mechanisms = config->mechanisms;
  server->allowed = server->offered = capabilities_of(config);
  server->protocol = (uint8_t)config->protocol;
  server->expn_252 = config->expn_252;
  server->require_tls = config->require_tls;
  server->pass_parameters = config->pass_parameters;
  server->allow_bare_newline = config->allow_bare_newline;
  server->allow_space_after_colon = config->allow_space_after_colon;
  server->allow_bare_address = config->allow_bare_address;
  server->allow_extra_spaces = config->allow_extra_spaces;
  server->allow_underscore = config->allow_underscore;
  server->allow_any_hello = config->allow_any_hello;
  server->allow_8bit_orcpt = config->allow_8bit_orcpt;
  server->allow_plaintext_auth = config->allow_plaintext_auth;
  server->submission = config->submission;
  server->require_auth = config->require_auth;
  server->odmr = config->odmr;
  server->hello_verb = EHLO_VERB_NONE;
  server->mail_verb = EHLO_VERB_NONE;
  server->output.size = config->output_size;
  ehlo_dot_begin(&server->dot, 0, config->processor);
  memset(server_part(server, server->identity_at), 0, server->identity_size);
  ehlo_server_hide(server);
  *out = server;
  return EHLO_OK;
}

int ehlo_server_attach(ehlo_server **out, void *memory, size_t size, ehlo_server_event_fn *on_event, void *user)
{
  if (out == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *out = NULL;
  if (memory == NULL || on_event == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if (size < sizeof(ehlo_server) || !block_is_aligned(memory)) {
    return EHLO_ERR_MEMORY;
  }
  ehlo_server *server = memory;
  if (server->version != SERVER_VERSION) {
    return EHLO_ERR_VERSION;
  }
  if (size < server->block) {
    return EHLO_ERR_MEMORY;
  }
  server->on_event = on_event;
  server->user = user;
  server->asleep = 0;
  server->dot.kernel = (uint8_t)ehlo_scan_kernel();
  *out = server;
  return EHLO_OK;
}

size_t ehlo_server_kept(const ehlo_server *server)
{
  if (server == NULL) {
    return 0;
  }
  int idle = server->count == 0 && server->line.used == 0 && !server->line.held && !server->busy &&
             output_waiting(&server->output) == 0 && server->state != STATE_AUTH;
  return idle ? (size_t)server->hello_at + server->hello_len : server->block;
}

int ehlo_server_move(ehlo_server **out, void *memory, size_t size, const ehlo_server *from)
{
  if (out == NULL || memory == NULL || from == NULL || memory == (const void *)from) {
    return EHLO_ERR_ARGUMENT;
  }
  if (from->busy) {
    return EHLO_ERR_REENTRANT;
  }
  size_t kept = ehlo_server_kept(from);
  if (size < kept || !block_is_aligned(memory)) {
    return EHLO_ERR_MEMORY;
  }
  memcpy(memory, from, kept);
  ehlo_server *server = memory;
  server->asleep = size < server->block;
  *out = server;
  return EHLO_OK;
}
