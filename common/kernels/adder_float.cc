// Float adder convolution: forward pass and gradients, see conv_float.h.
#include "conv_forward.h"
#include "conv_grad_input.h"
#include "conv_grad_weight.h"

using namespace lowbit;

// Inputs x, w, int32 [stride, padding]; output y.
extern "C" int AdderForward(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 2, p, [&](auto lanes, const Geometry& g) {
    forward<Distance, lanes>(g, in(p, 0), in(p, 1), out(p, 3));
  });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gx.
extern "C" int AdderGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 3, p, [&](auto lanes, const Geometry& g) {
    grad_input<Distance, lanes>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4));
  });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gw, not rescaled.
extern "C" int AdderGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 3, p, [&](auto lanes, const Geometry& g) {
    grad_weight<Distance, lanes>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4));
  });
  return 0;
}
