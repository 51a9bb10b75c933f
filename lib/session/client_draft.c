/* client_draft.c: how a command line is made. Floor: session. */
#include "client_draft.h"

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
  int needs_mail = verb == EHLO_VERB_RCPT || verb == EHLO_VERB_DATA || verb == EHLO_VERB_BURL;
  if (needs_mail && client->call == CALL_REFUSED) {
    return EHLO_ERR_REFUSED;
  }
  if (client->state >= CLIENT_TLS || (ehlo_commands[verb].states & legal_bit(client)) == 0 ||
      (client->state == CLIENT_REFUSED && verb != EHLO_VERB_QUIT)) {
    return EHLO_ERR_STATE;
  }
  return client->count == client->max_commands ? EHLO_ERR_SPACE : EHLO_OK;
}

struct draft ehlo_client_begin(ehlo_client *client, uint32_t verb)
{
  struct draft draft = {.verb = verb, .error = check_call(client, verb)};
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

/* The longest line of the command, CRLF included. */
static size_t longest_line(const ehlo_client *client, uint32_t verb)
{
  if (verb_opens_transaction(verb)) {
    return COMMAND_LINE_MAX + ehlo_capability_mail_line(client->offer.set);
  }
  return COMMAND_LINE_MAX + (verb == EHLO_VERB_RCPT ? ehlo_capability_rcpt_line(client->offer.set) : 0);
}

int ehlo_client_commit(ehlo_client *client, struct draft *draft, uint64_t tag)
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
  ehlo_client_queue(client, draft->verb, draft->flags, tag, length);
  return EHLO_OK;
}

int ehlo_client_commit_last(ehlo_client *client, struct draft *draft, uint64_t tag)
{
  int result = ehlo_client_commit(client, draft, tag);
  if (result == EHLO_OK) {
    client->call_before = client->call;
    client->call = CALL_WAIT;
  }
  return result;
}

void ehlo_client_check_offer(const ehlo_client *client, struct draft *draft)
{
  uint32_t extension = ehlo_commands[draft->verb].extension;
  if (draft->error == EHLO_OK && extension != EXTENSION_ALWAYS && client->hello_verb != EHLO_VERB_HELO &&
      !client_offers(client, extension)) {
    draft_fail(draft, EHLO_ERR_NOT_OFFERED);
  }
}

void ehlo_client_check_content(const ehlo_client *client, struct draft *draft)
{
  if (draft->error != EHLO_OK || client->call_resumed) {
    return;
  }
  if (client->rcpts_called == 0) {
    draft_fail(draft, EHLO_ERR_STATE);
  } else if (client->in_transaction && client->mails_ahead == 0 && client->rcpts_accepted == 0 &&
             client->rcpts_answered == client->rcpts_called) {
    draft_fail(draft, EHLO_ERR_REFUSED);
  }
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

void ehlo_client_write_argument(struct draft *draft, ehlo_span text, int utf8)
{
  if (draft->error != EHLO_OK) {
    return;
  }
  if (span_is_lie(text)) {
    draft_fail(draft, EHLO_ERR_ARGUMENT);
  } else if (!is_argument(text, utf8)) {
    draft_fail(draft, EHLO_ERR_SYNTAX);
  } else if (text.len > 0) {
    write_octet(&draft->writer, ' ');
    write_span(&draft->writer, text);
  }
}
