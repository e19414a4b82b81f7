// Float vectors of the instruction set that the including file is compiled for.
//
// Everything is in an unnamed namespace: files of other flags have functions of the same names, and the linker must not
// put one in the place of another.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// The compiler would call functions of registers.
#define LOWBIT_INLINE inline __attribute__((always_inline))

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;  // SSE2, NEON
#endif

typedef float Float __attribute__((vector_size(4 * kLanes)));
typedef int32_t Int __attribute__((vector_size(4 * kLanes)));

// Codes of 16, 32 or 64 channels.
template <int SIZE>
struct BytesOf {
  typedef uint8_t Type __attribute__((vector_size(SIZE)));
};
template <int SIZE>
using Bytes = typename BytesOf<SIZE>::Type;

template <class V>
inline V load_bytes(const uint8_t* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline Float load(const float* p) {
  Float v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// Sums, less an offset, become float32 here; above 2^24 they round to even.
inline Float difference(const int32_t* p, Int offset) {
  Int v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v - offset, Float);
}

// Codes as float32; compilers widen a vector of bytes one by one.
inline Float load(const uint8_t* p) {
#if defined(__AVX512F__)
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__)
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  typedef uint8_t Bytes __attribute__((vector_size(kLanes)));
  Bytes v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(__builtin_convertvector(v, Int), Float);
#endif
}

// Values that are no sums have no offset.
inline Float difference(const float* p, Int) { return load(p); }

inline void store(float* p, Float v) { std::memcpy(p, &v, sizeof v); }

inline Int load_int(const int32_t* p) {
  Int v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void store_int(int32_t* p, Int v) { std::memcpy(p, &v, sizeof v); }


inline Float all(float x) {
#if defined(__AVX512F__)
  return _mm512_set1_ps(x);
#elif defined(__AVX2__)
  return _mm256_set1_ps(x);
#else
  return x - Float{};
#endif
}

// sum + a b of integers that float32 holds, products and sums alike: fused or not, the same bits.
inline Float add_product(Float sum, Float a, Float b) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, sum);
#else
  return sum + a * b;
#endif
}

// `v < top ? v : top`, and `v > other ? v : other`: one instruction each, which the compiler does not find.
inline Float least(Float v, Float top) {
#if defined(__AVX512F__)
  return _mm512_min_ps(v, top);
#elif defined(__AVX2__)
  return _mm256_min_ps(v, top);
#else
  return v < top ? v : top;
#endif
}

inline Float most(Float v, Float other) {
#if defined(__AVX512F__)
  return _mm512_max_ps(v, other);
#elif defined(__AVX2__)
  return _mm256_max_ps(v, other);
#else
  return v > other ? v : other;
#endif
}

// NaN becomes 0.
inline Float positive(Float v) { return most(v, Float{}); }

// To the nearest integer, half to even; v in [0, 2^16).
inline Int round_even(Float v) {
#if defined(__AVX512F__)
  return reinterpret_cast<Int>(_mm512_cvtps_epi32(v));
#elif defined(__AVX2__)
  return reinterpret_cast<Int>(_mm256_cvtps_epi32(v));
#else
  const Float magic = all(12582912.0f);  // 1.5 * 2^23: its last bit is 1
  return __builtin_convertvector((v + magic) - magic, Int);
#endif
}

// The low byte of each lane.
inline void store_bytes(uint8_t* p, Int v) {
#if defined(__AVX512F__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(v)));
#elif defined(__AVX2__)
  const __m256i low = _mm256_and_si256(reinterpret_cast<__m256i>(v), _mm256_set1_epi32(255));
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
#else
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<uint8_t>(v[i]);
#endif
}

// round(clip(v, 0, top)) of four pixels, `pixel` bytes apart, top up to 255; NaN becomes 0. Numbers below 0, and what is
// none, become 0 where 16 bits become 8.
#if defined(__AVX512F__)
LOWBIT_INLINE void store_codes(uint8_t* p, int64_t pixel, const Float (&v)[4], Float top) {
  const auto whole = [&](int i) { return _mm512_cvtps_epi32(_mm512_min_ps(top, v[i])); };
  const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(whole(0), whole(1)), _mm512_packs_epi32(whole(2), whole(3)));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i pixels = _mm512_permutexvar_epi32(order, bytes);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_castsi512_si128(pixels));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + pixel), _mm512_extracti32x4_epi32(pixels, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 2 * pixel), _mm512_extracti32x4_epi32(pixels, 2));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 3 * pixel), _mm512_extracti32x4_epi32(pixels, 3));
}
#elif defined(__AVX2__)
LOWBIT_INLINE void store_codes(uint8_t* p, int64_t pixel, const Float (&v)[4], Float top) {
  const auto whole = [&](int i) { return _mm256_cvtps_epi32(_mm256_min_ps(top, v[i])); };
  const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(whole(0), whole(1)), _mm256_packs_epi32(whole(2), whole(3)));
  const __m256i pixels = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  const __m128i low = _mm256_castsi256_si128(pixels), high = _mm256_extracti128_si256(pixels, 1);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), low);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p + pixel), _mm_unpackhi_epi64(low, low));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 2 * pixel), high);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 3 * pixel), _mm_unpackhi_epi64(high, high));
}
#else
LOWBIT_INLINE void store_codes(uint8_t* p, int64_t pixel, const Float (&v)[4], Float top) {
  for (int i = 0; i < 4; ++i) store_bytes(p + i * pixel, round_even(least(positive(v[i]), top)));
}
#endif

}  // namespace
