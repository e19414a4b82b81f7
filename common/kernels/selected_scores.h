// Gradient for the mask of a convolution whose images choose branches: of each image and branch, <gy, conv(Q(x), w)>.
#pragma once

#include "code_products.h"
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

// The filters of a branch: whole multiples of a step, or of nothing that is known where that is 0.
struct ScoredFilters {
  const float* values;
  float step;
};

template <int LANES>
void float_scores(const Geometry& g, const Branches& branches, const std::vector<ScoredFilters>& w,
                  const ScoreInputs& from, float* scores) {
  const auto offsets = tap_offsets(g);
  const int64_t in_size = g.c * g.h * g.w, out_size = g.f * g.oh * g.ow;
  std::vector<std::vector<float>> packed;
  for (int64_t k = 0; k < branches.count; ++k) packed.push_back(pack_filters(g, w[k].values));
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

// The same by codes; false where these do not fit into bytes.
template <class Dot>
bool integer_scores(const Geometry& g, const Branches& branches, const std::vector<ScoredFilters>& w,
                    const ScoreInputs& from, float* scores) {
  const int64_t count = branches.count, in_size = g.c * g.h * g.w, out_size = g.f * g.oh * g.ow;
  std::vector<CodeFilters<Dot>> filters;
  for (int64_t k = 0; k < count; ++k) {
    if (branches.levels[k].steps() > kLargestCode) return false;
    filters.emplace_back(g, w[k].values, w[k].step);
    if (!filters.back().exact()) return false;
  }
  parallel_for(g.n, [&] {
    return [&, products = CodeProducts<Dot>(g), images = std::vector<CodeImage>(count, CodeImage(g))](int64_t n) mutable {
      std::vector<std::pair<CodeImage*, Channel>> others;
      for (int64_t k = 0; k < count; ++k)
        if (k != branches.choice[n]) others.emplace_back(&images[k], branches.levels[k]);
      products.set_gradient(from.gy + n * out_size);
      products.set_image(from.x + n * in_size, others);
      for (int64_t k = 0; k < count; ++k)
        scores[n * count + k] =
            k == branches.choice[n]
                ? dot(from.gy + n * out_size, from.y + n * out_size, out_size)
                : static_cast<float>(products.product(images[k], filters[k]) * w[k].step * branches.levels[k].down);
    };
  });
  return true;
}

template <int LANES>
void selected_scores(const Geometry& g, const Branches& branches, const std::vector<const float*>& w,
                     const float* steps, const ScoreInputs& from, float* scores) {
  if constexpr (ByteDot::kFast)
    if (integer_scores<ByteDot>(g, branches, w, from, scores)) return;
  float_scores<LANES>(g, branches, w, from, scores);
}

}  // namespace lowbit
