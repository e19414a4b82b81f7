// Sums of absolute differences of unsigned bytes, several 8-byte cells at a time.
//
// A cell is the bytes of 8 channels of one pixel. `Sad::Cells` holds kCells neighbouring pixels; accumulate() adds,
// for each pixel, the sum over its 8 channels of |x - w|. AVX-512 and AVX2 have one instruction for this (vpsadbw);
// the plain version serves every other processor and, with LOWBIT_PLAIN_SAD defined, the tests.
#pragma once

#include <cstdint>
#include <cstring>

#if !defined(LOWBIT_PLAIN_SAD) && (defined(__AVX512BW__) || defined(__AVX2__))
#include <immintrin.h>
#endif

namespace lowbit {

#if !defined(LOWBIT_PLAIN_SAD) && defined(__AVX512BW__)

struct Sad {
  static constexpr const char* kName = "avx512";
  static constexpr int kCells = 8;
  static constexpr int kFilters = 4, kVectors = 4;  // register tile: 16 of the 32 registers accumulate
  using Cells = __m512i;
  using Sums = __m512i;

  static Sums zero() { return _mm512_setzero_si512(); }
  static Cells load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static Cells broadcast(const uint8_t* p) {
    int64_t cell;
    std::memcpy(&cell, p, 8);
    return _mm512_set1_epi64(cell);
  }
  static Sums accumulate(Sums sums, Cells x, Cells w) { return _mm512_add_epi64(sums, _mm512_sad_epu8(x, w)); }
  static void store(int32_t* p, Sums sums) { _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi64_epi32(sums)); }
};

#elif !defined(LOWBIT_PLAIN_SAD) && defined(__AVX2__)

struct Sad {
  static constexpr const char* kName = "avx2";
  static constexpr int kCells = 4;
  static constexpr int kFilters = 4, kVectors = 2;  // 8 of the 16 registers accumulate
  using Cells = __m256i;
  using Sums = __m256i;

  static Sums zero() { return _mm256_setzero_si256(); }
  static Cells load(const uint8_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
  static Cells broadcast(const uint8_t* p) {
    int64_t cell;
    std::memcpy(&cell, p, 8);
    return _mm256_set1_epi64x(cell);
  }
  static Sums accumulate(Sums sums, Cells x, Cells w) { return _mm256_add_epi64(sums, _mm256_sad_epu8(x, w)); }
  static void store(int32_t* p, Sums sums) {
    const __m256i low = _mm256_permutevar8x32_epi32(sums, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    _mm_storeu_si128((__m128i*)p, _mm256_castsi256_si128(low));
  }
};

#else

struct Sad {
  typedef uint8_t Bytes __attribute__((vector_size(8)));
  typedef int16_t Words __attribute__((vector_size(16)));
  typedef int32_t Longs __attribute__((vector_size(32)));

  static constexpr const char* kName = "plain";
  static constexpr int kCells = 1;
  static constexpr int kFilters = 4, kVectors = 2;
  using Cells = Words;
  using Sums = Longs;  // one sum per channel of the cell; store() adds them up

  static Sums zero() { return Sums{}; }
  static Cells load(const uint8_t* p) {
    Bytes bytes;
    std::memcpy(&bytes, p, 8);
    return __builtin_convertvector(bytes, Words);
  }
  static Cells broadcast(const uint8_t* p) { return load(p); }
  static Sums accumulate(Sums sums, Cells x, Cells w) {
    const Words difference = x > w ? x - w : w - x;
    return sums + __builtin_convertvector(difference, Longs);
  }
  static void store(int32_t* p, Sums sums) {
    *p = 0;
    for (int i = 0; i < 8; ++i) *p += sums[i];
  }
};

#endif

}  // namespace lowbit
