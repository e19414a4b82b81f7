// Arrays of a runtime file: layers as indices into tables of their values (tables.py), and plain numbers.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "program.h"
#include "reader.h"

namespace lowbit {
namespace engine {

enum Part : int64_t { TABLES, NUMBERS, REPEATED };
constexpr int64_t kStreams = 2;

// Values of one table: `width` bits choose among `count` entries of a number for each stream.
template <class T>
struct Table {
  const uint8_t* entries = nullptr;
  int64_t count = 0;  // 0: the bits are the value
  int width = 0;

  void read(Reader& reader, int64_t streams) {
    count = reader.number(1 << 16);
    require(count || streams == 1, "a table is empty");
    entries = reader.bytes(count * streams * static_cast<int64_t>(sizeof(T)));
    width = count ? 0 : 8 * sizeof(T);
    while (count && int64_t{1} << width < count) ++width;
  }
};

struct LayerShape {
  int64_t filters, taps, steps, streams;
  int64_t elements_of_step() const { return kGroup * taps; }
};

// [group][steps of the first stream, of the second][16 filters][taps] of a layer.
template <class T>
void fill(const LayerShape& shape, const std::vector<Table<T>>& tables, const std::vector<uint32_t>& table_of, Bits bits,
          T* to) {
  const int64_t stream = shape.steps * shape.elements_of_step();
  for (int64_t first = 0; first < shape.filters; first += kGroup, to += shape.streams * stream) {
    const int64_t left = shape.filters - first, real = left < kGroup ? left : kGroup;
    T* place = to;
    for (int64_t step = 0; step < shape.steps; ++step, place += shape.elements_of_step()) {
      for (int64_t i = 0; i < real * shape.taps; ++i) {
        const Table<T>& table = tables[table_of.empty() ? 0 : table_of[first + i / shape.taps]];
        const uint32_t index = bits.take(table.width);
        if (!table.count) {
          std::memcpy(place + i, &index, sizeof(T));  // little-endian
          continue;
        }
        require(index < table.count, "an index is outside of its table");
        for (int64_t s = 0; s < shape.streams; ++s)
          std::memcpy(place + s * stream + i, table.entries + (index * shape.streams + s) * sizeof(T), sizeof(T));
      }
    }
  }
}

// Returns the number of elements.
template <class T>
int64_t read_layer(Reader& reader, T* to, int64_t room) {
  LayerShape shape;
  shape.filters = reader.number(room);
  shape.taps = reader.number(kDifferenceTaps);
  shape.steps = reader.number(room);
  shape.streams = reader.number(kStreams);
  require(shape.filters && shape.taps && shape.steps && shape.streams, "a layer is empty");
  // Each factor is below 2^31; the product is compared without being computed where it would not fit.
  const int64_t padded = (shape.filters + kGroup - 1) / kGroup * kGroup;
  const int64_t per_filter = shape.steps * shape.taps * shape.streams;
  require(per_filter <= room / padded, "a layer is larger than its array");
  const int64_t count = reader.number(shape.filters);
  require(count > 0, "a layer has no table");
  require(count <= reader.left() && (count == 1 || shape.filters <= reader.left()), "it ends too early");
  std::vector<uint32_t> table_of(count > 1 ? shape.filters : 0);  // empty: all filters have the one table
  for (uint32_t& table : table_of) table = static_cast<uint32_t>(reader.number(count - 1));
  std::vector<Table<T>> tables(count);
  for (Table<T>& table : tables) table.read(reader, shape.streams);
  int64_t widths = count > 1 ? 0 : shape.filters * tables[0].width;
  for (uint32_t table : table_of) widths += tables[table].width;
  const int64_t bytes = (widths * shape.steps * shape.taps + 7) / 8;
  fill(shape, tables, table_of, Bits(reader.bytes(bytes), bytes), to);
  return padded * per_filter;
}

template <class T>
int64_t read_numbers(Reader& reader, T* to, int64_t room, bool repeated) {
  const int64_t count = reader.number(room), held = repeated ? 1 : count;
  require(count > 0, "a part is empty");
  const uint8_t* from = reader.bytes(held * static_cast<int64_t>(sizeof(T)));
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i, from + (repeated ? 0 : i) * sizeof(T), sizeof(T));
  return count;
}

// All parts of an array of `size` elements.
template <class T>
void read_parts(Reader& reader, T* to, int64_t size) {
  for (int64_t done = 0; done < size;) {
    const int64_t kind = reader.number(REPEATED);
    if (kind == TABLES)
      done += read_layer(reader, to + done, size - done);
    else
      done += read_numbers(reader, to + done, size - done, kind == REPEATED);
  }
}

}  // namespace engine
}  // namespace lowbit
