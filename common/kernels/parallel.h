// Threads for the kernels: a loop over independent items, split over a bounded number of them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

#include "helper_threads.h"

// One copy of a function in the program: no inlining, no specialised clone.
#if defined(__clang__) || !defined(__GNUC__)
#define LOWBIT_ONE_COPY __attribute__((noinline))
#else
#define LOWBIT_ONE_COPY __attribute__((noinline, noclone))
#endif

namespace lowbit {

inline std::atomic<int>& thread_limit() {
  static std::atomic<int> limit{0};  // 0: as many as the machine has
  return limit;
}

inline int all_threads() {
  const int limit = thread_limit().load();
  return limit > 0 ? limit : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

inline int thread_count(int64_t items) {
  return static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(all_threads(), items)));
}

// Calls run() here and on at most `count` - 1 other threads at the same time: the helpers, or new ones where another
// caller has them.
template <class Run>
void on_threads(int count, Run& run) {
  if (count == 1) return run();
  if (HelperThreads::of_process().run_with(count - 1, run)) return;
  std::vector<std::thread> threads;
  threads.reserve(count);
  try {
    for (int t = count; t > 1; --t) threads.emplace_back(std::ref(run));
  } catch (const std::system_error&) {
    // The system gives no more threads: those that there are do the work.
  }
  run();
  for (auto& thread : threads) thread.join();
}

// Calls make_worker() once per thread and then worker(i) for each item i in [0, items). Items are handed out one by
// one, so the result must not depend on which thread runs which item.
template <class MakeWorker>
void parallel_for(int64_t items, MakeWorker make_worker) {
  std::atomic<int64_t> next{0};
  // One copy for all threads: in two, the compiler fuses multiplications and additions in different places, and sums
  // would differ in their last bit with the thread that takes an item.
  auto run = [&]() LOWBIT_ONE_COPY {
    auto worker = make_worker();
    for (int64_t i = next++; i < items; i = next++) worker(i);
  };
  on_threads(thread_count(items), run);
}

}  // namespace lowbit
