// Integer tiles with NEON's products of bytes (i8mm): usdot multiplies 4 taps of 4 filters and adds them to sums of 32
// bits, as AVX-512's vpdpbusd does. Blocks that differ in nothing but the widening go on in the same sums.
#include <arm_neon.h>

#include "program.h"
#include "vector.h"

namespace {

constexpr int kQuarters = 4;  // vectors of 4 filters by 4 taps in a group

struct Products {
  static constexpr bool kMakesCodes = false;
  static constexpr int kPixels = 4, kGroups = 1;  // 16 sums, 4 weights and 4 inputs in 32 registers
  static constexpr int wide(int) { return kPixels; }
  template <int P, int G>
  static void tile(const uint8_t* x, int64_t step, const int32_t* blocks, int block_count, const int8_t* weights,
                   int64_t, int32_t* out) {
    int32x4_t sums[P][kQuarters];
    for (int p = 0; p < P; ++p)
      for (int q = 0; q < kQuarters; ++q) sums[p][q] = vdupq_n_s32(0);
    bool first = true;
    for (int b = 0; b < block_count; ++b) {
      const int32_t multiplier = blocks[0], count = blocks[1];
      blocks += 2;
      for (int32_t r = 0; r < count; ++r, blocks += 2) {
        const uint8_t* from = x + blocks[0];
        const uint8_t* end = from + 4 * int64_t{blocks[1]};
        for (; from != end; from += 4, weights += 64) {
          int8x16_t w[kQuarters];
          for (int q = 0; q < kQuarters; ++q) w[q] = vld1q_s8(weights + 16 * q);
#pragma GCC unroll 4
          for (int p = 0; p < P; ++p) {
            uint32_t four;
            std::memcpy(&four, from + p * step, 4);
            const uint8x16_t taps = vreinterpretq_u8_u32(vdupq_n_u32(four));
#pragma GCC unroll 4
            for (int q = 0; q < kQuarters; ++q) sums[p][q] = vusdotq_s32(sums[p][q], taps, w[q]);
          }
        }
      }
      if (b + 1 < block_count && blocks[0] == multiplier) continue;
      for (int p = 0; p < P; ++p) {
        for (int q = 0; q < kQuarters; ++q) {
          int32_t* place = out + 16 * p + 4 * q;
          const int32x4_t before = first ? vdupq_n_s32(0) : vld1q_s32(place);
          vst1q_s32(place, vmlaq_n_s32(before, sums[p][q], multiplier));
          sums[p][q] = vdupq_n_s32(0);
        }
      }
      first = false;
    }
  }
};

}  // namespace

#include "neon_differences.h"

#include "image.h"

void lowbit::engine::run_images_neon_dot(const Program& program, const Task& task) { run_images(program, task); }
