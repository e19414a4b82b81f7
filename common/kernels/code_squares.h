// Convolutions in integers (code_conv.h) by minimal filtering in squares of 2 x 2, for 3 x 3 at stride 1: 16 products
// in the place of 36. For a square (winograd.h)
//
//   Y = A' M A,   M = (4 G b G') * (B' c B) / 4     of codes b of weights and c of inputs, whole numbers
//
// so that outputs are exact. Of sums with gradients, <gy, Y> = <A gy A', M>: the products M are multiplied by the
// transformed gradients as they are, and never transformed back.
#pragma once

#include "square_filters.h"
#include "square_tile.h"
#include "winograd.h"

namespace lowbit {

// An image at one width: its codes are up to `top`.
template <class Dot>
struct SquareBranch {
  const CodeImage* image;
  int64_t top;
  const SquareFilters<Dot>* filters;
};

// One image, some rows of squares after the other.
template <class Dot>
class CodeSquares {
 public:
  typedef float Vector __attribute__((vector_size(4 * Dot::kLanes)));
  static constexpr int kLanes = Dot::kLanes, kRows = Dot::kRows;

  // Of images at up to `widths` widths at a time.
  CodeSquares(const Geometry& g, int64_t widths)
      : g_(g), squares_(g, 2), channels_(round_up(g.c, 4)), filters_(round_up(g.f, kLanes)),
        rows_(std::max<int64_t>(1, kSquares / squares_.across)), size_(round_up(rows_ * squares_.across, kRows)),
        pixels_(2 * 2 * squares_.across * filters_, 0.f), gradients_(16 * size_ * filters_),
        inputs_(widths, Bytes(16 * size_ * channels_)), products_(16 * size_ * 2 * kLanes) {}

  // sums[i] = sum over pixels and filters of gy and the sums of branch i.
  void products(const std::vector<SquareBranch<Dot>>& branches, const float* gy, std::vector<double>& sums) {
    std::fill(sums.begin(), sums.end(), 0);
    for_rows([&](int64_t down, int64_t rows) {
      for (int64_t i = 0; i < rows; ++i) transform_gradients(gy, down + i, i);
      clear_gradients(rows * squares_.across);
      for (size_t k = 0; k < branches.size(); ++k) transform_codes(branches[k], down, rows, inputs_[k].data());
      std::vector<Total> totals(branches.size());
      for (int position = 0; position < 16; ++position)
        for (size_t k = 0; k < branches.size(); ++k)
          totals[k].sum += multiply(*branches[k].filters, position, inputs_[k].data(), rows * squares_.across);
      for (size_t k = 0; k < branches.size(); ++k) sums[k] += Vec<kLanes>::sum(totals[k].sum) / 4;
    });
  }

  // Outputs y (F, OH, OW): the sums times `unit`.
  void outputs(const SquareBranch<Dot>& branch, float unit, float* y) {
    for_rows([&](int64_t down, int64_t rows) {
      transform_codes(branch, down, rows, inputs_[0].data());
      int64_t f = 0;
      for (; f + kLanes < filters_; f += 2 * kLanes) write<2>(*branch.filters, f, down, rows, unit / 4, y);
      if (f < filters_) write<1>(*branch.filters, f, down, rows, unit / 4, y);
    });
  }

 private:
  static constexpr int64_t kSquares = 16;  // of a block
  struct Total {
    Vector sum = {};
  };

  template <class Visit>
  void for_rows(Visit visit) const {
    for (int64_t down = 0; down < squares_.down; down += rows_) visit(down, std::min(rows_, squares_.down - down));
  }

  // A gy A' of a row of squares to gradients [16][squares][F]; beyond the image it is zero.
  void transform_gradients(const float* gy, int64_t down, int64_t i) {
    const int64_t line = 2 * squares_.across * filters_;
    for (int64_t r = 0; r < 2; ++r) {
      float* to = pixels_.data() + r * line;
      if (2 * down + r < g_.oh)
        turn_row(gy + (2 * down + r) * g_.ow, g_.oh * g_.ow, g_.f, g_.ow, to, filters_);
      else
        std::fill_n(to, line, 0.f);
    }
    for (int64_t s = 0; s < squares_.across; ++s)
      for (int64_t f = 0; f < filters_; f += kLanes) {
        const float* top = pixels_.data() + 2 * s * filters_ + f;
        const float* const from[] = {top, top + line};
        transform_gradient<FilterBy2, kLanes>(from, filters_, &gradients_[(i * squares_.across + s) * filters_ + f],
                                              size_ * filters_);
      }
  }

  // Those of squares that fill the last tile.
  void clear_gradients(int64_t count) {
    for (int64_t position = 0; count % kRows && position < 16; ++position)
      std::fill_n(&gradients_[(position * size_ + count) * filters_], (round_up(count, kRows) - count) * filters_, 0.f);
  }

  // B' c B of some rows of squares, with an offset, to [16][squares][C]. What lies beyond the image meets gradients of
  // 0 or outputs that no one reads.
  void transform_codes(const SquareBranch<Dot>& branch, int64_t down, int64_t rows, int8_t* to) const {
    for (int64_t i = 0; i < rows; ++i, to += squares_.across * channels_) {
      const int8_t* lines[4];
      for (int r = 0; r < 4; ++r)
        lines[r] = branch.image->pixel(std::min(2 * (down + i) + r, g_.h + 2 * g_.pad - 1), 0);
      for_blocks<4 * lowbit::kLanes>(channels_, [&](int64_t c, auto bytes) {
        transform_row<bytes>(lines, c, static_cast<int8_t>(2 * branch.top), to + c);
      });
    }
  }

  // A row of squares, BYTES channels.
  template <int BYTES>
  void transform_row(const int8_t* const (&lines)[4], int64_t c, int8_t offset, int8_t* to) const {
    typedef int8_t Codes __attribute__((vector_size(BYTES)));
    Codes half[4][4];
    for (int64_t column = 0; column < 2 * squares_.across + 2; column += 2) {
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        Codes x[4], turned[4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r) std::memcpy(&x[r], lines[r] + (column + j) * channels_ + c, BYTES);
        FilterBy2::input(x, turned);
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r) half[r][j] = half[r][2 + j], half[r][2 + j] = turned[r];
      }
      if (column == 0) continue;
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) {
        Codes transformed[4];
        FilterBy2::input(half[r], transformed);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const Codes unsigned_codes = transformed[j] + offset;
          std::memcpy(to + (4 * r + j) * size_ * channels_, &unsigned_codes, BYTES);
        }
      }
      to += channels_;
    }
  }

  // The sum over squares and filters of the products at a position and the gradients.
  Vector multiply(const SquareFilters<Dot>& filters, int position, const int8_t* inputs, int64_t count) const {
    Vector sum = {};
    int64_t f = 0;
    for (; f + kLanes < filters_; f += 2 * kLanes) sum += multiply_tiles<2>(filters, position, f, inputs, count);
    if (f < filters_) sum += multiply_tiles<1>(filters, position, f, inputs, count);
    return sum;
  }

  template <int GROUPS>
  LOWBIT_ONE_COPY Vector multiply_tiles(const SquareFilters<Dot>& filters, int position, int64_t f,
                                        const int8_t* inputs, int64_t count) const {
    typename Dot::Sums start[GROUPS];
    for (int j = 0; j < GROUPS; ++j) start[j] = load_sums<Dot>(filters.starts(position, f + j * kLanes));
    Vector totals[4] = {};  // sums that do not wait for each other
    for (int64_t first = 0; first < count; first += kRows) {
      typename Dot::Sums sums[kRows][GROUPS];
      square_tile<Dot, kRows, GROUPS>(inputs + (position * size_ + first) * channels_, channels_,
                                      filters.codes(position, f), start, sums);
      const float* gradients = gradients_.data() + (position * size_ + first) * filters_ + f;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
        for (int j = 0; j < GROUPS; ++j) {
          Vector gradient;
          std::memcpy(&gradient, gradients + r * filters_ + j * kLanes, sizeof gradient);
          totals[(r * GROUPS + j) % 4] += __builtin_convertvector(sums[r][j], Vector) * gradient;
        }
    }
    return (totals[0] + totals[1]) + (totals[2] + totals[3]);
  }

  // The products of all positions, some vectors of filters.
  template <int GROUPS>
  LOWBIT_ONE_COPY void multiply_all(const SquareFilters<Dot>& filters, int64_t f, int64_t count) {
    for (int position = 0; position < 16; ++position) {
      typename Dot::Sums start[GROUPS], sums[kRows][GROUPS];
      for (int j = 0; j < GROUPS; ++j) start[j] = load_sums<Dot>(filters.starts(position, f + j * kLanes));
      for (int64_t first = 0; first < count; first += kRows) {
        square_tile<Dot, kRows, GROUPS>(inputs_[0].data() + (position * size_ + first) * channels_, channels_,
                                        filters.codes(position, f), start, sums);
        int32_t* to = &products_[(position * size_ + first) * GROUPS * kLanes];
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
          for (int j = 0; j < GROUPS; ++j, to += kLanes) std::memcpy(to, &sums[r][j], sizeof sums[r][j]);
      }
    }
  }

  // The outputs of some rows of squares and some vectors of filters.
  template <int GROUPS>
  void write(const SquareFilters<Dot>& filters, int64_t f, int64_t down, int64_t rows, float unit, float* y) {
    constexpr int64_t kWidth = GROUPS * kLanes;
    multiply_all<GROUPS>(filters, f, rows * squares_.across);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t s = 0; s < squares_.across; ++s)
        for (int j = 0; j < GROUPS; ++j)
          transform_sums<kWidth>(&products_[(i * squares_.across + s) * kWidth + j * kLanes], unit,
                                 &pixels_[2 * s * kWidth + j * kLanes]);
      const int64_t oy = 2 * (down + i), line = 2 * squares_.across * kWidth;
      for (int64_t r = 0; r < std::min<int64_t>(2, g_.oh - oy); ++r)
        transpose(pixels_.data() + r * line, kWidth, g_.ow, std::min(kWidth, g_.f - f),
                  y + (f * g_.oh + oy + r) * g_.ow, g_.oh * g_.ow);
    }
  }

  // A' M A of a square and a vector of filters, times `unit`.
  template <int64_t WIDTH>
  void transform_sums(const int32_t* m, float unit, float* to) const {
    typename Dot::Sums half[2][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      typename Dot::Sums x[4], turned[2];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) std::memcpy(&x[i], m + (4 * i + j) * size_ * WIDTH, sizeof x[i]);
      FilterBy2::output(x, turned);
      half[0][j] = turned[0], half[1][j] = turned[1];
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      typename Dot::Sums sums[2];
      FilterBy2::output(half[i], sums);
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        const Vector value = __builtin_convertvector(sums[j], Vector) * unit;
        std::memcpy(to + (2 * i * squares_.across + j) * WIDTH, &value, sizeof value);
      }
    }
  }

  const Geometry& g_;
  Squares squares_;
  int64_t channels_, filters_, rows_, size_;  // rows of squares in a block; its squares, for whole tiles
  Floats pixels_, gradients_;                 // [2][columns][F]; [16][squares][F]
  std::vector<Bytes> inputs_;                 // of each width [16][squares][C]
  std::vector<int32_t, CacheLineAllocator<int32_t>> products_;  // [16][squares][F of a tile]
};

}  // namespace lowbit
