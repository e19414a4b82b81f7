// Sums of absolute values of many vectors in one operator, see common/kernels/magnitudes.py.
#include <cmath>

#include "tensors.h"

// Inputs int32 [together], the sums (C) of each vector, the vectors (C); output [0]. The sums are changed where they are.
extern "C" int AddMagnitudes(int count, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  using namespace lowbit;
  const bool together = *static_cast<const int32_t*>(p[0]) != 0;
  const int vectors = (count - 2) / 2;
  for (int k = 1; k <= vectors; ++k) {
    const float* values = in(p, k + vectors);
    double total = 0;
    for (int64_t c = 0; c < shapes[k][0]; ++c) total += values[c];
    for (int64_t c = 0; c < shapes[k][0]; ++c)
      out(p, k)[c] += std::abs(together ? static_cast<float>(total) : values[c]);
  }
  *out(p, count - 1) = 0;
  return 0;
}
