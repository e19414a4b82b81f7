// Gradient of the float convolutions for their weights, see conv_float.h.
#pragma once

#include "conv_float.h"

namespace lowbit {

// Sums of a tile stay in registers while all pixels pass: 24 of 32, or 12 of 16.
constexpr int kGradFilters = kManyRegisters ? 8 : 4;
constexpr int kGradTaps = 3;

// sum over images and pixels of x * gy for a tile of filters and taps; lanes beyond OW hold gy = 0. The filters' planes
// of gy follow one another, `plane` floats apart.
template <int LANES>
void correlate_tile(const Geometry& g, int64_t images, const float* const* x, int64_t image_size, const float* gy,
                    int64_t plane, int64_t gy_size, double (&sums)[kGradFilters][kGradTaps]) {
  using V = Vec<LANES>;
  const int64_t columns = round_up(g.ow, LANES), x_row = g.stride * g.row_size();
  typename V::Float acc[kGradFilters][kGradTaps] = {};
  for (int64_t n = 0; n < images; ++n) {
    const float *x0 = x[0] + n * image_size, *x1 = x[1] + n * image_size, *x2 = x[2] + n * image_size;
    const float* grad = gy + n * gy_size;
    for (int64_t y = 0; y < g.oh; ++y, x0 += x_row, x1 += x_row, x2 += x_row)
      for (int64_t ox = 0; ox < columns; ox += LANES, grad += LANES) {
        const typename V::Float v[kGradTaps] = {V::load(x0 + ox), V::load(x1 + ox), V::load(x2 + ox)};
        for (int f = 0; f < kGradFilters; ++f) {
          const auto value = V::load(grad + f * plane);
          for (int j = 0; j < kGradTaps; ++j) acc[f][j] += v[j] * value;
        }
      }
  }
  for (int f = 0; f < kGradFilters; ++f)
    for (int j = 0; j < kGradTaps; ++j) sums[f][j] = V::sum(acc[f][j]);
}

// Adds sum x gy over a few images to gw, and, where the operation asks for it, sum gy to gy_sum; gw is (F, taps).
template <template <int> class Op, int LANES>
class WeightGradient {
 public:
  WeightGradient(const Geometry& g, int64_t chunk, const std::vector<int64_t>& offsets)
      : g_(g), offsets_(offsets), image_size_(g.c * g.plane_size()), plane_(g.oh * round_up(g.ow, LANES)),
        filters_(round_up(g.f, kGradFilters)),
        images_(chunk * image_size_ + LANES, 0.f), grads_(chunk * filters_ * plane_, 0.f) {}

  void add(const float* x, const float* gy, int64_t images, double* gw, double* gy_sum) {
    fill(x, gy, images, gy_sum);
    const int64_t taps = offsets_.size();
    for (int64_t f0 = 0; f0 < g_.f; f0 += kGradFilters)
      for (int64_t t0 = 0; t0 < taps; t0 += kGradTaps) {
        const float* xs[kGradTaps];
        for (int j = 0; j < kGradTaps; ++j) xs[j] = images_.data() + offsets_[std::min(t0 + j, taps - 1)];
        double sums[kGradFilters][kGradTaps];
        const float* grads = grads_.data() + f0 * plane_;
        correlate_tile<LANES>(g_, images, xs, image_size_, grads, plane_, filters_ * plane_, sums);
        for (int64_t f = f0; f < std::min(f0 + kGradFilters, g_.f); ++f)
          for (int64_t t = t0; t < std::min(t0 + kGradTaps, taps); ++t) gw[f * taps + t] += sums[f - f0][t - t0];
      }
  }

 private:
  void fill(const float* x, const float* gy, int64_t images, double* gy_sum) {
    const int64_t columns = round_up(g_.ow, LANES);
    for (int64_t n = 0; n < images; ++n) {
      split_phases(g_, x + n * g_.c * g_.h * g_.w, images_.data() + n * image_size_);
      for (int64_t f = 0; f < g_.f; ++f)
        for (int64_t y = 0; y < g_.oh; ++y) {
          const float* row = gy + ((n * g_.f + f) * g_.oh + y) * g_.ow;
          std::copy_n(row, g_.ow, grads_.data() + (n * filters_ + f) * plane_ + y * columns);
          for (int64_t i = 0; Op<LANES>::kWeightTerm != 0 && i < g_.ow; ++i) gy_sum[f] += row[i];
        }
    }
  }

  const Geometry& g_;
  const std::vector<int64_t>& offsets_;
  int64_t image_size_, plane_, filters_;
  std::vector<float> images_, grads_;
};

template <template <int> class Op, int LANES>
void grad_weight(const Geometry& g, const float* x, const float* w, const float* gy, float* gw) {
  // A fixed number of blocks with a partial result each, added in order: the sum does not depend on the threads.
  const int64_t blocks = std::min<int64_t>(g.n, 16), per_block = (g.n + blocks - 1) / blocks;
  const int64_t image_bytes = 4 * (g.c * g.plane_size() + g.f * g.oh * round_up(g.ow, LANES));
  const int64_t chunk = std::max<int64_t>(1, std::min(per_block, (1 << 19) / image_bytes));
  const auto offsets = tap_offsets(g);
  const int64_t taps = offsets.size(), size = g.f * (taps + 1);
  std::vector<double> partial(blocks * size, 0.0);
  parallel_for(blocks, [&] {
    return [&, gradient = WeightGradient<Op, LANES>(g, chunk, offsets)](int64_t block) mutable {
      double* sums = partial.data() + block * size;
      const int64_t end = std::min(g.n, (block + 1) * per_block);
      for (int64_t n = block * per_block; n < end; n += chunk)
        gradient.add(x + n * g.c * g.h * g.w, gy + n * g.f * g.oh * g.ow, std::min(chunk, end - n), sums,
                     sums + g.f * taps);
    };
  });
  for (int64_t f = 0; f < g.f; ++f)
    for (int64_t t = 0; t < taps; ++t) {
      double xg = 0, sum = 0;
      for (int64_t b = 0; b < blocks; ++b) {
        xg += partial[b * size + f * taps + t];
        sum += partial[b * size + g.f * taps + f];
      }
      gw[f * taps + t] = static_cast<float>(xg - Op<LANES>::kWeightTerm * w[f * taps + t] * sum);
    }
}

}  // namespace lowbit
