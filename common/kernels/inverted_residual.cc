// Inverted residual blocks in evaluation as one operator, see inverted_residual.h.
#include "inverted_residual_strips.h"
#include "tensors.h"

namespace lowbit {
namespace {

// The statistics of a norm, inputs [first, first + 4), and its [eps, limit] after them.
Statistics statistics(void** p, int first) {
  return {in(p, first), in(p, first + 1), in(p, first + 2), in(p, first + 3), in(p, first + 4)[0], in(p, first + 4)[1]};
}

enum { kX, kFirst, kDepthwise = kFirst + 6, kProject = kDepthwise + 6, kSizes = kProject + 6, kY };

template <After AFTER>
void run(const Geometry& first, const Geometry& depthwise, void** p, int64_t** shapes) {
  const float* const weights[3] = {in(p, kFirst), in(p, kDepthwise), in(p, kProject)};
  const int64_t filters = shapes[kProject][0];
  const InvertedResidual block(first, depthwise, filters, weights, statistics(p, kFirst + 1),
                               statistics(p, kDepthwise + 1));
  const auto channels = evaluated_channels(statistics(p, kProject + 1), filters);
  inverted_residual(block, first.n, in(p, kX), out(p, kY),
                    Normalize<AFTER>{channels, depthwise.oh * depthwise.ow, in(p, kX)});
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W); three times weights, gamma, beta, mean, variance, [eps, limit]; int32 [stride and padding of
// the first convolution, those of the depthwise one, whether x is added]; output y. The last norm's limit is not read.
extern "C" int InvertedResidualForward(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const auto* sizes = static_cast<const int32_t*>(p[kSizes]);
  const Geometry first(shapes[kX], shapes[kFirst], sizes, kLanes);
  const int64_t hidden[4] = {1, 1, first.oh, first.ow}, *w = shapes[kDepthwise], kernel[4] = {1, 1, w[2], w[3]};
  const Geometry depthwise(hidden, kernel, sizes + 2, kLanes);
  if (sizes[4]) {
    run<After::kAdd>(first, depthwise, p, shapes);
  } else {
    run<After::kNothing>(first, depthwise, p, shapes);
  }
  return 0;
}
