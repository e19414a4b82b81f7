// Uniform numbers as a hash of seed, draw and place, see common/kernels/counter_noise.py.
#include <cstdint>

#include "tensors.h"

namespace {

constexpr uint32_t kMultipliers[] = {0x7FEB352D, 0x2C1B3C6D, 0x297A2D39};
constexpr uint32_t kStride = 0x1E3779B1;  // between places

uint32_t mix(uint32_t word) {
  for (uint32_t multiplier : kMultipliers) word = (word ^ word >> 16) * multiplier;
  return word ^ word >> 16;
}

}  // namespace

// Inputs int64 [seed's word, draw], int64 places (N); output float32 (N), multiples of 2^-23 and half of that.
extern "C" int CounterNoise(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const auto *state = static_cast<const int64_t*>(p[0]), *places = static_cast<const int64_t*>(p[1]);
  const uint32_t key = mix(mix(static_cast<uint32_t>(state[0])) + static_cast<uint32_t>(state[1]));
  for (int64_t i = 0; i < shapes[1][0]; ++i) {
    const uint32_t word = mix(key + static_cast<uint32_t>(places[i]) * kStride);
    lowbit::out(p, 2)[i] = (static_cast<float>(word >> 9) + 0.5f) * 0x1p-23f;
  }
  return 0;
}
