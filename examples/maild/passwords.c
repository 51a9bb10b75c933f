/* passwords.c: see passwords.h.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "passwords.h"

#include "../common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum {
  SALT = 16,          /* octets of a new one */
  ITERATIONS = 65536, /* of a new password: the most that clients with Cyrus SASL agree to compute */
  LEAST = 4096,       /* RFC 7677 4 */
  MOST = 10000000,
  PATIENCE = 30000, /* milliseconds */
  MOST_QUEUED = 65536,
  AT_ONCE = 2,  /* a password that nobody waits for any more is not computed: only these are out of our hands */
  MACHINE = 32, /* octets of its number, at least */
  LINE = 4096
};

static const char scheme[] = "SCRAM-SHA-256$";

struct user {
  char *name;
  size_t line;
  struct password password;
};

static const char *file_name;
static struct user *users; /* by name */
static size_t user_count;
static struct helper checker;
static uint8_t machine[DIGEST_MOST]; /* for names that nobody has */

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* Reads base64 up to `end`, which may be NUL, and moves on behind it. Returns how many octets, 0 if there are none. */
static size_t read_octets(char **at, char end, uint8_t *octets, size_t room)
{
  char decoded[LINE];
  size_t length;
  char *stop = strchr(*at, end);
  ehlo_span text = {*at, stop == NULL ? 0 : (size_t)(stop - *at)};
  if (ehlo_base64_decode(text, decoded, sizeof decoded, &length) != EHLO_OK || length > room)
    return 0;
  memcpy(octets, decoded, length);
  *at = stop + (end != '\0');
  return length;
}

/* Reads what stands behind the name. Returns 0 or -1. */
static int read_hash(char *text, struct password *password)
{
  char *at;
  if (strncmp(text, scheme, sizeof scheme - 1) != 0)
    return -1;
  unsigned long iterations = strtoul(text + sizeof scheme - 1, &at, 10);
  if (iterations < LEAST || iterations > MOST || *at++ != ':')
    return -1;
  password->iterations = (uint32_t)iterations;
  password->salt_size = read_octets(&at, '$', password->salt, PASSWORD_SALT);
  return password->salt_size > 0 && read_octets(&at, ':', password->stored_key, DIGEST_MOST) == DIGEST_MOST &&
                 read_octets(&at, '\0', password->server_key, DIGEST_MOST) == DIGEST_MOST
             ? 0
             : -1;
}

static int compare(const void *one, const void *other)
{
  return strcmp(((const struct user *)one)->name, ((const struct user *)other)->name);
}

static void forget(struct user *list, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    free(list[i].name);
    wipe(&list[i].password, sizeof list[i].password);
  }
  free(list);
}

/* Reads a line into the list. Returns NULL, or what is wrong with it. */
static const char *read_line(char *line, size_t number, struct user **list, size_t *count)
{
  line[strcspn(line, "\r\n")] = '\0';
  if (line[0] == '\0' || line[0] == '#')
    return NULL;
  char *colon = strchr(line, ':');
  struct user user = {.line = number};
  if (colon == NULL || colon == line || (size_t)(colon - line) > PASSWORD_NAME)
    return "NAME:HASH is needed";
  *colon = '\0';
  if (read_hash(colon + 1, &user.password) != 0)
    return "that is no hash that maild --hash-password makes";
  struct user *more = realloc(*list, (*count + 1) * sizeof **list);
  user.name = more == NULL ? NULL : strdup(line);
  *list = more == NULL ? *list : more;
  if (user.name == NULL)
    return strerror(errno);
  (*list)[(*count)++] = user;
  return NULL;
}

/* Returns NULL, or what is wrong, and in which line. */
static const char *sort(struct user *list, size_t count, size_t *number)
{
  if (count > 1)
    qsort(list, count, sizeof *list, compare);
  for (size_t i = 1; i < count; i++) {
    if (compare(&list[i - 1], &list[i]) != 0)
      continue;
    *number = list[i - 1].line > list[i].line ? list[i - 1].line : list[i].line;
    return "the name stands there twice";
  }
  return NULL;
}

/* Returns 0, or -1 after it has said what is wrong. */
static int read_file(void)
{
  FILE *file = fopen(file_name, "re");
  char *line = NULL;
  size_t room = 0, count = 0, number = 0;
  struct user *list = NULL;
  const char *wrong = NULL;
  if (file == NULL) {
    complain_of_file("--passwords", file_name, 0, strerror(errno));
    return -1;
  }
  while (wrong == NULL && getline(&line, &room, file) >= 0) {
    number++;
    wrong = read_line(line, number, &list, &count);
  }
  if (wrong == NULL && ferror(file))
    wrong = strerror(errno);
  fclose(file);
  free(line);
  if (wrong == NULL)
    wrong = sort(list, count, &number);
  if (wrong != NULL) {
    complain_of_file("--passwords", file_name, number, wrong);
    forget(list, count);
    return -1;
  }
  forget(users, user_count);
  users = list;
  user_count = count;
  return 0;
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

int password_hmac(const uint8_t key[DIGEST_MOST], const void *octets, size_t size, uint8_t out[DIGEST_MOST])
{
  ehlo_span part = {octets, size};
  return digest_hmac(DIGEST_SHA_256, (ehlo_span){(const char *)key, DIGEST_MOST}, &part, 1, out);
}

/* What makes up salts for names that nobody has. It has to be the same after a restart and in all processes, or they
 * would give themselves away; so it is the machine's own number, which peers are not told. It is not from the file: who
 * sees what a key makes of a name can try passwords on that at home. */
static void read_machine(void)
{
  static const char *const places[] = {"/etc/machine-id", "/proc/sys/kernel/random/boot_id"};
  char text[64];
  size_t size = 0;
  for (size_t i = 0; i < sizeof places / sizeof *places && size < MACHINE; i++) {
    FILE *file = fopen(places[i], "re");
    size = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    if (file != NULL)
      fclose(file);
  }
  if (size < MACHINE || !digest_of(DIGEST_SHA_256, (ehlo_span){text, size}, machine))
    random_octets(machine, sizeof machine);
}

/* For a name that nobody has. */
static struct password make_up(ehlo_span name)
{
  struct password password = {.salt_size = SALT, .iterations = ITERATIONS};
  if (user_count > 0) {
    password.salt_size = users[0].password.salt_size;
    password.iterations = users[0].password.iterations;
  }
  password_hmac(machine, name.ptr, name.len, password.salt);
  password_hmac(machine, password.salt, DIGEST_MOST, password.salt + DIGEST_MOST);
  password_hmac(machine, password.salt, PASSWORD_SALT, password.stored_key);
  password_hmac(password.stored_key, machine, DIGEST_MOST, password.server_key);
  return password;
}

struct password passwords_find(ehlo_span name)
{
  struct password password = make_up(name);
  size_t low = 0, high = user_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    size_t length = strlen(users[middle].name);
    int order = memcmp(users[middle].name, name.ptr, length < name.len ? length : name.len);
    if (order == 0 && length == name.len)
      return users[middle].password;
    if (order < 0 || (order == 0 && length < name.len))
      low = middle + 1;
    else
      high = middle;
  }
  return password;
}

/* What a password comes to. Returns 1 or 0. */
static int derive(const char *secret, size_t size, struct password *password)
{
  uint8_t salted[DIGEST_MOST], client_key[DIGEST_MOST];
  ehlo_span salt = {(const char *)password->salt, password->salt_size};
  int good = digest_stretch(DIGEST_SHA_256, (ehlo_span){secret, size}, salt, password->iterations, salted) &&
             password_hmac(salted, "Client Key", 10, client_key) &&
             digest_of(DIGEST_SHA_256, (ehlo_span){(const char *)client_key, DIGEST_MOST}, password->stored_key) &&
             password_hmac(salted, "Server Key", 10, password->server_key);
  wipe(salted, sizeof salted);
  wipe(client_key, sizeof client_key);
  return good;
}

static int is_right(char *line)
{
  struct password told = {0}, derived;
  char secret[LINE];
  size_t size = read_octets(&line, '\t', (uint8_t *)secret, sizeof secret);
  if (size == 0 || read_hash(line, &told) != 0)
    return 0;
  derived = told;
  int right = derive(secret, size, &derived) && digest_equal(derived.stored_key, told.stored_key, DIGEST_MOST);
  wipe(secret, sizeof secret);
  return right;
}

/* The process: lines "verify ID PASSWORD HASH". */
static void run(int fd)
{
  if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
    return;
  close_range(3, ~0U, 0); /* of all that the server has open */
  FILE *from = fdopen(STDIN_FILENO, "r");
  FILE *to = fdopen(STDOUT_FILENO, "w");
  char *line = NULL;
  size_t room = 0;
  while (from != NULL && to != NULL && getline(&line, &room, from) > 0) {
    line[strcspn(line, "\n")] = '\0';
    char *id = strchr(line, '\t');
    char *rest = id == NULL ? NULL : strchr(id + 1, '\t');
    if (rest == NULL)
      continue;
    fprintf(to, "%.*s %d\n", (int)(rest - id - 1), id + 1, is_right(rest + 1));
    wipe(line, room);
    if (fflush(to) != 0)
      return;
  }
}

static size_t add_octets(char *text, const void *octets, size_t size)
{
  size_t length = 0;
  ehlo_base64_encode((ehlo_span){octets, size}, text, LINE, &length);
  return length;
}

static size_t add_hash(char *text, const struct password *password)
{
  size_t used = (size_t)sprintf(text, "%s%u:", scheme, password->iterations);
  used += add_octets(text + used, password->salt, password->salt_size);
  text[used++] = '$';
  used += add_octets(text + used, password->stored_key, DIGEST_MOST);
  text[used++] = ':';
  used += add_octets(text + used, password->server_key, DIGEST_MOST);
  text[used] = '\0';
  return used;
}

uint64_t passwords_ask(ehlo_span name, ehlo_span secret, helper_answer_fn *done, void *owner, uint32_t ticket)
{
  char text[LINE * 2];
  struct password password = passwords_find(name);
  if (secret.len > LINE / 2)
    return 0;
  text[0] = '\t';
  size_t used = 1 + add_octets(text + 1, secret.ptr, secret.len);
  text[used++] = '\t';
  used += add_hash(text + used, &password);
  uint64_t question = helper_ask(&checker, "verify", text, used, done, owner, ticket);
  wipe(text, sizeof text);
  return question;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

void passwords_open(const char *file)
{
  file_name = file;
  read_machine();
  if (read_file() != 0)
    exit(EX_CONFIG);
  checker = (struct helper){.name = "password checker",
                            .run = run,
                            .patience = PATIENCE,
                            .secret = 1,
                            .most_queued = MOST_QUEUED,
                            .at_once = AT_ONCE};
  helper_start(&checker);
}

void passwords_reload(void)
{
  if (read_file() != 0)
    complain("--passwords", "the ones from before are used on");
}

void passwords_close(void)
{
  helper_stop(&checker);
  forget(users, user_count);
}

/* ---- --hash-password --------------------------------------------------------------------------------------------- */

/* Terminals show what is typed unless they are told not to. */
static ssize_t read_silently(char **line, size_t *room)
{
  struct termios before, silent;
  int terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) {
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    fputs("Password: ", stderr);
    fflush(stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ssize_t size = getline(line, room, stdin);
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
  }
  return size;
}

int passwords_hash(const char *name)
{
  struct password password = {.salt_size = SALT, .iterations = ITERATIONS};
  char *line = NULL, text[LINE];
  size_t room = 0;
  ehlo_span whole = ehlo_span_of(name);
  if (!digest_is_there())
    bad_usage("--hash-password", "this maild was built without OpenSSL");
  if (whole.len == 0 || whole.len > PASSWORD_NAME || strpbrk(name, ":#\r\n") != NULL ||
      ehlo_utf8_valid(whole) != whole.len)
    bad_usage("--hash-password", "a name is needed, of UTF-8 without \":\" and \"#\"");
  ssize_t size = read_silently(&line, &room);
  size_t length = size > 0 ? strcspn(line, "\r\n") : 0;
  if (length == 0 || length > LINE / 2 || ehlo_utf8_valid((ehlo_span){line, length}) != length)
    bad_usage("standard input", "a line with a password is needed, in UTF-8");
  if (!random_octets(password.salt, SALT) || !derive(line, length, &password))
    bad_system("OpenSSL", "cannot make it");
  wipe(line, room);
  free(line);
  add_hash(text, &password);
  printf("%s:%s\n", name, text);
  return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}
