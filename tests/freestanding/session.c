/* session.c: a session in memory on a machine without an operating system.
 *
 * Two messages, the second with dots to be unstuffed. Prints the replies and what was stored by Arm semihosting, and
 * exits with 0 if both are what they must be.
 */
#include "ehlo.h"

#include <string.h>

/* ---- semihosting: the debugger or emulator is the only outside there is ---- */

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

static void semihost(unsigned operation, const void *argument)
{
  register unsigned r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void print(const char *text)
{
  semihost(SYS_WRITE0, text);
}

static _Noreturn void leave(unsigned status)
{
  unsigned block[2] = {APPLICATION_EXIT, status};
  semihost(SYS_EXIT_EXTENDED, block);
  for (;;) {
  }
}

/* ---- the host ---- */

static const char input[] = "EHLO client.example\r\n"
                            "MAIL FROM:<a@client.example> SIZE=10\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
                            "one\r\n.\r\n"
                            "MAIL FROM:<>\r\nRCPT TO:<\"b c\"@[192.0.2.1]>\r\nDATA\r\n"
                            "..two\r\n\r\n.\r\n"
                            "QUIT\r\n";

static const char replies[] = "220 250 250 250 354 250 250 250 354 250 221 ";
static const char stored[] = "one\r\n|.two\r\n\r\n|";

struct host {
  char replies[128];
  size_t replies_length;
  char stored[128];
  size_t stored_length;
};

static void append(char *text, size_t *length, const char *octets, size_t size)
{
  if (*length + size < 128) {
    memcpy(text + *length, octets, size);
    *length += size;
  }
}

static int on_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct host *host = user;
  switch (event->type) {
  case EHLO_EVENT_RCPT: return ehlo_server_accept(server, event->ticket);
  case EHLO_EVENT_BODY:
    for (size_t i = 0; i < event->as.body.count; i++) {
      append(host->stored, &host->stored_length, event->as.body.spans[i].ptr, event->as.body.spans[i].len);
    }
    return EHLO_HANDLED;
  case EHLO_EVENT_MESSAGE:
    append(host->stored, &host->stored_length, "|", 1);
    return ehlo_server_accept(server, event->ticket);
  case EHLO_EVENT_REPLY: {
    char code[4] = {(char)('0' + event->as.reply.code / 100), (char)('0' + event->as.reply.code / 10 % 10),
                    (char)('0' + event->as.reply.code % 10), ' '};
    append(host->replies, &host->replies_length, code, sizeof code);
    return EHLO_HANDLED;
  }
  default: return EHLO_HANDLED;
  }
}

static void drain(ehlo_server *server)
{
  size_t size;
  const char *output;
  while ((output = ehlo_server_output(server, &size)) != NULL) {
    char text[64];
    size_t piece = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, output, piece);
    text[piece] = '\0';
    print(text);
    ehlo_server_sent(server, piece);
  }
}

static _Alignas(8) unsigned char block[8192];
static struct host host;

static int session(void)
{
  ehlo_server_config config;
  ehlo_server *server;
  if (ehlo_server_config_init(&config, sizeof config) != EHLO_OK) {
    return 1;
  }
  config.hostname = ehlo_span_of("device.example.org");
  if (ehlo_server_init(&server, block, sizeof block, &config, on_event, &host) != EHLO_OK ||
      ehlo_server_start(server) != EHLO_OK) {
    return 2;
  }
  drain(server);
  const char *at = input;
  while ((ehlo_server_want(server) & EHLO_WANT_CLOSE) == 0) {
    size_t taken;
    if (ehlo_server_feed(server, at, strlen(at), &taken) != EHLO_OK) {
      return 3;
    }
    at += taken;
    drain(server);
    if (*at == '\0' && (ehlo_server_want(server) & (EHLO_WANT_FEED | EHLO_WANT_CLOSE)) == 0) {
      return 4;
    }
  }
  drain(server);
  if (*at != '\0' || strlen(replies) != host.replies_length || memcmp(replies, host.replies, strlen(replies)) != 0) {
    return 5;
  }
  if (strlen(stored) != host.stored_length || memcmp(stored, host.stored, strlen(stored)) != 0) {
    return 6;
  }
  return 0;
}

/* ---- reset ---- */

extern unsigned char bss_begin[];
extern unsigned char bss_end[];
extern unsigned char stack_top[];

_Noreturn void reset(void);
_Noreturn void reset(void)
{
  memset(bss_begin, 0, (size_t)(bss_end - bss_begin));
  int status = session();
  print(status == 0 ? "as it must be\n" : "NOT as it must be\n");
  leave((unsigned)status);
}

static _Noreturn void fault(void)
{
  print("hard fault\n");
  leave(100);
}

extern const uintptr_t vectors[4];
__attribute__((section(".vectors"), used)) const uintptr_t vectors[4] = {
    (uintptr_t)stack_top,
    (uintptr_t)reset,
    (uintptr_t)fault,
    (uintptr_t)fault,
};
