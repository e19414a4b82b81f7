// Convolution of which each image takes one of K branches, see selected_branches.h.
//
//   y[n] = sum_k mask[n,k] conv(Q(x[n]; bits[k]), w[k])
//
// Only the chosen branch is computed, so the forward pass and the gradients for x and w cost as much as one branch.
// The gradient for the mask, sum(gy[n] conv(Q(x[n]; bits[k]), w[k])), needs the others too; it is an operator of its
// own, which never stores their outputs (selected_scores.h). Inputs are quantized as they are read.
#include "quantized_input.h"
#include "selected_scores.h"

namespace lowbit {
namespace {

constexpr float kLeastClip = 1e-3f;  // as common/quant/pact.py has it

// What the operators begin with: x (N, C, H, W), w (K, F, C, KH, KW), bits int32 (K), clip (1), mask (N, K). A clip
// below the least one counts as that, and gets no gradient.
struct Selected {
  const float *x, *w;
  bool clip_counts;
  int64_t filters;  // values of one branch's
  Branches branches;

  Selected(void** p, int64_t** shapes)
      : x(in(p, 0)), w(in(p, 1)), clip_counts(*in(p, 3) >= kLeastClip),
        filters(shapes[1][1] * shapes[1][2] * shapes[1][3] * shapes[1][4]),
        branches(shapes[1][0], static_cast<const int32_t*>(p[2]), std::max(*in(p, 3), kLeastClip), shapes[0][0],
                 in(p, 4)) {}

  Parts parts() const { return branches.parts(w, filters); }
};

// Calls work(lanes, geometry, selected) with the geometry of x and of the filters of one branch.
template <class Work>
void with_selected(int64_t** shapes, int stride_pad_index, void** p, Work work) {
  int64_t* one[] = {shapes[0], shapes[1] + 1};
  const Selected selected(p, shapes);
  by_width(one, stride_pad_index, p, [&](auto lanes, const Geometry& g) { work(lanes, g, selected); });
}

template <bool ADD>
void grad_input(int64_t** shapes, void** p) {
  with_selected(shapes, 6 + ADD, p, [&](auto lanes, const Geometry& g, const Selected& s) {
    const float *others = ADD ? in(p, 6) : nullptr, *gy = in(p, 5);
    const float of_clip = quantized_grad_input<lanes, ADD, true>(g, s.parts(), s.branches, s.x, others, gy,
                                                                 out(p, 7 + ADD), out(p, 9 + ADD));
    *out(p, 8 + ADD) = s.clip_counts ? of_clip : 0.f;
  });
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x, w, bits, clip, mask, int32 [stride, padding]; output y.
extern "C" int SelectedConv(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  with_selected(shapes, 5, p, [&](auto lanes, const Geometry& g, const Selected& s) {
    conv_forward<lanes>(g, s.x, s.parts(), out(p, 6), AsTheyAre(), QuantizedAsRead{s.branches});
  });
  return 0;
}

// Inputs x, w, bits, clip, mask, scale (K), int32 [stride, padding]; output y, by the algorithms of training: integers,
// where w[k] is a whole multiple of scale[k] / (2^bits[k] - 1), otherwise those that lose some more to rounding.
extern "C" int SelectedConvTrain(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  with_selected(shapes, 6, p, [&](auto lanes, const Geometry& g, const Selected& s) {
    if (!integer_forward<ByteDot>(g, s.branches, s.w, in(p, 5), s.x, out(p, 7)))
      conv_forward_train<lanes>(g, s.x, s.parts(), out(p, 7), QuantizedAsRead{s.branches});
  });
  return 0;
}

// Inputs x, w, bits, clip, mask, gy, int32 [stride, padding]; outputs gx, the gradient for the clip (1) and <gy, y> of
// each image (N).
extern "C" int SelectedConvGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  grad_input<false>(shapes, p);
  return 0;
}

// The same with another gradient of x, which is added to gx, after gy.
extern "C" int SelectedConvGradInputAdd(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  grad_input<true>(shapes, p);
  return 0;
}

// Inputs x, w, bits, clip, mask, factors (K), gy, int32 [stride, padding]; output (F, C, KH, KW), the sum over k of
// factors[k] gw[k]: what the branches' weights have in common gets one sum over all images.
extern "C" int SelectedConvGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  with_selected(shapes, 7, p, [&](auto lanes, const Geometry& g, const Selected& s) {
    conv_grad_weight<lanes>(g, s.x, in(p, 6), out(p, 8), QuantizedAsRead{s.branches, in(p, 5)});
  });
  return 0;
}

// Inputs x, w, bits, clip, mask, scale (K), <gy, y> of each image (N), gy, int32 [stride, padding]; output the gradient
// for the mask (N, K).
// It is computed in integers where SelectedConvTrain is.
extern "C" int SelectedConvGradMask(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  with_selected(shapes, 8, p, [&](auto lanes, const Geometry& g, const Selected& s) {
    selected_scores<lanes>(g, s.branches, s.w, in(p, 5), {s.x, in(p, 6), in(p, 7)}, out(p, 9));
  });
  return 0;
}
