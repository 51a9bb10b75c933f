/* connect.c: where the server is, what this host is called, waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include "send.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
  CONNECT_TIMEOUT = 30 /* seconds, for each address of the server */
};

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

int64_t milliseconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t deadline_after(uint32_t seconds)
{
  if (seconds == 0 || seconds > settings.timeout)
    seconds = settings.timeout;
  return milliseconds() + (int64_t)seconds * 1000;
}

short wait_until(int fd, short events, int64_t deadline)
{
  struct pollfd ready = {.fd = fd, .events = events};
  int count;
  do {
    int64_t left = deadline - milliseconds();
    count = poll(&ready, 1, left < 0 ? 0 : (int)left);
  } while (count < 0 && errno == EINTR);
  return count > 0 ? ready.revents : 0;
}

/* ---- the server -------------------------------------------------------------------------------------------------- */

/* Returns 0 or an errno. */
static int finish_connect(int fd)
{
  int error = 0;
  socklen_t size = sizeof error;
  if (wait_until(fd, POLLOUT, deadline_after(CONNECT_TIMEOUT)) == 0)
    return ETIMEDOUT;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

static int try_address(const struct sockaddr *address, socklen_t size, struct outcome *why)
{
  int on = 1;
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = fd >= 0 && connect(fd, address, size) == 0 ? 0 : errno;
  if (error == EINPROGRESS)
    error = finish_connect(fd);
  if (error == 0) {
    /* A command is the last of its kind until its reply has come; it must not wait for more. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }
  if (fd >= 0)
    close(fd);
  outcome_say(why, 451, 4, 1, "Cannot connect", strerror(error));
  return -1;
}

static int connect_path(const char *path, struct outcome *why)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path)
    bad_usage(path, "too long for a Unix socket");
  strcpy(address.sun_path, path);
  return try_address((const struct sockaddr *)&address, sizeof address, why);
}

static int is_port(const char *port)
{
  uint64_t number;
  if (ehlo_parse_number(ehlo_span_of(port), 5, &number) == EHLO_OK)
    return number >= 1 && number <= UINT16_MAX;
  return getservbyname(port, "tcp") != NULL;
}

/* Puts the host of HOST:PORT, without brackets, into `host`, NAME_SIZE. Returns the port as it is written. */
static const char *split(const char *server, char *host)
{
  const char *colon = strrchr(server, ':');
  if (colon == NULL || colon == server || colon - server >= NAME_SIZE || !is_port(colon + 1))
    bad_usage("--server", "HOST:PORT is needed, or the path of a Unix socket");
  int brackets = server[0] == '[' && colon[-1] == ']';
  snprintf(host, NAME_SIZE, "%.*s", (int)(colon - server) - 2 * brackets, server + brackets);
  if (host[0] == '\0' || (!brackets && strpbrk(host, "[:]") != NULL))
    bad_usage("--server", "HOST:PORT is needed, an IPv6 address in brackets");
  return colon + 1;
}

uint32_t server_name(const char *server, char *name)
{
  uint64_t number = 0;
  if (strchr(server, '/') != NULL) {
    snprintf(name, NAME_SIZE, "localhost");
    return 0;
  }
  const char *port = split(server, name);
  name[strcspn(name, "%")] = '\0'; /* a zone is nobody else's concern */
  if (ehlo_parse_number(ehlo_span_of(port), 5, &number) != EHLO_OK)
    number = ntohs((uint16_t)getservbyname(port, "tcp")->s_port);
  return (uint32_t)number;
}

static int connect_host(const char *server, struct outcome *why)
{
  char host[NAME_SIZE];
  const char *port = split(server, host);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo *found;
  int fd = -1;
  int error = getaddrinfo(host, port, &hints, &found);
  if (error != 0) {
    outcome_say(why, 451, 4, 3, "Cannot find the server", gai_strerror(error));
    return -1;
  }
  for (const struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next)
    fd = try_address(info->ai_addr, info->ai_addrlen, why);
  freeaddrinfo(found);
  return fd;
}

int connect_to(const char *server, struct outcome *why)
{
  int fd = strchr(server, '/') != NULL ? connect_path(server, why) : connect_host(server, why);
  if (fd >= 0)
    why->code = 0; /* whatever came of the addresses before this one */
  return fd;
}

/* ---- this host --------------------------------------------------------------------------------------------------- */

int is_hello_name(const char *name)
{
  ehlo_domain domain;
  size_t used;
  return ehlo_parse_domain(ehlo_span_of(name), 0, &domain, &used) == EHLO_OK && name[used] == '\0' && used <= 255;
}

const char *own_name(int fd)
{
  static char name[NAME_SIZE] = "localhost";
  char host[NAME_SIZE] = "";
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char number[NI_MAXHOST];
  if (gethostname(host, sizeof host - 1) == 0 && is_hello_name(host))
    return strcpy(name, host);
  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 || address.ss_family == AF_UNIX ||
      getnameinfo((struct sockaddr *)&address, size, number, sizeof number, NULL, 0, NI_NUMERICHOST) != 0)
    return name;
  number[strcspn(number, "%")] = '\0'; /* a zone is nobody else's concern */
  snprintf(name, sizeof name, address.ss_family == AF_INET6 ? "[IPv6:%s]" : "[%s]", number);
  return name;
}
