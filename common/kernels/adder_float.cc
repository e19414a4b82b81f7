// Float adder convolution and its gradients as AdderNet trains (Chen et al., CVPR 2020, equations 1, 5 and 6):
//
//   y [n,f,i,j]   = - sum_{c,u,v} | x[n,c,i s+u,j s+v] - w[f,c,u,v] |
//   gx[n,c,p,q]   =   sum_{f,u,v} clip(w[f,c,u,v] - x[n,c,p,q], -1, 1) gy[n,f,(p-u)/s,(q-v)/s]
//   gw[f,c,u,v]   =   sum_{n,i,j} (x[n,c,i s+u,j s+v] - w[f,c,u,v]) gy[n,f,i,j]
//
// x is zero outside the image. Work is split into items whose results do not depend on the number of threads, so
// training is reproducible bit for bit.
#include <vector>

#include "geometry.h"
#include "parallel.h"
#include "simd.h"

namespace lowbit {
namespace {

constexpr int kFilters = 4;  // filters (or channels) per register tile
constexpr int kVectors = 4;  // pixel vectors per register tile

// Weights (F, C, KH, KW) -> [F / 4][C KH KW][4], so that a tile reads its weights in order. Missing filters are zero.
std::vector<float> pack_filters(const Geometry& g, const float* w) {
  const int64_t taps = g.c * g.kh * g.kw;
  std::vector<float> packed(round_up(g.f, kFilters) * taps, 0.f);
  for (int64_t f = 0; f < g.f; ++f)
    for (int64_t t = 0; t < taps; ++t)
      packed[(f / kFilters * taps + t) * kFilters + f % kFilters] = w[f * taps + t];
  return packed;
}

// Offsets of all C KH KW taps in the phase-split image.
std::vector<int64_t> tap_offsets(const Geometry& g) {
  std::vector<int64_t> offsets;
  for (int64_t c = 0; c < g.c; ++c)
    for (int64_t ky = 0; ky < g.kh; ++ky)
      for (int64_t kx = 0; kx < g.kw; ++kx) offsets.push_back(c * g.plane_size() + g.tap(ky, kx));
  return offsets;
}

template <int LANES>
void forward_tile(const float* const* x, const std::vector<int64_t>& offsets, const float* w,
                  typename Vec<LANES>::Float (&sums)[kFilters][kVectors]) {
  using V = Vec<LANES>;
  typename V::Float acc[kFilters][kVectors] = {};
  for (int64_t offset : offsets) {
    typename V::Float v[kVectors];
    for (int j = 0; j < kVectors; ++j) v[j] = V::load(x[j] + offset);
    for (int f = 0; f < kFilters; ++f)
      for (int j = 0; j < kVectors; ++j) acc[f][j] += V::abs(v[j] - w[f]);
    w += kFilters;
  }
  std::memcpy(sums, acc, sizeof acc);
}

template <int LANES>
void forward_image(const Geometry& g, const float* image, const std::vector<int64_t>& offsets,
                   const std::vector<float>& packed, float* y) {
  using V = Vec<LANES>;
  const int64_t per_row = (g.ow + LANES - 1) / LANES, vectors = g.oh * per_row;
  for (int64_t f0 = 0; f0 < g.f; f0 += kFilters)
    for (int64_t v0 = 0; v0 < vectors; v0 += kVectors) {
      const float* x[kVectors];
      for (int j = 0; j < kVectors; ++j) {
        const int64_t v = std::min(v0 + j, vectors - 1);
        x[j] = image + v / per_row * g.stride * g.row_size() + v % per_row * LANES;
      }
      typename V::Float sums[kFilters][kVectors];
      forward_tile<LANES>(x, offsets, packed.data() + f0 * int64_t(offsets.size()), sums);
      for (int64_t f = f0; f < std::min(f0 + kFilters, g.f); ++f)
        for (int64_t v = v0; v < std::min(v0 + kVectors, vectors); ++v) {
          const int64_t ox = v % per_row * LANES;
          const auto negated = -sums[f - f0][v - v0];
          std::memcpy(y + (f * g.oh + v / per_row) * g.ow + ox, &negated, std::min<int64_t>(LANES, g.ow - ox) * 4);
        }
    }
}

template <int LANES>
void forward(const Geometry& g, const float* x, const float* w, float* y) {
  const auto packed = pack_filters(g, w);
  const auto offsets = tap_offsets(g);
  parallel_for(g.n, [&] {
    std::vector<float> image(g.c * g.plane_size() + LANES, 0.f);
    return [&, image](int64_t n) mutable {
      split_phases(g, x + n * g.c * g.h * g.w, image.data());
      forward_image<LANES>(g, image.data(), offsets, packed, y + n * g.f * g.oh * g.ow);
    };
  });
}

// The output gradient of one image with a border of zeros, [F][OH + 2 top][left + columns]: every tap of every input
// position can then read it without a test.
struct PaddedGradient {
  int64_t top, left, rows, columns;
  std::vector<float> values;

  explicit PaddedGradient(const Geometry& g)
      : top((g.kh - 1) / g.stride), left((g.kw - 1) / g.stride),
        rows(top + std::max(g.oh, (g.rows + g.stride - 1) / g.stride)), columns(left + g.segment + g.lanes),
        values(g.f * rows * columns, 0.f) {}

  void fill(const Geometry& g, const float* gy) {
    for (int64_t f = 0; f < g.f; ++f)
      for (int64_t y = 0; y < g.oh; ++y)
        std::copy_n(gy + (f * g.oh + y) * g.ow, g.ow, values.data() + (f * rows + y + top) * columns + left);
  }
};

// Gradient of four channels at two vectors of input positions, summed over filters and the taps of one phase.
template <int LANES>
struct InputTile {
  using V = Vec<LANES>;
  static constexpr int kPositions = 2;
  typename V::Float x[kFilters][kPositions], sums[kFilters][kPositions];

  // `w`: [taps][F][C]; `offsets`: one per tap, into the padded gradient of one filter.
  void run(const float* const* gy, const std::vector<int64_t>& offsets, const std::vector<const float*>& w,
           int64_t filters, int64_t filter_size, int64_t channels) {
    const auto one = V::broadcast(1.f);
    typename V::Float acc[kFilters][kPositions] = {};
    for (size_t t = 0; t < offsets.size(); ++t)
      for (int64_t f = 0; f < filters; ++f) {
        typename V::Float grad[kPositions];
        for (int j = 0; j < kPositions; ++j) grad[j] = V::load(gy[j] + offsets[t] + f * filter_size);
        const float* weights = w[t] + f * channels;
        for (int c = 0; c < kFilters; ++c)
          for (int j = 0; j < kPositions; ++j) acc[c][j] += V::clip(weights[c] - x[c][j], -one, one) * grad[j];
      }
    std::memcpy(sums, acc, sizeof acc);
  }
};

// Weights (F, C, KH, KW) -> [KH KW][F][C rounded up to a tile].
std::vector<float> pack_taps(const Geometry& g, const float* w) {
  const int64_t channels = round_up(g.c, kFilters), taps = g.kh * g.kw;
  std::vector<float> packed(taps * g.f * channels, 0.f);
  for (int64_t f = 0; f < g.f; ++f)
    for (int64_t c = 0; c < g.c; ++c)
      for (int64_t t = 0; t < taps; ++t) packed[(t * g.f + f) * channels + c] = w[(f * g.c + c) * taps + t];
  return packed;
}

template <int LANES>
void grad_input_phase(const Geometry& g, const float* image, const PaddedGradient& gy, const std::vector<float>& packed,
                      int64_t phase_y, int64_t phase_x, float* gx) {
  using Tile = InputTile<LANES>;
  const int64_t channels = round_up(g.c, kFilters);
  std::vector<int64_t> offsets;
  std::vector<const float*> weights;
  for (int64_t ky = phase_y; ky < g.kh; ky += g.stride)
    for (int64_t kx = phase_x; kx < g.kw; kx += g.stride) {
      offsets.push_back((gy.top - ky / g.stride) * gy.columns + gy.left - kx / g.stride);
      weights.push_back(packed.data() + (ky * g.kw + kx) * g.f * channels);
    }
  const int64_t columns = (g.w + 2 * g.pad - phase_x + g.stride - 1) / g.stride;
  const int64_t rows = (g.rows - phase_y + g.stride - 1) / g.stride;
  const int64_t per_row = (columns + LANES - 1) / LANES, vectors = rows * per_row;
  for (int64_t c0 = 0; c0 < g.c; c0 += kFilters)
    for (int64_t v0 = 0; v0 < vectors; v0 += Tile::kPositions) {
      Tile tile;
      const float* grads[Tile::kPositions];
      for (int j = 0; j < Tile::kPositions; ++j) {
        const int64_t v = std::min(v0 + j, vectors - 1), row = v / per_row, column = v % per_row * LANES;
        grads[j] = gy.values.data() + row * gy.columns + column;
        for (int c = 0; c < kFilters; ++c)
          tile.x[c][j] = Vec<LANES>::load(image + std::min(c0 + c, g.c - 1) * g.plane_size() +
                                          (row * g.stride + phase_y) * g.row_size() + phase_x * g.segment + column);
      }
      std::vector<const float*> tile_weights(weights);
      for (auto& w : tile_weights) w += c0;
      tile.run(grads, offsets, tile_weights, g.f, gy.rows * gy.columns, channels);
      for (int64_t v = v0; v < std::min(v0 + Tile::kPositions, vectors); ++v) {
        const int64_t py = v / per_row * g.stride + phase_y - g.pad;
        if (py < 0 || py >= g.h) continue;
        for (int64_t c = c0; c < std::min(c0 + kFilters, g.c); ++c)
          for (int64_t i = 0; i < LANES; ++i) {
            const int64_t px = (v % per_row * LANES + i) * g.stride + phase_x - g.pad;
            if (px >= 0 && px < g.w) gx[(c * g.h + py) * g.w + px] = tile.sums[c - c0][v - v0][i];
          }
      }
    }
}

template <int LANES>
void grad_input(const Geometry& g, const float* x, const float* w, const float* gy, float* gx) {
  const auto packed = pack_taps(g, w);
  parallel_for(g.n, [&] {
    // One spare segment: the last vector of a phase may read past it.
    std::vector<float> image(g.c * g.plane_size() + g.segment + LANES, 0.f);
    return [&, image, grad = PaddedGradient(g)](int64_t n) mutable {
      split_phases(g, x + n * g.c * g.h * g.w, image.data());
      grad.fill(g, gy + n * g.f * g.oh * g.ow);
      for (int64_t py = 0; py < g.stride; ++py)
        for (int64_t px = 0; px < g.stride; ++px)
          grad_input_phase<LANES>(g, image.data(), grad, packed, py, px, gx + n * g.c * g.h * g.w);
    };
  });
}

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

// Narrow outputs take narrow vectors: with 16 lanes half of each would be wasted on a row of 8.
template <class Narrow, class Wide>
void by_width(int64_t** shapes, int stride_pad_index, void** params, Narrow narrow, Wide wide) {
  const auto* stride_pad = static_cast<const int32_t*>(params[stride_pad_index]);
  const Geometry g(shapes[0], shapes[1], stride_pad, 16);
  if (g.ow > 8) {
    wide(g);
  } else {
    narrow(Geometry(shapes[0], shapes[1], stride_pad, 8));
  }
}

const float* in(void** params, int i) { return static_cast<const float*>(params[i]); }
float* out(void** params, int i) { return static_cast<float*>(params[i]); }

}  // namespace
}  // namespace lowbit

// Inputs x, w, int32 [stride, padding]; output y.
extern "C" int AdderForward(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  using namespace lowbit;
  by_width(
      shapes, 2, p, [&](const Geometry& g) { forward<8>(g, in(p, 0), in(p, 1), out(p, 3)); },
      [&](const Geometry& g) { forward<16>(g, in(p, 0), in(p, 1), out(p, 3)); });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gx.
extern "C" int AdderGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  using namespace lowbit;
  by_width(
      shapes, 3, p, [&](const Geometry& g) { grad_input<8>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4)); },
      [&](const Geometry& g) { grad_input<16>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4)); });
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gw, not rescaled.
extern "C" int AdderGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  using namespace lowbit;
  by_width(
      shapes, 3, p, [&](const Geometry& g) { grad_weight<8>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4)); },
      [&](const Geometry& g) { grad_weight<16>(g, in(p, 0), in(p, 1), in(p, 2), out(p, 4)); });
  return 0;
}

// At most `count` threads from now on; 0: as many as the machine has.
extern "C" void SetThreads(int count) { lowbit::thread_limit() = count; }
