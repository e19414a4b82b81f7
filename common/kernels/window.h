// A window of KH x KW weights that slides over padded planes and gives a compact plane of sums:
//
//   to[i,j] = sum_{p,u,v} source[p][(i step + u) row + column[v] + j] w[p,u,v]
//
// A tile is some rows of sums at one vector of columns. Windows of 3 x 3, and those of the gradient of 3 x 3 at
// stride 2, have tiles of their own: what is read of a source row serves all rows of the tile that see it.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "simd.h"

namespace lowbit {

constexpr int kTileRows = 4;

struct Window {
  int64_t kh, kw;
  int64_t row, step;            // floats from one source row to the next; source rows from one row of sums to the next
  std::vector<int64_t> column;  // where the source column of tap v starts
  int64_t planes, plane_size;   // source planes that are added up; floats from one to the next

  bool is(int64_t height, int64_t width, int64_t rows) const { return kh == height && kw == width && step == rows; }
};

template <int LANES>
using TileSums = typename Vec<LANES>::Float[kTileRows];

// The first ROWS sums of a tile, any window.
struct AnyTile {
  template <int LANES, int ROWS>
  static void run(const Window& window, const float* source, const float* w, TileSums<LANES>& sums) {
    using V = Vec<LANES>;
    typename V::Float acc[ROWS] = {};
    for (int64_t p = 0; p < window.planes; ++p, source += window.plane_size)
      for (int64_t u = 0; u < window.kh; ++u)
        for (int64_t v = 0; v < window.kw; ++v, ++w) {
          const float* from = source + u * window.row + window.column[v];
          for (int i = 0; i < ROWS; ++i) acc[i] += V::load(from + i * window.step * window.row) * *w;
        }
    for (int i = 0; i < ROWS; ++i) sums[i] = acc[i];
  }
};

// The same for a known window and step: source rows outside, and each is read once.
template <int KH, int KW, int STEP>
struct KnownTile {
  template <int LANES, int ROWS>
  static void run(const Window& window, const float* source, const float* w, TileSums<LANES>& sums) {
    using V = Vec<LANES>;
    typename V::Float acc[ROWS] = {};
    for (int64_t p = 0; p < window.planes; ++p, source += window.plane_size, w += KH * KW) {
#pragma GCC unroll 16
      for (int r = 0; r < (ROWS - 1) * STEP + KH; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < KW; ++v) {
          const auto x = V::load(source + r * window.row + window.column[v]);
#pragma GCC unroll 4
          for (int i = 0; i < ROWS; ++i)
            if (r >= i * STEP && r < i * STEP + KH) acc[i] += x * w[(r - i * STEP) * KW + v];
        }
    }
    for (int i = 0; i < ROWS; ++i) sums[i] = acc[i];
  }
};

// ROWS rows of sums from the row that `source` and `to` start with; `end` is the end of the plane of sums.
template <class Tile, int LANES, int ROWS>
void slide_rows(const Window& window, const float* source, const float* w, int64_t columns, float* to,
                const float* end) {
  using V = Vec<LANES>;
  TileSums<LANES> sums;
  if (columns < LANES) {
    Tile::template run<LANES, ROWS>(window, source, w, sums);
    // A vector is longer than a row: its rest falls on the next row, which is stored after it.
    for (int i = 0; i < ROWS; ++i, to += columns) V::store(to, sums[i], end - to >= LANES ? LANES : columns);
    return;
  }
  for (int64_t j = 0; j < columns; j += LANES) {
    const int64_t x = std::min(j, columns - LANES);  // the last vector ends with the row
    Tile::template run<LANES, ROWS>(window, source + x, w, sums);
    for (int i = 0; i < ROWS; ++i) V::store(to + i * columns + x, sums[i]);
  }
}

template <class Tile, int LANES>
void slide_tiles(const Window& window, const float* source, const float* w, int64_t rows, int64_t columns, float* to) {
  const float* end = to + rows * columns;
  const auto run = [&](auto count, int64_t i) {
    slide_rows<Tile, LANES, count>(window, source + i * window.step * window.row, w, columns, to + i * columns, end);
  };
  if (rows < kTileRows) {
    for (int64_t i = 0; i < rows; ++i) run(std::integral_constant<int, 1>(), i);
  } else {
    for (int64_t i = 0; i < rows; i += kTileRows)  // the last tile ends with the plane
      run(std::integral_constant<int, kTileRows>(), std::min(i, rows - kTileRows));
  }
}

template <int LANES>
void slide(const Window& window, const float* source, const float* w, int64_t rows, int64_t columns, float* to) {
  const auto run = [&](auto tile) { slide_tiles<decltype(tile), LANES>(window, source, w, rows, columns, to); };
  if (window.is(3, 3, 1)) return run(KnownTile<3, 3, 1>());
  if (window.is(3, 3, 2)) return run(KnownTile<3, 3, 2>());
  if (window.is(2, 2, 1)) return run(KnownTile<2, 2, 1>());
  if (window.is(2, 1, 1)) return run(KnownTile<2, 1, 1>());
  if (window.is(1, 2, 1)) return run(KnownTile<1, 2, 1>());
  if (window.is(1, 1, 1)) return run(KnownTile<1, 1, 1>());
  run(AnyTile());
}

}  // namespace lowbit
