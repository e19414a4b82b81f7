// Multi-bit weights of a layer in one operator each way: scales follow the weights, values go to their levels, and
// pruned weights stay 0 (see DAMBQ/quant.py). For each row f with k bits:
//
//   s' = momentum s + (1 - momentum) clips[k] mean |w|, over the weights that are not 0
//   y = nearest of table[k] s' to w;   in layers with pruned weights 0 for these and max(y, lowest[k] s') for others,
//   where k is not 1
#include <cmath>

#include "codebook.h"
#include "parallel.h"
#include "pruned_rows.h"
#include "tensors.h"

namespace lowbit {
namespace {

struct Codebook {
  const float* table;
  int64_t width;  // of its rows
  const int32_t* bits;
  std::vector<int32_t> keeps;  // of each row, whether its pruned weights stay 0

  Codebook(const void* levels, const int64_t* shape, const void* row_bits, int64_t rows)
      : table(static_cast<const float*>(levels)), width(shape[1]), bits(static_cast<const int32_t*>(row_bits)) {
    for (int64_t row = 0; row < rows; ++row) keeps.push_back(bits[row] != 1);
  }

  float quantized(float w, int64_t row, float scale) const {
    return bits[row] > 0 ? nearest(w, scale, table + bits[row] * width, int64_t{1} << bits[row]) : 0.f;
  }
};

float followed(const float* w, int64_t size, float scale, float clip, float momentum) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < size; ++i) {
    sum += std::abs(w[i]);
    count += w[i] != 0;
  }
  return momentum * scale + (1 - momentum) * (clip * static_cast<float>(sum / (count > 0 ? count : 1)));
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs w (F, ...), int32 bits (F), scale (F), table (K, 2^max bits), lowest (K), clips (K), [momentum]; outputs y and
// the new scale (F). A momentum of 1 keeps the scale.
extern "C" int MultiBitQuantize(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const Codebook codes(p[3], shapes[3], p[1], shapes[0][0]);
  const Rows rows(ranks[0], shapes[0], p[0], codes.keeps.data(), codes.keeps.size(), false);
  const bool pruned = rows.any_pruned();
  const float momentum = *in(p, 6);
  parallel_for(rows.count, [&] {
    return [&](int64_t row) {
      const float *w = rows.w + row * rows.size, old = in(p, 2)[row];
      float* y = out(p, 7) + row * rows.size;
      const float scale = momentum < 1 ? followed(w, rows.size, old, in(p, 5)[codes.bits[row]], momentum) : old;
      const float lowest = in(p, 4)[codes.bits[row]] * scale;
      out(p, 8)[row] = scale;
      for (int64_t i = 0; i < rows.size; ++i) y[i] = codes.quantized(w[i], row, scale);
      if (!pruned || !rows.keeps_zeros(row)) return;
      for (int64_t i = 0; i < rows.size; ++i) y[i] = rows.kept(row, i) ? std::max(y[i], lowest) : 0.f;
    };
  });
  return 0;
}

// Inputs w, bits, the new scale, table, gy; outputs gw, which is gy where |w| <= scale, else 0, and gerror (F), the sum
// of (w - its level) gy of each row; pruned weights have no part in either.
extern "C" int MultiBitQuantizeGrad(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const Codebook codes(p[3], shapes[3], p[1], shapes[0][0]);
  const Rows rows(ranks[0], shapes[0], p[0], codes.keeps.data(), codes.keeps.size(), false);
  parallel_for(rows.count, [&] {
    return [&](int64_t row) {
      const float *w = rows.w + row * rows.size, *gy = in(p, 4) + row * rows.size, scale = in(p, 2)[row];
      float* gw = out(p, 5) + row * rows.size;
      double error = 0;
      for (int64_t i = 0; i < rows.size; ++i) {
        const float gradient = !rows.keeps_zeros(row) || rows.kept(row, i) ? gy[i] : 0.f;
        gw[i] = std::abs(w[i]) <= scale ? gradient : 0.f;
        error += static_cast<double>(w[i] - codes.quantized(w[i], row, scale)) * gradient;
      }
      out(p, 6)[row] = static_cast<float>(error);
    };
  });
  return 0;
}
