// Mean of each plane, and its gradient.
#include "parallel.h"
#include "simd.h"
#include "tensors.h"

namespace lowbit {
namespace {

float mean(const float* plane, int64_t pixels) {
  using V = Vec<kLanes>;
  constexpr int64_t kBlock = 64 * kLanes;  // float sums no longer than this
  double total = 0;
  for (int64_t start = 0; start < pixels; start += kBlock) {
    V::Float sum = {};
    const int64_t end = std::min(start + kBlock, pixels);
    for (int64_t i = start; i < end; i += kLanes) sum += V::load(plane + i, std::min<int64_t>(kLanes, end - i));
    total += V::sum(sum);
  }
  return static_cast<float>(total / pixels);
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Input x (N, C, H, W); output its means (N, C).
extern "C" int GlobalMean(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const int64_t channels = shapes[0][1], pixels = shapes[0][2] * shapes[0][3];
  parallel_for(shapes[0][0], [&] {
    return [&](int64_t n) {
      for (int64_t i = n * channels; i < (n + 1) * channels; ++i) out(p, 1)[i] = mean(in(p, 0) + i * pixels, pixels);
    };
  });
  return 0;
}

// Inputs x (its shape alone is read), gradient of the means; output gx.
extern "C" int GlobalMeanGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const int64_t channels = shapes[0][1], pixels = shapes[0][2] * shapes[0][3];
  parallel_for(shapes[0][0], [&] {
    return [&](int64_t n) {
      for (int64_t i = n * channels; i < (n + 1) * channels; ++i)
        std::fill_n(out(p, 2) + i * pixels, pixels, in(p, 1)[i] / pixels);
    };
  });
  return 0;
}
