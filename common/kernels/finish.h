// What is done with the outputs of a convolution: outputs [pixel, pixel + count) of a plane, n F + f, in one call each.
#pragma once

#include "copy_row.h"
#include "simd.h"

namespace lowbit {

inline void fetch(const float* values, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(values + i);
}

// They stay as they are.
struct AsTheyAre {
  // Outputs that wait in the cache, on their way to their place.
  void write(const float* values, float* to, int64_t /* plane */, int64_t /* pixel */, int64_t count) const {
    copy_row<kLanes>(values, count, to);
  }
  // Outputs that are at their place, and in the cache.
  void change(float* /* values */, int64_t /* plane */, int64_t /* pixel */, int64_t /* count */) const {}
  // Outputs that will be there soon: what else is read for them may be fetched.
  void expect(int64_t /* plane */, int64_t /* pixel */, int64_t /* count */) const {}
};

// Others, in planes of the same size, are added to them.
struct AddOthers {
  const float* others;
  int64_t plane_size;

  void write(const float* values, float* to, int64_t plane, int64_t pixel, int64_t count) const {
    const float* other = others + plane * plane_size + pixel;
    for (int64_t i = 0; i < count; ++i) to[i] = values[i] + other[i];
  }
  void change(float* values, int64_t plane, int64_t pixel, int64_t count) const {
    write(values, values, plane, pixel, count);
  }
  void expect(int64_t plane, int64_t pixel, int64_t count) const { fetch(others + plane * plane_size + pixel, count); }
};

}  // namespace lowbit
