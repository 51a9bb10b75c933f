/* content.c: messages, on their way through. Nothing is kept of them but what the next hop has not taken yet, which is
 * never more than one piece: until it is gone the client is not listened to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "proxy.h"

#include <string.h>

static void fail(struct session *session, int error)
{
  struct answer answer;
  if (error == EHLO_ERR_8BITMIME)
    answer_say(&answer, 554, 6, 3, "The next hop takes no octets above 127");
  else if (error == EHLO_ERR_BARE_NEWLINE)
    answer_say(&answer, 554, 6, 0, "The message has a line that does not end in CRLF");
  else
    answer_say(&answer, 451, 3, 0, "The message could not be passed on");
  session->spill_size = 0;
  session->paused = 0;
  front_verdict(session, &answer);
  ehlo_client_body_abort(session->client);
}

void content_begin(struct session *session)
{
  struct answer answer;
  session->stage = STAGE_ASKED;
  if (session->client != NULL && ehlo_client_data(session->client, session->mail_tag) == EHLO_OK)
    return;
  session->stage = STAGE_NONE;
  answer_say(&answer, 451, 3, 0, "The next hop cannot be given a message now");
  front_verdict(session, &answer);
}

static void keep(struct session *session, ehlo_span span)
{
  memcpy(session->spill + session->spill_size, span.ptr, span.len); /* what comes of one feed fits */
  session->spill_size += span.len;
}

int content_take(struct session *session, const ehlo_event_body *body)
{
  /* By BDAT each call makes a chunk, so small pieces are put together. */
  int direct = session->stage == STAGE_OPEN && session->spill_size == 0 &&
               (body->count == 1 || settings.client.chunking != EHLO_CHUNKING_ALWAYS);
  for (size_t i = 0; i < body->count; i++) {
    ehlo_span span = body->spans[i];
    size_t taken = 0;
    int error = direct ? ehlo_client_body(session->client, span.ptr, span.len, &taken) : EHLO_OK;
    if (error != EHLO_OK && error != EHLO_ERR_SPACE && error != EHLO_ERR_REFUSED) {
      fail(session, error);
      return 1;
    }
    if (error == EHLO_ERR_REFUSED)
      return 1; /* a chunk was; its reply is on its way, or was told */
    if (taken < span.len) {
      direct = 0;
      keep(session, (ehlo_span){span.ptr + taken, span.len - taken});
    }
  }
  return session->spill_size == 0;
}

/* Returns 1 if something was given. */
static int push_spill(struct session *session)
{
  size_t taken;
  int error = ehlo_client_body(session->client, session->spill + session->spill_from,
                               session->spill_size - session->spill_from, &taken);
  session->spill_from += taken;
  if (error == EHLO_ERR_REFUSED)
    session->spill_from = session->spill_size;
  if (session->spill_from == session->spill_size)
    session->spill_from = session->spill_size = 0;
  if (error == EHLO_OK || error == EHLO_ERR_SPACE || error == EHLO_ERR_REFUSED)
    return taken > 0 || session->spill_size == 0;
  fail(session, error);
  return 1;
}

static int push_end(struct session *session)
{
  int error = ehlo_client_body_end(session->client);
  if (error == EHLO_ERR_SPACE)
    return 0;
  session->end_due = 0;
  if (error == EHLO_OK)
    session->stage = STAGE_ENDED;
  else if (error != EHLO_ERR_REFUSED)
    fail(session, error);
  return 1;
}

int content_push(struct session *session)
{
  if (session->stage != STAGE_OPEN)
    return 0;
  if (session->spill_size == 0 && session->file_at < session->file_size && session->end_due && !filter_read(session)) {
    fail(session, EHLO_ERR_STATE);
    return 1;
  }
  if (session->spill_size > 0)
    return push_spill(session);
  if (session->paused) {
    session->paused = 0;
    ehlo_server_resume(session->server, session->message_ticket);
    return 1;
  }
  return session->end_due ? push_end(session) : 0;
}

void content_forget(struct session *session)
{
  /* The next hop must not take a half for the whole: only the end of the connection makes sure of that. */
  if (session->client != NULL && (session->stage == STAGE_ASKED || session->stage == STAGE_OPEN))
    ehlo_client_body_abort(session->client);
  filter_forget(session);
  session->stage = STAGE_NONE;
  session->in_content = session->paused = session->end_due = 0;
  session->spill_from = session->spill_size = 0;
  session->data_ticket = session->message_ticket = 0;
  session->result_count = session->results_answered = 0;
  session->early.code = 0;
}
