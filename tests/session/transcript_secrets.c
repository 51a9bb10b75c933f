/* transcript_secrets.c: the events of AUTH and its kin in words that a transcript can expect, and whether a secret that
 * they told is left behind. */
#include "transcript.h"

#include <stdlib.h>
#include <string.h>

/* ---- events --------------------------------------------------------------------------------- */

const char *mechanism_name(uint32_t mechanism)
{
  return mechanism == EHLO_SASL_OTHER ? "OTHER" : ehlo_sasl_name(mechanism);
}

static void print_credentials(struct text *out, const ehlo_event_auth *auth)
{
  text_print(out, " %s", mechanism_name(auth->mechanism));
  print_span(out, "authzid=", auth->authzid);
  print_span(out, "authcid=", auth->authcid);
  print_span(out, "secret=", auth->secret);
  print_span(out, "host=", auth->host);
  if (auth->port != 0) {
    text_print(out, " port=%u", auth->port);
  }
}

static void print_attributes(struct text *out, ehlo_span rest)
{
  ehlo_attribute attribute;
  while (ehlo_attribute_next(&rest, &attribute) == 1) {
    print_span(out, "", attribute.name);
    text_print(out, "=");
    text_add_escaped(out, attribute.value);
  }
}

void print_extension_event(struct text *out, const ehlo_event *event)
{
  switch (event->type) {
  case EHLO_EVENT_AUTH: print_credentials(out, &event->as.auth); break;
  case EHLO_EVENT_STEP:
    text_print(out, " %s", mechanism_name(event->as.step.mechanism));
    print_span(out, "name=", event->as.step.name);
    text_print(out, event->as.step.has_response ? " response=" : " none");
    text_add_escaped(out, event->as.step.response);
    break;
  case EHLO_EVENT_ETRN:
    if (event->as.etrn.option != 0) {
      text_print(out, " option=%c", (int)event->as.etrn.option);
    }
    print_span(out, "node=", event->as.etrn.node);
    break;
  case EHLO_EVENT_ATRN: print_span(out, "domains=", event->as.atrn.domains); break;
  case EHLO_EVENT_BURL:
    print_span(out, "url=", event->as.burl.url);
    text_print(out, "%s recipients=%u octets=%llu", event->as.burl.last ? " last" : "", event->as.burl.recipients,
               (unsigned long long)event->as.burl.octets);
    break;
  case EHLO_EVENT_XCLIENT:
  case EHLO_EVENT_XFORWARD: print_attributes(out, event->as.peer.attributes); break;
  default: break;
  }
}

/* ---- secrets -------------------------------------------------------------------------------- */

/* The shortest that cannot stand somewhere by chance. */
enum { SHORTEST = 4 };

static void add(struct text *secrets, ehlo_span octets)
{
  if (octets.len >= SHORTEST) {
    text_add(secrets, &octets.len, sizeof octets.len);
    text_add(secrets, octets.ptr, octets.len);
  }
}

/* The octets, and their base64. */
static void add_message(struct text *secrets, ehlo_span octets)
{
  size_t room = octets.len / 3 * 4 + 8;
  char *text = malloc(room);
  size_t length;
  if (octets.len > 0 && ehlo_base64_encode(octets, text, room, &length) == EHLO_OK) {
    add(secrets, (ehlo_span){text, length});
  }
  free(text);
  add(secrets, octets);
}

void secrets_add(struct text *secrets, const ehlo_event *event)
{
  const ehlo_event_auth *auth = &event->as.auth;
  if (event->type == EHLO_EVENT_STEP) {
    add_message(secrets, event->as.step.response);
  } else if (event->type == EHLO_EVENT_AUTH && auth->mechanism == EHLO_SASL_LOGIN) {
    add_message(secrets, auth->secret);
  } else if (event->type == EHLO_EVENT_AUTH && auth->mechanism != EHLO_SASL_EXTERNAL) {
    char message[16384];
    size_t length = 0;
    (void)ehlo_sasl_encode(auth, message, sizeof message, &length);
    add_message(secrets, (ehlo_span){message, length});
    add(secrets, auth->secret);
  }
}

int secrets_are_in(const struct text *secrets, const char *octets, size_t size, ehlo_span exempt)
{
  for (size_t at = 0; at < secrets->len;) {
    size_t length;
    memcpy(&length, secrets->ptr + at, sizeof length);
    const char *secret = secrets->ptr + at + sizeof length;
    const char *from = octets;
    const char *found;
    while ((found = memmem(from, (size_t)(octets + size - from), secret, length)) != NULL) {
      if (found < exempt.ptr || found + length > exempt.ptr + exempt.len) {
        return 1;
      }
      from = found + 1;
    }
    at += sizeof length + length;
  }
  return 0;
}
