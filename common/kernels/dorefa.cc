// DoReFa's weight quantizer in one pass each way, see dorefa.h.
#include "aligned.h"
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
  const float half = 0.5f / largest_tanh(largest_magnitude(count, w)), steps = dorefa_steps(bits);
  for_blocks(count, [&](int64_t, int64_t first, int64_t last) {
    using V = Vec<kLanes>;
    tanh_of(w + first, last - first, y + first);
    for (int64_t i = first; i < last; i += kLanes) {
      const int64_t lanes = std::min<int64_t>(kLanes, last - i);
      V::store(y + i, dorefa_levels(V::load(y + i, lanes), half, steps), lanes);
    }
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
  Floats tanh(count);
  for_blocks(count, [&](int64_t, int64_t first, int64_t last) { tanh_of(w + first, last - first, &tanh[first]); });
  const auto gradient_at = [&](int64_t i, int64_t lanes) {
    return LevelGradient{Vec<kLanes>::load(gy + i, lanes), {}};
  };
  dorefa_gradient(count, w, tanh.data(), gradient_at, out(p, 3));
  return 0;
}
