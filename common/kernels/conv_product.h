// The convolution of deep learning and its gradients: each layer by the algorithm that suits it, see conv_float.h.
#pragma once

#include "conv_forward.h"
#include "conv_grad_input.h"
#include "conv_grad_weight.h"
#include "conv_pointwise.h"
#include "winograd_forward.h"
#include "winograd_grad_weight.h"

namespace lowbit {

// Kernels that see the whole image once, as those of a linear layer.
inline bool covers_image(const Geometry& g) { return g.pad == 0 && g.h == g.kh && g.w == g.kw; }

// The same layer as one of 1 x 1: an image is a pixel of C KH KW channels.
inline Geometry as_pixels(const Geometry& g) {
  const int64_t size = g.c * g.kh * g.kw, images[] = {g.n, size, 1, 1}, filters[] = {g.f, size, 1, 1};
  const int32_t stride_pad[] = {1, 0};
  return Geometry(images, filters, stride_pad, g.lanes);
}

// Images of each part take its filters; `prepare` changes their values as they are read (images.h).
template <int LANES, class Finish = AsTheyAre, class Prepare = AsRead>
void conv_forward(const Geometry& g, const float* x, const Parts& parts, float* y, Finish finish = {},
                  Prepare prepare = {}) {
  if (winograd_fits(g))
    return winograd_forward<FilterBy2, kLanes>(g, x, parts, Kernels::forward(g), y, finish, prepare);
  if (covers_image(g)) return pointwise_forward<kLanes>(as_pixels(g), x, parts, y, finish, prepare);
  if (is_pointwise(g)) return pointwise_forward<kLanes>(g, x, parts, y, finish, prepare);
  forward<LANES>(g, x, parts, y, finish, prepare);
}

// Training takes larger squares than evaluation, whose outputs are those of records and files.
template <class Finish, class Prepare>
void winograd_forward_train(const Geometry& g, const float* x, const Parts& parts, const Kernels& kernels, float* y,
                            Finish finish, Prepare prepare) {
  by_filter(g, [&](auto filter) {
    winograd_forward<decltype(filter), kLanes>(g, x, parts, kernels, y, finish, prepare);
  });
}

template <int LANES, class Prepare = AsRead>
void conv_forward_train(const Geometry& g, const float* x, const Parts& parts, float* y, Prepare prepare = {}) {
  if (winograd_fits(g)) return winograd_forward_train(g, x, parts, Kernels::forward(g), y, AsTheyAre(), prepare);
  conv_forward<LANES>(g, x, parts, y, AsTheyAre(), prepare);
}

// At stride 1 the gradient for the input is itself a convolution: of gy, with the kernel turned by 180 degrees and
// channels in the place of filters.
template <int LANES, class Finish>
void grad_input_stride_1(const Geometry& g, Parts parts, const float* gy, float* gx, Finish finish) {
  const int64_t taps = g.kh * g.kw, size = g.f * g.c * taps;
  std::vector<float> turned(static_cast<int64_t>(parts.size()) * size);
  float* to = turned.data();
  for (Part& part : parts) {
    for (int64_t f = 0; f < g.f; ++f)
      for (int64_t c = 0; c < g.c; ++c)
        for (int64_t t = 0; t < taps; ++t) to[(c * g.f + f) * taps + taps - 1 - t] = part.w[(f * g.c + c) * taps + t];
    part.w = to;
    to += size;
  }
  conv_forward<LANES>(g.transposed(), gy, parts, gx, finish);
}

// The gradient for the input of kernels that see the whole image: a convolution of 1 x 1 from F channels to C KH KW.
template <int LANES>
void grad_input_of_whole(const Geometry& g, Parts parts, const float* gy, float* gx) {
  const int64_t size = g.c * g.kh * g.kw, shape[] = {g.n, g.f, 1, 1}, filters[] = {size, g.f, 1, 1};
  const int32_t stride_pad[] = {1, 0};
  std::vector<float> turned(static_cast<int64_t>(parts.size()) * g.f * size);
  float* to = turned.data();
  for (Part& part : parts) {
    transpose(part.w, size, g.f, size, to, g.f);
    part.w = to;
    to += g.f * size;
  }
  conv_forward<LANES>(Geometry(shape, filters, stride_pad, g.lanes), gy, parts, gx);
}

template <int LANES, class Finish = AsTheyAre>
void conv_grad_input(const Geometry& g, const Parts& parts, const float* gy, float* gx, Finish finish = {}) {
  if constexpr (std::is_same_v<Finish, AsTheyAre>)  // others count on planes of an image
    if (covers_image(g)) return grad_input_of_whole<LANES>(g, parts, gy, gx);
  // The border of that convolution is kernel - 1 - pad wide; a square kernel has one such width, if it is not negative.
  if (g.stride == 1 && g.kh == g.kw && g.pad < g.kh) {
    const Geometry back = g.transposed();
    if (winograd_fits(back))
      return winograd_forward_train(back, gy, parts, Kernels::backward(back), gx, finish, AsRead());
    grad_input_stride_1<LANES>(g, parts, gy, gx, finish);
  } else {
    grad_input<LANES>(g, parts, gy, gx, finish);
  }
}

// Sums of a tile: filters and vectors of weights.
constexpr int64_t kWholeWidth = 2 * kLanes;

// The gradient for the weights of kernels that see the whole image: a product of matrices, (F, N) times (N, C KH KW).
inline void grad_weight_of_whole(const Geometry& g, const float* x, const float* gy, float* gw) {
  using V = Vec<kLanes>;
  const int64_t size = g.c * g.kh * g.kw, columns = (size + kWholeWidth - 1) / kWholeWidth;
  parallel_for((g.f + kMatrixRows - 1) / kMatrixRows * columns, [&] {
    return [&](int64_t item) {  // the last tiles overlap those before
      const int64_t f = std::min(item / columns * kMatrixRows, g.f - kMatrixRows);
      const int64_t at = std::min(item % columns * kWholeWidth, size - kWholeWidth);
      V::Float sums[kMatrixRows][2];
      matrix_tile<kLanes, kMatrixRows, 2>(gy + f, 1, g.f, x + at, size, g.n, sums);
      for (int i = 0; i < kMatrixRows; ++i)
        for (int j = 0; j < 2; ++j) V::store(gw + (f + i) * size + at + j * kLanes, sums[i][j]);
    };
  });
}

template <int LANES, class Prepare = AsRead>
void conv_grad_weight(const Geometry& g, const float* x, const float* gy, float* gw, const Prepare& prepare = {}) {
  if (winograd_fits(g))
    return by_filter(g, [&](auto filter) { winograd_grad_weight<decltype(filter), kLanes>(g, x, gy, gw, prepare); });
  if constexpr (std::is_same_v<Prepare, AsRead>)
    if (covers_image(g) && g.f >= kMatrixRows && g.c * g.kh * g.kw >= kWholeWidth && g.n <= kFlush)
      return grad_weight_of_whole(g, x, gy, gw);
  grad_weight<LANES>(g, x, gy, gw, prepare);
}

}  // namespace lowbit
