// Sums of gradients times a convolution in integers (code_conv.h) by minimal filtering in squares of 2 x 2, for 3 x 3
// at stride 1: 16 products in the place of 36. With Y = A' M A for a square (winograd.h),
//
//   <gy, Y> = <A gy A', M>,   M = (4 G b G') * (B' c B) / 4     of codes b of weights and c of inputs, whole numbers
//
// so that the products M are multiplied by the transformed gradients as they are, and never transformed back.
#pragma once

#include "code_conv.h"
#include "winograd.h"

namespace lowbit {

// Transformed filters [16][F / block][C / 4][block][4] of codes, and what begins their sums: transformed inputs have an
// offset that makes them unsigned.
template <class Dot>
class SquareFilters {
 public:
  // `top`: the largest code of an input.
  SquareFilters(const Geometry& g, const CodeFilters<Dot>& filters, int64_t top)
      : channels_(round_up(g.c, 4)), filters_(round_up(g.f, Dot::kLanes)), codes_(16 * channels_ * filters_),
        starts_(16 * filters_), exact_(6 * top <= Dot::kLargest) {
    if (!exact_) return;
    std::vector<char> fits((filters_ + CodeFilters<Dot>::kBlock - 1) / CodeFilters<Dot>::kBlock);
    parallel_for(static_cast<int64_t>(fits.size()), [&] {
      return [&](int64_t block) {
        const int64_t f = block * CodeFilters<Dot>::kBlock, width = std::min(CodeFilters<Dot>::kBlock, filters_ - f);
        fits[block] = transform(filters.block(f), width * channels_, codes_.data() + f * channels_);
        for (int position = 0; position < 16; ++position) start(position, f, width, static_cast<int8_t>(2 * top));
      };
    });
    exact_ = std::all_of(fits.begin(), fits.end(), [](char fit) { return fit; });
  }

  bool exact() const { return exact_; }
  const int8_t* codes(int position, int64_t f) const { return codes_.data() + (position * filters_ + f) * channels_; }
  const int32_t* starts(int position, int64_t f) const { return starts_.data() + position * filters_ + f; }

 private:
  typedef int8_t Bytes16 __attribute__((vector_size(16)));
  typedef int16_t Words16 __attribute__((vector_size(32)));

  // 2 G times three taps.
  static void doubled(const Words16& a, const Words16& b, const Words16& c, Words16 (&to)[4]) {
    to[0] = a + a;
    to[1] = a + b + c;
    to[2] = a - b + c;
    to[3] = c + c;
  }

  // Of a block of filters, `size` codes of each tap; whether the transformed ones are bytes.
  bool transform(const int8_t* w, int64_t size, int8_t* to) const {
    Words16 largest = {};
    for (int64_t i = 0; i < size; i += 16) {
      Words16 taps[9], half[3][4], codes[4];
      for (int tap = 0; tap < 9; ++tap) {
        Bytes16 bytes;
        std::memcpy(&bytes, w + tap * size + i, sizeof bytes);
        taps[tap] = __builtin_convertvector(bytes, Words16);
      }
      for (int j = 0; j < 3; ++j) doubled(taps[j], taps[3 + j], taps[6 + j], half[j]);
      for (int row = 0; row < 4; ++row) {
        doubled(half[0][row], half[1][row], half[2][row], codes);
        for (int j = 0; j < 4; ++j) {
          const Words16 size_of = codes[j] < 0 ? -codes[j] : codes[j];
          largest = size_of > largest ? size_of : largest;
          const Bytes16 bytes = __builtin_convertvector(codes[j], Bytes16);
          std::memcpy(to + (4 * row + j) * filters_ * channels_ + i, &bytes, sizeof bytes);
        }
      }
    }
    int16_t most = 0;
    for (int lane = 0; lane < 16; ++lane) most = std::max(most, largest[lane]);
    return most <= static_cast<int16_t>(kLargestCode);
  }

  // Takes the offset of all inputs off the sums of a block's filters.
  void start(int position, int64_t f, int64_t width, int8_t offset) {
    const int8_t* w = codes(position, f);
    for (int64_t vector = 0; vector < width; vector += Dot::kLanes) {
      typename Dot::Sums sum = {};
      const auto offsets = typename Dot::Sums{} + offset * 0x01010101;
      for (int64_t c = 0; c < channels_; c += 4) {
        typename Dot::Sums v;
        std::memcpy(&v, w + c * width + vector * 4, sizeof v);
        sum = Dot::accumulate(sum, offsets, v);
      }
      sum = -sum;
      std::memcpy(starts_.data() + position * filters_ + f + vector, &sum, sizeof sum);
    }
  }

  int64_t channels_, filters_;
  Bytes codes_;
  std::vector<int32_t> starts_;
  bool exact_;
};

// Row r of B' times four rows (or columns) of codes; r is known to the compiler.
template <int R>
inline int8_t squared(int8_t a, int8_t b, int8_t c, int8_t d) {
  return static_cast<int8_t>(R == 0 ? a - c : R == 1 ? b + c : R == 2 ? c - b : b - d);
}

// to[i] = row R of B' times four sources, and an offset.
template <int R>
inline void square_row(const int8_t* const (&from)[4], int64_t count, int8_t offset, int8_t* __restrict to) {
  const int8_t *a = from[0], *b = from[1], *c = from[2], *d = from[3];
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<int8_t>(squared<R>(a[i], b[i], c[i], d[i]) + offset);
}

inline void square_rows(const int8_t* const (&from)[4], int64_t count, int8_t offset, int8_t* to, int64_t step) {
  square_row<0>(from, count, offset, to);
  square_row<1>(from, count, offset, to + step);
  square_row<2>(from, count, offset, to + 2 * step);
  square_row<3>(from, count, offset, to + 3 * step);
}

// <gy, conv> of one image, some rows of squares after the other.
template <class Dot>
class CodeSquares {
 public:
  typedef float Vector __attribute__((vector_size(4 * Dot::kLanes)));

  explicit CodeSquares(const Geometry& g)
      : g_(g), squares_(g, 2), channels_(round_up(g.c, 4)), filters_(round_up(g.f, Dot::kLanes)),
        rows_(std::max<int64_t>(1, Dot::kRows / squares_.across)), row_(squares_.columns * channels_),
        turned_(2 * 2 * squares_.across * filters_, 0.f), gradients_(16 * rows_ * squares_.across * filters_, 0.f),
        half_(4 * row_ + channels_), inputs_(16 * rows_ * row_) {
    for (int64_t square = 0; square < rows_ * squares_.across; ++square)
      places_.push_back(square / squares_.across * row_ + square % squares_.across * 2 * channels_);
    places_.resize(round_up(rows_ * squares_.across, Dot::kRows), 0);
  }

  // sums[i] = sum over pixels and filters of gy and the sums of images[i], with codes up to tops[i], and filters[i].
  void products(const std::vector<const CodeImage*>& images, const std::vector<int64_t>& tops,
                const std::vector<const SquareFilters<Dot>*>& filters, const float* gy, std::vector<double>& sums) {
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t down = 0; down < squares_.down; down += rows_) {
      const int64_t rows = std::min(rows_, squares_.down - down);
      for (int64_t i = 0; i < rows; ++i) transform_gradients(gy, down + i, i);
      for (size_t k = 0; k < images.size(); ++k) {
        for (int64_t i = 0; i < rows; ++i) transform_codes(*images[k], down + i, i, static_cast<int8_t>(2 * tops[k]));
        sums[k] += multiply(*filters[k], rows) / 4;
      }
    }
  }

 private:
  void transform_gradients(const float* gy, int64_t down, int64_t i) {
    constexpr int L = Dot::kLanes;
    const int64_t line = 2 * squares_.across * filters_;
    for (int64_t r = 0; r < 2; ++r) {
      float* to = turned_.data() + r * line;
      if (2 * down + r < g_.oh)
        transpose(gy + (2 * down + r) * g_.ow, g_.oh * g_.ow, g_.f, g_.ow, to, filters_);
      else
        std::fill_n(to, line, 0.f);
    }
    for (int64_t s = 0; s < squares_.across; ++s)
      for (int64_t f = 0; f < filters_; f += L) {
        const float* top = turned_.data() + 2 * s * filters_ + f;
        const float* const from[] = {top, top + line};
        transform_gradient<FilterBy2, L>(from, filters_, gradients_.data() + (i * squares_.across + s) * filters_ + f,
                                         rows_ * squares_.across * filters_);
      }
  }

  // B' c B of a row of squares and, between them, of what no one reads; with an offset. What lies beyond the image
  // meets gradients of 0.
  void transform_codes(const CodeImage& image, int64_t down, int64_t i, int8_t offset) {
    const int8_t* lines[4];
    for (int r = 0; r < 4; ++r) lines[r] = image.pixel(std::min(2 * down + r, g_.h + 2 * g_.pad - 1), 0);
    square_rows(lines, row_, 0, half_.data(), row_);
    for (int r = 0; r < 4; ++r) {
      const int8_t* t = half_.data() + r * row_;
      square_rows({t, t + channels_, t + 2 * channels_, t + 3 * channels_}, row_ - 3 * channels_, offset,
                  inputs_.data() + 4 * r * rows_ * row_ + i * row_, rows_ * row_);
    }
  }

  double multiply(const SquareFilters<Dot>& filters, int64_t rows) const {
    Vector sum = {};
    for (int position = 0; position < 16; ++position) {
      int64_t f = 0;
      for (; f + Dot::kLanes < filters_; f += 2 * Dot::kLanes)
        multiply_tiles<2, Dot::kRows>(filters, position, f, rows, sum);
      if (f < filters_) multiply_tiles<1, Dot::kRows>(filters, position, f, rows, sum);
    }
    return Vec<Dot::kLanes>::sum(sum);
  }

  template <int GROUPS, int ROWS>
  void multiply_tiles(const SquareFilters<Dot>& filters, int position, int64_t f, int64_t rows, Vector& sum) const {
    const int64_t count = rows * squares_.across;
    const int8_t* inputs = inputs_.data() + position * rows_ * row_;
    const float* gradients = gradients_.data() + position * rows_ * squares_.across * filters_ + f;
    for (int64_t first = 0; first < count; first += ROWS) {
      const int8_t* from[ROWS];
      for (int r = 0; r < ROWS; ++r) from[r] = inputs + places_[first + r];
      typename Dot::Sums start[GROUPS], sums[ROWS][GROUPS];
      std::memcpy(start, filters.starts(position, f), sizeof start);
      code_tile<Dot, ROWS, GROUPS>(from, 0, filters.codes(position, f), 1, channels_, start, sums);
      for (int r = 0; r < std::min<int64_t>(ROWS, count - first); ++r)
        for (int j = 0; j < GROUPS; ++j) {
          Vector gradient;
          std::memcpy(&gradient, gradients + (first + r) * filters_ + j * Dot::kLanes, sizeof gradient);
          sum += __builtin_convertvector(sums[r][j], Vector) * gradient;
        }
    }
  }

  const Geometry& g_;
  Squares squares_;
  int64_t channels_, filters_, rows_, row_;  // rows of squares in a block; bytes of a row of codes
  Floats turned_, gradients_;                // [2][pixels][F]; [16][rows][across][F]
  Bytes half_, inputs_;                      // [4][columns][C]; [16][rows][columns][C]
  std::vector<int64_t> places_;              // of squares in the rows of inputs, for whole tiles
};

}  // namespace lowbit
