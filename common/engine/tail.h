// What happens to the result of every instruction before it is written: float32, multiply and add separate.
//
//   v = S - o[f]                 sum_offset  in integers; of sums of differences alone
//   v = v a[f] + b[f]            scale       (of integer sums always)
//   v = v + residual             residual
//   v = max(v, 0)                relu; min(max(v, 0), 6) where it is 2
//   store = v                    store       what a later shortcut or layer reads
//   v = v g[f] + h[f]            norm        BatchNorm before the activation
//   active = max(v, 0)           active      what the shortcut of a pre-activation block reads
//   v = v k[f]                   steps       codes per unit
//   codes = round(clip(v, 0, top[f])) n[f]   (codes, multiplier; in two planes 256 h + l with `planes`)
#pragma once

#include "share.h"
#include "vector.h"

namespace {

enum Part { SCALE = 1, RESIDUAL = 2, RELU = 4, STORE = 8, NORM = 16, ACTIVE = 32, STEPS = 64, MULTIPLIER = 128,
            PLANES = 256, CODES = 512, RELU6 = 1024, SUM_OFFSET = 2048 };

// Where the pixels of a buffer are.
struct Pixels {
  uint8_t* first = nullptr;  // pixel (0, 0) inside the border
  int64_t row = 0, pixel = 0;  // bytes

  Pixels() = default;
  Pixels(const Buffer& buffer, Arena arena) {
    pixel = int64_t{buffer.stride} * buffer.element;
    row = pixel * (buffer.width + 2 * buffer.border);
    first = arena.memory + buffer.offset + arena.image * buffer.image + buffer.border * (row + pixel);
  }
  uint8_t* at(int64_t y, int64_t x) const { return first + y * row + x * pixel; }
};

void clear_border(const Buffer& buffer, Arena arena) {
  if (!buffer.border) return;
  const Pixels pixels(buffer, arena);
  const int64_t side = pixels.pixel * buffer.border;
  uint8_t* row = pixels.at(-buffer.border, -buffer.border);
  const int64_t rows = buffer.height + 2 * int64_t{buffer.border};
  for (int64_t y = 0; y < rows; ++y, row += pixels.row) {
    const bool outside = y < buffer.border || y >= rows - buffer.border;
    std::memset(row, 0, outside ? pixels.row : side);
    if (!outside) std::memset(row + pixels.row - side, 0, side);
  }
}

// The candidate that the image has chosen; 0 where nothing is to be chosen.
inline int64_t choice(const Program& program, int32_t decision, Arena arena) {
  if (decision == kNone) return 0;
  const Pixels choices(program.buffer(program.header().choices), arena);
  return static_cast<int64_t>(reinterpret_cast<const float*>(choices.first)[decision]);
}

struct Tail {
  int parts = 0;
  int64_t padded = 0;  // filters, padded to whole groups
  const float *sum_offset = nullptr, *scale = nullptr, *norm = nullptr;
  const float *steps = nullptr, *top = nullptr, *multiplier = nullptr;
  Pixels residual, store, active, codes;

  Tail() = default;
  Tail(const Program& program, const Instruction& instruction, Arena arena) {
    padded = (instruction.filters + kGroup - 1) / kGroup * kGroup;
    constants(program, instruction.sum_offset, SUM_OFFSET, sum_offset);
    constants(program, instruction.scale, SCALE, scale);
    constants(program, instruction.norm, NORM, norm);
    const int64_t chosen = choice(program, instruction.grid_decision, arena) * padded;
    constants(program, instruction.steps, STEPS, steps, chosen);
    constants(program, instruction.top, 0, top, chosen);
    constants(program, instruction.multiplier, MULTIPLIER, multiplier, chosen);
    if (instruction.relu) parts |= RELU;
    if (instruction.relu == 2) parts |= RELU6;
    if (instruction.planes) parts |= PLANES;
    buffer(program, instruction.residual, RESIDUAL, residual, arena, false);
    buffer(program, instruction.store, STORE, store, arena, true);
    buffer(program, instruction.active, ACTIVE, active, arena, true);
    buffer(program, instruction.codes, CODES, codes, arena, true);
  }

 private:
  void constants(const Program& program, int32_t index, int part, const float*& place, int64_t offset = 0) {
    if (index == kNone) return;
    place = program.constants + index + offset;
    parts |= part;
  }
  void buffer(const Program& program, int32_t index, int part, Pixels& place, Arena arena, bool written) {
    if (index == kNone) return;
    place = Pixels(program.buffer(index), arena);
    if (written && arena.part == 0) clear_border(program.buffer(index), arena);
    parts |= part;
  }
};

// Pixel (y, x) and filter `f` of a layer whose results become codes and nothing else.
struct CodesAt {
  const Tail& tail;
  int64_t f, y, x;

  static bool are_all(const Tail& tail) { return tail.parts == (SCALE | CODES); }
};

// Codes of P pixels of a row and one vector of filters, made of sums that are in registers.
template <int P, class Sum>
LOWBIT_INLINE void put_codes(const CodesAt& at, const Sum (&sums)[P]) {
  const Tail& tail = at.tail;
  const Float a = load(tail.scale + at.f), b = load(tail.scale + tail.padded + at.f), top = load(tail.top + at.f);
  uint8_t* to = tail.codes.at(at.y, at.x) + at.f;
  static_assert(P >= 4, "codes are written four at a time");
#pragma GCC unroll 8
  for (int start = 0; start < P; start += 4) {
    const int p = start + 4 <= P ? start : P - 4;  // the last four may have some of those before
    Float four[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) four[i] = __builtin_convertvector(sums[p + i], Float) * a + b;
    store_codes(to + p * tail.codes.pixel, tail.codes.pixel, four, top);
  }
}

// The source and the tail of a convolution, of each image of a group.
struct Images {
  int count;
  Pixels inputs[kImagesTogether];
  Tail tails[kImagesTogether];

  Images(const Program& program, const Instruction& instruction, Arena arena, int of) : count(of) {
    for (int i = 0; i < count; ++i, ++arena.image) {
      inputs[i] = Pixels(program.buffer(instruction.source), arena);
      tails[i] = Tail(program, instruction, arena);
    }
  }
};

// `count` pixels of a row from (y, x) on, filters `first` to first + 15; values (count, 16) int32 or float, those of a
// pixel `step` after those of the one before.
template <int PARTS, class Value>
inline void tail_of(const Tail& tail, int64_t first, int64_t y, int64_t x, int count, const Value* values,
                    int64_t step) {
  const int parts = PARTS ? PARTS : tail.parts;
  for (int64_t lane = 0; lane < kGroup; lane += kLanes) {
    const int64_t f = first + lane;
    Float a{}, b{}, g{}, h{}, k{}, top{};
    Int o{};
    if (parts & SUM_OFFSET) o = __builtin_convertvector(load(tail.sum_offset + f), Int);
    if (parts & SCALE) a = load(tail.scale + f), b = load(tail.scale + tail.padded + f);
    if (parts & NORM) g = load(tail.norm + f), h = load(tail.norm + tail.padded + f);
    if (parts & STEPS) k = load(tail.steps + f);
    if (parts & CODES) top = load(tail.top + f);
    const uint8_t* residual = parts & RESIDUAL ? tail.residual.at(y, x) + 4 * f : nullptr;
    uint8_t* stored = parts & STORE ? tail.store.at(y, x) + 4 * f : nullptr;
    uint8_t* active = parts & ACTIVE ? tail.active.at(y, x) + 4 * f : nullptr;
    uint8_t* codes = parts & CODES ? tail.codes.at(y, x) + f : nullptr;
    const auto value = [&](int p) __attribute__((always_inline)) {
      Float v = difference(values + p * step + lane, o);
      if (parts & SCALE) v = v * a + b;
      if (parts & RESIDUAL) v = v + load(reinterpret_cast<const float*>(residual + p * tail.residual.pixel));
      if (parts & RELU) v = positive(v);
      if (parts & RELU6) v = least(v, all(6.0f));
      if (parts & STORE) store(reinterpret_cast<float*>(stored + p * tail.store.pixel), v);
      if (parts & NORM) v = v * g + h;
      if (parts & ACTIVE) v = positive(v), store(reinterpret_cast<float*>(active + p * tail.active.pixel), v);
      if (parts & STEPS) v = v * k;
      return v;
    };
    int p = 0;
    for (; (parts & (CODES | MULTIPLIER | PLANES)) == CODES && p + 4 <= count; p += 4) {
      const Float four[4] = {value(p), value(p + 1), value(p + 2), value(p + 3)};
      store_codes(codes + p * tail.codes.pixel, tail.codes.pixel, four, top);
    }
    for (; p < count; ++p) {
      const Float v = value(p);
      if (!(parts & CODES)) continue;
      Int q = round_even(least(positive(v), top));
      if (parts & MULTIPLIER) q = q * __builtin_convertvector(load(tail.multiplier + f), Int);
      if (parts & PLANES) {
        store_bytes(codes + p * tail.codes.pixel, q >> 8);
        store_bytes(codes + p * tail.codes.pixel + tail.padded, q);
      } else {
        store_bytes(codes + p * tail.codes.pixel, q);
      }
    }
  }
}

// The forms that most layers of residual networks have are compiled without branches.
template <class Value>
inline void finish(const Tail& tail, int64_t first, int64_t y, int64_t x, int count, const Value* values,
                   int64_t step = kGroup) {
  constexpr int kInside = SCALE | CODES, kEnd = SCALE | RESIDUAL | RELU | STORE | STEPS | CODES;
  constexpr int kPreActive = SCALE | RESIDUAL | STORE | NORM | CODES, kChosen = SCALE | STEPS | CODES;
  constexpr int kCentred = kInside | SUM_OFFSET, kCentredEnd = kEnd | SUM_OFFSET;
  constexpr int kCodes = STEPS | CODES, kStem = SCALE | RELU | STORE | STEPS | CODES, kPreStem = STORE | NORM | CODES;
  switch (tail.parts) {
    case kInside: return tail_of<kInside>(tail, first, y, x, count, values, step);
    case kEnd: return tail_of<kEnd>(tail, first, y, x, count, values, step);
    case kCentred: return tail_of<kCentred>(tail, first, y, x, count, values, step);
    case kCentredEnd: return tail_of<kCentredEnd>(tail, first, y, x, count, values, step);
    case kPreActive: return tail_of<kPreActive>(tail, first, y, x, count, values, step);
    case kChosen: return tail_of<kChosen>(tail, first, y, x, count, values, step);
    case kCodes: return tail_of<kCodes>(tail, first, y, x, count, values, step);
    case kStem: return tail_of<kStem>(tail, first, y, x, count, values, step);
    case kPreStem: return tail_of<kPreStem>(tail, first, y, x, count, values, step);
    default: return tail_of<0>(tail, first, y, x, count, values, step);
  }
}

}  // namespace
