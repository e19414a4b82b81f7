// What is done with the outputs of a convolution once they are written, while they are in the cache.
#pragma once

#include <cstdint>

namespace lowbit {

// Nothing. Outputs [pixel, pixel + count) of a plane, n F + f, are called once each.
struct AsTheyAre {
  void operator()(int64_t /* plane */, int64_t /* pixel */, int64_t /* count */) const {}
};

}  // namespace lowbit
