// Convolutions of 1 x 1: a product of matrices, (F, C) times (C, pixels), without padding, at any stride.
//
// Some pixels of all channels are copied to a panel, which stays in the cache while all filters see it, block by block.
// It goes on from one image to the next, so that small images fill the blocks too:
//
//   image n    [C planes] . . . . . .|. .          panel [C][blocks of kVectors vectors]     y: filter f, four at a time
//   image n+1  [C planes] . .|. . . . . .     ->   . . . . . . . . . . . .               ->  . . . . . .
#pragma once

#include "aligned.h"
#include "conv_forward.h"
#include "copy_row.h"

namespace lowbit {

inline bool is_pointwise(const Geometry& g) { return g.kh == 1 && g.kw == 1 && g.pad == 0; }

constexpr int64_t kPanelBytes = 1 << 18;

template <int LANES>
class Pointwise {
 public:
  static constexpr int64_t kBlock = kVectors * LANES;

  // Pixels of a panel: whole blocks, and panels enough for all threads.
  static int64_t panel_pixels(const Geometry& g) {
    const int64_t share = round_up((g.n * g.oh * g.ow + 15) / 16, kBlock);
    return std::max(kBlock, std::min(share, kPanelBytes / (4 * g.c) / kBlock * kBlock));
  }

  explicit Pointwise(const Geometry& g)
      : g_(g), plane_(g.oh * g.ow), row_(panel_pixels(g)), panel_(g.c * row_, 0.f) {
    for (int64_t c = 0; c < g.c; ++c) channels_.push_back(c * row_);
  }

  // The outputs of pixels [first, first + count) of images with these numbers, count at most those of a panel.
  template <class Prepare, class Finish>
  void run(const float* x, const std::vector<float>& packed, const std::vector<int64_t>& numbers, int64_t first,
           int64_t count, float* y, const Prepare& prepare, Finish& finish) {
    for_images(numbers, first, count, [&](int64_t n, int64_t pixel, int64_t at, int64_t size) {
      for (int64_t c = 0; c < g_.c; ++c) {
        float* to = panel_.data() + c * row_ + at;
        read(x + (n * g_.c + c) * g_.h * g_.w, pixel, size, to);
        prepare(n, to, size);
      }
    });
    for (int64_t f0 = 0; f0 < g_.f; f0 += kFilters)
      for (int64_t block = 0; block < count; block += kBlock) {
        typename Vec<LANES>::Float sums[kFilters][kVectors];
        const float* from[kVectors];
        for (int j = 0; j < kVectors; ++j) from[j] = panel_.data() + block + j * LANES;
        forward_tile<LANES>(from, channels_, packed.data() + f0 * g_.c, sums);
        write(reinterpret_cast<const float(&)[kFilters][kBlock]>(sums), f0, numbers, first + block,
              std::min(kBlock, count - block), y, finish);
      }
  }

 private:
  // Calls visit(image, pixel, place in the block, count) for the parts of a block that lie in one image each.
  template <class Visit>
  void for_images(const std::vector<int64_t>& numbers, int64_t first, int64_t count, Visit visit) const {
    for (int64_t at = 0; at < count;) {
      const int64_t n = numbers[(first + at) / plane_], pixel = (first + at) % plane_;
      const int64_t size = std::min(count - at, plane_ - pixel);
      visit(n, pixel, at, size);
      at += size;
    }
  }

  void read(const float* plane, int64_t pixel, int64_t count, float* to) const {
    if (g_.stride == 1) {
      copy_row<LANES>(plane + pixel, count, to);
    } else {
      for (int64_t i = 0; i < count; ++i)
        to[i] = plane[(pixel + i) / g_.ow * g_.stride * g_.w + (pixel + i) % g_.ow * g_.stride];
    }
  }

  template <class Finish>
  void write(const float (&sums)[kFilters][kBlock], int64_t f0, const std::vector<int64_t>& numbers, int64_t first,
             int64_t count, float* y, Finish& finish) const {
    for_images(numbers, first, count, [&](int64_t n, int64_t pixel, int64_t at, int64_t size) {
      for (int64_t f = f0; f < std::min(f0 + kFilters, g_.f); ++f) {
        const int64_t plane = n * g_.f + f;
        finish.write(sums[f - f0] + at, y + plane * plane_ + pixel, plane, pixel, size);
      }
    });
  }

  const Geometry& g_;
  int64_t plane_, row_;
  Floats panel_;
  std::vector<int64_t> channels_;  // where each begins
};

template <int LANES, class Finish, class Prepare>
void pointwise_forward(const Geometry& g, const float* x, const Parts& parts, float* y, Finish finish,
                       Prepare prepare) {
  std::vector<std::vector<float>> packed;
  for (const Part& part : parts) packed.push_back(pack_filters(g, part.w));
  const auto items = part_items(parts, g.oh * g.ow, Pointwise<LANES>::panel_pixels(g));
  parallel_for(static_cast<int64_t>(items.size()), [&] {
    return [&, worker = Pointwise<LANES>(g)](int64_t i) mutable {
      const auto [part, first, count] = items[i];
      worker.run(x, packed[part], parts[part].images, first, count, y, prepare, finish);
    };
  });
}

}  // namespace lowbit
