/* client_transcript_read.c: transcripts of the client, from text to sections. See tests/transcripts/README.md for the
 * format. */
#include "client_transcript.h"

#include <stdlib.h>
#include <string.h>

struct reader {
  const char *path;
  unsigned line;
  struct client_transcript *transcript;
  struct client_section *section;
  int in_prose; /* behind a heading, before the first line that says something */
  int failed;
};

static void complain(struct reader *reader, const char *what)
{
  fprintf(stderr, "%s:%u: %s\n", reader->path, reader->line, what);
  reader->failed = 1;
}

static void add_octets(struct reader *reader, struct text *out, const char *from, size_t length)
{
  const char *trouble = text_add_unescaped(out, from, length);
  if (trouble != NULL) {
    complain(reader, trouble);
  }
}

static struct client_item *new_item(struct reader *reader, struct client_items *items, int kind)
{
  items->items = realloc(items->items, (items->count + 1) * sizeof *items->items);
  if (items->items == NULL) {
    abort();
  }
  struct client_item *item = &items->items[items->count++];
  memset(item, 0, sizeof *item);
  item->kind = kind;
  item->line = reader->line;
  return item;
}

/* The last item if it is of this kind, or a new one. */
static struct client_item *same_item(struct reader *reader, int kind)
{
  struct client_items *script = &reader->section->script;
  if (script->count > 0 && script->items[script->count - 1].kind == kind) {
    return &script->items[script->count - 1];
  }
  return new_item(reader, script, kind);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  int kind;
} calls[] = {{"hello", CALL_HELLO},
             {"helo", CALL_HELO},
             {"mail", CALL_MAIL},
             {"send", CALL_SEND},
             {"soml", CALL_SOML},
             {"saml", CALL_SAML},
             {"rcpt", CALL_RCPT},
             {"data", CALL_DATA},
             {"rset", CALL_RSET},
             {"vrfy", CALL_VRFY},
             {"expn", CALL_EXPN},
             {"help", CALL_HELP},
             {"noop", CALL_NOOP},
             {"quit", CALL_QUIT},
             {"turn", CALL_TURN},
             {"starttls", CALL_STARTTLS},
             {"command", CALL_COMMAND},
             {"body", CALL_BODY},
             {"body_end", CALL_BODY_END},
             {"body_abort", CALL_BODY_ABORT},
             {"tls_done", CALL_TLS_DONE},
             {"auth", CALL_AUTH},
             {"auth_begin", CALL_AUTH_BEGIN},
             {"respond", CALL_AUTH_RESPOND},
             {"cancel", CALL_AUTH_CANCEL},
             {"etrn", CALL_ETRN},
             {"atrn", CALL_ATRN},
             {"burl", CALL_BURL},
             {"xclient", CALL_XCLIENT},
             {"xforward", CALL_XFORWARD},
             {"sent", CALL_SENT},
             {"eof", CALL_EOF},
             {"timed_out", CALL_TIMED_OUT}};

static int read_error(struct reader *reader, const char *word)
{
  static const char *const names[] = {
      "EHLO_OK",          "EHLO_ERR_ARGUMENT",    "EHLO_ERR_CONFIG",   "EHLO_ERR_MEMORY",   "EHLO_ERR_VERSION",
      "EHLO_ERR_STATE",   "EHLO_ERR_REENTRANT",   "EHLO_ERR_TICKET",   "EHLO_ERR_CODE",     "EHLO_ERR_TEXT",
      "EHLO_ERR_SPACE",   "EHLO_ERR_SYNTAX",      "EHLO_ERR_TOO_LONG", "EHLO_ERR_BUFFER",   "EHLO_ERR_BARE_NEWLINE",
      "EHLO_ERR_HOST",    "EHLO_ERR_NOT_OFFERED", "EHLO_ERR_8BITMIME", "EHLO_ERR_SMTPUTF8", "EHLO_ERR_SIZE",
      "EHLO_ERR_REFUSED", "EHLO_ERR_TLS",         "EHLO_ERR_LIMIT"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(word, names[i]) == 0) {
      return -(int)i;
    }
  }
  complain(reader, "no such error");
  return EHLO_OK;
}

/* A path, and behind it the parameters: those that begin with a small letter go into their fields, the others go out as
 * they stand. */
static void read_envelope(struct reader *reader, struct call *call, const char *at)
{
  const char *word;
  size_t length = next_word(&at, &word);
  add_octets(reader, &call->argument, word, length);
  while (*at != '\0') {
    length = next_word(&at, &word);
    struct text *to = *word >= 'a' && *word <= 'z' ? &call->options : &call->parameters;
    text_add(to, " ", to->len > 0 ? 1 : 0);
    add_octets(reader, to, word, length);
  }
}

/* A mechanism, and behind it the credentials. */
static void read_auth(struct reader *reader, struct call *call, const char *at)
{
  static const char *const names[] = {"authzid=", "authcid=", "secret=", "host="};
  const char *word;
  size_t length = next_word(&at, &word);
  add_octets(reader, &call->argument, word, length);
  while (*at != '\0') {
    length = next_word(&at, &word);
    size_t i = 0;
    while (i < 4 && !starts(word, names[i])) {
      i++;
    }
    if (i < 4) {
      add_octets(reader, &call->fields[i], word + strlen(names[i]), length - strlen(names[i]));
    } else if (starts(word, "port=")) {
      call->number = (size_t)strtoul(word + 5, NULL, 10);
    } else {
      complain(reader, "no such field");
    }
  }
}

/* A mechanism, and perhaps the initial response: "=" for an empty one. */
static void read_auth_begin(struct reader *reader, struct call *call, const char *at)
{
  const char *word;
  size_t length = next_word(&at, &word);
  add_octets(reader, &call->argument, word, length);
  call->number = *at != '\0';
  if (strcmp(at, "=") != 0) {
    add_octets(reader, &call->fields[0], at, strlen(at));
  }
}

/* Reads "verb argument -> error". */
static void read_call(struct reader *reader, struct call *call, char *from)
{
  char *arrow = strstr(from, " -> ");
  if (arrow != NULL) {
    *arrow = '\0';
    call->error = read_error(reader, arrow + 4);
  }
  const char *at = from;
  const char *word;
  size_t length = next_word(&at, &word);
  size_t i = 0;
  while (i < sizeof calls / sizeof calls[0] && !word_is(word, length, calls[i].name)) {
    i++;
  }
  if (i == sizeof calls / sizeof calls[0]) {
    complain(reader, "no such call");
    return;
  }
  call->kind = calls[i].kind;
  size_t rest = strlen(at);
  switch (call->kind) {
  case CALL_MAIL:
  case CALL_SEND:
  case CALL_SOML:
  case CALL_SAML:
  case CALL_RCPT: read_envelope(reader, call, at); break;
  case CALL_VRFY:
  case CALL_EXPN:
    if (rest > 9 && strcmp(at + rest - 9, " smtputf8") == 0) {
      call->smtputf8 = 1;
      rest -= 9;
    }
    add_octets(reader, &call->argument, at, rest);
    break;
  case CALL_AUTH: read_auth(reader, call, at); break;
  case CALL_AUTH_BEGIN: read_auth_begin(reader, call, at); break;
  case CALL_BURL:
    length = next_word(&at, &word);
    add_octets(reader, &call->argument, word, length);
    call->number = strcmp(at, "last") == 0;
    break;
  case CALL_COMMAND:
    length = next_word(&at, &word);
    add_octets(reader, &call->argument, word, length);
    add_octets(reader, &call->parameters, at, strlen(at));
    break;
  case CALL_SENT: call->number = rest == 0 ? SIZE_MAX : (size_t)strtoul(at, NULL, 10); break;
  default: add_octets(reader, &call->argument, at, rest); break;
  }
}

/* "! ..." what the host does, or that its handler will fail. */
static void read_host(struct reader *reader, char *from)
{
  if (starts(from, "fatal ")) {
    static const char *const names[] = {"LINE", "REPLY", "HELLO", "CONTENT", "END", "VIOLATION", "CHALLENGE"};
    struct client_item *item = new_item(reader, &reader->section->script, CLIENT_FATAL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
      item->event = strcmp(from + 6, names[i]) == 0 ? (uint32_t)i + 1 : item->event;
    }
    if (item->event == 0) {
      complain(reader, "no such event");
    }
    return;
  }
  read_call(reader, &new_item(reader, &reader->section->script, CLIENT_CALL)->call, from);
}

/* ---- how a section begins ------------------------------------------------------------------- */

/* One member of "config: a, b 3, c". */
static void read_setting(struct reader *reader, const char *from)
{
  ehlo_client_config *config = &reader->section->config;
  const char *at = from;
  const char *word;
  size_t length = next_word(&at, &word);
  const struct {
    const char *name;
    uint32_t *value;
  } numbers[] = {{"output-size", &config->output_size},           {"max-commands", &config->max_commands},
                 {"max-recipients", &config->max_recipients},     {"max-reply-line", &config->max_reply_line},
                 {"max-reply-lines", &config->max_reply_lines},   {"max-reply-size", &config->max_reply_size},
                 {"parameters-size", &config->parameters_size},   {"max-sasl-line", &config->max_sasl_line},
                 {"greeting-timeout", &config->greeting_timeout}, {"command-timeout", &config->command_timeout},
                 {"data-timeout", &config->data_timeout},         {"content-timeout", &config->content_timeout},
                 {"verdict-timeout", &config->verdict_timeout}};
  const struct {
    const char *name;
    uint8_t *value;
  } options[] = {{"no-helo", &config->no_helo},
                 {"hold-data", &config->hold_data},
                 {"pass-parameters", &config->pass_parameters},
                 {"convert-lf", &config->convert_lf},
                 {"allow-plaintext-auth", &config->allow_plaintext_auth}};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (word_is(word, length, numbers[i].name)) {
      *numbers[i].value = (uint32_t)strtoul(at, NULL, 10);
      reader->section->has_output_size |= numbers[i].value == &config->output_size;
      return;
    }
  }
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
    if (word_is(word, length, options[i].name)) {
      *options[i].value = 1;
      return;
    }
  }
  if (word_is(word, length, "chunking")) {
    static const char *const names[] = {"auto", "always", "never"};
    uint8_t chunking = 0;
    while (chunking < 3 && strcmp(at, names[chunking]) != 0) {
      chunking++;
    }
    if (chunking == 3) {
      complain(reader, "no such chunking");
    }
    config->chunking = chunking; /* EHLO_CHUNKING_ */
  } else if (word_is(word, length, "lmtp")) {
    config->protocol = EHLO_PROTOCOL_LMTP;
  } else if (word_is(word, length, "hostname")) {
    text_clear(&reader->section->hostname);
    add_octets(reader, &reader->section->hostname, at, strlen(at));
  } else if (word_is(word, length, "ignore")) {
    uint32_t extension = 0;
    while (extension < EHLO_EXT_COUNT && strcmp(at, ehlo_extension_keyword(extension)) != 0) {
      extension++;
    }
    if (extension == EHLO_EXT_COUNT) {
      complain(reader, "no such extension");
      return;
    }
    config->use[extension] = 0;
  } else {
    complain(reader, "no such setting");
  }
}

static void give_reply(struct reader *reader, const char *reply)
{
  struct client_item *item = new_item(reader, &reader->section->given, CLIENT_FEED);
  text_print(&item->octets, "%s\r\n", reply);
}

/* The answer to a hello: each word a line, "SIZE=1000" for "SIZE 1000", "LIMITS=A/1=B" for "LIMITS A=1 B". */
static void give_hello(struct reader *reader, const char *keywords)
{
  struct client_item *item = new_item(reader, &reader->section->given, CLIENT_FEED);
  text_print(&item->octets, "250%cmail.example.org\r\n", *keywords == '\0' ? ' ' : '-');
  while (*keywords != '\0') {
    const char *word;
    size_t length = next_word(&keywords, &word);
    text_print(&item->octets, "250%c", *keywords == '\0' ? ' ' : '-');
    for (size_t i = 0; i < length; i++) {
      text_add(&item->octets, word[i] == '=' ? " " : word[i] == '/' ? "=" : &word[i], 1);
    }
    text_print(&item->octets, "\r\n");
  }
}

/* One member of "given: ehlo PIPELINING SIZE, mail, rcpt, data": a call, which a friendly server answers. */
static void read_given(struct reader *reader, const char *from)
{
  static const char *const usual[][2] = {{"mail", "mail alice@example.com"}, {"rcpt", "rcpt bob@example.org"}};
  struct client_items *given = &reader->section->given;
  const char *keywords = from + strlen(from);
  struct text line = {0};
  if (given->count == 0) {
    give_reply(reader, "220 mail.example.org Service ready");
  }
  if (strcmp(from, "greeting") == 0) {
    return;
  }
  if (starts(from, "ehlo") || starts(from, "lhlo")) {
    keywords = from[4] == ' ' ? from + 5 : from + 4;
    from = "hello";
  }
  for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
    from = strcmp(from, usual[i][0]) == 0 ? usual[i][1] : from;
  }
  text_print(&line, "%s", from);
  struct client_item *item = new_item(reader, given, CLIENT_CALL);
  read_call(reader, &item->call, line.ptr);
  text_free(&line);
  switch (item->call.kind) {
  case CALL_HELLO:
  case CALL_HELO: give_hello(reader, keywords); break;
  case CALL_DATA: give_reply(reader, "354 Go ahead"); break;
  default: give_reply(reader, "250 OK"); break;
  }
}

static void read_list(struct reader *reader, char *list, void (*member)(struct reader *, const char *))
{
  char *rest = NULL;
  for (char *at = strtok_r(list, ",", &rest); at != NULL; at = strtok_r(NULL, ",", &rest)) {
    while (*at == ' ') {
      at++;
    }
    member(reader, at);
  }
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void begin_section(struct reader *reader, const char *title)
{
  struct client_transcript *transcript = reader->transcript;
  transcript->sections = realloc(transcript->sections, (transcript->count + 1) * sizeof *transcript->sections);
  if (transcript->sections == NULL) {
    abort();
  }
  struct client_section *section = &transcript->sections[transcript->count++];
  memset(section, 0, sizeof *section);
  section->file = strdup(reader->path);
  section->title = strdup(title);
  section->line = reader->line;
  ehlo_client_config_init(&section->config, sizeof section->config);
  text_print(&section->hostname, "client.example.com");
  reader->section = section;
  reader->in_prose = 1;
}

static void read_line(struct reader *reader, char *line)
{
  if (starts(line, "## ")) {
    begin_section(reader, line + 3);
    return;
  }
  if (reader->section == NULL) {
    return; /* the file's own introduction */
  }
  if (line[0] == '\0') {
    reader->in_prose = 0;
    return;
  }
  char *rest = line[1] == '\0' ? line + strlen(line) : line + 2 + (line[2] == ' ');
  size_t length = strlen(rest);
  struct client_section *section = reader->section;
  struct client_item *item;
  if (starts(line, "S:") || starts(line, "S>")) {
    item = same_item(reader, CLIENT_FEED);
    size_t before = item->octets.len;
    add_octets(reader, &item->octets, rest, length);
    text_add(&item->octets, "\r\n", line[1] == ':' ? 2 : 0);
    section->octets += item->octets.len - before;
  } else if (starts(line, "C:") || starts(line, "C>")) {
    item = same_item(reader, CLIENT_EXPECT);
    add_octets(reader, &item->octets, rest, length);
    text_add(&item->octets, "\r\n", line[1] == ':' ? 2 : 0);
  } else if (starts(line, "* ")) {
    item = same_item(reader, CLIENT_EXPECT);
    text_add(&item->events, line + 2, strlen(line + 2));
    text_add(&item->events, "\n", 1);
  } else if (starts(line, "= ")) {
    item = same_item(reader, CLIENT_EXPECT);
    text_print(&item->states, "%s\n", line + 2);
  } else if (starts(line, "! ")) {
    read_host(reader, line + 2);
  } else if (starts(line, "config: ")) {
    read_list(reader, line + 8, read_setting);
  } else if (starts(line, "given: ")) {
    read_list(reader, line + 7, read_given);
  } else if (strcmp(line, "events: all") == 0) {
    section->events_all = 1;
  } else if (strcmp(line, "drain: as written") == 0) {
    section->drain_as_written = 1;
  } else if (!reader->in_prose) {
    complain(reader, "not a line of a transcript");
  }
}

int client_transcript_read(struct client_transcript *transcript, const char *path)
{
  memset(transcript, 0, sizeof *transcript);
  FILE *file = fopen(path, "r");
  if (file == NULL) {
    perror(path);
    return -1;
  }
  struct reader reader = {.path = path, .transcript = transcript};
  char *line = NULL;
  size_t room = 0;
  ssize_t length;
  while ((length = getline(&line, &room, file)) >= 0) {
    reader.line++;
    if (length > 0 && line[length - 1] == '\n') {
      line[--length] = '\0';
    }
    read_line(&reader, line);
  }
  free(line);
  fclose(file);
  for (size_t i = 0; i < transcript->count; i++) {
    struct client_section *section = &transcript->sections[i];
    const struct client_items *script = &section->script;
    section->config.hostname = (ehlo_span){section->hostname.ptr, section->hostname.len};
    if (script->count == 0 || script->items[script->count - 1].kind != CLIENT_EXPECT) {
      reader.line = section->line;
      complain(&reader, "the section does not end with something expected");
    }
  }
  if (transcript->count == 0) {
    complain(&reader, "no sections");
  }
  return reader.failed ? -1 : 0;
}

static void free_items(struct client_items *items)
{
  for (size_t i = 0; i < items->count; i++) {
    struct client_item *item = &items->items[i];
    text_free(&item->octets);
    text_free(&item->call.argument);
    text_free(&item->call.parameters);
    text_free(&item->call.options);
    for (size_t field = 0; field < 4; field++) {
      text_free(&item->call.fields[field]);
    }
    text_free(&item->events);
    text_free(&item->states);
  }
  free(items->items);
}

void client_transcript_free(struct client_transcript *transcript)
{
  for (size_t i = 0; i < transcript->count; i++) {
    struct client_section *section = &transcript->sections[i];
    free_items(&section->given);
    free_items(&section->script);
    text_free(&section->hostname);
    free(section->title);
    free(section->file);
  }
  free(transcript->sections);
  memset(transcript, 0, sizeof *transcript);
}
