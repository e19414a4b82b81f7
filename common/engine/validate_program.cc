// A program as a whole: header, tensors, result; see validator.h.
#include <algorithm>

#include "validator.h"

namespace lowbit {
namespace engine {

// The checks of a program may cost some times what reading it costs; most costs of an honest one are much less.
Validator::Validator(const RuntimeFile& file)
    : file_(file),
      program_(file.program()),
      work_(16 * (file.words.size() + file.weights.size() + file.constants.size()) + (1 << 22)) {}

int64_t Validator::check() {
  check_header();
  check_buffers();
  states_.resize(header().buffer_count);
  for (int32_t i = 0; i < header().instruction_count; ++i) check_instruction(i);
  check_result(header().logits, header().classes);
  if (!header().decisions) return multiply_adds_;
  require(states_[header().choices].choices, "images do not choose");
  check_result(header().choices, header().decisions);
  return multiply_adds_;
}

void Validator::check_header() const {
  constexpr int64_t kHeader = sizeof(Header) / 4, kBuffer = sizeof(Buffer) / 4;
  constexpr int64_t kInstruction = sizeof(Instruction) / 4;
  const int64_t words = file_.words.size();
  require(words >= kHeader, "its program has no header");
  const Header& h = header();
  require(h.magic == kMagic && h.version == kVersion, "its program has another version; export it anew");
  require(within(h.channels, 1, kMostChannels) && within(h.height, 1, kMostSide) && within(h.width, 1, kMostSide),
          "its images have no size");
  require(within(h.classes, 1, kMostChannels), "it has no classes");
  require(within(h.arena, 64, kMostArena) && within(h.image, 0, kMostArena - h.arena) && h.image % 64 == 0,
          "an image would take more than 256 MiB");
  require(h.scratch == 0 && within(h.together, 1, h.instruction_count) &&
              (h.together == h.instruction_count ? h.image == 0 : h.image > 0 && h.decisions == 0),
          "its groups of images have no place");
  require(h.buffers == kHeader && within(h.buffer_count, 1, words) && within(h.instruction_count, 1, words) &&
              h.instructions == kHeader + kBuffer * h.buffer_count &&
              h.instructions + kInstruction * h.instruction_count <= words,
          "tensors or instructions are outside of its program");
  require(is_buffer(h.logits) && buffer(h.logits).image == h.image && within(h.decisions, 0, kMostChannels) && (!h.decisions || is_buffer(h.choices)),
          "its result is no tensor");
}

void Validator::check_buffers() const {
  for (int32_t i = 0; i < header().buffer_count; ++i) {
    const Buffer& b = buffer(i);
    require((b.element == 1 || b.element == 4) && within(b.height, 1, kMostSide) && within(b.width, 1, kMostSide) &&
                within(b.channels, 1, kMostChannels) && within(b.border, 0, kMostSide) &&
                (b.image == 0 || b.image == header().image) && within(b.stride, b.channels, 2 * padded_to_group(b.channels)),
            "a tensor has no shape");
    require(b.offset >= 0 && b.offset % 64 == 0 && end_of(b) <= memory(), "a tensor is outside of its memory");
  }
  check_images();
}

// What each image of a group has stands behind what a thread has once, and in front of what the next image has.
void Validator::check_images() const {
  int64_t first = memory();
  for (int32_t i = 0; i < header().buffer_count; ++i)
    if (buffer(i).image) first = std::min<int64_t>(first, buffer(i).offset);
  for (int32_t i = 0; i < header().buffer_count; ++i) {
    const Buffer& b = buffer(i);
    require(b.image ? end_of(b) <= first + header().image : end_of(b) <= first, "images of a group share a place");
  }
}

// What is computed for all images of a group reads and writes what each of them has.
void Validator::check_group(int32_t i) const {
  if (i < header().together) return;
  const Instruction& of = program_.instruction(i);
  for (int32_t index : {of.source, of.residual, of.store, of.active, of.codes})
    require(index == kNone || (is_buffer(index) && buffer(index).image), "images of a group share a tensor");
}

void Validator::check_result(int32_t index, int32_t count) const {
  const Buffer& b = buffer(index);
  require(states_[index].written && b.element == 4 && b.height == 1 && b.width == 1 && b.channels == count,
          "its result is no row of numbers");
}

}  // namespace engine
}  // namespace lowbit
