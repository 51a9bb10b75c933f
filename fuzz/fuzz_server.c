/* fuzz_server.c: the whole receiving machine against its laws.
 *
 * The input is a session: how the server is configured, what the host answers, how the octets are cut, drained and
 * answered late, and what the client sends. In order: eight octets of extensions (read_extensions), six of config
 * (read_script), one with the number of verdicts, one with the number of steps, the verdicts, the steps, the client's
 * octets.
 *
 * A verdict belongs to the n-th thing that is asked, whenever that is: its low half says what is answered, its high
 * half what the host does with a BODY before it. A step is what the host's loop does next: its low three bits say what,
 * the rest how much.
 *
 * Held to in each session: the promises of server.h on events, tickets, replies and memory (the checks in on_event and
 * in the loop). And each session is played twice: by the steps, and once more fed whole, drained at once and answered
 * at once; unless the input asked for what depends on time, both must come to the same (law 2), and the second must be
 * what a reader comes to who knows nothing of SMTP but lines, 354 and the dot (check_framing), where nobody says BDAT
 * or BURL. STARTTLS is accepted only where things depend on time: when octets were read is all that tells clear ones.
 */
#define _GNU_SOURCE /* memmem, open_memstream */
#include "fuzz_session.h"

/* ---- the input ---- */

struct script {
  ehlo_server_config config;
  int timed;          /* what happens may depend on when it happens */
  int fails;          /* a handler fails, at the event with this number; 0: never */
  int fatal;          /* it does so for good */
  int under_tls;      /* from before the greeting on */
  int verified;       /* the client has a certificate */
  struct input input; /* its choices are the verdicts */
};

static void read_offers(ehlo_server_config *config, unsigned bits, unsigned mode)
{
  static const uint8_t added[] = {EHLO_EXT_EXPN, EHLO_EXT_VRFY, EHLO_EXT_SEND,
                                  EHLO_EXT_SOML, EHLO_EXT_SAML, EHLO_EXT_TURN};
  for (unsigned i = 0; i < sizeof added; i++) {
    config->offer[added[i]] = bits >> i & 1;
  }
  if (bits & 64) {
    config->offer[EHLO_EXT_SMTPUTF8] = 0;
  }
  if (mode & 2) {
    config->offer[EHLO_EXT_SIZE] = 0;
    config->offer[EHLO_EXT_HELP] = 0;
    config->offer[EHLO_EXT_ENHANCEDSTATUSCODES] = config->protocol == EHLO_PROTOCOL_LMTP;
  }
}

enum { EXTENSION_OCTETS = 8 };

/* The extensions that came after those of read_offers, what they tell, and the host's own words. */
static void read_extensions(struct script *script, const uint8_t *data)
{
  static const uint8_t added[] = {EHLO_EXT_DSN,           EHLO_EXT_CHUNKING,   EHLO_EXT_BINARYMIME, EHLO_EXT_DELIVERBY,
                                  EHLO_EXT_MT_PRIORITY,   EHLO_EXT_REQUIRETLS, EHLO_EXT_RRVS,       EHLO_EXT_MTRK,
                                  EHLO_EXT_NO_SOLICITING, EHLO_EXT_SUBMITTER,  EHLO_EXT_CONPERM,    EHLO_EXT_CONNEG,
                                  EHLO_EXT_FUTURERELEASE, EHLO_EXT_LIMITS,     EHLO_EXT_STARTTLS};
  ehlo_server_config *config = &script->config;
  ehlo_span none = {NULL, 0};
  unsigned bits = data[0] | (unsigned)data[1] << 8;
  for (unsigned i = 0; i < sizeof added; i++) {
    config->offer[added[i]] = bits >> i & 1;
  }
  config->submission = data[1] >> 7;
  config->require_tls = data[2] & 1;
  script->under_tls = data[2] >> 1 & 1;
  config->own_keywords = data[2] & 4 ? ehlo_span_of("X-ONE\nXTWO 1 a=b\nXTHREE") : none;
  config->own_verbs = data[2] & 8 ? ehlo_span_of("XSAY XDO") : none;
  config->own_mail_parameters = data[2] & 16 ? ehlo_span_of("XM XMM") : none;
  config->own_rcpt_parameters = data[2] & 32 ? ehlo_span_of("XR") : none;
  config->priority_policy = data[2] & 64 ? ehlo_span_of("MIXER") : none;
  config->solicit = data[2] & 128 ? ehlo_span_of("net.example:ADV,a") : none;
  config->max_transactions = data[3] & 7;
  config->max_rcpt_domains = data[3] >> 3 & 1;
  config->allow_plaintext_auth = data[3] >> 4 & 1;
  config->other_mechanisms = data[3] & 32 ? ehlo_span_of("X-SSO GSSAPI") : none;
  config->mechanisms = data[3] & 64 ? (1U << EHLO_SASL_COUNT) - 2 : 0;
  config->deliver_by_min = data[4];
  config->hold_max = data[5];
  config->hold_max_time = (int64_t)data[5] << 24;
  static const uint8_t later[] = {EHLO_EXT_AUTH,    EHLO_EXT_ETRN,     EHLO_EXT_ATRN,      EHLO_EXT_BURL,
                                  EHLO_EXT_XCLIENT, EHLO_EXT_XFORWARD, EHLO_EXT_CHECKPOINT};
  for (unsigned i = 0; i < sizeof later; i++) {
    config->offer[later[i]] = data[6] >> i & 1;
  }
  config->require_auth = data[6] >> 7;
  config->odmr = data[7] & 1;
  script->verified = data[7] >> 1 & 1;
}

/* Returns 0 if the input is too short to be one. */
static int read_script(struct script *script, const uint8_t *data, size_t size)
{
  static const uint16_t lines[] = {512, 600, 1024, 2048};
  static const uint16_t outputs[] = {512, 600, 1024, 4096};
  memset(script, 0, sizeof *script);
  const uint8_t *extensions = data;
  if (size < EXTENSION_OCTETS || !read_input(&script->input, data + EXTENSION_OCTETS, size - EXTENSION_OCTETS)) {
    return 0;
  }
  data += EXTENSION_OCTETS;
  ehlo_server_config *config = &script->config;
  REQUIRE(ehlo_server_config_init(config, sizeof *config) == EHLO_OK);
  config->hostname = ehlo_span_of("mx.example.com");
  config->protocol = data[0] & 1 ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
  config->allow_bare_newline = data[0] >> 1 & 1;
  config->allow_any_hello = data[0] >> 2 & 1;
  config->pass_parameters = data[0] >> 3 & 1;
  config->allow_space_after_colon = data[0] >> 4 & 1;
  config->allow_bare_address = data[0] >> 5 & 1;
  config->allow_8bit_orcpt = data[0] >> 5 & 1;
  config->allow_extra_spaces = data[0] >> 6 & 1;
  config->allow_underscore = data[0] >> 7 & 1;
  read_offers(config, data[1], data[5]);
  read_extensions(script, extensions);
  config->expn_252 = data[1] >> 7 & 1;
  config->max_command_line = lines[data[2] & 3];
  config->output_size = outputs[data[2] >> 2 & 3];
  config->max_pending = 1U + (data[2] >> 4 & 7);
  config->pending_text = data[2] & 128 ? EHLO_DEFAULT_PENDING_TEXT : EHLO_MIN_PENDING_TEXT;
  config->max_recipients = 1U + (data[3] & 15);
  config->max_errors = data[3] >> 4;
  config->max_message_size = data[4];
  config->hello_size = data[5] & 4 ? 0 : EHLO_DEFAULT_HELLO_SIZE;
  script->timed = data[5] & 1;
  script->fatal = data[5] >> 4 & 1;
  if (script->timed && data[5] & 8 && script->input.step_count > 0) {
    script->fails = 1 + script->input.steps[0];
  }
  return 1;
}

/* ---- one playing of it ---- */

/* What was asked, and what became of it. */
struct ask {
  uint32_t ticket;
  uint32_t type;    /* EHLO_EVENT_; MESSAGE for the ticket of BODY too */
  uint8_t plan;     /* the verdict's low half */
  uint8_t amount;   /* its high half */
  uint8_t deferred; /* and not answered yet */
  uint8_t paused;   /* BODY was deferred */
  uint8_t lines;    /* of a long answer that are still to come, the last not counted */
  uint8_t failed;   /* the handler returned EHLO_FAIL_TRANSACTION */
  uint8_t gone;     /* cancelled */
  uint8_t resumes;  /* MAIL with TRANSID, which 355 can answer */
  uint8_t steps;    /* a challenge can answer it */
  uint16_t code;    /* that the host gave, and that was taken */
};

struct reply {
  uint32_t verb;
  uint32_t code;
};

/* A command takes three octets at least. */
enum { MAX_CLIENT = 6000, MAX_ASKS = MAX_CLIENT / 3 + 2, MAX_REPLIES = 2 * MAX_ASKS };

/* Streams that law 2 compares, each by itself. */
enum { LOG_REPLIES, LOG_COMMANDS, LOG_ASKS, LOG_CONTENT, LOG_ENDS, LOG_VIOLATIONS, LOG_WIRE, LOGS };

struct play {
  const struct script *script;
  int reference; /* the second playing */
  ehlo_server *server;
  void *block;
  size_t block_size;

  FILE *logs[LOGS];
  char *texts[LOGS];
  size_t lengths[LOGS];

  struct ask *asks;
  size_t ask_count;
  size_t ordinal; /* of the next thing that is asked, BODY not counted */
  struct reply *replies;
  size_t reply_count;
  unsigned events;
  int in_handler;
  int forbidden; /* no event may come any more */
  int lost;      /* output was dropped */

  int open;    /* a transaction is */
  int vouched; /* by ehlo_server_authorize */
  int resumed; /* by 355: without recipients of this session */
  uint32_t recipients;
  unsigned contents; /* how often 354 was said */
  int in_content;    /* from 354 to the last verdict; in a chunk, until that is answered */
  int chunk_failed;
  int chunked;    /* BDAT or BURL has begun the message */
  unsigned mails; /* that were asked about */
  struct ask *message;
  int refused; /* no BODY may come any more */
  int host_interfered;
  FILE *body;
  char *body_text;
  size_t body_length;
  uint64_t octets;
  uint32_t verdicts;
  uint32_t good;
  int doomed;

  struct shown shown;

  size_t fed;
  size_t client_size; /* of the client's octets, as far as they come */
  int ended;          /* ehlo_server_eof was called */
  int turned;         /* it ended in the TURN state */
};

static void put_line(FILE *file, const char *name, ehlo_span span)
{
  fprintf(file, "%s ", name);
  put(file, span);
  fputc('\n', file);
}

static struct ask *find_ask(struct play *play, uint32_t ticket)
{
  for (size_t i = play->ask_count; i > 0; i--) {
    if (play->asks[i - 1].ticket == ticket) {
      return &play->asks[i - 1];
    }
  }
  return NULL;
}

static unsigned verdict_at(const struct play *play, size_t ordinal)
{
  const struct script *script = play->script;
  return script->input.choice_count == 0 ? 0U : script->input.choices[ordinal % script->input.choice_count];
}

/* ---- what the host answers ---- */

enum {
  PLAN_TEXT = 5,
  PLAN_LATER = 6,
  PLAN_REFUSE = 7,
  PLAN_SILENT = 8,
  PLAN_DEFER = 9,
  PLAN_DEFER_REFUSE = 10,
  PLAN_LONG = 11,
  PLAN_DEFER_LONG = 12,
  PLAN_FAIL = 13,
  PLAN_CLOSE = 14,
  PLAN_ILLEGAL = 15
};

enum { BODY_REFUSE = 10, BODY_PAUSE, BODY_PAUSE_REFUSE, BODY_FAIL, BODY_ACCEPT, BODY_PAUSE_EACH };

static int accepting_code(uint32_t type)
{
  switch (type) {
  case EHLO_EVENT_CONNECT:
  case EHLO_EVENT_XCLIENT:
  case EHLO_EVENT_STARTTLS: return 220;
  case EHLO_EVENT_AUTH:
  case EHLO_EVENT_STEP: return 235;
  case EHLO_EVENT_DATA: return 354;
  case EHLO_EVENT_HELP: return 214;
  case EHLO_EVENT_VRFY: return 251;
  default: return 250;
  }
}

static int silent_code(uint32_t type)
{
  switch (type) {
  case EHLO_EVENT_CONNECT: return 220;
  case EHLO_EVENT_HELLO:
  case EHLO_EVENT_MAIL: return 250;
  case EHLO_EVENT_DATA: return 354;
  case EHLO_EVENT_VRFY:
  case EHLO_EVENT_EXPN: return 252;
  case EHLO_EVENT_HELP: return 214;
  case EHLO_EVENT_TURN: return 502;
  case EHLO_EVENT_AUTH:
  case EHLO_EVENT_STEP:
  case EHLO_EVENT_STARTTLS: return 454;
  case EHLO_EVENT_ETRN: return 458;
  case EHLO_EVENT_XCLIENT:
  case EHLO_EVENT_XFORWARD: return 550;
  case EHLO_EVENT_UNKNOWN: return 500;
  default: return 451;
  }
}

static size_t waiting_output(struct play *play)
{
  size_t size;
  (void)ehlo_server_output(play->server, &size);
  return size;
}

/* The last line of an answer, which has room whenever a line of it has not been refused. */
static void say(struct play *play, struct ask *ask, int code, const char *enhanced, const char *text)
{
  int result = ehlo_server_reply(play->server, ask->ticket, code, enhanced, ehlo_span_of(text));
  REQUIRE(result == EHLO_OK);
  ask->code = (uint16_t)code;
  ask->deferred = 0;
}

/* What the host may not say changes nothing, and is told. */
static void say_what_is_illegal(struct play *play, struct ask *ask)
{
  char longest[600];
  memset(longest, 'x', sizeof longest);
  ehlo_span too_long = {longest, sizeof longest};
  size_t before = waiting_output(play);
  int code = accepting_code(ask->type);
  REQUIRE(ehlo_server_reply(play->server, ask->ticket, 199, NULL, ehlo_span_of("")) == EHLO_ERR_CODE);
  REQUIRE(ehlo_server_reply(play->server, ask->ticket, 600, NULL, ehlo_span_of("")) == EHLO_ERR_CODE);
  REQUIRE(ehlo_server_reply(play->server, ask->ticket, ask->type == EHLO_EVENT_DATA ? 250 : 354, NULL,
                            ehlo_span_of("")) == EHLO_ERR_CODE);
  REQUIRE(ehlo_server_reply(play->server, ask->ticket, 550, "2.0.0", ehlo_span_of("")) == EHLO_ERR_CODE);
  REQUIRE(ehlo_server_reply(play->server, ask->ticket, 550, "5.1", ehlo_span_of("")) == EHLO_ERR_CODE);
  REQUIRE(ehlo_server_reply(play->server, ask->ticket, code, NULL, ehlo_span_of("a\r\n250 b")) == EHLO_ERR_TEXT);
  REQUIRE(ehlo_server_reply_more(play->server, ask->ticket, code, NULL, ehlo_span_of("a\nb")) ==
          (ask->type == EHLO_EVENT_HELLO ? EHLO_ERR_CODE : EHLO_ERR_TEXT));
  REQUIRE(ehlo_server_reply(play->server, ask->ticket, code, NULL, (ehlo_span){"a\0b", 3}) == EHLO_ERR_TEXT);
  REQUIRE(ehlo_server_reply(play->server, ask->ticket, code, NULL, too_long) == EHLO_ERR_TOO_LONG);
  REQUIRE(ehlo_server_reply(play->server, ask->ticket + 1, code, NULL, ehlo_span_of("")) == EHLO_ERR_TICKET);
  REQUIRE(ehlo_server_resume(play->server, ask->ticket) == EHLO_ERR_STATE);
  REQUIRE(waiting_output(play) == before);
}

/* Answers with a challenge. Returns 1 if there was room for it. */
static int give_challenge(struct play *play, struct ask *ask)
{
  char octets[300];
  size_t before = waiting_output(play);
  memset(octets, 'c', sizeof octets);
  int result = ehlo_server_challenge(play->server, ask->ticket, (ehlo_span){octets, 20U * ask->amount});
  if (result == EHLO_ERR_SPACE) {
    REQUIRE(waiting_output(play) == before);
    return 0;
  }
  REQUIRE(result == EHLO_OK);
  REQUIRE(ehlo_server_challenge(play->server, ask->ticket, (ehlo_span){octets, 1}) == EHLO_ERR_TICKET);
  ask->code = 334;
  ask->deferred = 0;
  return 1;
}

/* Says as much of the planned answer as there is room for. Returns 1 when all is said. */
static int answer(struct play *play, struct ask *ask)
{
  int accept = accepting_code(ask->type);
  while (ask->lines > 0) {
    int result = ehlo_server_reply_more(play->server, ask->ticket, accept, NULL, ehlo_span_of("A line of several"));
    if (result == EHLO_ERR_SPACE) {
      return 0;
    }
    REQUIRE(result == EHLO_OK);
    ask->lines--;
  }
  if (ask->steps && (ask->plan == PLAN_TEXT || ask->plan == PLAN_DEFER)) {
    return give_challenge(play, ask);
  }
  if (ask->type == EHLO_EVENT_STEP || ask->type == EHLO_EVENT_AUTH) {
    REQUIRE(ehlo_server_challenge(play->server, ask->ticket, (ehlo_span){"", SIZE_MAX}) ==
            (ask->steps && ask->plan != PLAN_LONG && ask->plan != PLAN_DEFER_LONG ? EHLO_ERR_TOO_LONG : EHLO_ERR_CODE));
  } else {
    REQUIRE(ehlo_server_challenge(play->server, ask->ticket, ehlo_span_of("")) == EHLO_ERR_CODE);
  }
  if (ask->resumes && ask->plan == PLAN_TEXT) {
    say(play, ask, 355, NULL, "17 octets");
    return 1;
  }
  switch (ask->plan) {
  case PLAN_TEXT: say(play, ask, accept, NULL, "Text of the host's"); break;
  case PLAN_LATER: say(play, ask, 450, "4.7.1", ""); break;
  case PLAN_REFUSE: say(play, ask, 550, NULL, "No"); break;
  case PLAN_DEFER_REFUSE: say(play, ask, 554, "5.7.1", "Not at all"); break;
  case PLAN_CLOSE: say(play, ask, 421, NULL, ""); break;
  case PLAN_LONG:
  case PLAN_DEFER_LONG: {
    int result = ehlo_server_reply(play->server, ask->ticket, accept, NULL, ehlo_span_of("The last line"));
    if (result == EHLO_ERR_SPACE) {
      return 0;
    }
    REQUIRE(result == EHLO_OK);
    ask->code = (uint16_t)accept;
    ask->deferred = 0;
    break;
  }
  default:
    REQUIRE(ehlo_server_accept(play->server, ask->ticket) == EHLO_OK);
    /* VRFY's own positive code is 250. */
    ask->code = (uint16_t)(ask->type == EHLO_EVENT_VRFY ? 250 : accept);
    ask->deferred = 0;
    break;
  }
  REQUIRE(ehlo_server_accept(play->server, ask->ticket) == EHLO_ERR_TICKET);
  return 1;
}

static void defer(struct play *play, struct ask *ask)
{
  REQUIRE(ehlo_server_defer(play->server, ask->ticket, 1000 + (uint64_t)ask->ticket) == EHLO_OK);
  ask->deferred = 1;
}

/* In the handler of what asks. */
static int decide(struct play *play, struct ask *ask)
{
  int later = ask->plan == PLAN_DEFER || ask->plan == PLAN_DEFER_REFUSE || ask->plan == PLAN_DEFER_LONG ||
              (ask->plan == PLAN_CLOSE && ask->amount & 1);
  if (ask->type == EHLO_EVENT_HELLO) {
    /* What stands behind the first line is the library's. */
    REQUIRE(ehlo_server_reply_more(play->server, ask->ticket, 250, NULL, ehlo_span_of("X")) == EHLO_ERR_CODE);
  } else if (ask->plan == PLAN_LONG || ask->plan == PLAN_DEFER_LONG) {
    ask->lines = 1 + ask->amount % 4;
  }
  if (ask->plan == PLAN_SILENT) {
    return EHLO_HANDLED;
  }
  if (ask->type == EHLO_EVENT_STARTTLS && !play->script->timed) {
    say(play, ask, 454, NULL, "Not now");
    return EHLO_HANDLED;
  }
  if (ask->plan == PLAN_FAIL) {
    ask->failed = 1;
    play->doomed = play->open;
    if (ask->amount & 1) {
      REQUIRE(ehlo_server_accept(play->server, ask->ticket) == EHLO_OK);
    }
    return EHLO_FAIL_TRANSACTION;
  }
  if (ask->plan == PLAN_ILLEGAL) {
    say_what_is_illegal(play, ask);
  }
  if ((later && !play->reference) || !answer(play, ask)) {
    defer(play, ask);
  }
  return EHLO_HANDLED;
}

/* ---- what the host is told ---- */

static struct ask *new_ask(struct play *play, const ehlo_event *event)
{
  REQUIRE(find_ask(play, event->ticket) == NULL);
  REQUIRE(play->ask_count < MAX_ASKS);
  struct ask *ask = &play->asks[play->ask_count++];
  unsigned verdict = verdict_at(play, play->ordinal);
  memset(ask, 0, sizeof *ask);
  ask->ticket = event->ticket;
  ask->type = event->type == EHLO_EVENT_BODY ? EHLO_EVENT_MESSAGE : event->type;
  ask->plan = verdict & 15;
  ask->resumes = event->type == EHLO_EVENT_MAIL && event->as.mail.parameters.transid.len > 0;
  ask->steps = event->type == EHLO_EVENT_STEP ||
               (event->type == EHLO_EVENT_AUTH &&
                (event->as.auth.mechanism == EHLO_SASL_XOAUTH2 || event->as.auth.mechanism == EHLO_SASL_OAUTHBEARER));
  ask->amount = (uint8_t)(verdict >> 4);
  return ask;
}

static int on_body(struct play *play, const ehlo_event *event)
{
  REQUIRE(play->in_content && !play->refused && play->verdicts == 0);
  REQUIRE(event->as.body.count > 0);
  uint64_t before = play->octets;
  for (size_t i = 0; i < event->as.body.count; i++) {
    REQUIRE(event->as.body.spans[i].len > 0);
    put(play->body, event->as.body.spans[i]);
    play->octets += event->as.body.spans[i].len;
  }
  REQUIRE(event->as.body.octets == play->octets);
  REQUIRE(play->script->config.max_message_size == 0 || play->octets <= play->script->config.max_message_size);
  if (play->message == NULL) {
    play->message = new_ask(play, event);
  }
  struct ask *ask = play->message;
  REQUIRE(ask->ticket == event->ticket);
  REQUIRE(!ask->paused);
  if (before > 0 && ask->amount != BODY_PAUSE_EACH) {
    return EHLO_HANDLED;
  }
  switch (ask->amount) {
  case BODY_REFUSE: say(play, ask, 550, "5.6.0", "No such content"); break;
  case BODY_FAIL: ask->failed = 1; break;
  case BODY_ACCEPT: REQUIRE(ehlo_server_accept(play->server, ask->ticket) == EHLO_ERR_CODE); break;
  case BODY_PAUSE:
  case BODY_PAUSE_EACH:
  case BODY_PAUSE_REFUSE:
    if (!play->reference) {
      REQUIRE(ehlo_server_defer(play->server, ask->ticket, 1000 + (uint64_t)ask->ticket) == EHLO_OK);
      ask->paused = 1;
    } else if (ask->amount == BODY_PAUSE_REFUSE) {
      say(play, ask, 452, NULL, "");
    }
    break;
  default: break;
  }
  play->refused = ask->code != 0 || ask->failed;
  play->host_interfered = play->refused || ask->amount == BODY_PAUSE_REFUSE;
  play->doomed |= ask->failed;
  return ask->failed ? EHLO_FAIL_TRANSACTION : EHLO_HANDLED;
}

/* Content that came to its true end is a line of its own in the log. */
static void log_content(struct play *play)
{
  REQUIRE(fflush(play->body) == 0);
  fprintf(play->logs[LOG_CONTENT], "%u:%zu:", play->contents, play->body_length);
  put(play->logs[LOG_CONTENT], (ehlo_span){play->body_text, play->body_length});
  fputc('\n', play->logs[LOG_CONTENT]);
}

static void begin_content(struct play *play)
{
  rewind(play->body);
  play->contents++;
  play->octets = 0;
  play->message = NULL;
  play->refused = 0;
  play->in_content = 1;
}

static void on_reply(struct play *play, const ehlo_event_reply *reply)
{
  struct ask *ask = reply->asked == 0 ? NULL : find_ask(play, reply->asked);
  int positive = reply->code < 400;
  REQUIRE(reply->code >= 200 && reply->code <= 559);
  REQUIRE(reply->enhanced.status_class == 0 || reply->enhanced.status_class == reply->code / 100);
  REQUIRE(play->reply_count < MAX_REPLIES);
  play->replies[play->reply_count++] = (struct reply){reply->verb, reply->code};
  fprintf(play->logs[LOG_REPLIES], "%s %u %u.%u.%u %u\n", ehlo_verb_name(reply->verb), (unsigned)reply->code,
          reply->enhanced.status_class, reply->enhanced.subject, reply->enhanced.detail, (unsigned)reply->ordinal);
  if (ask != NULL) {
    REQUIRE(!ask->gone);
    REQUIRE(!ask->deferred);
    int by_host = ask->code != 0 && reply->code == ask->code;
    int silent = ask->code == 0 && (int)reply->code == silent_code(ask->type);
    silent |= reply->verb == EHLO_VERB_BDAT && ask->code == 0 && reply->code == 250;
    int by_library = reply->code >= 400 && (play->doomed || ask->failed || ask->type == EHLO_EVENT_MESSAGE);
    REQUIRE(by_host || silent || by_library);
  }
  switch (reply->verb) {
  case EHLO_VERB_MAIL:
  case EHLO_VERB_SEND:
  case EHLO_VERB_SOML:
  case EHLO_VERB_SAML:
    if (positive) {
      REQUIRE(!play->open);
      play->open = 1;
      play->doomed = 0;
      play->host_interfered = 0;
      play->recipients = play->verdicts = play->good = 0;
      play->resumed = reply->code == 355;
      play->chunk_failed = play->refused = play->chunked = 0;
      rewind(play->body);
      play->octets = 0;
    }
    break;
  case EHLO_VERB_RCPT:
    if (positive) {
      REQUIRE(ask != NULL && ask->code == reply->code);
      REQUIRE(play->open && reply->ordinal == play->recipients);
      REQUIRE(play->recipients < play->script->config.max_recipients);
      play->recipients++;
    }
    break;
  case EHLO_VERB_DATA:
    if (positive) {
      REQUIRE(reply->code == 354 && play->open && (play->recipients > 0 || play->resumed));
      REQUIRE(!play->chunked);
      begin_content(play);
    }
    break;
  case EHLO_VERB_AUTH:
  case EHLO_VERB_ETRN:
  case EHLO_VERB_ATRN:
  case EHLO_VERB_XCLIENT:
  case EHLO_VERB_XFORWARD: REQUIRE(reply->code >= 300 || (ask != NULL && ask->code == reply->code)); break;
  case EHLO_VERB_BURL:
    REQUIRE(!positive || (ask != NULL && ask->code == reply->code));
    play->chunked |= positive || ask != NULL;
    play->chunk_failed |= (play->in_content || play->chunked) && !positive;
    play->in_content = 0;
    break;
  case EHLO_VERB_BDAT:
    play->chunked |= positive;
    REQUIRE(reply->code == 250 || reply->code >= 400);
    play->chunk_failed |= (play->in_content || play->chunked) && !positive;
    play->in_content = 0;
    play->message = NULL;
    break;
  case EHLO_VERB_MESSAGE:
  case EHLO_VERB_RESULT:
    REQUIRE(play->open && play->in_content);
    REQUIRE((reply->verb == EHLO_VERB_RESULT) == (play->script->config.protocol == EHLO_PROTOCOL_LMTP));
    REQUIRE(reply->verb == EHLO_VERB_MESSAGE || reply->ordinal == play->verdicts);
    REQUIRE(!positive || (ask != NULL && ask->code == reply->code && reply->code < 300 && !ask->failed));
    play->verdicts++;
    play->good += positive ? 1 : 0;
    play->in_content = play->verdicts < (reply->verb == EHLO_VERB_RESULT ? play->recipients : 1);
    break;
  default: break;
  }
}

static void on_end(struct play *play, const ehlo_event_end *end)
{
  uint32_t wanted = play->script->config.protocol == EHLO_PROTOCOL_LMTP ? play->recipients : 1;
  REQUIRE(play->open);
  REQUIRE(end->recipients == play->recipients);
  REQUIRE(end->octets == play->octets);
  switch (end->reason) {
  case EHLO_END_ACCEPTED: REQUIRE(play->verdicts == wanted && play->good == wanted); break;
  case EHLO_END_MIXED: REQUIRE(wanted > 1 && play->good > 0 && play->good < wanted); break;
  case EHLO_END_REFUSED:
  case EHLO_END_TOO_BIG:
  case EHLO_END_BARE_NEWLINE:
    REQUIRE((play->verdicts == wanted || (play->chunk_failed && play->verdicts == 0)) && play->good == 0);
    break;
  case EHLO_END_FAILED: REQUIRE(play->good == 0); break;
  case EHLO_END_RESET:
  case EHLO_END_SUPERSEDED:
  case EHLO_END_QUIT: REQUIRE(play->verdicts == 0 && !play->doomed); break;
  default: REQUIRE(play->good == 0 && ehlo_end_name(end->reason)[0] != '?'); break;
  }
  fprintf(play->logs[LOG_ENDS], "%s %u %llu\n", ehlo_end_name(end->reason), (unsigned)end->recipients,
          play->host_interfered ? 0ULL : (unsigned long long)end->octets);
  play->open = 0;
  play->in_content = 0;
  play->message = NULL;
  play->doomed = 0;
}

static void on_cancel(struct play *play, const ehlo_event_cancel *cancel)
{
  struct ask *ask = find_ask(play, cancel->ticket);
  REQUIRE(ask != NULL && (ask->deferred || ask->paused) && !ask->gone);
  REQUIRE(cancel->tag == 1000 + (uint64_t)ask->ticket);
  REQUIRE(ehlo_server_accept(play->server, cancel->ticket) == EHLO_ERR_TICKET);
  ask->gone = 1;
  ask->deferred = ask->paused = 0;
}

static int offers(const struct play *play, uint32_t extension)
{
  return play->script->config.offer[extension] != 0;
}

/* An event that does not ask. */
static void on_told(struct play *play, const ehlo_event *event)
{
  ehlo_command command;
  REQUIRE(event->ticket == 0);
  switch (event->type) {
  case EHLO_EVENT_COMMAND: {
    REQUIRE(!play->in_content);
    REQUIRE(event->as.command.line.len + 2 <= 4096);
    REQUIRE(memchr(event->as.command.line.ptr, '\n', event->as.command.line.len) == NULL);
    put_line(play->logs[LOG_COMMANDS], ehlo_verb_name(event->as.command.verb), event->as.command.line);
    int is_chunk = (event->as.command.verb == EHLO_VERB_BDAT && offers(play, EHLO_EXT_CHUNKING)) ||
                   (event->as.command.verb == EHLO_VERB_BURL && offers(play, EHLO_EXT_BURL));
    if (is_chunk && play->open && (play->recipients > 0 || play->resumed)) {
      play->in_content = 1;
      play->contents++;
    }
    break;
  }
  case EHLO_EVENT_REPLY: on_reply(play, &event->as.reply); break;
  case EHLO_EVENT_END: on_end(play, &event->as.end); break;
  case EHLO_EVENT_CANCEL: on_cancel(play, &event->as.cancel); break;
  default:
    REQUIRE(event->type == EHLO_EVENT_VIOLATION);
    if (event->as.violation.kind == EHLO_VIOLATION_BEFORE_TLS) {
      play->lost = 1; /* nothing is said any more */
      play->shown.size = 0;
    }
    if (event->as.violation.verb == EHLO_VERB_LINE && play->open && (play->recipients > 0 || play->resumed) &&
        ehlo_parse_command(event->as.violation.octets, &command) == EHLO_OK && command.verb == EHLO_VERB_BURL) {
      play->chunk_failed = 1;
    }
    if (event->as.violation.kind != EHLO_VIOLATION_EARLY_TALKER &&
        event->as.violation.kind != EHLO_VIOLATION_EARLY_HELLO) {
      fprintf(play->logs[LOG_VIOLATIONS], "%s %s\n", ehlo_violation_name(event->as.violation.kind),
              ehlo_verb_name(event->as.violation.verb));
    }
    break;
  }
}

/* A submission server lets no short domain through. */
static void check_path(const struct play *play, const ehlo_path *path)
{
  ehlo_span name = path->domain.raw;
  REQUIRE(!play->script->config.submission || path->domain.kind != EHLO_DOMAIN_NAME ||
          memchr(name.ptr, '.', name.len) != NULL);
}

/* What is told belongs to what is on offer, keeps to the config, and can be passed on as it is. */
static void log_mail(struct play *play, const ehlo_event_mail *mail)
{
  const ehlo_server_config *config = &play->script->config;
  const ehlo_mail_parameters *said = &mail->parameters;
  char text[4096];
  size_t length;
  play->mails++;
  REQUIRE(config->max_transactions == 0 || play->mails <= config->max_transactions);
  check_path(play, &mail->path);
  REQUIRE(!said->has_size ||
          (offers(play, EHLO_EXT_SIZE) && (config->max_message_size == 0 || said->size <= config->max_message_size)));
  REQUIRE(said->body != EHLO_BODY_BINARYMIME || offers(play, EHLO_EXT_BINARYMIME));
  REQUIRE(!said->smtputf8 || offers(play, EHLO_EXT_SMTPUTF8));
  REQUIRE(said->ret == EHLO_RET_NONE || offers(play, EHLO_EXT_DSN));
  REQUIRE(said->envid.len == 0 || offers(play, EHLO_EXT_DSN) || offers(play, EHLO_EXT_MTRK));
  REQUIRE(said->auth.len == 0 || offers(play, EHLO_EXT_AUTH));
  REQUIRE(said->transid.len == 0 || offers(play, EHLO_EXT_CHECKPOINT));
  REQUIRE(said->others.len == 0);
  REQUIRE(!config->require_auth || ehlo_server_authenticated(play->server) || play->vouched);
  REQUIRE(!said->requiretls || (offers(play, EHLO_EXT_REQUIRETLS) && ehlo_server_tls(play->server)));
  REQUIRE(!said->has_priority || offers(play, EHLO_EXT_MT_PRIORITY));
  REQUIRE(said->by_mode == EHLO_BY_NONE || offers(play, EHLO_EXT_DELIVERBY));
  REQUIRE(said->by_mode != EHLO_BY_RETURN || (uint32_t)said->by_time >= config->deliver_by_min);
  REQUIRE((said->hold_for == 0 && !said->has_hold_until) || offers(play, EHLO_EXT_FUTURERELEASE));
  REQUIRE(said->hold_for <= config->hold_max);
  REQUIRE(!said->has_hold_until || said->hold_until <= config->hold_max_time);
  REQUIRE(said->solicit.len == 0 || offers(play, EHLO_EXT_NO_SOLICITING));
  REQUIRE(said->mtrk.len == 0 || offers(play, EHLO_EXT_MTRK));
  REQUIRE(said->submitter.len == 0 || offers(play, EHLO_EXT_SUBMITTER));
  REQUIRE(!said->conperm || offers(play, EHLO_EXT_CONPERM));
  REQUIRE(ehlo_format_mail_parameters(said, EHLO_PARSE_UTF8, text, sizeof text, &length) == EHLO_OK);
  put_line(play->logs[LOG_ASKS], ehlo_verb_name(mail->verb), mail->path.raw);
  put_line(play->logs[LOG_ASKS], "", (ehlo_span){text, length});
  put(play->logs[LOG_ASKS], mail->raw);
}

static void log_rcpt(struct play *play, const ehlo_event_rcpt *rcpt)
{
  const ehlo_rcpt_parameters *said = &rcpt->parameters;
  char text[4096];
  size_t length;
  REQUIRE(play->open);
  REQUIRE(rcpt->path.kind != EHLO_PATH_NULL);
  check_path(play, &rcpt->path);
  REQUIRE(said->notify == EHLO_NOTIFY_NONE || offers(play, EHLO_EXT_DSN));
  REQUIRE(said->orcpt_type.len == 0 || offers(play, EHLO_EXT_DSN) || offers(play, EHLO_EXT_MTRK));
  REQUIRE(said->rrvs == EHLO_RRVS_NONE || offers(play, EHLO_EXT_RRVS));
  REQUIRE(!said->conneg || offers(play, EHLO_EXT_CONNEG));
  REQUIRE(said->others.len == 0);
  REQUIRE(ehlo_format_rcpt_parameters(said, EHLO_PARSE_UTF8, text, sizeof text, &length) == EHLO_OK);
  put_line(play->logs[LOG_ASKS], "", rcpt->path.mailbox);
  put_line(play->logs[LOG_ASKS], "", (ehlo_span){text, length});
  put(play->logs[LOG_ASKS], rcpt->raw);
}

/* AUTH and its kin: what is told is on offer, and well-formed. */
static void log_extension(struct play *play, const ehlo_event *event)
{
  FILE *log = play->logs[LOG_ASKS];
  const ehlo_server_config *config = &play->script->config;
  const ehlo_event_auth *auth = &event->as.auth;
  ehlo_span rest = event->as.peer.attributes;
  ehlo_attribute attribute;
  switch (event->type) {
  case EHLO_EVENT_AUTH:
    REQUIRE(config->mechanisms >> auth->mechanism & 1);
    REQUIRE(auth->mechanism == EHLO_SASL_EXTERNAL || auth->secret.len > 0);
    REQUIRE(auth->mechanism != EHLO_SASL_EXTERNAL || play->script->verified);
    REQUIRE(auth->mechanism == EHLO_SASL_EXTERNAL || config->allow_plaintext_auth || ehlo_server_tls(play->server));
    REQUIRE(memchr(auth->secret.ptr == NULL ? "x" : auth->secret.ptr, 0, auth->secret.len) == NULL);
    put_line(log, ehlo_sasl_name(auth->mechanism), auth->secret);
    put_line(log, "", auth->authcid);
    put_line(log, "", auth->authzid);
    break;
  case EHLO_EVENT_STEP:
    REQUIRE(ehlo_sasl_is_name(event->as.step.name));
    REQUIRE(ehlo_sasl_find(event->as.step.name) == event->as.step.mechanism);
    REQUIRE(event->as.step.has_response || event->as.step.response.len == 0);
    put_line(log, event->as.step.has_response ? "said" : "none", event->as.step.response);
    break;
  case EHLO_EVENT_ETRN: put_line(log, "", event->as.etrn.node); break;
  case EHLO_EVENT_ATRN:
    REQUIRE(ehlo_server_authenticated(play->server) || play->vouched);
    put_line(log, "", event->as.atrn.domains);
    break;
  case EHLO_EVENT_BURL:
    REQUIRE(play->in_content && !play->chunk_failed && event->as.burl.recipients == play->recipients);
    REQUIRE(event->as.burl.octets == play->octets);
    put_line(log, event->as.burl.last ? "last" : "", event->as.burl.url);
    break;
  default:
    while (ehlo_attribute_next(&rest, &attribute) == 1) {
      put_line(log, "", attribute.name);
      put_line(log, "", attribute.value);
    }
    REQUIRE(rest.len == 0);
    break;
  }
}

static void log_ask(struct play *play, const ehlo_event *event)
{
  FILE *log = play->logs[LOG_ASKS];
  fprintf(log, "%s ", ehlo_event_name(event->type));
  switch (event->type) {
  case EHLO_EVENT_HELLO: put(log, event->as.hello.domain.raw); break;
  case EHLO_EVENT_MAIL: log_mail(play, &event->as.mail); break;
  case EHLO_EVENT_RCPT: log_rcpt(play, &event->as.rcpt); break;
  case EHLO_EVENT_DATA: REQUIRE(play->open && event->as.data.recipients == play->recipients); break;
  case EHLO_EVENT_MESSAGE:
    REQUIRE(play->script->config.protocol == EHLO_PROTOCOL_SMTP);
    REQUIRE(play->in_content && event->as.message.recipients == play->recipients);
    REQUIRE(event->as.message.octets == play->octets && !play->refused);
    log_content(play);
    break;
  case EHLO_EVENT_RESULT:
    REQUIRE(play->script->config.protocol == EHLO_PROTOCOL_LMTP && play->in_content);
    REQUIRE(event->as.result.ordinal < play->recipients && event->as.result.octets == play->octets);
    REQUIRE(!play->refused);
    if (event->as.result.ordinal == 0) {
      log_content(play);
    }
    break;
  case EHLO_EVENT_VRFY:
  case EHLO_EVENT_EXPN: put(log, event->as.query.argument); break;
  case EHLO_EVENT_HELP: put(log, event->as.help.argument); break;
  case EHLO_EVENT_UNKNOWN: put(log, event->as.unknown.name); break;
  case EHLO_EVENT_CONNECT:
  case EHLO_EVENT_TURN:
  case EHLO_EVENT_STARTTLS: break;
  default: log_extension(play, event); break;
  }
  fputc('\n', log);
}

static int on_ask(struct play *play, const ehlo_event *event)
{
  REQUIRE(event->ticket != 0);
  log_ask(play, event);
  struct ask *ask;
  if (event->type == EHLO_EVENT_MESSAGE && play->message != NULL) {
    ask = play->message;
    REQUIRE(ask->ticket == event->ticket);
  } else {
    ask = new_ask(play, event);
  }
  play->ordinal++;
  return decide(play, ask);
}

static void be_reentrant(struct play *play)
{
  size_t consumed = 1;
  REQUIRE(ehlo_server_feed(play->server, "NOOP\r\n", 6, &consumed) == EHLO_ERR_REENTRANT && consumed == 0);
  REQUIRE(ehlo_server_start(play->server) == EHLO_ERR_REENTRANT);
  REQUIRE(ehlo_server_eof(play->server) == EHLO_ERR_REENTRANT);
  REQUIRE(ehlo_server_lost(play->server) == EHLO_ERR_REENTRANT);
  REQUIRE(ehlo_server_timed_out(play->server) == EHLO_ERR_REENTRANT);
  REQUIRE(ehlo_server_shutdown(play->server, 421, NULL, ehlo_span_of("")) == EHLO_ERR_REENTRANT);
}

static int on_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct play *play = user;
  int result = EHLO_HANDLED;
  REQUIRE(server == play->server && !play->in_handler && !play->forbidden);
  play->in_handler = 1;
  play->events++;
  be_reentrant(play);
  switch (event->type) {
  case EHLO_EVENT_COMMAND:
  case EHLO_EVENT_REPLY:
  case EHLO_EVENT_END:
  case EHLO_EVENT_VIOLATION:
  case EHLO_EVENT_CANCEL: on_told(play, event); break;
  case EHLO_EVENT_BODY: result = on_body(play, event); break;
  default: result = on_ask(play, event); break;
  }
  if (play->script->fails != 0 && play->events == (unsigned)play->script->fails && !play->reference) {
    struct ask *ask = event->ticket == 0 ? NULL : find_ask(play, event->ticket);
    if (ask != NULL) {
      ask->failed = 1;
      ask->deferred = ask->paused = 0;
    }
    play->doomed |= play->open;
    play->refused |= play->in_content;
    play->host_interfered = 1;
    play->forbidden = play->script->fatal;
    result = play->script->fatal ? -1 : EHLO_FAIL_TRANSACTION;
  }
  play->in_handler = 0;
  return result;
}

/* ---- what the host's loop does ---- */

static const char *look_at_output(struct play *play, size_t *size)
{
  const char *output = ehlo_server_output(play->server, size);
  REQUIRE(*size <= play->script->config.output_size);
  see_output(&play->shown, output, *size);
  return output;
}

/* Returns how many octets were drained. */
static size_t drain(struct play *play, size_t most)
{
  size_t size;
  const char *shown = look_at_output(play, &size);
  size = most == 0 || size < most ? size : most;
  put(play->logs[LOG_WIRE], (ehlo_span){shown, size});
  ehlo_server_sent(play->server, size);
  play->shown.size = 0;
  return size;
}

static int host_error(const struct play *play)
{
  return play->forbidden ? EHLO_ERR_HOST : EHLO_OK;
}

/* Feeds up to `most` octets (0: all) in a block of their own. Returns how many were taken. */
static size_t feed(struct play *play, size_t most)
{
  size_t left = play->client_size - play->fed;
  size_t size = most == 0 || left < most ? left : most;
  ehlo_span piece = copy_of(play->script->input.peer + play->fed, size);
  uint32_t want = ehlo_server_want(play->server);
  size_t consumed = SIZE_MAX;
  int result = ehlo_server_feed(play->server, size == 0 ? NULL : piece.ptr, size, &consumed);
  release(piece);
  REQUIRE(result == host_error(play));
  REQUIRE(consumed <= size);
  REQUIRE((want & ~(uint32_t)EHLO_WANT_FEED) != EHLO_WANT_READ || size == 0 || consumed > 0);
  REQUIRE(consumed == size || (ehlo_server_want(play->server) & EHLO_WANT_READ) == 0);
  play->fed += consumed;
  return consumed;
}

static void move(struct play *play)
{
  void *block;
  size_t kept = ehlo_server_kept(play->server);
  if (kept < play->block_size) {
    void *bed = block_of(kept);
    REQUIRE(ehlo_server_move(&play->server, bed, kept, play->server) == EHLO_OK);
    free(play->block);
    play->block = bed;
    block = block_of(play->block_size);
    REQUIRE(ehlo_server_move(&play->server, block, play->block_size, play->server) == EHLO_OK);
  } else {
    block = moved_block(play->block, play->block_size);
    REQUIRE(ehlo_server_attach(&play->server, block, play->block_size, on_event, play) == EHLO_OK);
  }
  free(play->block);
  play->block = block;
  REQUIRE((void *)play->server == block);
  play->shown.size = 0;
}

/* Answers the `which`-th of what was deferred. Returns 1 if there was something that could be answered. */
static int answer_one(struct play *play, size_t which)
{
  size_t count = 0;
  for (size_t i = 0; i < play->ask_count; i++) {
    count += play->asks[i].deferred;
  }
  if (count == 0) {
    return 0;
  }
  which %= count;
  for (size_t i = 0; i < play->ask_count; i++) {
    if (play->asks[i].deferred && which-- == 0) {
      return answer(play, &play->asks[i]);
    }
  }
  return 0;
}

static int resume(struct play *play)
{
  struct ask *ask = play->message;
  if (ask == NULL || !ask->paused) {
    return 0;
  }
  ask->paused = 0;
  if (ask->amount == BODY_PAUSE_REFUSE) {
    say(play, ask, 452, NULL, "");
    play->refused = 1;
  } else {
    REQUIRE(ehlo_server_resume(play->server, ask->ticket) == EHLO_OK);
    REQUIRE(ehlo_server_resume(play->server, ask->ticket) == EHLO_ERR_STATE);
  }
  return 1;
}

/* The handshake, once it is wanted and all has been sent. Returns 1 if it was. */
static int shake_hands(struct play *play)
{
  if ((ehlo_server_want(play->server) & EHLO_WANT_TLS) == 0 || waiting_output(play) > 0) {
    return 0;
  }
  REQUIRE(ehlo_server_tls_done(play->server, NULL) == EHLO_OK);
  REQUIRE(ehlo_server_tls_done(play->server, NULL) == EHLO_ERR_STATE);
  REQUIRE(ehlo_server_tls(play->server) == 1);
  return 1;
}

/* Calls that a host should not make change nothing. */
static void misuse(struct play *play)
{
  size_t before = waiting_output(play);
  size_t consumed = 1;
  REQUIRE(ehlo_server_reply(play->server, 0, 250, NULL, ehlo_span_of("")) == EHLO_ERR_TICKET);
  REQUIRE(ehlo_server_reply(play->server, UINT32_MAX, 250, NULL, ehlo_span_of("")) == EHLO_ERR_TICKET);
  REQUIRE(ehlo_server_feed(play->server, NULL, 1, &consumed) == EHLO_ERR_ARGUMENT);
  REQUIRE(ehlo_server_feed(play->server, "", 0, NULL) == EHLO_ERR_ARGUMENT);
  REQUIRE(ehlo_server_start(play->server) == (play->forbidden ? EHLO_ERR_HOST : EHLO_ERR_STATE));
  for (size_t i = 0; i < play->ask_count; i++) {
    const struct ask *ask = &play->asks[i];
    if (ask->code != 0 || ask->gone) {
      REQUIRE(ehlo_server_accept(play->server, ask->ticket) == EHLO_ERR_TICKET);
      REQUIRE(ehlo_server_defer(play->server, ask->ticket, 0) == EHLO_ERR_TICKET);
    } else if (ask->deferred) {
      REQUIRE(ehlo_server_defer(play->server, ask->ticket, 0) == EHLO_ERR_STATE);
    }
  }
  REQUIRE(waiting_output(play) == before);
  (void)ehlo_server_timeout(play->server, NULL);
  REQUIRE(ehlo_server_recipients(play->server) == (play->open ? play->recipients : 0) || play->lost || play->forbidden);
  REQUIRE(ehlo_server_hello(play->server).len <= play->script->config.hello_size);
  REQUIRE(ehlo_server_transmission_type(play->server).len <= 10);
  REQUIRE(ehlo_server_identity(play->server).len <= EHLO_IDENTITY_SIZE);
}

/* What depends on its time. Returns 1 if it did something. */
static int strike(struct play *play, unsigned which)
{
  int result;
  unsigned before = play->events;
  switch (which % 8) {
  case 0: result = ehlo_server_timed_out(play->server); break;
  case 1: result = ehlo_server_shutdown(play->server, 421, "4.3.0", ehlo_span_of("Going down")); break;
  case 2: result = ehlo_server_shutdown(play->server, 554, NULL, ehlo_span_of("")); break;
  case 3:
    result = ehlo_server_lost(play->server);
    play->lost = 1;
    play->shown.size = 0;
    break;
  case 4:
    if (play->ended) {
      return 0;
    }
    play->ended = 1;
    play->client_size = play->fed;
    result = ehlo_server_eof(play->server);
    break;
  case 5:
    (void)ehlo_server_offer(play->server, EHLO_EXT_SMTPUTF8, 0);
    (void)ehlo_server_offer(play->server, EHLO_EXT_ENHANCEDSTATUSCODES, 0);
    (void)ehlo_server_offer(play->server, EHLO_EXT_AUTH, 0);
    (void)ehlo_server_offer(play->server, EHLO_EXT_BURL, 0);
    return 0;
  case 6:
    (void)ehlo_server_offer(play->server, EHLO_EXT_SMTPUTF8, 1);
    (void)ehlo_server_offer(play->server, EHLO_EXT_EXPN, 1);
    (void)ehlo_server_offer(play->server, EHLO_EXT_AUTH, 1);
    (void)ehlo_server_authorize(play->server, ehlo_span_of("vouched"));
    play->vouched |= ehlo_server_authorize(play->server, ehlo_span_of("")) == EHLO_OK;
    return 0;
  default:
    if (shake_hands(play)) {
      return 1;
    }
    REQUIRE(ehlo_server_shutdown(play->server, 250, NULL, ehlo_span_of("")) ==
            (play->forbidden ? EHLO_ERR_HOST : EHLO_ERR_CODE));
    return 0;
  }
  REQUIRE(result == host_error(play));
  return play->events != before; /* striking one who is down moves nothing */
}

/* One step. Returns 1 if something moved. */
static int step(struct play *play, unsigned octet)
{
  unsigned amount = octet >> 3;
  switch (octet & 7) {
  case 0: return feed(play, amount) > 0;
  case 1: return drain(play, amount) > 0;
  case 2: return answer_one(play, amount);
  case 3: return resume(play);
  case 4: move(play); return 0;
  case 5: return feed(play, 1 + amount % 3) > 0;
  case 6: misuse(play); return 0;
  default: return play->script->timed ? strike(play, amount) : feed(play, 40 * amount) > 0;
  }
}

/* All that a host can do to let the session go on. Returns 1 if something moved. */
static int help(struct play *play)
{
  int moved = drain(play, 0) > 0;
  while (answer_one(play, 0)) {
    moved = 1;
  }
  moved |= resume(play) | shake_hands(play);
  unsigned before = play->events;
  moved |= feed(play, 0) > 0;
  return moved || play->events != before || waiting_output(play) > 0;
}

static int is_over(const struct play *play)
{
  return (ehlo_server_want(play->server) & (EHLO_WANT_CLOSE | EHLO_WANT_TURN)) != 0;
}

/* The session's end: nothing is left open, and nothing more happens. */
static void leave(struct play *play)
{
  uint32_t want = ehlo_server_want(play->server);
  play->turned = (want & EHLO_WANT_TURN) != 0;
  while (drain(play, 0) > 0) {
  }
  if (!play->forbidden) {
    REQUIRE(!play->open);
    for (size_t i = 0; i < play->ask_count; i++) {
      REQUIRE(!play->asks[i].deferred && !play->asks[i].paused);
    }
  }
  int forbidden = play->forbidden;
  size_t consumed = SIZE_MAX;
  play->forbidden = 1;
  int result = ehlo_server_feed(play->server, "MAIL FROM:<a@b>\r\n", 17, &consumed);
  REQUIRE(result == (forbidden ? EHLO_ERR_HOST : EHLO_OK));
  REQUIRE(consumed == (play->turned ? 0U : 17U));
  REQUIRE(ehlo_server_lost(play->server) == (forbidden ? EHLO_ERR_HOST : EHLO_OK));
  REQUIRE(waiting_output(play) == 0);
  REQUIRE(ehlo_server_want(play->server) == EHLO_WANT_CLOSE);
}

static void run(struct play *play)
{
  const struct script *script = play->script;
  size_t idle = 0;
  if (script->under_tls) {
    ehlo_tls tls = {sizeof tls, (uint32_t)script->verified};
    REQUIRE(ehlo_server_tls_done(play->server, &tls) == EHLO_OK);
  }
  REQUIRE(ehlo_server_start(play->server) == host_error(play));
  for (size_t i = 0; !is_over(play); i++) {
    int by_step = script->input.step_count > 0 && !play->reference;
    int moved = by_step ? step(play, script->input.steps[i % script->input.step_count]) : help(play);
    idle = moved ? 0 : idle + 1;
    if (idle <= (by_step ? script->input.step_count : 0) || is_over(play)) {
      continue;
    }
    idle = 0;
    if (!help(play)) {
      /* All is fed, drained and answered: what else but the end? */
      REQUIRE(is_over(play) || play->fed == play->client_size);
      REQUIRE(is_over(play) || !play->ended);
      REQUIRE(ehlo_server_eof(play->server) == host_error(play));
      play->ended = 1;
    }
  }
  leave(play);
}

/* ---- what went over the wire ---- */

/* The replies are well-formed, and those of the events. */
static void check_wire(const struct play *play)
{
  const char *at = play->texts[LOG_WIRE];
  const char *end = at + play->lengths[LOG_WIRE];
  size_t count = 0;
  uint32_t code = 0; /* of the reply that is not ended yet */
  while (at < end) {
    const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
    if (line_end == NULL) {
      REQUIRE(play->lost);
      return;
    }
    ehlo_reply_line line;
    REQUIRE(line_end + 2 - at <= 512);
    REQUIRE(ehlo_parse_reply_line((ehlo_span){at, (size_t)(line_end - at)}, &line) == EHLO_OK);
    REQUIRE(memchr(at, '\n', (size_t)(line_end - at)) == NULL && memchr(at, '\r', (size_t)(line_end - at)) == NULL);
    REQUIRE(code == 0 || code == line.code);
    code = line.last ? 0 : line.code;
    if (line.last) {
      REQUIRE(count < play->reply_count || play->script->fails != 0);
      REQUIRE(count >= play->reply_count || play->replies[count].code == line.code);
      count++;
    }
    at = line_end + 2;
  }
  REQUIRE(count >= play->reply_count || play->lost);
  REQUIRE(code == 0 || play->script->timed);
}

static const char *text_end(const char *at, const char *end)
{
  for (;;) {
    const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
    if (line_end == NULL || (line_end - at == 1 && *at == '.')) {
      return line_end == NULL ? NULL : line_end + 2;
    }
    at = line_end + 2;
  }
}

/* Appends to `log` what LOG_CONTENT holds of a message: its lines without their first dots. */
static void write_content(FILE *log, unsigned number, const char *at, const char *end)
{
  char *text;
  size_t length;
  FILE *content = memory_file(&text, &length);
  while (at < end) {
    const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
    const char *next = line_end == NULL ? end : line_end + 2;
    put(content, (ehlo_span){at + (*at == '.'), (size_t)(next - at) - (*at == '.')});
    at = next;
  }
  fclose(content);
  fprintf(log, "%u:%zu:", number, length);
  put(log, (ehlo_span){text, length});
  fputc('\n', log);
  free(text);
}

/* One reply to each line, whatever is in it; after 354 content up to its dot, and its verdicts; nothing after 221 and
 * 421. */
static void check_framing(const struct play *play)
{
  const struct script *script = play->script;
  const char *at = script->input.peer;
  const char *end = at + script->input.peer_size;
  const struct reply *reply = play->replies;
  const struct reply *last = reply + play->reply_count;
  const char *complete = play->texts[LOG_CONTENT];
  size_t complete_left = play->lengths[LOG_CONTENT];
  uint32_t recipients = 0;
  unsigned contents = 0;
  REQUIRE(reply < last && reply->verb == EHLO_VERB_CONNECT);
  int over = reply->code == 421;
  reply++;
  const char *line_end;
  while (!over && (line_end = memmem(at, (size_t)(end - at), "\r\n", 2)) != NULL) {
    REQUIRE(reply < last);
    REQUIRE(reply->verb < EHLO_VERB_CONNECT || reply->verb > EHLO_VERB_RESULT);
    at = line_end + 2;
    uint32_t verdicts = 0;
    if (reply->code == 354) {
      contents++;
      const char *content_end = text_end(at, end);
      if (content_end == NULL) {
        at = end;
      } else {
        char *content;
        size_t length;
        FILE *log = memory_file(&content, &length);
        write_content(log, contents, at, content_end - 3);
        fclose(log);
        /* Not all content is handed out whole; but if this is the next that was, it is this. */
        verdicts = script->config.protocol == EHLO_PROTOCOL_LMTP ? recipients : 1;
        int positive = 0;
        for (uint32_t i = 0; i < verdicts && reply + 1 + i < last; i++) {
          positive |= reply[1 + i].code < 300;
        }
        int same = length <= complete_left && memcmp(content, complete, length) == 0;
        REQUIRE(same || !positive);
        complete += same ? length : 0;
        complete_left -= same ? length : 0;
        free(content);
        at = content_end;
      }
    } else if (reply->code < 300) {
      recipients = reply->verb == EHLO_VERB_RCPT ? recipients + 1 : reply->verb == EHLO_VERB_MAIL ? 0 : recipients;
      recipients = reply->verb >= EHLO_VERB_SEND && reply->verb <= EHLO_VERB_SAML ? 0 : recipients;
    }
    over = reply->code == 421 || (reply->verb == EHLO_VERB_QUIT && reply->code == 221) ||
           ((reply->verb == EHLO_VERB_TURN || reply->verb == EHLO_VERB_ATRN) && reply->code == 250);
    reply++;
    for (uint32_t i = 0; i < verdicts && !over; i++) {
      REQUIRE(reply < last && (reply->verb == EHLO_VERB_MESSAGE || reply->verb == EHLO_VERB_RESULT));
      over = reply->code == 421;
      reply++;
    }
    if (!over && reply < last && reply->verb == EHLO_VERB_NONE) {
      over = 1;
      reply++;
    }
  }
  REQUIRE(reply == last);
}

/* ---- the two of them ---- */

static void start_play(struct play *play, const struct script *script, int reference)
{
  static struct ask asks[2][MAX_ASKS];
  static struct reply replies[2][MAX_REPLIES];
  memset(play, 0, sizeof *play);
  play->asks = asks[reference];
  play->replies = replies[reference];
  play->script = script;
  play->client_size = script->input.peer_size;
  play->reference = reference;
  for (unsigned i = 0; i < LOGS; i++) {
    play->logs[i] = memory_file(&play->texts[i], &play->lengths[i]);
  }
  play->body = memory_file(&play->body_text, &play->body_length);
  play->block_size = ehlo_server_size(&script->config);
  play->block = fresh_block(play->block_size);
  REQUIRE(ehlo_server_init(&play->server, play->block, play->block_size, &script->config, on_event, play) == EHLO_OK);
  run(play);
  for (unsigned i = 0; i < LOGS; i++) {
    REQUIRE(fflush(play->logs[i]) == 0);
  }
  check_wire(play);
}

static void end_play(struct play *play)
{
  for (unsigned i = 0; i < LOGS; i++) {
    fclose(play->logs[i]);
    free(play->texts[i]);
  }
  fclose(play->body);
  free(play->body_text);
  free(play->block);
}

static int same_log(const struct play *a, const struct play *b, unsigned log)
{
  int same = a->lengths[log] == b->lengths[log] && memcmp(a->texts[log], b->texts[log], a->lengths[log]) == 0;
  if (!same) {
    fprintf(stderr, "by the steps:\n%s\nat once:\n%s\n", a->texts[log], b->texts[log]);
  }
  return same;
}

/* Law 2. After a 421 commands may have been asked about that are then never answered. */
static void check_same(const struct play *by_step, const struct play *reference)
{
  int closed = reference->reply_count > 0 && reference->replies[reference->reply_count - 1].code == 421;
  REQUIRE(same_log(by_step, reference, LOG_REPLIES));
  REQUIRE(same_log(by_step, reference, LOG_WIRE));
  REQUIRE(same_log(by_step, reference, LOG_ENDS));
  REQUIRE(same_log(by_step, reference, LOG_CONTENT));
  if (!closed) {
    REQUIRE(same_log(by_step, reference, LOG_COMMANDS));
    REQUIRE(same_log(by_step, reference, LOG_ASKS));
    REQUIRE(same_log(by_step, reference, LOG_VIOLATIONS));
    REQUIRE(by_step->turned == reference->turned);
    REQUIRE(!by_step->turned || by_step->fed == reference->fed);
  }
}

/* Octets behind BDAT are content, refused or not, on offer or not. */
static int says_bdat(const struct script *script)
{
  for (size_t i = 0; i + 4 <= script->input.peer_size; i++) {
    if (ehlo_span_equal_nocase((ehlo_span){script->input.peer + i, 4}, ehlo_span_of("BDAT"))) {
      return 1;
    }
  }
  return 0;
}

int play_session(const uint8_t *data, size_t size)
{
  struct script script;
  static struct play by_step;
  static struct play reference;
  if (!read_script(&script, data, size) || script.input.peer_size > MAX_CLIENT) {
    return 0;
  }
  if (ehlo_server_size(&script.config) == 0) {
    max_align_t block[1024];
    ehlo_server *server;
    REQUIRE(ehlo_server_init(&server, block, sizeof block, &script.config, on_event, NULL) == EHLO_ERR_CONFIG);
    REQUIRE(server == NULL);
    return 0;
  }
  start_play(&by_step, &script, 0);
  if (!script.timed) {
    start_play(&reference, &script, 1);
    if (!says_bdat(&script) && !script.config.offer[EHLO_EXT_BURL]) {
      check_framing(&reference);
    }
    check_same(&by_step, &reference);
    end_play(&reference);
  }
  end_play(&by_step);
  return 0;
}

#ifndef FUZZ_DIALOGUE
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  return play_session(data, size);
}
#endif
