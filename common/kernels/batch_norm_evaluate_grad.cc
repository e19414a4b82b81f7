// Gradients of BatchNorm by given statistics, see batch_norm.h: with g the gradient for z,
//
//   gbeta = sum g,   ggamma = sum g (x - m) r,   gx = gamma r g
//
// in one pass over memory.
#include "batch_norm.h"
#include "tensors.h"

namespace lowbit {
namespace {

using V = Vec<kLanes>;

struct EvaluationGradient {
  const float *x, *y, *gy, *gamma, *mean, *variance;
  float eps, limit;
  float *gx, *ggamma, *gbeta;
};

template <After AFTER>
void backward(const BatchShape& shape, const EvaluationGradient& t) {
  parallel_for(shape.c, [&] {
    return [&](int64_t c) {
      const double inverse = 1 / std::sqrt(double(t.variance[c]) + t.eps);
      const float scale = static_cast<float>(t.gamma[c] * inverse), m = t.mean[c];
      const V::Float zero = {};
      double sums[2];
      two_sums(shape, c, sums, [&](int64_t i, auto lanes, auto& a, auto& b) {
        auto gradient = V::load(t.gy + i, lanes);
        if (AFTER == After::kRelu) {
          const auto y = V::load(t.y + i, lanes);
          gradient = y > zero ? (y < t.limit ? gradient : zero) : zero;
        }
        V::store(t.gx + i, gradient * scale, lanes);
        a += gradient;
        b += gradient * (V::load(t.x + i, lanes) - m);
      });
      t.gbeta[c] = static_cast<float>(sums[0]);
      t.ggamma[c] = static_cast<float>(sums[1] * inverse);
    };
  });
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x, gy (N, C, H, W), gamma, mean, variance (C), [eps]; outputs gx, ggamma (C), gbeta (C).
extern "C" int BatchNormEvaluateGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  backward<After::kNothing>(BatchShape(shapes[0]), {in(p, 0), nullptr, in(p, 1), in(p, 2), in(p, 3), in(p, 4),
                                                    *in(p, 5), 0, out(p, 6), out(p, 7), out(p, 8)});
  return 0;
}

// Inputs x, y, gy, gamma, mean, variance, [eps, limit]; outputs gx, ggamma, gbeta. The gradient passes where y is
// between 0 and the limit.
extern "C" int BatchNormReluEvaluateGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  backward<After::kRelu>(BatchShape(shapes[0]), {in(p, 0), in(p, 1), in(p, 2), in(p, 3), in(p, 4), in(p, 5),
                                                 in(p, 6)[0], in(p, 6)[1], out(p, 7), out(p, 8), out(p, 9)});
  return 0;
}
