// What a thread computes of an instruction that several share: some of its rows, or some of its filters.
#pragma once

#include <algorithm>

#include "program.h"

namespace {

using namespace lowbit::engine;

struct Range {
  int64_t first, end;
  int64_t count() const { return end - first; }
};

// The arena's part of `count`, in whole `unit`s.
inline Range part_of(int64_t count, Arena arena, int64_t unit = 1) {
  const int64_t units = (count + unit - 1) / unit;
  const auto start = [&](int64_t part) { return std::min(count, units * part / arena.parts * unit); };
  return {start(arena.part), start(arena.part + 1)};
}

struct Share {
  Range rows, filters;
};

// Of `rows` and `filters`: the filters, in whole `unit`s, where weights are so many bytes that each thread should read
// its own alone; else the rows.
inline Share share_of(int64_t rows, int64_t filters, int64_t weight_bytes, int64_t unit, Arena arena) {
  constexpr int64_t kLarge = 1 << 18;  // a quarter of a second cache
  const bool by_filters = (weight_bytes >= kLarge || rows < arena.parts) && filters >= arena.parts * unit;
  if (by_filters) return {{0, rows}, part_of(filters, arena, unit)};
  return {part_of(rows, arena), {0, filters}};
}

// Whether an instruction is so large that sharing it pays: two threads agree in about half a microsecond.
inline bool is_shared(const Instruction& instruction) {
  constexpr int64_t kResults = 1 << 12, kTaps = 1 << 16;
  const int64_t results = int64_t{instruction.height} * instruction.width * instruction.filters;
  switch (instruction.operation) {
    case INTEGER_CONV:
    case DIFFERENCE_CONV:
    case WINOGRAD_CONV:
    case DEPTHWISE_CONV:
    case IMAGE:
    case MAXIMUM:
    case AVERAGE:
    case TAKE: return results >= kResults;
    case FLOAT_CONV: return results >= kResults || results * instruction.kernel_height * instruction.kernel_width >= kTaps;
    default: return false;
  }
}

}  // namespace
