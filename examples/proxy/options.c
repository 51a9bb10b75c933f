/* options.c: the command line.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* getopt_long */
#include "proxy.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
  PENDING_TEXT = 1024, /* so an answer of the next hop always finds room */
  MAX_CONNECTIONS = 1000,
  FILTER_TIMEOUT = 300
};

static const char usage[] =
    "usage: proxy --listen ADDRESS:PORT --next HOST:PORT --hostname NAME [options]\n"
    "\n"
    "Stands in front of a mail server: each client gets a connection to it, and its answers.\n"
    "\n"
    "  --listen ADDRESS:PORT|PATH      take clients there; repeatable. [::1]:25 for IPv6, *:25 for all, port 0: any\n"
    "  --tls-listen ADDRESS:PORT|PATH  the same, with TLS from the beginning\n"
    "  --tls-cert FILE, --tls-key FILE  this host's certificate with its chain, and its key, in PEM: for STARTTLS\n"
    "                                  and --tls-listen\n"
    "  --next HOST:PORT|PATH           the server\n"
    "  --next-tls WHEN                 off, try (STARTTLS where it is offered, any certificate), require (STARTTLS, a\n"
    "                                  certificate that is trusted), implicit (TLS from the beginning) (off)\n"
    "  --next-cafile FILE              whom to trust, in PEM (whom the system trusts)\n"
    "  --next-timeout SECONDS          that the server may be silent at most (as RFC 5321 recommends)\n"
    "  --hostname NAME                 this host's name or address literal\n"
    "  --lmtp                          speak LMTP, on both sides\n"
    "  --bdat                          give the server content by BDAT where it offers CHUNKING\n"
    "  --filter COMMAND                a program that decides on each message: it is its standard input; exit code 0:\n"
    "                                  go on, 75: 451, others: 554 with the last line that it writes\n"
    "  --filter-timeout SECONDS        that it may take, else 451 (300)\n"
    "  --directory DIR                 where messages wait for it, in files without a name (/var/tmp)\n"
    "  --xclient, --xforward           tell the server by XCLIENT or XFORWARD who the client is\n"
    "  --max-size N                    octets in a message (what the server takes; with a filter 100 MiB at most)\n"
    "  --max-errors N                  of a client before 421 (20; 0: no limit)\n"
    "  --max-connections N             at a time; others wait (1000)\n"
    "  --timeout SECONDS               that a client may be silent (300)\n"
    "  --help, --version               show this, or the version\n"
    "\n"
    "The log goes to standard error. SIGTERM stops in order, twice: at once.\n"
    "Exit codes: 0, 64 bad usage, 66 certificates that cannot be read, 68 a name is not known, 69 TLS was not built\n"
    "in, 71 the system refuses something.\n";

enum {
  LISTEN = 1,
  TLS_LISTEN,
  TLS_CERT,
  TLS_KEY,
  NEXT,
  NEXT_TLS,
  NEXT_CAFILE,
  NEXT_TIMEOUT,
  HOSTNAME,
  LMTP,
  BDAT,
  FILTER,
  FILTER_TIMEOUT_,
  DIRECTORY,
  XCLIENT,
  XFORWARD,
  MAX_SIZE,
  MAX_ERRORS,
  MAX_CONNECTIONS_,
  TIMEOUT,
  HELP,
  VERSION
};

static const struct option options[] = {
    {"listen", required_argument, NULL, LISTEN},
    {"tls-listen", required_argument, NULL, TLS_LISTEN},
    {"tls-cert", required_argument, NULL, TLS_CERT},
    {"tls-key", required_argument, NULL, TLS_KEY},
    {"next", required_argument, NULL, NEXT},
    {"next-tls", required_argument, NULL, NEXT_TLS},
    {"next-cafile", required_argument, NULL, NEXT_CAFILE},
    {"next-timeout", required_argument, NULL, NEXT_TIMEOUT},
    {"hostname", required_argument, NULL, HOSTNAME},
    {"lmtp", no_argument, NULL, LMTP},
    {"bdat", no_argument, NULL, BDAT},
    {"filter", required_argument, NULL, FILTER},
    {"filter-timeout", required_argument, NULL, FILTER_TIMEOUT_},
    {"directory", required_argument, NULL, DIRECTORY},
    {"xclient", no_argument, NULL, XCLIENT},
    {"xforward", no_argument, NULL, XFORWARD},
    {"max-size", required_argument, NULL, MAX_SIZE},
    {"max-errors", required_argument, NULL, MAX_ERRORS},
    {"max-connections", required_argument, NULL, MAX_CONNECTIONS_},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

struct listen_at {
  const char *where;
  int implicit;
};

struct command_line {
  struct listen_at *listen;
  size_t listen_count;
  const char *next;
  struct tls_server_options front;
  struct tls_client_options behind;
};

static enum next_tls read_next_tls(const char *word)
{
  static const char *const words[] = {"off", "try", "require", "implicit"};
  for (int i = 0; i < 4; i++) {
    if (strcmp(word, words[i]) == 0)
      return (enum next_tls)i;
  }
  bad_usage("--next-tls", "off, try, require or implicit");
  return NEXT_TLS_OFF;
}

static void set_next_timeout(uint32_t most)
{
  ehlo_client_config *client = &settings.client;
  uint32_t *all[] = {&client->greeting_timeout, &client->command_timeout, &client->data_timeout,
                     &client->content_timeout, &client->verdict_timeout};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    *all[i] = *all[i] < most ? *all[i] : most;
}

static void take(struct command_line *line, int option)
{
  ehlo_server_config *server = &settings.server;
  switch (option) {
  case LISTEN:
  case TLS_LISTEN: line->listen[line->listen_count++] = (struct listen_at){optarg, option == TLS_LISTEN}; break;
  case TLS_CERT: line->front.certificate = optarg; break;
  case TLS_KEY: line->front.key = optarg; break;
  case NEXT: line->next = optarg; break;
  case NEXT_TLS: settings.next_tls = read_next_tls(optarg); break;
  case NEXT_CAFILE: line->behind.authorities = optarg; break;
  case NEXT_TIMEOUT: set_next_timeout((uint32_t)option_number("--next-timeout", optarg, 1, 86400)); break;
  case HOSTNAME: server->hostname = settings.client.hostname = option_domain("--hostname", optarg); break;
  case LMTP: server->protocol = settings.client.protocol = EHLO_PROTOCOL_LMTP; break;
  case BDAT: settings.client.chunking = EHLO_CHUNKING_ALWAYS; break;
  case FILTER: settings.filter = optarg; break;
  case FILTER_TIMEOUT_: settings.filter_timeout = (unsigned)option_number("--filter-timeout", optarg, 1, 86400); break;
  case DIRECTORY: settings.directory = optarg; break;
  case XCLIENT: settings.xclient = 1; break;
  case XFORWARD: settings.xforward = 1; break;
  case MAX_SIZE: server->max_message_size = option_number("--max-size", optarg, 1, UINT64_MAX); break;
  case MAX_ERRORS: server->max_errors = (uint32_t)option_number("--max-errors", optarg, 0, UINT32_MAX); break;
  case MAX_CONNECTIONS_:
    settings.max_connections = (size_t)option_number("--max-connections", optarg, 1, UINT32_MAX);
    break;
  case TIMEOUT:
    server->command_timeout = server->content_timeout = (uint32_t)option_number("--timeout", optarg, 1, 86400);
    break;
  case HELP: fputs(usage, stdout); exit(EX_OK);
  case VERSION: show_version(); exit(EX_OK);
  default: exit(EX_USAGE); /* getopt_long has said why */
  }
}

static void check(const struct command_line *line)
{
  if (line->listen_count == 0)
    bad_usage("--listen", "an address to listen on is needed; see --help");
  if (line->next == NULL)
    bad_usage("--next", "the server to stand in front of is needed; see --help");
  if (settings.server.hostname.len == 0)
    bad_usage("--hostname", "this host's name is needed; see --help");
  if (settings.xclient && settings.xforward)
    bad_usage("--xforward", "goes without --xclient, which tells the server the same");
  if (line->behind.authorities != NULL && settings.next_tls == NEXT_TLS_OFF)
    bad_usage("--next-cafile", "goes with --next-tls require or implicit; without it there is no TLS to the server");
  if (settings.filter == NULL && (settings.directory != NULL || settings.filter_timeout != 0))
    bad_usage(settings.directory != NULL ? "--directory" : "--filter-timeout", "goes with --filter");
  if (line->front.key != NULL && line->front.certificate == NULL)
    bad_usage("--tls-key", "goes with --tls-cert");
  for (size_t i = 0; i < line->listen_count; i++) {
    if (line->listen[i].implicit && line->front.certificate == NULL)
      bad_usage("--tls-listen", "needs --tls-cert");
  }
}

static void prepare_filter(void)
{
  if (settings.filter == NULL)
    return;
  if (settings.filter_timeout == 0)
    settings.filter_timeout = FILTER_TIMEOUT;
  if (settings.directory == NULL)
    settings.directory = "/var/tmp";
  if (settings.server.max_message_size == 0)
    settings.server.max_message_size = FILTER_SIZE;
  if (!filter_can_keep())
    bad_system(settings.directory, strerror(errno));
}

static void no_tls(void)
{
  complain("TLS", tls_error());
  exit(tls_is_there() ? EX_NOINPUT : EX_UNAVAILABLE);
}

static void make_contexts(struct command_line *line)
{
  if (line->front.certificate != NULL && (settings.front_context = tls_server_context(&line->front)) == NULL)
    no_tls();
  line->behind.take_any = settings.next_tls == NEXT_TLS_TRY;
  if (settings.next_tls != NEXT_TLS_OFF && (settings.next_context = tls_client_context(&line->behind)) == NULL)
    no_tls();
}

/* What holds for all sessions, whatever the next hop offers. */
static void set_limits(void)
{
  ehlo_server_config *server = &settings.server;
  ehlo_client_config *client = &settings.client;
  int lmtp = server->protocol == EHLO_PROTOCOL_LMTP;
  server->max_pending = lmtp ? MAX_RESULTS : MAX_PENDING;
  server->pending_text = PENDING_TEXT;
  server->output_size = 4 * PENDING_TEXT;
  server->allow_8bit_orcpt = 1; /* whom it is from cannot be told here: better without ORCPT than not at all */
  if (lmtp)
    server->max_recipients = client->max_recipients = MAX_RESULTS;
  client->output_size = NEXT_OUTPUT;
  client->use[EHLO_EXT_AUTH] = settings.front_context != NULL && settings.next_tls != NEXT_TLS_OFF;
  client->hold_data = 1;
  if (ehlo_server_size(server) == 0 || ehlo_client_size(client) == 0)
    bad_usage("options", ehlo_strerror(EHLO_ERR_CONFIG));
}

void read_options(int argc, char **argv)
{
  struct command_line line = {.listen = must_allocate((size_t)argc, sizeof *line.listen)};
  int option;
  settings.max_connections = MAX_CONNECTIONS;
  ehlo_server_config_init(&settings.server, sizeof settings.server);
  ehlo_client_config_init(&settings.client, sizeof settings.client);
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
    take(&line, option);
  if (optind < argc)
    bad_usage(argv[optind], "only options are understood; see --help");
  check(&line);
  prepare_filter();
  make_contexts(&line);
  set_limits();
  addresses_find(&settings.next, "--next", line.next, 0);
  for (size_t i = 0; i < line.listen_count; i++)
    listener_open(line.listen[i].implicit ? "--tls-listen" : "--listen", line.listen[i].where, line.listen[i].implicit);
  free(line.listen);
}
