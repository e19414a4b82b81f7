// Short rows copied in vectors: a call of memcpy costs as much as some of them.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace lowbit {

// Calls block(i, size) for blocks that cover [0, count), sizes known to the compiler; the last ones may overlap.
template <int SIZE, class Block>
inline void for_blocks(int64_t count, Block block) {
  if (count >= SIZE) {
    for (int64_t i = 0; i + SIZE < count; i += SIZE) block(i, std::integral_constant<int, SIZE>());
    block(count - SIZE, std::integral_constant<int, SIZE>());
  } else if constexpr (SIZE > 1) {
    for_blocks<SIZE / 2>(count, block);
  }
}

// Copies a row.
template <int LANES>
inline void copy_row(const float* from, int64_t count, float* to) {
  for_blocks<LANES>(count, [&](int64_t i, auto size) { std::memcpy(to + i, from + i, size * sizeof(float)); });
}

}  // namespace lowbit
