// The convolution of deep learning and its gradients: each layer by the algorithm that suits it, see conv_float.h.
#pragma once

#include "conv_forward.h"
#include "conv_grad_input.h"
#include "conv_grad_weight.h"
#include "conv_pointwise.h"
#include "winograd_forward.h"
#include "winograd_grad_weight.h"

namespace lowbit {

template <int LANES, class Finish = AsTheyAre>
void conv_forward(const Geometry& g, const float* x, const float* w, float* y, Finish finish = {}) {
  if (winograd_fits(g)) return winograd_forward<FilterBy2, kLanes>(g, x, Kernels::forward(g, w), y, finish);
  if (is_pointwise(g)) return pointwise_forward<kLanes>(g, x, w, y, finish);
  forward<LANES>(g, x, w, y, finish);
}

// Training takes larger squares than evaluation, whose outputs are those of records and files.
template <class Finish = AsTheyAre>
void winograd_forward_train(const Geometry& g, const float* x, const Kernels& kernels, float* y, Finish finish = {}) {
  by_filter(g, [&](auto filter) { winograd_forward<decltype(filter), kLanes>(g, x, kernels, y, finish); });
}

template <int LANES>
void conv_forward_train(const Geometry& g, const float* x, const float* w, float* y) {
  if (winograd_fits(g)) return winograd_forward_train(g, x, Kernels::forward(g, w), y);
  conv_forward<LANES>(g, x, w, y);
}

// At stride 1 the gradient for the input is itself a convolution: of gy, with the kernel turned by 180 degrees and
// channels in the place of filters.
template <int LANES, class Finish>
void grad_input_stride_1(const Geometry& g, const float* w, const float* gy, float* gx, Finish finish) {
  std::vector<float> turned(g.f * g.c * g.kh * g.kw);
  for (int64_t f = 0; f < g.f; ++f)
    for (int64_t c = 0; c < g.c; ++c)
      for (int64_t t = 0; t < g.kh * g.kw; ++t)
        turned[(c * g.f + f) * g.kh * g.kw + g.kh * g.kw - 1 - t] = w[(f * g.c + c) * g.kh * g.kw + t];
  conv_forward<LANES>(g.transposed(), gy, turned.data(), gx, finish);
}

template <int LANES, class Finish = AsTheyAre>
void conv_grad_input(const Geometry& g, const float* w, const float* gy, float* gx, Finish finish = {}) {
  // The border of that convolution is kernel - 1 - pad wide; a square kernel has one such width, if it is not negative.
  if (g.stride == 1 && g.kh == g.kw && g.pad < g.kh) {
    const Geometry back = g.transposed();
    if (winograd_fits(back)) return winograd_forward_train(back, gy, Kernels::backward(back, w), gx, finish);
    grad_input_stride_1<LANES>(g, w, gy, gx, finish);
  } else {
    grad_input<LANES>(g, w, gy, gx, finish);
  }
}

template <int LANES>
void conv_grad_weight(const Geometry& g, const float* x, const float* gy, float* gw) {
  if (winograd_fits(g))
    return by_filter(g, [&](auto filter) { winograd_grad_weight<decltype(filter), kLanes>(g, x, gy, gw); });
  grad_weight<LANES>(g, x, gy, gw);
}

}  // namespace lowbit
