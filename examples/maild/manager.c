/* manager.c: see manager.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "manager.h"

#include "../common.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 64 };

static int count = -1;
static struct {
  const char *name;
  int fd;
} sockets[MOST];

static long number(const char *variable)
{
  const char *text = getenv(variable);
  return text == NULL ? -1 : strtol(text, NULL, 10);
}

int manager_sockets(void)
{
  static char names[MOST * 64];
  char *rest = names;
  if (count >= 0)
    return count;
  long told = number("LISTEN_FDS");
  count = told > 0 && told <= MOST && number("LISTEN_PID") == (long)getpid() ? (int)told : 0;
  const char *given = getenv("LISTEN_FDNAMES");
  snprintf(names, sizeof names, "%s", given == NULL ? "" : given);
  for (int i = 0; i < count; i++) {
    const char *name = rest == NULL ? NULL : strsep(&rest, ":");
    sockets[i].name = name == NULL || name[0] == '\0' ? "unknown" : name;
    sockets[i].fd = FIRST + i;
    fcntl(sockets[i].fd, F_SETFD, FD_CLOEXEC);
    fcntl(sockets[i].fd, F_SETFL, fcntl(sockets[i].fd, F_GETFL) | O_NONBLOCK);
  }
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDNAMES");
  return count;
}

const char *manager_name(int at)
{
  return sockets[at].name;
}

int manager_descriptor(int at)
{
  return sockets[at].fd;
}

int manager_take(const char *name)
{
  for (int i = 0; i < count; i++) {
    if (sockets[i].fd >= 0 && strcmp(sockets[i].name, name) == 0) {
      int fd = sockets[i].fd;
      sockets[i].fd = -1;
      return fd;
    }
  }
  return -1;
}

void manager_tell(const char *state)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = getenv("NOTIFY_SOCKET");
  if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof address.sun_path)
    return;
  memcpy(address.sun_path, path, strlen(path));
  if (path[0] == '@') /* a name that is in no file system */
    address.sun_path[0] = '\0';
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
    complain("NOTIFY_SOCKET", strerror(errno));
  if (fd >= 0)
    close(fd);
}

void manager_tell_ready(int took_over)
{
  char state[64];
  snprintf(state, sizeof state, "MAINPID=%ld\nREADY=1", (long)getpid());
  manager_tell(took_over ? state : "READY=1");
}
