// Whether a program from a file is one that the engine may run: every index, size, shape and bound, whoever wrote it.
//
// A program that passes reads and writes inside its arrays and its arena alone, ends, reads no tensor before it is
// written or after another has taken its place, and has sums that fit their lanes. Its cost is bounded: an instruction
// may not let a small file ask for long checks.
#pragma once

#include <cstdint>
#include <vector>

#include "program.h"
#include "runtime_file.h"
#include "sum_bounds.h"

namespace lowbit {
namespace engine {

constexpr int32_t kMostSide = UINT16_MAX;      // of images, tensors, kernels, strides
constexpr int32_t kMostChannels = 1 << 20;
constexpr int64_t kMostArena = int64_t{1} << 28;  // bytes of an image's tensors
constexpr float kMostOffset = 1 << 24;          // integers that float32 has
constexpr int32_t kMostCode = 255, kMostPlaneCode = 65535;

inline bool within(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }
inline int64_t padded_to_group(int64_t channels) { return (channels + kGroup - 1) / kGroup * kGroup; }
inline int64_t pixel_of(const Buffer& b) { return int64_t{b.stride} * b.element; }
inline int64_t row_of(const Buffer& b) { return pixel_of(b) * (b.width + 2 * int64_t{b.border}); }
// At most 2^22 x 2^18 x 2^18 bytes behind an offset, once buffers have shapes: no overflow.
inline int64_t end_of(const Buffer& b) { return b.offset + row_of(b) * (b.height + 2 * int64_t{b.border}); }
// The pixels that tiles may compute of a row, whatever the instruction set.
inline int64_t tiled(int64_t width) { return width + kTilePixels - 1; }

class Validator {
 public:
  explicit Validator(const RuntimeFile& file);

  // Multiply-adds of an image. Throws Refusal or std::bad_alloc.
  int64_t check();

 private:
  // What a tensor holds at a point of the program.
  struct State {
    bool written = false;
    int64_t top = kNone, multiplier = kNone;  // of codes: where the bounds are among the constants
    int32_t decision = kNone;
    bool planes = false;
    bool choices = false;  // numbers of candidates
  };

  const RuntimeFile& file_;
  const Program program_;
  int64_t work_, multiply_adds_ = 0;
  std::vector<State> states_;
  int32_t candidates_ = 0;  // of each decision, once images have chosen

  const Header& header() const { return program_.header(); }
  int64_t memory() const { return int64_t{header().arena} + header().image; }  // of one image
  const Buffer& buffer(int32_t index) const { return program_.buffer(index); }
  bool is_buffer(int32_t index) const { return within(index, 0, header().buffer_count - 1); }
  // Whether an image has chosen, and what it has chosen is still there.
  bool has_chosen(int32_t decision) const {
    return candidates_ && within(decision, 0, header().decisions - 1) && states_[header().choices].choices;
  }
  void spend(int64_t work) { require((work_ -= work) >= 0, "its checks would take too long"); }

  // validate_program.cc
  void check_header() const;
  void check_buffers() const;
  void check_images() const;
  void check_group(int32_t i) const;
  void check_result(int32_t index, int32_t count) const;

  // validate_instruction.cc
  void check_instruction(int32_t i);
  void check_decision(int32_t i) const;
  void check_operation(const Instruction& instruction);
  void check_image(const Instruction& instruction) const;
  void check_window(const Instruction& instruction) const;
  void check_tile(const Instruction& instruction, int64_t reach) const;
  void check_integer_conv(const Instruction& instruction);
  int64_t check_blocks(const Instruction& instruction);
  void check_float_conv(const Instruction& instruction);
  void check_depthwise_conv(const Instruction& instruction);
  void check_take(const Instruction& instruction) const;
  void check_pool(const Instruction& instruction) const;
  void check_choose(const Instruction& instruction);
  void count(const Instruction& instruction, int64_t multiply_adds_of_pixel);
  std::vector<int32_t> largest_codes(const State& state, int32_t candidate, int64_t channels);

  // validate_tail.cc
  void check_tail(const Instruction& instruction);
  void check_tail_tensor(const Instruction& instruction, int32_t index, int32_t element, int planes) const;
  void check_codes(const Instruction& instruction);
  void check_constants(int32_t index, int64_t rows, int64_t padded) const;
  void check_sum_offset(const Instruction& instruction);
  void check_pooled(const Instruction& conv, const Instruction& maximum) const;
  void check_apart(const Instruction& instruction) const;
  void write(int32_t index, const State& state);
};

}  // namespace engine
}  // namespace lowbit
