// BatchNorm: in training, forward and backward, each channel is normalized by the statistics of the whole batch.
//
//   y = gamma (x - m) r + beta,   m = mean x,   r = 1 / sqrt(mean (x - m)^2 + eps)   over images and pixels
//   gbeta = sum gy,   ggamma = sum gy (x - m) r,   gx = gamma r (gy - gbeta / count - (x - m) r ggamma / count)
//
// A channel is one item of work: its values are read from memory once and stay in the cache for the passes that follow.
// Sums run in float lanes over blocks short enough to lose nothing and are added in double, in order, so that results
// do not depend on the threads.
#include <cmath>
#include <type_traits>

#include "parallel.h"
#include "simd.h"
#include "tensors.h"

// A function that never fuses a multiplication and an addition.
#if defined(__clang__)
#define LOWBIT_NO_CONTRACTION
#else
#define LOWBIT_NO_CONTRACTION __attribute__((noinline, optimize("fp-contract=off")))
#endif

namespace lowbit {
namespace {

using V = Vec<kLanes>;
constexpr int64_t kBlock = 64 * kLanes;

struct Shape {
  int64_t n, c, inner;  // (N, C, pixels)

  explicit Shape(const int64_t* sizes) : n(sizes[0]), c(sizes[1]), inner(sizes[2] * sizes[3]) {}
  double count() const { return static_cast<double>(n) * inner; }
};

// Calls work(first value, lanes) for the vectors of a channel, and `end_of_block` after some of them.
template <class Work, class End>
void over_channel(const Shape& shape, int64_t channel, Work work, End end_of_block) {
  for (int64_t n = 0; n < shape.n; ++n) {
    const int64_t first = (n * shape.c + channel) * shape.inner, end = first + shape.inner;
    for (int64_t block = first; block < end; block += kBlock) {
      const int64_t last = std::min(block + kBlock, end);
      int64_t i = block;
      for (; i + kLanes <= last; i += kLanes) work(i, std::integral_constant<int64_t, kLanes>());
      if (i < last) work(i, last - i);
      end_of_block();
    }
  }
}

// Two sums over a channel of what `terms(i, lanes, a, b)` adds to vectors.
template <class Terms>
void two_sums(const Shape& shape, int64_t channel, double (&sums)[2], Terms terms) {
  V::Float a = {}, b = {};
  sums[0] = sums[1] = 0;
  over_channel(
      shape, channel, [&](int64_t i, auto lanes) { terms(i, lanes, a, b); },
      [&] {
        sums[0] += V::sum(a);
        sums[1] += V::sum(b);
        a = b = V::Float{};
      });
}

template <class Value>
void write(const Shape& shape, int64_t channel, float* to, Value value) {
  over_channel(shape, channel, [&](int64_t i, auto lanes) { V::store(to + i, value(i, lanes), lanes); }, [] {});
}

void forward(const Shape& shape, const float* x, const float* gamma, const float* beta, float eps, float* y,
             float* mean, float* variance) {
  parallel_for(shape.c, [&] {
    return [&](int64_t c) {
      double sums[2];
      two_sums(shape, c, sums, [&](int64_t i, auto lanes, auto& a, auto&) { a += V::load(x + i, lanes); });
      const float m = mean[c] = static_cast<float>(sums[0] / shape.count());
      two_sums(shape, c, sums, [&](int64_t i, auto lanes, auto& a, auto& b) {
        auto centered = V::load(x + i, lanes) - m;
        if (lanes < kLanes) centered = V::first(centered, lanes);
        a += centered * centered;
        b += centered;
      });
      // What rounding has left in the mean, sums[1] / count, is taken from the variance.
      const double rest = sums[1] / shape.count();
      variance[c] = static_cast<float>(sums[0] / shape.count() - rest * rest);
      const float scale = static_cast<float>(gamma[c] / std::sqrt(double(variance[c]) + eps)), shift = beta[c];
      write(shape, c, y, [&](int64_t i, auto lanes) { return (V::load(x + i, lanes) - m) * scale + shift; });
    };
  });
}

void backward(const Shape& shape, const float* x, const float* gy, const float* gamma, const float* mean,
              const float* variance, float eps, float* gx, float* ggamma, float* gbeta) {
  parallel_for(shape.c, [&] {
    return [&](int64_t c) {
      double sums[2];
      const float m = mean[c];
      two_sums(shape, c, sums, [&](int64_t i, auto lanes, auto& a, auto& b) {
        const auto gradient = V::load(gy + i, lanes);
        a += gradient;
        b += gradient * (V::load(x + i, lanes) - m);
      });
      const double inverse = 1 / std::sqrt(double(variance[c]) + eps);
      gbeta[c] = static_cast<float>(sums[0]);
      ggamma[c] = static_cast<float>(sums[1] * inverse);
      const float scale = static_cast<float>(gamma[c] * inverse), part = static_cast<float>(sums[0] / shape.count());
      const float slope = static_cast<float>(sums[1] * inverse * inverse / shape.count());
      write(shape, c, gx, [&](int64_t i, auto lanes) {
        return (V::load(gy + i, lanes) - part - (V::load(x + i, lanes) - m) * slope) * scale;
      });
    };
  });
}

// Multiplies, then adds, as MindSpore's own operator does: the same bits, and so the same accuracies of packed networks.
LOWBIT_NO_CONTRACTION void scale_and_shift(const float* x, int64_t count, float mean, float scale, float shift,
                                           float* y) {
  for (int64_t i = 0; i < count; ++i) {
#if defined(__clang__)
#pragma clang fp contract(off)
#endif
    y[i] = (x[i] - mean) * scale + shift;
  }
}

// In evaluation, by given statistics.
void evaluate(const Shape& shape, const float* x, const float* gamma, const float* beta, const float* mean,
              const float* variance, float eps, float* y) {
  std::vector<float> scale(shape.c);
  for (int64_t c = 0; c < shape.c; ++c) scale[c] = gamma[c] / std::sqrt(variance[c] + eps);
  parallel_for(shape.n, [&] {
    return [&](int64_t n) {
      for (int64_t c = 0; c < shape.c; ++c) {
        const int64_t first = (n * shape.c + c) * shape.inner;
        scale_and_shift(x + first, shape.inner, mean[c], scale[c], beta[c], y + first);
      }
    };
  });
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W), gamma (C), beta (C), eps (1); outputs y, mean (C), variance (C).
extern "C" int BatchNormTrain(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  forward(Shape(shapes[0]), in(p, 0), in(p, 1), in(p, 2), *in(p, 3), out(p, 4), out(p, 5), out(p, 6));
  return 0;
}

// Inputs x (N, C, H, W), gamma, beta, mean, variance (C), eps (1); output y.
extern "C" int BatchNormEvaluate(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  evaluate(Shape(shapes[0]), in(p, 0), in(p, 1), in(p, 2), in(p, 3), in(p, 4), *in(p, 5), out(p, 6));
  return 0;
}

// Inputs x, gy (N, C, H, W), gamma, mean, variance (C), eps (1); outputs gx, ggamma (C), gbeta (C).
extern "C" int BatchNormTrainGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  backward(Shape(shapes[0]), in(p, 0), in(p, 1), in(p, 2), in(p, 3), in(p, 4), *in(p, 5), out(p, 6), out(p, 7),
           out(p, 8));
  return 0;
}
