/* output.c: bounded output. Floor: bytes. */
#include "output.h"

#include <string.h>

void ehlo_output_took(struct output *output, unsigned char *buffer, size_t count)
{
  output->head += (uint32_t)count;
  size_t waiting = output_waiting(output);
  if (waiting == 0) {
    output->head = output->tail = 0;
  } else if (output->head >= output->size / 2) {
    memmove(buffer, buffer + output->head, waiting);
    output->head = 0;
    output->tail = (uint32_t)waiting;
  }
}
