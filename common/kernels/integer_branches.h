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
  std::vector<float> units;                 // of products of codes
  bool exact = true;         // whether all codes fit into bytes; the rest has no meaning otherwise

  // w (K, F, C, KH, KW) is a whole multiple of scale[k] / (2^bits[k] - 1) or, where scale[k] is 0, of nothing known.
  IntegerBranches(const Geometry& g, const Branches& branches, const float* w, const float* scale) {
    for (int64_t k = 0; k < branches.count && exact; ++k) {
      const Channel& level = branches.levels[k];
      const float step = scale[k] / level.steps();
      filters.emplace_back(g, w + k * g.f * g.c * g.kh * g.kw, step);
      units.push_back(step * level.down);
      exact = level.steps() <= kLargestCode && filters.back().exact();
      if (exact && winograd_fits(g)) squares.emplace_back(g, filters.back(), static_cast<int64_t>(level.steps()));
    }
  }

  bool by_squares(int64_t k) const { return !squares.empty() && squares[k].exact(); }
  SquareBranch<Dot> square_branch(const Branches& branches, int64_t k, const CodeImage& codes) const {
    return {&codes, static_cast<int64_t>(branches.levels[k].steps()), &squares[k]};
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
