// What is done with the gradient of a quantized input: straight through the rounding it becomes that of the input
// itself, 0 outside of [0, clip]; where the input is at the clip or above, it is one of the clip. Its product with the
// quantized input is that of the output and its gradient: <g, q> = <conv'(gy), q> = <gy, conv(q)>.
#pragma once

#include <cstdint>
#include <type_traits>

#include "finish.h"
#include "selected_branches.h"
#include "simd.h"

namespace lowbit {

// Sums of a plane, one thread at a time.
struct InputSums {
  float of_clip[kLanes] = {}, products[kLanes] = {};
};

// See finish.h. `ADD`: another gradient of the input is added to it. `PRODUCTS`: the products are summed.
template <bool ADD, bool PRODUCTS>
struct ClippedInput {
  const float *x, *others;
  const Branches& branches;
  int64_t channels, plane_size;
  InputSums* sums;  // of each plane

  void write(const float* values, float* to, int64_t plane, int64_t pixel, int64_t count) const {
    using V = Vec<kLanes>;
    const int64_t at = plane * plane_size + pixel;
    const Channel& level = branches.of_image(plane / channels);
    auto of_clip = V::load(sums[plane].of_clip), products = V::load(sums[plane].products);
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes)
      step(level, values + i, to + i, at + i, std::integral_constant<int64_t, kLanes>(), of_clip, products);
    if (i < count) step(level, values + i, to + i, at + i, count - i, of_clip, products);
    V::store(sums[plane].of_clip, of_clip);
    if (PRODUCTS) V::store(sums[plane].products, products);
  }
  void change(float* values, int64_t plane, int64_t pixel, int64_t count) const {
    write(values, values, plane, pixel, count);
  }

  void expect(int64_t plane, int64_t pixel, int64_t count) const {
    fetch(x + plane * plane_size + pixel, count);
    if (ADD) fetch(others + plane * plane_size + pixel, count);
  }

 private:
  template <class Count>
  void step(const Channel& level, const float* values, float* to, int64_t at, Count lanes,
            Vec<kLanes>::Float& of_clip, Vec<kLanes>::Float& products) const {
    using V = Vec<kLanes>;
    const auto zero = V::broadcast(0.f), limit = V::broadcast(level.clip);
    const auto g = V::load(values, lanes), value = V::load(x + at, lanes), clipped = V::clip(value, zero, limit);
    const auto passed = value == clipped ? g : zero;
    V::store(to, ADD ? passed + V::load(others + at, lanes) : passed, lanes);
    of_clip += value >= limit ? g : zero;
    if (PRODUCTS) products += g * (V::round_even(clipped * level.up) * level.down);
  }
};

}  // namespace lowbit
