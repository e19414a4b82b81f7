// Convolution: forward pass and gradients, see conv_float.h.
#include "conv_product.h"

using namespace lowbit;

// Inputs x, w, int32 [stride, padding]; output y.
extern "C" int ConvForward(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 2, p, [&](auto lanes, const Geometry& g) {
    conv_forward<lanes>(g, in(p, 0), all_images(g.n, in(p, 1)), out(p, 3));
  });
  return 0;
}

// The same by the algorithms of training, which are faster and lose some more to rounding.
extern "C" int ConvForwardTrain(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 2, p, [&](auto lanes, const Geometry& g) {
    conv_forward_train<lanes>(g, in(p, 0), all_images(g.n, in(p, 1)), out(p, 3));
  });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gx.
extern "C" int ConvGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 3, p, [&](auto lanes, const Geometry& g) {
    conv_grad_input<lanes>(g, all_images(g.n, in(p, 1)), in(p, 2), out(p, 4));
  });
  return 0;
}

// Inputs x, w, gy, another gradient of x, int32 [stride, padding]; output the sum of both gradients.
extern "C" int ConvGradInputAdd(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 4, p, [&](auto lanes, const Geometry& g) {
    conv_grad_input<lanes>(g, all_images(g.n, in(p, 1)), in(p, 2), out(p, 5), AddOthers{in(p, 3), g.h * g.w});
  });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gw.
extern "C" int ConvGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  by_width(shapes, 3, p, [&](auto lanes, const Geometry& g) {
    conv_grad_weight<lanes>(g, in(p, 0), in(p, 2), out(p, 4));
  });
  return 0;
}
