/* offer.c: what the client is offered: what the next hop offers, as far as it can be carried through. And what the next
 * hop is told of the client.
 *
 * SPDX-License-Identifier: MIT
 *
 * PIPELINING and CHUNKING are between each two hosts, and so offered whatever the next hop has. */
#include "proxy.h"

#include <string.h>

/* Those that are carried by passing on what MAIL and RCPT say. */
static const uint32_t carried[] = {
    EHLO_EXT_SIZE,          EHLO_EXT_8BITMIME,    EHLO_EXT_ENHANCEDSTATUSCODES,
    EHLO_EXT_SMTPUTF8,      EHLO_EXT_DSN,         EHLO_EXT_BINARYMIME,
    EHLO_EXT_DELIVERBY,     EHLO_EXT_MT_PRIORITY, EHLO_EXT_RRVS,
    EHLO_EXT_NO_SOLICITING, EHLO_EXT_MTRK,        EHLO_EXT_SUBMITTER,
    EHLO_EXT_CONPERM,       EHLO_EXT_CONNEG,      EHLO_EXT_EXPN,
    EHLO_EXT_VRFY,
};

enum { CARRIED = sizeof carried / sizeof *carried };

/* AUTH by mechanisms that are one message: it can be said again. Under TLS on both sides alone, and to nobody who could
 * be somebody else: a password is in it. */
static uint32_t mechanisms(const struct session *session)
{
  uint32_t simple = 1U << EHLO_SASL_PLAIN | 1U << EHLO_SASL_LOGIN;
  return settings.front_context != NULL && stream_doubt(&session->next.stream) == NULL
             ? ehlo_client_mechanisms(session->client) & simple
             : 0;
}

static void limit(uint32_t *value, uint32_t most)
{
  if (most != 0 && (*value == 0 || most < *value))
    *value = most;
}

/* What the next hop says behind a keyword need not be what may stand there; then it cannot be passed on. */
static void tell(ehlo_server_config *config, uint32_t extension, ehlo_span *text, const ehlo_client *client)
{
  *text = ehlo_client_parameters(client, extension);
  if (ehlo_server_size(config) != 0)
    return;
  *text = ehlo_span_of(NULL);
  config->offer[extension] = 0;
}

void offer_make(const struct session *session, ehlo_server_config *config)
{
  const ehlo_client *client = session->client;
  *config = settings.server;
  if (client == NULL)
    return; /* there is nothing to offer, and nobody to offer it to */
  for (size_t i = 0; i < CARRIED; i++)
    config->offer[carried[i]] = (uint8_t)ehlo_client_offers(client, carried[i]);
  if (!config->offer[EHLO_EXT_8BITMIME])
    config->offer[EHLO_EXT_SMTPUTF8] = config->offer[EHLO_EXT_BINARYMIME] = 0;
  if (!ehlo_client_offers(client, EHLO_EXT_CHUNKING))
    config->offer[EHLO_EXT_BINARYMIME] = 0;
  if (config->protocol == EHLO_PROTOCOL_LMTP)
    config->offer[EHLO_EXT_ENHANCEDSTATUSCODES] = 1;
  uint64_t size = ehlo_client_size_limit(client);
  if (size != 0 && (config->max_message_size == 0 || size < config->max_message_size))
    config->max_message_size = size;
  config->offer[EHLO_EXT_SIZE] |= config->max_message_size != 0;
  config->deliver_by_min = ehlo_client_by_min(client);
  config->offer[EHLO_EXT_LIMITS] = (uint8_t)ehlo_client_offers(client, EHLO_EXT_LIMITS);
  limit(&config->max_transactions, ehlo_client_mail_max(client));
  limit(&config->max_recipients, ehlo_client_rcpt_max(client));
  config->max_rcpt_domains = ehlo_client_rcpt_domain_max(client);
  /* Who demands TLS all the way is to know that the next step is one, and to whom it is. */
  config->offer[EHLO_EXT_REQUIRETLS] = settings.front_context != NULL &&
                                       ehlo_client_offers(client, EHLO_EXT_REQUIRETLS) &&
                                       stream_doubt(&session->next.stream) == NULL;
  config->offer[EHLO_EXT_STARTTLS] = settings.front_context != NULL;
  config->mechanisms = mechanisms(session);
  config->offer[EHLO_EXT_AUTH] = config->mechanisms != 0;
  tell(config, EHLO_EXT_MT_PRIORITY, &config->priority_policy, client);
  tell(config, EHLO_EXT_NO_SOLICITING, &config->solicit, client);
}

void offer_narrow(const struct session *session)
{
  for (size_t i = 0; i < CARRIED; i++) {
    if (!ehlo_client_offers(session->client, carried[i]))
      ehlo_server_offer(session->server, carried[i], 0); /* where that is not possible, or was so before: an error */
  }
  if (mechanisms(session) == 0)
    ehlo_server_offer(session->server, EHLO_EXT_AUTH, 0);
}

/* ---- who the client is ------------------------------------------------------------------------------------------- */

struct list {
  char text[480];
  size_t length;
  ehlo_span listed; /* by the next hop */
};

static int is_listed(const struct list *list, const char *name)
{
  size_t length = strlen(name);
  for (size_t at = 0; at + length <= list->listed.len; at++) {
    const char *word = list->listed.ptr + at;
    if ((at == 0 || word[-1] == ' ') && (at + length == list->listed.len || word[length] == ' ') &&
        ehlo_span_equal_nocase((ehlo_span){word, length}, ehlo_span_of(name)))
      return 1;
  }
  return 0;
}

static void add(struct list *list, const char *name, ehlo_span value)
{
  char encoded[800];
  size_t length;
  if (value.len == 0)
    value = ehlo_span_of("[UNAVAILABLE]");
  if (!is_listed(list, name) || value.len > 255 ||
      ehlo_xtext_encode(value, encoded, sizeof encoded, &length) != EHLO_OK ||
      list->length + strlen(name) + length + 3 > sizeof list->text)
    return;
  list->length += (size_t)snprintf(list->text + list->length, sizeof list->text - list->length, "%s%s=%.*s",
                                   list->length > 0 ? " " : "", name, (int)length, encoded);
}

static void describe(const struct session *session, struct list *list, uint32_t extension, ehlo_span hello)
{
  char number[16];
  unsigned port;
  const char *address = session_client(session, &port);
  list->length = 0;
  list->listed = ehlo_client_parameters(session->client, extension);
  snprintf(number, sizeof number, "%u", port);
  add(list, "NAME", ehlo_span_of(NULL));
  add(list, "ADDR", ehlo_span_of(address));
  add(list, "PORT", ehlo_span_of(port == 0 ? NULL : number));
  add(list, "PROTO",
      ehlo_span_of(settings.server.protocol == EHLO_PROTOCOL_LMTP              ? "LMTP"
                   : ehlo_server_hello_verb(session->server) == EHLO_VERB_HELO ? "SMTP"
                                                                               : "ESMTP"));
  add(list, "HELO", hello);
  if (extension == EHLO_EXT_XFORWARD)
    add(list, "SOURCE", ehlo_span_of("REMOTE"));
}

int offer_xclient(struct session *session, ehlo_span hello, uint64_t tag)
{
  struct list list;
  describe(session, &list, EHLO_EXT_XCLIENT, hello);
  return ehlo_client_xclient(session->client, (ehlo_span){list.text, list.length}, tag);
}

int offer_xforward(struct session *session)
{
  struct list list;
  describe(session, &list, EHLO_EXT_XFORWARD, ehlo_server_hello(session->server));
  return list.length == 0 ? EHLO_OK : ehlo_client_xforward(session->client, (ehlo_span){list.text, list.length}, 0);
}
