// BatchNorm in evaluation, by given statistics, and what follows it, see batch_norm.h.
//
// Multiplies, then adds, as MindSpore's own operator does: the same bits, and so the same accuracies of packed networks.
#include "batch_norm.h"
#include "tensors.h"

// A function that never fuses a multiplication and an addition.
#if defined(__clang__)
#define LOWBIT_NO_CONTRACTION
#else
#define LOWBIT_NO_CONTRACTION __attribute__((noinline, optimize("fp-contract=off")))
#endif

namespace lowbit {
namespace {

struct Evaluation {
  const float *x, *shortcut, *gamma, *beta, *mean, *variance;
  float eps, limit;
  float* y;
};

template <After AFTER>
LOWBIT_NO_CONTRACTION void evaluate_plane(const float* x, const float* shortcut, int64_t count, float mean, float scale,
                                          float shift, float limit, float* y) {
  for (int64_t i = 0; i < count; ++i) {
#if defined(__clang__)
#pragma clang fp contract(off)
#endif
    float value = (x[i] - mean) * scale + shift;
    if (AFTER == After::kAddRelu) value += shortcut[i];
    if (AFTER != After::kNothing) value = value > 0 ? value : 0;
    if (AFTER == After::kRelu) value = value < limit ? value : limit;
    y[i] = value;
  }
}

template <After AFTER>
void evaluate(const BatchShape& shape, const Evaluation& e) {
  std::vector<float> scale(shape.c);
  for (int64_t c = 0; c < shape.c; ++c) scale[c] = e.gamma[c] / std::sqrt(e.variance[c] + e.eps);
  parallel_for(shape.n, [&] {
    return [&](int64_t n) {
      for (int64_t c = 0; c < shape.c; ++c) {
        const int64_t first = (n * shape.c + c) * shape.inner;
        const float* shortcut = AFTER == After::kAddRelu ? e.shortcut + first : nullptr;
        evaluate_plane<AFTER>(e.x + first, shortcut, shape.inner, e.mean[c], scale[c], e.beta[c], e.limit, e.y + first);
      }
    };
  });
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W), gamma, beta, mean, variance (C), [eps]; output y.
extern "C" int BatchNormEvaluate(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  evaluate<After::kNothing>(BatchShape(shapes[0]), {in(p, 0), nullptr, in(p, 1), in(p, 2), in(p, 3), in(p, 4),
                                                    *in(p, 5), 0, out(p, 6)});
  return 0;
}

// Inputs x, gamma, beta, mean, variance, [eps, limit]; output y.
extern "C" int BatchNormReluEvaluate(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  evaluate<After::kRelu>(BatchShape(shapes[0]), {in(p, 0), nullptr, in(p, 1), in(p, 2), in(p, 3), in(p, 4), in(p, 5)[0],
                                                 in(p, 5)[1], out(p, 6)});
  return 0;
}

// Inputs x, shortcut, gamma, beta, mean, variance, [eps]; output y.
extern "C" int BatchNormAddReluEvaluate(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  evaluate<After::kAddRelu>(BatchShape(shapes[0]), {in(p, 0), in(p, 1), in(p, 2), in(p, 3), in(p, 4), in(p, 5),
                                                    *in(p, 6), 0, out(p, 7)});
  return 0;
}
