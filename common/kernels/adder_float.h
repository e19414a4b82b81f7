// Float adder convolution and its gradients as AdderNet trains (Chen et al., CVPR 2020, equations 1, 5 and 6):
//
//   y [n,f,i,j]   = - sum_{c,u,v} | x[n,c,i s+u,j s+v] - w[f,c,u,v] |
//   gx[n,c,p,q]   =   sum_{f,u,v} clip(w[f,c,u,v] - x[n,c,p,q], -1, 1) gy[n,f,(p-u)/s,(q-v)/s]
//   gw[f,c,u,v]   =   sum_{n,i,j} (x[n,c,i s+u,j s+v] - w[f,c,u,v]) gy[n,f,i,j]
//
// x is zero outside the image. Work is split into items whose results do not depend on the number of threads, so
// training is reproducible bit for bit. What the three operators share:
#pragma once

#include <vector>

#include "geometry.h"
#include "parallel.h"
#include "simd.h"

namespace lowbit {

constexpr int kFilters = 4;  // filters (or channels) per register tile
constexpr int kVectors = 4;  // pixel vectors per register tile

// Offsets of all C KH KW taps in the phase-split image.
inline std::vector<int64_t> tap_offsets(const Geometry& g) {
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < g.c; ++c)
    for (int64_t ky = 0; ky < g.kh; ++ky)
      for (int64_t kx = 0; kx < g.kw; ++kx) offsets.push_back(c * g.plane_size() + g.tap(ky, kx));
  return offsets;
}

// Narrow outputs take narrow vectors: with 16 lanes half of each would be wasted on a row of 8.
template <class Narrow, class Wide>
inline void by_width(int64_t** shapes, int stride_pad_index, void** params, Narrow narrow, Wide wide) {
  const auto* stride_pad = static_cast<const int32_t*>(params[stride_pad_index]);
  const Geometry g(shapes[0], shapes[1], stride_pad, 16);
  if (g.ow > 8) {
    wide(g);
  } else {
    narrow(Geometry(shapes[0], shapes[1], stride_pad, 8));
  }
}

inline const float* in(void** params, int i) { return static_cast<const float*>(params[i]); }
inline float* out(void** params, int i) { return static_cast<float*>(params[i]); }

}  // namespace lowbit
