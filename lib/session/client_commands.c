/* client_commands.c: a function for each command of RFC 5321 and RFC 821, but those of the envelope. Floor: session. */
#include "client_draft.h"

/* A command without an argument. */
static int plain(ehlo_client *client, uint32_t verb, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, verb);
  return ehlo_client_commit(client, &draft, tag);
}

/* ---- hello ---- */

int ehlo_client_say_hello(ehlo_client *client, uint32_t verb, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, verb);
  if (draft.error == EHLO_OK) {
    write_octet(&draft.writer, ' ');
    write_span(&draft.writer, span_of(client_part(client, client->hostname_at), client->hostname_len));
  }
  return ehlo_client_commit_last(client, &draft, tag);
}

int ehlo_client_hello(ehlo_client *client, uint64_t tag)
{
  return ehlo_client_say_hello(client, client != NULL && client_is_lmtp(client) ? EHLO_VERB_LHLO : EHLO_VERB_EHLO, tag);
}

int ehlo_client_helo(ehlo_client *client, uint64_t tag)
{
  return client != NULL && client_is_lmtp(client) ? EHLO_ERR_STATE : ehlo_client_say_hello(client, EHLO_VERB_HELO, tag);
}

/* ---- the others ---- */

/* Does the content of the transaction that is called go by BDAT? */
static int goes_by_chunks(const ehlo_client *client)
{
  int always = client->chunking == EHLO_CHUNKING_ALWAYS;
  return !client->call_resumed && (client->call_binary || (always && client_offers(client, EHLO_EXT_CHUNKING)));
}

int ehlo_client_data(ehlo_client *client, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_DATA);
  ehlo_client_check_content(client, &draft);
  int by_chunks = draft.error == EHLO_OK && goes_by_chunks(client);
  int result = draft.error;
  if (by_chunks) {
    ehlo_client_queue(client, EHLO_VERB_DATA, COMMAND_PLACE, tag, 0); /* behind the RCPTs, that they may be answered */
  } else {
    result = ehlo_client_commit(client, &draft, tag);
  }
  if (result == EHLO_OK) {
    client->by_chunks = (uint8_t)by_chunks;
    client->call = CALL_DATA;
  }
  return result;
}

int ehlo_client_rset(ehlo_client *client, uint64_t tag)
{
  int result = plain(client, EHLO_VERB_RSET, tag);
  if (result == EHLO_OK && client->call != CALL_HELLO) {
    client->call = CALL_IDLE;
  }
  return result;
}

static int query(ehlo_client *client, uint32_t verb, ehlo_span argument, int smtputf8, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, verb);
  if (draft.error == EHLO_OK) {
    if (smtputf8 && !client_offers(client, EHLO_EXT_SMTPUTF8)) {
      draft_fail(&draft, EHLO_ERR_SMTPUTF8);
    }
    if (argument.len == 0) {
      draft_fail(&draft, EHLO_ERR_SYNTAX);
    }
    ehlo_client_write_argument(&draft, argument, smtputf8);
    if (smtputf8) {
      write_string(&draft.writer, " SMTPUTF8");
    }
  }
  return ehlo_client_commit(client, &draft, tag);
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
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_HELP);
  ehlo_client_write_argument(&draft, argument, 0);
  return ehlo_client_commit(client, &draft, tag);
}

int ehlo_client_noop(ehlo_client *client, ehlo_span argument, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_NOOP);
  ehlo_client_write_argument(&draft, argument, 0);
  return ehlo_client_commit(client, &draft, tag);
}

int ehlo_client_quit(ehlo_client *client, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_QUIT);
  return ehlo_client_commit_last(client, &draft, tag);
}

int ehlo_client_turn(ehlo_client *client, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_TURN);
  ehlo_client_check_offer(client, &draft);
  return ehlo_client_commit_last(client, &draft, tag);
}

int ehlo_client_starttls(ehlo_client *client, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_STARTTLS);
  if (draft.error == EHLO_OK) {
    if (client->tls || client->call != CALL_IDLE) {
      draft_fail(&draft, EHLO_ERR_STATE);
    } else if (!client_offers(client, EHLO_EXT_STARTTLS)) {
      draft_fail(&draft, EHLO_ERR_NOT_OFFERED);
    }
  }
  return ehlo_client_commit_last(client, &draft, tag);
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
  if (client->reply_code != 0 || !line_is_fresh(&client->line)) {
    return EHLO_ERR_STATE; /* a part of the greeting has come in clear */
  }
  client->tls = 1;
  if (client->state == CLIENT_TLS) {
    ehlo_client_forget(client);
    client->epoch++;
    ehlo_client_enter(client, CLIENT_GREETED);
  }
  return EHLO_OK;
}

int ehlo_client_command(ehlo_client *client, ehlo_span verb, ehlo_span argument, uint64_t tag)
{
  ehlo_command command;
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_UNKNOWN);
  if (draft.error == EHLO_OK) {
    if (verb.ptr == NULL) {
      draft_fail(&draft, verb.len > 0 ? EHLO_ERR_ARGUMENT : EHLO_ERR_SYNTAX);
      verb.len = 0;
    } else if (ehlo_parse_command(verb, &command) != EHLO_OK || command.name.len != verb.len) {
      draft_fail(&draft, EHLO_ERR_SYNTAX);
    } else if (command.verb != EHLO_VERB_UNKNOWN) {
      draft_fail(&draft, EHLO_ERR_ARGUMENT);
    }
    write_span(&draft.writer, verb);
    ehlo_client_write_argument(&draft, argument, 0);
  }
  return ehlo_client_commit(client, &draft, tag);
}
