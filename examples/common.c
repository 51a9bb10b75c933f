/* common.c: see common.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* putc_unlocked */

#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

const char *program = "ehlo";

void complain(const char *what, const char *why)
{
  fprintf(stderr, "%s: ", program);
  print_octets(stderr, ehlo_span_of(what), 1);
  fputs(": ", stderr);
  print_octets(stderr, ehlo_span_of(why), 1);
  fputc('\n', stderr);
}

void complain_of_file(const char *option, const char *file, size_t line, const char *why)
{
  fprintf(stderr, "%s: %s", program, option);
  if (line > 0) {
    fprintf(stderr, ", line %zu", line);
  } else {
    fputc(' ', stderr);
    print_octets(stderr, ehlo_span_of(file), 1);
  }
  fputs(": ", stderr);
  print_octets(stderr, ehlo_span_of(why), 1);
  fputc('\n', stderr);
}

void bad_usage(const char *what, const char *why)
{
  complain(what, why);
  exit(EX_USAGE);
}

void bad_system(const char *what, const char *why)
{
  complain(what, why);
  exit(EX_OSERR);
}

static void bad_number(const char *option, uint64_t least, uint64_t most)
{
  char why[80];
  snprintf(why, sizeof why, "a number from %llu to %llu is needed", (unsigned long long)least,
           (unsigned long long)most);
  bad_usage(option, why);
}

void show_version(void)
{
  printf("%s (libehlo) %s\n", program, ehlo_version());
}

uint64_t option_number(const char *option, const char *text, uint64_t least, uint64_t most)
{
  uint64_t value;
  if (ehlo_parse_number(ehlo_span_of(text), 20, &value) != EHLO_OK || value < least || value > most)
    bad_number(option, least, most);
  return value;
}

ehlo_span option_domain(const char *option, const char *text)
{
  ehlo_domain parsed;
  size_t used;
  ehlo_span whole = ehlo_span_of(text);
  if (ehlo_parse_domain(whole, EHLO_PARSE_UTF8, &parsed, &used) != EHLO_OK || used != whole.len)
    bad_usage(option, "a domain name or address literal is needed");
  return parsed.raw;
}

ehlo_path option_address(const char *option, const char *text)
{
  ehlo_path parsed;
  size_t used;
  ehlo_span whole = ehlo_span_of(text);
  if (ehlo_parse_mailbox(whole, EHLO_PARSE_UTF8, &parsed, &used) != EHLO_OK || used != whole.len)
    bad_usage(option, "an address of the form local-part@domain is needed");
  return parsed;
}

void open_standard_descriptors(void)
{
  int fd;
  do
    fd = open("/dev/null", O_WRONLY);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd < 0)
    bad_system("/dev/null", strerror(errno));
  close(fd);
}

uint64_t raise_descriptors(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return UINT64_MAX; /* it does not say */
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

void *must_allocate(size_t count, size_t size)
{
  void *memory = calloc(count, size);
  if (memory == NULL)
    bad_system("memory", strerror(errno));
  return memory;
}

void recipients_open(struct recipients *recipients, size_t most)
{
  recipients->domains = must_allocate(most, sizeof *recipients->domains);
  recipients->refused = must_allocate(most, sizeof *recipients->refused);
  recipients->domain_count = recipients->refused_count = 0;
}

void recipients_close(struct recipients *recipients)
{
  free(recipients->domains);
  free(recipients->refused);
}

size_t recipients_domain(const struct recipients *recipients, ehlo_span domain)
{
  size_t i = 0;
  while (i < recipients->domain_count && !ehlo_span_equal_nocase(recipients->domains[i], domain))
    i++;
  return i;
}

/* Local-parts are compared as they are meant, not as they are quoted, and with their case: RFC 5321 2.4. */
static int is_refused(const struct recipients *recipients, const ehlo_path *path)
{
  for (size_t i = 0; i < recipients->refused_count; i++) {
    if (ehlo_local_part_equal(recipients->refused[i].local_part, path->local_part) &&
        ehlo_span_equal_nocase(recipients->refused[i].domain.raw, path->domain.raw))
      return 1;
  }
  return 0;
}

struct verdict recipients_judge(const struct recipients *recipients, const ehlo_path *path)
{
  /* <Postmaster> without a domain is this host's own, whoever it takes mail for: RFC 5321 4.5.1. */
  if (path->kind != EHLO_PATH_POSTMASTER) {
    if (recipients_domain(recipients, path->domain.raw) == recipients->domain_count)
      return (struct verdict){550, "5.7.1", "No mail for that domain is taken here"};
    if (is_refused(recipients, path))
      return (struct verdict){550, "5.1.1", "No such mailbox here"};
  }
  return (struct verdict){250, NULL, NULL};
}

int answered(int error)
{
  if (error == EHLO_OK)
    return EHLO_HANDLED;
  complain("answer", ehlo_strerror(error));
  return EHLO_FAIL_TRANSACTION;
}

int answer(ehlo_server *server, const ehlo_event *event, int code, const char *enhanced, const char *text)
{
  return answered(ehlo_server_reply(server, event->ticket, code, enhanced, ehlo_span_of(text)));
}

void print_octets(FILE *file, ehlo_span octets, int spaces)
{
  for (size_t i = 0; i < octets.len; i++) {
    unsigned char octet = (unsigned char)octets.ptr[i];
    if (octet == '\\')
      fputs("\\\\", file);
    else if (octet > ' ' && octet <= '~')
      putc_unlocked(octet, file);
    else if (octet == ' ' && spaces)
      putc_unlocked(octet, file);
    else
      fprintf(file, "\\x%02X", octet);
  }
}
