// Scale of each row of weights, which follows a multiple of the mean |w| of the weights that are not 0.
#include <cmath>

#include "tensors.h"

// Inputs w (F, ...), int32 bits (F), scale (F), clips (K), [momentum]; output
// momentum scale + (1 - momentum) clips[bits] mean|w|.
extern "C" int FollowedScale(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  int64_t size = 1;
  for (int i = 1; i < ranks[0]; ++i) size *= shapes[0][i];
  const auto* bits = static_cast<const int32_t*>(p[1]);
  const float momentum = *lowbit::in(p, 4);
  for (int64_t row = 0; row < shapes[0][0]; ++row) {
    double sum = 0;
    int64_t count = 0;
    for (const float* w = lowbit::in(p, 0) + row * size; w < lowbit::in(p, 0) + (row + 1) * size; ++w) {
      sum += std::abs(*w);
      count += *w != 0;
    }
    const float target = lowbit::in(p, 3)[bits[row]] * static_cast<float>(sum / (count > 0 ? count : 1));
    lowbit::out(p, 5)[row] = momentum * lowbit::in(p, 2)[row] + (1 - momentum) * target;
  }
  return 0;
}
