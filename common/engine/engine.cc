// The engine's functions: whole programs over images, called by ctypes or as an operator of MindSpore.
#include <cstdint>
#include <cstring>
#include <exception>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "program.h"
#include "schedule.h"

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

}  // namespace

RunImages fastest(const char** name) {
  const InstructionSet* set = chosen("");
  *name = set->name;
  return set->run;
}

enum Status : int { OK = 0, NO_PROGRAM = 1, NO_INSTRUCTION_SET = 2, NO_MEMORY = 3 };

int run(const Program& program, const float* images, int64_t count, float* logits, const char* name,
        int64_t* nanoseconds) {
  static Spare spare;
  const Header& header = program.header();
  if (header.magic != kMagic || header.version != kVersion) return NO_PROGRAM;
  const InstructionSet* set = chosen(name);
  if (!set) return NO_INSTRUCTION_SET;
  run_on_threads({program, set->run, images, count, logits, nanoseconds}, all_threads(), spare);
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
