// Uniform quantization of one value: nearest of 2^k levels from 0 to a clip.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lowbit {

// Half to even, as MindSpore and PyTorch round. One instruction; adding and subtracting 1.5 * 2^23 would be another
// way, but the compiler may fuse that sum with the product before it, and ties would fall otherwise.
inline float round_even(float value) { return __builtin_rintf(value); }

struct Channel {
  float clip, up, down;  // y = round(clamp(x, 0, clip) * up) * down

  Channel(int32_t bits, float limit) : clip(limit), up(0), down(0) {
    if (bits <= 0 || limit <= 0) return;
    const float steps = static_cast<float>((int64_t{1} << bits) - 1);
    up = steps / clip;
    down = clip / steps;
  }
  float steps() const { return __builtin_rintf(up * clip); }  // from 0 to the clip
  float clamped(float x) const { return std::min(std::max(x, 0.f), clip); }
  float quantized(float x) const { return round_even(clamped(x) * up) * down; }
};

}  // namespace lowbit
