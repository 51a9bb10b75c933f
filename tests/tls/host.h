/* host.h: TLS on a socket, as the two hosts here have it: first in clear, then by OpenSSL.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_TLS_HOST_H
#define TESTS_TLS_HOST_H

#include <ehlo.h>

#include <openssl/ssl.h>

#include <stdio.h>
#include <sys/types.h>

struct connection {
  int fd;
  SSL *ssl; /* NULL: in clear */
};

/* Begins TLS, as client or server. Returns 0, with a line on standard output, if the handshake fails. */
int connection_begin_tls(struct connection *connection, SSL_CTX *context, int is_client);

/* As read and write, but 0 or less for all that ends the connection. */
ssize_t connection_read(struct connection *connection, void *buffer, size_t size);
ssize_t connection_write(struct connection *connection, const void *octets, size_t size);

/* Says goodbye, if TLS is there, and closes. */
void connection_close(struct connection *connection);

/* Ends the process. */
void die(const char *what);

#endif
