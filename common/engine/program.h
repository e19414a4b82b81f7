// The program in memory: three flat arrays (int32, bytes, float32), little-endian; layout.py names the same fields.
#pragma once

#include <cstdint>

namespace lowbit {
namespace engine {

constexpr int32_t kMagic = 0x5042574c;  // "LWBP"
constexpr int32_t kVersion = 2;
constexpr int kGroup = 16;    // filters that are computed together; channels of buffers are padded to it
constexpr int kStepTaps = 4;  // taps of a step: what one lane of 32 bits multiplies
constexpr int kDifferenceTaps = 8;  // taps of two steps: what one lane of 64 bits takes differences of
constexpr int kWinogradTiles = 8;     // whose transformed codes lie side by side
constexpr int kTilePixels = 16;  // of a row that are computed together, at most; those behind its end are dropped
constexpr int32_t kNone = -1;

enum Operation : int32_t {
  IMAGE, INTEGER_CONV, FLOAT_CONV, TAKE, AVERAGE, MAXIMUM, CHOOSE, DIFFERENCE_CONV, WINOGRAD_CONV,
  DEPTHWISE_CONV
};

struct Header {
  int32_t magic, version;
  int32_t channels, height, width;  // of an image
  int32_t classes, logits;          // length of the result and the buffer that it is in
  int32_t decisions, choices;       // number of what an image chooses, and the buffer with the candidates' numbers
  int32_t buffers, buffer_count;    // index in the int32 array, number
  int32_t instructions, instruction_count;
  int32_t arena;     // bytes of the buffers that a thread has once
  int32_t image;     // bytes of the buffers that each image of a group has, behind them
  int32_t scratch;   // bytes that a thread needs besides
  int32_t together;  // instructions from this one on are computed for all images of a group before the next one
};

struct Buffer {
  int32_t element;  // bytes of an element: 1 (codes) or 4 (float32)
  int32_t offset;   // in the arena, bytes
  int32_t image;    // bytes to the place of the next image of a group; 0: one place for all
  int32_t height, width, channels;
  int32_t stride;  // elements from pixel to pixel
  int32_t border;  // pixels of zeros on each side
};

struct Instruction {
  int32_t operation, source;                // of the operation
  int32_t height, width, filters;           // of its result
  int32_t kernel_height, kernel_width, stride, padding;
  int32_t weights;                          // index of the first byte (integer) or float
  int32_t blocks, block_count;              // index in the int32 array; integer convolutions
  int32_t before;                           // channels of zeros before those of the source; TAKE
  int32_t candidates;                       // of each decision; CHOOSE
  int32_t decision, candidate;              // of the images that the instruction is for; none: of all
  int32_t sum_offset;                       // integers from 0 up that are subtracted from sums of differences
  int32_t scale, residual, relu, store;     // the tail, in the order in which it computes
  int32_t norm, active, steps, top, multiplier, planes, codes;
  int32_t grid_decision;                    // steps, top and multiplier are those of the choice; none: one of each
};

// A block is (multiplier, number of runs) and its runs. A run is `steps` times 4 bytes from `offset` on, relative to
// the first tap of the output pixel.
struct Run {
  int32_t offset, steps;
};

// Of WINOGRAD_CONV, `blocks` is the place of: what is added to transformed codes, what that adds to four times the sums
// (2 x 2, padded filters), and of each of the 16 positions the number of blocks and these.

struct Program {
  const int32_t* words;
  const int8_t* weights;
  const float* constants;

  const Header& header() const { return *reinterpret_cast<const Header*>(words); }
  const Buffer& buffer(int32_t i) const {
    return reinterpret_cast<const Buffer*>(words + header().buffers)[i];
  }
  const Instruction& instruction(int32_t i) const {
    return reinterpret_cast<const Instruction*>(words + header().instructions)[i];
  }
};

constexpr int kImagesTogether = 4;  // of a group at most: their weights are read once

// The memory of a call, as one image of a group sees it, and what is computed of an instruction.
struct Arena {
  uint8_t* memory;
  uint8_t* scratch;  // of the thread
  int64_t image = 0;  // number in the group
  int part = 0, parts = 1;
};

class Team;

// The logits of `count` images, and their choices.
struct Task {
  const float* images;
  int count;
  float* logits;
  uint8_t* memory;  // of memory_of(header, count, members of the team) bytes, from a line of the cache on
  Team* team = nullptr;            // shares larger instructions; null: the caller computes alone
  int64_t* nanoseconds = nullptr;  // of each instruction, which its time is added to
};

using RunImages = void (*)(const Program&, const Task&);

inline int64_t memory_of(const Header& header, int count, int threads = 1) {
  return int64_t{header.scratch} * threads + header.arena + int64_t{header.image} * count;
}

void run_images_plain(const Program&, const Task&);
void run_images_avx2(const Program&, const Task&);
void run_images_vnni(const Program&, const Task&);
void run_images_neon(const Program&, const Task&);
void run_images_neon_dot(const Program&, const Task&);

// The fastest that the processor has, and its name.
RunImages fastest(const char** name);

}  // namespace engine
}  // namespace lowbit
