// Loops that tell a processor's frequency and its peak of fused multiply-adds, with the kernels' vectors.
#include <cstdint>

#include "simd.h"

using Float = lowbit::Vec<lowbit::kLanes>::Float;

// `count` times 32 additions, each of which needs the one before: one cycle each.
extern "C" uint64_t DependentAdds(int64_t count) {
  uint64_t sum = 1, step = 3;
  for (int64_t i = 0; i < count; ++i) {
#pragma GCC unroll 32
    for (int k = 0; k < 32; ++k) {
      __asm__ volatile("" : "+r"(sum), "+r"(step));
      sum += step;
    }
  }
  return sum;
}

// `count` times 12 independent multiply-adds of whole vectors: more than are in flight at once.
extern "C" float MultiplyAdds(int64_t count, float factor, float term) {
  Float a = Float{} + factor, b = Float{} + term, sums[12];
  for (int k = 0; k < 12; ++k) sums[k] = b * static_cast<float>(k);
  for (int64_t i = 0; i < count; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) sums[k] = sums[k] * a + b;
  }
  for (int k = 1; k < 12; ++k) sums[0] = sums[0] + sums[k];
  return sums[0][0];
}

extern "C" int Lanes() { return lowbit::kLanes; }
