/* spool.c: a message as two files, whole or not at all.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* openat, renameat, fsync */
#include "stdio-server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A name that sorts behind all earlier ones and is no other process's: the time, then the process. Within a process
 * time moves on even where its clock does not. */
static void make_name(char name[NAME_SIZE])
{
  static struct timespec last;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec <= last.tv_nsec)) {
    now = last;
    now.tv_nsec++;
    if (now.tv_nsec == 1000000000) {
      now.tv_nsec = 0;
      now.tv_sec++;
    }
  }
  last = now;
  snprintf(name, NAME_SIZE, "%010lld-%09ld-%07ld", (long long)now.tv_sec, now.tv_nsec, (long)getpid());
}

static FILE *create(struct host *host, char file_name[FILE_NAME_SIZE])
{
  char name[NAME_SIZE];
  make_name(name);
  snprintf(file_name, FILE_NAME_SIZE, ".%s.tmp", name);
  int fd = openat(host->spool, file_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    file_name[0] = '\0';
    return NULL;
  }
  FILE *file = fdopen(fd, "w");
  if (file == NULL)
    close(fd);
  return file;
}

int spool_open_content(struct host *host)
{
  host->content = create(host, host->content_file);
  return host->content != NULL;
}

/* Closes a file, and tells whether every octet is on the disk: not merely with the kernel, not merely some of them. */
static int finish(FILE *file)
{
  int on_disk = !ferror(file) && fflush(file) == 0 && fsync(fileno(file)) == 0;
  return fclose(file) == 0 && on_disk;
}

static int put_in_place(struct host *host, char file_name[FILE_NAME_SIZE], const char *suffix)
{
  char final[FILE_NAME_SIZE];
  snprintf(final, sizeof final, "%s%s", host->name, suffix);
  if (renameat(host->spool, file_name, host->spool, final) != 0)
    return 0;
  memcpy(file_name, final, sizeof final); /* until all has succeeded it is still ours to remove */
  return 1;
}

/* Both files whole on the disk under temporary names, then renamed, the .eml first, then the directory itself on the
 * disk: whenever the power goes, either there is no .env or the message is complete. */
int spool_store(struct host *host)
{
  FILE *content = host->content;
  FILE *envelope = create(host, host->envelope_file);
  int written = envelope != NULL && fflush(host->envelope) == 0 && !ferror(host->envelope) &&
                fwrite(host->text, 1, host->text_size, envelope) == host->text_size;
  if (envelope != NULL)
    written = finish(envelope) && written;
  host->content = NULL;
  written = finish(content) && written;
  make_name(host->name);
  if (!written || !put_in_place(host, host->content_file, ".eml") || !put_in_place(host, host->envelope_file, ".env") ||
      fsync(host->spool) != 0)
    return 0;
  host->content_file[0] = host->envelope_file[0] = '\0';
  return 1;
}

void spool_discard(struct host *host)
{
  if (host->content != NULL)
    fclose(host->content);
  if (host->envelope_file[0] != '\0')
    unlinkat(host->spool, host->envelope_file, 0);
  if (host->content_file[0] != '\0')
    unlinkat(host->spool, host->content_file, 0);
  if (host->envelope != NULL)
    fclose(host->envelope);
  free(host->text);
  host->content = host->envelope = NULL;
  host->content_file[0] = host->envelope_file[0] = '\0';
  host->text = NULL;
  host->tried = host->stored = 0;
}
