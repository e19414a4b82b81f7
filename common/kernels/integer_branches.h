// Branches whose weights are known to be whole multiples of a step, see selected_branches.h.
#pragma once

#include "code_squares.h"
#include "parallel.h"
#include "selected_branches.h"

namespace lowbit {

template <class Dot>
struct IntegerBranches {
  std::vector<CodeFilters<Dot>> filters;
  std::vector<SquareFilters<Dot>> squares;  // the same for 3 x 3 at stride 1
  std::vector<char> square_codes_fit;       // of each branch
  std::vector<float> units;                 // of products of codes
  bool exact = true;                        // whether all codes fit into bytes; the rest has no meaning otherwise

  // w (K, F, C, KH, KW) is a whole multiple of scale[k] / (2^bits[k] - 1) or, where scale[k] is 0, of nothing known.
  IntegerBranches(const Geometry& g, const Branches& branches, const float* w, const float* scale) {
    for (int64_t k = 0; k < branches.count; ++k) {
      exact = exact && scale[k] > 0 && branches.levels[k].steps() <= kLargestCode;
      units.push_back(scale[k] / branches.levels[k].steps() * branches.levels[k].down);
    }
    if (exact) fill(g, branches, w, scale);
  }

  bool by_squares(int64_t k) const { return !squares.empty() && square_codes_fit[k]; }
  SquareBranch<Dot> square_branch(const Branches& branches, int64_t k, const CodeImage& codes) const {
    return {&codes, static_cast<int64_t>(branches.levels[k].steps()), &squares[k]};
  }

 private:
  // All branches at once, a block of filters after the other.
  void fill(const Geometry& g, const Branches& branches, const float* w, const float* scale) {
    for (const Channel& level : branches.levels) {
      filters.emplace_back(g);
      if (winograd_fits(g)) squares.emplace_back(g, static_cast<int64_t>(level.steps()));
    }
    constexpr int64_t kBlock = CodeFilters<Dot>::kBlock;
    const int64_t blocks = (g.f + kBlock - 1) / kBlock;
    std::vector<char> fit(branches.count * blocks), squares_fit(fit.size());
    parallel_for(branches.count * blocks, [&] {
      return [&](int64_t item) {
        const int64_t k = item / blocks, f = item % blocks * kBlock;
        fit[item] = filters[k].fill(w + k * g.f * g.c * g.kh * g.kw, scale[k] / branches.levels[k].steps(), f);
        if (!squares.empty()) squares_fit[item] = squares[k].holds_inputs() && squares[k].fill(filters[k], f);
      };
    });
    exact = std::find(fit.begin(), fit.end(), 0) == fit.end();
    for (auto first = squares_fit.begin(); first != squares_fit.end(); first += blocks)
      square_codes_fit.push_back(std::find(first, first + blocks, 0) == first + blocks);
  }
};

// Whether the outputs could be computed by codes.
template <class Dot>
bool integer_forward(const Geometry& g, const Branches& branches, const float* w, const float* scale, const float* x,
                     float* y) {
  if constexpr (Dot::kFast) {
    const IntegerBranches<Dot> integer(g, branches, w, scale);
    if (!integer.exact) return false;
    parallel_for(g.n, [&] {
      return [&, conv = CodeConv<Dot>(g), squares = CodeSquares<Dot>(g, 1), codes = CodeImage(g)](int64_t n) mutable {
        const int64_t k = branches.choice[n];
        conv.set_image(x + n * g.c * g.h * g.w, {{&codes, branches.levels[k]}});
        float* to = y + n * g.f * g.oh * g.ow;
        if (integer.by_squares(k))
          squares.outputs(integer.square_branch(branches, k, codes), integer.units[k], to);
        else
          conv.outputs(codes, integer.filters[k], integer.units[k], to);
      };
    });
  }
  return Dot::kFast;
}

}  // namespace lowbit
