// Which weights of a layer are pruned: those that are 0, and all of rows that are dead beside the others.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace lowbit {

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

}  // namespace lowbit
