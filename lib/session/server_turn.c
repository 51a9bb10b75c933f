/* server_turn.c: mail for the client: TURN, ETRN, ATRN. Floor: session. */
#include "server.h"

#include <string.h>

/* Is the whole span a domain, of so many labels at least? */
static int is_domain(ehlo_span text, size_t labels)
{
  ehlo_domain domain;
  size_t used;
  if (ehlo_parse_domain(text, 0, &domain, &used) != EHLO_OK || used != text.len || domain.kind != EHLO_DOMAIN_NAME) {
    return 0;
  }
  return labels < 2 || memchr(text.ptr, '.', text.len) != NULL;
}

void ehlo_command_turn(ehlo_server *server)
{
  ehlo_event event = {.type = EHLO_EVENT_TURN};
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_TURN), &event);
}

/* etrn = "ETRN" SP [option] node-name    option = "@" (and its subdomains) / "#" (a queue) (RFC 1985 5, 5.3) */
void ehlo_command_etrn(ehlo_server *server, ehlo_span argument)
{
  ehlo_event event = {.type = EHLO_EVENT_ETRN, .as.etrn.node = argument};
  if (argument.ptr[0] == '@' || argument.ptr[0] == '#') {
    event.as.etrn.option = (unsigned char)argument.ptr[0];
    event.as.etrn.node = span_from(argument, 1);
  }
  ehlo_span node = event.as.etrn.node;
  int is_queue = event.as.etrn.option == '#';
  int printable = node.len > 0 && span_is(node, CLASS_TEXT) && memchr(node.ptr, ' ', node.len) == NULL &&
                  memchr(node.ptr, '\t', node.len) == NULL;
  if (is_queue ? !printable : !is_domain(node, 1)) {
    ehlo_server_refuse(server, EHLO_VERB_ETRN, EHLO_VIOLATION_SYNTAX, argument, REPLY_SYNTAX);
    return;
  }
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_ETRN), &event);
}

/* atrn = "ATRN" [SP domain *("," domain)]    domain = sub-domain 1*("." sub-domain) (RFC 2645 5.2.1) */
static int are_domains(ehlo_span list)
{
  while (list.len > 0) {
    const char *comma = memchr(list.ptr, ',', list.len);
    size_t length = comma == NULL ? list.len : (size_t)(comma - list.ptr);
    if (!is_domain(span_of(list.ptr, length), 2) || (comma != NULL && length + 1 == list.len)) {
      return 0;
    }
    list = span_from(list, comma == NULL ? length : length + 1);
  }
  return 1;
}

void ehlo_command_atrn(ehlo_server *server, ehlo_span argument)
{
  if (!server->authorized) {
    ehlo_server_refuse(server, EHLO_VERB_ATRN, EHLO_VIOLATION_SEQUENCE, argument, REPLY_AUTH_REQUIRED);
    return;
  }
  if (!are_domains(argument)) {
    ehlo_server_refuse(server, EHLO_VERB_ATRN, EHLO_VIOLATION_SYNTAX, argument, REPLY_SYNTAX);
    return;
  }
  ehlo_event event = {.type = EHLO_EVENT_ATRN, .as.atrn.domains = argument};
  ehlo_slot_ask(server, ehlo_slot_open(server, EHLO_VERB_ATRN), &event);
}
