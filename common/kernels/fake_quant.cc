// Fake quantization in one pass each way: values are replaced by their nearest level, and the backward pass yields the
// straight-through gradient, the clip's gradient and what each channel's quantization error costs, all from one read.
//
// Sums over images and pixels are taken per image in double and added in order: results do not depend on the threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "codebook.h"
#include "parallel.h"
#include "simd.h"
#include "tensors.h"
#include "uniform.h"

namespace lowbit {
namespace {

struct Shape {
  int64_t n, c, inner;

  Shape(int rank, const int64_t* sizes) : n(sizes[0]), c(sizes[1]), inner(1) {
    for (int i = 2; i < rank; ++i) inner *= sizes[i];
  }
};

std::vector<Channel> channels(const Shape& shape, const int32_t* bits, float clip) {
  std::vector<Channel> found;
  for (int64_t c = 0; c < shape.c; ++c) found.emplace_back(bits[c], clip);
  return found;
}

void uniform_forward(const Shape& shape, const float* x, const std::vector<Channel>& channels, float* y) {
  parallel_for(shape.n, [&] {
    return [&](int64_t n) {
      for (int64_t c = 0; c < shape.c; ++c) {
        const Channel channel = channels[c];
        const int64_t start = (n * shape.c + c) * shape.inner;
        for (int64_t i = start; i < start + shape.inner; ++i) y[i] = channel.quantized(x[i]);
      }
    };
  });
}

// Sums of one image and channel.
struct Sums {
  double clip = 0, error = 0;
};

// Gradient for `count` values of a channel. Sums run in float lanes over blocks short enough to lose nothing. Vectors
// are written out: GCC 12 keeps such a loop scalar, four times slower. `others`: another gradient of x, if ADD.
template <bool ADD>
Sums uniform_channel(const Channel& channel, bool learned_step, int64_t count, const float* x, const float* gy,
                     const float* others, float* gx) {
  using V = Vec<kLanes>;
  constexpr int64_t kBlock = 256 * kLanes;
  const auto zero = V::broadcast(0.f), limit = V::broadcast(channel.clip);
  const float inverse = learned_step && channel.up > 0 ? 1 / channel.clip : 0.f;
  const auto above = V::broadcast(channel.up > 0 ? 1.f : 0.f);
  auto clip = zero, error = zero;
  const auto step = [&](int64_t i, auto lanes) {  // lanes that are not there count as 0
    const auto value = V::load(x + i, lanes), g = V::load(gy + i, lanes);
    const auto clamped = V::clip(value, zero, limit), q = V::round_even(clamped * channel.up) * channel.down;
    const auto passed = value == clamped ? g : zero;
    V::store(gx + i, ADD ? passed + V::load(others + i, lanes) : passed, lanes);
    clip += g * (value >= limit ? above : (q - clamped) * inverse);
    error += g * (value - q);
  };
  Sums sums;
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t end = std::min<int64_t>(count, start + kBlock);
    int64_t i = start;
    for (; i + kLanes <= end; i += kLanes) step(i, std::integral_constant<int64_t, kLanes>());
    if (i < end) step(i, end - i);
    sums.clip += V::sum(clip);
    sums.error += V::sum(error);
    clip = error = zero;
  }
  return sums;
}

void uniform_backward(const Shape& shape, const float* x, const std::vector<Channel>& channels, bool learned_step,
                      const float* gy, const float* others, float* gx, float* gclip, float* gerror) {
  std::vector<Sums> sums(shape.n * shape.c);
  parallel_for(shape.n, [&] {
    return [&](int64_t n) {
      for (int64_t c = 0; c < shape.c; ++c) {
        const int64_t row = n * shape.c + c, start = row * shape.inner;
        const auto gradient = others ? uniform_channel<true> : uniform_channel<false>;
        sums[row] = gradient(channels[c], learned_step, shape.inner, x + start, gy + start,
                             others ? others + start : nullptr, gx + start);
      }
    };
  });
  double clip = 0;
  for (int64_t c = 0; c < shape.c; ++c) {
    double error = 0;
    for (int64_t n = 0; n < shape.n; ++n) {
      clip += sums[n * shape.c + c].clip;
      error += sums[n * shape.c + c].error;
    }
    gerror[c] = static_cast<float>(error);
  }
  *gclip = static_cast<float>(clip);
}

// The gradients of an operator with the inputs x, bits, clip, least clip, gy, [whether the clip learns from rounding].
void uniform_gradient(void** p, int rank, const int64_t* sizes, const float* others, void** outputs) {
  const Shape shape(rank, sizes);
  const float learned = *in(p, 2), clip = std::max(learned, *in(p, 3));
  uniform_backward(shape, in(p, 0), channels(shape, static_cast<const int32_t*>(p[1]), clip),
                   *static_cast<const int32_t*>(p[5]) != 0, in(p, 4), others, out(outputs, 0), out(outputs, 1),
                   out(outputs, 2));
  if (learned < clip) *out(outputs, 1) = 0;
}

inline int64_t row_size(int rank, const int64_t* sizes) {
  int64_t inner = 1;
  for (int i = 1; i < rank; ++i) inner *= sizes[i];
  return inner;
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, ...) float32, bits (C) int32, clip (1), least clip (1) float32; output y.
extern "C" int UniformQuantize(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const Shape shape(ranks[0], shapes[0]);
  const float clip = std::max(*in(p, 2), *in(p, 3));
  uniform_forward(shape, in(p, 0), channels(shape, static_cast<const int32_t*>(p[1]), clip), out(p, 4));
  return 0;
}

// Inputs x, bits, clip, least clip, gy, int32 [whether the clip learns from rounding too]; outputs gx, gclip (1),
// gerror (C).
extern "C" int UniformQuantizeGrad(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  uniform_gradient(p, ranks[0], shapes[0], nullptr, p + 6);
  return 0;
}

// The same with another gradient of x, which is added to gx, as the last input.
extern "C" int UniformQuantizeGradAdd(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  uniform_gradient(p, ranks[0], shapes[0], in(p, 6), p + 7);
  return 0;
}

// Inputs w (F, ...), bits (F) int32, scale (F), table (K, 2^max bits): row k holds the 2^k levels of k bits in rising
// order, the rest is not read; output the weights on their levels, 0 for 0 bits.
extern "C" int CodebookQuantize(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const int64_t inner = row_size(ranks[0], shapes[0]);
  const auto *w = static_cast<const float*>(p[0]), *scale = static_cast<const float*>(p[2]);
  const auto* bits = static_cast<const int32_t*>(p[1]);
  const auto* table = static_cast<const float*>(p[3]);
  auto* y = static_cast<float*>(p[4]);
  parallel_for(shapes[0][0], [&] {
    return [&](int64_t row) {
      const float* levels = table + bits[row] * shapes[3][1];
      for (int64_t i = row * inner; i < (row + 1) * inner; ++i)
        y[i] = bits[row] > 0 ? nearest(w[i], scale[row], levels, int64_t{1} << bits[row]) : 0.f;
    };
  });
  return 0;
}

// Inputs w, scale, y, gy; outputs gw = gy where |w| <= scale, else 0, and gerror (F) = sum (w - y) gy of each row.
extern "C" int CodebookQuantizeGrad(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const int64_t inner = row_size(ranks[0], shapes[0]);
  const auto *w = static_cast<const float*>(p[0]), *scale = static_cast<const float*>(p[1]);
  const auto *y = static_cast<const float*>(p[2]), *gy = static_cast<const float*>(p[3]);
  auto *gw = static_cast<float*>(p[4]), *gerror = static_cast<float*>(p[5]);
  parallel_for(shapes[0][0], [&] {
    return [&](int64_t row) {
      double error = 0;
      for (int64_t i = row * inner; i < (row + 1) * inner; ++i) {
        gw[i] = std::abs(w[i]) <= scale[row] ? gy[i] : 0.f;
        error += static_cast<double>(w[i] - y[i]) * gy[i];
      }
      gerror[row] = static_cast<float>(error);
    };
  });
  return 0;
}
