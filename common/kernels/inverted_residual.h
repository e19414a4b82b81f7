// A convolution, a depthwise one and a projection of 1 x 1 by given statistics of their norms, in one pass over an image:
// inverted residual blocks (Sandler et al., CVPR 2018, figure 4) in evaluation.
//
//   y = norm(project * act(norm(depthwise * act(norm(first * x))))) [+ x]
//
// What the first convolution makes of an image has several times the channels of x and y. It exists some rows at a
// time, in the cache, channels in the lanes of vectors, so that all tiles are full whatever the size of the image:
//
//   x planes -> panel [C KH KW][pixels] -> ring of rows [block of channels][row][column][lane]
//                                       -> [block][pixels of the strip][lane] -> y planes
//
// Each sum has the order that it has in an operator of its own, so the bits are those of one layer after the other.
#pragma once

#include "conv_float.h"
#include "copy_row.h"
#include "normalize.h"
#include "pixel_product.h"

namespace lowbit {

constexpr int64_t kStripBytes = 3 << 17;  // of the rows between the convolutions: they stay in the second cache

// The three layers; weights in the order of their tiles.
struct InvertedResidual {
  Geometry first, depthwise;  // the latter's of one channel
  int64_t hidden, blocks, f;  // channels between, in vectors; filters of the projection
  FilterBlocks first_weights, project_weights;
  Floats depthwise_weights;  // [block][tap][lane]
  NormalizeLanes first_norm, depthwise_norm;

  InvertedResidual(const Geometry& first_conv, const Geometry& depthwise_conv, int64_t filters, const float* const (&w)[3],
                   const Statistics& first_statistics, const Statistics& depthwise_statistics)
      : first(first_conv), depthwise(depthwise_conv), hidden(first.f), blocks(round_up(hidden, kLanes) / kLanes),
        f(filters), first_weights(w[0], hidden, first.c * first.kh * first.kw),
        project_weights(w[2], f, hidden, blocks * kLanes), depthwise_weights(blocks * kLanes * taps(), 0.f),
        first_norm(first_statistics, hidden), depthwise_norm(depthwise_statistics, hidden) {
    for (int64_t c = 0; c < hidden; ++c)
      for (int64_t t = 0; t < taps(); ++t)
        depthwise_weights[(c / kLanes * taps() + t) * kLanes + c % kLanes] = w[1][c * taps() + t];
  }

  int64_t taps() const { return depthwise.kh * depthwise.kw; }
};

// The rows that the depthwise convolution reads: a ring of them, [block][row][column][lane], between columns of zeros.
class HiddenRows {
 public:
  HiddenRows(const Geometry& g, int64_t blocks, int64_t rows)
      : g_(g), rows_(rows), row_((g.w + 2 * g.pad) * kLanes), block_(rows * row_), zeros_(row_, 0.f),
        values_(blocks * block_, 0.f) {}

  float* block(int64_t block) { return values_.data() + block * block_; }

  // Where the pixels of rows [first, first + rows) stand in a block.
  std::vector<int64_t> places(int64_t first, int64_t rows) const {
    std::vector<int64_t> places;
    for (int64_t y = first; y < first + rows; ++y)
      for (int64_t x = 0; x < g_.w; ++x) places.push_back(y % rows_ * row_ + (x + g_.pad) * kLanes);
    return places;
  }

  // Row `row` of a block with its border; of zeros where it is border itself.
  const float* row(int64_t block, int64_t row) const {
    return row < 0 || row >= g_.h ? zeros_.data() : values_.data() + block * block_ + row % rows_ * row_;
  }

 private:
  const Geometry& g_;
  int64_t rows_, row_, block_;
  Floats zeros_, values_;
};

// Sums of a row of the depthwise convolution, some pixels at a time. KERNEL x KERNEL and STRIDE are those of `g`, or 0.
template <int KERNEL, int STRIDE, int PIXELS>
void depthwise_row(const Geometry& g, const float* const* rows, const float* w, const NormalizeLanes::Vector<kLanes>& norm,
                   float* to) {
  using V = Vec<kLanes>;
  const int64_t kh = KERNEL ? KERNEL : g.kh, kw = KERNEL ? KERNEL : g.kw;
  const int64_t step = (STRIDE ? STRIDE : g.stride) * kLanes;
  for (int64_t x = 0; x < g.ow; x += PIXELS) {
    const int64_t first = std::min(x, g.ow - PIXELS);  // the last tile ends with the row
    V::Float acc[PIXELS];  // from a 0 that the compiler does not know: of two products it might round either
    for (auto& sum : acc) sum = norm.low;
    for (int64_t u = 0; u < kh; ++u)
      for (int64_t v = 0; v < kw; ++v) {
        const auto weight = V::load(w + (u * kw + v) * kLanes);
        const float* from = rows[u] + first * step + v * kLanes;
        for (int i = 0; i < PIXELS; ++i) acc[i] += V::load(from + i * step) * weight;
      }
    for (int i = 0; i < PIXELS; ++i) V::store(to + (first + i) * kLanes, norm(acc[i]));
  }
}

template <int KERNEL, int STRIDE>
auto depthwise_row_of(int64_t columns) {
  if (columns % 7 == 0) return depthwise_row<KERNEL, STRIDE, 7>;
  if (columns >= 8) return depthwise_row<KERNEL, STRIDE, 8>;
  return columns >= 4 ? depthwise_row<KERNEL, STRIDE, 4> : depthwise_row<KERNEL, STRIDE, 1>;
}

inline auto depthwise_row_of(const Geometry& g) {
  const bool known = g.kh == 3 && g.kw == 3;
  if (known && g.stride == 1) return depthwise_row_of<3, 1>(g.ow);
  if (known && g.stride == 2) return depthwise_row_of<3, 2>(g.ow);
  return g.ow >= 4 ? depthwise_row<0, 0, 4> : depthwise_row<0, 0, 1>;
}

}  // namespace lowbit
