// Integer tiles with AVX2: lanes of 16 bits, which the compiler of programs has proven to be wide enough.
//
// vpmaddubsw multiplies 4 taps of 8 filters, 2 sums of 2 products each; vpaddw adds them up over a block of steps; only
// at its end vpmaddwd, with the block's multiplier in both halves, widens to 32 bits. 64 multiply-adds a cycle, where
// widening at each step gives 32.
#include <immintrin.h>

#include "program.h"
#include "vector.h"

namespace {

// A broadcast that the compiler can neither fold into the multiplication nor repeat for the second half.
inline __m256i four_taps(const uint8_t* x) {
  __m256i v;
  asm("vpbroadcastd %1, %0" : "=x"(v) : "m"(*reinterpret_cast<const int32_t(*)>(x)));
  return v;
}

// The sums of a block; `weights` goes on to the next block's.
template <int P>
inline void block_lanes(const uint8_t* x, int64_t step, const int32_t*& runs, int32_t count, const int8_t*& weights,
                        __m256i (&low)[P], __m256i (&high)[P]) {
  for (int p = 0; p < P; ++p) low[p] = high[p] = _mm256_setzero_si256();
  const int8_t* w = weights;
  for (int32_t r = 0; r < count; ++r, runs += 2) {
    const uint8_t* from = x + runs[0];
    const uint8_t* end = from + 4 * int64_t{runs[1]};
    for (; from != end; from += 4, w += 64) {
      const __m256i w0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
      const __m256i w1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) {
        const __m256i taps = four_taps(from + p * step);
        low[p] = _mm256_add_epi16(low[p], _mm256_maddubs_epi16(taps, w0));
        high[p] = _mm256_add_epi16(high[p], _mm256_maddubs_epi16(taps, w1));
      }
    }
  }
  weights = w;
}

inline void widen(__m256i lanes, __m256i multiplier, bool first, int32_t* sums) {
  __m256i* place = reinterpret_cast<__m256i*>(sums);
  const __m256i wide = _mm256_madd_epi16(lanes, multiplier);
  _mm256_store_si256(place, first ? wide : _mm256_add_epi32(_mm256_load_si256(place), wide));
}

struct Products {
  static constexpr bool kMakesCodes = false;
  static constexpr int kPixels = 4, kGroups = 1;  // 8 sums, 2 weights, an input and 2 products in 16 registers
  static constexpr int wide(int) { return kPixels; }
  template <int P, int G>
  static void tile(const uint8_t*, int64_t, const int32_t*, int, const int8_t*, int64_t, int32_t*);
};

template <int P, int G>
__attribute__((noinline)) void Products::tile(const uint8_t* x, int64_t step, const int32_t* blocks, int block_count,
                                              const int8_t* weights, int64_t, int32_t* sums) {
  for (int b = 0; b < block_count; ++b) {
    const __m256i multiplier = _mm256_set1_epi16(static_cast<int16_t>(blocks[0]));
    const int32_t count = blocks[1];
    blocks += 2;
    __m256i low[P], high[P];
    block_lanes<P>(x, step, blocks, count, weights, low, high);
    for (int p = 0; p < P; ++p) {
      widen(low[p], multiplier, b == 0, sums + 16 * p);
      widen(high[p], multiplier, b == 0, sums + 16 * p + 8);
    }
  }
}

// Even numbers of 32 bits, those of a first.
inline __m256i low_halves(__m256i a, __m256i b) {
  const __m256 both = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88);
  return _mm256_permute4x64_epi64(_mm256_castps_si256(both), 0xD8);
}

// Sums of absolute differences: vpsadbw takes 8 taps of 4 filters. Differences have one block, of multiplier 1.
struct Differences {
  static constexpr bool kMakesCodes = false;
  static constexpr int kPixels = 2, kGroups = 1;  // 8 sums, 4 weights, an input and 2 differences in 16 registers
  static constexpr int wide(int) { return kPixels; }
  template <int P, int G>
  static void tile(const uint8_t*, int64_t, const int32_t*, int, const int8_t*, int64_t, int32_t*);
};

template <int P, int G>
__attribute__((noinline)) void Differences::tile(const uint8_t* x, int64_t step, const int32_t* blocks, int,
                                                 const int8_t* weights, int64_t, int32_t* out) {
  __m256i sums[P][4];
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < 4; ++v) sums[p][v] = _mm256_setzero_si256();
  const int32_t* runs = blocks + 2;
  for (int32_t r = 0; r < blocks[1]; ++r, runs += 2) {
    const uint8_t* from = x + runs[0];
    const uint8_t* end = from + 4 * int64_t{runs[1]};
    for (; from != end; from += 8, weights += 128) {
      __m256i w[4];
      for (int v = 0; v < 4; ++v) w[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights) + v);
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        int64_t taps;
        std::memcpy(&taps, from + p * step, 8);
        const __m256i all = _mm256_set1_epi64x(taps);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) sums[p][v] = _mm256_add_epi64(sums[p][v], _mm256_sad_epu8(all, w[v]));
      }
    }
  }
  for (int p = 0; p < P; ++p) {
    __m256i* place = reinterpret_cast<__m256i*>(out + 16 * p);
    _mm256_store_si256(place, low_halves(sums[p][0], sums[p][1]));
    _mm256_store_si256(place + 1, low_halves(sums[p][2], sums[p][3]));
  }
}

}  // namespace

#include "image.h"

void lowbit::engine::run_images_avx2(const Program& program, const Task& task) { run_images(program, task); }
