// Convolution, BatchNorm by given statistics and what follows them in one operator: networks in evaluation.
//
// Outputs are normalized run by run as the convolution has written them, so that memory sees them once. The bits are
// those of one operator after the other.
#include "conv_product.h"
#include "depthwise_forward.h"
#include "normalize.h"

namespace lowbit {
namespace {

// Inputs x, w, [shortcut,] gamma, beta, mean, variance, [eps, limit], int32 [stride, padding]; output y.
template <After AFTER>
void conv_norm(void** p, int64_t** shapes) {
  constexpr int kFirst = AFTER == After::kAddRelu ? 3 : 2;  // of the statistics
  const float *constants = in(p, kFirst + 4), *shortcut = AFTER == After::kAddRelu ? in(p, 2) : nullptr;
  const Statistics statistics{in(p, kFirst),     in(p, kFirst + 1), in(p, kFirst + 2),
                              in(p, kFirst + 3), constants[0],      constants[1]};
  const auto channels = evaluated_channels(statistics, shapes[1][0]);
  const auto* stride_pad = static_cast<const int32_t*>(p[kFirst + 5]);
  const int64_t* y_shape = shapes[kFirst + 6];
  float* y = out(p, kFirst + 6);
  const Normalize<AFTER> finish{channels, y_shape[2] * y_shape[3], shortcut};
  if (shapes[1][1] < shapes[0][1]) {
    by_columns(y_shape[3], [&](auto lanes) {
      depthwise_forward<lanes>(Depthwise(shapes, stride_pad, lanes), in(p, 0), in(p, 1), y, finish);
    });
  } else {
    by_width(shapes, kFirst + 5, p,
             [&](auto lanes, const Geometry& g) { conv_forward<lanes>(g, in(p, 0), all_images(g.n, in(p, 1)), y, finish); });
  }
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W), w (F, C, KH, KW) or, depthwise, (C m, 1, KH, KW), gamma, beta, mean, variance (F), [eps, limit],
// int32 [stride, padding]; output y.
extern "C" int ConvNorm(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  conv_norm<After::kNothing>(p, shapes);
  return 0;
}

// The same with a ReLU that ends at the limit.
extern "C" int ConvNormRelu(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  conv_norm<After::kRelu>(p, shapes);
  return 0;
}

// The same with the sum with a shortcut, the third input, and a ReLU without limit.
extern "C" int ConvNormAddRelu(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  conv_norm<After::kAddRelu>(p, shapes);
  return 0;
}
