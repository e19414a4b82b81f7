// An integer convolution, of products or of absolute differences: tiles of some pixels of a row by 16 filters.
//
// A kind of sums is a class with
//
//   static constexpr int kPixels, kGroups;         pixels (a power of 2) and groups of 16 filters (1, 2) of a tile
//   static constexpr int wide(int groups);         pixels of a tile where rows are multiples of so many
//   template <int P, int G> static void tile(      sums (G, P, 16) of the pixels at x, x + step, ...
//       const uint8_t* x, int64_t step, const int32_t* blocks, int block_count, const int8_t* weights,
//       int64_t group, int32_t* sums);             weights of a group are `group` bytes after those before
#pragma once

#include "tail.h"

namespace {

template <class Sums, int P, int G>
inline int64_t sums_of_tile(const uint8_t* x, int64_t step, const int32_t* blocks, int block_count,
                            const int8_t* weights, int64_t group, int32_t* sums) {
  Sums::template tile<P, G>(x, step, blocks, block_count, weights, group, sums);
  return P;
}

// Sums (G, P, 16) of P >= count pixels; returns P. Pixels that a row lacks at its end are computed from what stands
// behind it, and dropped: the arena has room.
template <class Sums, int G>
inline int64_t sums_of(int64_t count, const uint8_t* x, int64_t step, const int32_t* blocks, int block_count,
                       const int8_t* weights, int64_t group, int32_t* sums) {
  static_assert(Sums::wide(G) <= kTilePixels && Sums::kPixels <= kTilePixels, "the arena has no room for more");
  constexpr int kWide = Sums::wide(G), kMost = Sums::kPixels;
  constexpr int kLess = kMost > 1 ? kMost / 2 : 1, kLeast = kMost > 3 ? kMost / 4 : 1;
  if (count > kMost) return sums_of_tile<Sums, kWide, G>(x, step, blocks, block_count, weights, group, sums);
  if (count > kLess) return sums_of_tile<Sums, kMost, G>(x, step, blocks, block_count, weights, group, sums);
  if (count > kLeast) return sums_of_tile<Sums, kLess, G>(x, step, blocks, block_count, weights, group, sums);
  return sums_of_tile<Sums, kLeast, G>(x, step, blocks, block_count, weights, group, sums);
}

// Steps of all blocks, which end where `blocks` is then.
inline int64_t steps_of(const int32_t*& blocks, int count) {
  int64_t steps = 0;
  for (int b = 0; b < count; ++b) {
    const int32_t runs = blocks[1];
    for (int32_t r = 0; r < runs; ++r) steps += blocks[2 + 2 * r + 1];
    blocks += 2 + 2 * runs;
  }
  return steps;
}

// G groups of filters from `first` on.
template <class Sums, int G>
void filters_of(const Instruction& instruction, const Pixels& input, const Tail& tail, const int32_t* blocks,
                const int8_t* weights, int64_t group, int64_t first, Range rows) {
  constexpr int kWide = Sums::wide(G);
  alignas(64) int32_t sums[G * kWide * kGroup];
  const int64_t step = instruction.stride * input.pixel;
  const int64_t pixels = instruction.width % kWide ? Sums::kPixels : kWide;
  for (int64_t y = rows.first; y < rows.end; ++y) {
    const uint8_t* row = input.at(y * instruction.stride - instruction.padding, -instruction.padding);
    for (int64_t x = 0; x < instruction.width; x += pixels) {
      const int64_t left = instruction.width - x, count = left < pixels ? left : pixels;
      const int64_t computed =
          sums_of<Sums, G>(count, row + x * step, step, blocks, instruction.block_count, weights, group, sums);
      for (int g = 0; g < G; ++g)
        finish(tail, first + g * kGroup, y, x, static_cast<int>(count), sums + g * computed * kGroup);
    }
  }
}

template <class Sums>
void integer_conv(const Program& program, const Instruction& instruction, Arena arena, int count) {
  const Images images(program, instruction, arena, count);
  const int32_t* blocks = program.words + instruction.blocks;
  const int32_t* end = blocks;
  const int64_t group = steps_of(end, instruction.block_count) * kStepTaps * kGroup;
  const int64_t bytes = (instruction.filters + kGroup - 1) / kGroup * group;
  const Share share = share_of(instruction.height, instruction.filters, bytes, Sums::kGroups * kGroup, arena);
  const int8_t* weights = program.weights + instruction.weights + share.filters.first / kGroup * group;
  for (int64_t first = share.filters.first; first < share.filters.end;) {
    const bool both = Sums::kGroups > 1 && first + kGroup < share.filters.end;
    for (int i = 0; i < count; ++i) {
      const auto of = both ? filters_of<Sums, Sums::kGroups> : filters_of<Sums, 1>;
      of(instruction, images.inputs[i], images.tails[i], blocks, weights, group, first, share.rows);
    }
    first += (both ? 2 : 1) * kGroup;
    weights += (both ? 2 : 1) * group;
  }
}

}  // namespace
