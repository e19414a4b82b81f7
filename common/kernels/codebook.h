// Quantization of one value to a table of levels.
#pragma once

#include <cstdint>

namespace lowbit {

// The level nearest to w / scale times scale, the upper one at a tie; `levels` in rising order.
inline float nearest(float w, float scale, const float* levels, int64_t count) {
  int64_t index = 0;
  for (int64_t i = 1; i < count; ++i) index += w >= 0.5f * (levels[i - 1] + levels[i]) * scale;
  return levels[index] * scale;
}

}  // namespace lowbit
