// Float adder convolution: forward pass and gradients, see conv_float.h.
#include "adder_forward.h"
#include "adder_grad_input.h"
#include "conv_grad_weight.h"

using namespace lowbit;

// Lanes of the forward pass, at most 8: on processors with vectors of 16 lanes that were measured (Zen 4), loads that
// fill one of these with a single value are what its tiles wait for.
constexpr int kForwardLanes = kLanes < 8 ? kLanes : 8;

// Inputs x, w, int32 [stride, padding]; output y.
extern "C" int AdderForward(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Geometry g(shapes[0], shapes[1], static_cast<const int32_t*>(p[2]), kForwardLanes);
  adder_forward<kForwardLanes>(g, in(p, 0), in(p, 1), out(p, 3));
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gx.
extern "C" int AdderGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Geometry g(shapes[0], shapes[1], static_cast<const int32_t*>(p[3]), kLanes);
  if (kLanes > 8 && g.c <= 8)
    adder_grad_input<8>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4));
  else
    adder_grad_input<kLanes>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4));
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gw, not rescaled.
extern "C" int AdderGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 3, p, [&](auto lanes, const Geometry& g) {
    grad_weight<Distance, lanes>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4));
  });
  return 0;
}
