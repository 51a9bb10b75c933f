/* transcript_read.c: transcripts, from text to sections. See tests/transcripts/README.md for the format. */
#include "transcript.h"

#include <stdlib.h>
#include <string.h>

/* ---- the reader ----------------------------------------------------------------------------- */

struct reader {
  const char *path;
  unsigned line;
  struct transcript *transcript;
  struct section *section;
  int in_prose;  /* behind a heading, before the first line that says something */
  int more_open; /* the last policy or action ended in a line with "-" */
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

static struct item *new_item(struct reader *reader, int kind)
{
  struct section *section = reader->section;
  section->items = realloc(section->items, (section->count + 1) * sizeof *section->items);
  if (section->items == NULL) {
    abort();
  }
  struct item *item = &section->items[section->count++];
  memset(item, 0, sizeof *item);
  item->kind = kind;
  item->line = reader->line;
  return item;
}

/* The last item if it is of this kind, or a new one. */
static struct item *same_item(struct reader *reader, int kind)
{
  struct section *section = reader->section;
  if (section->count > 0 && section->items[section->count - 1].kind == kind) {
    return &section->items[section->count - 1];
  }
  return new_item(reader, kind);
}

static uint32_t event_named(const char *word, size_t length)
{
  for (uint32_t event = 1; ehlo_event_name(event)[0] != '?'; event++) {
    if (word_is(word, length, ehlo_event_name(event))) {
      return event;
    }
  }
  return 0;
}

/* Reads "accept", "silent", "defer", "fail", "fatal", "challenge" and its octets, or a code (with "-" if another line
 * follows), an enhanced code and a text. */
static void read_answer(struct reader *reader, struct answer *answer, const char *from)
{
  static const struct {
    const char *word;
    int kind;
  } words[] = {{"accept", ANSWER_ACCEPT},
               {"silent", ANSWER_SILENT},
               {"defer", ANSWER_DEFER},
               {"fail", ANSWER_FAIL},
               {"fatal", ANSWER_FATAL}};
  if (starts(from, "challenge ") || strcmp(from, "challenge") == 0) {
    struct text challenge = {0};
    from += strcspn(from, " ");
    from += *from == ' ';
    add_octets(reader, &challenge, from, strlen(from));
    answer->kind = ANSWER_CHALLENGE;
    answer->code = 334;
    answer->lines = 1;
    answer->line[0].text = challenge.ptr;
    answer->line[0].length = challenge.len;
    return;
  }
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (strcmp(from, words[i].word) == 0) {
      answer->kind = words[i].kind;
      return;
    }
  }
  char *behind;
  long code = strtol(from, &behind, 10);
  if (behind != from + 3 || (*behind != ' ' && *behind != '-' && *behind != '\0')) {
    complain(reader, "expected an answer");
    return;
  }
  if (answer->lines == MAX_ANSWER_LINES) {
    complain(reader, "too many lines in an answer");
    return;
  }
  if (answer->lines > 0 && answer->code != (int)code) {
    complain(reader, "the code changes within an answer");
  }
  answer->kind = ANSWER_CODE;
  answer->code = (int)code;
  reader->more_open = *behind == '-';
  struct answer_line *line = &answer->line[answer->lines++];
  const char *text = *behind == '\0' ? behind : behind + 1;
  size_t word = strcspn(text, " ");
  if (word >= 5 && word < sizeof line->enhanced && strspn(text, "0123456789.") == word && text[1] == '.') {
    memcpy(line->enhanced, text, word);
    text += word;
    text += *text == ' ';
  }
  struct text octets = {0};
  add_octets(reader, &octets, text, strlen(text));
  line->text = octets.ptr;
  line->length = octets.len;
}

/* "! ..." what the host will answer, or does now. */
static void read_host(struct reader *reader, const char *from)
{
  const char *at = from;
  const char *word;
  size_t length = next_word(&at, &word);
  struct item *last = reader->section->count > 0 ? &reader->section->items[reader->section->count - 1] : NULL;
  if (reader->more_open) {
    reader->more_open = 0;
    while (*at != '\0' && last->kind == ITEM_ACTION && strspn(at, "0123456789") < 3) {
      next_word(&at, &word);
    }
    read_answer(reader, &last->answer, at);
    return;
  }
  unsigned count = 1;
  if (length > 0 && strspn(word, "0123456789") == length) {
    count = (unsigned)strtoul(word, NULL, 10);
    length = next_word(&at, &word);
  }
  uint32_t event = event_named(word, length);
  if (event != 0) {
    struct item *item = new_item(reader, ITEM_POLICY);
    item->event = event;
    item->count = count;
    read_answer(reader, &item->answer, at);
    return;
  }
  struct item *item = new_item(reader, ITEM_ACTION);
  if (word_is(word, length, "answer")) {
    item->action = ACTION_ANSWER;
    const char *number;
    next_word(&at, &number);
    item->number = strtoul(number, NULL, 10);
    read_answer(reader, &item->answer, at);
  } else if (word_is(word, length, "shutdown")) {
    item->action = ACTION_SHUTDOWN;
    read_answer(reader, &item->answer, at);
  } else if (word_is(word, length, "offer")) {
    item->action = ACTION_OFFER;
    length = next_word(&at, &word);
    while (item->number < EHLO_EXT_COUNT && !word_is(word, length, ehlo_extension_keyword((uint32_t)item->number))) {
      item->number++;
    }
    item->on = strcmp(at, "on") == 0;
    if (item->number == EHLO_EXT_COUNT || (!item->on && strcmp(at, "off") != 0)) {
      complain(reader, "expected: ! offer KEYWORD on|off");
    }
  } else if (word_is(word, length, "sent")) {
    item->action = ACTION_SENT;
    item->number = strtoul(at, NULL, 10);
  } else if (word_is(word, length, "resume")) {
    item->action = ACTION_RESUME;
  } else if (word_is(word, length, "eof")) {
    item->action = ACTION_EOF;
  } else if (word_is(word, length, "lost")) {
    item->action = ACTION_LOST;
  } else if (word_is(word, length, "timed_out")) {
    item->action = ACTION_TIMED_OUT;
  } else if (word_is(word, length, "authorize")) {
    item->action = ACTION_AUTHORIZE;
    add_octets(reader, &item->octets, at, strlen(at));
  } else if (word_is(word, length, "tls_done")) {
    item->action = ACTION_TLS_DONE;
  } else {
    complain(reader, "the host knows no such event or action");
  }
}

ehlo_span *config_text(ehlo_server_config *config, size_t number)
{
  ehlo_span *const texts[CONFIG_TEXTS] = {&config->hostname,
                                          &config->other_mechanisms,
                                          &config->priority_policy,
                                          &config->solicit,
                                          &config->burl,
                                          &config->xclient,
                                          &config->xforward,
                                          &config->own_keywords,
                                          &config->own_verbs,
                                          &config->own_mail_parameters,
                                          &config->own_rcpt_parameters};
  return texts[number];
}

/* Is it a text of the config? Reads it then, with its escapes. */
static int read_config_text(struct reader *reader, const char *word, size_t length, const char *at)
{
  static const char *const names[CONFIG_TEXTS] = {"hostname",
                                                  "other-mechanisms",
                                                  "priority-policy",
                                                  "solicit",
                                                  "burl",
                                                  "xclient",
                                                  "xforward",
                                                  "own-keywords",
                                                  "own-verbs",
                                                  "own-mail-parameters",
                                                  "own-rcpt-parameters"};
  for (size_t i = 0; i < CONFIG_TEXTS; i++) {
    if (word_is(word, length, names[i])) {
      struct text *text = &reader->section->texts[i];
      text_clear(text);
      add_octets(reader, text, at, strlen(at));
      *config_text(&reader->section->config, i) = (ehlo_span){text->ptr, text->len};
      return 1;
    }
  }
  return 0;
}

/* "PLAIN+LOGIN", as bits. */
static uint32_t read_mechanisms(struct reader *reader, const char *at)
{
  uint32_t set = 0;
  while (*at != '\0') {
    size_t length = strcspn(at, "+");
    uint32_t mechanism = ehlo_sasl_find((ehlo_span){at, length});
    if (mechanism == EHLO_SASL_OTHER) {
      complain(reader, "no such mechanism");
    }
    set |= 1U << mechanism;
    at += length + (at[length] == '+');
  }
  return set;
}

/* "DSN LIMITS", or "all". */
static void read_offers(struct reader *reader, const char *at, uint8_t on)
{
  uint8_t *offer = reader->section->config.offer;
  if (strcmp(at, "all") == 0) {
    memset(offer, on, EHLO_EXT_COUNT);
    return;
  }
  while (*at != '\0') {
    const char *word;
    size_t length = next_word(&at, &word);
    uint32_t extension = 0;
    while (extension < EHLO_EXT_COUNT && !word_is(word, length, ehlo_extension_keyword(extension))) {
      extension++;
    }
    if (extension == EHLO_EXT_COUNT) {
      complain(reader, "no such extension");
      return;
    }
    offer[extension] = on;
  }
}

/* One member of "config: a, b 3, c". */
static void read_setting(struct reader *reader, const char *from)
{
  ehlo_server_config *config = &reader->section->config;
  const char *at = from;
  const char *word;
  size_t length = next_word(&at, &word);
  const struct {
    const char *name;
    uint32_t *value;
  } numbers[] = {{"max-command-line", &config->max_command_line},
                 {"output-size", &config->output_size},
                 {"max-pending", &config->max_pending},
                 {"pending-text", &config->pending_text},
                 {"hello-size", &config->hello_size},
                 {"max-recipients", &config->max_recipients},
                 {"max-errors", &config->max_errors},
                 {"command-timeout", &config->command_timeout},
                 {"content-timeout", &config->content_timeout},
                 {"max-transactions", &config->max_transactions},
                 {"max-rcpt-domains", &config->max_rcpt_domains},
                 {"deliver-by-min", &config->deliver_by_min},
                 {"hold-max", &config->hold_max}};
  const struct {
    const char *name;
    uint8_t *value;
  } options[] = {{"submission", &config->submission},
                 {"require-tls", &config->require_tls},
                 {"require-auth", &config->require_auth},
                 {"odmr", &config->odmr},
                 {"allow-plaintext-auth", &config->allow_plaintext_auth},
                 {"expn-252", &config->expn_252},
                 {"pass-parameters", &config->pass_parameters},
                 {"allow-bare-newline", &config->allow_bare_newline},
                 {"allow-space-after-colon", &config->allow_space_after_colon},
                 {"allow-bare-address", &config->allow_bare_address},
                 {"allow-extra-spaces", &config->allow_extra_spaces},
                 {"allow-underscore", &config->allow_underscore},
                 {"allow-any-hello", &config->allow_any_hello},
                 {"allow-8bit-orcpt", &config->allow_8bit_orcpt}};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (word_is(word, length, numbers[i].name)) {
      *numbers[i].value = (uint32_t)strtoul(at, NULL, 10);
      reader->section->has_max_pending |= numbers[i].value == &config->max_pending;
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
  if (read_config_text(reader, word, length, at)) {
    return;
  }
  if (word_is(word, length, "max-message-size")) {
    config->max_message_size = strtoull(at, NULL, 10);
  } else if (word_is(word, length, "hold-max-time")) {
    if (ehlo_parse_date_time(ehlo_span_of(at), &config->hold_max_time) != EHLO_OK) {
      complain(reader, "not a date and time of RFC 3339");
    }
  } else if (word_is(word, length, "mechanisms")) {
    config->mechanisms = read_mechanisms(reader, at);
  } else if (word_is(word, length, "under-tls")) {
    reader->section->under_tls = 1;
  } else if (word_is(word, length, "verified")) {
    reader->section->verified = 1;
  } else if (word_is(word, length, "lmtp")) {
    config->protocol = EHLO_PROTOCOL_LMTP;
    reader->section->is_lmtp = 1;
  } else if (word_is(word, length, "offer")) {
    read_offers(reader, at, 1);
  } else if (word_is(word, length, "withhold")) {
    read_offers(reader, at, 0);
  } else {
    complain(reader, "no such setting");
  }
}

/* One member of "given: EHLO, MAIL, RCPT, DATA": a verb stands for its usual line, anything longer for itself. */
static void read_given(struct reader *reader, const char *from)
{
  static const char *const usual[][2] = {
      {"EHLO", "EHLO client.example.com"},   {"HELO", "HELO client.example.com"},
      {"LHLO", "LHLO client.example.com"},   {"MAIL", "MAIL FROM:<alice@example.com>"},
      {"RCPT", "RCPT TO:<bob@example.org>"}, {"TLS", "STARTTLS"}};
  for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
    if (strcmp(from, usual[i][0]) == 0) {
      from = usual[i][1];
    }
  }
  if (strcmp(from, "greeting") != 0) {
    add_octets(reader, &reader->section->given, from, strlen(from));
  }
  text_add(&reader->section->given, "\r\n", 2);
}

static void read_list(struct reader *reader, char *list, void (*member)(struct reader *, const char *))
{
  for (char *at = strtok(list, ","); at != NULL; at = strtok(NULL, ",")) {
    while (*at == ' ') {
      at++;
    }
    member(reader, at);
  }
}

static void begin_section(struct reader *reader, const char *title)
{
  struct transcript *transcript = reader->transcript;
  transcript->sections = realloc(transcript->sections, (transcript->count + 1) * sizeof *transcript->sections);
  if (transcript->sections == NULL) {
    abort();
  }
  struct section *section = &transcript->sections[transcript->count++];
  memset(section, 0, sizeof *section);
  section->file = strdup(reader->path);
  section->title = strdup(title);
  section->line = reader->line;
  ehlo_server_config_init(&section->config, sizeof section->config);
  section->config.hostname = ehlo_span_of("mail.example.org");
  reader->section = section;
  reader->in_prose = 1;
  reader->more_open = 0;
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
  char *rest = line[0] == '\0' || line[1] == '\0' ? line + strlen(line) : line + 2 + (line[2] == ' ');
  size_t length = strlen(rest);
  struct section *section = reader->section;
  struct item *item;
  if (starts(line, "C:") || starts(line, "C>")) {
    item = same_item(reader, ITEM_SEND);
    size_t before = item->octets.len;
    add_octets(reader, &item->octets, rest, length);
    text_add(&item->octets, "\r\n", line[1] == ':' ? 2 : 0);
    section->octets += item->octets.len - before;
  } else if (starts(line, "S:") || starts(line, "S>")) {
    item = same_item(reader, ITEM_EXPECT);
    add_octets(reader, &item->octets, rest, length);
    text_add(&item->octets, "\r\n", line[1] == ':' ? 2 : 0);
  } else if (starts(line, "D:") || starts(line, "D>")) {
    item = same_item(reader, ITEM_EXPECT);
    item->has_content = 1;
    add_octets(reader, &item->content, rest, length);
    text_add(&item->content, "\r\n", line[1] == ':' ? 2 : 0);
  } else if (starts(line, "* ")) {
    item = same_item(reader, ITEM_EXPECT);
    text_print(&item->events, "%s\n", line + 2);
  } else if (starts(line, "= ")) {
    item = same_item(reader, ITEM_EXPECT);
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

int transcript_read(struct transcript *transcript, const char *path)
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
    const struct section *section = &transcript->sections[i];
    if (section->count == 0 || section->items[section->count - 1].kind != ITEM_EXPECT) {
      reader.line = section->line;
      complain(&reader, "the section does not end with something expected");
    }
  }
  if (transcript->count == 0) {
    complain(&reader, "no sections");
  }
  return reader.failed ? -1 : 0;
}

void transcript_free(struct transcript *transcript)
{
  for (size_t i = 0; i < transcript->count; i++) {
    struct section *section = &transcript->sections[i];
    for (size_t j = 0; j < section->count; j++) {
      struct item *item = &section->items[j];
      for (size_t k = 0; k < item->answer.lines; k++) {
        free(item->answer.line[k].text);
      }
      text_free(&item->octets);
      text_free(&item->events);
      text_free(&item->states);
      text_free(&item->content);
    }
    for (size_t j = 0; j < CONFIG_TEXTS; j++) {
      text_free(&section->texts[j]);
    }
    text_free(&section->given);
    free(section->items);
    free(section->title);
    free(section->file);
  }
  free(transcript->sections);
  memset(transcript, 0, sizeof *transcript);
}
