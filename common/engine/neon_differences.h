// Sums of absolute differences with NEON: vabd takes 8 taps of 2 filters, pairwise additions widen them to 32 bits.
// Differences have one block, of multiplier 1.
#pragma once

#include <arm_neon.h>

#include "program.h"

namespace {

struct Differences {
  static constexpr bool kMakesCodes = false;
  static constexpr int kPixels = 2, kGroups = 1;  // 16 sums, 8 weights and 2 inputs in 32 registers
  static constexpr int wide(int) { return kPixels; }
  template <int P, int G>
  static void tile(const uint8_t* x, int64_t step, const int32_t* blocks, int, const int8_t* weights, int64_t,
                   int32_t* out) {
    constexpr int kPairs = 8;  // vectors of 2 filters by 8 taps in a group
    uint32x4_t sums[P][kPairs];
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < kPairs; ++v) sums[p][v] = vdupq_n_u32(0);
    const int32_t* runs = blocks + 2;
    for (int32_t r = 0; r < blocks[1]; ++r, runs += 2) {
      const uint8_t* from = x + runs[0];
      const uint8_t* end = from + 4 * int64_t{runs[1]};
      for (; from != end; from += 8, weights += 128) {
        uint8x16_t taps[P];
        for (int p = 0; p < P; ++p) {
          const uint8x8_t eight = vld1_u8(from + p * step);
          taps[p] = vcombine_u8(eight, eight);
        }
#pragma GCC unroll 8
        for (int v = 0; v < kPairs; ++v) {
          const uint8x16_t w = vreinterpretq_u8_s8(vld1q_s8(weights + 16 * v));
#pragma GCC unroll 2
          for (int p = 0; p < P; ++p) sums[p][v] = vpadalq_u16(sums[p][v], vpaddlq_u8(vabdq_u8(taps[p], w)));
        }
      }
    }
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < kPairs; v += 2)
        vst1q_s32(out + 16 * p + 2 * v, vreinterpretq_s32_u32(vpaddq_u32(sums[p][v], sums[p][v + 1])));
  }
};

}  // namespace
