/* scan.c: vector search. Floor: bytes.
 *
 * The content kernels all compute the same mask. For each octet x of a block, with the octet before it and the one after
 * it taken by loads that overlap by one:
 *
 *     event = ((x is LF) differs from (before is CR)) and strict, or (x is LF) and (after is a dot)
 *
 * In well-formed content without leading dots that is zero everywhere, line endings included.
 */
#include "scan.h"

#include <string.h>

#if !defined(EHLO_NO_SIMD) && (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_SSE2 1
#ifndef EHLO_NO_AVX2
#define HAVE_AVX2 1
#endif
#include <immintrin.h>
#elif !defined(EHLO_NO_SIMD) && defined(__aarch64__) && defined(__GNUC__)
#define HAVE_NEON 1
#include <arm_neon.h>
#endif

/* ---- portable ---- */

static int is_event(const unsigned char *at, int strict)
{
  int lf = *at == '\n';
  return (strict && lf != (at[-1] == '\r')) || (lf && at[1] == '.');
}

/* Octet by octet: for the ends that no block covers. */
static size_t scan_octets(int strict, const unsigned char *base, size_t at, size_t size, uint32_t *events, size_t count)
{
  for (; at < size; at++) {
    if (is_event(base + at, strict)) {
      events[count++] = (uint32_t)at;
    }
  }
  return count;
}

typedef uint64_t word;
#define EVERY(octet) ((word)0x0101010101010101U * (octet))

static word load_word(const unsigned char *at)
{
  word value;
  memcpy(&value, at, sizeof value);
  return value;
}

/* The high bit of each octet of the result is set where the octet differs from the pattern's; exact, no carry between
 * octets. The other bits are noise. */
static word differs(word value, word pattern)
{
  value ^= pattern;
  return ((value & EVERY(0x7F)) + EVERY(0x7F)) | value;
}

/* Words of eight octets; the result is only tested for zero, so the order of octets in a word does not matter. */
static size_t scan_portable(int strict, const unsigned char *base, size_t size, uint32_t *events, size_t room,
                            size_t *count)
{
  word strictly = strict ? EVERY(0x80) : 0;
  size_t at = 0;
  size_t found = 0;
  while (size - at >= sizeof(word)) {
    word not_lf = differs(load_word(base + at), EVERY('\n'));
    word not_after_cr = differs(load_word(base + at - 1), EVERY('\r'));
    word not_before_dot = differs(load_word(base + at + 1), EVERY('.'));
    if ((((not_lf ^ not_after_cr) & strictly) | (~(not_lf | not_before_dot) & EVERY(0x80))) != 0) {
      if (room - found < sizeof(word)) {
        break;
      }
      found = scan_octets(strict, base, at, at + sizeof(word), events, found);
    }
    at += sizeof(word);
  }
  if (size - at < sizeof(word) && room - found >= sizeof(word)) {
    found = scan_octets(strict, base, at, size, events, found);
    at = size;
  }
  *count = found;
  return at;
}

/* ---- vectors ---- */

#if defined(HAVE_SSE2) || defined(HAVE_NEON)
/* Appends the positions of the bits of a mask. */
static size_t append(uint64_t mask, size_t at, uint32_t *events, size_t count)
{
  while (mask != 0) {
    events[count++] = (uint32_t)(at + (size_t)__builtin_ctzll(mask));
    mask &= mask - 1;
  }
  return count;
}
#endif

#ifdef HAVE_SSE2
static __m128i load16(const unsigned char *at)
{
  return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static __m128i events16(const unsigned char *at, __m128i strictly)
{
  __m128i lf = _mm_cmpeq_epi8(load16(at), _mm_set1_epi8('\n'));
  __m128i after_cr = _mm_cmpeq_epi8(load16(at - 1), _mm_set1_epi8('\r'));
  __m128i before_dot = _mm_cmpeq_epi8(load16(at + 1), _mm_set1_epi8('.'));
  return _mm_or_si128(_mm_and_si128(_mm_xor_si128(lf, after_cr), strictly), _mm_and_si128(lf, before_dot));
}

static uint64_t mask16(__m128i events)
{
  return (uint64_t)(unsigned)_mm_movemask_epi8(events);
}

static size_t scan_sse2(int strict, const unsigned char *base, size_t size, uint32_t *events, size_t room,
                        size_t *count)
{
  __m128i strictly = _mm_set1_epi8((char)(strict ? -1 : 0));
  size_t at = 0;
  size_t found = 0;
  while (size - at >= 64 && room - found >= 64) {
    __m128i a = events16(base + at, strictly);
    __m128i b = events16(base + at + 16, strictly);
    __m128i c = events16(base + at + 32, strictly);
    __m128i d = events16(base + at + 48, strictly);
    if (mask16(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) != 0) {
      found = append(mask16(a) | mask16(b) << 16 | mask16(c) << 32 | mask16(d) << 48, at, events, found);
    }
    at += 64;
  }
  while (size - at >= 16 && room - found >= 16) {
    found = append(mask16(events16(base + at, strictly)), at, events, found);
    at += 16;
  }
  if (size - at < 16 && room - found >= 16) {
    if (size >= 16) {
      /* The last block once more, shifted back to the end; what it shares with the one before is cut off. */
      uint64_t mask = mask16(events16(base + size - 16, strictly));
      found = append(mask >> (16 - (size - at)), at, events, found);
    } else {
      found = scan_octets(strict, base, at, size, events, found);
    }
    at = size;
  }
  *count = found;
  return at;
}
#endif

#ifdef HAVE_AVX2
#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load32(const unsigned char *at)
{
  return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

AVX2 static inline __m256i events32(const unsigned char *at, __m256i strictly)
{
  __m256i lf = _mm256_cmpeq_epi8(load32(at), _mm256_set1_epi8('\n'));
  __m256i after_cr = _mm256_cmpeq_epi8(load32(at - 1), _mm256_set1_epi8('\r'));
  __m256i before_dot = _mm256_cmpeq_epi8(load32(at + 1), _mm256_set1_epi8('.'));
  return _mm256_or_si256(_mm256_and_si256(_mm256_xor_si256(lf, after_cr), strictly), _mm256_and_si256(lf, before_dot));
}

AVX2 static inline uint64_t mask32(__m256i events)
{
  return (uint64_t)(uint32_t)_mm256_movemask_epi8(events);
}

AVX2 static size_t scan_avx2(int strict, const unsigned char *base, size_t size, uint32_t *events, size_t room,
                             size_t *count)
{
  __m256i strictly = _mm256_set1_epi8((char)(strict ? -1 : 0));
  size_t at = 0;
  size_t found = 0;
  while (size - at >= 128 && room - found >= 128) {
    __m256i a = events32(base + at, strictly);
    __m256i b = events32(base + at + 32, strictly);
    __m256i c = events32(base + at + 64, strictly);
    __m256i d = events32(base + at + 96, strictly);
    __m256i any = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
    if (!_mm256_testz_si256(any, any)) {
      found = append(mask32(a) | mask32(b) << 32, at, events, found);
      found = append(mask32(c) | mask32(d) << 32, at + 64, events, found);
    }
    at += 128;
  }
  while (size - at >= 32 && room - found >= 32) {
    found = append(mask32(events32(base + at, strictly)), at, events, found);
    at += 32;
  }
  if (size - at < 32 && room - found >= 32) {
    if (size >= 32) {
      uint64_t mask = mask32(events32(base + size - 32, strictly));
      found = append(mask >> (32 - (size - at)), at, events, found);
    } else {
      found = scan_octets(strict, base, at, size, events, found);
    }
    at = size;
  }
  *count = found;
  return at;
}

/* Asked by hand: the compiler's own helper keeps what it finds in a variable. */
static int have_avx2(void)
{
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(0), "2"(0));
  if (a < 7) {
    return 0;
  }
  __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(1), "2"(0));
  if ((c & (1U << 27)) == 0 || (c & (1U << 28)) == 0) {
    return 0; /* no OSXSAVE or no AVX */
  }
  __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  if ((a & 6) != 6) {
    return 0; /* the system does not save the upper halves */
  }
  __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(7), "2"(0));
  return (b & (1U << 5)) != 0;
}
#endif

#ifdef HAVE_NEON
static uint8x16_t events16(const unsigned char *at, uint8x16_t strictly)
{
  uint8x16_t lf = vceqq_u8(vld1q_u8(at), vdupq_n_u8('\n'));
  uint8x16_t after_cr = vceqq_u8(vld1q_u8(at - 1), vdupq_n_u8('\r'));
  uint8x16_t before_dot = vceqq_u8(vld1q_u8(at + 1), vdupq_n_u8('.'));
  return vorrq_u8(vandq_u8(veorq_u8(lf, after_cr), strictly), vandq_u8(lf, before_dot));
}

static size_t scan_neon(int strict, const unsigned char *base, size_t size, uint32_t *events, size_t room,
                        size_t *count)
{
  uint8x16_t strictly = vdupq_n_u8(strict ? 0xFF : 0);
  size_t at = 0;
  size_t found = 0;
  while (size - at >= 64 && room - found >= 64) {
    uint8x16_t a = events16(base + at, strictly);
    uint8x16_t b = events16(base + at + 16, strictly);
    uint8x16_t c = events16(base + at + 32, strictly);
    uint8x16_t d = events16(base + at + 48, strictly);
    if (vmaxvq_u8(vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d))) != 0) {
      /* One bit an octet: each keeps its own bit, and three rounds of pairwise sums bring eight into one. */
      static const uint8_t own_bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
      uint8x16_t bits = vld1q_u8(own_bits);
      uint8x16_t low = vpaddq_u8(vandq_u8(a, bits), vandq_u8(b, bits));
      uint8x16_t high = vpaddq_u8(vandq_u8(c, bits), vandq_u8(d, bits));
      uint8x16_t sums = vpaddq_u8(low, high);
      sums = vpaddq_u8(sums, sums);
      found = append(vgetq_lane_u64(vreinterpretq_u64_u8(sums), 0), at, events, found);
    }
    at += 64;
  }
  while (size - at >= 16 && room - found >= 16) {
    if (vmaxvq_u8(events16(base + at, strictly)) != 0) {
      found = scan_octets(strict, base, at, at + 16, events, found);
    }
    at += 16;
  }
  if (size - at < 16 && room - found >= 16) {
    found = scan_octets(strict, base, at, size, events, found);
    at = size;
  }
  *count = found;
  return at;
}
#endif

unsigned ehlo_scan_kernel(void)
{
#if defined(HAVE_AVX2)
  return have_avx2() ? KERNEL_AVX2 : KERNEL_SSE2;
#elif defined(HAVE_SSE2)
  return KERNEL_SSE2;
#elif defined(HAVE_NEON)
  return KERNEL_NEON;
#else
  return KERNEL_PORTABLE;
#endif
}

size_t ehlo_scan_content(unsigned kernel, int strict, const unsigned char *data, size_t from, size_t to,
                         uint32_t *events, size_t room, size_t *count)
{
  switch (kernel) {
#ifdef HAVE_AVX2
  case KERNEL_AVX2: return from + scan_avx2(strict, data + from, to - from, events, room, count);
#endif
#ifdef HAVE_SSE2
  case KERNEL_SSE2: return from + scan_sse2(strict, data + from, to - from, events, room, count);
#endif
#ifdef HAVE_NEON
  case KERNEL_NEON: return from + scan_neon(strict, data + from, to - from, events, room, count);
#endif
  default: return from + scan_portable(strict, data + from, to - from, events, room, count);
  }
}

/* ---- lines ---- */

static unsigned seen_in(unsigned char octet)
{
  if (octet > 127) {
    return SEEN_NON_ASCII;
  }
  return (octet < 32 && octet != '\t') || octet == 127 ? SEEN_CONTROL : 0;
}

size_t ehlo_scan_line(const unsigned char *data, size_t size, unsigned *seen)
{
  size_t at = 0;
#ifdef HAVE_SSE2
  for (; size - at >= 16; at += 16) {
    __m128i x = load16(data + at);
    /* Nothing but 32 to 126 in the block? One more than each, as a signed number, is then above 32. */
    __m128i other = _mm_cmpgt_epi8(_mm_set1_epi8(33), _mm_add_epi8(x, _mm_set1_epi8(1)));
    unsigned others = (unsigned)_mm_movemask_epi8(other);
    if (others == 0) {
      continue;
    }
    unsigned above = (unsigned)_mm_movemask_epi8(x);
    unsigned controls = others & ~above & ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('\t')));
    unsigned newlines = (unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\r')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\n'))));
    unsigned before = newlines == 0 ? 0xFFFF : (newlines & (0U - newlines)) - 1;
    *seen |= ((above & before) != 0 ? SEEN_NON_ASCII : 0U) | ((controls & before) != 0 ? SEEN_CONTROL : 0U);
    if (newlines != 0) {
      return at + (size_t)__builtin_ctz(newlines);
    }
  }
#endif
  for (; at < size && data[at] != '\r' && data[at] != '\n'; at++) {
    *seen |= seen_in(data[at]);
  }
  return at;
}
