// The passes of an inverted residual block over an image, strip by strip, see inverted_residual.h.
#pragma once

#include "inverted_residual.h"

namespace lowbit {

// Rows [first, first + rows) of padded planes, phase-split as split_phases has them: [C][rows][phase][segment].
inline void split_rows(const Geometry& g, const float* image, int64_t first, int64_t rows, float* out) {
  for (int64_t c = 0; c < g.c; ++c)
    for (int64_t i = 0; i < rows; ++i, out += g.row_size()) {
      const int64_t y = first + i - g.pad;
      const float* from = image + (c * g.h + y) * g.w;
      if (y < 0 || y >= g.h) {
        std::fill_n(out, g.row_size(), 0.f);
      } else if (g.stride == 2) {
        split_pairs(from, g.w, out + g.column(g.pad), out + g.column(g.pad + 1));
      } else {
        for (int64_t x = 0; x < g.w; ++x) out[g.column(x + g.pad)] = from[x];
      }
    }
}

// How many rows are made at a time: as many as stay in the cache, and strips enough for all threads.
struct Strips {
  int64_t rows, hidden_rows, count;  // of outputs, between the convolutions; strips of an image

  explicit Strips(const InvertedResidual& block, int64_t images) {
    const Geometry& g = block.depthwise;
    const int64_t row = 4 * kLanes * block.blocks * (g.w + 2 * g.pad), out = 4 * kLanes * block.blocks * g.ow;
    const int64_t fit = (kStripBytes - g.kh * row) / (g.stride * row + out);
    const int64_t share = (g.oh * images + thread_count(g.oh) - 1) / thread_count(g.oh);
    rows = std::max<int64_t>(1, std::min({fit, share, g.oh}));
    count = (g.oh + rows - 1) / rows;
    rows = (g.oh + count - 1) / count;  // all as high
    count = (g.oh + rows - 1) / rows;
    hidden_rows = std::min(g.h, (rows - 1) * g.stride + g.kh);
  }
};

class StripWorker {
 public:
  StripWorker(const InvertedResidual& block, const Strips& strips)
      : b_(block), g_(block.depthwise), strips_(strips), hidden_(g_, b_.blocks, strips.hidden_rows),
        panel_row_(round_up(strips.hidden_rows * g_.w + kPixels, 16) | 16), panel_(panel_depth() * panel_row_, 0.f),
        filtered_block_((strips.rows * g_.ow + kPixels) * kLanes), filtered_(b_.blocks * filtered_block_, 0.f),
        sums_((strips.rows * g_.ow + kPixels) * 2 * kLanes), depthwise_row_(depthwise_row_of(g_)) {}

  // Strips [first, first + count) of image n.
  template <class Finish>
  void run(const float* x, int64_t n, int64_t first, int64_t count, float* y, Finish& finish) {
    const float* image = x + n * b_.first.c * b_.first.h * b_.first.w;
    int64_t done = 0;  // rows between the convolutions
    for (int64_t row = first * strips_.rows; row < std::min(g_.oh, (first + count) * strips_.rows); row += strips_.rows) {
      const int64_t rows = std::min(strips_.rows, g_.oh - row), top = row * g_.stride - g_.pad;
      done = std::max({done, top, int64_t(0)});
      const int64_t end = std::min(g_.h, top + (rows - 1) * g_.stride + g_.kh);
      if (done < end) convolve(image, done, end - done);
      done = std::max(done, end);
      filter(top, rows);
      project(n, row * g_.ow, rows * g_.ow, y, finish);
    }
  }

 private:
  int64_t panel_depth() const { return b_.first.c * b_.first.kh * b_.first.kw; }

  void fill_panel(const float* image, int64_t row, int64_t rows) {
    const Geometry& f = b_.first;
    float* to = panel_.data();
    if (f.kh == 1 && f.kw == 1 && f.stride == 1 && f.pad == 0) {
      for (int64_t c = 0; c < f.c; ++c, to += panel_row_)
        copy_row<kLanes>(image + (c * f.h + row) * f.w, rows * f.w, to);
      return;
    }
    const int64_t source_rows = (rows - 1) * f.stride + f.kh;
    rows_.resize(f.c * source_rows * f.row_size(), 0.f);
    split_rows(f, image, row * f.stride, source_rows, rows_.data());
    for (int64_t c = 0; c < f.c; ++c)
      for (int64_t u = 0; u < f.kh; ++u)
        for (int64_t v = 0; v < f.kw; ++v, to += panel_row_)
          for (int64_t i = 0; i < rows; ++i)
            copy_row<kLanes>(rows_.data() + (c * source_rows + i * f.stride) * f.row_size() + f.tap(u, v), f.ow,
                             to + i * f.ow);
  }

  // Rows [row, row + rows) of what is between the convolutions.
  void convolve(const float* image, int64_t row, int64_t rows) {
    fill_panel(image, row, rows);
    const auto panel = pixel_rows(panel_.data(), panel_depth(), panel_row_);
    const auto places = hidden_.places(row, rows);
    b_.first_weights.each([&](auto vectors, int64_t channel, const float* w) {
      using Vectors = decltype(vectors);
      using V = Vec<Vectors::kLanes>;
      NormalizeLanes::Vector<Vectors::kLanes> norms[Vectors::kGroups];
      float* to[Vectors::kGroups];
      for (int j = 0; j < Vectors::kGroups; ++j) {
        norms[j] = b_.first_norm.vector<Vectors::kLanes>(channel + j * Vectors::kLanes);
        to[j] = hidden_.block(channel / kLanes + j);
      }
      for_tiles(rows * g_.w, [&](auto tile, int64_t pixel) {
        float sums[tile * Vectors::kWidth];
        pixel_tile<Vectors, tile>(panel, pixel, w, sums);
        const int64_t count = std::min<int64_t>(tile, rows * g_.w - pixel);
        for (int64_t i = 0; i < count; ++i)
          for (int j = 0; j < Vectors::kGroups; ++j) {
            const auto sum = V::load(sums + i * Vectors::kWidth + j * Vectors::kLanes);
            V::store(to[j] + places[pixel + i], norms[j](sum));
          }
      });
    });
  }

  // The depthwise convolution of `rows` rows, whose windows begin at row `top`.
  void filter(int64_t top, int64_t rows) {
    std::vector<const float*> window(g_.kh);
    for (int64_t block = 0; block < b_.blocks; ++block) {
      const auto norm = b_.depthwise_norm.vector<kLanes>(block * kLanes);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t u = 0; u < g_.kh; ++u) window[u] = hidden_.row(block, top + i * g_.stride + u);
        depthwise_row_(g_, window.data(), b_.depthwise_weights.data() + block * b_.taps() * kLanes, norm,
                       filtered_.data() + block * filtered_block_ + i * g_.ow * kLanes);
      }
    }
  }

  template <class Finish>
  void project(int64_t n, int64_t pixel, int64_t count, float* y, Finish& finish) {
    const PixelMatrix<kLanes> filtered{filtered_.data(), b_.blocks, kLanes, 1, filtered_block_};
    b_.project_weights.each([&](auto vectors, int64_t f, const float* w) {
      pixel_product<decltype(vectors)>(filtered, count, w, sums_.data());
      write_planes<vectors.kWidth>(sums_.data(), n * b_.f + f, std::min(vectors.kWidth, b_.f - f), g_.oh * g_.ow, pixel,
                                   count, y, finish);
    });
  }

  const InvertedResidual& b_;
  const Geometry& g_;
  const Strips strips_;
  HiddenRows hidden_;
  int64_t panel_row_;
  Floats panel_, rows_;
  int64_t filtered_block_;
  Floats filtered_, sums_;
  decltype(depthwise_row_of(std::declval<const Geometry&>())) depthwise_row_;
};

template <class Finish>
void inverted_residual(const InvertedResidual& block, int64_t images, const float* x, float* y, Finish finish) {
  const Strips strips(block, images);
  const int64_t wanted = 4 * thread_count(images * strips.count);  // items of work, where one image would be too few
  const int64_t parts = std::min(strips.count, (wanted + images - 1) / images);
  const int64_t part = (strips.count + parts - 1) / parts;
  parallel_for(images * parts, [&] {
    return [&, worker = StripWorker(block, strips)](int64_t item) mutable {
      worker.run(x, item / parts, item % parts * part, part, y, finish);
    };
  });
}

}  // namespace lowbit
