// The K branches of a convolution whose images each take one: branch k quantizes its inputs to bits[k] bits between 0
// and clip and has filters w[k], on their levels already. mask (N, K) is 1 at the branch of an image and 0 elsewhere.
#pragma once

#include <algorithm>
#include <vector>

#include "images.h"
#include "simd.h"
#include "uniform.h"

namespace lowbit {

// q = Q(values); vectors are written out, for GCC 12 keeps such a loop scalar.
inline void quantize(const Channel& level, const float* values, int64_t count, float* q) {
  using V = Vec<kLanes>;
  const auto zero = V::broadcast(0.f), limit = V::broadcast(level.clip);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    V::store(q + i, V::round_even(V::clip(V::load(values + i), zero, limit) * level.up) * level.down);
  for (; i < count; ++i) q[i] = level.quantized(values[i]);
}

struct Branches {
  int64_t count;
  std::vector<Channel> levels;
  std::vector<int64_t> choice;  // of each image

  // Without a mask all images take the first branch.
  Branches(int64_t branches, const int32_t* bits, float clip, int64_t n, const float* mask) : count(branches) {
    for (int64_t k = 0; k < count; ++k) levels.emplace_back(bits[k], clip);
    for (int64_t i = 0; i < n; ++i) {
      const float* row = mask ? mask + i * count : nullptr;
      choice.push_back(mask ? std::max_element(row, row + count) - row : 0);
    }
  }

  const Channel& of_image(int64_t n) const { return levels[choice[n]]; }

  // The images of each branch that is taken; `w` of the first branch, the next one's `filters` values later.
  Parts parts(const float* w, int64_t filters) const {
    Parts parts;
    for (int64_t k = 0; k < count; ++k) {
      Part part{w + k * filters, {}};
      for (size_t n = 0; n < choice.size(); ++n)
        if (choice[n] == k) part.images.push_back(static_cast<int64_t>(n));
      if (!part.images.empty()) parts.push_back(part);
    }
    return parts;
  }
};

// The values of an image as its branch quantizes them, see images.h; times a factor of the branch, if there are any.
struct QuantizedAsRead {
  const Branches& branches;
  const float* factors = nullptr;

  void operator()(int64_t n, float* values, int64_t count) const {
    Channel level = branches.of_image(n);
    if (factors) level.down *= factors[branches.choice[n]];
    quantize(level, values, count, values);
  }
};

}  // namespace lowbit
