/* options.c: the command line.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* getopt_long */
#include "send.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

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
    "  --require-tls       only TLS, and servers that are verified, all the way (RFC 8689)\n"
    "  --xclient LIST      tell a server that trusts this host whom it stands for: NAME=x ADDR=192.0.2.1 (Postfix)\n"
    "  --trace             show the dialogue on standard error\n"
    "  --help, --version   show this, or the version\n"
    "\n"
    "TLS:\n"
    "  --starttls WHEN     off; try: if it is to be had, whoever the server is (else in clear, which is noted);\n"
    "                      require: nothing is sent without, and the server has to be verified (try; with a login:\n"
    "                      require)\n"
    "  --tls               from the beginning, as on port 465; the server has to be verified\n"
    "  --cafile FILE       the certificates of those who vouch for the server (whom the system trusts)\n"
    "  --tls-name NAME     whom the certificate is to be for (the host of --server; localhost for a Unix socket)\n"
    "  --tls-cert FILE     show this certificate, with its chain behind it\n"
    "  --tls-key FILE      and this is its key (the same file)\n"
    "  --insecure          take any certificate: who stands in between can read and change everything\n"
    "\n"
    "Login (AUTH):\n"
    "  --auth-user NAME    who is there\n"
    "  --auth-pass-file FILE  the password, or the token of OAuth, on the only line of a file; without it the\n"
    "                      environment variable SEND_AUTH_PASS\n"
    "  --auth-pass PASSWORD   dangerous: other users of this machine see it, and shells remember it\n"
    "  --auth-mech NAME    SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN, LOGIN (the first that the server has, too);\n"
    "                      XOAUTH2, OAUTHBEARER, EXTERNAL\n"
    "  --allow-plaintext-auth  log in without TLS, too, where anybody can listen\n"
    "\n"
    "Prints a line for each file and recipient: address, reply code, enhanced code or -, text; tabs between them.\n"
    "Exit codes: 0 all accepted, 1 some refused for good, 75 some not accepted now, 76 some not decided because the\n"
    "server broke the protocol, 74 the lines could not be printed; 64 bad usage or a file that is no message,\n"
    "66 a password or certificate that cannot be read, 69 TLS was not built in, 71 the system refuses something:\n"
    "nothing was sent; 77 no login, and nothing is sent without.\n";

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
  STARTTLS,
  TLS,
  CAFILE,
  TLS_NAME,
  TLS_CERT,
  TLS_KEY,
  INSECURE,
  AUTH_USER,
  AUTH_PASS,
  AUTH_PASS_FILE,
  AUTH_MECH,
  ALLOW_PLAINTEXT_AUTH,
  XCLIENT,
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
    {"starttls", required_argument, NULL, STARTTLS},
    {"tls", no_argument, NULL, TLS},
    {"cafile", required_argument, NULL, CAFILE},
    {"tls-name", required_argument, NULL, TLS_NAME},
    {"tls-cert", required_argument, NULL, TLS_CERT},
    {"tls-key", required_argument, NULL, TLS_KEY},
    {"insecure", no_argument, NULL, INSECURE},
    {"auth-user", required_argument, NULL, AUTH_USER},
    {"auth-pass", required_argument, NULL, AUTH_PASS},
    {"auth-pass-file", required_argument, NULL, AUTH_PASS_FILE},
    {"auth-mech", required_argument, NULL, AUTH_MECH},
    {"allow-plaintext-auth", no_argument, NULL, ALLOW_PLAINTEXT_AUTH},
    {"xclient", required_argument, NULL, XCLIENT},
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

static int one_of(const char *option, const char *text, const char *const words[3], const char *why)
{
  int which = 0;
  while (which < 3 && strcmp(text, words[which]) != 0)
    which++;
  if (which == 3)
    bad_usage(option, why);
  return which;
}

static const char *const chunking[3] = {"auto", "always", "never"}; /* in the order of EHLO_CHUNKING_ */
static const char *const starttls[3] = {"try", "off", "require"};   /* in the order of TLS_ */

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

void forget_options(void)
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

/* As for addresses: here nothing has been sent yet. */
static void check_attributes(const char *option, const char *list)
{
  ehlo_span rest = ehlo_span_of(list);
  ehlo_attribute attribute;
  int result;
  while ((result = ehlo_attribute_next(&rest, &attribute)) == 1)
    continue;
  if (result < 0 || list[0] == '\0')
    bad_usage(option, "NAME=value is needed, in xtext, a space between one and the next");
}

int read_options(struct envelope *envelope, int argc, char **argv)
{
  int option, orcpt = 0, at_once = 0, when = -1;
  struct secure_settings *secure = &settings.secure;
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
    case BDAT:
      settings.config.chunking = (uint8_t)one_of("--bdat", optarg, chunking, "auto, always or never is needed");
      break;
    case DSN_NOTIFY: set_rcpt("--dsn-notify", &all, "NOTIFY=", optarg); break;
    case DSN_RET: set_mail("--dsn-ret", mail, "RET=", optarg); break;
    case ENVID: set_mail("--envid", mail, "ENVID=", xtext(optarg)); break;
    case ORCPT: orcpt = 1; break;
    case DELIVER_BY: set_mail("--deliver-by", mail, "BY=", by_value(optarg)); break;
    case HOLD_FOR: set_mail("--hold-for", mail, "HOLDFOR=", optarg); break;
    case PRIORITY: set_mail("--priority", mail, "MT-PRIORITY=", optarg); break;
    case SUBMITTER: set_mail("--submitter", mail, "SUBMITTER=", xtext(optarg)); break;
    case REQUIRE_TLS: mail->requiretls = 1; break;
    case STARTTLS: when = one_of("--starttls", optarg, starttls, "off, try or require is needed"); break;
    case TLS: at_once = 1; break;
    case CAFILE: secure->options.authorities = optarg; break;
    case TLS_NAME: secure->name = optarg; break;
    case TLS_CERT: secure->options.certificate = optarg; break;
    case TLS_KEY: secure->options.key = optarg; break;
    case INSECURE: secure->insecure = 1; break;
    case AUTH_USER: settings.auth.user = optarg; break;
    case AUTH_PASS: settings.auth.pass = optarg; break;
    case AUTH_PASS_FILE: settings.auth.pass_file = optarg; break;
    case AUTH_MECH: settings.auth.mechanism = auth_mechanism(optarg); break;
    case ALLOW_PLAINTEXT_AUTH: settings.auth.in_clear = 1; break;
    case XCLIENT:
      check_attributes("--xclient", optarg);
      settings.xclient = optarg;
      break;
    case TRACE: settings.trace = 1; break;
    case HELP: fputs(usage, stdout); exit(output_lost() ? EX_IOERR : EX_OK);
    case VERSION: show_version(); exit(output_lost() ? EX_IOERR : EX_OK);
    default: exit(EX_USAGE); /* getopt_long has said why */
    }
  }
  if (settings.server == NULL || envelope->from == NULL || envelope->count == 0 || optind == argc)
    bad_usage("usage", "--server, --from, --to and a FILE are needed; see --help");
  if (at_once && when >= 0)
    bad_usage("--starttls", "not together with --tls, which begins with TLS");
  secure->use = at_once ? TLS_AT_ONCE : when >= 0 ? when : TLS_TRY;
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
  auth_prepare();
  secure_prepare(envelope);
  return optind;
}
