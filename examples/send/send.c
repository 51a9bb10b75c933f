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
    "  --bdat WHEN         content by BDAT: always (where it is offered), never, or auto, if there is no other way "
    "(auto)\n"
    "  --dsn-notify LIST   tell the sender of some of success,failure,delay; or never\n"
    "  --dsn-ret WHAT      with the message: full, or hdrs\n"
    "  --envid ID          and this, to know it by\n"
    "  --orcpt             say of each recipient that it was the original one\n"
    "  --deliver-by SECONDS[,MODE]  the sender is told of a delay (n), or gets the message back (r); nt, rt: with "
    "traces\n"
    "  --hold-for SECONDS  deliver it later\n"
    "  --priority NUMBER   -9 to 9\n"
    "  --submitter ADDRESS who is responsible for it\n"
    "  --require-tls       only TLS all the way (which is refused here, for send has none)\n"
    "  --trace             show the dialogue on standard error\n"
    "  --help, --version   show this, or the version\n"
    "\n"
    "Prints a line for each file and recipient: address, reply code, enhanced code or -, text; tabs between them.\n"
    "Exit codes: 0 all accepted, 1 some refused for good, 75 some not accepted now, 76 some not decided because the\n"
    "server broke the protocol, 74 the lines could not be printed; 64 bad usage or a file that is no message,\n"
    "71 the system refuses something: nothing was sent.\n";

enum {
  SERVER = 1,
  LMTP,
  FROM,
  TO,
  HELLO,
  SMTPUTF8,
  TIMEOUT,
  NO_PIPELINING,
  BDAT,
  DSN_NOTIFY,
  DSN_RET,
  ENVID,
  ORCPT,
  DELIVER_BY,
  HOLD_FOR,
  PRIORITY,
  SUBMITTER,
  REQUIRE_TLS,
  TRACE,
  HELP,
  VERSION
};

static const struct option options[] = {
    {"server", required_argument, NULL, SERVER},
    {"lmtp", no_argument, NULL, LMTP},
    {"from", required_argument, NULL, FROM},
    {"to", required_argument, NULL, TO},
    {"hello", required_argument, NULL, HELLO},
    {"smtputf8", no_argument, NULL, SMTPUTF8},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"no-pipelining", no_argument, NULL, NO_PIPELINING},
    {"bdat", required_argument, NULL, BDAT},
    {"dsn-notify", required_argument, NULL, DSN_NOTIFY},
    {"dsn-ret", required_argument, NULL, DSN_RET},
    {"envid", required_argument, NULL, ENVID},
    {"orcpt", no_argument, NULL, ORCPT},
    {"deliver-by", required_argument, NULL, DELIVER_BY},
    {"hold-for", required_argument, NULL, HOLD_FOR},
    {"priority", required_argument, NULL, PRIORITY},
    {"submitter", required_argument, NULL, SUBMITTER},
    {"require-tls", no_argument, NULL, REQUIRE_TLS},
    {"trace", no_argument, NULL, TRACE},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

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

static uint8_t when_to_chunk(const char *text)
{
  static const char *const words[] = {"auto", "always", "never"}; /* in the order of EHLO_CHUNKING_ */
  uint8_t when = 0;
  while (when < 3 && strcmp(text, words[when]) != 0)
    when++;
  if (when == 3)
    bad_usage("--bdat", "auto, always or never is needed");
  return when;
}

/* Octets that values point to are there until the end. */
struct kept {
  struct kept *next;
  char octets[];
};
static struct kept *all_kept;

static char *keep(size_t size)
{
  struct kept *kept = must_allocate(1, sizeof *kept + size);
  kept->next = all_kept;
  all_kept = kept;
  return kept->octets;
}

static void forget_all(void)
{
  while (all_kept != NULL) {
    struct kept *next = all_kept->next;
    free(all_kept);
    all_kept = next;
  }
}

/* Parameters are read by the grammar that they will be sent by. */
static ehlo_parameter parameter(const char *keyword, const char *value)
{
  ehlo_parameter parsed;
  size_t size = strlen(keyword) + strlen(value) + 1;
  char *text = keep(size);
  snprintf(text, size, "%s%s", keyword, value);
  ehlo_span rest = ehlo_span_of(text);
  if (ehlo_parameter_next(&rest, EHLO_PARSE_UTF8, &parsed) != 1 || rest.len > 0)
    parsed.id = EHLO_PARAMETER_UNKNOWN; /* which is read as nothing */
  return parsed;
}

static const char bad_value[] = "that is no value for it; see --help";

static void set_mail(const char *option, ehlo_mail_parameters *into, const char *keyword, const char *value)
{
  ehlo_parameter parsed = parameter(keyword, value);
  if (ehlo_mail_parameter_read(&parsed, EHLO_PARSE_UTF8, into) != EHLO_OK)
    bad_usage(option, bad_value);
}

static void set_rcpt(const char *option, ehlo_rcpt_parameters *into, const char *keyword, const char *value)
{
  ehlo_parameter parsed = parameter(keyword, value);
  if (ehlo_rcpt_parameter_read(&parsed, EHLO_PARSE_UTF8, into) != EHLO_OK)
    bad_usage(option, bad_value);
}

static const char *xtext(const char *text)
{
  size_t length = 0;
  size_t size = 3 * strlen(text) + 1;
  char *encoded = keep(size);
  ehlo_xtext_encode(ehlo_span_of(text), encoded, size, &length);
  return encoded;
}

/* "SECONDS,MODE" as "SECONDS;MODE", without a mode as "SECONDS;N". */
static const char *by_value(const char *text)
{
  size_t size = strlen(text) + 3;
  size_t seconds = strcspn(text, ",");
  char *value = keep(size);
  snprintf(value, size, "%.*s;%s", (int)seconds, text, text[seconds] == ',' ? text + seconds + 1 : "N");
  return value;
}

/* The type and the address of ORCPT: RFC 3461 4.2; for UTF-8 RFC 6533 3, where what may not stand there as it is has a
 * spelling of its own. */
static void set_orcpt(struct recipient *recipient)
{
  ehlo_path path = {.mailbox = ehlo_span_of(recipient->address)};
  size_t used, length = 0;
  int is_utf8 = 0;
  if (recipient->address[0] == '<')
    ehlo_parse_path(path.mailbox, EHLO_PARSE_UTF8, &path, &used);
  for (size_t i = 0; i < path.mailbox.len; i++)
    is_utf8 |= path.mailbox.ptr[i] & 0x80;
  size_t size = 6 * path.mailbox.len + 1;
  char *encoded = keep(size);
  if (!is_utf8)
    ehlo_xtext_encode(path.mailbox, encoded, size, &length);
  for (size_t i = 0; is_utf8 && i < path.mailbox.len; i++) {
    char octet = path.mailbox.ptr[i];
    length += (size_t)snprintf(encoded + length, size - length, strchr(" +=\\", octet) ? "\\x{%02X}" : "%c", octet);
  }
  set_rcpt("--orcpt", &recipient->parameters, is_utf8 ? "ORCPT=utf-8;" : "ORCPT=rfc822;", encoded);
}

/* What may not stand together. */
static void check_parameters(const ehlo_mail_parameters *parameters)
{
  char line[4096];
  size_t length;
  int error = ehlo_format_mail_parameters(parameters, EHLO_PARSE_UTF8, line, sizeof line, &length);
  if (error != EHLO_OK)
    bad_usage("options", "what they ask for may not stand together, or is too long");
}

static void read_options(struct envelope *envelope, int argc, char **argv)
{
  int option, orcpt = 0;
  ehlo_mail_parameters *mail = &envelope->parameters;
  ehlo_rcpt_parameters all = {.struct_size = sizeof all};
  mail->struct_size = sizeof *mail;
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
    case BDAT: settings.config.chunking = when_to_chunk(optarg); break;
    case DSN_NOTIFY: set_rcpt("--dsn-notify", &all, "NOTIFY=", optarg); break;
    case DSN_RET: set_mail("--dsn-ret", mail, "RET=", optarg); break;
    case ENVID: set_mail("--envid", mail, "ENVID=", xtext(optarg)); break;
    case ORCPT: orcpt = 1; break;
    case DELIVER_BY: set_mail("--deliver-by", mail, "BY=", by_value(optarg)); break;
    case HOLD_FOR: set_mail("--hold-for", mail, "HOLDFOR=", optarg); break;
    case PRIORITY: set_mail("--priority", mail, "MT-PRIORITY=", optarg); break;
    case SUBMITTER: set_mail("--submitter", mail, "SUBMITTER=", xtext(optarg)); break;
    case REQUIRE_TLS: mail->requiretls = 1; break;
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
  check_addresses(envelope);
  check_parameters(mail);
  for (size_t i = 0; i < envelope->count; i++) {
    envelope->recipients[i].parameters = all;
    if (orcpt)
      set_orcpt(&envelope->recipients[i]);
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
      2 * MESSAGE_PIECE + 64; /* a piece fits, whatever is in it: an octet becomes two at most, a chunk has a command */
  settings.timeout = MOST_SECONDS;
  read_options(&envelope, argc, argv);
  settings.progress = isatty(STDERR_FILENO) && !settings.trace;
  settings.config.max_recipients = (uint32_t)envelope.count;

  size_t count = (size_t)(argc - optind);
  struct message *messages = must_allocate(count, sizeof *messages);
  for (size_t i = 0; i < count; i++)
    message_examine(&messages[i], argv[optind + (int)i]);
  int status = send_all(&envelope, messages, count);
  free(messages);
  free(envelope.recipients);
  forget_all();
  return status;
}
