// Depthwise convolution: forward pass and gradients, see depthwise.h.
#include "depthwise.h"

#include "depthwise_forward.h"
#include "depthwise_grad.h"
#include "tensors.h"

namespace lowbit {
namespace {

template <int LANES>
void input_gradient(const Depthwise& d, const float* w, const float* gy, float* gx) {
  for_planes(d, [&] {
    return [&, gradient = DepthwiseInputGradient<LANES>(d, w)](int64_t plane) mutable {
      gradient.run(plane % d.channels, gy + plane * d.multiplier * d.y_size(), gx + plane * d.x_size());
    };
  });
}

// An item is a channel in a block of images; how many blocks there are follows from the shapes alone, and a channel's
// sums over its blocks are added in order, so that the result does not depend on the number of threads.
template <int LANES>
void weight_gradient(const Depthwise& d, const float* x, const float* gy, float* gw) {
  const int64_t blocks = std::min(d.images, std::max<int64_t>(1, 64 / d.channels));
  const int64_t per_block = (d.images + blocks - 1) / blocks, taps = d.multiplier * d.taps();
  std::vector<double> partial(d.channels * blocks * taps, 0.0);
  parallel_for(d.channels * blocks, [&] {
    return [&, gradient = DepthwiseWeightGradient<LANES>(d)](int64_t item) mutable {
      const int64_t c = item / blocks, first = item % blocks * per_block;
      for (int64_t n = first; n < std::min(first + per_block, d.images); ++n) {
        const int64_t plane = n * d.channels + c;
        gradient.add(x + plane * d.x_size(), gy + plane * d.multiplier * d.y_size(), partial.data() + item * taps);
      }
    };
  });
  for (int64_t i = 0; i < d.channels * taps; ++i) {
    double sum = 0;
    for (int64_t b = 0; b < blocks; ++b) sum += partial[(i / taps * blocks + b) * taps + i % taps];
    gw[i] = static_cast<float>(sum);
  }
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x, w, int32 [stride, padding]; output y.
extern "C" int DepthwiseForward(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const auto* stride_pad = static_cast<const int32_t*>(p[2]);
  by_columns(shapes[3][3], [&](auto lanes) {
    depthwise_forward<lanes>(Depthwise(shapes, stride_pad, lanes), in(p, 0), in(p, 1), out(p, 3));
  });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gx.
extern "C" int DepthwiseGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const auto* stride_pad = static_cast<const int32_t*>(p[3]);
  by_columns(shapes[0][3] / stride_pad[0], [&](auto lanes) {
    input_gradient<lanes>(Depthwise(shapes, stride_pad, lanes), in(p, 1), in(p, 2), out(p, 4));
  });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gw.
extern "C" int DepthwiseGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const auto* stride_pad = static_cast<const int32_t*>(p[3]);
  by_columns(shapes[2][3], [&](auto lanes) {
    weight_gradient<lanes>(Depthwise(shapes, stride_pad, lanes), in(p, 0), in(p, 2), out(p, 4));
  });
  return 0;
}
