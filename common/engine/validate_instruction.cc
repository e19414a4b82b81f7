// What an instruction reads: its window, weights, blocks and choices; see validator.h.
#include <cmath>

#include "validator.h"

namespace lowbit {
namespace engine {

void Validator::check_instruction(int32_t i) {
  const Instruction& instruction = program_.instruction(i);
  require(within(instruction.filters, 1, kMostChannels) && within(instruction.height, 1, kMostSide) &&
              within(instruction.width, 1, kMostSide) && within(instruction.stride, 1, kMostSide),
          "an instruction has no shape");
  require((instruction.operation == IMAGE) == (i == 0), "its program does not begin with its images");
  if (instruction.operation == IMAGE) {
    check_image(instruction);
    return write(instruction.store, {true});
  }
  require(is_buffer(instruction.source) && states_[instruction.source].written,
          "a tensor is read before it is written");
  check_decision(i);
  check_group(i);
  check_operation(instruction);
  // Candidates after the first write what the first has written.
  if (instruction.candidate == 0) check_tail(instruction);
  check_pooled(program_.instruction(i - 1), instruction);
}

// An instruction for some images stands among those for all the others, which differ in their weights alone.
void Validator::check_decision(int32_t i) const {
  const Instruction& instruction = program_.instruction(i);
  if (instruction.decision == kNone) return require(instruction.candidate == 0, "an instruction is for no image");
  require(has_chosen(instruction.decision) && within(instruction.candidate, 0, candidates_ - 1),
          "an instruction depends on a choice that is not made");
  const int64_t first = int64_t{i} - instruction.candidate;
  require(first > 0 && first + candidates_ <= header().instruction_count, "a candidate is not there");
  Instruction same = program_.instruction(static_cast<int32_t>(first));
  require(same.decision == instruction.decision && same.candidate == 0, "a candidate is not there");
  const bool last = instruction.candidate == candidates_ - 1;
  require(last || (program_.instruction(i + 1).decision == instruction.decision &&
                   program_.instruction(i + 1).candidate == instruction.candidate + 1),
          "a candidate is not there");
  same.weights = instruction.weights, same.blocks = instruction.blocks, same.block_count = instruction.block_count;
  same.scale = instruction.scale, same.candidate = instruction.candidate;
  require(!std::memcmp(&same, &instruction, sizeof same), "candidates do not compute the same tensors");
  check_constants(instruction.scale, 2, padded_to_group(instruction.filters));
}

void Validator::check_operation(const Instruction& instruction) {
  switch (instruction.operation) {
    case INTEGER_CONV:
    case DIFFERENCE_CONV: return check_integer_conv(instruction);
    case FLOAT_CONV: return check_float_conv(instruction);
    case DEPTHWISE_CONV: return check_depthwise_conv(instruction);
    case TAKE: return check_take(instruction);
    case AVERAGE:
    case MAXIMUM: return check_pool(instruction);
    case CHOOSE: return check_choose(instruction);
  }
  throw Refusal("it has an instruction that this version does not know; take a newer lowbitzoo");
}

void Validator::check_image(const Instruction& instruction) const {
  const Header& h = header();
  require(is_buffer(instruction.store), "an instruction names a tensor that is not there");
  const Buffer& b = buffer(instruction.store);
  require(b.element == 4 && b.channels == h.channels && b.height == h.height && b.width == h.width &&
              b.stride == b.channels && instruction.decision == kNone && instruction.candidate == 0,
          "its images have another shape");
}

// Windows lie inside of the source and its border (convolutions) or touch it (pools).
void Validator::check_window(const Instruction& instruction) const {
  const Buffer& b = buffer(instruction.source);
  const bool pool = instruction.operation == AVERAGE || instruction.operation == MAXIMUM;
  const int64_t around = pool ? instruction.padding : b.border;
  const auto fits = [&](int64_t size, int64_t count, int64_t kernel) {
    return within(kernel, 1, kMostSide) && (count - 1) * instruction.stride - instruction.padding + kernel <= size + around;
  };
  require(within(instruction.padding, 0, around) && fits(b.height, instruction.height, instruction.kernel_height) &&
              fits(b.width, instruction.width, instruction.kernel_width),
          "a window is outside of its tensor");
}

// Tiles may compute pixels behind a row's end, of up to `reach` bytes from their first one on: the memory must have them.
void Validator::check_tile(const Instruction& instruction, int64_t reach) const {
  const Buffer& b = buffer(instruction.source);
  const int64_t y = int64_t{b.border} + (int64_t{instruction.height} - 1) * instruction.stride - instruction.padding;
  const int64_t x = int64_t{b.border} + (tiled(instruction.width) - 1) * instruction.stride - instruction.padding;
  require(b.offset + y * row_of(b) + x * pixel_of(b) + reach <= memory(), "a tile is outside of its memory");
}

// Steps of all blocks; their runs lie inside of the kernel's window.
int64_t Validator::check_blocks(const Instruction& instruction) {
  const Header& h = header();
  const int64_t words = file_.words.size();
  const int64_t instructions_end = h.instructions + int64_t{h.instruction_count} * (sizeof(Instruction) / 4);
  const bool differences = instruction.operation == DIFFERENCE_CONV;
  require(instruction.block_count >= 1 && (!differences || instruction.block_count == 1), "a layer has no blocks");
  require(instruction.blocks >= instructions_end, "blocks are outside of its program");
  const Buffer& b = buffer(instruction.source);
  const int64_t window = (int64_t{instruction.kernel_height} - 1) * row_of(b) + instruction.kernel_width * pixel_of(b);
  int64_t place = instruction.blocks, steps = 0;
  for (int32_t block = 0; block < instruction.block_count; ++block) {
    require(place + 2 <= words, "blocks are outside of its program");
    const int32_t multiplier = program_.words[place], runs = program_.words[place + 1];
    place += 2;
    require(differences ? multiplier == 1 : within(multiplier, -kMostMultiplier, kMostMultiplier), "a multiplier is too large");
    require(within(runs, 0, (words - place) / 2), "blocks are outside of its program");
    spend(runs);
    int64_t of_block = 0;
    for (int32_t run = 0; run < runs; ++run, place += 2) {
      const int64_t offset = program_.words[place], count = program_.words[place + 1];
      require(offset >= 0 && count >= 0 && offset + kStepTaps * count <= window, "a run is outside of its window");
      require(!differences || count % 2 == 0, "half a step is left");
      of_block += count;
    }
    require(differences || of_block <= kMostSteps, "a block is too long");
    steps += of_block;
  }
  require(steps <= INT32_MAX, "a layer is too long");
  return steps;
}

// Tensors and arrays are bounded, so products are below 2^60.
void Validator::count(const Instruction& instruction, int64_t multiply_adds_of_pixel) {
  multiply_adds_ += int64_t{instruction.height} * instruction.width * multiply_adds_of_pixel;
  require(multiply_adds_ < int64_t{1} << 60, "an image would take too long");
}

// The largest code of each channel of a pixel, as the tail that wrote them bounds them.
std::vector<int32_t> Validator::largest_codes(const State& state, int32_t candidate, int64_t channels) {
  spend(channels);
  const int64_t padded = channels / (state.planes ? 2 : 1);
  std::vector<int32_t> largest(channels);
  for (int64_t c = 0; c < padded; ++c) {
    const int64_t i = candidate * padded + c;
    const float times = state.multiplier == kNone ? 1.0f : program_.constants[state.multiplier + i];
    const int32_t code = static_cast<int32_t>(std::nearbyint(program_.constants[state.top + i]) * times);
    largest[c] = state.planes ? code >> 8 : code;
    if (state.planes) largest[padded + c] = code < kMostCode ? code : kMostCode;
  }
  return largest;
}

void Validator::check_integer_conv(const Instruction& instruction) {
  const Buffer& b = buffer(instruction.source);
  const State& state = states_[instruction.source];
  require(b.element == 1 && state.top != kNone, "a layer of integers reads no codes");
  require(state.decision == instruction.decision, "a layer does not follow the choice of its codes");
  require(instruction.scale != kNone, "sums have no scale");
  check_window(instruction);
  const int64_t steps = check_blocks(instruction), groups = padded_to_group(instruction.filters) / kGroup;
  const int64_t size = steps * kStepTaps * kGroup;
  const int64_t held = file_.weights.size();
  require(instruction.weights >= 0 && size <= held && instruction.weights + groups * size <= held,
          "weights are outside of their array");
  const int64_t window = (int64_t{instruction.kernel_height} - 1) * row_of(b) + instruction.kernel_width * pixel_of(b);
  check_tile(instruction, window);
  count(instruction, groups * size);
  if (instruction.operation == DIFFERENCE_CONV)
    return require(steps * kStepTaps * kMostCode <= INT32_MAX, "sums do not fit 32 bits");
  spend(groups * size);
  check_products(program_.words + instruction.blocks, instruction.block_count, groups,
                 largest_codes(state, instruction.candidate, b.stride), program_.weights + instruction.weights);
}

void Validator::check_float_conv(const Instruction& instruction) {
  const Buffer& b = buffer(instruction.source);
  require(b.element == 4, "a layer of floats reads codes");
  require(instruction.decision == kNone, "a layer of floats is for some images alone");
  check_window(instruction);
  const int64_t taps = int64_t{instruction.kernel_height} * instruction.kernel_width * b.stride;
  const int64_t padded = padded_to_group(instruction.filters), held = file_.constants.size();
  require(instruction.weights >= 0 && taps <= held / padded && instruction.weights + taps * padded <= held,
          "weights are outside of their array");
  const int64_t rows = int64_t{instruction.kernel_height} - 1;
  check_tile(instruction, rows * row_of(b) + instruction.kernel_width * pixel_of(b));
  count(instruction, taps * padded);
}

void Validator::check_depthwise_conv(const Instruction& instruction) {
  const Buffer& b = buffer(instruction.source);
  const State& state = states_[instruction.source];
  const int64_t padded = padded_to_group(instruction.filters), held = file_.constants.size();
  require(b.element == 1 && b.channels == instruction.filters && b.stride == padded && state.top != kNone &&
              !state.planes && state.decision == kNone && instruction.decision == kNone,
          "a layer of single channels reads other codes");
  require(instruction.scale != kNone, "sums have no scale");
  check_window(instruction);
  check_tile(instruction, (int64_t{instruction.kernel_height} - 1) * row_of(b) + instruction.kernel_width * pixel_of(b));
  const int64_t taps = int64_t{instruction.kernel_height} * instruction.kernel_width;
  require(instruction.weights >= 0 && taps <= held / padded && instruction.weights + taps * padded <= held,
          "weights are outside of their array");
  spend(taps * padded);
  const std::vector<int32_t> largest = largest_codes(state, 0, padded);
  const float* weights = program_.constants + instruction.weights;
  for (int64_t c = 0; c < padded; ++c) {
    double sum = 0;
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float w = weights[(c / kGroup * taps + tap) * kGroup + c % kGroup];
      require(w == std::floor(w), "a weight is no integer");
      sum += std::fabs(double{w}) * largest[c];
    }
    require(sum < 1 << 24, "sums are not exact");
  }
  count(instruction, taps * padded);
}

void Validator::check_take(const Instruction& instruction) const {
  const Buffer& b = buffer(instruction.source);
  require(b.element == 4 && instruction.decision == kNone, "pixels are taken of codes");
  require((int64_t{instruction.height} - 1) * instruction.stride < b.height &&
              (int64_t{instruction.width} - 1) * instruction.stride < b.width,
          "a pixel is outside of its tensor");
  require(instruction.before >= 0 && instruction.before + int64_t{b.channels} <= instruction.filters,
          "channels are outside of their tensor");
}

void Validator::check_pool(const Instruction& instruction) const {
  const Buffer& b = buffer(instruction.source);
  require(b.element == 4 && b.channels == instruction.filters && b.stride == padded_to_group(b.channels) &&
              instruction.decision == kNone,
          "a pool reads another shape");
  check_window(instruction);
  require(instruction.padding < instruction.kernel_height && instruction.padding < instruction.kernel_width,
          "a window holds nothing but padding");
}

void Validator::check_choose(const Instruction& instruction) {
  const Buffer& b = buffer(instruction.source);
  const Header& h = header();
  require(!candidates_ && instruction.decision == kNone, "images choose more than once");
  require(b.element == 4 && b.height == 1 && b.width == 1 && instruction.height == 1 && instruction.width == 1,
          "images choose by more than one pixel");
  require(instruction.filters == h.decisions && instruction.store == h.choices && within(instruction.candidates, 1, 1 << 16) &&
              int64_t{instruction.filters} * instruction.candidates <= b.channels,
          "images choose among scores that are not there");
  const bool alone = instruction.scale == kNone && instruction.residual == kNone && !instruction.relu;
  require(alone, "choices are changed");
  candidates_ = instruction.candidates;
}

}  // namespace engine
}  // namespace lowbit
