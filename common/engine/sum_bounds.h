// The bounds of bounds.py, proven anew for the integers of a file: lanes of 16 bits, sums of 32.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "program.h"
#include "reader.h"

namespace lowbit {
namespace engine {

constexpr int64_t kMostSteps = 1 << 14;  // of a block: its lanes' bounds stay within 32 bits
constexpr int64_t kMostMultiplier = INT16_MAX;
constexpr int kLanesOfStep = 2 * kGroup;  // two taps each

// Lanes of a group of filters over one block; returns its weights' end. `largest`: code of each channel of a pixel.
inline const int8_t* add_block(const int32_t* block, const std::vector<int32_t>& largest, const int8_t* weights,
                               int64_t* sums) {
  int32_t low[kLanesOfStep] = {}, high[kLanesOfStep] = {};
  const int64_t channels = static_cast<int64_t>(largest.size());
  for (int32_t r = 0; r < block[1]; ++r) {
    const int32_t offset = block[2 + 2 * r], steps = block[3 + 2 * r];
    for (int32_t step = 0; step < steps; ++step, weights += kStepTaps * kGroup) {
      int32_t top[kStepTaps];
      for (int t = 0; t < kStepTaps; ++t) top[t] = largest[(offset + int64_t{kStepTaps} * step + t) % channels];
      for (int i = 0; i < kStepTaps * kGroup; ++i) {
        const int32_t product = top[i % kStepTaps] * weights[i];
        low[i / 2] += std::min(product, 0);
        high[i / 2] += std::max(product, 0);
      }
    }
  }
  const int64_t size = block[0] < 0 ? -int64_t{block[0]} : block[0];
  for (int lane = 0; lane < kLanesOfStep; ++lane) {
    require(low[lane] >= INT16_MIN && high[lane] <= INT16_MAX, "sums of a block do not fit 16 bits");
    sums[lane / 2] += size * std::max(-int64_t{low[lane]}, int64_t{high[lane]});
  }
  return weights;
}

// Products of codes up to `largest` with the weights of `groups` groups of filters.
inline void check_products(const int32_t* blocks, int32_t count, int64_t groups, const std::vector<int32_t>& largest,
                           const int8_t* weights) {
  for (int64_t group = 0; group < groups; ++group) {
    int64_t sums[kGroup] = {};
    const int32_t* block = blocks;
    for (int32_t b = 0; b < count; ++b, block += 2 + 2 * int64_t{block[1]})
      weights = add_block(block, largest, weights, sums);
    for (int64_t sum : sums) require(sum <= INT32_MAX, "sums do not fit 32 bits");
  }
}

}  // namespace engine
}  // namespace lowbit
