// BatchNorm in training, forward and backward, see batch_norm.h.
#include "batch_norm.h"
#include "tensors.h"

namespace lowbit {
namespace {

using V = Vec<kLanes>;

// One channel's map from x to z.
struct Normalization {
  float mean, scale, shift;

  V::Float operator()(V::Float x) const { return (x - mean) * scale + shift; }
};

struct Training {
  const float *x, *shortcut, *gamma, *beta;
  float eps, limit;
  float *y, *mean, *variance;
};

struct Moments {
  float mean, variance;
};

// Mean and variance of a channel from one pass, relative to a guess of the mean, that of the first image. Where it is so
// far away that squares of differences would lose the variance, a second pass takes the mean itself.
Moments moments(const BatchShape& shape, int64_t channel, const float* x) {
  double guess = 0;
  const int64_t some = std::min<int64_t>(shape.inner, kBatchNormBlock);
  for (int64_t i = 0; i < some; ++i) guess += x[channel * shape.inner + i] / double(some);
  for (int pass = 1;; ++pass) {
    const float shift = static_cast<float>(guess);
    double sums[2];
    two_sums(shape, channel, sums, [&](int64_t i, auto lanes, auto& a, auto& b) {
      auto centered = V::load(x + i, lanes) - shift;
      if (lanes < kLanes) centered = V::first(centered, lanes);
      a += centered * centered;
      b += centered;
    });
    const double rest = sums[1] / shape.count(), variance = sums[0] / shape.count() - rest * rest;
    guess = shift + rest;
    if (pass == 2 || rest * rest <= 4 * variance)
      return {static_cast<float>(guess), static_cast<float>(variance)};
  }
}

template <After AFTER>
void forward(const BatchShape& shape, const Training& t) {
  parallel_for(shape.c, [&] {
    return [&](int64_t c) {
      const auto [m, variance] = moments(shape, c, t.x);
      t.mean[c] = m;
      t.variance[c] = variance;
      const Normalization z{m, static_cast<float>(t.gamma[c] / std::sqrt(double(t.variance[c]) + t.eps)), t.beta[c]};
      write_channel(shape, c, t.y, [&](int64_t i, auto lanes) {
        auto value = z(V::load(t.x + i, lanes));
        if (AFTER == After::kAddRelu) value += V::load(t.shortcut + i, lanes);
        return AFTER == After::kNothing ? value : relu(value, AFTER == After::kRelu ? t.limit : kNoLimit);
      });
    };
  });
}

struct TrainingGradient {
  const float *x, *y, *gy, *gamma, *beta, *mean, *variance;
  float eps, limit;
  float *gx, *gshortcut, *ggamma, *gbeta;
};

template <After AFTER>
void backward(const BatchShape& shape, const TrainingGradient& t) {
  parallel_for(shape.c, [&] {
    return [&](int64_t c) {
      const double inverse = 1 / std::sqrt(double(t.variance[c]) + t.eps);
      const float scale = static_cast<float>(t.gamma[c] * inverse), m = t.mean[c];
      const Normalization z{m, scale, AFTER == After::kRelu ? t.beta[c] : 0.f};
      // The gradient for z, before and after the first pass, which stores that of the shortcut.
      const auto first = [&](int64_t i, auto lanes, V::Float x) {
        const auto gradient = V::load(t.gy + i, lanes);
        if (AFTER == After::kNothing) return gradient;
        if (AFTER == After::kRelu) return relu_gradient(z(x), gradient, t.limit);
        return relu_gradient(V::load(t.y + i, lanes), gradient, kNoLimit);
      };
      double sums[2];
      two_sums(shape, c, sums, [&](int64_t i, auto lanes, auto& a, auto& b) {
        const auto x = V::load(t.x + i, lanes), gradient = first(i, lanes, x);
        if (AFTER == After::kAddRelu) V::store(t.gshortcut + i, gradient, lanes);
        a += gradient;
        b += gradient * (x - m);
      });
      t.gbeta[c] = static_cast<float>(sums[0]);
      t.ggamma[c] = static_cast<float>(sums[1] * inverse);
      const float part = static_cast<float>(sums[0] / shape.count());
      const float slope = static_cast<float>(sums[1] * inverse * inverse / shape.count());
      write_channel(shape, c, t.gx, [&](int64_t i, auto lanes) {
        const auto x = V::load(t.x + i, lanes);
        const auto gradient = AFTER == After::kAddRelu ? V::load(t.gshortcut + i, lanes) : first(i, lanes, x);
        return (gradient - part - (x - m) * slope) * scale;
      });
    };
  });
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W), gamma (C), beta (C), [eps]; outputs y, mean (C), variance (C).
extern "C" int BatchNormTrain(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  forward<After::kNothing>(BatchShape(shapes[0]), {in(p, 0), nullptr, in(p, 1), in(p, 2), *in(p, 3), 0, out(p, 4),
                                                   out(p, 5), out(p, 6)});
  return 0;
}

// Inputs x, gamma, beta, [eps, limit]; outputs y, mean, variance.
extern "C" int BatchNormReluTrain(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  forward<After::kRelu>(BatchShape(shapes[0]), {in(p, 0), nullptr, in(p, 1), in(p, 2), in(p, 3)[0], in(p, 3)[1],
                                                out(p, 4), out(p, 5), out(p, 6)});
  return 0;
}

// Inputs x, shortcut, gamma, beta, [eps]; outputs y, mean, variance.
extern "C" int BatchNormAddReluTrain(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  forward<After::kAddRelu>(BatchShape(shapes[0]), {in(p, 0), in(p, 1), in(p, 2), in(p, 3), *in(p, 4), 0, out(p, 5),
                                                   out(p, 6), out(p, 7)});
  return 0;
}

// Inputs x, gy (N, C, H, W), gamma, mean, variance (C), [eps]; outputs gx, ggamma (C), gbeta (C).
extern "C" int BatchNormTrainGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  backward<After::kNothing>(BatchShape(shapes[0]), {in(p, 0), nullptr, in(p, 1), in(p, 2), nullptr, in(p, 3), in(p, 4),
                                                    *in(p, 5), 0, out(p, 6), nullptr, out(p, 7), out(p, 8)});
  return 0;
}

// Inputs x, gy, gamma, beta, mean, variance, [eps, limit]; outputs gx, ggamma, gbeta.
extern "C" int BatchNormReluTrainGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  backward<After::kRelu>(BatchShape(shapes[0]), {in(p, 0), nullptr, in(p, 1), in(p, 2), in(p, 3), in(p, 4), in(p, 5),
                                                 in(p, 6)[0], in(p, 6)[1], out(p, 7), nullptr, out(p, 8), out(p, 9)});
  return 0;
}

// Inputs x, y, gy, gamma, mean, variance, [eps]; outputs gx, gshortcut, ggamma, gbeta.
extern "C" int BatchNormAddReluTrainGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  backward<After::kAddRelu>(BatchShape(shapes[0]),
                            {in(p, 0), in(p, 1), in(p, 2), in(p, 3), nullptr, in(p, 4), in(p, 5), *in(p, 6), 0,
                             out(p, 7), out(p, 8), out(p, 9), out(p, 10)});
  return 0;
}

// Inputs x (its shape alone is read), mean and variance of the batch (C), moving mean and variance, [1 - momentum];
// outputs the new moving ones: the variance that they follow is corrected by count / (count - 1).
extern "C" int FollowMoments(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const BatchShape shape(shapes[0]);
  const float pace = *in(p, 5), corrected = static_cast<float>(shape.count() / std::max(shape.count() - 1, 1.0));
  for (int64_t c = 0; c < shape.c; ++c) {
    out(p, 6)[c] = in(p, 3)[c] + pace * (in(p, 1)[c] - in(p, 3)[c]);
    out(p, 7)[c] = in(p, 4)[c] + pace * (in(p, 2)[c] * corrected - in(p, 4)[c]);
  }
  return 0;
}
