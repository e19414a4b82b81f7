// Parameter-free shortcut: every second (third, ...) pixel, and new channels of zeros around those of the input.
//
//   y[n, before + c, i, j] = x[n, c, i s, j s],   0 in the other channels
#include <algorithm>

#include "parallel.h"
#include "tensors.h"

namespace lowbit {
namespace {

struct Sampling {
  int64_t n, c, h, w;      // input
  int64_t f, oh, ow;       // output
  int64_t before, stride;  // new channels before those of the input

  Sampling(const int64_t* x, const int64_t* y, const int32_t* before_stride)
      : n(x[0]), c(x[1]), h(x[2]), w(x[3]), f(y[1]), oh(y[2]), ow(y[3]), before(before_stride[0]),
        stride(before_stride[1]) {}

  // Calls visit(input row, output row) of the rows of image i that have both, as offsets.
  template <class Visit>
  void rows(int64_t i, Visit visit) const {
    for (int64_t k = 0; k < c; ++k)
      for (int64_t y = 0; y < oh; ++y) visit(((i * c + k) * h + y * stride) * w, ((i * f + before + k) * oh + y) * ow);
  }
};

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x, int32 [before, stride]; output y.
extern "C" int PadShortcut(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Sampling s(shapes[0], shapes[2], static_cast<const int32_t*>(p[1]));
  const float* x = in(p, 0);
  float* y = out(p, 2);
  parallel_for(s.n, [&] {
    return [&](int64_t i) {
      const int64_t image = s.f * s.oh * s.ow, kept = s.before * s.oh * s.ow, end = kept + s.c * s.oh * s.ow;
      std::fill(y + i * image, y + i * image + kept, 0.f);
      std::fill(y + i * image + end, y + (i + 1) * image, 0.f);
      s.rows(i, [&](int64_t from, int64_t to) {
        for (int64_t j = 0; j < s.ow; ++j) y[to + j] = x[from + j * s.stride];
      });
    };
  });
  return 0;
}

// Inputs x (its shape alone is read), gy, int32 [before, stride]; output gx.
extern "C" int PadShortcutGrad(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Sampling s(shapes[0], shapes[1], static_cast<const int32_t*>(p[2]));
  const float* gy = in(p, 1);
  float* gx = out(p, 3);
  parallel_for(s.n, [&] {
    return [&](int64_t i) {
      std::fill_n(gx + i * s.c * s.h * s.w, s.c * s.h * s.w, 0.f);
      s.rows(i, [&](int64_t to, int64_t from) {
        for (int64_t j = 0; j < s.ow; ++j) gx[to + j * s.stride] = gy[from + j];
      });
    };
  });
  return 0;
}
