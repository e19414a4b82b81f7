// Input gradient of a convolution of quantized inputs, each image by the branch that it takes (selected_branches.h).
#pragma once

#include "aligned.h"
#include "clipped_input.h"
#include "conv_product.h"

namespace lowbit {

// Gradients for x, to gx, and for the clip, which is returned. `ADD`: `others` are added to gx.
template <int LANES, bool ADD>
float quantized_grad_input(const Geometry& g, const Parts& parts, const float* x, float clip, const float* others,
                           const float* gy, float* gx) {
  const int64_t plane = g.h * g.w;
  Floats sums(g.n * g.c * kLanes);
  std::fill(sums.begin(), sums.end(), 0.f);
  const ClippedInput<ADD> finish{x, others, clip, plane, sums.data()};
  if (g.stride == 1 && is_pointwise(g)) {  // panels share planes: these are finished afterwards
    conv_grad_input<LANES>(g, parts, gy, gx);
    parallel_for(g.n * g.c, [&] { return [&](int64_t c) { finish.change(gx + c * plane, c, 0, plane); }; });
  } else {
    conv_grad_input<LANES>(g, parts, gy, gx, finish);
  }
  double total = 0;
  for (float sum : sums) total += sum;
  return static_cast<float>(total);
}

}  // namespace lowbit
