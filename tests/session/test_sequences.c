/* test_sequences.c: every sequence of up to five commands, each accepted and refused, against a model.
 *
 * The model below is the order of commands of RFC 5321 4.1.4 and RFC 2033 4, written down without a look at the server:
 * which codes each command draws, what becomes of the transaction, and how it ends. The sequences are walked as a tree;
 * before each branch the session's block is put back as it was.
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

enum { DEPTH = 5, LMTP_DEPTH = 4, BLOCK = 8192 };

/* A command, and what the host says to it. */
enum { YES, NO, MESSAGE_NO };

static const struct move {
  const char *name;
  const char *octets;
  const char *octets_lmtp; /* where it is another */
  int host;
} moves[] = {
    {"HELO", "HELO a.example\r\n", NULL, YES},
    {"HELO, refused", "HELO a.example\r\n", NULL, NO},
    {"EHLO", "EHLO a.example\r\n", "LHLO a.example\r\n", YES},
    {"EHLO, refused", "EHLO a.example\r\n", "LHLO a.example\r\n", NO},
    {"MAIL", "MAIL FROM:<a@example.com>\r\n", NULL, YES},
    {"MAIL, refused", "MAIL FROM:<a@example.com>\r\n", NULL, NO},
    {"SAML", "SAML FROM:<a@example.com>\r\n", NULL, YES},
    {"RCPT", "RCPT TO:<b@example.org>\r\n", NULL, YES},
    {"RCPT, refused", "RCPT TO:<b@example.org>\r\n", NULL, NO},
    /* The content is sent blindly, so that it is seen whether it is read as such. */
    {"DATA", "DATA\r\nNOOP\r\n.\r\n", NULL, YES},
    {"DATA, refused", "DATA\r\nNOOP\r\n.\r\n", NULL, NO},
    {"DATA, its message refused", "DATA\r\nNOOP\r\n.\r\n", NULL, MESSAGE_NO},
    {"RSET", "RSET\r\n", NULL, YES},
    {"NOOP", "NOOP\r\n", NULL, YES},
    {"QUIT", "QUIT\r\n", NULL, YES},
    {"VRFY", "VRFY b\r\n", NULL, YES},
    {"VRFY, refused", "VRFY b\r\n", NULL, NO},
    {"TURN", "TURN\r\n", NULL, YES},
    {"TURN, refused", "TURN\r\n", NULL, NO},
    {"EHLO, malformed", "EHLO -a-\r\n", "LHLO -a-\r\n", YES},
    {"MAIL, malformed", "MAIL FROM:<a>\r\n", NULL, YES},
    {"RCPT, malformed", "RCPT TO:<>\r\n", NULL, YES},
    {"an unknown verb", "XYZZY\r\n", NULL, YES},
};

enum { MOVES = sizeof moves / sizeof moves[0] };
enum {
  HELO,
  HELO_NO,
  EHLO,
  EHLO_NO,
  MAIL,
  MAIL_NO,
  SAML,
  RCPT,
  RCPT_NO,
  DATA,
  DATA_NO,
  DATA_MESSAGE_NO,
  RSET,
  NOOP,
  QUIT,
  VRFY,
  VRFY_NO,
  TURN,
  TURN_NO,
  EHLO_BAD,
  MAIL_BAD,
  RCPT_BAD,
  UNKNOWN
};

/* ---- the model ------------------------------------------------------------------------------ */

struct model {
  int lmtp;
  int hello;       /* a hello was accepted */
  int transaction; /* is open */
  int recipients;  /* accepted in it */
  int over;        /* QUIT or TURN was accepted */
};

struct outcome {
  int codes[DEPTH + 3];
  int count;
  uint32_t end; /* EHLO_END_ of a transaction that ended, else 0 */
};

static void says(struct outcome *outcome, int code)
{
  outcome->codes[outcome->count++] = code;
}

static void ends(struct model *model, struct outcome *outcome, uint32_t reason)
{
  outcome->end = model->transaction ? reason : 0;
  model->transaction = 0;
  model->recipients = 0;
}

static void hello(struct model *model, struct outcome *outcome, int known, int refused)
{
  says(outcome, !known ? 500 : refused ? 550 : 250);
  if (known && !refused) {
    ends(model, outcome, EHLO_END_SUPERSEDED);
    model->hello = 1;
  }
}

static void mail(struct model *model, struct outcome *outcome, int refused)
{
  if (!model->hello || model->transaction) {
    says(outcome, 503);
  } else if (refused) {
    says(outcome, 550);
  } else {
    says(outcome, 250);
    model->transaction = 1;
  }
}

static void rcpt(struct model *model, struct outcome *outcome, int refused)
{
  says(outcome, !model->transaction ? 503 : refused ? 550 : 250);
  model->recipients += model->transaction && !refused;
}

static void data(struct model *model, struct outcome *outcome, int move)
{
  if (model->recipients > 0 && move != DATA_NO) {
    says(outcome, 354);
    for (int i = 0; i < (model->lmtp ? model->recipients : 1); i++) {
      says(outcome, move == DATA ? 250 : 550);
    }
    ends(model, outcome, move == DATA ? EHLO_END_ACCEPTED : EHLO_END_REFUSED);
    return;
  }
  says(outcome, !model->transaction                     ? 503
                : model->recipients == 0 && model->lmtp ? 503
                : model->recipients == 0                ? 554
                                                        : 550);
  says(outcome, 250); /* what was meant as content are commands: NOOP, and "." */
  says(outcome, 500);
}

static struct outcome step(struct model *model, int move)
{
  struct outcome outcome = {.count = 0};
  if (model->over) {
    return outcome;
  }
  switch (move) {
  case HELO:
  case HELO_NO: hello(model, &outcome, !model->lmtp, move == HELO_NO); break;
  case EHLO:
  case EHLO_NO: hello(model, &outcome, 1, move == EHLO_NO); break;
  case MAIL:
  case SAML:
  case MAIL_NO: mail(model, &outcome, move == MAIL_NO); break;
  case RCPT:
  case RCPT_NO: rcpt(model, &outcome, move == RCPT_NO); break;
  case DATA:
  case DATA_NO:
  case DATA_MESSAGE_NO: data(model, &outcome, move); break;
  case RSET:
    says(&outcome, 250);
    ends(model, &outcome, EHLO_END_RESET);
    break;
  case EHLO_BAD: says(&outcome, 501); break;
  case MAIL_BAD: says(&outcome, !model->hello || model->transaction ? 503 : 501); break;
  case RCPT_BAD: says(&outcome, !model->transaction ? 503 : 501); break;
  case NOOP:
  case VRFY: says(&outcome, 250); break;
  case QUIT:
    says(&outcome, 221);
    ends(model, &outcome, EHLO_END_QUIT);
    model->over = 1;
    break;
  case VRFY_NO: says(&outcome, 550); break;
  case TURN:
  case TURN_NO:
    says(&outcome, !model->hello || model->transaction ? 503 : move == TURN ? 250 : 550);
    model->over = outcome.codes[0] == 250;
    break;
  default: says(&outcome, 500); break;
  }
  return outcome;
}

/* ---- the server ----------------------------------------------------------------------------- */

static _Alignas(max_align_t) char block[BLOCK];
static char saved[DEPTH][BLOCK];
static size_t block_size;
static ehlo_server *server;
static int host; /* YES, NO, MESSAGE_NO */
static uint32_t end_reason;
static unsigned ends_seen;

static int handler(ehlo_server *from, const ehlo_event *event, void *user)
{
  (void)user;
  ehlo_span none = {NULL, 0};
  int verdict = event->type == EHLO_EVENT_MESSAGE || event->type == EHLO_EVENT_RESULT;
  if (event->type == EHLO_EVENT_END) {
    end_reason = event->as.end.reason;
    ends_seen++;
  }
  if (event->ticket == 0 || event->type == EHLO_EVENT_BODY || event->type == EHLO_EVENT_UNKNOWN) {
    return EHLO_HANDLED;
  }
  int refused = host == NO || (host == MESSAGE_NO && verdict);
  int error =
      refused ? ehlo_server_reply(from, event->ticket, 550, NULL, none) : ehlo_server_accept(from, event->ticket);
  return error == EHLO_OK ? EHLO_HANDLED : -1;
}

/* Drains the replies and reads their codes. */
static void drain(struct outcome *outcome)
{
  size_t size;
  const char *output = ehlo_server_output(server, &size);
  for (size_t line = 0; line < size;) {
    if (output[line + 3] == ' ' && outcome->count < DEPTH + 3) {
      says(outcome, (output[line] - '0') * 100 + (output[line + 1] - '0') * 10 + output[line + 2] - '0');
    }
    line = (size_t)((const char *)memchr(output + line, '\n', size - line) - output) + 1;
  }
  ehlo_server_sent(server, size);
}

static struct outcome play(const struct model *model, int move)
{
  struct outcome outcome = {.count = 0};
  const char *octets = model->lmtp && moves[move].octets_lmtp != NULL ? moves[move].octets_lmtp : moves[move].octets;
  size_t size = strlen(octets);
  size_t consumed;
  host = moves[move].host;
  end_reason = 0;
  ends_seen = 0;
  ehlo_server_feed(server, octets, size, &consumed);
  drain(&outcome);
  while ((ehlo_server_want(server) & EHLO_WANT_FEED) != 0) {
    size_t more;
    ehlo_server_feed(server, octets + consumed, size - consumed, &more);
    consumed += more;
    drain(&outcome);
  }
  outcome.end = end_reason;
  return outcome;
}

/* ---- the walk ------------------------------------------------------------------------------- */

static int path[DEPTH];
static unsigned long walked;

static void compare(const struct outcome *expected, const struct outcome *actual, int depth)
{
  int same = expected->count == actual->count && expected->end == actual->end && ends_seen == (expected->end != 0);
  for (int i = 0; same && i < expected->count; i++) {
    same = expected->codes[i] == actual->codes[i];
  }
  if (same) {
    return;
  }
  for (int i = 0; i <= depth; i++) {
    printf("  %s\n", moves[path[i]].name);
  }
  printf("expected:");
  for (int i = 0; i < expected->count; i++) {
    printf(" %d", expected->codes[i]);
  }
  printf(", END %u; came:", expected->end);
  for (int i = 0; i < actual->count; i++) {
    printf(" %d", actual->codes[i]);
  }
  printf(", END %u (%u of them)\n", actual->end, ends_seen);
  fail();
}

static void walk(const struct model *model, int depth, int most)
{
  memcpy(saved[depth], block, block_size);
  for (int move = 0; move < MOVES; move++) {
    struct model next = *model;
    path[depth] = move;
    struct outcome expected = step(&next, move);
    struct outcome actual = play(model, move);
    compare(&expected, &actual, depth);
    walked++;
    uint32_t over = ehlo_server_want(server) & (EHLO_WANT_CLOSE | EHLO_WANT_TURN);
    assert_int_equal(over != 0, next.over);
    assert_int_equal(ehlo_server_recipients(server), next.recipients);
    /* Beyond the end one more move shows that nothing is run any more. */
    if (depth + 1 < most && !(model->over)) {
      walk(&next, depth + 1, next.over ? depth + 2 : most);
    }
    memcpy(block, saved[depth], block_size);
  }
}

static void walk_from_the_greeting(uint32_t protocol, int most)
{
  ehlo_server_config config;
  ehlo_server_config_init(&config, sizeof config);
  config.hostname = ehlo_span_of("mail.example.org");
  config.protocol = protocol;
  config.offer[EHLO_EXT_TURN] = 1;
  config.offer[EHLO_EXT_SAML] = 1;
  config.max_errors = 0;
  block_size = ehlo_server_size(&config);
  assert_in_range(block_size, 1, sizeof block);
  assert_int_equal(ehlo_server_init(&server, block, block_size, &config, handler, NULL), EHLO_OK);
  host = YES;
  assert_int_equal(ehlo_server_start(server), EHLO_OK);
  struct outcome greeting = {.count = 0};
  drain(&greeting);
  assert_int_equal(greeting.codes[0], 220);
  struct model model = {.lmtp = protocol == EHLO_PROTOCOL_LMTP};
  walked = 0;
  walk(&model, 0, most);
  printf("%lu commands in every order\n", walked);
}

static void every_sequence_of_smtp(void **state)
{
  (void)state;
  walk_from_the_greeting(EHLO_PROTOCOL_SMTP, DEPTH); /* [P-CMD-10] [S-MAIL-04] [S-RCPT-02] [S-DATA-02] [S-HELO-09] */
}

static void every_sequence_of_lmtp(void **state)
{
  (void)state;
  walk_from_the_greeting(EHLO_PROTOCOL_LMTP, LMTP_DEPTH); /* [S-LMTP-02] [S-LMTP-03] [S-LMTP-04] */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_sequence_of_smtp),
      cmocka_unit_test(every_sequence_of_lmtp),
  };
  return cmocka_run_group_tests_name("sequences", tests, NULL, NULL);
}
