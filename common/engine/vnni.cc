// Integer tiles with AVX-512 VNNI: vpdpbusd multiplies 4 taps of 16 filters and adds them to sums of 32 bits.
//
// Blocks that differ in nothing but the widening of narrower lanes go on in the same sums.
#include <immintrin.h>

#include "tail.h"

namespace {

// A broadcast that the compiler cannot repeat for the second group: loads, not multiplications, would be the limit.
inline __m512i four_taps(const uint8_t* x) {
  __m512i v;
  asm("vpbroadcastd %1, %0" : "=v"(v) : "m"(*reinterpret_cast<const int32_t(*)>(x)));
  return v;
}

// `weights` goes on to the next block's; those of a group are `group` bytes after those of the one before.
template <int P, int G>
inline void add_runs(const uint8_t* x, int64_t step, const int32_t*& runs, int32_t count, const int8_t*& weights,
                     int64_t group, __m512i (&sums)[G][P]) {
  const int8_t* w = weights;
  for (int32_t r = 0; r < count; ++r, runs += 2) {
    const uint8_t* from = x + runs[0];
    const uint8_t* end = from + 4 * int64_t{runs[1]};
    for (; from != end; from += 4, w += 64) {
      __m512i of[G];
#pragma GCC unroll 2
      for (int g = 0; g < G; ++g) of[g] = _mm512_loadu_si512(w + g * group);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const __m512i taps = four_taps(from + p * step);
#pragma GCC unroll 2
        for (int g = 0; g < G; ++g) sums[g][p] = _mm512_dpbusd_epi32(sums[g][p], taps, of[g]);
      }
    }
  }
  weights = w;
}

struct Products {
  static constexpr bool kMakesCodes = true;
  static constexpr int kPixels = 8, kGroups = 2;  // 8 sums hide the latency of vpdpbusd, 16 the time of the loads
  static constexpr int wide(int groups) { return groups == 2 ? 14 : 8; }
  template <int P, int G>
  static void tile(const uint8_t*, int64_t, const int32_t*, int, const int8_t*, int64_t, int32_t*);
  template <int P, int G>
  static void codes(const uint8_t*, int64_t, const int32_t*, const int8_t*, int64_t, const CodesAt&);
};

// One block of multiplier 1 whose sums become codes while they are in registers.
template <int P, int G>
__attribute__((noinline)) void Products::codes(const uint8_t* x, int64_t step, const int32_t* block,
                                               const int8_t* weights, int64_t group, const CodesAt& at) {
  __m512i sums[G][P];
#pragma GCC unroll 2
  for (auto& row : sums)
#pragma GCC unroll 16
    for (auto& sum : row) sum = _mm512_setzero_si512();
  const int32_t* runs = block + 2;
  add_runs<P, G>(x, step, runs, block[1], weights, group, sums);
#pragma GCC unroll 2
  for (int g = 0; g < G; ++g) {
    Int values[P];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) values[p] = reinterpret_cast<Int>(sums[g][p]);
    put_codes<P>({at.tail, at.f + g * kGroup, at.y, at.x}, values);
  }
}

template <int P, int G>
__attribute__((noinline)) void Products::tile(const uint8_t* x, int64_t step, const int32_t* blocks, int block_count,
                                              const int8_t* weights, int64_t group, int32_t* out) {
  __m512i sums[G][P];
#pragma GCC unroll 2
  for (auto& row : sums)
#pragma GCC unroll 16
    for (auto& sum : row) sum = _mm512_setzero_si512();
  bool first = true;
  for (int b = 0; b < block_count; ++b) {
    const int32_t multiplier = blocks[0], count = blocks[1];
    blocks += 2;
    add_runs<P, G>(x, step, blocks, count, weights, group, sums);
    if (b + 1 < block_count && blocks[0] == multiplier) continue;
    const __m512i m = _mm512_set1_epi32(multiplier);
    int32_t* place = out;
#pragma GCC unroll 2
    for (auto& row : sums) {
#pragma GCC unroll 16
      for (auto& sum : row) {
        if (multiplier != 1) sum = _mm512_mullo_epi32(sum, m);
        if (!first) sum = _mm512_add_epi32(sum, _mm512_load_si512(place));
        _mm512_store_si512(place, sum);
        sum = _mm512_setzero_si512();
        place += 16;
      }
    }
    first = false;
  }
}

// Sums of absolute differences: vpsadbw takes 8 taps of 8 filters. Differences have one block, of multiplier 1.
struct Differences {
  static constexpr bool kMakesCodes = false;
  static constexpr int kPixels = 8, kGroups = 1;
  static constexpr int wide(int) { return kPixels; }
  template <int P, int G>
  static void tile(const uint8_t*, int64_t, const int32_t*, int, const int8_t*, int64_t, int32_t*);
};

template <int P, int G>
__attribute__((noinline)) void Differences::tile(const uint8_t* x, int64_t step, const int32_t* blocks, int,
                                                 const int8_t* weights, int64_t, int32_t* out) {
  __m512i low[P], high[P];
  for (int p = 0; p < P; ++p) low[p] = high[p] = _mm512_setzero_si512();
  const int32_t* runs = blocks + 2;
  for (int32_t r = 0; r < blocks[1]; ++r, runs += 2) {
    const uint8_t* from = x + runs[0];
    const uint8_t* end = from + 4 * int64_t{runs[1]};
    for (; from != end; from += 8, weights += 128) {
      const __m512i w0 = _mm512_loadu_si512(weights), w1 = _mm512_loadu_si512(weights + 64);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        int64_t taps;
        std::memcpy(&taps, from + p * step, 8);
        const __m512i all = _mm512_set1_epi64(taps);
        low[p] = _mm512_add_epi64(low[p], _mm512_sad_epu8(all, w0));
        high[p] = _mm512_add_epi64(high[p], _mm512_sad_epu8(all, w1));
      }
    }
  }
  for (int p = 0; p < P; ++p) {
    __m256i* place = reinterpret_cast<__m256i*>(out + 16 * p);
    _mm256_store_si256(place, _mm512_cvtepi64_epi32(low[p]));
    _mm256_store_si256(place + 1, _mm512_cvtepi64_epi32(high[p]));
  }
}

}  // namespace

#include "image.h"

void lowbit::engine::run_images_vnni(const Program& program, const Task& task) { run_images(program, task); }
