/* xclient.c: see xclient.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "xclient.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE = 512 };

static int is(const ehlo_attribute *attribute, const char *name)
{
  return ehlo_span_equal_nocase(attribute->name, ehlo_span_of(name));
}

/* Postfix writes "IPV6:" before the one kind of address. */
static int read_address(const char *value, struct ip_address *client)
{
  struct ip_address found;
  if (ip_address_parse(&found, strncasecmp(value, "IPV6:", 5) == 0 ? value + 5 : value) != 0)
    return -1;
  found.port = client->port;
  *client = found;
  return 0;
}

static int read_port(const char *value, struct ip_address *client)
{
  uint64_t port;
  if (ehlo_parse_number(ehlo_span_of(value), 5, &port) != EHLO_OK || port > UINT16_MAX)
    return -1;
  client->port = (uint16_t)port;
  return 0;
}

/* What it says of the client: taken over when all of it makes sense. A name or login of NULL: it was not told; an empty
 * one: there is none. */
struct introduction {
  struct ip_address client;
  char *name, *login;
};

static int keep(char **where, const char *value)
{
  free(*where);
  *where = strdup(value);
  return *where == NULL ? -1 : 0;
}

/* Puts one that was told in place of the one before. */
static void put(char **where, char *told)
{
  if (told == NULL)
    return;
  free(*where);
  *where = told[0] == '\0' ? NULL : told;
  if (*where == NULL)
    free(told);
}

/* A name that is none is not worth a refusal: it stands in the trace alone. */
static int keep_name(struct introduction *told, const char *value)
{
  ehlo_domain domain;
  size_t used;
  ehlo_span text = ehlo_span_of(value);
  int good = ehlo_parse_domain(text, 0, &domain, &used) == EHLO_OK && used == text.len && value[0] != '[';
  return keep(&told->name, good ? value : "");
}

/* HELO, PROTO and the server's own address are known better from elsewhere. */
static int take_one(struct introduction *told, const ehlo_attribute *attribute)
{
  char value[VALUE + 1] = "";
  size_t length = 0;
  if (!ehlo_span_equal_nocase(attribute->value, ehlo_span_of("[UNAVAILABLE]")) &&
      !ehlo_span_equal_nocase(attribute->value, ehlo_span_of("[TEMPUNAVAIL]")) &&
      (ehlo_xtext_decode(attribute->value, value, VALUE, &length) != EHLO_OK || memchr(value, '\0', length) != NULL))
    return -1;
  value[length] = '\0';
  if (is(attribute, "ADDR"))
    return length == 0 ? 0 : read_address(value, &told->client);
  if (is(attribute, "PORT"))
    return length == 0 ? 0 : read_port(value, &told->client);
  if (is(attribute, "NAME"))
    return keep_name(told, value);
  if (is(attribute, "LOGIN"))
    return keep(&told->login, value);
  return 0;
}

int xclient_take(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  ehlo_span rest = event->as.peer.attributes;
  ehlo_attribute attribute;
  struct introduction told = {.client = session->client};
  int good = 1;
  if (!session->trusted)
    return EHLO_HANDLED; /* 550 */
  while (good && ehlo_attribute_next(&rest, &attribute) == 1)
    good = take_one(&told, &attribute) == 0;
  if (!good) {
    free(told.name);
    free(told.login);
    return answer(server, event, 501, "5.5.4", "A value of XCLIENT makes no sense");
  }
  put(&session->client_name, told.name);
  put(&session->vouched, told.login);
  session->introduced = 1;
  session_relist(session, &told.client);
  return answered(ehlo_server_accept(server, event->ticket));
}

/* A peer that has not said yet whom it stands for stands for itself, and is trusted: else it could not say it where a
 * login is needed first. */
void xclient_vouch(const struct session *session, ehlo_server *server)
{
  if (!settings.config[session->place->kind].offer[EHLO_EXT_AUTH])
    return;
  if (session->vouched != NULL || (session->trusted && !session->introduced))
    ehlo_server_authorize(server, ehlo_span_of(session->vouched));
}
