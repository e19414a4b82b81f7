// A runtime file in memory, FORMAT.md: what it says of itself and the three arrays of its program.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "aligned.h"
#include "layer_tables.h"
#include "program.h"
#include "reader.h"
#include "sha256.h"

namespace lowbit {
namespace engine {

constexpr char kFileMark[] = "LOWBITNN";
constexpr int64_t kMarkBytes = 8, kDigestBytes = 32;
constexpr uint32_t kFileVersion = 1;
// What may be expanded of a file: weights of 1 bit in 2 limbs are 16 times what they take, filters of a group that is
// not full up to 16 times.
constexpr int64_t kExpansion = 64, kExpansionBytes = 1 << 16;

struct About {
  std::string producer, network, method, dataset, interpolation;
  double accuracy = 0, mean[3] = {}, deviation[3] = {};
  int64_t samples = 0, resize = 0;
  std::vector<std::string> classes;
};

struct RuntimeFile {
  About about;
  Aligned<int32_t> words;
  Aligned<int8_t> weights;
  Aligned<float> constants;

  Program program() const { return {words.data(), weights.data(), constants.data()}; }
};

inline About read_about(Reader& reader) {
  About about;
  about.producer = reader.text();
  about.network = reader.text();
  about.method = reader.text();
  about.dataset = reader.text();
  about.accuracy = reader.value<double>();
  about.samples = reader.number(INT32_MAX);
  about.resize = reader.number(UINT16_MAX);
  about.interpolation = reader.text();
  for (double& mean : about.mean) mean = reader.value<double>();
  for (double& deviation : about.deviation) deviation = reader.value<double>();
  require(about.accuracy >= 0 && about.accuracy <= 1, "its accuracy is no share");
  for (int c = 0; c < 3; ++c) {
    const bool right = std::isfinite(about.mean[c]) && std::isfinite(about.deviation[c]) && about.deviation[c] > 0;
    require(right, "mean or deviation of its images is no number");
  }
  const int64_t count = reader.number(reader.left());
  about.classes.reserve(count);
  for (int64_t i = 0; i < count; ++i) about.classes.push_back(reader.text());
  return about;
}

// Memory for `count` elements; `budget` is what is left of the bytes that the file's size justifies.
template <class T>
Aligned<T> expanded(Reader& reader, int64_t& budget) {
  const int64_t count = reader.number(INT32_MAX);
  budget -= count * static_cast<int64_t>(sizeof(T));
  require(budget >= 0, "it says that it holds more than its size can");
  return Aligned<T>(count);
}

inline RuntimeFile read_body(Reader& reader, int64_t budget) {
  RuntimeFile file;
  file.about = read_about(reader);
  file.words = expanded<int32_t>(reader, budget);
  for (int64_t i = 0; i < file.words.size(); ++i) file.words.data()[i] = reader.signed_number();
  file.weights = expanded<int8_t>(reader, budget);
  read_parts(reader, file.weights.data(), file.weights.size());
  file.constants = expanded<float>(reader, budget);
  read_parts(reader, file.constants.data(), file.constants.size());
  require(reader.left() == 0, "bytes follow its end");
  return file;
}

// Throws Refusal or std::bad_alloc. The program is not checked, see validate.h.
inline RuntimeFile read_file(const uint8_t* data, int64_t size) {
  Reader reader(data, size);
  require(size >= kMarkBytes && !std::memcmp(reader.bytes(kMarkBytes), kFileMark, kMarkBytes),
          "it is no runtime file, which export.py --format lowbit writes");
  const uint32_t version = reader.value<uint32_t>();
  if (version > kFileVersion) {
    throw Refusal("its format has version " + std::to_string(version) + ", known is " + std::to_string(kFileVersion) +
                  "; take a newer lowbitzoo");
  }
  require(version == kFileVersion, "its format has no version");
  const int64_t body = reader.left() - kDigestBytes;
  require(body >= 0, "it ends too early");
  const Sha256::Digest digest = Sha256::of(data, size - kDigestBytes);
  require(!std::memcmp(digest.data(), data + size - kDigestBytes, kDigestBytes),
          "its checksum does not fit: it is damaged");
  Reader inside(reader.bytes(body), body);
  return read_body(inside, kExpansion * size + kExpansionBytes);
}

}  // namespace engine
}  // namespace lowbit
