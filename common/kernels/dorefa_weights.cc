// DoReFa's weights of a layer at K widths at once, times a constant scale each; pruned weights stay 0 (keep_zeros.cc).
//
//   y[k] = scale[k] Q(w; bits[k])     Q of dorefa.h, its lowest level 0 where weights are pruned
//
// tanh is most of the work. It is computed once for all widths, and the gradient gets it from the forward pass.
#include <limits>

#include "dorefa.h"
#include "pruned_rows.h"
#include "tensors.h"

using namespace lowbit;

namespace {

constexpr int32_t kKeeps[] = {1};  // all rows keep their zeros
constexpr float kNone = std::numeric_limits<float>::lowest();

Rows rows_of(int rank, const int64_t* sizes, const void* w) { return Rows(rank, sizes, w, kKeeps, 1, true); }

// The lowest level that stays beside pruned weights.
float lowest_kept(int32_t bits) { return 2.f * (1.f / dorefa_steps(std::min(bits, kFloatBits - 1))) - 1.f; }

}  // namespace

// Inputs w (F, ...), int32 bits (K), scale (K); outputs y (K, F, ...) and tanh w (F, ...).
extern "C" int DoReFaWeights(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const Rows rows = rows_of(ranks[0], shapes[0], p[0]);
  const int64_t count = rows.count * rows.size, widths = shapes[1][0];
  const bool pruned = rows.any_pruned();
  const float *w = in(p, 0), *scale = in(p, 2), half = 0.5f / largest_tanh(largest_magnitude(count, w));
  const auto* bits = static_cast<const int32_t*>(p[1]);
  float *y = out(p, 3), *t = out(p, 4);
  for_blocks(count, [&](int64_t, int64_t first, int64_t last) {
    using V = Vec<kLanes>;
    tanh_of(w + first, last - first, t + first);
    for (int64_t k = 0; k < widths; ++k) {
      const float steps = dorefa_steps(bits[k]), lowest = pruned ? lowest_kept(bits[k]) : kNone;
      float* to = y + k * count;
      for (int64_t i = first; i < last; i += kLanes) {
        const int64_t lanes = std::min<int64_t>(kLanes, last - i);
        const auto level =
            bits[k] < kFloatBits ? dorefa_levels(V::load(t + i, lanes), half, steps) : V::load(w + i, lanes);
        V::store(to + i, scale[k] * (level > lowest ? level : V::broadcast(lowest)), lanes);
      }
      for (int64_t i = first; pruned && i < last; ++i)
        if (!rows.kept(i / rows.size, i % rows.size)) to[i] = 0.f;
    }
  });
  return 0;
}

// Inputs w, tanh w, int32 bits, scale, gy (K, F, ...); output gw: pruned weights and scales get no gradient.
extern "C" int DoReFaWeightsGrad(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const Rows rows = rows_of(ranks[0], shapes[0], p[0]);
  const int64_t count = rows.count * rows.size, widths = shapes[2][0];
  const bool pruned = rows.any_pruned();
  const auto* bits = static_cast<const int32_t*>(p[2]);
  const float *scale = in(p, 3), *gy = in(p, 4);
  const auto gradient_at = [&](int64_t i, int64_t lanes) {
    LevelGradient sum;
    for (int64_t k = 0; k < widths; ++k)
      (bits[k] < kFloatBits ? sum.level : sum.weight) += scale[k] * Vec<kLanes>::load(gy + k * count + i, lanes);
    for (int64_t lane = 0; pruned && lane < lanes; ++lane)
      if (!rows.kept((i + lane) / rows.size, (i + lane) % rows.size)) sum.level[lane] = sum.weight[lane] = 0;
    return sum;
  };
  dorefa_gradient(count, in(p, 0), in(p, 1), gradient_at, out(p, 5));
  return 0;
}
