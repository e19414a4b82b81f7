// BatchNorm in evaluation as an operator of its own, see batch_norm_evaluate.h.
#include "batch_norm_evaluate.h"

#include "tensors.h"

namespace lowbit {
namespace {

struct Evaluation {
  const float *x, *shortcut;
  Statistics statistics;
  float* y;
};

template <After AFTER>
void evaluate(const BatchShape& shape, const Evaluation& e) {
  const auto channels = evaluated_channels(e.statistics, shape.c);
  parallel_for(shape.n, [&] {
    return [&](int64_t n) {
      for (int64_t c = 0; c < shape.c; ++c) {
        const int64_t first = (n * shape.c + c) * shape.inner;
        const float* shortcut = AFTER == After::kAddRelu ? e.shortcut + first : nullptr;
        evaluate_channel<AFTER>(channels[c], e.x + first, shortcut, shape.inner, e.y + first);
      }
    };
  });
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W), gamma, beta, mean, variance (C), [eps]; output y.
extern "C" int BatchNormEvaluate(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Statistics statistics{in(p, 1), in(p, 2), in(p, 3), in(p, 4), *in(p, 5), 0};
  evaluate<After::kNothing>(BatchShape(shapes[0]), {in(p, 0), nullptr, statistics, out(p, 6)});
  return 0;
}

// Inputs x, gamma, beta, mean, variance, [eps, limit]; output y.
extern "C" int BatchNormReluEvaluate(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Statistics statistics{in(p, 1), in(p, 2), in(p, 3), in(p, 4), in(p, 5)[0], in(p, 5)[1]};
  evaluate<After::kRelu>(BatchShape(shapes[0]), {in(p, 0), nullptr, statistics, out(p, 6)});
  return 0;
}

// Inputs x, shortcut, gamma, beta, mean, variance, [eps]; output y.
extern "C" int BatchNormAddReluEvaluate(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Statistics statistics{in(p, 2), in(p, 3), in(p, 4), in(p, 5), *in(p, 6), 0};
  evaluate<After::kAddRelu>(BatchShape(shapes[0]), {in(p, 0), in(p, 1), statistics, out(p, 7)});
  return 0;
}
