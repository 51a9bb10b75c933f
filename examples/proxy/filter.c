/* filter.c: --filter: messages that wait in a file without a name until a program has seen them.
 *
 * SPDX-License-Identifier: MIT
 *
 * The program has the message as its standard input, as it came, lines ended by CRLF. It decides by how it exits; the
 * last line that it wrote is what the client is told. What is no decision, a program that is not there, that is killed
 * or that takes too long, is 451: the client comes again. */
#define _GNU_SOURCE /* O_TMPFILE */
#include "proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static struct session *owner_of(void *member, size_t offset)
{
  return (struct session *)(void *)((char *)member - offset);
}

/* ---- the message ------------------------------------------------------------------------------------------------- */

static int open_file(void)
{
  char name[4096];
  int fd = open(settings.directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
    return fd;
  snprintf(name, sizeof name, "%s/proxy-XXXXXX", settings.directory);
  fd = mkostemp(name, O_CLOEXEC);
  if (fd >= 0)
    unlink(name);
  return fd;
}

int filter_can_keep(void)
{
  int fd = open_file();
  if (fd >= 0)
    close(fd);
  return fd >= 0;
}

static int write_span(int fd, ehlo_span span)
{
  while (span.len > 0) {
    ssize_t written = write(fd, span.ptr, span.len);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return 0;
    span.ptr += written;
    span.len -= (size_t)written;
  }
  return 1;
}

int filter_keep(struct session *session, const ehlo_event_body *body)
{
  if (session->file < 0)
    session->file = open_file();
  int good = session->file >= 0;
  for (size_t i = 0; i < body->count && good; i++)
    good = write_span(session->file, body->spans[i]);
  if (!good)
    complain(settings.directory, strerror(errno));
  session->file_size = body->octets;
  return good;
}

int filter_read(struct session *session)
{
  uint64_t left = session->file_size - session->file_at;
  ssize_t size =
      pread(session->file, session->spill, left < INPUT_SIZE ? (size_t)left : INPUT_SIZE, (off_t)session->file_at);
  if (size <= 0)
    return 0;
  session->file_at += (uint64_t)size;
  session->spill_size = (size_t)size;
  return 1;
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static void close_output(struct session *session)
{
  if (session->filter_output.fd < 0)
    return;
  loop_forget(&session->filter_output);
  close(session->filter_output.fd);
  session->filter_output.fd = -1;
}

/* A pipe full of it, and no more at once: who writes without end must not keep others waiting. */
static void take_output(struct session *session)
{
  static char octets[65536];
  ssize_t size = session->filter_output.fd < 0 ? -1 : read(session->filter_output.fd, octets, sizeof octets);
  if (size == 0)
    close_output(session); /* else epoll would tell of its end again and again */
  for (ssize_t i = 0; i < size; i++) {
    /* A line is kept until the next one begins; an empty one is none. */
    int is_whole = session->line_length == 0 || session->line[session->line_length - 1] == '\n';
    if (octets[i] == '\n' && is_whole)
      continue;
    if (is_whole)
      session->line_length = 0;
    if (session->line_length < FILTER_LINE - 1 || octets[i] == '\n')
      session->line[session->line_length++] = octets[i];
  }
}

static void end_filter(struct session *session)
{
  if (session->filter == 0)
    return;
  timer_stop(&session->filter_timer);
  loop_forget(&session->filter_end);
  close(session->filter_end.fd);
  close_output(session);
  session->filter = 0;
}

static void decide(struct session *session, int code, uint16_t subject, uint16_t detail, const char *otherwise)
{
  struct answer answer;
  size_t length = session->line_length;
  while (length > 0 && strchr("\r\n \t", session->line[length - 1]) != NULL)
    length--;
  session->line[length] = '\0';
  answer_say(&answer, code, subject, detail, length > 0 ? session->line : otherwise);
  front_verdict(session, &answer);
}

static void on_exit_status(struct session *session, int status)
{
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code == 0) {
    session->end_due = 1;
    content_begin(session);
  } else if (code == EX_TEMPFAIL) {
    decide(session, 451, 7, 1, "Not now, try again later");
  } else if (code < 0 || code == 126 || code == 127) { /* which is how a shell says that there is no such program */
    complain(settings.filter, code < 0 ? "was killed" : "cannot be run");
    session->line_length = 0;
    decide(session, 451, 3, 0, "The message could not be looked at");
  } else {
    decide(session, 554, 7, 1, "The message is refused");
  }
}

static void on_end(struct source *source, unsigned events)
{
  struct session *session = owner_of(source, offsetof(struct session, filter_end));
  int status;
  (void)events;
  if (waitpid(session->filter, &status, WNOHANG) != session->filter)
    return;
  take_output(session);
  end_filter(session);
  on_exit_status(session, status);
  session_drive(session);
}

static void on_output(struct source *source, unsigned events)
{
  (void)events;
  take_output(owner_of(source, offsetof(struct session, filter_output)));
}

static void kill_filter(struct session *session)
{
  kill(-session->filter, SIGKILL); /* with what it has started */
  kill(session->filter, SIGKILL);  /* it may have left that group, and is waited for */
  waitpid(session->filter, NULL, 0);
  end_filter(session);
}

static void on_time(struct timer *timer)
{
  struct session *session = owner_of(timer, offsetof(struct session, filter_timer));
  complain(settings.filter, "takes too long");
  kill_filter(session);
  session->line_length = 0;
  decide(session, 451, 3, 0, "The message could not be looked at in time");
  session_drive(session);
}

/* In the new process. */
static void run(const struct session *session, int output)
{
  unsigned port;
  setpgid(0, 0);
  setenv("CLIENT_ADDRESS", session_client(session, &port), 1);
  dup2(session->file, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  signal(SIGPIPE, SIG_DFL);
  execl("/bin/sh", "sh", "-c", settings.filter, (char *)NULL);
  _exit(127);
}

static int start(struct session *session)
{
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0)
    return 0;
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  pid_t pid = fork();
  if (pid == 0)
    run(session, output[1]);
  if (pid > 0)
    setpgid(pid, pid); /* whoever of the two is first */
  close(output[1]);
  int end = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
  session->filter_end = (struct source){.fd = end, .ready = on_end};
  session->filter_output = (struct source){.fd = output[0], .ready = on_output};
  if (end >= 0 && loop_watch(&session->filter_end, LOOP_IN) == 0) {
    if (loop_watch(&session->filter_output, LOOP_IN) == 0) {
      session->filter = pid;
      return 1;
    }
    loop_forget(&session->filter_end);
  }
  int error = errno;
  if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
  }
  if (end >= 0)
    close(end);
  close(output[0]);
  errno = error;
  return 0;
}

void filter_begin(struct session *session)
{
  session->line_length = 0;
  session->filter_timer.fire = on_time;
  if (session->file < 0)
    session->file = open_file(); /* a message without content */
  if (session->file < 0 || lseek(session->file, 0, SEEK_SET) != 0 || !start(session)) {
    complain(settings.filter, strerror(errno));
    decide(session, 451, 3, 0, "The message could not be looked at");
    return;
  }
  timer_set(&session->filter_timer, loop_now() + (int64_t)settings.filter_timeout * 1000);
}

void filter_forget(struct session *session)
{
  if (session->filter != 0)
    kill_filter(session);
  if (session->file >= 0)
    close(session->file);
  session->file = -1;
  session->file_size = session->file_at = 0;
}
