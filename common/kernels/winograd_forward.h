// Forward pass of the 3 x 3 convolutions at stride 1, see winograd.h.
#pragma once

#include "conv_float.h"
#include "winograd.h"

namespace lowbit {

// The kernels (F, C, 3, 3) of a convolution, or of the one that leads back from its output gradient to its input
// gradient: channels in the place of filters, taps in the opposite order.
struct Kernels {
  int64_t filter, channel;  // from one to the next
  int64_t first, tap;       // first tap, and from one to the next

  static Kernels forward(const Geometry& g) { return {9 * g.c, 9, 0, 1}; }
  static Kernels backward(const Geometry& back) { return {9, 9 * back.f, 8, -1}; }
};

// Transformed kernels [part][F / (2 LANES)][positions][C][2 LANES], a part's last block narrower where few are left.
template <class Filter, int LANES>
Floats pack_winograd(const Geometry& g, const Parts& parts, const Kernels& kernels) {
  const int64_t filters = round_up(g.f, LANES), size = kPositions<Filter> * g.c * filters, vectors = filters / LANES;
  Floats packed(static_cast<int64_t>(parts.size()) * size);
  parallel_for(static_cast<int64_t>(parts.size()) * vectors, [&] {
    return [&](int64_t item) {
      const int64_t part = item / vectors, f = item % vectors * LANES, block = f / (2 * LANES) * 2 * LANES;
      const int64_t width = std::min<int64_t>(2 * LANES, filters - block), count = std::min<int64_t>(LANES, g.f - f);
      float* to = packed.data() + part * size + kPositions<Filter> * g.c * block + f - block;
      float taps[9 * LANES] = {};
      for (int64_t c = 0; c < g.c; ++c) {
        transpose(parts[part].w + f * kernels.filter + c * kernels.channel, kernels.filter, count, 9, taps, LANES);
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

  // Of images with these numbers, `prepare` as in images.h.
  template <class Prepare, class Finish>
  void run(const float* x, const float* packed, const int64_t* numbers, int64_t images, float* y,
           const Prepare& prepare, Finish& finish) {
    const int64_t rows = images * squares_.down;
    for (int64_t row = 0; row < rows; row += block_) {
      const int64_t count = std::min(block_, rows - row);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t down = (row + i) % squares_.down, n = numbers[(row + i) / squares_.down];
        input_.move(x + n * g_.c * g_.h * g_.w, g_.c, down, down > 0,
                    [&](float* values, int64_t size) { prepare(n, values, size); });
        input_.template transform<LANES>(squares_.across, transformed_.data() + i * squares_.across * channels_,
                                         size_ * channels_);
      }
      int64_t f = 0;
      for (; f + LANES < g_.f; f += 2 * LANES) filters<2>(packed, f, numbers, row, count, y, finish);
      if (f < g_.f) filters<1>(packed, f, numbers, row, count, y, finish);
    }
  }

 private:
  // Squares enough for whole tiles, few enough that a block stays in the first cache or, of many channels, the second.
  static int64_t block_rows(const Geometry& g, const Squares& squares) {
    const int64_t most = kStep == 4 ? (g.c < 32 ? 16 : 32) : (g.c < 64 ? 16 : 96);
    return std::max<int64_t>(1, most / squares.across);
  }

  template <int GROUPS, class Finish>
  void filters(const float* packed, int64_t f, const int64_t* numbers, int64_t row, int64_t count, float* y,
               Finish& finish) {
    using V = Vec<LANES>;
    constexpr int64_t kWidth = GROUPS * LANES;
    const int64_t squares = count * squares_.across, filters = std::min<int64_t>(kWidth, g_.f - f);
    // Calls visit(i, first plane, first row, rows) for each row of squares.
    const auto for_rows = [&](auto visit) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t n = numbers[(row + i) / squares_.down], oy = (row + i) % squares_.down * kStep;
        visit(i, n * g_.f + f, oy, std::min<int64_t>(kStep, g_.oh - oy));
      }
    };
    for_rows([&](int64_t, int64_t plane, int64_t oy, int64_t lines) {
      for (int64_t k = 0; k < filters; ++k) finish.expect(plane + k, oy * g_.ow, lines * g_.ow);
    });
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
    for_rows([&](int64_t i, int64_t plane, int64_t oy, int64_t lines) {
      float* to = y + (plane * g_.oh + oy) * g_.ow;
      write_rows<GROUPS>(i, to, filters, lines);
      for (int64_t k = 0; k < filters; ++k)
        finish.change(to + k * g_.oh * g_.ow, plane + k, oy * g_.ow, lines * g_.ow);
    });
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

template <class Filter, int LANES, class Finish, class Prepare>
void winograd_forward(const Geometry& g, const float* x, const Parts& parts, const Kernels& kernels, float* y,
                      Finish finish, Prepare prepare) {
  const auto packed = pack_winograd<Filter, LANES>(g, parts, kernels);
  const int64_t size = static_cast<int64_t>(packed.size() / parts.size());
  const Squares squares(g, Filter::kOutputs);
  // Images of few squares go together, so that tiles are full and weights are read less often.
  const int64_t together = std::max<int64_t>(1, (Filter::kOutputs == 4 ? 32 : 64) / (squares.down * squares.across));
  const auto items = part_items(parts, 1, together);
  parallel_for(static_cast<int64_t>(items.size()), [&] {
    return [&, worker = WinogradForward<Filter, LANES>(g)](int64_t i) mutable {
      const auto [part, first, count] = items[i];
      worker.run(x, packed.data() + part * size, parts[part].images.data() + first, count, y, prepare, finish);
    };
  });
}

}  // namespace lowbit
