/* fuzz_dialogue.c: the receiving machine against clients that speak SMTP, as fuzz_server has it against those that say
 * anything.
 *
 * Octets that change one by one seldom make a transaction, let alone one that goes on behind a chunk that failed. Here
 * the input chooses among whole commands, right and wrong ones, with content to them, and fuzz_server plays what comes
 * of it. In order: the sixteen octets of config and counts of fuzz_server, its verdicts and steps, then one octet a
 * choice.
 */
#define _GNU_SOURCE /* open_memstream */
#include "fuzz_session.h"

enum { CONFIG_OCTETS = 16, DIALOGUE_MAX = 5000 };

struct dialogue {
  const uint8_t *choices;
  size_t count;
  uint8_t said[DIALOGUE_MAX + CONFIG_OCTETS + 2 * 255]; /* an input of fuzz_server */
  size_t size;
};

/* The next choice, 0 where there is none any more. */
static unsigned pick(struct dialogue *dialogue, unsigned among)
{
  if (dialogue->count == 0) {
    return 0;
  }
  dialogue->count--;
  return *dialogue->choices++ % among;
}

static void say_octets(struct dialogue *dialogue, const void *octets, size_t size)
{
  if (sizeof dialogue->said - dialogue->size >= size) {
    memcpy(dialogue->said + dialogue->size, octets, size);
    dialogue->size += size;
  }
}

static void say(struct dialogue *dialogue, const char *text)
{
  say_octets(dialogue, text, strlen(text));
}

#define SAY_ONE_OF(dialogue, list) say((dialogue), (list)[pick((dialogue), sizeof(list) / sizeof *(list))])

static void end_line(struct dialogue *dialogue)
{
  static const char *const ends[] = {"\n", "\r", " \r\n", "\r\r\n"};
  unsigned which = pick(dialogue, 64);
  say(dialogue, which >= 1 && which <= 4 ? ends[which - 1] : "\r\n");
}

static void say_hello(struct dialogue *dialogue)
{
  static const char *const verbs[] = {"EHLO ", "EHLO ", "EHLO ", "LHLO ", "HELO "};
  static const char *const names[] = {"client.example.com", "client.example.com", "[192.0.2.1]", "a_b", ""};
  SAY_ONE_OF(dialogue, verbs);
  SAY_ONE_OF(dialogue, names);
  end_line(dialogue);
}

static void say_mail(struct dialogue *dialogue)
{
  static const char *const verbs[] = {
      "MAIL FROM:", "MAIL FROM:", "MAIL FROM:", "mail from:", "SEND FROM:", "SAML FROM:"};
  static const char *const paths[] = {"<a@example.com>", "<a@example.com>",         "<a@example.com>", "<>",
                                      "<a@b>",           "<j\xC3\xB6@example.com>", "a@b.c",           " <a@b.c>",
                                      "<@r.x:a@b.c>"};
  static const char *const parameters[] = {" SIZE=5",
                                           " SIZE=99999",
                                           " SIZE",
                                           " BODY=8BITMIME",
                                           " BODY=BINARYMIME",
                                           " BODY=7BIT",
                                           " SMTPUTF8",
                                           " RET=FULL",
                                           " ENVID=a+2Bb",
                                           " ENVID=a+2",
                                           " AUTH=<>",
                                           " AUTH=a@b",
                                           " BY=-1;R",
                                           " BY=100;R",
                                           " BY=-5;NT",
                                           " HOLDFOR=3",
                                           " HOLDFOR=999",
                                           " HOLDUNTIL=1970-01-01T00:00:09Z",
                                           " MT-PRIORITY=3",
                                           " MT-PRIORITY=-0",
                                           " REQUIRETLS",
                                           " SOLICIT=a,b",
                                           " MTRK=QUJD",
                                           " MTRK=QUJD:5",
                                           " SUBMITTER=a@b",
                                           " CONPERM",
                                           " TRANSID=<a@b>",
                                           " XM",
                                           " XMM=4",
                                           " FOO=1"};
  SAY_ONE_OF(dialogue, verbs);
  SAY_ONE_OF(dialogue, paths);
  while (pick(dialogue, 3) == 1) {
    SAY_ONE_OF(dialogue, parameters);
  }
  end_line(dialogue);
}

static void say_rcpt(struct dialogue *dialogue)
{
  static const char *const paths[] = {
      "<b@example.org>", "<b@example.org>", "<Postmaster>", "<b@c>", "<c@d.e>", "<j\xC3\xB6@example.org>", "<>"};
  static const char *const parameters[] = {" NOTIFY=NEVER",
                                           " NOTIFY=SUCCESS,DELAY",
                                           " NOTIFY=NEVER,SUCCESS",
                                           " ORCPT=rfc822;a@b",
                                           " ORCPT=utf-8;a\\x{E9}@b",
                                           " RRVS=2014-04-03T23:01:00Z;C",
                                           " CONNEG",
                                           " XR=1",
                                           " FOO"};
  say(dialogue, "RCPT TO:");
  SAY_ONE_OF(dialogue, paths);
  while (pick(dialogue, 4) == 1) {
    SAY_ONE_OF(dialogue, parameters);
  }
  end_line(dialogue);
}

static void say_content(struct dialogue *dialogue, size_t size)
{
  static const char *const pieces[] = {"a",    "b\r\n",     "\r\n",      "text text text", ".",
                                       "..",   "\r\n.\r\n", ".\r\n",     "\r\n..x",        "QUIT\r\n",
                                       "\n",   "\r",        "\n.\n",     "\r.\r",          "MAIL FROM:<a@b>\r\n",
                                       "\x01", "\xC3\xA9",  "BDAT 5\r\n"};
  while (size > 0) {
    const char *piece = pieces[pick(dialogue, sizeof pieces / sizeof *pieces)];
    size_t length = strlen(piece) < size ? strlen(piece) : size;
    say_octets(dialogue, piece, length);
    size -= length;
  }
}

static void say_data(struct dialogue *dialogue)
{
  say(dialogue, "DATA");
  end_line(dialogue);
  say_content(dialogue, pick(dialogue, 250));
  say(dialogue, pick(dialogue, 30) == 1 ? "\r\n" : "\r\n.\r\n");
}

/* Mostly with as many octets behind it as it says. */
static void say_bdat(struct dialogue *dialogue)
{
  char line[64];
  unsigned size = pick(dialogue, 4) == 1 ? pick(dialogue, 150) : pick(dialogue, 12);
  int lies = pick(dialogue, 25) == 1;
  (void)snprintf(line, sizeof line, "BDAT %u%s%s\r\n", size, pick(dialogue, 2) == 1 ? " LAST" : "",
                 pick(dialogue, 60) == 1 ? "x" : "");
  say(dialogue, line);
  say_content(dialogue, lies ? pick(dialogue, 20) : size);
}

static void say_burl(struct dialogue *dialogue)
{
  static const char *const lines[] = {"BURL imap://h/x LAST", "BURL http://u", "BURL nope"};
  SAY_ONE_OF(dialogue, lines);
  end_line(dialogue);
}

static void say_auth(struct dialogue *dialogue)
{
  static const char *const lines[] = {"AUTH PLAIN AGEAYg==",
                                      "AUTH PLAIN",
                                      "AUTH PLAIN =",
                                      "AUTH PLAIN !!!",
                                      "AUTH LOGIN",
                                      "AUTH LOGIN YQ==",
                                      "AUTH EXTERNAL =",
                                      "AUTH EXTERNAL YQ==",
                                      "AUTH XOAUTH2 dXNlcj1hAWF1dGg9QmVhcmVyIHQBAQ==",
                                      "AUTH OAUTHBEARER bixhPWEsAWF1dGg9QmVhcmVyIHQBAQ==",
                                      "AUTH CRAM-MD5",
                                      "AUTH SCRAM-SHA-1 biwsbj11",
                                      "AUTH SCRAM-SHA-256-PLUS",
                                      "AUTH X-SSO",
                                      "AUTH GSSAPI YQ==",
                                      "AUTH FOO"};
  static const char *const responses[] = {"YQ==", "AGEAYg==", "*", "", "=", "!!", "YWI=", "YQ="};
  SAY_ONE_OF(dialogue, lines);
  end_line(dialogue);
  while (pick(dialogue, 3) > 0) {
    SAY_ONE_OF(dialogue, responses);
    end_line(dialogue);
  }
}

/* A line that is longer than most can be. */
static void say_long(struct dialogue *dialogue)
{
  static const char *const begins[] = {"X", "BDAT ", "BURL ", "AUTH PLAIN ", "MAIL FROM:<", "NOOP "};
  static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
  SAY_ONE_OF(dialogue, begins);
  for (unsigned i = pick(dialogue, 40); i > 0; i--) {
    say(dialogue, zeros);
  }
  end_line(dialogue);
}

static void say_other(struct dialogue *dialogue)
{
  static const char *const lines[] = {"NOOP",
                                      "NOOP x",
                                      "RSET",
                                      "RSET",
                                      "VRFY a",
                                      "VRFY j\xC3\xB6 SMTPUTF8",
                                      "EXPN l",
                                      "HELP",
                                      "HELP MAIL",
                                      "STARTTLS",
                                      "STARTTLS x",
                                      "TURN",
                                      "ETRN example.com",
                                      "ETRN @example.com",
                                      "ETRN #q",
                                      "ETRN !",
                                      "ATRN",
                                      "ATRN a.b,c.d",
                                      "ATRN a.b,",
                                      "XCLIENT NAME=x ADDR=1.2.3.4",
                                      "XCLIENT LOGIN=a",
                                      "XCLIENT FOO=a",
                                      "XCLIENT NAME",
                                      "XFORWARD NAME=x",
                                      "XFORWARD SOURCE=LOCAL IDENT=+20",
                                      "XSAY hi",
                                      "XDO",
                                      "FOO bar",
                                      "QUIT",
                                      "LHLO x",
                                      "EHLO y.example",
                                      "HELO z.example",
                                      "\x01\x02",
                                      "",
                                      "RCPT TO:<a@b",
                                      "DATA x",
                                      "MAIL",
                                      "BDAT",
                                      "BDAT -1",
                                      "BDAT 99999999999999999999999"};
  SAY_ONE_OF(dialogue, lines);
  end_line(dialogue);
}

static void say_something(struct dialogue *dialogue)
{
  switch (pick(dialogue, 16)) {
  case 0:
  case 1: say_mail(dialogue); break;
  case 2:
  case 3: say_rcpt(dialogue); break;
  case 4: say_data(dialogue); break;
  case 5:
  case 6: say_bdat(dialogue); break;
  case 7: say_burl(dialogue); break;
  case 8: say_auth(dialogue); break;
  case 9: say_long(dialogue); break;
  case 10: say_hello(dialogue); break;
  case 11: /* a whole transaction */
    say_mail(dialogue);
    say_rcpt(dialogue);
    say_data(dialogue);
    break;
  case 12:
    say_mail(dialogue);
    say_rcpt(dialogue);
    say_bdat(dialogue);
    say_bdat(dialogue);
    break;
  default: say_other(dialogue); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct dialogue dialogue;
  size_t head = size < CONFIG_OCTETS ? 0 : (size_t)CONFIG_OCTETS + data[CONFIG_OCTETS - 2] + data[CONFIG_OCTETS - 1];
  if (head == 0 || size < head) {
    return 0;
  }
  memcpy(dialogue.said, data, head);
  dialogue.size = head;
  dialogue.choices = data + head;
  dialogue.count = size - head;
  say_hello(&dialogue);
  while (dialogue.count > 0 && dialogue.size - head < DIALOGUE_MAX) {
    say_something(&dialogue);
  }
  return play_session(dialogue.said, dialogue.size);
}
