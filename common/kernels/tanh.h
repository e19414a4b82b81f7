// tanh of floats in vectors, from exp(y) - 1 of y = 2 |x| (Cody and Waite, "Software Manual for the Elementary
// Functions", 1980):
//
//   tanh |x| = e / (e + 2),   e = exp(y) - 1 = 2^n (exp(r) - 1) + (2^n - 1),   y = n ln 2 + r,  |r| <= ln(2) / 2
//
// Within 3 units in the last place, and +-1 from |x| = 9.1 on, where the nearest float is.
#pragma once

#include <algorithm>

#include "parallel.h"
#include "simd.h"

namespace lowbit {

inline Vec<kLanes>::Float tanh_lanes(Vec<kLanes>::Float x) {
  using V = Vec<kLanes>;
  const auto size = V::abs(x), largest = V::broadcast(9.1f), y = 2.f * (size < largest ? size : largest);
  const auto n = V::round_even(y * 1.44269504f);
  const auto r = (y - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, the products with the first exact
  auto series = V::broadcast(1.f / 40320);                     // of (exp(r) - 1 - r) / r^2
  for (const float factor : {1.f / 5040, 1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 1.f / 2})
    series = series * r + factor;
  const auto rest = series * (r * r) + r;
  const auto exponent = __builtin_convertvector(n, V::Int);
  const auto power = reinterpret_cast<V::Float>((exponent + 127) << 23);
  const auto e = power * rest + (power - 1.f), t = e / (e + 2.f);
  return reinterpret_cast<V::Float>(reinterpret_cast<V::Int>(t) | (reinterpret_cast<V::Int>(x) & INT32_MIN));
}

// t = tanh w. One copy of it: a value has one tanh wherever it stands.
LOWBIT_ONE_COPY inline void tanh_of(const float* w, int64_t count, float* t) {
  using V = Vec<kLanes>;
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t lanes = std::min<int64_t>(kLanes, count - i);
    V::store(t + i, tanh_lanes(V::load(w + i, lanes)), lanes);
  }
}

}  // namespace lowbit
