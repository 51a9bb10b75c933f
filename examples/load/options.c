/* options.c: the command line.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* getopt_long */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char usage[] =
    "usage: load --server HOST:PORT [options]\n"
    "\n"
    "Gives a mail server messages over many connections at a time, and tells how fast it took them.\n"
    "\n"
    "  --server HOST:PORT  whom to connect to: name, IPv4 address or [IPv6 address]; or the PATH of a Unix socket\n"
    "  --connections N     at a time (1)\n"
    "  --messages M        in all (1; with --duration as many as there is time for)\n"
    "  --duration SECONDS  begin no more messages after that time\n"
    "  --messages-per-connection N  then QUIT, and another connection (as many as the server takes)\n"
    "  --size BYTES        of a message, with its header (1000)\n"
    "  --recipients K      of a message (1)\n"
    "  --from ADDRESS      the sender; '' for none (sender@example.com)\n"
    "  --to ADDRESS        the recipient; %d in it is the number of the recipient in the message, from 1\n"
    "                      (recipient%d@example.org)\n"
    "  --hello NAME        this host's name or address literal (what the system says, or localhost)\n"
    "  --lmtp              speak LMTP\n"
    "  --pipelining        insist on PIPELINING; without this option it is used where it is offered\n"
    "  --no-pipelining     wait for each reply\n"
    "  --bdat              content by BDAT; insists on CHUNKING\n"
    "  --starttls          TLS by STARTTLS; insists on it\n"
    "  --tls               TLS from the beginning\n"
    "  --cafile FILE       whom to trust, in PEM (whom the system trusts)\n"
    "  --insecure          take any certificate\n"
    "  --timeout SECONDS   that the server may be silent at most (as RFC 5321 recommends)\n"
    "  --quiet             no progress and no figures, only what should not have happened\n"
    "  --help, --version   show this, or the version\n"
    "\n"
    "Progress is shown if standard error is a terminal. SIGINT ends it in order and shows the figures; twice: at "
    "once.\n"
    "Exit codes: 0 every message was accepted for all recipients, 1 some were not, 69 there never was a connection,\n"
    "or TLS was not built in, 64 bad usage, 66 certificates that cannot be read, 68 the server's name is not known,\n"
    "71 the system refuses something, 74 the figures could not be printed.\n";

enum {
  SERVER = 1,
  CONNECTIONS,
  MESSAGES,
  DURATION,
  PER_CONNECTION,
  SIZE,
  RECIPIENTS,
  FROM,
  TO,
  HELLO,
  LMTP,
  PIPELINING,
  NO_PIPELINING,
  BDAT,
  STARTTLS,
  TLS,
  CAFILE,
  INSECURE,
  TIMEOUT,
  QUIET,
  HELP,
  VERSION
};

static const struct option options[] = {
    {"server", required_argument, NULL, SERVER},
    {"connections", required_argument, NULL, CONNECTIONS},
    {"messages", required_argument, NULL, MESSAGES},
    {"duration", required_argument, NULL, DURATION},
    {"messages-per-connection", required_argument, NULL, PER_CONNECTION},
    {"size", required_argument, NULL, SIZE},
    {"recipients", required_argument, NULL, RECIPIENTS},
    {"from", required_argument, NULL, FROM},
    {"to", required_argument, NULL, TO},
    {"hello", required_argument, NULL, HELLO},
    {"lmtp", no_argument, NULL, LMTP},
    {"pipelining", no_argument, NULL, PIPELINING},
    {"no-pipelining", no_argument, NULL, NO_PIPELINING},
    {"bdat", no_argument, NULL, BDAT},
    {"starttls", no_argument, NULL, STARTTLS},
    {"tls", no_argument, NULL, TLS},
    {"cafile", required_argument, NULL, CAFILE},
    {"insecure", no_argument, NULL, INSECURE},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"quiet", no_argument, NULL, QUIET},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

struct command_line {
  const char *server, *to;
  int pipelining, no_pipelining;
  struct tls_client_options tls;
};

static void take(struct command_line *line, int option)
{
  ehlo_client_config *config = &settings.config;
  switch (option) {
  case SERVER: line->server = optarg; break;
  case CONNECTIONS: settings.connections = (uint32_t)option_number("--connections", optarg, 1, 1000000); break;
  case MESSAGES: settings.messages = option_number("--messages", optarg, 1, 999999999999); break;
  case DURATION: settings.duration = (uint32_t)option_number("--duration", optarg, 1, 31536000); break;
  case PER_CONNECTION:
    settings.per_connection = option_number("--messages-per-connection", optarg, 1, UINT64_MAX);
    break;
  case SIZE: settings.size = option_number("--size", optarg, 0, UINT64_MAX / 2); break;
  case RECIPIENTS:
    settings.recipients = (uint32_t)option_number("--recipients", optarg, 1, EHLO_CLIENT_MAX_MAX_RECIPIENTS);
    break;
  case FROM:
    if (optarg[0] != '\0')
      option_address("--from", optarg);
    settings.from = optarg;
    break;
  case TO: line->to = optarg; break;
  case HELLO: config->hostname = option_domain("--hello", optarg); break;
  case LMTP: config->protocol = EHLO_PROTOCOL_LMTP; break;
  case PIPELINING: line->pipelining = 1; break;
  case NO_PIPELINING: line->no_pipelining = 1; break;
  case BDAT: settings.insist_chunking = 1; break;
  case STARTTLS:
  case TLS:
    if (settings.security != SECURITY_NONE)
      bad_usage("--starttls", "one of --starttls and --tls, and that once");
    settings.security = option == TLS ? SECURITY_TLS : SECURITY_STARTTLS;
    break;
  case CAFILE: line->tls.authorities = optarg; break;
  case INSECURE: line->tls.take_any = 1; break;
  case TIMEOUT: settings.timeout = (uint32_t)option_number("--timeout", optarg, 1, INT_MAX / 1000); break;
  case QUIET: settings.quiet = 1; break;
  case HELP: fputs(usage, stdout); exit(EX_OK);
  case VERSION: show_version(); exit(EX_OK);
  default: exit(EX_USAGE); /* getopt_long has said why */
  }
}

/* One address for each recipient, so that nothing has to be made of it while messages are sent. */
static void make_recipients(const char *to)
{
  const char *number = strstr(to, "%d");
  settings.to = must_allocate(settings.recipients, sizeof *settings.to);
  for (uint32_t i = 0; i < settings.recipients; i++) {
    size_t size = strlen(to) + 16;
    char *address = must_allocate(1, size);
    if (number == NULL)
      snprintf(address, size, "%s", to);
    else
      snprintf(address, size, "%.*s%u%s", (int)(number - to), to, i + 1, number + 2);
    option_address("--to", address);
    settings.to[i] = address;
  }
}

static void set_hello(void)
{
  static char name[256];
  ehlo_domain domain;
  size_t used;
  if (settings.config.hostname.len != 0)
    return;
  if (gethostname(name, sizeof name - 1) != 0 || ehlo_parse_domain(ehlo_span_of(name), 0, &domain, &used) != EHLO_OK ||
      name[used] != '\0')
    strcpy(name, "localhost");
  settings.config.hostname = ehlo_span_of(name);
}

static void no_tls(void)
{
  complain("TLS", tls_error());
  exit(tls_is_there() ? EX_NOINPUT : EX_UNAVAILABLE);
}

static void make_tls(const struct command_line *line)
{
  if (settings.security == SECURITY_NONE) {
    if (line->tls.authorities != NULL || line->tls.take_any)
      bad_usage(line->tls.take_any ? "--insecure" : "--cafile", "goes with --starttls or --tls");
    return;
  }
  settings.tls = tls_client_context(&line->tls);
  if (settings.tls == NULL)
    no_tls();
}

void read_options(int argc, char **argv)
{
  struct command_line line = {.to = "recipient%d@example.org"};
  ehlo_client_config *config = &settings.config;
  int option;
  settings.connections = settings.recipients = 1;
  settings.size = 1000;
  settings.from = "sender@example.com";
  settings.timeout = INT_MAX / 1000;
  ehlo_client_config_init(config, sizeof *config);
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
    take(&line, option);
  if (optind < argc)
    bad_usage(argv[optind], "only options are understood; see --help");
  if (line.server == NULL)
    bad_usage("--server", "a server is needed; see --help");
  if (line.pipelining && line.no_pipelining)
    bad_usage("--no-pipelining", "goes without --pipelining");
  if (settings.messages == 0 && settings.duration == 0)
    settings.messages = 1;
  settings.insist_pipelining = line.pipelining;
  settings.progress = !settings.quiet && isatty(STDERR_FILENO);
  set_hello();
  make_recipients(line.to);
  config->use[EHLO_EXT_AUTH] = 0; /* nobody logs in, so no room for it is needed */
  config->use[EHLO_EXT_PIPELINING] = !line.no_pipelining;
  config->chunking = settings.insist_chunking ? EHLO_CHUNKING_ALWAYS : EHLO_CHUNKING_NEVER;
  config->output_size = 2 * SMALL_SIZE + 64; /* a small message, which the library reckons could be all dots */
  if (config->protocol == EHLO_PROTOCOL_LMTP)
    config->max_recipients = settings.recipients;
  if (ehlo_client_size(config) == 0)
    bad_usage("options", ehlo_strerror(EHLO_ERR_CONFIG));
  addresses_find(&settings.server, "--server", line.server, 0);
  make_tls(&line);
}
