/* fuzz_loopback.c: the client against the server; whatever one says, the other is to have heard.
 *
 * The input is a connection: how both are configured, what is to be sent, what the receiving host says to it and when,
 * how the octets are cut, and what breaks. In order: eight octets of config (read_script), the steps, the verdicts and
 * other choices, of which each message takes what it needs, and the content, of which each takes its part.
 *
 * A bit in the config makes it wide: then every extension is on or off at either end, MAIL and RCPT have parameters of
 * all kinds, content may go by BDAT or BURL, and between the messages stand STARTTLS, AUTH by each mechanism, ETRN,
 * ATRN, XCLIENT, XFORWARD.
 *
 * tests/session/loopback.c plays it and holds the two to each other. A connection on which nothing breaks is played
 * once more, whole and at once: the same recipients are to be served.
 */
#include "../tests/session/loopback.h"

#include "fuzz.h"

_Noreturn void loop_fail(const char *condition, const char *file, int line)
{
  not_so(file, line, condition);
}

enum { MAX_CONTENT = 6000, MAX_MESSAGES = 4 };

/* ---- the input ---- */

struct script {
  ehlo_client_config client;
  ehlo_server_config server;
  struct loop_message messages[MAX_MESSAGES];
  ehlo_mail_parameters options[MAX_MESSAGES];
  ehlo_rcpt_parameters rcpt_options[MAX_MESSAGES][LOOP_RECIPIENTS];
  struct loop_service services[LOOP_SERVICES];
  ehlo_credentials credentials[LOOP_SERVICES];
  size_t service_count;
  char words[4096]; /* what the spans of parameters and credentials show */
  size_t word_at;
  size_t count;
  uint8_t eager, patient, outside, keep;
  uint8_t breaks; /* something may break */
  size_t turn_at;
  struct loop_verdict turn, hello, opened;
  const uint8_t *steps;
  size_t step_count;
  const uint8_t *choices;
  size_t choice_count;
  size_t next_choice;
  char content[2 * MAX_CONTENT];
};

static unsigned choose(struct script *script)
{
  return script->choice_count == 0 ? 0U : script->choices[script->next_choice++ % script->choice_count];
}

static struct loop_verdict verdict_of(unsigned octet)
{
  static const uint16_t codes[] = {0, 0, 0, 450, 550, 451, 554, 421};
  static const uint8_t hows[] = {LOOP_NOW, LOOP_LATER, LOOP_SILENT, LOOP_FAIL};
  return (struct loop_verdict){codes[octet & 7], hows[octet >> 3 & 3]};
}

/* Content out of the input: as it is, or as it can be sent. Returns its size. */
static size_t make_content(char *to, const uint8_t *from, size_t size, int raw)
{
  size_t length = 0;
  for (size_t i = 0; i < size; i++) {
    if (!raw && from[i] == '\n') {
      to[length++] = '\r';
    }
    to[length++] = (char)(raw || from[i] != '\r' ? (raw ? from[i] : from[i] & 127) : '.');
    if (!raw && (from[i] & 127) < ' ' && from[i] != '\n') {
      to[length - 1] = '.';
    }
  }
  return length;
}

static void read_message(struct script *script, size_t number)
{
  static const char *const to[] = {"bob@example.org", "carol@example.org", "dave@[192.0.2.1]", "eve@example.com"};
  struct loop_message *message = &script->messages[number];
  unsigned shape = choose(script);
  unsigned piece = choose(script);
  message->from = shape & 128 ? "" : "alice@example.com";
  message->recipients = 1 + (shape & 7);
  message->gather = shape >> 3 & 1;
  message->abort = (shape >> 4 & 7) == 7;
  message->abort_at = piece;
  message->piece = piece & 63;
  message->mail = verdict_of(choose(script));
  message->data = verdict_of(choose(script));
  message->message = verdict_of(choose(script));
  message->body = verdict_of(choose(script));
  message->body_at = choose(script);
  if (message->body.how >= LOOP_SILENT || (message->body.code == 0 && message->body.how == LOOP_NOW)) {
    message->body = (struct loop_verdict){0, message->body.how == LOOP_FAIL ? LOOP_FAIL : LOOP_NOW};
  }
  for (size_t i = 0; i < message->recipients; i++) {
    message->to[i] = to[i % 4];
    message->rcpt[i] = verdict_of(choose(script));
    message->result[i] = verdict_of(choose(script));
  }
  ehlo_mail_parameters *options = &script->options[number];
  options->struct_size = sizeof *options;
  options->has_size = piece >> 6 & 1;
  options->body = piece >> 7 ? EHLO_BODY_8BITMIME : EHLO_BODY_NONE;
  message->options = piece >> 6 != 0 ? options : NULL;
}

/* ---- all that extensions let be said ---- */

static uint32_t number(struct script *script, uint32_t least, uint32_t most)
{
  static const uint32_t some[] = {0, 1, 9, 10, 299, 86400, 999999998, UINT32_MAX};
  uint32_t value = least + (uint32_t)(some[choose(script) & 7] % ((uint64_t)most - least + 1));
  return value == least && (choose(script) & 1) ? most : value;
}

/* A few letters of the alphabet, each by one choice. */
static ehlo_span word(struct script *script, const char *prefix, const char *alphabet, size_t least, size_t most,
                      const char *suffix)
{
  size_t letters = strlen(alphabet);
  size_t size = least + choose(script) % (most - least + 1);
  size_t start = script->word_at;
  if (sizeof script->words - start < size + strlen(prefix) + strlen(suffix)) {
    not_so(__FILE__, __LINE__, "words have room");
  }
  memcpy(script->words + script->word_at, prefix, strlen(prefix));
  script->word_at += strlen(prefix);
  for (size_t i = 0; i < size; i++) {
    script->words[script->word_at++] = alphabet[choose(script) % letters];
  }
  memcpy(script->words + script->word_at, suffix, strlen(suffix));
  script->word_at += strlen(suffix);
  return (ehlo_span){script->words + start, script->word_at - start};
}

static const char xtext[] = "abcxyzABC019-_.!#$%&'*/?^`{|}~@<>";

static void fill_mail(struct script *script, ehlo_mail_parameters *options)
{
  unsigned which = choose(script) | choose(script) << 8;
  options->body = choose(script) & 3;
  options->smtputf8 = which & 1;
  options->ret = which & 2 ? 1 + (choose(script) & 1) : EHLO_RET_NONE;
  if (which & 4) {
    options->envid = word(script, "", xtext, 1, 20, "");
  }
  if (which & 8) {
    options->auth = choose(script) & 1 ? ehlo_span_of("<>") : word(script, "", "abc012", 1, 9, "@example.com");
  }
  options->requiretls = which >> 4 & 1;
  options->has_priority = which >> 5 & 1;
  options->priority = options->has_priority ? (int32_t)(choose(script) % 19) - 9 : 0;
  if (which & 64) {
    options->by_mode = 1 + (choose(script) & 1);
    options->by_trace = choose(script) & 1;
    options->by_time = (int32_t)number(script, 1, 999999999);
    if (options->by_mode == EHLO_BY_NOTIFY && (choose(script) & 1)) {
      options->by_time = -options->by_time;
    }
  } else if (which & 128) {
    options->hold_for = number(script, 1, 999999999);
  } else if (which & 256) {
    options->has_hold_until = 1;
    options->hold_until = (int64_t)number(script, 0, UINT32_MAX) + (which & 1 ? 0 : 20000000000);
  }
  if (which & 512) {
    options->solicit = word(script, "net.example:", "ABCxyz012", 1, 9, "");
  }
  if ((which & 1024) && options->envid.len > 0) {
    options->mtrk = word(script, "", "abcdABCD0189+/", 4, 4, "");
    options->has_mtrk_timeout = choose(script) & 1;
    options->mtrk_timeout = options->has_mtrk_timeout ? number(script, 0, 999999999) : 0;
  }
  if (which & 2048) {
    options->submitter = word(script, "", "abc012", 1, 9, "@example.com");
  }
  options->conperm = which >> 12 & 1;
  if ((which & 0xE000) == 0xE000 && options->body != EHLO_BODY_BINARYMIME &&
      script->client.protocol == EHLO_PROTOCOL_SMTP) {
    options->transid = word(script, "<", "abc012", 1, 20, "@example.com>");
  }
}

static void fill_rcpt(struct script *script, ehlo_rcpt_parameters *options)
{
  unsigned which = choose(script);
  options->struct_size = sizeof *options;
  options->notify = which & 15;
  if (options->notify & EHLO_NOTIFY_NEVER) {
    options->notify = EHLO_NOTIFY_NEVER;
  }
  options->conneg = which >> 4 & 1;
  if (which & 32) {
    static const char *const types[] = {"rfc822", "x400", "utf-8", "RFC822"};
    options->orcpt_type = ehlo_span_of(types[choose(script) & 3]);
    options->orcpt_address = word(script, "", "abc012", 1, 9, "@example.com");
  }
  if (which & 64) {
    options->rrvs = 1 + (choose(script) & 1);
    options->rrvs_action = options->rrvs == EHLO_RRVS_CONTINUE || (choose(script) & 1);
    options->rrvs_time = number(script, 0, UINT32_MAX);
  }
}

static void fill_credentials(struct script *script, ehlo_credentials *credentials)
{
  credentials->struct_size = sizeof *credentials;
  credentials->mechanism = 1 + choose(script) % (EHLO_SASL_COUNT - 1);
  if (choose(script) & 1) {
    credentials->authzid = word(script, "", "abc.@-_019", 0, 12, "");
  }
  credentials->authcid = word(script, "", "abc.@-_019 ", 1, 12, "");
  credentials->secret = word(script, "", "abcXYZ019-._~+/", 1, 30, "");
  if (choose(script) & 1) {
    credentials->host = word(script, "", "abc.-", 1, 12, "");
    credentials->port = number(script, 1, 65535);
  }
}

static void fill_services(struct script *script)
{
  static const struct {
    uint32_t verb;
    const char *argument;
  } kinds[] = {{EHLO_VERB_STARTTLS, ""},
               {EHLO_VERB_AUTH, ""},
               {EHLO_VERB_AUTH, ""},
               {EHLO_VERB_ETRN, "example.org"},
               {EHLO_VERB_ETRN, "@example.org"},
               {EHLO_VERB_ETRN, "#queue"},
               {EHLO_VERB_ATRN, "example.com,example.org"},
               {EHLO_VERB_ATRN, ""},
               {EHLO_VERB_XCLIENT, "NAME=spike.example ADDR=192.0.2.1"},
               {EHLO_VERB_XCLIENT, "PROTO=ESMTP"},
               {EHLO_VERB_XFORWARD, "NAME=spike.example IDENT=1+2B"},
               {EHLO_VERB_STARTTLS, ""}};
  script->service_count = choose(script) % (LOOP_SERVICES + 1);
  for (size_t i = 0; i < script->service_count; i++) {
    struct loop_service *service = &script->services[i];
    unsigned kind = choose(script) % 12;
    unsigned verdict = choose(script);
    service->verb = kinds[kind].verb;
    service->argument = kinds[kind].argument;
    service->at = choose(script) % (script->count + 1);
    service->verdict = verdict_of(verdict & 1 ? verdict & 12 : verdict);
    if (service->verdict.how == LOOP_FAIL) {
      service->verdict.how = LOOP_NOW;
    }
    if (service->verb == EHLO_VERB_AUTH) {
      fill_credentials(script, &script->credentials[i]);
      service->credentials = &script->credentials[i];
      service->verdict.code = service->verdict.code == 0     ? 235
                              : service->verdict.code == 550 ? 535
                                                             : service->verdict.code;
    }
  }
}

static void widen(struct script *script)
{
  ehlo_client_config *client = &script->client;
  ehlo_server_config *server = &script->server;
  unsigned kind = choose(script);
  int lmtp = server->protocol == EHLO_PROTOCOL_LMTP;
  for (unsigned e = EHLO_EXT_SIZE; e < EHLO_EXT_COUNT; e++) {
    client->use[e] = (choose(script) & 3) != 0;
    server->offer[e] = (choose(script) & 3) != 0;
  }
  client->chunking = (uint8_t)(choose(script) % 3);
  client->allow_plaintext_auth = kind & 1;
  server->allow_plaintext_auth = kind >> 1 & 1;
  server->submission = kind >> 2 & 1;
  server->deliver_by_min = kind & 8 ? number(script, 0, 999999999) : 0;
  server->hold_max = number(script, 1, 999999999);
  server->hold_max_time = number(script, 0, UINT32_MAX);
  server->max_transactions = kind & 16 ? 1 + (choose(script) & 3) : 0;
  server->max_recipients = kind & 32 ? 1 + (choose(script) & 7) : server->max_recipients;
  server->mechanisms = (1U << EHLO_SASL_COUNT) - 2;
  if (kind & 64) {
    server->mechanisms = ((choose(script) | choose(script) << 8) & server->mechanisms) | 2;
  }
  uint8_t *offer = server->offer;
  offer[EHLO_EXT_ENHANCEDSTATUSCODES] |= (uint8_t)lmtp;
  offer[EHLO_EXT_FUTURERELEASE] &= (uint8_t)(server->submission && !lmtp);
  offer[EHLO_EXT_BURL] &= (uint8_t)(server->submission && !lmtp);
  offer[EHLO_EXT_ETRN] &= (uint8_t)!server->submission;
  offer[EHLO_EXT_ATRN] &= (uint8_t)!server->submission;
  offer[EHLO_EXT_8BITMIME] |= offer[EHLO_EXT_SMTPUTF8] | offer[EHLO_EXT_BURL] | offer[EHLO_EXT_BINARYMIME];
  offer[EHLO_EXT_CHECKPOINT] &= (uint8_t)!lmtp;
  offer[EHLO_EXT_CHUNKING] |= offer[EHLO_EXT_BINARYMIME];
  for (size_t i = 0; i < script->count; i++) {
    struct loop_message *message = &script->messages[i];
    unsigned shape = choose(script);
    fill_mail(script, &script->options[i]);
    message->options = shape & 1 ? &script->options[i] : NULL;
    message->burl = (shape & 14) == 14 ? "imap://example.org/x;urlauth=submit" : NULL;
    message->resume = shape >> 4 & 1;
    message->resume_at = message->size > 0 ? choose(script) % message->size : 0;
    for (size_t r = 0; r < message->recipients && (shape & 32); r++) {
      fill_rcpt(script, &script->rcpt_options[i][r]);
      message->rcpt_options[r] = &script->rcpt_options[i][r];
    }
  }
  fill_services(script);
}

/* Asking for the processor is slow on virtual machines; once will do. */
static void init_configs(struct script *script)
{
  static ehlo_client_config client;
  static ehlo_server_config server;
  if (client.struct_size == 0) {
    REQUIRE(ehlo_client_config_init(&client, sizeof client) == EHLO_OK);
    REQUIRE(ehlo_server_config_init(&server, sizeof server) == EHLO_OK);
    client.hostname = ehlo_span_of("client.example.com");
    server.hostname = ehlo_span_of("mail.example.org");
  }
  script->client = client;
  script->server = server;
}

/* Returns 0 if the input is too short to be one. */
static int read_script(struct script *script, const uint8_t *data, size_t size)
{
  static const uint16_t client_outputs[] = {1024, 1030, 2048, 4096};
  static const uint16_t server_outputs[] = {512, 600, 1024, 4096};
  static const uint8_t commands[] = {64, 1, 2, 5};
  static const uint8_t pending[] = {1, 2, 5, 12};
  if (size < 8 || size - 8 < (size_t)data[5] + data[6] || size - 8 - data[5] - data[6] > MAX_CONTENT) {
    return 0;
  }
  memset(script, 0, sizeof *script);
  init_configs(script);
  int lmtp = data[0] & 1;
  script->client.protocol = script->server.protocol = lmtp ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
  script->client.use[EHLO_EXT_PIPELINING] = !(data[0] >> 1 & 1);
  script->server.offer[EHLO_EXT_PIPELINING] = lmtp || !(data[0] >> 2 & 1);
  script->server.offer[EHLO_EXT_TURN] = 1;
  script->server.max_errors = 0;
  script->server.max_message_size = data[7] & 127;
  script->client.hold_data = data[0] >> 3 & 1;
  script->client.convert_lf = data[0] >> 4 & 1;
  script->eager = data[0] >> 5 & 1;
  script->patient = data[0] >> 6 & 1;
  script->outside = data[0] >> 7 & 1;
  script->client.output_size = client_outputs[data[1] & 3];
  loop_use_little(&script->client);
  script->client.max_commands = commands[data[1] >> 2 & 3];
  script->server.output_size = server_outputs[data[1] >> 4 & 3];
  script->server.max_pending = pending[data[1] >> 6 & 3];
  script->keep = data[2] & 1;
  script->turn_at = (data[2] >> 1 & 7) > MAX_MESSAGES ? SIZE_MAX : data[2] >> 1 & 7;
  script->turn = verdict_of(data[2] >> 4 | 16);
  script->hello = verdict_of(data[3] & 15);
  script->opened = verdict_of(data[3] >> 4);
  if (script->turn.how == LOOP_FAIL) {
    script->turn.how = LOOP_NOW;
  }
  script->breaks = data[7] >> 7;
  script->steps = data + 8;
  script->step_count = data[5];
  script->choices = data + 8 + data[5];
  script->choice_count = data[6];
  const uint8_t *content = data + 8 + data[5] + data[6];
  size_t content_size = size - 8 - data[5] - data[6];
  script->count = 1 + (data[4] & (MAX_MESSAGES - 1));
  int raw = data[4] >> 7;
  char *at = script->content;
  for (size_t i = 0; i < script->count; i++) {
    read_message(script, i);
    size_t part = content_size / (script->count - i);
    script->messages[i].content = at;
    script->messages[i].size = make_content(at, content, part, raw);
    script->options[i].size = script->messages[i].size;
    at += script->messages[i].size;
    content += part;
    content_size -= part;
  }
  if (data[4] & 64) {
    widen(script);
  }
  return 1;
}

/* ---- one playing of it ---- */

static void open_loop(struct loop *loop, const struct script *script)
{
  loop_open(loop, &script->client, &script->server, script->messages, script->count);
  loop->eager = script->eager;
  loop->patient = script->patient;
  loop->outside = script->outside;
  loop->keep = script->keep;
  loop->turn_at = script->turn_at;
  loop->turn = script->turn;
  loop->hello = script->hello;
  loop->opened = script->opened;
  loop->services = script->services;
  loop->service_count = script->service_count;
}

/* What breaks the connection, or ends it. */
static void strike(struct loop *loop, unsigned which)
{
  switch (which & 7) {
  case 0: loop_lose(loop, 0, 0); break;
  case 1: loop_lose(loop, SIZE_MAX, 0); break;
  case 2: loop_lose(loop, 0, SIZE_MAX); break;
  case 3: loop_lose(loop, which >> 3, 2 * (which >> 3)); break;
  case 4: loop_time_out(loop, 0); break;
  case 5: loop_time_out(loop, 1); break;
  default: (void)ehlo_server_shutdown(loop->server, 421, NULL, ehlo_span_of("")); break;
  }
}

/* One step. Returns 1 if something moved. */
static int step(struct loop *loop, const struct script *script, unsigned octet)
{
  unsigned amount = octet >> 3;
  switch (octet & 7) {
  case 6:
    loop_move(loop, amount & 1);
    if (script->breaks && amount > 15) {
      strike(loop, amount);
    }
    return 0;
  case 7: return loop_advance(loop);
  default: return loop_step(loop, octet & 7, amount);
  }
}

static void run_by_steps(struct loop *loop, const struct script *script)
{
  size_t idle = 0;
  for (size_t i = 0; script->step_count > 0 && !loop_is_over(loop) && idle <= script->step_count; i++) {
    idle = step(loop, script, script->steps[i % script->step_count]) ? 0 : idle + 1;
  }
  loop_run(loop);
}

/* Was the recipient served, as the sending host knows it? */
static int is_served(const struct loop *loop, size_t message, size_t recipient)
{
  const struct loop_sent *sent = &loop->sent[message];
  int result = loop->client_config.protocol == EHLO_PROTOCOL_SMTP || sent->result[recipient] / 100 == 2;
  return sent->ends > 0 && sent->rcpt[recipient] / 100 == 2 && result &&
         (sent->end.reason == EHLO_END_ACCEPTED || sent->end.reason == EHLO_END_MIXED);
}

/* On the same connection, the roles reversed: the same messages the other way. */
static void turn(struct loop *from, const struct script *script)
{
  static struct loop loop;
  if ((ehlo_client_want(from->client) & ehlo_server_want(from->server) & EHLO_WANT_TURN) == 0) {
    return;
  }
  loop_turn(&loop, from, &script->client, &script->server, script->messages, script->count);
  loop.eager = script->eager;
  run_by_steps(&loop, script);
  loop_check(&loop);
  loop_close(&loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct script script;
  static struct loop by_step;
  static struct loop whole;
  if (!read_script(&script, data, size)) {
    return 0;
  }
  open_loop(&by_step, &script);
  run_by_steps(&by_step, &script);
  loop_check(&by_step);
  turn(&by_step, &script);
  if (!script.breaks) {
    open_loop(&whole, &script);
    loop_run(&whole);
    loop_check(&whole);
    for (size_t i = 0; i < script.count; i++) {
      for (size_t r = 0; r < script.messages[i].recipients; r++) {
        REQUIRE(is_served(&by_step, i, r) == is_served(&whole, i, r));
      }
    }
    loop_close(&whole);
  }
  loop_close(&by_step);
  return 0;
}
