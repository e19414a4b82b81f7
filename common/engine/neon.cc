// Integer tiles with NEON: lanes of 16 bits, as with AVX2 and by the same proof.
//
// The bytes of 4 taps and of their weights are widened to 16 bits; vmla multiplies 2 filters at a time and adds them to
// lanes of one tap each. A lane's terms are some of those that a lane of AVX2 has, so its sums lie within the same
// bounds. At a block's end the 4 lanes of a filter are added in 32 bits and multiplied by m.
#include <arm_neon.h>

#include "program.h"
#include "vector.h"

namespace {

constexpr int kHalves = 8;  // vectors of 2 filters by 4 taps of 16 bits in a group

inline int16x8_t four_taps(const uint8_t* x) {
  uint32_t taps;
  std::memcpy(&taps, x, 4);
  return vreinterpretq_s16_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(taps))));
}

struct Products {
  static constexpr bool kMakesCodes = false;
  static constexpr int kPixels = 2, kGroups = 1;  // 16 sums, 8 weights and 2 inputs in 32 registers
  static constexpr int wide(int) { return kPixels; }
  template <int P, int G>
  static void tile(const uint8_t* x, int64_t step, const int32_t* blocks, int block_count, const int8_t* weights,
                   int64_t, int32_t* sums) {
    for (int b = 0; b < block_count; ++b) {
      const int32_t multiplier = blocks[0], count = blocks[1];
      blocks += 2;
      int16x8_t lanes[P][kHalves];
      for (int p = 0; p < P; ++p)
        for (int h = 0; h < kHalves; ++h) lanes[p][h] = vdupq_n_s16(0);
      for (int32_t r = 0; r < count; ++r, blocks += 2) {
        const uint8_t* from = x + blocks[0];
        const uint8_t* end = from + 4 * int64_t{blocks[1]};
        for (; from != end; from += 4, weights += 64) {
          int16x8_t taps[P];
          for (int p = 0; p < P; ++p) taps[p] = four_taps(from + p * step);
#pragma GCC unroll 8
          for (int h = 0; h < kHalves; ++h) {
            const int16x8_t w = vmovl_s8(vld1_s8(weights + 8 * h));
#pragma GCC unroll 2
            for (int p = 0; p < P; ++p) lanes[p][h] = vmlaq_s16(lanes[p][h], taps[p], w);
          }
        }
      }
      for (int p = 0; p < P; ++p) {
        for (int h = 0; h < kHalves; h += 2) {
          int32_t* place = sums + 16 * p + 2 * h;
          const int32x4_t wide = vpaddq_s32(vpaddlq_s16(lanes[p][h]), vpaddlq_s16(lanes[p][h + 1]));
          const int32x4_t before = b == 0 ? vdupq_n_s32(0) : vld1q_s32(place);
          vst1q_s32(place, vmlaq_n_s32(before, wide, multiplier));
        }
      }
    }
  }
};

}  // namespace

#include "neon_differences.h"

#include "image.h"

void lowbit::engine::run_images_neon(const Program& program, const Task& task) { run_images(program, task); }
