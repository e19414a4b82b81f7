// Buffers that begin at a cache line: a vector that crosses two of them costs two loads. Without a value to begin with
// they hold anything, so that what is written before it is read is not written twice.
#pragma once

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

namespace lowbit {

template <class T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  CacheLineAllocator() = default;
  template <class U>
  CacheLineAllocator(const CacheLineAllocator<U>&) {}

  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* values, std::size_t) { ::operator delete(values, kLine); }
  template <class U, class... Value>
  void construct(U* at, Value&&... value) {
    if constexpr (sizeof...(Value) == 0)
      ::new (static_cast<void*>(at)) U;
    else
      ::new (static_cast<void*>(at)) U(std::forward<Value>(value)...);
  }
  bool operator==(const CacheLineAllocator&) const { return true; }
  bool operator!=(const CacheLineAllocator&) const { return false; }
};

using Floats = std::vector<float, CacheLineAllocator<float>>;

}  // namespace lowbit
