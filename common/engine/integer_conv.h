// An integer convolution, of products or of absolute differences: tiles of some pixels of a row by 16 filters.
//
// A kind of sums is a class with
//
//   static constexpr int kPixels;                                      most pixels of a tile, a power of 2
//   template <int P> static void tile(                                 sums (P, 16) of the pixels at x, x + step, ...
//       const uint8_t* x, int64_t step, const int32_t* blocks, int block_count, const int8_t* weights, int32_t* sums);
#pragma once

#include "tail.h"

namespace {

// Pixels that a row lacks at its end are computed from what stands behind it, and dropped: the arena has room.
template <class Sums>
inline void sums_of(int64_t count, const uint8_t* x, int64_t step, const Instruction& instruction,
                    const int32_t* blocks, const int8_t* weights, int32_t* sums) {
  constexpr int kMost = Sums::kPixels, kLess = kMost > 1 ? kMost / 2 : 1, kLeast = kMost > 3 ? kMost / 4 : 1;
  const int n = instruction.block_count;
  if (count > kLess) return Sums::template tile<kMost>(x, step, blocks, n, weights, sums);
  if (count > kLeast) return Sums::template tile<kLess>(x, step, blocks, n, weights, sums);
  return Sums::template tile<kLeast>(x, step, blocks, n, weights, sums);
}

inline int64_t steps_of(const int32_t* blocks, int count) {
  int64_t steps = 0;
  for (int b = 0; b < count; ++b) {
    const int32_t runs = blocks[1];
    for (int32_t r = 0; r < runs; ++r) steps += blocks[2 + 2 * r + 1];
    blocks += 2 + 2 * runs;
  }
  return steps;
}

template <class Sums>
void integer_conv(const Program& program, const Instruction& instruction, uint8_t* arena) {
  const Buffer& source = program.buffer(instruction.source);
  const Pixels input(source, arena);
  const Tail tail(program, instruction, arena);
  const int32_t* blocks = program.words + instruction.blocks;
  const int64_t group_bytes = steps_of(blocks, instruction.block_count) * kStepTaps * kGroup;
  const int64_t step = instruction.stride * input.pixel;
  alignas(64) int32_t sums[Sums::kPixels * kGroup];
  const int8_t* weights = program.weights + instruction.weights;
  for (int64_t first = 0; first < instruction.filters; first += kGroup, weights += group_bytes) {
    for (int64_t y = 0; y < instruction.height; ++y) {
      const uint8_t* row = input.at(y * instruction.stride - instruction.padding, -instruction.padding);
      for (int64_t x = 0; x < instruction.width; x += Sums::kPixels) {
        const int64_t left = instruction.width - x, count = left < Sums::kPixels ? left : Sums::kPixels;
        sums_of<Sums>(count, row + x * step, step, instruction, blocks, weights, sums);
        finish(tail, first, y, x, static_cast<int>(count), sums);
      }
    }
  }
}

}  // namespace
