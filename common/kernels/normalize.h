// BatchNorm by given statistics and what follows it, on what a convolution has written, see batch_norm_evaluate.h.
#pragma once

#include "aligned.h"
#include "batch_norm_evaluate.h"
#include "geometry.h"

namespace lowbit {

// On runs of planes, see finish.h.
template <After AFTER>
struct Normalize {
  const std::vector<EvaluatedChannel>& channels;
  int64_t plane_size;
  const float* shortcut;

  void write(const float* values, float* to, int64_t plane, int64_t pixel, int64_t count) const {
    const float* added = adds(AFTER) ? shortcut + plane * plane_size + pixel : nullptr;
    evaluate_channel<AFTER>(channels[plane % channels.size()], values, added, count, to);
  }
  void change(float* values, int64_t plane, int64_t pixel, int64_t count) const {
    write(values, values, plane, pixel, count);
  }
};

// A product that is rounded before it is added to.
template <int LANES>
#if !defined(__clang__) && __GNUC__ < 12
LOWBIT_NO_CONTRACTION
#endif
typename Vec<LANES>::Float rounded_product(typename Vec<LANES>::Float a, typename Vec<LANES>::Float b) {
#if defined(__clang__)
#pragma clang fp contract(off)
  return a * b;
#elif __GNUC__ >= 12
  return __builtin_assoc_barrier(a * b);
#else
  return a * b;
#endif
}

// On vectors of channels, with a ReLU up to a limit. Channels beyond the last give 0.
class NormalizeLanes {
 public:
  NormalizeLanes(const Statistics& statistics, int64_t count) : limit_(statistics.limit) {
    const auto channels = evaluated_channels(statistics, count);
    for (Floats* values : {&mean_, &scale_, &shift_}) values->resize(round_up(count, kLanes), 0.f);
    for (int64_t c = 0; c < count; ++c) {
      mean_[c] = channels[c].mean;
      scale_[c] = channels[c].scale;
      shift_[c] = channels[c].shift;
    }
  }

  // A vector of channels.
  template <int LANES>
  struct Vector {
    typename Vec<LANES>::Float mean, scale, shift, limit;

    typename Vec<LANES>::Float operator()(typename Vec<LANES>::Float x) const {
      return Vec<LANES>::clip(rounded_product<LANES>(x - mean, scale) + shift, typename Vec<LANES>::Float{}, limit);
    }
  };

  template <int LANES>
  Vector<LANES> vector(int64_t channel) const {
    using V = Vec<LANES>;
    return {V::load(mean_.data() + channel), V::load(scale_.data() + channel), V::load(shift_.data() + channel),
            V::broadcast(limit_)};
  }

 private:
  Floats mean_, scale_, shift_;
  float limit_;
};

}  // namespace lowbit
