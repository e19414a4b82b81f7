// Integer tiles for any processor: the compiler's own vectors.
#include "program.h"
#include "vector.h"

namespace {

using namespace lowbit::engine;

// Sums of `term(taps, weights, number of taps)` over all steps of so many taps.
template <int P, int TAPS, class Term>
inline void add_terms(const uint8_t* x, int64_t step, const int32_t* blocks, int block_count, const int8_t* weights,
                      int32_t* sums, Term term) {
  std::memset(sums, 0, sizeof(int32_t) * P * kGroup);
  for (int b = 0; b < block_count; ++b) {
    const int32_t multiplier = blocks[0], runs = blocks[1];
    blocks += 2;
    for (int32_t r = 0; r < runs; ++r, blocks += 2) {
      for (int32_t i = 0; i < kStepTaps * blocks[1]; i += TAPS, weights += TAPS * kGroup) {
        for (int p = 0; p < P; ++p) {
          const uint8_t* taps = x + p * step + blocks[0] + i;
          for (int f = 0; f < kGroup; ++f) {
            int32_t sum = 0;
            for (int t = 0; t < TAPS; ++t) sum += term(taps[t], weights[TAPS * f + t]);
            // Modular, as vectors are: pixels behind a row's end, which are dropped, may have any sums.
            const uint32_t more = static_cast<uint32_t>(multiplier) * static_cast<uint32_t>(sum);
            sums[p * kGroup + f] = static_cast<int32_t>(static_cast<uint32_t>(sums[p * kGroup + f]) + more);
          }
        }
      }
    }
  }
}

struct Products {
  static constexpr bool kMakesCodes = false;
  static constexpr int kPixels = 4, kGroups = 1;
  static constexpr int wide(int) { return kPixels; }
  template <int P, int G>
  static void tile(const uint8_t* x, int64_t step, const int32_t* blocks, int block_count, const int8_t* weights,
                   int64_t, int32_t* sums) {
    add_terms<P, kStepTaps>(x, step, blocks, block_count, weights, sums,
                            [](int32_t tap, int8_t weight) { return tap * weight; });
  }
};

struct Differences {
  static constexpr bool kMakesCodes = false;
  static constexpr int kPixels = 4, kGroups = 1;
  static constexpr int wide(int) { return kPixels; }
  template <int P, int G>
  static void tile(const uint8_t* x, int64_t step, const int32_t* blocks, int block_count, const int8_t* weights,
                   int64_t, int32_t* sums) {
    add_terms<P, kDifferenceTaps>(x, step, blocks, block_count, weights, sums, [](int32_t tap, int8_t weight) {
      const int32_t difference = tap - static_cast<uint8_t>(weight);
      return difference < 0 ? -difference : difference;
    });
  }
};

}  // namespace

#include "image.h"

void lowbit::engine::run_images_plain(const Program& program, const Task& task) { run_images(program, task); }
