// The fast form of a program that a file gives and the validator has passed: 3 x 3 convolutions whose sums Winograd's
// algorithm gives with fewer multiplications have its weights and blocks, winograd.py, and the same results.
//
// What compile_network packs without `plain` is packed here by the same rules, from the weights of the direct form.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime_file.h"

namespace lowbit {
namespace engine {

class FastForm {
 public:
  // `file` has passed Validator::check, and is changed. What is added takes at most `budget` bytes; layers beyond it stay
  // as they are.
  FastForm(RuntimeFile& file, int64_t budget);

 private:
  struct Layer;

  RuntimeFile& file_;
  int64_t budget_, work_;
  std::vector<int32_t> words_;     // behind those of the file
  std::vector<int8_t> weights_;
  std::vector<int32_t> direct_, position_;  // of a layer, kept for the next one
  int64_t scratch_ = 0;

  Instruction& instruction(int32_t i);
  bool is_candidate(int32_t i) const;
  std::vector<int32_t> largest_codes(int32_t i) const;
  bool read_direct(Layer& layer);
  bool pack(Layer& layer);
  bool pack_position(Layer& layer, int position, std::vector<int64_t>& corrections);
  std::vector<bool> transform(const Layer& layer, int position);
  void take(int32_t i, const Layer& layer);
};

}  // namespace engine
}  // namespace lowbit
