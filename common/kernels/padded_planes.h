// Planes of floats with a border of zeros, so that every tap of every position can be read without a test.
#pragma once

#include <cstdint>
#include <vector>

#include "copy_row.h"
#include "simd.h"

namespace lowbit {

// Compact planes of H x W floats, `top` rows and `left` columns from the corner of planes of `rows` x `columns`.
struct PaddedPlanes {
  int64_t planes, top, left, rows, columns;
  std::vector<float> values;

  PaddedPlanes(int64_t count, int64_t border_top, int64_t border_left, int64_t all_rows, int64_t all_columns)
      : planes(count), top(border_top), left(border_left), rows(all_rows), columns(all_columns),
        values(count * all_rows * all_columns, 0.f) {}

  int64_t plane() const { return rows * columns; }

  // The border stays zero: only the same positions are ever written, so one object serves many images.
  void fill(const float* from, int64_t h, int64_t w) {
    for (int64_t p = 0; p < planes; ++p)
      for (int64_t y = 0; y < h; ++y)
        copy_row<kLanes>(from + (p * h + y) * w, w, values.data() + p * plane() + (y + top) * columns + left);
  }
};

}  // namespace lowbit
