// Sums of four products of unsigned bytes, up to kLargest, and signed ones, from -127 on, in each 32-bit lane.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace lowbit {

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)

struct ByteDot {
  static constexpr bool kFast = true;
  static constexpr int kLanes = 16, kRows = 8;  // 16 of the 32 registers accumulate
  static constexpr int kLargest = 255;          // of the unsigned bytes
  typedef int32_t Sums __attribute__((vector_size(64)));

  // Written out: GCC 12 puts operands that serve several products into memory, and loads them for each.
  static Sums accumulate(Sums sums, Sums x, Sums w) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(w));
    return sums;
  }
};

#elif defined(__AVX2__)

struct ByteDot {
  static constexpr bool kFast = true;
  static constexpr int kLanes = 8, kRows = 4;  // 8 of the 16 registers accumulate
  static constexpr int kLargest = 129;         // two products of them and signed bytes fit into 16 bits
  typedef int32_t Sums __attribute__((vector_size(32)));

  static Sums accumulate(Sums sums, Sums x, Sums w) {
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)x, (__m256i)w);
    return sums + (Sums)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  }
};

#else

struct ByteDot {
  static constexpr bool kFast = false;  // products of floats are as fast
};

#endif

}  // namespace lowbit
