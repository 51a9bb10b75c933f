/* host.h: streams of examples/tls.h for hosts that have one of them, and wait for it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_TLS_HOST_H
#define TESTS_TLS_HOST_H

#include "../../examples/tls.h"

#include <ehlo.h>

#include <stdio.h>

/* Takes a socket over. */
void host_open(struct stream *stream, int fd);

/* Begins TLS, as a client of "localhost" or as server. Returns 0, with a line on standard output, if that fails. */
int host_begin_tls(struct stream *stream, tls_context *context, int is_client);

/* As read and write, but 0 or less for all that ends the connection. */
ssize_t host_read(struct stream *stream, void *buffer, size_t size);
ssize_t host_write(struct stream *stream, const void *octets, size_t size);

/* Says goodbye, and closes. */
void host_close(struct stream *stream);

/* Ends the process. */
void die(const char *what);

#endif
