// Threads that help the caller of a parallel loop, and wait for the next one.
//
// Starting a thread costs 70 us on a virtual machine, and a training step of ResNet-20 has some two hundred loops. A
// helper looks out for the next loop for a moment, in which the next operator of a network comes, and then sleeps, so
// that it takes no processor from others:
//
//   caller    offer(run) --- run() --- take back what no helper has taken --- wait for those that have ---
//   helper    ... look out ... take ---- run() ---- look out ... look out ... sleep
//
// A late helper is not waited for. Helpers end with the process; a process made by fork() makes its own.
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

namespace lowbit {

class HelperThreads {
 public:
  // Those of this process. They are never taken down: a helper may sleep in them when the process ends.
  static HelperThreads& of_process() {
    static std::atomic<HelperThreads*> current{nullptr};
    HelperThreads* found = current.load();
    while (!found || found->process_ != getpid()) {
      auto* made = new HelperThreads();
      if (current.compare_exchange_strong(found, made)) return *made;
      delete made;  // another thread was faster
    }
    return *found;
  }

  // Calls run() here and in at most `count` helpers, at the same time; false, without a call, if another caller has them.
  template <class Run>
  bool run_with(int count, Run& run) noexcept {
    std::unique_lock<std::mutex> caller(callers_, std::try_to_lock);
    if (!caller) return false;
    start(count);
    job_ = [](void* run) { (*static_cast<Run*>(run))(); };
    argument_ = &run;
    unfinished_ = count;
    offer(count);
    run();
    unfinished_ -= offered_.exchange(0);
    // To yield is to wait for a time slice of whatever else runs, so not at once.
    for (int looks = 0; unfinished_ > 0; ++looks) looks < kLooks ? pause() : std::this_thread::yield();
    return true;
  }

 private:
  static constexpr int kLooks = 5000;

  // As many as the system gives; those that are lacking take nothing.
  void start(int count) noexcept try {
    for (; started_ < count; ++started_) std::thread([this] { help(); }).detach();
  } catch (const std::system_error&) {
  }

  void offer(int count) {
    offered_ = count;
    {
      std::lock_guard<std::mutex> lock(sleep_);
      ++offers_;
    }
    if (sleeping_ > 0) wake_.notify_all();
  }

  bool take() {
    int left = offered_;
    while (left > 0)
      if (offered_.compare_exchange_weak(left, left - 1)) return true;
    return false;
  }

  void help() {
    for (;;) {
      const uint64_t seen = offers_;
      while (take()) {
        job_(argument_);
        --unfinished_;
      }
      wait(seen);
    }
  }

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }

  // Until there has been another offer than those seen.
  void wait(uint64_t seen) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
    while (std::chrono::steady_clock::now() < end) {
      for (int i = 0; i < 32; ++i) {
        if (offers_ != seen) return;
        pause();
      }
    }
    std::unique_lock<std::mutex> lock(sleep_);
    ++sleeping_;
    wake_.wait(lock, [&] { return offers_ != seen; });
    --sleeping_;
  }

  const pid_t process_ = getpid();
  std::mutex callers_, sleep_;
  std::condition_variable wake_;
  std::atomic<uint64_t> offers_{0};
  std::atomic<int> offered_{0}, unfinished_{0}, sleeping_{0};
  int started_ = 0;
  void (*job_)(void*) = nullptr;
  void* argument_ = nullptr;
};

}  // namespace lowbit
