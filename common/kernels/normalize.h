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
  void expect(int64_t /* plane */, int64_t /* pixel */, int64_t /* count */) const {}
};

// Where a vector stands that the compiler must not look into: in a register, if it fits into one.
#if defined(__AVX512F__)
#define LOWBIT_REGISTER "+v"
constexpr std::size_t kRegisterBytes = 64;
#elif defined(__SSE2__)
#define LOWBIT_REGISTER "+x"
constexpr std::size_t kRegisterBytes = 
#if defined(__AVX__)
    32;
#else
    16;
#endif
#elif defined(__aarch64__)
#define LOWBIT_REGISTER "+w"
constexpr std::size_t kRegisterBytes = 16;
#else
#define LOWBIT_REGISTER "+m"
constexpr std::size_t kRegisterBytes = 0;
#endif

// A product as it is: the compiler does not fuse it with an addition that follows.
template <int LANES>
inline typename Vec<LANES>::Float rounded(typename Vec<LANES>::Float product) {
  if constexpr (sizeof product <= kRegisterBytes) {
    asm("" : LOWBIT_REGISTER(product));
  } else {
    asm("" : "+m"(product));
  }
  return product;
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
    typename Vec<LANES>::Float mean, scale, shift, low, limit;  // low: 0, unknown to the compiler

    typename Vec<LANES>::Float operator()(typename Vec<LANES>::Float x) const {
      return Vec<LANES>::clip(rounded<LANES>((x - mean) * scale) + shift, low, limit);
    }
  };

  template <int LANES>
  Vector<LANES> vector(int64_t channel) const {
    using V = Vec<LANES>;
    return {V::load(mean_.data() + channel), V::load(scale_.data() + channel), V::load(shift_.data() + channel),
            V::broadcast(low_), V::broadcast(limit_)};
  }

 private:
  Floats mean_, scale_, shift_;
  float low_ = 0, limit_;
};

}  // namespace lowbit
