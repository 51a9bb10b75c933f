/* fuzz_session.h: what the targets that play a session of one machine share. */
#ifndef EHLO_FUZZ_SESSION_H
#define EHLO_FUZZ_SESSION_H

#include "fuzz.h"

/* ---- the input ---- */

/* Six octets of config, one with the number of choices of the host, one with the number of steps of its loop, the
 * choices, the steps, and what the peer says. */
struct input {
  const uint8_t *config;
  const uint8_t *choices;
  size_t choice_count;
  const uint8_t *steps;
  size_t step_count;
  const char *peer;
  size_t peer_size;
};

/* Returns 0 if the octets are too few to be one. */
static inline int read_input(struct input *input, const uint8_t *data, size_t size)
{
  if (size < 8 || size - 8 < (size_t)data[6] + data[7]) {
    return 0;
  }
  input->config = data;
  input->choices = data + 8;
  input->choice_count = data[6];
  input->steps = data + 8 + data[6];
  input->step_count = data[7];
  input->peer = (const char *)data + 8 + data[6] + data[7];
  input->peer_size = size - 8 - data[6] - data[7];
  return 1;
}

/* ---- texts that grow ---- */

static inline FILE *memory_file(char **text, size_t *length)
{
  FILE *file = open_memstream(text, length);
  REQUIRE(file != NULL);
  return file;
}

static inline void put(FILE *file, ehlo_span span)
{
  if (span.len > 0) {
    REQUIRE(fwrite(span.ptr, 1, span.len, file) == span.len);
  }
}

/* ---- blocks ---- */

/* A block for a session, in which nothing is 0 by chance. */
static inline void *fresh_block(size_t size)
{
  return memset(block_of(size), 0xEE, size);
}

/* What a session's block holds, in another; the first is left with nothing in it. The caller frees both. */
static inline void *moved_block(void *block, size_t size)
{
  void *other = memcpy(block_of(size), block, size);
  memset(block, 0xEE, size);
  return other;
}

/* ---- output ---- */

/* The output as it was last seen. */
struct shown {
  const char *ptr;
  size_t size; /* 0: it may have moved */
  char copy[16384];
};

/* The output stays where it is, and is only appended to. */
static inline void see_output(struct shown *shown, const char *output, size_t size)
{
  REQUIRE((output == NULL) == (size == 0));
  REQUIRE(size <= sizeof shown->copy);
  if (shown->size > 0) {
    REQUIRE(output == shown->ptr && size >= shown->size);
    REQUIRE(memcmp(output, shown->copy, shown->size) == 0);
  }
  shown->ptr = output;
  shown->size = size;
  if (size > 0) {
    memcpy(shown->copy, output, size);
  }
}

/* fuzz_server.c: plays its input, also for fuzz_dialogue.c, which makes one. Returns 0. */
int play_session(const uint8_t *data, size_t size);

#endif
