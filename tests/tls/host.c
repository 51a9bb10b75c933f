/* host.c: see host.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#include "host.h"

#include <openssl/err.h>

#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void die(const char *what)
{
  perror(what);
  exit(70);
}

int connection_begin_tls(struct connection *connection, SSL_CTX *context, int is_client)
{
  SSL *ssl = SSL_new(context);
  if (ssl == NULL || SSL_set_fd(ssl, connection->fd) != 1)
    die("SSL_new");
  if (is_client && SSL_set1_host(ssl, "localhost") != 1)
    die("SSL_set1_host");
  connection->ssl = ssl;
  if ((is_client ? SSL_connect(ssl) : SSL_accept(ssl)) == 1) {
    printf("handshake: %s\n", SSL_get_version(ssl));
    return 1;
  }
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  printf("handshake failed: %s\n", reason == NULL ? "?" : reason);
  SSL_free(ssl);
  connection->ssl = NULL;
  return 0;
}

/* There is nothing to do meanwhile: the socket blocks. */
ssize_t connection_read(struct connection *connection, void *buffer, size_t size)
{
  if (connection->ssl == NULL)
    return read(connection->fd, buffer, size);
  return SSL_read(connection->ssl, buffer, size > INT_MAX ? INT_MAX : (int)size);
}

ssize_t connection_write(struct connection *connection, const void *octets, size_t size)
{
  if (connection->ssl == NULL)
    return send(connection->fd, octets, size, MSG_NOSIGNAL);
  return SSL_write(connection->ssl, octets, size > INT_MAX ? INT_MAX : (int)size);
}

void connection_close(struct connection *connection)
{
  if (connection->ssl != NULL) {
    SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl);
  }
  shutdown(connection->fd, SHUT_WR);
  close(connection->fd);
}
