// What other branches would do to a loss, in integers: <gy, conv(q, w)> of one image, exact but for the last sum.
//
// Levels are whole multiples of a step, q = c down and w = b step. The products of the codes c and b are added by
// instructions of bytes (byte_dot.h), four channels at a time; filters lie in the lanes of vectors:
//
//   image (C, H, W)     codes, channels innermost           sums of pixels and filters       gy turned to [pixels][F]
//   . . . . . . . .     [H + 2 pad][W + 2 pad][C]      ->    [ROWS][GROUPS vectors]      .    of which only the sum of
//                                                                                             all products is kept
#pragma once

#include <cmath>
#include <vector>

#include "aligned.h"
#include "byte_dot.h"
#include "geometry.h"
#include "simd.h"
#include "transpose.h"
#include "uniform.h"

namespace lowbit {

constexpr float kLargestCode = 127;  // that bytes of both kinds hold, see byte_dot.h

using Bytes = std::vector<int8_t, CacheLineAllocator<int8_t>>;

// Filters (F, C, KH, KW) as codes [F / block][KH][KW][C / 4][block][4]: blocks of two vectors of filters, the last one of
// a single vector where few are left.
template <class Dot>
class CodeFilters {
 public:
  static constexpr int64_t kBlock = 2 * Dot::kLanes;

  // `step` 0: the weights are not known to be multiples of anything.
  CodeFilters(const Geometry& g, const float* w, float step)
      : channels_(round_up(g.c, 4)), taps_(g.kh * g.kw), codes_(round_up(g.f, Dot::kLanes) * taps_ * channels_) {
    std::fill(codes_.begin(), codes_.end(), int8_t{0});
    exact_ = step > 0;
    for (int64_t f = 0; f < g.f && exact_; ++f)
      for (int64_t i = 0; i < g.c * taps_ && exact_; ++i) {
        const float value = w[f * g.c * taps_ + i] / step, code = round_even(value);
        exact_ = std::abs(code) <= kLargestCode && std::abs(value - code) < 1e-3f;
        if (exact_) codes_[place(g, f, i / taps_, i % taps_)] = static_cast<int8_t>(code);
      }
  }

  bool exact() const { return exact_; }
  const int8_t* block(int64_t f) const { return codes_.data() + f * taps_ * channels_; }

 private:
  int64_t place(const Geometry& g, int64_t f, int64_t c, int64_t tap) const {
    const int64_t first = f / kBlock * kBlock, width = std::min(kBlock, round_up(g.f, Dot::kLanes) - first);
    return first * taps_ * channels_ + ((tap * channels_ + c / 4 * 4) * width) + (f - first) * 4 + c % 4;
  }

  int64_t channels_, taps_;
  Bytes codes_;
  bool exact_;
};

// Codes of one image at one width, with a border of zeros.
class CodeImage {
 public:
  explicit CodeImage(const Geometry& g)
      : pad_(g.pad), channels_(round_up(g.c, 4)), row_((g.w + 2 * g.pad) * channels_),
        codes_((g.h + 2 * g.pad) * row_ + 4) {
    std::fill(codes_.begin(), codes_.end(), int8_t{0});
  }

  // `values`: a row of the image, channels innermost.
  void fill_row(int64_t y, const float* values, int64_t count, const Channel& level) {
    using V = Vec<kLanes>;
    const auto zero = V::broadcast(0.f), limit = V::broadcast(level.clip);
    int8_t* to = codes_.data() + (y + pad_) * row_ + pad_ * channels_;
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const auto code = V::round_even(V::clip(V::load(values + i), zero, limit) * level.up);
      const auto bytes = __builtin_convertvector(__builtin_convertvector(code, typename V::Int), Lanes);
      std::memcpy(to + i, &bytes, sizeof bytes);
    }
    for (; i < count; ++i) to[i] = static_cast<int8_t>(round_even(level.clamped(values[i]) * level.up));
  }

  int64_t row() const { return row_; }
  const int8_t* pixel(int64_t y, int64_t x) const { return codes_.data() + y * row_ + x * channels_; }

 private:
  typedef int8_t Lanes __attribute__((vector_size(kLanes)));

  int64_t pad_, channels_, row_;
  Bytes codes_;
};

// sums[r][j] = sum over taps and channels of the codes of pixels and those of GROUPS vectors of filters.
template <class Dot, int ROWS, int GROUPS>
inline void code_tile(const int8_t* const (&pixels)[ROWS], int64_t image_row, const int8_t* w, int64_t kh,
                      int64_t row_bytes, typename Dot::Sums (&sums)[ROWS][GROUPS]) {
  typename Dot::Sums acc[ROWS][GROUPS] = {};
  for (int64_t ky = 0; ky < kh; ++ky)
    for (int64_t i = 0; i < row_bytes; i += 4) {
      typename Dot::Sums v[GROUPS];
      std::memcpy(v, w, sizeof v);
      w += sizeof v;
      for (int r = 0; r < ROWS; ++r) {
        int32_t four;
        std::memcpy(&four, pixels[r] + ky * image_row + i, sizeof four);
        const auto x = typename Dot::Sums{} + four;
        for (int j = 0; j < GROUPS; ++j) acc[r][j] = Dot::accumulate(acc[r][j], x, v[j]);
      }
    }
  std::memcpy(sums, acc, sizeof acc);
}

// Sums over the pixels and filters of one image.
template <class Dot>
class CodeProducts {
 public:
  explicit CodeProducts(const Geometry& g)
      : g_(g), channels_(round_up(g.c, 4)), filters_(round_up(g.f, Dot::kLanes)), row_(g.w * channels_, 0.f),
        gradients_(g.oh * g.ow * filters_, 0.f) {}

  void set_gradient(const float* gy) {
    transpose(gy, g_.oh * g_.ow, g_.f, g_.oh * g_.ow, gradients_.data(), filters_);
  }

  // The codes of an image x (C, H, W) at some widths.
  void set_image(const float* x, const std::vector<std::pair<CodeImage*, Channel>>& widths) {
    for (int64_t y = 0; y < g_.h; ++y) {
      transpose(x + y * g_.w, g_.h * g_.w, g_.c, g_.w, row_.data(), channels_);
      for (const auto& [image, level] : widths) image->fill_row(y, row_.data(), g_.w * channels_, level);
    }
  }

  // sum over pixels and filters of gy and the convolution of codes.
  double product(const CodeImage& image, const CodeFilters<Dot>& filters) const {
    double total = 0;
    int64_t f = 0;
    for (; f + Dot::kLanes < filters_; f += 2 * Dot::kLanes) total += filters_product<2, Dot::kRows>(image, filters, f);
    if (f < filters_) total += filters_product<1, Dot::kRows>(image, filters, f);
    return total;
  }

 private:
  template <int GROUPS, int ROWS>
  double filters_product(const CodeImage& image, const CodeFilters<Dot>& filters, int64_t f) const {
    typedef float Floats __attribute__((vector_size(4 * Dot::kLanes)));
    const int64_t pixels = g_.oh * g_.ow;
    double total = 0;
    for (int64_t first = 0; first < pixels; first += ROWS) {
      const int8_t* from[ROWS];
      for (int r = 0; r < ROWS; ++r) {
        const int64_t pixel = std::min(first + r, pixels - 1);
        from[r] = image.pixel(pixel / g_.ow * g_.stride, pixel % g_.ow * g_.stride);
      }
      typename Dot::Sums sums[ROWS][GROUPS];
      code_tile<Dot, ROWS, GROUPS>(from, image.row(), filters.block(f), g_.kh, g_.kw * channels_, sums);
      Floats sum = {};
      for (int r = 0; r < std::min<int64_t>(ROWS, pixels - first); ++r)
        for (int j = 0; j < GROUPS; ++j) {
          Floats gradient;
          std::memcpy(&gradient, gradients_.data() + (first + r) * filters_ + f + j * Dot::kLanes, sizeof gradient);
          sum += __builtin_convertvector(sums[r][j], Floats) * gradient;
        }
      total += Vec<Dot::kLanes>::sum(sum);
    }
    return total;
  }

  const Geometry& g_;
  int64_t channels_, filters_;
  Floats row_, gradients_;
};

}  // namespace lowbit
