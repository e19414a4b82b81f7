// Averages and maxima of windows of a float tensor.
#pragma once

#include "float_ops.h"

namespace {

// Of a window's rows or columns, those inside the source.
struct Inside {
  int64_t first, end;
  Inside(int64_t place, int64_t kernel, int64_t size)
      : first(std::max<int64_t>(place, 0)), end(std::min(place + kernel, size)) {}
};

// What of a window is inside of the source; sums in the order (row, column), then a division by the whole window.
template <bool MAXIMUM_OF>
void pool(const Program& program, const Instruction& instruction, Arena arena, Range of) {
  const Buffer& source = program.buffer(instruction.source);
  const Pixels input(source, arena);
  const float count = static_cast<float>(instruction.kernel_height * instruction.kernel_width);
  each_pixel(program, instruction, arena, of, [&](int64_t y, int64_t x, int64_t first, float* values) {
    const Inside rows(y * instruction.stride - instruction.padding, instruction.kernel_height, source.height);
    const Inside columns(x * instruction.stride - instruction.padding, instruction.kernel_width, source.width);
    for (int64_t lane = 0; lane < kGroup; lane += kLanes) {
      Float v = all(MAXIMUM_OF ? -3.402823466e38f : 0.0f);
      for (int64_t i = rows.first; i < rows.end; ++i) {
        const uint8_t* from = input.at(i, columns.first) + 4 * (first + lane);
        for (int64_t j = columns.first; j < columns.end; ++j, from += input.pixel) {
          const Float in = load(reinterpret_cast<const float*>(from));
          v = MAXIMUM_OF ? most(in, v) : v + in;
        }
      }
      store(values + lane, MAXIMUM_OF ? v : v / all(count));
    }
  });
}

}  // namespace
