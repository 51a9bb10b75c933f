/* send: gives messages to one SMTP or LMTP server, and tells for each recipient what became of it.
 *
 * SPDX-License-Identifier: MIT
 *
 *     session.c   the dialogue: begin there
 *     secure.c    TLS
 *     auth.c      AUTH; scram.c: what is said in SCRAM
 *     connect.c   where the server is, what this host is called, waiting
 *     message.c   what must be known of a file before it is offered, and its content
 *     report.c    what is told of all that
 *     options.c   the command line
 *     send.c      one message after the other, the exit code */
#include "send.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

struct settings settings;

/* ---- the work ---------------------------------------------------------------------------------------------------- */

/* Returns the exit code. */
static int send_all(struct envelope *envelope, struct message *messages, size_t count)
{
  static struct session session;
  int status = EX_OK;
  session_open(&session);
  for (size_t i = 0; i < count; i++) {
    session_send(&session, envelope, &messages[i]);
    status = report(envelope, status);
  }
  session_close(&session);
  if (session.violation != 0)
    complain(settings.server, ehlo_violation_name(session.violation));
  if (session.locked_out)
    status = EX_NOPERM;
  if (session.broken)
    status = EX_PROTOCOL;
  return output_lost() ? EX_IOERR : status;
}

int main(int argc, char **argv)
{
  program = "send";
  open_standard_descriptors();
  struct envelope envelope = {.recipients = must_allocate((size_t)argc, sizeof *envelope.recipients)};
  ehlo_client_config_init(&settings.config, sizeof settings.config);
  settings.config.convert_lf = 1;
  settings.config.output_size =
      2 * MESSAGE_PIECE + 64; /* a piece fits, whatever is in it: an octet becomes two at most, a chunk has a command */
  settings.timeout = MOST_SECONDS;
  int first = read_options(&envelope, argc, argv);
  settings.progress = isatty(STDERR_FILENO) && !settings.trace;
  settings.config.max_recipients = (uint32_t)envelope.count;

  size_t count = (size_t)(argc - first);
  struct message *messages = must_allocate(count, sizeof *messages);
  for (size_t i = 0; i < count; i++)
    message_examine(&messages[i], argv[first + (int)i]);
  int status = send_all(&envelope, messages, count);
  free(messages);
  free(envelope.recipients);
  auth_end();
  secure_end();
  forget_options();
  return status;
}
