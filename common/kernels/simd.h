// Portable float vectors (GCC and Clang vector extensions: AVX-512, AVX2, SSE or NEON, whatever the target has).
//
// A vector wider than the registers compiles, but to code ten times slower than that of two narrow ones, and so does a
// tile of more vectors than there are registers: kernels choose their tiles by kLanes and kManyRegisters.
#pragma once

#include <cstdint>
#include <cstring>

// Float lanes of a register; tests define it, to run the tiles of other processors.
#ifndef LOWBIT_LANES
#if defined(__AVX512VL__)
#define LOWBIT_LANES 16
#elif defined(__AVX__)
#define LOWBIT_LANES 8
#else
#define LOWBIT_LANES 4
#endif
#endif

namespace lowbit {

constexpr int kLanes = LOWBIT_LANES;
#if defined(__aarch64__)
constexpr bool kManyRegisters = true;
#else
constexpr bool kManyRegisters = kLanes == 16;  // AVX-512 has 32 of any width, AVX2 and SSE 16
#endif

template <int LANES>
struct VecTypes;
template <>
struct VecTypes<4> {
  typedef float Float __attribute__((vector_size(16)));
  typedef int32_t Int __attribute__((vector_size(16)));
  typedef uint32_t Unsigned __attribute__((vector_size(16)));
};
template <>
struct VecTypes<8> {
  typedef float Float __attribute__((vector_size(32)));
  typedef int32_t Int __attribute__((vector_size(32)));
  typedef uint32_t Unsigned __attribute__((vector_size(32)));
};
template <>
struct VecTypes<16> {
  typedef float Float __attribute__((vector_size(64)));
  typedef int32_t Int __attribute__((vector_size(64)));
  typedef uint32_t Unsigned __attribute__((vector_size(64)));
};

template <int LANES>
struct Vec : VecTypes<LANES> {
  using typename VecTypes<LANES>::Float;
  using typename VecTypes<LANES>::Int;
  using typename VecTypes<LANES>::Unsigned;
  typedef float Quad __attribute__((vector_size(16)));

  static Float load(const float* p) {
    Float v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(float* p, Float v) { std::memcpy(p, &v, sizeof v); }
  // Of the first `lanes` lanes; the others are 0.
  static Float load(const float* p, int64_t lanes) {
    if (lanes == LANES) return load(p);
    Float v = {};
    std::memcpy(&v, p, lanes * sizeof(float));
    return v;
  }
  static void store(float* p, Float v, int64_t lanes) {
    if (lanes == LANES) return store(p, v);
    std::memcpy(p, &v, lanes * sizeof(float));
  }
  static Float first(Float v, int64_t lanes) {  // the first lanes; the others become 0
    Float kept = {};
    std::memcpy(&kept, &v, lanes * sizeof(float));
    return kept;
  }
  static Float broadcast(float value) { return Float{} + value; }
  static Float abs(Float v) { return reinterpret_cast<Float>(reinterpret_cast<Int>(v) & 0x7fffffff); }
  static Float clip(Float v, Float low, Float high) {
    v = v > low ? v : low;
    return v < high ? v : high;
  }
  // Between -limit and limit, which must not be known to the compiler: of constants it makes comparisons. As integers,
  // positive floats stand in their order and negative ones above them, the smallest last; and minima of integers start
  // in more of the processor's units than those of floats.
  static Float clip(Float v, Float limit) {
#if defined(__SSE2__) && !defined(__SSE4_1__)
    return clip(v, -limit, limit);
#else
    const Int low = reinterpret_cast<Int>(v), one = reinterpret_cast<Int>(limit);
    const Unsigned high = reinterpret_cast<Unsigned>(low < one ? low : one);
    const Unsigned minus_one = reinterpret_cast<Unsigned>(-limit);
    return reinterpret_cast<Float>(high < minus_one ? high : minus_one);
#endif
  }
  // One value in all lanes, read as an integer: processors that were measured (Zen 4) fill a vector on the way from
  // memory with that alone, and spend an operation on a float.
  static Float broadcast_from(const float* value) {
    int32_t bits;
    std::memcpy(&bits, value, sizeof bits);
    return reinterpret_cast<Float>(Int{} + bits);
  }
  // The larger one of two values of which one has no sign: as integers, see above.
  static Float larger(Float a, Float b) {
#if defined(__SSE2__) && !defined(__SSE4_1__)
    return a > b ? a : b;
#else
    const Int left = reinterpret_cast<Int>(a), right = reinterpret_cast<Int>(b);
    return reinterpret_cast<Float>(left > right ? left : right);
#endif
  }
  static Float round_even(Float v) {
    for (int i = 0; i < LANES; ++i) v[i] = __builtin_rintf(v[i]);
    return v;
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
