/* client_burl.c: BURL, content that the server fetches (RFC 4468). Floor: session.
 *
 * The one that ends a message stands in the queue as MESSAGE, as the end of any content does; the others are chunks.
 */
#include "client_draft.h"

#include <string.h>

/* Is it one, and nothing behind it? */
static int is_url(ehlo_span text)
{
  ehlo_span url;
  uint32_t last;
  return ehlo_parse_burl(text, &url, &last) == EHLO_OK && !last && url.len == text.len;
}

static void write_burl(struct writer *writer, ehlo_span url, int last)
{
  write_octet(writer, ' ');
  write_span(writer, url);
  write_string(writer, last ? " LAST" : "");
}

/* Nothing is called before the verdict has come (RFC 4468 3.2). */
static void wait_for_verdict(ehlo_client *client)
{
  client->call = CALL_WAIT;
  client->call_before = CALL_IDLE;
}

/* Between chunks, or in their place. */
static int burl_in_content(ehlo_client *client, ehlo_span url, int last, uint64_t tag)
{
  char line[COMMAND_LINE_MAX];
  struct writer writer = writer_on(line, sizeof line);
  if (client->broken != EHLO_OK) {
    return client->broken;
  }
  if (client->chunk.after_cr && !client->call_binary) {
    return EHLO_ERR_BARE_NEWLINE;
  }
  write_string(&writer, "BURL");
  write_burl(&writer, url, last);
  write_string(&writer, "\r\n");
  if (writer.length > sizeof line) {
    return EHLO_ERR_TOO_LONG;
  }
  ehlo_client_make_room(client);
  client->ending = last && !client_offers(client, EHLO_EXT_PIPELINING);
  if (!ehlo_client_chunk_can_go(client) || output_room(&client->output) < writer.length) {
    return EHLO_ERR_SPACE;
  }
  ehlo_span text = span_of(line, writer.length);
  client->gathered = 0;
  if (last) {
    ehlo_client_end_content(client, COMMAND_CHUNKS | COMMAND_BURL, tag, &text, 1);
    wait_for_verdict(client);
    return EHLO_OK;
  }
  memcpy(client_part(client, client->output_at) + client->output.tail, text.ptr, text.len);
  client->at_line_begin = 1; /* what the URL gives is complete in itself */
  client->chunks++;
  client->epoch++;
  ehlo_client_queue(client, EHLO_VERB_BURL, 0, tag, text.len);
  return EHLO_OK;
}

int ehlo_client_burl(ehlo_client *client, ehlo_span url, int last, uint64_t tag)
{
  if (client == NULL || span_is_lie(url)) {
    return EHLO_ERR_ARGUMENT;
  }
  int in_content = client->state == CLIENT_GREETED && client->call == CALL_CONTENT && client->by_chunks;
  struct draft draft = {.verb = EHLO_VERB_BURL};
  if (!in_content) {
    draft = ehlo_client_begin(client, EHLO_VERB_BURL);
    ehlo_client_check_content(client, &draft);
    draft_fail(&draft, last && !client->call_resumed ? EHLO_OK : EHLO_ERR_STATE);
  }
  draft_fail(&draft, client_is_lmtp(client) ? EHLO_ERR_STATE : EHLO_OK);
  draft_fail(&draft, client_offers(client, EHLO_EXT_BURL) ? EHLO_OK : EHLO_ERR_NOT_OFFERED);
  draft_fail(&draft, is_url(url) ? EHLO_OK : EHLO_ERR_SYNTAX);
  if (draft.error != EHLO_OK) {
    return draft.error;
  }
  if (in_content) {
    return burl_in_content(client, url, last, tag);
  }
  write_burl(&draft.writer, url, 1);
  draft.verb = EHLO_VERB_MESSAGE;
  draft.flags = COMMAND_BURL;
  int result = ehlo_client_commit(client, &draft, tag);
  if (result == EHLO_OK) {
    wait_for_verdict(client);
  }
  return result;
}
