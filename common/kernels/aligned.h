// Buffers that begin at a cache line: a vector that crosses two of them costs two loads.
#pragma once

#include <cstddef>
#include <new>
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
  bool operator==(const CacheLineAllocator&) const { return true; }
  bool operator!=(const CacheLineAllocator&) const { return false; }
};

using Floats = std::vector<float, CacheLineAllocator<float>>;

}  // namespace lowbit
