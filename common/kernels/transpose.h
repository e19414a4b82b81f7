// Transposition of a matrix of floats, in squares that stay in registers.
#pragma once

#include <algorithm>
#include <utility>

#include "simd.h"

namespace lowbit {

// One exchange between two rows of a square: lanes whose number has the bit `distance` go over.
//
//   a  0 1 2 3     distance 1:  0 4 2 6     distance 2:  0 1 4 5
//   b  4 5 6 7                  1 5 3 7                  2 3 6 7
template <int SIZE, int DISTANCE, int... LANE>
inline void exchange(typename Vec<SIZE>::Float& a, typename Vec<SIZE>::Float& b, std::integer_sequence<int, LANE...>) {
  const auto first = a, second = b;
#if defined(__clang__) || __GNUC__ >= 12
  a = __builtin_shufflevector(first, second, (LANE & DISTANCE ? SIZE + LANE - DISTANCE : LANE)...);
  b = __builtin_shufflevector(first, second, (LANE & DISTANCE ? SIZE + LANE : LANE + DISTANCE)...);
#else
  using Indices = typename Vec<SIZE>::Int;
  a = __builtin_shuffle(first, second, Indices{(LANE & DISTANCE ? SIZE + LANE - DISTANCE : LANE)...});
  b = __builtin_shuffle(first, second, Indices{(LANE & DISTANCE ? SIZE + LANE : LANE + DISTANCE)...});
#endif
}

template <int SIZE, int DISTANCE>
inline void exchange_rows(typename Vec<SIZE>::Float (&rows)[SIZE]) {
  for (int i = 0; i < SIZE; ++i)
    if (!(i & DISTANCE)) exchange<SIZE, DISTANCE>(rows[i], rows[i + DISTANCE], std::make_integer_sequence<int, SIZE>());
  if constexpr (DISTANCE > 1) exchange_rows<SIZE, DISTANCE / 2>(rows);
}

template <int SIZE>
inline void transpose_square(const float* from, int64_t from_row, float* to, int64_t to_row) {
  typename Vec<SIZE>::Float rows[SIZE];
  for (int i = 0; i < SIZE; ++i) rows[i] = Vec<SIZE>::load(from + i * from_row);
  exchange_rows<SIZE, SIZE / 2>(rows);
  for (int i = 0; i < SIZE; ++i) Vec<SIZE>::store(to + i * to_row, rows[i]);
}

// `from` (rows, columns) to `to` (columns, rows); rows of either are `from_row` and `to_row` floats apart. What whole
// squares leave goes to squares of half the size.
template <int SIZE = kLanes>
void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to, int64_t to_row) {
  if constexpr (SIZE < 4) {
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = 0; r < rows; ++r) to[c * to_row + r] = from[r * from_row + c];
  } else {
    const int64_t whole_rows = rows / SIZE * SIZE, whole_columns = columns / SIZE * SIZE;
    for (int64_t c = 0; c < whole_columns; c += SIZE)  // `to` is written in order
      for (int64_t r = 0; r < whole_rows; r += SIZE)
        transpose_square<SIZE>(from + r * from_row + c, from_row, to + c * to_row + r, to_row);
    if (whole_rows < rows)
      transpose<SIZE / 2>(from + whole_rows * from_row, from_row, rows - whole_rows, whole_columns, to + whole_rows,
                          to_row);
    if (whole_columns < columns)
      transpose<SIZE / 2>(from + whole_columns, from_row, rows, columns - whole_columns, to + whole_columns * to_row,
                          to_row);
  }
}

// One row of `planes` planes, planes innermost. The next but one is fetched: many short runs, which no processor foresees.
inline void turn_row(const float* from, int64_t plane, int64_t planes, int64_t width, float* to, int64_t to_pixel) {
  for (int64_t c = 0; c < planes; ++c)
    for (int64_t x = 0; x < width; x += 16) __builtin_prefetch(from + c * plane + 2 * width + x);
  transpose(from, plane, planes, width, to, to_pixel);
}

}  // namespace lowbit
