/* stdio-server: a small SMTP or LMTP server on standard input and output, as inetd would run it.
 *
 * SPDX-License-Identifier: MIT
 *
 * A host of libehlo to copy from. The library knows the protocol; what is left is what every host decides for itself:
 *
 *     serve       the loop: write what is owed, feed what was read, keep the clock
 *     on_event    policy: whom to take mail for, and what to do with the content
 *     store       what a 250 promises: the message is on the disk before it is said
 *     trace       the dialogue and the events, readable, on standard error
 *     main        the options
 *
 * Each accepted message becomes two files in the spool: NAME.eml, its octets exactly as they were sent (without the
 * dots that the protocol adds), and NAME.env, a line "FROM:address" and then a line "TO:address" for each recipient.
 * Names sort in the order of acceptance. Whoever works the spool off looks for .env files: their .eml is there
 * already.
 *
 * Nothing is deferred here: each verdict is given in the handler that is asked for it. What a handler leaves open gets
 * the library's safe answer, which for recipients and messages is 451. */
#define _GNU_SOURCE /* getopt_long, ppoll */

#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
  READ_SIZE = 65536,
  LAST_WORDS = 10, /* seconds that the peer gets to read the last reply */
  LINGER = 2,      /* seconds that a socket is drained before it is closed */
  NAME_SIZE = 64,
  FILE_NAME_SIZE = NAME_SIZE + 8
};

struct host {
  /* From the command line. */
  struct recipients recipients; /* --domain, --refuse */
  const char *spool_name;
  int spool; /* the open directory, or -1 */
  int trace;

  /* The clock: the epoch that the session told last, and when its time is up, in milliseconds. */
  uint64_t epoch;
  int64_t deadline;
  int closing;

  /* --trace. */
  int inside_line; /* the last octet shown was inside a reply */
  int hide;        /* the last command was AUTH */

  /* The open transaction. */
  FILE *envelope; /* writes to text, which will be NAME.env */
  char *text;
  size_t text_size;
  FILE *content;                     /* writes to content_file, which will be NAME.eml */
  char content_file[FILE_NAME_SIZE]; /* temporary names in the spool; empty when there is no such file */
  char envelope_file[FILE_NAME_SIZE];
  char name[NAME_SIZE];
  int tried, stored; /* was store called, and did it succeed? */
};

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int number)
{
  (void)number;
  stop_asked = 1;
}

/* ---- trace ------------------------------------------------------------------------------------------------------- */

/* A line of the peer's. No AUTH is offered here, which stops no client from sending a password: neither its line nor
 * what follows it until the next proper command is shown. */
static void trace_line(struct host *host, uint32_t verb, ehlo_span line)
{
  size_t blank = 0;
  while (blank < line.len && (line.ptr[blank] == ' ' || line.ptr[blank] == '\t'))
    blank++;
  if (verb != EHLO_VERB_UNKNOWN && verb != EHLO_VERB_LINE)
    host->hide = 0;
  else if (line.len - blank >= 4 && ehlo_span_equal_nocase((ehlo_span){line.ptr + blank, 4}, ehlo_span_of("AUTH")))
    host->hide = 1;
  fputs("C: ", stderr);
  if (host->hide)
    fputs("(not shown)", stderr);
  else
    print_octets(stderr, line, 1);
  fputc('\n', stderr);
}

static void trace_replies(struct host *host, const char *octets, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    if (!host->inside_line)
      fputs("S: ", stderr);
    host->inside_line = octets[i] != '\n';
    if (octets[i] == '\n')
      fputc('\n', stderr);
    else if (octets[i] != '\r')
      print_octets(stderr, (ehlo_span){octets + i, 1}, 1);
  }
}

static void trace_path(const char *word, ehlo_span path, ehlo_span parameters)
{
  fprintf(stderr, " %s ", word);
  print_octets(stderr, path, 1);
  if (parameters.len > 0)
    fputc(' ', stderr);
  print_octets(stderr, parameters, 1);
}

/* COMMAND and REPLY are the dialogue itself: "C:" here, "S:" when the octets go out. Events are set in. */
static void trace_event(struct host *host, const ehlo_event *event)
{
  const ehlo_event_union *as = &event->as;
  if (event->type == EHLO_EVENT_COMMAND)
    trace_line(host, as->command.verb, as->command.line);
  if (event->type == EHLO_EVENT_COMMAND || event->type == EHLO_EVENT_REPLY)
    return;
  if (event->type == EHLO_EVENT_VIOLATION && as->violation.verb == EHLO_VERB_LINE)
    trace_line(host, EHLO_VERB_LINE, as->violation.octets); /* no command, so no COMMAND event showed it */
  fprintf(stderr, "        %s", ehlo_event_name(event->type));
  switch (event->type) {
  case EHLO_EVENT_HELLO: trace_path("from", as->hello.domain.raw, as->hello.text); break;
  case EHLO_EVENT_MAIL: trace_path("from", as->mail.path.raw, as->mail.raw); break;
  case EHLO_EVENT_RCPT: trace_path("to", as->rcpt.path.raw, as->rcpt.raw); break;
  case EHLO_EVENT_BODY: fprintf(stderr, " %llu octets so far", (unsigned long long)as->body.octets); break;
  case EHLO_EVENT_MESSAGE: fprintf(stderr, " %llu octets", (unsigned long long)as->message.octets); break;
  case EHLO_EVENT_RESULT: fprintf(stderr, " for recipient %u", (unsigned)as->result.ordinal + 1); break;
  case EHLO_EVENT_END: fprintf(stderr, " %s", ehlo_end_name(as->end.reason)); break;
  case EHLO_EVENT_VIOLATION: fprintf(stderr, " %s", ehlo_violation_name(as->violation.kind)); break;
  default: break;
  }
  fputc('\n', stderr);
}

/* ---- the spool --------------------------------------------------------------------------------------------------- */

/* A name that sorts behind all earlier ones and is no other process's: the time, then the process. Within a process
 * time moves on even where its clock does not. */
static void make_name(char name[NAME_SIZE])
{
  static struct timespec last;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec <= last.tv_nsec)) {
    now = last;
    now.tv_nsec++;
    if (now.tv_nsec == 1000000000) {
      now.tv_nsec = 0;
      now.tv_sec++;
    }
  }
  last = now;
  snprintf(name, NAME_SIZE, "%010lld-%09ld-%07ld", (long long)now.tv_sec, now.tv_nsec, (long)getpid());
}

/* Opens a new file in the spool, under a name that whoever works it off does not look at. */
static FILE *create(struct host *host, char file_name[FILE_NAME_SIZE])
{
  char name[NAME_SIZE];
  make_name(name);
  snprintf(file_name, FILE_NAME_SIZE, ".%s.tmp", name);
  int fd = openat(host->spool, file_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    file_name[0] = '\0';
    return NULL;
  }
  FILE *file = fdopen(fd, "w");
  if (file == NULL)
    close(fd);
  return file;
}

/* Closes a file, and tells whether every octet is on the disk: not merely with the kernel, not merely some of them. */
static int finish(FILE *file)
{
  int on_disk = !ferror(file) && fflush(file) == 0 && fsync(fileno(file)) == 0;
  return fclose(file) == 0 && on_disk;
}

static int put_in_place(struct host *host, char file_name[FILE_NAME_SIZE], const char *suffix)
{
  char final[FILE_NAME_SIZE];
  snprintf(final, sizeof final, "%s%s", host->name, suffix);
  if (renameat(host->spool, file_name, host->spool, final) != 0)
    return 0;
  memcpy(file_name, final, sizeof final); /* until all has succeeded it is still ours to remove */
  return 1;
}

/* Both files whole on the disk under temporary names, then renamed, the .eml first, then the directory itself on the
 * disk: whenever the power goes, either there is no .env or the message is complete. */
static int store(struct host *host)
{
  FILE *content = host->content;
  FILE *envelope = create(host, host->envelope_file);
  int written = envelope != NULL && fflush(host->envelope) == 0 && !ferror(host->envelope) &&
                fwrite(host->text, 1, host->text_size, envelope) == host->text_size;
  if (envelope != NULL)
    written = finish(envelope) && written;
  host->content = NULL;
  written = finish(content) && written;
  make_name(host->name);
  if (!written || !put_in_place(host, host->content_file, ".eml") || !put_in_place(host, host->envelope_file, ".env") ||
      fsync(host->spool) != 0)
    return 0;
  host->content_file[0] = host->envelope_file[0] = '\0';
  return 1;
}

/* Forgets the transaction, and removes what there is of files that did not become a message. */
static void discard(struct host *host)
{
  if (host->content != NULL)
    fclose(host->content);
  if (host->envelope_file[0] != '\0')
    unlinkat(host->spool, host->envelope_file, 0);
  if (host->content_file[0] != '\0')
    unlinkat(host->spool, host->content_file, 0);
  if (host->envelope != NULL)
    fclose(host->envelope);
  free(host->text);
  host->content = host->envelope = NULL;
  host->content_file[0] = host->envelope_file[0] = '\0';
  host->text = NULL;
  host->tried = host->stored = 0;
}

/* ---- policy ------------------------------------------------------------------------------------------------------ */

static const char cannot_store[] = "The message cannot be stored now";

static int fail(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  complain(host->spool_name, strerror(errno));
  return answer(server, event, 451, "4.3.0", cannot_store);
}

/* The mailbox is the path without brackets and source route; that of <> is empty. */
static int add_line(FILE *envelope, const char *word, ehlo_span mailbox)
{
  return fputs(word, envelope) != EOF && fwrite(mailbox.ptr, 1, mailbox.len, envelope) == mailbox.len &&
         fputc('\n', envelope) != EOF;
}

static int on_mail(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  discard(host); /* a MAIL that was refused below has no END */
  host->envelope = open_memstream(&host->text, &host->text_size);
  if (host->envelope == NULL || !add_line(host->envelope, "FROM:", event->as.mail.path.mailbox))
    return answer(server, event, 451, "4.3.0", NULL);
  return answered(ehlo_server_accept(server, event->ticket));
}

static int on_rcpt(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_path *path = &event->as.rcpt.path;
  struct verdict verdict = recipients_judge(&host->recipients, path);
  if (verdict.code != 250)
    return answer(server, event, verdict.code, verdict.enhanced, verdict.text);
  if (!add_line(host->envelope, "TO:", path->mailbox))
    return answer(server, event, 451, "4.3.0", NULL);
  return answered(ehlo_server_accept(server, event->ticket));
}

static int on_data(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  if (host->spool < 0)
    return answer(server, event, 451, "4.3.0", "This server has no spool");
  host->content = create(host, host->content_file);
  if (host->content == NULL)
    return fail(host, server, event);
  return answered(ehlo_server_accept(server, event->ticket));
}

/* A refusal here is final: the library drains the rest of the content, and gives the reply where the protocol wants
 * it. */
static int on_body(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  const ehlo_event_body *body = &event->as.body;
  for (size_t i = 0; i < body->count; i++) {
    if (fwrite(body->spans[i].ptr, 1, body->spans[i].len, host->content) != body->spans[i].len)
      return fail(host, server, event);
  }
  return EHLO_HANDLED;
}

/* In LMTP this is asked for each recipient. The message is stored once, for all of them. */
static int on_verdict(struct host *host, ehlo_server *server, const ehlo_event *event)
{
  char text[NAME_SIZE + 32];
  if (!host->tried) {
    host->tried = 1;
    host->stored = store(host);
    if (!host->stored)
      complain(host->spool_name, strerror(errno));
    else if (host->trace)
      fprintf(stderr, "        stored as %s\n", host->name);
  }
  if (!host->stored)
    return answer(server, event, 451, "4.3.0", cannot_store);
  snprintf(text, sizeof text, "Message accepted as %s", host->name);
  return answer(server, event, 250, NULL, text);
}

static int on_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct host *host = user;
  if (host->trace)
    trace_event(host, event);
  switch (event->type) {
  case EHLO_EVENT_MAIL: return on_mail(host, server, event);
  case EHLO_EVENT_RCPT: return on_rcpt(host, server, event);
  case EHLO_EVENT_DATA: return on_data(host, server, event);
  case EHLO_EVENT_BODY: return on_body(host, server, event);
  case EHLO_EVENT_MESSAGE:
  case EHLO_EVENT_RESULT: return on_verdict(host, server, event);
  case EHLO_EVENT_END: discard(host); return EHLO_HANDLED;
  default: return EHLO_HANDLED; /* the safe answer: 220, 250 to EHLO, 252 to VRFY, 502 to TURN ... */
  }
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static int64_t milliseconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the descriptor is ready, and returns 1. When the peer's time is up first, or this process is asked to
 * stop, it tells the session so and returns 0: what is to be done then is what the session wants then.
 *
 * The descriptors stay blocking, because others may share them; so each read and write is waited for. What is written
 * at a time (output_size, 1,024 octets) is too little to block when there is room at all. */
static int wait_for(struct host *host, ehlo_server *server, int fd, short what)
{
  uint64_t epoch;
  uint32_t seconds = ehlo_server_timeout(server, &epoch);
  int closing = (ehlo_server_want(server) & EHLO_WANT_CLOSE) != 0;
  if (closing)
    seconds = LAST_WORDS;
  if (host->deadline == 0 || epoch != host->epoch || closing != host->closing)
    host->deadline = milliseconds() + (int64_t)seconds * 1000;
  host->epoch = epoch;
  host->closing = closing;

  int64_t left = host->deadline - milliseconds();
  if (left < 0)
    left = 0;
  struct timespec timeout = {(time_t)(left / 1000), (long)(left % 1000) * 1000000};
  struct pollfd ready = {.fd = fd, .events = what};
  sigset_t none; /* the signals that ask to stop are let in only here, where nothing is half done */
  sigemptyset(&none);
  int count = stop_asked ? -1 : ppoll(&ready, 1, seconds == 0 ? NULL : &timeout, &none);
  if (count > 0)
    return 1;
  if (count < 0 && !stop_asked)
    return 0; /* another signal */
  if (closing)
    ehlo_server_lost(server);
  else if (count == 0)
    ehlo_server_timed_out(server);
  else
    ehlo_server_shutdown(server, 421, "4.3.2", ehlo_span_of(NULL));
  stop_asked = 0;
  return 0;
}

static void write_some(struct host *host, ehlo_server *server)
{
  size_t size;
  const void *octets = ehlo_server_output(server, &size);
  if (!wait_for(host, server, STDOUT_FILENO, POLLOUT))
    return;
  ssize_t count = write(STDOUT_FILENO, octets, size);
  if (count < 0 && errno != EINTR && errno != EAGAIN)
    ehlo_server_lost(server);
  if (count <= 0)
    return;
  if (host->trace)
    trace_replies(host, octets, (size_t)count);
  ehlo_server_sent(server, (size_t)count);
}

/* A socket that is closed with unread octets in it is reset, and the peer may then never see the last reply. So the
 * peer is told that nothing more will come, and what it still says is thrown away for a moment. */
static void linger(void)
{
  char scrap[1024];
  struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
  int64_t deadline = milliseconds() + LINGER * 1000;
  if (shutdown(STDOUT_FILENO, SHUT_WR) != 0)
    return; /* no socket: a pipe or a terminal loses nothing */
  for (;;) {
    int64_t left = deadline - milliseconds();
    if (left <= 0 || poll(&ready, 1, (int)left) <= 0 || read(STDIN_FILENO, scrap, sizeof scrap) <= 0)
      return;
  }
}

static void serve(struct host *host, ehlo_server *server)
{
  static char buffer[READ_SIZE];
  size_t from = 0; /* what was read and not yet consumed is buffer[from] to buffer[held - 1] */
  size_t held = 0;
  ehlo_server_start(server);
  for (;;) {
    uint32_t want = ehlo_server_want(server);
    size_t consumed = 0;
    if (want & EHLO_WANT_WRITE) {
      write_some(host, server);
    } else if (want & EHLO_WANT_CLOSE) {
      break;
    } else if (want & EHLO_WANT_FEED) {
      ehlo_server_feed(server, buffer + from, held - from, &consumed);
      from += consumed;
    } else if (wait_for(host, server, STDIN_FILENO, POLLIN)) {
      ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
      if (count < 0 && (errno == EINTR || errno == EAGAIN))
        continue;
      from = 0;
      held = count < 0 ? 0 : (size_t)count;
      if (count < 0)
        ehlo_server_lost(server);
      else if (count == 0)
        ehlo_server_eof(server);
      else
        ehlo_server_feed(server, buffer, held, &from);
    }
  }
  linger();
}

/* ---- the command line -------------------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: stdio-server [options]\n"
    "\n"
    "Speaks SMTP on standard input and output, and stores the messages that it accepts.\n"
    "\n"
    "  --hostname NAME         this host's name or address literal (localhost)\n"
    "  --domain NAME           accept recipients at NAME; repeatable (none but <Postmaster>)\n"
    "  --refuse ADDRESS        refuse this recipient; repeatable\n"
    "  --spool DIR             store messages there as NAME.eml and NAME.env (none: refuse them with 451)\n"
    "  --lmtp                  speak LMTP\n"
    "  --max-size N            octets in a message (0: no limit)\n"
    "  --max-recipients N      in a message (1000)\n"
    "  --max-errors N          before 421 (20; 0: no limit)\n"
    "  --smtputf8 on|off       internationalized addresses (on)\n"
    "  --verbs LIST            turn on some of send,soml,saml,expn,turn\n"
    "  --trace                 show the dialogue and the events on standard error\n"
    "  --help                  show this\n";

static uint8_t on_off(const char *option, const char *text)
{
  if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
    bad_usage(option, "on or off is needed");
  return text[1] == 'n';
}

static void turn_on(ehlo_server_config *config, const char *list)
{
  static const uint32_t verbs[] = {EHLO_EXT_SEND, EHLO_EXT_SOML, EHLO_EXT_SAML, EHLO_EXT_EXPN, EHLO_EXT_TURN};
  const size_t count = sizeof verbs / sizeof *verbs;
  for (;;) {
    ehlo_span verb = {list, strcspn(list, ",")};
    size_t i = 0;
    while (i < count && !ehlo_span_equal_nocase(verb, ehlo_span_of(ehlo_extension_keyword(verbs[i]))))
      i++;
    if (i == count)
      bad_usage("--verbs", "only send, soml, saml, expn and turn can be turned on");
    config->offer[verbs[i]] = 1;
    if (list[verb.len] == '\0')
      return;
    list += verb.len + 1;
  }
}

static void open_spool(struct host *host, const char *name)
{
  if (host->spool >= 0)
    close(host->spool);
  host->spool_name = name;
  host->spool = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (host->spool < 0)
    bad_usage(name, strerror(errno));
}

static void read_options(int argc, char **argv, struct host *host, ehlo_server_config *config)
{
  enum {
    HOSTNAME = 1,
    DOMAIN,
    REFUSE,
    SPOOL,
    LMTP,
    MAX_SIZE,
    MAX_RECIPIENTS,
    MAX_ERRORS,
    SMTPUTF8,
    VERBS,
    TRACE,
    HELP
  };
  static const struct option options[] = {
      {"hostname", required_argument, NULL, HOSTNAME},
      {"domain", required_argument, NULL, DOMAIN},
      {"refuse", required_argument, NULL, REFUSE},
      {"spool", required_argument, NULL, SPOOL},
      {"lmtp", no_argument, NULL, LMTP},
      {"max-size", required_argument, NULL, MAX_SIZE},
      {"max-recipients", required_argument, NULL, MAX_RECIPIENTS},
      {"max-errors", required_argument, NULL, MAX_ERRORS},
      {"smtputf8", required_argument, NULL, SMTPUTF8},
      {"verbs", required_argument, NULL, VERBS},
      {"trace", no_argument, NULL, TRACE},
      {"help", no_argument, NULL, HELP},
      {NULL, 0, NULL, 0},
  };
  struct recipients *hosts = &host->recipients;
  int option;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (option) {
    case HOSTNAME: config->hostname = option_domain("--hostname", optarg); break;
    case DOMAIN: hosts->domains[hosts->domain_count++] = option_domain("--domain", optarg); break;
    case REFUSE: hosts->refused[hosts->refused_count++] = option_address("--refuse", optarg); break;
    case SPOOL: open_spool(host, optarg); break;
    case LMTP: config->protocol = EHLO_PROTOCOL_LMTP; break;
    case MAX_SIZE: config->max_message_size = option_number("--max-size", optarg, 0, UINT64_MAX); break;
    case MAX_RECIPIENTS:
      config->max_recipients = (uint32_t)option_number("--max-recipients", optarg, 1, UINT32_MAX);
      break;
    case MAX_ERRORS: config->max_errors = (uint32_t)option_number("--max-errors", optarg, 0, UINT32_MAX); break;
    case SMTPUTF8: config->offer[EHLO_EXT_SMTPUTF8] = on_off("--smtputf8", optarg); break;
    case VERBS: turn_on(config, optarg); break;
    case TRACE: host->trace = 1; break;
    case HELP: fputs(usage, stdout); exit(EX_OK);
    default: exit(EX_USAGE); /* getopt_long has said why */
    }
  }
  if (optind < argc)
    bad_usage(argv[optind], "only options are understood; see --help");
}

int main(int argc, char **argv)
{
  program = "stdio-server";
  struct host host = {.spool = -1};
  ehlo_server_config config;
  ehlo_server *server;

  ehlo_server_config_init(&config, sizeof config);
  config.hostname = ehlo_span_of("localhost");
  recipients_open(&host.recipients, (size_t)argc); /* as many as there can be */
  read_options(argc, argv, &host, &config);

  size_t size = ehlo_server_size(&config);
  if (size == 0)
    bad_usage("options", ehlo_strerror(EHLO_ERR_CONFIG));
  void *memory = malloc(size);
  if (memory == NULL) {
    complain("memory", strerror(errno));
    return EX_OSERR;
  }
  int error = ehlo_server_init(&server, memory, size, &config, on_event, &host);
  if (error != EHLO_OK) {
    complain("init", ehlo_strerror(error));
    return EX_SOFTWARE;
  }

  /* A peer that goes away is an error of write, not the end of this process in the middle of a message. */
  signal(SIGPIPE, SIG_IGN);
  struct sigaction stop = {.sa_handler = ask_to_stop};
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  sigprocmask(SIG_BLOCK, &stops, NULL);
  sigaction(SIGTERM, &stop, NULL);
  sigaction(SIGINT, &stop, NULL);
  setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* --trace writes many small pieces */

  serve(&host, server);

  discard(&host);
  free(memory);
  recipients_close(&host.recipients);
  if (host.spool >= 0)
    close(host.spool);
  return EX_OK;
}
