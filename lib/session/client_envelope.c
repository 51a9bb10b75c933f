/* client_envelope.c: MAIL, SEND, SOML, SAML and RCPT, with their parameters. Floor: session. */
#include "client_draft.h"

#include "../grammar/table.h"

/* ---- paths ---- */

/* The longest local-part that is written anew: quoted ones, with the least quoting (RFC 5321 4.1.2). */
enum { LOCAL_PART_MAX = 1024 };

static void write_quoted(struct draft *draft, const ehlo_path *path)
{
  char decoded[LOCAL_PART_MAX];
  size_t length;
  struct writer *writer = &draft->writer;
  if (ehlo_local_part_decode(path->local_part, decoded, sizeof decoded, &length) != EHLO_OK) {
    draft_fail(draft, EHLO_ERR_TOO_LONG);
    return;
  }
  size_t room = writer->length < writer->size ? writer->size - writer->length : 0;
  char *to = room > 0 ? writer->ptr + writer->length : decoded;
  int result = ehlo_format_path(span_of(decoded, length), path->domain.raw, EHLO_PARSE_UTF8, to, room, &length);
  writer->length += length;
  if (result != EHLO_OK && result != EHLO_ERR_BUFFER) {
    draft_fail(draft, EHLO_ERR_SYNTAX);
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
  if (span_is_lie(text)) {
    draft_fail(draft, EHLO_ERR_ARGUMENT);
  } else if (!read_path(text, draft->verb, &path)) {
    draft_fail(draft, EHLO_ERR_SYNTAX);
  } else if (path.kind == EHLO_PATH_MAILBOX && path.utf8 && !utf8) {
    draft_fail(draft, EHLO_ERR_SMTPUTF8);
  } else if (path.kind == EHLO_PATH_MAILBOX && path.quoted) {
    write_quoted(draft, &path);
  } else {
    write_octet(&draft->writer, '<');
    write_span(&draft->writer, path.mailbox);
    write_octet(&draft->writer, '>');
  }
}

/* ---- parameters: what the server has to offer for them ---- */

/* What stands in `others` is the same as if it stood in its field, if the library knows it. `result` is what reading it
 * there returned. Returns EHLO_OK if it may go out. */
static int check_other(const ehlo_client *client, const ehlo_parameter *other, int result)
{
  if (result == EHLO_ERR_NOT_OFFERED) {
    return client->pass_parameters ? EHLO_OK : result;
  }
  if (result == EHLO_OK && !client_offers(client, ehlo_parameters[other->id].extension)) {
    return EHLO_ERR_NOT_OFFERED;
  }
  return result;
}

/* Takes all of `others` there. Returns EHLO_OK, EHLO_ERR_SYNTAX for what is no such list, EHLO_ERR_NOT_OFFERED. */
static int take_mail_others(const ehlo_client *client, ehlo_mail_parameters *all, uint32_t flags)
{
  ehlo_parameter other;
  int result;
  while ((result = ehlo_parameter_next(&all->others, flags, &other)) == 1) {
    result = check_other(client, &other, ehlo_mail_parameter_read(&other, flags, all));
    if (result != EHLO_OK) {
      return result;
    }
  }
  return result;
}

static int take_rcpt_others(const ehlo_client *client, ehlo_rcpt_parameters *all, uint32_t flags)
{
  ehlo_parameter other;
  int result;
  while ((result = ehlo_parameter_next(&all->others, flags, &other)) == 1) {
    result = check_other(client, &other, ehlo_rcpt_parameter_read(&other, flags, all));
    if (result != EHLO_OK) {
      return result;
    }
  }
  return result;
}

/* Message tracking brings the parameters of DSN that it needs along (RFC 3885 2). */
static int offers_dsn(const ehlo_client *client)
{
  return client_offers(client, EHLO_EXT_DSN) || client_offers(client, EHLO_EXT_MTRK);
}

/* Is something said that is not offered? Each of these can only be left out by the host: it changes what becomes of the
 * message (RFC 3461 5.2.2, RFC 2852 4.1.4, RFC 4865 5.1.1, RFC 6710 4.3, RFC 3885 3.3, RFC 4141 4.2). */
static int mail_is_offered(const ehlo_client *client, const ehlo_mail_parameters *all)
{
  const struct {
    int is_said;
    int is_offered;
  } needs[] = {
      {all->ret != EHLO_RET_NONE, client_offers(client, EHLO_EXT_DSN)},
      {all->envid.len > 0, offers_dsn(client)},
      {all->auth.len > 0, client_offers(client, EHLO_EXT_AUTH)},
      {all->requiretls != 0, client_offers(client, EHLO_EXT_REQUIRETLS)},
      {all->has_priority != 0, client_offers(client, EHLO_EXT_MT_PRIORITY)},
      {all->by_mode != EHLO_BY_NONE, client_offers(client, EHLO_EXT_DELIVERBY)},
      {all->hold_for != 0 || all->has_hold_until != 0, client_offers(client, EHLO_EXT_FUTURERELEASE)},
      {all->solicit.len > 0, client_offers(client, EHLO_EXT_NO_SOLICITING)},
      {all->mtrk.len > 0, client_offers(client, EHLO_EXT_MTRK)},
      {all->submitter.len > 0, client_offers(client, EHLO_EXT_SUBMITTER)},
      {all->conperm != 0, client_offers(client, EHLO_EXT_CONPERM)},
      {all->transid.len > 0, client_offers(client, EHLO_EXT_CHECKPOINT)},
  };
  for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
    if (needs[i].is_said && !needs[i].is_offered) {
      return 0;
    }
  }
  return 1;
}

/* More than the server says it takes (RFC 2852 4.1.4.1, RFC 4865 5.1.1)? */
static int is_over_limit(const ehlo_client *client, const ehlo_mail_parameters *all)
{
  const struct offer *offer = &client->offer;
  return (all->by_mode == EHLO_BY_RETURN && all->by_time >= 0 && (uint32_t)all->by_time < offer->by_min) ||
         all->hold_for > offer->hold_max || (all->has_hold_until && all->hold_until > offer->hold_until_max);
}

/* `all` has what `others` said too. */
static int check_mail(const ehlo_client *client, const ehlo_mail_parameters *all)
{
  if (all->has_size && client_offers(client, EHLO_EXT_SIZE) && client->offer.size_limit != 0 &&
      all->size > client->offer.size_limit) {
    return EHLO_ERR_SIZE;
  }
  if (all->body == EHLO_BODY_8BITMIME && !client_offers(client, EHLO_EXT_8BITMIME)) {
    return EHLO_ERR_8BITMIME;
  }
  if (all->body == EHLO_BODY_BINARYMIME &&
      (!client_offers(client, EHLO_EXT_BINARYMIME) || client->chunking == EHLO_CHUNKING_NEVER)) {
    return EHLO_ERR_NOT_OFFERED;
  }
  if (all->smtputf8 && !client_offers(client, EHLO_EXT_SMTPUTF8)) {
    return EHLO_ERR_SMTPUTF8;
  }
  if (all->requiretls && !client->tls) {
    return EHLO_ERR_TLS; /* (RFC 8689 2) */
  }
  if (!mail_is_offered(client, all)) {
    return EHLO_ERR_NOT_OFFERED;
  }
  return is_over_limit(client, all) ? EHLO_ERR_LIMIT : EHLO_OK;
}

static int check_rcpt(const ehlo_client *client, const ehlo_rcpt_parameters *all)
{
  int is_offered = (all->notify == EHLO_NOTIFY_NONE || client_offers(client, EHLO_EXT_DSN)) &&
                   ((all->orcpt_type.len == 0 && all->orcpt_address.len == 0) || offers_dsn(client)) &&
                   (all->rrvs == EHLO_RRVS_NONE || client_offers(client, EHLO_EXT_RRVS)) &&
                   (!all->conneg || client_offers(client, EHLO_EXT_CONNEG));
  if (!is_offered) {
    return EHLO_ERR_NOT_OFFERED;
  }
  /* Without SMTPUTF8 only the form of 7 bits goes out (RFC 6533 3). */
  for (size_t i = 0; i < all->orcpt_address.len && !client->call_utf8; i++) {
    if ((unsigned char)all->orcpt_address.ptr[i] > 127) {
      return EHLO_ERR_SMTPUTF8;
    }
  }
  return EHLO_OK;
}

/* ---- parameters: out ---- */

static int mail_is_legal(const ehlo_mail_parameters *parameters)
{
  return parameters->struct_size >= sizeof *parameters && parameters->body <= EHLO_BODY_BINARYMIME &&
         !span_is_lie(parameters->envid) && !span_is_lie(parameters->auth) && !span_is_lie(parameters->solicit) &&
         !span_is_lie(parameters->mtrk) && !span_is_lie(parameters->submitter) && !span_is_lie(parameters->transid) &&
         !span_is_lie(parameters->others);
}

static int rcpt_is_legal(const ehlo_rcpt_parameters *parameters)
{
  return parameters->struct_size >= sizeof *parameters && !span_is_lie(parameters->orcpt_type) &&
         !span_is_lie(parameters->orcpt_address) && !span_is_lie(parameters->others);
}

/* Where the draft goes on: to there a formatter writes at most *room octets; somewhere if there is no room. */
static char *draft_tail(struct draft *draft, size_t *room)
{
  struct writer *writer = &draft->writer;
  *room = writer->length < writer->size ? writer->size - writer->length : 0;
  return *room > 0 ? writer->ptr + writer->length : (char *)draft;
}

/* A formatter has been there. */
static void wrote(struct draft *draft, int result, size_t length)
{
  draft->writer.length += length;
  if (result != EHLO_OK && result != EHLO_ERR_BUFFER) {
    draft_fail(draft, result == EHLO_ERR_TEXT ? EHLO_ERR_SYNTAX : result);
  }
}

static uint32_t parse_flags(int utf8)
{
  return utf8 ? EHLO_PARSE_UTF8 : 0;
}

/* Writes the parameters. SIZE and BODY=7BIT promise what holds anyhow: where nobody asks for them they are left out. */
static void write_mail_parameters(const ehlo_client *client, struct draft *draft,
                                  const ehlo_mail_parameters *parameters, int utf8)
{
  size_t room;
  size_t length;
  ehlo_mail_parameters out = *parameters;
  if (draft->error != EHLO_OK) {
    return;
  }
  out.has_size = out.has_size && client_offers(client, EHLO_EXT_SIZE);
  out.body = client_offers(client, EHLO_EXT_8BITMIME) ? out.body : (uint32_t)EHLO_BODY_NONE;
  char *to = draft_tail(draft, &room);
  int result = ehlo_format_mail_parameters(&out, parse_flags(utf8), to, room, &length);
  wrote(draft, result, length);
}

static void write_rcpt_parameters(const ehlo_client *client, struct draft *draft,
                                  const ehlo_rcpt_parameters *parameters)
{
  size_t room;
  size_t length;
  if (draft->error != EHLO_OK) {
    return;
  }
  char *to = draft_tail(draft, &room);
  int result = ehlo_format_rcpt_parameters(parameters, parse_flags(client->call_utf8), to, room, &length);
  wrote(draft, result, length);
}

/* ---- MAIL, SEND, SOML, SAML ---- */

/* May this MAIL be said? *all becomes what its parameters say, those among the others too. */
static int prepare_mail(const ehlo_client *client, ehlo_mail_parameters *all)
{
  if (!mail_is_legal(all)) {
    return EHLO_ERR_ARGUMENT;
  }
  if (ehlo_client_needs_reset(client)) {
    return EHLO_ERR_STATE; /* a transaction is open there (RFC 5321 4.1.4) */
  }
  if (client->offer.mail_max != 0 && client->mails_called >= client->offer.mail_max) {
    return EHLO_ERR_LIMIT; /* (RFC 9422 4.1) */
  }
  int result = take_mail_others(client, all, parse_flags(all->smtputf8 != 0));
  if (result == EHLO_OK && all->transid.len > 0 && (client_is_lmtp(client) || all->body == EHLO_BODY_BINARYMIME)) {
    return EHLO_ERR_ARGUMENT; /* what is resumed has one verdict, and goes on by DATA */
  }
  return result == EHLO_OK ? check_mail(client, all) : result;
}

static int mail(ehlo_client *client, uint32_t verb, ehlo_span path, const ehlo_mail_parameters *parameters,
                uint64_t tag)
{
  static const ehlo_mail_parameters defaults = {.struct_size = sizeof defaults};
  struct draft draft = ehlo_client_begin(client, verb);
  parameters = parameters == NULL ? &defaults : parameters;
  ehlo_mail_parameters all = defaults;
  if (parameters->struct_size < sizeof all) {
    draft_fail(&draft, EHLO_ERR_ARGUMENT);
  }
  if (draft.error == EHLO_OK) {
    all = *parameters;
    ehlo_client_check_offer(client, &draft);
    draft_fail(&draft, prepare_mail(client, &all));
    write_string(&draft.writer, " FROM:");
    write_path(&draft, path, all.smtputf8 != 0);
    write_mail_parameters(client, &draft, parameters, all.smtputf8 != 0);
  }
  draft.flags = all.transid.len > 0 ? COMMAND_CHECKPOINT : 0;
  int result = ehlo_client_commit(client, &draft, tag);
  if (result == EHLO_OK) {
    client->call = CALL_MAIL;
    client->mails_called++;
    client->rcpts_called = 0;
    client->call_8bit = all.body >= EHLO_BODY_8BITMIME;
    client->call_binary = all.body == EHLO_BODY_BINARYMIME;
    client->call_utf8 = all.smtputf8 != 0;
    client->call_resumed = 0;
    if (draft.flags & COMMAND_CHECKPOINT) {
      client->call_before = CALL_MAIL;
      client->call = CALL_WAIT; /* 355 changes what is called next */
    }
  }
  return result;
}

int ehlo_client_mail(ehlo_client *client, ehlo_span path, const ehlo_mail_parameters *parameters, uint64_t tag)
{
  return mail(client, EHLO_VERB_MAIL, path, parameters, tag);
}

int ehlo_client_send(ehlo_client *client, ehlo_span path, const ehlo_mail_parameters *parameters, uint64_t tag)
{
  return mail(client, EHLO_VERB_SEND, path, parameters, tag);
}

int ehlo_client_soml(ehlo_client *client, ehlo_span path, const ehlo_mail_parameters *parameters, uint64_t tag)
{
  return mail(client, EHLO_VERB_SOML, path, parameters, tag);
}

int ehlo_client_saml(ehlo_client *client, ehlo_span path, const ehlo_mail_parameters *parameters, uint64_t tag)
{
  return mail(client, EHLO_VERB_SAML, path, parameters, tag);
}

/* ---- RCPT ---- */

/* May one more recipient be said? */
static int prepare_rcpt(const ehlo_client *client, ehlo_rcpt_parameters *all)
{
  if (!rcpt_is_legal(all)) {
    return EHLO_ERR_ARGUMENT;
  }
  if (client->call_resumed) {
    return EHLO_ERR_STATE; /* the server has them (RFC 1845 3) */
  }
  if (client_is_lmtp(client) && client->rcpts_called == client->max_recipients) {
    return EHLO_ERR_TOO_LONG;
  }
  if (client->offer.rcpt_max != 0 && client->rcpts_called >= client->offer.rcpt_max) {
    return EHLO_ERR_LIMIT; /* (RFC 9422 4.2) */
  }
  int result = take_rcpt_others(client, all, parse_flags(client->call_utf8));
  return result == EHLO_OK ? check_rcpt(client, all) : result;
}

int ehlo_client_rcpt(ehlo_client *client, ehlo_span path, const ehlo_rcpt_parameters *parameters, uint64_t tag)
{
  static const ehlo_rcpt_parameters defaults = {.struct_size = sizeof defaults};
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_RCPT);
  parameters = parameters == NULL ? &defaults : parameters;
  ehlo_rcpt_parameters all = defaults;
  if (parameters->struct_size < sizeof all) {
    draft_fail(&draft, EHLO_ERR_ARGUMENT);
  }
  if (draft.error == EHLO_OK) {
    all = *parameters;
    draft_fail(&draft, prepare_rcpt(client, &all));
    write_string(&draft.writer, " TO:");
    write_path(&draft, path, client->call_utf8);
    write_rcpt_parameters(client, &draft, parameters);
  }
  int result = ehlo_client_commit(client, &draft, tag);
  if (result == EHLO_OK) {
    client->rcpts_called++;
  }
  return result;
}
