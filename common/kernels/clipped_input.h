// What is done with the gradient of a quantized input: straight through the rounding it becomes that of the input
// itself, 0 outside of [0, clip]; where the input is at the clip or above, it is one of the clip.
#pragma once

#include <cstdint>
#include <type_traits>

#include "finish.h"
#include "simd.h"

namespace lowbit {

// See finish.h. `ADD`: another gradient of the input is added to it.
template <bool ADD>
struct ClippedInput {
  const float *x, *others;
  float clip;
  int64_t plane_size;
  float* sums;  // [planes][kLanes] of the clip's gradient; one thread at a time may be at work on a plane

  void write(const float* values, float* to, int64_t plane, int64_t pixel, int64_t count) const {
    using V = Vec<kLanes>;
    const int64_t at = plane * plane_size + pixel;
    float* total = sums + plane * kLanes;
    auto sum = V::load(total);
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes)
      sum += step(values + i, to + i, at + i, std::integral_constant<int64_t, kLanes>());
    if (i < count) sum += step(values + i, to + i, at + i, count - i);
    V::store(total, sum);
  }
  void change(float* values, int64_t plane, int64_t pixel, int64_t count) const {
    write(values, values, plane, pixel, count);
  }

  void expect(int64_t plane, int64_t pixel, int64_t count) const {
    fetch(x + plane * plane_size + pixel, count);
    if (ADD) fetch(others + plane * plane_size + pixel, count);
  }

 private:
  // What inputs at the clip or above give to its gradient.
  template <class Count>
  Vec<kLanes>::Float step(const float* values, float* to, int64_t at, Count lanes) const {
    using V = Vec<kLanes>;
    const auto zero = V::broadcast(0.f), limit = V::broadcast(clip);
    const auto g = V::load(values, lanes), value = V::load(x + at, lanes);
    const auto passed = value == V::clip(value, zero, limit) ? g : zero;
    V::store(to, ADD ? passed + V::load(others + at, lanes) : passed, lanes);
    return value >= limit ? g : zero;
  }
};

}  // namespace lowbit
