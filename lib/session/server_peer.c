/* server_peer.c: whom a trusted peer speaks for: XCLIENT and XFORWARD (Postfix). Floor: session. */
#include "server.h"

/* Is it a list of attributes that are all on offer? */
static int attributes_are_good(const ehlo_server *server, ehlo_span list, unsigned names)
{
  ehlo_attribute attribute;
  int result;
  while ((result = ehlo_attribute_next(&list, &attribute)) == 1) {
    if (!ehlo_list_has(ehlo_server_text(server, names), attribute.name)) {
      return 0;
    }
  }
  return result == 0;
}

void ehlo_command_peer(ehlo_server *server, uint32_t verb, ehlo_span argument)
{
  int is_xclient = verb == EHLO_VERB_XCLIENT;
  if (!attributes_are_good(server, argument, is_xclient ? TEXT_XCLIENT : TEXT_XFORWARD)) {
    ehlo_server_refuse(server, verb, EHLO_VIOLATION_SYNTAX, argument, REPLY_SYNTAX);
    return;
  }
  ehlo_event event = {.type = is_xclient ? EHLO_EVENT_XCLIENT : EHLO_EVENT_XFORWARD, .as.peer.attributes = argument};
  ehlo_slot_ask(server, ehlo_slot_open(server, verb), &event);
}

void ehlo_peer_proceed(ehlo_server *server)
{
  ehlo_server_forget(server);
  server->tls_verified = 0; /* the certificate was the peer's, not that of whom it speaks for */
  ehlo_server_hide(server);
  ehlo_server_enter(server, STATE_OPEN);
}
