// Gradient of the float adder convolution for its weights, see conv_float.h: sum (x - w) gy = sum x gy - w sum gy, the
// gradient of the ordinary convolution and a sum over each filter's outputs. At the border x is zero, and w counts.
#pragma once

#include "batch_norm.h"
#include "conv_product.h"

namespace lowbit {

// Of one filter, over all images and pixels.
inline double sum_of_channel(const BatchShape& shape, int64_t channel, const float* values) {
  using V = Vec<kLanes>;
  V::Float block = {};
  double sum = 0;
  over_channel(
      shape, channel, [&](int64_t i, auto lanes) { block += V::load(values + i, lanes); },
      [&] {
        sum += V::sum(block);
        block = V::Float{};
      });
  return sum;
}

template <int LANES>
void adder_grad_weight(const Geometry& g, const BatchShape& outputs, const float* x, const float* w, const float* gy,
                       float* gw) {
  conv_grad_weight<LANES>(g, x, gy, gw);
  const int64_t taps = g.c * g.kh * g.kw;
  parallel_for(g.f, [&] {
    return [&](int64_t f) {
      const double sum = sum_of_channel(outputs, f, gy);
      for (int64_t t = f * taps; t < (f + 1) * taps; ++t) gw[t] = static_cast<float>(gw[t] - w[t] * sum);
    };
  });
}

// AdderNet's adaptive rate, eq. 12 and 13: a gradient of `count` values gets the norm 0.2 sqrt(count).
inline void rescale(const float* gradient, int64_t count, float* rescaled) {
  constexpr double kEta = 0.2, kLeastNorm = 1e-12;
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) squares += static_cast<double>(gradient[i]) * gradient[i];
  const double rate = kEta * std::sqrt(static_cast<double>(count)) / std::max(std::sqrt(squares), kLeastNorm);
  for (int64_t i = 0; i < count; ++i) rescaled[i] = static_cast<float>(rate * gradient[i]);
}

}  // namespace lowbit
