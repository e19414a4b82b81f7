// Products of matrices in registers: single values of one matrix times vectors of the other.
#pragma once

#include "simd.h"

namespace lowbit {

// Rows of a tile. With two vectors of columns each: 16 sums of 32 registers, 12 of 16.
constexpr int kMatrixRows = kManyRegisters ? 8 : 6;

// sums[i][j] = sum_k a[i a_row + k a_step] b[k b_step + j], j in GROUPS vectors.
template <int LANES, int ROWS, int GROUPS>
inline void matrix_tile(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step, int64_t depth,
                        typename Vec<LANES>::Float (&sums)[ROWS][GROUPS]) {
  using V = Vec<LANES>;
  typename V::Float acc[ROWS][GROUPS] = {};
  const float* from[(ROWS + 2) / 3];  // every third row: an address has a base and twice an index
  for (int i = 0; i < ROWS; i += 3) from[i / 3] = a + i * a_row;
  for (int64_t k = 0; k < depth; ++k, b += b_step) {
    typename V::Float v[GROUPS];
    for (int j = 0; j < GROUPS; ++j) v[j] = V::load(b + j * LANES);
    for (int i = 0; i < ROWS; ++i) {
      const auto value = V::broadcast(from[i / 3][i % 3 * a_row]);
      for (int j = 0; j < GROUPS; ++j) acc[i][j] += value * v[j];
    }
    for (int i = 0; i < ROWS; i += 3) from[i / 3] += a_step;
  }
  std::memcpy(sums, acc, sizeof acc);
}

}  // namespace lowbit
