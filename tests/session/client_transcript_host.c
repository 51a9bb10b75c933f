/* client_transcript_host.c: the host of a replay.
 *
 * It keeps to the loop that ehlo/client.h documents: it makes the calls that the transcript has, in their order, tells
 * with sent what it has drained before it feeds the answer, and where a call finds no room it drains and calls again,
 * or waits until replies have come. Beside client_transcript_laws.c it watches:
 *
 *   - the block is as large as ehlo_client_size says, no octet around it is touched, and it can be moved at every
 *     pause;
 *   - no octet beside or after those that were given is read, and none is needed later;
 *   - output stays where it is and is only appended to; WRITE is shown just when there is some;
 *   - no event comes from within a command, output, or sent; feed, eof, timed_out and body_abort are refused in the
 *     handler;
 *   - a call that fails leaves no octet, and changes nothing that can be seen;
 *   - feed takes everything, but behind TURN nothing; READ is shown until the session is over;
 *   - feed without octets is all that FEED asks for;
 *   - the clock starts anew with replies, with output taken and content given, and with nothing else that is fed;
 *   - after CLOSE nothing comes and nothing leaves.
 */
#include "client_transcript.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static char *block_arena[2];
static char *input_arena;

struct run {
  const struct client_section *section;
  const struct client_way *way;
  const struct client_log *reference;
  struct client_log *log;
  struct text *trouble;
  ehlo_client *client;
  ehlo_client_config config;
  size_t block_size;
  int arena;
  unsigned pauses;
  int failed;
  struct laws laws;

  struct text input; /* all that the server has sent so far */
  size_t fed;        /* of it */
  size_t given;      /* of it, that the section's beginning took: cuts count from here */
  long cuts[2];

  struct text unsent; /* output, as it was seen last */
  const char *output_at;
  size_t sent;        /* octets, so far */
  struct text wire;   /* all octets that were ready to be sent, in this turn, */
  size_t looked;      /* and how many of them the transcript has looked at */
  struct text events; /* in this turn, */
  size_t events_looked;
  unsigned turn_line;
  unsigned turn_events;

  const struct client_items *items;
  size_t next;     /* item of the script */
  size_t *waiting; /* calls that found no room */
  size_t wait_count;
  size_t body_at;    /* octets of the piece of content that is being given */
  uint64_t tag;      /* of the last command */
  uint32_t fatal_at; /* EHLO_CLIENT_EVENT_ */
  int is_given;
  int in_call; /* one that must give no events */
  int in_handler;
  int feeding; /* a piece of the server's: nothing is drained before all of it is fed */
  int inline_done;
  int fatal;
  int closed; /* a call has returned with CLOSE */
  int closed_seen;
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
  for (const char *at = block - CANARY; at < block; at++) {
    LAW(run, (unsigned char)*at == CANARY_OCTET, "octets before the block are left alone");
  }
  for (const char *at = block + run->block_size; at < block_arena[run->arena]; at++) {
    LAW(run, (unsigned char)*at == CANARY_OCTET, "octets behind the block are left alone");
  }
}

static int handler(ehlo_client *client, const ehlo_client_event *event, void *user);

static void move_block(struct run *run)
{
  char *old = block_place(run, run->arena);
  canaries_check(run);
  run->arena = !run->arena;
  char *block = block_place(run, run->arena);
  canaries_set(run);
  memcpy(block, old, run->block_size);
  memset(old, POISON, run->block_size);
  int error = ehlo_client_attach(&run->client, block, run->block_size, handler, run);
  LAW(run, error == EHLO_OK && (void *)run->client == (void *)block, "a moved block can be attached");
  run->laws.client = run->client;
  run->output_at = NULL;
}

/* ---- output --------------------------------------------------------------------------------- */

/* Looks at what is to be sent. It may have moved in memory only behind a command, a piece of content, sent, or a move
 * of the block. */
static void watch(struct run *run, int may_have_moved)
{
  size_t size;
  const char *output = ehlo_client_output(run->client, &size);
  uint32_t want = ehlo_client_want(run->client);
  LAW(run, (size > 0) == (output != NULL), "output is NULL just when there is none");
  LAW(run, (size > 0) == ((want & EHLO_WANT_WRITE) != 0), "WRITE is shown just with output");
  size_t known = run->unsent.len;
  if (size >= known && (known == 0 || memcmp(output, run->unsent.ptr, known) == 0)) {
    LAW(run, may_have_moved || known == 0 || run->output_at == NULL || output == run->output_at,
        "output stays where it is until it is sent");
    if (size > known) {
      text_add(&run->wire, output + known, size - known);
      laws_wire(&run->laws, (ehlo_span){output + known, size - known});
    }
  } else {
    LAW(run, (want & EHLO_WANT_CLOSE) != 0 && size == 0, "output is only appended to, or dropped at the end");
    run->wire.len -= known < run->wire.len ? known : run->wire.len; /* it has not left after all */
    run->looked = run->looked < run->wire.len ? run->looked : run->wire.len;
  }
  text_clear(&run->unsent);
  text_add(&run->unsent, output, size);
  run->laws.unsent = size > 0;
  run->output_at = output;
  if (run->laws.broken != NULL) {
    LAW(run, 0, run->laws.broken);
  }
}

/* Hands output to the server, `most` octets of it. How many were there? */
static size_t drain(struct run *run, size_t most)
{
  uint64_t before;
  uint64_t behind;
  watch(run, 0);
  size_t sent = run->unsent.len < most ? run->unsent.len : most;
  ehlo_client_timeout(run->client, &before);
  run->in_call++;
  ehlo_client_sent(run->client, sent);
  run->in_call--;
  ehlo_client_timeout(run->client, &behind);
  LAW(run, (sent > 0) == (before != behind), "the clock starts anew with output that was taken");
  run->sent += sent;
  if (sent > 0) {
    memmove(run->unsent.ptr, run->unsent.ptr + sent, run->unsent.len - sent);
    run->unsent.len -= sent;
  }
  run->output_at = NULL;
  watch(run, 1);
  return sent;
}

static void drain_all(struct run *run)
{
  while (drain(run, run->way->drains == CLIENT_DRAIN_OCTET ? 1 : SIZE_MAX) > 0) {
  }
}

/* ---- pauses --------------------------------------------------------------------------------- */

/* After every call. */
static void after_call(struct run *run, int may_have_moved)
{
  watch(run, may_have_moved);
  if (run->way->drains == CLIENT_DRAIN_EAGER && !run->section->drain_as_written && !run->feeding) {
    drain_all(run);
  }
  uint32_t want = ehlo_client_want(run->client);
  LAW(run, want != 0, "a session always wants something");
  LAW(run, ((want & EHLO_WANT_READ) != 0) == ((want & (EHLO_WANT_CLOSE | EHLO_WANT_TURN | EHLO_WANT_TLS)) == 0),
      "READ is shown until the session is over");
  if (run->in_handler) {
    return;
  }
  run->closed |= (want & EHLO_WANT_CLOSE) != 0;
  if (!run->closed && (want & EHLO_WANT_TURN) == 0 && run->laws.broken == NULL) {
    laws_pause(&run->laws);
    watch(run, 0);
  }
  /* Long sections pause often; and attach asks the processor what it can do, which is slow. */
  unsigned every = run->section->octets > 120 ? 7 : 1;
  if (run->way->moves && run->pauses++ % every == 0) {
    move_block(run);
  }
}

/* ---- calls ---------------------------------------------------------------------------------- */

static const char *error_name(int error)
{
  static const char *const names[] = {"OK",        "ARGUMENT", "CONFIG",       "MEMORY", "VERSION",     "STATE",
                                      "REENTRANT", "TICKET",   "CODE",         "TEXT",   "SPACE",       "SYNTAX",
                                      "TOO_LONG",  "BUFFER",   "BARE_NEWLINE", "HOST",   "NOT_OFFERED", "8BITMIME",
                                      "SMTPUTF8",  "SIZE",     "REFUSED",      "TLS",    "LIMIT"};
  return error > 0 ? "?" : name_in(names, sizeof names / sizeof names[0], (uint32_t)-error);
}

/* A copy of its very size, so that sanitizers see an octet too far, and nothing can be needed later. */
static ehlo_span copy_of(const struct text *text)
{
  char *copy = malloc(text->len > 0 ? text->len : 1);
  if (copy == NULL) {
    abort();
  }
  if (text->len > 0) {
    memcpy(copy, text->ptr, text->len);
  }
  return (ehlo_span){copy, text->len};
}

static void copy_free(ehlo_span copy)
{
  free((char *)(uintptr_t)copy.ptr);
}

/* The parameters of a call, as fields. What cannot be read as one is a fault of the transcript. */
static ehlo_mail_parameters mail_parameters(struct run *run, ehlo_span options, ehlo_span others)
{
  ehlo_mail_parameters parameters = {.struct_size = sizeof parameters, .others = others};
  ehlo_parameter parameter;
  int result = EHLO_OK;
  while (result == EHLO_OK && ehlo_parameter_next(&options, EHLO_PARSE_UTF8, &parameter) == 1) {
    result = ehlo_mail_parameter_read(&parameter, EHLO_PARSE_UTF8, &parameters);
  }
  LAW(run, result == EHLO_OK && options.len == 0, "(of transcripts) parameters of MAIL are some");
  return parameters;
}

static ehlo_rcpt_parameters rcpt_parameters(struct run *run, ehlo_span options, ehlo_span others)
{
  ehlo_rcpt_parameters parameters = {.struct_size = sizeof parameters, .others = others};
  ehlo_parameter parameter;
  int result = EHLO_OK;
  while (result == EHLO_OK && ehlo_parameter_next(&options, EHLO_PARSE_UTF8, &parameter) == 1) {
    result = ehlo_rcpt_parameter_read(&parameter, EHLO_PARSE_UTF8, &parameters);
  }
  LAW(run, result == EHLO_OK && options.len == 0, "(of transcripts) parameters of RCPT are some");
  return parameters;
}

static int call_envelope(struct run *run, const struct call *call, ehlo_span path, ehlo_span others)
{
  ehlo_span options = copy_of(&call->options);
  int is_default = options.len == 0 && others.len == 0;
  int result;
  if (call->kind == CALL_RCPT) {
    ehlo_rcpt_parameters rcpt = rcpt_parameters(run, options, others);
    result = ehlo_client_rcpt(run->client, path, is_default ? NULL : &rcpt, run->tag);
  } else {
    ehlo_mail_parameters mail = mail_parameters(run, options, others);
    const ehlo_mail_parameters *given = is_default ? NULL : &mail;
    result = call->kind == CALL_MAIL   ? ehlo_client_mail(run->client, path, given, run->tag)
             : call->kind == CALL_SEND ? ehlo_client_send(run->client, path, given, run->tag)
             : call->kind == CALL_SOML ? ehlo_client_soml(run->client, path, given, run->tag)
                                       : ehlo_client_saml(run->client, path, given, run->tag);
  }
  copy_free(options);
  return result;
}

static int call_auth(struct run *run, const struct call *call, ehlo_span mechanism)
{
  ehlo_span fields[4];
  for (size_t i = 0; i < 4; i++) {
    fields[i] = copy_of(&call->fields[i]);
  }
  int result;
  if (call->kind == CALL_AUTH) {
    ehlo_credentials credentials = {.struct_size = sizeof credentials,
                                    .mechanism = ehlo_sasl_find(mechanism),
                                    .authzid = fields[0],
                                    .authcid = fields[1],
                                    .secret = fields[2],
                                    .host = fields[3],
                                    .port = (uint32_t)call->number};
    result = ehlo_client_auth(run->client, &credentials, run->tag);
  } else {
    result = ehlo_client_auth_begin(run->client, mechanism, call->number ? &fields[0] : NULL, run->tag);
  }
  for (size_t i = 0; i < 4; i++) {
    copy_free(fields[i]);
  }
  return result;
}

static int call_command(struct run *run, const struct call *call)
{
  ehlo_client *client = run->client;
  ehlo_span argument = copy_of(&call->argument);
  ehlo_span parameters = copy_of(&call->parameters);
  int result = EHLO_OK;
  switch (call->kind) {
  case CALL_HELLO: result = ehlo_client_hello(client, run->tag); break;
  case CALL_HELO: result = ehlo_client_helo(client, run->tag); break;
  case CALL_MAIL:
  case CALL_SEND:
  case CALL_SOML:
  case CALL_SAML:
  case CALL_RCPT: result = call_envelope(run, call, argument, parameters); break;
  case CALL_DATA: result = ehlo_client_data(client, run->tag); break;
  case CALL_RSET: result = ehlo_client_rset(client, run->tag); break;
  case CALL_VRFY: result = ehlo_client_vrfy(client, argument, (int)call->smtputf8, run->tag); break;
  case CALL_EXPN: result = ehlo_client_expn(client, argument, (int)call->smtputf8, run->tag); break;
  case CALL_HELP: result = ehlo_client_help(client, argument, run->tag); break;
  case CALL_NOOP: result = ehlo_client_noop(client, argument, run->tag); break;
  case CALL_QUIT: result = ehlo_client_quit(client, run->tag); break;
  case CALL_TURN: result = ehlo_client_turn(client, run->tag); break;
  case CALL_STARTTLS: result = ehlo_client_starttls(client, run->tag); break;
  case CALL_AUTH:
  case CALL_AUTH_BEGIN: result = call_auth(run, call, argument); break;
  case CALL_AUTH_RESPOND: result = ehlo_client_auth_respond(client, argument); break;
  case CALL_AUTH_CANCEL: result = ehlo_client_auth_cancel(client); break;
  case CALL_ETRN: result = ehlo_client_etrn(client, argument, run->tag); break;
  case CALL_ATRN: result = ehlo_client_atrn(client, argument, run->tag); break;
  case CALL_BURL: result = ehlo_client_burl(client, argument, (int)call->number, run->tag); break;
  case CALL_XCLIENT: result = ehlo_client_xclient(client, argument, run->tag); break;
  case CALL_XFORWARD: result = ehlo_client_xforward(client, argument, run->tag); break;
  case CALL_COMMAND: result = ehlo_client_command(client, argument, parameters, run->tag); break;
  case CALL_BODY_END: result = ehlo_client_body_end(client); break;
  default: break;
  }
  copy_free(argument);
  copy_free(parameters);
  return result;
}

/* How the way gives content. By BDAT each call makes a chunk, and each chunk has a reply that is written: there the
 * pieces are given as they are, or where the section says how much output there is, as that cuts them. */
static int body_of(const struct run *run)
{
  int may_gather = !run->laws.chunked || !run->section->has_output_size;
  int may_cut = !run->laws.chunked;
  int body = run->way->body;
  return (body == BODY_OCTETS && !may_cut) || (body == BODY_GATHER && !may_gather) ? BODY_WHOLE : body;
}

/* Is what waits to be sent in the way of a chunk of that size? */
static int is_in_the_way(const struct run *run, size_t size)
{
  size_t bdat = 32;
  return run->laws.chunked && run->unsent.len > 0 && !run->section->drain_as_written &&
         (run->section->has_output_size || run->unsent.len + bdat + 2 * size > run->config.output_size);
}

/* Gives one piece of content the way's way. */
static int give_piece(struct run *run, const char *piece, size_t size, size_t *taken)
{
  ehlo_span spans[64];
  size_t max = run->laws.chunked ? 64 : 8;
  size_t count = 0;
  uint64_t before;
  uint64_t behind;
  ehlo_client_timeout(run->client, &before);
  char *data = input_arena - size;
  if (size > 0) {
    memcpy(data, piece, size);
  }
  run->in_call++;
  int error = body_of(run) == BODY_GATHER ? ehlo_client_body_gather(run->client, data, size, taken, spans, max, &count)
                                          : ehlo_client_body(run->client, data, size, taken);
  run->in_call--;
  LAW(run, *taken <= size, "no more content is taken than there is");
  for (size_t i = 0; i < count; i++) {
    LAW(run, spans[i].len > 0, "no span is empty");
    text_add(&run->wire, spans[i].ptr, spans[i].len);
    laws_wire(&run->laws, spans[i]);
  }
  memset(data, POISON, size);
  ehlo_client_timeout(run->client, &behind);
  LAW(run, *taken == 0 || before != behind, "the clock starts anew with content that was given");
  return error;
}

/* Gives content. EHLO_ERR_SPACE if the rest has to wait for replies to chunks. */
static int call_body(struct run *run, const struct call *call)
{
  const struct text *content = &call->argument;
  size_t at = run->body_at;
  run->body_at = 0;
  do {
    size_t size = body_of(run) == BODY_OCTETS && content->len > 0 ? 1 : content->len - at;
    size_t taken = SIZE_MAX;
    const char *piece = content->ptr == NULL ? "" : content->ptr + at;
    if (is_in_the_way(run, size)) {
      drain_all(run);
    }
    if (body_of(run) == BODY_GATHER && run->unsent.len > 0 && !run->laws.content_broken) {
      LAW(run, give_piece(run, piece, size, &taken) != EHLO_OK && taken == 0,
          "nothing overtakes what is in the output");
      drain_all(run);
    }
    int error = give_piece(run, piece, size, &taken);
    watch(run, 1);
    if (error == EHLO_OK || error == EHLO_ERR_BARE_NEWLINE || error == EHLO_ERR_8BITMIME) {
      text_add(&run->laws.given, piece, taken <= size ? taken : 0);
    }
    if (error != EHLO_OK) {
      run->laws.content_broken |= error != EHLO_ERR_STATE;
      return error;
    }
    at += taken;
    LAW(run, !run->laws.chunked || run->section->has_output_size || taken == 0 || taken == size,
        "(of transcripts) a piece is a chunk");
    if (taken == 0 && size > 0) {
      if (run->laws.chunked && (ehlo_client_want(run->client) & EHLO_WANT_CONTENT) == 0) {
        run->body_at = at;
        return EHLO_ERR_SPACE;
      }
      if (run->unsent.len == 0) {
        fail(run, "law broken: %s", "an empty output has room for content");
        return EHLO_OK;
      }
      drain_all(run);
    }
  } while (at < content->len && !run->failed);
  return EHLO_OK;
}

/* What can be seen of a session from outside, to tell that a call changed nothing. */
struct view {
  uint64_t epoch;
  uint64_t size_limit;
  uint64_t offers;
  uint32_t want;
  uint32_t timeout;
  uint32_t pending;
  uint32_t hello;
};

static struct view view_of(const ehlo_client *client)
{
  struct view view;
  memset(&view, 0, sizeof view); /* it is compared octet by octet */
  view.timeout = ehlo_client_timeout(client, &view.epoch);
  view.size_limit = ehlo_client_size_limit(client);
  view.want = ehlo_client_want(client);
  view.pending = ehlo_client_pending(client);
  view.hello = ehlo_client_hello_verb(client);
  for (uint32_t extension = 0; extension < EHLO_EXT_COUNT; extension++) {
    view.offers |= (uint64_t)ehlo_client_offers(client, extension) << extension;
  }
  return view;
}

/* What the server says of its extensions. */
static void print_limits(const ehlo_client *client, struct text *out)
{
  text_print(out, "authenticated %d\ntls %d\nby-min %u\nhold-max %u\nhold-until-max %lld\nmail-max %u\nrcpt-max %u\n",
             ehlo_client_authenticated(client), ehlo_client_tls(client), ehlo_client_by_min(client),
             ehlo_client_hold_max(client), (long long)ehlo_client_hold_until_max(client), ehlo_client_mail_max(client),
             ehlo_client_rcpt_max(client));
  text_print(out, "rcpt-domain-max %u\nmechanisms", ehlo_client_rcpt_domain_max(client));
  for (uint32_t mechanism = 1; mechanism < EHLO_SASL_COUNT; mechanism++) {
    if ((ehlo_client_mechanisms(client) >> mechanism & 1) != 0) {
      text_print(out, " %s", ehlo_sasl_name(mechanism));
    }
  }
  text_print(out, "\n");
  for (uint32_t extension = 0; extension < EHLO_EXT_COUNT; extension++) {
    ehlo_span text = ehlo_client_parameters(client, extension);
    if (text.len > 0) {
      text_print(out, "parameters %s", ehlo_extension_keyword(extension));
      print_span(out, "", text);
      text_print(out, "\n");
    }
  }
}

static void print_states(const struct run *run, int with_clock, struct text *out)
{
  const ehlo_client *client = run->client;
  uint32_t want = ehlo_client_want(client);
  text_print(out, "%s%s", (want & EHLO_WANT_CLOSE) != 0 ? "closed\n" : "",
             (want & EHLO_WANT_CONTENT) != 0 ? "content\n" : "");
  if ((want & EHLO_WANT_TURN) != 0) {
    text_print(out, "turn\nleft");
    print_span(out, "", (ehlo_span){run->input.ptr + run->fed, run->input.len - run->fed});
    text_print(out, "\n");
  }
  if (with_clock) {
    text_print(out, "timeout %u\n", ehlo_client_timeout(client, NULL));
  }
  text_print(out, "pending %u\nhello %s\nviolation %s\nsize-limit %llu\noffers", ehlo_client_pending(client),
             verb_name(ehlo_client_hello_verb(client)),
             ehlo_client_violation(client) == 0 ? "none" : violation_name(ehlo_client_violation(client)),
             (unsigned long long)ehlo_client_size_limit(client));
  for (uint32_t extension = 0; extension < EHLO_EXT_COUNT; extension++) {
    if (ehlo_client_offers(client, extension)) {
      text_print(out, " %s", ehlo_extension_keyword(extension));
    }
  }
  text_print(out, "\n");
  print_limits(client, out);
}

/* A command, body or body_end. */
static int make_call(struct run *run, const struct call *call)
{
  struct view before = view_of(run->client);
  size_t wire = run->wire.len;
  int result;
  if (call->kind == CALL_BODY) {
    result = call_body(run, call);
  } else {
    run->in_call++;
    result = call_command(run, call);
    run->in_call--;
    if (call->kind == CALL_BODY_END) {
      watch(run, 1); /* the last of the content */
    }
  }
  if (call->kind == CALL_BODY_END && run->config.protocol == EHLO_PROTOCOL_LMTP && run->laws.chunked &&
      !run->laws.content_broken && result != EHLO_ERR_STATE && result != EHLO_ERR_REFUSED) {
    run->laws.ending = 1; /* which is why CONTENT is not wanted any more */
    before.want &= ~(uint32_t)(run->laws.due_count > run->laws.answered ? EHLO_WANT_CONTENT : 0);
  }
  if (result == EHLO_OK) {
    laws_called(&run->laws, call, run->tag);
  }
  watch(run, 1);
  if (result != EHLO_OK && call->kind != CALL_BODY) {
    struct view behind = view_of(run->client);
    LAW(run, run->wire.len == wire, "a call that fails leaves no octet");
    LAW(run, memcmp(&before, &behind, sizeof before) == 0, "a call that fails changes nothing");
  }
  return result;
}

static void note_result(struct run *run, const struct client_item *item, int result)
{
  if (result != item->call.error && !run->failed) {
    run->failed = 1;
    text_print(run->trouble, "at line %u, the call returned EHLO_%s%s\n", item->line, result == EHLO_OK ? "" : "ERR_",
               error_name(result));
  }
}

/* Lets content by BDAT begin, if it can. */
static void begin_content(struct run *run)
{
  size_t consumed = SIZE_MAX;
  if (run->in_handler || (ehlo_client_want(run->client) & EHLO_WANT_FEED) == 0) {
    return;
  }
  int error = ehlo_client_feed(run->client, NULL, 0, &consumed);
  LAW(run, error == (run->fatal ? EHLO_ERR_HOST : EHLO_OK) && consumed == 0, "feed takes nothing where there is none");
  LAW(run, (ehlo_client_want(run->client) & EHLO_WANT_FEED) == 0, "FEED is shown until feed is called");
  after_call(run, 0);
}

/* Makes the call of an item. 0 if it found no room, and has to wait for replies. */
static int perform(struct run *run, const struct client_item *item)
{
  int is_command = item->call.kind < CALL_BODY;
  run->tag += (uint64_t)is_command;
  int result = make_call(run, &item->call);
  if (result == EHLO_ERR_SPACE && item->call.error != EHLO_ERR_SPACE && !run->section->drain_as_written) {
    drain_all(run);
    result = make_call(run, &item->call);
    if (result == EHLO_ERR_SPACE && !run->failed) {
      run->tag -= (uint64_t)is_command;
      after_call(run, 1);
      return 0;
    }
  }
  note_result(run, item, result);
  after_call(run, 1);
  begin_content(run);
  return 1;
}

/* The calls that give events have to stay out of the handler. */
static int fits_handler(const struct call *call)
{
  return call->kind < CALL_SENT;
}

/* Makes the next call, or lets it wait behind those that do. */
static void perform_in_turn(struct run *run, size_t index)
{
  if (run->wait_count == 0 && perform(run, &run->items->items[index])) {
    return;
  }
  run->waiting = realloc(run->waiting, (run->wait_count + 1) * sizeof *run->waiting);
  run->waiting[run->wait_count++] = index;
}

static void perform_waiting(struct run *run)
{
  size_t done = 0;
  while (done < run->wait_count && !run->failed && perform(run, &run->items->items[run->waiting[done]])) {
    done++;
  }
  run->wait_count -= done;
  if (done > 0) {
    memmove(run->waiting, run->waiting + done, run->wait_count * sizeof *run->waiting);
  }
}

/* ---- events --------------------------------------------------------------------------------- */

static void print_enhanced(struct text *out, const ehlo_enhanced *enhanced)
{
  if (enhanced->status_class != 0) {
    text_print(out, " %u.%u.%u", enhanced->status_class, enhanced->subject, enhanced->detail);
  }
}

static void print_event(struct text *out, const ehlo_client_event *event)
{
  const ehlo_client_event_reply *reply = &event->as.reply;
  const ehlo_client_event_end *end = &event->as.end;
  const ehlo_client_event_violation *violation = &event->as.violation;
  text_print(out, "%s", ehlo_client_event_name(event->type));
  switch (event->type) {
  case EHLO_CLIENT_EVENT_LINE:
  case EHLO_CLIENT_EVENT_REPLY:
    text_print(out, " %s %u", verb_name(reply->verb), reply->code);
    print_enhanced(out, &reply->enhanced);
    text_print(out, " ordinal=%u number=%u%s", reply->ordinal, reply->number, reply->fallback ? " fallback" : "");
    if (reply->code == 355) {
      text_print(out, " offset=%llu", (unsigned long long)reply->offset);
    }
    print_span(out, "text=", reply->text);
    print_span(out, "line=", reply->line);
    break;
  case EHLO_CLIENT_EVENT_CONTENT: text_print(out, " recipients=%u", event->as.content.recipients); break;
  case EHLO_CLIENT_EVENT_END:
    text_print(out, " %s recipients=%u code=%u", end_name(end->reason), end->recipients, end->code);
    print_enhanced(out, &end->enhanced);
    text_print(out, "%s", end->needs_reset ? " needs-reset" : "");
    break;
  case EHLO_CLIENT_EVENT_VIOLATION:
    text_print(out, " %s %s", violation_name(violation->kind), verb_name(violation->verb));
    text_print(out, "%s", violation->goes_on ? " goes-on" : "");
    print_span(out, "octets=", violation->octets);
    break;
  case EHLO_CLIENT_EVENT_CHALLENGE:
    text_print(out, " number=%u%s", event->as.challenge.number, event->as.challenge.answered ? " answered" : "");
    print_span(out, "octets=", event->as.challenge.octets);
    break;
  default: break;
  }
  text_print(out, " tag=%llu\n", (unsigned long long)event->tag);
}

static void check_reentrance(struct run *run)
{
  size_t consumed = SIZE_MAX;
  LAW(run,
      ehlo_client_feed(run->client, "250 OK\r\n", 8, &consumed) == EHLO_ERR_REENTRANT && consumed == 0 &&
          ehlo_client_eof(run->client) == EHLO_ERR_REENTRANT &&
          ehlo_client_timed_out(run->client) == EHLO_ERR_REENTRANT &&
          ehlo_client_body_abort(run->client) == EHLO_ERR_REENTRANT,
      "calls that call back are refused in the handler");
}

/* Was this the last event of the turn, as the first replay had it? Then make the calls that follow, as far as they may
 * stand here. */
static void call_inline(struct run *run)
{
  if (run->way->calls != CALLS_INLINE || !run->feeding || run->is_given || run->inline_done ||
      run->log->count > run->reference->count || run->turn_events < run->reference->turns[run->log->count - 1].events) {
    return;
  }
  run->inline_done = 1;
  int feeding = run->feeding;
  run->feeding = 0; /* an eager host drains here */
  for (; run->next < run->items->count && !run->failed; run->next++) {
    const struct client_item *item = &run->items->items[run->next];
    if (item->kind == CLIENT_FEED || item->kind == CLIENT_FATAL ||
        (item->kind == CLIENT_CALL && !fits_handler(&item->call))) {
      break;
    }
    if (item->kind == CLIENT_CALL) {
      perform_in_turn(run, run->next);
    }
    if ((ehlo_client_want(run->client) & EHLO_WANT_FEED) != 0) {
      run->inline_done = 0; /* the rest in the handler of CONTENT, which comes behind this one */
      run->next++;
      break;
    }
  }
  run->feeding = feeding;
}

static int handler(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  struct run *run = user;
  LAW(run, client == run->client, "the handler is given its session");
  LAW(run, run->in_call == 0, "no event comes from within a command");
  LAW(run, !run->fatal, "no event comes after a fatal one");
  LAW(run, !run->closed, "no event comes after CLOSE");
  laws_event(&run->laws, event); /* first: what may leave now leaves because of it */
  watch(run, 0);
  print_event(&run->events, event);
  run->turn_events += run->feeding != 0;
  run->in_handler++;
  check_reentrance(run);
  if (run->fatal_at == event->type) {
    run->fatal = 1;
  } else {
    call_inline(run);
  }
  run->in_handler--;
  return run->fatal ? -1 : EHLO_HANDLED;
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void end_turn(struct run *run)
{
  struct client_turn *turn = &run->log->turns[run->log->count - 1];
  if (!run->section->drain_as_written) {
    drain_all(run);
    after_call(run, 1);
  }
  int all_events = run->section->events_all && run->events.len > run->events_looked;
  if (run->reference == NULL && (run->wire.len > run->looked || all_events) && !run->failed) {
    run->failed = 1;
    text_print(run->trouble, "the turn of line %u ended with more than is shown:\n", run->turn_line);
    text_add(run->trouble, run->events.ptr, run->events.len);
    print_lines(run->trouble, 'C', &run->wire);
  }
  text_print(&run->log->text, "-- turn of line %u\n", run->turn_line);
  text_add(&run->log->text, run->events.ptr, run->events.len);
  print_lines(&run->log->text, 'C', &run->wire);
  if (run->wait_count == 0) {
    /* What was gathered has a clock, for who knows whether it was sent; what lies in the output has none any more. */
    print_states(run, (ehlo_client_want(run->client) & EHLO_WANT_CONTENT) == 0, &turn->states);
  }
  turn->events = run->turn_events;
}

static void begin_turn(struct run *run, unsigned line)
{
  struct client_log *log = run->log;
  if (log->count == log->room) {
    log->turns = realloc(log->turns, (log->room + 1) * sizeof *log->turns);
    if (log->turns == NULL) {
      abort();
    }
    memset(&log->turns[log->room++], 0, sizeof *log->turns);
  }
  text_clear(&log->turns[log->count++].states);
  run->turn_line = line;
  run->turn_events = 0;
  run->inline_done = 0;
  run->looked = run->events_looked = 0;
  text_clear(&run->wire);
  text_clear(&run->events);
}

/* ---- feeding -------------------------------------------------------------------------------- */

/* Feeds the next `size` octets. */
static void feed_piece(struct run *run, size_t size)
{
  char *data = input_arena - size;
  size_t consumed = SIZE_MAX;
  uint64_t before;
  uint64_t behind;
  unsigned long replies = run->laws.replies;
  size_t sent = run->sent; /* by an eager host, in the handler */
  uint32_t pending = ehlo_client_pending(run->client);
  int was_over = run->closed || run->fatal;
  if (size > 0) {
    memcpy(data, run->input.ptr + run->fed, size);
  }
  ehlo_client_timeout(run->client, &before);
  int error = ehlo_client_feed(run->client, size > 0 ? data : NULL, size, &consumed);
  memset(data, POISON, size);
  ehlo_client_timeout(run->client, &behind);
  uint32_t want = ehlo_client_want(run->client);
  LAW(run, error == (run->fatal ? EHLO_ERR_HOST : EHLO_OK), "feed returns EHLO_OK");
  LAW(run, consumed == size || (consumed < size && (want & EHLO_WANT_TURN) != 0), "feed takes everything");
  LAW(run, (want & EHLO_WANT_FEED) == 0, "feed leaves nothing for feed to do");
  LAW(run, run->laws.replies == replies || before != behind, "the clock starts anew with a reply");
  LAW(run,
      run->laws.replies > replies || run->sent > sent || ehlo_client_pending(run->client) > pending ||
          before == behind || was_over || (want & EHLO_WANT_CLOSE) != 0,
      "the clock does not start anew with less than a reply");
  run->fed += consumed <= size ? consumed : size;
  after_call(run, 0);
}

/* Where the next piece ends. */
static size_t next_cut(const struct run *run)
{
  size_t end = run->input.len;
  for (int i = 0; i < 2 && !run->is_given; i++) {
    if (run->cuts[i] == CUT_EVERYWHERE) {
      end = run->fed + 1;
    } else if (run->cuts[i] >= 0) {
      size_t cut = run->given + (size_t)run->cuts[i];
      end = cut > run->fed && cut < end ? cut : end;
    }
  }
  return end;
}

/* The server sends octets. What they answer has been sent, and nothing else is until they are all fed. */
static void feed_item(struct run *run, const struct client_item *item)
{
  text_add(&run->input, item->octets.ptr, item->octets.len);
  run->feeding = 1;
  while (run->fed < run->input.len && !run->failed && (ehlo_client_want(run->client) & EHLO_WANT_TURN) == 0) {
    feed_piece(run, next_cut(run) - run->fed);
  }
  run->feeding = 0;
  if (run->way->drains == CLIENT_DRAIN_EAGER && !run->section->drain_as_written) {
    drain_all(run);
  }
  perform_waiting(run);
}

static void act(struct run *run, const struct client_item *item)
{
  int result = EHLO_OK;
  if (run->wait_count > 0) {
    fail(run, "%s", "calls still wait for room");
    return;
  }
  if (item->call.kind != CALL_SENT && !run->section->drain_as_written) {
    drain_all(run); /* for what has not left is dropped, and what is seen of it must not depend on the way */
  }
  switch (item->call.kind) {
  case CALL_SENT: drain(run, item->call.number); break;
  case CALL_BODY_ABORT:
    result = ehlo_client_body_abort(run->client);
    if (result == EHLO_OK && (ehlo_client_want(run->client) & EHLO_WANT_CLOSE) == 0) {
      laws_called(&run->laws, &item->call, 0);
    }
    break;
  case CALL_TLS_DONE: result = ehlo_client_tls_done(run->client); break;
  case CALL_EOF: result = ehlo_client_eof(run->client); break;
  default: result = ehlo_client_timed_out(run->client); break;
  }
  note_result(run, item, result);
  after_call(run, item->call.kind == CALL_SENT);
}

/* ---- looking -------------------------------------------------------------------------------- */

static void check_expected(struct run *run, const struct client_item *item)
{
  struct text what = {0};
  struct text states = {0};
  struct text step = {0};
  if (run->wire.len > run->looked) {
    text_add(&step, run->wire.ptr + run->looked, run->wire.len - run->looked);
  }
  const char *events = string_of(&run->events) + run->events_looked;
  print_states(run, 1, &states);
  const char *unmatched = events_unmatched(string_of(&item->events), events, EVENTS_ALL, run->section->events_all);
  if (text_differs(&item->octets, &step)) {
    text_print(&what, "what left differs; expected:\n");
    print_lines(&what, 'C', &item->octets);
  } else if (unmatched != NULL) {
    text_print(&what, "events differ at:\n* ");
    text_add(&what, unmatched, strcspn(unmatched, "\n") + 1);
  }
  int may_be_closed = run->closed_seen;
  for (const char *line = string_of(&item->states); *line != '\0' && what.len == 0; line = next_line_of(line)) {
    size_t length = strcspn(line, "\n");
    may_be_closed |= word_is(line, length, "closed");
    if (!has_line(states.ptr, line, length)) {
      text_print(&what, "this is not so:\n= %.*s\n", (int)length, line);
    }
  }
  if (what.len == 0 && run->closed != may_be_closed) {
    text_print(&what, "the session is %s\n", run->closed ? "closed" : "not closed");
  }
  run->closed_seen = run->closed;
  if (what.len > 0 && !run->failed) {
    run->failed = 1;
    text_print(run->trouble, "at line %u, ", item->line);
    text_add(run->trouble, what.ptr, what.len);
    text_print(run->trouble, "what happened:\n");
    print_lines(run->trouble, 'C', &step);
    text_add(run->trouble, events, strlen(events));
    text_add(run->trouble, states.ptr, states.len);
  }
  text_free(&what);
  text_free(&states);
  text_free(&step);
}

static void look(struct run *run, const struct client_item *item)
{
  if (run->way->drains != CLIENT_DRAIN_LATE && !run->section->drain_as_written) {
    drain_all(run);
    after_call(run, 1);
  }
  if (run->reference == NULL) {
    check_expected(run, item);
  }
  run->looked = run->wire.len;
  run->events_looked = run->events.len;
}

/* ---- a replay ------------------------------------------------------------------------------- */

/* Does the server say the word, in any case? */
static int is_heard(const struct client_items *items, const char *word)
{
  for (size_t i = 0; i < items->count; i++) {
    if (items->items[i].kind == CLIENT_FEED && strcasestr(string_of(&items->items[i].octets), word) != NULL) {
      return 1;
    }
  }
  return 0;
}

/* Where there is to be little room for output: without the extensions that nobody speaks of, for whose sake there would
 * be more. */
static void use_little(struct run *run)
{
  for (uint32_t extension = EHLO_EXT_DSN; extension < EHLO_EXT_COUNT; extension++) {
    const char *keyword = ehlo_extension_keyword(extension);
    if (!is_heard(&run->section->given, keyword) && !is_heard(&run->section->script, keyword)) {
      run->config.use[extension] = 0;
    }
  }
}

static void begin(struct run *run)
{
  if (input_arena == NULL) {
    block_arena[0] = arena_new();
    block_arena[1] = arena_new();
    input_arena = arena_new();
  }
  run->config = run->section->config;
  run->config.output_size = run->section->has_output_size ? run->config.output_size : run->way->output_size;
  if (run->config.output_size == EHLO_CLIENT_MIN_OUTPUT_SIZE) {
    use_little(run);
  }
  laws_begin(&run->laws, &run->config);
  run->block_size = ehlo_client_size(&run->config);
  if (run->block_size == 0 || run->block_size > ARENA_SIZE - CANARY) {
    fail(run, "%s", "the config is illegal");
    return;
  }
  char *block = block_place(run, 0);
  memset(block, POISON, run->block_size);
  canaries_set(run);
  int error = ehlo_client_init(&run->client, block, run->block_size, &run->config, handler, run);
  if (error != EHLO_OK) {
    fail(run, "ehlo_client_init: %s", ehlo_strerror(error));
  }
  run->laws.client = run->client;
}

static void play(struct run *run, const struct client_items *items)
{
  run->items = items;
  for (run->next = 0; run->next < items->count && !run->failed;) {
    const struct client_item *item = &items->items[run->next++];
    switch (item->kind) {
    case CLIENT_FEED:
      if (!run->is_given) {
        end_turn(run);
        begin_turn(run, item->line);
      } else {
        drain_all(run);
      }
      feed_item(run, item);
      break;
    case CLIENT_CALL:
      if (fits_handler(&item->call)) {
        perform_in_turn(run, run->next - 1);
      } else {
        act(run, item);
      }
      break;
    case CLIENT_FATAL: run->fatal_at = item->event; break;
    default: look(run, item); break;
    }
  }
}

/* Brings the session to where the section begins. */
static void play_given(struct run *run)
{
  run->is_given = 1;
  play(run, &run->section->given);
  run->is_given = 0;
  run->given = run->input.len;
  LAW(run, run->section->given.count == 0 || run->laws.answered == run->laws.due_count,
      "(of transcripts) what is given is accepted");
}

/* At the end the connection goes, and nothing may be left open. */
static void finish(struct run *run)
{
  int turned = (ehlo_client_want(run->client) & EHLO_WANT_TURN) != 0;
  int expected = run->fatal ? EHLO_ERR_HOST : EHLO_OK;
  size_t consumed = SIZE_MAX;
  LAW(run, run->wait_count == 0, "(of transcripts) there is room for each call at last");
  LAW(run, run->reference == NULL || run->log->count == run->reference->count, "each way has the same turns");
  if (turned) {
    LAW(run, ehlo_client_feed(run->client, "220 x\r\n", 7, &consumed) == EHLO_OK && consumed == 0,
        "behind TURN nothing is taken");
    LAW(run, ehlo_client_noop(run->client, (ehlo_span){NULL, 0}, 1) == EHLO_ERR_STATE, "behind TURN nothing is called");
    laws_end(&run->laws);
    return;
  }
  LAW(run, ehlo_client_eof(run->client) == expected, "eof is always possible");
  LAW(run, ehlo_client_want(run->client) == EHLO_WANT_CLOSE, "at the end only CLOSE is wanted");
  run->closed = 1;
  LAW(run, ehlo_client_timed_out(run->client) == expected, "timed_out is always possible");
  LAW(run, ehlo_client_feed(run->client, "250 OK\r\n", 8, &consumed) == expected && consumed == 8,
      "after CLOSE everything is taken and ignored");
  LAW(run,
      ehlo_client_noop(run->client, (ehlo_span){NULL, 0}, 1) == EHLO_ERR_STATE &&
          ehlo_client_quit(run->client, 1) == EHLO_ERR_STATE && ehlo_client_hello(run->client, 1) == EHLO_ERR_STATE,
      "after CLOSE nothing is called");
  LAW(run, ehlo_client_output(run->client, &consumed) == NULL && consumed == 0, "after CLOSE nothing leaves");
  LAW(run, ehlo_client_timeout(run->client, NULL) == 0, "after CLOSE there is no clock");
  if (!run->fatal) {
    laws_end(&run->laws);
  }
}

void client_log_free(struct client_log *log)
{
  for (size_t i = 0; i < log->room; i++) {
    text_free(&log->turns[i].states);
  }
  free(log->turns);
  text_free(&log->text);
  memset(log, 0, sizeof *log);
}

int client_transcript_replay(const struct client_section *section, const struct client_way *way, long first,
                             long second, const struct client_log *reference, struct client_log *log,
                             struct text *trouble)
{
  /* These texts too are kept for the next replay. */
  static struct text input, unsent, wire, events;
  struct run run = {.section = section,
                    .way = way,
                    .reference = reference,
                    .log = log,
                    .trouble = trouble,
                    .cuts = {first, second},
                    .input = input,
                    .unsent = unsent,
                    .wire = wire,
                    .events = events};
  struct text *texts[] = {&run.input, &run.unsent, &run.wire, &run.events, &log->text, trouble};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    text_clear(texts[i]);
  }
  log->count = 0;
  begin(&run);
  if (!run.failed) {
    play_given(&run);
    begin_turn(&run, section->line);
    play(&run, &section->script);
  }
  if (!run.failed) {
    end_turn(&run);
    finish(&run);
    canaries_check(&run);
  }
  if (run.laws.broken != NULL) {
    LAW(&run, 0, run.laws.broken);
  }
  if (run.failed && reference != NULL) { /* what led there */
    text_add(trouble, run.events.ptr, run.events.len);
    print_lines(trouble, 'C', &run.wire);
  }
  laws_free(&run.laws);
  input = run.input;
  unsent = run.unsent;
  wire = run.wire;
  events = run.events;
  free(run.waiting);
  return run.failed ? -1 : 0;
}
