// Gradient of the convolution for its input at any stride, see conv_float.h.
//
// Rows (and columns) of the input whose numbers leave the same rest, divided by the stride, are a phase: they are
// reached by the same taps of a kernel. At stride 2 the sums of both phases of a row are kept until they can be joined:
//
//     columns 0, 2, 4, ...  [ even sums ]
//     columns 1, 3, 5, ...  [ odd sums  ]   ->   row of the input gradient
#pragma once

#include "conv_float.h"
#include "pairs.h"

namespace lowbit {

// The output gradient of one image with a border of zeros, [F][OH + 2 top][left + columns]: every tap of every input
// position can then read it without a test.
struct PaddedGradient {
  int64_t top, left, rows, columns;
  std::vector<float> values;

  explicit PaddedGradient(const Geometry& g)
      : top((g.kh - 1) / g.stride), left((g.kw - 1) / g.stride),
        rows(top + std::max(g.oh, (g.rows + g.stride - 1) / g.stride)), columns(left + g.segment + g.lanes),
        values(g.f * rows * columns, 0.f) {}

  void fill(const Geometry& g, const float* gy) {
    for (int64_t f = 0; f < g.f; ++f)
      for (int64_t y = 0; y < g.oh; ++y)
        std::copy_n(gy + (f * g.oh + y) * g.ow, g.ow, values.data() + (f * rows + y + top) * columns + left);
  }
};

// Gradient of four channels at some vectors of input positions, summed over filters and the taps of one phase.
template <int LANES>
struct InputTile {
  using V = Vec<LANES>;
  static constexpr int kPositions = kVectors;
  typename V::Float sums[kFilters][kPositions];

  // `w`: [taps][F][C]; `offsets`: one per tap, into the padded gradient of one filter.
  void run(const float* const* gy, const std::vector<int64_t>& offsets, const std::vector<const float*>& w,
           int64_t filters, int64_t filter_size, int64_t channels) {
    typename V::Float acc[kFilters][kPositions] = {};
    for (size_t t = 0; t < offsets.size(); ++t)
      for (int64_t f = 0; f < filters; ++f) {
        typename V::Float grad[kPositions];
        for (int j = 0; j < kPositions; ++j) grad[j] = V::load(gy[j] + offsets[t] + f * filter_size);
        const float* weights = w[t] + f * channels;
        for (int c = 0; c < kFilters; ++c)
          for (int j = 0; j < kPositions; ++j) acc[c][j] += weights[c] * grad[j];
      }
    std::memcpy(sums, acc, sizeof acc);
  }
};

// Weights (F, C, KH, KW) -> [KH KW][F][C rounded up to a tile].
inline std::vector<float> pack_taps(const Geometry& g, const float* w) {
  const int64_t channels = round_up(g.c, kFilters), taps = g.kh * g.kw;
  std::vector<float> packed(taps * g.f * channels, 0.f);
  for (int64_t f = 0; f < g.f; ++f)
    for (int64_t c = 0; c < g.c; ++c)
      for (int64_t t = 0; t < taps; ++t) packed[(t * g.f + f) * channels + c] = w[(f * g.c + c) * taps + t];
  return packed;
}

// The input rows (or columns) of one phase, as numbers within the phase: those that are not border.
struct PhaseRange {
  int64_t first, count;

  PhaseRange(int64_t phase, int64_t stride, int64_t pad, int64_t size)
      : first(std::max<int64_t>(0, pad - phase + stride - 1) / stride),
        count(std::max<int64_t>(0, (size + pad - phase + stride - 1) / stride - first)) {}
};

// Rows of some phase at stride 2, even and odd columns apart: [C][rows][2][columns].
struct RowPairs {
  int64_t columns, rows;
  std::vector<float> values;

  explicit RowPairs(const Geometry& g)
      : columns(round_up((g.w + 1) / 2, g.lanes)), rows((g.h + 1) / 2),
        values(g.stride == 2 ? g.c * rows * 2 * columns : 0) {}

  float* row(int64_t channel, int64_t number) { return values.data() + (channel * rows + number) * 2 * columns; }

  void join(const Geometry& g, int64_t phase_y, float* gx) {
    const PhaseRange range(phase_y, 2, g.pad, g.h);
    for (int64_t c = 0; c < g.c; ++c)
      for (int64_t i = 0; i < range.count; ++i) {
        const int64_t y = (range.first + i) * 2 + phase_y - g.pad;
        join_pairs(row(c, i), row(c, i) + columns, g.w, gx + (c * g.h + y) * g.w);
      }
  }
};

template <int LANES>
void grad_input_phase(const Geometry& g, const PaddedGradient& gy, const std::vector<float>& packed,
                      int64_t phase_y, int64_t phase_x, RowPairs& pairs, float* gx) {
  using Tile = InputTile<LANES>;
  const int64_t channels = round_up(g.c, kFilters);
  std::vector<int64_t> offsets;
  std::vector<const float*> weights;
  for (int64_t ky = phase_y; ky < g.kh; ky += g.stride)
    for (int64_t kx = phase_x; kx < g.kw; kx += g.stride) {
      offsets.push_back((gy.top - ky / g.stride) * gy.columns + gy.left - kx / g.stride);
      weights.push_back(packed.data() + (ky * g.kw + kx) * g.f * channels);
    }
  const PhaseRange rows(phase_y, g.stride, g.pad, g.h), columns(phase_x, g.stride, g.pad, g.w);
  const int64_t per_row = (columns.count + LANES - 1) / LANES, vectors = rows.count * per_row;
  std::vector<const float*> tile_weights(weights);
  for (int64_t c0 = 0; c0 < g.c; c0 += kFilters) {
    for (size_t t = 0; t < weights.size(); ++t) tile_weights[t] = weights[t] + c0;
    for (int64_t v0 = 0; v0 < vectors; v0 += Tile::kPositions) {
      Tile tile;
      const float* grads[Tile::kPositions];
      for (int j = 0; j < Tile::kPositions; ++j) {
        const int64_t v = std::min(v0 + j, vectors - 1);
        const int64_t row = rows.first + v / per_row, column = columns.first + v % per_row * LANES;
        grads[j] = gy.values.data() + row * gy.columns + column;
      }
      tile.run(grads, offsets, tile_weights, g.f, gy.rows * gy.columns, channels);
      for (int64_t v = v0; v < std::min(v0 + Tile::kPositions, vectors); ++v) {
        const int64_t y = (rows.first + v / per_row) * g.stride + phase_y - g.pad, column = v % per_row * LANES;
        const int64_t x = (columns.first + column) * g.stride + phase_x - g.pad;
        const int64_t lanes = std::min<int64_t>(LANES, columns.count - column);
        for (int64_t c = c0; c < std::min(c0 + kFilters, g.c); ++c) {
          const auto sums = tile.sums[c - c0][v - v0];
          float* to = gx + (c * g.h + y) * g.w + x;
          if (g.stride == 1) {
            Vec<LANES>::store(to, sums, lanes);
          } else if (g.stride == 2) {
            Vec<LANES>::store(pairs.row(c, v / per_row) + (phase_x + g.pad) % 2 * pairs.columns + column, sums);
          } else {
            for (int64_t i = 0; i < lanes; ++i) to[i * g.stride] = sums[i];
          }
        }
      }
    }
  }
}

template <int LANES, class Finish>
void grad_input(const Geometry& g, const Parts& parts, const float* gy, float* gx, Finish finish) {
  std::vector<std::vector<float>> packed;
  for (const Part& part : parts) packed.push_back(pack_taps(g, part.w));
  const auto items = part_items(parts, 1, 1);
  parallel_for(static_cast<int64_t>(items.size()), [&] {
    return [&, grad = PaddedGradient(g), pairs = RowPairs(g)](int64_t i) mutable {
      const int64_t part = items[i].part, n = parts[part].images[items[i].first];
      float* image = gx + n * g.c * g.h * g.w;
      grad.fill(g, gy + n * g.f * g.oh * g.ow);
      for (int64_t py = 0; py < g.stride; ++py) {
        for (int64_t px = 0; px < g.stride; ++px) grad_input_phase<LANES>(g, grad, packed[part], py, px, pairs, image);
        if (g.stride == 2) pairs.join(g, py, image);
      }
      for (int64_t plane = n * g.c; plane < (n + 1) * g.c; ++plane)
        finish.change(gx + plane * g.h * g.w, plane, 0, g.h * g.w);
    };
  });
}

}  // namespace lowbit
