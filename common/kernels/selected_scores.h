// Gradient for the mask of a convolution whose images choose branches: of each image and branch, <gy, conv(Q(x), w)>.
#pragma once

#include "integer_branches.h"
#include "conv_product.h"
#include "selected_branches.h"

namespace lowbit {

inline float dot(const float* a, const float* b, int64_t size) {
  constexpr int64_t kBlock = 4096;  // float sums no longer than this
  double total = 0;
  for (int64_t start = 0; start < size; start += kBlock) {
    float lanes[16] = {};
    const int64_t count = std::min(kBlock, size - start), whole = count / 16 * 16;
    for (int64_t i = start; i < start + whole; i += 16)
      for (int lane = 0; lane < 16; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
    for (int64_t i = start + whole; i < start + count; ++i) lanes[0] += a[i] * b[i];
    for (float lane : lanes) total += lane;
  }
  return static_cast<float>(total);
}

// What the scores are made of: y is the forward pass's, so that the chosen branch is not computed again.
struct ScoreInputs {
  const float *x, *y, *gy;
};

template <int LANES>
void float_scores(const Geometry& g, const Branches& branches, const float* w,
                  const ScoreInputs& from, float* scores) {
  const auto offsets = tap_offsets(g);
  const int64_t in_size = g.c * g.h * g.w, out_size = g.f * g.oh * g.ow;
  std::vector<std::vector<float>> packed;
  for (int64_t k = 0; k < branches.count; ++k) packed.push_back(pack_filters(g, w + k * g.f * g.c * g.kh * g.kw));
  parallel_for(g.n, [&] {
    std::vector<float> image(g.c * g.plane_size() + LANES, 0.f), q(in_size), other(out_size);
    return [&, image, q, other](int64_t n) mutable {
      for (int64_t k = 0; k < branches.count; ++k) {
        const float* output = from.y + n * out_size;
        if (k != branches.choice[n]) {
          quantize(branches.levels[k], from.x + n * in_size, in_size, q.data());
          split_phases(g, q.data(), image.data());
          forward_image<LANES>(g, image.data(), offsets, packed[k], other.data(), 0, AsTheyAre());
          output = other.data();
        }
        scores[n * branches.count + k] = dot(from.gy + n * out_size, output, out_size);
      }
    };
  });
}

// The same by codes.
template <class Dot>
void integer_scores(const Geometry& g, const Branches& branches, const IntegerBranches<Dot>& integer,
                    const ScoreInputs& from, float* scores) {
  const int64_t count = branches.count, in_size = g.c * g.h * g.w, out_size = g.f * g.oh * g.ow;
  parallel_for(g.n, [&] {
    return [&, conv = CodeConv<Dot>(g), codes = std::vector<CodeImage>(count, CodeImage(g))](int64_t n) mutable {
      std::vector<std::pair<CodeImage*, Channel>> widths;
      std::vector<const CodeImage*> images;
      std::vector<const CodeFilters<Dot>*> filters;
      std::vector<double> sums(count - 1);
      for (int64_t k = 0; k < count; ++k)
        if (k != branches.choice[n]) {
          widths.emplace_back(&codes[k], branches.levels[k]);
          images.push_back(&codes[k]);
          filters.push_back(&integer.filters[k]);
        }
      conv.set_image(from.x + n * in_size, widths);
      conv.products(images, filters, from.gy + n * out_size, sums);
      for (int64_t k = 0, other = 0; k < count; ++k)
        scores[n * count + k] = k == branches.choice[n]
                                    ? dot(from.gy + n * out_size, from.y + n * out_size, out_size)
                                    : static_cast<float>(sums[other++] * integer.units[k]);
    };
  });
}

template <int LANES>
void selected_scores(const Geometry& g, const Branches& branches, const float* w, const float* scale,
                     const ScoreInputs& from, float* scores) {
  if constexpr (ByteDot::kFast) {
    const IntegerBranches<ByteDot> integer(g, branches, w, scale);
    if (integer.exact) return integer_scores(g, branches, integer, from, scores);
  }
  float_scores<LANES>(g, branches, w, from, scores);
}

}  // namespace lowbit
