// Forward pass of the convolution with any kernel and stride, see conv_float.h: vectors of the pixels of a row.
#pragma once

#include "conv_float.h"

namespace lowbit {

// Weights (F, C, KH, KW) -> [F / 4][C KH KW][4], so that a tile reads its weights in order. Missing filters are zero.
inline std::vector<float> pack_filters(const Geometry& g, const float* w) {
  const int64_t taps = g.c * g.kh * g.kw;
  std::vector<float> packed(round_up(g.f, kFilters) * taps, 0.f);
  for (int64_t f = 0; f < g.f; ++f)
    for (int64_t t = 0; t < taps; ++t)
      packed[(f / kFilters * taps + t) * kFilters + f % kFilters] = w[f * taps + t];
  return packed;
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
      for (int j = 0; j < kVectors; ++j) acc[f][j] += v[j] * w[f];
    w += kFilters;
  }
  std::memcpy(sums, acc, sizeof acc);
}

// `y` is that of the image, whose first plane is number `plane`.
template <int LANES, class Finish>
void forward_image(const Geometry& g, const float* image, const std::vector<int64_t>& offsets,
                   const std::vector<float>& packed, float* y, int64_t plane, Finish finish) {
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
          const int64_t ox = v % per_row * LANES, pixel = v / per_row * g.ow + ox;
          const int64_t lanes = std::min<int64_t>(LANES, g.ow - ox);
          finish.write(reinterpret_cast<const float*>(&sums[f - f0][v - v0]), y + f * g.oh * g.ow + pixel, plane + f,
                       pixel, lanes);
        }
    }
}

template <int LANES, class Finish, class Prepare>
void forward(const Geometry& g, const float* x, const Parts& parts, float* y, Finish finish, Prepare prepare) {
  std::vector<std::vector<float>> packed;
  for (const Part& part : parts) packed.push_back(pack_filters(g, part.w));
  const auto offsets = tap_offsets(g);
  const auto items = part_items(parts, 1, 1);
  parallel_for(static_cast<int64_t>(items.size()), [&] {
    std::vector<float> image(g.c * g.plane_size() + LANES, 0.f);
    return [&, image](int64_t i) mutable {
      const int64_t part = items[i].part, n = parts[part].images[items[i].first];
      split_phases(g, x + n * g.c * g.h * g.w, image.data());
      prepare(n, image.data(), static_cast<int64_t>(image.size()));
      forward_image<LANES>(g, image.data(), offsets, packed[part], y + n * g.f * g.oh * g.ow, n * g.f, finish);
    };
  });
}

}  // namespace lowbit
