/* client_commands.c: a function for each command. Floor: session.
 *
 * A command checks whether it may be called, writes its line at the tail of the output, where nobody looks yet, and
 * commits it only when all of it was right and fits.
 */
#include "client.h"

#include <string.h>

/* ---- writing a line ---- */

/* The longest command line, CRLF included, before extensions (RFC 5321 4.5.3.1.4). */
enum { COMMAND_LINE_MAX = 512 };

/* A command in the making. */
struct draft {
  struct writer writer;
  uint32_t verb;
  int error; /* the first, which is the one that is told */
};

/* The state that the table of commands knows for what the host may call. */
static unsigned legal_bit(const ehlo_client *client)
{
  switch (client->call) {
  case CALL_HELLO: return LEGAL_OPEN;
  case CALL_IDLE: return LEGAL_IDLE;
  case CALL_MAIL: return client->rcpts_called == 0 ? LEGAL_MAIL : LEGAL_RCPT;
  case CALL_REFUSED: return LEGAL_MAIL;
  default: return 0;
  }
}

/* May the command be called now? */
static int check_call(const ehlo_client *client, uint32_t verb)
{
  if (client == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if ((verb == EHLO_VERB_RCPT || verb == EHLO_VERB_DATA) && client->call == CALL_REFUSED) {
    return EHLO_ERR_REFUSED;
  }
  if (client->state >= CLIENT_TLS || (ehlo_commands[verb].states & legal_bit(client)) == 0 ||
      (client->state == CLIENT_REFUSED && verb != EHLO_VERB_QUIT)) {
    return EHLO_ERR_STATE;
  }
  return client->count == client->max_commands ? EHLO_ERR_SPACE : EHLO_OK;
}

/* Begins a command. The verb on the wire is in upper case, as some servers want it (RFC 5321 2.4). */
static struct draft begin(ehlo_client *client, uint32_t verb)
{
  struct draft draft = {{NULL, 0, 0}, verb, check_call(client, verb)};
  if (draft.error == EHLO_OK) {
    ehlo_client_make_room(client);
    draft.writer =
        writer_on((char *)client_part(client, client->output_at) + client->output.tail, output_room(&client->output));
    if (verb != EHLO_VERB_UNKNOWN) {
      write_string(&draft.writer, ehlo_verb_name(verb));
    }
  }
  return draft;
}

static void fail(struct draft *draft, int error)
{
  draft->error = draft->error == EHLO_OK ? error : draft->error;
}

/* The longest line of the command, CRLF included. */
static size_t longest_line(const ehlo_client *client, uint32_t verb)
{
  if (verb_opens_transaction(verb)) {
    return COMMAND_LINE_MAX + ehlo_capability_mail_line(client->offered);
  }
  return COMMAND_LINE_MAX + (verb == EHLO_VERB_RCPT ? ehlo_capability_rcpt_line(client->offered) : 0);
}

/* Ends the line and queues it, if nothing was wrong with it. */
static int commit(ehlo_client *client, struct draft *draft, uint64_t tag)
{
  if (draft->error != EHLO_OK) {
    return draft->error;
  }
  write_span(&draft->writer, span_of("\r\n", 2));
  size_t length = draft->writer.length;
  if (length > longest_line(client, draft->verb) || length > client->output.size) {
    return EHLO_ERR_TOO_LONG;
  }
  if (length > draft->writer.size) {
    return EHLO_ERR_SPACE;
  }
  ehlo_client_queue(client, draft->verb, tag, length);
  return EHLO_OK;
}

/* A command without an argument. */
static int plain(ehlo_client *client, uint32_t verb, uint64_t tag)
{
  struct draft draft = begin(client, verb);
  return commit(client, &draft, tag);
}

/* The same for a command that nothing can be called behind until it is answered. */
static int commit_last(ehlo_client *client, struct draft *draft, uint64_t tag)
{
  int result = commit(client, draft, tag);
  if (result == EHLO_OK) {
    client->call_before = client->call;
    client->call = CALL_WAIT;
  }
  return result;
}

/* ---- hello ---- */

int ehlo_client_say_hello(ehlo_client *client, uint32_t verb, uint64_t tag)
{
  struct draft draft = begin(client, verb);
  if (draft.error == EHLO_OK) {
    write_octet(&draft.writer, ' ');
    write_span(&draft.writer, span_of(client_part(client, client->hostname_at), client->hostname_len));
  }
  return commit_last(client, &draft, tag);
}

int ehlo_client_hello(ehlo_client *client, uint64_t tag)
{
  return ehlo_client_say_hello(client, client != NULL && client_is_lmtp(client) ? EHLO_VERB_LHLO : EHLO_VERB_EHLO, tag);
}

int ehlo_client_helo(ehlo_client *client, uint64_t tag)
{
  return client != NULL && client_is_lmtp(client) ? EHLO_ERR_STATE : ehlo_client_say_hello(client, EHLO_VERB_HELO, tag);
}

/* ---- MAIL, SEND, SOML, SAML and RCPT ---- */

/* An optional verb must have been offered (RFC 821 has no way to offer, so after HELO it can only be tried). */
static void check_offer(const ehlo_client *client, struct draft *draft)
{
  uint32_t extension = ehlo_commands[draft->verb].extension;
  if (draft->error == EHLO_OK && extension != EXTENSION_ALWAYS && client->hello_verb != EHLO_VERB_HELO &&
      !client_offers(client, extension)) {
    fail(draft, EHLO_ERR_NOT_OFFERED);
  }
}

/* The longest local-part that is written anew: quoted ones, with the least quoting (RFC 5321 4.1.2). */
enum { LOCAL_PART_MAX = 1024 };

static void write_quoted(struct draft *draft, const ehlo_path *path)
{
  char decoded[LOCAL_PART_MAX];
  size_t length;
  struct writer *writer = &draft->writer;
  if (ehlo_local_part_decode(path->local_part, decoded, sizeof decoded, &length) != EHLO_OK) {
    fail(draft, EHLO_ERR_TOO_LONG);
    return;
  }
  size_t room = writer->length < writer->size ? writer->size - writer->length : 0;
  char *to = room > 0 ? writer->ptr + writer->length : decoded;
  int result = ehlo_format_path(span_of(decoded, length), path->domain.raw, EHLO_PARSE_UTF8, to, room, &length);
  writer->length += length;
  if (result != EHLO_OK && result != EHLO_ERR_BUFFER) {
    fail(draft, EHLO_ERR_SYNTAX);
  }
}

/* Reads a path of the host's, with or without brackets. Returns 1 if it is one that the verb may carry. */
static int read_path(ehlo_span text, uint32_t verb, ehlo_path *path)
{
  static const ehlo_path null_path = {.kind = EHLO_PATH_NULL};
  size_t used;
  if (text.len == 0) {
    *path = null_path;
    return verb != EHLO_VERB_RCPT;
  }
  if (text.ptr[0] != '<') {
    if (verb == EHLO_VERB_RCPT && ehlo_span_equal_nocase(text, span_of("postmaster", 10))) {
      path->kind = EHLO_PATH_POSTMASTER;
      path->mailbox = text;
      return 1;
    }
    return ehlo_parse_mailbox(text, EHLO_PARSE_UTF8, path, &used) == EHLO_OK && used == text.len;
  }
  return ehlo_parse_path(text, EHLO_PARSE_UTF8, path, &used) == EHLO_OK && used == text.len &&
         path->kind != (verb == EHLO_VERB_RCPT ? EHLO_PATH_NULL : EHLO_PATH_POSTMASTER);
}

/* Writes the path, without a source route (RFC 5321 3.6.1). */
static void write_path(struct draft *draft, ehlo_span text, int utf8)
{
  ehlo_path path;
  if (draft->error != EHLO_OK) {
    return;
  }
  if (text.ptr == NULL && text.len > 0) {
    fail(draft, EHLO_ERR_ARGUMENT);
  } else if (!read_path(text, draft->verb, &path)) {
    fail(draft, EHLO_ERR_SYNTAX);
  } else if (path.kind == EHLO_PATH_MAILBOX && path.utf8 && !utf8) {
    fail(draft, EHLO_ERR_SMTPUTF8);
  } else if (path.kind == EHLO_PATH_MAILBOX && path.quoted) {
    write_quoted(draft, &path);
  } else {
    write_octet(&draft->writer, '<');
    write_span(&draft->writer, path.mailbox);
    write_octet(&draft->writer, '>');
  }
}

/* Writes parameters of the host's own. */
static void write_parameters(const ehlo_client *client, struct draft *draft, ehlo_span list, int utf8)
{
  if (draft->error != EHLO_OK) {
    return;
  }
  if (list.ptr == NULL && list.len > 0) {
    fail(draft, EHLO_ERR_ARGUMENT);
    return;
  }
  while (list.len > 0) {
    ehlo_parameter parameter;
    if (ehlo_parameter_next(&list, utf8 ? EHLO_PARSE_UTF8 : 0, &parameter) != 1) {
      fail(draft, EHLO_ERR_SYNTAX);
      return;
    }
    if (parameter.id != EHLO_PARAMETER_UNKNOWN) {
      fail(draft, EHLO_ERR_ARGUMENT); /* those have fields of their own */
    } else if (!client->pass_parameters) {
      fail(draft, EHLO_ERR_NOT_OFFERED);
    }
    write_octet(&draft->writer, ' ');
    write_span(&draft->writer, parameter.raw);
  }
}

static int options_are_legal(const ehlo_mail_options *options)
{
  return options->struct_size >= sizeof *options && options->body <= EHLO_BODY_BINARYMIME;
}

/* What the server has to offer for this. */
static int check_mail_options(const ehlo_client *client, const ehlo_mail_options *options)
{
  if (!options_are_legal(options)) {
    return EHLO_ERR_ARGUMENT;
  }
  if (options->has_size && client->size_limit != 0 && options->size > client->size_limit) {
    return EHLO_ERR_SIZE;
  }
  if (options->body == EHLO_BODY_8BITMIME && !client_offers(client, EHLO_EXT_8BITMIME)) {
    return EHLO_ERR_8BITMIME;
  }
  if (options->body == EHLO_BODY_BINARYMIME &&
      (!client_offers(client, EHLO_EXT_BINARYMIME) || client->chunking == EHLO_CHUNKING_NEVER)) {
    return EHLO_ERR_NOT_OFFERED;
  }
  if (options->smtputf8 && !client_offers(client, EHLO_EXT_SMTPUTF8)) {
    return EHLO_ERR_SMTPUTF8;
  }
  return EHLO_OK;
}

static void write_mail_options(const ehlo_client *client, struct draft *draft, const ehlo_mail_options *options)
{
  struct writer *writer = &draft->writer;
  if (options->has_size && client_offers(client, EHLO_EXT_SIZE)) {
    write_string(writer, " SIZE=");
    write_number(writer, options->size, 1);
  }
  if (options->body != EHLO_BODY_NONE && client_offers(client, EHLO_EXT_8BITMIME)) {
    write_string(writer, options->body == EHLO_BODY_7BIT       ? " BODY=7BIT"
                         : options->body == EHLO_BODY_8BITMIME ? " BODY=8BITMIME"
                                                               : " BODY=BINARYMIME");
  }
  if (options->smtputf8) {
    write_string(writer, " SMTPUTF8");
  }
  write_parameters(client, draft, options->parameters, options->smtputf8 != 0);
}

static int mail(ehlo_client *client, uint32_t verb, ehlo_span path, const ehlo_mail_options *options, uint64_t tag)
{
  static const ehlo_mail_options defaults = {.struct_size = sizeof defaults};
  struct draft draft = begin(client, verb);
  options = options == NULL ? &defaults : options;
  if (draft.error == EHLO_OK) {
    if (client->needs_reset) {
      fail(&draft, EHLO_ERR_STATE); /* a transaction is open there (RFC 5321 4.1.4) */
    }
    check_offer(client, &draft);
    fail(&draft, check_mail_options(client, options));
    write_string(&draft.writer, " FROM:");
    write_path(&draft, path, options->smtputf8 != 0);
    write_mail_options(client, &draft, options);
  }
  int result = commit(client, &draft, tag);
  if (result == EHLO_OK) {
    client->call = CALL_MAIL;
    client->rcpts_called = 0;
    client->call_8bit = options->body >= EHLO_BODY_8BITMIME;
    client->call_binary = options->body == EHLO_BODY_BINARYMIME;
    client->call_utf8 = options->smtputf8 != 0;
  }
  return result;
}

int ehlo_client_mail(ehlo_client *client, ehlo_span path, const ehlo_mail_options *options, uint64_t tag)
{
  return mail(client, EHLO_VERB_MAIL, path, options, tag);
}

int ehlo_client_send(ehlo_client *client, ehlo_span path, const ehlo_mail_options *options, uint64_t tag)
{
  return mail(client, EHLO_VERB_SEND, path, options, tag);
}

int ehlo_client_soml(ehlo_client *client, ehlo_span path, const ehlo_mail_options *options, uint64_t tag)
{
  return mail(client, EHLO_VERB_SOML, path, options, tag);
}

int ehlo_client_saml(ehlo_client *client, ehlo_span path, const ehlo_mail_options *options, uint64_t tag)
{
  return mail(client, EHLO_VERB_SAML, path, options, tag);
}

int ehlo_client_rcpt(ehlo_client *client, ehlo_span path, const ehlo_rcpt_options *options, uint64_t tag)
{
  struct draft draft = begin(client, EHLO_VERB_RCPT);
  if (draft.error == EHLO_OK) {
    if (options != NULL && options->struct_size < sizeof *options) {
      fail(&draft, EHLO_ERR_ARGUMENT);
    }
    if (client_is_lmtp(client) && client->rcpts_called == client->max_recipients) {
      fail(&draft, EHLO_ERR_TOO_LONG);
    }
    write_string(&draft.writer, " TO:");
    write_path(&draft, path, client->call_utf8);
    if (draft.error == EHLO_OK && options != NULL) {
      write_parameters(client, &draft, options->parameters, client->call_utf8);
    }
  }
  int result = commit(client, &draft, tag);
  if (result == EHLO_OK) {
    client->rcpts_called++;
  }
  return result;
}

/* ---- the others ---- */

/* Does the content go by BDAT? */
static void client_by_chunks(ehlo_client *client, struct draft *draft)
{
  if (draft->error != EHLO_OK) {
    return;
  }
  int always = client->chunking == EHLO_CHUNKING_ALWAYS;
  client->by_chunks = client->call_binary || (always && client_offers(client, EHLO_EXT_CHUNKING));
}

/* Takes a place in the queue behind the RCPTs: content by BDAT begins when they are answered. */
static int commit_chunks(ehlo_client *client, struct draft *draft, uint64_t tag)
{
  if (draft->error == EHLO_OK) {
    ehlo_client_queue(client, EHLO_VERB_NONE, tag, 0);
  }
  return draft->error;
}

int ehlo_client_data(ehlo_client *client, uint64_t tag)
{
  struct draft draft = begin(client, EHLO_VERB_DATA);
  if (draft.error == EHLO_OK) {
    if (client->rcpts_called == 0) {
      fail(&draft, EHLO_ERR_STATE);
    } else if (client->in_transaction && client->mails_ahead == 0 && client->rcpts_accepted == 0 &&
               client->rcpts_answered == client->rcpts_called) {
      fail(&draft, EHLO_ERR_REFUSED);
    }
  }
  client_by_chunks(client, &draft);
  int result = client != NULL && client->by_chunks ? commit_chunks(client, &draft, tag) : commit(client, &draft, tag);
  if (result == EHLO_OK) {
    client->call = CALL_DATA;
  }
  return result;
}

int ehlo_client_rset(ehlo_client *client, uint64_t tag)
{
  int result = plain(client, EHLO_VERB_RSET, tag);
  if (result == EHLO_OK && client->call != CALL_HELLO) {
    client->call = CALL_IDLE;
    client->needs_reset = 0;
  }
  return result;
}

/* Is it printable, without white space around it? */
static int is_argument(ehlo_span text, int utf8)
{
  if (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ')) {
    return 0;
  }
  for (size_t i = 0; i < text.len; i++) {
    unsigned char octet = (unsigned char)text.ptr[i];
    if (octet < ' ' || octet == 127 || (octet > 127 && !utf8)) {
      return 0;
    }
  }
  return !utf8 || ehlo_utf8_valid(text) == text.len;
}

/* Writes a space and an argument, if there is one. */
static void write_argument(struct draft *draft, ehlo_span text, int utf8)
{
  if (draft->error != EHLO_OK) {
    return;
  }
  if (text.ptr == NULL && text.len > 0) {
    fail(draft, EHLO_ERR_ARGUMENT);
  } else if (!is_argument(text, utf8)) {
    fail(draft, EHLO_ERR_SYNTAX);
  } else if (text.len > 0) {
    write_octet(&draft->writer, ' ');
    write_span(&draft->writer, text);
  }
}

static int query(ehlo_client *client, uint32_t verb, ehlo_span argument, int smtputf8, uint64_t tag)
{
  struct draft draft = begin(client, verb);
  if (draft.error == EHLO_OK) {
    if (smtputf8 && !client_offers(client, EHLO_EXT_SMTPUTF8)) {
      fail(&draft, EHLO_ERR_SMTPUTF8);
    }
    if (argument.len == 0) {
      fail(&draft, EHLO_ERR_SYNTAX);
    }
    write_argument(&draft, argument, smtputf8);
    if (smtputf8) {
      write_string(&draft.writer, " SMTPUTF8");
    }
  }
  return commit(client, &draft, tag);
}

int ehlo_client_vrfy(ehlo_client *client, ehlo_span argument, int smtputf8, uint64_t tag)
{
  return query(client, EHLO_VERB_VRFY, argument, smtputf8, tag);
}

int ehlo_client_expn(ehlo_client *client, ehlo_span argument, int smtputf8, uint64_t tag)
{
  return query(client, EHLO_VERB_EXPN, argument, smtputf8, tag);
}

int ehlo_client_help(ehlo_client *client, ehlo_span argument, uint64_t tag)
{
  struct draft draft = begin(client, EHLO_VERB_HELP);
  write_argument(&draft, argument, 0);
  return commit(client, &draft, tag);
}

int ehlo_client_noop(ehlo_client *client, ehlo_span argument, uint64_t tag)
{
  struct draft draft = begin(client, EHLO_VERB_NOOP);
  write_argument(&draft, argument, 0);
  return commit(client, &draft, tag);
}

int ehlo_client_quit(ehlo_client *client, uint64_t tag)
{
  struct draft draft = begin(client, EHLO_VERB_QUIT);
  return commit_last(client, &draft, tag);
}

int ehlo_client_turn(ehlo_client *client, uint64_t tag)
{
  struct draft draft = begin(client, EHLO_VERB_TURN);
  check_offer(client, &draft);
  return commit_last(client, &draft, tag);
}

int ehlo_client_starttls(ehlo_client *client, uint64_t tag)
{
  struct draft draft = begin(client, EHLO_VERB_STARTTLS);
  if (draft.error == EHLO_OK) {
    if (client->tls || client->call != CALL_IDLE) {
      fail(&draft, EHLO_ERR_STATE);
    } else if (!client_offers(client, EHLO_EXT_STARTTLS)) {
      fail(&draft, EHLO_ERR_NOT_OFFERED);
    }
  }
  return commit_last(client, &draft, tag);
}

int ehlo_client_tls_done(ehlo_client *client)
{
  if (client == NULL) {
    return EHLO_ERR_ARGUMENT;
  }
  if (client->busy) {
    return EHLO_ERR_REENTRANT;
  }
  if ((client->state != CLIENT_TLS && client->state != CLIENT_GREETING) || client->tls) {
    return EHLO_ERR_STATE;
  }
  client->tls = 1;
  if (client->state == CLIENT_TLS) {
    client->offered = 0;
    client->size_limit = 0;
    client->hello_verb = EHLO_VERB_NONE;
    client->call = CALL_HELLO;
    client->epoch++;
    ehlo_client_enter(client, CLIENT_GREETED);
  }
  return EHLO_OK;
}

int ehlo_client_command(ehlo_client *client, ehlo_span verb, ehlo_span argument, uint64_t tag)
{
  ehlo_command command;
  struct draft draft = begin(client, EHLO_VERB_UNKNOWN);
  if (draft.error == EHLO_OK) {
    if (verb.ptr == NULL) {
      fail(&draft, verb.len > 0 ? EHLO_ERR_ARGUMENT : EHLO_ERR_SYNTAX);
      verb.len = 0;
    } else if (ehlo_parse_command(verb, &command) != EHLO_OK || command.name.len != verb.len) {
      fail(&draft, EHLO_ERR_SYNTAX);
    } else if (command.verb != EHLO_VERB_UNKNOWN) {
      fail(&draft, EHLO_ERR_ARGUMENT);
    }
    write_span(&draft.writer, verb);
    write_argument(&draft, argument, 0);
  }
  return commit(client, &draft, tag);
}
