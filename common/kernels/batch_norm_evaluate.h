// BatchNorm by given statistics and what follows it, on values of one channel, see batch_norm.h.
//
// Multiplies, then adds, as MindSpore's own operator does: the same bits, and so the same accuracies of packed networks.
#pragma once

#include <cstdint>

#include "batch_norm.h"
#include "no_contraction.h"

namespace lowbit {

// What BatchNorm in evaluation reads, (C) each; a ReLU of kRelu ends at the limit.
struct Statistics {
  const float *gamma, *beta, *mean, *variance;
  float eps, limit;
};

constexpr bool adds(After after) { return after == After::kAdd || after == After::kAddRelu; }

struct EvaluatedChannel {
  float mean, scale, shift, limit;
};

inline std::vector<EvaluatedChannel> evaluated_channels(const Statistics& s, int64_t count) {
  std::vector<EvaluatedChannel> channels;
  for (int64_t c = 0; c < count; ++c)
    channels.push_back({s.mean[c], s.gamma[c] / std::sqrt(s.variance[c] + s.eps), s.beta[c], s.limit});
  return channels;
}

// x may be y: every value is read before it is written.
template <After AFTER>
LOWBIT_NO_CONTRACTION void evaluate_channel(const EvaluatedChannel& channel, const float* x, const float* shortcut,
                                            int64_t count, float* y) {
  const auto [mean, scale, shift, limit] = channel;
#if !defined(__clang__)
#pragma GCC ivdep
#endif
  for (int64_t i = 0; i < count; ++i) {
#if defined(__clang__)
#pragma clang fp contract(off)
#endif
    float value = (x[i] - mean) * scale + shift;
    if (adds(AFTER)) value += shortcut[i];
    if (AFTER == After::kRelu || AFTER == After::kAddRelu) value = value > 0 ? value : 0;
    if (AFTER == After::kRelu) value = value < limit ? value : limit;
    y[i] = value;
  }
}

}  // namespace lowbit
