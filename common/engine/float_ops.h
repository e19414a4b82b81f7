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

// Sums tap by tap in the order (row, column, channel) of the kernel.
constexpr int kFloatPixels = kLanes == 16 ? 8 : 4;

inline void float_tile(const float* x, int64_t row, int64_t step, const Instruction& instruction, int64_t taps,
                       const float* weights, float* out) {
  constexpr int kVectors = kGroup / kLanes;
  Float sums[kFloatPixels][kVectors] = {};
  for (int64_t ky = 0; ky < instruction.kernel_height; ++ky) {
    const float* in = x + ky * row;
    for (int64_t tap = 0; tap < taps; ++tap, weights += kGroup) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const Float w = load(weights + v * kLanes);
#pragma GCC unroll 8
        for (int p = 0; p < kFloatPixels; ++p) sums[p][v] = sums[p][v] + all(in[p * step + tap]) * w;
      }
    }
  }
  for (int p = 0; p < kFloatPixels; ++p)
    for (int v = 0; v < kVectors; ++v) store(out + p * kGroup + v * kLanes, sums[p][v]);
}

void float_conv(const Program& program, const Instruction& instruction, uint8_t* arena) {
  const Buffer& source = program.buffer(instruction.source);
  const Pixels input(source, arena);
  const Tail tail(program, instruction, arena);
  const int64_t taps = int64_t{instruction.kernel_width} * source.stride;
  const int64_t row = input.row / 4, step = int64_t{instruction.stride} * source.stride;
  const float* weights = program.constants + instruction.weights;
  alignas(64) float sums[kFloatPixels * kGroup];
  for (int64_t first = 0; first < instruction.filters; first += kGroup) {
    for (int64_t y = 0; y < instruction.height; ++y) {
      for (int64_t x = 0; x < instruction.width; x += kFloatPixels) {
        const int64_t left = instruction.width - x;
        const uint8_t* from =
            input.at(y * instruction.stride - instruction.padding, x * instruction.stride - instruction.padding);
        float_tile(reinterpret_cast<const float*>(from), row, step, instruction, taps, weights, sums);
        finish(tail, first, y, x, static_cast<int>(left < kFloatPixels ? left : kFloatPixels), sums);
      }
    }
    weights += instruction.kernel_height * taps * kGroup;
  }
}

// Pixel by pixel: `value(y, x, group)` fills 16 floats.
template <class Fill>
inline void each_pixel(const Program& program, const Instruction& instruction, uint8_t* arena, Fill fill) {
  const Tail tail(program, instruction, arena);
  alignas(64) float values[kGroup];
  for (int64_t y = 0; y < instruction.height; ++y) {
    for (int64_t x = 0; x < instruction.width; ++x) {
      for (int64_t first = 0; first < instruction.filters; first += kGroup) {
        fill(y, x, first, values);
        finish(tail, first, y, x, 1, values);
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

// Every stride-th pixel; `before` channels of zeros come before those of the source, and zeros after them.
void take(const Program& program, const Instruction& instruction, uint8_t* arena) {
  const Buffer& source = program.buffer(instruction.source);
  const Pixels input(source, arena);
  const int64_t before = instruction.before;
  const Tail tail(program, instruction, arena);
  if (tail.parts == STORE) return copy_pixels(instruction, input, tail.store, 4 * before, 4 * source.channels);
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
    const int64_t top = y * instruction.stride - instruction.padding, left = x * instruction.stride - instruction.padding;
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
