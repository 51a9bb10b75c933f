/* receiver.c: a program that receives mail, for nothing but its weight: it has the whole server role linked in, and of
 * libc only four functions, which weigh the same without the library. */
#include "ehlo.h"

void host_main(void);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int octet, size_t size);
void *memchr(const void *data, int octet, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *string);

/* `used` keeps them where nothing calls them, so that both programs have them. */
#define KEPT __attribute__((used, noinline, optimize("no-tree-loop-distribute-patterns")))

KEPT void *memmove(void *to, const void *from, size_t size)
{
  unsigned char *a = to;
  const unsigned char *b = from;
  if (a < b) {
    for (size_t i = 0; i < size; i++) {
      a[i] = b[i];
    }
  } else {
    while (size-- > 0) {
      a[size] = b[size];
    }
  }
  return to;
}

KEPT void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
  return memmove(to, from, size);
}

KEPT void *memset(void *to, int octet, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    ((unsigned char *)to)[i] = (unsigned char)octet;
  }
  return to;
}

KEPT void *memchr(const void *data, int octet, size_t size)
{
  for (const unsigned char *at = data; size-- > 0; at++) {
    if (*at == (unsigned char)octet) {
      return (void *)(uintptr_t)at;
    }
  }
  return NULL;
}

KEPT int memcmp(const void *a, const void *b, size_t size)
{
  const unsigned char *x = a;
  const unsigned char *y = b;
  for (; size-- > 0; x++, y++) {
    if (*x != *y) {
      return *x - *y;
    }
  }
  return 0;
}

KEPT size_t strlen(const char *string)
{
  size_t length = 0;
  while (string[length] != 0) {
    length++;
  }
  return length;
}

#ifdef WITHOUT_LIBRARY
void host_main(void)
{
}
#else
static union {
  max_align_t alignment;
  unsigned char octets[8192];
} block;

static int on_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  (void)user;
  return event->ticket == 0 ? EHLO_HANDLED : ehlo_server_accept(server, event->ticket);
}

static unsigned char input[512];

void host_main(void)
{
  ehlo_server_config config;
  ehlo_server *server;
  size_t size;
  ehlo_server_config_init(&config, sizeof config);
  config.hostname = ehlo_span_of("mx.example.com");
  if (ehlo_server_size(&config) > sizeof block ||
      ehlo_server_init(&server, &block, sizeof block, &config, on_event, NULL)) {
    return;
  }
  ehlo_server_start(server);
  while ((ehlo_server_want(server) & EHLO_WANT_CLOSE) == 0) {
    ehlo_server_feed(server, input, sizeof input, &size);
    ehlo_server_output(server, &size);
    ehlo_server_sent(server, size);
    if (ehlo_server_timeout(server, NULL) == 0) {
      ehlo_server_timed_out(server);
    }
  }
  ehlo_server_defer(server, 1, 1);
  ehlo_server_resume(server, 1);
  ehlo_server_reply(server, 1, 550, "5.1.1", ehlo_span_of("no"));
  ehlo_server_eof(server);
  ehlo_server_lost(server);
  ehlo_server_shutdown(server, 421, NULL, ehlo_span_of(""));
}
#endif
