// 3 x 3 convolutions of stride 1 by Winograd's F(2 x 2, 3 x 3) in integers; winograd.py has the equations.
//
// Some tiles at a time: their codes are transformed (bytes, [8 tiles' chunk][position][8][channels], in the scratch
// memory of the thread), then each position is a convolution of 1 x 1 pixels by the tile of the instruction set, and
// the 16 sums of a tile and filter become 2 x 2 sums, which go to the tail.
#pragma once

#include <algorithm>

#include "integer_conv.h"

namespace {

constexpr int kPositions = 16;
constexpr int kChunk = kWinogradTiles;

// One of 16 convolutions, of all groups of filters.
struct Position {
  const int32_t* blocks;
  int count;
  int64_t weights;  // bytes from those of the first position
};

// An instruction of the program, read once.
struct Winograd {
  const Instruction& instruction;
  Images images;
  int64_t channels, tiles_of_row, tiles_of_image;
  uint8_t offset;  // of all positions but (1, 1)
  const int32_t* corrections;
  Position positions[kPositions];
  const int8_t* weights;
  int64_t group = 0;  // bytes of weights of 16 filters

  Winograd(const Program& program, const Instruction& of, Arena arena, int count)
      : instruction(of),
        images(program, of, arena, count),
        channels(program.buffer(of.source).stride),
        tiles_of_row((of.width + 1) / 2),
        tiles_of_image(tiles_of_row * ((of.height + 1) / 2)),
        weights(program.weights + of.weights) {
    const int32_t* words = program.words + of.blocks;
    offset = static_cast<uint8_t>(*words++);
    corrections = words;
    words += 4 * ((of.filters + kGroup - 1) / kGroup * kGroup);
    for (Position& position : positions) {
      position.count = *words++;
      position.blocks = words;
      position.weights = group;
      group += steps_of(words, position.count) * kStepTaps * kGroup;
    }
  }
};

// Of the results of a tile; tiles are counted over all images.
struct Place {
  int64_t image, y, x;
  Place(const Winograd& of, int64_t tile) {
    image = tile / of.tiles_of_image;
    y = tile % of.tiles_of_image / of.tiles_of_row * 2;
    x = tile % of.tiles_of_image % of.tiles_of_row * 2;
  }
};

// The 4 values of a column or row of codes: B^T.
template <class V>
struct Four {
  V v[4];
  Four(V a, V b, V c, V d) : v{a - c, b + c, c - b, b - d} {}
};

// 4 x 4 codes of BYTES channels to the 16 positions, `to` and every `next` bytes after it. Bytes wrap around.
template <class V>
inline void transform_codes(const uint8_t* from, int64_t row, int64_t pixel, uint8_t offset, uint8_t* to,
                            int64_t next) {
  const auto column = [&](int64_t x) {
    const uint8_t* p = from + x * pixel;
    return Four<V>(load_bytes<V>(p), load_bytes<V>(p + row), load_bytes<V>(p + 2 * row), load_bytes<V>(p + 3 * row));
  };
  const Four<V> a = column(0), b = column(1), c = column(2), d = column(3);
  const V added = offset - V{};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const Four<V> line(a.v[i], b.v[i], c.v[i], d.v[i]);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j, to += next) {
      const V value = i == 1 && j == 1 ? line.v[j] : line.v[j] + added;
      std::memcpy(to, &value, sizeof value);
    }
  }
}

template <class V>
__attribute__((noinline)) void transform_tiles(const Winograd& of, int64_t first, int64_t count, uint8_t* scratch) {
  const int64_t next = kChunk * of.channels, padding = of.instruction.padding;
  for (int64_t t = 0; t < count; ++t) {
    const Place place(of, first + t);
    const Pixels& input = of.images.inputs[place.image];
    const uint8_t* from = input.at(place.y - padding, place.x - padding);
    uint8_t* to = scratch + (t / kChunk * kPositions * kChunk + t % kChunk) * of.channels;
    for (int64_t c = 0; c < of.channels; c += sizeof(V))
      transform_codes<V>(from + c, input.row, input.pixel, of.offset, to + c, next);
  }
}

// As many channels at once as there are and a register has.
inline void transform_tiles(const Winograd& of, int64_t first, int64_t count, uint8_t* scratch) {
  if (kLanes >= 16 && of.channels % 64 == 0) return transform_tiles<Bytes<64>>(of, first, count, scratch);
  if (kLanes >= 8 && of.channels % 32 == 0) return transform_tiles<Bytes<32>>(of, first, count, scratch);
  transform_tiles<Bytes<16>>(of, first, count, scratch);
}

// A^T of 4 values, of which the first and the last hold a half.
struct Two {
  Int first, second;
  Two(Int a, Int b, Int c, Int d) : first(a + a + b + c), second(b - c - d - d) {}
};

// 16 sums of each of `count` tiles, `position` numbers apart, to rows of 2 x `count` pixels of 16 filters.
inline void sums_of_pixels(const int32_t* sums, int64_t position, int64_t count, const int32_t* corrections,
                           int64_t padded, int32_t* upper, int32_t* lower) {
  for (int64_t lane = 0; lane < kGroup; lane += kLanes) {
    Int added[4];
    for (int i = 0; i < 4; ++i) added[i] = load_int(corrections + i * padded + lane);
    for (int64_t t = 0; t < count; ++t) {
      const int32_t* from = sums + t * kGroup + lane;
      const auto row = [&](int i) {
        const int32_t* p = from + 4 * i * position;
        return Two(load_int(p), load_int(p + position), load_int(p + 2 * position), load_int(p + 3 * position));
      };
      const Two a = row(0), b = row(1), c = row(2), d = row(3);
      const Two left(a.first, b.first, c.first, d.first), right(a.second, b.second, c.second, d.second);
      const int64_t place = 2 * t * kGroup + lane;
      store_int(upper + place, (left.first + added[0]) >> 2);
      store_int(upper + place + kGroup, (right.first + added[1]) >> 2);
      store_int(lower + place, (left.second + added[2]) >> 2);
      store_int(lower + place + kGroup, (right.second + added[3]) >> 2);
    }
  }
}

// Hands tiles `first` to `first + count - 1`, row by row, to the tails.
inline void finish_tiles(const Winograd& of, int64_t filter, int64_t first, int64_t count, const int32_t* upper,
                         const int32_t* lower) {
  for (int64_t t = 0; t < count;) {
    const Place place(of, first + t);
    const Tail& tail = of.images.tails[place.image];
    const int64_t tiles = std::min(count - t, of.tiles_of_row - place.x / 2);
    const int pixels = static_cast<int>(std::min(2 * tiles, of.instruction.width - place.x));
    finish(tail, filter, place.y, place.x, pixels, upper + 2 * t * kGroup);
    if (place.y + 1 < of.instruction.height)
      finish(tail, filter, place.y + 1, place.x, pixels, lower + 2 * t * kGroup);
    t += tiles;
  }
}

// G groups of filters from `first` on, of `count` transformed tiles of which `tile` is the first.
template <class Sums, int G>
void filters_of_tiles(const Winograd& of, int64_t first, int64_t tile, int64_t count, const uint8_t* scratch) {
  constexpr int64_t kTiles = Sums::kPixels < kChunk ? Sums::kPixels : kChunk;
  alignas(64) int32_t sums[kPositions * G * kTiles * kGroup];
  alignas(64) int32_t upper[2 * kTiles * kGroup], lower[2 * kTiles * kGroup];
  for (int64_t t = 0; t < count; t += kTiles) {
    const int64_t tiles = std::min(kTiles, count - t);
    const uint8_t* codes = scratch + (t / kChunk * kPositions * kChunk + t % kChunk) * of.channels;
    const int8_t* weights = of.weights + first / kGroup * of.group;
    int64_t stride = 0;
    for (int i = 0; i < kPositions; ++i) {
      const Position& position = of.positions[i];
      stride = sums_of<Sums, G>(tiles, codes + i * kChunk * of.channels, of.channels, position.blocks, position.count,
                                weights + position.weights, of.group, sums + i * G * kTiles * kGroup);
    }
    for (int g = 0; g < G; ++g) {
      const int64_t filter = first + g * kGroup;
      sums_of_pixels(sums + g * stride * kGroup, G * kTiles * kGroup, tiles, of.corrections + filter,
                     of.images.tails[0].padded, upper, lower);
      finish_tiles(of, filter, tile + t, tiles, upper, lower);
    }
  }
}

template <class Sums>
void winograd_conv(const Program& program, const Instruction& instruction, Arena arena, int images) {
  const Winograd of(program, instruction, arena, images);
  const int64_t chunk = kChunk * kPositions * of.channels, most = program.header().scratch / chunk * kChunk;
  const int64_t tiles = of.tiles_of_image * images, chunks = (tiles + kChunk - 1) / kChunk;
  const int64_t bytes = (instruction.filters + kGroup - 1) / kGroup * of.group;
  const Share share = share_of(chunks, instruction.filters, bytes, Sums::kGroups * kGroup, arena);
  const int64_t end = std::min(share.rows.end * kChunk, tiles);
  for (int64_t tile = share.rows.first * kChunk; tile < end; tile += most) {
    const int64_t count = std::min(most, end - tile);
    transform_tiles(of, tile, count, arena.scratch);
    for (int64_t first = share.filters.first; first < share.filters.end;) {
      const bool both = Sums::kGroups > 1 && first + kGroup < share.filters.end;
      const auto filters = both ? filters_of_tiles<Sums, Sums::kGroups> : filters_of_tiles<Sums, 1>;
      filters(of, first, tile, count, arena.scratch);
      first += (both ? 2 : 1) * kGroup;
    }
  }
}

}  // namespace
