// Portable float vectors (GCC and Clang vector extensions: AVX-512, AVX2, SSE or NEON, whatever the target has).
#pragma once

#include <cstdint>
#include <cstring>

namespace lowbit {

template <int LANES>
struct VecTypes;
template <>
struct VecTypes<8> {
  typedef float Float __attribute__((vector_size(32)));
  typedef int32_t Int __attribute__((vector_size(32)));
};
template <>
struct VecTypes<16> {
  typedef float Float __attribute__((vector_size(64)));
  typedef int32_t Int __attribute__((vector_size(64)));
};

template <int LANES>
struct Vec : VecTypes<LANES> {
  using typename VecTypes<LANES>::Float;
  using typename VecTypes<LANES>::Int;
  typedef float Quad __attribute__((vector_size(16)));

  static Float load(const float* p) {
    Float v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(float* p, Float v) { std::memcpy(p, &v, sizeof v); }
  static Float broadcast(float value) { return Float{} + value; }
  static Float abs(Float v) { return reinterpret_cast<Float>(reinterpret_cast<Int>(v) & 0x7fffffff); }
  static Float clip(Float v, Float low, Float high) {
    v = v > low ? v : low;
    return v < high ? v : high;
  }
  static float sum(Float v) {  // halves are added until four lanes are left
    Quad quads[LANES / 4];
    std::memcpy(quads, &v, sizeof v);
    for (int count = LANES / 8; count > 0; count /= 2)
      for (int i = 0; i < count; ++i) quads[i] += quads[i + count];
    return (quads[0][0] + quads[0][2]) + (quads[0][1] + quads[0][3]);
  }
};

}  // namespace lowbit
