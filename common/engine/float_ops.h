// Instructions whose inputs are float32: the first convolution, shortcuts, pooling, the last layer.
#pragma once

#include <algorithm>

#include "tail.h"

namespace {

inline Range rows_of(const Instruction& instruction, Arena arena) { return part_of(instruction.height, arena); }

// A row of planes, `area` numbers apart, into pixels of C channels and nothing else.
template <int C>
inline void interleave(const float* planes, int64_t area, int64_t width, float* out) {
  for (int64_t x = 0; x < width; ++x)
    for (int c = 0; c < C; ++c) out[C * x + c] = planes[c * area + x];
}

void image_to_pixels(const Program& program, const Instruction& instruction, const float* image, Arena arena) {
  const Buffer& buffer = program.buffer(instruction.store);
  if (arena.part == 0) clear_border(buffer, arena);
  const Pixels pixels(buffer, arena);
  const int64_t area = int64_t{buffer.height} * buffer.width;
  const Range rows = part_of(buffer.height, arena);
  for (int64_t y = rows.first; y < rows.end; ++y) {
    float* out = reinterpret_cast<float*>(pixels.at(y, 0));
    const float* row = image + y * buffer.width;
    if (buffer.channels == 3 && buffer.stride == 3) {
      interleave<3>(row, area, buffer.width, out);
      continue;
    }
    for (int64_t c = 0; c < buffer.channels; ++c)
      for (int64_t x = 0; x < buffer.width; ++x) out[x * buffer.stride + c] = row[c * area + x];
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
#pragma GCC unroll 16
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

// The same of any kernel. One of a single row, such as a linear layer, may have hundreds of taps: kPiece of them are added
// to a sum of their own, and these sums one after the other, so that rounding does not grow with every tap.
constexpr int64_t kPiece = 32;

template <int P, int G>
inline void float_sums(const float* x, int64_t row, int64_t step, const Instruction& instruction, int64_t taps,
                       const float* weights, int64_t group, float* out) {
  const int64_t first = instruction.kernel_height > 1 ? taps : std::min(taps, kPiece);
  float_tile<P, G>(x, row, step, instruction, first, weights, group, out);
  alignas(64) float piece[P * G * kGroup];
  for (int64_t tap = first; tap < taps; tap += kPiece) {
    float_tile<P, G>(x + tap, row, step, instruction, std::min(taps - tap, kPiece), weights + tap * kGroup, group,
                     piece);
    for (int i = 0; i < P * G * kGroup; i += kLanes) store(out + i, load(out + i) + load(piece + i));
  }
}

// Weights of a float convolution: of taps of a row of the kernel, bytes of a row of its source, floats of a group.
struct FloatWeights {
  int64_t taps, row, group;
  const float* first;

  FloatWeights(const Program& program, const Instruction& instruction, const Pixels& input)
      : taps(int64_t{instruction.kernel_width} * input.pixel / 4),
        row(input.row / 4),
        group(instruction.kernel_height * taps * kGroup),
        first(program.constants + instruction.weights) {}
};

// P pixels of a row at a time. A tile has independent sums enough to hide the latency of additions.
template <int P>
void float_rows(const Program& program, const Instruction& instruction, const Images& images, Range rows,
                Range filters) {
  const FloatWeights of(program, instruction, images.inputs[0]);
  const int64_t step = instruction.stride * images.inputs[0].pixel / 4;
  alignas(64) float sums[P * kGroup];
  for (int64_t first = filters.first; first < filters.end; first += kGroup) {
    const float* weights = of.first + first / kGroup * of.group;
    for (int64_t row = 0; row < images.count * rows.count(); ++row) {
      const int64_t y = rows.first + row % rows.count(), image = row / rows.count();
      for (int64_t x = 0; x < instruction.width; x += P) {
        const int64_t left = instruction.width - x;
        const uint8_t* from = images.inputs[image].at(y * instruction.stride - instruction.padding,
                                                      x * instruction.stride - instruction.padding);
        float_sums<P, 1>(reinterpret_cast<const float*>(from), of.row, step, instruction, of.taps, weights, of.group,
                         sums);
        finish(images.tails[image], first, y, x, static_cast<int>(left < P ? left : P), sums);
      }
    }
  }
}

// Results of one pixel, of P images at once, `image` bytes apart, and G groups of filters.
template <int P, int G>
void float_pixel(const Program& program, const Instruction& instruction, const Images& images, Range rows, Range filters,
                 int64_t image) {
  const FloatWeights of(program, instruction, images.inputs[0]);
  alignas(64) float sums[P * G * kGroup];
  for (int64_t first = filters.first; first < filters.end; first += G * kGroup) {
    const float* weights = of.first + first / kGroup * of.group;
    for (int i = 0; i < images.count; i += P) {
      for (int64_t y = rows.first; y < rows.end; ++y) {
        const uint8_t* from = images.inputs[i].at(y * instruction.stride - instruction.padding, -instruction.padding);
        float_sums<P, G>(reinterpret_cast<const float*>(from), of.row, image / 4, instruction, of.taps, weights,
                         of.group, sums);
        for (int g = 0; g < G; ++g)
          for (int p = 0; p < P; ++p)
            finish(images.tails[i + p], first + g * kGroup, y, 0, 1, sums + (g * P + p) * kGroup);
      }
    }
  }
}

constexpr int kGroupsOfTile = kLanes == 4 ? 2 : 4;  // where results are of one pixel

// Some rows and filters of the results.
void float_conv(const Program& program, const Instruction& instruction, Arena arena, int count, Range rows, Range filters) {
  constexpr int kMost = kLanes == 8 ? 6 : kLanes == 16 ? 14 : 4, kLess = kLanes == 16 ? 8 : 4;
  const Images images(program, instruction, arena, count);
  const auto computed = [&](int64_t pixels) { return (instruction.width + pixels - 1) / pixels * pixels; };
  if (instruction.width > 1 && computed(kMost) <= computed(kLess) + 2)
    return float_rows<kMost>(program, instruction, images, rows, filters);
  if (instruction.width > 1) return float_rows<kLess>(program, instruction, images, rows, filters);
  const int64_t image = program.buffer(instruction.source).image;
  if (count == kImagesTogether)
    return float_pixel<kImagesTogether, 1>(program, instruction, images, rows, filters, image);
  if (images.tails[0].padded % (kGroupsOfTile * kGroup) == 0)
    return float_pixel<1, kGroupsOfTile>(program, instruction, images, rows, filters, image);
  return float_pixel<1, 1>(program, instruction, images, rows, filters, image);
}

void float_conv(const Program& program, const Instruction& instruction, Arena arena, int count) {
  const int64_t row = int64_t{instruction.kernel_width} * program.buffer(instruction.source).stride;
  const int64_t padded = (instruction.filters + kGroup - 1) / kGroup * kGroup;
  const Share share =
      share_of(instruction.height, padded, 4 * padded * instruction.kernel_height * row, kGroupsOfTile * kGroup, arena);
  float_conv(program, instruction, arena, count, share.rows, share.filters);
}

// Pixel by pixel, some of a row at a time: `fill(y, x, first, values)` gives the values of filters first to first + 15.
template <class Fill>
inline void each_pixel(const Program& program, const Instruction& instruction, Arena arena, Range rows, Fill fill) {
  constexpr int64_t kAtOnce = 8;
  const Tail tail(program, instruction, arena);
  alignas(64) float values[kAtOnce * kGroup];
  for (int64_t y = rows.first; y < rows.end; ++y) {
    for (int64_t first = 0; first < instruction.filters; first += kGroup) {
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
                        int64_t size, Range rows) {
  for (int64_t y = rows.first; y < rows.end; ++y) {
    for (int64_t x = 0; x < instruction.width; ++x) {
      std::memset(to.at(y, x), 0, to.pixel);
      std::memcpy(to.at(y, x) + before, from.at(y * instruction.stride, x * instruction.stride), size);
    }
  }
}

// What `take` does where channels stay: the tail reads the source itself.
inline void finish_rows(const Instruction& instruction, const Pixels& from, const Tail& tail, Range rows) {
  const int64_t step = instruction.stride * from.pixel / 4;
  for (int64_t first = 0; first < instruction.filters; first += kGroup) {
    for (int64_t y = rows.first; y < rows.end; ++y) {
      const float* row = reinterpret_cast<const float*>(from.at(y * instruction.stride, 0)) + first;
      finish(tail, first, y, 0, instruction.width, row, step);
    }
  }
}

// Every stride-th pixel; `before` channels of zeros come before those of the source, and zeros after them.
void take(const Program& program, const Instruction& instruction, Arena arena) {
  const Buffer& source = program.buffer(instruction.source);
  const Pixels input(source, arena);
  const int64_t before = instruction.before;
  const Tail tail(program, instruction, arena);
  const Range rows = rows_of(instruction, arena);
  if (tail.parts == STORE) return copy_pixels(instruction, input, tail.store, 4 * before, 4 * source.channels, rows);
  if (before == 0 && source.channels == instruction.filters && source.stride % kGroup == 0)
    return finish_rows(instruction, input, tail, rows);
  each_pixel(program, instruction, arena, rows, [&](int64_t y, int64_t x, int64_t first, float* values) {
    const float* in = reinterpret_cast<const float*>(input.at(y * instruction.stride, x * instruction.stride));
    const int64_t low = before > first ? before - first : 0;
    const int64_t room = before + source.channels - first, high = room < kGroup ? room : kGroup;
    for (int64_t i = 0; i < kGroup; ++i) values[i] = 0;
    if (low < high) std::memcpy(values + low, in + first + low - before, 4 * (high - low));
  });
}

// The number of the largest of each decision's scores, the first of equal ones.
void choose(const Program& program, const Instruction& instruction, Arena arena) {
  const Pixels input(program.buffer(instruction.source), arena);
  const int64_t count = instruction.candidates;
  const float* scores = reinterpret_cast<const float*>(input.first);
  each_pixel(program, instruction, arena, rows_of(instruction, arena), [&](int64_t, int64_t, int64_t first, float* values) {
    for (int64_t i = 0; i < kGroup; ++i) {
      const float* of = scores + (first + i) * count;
      int64_t best = 0;
      for (int64_t k = 1; k < count && first + i < instruction.filters; ++k)
        if (of[k] > of[best]) best = k;
      values[i] = static_cast<float>(best);
    }
  });
}

}  // namespace
