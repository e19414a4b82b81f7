// What an instruction does with its values: constants and tensors of its tail; see validator.h.
#include <cmath>

#include "validator.h"

namespace lowbit {
namespace engine {

void Validator::check_constants(int32_t index, int64_t rows, int64_t padded) const {
  if (index == kNone) return;
  require(index >= 0 && index + rows * padded <= file_.constants.size(), "constants are outside of their array");
}

void Validator::check_tail_tensor(const Instruction& instruction, int32_t index, int32_t element, int planes) const {
  if (index == kNone) return;
  require(is_buffer(index), "an instruction names a tensor that is not there");
  const Buffer& b = buffer(index);
  require(b.element == element && b.height == instruction.height && b.width == instruction.width &&
              b.channels == instruction.filters && b.stride == planes * padded_to_group(instruction.filters),
          "a tensor does not have the shape of what is written to it or added");
}

// Codes fit a byte, or two: bounds are finite, and multipliers whole numbers.
void Validator::check_codes(const Instruction& instruction) {
  const int64_t padded = padded_to_group(instruction.filters);
  const bool chosen = instruction.grid_decision != kNone;
  require(!chosen || has_chosen(instruction.grid_decision), "codes depend on a choice that is not made");
  const int64_t rows = chosen ? candidates_ : 1;
  spend(rows * padded);
  require(instruction.top != kNone, "codes have no bound");
  for (int32_t index : {instruction.steps, instruction.top, instruction.multiplier})
    check_constants(index, rows, padded);
  const float* top = program_.constants + instruction.top;
  const float* multiplier = instruction.multiplier == kNone ? nullptr : program_.constants + instruction.multiplier;
  const float most = instruction.planes ? kMostPlaneCode : kMostCode;
  for (int64_t i = 0; i < rows * padded; ++i) {
    const float times = multiplier ? multiplier[i] : 1.0f;
    const bool right = top[i] >= 0 && top[i] <= most && times >= 0 && times <= most && times == std::floor(times);
    require(right && std::nearbyint(top[i]) * times <= most, "codes are larger than their bytes");
  }
}

// Of differences alone, which are never negative: the difference of two integers from 0 up fits.
void Validator::check_sum_offset(const Instruction& instruction) {
  if (instruction.sum_offset == kNone) return;
  const int64_t padded = padded_to_group(instruction.filters);
  require(instruction.operation == DIFFERENCE_CONV, "an offset of sums that have none");
  check_constants(instruction.sum_offset, 1, padded);
  spend(padded);
  const float* offset = program_.constants + instruction.sum_offset;
  for (int64_t i = 0; i < padded; ++i)
    require(offset[i] >= 0 && offset[i] <= kMostOffset && offset[i] == std::floor(offset[i]), "an offset is no integer");
}

// Maxima may follow the rows of the convolution before them: what they write stands beside what that one still reads.
void Validator::check_pooled(const Instruction& conv, const Instruction& maximum) const {
  if (conv.operation != FLOAT_CONV || maximum.operation != MAXIMUM || maximum.source != conv.store) return;
  for (int32_t written : {maximum.store, maximum.active, maximum.codes}) {
    for (int32_t read : {conv.source, conv.residual}) {
      if (written == kNone || read == kNone) continue;
      const Buffer &a = buffer(written), &b = buffer(read);
      require(a.offset >= end_of(b) || b.offset >= end_of(a), "maxima are written over what is still read");
    }
  }
}

// What is written stands beside what is read, and beside what else is written.
void Validator::check_apart(const Instruction& instruction) const {
  const int32_t written[] = {instruction.store, instruction.active, instruction.codes};
  const int32_t others[] = {instruction.source, instruction.residual, instruction.store, instruction.active,
                            instruction.codes};
  for (int w = 0; w < 3; ++w) {
    for (int o = 0; o < 5; ++o) {
      if (o == w + 2 || written[w] == kNone || others[o] == kNone) continue;
      const Buffer &a = buffer(written[w]), &b = buffer(others[o]);
      require(a.offset >= end_of(b) || b.offset >= end_of(a), "an instruction writes what it reads");
    }
  }
}

void Validator::check_tail(const Instruction& instruction) {
  const int64_t padded = padded_to_group(instruction.filters);
  check_constants(instruction.scale, 2, padded);
  check_constants(instruction.norm, 2, padded);
  check_sum_offset(instruction);
  require(within(instruction.relu, 0, 2) && within(instruction.planes, 0, 1), "a flag is neither on nor off");
  for (int32_t index : {instruction.residual, instruction.store, instruction.active})
    check_tail_tensor(instruction, index, 4, 1);
  check_tail_tensor(instruction, instruction.codes, 1, 1 + instruction.planes);
  require(instruction.residual == kNone || states_[instruction.residual].written, "a tensor is read before it is written");
  check_apart(instruction);
  if (instruction.codes != kNone) {
    check_codes(instruction);
  } else {
    require(instruction.steps == kNone && instruction.top == kNone && instruction.multiplier == kNone &&
                instruction.grid_decision == kNone && !instruction.planes,
            "an instruction without codes has a grid");
  }
  require(instruction.store != kNone || instruction.active != kNone || instruction.codes != kNone,
          "an instruction writes nothing");
  State floats{true};
  floats.choices = instruction.operation == CHOOSE;
  for (int32_t index : {instruction.store, instruction.active})
    if (index != kNone) write(index, floats);
  if (instruction.codes == kNone) return;
  State state{true, instruction.top, instruction.multiplier, instruction.grid_decision, instruction.planes == 1};
  write(instruction.codes, state);
}

// A tensor takes the place of all that lie where it lies.
void Validator::write(int32_t index, const State& state) {
  spend(header().buffer_count);
  const Buffer& b = buffer(index);
  for (int32_t i = 0; i < header().buffer_count; ++i) {
    const Buffer& other = buffer(i);
    if (b.offset < end_of(other) && other.offset < end_of(b)) states_[i] = State{};
  }
  states_[index] = state;
}

}  // namespace engine
}  // namespace lowbit
