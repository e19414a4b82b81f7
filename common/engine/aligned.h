// Memory that begins at a line of the cache: zeros.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

namespace lowbit {
namespace engine {

template <class T>
class Aligned {
 public:
  // Throws std::bad_alloc.
  explicit Aligned(int64_t count)
      : data_(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{64}))), count_(count) {
    if (count) std::memset(data_, 0, count * sizeof(T));
  }
  Aligned() : Aligned(0) {}
  Aligned(const Aligned&) = delete;
  Aligned(Aligned&& other) noexcept : data_(other.data_), count_(other.count_) { other.data_ = nullptr; }
  Aligned& operator=(Aligned&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~Aligned() { ::operator delete(data_, std::align_val_t{64}); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return count_; }

 private:
  T* data_;
  int64_t count_;
};

}  // namespace engine
}  // namespace lowbit
