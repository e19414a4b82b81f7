// Convolutions of 3 x 3 at stride 1 by minimal filtering (minimal_filter.h) in both directions: F(2 x 2, 3 x 3) takes
// 16 multiplications for four outputs in the place of 36, F(4 x 4, 3 x 3) takes 36 for sixteen in the place of 144.
//
//   Y = A' [ sum over channels (G w G') * (B' x B) ] A       x: a square of n + 2 inputs a side, Y: of n outputs
//
// Channels (and filters) lie in the lanes of vectors, so that a transformation adds whole vectors; for n = 2:
//
//   image (C, H, W)       4 rows, channels innermost      squares, transformed           products      outputs
//   . . . . . . . .       [4][W + border][C]              [16][squares][C]  x [16][C][F] -> [16][squares][F] -> 2 x 2
//
// Each position of a transformed square is a product of matrices (matrix_tile.h). A square's sums depend on nothing
// else.
#pragma once

#include "aligned.h"
#include "geometry.h"
#include "matrix_tile.h"
#include "minimal_filter.h"
#include "transpose.h"

namespace lowbit {

template <class Filter>
constexpr int kPositions = Filter::kInputs * Filter::kInputs;  // of a transformed square

// Layers that this algorithm computes. Few channels or filters would fill a small part of the vectors.
inline bool winograd_fits(const Geometry& g) {
  return g.kh == 3 && g.kw == 3 && g.stride == 1 && g.pad < 3 && g.c >= 8 && g.f >= 8;
}

// Rows of squares of an image and what surrounds them.
struct Squares {
  int64_t down, across;  // squares of an image
  int64_t columns;       // of the inputs that one row of squares reads

  Squares(const Geometry& g, int64_t side)
      : down((g.oh + side - 1) / side), across((g.ow + side - 1) / side), columns(side * across + 2) {}
};

// Whether squares of four outputs take fewer multiplications than those of two: small planes leave parts of them empty.
// Transformed kernels are 36 to 9 of their weights; beyond the processor's caches they cost more than that saves.
inline bool squares_of_4_pay(const Geometry& g) {
  const Squares by_2(g, 2), by_4(g, 4);
  return 36 * by_4.down * by_4.across < 16 * by_2.down * by_2.across && g.c * g.f <= 1 << 16;
}

// Calls work(filter) with the one that suits a layer.
template <class Work>
inline void by_filter(const Geometry& g, Work work) {
  if (squares_of_4_pay(g))
    work(FilterBy4());
  else
    work(FilterBy2());
}

// Calls a map of one dimension, from N vectors to M, for the columns of a matrix: to[.][j] is that of from[.][j].
template <int N, int M, class V, int COLUMNS, class Map>
inline void map_columns(const V (&from)[N][COLUMNS], V (&to)[M][COLUMNS], Map map) {
#pragma GCC unroll 8
  for (int j = 0; j < COLUMNS; ++j) {
    V x[N], y[M];
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) x[i] = from[i][j];
    map(x, y);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) to[i][j] = y[i];
  }
}

// B' x B for one square after the other of a row of them, each of which shares columns with the next.
template <class Filter, int LANES>
class InputTransform {
 public:
  static constexpr int kSide = Filter::kInputs, kStep = Filter::kOutputs;
  using V = Vec<LANES>;

  // From the rows of the square to positions, `position` floats apart; columns are `column` floats apart.
  void run(const float* const (&rows)[kSide], int64_t column, bool first, float* to, int64_t position) {
    if (first) {
      fill<0, kSide - kStep>(rows, column);
    } else {
#pragma GCC unroll 8
      for (int i = 0; i < kSide; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < kSide - kStep; ++j) half_[i][j] = half_[i][j + kStep];
    }
    fill<kSide - kStep, kSide>(rows, column);
#pragma GCC unroll 8
    for (int i = 0; i < kSide; ++i) {
      typename V::Float y[kSide];
      Filter::input(half_[i], y);
#pragma GCC unroll 8
      for (int j = 0; j < kSide; ++j, to += position) V::store(to, y[j]);
    }
  }

 private:
  template <int BEGIN, int END>
  void fill(const float* const (&rows)[kSide], int64_t column) {
#pragma GCC unroll 8
    for (int j = BEGIN; j < END; ++j) {
      typename V::Float x[kSide], y[kSide];
#pragma GCC unroll 8
      for (int i = 0; i < kSide; ++i) x[i] = V::load(rows[i] + j * column);
      Filter::input(x, y);
#pragma GCC unroll 8
      for (int i = 0; i < kSide; ++i) half_[i][j] = y[i];
    }
  }

  typename V::Float half_[kSide][kSide];
};

// to = A' m A, positions of m `position` floats apart.
template <class Filter, int LANES>
inline void transform_output(const float* m, int64_t position, float* const (&rows)[Filter::kOutputs], int64_t column) {
  using V = Vec<LANES>;
  constexpr int kSide = Filter::kInputs, kStep = Filter::kOutputs;
  typename V::Float half[kStep][kSide];
#pragma GCC unroll 8
  for (int j = 0; j < kSide; ++j) {
    typename V::Float x[kSide], y[kStep];
#pragma GCC unroll 8
    for (int i = 0; i < kSide; ++i) x[i] = V::load(m + (i * kSide + j) * position);
    Filter::output(x, y);
#pragma GCC unroll 8
    for (int i = 0; i < kStep; ++i) half[i][j] = y[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < kStep; ++i) {
    typename V::Float y[kStep];
    Filter::output(half[i], y);
#pragma GCC unroll 8
    for (int j = 0; j < kStep; ++j) V::store(rows[i] + j * column, y[j]);
  }
}

// to = A y A': what a square of gradients of the output is to the gradient of the products.
template <class Filter, int LANES>
inline void transform_gradient(const float* const (&rows)[Filter::kOutputs], int64_t column, float* to,
                               int64_t position) {
  using V = Vec<LANES>;
  constexpr int kSide = Filter::kInputs, kStep = Filter::kOutputs;
  typename V::Float half[kSide][kStep];
#pragma GCC unroll 8
  for (int j = 0; j < kStep; ++j) {
    typename V::Float x[kStep], y[kSide];
#pragma GCC unroll 8
    for (int i = 0; i < kStep; ++i) x[i] = V::load(rows[i] + j * column);
    Filter::gradient(x, y);
#pragma GCC unroll 8
    for (int i = 0; i < kSide; ++i) half[i][j] = y[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < kSide; ++i) {
    typename V::Float y[kSide];
    Filter::gradient(half[i], y);
#pragma GCC unroll 8
    for (int j = 0; j < kSide; ++j, to += position) V::store(to, y[j]);
  }
}

// to = G w G': taps of w `tap` floats apart.
template <class Filter, int LANES>
inline void transform_kernel(const float* w, int64_t tap, float* to, int64_t position) {
  using V = Vec<LANES>;
  constexpr int kSide = Filter::kInputs;
  typename V::Float taps[3][3], half[kSide][3];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) taps[i][j] = V::load(w + (3 * i + j) * tap);
  map_columns(taps, half, [](const auto& x, auto& y) { Filter::kernel(x, y); });
  for (int i = 0; i < kSide; ++i) {
    typename V::Float y[kSide];
    Filter::kernel(half[i], y);
    for (int j = 0; j < kSide; ++j, to += position) V::store(to, y[j]);
  }
}

// to = G' m G: what the gradient of the products is to the kernel's, taps of `to` `tap` floats apart.
template <class Filter, int LANES>
inline void transform_kernel_gradient(const typename Vec<LANES>::Float (&m)[Filter::kInputs][Filter::kInputs],
                                      float* to, int64_t tap) {
  using V = Vec<LANES>;
  typename V::Float half[3][Filter::kInputs];
  map_columns(m, half, [](const auto& x, auto& y) { Filter::kernel_gradient(x, y); });
  for (int i = 0; i < 3; ++i) {
    typename V::Float y[3];
    Filter::kernel_gradient(half[i], y);
    for (int j = 0; j < 3; ++j, to += tap) V::store(to, y[j]);
  }
}

// The padded rows of one image that a row of squares reads, with the channels innermost: [rows][columns][channels
// rounded up]. The next row of squares keeps the last two.
template <class Filter>
class InputRows {
 public:
  static constexpr int kRows = Filter::kInputs, kStep = Filter::kOutputs;

  InputRows(const Geometry& g, const Squares& squares, int64_t channels)
      : g_(g), row_(squares.columns * channels), channels_(channels), values_(kRows * row_, 0.f) {
    for (int i = 0; i < kRows; ++i) rows_[i] = values_.data() + i * row_;
  }

  InputRows(InputRows&&) = default;
  InputRows(const InputRows&) = delete;  // the rows are addresses

  // To the rows of square row `down` of an image, of which `count` channels are read, and changed by `prepare`.
  template <class Prepare>
  void move(const float* image, int64_t count, int64_t down, bool next, Prepare prepare) {
    if (next) std::rotate(rows_, rows_ + kStep, rows_ + kRows);
    for (int i = next ? kRows - kStep : 0; i < kRows; ++i)
      fill(image, count, kStep * down + i - g_.pad, rows_[i] + g_.pad * channels_, prepare);
  }

  // Transforms a row of squares to positions [positions][squares][channels], `position` floats apart.
  template <int LANES>
  void transform(int64_t across, float* to, int64_t position) const {
    for (int64_t c = 0; c < channels_; c += LANES) {
      InputTransform<Filter, LANES> square;
      for (int64_t s = 0; s < across; ++s) {
        const float* from[kRows];
        for (int i = 0; i < kRows; ++i) from[i] = rows_[i] + kStep * s * channels_ + c;
        square.run(from, channels_, s == 0, to + s * channels_ + c, position);
      }
    }
  }

 private:
  template <class Prepare>
  void fill(const float* image, int64_t count, int64_t y, float* to, const Prepare& prepare) const {
    if (y < 0 || y >= g_.h) return void(std::fill_n(to, g_.w * channels_, 0.f));
    turn_row(image + y * g_.w, g_.h * g_.w, count, g_.w, to, channels_);
    prepare(to, g_.w * channels_);
  }

  const Geometry& g_;
  int64_t row_, channels_;
  Floats values_;
  float* rows_[kRows];
};

}  // namespace lowbit
