// The Internet checksum in memory order, as asm/wire/checksum.ts.
#pragma once
#include "worker.h"

static inline uint32_t fold(uint64_t sum) {
  uint64_t s = (sum >> 32) + (uint32_t)sum;
  s = (s >> 32) + (uint32_t)s;
  uint32_t t = (uint32_t)s;
  t = (t >> 16) + (t & 0xffff);
  return (t >> 16) + (t & 0xffff);
}
static inline uint32_t complement(uint64_t sum) { return fold(sum) ^ 0xffff; }
static inline uint64_t word(uint32_t value) { return __builtin_bswap16((uint16_t)value); }
static inline uint32_t updated16(uint32_t field, uint32_t before, uint32_t after) {
  uint32_t s = (field ^ 0xffff) + (before ^ 0xffff) + after;
  s = (s >> 16) + (s & 0xffff);
  return ((s >> 16) + (s & 0xffff)) ^ 0xffff;
}

// Sum of n bytes: as many lanes as WebAssembly's four vectors have, written for the compiler's vectoriser.
// Short regions are faster without lanes to fill and add up.
static inline uint64_t sum(const uint8_t* p, uint32_t n) {
  uint64_t s = 0;
  uint32_t i = 0;
  if (n >= 256) {
    uint32_t lanes[16] = {0};
    for (; i + 64 <= n; i += 64) {
      for (uint32_t j = 0; j < 16; j++) {
        const uint32_t w = load32(p + i + 4 * j);
        lanes[j] += (w & 0xffff) + (w >> 16);
      }
    }
    for (uint32_t j = 0; j < 16; j++) s += lanes[j];
  }
  for (; i + 8 <= n; i += 8) s += (uint64_t)load32(p + i) + load32(p + i + 4);
  if (n & 4) {
    s += load32(p + i);
    i += 4;
  }
  if (n & 2) {
    s += load16(p + i);
    i += 2;
  }
  if (n & 1) s += p[i];
  return s;
}

static inline uint64_t sum20(const uint8_t* p) {
  uint64_t s = 0;
  for (uint32_t i = 0; i < 20; i += 4) s += load32(p + i);
  return s;
}
static inline uint64_t ipv4_sum(const uint8_t* ip) {
  const uint32_t bytes = (ip[0] & 15u) << 2;
  return bytes == 20 ? sum20(ip) : sum(ip, bytes);
}

static inline uint64_t pseudo_sum(const uint8_t* p, uint32_t bytes, uint32_t protocol, uint32_t length) {
  uint64_t s = 0;
  for (uint32_t i = 0; i < bytes; i += 4) s += load32(p + i);
  return s + word(protocol) + __builtin_bswap32(length);
}

#ifdef __x86_64__
#include <immintrin.h>

// The same with AVX2, four accumulators.
__attribute__((target("avx2"))) static inline uint64_t sum_avx2(const uint8_t* p, uint32_t n) {
  uint32_t i = 0;
  uint64_t s = 0;
  if (n >= 128) {
    const __m256i low = _mm256_set1_epi64x(0xffffffff);
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (; i + 64 <= n; i += 64) {
      const __m256i x = _mm256_loadu_si256((const __m256i*)(p + i));
      const __m256i y = _mm256_loadu_si256((const __m256i*)(p + i + 32));
      a = _mm256_add_epi64(a, _mm256_and_si256(x, low));
      b = _mm256_add_epi64(b, _mm256_srli_epi64(x, 32));
      c = _mm256_add_epi64(c, _mm256_and_si256(y, low));
      d = _mm256_add_epi64(d, _mm256_srli_epi64(y, 32));
    }
    a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
    const __m128i h = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    s = (uint64_t)_mm_cvtsi128_si64(h) + (uint64_t)_mm_extract_epi64(h, 1);
  }
  return s + sum(p + i, n - i);
}
#endif
