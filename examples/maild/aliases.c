/* aliases.c: see aliases.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * All is worked out when the file is read: each alias has the list of the mailboxes that it comes to in the end. So a
 * loop is told to the administrator, not found by the mail that runs into it.
 */
#define _GNU_SOURCE
#include "aliases.h"

#include "delivery.h"
#include "settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { MOST_TARGETS = 1000, ADDRESS = 512, DEEPEST = 50 };

struct alias {
  char *directory; /* its own name */
  char *text;      /* targets as they are written, until all names are known */
  char *directories, *addresses;
  size_t directories_size, addresses_size;
  uint32_t count;
  size_t line;
  const struct alias *done_for; /* whom it has been added to last, */
  int under_way;                /* or is being added to */
};

struct table {
  struct alias *aliases; /* by directory */
  size_t count, room;
};

static const char *file_name;
static struct table table;

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* From "name" or "name@domain" to the directory and the whole address. Returns 0, or -1 if it is none of ours. */
static int read_name(ehlo_span text, char directory[MAILBOX_NAME + 1], char address[ADDRESS])
{
  ehlo_path path;
  size_t used;
  ehlo_span domain = settings.recipients.domain_count > 0 ? settings.recipients.domains[0] : ehlo_span_of("localhost");
  int whole = text.len > 0 && memchr(text.ptr, '@', text.len) != NULL;
  int length = snprintf(address, ADDRESS, "%.*s%s%.*s", (int)text.len, text.ptr, whole ? "" : "@",
                        whole ? 0 : (int)domain.len, domain.ptr);
  if (length < 0 || length >= ADDRESS ||
      ehlo_parse_mailbox(ehlo_span_of(address), EHLO_PARSE_UTF8, &path, &used) != EHLO_OK || used != (size_t)length ||
      recipients_domain(&settings.recipients, path.domain.raw) == settings.recipients.domain_count)
    return -1;
  return delivery_mailbox(&path, directory);
}

static int compare(const void *one, const void *other)
{
  return strcmp(((const struct alias *)one)->directory, ((const struct alias *)other)->directory);
}

static int compare_name(const void *directory, const void *alias)
{
  return strcmp(directory, ((const struct alias *)alias)->directory);
}

static struct alias *find(const struct table *in, const char *directory)
{
  return in->count == 0 ? NULL : bsearch(directory, in->aliases, in->count, sizeof *in->aliases, compare_name);
}

static void forget(struct table *old)
{
  for (size_t i = 0; i < old->count; i++) {
    free(old->aliases[i].directory);
    free(old->aliases[i].text);
    free(old->aliases[i].directories);
    free(old->aliases[i].addresses);
  }
  free(old->aliases);
  *old = (struct table){0};
}

/* ---- working it out ---------------------------------------------------------------------------------------------- */

/* Cuts the next target off, without white space around it. Returns 0 at the end. */
static int next_target(const char **rest, ehlo_span *target)
{
  const char *at = *rest + strspn(*rest, " \t,");
  size_t length = strcspn(at, ",");
  *rest = at + length;
  while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
    length--;
  *target = (ehlo_span){at, length};
  return length > 0;
}

static int append(char **list, size_t *size, const char *word)
{
  size_t length = strlen(word) + 1;
  char *more = realloc(*list, *size + length);
  if (more == NULL)
    return -1;
  memcpy(more + *size, word, length);
  *list = more;
  *size += length;
  return 0;
}

/* Adds a mailbox that is not there yet. */
static const char *add(struct alias *alias, const char *directory, const char *address)
{
  const char *at = alias->directories;
  for (uint32_t i = 0; i < alias->count; i++, at += strlen(at) + 1) {
    if (strcmp(at, directory) == 0)
      return NULL;
  }
  if (alias->count == MOST_TARGETS)
    return "too many mailboxes for one name";
  if (append(&alias->directories, &alias->directories_size, directory) != 0 ||
      append(&alias->addresses, &alias->addresses_size, address) != 0)
    return strerror(errno);
  alias->count++;
  return NULL;
}

static char problem[ADDRESS + 64];

static const char *say(ehlo_span target, const char *what)
{
  snprintf(problem, sizeof problem, "%.*s: %s", (int)target.len, target.ptr, what);
  return problem;
}

static const char *expand(const struct table *in, struct alias *alias, struct alias *from, unsigned depth);

/* Adds to `alias` what this target of `from` comes to. One that is there on another way already is not gone through
 * again: the ways can be twice as many at each step. */
static const char *expand_target(const struct table *in, struct alias *alias, const struct alias *from,
                                 ehlo_span target, unsigned depth)
{
  char directory[MAILBOX_NAME + 1], address[ADDRESS];
  if (read_name(target, directory, address) != 0)
    return say(target, "is no name at a --domain");
  struct alias *further = find(in, directory);
  if (further == from || (further == NULL && delivery_exists(directory)))
    return add(alias, directory, address);
  if (further == NULL)
    return say(target, "there is neither such an alias nor such a mailbox");
  if (further->under_way)
    return say(target, "it comes back to itself");
  return further->done_for == alias ? NULL : expand(in, alias, further, depth + 1);
}

/* Adds to `alias` all that the targets of `from` come to. Returns NULL, or what is wrong. */
static const char *expand(const struct table *in, struct alias *alias, struct alias *from, unsigned depth)
{
  const char *rest = from->text;
  const char *wrong = depth > DEEPEST ? "too many aliases one behind the other" : NULL;
  ehlo_span target;
  from->under_way = 1;
  while (wrong == NULL && next_target(&rest, &target))
    wrong = expand_target(in, alias, from, target, depth);
  from->under_way = 0;
  from->done_for = alias;
  return wrong;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static const char *read_alias(struct table *into, char *line, size_t number)
{
  char directory[MAILBOX_NAME + 1], address[ADDRESS];
  char *colon = strchr(line, ':');
  if (colon == NULL)
    return "NAME: TARGET, TARGET is needed";
  size_t length = (size_t)(colon - line);
  while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
    length--;
  if (read_name((ehlo_span){line, length}, directory, address) != 0)
    return "the name is none at a --domain";
  if (into->count == into->room) {
    size_t room = into->room == 0 ? 16 : into->room * 2;
    struct alias *more = realloc(into->aliases, room * sizeof *more);
    if (more == NULL)
      return strerror(errno);
    into->aliases = more;
    into->room = room;
  }
  struct alias alias = {.directory = strdup(directory), .text = strdup(colon + 1), .line = number};
  into->aliases[into->count++] = alias;
  return alias.directory == NULL || alias.text == NULL ? strerror(errno) : NULL;
}

/* Adds a line of the file to the one that it may go on with. Returns -1 if there is no memory. */
static int go_on(char **whole, size_t *length, const char *line)
{
  size_t more = strlen(line);
  char *grown = realloc(*whole, *length + more + 1);
  if (grown == NULL)
    return -1;
  memcpy(grown + *length, line, more + 1);
  *whole = grown;
  *length += more;
  return 0;
}

static const char *read_all(FILE *file, struct table *into, size_t *number)
{
  char *line = NULL, *whole = NULL;
  size_t size = 0, length = 0, begun = 0;
  const char *wrong = NULL;
  int more = 1;
  for (*number = 1; more && wrong == NULL; ++*number) {
    more = getline(&line, &size, file) >= 0;
    line[more ? strcspn(line, "\r\n#") : 0] = '\0';
    if (more && line[strspn(line, " \t")] == '\0')
      continue; /* nothing, or a comment */
    if (length > 0 && (!more || (line[0] != ' ' && line[0] != '\t'))) {
      wrong = read_alias(into, whole, begun);
      length = 0;
    }
    if (length == 0 && wrong == NULL)
      begun = *number;
    if (more && wrong == NULL && go_on(&whole, &length, line) != 0)
      wrong = strerror(errno);
  }
  if (wrong == NULL && ferror(file))
    wrong = strerror(errno);
  *number = begun;
  free(line);
  free(whole);
  return wrong;
}

static const char *work_out(struct table *in, size_t *number)
{
  const char *wrong = NULL;
  if (in->count > 0)
    qsort(in->aliases, in->count, sizeof *in->aliases, compare);
  for (size_t i = 0; i < in->count && wrong == NULL; i++) {
    struct alias *alias = &in->aliases[i];
    *number = alias->line;
    if (i > 0 && compare(alias - 1, alias) == 0)
      wrong = "the name stands there twice";
    else
      wrong = expand(in, alias, alias, 0);
    if (wrong == NULL && alias->count == 0)
      wrong = "a target is needed";
  }
  return wrong;
}

static int read_file(void)
{
  FILE *file = fopen(file_name, "re");
  struct table fresh = {0};
  size_t number = 0;
  if (file == NULL) {
    complain_of_file("--aliases", file_name, 0, strerror(errno));
    return -1;
  }
  const char *wrong = read_all(file, &fresh, &number);
  fclose(file);
  if (wrong == NULL)
    wrong = work_out(&fresh, &number);
  if (wrong != NULL) {
    complain_of_file("--aliases", file_name, number, wrong);
    forget(&fresh);
    return -1;
  }
  forget(&table);
  table = fresh;
  return 0;
}

void aliases_open(const char *file)
{
  file_name = file;
  if (read_file() != 0)
    exit(EX_CONFIG);
}

void aliases_reload(void)
{
  if (read_file() != 0)
    complain("--aliases", "the ones from before are used on");
}

void aliases_close(void)
{
  forget(&table);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

struct expansion aliases_expand(const char *directory)
{
  char first[MAILBOX_NAME + 1], address[ADDRESS];
  int is_postmaster = strcspn(directory, "@") == 10 && strncmp(directory, "postmaster", 10) == 0;
  const struct alias *alias = find(&table, directory);
  /* <Postmaster> without a domain is that of the first. */
  if (alias == NULL && strcmp(directory, "postmaster") == 0 && read_name(ehlo_span_of(directory), first, address) == 0)
    alias = find(&table, first);
  if (alias != NULL)
    return (struct expansion){alias->directories, alias->addresses, alias->count};
  if (is_postmaster || delivery_exists(directory)) /* a postmaster there is, always: RFC 5321 4.5.1 */
    return (struct expansion){directory, directory, 1};
  return (struct expansion){0};
}

/* What VRFY and EXPN ask about. */
static struct expansion look_up(ehlo_span text, char address[ADDRESS])
{
  char directory[MAILBOX_NAME + 1];
  if (text.len > 1 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>')
    text = (ehlo_span){text.ptr + 1, text.len - 2};
  if (read_name(text, directory, address) != 0)
    return (struct expansion){0};
  struct expansion found = aliases_expand(directory);
  if (found.directories == directory) {
    found.directories = "";
    found.addresses = address;
  }
  return found;
}

static int no_such_name(ehlo_server *server, const ehlo_event *event)
{
  return answer(server, event, 550, "5.1.1", "No such mailbox here");
}

int aliases_verify(ehlo_server *server, const ehlo_event *event)
{
  char address[ADDRESS], text[ADDRESS + 2];
  if (look_up(event->as.query.argument, address).count == 0)
    return no_such_name(server, event);
  snprintf(text, sizeof text, "<%s>", address);
  if (ehlo_server_reply(server, event->ticket, 250, NULL, ehlo_span_of(text)) == EHLO_OK)
    return EHLO_HANDLED;
  return answer(server, event, 252, NULL, NULL); /* in UTF-8, which the client did not ask for */
}

/* A list is told only as far as the output has room for it: 250 of half of it would be a lie, so it is all or 252. */
int aliases_list(ehlo_server *server, const ehlo_event *event)
{
  char address[ADDRESS], text[ADDRESS + 2];
  struct expansion found = look_up(event->as.query.argument, address);
  const char *at = found.addresses;
  size_t size = 0;
  for (uint32_t i = 0; i < found.count; i++) {
    size += strlen(found.addresses + size) + 1;
    if (size + (i + 1) * 16 > settings.config[0].output_size / 2 || ehlo_utf8_valid(ehlo_span_of(at)) != strlen(at))
      return answer(server, event, 252, "2.5.2", "Too many to be listed");
  }
  if (found.count == 0)
    return no_such_name(server, event);
  for (uint32_t i = 0; i < found.count; i++, at += strlen(at) + 1) {
    snprintf(text, sizeof text, "<%s>", at);
    int error = i + 1 < found.count ? ehlo_server_reply_more(server, event->ticket, 250, NULL, ehlo_span_of(text))
                                    : ehlo_server_reply(server, event->ticket, 250, NULL, ehlo_span_of(text));
    if (error != EHLO_OK && i == 0)
      return answer(server, event, 252, NULL, NULL);
    if (error != EHLO_OK)
      return answered(error);
  }
  return EHLO_HANDLED;
}
