/* shim.c: preloaded, makes a disk that is slow, broken or full, while a file of a certain name is in $SHIM_DIRECTORY.
 *
 *     old       there is no IPv6
 *     slow      fsync takes 300 ms
 *     broken    fsync fails with EIO; with a number in the file, in each process after so many that succeed
 *     full      writing to files fails with ENOSPC
 *     crowded   no descriptor for a new file: EMFILE
 *
 * And the machine's name is $SHIM_HOSTNAME, if that was set at first.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *host_name;

/* Some programs forget their environment. */
__attribute__((constructor)) static void begin(void)
{
  host_name = getenv("SHIM_HOSTNAME");
}

int gethostname(char *name, size_t size)
{
  int (*next)(char *, size_t) = (int (*)(char *, size_t))dlsym(RTLD_NEXT, "gethostname");
  if (host_name == NULL)
    return next(name, size);
  snprintf(name, size, "%s", host_name);
  return 0;
}

static int wanted(const char *what)
{
  const char *directory = getenv("SHIM_DIRECTORY");
  char path[512];
  int error = errno;
  snprintf(path, sizeof path, "%s/%s", directory == NULL ? "" : directory, what);
  int result = directory != NULL && access(path, F_OK) == 0;
  errno = error;
  return result;
}

static long number_in(const char *what)
{
  char path[512];
  char text[32] = "";
  snprintf(path, sizeof path, "%s/%s", getenv("SHIM_DIRECTORY"), what);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0)
    close(fd);
  return size > 0 ? strtol(text, NULL, 10) : 0;
}

static int is_file(int fd)
{
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

int fsync(int fd)
{
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  if (wanted("slow"))
    usleep(300000);
  static long succeeded;
  long number = wanted("broken") ? number_in("broken") : (succeeded = 0, LONG_MAX);
  if (succeeded >= number)
    return errno = EIO, -1;
  succeeded++;
  return next(fd);
}

ssize_t write(int fd, const void *octets, size_t size)
{
  ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  if (fd > 2 && is_file(fd) && wanted("full"))
    return errno = ENOSPC, -1;
  return next(fd, octets, size);
}

static int open_at(const char *name, int directory, const char *path, int flags, mode_t mode)
{
  int (*next)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, name);
  if ((flags & O_CREAT) != 0 && wanted("crowded"))
    return errno = EMFILE, -1;
  return next(directory, path, flags, mode);
}

int socket(int family, int type, int protocol)
{
  int (*next)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
  if (family == AF_INET6 && wanted("old"))
    return errno = EAFNOSUPPORT, -1;
  return next(family, type, protocol);
}

#define OPENAT(name)                                                 \
  int name(int directory, const char *path, int flags, ...)          \
  {                                                                  \
    va_list more;                                                    \
    va_start(more, flags);                                           \
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                    \
    return open_at(#name, directory, path, flags, mode);             \
  }
OPENAT(openat)
OPENAT(openat64)
