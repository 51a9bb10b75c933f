/* maild: a mail server on one thread: SMTP and LMTP in, Maildirs out.
 *
 * SPDX-License-Identifier: MIT
 *
 *     loop.c      the event loop: what is ready, whose time is up
 *     listener.c  where connections come from, and how many are let in
 *     session.c   one connection and its session of the library
 *     policy.c    what the library's events mean here
 *     checking.c  recipients that somebody else is asked about; the answer comes later
 *     delivery.c  messages into Maildirs, durably
 *     helper.c    processes that are asked things: the checker, and the writers that wait for the disk
 *     maild.c     the command line, signals, the end */
#define _GNU_SOURCE /* getopt_long */

#include "checking.h"
#include "delivery.h"
#include "listener.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum {
  OUTPUT_SIZE = 4096, /* replies to a batch leave in one write; costs idle sessions nothing */
  MAX_PENDING = 100,  /* recipients that are checked at a time */
  PATIENCE = 30,      /* seconds for a check, and for open transactions when the server is to stop */
  WRITERS = 4,
  SPARE_DESCRIPTORS = 64
};

struct settings settings;

/* ---- signals ----------------------------------------------------------------------------------------------------- */

/* A signal becomes an octet in a pipe, and so an event like others. */
static int signal_pipe[2];
static struct timer grace;
static int stops;
static unsigned patience = PATIENCE;

static void on_signal(int number)
{
  char octet = (char)number;
  int error = errno;
  (void)!write(signal_pipe[1], &octet, 1);
  errno = error;
}

static void on_grace(struct timer *timer)
{
  (void)timer;
  sessions_stop(STOP_ALL);
}

static void stop(void)
{
  if (stops++ > 0) {
    sessions_stop(STOP_AT_ONCE); /* who asks twice does not want to wait */
    return;
  }
  fprintf(stderr, "%s: stopping\n", program);
  listeners_close();
  timer_set(&grace, loop_now() + (int64_t)patience * 1000);
  sessions_stop(STOP_IN_ORDER);
}

static void on_pipe(struct source *source, unsigned events)
{
  char octets[16];
  (void)events;
  ssize_t count = read(source->fd, octets, sizeof octets);
  for (ssize_t i = 0; i < count; i++) {
    if (octets[i] == SIGUSR1)
      sessions_status();
    else
      stop();
  }
}

static void watch_signals(struct source *source)
{
  static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
    bad_system("pipe", strerror(errno));
  *source = (struct source){.fd = signal_pipe[0], .ready = on_pipe};
  loop_watch(source, LOOP_IN);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    sigaction(numbers[i], &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
  signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error of write */
  signal(SIGXFSZ, SIG_IGN); /* so is a limit on the size of files */
  signal(SIGCHLD, SIG_IGN); /* helpers are noticed by their sockets; nothing is left of them */
}

/* Descriptors for all connections and for a file each, as far as the system lets us have them. */
static void raise_limit(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < settings.max_connections + SPARE_DESCRIPTORS)
    fprintf(stderr, "%s: no more than %llu descriptors: connections over that get 421\n", program,
            (unsigned long long)limit.rlim_cur);
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: maild [options]\n"
    "\n"
    "Takes mail by SMTP and LMTP and delivers it to Maildirs.\n"
    "\n"
    "  --listen ADDRESS:PORT            take SMTP there; repeatable. [::1]:25 for IPv6, *:25 for all, port 0: any\n"
    "  --lmtp-listen ADDRESS:PORT|PATH  take LMTP there, or on a Unix socket; repeatable\n"
    "  --hostname NAME                  this host's name or address literal (localhost)\n"
    "  --domain NAME                    accept recipients at NAME; repeatable (none but <Postmaster>)\n"
    "  --refuse ADDRESS                 refuse this recipient; repeatable\n"
    "  --check-recipients COMMAND       ask this program about each recipient; see README.md\n"
    "  --check-timeout SECONDS          that it may take to answer, else 451 (30)\n"
    "  --max-pending N                  recipients of a session that are asked about at a time (100)\n"
    "  --maildir DIR                    deliver to DIR/ADDRESS, a Maildir for each recipient\n"
    "  --writers N                      processes that wait for the disk (4)\n"
    "  --discard                        accept messages and drop them\n"
    "  --max-size N                     octets in a message (0: no limit)\n"
    "  --max-recipients N               in a message (1000)\n"
    "  --max-errors N                   before 421 (20; 0: no limit)\n"
    "  --max-connections N              at a time, else 421 (10000)\n"
    "  --max-per-address N              at a time from one address or IPv6 /64 (50; 0: no limit)\n"
    "  --timeout SECONDS                that a peer may be silent (300)\n"
    "  --grace SECONDS                  that open transactions get after SIGTERM (30)\n"
    "  --quiet                          no line in the log for accepted messages\n"
    "  --poll                           use poll in place of epoll\n"
    "  --help                           show this\n"
    "\n"
    "The log goes to standard error. SIGTERM stops in order, twice: at once. SIGUSR1 logs a line of figures.\n";

struct listen_at {
  const char *option;
  const char *where;
  uint32_t protocol;
};

struct command_line {
  struct listen_at *listen;
  size_t listen_count;
  const char *check;
  unsigned check_timeout, writers;
  uint32_t max_pending;
  int by_poll;
};

static void for_both(size_t offset, uint32_t value)
{
  for (int i = EHLO_PROTOCOL_SMTP; i <= EHLO_PROTOCOL_LMTP; i++)
    memcpy((char *)&settings.config[i] + offset, &value, sizeof value);
}
#define SET(field, value) for_both(offsetof(ehlo_server_config, field), (uint32_t)(value))

static void read_options(int argc, char **argv, struct command_line *line)
{
  enum {
    LISTEN = 1,
    LMTP_LISTEN,
    HOSTNAME,
    DOMAIN,
    REFUSE,
    CHECK,
    CHECK_TIMEOUT,
    MAX_PENDING_,
    MAILDIR,
    WRITERS_,
    DISCARD,
    MAX_SIZE,
    MAX_RECIPIENTS,
    MAX_ERRORS,
    MAX_CONNECTIONS,
    MAX_PER_ADDRESS,
    TIMEOUT,
    GRACE,
    QUIET,
    POLL,
    HELP
  };
  static const struct option options[] = {
      {"listen", required_argument, NULL, LISTEN},
      {"lmtp-listen", required_argument, NULL, LMTP_LISTEN},
      {"hostname", required_argument, NULL, HOSTNAME},
      {"domain", required_argument, NULL, DOMAIN},
      {"refuse", required_argument, NULL, REFUSE},
      {"check-recipients", required_argument, NULL, CHECK},
      {"check-timeout", required_argument, NULL, CHECK_TIMEOUT},
      {"max-pending", required_argument, NULL, MAX_PENDING_},
      {"maildir", required_argument, NULL, MAILDIR},
      {"writers", required_argument, NULL, WRITERS_},
      {"discard", no_argument, NULL, DISCARD},
      {"max-size", required_argument, NULL, MAX_SIZE},
      {"max-recipients", required_argument, NULL, MAX_RECIPIENTS},
      {"max-errors", required_argument, NULL, MAX_ERRORS},
      {"max-connections", required_argument, NULL, MAX_CONNECTIONS},
      {"max-per-address", required_argument, NULL, MAX_PER_ADDRESS},
      {"timeout", required_argument, NULL, TIMEOUT},
      {"grace", required_argument, NULL, GRACE},
      {"quiet", no_argument, NULL, QUIET},
      {"poll", no_argument, NULL, POLL},
      {"help", no_argument, NULL, HELP},
      {NULL, 0, NULL, 0},
  };
  struct recipients *recipients = &settings.recipients;
  int option;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (option) {
    case LISTEN: line->listen[line->listen_count++] = (struct listen_at){"--listen", optarg, EHLO_PROTOCOL_SMTP}; break;
    case LMTP_LISTEN:
      line->listen[line->listen_count++] = (struct listen_at){"--lmtp-listen", optarg, EHLO_PROTOCOL_LMTP};
      break;
    case HOSTNAME:
      settings.config[0].hostname = settings.config[1].hostname = option_domain("--hostname", optarg);
      break;
    case DOMAIN: recipients->domains[recipients->domain_count++] = option_domain("--domain", optarg); break;
    case REFUSE: recipients->refused[recipients->refused_count++] = option_address("--refuse", optarg); break;
    case CHECK: line->check = optarg; break;
    case CHECK_TIMEOUT: line->check_timeout = (unsigned)option_number("--check-timeout", optarg, 1, 3600); break;
    case MAX_PENDING_:
      line->max_pending = (uint32_t)option_number("--max-pending", optarg, 1, EHLO_MAX_MAX_PENDING);
      break;
    case MAILDIR: settings.maildir = optarg; break;
    case WRITERS_: line->writers = (unsigned)option_number("--writers", optarg, 1, DELIVERY_WRITERS); break;
    case DISCARD: settings.discard = 1; break;
    case MAX_SIZE:
      settings.config[0].max_message_size = settings.config[1].max_message_size =
          option_number("--max-size", optarg, 0, UINT64_MAX);
      break;
    case MAX_RECIPIENTS: SET(max_recipients, option_number("--max-recipients", optarg, 1, DELIVERY_MAILBOXES)); break;
    case MAX_ERRORS: SET(max_errors, option_number("--max-errors", optarg, 0, UINT32_MAX)); break;
    case MAX_CONNECTIONS:
      settings.max_connections = (size_t)option_number("--max-connections", optarg, 1, UINT32_MAX);
      break;
    case MAX_PER_ADDRESS:
      settings.max_per_address = (size_t)option_number("--max-per-address", optarg, 0, UINT32_MAX);
      break;
    case TIMEOUT:
      SET(command_timeout, option_number("--timeout", optarg, 1, 86400));
      SET(content_timeout, option_number("--timeout", optarg, 1, 86400));
      break;
    case GRACE: patience = (unsigned)option_number("--grace", optarg, 0, 86400); break;
    case QUIET: settings.quiet = 1; break;
    case POLL: line->by_poll = 1; break;
    case HELP: fputs(usage, stdout); exit(EX_OK);
    default: exit(EX_USAGE); /* getopt_long has said why */
    }
  }
  if (optind < argc)
    bad_usage(argv[optind], "only options are understood; see --help");
  if (line->listen_count == 0)
    bad_usage("--listen", "an address to listen on is needed; see --help");
  if (settings.maildir == NULL && !settings.discard)
    bad_usage("--maildir", "a place for messages is needed (or --discard); see --help");
  if (settings.maildir != NULL && settings.discard)
    bad_usage("--discard", "goes without --maildir");
}

int main(int argc, char **argv)
{
  static char log[65536];
  struct command_line line = {.check_timeout = PATIENCE, .writers = WRITERS, .max_pending = MAX_PENDING};
  struct source signals;
  program = "maild";
  setvbuf(stderr, log, _IOFBF, sizeof log); /* written out once a round */

  line.listen = must_allocate((size_t)argc, sizeof *line.listen);
  recipients_open(&settings.recipients, (size_t)argc); /* as many as there can be */
  settings.max_connections = 10000;
  settings.max_per_address = 50;
  for (int i = EHLO_PROTOCOL_SMTP; i <= EHLO_PROTOCOL_LMTP; i++) {
    ehlo_server_config_init(&settings.config[i], sizeof settings.config[i]);
    settings.config[i].protocol = (uint32_t)i;
    /* DATA is the time to find a place for the content, which may take a while; BDAT has no such time. */
    settings.config[i].offer[EHLO_EXT_CHUNKING] = 0;
    settings.config[i].hostname = ehlo_span_of("localhost");
    settings.config[i].output_size = OUTPUT_SIZE;
  }
  read_options(argc, argv, &line);
  SET(max_pending, line.check != NULL ? line.max_pending : 1);
  if (ehlo_server_size(&settings.config[0]) == 0 || ehlo_server_size(&settings.config[1]) == 0)
    bad_usage("options", ehlo_strerror(EHLO_ERR_CONFIG));

  raise_limit();
  if (loop_open(line.by_poll) != 0)
    bad_system("epoll", strerror(errno));
  watch_signals(&signals);
  if (settings.maildir != NULL)
    delivery_open(settings.maildir, line.writers, settings.config[0].hostname);
  if (line.check != NULL)
    checking_open(line.check, line.check_timeout);
  settings.checking = line.check != NULL;
  grace.fire = on_grace;
  for (size_t i = 0; i < line.listen_count; i++)
    listener_open(line.listen[i].option, line.listen[i].where, line.listen[i].protocol);

  while (stops == 0 || sessions_count() > 0) {
    fflush(stderr);
    loop_round();
  }

  timer_stop(&grace);
  loop_forget(&signals);
  if (settings.checking)
    checking_close();
  if (settings.maildir != NULL)
    delivery_close();
  loop_close();
  recipients_close(&settings.recipients);
  free(line.listen);
  fprintf(stderr, "%s: stopped\n", program);
  return EX_OK;
}
