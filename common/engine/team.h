// Threads that compute one image together: a leader goes through the program and shares the larger instructions in
// parts, which are taken by whoever is there.
//
//   leader    run ---- share(parts) take, take ... wait for the others' parts ---- share(parts) ... ---- end
//   member    ... look out ...      take, take ... look out ...                    take ...         ---- leave
//
// No member is waited for that has taken nothing: one that comes late, or not at all, costs the others nothing but its
// help. What a part computes does not depend on who computes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace lowbit {
namespace engine {

class Team {
 public:
  static constexpr int kMost = 16;  // members

  explicit Team(int members) : members_(members) {}
  int members() const { return members_; }

  // Of the leader: calls work(part, member) once for each part, each in one of the members, and returns after the last.
  template <class Work>
  void share(int parts, Work& work) {
    call_ = [](void* work, int part, int member) { (*static_cast<Work*>(work))(part, member); };
    work_ = &work;
    done_.store(0, std::memory_order_relaxed);
    shared_.store(++round_ << kRoundBits | uint64_t(parts) << kPartBits, std::memory_order_release);
    take(0);
    for (Patience patience; done_.load(std::memory_order_acquire) < parts;) patience.wait();
  }

  // Of another member: takes parts until the leader ends.
  void help() {
    const int member = ++joined_;
    leave_leader();
    for (Patience patience; !ended_.load(std::memory_order_acquire); patience.wait())
      if (take(member)) patience = Patience();
  }

  void end() { ended_.store(true, std::memory_order_release); }

 private:
  // The system may wake a thread on the processor of the one that woke it: it goes to another one there is, where it
  // may be, and may then be anywhere again.
  void leave_leader() const {
#if defined(__linux__)
    cpu_set_t allowed, others;
    if (sched_getcpu() != processor_ || sched_getaffinity(0, sizeof allowed, &allowed)) return;
    others = allowed;
    CPU_CLR(processor_, &others);
    if (CPU_COUNT(&others) && !sched_setaffinity(0, sizeof others, &others)) sched_setaffinity(0, sizeof allowed, &allowed);
#endif
  }

  static int this_processor() {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
  }

  static constexpr int kPartBits = 16, kRoundBits = 2 * kPartBits;
  static constexpr uint64_t kParts = (uint64_t{1} << kPartBits) - 1;

  // Looks again at once, and gives the processor to others after a millisecond: the system lets them have it for some.
  class Patience {
   public:
    void wait() {
      if (++times_ > kTimes) return std::this_thread::yield();
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#endif
    }

   private:
    static constexpr int kTimes = 30000;
    int times_ = 0;
  };

  // Whether there was a part.
  bool take(int member) {
    bool taken = false;
    uint64_t shared = shared_.load(std::memory_order_acquire);
    while ((shared & kParts) < (shared >> kPartBits & kParts)) {
      if (!shared_.compare_exchange_weak(shared, shared + 1, std::memory_order_acq_rel)) continue;
      call_(work_, static_cast<int>(shared & kParts), member);
      done_.fetch_add(1, std::memory_order_release);
      taken = true;
      shared = shared_.load(std::memory_order_acquire);
    }
    return taken;
  }

  const int members_, processor_ = this_processor();  // of the leader
  std::atomic<int> joined_{0};
  std::atomic<bool> ended_{false};
  alignas(64) std::atomic<uint64_t> shared_{0};  // the round, its parts, the next part
  alignas(64) std::atomic<int> done_{0};         // parts of this round
  uint64_t round_ = 0;
  void (*call_)(void*, int, int) = nullptr;
  void* work_ = nullptr;
};

}  // namespace engine
}  // namespace lowbit
