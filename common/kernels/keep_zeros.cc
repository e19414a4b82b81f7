// Pruned weights of a quantized layer: 0 takes the place of the lowest level, see common/quant/zeros.py.
//
//   y = 0 where w is pruned,   max(values, lowest) elsewhere;   layers without pruned weights keep their values
//
// Rows that do not keep zeros have their values in any case.
#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.h"
#include "tensors.h"

namespace lowbit {
namespace {

constexpr float kDead = 0x1p-10f;  // of the layer's largest |w|: rows below are dead where all share a scale

struct Rows {
  int64_t count, size;
  const float* w;
  const int32_t* keeps;  // whether a row keeps its zeros; of each row or, `per_row` 0, of all
  int64_t per_row;
  std::vector<char> dead;

  Rows(int rank, const int64_t* sizes, const void* weights, const void* keeping, int64_t keeping_count, bool shared)
      : count(sizes[0]), size(1), w(static_cast<const float*>(weights)), keeps(static_cast<const int32_t*>(keeping)),
        per_row(keeping_count > 1), dead(count, 0) {
    for (int i = 1; i < rank; ++i) size *= sizes[i];
    if (shared) find_dead();
  }

  bool kept(int64_t row, int64_t i) const { return w[row * size + i] != 0 && !dead[row]; }
  bool keeps_zeros(int64_t row) const { return keeps[row * per_row] != 0; }

  bool any_pruned() const {
    for (int64_t row = 0; row < count; ++row)
      if (dead[row] || std::find(w + row * size, w + (row + 1) * size, 0.f) != w + (row + 1) * size) return true;
    return false;
  }

 private:
  void find_dead() {
    std::vector<float> largest(count, 0.f);
    for (int64_t row = 0; row < count; ++row)
      for (int64_t i = row * size; i < (row + 1) * size; ++i) largest[row] = std::max(largest[row], std::abs(w[i]));
    const float limit = kDead * *std::max_element(largest.begin(), largest.end());
    for (int64_t row = 0; row < count; ++row) dead[row] = largest[row] <= limit;
  }
};

}  // namespace
}  // namespace lowbit

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
