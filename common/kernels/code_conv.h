// Convolutions of quantized inputs and weights in integers, which are exact: the forward pass, and <gy, conv(q, w)>.
//
// Levels are whole multiples of a step, q = c down and w = b step. The products of the codes c and b are added by
// instructions of bytes (byte_dot.h), four channels at a time; filters lie in the lanes of vectors:
//
//   image (C, H, W)     codes, channels innermost          sums of pixels and filters      outputs, or gy turned to
//   . . . . . . . .     [H + 2 pad][W + 2 pad][C]     ->   [ROWS][GROUPS vectors]    ->    [pixels][F] times the sums
#pragma once

#include <cmath>
#include <vector>

#include "aligned.h"
#include "byte_dot.h"
#include "geometry.h"
#include "parallel.h"
#include "simd.h"
#include "transpose.h"
#include "uniform.h"

namespace lowbit {

constexpr float kLargestCode = 127;  // that bytes of both kinds hold, see byte_dot.h

using Bytes = std::vector<int8_t, CacheLineAllocator<int8_t>>;
typedef int8_t ByteLanes __attribute__((vector_size(kLanes)));

// Whole floats of a byte.
inline ByteLanes narrowed(Vec<kLanes>::Float codes) {
  return __builtin_convertvector(__builtin_convertvector(codes, Vec<kLanes>::Int), ByteLanes);
}

// Filters (F, C, KH, KW) as codes [F / block][KH][KW][C / 4][block][4]: blocks of two vectors of filters, the last one
// of a single vector where few are left.
template <class Dot>
class CodeFilters {
 public:
  static constexpr int64_t kBlock = 2 * Dot::kLanes;

  explicit CodeFilters(const Geometry& g)
      : g_(g), channels_(round_up(g.c, 4)), filters_(round_up(g.f, Dot::kLanes)), taps_(g.kh * g.kw),
        codes_(filters_ * taps_ * channels_) {}

  // Takes in the block of filters from f on, of all filters w; whether they are whole multiples of a step.
  bool fill(const float* w, float step, int64_t f) {
    std::vector<int8_t> codes(channels_ * taps_);
    const int64_t size = g_.c * taps_, end = std::min(f + kBlock, filters_);
    bool fit = true;
    for (; f < std::min(end, g_.f); ++f) {
      fit &= codes_of(w + f * size, size, 1 / step, codes.data());
      pack(f, codes.data());
    }
    std::fill(codes.begin(), codes.end(), int8_t{0});
    for (; f < end; ++f) pack(f, codes.data());
    return fit;
  }

  const int8_t* block(int64_t f) const { return codes_.data() + f * taps_ * channels_; }

 private:
  // Whether weights are whole numbers of a byte, and these.
  static bool codes_of(const float* w, int64_t count, float inverse, int8_t* codes) {
    using V = Vec<kLanes>;
    const auto limit = V::broadcast(kLargestCode);
    auto rest = V::broadcast(0.f);
    for (int64_t i = 0; i < count; i += kLanes) {
      const int64_t lanes = std::min<int64_t>(kLanes, count - i);
      const auto value = V::load(w + i, lanes) * inverse;
      const auto code = V::round_even(V::clip(value, -limit, limit)), off = V::abs(value - code);
      const auto bytes = narrowed(code);
      std::memcpy(codes + i, &bytes, lanes);
      rest = off > rest ? off : rest;
    }
    float largest = 0;
    for (int lane = 0; lane < kLanes; ++lane) largest = std::max(largest, rest[lane]);
    return largest < 1e-3f;
  }

  // The codes (C rounded up, KH, KW) of filter f to their place.
  void pack(int64_t f, const int8_t* codes) {
    const int64_t first = f / kBlock * kBlock, width = std::min(kBlock, filters_ - first);
    int8_t* to = codes_.data() + first * taps_ * channels_ + (f - first) * 4;
    for (int64_t tap = 0; tap < taps_; ++tap)
      for (int64_t c = 0; c < channels_; c += 4, to += 4 * width) {
        const int8_t* from = codes + c * taps_ + tap;
        const int8_t four[] = {from[0], from[taps_], from[2 * taps_], from[3 * taps_]};
        std::memcpy(to, four, sizeof four);
      }
  }

  const Geometry& g_;
  int64_t channels_, filters_, taps_;
  Bytes codes_;
};

// Codes of one image at one width, with a border of zeros.
class CodeImage {
 public:
  explicit CodeImage(const Geometry& g)
      : pad_(g.pad), channels_(round_up(g.c, 4)), row_((g.w + 2 * g.pad) * channels_),
        codes_((g.h + 2 * g.pad) * row_ + 2 * channels_) {  // squares (code_squares.h) reach beyond the last row
    std::fill(codes_.begin(), codes_.end(), int8_t{0});
  }

  // `values`: a row of the image, channels innermost.
  void fill_row(int64_t y, const float* values, int64_t count, const Channel& level) {
    using V = Vec<kLanes>;
    const auto zero = V::broadcast(0.f), limit = V::broadcast(level.clip);
    int8_t* to = codes_.data() + (y + pad_) * row_ + pad_ * channels_;
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const auto bytes = narrowed(V::round_even(V::clip(V::load(values + i), zero, limit) * level.up));
      std::memcpy(to + i, &bytes, sizeof bytes);
    }
    for (; i < count; ++i) to[i] = static_cast<int8_t>(round_even(level.clamped(values[i]) * level.up));
  }

  int64_t row() const { return row_; }
  const int8_t* pixel(int64_t y, int64_t x) const { return codes_.data() + y * row_ + x * channels_; }

 private:
  int64_t pad_, channels_, row_;
  Bytes codes_;
};

// One vector at a time: of several in one copy GCC makes a copy in memory.
template <class Dot>
inline typename Dot::Sums load_sums(const void* from) {
  typename Dot::Sums sums;
  std::memcpy(&sums, from, sizeof sums);
  return sums;
}

// sums[r][j] = start[j] + sum over taps and channels of the codes of pixels and those of GROUPS vectors of filters.
template <class Dot, int ROWS, int GROUPS>
inline void code_tile(const int8_t* const (&pixels)[ROWS], int64_t image_row, const int8_t* w, int64_t kh,
                      int64_t row_bytes, const typename Dot::Sums (&start)[GROUPS],
                      typename Dot::Sums (&sums)[ROWS][GROUPS]) {
  typename Dot::Sums acc[ROWS][GROUPS];
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < GROUPS; ++j) acc[r][j] = start[j];
  for (int64_t ky = 0; ky < kh; ++ky)
    for (int64_t i = 0; i < row_bytes; i += 4) {
      typename Dot::Sums v[GROUPS];
      for (int j = 0; j < GROUPS; ++j, w += sizeof v[0]) v[j] = load_sums<Dot>(w);
      for (int r = 0; r < ROWS; ++r) {
        int32_t four;
        std::memcpy(&four, pixels[r] + ky * image_row + i, sizeof four);
        const auto x = typename Dot::Sums{} + four;
        for (int j = 0; j < GROUPS; ++j) acc[r][j] = Dot::accumulate(acc[r][j], x, v[j]);
      }
    }
  std::memcpy(sums, acc, sizeof acc);
}

// The sums of one image at some widths, a block of pixels after the other.
template <class Dot>
class CodeConv {
 public:
  static constexpr int64_t kPixels = 64;  // of a block
  typedef float Vector __attribute__((vector_size(4 * Dot::kLanes)));

  explicit CodeConv(const Geometry& g)
      : g_(g), channels_(round_up(g.c, 4)), filters_(round_up(g.f, Dot::kLanes)), row_(g.w * channels_, 0.f),
        block_(kPixels * filters_, 0.f) {
    const CodeImage image(g);
    for (int64_t pixel = 0; pixel < g.oh * g.ow; ++pixel)
      places_.push_back(image.pixel(pixel / g.ow * g.stride, pixel % g.ow * g.stride) - image.pixel(0, 0));
    places_.resize(places_.size() + 2 * Dot::kRows, 0);
  }

  // The codes of an image x (C, H, W) at some widths.
  void set_image(const float* x, const std::vector<std::pair<CodeImage*, Channel>>& widths) {
    for (int64_t y = 0; y < g_.h; ++y) {
      turn_row(x + y * g_.w, g_.h * g_.w, g_.c, g_.w, row_.data(), channels_);
      for (const auto& [image, level] : widths) image->fill_row(y, row_.data(), g_.w * channels_, level);
    }
  }

  // Outputs y (F, OH, OW): the sums times `unit`.
  void outputs(const CodeImage& image, const CodeFilters<Dot>& filters, float unit, float* y) {
    for_blocks([&](int64_t first, int64_t count) {
      for_sums(image, filters, first, count, [&](int64_t at, const typename Dot::Sums& sums) {
        const Vector value = __builtin_convertvector(sums, Vector) * unit;
        std::memcpy(block_.data() + at, &value, sizeof value);
      });
      transpose(block_.data(), filters_, count, g_.f, y + first, g_.oh * g_.ow);
    });
  }

  // sums[i] = sum over pixels and filters of gy and the sums of images[i] and filters[i].
  void products(const std::vector<const CodeImage*>& images, const std::vector<const CodeFilters<Dot>*>& filters,
                const float* gy, std::vector<double>& sums) {
    std::fill(sums.begin(), sums.end(), 0);
    for_blocks([&](int64_t first, int64_t count) {
      transpose(gy + first, g_.oh * g_.ow, g_.f, count, block_.data(), filters_);
      for (size_t i = 0; i < images.size(); ++i) {
        Vector sum = {};
        for_sums(*images[i], *filters[i], first, count, [&](int64_t at, const typename Dot::Sums& products) {
          Vector gradient;
          std::memcpy(&gradient, block_.data() + at, sizeof gradient);
          sum += __builtin_convertvector(products, Vector) * gradient;
        });
        sums[i] += Vec<Dot::kLanes>::sum(sum);
      }
    });
  }

 private:
  template <class Visit>
  void for_blocks(Visit visit) const {
    const int64_t pixels = g_.oh * g_.ow;
    for (int64_t first = 0; first < pixels; first += kPixels) visit(first, std::min(kPixels, pixels - first));
  }

  // Calls visit(place in the block [pixels][filters], sums of a vector of filters) for all of a block.
  template <class Visit>
  void for_sums(const CodeImage& image, const CodeFilters<Dot>& filters, int64_t first, int64_t count,
                Visit visit) const {
    int64_t f = 0;
    for (; f + Dot::kLanes < filters_; f += 2 * Dot::kLanes)
      for_tiles<2, Dot::kRows>(image, filters, f, first, count, visit);
    if (f < filters_) for_tiles<1, 2 * Dot::kRows>(image, filters, f, first, count, visit);
  }

  // Not part of its caller: beside other loops, GCC keeps the sums of its tiles in memory.
  template <int GROUPS, int ROWS, class Visit>
  LOWBIT_ONE_COPY void for_tiles(const CodeImage& image, const CodeFilters<Dot>& filters, int64_t f, int64_t first,
                                 int64_t count, Visit& visit) const {
    for (int64_t start = 0; start < count; start += ROWS) {
      const int8_t* from[ROWS];
      for (int r = 0; r < ROWS; ++r) from[r] = image.pixel(0, 0) + places_[first + start + r];
      typename Dot::Sums sums[ROWS][GROUPS];
      code_tile<Dot, ROWS, GROUPS>(from, image.row(), filters.block(f), g_.kh, g_.kw * channels_, {}, sums);
      for (int r = 0; r < std::min<int64_t>(ROWS, count - start); ++r)
        for (int j = 0; j < GROUPS; ++j) visit((start + r) * filters_ + f + j * Dot::kLanes, sums[r][j]);
    }
  }

  const Geometry& g_;
  int64_t channels_, filters_;
  Floats row_, block_;           // channels or filters innermost
  std::vector<int64_t> places_;  // of the first input of each pixel, for whole tiles
};

}  // namespace lowbit
