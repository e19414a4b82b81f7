// A cursor over the bytes of a runtime file that never leaves them.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

namespace lowbit {
namespace engine {

// Why a file is not taken, in one line; what it is of and what to do are added by whoever catches it.
class Refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool right, const char* what) {
  if (!right) throw Refusal(what);
}

class Reader {
 public:
  Reader(const uint8_t* data, int64_t size) : at_(data), end_(data + size) {}

  int64_t left() const { return end_ - at_; }

  const uint8_t* bytes(int64_t count) {
    require(count >= 0 && count <= left(), "it ends too early");
    const uint8_t* start = at_;
    at_ += count;
    return start;
  }

  // A LEB128 number of at most `most`.
  int64_t number(int64_t most) {
    uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const uint8_t byte = *bytes(1);
      value |= uint64_t{byte & 127u} << shift;
      if (byte < 128) {
        require(value <= static_cast<uint64_t>(most), "a number is too large");
        return static_cast<int64_t>(value);
      }
    }
    throw Refusal("a number is too long");
  }

  int32_t signed_number() {
    const int64_t value = number(0xffffffff);
    return static_cast<int32_t>(value & 1 ? -(value >> 1) - 1 : value >> 1);
  }

  template <class T>
  T value() {
    T result;
    std::memcpy(&result, bytes(sizeof result), sizeof result);
    return result;
  }

  // UTF-8 without control characters: what may stand in a line.
  std::string text() {
    const int64_t size = number(left());
    const std::string result(reinterpret_cast<const char*>(bytes(size)), size);
    for (size_t i = 0; i < result.size(); i += character(result, i)) continue;
    return result;
  }

 private:
  const uint8_t *at_, *end_;

  // Bytes of the character at i.
  static size_t character(const std::string& text, size_t i) {
    const auto byte = [&](size_t j) { return j < text.size() ? static_cast<uint8_t>(text[j]) : 0u; };
    const uint32_t first = byte(i);
    if (first >= 0x20 && first < 0x7f) return 1;
    const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    uint32_t code = first & (0x3fu >> more);
    bool right = first >= 0xc2 && first <= 0xf4;
    for (int j = 1; j <= more; ++j) {
      right = right && (byte(i + j) & 0xc0) == 0x80;
      code = code << 6 | (byte(i + j) & 0x3f);
    }
    const uint32_t least[] = {0xa0, 0x800, 0x10000};  // also no second set of control characters
    right = right && code >= least[more - 1] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    require(right && code != 0x2028 && code != 0x2029, "a text is no line of UTF-8");
    return 1 + more;
  }
};

// Indices of a few bits each, from the lowest bit of the first byte on.
class Bits {
 public:
  Bits(const uint8_t* data, int64_t size) : data_(data), size_(size) {}

  uint32_t take(int width) {
    while (count_ < width) {
      // The caller has made sure that there are as many bits as are taken.
      held_ |= uint64_t{place_ < size_ ? data_[place_] : 0u} << count_;
      ++place_;
      count_ += 8;
    }
    const uint32_t result = static_cast<uint32_t>(held_ & ((uint64_t{1} << width) - 1));
    held_ >>= width;
    count_ -= width;
    return result;
  }

 private:
  const uint8_t* data_;
  int64_t size_, place_ = 0;
  uint64_t held_ = 0;
  int count_ = 0;
};

}  // namespace engine
}  // namespace lowbit
