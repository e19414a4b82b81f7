// Matrices whose columns (filters or channels) lie in the lanes of vectors: blocks of VECTORS vectors of columns, then
// ones of a single vector, each with its rows in order, so that a tile reads its weights one after the other. For two:
//
//     column   0 .. 2L-1    2L .. 4L-1    4L .. 5L-1
//              [ block 0 ]  [ block 1 ]   [ block 2 ]     rows of 2L, 2L and L floats
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "geometry.h"

namespace lowbit {

template <int LANES, int VECTORS>
class LaneBlocks {
 public:
  LaneBlocks(int64_t rows, int64_t columns)
      : rows_(rows), columns_(round_up(columns, LANES)), values_(rows * columns_, 0.f) {}

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }  // rounded up to whole vectors; those beyond hold zeros

  float& at(int64_t row, int64_t column) {
    const bool in_wide = column < columns_ / kWide * kWide;
    const int64_t width = in_wide ? kWide : LANES, first = column / width * width;
    return values_[first * rows_ + row * width + column - first];
  }

  // Calls work(vectors, first column, block) for every block.
  template <class Work>
  void each(Work work) const {
    int64_t first = 0;
    for (; first + kWide <= columns_; first += kWide)
      work(std::integral_constant<int, VECTORS>(), first, values_.data() + first * rows_);
    if constexpr (VECTORS > 1) {
      for (; first < columns_; first += LANES)
        work(std::integral_constant<int, 1>(), first, values_.data() + first * rows_);
    }
  }

 private:
  static constexpr int64_t kWide = VECTORS * LANES;

  int64_t rows_, columns_;
  std::vector<float> values_;
};

}  // namespace lowbit
