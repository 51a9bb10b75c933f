/* bench.c: what the library costs, beside what the bare machine costs.
 *
 * Without an argument: times every row in interleaved rounds, and prints `name <tab> octets or commands a second`, the
 * best round of each. Under valgrind --tool=callgrind: goes through every row once, and has callgrind dump what it
 * counted with the row's name. `sizes`: prints octets a session. run.sh calls all three, for each build, and report.py
 * makes the table.
 *
 * A row's name is kind/what/piece for content, commands/what for commands, replies/what for replies.
 */
#define _POSIX_C_SOURCE 199309L
#include "ehlo.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>

enum {
  CONTENT_SIZE = 256 * 1024, /* about: whole lines */
  PASSES = 16,               /* of the content, for one measurement by the clock */
  COUNTED_PASSES = 2,        /* and for one by callgrind, which needs no more to be exact */
  ROUNDS = 40,
  LARGE = 65536,
  SEGMENT = 1460, /* what a TCP segment on Ethernet carries */
  SESSIONS = 16
};

static void need(int condition, const char *what)
{
  if (!condition) {
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
  }
}

/* The result of a row, so that no work can be left out as useless. */
static volatile uint64_t sink;

static unsigned passes = PASSES;

/* ---- content ---- */

struct content {
  const char *name;
  unsigned char *octets;
  size_t size;
};

static unsigned random_octet(unsigned *seed)
{
  *seed = *seed * 1103515245U + 12345U;
  return *seed >> 16;
}

/* `line` may hold '*', which becomes another base64 character each time. */
static struct content make_content(const char *name, const char *line)
{
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  struct content content = {name, malloc(CONTENT_SIZE), 0};
  need(content.octets != NULL, "no memory");
  size_t length = strlen(line);
  unsigned seed = 1;
  while (content.size + length <= CONTENT_SIZE) {
    for (size_t i = 0; i < length; i++) {
      char octet = line[i] == '*' ? alphabet[random_octet(&seed) % 64] : line[i];
      content.octets[content.size++] = (unsigned char)octet;
    }
  }
  return content;
}

/* Lines of words, 51 octets on average with their CRLF. */
static struct content make_text(const char *name)
{
  struct content content = {name, malloc(CONTENT_SIZE), 0};
  need(content.octets != NULL, "no memory");
  unsigned seed = 7;
  while (content.size + 128 <= CONTENT_SIZE) {
    size_t length = 10 + random_octet(&seed) % 79;
    for (size_t i = 0; i < length; i++) {
      content.octets[content.size++] =
          (unsigned char)(i > 0 && random_octet(&seed) % 6 == 0 ? ' ' : 'a' + random_octet(&seed) % 26);
    }
    memcpy(content.octets + content.size, "\r\n", 2);
    content.size += 2;
  }
  return content;
}

/* ---- what the machine can do ---- */

static unsigned char copy[LARGE];

static void run_memcpy(const struct content *content, size_t piece)
{
  for (unsigned pass = 0; pass < passes; pass++) {
    for (size_t at = 0; at < content->size; at += piece) {
      size_t size = content->size - at < piece ? content->size - at : piece;
      memcpy(copy, content->octets + at, size);
      __asm__ volatile("" : : "r"(copy) : "memory");
    }
  }
}

static void run_memchr(const struct content *content, size_t piece)
{
  uint64_t lines = 0;
  (void)piece;
  for (unsigned pass = 0; pass < passes; pass++) {
    const unsigned char *at = content->octets;
    const unsigned char *end = at + content->size;
    const unsigned char *lf;
    while ((lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
      at = lf + 1;
      lines++;
    }
  }
  sink = lines;
}

/* The smallest machine that does the work an octet at a time: takes stuffed dots out, finds the end, and lets a bare CR
 * or LF be content. */
enum scalar_state { SCALAR_LINE, SCALAR_TEXT, SCALAR_CR, SCALAR_DOT, SCALAR_DOT_CR, SCALAR_END };

static size_t scalar_decode(enum scalar_state *state, const unsigned char *data, size_t size, unsigned char *out)
{
  enum scalar_state now = *state;
  unsigned char *start = out;
  for (size_t i = 0; i < size; i++) {
    unsigned char octet = data[i];
    switch (now) {
    case SCALAR_LINE:
      if (octet == '.') {
        now = SCALAR_DOT;
        continue;
      }
      now = octet == '\r' ? SCALAR_CR : SCALAR_TEXT;
      break;
    case SCALAR_TEXT: now = octet == '\r' ? SCALAR_CR : SCALAR_TEXT; break;
    case SCALAR_CR: now = octet == '\n' ? SCALAR_LINE : octet == '\r' ? SCALAR_CR : SCALAR_TEXT; break;
    case SCALAR_DOT:
      if (octet == '\r') {
        now = SCALAR_DOT_CR;
        continue;
      }
      now = SCALAR_TEXT;
      break;
    case SCALAR_DOT_CR:
      if (octet == '\n') {
        *state = SCALAR_END;
        return (size_t)(out - start);
      }
      *out++ = '\r';
      now = octet == '\r' ? SCALAR_CR : SCALAR_TEXT;
      break;
    default: return (size_t)(out - start);
    }
    *out++ = octet;
  }
  *state = now;
  return (size_t)(out - start);
}

static void run_scalar(const struct content *content, size_t piece)
{
  enum scalar_state state = SCALAR_LINE;
  uint64_t octets = 0;
  for (unsigned pass = 0; pass < passes; pass++) {
    for (size_t at = 0; at < content->size; at += piece) {
      size_t size = content->size - at < piece ? content->size - at : piece;
      octets += scalar_decode(&state, content->octets + at, size, copy);
      __asm__ volatile("" : : "r"(copy) : "memory");
    }
  }
  sink = octets;
}

/* ---- the codec alone ---- */

static void run_decode(const struct content *content, size_t piece)
{
  ehlo_dot dot;
  ehlo_span spans[64];
  uint64_t octets = 0;
  ehlo_dot_init(&dot, 0);
  for (unsigned pass = 0; pass < passes; pass++) {
    size_t at = 0;
    size_t end = content->size < piece ? content->size : piece;
    while (at < content->size) {
      size_t consumed;
      size_t count;
      int status = ehlo_dot_decode(&dot, content->octets + at, end - at, &consumed, spans, 64, &count);
      need(status == EHLO_DOT_MORE, "ehlo_dot_decode did not go on");
      for (size_t i = 0; i < count; i++) {
        octets += spans[i].len;
      }
      at += consumed;
      if (at == end) {
        end = content->size - at < piece ? content->size : at + piece;
      }
    }
  }
  sink = octets;
}

static void run_encode(const struct content *content, size_t piece)
{
  ehlo_dot dot;
  ehlo_span spans[64];
  uint64_t octets = 0;
  ehlo_dot_init(&dot, 0);
  for (unsigned pass = 0; pass < passes; pass++) {
    size_t at = 0;
    size_t end = content->size < piece ? content->size : piece;
    while (at < content->size) {
      size_t consumed;
      size_t count;
      int status = ehlo_dot_encode(&dot, content->octets + at, end - at, &consumed, spans, 64, &count);
      need(status == EHLO_OK, "ehlo_dot_encode did not go on");
      for (size_t i = 0; i < count; i++) {
        octets += spans[i].len;
      }
      at += consumed;
      if (at == end) {
        end = content->size - at < piece ? content->size : at + piece;
      }
    }
  }
  sink = octets;
}

/* ---- the whole server ---- */

struct host {
  uint64_t octets;
  unsigned replies;
};

static int on_event(ehlo_server *server, const ehlo_event *event, void *user)
{
  struct host *host = user;
  switch (event->type) {
  case EHLO_EVENT_BODY:
    for (size_t i = 0; i < event->as.body.count; i++) {
      host->octets += event->as.body.spans[i].len;
    }
    break;
  case EHLO_EVENT_REPLY: host->replies++; break;
  default:
    if (event->ticket != 0) {
      (void)ehlo_server_accept(server, event->ticket);
    }
    break;
  }
  return EHLO_HANDLED;
}

static void default_config(ehlo_server_config *config)
{
  need(ehlo_server_config_init(config, sizeof *config) == EHLO_OK, "no config");
  config->hostname = ehlo_span_of("mx.example.com");
  config->pass_parameters = 1;
}

static void drain(ehlo_server *server)
{
  size_t size;
  while (ehlo_server_output(server, &size) != NULL && size > 0) {
    ehlo_server_sent(server, size);
  }
}

static void feed(ehlo_server *server, const void *data, size_t size)
{
  const unsigned char *at = data;
  const unsigned char *end = at + size;
  do {
    size_t consumed;
    need(ehlo_server_feed(server, at, (size_t)(end - at), &consumed) == EHLO_OK, "ehlo_server_feed failed");
    at += consumed;
    drain(server);
  } while (at < end);
}

static ehlo_server *open_server(void *memory, size_t size, struct host *host)
{
  ehlo_server_config config;
  ehlo_server *server;
  default_config(&config);
  host->octets = 0;
  host->replies = 0;
  need(ehlo_server_init(&server, memory, size, &config, on_event, host) == EHLO_OK, "ehlo_server_init failed");
  need(ehlo_server_start(server) == EHLO_OK, "ehlo_server_start failed");
  drain(server);
  return server;
}

static size_t default_size(void)
{
  ehlo_server_config config;
  default_config(&config);
  size_t size = ehlo_server_size(&config);
  need(size > 0, "the default config is illegal");
  return size;
}

static void run_server(const struct content *content, size_t piece)
{
  static const char envelope[] = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
  struct host host;
  size_t size = default_size();
  void *memory = malloc(size);
  need(memory != NULL, "no memory");
  ehlo_server *server = open_server(memory, size, &host);
  feed(server, "EHLO client.example.org\r\n", 25);
  feed(server, envelope, sizeof envelope - 1);
  for (unsigned pass = 0; pass < passes; pass++) {
    for (size_t at = 0; at < content->size; at += piece) {
      feed(server, content->octets + at, content->size - at < piece ? content->size - at : piece);
    }
  }
  need(host.octets + 2 >= ehlo_server_octets(server) && host.octets > 0, "the server gave no content");
  sink = host.octets;
  free(memory);
}

/* ---- commands ---- */

static const char hello_line[] = "EHLO client.example.org\r\n";
static char session[2048];
static size_t session_size;
enum { COMMANDS = 13, RECIPIENTS = 10 };

/* 1,050 octets with the EHLO, 13 commands. */
static void make_session(void)
{
  int at = snprintf(session, sizeof session,
                    "MAIL FROM:<from@example.org> SIZE=123456 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ314159\r\n");
  for (int i = 0; i < RECIPIENTS; i++) {
    at += snprintf(session + at, sizeof session - (size_t)at,
                   "RCPT TO:<recipient%d@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;recipient%d@example.com\r\n",
                   i, i);
  }
  at += snprintf(session + at, sizeof session - (size_t)at, "DATA\r\n");
  session_size = (size_t)at;
  need(session_size + sizeof hello_line - 1 == 1050, "the session of commands is not of 1,050 octets");
}

/* Sessions that stand behind the greeting, so that their making is not part of what is measured. */
static struct host hosts[SESSIONS];
static ehlo_server *servers[SESSIONS];
static unsigned char *blocks;

static void open_servers(void)
{
  size_t size = default_size();
  size_t stride = (size + 63) / 64 * 64;
  if (blocks == NULL) {
    blocks = malloc(stride * SESSIONS);
    need(blocks != NULL, "no memory");
  }
  for (unsigned i = 0; i < SESSIONS; i++) {
    servers[i] = open_server(blocks + i * stride, size, &hosts[i]);
  }
}

static void check_servers(void)
{
  for (unsigned i = 0; i < SESSIONS; i++) {
    need(hosts[i].replies == 1 + COMMANDS && ehlo_server_recipients(servers[i]) == RECIPIENTS,
         "the session of commands was not accepted");
  }
}

static void run_pipelined(void)
{
  for (unsigned i = 0; i < SESSIONS; i++) {
    feed(servers[i], hello_line, sizeof hello_line - 1);
    feed(servers[i], session, session_size);
  }
}

static void run_line_by_line(void)
{
  for (unsigned i = 0; i < SESSIONS; i++) {
    feed(servers[i], hello_line, sizeof hello_line - 1);
    const char *at = session;
    const char *end = session + session_size;
    while (at < end) {
      const char *next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
      feed(servers[i], at, (size_t)(next - at));
      at = next;
    }
  }
}

/* The lines of the session without their CRLF. */
static ehlo_span lines[COMMANDS];

static void split_session(void)
{
  lines[0] = (ehlo_span){hello_line, sizeof hello_line - 3};
  const char *at = session;
  for (unsigned i = 1; i < COMMANDS; i++) {
    const char *end = memchr(at, '\n', (size_t)(session + session_size - at));
    lines[i] = (ehlo_span){at, (size_t)(end - at) - 1};
    at = end + 1;
  }
}

static void parse_line(ehlo_span line)
{
  ehlo_command command;
  need(ehlo_parse_command(line, &command) == EHLO_OK, "a command is not parsed");
  if (command.verb == EHLO_VERB_EHLO) {
    ehlo_domain domain;
    size_t used;
    need(ehlo_parse_domain(command.argument, 0, &domain, &used) == EHLO_OK, "a domain is not parsed");
  } else if (command.verb == EHLO_VERB_MAIL || command.verb == EHLO_VERB_RCPT) {
    size_t skip = command.verb == EHLO_VERB_MAIL ? sizeof "FROM:" - 1 : sizeof "TO:" - 1;
    ehlo_span rest = {command.argument.ptr + skip, command.argument.len - skip};
    ehlo_path path;
    size_t used;
    need(ehlo_parse_path(rest, EHLO_PARSE_UTF8, &path, &used) == EHLO_OK, "a path is not parsed");
    rest.ptr += used + 1;
    rest.len -= used + 1;
    ehlo_parameter parameter;
    int status;
    while ((status = ehlo_parameter_next(&rest, EHLO_PARSE_UTF8, &parameter)) == 1) {
    }
    need(status == 0, "parameters are not parsed");
  }
}

static void run_grammar(void)
{
  for (unsigned i = 0; i < SESSIONS; i++) {
    for (unsigned line = 0; line < COMMANDS; line++) {
      parse_line(lines[line]);
    }
  }
}

/* ---- the whole client ---- */

static unsigned replies_told;

static int on_client_event(ehlo_client *client, const ehlo_client_event *event, void *user)
{
  (void)client;
  (void)user;
  replies_told += event->type == EHLO_CLIENT_EVENT_REPLY;
  return EHLO_HANDLED;
}

static void client_config(ehlo_client_config *config)
{
  need(ehlo_client_config_init(config, sizeof *config) == EHLO_OK, "no config");
  config->hostname = ehlo_span_of("client.example.org");
}

static void drain_client(ehlo_client *client)
{
  size_t size;
  while (ehlo_client_output(client, &size) != NULL) {
    ehlo_client_sent(client, size);
  }
}

static void feed_client(ehlo_client *client, const char *data, size_t size)
{
  size_t consumed;
  need(ehlo_client_feed(client, data, size, &consumed) == EHLO_OK && consumed == size, "ehlo_client_feed failed");
}

/* An EHLO answer of eleven lines, as large sites give it. */
static const char ehlo_answer[] = "250-mx.example.com at your service\r\n250-SIZE 157286400\r\n250-8BITMIME\r\n"
                                  "250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250-CHUNKING\r\n"
                                  "250-DSN\r\n250-AUTH PLAIN LOGIN\r\n250-VRFY\r\n250 SMTPUTF8\r\n";

static const char one_reply[] = "250 2.1.5 Recipient okay\r\n";

enum { REPLIES = 60 };

static ehlo_client *clients[SESSIONS];
static unsigned char *client_blocks;
static char batch[REPLIES * sizeof one_reply];
static size_t batch_size;

/* Clients that have sent EHLO. */
static void open_clients(void)
{
  ehlo_client_config config;
  client_config(&config);
  size_t size = ehlo_client_size(&config);
  size_t stride = (size + 63) / 64 * 64;
  if (client_blocks == NULL) {
    client_blocks = malloc(stride * SESSIONS);
    need(client_blocks != NULL, "no memory");
  }
  replies_told = 0;
  for (unsigned i = 0; i < SESSIONS; i++) {
    need(ehlo_client_init(&clients[i], client_blocks + i * stride, size, &config, on_client_event, NULL) == EHLO_OK,
         "ehlo_client_init failed");
    need(ehlo_client_hello(clients[i], 0) == EHLO_OK, "no EHLO");
    feed_client(clients[i], "220 mx.example.com\r\n", 20);
    drain_client(clients[i]);
  }
}

/* Clients that have sent many RCPTs. */
static void open_clients_rcpt(void)
{
  open_clients();
  for (unsigned i = 0; i < SESSIONS; i++) {
    feed_client(clients[i], ehlo_answer, sizeof ehlo_answer - 1);
    need(ehlo_client_mail(clients[i], ehlo_span_of("from@example.org"), NULL, 0) == EHLO_OK, "no MAIL");
    drain_client(clients[i]);
    feed_client(clients[i], "250 2.1.0 Sender okay\r\n", 23);
    for (unsigned k = 0; k < REPLIES; k++) {
      need(ehlo_client_rcpt(clients[i], ehlo_span_of("recipient@example.com"), NULL, k) == EHLO_OK, "no RCPT");
    }
    drain_client(clients[i]);
  }
  batch_size = 0;
  for (unsigned k = 0; k < REPLIES; k++) {
    memcpy(batch + batch_size, one_reply, sizeof one_reply - 1);
    batch_size += sizeof one_reply - 1;
  }
  replies_told = 0;
}

static void check_clients_ehlo(void)
{
  need(replies_told == 2 * SESSIONS && ehlo_client_size_limit(clients[0]) == 157286400, "no EHLO answer was read");
}

static void check_clients_rcpt(void)
{
  need(replies_told == REPLIES * SESSIONS && ehlo_client_pending(clients[0]) == 0, "no RCPT was answered");
}

static void run_ehlo_answer(void)
{
  for (unsigned i = 0; i < SESSIONS; i++) {
    feed_client(clients[i], ehlo_answer, sizeof ehlo_answer - 1);
  }
}

static void run_replies(void)
{
  for (unsigned i = 0; i < SESSIONS; i++) {
    feed_client(clients[i], batch, batch_size);
  }
}

/* The commands of a transaction, called and sent, without their replies. */
static void run_calls(void)
{
  static const ehlo_mail_parameters options = {
      .struct_size = sizeof options, .size = 123456, .has_size = 1, .body = EHLO_BODY_8BITMIME, .smtputf8 = 1};
  ehlo_span to = ehlo_span_of("recipient0@example.com");
  for (unsigned i = 0; i < SESSIONS; i++) {
    need(ehlo_client_mail(clients[i], ehlo_span_of("from@example.org"), &options, 0) == EHLO_OK, "no MAIL");
    for (unsigned k = 0; k < RECIPIENTS; k++) {
      need(ehlo_client_rcpt(clients[i], to, NULL, k) == EHLO_OK, "no RCPT");
    }
    need(ehlo_client_data(clients[i], 0) == EHLO_OK, "no DATA");
    drain_client(clients[i]);
  }
}

static void open_clients_idle(void)
{
  open_clients();
  run_ehlo_answer();
}

static void check_calls(void)
{
  need(ehlo_client_pending(clients[0]) == RECIPIENTS + 2, "not all commands were called");
}

static void run_parse_reply(void)
{
  ehlo_span line = {one_reply, sizeof one_reply - 3};
  for (unsigned i = 0; i < REPLIES * SESSIONS; i++) {
    ehlo_reply_line reply;
    ehlo_enhanced enhanced;
    size_t used;
    need(ehlo_parse_reply_line(line, &reply) == EHLO_OK && ehlo_parse_enhanced(reply.text, &enhanced, &used) == EHLO_OK,
         "a reply is not parsed");
    __asm__ volatile("" : : "r"(&line) : "memory");
  }
}

/* A client that waits for content, behind a server that said yes to everything. */
static ehlo_client *open_content(void *memory, size_t size, const ehlo_client_config *config)
{
  static const ehlo_mail_parameters options = {.struct_size = sizeof options, .body = EHLO_BODY_8BITMIME};
  ehlo_client *client;
  need(ehlo_client_init(&client, memory, size, config, on_client_event, NULL) == EHLO_OK, "ehlo_client_init failed");
  need(ehlo_client_hello(client, 0) == EHLO_OK, "no EHLO");
  feed_client(client, "220 mx.example.com\r\n", 20);
  drain_client(client);
  feed_client(client, ehlo_answer, sizeof ehlo_answer - 1);
  need(ehlo_client_mail(client, ehlo_span_of("a@example.org"), &options, 0) == EHLO_OK &&
           ehlo_client_rcpt(client, ehlo_span_of("b@example.com"), NULL, 0) == EHLO_OK &&
           ehlo_client_data(client, 0) == EHLO_OK,
       "no transaction");
  drain_client(client);
  feed_client(client, "250 a\r\n250 b\r\n354 c\r\n", 21);
  need((ehlo_client_want(client) & EHLO_WANT_CONTENT) != 0, "no content is wanted");
  return client;
}

static void send_content(const struct content *content, size_t piece, int gather)
{
  ehlo_client_config config;
  ehlo_span spans[64];
  uint64_t octets = 0;
  client_config(&config);
  config.output_size = gather ? config.output_size : 2 * LARGE;
  size_t size = ehlo_client_size(&config);
  void *memory = malloc(size);
  need(memory != NULL, "no memory");
  ehlo_client *client = open_content(memory, size, &config);
  for (unsigned pass = 0; pass < passes; pass++) {
    size_t at = 0;
    size_t end = content->size < piece ? content->size : piece;
    while (at < content->size) {
      size_t taken;
      size_t count = 0;
      int status = gather ? ehlo_client_body_gather(client, content->octets + at, end - at, &taken, spans, 64, &count)
                          : ehlo_client_body(client, content->octets + at, end - at, &taken);
      need(status == EHLO_OK, "content was refused");
      for (size_t i = 0; i < count; i++) {
        octets += spans[i].len;
      }
      drain_client(client);
      at += taken;
      if (at == end) {
        end = content->size - at < piece ? content->size : at + piece;
      }
    }
  }
  sink = octets;
  free(memory);
}

static void run_gather(const struct content *content, size_t piece)
{
  send_content(content, piece, 1);
}

static void run_body(const struct content *content, size_t piece)
{
  send_content(content, piece, 0);
}

/* ---- rows ---- */

struct row {
  char name[48];
  void (*run)(const struct content *, size_t);
  const struct content *content;
  size_t piece;
  void (*before)(void); /* commands: not measured */
  void (*commands)(void);
  void (*after)(void);
  double work; /* octets or commands in one measurement */
  double best; /* of it a second */
};

enum { MAX_ROWS = 96 };
static struct row rows[MAX_ROWS];
static unsigned row_count;

static void add_content(const struct content *content, const char *what, size_t piece,
                        void (*run)(const struct content *, size_t))
{
  struct row *row = &rows[row_count++];
  need(row_count <= MAX_ROWS, "too many rows");
  (void)snprintf(row->name, sizeof row->name, "%s/%s/%u", content->name, what, (unsigned)piece);
  row->run = run;
  row->content = content;
  row->piece = piece;
  row->work = (double)content->size * passes;
}

static void add_commands(const char *what, unsigned work, void (*before)(void), void (*run)(void), void (*after)(void))
{
  struct row *row = &rows[row_count++];
  need(row_count <= MAX_ROWS, "too many rows");
  (void)snprintf(row->name, sizeof row->name, "%s", what);
  row->before = before;
  row->commands = run;
  row->after = after;
  row->work = (double)work * SESSIONS;
}

static void measure(const struct row *row)
{
  if (row->run != NULL) {
    row->run(row->content, row->piece);
  } else {
    row->commands();
  }
}

static void time_row(struct row *row)
{
  struct timespec from;
  struct timespec to;
  if (row->before != NULL) {
    row->before();
  }
  (void)clock_gettime(CLOCK_MONOTONIC, &from);
  measure(row);
  (void)clock_gettime(CLOCK_MONOTONIC, &to);
  if (row->after != NULL) {
    row->after();
  }
  double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
  double speed = row->work / seconds;
  row->best = speed > row->best ? speed : row->best;
}

static void count_row(const struct row *row)
{
  if (row->before != NULL) {
    row->before();
  }
  CALLGRIND_ZERO_STATS;
  measure(row);
  CALLGRIND_DUMP_STATS_AT(row->name);
  if (row->after != NULL) {
    row->after();
  }
  printf("%s\t%.0f\n", row->name, row->work);
}

static void print_sizes(void)
{
  ehlo_server_config config;
  need(ehlo_server_config_init(&config, sizeof config) == EHLO_OK, "no config");
  config.hostname = ehlo_span_of("mx.example.com");
  printf("session/default\t%zu\n", ehlo_server_size(&config));
  memset(config.offer, 0, sizeof config.offer);
  config.max_command_line = EHLO_MIN_COMMAND_LINE;
  config.output_size = EHLO_MIN_OUTPUT_SIZE;
  config.max_pending = 1;
  config.pending_text = EHLO_MIN_PENDING_TEXT;
  config.hello_size = 0;
  printf("session/smallest\t%zu\n", ehlo_server_size(&config));
}

int main(int argc, char **argv)
{
  if (argc > 1 && strcmp(argv[1], "sizes") == 0) {
    print_sizes();
    return 0;
  }
  passes = RUNNING_ON_VALGRIND ? COUNTED_PASSES : PASSES;
  char base64[80];
  memset(base64, '*', 76);
  memcpy(base64 + 76, "\r\n", 3);
  struct content contents[] = {make_content("base64", base64), make_text("text"),
                               make_content("dotted", "..***************************************************\r\n"),
                               make_content("dots", "..\r\n"), make_content("newlines", "\r\n")};
  for (unsigned i = 0; i < sizeof contents / sizeof *contents; i++) {
    add_content(&contents[i], "memcpy", LARGE, run_memcpy);
    add_content(&contents[i], "memchr", LARGE, run_memchr);
    add_content(&contents[i], "scalar", LARGE, run_scalar);
    add_content(&contents[i], "decode", LARGE, run_decode);
    add_content(&contents[i], "decode", SEGMENT, run_decode);
    add_content(&contents[i], "encode", LARGE, run_encode);
    add_content(&contents[i], "gather", LARGE, run_gather);
    add_content(&contents[i], "body", LARGE, run_body);
    add_content(&contents[i], "server", LARGE, run_server);
    add_content(&contents[i], "server", SEGMENT, run_server);
  }
  make_session();
  split_session();
  add_commands("commands/grammar", COMMANDS, NULL, run_grammar, NULL);
  add_commands("commands/server", COMMANDS, open_servers, run_pipelined, check_servers);
  add_commands("commands/server-line-by-line", COMMANDS, open_servers, run_line_by_line, check_servers);
  add_commands("commands/client", RECIPIENTS + 2, open_clients_idle, run_calls, check_calls);
  add_commands("replies/grammar", REPLIES, NULL, run_parse_reply, NULL);
  add_commands("replies/client", REPLIES, open_clients_rcpt, run_replies, check_clients_rcpt);
  add_commands("replies/client-ehlo", 1, open_clients, run_ehlo_answer, check_clients_ehlo);

  if (RUNNING_ON_VALGRIND) {
    for (unsigned i = 0; i < row_count; i++) {
      count_row(&rows[i]);
    }
    return 0;
  }
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (unsigned i = 0; i < row_count; i++) {
      time_row(&rows[i]);
    }
  }
  for (unsigned i = 0; i < row_count; i++) {
    printf("%s\t%.0f\n", rows[i].name, rows[i].best);
  }
  return 0;
}
