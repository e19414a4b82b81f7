// BatchNorm and what follows it: nothing, a ReLU (up to a limit), or the sum with a shortcut and a ReLU.
//
//   z = gamma (x - m) r + beta        y = z,   min(max(z, 0), limit)   or   max(z + shortcut, 0)
//
// In training m = mean x and r = 1 / sqrt(mean (x - m)^2 + eps), over images and pixels of the whole batch. With g the
// gradient for z, which is that for y where the ReLU lets it pass:
//
//   gbeta = sum g,   ggamma = sum g (x - m) r,   gx = gamma r (g - gbeta / count - (x - m) r ggamma / count)
//
// A channel is one item of work: its values are read from memory once and stay in the cache for the passes that follow.
// Sums run in float lanes over blocks short enough to lose nothing and are added in double, in order, so that results
// do not depend on the threads.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

#include "parallel.h"
#include "simd.h"

namespace lowbit {

// What follows the normalization.
enum class After { kNothing, kRelu, kAdd, kAddRelu };

constexpr int64_t kBatchNormBlock = 64 * kLanes;

struct BatchShape {
  int64_t n, c, inner;  // (N, C, pixels)

  explicit BatchShape(const int64_t* sizes) : n(sizes[0]), c(sizes[1]), inner(sizes[2] * sizes[3]) {}
  double count() const { return static_cast<double>(n) * inner; }
};

// Calls work(first value, lanes) for the vectors of a channel, and `end_of_block` after some of them; images in order,
// or from the last one: what a first pass has read last is in the cache when a second one begins with it.
template <bool FROM_LAST = false, class Work, class End>
void over_channel(const BatchShape& shape, int64_t channel, Work work, End end_of_block) {
  for (int64_t i = 0; i < shape.n; ++i) {
    const int64_t n = FROM_LAST ? shape.n - 1 - i : i;
    const int64_t first = (n * shape.c + channel) * shape.inner, end = first + shape.inner;
    for (int64_t block = first; block < end; block += kBatchNormBlock) {
      const int64_t last = std::min(block + kBatchNormBlock, end);
      int64_t i = block;
      for (; i + kLanes <= last; i += kLanes) work(i, std::integral_constant<int64_t, kLanes>());
      if (i < last) work(i, last - i);
      end_of_block();
    }
  }
}

// Two sums over a channel of what `terms(i, lanes, a, b)` adds to vectors.
template <class Terms>
void two_sums(const BatchShape& shape, int64_t channel, double (&sums)[2], Terms terms) {
  Vec<kLanes>::Float a = {}, b = {};
  sums[0] = sums[1] = 0;
  over_channel(
      shape, channel, [&](int64_t i, auto lanes) { terms(i, lanes, a, b); },
      [&] {
        sums[0] += Vec<kLanes>::sum(a);
        sums[1] += Vec<kLanes>::sum(b);
        a = b = Vec<kLanes>::Float{};
      });
}

template <class Value>
void write_channel(const BatchShape& shape, int64_t channel, float* to, Value value) {
  over_channel<true>(
      shape, channel, [&](int64_t i, auto lanes) { Vec<kLanes>::store(to + i, value(i, lanes), lanes); }, [] {});
}

constexpr float kNoLimit = std::numeric_limits<float>::max();

inline Vec<kLanes>::Float relu(Vec<kLanes>::Float z, float limit) {
  return Vec<kLanes>::clip(z, Vec<kLanes>::Float{}, Vec<kLanes>::broadcast(limit));
}

// Gradient for z of that for relu(z); at the limit itself it passes, as in MindSpore and PyTorch.
inline Vec<kLanes>::Float relu_gradient(Vec<kLanes>::Float z, Vec<kLanes>::Float gradient, float limit) {
  const Vec<kLanes>::Float zero = {};
  return z > zero ? (z <= limit ? gradient : zero) : zero;
}

}  // namespace lowbit
