// The images of a call over threads: as many groups of images for every thread; or, of fewer images than threads, each
// group by all of them together.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "../kernels/parallel.h"
#include "program.h"
#include "spare.h"
#include "team.h"

namespace lowbit {
namespace engine {

struct Call {
  const Program& program;
  RunImages run;
  const float* images;
  int64_t count;
  float* logits;
  int64_t* nanoseconds;  // of each instruction, or null; only where one thread computes

  // Images `first` to `end` - 1.
  void compute(int64_t first, int64_t end, uint8_t* memory, Team* team) const {
    const Header& h = program.header();
    const int64_t size = int64_t{h.channels} * h.height * h.width, row = int64_t{h.classes} + h.decisions;
    const int number = static_cast<int>(end - first);
    run(program, {images + first * size, number, logits + first * row, memory, team, nanoseconds});
  }
};

// How many images are computed together at most.
inline int64_t most_together(const Header& header) {
  return header.together == header.instruction_count ? 1 : kImagesTogether;
}

// Groups of nearly the same size, as many for every thread.
inline void run_apart(const Call& call, int threads, Spare& spare) {
  const int64_t each = threads * most_together(call.program.header());
  const int64_t groups = std::min(call.count, (call.count + each - 1) / each * threads);
  const int64_t most = (call.count + groups - 1) / groups;
  // Taken here, for threads could not say that no memory is left.
  std::vector<Spare::Memory> memories(std::min<int64_t>(threads, groups));
  for (auto& memory : memories) memory = spare.take(memory_of(call.program.header(), static_cast<int>(most)));
  std::atomic<size_t> next_memory{0};
  std::atomic<int64_t> next{0};
  auto work = [&] {
    uint8_t* memory = memories[next_memory++]->data();
    for (int64_t i = next++; i < groups; i = next++)
      call.compute(i * call.count / groups, (i + 1) * call.count / groups, memory, nullptr);
  };
  on_threads(static_cast<int>(memories.size()), work);
  for (auto& memory : memories) spare.give(std::move(memory));
}

// Helpers that are busy or late cost nothing but their help.
inline void run_together(const Call& call, int threads, Spare& spare) {
  const int64_t most = std::min(call.count, most_together(call.program.header()));
  Spare::Memory memory = spare.take(memory_of(call.program.header(), static_cast<int>(most), threads));
  Team team(threads);
  const std::thread::id leader = std::this_thread::get_id();
  auto work = [&] {
    if (std::this_thread::get_id() != leader) return team.help();
    for (int64_t first = 0; first < call.count; first += most)
      call.compute(first, std::min(first + most, call.count), memory->data(), &team);
    team.end();
  };
  if (!HelperThreads::of_process().run_with(threads - 1, work)) work();
  spare.give(std::move(memory));
}

// Throws std::bad_alloc.
inline void run_on_threads(const Call& call, int threads, Spare& spare) {
  if (call.count == 0) return;
  if (call.count < threads) return run_together(call, std::min(threads, Team::kMost), spare);
  run_apart(call, threads, spare);
}

}  // namespace engine
}  // namespace lowbit
