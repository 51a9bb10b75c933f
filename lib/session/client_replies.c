/* client_replies.c: what follows from a reply, one function for each kind. Floor: session. */
#include "client.h"

void ehlo_client_forget(ehlo_client *client)
{
  static const struct offer nothing;
  client->offer = nothing;
  client->hello_verb = EHLO_VERB_NONE;
  client->authenticated = 0;
  client->call = CALL_HELLO;
}

/* An extension without those that it needs cannot be had; nor one that the host does not use. */
static void drop_unusable(ehlo_client *client)
{
  client->offer.set &= client->use;
  if (!client_offers(client, EHLO_EXT_8BITMIME)) {
    client->offer.set &= ~capability_bit(EHLO_EXT_SMTPUTF8); /* (RFC 6531 3.1) */
  }
  if (!client_offers(client, EHLO_EXT_CHUNKING) || !client_offers(client, EHLO_EXT_8BITMIME)) {
    client->offer.set &= ~capability_bit(EHLO_EXT_BINARYMIME); /* (RFC 3030 3) */
  }
  if (!client_offers(client, EHLO_EXT_LIMITS)) {
    client->offer.mail_max = client->offer.rcpt_max = client->offer.rcpt_domain_max = 0;
  }
}

static int proceed_hello(ehlo_client *client, const struct command *command, uint32_t code, ehlo_client_event *event)
{
  if (code >= 300) {
    client->call = client->call_before;
    int unknown = code / 10 == 50 && client->hello_verb != EHLO_VERB_EHLO; /* it was known before */
    if (command->verb == EHLO_VERB_EHLO && unknown && !client->no_helo) {
      return ehlo_client_say_hello(client, EHLO_VERB_HELO, command->tag) == EHLO_OK;
    }
    return 0;
  }
  client->hello_verb = (uint8_t)command->verb;
  client->offer = client->next_offer;
  client->area ^= 1;
  drop_unusable(client);
  client->call = CALL_IDLE;
  client->held = 0;
  event->type = EHLO_CLIENT_EVENT_HELLO;
  event->tag = command->tag;
  return 0;
}

/* How many RCPTs and DATA, or BURL in its place, stand in the queue before the next transaction. */
static uint32_t queued_in_transaction(const ehlo_client *client)
{
  uint32_t count = 0;
  for (uint32_t i = 0; i < client->count; i++) {
    uint32_t verb = client_command(client, i)->verb;
    if (verb_opens_transaction(verb)) {
      break;
    }
    count += verb == EHLO_VERB_RCPT || verb == EHLO_VERB_DATA || verb == EHLO_VERB_MESSAGE;
  }
  return count;
}

/* What can be called in the transaction that the replies have come to, if that is the one that is being called: from
 * one to the other. If a hello is out, it is what can be called should that be refused. */
static void change_call(ehlo_client *client, enum client_call from, enum client_call to)
{
  uint8_t *call = client->call == CALL_WAIT ? &client->call_before : &client->call;
  if (client->mails_ahead == 0 && *call == from) {
    *call = (uint8_t)to;
  }
}

void ehlo_client_end_doomed(ehlo_client *client, ehlo_client_event *event)
{
  if (client->in_transaction && client->doomed && client->doomed_left == 0) {
    ehlo_client_end(client, EHLO_END_REFUSED, client->refused_code, client->refused_enhanced, event);
    change_call(client, CALL_REFUSED, CALL_IDLE);
  }
}

static void proceed_mail(ehlo_client *client, const struct command *command, uint32_t code, ehlo_enhanced enhanced,
                         ehlo_client_event *event)
{
  client->in_transaction = 1;
  client->doomed = code >= 400;
  client->resumed = code == 355;
  if (command->flags & COMMAND_CHECKPOINT) {
    client->call_resumed = client->resumed;
    client->call = client->call_before;
  }
  client->mail_tag = command->tag;
  client->rcpts_answered = 0;
  client->rcpts_accepted = 0;
  client->results = 0;
  client->results_good = 0;
  client->chunk_failed = 0;
  if (!client->doomed) {
    client->held = 0; /* else it would not have been taken */
  } else {
    client->refused_code = code;
    client->refused_enhanced = enhanced;
    client->doomed_left = queued_in_transaction(client);
    change_call(client, CALL_MAIL, CALL_REFUSED);
    ehlo_client_end_doomed(client, event);
  }
}

static void proceed_rcpt(ehlo_client *client, const struct command *command, uint32_t code, ehlo_client_event *event)
{
  uint32_t ordinal = client->rcpts_answered++;
  if (client->doomed) {
    client->doomed_left--;
    ehlo_client_end_doomed(client, event);
  } else if (code < 300) {
    if (client_is_lmtp(client)) {
      *client_recipient(client, client->rcpts_accepted) = (struct recipient){command->tag, ordinal};
    }
    client->rcpts_accepted++;
  }
}

void ehlo_client_data_taken_back(ehlo_client *client, ehlo_client_event *event)
{
  client->call = CALL_MAIL;
  if (client->in_transaction && client->doomed && client->mails_ahead == 0) {
    client->call = CALL_REFUSED;
    client->doomed_left--;
    ehlo_client_end_doomed(client, event);
  }
}

/* DATA was refused: nothing can be had from this transaction any more, but the server still holds it. */
static void refuse_data(ehlo_client *client, uint32_t code, ehlo_enhanced enhanced, ehlo_client_event *event)
{
  client->call = CALL_IDLE;
  if (client->doomed) {
    client->doomed_left--;
    ehlo_client_end_doomed(client, event);
  } else {
    client->held = 1;
    ehlo_client_end(client, EHLO_END_REFUSED, code, enhanced, event);
  }
}

static void proceed_rset(ehlo_client *client, uint32_t code, ehlo_enhanced enhanced, ehlo_client_event *event)
{
  int taken = code < 300;
  client->held = !taken && (client->held || client->in_transaction);
  if (client->in_transaction) {
    ehlo_client_end(client, EHLO_END_RESET, taken ? 0 : code, enhanced, event);
  }
}

int ehlo_client_proceed(ehlo_client *client, const struct command *command, uint32_t code, ehlo_enhanced enhanced,
                        ehlo_client_event *event)
{
  switch (command->verb) {
  case EHLO_VERB_HELO:
  case EHLO_VERB_EHLO:
  case EHLO_VERB_LHLO: return proceed_hello(client, command, code, event);
  case EHLO_VERB_MAIL:
  case EHLO_VERB_SEND:
  case EHLO_VERB_SOML:
  case EHLO_VERB_SAML: proceed_mail(client, command, code, enhanced, event); break;
  case EHLO_VERB_RCPT: proceed_rcpt(client, command, code, event); break;
  case EHLO_VERB_DATA:
    if (code < 400) {
      ehlo_client_content_begin(client, command, event);
    } else {
      refuse_data(client, code, enhanced, event);
    }
    break;
  case EHLO_VERB_BURL:
  case EHLO_VERB_BDAT: ehlo_client_chunk_answered(client, code, enhanced, event); break;
  case EHLO_VERB_MESSAGE:
  case EHLO_VERB_RESULT: ehlo_client_verdict(client, command, code, enhanced, event); break;
  case EHLO_VERB_RSET: proceed_rset(client, code, enhanced, event); break;
  case EHLO_VERB_QUIT:
    if (client->in_transaction) {
      ehlo_client_end(client, EHLO_END_QUIT, 0, no_enhanced(), event);
    }
    ehlo_client_enter(client, CLIENT_CLOSED);
    break;
  case EHLO_VERB_STARTTLS:
    client->call = client->call_before;
    if (code < 300) {
      ehlo_client_enter(client, CLIENT_TLS);
    }
    break;
  case EHLO_VERB_AUTH: ehlo_client_auth_answered(client, command, code); break;
  case EHLO_VERB_ETRN:
    if (code >= 500) {
      client->offer.set &= ~capability_bit(EHLO_EXT_ETRN); /* it is none after all (RFC 1985 5.2) */
    }
    break;
  case EHLO_VERB_XCLIENT:
    client->call = client->call_before;
    if (code < 300) {
      ehlo_client_forget(client);
    }
    break;
  case EHLO_VERB_ATRN:
  case EHLO_VERB_TURN:
    client->call = client->call_before;
    if (code < 300) {
      ehlo_client_enter(client, CLIENT_TURN);
    }
    break;
  default: break;
  }
  return 0;
}
