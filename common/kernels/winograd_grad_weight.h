// Gradient of the 3 x 3 convolutions at stride 1 for their weights, see winograd.h:
//
//   gw = G' [ sum over squares of all images (A gy A') * (B' x B) ] G
//
// Each position of a square is a product of matrices again, [C][squares] x [squares][F].
#pragma once

#include "conv_float.h"
#include "winograd.h"

namespace lowbit {

// The sums of one item of work: some images, some channels and some filters.
template <class Filter, int LANES>
class WinogradWeightGradient {
 public:
  static constexpr int kStep = Filter::kOutputs;
  static constexpr int64_t kChannels = 64, kFilterGroup = 128;  // most of them that one item takes

  explicit WinogradWeightGradient(const Geometry& g)
      : g_(g), squares_(g, kStep), channels_(round_up(std::min(g.c, kChannels), LANES)),
        filters_(round_up(std::min(g.f, kFilterGroup), LANES)),
        block_(std::max<int64_t>(1, (kStep == 4 ? 16 : 32) / squares_.across)),
        input_(g, squares_, channels_), gradients_(kStep * kStep * squares_.across * filters_, 0.f),
        x_(kPositions<Filter> * block_ * squares_.across * channels_ + kMatrixRows),
        gy_(kPositions<Filter> * block_ * squares_.across * filters_) {}

  // Sums to gw [positions][C][filters] for channels from c0 on and filters from f0 on, over images [first, first +
  // images).
  template <class Prepare>
  void sum(const float* x, const float* gy, int64_t first, int64_t images, int64_t c0, int64_t f0, float* gw,
           int64_t filters, const Prepare& prepare) {
    const int64_t rows = images * squares_.down, channels = std::min(kChannels, g_.c - c0);
    for (int64_t row = 0; row < rows; row += block_) {
      const int64_t count = std::min(block_, rows - row);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t n = first + (row + i) / squares_.down, down = (row + i) % squares_.down;
        input_.move(x + (n * g_.c + c0) * g_.h * g_.w, channels, down, down > 0,
                    [&](float* values, int64_t size) { prepare(n, values, size); });
        input_.template transform<LANES>(squares_.across, x_.data() + i * squares_.across * channels_,
                                         block_ * squares_.across * channels_);
        transform_gradients(gy + (n * g_.f + f0) * g_.oh * g_.ow, std::min(kFilterGroup, g_.f - f0), down, i);
      }
      multiply(count * squares_.across, channels, std::min(filters_, filters - f0), gw + c0 * filters + f0, filters,
               row > 0);
    }
  }

 private:
  // One row of squares of gy, filters innermost; beyond the image it is zero.
  void transform_gradients(const float* gy, int64_t count, int64_t down, int64_t i) {
    const int64_t row = kStep * squares_.across * filters_;
    for (int64_t r = 0; r < kStep; ++r) {
      if (kStep * down + r < g_.oh)
        turn_row(gy + (kStep * down + r) * g_.ow, g_.oh * g_.ow, count, g_.ow, gradients_.data() + r * row, filters_);
      else
        std::fill_n(gradients_.data() + r * row, row, 0.f);
    }
    float* to = gy_.data() + i * squares_.across * filters_;
    for (int64_t at = 0; at < squares_.across; ++at)
      for (int64_t f = 0; f < filters_; f += LANES) {
        const float* from[kStep];
        for (int r = 0; r < kStep; ++r) from[r] = gradients_.data() + r * row + kStep * at * filters_ + f;
        transform_gradient<Filter, LANES>(from, filters_, to + at * filters_ + f, block_ * squares_.across * filters_);
      }
  }

  // `go_on`: whether sums are added to those that gw has.
  void multiply(int64_t squares, int64_t channels, int64_t filters, float* gw, int64_t gw_row, bool go_on) const {
    for (int64_t p = 0; p < kPositions<Filter>; ++p, gw += g_.c * gw_row)
      for (int64_t c = 0; c < channels; c += kMatrixRows) {
        int64_t f = 0;
        for (; f + LANES < filters; f += 2 * LANES) multiply_tile<2>(p, c, f, squares, channels, gw, gw_row, go_on);
        if (f < filters) multiply_tile<1>(p, c, f, squares, channels, gw, gw_row, go_on);
      }
  }

  template <int GROUPS>
  void multiply_tile(int64_t p, int64_t c, int64_t f, int64_t squares, int64_t channels, float* gw,
                     int64_t gw_row, bool go_on) const {
    using V = Vec<LANES>;
    const int64_t position = block_ * squares_.across;
    typename V::Float sums[kMatrixRows][GROUPS];
    matrix_tile<LANES, kMatrixRows, GROUPS>(x_.data() + p * position * channels_ + c, 1, channels_,
                                          gy_.data() + p * position * filters_ + f, filters_, squares, sums);
    for (int64_t i = 0; i < std::min<int64_t>(kMatrixRows, channels - c); ++i)
      for (int j = 0; j < GROUPS; ++j) {
        float* to = gw + (c + i) * gw_row + f + j * LANES;
        V::store(to, go_on ? V::load(to) + sums[i][j] : sums[i][j]);
      }
  }

  const Geometry& g_;
  Squares squares_;
  int64_t channels_, filters_, block_;
  InputRows<Filter> input_;
  Floats gradients_, x_, gy_;
};

// Adds the blocks' sums [blocks][positions][C][filters] and transforms them to gw (F, C, 3, 3).
template <class Filter, int LANES>
void finish_winograd(const Geometry& g, const Floats& partial, int64_t blocks, float* gw) {
  using V = Vec<LANES>;
  const int64_t filters = round_up(g.f, LANES), size = kPositions<Filter> * g.c * filters, taps = g.c * 9;
  parallel_for(filters / LANES, [&] {
    return [&, turned = Floats(taps * LANES)](int64_t vector) mutable {
      for (int64_t c = 0; c < g.c; ++c) {
        typename V::Float sums[Filter::kInputs][Filter::kInputs] = {};
        for (int64_t b = 0; b < blocks; ++b)
          for (int p = 0; p < kPositions<Filter>; ++p)
            sums[p / Filter::kInputs][p % Filter::kInputs] +=
                V::load(partial.data() + b * size + (p * g.c + c) * filters + vector * LANES);
        transform_kernel_gradient<Filter, LANES>(sums, turned.data() + c * 9 * LANES, LANES);
      }
      transpose(turned.data(), LANES, taps, std::min<int64_t>(LANES, g.f - vector * LANES), gw + vector * LANES * taps,
                taps);
    };
  });
}

template <class Filter, int LANES, class Prepare>
void winograd_grad_weight(const Geometry& g, const float* x, const float* gy, float* gw, const Prepare& prepare) {
  using Gradient = WinogradWeightGradient<Filter, LANES>;
  // A fixed number of blocks of images with sums of their own, added in order: the result does not depend on threads.
  const int64_t filters = round_up(g.f, LANES), size = kPositions<Filter> * g.c * filters;
  const int64_t most = std::max<int64_t>(1, kBlockBytes / (4 * size));
  const int64_t per_block = (g.n + std::min(most, int64_t(8)) - 1) / std::min(most, int64_t(8));
  const int64_t blocks = (g.n + per_block - 1) / per_block;
  const int64_t channel_groups = (g.c + Gradient::kChannels - 1) / Gradient::kChannels;
  const int64_t groups = channel_groups * ((g.f + Gradient::kFilterGroup - 1) / Gradient::kFilterGroup);
  Floats partial(blocks * size);
  parallel_for(blocks * groups, [&] {
    return [&, gradient = Gradient(g)](int64_t item) mutable {
      const int64_t block = item / groups, group = item % groups, first = block * per_block;
      const int64_t images = std::min(g.n, first + per_block) - first;
      gradient.sum(x, gy, first, images, group % channel_groups * Gradient::kChannels,
                   group / channel_groups * Gradient::kFilterGroup, partial.data() + block * size, filters, prepare);
    };
  });
  finish_winograd<Filter, LANES>(g, partial, blocks, gw);
}

}  // namespace lowbit
