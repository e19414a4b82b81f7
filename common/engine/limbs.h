// Weights of 1 x 1 pixels as the tiles read them: limbs.py, bounds.py and packing.py, for programs that a file gives.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "program.h"

namespace lowbit {
namespace engine {

// Bytes times a multiplier, cut into blocks of steps whose lanes fit 16 bits.
struct Limb {
  int32_t multiplier = 1;
  std::vector<int8_t> weights;   // (steps, 4 taps, filters)
  std::vector<int32_t> lengths;  // of the blocks, in steps
  std::vector<int64_t> sizes;    // (filters,): the largest size of the lanes of all blocks, added up
  double cost() const { return static_cast<double>(total()) + 1.2 * static_cast<double>(lengths.size()); }
  int64_t total() const {
    int64_t steps = 0;
    for (int32_t length : lengths) steps += length;
    return steps;
  }
};

// Integers (steps, 4 taps, filters), and the largest code of each tap.
struct Integers {
  const int32_t* values;
  const int32_t* largest;
  int64_t steps, filters;
};

// False where bytes or lanes do not hold what `part` makes of the integers.
template <class Part>
bool make_limb(const Integers& of, int32_t multiplier, Part part, Limb& limb) {
  constexpr int kLanesOfTaps = 2;
  const int64_t lanes = kLanesOfTaps * of.filters;
  limb.multiplier = multiplier;
  limb.weights.resize(of.steps * kStepTaps * of.filters);
  limb.lengths.assign(1, 0);
  limb.sizes.assign(of.filters, 0);
  std::vector<int32_t> low(lanes), high(lanes), step_low(lanes), step_high(lanes);
  const auto fits = [](const std::vector<int32_t>& least, const std::vector<int32_t>& most) {
    int32_t a = 0, b = 0;
    for (int32_t value : least) a = std::min(a, value);
    for (int32_t value : most) b = std::max(b, value);
    return a >= INT16_MIN && b <= INT16_MAX;
  };
  for (int64_t s = 0; s < of.steps; ++s) {
    std::fill(step_low.begin(), step_low.end(), 0), std::fill(step_high.begin(), step_high.end(), 0);
    bool bytes = true;
    for (int64_t tap = 0; tap < kStepTaps; ++tap) {
      const int64_t row = s * kStepTaps + tap, lane = tap / (kStepTaps / kLanesOfTaps) * of.filters;
      for (int64_t f = 0; f < of.filters; ++f) {
        const int32_t value = part(of.values[row * of.filters + f]);
        bytes &= value >= INT8_MIN && value <= INT8_MAX;
        limb.weights[row * of.filters + f] = static_cast<int8_t>(value);
        const int32_t product = static_cast<int8_t>(value) * of.largest[row];
        step_low[lane + f] += std::min(product, 0), step_high[lane + f] += std::max(product, 0);
      }
    }
    if (!bytes || !fits(step_low, step_high)) return false;
    for (int64_t i = 0; i < lanes; ++i) {
      limb.sizes[i % of.filters] += std::max(-step_low[i], step_high[i]);
      low[i] += step_low[i], high[i] += step_high[i];
    }
    if (!fits(low, high)) {
      limb.lengths.push_back(0);
      low = step_low, high = step_high;
    }
    ++limb.lengths.back();
  }
  return true;
}

// The cheapest limbs, by multiplier; none where two bytes hold no weights.
inline std::vector<Limb> limbs_of(const Integers& of) {
  std::vector<Limb> best(1);
  double cost = INFINITY;
  if (make_limb(of, 1, [](int32_t value) { return value; }, best[0])) cost = best[0].cost();
  const double least = 2 * (static_cast<double>(of.steps) + 1.2);  // of two limbs
  for (const int32_t radix : {16, 32, 64, 128, 256}) {
    if (cost <= least) break;
    std::vector<Limb> pair(2);
    const auto upper = [=](int32_t value) { return static_cast<int32_t>(std::nearbyint(value / double(radix))); };
    if (!make_limb(of, radix, upper, pair[1])) continue;
    if (!make_limb(of, 1, [=](int32_t value) { return value - radix * upper(value); }, pair[0])) continue;
    if (const double of_pair = pair[1].cost() + pair[0].cost(); of_pair < cost) best = pair, cost = of_pair;
  }
  return std::isinf(cost) ? std::vector<Limb>() : best;
}

// Whether sums of 32 bits hold them.
inline bool sums_fit(const std::vector<Limb>& limbs, int64_t filters) {
  for (int64_t f = 0; f < filters; ++f) {
    int64_t sum = 0;
    for (const Limb& limb : limbs) sum += limb.multiplier * limb.sizes[f];
    if (sum > INT32_MAX) return false;
  }
  return true;
}

// (multiplier, number of runs, then offset and steps of each run) of each block, and their number before them.
inline void append_blocks(const std::vector<Limb>& limbs, const std::vector<int32_t>& offsets, std::vector<int32_t>& words) {
  const size_t count = words.size();
  words.push_back(0);
  for (const Limb& limb : limbs) {
    int64_t step = 0;
    for (int32_t length : limb.lengths) {
      ++words[count];
      words.push_back(limb.multiplier);
      const size_t runs = words.size();
      words.push_back(0);
      for (int32_t i = 0; i < length; ++i, ++step) {
        if (i && offsets[step] == offsets[step - 1] + kStepTaps) {
          ++words.back();
          continue;
        }
        ++words[runs];
        words.push_back(offsets[step]);
        words.push_back(1);
      }
    }
  }
}

// [group of 16 filters][step of all limbs][16 filters][4 taps]
inline std::vector<int8_t> interleaved(const std::vector<Limb>& limbs, int64_t padded) {
  std::vector<int8_t> made;
  int64_t steps = 0;
  for (const Limb& limb : limbs) steps += limb.total();
  made.reserve(steps * kStepTaps * padded);
  for (int64_t first = 0; first < padded; first += kGroup)
    for (const Limb& limb : limbs)
      for (int64_t step = 0; step < limb.total(); ++step)
        for (int64_t f = first; f < first + kGroup; ++f)
          for (int64_t tap = 0; tap < kStepTaps; ++tap)
            made.push_back(limb.weights[(step * kStepTaps + tap) * padded + f]);
  return made;
}

}  // namespace engine
}  // namespace lowbit
