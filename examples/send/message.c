/* message.c: what must be known of a file before it is offered, and its content.
 *
 * SPDX-License-Identifier: MIT
 *
 * MAIL declares the size and octets above 127, and content that turns out not to be sendable would cost the connection:
 * so each file is read through before anything is sent, and once more when its turn comes. It is not mapped, for a
 * mapped file that somebody cuts short kills who reads it; and not kept, for it may be large. That it is still what it
 * was is seen by its size and time, at the beginning, and at the end, when the server has not yet got the dot. */
#define _GNU_SOURCE /* memfd_create */
#include "send.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BEFORE = 64 }; /* octets in front of a piece: one is needed; so many keep it where copying is fast */

const char message_changed[] = "changed while it was sent";

static char space[BEFORE + MESSAGE_PIECE];
static char *const buffer = space + BEFORE;

/* ---- what it is -------------------------------------------------------------------------------------------------- */

/* Takes the next line off the front of a header, with what it is folded into. Returns 0 at its end, and where a line
 * does not end in CRLF. */
static int next_field(ehlo_span *header, ehlo_span *field)
{
  const char *at = header->ptr;
  const char *end = header->ptr + header->len;
  do {
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    if (lf == NULL || lf - 1 <= header->ptr || lf[-1] != '\r')
      return 0;
    at = lf + 1;
  } while (at < end && (*at == ' ' || *at == '\t'));
  *field = (ehlo_span){header->ptr, (size_t)(at - header->ptr)};
  *header = (ehlo_span){at, (size_t)(end - at)};
  return 1;
}

/* Does the header, as far as it stands in the first piece, say "Content-Transfer-Encoding: binary"? Then all octets
 * matter as they are (RFC 2045 6.2), which takes CRLF in the header too. */
static int declares_binary(ehlo_span header)
{
  static const char name[] = "Content-Transfer-Encoding:";
  ehlo_span field;
  while (next_field(&header, &field)) {
    size_t at = sizeof name - 1, end = field.len;
    if (field.len < at || !ehlo_span_equal_nocase((ehlo_span){field.ptr, at}, ehlo_span_of(name)))
      continue;
    while (at < end && strchr(" \t\r\n", field.ptr[at]) != NULL)
      at++;
    while (end > at && strchr(" \t\r\n", field.ptr[end - 1]) != NULL)
      end--;
    return ehlo_span_equal_nocase((ehlo_span){field.ptr + at, end - at}, ehlo_span_of("binary"));
  }
  return 0;
}

static void examine_piece(struct message *message, size_t count)
{
  const char *end = buffer + count;
  uint8_t seen = 0;
  for (const char *at = buffer; at < end; at++)
    seen |= (uint8_t)*at;
  message->has_8bit |= seen > 127;
  for (const char *at = buffer; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
    message->wire_size += at[-1] != '\r';
  for (const char *at = buffer - 1; (at = memchr(at, '\r', (size_t)(end - 1 - at))) != NULL; at++)
    message->has_bare_cr |= at[1] != '\n';
  message->size += count;
  message->wire_size += count;
  buffer[-1] = end[-1];
}

static void examine(struct message *message)
{
  ssize_t count;
  buffer[-1] = '\n';
  while ((count = pread(message->fd, buffer, MESSAGE_PIECE, (off_t)message->size)) > 0) {
    if (message->size == 0)
      message->is_binary = declares_binary((ehlo_span){buffer, (size_t)count});
    examine_piece(message, (size_t)count);
  }
  if (count < 0)
    bad_usage(message->name, strerror(errno));
  if (message->is_binary) {
    message->wire_size = message->size;
    return;
  }
  if (message->has_bare_cr || buffer[-1] == '\r')
    bad_usage(message->name, ehlo_strerror(EHLO_ERR_BARE_NEWLINE));
  message->lacks_end = buffer[-1] != '\n';
  message->wire_size += message->lacks_end ? 2 : 0;
}

/* What can be read but once is copied, into memory: from there on it is like any file. */
static void keep(struct message *message)
{
  ssize_t count = 0;
  int copy = memfd_create("message", MFD_CLOEXEC);
  while (copy >= 0 && (count = read(message->fd, buffer, MESSAGE_PIECE)) > 0) {
    if (write(copy, buffer, (size_t)count) != count)
      bad_usage(message->name, "more than can be kept in memory");
  }
  if (copy < 0 || count < 0 || fstat(copy, &message->status) != 0)
    bad_usage(message->name, strerror(errno));
  message_close(message);
  message->fd = copy;
  message->kept = 1;
}

void message_examine(struct message *message, const char *name)
{
  message->name = name;
  message->fd = strcmp(name, "-") == 0 ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
  if (message->fd < 0 || fstat(message->fd, &message->status) != 0)
    bad_usage(name, strerror(errno));
  message->kept = message->fd == STDIN_FILENO;
  if (!S_ISREG(message->status.st_mode) || lseek(message->fd, 0, SEEK_CUR) != 0)
    keep(message);
  examine(message);
  message_close(message);
}

/* ---- its content ------------------------------------------------------------------------------------------------- */

static int is_changed(const struct message *message)
{
  struct stat now;
  const struct stat *then = &message->status;
  return fstat(message->fd, &now) != 0 || now.st_size != then->st_size || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
         now.st_mtim.tv_nsec != then->st_mtim.tv_nsec;
}

const char *message_open(struct message *message)
{
  if (message->fd < 0)
    message->fd = open(message->name, O_RDONLY | O_CLOEXEC);
  if (message->fd < 0)
    return strerror(errno);
  return is_changed(message) ? "changed before it was sent" : NULL;
}

void message_close(struct message *message)
{
  if (message->fd < 0 || message->kept)
    return;
  close(message->fd);
  message->fd = -1;
}

const char *message_read(const struct message *message, uint64_t offset, ehlo_span *piece)
{
  uint64_t left = message->size - offset;
  ssize_t count = pread(message->fd, buffer, left < MESSAGE_PIECE ? (size_t)left : MESSAGE_PIECE, (off_t)offset);
  if (count < 0)
    return strerror(errno);
  int is_end = left == (uint64_t)count;
  if (is_end ? is_changed(message) : count == 0)
    return message_changed;
  *piece = (ehlo_span){buffer, (size_t)count};
  return NULL;
}
