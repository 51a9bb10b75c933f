/* report.c: what is told: outcomes on standard output; the dialogue and progress on standard error.
 *
 * SPDX-License-Identifier: MIT
 */
#include "send.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

enum {
  LARGE = 1048576,     /* octets; a smaller message is gone before anyone could read its progress */
  PROGRESS_EVERY = 250 /* milliseconds */
};

static int64_t progress_due; /* 0: none is shown */
static int inside_line;      /* the last octet that trace_sent showed was inside a line */

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */

void outcome_say(struct outcome *outcome, uint32_t code, uint16_t subject, uint16_t detail, const char *what,
                 const char *why)
{
  outcome->code = code;
  outcome->enhanced = (ehlo_enhanced){(uint16_t)(code / 100), subject, detail};
  snprintf(outcome->text, TEXT_SIZE, "%s: %s", what, why);
}

int outcome_refuse(struct outcome *outcome, int error, const char *what)
{
  const char *why = ehlo_strerror(error);
  switch (error) {
  case EHLO_ERR_8BITMIME: outcome_say(outcome, 554, 6, 3, what, why); return 1;
  case EHLO_ERR_SIZE: outcome_say(outcome, 552, 3, 4, what, why); return 1;
  case EHLO_ERR_SMTPUTF8: outcome_say(outcome, 553, 6, 7, what, why); return 1;
  case EHLO_ERR_TOO_LONG: outcome_say(outcome, 553, 1, 0, what, why); return 1;
  case EHLO_ERR_NOT_OFFERED:
  case EHLO_ERR_LIMIT: outcome_say(outcome, 554, 3, 3, what, why); return 1; /* RFC 3463 3.4 */
  case EHLO_ERR_TLS: outcome_say(outcome, 554, 7, 30, what, why); return 1;  /* RFC 8689 */
  default: return 0;
  }
}

int output_lost(void)
{
  static int lost;
  if (!lost && (fflush(stdout) != 0 || ferror(stdout))) {
    complain("standard output", strerror(errno));
    lost = 1;
  }
  return lost;
}

/* It has been parsed: the only controls that can be in it are those above 127, U+0080 to U+009F. */
static void print_address(const char *address)
{
  for (const char *at = address; *at != '\0'; at++) {
    if (at[0] == '\xC2' && (unsigned char)at[1] < 0xA0) {
      print_octets(stdout, (ehlo_span){at, 2}, 1);
      at++;
    } else {
      putchar(*at);
    }
  }
}

static void report_line(const char *address, const struct outcome *outcome)
{
  const ehlo_enhanced *enhanced = &outcome->enhanced;
  print_address(address);
  printf("\t%u\t", (unsigned)outcome->code);
  if (enhanced->status_class == 0)
    putchar('-');
  else
    printf("%u.%u.%u", enhanced->status_class, enhanced->subject, enhanced->detail);
  putchar('\t');
  print_octets(stdout, ehlo_span_of(outcome->text), 1);
  putchar('\n');
}

int report(const struct envelope *envelope, int status)
{
  if (progress_due != 0)
    fprintf(stderr, "\r%40s\r", "");
  progress_due = 0;
  for (size_t i = 0; i < envelope->count; i++) {
    const struct outcome *outcome = &envelope->recipients[i].outcome;
    report_line(envelope->recipients[i].address, outcome);
    if (ehlo_reply_is_permanent(outcome->code))
      status = 1;
    else if (outcome->code / 100 != 2 && status == EX_OK)
      status = EX_TEMPFAIL;
  }
  output_lost();
  return status;
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

void show_progress(const struct message *message, uint64_t offset)
{
  if (!settings.progress || message->size < LARGE || milliseconds() < progress_due)
    return;
  progress_due = milliseconds() + PROGRESS_EVERY;
  fprintf(stderr, "\r%3u%%  %llu octets", (unsigned)(offset * 100 / message->size), (unsigned long long)offset);
}

/* ---- the dialogue ------------------------------------------------------------------------------------------------ */

void trace_sent(const char *octets, size_t size)
{
  for (size_t i = 0; i < size && settings.trace; i++) {
    if (!inside_line)
      fputs("C: ", stderr);
    inside_line = octets[i] != '\n';
    if (octets[i] == '\n')
      fputc('\n', stderr);
    else if (octets[i] != '\r')
      print_octets(stderr, (ehlo_span){octets + i, 1}, 1);
  }
}

/* The output completes a last line that lacks its CRLF, here as on the wire. */
void trace_content(const struct message *message)
{
  if (!settings.trace)
    return;
  fprintf(stderr, "C: (%llu octets of content)", (unsigned long long)message->wire_size);
  inside_line = message->lacks_end;
  if (!inside_line)
    fputc('\n', stderr);
}

void trace_secret(const char *what, const char *which)
{
  if (settings.trace)
    fprintf(stderr, "C: (%s%s%s)\n", what, which == NULL ? "" : " ", which == NULL ? "" : which);
}

void trace_tls(const char *protocol, const char *cipher, const char *doubt)
{
  if (!settings.trace)
    return;
  fprintf(stderr, "TLS: %s, %s, ", protocol, cipher);
  fprintf(stderr, doubt == NULL ? "the server is verified\n" : "the server is not verified: %s\n", doubt);
}

void trace_line(ehlo_span line)
{
  if (!settings.trace)
    return;
  fputs("S: ", stderr);
  print_octets(stderr, line, 1);
  fputc('\n', stderr);
}
