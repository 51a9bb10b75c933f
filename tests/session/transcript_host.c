/* transcript_host.c: the host of a replay.
 *
 * It keeps to the loop that ehlo/server.h documents: what was not consumed is fed again when the session wants FEED,
 * more arrives only when it wants READ, and what it asks is answered as the transcript says. Beside that it watches
 * what must hold whatever is replayed:
 *
 *   - the block is as large as ehlo_server_size says, no octet around it is touched, and it can be moved
 *     at every pause;
 *   - no octet beside or after those that were fed is read, and none is needed later;
 *   - output stays where it is and is only appended to;
 *   - tickets are never used twice;
 *   - each reply on the wire is well-formed and has its REPLY event, in order, with its code and enhanced code;
 *   - no 2yz to RCPT, message, LMTP result, AUTH, ETRN, ATRN, BURL, XCLIENT or XFORWARD that the host did not give;
 *   - of secrets that the host was told nothing is left in the block when the call has returned;
 *   - each accepted MAIL has one END, after its last verdict, and no second transaction begins before;
 *   - events come behind the COMMAND that they belong to, and BODY adds up to what MESSAGE, RESULT and END tell;
 *   - no BODY comes while one is deferred or after one was refused;
 *   - DECISION is shown just when something deferred is unanswered, WRITE just when there is output; what was
 *     not consumed is always waiting for something, and a host that does what is wanted never gets stuck.
 */
#include "transcript.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static char *block_arena[2];
static char *input_arena;

/* ---- the run -------------------------------------------------------------------------------- */

enum { OPEN_AUTOMATIC, OPEN_RESUME, OPEN_EXPLICIT };

/* A ticket that was deferred. */
struct open_ticket {
  uint32_t ticket;
  int kind;             /* OPEN_ */
  uint32_t event;       /* EHLO_EVENT_ */
  struct answer answer; /* OPEN_AUTOMATIC */
  int is_verdict;       /* on a message, or for one of its recipients */
  size_t next_line;     /* of the answer, that is still to be given */
  uint64_t number;      /* OPEN_EXPLICIT: the tag, from 1 */
};

struct policy {
  const struct answer *answer;
  uint32_t event;
  unsigned count;
};

struct verdict {
  uint32_t ticket;
  int code;
};

struct reply {
  uint32_t code;
  ehlo_enhanced enhanced;
};

struct run {
  const struct section *section;
  const struct way *way;
  ehlo_server *server;
  size_t block_size;
  int arena;
  unsigned pauses;
  int check;
  struct text *trouble;

  struct text input; /* all that the client sends */
  size_t arrived;    /* of it, that the host has read */
  size_t fed;        /* of it, that was consumed */
  size_t given;      /* of it, that the section's beginning took: cuts count from here */
  long cuts[2];

  struct policy *policies;
  size_t policy_count;
  struct open_ticket *open;
  size_t open_count;
  uint64_t deferred; /* explicitly, so far */
  struct verdict *verdicts;
  size_t verdict_count;
  uint32_t *tickets; /* every ticket so far: a table with open addressing */
  size_t ticket_count;
  size_t ticket_room;

  struct text wire; /* drained and not yet taken for replies */
  struct text step; /* drained since the transcript last looked */
  struct text events;
  struct text replies;
  struct text content;
  struct reply *told; /* REPLY events, and the first of them that is still to be seen on the wire */
  size_t told_count;
  size_t told_seen;
  struct text lent;    /* what the config points to */
  struct text secrets; /* told, and not sent again since */
  struct text output;  /* a copy of what ehlo_server_output gave last */
  const char *output_at;

  uint32_t command;     /* the verb of the last COMMAND */
  uint32_t body_ticket; /* of the message that is coming in */
  uint64_t body_octets; /* joined */
  int body_paused;
  int body_refused;       /* early: how much was given before depends on the cuts */
  int content_depends;    /* so it does for what is in `content` */
  int transaction_open;   /* an accepted MAIL without END */
  unsigned verdicts_open; /* MESSAGE and RESULT without reply */
  int giving;             /* what the section is given */
  int started;
  int fatal;
  int lost;
  int closed_seen;
  int failed;
};

static void fail(struct run *run, const char *format, const char *detail)
{
  if (!run->failed) {
    run->failed = 1;
    text_print(run->trouble, format, detail);
    text_print(run->trouble, "\n");
  }
}

#define LAW(run, condition, text)        \
  do {                                   \
    if (!(condition)) {                  \
      fail(run, "law broken: %s", text); \
    }                                    \
  } while (0)

/* ---- the block ------------------------------------------------------------------------------ */

static char *block_place(const struct run *run, int arena)
{
  size_t alignment = alignof(max_align_t);
  return block_arena[arena] - (run->block_size + alignment - 1) / alignment * alignment;
}

static void canaries_set(const struct run *run)
{
  char *block = block_place(run, run->arena);
  memset(block - CANARY, CANARY_OCTET, CANARY);
  memset(block + run->block_size, CANARY_OCTET, (size_t)(block_arena[run->arena] - block) - run->block_size);
}

static void canaries_check(struct run *run)
{
  const char *block = block_place(run, run->arena);
  for (const char *at = block - CANARY; at < block_arena[run->arena]; at++) {
    if (at == block) {
      at += run->block_size;
      if (at == block_arena[run->arena]) {
        break;
      }
    }
    LAW(run, (unsigned char)*at == CANARY_OCTET, "octets around the block are left alone");
  }
}

static int handler(ehlo_server *server, const ehlo_event *event, void *user);

/* Moves the session to `block` by way of no more memory than it says it keeps. */
static void sleep_and_wake(struct run *run, char *old, char *block)
{
  size_t kept = ehlo_server_kept(run->server);
  uint32_t want = ehlo_server_want(run->server);
  void *bed = malloc(kept); /* of this very size, so that sanitizers see an octet too far */
  int error = ehlo_server_move(&run->server, bed, kept, run->server);
  memset(old, POISON, run->block_size);
  LAW(run, error == EHLO_OK && ehlo_server_want(run->server) == want, "a session can sleep in what it keeps");
  if (kept < run->block_size) {
    size_t consumed;
    error = ehlo_server_feed(run->server, "NOOP\r\n", 6, &consumed);
    LAW(run, error == EHLO_ERR_STATE || error == EHLO_ERR_HOST, "a sleeping session takes no input");
  }
  error = ehlo_server_move(&run->server, block, run->block_size, run->server);
  free(bed);
  LAW(run, error == EHLO_OK && ehlo_server_want(run->server) == want, "a session wakes in a whole block");
}

/* After every call: the output stays where it is, and the block can be moved. */
static void after_call(struct run *run)
{
  LAW(run,
      !secrets_are_in(&run->secrets, block_place(run, run->arena), run->block_size, ehlo_server_identity(run->server)),
      "no secret is left in the block");
  /* Long sections pause often; and attach asks the processor what it can do, which is slow. */
  unsigned every = run->section->octets > 500 ? 7 : 1;
  if (run->way->moves && run->pauses++ % every == 0) {
    char *old = block_place(run, run->arena);
    canaries_check(run);
    run->arena = !run->arena;
    char *block = block_place(run, run->arena);
    canaries_set(run);
    if (run->pauses / every % 2 == 0) {
      memcpy(block, old, run->block_size);
      memset(old, POISON, run->block_size);
      int error = ehlo_server_attach(&run->server, block, run->block_size, handler, run);
      LAW(run, error == EHLO_OK && (void *)run->server == (void *)block, "a moved block can be attached");
    } else {
      sleep_and_wake(run, old, block);
    }
    text_clear(&run->output); /* is at another place now */
    return;
  }
  size_t size;
  const char *output = ehlo_server_output(run->server, &size);
  if (run->output.len > 0) {
    LAW(run,
        output == run->output_at && size >= run->output.len && memcmp(output, run->output.ptr, run->output.len) == 0,
        "output stays where it is until it is sent");
  }
  text_clear(&run->output);
  text_add(&run->output, output, size);
  run->output_at = output;
}

/* ---- what the wire says, and what REPLY told ------------------------------------------------ */

/* Takes whole replies from the wire and holds each to its REPLY event. */
static void replies_check(struct run *run)
{
  size_t reply = 0; /* where the reply begins */
  size_t line = 0;
  uint32_t code = 0;
  for (size_t i = 0; i + 1 < run->wire.len; i++) {
    if (run->wire.ptr[i] != '\r' || run->wire.ptr[i + 1] != '\n') {
      continue;
    }
    LAW(run, i + 2 - line <= (memcmp(run->wire.ptr + line, "334", 3) == 0 ? 12288 : 512),
        "a reply line has at most 512 octets, a challenge 12,288");
    ehlo_reply_line parsed;
    ehlo_span text = {run->wire.ptr + line, i - line};
    if (ehlo_parse_reply_line(text, &parsed) != EHLO_OK || text.len < 4) {
      fail(run, "law broken: a reply is not well-formed: %s", run->wire.ptr + line);
      return;
    }
    LAW(run, line == reply || parsed.code == code, "all lines of a reply have the same code");
    code = parsed.code;
    if (run->told_seen == run->told_count && run->fatal) {
      continue; /* no events come any more, and this is the last word */
    }
    if (run->told_seen == run->told_count) {
      fail(run, "law broken: a reply without REPLY event: %s", run->wire.ptr + line);
      return;
    }
    const struct reply *told = &run->told[run->told_seen];
    LAW(run, told->code == code, "REPLY tells the code of the wire, in the order of the wire");
    char enhanced[24] = "";
    if (told->enhanced.status_class != 0) {
      snprintf(enhanced, sizeof enhanced, "%u.%u.%u ", told->enhanced.status_class, told->enhanced.subject,
               told->enhanced.detail);
    }
    size_t length = strlen(enhanced);
    LAW(run, parsed.text.len >= length && memcmp(parsed.text.ptr, enhanced, length) == 0,
        "REPLY tells the enhanced code of every line");
    ehlo_enhanced standing;
    size_t used;
    LAW(run, length > 0 || ehlo_parse_enhanced(parsed.text, &standing, &used) != EHLO_OK,
        "an enhanced code on the wire is told by REPLY");
    line = i + 2;
    if (parsed.last) {
      run->told_seen++;
      reply = line;
    }
  }
  if (reply > 0) {
    memmove(run->wire.ptr, run->wire.ptr + reply, run->wire.len - reply);
    run->wire.len -= reply;
  }
}

/* Hands output to the peer, `most` octets of it. How many were there? */
static size_t drain(struct run *run, size_t most)
{
  size_t size;
  const char *output = ehlo_server_output(run->server, &size);
  LAW(run, (size > 0) == (output != NULL), "output is NULL just when there is none");
  LAW(run, (size > 0) == ((ehlo_server_want(run->server) & EHLO_WANT_WRITE) != 0), "WRITE is shown just with output");
  size_t sent = size < most ? size : most;
  text_add(&run->wire, output, sent);
  text_add(&run->step, output, sent);
  ehlo_server_sent(run->server, sent);
  text_clear(&run->output);
  return sent;
}

/* ---- answers -------------------------------------------------------------------------------- */

static int ticket_is_new(struct run *run, uint32_t ticket)
{
  if (run->ticket_count * 2 >= run->ticket_room) {
    size_t old_room = run->ticket_room;
    uint32_t *old = run->tickets;
    run->ticket_room = old_room == 0 ? 64 : old_room * 4;
    run->tickets = calloc(run->ticket_room, sizeof *run->tickets);
    run->ticket_count = 0;
    for (size_t i = 0; i < old_room; i++) {
      if (old[i] != 0) {
        ticket_is_new(run, old[i]);
      }
    }
    free(old);
  }
  size_t slot = ticket * 2654435761u % run->ticket_room;
  for (; run->tickets[slot] != 0; slot = (slot + 1) % run->ticket_room) {
    if (run->tickets[slot] == ticket) {
      return 0;
    }
  }
  run->tickets[slot] = ticket;
  run->ticket_count++;
  return 1;
}

static void verdict_note(struct run *run, uint32_t ticket, int code)
{
  run->verdicts = realloc(run->verdicts, (run->verdict_count + 1) * sizeof *run->verdicts);
  run->verdicts[run->verdict_count++] = (struct verdict){ticket, code};
}

static int verdict_given(const struct run *run, uint32_t ticket)
{
  for (size_t i = run->verdict_count; i > 0; i--) {
    if (run->verdicts[i - 1].ticket == ticket) {
      return run->verdicts[i - 1].code;
    }
  }
  return 0;
}

/* Is it a verdict on a message that the event asks for? */
static int asks_verdict(const ehlo_event *event)
{
  return event->type == EHLO_EVENT_MESSAGE || event->type == EHLO_EVENT_RESULT ||
         (event->type == EHLO_EVENT_BURL && event->as.burl.last);
}

static struct open_ticket *open_new(struct run *run, const ehlo_event *event, int kind)
{
  run->open = realloc(run->open, (run->open_count + 1) * sizeof *run->open);
  struct open_ticket *open = &run->open[run->open_count++];
  memset(open, 0, sizeof *open);
  open->ticket = event->ticket;
  open->kind = kind;
  open->event = event->type;
  open->is_verdict = asks_verdict(event);
  return open;
}

static void open_drop(struct run *run, size_t index)
{
  memmove(&run->open[index], &run->open[index + 1], (run->open_count - index - 1) * sizeof *run->open);
  run->open_count--;
}

static int is_explicit(const struct open_ticket *open)
{
  return open->kind == OPEN_EXPLICIT;
}

static size_t count_open(const struct run *run, int with_automatic)
{
  size_t count = 0;
  for (size_t i = 0; i < run->open_count; i++) {
    count += is_explicit(&run->open[i]) || with_automatic;
  }
  return count;
}

/* Gives what is left of an answer. Returns what the library said last. */
static int give(struct run *run, uint32_t ticket, const struct answer *answer, size_t *next_line)
{
  int error = EHLO_OK;
  if (answer->kind == ANSWER_ACCEPT) {
    error = ehlo_server_accept(run->server, ticket);
  } else if (answer->kind == ANSWER_CHALLENGE) {
    error = ehlo_server_challenge(run->server, ticket, (ehlo_span){answer->line[0].text, answer->line[0].length});
  }
  for (; answer->kind == ANSWER_CODE && *next_line < answer->lines && error == EHLO_OK; ++*next_line) {
    const struct answer_line *line = &answer->line[*next_line];
    const char *enhanced = line->enhanced[0] == '\0' ? NULL : line->enhanced;
    ehlo_span text = {line->text, line->length};
    error = *next_line + 1 < answer->lines ? ehlo_server_reply_more(run->server, ticket, answer->code, enhanced, text)
                                           : ehlo_server_reply(run->server, ticket, answer->code, enhanced, text);
    if (error != EHLO_OK) {
      break;
    }
  }
  if (error == EHLO_OK) {
    verdict_note(run, ticket, answer->kind == ANSWER_ACCEPT ? 250 : answer->code);
  } else if (error != EHLO_ERR_SPACE) {
    fail(run, "an answer was not taken: %s", ehlo_strerror(error));
  }
  return error;
}

/* Answers one of the tickets that the transcript leaves to the host. Was there one that could be? */
static int answer_one(struct run *run)
{
  for (size_t i = 0; i < run->open_count; i++) {
    size_t index = run->way->answers == ANSWER_REVERSE ? run->open_count - 1 - i : i;
    struct open_ticket *open = &run->open[index];
    if (is_explicit(open)) {
      continue;
    }
    if (open->kind == OPEN_RESUME) {
      run->body_paused = 0;
      LAW(run, ehlo_server_resume(run->server, open->ticket) == EHLO_OK, "a paused BODY can be resumed");
      open_drop(run, index);
      after_call(run);
      return 1;
    }
    size_t before = open->next_line;
    int error = give(run, open->ticket, &open->answer, &open->next_line);
    int moved = open->next_line > before;
    if (error == EHLO_OK) {
      open_drop(run, index);
    }
    after_call(run);
    if (error == EHLO_OK || moved) {
      return 1;
    }
  }
  return 0;
}

/* The answer that the transcript has for this event, or what a friendly host says. */
static struct answer decide(struct run *run, uint32_t event)
{
  struct answer usual = {.kind = ANSWER_SILENT};
  for (size_t i = 0; i < run->policy_count; i++) {
    struct policy *policy = &run->policies[i];
    if (policy->event == event && policy->count > 0) {
      policy->count--;
      return *policy->answer;
    }
  }
  switch (event) {
  case EHLO_EVENT_CONNECT:
  case EHLO_EVENT_HELLO:
  case EHLO_EVENT_MAIL:
  case EHLO_EVENT_RCPT:
  case EHLO_EVENT_DATA:
  case EHLO_EVENT_MESSAGE:
  case EHLO_EVENT_RESULT:
  case EHLO_EVENT_STARTTLS: usual.kind = ANSWER_ACCEPT; break;
  case EHLO_EVENT_AUTH:
  case EHLO_EVENT_XCLIENT: usual.kind = run->giving ? ANSWER_ACCEPT : ANSWER_SILENT; break;
  default: break;
  }
  return usual;
}

static void defer(struct run *run, uint32_t ticket, uint64_t tag)
{
  LAW(run, ehlo_server_defer(run->server, ticket, tag) == EHLO_OK, "what is asked can be deferred");
}

static void body_refuse(struct run *run, int is_body)
{
  if (is_body) {
    run->body_refused = 1;
    run->content_depends = 1;
  }
}

/* Answers an event that asks, and tells what the handler is to return. */
static int respond(struct run *run, const ehlo_event *event)
{
  struct answer answer = decide(run, event->type);
  int is_body = event->type == EHLO_EVENT_BODY;
  size_t next_line = 0;
  switch (answer.kind) {
  case ANSWER_FAIL: body_refuse(run, is_body); return EHLO_FAIL_TRANSACTION;
  case ANSWER_FATAL: run->fatal = 1; return -1;
  case ANSWER_DEFER: {
    struct open_ticket *open = open_new(run, event, OPEN_EXPLICIT);
    open->number = ++run->deferred;
    run->body_paused = is_body;
    defer(run, event->ticket, open->number);
    return EHLO_HANDLED;
  }
  case ANSWER_SILENT:
    if (is_body && run->way->answers != ANSWER_INLINE) {
      open_new(run, event, OPEN_RESUME);
      run->body_paused = 1;
      defer(run, event->ticket, 0);
    }
    return EHLO_HANDLED;
  default: break;
  }
  body_refuse(run, is_body);
  if (run->way->answers == ANSWER_INLINE || is_body) {
    int error = give(run, event->ticket, &answer, &next_line);
    if (error == EHLO_ERR_SPACE) { /* no room: drain, as the header says */
      drain(run, SIZE_MAX);
      error = give(run, event->ticket, &answer, &next_line);
    }
    if (error != EHLO_ERR_SPACE) {
      return EHLO_HANDLED;
    }
  }
  struct open_ticket *open = open_new(run, event, OPEN_AUTOMATIC);
  open->answer = answer;
  open->next_line = next_line;
  defer(run, event->ticket, 0);
  return EHLO_HANDLED;
}

/* ---- events --------------------------------------------------------------------------------- */

static void print_domain(struct text *out, const ehlo_domain *domain)
{
  static const char *const kinds[] = {"none", "name", "ipv4", "ipv6"};
  print_span(out, "domain=", domain->raw);
  text_print(out, " %s", name_in(kinds, 4, domain->kind));
  for (size_t i = 0; domain->kind >= EHLO_DOMAIN_IPV4 && i < (domain->kind == EHLO_DOMAIN_IPV4 ? 4u : 16u); i++) {
    text_print(out, "%s%02x", i == 0 ? " address=" : "", domain->address[i]);
  }
}

static void print_path(struct text *out, const ehlo_path *path)
{
  static const char *const kinds[] = {"null", "postmaster", "mailbox"};
  print_span(out, "", path->raw);
  text_print(out, " %s", name_in(kinds, 3, path->kind));
  print_span(out, "route=", path->route);
  print_span(out, "mailbox=", path->mailbox);
  print_span(out, "local=", path->local_part);
  print_domain(out, &path->domain);
  text_print(out, "%s%s", path->quoted ? " quoted" : "", path->utf8 ? " utf8" : "");
}

static void print_event(struct run *run, const ehlo_event *event)
{
  struct text *out = &run->events;
  text_print(out, "%s", ehlo_event_name(event->type));
  switch (event->type) {
  case EHLO_EVENT_COMMAND:
    text_print(out, " %s", verb_name(event->as.command.verb));
    print_span(out, "line=", event->as.command.line);
    break;
  case EHLO_EVENT_HELLO:
    text_print(out, " %s", verb_name(event->as.hello.verb));
    print_domain(out, &event->as.hello.domain);
    print_span(out, "text=", event->as.hello.text);
    break;
  case EHLO_EVENT_MAIL:
    text_print(out, " %s", verb_name(event->as.mail.verb));
    print_path(out, &event->as.mail.path);
    print_mail_parameters(out, &event->as.mail.parameters);
    print_span(out, "parameters=", event->as.mail.raw);
    break;
  case EHLO_EVENT_RCPT:
    print_path(out, &event->as.rcpt.path);
    print_rcpt_parameters(out, &event->as.rcpt.parameters);
    print_span(out, "parameters=", event->as.rcpt.raw);
    break;
  case EHLO_EVENT_DATA: text_print(out, " recipients=%u", event->as.data.recipients); break;
  case EHLO_EVENT_MESSAGE:
    text_print(out, " recipients=%u octets=%llu", event->as.message.recipients,
               (unsigned long long)event->as.message.octets);
    break;
  case EHLO_EVENT_RESULT:
    text_print(out, " ordinal=%u octets=%llu", event->as.result.ordinal, (unsigned long long)event->as.result.octets);
    break;
  case EHLO_EVENT_END:
    text_print(out, " %s recipients=%u", end_name(event->as.end.reason), event->as.end.recipients);
    if (!run->body_refused) {
      text_print(out, " octets=%llu", (unsigned long long)event->as.end.octets);
    }
    break;
  case EHLO_EVENT_VRFY:
  case EHLO_EVENT_EXPN:
    print_span(out, "", event->as.query.argument);
    text_print(out, "%s", event->as.query.smtputf8 ? " smtputf8" : "");
    break;
  case EHLO_EVENT_HELP: print_span(out, "", event->as.help.argument); break;
  case EHLO_EVENT_UNKNOWN:
    print_span(out, "", event->as.unknown.name);
    print_span(out, "argument=", event->as.unknown.argument);
    break;
  case EHLO_EVENT_VIOLATION:
    text_print(out, " %s %s", violation_name(event->as.violation.kind), verb_name(event->as.violation.verb));
    print_span(out, "octets=", event->as.violation.octets);
    break;
  case EHLO_EVENT_CANCEL: text_print(out, " %llu", (unsigned long long)event->as.cancel.tag); break;
  default: print_extension_event(out, event); break;
  }
  text_print(out, "\n");
}

static void on_reply(struct run *run, const ehlo_event_reply *reply)
{
  text_print(&run->replies, "REPLY %s %u", verb_name(reply->verb), reply->code);
  if (reply->enhanced.status_class != 0) {
    text_print(&run->replies, " %u.%u.%u", reply->enhanced.status_class, reply->enhanced.subject,
               reply->enhanced.detail);
  }
  text_print(&run->replies, " ordinal=%u%s\n", reply->ordinal, reply->asked != 0 ? " asked" : "");
  run->told = realloc(run->told, (run->told_count + 1) * sizeof *run->told);
  run->told[run->told_count++] = (struct reply){reply->code, reply->enhanced};
  int positive = reply->code < 300;
  switch (reply->verb) {
  case EHLO_VERB_MAIL:
  case EHLO_VERB_SEND:
  case EHLO_VERB_SOML:
  case EHLO_VERB_SAML:
    positive |= reply->code == 355;
    LAW(run, !positive || !run->transaction_open, "no transaction begins before the last one has ended");
    run->transaction_open |= positive;
    break;
  case EHLO_VERB_MESSAGE:
  case EHLO_VERB_RESULT:
    run->verdicts_open -= reply->asked != 0 && run->verdicts_open > 0;
    LAW(run, !positive || verdict_given(run, reply->asked) / 100 == 2, "no 2yz to a message that was not accepted");
    break;
  case EHLO_VERB_RCPT:
    LAW(run, !positive || verdict_given(run, reply->asked) / 100 == 2, "no 2yz to a recipient that was not accepted");
    break;
  case EHLO_VERB_BDAT: run->body_ticket = 0; break; /* each chunk has its own */
  case EHLO_VERB_AUTH:
  case EHLO_VERB_ETRN:
  case EHLO_VERB_ATRN:
  case EHLO_VERB_BURL:
  case EHLO_VERB_XCLIENT:
  case EHLO_VERB_XFORWARD:
    LAW(run, !positive || verdict_given(run, reply->asked) / 100 == 2, "no 2yz that the host did not give");
    break;
  default: break;
  }
}

static void on_body(struct run *run, const ehlo_event *event)
{
  const ehlo_event_body *body = &event->as.body;
  LAW(run, body->count > 0, "BODY is never empty");
  LAW(run, !run->body_paused, "no BODY comes while one is deferred");
  LAW(run, run->body_ticket == 0 || event->ticket == run->body_ticket,
      "all BODY of a message or chunk have one ticket");
  LAW(run, !run->body_refused, "no BODY comes after one was refused");
  run->body_ticket = event->ticket;
  for (size_t i = 0; i < body->count; i++) {
    LAW(run, body->spans[i].len > 0, "no span of BODY is empty");
    text_add(&run->content, body->spans[i].ptr, body->spans[i].len);
    run->body_octets += body->spans[i].len;
  }
  LAW(run, run->body_octets == body->octets, "BODY tells the octets so far");
}

static void on_end(struct run *run, const ehlo_event_end *end)
{
  LAW(run, run->transaction_open, "one END for each accepted MAIL");
  LAW(run, run->verdicts_open == 0, "END comes after the last verdict");
  LAW(run, run->body_refused || end->octets == run->body_octets, "END tells the octets that BODY gave");
  run->transaction_open = 0;
  run->body_ticket = 0;
  run->body_octets = 0;
  run->body_refused = 0;
  run->body_paused = 0;
}

static int handler(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct run *run = user;
  LAW(run, server == run->server, "the handler is given its session");
  LAW(run, !run->fatal, "no events come after a fatal one");
  if (event->type == EHLO_EVENT_REPLY) {
    LAW(run, event->ticket == 0, "REPLY does not ask");
    on_reply(run, &event->as.reply);
    return EHLO_HANDLED;
  }
  uint32_t belongs = 0;
  int asks = 1;
  switch (event->type) {
  case EHLO_EVENT_COMMAND:
    run->command = event->as.command.verb;
    asks = 0;
    break;
  case EHLO_EVENT_HELLO: belongs = event->as.hello.verb; break;
  case EHLO_EVENT_MAIL: belongs = event->as.mail.verb; break;
  case EHLO_EVENT_RCPT: belongs = EHLO_VERB_RCPT; break;
  case EHLO_EVENT_DATA: belongs = EHLO_VERB_DATA; break;
  case EHLO_EVENT_VRFY: belongs = EHLO_VERB_VRFY; break;
  case EHLO_EVENT_EXPN: belongs = EHLO_VERB_EXPN; break;
  case EHLO_EVENT_HELP: belongs = EHLO_VERB_HELP; break;
  case EHLO_EVENT_TURN: belongs = EHLO_VERB_TURN; break;
  case EHLO_EVENT_STARTTLS: belongs = EHLO_VERB_STARTTLS; break;
  case EHLO_EVENT_AUTH:
  case EHLO_EVENT_STEP:
    belongs = EHLO_VERB_AUTH;
    secrets_add(&run->secrets, event);
    break;
  case EHLO_EVENT_ETRN: belongs = EHLO_VERB_ETRN; break;
  case EHLO_EVENT_ATRN: belongs = EHLO_VERB_ATRN; break;
  case EHLO_EVENT_XCLIENT: belongs = EHLO_VERB_XCLIENT; break;
  case EHLO_EVENT_XFORWARD: belongs = EHLO_VERB_XFORWARD; break;
  case EHLO_EVENT_BURL:
    belongs = EHLO_VERB_BURL;
    LAW(run, event->as.burl.octets == run->body_octets, "BURL tells the octets that BODY gave");
    run->verdicts_open += event->as.burl.last;
    break;
  case EHLO_EVENT_UNKNOWN: LAW(run, run->command == EHLO_VERB_UNKNOWN, "UNKNOWN belongs to the COMMAND before"); break;
  case EHLO_EVENT_BODY: on_body(run, event); break;
  case EHLO_EVENT_MESSAGE:
    LAW(run, event->as.message.octets == run->body_octets, "MESSAGE tells the octets that BODY gave");
    LAW(run, run->body_ticket == 0 || event->ticket == run->body_ticket, "MESSAGE has the ticket of BODY");
    run->verdicts_open++;
    break;
  case EHLO_EVENT_RESULT:
    LAW(run, event->as.result.octets == run->body_octets, "RESULT tells the octets that BODY gave");
    run->verdicts_open++;
    break;
  case EHLO_EVENT_VIOLATION:
  case EHLO_EVENT_END:
  case EHLO_EVENT_CANCEL: asks = 0; break;
  default: break;
  }
  LAW(run, belongs == 0 || belongs == run->command, "an event belongs to the COMMAND before");
  LAW(run, asks == (event->ticket != 0), "just the events that ask carry a ticket");
  if (event->type == EHLO_EVENT_BODY) {
    LAW(run, ticket_is_new(run, event->ticket) || run->body_octets > 0, "tickets are never used twice");
    return respond(run, event);
  }
  if (asks && (event->type != EHLO_EVENT_MESSAGE || run->body_octets == 0)) {
    LAW(run, ticket_is_new(run, event->ticket), "tickets are never used twice");
  }
  print_event(run, event);
  if (event->type == EHLO_EVENT_CANCEL) {
    size_t i = 0;
    while (i < run->open_count && run->open[i].ticket != event->as.cancel.ticket) {
      i++;
    }
    LAW(run, i < run->open_count, "CANCEL names a deferred ticket");
    if (i < run->open_count) {
      LAW(run, !is_explicit(&run->open[i]) || run->open[i].number == event->as.cancel.tag, "CANCEL gives the tag back");
      run->verdicts_open -= run->open[i].is_verdict ? 1 : 0;
      open_drop(run, i);
    }
  } else if (event->type == EHLO_EVENT_END) {
    on_end(run, &event->as.end);
  }
  return asks ? respond(run, event) : EHLO_HANDLED;
}

/* ---- the loop ------------------------------------------------------------------------------- */

/* Feeds what is held. How much was consumed? */
static size_t feed(struct run *run)
{
  size_t size = run->arrived - run->fed;
  char *data = input_arena - size;
  if (size > 0) {
    memcpy(data, run->input.ptr + run->fed, size);
    text_clear(&run->secrets); /* they may come again */
  }
  size_t consumed = SIZE_MAX;
  int error = ehlo_server_feed(run->server, size > 0 ? data : NULL, size, &consumed);
  memset(data, POISON, size);
  LAW(run, error == (run->fatal ? EHLO_ERR_HOST : EHLO_OK), "feed returns EHLO_OK");
  LAW(run, consumed <= size, "feed consumes at most what it is given");
  consumed = consumed <= size ? consumed : size;
  run->fed += consumed;
  after_call(run);
  if (run->fed < run->arrived) {
    uint32_t want = ehlo_server_want(run->server);
    LAW(run, (want & EHLO_WANT_CLOSE) == 0, "after CLOSE everything is consumed");
    LAW(run, (want & EHLO_WANT_READ) == 0, "nothing is to be read while something is held");
    LAW(run, want != 0, "what is not consumed waits for something");
  }
  return consumed;
}

/* Drains all there is, whole or octet by octet, or, one octet at a time, until the session goes on. */
static void drain_by_way(struct run *run)
{
  if (run->way->drains != DRAIN_OCTET) {
    drain(run, SIZE_MAX);
  } else {
    while (drain(run, 1) > 0 && (ehlo_server_want(run->server) & EHLO_WANT_FEED) == 0 && !run->failed) {
    }
  }
  after_call(run);
}

/* The next piece arrives. */
static void arrive(struct run *run)
{
  size_t end = run->input.len;
  for (int i = 0; i < 2; i++) {
    if (run->cuts[i] == CUT_EVERYWHERE) {
      end = run->arrived + 1;
    } else if (run->cuts[i] >= 0) {
      size_t cut = run->given + (size_t)run->cuts[i];
      end = cut > run->arrived && cut < end ? cut : end;
    }
  }
  run->arrived = end;
}

/* Goes on until nothing can: feeds, reads, answers, and drains where nothing else helps, or at the end with `settle`.
 */
static void pump(struct run *run, int settle)
{
  unsigned idle = 0;
  while (!run->failed) {
    uint32_t want = ehlo_server_want(run->server);
    size_t held = run->arrived - run->fed;
    if (run->way->drains == DRAIN_EAGER && drain(run, SIZE_MAX) > 0) {
      after_call(run);
    } else if (run->way->answers == ANSWER_SOON && answer_one(run)) {
      continue;
    } else if ((want & EHLO_WANT_FEED) != 0 || (held > 0 && (want & EHLO_WANT_CLOSE) != 0)) {
      size_t events = run->events.len + run->replies.len + run->content.len;
      size_t consumed = feed(run);
      idle = consumed > 0 || run->events.len + run->replies.len + run->content.len > events ? 0 : idle + 1;
      if (idle > 100) {
        fail(run, "law broken: %s", "FEED is shown but feeding changes nothing");
      }
    } else if (held == 0 && run->arrived < run->input.len && (want & (EHLO_WANT_READ | EHLO_WANT_CLOSE)) != 0) {
      arrive(run);
      feed(run);
      idle = 0;
    } else if (answer_one(run)) {
      continue;
    } else if ((settle || run->fed < run->input.len) && (want & EHLO_WANT_WRITE) != 0) {
      drain_by_way(run);
    } else {
      break;
    }
  }
  if (run->failed) {
    return;
  }
  uint32_t want = ehlo_server_want(run->server);
  size_t deferred = count_open(run, 1);
  LAW(run, want != 0, "a session always wants something");
  LAW(run, ((want & EHLO_WANT_DECISION) != 0) == (deferred > 0), "DECISION is shown just with deferred tickets");
  LAW(run, deferred > 0 || run->fed == run->input.len || (want & EHLO_WANT_TURN) != 0, "input is consumed in the end");
  replies_check(run);
  if (settle && !run->lost && !run->fatal) {
    LAW(run, run->told_seen == run->told_count, "each REPLY event has its reply on the wire");
    LAW(run, run->wire.len == 0 || (want & EHLO_WANT_CLOSE) != 0, "replies are whole");
  }
}

static void returned(struct run *run, int error, const char *what)
{
  if (error != (run->fatal ? EHLO_ERR_HOST : EHLO_OK)) {
    fail(run, "%s returned an error", what);
  }
  after_call(run);
}

static void start(struct run *run)
{
  if (!run->started) {
    run->started = 1;
    returned(run, ehlo_server_start(run->server), "ehlo_server_start");
  }
}

/* Has the transcript stopped the content? How much came before depends on the cuts until it flows again. */
static int body_is_stopped(const struct run *run)
{
  for (size_t i = 0; i < run->open_count; i++) {
    if (run->open[i].event == EHLO_EVENT_BODY && is_explicit(&run->open[i])) {
      return 1;
    }
  }
  return 0;
}

static void forget_step(struct run *run)
{
  text_clear(&run->step);
  text_clear(&run->events);
  text_clear(&run->replies);
  if (!body_is_stopped(run)) {
    text_clear(&run->content);
    run->content_depends = run->body_refused;
  }
}

/* The handshake of TLS went well. */
static void shake_hands(struct run *run)
{
  LAW(run, ehlo_server_tls(run->server) == 0, "TLS is there only once the handshake is done");
  ehlo_tls tls = {sizeof tls, 1};
  returned(run, ehlo_server_tls_done(run->server, run->section->verified ? &tls : NULL), "ehlo_server_tls_done");
  LAW(run, ehlo_server_tls(run->server) == 1, "TLS is there once the handshake is done");
}

/* Brings the session to where the section begins. */
static void play_given(struct run *run)
{
  const struct text *given = &run->section->given;
  if (given->len == 0) {
    return;
  }
  run->giving = 1;
  start(run);
  pump(run, 1);
  for (size_t at = 0; at < given->len && !run->failed;) {
    const char *end = strstr(given->ptr + at, "\r\n");
    size_t length = (size_t)(end - given->ptr) + 2 - at;
    if (length > 2) {
      text_clear(&run->step);
      text_add(&run->input, given->ptr + at, length);
      pump(run, 1);
      if (run->step.len == 0 || run->step.ptr[0] > '3') {
        fail(run, "what was given is refused: %s", run->step.len == 0 ? "(no reply)" : run->step.ptr);
      }
      if ((ehlo_server_want(run->server) & EHLO_WANT_TLS) != 0) {
        shake_hands(run);
      }
    }
    at += length;
  }
  run->giving = 0;
  run->given = run->input.len;
  forget_step(run);
}

static ehlo_span line_text(const struct answer *answer)
{
  ehlo_span text = {answer->line[0].text, answer->line[0].length};
  return text;
}

static struct open_ticket *find_explicit(struct run *run, const struct item *item)
{
  for (size_t i = 0; i < run->open_count; i++) {
    struct open_ticket *open = &run->open[i];
    if (is_explicit(open) &&
        (item->action == ACTION_RESUME ? open->event == EHLO_EVENT_BODY : open->number == item->number)) {
      return open;
    }
  }
  return NULL;
}

static void act(struct run *run, const struct item *item)
{
  const struct answer *answer = &item->answer;
  const char *enhanced = answer->line[0].enhanced[0] == '\0' ? NULL : answer->line[0].enhanced;
  struct open_ticket *open;
  size_t next_line = 0;
  if (item->action == ACTION_SENT) {
    pump(run, 0);
    drain(run, (size_t)item->number);
    after_call(run);
    return;
  }
  pump(run, 1);
  switch (item->action) {
  case ACTION_ANSWER:
  case ACTION_RESUME:
    open = find_explicit(run, item);
    if (open == NULL) {
      fail(run, "there is no such deferred %s", item->action == ACTION_RESUME ? "BODY" : "ticket");
      return;
    }
    if (item->action == ACTION_RESUME) {
      run->body_paused = 0;
      returned(run, ehlo_server_resume(run->server, open->ticket), "ehlo_server_resume");
    } else {
      if (open->event == EHLO_EVENT_BODY) {
        run->body_paused = 0;
        body_refuse(run, 1);
      }
      returned(run, give(run, open->ticket, answer, &next_line), "ehlo_server_reply");
    }
    open_drop(run, (size_t)(open - run->open));
    break;
  case ACTION_EOF: returned(run, ehlo_server_eof(run->server), "ehlo_server_eof"); break;
  case ACTION_LOST:
    run->lost = 1;
    returned(run, ehlo_server_lost(run->server), "ehlo_server_lost");
    break;
  case ACTION_SHUTDOWN:
    returned(run, ehlo_server_shutdown(run->server, answer->code, enhanced, line_text(answer)), "ehlo_server_shutdown");
    break;
  case ACTION_TIMED_OUT: returned(run, ehlo_server_timed_out(run->server), "ehlo_server_timed_out"); break;
  case ACTION_OFFER:
    returned(run, ehlo_server_offer(run->server, (uint32_t)item->number, item->on), "ehlo_server_offer");
    break;
  case ACTION_TLS_DONE: shake_hands(run); break;
  case ACTION_AUTHORIZE:
    returned(run, ehlo_server_authorize(run->server, (ehlo_span){item->octets.ptr, item->octets.len}),
             "ehlo_server_authorize");
    break;
  default: break;
  }
}

/* ---- looking -------------------------------------------------------------------------------- */

static void print_states(struct run *run, struct text *out)
{
  const ehlo_server *server = run->server;
  uint32_t want = ehlo_server_want(server);
  text_print(out, "%s", (want & EHLO_WANT_CLOSE) != 0 ? "closed\n" : "");
  if ((want & EHLO_WANT_TURN) != 0) {
    text_print(out, "turn\nleft");
    print_span(out, "", (ehlo_span){run->input.ptr + run->fed, run->input.len - run->fed});
    text_print(out, "\n");
  }
  text_print(out, "%s%s", (want & EHLO_WANT_TLS) != 0 ? "tls\n" : "", ehlo_server_tls(server) ? "secure\n" : "");
  if (ehlo_server_authenticated(server)) {
    text_print(out, "authenticated %s", mechanism_name(ehlo_server_mechanism(server)));
    print_span(out, "", ehlo_server_identity(server));
  } else {
    text_print(out, "not authenticated");
  }
  text_print(out, "\nidentity");
  print_span(out, "", ehlo_server_identity(server));
  text_print(out, "\n");
  text_print(out, "errors %u\nrecipients %u\ntransactions %u\n", ehlo_server_errors(server),
             ehlo_server_recipients(server), ehlo_server_transactions(server));
  if (!run->body_refused && !body_is_stopped(run)) {
    text_print(out, "octets %llu\n", (unsigned long long)ehlo_server_octets(server));
  }
  text_print(out, "timeout %u\n", ehlo_server_timeout(server, NULL));
  text_print(out, "hello %s", verb_name(ehlo_server_hello_verb(server)));
  print_span(out, "", ehlo_server_hello(server));
  text_print(out, "\ntype ");
  text_add_escaped(out, ehlo_server_transmission_type(server));
  text_print(out, "\n");
}

static void describe_step(struct run *run, struct text *out, const struct text *states)
{
  print_lines(out, 'S', &run->step);
  text_add(out, run->events.ptr, run->events.len);
  text_add(out, run->replies.ptr, run->replies.len);
  if (!run->content_depends && !body_is_stopped(run)) {
    print_lines(out, 'D', &run->content);
  }
  text_add(out, states->ptr, states->len);
}

static void check_step(struct run *run, const struct item *item, const struct text *states)
{
  struct text what = {0};
  const char *unmatched =
      events_unmatched(string_of(&item->events), string_of(&run->events), EVENTS_OTHERS, run->section->events_all);
  if (unmatched == NULL) {
    unmatched = events_unmatched(string_of(&item->events), string_of(&run->replies), EVENTS_REPLIES, 0);
  }
  if (text_differs(&item->octets, &run->step)) {
    text_print(&what, "the replies differ; expected:\n");
    print_lines(&what, 'S', &item->octets);
  } else if (unmatched != NULL) {
    text_print(&what, "events differ at:\n* %.*s\n", (int)strcspn(unmatched, "\n"), unmatched);
  } else if (item->has_content && text_differs(&item->content, &run->content)) {
    text_print(&what, "the content differs; expected:\n");
    print_lines(&what, 'D', &item->content);
  }
  int may_be_closed = run->closed_seen;
  for (const char *line = string_of(&item->states); *line != '\0' && what.len == 0; line = next_line_of(line)) {
    size_t length = strcspn(line, "\n");
    may_be_closed |= length == 6 && memcmp(line, "closed", 6) == 0;
    if (!has_line(string_of(states), line, length)) {
      text_print(&what, "this is not so:\n= %.*s\n", (int)length, line);
    }
  }
  int closed = has_line(string_of(states), "closed", 6);
  if (what.len == 0 && closed != may_be_closed) {
    text_print(&what, "the session is %s\n", closed ? "closed" : "not closed");
  }
  run->closed_seen = closed;
  if (what.len > 0 && !run->failed) {
    run->failed = 1;
    text_print(run->trouble, "at line %u, ", item->line);
    text_add(run->trouble, what.ptr, what.len);
    text_print(run->trouble, "what happened:\n");
    describe_step(run, run->trouble, states);
  }
  text_free(&what);
}

static void look(struct run *run, const struct item *item, struct text *log)
{
  struct text states = {0};
  print_states(run, &states);
  if (run->check) {
    check_step(run, item, &states);
  }
  text_print(log, "-- line %u\n", item->line);
  describe_step(run, log, &states);
  text_free(&states);
  forget_step(run);
}

/* ---- a replay ------------------------------------------------------------------------------- */

/* What the config points to is lent until init, and then overwritten: the library copies what it needs. */
static void lend(struct run *run, ehlo_server_config *config)
{
  size_t at = 0;
  for (size_t i = 0; i < CONFIG_TEXTS; i++) {
    ehlo_span *text = config_text(config, i);
    text_add(&run->lent, text->ptr == NULL ? "" : text->ptr, text->len);
  }
  for (size_t i = 0; i < CONFIG_TEXTS; i++) {
    ehlo_span *text = config_text(config, i);
    text->ptr = text->len == 0 ? NULL : run->lent.ptr + at;
    at += text->len;
  }
}

static void take_back(struct run *run)
{
  memset(run->lent.ptr, POISON, run->lent.len);
}

static void begin(struct run *run)
{
  if (input_arena == NULL) {
    block_arena[0] = arena_new();
    block_arena[1] = arena_new();
    input_arena = arena_new();
  }
  ehlo_server_config config = run->section->config;
  config.max_pending = run->section->has_max_pending ? config.max_pending : run->way->max_pending;
  config.output_size = run->section->has_output_size ? config.output_size : run->way->output_size;
  lend(run, &config);
  run->block_size = ehlo_server_size(&config);
  if (run->block_size == 0 || run->block_size > ARENA_SIZE - CANARY) {
    fail(run, "%s", "the config is illegal");
    return;
  }
  char *block = block_place(run, 0);
  memset(block, POISON, run->block_size);
  canaries_set(run);
  int error = ehlo_server_init(&run->server, block, run->block_size, &config, handler, run);
  if (error != EHLO_OK) {
    fail(run, "ehlo_server_init: %s", ehlo_strerror(error));
  }
  take_back(run);
  if (!run->failed && run->section->under_tls) {
    shake_hands(run);
  }
}

static void play(struct run *run, const struct item *item, struct text *log)
{
  if (item->kind == ITEM_POLICY) {
    run->policies = realloc(run->policies, (run->policy_count + 1) * sizeof *run->policies);
    run->policies[run->policy_count++] = (struct policy){&item->answer, item->event, item->count};
    return;
  }
  start(run);
  if (item->kind == ITEM_SEND) {
    text_add(&run->input, item->octets.ptr, item->octets.len);
  } else if (item->kind == ITEM_ACTION) {
    act(run, item);
  } else {
    pump(run, 1);
    if (!run->failed) {
      look(run, item, log);
    }
  }
}

/* At the end the connection goes, and nothing may be left open. */
static void finish(struct run *run)
{
  for (size_t i = 0; i < run->policy_count; i++) {
    LAW(run, run->policies[i].count == 0, "(of transcripts) every decision is asked for");
  }
  run->lost = 1;
  LAW(run, ehlo_server_lost(run->server) == (run->fatal ? EHLO_ERR_HOST : EHLO_OK), "lost is always possible");
  LAW(run, run->fatal || !run->transaction_open, "each accepted MAIL has its END at last");
  LAW(run, run->fatal || run->open_count == 0, "each deferred ticket is answered or cancelled at last");
  canaries_check(run);
}

int transcript_replay(const struct section *section, const struct way *way, long first, long second, int check,
                      struct text *log, struct text *trouble)
{
  struct run run = {.section = section, .way = way, .check = check, .trouble = trouble, .cuts = {first, second}};
  text_clear(log);
  text_clear(trouble);
  begin(&run);
  if (!run.failed) {
    play_given(&run);
  }
  for (size_t i = 0; i < section->count && !run.failed; i++) {
    play(&run, &section->items[i], log);
  }
  if (!run.failed) {
    finish(&run);
  }
  if (run.failed && !check) { /* what led there */
    text_add(trouble, run.events.ptr, run.events.len);
    text_add(trouble, run.replies.ptr, run.replies.len);
  }
  struct text *texts[] = {&run.input,   &run.wire, &run.step,   &run.events, &run.replies,
                          &run.content, &run.lent, &run.output, &run.secrets};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    text_free(texts[i]);
  }
  free(run.policies);
  free(run.open);
  free(run.verdicts);
  free(run.tickets);
  free(run.told);
  return run.failed ? -1 : 0;
}
