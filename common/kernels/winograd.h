// Convolutions of 3 x 3 at stride 1 by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin and Gray, "Fast Algorithms
// for Convolutional Neural Networks", CVPR 2016, eq. 8 to 13): 16 multiplications for four outputs in the place of 36.
//
//   Y = A' [ sum over channels (G w G') * (B' x B) ] A       x: a square of 4 x 4 inputs, Y: one of 2 x 2 outputs
//
//   B' = 1  0 -1  0     G = 1    0    0     A' = 1  1  1  0
//        0  1  1  0         1/2  1/2  1/2        0  1 -1 -1
//        0 -1  1  0         1/2 -1/2  1/2
//        0  1  0 -1         0    0    1
//
// Channels (and filters) lie in the lanes of vectors, so that a transformation is additions of whole vectors:
//
//   image (C, H, W)       4 rows, channels innermost      squares, transformed           products      outputs
//   . . . . . . . .       [4][W + border][C]              [16][squares][C]  x [16][C][F] -> [16][squares][F] -> 2 x 2
//
// Each of the 16 positions is a product of matrices (matrix_tile.h). A square's sums depend on nothing else.
#pragma once

#include "aligned.h"
#include "geometry.h"
#include "matrix_tile.h"
#include "transpose.h"

namespace lowbit {

constexpr int kPositions = 16;  // of a transformed square

// Layers that this algorithm computes. Few channels or filters would fill a small part of the vectors.
inline bool winograd_fits(const Geometry& g) {
  return g.kh == 3 && g.kw == 3 && g.stride == 1 && g.pad < 3 && g.c >= 8 && g.f >= 8;
}

// to = B' x B: rows of x are `row` floats apart, columns and positions of `to` are `column` and `position` apart.
template <int LANES>
inline void transform_input(const float* const (&rows)[4], int64_t column, float* to, int64_t position) {
  using V = Vec<LANES>;
  typename V::Float half[4][4];
  for (int j = 0; j < 4; ++j) {
    typename V::Float x[4];
    for (int i = 0; i < 4; ++i) x[i] = V::load(rows[i] + j * column);
    half[0][j] = x[0] - x[2];
    half[1][j] = x[1] + x[2];
    half[2][j] = x[2] - x[1];
    half[3][j] = x[1] - x[3];
  }
  for (int i = 0; i < 4; ++i, to += 4 * position) {
    V::store(to, half[i][0] - half[i][2]);
    V::store(to + position, half[i][1] + half[i][2]);
    V::store(to + 2 * position, half[i][2] - half[i][1]);
    V::store(to + 3 * position, half[i][1] - half[i][3]);
  }
}

// to[i][j] = A' m A, positions of m `position` floats apart.
template <int LANES>
inline void transform_output(const float* m, int64_t position, float* const (&rows)[2], int64_t column) {
  using V = Vec<LANES>;
  typename V::Float half[2][4];
  for (int j = 0; j < 4; ++j, m += position) {
    const auto middle = V::load(m + 4 * position), last = V::load(m + 8 * position);
    half[0][j] = V::load(m) + middle + last;
    half[1][j] = middle - last - V::load(m + 12 * position);
  }
  for (int i = 0; i < 2; ++i) {
    V::store(rows[i], half[i][0] + half[i][1] + half[i][2]);
    V::store(rows[i] + column, half[i][1] - half[i][2] - half[i][3]);
  }
}

// to = A y A': what a square of 2 x 2 gradients of the output is to the gradient of the products.
template <int LANES>
inline void transform_gradient(const float* const (&rows)[2], int64_t column, float* to, int64_t position) {
  using V = Vec<LANES>;
  typename V::Float half[4][2];
  for (int j = 0; j < 2; ++j) {
    const auto first = V::load(rows[0] + j * column), second = V::load(rows[1] + j * column);
    half[0][j] = first;
    half[1][j] = first + second;
    half[2][j] = first - second;
    half[3][j] = -second;
  }
  for (int i = 0; i < 4; ++i, to += 4 * position) {
    V::store(to, half[i][0]);
    V::store(to + position, half[i][0] + half[i][1]);
    V::store(to + 2 * position, half[i][0] - half[i][1]);
    V::store(to + 3 * position, -half[i][1]);
  }
}

// to = G w G': taps of w `tap` floats apart.
template <int LANES>
inline void transform_kernel(const float* w, int64_t tap, float* to, int64_t position) {
  using V = Vec<LANES>;
  typename V::Float half[4][3];
  for (int j = 0; j < 3; ++j) {
    const auto a = V::load(w + j * tap), b = V::load(w + (3 + j) * tap), c = V::load(w + (6 + j) * tap);
    half[0][j] = a;
    half[1][j] = (a + c + b) * 0.5f;
    half[2][j] = (a + c - b) * 0.5f;
    half[3][j] = c;
  }
  for (int i = 0; i < 4; ++i, to += 4 * position) {
    const auto outer = half[i][0] + half[i][2];
    V::store(to, half[i][0]);
    V::store(to + position, (outer + half[i][1]) * 0.5f);
    V::store(to + 2 * position, (outer - half[i][1]) * 0.5f);
    V::store(to + 3 * position, half[i][2]);
  }
}

// to = G' m G: what the gradient of the products is to the kernel's, taps of `to` `tap` floats apart.
template <int LANES>
inline void transform_kernel_gradient(const typename Vec<LANES>::Float (&m)[kPositions], float* to, int64_t tap) {
  using V = Vec<LANES>;
  typename V::Float half[3][4];
  for (int j = 0; j < 4; ++j) {
    const auto mean = (m[4 + j] + m[8 + j]) * 0.5f;
    half[0][j] = m[j] + mean;
    half[1][j] = (m[4 + j] - m[8 + j]) * 0.5f;
    half[2][j] = m[12 + j] + mean;
  }
  for (int i = 0; i < 3; ++i, to += 3 * tap) {
    const auto mean = (half[i][1] + half[i][2]) * 0.5f;
    V::store(to, half[i][0] + mean);
    V::store(to + tap, (half[i][1] - half[i][2]) * 0.5f);
    V::store(to + 2 * tap, half[i][3] + mean);
  }
}

// Rows of squares of an image and what surrounds them.
struct Squares {
  int64_t down, across;  // squares of an image
  int64_t columns;       // of the inputs that one row of squares reads

  explicit Squares(const Geometry& g) : down((g.oh + 1) / 2), across((g.ow + 1) / 2), columns(2 * across + 2) {}
};

// One row of `planes` planes, planes innermost. The next but one is fetched: many short runs, which no processor foresees.
inline void turn_row(const float* from, int64_t plane, int64_t planes, int64_t width, float* to, int64_t to_pixel) {
  for (int64_t c = 0; c < planes; ++c)
    for (int64_t x = 0; x < width; x += 16) __builtin_prefetch(from + c * plane + 2 * width + x);
  transpose(from, plane, planes, width, to, to_pixel);
}

// Four padded rows of one image with the channels innermost, [4][columns][channels rounded up], moved on two by two.
class InputRows {
 public:
  InputRows(const Geometry& g, const Squares& squares, int64_t channels)
      : g_(g), row_(squares.columns * channels), channels_(channels), values_(4 * row_, 0.f) {
    for (int i = 0; i < 4; ++i) rows_[i] = values_.data() + i * row_;
  }

  InputRows(InputRows&&) = default;
  InputRows(const InputRows&) = delete;  // the rows are addresses

  // To the four rows of square row `down` of an image, of which `count` channels are read.
  void move(const float* image, int64_t count, int64_t down, bool next) {
    if (next) {
      std::swap(rows_[0], rows_[2]);
      std::swap(rows_[1], rows_[3]);
    }
    for (int i = next ? 2 : 0; i < 4; ++i) fill(image, count, 2 * down + i - g_.pad, rows_[i] + g_.pad * channels_);
  }

  const float* row(int i) const { return rows_[i]; }

 private:
  void fill(const float* image, int64_t count, int64_t y, float* to) const {
    if (y < 0 || y >= g_.h) {
      std::fill_n(to, g_.w * channels_, 0.f);
    } else {
      turn_row(image + y * g_.w, g_.h * g_.w, count, g_.w, to, channels_);
    }
  }

  const Geometry& g_;
  int64_t row_, channels_;
  Floats values_;
  float* rows_[4];
};

// Transforms one row of squares to positions [16][squares][channels], `position` floats apart.
template <int LANES>
inline void transform_row(const InputRows& rows, int64_t across, int64_t channels, float* to, int64_t position) {
  for (int64_t square = 0; square < across; ++square)
    for (int64_t c = 0; c < channels; c += LANES) {
      const int64_t at = 2 * square * channels + c;
      const float* const from[4] = {rows.row(0) + at, rows.row(1) + at, rows.row(2) + at, rows.row(3) + at};
      transform_input<LANES>(from, channels, to + square * channels + c, position);
    }
}

}  // namespace lowbit
