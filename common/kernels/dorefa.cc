// DoReFa's weight quantizer (Zhou et al., 2016, equations 9 and 10) in one pass each way:
//   t = tanh(w), m = max|t|, y = 2 round((2^k - 1) (t / 2m + 1/2)) / (2^k - 1) - 1, and y = w for 32 bits.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "parallel.h"

namespace lowbit {
namespace {

constexpr int64_t kBlock = 4096;  // values of one item of work
constexpr int32_t kFloatBits = 32;
constexpr float kSmallest = 1e-12f;  // in the place of m for weights that are all 0

int64_t size_of(int rank, const int64_t* sizes) {
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) count *= sizes[i];
  return count;
}

// Calls visit(block, first, last) for every block of values.
template <class Visit>
void for_blocks(int64_t count, Visit visit) {
  parallel_for((count + kBlock - 1) / kBlock, [&] {
    return [&](int64_t block) { visit(block, block * kBlock, std::min(count, (block + 1) * kBlock)); };
  });
}

float largest(int64_t count, const float* w) {
  float found = 0;
  for (int64_t i = 0; i < count; ++i) found = std::max(found, std::abs(w[i]));
  return found;
}

// tanh rises, so the largest |tanh w| is that of the largest |w|.
float largest_tanh(int64_t count, const float* w) { return std::max(std::tanh(largest(count, w)), kSmallest); }

void forward(int64_t count, const float* w, int32_t bits, float* y) {
  if (bits >= kFloatBits) {
    std::copy(w, w + count, y);
    return;
  }
  const float half = 0.5f / largest_tanh(count, w), steps = static_cast<float>((int64_t{1} << bits) - 1);
  for_blocks(count, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const float unit = std::tanh(w[i]) * half + 0.5f;
      y[i] = 2.f * (__builtin_rintf(steps * unit) / steps) - 1.f;
    }
  });
}

// Straight through the rounding: gw = gy (1 - t^2) / m, and the largest weight moves m too; equal ones share that.
void backward(int64_t count, const float* w, int32_t bits, const float* gy, float* gw) {
  if (bits >= kFloatBits) {
    std::copy(gy, gy + count, gw);
    return;
  }
  const float most = largest(count, w), m = largest_tanh(count, w);
  std::vector<double> sums((count + kBlock - 1) / kBlock);
  std::vector<int64_t> ties(sums.size());
  for_blocks(count, [&](int64_t block, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const float t = std::tanh(w[i]);
      gw[i] = gy[i] * (1 - t * t) / m;
      sums[block] += static_cast<double>(gy[i]) * t;
      ties[block] += std::abs(w[i]) == most;
    }
  });
  double sum = 0;
  int64_t tied = 0;
  for (size_t block = 0; block < sums.size(); ++block) sum += sums[block], tied += ties[block];
  const double slope = -sum / (static_cast<double>(m) * m) * (1 - static_cast<double>(m) * m) / tied;
  if (most == 0) return;
  for (int64_t i = 0; i < count; ++i)
    if (std::abs(w[i]) == most) gw[i] += static_cast<float>(w[i] > 0 ? slope : -slope);
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs w float32, bits (1) int32; output y of w's shape.
extern "C" int DoReFaQuantize(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  forward(size_of(ranks[0], shapes[0]), static_cast<const float*>(p[0]), *static_cast<const int32_t*>(p[1]),
          static_cast<float*>(p[2]));
  return 0;
}

// Inputs w, bits, gy; output gw.
extern "C" int DoReFaQuantizeGrad(int, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  backward(size_of(ranks[0], shapes[0]), static_cast<const float*>(p[0]), *static_cast<const int32_t*>(p[1]),
           static_cast<const float*>(p[2]), static_cast<float*>(p[3]));
  return 0;
}
