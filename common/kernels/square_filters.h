// Filters of convolutions in integers by minimal filtering in squares, see code_squares.h.
#pragma once

#include "code_conv.h"

namespace lowbit {

// Transformed filters [16][F / block][C / 4][block][4] of codes, and what begins their sums: transformed inputs have an
// offset that makes them unsigned.
template <class Dot>
class SquareFilters {
 public:
  // `top`: the largest code of an input.
  SquareFilters(const Geometry& g, int64_t top)
      : channels_(round_up(g.c, 4)), filters_(round_up(g.f, Dot::kLanes)), top_(top),
        codes_(16 * channels_ * filters_), starts_(16 * filters_) {}

  bool holds_inputs() const { return 6 * top_ <= Dot::kLargest; }

  // Takes in the block of filters from f on; whether the transformed ones are bytes.
  bool fill(const CodeFilters<Dot>& filters, int64_t f) {
    const int64_t width = std::min(CodeFilters<Dot>::kBlock, filters_ - f);
    const bool fit = transform(filters.block(f), width * channels_, codes_.data() + f * channels_);
    for (int position = 0; position < 16; ++position) start(position, f, width, static_cast<int8_t>(2 * top_));
    return fit;
  }

  const int8_t* codes(int position, int64_t f) const { return codes_.data() + (position * filters_ + f) * channels_; }
  const int32_t* starts(int position, int64_t f) const { return starts_.data() + position * filters_ + f; }

 private:
  typedef int8_t Bytes16 __attribute__((vector_size(16)));
  typedef int16_t Words16 __attribute__((vector_size(32)));

  // 2 G times three taps.
  static void doubled(const Words16& a, const Words16& b, const Words16& c, Words16 (&to)[4]) {
    to[0] = a + a;
    to[1] = a + b + c;
    to[2] = a - b + c;
    to[3] = c + c;
  }

  // Of a block of filters, `size` codes of each tap; whether the transformed ones are bytes.
  bool transform(const int8_t* w, int64_t size, int8_t* to) const {
    Words16 largest = {};
    for (int64_t i = 0; i < size; i += 16) {
      Words16 taps[9], half[3][4], codes[4];
      for (int tap = 0; tap < 9; ++tap) {
        Bytes16 bytes;
        std::memcpy(&bytes, w + tap * size + i, sizeof bytes);
        taps[tap] = __builtin_convertvector(bytes, Words16);
      }
      for (int j = 0; j < 3; ++j) doubled(taps[j], taps[3 + j], taps[6 + j], half[j]);
      for (int row = 0; row < 4; ++row) {
        doubled(half[0][row], half[1][row], half[2][row], codes);
        for (int j = 0; j < 4; ++j) {
          const Words16 size_of = codes[j] < 0 ? -codes[j] : codes[j];
          largest = size_of > largest ? size_of : largest;
          const Bytes16 bytes = __builtin_convertvector(codes[j], Bytes16);
          std::memcpy(to + (4 * row + j) * filters_ * channels_ + i, &bytes, sizeof bytes);
        }
      }
    }
    int16_t most = 0;
    for (int lane = 0; lane < 16; ++lane) most = std::max(most, largest[lane]);
    return most <= static_cast<int16_t>(kLargestCode);
  }

  // Takes the offset of all inputs off the sums of a block's filters.
  void start(int position, int64_t f, int64_t width, int8_t offset) {
    const int8_t* w = codes(position, f);
    for (int64_t vector = 0; vector < width; vector += Dot::kLanes) {
      typename Dot::Sums sum = {};
      const auto offsets = typename Dot::Sums{} + offset * 0x01010101;
      for (int64_t c = 0; c < channels_; c += 4) {
        typename Dot::Sums v;
        std::memcpy(&v, w + c * width + vector * 4, sizeof v);
        sum = Dot::accumulate(sum, offsets, v);
      }
      sum = -sum;
      std::memcpy(starts_.data() + position * filters_ + f + vector, &sum, sizeof sum);
    }
  }

  int64_t channels_, filters_, top_;
  Bytes codes_;
  std::vector<int32_t> starts_;
};

}  // namespace lowbit
