// The engine's functions: whole programs over images, called by ctypes or as an operator of MindSpore.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "../kernels/parallel.h"
#include "aligned.h"
#include "program.h"

namespace lowbit {
namespace engine {
namespace {

struct InstructionSet {
  const char* name;
  bool (*usable)();
  RunImages run;
};

bool always() { return true; }
#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2"); }
bool has_vnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__)
bool has_i8mm() {
#if defined(__linux__)
  constexpr unsigned long kI8mm = 1ul << 13;  // HWCAP2_I8MM, which older headers lack
  return getauxval(AT_HWCAP2) & kI8mm;
#else
  return false;
#endif
}
#endif

// The fastest first.
const InstructionSet kInstructionSets[] = {
#if defined(__x86_64__)
    {"vnni", has_vnni, run_images_vnni},
    {"avx2", has_avx2, run_images_avx2},
#elif defined(__aarch64__)
    {"neon_dot", has_i8mm, run_images_neon_dot},
    {"neon", always, run_images_neon},
#endif
    {"plain", always, run_images_plain},
};

const InstructionSet* chosen(const char* name) {
  for (const InstructionSet& set : kInstructionSets) {
    if ((!*name || !std::strcmp(name, set.name)) && set.usable()) return &set;
  }
  return nullptr;
}

// Memory of a thread.
using Memory = Aligned<uint8_t>;

// The memory of the last calls: new pages cost a single image of 224 x 224 pixels a tenth of its time. What is in it
// does not matter, for instructions write all that they or others read.
class Spare {
 public:
  std::unique_ptr<Memory> take(int64_t bytes) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (auto& memory : kept_) {
        if (memory && memory->size() == bytes) return std::move(memory);
      }
    }
    return std::make_unique<Memory>(bytes);
  }
  void give(std::unique_ptr<Memory> memory) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::swap(kept_[next_++ % kMost], memory);
  }

 private:
  static constexpr size_t kMost = 8;
  std::mutex mutex_;
  std::unique_ptr<Memory> kept_[kMost];
  size_t next_ = 0;
};

Spare& spare() {
  static Spare memory;
  return memory;
}

// How `count` images are split: groups of nearly the same size, as many for every thread.
int64_t groups_of(const Header& header, int64_t count) {
  if (header.together == header.instruction_count) return count;
  const int64_t threads = thread_count(count);
  return std::min(count, (count + threads * kImagesTogether - 1) / (threads * kImagesTogether) * threads);
}

}  // namespace

RunImages fastest(const char** name) {
  const InstructionSet* set = chosen("");
  *name = set->name;
  return set->run;
}

enum Status : int { OK = 0, NO_PROGRAM = 1, NO_INSTRUCTION_SET = 2, NO_MEMORY = 3 };

int run(const Program& program, const float* images, int64_t count, float* logits, const char* name,
        int64_t* nanoseconds) {
  const Header& header = program.header();
  if (header.magic != kMagic || header.version != kVersion) return NO_PROGRAM;
  const InstructionSet* set = chosen(name);
  if (!set) return NO_INSTRUCTION_SET;
  const int64_t size = int64_t{header.channels} * header.height * header.width;
  const int64_t groups = groups_of(header, count), most = groups ? (count + groups - 1) / groups : 0;
  // Taken here, for threads could not say that no memory is left.
  std::vector<std::unique_ptr<Memory>> memories(thread_count(groups));
  for (auto& memory : memories) memory = spare().take(memory_of(header, static_cast<int>(most)));
  std::atomic<int> next{0};
  parallel_for(groups, [&] {
    uint8_t* memory = memories[next++]->data();
    return [&, memory](int64_t i) {
      const int64_t first = i * count / groups, end = (i + 1) * count / groups;
      set->run(program, images + first * size, static_cast<int>(end - first),
               logits + first * (header.classes + header.decisions), memory, nanoseconds);
    };
  });
  for (auto& memory : memories) spare().give(std::move(memory));
  return OK;
}

}  // namespace engine
}  // namespace lowbit

extern "C" {

// Logits and choices (count, classes + decisions) of images (count, channels, height, width). `instruction_set`: its
// name, or "" for the fastest. `nanoseconds` of each instruction, or null; only where one thread computes.
int RunProgram(const int32_t* words, const int8_t* weights, const float* constants, const float* images,
               int64_t count, float* logits, const char* instruction_set, int64_t* nanoseconds) try {
  return lowbit::engine::run({words, weights, constants}, images, count, logits, instruction_set, nanoseconds);
} catch (const std::exception&) {
  return lowbit::engine::NO_MEMORY;
}

// The same as an operator of MindSpore: images, words, weights, constants; logits. All are float32, int32 or int8
// arrays that the operator's shape inference has checked.
int RunProgramOperator(int, void** arrays, int*, int64_t** shapes, const char**, void*, void*) {
  return RunProgram(static_cast<const int32_t*>(arrays[1]), static_cast<const int8_t*>(arrays[2]),
                    static_cast<const float*>(arrays[3]), static_cast<const float*>(arrays[0]), shapes[0][0],
                    static_cast<float*>(arrays[4]), "", nullptr);
}

// Names of the usable instruction sets, the fastest first; null after the last.
const char* InstructionSetName(int index) {
  for (const auto& set : lowbit::engine::kInstructionSets) {
    if (set.usable() && index-- == 0) return set.name;
  }
  return nullptr;
}

void SetEngineThreads(int count) { lowbit::thread_limit() = count; }
}
