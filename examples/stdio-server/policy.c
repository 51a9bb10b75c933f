/* policy.c: what is decided: whom to take mail for, who may log in, what to do with the content.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* open_memstream */
#include "stdio-server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char cannot_store[] = "The message cannot be stored now";

static int fail(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  complain(host->spool_name, strerror(errno));
  return answer(server, event, 451, "4.3.0", cannot_store);
}

/* ---- the envelope ------------------------------------------------------------------------------------------------ */

/* What the message shows by itself need not be written beside it. */
static int is_plain(const ehlo_parameter *parameter)
{
  return parameter->id == EHLO_PARAMETER_SIZE || parameter->id == EHLO_PARAMETER_SMTPUTF8 ||
         (parameter->id == EHLO_PARAMETER_BODY &&
          !ehlo_span_equal_nocase(parameter->value, ehlo_span_of("BINARYMIME")));
}

static int write_span(FILE *file, ehlo_span span)
{
  return span.len == 0 || fwrite(span.ptr, 1, span.len, file) == span.len; /* no octets: perhaps no pointer either */
}

/* The mailbox is the path without brackets and source route; that of <> is empty. */
static int add_lines(FILE *envelope, const char *word, ehlo_span mailbox, ehlo_span parameters)
{
  ehlo_parameter parameter;
  const char *before = "PARAMETERS:";
  int good = fputs(word, envelope) != EOF && write_span(envelope, mailbox) && fputc('\n', envelope) != EOF;
  while (good && ehlo_parameter_next(&parameters, EHLO_PARSE_UTF8, &parameter) == 1) {
    if (is_plain(&parameter))
      continue;
    good = fputs(before, envelope) != EOF && write_span(envelope, parameter.raw);
    before = " ";
  }
  return good && (before[0] != ' ' || fputc('\n', envelope) != EOF);
}

static int on_mail(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_event_mail *mail = &event->as.mail;
  spool_discard(host); /* a MAIL that was refused below has no END */
  host->envelope = open_memstream(&host->text, &host->text_size);
  if (host->envelope == NULL || !add_lines(host->envelope, "FROM:", mail->path.mailbox, mail->raw))
    return answer(server, event, 451, "4.3.0", NULL);
  return answered(ehlo_server_accept(server, event->ticket));
}

/* RFC 9422 4.3: the library tells RCPTDOMAINMAX, but keeps no addresses. */
static int is_domain_too_many(struct host *host, const ehlo_path *path)
{
  size_t i = recipients_domain(&host->recipients, path->domain.raw);
  if (host->max_rcpt_domains == 0 || i == host->recipients.domain_count || host->domain_used[i])
    return 0;
  if (host->domains_used == host->max_rcpt_domains)
    return 1;
  host->domain_used[i] = 1;
  host->domains_used++;
  return 0;
}

static int on_rcpt(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_path *path = &event->as.rcpt.path;
  struct verdict verdict = recipients_judge(&host->recipients, path);
  if (verdict.code != 250)
    return answer(server, event, verdict.code, verdict.enhanced, verdict.text);
  if (is_domain_too_many(host, path))
    return answer(server, event, 452, "4.5.3", "Too many domains");
  if (!add_lines(host->envelope, "TO:", path->mailbox, event->as.rcpt.raw))
    return answer(server, event, 451, "4.3.0", NULL);
  return answered(ehlo_server_accept(server, event->ticket));
}

/* ---- the content ------------------------------------------------------------------------------------------------- */

/* By BDAT content comes without being announced. Returns 1 if there is a file for it; if not, *handled is what the
 * handler is to return. */
static int has_file(struct host *host, ehlo_server *server, const ehlo_event *event, int *handled)
{
  if (host->spool < 0)
    *handled = answer(server, event, 451, "4.3.0", "This server has no spool");
  else if (host->content == NULL && !spool_open_content(host))
    *handled = fail(host, server, event);
  return host->content != NULL;
}

static int on_data(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  int handled;
  if (!has_file(host, server, event, &handled))
    return handled;
  return answered(ehlo_server_accept(server, event->ticket));
}

/* A refusal here is final: the library drains the rest of the content, and gives the reply where the protocol wants
 * it. */
static int on_body(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_event_body *body = &event->as.body;
  int handled;
  if (!has_file(host, server, event, &handled))
    return handled;
  for (size_t i = 0; i < body->count; i++) {
    if (!write_span(host->content, body->spans[i]))
      return fail(host, server, event);
  }
  return EHLO_HANDLED;
}

/* In LMTP this is asked for each recipient. The message is stored once, for all of them. */
static int on_verdict(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  char text[NAME_SIZE + 32];
  int handled;
  if (!host->tried) {
    if (!has_file(host, server, event, &handled)) /* BDAT 0 LAST alone: no BODY came */
      return handled;
    host->tried = 1;
    host->stored = spool_store(host);
    if (!host->stored)
      complain(host->spool_name, strerror(errno));
    else if (host->trace)
      fprintf(stderr, "        stored as %s\n", host->name);
  }
  if (!host->stored)
    return answer(server, event, 451, "4.3.0", cannot_store);
  snprintf(text, sizeof text, "Message accepted as %s", host->name);
  return answer(server, event, 250, NULL, text);
}

/* ---- logins ------------------------------------------------------------------------------------------------------ */

/* Takes as long for whatever `known` is: a stopwatch does not tell how much of a guess is right. */
static unsigned differ(ehlo_span known, ehlo_span guess)
{
  unsigned difference = known.len != guess.len;
  for (size_t i = 0; i < guess.len; i++)
    difference |= (unsigned char)guess.ptr[i] ^ (known.len > 0 ? (unsigned char)known.ptr[i % known.len] : 0U);
  return difference;
}

/* All users are looked at, whoever it is. Nobody may act as somebody else. */
static int on_auth(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_event_auth *auth = &event->as.auth;
  unsigned known = 0;
  for (size_t i = 0; i < host->user_count; i++)
    known |= (differ(host->users[i].name, auth->authcid) | differ(host->users[i].password, auth->secret)) == 0;
  if (!known)
    return answer(server, event, 535, "5.7.8", NULL);
  if (auth->authzid.len > 0 && !ehlo_span_equal(auth->authzid, auth->authcid))
    return answer(server, event, 535, "5.7.8", "You may act only as yourself");
  return answered(ehlo_server_accept(server, event->ticket));
}

/* ---- what else is asked ------------------------------------------------------------------------------------------ */

/* Whoever works the spool off delivers what is there for its domains; there are no other queues. */
static int on_etrn(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_event_etrn *etrn = &event->as.etrn;
  size_t i = recipients_domain(&host->recipients, etrn->node);
  if (etrn->option == '#' || i == host->recipients.domain_count)
    return answer(server, event, 458, NULL, "No mail is queued here for that node");
  return answered(ehlo_server_accept(server, event->ticket));
}

int on_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct host *host = user;
  if (host->trace)
    trace_event(host, event);
  switch (event->type) {
  case EHLO_EVENT_MAIL: return on_mail(host, server, event);
  case EHLO_EVENT_RCPT: return on_rcpt(host, server, event);
  case EHLO_EVENT_DATA: return on_data(host, server, event);
  case EHLO_EVENT_BODY: return on_body(host, server, event);
  case EHLO_EVENT_MESSAGE:
  case EHLO_EVENT_RESULT: return on_verdict(host, server, event);
  case EHLO_EVENT_END: spool_discard(host); return EHLO_HANDLED;
  case EHLO_EVENT_AUTH: return on_auth(host, server, event);
  case EHLO_EVENT_ETRN: return on_etrn(host, server, event);
  case EHLO_EVENT_ATRN: return answer(server, event, 453, NULL, NULL); /* it has no mail to send back */
  case EHLO_EVENT_BURL: return answer(server, event, 554, "5.6.6", "Nothing is fetched from elsewhere");
  case EHLO_EVENT_STARTTLS: /* comes with --starttls-in-clear alone */
  case EHLO_EVENT_XCLIENT:
  case EHLO_EVENT_XFORWARD: return answered(ehlo_server_accept(server, event->ticket));
  default: return EHLO_HANDLED; /* the safe answer: 220, 250 to EHLO, 252 to VRFY, 502 to TURN ... */
  }
}
