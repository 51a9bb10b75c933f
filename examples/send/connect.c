/* connect.c: where the server is, what this host is called, waiting.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* gethostname, getnameinfo */
#include "../address.h"
#include "send.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sysexits.h>
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

static struct addresses server;

static int try_address(const struct address *address, struct outcome *why)
{
  int fd = address_connect(address);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0)
    error = wait_until(fd, POLLOUT, deadline_after(CONNECT_TIMEOUT)) == 0 ? ETIMEDOUT : address_connected(fd);
  if (error == 0)
    return fd;
  if (fd >= 0)
    close(fd);
  outcome_say(why, 451, 4, 1, "Cannot connect", strerror(error));
  return -1;
}

int connect_to(const char *where, struct outcome *why)
{
  const char *problem;
  int fd = -1;
  int status = addresses_look_up(&server, where, 0, &problem);
  if (status == EX_USAGE)
    bad_usage("--server", problem);
  if (status != 0)
    outcome_say(why, 451, 4, 3, "Cannot find the server", problem);
  for (size_t i = 0; i < server.count && status == 0 && fd < 0; i++)
    fd = try_address(&server.list[i], why);
  if (fd >= 0)
    why->code = 0; /* whatever came of the addresses before this one */
  return fd;
}

const char *server_name(void)
{
  return server.name;
}

uint32_t server_port(void)
{
  const struct sockaddr_in *in = (const void *)&server.list[0].socket;
  const struct sockaddr_in6 *in6 = (const void *)&server.list[0].socket;
  switch (server.list[0].socket.ss_family) {
  case AF_INET: return ntohs(in->sin_port);
  case AF_INET6: return ntohs(in6->sin6_port);
  default: return 0;
  }
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
