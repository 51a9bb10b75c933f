/* delivery.c: see delivery.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * A message's way: tmp/ID in a recipient's Maildir, fsync, then into new/ of each of them: renamed if it is one
 * recipient, hard-linked if they are many, so that there is one copy on the disk; then fsync of each new/. Only then
 * the writer answers. What dies on the way leaves a file in tmp/, which readers of Maildirs clear away after 36 hours,
 * as the convention says.
 *
 * To a writer, fields ended by tabs: "make ID MAILBOX", "deliver ID all|each PLACE TMP-NAME NEW-NAME MAILBOX ...",
 * where PLACE is the mailbox in whose tmp the file is. Back: the ID, errno, and a character for each mailbox: '.' for
 * done.
 */
#define _GNU_SOURCE
#include "delivery.h"

#include "../common.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { MOST_QUEUED = 16 * 1024 * 1024, CHUNK = 65536, YOUNG = 600, /* seconds */ HOST = 128 };

static int root = -1;
static char host[HOST]; /* in the names of messages */
static struct helper helpers[DELIVERY_WRITERS];
static unsigned helper_count, helper_next;

/* ---- names ------------------------------------------------------------------------------------------------------- */

int delivery_mailbox(const ehlo_path *path, char *name)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-=@~";
  char decoded[MAILBOX_NAME * 2 + 2];
  size_t length = 0;
  size_t room = sizeof decoded - 1;
  if (path->kind == EHLO_PATH_POSTMASTER) {
    strcpy(name, "postmaster");
    return 0;
  }
  if (ehlo_local_part_decode(path->local_part, decoded, room, &length) != EHLO_OK ||
      length + 1 + path->domain.raw.len > room)
    return -1;
  if (ehlo_span_equal_nocase((ehlo_span){decoded, length}, ehlo_span_of("postmaster")))
    memcpy(decoded, "postmaster", length); /* the one local-part without case: RFC 5321 4.5.1 */
  decoded[length] = '\0'; /* the end of the local-part: an "@" of its own must not look like the one behind it */
  for (size_t i = 0; i < path->domain.raw.len; i++) {
    char octet = path->domain.raw.ptr[i];
    decoded[length + 1 + i] = (char)(octet >= 'A' && octet <= 'Z' ? octet + 32 : octet);
  }
  size_t used = 0;
  size_t total = length + 1 + path->domain.raw.len;
  for (size_t i = 0; i < total; i++) {
    unsigned char octet = (unsigned char)decoded[i];
    int as_it_is = i == length || ((strchr(plain, octet) != NULL && octet != '\0' && octet != '@') || octet > 127);
    if (i == 0 && octet == '.')
      as_it_is = 0;
    if (used + (as_it_is ? 1 : 3) > MAILBOX_NAME)
      return -1;
    if (as_it_is)
      name[used++] = (char)(i == length ? '@' : octet);
    else
      used += (size_t)sprintf(name + used, "%%%02X", octet);
  }
  name[used] = '\0';
  return 0;
}

int delivery_exists(const char *directory)
{
  struct stat status;
  return root >= 0 && fstatat(root, directory, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

void delivery_id(char id[MESSAGE_ID])
{
  static unsigned serial;
  static long process;
  struct timespec now;
  if (process == 0)
    process = (long)getpid();
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(id, MESSAGE_ID, "%lld.M%06ldP%ldQ%u", (long long)now.tv_sec, now.tv_nsec / 1000, process, ++serial);
}

/* ---- in the server ----------------------------------------------------------------------------------------------- */

int message_begin(struct message *message, const char *mailbox)
{
  char name[MAILBOX_NAME + MESSAGE_ID + 8];
  snprintf(name, sizeof name, "%s/tmp/%s", mailbox, message->id);
  message->mailbox = mailbox;
  message->size = 0;
  message->fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return message->fd < 0 ? errno : 0;
}

static int write_all(struct message *message, const char *octets, size_t size)
{
  while (size > 0) {
    ssize_t count = write(message->fd, octets, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return count < 0 ? errno : EIO;
    octets += count;
    size -= (size_t)count;
    message->size += (uint64_t)count;
  }
  return 0;
}

int message_write(struct message *message, const ehlo_span *spans, size_t count)
{
  static char chunk[CHUNK];
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    const char *at = spans[i].ptr;
    const char *end = at + spans[i].len;
    while (at < end) {
      const char *cr = memchr(at, '\r', (size_t)(end - at));
      size_t size = (size_t)((cr == NULL ? end : cr) - at);
      if (size > CHUNK - used)
        size = CHUNK - used, cr = NULL;
      memcpy(chunk + used, at, size);
      used += size;
      at += size + (cr != NULL);
      if (used == CHUNK) {
        int error = write_all(message, chunk, used);
        if (error != 0)
          return error;
        used = 0;
      }
    }
  }
  return write_all(message, chunk, used);
}

void message_discard(struct message *message)
{
  char name[MAILBOX_NAME + MESSAGE_ID + 8];
  if (message->fd < 0)
    return;
  close(message->fd);
  message->fd = -1;
  snprintf(name, sizeof name, "%s/tmp/%s", message->mailbox, message->id);
  unlinkat(root, name, 0);
}

int delivery_error(const char *answer, const char **results)
{
  char *rest;
  *results = "";
  if (answer == NULL)
    return EIO;
  long error = strtol(answer, &rest, 10);
  if (rest == answer || error < 0 || error > INT_MAX)
    return EIO; /* whatever that was, it does not say that anything was stored */
  *results = rest + (*rest == ' ');
  return (int)error;
}

/* The writer with the least to do. */
static struct helper *writer(void)
{
  struct helper *best = &helpers[helper_next++ % helper_count];
  for (unsigned i = 0; i < helper_count; i++) {
    if (helpers[i].process != 0 && (best->process == 0 || helpers[i].open < best->open))
      best = &helpers[i];
  }
  return best;
}

uint64_t mailbox_make(const char *mailbox, helper_answer_fn *done, void *owner, uint32_t number)
{
  char text[MAILBOX_NAME + 3];
  int size = snprintf(text, sizeof text, "\t%s\t", mailbox);
  return helper_ask(writer(), "make", text, (size_t)size, done, owner, number);
}

uint64_t message_commit(struct message *message, const char *const *mailboxes, size_t count, int all,
                        helper_answer_fn *done, void *owner)
{
  size_t room = 3 * MESSAGE_ID + strlen(host) + (count + 1) * (MAILBOX_NAME + 1) + 64;
  char *text = malloc(room);
  uint64_t question = 0;
  if (text != NULL) {
    size_t size = (size_t)snprintf(text, room, "\t%s\t%s\t%s\t%s.%s,S=%llu\t", all ? "all" : "each", message->mailbox,
                                   message->id, message->id, host, (unsigned long long)message->size);
    for (size_t i = 0; i < count; i++)
      size += (size_t)snprintf(text + size, room - size, "%s\t", mailboxes[i]);
    question = helper_ask(writer(), "deliver", text, size, done, owner, 0);
    free(text);
  }
  if (question == 0) {
    message_discard(message);
  } else {
    close(message->fd);
    message->fd = -1;
  }
  return question;
}

/* ---- in a writer ------------------------------------------------------------------------------------------------- */

/* Brings a file or directory to the disk: not merely to the kernel. */
static int sync_file(const char *name)
{
  int fd = openat(root, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  int result = fsync(fd);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

/* Makes a Maildir, tmp last, for where that is the rest is looked for. To find all of it there is no error: another
 * writer may be as far. */
static int make(const char *mailbox)
{
  static const char *const parts[] = {"", "/new", "/cur", "/tmp"};
  char name[MAILBOX_NAME + 8];
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    snprintf(name, sizeof name, "%s%s", mailbox, parts[i]);
    if (mkdirat(root, name, 0700) != 0 && errno != EEXIST)
      return -1;
  }
  return sync_file(mailbox) != 0 || fsync(root) != 0 ? -1 : 0;
}

/* A mailbox that was made a moment ago may not be on the disk yet: the writer that made it may still wait for that.
 * What is delivered to it must not be told to be safe before. */
static int sync_young(const char *mailbox)
{
  struct stat status;
  if (fstatat(root, mailbox, &status, 0) != 0)
    return -1;
  time_t age = time(NULL) - status.st_ctime;
  if (age > YOUNG)
    return 0;
  return sync_file(mailbox) != 0 || fsync(root) != 0 ? -1 : 0;
}

/* Brings the content into a mailbox, durably. To find it there already is no error: a recipient may be named twice. */
static int put_into(const char *from, const char *mailbox, const char *name, int only)
{
  char to[MAILBOX_NAME + MESSAGE_ID * 2 + 512];
  snprintf(to, sizeof to, "%s/new/%s", mailbox, name);
  int result = only ? renameat(root, from, root, to) : linkat(root, from, root, to, 0);
  if (result != 0 && errno == ENOENT && make(mailbox) == 0) /* not there, or only half of it */
    result = only ? renameat(root, from, root, to) : linkat(root, from, root, to, 0);
  if (result != 0 && errno != EEXIST)
    return -1;
  snprintf(to, sizeof to, "%s/new", mailbox);
  return sync_young(mailbox) != 0 ? -1 : sync_file(to);
}

/* A list of names, each ended by NUL, `count` of them: is one that was stored the same as this? */
static int is_stored(const char *mailboxes, size_t count, const char *results, const char *mailbox)
{
  for (size_t i = 0; i < count; i++, mailboxes += strlen(mailboxes) + 1) {
    if (results[i] == '.' && strcmp(mailboxes, mailbox) == 0)
      return 1;
  }
  return 0;
}

/* Takes back what was brought into place but not stored; with `all`, everything. */
static void take_back(int all, const char *name, const char *mailboxes, size_t count, char *results)
{
  char path[MAILBOX_NAME + MESSAGE_ID * 2 + 512];
  const char *mailbox = mailboxes;
  if (all)
    memset(results, 'x', count);
  for (size_t i = 0; i < count; i++, mailbox += strlen(mailbox) + 1) {
    if (results[i] == '.' || is_stored(mailboxes, count, results, mailbox))
      continue; /* a recipient who is named twice may have failed only once */
    snprintf(path, sizeof path, "%s/new/%s", mailbox, name);
    unlinkat(root, path, 0);
  }
}

/* Delivers, and fills `results` with a character for each mailbox. Returns 0, or the error that came first. */
static int deliver(int all, const char *from, const char *name, char *mailboxes, char *results)
{
  size_t count = 0;
  for (char *tab = mailboxes; (tab = strchr(tab, '\t')) != NULL; tab++)
    *tab = '\0', count++;
  int error = sync_file(from) == 0 ? 0 : errno;
  memset(results, 'x', count);
  results[count] = '\0';
  const char *mailbox = mailboxes;
  int go_on = error == 0;
  for (size_t i = 0; i < count && go_on; i++, mailbox += strlen(mailbox) + 1) {
    if (put_into(from, mailbox, name, count == 1) == 0) {
      results[i] = '.';
    } else {
      error = error != 0 ? error : errno;
      go_on = !all;
    }
  }
  if (error != 0)
    take_back(all, name, mailboxes, count, results);
  unlinkat(root, from, 0);
  return error;
}

/* Cuts the next field off the line. A line that has none left gives empty ones. */
static char *next_field(char **line)
{
  char *field = *line;
  *line += strcspn(field, "\t");
  if (**line != '\0')
    *(*line)++ = '\0';
  return field;
}

/* Does what one line asks. Whatever it is, it gets an answer. */
static void serve(FILE *to, char *line)
{
  static char results[DELIVERY_MAILBOXES + 1];
  char from[MAILBOX_NAME + MESSAGE_ID + 8];
  const char *word = next_field(&line);
  const char *id = next_field(&line);
  int error = EINVAL;
  results[0] = '\0';
  if (strcmp(word, "make") == 0) {
    error = make(next_field(&line)) == 0 ? 0 : errno;
  } else if (strcmp(word, "deliver") == 0) {
    int all = strcmp(next_field(&line), "all") == 0;
    const char *place = next_field(&line);
    snprintf(from, sizeof from, "%s/tmp/%s", place, next_field(&line));
    const char *name = next_field(&line);
    error = deliver(all, from, name, line, results);
  }
  fprintf(to, "%s %d %s\n", id, error, results);
}

static void run(int fd)
{
  /* Of all that the server has open only the socket and the Maildirs stay. */
  if (dup2(fd, STDIN_FILENO) < 0 || dup2(root, STDOUT_FILENO) < 0)
    return;
  root = STDOUT_FILENO;
  close_range(3, ~0U, 0);
  int out = dup(STDIN_FILENO);
  FILE *from = fdopen(STDIN_FILENO, "r");
  FILE *to = out < 0 ? NULL : fdopen(out, "w");
  char *line = NULL;
  size_t room = 0;
  if (from == NULL || to == NULL)
    return;
  for (ssize_t size; (size = getline(&line, &room, from)) > 0;) {
    line[size - 1] = '\0';
    serve(to, line);
    if (fflush(to) != 0)
      return;
  }
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

void delivery_open(const char *directory, unsigned writers, ehlo_span hostname)
{
  root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0 || faccessat(root, ".", W_OK | X_OK, 0) != 0) {
    complain_of_file("--maildir", directory, 0, strerror(errno));
    exit(EX_OSERR);
  }
  /* What a literal has in it means something else in the names of messages. */
  for (size_t i = 0; i < sizeof host - 1 && hostname.len > i; i++)
    host[i] = strchr(":/[]", hostname.ptr[i]) != NULL ? '-' : hostname.ptr[i];
  helper_count = writers;
  for (unsigned i = 0; i < writers; i++) {
    helpers[i].name = "writer";
    helpers[i].run = run;
    helpers[i].most_queued = MOST_QUEUED;
    helper_start(&helpers[i]);
  }
}

void delivery_close(void)
{
  for (unsigned i = 0; i < helper_count; i++)
    helper_stop(&helpers[i]);
  if (root >= 0)
    close(root);
}
