/* memory.c: the functions that include/string.h declares, octet by octet. */
#include <string.h>

void *memchr(const void *octets, int octet, size_t size)
{
  for (const unsigned char *at = octets; size > 0; at++, size--) {
    if (*at == (unsigned char)octet) {
      return (void *)at;
    }
  }
  return NULL;
}

int memcmp(const void *a, const void *b, size_t size)
{
  const unsigned char *left = a;
  const unsigned char *right = b;
  for (; size > 0; left++, right++, size--) {
    if (*left != *right) {
      return *left < *right ? -1 : 1;
    }
  }
  return 0;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
  return memmove(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
  unsigned char *target = to;
  const unsigned char *source = from;
  if (target < source) {
    for (size_t i = 0; i < size; i++) {
      target[i] = source[i];
    }
  } else {
    while (size-- > 0) {
      target[size] = source[size];
    }
  }
  return to;
}

void *memset(void *octets, int octet, size_t size)
{
  unsigned char *at = octets;
  while (size-- > 0) {
    at[size] = (unsigned char)octet;
  }
  return octets;
}

size_t strlen(const char *string)
{
  size_t length = 0;
  while (string[length] != '\0') {
    length++;
  }
  return length;
}
