// All instructions of a program for one image, in a row, so that its buffers stay in the caches. The including file
// defines Products and Differences, see integer_conv.h.
#pragma once

#include <ctime>

#include "depthwise.h"
#include "float_ops.h"
#include "integer_conv.h"

namespace {

inline int64_t nanoseconds_now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}

inline void execute(const Program& program, const Instruction& instruction, const float* image, uint8_t* arena) {
  if (choice(program, instruction.decision, arena) != instruction.candidate) return;
  switch (instruction.operation) {
    case IMAGE: return image_to_pixels(program, instruction, image, arena);
    case INTEGER_CONV: return integer_conv<Products>(program, instruction, arena);
    case DIFFERENCE_CONV: return integer_conv<Differences>(program, instruction, arena);
    case FLOAT_CONV: return float_conv(program, instruction, arena);
    case TAKE: return take(program, instruction, arena);
    case AVERAGE: return pool<false>(program, instruction, arena);
    case MAXIMUM: return pool<true>(program, instruction, arena);
    case DEPTHWISE_CONV: return depthwise_conv(program, instruction, arena);
    case CHOOSE: return choose(program, instruction, arena);
  }
}

// The logits, and the choices behind them.
inline void run_image(const Program& program, const float* image, float* logits, uint8_t* arena,
                      int64_t* nanoseconds) {
  const Header& header = program.header();
  for (int32_t i = 0; i < header.instruction_count; ++i) {
    const int64_t start = nanoseconds ? nanoseconds_now() : 0;
    execute(program, program.instruction(i), image, arena);
    if (nanoseconds) nanoseconds[i] += nanoseconds_now() - start;
  }
  std::memcpy(logits, Pixels(program.buffer(header.logits), arena).first, 4 * int64_t{header.classes});
  if (!header.decisions) return;
  const uint8_t* choices = Pixels(program.buffer(header.choices), arena).first;
  std::memcpy(logits + header.classes, choices, 4 * int64_t{header.decisions});
}

}  // namespace
