// Gradient of the convolution for its weights, see conv_float.h.
//
// Filters lie in the lanes of vectors: gy of an image is turned into [pixels][F], x stays in its planes, with a border.
// Each pixel adds to a tile of taps and filters the outer product of single inputs and vectors of gradients:
//
//     gy[pixel]    [ f f f f f f f f ][ f f f f f f f f ]        GROUPS vectors of filters
//     x, channel c, columns kx, kx+1, kx+2  ->  3 rows of sums   } CHANNELS channels of one row ky
//     x, channel c+1                        ->  3 rows of sums   }
//
// All sums of a tile stay in registers over some hundred pixels, so that each of them costs one vector multiplication
// and no sum of lanes. Tiles of one column serve kernels that are narrower than three.
#pragma once

#include "conv_float.h"
#include "transpose.h"

namespace lowbit {

constexpr int64_t kFlush = 512;  // pixels that a float sum takes in before it is added to the one of its block
constexpr int64_t kBlockBytes = 1 << 23;  // of all blocks' sums together
constexpr int64_t kChannelGroup = 64;     // channels that one item of work takes

// What one item reads: padded planes of some channels of x, and gy with the filters innermost, for some images.
struct GradientInputs {
  const float* x;
  const float* gy;
  int64_t images, plane, row, x_size, filters, gy_size;
};

// sums[t][f] += x[pixel + t] gy[pixel][f] over the pixels of all images; taps t: CHANNELS channels of COLUMNS columns.
template <int LANES, int CHANNELS, int COLUMNS, int GROUPS>
void outer_products(const Geometry& g, const GradientInputs& in, const float* x, const float* gy,
                    typename Vec<LANES>::Float (&sums)[CHANNELS * COLUMNS][GROUPS]) {
  using V = Vec<LANES>;
  typename V::Float acc[CHANNELS * COLUMNS][GROUPS] = {};
  for (int64_t n = 0; n < in.images; ++n)
    for (int64_t y = 0; y < g.oh; ++y) {
      const float* from[(CHANNELS + 2) / 3];  // of every third channel: addresses have a base and twice an index
      for (int c = 0; c < CHANNELS; c += 3) from[c / 3] = x + n * in.x_size + y * g.stride * in.row + c * in.plane;
      const float* gradient = gy + n * in.gy_size + y * g.ow * in.filters;
      for (int64_t ox = 0; ox < g.ow; ++ox, gradient += in.filters) {
        typename V::Float v[GROUPS];
        for (int j = 0; j < GROUPS; ++j) v[j] = V::load(gradient + j * LANES);
        for (int c = 0; c < CHANNELS; ++c)
          for (int k = 0; k < COLUMNS; ++k) {
            const auto value = V::broadcast(from[c / 3][c % 3 * in.plane + k]);
            for (int j = 0; j < GROUPS; ++j) acc[c * COLUMNS + k][j] += value * v[j];
          }
        for (int c = 0; c < CHANNELS; c += 3) from[c / 3] += g.stride;
      }
    }
  std::memcpy(sums, acc, sizeof acc);
}

// Adds the products of some images to the sums of some channels, gw [C KH KW][F rounded up].
template <int LANES, int CHANNELS, int COLUMNS, int GROUPS>
void add_products(const Geometry& g, const GradientInputs& in, int64_t channels, int64_t f0, float* gw) {
  using V = Vec<LANES>;
  // The last tile of channels reads room beyond them, of which nothing is kept; that of columns overlaps the one before,
  // and what that has added is not added again.
  for (int64_t c0 = 0; c0 < channels; c0 += CHANNELS)
    for (int64_t ky = 0; ky < g.kh; ++ky)
      for (int64_t k0 = 0; k0 < g.kw; k0 += COLUMNS) {
        const int64_t first = std::min(k0, g.kw - COLUMNS);
        typename V::Float sums[CHANNELS * COLUMNS][GROUPS];
        outer_products<LANES, CHANNELS, COLUMNS, GROUPS>(g, in, in.x + c0 * in.plane + ky * in.row + first, in.gy + f0,
                                                         sums);
        for (int64_t c = 0; c < std::min<int64_t>(CHANNELS, channels - c0); ++c)
          for (int64_t k = k0 - first; k < COLUMNS; ++k) {
            float* to = gw + (((c0 + c) * g.kh + ky) * g.kw + first + k) * in.filters + f0;
            for (int j = 0; j < GROUPS; ++j)
              V::store(to + j * LANES, V::load(to + j * LANES) + sums[c * COLUMNS + k][j]);
          }
      }
}

// Calls the tiles for all filters: two vectors of them at a time; a last one alone with twice the taps, if there are so
// many channels.
template <int LANES, int TAPS, int COLUMNS>
void add_all_filters(const Geometry& g, const GradientInputs& in, int64_t channels, float* gw) {
  constexpr int kChannels = TAPS / COLUMNS;
  int64_t f0 = 0;
  for (; f0 + 2 * LANES <= in.filters; f0 += 2 * LANES)
    add_products<LANES, kChannels, COLUMNS, 2>(g, in, channels, f0, gw);
  if (f0 == in.filters) return;
  if (channels > kChannels)
    add_products<LANES, 2 * kChannels, COLUMNS, 1>(g, in, channels, f0, gw);
  else
    add_products<LANES, kChannels, COLUMNS, 1>(g, in, channels, f0, gw);
}

// The sums of one item: some images and some channels.
template <int LANES>
class WeightGradient {
 public:
  static constexpr int kTaps = kManyRegisters ? 12 : 6;  // with two vectors each: 24 sums of 32 registers, 12 of 16

  explicit WeightGradient(const Geometry& g)
      : g_(g), row_(g.w + 2 * g.pad), plane_(row_ * g.rows), filters_(round_up(g.f, LANES)),
        chunk_(std::max<int64_t>(1, kFlush / (g.oh * g.ow))), group_(std::min(g.c, kChannelGroup)),
        x_size_(round_up(group_, 2 * kTaps) * plane_), x_(chunk_ * x_size_ + kTaps, 0.f),
        gy_(chunk_ * g.oh * g.ow * filters_, 0.f) {}

  // Adds sum x gy of channels from c0 on, over images [first, end), to gw [C KH KW][filters].
  template <class Prepare>
  void add(const float* x, const float* gy, int64_t first, int64_t end, int64_t c0, float* gw, const Prepare& prepare) {
    const int64_t channels = std::min(group_, g_.c - c0), x_image = g_.c * g_.h * g_.w, gy_image = g_.f * g_.oh * g_.ow;
    for (int64_t n = first; n < end; n += chunk_) {
      const int64_t images = std::min(chunk_, end - n);
      for (int64_t i = 0; i < images; ++i) {
        pad(x + (n + i) * x_image + c0 * g_.h * g_.w, channels, x_.data() + i * x_size_);
        prepare(n + i, x_.data() + i * x_size_, channels * plane_);
        transpose(gy + (n + i) * gy_image, g_.oh * g_.ow, g_.f, g_.oh * g_.ow,
                  gy_.data() + i * g_.oh * g_.ow * filters_, filters_);
      }
      multiply(images, channels, gw + c0 * g_.kh * g_.kw * filters_);
    }
  }

 private:
  // The products of the images at hand, some rows of pixels after the other.
  void multiply(int64_t images, int64_t channels, float* gw) const {
    const int64_t rows = std::max<int64_t>(1, kFlush / g_.ow);
    for (int64_t y = 0; y < g_.oh; y += rows) {
      Geometry part = g_;
      part.oh = std::min(rows, g_.oh - y);
      const GradientInputs in{x_.data() + y * g_.stride * row_, gy_.data() + y * g_.ow * filters_, images, plane_, row_,
                              x_size_, filters_, g_.oh * g_.ow * filters_};
      if (g_.c <= 3 && g_.kw > 3)  // images: tiles of few channels and more columns
        add_all_filters<LANES, kTaps, kTaps / 3>(part, in, channels, gw);
      else if (g_.kw >= 3)
        add_all_filters<LANES, kTaps, 3>(part, in, channels, gw);
      else
        add_all_filters<LANES, kTaps, 1>(part, in, channels, gw);
    }
  }

  void pad(const float* from, int64_t channels, float* to) const {
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t y = 0; y < g_.h; ++y)
        std::copy_n(from + (c * g_.h + y) * g_.w, g_.w, to + c * plane_ + (y + g_.pad) * row_ + g_.pad);
  }

  const Geometry& g_;
  int64_t row_, plane_, filters_, chunk_, group_, x_size_;
  std::vector<float> x_, gy_;
};

template <int LANES, class Prepare>
void grad_weight(const Geometry& g, const float* x, const float* gy, float* gw, const Prepare& prepare) {
  // A fixed number of blocks of images with sums of their own, added in order: the result does not depend on threads.
  const int64_t taps = g.c * g.kh * g.kw, filters = round_up(g.f, LANES), size = taps * filters;
  const int64_t most = std::max<int64_t>(1, kBlockBytes / (4 * size));
  const int64_t blocks = std::min({g.n, most, int64_t(16)}), per_block = (g.n + blocks - 1) / blocks;
  const int64_t groups = (g.c + kChannelGroup - 1) / kChannelGroup;
  std::vector<float> partial(blocks * size, 0.f);
  parallel_for(blocks * groups, [&] {
    return [&, gradient = WeightGradient<LANES>(g)](int64_t item) mutable {
      const int64_t block = item / groups, first = block * per_block;
      gradient.add(x, gy, first, std::min(g.n, first + per_block), item % groups * kChannelGroup,
                   partial.data() + block * size, prepare);
    };
  });
  for (int64_t f = 0; f < g.f; ++f)
    for (int64_t t = 0; t < taps; ++t) {
      double sum = 0;
      for (int64_t b = 0; b < blocks; ++b) sum += partial[b * size + t * filters + f];
      gw[f * taps + t] = static_cast<float>(sum);
    }
}

}  // namespace lowbit
