// Mutates runtime files in process, under sanitizers: driver SEED FIRST COUNT FILE...
//
// Of ten mutations four damage bytes, which the checksum must notice; three damage bytes and make the checksum right
// again; three change numbers of the program itself. What is accepted runs on every instruction set, which must agree.
// Prints counts; ends with status 1 and a line at a fault, and as the sanitizers do at theirs.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "../../common/engine/fast_form.h"
#include "../../common/engine/lowbit.h"
#include "../../common/engine/runtime_file.h"
#include "../../common/engine/validator.h"

using namespace lowbit::engine;
using Bytes = std::vector<uint8_t>;

namespace {

int64_t allocated = 0;  // bytes, since it was last set to 0
constexpr int64_t kAllocationsPerByte = 256, kAllocations = 1 << 20;
constexpr int64_t kMostWork = 3000000, kMostMemory = 1 << 24;  // of an image that is computed

void* counted(std::size_t size, std::size_t alignment) {
  allocated += static_cast<int64_t>(size);
  void* memory = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
  if (!memory) throw std::bad_alloc();
  return memory;
}

struct Counts {
  int64_t refused = 0, opened = 0, computed = 0;
};

void fault(const char* what, int64_t number) {
  std::printf("fault: %s, number %lld\n", what, static_cast<long long>(number));
  std::exit(1);
}

class Mutator {
 public:
  Mutator(uint64_t seed, int64_t number) : random_(seed * 1000003 + static_cast<uint64_t>(number)) {}

  int64_t below(int64_t count) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(count)); }

  int64_t interesting() {
    static const int64_t kNumbers[] = {0, 1, -1, 2, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1 << 20,
                                       1 << 24, INT32_MAX, INT32_MIN, INT32_MAX - 63, 1 << 30};
    return kNumbers[below(std::size(kNumbers))];
  }

  void damage(Bytes& data) {
    for (int64_t changes = 1 + below(4); changes && !data.empty(); --changes) {
      const int64_t size = static_cast<int64_t>(data.size());
      const int64_t place = below(3) ? below(size) : below(size < 256 ? size : 256);
      const int64_t length = 1 + below(size - place < 32 ? size - place : 32);
      switch (below(6)) {
        case 0: data[place] ^= static_cast<uint8_t>(1 << below(8)); break;
        case 1: data[place] = static_cast<uint8_t>(below(256)); break;
        case 2: data.erase(data.begin() + place, data.begin() + place + length); break;
        case 3: data.insert(data.begin() + place, length, static_cast<uint8_t>(below(256))); break;
        case 4: data.resize(place + 1); break;
        default: std::copy_n(data.begin() + below(size - length + 1), length, data.begin() + place); break;
      }
    }
  }

  // Numbers of the program: words, a weight to its limit, a constant to what is hard to compute with.
  void change(RuntimeFile& file) {
    for (int64_t changes = 1 + below(3); changes; --changes) {
      const int64_t kind = below(10);
      if (kind < 8 && file.words.size()) {
        int32_t& word = file.words.data()[below(file.words.size())];
        word = static_cast<int32_t>(kind < 3 ? interesting() : kind < 6 ? word + below(9) - 4 : word ^ 1 << below(31));
      } else if (kind == 8 && file.weights.size()) {
        file.weights.data()[below(file.weights.size())] = static_cast<int8_t>(below(2) ? 127 : -128);
      } else if (file.constants.size()) {
        static const float kHard[] = {0.0f, -1.0f, 1e38f, -1e38f, INFINITY, NAN, 0.5f, 256.0f, 255.4f, 65536.0f};
        file.constants.data()[below(file.constants.size())] = kHard[below(std::size(kHard))];
      }
    }
  }

  std::vector<float> image(int64_t size) {
    std::vector<float> values(size);
    for (float& value : values) value = static_cast<float>(below(2001) - 1000) / 300.0f;
    return values;
  }

 private:
  std::mt19937_64 random_;
};

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))) return false;
  return true;
}

// Two images, one after the other in the same memory and together where groups are computed, on all instruction sets,
// as the file has them and in the fast form.
bool computed(RuntimeFile& file, int64_t work, Mutator& mutator, int64_t number) {
  const Header h = file.program().header();
  if (work > kMostWork || int64_t{h.arena} + 2 * h.image > kMostMemory) return false;
  const int64_t size = int64_t{h.channels} * h.height * h.width, row = int64_t{h.classes} + h.decisions;
  const std::vector<float> images = mutator.image(2 * size);
  std::vector<std::vector<float>> results;
  std::vector<RunImages> sets = {run_images_plain};
  if (__builtin_cpu_supports("avx2")) sets.push_back(run_images_avx2);
  if (__builtin_cpu_supports("avx512vnni")) sets.push_back(run_images_vnni);
  for (const bool fast : {false, true}) {
    if (fast) FastForm(file, 1 << 20);
    const Program program = file.program();
    for (RunImages run : sets) {
      const int together = h.image ? 2 : 1;
      Aligned<uint8_t> memory(memory_of(program.header(), together));
      results.emplace_back(2 * row);
      for (int i = 0; i < 2; i += together)
        run(program, {images.data() + i * size, together, results.back().data() + i * row, memory.data()});
      if (!same(results.front(), results.back())) fault(fast ? "forms disagree" : "instruction sets disagree", number);
    }
  }
  return true;
}

// A file as a user opens it; null where it is refused, in one line.
lowbit_network* opened(const Bytes& data, int64_t number) {
  char error[512] = "";
  lowbit_network* network;
  allocated = 0;
  const int status = lowbit_open_memory(data.data(), data.size(), &network, error, sizeof error);
  if (allocated > kAllocationsPerByte * static_cast<int64_t>(data.size()) + kAllocations)
    fault("more memory than the file justifies", number);
  const bool line = error[0] && !std::strchr(error, '\n');
  if (status ? network || !line : !network) fault("not one line", number);
  return network;
}

void seal(Bytes& data) {
  if (data.size() < kDigestBytes) return;
  const Sha256::Digest digest = Sha256::of(data.data(), data.size() - kDigestBytes);
  std::copy(digest.begin(), digest.end(), data.end() - kDigestBytes);
}

void damage_bytes(Bytes data, Mutator& mutator, bool right_checksum, int64_t number, Counts& counts) {
  const Bytes intact = data;
  mutator.damage(data);
  if (right_checksum) seal(data);
  lowbit_network* network = opened(data, number);
  ++(network ? counts.opened : counts.refused);
  if (!network) return;
  if (!right_checksum && data != intact) fault("changed in silence", number);
  lowbit_close(network);
  RuntimeFile file = read_file(data.data(), static_cast<int64_t>(data.size()));
  counts.computed += computed(file, Validator(file).check(), mutator, number);
}

void change_program(const Bytes& data, Mutator& mutator, int64_t number, Counts& counts) {
  RuntimeFile file = read_file(data.data(), static_cast<int64_t>(data.size()));
  mutator.change(file);
  int64_t work = 0;
  try {
    work = Validator(file).check();
  } catch (const Refusal&) {
    ++counts.refused;
    return;
  }
  ++counts.opened;
  counts.computed += computed(file, work, mutator, number);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) { return counted(size, std::size_t(alignment)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  const int64_t first = std::atoll(argv[2]), count = std::atoll(argv[3]);
  std::vector<Bytes> files;
  for (int i = 4; i < argc; ++i) {
    std::ifstream stream(argv[i], std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    lowbit_network* network = opened(files.back(), -1);
    if (!network) fault("an intact file is refused", i);
    lowbit_close(network);
  }
  Counts counts;
  for (int64_t number = first; number < first + count; ++number) {
    Mutator mutator(seed, number);
    const Bytes& data = files[mutator.below(static_cast<int64_t>(files.size()))];
    const int64_t kind = mutator.below(10);
    if (kind < 7)
      damage_bytes(data, mutator, kind >= 4, number, counts);
    else
      change_program(data, mutator, number, counts);
  }
  std::printf("mutations %lld refused %lld opened %lld computed %lld\n", static_cast<long long>(count),
              static_cast<long long>(counts.refused), static_cast<long long>(counts.opened),
              static_cast<long long>(counts.computed));
  return 0;
}
