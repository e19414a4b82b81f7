// Gradient for the mask of a convolution whose images choose branches: of each image and branch, <gy, conv(Q(x), w)>.
#pragma once

#include "integer_branches.h"
#include "conv_product.h"
#include "selected_branches.h"

namespace lowbit {

// What the scores are made of; those of the chosen branches (N) are known from the gradient for x.
struct ScoreInputs {
  const float *x, *chosen, *gy;
};

inline double dot(const float* a, const float* b, int64_t size) {
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
  return total;
}

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
        float& score = scores[n * branches.count + k];
        if (k == branches.choice[n]) {
          score = from.chosen[n];
          continue;
        }
        quantize(branches.levels[k], from.x + n * in_size, in_size, q.data());
        split_phases(g, q.data(), image.data());
        forward_image<LANES>(g, image.data(), offsets, packed[k], other.data(), 0, AsTheyAre());
        score = static_cast<float>(dot(from.gy + n * out_size, other.data(), out_size));
      }
    };
  });
}

// The same by codes: the products of one image and its branches.
template <class Dot>
class IntegerScores {
 public:
  IntegerScores(const Geometry& g, const Branches& branches, const IntegerBranches<Dot>& integer)
      : g_(g), branches_(branches), integer_(integer), conv_(g), squares_(g, branches.count),
        codes_(branches.count, CodeImage(g)) {}

  // The scores (K) of image n.
  void run(const ScoreInputs& from, int64_t n, float* scores) {
    const int64_t in_size = g_.c * g_.h * g_.w, out_size = g_.f * g_.oh * g_.ow, chosen = branches_.choice[n];
    const float* gy = from.gy + n * out_size;
    Work work;
    std::vector<std::pair<CodeImage*, Channel>> widths;
    for (int64_t k = 0; k < branches_.count; ++k) {
      if (k == chosen) continue;
      widths.emplace_back(&codes_[k], branches_.levels[k]);
      (integer_.by_squares(k) ? work.squares : work.others).push_back(k);
    }
    conv_.set_image(from.x + n * in_size, widths);
    multiply(work, gy, scores);
    scores[chosen] = from.chosen[n];
  }

 private:
  // Numbers of branches.
  struct Work {
    std::vector<int64_t> squares, others;
  };

  void multiply(const Work& work, const float* gy, float* scores) {
    std::vector<const CodeImage*> images;
    std::vector<const CodeFilters<Dot>*> filters;
    for (int64_t k : work.others) images.push_back(&codes_[k]), filters.push_back(&integer_.filters[k]);
    std::vector<double> sums(images.size());
    if (!images.empty()) conv_.products(images, filters, gy, sums);
    put(work.others, sums, scores);

    std::vector<SquareBranch<Dot>> squares;
    for (int64_t k : work.squares) squares.push_back(integer_.square_branch(branches_, k, codes_[k]));
    sums.resize(squares.size());
    if (!squares.empty()) squares_.products(squares, gy, sums);
    put(work.squares, sums, scores);
  }

  void put(const std::vector<int64_t>& numbers, const std::vector<double>& sums, float* scores) const {
    for (size_t i = 0; i < numbers.size(); ++i)
      scores[numbers[i]] = static_cast<float>(sums[i] * integer_.units[numbers[i]]);
  }

  const Geometry& g_;
  const Branches& branches_;
  const IntegerBranches<Dot>& integer_;
  CodeConv<Dot> conv_;
  CodeSquares<Dot> squares_;
  std::vector<CodeImage> codes_;
};

// Whether the scores could be computed by codes.
template <class Dot>
bool integer_scores(const Geometry& g, const Branches& branches, const float* w, const float* scale,
                    const ScoreInputs& from, float* scores) {
  if constexpr (Dot::kFast) {
    const IntegerBranches<Dot> integer(g, branches, w, scale);
    if (!integer.exact) return false;
    parallel_for(g.n, [&] {
      return [&, worker = IntegerScores<Dot>(g, branches, integer)](int64_t n) mutable {
        worker.run(from, n, scores + n * branches.count);
      };
    });
  }
  return Dot::kFast;
}

template <int LANES>
void selected_scores(const Geometry& g, const Branches& branches, const float* w, const float* scale,
                     const ScoreInputs& from, float* scores) {
  if (!integer_scores<ByteDot>(g, branches, w, scale, from, scores)) float_scores<LANES>(g, branches, w, from, scores);
}

}  // namespace lowbit
