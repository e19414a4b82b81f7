// DoReFa's weight quantizer (Zhou et al., 2016, equations 9 and 10) and its gradient:
//   t = tanh(w), m = max|t|, y = 2 round((2^k - 1) (t / 2m + 1/2)) / (2^k - 1) - 1, and y = w for 32 bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "parallel.h"

namespace lowbit {

constexpr int64_t kWeightBlock = 4096;  // values of one item of work
constexpr int32_t kFloatBits = 32;
constexpr float kSmallestTanh = 1e-12f;  // in the place of m for weights that are all 0

// Calls visit(block, first, last) for every block of values.
template <class Visit>
void for_blocks(int64_t count, Visit visit) {
  parallel_for((count + kWeightBlock - 1) / kWeightBlock, [&] {
    return [&](int64_t block) { visit(block, block * kWeightBlock, std::min(count, (block + 1) * kWeightBlock)); };
  });
}

inline float largest_magnitude(int64_t count, const float* w) {
  float found = 0;
  for (int64_t i = 0; i < count; ++i) found = std::max(found, std::abs(w[i]));
  return found;
}

// tanh rises, so the largest |tanh w| is that of the largest |w|.
inline float largest_tanh(int64_t count, const float* w) {
  return std::max(std::tanh(largest_magnitude(count, w)), kSmallestTanh);
}

inline float dorefa_steps(int32_t bits) { return static_cast<float>((int64_t{1} << bits) - 1); }

// The level of a weight with tanh t; `half` is 1 / 2m.
inline float dorefa_level(float t, float half, float steps) {
  const float unit = t * half + 0.5f;
  return 2.f * (__builtin_rintf(steps * unit) / steps) - 1.f;
}

// What comes back to one weight: through its level, and past it where it is kept in float.
struct LevelGradient {
  float level = 0, weight = 0;
};

// Straight through the rounding: gw = gy (1 - t^2) / m, and the largest weight moves m too; equal ones share that.
// `tanh_at(i)` gives t, `gradient_at(i)` a LevelGradient.
template <class Tanh, class Gradient>
void dorefa_gradient(int64_t count, const float* w, Tanh tanh_at, Gradient gradient_at, float* gw) {
  const float most = largest_magnitude(count, w), m = largest_tanh(count, w);
  std::vector<double> sums((count + kWeightBlock - 1) / kWeightBlock);
  std::vector<int64_t> ties(sums.size());
  for_blocks(count, [&](int64_t block, int64_t first, int64_t last) {
    double sum = 0;
    int64_t tied = 0;
    for (int64_t i = first; i < last; ++i) {
      const float t = tanh_at(i);
      const LevelGradient g = gradient_at(i);
      gw[i] = g.level * (1 - t * t) / m + g.weight;
      sum += static_cast<double>(g.level) * t;
      tied += std::abs(w[i]) == most;
    }
    sums[block] = sum, ties[block] = tied;
  });
  double sum = 0;
  int64_t tied = 0;
  for (size_t block = 0; block < sums.size(); ++block) sum += sums[block], tied += ties[block];
  const double slope = -sum / (static_cast<double>(m) * m) * (1 - static_cast<double>(m) * m) / tied;
  if (most == 0) return;
  for (int64_t i = 0; i < count; ++i)
    if (std::abs(w[i]) == most) gw[i] += static_cast<float>(w[i] > 0 ? slope : -slope);
}

}  // namespace lowbit
