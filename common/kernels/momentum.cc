// One step of SGD with momentum and weight decay on all parameters, in place, in one operator: MindSpore's own take three
// for each parameter, whose calls cost more than their arithmetic.
//
//   v <- momentum v + (decay w + g),   w <- w - rate v
//
// Multiplies, then adds, as MindSpore's operators do: the same bits.
#include "no_contraction.h"
#include "parallel.h"
#include "tensors.h"

namespace lowbit {
namespace {

struct Pace {
  float rate, momentum, decay;
};

LOWBIT_NO_CONTRACTION void descend(const Pace& pace, const float* g, int64_t count, float* w, float* v) {
  const auto [rate, momentum, decay] = pace;
#if !defined(__clang__)
#pragma GCC ivdep
#endif
  for (int64_t i = 0; i < count; ++i) {
#if defined(__clang__)
#pragma clang fp contract(off)
#endif
    v[i] = v[i] * momentum + (w[i] * decay + g[i]);
    w[i] -= v[i] * rate;
  }
}

int64_t size(int rank, const int64_t* shape) {
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) count *= shape[i];
  return count;
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs [rate], [momentum, decay], the parameters, their moments, their gradients; output [0]. Parameters and moments
// are changed where they are.
extern "C" int MomentumStep(int count, void** p, int* ranks, int64_t** shapes, const char**, void*, void*) {
  const int parameters = (count - 3) / 3;
  const Pace pace{*in(p, 0), in(p, 1)[0], in(p, 1)[1]};
  parallel_for(parameters, [&] {
    return [&](int64_t k) {
      const int weight = 2 + static_cast<int>(k), moment = weight + parameters, gradient = moment + parameters;
      descend(pace, in(p, gradient), size(ranks[weight], shapes[weight]), out(p, weight), out(p, moment));
    };
  });
  *out(p, count - 1) = 0;
  return 0;
}
