// The memory of the last runs: new pages cost a single image of 224 x 224 pixels a tenth of its time. What is in it does
// not matter, for instructions write all that they or others read.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "aligned.h"

namespace lowbit {
namespace engine {

class Spare {
 public:
  using Memory = std::unique_ptr<Aligned<uint8_t>>;

  // In the place of one of another size, so that there are no more than were in use at the same time. Throws
  // std::bad_alloc.
  Memory take(int64_t bytes) {
    Memory found;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      Memory* place = &kept_[0];
      for (Memory& memory : kept_)
        if (memory && (!*place || memory->size() == bytes)) place = &memory;
      found = std::move(*place);
    }
    if (found && found->size() == bytes) return found;
    found.reset();
    return std::make_unique<Aligned<uint8_t>>(bytes);
  }
  void give(Memory memory) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::swap(kept_[next_++ % kMost], memory);
  }

 private:
  static constexpr size_t kMost = 8;
  std::mutex mutex_;
  Memory kept_[kMost];
  size_t next_ = 0;
};

}  // namespace engine
}  // namespace lowbit
