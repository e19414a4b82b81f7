// Forward pass of the float adder convolution, see conv_float.h. Filters lie in the lanes of vectors, pixels are read
// from padded planes one by one:
//
//     x at pixel 0  [ x x x x x x x x ]      w of a tap  [ f f f f f f f f ][ f f f f f f f f ]
//     x at pixel 1  [ x x x x x x x x ]  ->  sums of PIXELS x GROUPS vectors, over all taps in registers
//
// With -|x - w| = x + w - 2 max(x, w) a tap costs a maximum and a multiply-add, which processors start in different
// units; the sum of x over a window is the same for all filters, that of w for all pixels. The result has the rounding
// errors of a sum of |x| + |w| in place of one of |x - w|.
#pragma once

#include "conv_float.h"
#include "lane_blocks.h"
#include "padded_planes.h"
#include "transpose.h"

namespace lowbit {

constexpr int64_t kAdderTaps = 128;  // a tile's weights stay in the first cache

// Pixels of a tile of one or two vectors of filters.
template <int GROUPS>
constexpr int kAdderPixels = kManyRegisters || GROUPS == 1 ? 8 : 5;

// sums[p][j] += factor * sum of max(x[p] + offset, w) over the taps. The compiler must not know the factor, which is
// -2: it would take two additions in place of the multiply-add.
template <int LANES, int PIXELS, int GROUPS>
LOWBIT_ONE_COPY void add_larger(const float* const* x, const int64_t* offsets, const int64_t* end, const float* w,
                                float factor, typename Vec<LANES>::Float (&sums)[PIXELS][GROUPS]) {
  using V = Vec<LANES>;
  typename V::Float acc[PIXELS][GROUPS];
  std::memcpy(acc, sums, sizeof acc);
  const auto times = V::broadcast(factor);
  for (; offsets < end; ++offsets, w += GROUPS * LANES) {
    typename V::Float v[GROUPS];
    for (int j = 0; j < GROUPS; ++j) v[j] = V::load(w + j * LANES);
    for (int p = 0; p < PIXELS; ++p) {
      const auto value = V::broadcast(x[p][*offsets]);
      for (int j = 0; j < GROUPS; ++j) acc[p][j] += (v[j] > value ? v[j] : value) * times;
    }
  }
  std::memcpy(sums, acc, sizeof acc);
}

// Forward pass of one image after the other, by one thread.
template <int LANES>
class AdderForward {
 public:
  AdderForward(const Geometry& g, const float* w)
      : g_(g), x_(g.c, g.pad, g.pad, g.rows, g.w + 2 * g.pad), weights_(g.c * g.kh * g.kw, g.f),
        weight_sums_(weights_.columns(), 0.f), plane_sums_(x_.plane()), window_sums_(g.oh * g.ow),
        y_(g.oh * g.ow * weights_.columns()) {
    const int64_t taps = weights_.rows();
    for (int64_t f = 0; f < g.f; ++f) {
      double sum = 0;
      for (int64_t t = 0; t < taps; ++t) sum += weights_.at(t, f) = w[f * taps + t];
      weight_sums_[f] = static_cast<float>(sum);
    }
    for (int64_t c = 0; c < g.c; ++c)
      for (int64_t ky = 0; ky < g.kh; ++ky)
        for (int64_t kx = 0; kx < g.kw; ++kx) offsets_.push_back(c * x_.plane() + ky * x_.columns + kx);
    for (int64_t oy = 0; oy < g.oh; ++oy)
      for (int64_t ox = 0; ox < g.ow; ++ox) starts_.push_back(oy * g.stride * x_.columns + ox * g.stride);
  }

  void run(const float* x, float* y) {
    const int64_t pixels = g_.oh * g_.ow, taps = weights_.rows();
    x_.fill(x, g_.h, g_.w);
    start();
    weights_.each([&](auto vectors, int64_t first, const float* w) {
      for (int64_t t = 0; t < taps; t += kAdderTaps)
        for (int64_t p = 0; p < pixels; p += kAdderPixels<vectors>)
          tile<kAdderPixels<vectors>, vectors>(p, first, t, w + t * vectors * LANES);
    });
    transpose(y_.data(), weights_.columns(), pixels, g_.f, y, pixels);
  }

 private:
  template <int PIXELS, int GROUPS>
  void tile(int64_t first_pixel, int64_t first, int64_t first_tap, const float* w) {
    using V = Vec<LANES>;
    const float* x[PIXELS];
    float* y[PIXELS];
    typename V::Float sums[PIXELS][GROUPS];
    for (int p = 0; p < PIXELS; ++p) {
      const int64_t pixel = std::min(first_pixel + p, g_.oh * g_.ow - 1);  // the last one as often as need be
      x[p] = x_.values.data() + starts_[pixel];
      y[p] = y_.data() + pixel * weights_.columns() + first;
      for (int j = 0; j < GROUPS; ++j) sums[p][j] = V::load(y[p] + j * LANES);
    }
    const int64_t* offsets = offsets_.data() + first_tap;
    const int64_t taps = std::min(kAdderTaps, weights_.rows() - first_tap);
    add_larger<LANES, PIXELS, GROUPS>(x, offsets, offsets + taps, w, -2.f, sums);
    for (int p = 0; p < PIXELS; ++p)
      for (int j = 0; j < GROUPS; ++j) V::store(y[p] + j * LANES, sums[p][j]);
  }

  // All pixels start with the sums of x and of w over their windows; that of x first over channels, then over a plane.
  void start() {
    std::fill(plane_sums_.begin(), plane_sums_.end(), 0.f);
    for (int64_t c = 0; c < g_.c; ++c)
      for (int64_t i = 0; i < x_.plane(); ++i) plane_sums_[i] += x_.values[c * x_.plane() + i];
    std::fill(window_sums_.begin(), window_sums_.end(), 0.f);
    for (int64_t oy = 0; oy < g_.oh; ++oy)
      for (int64_t t = 0; t < g_.kh * g_.kw; ++t)
        add_row(plane_sums_.data() + starts_[oy * g_.ow] + offsets_[t], window_sums_.data() + oy * g_.ow);
    for (size_t p = 0; p < starts_.size(); ++p)
      for (int64_t f = 0; f < weights_.columns(); ++f)
        y_[p * weights_.columns() + f] = window_sums_[p] + weight_sums_[f];
  }

  void add_row(const float* from, float* to) const {
    if (g_.stride == 1) {
      for (int64_t i = 0; i < g_.ow; ++i) to[i] += from[i];
    } else {
      for (int64_t i = 0; i < g_.ow; ++i) to[i] += from[i * g_.stride];
    }
  }

  const Geometry& g_;
  PaddedPlanes x_;
  LaneBlocks<LANES, 2> weights_;
  std::vector<int64_t> offsets_, starts_;
  std::vector<float> weight_sums_, plane_sums_, window_sums_, y_;
};

template <int LANES>
void adder_forward(const Geometry& g, const float* x, const float* w, float* y) {
  parallel_for(g.n, [&] {
    return [&, forward = AdderForward<LANES>(g, w)](int64_t n) mutable {
      forward.run(x + n * g.c * g.h * g.w, y + n * g.f * g.oh * g.ow);
    };
  });
}

}  // namespace lowbit
