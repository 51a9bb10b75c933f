/* floor.c: the least that a mail server can do. What end_to_end.py measures maild by; no mail server.
 *
 *     floor [PORT]      on 127.0.0.1; without a port it takes a free one, and says on standard error which
 *
 * One thread, epoll, level-triggered, as maild, and reads of the same size; but it parses nothing and checks nothing.
 * A command is answered by its first letter, content is over when its last five octets are CRLF . CRLF. That is right
 * only for a peer that waits for each reply, as smtp-source does: then nothing follows a command or the end of content
 * in the same read. What it takes is nearly all the kernel's, and no server that lives on read and write takes less.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 65536, BATCH = 256, BACKLOG = 4096 };

/* The last five octets of content, in a number. */
#define TAIL_MASK 0xffffffffffU
#define END       0x0d0a2e0d0aU
#define LINE      0x0d0aU /* what stands before content: "." may be its first line */

struct connection {
  uint64_t tail;
  char letter; /* of the command that is being read, 0 between two */
  char content;
};

static struct connection *connections; /* by descriptor */
static rlim_t room;
static unsigned char buffer[READ_SIZE];
static int events;

static void need(int condition, const char *what)
{
  if (!condition) {
    perror(what);
    exit(1);
  }
}

/* Replies fit the socket's buffer: a peer that lets it fill up is not waited for. Returns 1 if it is gone. */
static int answer(int fd, const char *reply)
{
  size_t size = strlen(reply);
  return send(fd, reply, size, MSG_NOSIGNAL) != (ssize_t)size;
}

/* Returns 1 if the connection is over. */
static int on_command(int fd, struct connection *connection, const unsigned char *data, size_t size)
{
  char letter = connection->letter != 0 ? connection->letter : (char)data[0];
  connection->letter = data[size - 1] == '\n' ? 0 : letter;
  if (connection->letter != 0) {
    return 0;
  }
  switch (letter) {
  case 'D':
    connection->content = 1;
    connection->tail = LINE;
    return answer(fd, "354 go on\r\n");
  case 'Q': (void)answer(fd, "221 bye\r\n"); return 1;
  default: return answer(fd, "250 ok\r\n");
  }
}

static int on_content(int fd, struct connection *connection, const unsigned char *data, size_t size)
{
  for (size_t i = size > 5 ? size - 5 : 0; i < size; i++) {
    connection->tail = (connection->tail << 8 | data[i]) & TAIL_MASK;
  }
  if (connection->tail != END) {
    return 0;
  }
  connection->content = 0;
  return answer(fd, "250 accepted\r\n");
}

/* Reads on while reads come back full: asking epoll in between would only cost. */
static void on_ready(int fd)
{
  struct connection *connection = &connections[fd];
  ssize_t size;
  int over;
  do {
    size = read(fd, buffer, sizeof buffer);
    if (size < 0 && errno == EAGAIN) {
      return;
    }
    over = size <= 0 || (connection->content ? on_content(fd, connection, buffer, (size_t)size)
                                             : on_command(fd, connection, buffer, (size_t)size));
  } while (!over && size == READ_SIZE);
  if (over) {
    close(fd); /* which takes it out of epoll too */
  }
}

static void on_connect(int listener)
{
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    return;
  }
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if ((rlim_t)fd >= room || epoll_ctl(events, EPOLL_CTL_ADD, fd, &event) != 0 || answer(fd, "220 floor ESMTP\r\n")) {
    close(fd);
    return;
  }
  connections[fd] = (struct connection){0};
}

static int listen_on(const char *port)
{
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  socklen_t size = sizeof name;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int one = 1;
  need(fd >= 0, "socket");
  need(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0, "SO_REUSEADDR");
  /* Connections inherit it, so it costs nothing a connection. */
  need(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0, "TCP_NODELAY");
  need(bind(fd, (struct sockaddr *)&name, sizeof name) == 0, "bind");
  need(listen(fd, BACKLOG) == 0, "listen");
  need(getsockname(fd, (struct sockaddr *)&name, &size) == 0, "getsockname");
  fprintf(stderr, "floor: listening on 127.0.0.1:%d for smtp\n", ntohs(name.sin_port));
  return fd;
}

int main(int argc, char **argv)
{
  struct rlimit limit;
  need(getrlimit(RLIMIT_NOFILE, &limit) == 0, "RLIMIT_NOFILE");
  limit.rlim_cur = limit.rlim_max;
  need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "RLIMIT_NOFILE");
  room = limit.rlim_cur;
  connections = calloc(room, sizeof *connections); /* pages that nobody touches cost nothing */
  need(connections != NULL, "no memory");
  events = epoll_create1(EPOLL_CLOEXEC);
  need(events >= 0, "epoll_create1");
  int listener = listen_on(argc > 1 ? argv[1] : "0");
  struct epoll_event listening = {.events = EPOLLIN, .data.fd = listener};
  need(epoll_ctl(events, EPOLL_CTL_ADD, listener, &listening) == 0, "epoll_ctl");
  for (;;) {
    struct epoll_event ready[BATCH];
    int count = epoll_wait(events, ready, BATCH, -1);
    for (int i = 0; i < count; i++) {
      if (ready[i].data.fd == listener) {
        on_connect(listener);
      } else {
        on_ready(ready[i].data.fd);
      }
    }
  }
}
