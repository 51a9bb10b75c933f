/* checking.c: see checking.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * This is what to copy for a database or a look-up over the network. In the handler of RCPT the question is sent and
 * the ticket put off; the session goes on to the next RCPT of the batch, so that all of them are asked at the same
 * time. The answer comes whenever it comes, and its reply goes out in its turn. When the peer leaves, the library
 * cancels each ticket by the tag that it was put off with, which is the question's number.
 *
 * Lines to the program:    check <TAB> ID <TAB> RECIPIENT <TAB> SENDER <TAB> CLIENT <TAB> HELLO
 *                          cancel <TAB> ID
 * Lines from the program:  ID CODE [ENHANCED] [TEXT]        as in "17 550 5.1.1 No such mailbox here"
 */
#define _GNU_SOURCE
#include "checking.h"

#include "../common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_QUEUED = 1 << 20, LINE = 4096 };

static struct helper checker = {.name = "recipient checker", .tell = 1, .most_queued = MOST_QUEUED};

void checking_open(const char *command, unsigned seconds)
{
  checker.command = command;
  checker.patience = (int64_t)seconds * 1000;
  helper_start(&checker);
}

void checking_close(void)
{
  helper_stop(&checker);
}

uint64_t checking_ask(ehlo_span recipient, ehlo_span sender, const char *client, ehlo_span hello,
                      helper_answer_fn *done, void *owner, uint32_t ticket)
{
  char text[LINE];
  /* Neither addresses nor names have tabs or line ends in them: the grammar sees to that. */
  int size = snprintf(text, sizeof text, "\t%.*s\t%.*s\t%s\t%.*s", (int)recipient.len, recipient.ptr, (int)sender.len,
                      sender.ptr, client, (int)hello.len, hello.ptr);
  if (size < 0 || (size_t)size >= sizeof text)
    return 0;
  return helper_ask(&checker, "check", text, (size_t)size, done, owner, ticket);
}

void checking_reply(ehlo_server *server, uint32_t ticket, const char *answer)
{
  char *rest = NULL;
  long code = answer == NULL ? 0 : strtol(answer, &rest, 10);
  if (code <= 0 || code > 999) {
    ehlo_server_reply(server, ticket, 451, "4.4.3", ehlo_span_of("The recipient cannot be checked now"));
    return;
  }
  ehlo_span text = ehlo_span_of(rest + strspn(rest, " "));
  ehlo_enhanced enhanced;
  char word[24] = "";
  size_t used = 0;
  if (ehlo_parse_enhanced(text, &enhanced, &used) == EHLO_OK && used < sizeof word) {
    snprintf(word, sizeof word, "%u.%u.%u", enhanced.status_class, enhanced.subject, enhanced.detail);
    text.ptr += used;
    text.len -= used;
  }
  const char *given = word[0] == '\0' ? NULL : word;
  int error = ehlo_server_reply(server, ticket, (int)code, given, text);
  if (error == EHLO_ERR_TEXT || error == EHLO_ERR_TOO_LONG || error == EHLO_ERR_SPACE)
    error = ehlo_server_reply(server, ticket, (int)code, given, ehlo_span_of(NULL));
  if (error != EHLO_OK) {
    complain(checker.name, answer);
    ehlo_server_reply(server, ticket, 451, "4.3.5", ehlo_span_of(NULL));
  }
}
