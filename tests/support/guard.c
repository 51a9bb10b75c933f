/* guard.c: octets that end where the readable memory ends. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

char *guard_room(unsigned slot, size_t size)
{
  static char *slots[GUARD_SLOTS];
  if (slot >= GUARD_SLOTS || size > GUARD_ROOM) {
    fprintf(stderr, "guard: no slot %u, or no room for %zu octets\n", slot, size);
    abort();
  }
  if (slots[slot] == NULL) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (GUARD_ROOM + page - 1) / page * page;
    char *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + room, page, PROT_NONE) != 0) {
      perror("guard");
      abort();
    }
    slots[slot] = memory + room;
  }
  return slots[slot] - size;
}

ehlo_span guard_copy(unsigned slot, ehlo_span octets)
{
  ehlo_span copy = {guard_room(slot, octets.len), octets.len};
  if (octets.len > 0) {
    memcpy(guard_room(slot, octets.len), octets.ptr, octets.len);
  }
  return copy;
}
