/* tls.h: streams: sockets that never block, in clear or under TLS by OpenSSL, with the same calls.
 *
 * SPDX-License-Identifier: MIT
 *
 * A stream begins in clear, at stream_open. stream_start_client or stream_start_server puts it under TLS, at once or
 * later, behind STARTTLS; then stream_handshake is called until it is done. From there on stream_read and stream_write
 * are as before. No call waits: each returns STREAM_WAIT where it would have to, and stream_events tells what poll or
 * epoll has to wait for before it is tried again. Under TLS that need not be what the host thinks: reading can have to
 * write. Nothing of this code's own is kept for a stream but the struct; OpenSSL gives its buffers back when they are
 * empty.
 *
 *     short wants = ...POLLIN, POLLOUT: what the host would do...;
 *     if (!stream_pending(&stream))
 *       poll(&(struct pollfd){stream.fd, stream_events(&stream, wants)}, 1, ...);
 *     short can = stream_ready(&stream, revents); // POLLIN: read, or shake hands; POLLOUT: write
 *
 * Built without OpenSSL there are streams in clear alone: tls_is_there says so, and no context can be made. */
#ifndef EHLO_EXAMPLES_TLS_H
#define EHLO_EXAMPLES_TLS_H

#include <stddef.h>
#include <sys/types.h>

typedef struct ssl_ctx_st tls_context;

/* Was OpenSSL there when this was built? */
int tls_is_there(void);

/* ---- contexts: what all connections of a host share -------------------------------------------------------------- */

/* Files are in PEM. NULL: none. */
struct tls_client_options {
  const char *authorities; /* whom to trust; NULL: whom the system trusts */
  const char *certificate; /* who this host is, its own certificate first, then the chain; for servers that ask */
  const char *key;
  int take_any; /* a certificate that nobody vouches for does not end the handshake; stream_doubt tells of it */
};

struct tls_server_options {
  const char *certificate; /* its own first, then the chain; required */
  const char *key;         /* required; NULL: it is in the same file */
  const char *authorities; /* clients are asked for a certificate, which these are to vouch for. None has to have one */
};

/* TLS 1.2 at least. Files are read now, so it can be done before privileges are dropped, and once more to take new ones
 * up: connections keep the context that they were started with. SIGPIPE is ignored from here on, because OpenSSL
 * writes without MSG_NOSIGNAL. Returns NULL if that is not possible: tls_error says why, and which file it is about. */
tls_context *tls_client_context(const struct tls_client_options *options);
tls_context *tls_server_context(const struct tls_server_options *options);
void tls_context_free(tls_context *context); /* NULL is legal */

/* Why the last call that failed did, a context's or a stream's; in a static buffer. */
const char *tls_error(void);

/* ---- streams ----------------------------------------------------------------------------------------------------- */

struct stream {
  int fd;
  short read_event; /* what reading, or the handshake, waits for: POLLIN or POLLOUT */
  short write_event;
  int broken;         /* nothing can be sent under this TLS any more, a goodbye neither */
  struct ssl_st *tls; /* NULL: in clear */
};

enum {
  STREAM_WAIT = -1,  /* not now */
  STREAM_FAILED = -2 /* the connection is of no use any more; tls_error says why */
};

/* Takes a socket over, which is set to not block. */
void stream_open(struct stream *stream, int fd);

/* Puts it under TLS. A client says whom it expects: the domain name or the IP address that the server's certificate
 * must be for. Returns 0 or STREAM_FAILED. */
int stream_start_client(struct stream *stream, tls_context *context, const char *name);
int stream_start_server(struct stream *stream, tls_context *context);

/* Returns 0 when it is done, STREAM_WAIT or STREAM_FAILED. Until it is done nothing else may be called but
 * stream_events, stream_ready and stream_close. */
int stream_handshake(struct stream *stream);

/* Returns how many octets; 0 at the end (under TLS also where the peer said no goodbye: SMTP has endings of its own,
 * and needs no other); STREAM_WAIT; STREAM_FAILED. */
ssize_t stream_read(struct stream *stream, void *buffer, size_t size);

/* Returns how many octets, fewer than `size` though more could follow at once; STREAM_WAIT; STREAM_FAILED. After
 * STREAM_WAIT the next call has to begin with the same octets, at whatever address, and have as many at least. */
ssize_t stream_write(struct stream *stream, const void *octets, size_t size);

/* Says that nothing more will be sent. Returns 0, also if that cannot be said any more; or STREAM_WAIT. */
int stream_shutdown(struct stream *stream);

/* Without goodbye; closes the descriptor too. */
void stream_close(struct stream *stream);

/* What to wait for, for those who would read (POLLIN) or write (POLLOUT), or both; a handshake counts as reading. */
short stream_events(const struct stream *stream, short wants);

/* What can be tried, of reading (POLLIN) and writing (POLLOUT), when this is what came of waiting. */
short stream_ready(const struct stream *stream, short events);

/* Can something be read that no waiting will tell of, because it has left the socket already? */
int stream_pending(const struct stream *stream);

/* ---- what TLS is there ------------------------------------------------------------------------------------------- */

/* "TLSv1.3", and the cipher suite by its registered name: what Received says behind "tls" (RFC 8314 4.3). NULL in
 * clear. */
const char *stream_protocol(const struct stream *stream);
const char *stream_cipher(const struct stream *stream);

/* Why it is not sure who the peer is: in clear; without a certificate, or with one that nobody vouches for, or for
 * another name; also behind a handshake that failed because of it. NULL: the peer is verified. */
const char *stream_doubt(const struct stream *stream);

/* The subject of the peer's certificate ("CN=mail.example.org,O=Example"), verified or not; cut off where it is too
 * long for the buffer. Returns the buffer, or NULL if there is no certificate. */
const char *stream_peer(const struct stream *stream, char *buffer, size_t size);

/* ---- between tls.c and what is there of TLS: tls_openssl.c or tls_none.c ------------------------------------------
 */

void tls_say(const char *what, const char *why); /* sets tls_error; `what` can be NULL */
ssize_t tls_read(struct stream *stream, void *buffer, size_t size);
ssize_t tls_write(struct stream *stream, const void *octets, size_t size);
int tls_goodbye(struct stream *stream);
void tls_end(struct stream *stream);

#endif
