// Sums of products of codes for a tile: some squares and some vectors of filters, at one position of the transform
// (code_squares.h).
#pragma once

#include "code_conv.h"

namespace lowbit {

// sums[r][j] = start[j] + sum over channels of the codes of squares, `channels` bytes apart, and those of filters.
template <class Dot, int ROWS, int GROUPS>
inline void square_tile(const int8_t* x, int64_t channels, const int8_t* w, const typename Dot::Sums (&start)[GROUPS],
                        typename Dot::Sums (&sums)[ROWS][GROUPS]) {
  typename Dot::Sums acc[ROWS][GROUPS];
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < GROUPS; ++j) acc[r][j] = start[j];
  const int8_t* from[(ROWS + 2) / 3];  // every third row: an address has a base and twice an index
  for (int r = 0; r < ROWS; r += 3) from[r / 3] = x + r * channels;
  for (int64_t c = 0; c < channels; c += 4) {
    typename Dot::Sums v[GROUPS];
    for (int j = 0; j < GROUPS; ++j, w += sizeof v[0]) v[j] = load_sums<Dot>(w);
    for (int r = 0; r < ROWS; ++r) {
      int32_t four;
      std::memcpy(&four, from[r / 3] + r % 3 * channels, sizeof four);
      const auto codes = typename Dot::Sums{} + four;
      for (int j = 0; j < GROUPS; ++j) acc[r][j] = Dot::accumulate(acc[r][j], codes, v[j]);
    }
    for (int r = 0; r < ROWS; r += 3) from[r / 3] += 4;
  }
  std::memcpy(sums, acc, sizeof acc);
}

}  // namespace lowbit
