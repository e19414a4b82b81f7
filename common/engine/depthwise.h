// A convolution of each channel of codes by itself. Its sums are integers below 2^24, which float32 computes exactly,
// in any order.
#pragma once

#include "float_ops.h"

namespace {

// Weights of one vector of channels, and where its taps are.
struct ChannelFilters {
  const float* weights;  // kGroup numbers apart from tap to tap
  int64_t rows, columns;
  int64_t row, pixel;  // bytes
};

// Sums of P pixels of a row, STRIDE pixels apart; kernels of KX columns. A pixel that several windows share becomes
// floats once.
template <int P, int STRIDE, int KX>
inline void depthwise_tile(const ChannelFilters& of, const uint8_t* x, float* out) {
  Float sums[P] = {};
  const float* w = of.weights;
  for (int64_t ky = 0; ky < of.rows; ++ky, x += of.row, w += KX * kGroup) {
    Float taps[KX];
#pragma GCC unroll 8
    for (int kx = 0; kx < KX; ++kx) taps[kx] = load(w + kx * kGroup);
#pragma GCC unroll 32
    for (int i = 0; i < (P - 1) * STRIDE + KX; ++i) {
      const Float code = load(x + i * of.pixel);
#pragma GCC unroll 8
      for (int kx = 0; kx < KX; ++kx) {
        const int p = (i - kx) / STRIDE;
        if (i >= kx && (i - kx) % STRIDE == 0 && p < P) sums[p] = add_product(sums[p], code, taps[kx]);
      }
    }
  }
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p) store(out + p * kGroup, sums[p]);
}

// The same of any kernel and stride, tap by tap.
template <int P>
inline void depthwise_pixels(const ChannelFilters& of, int64_t stride, const uint8_t* x, float* out) {
  Float sums[P] = {};
  const float* w = of.weights;
  for (int64_t ky = 0; ky < of.rows; ++ky, x += of.row) {
    for (int64_t kx = 0; kx < of.columns; ++kx, w += kGroup) {
      const Float tap = load(w);
#pragma GCC unroll 32
      for (int p = 0; p < P; ++p) sums[p] = add_product(sums[p], load(x + kx * of.pixel + p * stride * of.pixel), tap);
    }
  }
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p) store(out + p * kGroup, sums[p]);
}

// P pixels from `x` on; those behind a row's end are computed from what stands there, and dropped.
template <int P>
inline void depthwise_sums(const ChannelFilters& of, int64_t stride, const uint8_t* x, float* out) {
  if (of.columns == 3 && stride == 1) return depthwise_tile<P, 1, 3>(of, x, out);
  if (of.columns == 3 && stride == 2) return depthwise_tile<P, 2, 3>(of, x, out);
  depthwise_pixels<P>(of, stride, x, out);
}

void depthwise_conv(const Program& program, const Instruction& instruction, Arena arena) {
  // With the weights of a row of the kernel, as many sums as registers hold.
  constexpr int kWide = kLanes == 16 ? 14 : 8, kMost = 8, kLess = 4;
  static_assert(kWide <= kTilePixels, "the arena has no room for more");
  const Pixels input(program.buffer(instruction.source), arena);
  const Tail tail(program, instruction, arena);
  const int64_t taps = int64_t{instruction.kernel_height} * instruction.kernel_width, stride = instruction.stride;
  ChannelFilters of{nullptr, instruction.kernel_height, instruction.kernel_width, input.row, input.pixel};
  alignas(64) float sums[kWide * kGroup];
  const int64_t pixels = instruction.width % kWide ? kMost : kWide;
  const Range rows = rows_of(instruction, arena);
  for (int64_t y = rows.first; y < rows.end; ++y) {
    const uint8_t* row = input.at(y * stride - instruction.padding, -instruction.padding);
    for (int64_t first = 0; first < instruction.filters; first += kGroup) {
      for (int64_t x = 0; x < instruction.width; x += pixels) {
        const int64_t left = instruction.width - x;
        for (int64_t lane = 0; lane < kGroup; lane += kLanes) {
          of.weights = program.constants + instruction.weights + first * taps + lane;
          const uint8_t* from = row + x * stride * input.pixel + first + lane;
          if (pixels > kMost)
            depthwise_sums<kWide>(of, stride, from, sums + lane);
          else if (left > kLess)
            depthwise_sums<kMost>(of, stride, from, sums + lane);
          else
            depthwise_sums<kLess>(of, stride, from, sums + lane);
        }
        finish(tail, first, y, x, static_cast<int>(std::min(left, pixels)), sums);
      }
    }
  }
}

}  // namespace
