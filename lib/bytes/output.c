/* output.c: bounded output. Floor: bytes. */
#include "output.h"

#include <string.h>

void ehlo_output_compact(struct output *output, unsigned char *buffer)
{
  size_t waiting = output_waiting(output);
  if (output->head > 0 && waiting > 0) {
    memmove(buffer, buffer + output->head, waiting);
  }
  output->head = 0;
  output->tail = (uint32_t)waiting;
}

void ehlo_output_took(struct output *output, unsigned char *buffer, size_t count)
{
  output->head += (uint32_t)count;
  if (output_waiting(output) == 0 || output->head >= output->size / 2) {
    ehlo_output_compact(output, buffer);
  }
}
