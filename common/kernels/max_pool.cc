// Largest value of each window, and its gradient, which goes to the first of the largest values in a window.
//
//   y[n,c,i,j] = max over u, v < k of x[n,c,i s + u - p,j s + v - p]      what lies outside the image does not count
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "parallel.h"
#include "tensors.h"

namespace lowbit {
namespace {

struct Pooling {
  int64_t planes, h, w, oh, ow, kernel, stride, pad;

  Pooling(const int64_t* x, const int64_t* y, const int32_t* geometry)
      : planes(x[0] * x[1]), h(x[2]), w(x[3]), oh(y[2]), ow(y[3]), kernel(geometry[0]), stride(geometry[1]),
        pad(geometry[2]) {}

  // Rows (or columns) [first, last) of the image that output i sees.
  int64_t first(int64_t i) const { return std::max<int64_t>(0, i * stride - pad); }
  int64_t last(int64_t i, int64_t size) const { return std::min(size, i * stride - pad + kernel); }
};

// Calls make() once per thread, and its result for each plane; an item is a run of planes.
template <class Make>
void for_planes(const Pooling& g, Make make) {
  const int64_t run = std::max<int64_t>(1, 16384 / (g.h * g.w));
  parallel_for((g.planes + run - 1) / run, [&] {
    return [&, work = make()](int64_t item) mutable {
      for (int64_t i = item * run; i < std::min(g.planes, (item + 1) * run); ++i) work(i);
    };
  });
}

// The rows of a window first, value by value, then the columns of what is left.
void pool(const Pooling& g, const float* x, float* row, float* y) {
  for (int64_t i = 0; i < g.oh; ++i, y += g.ow) {
    std::copy_n(x + g.first(i) * g.w, g.w, row);
    for (int64_t v = g.first(i) + 1; v < g.last(i, g.h); ++v)
      for (int64_t j = 0; j < g.w; ++j) row[j] = std::max(row[j], x[v * g.w + j]);
    for (int64_t j = 0; j < g.ow; ++j) {
      float most = row[g.first(j)];
      for (int64_t v = g.first(j) + 1; v < g.last(j, g.w); ++v) most = std::max(most, row[v]);
      y[j] = most;
    }
  }
}

void pool_gradient(const Pooling& g, const float* x, const float* gy, float* gx) {
  std::fill_n(gx, g.h * g.w, 0.f);
  for (int64_t i = 0; i < g.oh; ++i)
    for (int64_t j = 0; j < g.ow; ++j) {
      int64_t place = g.first(i) * g.w + g.first(j);
      float most = x[place];
      for (int64_t v = g.first(i); v < g.last(i, g.h); ++v)
        for (int64_t u = g.first(j); u < g.last(j, g.w); ++u) {
          const int64_t here = v * g.w + u;
          place ^= (place ^ here) & -int64_t(x[here] > most);  // no branch: nothing foresees which value is larger
          most = std::max(most, x[here]);
        }
      gx[place] += gy[i * g.ow + j];
    }
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W), int32 [kernel, stride, padding]; output y.
extern "C" int MaxPool(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Pooling g(shapes[0], shapes[2], static_cast<const int32_t*>(p[1]));
  for_planes(g, [&] {
    return [&, row = std::vector<float>(g.w)](int64_t plane) mutable {
      pool(g, in(p, 0) + plane * g.h * g.w, row.data(), out(p, 2) + plane * g.oh * g.ow);
    };
  });
  return 0;
}

// Inputs x, gy, int32 [kernel, stride, padding]; output gx.
extern "C" int MaxPoolGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Pooling g(shapes[0], shapes[1], static_cast<const int32_t*>(p[2]));
  for_planes(g, [&] {
    return [&](int64_t plane) {
      pool_gradient(g, in(p, 0) + plane * g.h * g.w, in(p, 1) + plane * g.oh * g.ow, out(p, 3) + plane * g.h * g.w);
    };
  });
  return 0;
}
