// An integer convolution, of products or of absolute differences: tiles of some pixels of a row by 16 filters.
//
// A kind of sums is a class with
//
//   static constexpr int kPixels, kGroups;         pixels (a power of 2) and groups of 16 filters (1, 2) of a tile
//   static constexpr int wide(int groups);         pixels of a tile where rows are multiples of so many
//   template <int P, int G> static void tile(      sums (G, P, 16) of the pixels at x, x + step, ...
//       const uint8_t* x, int64_t step, const int32_t* blocks, int block_count, const int8_t* weights,
//       int64_t group, int32_t* sums);             weights of a group are `group` bytes after those before
//   static constexpr bool kMakesCodes;             whether there is
//   template <int P, int G> static void codes(     the codes of one block of multiplier 1 in place of its sums
//       const uint8_t* x, int64_t step, const int32_t* block, const int8_t* weights, int64_t group, const CodesAt& at);
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

// Where the windows of a convolution are.
struct Windows {
  const uint8_t* first;  // of the first row
  int64_t row, step;     // bytes from row to row and from window to window
  int64_t width;         // windows of a row
  Range rows;

  Windows(const Instruction& instruction, const Pixels& input, Range of)
      : first(input.at(of.first * instruction.stride - instruction.padding, -instruction.padding)),
        row(instruction.stride * input.row), step(instruction.stride * input.pixel), width(instruction.width), rows(of) {}

  int64_t count() const { return rows.count() * width; }

  // Whether the windows are pixels, with nothing between the rows: then all rows may count as one.
  bool are_pixels(const Instruction& instruction) const {
    return instruction.kernel_height == 1 && instruction.kernel_width == 1 && row == width * step;
  }
};

// Results of `count` pixels from number x on, where the rows count as one.
inline void finish_joined(const Windows& windows, const Tail& tail, int64_t first, int64_t x, int64_t count,
                          const int32_t* sums) {
  const auto width = static_cast<int32_t>(windows.width), start = static_cast<int32_t>(x);
  for (int32_t y = start / width, column = start % width; count > 0; ++y, column = 0) {
    const int64_t here = std::min<int64_t>(count, width - column);
    finish(tail, first, windows.rows.first + y, column, static_cast<int>(here), sums);
    count -= here, sums += here * kGroup;
  }
}

// G groups of filters from `first` on, by tiles of so many windows; `JOINED`: all rows count as one.
template <class Sums, int G, bool JOINED>
void filters_of(const Instruction& instruction, const Windows& windows, int64_t pixels, const Tail& tail,
                const int32_t* blocks, const int8_t* weights, int64_t group, int64_t first) {
  alignas(64) int32_t sums[G * Sums::wide(G) * kGroup];
  const int64_t rows = JOINED ? 1 : windows.rows.count(), width = JOINED ? windows.count() : windows.width;
  for (int64_t y = 0; y < rows; ++y) {
    const uint8_t* row = windows.first + y * windows.row;
    for (int64_t x = 0; x < width; x += pixels) {
      const int64_t left = width - x, count = left < pixels ? left : pixels;
      const int64_t computed = sums_of<Sums, G>(count, row + x * windows.step, windows.step, blocks,
                                                instruction.block_count, weights, group, sums);
      for (int g = 0; g < G; ++g) {
        const int32_t* of = sums + g * computed * kGroup;
        if constexpr (JOINED)
          finish_joined(windows, tail, first + g * kGroup, x, count, of);
        else
          finish(tail, first + g * kGroup, windows.rows.first + y, x, static_cast<int>(count), of);
      }
    }
  }
}

// The same of rows of whole tiles of P windows, whose sums become codes before they leave the registers.
template <class Sums, int G, int P>
void codes_of(const Windows& windows, const Tail& tail, const int32_t* block, const int8_t* weights, int64_t group,
              int64_t first) {
  for (int64_t y = windows.rows.first; y < windows.rows.end; ++y) {
    const uint8_t* row = windows.first + (y - windows.rows.first) * windows.row;
    for (int64_t x = 0; x < windows.width; x += P)
      Sums::template codes<P, G>(row + x * windows.step, windows.step, block, weights, group, {tail, first, y, x});
  }
}

// The same in the form that fits: rows that do not fill tiles are joined where they may be.
template <class Sums, int G>
void filters_of(const Instruction& instruction, const Windows& windows, const Tail& tail, const int32_t* blocks,
                const int8_t* weights, int64_t group, int64_t first) {
  if constexpr (Sums::kMakesCodes) {
    if (CodesAt::are_all(tail) && instruction.block_count == 1 && blocks[0] == 1) {
      if (windows.width % 7 == 0) return codes_of<Sums, G, 7>(windows, tail, blocks, weights, group, first);
      if (windows.width % 8 == 0) return codes_of<Sums, G, 8>(windows, tail, blocks, weights, group, first);
    }
  }
  constexpr int64_t kWide = Sums::wide(G);
  const bool filled = windows.width % kWide == 0, joined = !filled && windows.are_pixels(instruction);
  const auto of = joined ? filters_of<Sums, G, true> : filters_of<Sums, G, false>;
  of(instruction, windows, filled || joined ? kWide : Sums::kPixels, tail, blocks, weights, group, first);
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
      of(instruction, Windows(instruction, images.inputs[i], share.rows), images.tails[i], blocks, weights, group, first);
    }
    first += (both ? 2 : 1) * kGroup;
    weights += (both ? 2 : 1) * group;
  }
}

}  // namespace
