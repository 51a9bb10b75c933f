/* client_services.c: what is neither mail nor its envelope: ETRN, ATRN, XCLIENT, XFORWARD. Floor: session. */
#include "client_draft.h"

#include <string.h>

/* What is no span, or not offered: not even tried, as SEND is after HELO. */
static void check(const ehlo_client *client, struct draft *draft, ehlo_span argument)
{
  if (draft->error != EHLO_OK) {
    return;
  }
  if (span_is_lie(argument)) {
    draft_fail(draft, EHLO_ERR_ARGUMENT);
  } else if (!client_offers(client, ehlo_commands[draft->verb].extension)) {
    draft_fail(draft, EHLO_ERR_NOT_OFFERED);
  }
}

/* ---- ETRN and ATRN ---- */

static int is_domain(ehlo_span text, int with_dot)
{
  ehlo_domain domain;
  size_t used;
  return ehlo_parse_domain(text, 0, &domain, &used) == EHLO_OK && used == text.len && domain.kind == EHLO_DOMAIN_NAME &&
         (!with_dot || memchr(text.ptr, '.', text.len) != NULL);
}

/* etrn = "ETRN" SP [option] node-name    option = "@", and its subdomains / "#", a queue      (RFC 1985 5, 5.3) */
static int is_node(ehlo_span node)
{
  int is_queue = node.len > 0 && node.ptr[0] == '#';
  ehlo_span name = span_from(node, node.len > 0 && (is_queue || node.ptr[0] == '@'));
  if (!is_queue) {
    return is_domain(name, 0);
  }
  for (size_t i = 0; i < name.len; i++) {
    if (name.ptr[i] <= ' ' || name.ptr[i] > '~') {
      return 0;
    }
  }
  return name.len > 0;
}

int ehlo_client_etrn(ehlo_client *client, ehlo_span node, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_ETRN);
  check(client, &draft, node);
  if (draft.error == EHLO_OK && !is_node(node)) {
    draft_fail(&draft, EHLO_ERR_SYNTAX);
  }
  ehlo_client_write_argument(&draft, node, 0);
  return ehlo_client_commit(client, &draft, tag);
}

/* atrn = "ATRN" [SP domain *("," domain)]    domain = sub-domain 1*("." sub-domain)             (RFC 2645 5.2.1) */
static int are_domains(ehlo_span list)
{
  while (list.len > 0) {
    const char *comma = memchr(list.ptr, ',', list.len);
    size_t length = comma == NULL ? list.len : (size_t)(comma - list.ptr);
    if (!is_domain(span_of(list.ptr, length), 1) || length + 1 == list.len) {
      return 0;
    }
    list = span_from(list, comma == NULL ? length : length + 1);
  }
  return 1;
}

int ehlo_client_atrn(ehlo_client *client, ehlo_span domains, uint64_t tag)
{
  struct draft draft = ehlo_client_begin(client, EHLO_VERB_ATRN);
  check(client, &draft, domains);
  if (draft.error == EHLO_OK && !are_domains(domains)) {
    draft_fail(&draft, EHLO_ERR_SYNTAX);
  }
  ehlo_client_write_argument(&draft, domains, 0);
  return ehlo_client_commit_last(client, &draft, tag);
}

/* ---- XCLIENT and XFORWARD ---- */

/* Are these attributes, and all of them in the server's list? */
static int check_attributes(ehlo_span names, ehlo_span list)
{
  ehlo_attribute attribute;
  int result = list.len == 0 ? EHLO_ERR_SYNTAX : 1;
  while (result == 1 && (result = ehlo_attribute_next(&list, &attribute)) == 1) {
    if (!ehlo_offer_lists(names, attribute.name)) {
      return EHLO_ERR_NOT_OFFERED;
    }
  }
  return result;
}

static struct draft with_attributes(ehlo_client *client, uint32_t verb, ehlo_span attributes)
{
  struct draft draft = ehlo_client_begin(client, verb);
  check(client, &draft, attributes);
  if (draft.error == EHLO_OK) {
    ehlo_span names = ehlo_client_parameters(client, ehlo_commands[verb].extension);
    draft_fail(&draft, check_attributes(names, attributes));
  }
  ehlo_client_write_argument(&draft, attributes, 0);
  return draft;
}

int ehlo_client_xclient(ehlo_client *client, ehlo_span attributes, uint64_t tag)
{
  struct draft draft = with_attributes(client, EHLO_VERB_XCLIENT, attributes);
  return ehlo_client_commit_last(client, &draft, tag);
}

int ehlo_client_xforward(ehlo_client *client, ehlo_span attributes, uint64_t tag)
{
  struct draft draft = with_attributes(client, EHLO_VERB_XFORWARD, attributes);
  return ehlo_client_commit(client, &draft, tag);
}
