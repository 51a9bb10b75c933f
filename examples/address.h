/* address.h: where a server is, or is to be: HOST:PORT, or the path of a Unix socket.
 *
 * SPDX-License-Identifier: MIT
 *
 * Who serves many connections on one thread looks names up once, when it starts: it cannot wait for the DNS.
 */
#ifndef EHLO_EXAMPLES_ADDRESS_H
#define EHLO_EXAMPLES_ADDRESS_H

#include <sys/socket.h>

enum {
  ADDRESS_MOST = 8, /* addresses of one name that are tried */
  ADDRESS_HOST = 1025
};

struct address {
  struct sockaddr_storage socket;
  socklen_t size;
};

struct addresses {
  const char *text;        /* as the command line has it */
  char host[ADDRESS_HOST]; /* without the port and brackets; the path of a Unix socket */
  char name[ADDRESS_HOST]; /* whom a certificate has to be for: that host, "localhost" for a Unix socket */
  struct address list[ADDRESS_MOST];
  size_t count;
};

/* Finds whom to connect to, or with `listening` where to listen, for which HOST may be *. Returns 0, or an exit code:
 * EX_USAGE if it is not of the form, EX_NOHOST if the name is not known. *why says what is wrong then. */
int addresses_look_up(struct addresses *addresses, const char *text, int listening, const char **why);

/* The same for an option; what is wrong is told, and ends the process. */
void addresses_find(struct addresses *addresses, const char *option, const char *text, int listening);

/* Begins to connect by a socket that never blocks. Returns the descriptor, which can be written to once it has come to
 * something (see address_connected); or -1 with errno. */
int address_connect(const struct address *address);

/* What it has come to: 0 or an errno. */
int address_connected(int fd);

/* A socket that never blocks, bound to the address: IPv4 and IPv6 have one each. A Unix socket that nobody listens on
 * any more is replaced. Its connections send at once what is written, as it is a whole batch of replies. Returns the
 * descriptor, or -1 with errno. */
int address_bind(const struct address *address);

#endif
