// All instructions of a program: the first ones for one image after the other, so that its buffers stay in the caches;
// those of large weights one after the other for a group of images. The including file defines Products and
// Differences, see integer_conv.h.
#pragma once

#include <ctime>

#include "depthwise.h"
#include "float_ops.h"
#include "integer_conv.h"
#include "winograd.h"

namespace {

inline int64_t nanoseconds_now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}

// Of `count` images from the arena's on.
inline void convolve(const Program& program, const Instruction& instruction, Arena arena, int count) {
  switch (instruction.operation) {
    case INTEGER_CONV: return integer_conv<Products>(program, instruction, arena, count);
    case DIFFERENCE_CONV: return integer_conv<Differences>(program, instruction, arena, count);
    case WINOGRAD_CONV: return winograd_conv<Products>(program, instruction, arena, count);
    case FLOAT_CONV: return float_conv(program, instruction, arena, count, all_rows(instruction));
  }
}

inline void execute(const Program& program, const Instruction& instruction, const float* image, Arena arena) {
  if (choice(program, instruction.decision, arena) != instruction.candidate) return;
  switch (instruction.operation) {
    case IMAGE: return image_to_pixels(program, instruction, image, arena);
    case TAKE: return take(program, instruction, arena);
    case AVERAGE: return pool<false>(program, instruction, arena, all_rows(instruction));
    case MAXIMUM: return pool<true>(program, instruction, arena, all_rows(instruction));
    case DEPTHWISE_CONV: return depthwise_conv(program, instruction, arena);
    case CHOOSE: return choose(program, instruction, arena);
    default: return convolve(program, instruction, arena, 1);
  }
}

// Images 0 to count - 1 of a group. Where images choose there are no groups.
inline void execute_together(const Program& program, const Instruction& instruction, Arena arena, int count) {
  switch (instruction.operation) {
    case INTEGER_CONV:
    case DIFFERENCE_CONV:
    case WINOGRAD_CONV:
    case FLOAT_CONV: return convolve(program, instruction, arena, count);
    default:
      for (; arena.image < count; ++arena.image) execute(program, instruction, nullptr, arena);
  }
}

// The logits, and the choices behind them.
inline void write_results(const Program& program, Arena arena, float* logits) {
  const Header& header = program.header();
  std::memcpy(logits, Pixels(program.buffer(header.logits), arena).first, 4 * int64_t{header.classes});
  if (!header.decisions) return;
  const uint8_t* choices = Pixels(program.buffer(header.choices), arena).first;
  std::memcpy(logits + header.classes, choices, 4 * int64_t{header.decisions});
}

// Calls `work`, and adds its nanoseconds up.
template <class Work>
inline void timed(int64_t* nanoseconds, Work work) {
  const int64_t start = nanoseconds ? nanoseconds_now() : 0;
  work();
  if (nanoseconds) *nanoseconds += nanoseconds_now() - start;
}

// Whether an instruction's results, more than the caches hold, go to maxima of some rows.
inline bool is_pooled(const Program& program, int32_t i) {
  if (i + 1 >= program.header().together) return false;
  const Instruction &conv = program.instruction(i), &maximum = program.instruction(i + 1);
  return conv.operation == FLOAT_CONV && conv.width > 1 && conv.decision == kNone && maximum.operation == MAXIMUM &&
         maximum.source == conv.store && maximum.decision == kNone;
}

// Maxima follow a few rows behind the convolution, which are in the caches then. What it reads lives until they end.
inline void convolve_and_pool(const Program& program, int32_t i, Arena arena, int64_t* conv_time, int64_t* pool_time) {
  constexpr int64_t kRows = 4;
  const Instruction &conv = program.instruction(i), &maximum = program.instruction(i + 1);
  Rows rows{0, 0};
  for (int64_t y = 0; y < maximum.height; y += kRows) {
    const int64_t end = std::min<int64_t>(y + kRows, maximum.height);
    rows.end = (end - 1) * maximum.stride - maximum.padding + maximum.kernel_height;
    if (end == maximum.height || rows.end > conv.height) rows.end = conv.height;
    timed(conv_time, [&] { float_conv(program, conv, arena, 1, rows); });
    timed(pool_time, [&] { pool<true>(program, maximum, arena, {y, end}); });
    rows.first = rows.end;
  }
}

inline void run_images(const Program& program, const float* images, int count, float* logits, uint8_t* memory,
                       int64_t* nanoseconds) {
  const Header& header = program.header();
  const int64_t size = int64_t{header.channels} * header.height * header.width;
  const auto time_of = [&](int32_t i) { return nanoseconds ? nanoseconds + i : nullptr; };
  Arena arena{memory + header.scratch, memory, 0};
  for (; arena.image < count; ++arena.image) {
    const float* image = images + arena.image * size;
    for (int32_t i = 0; i < header.together; ++i) {
      if (is_pooled(program, i)) {
        convolve_and_pool(program, i, arena, time_of(i), time_of(i + 1));
        ++i;
      } else {
        timed(time_of(i), [&] { execute(program, program.instruction(i), image, arena); });
      }
    }
  }
  arena.image = 0;
  for (int32_t i = header.together; i < header.instruction_count; ++i)
    timed(time_of(i), [&] { execute_together(program, program.instruction(i), arena, count); });
  for (; arena.image < count; ++arena.image, logits += header.classes + header.decisions)
    write_results(program, arena, logits);
}

}  // namespace
