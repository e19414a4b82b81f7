// Rows taken apart into even and odd columns, and joined.
#pragma once

#include <cstdint>

namespace lowbit {

// Every second value to `even`, the others to `odd`; the compiler makes shuffles of it.
inline void split_pairs(const float* __restrict from, int64_t count, float* __restrict even, float* __restrict odd) {
  for (int64_t i = 0; i < count / 2; ++i) {
    even[i] = from[2 * i];
    odd[i] = from[2 * i + 1];
  }
  if (count % 2) even[count / 2] = from[count - 1];
}

// The inverse.
inline void join_pairs(const float* __restrict even, const float* __restrict odd, int64_t count, float* __restrict to) {
  for (int64_t i = 0; i < count / 2; ++i) {
    to[2 * i] = even[i];
    to[2 * i + 1] = odd[i];
  }
  if (count % 2) to[count - 1] = even[count / 2];
}

}  // namespace lowbit
