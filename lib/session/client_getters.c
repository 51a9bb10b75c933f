/* client_getters.c: what can be asked of a session. Floor: session. */
#include "client.h"

int ehlo_client_offers(const ehlo_client *client, uint32_t extension)
{
  return client != NULL && extension < EHLO_EXT_COUNT && client_offers(client, extension);
}

uint64_t ehlo_client_size_limit(const ehlo_client *client)
{
  return client != NULL && client_offers(client, EHLO_EXT_SIZE) ? client->offer.size_limit : 0;
}

uint32_t ehlo_client_hello_verb(const ehlo_client *client)
{
  return client == NULL ? (uint32_t)EHLO_VERB_NONE : client->hello_verb;
}

int ehlo_client_tls(const ehlo_client *client)
{
  return client != NULL && client->tls;
}

int ehlo_client_authenticated(const ehlo_client *client)
{
  return client != NULL && client->authenticated;
}

uint32_t ehlo_client_pending(const ehlo_client *client)
{
  return client == NULL ? 0 : client->count;
}

uint32_t ehlo_client_violation(const ehlo_client *client)
{
  return client == NULL ? 0 : client->violation;
}

/* ---- what the server offers ---- */

ehlo_span ehlo_client_parameters(const ehlo_client *client, uint32_t extension)
{
  return ehlo_client_offers(client, extension) ? ehlo_offer_text(&client->offer, client_area(client, 0), extension)
                                               : span_of(NULL, 0);
}

uint32_t ehlo_client_mechanisms(const ehlo_client *client)
{
  return ehlo_client_offers(client, EHLO_EXT_AUTH) ? client->offer.mechanisms : 0;
}

uint32_t ehlo_client_by_min(const ehlo_client *client)
{
  return ehlo_client_offers(client, EHLO_EXT_DELIVERBY) ? client->offer.by_min : 0;
}

uint32_t ehlo_client_hold_max(const ehlo_client *client)
{
  return ehlo_client_offers(client, EHLO_EXT_FUTURERELEASE) ? client->offer.hold_max : 0;
}

int64_t ehlo_client_hold_until_max(const ehlo_client *client)
{
  return ehlo_client_offers(client, EHLO_EXT_FUTURERELEASE) ? client->offer.hold_until_max : 0;
}

uint32_t ehlo_client_mail_max(const ehlo_client *client)
{
  return client == NULL ? 0 : client->offer.mail_max;
}

uint32_t ehlo_client_rcpt_max(const ehlo_client *client)
{
  return client == NULL ? 0 : client->offer.rcpt_max;
}

uint32_t ehlo_client_rcpt_domain_max(const ehlo_client *client)
{
  return client == NULL ? 0 : client->offer.rcpt_domain_max;
}
