// Forward pass of the float adder convolution, see conv_float.h. Filters lie in the lanes of vectors, pixels are read
// from padded planes one by one:
//
//     x at pixel 0  [ x x x x x x x x ]      w of a tap  [ f f f f f f f f ][ f f f f f f f f ]
//     x at pixel 1  [ x x x x x x x x ]  ->  sums of PIXELS x GROUPS vectors, over all taps in registers
//
// With -|x - w| = x + w - 2 max(x, w) a tap costs a maximum and an addition; the sum of x over a window is the same for
// all filters, that of w for all pixels. The result has the rounding errors of a sum of |x| + |w| in place of one of
// |x - w|.
#pragma once

#include "conv_float.h"
#include "lane_blocks.h"
#include "padded_planes.h"
#include "transpose.h"

namespace lowbit {

// Pixels of a tile of one or two vectors of filters, and tiles whose sums are turned into planes at once.
template <int GROUPS>
constexpr int kAdderPixels = kManyRegisters || GROUPS == 1 ? 8 : 5;
constexpr int kAdderTiles = 16;

// How maxima are added up, of any input: an addition and a maximum of floats would wait for the same units of the
// processor, a multiply-add has others. The compiler must not know the factor, which is 1.
struct AnySigns {
  template <class V>
  static typename V::Float add_larger(typename V::Float sum, typename V::Float x, typename V::Float w,
                                      typename V::Float factor) {
    return sum + (w > x ? w : x) * factor;
  }
};

// Of inputs without a sign, as those behind a ReLU are: the maximum is that of integers, for which processors have more
// units, and the addition takes one operand less than the multiply-add.
struct NoSigns {
  template <class V>
  static typename V::Float add_larger(typename V::Float sum, typename V::Float x, typename V::Float w,
                                      typename V::Float) {
    return sum + V::larger(w, x);
  }
};

// sums[p][j] += max(x[p] + offset, w) over the taps.
template <class Signs, int LANES, int PIXELS, int GROUPS>
LOWBIT_ONE_COPY void add_all_larger(const float* const* x, const int64_t* offsets, const int64_t* end, const float* w,
                                float factor, typename Vec<LANES>::Float (&sums)[PIXELS][GROUPS]) {
  using V = Vec<LANES>;
  typename V::Float acc[PIXELS][GROUPS];
  std::memcpy(acc, sums, sizeof acc);
  const auto one = V::broadcast(factor);
  for (; offsets < end; ++offsets, w += GROUPS * LANES) {
    typename V::Float v[GROUPS];
    for (int j = 0; j < GROUPS; ++j) v[j] = V::load(w + j * LANES);
    for (int p = 0; p < PIXELS; ++p) {
      const auto value = V::broadcast_from(x[p] + *offsets);
      for (int j = 0; j < GROUPS; ++j) acc[p][j] = Signs::template add_larger<V>(acc[p][j], value, v[j], one);
    }
  }
  std::memcpy(sums, acc, sizeof acc);
}

// Whether no value has a sign; -0 has one.
inline bool has_no_signs(const float* x, int64_t count) {
  uint32_t bits = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t value;
    std::memcpy(&value, x + i, sizeof value);
    bits |= value;
  }
  return bits >> 31 == 0;
}

// Forward pass of one image after the other, by one thread.
template <int LANES>
class AdderForward {
 public:
  AdderForward(const Geometry& g, const float* w)
      : g_(g), x_(g.c, g.pad, g.pad, g.rows, g.w + 2 * g.pad), weights_(g.c * g.kh * g.kw, g.f),
        weight_sums_(weights_.columns(), 0.f), plane_sums_(x_.plane()), window_sums_(g.oh * g.ow),
        y_(kAdderTiles * kAdderPixels<1> * 2 * LANES) {
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
    x_.fill(x, g_.h, g_.w);
    sum_windows();
    if (has_no_signs(x, g_.c * g_.h * g_.w))
      all_tiles<NoSigns>(y);
    else
      all_tiles<AnySigns>(y);
  }

 private:
  // Some tiles of pixels, filters innermost, then their planes.
  template <class Signs>
  void all_tiles(float* y) {
    const int64_t pixels = g_.oh * g_.ow;
    weights_.each([&](auto vectors, int64_t first, const float* w) {
      constexpr int kPixels = kAdderPixels<vectors>, kWidth = vectors * LANES;
      for (int64_t p = 0; p < pixels; p += kAdderTiles * kPixels) {
        const int64_t count = std::min<int64_t>(kAdderTiles * kPixels, pixels - p);
        for (int64_t i = 0; i < count; i += kPixels)
          tile<Signs, kPixels, vectors>(p + i, first, w, y_.data() + i * kWidth);
        transpose(y_.data(), kWidth, count, std::min<int64_t>(kWidth, g_.f - first), y + first * pixels + p, pixels);
      }
    });
  }

  template <class Signs, int PIXELS, int GROUPS>
  void tile(int64_t first_pixel, int64_t first, const float* w, float* y) {
    using V = Vec<LANES>;
    const float* x[PIXELS];
    typename V::Float sums[PIXELS][GROUPS] = {};
    const int64_t last = g_.oh * g_.ow - 1;  // it is taken as often as need be
    for (int p = 0; p < PIXELS; ++p) x[p] = x_.values.data() + starts_[std::min(first_pixel + p, last)];
    add_all_larger<Signs, LANES, PIXELS, GROUPS>(x, offsets_.data(), offsets_.data() + offsets_.size(), w, 1.f, sums);
    for (int p = 0; p < PIXELS; ++p) {
      const float window_sum = window_sums_[std::min(first_pixel + p, last)];
      for (int j = 0; j < GROUPS; ++j) {
        const auto both = V::load(weight_sums_.data() + first + j * LANES) + window_sum;
        V::store(y + (p * GROUPS + j) * LANES, both - 2 * sums[p][j]);
      }
    }
  }

  // The sums of x over all windows: first over channels, then over a plane.
  void sum_windows() {
    std::fill(plane_sums_.begin(), plane_sums_.end(), 0.f);
    for (int64_t c = 0; c < g_.c; ++c)
      for (int64_t i = 0; i < x_.plane(); ++i) plane_sums_[i] += x_.values[c * x_.plane() + i];
    std::fill(window_sums_.begin(), window_sums_.end(), 0.f);
    for (int64_t oy = 0; oy < g_.oh; ++oy)
      for (int64_t t = 0; t < g_.kh * g_.kw; ++t)
        add_row(plane_sums_.data() + starts_[oy * g_.ow] + offsets_[t], window_sums_.data() + oy * g_.ow);
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
