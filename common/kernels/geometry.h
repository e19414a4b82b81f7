// Shapes of a convolution and the padded, phase-split layout of one image that all kernels share.
//
// With stride s, output column ox of tap kx reads padded input column ox * s + kx. A row is therefore stored as s
// segments ("phases"), segment p holding columns p, p + s, p + 2 s, ...: tap kx then reads ox + kx / s of phase
// kx % s, and neighbouring outputs are neighbours in memory at any stride. Segments carry slack on the right so that
// a whole vector can be read at every output column.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "pairs.h"

namespace lowbit {

inline int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

struct Geometry {
  int64_t n, c, h, w;    // input  (N, C, H, W)
  int64_t f, kh, kw;     // kernel (F, C, KH, KW)
  int64_t stride, pad;   // the same in both directions; the border holds zeros
  int64_t oh, ow;        // output (N, F, OH, OW)
  int64_t lanes;         // output columns that one vector holds
  int64_t segment;       // columns of one phase of one row, slack included
  int64_t rows;          // padded rows of the input

  Geometry(const int64_t* x_shape, const int64_t* w_shape, const int32_t* stride_pad, int64_t vector_lanes)
      : n(x_shape[0]), c(x_shape[1]), h(x_shape[2]), w(x_shape[3]), f(w_shape[0]), kh(w_shape[2]), kw(w_shape[3]),
        stride(stride_pad[0]), pad(stride_pad[1]), oh((h + 2 * pad - kh) / stride + 1),
        ow((w + 2 * pad - kw) / stride + 1), lanes(vector_lanes) {
    const int64_t padded = w + 2 * pad;
    const int64_t read = round_up(ow, lanes) + (kw - 1) / stride;
    segment = round_up(std::max((padded + stride - 1) / stride, read), lanes);
    rows = h + 2 * pad;
  }

  // Of the convolution that leads from the output gradient to the input gradient; stride 1, square kernel.
  Geometry transposed() const {
    const int64_t from[4] = {n, f, oh, ow}, kernel[4] = {c, f, kh, kw};
    const int32_t stride_pad[2] = {1, static_cast<int32_t>(kh - 1 - pad)};
    return Geometry(from, kernel, stride_pad, lanes);
  }

  int64_t row_size() const { return stride * segment; }
  int64_t plane_size() const { return rows * row_size(); }
  // Where padded column `column` of a row stands in the phase-split row.
  int64_t column(int64_t column) const { return column % stride * segment + column / stride; }
  // Offset of tap (ky, kx) relative to the start of the output position.
  int64_t tap(int64_t ky, int64_t kx) const { return ky * row_size() + column(kx); }
};

// Copies one float image (C, H, W) into the padded, phase-split layout [C][rows][phase][segment]. `out` holds zeros
// where nothing is copied: only the same positions are ever written, so one zeroed buffer serves many images.
inline void split_phases(const Geometry& g, const float* image, float* out) {
  for (int64_t c = 0; c < g.c; ++c)
    for (int64_t y = 0; y < g.h; ++y) {
      const float* from = image + (c * g.h + y) * g.w;
      float* row = out + c * g.plane_size() + (y + g.pad) * g.row_size();
      if (g.stride == 1) {
        std::copy(from, from + g.w, row + g.pad);
      } else if (g.stride == 2) {
        split_pairs(from, g.w, row + g.column(g.pad), row + g.column(g.pad + 1));
      } else {
        for (int64_t phase = 0; phase < std::min(g.stride, g.w); ++phase) {
          float* to = row + g.column(phase + g.pad);
          for (int64_t x = phase; x < g.w; x += g.stride) *to++ = from[x];
        }
      }
    }
}

}  // namespace lowbit
