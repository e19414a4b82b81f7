// Instructions whose inputs are float32: the first convolution, shortcuts, pooling, the last layer.
#pragma once

#include "tail.h"

namespace {

void image_to_pixels(const Program& program, const Instruction& instruction, const float* image, uint8_t* arena) {
  const Buffer& buffer = program.buffer(instruction.store);
  clear_border(buffer, arena);
  const Pixels pixels(buffer, arena);
  const int64_t area = int64_t{buffer.height} * buffer.width;
  for (int64_t y = 0; y < buffer.height; ++y) {
    float* out = reinterpret_cast<float*>(pixels.at(y, 0));
    for (int64_t c = 0; c < buffer.channels; ++c) {
      const float* in = image + c * area + y * buffer.width;
      for (int64_t x = 0; x < buffer.width; ++x) out[x * buffer.stride + c] = in[x];
    }
  }
}

// Sums of P pixels and G groups of filters, tap by tap in the order (row, column, channel) of the kernel.
template <int P, int G>
inline void float_tile(const float* x, int64_t row, int64_t step, const Instruction& instruction, int64_t taps,
                       const float* weights, int64_t group, float* out) {
  constexpr int kVectors = kGroup / kLanes;
  Float sums[P][G * kVectors] = {};
  for (int64_t ky = 0; ky < instruction.kernel_height; ++ky) {
    const float* in = x + ky * row;
    for (int64_t tap = 0; tap < taps; ++tap, weights += kGroup) {
      Float w[G * kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < G * kVectors; ++v) w[v] = load(weights + v / kVectors * group + v % kVectors * kLanes);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        const Float input = all(in[p * step + tap]);
#pragma GCC unroll 16
        for (int v = 0; v < G * kVectors; ++v) sums[p][v] = sums[p][v] + input * w[v];
      }
    }
  }
  for (int g = 0; g < G; ++g)
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < kVectors; ++v)
        store(out + (g * P + p) * kGroup + v * kLanes, sums[p][g * kVectors + v]);
}

// A tile has independent sums enough to hide the latency of additions: many pixels, or many filters of one.
template <int P, int G>
void float_conv_of(const Program& program, const Instruction& instruction, uint8_t* arena) {
  const Buffer& source = program.buffer(instruction.source);
  const Pixels input(source, arena);
  const Tail tail(program, instruction, arena);
  const int64_t taps = int64_t{instruction.kernel_width} * source.stride;
  const int64_t row = input.row / 4, step = int64_t{instruction.stride} * source.stride;
  const int64_t group = instruction.kernel_height * taps * kGroup;
  const float* weights = program.constants + instruction.weights;
  alignas(64) float sums[P * G * kGroup];
  for (int64_t first = 0; first < tail.padded; first += G * kGroup, weights += G * group) {
    for (int64_t y = 0; y < instruction.height; ++y) {
      for (int64_t x = 0; x < instruction.width; x += P) {
        const int64_t left = instruction.width - x;
        const uint8_t* from =
            input.at(y * instruction.stride - instruction.padding, x * instruction.stride - instruction.padding);
        float_tile<P, G>(reinterpret_cast<const float*>(from), row, step, instruction, taps, weights, group, sums);
        for (int g = 0; g < G; ++g)
          finish(tail, first + g * kGroup, y, x, static_cast<int>(left < P ? left : P), sums + g * P * kGroup);
      }
    }
  }
}

void float_conv(const Program& program, const Instruction& instruction, uint8_t* arena) {
  constexpr int kPixelsOfTile = kLanes == 16 ? kTilePixels : kTilePixels / 2, kGroupsOfTile = kLanes == 4 ? 2 : 4;
  const int64_t groups = (instruction.filters + kGroup - 1) / kGroup;
  if (instruction.width > 1) return float_conv_of<kPixelsOfTile, 1>(program, instruction, arena);
  if (groups % kGroupsOfTile == 0) return float_conv_of<1, kGroupsOfTile>(program, instruction, arena);
  return float_conv_of<1, 1>(program, instruction, arena);
}

// Pixel by pixel, some of a row at a time: `fill(y, x, first, values)` gives the values of filters first to first + 15.
template <class Fill>
inline void each_pixel(const Program& program, const Instruction& instruction, uint8_t* arena, Fill fill) {
  constexpr int64_t kAtOnce = 8;
  const Tail tail(program, instruction, arena);
  alignas(64) float values[kAtOnce * kGroup];
  for (int64_t first = 0; first < instruction.filters; first += kGroup) {
    for (int64_t y = 0; y < instruction.height; ++y) {
      for (int64_t x = 0; x < instruction.width; x += kAtOnce) {
        const int64_t left = instruction.width - x, count = left < kAtOnce ? left : kAtOnce;
        for (int64_t p = 0; p < count; ++p) fill(y, x + p, first, values + p * kGroup);
        finish(tail, first, y, x, static_cast<int>(count), values);
      }
    }
  }
}

// What `take` does where values go nowhere but to a tensor: `before` bytes of zeros, `size` of the source's.
inline void copy_pixels(const Instruction& instruction, const Pixels& from, const Pixels& to, int64_t before,
                        int64_t size) {
  for (int64_t y = 0; y < instruction.height; ++y) {
    for (int64_t x = 0; x < instruction.width; ++x) {
      std::memset(to.at(y, x), 0, to.pixel);
      std::memcpy(to.at(y, x) + before, from.at(y * instruction.stride, x * instruction.stride), size);
    }
  }
}

// What `take` does where channels stay: the tail reads the source itself.
inline void finish_rows(const Instruction& instruction, const Pixels& from, const Tail& tail) {
  const int64_t step = instruction.stride * from.pixel / 4;
  for (int64_t first = 0; first < instruction.filters; first += kGroup) {
    for (int64_t y = 0; y < instruction.height; ++y) {
      const float* row = reinterpret_cast<const float*>(from.at(y * instruction.stride, 0)) + first;
      finish(tail, first, y, 0, instruction.width, row, step);
    }
  }
}

// Every stride-th pixel; `before` channels of zeros come before those of the source, and zeros after them.
void take(const Program& program, const Instruction& instruction, uint8_t* arena) {
  const Buffer& source = program.buffer(instruction.source);
  const Pixels input(source, arena);
  const int64_t before = instruction.before;
  const Tail tail(program, instruction, arena);
  if (tail.parts == STORE) return copy_pixels(instruction, input, tail.store, 4 * before, 4 * source.channels);
  if (before == 0 && source.channels == instruction.filters && source.stride % kGroup == 0)
    return finish_rows(instruction, input, tail);
  each_pixel(program, instruction, arena, [&](int64_t y, int64_t x, int64_t first, float* values) {
    const float* in = reinterpret_cast<const float*>(input.at(y * instruction.stride, x * instruction.stride));
    const int64_t low = before > first ? before - first : 0;
    const int64_t room = before + source.channels - first, high = room < kGroup ? room : kGroup;
    for (int64_t i = 0; i < kGroup; ++i) values[i] = 0;
    if (low < high) std::memcpy(values + low, in + first + low - before, 4 * (high - low));
  });
}

// The number of the largest of each decision's scores, the first of equal ones.
void choose(const Program& program, const Instruction& instruction, uint8_t* arena) {
  const Pixels input(program.buffer(instruction.source), arena);
  const int64_t count = instruction.candidates;
  const float* scores = reinterpret_cast<const float*>(input.first);
  each_pixel(program, instruction, arena, [&](int64_t, int64_t, int64_t first, float* values) {
    for (int64_t i = 0; i < kGroup; ++i) {
      const float* of = scores + (first + i) * count;
      int64_t best = 0;
      for (int64_t k = 1; k < count && first + i < instruction.filters; ++k)
        if (of[k] > of[best]) best = k;
      values[i] = static_cast<float>(best);
    }
  });
}

// Windows inside the source alone; sums in the order (row, column), then a division.
template <bool MAXIMUM_OF>
void pool(const Program& program, const Instruction& instruction, uint8_t* arena) {
  const Buffer& source = program.buffer(instruction.source);
  const Pixels input(source, arena);
  const float count = static_cast<float>(instruction.kernel_height * instruction.kernel_width);
  each_pixel(program, instruction, arena, [&](int64_t y, int64_t x, int64_t first, float* values) {
    const int64_t top = y * instruction.stride - instruction.padding;
    const int64_t left = x * instruction.stride - instruction.padding;
    for (int64_t lane = 0; lane < kGroup; lane += kLanes) {
      Float v = all(MAXIMUM_OF ? -3.402823466e38f : 0.0f);
      for (int64_t i = top; i < top + instruction.kernel_height; ++i) {
        for (int64_t j = left; j < left + instruction.kernel_width; ++j) {
          if (i < 0 || j < 0 || i >= source.height || j >= source.width) continue;
          const Float in = load(reinterpret_cast<const float*>(input.at(i, j)) + first + lane);
          v = MAXIMUM_OF ? most(in, v) : v + in;
        }
      }
      store(values + lane, MAXIMUM_OF ? v : v / all(count));
    }
  });
}

}  // namespace
