// Runs programs from standard input in every instruction set that the processor has, for tests under an emulator.
//
// A program is 6 numbers of 64 bits (int32 words, bytes of weights, floats of constants, floats of images, images,
// floats of results) and its arrays. Of each instruction set the name, a newline and the results are written.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

extern "C" {
int RunProgram(const int32_t*, const int8_t*, const float*, const float*, int64_t, float*, const char*, int64_t*);
const char* InstructionSetName(int);
}

template <class Value>
std::vector<Value> values(int64_t count) {
  std::vector<Value> made(count + 64);
  if (std::fread(made.data(), sizeof(Value), count, stdin) != static_cast<size_t>(count)) made.clear();
  return made;
}

int main() {
  int64_t sizes[6];
  while (std::fread(sizes, 8, 6, stdin) == 6) {
    const auto words = values<int32_t>(sizes[0]);
    const auto weights = values<int8_t>(sizes[1]);
    const auto constants = values<float>(sizes[2]), images = values<float>(sizes[3]);
    for (int i = 0; const char* name = InstructionSetName(i); ++i) {
      std::vector<float> results(sizes[5]);
      if (RunProgram(words.data(), weights.data(), constants.data(), images.data(), sizes[4], results.data(), name,
                     nullptr))
        return 1;
      std::printf("%s\n", name);
      std::fwrite(results.data(), 4, results.size(), stdout);
    }
  }
}
