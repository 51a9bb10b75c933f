/* settings.c: see settings.h. A row for each option: what it is called, where its value goes, what --help says of it.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* getopt_long */
#include "settings.h"

#include "../digest.h"
#include "../tls.h"
#include "delivery.h"
#include "manager.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
  OUTPUT_SIZE = 4096, /* replies to a batch leave in one write; costs idle sessions nothing */
  RELAYED_TEXT = 384, /* of a reply of the next server; costs sessions under way as much for each recipient */
  MAX_OPTIONS = 64
};

struct settings settings = {
    .max_connections = 10000,
    .max_per_address = 50,
    .check_timeout = 30,
    .max_pending = 100, /* recipients that are checked at a time */
    .writers = 4,
    .grace = 30,
};

/* ---- the options ------------------------------------------------------------------------------------------------- */

enum what {
  HEADING, /* no option: a line of --help */
  FLAG,    /* an int becomes 1 */
  TEXT,    /* a const char * */
  NUMBER,  /* a uint64_t */
  SESSION, /* a uint32_t of all configs; `at` is its place there */
  TIMEOUT,
  MAX_SIZE,
  PLACE,     /* to listen at, for what `least` says */
  TLS_PLACE, /* the same, under TLS from the beginning */
  HOSTNAME,
  DOMAIN,
  REFUSE,
  NETWORK, /* a struct networks */
  HELP,
  VERSION
};

struct row {
  enum what what;
  const char *name, *value; /* "listen", "ADDRESS:PORT" */
  const char *help;         /* NULL: another spelling of the one before, kept for old command lines */
  size_t at;                /* in `settings` or in a config */
  uint64_t least, most;
  const char *word; /* PLACE: in the log */
};

#define OF(field)         offsetof(struct settings, field)
#define OF_SESSION(field) offsetof(ehlo_server_config, field)
#define TITLE(help)                          \
  {                                          \
    HEADING, NULL, NULL, help, 0, 0, 0, NULL \
  }
#define LISTEN(name, kind, word, help)          \
  {                                             \
    PLACE, name, "ADDR", help, 0, kind, 0, word \
  }
#define LISTEN_TLS(name, kind, word, help)          \
  {                                                 \
    TLS_PLACE, name, "ADDR", help, 0, kind, 0, word \
  }
#define SWITCH(name, field, help)                 \
  {                                               \
    FLAG, name, NULL, help, OF(field), 0, 0, NULL \
  }
#define WORD(name, value, field, help)             \
  {                                                \
    TEXT, name, value, help, OF(field), 0, 0, NULL \
  }
#define COUNT(name, value, field, least, most, help)        \
  {                                                         \
    NUMBER, name, value, help, OF(field), least, most, NULL \
  }
#define IN_CONFIG(name, value, field, least, most, help)             \
  {                                                                  \
    SESSION, name, value, help, OF_SESSION(field), least, most, NULL \
  }
#define TRUST(name, field, help)                       \
  {                                                    \
    NETWORK, name, "CIDR", help, OF(field), 0, 0, NULL \
  }
#define OTHER(what, name, value, help)         \
  {                                            \
    what, name, value, help, 0, 1, 86400, NULL \
  }

static const struct row rows[] = {
    TITLE("Where mail comes from. ADDR is ADDRESS:PORT, [::1]:25 for IPv6, *:25 for all addresses (port 0: any free\n"
          "one), or the path of a Unix socket. Each can be given several times."),
    LISTEN("listen", KIND_MX, "smtp", "take mail for the domains below from anybody (as on port 25)"),
    LISTEN("submission", KIND_SUBMISSION, "submission", "take mail from users who log in (as on port 587)"),
    LISTEN_TLS("smtps", KIND_MX, "smtps", "as --listen, under TLS from the beginning"),
    LISTEN_TLS("submissions", KIND_SUBMISSION, "submissions",
               "as --submission, under TLS from the beginning (port 465)"),
    LISTEN("lmtp", KIND_LMTP, "lmtp", "take mail by LMTP, from a mail server beside this one"),
    LISTEN("lmtp-listen", KIND_LMTP, "lmtp", "the same"),
    OTHER(HOSTNAME, "hostname", "NAME", "this host's name or address literal (localhost)"),

    TITLE("Whom it is for"),
    OTHER(DOMAIN, "domain", "NAME", "accept recipients at NAME; repeatable (none but <Postmaster>)"),
    OTHER(REFUSE, "refuse", "ADDRESS", "refuse this recipient; repeatable"),
    WORD("aliases", "FILE", aliases,
         "only who is an alias there, or has a Maildir; see maild(8). Read again at SIGHUP"),
    SWITCH("allow-vrfy", allow_vrfy, "VRFY tells who of them is there"),
    SWITCH("allow-expn", allow_expn, "EXPN tells who gets the mail for an alias"),
    WORD("check-recipients", "COMMAND", check, "ask this program about each recipient; see README.md"),
    COUNT("check-timeout", "SECONDS", check_timeout, 1, 3600, "that it may take to answer, else 451 (30)"),
    COUNT("max-pending", "N", max_pending, 1, EHLO_MAX_MAX_PENDING,
          "recipients of a session that it, or the next server, is asked about at a time (100)"),

    TITLE("Who may log in"),
    WORD("passwords", "FILE", passwords, "users and hashes of their passwords; for --submission. Read again at SIGHUP"),
    WORD("hash-password", "NAME", hash_password, "read a password from standard input and show its line for that file"),

    TITLE("TLS"),
    WORD("tls-cert", "FILE", tls_cert, "certificate and chain in PEM: STARTTLS is offered. Read again at SIGHUP"),
    WORD("tls-key", "FILE", tls_key, "its private key (in the same file)"),

    TITLE("Where it goes"),
    WORD("maildir", "DIR", maildir, "deliver to DIR/ADDRESS, a Maildir for each recipient"),
    COUNT("writers", "N", writers, 1, DELIVERY_WRITERS, "processes that wait for the disk (4)"),
    SWITCH("discard", discard, "accept messages and drop them"),

    WORD("relay-to", "HOST:PORT", relay_to, "pass mail of users for other domains on to this server"),
    SWITCH("relay-tls", relay_tls_required,
           "only under TLS with a certificate for HOST; else TLS is used if it is there"),
    WORD("relay-login", "FILE", relay_login,
         "log in there, with NAME:PASSWORD from the first line of FILE. Read again at SIGHUP"),

    TITLE("Who is believed who the client is. CIDR is 192.0.2.0/24, 2001:db8::/32, an address, or local for Unix "
          "sockets"),
    TRUST("proxy-protocol", balancers, "balancers there begin with HAProxy's PROXY protocol, 1 or 2; repeatable"),
    TRUST("xclient", xclient, "peers there may use Postfix's XCLIENT; repeatable"),

    TITLE("Limits"),
    OTHER(MAX_SIZE, "max-size", "N", "octets in a message (0: no limit)"),
    IN_CONFIG("max-recipients", "N", max_recipients, 1, DELIVERY_MAILBOXES, "in a message (1000)"),
    IN_CONFIG("max-errors", "N", max_errors, 0, UINT32_MAX, "before 421 (20; 0: no limit)"),
    COUNT("max-connections", "N", max_connections, 1, UINT32_MAX, "at a time, else 421 (10000)"),
    COUNT("max-per-address", "N", max_per_address, 0, UINT32_MAX,
          "at a time from one address or IPv6 /64 (50; 0: no limit)"),
    OTHER(TIMEOUT, "timeout", "SECONDS", "that a peer may be silent (300)"),

    TITLE("How it runs"),
    WORD("user", "NAME", user, "become this user once sockets and keys are open"),
    COUNT("processes", "N", processes, 1, 256, "so many serve the same sockets; limits are for each of them (1)"),
    WORD("metrics", "FILE", metrics, "where SIGUSR1 writes figures (the log); of N processes each to FILE.n"),
    COUNT("grace", "SECONDS", grace, 0, 86400, "that open transactions get after SIGTERM (30)"),
    SWITCH("quiet", quiet, "no line in the log for accepted messages"),
    SWITCH("poll", by_poll, "use poll in place of epoll"),
    OTHER(HELP, "help", NULL, "show this"),
    OTHER(VERSION, "version", NULL, "show the version"),
};
enum { ROWS = sizeof rows / sizeof *rows };

static _Noreturn void show_help(void)
{
  puts("usage: maild [options]\n\nTakes mail by SMTP and LMTP and delivers it to Maildirs.");
  for (size_t i = 0; i < ROWS; i++) {
    char words[64];
    if (rows[i].what == HEADING) {
      printf("\n%s\n", rows[i].help);
    } else if (rows[i].help != NULL) {
      snprintf(words, sizeof words, "--%s %s", rows[i].name, rows[i].value == NULL ? "" : rows[i].value);
      printf("  %-28s %s\n", words, rows[i].help);
    }
  }
  puts("\nSockets of a systemd unit are taken by FileDescriptorName=: smtp, smtps, submission, submissions or lmtp.\n"
       "\nThe log goes to standard error. SIGTERM stops in order, twice: at once. SIGUSR1 logs figures.\n"
       "SIGHUP reads certificates, passwords and aliases again. SIGUSR2 starts a new maild, which takes the sockets "
       "over.");
  exit(EX_OK);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void for_all(size_t at, const void *value, size_t size)
{
  for (size_t i = 0; i < KINDS; i++)
    memcpy((char *)&settings.config[i] + at, value, size);
}

static void take_number(const struct row *row, const char *option, const char *text)
{
  uint64_t value = option_number(option, text, row->what == MAX_SIZE ? 0 : row->least,
                                 row->what == MAX_SIZE ? UINT64_MAX : row->most);
  uint32_t small = (uint32_t)value;
  switch (row->what) {
  case NUMBER: memcpy((char *)&settings + row->at, &value, sizeof value); break;
  case SESSION: for_all(row->at, &small, sizeof small); break;
  case MAX_SIZE: for_all(OF_SESSION(max_message_size), &value, sizeof value); break;
  default:
    for_all(OF_SESSION(command_timeout), &small, sizeof small);
    for_all(OF_SESSION(content_timeout), &small, sizeof small);
    break;
  }
}

static void add_network(struct networks *networks, const char *option, const char *text)
{
  networks->list = realloc(networks->list, (networks->count + 1) * sizeof *networks->list);
  if (networks->list == NULL || network_parse(&networks->list[networks->count++], text) != 0)
    bad_usage(option, "a network is needed: 192.0.2.0/24, 2001:db8::/32, an address, or local");
}

static void take(const struct row *row, char *text)
{
  struct recipients *recipients = &settings.recipients;
  static char option[40];
  static const int one = 1;
  ehlo_span hostname;
  snprintf(option, sizeof option, "--%s", row->name);
  switch (row->what) {
  case FLAG: memcpy((char *)&settings + row->at, &one, sizeof one); break;
  case TEXT: memcpy((char *)&settings + row->at, &text, sizeof text); break;
  case PLACE:
  case TLS_PLACE:
    settings.places[settings.place_count++] = (struct place){.option = row->name,
                                                             .where = text,
                                                             .word = row->word,
                                                             .kind = (uint8_t)row->least,
                                                             .tls = row->what == TLS_PLACE};
    break;
  case HOSTNAME:
    hostname = option_domain(option, text);
    for_all(OF_SESSION(hostname), &hostname, sizeof hostname);
    break;
  case DOMAIN: recipients->domains[recipients->domain_count++] = option_domain(option, text); break;
  case REFUSE: recipients->refused[recipients->refused_count++] = option_address(option, text); break;
  case NETWORK: add_network((struct networks *)(void *)((char *)&settings + row->at), option, text); break;
  case HELP: show_help();
  case VERSION: show_version(); exit(EX_OK);
  default: take_number(row, option, text); break;
  }
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void set_defaults(void)
{
  for (uint32_t i = 0; i < KINDS; i++) {
    ehlo_server_config *config = &settings.config[i];
    ehlo_server_config_preset(config, sizeof *config, i);
    config->hostname = ehlo_span_of("localhost");
    config->output_size = OUTPUT_SIZE;
    config->offer[EHLO_EXT_DSN] = 0; /* who offers it has to send notifications */
    if (i == KIND_SUBMISSION)
      config->mechanisms |= 1U << EHLO_SASL_SCRAM_SHA_256;
  }
}

static void need(const struct place *place, const void *what, const char *why)
{
  char option[40];
  snprintf(option, sizeof option, "--%s", place->option);
  if (what == NULL)
    bad_usage(option, why);
}

/* Sockets that a service manager has opened, named after the option that would have opened them. */
static void take_handed_over(void)
{
  for (int at = 0; at < manager_sockets(); at++) {
    const char *name = manager_name(at);
    const struct row *row = NULL;
    if (strncmp(name, "place", 5) == 0)
      continue; /* one of the command line's, from the maild before this one */
    for (size_t i = 0; i < ROWS && row == NULL; i++) {
      if (rows[i].word != NULL && strcmp(rows[i].word, strcmp(name, "unknown") == 0 ? "smtp" : name) == 0)
        row = &rows[i];
    }
    if (row == NULL)
      bad_usage(name, "FileDescriptorName= is to be smtp, smtps, submission, submissions or lmtp");
    settings.places[settings.place_count++] = (struct place){.option = row->name,
                                                             .where = "a socket that was handed over",
                                                             .word = row->word,
                                                             .kind = (uint8_t)row->least,
                                                             .tls = row->what == TLS_PLACE,
                                                             .handed_over = 1,
                                                             .descriptor = manager_descriptor(at)};
  }
}

/* What one option needs of another. */
static void check_tls(void)
{
  if (settings.tls_key != NULL && settings.tls_cert == NULL)
    bad_usage("--tls-key", "goes with --tls-cert");
  if (settings.tls_cert != NULL && !tls_is_there())
    bad_usage("--tls-cert", "this maild was built without OpenSSL, which it needs for TLS");
  if (settings.passwords != NULL && !digest_is_there())
    bad_usage("--passwords", "this maild was built without OpenSSL, which it needs for them");
  for (size_t i = 0; i < settings.place_count; i++) {
    if (settings.places[i].tls)
      need(&settings.places[i], settings.tls_cert, "--tls-cert is needed for TLS");
    if (settings.places[i].kind == KIND_SUBMISSION)
      need(&settings.places[i], settings.passwords, "--passwords is needed for those who log in");
  }
  for (size_t i = 0; i < KINDS; i++)
    settings.config[i].offer[EHLO_EXT_STARTTLS] = settings.tls_cert != NULL;
}

static int listens_for(int kind)
{
  for (size_t i = 0; i < settings.place_count; i++) {
    if (settings.places[i].kind == kind)
      return 1;
  }
  return 0;
}

static void check(void)
{
  if (settings.hash_password != NULL)
    return;
  take_handed_over();
  if (settings.place_count == 0)
    bad_usage("--listen", "an address to listen on is needed; see --help");
  if (settings.maildir == NULL && !settings.discard)
    bad_usage("--maildir", "a place for messages is needed (or --discard); see --help");
  if (settings.maildir != NULL && settings.discard)
    bad_usage("--discard", "goes without --maildir");
  if (settings.aliases == NULL && (settings.allow_vrfy || settings.allow_expn))
    bad_usage(settings.allow_vrfy ? "--allow-vrfy" : "--allow-expn", "goes with --aliases");
  for (size_t i = 0; i < KINDS; i++) {
    settings.config[i].offer[EHLO_EXT_VRFY] = (uint8_t)settings.allow_vrfy;
    settings.config[i].offer[EHLO_EXT_EXPN] = (uint8_t)settings.allow_expn;
    settings.config[i].offer[EHLO_EXT_XCLIENT] = settings.xclient.count > 0;
  }
  check_tls();
  uint32_t pending = settings.check != NULL ? (uint32_t)settings.max_pending : 1;
  for_all(OF_SESSION(max_pending), &pending, sizeof pending);
  if (settings.relay_to != NULL) {
    settings.config[KIND_SUBMISSION].max_pending = (uint32_t)settings.max_pending;
    settings.config[KIND_SUBMISSION].pending_text = RELAYED_TEXT;
  }
  if (settings.relay_to != NULL && !listens_for(KIND_SUBMISSION))
    bad_usage("--relay-to", "goes with --submission or --submissions: it is for those who log in there");
  if (settings.relay_tls_required && (settings.relay_to == NULL || !tls_is_there()))
    bad_usage("--relay-tls", tls_is_there() ? "goes with --relay-to" : "this maild was built without OpenSSL");
  if (settings.relay_login != NULL && !settings.relay_tls_required)
    bad_usage("--relay-login", "goes with --relay-tls: a password is for that server alone");
  for (size_t i = 0; i < KINDS; i++) {
    if (ehlo_server_size(&settings.config[i]) == 0)
      bad_usage("options", ehlo_strerror(EHLO_ERR_CONFIG));
  }
}

void settings_read(int argc, char **argv)
{
  struct option options[MAX_OPTIONS] = {0};
  int option, count = 0, index[MAX_OPTIONS];
  settings.places = must_allocate((size_t)(argc + manager_sockets()), sizeof *settings.places);
  recipients_open(&settings.recipients, (size_t)argc); /* as many as there can be */
  set_defaults();
  for (int i = 0; i < ROWS; i++) {
    if (rows[i].what == HEADING)
      continue;
    options[count].name = rows[i].name;
    options[count].has_arg = rows[i].value != NULL ? required_argument : no_argument;
    index[count++] = i;
  }
  for (int at; (option = getopt_long(argc, argv, "", options, &at)) != -1;) {
    if (option != 0)
      exit(EX_USAGE); /* getopt_long has said why */
    take(&rows[index[at]], optarg);
  }
  if (optind < argc)
    bad_usage(argv[optind], "only options are understood; see --help");
  check();
}

void settings_forget(void)
{
  recipients_close(&settings.recipients);
  free(settings.places);
  free(settings.balancers.list);
  free(settings.xclient.list);
}
