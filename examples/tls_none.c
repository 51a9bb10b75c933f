/* tls_none.c: in place of tls_openssl.c where OpenSSL was not found: there is no TLS. See tls.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "tls.h"

static const char none[] = "this program was built without TLS: install OpenSSL 3 with its headers and build it anew";

int tls_is_there(void)
{
  return 0;
}

tls_context *tls_client_context(const struct tls_client_options *options)
{
  (void)options;
  tls_say(NULL, none);
  return NULL;
}

tls_context *tls_server_context(const struct tls_server_options *options)
{
  (void)options;
  tls_say(NULL, none);
  return NULL;
}

void tls_context_free(tls_context *context)
{
  (void)context;
}

int stream_start_client(struct stream *stream, tls_context *context, const char *name)
{
  (void)stream, (void)context, (void)name;
  tls_say(NULL, none);
  return STREAM_FAILED;
}

int stream_start_server(struct stream *stream, tls_context *context)
{
  (void)stream, (void)context;
  tls_say(NULL, none);
  return STREAM_FAILED;
}

int stream_handshake(struct stream *stream)
{
  (void)stream;
  return STREAM_FAILED;
}

ssize_t tls_read(struct stream *stream, void *buffer, size_t size)
{
  (void)stream, (void)buffer, (void)size;
  return STREAM_FAILED;
}

ssize_t tls_write(struct stream *stream, const void *octets, size_t size)
{
  (void)stream, (void)octets, (void)size;
  return STREAM_FAILED;
}

int tls_goodbye(struct stream *stream)
{
  (void)stream;
  return 0;
}

void tls_end(struct stream *stream)
{
  (void)stream;
}

int stream_pending(const struct stream *stream)
{
  (void)stream;
  return 0;
}

const char *stream_protocol(const struct stream *stream)
{
  (void)stream;
  return NULL;
}

const char *stream_cipher(const struct stream *stream)
{
  (void)stream;
  return NULL;
}

const char *stream_doubt(const struct stream *stream)
{
  (void)stream;
  return "there is no TLS";
}

const char *stream_peer(const struct stream *stream, char *buffer, size_t size)
{
  (void)stream, (void)buffer, (void)size;
  return NULL;
}
