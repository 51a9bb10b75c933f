/* options.c: the command line.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* getopt_long */
#include "stdio-server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

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
    "  --chunking on|off       content by BDAT (on)\n"
    "  --auth USER:PASSWORD    who can log in, by PLAIN or LOGIN; repeatable (nobody). In clear too\n"
    "  --auth-requires-tls     ... but not in clear\n"
    "  --starttls-in-clear     for tests: answer STARTTLS, and go on as if there had been a handshake\n"
    "  --extension NAME[=...]  offer another extension, with what EHLO is to tell of it; repeatable. "
    "DELIVERBY=SECONDS,\n"
    "                          FUTURERELEASE=SECONDS,DATE, LIMITS='MAILMAX=N RCPTMAX=N RCPTDOMAINMAX=N',\n"
    "                          MT-PRIORITY=POLICY, NO-SOLICITING=WORDS, BURL=WORDS, XCLIENT=NAMES, XFORWARD=NAMES;\n"
    "                          the others have just a name: DSN, BINARYMIME, ETRN ...\n"
    "  --verbs LIST            turn on some of send,soml,saml,expn,turn\n"
    "  --trace                 show the dialogue and the events on standard error\n"
    "  --help, --version       show this, or the version\n";

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

static void add_user(struct host *host, ehlo_server_config *config, const char *text)
{
  size_t length = strcspn(text, ":");
  if (length == 0 || text[length] == '\0' || text[length + 1] == '\0')
    bad_usage("--auth", "USER:PASSWORD is needed");
  host->users[host->user_count++] = (struct user){{text, length}, ehlo_span_of(text + length + 1)};
  config->offer[EHLO_EXT_AUTH] = 1;
  config->mechanisms = 1U << EHLO_SASL_PLAIN | 1U << EHLO_SASL_LOGIN;
}

/* ---- --extension ------------------------------------------------------------------------------------------------- */

static uint32_t find_extension(ehlo_span keyword)
{
  uint32_t extension = 0;
  while (extension < EHLO_EXT_COUNT &&
         !ehlo_span_equal_nocase(keyword, ehlo_span_of(ehlo_extension_keyword(extension))))
    extension++;
  if (extension == EHLO_EXT_COUNT)
    bad_usage("--extension", "no extension has that name");
  if (extension == EHLO_EXT_AUTH)
    bad_usage("--extension AUTH", "--auth turns it on");
  if (extension == EHLO_EXT_STARTTLS)
    bad_usage("--extension STARTTLS", "there is no TLS here; for tests --starttls-in-clear turns it on");
  return extension;
}

static uint64_t number(const char *option, ehlo_span text, uint64_t least, uint64_t most)
{
  uint64_t value;
  if (ehlo_parse_number(text, 20, &value) != EHLO_OK || value < least || value > most)
    bad_usage(option, "a number is needed, within its limits");
  return value;
}

/* "SECONDS,DATE", or as EHLO has it, "SECONDS DATE". */
static void future_release(ehlo_server_config *config, const char *text)
{
  ehlo_span seconds = {text, strcspn(text, ", ")};
  const char *date = text + seconds.len + (text[seconds.len] != '\0');
  config->hold_max = (uint32_t)number("--extension FUTURERELEASE", seconds, 1, 999999999);
  if (ehlo_parse_date_time(ehlo_span_of(date), &config->hold_max_time) != EHLO_OK)
    bad_usage("--extension FUTURERELEASE", "SECONDS,DATE is needed, the date as 2030-01-31T12:00:00Z");
  config->submission = 1; /* RFC 4865 4.2 */
}

static void limits(struct host *host, ehlo_server_config *config, const char *text)
{
  struct {
    const char *name;
    uint32_t *limit;
  } known[] = {{"MAILMAX", &config->max_transactions},
               {"RCPTMAX", &config->max_recipients},
               {"RCPTDOMAINMAX", &config->max_rcpt_domains}};
  const size_t count = sizeof known / sizeof *known;
  for (;;) {
    ehlo_span name = {text, strcspn(text, "= ")};
    size_t i = 0;
    while (i < count && !ehlo_span_equal_nocase(name, ehlo_span_of(known[i].name)))
      i++;
    if (i == count || text[name.len] != '=')
      bad_usage("--extension LIMITS", "MAILMAX=N, RCPTMAX=N or RCPTDOMAINMAX=N is needed, a space between");
    ehlo_span value = {text + name.len + 1, strcspn(text + name.len + 1, " ")};
    *known[i].limit = (uint32_t)number("--extension LIMITS", value, 1, 999999);
    text = value.ptr + value.len;
    if (*text == '\0')
      break;
    text++;
  }
  host->max_rcpt_domains = config->max_rcpt_domains;
}

/* Returns the extension, so that it can be named if the library refuses it. */
static uint32_t extend(struct host *host, ehlo_server_config *config, const char *text)
{
  ehlo_span keyword = {text, strcspn(text, "=")};
  uint32_t extension = find_extension(keyword);
  const char *value = text[keyword.len] == '=' ? text + keyword.len + 1 : NULL;
  ehlo_span words = ehlo_span_of(value);
  config->offer[extension] = 1;
  config->submission |= extension == EHLO_EXT_BURL; /* RFC 4468 3.1 */
  if (value == NULL && extension != EHLO_EXT_FUTURERELEASE)
    return extension;
  switch (extension) {
  case EHLO_EXT_SIZE: config->max_message_size = number("--extension SIZE", words, 0, UINT64_MAX); break;
  case EHLO_EXT_DELIVERBY:
    config->deliver_by_min = (uint32_t)number("--extension DELIVERBY", words, 1, 999999999);
    break;
  case EHLO_EXT_FUTURERELEASE: future_release(config, value == NULL ? "" : value); break;
  case EHLO_EXT_LIMITS: limits(host, config, value); break;
  case EHLO_EXT_MT_PRIORITY: config->priority_policy = words; break;
  case EHLO_EXT_NO_SOLICITING: config->solicit = words; break;
  case EHLO_EXT_BURL: config->burl = words; break;
  case EHLO_EXT_XCLIENT: config->xclient = words; break;
  case EHLO_EXT_XFORWARD: config->xforward = words; break;
  default: bad_usage(text, "this extension is told by its name alone"); break;
  }
  return extension;
}

/* What the library does not take is bad usage. It does not say which option is to blame: that one without which it
 * would. */
static void check(const ehlo_server_config *config, const uint32_t *extensions, size_t count)
{
  char what[64];
  if (ehlo_server_size(config) > 0)
    return;
  while (count-- > 0) {
    ehlo_server_config without = *config;
    const ehlo_span nothing = {NULL, 0};
    without.offer[extensions[count]] = 0;
    switch (extensions[count]) {
    case EHLO_EXT_MT_PRIORITY: without.priority_policy = nothing; break;
    case EHLO_EXT_NO_SOLICITING: without.solicit = nothing; break;
    case EHLO_EXT_BURL: without.burl = nothing; break;
    case EHLO_EXT_XCLIENT: without.xclient = nothing; break;
    case EHLO_EXT_XFORWARD: without.xforward = nothing; break;
    default: break;
    }
    if (ehlo_server_size(&without) > 0) {
      snprintf(what, sizeof what, "--extension %s", ehlo_extension_keyword(extensions[count]));
      bad_usage(what, "the library refuses it, or what it is to tell, beside the other options");
    }
  }
  bad_usage("options", ehlo_strerror(EHLO_ERR_CONFIG));
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

void options_read(int argc, char **argv, struct host *host, ehlo_server_config *config)
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
    CHUNKING,
    AUTH,
    AUTH_REQUIRES_TLS,
    STARTTLS_IN_CLEAR,
    EXTENSION,
    VERBS,
    TRACE,
    HELP,
    VERSION
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
      {"chunking", required_argument, NULL, CHUNKING},
      {"auth", required_argument, NULL, AUTH},
      {"auth-requires-tls", no_argument, NULL, AUTH_REQUIRES_TLS},
      {"starttls-in-clear", no_argument, NULL, STARTTLS_IN_CLEAR},
      {"extension", required_argument, NULL, EXTENSION},
      {"verbs", required_argument, NULL, VERBS},
      {"trace", no_argument, NULL, TRACE},
      {"help", no_argument, NULL, HELP},
      {"version", no_argument, NULL, VERSION},
      {NULL, 0, NULL, 0},
  };
  size_t most = (size_t)argc; /* of anything that can be repeated */
  struct recipients *hosts = &host->recipients;
  uint32_t *extensions = must_allocate(most, sizeof *extensions);
  size_t count = 0;
  int option;
  recipients_open(hosts, most);
  host->users = must_allocate(most, sizeof *host->users);
  host->domain_used = must_allocate(most, sizeof *host->domain_used);
  config->hostname = ehlo_span_of("localhost");
  config->offer[EHLO_EXT_CHUNKING] = 1;
  config->allow_plaintext_auth = 1;
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
    case CHUNKING: config->offer[EHLO_EXT_CHUNKING] = on_off("--chunking", optarg); break;
    case AUTH: add_user(host, config, optarg); break;
    case AUTH_REQUIRES_TLS: config->allow_plaintext_auth = 0; break;
    case STARTTLS_IN_CLEAR: config->offer[EHLO_EXT_STARTTLS] = 1; break;
    case EXTENSION: extensions[count++] = extend(host, config, optarg); break;
    case VERBS: turn_on(config, optarg); break;
    case TRACE: host->trace = 1; break;
    case HELP: fputs(usage, stdout); exit(EX_OK);
    case VERSION: show_version(); exit(EX_OK);
    default: exit(EX_USAGE); /* getopt_long has said why */
    }
  }
  if (optind < argc)
    bad_usage(argv[optind], "only options are understood; see --help");
  check(config, extensions, count);
  free(extensions);
}
