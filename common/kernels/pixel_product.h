// Products of matrices whose filters lie in the lanes of vectors, values of pixels are broadcast:
//
//   sums[pixel][filter] = sum_k a[k][pixel] w[filter][k],   k in order
//
// Such a tile is full at any size of an image, and so reaches 15 of 16 multiply-adds per cycle and more.
#pragma once

#include <type_traits>

#include "aligned.h"
#include "geometry.h"
#include "parallel.h"
#include "simd.h"
#include "transpose.h"

namespace lowbit {

// Pixels of a tile of at most two vectors of filters: 28 sums of 32 registers, 12 of 16.
constexpr int kPixels = kManyRegisters ? 14 : 6;

// Filters of a block: GROUPS vectors.
template <int LANES, int GROUPS>
struct FilterVectors {
  static constexpr int kLanes = LANES, kGroups = GROUPS;
  static constexpr int64_t kWidth = LANES * GROUPS;
  using Sums = typename Vec<LANES>::Float[GROUPS];
};

// Weights (F, K) as blocks of two vectors of filters, then of one, then of half of one: [block][K][filters of it].
// Filters beyond F and rows beyond K are zero.
class FilterBlocks {
 public:
  FilterBlocks(const float* w, int64_t filters, int64_t depth, int64_t rows)
      : filters_(filters), rows_(rows), values_(rows * round_up(filters, kLanes), 0.f) {
    const auto pack = [&](int64_t pair) {
      const int64_t first = pair * 2 * kLanes, count = std::min<int64_t>(2 * kLanes, filters - first);
      each_of(first, count, [&](auto vectors, int64_t f, const float* block) {
        transpose(w + f * depth, depth, std::min(vectors.kWidth, filters - f), depth, const_cast<float*>(block),
                  vectors.kWidth);
      });
    };
    const int64_t pairs = (filters + 2 * kLanes - 1) / (2 * kLanes);
    if (filters * depth < kAlone) {
      for (int64_t pair = 0; pair < pairs; ++pair) pack(pair);
    } else {
      parallel_for(pairs, [&] { return pack; });
    }
  }
  FilterBlocks(const float* w, int64_t filters, int64_t depth) : FilterBlocks(w, filters, depth, depth) {}

  // Calls work(FilterVectors, first filter, block) for every block.
  template <class Work>
  void each(Work work) const {
    each_of(0, filters_, work);
  }

 private:
  static constexpr int kHalf = kLanes > 4 ? kLanes / 2 : kLanes;  // of 4 lanes there is no half
  static constexpr int64_t kAlone = 1 << 16;  // weights that are packed before another thread has started

  template <class Work>
  void each_of(int64_t first, int64_t count, Work work) const {
    const auto visit = [&](auto vectors) {
      work(vectors, first, values_.data() + first * rows_);
      first += vectors.kWidth;
    };
    const int64_t end = first + count;
    while (end - first > kLanes + kHalf % kLanes) visit(FilterVectors<kLanes, 2>());
    if (end - first > kHalf) visit(FilterVectors<kLanes, 1>());
    if (first < end) visit(FilterVectors<kHalf, 1>());
  }

  int64_t filters_, rows_;
  Floats values_;
};

// Value k of pixel p stands at (k / run) jump + k % run step + p PIXEL.
template <int PIXEL>
struct PixelMatrix {
  const float* values;
  int64_t runs, run, step, jump;
};

// Rows of `size` pixels, one per k.
inline PixelMatrix<1> pixel_rows(const float* values, int64_t rows, int64_t size) { return {values, 1, rows, size, 0}; }

// Sums of ROWS pixels, [pixel][filters of the block]. A function of its own: beside other code the compiler keeps some
// of the sums in memory.
template <class Vectors, int ROWS, int PIXEL>
LOWBIT_ONE_COPY void pixel_tile(const PixelMatrix<PIXEL>& a, int64_t pixel, const float* w, float* to) {
  using V = Vec<Vectors::kLanes>;
  typename V::Float acc[ROWS][Vectors::kGroups] = {};
  for (int64_t block = 0; block < a.runs; ++block) {
    const float* from = a.values + block * a.jump + pixel * PIXEL;
    for (int64_t k = 0; k < a.run; ++k, from += a.step, w += Vectors::kWidth) {
      typename V::Float v[Vectors::kGroups];
      for (int j = 0; j < Vectors::kGroups; ++j) v[j] = V::load(w + j * Vectors::kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < ROWS; ++i) {
        const auto value = V::broadcast(from[i * PIXEL]);
        for (int j = 0; j < Vectors::kGroups; ++j) acc[i][j] += value * v[j];
      }
    }
  }
  std::memcpy(to, acc, sizeof acc);
}

// Calls visit(rows, pixel) for tiles of kPixels pixels, or of half as many, that cover [0, count) and up to
// kPixels - 1 more.
template <class Visit>
void for_tiles(int64_t count, Visit visit) {
  int64_t pixel = 0;
  for (; count - pixel > kPixels / 2; pixel += kPixels) visit(std::integral_constant<int, kPixels>(), pixel);
  if (pixel < count) visit(std::integral_constant<int, kPixels / 2>(), pixel);
}

// Sums [pixel][filters of the block] of the pixels [0, count); `a` and `to` have room for kPixels - 1 more.
template <class Vectors, int PIXEL>
void pixel_product(const PixelMatrix<PIXEL>& a, int64_t count, const float* w, float* to) {
  for_tiles(count, [&](auto rows, int64_t pixel) {
    pixel_tile<Vectors, rows>(a, pixel, w, to + pixel * Vectors::kWidth);
  });
}

// Sums [pixel][WIDTH filters] as outputs [pixel, pixel + count) of planes of `plane_size`, from number `plane` on, and
// what is done with them, see finish.h.
template <int64_t WIDTH, class Finish>
void write_planes(const float* sums, int64_t plane, int64_t filters, int64_t plane_size, int64_t pixel, int64_t count,
                  float* y, Finish& finish) {
  transpose(sums, WIDTH, count, filters, y + plane * plane_size + pixel, plane_size);
  for (int64_t f = plane; f < plane + filters; ++f) finish.change(y + f * plane_size + pixel, f, pixel, count);
}

}  // namespace lowbit
