// Winograd's form of the direct convolutions of a file; see fast_form.h.
#include "fast_form.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "limbs.h"
#include "validator.h"

namespace lowbit {
namespace engine {
namespace {

constexpr int kTaps = 9, kPositions = 16, kLargestCode = 63;
constexpr int kWhole = 5;  // position (1, 1), whose codes are never negative
constexpr int32_t kTwiceG[4][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}};
constexpr int32_t kOutput[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
constexpr double kTransform = 80, kLeastGain = 0.9;  // as in winograd.py
constexpr int64_t kCache = 1 << 19, kMostChunk = 1 << 20;
constexpr int32_t kMostWeight = 1 << 15;

int shift_of(int position) { return (position / 4 % 3 == 0) + (position % 4 % 3 == 0); }

template <class T>
Aligned<T> joined(const Aligned<T>& first, const std::vector<T>& second) {
  Aligned<T> both(first.size() + static_cast<int64_t>(second.size()));
  std::copy_n(first.data(), first.size(), both.data());
  std::copy(second.begin(), second.end(), both.data() + first.size());
  return both;
}

int64_t tiles_of(const Instruction& instruction) {
  return (int64_t{instruction.height} + 1) / 2 * ((int64_t{instruction.width} + 1) / 2);
}

}  // namespace

struct FastForm::Layer {
  const Instruction& instruction;
  const Buffer& source;
  int64_t channels, padded;      // in memory
  std::vector<int32_t> largest;  // codes of the channels
  int32_t most;                  // of these
  int64_t steps = 0;             // of the direct form
  std::vector<int32_t> words = {};  // made
  std::vector<int8_t> weights[kPositions] = {};  // [group][step][16 filters][4 taps]
  int64_t size = 0;                          // of all weights
};

FastForm::FastForm(RuntimeFile& file, int64_t budget)
    : file_(file), budget_(budget), work_(4 * file.weights.size()) {
  const int32_t count = file.program().header().instruction_count;
  for (int32_t i = 0; i < count; ++i) {
    if (!is_candidate(i)) continue;
    const Program program = file.program();
    const Instruction& direct = program.instruction(i);
    const Buffer& source = program.buffer(direct.source);
    Layer layer{direct, source, source.stride, padded_to_group(direct.filters), largest_codes(i), 0};
    for (int32_t code : layer.largest) layer.most = std::max(layer.most, code);
    if (layer.most <= kLargestCode && read_direct(layer) && pack(layer)) take(i, layer);
  }
  if (!scratch_) return;
  reinterpret_cast<Header*>(file.words.data())->scratch = static_cast<int32_t>(scratch_);
  file.words = joined(file.words, words_);
  file.weights = joined(file.weights, weights_);
}

Instruction& FastForm::instruction(int32_t i) {
  return reinterpret_cast<Instruction*>(file_.words.data() + file_.program().header().instructions)[i];
}

// Tiles of 4 x 4 codes read a row more than windows where heights are odd: the memory must have it.
bool FastForm::is_candidate(int32_t i) const {
  const Program program = file_.program();
  const Header& h = program.header();
  const Instruction& direct = program.instruction(i);
  if (direct.operation != INTEGER_CONV || direct.stride != 1 || direct.kernel_height != 3 || direct.kernel_width != 3)
    return false;
  const Buffer& b = program.buffer(direct.source);
  const int64_t rows = b.border - direct.padding + int64_t{direct.height} + 2, columns = int64_t{direct.width} + kTaps;
  const int64_t end = b.offset + rows * row_of(b) + (b.border - direct.padding + columns) * pixel_of(b);
  return end <= int64_t{h.arena} + h.image && kWinogradTiles * kPositions * pixel_of(b) <= kMostChunk;
}

// The last writer of the codes bounds them; none where they have two planes.
std::vector<int32_t> FastForm::largest_codes(int32_t i) const {
  const Program program = file_.program();
  const Instruction& direct = program.instruction(i);
  int32_t writer = i - 1;
  while (program.instruction(writer).codes != direct.source) --writer;
  const Instruction& of = program.instruction(writer);
  const int64_t channels = program.buffer(direct.source).stride, first = direct.candidate * channels;
  std::vector<int32_t> largest(channels, kLargestCode + 1);
  for (int64_t c = 0; c < channels && !of.planes; ++c) {
    const float times = of.multiplier == kNone ? 1.0f : program.constants[of.multiplier + first + c];
    largest[c] = static_cast<int32_t>(std::nearbyint(program.constants[of.top + first + c]) * times);
  }
  return largest;
}

// Weights (channel, tap, filter) of a direct form; false where a tap is outside of 3 x 3 pixels.
bool FastForm::read_direct(Layer& layer) {
  const Program program = file_.program();
  const int64_t pixel = pixel_of(layer.source), row = row_of(layer.source);
  const int32_t* block = program.words + layer.instruction.blocks;
  const int8_t* weights = program.weights + layer.instruction.weights;
  direct_.assign(layer.channels * kTaps * layer.padded, 0);
  for (int64_t first = 0; first < layer.padded; first += kGroup) {
    block = program.words + layer.instruction.blocks;
    for (int32_t b = 0; b < layer.instruction.block_count; ++b, block += 2 + 2 * int64_t{block[1]}) {
      for (int32_t run = 0; run < block[1]; ++run) {
        const int64_t start = block[2 + 2 * run], taps = kStepTaps * int64_t{block[3 + 2 * run]};
        if (first == 0) layer.steps += taps / kStepTaps;
        if ((work_ -= taps) < 0) return false;
        for (int64_t tap = 0; tap < taps; tap += kStepTaps, weights += kStepTaps * kGroup) {
          for (int t = 0; t < kStepTaps; ++t) {
            const int64_t place = start + tap + t, y = place / row, x = place % row / pixel, c = place % pixel;
            if (x > 2 || y > 2 || row % pixel) return false;
            int32_t* to = direct_.data() + ((c * kTaps) + 3 * y + x) * layer.padded + first;
            for (int f = 0; f < kGroup; ++f) {
              to[f] += block[0] * weights[kStepTaps * f + t];
              if (std::abs(to[f]) > kMostWeight) return false;
            }
          }
        }
      }
    }
  }
  return true;
}

// False where sums or bytes do not hold the transformed weights, or they save nothing.
bool FastForm::pack(Layer& layer) {
  std::vector<int64_t> sums(layer.padded), corrections(4 * layer.padded);
  for (int64_t i = 0; i < layer.channels * kTaps; ++i)
    for (int64_t f = 0; f < layer.padded; ++f)
      sums[f] += int64_t{4} * layer.largest[i / kTaps] * std::abs(direct_[i * layer.padded + f]);
  for (int64_t sum : sums)
    if (sum > INT32_MAX) return false;
  for (int position = 0; position < kPositions; ++position)
    if (!pack_position(layer, position, corrections)) return false;
  const int64_t groups = layer.padded / kGroup, step = kStepTaps * kGroup;
  const double cost = tiles_of(layer.instruction) * (double(layer.size) / step + kTransform * groups);
  std::vector<int32_t> head{2 * layer.most};
  for (int64_t correction : corrections) head.push_back(static_cast<int32_t>(-correction));
  layer.words.insert(layer.words.begin(), head.begin(), head.end());
  const double size = double(layer.steps * groups * step);
  if (!(cost < kLeastGain * layer.instruction.height * layer.instruction.width * size / step)) return false;
  return (budget_ -= layer.size + 4 * static_cast<int64_t>(layer.words.size())) >= 0;
}

bool FastForm::pack_position(Layer& layer, int position, std::vector<int64_t>& corrections) {
  const int64_t padded = layer.padded, steps = layer.channels / kStepTaps, step = kStepTaps * padded;
  const int32_t added = position == kWhole ? 0 : 2 * layer.most;
  const std::vector<bool> used = transform(layer, position);
  std::vector<int32_t> largest, offsets;
  int64_t kept = 0;
  for (int64_t s = 0; s < steps; ++s) {
    if (!used[s]) continue;
    std::copy_n(position_.begin() + s * step, step, position_.begin() + kept++ * step);
    offsets.push_back(static_cast<int32_t>(kStepTaps * s));
    for (int64_t c = kStepTaps * s; c < kStepTaps * (s + 1); ++c)
      largest.push_back(added ? added + 2 * layer.largest[c] : 4 * layer.largest[c]);
  }
  for (int64_t i = 0; i < kept * step; ++i) {
    const int64_t value = (int64_t{position_[i]} * added) * (1 << shift_of(position));
    for (int p = 0; p < 4; ++p)
      corrections[p * padded + i % padded] += kOutput[p / 2][position / 4] * kOutput[p % 2][position % 4] * value;
  }
  const std::vector<Limb> limbs = limbs_of({position_.data(), largest.data(), kept, padded});
  if (limbs.empty() || !sums_fit(limbs, padded)) return false;
  append_blocks(limbs, offsets, layer.words);
  layer.weights[position] = interleaved(limbs, padded);
  layer.size += static_cast<int64_t>(layer.weights[position].size());
  return true;
}

// The weights of a position into `position_`; which steps of 4 channels have any, or all where none has, as packing.py
// leaves steps without weights out.
std::vector<bool> FastForm::transform(const Layer& layer, int position) {
  const int64_t padded = layer.padded, steps = layer.channels / kStepTaps;
  std::vector<bool> used(steps, false);
  position_.assign(layer.channels * padded, 0);
  for (int64_t c = 0; c < layer.channels; ++c) {
    int32_t* to = position_.data() + c * padded;
    for (int tap = 0; tap < kTaps; ++tap) {
      const int32_t factor = kTwiceG[position / 4][tap / 3] * kTwiceG[position % 4][tap % 3];
      const int32_t* from = direct_.data() + (c * kTaps + tap) * padded;
      for (int64_t f = 0; factor && f < padded; ++f) to[f] += factor * from[f];
    }
    for (int64_t f = 0; f < padded; ++f) to[f] >>= shift_of(position);
    if (std::any_of(to, to + padded, [](int32_t value) { return value != 0; })) used[c / kStepTaps] = true;
  }
  if (std::find(used.begin(), used.end(), true) == used.end()) used.assign(steps, true);
  return used;
}

void FastForm::take(int32_t i, const Layer& layer) {
  const Header& header = file_.program().header();
  Instruction& of = instruction(i);
  of.operation = WINOGRAD_CONV, of.block_count = 0;
  of.blocks = static_cast<int32_t>(file_.words.size() + words_.size());
  of.weights = static_cast<int32_t>(file_.weights.size() + weights_.size());
  words_.insert(words_.end(), layer.words.begin(), layer.words.end());
  for (int64_t group = 0, groups = layer.padded / kGroup; group < groups; ++group) {
    for (const std::vector<int8_t>& part : layer.weights) {
      const int64_t size = static_cast<int64_t>(part.size()) / groups;
      weights_.insert(weights_.end(), part.begin() + group * size, part.begin() + (group + 1) * size);
    }
  }
  const int64_t tiles = tiles_of(of) * (i >= header.together ? kImagesTogether : 1);
  const int64_t chunk = kWinogradTiles * kPositions * layer.channels, chunks = (tiles + kWinogradTiles - 1) / kWinogradTiles;
  scratch_ = std::max(scratch_, chunk * std::max<int64_t>(1, std::min(chunks, kCache / chunk)));
}

}  // namespace engine
}  // namespace lowbit
