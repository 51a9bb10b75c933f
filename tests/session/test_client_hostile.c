/* test_client_hostile.c: the client against servers that break the rules, and against hosts that do.
 *
 * The first half is a table of hostile servers: what each says at each step, and what the client is to report. The host
 * is the same all the time: one message to two recipients, all commands called at once, then QUIT. Every server is
 * played with and without PIPELINING, its octets whole and one by one. The second half is what a host can do wrong.
 *
 * Always: no success that was none, no half of a message that looks like the whole, one END for each MAIL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ehlo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 64, MARGIN_OCTET = 0x5A, LOG = 1 << 14, WIRE = 1 << 14, RECIPIENTS = 2 };

/* ---- hostile servers --------------------------------------------------------------------------------------------- */

/* What a server says, step by step; NULL is what a good one says. */
struct server {
  const char *name;
  const char *greeting, *ehlo, *helo, *mail, *rcpt[RECIPIENTS], *data, *message, *rset, *quit;
  unsigned only;      /* MODE_ bits that it is not played without; LMTP only if it is among them */
  const char *expect; /* how the log ends; "*" is any word */
};

/* How it is played. */
enum {
  MODE_PIPELINING = 1,
  MODE_OCTETS = 2,  /* fed one by one */
  MODE_TIMEOUT = 4, /* where it says no more, the clock runs out, and not the connection */
  MODE_LMTP = 8,
  MODE_LOCKSTEP = 16, /* in `only`: not with PIPELINING */
  MODES = 16
};

struct play {
  const struct server *server;
  unsigned mode;
  ehlo_client *client;
  char *block;
  size_t size;
  size_t budget; /* octets that the server can still send */

  char wire[WIRE]; /* what left the client */
  size_t wire_size;
  size_t read; /* of it by the server */
  int in_content;
  unsigned rcpts;

  char log[LOG];
  size_t logged;
  unsigned mails, ends; /* MAILs called, END events */
  uint32_t reason;      /* of the last of them */
  size_t fed, fed_at_end;
  unsigned mail_good, rcpts_good, results_good;
  unsigned whole; /* the content was given to its end */
  uint32_t violation;
  int quit;
  int closed; /* no event may come any more */
};

static void say(struct play *play, const char *format, ...)
{
  va_list list;
  va_start(list, format);
  int length = vsnprintf(play->log + play->logged, LOG - play->logged, format, list);
  va_end(list);
  assert_in_range(length, 0, LOG - play->logged - 1);
  play->logged += (size_t)length;
}

static void call_quit(struct play *play)
{
  if (!play->quit && (ehlo_client_want(play->client) & EHLO_WANT_CLOSE) == 0) {
    assert_int_equal(ehlo_client_quit(play->client, 9), EHLO_OK);
    play->quit = 1;
  }
}

static void call_message(struct play *play)
{
  static const char *const to[RECIPIENTS] = {"bob@example.org", "carol@example.org"};
  assert_int_equal(ehlo_client_mail(play->client, ehlo_span_of("alice@example.com"), NULL, 2), EHLO_OK);
  play->mails++;
  for (unsigned i = 0; i < RECIPIENTS; i++) {
    assert_int_equal(ehlo_client_rcpt(play->client, ehlo_span_of(to[i]), NULL, 3 + i), EHLO_OK);
  }
  assert_int_equal(ehlo_client_data(play->client, 7), EHLO_OK);
}

static void on_reply(struct play *play, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  say(play, "%s=%u ", ehlo_verb_name(reply->verb), reply->code);
  switch (reply->verb) {
  case EHLO_VERB_CONNECT:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_LHLO:
  case EHLO_VERB_HELO:
    assert_int_equal(event->tag, reply->verb == EHLO_VERB_CONNECT ? 0 : 1);
    if (reply->code >= 400 && !reply->fallback) {
      call_quit(play);
    }
    break;
  case EHLO_VERB_MAIL: play->mail_good = reply->code < 300; break;
  case EHLO_VERB_RCPT:
    assert_int_equal(event->tag, 3 + reply->ordinal);
    play->rcpts_good += reply->code < 300;
    break;
  case EHLO_VERB_MESSAGE:
  case EHLO_VERB_RESULT:
    assert_int_equal(event->tag, reply->verb == EHLO_VERB_MESSAGE ? 7 : 3 + reply->ordinal);
    play->results_good += reply->code < 300;
    break;
  default: break;
  }
}

static int on_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct play *play = user;
  const ehlo_client_event_end *end = &event->as.end;
  assert_ptr_equal(client, play->client);
  assert_false(play->closed);
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE: break;
  case EHLO_CLIENT_EVENT_REPLY: on_reply(play, event); break;
  case EHLO_CLIENT_EVENT_HELLO:
    say(play, "HELLO ");
    call_message(play);
    break;
  case EHLO_CLIENT_EVENT_CONTENT:
    assert_int_equal(event->as.content.recipients, play->rcpts_good);
    assert_int_not_equal(play->rcpts_good, 0);
    say(play, "CONTENT ");
    break;
  case EHLO_CLIENT_EVENT_END:
    assert_int_equal(event->tag, 2);
    say(play, "END=%s/%u ", ehlo_end_name(end->reason), end->code);
    play->ends++;
    play->reason = end->reason;
    play->fed_at_end = play->fed;
    if (end->reason == EHLO_END_ACCEPTED || end->reason == EHLO_END_MIXED) {
      assert_true(play->whole && play->results_good > 0 && play->rcpts_good > 0);
    }
    if (end->needs_reset && (ehlo_client_want(client) & EHLO_WANT_CLOSE) == 0) {
      assert_int_equal(ehlo_client_rset(client, 8), EHLO_OK);
    }
    call_quit(play);
    break;
  default:
    say(play, "VIOLATION=%s/%s ", ehlo_violation_name(event->as.violation.kind),
        ehlo_verb_name(event->as.violation.verb));
    play->violation = event->as.violation.kind;
    break;
  }
  return EHLO_HANDLED;
}

/* ---- what the server says ---- */

#define GREETING   "220 mail.example.org ESMTP\r\n"
#define PIPELINING "250-mail.example.org\r\n250-SIZE 1000000\r\n250 PIPELINING\r\n"
#define LOCKSTEP   "250-mail.example.org\r\n250 SIZE 1000000\r\n"

static const char *or_good(const char *bad, const char *good)
{
  return bad == NULL ? good : bad;
}

/* What the server says to a line, or to the end of content. */
static const char *answer_to(struct play *play, const char *line)
{
  const struct server *server = play->server;
  if (play->in_content) {
    play->in_content = 0;
    int one = (play->mode & MODE_LMTP) == 0 || play->rcpts_good == 1;
    return or_good(server->message, one ? "250 2.6.0 ok\r\n" : "250 2.6.0 ok\r\n250 2.6.0 ok\r\n");
  }
  if (memcmp(line, "EHLO ", 5) == 0 || memcmp(line, "LHLO ", 5) == 0) {
    return or_good(server->ehlo, play->mode & MODE_PIPELINING ? PIPELINING : LOCKSTEP);
  }
  if (memcmp(line, "HELO ", 5) == 0) {
    return or_good(server->helo, "250 mail.example.org\r\n");
  }
  if (memcmp(line, "MAIL FROM:<alice@example.com>", 29) == 0) {
    return or_good(server->mail, "250 ok\r\n");
  }
  if (memcmp(line, "RCPT TO:<", 9) == 0) {
    assert_in_range(play->rcpts, 0, RECIPIENTS - 1);
    return or_good(server->rcpt[play->rcpts++], "250 ok\r\n");
  }
  if (memcmp(line, "DATA\r\n", 6) == 0) {
    const char *answer = or_good(server->data, "354 go on\r\n");
    play->in_content = answer[0] == '3';
    return answer;
  }
  if (memcmp(line, "RSET\r\n", 6) == 0) {
    return or_good(server->rset, "250 ok\r\n");
  }
  assert_memory_equal(line, "QUIT\r\n", 6);
  return or_good(server->quit, "221 bye\r\n");
}

static void feed(struct play *play, const char *octets, size_t size)
{
  size = size < play->budget ? size : play->budget;
  play->budget -= size;
  size_t step = play->mode & MODE_OCTETS ? 1 : size;
  for (size_t at = 0; at < size; at += step) {
    size_t consumed = SIZE_MAX;
    play->fed += step;
    assert_int_equal(ehlo_client_feed(play->client, octets + at, step, &consumed), EHLO_OK);
    assert_int_equal(consumed, step);
  }
}

static void drain(struct play *play)
{
  size_t size;
  const char *output = ehlo_client_output(play->client, &size);
  assert_in_range(size, 0, WIRE - play->wire_size);
  if (size > 0) {
    memcpy(play->wire + play->wire_size, output, size);
    play->wire_size += size;
  }
  ehlo_client_sent(play->client, size);
}

/* Says what it has to say to all that has come. Returns 0 if nothing has. */
static int serve(struct play *play)
{
  char *said = calloc(1, 1);
  size_t length = 0;
  for (;;) {
    const char *at = play->wire + play->read;
    size_t left = play->wire_size - play->read;
    const char *end = memchr(at, '\n', left);
    if (end == NULL) {
      break;
    }
    size_t line = (size_t)(end - at) + 1;
    assert_true(line >= 2 && end[-1] == '\r'); /* [C-CMD-21] */
    play->read += line;
    if (!play->in_content || (line == 3 && at[0] == '.')) {
      const char *answer = answer_to(play, at);
      said = realloc(said, length + strlen(answer) + 1);
      assert_non_null(said);
      memcpy(said + length, answer, strlen(answer));
      length += strlen(answer);
    }
  }
  feed(play, said, length);
  free(said);
  return length > 0;
}

static void give_content(struct play *play)
{
  static const char content[] = "Subject: test\r\n\r\n.text\r\n";
  size_t taken;
  if ((ehlo_client_want(play->client) & EHLO_WANT_CONTENT) != 0) {
    assert_int_equal(ehlo_client_body(play->client, content, sizeof content - 1, &taken), EHLO_OK);
    assert_int_equal(taken, sizeof content - 1);
    assert_int_equal(ehlo_client_body_end(play->client), EHLO_OK);
    play->whole = 1;
  }
}

static ehlo_client_config usual_config(void)
{
  ehlo_client_config config;
  assert_int_equal(ehlo_client_config_init(&config, sizeof config), EHLO_OK);
  config.hostname = ehlo_span_of("client.example.com");
  return config;
}

static void open_play(struct play *play, const struct server *server, unsigned mode, const ehlo_client_config *config)
{
  memset(play, 0, sizeof *play);
  play->server = server;
  play->mode = mode;
  play->budget = SIZE_MAX;
  play->size = ehlo_client_size(config);
  play->block = malloc(play->size + MARGIN);
  assert_non_null(play->block);
  memset(play->block, MARGIN_OCTET, play->size + MARGIN);
  assert_int_equal(ehlo_client_init(&play->client, play->block, play->size, config, on_event, play), EHLO_OK);
}

static void close_play(struct play *play)
{
  for (size_t i = 0; i < MARGIN; i++) {
    assert_int_equal(play->block[play->size + i], MARGIN_OCTET);
  }
  free(play->block);
}

/* The laws that hold whatever the server did. */
static void check_laws(struct play *play)
{
  size_t size = 1;
  size_t consumed;
  assert_int_equal(play->ends, play->mails);
  assert_int_equal(ehlo_client_want(play->client), EHLO_WANT_CLOSE);
  assert_int_equal(ehlo_client_violation(play->client), play->violation);
  assert_int_equal(ehlo_client_pending(play->client), 0);
  assert_null(ehlo_client_output(play->client, &size));
  assert_int_equal(size, 0);
  play->closed = 1;
  assert_int_equal(ehlo_client_feed(play->client, "250 ok\r\n", 8, &consumed), EHLO_OK);
  assert_int_equal(consumed, 8);
  assert_int_equal(ehlo_client_eof(play->client), EHLO_OK);
  assert_int_equal(ehlo_client_timed_out(play->client), EHLO_OK);
  assert_int_equal(ehlo_client_noop(play->client, ehlo_span_of(""), 0), EHLO_ERR_STATE);
  /* The end of content went out only behind the whole of it, or with nobody to get it. */
  play->wire[play->wire_size] = '\0';
  const char *dot = strstr(play->wire, "\r\n.\r\n");
  if (dot != NULL && !play->whole) {
    assert_false(play->mail_good && play->rcpts_good > 0);
    assert_memory_equal(dot - 4, "DATA", 4);
  }
}

static void run(struct play *play)
{
  assert_int_equal(ehlo_client_hello(play->client, 1), EHLO_OK);
  const char *greeting = or_good(play->server->greeting, GREETING);
  feed(play, greeting, strlen(greeting)); /* [C-SESS-01] nothing has left before */
  do {
    give_content(play);
    drain(play);
  } while (serve(play));
  if ((ehlo_client_want(play->client) & EHLO_WANT_CLOSE) == 0) {
    assert_int_equal(play->mode & MODE_TIMEOUT ? ehlo_client_timed_out(play->client) : ehlo_client_eof(play->client),
                     EHLO_OK);
  }
  check_laws(play);
}

static int is_played(const struct server *server, unsigned mode)
{
  return ((server->only & MODE_PIPELINING) == 0 || (mode & MODE_PIPELINING)) &&
         ((server->only & MODE_LOCKSTEP) == 0 || (mode & MODE_PIPELINING) == 0) &&
         ((server->only & MODE_TIMEOUT) != 0) == ((mode & MODE_TIMEOUT) != 0) &&
         ((server->only & MODE_LMTP) != 0) == ((mode & MODE_LMTP) != 0);
}

/* Is it the log, but for "*", which stands for the rest of a word? */
static int is_log(const char *log, const char *expected)
{
  for (; *expected != '\0'; expected++) {
    if (*expected == '*') {
      log += strcspn(log, " ");
    } else if (*log++ != *expected) {
      return 0;
    }
  }
  return strcmp(log, " ") == 0;
}

/* Does the log end as expected, whatever words come before? Nothing is to be all of it. */
static int log_ends(const char *log, const char *expected)
{
  int found = *expected == '\0' && *log == '\0';
  for (const char *at = log; *at != '\0' && !found; at = strchr(at, ' ') + 1) {
    found = is_log(at, expected);
  }
  return found;
}

static void play_server(const struct server *server, const ehlo_client_config *config)
{
  for (unsigned mode = 0; mode < MODES; mode++) {
    if (is_played(server, mode)) {
      struct play play;
      ehlo_client_config own = *config;
      own.protocol = mode & MODE_LMTP ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
      open_play(&play, server, mode, &own);
      run(&play);
      if (!log_ends(play.log, server->expect)) {
        fail_msg("%s (mode %u): expected %s\nbut came %s", server->name, mode, server->expect, play.log);
      }
      close_play(&play);
    }
  }
}

#define GOOD     "END=accepted/250 QUIT=221"
#define FAILED   "END=failed/451"
#define TO_DATA  "MAIL=250 RCPT=250 RCPT=250 DATA=354 CONTENT "
#define NO_RCPTS .rcpt = {"550 no\r\n", "550 no\r\n"}
#define SEQUENCE .rcpt = {"503 no\r\n", "503 no\r\n"}, .data = "503 no\r\n"

static const struct server servers[] = {
    {"a good one", .expect = TO_DATA "message=250 " GOOD},
    {"a good one for LMTP", .only = MODE_LMTP, .expect = "LHLO=250 HELLO " TO_DATA "result=250 result=250 " GOOD},
    {"replies without text", .greeting = "220\r\n", .ehlo = "250\r\n", .mail = "250\r\n", .data = "354\r\n",
     .message = "250 \r\n", .expect = TO_DATA "message=250 " GOOD}, /* [P-RPLY-06] */
    {"replies of several lines", .greeting = "220-a\r\n220-\r\n220 b\r\n", .mail = "250-2.1.0 a\r\n250\r\n",
     .rcpt = {"250-550 no\r\n250-\r\n250 550\r\n"}, .data = "354-go\r\n354 on\r\n",
     .message = "250-\r\n250-\r\n250 \r\n", .quit = "221-a\r\n221 b\r\n",
     .expect = TO_DATA "message=250 " GOOD}, /* [P-RPLY-04] [C-PIPE-08] [C-RPLY-13] */
    {"codes that nobody knows", .greeting = "229 x\r\n", .ehlo = "201 x\r\n", .mail = "259 x\r\n",
     .rcpt = {"251 x\r\n", "453 x\r\n"}, .data = "359 x\r\n", .message = "200 x\r\n", .quit = "259 x\r\n",
     .expect = "connect=229 EHLO=201 HELLO MAIL=259 RCPT=251 RCPT=453 DATA=359 CONTENT message=200 END=accepted/200 "
               "QUIT=259"}, /* [C-RPLY-14] [C-RPLY-15] */

    /* the greeting */
    {"554 at the greeting", .greeting = "554 no\r\n", .expect = "connect=554 QUIT=221"}, /* [C-SESS-07] */
    {"521 at the greeting", .greeting = "521-no\r\n521 mail\r\n", .quit = "521 no\r\n",
     .expect = "connect=521 QUIT=521"}, /* [C-SESS-03] */
    {"400 at the greeting", .greeting = "400 later\r\n", .expect = "connect=400 QUIT=221"},
    {"a greeting that asks for more", .greeting = "354 hi\r\n", .expect = "VIOLATION=wrong reply code/connect"},
    {"two greetings", .greeting = GREETING GREETING, .expect = "connect=220 VIOLATION=unsolicited reply/none"},
    {"a greeting and an answer", .greeting = GREETING "250 go on\r\n",
     .expect = "connect=220 VIOLATION=unsolicited reply/none"},
    {"half a greeting", .greeting = "220-a\r\n", .expect = ""},
    {"a refusal twice", .greeting = "554 no\r\n554 no\r\n", .expect = "connect=554 VIOLATION=unsolicited reply/none"},

    /* EHLO */
    {"500 to EHLO", .ehlo = "500 what?\r\n", .only = MODE_LOCKSTEP,
     .expect = "EHLO=500 HELO=250 HELLO " TO_DATA "message=250 " GOOD}, /* [C-HELO-02] */
    {"502 to EHLO, in lines", .ehlo = "502-what?\r\n502 x\r\n",
     .expect = "EHLO=502 HELO=250 HELLO " TO_DATA "message=250 " GOOD},
    {"500 to EHLO and HELO", .ehlo = "500 what?\r\n", .helo = "500 what?\r\n", .expect = "EHLO=500 HELO=500 QUIT=221"},
    {"500 to LHLO", .ehlo = "500 what?\r\n", .only = MODE_LMTP, .expect = "LHLO=500 QUIT=221"},
    {"550 to EHLO", .ehlo = "550 no\r\n", .expect = "EHLO=550 QUIT=221"},
    {"450 to EHLO", .ehlo = "450 no\r\n", .expect = "EHLO=450 QUIT=221"},
    {"500 to EHLO, said twice", .ehlo = "500 what?\r\n500 what?\r\n",
     .expect = "EHLO=500 VIOLATION=unsolicited reply/none"},
    {"an answer to MAIL before it was sent", .ehlo = LOCKSTEP "250 ok\r\n",
     .expect = "VIOLATION=unsolicited reply/none " FAILED},

    /* MAIL */
    {"550 to MAIL", .mail = "550 no\r\n", SEQUENCE,
     .expect = "MAIL=550 RCPT=503 RCPT=503 DATA=503 END=refused/550 QUIT=221"}, /* [C-PIPE-06] */
    {"452 to MAIL", .mail = "452 later\r\n", SEQUENCE,
     .expect = "MAIL=452 RCPT=503 RCPT=503 DATA=503 END=refused/452 QUIT=221"}, /* [C-SIZE-11] */
    {"550 to MAIL, all else accepted", .mail = "550 no\r\n",
     .expect = "MAIL=550 RCPT=250 RCPT=250 DATA=354 message=250 END=refused/550 QUIT=221"}, /* [C-PIPE-09] */
    {"550 to MAIL, all else accepted, LMTP", .mail = "550 no\r\n", .message = "", .only = MODE_LMTP,
     .expect = "MAIL=550 RCPT=250 RCPT=250 DATA=354 END=refused/550 QUIT=221"},
    {"MAIL answered twice", .mail = "250 ok\r\n250 ok\r\n", .only = MODE_LOCKSTEP,
     .expect = "MAIL=250 VIOLATION=unsolicited reply/none " FAILED},
    {"MAIL answered twice in a group", .mail = "250 ok\r\n250 ok\r\n", .only = MODE_PIPELINING,
     .expect = "MAIL=250 RCPT=250 RCPT=250 VIOLATION=wrong reply code/DATA " FAILED}, /* [C-PIPE-07] */

    /* RCPT */
    {"one RCPT refused", .rcpt = {"550 no\r\n"}, .expect = "RCPT=550 RCPT=250 DATA=354 CONTENT message=250 " GOOD},
    {"one RCPT refused, LMTP", .rcpt = {NULL, "450 no\r\n"}, .only = MODE_LMTP,
     .expect = "RCPT=250 RCPT=450 DATA=354 CONTENT result=250 " GOOD}, /* [C-LMTP-14] */
    {"all RCPTs refused, DATA not", NO_RCPTS,
     .expect = "RCPT=550 RCPT=550 DATA=354 message=250 END=refused/* QUIT=221"}, /* [C-PIPE-09] */
    {"all RCPTs refused, DATA and message not", NO_RCPTS, .message = "554 nobody\r\n",
     .expect = "DATA=354 message=554 END=refused/554 QUIT=221"},
    {"all RCPTs refused, DATA not, LMTP", NO_RCPTS, .message = "", .only = MODE_LMTP,
     .expect = "RCPT=550 RCPT=550 DATA=354 END=refused/* QUIT=221"},
    {"all RCPTs refused, DATA too", NO_RCPTS, .data = "554 nobody\r\n",
     .expect = "RCPT=550 RCPT=550 DATA=554 END=refused/554 RSET=250 QUIT=221"}, /* [C-PIPE-09] */
    {"all RCPTs refused, and a reply to no message", NO_RCPTS, .data = "354 go on\r\n250 ok\r\n",
     .expect = "DATA=354 VIOLATION=unsolicited reply/none " FAILED},

    /* DATA */
    {"452 to DATA", .data = "452 later\r\n", .expect = "DATA=452 END=refused/452 RSET=250 QUIT=221"}, /* [C-SIZE-12] */
    {"554 to DATA, and RSET refused", .data = "554 no\r\n", .rset = "500 what?\r\n",
     .expect = "DATA=554 END=refused/554 RSET=500 QUIT=221"},
    {"250 to DATA", .data = "250 ok\r\n", .expect = "VIOLATION=wrong reply code/DATA " FAILED}, /* [C-RPLY-18] */
    {"354 and a verdict", .data = "354 go on\r\n250 ok\r\n",
     .expect = "CONTENT VIOLATION=unsolicited reply/none " FAILED}, /* no message is accepted by halves */
    {"354 and a refusal", .data = "354 go on\r\n554 no\r\n", .expect = "CONTENT message=554 END=refused/554"},
    {"354 and 421", .data = "354 go on\r\n421 bye\r\n", .expect = "CONTENT none=421 END=shutdown/421"},
    {"354 twice", .data = "354 go on\r\n354 go on\r\n", .expect = "CONTENT VIOLATION=unsolicited reply/none " FAILED},

    /* the message */
    {"451 to the message", .message = "451 later\r\n",
     .expect = "message=451 END=refused/451 QUIT=221"},                                                /* [C-DATA-31] */
    {"552 to the message", .message = "552 no\r\n", .expect = "message=552 END=refused/552 QUIT=221"}, /* [C-SIZE-12] */
    {"two verdicts", .message = "250 ok\r\n250 ok\r\n", .expect = "END=accepted/250 VIOLATION=unsolicited reply/none"},
    {"a verdict that changes", .message = "250-ok\r\n550 no\r\n",
     .expect = "VIOLATION=reply code changed/message " FAILED},
    {"half a verdict", .message = "250-ok\r\n", .expect = "CONTENT END=lost/451"}, /* [C-SESS-04] */
    {"half a line of a verdict", .message = "250 ok\r", .expect = "CONTENT END=lost/451"},
    {"half a verdict, then silence", .message = "250-ok\r\n", .only = MODE_TIMEOUT,
     .expect = "CONTENT END=timed out/451"},
    {"no verdict", .message = "", .expect = "CONTENT END=lost/451"},

    /* LMTP's verdicts */
    {"one for, one against", .message = "250 ok\r\n550 no\r\n", .only = MODE_LMTP,
     .expect = "result=250 result=550 END=mixed/* QUIT=221"},
    {"both against", .message = "450 no\r\n550 no\r\n", .only = MODE_LMTP,
     .expect = "result=450 result=550 END=refused/* QUIT=221"},
    {"only one verdict", .message = "250 ok\r\n", .only = MODE_LMTP,
     .expect = "result=250 END=mixed/*"}, /* [C-LMTP-13] */
    {"only one, against", .message = "550 no\r\n", .only = MODE_LMTP, .expect = "result=550 END=lost/451"},
    {"only one, then silence", .message = "250 ok\r\n250-", .only = MODE_LMTP | MODE_TIMEOUT,
     .expect = "result=250 END=mixed/*"},
    {"only one, then 421", .message = "250 ok\r\n421 bye\r\n", .only = MODE_LMTP,
     .expect = "result=250 result=421 END=mixed/421"},
    {"only one, then nonsense", .message = "250 ok\r\nok\r\n", .only = MODE_LMTP,
     .expect = "result=250 VIOLATION=syntax/result END=mixed/*"},
    {"three verdicts", .message = "250 ok\r\n250 ok\r\n250 ok\r\n", .only = MODE_LMTP,
     .expect = "END=accepted/250 VIOLATION=unsolicited reply/none"},
    {"one verdict too many, one recipient", .rcpt = {"550 no\r\n"}, .message = "250 ok\r\n250 ok\r\n",
     .only = MODE_LMTP, .expect = "result=250 END=accepted/250 VIOLATION=unsolicited reply/none"},

    /* QUIT */
    {"500 to QUIT", .quit = "500 no\r\n", .expect = "END=accepted/250 QUIT=500"},
    {"421 to QUIT", .quit = "421 bye\r\n", .expect = "END=accepted/250 QUIT=421"},
    {"354 to QUIT", .quit = "354 no\r\n", .expect = "END=accepted/250 VIOLATION=wrong reply code/QUIT"},
    {"more behind QUIT", .quit = "221 bye\r\n250 ok\r\nnonsense\n", .expect = "END=accepted/250 QUIT=221"},
    {"no answer to QUIT", .quit = "", .expect = "END=accepted/250"},
    {"no answer to QUIT, then silence", .quit = "", .only = MODE_TIMEOUT, .expect = "END=accepted/250"},
};

static void hostile_servers(void **state)
{
  (void)state;
  ehlo_client_config config = usual_config();
  for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
    play_server(&servers[i], &config);
  }
}

static void hello_that_does_not_fall_back(void **state)
{
  (void)state;
  ehlo_client_config config = usual_config();
  static const struct server server = {"500 to EHLO, no HELO", .ehlo = "500 what?\r\n", .expect = "EHLO=500 QUIT=221"};
  config.no_helo = 1;
  play_server(&server, &config);
}

/* ---- each step ---- */

enum { AT_GREETING, AT_EHLO, AT_MAIL, AT_FIRST_RCPT, AT_LAST_RCPT, AT_DATA, AT_MESSAGE, AT_RSET, AT_QUIT, STEPS };

static const char *const step_verbs[STEPS] = {"connect", "EHLO",    "MAIL", "RCPT", "RCPT",
                                              "DATA",    "message", "RSET", "QUIT"};

/* A server that is good but at one step. */
static struct server bad_at(unsigned step, const char *said)
{
  struct server server = {.name = said};
  switch (step) {
  case AT_GREETING: server.greeting = said; break;
  case AT_EHLO: server.ehlo = said; break;
  case AT_MAIL: server.mail = said; break;
  case AT_FIRST_RCPT: server.rcpt[0] = said; break;
  case AT_LAST_RCPT: server.rcpt[1] = said; break;
  case AT_DATA: server.data = said; break;
  case AT_MESSAGE: server.message = said; break;
  case AT_RSET:
    server.data = "554 no\r\n";
    server.rset = said;
    break;
  default: server.quit = said; break;
  }
  return server;
}

/* How the log ends if the session ends at this step. */
static const char *end_at(unsigned step, const char *end)
{
  return step < AT_MAIL || step > AT_MESSAGE ? "" : end;
}

static void violate_at_every_step(const char *said, uint32_t kind)
{
  ehlo_client_config config = usual_config();
  for (unsigned step = 0; step < STEPS; step++) {
    char expect[200];
    struct server server = bad_at(step, said);
    snprintf(expect, sizeof expect, "VIOLATION=%s/%s%s", ehlo_violation_name(kind), step_verbs[step],
             end_at(step, " " FAILED));
    server.expect = expect;
    play_server(&server, &config);
  }
}

static void malformed_replies_at_every_step(void **state)
{
  (void)state;
  static const struct {
    const char *said;
    uint32_t kind;
  } malformed[] = {
      {"\r\n", EHLO_VIOLATION_SYNTAX},
      {"ok\r\n", EHLO_VIOLATION_SYNTAX},
      {"25\r\n", EHLO_VIOLATION_SYNTAX},
      {"25 ok\r\n", EHLO_VIOLATION_SYNTAX},
      {"2500 ok\r\n", EHLO_VIOLATION_SYNTAX},
      {" 250 ok\r\n", EHLO_VIOLATION_SYNTAX},
      {"250_ok\r\n", EHLO_VIOLATION_SYNTAX},
      {"250ok\r\n", EHLO_VIOLATION_SYNTAX},
      {"2x0 ok\r\n", EHLO_VIOLATION_SYNTAX},
      {"-250 ok\r\n", EHLO_VIOLATION_SYNTAX},
      {"150 wait\r\n", EHLO_VIOLATION_SYNTAX}, /* [C-RPLY-16] */
      {"050 wait\r\n", EHLO_VIOLATION_SYNTAX},
      {"650 what\r\n", EHLO_VIOLATION_SYNTAX},
      {"999 what\r\n", EHLO_VIOLATION_SYNTAX},
      {"260 what\r\n", EHLO_VIOLATION_SYNTAX},
      {"\xEF\xBB\xBF"
       "250 ok\r\n",
       EHLO_VIOLATION_SYNTAX},
      {"HTTP/1.1 200 OK\r\n", EHLO_VIOLATION_SYNTAX},
      {"250 ok\n", EHLO_VIOLATION_BARE_NEWLINE},
      {"250-ok\n250 ok\r\n", EHLO_VIOLATION_BARE_NEWLINE},
      {"250 o\rk\r\n", EHLO_VIOLATION_BARE_NEWLINE},
      {"250 ok\r\r\n", EHLO_VIOLATION_BARE_NEWLINE},
      {"\n", EHLO_VIOLATION_BARE_NEWLINE},
      {"421 bye\n", EHLO_VIOLATION_BARE_NEWLINE},
      {"450-no\r\n550 no\r\n", EHLO_VIOLATION_REPLY_MISMATCH}, /* [P-RPLY-03] */
      {"450-no\r\n450-no\r\n451 no\r\n", EHLO_VIOLATION_REPLY_MISMATCH},
      {"550-no\r\n421 bye\r\n", EHLO_VIOLATION_REPLY_MISMATCH},
      {"450-no\r\nno\r\n", EHLO_VIOLATION_SYNTAX},
      {"450-no\r\n\r\n", EHLO_VIOLATION_SYNTAX},
  };
  for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
    violate_at_every_step(malformed[i].said, malformed[i].kind);
  }
}

/* NUL cannot stand in the table. */
static void a_nul_in_a_reply(void **state)
{
  (void)state;
  ehlo_client_config config = usual_config();
  static const struct server good = {.name = "good"};
  for (size_t at = 0; at < 4; at++) {
    char said[] = "220 hi\r\n";
    size_t consumed;
    struct play play;
    said[at + (at > 0)] = '\0';
    open_play(&play, &good, 0, &config);
    assert_int_equal(ehlo_client_feed(play.client, said, sizeof said - 1, &consumed), EHLO_OK);
    assert_string_equal(play.log, "VIOLATION=syntax/connect ");
    close_play(&play);
  }
}

static char *repeat(const char *what, size_t times, const char *end)
{
  size_t length = strlen(what);
  char *text = malloc(length * times + strlen(end) + 1);
  assert_non_null(text);
  for (size_t i = 0; i < times; i++) {
    memcpy(text + i * length, what, length);
  }
  memcpy(text + length * times, end, strlen(end) + 1);
  return text;
}

static void endless_replies_at_every_step(void **state)
{
  (void)state;
  static const struct {
    const char *what;
    size_t times;
    const char *end;
    uint32_t kind;
  } endless[] = {
      {"250 ok ", 600, "\r\n", EHLO_VIOLATION_LINE_TOO_LONG},
      {"250-ok ", 600, "\r\n250 ok\r\n", EHLO_VIOLATION_LINE_TOO_LONG},
      {"2", 20000, "", EHLO_VIOLATION_LINE_TOO_LONG},
      {"550 no ", 20000, "", EHLO_VIOLATION_LINE_TOO_LONG},
      {"450-no\r\n", 1001, "", EHLO_VIOLATION_REPLY_TOO_LONG},
      {"450-\r\n", 20000, "450 no\r\n", EHLO_VIOLATION_REPLY_TOO_LONG},
      {"450-nononononononononononononononononononononononononononononononononononononononono\r\n", 800, "450 no\r\n",
       EHLO_VIOLATION_REPLY_TOO_LONG},
  };
  for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
    char *said = repeat(endless[i].what, endless[i].times, endless[i].end);
    violate_at_every_step(said, endless[i].kind);
    free(said);
  }
}

/* To the octet, and to the line. */
static void limits_of_replies_are_exact(void **state)
{
  (void)state;
  ehlo_client_config config = usual_config();
  config.max_reply_line = 512;
  config.max_reply_lines = 3;
  config.max_reply_size = 1024;
  static const struct server good = {.name = "good"};
  static const struct {
    size_t lengths[4]; /* of lines, CRLF included */
    const char *log;
  } replies[] = {{{512}, "connect=220 "},
                 {{513}, "VIOLATION=line too long/connect "},
                 {{512, 512}, "connect=220 "},
                 {{512, 506, 6}, "connect=220 "},
                 {{512, 507, 6}, "VIOLATION=reply too long/connect "},
                 {{6, 6, 6}, "connect=220 "},
                 {{6, 6, 6, 6}, "VIOLATION=reply too long/connect "}};
  for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    for (unsigned mode = 0; mode < 4; mode += MODE_OCTETS) {
      struct play play;
      char said[3000];
      size_t length = 0;
      for (size_t line = 0; line < 4 && replies[i].lengths[line] > 0; line++) {
        int more = line < 3 && replies[i].lengths[line + 1] > 0;
        memcpy(said + length, more ? "220-" : "220 ", 4);
        memset(said + length + 4, 'x', replies[i].lengths[line] - 6);
        length += replies[i].lengths[line];
        memcpy(said + length - 2, "\r\n", 2);
      }
      open_play(&play, &good, mode, &config);
      feed(&play, said, length);
      assert_string_equal(play.log, replies[i].log);
      close_play(&play);
    }
  }
}

/* RFC 821 4.4: 3yz to DATA, 2yz to all else. */
static void wrong_digits_at_every_step(void **state)
{
  (void)state;
  ehlo_client_config config = usual_config();
  for (unsigned step = 0; step < STEPS; step++) {
    char expect[200];
    struct server server = bad_at(step, step == AT_DATA ? "250 ok\r\n" : "354 go on\r\n");
    snprintf(expect, sizeof expect, "VIOLATION=%s/%s%s", ehlo_violation_name(EHLO_VIOLATION_REPLY_CODE),
             step_verbs[step], end_at(step, " " FAILED));
    server.expect = expect;
    play_server(&server, &config); /* [C-RPLY-18] */
  }
}

static void server_that_leaves_at_every_step(void **state)
{
  (void)state;
  static const char *const said[] = {"421 bye\r\n", "421\r\n", "421-mail.example.org\r\n421 4.3.2 bye\r\n",
                                     "421 bye\r\n250 ok\r\nnonsense\n"};
  ehlo_client_config config = usual_config();
  for (unsigned step = 0; step < STEPS; step++) {
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
      char expect[200];
      struct server server = bad_at(step, said[i]);
      snprintf(expect, sizeof expect, "%s=421%s", step_verbs[step], end_at(step, " END=shutdown/421"));
      server.expect = expect;
      play_server(&server, &config); /* [C-SESS-08] */
    }
  }
}

/* The same, as an answer to nothing: behind the reply to each step. */
static void server_that_leaves_behind_every_step(void **state)
{
  (void)state;
  ehlo_client_config config = usual_config();
  static const struct server leaving[STEPS] = {
      {.greeting = GREETING "421 bye\r\n", .expect = "connect=220 none=421"},
      {.ehlo = LOCKSTEP "421 bye\r\n", .expect = "EHLO=250 HELLO none=421 END=shutdown/421"},
      {.mail = "250 ok\r\n421 bye\r\n", .expect = "MAIL=250 none=421 END=shutdown/421"},
      {.rcpt = {"250 ok\r\n421 bye\r\n"}, .expect = "RCPT=250 none=421 END=shutdown/421"},
      {.rcpt = {NULL, "550 no\r\n421 bye\r\n"}, .expect = "RCPT=550 none=421 END=shutdown/421"},
      {.data = "451 no\r\n421 bye\r\n", .expect = "DATA=451 END=refused/451 none=421"},
      {.message = "250 ok\r\n421 bye\r\n", .expect = "message=250 END=accepted/250 none=421"},
      {.data = "554 no\r\n", .rset = "250 ok\r\n421 bye\r\n", .expect = "END=refused/554 RSET=250 none=421"},
      {.quit = "221 bye\r\n421 bye\r\n", .expect = "QUIT=221"}};
  for (unsigned step = 0; step < STEPS; step++) {
    struct server server = leaving[step];
    server.name = step_verbs[step];
    server.only = MODE_LOCKSTEP; /* in a group it would be the answer to the next */
    play_server(&server, &config);
  }
}

/* How the one transaction is to end if the session is cut behind so many octets. */
static void expect_cut(const struct play *play, const struct play *whole, size_t cut)
{
  if (play->mails > 0 && cut < whole->fed_at_end) {
    uint32_t reason = play->mode & MODE_TIMEOUT ? EHLO_END_TIMED_OUT : EHLO_END_LOST;
    assert_int_equal(play->reason, play->results_good > 0 ? EHLO_END_MIXED : reason); /* [C-SESS-04] [C-LMTP-13] */
  } else if (play->mails > 0) {
    assert_int_equal(play->reason, EHLO_END_ACCEPTED);
  }
  /* Up to the cut all was as it should be. */
  const char *end = play->reason == EHLO_END_ACCEPTED ? NULL : strstr(play->log, "END=");
  size_t same = end == NULL ? play->logged : (size_t)(end - play->log);
  assert_memory_equal(play->log, whole->log, same);
}

/* The connection is dropped, or the server falls silent, behind every octet of a good session. */
static void good_session_cut_at_every_octet(void **state)
{
  (void)state;
  static const char two[] = "250-a\r\n250 b\r\n250-c\r\n250 d\r\n";
  struct server good = {.name = "good", .greeting = "220-a\r\n220 b\r\n"};
  ehlo_client_config config = usual_config();
  for (unsigned mode = 0; mode < MODES; mode++) {
    struct play whole;
    config.protocol = mode & MODE_LMTP ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
    good.message = mode & MODE_LMTP ? two : two + sizeof two / 2;
    open_play(&whole, &good, mode | MODE_OCTETS, &config);
    run(&whole);
    assert_int_equal(whole.reason, EHLO_END_ACCEPTED);
    for (size_t cut = 0; cut <= whole.fed; cut++) {
      struct play play;
      open_play(&play, &good, mode, &config);
      play.budget = cut;
      run(&play);
      expect_cut(&play, &whole, cut);
      close_play(&play);
    }
    close_play(&whole);
  }
}

/* ---- a host that can do wrong ------------------------------------------------------------------------------------ */

struct desk {
  ehlo_client *client;
  char *block;
  size_t size;
  void (*in_handler)(struct desk *, const ehlo_client_event *);
  uint32_t fatal_at; /* the event for which the handler returns `fatal` */
  int fatal;
  int over; /* no event may come any more */

  unsigned count[7]; /* events, by type */
  ehlo_client_event_reply reply;
  ehlo_client_event_end end;
  ehlo_client_event_violation violation;
  uint64_t reply_tag, end_tag;
};

static int on_desk(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct desk *desk = user;
  assert_ptr_equal(client, desk->client);
  assert_false(desk->over);
  assert_in_range(event->type, 1, 6);
  desk->count[event->type]++;
  switch (event->type) {
  case EHLO_CLIENT_EVENT_REPLY:
    desk->reply = event->as.reply;
    desk->reply_tag = event->tag;
    break;
  case EHLO_CLIENT_EVENT_END:
    desk->end = event->as.end;
    desk->end_tag = event->tag;
    break;
  case EHLO_CLIENT_EVENT_VIOLATION: desk->violation = event->as.violation; break;
  default: break;
  }
  if (desk->in_handler != NULL) {
    desk->in_handler(desk, event);
  }
  desk->over = event->type == desk->fatal_at;
  return desk->over ? desk->fatal : EHLO_HANDLED;
}

static void desk_open(struct desk *desk, const ehlo_client_config *config)
{
  ehlo_client_config usual = usual_config();
  config = config == NULL ? &usual : config;
  memset(desk, 0, sizeof *desk);
  desk->size = ehlo_client_size(config);
  assert_int_not_equal(desk->size, 0);
  desk->block = malloc(desk->size + MARGIN);
  assert_non_null(desk->block);
  memset(desk->block, MARGIN_OCTET, desk->size + MARGIN);
  assert_int_equal(ehlo_client_init(&desk->client, desk->block, desk->size, config, on_desk, desk), EHLO_OK);
}

static void desk_close(struct desk *desk)
{
  for (size_t i = 0; i < MARGIN; i++) {
    assert_int_equal(desk->block[desk->size + i], MARGIN_OCTET);
  }
  free(desk->block);
}

/* Feeds a string, nothing being sent before. */
static void hear(struct desk *desk, const char *string)
{
  size_t consumed = SIZE_MAX;
  int result = ehlo_client_feed(desk->client, string, strlen(string), &consumed);
  assert_int_equal(result, desk->over ? EHLO_ERR_HOST : EHLO_OK);
  assert_int_equal(consumed, strlen(string));
}

static ehlo_span output_of(const struct desk *desk)
{
  ehlo_span span;
  span.ptr = ehlo_client_output(desk->client, &span.len);
  return span;
}

/* This, and nothing else, is to be sent; it is. */
static void expect_output_at(struct desk *desk, const char *expected, int line)
{
  ehlo_span output = output_of(desk);
  if (!ehlo_span_equal(output, ehlo_span_of(expected))) {
    fail_msg("line %d: expected %s\nbut there was %.*s", line, expected, (int)output.len,
             output.len > 0 ? output.ptr : "");
  }
  ehlo_client_sent(desk->client, output.len);
}

#define expect_output(desk, expected) expect_output_at((desk), (expected), __LINE__)

/* Everything that is to be sent has been. */
static void sent_all(ehlo_client *client)
{
  size_t size;
  while (ehlo_client_output(client, &size) != NULL) {
    ehlo_client_sent(client, size);
  }
}

/* Sends what there is, and hears the answer. */
static void answer(struct desk *desk, const char *string)
{
  sent_all(desk->client);
  hear(desk, string);
}

static ehlo_span text(const char *string)
{
  return ehlo_span_of(string);
}

#define ALL_OFFERED                                                                                         \
  "250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-SEND\r\n" \
  "250-SOML\r\n250-SAML\r\n250-TURN\r\n250-EXPN\r\n250-VRFY\r\n250-HELP\r\n250 ENHANCEDSTATUSCODES\r\n"

/* Opens a session, behind HELLO. */
static void desk_begin(struct desk *desk, const ehlo_client_config *config, const char *offered)
{
  desk_open(desk, config);
  assert_int_equal(ehlo_client_hello(desk->client, 1), EHLO_OK);
  hear(desk, GREETING);
  answer(desk, offered);
  assert_int_equal(desk->count[EHLO_CLIENT_EVENT_HELLO], 1);
}

static int call_mail(struct desk *desk, uint64_t tag)
{
  return ehlo_client_mail(desk->client, text("alice@example.com"), NULL, tag);
}

static int call_rcpt(struct desk *desk, uint64_t tag)
{
  return ehlo_client_rcpt(desk->client, text("bob@example.org"), NULL, tag);
}

#define MAIL_LINE "MAIL FROM:<alice@example.com>\r\n"
#define RCPT_LINE "RCPT TO:<bob@example.org>\r\n"

static void call_transaction(struct desk *desk)
{
  assert_int_equal(call_mail(desk, 2), EHLO_OK);
  assert_int_equal(call_rcpt(desk, 3), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk->client, 4), EHLO_OK);
}

/* ---- nothing malformed leaves ---- */

enum {
  PATH_MAIL,
  PATH_SEND,
  PATH_SOML,
  PATH_SAML,
  PATH_MAIL_UTF8,
  PATH_RCPT,
  PATH_RCPT_UTF8,
  WORDS_MAIL,
  WORDS_RCPT,
  TEXT_VRFY,
  TEXT_EXPN,
  TEXT_VRFY_UTF8,
  TEXT_HELP,
  TEXT_NOOP,
  TEXT_COMMAND,
  WORD_COMMAND,
  PLACES
};

static const uint32_t place_verbs[PLACES] = {EHLO_VERB_MAIL, EHLO_VERB_SEND, EHLO_VERB_SOML,    EHLO_VERB_SAML,
                                             EHLO_VERB_MAIL, EHLO_VERB_RCPT, EHLO_VERB_RCPT,    EHLO_VERB_MAIL,
                                             EHLO_VERB_RCPT, EHLO_VERB_VRFY, EHLO_VERB_EXPN,    EHLO_VERB_VRFY,
                                             EHLO_VERB_HELP, EHLO_VERB_NOOP, EHLO_VERB_UNKNOWN, EHLO_VERB_UNKNOWN};

static int is_path(unsigned place)
{
  return place <= PATH_RCPT_UTF8;
}

static int is_for_rcpt(unsigned place)
{
  return place == PATH_RCPT || place == PATH_RCPT_UTF8 || place == WORDS_RCPT;
}

/* A session in which there is place for it. */
static void open_for(struct desk *desk, unsigned place)
{
  ehlo_client_config config = usual_config();
  config.pass_parameters = 1;
  desk_begin(desk, &config, ALL_OFFERED);
  if (is_for_rcpt(place)) {
    ehlo_mail_options options = {.struct_size = sizeof options, .smtputf8 = place == PATH_RCPT_UTF8};
    assert_int_equal(ehlo_client_mail(desk->client, text("a@b"), &options, 2), EHLO_OK);
    answer(desk, "250 ok\r\n");
  }
}

static int call_with(struct desk *desk, unsigned place, ehlo_span span)
{
  ehlo_client *client = desk->client;
  ehlo_mail_options mail = {.struct_size = sizeof mail, .smtputf8 = place == PATH_MAIL_UTF8};
  ehlo_rcpt_options rcpt = {.struct_size = sizeof rcpt, .parameters = span};
  switch (place) {
  case PATH_MAIL:
  case PATH_MAIL_UTF8: return ehlo_client_mail(client, span, &mail, 9);
  case PATH_SEND: return ehlo_client_send(client, span, NULL, 9);
  case PATH_SOML: return ehlo_client_soml(client, span, NULL, 9);
  case PATH_SAML: return ehlo_client_saml(client, span, NULL, 9);
  case PATH_RCPT:
  case PATH_RCPT_UTF8: return ehlo_client_rcpt(client, span, NULL, 9);
  case WORDS_MAIL: mail.parameters = span; return ehlo_client_mail(client, text("a@b"), &mail, 9);
  case WORDS_RCPT: return ehlo_client_rcpt(client, text("a@b"), &rcpt, 9);
  case TEXT_VRFY: return ehlo_client_vrfy(client, span, 0, 9);
  case TEXT_EXPN: return ehlo_client_expn(client, span, 0, 9);
  case TEXT_VRFY_UTF8: return ehlo_client_vrfy(client, span, 1, 9);
  case TEXT_HELP: return ehlo_client_help(client, span, 9);
  case TEXT_NOOP: return ehlo_client_noop(client, span, 9);
  case TEXT_COMMAND: return ehlo_client_command(client, text("XYZZY"), span, 9);
  default: return ehlo_client_command(client, span, text("now"), 9);
  }
}

/* What a call that failed left behind: nothing. */
static void expect_unchanged(struct desk *desk, const char *what, int result)
{
  if (result == EHLO_OK || output_of(desk).len != 0 || ehlo_client_pending(desk->client) != 0 ||
      ehlo_client_want(desk->client) != EHLO_WANT_READ) {
    fail_msg("let out: %s", what);
  }
}

/* What a call that did not fail left: one command line that reads as what was called. */
static void expect_one_line(struct desk *desk, unsigned place)
{
  ehlo_span line = output_of(desk);
  ehlo_command command;
  assert_true(line.len > 2 && memcmp(line.ptr + line.len - 2, "\r\n", 2) == 0);
  line.len -= 2;
  assert_null(memchr(line.ptr, '\r', line.len)); /* [C-CMD-21] */
  assert_null(memchr(line.ptr, '\n', line.len));
  assert_null(memchr(line.ptr, '\0', line.len));
  assert_int_equal(ehlo_parse_command(line, &command), EHLO_OK);
  assert_int_equal(command.verb, place_verbs[place]);
  if (place == TEXT_VRFY_UTF8) {
    assert_memory_equal(line.ptr + line.len - 9, " SMTPUTF8", 9);
  }
  int utf8 = place == PATH_MAIL_UTF8 || place == PATH_RCPT_UTF8 || place == TEXT_VRFY_UTF8;
  for (size_t i = 0; i < line.len && !utf8; i++) {
    assert_in_range((unsigned char)line.ptr[i], ' ', '~'); /* [C-CMD-22] */
  }
  if (is_path(place)) {
    ehlo_path path;
    size_t used;
    size_t colon = is_for_rcpt(place) ? 3 : 5;
    ehlo_span rest = {command.argument.ptr + colon, command.argument.len - colon};
    assert_memory_equal(command.argument.ptr, is_for_rcpt(place) ? "TO:" : "FROM:", colon);
    assert_int_equal(ehlo_parse_path(rest, utf8 ? EHLO_PARSE_UTF8 : 0, &path, &used), EHLO_OK);
    assert_int_equal(path.route.len, 0); /* [C-MAIL-18] */
    assert_true(used == rest.len || (place == PATH_MAIL_UTF8 && rest.len - used == strlen(" SMTPUTF8")));
  }
}

static const struct {
  unsigned from, to; /* places */
  const char *bad;
  int error;
} injections[] = {
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b\r\nRCPT TO:<c@d>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b>\r\nDATA", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b\r\n", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b>\n", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\r\nDATA\r\n\"@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\\\nb\"@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\tb\"@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b> SIZE=1", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b> SIZE=1", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b> ", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b ", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, " a@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<<a@b>>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a@b>>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<a>b@c>", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a>@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b>@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a\"@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\"b\"@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"a\\\"@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\"\"@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a b@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b,c@d", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, ".a@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a..b@c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@-b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b..c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@b_c", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@[1.2.3]", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@[1.2.3.4", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "< >", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "<>x", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "\xC3@b", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_RCPT_UTF8, "a@\xFF", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_SAML, "\xC3\xB8@b", EHLO_ERR_SMTPUTF8}, /* [C-UTF8-14] */
    {PATH_MAIL, PATH_SAML, "postmaster", EHLO_ERR_SYNTAX},
    {PATH_MAIL, PATH_SAML, "<postmaster>", EHLO_ERR_SYNTAX},
    {PATH_RCPT, PATH_RCPT, "a@\xC3\xB8", EHLO_ERR_SMTPUTF8},
    {PATH_RCPT, PATH_RCPT_UTF8, "", EHLO_ERR_SYNTAX},
    {PATH_RCPT, PATH_RCPT_UTF8, "<>", EHLO_ERR_SYNTAX},
    {PATH_RCPT, PATH_RCPT_UTF8, "postmaster\r\n", EHLO_ERR_SYNTAX},

    {WORDS_MAIL, WORDS_RCPT, "X=1\r\nDATA", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=1\r", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "\nX=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=1 ", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, " X=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=1  Y", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X==1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=\x7F", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "X=\xC3\xB8", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_RCPT, "-X=1", EHLO_ERR_SYNTAX},
    {WORDS_MAIL, WORDS_MAIL, "SIZE=1", EHLO_ERR_ARGUMENT},
    {WORDS_MAIL, WORDS_MAIL, "X=1 body=8BITMIME", EHLO_ERR_ARGUMENT},
    {WORDS_MAIL, WORDS_MAIL, "SmtpUtf8", EHLO_ERR_ARGUMENT},

    {TEXT_VRFY, TEXT_COMMAND, "a\r\nDATA", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "a\r", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "\na", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "a\x7F", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "a\x1B[2J", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_COMMAND, "\xFF", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_EXPN, "\xC3\xB8", EHLO_ERR_SYNTAX},
    {TEXT_HELP, TEXT_COMMAND, "\xC3\xB8", EHLO_ERR_SYNTAX},
    {TEXT_VRFY, TEXT_VRFY_UTF8, "", EHLO_ERR_SYNTAX},

    {WORD_COMMAND, WORD_COMMAND, "", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X\r\nDATA", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X\n", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X Y", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X ", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, " X", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "X:", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "\xC3\xB8", EHLO_ERR_SYNTAX},
    {WORD_COMMAND, WORD_COMMAND, "DATA", EHLO_ERR_ARGUMENT},
    {WORD_COMMAND, WORD_COMMAND, "quit", EHLO_ERR_ARGUMENT},
    {WORD_COMMAND, WORD_COMMAND, "Mail", EHLO_ERR_ARGUMENT},
};

static void injections_are_refused(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof injections / sizeof injections[0]; i++) {
    for (unsigned place = injections[i].from; place <= injections[i].to; place++) {
      struct desk desk;
      open_for(&desk, place);
      int result = call_with(&desk, place, text(injections[i].bad));
      expect_unchanged(&desk, injections[i].bad, result);
      if (result != injections[i].error) {
        fail_msg("place %u, %s: %s", place, injections[i].bad, ehlo_strerror(result));
      }
      /* Also with something before it in the output. */
      assert_int_equal(ehlo_client_noop(desk.client, text(""), 0), EHLO_OK);
      assert_int_equal(call_with(&desk, place, text(injections[i].bad)), injections[i].error);
      assert_int_equal(ehlo_client_pending(desk.client), 1);
      expect_output(&desk, "NOOP\r\n");
      hear(&desk, "250 ok\r\n");
      desk_close(&desk);
    }
  }
}

/* Every octet at every place of a good argument: what is not refused is still one line that says what it should. */
static void every_octet_everywhere(void **state)
{
  (void)state;
  static const char *const good[PLACES][4] = {
      {"alice@example.com", "<a@[192.0.2.1]>", "\"a \\\"b\"@c", "<@r.example:a@b>"},
      {"<a@b>"},
      {"a@b"},
      {"<>"},
      {"\xC3\xB8@b", "<\"\xC3\xB8 \"@\xC3\xB8>"},
      {"bob@example.org", "<\"a>b\"@c>", "postmaster", "<@r:a@b>"},
      {"\xC3\xB8@\xC3\xB8"},
      {"X=1 Y", "LONG=VALUE"},
      {"X=1 Y"},
      {"Jones", "a b"},
      {"list"},
      {"J\xC3\xB8nes"},
      {"HELP"},
      {"a b"},
      {"a b"},
      {"XYZZY"}};
  for (unsigned place = 0; place < PLACES; place++) {
    for (unsigned g = 0; g < 4 && good[place][g] != NULL; g++) {
      struct desk desk;
      size_t length = strlen(good[place][g]);
      open_for(&desk, place);
      assert_int_equal(call_with(&desk, place, text(good[place][g])), EHLO_OK);
      expect_one_line(&desk, place);
      desk_close(&desk);
      for (size_t at = 0; at <= length; at++) {
        for (unsigned octet = 0; octet < 512; octet++) {
          /* Put before, or in place of, the octet that stands there. */
          size_t replaced = octet >> 8;
          if (replaced > length - at) {
            continue;
          }
          char bad[64];
          memcpy(bad, good[place][g], at);
          bad[at] = (char)octet;
          memcpy(bad + at + 1, good[place][g] + at + replaced, length - at - replaced);
          open_for(&desk, place);
          int result = call_with(&desk, place, (ehlo_span){bad, length + 1 - replaced});
          if (result != EHLO_OK) {
            expect_unchanged(&desk, good[place][g], result);
          } else {
            assert_true((octet & 255) >= ' ' && (octet & 255) != 127);
            expect_one_line(&desk, place);
          }
          desk_close(&desk);
        }
      }
    }
  }
}

static void lines_have_their_limit(void **state)
{
  (void)state;
  static char longest[6000];
  memset(longest, 'x', sizeof longest);
  static const uint32_t outputs[] = {EHLO_CLIENT_MIN_OUTPUT_SIZE, EHLO_CLIENT_DEFAULT_OUTPUT_SIZE, 20000};
  for (size_t i = 0; i < 3; i++) {
    struct desk desk;
    ehlo_client_config config = usual_config();
    config.output_size = outputs[i];
    desk_begin(&desk, &config, "250 mail.example.org\r\n");
    /* "NOOP " and CRLF are seven. */
    assert_int_equal(ehlo_client_noop(desk.client, (ehlo_span){longest, 506}, 0), EHLO_ERR_TOO_LONG);
    assert_int_equal(ehlo_client_noop(desk.client, (ehlo_span){longest, sizeof longest}, 0), EHLO_ERR_TOO_LONG);
    assert_int_equal(output_of(&desk).len, 0);
    assert_int_equal(ehlo_client_noop(desk.client, (ehlo_span){longest, 505}, 0), EHLO_OK);
    assert_int_equal(output_of(&desk).len, 512);
    answer(&desk, "250 ok\r\n");
    memcpy(longest + 400, "@example.com", 12);
    assert_int_equal(ehlo_client_mail(desk.client, (ehlo_span){longest, 412}, NULL, 0), EHLO_OK);
    assert_int_equal(output_of(&desk).len, 412 + strlen("MAIL FROM:<>\r\n"));
    answer(&desk, "250 ok\r\n");
    memset(longest + 400, 'x', 12);
    memcpy(longest + 488, "@example.com", 12);
    assert_int_equal(ehlo_client_rcpt(desk.client, (ehlo_span){longest, 500}, NULL, 0), EHLO_OK);
    assert_int_equal(output_of(&desk).len, 512);
    answer(&desk, "550 no\r\n");
    memset(longest + 488, 'x', 12);
    memcpy(longest + 489, "@example.com", 12);
    assert_int_equal(ehlo_client_rcpt(desk.client, (ehlo_span){longest, 501}, NULL, 0), EHLO_ERR_TOO_LONG);
    memset(longest + 489, 'x', 12);
    memcpy(longest + sizeof longest - 12, "@example.com", 12);
    assert_int_equal(ehlo_client_rcpt(desk.client, (ehlo_span){longest, sizeof longest}, NULL, 0), EHLO_ERR_TOO_LONG);
    longest[0] = longest[sizeof longest - 13] = '"';
    assert_int_equal(ehlo_client_rcpt(desk.client, (ehlo_span){longest, sizeof longest}, NULL, 0), EHLO_ERR_TOO_LONG);
    longest[0] = longest[sizeof longest - 13] = 'x';
    memset(longest + sizeof longest - 12, 'x', 12);
    assert_int_equal(output_of(&desk).len, 0);
    desk_close(&desk);
  }
}

/* ---- config and memory ---- */

static void config_has_the_defaults_of_the_header(void **state)
{
  (void)state;
  ehlo_client_config config;
  assert_int_equal(ehlo_client_config_init(NULL, sizeof config), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_config_init(&config, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_config_init(&config, sizeof config - 1), EHLO_ERR_ARGUMENT);
  memset(&config, 0xFF, sizeof config);
  assert_int_equal(ehlo_client_config_init(&config, sizeof config), EHLO_OK);
  assert_int_equal(config.struct_size, sizeof config);
  assert_int_equal(config.hostname.len, 0);
  assert_int_equal(config.protocol, EHLO_PROTOCOL_SMTP);
  for (unsigned i = 0; i < EHLO_EXT_COUNT; i++) {
    assert_int_equal(config.use[i], 1);
  }
  assert_int_equal(config.output_size, 4096);
  assert_int_equal(config.max_commands, 64);
  assert_int_equal(config.max_recipients, 100);
  assert_int_equal(config.max_reply_line, 1024);
  assert_int_equal(config.max_reply_lines, 1000);
  assert_int_equal(config.max_reply_size, 65536);
  assert_int_equal(config.greeting_timeout, 300); /* [H-TIME-02] */
  assert_int_equal(config.command_timeout, 300);  /* [H-TIME-03] [H-TIME-04] */
  assert_int_equal(config.data_timeout, 120);     /* [H-TIME-05] */
  assert_int_equal(config.content_timeout, 180);  /* [H-TIME-06] */
  assert_int_equal(config.verdict_timeout, 600);  /* [H-TIME-07] */
  assert_int_equal(config.no_helo | config.hold_data | config.pass_parameters | config.convert_lf, 0);
  assert_int_equal(ehlo_client_size(&config), 0); /* a host name is required */
}

static int is_legal(const ehlo_client_config *config)
{
  static _Alignas(max_align_t) char memory[1 << 16];
  ehlo_client *client = (ehlo_client *)(void *)memory;
  size_t size = ehlo_client_size(config);
  int result = ehlo_client_init(&client, memory, sizeof memory, config, on_desk, NULL);
  assert_int_equal(result, size == 0 ? EHLO_ERR_CONFIG : size <= sizeof memory ? EHLO_OK : EHLO_ERR_MEMORY);
  assert_int_equal(client == NULL, result != EHLO_OK);
  return size != 0;
}

static void config_limits_are_checked(void **state)
{
  (void)state;
  ehlo_client_config config = usual_config();
  struct {
    uint32_t *field;
    uint32_t least, most;
  } ranges[] = {{&config.output_size, 1024, 16777216},     {&config.max_commands, 1, 10000},
                {&config.max_recipients, 1, 1000000},      {&config.max_reply_line, 512, 65536},
                {&config.max_reply_lines, 1, UINT32_MAX},  {&config.max_reply_size, 1024, UINT32_MAX},
                {&config.greeting_timeout, 0, UINT32_MAX}, {&config.command_timeout, 0, UINT32_MAX},
                {&config.data_timeout, 0, UINT32_MAX},     {&config.content_timeout, 0, UINT32_MAX},
                {&config.verdict_timeout, 0, UINT32_MAX},  {&config.protocol, 0, 1}};
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    uint32_t usual = *ranges[i].field;
    *ranges[i].field = ranges[i].least;
    assert_true(is_legal(&config));
    *ranges[i].field = ranges[i].most;
    assert_true(is_legal(&config));
    *ranges[i].field = ranges[i].least - 1;
    assert_int_equal(is_legal(&config), ranges[i].least == 0 && ranges[i].most == UINT32_MAX);
    *ranges[i].field = ranges[i].most + 1;
    assert_int_equal(is_legal(&config), ranges[i].least == 0 && ranges[i].most == UINT32_MAX);
    *ranges[i].field = usual;
  }
  config.max_reply_line = 1025;
  config.max_reply_size = 1024;
  assert_false(is_legal(&config));
  static const char *const good[] = {"client.example.com", "localhost", "[192.0.2.1]",
                                     "[IPv6:2001:db8::1]"}; /* [C-HELO-06] */
  static const char *const bad[] = {"",
                                    "a..b",
                                    ".a",
                                    "a.",
                                    "under_score.example",
                                    "a b",
                                    "a\r\nb",
                                    "-a",
                                    "<a.b>",
                                    "[192.0.2.256]",
                                    "a\r",
                                    "m\xC3\xB8ller.example"}; /* [C-UTF8-13] */
  config = usual_config();
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    config.hostname = text(good[i]);
    assert_true(is_legal(&config));
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    config.hostname = text(bad[i]);
    assert_false(is_legal(&config));
  }
  char longest[] =
      "x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x."
      "x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x."
      "x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.xyz";
  config.hostname = (ehlo_span){longest, 255};
  assert_true(is_legal(&config));
  config.hostname.len = 256;
  assert_false(is_legal(&config));
  config = usual_config();
  config.struct_size = 0;
  assert_false(is_legal(&config));
  assert_int_equal(ehlo_client_size(NULL), 0);
}

static void init_and_attach_check_the_memory(void **state)
{
  (void)state;
  static _Alignas(max_align_t) char memory[1 << 16];
  ehlo_client_config config = usual_config();
  size_t size = ehlo_client_size(&config);
  ehlo_client *client = (ehlo_client *)(void *)memory;
  assert_in_range(size, 1, sizeof memory - 16);
  assert_int_equal(ehlo_client_init(NULL, memory, size, &config, on_desk, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_init(&client, NULL, size, &config, on_desk, NULL), EHLO_ERR_ARGUMENT);
  assert_null(client);
  assert_int_equal(ehlo_client_init(&client, memory, size, NULL, on_desk, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_init(&client, memory, size, &config, NULL, NULL), EHLO_ERR_ARGUMENT);
  client = (ehlo_client *)(void *)memory;
  assert_int_equal(ehlo_client_init(&client, memory, size - 1, &config, on_desk, NULL), EHLO_ERR_MEMORY);
  assert_null(client);
  for (size_t off = 1; off < _Alignof(max_align_t); off++) {
    assert_int_equal(ehlo_client_init(&client, memory + off, size, &config, on_desk, NULL), EHLO_ERR_MEMORY);
    assert_int_equal(ehlo_client_attach(&client, memory + off, size, on_desk, NULL), EHLO_ERR_MEMORY);
  }
  assert_int_equal(ehlo_client_attach(&client, memory, size, on_desk, NULL), EHLO_ERR_VERSION);
  assert_int_equal(ehlo_client_init(&client, memory, size, &config, on_desk, NULL), EHLO_OK);
  assert_ptr_equal(client, memory);

  struct desk desk;
  desk_begin(&desk, NULL, ALL_OFFERED);
  assert_int_equal(call_mail(&desk, 2), EHLO_OK);
  memcpy(memory, desk.block, desk.size);
  assert_int_equal(ehlo_client_attach(NULL, memory, desk.size, on_desk, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_attach(&client, NULL, desk.size, on_desk, NULL), EHLO_ERR_ARGUMENT);
  assert_null(client);
  assert_int_equal(ehlo_client_attach(&client, memory, desk.size, NULL, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_attach(&client, memory, desk.size - 1, on_desk, NULL), EHLO_ERR_MEMORY);
  assert_int_equal(ehlo_client_attach(&client, memory, 1, on_desk, NULL), EHLO_ERR_MEMORY);
  assert_null(client);
  memset(desk.block, 0xEE, desk.size);
  struct desk other_desk = desk;
  assert_int_equal(ehlo_client_attach(&other_desk.client, memory, sizeof memory, on_desk, &other_desk), EHLO_OK);
  assert_ptr_equal(other_desk.client, memory);
  expect_output(&other_desk, MAIL_LINE);
  hear(&other_desk, "250 ok\r\n");
  assert_int_equal(other_desk.reply_tag, 2);
  assert_int_equal(desk.reply_tag, 1);

  /* A server's block is none of a client's. */
  ehlo_server_config other;
  ehlo_server *server;
  assert_int_equal(ehlo_server_config_init(&other, sizeof other), EHLO_OK);
  other.hostname = text("mail.example.org");
  assert_int_equal(ehlo_client_attach(&client, memory, sizeof memory, on_desk, NULL), EHLO_OK);
  assert_int_equal(
      ehlo_server_attach(&server, memory, sizeof memory, (ehlo_server_event_fn *)(void (*)(void))on_desk, NULL),
      EHLO_ERR_VERSION);
  desk_close(&desk);
}

/* ---- NULL ---- */

static void null_is_told(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_span none = {NULL, 0};
  ehlo_span lie = {NULL, 3};
  ehlo_span spans[8];
  size_t size = 1;
  size_t count = 1;
  uint64_t epoch = 1;
  assert_int_equal(ehlo_client_feed(NULL, "", 0, &size), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_eof(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_timed_out(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_hello(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_helo(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_mail(NULL, none, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_send(NULL, none, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_soml(NULL, none, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_saml(NULL, none, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_rcpt(NULL, text("a@b"), NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_data(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_rset(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_vrfy(NULL, text("a"), 0, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_expn(NULL, text("a"), 0, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_help(NULL, none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_noop(NULL, none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_quit(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_turn(NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_command(NULL, text("X"), none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body(NULL, "", 0, &size), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(NULL, "", 0, &size, spans, 8, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_end(NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_abort(NULL), EHLO_ERR_ARGUMENT);
  assert_null(ehlo_client_output(NULL, &size));
  assert_int_equal(size, 0);
  ehlo_client_sent(NULL, 1);
  assert_int_equal(ehlo_client_want(NULL), 0);
  assert_int_equal(ehlo_client_timeout(NULL, &epoch), 0);
  assert_true(epoch == 0);
  assert_int_equal(ehlo_client_offers(NULL, 0), 0);
  assert_true(ehlo_client_size_limit(NULL) == 0);
  assert_int_equal(ehlo_client_hello_verb(NULL), EHLO_VERB_NONE);
  assert_int_equal(ehlo_client_pending(NULL), 0);
  assert_int_equal(ehlo_client_violation(NULL), 0);

  desk_begin(&desk, NULL, ALL_OFFERED);
  assert_int_equal(ehlo_client_feed(desk.client, NULL, 1, &size), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_feed(desk.client, "", 0, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_feed(desk.client, NULL, 0, &size), EHLO_OK);
  assert_int_equal(ehlo_client_mail(desk.client, lie, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_vrfy(desk.client, lie, 0, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_expn(desk.client, lie, 0, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_help(desk.client, lie, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_noop(desk.client, lie, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_command(desk.client, lie, none, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_command(desk.client, text("X"), lie, 0), EHLO_ERR_ARGUMENT);
  ehlo_mail_options mail = {.struct_size = sizeof mail - 1};
  ehlo_rcpt_options rcpt = {.struct_size = 0};
  assert_int_equal(ehlo_client_mail(desk.client, none, &mail, 0), EHLO_ERR_ARGUMENT);
  mail = (ehlo_mail_options){.struct_size = sizeof mail, .body = 3};
  assert_int_equal(ehlo_client_mail(desk.client, none, &mail, 0), EHLO_ERR_ARGUMENT);
  mail = (ehlo_mail_options){.struct_size = sizeof mail, .parameters = lie};
  assert_int_equal(ehlo_client_mail(desk.client, none, &mail, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(output_of(&desk).len, 0);
  assert_null(ehlo_client_output(desk.client, NULL));
  assert_int_equal(call_mail(&desk, 2), EHLO_OK);
  assert_int_equal(ehlo_client_rcpt(desk.client, text("a@b"), &rcpt, 0), EHLO_ERR_ARGUMENT);
  rcpt = (ehlo_rcpt_options){.struct_size = sizeof rcpt, .parameters = lie};
  assert_int_equal(ehlo_client_rcpt(desk.client, text("a@b"), &rcpt, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_rcpt(desk.client, lie, NULL, 0), EHLO_ERR_ARGUMENT);
  assert_int_equal(call_rcpt(&desk, 3), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk.client, 4), EHLO_OK);
  sent_all(desk.client);
  hear(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  assert_int_equal(ehlo_client_body(desk.client, NULL, 1, &size), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body(desk.client, "", 0, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, NULL, 1, &size, spans, 8, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, NULL, spans, 8, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, &size, NULL, 8, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, &size, spans, 7, &count), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body_gather(desk.client, "", 0, &size, spans, 8, NULL), EHLO_ERR_ARGUMENT);
  assert_int_equal(ehlo_client_body(desk.client, NULL, 0, &size), EHLO_OK);
  assert_int_equal(ehlo_client_body_gather(desk.client, NULL, 0, &size, spans, 8, &count), EHLO_OK);
  assert_int_equal(size + count, 0);
  assert_int_equal(output_of(&desk).len, 0);
  desk_close(&desk);
}

/* ---- what may be called when ---- */

enum {
  NEW,
  HELLO_OUT,
  IDLE,
  IN_MAIL,
  IN_RCPT,
  MAIL_REFUSED,
  DATA_OUT,
  CONTENT,
  VERDICT_OUT,
  QUIT_OUT,
  TURN_OUT,
  TURNED,
  GREETING_REFUSED,
  OVER,
  STATES
};

static void bring_to(struct desk *desk, unsigned state)
{
  if (state == NEW || state == GREETING_REFUSED) {
    desk_open(desk, NULL);
    if (state == GREETING_REFUSED) {
      hear(desk, "554 no\r\n");
    }
    return;
  }
  desk_begin(desk, NULL, ALL_OFFERED);
  switch (state) {
  case HELLO_OUT: assert_int_equal(ehlo_client_hello(desk->client, 1), EHLO_OK); break;
  case IN_MAIL:
  case IN_RCPT:
  case MAIL_REFUSED:
    assert_int_equal(call_mail(desk, 2), EHLO_OK);
    if (state != IN_MAIL) {
      assert_int_equal(call_rcpt(desk, 3), EHLO_OK);
    }
    answer(desk, state == MAIL_REFUSED ? "550 no\r\n" : "250 ok\r\n");
    break;
  case DATA_OUT: call_transaction(desk); break;
  case CONTENT:
  case VERDICT_OUT:
    call_transaction(desk);
    answer(desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
    if (state == VERDICT_OUT) {
      assert_int_equal(ehlo_client_body_end(desk->client), EHLO_OK);
    }
    break;
  case QUIT_OUT: assert_int_equal(ehlo_client_quit(desk->client, 5), EHLO_OK); break;
  case TURN_OUT:
  case TURNED:
    assert_int_equal(ehlo_client_turn(desk->client, 6), EHLO_OK);
    if (state == TURNED) {
      answer(desk, "250 ok\r\n");
    }
    break;
  case OVER: assert_int_equal(ehlo_client_eof(desk->client), EHLO_OK); break;
  default: break;
  }
  sent_all(desk->client);
}

enum { CALLS = 22 };

static int make_call(struct desk *desk, unsigned call)
{
  ehlo_client *client = desk->client;
  ehlo_span path = text("a@b");
  ehlo_span spans[8];
  size_t taken;
  size_t count;
  switch (call) {
  case 0: return ehlo_client_hello(client, 0);
  case 1: return ehlo_client_helo(client, 0);
  case 2: return ehlo_client_mail(client, path, NULL, 0);
  case 3: return ehlo_client_send(client, path, NULL, 0);
  case 4: return ehlo_client_soml(client, path, NULL, 0);
  case 5: return ehlo_client_saml(client, path, NULL, 0);
  case 6: return ehlo_client_rcpt(client, path, NULL, 0);
  case 7: return ehlo_client_data(client, 0);
  case 8: return ehlo_client_rset(client, 0);
  case 9: return ehlo_client_vrfy(client, path, 0, 0);
  case 10: return ehlo_client_vrfy(client, path, 1, 0);
  case 11: return ehlo_client_expn(client, path, 0, 0);
  case 12: return ehlo_client_help(client, path, 0);
  case 13: return ehlo_client_noop(client, path, 0);
  case 14: return ehlo_client_quit(client, 0);
  case 15: return ehlo_client_turn(client, 0);
  case 16: return ehlo_client_command(client, text("X"), path, 0);
  case 17: return ehlo_client_body(client, "x", 1, &taken);
  case 18: return ehlo_client_body_gather(client, "x", 1, &taken, spans, 8, &count);
  case 19: return ehlo_client_body_end(client);
  case 20: return ehlo_client_body_abort(client);
  default: return ehlo_client_eof(client);
  }
}

/* For each state a letter for each call, in the order above: "." it can be made, "S" EHLO_ERR_STATE, "R"
 * EHLO_ERR_REFUSED, "8" EHLO_ERR_SMTPUTF8, "?" either. */
static const char *const may_be_called[STATES] = {
    [NEW] = "..SSSSSS..8....S.SSSS.",
    [HELLO_OUT] = "SSSSSSSSSSSSSSSSSSSSS.",
    [IDLE] = "......SS.........SSSS.",
    [IN_MAIL] = "..SSSS.S.......S.SSSS.",
    [IN_RCPT] = "..SSSS.........S.SSSS.",
    [MAIL_REFUSED] = "..SSSSRR.......S.SSSS.",
    [DATA_OUT] = "SSSSSSSSSSSSSSSSSSSS..",
    [CONTENT] = "SSSSSSSSSSSSSSSSS.....",
    [VERDICT_OUT] = "......SS.......?.SSSS.",
    [QUIT_OUT] = "SSSSSSSSSSSSSSSSSSSSS.",
    [TURN_OUT] = "SSSSSSSSSSSSSSSSSSSSS.",
    [TURNED] = "SSSSSSSSSSSSSSSSSSSSS.",
    [GREETING_REFUSED] = "SSSSSSSSSSSSSS.SSSSSS.",
    [OVER] = "SSSSSSSSSSSSSSSSSSSSS.",
};

static void every_call_in_every_state(void **state)
{
  (void)state;
  for (unsigned at = 0; at < STATES; at++) {
    assert_int_equal(strlen(may_be_called[at]), CALLS);
    for (unsigned call = 0; call < CALLS; call++) {
      struct desk desk;
      bring_to(&desk, at);
      size_t before = output_of(&desk).len;
      uint32_t pending = ehlo_client_pending(desk.client);
      int result = make_call(&desk, call);
      char letter = may_be_called[at][call];
      int expected = letter == 'S'   ? EHLO_ERR_STATE
                     : letter == 'R' ? EHLO_ERR_REFUSED
                     : letter == '8' ? EHLO_ERR_SMTPUTF8
                                     : EHLO_OK;
      if (letter != '?' && result != expected) {
        fail_msg("state %u, call %u: %s, not %s", at, call, ehlo_strerror(result), ehlo_strerror(expected));
      }
      if (result != EHLO_OK) {
        assert_int_equal(output_of(&desk).len, before);
        assert_int_equal(ehlo_client_pending(desk.client), pending);
      } else if (call < 17) {
        assert_int_equal(ehlo_client_pending(desk.client), pending + 1);
      }
      desk_close(&desk);
    }
  }
}

static void be_reentrant(struct desk *desk, const ehlo_client_event *event)
{
  (void)event;
  size_t consumed = 1;
  assert_int_equal(ehlo_client_feed(desk->client, "250 ok\r\n", 8, &consumed), EHLO_ERR_REENTRANT);
  assert_int_equal(consumed, 0);
  assert_int_equal(ehlo_client_eof(desk->client), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_client_timed_out(desk->client), EHLO_ERR_REENTRANT);
  assert_int_equal(ehlo_client_body_abort(desk->client), EHLO_ERR_REENTRANT);
}

/* A session that has every event but VIOLATION, or with `bad` that too. Each reply is an event of its own. */
static void have_every_event(struct desk *desk, int bad)
{
  hear(desk, GREETING);
  (void)ehlo_client_hello(desk->client, 1);
  answer(desk, PIPELINING);
  (void)call_mail(desk, 2);
  (void)call_rcpt(desk, 3);
  (void)ehlo_client_data(desk->client, 4);
  answer(desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  if (bad) {
    answer(desk, "nonsense\r\n");
  }
  (void)ehlo_client_body_end(desk->client);
  answer(desk, "250 ok\r\n");
  (void)ehlo_client_quit(desk->client, 5);
  answer(desk, "221 bye\r\n");
}

static void handlers_cannot_call_what_calls_them(void **state)
{
  (void)state;
  for (int bad = 0; bad < 2; bad++) {
    struct desk desk;
    desk_open(&desk, NULL);
    desk.in_handler = be_reentrant;
    have_every_event(&desk, bad);
    for (uint32_t type = 1; type < 7; type++) {
      assert_int_equal(desk.count[type] > 0, type != EHLO_CLIENT_EVENT_VIOLATION || bad);
    }
    assert_int_equal(desk.end.reason, bad ? EHLO_END_FAILED : EHLO_END_ACCEPTED);
    desk_close(&desk);
  }
}

static void a_handler_can_end_the_session(void **state)
{
  (void)state;
  static const int results[] = {-1, EHLO_FAIL_TRANSACTION, 7};
  for (uint32_t type = 1; type < 7; type++) {
    for (unsigned i = 0; i < 3; i++) {
      struct desk desk;
      size_t size = 1;
      desk_open(&desk, NULL);
      desk.fatal_at = type;
      desk.fatal = results[i];
      have_every_event(&desk, type == EHLO_CLIENT_EVENT_VIOLATION);
      assert_int_equal(desk.over, 1);
      assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
      assert_null(ehlo_client_output(desk.client, &size));
      assert_int_equal(ehlo_client_feed(desk.client, "220 hi\r\n", 8, &size), EHLO_ERR_HOST);
      assert_int_equal(size, 8);
      assert_int_equal(ehlo_client_eof(desk.client), EHLO_ERR_HOST);
      assert_int_equal(ehlo_client_timed_out(desk.client), EHLO_ERR_HOST);
      assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_ERR_HOST);
      assert_int_equal(ehlo_client_noop(desk.client, text(""), 0), EHLO_ERR_STATE);
      assert_int_equal(ehlo_client_body_end(desk.client), EHLO_ERR_STATE);
      assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
      desk_close(&desk);
    }
  }
}

/* The handler that ends the session in the very call that would tell more. */
static void a_handler_that_ends_the_session_hears_no_more(void **state)
{
  (void)state;
  struct desk desk;
  desk_begin(&desk, NULL, ALL_OFFERED);
  assert_int_equal(call_mail(&desk, 2), EHLO_OK);
  assert_int_equal(ehlo_client_rset(desk.client, 3), EHLO_OK);
  assert_int_equal(call_mail(&desk, 4), EHLO_OK);
  desk.fatal_at = EHLO_CLIENT_EVENT_END;
  desk.fatal = -1;
  assert_int_equal(ehlo_client_eof(desk.client), EHLO_ERR_HOST);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  desk_close(&desk);
  desk_begin(&desk, NULL, ALL_OFFERED);
  call_transaction(&desk);
  desk.fatal_at = EHLO_CLIENT_EVENT_REPLY;
  desk.fatal = -1;
  sent_all(desk.client);
  size_t consumed;
  assert_int_equal(ehlo_client_feed(desk.client, "250 ok\r\n250 ok\r\n354 go on\r\n", 27, &consumed), EHLO_ERR_HOST);
  assert_int_equal(consumed, 27);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_REPLY], 3); /* the greeting, EHLO, MAIL */
  desk_close(&desk);
}

/* ---- room ---- */

static void room_for_commands_comes_with_replies(void **state)
{
  (void)state;
  for (uint32_t most = 1; most < 4; most++) {
    struct desk desk;
    ehlo_client_config config = usual_config();
    config.max_commands = most;
    desk_begin(&desk, &config, ALL_OFFERED);
    uint32_t called = 0;
    while (ehlo_client_rset(desk.client, called) == EHLO_OK) {
      called++;
    }
    assert_int_equal(called, most);
    assert_int_equal(ehlo_client_rset(desk.client, 0), EHLO_ERR_SPACE);
    assert_int_equal(ehlo_client_quit(desk.client, 0), EHLO_ERR_SPACE);
    assert_int_equal(ehlo_client_pending(desk.client), most);
    assert_int_equal(output_of(&desk).len, most * strlen("RSET\r\n"));
    sent_all(desk.client);
    assert_int_equal(ehlo_client_rset(desk.client, 0), EHLO_ERR_SPACE); /* sent is not answered */
    for (uint32_t i = 0; i < 3 * most; i++) {
      hear(&desk, "250 ok\r\n");
      assert_int_equal(desk.reply_tag, i);
      assert_int_equal(ehlo_client_rset(desk.client, called++), EHLO_OK);
      assert_int_equal(ehlo_client_rset(desk.client, 0), EHLO_ERR_SPACE);
      expect_output(&desk, "RSET\r\n");
    }
    desk_close(&desk);
  }
}

/* More recipients than the output holds: all arrive, in order, and not more than the output holds at once. */
static void many_recipients(const char *offered, size_t take)
{
  struct desk desk;
  char expected[64];
  char wire[64 * 300];
  size_t length = 0;
  size_t at = 0;
  unsigned called = 0;
  unsigned answered = 0;
  ehlo_client_config config = usual_config();
  config.output_size = EHLO_CLIENT_MIN_OUTPUT_SIZE;
  config.max_commands = 1000;
  desk_begin(&desk, &config, offered);
  assert_int_equal(call_mail(&desk, 0), EHLO_OK);
  answer(&desk, "250 ok\r\n");
  while (answered < 200) {
    int result = EHLO_OK;
    while (called < 200 && result == EHLO_OK) {
      snprintf(expected, sizeof expected, "recipient-%u@example.org", called);
      result = ehlo_client_rcpt(desk.client, text(expected), NULL, called);
      called += result == EHLO_OK;
    }
    assert_true(result == EHLO_OK || result == EHLO_ERR_SPACE);
    ehlo_span output = output_of(&desk);
    assert_in_range(output.len, 0, config.output_size);
    size_t size = output.len < take ? output.len : take;
    if (size > 0) {
      memcpy(wire + length, output.ptr, size);
      length += size;
    }
    ehlo_client_sent(desk.client, size);
    const char *end;
    while (answered < 200 && (end = memchr(wire + at, '\n', length - at)) != NULL) {
      int line = snprintf(expected, sizeof expected, "RCPT TO:<recipient-%u@example.org>\r\n", answered);
      assert_int_equal(end + 1 - (wire + at), line);
      assert_memory_equal(wire + at, expected, (size_t)line);
      at += (size_t)line;
      hear(&desk, "250 ok\r\n");
      assert_int_equal(desk.reply.ordinal, answered);
      assert_int_equal(desk.reply_tag, answered);
      answered++;
    }
  }
  desk_close(&desk);
}

static void room_for_output_comes_with_sending(void **state)
{
  (void)state;
  static const size_t takes[] = {1, 7, 500, 5000};
  for (unsigned i = 0; i < 4; i++) {
    many_recipients(PIPELINING, takes[i]);
    many_recipients(LOCKSTEP, takes[i]);
  }
}

/* Content that does not fit is taken in part, and its end when there is room for all of that. */
static void room_for_content_comes_with_sending(void **state)
{
  (void)state;
  static char content[3000];
  static char wire[8000];
  unsigned refused = 0;
  memset(content, '.', sizeof content);
  for (size_t take = 1; take < 9; take++) {
    struct desk desk;
    ehlo_span spans[8];
    ehlo_client_config config = usual_config();
    size_t given = 0;
    size_t length = 0;
    size_t taken;
    size_t count;
    int result = EHLO_ERR_SPACE;
    config.output_size = EHLO_CLIENT_MIN_OUTPUT_SIZE;
    desk_begin(&desk, &config, PIPELINING);
    call_transaction(&desk);
    answer(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
    while (result == EHLO_ERR_SPACE) {
      assert_int_equal(ehlo_client_body(desk.client, content + given, sizeof content - given, &taken), EHLO_OK);
      given += taken;
      ehlo_span output = output_of(&desk);
      assert_in_range(output.len, 1, config.output_size);
      assert_int_equal(ehlo_client_body_gather(desk.client, "x", 1, &taken, spans, 8, &count), EHLO_ERR_SPACE);
      assert_int_equal(taken + count, 0);
      if (given == sizeof content) {
        result = ehlo_client_body_end(desk.client);
        refused += result != EHLO_OK;
        output = output_of(&desk);
      }
      size_t size = result == EHLO_OK || output.len < take ? output.len : take;
      memcpy(wire + length, output.ptr, size);
      length += size;
      ehlo_client_sent(desk.client, size);
    }
    assert_int_equal(result, EHLO_OK);
    assert_int_equal(length, sizeof content + 6);
    assert_memory_equal(wire, "..", 2);
    assert_memory_equal(wire + 1, content, sizeof content);
    assert_memory_equal(wire + length - 5, "\r\n.\r\n", 5);
    hear(&desk, "250 ok\r\n");
    assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
    desk_close(&desk);
  }
  assert_int_not_equal(refused, 0);
}

static void lmtp_recipients_have_a_limit(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_client_config config = usual_config();
  config.protocol = EHLO_PROTOCOL_LMTP;
  config.max_recipients = 2;
  for (unsigned n = 0; n < 2; n++) {
    desk_begin(&desk, &config, PIPELINING);
    for (unsigned message = 0; message < 2; message++) {
      assert_int_equal(call_mail(&desk, 2), EHLO_OK);
      assert_int_equal(call_rcpt(&desk, 3), EHLO_OK);
      assert_int_equal(call_rcpt(&desk, 4), EHLO_OK);
      assert_int_equal(call_rcpt(&desk, 5), EHLO_ERR_TOO_LONG);
      assert_int_equal(ehlo_client_data(desk.client, 6), EHLO_OK);
      answer(&desk, "250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n");
      assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
      answer(&desk, "250 ok\r\n250 ok\r\n");
      assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
      assert_int_equal(desk.end.recipients, 2);
    }
    assert_int_equal(ehlo_client_helo(desk.client, 0), EHLO_ERR_STATE);
    desk_close(&desk);
  }
}

/* ---- groups ---- */

static void groups_end_where_they_must(void **state)
{
  (void)state;
  struct desk desk;
  desk_begin(&desk, NULL, ALL_OFFERED);
  /* RSET, MAIL, SEND, SOML, SAML and RCPT stand anywhere. */
  assert_int_equal(ehlo_client_rset(desk.client, 0), EHLO_OK);
  assert_int_equal(call_mail(&desk, 1), EHLO_OK);
  assert_int_equal(ehlo_client_rset(desk.client, 2), EHLO_OK);
  assert_int_equal(ehlo_client_send(desk.client, text(""), NULL, 3), EHLO_OK);
  assert_int_equal(call_rcpt(&desk, 4), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk.client, 5), EHLO_OK);
  expect_output(&desk, "RSET\r\n" MAIL_LINE "RSET\r\nSEND FROM:<>\r\n" RCPT_LINE "DATA\r\n"); /* [C-PIPE-03] */
  hear(&desk, "250 ok\r\n250 ok\r\n250 ok\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_RESET);
  assert_int_equal(desk.end.code, 0);
  assert_int_equal(desk.end_tag, 1);
  hear(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  /* The end of content may be followed at once. */
  assert_int_equal(call_mail(&desk, 6), EHLO_OK);
  assert_int_equal(ehlo_client_noop(desk.client, text(""), 7), EHLO_OK);
  assert_int_equal(ehlo_client_rset(desk.client, 8), EHLO_OK);
  expect_output(&desk, ".\r\n" MAIL_LINE "NOOP\r\n"); /* [C-PIPE-05] */
  hear(&desk, "250 ok\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_ACCEPTED);
  assert_int_equal(desk.end_tag, 3);
  hear(&desk, "250 ok\r\n");
  expect_output(&desk, "");
  hear(&desk, "250 ok\r\n");
  expect_output(&desk, "RSET\r\n");
  hear(&desk, "250 ok\r\n");
  /* Nothing stands behind these until they are answered. [C-PIPE-04] */
  static const unsigned last[] = {9, 10, 11, 12, 13, 16};
  for (unsigned i = 0; i < sizeof last / sizeof last[0]; i++) {
    assert_int_equal(make_call(&desk, last[i]), EHLO_OK);
    assert_int_equal(ehlo_client_rset(desk.client, 8), EHLO_OK);
    ehlo_span output = output_of(&desk);
    assert_ptr_equal(memchr(output.ptr, '\n', output.len), output.ptr + output.len - 1);
    answer(&desk, "250 ok\r\n");
    expect_output(&desk, "RSET\r\n");
    hear(&desk, "250 ok\r\n");
  }
  assert_int_equal(ehlo_client_rset(desk.client, 8), EHLO_OK);
  assert_int_equal(ehlo_client_quit(desk.client, 9), EHLO_OK);
  expect_output(&desk, "RSET\r\nQUIT\r\n");
  desk_close(&desk);
}

static void without_pipelining_one_at_a_time(void **state)
{
  (void)state;
  struct desk desk;
  for (unsigned n = 0; n < 2; n++) {
    ehlo_client_config config = usual_config();
    config.use[EHLO_EXT_PIPELINING] = (uint8_t)n;
    desk_begin(&desk, &config, n ? LOCKSTEP : PIPELINING);
    assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_PIPELINING), 0);
    call_transaction(&desk);
    expect_output(&desk, MAIL_LINE); /* [C-PIPE-02] [C-SESS-02] */
    hear(&desk, "250 o");
    expect_output(&desk, "");
    hear(&desk, "k\r\n");
    expect_output(&desk, RCPT_LINE);
    hear(&desk, "250 ok\r\n");
    expect_output(&desk, "DATA\r\n");
    hear(&desk, "354 go on\r\n");
    assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
    assert_int_equal(call_mail(&desk, 5), EHLO_OK);
    expect_output(&desk, ".\r\n");
    hear(&desk, "250 ok\r\n");
    expect_output(&desk, MAIL_LINE);
    desk_close(&desk);
  }
}

static void data_can_be_held_back(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_client_config config = usual_config();
  config.hold_data = 1;
  desk_begin(&desk, &config, PIPELINING);
  call_transaction(&desk);
  expect_output(&desk, MAIL_LINE RCPT_LINE);
  hear(&desk, "250 ok\r\n");
  expect_output(&desk, "");
  hear(&desk, "250 ok\r\n");
  expect_output(&desk, "DATA\r\n");
  hear(&desk, "354 go on\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 1);
  desk_close(&desk);
}

/* ---- hello ---- */

static void what_is_offered_is_what_the_last_hello_said(void **state)
{
  (void)state;
  struct desk desk;
  desk_begin(&desk, NULL,
             "250-mail.example.org hi\r\n250-sIzE 77\r\n250-PIPELININGX\r\n250-X-PIPELINING\r\n250-\r\n"
             "250--\r\n250 Pipelining\r\n");
  assert_int_equal(ehlo_client_hello_verb(desk.client), EHLO_VERB_EHLO);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_SIZE), 1); /* [C-HELO-07] */
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_PIPELINING), 1);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_8BITMIME), 0);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_COUNT), 0);
  assert_int_equal(ehlo_client_offers(desk.client, UINT32_MAX), 0);
  assert_true(ehlo_client_size_limit(desk.client) == 77);
  ehlo_mail_options options = {.struct_size = sizeof options, .has_size = 1, .size = 78};
  assert_int_equal(ehlo_client_mail(desk.client, text(""), &options, 0), EHLO_ERR_SIZE);
  options.size = 77;
  options.body = EHLO_BODY_7BIT;
  assert_int_equal(ehlo_client_mail(desk.client, text(""), &options, 0), EHLO_OK);
  expect_output(&desk, "MAIL FROM:<> SIZE=77\r\n"); /* [C-HELO-09] */
  hear(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_hello(desk.client, 2), EHLO_OK);
  answer(&desk, "250-mail.example.org\r\n250 8BITMIME\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_SUPERSEDED);
  assert_int_equal(desk.end.code, 0);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_SIZE), 0); /* [C-HELO-08] */
  assert_true(ehlo_client_size_limit(desk.client) == 0);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_8BITMIME), 1);
  options.body = EHLO_BODY_8BITMIME;
  options.size = UINT64_MAX;
  assert_int_equal(ehlo_client_mail(desk.client, text(""), &options, 0), EHLO_OK);
  expect_output(&desk, "MAIL FROM:<> BODY=8BITMIME\r\n");
  hear(&desk, "250 ok\r\n");
  /* A hello that is refused changes nothing. */
  assert_int_equal(ehlo_client_hello(desk.client, 3), EHLO_OK);
  answer(&desk, "550-mail.example.org\r\n550 SIZE 5\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_8BITMIME), 1);
  assert_int_equal(ehlo_client_rcpt(desk.client, text("a@b"), NULL, 4), EHLO_OK);
  desk_close(&desk);
}

static void size_says_how_much(const char *said, uint64_t limit)
{
  struct desk desk;
  char offered[200];
  snprintf(offered, sizeof offered, "250-mail.example.org\r\n250 %s\r\n", said);
  desk_begin(&desk, NULL, offered);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_SIZE), 1);
  assert_true(ehlo_client_size_limit(desk.client) == limit);
  desk_close(&desk);
}

static void sizes_are_read(void **state)
{
  (void)state;
  size_says_how_much("SIZE", 0);
  size_says_how_much("SIZE 0", 0);
  size_says_how_much("SIZE 1", 1);
  size_says_how_much("size 18446744073709551615", UINT64_MAX);
  size_says_how_much("SIZE 99999999999999999999999", UINT64_MAX);
  size_says_how_much("SIZE big", 0);
  size_says_how_much("SIZE -1", 0);
}

static void what_was_not_offered_is_refused(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_mail_options options = {.struct_size = sizeof options, .body = EHLO_BODY_8BITMIME};
  desk_begin(&desk, NULL, "250-mail.example.org\r\n250 SMTPUTF8\r\n"); /* which is nothing without 8BITMIME */
  assert_int_equal(ehlo_client_mail(desk.client, text(""), &options, 0), EHLO_ERR_8BITMIME); /* [C-8BIT-05] */
  options.body = EHLO_BODY_NONE;
  options.smtputf8 = 1;
  assert_int_equal(ehlo_client_mail(desk.client, text(""), &options, 0), EHLO_ERR_SMTPUTF8); /* [C-UTF8-15] */
  options.smtputf8 = 0;
  options.parameters = text("X=1");
  assert_int_equal(ehlo_client_mail(desk.client, text(""), &options, 0), EHLO_ERR_NOT_OFFERED); /* [C-HELO-09] */
  assert_int_equal(ehlo_client_vrfy(desk.client, text("a"), 1, 0), EHLO_ERR_SMTPUTF8);
  assert_int_equal(ehlo_client_expn(desk.client, text("a"), 1, 0), EHLO_ERR_SMTPUTF8);
  assert_int_equal(ehlo_client_send(desk.client, text(""), NULL, 0), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(ehlo_client_soml(desk.client, text(""), NULL, 0), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(ehlo_client_saml(desk.client, text(""), NULL, 0), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(ehlo_client_turn(desk.client, 0), EHLO_ERR_NOT_OFFERED);
  assert_int_equal(output_of(&desk).len, 0);
  desk_close(&desk);
}

/* What a failed write returned is no count of octets. */
static void more_than_there_is_was_not_sent(void **state)
{
  (void)state;
  struct desk desk;
  desk_open(&desk, NULL);
  hear(&desk, "220 hi\r\n");
  assert_int_equal(ehlo_client_hello(desk.client, 1), EHLO_OK);
  ehlo_client_sent(desk.client, (size_t)-1);
  ehlo_client_sent(desk.client, output_of(&desk).len + 1);
  expect_output(&desk, "EHLO client.example.com\r\n");
  desk_close(&desk);
}

/* HELO lists nothing, however many lines its answer has. */
static void nothing_is_offered_by_helo(void **state)
{
  (void)state;
  struct desk desk;
  for (unsigned n = 0; n < 2; n++) {
    desk_open(&desk, NULL);
    hear(&desk, "220-hi\r\n220-PIPELINING\r\n220 SIZE 5\r\n");
    assert_int_equal(n ? ehlo_client_hello(desk.client, 1) : ehlo_client_helo(desk.client, 1), EHLO_OK);
    if (n) {
      answer(&desk, "500-what\r\n500-PIPELINING\r\n500 8BITMIME\r\n");
      assert_int_equal(desk.reply.fallback, 1);
      assert_int_equal(desk.count[EHLO_CLIENT_EVENT_HELLO], 0);
    }
    expect_output(&desk, "HELO client.example.com\r\n");
    hear(&desk, "250-hi\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 5\r\n");
    assert_int_equal(ehlo_client_hello_verb(desk.client), EHLO_VERB_HELO);
    for (uint32_t extension = 0; extension < EHLO_EXT_COUNT; extension++) {
      assert_int_equal(ehlo_client_offers(desk.client, extension), 0);
    }
    assert_true(ehlo_client_size_limit(desk.client) == 0);
    /* What RFC 821 has can only be tried. */
    assert_int_equal(ehlo_client_saml(desk.client, text(""), NULL, 0), EHLO_OK);
    expect_output(&desk, "SAML FROM:<>\r\n");
    desk_close(&desk);
  }
}

/* ---- transactions that fail ---- */

/* MAIL is refused while a hello waits, that is refused too: the transaction is over for all that. */
static void a_refused_hello_revives_no_transaction(void **state)
{
  (void)state;
  struct desk desk;
  for (unsigned n = 0; n < 2; n++) {
    desk_begin(&desk, NULL, ALL_OFFERED);
    assert_int_equal(call_mail(&desk, 2), EHLO_OK);
    if (n) {
      assert_int_equal(call_rcpt(&desk, 3), EHLO_OK);
    }
    assert_int_equal(ehlo_client_hello(desk.client, 4), EHLO_OK);
    answer(&desk, n ? "550 no\r\n550 no\r\n" : "550 no\r\n");
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
    assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
    answer(&desk, "550 no\r\n");
    assert_int_not_equal(call_rcpt(&desk, 5), EHLO_OK);
    assert_int_not_equal(ehlo_client_data(desk.client, 6), EHLO_OK);
    assert_int_equal(call_mail(&desk, 7), EHLO_OK);
    assert_int_equal(ehlo_client_eof(desk.client), EHLO_OK);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 2);
    desk_close(&desk);
  }
}

static void data_that_has_not_left_is_taken_back(void **state)
{
  (void)state;
  struct desk desk;
  /* Then the transaction stands as before it. */
  desk_begin(&desk, NULL, LOCKSTEP);
  call_transaction(&desk);
  assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_OK);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 0);
  assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_ERR_STATE);
  assert_int_equal(ehlo_client_pending(desk.client), 2);
  answer(&desk, "250 ok\r\n");
  answer(&desk, "250 ok\r\n");
  expect_output(&desk, "");
  assert_int_equal(call_rcpt(&desk, 5), EHLO_OK);
  assert_int_equal(ehlo_client_data(desk.client, 6), EHLO_OK);
  expect_output(&desk, RCPT_LINE);
  hear(&desk, "250 ok\r\n");
  expect_output(&desk, "DATA\r\n");
  hear(&desk, "354 go on\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 1);
  desk_close(&desk);
  /* If its MAIL was refused meanwhile, END comes with the last of the replies. */
  desk_begin(&desk, NULL, LOCKSTEP);
  call_transaction(&desk);
  answer(&desk, "550 no\r\n");
  assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_OK);
  assert_int_equal(call_rcpt(&desk, 5), EHLO_ERR_REFUSED);
  answer(&desk, "503 no\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
  assert_int_equal(desk.end.code, 550);
  desk_close(&desk);
}

/* 354 although nobody was accepted: the end of content leaves at once, and by itself. [C-PIPE-09] */
static void content_for_nobody_is_empty(void **state)
{
  (void)state;
  for (unsigned n = 0; n < 4; n++) {
    struct desk desk;
    size_t taken;
    ehlo_client_config config = usual_config();
    config.protocol = n & 1 ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
    desk_begin(&desk, &config, ALL_OFFERED);
    call_transaction(&desk);
    answer(&desk, n & 2 ? "250 ok\r\n550 5.1.1 no\r\n354 go on\r\n" : "550 5.1.8 no\r\n250 ok\r\n354 go on\r\n");
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 0);
    assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_READ | EHLO_WANT_WRITE);
    assert_int_equal(ehlo_client_body(desk.client, "x", 1, &taken), EHLO_ERR_STATE);
    assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_ERR_STATE);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], n & 1); /* RFC 2033 4.2: no verdict comes */
    expect_output(&desk, ".\r\n");
    if ((n & 1) == 0) {
      hear(&desk, "250 2.0.0 ok\r\n");
    }
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
    assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
    assert_int_equal(desk.end.recipients, 0);
    assert_int_equal(desk.end.needs_reset, 0);
    if ((n & 2) == 0) {
      assert_int_equal(desk.end.code, 550);
      assert_int_equal(desk.end.enhanced.detail, 8);
    }
    assert_int_equal(call_mail(&desk, 9), EHLO_OK);
    expect_output(&desk, MAIL_LINE);
    desk_close(&desk);
  }
}

/* Content that broke stays broken: only giving up is left, and nothing that waits leaves any more. */
static void content_that_broke_stays_broken(void **state)
{
  (void)state;
  static const struct {
    const char *content;
    int error;
  } broken[] = {{"a\n", EHLO_ERR_BARE_NEWLINE}, {"a\rb", EHLO_ERR_BARE_NEWLINE}, {"a\xC3", EHLO_ERR_8BITMIME}};
  for (unsigned n = 0; n < 6; n++) {
    struct desk desk;
    ehlo_span spans[8];
    size_t taken;
    size_t count;
    desk_begin(&desk, NULL, ALL_OFFERED);
    call_transaction(&desk);
    answer(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
    ehlo_span bad = text(broken[n / 2].content);
    assert_int_equal(n & 1 ? ehlo_client_body_gather(desk.client, bad.ptr, bad.len, &taken, spans, 8, &count)
                           : ehlo_client_body(desk.client, bad.ptr, bad.len, &taken),
                     broken[n / 2].error);
    assert_int_not_equal(ehlo_client_body(desk.client, "x\r\n", 3, &taken), EHLO_OK);
    assert_int_not_equal(ehlo_client_body_end(desk.client), EHLO_OK);
    assert_int_equal(ehlo_client_want(desk.client) & EHLO_WANT_CLOSE, 0);
    assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_OK);
    assert_int_equal(desk.end.reason, EHLO_END_FAILED);
    assert_int_equal(desk.end.code, 451);
    assert_int_equal(output_of(&desk).len, 0);
    assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
    desk_close(&desk);
  }
}

/* RSET, QUIT and silence behind a transaction that nobody finishes. */
static void transactions_end_as_they_are_left(void **state)
{
  (void)state;
  struct desk desk;
  desk_begin(&desk, NULL, PIPELINING);
  assert_int_equal(call_mail(&desk, 2), EHLO_OK);
  assert_int_equal(call_rcpt(&desk, 3), EHLO_OK);
  answer(&desk, "250 ok\r\n550 no\r\n");
  assert_int_equal(ehlo_client_data(desk.client, 4), EHLO_ERR_REFUSED);
  assert_int_equal(call_rcpt(&desk, 4), EHLO_OK); /* another may do better */
  answer(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_data(desk.client, 5), EHLO_OK);
  answer(&desk, "451 later\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
  assert_int_equal(desk.end.recipients, 1);
  assert_int_equal(desk.end.needs_reset, 1);
  assert_int_equal(ehlo_client_rset(desk.client, 6), EHLO_OK);
  assert_int_equal(call_mail(&desk, 7), EHLO_OK);
  assert_int_equal(ehlo_client_quit(desk.client, 8), EHLO_OK);
  answer(&desk, "250 ok\r\n250 ok\r\n221 bye\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 2);
  assert_int_equal(desk.end.reason, EHLO_END_QUIT);
  assert_int_equal(desk.end.code, 0);
  assert_int_equal(desk.end_tag, 7);
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_CLOSE);
  assert_int_equal(ehlo_client_eof(desk.client), EHLO_OK);
  desk_close(&desk);

  /* Several on their way: each has its END. */
  desk_begin(&desk, NULL, PIPELINING);
  for (uint64_t tag = 1; tag <= 3; tag++) {
    assert_int_equal(call_mail(&desk, tag), EHLO_OK);
    assert_int_equal(ehlo_client_rset(desk.client, tag), EHLO_OK);
  }
  answer(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_timed_out(desk.client), EHLO_OK);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 3);
  assert_int_equal(desk.end.reason, EHLO_END_TIMED_OUT);
  assert_int_equal(desk.end.needs_reset, 0);
  assert_int_equal(desk.end_tag, 3);
  desk_close(&desk);
}

static void enhanced_codes_count_if_they_were_offered(void **state)
{
  (void)state;
  for (unsigned n = 0; n < 2; n++) {
    struct desk desk;
    desk_begin(&desk, NULL, n ? ALL_OFFERED : PIPELINING);
    assert_int_equal(call_mail(&desk, 2), EHLO_OK);
    answer(&desk, "550 5.1.8 no\r\n");
    assert_int_equal(desk.reply.enhanced.status_class, n ? 5 : 0); /* [C-ESC-10] */
    assert_int_equal(desk.end.enhanced.subject, n ? 1 : 0);
    assert_int_equal(desk.end.code, 550);
    assert_int_equal(call_mail(&desk, 2), EHLO_OK);
    answer(&desk, "550 2.1.8 no\r\n");
    assert_int_equal(desk.reply.enhanced.status_class, 0); /* a success that refuses is neither */
    desk_close(&desk);
  }
}

/* ---- time ---- */

static void clocks_run_while_the_server_is_to_act(void **state)
{
  (void)state;
  struct desk desk;
  ehlo_client_config config = usual_config();
  uint64_t before;
  uint64_t after;
  size_t taken;
  config.greeting_timeout = 1;
  config.command_timeout = 2;
  config.data_timeout = 3;
  config.content_timeout = 4;
  config.verdict_timeout = 5;
  desk_open(&desk, &config);
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 1);
  hear(&desk, "220-a\r\n220 ");
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 1);
  assert_true(before == after); /* lines and octets stop no clock */
  hear(&desk, "b\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 0);
  assert_true(before != after);
  assert_int_equal(ehlo_client_hello(desk.client, 1), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 2);
  ehlo_client_sent(desk.client, 0);
  (void)ehlo_client_timeout(desk.client, &after);
  assert_true(before == after);
  ehlo_client_sent(desk.client, 1);
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 2);
  assert_true(before != after);
  answer(&desk, PIPELINING);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  call_transaction(&desk);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 2);
  answer(&desk, "250 ok\r\n250 ok\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 3);
  hear(&desk, "354 go on\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 0); /* the host is to act */
  assert_true(before != after);
  assert_int_equal(ehlo_client_body(desk.client, "x\r\n", 3, &taken), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 4);
  sent_all(desk.client);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 4);
  sent_all(desk.client);
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 5);
  assert_true(before != after);
  hear(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  /* What was gathered is the host's to send: the clock runs until it gives more. */
  ehlo_span spans[8];
  size_t count;
  call_transaction(&desk);
  answer(&desk, "250 ok\r\n250 ok\r\n354 go on\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, &before), 0);
  assert_int_equal(ehlo_client_body_gather(desk.client, "x\r\n", 3, &taken, spans, 8, &count), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, &after), 4);
  assert_true(before != after);
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  sent_all(desk.client);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 5);
  call_transaction(&desk);
  answer(&desk, "250 ok\r\n");
  answer(&desk, "250 ok\r\n");
  answer(&desk, "250 ok\r\n");
  answer(&desk, "354 go on\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 3);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  assert_int_equal(ehlo_client_body_end(desk.client), EHLO_OK);
  answer(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_quit(desk.client, 1), EHLO_OK);
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 2);
  answer(&desk, "221 bye\r\n");
  assert_int_equal(ehlo_client_timeout(desk.client, NULL), 0);
  desk_close(&desk);
}

static void turn_leaves_the_connection_to_others(void **state)
{
  (void)state;
  struct desk desk;
  size_t consumed;
  desk_begin(&desk, NULL, ALL_OFFERED);
  assert_int_equal(ehlo_client_turn(desk.client, 7), EHLO_OK);
  expect_output(&desk, "TURN\r\n");
  hear(&desk, "502 no\r\n");
  assert_int_equal(call_mail(&desk, 2), EHLO_OK);
  assert_int_equal(ehlo_client_rset(desk.client, 2), EHLO_OK);
  assert_int_equal(ehlo_client_turn(desk.client, 7), EHLO_OK);
  expect_output(&desk, MAIL_LINE "RSET\r\nTURN\r\n");
  const char octets[] = "250 ok\r\n250 ok\r\n250-ok\r\n250 ok\r\nEHLO b\r\n";
  assert_int_equal(ehlo_client_feed(desk.client, octets, sizeof octets - 1, &consumed), EHLO_OK);
  assert_int_equal(consumed, sizeof octets - 1 - strlen("EHLO b\r\n"));
  assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_TURN);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  assert_int_equal(ehlo_client_eof(desk.client), EHLO_OK);
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  desk_close(&desk);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hostile_servers),
      cmocka_unit_test(hello_that_does_not_fall_back),
      cmocka_unit_test(malformed_replies_at_every_step),
      cmocka_unit_test(a_nul_in_a_reply),
      cmocka_unit_test(endless_replies_at_every_step),
      cmocka_unit_test(limits_of_replies_are_exact),
      cmocka_unit_test(wrong_digits_at_every_step),
      cmocka_unit_test(server_that_leaves_at_every_step),
      cmocka_unit_test(server_that_leaves_behind_every_step),
      cmocka_unit_test(good_session_cut_at_every_octet),
      cmocka_unit_test(injections_are_refused),
      cmocka_unit_test(every_octet_everywhere),
      cmocka_unit_test(lines_have_their_limit),
      cmocka_unit_test(config_has_the_defaults_of_the_header),
      cmocka_unit_test(config_limits_are_checked),
      cmocka_unit_test(init_and_attach_check_the_memory),
      cmocka_unit_test(null_is_told),
      cmocka_unit_test(every_call_in_every_state),
      cmocka_unit_test(handlers_cannot_call_what_calls_them),
      cmocka_unit_test(a_handler_can_end_the_session),
      cmocka_unit_test(a_handler_that_ends_the_session_hears_no_more),
      cmocka_unit_test(room_for_commands_comes_with_replies),
      cmocka_unit_test(room_for_output_comes_with_sending),
      cmocka_unit_test(room_for_content_comes_with_sending),
      cmocka_unit_test(lmtp_recipients_have_a_limit),
      cmocka_unit_test(groups_end_where_they_must),
      cmocka_unit_test(without_pipelining_one_at_a_time),
      cmocka_unit_test(data_can_be_held_back),
      cmocka_unit_test(what_is_offered_is_what_the_last_hello_said),
      cmocka_unit_test(sizes_are_read),
      cmocka_unit_test(what_was_not_offered_is_refused),
      cmocka_unit_test(more_than_there_is_was_not_sent),
      cmocka_unit_test(nothing_is_offered_by_helo),
      cmocka_unit_test(a_refused_hello_revives_no_transaction),
      cmocka_unit_test(data_that_has_not_left_is_taken_back),
      cmocka_unit_test(content_for_nobody_is_empty),
      cmocka_unit_test(content_that_broke_stays_broken),
      cmocka_unit_test(transactions_end_as_they_are_left),
      cmocka_unit_test(enhanced_codes_count_if_they_were_offered),
      cmocka_unit_test(clocks_run_while_the_server_is_to_act),
      cmocka_unit_test(turn_leaves_the_connection_to_others),
  };
  return cmocka_run_group_tests_name("client against hostile servers", tests, NULL, NULL);
}
