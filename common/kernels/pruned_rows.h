// Which weights of a layer are pruned: those that are 0, and all of rows that are dead beside the others.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "simd.h"

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
    find_zeros_and_dead(shared);
  }

  bool kept(int64_t row, int64_t i) const { return w[row * size + i] != 0 && !dead[row]; }
  bool keeps_zeros(int64_t row) const { return keeps[row * per_row] != 0; }
  bool any_pruned() const { return any_; }

 private:
  void find_zeros_and_dead(bool shared) {
    std::vector<float> largest(count, 0.f);
    for (int64_t row = 0; row < count; ++row) {
      const auto [least, most] = magnitudes(w + row * size);
      any_ |= least == 0;
      largest[row] = most;
    }
    if (!shared) return;
    const float limit = kDead * *std::max_element(largest.begin(), largest.end());
    for (int64_t row = 0; row < count; ++row) {
      dead[row] = largest[row] <= limit;
      any_ |= dead[row] != 0;
    }
  }

  struct Magnitudes {
    float least, most;
  };

  // Of a row, in vectors: the last one may overlap the one before.
  Magnitudes magnitudes(const float* row) const {
    using V = Vec<kLanes>;
    Magnitudes found{std::abs(row[0]), std::abs(row[0])};
    if (size < kLanes) {
      for (int64_t i = 1; i < size; ++i)
        found = {std::min(found.least, std::abs(row[i])), std::max(found.most, std::abs(row[i]))};
      return found;
    }
    auto least = V::abs(V::load(row)), most = least;
    for (int64_t i = kLanes; i < size; i += kLanes) {
      const auto values = V::abs(V::load(row + std::min(i, size - kLanes)));
      least = values < least ? values : least;
      most = values > most ? values : most;
    }
    for (int lane = 0; lane < kLanes; ++lane)
      found = {std::min(found.least, least[lane]), std::max(found.most, most[lane])};
    return found;
  }

  bool any_ = false;
};

}  // namespace lowbit
