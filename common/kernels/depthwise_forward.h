// Forward pass of the depthwise convolution, see depthwise.h.
#pragma once

#include "depthwise.h"
#include "finish.h"
#include "window.h"

namespace lowbit {

template <int LANES, class Finish = AsTheyAre>
void depthwise_forward(const Depthwise& d, const float* x, const float* w, float* y, Finish finish = {}) {
  const Geometry& g = d.plane;
  Window window{g.kh, g.kw, g.row_size(), g.stride, {}, 1, 0};
  for (int64_t v = 0; v < g.kw; ++v) window.column.push_back(g.column(v));
  for_planes(d, [&] {
    return [&, padded = PaddedPlane(g)](int64_t plane) mutable {
      const float* source = padded.fill<LANES>(x + plane * d.x_size());
      for (int64_t f = 0; f < d.multiplier; ++f) {
        float* to = y + (plane * d.multiplier + f) * d.y_size();
        slide<LANES>(window, source, w + (plane % d.channels * d.multiplier + f) * d.taps(), g.oh, g.ow, to);
        finish.change(to, plane * d.multiplier + f, 0, d.y_size());
      }
    };
  });
}

}  // namespace lowbit
