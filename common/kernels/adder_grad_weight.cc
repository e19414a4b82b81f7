// Gradient of the float adder convolution for its weights, see adder_float.h.
#include "adder_float.h"

namespace lowbit {
namespace {

// sum over images and pixels of x * gy for 4 filters and 4 taps; lanes beyond OW hold gy = 0.
template <int LANES>
void correlate_tile(const Geometry& g, int64_t images, const float* const* x, int64_t image_size,
                    const float* const* gy, int64_t gy_size, double (&sums)[kFilters][kVectors]) {
  using V = Vec<LANES>;
  const int64_t columns = round_up(g.ow, LANES);
  typename V::Float acc[kFilters][kVectors] = {};
  for (int64_t n = 0; n < images; ++n)
    for (int64_t y = 0; y < g.oh; ++y)
      for (int64_t ox = 0; ox < g.ow; ox += LANES) {
        typename V::Float v[kVectors], grad[kFilters];
        for (int j = 0; j < kVectors; ++j) v[j] = V::load(x[j] + n * image_size + y * g.stride * g.row_size() + ox);
        for (int f = 0; f < kFilters; ++f) grad[f] = V::load(gy[f] + n * gy_size + y * columns + ox);
        for (int f = 0; f < kFilters; ++f)
          for (int j = 0; j < kVectors; ++j) acc[f][j] += v[j] * grad[f];
      }
  for (int f = 0; f < kFilters; ++f)
    for (int j = 0; j < kVectors; ++j) sums[f][j] = V::sum(acc[f][j]);
}

// Adds sum x gy over a few images to gw, and sum gy to gy_sum; gw has shape (F, taps).
template <int LANES>
class WeightGradient {
 public:
  WeightGradient(const Geometry& g, int64_t chunk, const std::vector<int64_t>& offsets)
      : g_(g), offsets_(offsets), image_size_(g.c * g.plane_size()), plane_(g.oh * round_up(g.ow, LANES)),
        images_(chunk * image_size_ + LANES, 0.f), grads_(chunk * g.f * plane_, 0.f) {}

  void add(const float* x, const float* gy, int64_t images, double* gw, double* gy_sum) {
    fill(x, gy, images, gy_sum);
    const int64_t taps = offsets_.size();
    for (int64_t f0 = 0; f0 < g_.f; f0 += kFilters)
      for (int64_t t0 = 0; t0 < taps; t0 += kVectors) {
        const float *xs[kVectors], *gs[kFilters];
        for (int j = 0; j < kVectors; ++j) xs[j] = images_.data() + offsets_[std::min(t0 + j, taps - 1)];
        for (int f = 0; f < kFilters; ++f) gs[f] = grads_.data() + std::min(f0 + f, g_.f - 1) * plane_;
        double sums[kFilters][kVectors];
        correlate_tile<LANES>(g_, images, xs, image_size_, gs, g_.f * plane_, sums);
        for (int64_t f = f0; f < std::min(f0 + kFilters, g_.f); ++f)
          for (int64_t t = t0; t < std::min(t0 + kVectors, taps); ++t) gw[f * taps + t] += sums[f - f0][t - t0];
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
          std::copy_n(row, g_.ow, grads_.data() + (n * g_.f + f) * plane_ + y * columns);
          for (int64_t i = 0; i < g_.ow; ++i) gy_sum[f] += row[i];
        }
    }
  }

  const Geometry& g_;
  const std::vector<int64_t>& offsets_;
  int64_t image_size_, plane_;
  std::vector<float> images_, grads_;
};

template <int LANES>
void grad_weight(const Geometry& g, const float* x, const float* w, const float* gy, float* gw) {
  // A fixed number of blocks with a partial result each, added in order: the sum does not depend on the threads.
  const int64_t blocks = std::min<int64_t>(g.n, 16), per_block = (g.n + blocks - 1) / blocks;
  const int64_t image_bytes = 4 * (g.c * g.plane_size() + g.f * g.oh * round_up(g.ow, LANES));
  const int64_t chunk = std::max<int64_t>(1, std::min(per_block, (1 << 19) / image_bytes));
  const auto offsets = tap_offsets(g);
  const int64_t taps = offsets.size(), size = g.f * (taps + 1);
  std::vector<double> partial(blocks * size, 0.0);
  parallel_for(blocks, [&] {
    return [&, gradient = WeightGradient<LANES>(g, chunk, offsets)](int64_t block) mutable {
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
      gw[f * taps + t] = static_cast<float>(xg - w[f * taps + t] * sum);
    }
}

}  // namespace
}  // namespace lowbit

// Inputs x, w, gy, int32 [stride, padding]; output gw, not rescaled.
extern "C" int AdderGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  using namespace lowbit;
  by_width(
      shapes, 3, p, [&](const Geometry& g) { grad_weight<8>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4)); },
      [&](const Geometry& g) { grad_weight<16>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4)); });
  return 0;
}
