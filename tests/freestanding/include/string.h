/* string.h: all that libehlo may take from a C library (law 1). There is no other header here to be found. */
#ifndef FREESTANDING_STRING_H
#define FREESTANDING_STRING_H

#include <stddef.h>

void *memchr(const void *octets, int octet, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *octets, int octet, size_t size);
size_t strlen(const char *string);

#endif
