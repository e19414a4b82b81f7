// Gradients of the depthwise convolution, see depthwise.h.
#pragma once

#include "depthwise.h"
#include "window.h"

namespace lowbit {

// With stride s, the rows p, p + s, p + 2 s, ... of the padded image are reached by the taps p, p + s, ... of the
// kernel alone, so that the gradient of each such phase p is a convolution of gy at stride 1 with these taps in reverse
// order. The same holds for columns.
struct GradientPhase {
  int64_t taps;          // of the kernel in this phase
  int64_t first, count;  // rows of the phase that are not border, as numbers within the phase
  int64_t at;            // where the first of them stands in the input

  GradientPhase(int64_t phase, int64_t kernel, int64_t stride, int64_t pad, int64_t size)
      : taps(std::max<int64_t>(0, (kernel - phase + stride - 1) / stride)),
        first(std::max<int64_t>(0, pad - phase + stride - 1) / stride),
        count(std::max<int64_t>(0, (size + pad - phase + stride - 1) / stride - first)),
        at(first * stride + phase - pad) {}
};

// The gradient for the input, one plane at a time.
template <int LANES>
class DepthwiseInputGradient {
 public:
  DepthwiseInputGradient(const Depthwise& d, const float* w)
      : d_(d), g_(d.plane), top_((g_.kh - 1) / g_.stride), left_((g_.kw - 1) / g_.stride),
        rows_(top_ + std::max(g_.oh, (g_.rows + g_.stride - 1) / g_.stride)),
        columns_(left_ + std::max(g_.ow, (g_.w + 2 * g_.pad + g_.stride - 1) / g_.stride)),
        grads_(d.multiplier * rows_ * columns_ + LANES, 0.f), phases_(g_.stride * g_.h * g_.w) {
    for (int64_t y = 0; y < g_.stride; ++y)
      for (int64_t x = 0; x < g_.stride; ++x)
        append_part({y, g_.kh, g_.stride, g_.pad, g_.h}, {x, g_.kw, g_.stride, g_.pad, g_.w});
    for (int64_t c = 0; c < d.channels; ++c)
      for (int64_t y = 0; y < g_.stride; ++y)
        for (int64_t x = 0; x < g_.stride; ++x) append_turned(w + c * d.multiplier * d.taps(), y, x);
  }

  // `gy`: the m planes of the outputs of channel c.
  void run(int64_t c, const float* gy, float* gx) {
    for (int64_t f = 0; f < d_.multiplier; ++f)
      for (int64_t y = 0; y < g_.oh; ++y)
        copy_row<LANES>(gy + (f * g_.oh + y) * g_.ow, g_.ow,
                        grads_.data() + (f * rows_ + top_ + y) * columns_ + left_);
    const int64_t s = g_.stride;
    for (int64_t y = 0; y < s; ++y) {
      for (int64_t x = 0; x < s; ++x) {
        const Part& part = parts_[y * s + x];
        slide<LANES>(part.window, grads_.data() + part.source, turned_.data() + c * taps_ + part.taps, part.rows.count,
                     part.columns.count, s == 1 ? gx : phases_.data() + x * g_.h * g_.w);
      }
      if (s > 1) join(&parts_[y * s], gx);
    }
  }

 private:
  // The taps of a phase in reverse order, for the m filters of a channel.
  void append_turned(const float* w, int64_t phase_y, int64_t phase_x) {
    const int64_t s = g_.stride;
    for (int64_t f = 0; f < d_.multiplier; ++f)
      for (int64_t u = top_ * s + phase_y; u >= 0; u -= s)
        for (int64_t v = left_ * s + phase_x; v >= 0; v -= s)
          if (u < g_.kh && v < g_.kw) turned_.push_back(w[(f * g_.kh + u) * g_.kw + v]);
  }

  // Where the window of a phase starts, and the phase's place among the turned taps of a channel.
  struct Part {
    GradientPhase rows, columns;
    Window window;
    int64_t source, taps;
  };

  void append_part(const GradientPhase& rows, const GradientPhase& columns) {
    Window window{rows.taps, columns.taps, columns_, 1, {}, d_.multiplier, rows_ * columns_};
    for (int64_t v = 0; v < columns.taps; ++v) window.column.push_back(v);
    const int64_t row = top_ + rows.first - std::max<int64_t>(0, rows.taps - 1);
    const int64_t column = left_ + columns.first - std::max<int64_t>(0, columns.taps - 1);
    parts_.push_back({rows, columns, window, row * columns_ + column, taps_});
    taps_ += d_.multiplier * rows.taps * columns.taps;
  }

  // Rows of which the columns of phase p stand in plane p of `phases_`.
  void join(const Part* parts, float* gx) const {
    const int64_t s = g_.stride, even = g_.pad % s;
    const GradientPhase& rows = parts->rows;
    for (int64_t i = 0; i < rows.count; ++i) {
      float* to = gx + (rows.at + i * s) * g_.w;
      const auto from = [&](int64_t p) { return phases_.data() + p * g_.h * g_.w + i * parts[p].columns.count; };
      if (s == 2) {
        join_pairs(from(even), from(1 - even), g_.w, to);
      } else {
        for (int64_t p = 0; p < s; ++p)
          for (int64_t j = 0; j < parts[p].columns.count; ++j) to[parts[p].columns.at + j * s] = from(p)[j];
      }
    }
  }

  const Depthwise& d_;
  const Geometry& g_;
  int64_t top_, left_, rows_, columns_;
  int64_t taps_ = 0;  // of the m filters of a channel
  std::vector<Part> parts_;
  std::vector<float> grads_, phases_, turned_;
};

// Sums of x gy over the pixels of a plane, a register per tap, at most TAPS of them; `offset`: where a tap's inputs
// start in the padded plane. Lanes beyond OW hold gy = 0.
template <int LANES, int TAPS>
void correlate_plane(const Geometry& g, const float* x, const float* gy, const int64_t* offset, double* sums) {
  using V = Vec<LANES>;
  const int64_t columns = round_up(g.ow, LANES);
  typename V::Float acc[TAPS] = {};
  for (int64_t y = 0; y < g.oh; ++y, x += g.stride * g.row_size())
    for (int64_t j = 0; j < columns; j += LANES, gy += LANES) {
      const auto grad = V::load(gy);
      for (int t = 0; t < TAPS; ++t) acc[t] += V::load(x + offset[t] + j) * grad;
    }
  for (int t = 0; t < TAPS; ++t) sums[t] += V::sum(acc[t]);
}

// The gradient for the weights: adds that of one plane to the sums of its m filters.
template <int LANES>
class DepthwiseWeightGradient {
 public:
  explicit DepthwiseWeightGradient(const Depthwise& d)
      : d_(d), g_(d.plane), x_(g_), gy_(g_.oh * round_up(g_.ow, LANES), 0.f) {
    for (int64_t u = 0; u < g_.kh; ++u)
      for (int64_t v = 0; v < g_.kw; ++v) offsets_.push_back(g_.tap(u, v));
  }

  void add(const float* x, const float* gy, double* sums) {
    const float* plane = x_.template fill<LANES>(x);
    for (int64_t f = 0; f < d_.multiplier; ++f, sums += d_.taps()) {
      for (int64_t y = 0; y < g_.oh; ++y)
        copy_row<LANES>(gy + (f * g_.oh + y) * g_.ow, g_.ow, gy_.data() + y * round_up(g_.ow, LANES));
      correlate(plane, sums);
    }
  }

 private:
  void correlate(const float* plane, double* sums) const {
    const int64_t* offset = offsets_.data();
    int64_t left = d_.taps();
    for (; left >= 9; left -= 9, offset += 9, sums += 9) correlate_plane<LANES, 9>(g_, plane, gy_.data(), offset, sums);
    for (; left >= 3; left -= 3, offset += 3, sums += 3) correlate_plane<LANES, 3>(g_, plane, gy_.data(), offset, sums);
    for (; left >= 1; --left, ++offset, ++sums) correlate_plane<LANES, 1>(g_, plane, gy_.data(), offset, sums);
  }

  const Depthwise& d_;
  const Geometry& g_;
  PaddedPlane x_;
  std::vector<float> gy_;
  std::vector<int64_t> offsets_;
};

}  // namespace lowbit
