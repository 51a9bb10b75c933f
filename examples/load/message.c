/* message.c: content, made as it is sent: a header of its own for each message, and lines that all share.
 *
 * SPDX-License-Identifier: MIT
 *
 * Every message has its number in it, so whoever looks at what arrived can tell which is missing and which is there
 * twice. */
#include "load.h"

#include <string.h>
#include <unistd.h>

enum {
  DIGITS = 12,
  LINE = 64,   /* octets, CRLF included */
  LINES = 1024 /* in a block */
};

static char template[HEADER_SIZE];
static size_t header_size, number_at[2];
static char block[LINE * LINES];
static char tail[LINE * 2]; /* the last line, which makes the size come out */
static uint64_t tail_at;    /* where it begins */

void message_prepare(void)
{
  uint64_t left;
  header_size =
      (size_t)snprintf(template, sizeof template, "Message-ID: <%0*d.%ld@load.invalid>\r\nSubject: %0*d\r\n\r\n",
                       DIGITS, 0, (long)getpid(), DIGITS, 0);
  number_at[0] = (size_t)(strchr(template, '<') + 1 - template);
  number_at[1] = header_size - 4 - DIGITS;
  if (settings.size < header_size)
    header_size = 0; /* it has no room */
  memset(block, 'x', sizeof block);
  for (size_t i = 0; i < LINES; i++)
    memcpy(block + i * LINE + LINE - 2, "\r\n", 2);
  left = (settings.size - header_size) % LINE;
  if (left == 1 && settings.size - header_size > LINE)
    left += LINE; /* a line has two octets at least */
  memset(tail, 'x', sizeof tail);
  if (left >= 2)
    memcpy(tail + left - 2, "\r\n", 2);
  tail_at = settings.size - left;
}

void message_header(char header[HEADER_SIZE], uint64_t number)
{
  memcpy(header, template, header_size);
  for (size_t i = 0; i < 2 && header_size > 0; i++) {
    uint64_t left = number;
    for (int digit = DIGITS - 1; digit >= 0; digit--, left /= 10)
      header[number_at[i] + (size_t)digit] = (char)('0' + left % 10);
  }
}

ehlo_span message_piece(const char *header, uint64_t offset)
{
  if (offset < header_size)
    return (ehlo_span){header + offset, header_size - (size_t)offset};
  if (offset >= tail_at)
    return (ehlo_span){tail + (offset - tail_at), (size_t)(settings.size - offset)};
  size_t at = (size_t)((offset - header_size) % sizeof block);
  uint64_t left = tail_at - offset;
  return (ehlo_span){block + at, left < sizeof block - at ? (size_t)left : sizeof block - at};
}
