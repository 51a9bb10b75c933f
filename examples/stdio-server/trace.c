/* trace.c: the dialogue and the events, readable, on standard error.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stdio-server.h"

/* Does this line begin with AUTH, though it is no command? */
static int looks_like_auth(ehlo_span line)
{
  size_t blank = 0;
  while (blank < line.len && (line.ptr[blank] == ' ' || line.ptr[blank] == '\t'))
    blank++;
  return line.len - blank >= 4 && ehlo_span_equal_nocase((ehlo_span){line.ptr + blank, 4}, ehlo_span_of("AUTH"));
}

/* A line of the peer's. Whether AUTH is offered or not, clients send passwords: neither its line nor what follows it
 * until the next proper command is shown. (What answers a 334 comes as no command.) Nor are the URLs of BURL: whoever
 * has one may read what is there. */
static void trace_line(struct host *host, uint32_t verb, ehlo_span line)
{
  int is_command = verb != EHLO_VERB_UNKNOWN && verb != EHLO_VERB_LINE;
  if (is_command)
    host->hide = verb == EHLO_VERB_AUTH || verb == EHLO_VERB_BURL;
  else if (looks_like_auth(line))
    host->hide = 1;
  fputs("C: ", stderr);
  if (host->hide && is_command)
    fprintf(stderr, "%s (not shown)", ehlo_verb_name(verb));
  else if (host->hide)
    fputs("(not shown)", stderr);
  else
    print_octets(stderr, line, 1);
  fputc('\n', stderr);
}

void trace_replies(struct host *host, const char *octets, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    if (!host->inside_line)
      fputs("S: ", stderr);
    host->inside_line = octets[i] != '\n';
    if (octets[i] == '\n')
      fputc('\n', stderr);
    else if (octets[i] != '\r')
      print_octets(stderr, (ehlo_span){octets + i, 1}, 1);
  }
}

static void trace_words(const char *word, ehlo_span octets, ehlo_span more)
{
  fprintf(stderr, " %s ", word);
  print_octets(stderr, octets, 1);
  if (more.len > 0)
    fputc(' ', stderr);
  print_octets(stderr, more, 1);
}

/* COMMAND and REPLY are the dialogue itself: "C:" here, "S:" when the octets go out. Events are set in. */
void trace_event(struct host *host, const ehlo_event *event)
{
  const ehlo_event_union *as = &event->as;
  const ehlo_span nothing = {NULL, 0};
  if (event->type == EHLO_EVENT_COMMAND)
    trace_line(host, as->command.verb, as->command.line);
  if (event->type == EHLO_EVENT_COMMAND || event->type == EHLO_EVENT_REPLY)
    return;
  if (event->type == EHLO_EVENT_VIOLATION && as->violation.verb == EHLO_VERB_LINE)
    trace_line(host, EHLO_VERB_LINE, as->violation.octets); /* no command, so no COMMAND event showed it */
  fprintf(stderr, "        %s", ehlo_event_name(event->type));
  switch (event->type) {
  case EHLO_EVENT_HELLO: trace_words("from", as->hello.domain.raw, as->hello.text); break;
  case EHLO_EVENT_MAIL: trace_words("from", as->mail.path.raw, as->mail.raw); break;
  case EHLO_EVENT_RCPT: trace_words("to", as->rcpt.path.raw, as->rcpt.raw); break;
  case EHLO_EVENT_BODY: fprintf(stderr, " %llu octets so far", (unsigned long long)as->body.octets); break;
  case EHLO_EVENT_MESSAGE: fprintf(stderr, " %llu octets", (unsigned long long)as->message.octets); break;
  case EHLO_EVENT_RESULT: fprintf(stderr, " for recipient %u", (unsigned)as->result.ordinal + 1); break;
  case EHLO_EVENT_END: fprintf(stderr, " %s", ehlo_end_name(as->end.reason)); break;
  case EHLO_EVENT_AUTH: fprintf(stderr, " by %s", ehlo_sasl_name(as->auth.mechanism)); break;
  case EHLO_EVENT_ETRN: trace_words("for", as->etrn.node, nothing); break;
  case EHLO_EVENT_ATRN: trace_words("for", as->atrn.domains, nothing); break;
  case EHLO_EVENT_BURL: fputs(as->burl.last ? " last" : "", stderr); break;
  case EHLO_EVENT_XCLIENT:
  case EHLO_EVENT_XFORWARD: trace_words("of", as->peer.attributes, nothing); break;
  case EHLO_EVENT_VIOLATION: fprintf(stderr, " %s", ehlo_violation_name(as->violation.kind)); break;
  default: break;
  }
  fputc('\n', stderr);
}
