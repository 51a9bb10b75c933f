/* tls_openssl.c: TLS by OpenSSL 3. See tls.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * OpenSSL keeps a queue of errors for each thread, and looks into it to tell what a call came to: what one connection
 * left there would be taken for another's. So the queue is empty before each call, and emptied when a call failed. */
#define _POSIX_C_SOURCE 200809L
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/* The first error of the queue is the cause; those behind it say what could not be done because of it. */
static const char *drain(void)
{
  unsigned long error = ERR_get_error();
  ERR_clear_error();
  if (error == 0)
    return "OpenSSL does not say why";
  if (ERR_SYSTEM_ERROR(error))
    return strerror(ERR_GET_REASON(error));
  const char *reason = ERR_reason_error_string(error);
  return reason == NULL ? "OpenSSL has no words for it" : reason;
}

static int passphrase_wanted; /* for the key that was read last */

static const char *drain_of_file(int is_key)
{
  unsigned long error = ERR_peek_error();
  int is_other = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (is_key) /* it found things in PEM, but none that it could use */
    is_other |= ERR_GET_LIB(error) == ERR_LIB_OSSL_DECODER && ERR_GET_REASON(error) == ERR_R_UNSUPPORTED;
  if (is_other) {
    ERR_clear_error();
    return is_key ? "there is no private key in PEM in it" : "there is no certificate in PEM in it";
  }
  if (is_key && passphrase_wanted) {
    ERR_clear_error();
    return "it is encrypted; a key without a passphrase is needed (openssl pkey -in OLD -out NEW)";
  }
  return drain();
}

/* ---- contexts ---------------------------------------------------------------------------------------------------- */

int tls_is_there(void)
{
  return 1;
}

/* Nobody is there to be asked. */
static int no_passphrase(char *buffer, int size, int is_writing, void *user)
{
  (void)buffer, (void)size, (void)is_writing, (void)user;
  passphrase_wanted = 1;
  return -1;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
  ERR_clear_error();
  SSL_CTX *context = SSL_CTX_new(method);
  if (context == NULL) {
    tls_say("TLS", drain());
    return NULL;
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  /* No connection is resumed out of the memory of this process; servers give tickets, and clients keep none. */
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  signal(SIGPIPE, SIG_IGN);
  return context;
}

static int load_own(SSL_CTX *context, const char *certificate, const char *key)
{
  if (key == NULL)
    key = certificate;
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
    tls_say(certificate, drain_of_file(0));
    return 0;
  }
  passphrase_wanted = 0;
  /* It compares the two as well. */
  if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1)
    return 1;
  unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) == ERR_LIB_X509 && ERR_GET_REASON(error) == X509_R_KEY_VALUES_MISMATCH) {
    ERR_clear_error();
    tls_say(key, "this is not the key of the first certificate in the file of certificates");
  } else {
    tls_say(key, drain_of_file(1));
  }
  return 0;
}

static int load_authorities(SSL_CTX *context, const char *file)
{
  ERR_clear_error();
  if (file == NULL ? SSL_CTX_set_default_verify_paths(context) == 1 : SSL_CTX_load_verify_file(context, file) == 1)
    return 1;
  if (ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509) { /* it found none: X509_R_NO_CERTIFICATE_OR_CRL_FOUND */
    ERR_clear_error();
    tls_say(file, "there is no certificate in PEM in it");
  } else {
    tls_say(file == NULL ? "the certificates that the system trusts" : file, drain_of_file(0));
  }
  return 0;
}

static tls_context *made(SSL_CTX *context, int good)
{
  if (good)
    return context;
  SSL_CTX_free(context);
  return NULL;
}

tls_context *tls_client_context(const struct tls_client_options *options)
{
  SSL_CTX *context = new_context(TLS_client_method());
  if (context == NULL)
    return NULL;
  SSL_CTX_set_verify(context, options->take_any ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
  /* A file of authorities may name one certificate and no more: that of the server, or of who issued it. */
  if (options->authorities != NULL)
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  return made(context, load_authorities(context, options->authorities) &&
                           (options->certificate == NULL || load_own(context, options->certificate, options->key)));
}

/* A client with a certificate of no use is a client without one: the handshake goes on, stream_doubt tells. */
static int take_any(int good, X509_STORE_CTX *store)
{
  (void)good, (void)store;
  return 1;
}

static int ask_for_certificate(SSL_CTX *context, const char *authorities)
{
  static const unsigned char purpose[] = "ehlo"; /* without one OpenSSL resumes no session of who showed one */
  STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(authorities);
  if (names == NULL || !load_authorities(context, authorities)) {
    if (names == NULL)
      tls_say(authorities, drain_of_file(0));
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return 0;
  }
  SSL_CTX_set_client_CA_list(context, names);
  SSL_CTX_set_session_id_context(context, purpose, sizeof purpose - 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, take_any);
  return 1;
}

tls_context *tls_server_context(const struct tls_server_options *options)
{
  SSL_CTX *context = new_context(TLS_server_method());
  if (context == NULL)
    return NULL;
  SSL_CTX_set_dh_auto(context, 1);
  return made(context, load_own(context, options->certificate, options->key) &&
                           (options->authorities == NULL || ask_for_certificate(context, options->authorities)));
}

void tls_context_free(tls_context *context)
{
  SSL_CTX_free(context);
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

static int begin(struct stream *stream, SSL_CTX *context)
{
  ERR_clear_error();
  stream->broken = 0;
  stream->tls = SSL_new(context);
  if (stream->tls != NULL && SSL_set_fd(stream->tls, stream->fd) == 1)
    return 0;
  tls_say("TLS", drain());
  return STREAM_FAILED;
}

int stream_start_server(struct stream *stream, tls_context *context)
{
  if (begin(stream, context) != 0)
    return STREAM_FAILED;
  SSL_set_accept_state(stream->tls);
  return 0;
}

/* The server is told the name as well, for it may have more than one; an address is none, and the dot at the end is no
 * part of it (RFC 6066 3). */
static int expect(SSL *tls, const char *name)
{
  char host[256];
  size_t length = strlen(name);
  if (length == 0 || length >= sizeof host)
    return 0;
  memcpy(host, name, length + 1);
  if (host[length - 1] == '.')
    host[length - 1] = '\0';
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) == 1)
    return 1;
  ERR_clear_error();
  SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return host[0] != '\0' && SSL_set1_host(tls, host) == 1 && SSL_set_tlsext_host_name(tls, host) == 1;
}

int stream_start_client(struct stream *stream, tls_context *context, const char *name)
{
  if (begin(stream, context) != 0)
    return STREAM_FAILED;
  SSL_set_connect_state(stream->tls);
  if (expect(stream->tls, name))
    return 0;
  ERR_clear_error();
  tls_say(name, "no server can have a certificate for such a name");
  return STREAM_FAILED;
}

/* ---- what calls come to ------------------------------------------------------------------------------------------ */

static const char *explain(const struct stream *stream, unsigned long error)
{
  long verified = SSL_get_verify_result(stream->tls);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL)
    return NULL;
  switch (ERR_GET_REASON(error)) {
  case SSL_R_CERTIFICATE_VERIFY_FAILED: return X509_verify_cert_error_string(verified);
  case SSL_R_WRONG_VERSION_NUMBER: return "what the peer says is no TLS; is this a port for TLS from the beginning?";
  case SSL_R_UNSUPPORTED_PROTOCOL:
  case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION: return "the peer has no TLS 1.2, nor a later one";
  default: return NULL;
  }
}

/* `result` is what the call returned, 0 or less. Returns 0 for the end. */
static int without_octets(struct stream *stream, int result, short *event)
{
  int system_error = errno;
  int kind = SSL_get_error(stream->tls, result);
  switch (kind) {
  case SSL_ERROR_WANT_READ: *event = POLLIN; return STREAM_WAIT;
  case SSL_ERROR_WANT_WRITE: *event = POLLOUT; return STREAM_WAIT;
  case SSL_ERROR_ZERO_RETURN: return 0;
  default: break;
  }
  stream->broken = 1;
  const char *why = explain(stream, ERR_peek_error());
  if (why == NULL && kind == SSL_ERROR_SYSCALL && ERR_peek_error() == 0)
    why = system_error == 0 ? "closed by the peer" : strerror(system_error);
  tls_say(NULL, why == NULL ? drain() : why);
  ERR_clear_error();
  return STREAM_FAILED;
}

int stream_handshake(struct stream *stream)
{
  ERR_clear_error();
  errno = 0;
  int result = SSL_do_handshake(stream->tls);
  if (result == 1) {
    stream->read_event = POLLIN;
    stream->write_event = POLLOUT;
    return 0;
  }
  result = without_octets(stream, result, &stream->read_event);
  if (result == STREAM_WAIT)
    return STREAM_WAIT;
  if (result == 0)
    tls_say(NULL, "closed by the peer");
  stream->broken = 1;
  return STREAM_FAILED;
}

ssize_t tls_read(struct stream *stream, void *buffer, size_t size)
{
  size_t count;
  ERR_clear_error();
  errno = 0;
  int result = SSL_read_ex(stream->tls, buffer, size, &count);
  stream->read_event = POLLIN;
  return result == 1 ? (ssize_t)count : without_octets(stream, result, &stream->read_event);
}

ssize_t tls_write(struct stream *stream, const void *octets, size_t size)
{
  size_t count;
  ERR_clear_error();
  errno = 0;
  int result = SSL_write_ex(stream->tls, octets, size, &count);
  stream->write_event = POLLOUT;
  if (result == 1)
    return (ssize_t)count;
  result = without_octets(stream, result, &stream->write_event);
  if (result == 0)
    tls_say(NULL, "closed by the peer");
  return result == 0 ? STREAM_FAILED : result;
}

/* It is enough to have said it; what the peer says to that nobody waits for (RFC 8446 6.1). */
int tls_goodbye(struct stream *stream)
{
  ERR_clear_error();
  int result = SSL_in_init(stream->tls) ? 1 : SSL_shutdown(stream->tls);
  if (result >= 0)
    return 0;
  return without_octets(stream, result, &stream->write_event) == STREAM_WAIT ? STREAM_WAIT : 0;
}

void tls_end(struct stream *stream)
{
  SSL_free(stream->tls);
  stream->tls = NULL;
}

int stream_pending(const struct stream *stream)
{
  return stream->tls != NULL && SSL_pending(stream->tls) > 0;
}

/* ---- what is there ----------------------------------------------------------------------------------------------- */

const char *stream_protocol(const struct stream *stream)
{
  return stream->tls == NULL ? NULL : SSL_get_version(stream->tls);
}

const char *stream_cipher(const struct stream *stream)
{
  return stream->tls == NULL ? NULL : SSL_CIPHER_standard_name(SSL_get_current_cipher(stream->tls));
}

const char *stream_doubt(const struct stream *stream)
{
  if (stream->tls == NULL)
    return "there is no TLS";
  long verified = SSL_get_verify_result(stream->tls); /* OK, too, where there was nothing to verify */
  if (verified != X509_V_OK)
    return X509_verify_cert_error_string(verified);
  return SSL_get0_peer_certificate(stream->tls) == NULL ? "no certificate was shown" : NULL;
}

const char *stream_peer(const struct stream *stream, char *buffer, size_t size)
{
  X509 *certificate = stream->tls == NULL ? NULL : SSL_get0_peer_certificate(stream->tls);
  BIO *text = certificate == NULL ? NULL : BIO_new(BIO_s_mem());
  if (text == NULL || size == 0)
    return NULL;
  char *octets;
  X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  long count = BIO_get_mem_data(text, &octets);
  size_t length = count > 0 && (size_t)count < size ? (size_t)count : count > 0 ? size - 1 : 0;
  memcpy(buffer, octets, length);
  buffer[length] = '\0';
  BIO_free(text);
  return buffer;
}
