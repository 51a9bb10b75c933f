/* login.c: see login.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * Whatever is wrong with a login, a name that nobody has or the password, it is told in the same words.
 */
#include "login.h"

#include "passwords.h"
#include "scram.h"

#include <stdlib.h>
#include <string.h>

struct login {
  struct scram scram;
  int steps; /* that the client has made */
};

void login_forget(struct session *session)
{
  if (session->login == NULL)
    return;
  wipe(session->login, sizeof *session->login);
  free(session->login);
  session->login = NULL;
}

static int refuse(ehlo_server *server, uint32_t ticket)
{
  return answered(ehlo_server_reply(server, ticket, 535, "5.7.8", ehlo_span_of("Name or password is wrong")));
}

static int later(ehlo_server *server, uint32_t ticket)
{
  return answered(ehlo_server_reply(server, ticket, 454, "4.7.0", ehlo_span_of("Cannot be checked now")));
}

/* ---- PLAIN and LOGIN --------------------------------------------------------------------------------------------- */

static void on_checked(void *owner, uint32_t ticket, const char *said)
{
  struct session *session = owner;
  session->proving = 0;
  if (said == NULL)
    later(session->server, ticket);
  else if (said[0] == '1' && said[1] == '\0')
    ehlo_server_accept(session->server, ticket);
  else
    refuse(session->server, ticket);
  session_go_on(session);
}

int login_check(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_event_auth *auth = &event->as.auth;
  /* Nobody acts as somebody else. */
  if (auth->authzid.len > 0 &&
      (auth->authzid.len != auth->authcid.len || memcmp(auth->authzid.ptr, auth->authcid.ptr, auth->authcid.len) != 0))
    return refuse(server, event->ticket);
  uint64_t question = passwords_ask(auth->authcid, auth->secret, on_checked, session, event->ticket);
  session->proving = question != 0;
  return question == 0 ? later(server, event->ticket) : answered(ehlo_server_defer(server, event->ticket, question));
}

/* ---- SCRAM ------------------------------------------------------------------------------------------------------- */

int login_step(struct session *session, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_event_step *step = &event->as.step;
  char out[SCRAM_TEXT];
  size_t length = 0;
  if (step->mechanism != EHLO_SASL_SCRAM_SHA_256)
    return answer(server, event, 504, "5.5.4", NULL);
  if (session->login == NULL)
    session->login = calloc(1, sizeof *session->login);
  if (session->login == NULL)
    return later(server, event->ticket);
  if (!step->has_response) /* it wants us to speak first, but SCRAM does not begin that way */
    return answered(ehlo_server_challenge(server, event->ticket, ehlo_span_of(NULL)));
  struct scram *scram = &session->login->scram;
  switch (session->login->steps++) {
  case 0: length = scram_first(scram, step->response, out); break;
  case 1: length = scram_last(scram, step->response, out); break;
  default: /* an empty one: it has seen our signature */
    if (ehlo_server_authorize(server, ehlo_span_of(scram->name)) != EHLO_OK)
      return refuse(server, event->ticket);
    return answered(ehlo_server_accept(server, event->ticket));
  }
  if (length == 0)
    return refuse(server, event->ticket);
  return answered(ehlo_server_challenge(server, event->ticket, (ehlo_span){out, length}));
}
