// Convolution of inputs that are quantized to one bit-width, and what training needs of it: the quantized inputs are
// never stored. A clip below the least one counts as that, and gets no gradient.
#include "quantized_input.h"
#include "selected_branches.h"

namespace lowbit {
namespace {

// Of the inputs x, w, int32 bits (1), clip (1), least clip (1): one branch, which all images take.
Branches branch_of(int64_t** shapes, void** p) {
  return Branches(1, static_cast<const int32_t*>(p[2]), std::max(*in(p, 3), *in(p, 4)), shapes[0][0], nullptr);
}

template <bool ADD>
void grad_input(int64_t** shapes, void** p) {
  const Branches branch = branch_of(shapes, p);
  by_width(shapes, 6 + ADD, p, [&](auto lanes, const Geometry& g) {
    const float of_clip = quantized_grad_input<lanes, ADD>(g, all_images(g.n, in(p, 1)), branch, in(p, 0),
                                                           ADD ? in(p, 6) : nullptr, in(p, 5), out(p, 7 + ADD));
    *out(p, 8 + ADD) = *in(p, 3) < *in(p, 4) ? 0.f : of_clip;
  });
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W), w (F, C, KH, KW), int32 bits (1), clip (1), least clip (1), int32 [stride, padding]; output y.
extern "C" int QuantizedConvTrain(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Branches branch = branch_of(shapes, p);
  by_width(shapes, 5, p, [&](auto lanes, const Geometry& g) {
    conv_forward_train<lanes>(g, in(p, 0), all_images(g.n, in(p, 1)), out(p, 6), QuantizedAsRead{branch});
  });
  return 0;
}

// Inputs x, w, bits, clip, least clip, gy, int32 [stride, padding]; outputs gx and the gradient for the clip (1).
extern "C" int QuantizedConvGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  grad_input<false>(shapes, p);
  return 0;
}

// The same with another gradient of x, which is added to gx, after gy.
extern "C" int QuantizedConvGradInputAdd(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  grad_input<true>(shapes, p);
  return 0;
}

// Inputs x, w, bits, clip, least clip, gy, int32 [stride, padding]; output gw.
extern "C" int QuantizedConvGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Branches branch = branch_of(shapes, p);
  by_width(shapes, 6, p, [&](auto lanes, const Geometry& g) {
    conv_grad_weight<lanes>(g, in(p, 0), in(p, 5), out(p, 7), QuantizedAsRead{branch});
  });
  return 0;
}
