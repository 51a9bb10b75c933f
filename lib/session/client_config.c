/* client_config.c: from a config to a session in the host's block. Floor: session. */
#include "client_draft.h"

#include "config.h"

#include "../bytes/scan.h"

#include <string.h>

/* The smallest config that any version had. */
enum { CONFIG_SIZE_MIN = sizeof(ehlo_client_config) };

/* ---- config ---- */

int ehlo_client_config_init(ehlo_client_config *config, size_t struct_size)
{
  if (config == NULL || struct_size < CONFIG_SIZE_MIN) {
    return EHLO_ERR_ARGUMENT;
  }
  memset(config, 0, struct_size);
  config->struct_size = struct_size;
  config->processor = (uint8_t)ehlo_scan_kernel();
  config->protocol = EHLO_PROTOCOL_SMTP;
  memset(config->use, 1, sizeof config->use);
  config->output_size = EHLO_CLIENT_DEFAULT_OUTPUT_SIZE;
  config->max_commands = EHLO_CLIENT_DEFAULT_MAX_COMMANDS;
  config->max_recipients = EHLO_CLIENT_DEFAULT_MAX_RECIPIENTS;
  config->max_reply_line = EHLO_CLIENT_DEFAULT_MAX_REPLY_LINE;
  config->max_reply_lines = EHLO_CLIENT_DEFAULT_MAX_REPLY_LINES;
  config->max_reply_size = EHLO_CLIENT_DEFAULT_MAX_REPLY_SIZE;
  config->parameters_size = EHLO_CLIENT_DEFAULT_PARAMETERS_SIZE;
  config->max_sasl_line = EHLO_CLIENT_DEFAULT_MAX_SASL_LINE;
  config->greeting_timeout = EHLO_CLIENT_DEFAULT_GREETING_TIMEOUT;
  config->command_timeout = EHLO_CLIENT_DEFAULT_COMMAND_TIMEOUT;
  config->data_timeout = EHLO_CLIENT_DEFAULT_DATA_TIMEOUT;
  config->content_timeout = EHLO_CLIENT_DEFAULT_CONTENT_TIMEOUT;
  config->verdict_timeout = EHLO_CLIENT_DEFAULT_VERDICT_TIMEOUT;
  return EHLO_OK;
}

static int config_is_legal(const ehlo_client_config *config)
{
  return config->struct_size >= CONFIG_SIZE_MIN && config_hostname_is_legal(config->hostname) &&
         config_within(config->protocol, EHLO_PROTOCOL_SMTP, EHLO_PROTOCOL_LMTP) &&
         config_within(config->output_size, EHLO_CLIENT_MIN_OUTPUT_SIZE, EHLO_CLIENT_MAX_OUTPUT_SIZE) &&
         config_within(config->max_commands, 1, EHLO_CLIENT_MAX_MAX_COMMANDS) &&
         config_within(config->max_recipients, 1, EHLO_CLIENT_MAX_MAX_RECIPIENTS) &&
         config_within(config->max_reply_line, EHLO_CLIENT_MIN_REPLY_LINE, EHLO_CLIENT_MAX_REPLY_LINE) &&
         config_within(config->max_sasl_line, EHLO_CLIENT_MIN_REPLY_LINE, EHLO_CLIENT_MAX_REPLY_LINE) &&
         config->parameters_size <= EHLO_CLIENT_MAX_PARAMETERS_SIZE && config->chunking <= EHLO_CHUNKING_NEVER &&
         config->max_reply_lines > 0 && config->max_reply_size >= config->max_reply_line;
}

/* ---- the block ---- */

static ehlo_capabilities used_extensions(const ehlo_client_config *config)
{
  ehlo_capabilities set = 0;
  for (uint32_t e = 0; e < EHLO_EXT_COUNT; e++) {
    set |= config->use[e] ? capability_bit(e) : 0;
  }
  return set;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
  return a > b ? a : b;
}

/* The longest line of an exchange, if there can be one. */
static uint32_t sasl_line(const ehlo_client_config *config)
{
  return config->use[EHLO_EXT_AUTH] ? config->max_sasl_line : 0;
}

/* The output holds the longest command of what is used. */
static uint32_t output_size(const ehlo_client_config *config)
{
  uint32_t longest = COMMAND_LINE_MAX + ehlo_capability_line(used_extensions(config));
  if (config->use[EHLO_EXT_AUTH]) {
    longest = larger(longest, COMMAND_LINE_MAX + config->max_sasl_line); /* AUTH, and what waits to be asked for */
  }
  return larger(config->output_size, longest);
}

/* Lays the block out behind the struct. Returns its size. */
static size_t lay_out(ehlo_client *client, const ehlo_client_config *config)
{
  size_t at = sizeof(ehlo_client);
  client->commands_at = (uint32_t)at;
  at += config->max_commands * sizeof(struct command);
  client->recipients_at = (uint32_t)at;
  at += config->protocol == EHLO_PROTOCOL_LMTP ? config->max_recipients * sizeof(struct recipient) : 0;
  client->hostname_at = (uint32_t)at;
  at += config->hostname.len;
  client->areas_at = (uint32_t)at;
  at += 2 * (size_t)config->parameters_size;
  client->line_at = (uint32_t)at;
  at += larger(config->max_reply_line, sasl_line(config));
  client->output_at = (uint32_t)at;
  client->output.size = output_size(config);
  at += client->output.size;
  return at;
}

_Static_assert(sizeof(ehlo_client) % _Alignof(struct command) == 0, "the queue lies behind the struct");
_Static_assert(sizeof(struct command) % _Alignof(struct recipient) == 0, "the recipients lie behind the queue");

size_t ehlo_client_size(const ehlo_client_config *config)
{
  ehlo_client client;
  return config == NULL || !config_is_legal(config) ? 0 : lay_out(&client, config);
}

/* ---- life ---- */

int ehlo_client_init(ehlo_client **out, void *memory, size_t size, const ehlo_client_config *config,
                     ehlo_client_event_fn *on_event, void *user)
{
  if (out == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *out = NULL;
  if (memory == NULL || config == NULL || on_event == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  size_t needed = ehlo_client_size(config);
  if (needed == 0) {
    return EHLO_ERR_CONFIG;
  }
  if (size < needed || !block_is_aligned(memory)) {
    return EHLO_ERR_MEMORY;
  }
  ehlo_client *client = memory;
  memset(client, 0, sizeof *client); /* the parts behind it are written before they are read */
  client->version = CLIENT_VERSION;
  client->on_event = on_event;
  client->user = user;
  client->block = lay_out(client, config);
  memcpy(client_part(client, client->hostname_at), config->hostname.ptr, config->hostname.len);
  client->hostname_len = (uint32_t)config->hostname.len;
  client->max_commands = config->max_commands;
  client->max_recipients = config->max_recipients;
  client->max_reply_line = config->max_reply_line;
  client->max_reply_lines = config->max_reply_lines;
  client->max_reply_size = config->max_reply_size;
  client->greeting_timeout = config->greeting_timeout;
  client->command_timeout = config->command_timeout;
  client->data_timeout = config->data_timeout;
  client->content_timeout = config->content_timeout;
  client->verdict_timeout = config->verdict_timeout;
  client->max_sasl_line = config->max_sasl_line;
  client->allow_plaintext_auth = config->allow_plaintext_auth;
  client->area_size = config->parameters_size;
  client->use = used_extensions(config);
  client->protocol = (uint8_t)config->protocol;
  client->no_helo = config->no_helo;
  client->hold_data = config->hold_data;
  client->pass_parameters = config->pass_parameters;
  client->convert_lf = config->convert_lf;
  client->chunking = config->chunking;
  client->hello_verb = EHLO_VERB_NONE;
  client->epoch = 1; /* a host's own copy begins at 0 */
  ehlo_dot_begin(&client->dot, 0, config->processor);
  *out = client;
  return EHLO_OK;
}

int ehlo_client_attach(ehlo_client **out, void *memory, size_t size, ehlo_client_event_fn *on_event, void *user)
{
  if (out == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  *out = NULL;
  if (memory == NULL || on_event == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if (size < sizeof(ehlo_client) || !block_is_aligned(memory)) {
    return EHLO_ERR_MEMORY;
  }
  ehlo_client *client = memory;
  if (client->version != CLIENT_VERSION) {
    return EHLO_ERR_VERSION;
  }
  if (size < client->block) {
    return EHLO_ERR_MEMORY;
  }
  client->on_event = on_event;
  client->user = user;
  client->busy = 0; /* a copy that was made inside a handler is taken up outside of it */
  client->dot.kernel = (uint8_t)ehlo_scan_kernel();
  *out = client;
  return EHLO_OK;
}
