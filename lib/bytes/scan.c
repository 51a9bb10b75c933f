/* scan.c: vector search. Floor: bytes.
 *
 * The content kernels all compute the same. For each octet x of a block, with the octet before it and the one after it
 * taken by loads that overlap by one:
 *
 *     dots = (x is LF) and (before is CR) and (after is a dot)
 *     bare = (x is LF) differs from (before is CR), if strict
 *
 * In well-formed content without leading dots both are zero everywhere, line endings included. The masks of a block are
 * only made where one is not.
 */
#include "scan.h"

#include "word.h"

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

#ifdef __GNUC__
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE inline
#endif

/* ---- portable ---- */

/* Octet by octet: for a piece that is shorter than a block. */
static int scan_octets(int strict, const unsigned char *data, size_t at, size_t to, struct scan_events *events)
{
  events->block = at;
  events->dots = 0;
  events->bare = 0;
  for (uint64_t bit = 1; at < to; at++, bit <<= 1) {
    int lf = data[at] == '\n';
    int after_cr = data[at - 1] == '\r';
    events->dots |= lf && after_cr && data[at + 1] == '.' ? bit : 0;
    events->bare |= strict && lf != after_cr ? bit : 0;
  }
  return (events->dots | events->bare) != 0;
}

/* All of a search but what is the kernel's own: `masks_of` makes the masks of a block and tells whether there is
 * anything in them, `has_events` tells it at less cost, and may be wrong where it says yes. Where one block has events
 * the next often has too, so the first is not asked first. The last block is looked at once more, shifted back to the
 * end; what it shares with the one before is cut off. */
#define SEARCH(masks_of, has_events, strictly)                                                       \
  for (size_t first = at; to - at >= SCAN_BLOCK; at += SCAN_BLOCK) {                                 \
    if ((at == first || has_events(data + at, strictly)) && masks_of(data + at, strictly, events)) { \
      events->block = at;                                                                            \
      return 1;                                                                                      \
    }                                                                                                \
  }                                                                                                  \
  if (to <= SCAN_BLOCK) {                                                                            \
    return scan_octets(strict, data, at, to, events);                                                \
  }                                                                                                  \
  if (at == to || !masks_of(data + to - SCAN_BLOCK, strictly, events)) {                             \
    return 0;                                                                                        \
  }                                                                                                  \
  events->block = at;                                                                                \
  events->dots >>= SCAN_BLOCK - (to - at);                                                           \
  events->bare >>= SCAN_BLOCK - (to - at);                                                           \
  return (events->dots | events->bare) != 0

/* For kernels whose masks_of is quick to see that there is nothing. */
#define MAY_HAVE_EVENTS(data, strictly) 1

static inline word not_lf(const unsigned char *at)
{
  return differs(load_word(at), EVERY('\n'));
}

static inline word not_after_cr(const unsigned char *at)
{
  return differs(load_word(at - 1), EVERY('\r'));
}

static inline word not_before_dot(const unsigned char *at)
{
  return differs(load_word(at + 1), EVERY('.'));
}

static inline int has_events8(const unsigned char *data, word strictly)
{
  word bare = 0;
  word no_dots = EVERY(0x80);
  for (unsigned i = 0; i < SCAN_BLOCK; i += 8) {
    word other = not_lf(data + i);
    bare |= other ^ not_after_cr(data + i);
    no_dots &= other | not_before_dot(data + i);
  }
  return ((bare & strictly) | (~no_dots & EVERY(0x80))) != 0;
}

static inline int masks8(const unsigned char *data, word strictly, struct scan_events *events)
{
  word bare = 0;
  uint64_t dots = 0;
  for (unsigned i = 0; i < SCAN_BLOCK; i += 8) {
    word lf = load_word(data + i) ^ EVERY('\n');
    word after_cr = load_word(data + i - 1) ^ EVERY('\r');
    word before_dot = load_word(data + i + 1) ^ EVERY('.');
    bare |= differs(lf, 0) ^ differs(after_cr, 0);
    /* An octet is zero where all three are what they are compared with. */
    dots |= word_mask(~differs(lf | after_cr | before_dot, 0)) << i;
  }
  events->dots = dots;
  events->bare = 0;
  for (unsigned i = 0; (bare & strictly) != 0 && i < SCAN_BLOCK; i += 8) {
    events->bare |= word_mask((not_lf(data + i) ^ not_after_cr(data + i)) & strictly) << i;
  }
  return (dots | events->bare) != 0;
}

static int scan_portable(int strict, const unsigned char *data, size_t at, size_t to, struct scan_events *events)
{
  word strictly = strict ? EVERY(0x80) : 0;
  SEARCH(masks8, has_events8, strictly);
}

/* ---- vectors ---- */

#ifdef HAVE_SSE2
static inline __m128i load16(const unsigned char *at)
{
  return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i is_lf(const unsigned char *at)
{
  return _mm_cmpeq_epi8(load16(at), _mm_set1_epi8('\n'));
}

static inline __m128i is_after_cr(const unsigned char *at)
{
  return _mm_cmpeq_epi8(load16(at - 1), _mm_set1_epi8('\r'));
}

static inline __m128i is_before_dot(const unsigned char *at)
{
  return _mm_cmpeq_epi8(load16(at + 1), _mm_set1_epi8('.'));
}

static inline __m128i any16(const unsigned char *at, __m128i strictly)
{
  __m128i lf = is_lf(at);
  return _mm_or_si128(_mm_and_si128(_mm_xor_si128(lf, is_after_cr(at)), strictly),
                      _mm_and_si128(lf, is_before_dot(at)));
}

static inline uint64_t mask16(__m128i octets)
{
  return (uint64_t)(unsigned)_mm_movemask_epi8(octets);
}

static inline int has_events16(const unsigned char *data, __m128i strictly)
{
  __m128i low = _mm_or_si128(any16(data, strictly), any16(data + 16, strictly));
  __m128i high = _mm_or_si128(any16(data + 32, strictly), any16(data + 48, strictly));
  return mask16(_mm_or_si128(low, high)) != 0;
}

static inline int masks16(const unsigned char *data, __m128i strictly, struct scan_events *events)
{
  uint64_t dots = 0;
  uint64_t bare = 0;
  for (unsigned i = 0; i < SCAN_BLOCK; i += 16) {
    __m128i lf = is_lf(data + i);
    __m128i after_cr = is_after_cr(data + i);
    dots |= mask16(_mm_and_si128(_mm_and_si128(lf, after_cr), is_before_dot(data + i))) << i;
    bare |= mask16(_mm_and_si128(_mm_xor_si128(lf, after_cr), strictly)) << i;
  }
  events->dots = dots;
  events->bare = bare;
  return (dots | bare) != 0;
}

static int scan_sse2(int strict, const unsigned char *data, size_t at, size_t to, struct scan_events *events)
{
  __m128i strictly = _mm_set1_epi8((char)(strict ? -1 : 0));
  SEARCH(masks16, has_events16, strictly);
}
#endif

#ifdef HAVE_AVX2
#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load32(const unsigned char *at)
{
  return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

AVX2 static inline uint64_t mask64(__m256i low, __m256i high)
{
  return (uint64_t)(uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

AVX2 static inline void octets32(const unsigned char *at, __m256i strictly, __m256i *dots, __m256i *bare)
{
  __m256i lf = _mm256_cmpeq_epi8(load32(at), _mm256_set1_epi8('\n'));
  __m256i after_cr = _mm256_cmpeq_epi8(load32(at - 1), _mm256_set1_epi8('\r'));
  __m256i before_dot = _mm256_cmpeq_epi8(load32(at + 1), _mm256_set1_epi8('.'));
  *dots = _mm256_and_si256(_mm256_and_si256(lf, after_cr), before_dot);
  *bare = _mm256_and_si256(_mm256_xor_si256(lf, after_cr), strictly);
}

/* There are registers enough to keep what was found until it is known that masks are to be made of it. */
AVX2 static inline int masks32(const unsigned char *data, __m256i strictly, struct scan_events *events)
{
  __m256i dots[2];
  __m256i bare[2];
  octets32(data, strictly, &dots[0], &bare[0]);
  octets32(data + 32, strictly, &dots[1], &bare[1]);
  __m256i any = _mm256_or_si256(_mm256_or_si256(dots[0], dots[1]), _mm256_or_si256(bare[0], bare[1]));
  if (_mm256_testz_si256(any, any)) {
    return 0;
  }
  events->dots = mask64(dots[0], dots[1]);
  events->bare = mask64(bare[0], bare[1]);
  return 1;
}

AVX2 static int scan_avx2(int strict, const unsigned char *data, size_t at, size_t to, struct scan_events *events)
{
  __m256i strictly = _mm256_set1_epi8((char)(strict ? -1 : 0));
  SEARCH(masks32, MAY_HAVE_EVENTS, strictly);
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
static inline void octets16(const unsigned char *at, uint8x16_t strictly, uint8x16_t *dots, uint8x16_t *bare)
{
  uint8x16_t lf = vceqq_u8(vld1q_u8(at), vdupq_n_u8('\n'));
  uint8x16_t after_cr = vceqq_u8(vld1q_u8(at - 1), vdupq_n_u8('\r'));
  uint8x16_t before_dot = vceqq_u8(vld1q_u8(at + 1), vdupq_n_u8('.'));
  *dots = vandq_u8(vandq_u8(lf, after_cr), before_dot);
  *bare = vandq_u8(veorq_u8(lf, after_cr), strictly);
}

/* One bit an octet: each keeps its own bit, and three rounds of pairwise sums bring eight into one. */
static inline uint64_t mask64(const uint8x16_t *octets)
{
  static const uint8_t own_bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  uint8x16_t bits = vld1q_u8(own_bits);
  uint8x16_t low = vpaddq_u8(vandq_u8(octets[0], bits), vandq_u8(octets[1], bits));
  uint8x16_t high = vpaddq_u8(vandq_u8(octets[2], bits), vandq_u8(octets[3], bits));
  uint8x16_t sums = vpaddq_u8(low, high);
  sums = vpaddq_u8(sums, sums);
  return vgetq_lane_u64(vreinterpretq_u64_u8(sums), 0);
}

static inline int masks16(const unsigned char *data, uint8x16_t strictly, struct scan_events *events)
{
  uint8x16_t dots[4];
  uint8x16_t bare[4];
  uint8x16_t any = vdupq_n_u8(0);
  for (unsigned i = 0; i < 4; i++) {
    octets16(data + 16 * i, strictly, &dots[i], &bare[i]);
    any = vorrq_u8(any, vorrq_u8(dots[i], bare[i]));
  }
  if (vmaxvq_u8(any) == 0) {
    return 0;
  }
  events->dots = mask64(dots);
  events->bare = mask64(bare);
  return 1;
}

static int scan_neon(int strict, const unsigned char *data, size_t at, size_t to, struct scan_events *events)
{
  uint8x16_t strictly = vdupq_n_u8(strict ? 0xFF : 0);
  SEARCH(masks16, MAY_HAVE_EVENTS, strictly);
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

int ehlo_scan_content(unsigned kernel, int strict, const unsigned char *data, size_t at, size_t to,
                      struct scan_events *events)
{
  switch (kernel) {
#ifdef HAVE_AVX2
  case KERNEL_AVX2: return scan_avx2(strict, data, at, to, events);
#endif
#ifdef HAVE_SSE2
  case KERNEL_SSE2: return scan_sse2(strict, data, at, to, events);
#endif
#ifdef HAVE_NEON
  case KERNEL_NEON: return scan_neon(strict, data, at, to, events);
#endif
  default: return scan_portable(strict, data, at, to, events);
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

/* A line is looked at in blocks: those of the vector unit, or words where it is shorter than such a block, as many a
 * line that arrives alone is. Octets that are not 32 to 126 are told by a mask, by the highest of the bits that each
 * octet has in it. */
enum { WORDS, VECTORS, VECTOR_BLOCK = 32 };

#ifdef HAVE_SSE2
/* Where the octets are 32 to 126: one more than each, as a signed number, is then above 32. */
static inline uint32_t printable16(const unsigned char *at)
{
  return (uint32_t)_mm_movemask_epi8(_mm_cmpgt_epi8(_mm_add_epi8(load16(at), _mm_set1_epi8(1)), _mm_set1_epi8(32)));
}
#endif

static ALWAYS_INLINE uint64_t others_in(int kind, const unsigned char *block)
{
#ifdef HAVE_SSE2
  if (kind == VECTORS) {
    return 0xFFFFFFFFU ^ (printable16(block) | printable16(block + 16) << 16);
  }
#endif
  (void)kind;
  return not_printable(load_word(block), ' ') & EVERY(0x80);
}

/* `kind` is a constant, so that a search of its own is made for each. */
static ALWAYS_INLINE size_t scan_line_by(int kind, const unsigned char *data, size_t size, unsigned *seen)
{
  const size_t block = kind == VECTORS ? VECTOR_BLOCK : WORD_OCTETS;
  const unsigned bits = kind == VECTORS ? 1 : 8;
  size_t at = 0;
  size_t begins = size < block ? 0 : size - block + 1; /* a block can begin before this place */
  while (at < size) {
    uint64_t others = 1; /* what is shorter than a block is looked at octet by octet */
    if (at < begins) {
      others = others_in(kind, data + at);
    } else if (begins > 0) {
      others = others_in(kind, data + begins - 1) >> (at - (begins - 1)) * bits;
    }
    if (others == 0) {
      at += block;
      continue;
    }
    at += lowest_bit(others) / bits;
    if (data[at] == '\r' || data[at] == '\n') {
      return at;
    }
    *seen |= seen_in(data[at++]);
  }
  return size;
}

size_t ehlo_scan_line(const unsigned char *data, size_t size, unsigned *seen)
{
#ifdef HAVE_SSE2
  if (size >= VECTOR_BLOCK) {
    return scan_line_by(VECTORS, data, size, seen);
  }
#endif
  return scan_line_by(WORDS, data, size, seen);
}
