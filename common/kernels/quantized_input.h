// Input gradient of a convolution of quantized inputs, each image by the branch that it takes (selected_branches.h).
#pragma once

#include "aligned.h"
#include "clipped_input.h"
#include "conv_product.h"

namespace lowbit {

// Gradients for x, to gx, and for the clip, which is returned. `ADD`: `others` are added to gx. `PRODUCTS`: `products`
// get <gy, y> of each image.
template <int LANES, bool ADD, bool PRODUCTS = false>
float quantized_grad_input(const Geometry& g, const Parts& parts, const Branches& branches, const float* x,
                           const float* others, const float* gy, float* gx, float* products = nullptr) {
  const int64_t plane = g.h * g.w;
  std::vector<InputSums> sums(g.n * g.c);
  const ClippedInput<ADD, PRODUCTS> finish{x, others, branches, g.c, plane, sums.data()};
  if (g.stride == 1 && is_pointwise(g)) {  // panels share planes: these are finished afterwards
    conv_grad_input<LANES>(g, parts, gy, gx);
    parallel_for(g.n * g.c, [&] { return [&](int64_t c) { finish.change(gx + c * plane, c, 0, plane); }; });
  } else {
    conv_grad_input<LANES>(g, parts, gy, gx, finish);
  }
  double of_clip = 0;
  for (int64_t n = 0; n < g.n; ++n) {
    double product = 0;
    for (int64_t c = n * g.c; c < (n + 1) * g.c; ++c) {
      of_clip += Vec<kLanes>::sum(Vec<kLanes>::load(sums[c].of_clip));
      if (PRODUCTS) product += Vec<kLanes>::sum(Vec<kLanes>::load(sums[c].products));
    }
    if (PRODUCTS) products[n] = static_cast<float>(product);
  }
  return static_cast<float>(of_clip);
}

}  // namespace lowbit
