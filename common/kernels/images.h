// Which images of a batch take which filters, and what is done with the values of an image as they are read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace lowbit {

// Images that share filters.
struct Part {
  const float* w;
  std::vector<int64_t> images;  // their numbers in the batch
};
using Parts = std::vector<Part>;

inline Parts all_images(int64_t count, const float* w) {
  Part part{w, {}};
  for (int64_t n = 0; n < count; ++n) part.images.push_back(n);
  return {part};
}

// Work on some images (or pixels of them, one after the other) of one part.
struct PartItem {
  int64_t part, first, count;
};

// All images (of `units` pixels each), at most `together` of the units in an item.
inline std::vector<PartItem> part_items(const Parts& parts, int64_t units, int64_t together) {
  std::vector<PartItem> items;
  for (size_t part = 0; part < parts.size(); ++part) {
    const int64_t count = static_cast<int64_t>(parts[part].images.size()) * units;
    for (int64_t first = 0; first < count; first += together)
      items.push_back({static_cast<int64_t>(part), first, std::min(together, count - first)});
  }
  return items;
}

// Values of image n are used as they are read. What changes them leaves 0, for borders, as it is.
struct AsRead {
  void operator()(int64_t /* n */, float* /* values */, int64_t /* count */) const {}
};

}  // namespace lowbit
