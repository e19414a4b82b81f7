// Depthwise convolution: every channel c is filtered by itself, by m filters of one channel each, f = c m .. c m + m-1.
//
//   y [n,f,i,j] = sum_{u,v} x[n,f/m,i s+u,j s+v] w[f,u,v]
//   gx[n,c,p,q] = sum_{f of c} sum_{u,v} w[f,u,v] gy[n,f,(p-u)/s,(q-v)/s]
//   gw[f,u,v]   = sum_{n,i,j} x[n,f/m,i s+u,j s+v] gy[n,f,i,j]
//
// A channel of an image, a plane, is the unit of work. It is copied between borders of zeros, its columns split by
// phase (geometry.h), and all three sums then slide a window over such a plane without a test of its borders.
#pragma once

#include <type_traits>
#include <vector>

#include "copy_row.h"
#include "geometry.h"
#include "parallel.h"
#include "simd.h"

namespace lowbit {

// Sizes of a depthwise convolution; `plane` is the Geometry of one channel and one filter.
struct Depthwise {
  int64_t images, channels, multiplier;  // m filters per channel
  Geometry plane;

  Depthwise(int64_t** shapes, const int32_t* stride_pad, int64_t lanes)
      : images(shapes[0][0]), channels(shapes[0][1]), multiplier(shapes[1][0] / shapes[0][1]),
        plane(one(shapes[0]).sizes, one(shapes[1]).sizes, stride_pad, lanes) {}

  int64_t planes() const { return images * channels; }
  int64_t taps() const { return plane.kh * plane.kw; }
  int64_t x_size() const { return plane.h * plane.w; }
  int64_t y_size() const { return plane.oh * plane.ow; }

 private:
  struct Shape {
    int64_t sizes[4];
  };
  static Shape one(const int64_t* shape) { return {{1, 1, shape[2], shape[3]}}; }
};

// Calls work(lanes) with the widest vectors that a row of `columns` values fills by more than half.
template <class Work>
inline void by_columns(int64_t columns, Work work) {
  if constexpr (kLanes >= 16) {
    if (columns > 8) return work(std::integral_constant<int, 16>());
  }
  if constexpr (kLanes >= 8) {
    if (columns > 4) return work(std::integral_constant<int, 8>());
  }
  work(std::integral_constant<int, 4>());
}

// Calls visit(plane) for all planes: an item is a run of them, for a small plane costs less than to ask for an item.
template <class MakeVisitor>
void for_planes(const Depthwise& d, MakeVisitor make_visitor) {
  const int64_t run = std::max<int64_t>(1, 8192 / d.x_size());
  parallel_for((d.planes() + run - 1) / run, [&] {
    return [&, visit = make_visitor()](int64_t item) mutable {
      for (int64_t i = item * run; i < std::min(d.planes(), (item + 1) * run); ++i) visit(i);
    };
  });
}

// A plane between its borders, phase-split. Only the same positions are ever written, so the borders stay zero.
class PaddedPlane {
 public:
  explicit PaddedPlane(const Geometry& g) : g_(g), values_(g.plane_size() + g.lanes, 0.f) {}

  template <int LANES>
  const float* fill(const float* plane) {
    for (int64_t y = 0; y < g_.h; ++y) {
      const float* from = plane + y * g_.w;
      float* row = values_.data() + (y + g_.pad) * g_.row_size();
      if (g_.stride == 1) {
        copy_row<LANES>(from, g_.w, row + g_.pad);
      } else if (g_.stride == 2) {
        split_pairs(from, g_.w, row + g_.column(g_.pad), row + g_.column(g_.pad + 1));
      } else {
        for (int64_t x = 0; x < g_.w; ++x) row[g_.column(x + g_.pad)] = from[x];
      }
    }
    return values_.data();
  }

 private:
  const Geometry g_;
  std::vector<float> values_;
};

}  // namespace lowbit
