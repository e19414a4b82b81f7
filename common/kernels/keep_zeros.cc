// Pruned weights of a quantized layer: 0 takes the place of the lowest level, see common/quant/zeros.py.
//
//   y = 0 where w is pruned,   max(values, lowest) elsewhere;   layers without pruned weights keep their values
//
// Rows that do not keep zeros have their values in any case.
#include <algorithm>

#include "pruned_rows.h"
#include "tensors.h"

using namespace lowbit;

// Inputs w (F, ...), values (F, ...), lowest (F or 1), int32 keeps (F or 1), int32 [whether all rows share a scale];
// output y.
extern "C" int KeepZeros(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const Rows rows(ranks[0], shapes[0], p[0], p[3], shapes[3][0], *static_cast<const int32_t*>(p[4]) != 0);
  const bool pruned = rows.any_pruned();
  const int64_t lowest_per_row = shapes[2][0] > 1;
  for (int64_t row = 0; row < rows.count; ++row) {
    const float *values = in(p, 1) + row * rows.size, lowest = in(p, 2)[row * lowest_per_row];
    float* y = out(p, 5) + row * rows.size;
    if (!pruned || !rows.keeps_zeros(row)) {
      std::copy_n(values, rows.size, y);
    } else {
      for (int64_t i = 0; i < rows.size; ++i) y[i] = rows.kept(row, i) ? std::max(values[i], lowest) : 0.f;
    }
  }
  return 0;
}

// Inputs w, gy, keeps, [shared]; output the gradient for the values, 0 for pruned weights.
extern "C" int KeepZerosGrad(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const Rows rows(ranks[0], shapes[0], p[0], p[2], shapes[2][0], *static_cast<const int32_t*>(p[3]) != 0);
  for (int64_t row = 0; row < rows.count; ++row)
    for (int64_t i = 0; i < rows.size; ++i) {
      const float gradient = in(p, 1)[row * rows.size + i];
      out(p, 4)[row * rows.size + i] = !rows.keeps_zeros(row) || rows.kept(row, i) ? gradient : 0.f;
    }
  return 0;
}
