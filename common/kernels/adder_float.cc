// Float adder convolution: forward pass and gradients, see conv_float.h.
#include "adder_forward.h"
#include "adder_grad_input.h"
#include "adder_grad_weight.h"

using namespace lowbit;

// Calls work(lanes) with the processor's vectors, or with ones of 8 lanes for at most `narrow` columns.
template <class Work>
void by_columns(int64_t columns, int64_t narrow, Work work) {
  if constexpr (kLanes > 8) {
    if (columns <= narrow) return work(Lanes<8>());
  }
  work(Lanes<kLanes>());
}

// Inputs x, w, int32 [stride, padding]; output y.
extern "C" int AdderForward(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Geometry g(shapes[0], shapes[1], static_cast<const int32_t*>(p[2]), kLanes);
  by_columns(g.f, 16, [&](auto lanes) { adder_forward<lanes>(g, in(p, 0), in(p, 1), out(p, 3)); });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gx.
extern "C" int AdderGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Geometry g(shapes[0], shapes[1], static_cast<const int32_t*>(p[3]), kLanes);
  by_columns(g.c, 8, [&](auto lanes) { adder_grad_input<lanes>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4)); });
  return 0;
}

// Inputs x, w, gy, another gradient of x, int32 [stride, padding]; output the sum of both gradients.
extern "C" int AdderGradInputAdd(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Geometry g(shapes[0], shapes[1], static_cast<const int32_t*>(p[4]), kLanes);
  const AddOthers both{in(p, 3), g.h * g.w};
  by_columns(g.c, 8, [&](auto lanes) { adder_grad_input<lanes>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 5), both); });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gw, not rescaled.
extern "C" int AdderGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 3, p, [&](auto lanes, const Geometry& g) {
    adder_grad_weight<lanes>(g, BatchShape(shapes[2]), in(p, 0), in(p, 1), in(p, 2), out(p, 4));
  });
  return 0;
}

// Input gw; output gw at AdderNet's adaptive rate.
extern "C" int AdderRescale(int, void** p, int* ndims, int64_t** shapes, const char**, void*, void*) {
  int64_t count = 1;
  for (int i = 0; i < ndims[0]; ++i) count *= shapes[0][i];
  rescale(in(p, 0), count, out(p, 1));
  return 0;
}
