// DoReFa's weight quantizer (Zhou et al., 2016, equations 9 and 10) and its gradient:
//   t = tanh(w), m = max|t|, y = 2 round((2^k - 1) (t / 2m + 1/2)) / (2^k - 1) - 1, and y = w for 32 bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "parallel.h"
#include "simd.h"
#include "tanh.h"

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
  using V = Vec<kLanes>;
  auto found = V::broadcast(0.f);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) found = V::larger(found, V::abs(V::load(w + i)));
  if (i < count) found = V::larger(found, V::abs(V::load(w + i, count - i)));
  float most = 0;
  for (int lane = 0; lane < kLanes; ++lane) most = std::max(most, found[lane]);
  return most;
}

// m for weights of which the largest has the magnitude `most`: tanh rises.
inline float largest_tanh(float most) {
  float m;
  tanh_of(&most, 1, &m);
  return std::max(m, kSmallestTanh);
}

inline float dorefa_steps(int32_t bits) { return static_cast<float>((int64_t{1} << bits) - 1); }

// The levels of weights with these tanh; `half` is 1 / 2m.
inline Vec<kLanes>::Float dorefa_levels(Vec<kLanes>::Float tanh, float half, float steps) {
  return 2.f * (Vec<kLanes>::round_even(steps * (tanh * half + 0.5f)) / steps) - 1.f;
}

// What comes back to some weights: through their levels, and past them where they are kept in float.
struct LevelGradient {
  Vec<kLanes>::Float level = {}, weight = {};
};

// Straight through the rounding: gw = gy (1 - t^2) / m, and the largest weight moves m too; equal ones share that.
// `tanh` of the weights; `gradient_at(i, lanes)` gives the LevelGradient of lanes from weight i on.
template <class Gradient>
void dorefa_gradient(int64_t count, const float* w, const float* tanh, Gradient gradient_at, float* gw) {
  using V = Vec<kLanes>;
  constexpr int64_t kSum = 32 * kLanes;  // weights whose sum stays in float
  const float most = largest_magnitude(count, w), m = largest_tanh(most);
  std::vector<double> sums((count + kWeightBlock - 1) / kWeightBlock);
  std::vector<int64_t> ties(sums.size());
  for_blocks(count, [&](int64_t block, int64_t first, int64_t last) {
    for (int64_t start = first; start < last; start += kSum) {
      V::Float sum = {};
      V::Int tied = {};
      for (int64_t i = start; i < std::min(last, start + kSum); i += kLanes) {
        const int64_t lanes = std::min<int64_t>(kLanes, last - i);
        const auto t = V::load(tanh + i, lanes);
        const LevelGradient g = gradient_at(i, lanes);
        V::store(gw + i, g.level * (1.f - t * t) / m + g.weight, lanes);
        sum += g.level * t;
        tied -= V::abs(V::load(w + i, lanes)) == most;
      }
      sums[block] += V::sum(sum);
      for (int lane = 0; lane < kLanes; ++lane) ties[block] += tied[lane];
    }
  });
  if (most == 0) return;
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.);
  const auto tied = std::accumulate(ties.begin(), ties.end(), int64_t{0});
  const double slope = -sum / (static_cast<double>(m) * m) * (1 - static_cast<double>(m) * m) / tied;
  for (size_t block = 0; block < ties.size(); ++block) {
    if (ties[block] == 0) continue;
    const int64_t first = block * kWeightBlock;
    for (int64_t i = first; i < std::min(count, first + kWeightBlock); ++i)
      if (std::abs(w[i]) == most) gw[i] += static_cast<float>(w[i] > 0 ? slope : -slope);
  }
}

}  // namespace lowbit
