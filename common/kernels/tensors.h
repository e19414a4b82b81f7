// The tensors that MindSpore gives to an operator: pointers, inputs first.
#pragma once

#include <cstdint>

namespace lowbit {

inline const float* in(void** params, int i) { return static_cast<const float*>(params[i]); }
inline float* out(void** params, int i) { return static_cast<float*>(params[i]); }

}  // namespace lowbit
