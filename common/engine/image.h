// All instructions of a program: the first ones for one image after the other, so that its buffers stay in the caches;
// those of large weights one after the other for a group of images. The including file defines Products and
// Differences, see integer_conv.h.
#pragma once

#include <ctime>

#include "depthwise.h"
#include "float_ops.h"
#include "integer_conv.h"
#include "pool.h"
#include "team.h"
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
    case FLOAT_CONV: return float_conv(program, instruction, arena, count);
  }
}

inline void execute(const Program& program, const Instruction& instruction, const float* image, Arena arena) {
  switch (instruction.operation) {
    case IMAGE: return image_to_pixels(program, instruction, image, arena);
    case TAKE: return take(program, instruction, arena);
    case AVERAGE: return pool<false>(program, instruction, arena, rows_of(instruction, arena));
    case MAXIMUM: return pool<true>(program, instruction, arena, rows_of(instruction, arena));
    case DEPTHWISE_CONV: return depthwise_conv(program, instruction, arena);
    case CHOOSE: return choose(program, instruction, arena);
    default: return convolve(program, instruction, arena, 1);
  }
}

// Calls work(arena) for the whole of an instruction, or for each of its parts in the members of a team.
template <class Work>
inline void share(const Program& program, const Instruction& instruction, Arena arena, Team* team, Work work) {
  if (!team || !is_shared(instruction)) return work(arena);
  auto of_part = [&](int part, int member) {
    Arena mine = arena;
    mine.scratch += int64_t{member} * program.header().scratch;
    mine.part = part, mine.parts = team->members();
    work(mine);
  };
  team->share(team->members(), of_part);
}

inline void execute_shared(const Program& program, const Instruction& instruction, const float* image, Arena arena,
                           Team* team) {
  if (choice(program, instruction.decision, arena) != instruction.candidate) return;
  share(program, instruction, arena, team, [&](Arena part) { execute(program, instruction, image, part); });
}

// Images 0 to count - 1 of a group. Where images choose there are no groups.
inline void execute_together(const Program& program, const Instruction& instruction, Arena arena, int count, Team* team) {
  switch (instruction.operation) {
    case INTEGER_CONV:
    case DIFFERENCE_CONV:
    case WINOGRAD_CONV:
    case FLOAT_CONV:
      return share(program, instruction, arena, team, [&](Arena part) { convolve(program, instruction, part, count); });
    default:
      for (; arena.image < count; ++arena.image) execute_shared(program, instruction, nullptr, arena, team);
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

// Rows of the convolution, from the first on, that maxima before row `end` read; all for the last ones.
inline int64_t rows_read(const Instruction& conv, const Instruction& maximum, int64_t end) {
  if (end == 0) return 0;
  const int64_t read = (end - 1) * maximum.stride - maximum.padding + maximum.kernel_height;
  return end == maximum.height || read > conv.height ? conv.height : std::max<int64_t>(read, 0);
}

// The maxima whose windows begin before the rows that a part computes: they wait for the part before.
inline Range late_maxima(const Instruction& conv, const Instruction& maximum, Arena arena) {
  const Range mine = rows_of(maximum, arena);
  const int64_t first = rows_read(conv, maximum, mine.first);
  Range late{mine.first, mine.first};
  while (late.end < mine.end && late.end * maximum.stride - maximum.padding < first) ++late.end;
  return mine.first ? late : Range{0, 0};
}

// Maxima follow a few rows behind the convolution, which are in the caches then. What it reads lives until they end.
inline void convolve_and_pool(const Program& program, int32_t i, Arena arena, int64_t* conv_time, int64_t* pool_time) {
  constexpr int64_t kRows = 4;
  const Instruction &conv = program.instruction(i), &maximum = program.instruction(i + 1);
  const Range mine = rows_of(maximum, arena), filters{0, (conv.filters + kGroup - 1) / kGroup * kGroup};
  const int64_t late = late_maxima(conv, maximum, arena).end;
  Range rows{rows_read(conv, maximum, mine.first), 0};
  for (int64_t y = mine.first; y < mine.end; y += kRows) {
    const int64_t end = std::min(y + kRows, mine.end);
    rows.end = std::max(rows_read(conv, maximum, end), rows.first);
    timed(conv_time, [&] { float_conv(program, conv, arena, 1, rows, filters); });
    timed(pool_time, [&] { pool<true>(program, maximum, arena, {std::max(y, late), end}); });
    rows.first = rows.end;
  }
}

inline void convolve_and_pool_shared(const Program& program, int32_t i, Arena arena, const Task& task) {
  const auto time_of = [&](int32_t j) { return task.nanoseconds ? task.nanoseconds + j : nullptr; };
  const Instruction &conv = program.instruction(i), &maximum = program.instruction(i + 1);
  share(program, conv, arena, task.team,
        [&](Arena part) { convolve_and_pool(program, i, part, time_of(i), time_of(i + 1)); });
  if (!task.team || !is_shared(conv)) return;
  for (arena.part = 1, arena.parts = task.team->members(); arena.part < arena.parts; ++arena.part)
    pool<true>(program, maximum, arena, late_maxima(conv, maximum, arena));
}

inline void run_images(const Program& program, const Task& task) {
  const Header& header = program.header();
  const int64_t size = int64_t{header.channels} * header.height * header.width;
  const auto time_of = [&](int32_t i) { return task.nanoseconds ? task.nanoseconds + i : nullptr; };
  const int64_t scratch = int64_t{header.scratch} * (task.team ? task.team->members() : 1);
  Arena arena{task.memory + scratch, task.memory};
  for (; arena.image < task.count; ++arena.image) {
    const float* image = task.images + arena.image * size;
    for (int32_t i = 0; i < header.together; ++i) {
      if (is_pooled(program, i)) {
        convolve_and_pool_shared(program, i++, arena, task);
      } else {
        timed(time_of(i), [&] { execute_shared(program, program.instruction(i), image, arena, task.team); });
      }
    }
  }
  arena.image = 0;
  for (int32_t i = header.together; i < header.instruction_count; ++i)
    timed(time_of(i), [&] { execute_together(program, program.instruction(i), arena, task.count, task.team); });
  for (float* logits = task.logits; arena.image < task.count; ++arena.image, logits += header.classes + header.decisions)
    write_results(program, arena, logits);
}

}  // namespace
