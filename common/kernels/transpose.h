// Transposition of a matrix of floats, in squares of 4 x 4 that stay in registers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace lowbit {

typedef float Four __attribute__((vector_size(16)));

#if defined(__clang__) || __GNUC__ >= 12
#define LOWBIT_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int32_t FourIndices __attribute__((vector_size(16)));
#define LOWBIT_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (FourIndices{i, j, k, l}))
#endif

// A square whose rows are `from_row` floats apart, to one whose rows are `to_row` floats apart.
inline void transpose_square(const float* from, int64_t from_row, float* to, int64_t to_row) {
  Four rows[4];
  for (int i = 0; i < 4; ++i) std::memcpy(&rows[i], from + i * from_row, sizeof rows[i]);
  const Four low01 = LOWBIT_SHUFFLE(rows[0], rows[1], 0, 4, 1, 5), high01 = LOWBIT_SHUFFLE(rows[0], rows[1], 2, 6, 3, 7);
  const Four low23 = LOWBIT_SHUFFLE(rows[2], rows[3], 0, 4, 1, 5), high23 = LOWBIT_SHUFFLE(rows[2], rows[3], 2, 6, 3, 7);
  const Four columns[4] = {
      LOWBIT_SHUFFLE(low01, low23, 0, 1, 4, 5), LOWBIT_SHUFFLE(low01, low23, 2, 3, 6, 7),
      LOWBIT_SHUFFLE(high01, high23, 0, 1, 4, 5), LOWBIT_SHUFFLE(high01, high23, 2, 3, 6, 7)};
  for (int i = 0; i < 4; ++i) std::memcpy(to + i * to_row, &columns[i], sizeof columns[i]);
}

// `from` (rows, columns), of rows `from_row` floats apart, to `to` (columns, rows), of rows `to_row` floats apart.
inline void transpose(const float* from, int64_t rows, int64_t columns, int64_t from_row, float* to, int64_t to_row) {
  const int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  for (int64_t c = 0; c < whole_columns; c += 4)  // `to` is written in order
    for (int64_t r = 0; r < whole_rows; r += 4)
      transpose_square(from + r * from_row + c, from_row, to + c * to_row + r, to_row);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) to[c * to_row + r] = from[r * from_row + c];
}

}  // namespace lowbit
