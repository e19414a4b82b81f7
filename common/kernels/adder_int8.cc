// Adder convolution on unsigned bytes, with the quantization of its input before and an affine map per filter,
// a residual and ReLU after it:
//
//   q [n,c,p,q]  = round(clip(x[n,c,p,q] / step, 0, qmax))                 round half to even
//   S [n,f,i,j]  = sum_{c,u,v} | q[n,c,i s+u,j s+v] - k[f,c,u,v] |         exact integers
//   y [n,f,i,j]  = a[f] (S[n,f,i,j] - o[f]) + b[f]  (+ residual[n,f,i,j])  (then max(y, 0))
//
// Filters are in groups; each group has its own step, so the input is quantized once per distinct step. One image
// is worked on at a time: its integer form stays in the cache and the memory used does not grow with the batch.
#include <vector>

#include "geometry.h"
#include "parallel.h"
#include "sad.h"
#include "simd.h"

namespace lowbit {
namespace {

constexpr int kCell = 8;  // channels per cell

// What the caller asks of the map behind the sums.
struct Options {
  bool residual, relu;
};

// Filters of one group, padded to whole register tiles by repeating the last filter.
struct Group {
  float step;
  std::vector<int64_t> filters;
  std::vector<uint8_t> codes;  // [tile][cell][ky][kx][kFilters][8]
};

std::vector<Group> make_groups(const Geometry& g, const uint8_t* codes, const uint8_t* group, const float* steps,
                               int64_t group_count) {
  const int64_t cells = (g.c + kCell - 1) / kCell, taps = g.kh * g.kw;
  std::vector<Group> groups;
  for (int64_t i = 0; i < group_count; ++i) {
    Group out{steps[i], {}, {}};
    for (int64_t f = 0; f < g.f; ++f)
      if (group[f] == i) out.filters.push_back(f);
    if (out.filters.empty()) continue;
    const int64_t padded = round_up(out.filters.size(), Sad::kFilters);
    out.codes.assign(padded * cells * taps * kCell, 0);
    for (int64_t j = 0; j < padded; ++j) {
      const int64_t f = out.filters[std::min<int64_t>(j, out.filters.size() - 1)];
      for (int64_t c = 0; c < g.c; ++c)
        for (int64_t t = 0; t < taps; ++t) {
          const int64_t tile = j / Sad::kFilters, step = (tile * cells + c / kCell) * taps + t;
          out.codes[(step * Sad::kFilters + j % Sad::kFilters) * kCell + c % kCell] = codes[(f * g.c + c) * taps + t];
        }
    }
    groups.push_back(std::move(out));
  }
  return groups;
}

// Quantizes kLanes pixels of up to 8 channels into as many cells. Adding 2^23 leaves the rounded value in the low
// mantissa bits (round half to even, the processor's default).
void quantize_cells(const float* const* rows, int64_t channels, float step, float qmax, uint64_t* cells) {
  using V = Vec<kLanes>;
  const auto zero = V::broadcast(0.f), top = V::broadcast(qmax);
  V::Int half[2] = {};
  for (int64_t c = 0; c < channels; ++c) {
    const auto scaled = V::clip(V::load(rows[c]) / step, zero, top) + 8388608.f;
    half[c / 4] |= (reinterpret_cast<V::Int>(scaled) & 0xff) << int(c % 4 * 8);
  }
  for (int i = 0; i < kLanes; ++i)
    cells[i] = uint64_t(uint32_t(half[0][i])) | uint64_t(uint32_t(half[1][i])) << 32;
}

// One image as bytes: [cell][row][phase][segment] cells of 8 channels; zeros around and in missing channels.
class ByteImage {
 public:
  explicit ByteImage(const Geometry& g)
      : row_(round_up(g.w, kLanes) * kCell, 0.f), line_(round_up(g.w, kLanes)),
        cells_((g.c + kCell - 1) / kCell * g.plane_size() + Sad::kCells, 0) {}

  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(cells_.data()); }

  void quantize(const Geometry& g, const float* image, float step, float qmax) {
    const int64_t width = round_up(g.w, kLanes);
    for (int64_t c0 = 0; c0 < g.c; c0 += kCell) {
      const int64_t channels = std::min<int64_t>(kCell, g.c - c0);
      for (int64_t y = 0; y < g.h; ++y) {
        for (int64_t x = 0; x < width; x += kLanes) {
          const float* rows[kCell];
          for (int64_t c = 0; c < channels; ++c) rows[c] = pixels(g, image, c0 + c, y, x, row_.data() + c * width);
          quantize_cells(rows, channels, step, qmax, line_.data() + x);
        }
        uint64_t* out = cells_.data() + c0 / kCell * g.plane_size() + (y + g.pad) * g.row_size();
        if (g.stride == 1) {
          std::copy_n(line_.data(), g.w, out + g.pad);
        } else {
          for (int64_t x = 0; x < g.w; ++x) out[g.column(x + g.pad)] = line_[x];
        }
      }
    }
  }

 private:
  // Pixels x, x + 1, ... of a row: in place, or a copy where a vector would reach beyond the row.
  static const float* pixels(const Geometry& g, const float* image, int64_t c, int64_t y, int64_t x, float* copy) {
    const float* from = image + (c * g.h + y) * g.w + x;
    if (x + kLanes <= g.w) return from;
    std::copy_n(from, g.w - x, copy);
    return copy;
  }

  std::vector<float> row_;
  std::vector<uint64_t> line_, cells_;
};

// Sums of one register tile: kFilters filters at kVectors vectors of output pixels.
void sad_tile(const uint8_t* const* x, const std::vector<int64_t>& offsets, const uint8_t* codes,
              int32_t (&out)[Sad::kFilters][Sad::kVectors][Sad::kCells]) {
  Sad::Sums acc[Sad::kFilters][Sad::kVectors];
  for (auto& row : acc)
    for (auto& sums : row) sums = Sad::zero();
  for (int64_t offset : offsets) {
    Sad::Cells v[Sad::kVectors];
    for (int j = 0; j < Sad::kVectors; ++j) v[j] = Sad::load(x[j] + offset);
    for (int f = 0; f < Sad::kFilters; ++f) {
      const auto w = Sad::broadcast(codes + f * kCell);
      for (int j = 0; j < Sad::kVectors; ++j) acc[f][j] = Sad::accumulate(acc[f][j], v[j], w);
    }
    codes += Sad::kFilters * kCell;
  }
  for (int f = 0; f < Sad::kFilters; ++f)
    for (int j = 0; j < Sad::kVectors; ++j) Sad::store(out[f][j], acc[f][j]);
}

// The map of a filter: a (S - o) + b.
struct Affine {
  float a, b;
  int32_t o;

  // Of filter f; `rows` are (3, filters).
  Affine(const float* rows, int64_t filters, int64_t f)
      : a(rows[f]), b(rows[filters + f]), o(static_cast<int32_t>(rows[2 * filters + f])) {}
};

void finish(const int32_t* sums, int64_t count, Affine map, const float* residual, bool relu, float* y) {
  for (int64_t i = 0; i < count; ++i) {
    float value = map.a * float(sums[i] - map.o) + map.b;
    if (residual) value += residual[i];
    y[i] = relu && value < 0 ? 0.f : value;
  }
}

void convolve_group(const Geometry& g, const uint8_t* image, const Group& group, const std::vector<int64_t>& offsets,
                    const float* affine, const float* residual, Options options, float* y) {
  const int64_t per_row = (g.ow + Sad::kCells - 1) / Sad::kCells, vectors = g.oh * per_row;
  const int64_t tile_size = offsets.size() * Sad::kFilters * kCell, filters = group.filters.size();
  for (int64_t f0 = 0; f0 < filters; f0 += Sad::kFilters)
    for (int64_t v0 = 0; v0 < vectors; v0 += Sad::kVectors) {
      const uint8_t* x[Sad::kVectors];
      for (int j = 0; j < Sad::kVectors; ++j) {
        const int64_t v = std::min(v0 + j, vectors - 1);
        x[j] = image + (v / per_row * g.stride * g.row_size() + v % per_row * Sad::kCells) * kCell;
      }
      int32_t sums[Sad::kFilters][Sad::kVectors][Sad::kCells];
      sad_tile(x, offsets, group.codes.data() + f0 / Sad::kFilters * tile_size, sums);
      for (int64_t i = f0; i < std::min(f0 + Sad::kFilters, filters); ++i)
        for (int64_t v = v0; v < std::min(v0 + Sad::kVectors, vectors); ++v) {
          const int64_t f = group.filters[i], ox = v % per_row * Sad::kCells;
          const int64_t at = (f * g.oh + v / per_row) * g.ow + ox;
          finish(sums[i - f0][v - v0], std::min<int64_t>(Sad::kCells, g.ow - ox), Affine(affine, g.f, f),
                 options.residual ? residual + at : nullptr, options.relu, y + at);
        }
    }
}

// Byte offsets of all (cell, ky, kx).
std::vector<int64_t> cell_offsets(const Geometry& g) {
  std::vector<int64_t> offsets;
  for (int64_t cell = 0; cell < (g.c + kCell - 1) / kCell; ++cell)
    for (int64_t ky = 0; ky < g.kh; ++ky)
      for (int64_t kx = 0; kx < g.kw; ++kx) offsets.push_back((cell * g.plane_size() + g.tap(ky, kx)) * kCell);
  return offsets;
}

}  // namespace
}  // namespace lowbit

// Inputs: x (N,C,H,W) float32; codes (F,C,KH,KW) uint8; group (F) uint8; steps (G) float32, one per group; qmax (1)
// float32; affine (3,F) float32 (a, b, o); residual (N,F,OH,OW) float32, or any tensor where it is not used; int32
// [stride, padding, use residual, ReLU]. Output y (N,F,OH,OW) float32.
extern "C" int AdderInt8(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  using namespace lowbit;
  const auto* x = static_cast<const float*>(p[0]);
  const auto* settings = static_cast<const int32_t*>(p[7]);
  const float qmax = *static_cast<const float*>(p[4]);
  auto* y = static_cast<float*>(p[8]);
  const Geometry g(shapes[0], shapes[1], settings, kLanes);
  const Options options{settings[2] != 0, settings[3] != 0};
  const auto groups = make_groups(g, static_cast<const uint8_t*>(p[1]), static_cast<const uint8_t*>(p[2]),
                                  static_cast<const float*>(p[3]), shapes[3][0]);
  const auto offsets = cell_offsets(g);
  const int64_t in_size = g.c * g.h * g.w, out_size = g.f * g.oh * g.ow;
  parallel_for(g.n, [&] {
    return [&, image = ByteImage(g)](int64_t n) mutable {
      const float* residual = options.residual ? static_cast<const float*>(p[6]) + n * out_size : nullptr;
      float step = 0;  // no group has it: steps are positive
      for (const Group& group : groups) {
        if (group.step != step) image.quantize(g, x + n * in_size, step = group.step, qmax);
        convolve_group(g, image.data(), group, offsets, static_cast<const float*>(p[5]), residual, options,
                       y + n * out_size);
      }
    };
  });
  return 0;
}

// The instruction set that the sums use: "avx512", "avx2" or "plain".
extern "C" const char* SadName() { return lowbit::Sad::kName; }
