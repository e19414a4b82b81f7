// Forward pass of the 3 x 3 convolutions at stride 1, see winograd.h.
#pragma once

#include "conv_float.h"
#include "winograd.h"

namespace lowbit {

// The kernels (F, C, 3, 3) of a convolution, or of the one that leads back from its output gradient to its input
// gradient: channels in the place of filters, taps in the opposite order.
struct Kernels {
  const float* values;
  int64_t filter, channel;  // from one to the next
  int64_t first, tap;       // first tap, and from one to the next

  static Kernels forward(const Geometry& g, const float* w) { return {w, 9 * g.c, 9, 0, 1}; }
  static Kernels backward(const Geometry& back, const float* w) { return {w, 9, 9 * back.f, 8, -1}; }
};

// Transformed kernels [F / (2 LANES)][positions][C][2 LANES], the last block narrower where few are left.
template <class Filter, int LANES>
Floats pack_winograd(const Geometry& g, const Kernels& kernels) {
  const int64_t filters = round_up(g.f, LANES);
  Floats packed(kPositions<Filter> * g.c * filters);
  parallel_for(filters / LANES, [&] {
    return [&](int64_t vector) {
      const int64_t f = vector * LANES, block = f / (2 * LANES) * 2 * LANES;
      const int64_t width = std::min<int64_t>(2 * LANES, filters - block), count = std::min<int64_t>(LANES, g.f - f);
      float* to = packed.data() + kPositions<Filter> * g.c * block + f - block;
      float taps[9 * LANES] = {};
      for (int64_t c = 0; c < g.c; ++c) {
        transpose(kernels.values + f * kernels.filter + c * kernels.channel, kernels.filter, count, 9, taps, LANES);
        transform_kernel<Filter, LANES>(taps + kernels.first * LANES, kernels.tap * LANES, to + c * width, g.c * width);
      }
    };
  });
  return packed;
}

// The outputs of some images, a block of rows of squares after the other.
template <class Filter, int LANES>
class WinogradForward {
 public:
  static constexpr int kStep = Filter::kOutputs;

  explicit WinogradForward(const Geometry& g)
      : g_(g), squares_(g, kStep), channels_(round_up(g.c, LANES)), block_(block_rows(g, squares_)),
        size_(round_up(block_ * squares_.across, 2 * kMatrixRows)), input_(g, squares_, channels_),
        transformed_(kPositions<Filter> * size_ * channels_), products_(kPositions<Filter> * size_ * 2 * LANES),
        outputs_(kStep * kStep * squares_.across * 2 * LANES) {}

  // `read(n)` gives image n as (C, H, W).
  template <class Read, class Finish>
  void run(Read read, const float* packed, int64_t first, int64_t images, float* y, Finish& finish) {
    const int64_t rows = images * squares_.down;
    for (int64_t row = 0; row < rows; row += block_) {
      const int64_t count = std::min(block_, rows - row);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t down = (row + i) % squares_.down;
        input_.move(read(first + (row + i) / squares_.down), g_.c, down, down > 0);
        input_.template transform<LANES>(squares_.across, transformed_.data() + i * squares_.across * channels_,
                                         size_ * channels_);
      }
      int64_t f = 0;
      for (; f + LANES < g_.f; f += 2 * LANES) filters<2>(packed, f, first, row, count, y, finish);
      if (f < g_.f) filters<1>(packed, f, first, row, count, y, finish);
    }
  }

 private:
  // Squares enough for whole tiles, few enough that a block stays in the first cache or, of many channels, the second.
  static int64_t block_rows(const Geometry& g, const Squares& squares) {
    const int64_t most = kStep == 4 ? (g.c < 32 ? 16 : 32) : (g.c < 64 ? 16 : 96);
    return std::max<int64_t>(1, most / squares.across);
  }

  template <int GROUPS, class Finish>
  void filters(const float* packed, int64_t f, int64_t first, int64_t row, int64_t count, float* y, Finish& finish) {
    using V = Vec<LANES>;
    constexpr int64_t kWidth = GROUPS * LANES;
    const int64_t squares = count * squares_.across;
    const float* weights = packed + kPositions<Filter> * g_.c * f;
    // With one vector of filters the sums are half as many: twice the squares, where there are registers for them.
    constexpr int kRows = kManyRegisters && GROUPS == 1 ? 2 * kMatrixRows : kMatrixRows;
    for (int p = 0; p < kPositions<Filter>; ++p)
      for (int64_t s = 0; s < squares; s += kRows) {
        typename V::Float sums[kRows][GROUPS];
        matrix_tile<LANES, kRows, GROUPS>(transformed_.data() + (p * size_ + s) * channels_, channels_, 1,
                                              weights + p * g_.c * kWidth, kWidth, g_.c, sums);
        std::memcpy(products_.data() + (p * size_ + s) * kWidth, sums, sizeof sums);
      }
    for (int64_t i = 0; i < count; ++i) {
      const int64_t n = first + (row + i) / squares_.down, oy = (row + i) % squares_.down * kStep;
      const int64_t filters = std::min<int64_t>(kWidth, g_.f - f), lines = std::min<int64_t>(kStep, g_.oh - oy);
      float* to = y + ((n * g_.f + f) * g_.oh + oy) * g_.ow;
      write_rows<GROUPS>(i, to, filters, lines);
      for (int64_t k = 0; k < filters; ++k)
        finish.change(to + k * g_.oh * g_.ow, n * g_.f + f + k, oy * g_.ow, lines * g_.ow);
    }
  }

  // The rows of outputs of a row of squares, some filters, from [pixels][filters] to their planes.
  template <int GROUPS>
  void write_rows(int64_t i, float* y, int64_t filters, int64_t rows) {
    constexpr int64_t kWidth = GROUPS * LANES;
    const int64_t row = kStep * squares_.across * kWidth;
    for (int64_t s = 0; s < squares_.across; ++s)
      for (int j = 0; j < GROUPS; ++j) {
        float* to[kStep];
        for (int r = 0; r < kStep; ++r) to[r] = outputs_.data() + r * row + kStep * s * kWidth + j * LANES;
        transform_output<Filter, LANES>(products_.data() + (i * squares_.across + s) * kWidth + j * LANES,
                                        size_ * kWidth, to, kWidth);
      }
    for (int64_t r = 0; r < rows; ++r)
      transpose(outputs_.data() + r * row, kWidth, g_.ow, filters, y + r * g_.ow, g_.oh * g_.ow);
  }

  const Geometry& g_;
  Squares squares_;
  int64_t channels_, block_, size_;
  InputRows<Filter> input_;
  Floats transformed_, products_, outputs_;
};

template <class Filter, int LANES, class Finish = AsTheyAre>
void winograd_forward(const Geometry& g, const float* x, const Kernels& kernels, float* y, Finish finish = {}) {
  const auto packed = pack_winograd<Filter, LANES>(g, kernels);
  const Squares squares(g, Filter::kOutputs);
  // Images of few squares go together, so that tiles are full and weights are read less often.
  const int64_t together = std::max<int64_t>(1, (Filter::kOutputs == 4 ? 32 : 64) / (squares.down * squares.across));
  parallel_for((g.n + together - 1) / together, [&] {
    return [&, worker = WinogradForward<Filter, LANES>(g)](int64_t item) mutable {
      const int64_t first = item * together;
      worker.run([&](int64_t n) { return x + n * g.c * g.h * g.w; }, packed.data(), first,
                 std::min(together, g.n - first), y, finish);
    };
  });
}

}  // namespace lowbit
