// Float convolutions and their gradients. Two operations on a tap of input x, weight w and gradient gy:
//
//             y[n,f,i,j]     gx[n,c,p,q]                  gw[f,c,u,v]
//   Product   sum x w        sum w gy                     sum x gy             the convolution of deep learning
//   Distance  -sum |x - w|   sum clip(w - x, -1, 1) gy    sum (x - w) gy       adder convolution (Chen et al., CVPR 2020,
//                                                                              eq. 1, 5 and 6)
//
// y sums over c, u, v with x[n,c,i s+u,j s+v]; gx over f, u, v with gy[n,f,(p-u)/s,(q-v)/s]; gw over n, i, j. x is zero
// outside the image. Work is split into items whose results do not depend on the number of threads, so training is
// reproducible bit for bit. The product has several algorithms (conv_product.h says which serves a layer), the distance
// tiles of its own (adder_forward.h, adder_grad_input.h); its weight gradient is that of the product and a sum of gy.
#pragma once

#include <type_traits>
#include <vector>

#include "finish.h"
#include "geometry.h"
#include "images.h"
#include "images.h"
#include "parallel.h"
#include "simd.h"
#include "tensors.h"

namespace lowbit {

// Register tiles: sums of some filters (or channels) at some vectors of pixels, beside a vector each of what is read.
constexpr int kFilters = 4;
constexpr int kVectors = kManyRegisters ? 4 : 3;

// Offsets of all C KH KW taps in the phase-split image.
inline std::vector<int64_t> tap_offsets(const Geometry& g) {
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < g.c; ++c)
    for (int64_t ky = 0; ky < g.kh; ++ky)
      for (int64_t kx = 0; kx < g.kw; ++kx) offsets.push_back(c * g.plane_size() + g.tap(ky, kx));
  return offsets;
}

template <int LANES>
using Lanes = std::integral_constant<int, LANES>;

// Calls work(lanes, geometry) with the processor's vectors. Narrow outputs take narrower ones: with 16 lanes half of
// each would be wasted on a row of 8.
template <class Work>
inline void by_width(int64_t** shapes, int stride_pad_index, void** params, Work work) {
  const auto* stride_pad = static_cast<const int32_t*>(params[stride_pad_index]);
  const Geometry g(shapes[0], shapes[1], stride_pad, kLanes);
  if constexpr (kLanes > 8) {
    if (g.ow <= 8) return work(Lanes<8>(), Geometry(shapes[0], shapes[1], stride_pad, 8));
  }
  work(Lanes<kLanes>(), g);
}

}  // namespace lowbit
