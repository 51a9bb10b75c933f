/* secure.c: TLS: whether it is wanted, with whom, and what is done where it fails.
 *
 * SPDX-License-Identifier: MIT
 *
 * With --starttls try TLS is for whoever listens, not for whoever stands in between, who could as well take STARTTLS
 * out of what the server offers: so a certificate that nobody vouches for is better than no TLS (RFC 7435), and where
 * there is no handshake the message goes over a second connection, in clear, as it does where there is no STARTTLS. Who
 * wants more asks for it: --starttls require, --tls. And a login does. */
#include "send.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { HANDSHAKE_TIMEOUT = 60 }; /* seconds */

void secure_prepare(const struct envelope *envelope)
{
  struct secure_settings *secure = &settings.secure;
  int asked = secure->use == TLS_REQUIRE || secure->use == TLS_AT_ONCE || secure->insecure || secure->name != NULL ||
              secure->options.authorities != NULL || secure->options.certificate != NULL;
  if (secure->use == TLS_OFF && asked)
    bad_usage("--starttls off", "then there is no TLS, and no other option can be about it");
  if (secure->options.key != NULL && secure->options.certificate == NULL)
    bad_usage("--tls-key", "it needs --tls-cert");
  if (secure->insecure && secure->options.authorities != NULL)
    bad_usage("--insecure", "then any certificate will do, and there is no use for --cafile");
  if (secure->insecure && envelope->parameters.requiretls)
    bad_usage("--insecure", "--require-tls needs a server that is verified (RFC 8689 4.2.1)");
  if (secure->use == TLS_TRY && !tls_is_there() && !asked)
    secure->use = TLS_OFF;
  if (secure->use == TLS_OFF)
    return;
  secure->options.take_any = secure->insecure || (secure->use == TLS_TRY && !envelope->parameters.requiretls);
  secure->context = tls_client_context(&secure->options);
  if (secure->context == NULL) {
    complain("TLS", tls_error());
    exit(tls_is_there() ? EX_NOINPUT : EX_UNAVAILABLE);
  }
  if (secure->insecure)
    complain("--insecure", "whoever stands between here and the server can read and change everything");
}

void secure_end(void)
{
  if (settings.secure.context != NULL)
    tls_context_free(settings.secure.context);
  settings.secure.context = NULL;
}

int secure_is_due(struct session *session)
{
  if (session->in_clear || (settings.secure.use != TLS_TRY && settings.secure.use != TLS_REQUIRE))
    return 0;
  if (ehlo_client_offers(session->client, EHLO_EXT_STARTTLS))
    return 1;
  if (settings.secure.use == TLS_REQUIRE)
    outcome_say(&session->over, 451, 7, 4, "There is no TLS",
                "the server does not offer STARTTLS (--tls is for ports that begin with TLS)");
  return 0;
}

/* Once is enough for one server. */
static void note(const char *what, const char *why)
{
  static int noted;
  char text[TEXT_SIZE];
  snprintf(text, sizeof text, "%s: %s", what, why);
  if (!noted)
    complain(settings.server, text);
  noted = 1;
}

/* Returns 0, or STREAM_FAILED with tls_error. */
static int shake_hands(struct stream *stream, const char *name)
{
  int64_t deadline = deadline_after(HANDSHAKE_TIMEOUT);
  int error = stream_start_client(stream, settings.secure.context, name);
  if (error != 0)
    return error;
  while ((error = stream_handshake(stream)) == STREAM_WAIT) {
    if (wait_until(stream->fd, stream_events(stream, POLLIN), deadline) == 0) {
      tls_say(NULL, "the server was silent for too long");
      return STREAM_FAILED;
    }
  }
  return error;
}

int secure_begin(struct session *session)
{
  char text[TEXT_SIZE];
  struct stream *stream = &session->stream;
  const char *name = settings.secure.name != NULL ? settings.secure.name : server_name();
  if (shake_hands(stream, name) != 0) {
    const char *doubt = stream->tls == NULL ? NULL : stream_doubt(stream);
    if (doubt == NULL || strcmp(doubt, tls_error()) != 0) {
      snprintf(text, sizeof text, "%s", tls_error());
      outcome_say(&session->over, 451, 7, 5, "TLS failed", text);
    } else {
      snprintf(text, sizeof text, "%s (--cafile FILE says whom to trust, --tls-name NAME whom to expect)", doubt);
      outcome_say(&session->over, 451, 7, 5, "The certificate is not for sure that of the server", text);
    }
    session->tls_failed = 1;
    return 0;
  }
  const char *doubt = stream_doubt(stream);
  if (doubt != NULL && !settings.secure.insecure)
    note("the server may be another, going on with --starttls try", doubt);
  trace_tls(stream_protocol(stream), stream_cipher(stream), doubt);
  return 1;
}

void secure_refused(struct session *session)
{
  if (settings.secure.use == TLS_REQUIRE)
    session->over = session->reply;
  else
    note("STARTTLS was refused, going on in clear", session->reply.text);
}

int secure_falls_back(struct session *session)
{
  if (!session->tls_failed || settings.secure.use != TLS_TRY)
    return 0;
  note("going on in clear", session->over.text);
  session->tls_failed = 0;
  session->in_clear = 1;
  session->over.code = 0;
  return 1;
}
