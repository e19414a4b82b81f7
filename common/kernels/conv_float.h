// Float convolutions of any kind and their gradients: what a tap of input x, weight w and gradient gy adds is an
// Operation, the walk over images, filters and taps is written once.
//
//   y [n,f,i,j]   = sum_{c,u,v} forward(x[n,c,i s+u,j s+v], w[f,c,u,v])
//   gx[n,c,p,q]   = sum_{f,u,v} input_gradient(w[f,c,u,v], x[n,c,p,q]) gy[n,f,(p-u)/s,(q-v)/s]
//   gw[f,c,u,v]   = sum_{n,i,j} (x[n,c,i s+u,j s+v] - Operation::kWeightTerm w[f,c,u,v]) gy[n,f,i,j]
//
// x is zero outside the image. Work is split into items whose results do not depend on the number of threads, so
// training is reproducible bit for bit. The operations:
//
//             forward    input_gradient     kWeightTerm
//   Product   x w        w                  0            the convolution of deep learning
//   Distance  -|x - w|   clip(w - x, -1, 1) 1            adder convolution (Chen et al., CVPR 2020, eq. 1, 5 and 6)
#pragma once

#include <type_traits>
#include <vector>

#include "finish.h"
#include "geometry.h"
#include "parallel.h"
#include "simd.h"
#include "tensors.h"

namespace lowbit {

// Register tiles: sums of some filters (or channels) at some vectors of pixels, beside a vector each of what is read.
constexpr int kFilters = 4;
constexpr int kVectors = kManyRegisters ? 4 : 3;

template <int LANES>
struct Product {
  using Vector = typename Vec<LANES>::Float;
  static constexpr int kPositions = kVectors;  // vectors of input positions per tile of the input gradient
  static constexpr bool kReadsInput = false;
  static constexpr float kWeightTerm = 0;
  static void forward(Vector& sum, Vector x, float w) { sum += x * w; }
  static void input_gradient(Vector& sum, float w, Vector, Vector grad) { sum += w * grad; }
};

// Its forward pass and its gradient for the input have tiles of their own, in adder_forward.h and adder_grad_input.h.
template <int LANES>
struct Distance {
  static constexpr float kWeightTerm = 1;
};

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
