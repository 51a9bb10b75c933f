/* word.h: eight octets at a time in plain C. Floor: bytes.
 *
 * A word holds eight octets, the first in memory lowest. What is asked of each octet is answered by its high bit.
 */
#ifndef EHLO_BYTES_WORD_H
#define EHLO_BYTES_WORD_H

#include <stdint.h>
#include <string.h>

typedef uint64_t word;

enum { WORD_OCTETS = sizeof(word) };

/* The word that has the octet eight times. */
#define EVERY(octet) ((word)0x0101010101010101U * (octet))

static inline word load_word(const unsigned char *at)
{
  word value;
  memcpy(&value, at, sizeof value);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap64(value);
#endif
  return value;
}

/* The high bit of each octet of the result is set where the octet differs from the pattern's; exact, no carry between
 * octets. The other bits are noise. */
static inline word differs(word value, word pattern)
{
  value ^= pattern;
  return ((value & EVERY(0x7F)) + EVERY(0x7F)) | value;
}

/* The high bit of each octet of the result is set where the octet is below `least` (at most 128), DEL, or above 127;
 * exact. The other bits are noise. */
static inline word not_printable(word value, unsigned least)
{
  word low = value & EVERY(0x7F);
  return ~((low | EVERY(0x80)) - EVERY(least)) | (low + EVERY(1)) | value;
}

/* Brings the high bits of a word's octets together, that of the first in memory lowest. Each product of one bit of the
 * word and one of the factor falls on a place of its own, so nothing carries. */
static inline uint64_t word_mask(word bits)
{
  return (((bits & EVERY(0x80)) >> 7) * 0x0102040810204080U) >> 56;
}

/* The place of the lowest bit of a mask that has one. */
static inline unsigned lowest_bit(uint64_t mask)
{
  return (unsigned)__builtin_ctzll(mask);
}

#endif
