/* send: gives messages to one SMTP or LMTP server, and tells for each recipient what became of it.
 *
 * SPDX-License-Identifier: MIT
 *
 *     session.c   the dialogue: begin there
 *     connect.c   where the server is, what this host is called, waiting
 *     message.c   what must be known of a file before it is offered, and its content
 *     report.c    what is told of all that
 *     send.c      the command line, one message after the other, the exit code */
#define _GNU_SOURCE /* getopt_long */
#include "send.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct settings settings;

/* ---- the command line -------------------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: send --server HOST:PORT --from ADDRESS --to ADDRESS [options] FILE...\n"
    "\n"
    "Gives each FILE (-: standard input) to a mail server as a message. Lines end in LF or CRLF there.\n"
    "\n"
    "  --server HOST:PORT  whom to connect to: name, IPv4 address or [IPv6 address]; or the PATH of a Unix socket\n"
    "  --lmtp              speak LMTP\n"
    "  --from ADDRESS      the sender; '' for none\n"
    "  --to ADDRESS        a recipient; repeatable\n"
    "  --hello NAME        this host's name or address literal (what the system says)\n"
    "  --smtputf8          addresses or headers are in UTF-8\n"
    "  --timeout SECONDS   that the server may be silent at most (as RFC 5321 recommends)\n"
    "  --no-pipelining     wait for each reply\n"
    "  --trace             show the dialogue on standard error\n"
    "  --help, --version   show this, or the version\n"
    "\n"
    "Prints a line for each file and recipient: address, reply code, enhanced code or -, text; tabs between them.\n"
    "Exit codes: 0 all accepted, 1 some refused for good, 75 some not accepted now, 76 some not decided because the\n"
    "server broke the protocol, 74 the lines could not be printed; 64 bad usage or a file that is no message,\n"
    "71 the system refuses something: nothing was sent.\n";

enum { SERVER = 1, LMTP, FROM, TO, HELLO, SMTPUTF8, TIMEOUT, NO_PIPELINING, TRACE, HELP, VERSION };

static const struct option options[] = {
    {"server", required_argument, NULL, SERVER},   {"lmtp", no_argument, NULL, LMTP},
    {"from", required_argument, NULL, FROM},       {"to", required_argument, NULL, TO},
    {"hello", required_argument, NULL, HELLO},     {"smtputf8", no_argument, NULL, SMTPUTF8},
    {"timeout", required_argument, NULL, TIMEOUT}, {"no-pipelining", no_argument, NULL, NO_PIPELINING},
    {"trace", no_argument, NULL, TRACE},           {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},       {NULL, 0, NULL, 0},
};

static void read_options(struct envelope *envelope, int argc, char **argv)
{
  int option;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (option) {
    case SERVER: settings.server = optarg; break;
    case LMTP: settings.config.protocol = EHLO_PROTOCOL_LMTP; break;
    case FROM: envelope->from = optarg; break;
    case TO: envelope->recipients[envelope->count++].address = optarg; break;
    case HELLO:
      if (!is_hello_name(optarg))
        bad_usage("--hello", "a domain name or address literal is needed");
      settings.config.hostname = ehlo_span_of(optarg);
      break;
    case SMTPUTF8: envelope->smtputf8 = 1; break;
    case TIMEOUT: settings.timeout = (uint32_t)option_number("--timeout", optarg, 1, MOST_SECONDS); break;
    case NO_PIPELINING: settings.config.use[EHLO_EXT_PIPELINING] = 0; break;
    case TRACE: settings.trace = 1; break;
    case HELP: fputs(usage, stdout); exit(output_lost() ? EX_IOERR : EX_OK);
    case VERSION: printf("send (libehlo %s)\n", ehlo_version()); exit(output_lost() ? EX_IOERR : EX_OK);
    default: exit(EX_USAGE); /* getopt_long has said why */
    }
  }
  if (settings.server == NULL || envelope->from == NULL || envelope->count == 0 || optind == argc)
    bad_usage("usage", "--server, --from, --to and a FILE are needed; see --help");
  int inputs = 0;
  for (int i = optind; i < argc; i++)
    inputs += strcmp(argv[i], "-") == 0;
  if (inputs > 1)
    bad_usage("-", "standard input can be sent but once");
}

static void check_address(const char *option, const char *text, uint32_t flags, uint32_t forbidden)
{
  ehlo_path path;
  size_t used;
  ehlo_span whole = ehlo_span_of(text);
  int error =
      text[0] == '<' ? ehlo_parse_path(whole, flags, &path, &used) : ehlo_parse_mailbox(whole, flags, &path, &used);
  if (error != EHLO_OK || used != whole.len || path.kind == forbidden)
    bad_usage(option, "an address of the form local-part@domain is needed (in UTF-8: with --smtputf8)");
}

/* The library checks them too, but only when it is their turn; here nothing has been sent yet. */
static void check_addresses(const struct envelope *envelope)
{
  uint32_t flags = envelope->smtputf8 ? EHLO_PARSE_UTF8 : 0;
  if (envelope->from[0] != '\0')
    check_address("--from", envelope->from, flags, EHLO_PATH_POSTMASTER);
  for (size_t i = 0; i < envelope->count; i++) {
    if (!ehlo_span_equal_nocase(ehlo_span_of(envelope->recipients[i].address), ehlo_span_of("postmaster")))
      check_address("--to", envelope->recipients[i].address, flags, EHLO_PATH_NULL);
  }
}

/* ---- the work ---------------------------------------------------------------------------------------------------- */

/* Returns the exit code. */
static int send_all(struct envelope *envelope, struct message *messages, size_t count)
{
  static struct session session;
  int status = EX_OK;
  int fd = connect_to(settings.server, &session.over);
  if (fd >= 0)
    session_open(&session, fd);
  for (size_t i = 0; i < count; i++) {
    session_send(&session, envelope, &messages[i]);
    status = report(envelope, status);
  }
  if (fd >= 0)
    session_close(&session);
  if (session.violation != 0)
    complain(settings.server, ehlo_violation_name(session.violation));
  if (session.broken)
    status = EX_PROTOCOL;
  return output_lost() ? EX_IOERR : status;
}

/* What is opened later must not become standard input, output or error because somebody closed that. Reading from it
 * fails, as it would have. */
static void open_standard_descriptors(void)
{
  int fd;
  do
    fd = open("/dev/null", O_WRONLY);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd < 0)
    bad_system("/dev/null", strerror(errno));
  close(fd);
}

int main(int argc, char **argv)
{
  program = "send";
  open_standard_descriptors();
  struct envelope envelope = {.recipients = must_allocate((size_t)argc, sizeof *envelope.recipients)};
  ehlo_client_config_init(&settings.config, sizeof settings.config);
  settings.config.convert_lf = 1;
  settings.config.output_size =
      2 * MESSAGE_PIECE + 8; /* a piece fits, whatever is in it: an octet becomes two at most */
  settings.timeout = MOST_SECONDS;
  read_options(&envelope, argc, argv);
  check_addresses(&envelope);
  settings.progress = isatty(STDERR_FILENO) && !settings.trace;
  settings.config.max_recipients = (uint32_t)envelope.count;

  size_t count = (size_t)(argc - optind);
  struct message *messages = must_allocate(count, sizeof *messages);
  for (size_t i = 0; i < count; i++)
    message_examine(&messages[i], argv[optind + (int)i]);
  int status = send_all(&envelope, messages, count);
  free(messages);
  free(envelope.recipients);
  return status;
}
