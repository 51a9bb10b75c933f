/* common.h: what the hosts of this directory share: words of the command line, whom mail is taken for, octets of a peer
 * that are safe to show.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef EHLO_EXAMPLES_COMMON_H
#define EHLO_EXAMPLES_COMMON_H

#include <ehlo.h>

#include <stdio.h>

/* The name that stands before every complaint; main sets it. */
extern const char *program;

/* Says on standard error what went wrong, and why. */
void complain(const char *what, const char *why);

/* The same of a file that an option names: of this line, or, with 0, of all of it. */
void complain_of_file(const char *option, const char *file, size_t line, const char *why);

/* As complain, and ends the process: with EX_USAGE, or with EX_OSERR where the system refuses something. */
void bad_usage(const char *what, const char *why);
void bad_system(const char *what, const char *why);

/* What --version shows. */
void show_version(void);

/* The values of options. What is not of the form is bad usage. Spans and paths point into `text`. */
uint64_t option_number(const char *option, const char *text, uint64_t least, uint64_t most);
ehlo_span option_domain(const char *option, const char *text);
ehlo_path option_address(const char *option, const char *text);

/* What is opened later must not become standard input, output or error because somebody closed that. Reading from it
 * fails, as it would have. */
void open_standard_descriptors(void);

/* As many descriptors as the system lets this process have. Returns how many these are. */
uint64_t raise_descriptors(void);

/* Memory, or the end of the process. For what is made before anything is served. */
void *must_allocate(size_t count, size_t size);

/* ---- whom mail is taken for -------------------------------------------------------------------------------------- */

struct recipients {
  ehlo_span *domains; /* --domain */
  size_t domain_count;
  ehlo_path *refused; /* --refuse */
  size_t refused_count;
};

/* Room for as many as the command line can hold. */
void recipients_open(struct recipients *recipients, size_t most);
void recipients_close(struct recipients *recipients);

struct verdict {
  int code; /* 250: take it */
  const char *enhanced;
  const char *text;
};

/* Which of `domains` this is, in any case; domain_count if it is none of them. */
size_t recipients_domain(const struct recipients *recipients, ehlo_span domain);

/* Is mail for this path taken? */
struct verdict recipients_judge(const struct recipients *recipients, const ehlo_path *path);

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* What a handler returns after an answer. One that the library does not take is a defect of the program; the
 * transaction must not go on as if it had been given. */
int answered(int error);

/* Answers an event. */
int answer(ehlo_server *server, const ehlo_event *event, int code, const char *enhanced, const char *text);

/* ---- showing ----------------------------------------------------------------------------------------------------- */

/* Terminals obey control characters and logs trust line ends: nothing of a peer's is shown as it came. Only printable
 * ASCII passes; with `spaces` 0 no space does either, so that what is shown is one word. */
void print_octets(FILE *file, ehlo_span octets, int spaces);

#endif
