/* auth.c: AUTH: the password, the mechanism, and what is said in it.
 *
 * SPDX-License-Identifier: MIT
 *
 * PLAIN, LOGIN, EXTERNAL, XOAUTH2 and OAUTHBEARER the library leads by itself. For SCRAM and CRAM-MD5 it carries the
 * octets; they are made here. Whoever logs in has to know whom he logs in to, whatever the mechanism: a password that
 * is only proved can still be guessed from the proof. So there has to be TLS, or --allow-plaintext-auth; and where the
 * server proves something, as in SCRAM, a login without that proof is none. After a login that failed nothing is sent,
 * and no other mechanism is tried: it would be a weaker one. */
#define _GNU_SOURCE /* O_CLOEXEC, unsetenv */
#include "send.h"

#include "scram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { MOST_SECRET = 8192 }; /* octets: tokens of OAuth can be long */

static char secret[MOST_SECRET + 1];

/* What the exchange has come to, where it is led here. */
static struct {
  struct scram scram;
  int challenges;
  int verified; /* the server has proved that it knows the password */
} exchange;

/* ---- the password ------------------------------------------------------------------------------------------------ */

static void no_password(const char *name, const char *why)
{
  complain(name, why);
  exit(EX_NOINPUT);
}

static void read_password_file(const char *name)
{
  struct stat status;
  size_t length = 0;
  ssize_t count = 1;
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0)
    no_password(name, strerror(errno));
  if (S_ISREG(status.st_mode) && (status.st_mode & S_IROTH))
    complain(name, "everybody can read the password in it (chmod 600)");
  while (length < MOST_SECRET + 1 && (count = read(fd, secret + length, MOST_SECRET + 1 - length)) != 0) {
    if (count < 0 && errno != EINTR)
      no_password(name, strerror(errno));
    length += count > 0 ? (size_t)count : 0;
  }
  close(fd);
  if (length > 0 && secret[length - 1] == '\n')
    length -= length > 1 && secret[length - 2] == '\r' ? 2 : 1;
  if (length == 0)
    no_password(name, "it is empty; the password is to stand on its only line");
  if (length > MOST_SECRET || memchr(secret, '\n', length) != NULL || memchr(secret, '\0', length) != NULL)
    no_password(name, "it is no password: more than one line, or too long");
  memset(secret + length, 0, sizeof secret - length);
}

/* Takes it from where others can see it: the command line, the environment. */
static void take_password(const char *option, char *from)
{
  size_t length = strlen(from);
  if (length == 0 || length > MOST_SECRET)
    bad_usage(option, "the password is empty, or too long");
  memcpy(secret, from, length + 1);
  wipe(from, length);
}

void auth_prepare(void)
{
  struct auth_settings *auth = &settings.auth;
  char *environment = getenv("SEND_AUTH_PASS");
  int is_external = auth->mechanism == EHLO_SASL_EXTERNAL;
  auth->wanted = auth->user != NULL || auth->mechanism != 0 || auth->pass != NULL || auth->pass_file != NULL;
  if (auth->wanted && auth->user == NULL && !is_external)
    bad_usage("--auth-user", "it is needed for a login");
  if (auth->user != NULL && auth->user[0] == '\0')
    bad_usage("--auth-user", "a name is needed");
  if (auth->pass != NULL && auth->pass_file != NULL)
    bad_usage("--auth-pass", "not together with --auth-pass-file");
  if (is_external && (auth->pass != NULL || auth->pass_file != NULL))
    bad_usage("--auth-mech", "EXTERNAL has no password: the certificate of --tls-cert proves who is there");
  if (auth->pass != NULL)
    take_password("--auth-pass", auth->pass);
  else if (auth->pass_file != NULL)
    read_password_file(auth->pass_file);
  else if (environment != NULL && auth->wanted && !is_external)
    take_password("SEND_AUTH_PASS", environment);
  else if (auth->wanted && !is_external)
    bad_usage("--auth-user", "a password is needed: --auth-pass-file FILE, or SEND_AUTH_PASS in the environment");
  if (environment != NULL)
    wipe(environment, strlen(environment));
  unsetenv("SEND_AUTH_PASS");
  settings.config.allow_plaintext_auth = (uint8_t)auth->in_clear;
  if (!auth->wanted || auth->in_clear)
    return;
  if (settings.secure.use == TLS_OFF)
    bad_usage("--auth-user", "no login in clear but with --allow-plaintext-auth");
  if (settings.secure.use == TLS_TRY)
    settings.secure.use = TLS_REQUIRE;
}

void auth_end(void)
{
  wipe(secret, sizeof secret);
  wipe(&exchange, sizeof exchange);
}

/* ---- the mechanism ----------------------------------------------------------------------------------------------- */

static const uint32_t strongest_first[] = {EHLO_SASL_SCRAM_SHA_256, EHLO_SASL_SCRAM_SHA_1, EHLO_SASL_CRAM_MD5,
                                           EHLO_SASL_PLAIN, EHLO_SASL_LOGIN};

static int is_led_here(uint32_t mechanism)
{
  return mechanism == EHLO_SASL_SCRAM_SHA_256 || mechanism == EHLO_SASL_SCRAM_SHA_1 || mechanism == EHLO_SASL_CRAM_MD5;
}

uint32_t auth_mechanism(const char *name)
{
  uint32_t mechanism = ehlo_sasl_find(ehlo_span_of(name));
  if (mechanism == EHLO_SASL_OTHER || mechanism == EHLO_SASL_SCRAM_SHA_1_PLUS ||
      mechanism == EHLO_SASL_SCRAM_SHA_256_PLUS)
    bad_usage("--auth-mech", "SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN, LOGIN, XOAUTH2, OAUTHBEARER or EXTERNAL is "
                             "needed");
  if (is_led_here(mechanism) && !digest_is_there()) {
    complain("--auth-mech", "this program was built without OpenSSL, which that mechanism needs");
    exit(EX_UNAVAILABLE);
  }
  return mechanism;
}

/* Nothing is sent without the login. */
static void lock_out(struct session *session, uint16_t detail, const char *why)
{
  if (session->over.code == 0)
    outcome_say(&session->over, 554, 7, detail, "Cannot log in", why);
  session->locked_out = 1;
}

/* Returns 0 if there is none that both know. */
static uint32_t choose(struct session *session)
{
  char text[TEXT_SIZE];
  uint32_t offered = ehlo_client_mechanisms(session->client);
  uint32_t named = settings.auth.mechanism;
  if (!ehlo_client_offers(session->client, EHLO_EXT_AUTH)) {
    lock_out(session, 4,
             ehlo_client_tls(session->client) ? "the server does not offer AUTH"
                                              : "the server does not offer AUTH, in clear at least");
    return 0;
  }
  if (named != 0 && (offered >> named & 1))
    return named;
  for (size_t i = 0; i < sizeof strongest_first / sizeof *strongest_first && named == 0; i++) {
    if ((offered >> strongest_first[i] & 1) && (!is_led_here(strongest_first[i]) || digest_is_there()))
      return strongest_first[i];
  }
  ehlo_span all = ehlo_client_parameters(session->client, EHLO_EXT_AUTH);
  snprintf(text, sizeof text, "the server offers %.*s alone (see --auth-mech)", (int)all.len, all.ptr);
  lock_out(session, 4, text);
  return 0;
}

/* ---- the exchange ------------------------------------------------------------------------------------------------ */

static int begin_led_here(struct session *session, uint32_t mechanism)
{
  ehlo_span name = ehlo_span_of(ehlo_sasl_name(mechanism));
  if (mechanism == EHLO_SASL_CRAM_MD5)
    return ehlo_client_auth_begin(session->client, name, NULL, 0);
  enum digest digest = mechanism == EHLO_SASL_SCRAM_SHA_1 ? DIGEST_SHA_1 : DIGEST_SHA_256;
  const char *why = scram_begin(&exchange.scram, digest, ehlo_span_of(settings.auth.user));
  if (why != NULL) {
    lock_out(session, 0, why);
    return EHLO_ERR_REFUSED;
  }
  ehlo_span initial = {exchange.scram.first, exchange.scram.length};
  return ehlo_client_auth_begin(session->client, name, &initial, 0);
}

static int begin_led_by_library(struct session *session, uint32_t mechanism)
{
  ehlo_span user = ehlo_span_of(settings.auth.user);
  ehlo_credentials credentials = {.struct_size = sizeof credentials,
                                  .mechanism = mechanism,
                                  .authcid = user,
                                  .secret = ehlo_span_of(secret),
                                  .port = server_port()};
  if (mechanism == EHLO_SASL_EXTERNAL || mechanism == EHLO_SASL_OAUTHBEARER)
    credentials.authzid = user; /* who is there is told by the certificate or the token; this is whom it acts as */
  if (credentials.port != 0)
    credentials.host = ehlo_span_of(server_name());
  return ehlo_client_auth(session->client, &credentials, 0);
}

int auth_begin(struct session *session)
{
  session->mechanism = choose(session);
  if (session->mechanism == 0)
    return EHLO_ERR_REFUSED;
  if (!ehlo_client_tls(session->client) && !settings.auth.in_clear) {
    lock_out(session, 11, "there is no TLS, and --allow-plaintext-auth was not given");
    return EHLO_ERR_REFUSED;
  }
  wipe(&exchange, sizeof exchange);
  int here = is_led_here(session->mechanism);
  int error = here ? begin_led_here(session, session->mechanism) : begin_led_by_library(session, session->mechanism);
  if (error != EHLO_OK) {
    lock_out(session, error == EHLO_ERR_TLS ? 11 : 0, ehlo_strerror(error));
    return EHLO_ERR_REFUSED;
  }
  trace_secret("AUTH", ehlo_sasl_name(session->mechanism));
  session->secret = 1;
  return EHLO_OK;
}

/* The challenge under the password, in hexadecimal, behind the name: RFC 2195 2. */
static const char *answer_cram(ehlo_span challenge, char *message, size_t *length)
{
  uint8_t proof[DIGEST_MOST];
  if (!digest_hmac(DIGEST_MD5, ehlo_span_of(secret), &challenge, 1, proof))
    return "MD5 cannot be computed on this system";
  int written = snprintf(message, SCRAM_MESSAGE, "%s ", settings.auth.user);
  if (written < 0 || (size_t)written + 33 > SCRAM_MESSAGE)
    return "the user's name is too long";
  for (size_t i = 0; i < digest_size(DIGEST_MD5); i++)
    written += sprintf(message + written, "%02x", proof[i]);
  *length = (size_t)written;
  return NULL;
}

/* Makes the response. Returns NULL, or why there can be none. */
static const char *make_response(uint32_t mechanism, ehlo_span challenge, char *message, size_t *length)
{
  int number = exchange.challenges++;
  *length = 0;
  if (mechanism == EHLO_SASL_CRAM_MD5 && number == 0)
    return answer_cram(challenge, message, length);
  if (mechanism == EHLO_SASL_CRAM_MD5 || number > 1)
    return "the server asks for more than the mechanism has";
  if (number == 0)
    return scram_prove(&exchange.scram, challenge, ehlo_span_of(secret), message, length);
  if (challenge.len >= 2 && memcmp(challenge.ptr, "e=", 2) == 0)
    return NULL; /* its refusal follows */
  const char *why = scram_check(&exchange.scram, challenge);
  exchange.verified = why == NULL;
  return why;
}

void auth_challenge(struct session *session, const ehlo_client_event_challenge *challenge)
{
  static char message[SCRAM_MESSAGE];
  size_t length;
  trace_line(ehlo_span_of("334 (a challenge)"));
  session->secret = 1;
  if (!challenge->answered) {
    const char *why = make_response(session->mechanism, challenge->octets, message, &length);
    int error =
        why == NULL ? ehlo_client_auth_respond(session->client, (ehlo_span){message, length}) : EHLO_ERR_REFUSED;
    wipe(message, sizeof message);
    if (error != EHLO_OK) {
      lock_out(session, 0, why == NULL ? ehlo_strerror(error) : why);
      ehlo_client_auth_cancel(session->client);
    }
  }
  trace_secret("a response", NULL);
}

void auth_reply(struct session *session)
{
  uint32_t code = session->reply.code;
  int is_scram = is_led_here(session->mechanism) && session->mechanism != EHLO_SASL_CRAM_MD5;
  wipe(&exchange.scram, sizeof exchange.scram);
  if (code >= 400) {
    session->locked_out |= ehlo_reply_is_permanent(code);
    if (session->over.code == 0)
      session->over = session->reply;
  } else if (is_scram && !exchange.verified) {
    lock_out(session, 0, "the server did not show that it knows the password");
  }
}
