/* address.c: see address.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include "address.h"

#include "common.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

static int find_path(struct addresses *addresses, const char **why)
{
  struct sockaddr_un *address = (void *)&addresses->list[0].socket;
  if (strlen(addresses->text) >= sizeof address->sun_path)
    return *why = "the path is too long for a Unix socket", EX_USAGE;
  address->sun_family = AF_UNIX;
  strcpy(address->sun_path, addresses->text);
  addresses->list[0].size = sizeof *address;
  addresses->count = 1;
  strcpy(addresses->host, addresses->text);
  strcpy(addresses->name, "localhost");
  return 0;
}

static int is_port(const char *port, int listening)
{
  uint64_t number;
  if (ehlo_parse_number(ehlo_span_of(port), 5, &number) == EHLO_OK)
    return number >= !listening && number <= UINT16_MAX;
  return getservbyname(port, "tcp") != NULL;
}

static int find_host(struct addresses *addresses, int listening, const char **why)
{
  const char *text = addresses->text;
  char *host = addresses->host;
  const char *colon = strrchr(text, ':');
  if (colon == NULL || colon == text || colon - text >= ADDRESS_HOST || !is_port(colon + 1, listening))
    return *why = "HOST:PORT is needed, or the path of a Unix socket", EX_USAGE;
  int brackets = text[0] == '[' && colon[-1] == ']';
  snprintf(host, sizeof addresses->host, "%.*s", (int)(colon - text) - 2 * brackets, text + brackets);
  if (host[0] == '\0' || (!brackets && strpbrk(host, "[:]") != NULL))
    return *why = "HOST:PORT is needed, an IPv6 address in brackets", EX_USAGE;
  snprintf(addresses->name, sizeof addresses->name, "%.*s", (int)strcspn(host, "%"), host); /* a zone is our own */
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = listening ? AI_PASSIVE : 0};
  struct addrinfo *found;
  int error = getaddrinfo(listening && strcmp(host, "*") == 0 ? NULL : host, colon + 1, &hints, &found);
  if (error != 0)
    return *why = gai_strerror(error), EX_NOHOST;
  for (const struct addrinfo *info = found; info != NULL && addresses->count < ADDRESS_MOST; info = info->ai_next) {
    struct address *address = &addresses->list[addresses->count++];
    memcpy(&address->socket, info->ai_addr, info->ai_addrlen);
    address->size = info->ai_addrlen;
  }
  freeaddrinfo(found);
  return 0;
}

int addresses_look_up(struct addresses *addresses, const char *text, int listening, const char **why)
{
  memset(addresses, 0, sizeof *addresses);
  addresses->text = text;
  return strchr(text, '/') != NULL ? find_path(addresses, why) : find_host(addresses, listening, why);
}

void addresses_find(struct addresses *addresses, const char *option, const char *text, int listening)
{
  const char *why;
  int status = addresses_look_up(addresses, text, listening, &why);
  if (status == 0)
    return;
  complain(status == EX_USAGE ? option : text, why);
  exit(status);
}

int address_connect(const struct address *address)
{
  int on = 1;
  int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  /* A command is the last of its kind until its reply has come; it must not wait for more. */
  if (address->socket.ss_family != AF_UNIX)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (const struct sockaddr *)&address->socket, address->size) == 0 || errno == EINPROGRESS)
    return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int address_connected(int fd)
{
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

/* One that somebody listens on is not ours to remove. */
static int remove_dead(const struct address *address)
{
  const struct sockaddr_un *path = (const void *)&address->socket;
  struct stat status;
  if (lstat(path->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
    return 0;
  int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int dead = connect(probe, (const struct sockaddr *)&address->socket, address->size) != 0 && errno == ECONNREFUSED;
  close(probe);
  return dead && unlink(path->sun_path) == 0;
}

int address_bind(const struct address *address)
{
  int on = 1, family = address->socket.ss_family;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  if (family != AF_UNIX) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  int result = bind(fd, (const struct sockaddr *)&address->socket, address->size);
  if (result != 0 && errno == EADDRINUSE && family == AF_UNIX) {
    result = remove_dead(address) ? bind(fd, (const struct sockaddr *)&address->socket, address->size) : -1;
    errno = result == 0 ? errno : EADDRINUSE;
  }
  if (result == 0)
    return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}
