// DoReFa's weight quantizer in one pass each way, see dorefa.h.
#include "dorefa.h"

#include "tensors.h"

using namespace lowbit;

namespace {

int64_t size_of(int rank, const int64_t* sizes) {
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) count *= sizes[i];
  return count;
}

}  // namespace

// Inputs w float32, bits (1) int32; output y of w's shape.
extern "C" int DoReFaQuantize(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const int64_t count = size_of(ranks[0], shapes[0]);
  const float* w = in(p, 0);
  const int32_t bits = *static_cast<const int32_t*>(p[1]);
  float* y = out(p, 2);
  if (bits >= kFloatBits) {
    std::copy(w, w + count, y);
    return 0;
  }
  const float half = 0.5f / largest_tanh(count, w), steps = dorefa_steps(bits);
  for_blocks(count, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) y[i] = dorefa_level(std::tanh(w[i]), half, steps);
  });
  return 0;
}

// Inputs w, bits, gy; output gw.
extern "C" int DoReFaQuantizeGrad(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const int64_t count = size_of(ranks[0], shapes[0]);
  const float *w = in(p, 0), *gy = in(p, 2);
  if (*static_cast<const int32_t*>(p[1]) >= kFloatBits) {
    std::copy(gy, gy + count, out(p, 3));
    return 0;
  }
  dorefa_gradient(
      count, w, [&](int64_t i) { return std::tanh(w[i]); }, [&](int64_t i) { return LevelGradient{gy[i], 0}; },
      out(p, 3));
  return 0;
}
