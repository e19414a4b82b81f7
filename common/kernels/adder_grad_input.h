// Gradient of the float adder convolution for its input, see conv_float.h. Channels lie in the lanes of vectors, the
// gradient of the output is read from padded planes one by one:
//
//     x of position 0, channels  [ c c c c c c c c ]      w of a tap and filter  [ c c c c c c c c ]
//     x of position 1, channels  [ c c c c c c c c ]  ->  sums of clip(w - x, -1, 1) gy, over filters and taps
//
// At stride s the positions of one phase, which differ by multiples of s, have the same taps.
//
// Inputs between -1 and kBounded (those behind a ReLU are) take a tile of three instructions in place of four: with
// clip(w - x, -1, 1) = clip(w, x - 1, x + 1) - x the last x leaves the sum, and as x + 1 is not negative, the minimum is
// that of integers, for which processors have more units. Its rounding errors are those of |x| + 1 in place of 1. The
// tile holds both bounds, which takes more registers than AVX2 and SSE have.
#pragma once

#include "conv_float.h"
#include "lane_blocks.h"
#include "padded_planes.h"
#include "transpose.h"

namespace lowbit {

constexpr int kAdderPositions = 8;   // of a tile
constexpr float kBounded = 32;

// What a tap adds to the sum of a position, of any input: `low` is x.
template <int LANES>
struct AnyInput {
  using Vector = typename Vec<LANES>::Float;
  static constexpr bool kLeavesX = false;
  static Vector low(Vector x, Vector) { return x; }
  static Vector high(Vector x, Vector) { return x; }
  static Vector clipped(Vector w, Vector low, Vector, Vector one) { return Vec<LANES>::clip(w - low, one); }
};

// The same without the last - x, of inputs from -1 on: bounds of w. Sums start with -x times all gradients.
template <int LANES>
struct BoundedInput {
  using Vector = typename Vec<LANES>::Float;
  static constexpr bool kLeavesX = true;
  using Int = typename Vec<LANES>::Int;
  static Vector low(Vector x, Vector one) { return x - one; }
  static Vector high(Vector x, Vector one) { return x + one; }
  static Vector clipped(Vector w, Vector low, Vector high, Vector) {
    const Int raised = reinterpret_cast<Int>(w > low ? w : low), most = reinterpret_cast<Int>(high);
    return reinterpret_cast<Vector>(raised < most ? raised : most);
  }
};

// sums[p] += clipped(w) gy[p][offset] over taps and filters; `limit` is 1, which the compiler must not know, see clip.
template <template <int> class Input, int LANES>
LOWBIT_ONE_COPY void add_clipped(const float* const* x, const float* const* gy, const int64_t* offsets,
                                 const int64_t* end, const float* w, float limit,
                                 typename Vec<LANES>::Float (&sums)[kAdderPositions]) {
  using V = Vec<LANES>;
  typename V::Float acc[kAdderPositions], low[kAdderPositions], high[kAdderPositions];
  const auto one = V::broadcast(limit);
  for (int p = 0; p < kAdderPositions; ++p) {
    low[p] = Input<LANES>::low(V::load(x[p]), one);
    high[p] = Input<LANES>::high(V::load(x[p]), one);
  }
  std::memcpy(acc, sums, sizeof acc);
  for (; offsets < end; ++offsets, w += LANES) {
    const auto v = V::load(w);
    for (int p = 0; p < kAdderPositions; ++p)
      acc[p] += Input<LANES>::clipped(v, low[p], high[p], one) * gy[p][*offsets];
  }
  std::memcpy(sums, acc, sizeof acc);
}

// Whether all values lie between the bounds of BoundedInput.
inline bool is_bounded(const float* x, int64_t count) {
  float least = 0, most = 0;
  for (int64_t i = 0; i < count; ++i) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  return least >= -1 && most <= kBounded;
}

// Positions of the input that have the same taps, in rows of `columns`: their places in the image, and where tap (0, 0)
// finds the gradient; the rows of the weights that belong to these taps.
struct Phase {
  std::vector<int64_t> positions, starts;
  int64_t columns, first_row, end_row;  // a row per tap and filter, filters inside
};

// Gradient of one image after the other, by one thread.
template <int LANES>
class AdderGradInput {
 public:
  AdderGradInput(const Geometry& g, const float* w)
      : g_(g), gy_(padded(g)), weights_(g.kh * g.kw * g.f, g.c), x_(g.h * g.w * weights_.columns(), 0.f),
        gx_(g.h * g.w * weights_.columns()), planes_(gy_.plane()), window_sums_(g.h * g.w) {
    for (int64_t y = 0; y < g.stride; ++y)
      for (int64_t x = 0; x < g.stride; ++x) add_phase(y, x, w);
  }

  void run(const float* x, const float* gy, float* gx) {
    const int64_t pixels = g_.h * g_.w, channels = weights_.columns();
    transpose(x, pixels, g_.c, pixels, x_.data(), channels);
    gy_.fill(gy, g_.oh, g_.ow);
    if (kManyRegisters && is_bounded(x, g_.c * pixels)) {
      sum_windows();
      add<BoundedInput>();
    } else {
      add<AnyInput>();
    }
    transpose(gx_.data(), channels, pixels, g_.c, gx, pixels);
  }

 private:
  static PaddedPlanes padded(const Geometry& g) {
    const int64_t top = (g.kh - 1) / g.stride, left = (g.kw - 1) / g.stride;
    const int64_t rows = std::max(g.oh, (g.h + g.pad - 1) / g.stride + 1);
    const int64_t columns = std::max(g.ow, (g.w + g.pad - 1) / g.stride + 1);
    return PaddedPlanes(g.f, top, left, top + rows, left + columns);
  }

  // Of padded row r = y + pad, tap ky sees row (r - ky) / stride of the gradient, if that is whole.
  void add_phase(int64_t phase_y, int64_t phase_x, const float* w) {
    Phase made{{}, {}, 0, static_cast<int64_t>(offsets_.size()), 0};
    for (int64_t ky = phase_y; ky < g_.kh; ky += g_.stride)
      for (int64_t kx = phase_x; kx < g_.kw; kx += g_.stride)
        for (int64_t f = 0; f < g_.f; ++f) {
          const int64_t row = offsets_.size();
          for (int64_t c = 0; c < g_.c; ++c) weights_.at(row, c) = w[((f * g_.c + c) * g_.kh + ky) * g_.kw + kx];
          offsets_.push_back(f * gy_.plane() - ky / g_.stride * gy_.columns - kx / g_.stride);
        }
    made.end_row = offsets_.size();
    for (int64_t y = 0; y < g_.h; ++y)
      for (int64_t x = 0; x < g_.w; ++x) {
        const int64_t r = y + g_.pad, q = x + g_.pad;
        if (r % g_.stride != phase_y || q % g_.stride != phase_x) continue;
        made.positions.push_back(y * g_.w + x);
        made.starts.push_back((r / g_.stride + gy_.top) * gy_.columns + q / g_.stride + gy_.left);
      }
    for (int64_t x = 0; x < g_.w; ++x) made.columns += (x + g_.pad) % g_.stride == phase_x;
    phases_.push_back(made);
  }

  // For every position, in the order of the phases, the sum of all gradients that it sees.
  void sum_windows() {
    std::fill(planes_.begin(), planes_.end(), 0.f);
    for (int64_t f = 0; f < g_.f; ++f)
      for (int64_t i = 0; i < gy_.plane(); ++i) planes_[i] += gy_.values[f * gy_.plane() + i];
    std::fill(window_sums_.begin(), window_sums_.end(), 0.f);
    float* sums = window_sums_.data();
    for (const Phase& phase : phases_)
      for (size_t p = 0; p < phase.starts.size(); p += phase.columns, sums += phase.columns)
        for (int64_t row = phase.first_row; row < phase.end_row; row += g_.f)
          for (int64_t i = 0; i < phase.columns; ++i) sums[i] += planes_[phase.starts[p] + offsets_[row] + i];
  }

  template <template <int> class Input>
  void add() {
    weights_.each([&](auto, int64_t first, const float* w) {
      const float* window_sums = window_sums_.data();
      for (const Phase& phase : phases_) {
        for (size_t p = 0; p < phase.positions.size(); p += kAdderPositions)
          tile<Input>(phase, p, first, w, window_sums);
        window_sums += phase.positions.size();
      }
    });
  }

  template <template <int> class Input>
  void tile(const Phase& phase, size_t first_position, int64_t first, const float* w, const float* window_sums) {
    using V = Vec<LANES>;
    const float *x[kAdderPositions], *gy[kAdderPositions];
    int64_t at[kAdderPositions];
    typename V::Float sums[kAdderPositions] = {};
    for (int p = 0; p < kAdderPositions; ++p) {
      const size_t i = std::min(first_position + p, phase.positions.size() - 1);  // the last one as often as need be
      at[p] = phase.positions[i] * weights_.columns() + first;
      x[p] = x_.data() + at[p];
      gy[p] = gy_.values.data() + phase.starts[i];
      if (Input<LANES>::kLeavesX) sums[p] = -V::load(x[p]) * window_sums[i];
    }
    add_clipped<Input, LANES>(x, gy, offsets_.data() + phase.first_row, offsets_.data() + phase.end_row,
                              w + phase.first_row * LANES, 1.f, sums);
    for (int p = 0; p < kAdderPositions; ++p) V::store(gx_.data() + at[p], sums[p]);
  }

  const Geometry& g_;
  PaddedPlanes gy_;
  LaneBlocks<LANES, 1> weights_;
  std::vector<float> x_, gx_, planes_, window_sums_;
  std::vector<int64_t> offsets_;
  std::vector<Phase> phases_;
};

template <int LANES, class Finish = AsTheyAre>
void adder_grad_input(const Geometry& g, const float* x, const float* w, const float* gy, float* gx,
                      Finish finish = {}) {
  const int64_t pixels = g.h * g.w;
  parallel_for(g.n, [&] {
    return [&, gradient = AdderGradInput<LANES>(g, w)](int64_t n) mutable {
      gradient.run(x + n * g.c * pixels, gy + n * g.f * g.oh * g.ow, gx + n * g.c * pixels);
      for (int64_t plane = n * g.c; plane < (n + 1) * g.c; ++plane)
        finish.change(gx + plane * pixels, plane, 0, pixels);
    };
  });
}

}  // namespace lowbit
