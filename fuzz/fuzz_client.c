/* fuzz_client.c: the whole sending machine against its laws.
 *
 * The input is a session: how the client is configured, what the host calls, how the octets are cut and sent, and what
 * the server says, whatever that is. In order: six octets of config (read_script), one with the number of calls, one
 * with the number of steps, the calls, the steps, the server's octets.
 *
 * A call is an octet: its low five bits say which, the rest with what (call_one). They are made in batches, each up to
 * a CALL_STOP: one at the start, one in each handler, and one whenever the host's loop comes to it. A step is what
 * that loop does next (step).
 *
 * Each session is played three times. Once by the steps, in any order, held to the promises of client.h on events,
 * replies, transactions, output and memory: the observer below knows nothing of the client but what was called, what
 * left, what was fed, and what the events said. And twice in bursts, with all output sent between them: with the
 * bursts fed whole and the output sent whole, and both octet by octet. These two must come to the same (law 2).
 */
#define _GNU_SOURCE /* memmem, open_memstream */
#include "fuzz_session.h"

/* ---- the input ---- */

enum { MAX_SERVER = 8000, MAX_CALLS = 255, LONGEST = 13000 };

struct script {
  ehlo_client_config config;
  unsigned fatal_at;  /* the event with this number is the last that the host wants; 0: never */
  int time_out;       /* at the end the clock runs out, not the connection */
  struct input input; /* its choices are the calls */
};

/* Returns 0 if the input is too short to be one. */
static int read_script(struct script *script, const uint8_t *data, size_t size)
{
  static const uint16_t outputs[] = {1024, 1100, 2048, 4096};
  static const uint16_t commands[] = {64, 1, 2, 5};
  memset(script, 0, sizeof *script);
  if (!read_input(&script->input, data, size) || script->input.peer_size > MAX_SERVER) {
    return 0;
  }
  /* Asking for the processor is slow on virtual machines; once will do. */
  static ehlo_client_config usual;
  ehlo_client_config *config = &script->config;
  if (usual.struct_size == 0) {
    REQUIRE(ehlo_client_config_init(&usual, sizeof usual) == EHLO_OK);
  }
  *config = usual;
  config->hostname = ehlo_span_of("client.example.com");
  config->protocol = data[0] & 1 ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
  config->no_helo = data[0] >> 1 & 1;
  config->hold_data = data[0] >> 2 & 1;
  config->pass_parameters = data[0] >> 3 & 1;
  config->convert_lf = data[0] >> 4 & 1;
  config->use[EHLO_EXT_PIPELINING] = !(data[0] >> 5 & 1);
  config->use[EHLO_EXT_8BITMIME] = !(data[0] >> 6 & 1);
  config->use[EHLO_EXT_ENHANCEDSTATUSCODES] = !(data[0] >> 7 & 1);
  config->output_size = outputs[data[1] & 3];
  config->max_commands = commands[data[1] >> 2 & 3];
  config->max_recipients = 1U + (data[1] >> 4);
  config->max_reply_line = data[2] & 1 ? 1024 : 512;
  config->max_reply_lines = data[2] & 2 ? 1000 : 3;
  config->max_reply_size = data[2] & 4 ? 65536 : 1024;
  config->verdict_timeout = data[2] & 8 ? 600 : 0;
  config->allow_plaintext_auth = data[4] >> 2 & 1;
  config->max_sasl_line = data[4] & 8 ? 512 : 12288;
  config->parameters_size = data[4] & 2 ? 512 : 20;
  if ((data[4] & 1) == 0) { /* these make commands longer, and the output larger than is asked for */
    memset(config->use + EHLO_EXT_DSN, 0, sizeof config->use - EHLO_EXT_DSN);
  }
  script->time_out = data[2] >> 4 & 1;
  script->fatal_at = data[3];
  return 1;
}

/* ---- one playing of it, and what is known of it ---- */

/* A command that was called, or the end of content. */
struct command {
  uint32_t verb;
  uint64_t tag;
  uint32_t transaction; /* MAIL, RCPT, DATA, MESSAGE, RESULT: which */
  uint32_t ordinal;
  int left;     /* all of it has */
  int one_trip; /* AUTH that others may stand behind */
};

/* A transaction that was called. */
struct transaction {
  uint64_t tag;
  uint32_t rcpts; /* called */
  uint32_t mail;  /* codes of replies, 0 for none */
  uint32_t data;
  uint32_t good_rcpts;
  uint32_t refused_rcpts;
  uint32_t results;
  uint32_t good_results;
  uint32_t good_tags; /* not more than this many */
  uint64_t rcpt_tags[MAX_CALLS];
  uint32_t rcpt_ordinals[MAX_CALLS];
  int whole;          /* body_end was called, or BURL */
  int by_url;         /* it was BURL */
  int begun;          /* CONTENT came */
  int ended;          /* END came */
  int reset;          /* RSET was answered, or a hello, or QUIT */
  uint32_t premature; /* the code that refused its content before all of it had left */
};

enum { MAX_COMMANDS = 40 * MAX_CALLS };

struct play {
  const struct script *script;
  unsigned cut; /* of bursts and output: 0 whole */
  int bursts;   /* played in them, not by the steps */
  ehlo_client *client;
  void *block;
  size_t block_size;
  FILE *log;
  char *text;
  size_t length;

  size_t next_call;
  uint64_t next_tag;
  unsigned events;
  int in_handler;
  int forbidden; /* no event may come any more */
  int fatal;     /* because the host said so */
  int told_close;

  struct command *commands;
  size_t command_count;
  size_t left_count;
  size_t answered;
  struct transaction *transactions;
  uint32_t transaction_count;
  uint32_t replied;    /* how many of their MAILs have been answered */
  uint32_t ended;      /* how many have had their END */
  int challenged;      /* AUTH waits for a response of the host's */
  unsigned sasl_lines; /* responses that have not left */
  int line_busy;       /* there were such when the line behind those that were told began */
  int line_in_content; /* content was on its way then */
  int could_be_early;  /* and so it was at the first line of the reply that is being told */
  int greeted;
  int can_answer; /* there was something to be answered when the reply began */
  int pipelining; /* is offered, and used */
  int turned;

  /* What left: the line that is under way, or content and how far its end is. */
  char line[LONGEST];
  size_t line_size;
  int in_content;
  int content_state; /* 0 in a line, 1 behind CR, 2 at the start of a line, 3 behind its dot, 4 behind dot and CR */
  char content[65536];
  size_t content_size; /* what was given, as it is to arrive */
  char arrived[65536];
  size_t arrived_size; /* what did */
  int content_ended;   /* by body_end, or for nobody */

  size_t fed;
  size_t read;      /* of what was fed: lines that events told */
  size_t line_left; /* left_count when the first octet of the line behind those was fed */

  struct shown shown;
};

static int host_error(const struct play *play)
{
  return play->fatal ? EHLO_ERR_HOST : EHLO_OK;
}

static int is_over(const struct play *play)
{
  return (ehlo_client_want(play->client) & EHLO_WANT_CLOSE) != 0;
}

static int opens(uint32_t verb)
{
  return verb >= EHLO_VERB_MAIL && verb <= EHLO_VERB_SAML;
}

static int is_hello(uint32_t verb)
{
  return verb >= EHLO_VERB_HELO && verb <= EHLO_VERB_LHLO;
}

/* May anything follow this before it is answered (RFC 2920 3.1)? */
static int may_be_followed(uint32_t verb)
{
  return opens(verb) || verb == EHLO_VERB_RCPT || verb == EHLO_VERB_RSET || verb == EHLO_VERB_MESSAGE ||
         verb == EHLO_VERB_RESULT;
}

static void add_command(struct play *play, uint32_t verb, uint64_t tag, uint32_t ordinal)
{
  REQUIRE(play->command_count < MAX_COMMANDS);
  struct command *command = &play->commands[play->command_count++];
  uint32_t transaction = play->transaction_count > 0 ? play->transaction_count - 1 : 0;
  *command = (struct command){verb, tag, transaction, ordinal, 0, 0};
}

/* ---- what leaves ---- */

/* A response of AUTH has left. */
static void response_left(struct play *play)
{
  static char octets[LONGEST];
  size_t length;
  ehlo_span line = {play->line, play->line_size - 2};
  REQUIRE(ehlo_span_equal(line, ehlo_span_of("*")) ||
          ehlo_base64_decode(line, octets, sizeof octets, &length) == EHLO_OK);
  play->sasl_lines--;
  play->line_size = 0;
}

/* A command line has left: the next that was called, and it may. */
static void line_left(struct play *play)
{
  if (play->sasl_lines > 0 && play->commands[play->answered].verb == EHLO_VERB_AUTH &&
      play->commands[play->answered].left) {
    response_left(play);
    return;
  }
  ehlo_command command;
  size_t size = play->line_size - 2;
  REQUIRE(play->line_size > 2 && memcmp(play->line + size, "\r\n", 2) == 0);
  REQUIRE(memchr(play->line, '\r', size) == NULL && memchr(play->line, '\n', size) == NULL);
  REQUIRE(memchr(play->line, '\0', size) == NULL);
  REQUIRE(ehlo_parse_command((ehlo_span){play->line, size}, &command) == EHLO_OK);
  REQUIRE(play->greeted && play->left_count < play->command_count);
  struct command *called = &play->commands[play->left_count];
  REQUIRE(command.verb == (called->verb == EHLO_VERB_MESSAGE ? (uint32_t)EHLO_VERB_BURL : called->verb));
  called->one_trip = memmem(play->line, size, "AUTH PLAIN ", 11) == play->line ||
                     memmem(play->line, size, "AUTH EXTERNAL ", 14) == play->line;
  if (play->left_count > play->answered) {
    REQUIRE(play->pipelining && (may_be_followed(called[-1].verb) || called[-1].one_trip));
    REQUIRE(called->verb != EHLO_VERB_DATA || !play->script->config.hold_data);
  }
  if (opens(called->verb) || called->verb == EHLO_VERB_RCPT) {
    ehlo_path path;
    size_t used;
    size_t prefix = called->verb == EHLO_VERB_RCPT ? 3 : 5;
    REQUIRE(command.argument.len > prefix);
    REQUIRE(memcmp(command.argument.ptr, called->verb == EHLO_VERB_RCPT ? "TO:" : "FROM:", prefix) == 0);
    ehlo_span rest = {command.argument.ptr + prefix, command.argument.len - prefix};
    REQUIRE(ehlo_parse_path(rest, EHLO_PARSE_UTF8, &path, &used) == EHLO_OK && path.route.len == 0);
    REQUIRE(used == rest.len || rest.ptr[used] == ' ');
  }
  called->left = 1;
  play->left_count++;
  play->line_size = 0;
}

/* The end of content has left. */
static void content_left(struct play *play)
{
  REQUIRE(play->content_ended);
  REQUIRE(play->arrived_size == play->content_size);
  REQUIRE(memcmp(play->arrived, play->content, play->content_size) == 0);
  play->in_content = 0;
  play->content_ended = 0;
  if (play->left_count < play->command_count) {
    uint32_t verb = play->commands[play->left_count].verb;
    while (play->left_count < play->command_count && play->commands[play->left_count].verb == verb &&
           (verb == EHLO_VERB_MESSAGE || verb == EHLO_VERB_RESULT)) {
      play->commands[play->left_count++].left = 1;
    }
  }
}

/* An octet of content leaves: dots are taken off, the end is found. */
static void content_leaves(struct play *play, char octet)
{
  int at_start = play->content_state == 2;
  if (at_start && octet == '.') {
    play->content_state = 3;
    return;
  }
  if (play->content_state == 3 && octet == '\r') {
    play->content_state = 4;
    return;
  }
  if (play->content_state == 4) {
    REQUIRE(octet == '\n');
    content_left(play);
    return;
  }
  REQUIRE(play->content_state != 3 || octet == '.'); /* what begins with a dot has one more */
  REQUIRE((octet == '\n') == (play->content_state == 1));
  REQUIRE(play->arrived_size < sizeof play->arrived);
  play->arrived[play->arrived_size++] = octet;
  play->content_state = octet == '\r' ? 1 : octet == '\n' ? 2 : 0;
}

static void leaves(struct play *play, const char *octets, size_t size)
{
  if (play->bursts) {
    put(play->log, (ehlo_span){octets, size});
  }
  for (size_t i = 0; i < size; i++) {
    if (play->in_content) {
      content_leaves(play, octets[i]);
      continue;
    }
    REQUIRE(play->line_size < sizeof play->line);
    play->line[play->line_size++] = octets[i];
    if (octets[i] == '\n') {
      line_left(play);
    }
  }
}

static const char *look_at_output(struct play *play, size_t *size)
{
  const char *output = ehlo_client_output(play->client, size);
  uint32_t want = ehlo_client_want(play->client);
  REQUIRE(*size <= play->script->config.output_size || (play->script->config.use[EHLO_EXT_DSN] && *size <= LONGEST));
  REQUIRE(((want & EHLO_WANT_WRITE) != 0) == (*size > 0));
  if (*size == 0 && is_over(play)) {
    play->shown.size = 0; /* it was dropped */
  }
  see_output(&play->shown, output, *size);
  return output;
}

/* Sends up to `most` octets, 0: all. Returns how many. */
static size_t drain(struct play *play, size_t most)
{
  size_t size;
  const char *shown = look_at_output(play, &size);
  size = most == 0 || size < most ? size : most;
  leaves(play, shown, size);
  ehlo_client_sent(play->client, size);
  play->shown.size = 0;
  return size;
}

/* ---- what the host calls ---- */

enum {
  CALL_STOP,
  CALL_HELLO,
  CALL_HELO,
  CALL_MAIL,
  CALL_MAIL_OPTIONS,
  CALL_SEND,
  CALL_SOML,
  CALL_SAML,
  CALL_RCPT,
  CALL_RCPT_OPTIONS,
  CALL_DATA,
  CALL_RSET,
  CALL_VRFY,
  CALL_VRFY_UTF8,
  CALL_EXPN,
  CALL_HELP,
  CALL_NOOP,
  CALL_QUIT,
  CALL_TURN,
  CALL_COMMAND,
  CALL_BODY,
  CALL_GATHER,
  CALL_END,
  CALL_ABORT,
  CALL_AUTH,
  CALL_AUTH_BEGIN,
  CALL_AUTH_RESPOND,
  CALL_ETRN,
  CALL_ATRN,
  CALL_BURL,
  CALL_XCLIENT,
  CALL_XFORWARD,
  CALL_KINDS
};

/* Something out of the input, where the host takes what it gets from elsewhere. */
static ehlo_span from_input(const struct play *play)
{
  const struct script *script = play->script;
  size_t at = script->input.peer_size == 0 ? 0 : play->next_call * 7 % script->input.peer_size;
  size_t most = script->input.peer_size - at;
  return (ehlo_span){script->input.peer + at, most < 30 ? most : 30};
}

static ehlo_span long_span(size_t length)
{
  static char octets[700];
  memset(octets, 'x', sizeof octets);
  memcpy(octets, "x@y", 3);
  return (ehlo_span){octets, length};
}

static ehlo_span path_of(const struct play *play, unsigned which)
{
  static const char *const paths[] = {"alice@example.com", "<>", "\"a b\"@example.org", "<@r.example:bob@[192.0.2.1]>",
                                      "\xC3\xB8@b"};
  return which < 5 ? ehlo_span_of(paths[which]) : which == 5 ? long_span(501) : from_input(play);
}

static ehlo_span text_of(const struct play *play, unsigned which)
{
  static const char *const texts[] = {"", "x", "a b c", "J\xC3\xB8rgen", "a\r\nDATA"};
  return which < 5 ? ehlo_span_of(texts[which]) : which == 5 ? long_span(505) : from_input(play);
}

static ehlo_span words_of(const struct play *play, unsigned which)
{
  static const char *const words[] = {"", "X=1", "X Y=2", "SIZE=1", "X=1\r\n"};
  return which < 5 ? ehlo_span_of(words[which]) : which == 5 ? ehlo_span_of("X=\xC3\xB8") : from_input(play);
}

static ehlo_span content_of(const struct play *play, unsigned which)
{
  static const char *const contents[] = {"Subject: x\r\n\r\n", ".", ".\r\n", "\r\n", "\n", "x\xC3\xB8", "\r"};
  return which < 7 ? ehlo_span_of(contents[which]) : from_input(play);
}

/* A command that opens a transaction, and that was let out. */
static void transaction_called(struct play *play, uint32_t verb, uint64_t tag)
{
  REQUIRE(play->transaction_count < MAX_CALLS);
  struct transaction *transaction = &play->transactions[play->transaction_count++];
  memset(transaction, 0, sizeof *transaction);
  transaction->tag = tag;
  add_command(play, verb, tag, 0);
}

static struct transaction *last_transaction(struct play *play)
{
  REQUIRE(play->transaction_count > 0);
  return &play->transactions[play->transaction_count - 1];
}

/* Content was taken: what of it is to arrive. A LF may be part of a CRLF whose CR was taken before. */
static void content_given(struct play *play, ehlo_span span, size_t taken)
{
  for (size_t i = 0; i < taken; i++) {
    char before = play->content_size > 0 ? play->content[play->content_size - 1] : '\0';
    REQUIRE(play->content_size + 2 < sizeof play->content);
    if (span.ptr[i] == '\n' && before != '\r') {
      play->content[play->content_size++] = '\r';
    }
    play->content[play->content_size++] = span.ptr[i];
  }
}

static int call_body(struct play *play, unsigned which)
{
  ehlo_span span = content_of(play, which);
  size_t taken = SIZE_MAX;
  ehlo_span piece = copy_of(span.ptr, span.len);
  int result = ehlo_client_body(play->client, piece.ptr, piece.len, &taken);
  release(piece);
  REQUIRE(taken <= span.len);
  if (result == EHLO_OK) {
    content_given(play, span, taken);
  } else {
    REQUIRE(result == EHLO_ERR_STATE || result == EHLO_ERR_BARE_NEWLINE || result == EHLO_ERR_8BITMIME);
  }
  return result;
}

static int call_gather(struct play *play, unsigned which)
{
  ehlo_span span = content_of(play, which);
  ehlo_span spans[8];
  size_t taken = SIZE_MAX;
  size_t count = SIZE_MAX;
  int result = ehlo_client_body_gather(play->client, span.ptr, span.len, &taken, spans, 8, &count);
  REQUIRE(taken <= span.len && count <= 8);
  if (result == EHLO_OK) {
    content_given(play, span, taken);
  } else {
    REQUIRE(result == EHLO_ERR_STATE || result == EHLO_ERR_BARE_NEWLINE || result == EHLO_ERR_8BITMIME ||
            result == EHLO_ERR_SPACE);
    REQUIRE(result != EHLO_ERR_SPACE || (taken == 0 && count == 0));
  }
  for (size_t i = 0; i < count; i++) {
    REQUIRE(spans[i].len > 0);
    if (result == EHLO_OK) {
      leaves(play, spans[i].ptr, spans[i].len);
    }
  }
  return result;
}

static int call_end(struct play *play)
{
  int result = ehlo_client_body_end(play->client);
  if (result != EHLO_OK) {
    REQUIRE(result == EHLO_ERR_STATE || result == EHLO_ERR_BARE_NEWLINE || result == EHLO_ERR_SPACE ||
            result == EHLO_ERR_8BITMIME);
    return result;
  }
  struct transaction *transaction = last_transaction(play);
  REQUIRE(play->in_content && !play->content_ended && !transaction->whole);
  transaction->whole = 1;
  play->content_ended = 1;
  if (play->content_size > 0 && play->content[play->content_size - 1] != '\n') {
    play->content[play->content_size++] = '\r';
    play->content[play->content_size++] = '\n';
  }
  if (play->script->config.protocol == EHLO_PROTOCOL_SMTP) {
    add_command(play, EHLO_VERB_MESSAGE, play->commands[play->answered - 1].tag, 0);
  }
  for (uint32_t i = 0; i < transaction->good_rcpts && play->script->config.protocol == EHLO_PROTOCOL_LMTP; i++) {
    add_command(play, EHLO_VERB_RESULT, transaction->rcpt_tags[i], transaction->rcpt_ordinals[i]);
  }
  return result;
}

static int call_abort(struct play *play)
{
  size_t before = play->command_count;
  int over = is_over(play);
  int result = ehlo_client_body_abort(play->client);
  if (play->in_handler) {
    REQUIRE(result == EHLO_ERR_REENTRANT);
  } else if (result == EHLO_OK && !is_over(play)) {
    /* DATA was taken back. */
    REQUIRE(before > 0 && play->commands[before - 1].verb == EHLO_VERB_DATA && !play->commands[before - 1].left);
    play->command_count--;
  } else {
    REQUIRE(result == EHLO_OK || result == EHLO_ERR_STATE || result == EHLO_ERR_HOST);
    REQUIRE(result != EHLO_OK || !over);
  }
  return result;
}

static int call_auth(struct play *play, unsigned which, uint64_t tag)
{
  ehlo_credentials credentials = {.struct_size = sizeof credentials,
                                  .mechanism = EHLO_SASL_PLAIN + which % 5,
                                  .authcid = text_of(play, which),
                                  .secret = which == 6 ? long_span(600) : ehlo_span_of("secret")};
  return ehlo_client_auth(play->client, &credentials, tag);
}

static int call_auth_begin(struct play *play, unsigned which, uint64_t tag)
{
  static const char *const names[] = {"X-OWN", "CRAM-MD5", "plain", "SCRAM-SHA-1"};
  ehlo_span initial = text_of(play, which);
  return ehlo_client_auth_begin(play->client, ehlo_span_of(names[which % 4]), which & 4 ? &initial : NULL, tag);
}

/* A response, or the exchange is given up. */
static int call_respond(struct play *play, unsigned which)
{
  int result =
      which == 7 ? ehlo_client_auth_cancel(play->client) : ehlo_client_auth_respond(play->client, text_of(play, which));
  REQUIRE(play->forbidden || is_over(play) || (result == EHLO_OK || result == EHLO_ERR_TOO_LONG) == play->challenged);
  if (result == EHLO_OK) {
    play->challenged = 0;
    play->sasl_lines++;
  }
  return result;
}

/* The call, when it is one of a command that has an argument or an option. */
static int call_command(struct play *play, unsigned kind, unsigned which, uint64_t tag)
{
  ehlo_client *client = play->client;
  ehlo_mail_parameters mail = {.struct_size = sizeof mail};
  ehlo_rcpt_parameters rcpt = {.struct_size = sizeof rcpt};
  switch (kind) {
  case CALL_MAIL: return ehlo_client_mail(client, path_of(play, which), NULL, tag);
  case CALL_MAIL_OPTIONS:
    mail.has_size = which & 1;
    mail.size = 400 * which;
    mail.body = which % 3;
    mail.smtputf8 = which >> 2 & 1;
    mail.ret = which % 3;
    mail.envid = ehlo_span_of(which & 2 ? "Q+4" : "");
    mail.requiretls = which == 6;
    mail.hold_for = 500 * which;
    mail.others = words_of(play, which);
    return ehlo_client_mail(client, path_of(play, 3 + which % 3), &mail, tag);
  case CALL_SEND: return ehlo_client_send(client, path_of(play, which), NULL, tag);
  case CALL_SOML: return ehlo_client_soml(client, path_of(play, which), NULL, tag);
  case CALL_SAML: return ehlo_client_saml(client, path_of(play, which), NULL, tag);
  case CALL_RCPT: return ehlo_client_rcpt(client, path_of(play, which), NULL, tag);
  case CALL_RCPT_OPTIONS:
    rcpt.others = words_of(play, which);
    return ehlo_client_rcpt(client, path_of(play, 0), &rcpt, tag);
  case CALL_VRFY: return ehlo_client_vrfy(client, text_of(play, which), 0, tag);
  case CALL_VRFY_UTF8: return ehlo_client_vrfy(client, text_of(play, which), 1, tag);
  case CALL_EXPN: return ehlo_client_expn(client, text_of(play, which), which & 1, tag);
  case CALL_HELP: return ehlo_client_help(client, text_of(play, which), tag);
  case CALL_NOOP: return ehlo_client_noop(client, text_of(play, which), tag);
  case CALL_AUTH: return call_auth(play, which, tag);
  case CALL_AUTH_BEGIN: return call_auth_begin(play, which, tag);
  case CALL_ETRN: return ehlo_client_etrn(client, which & 1 ? ehlo_span_of("@example.com") : text_of(play, which), tag);
  case CALL_ATRN: return ehlo_client_atrn(client, which & 1 ? ehlo_span_of("example.com") : text_of(play, which), tag);
  case CALL_BURL:
    return ehlo_client_burl(client, which & 4 ? from_input(play) : ehlo_span_of("imap://x/y"), which != 1, tag);
  case CALL_XCLIENT: return ehlo_client_xclient(client, which & 4 ? from_input(play) : ehlo_span_of("NAME=x+2B"), tag);
  case CALL_XFORWARD:
    return ehlo_client_xforward(client, which & 4 ? from_input(play) : ehlo_span_of("NAME=x ADDR=y"), tag);
  default:
    return ehlo_client_command(client, which & 1 ? from_input(play) : ehlo_span_of("XYZZY"), text_of(play, which), tag);
  }
}

/* Makes the call of a command, and notes it if it was let out. */
static int call(struct play *play, unsigned kind, unsigned which)
{
  static const uint32_t verbs[CALL_KINDS] = {
      [CALL_HELO] = EHLO_VERB_HELO,        [CALL_MAIL] = EHLO_VERB_MAIL,       [CALL_MAIL_OPTIONS] = EHLO_VERB_MAIL,
      [CALL_SEND] = EHLO_VERB_SEND,        [CALL_SOML] = EHLO_VERB_SOML,       [CALL_SAML] = EHLO_VERB_SAML,
      [CALL_RCPT] = EHLO_VERB_RCPT,        [CALL_DATA] = EHLO_VERB_DATA,       [CALL_RCPT_OPTIONS] = EHLO_VERB_RCPT,
      [CALL_RSET] = EHLO_VERB_RSET,        [CALL_VRFY] = EHLO_VERB_VRFY,       [CALL_VRFY_UTF8] = EHLO_VERB_VRFY,
      [CALL_EXPN] = EHLO_VERB_EXPN,        [CALL_HELP] = EHLO_VERB_HELP,       [CALL_NOOP] = EHLO_VERB_NOOP,
      [CALL_QUIT] = EHLO_VERB_QUIT,        [CALL_TURN] = EHLO_VERB_TURN,       [CALL_COMMAND] = EHLO_VERB_UNKNOWN,
      [CALL_AUTH] = EHLO_VERB_AUTH,        [CALL_AUTH_BEGIN] = EHLO_VERB_AUTH, [CALL_ETRN] = EHLO_VERB_ETRN,
      [CALL_ATRN] = EHLO_VERB_ATRN,        [CALL_BURL] = EHLO_VERB_MESSAGE,    [CALL_XCLIENT] = EHLO_VERB_XCLIENT,
      [CALL_XFORWARD] = EHLO_VERB_XFORWARD};
  uint64_t tag = ++play->next_tag;
  ehlo_client *client = play->client;
  uint32_t verb = verbs[kind];
  int result;
  switch (kind) {
  case CALL_HELLO:
    verb = play->script->config.protocol == EHLO_PROTOCOL_LMTP ? EHLO_VERB_LHLO : EHLO_VERB_EHLO;
    result = ehlo_client_hello(client, tag);
    break;
  case CALL_HELO: result = ehlo_client_helo(client, tag); break;
  case CALL_DATA: result = ehlo_client_data(client, tag); break;
  case CALL_RSET: result = ehlo_client_rset(client, tag); break;
  case CALL_QUIT: result = ehlo_client_quit(client, tag); break;
  case CALL_TURN: result = ehlo_client_turn(client, tag); break;
  default: result = call_command(play, kind, which, tag); break;
  }
  if (result != EHLO_OK) {
    return result;
  }
  REQUIRE(!play->forbidden && !play->turned);
  if (verb == EHLO_VERB_MESSAGE) {
    last_transaction(play)->whole = last_transaction(play)->by_url = 1;
  }
  if (opens(verb)) {
    transaction_called(play, verb, tag);
  } else {
    add_command(play, verb, tag, verb == EHLO_VERB_RCPT ? last_transaction(play)->rcpts++ : 0);
  }
  return result;
}

/* One call of the script. What fails changes nothing. */
static void call_one(struct play *play, unsigned octet)
{
  unsigned kind = (octet & 31) % CALL_KINDS;
  unsigned which = octet >> 5;
  static char before[16384];
  size_t before_size;
  size_t after_size;
  int result;
  const char *output = look_at_output(play, &before_size);
  if (before_size > 0) {
    memcpy(before, output, before_size);
  }
  uint32_t pending = ehlo_client_pending(play->client);
  uint32_t want = ehlo_client_want(play->client);
  play->shown.size = 0; /* calls may move it */
  switch (kind) {
  case CALL_BODY: result = call_body(play, which); break;
  case CALL_GATHER: result = call_gather(play, which); break;
  case CALL_END: result = call_end(play); break;
  case CALL_ABORT: result = call_abort(play); break;
  case CALL_AUTH_RESPOND: result = call_respond(play, which); break;
  default: result = call(play, kind, which); break;
  }
  REQUIRE(result != EHLO_ERR_BUFFER && result != EHLO_ERR_TICKET && result != EHLO_ERR_CONFIG);
  output = look_at_output(play, &after_size);
  if (result != EHLO_OK && kind != CALL_BODY && kind != CALL_GATHER && kind != CALL_ABORT) {
    REQUIRE(ehlo_client_pending(play->client) == pending);
    REQUIRE(ehlo_client_want(play->client) == want);
    REQUIRE(after_size == before_size && (before_size == 0 || memcmp(output, before, before_size) == 0));
  }
  if (play->bursts) {
    fprintf(play->log, "(%u %u: %d)\n", kind, which, result);
  }
}

/* The calls up to the next CALL_STOP. Returns how many. */
static unsigned call_batch(struct play *play)
{
  unsigned count = 0;
  while (play->next_call < play->script->input.choice_count) {
    unsigned octet = play->script->input.choices[play->next_call++];
    if ((octet & 31) % CALL_KINDS == CALL_STOP) {
      break;
    }
    call_one(play, octet);
    count++;
  }
  return count;
}

/* ---- what the host is told ---- */

/* A line begins here: what can it answer? */
static void line_begins(struct play *play)
{
  play->line_left = play->left_count;
  play->line_busy = play->challenged || play->sasl_lines > 0;
  play->line_in_content = play->in_content;
}

/* 334 is the next line that was fed. */
static void check_challenge(struct play *play, uint64_t tag, int is_good)
{
  const char *at = play->script->input.peer + play->read;
  const char *end = memmem(at, play->fed - play->read, "\r\n", 2);
  REQUIRE(end != NULL && memcmp(at, "334", 3) == 0);
  REQUIRE(!play->line_busy && play->answered < play->line_left);
  REQUIRE(play->commands[play->answered].verb == EHLO_VERB_AUTH);
  REQUIRE(!is_good || tag == play->commands[play->answered].tag);
  play->read += (size_t)(end - at) + 2;
}

/* A line of a reply is the next that was fed. */
static void check_line(struct play *play, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  const char *at = play->script->input.peer + play->read;
  const char *end = memmem(at, play->fed - play->read, "\r\n", 2);
  REQUIRE(end != NULL && reply->line.len == (size_t)(end - at));
  REQUIRE(memcmp(reply->line.ptr, at, reply->line.len) == 0);
  size_t could_answer = play->line_busy ? play->answered : play->line_left;
  int in_content = play->line_in_content;
  play->read += reply->line.len + 2;
  line_begins(play); /* the next line begins in these octets too */
  REQUIRE(reply->line.len >= 3 && reply->code == (uint32_t)((at[0] - '0') * 100 + (at[1] - '0') * 10 + at[2] - '0'));
  REQUIRE(reply->code >= 200 && reply->code <= 559);
  REQUIRE((reply->line.len > 3 && at[3] == '-') == (event->type == EHLO_CLIENT_EVENT_LINE));
  REQUIRE(reply->number >= 1 && reply->number <= play->script->config.max_reply_lines);
  REQUIRE(reply->line.len + 2 <= play->script->config.max_reply_line ||
          (reply->verb == EHLO_VERB_AUTH && reply->line.len + 2 <= play->script->config.max_sasl_line));
  REQUIRE(reply->text.len <= reply->line.len);
  REQUIRE(reply->enhanced.status_class == 0 || reply->enhanced.status_class == reply->code / 100);
  if (reply->number == 1) {
    play->could_be_early = in_content;
    play->can_answer = play->answered < could_answer;
  }
}

/* What it answers is what was called, by counting. */
static const struct command *check_answer(struct play *play, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  if (!play->greeted) {
    REQUIRE(reply->verb == EHLO_VERB_CONNECT && event->tag == 0 && play->left_count == 0);
    return NULL;
  }
  if (reply->verb == EHLO_VERB_NONE) {
    REQUIRE(reply->code == 421 && event->tag == 0 && !play->can_answer);
    return NULL;
  }
  if (reply->verb == EHLO_VERB_MESSAGE && !play->can_answer) {
    int by_url = play->transactions[play->ended].by_url;
    int in_content = play->could_be_early || by_url; /* when it began; by now all may have left */
    REQUIRE(reply->code >= 400 && is_over(play) && in_content && play->ended < play->replied);
    play->transactions[play->ended].premature = reply->code;
    return NULL;
  }
  REQUIRE(play->answered < play->left_count);
  const struct command *command = &play->commands[play->answered];
  REQUIRE(command->left && command->verb == reply->verb && command->tag == event->tag);
  REQUIRE(command->ordinal == reply->ordinal);
  return command;
}

/* 354 to DATA, after which content leaves. */
static void content_begins(struct play *play, struct transaction *transaction, uint64_t tag)
{
  REQUIRE(play->line_size == 0 && play->left_count == play->command_count);
  play->in_content = play->line_in_content = 1;
  play->content_state = 2;
  play->content_size = play->arrived_size = 0;
  play->content_ended = transaction->mail >= 300 || transaction->good_rcpts == 0;
  if (play->content_ended && play->script->config.protocol == EHLO_PROTOCOL_SMTP) {
    add_command(play, EHLO_VERB_MESSAGE, tag, 0);
  }
}

static void on_reply(struct play *play, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  const struct command *command = check_answer(play, event);
  REQUIRE(reply->code >= 400 || (reply->code >= 300) == (reply->verb == EHLO_VERB_DATA));
  REQUIRE(!reply->fallback || (reply->verb == EHLO_VERB_EHLO && reply->code / 10 == 50));
  if (reply->verb == EHLO_VERB_CONNECT) {
    play->greeted = 1;
    if (reply->code >= 400) {
      play->command_count = 0; /* what was called is dropped */
    }
  }
  if (command == NULL) {
    return;
  }
  play->answered++;
  if (reply->code == 421) {
    return;
  }
  struct transaction *transaction = &play->transactions[command->transaction];
  int good = reply->code < 300;
  switch (command->verb) {
  case EHLO_VERB_HELO:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_LHLO:
    if (reply->fallback) {
      add_command(play, EHLO_VERB_HELO, event->tag, 0);
    }
    break;
  case EHLO_VERB_MAIL:
  case EHLO_VERB_SEND:
  case EHLO_VERB_SOML:
  case EHLO_VERB_SAML:
    REQUIRE(command->transaction == play->replied);
    play->replied++;
    transaction->mail = reply->code;
    break;
  case EHLO_VERB_RCPT:
    transaction->refused_rcpts += !good;
    if (good && transaction->mail < 300) {
      transaction->rcpt_tags[transaction->good_rcpts] = event->tag;
      transaction->rcpt_ordinals[transaction->good_rcpts++] = reply->ordinal;
    }
    break;
  case EHLO_VERB_DATA:
    transaction->data = reply->code;
    if (reply->code < 400) {
      content_begins(play, transaction, event->tag);
    }
    break;
  case EHLO_VERB_MESSAGE:
  case EHLO_VERB_RESULT:
    transaction->results++;
    transaction->good_results +=
        good && transaction->whole && transaction->good_rcpts > 0; /* a yes for nobody is none */
    break;
  case EHLO_VERB_RSET:
  case EHLO_VERB_QUIT:
    if (play->ended < play->replied) {
      play->transactions[play->ended].reset = 1;
    }
    break;
  case EHLO_VERB_ATRN:
  case EHLO_VERB_TURN: play->turned = good; break;
  case EHLO_VERB_XCLIENT: play->pipelining = play->pipelining && !good; break;
  default: break;
  }
}

static void on_hello(struct play *play, uint64_t tag)
{
  REQUIRE(play->answered > 0);
  const struct command *command = &play->commands[play->answered - 1];
  REQUIRE(is_hello(command->verb) && command->tag == tag);
  REQUIRE(ehlo_client_hello_verb(play->client) == command->verb);
  REQUIRE(play->ended == play->replied);
  play->pipelining = ehlo_client_offers(play->client, EHLO_EXT_PIPELINING);
  REQUIRE(!play->pipelining || (play->script->config.use[EHLO_EXT_PIPELINING] && command->verb != EHLO_VERB_HELO));
}

static void on_end(struct play *play, const ehlo_client_event *event)
{
  const ehlo_client_event_end *end = &event->as.end;
  REQUIRE(play->ended < play->transaction_count);
  struct transaction *transaction = &play->transactions[play->ended++];
  int lmtp = play->script->config.protocol == EHLO_PROTOCOL_LMTP;
  uint32_t verdicts = lmtp ? transaction->good_rcpts : 1;
  int over = is_over(play);
  REQUIRE(event->tag == transaction->tag && !transaction->ended);
  REQUIRE(end->recipients == transaction->good_rcpts);
  transaction->ended = 1;
  if (end->reason != EHLO_END_ACCEPTED && transaction->good_results > 0) {
    REQUIRE(end->reason == EHLO_END_MIXED);
  }
  switch (end->reason) {
  case EHLO_END_ACCEPTED:
    REQUIRE(transaction->whole && transaction->good_rcpts > 0 && transaction->mail < 300 && transaction->data < 400);
    REQUIRE(transaction->results == verdicts && transaction->good_results == verdicts && end->code / 100 == 2);
    break;
  case EHLO_END_MIXED:
    REQUIRE(lmtp && transaction->whole && transaction->good_results > 0 && transaction->good_results < verdicts);
    break;
  case EHLO_END_REFUSED:
    REQUIRE(end->code >= 400 && transaction->good_results == 0);
    REQUIRE(transaction->mail >= 400 || transaction->data >= 400 || transaction->results == verdicts ||
            transaction->good_rcpts == 0 || (over && transaction->premature == end->code));
    break;
  case EHLO_END_RESET:
  case EHLO_END_QUIT: REQUIRE(transaction->reset && transaction->mail < 300 && transaction->results == 0); break;
  case EHLO_END_SUPERSEDED: REQUIRE(transaction->mail < 300 && transaction->results == 0 && !over); break;
  case EHLO_END_SHUTDOWN: REQUIRE(over && end->code == 421); break;
  default:
    REQUIRE(end->reason == EHLO_END_LOST || end->reason == EHLO_END_TIMED_OUT || end->reason == EHLO_END_FAILED);
    REQUIRE(over && end->code == 451);
    break;
  }
  REQUIRE(ehlo_end_name(end->reason)[0] != '?');
}

static void log_event(struct play *play, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  const ehlo_client_event_end *end = &event->as.end;
  fprintf(play->log, "%s %llu ", ehlo_client_event_name(event->type), (unsigned long long)event->tag);
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE:
  case EHLO_CLIENT_EVENT_REPLY:
    fprintf(play->log, "%s %u %u %u %u %u.%u.%u ", ehlo_verb_name(reply->verb), reply->code, reply->ordinal,
            reply->number, reply->fallback, reply->enhanced.status_class, reply->enhanced.subject,
            reply->enhanced.detail);
    put(play->log, reply->text);
    break;
  case EHLO_CLIENT_EVENT_CONTENT: fprintf(play->log, "%u", event->as.content.recipients); break;
  case EHLO_CLIENT_EVENT_END:
    fprintf(play->log, "%s %u %u %u %u.%u.%u", ehlo_end_name(end->reason), end->recipients, end->code, end->needs_reset,
            end->enhanced.status_class, end->enhanced.subject, end->enhanced.detail);
    break;
  case EHLO_CLIENT_EVENT_CHALLENGE:
    fprintf(play->log, "%u %u ", event->as.challenge.number, event->as.challenge.answered);
    put(play->log, event->as.challenge.octets);
    break;
  case EHLO_CLIENT_EVENT_VIOLATION:
    fprintf(play->log, "%s %s", ehlo_violation_name(event->as.violation.kind),
            ehlo_verb_name(event->as.violation.verb));
    break;
  default: break;
  }
  fputc('\n', play->log);
}

static void be_reentrant(struct play *play)
{
  size_t consumed = 1;
  REQUIRE(ehlo_client_feed(play->client, "250 ok\r\n", 8, &consumed) == EHLO_ERR_REENTRANT && consumed == 0);
  REQUIRE(ehlo_client_eof(play->client) == EHLO_ERR_REENTRANT);
  REQUIRE(ehlo_client_timed_out(play->client) == EHLO_ERR_REENTRANT);
  REQUIRE(ehlo_client_body_abort(play->client) == EHLO_ERR_REENTRANT);
}

static int on_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct play *play = user;
  REQUIRE(client == play->client && !play->in_handler && !play->forbidden);
  play->in_handler = 1;
  play->events++;
  log_event(play, event);
  be_reentrant(play);
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE: check_line(play, event); break;
  case EHLO_CLIENT_EVENT_REPLY:
    check_line(play, event);
    on_reply(play, event);
    break;
  case EHLO_CLIENT_EVENT_HELLO: on_hello(play, event->tag); break;
  case EHLO_CLIENT_EVENT_CONTENT: {
    /* The host may have given it all, and gone on, when it heard of the reply. */
    REQUIRE(play->in_content && play->answered > 0);
    struct transaction *transaction = &play->transactions[play->commands[play->answered - 1].transaction];
    REQUIRE(!transaction->begun && transaction->mail < 300);
    REQUIRE(event->as.content.recipients == transaction->good_rcpts && transaction->good_rcpts > 0);
    transaction->begun = 1;
    break;
  }
  case EHLO_CLIENT_EVENT_END: on_end(play, event); break;
  case EHLO_CLIENT_EVENT_CHALLENGE:
    check_challenge(play, event->tag, 1);
    REQUIRE(event->as.challenge.number >= 1 && event->as.challenge.number <= EHLO_CLIENT_MAX_CHALLENGES);
    play->challenged = !event->as.challenge.answered;
    play->sasl_lines += event->as.challenge.answered;
    line_begins(play);
    break;
  default:
    if (event->as.violation.goes_on) {
      REQUIRE(event->as.violation.kind == EHLO_VIOLATION_SASL && !is_over(play));
      check_challenge(play, event->tag, 0);
      play->sasl_lines++;
      line_begins(play);
      break;
    }
    REQUIRE(event->type == EHLO_CLIENT_EVENT_VIOLATION && is_over(play) && !play->told_close);
    REQUIRE(event->as.violation.kind == ehlo_client_violation(client) && event->as.violation.kind != 0);
    play->told_close = 1;
    break;
  }
  call_batch(play);
  play->in_handler = 0;
  play->fatal = play->script->fatal_at != 0 && play->events == play->script->fatal_at;
  play->forbidden = play->fatal;
  return play->fatal ? (play->script->fatal_at & 1 ? -1 : EHLO_FAIL_TRANSACTION) : EHLO_HANDLED;
}

/* ---- what the host's loop does ---- */

/* Feeds up to `most` octets (0: all) in a block of their own. Returns how many were taken. */
static size_t feed(struct play *play, size_t most)
{
  size_t left = play->script->input.peer_size - play->fed;
  size_t size = most == 0 || left < most ? left : most;
  if (play->read == play->fed) {
    line_begins(play);
  }
  ehlo_span piece = copy_of(play->script->input.peer + play->fed, size);
  size_t consumed = SIZE_MAX;
  size_t before = play->fed;
  int turned = play->turned;
  play->fed += size; /* events may tell of it */
  int result = ehlo_client_feed(play->client, piece.ptr, size, &consumed);
  release(piece);
  REQUIRE(result == host_error(play));
  REQUIRE(consumed == size || (play->turned && consumed < size));
  REQUIRE(!turned || consumed == 0 || is_over(play));
  play->fed = before + consumed;
  if (play->turned && !turned && !is_over(play)) {
    REQUIRE(play->read == play->fed);
  }
  /* With nothing out any more, a transaction that stands is one that can be gone on with. */
  if (!is_over(play) && play->answered == play->command_count && play->ended < play->replied) {
    const struct transaction *transaction = &play->transactions[play->ended];
    REQUIRE(transaction->mail < 300 && transaction->data < 400 && transaction->results == 0 && !transaction->reset);
  }
  /* Every line that is there has been told. */
  const char *at = play->script->input.peer + play->read;
  REQUIRE(is_over(play) || memmem(at, play->fed - play->read, "\r\n", 2) == NULL);
  return consumed;
}

static void move(struct play *play)
{
  void *block = moved_block(play->block, play->block_size);
  REQUIRE(ehlo_client_attach(&play->client, block, play->block_size, on_event, play) == EHLO_OK);
  REQUIRE((void *)play->client == block);
  free(play->block);
  play->block = block;
  play->shown.size = 0;
}

static void end(struct play *play)
{
  int result = play->script->time_out ? ehlo_client_timed_out(play->client) : ehlo_client_eof(play->client);
  REQUIRE(result == host_error(play));
  REQUIRE(is_over(play));
}

static void ask(struct play *play)
{
  uint64_t epoch[2];
  uint32_t seconds = ehlo_client_timeout(play->client, &epoch[0]);
  REQUIRE(seconds == ehlo_client_timeout(play->client, &epoch[1]) && epoch[0] == epoch[1]);
  REQUIRE(!is_over(play) || (seconds == 0 && ehlo_client_pending(play->client) == 0));
  REQUIRE((ehlo_client_pending(play->client) > 0) == (play->answered < play->command_count) || is_over(play));
  for (uint32_t i = 0; i < EHLO_EXT_ROOM; i++) {
    REQUIRE(!ehlo_client_offers(play->client, i) || (i < EHLO_EXT_COUNT && play->script->config.use[i]));
  }
  REQUIRE((ehlo_client_want(play->client) & EHLO_WANT_CONTENT) == 0 || (play->in_content && !play->content_ended));
}

/* One step. Returns 1 if something moved. */
static int step(struct play *play, unsigned octet)
{
  unsigned amount = octet >> 3;
  switch (octet & 7) {
  case 0: return feed(play, amount) > 0;
  case 1: return drain(play, amount) > 0;
  case 2: return call_batch(play) > 0;
  case 3: move(play); return 0;
  case 4: return feed(play, 1 + amount % 3) > 0;
  case 5: return drain(play, 1 + amount % 3) > 0;
  case 6: ask(play); return 0;
  default:
    if (amount == 31) {
      end(play);
      return 1;
    }
    return feed(play, 40 * amount) > 0;
  }
}

/* By the steps, over and over, until nothing moves any more. */
static void run_by_steps(struct play *play)
{
  const struct script *script = play->script;
  size_t idle = 0;
  for (size_t i = 0; !is_over(play) && idle <= script->input.step_count; i++) {
    int moved = script->input.step_count > 0 && step(play, script->input.steps[i % script->input.step_count]);
    idle = moved ? 0 : idle + 1;
  }
  while (!is_over(play) && (drain(play, 0) > 0 || call_batch(play) > 0 || feed(play, 0) > 0)) {
  }
}

/* In bursts of as many octets as each step says. */
static void run_in_bursts(struct play *play)
{
  const struct script *script = play->script;
  for (size_t i = 0; !is_over(play) && !play->turned && play->fed < script->input.peer_size; i++) {
    size_t burst = script->input.step_count == 0 ? 80 : 1U + script->input.steps[i % script->input.step_count];
    size_t until = script->input.peer_size - play->fed < burst ? script->input.peer_size : play->fed + burst;
    while (drain(play, play->cut) > 0) {
    }
    while (play->fed < until && !is_over(play) && !play->turned) {
      (void)feed(play, play->cut == 0 ? until - play->fed : play->cut);
    }
    call_batch(play);
  }
  while (drain(play, play->cut) > 0) {
  }
}

/* The session's end: nothing is left open, and nothing more happens. */
static void leave(struct play *play)
{
  size_t consumed = SIZE_MAX;
  end(play);
  REQUIRE(ehlo_client_want(play->client) == EHLO_WANT_CLOSE);
  REQUIRE(play->fatal || play->ended == play->transaction_count);
  play->forbidden = 1;
  REQUIRE(ehlo_client_feed(play->client, "250 ok\r\n", 8, &consumed) == host_error(play) && consumed == 8);
  REQUIRE(ehlo_client_eof(play->client) == host_error(play));
  for (unsigned kind = CALL_HELLO; kind < CALL_KINDS; kind++) {
    if (kind != CALL_END && kind != CALL_ABORT) {
      call_one(play, kind);
    }
  }
  size_t size;
  REQUIRE(look_at_output(play, &size) == NULL);
  ask(play);
}

static void start_play(struct play *play, const struct script *script, int bursts, unsigned cut)
{
  static struct command commands[MAX_COMMANDS];
  static struct transaction transactions[MAX_CALLS];
  memset(play, 0, sizeof *play);
  play->script = script;
  play->bursts = bursts;
  play->cut = cut;
  play->commands = commands;
  play->transactions = transactions;
  play->log = memory_file(&play->text, &play->length);
  play->block_size = ehlo_client_size(&script->config);
  play->block = fresh_block(play->block_size);
  REQUIRE(ehlo_client_init(&play->client, play->block, play->block_size, &script->config, on_event, play) == EHLO_OK);
  call_batch(play);
  if (bursts) {
    run_in_bursts(play);
  } else {
    run_by_steps(play);
  }
  leave(play);
  REQUIRE(fflush(play->log) == 0);
}

static void end_play(struct play *play)
{
  fclose(play->log);
  free(play->text);
  free(play->block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct script script;
  static struct play plays[2];
  if (!read_script(&script, data, size)) {
    return 0;
  }
  start_play(&plays[0], &script, 0, 0);
  end_play(&plays[0]);
  start_play(&plays[0], &script, 1, 0);
  start_play(&plays[1], &script, 1, 1);
  int same = plays[0].length == plays[1].length && memcmp(plays[0].text, plays[1].text, plays[0].length) == 0;
  if (!same) {
    fprintf(stderr, "whole:\n%s\noctet by octet:\n%s\n", plays[0].text, plays[1].text);
  }
  REQUIRE(same);
  end_play(&plays[0]);
  end_play(&plays[1]);
  return 0;
}
