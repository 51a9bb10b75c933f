/* test_client_hostile.c: the client against servers that break the rules, and all else that a server can say.
 *
 * A table of hostile servers: what each says at each step, and what the client is to report. The host is the same all
 * the time: one message to two recipients, all commands called at once, then QUIT. Every server is played with and
 * without PIPELINING, its octets whole and one by one. Behind it stand single sessions: what a server offers, and what
 * it answers where the table's host does not come.
 *
 * Always: no success that was none, no half of a message that looks like the whole, one END for each MAIL.
 */
#include "desk.h"
#include "margin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG = 1 << 14, WIRE = 1 << 14, RECIPIENTS = 2 };

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

static void open_play(struct play *play, const struct server *server, unsigned mode, const ehlo_client_config *config)
{
  memset(play, 0, sizeof *play);
  play->server = server;
  play->mode = mode;
  play->budget = SIZE_MAX;
  play->size = ehlo_client_size(config);
  play->block = margin_block(play->size);
  assert_int_equal(ehlo_client_init(&play->client, play->block, play->size, config, on_event, play), EHLO_OK);
}

static void close_play(struct play *play)
{
  margin_free(play->block, play->size);
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
  ehlo_client_config config = desk_config();
  for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
    play_server(&servers[i], &config);
  }
}

static void hello_that_does_not_fall_back(void **state)
{
  (void)state;
  ehlo_client_config config = desk_config();
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
  ehlo_client_config config = desk_config();
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
  ehlo_client_config config = desk_config();
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
  ehlo_client_config config = desk_config();
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
  ehlo_client_config config = desk_config();
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
  ehlo_client_config config = desk_config();
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
  ehlo_client_config config = desk_config();
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
  ehlo_client_config config = desk_config();
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
static char shown_violation[64];

static void keep_violation(struct desk *desk, const ehlo_client_event *event)
{
  (void)desk;
  if (event->type == EHLO_CLIENT_EVENT_VIOLATION) {
    ehlo_span octets = event->as.violation.octets;
    assert_in_range(octets.len, 0, sizeof shown_violation - 1);
    memcpy(shown_violation, octets.ptr, octets.len);
    shown_violation[octets.len] = '\0';
  }
}

/* What is told of it: the line, as far as it came, and what was awaited. */
static void violations_show_what_was_said(void **state)
{
  (void)state;
  static const struct {
    const char *said, *shown;
    uint32_t kind;
  } violations[] = {{"25 ok\r\n", "25 ok", EHLO_VIOLATION_SYNTAX},
                    {"250-a\r\n251 b\r\n", "251 b", EHLO_VIOLATION_REPLY_MISMATCH},
                    {"354 go on\r\n", "354 go on", EHLO_VIOLATION_REPLY_CODE},
                    {"250-a\r\n250-b\r\n250-c\r\n250 d\r\n", "250 d", EHLO_VIOLATION_REPLY_TOO_LONG},
                    {"250 ok\n250 ok\r\n", "250 ok", EHLO_VIOLATION_BARE_NEWLINE},
                    {"250 o\rk\r\n", "250 o", EHLO_VIOLATION_BARE_NEWLINE}};
  ehlo_client_config config = desk_config();
  config.max_reply_lines = 3;
  for (size_t i = 0; i < sizeof violations / sizeof violations[0]; i++) {
    for (size_t step = 1; step <= 100; step += 99) {
      struct desk desk;
      size_t length = strlen(violations[i].said);
      desk_begin(&desk, &config, "250-mail.example.org\r\n250-PIPELINING\r\n250 EXPN\r\n");
      desk.in_handler = keep_violation;
      assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
      desk_send_all(&desk);
      for (size_t at = 0; at < length; at += step) {
        size_t consumed;
        size_t size = length - at < step ? length - at : step;
        assert_int_equal(ehlo_client_feed(desk.client, violations[i].said + at, size, &consumed), EHLO_OK);
        assert_int_equal(consumed, size);
      }
      assert_int_equal(desk.count[EHLO_CLIENT_EVENT_VIOLATION], 1);
      assert_int_equal(desk.violation.kind, violations[i].kind);
      assert_int_equal(desk.violation.verb, EHLO_VERB_MAIL);
      assert_string_equal(shown_violation, violations[i].shown);
      desk_close(&desk);
    }
  }
}

/* ---- what it offers, and what it answers ------------------------------------------------------------------------- */

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
  ehlo_mail_parameters options = {.struct_size = sizeof options, .has_size = 1, .size = 78};
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of(""), &options, 0), EHLO_ERR_SIZE);
  options.size = 77;
  options.body = EHLO_BODY_7BIT;
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of(""), &options, 0), EHLO_OK);
  desk_expect(&desk, "MAIL FROM:<> SIZE=77\r\n"); /* [C-HELO-09] */
  desk_hear(&desk, "250 ok\r\n");
  assert_int_equal(ehlo_client_hello(desk.client, 2), EHLO_OK);
  desk_answer(&desk, "250-mail.example.org\r\n250 8BITMIME\r\n");
  assert_int_equal(desk.end.reason, EHLO_END_SUPERSEDED);
  assert_int_equal(desk.end.code, 0);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_SIZE), 0); /* [C-HELO-08] */
  assert_true(ehlo_client_size_limit(desk.client) == 0);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_8BITMIME), 1);
  options.body = EHLO_BODY_8BITMIME;
  options.size = UINT64_MAX;
  assert_int_equal(ehlo_client_mail(desk.client, ehlo_span_of(""), &options, 0), EHLO_OK);
  desk_expect(&desk, "MAIL FROM:<> BODY=8BITMIME\r\n");
  desk_hear(&desk, "250 ok\r\n");
  /* A hello that is refused changes nothing. */
  assert_int_equal(ehlo_client_hello(desk.client, 3), EHLO_OK);
  desk_answer(&desk, "550-mail.example.org\r\n550 SIZE 5\r\n");
  assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
  assert_int_equal(ehlo_client_offers(desk.client, EHLO_EXT_8BITMIME), 1);
  assert_int_equal(ehlo_client_rcpt(desk.client, ehlo_span_of("a@b"), NULL, 4), EHLO_OK);
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

/* HELO lists nothing, however many lines its answer has. */
static void nothing_is_offered_by_helo(void **state)
{
  (void)state;
  struct desk desk;
  for (unsigned n = 0; n < 2; n++) {
    desk_open(&desk, NULL);
    desk_hear(&desk, "220-hi\r\n220-PIPELINING\r\n220 SIZE 5\r\n");
    assert_int_equal(n ? ehlo_client_hello(desk.client, 1) : ehlo_client_helo(desk.client, 1), EHLO_OK);
    if (n) {
      desk_answer(&desk, "500-what\r\n500-PIPELINING\r\n500 8BITMIME\r\n");
      assert_int_equal(desk.reply.fallback, 1);
      assert_int_equal(desk.count[EHLO_CLIENT_EVENT_HELLO], 0);
    }
    desk_expect(&desk, "HELO client.example.com\r\n");
    desk_hear(&desk, "250-hi\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 5\r\n");
    assert_int_equal(ehlo_client_hello_verb(desk.client), EHLO_VERB_HELO);
    for (uint32_t extension = 0; extension < EHLO_EXT_COUNT; extension++) {
      assert_int_equal(ehlo_client_offers(desk.client, extension), 0);
    }
    assert_true(ehlo_client_size_limit(desk.client) == 0);
    /* What RFC 821 has can only be tried. */
    assert_int_equal(ehlo_client_saml(desk.client, ehlo_span_of(""), NULL, 0), EHLO_OK);
    desk_expect(&desk, "SAML FROM:<>\r\n");
    desk_close(&desk);
  }
}

/* MAIL is refused while a hello waits, that is refused too: the transaction is over for all that. */
static void a_refused_hello_revives_no_transaction(void **state)
{
  (void)state;
  struct desk desk;
  for (unsigned n = 0; n < 2; n++) {
    desk_begin(&desk, NULL, ALL_OFFERED);
    assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
    if (n) {
      assert_int_equal(desk_rcpt(&desk, 3), EHLO_OK);
    }
    assert_int_equal(ehlo_client_hello(desk.client, 4), EHLO_OK);
    desk_answer(&desk, n ? "550 no\r\n550 no\r\n" : "550 no\r\n");
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
    assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
    desk_answer(&desk, "550 no\r\n");
    assert_int_equal(desk_rcpt(&desk, 5), EHLO_ERR_STATE);
    assert_int_equal(ehlo_client_data(desk.client, 6), EHLO_ERR_STATE);
    assert_int_equal(desk_mail(&desk, 7), EHLO_OK);
    assert_int_equal(ehlo_client_eof(desk.client), EHLO_OK);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 2);
    desk_close(&desk);
  }
}

/* 354 although nobody was accepted: the end of content leaves at once, and by itself. [C-PIPE-09] */
static void content_for_nobody_is_empty(void **state)
{
  (void)state;
  for (unsigned n = 0; n < 4; n++) {
    struct desk desk;
    size_t taken;
    ehlo_client_config config = desk_config();
    config.protocol = n & 1 ? EHLO_PROTOCOL_LMTP : EHLO_PROTOCOL_SMTP;
    desk_begin(&desk, &config, ALL_OFFERED);
    desk_transaction(&desk);
    desk_answer(&desk, n & 2 ? "250 ok\r\n550 5.1.1 no\r\n354 go on\r\n" : "550 5.1.8 no\r\n250 ok\r\n354 go on\r\n");
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_CONTENT], 0);
    assert_int_equal(ehlo_client_want(desk.client), EHLO_WANT_READ | EHLO_WANT_WRITE);
    assert_int_equal(ehlo_client_body(desk.client, "x", 1, &taken), EHLO_ERR_STATE);
    assert_int_equal(ehlo_client_body_abort(desk.client), EHLO_ERR_STATE);
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], n & 1); /* RFC 2033 4.2: no verdict comes */
    desk_expect(&desk, ".\r\n");
    if ((n & 1) == 0) {
      desk_hear(&desk, "250 2.0.0 ok\r\n");
    }
    assert_int_equal(desk.count[EHLO_CLIENT_EVENT_END], 1);
    assert_int_equal(desk.end.reason, EHLO_END_REFUSED);
    assert_int_equal(desk.end.recipients, 0);
    assert_int_equal(desk.end.needs_reset, 0);
    if ((n & 2) == 0) {
      assert_int_equal(desk.end.code, 550);
      assert_int_equal(desk.end.enhanced.detail, 8);
    }
    assert_int_equal(desk_mail(&desk, 9), EHLO_OK);
    desk_expect(&desk, MAIL_LINE);
    desk_close(&desk);
  }
}

static void enhanced_codes_count_if_they_were_offered(void **state)
{
  (void)state;
  for (unsigned n = 0; n < 2; n++) {
    struct desk desk;
    desk_begin(&desk, NULL, n ? ALL_OFFERED : PIPELINING);
    assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
    desk_answer(&desk, "550 5.1.8 no\r\n");
    assert_int_equal(desk.reply.enhanced.status_class, n ? 5 : 0); /* [C-ESC-10] */
    assert_int_equal(desk.end.enhanced.subject, n ? 1 : 0);
    assert_int_equal(desk.end.code, 550);
    assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
    desk_answer(&desk, "550 2.1.8 no\r\n");
    assert_int_equal(desk.reply.enhanced.status_class, 0); /* a success that refuses is neither */
    desk_close(&desk);
  }
}

static void turn_leaves_the_connection_to_others(void **state)
{
  (void)state;
  struct desk desk;
  size_t consumed;
  desk_begin(&desk, NULL, ALL_OFFERED);
  assert_int_equal(ehlo_client_turn(desk.client, 7), EHLO_OK);
  desk_expect(&desk, "TURN\r\n");
  desk_hear(&desk, "502 no\r\n");
  assert_int_equal(desk_mail(&desk, 2), EHLO_OK);
  assert_int_equal(ehlo_client_rset(desk.client, 2), EHLO_OK);
  assert_int_equal(ehlo_client_turn(desk.client, 7), EHLO_OK);
  desk_expect(&desk, MAIL_LINE "RSET\r\nTURN\r\n");
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
      cmocka_unit_test(violations_show_what_was_said),
      cmocka_unit_test(what_is_offered_is_what_the_last_hello_said),
      cmocka_unit_test(sizes_are_read),
      cmocka_unit_test(nothing_is_offered_by_helo),
      cmocka_unit_test(a_refused_hello_revives_no_transaction),
      cmocka_unit_test(content_for_nobody_is_empty),
      cmocka_unit_test(enhanced_codes_count_if_they_were_offered),
      cmocka_unit_test(turn_leaves_the_connection_to_others),
  };
  return cmocka_run_group_tests_name("client against hostile servers", tests, NULL, NULL);
}
