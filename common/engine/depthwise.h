// A convolution of each channel of codes by itself. Its sums are integers below 2^24, which float32 computes exactly.
#pragma once

#include "float_ops.h"

namespace {

void depthwise_conv(const Program& program, const Instruction& instruction, Arena arena) {
  const Pixels input(program.buffer(instruction.source), arena);
  const int64_t taps = int64_t{instruction.kernel_height} * instruction.kernel_width;
  const float* weights = program.constants + instruction.weights;
  each_pixel(program, instruction, arena, all_rows(instruction), [&](int64_t y, int64_t x, int64_t first, float* values) {
    constexpr int kVectors = kGroup / kLanes;
    const int64_t top = y * instruction.stride - instruction.padding;
    const uint8_t* row = input.at(top, x * instruction.stride - instruction.padding) + first;
    const float* w = weights + first * taps;
    Float sums[kVectors] = {};
    for (int32_t ky = 0; ky < instruction.kernel_height; ++ky, row += input.row) {
      const uint8_t* tap = row;
      for (int32_t kx = 0; kx < instruction.kernel_width; ++kx, tap += input.pixel, w += kGroup)
        for (int v = 0; v < kVectors; ++v) sums[v] = sums[v] + load(tap + v * kLanes) * load(w + v * kLanes);
    }
    for (int v = 0; v < kVectors; ++v) store(values + v * kLanes, sums[v]);
  });
}

}  // namespace
