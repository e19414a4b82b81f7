// Convolutions of G > 1 groups: the filters of group k see the channels of group k alone, w is (F, C / G, KH, KW).
//
//   y[n, group k] = conv(x[n, group k], w[group k])
//
// Depthwise ones, of one channel in a group, have kernels of their own. For others the images are rearranged from
// (N, G, ...) to (G, N, ...), so that each group is a batch, and the dense operators run on one group after the other.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "parallel.h"

// An operator of this library, by the interface of MindSpore's ops.Custom.
using Operator = int(int, void**, int*, int64_t**, const char**, void*, void*);
extern "C" Operator ConvForward, ConvGradInput, ConvGradWeight, DepthwiseForward, DepthwiseGradInput,
    DepthwiseGradWeight;

namespace lowbit {
namespace {

// (A, B, block) -> (B, A, block).
void swap_axes(int64_t a, int64_t b, int64_t block, const float* from, float* to) {
  parallel_for(a, [&] {
    return [&](int64_t i) {
      for (int64_t j = 0; j < b; ++j) std::copy_n(from + (i * b + j) * block, block, to + (j * a + i) * block);
    };
  });
}

// The tensors of all groups, one after the other, and the shape of each.
struct PerGroup {
  int64_t shape[4];
  std::vector<float> copy;
  float* data;

  int64_t size() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
};

struct Groups {
  int64_t count;

  explicit Groups(int64_t** shapes) : count(shapes[0][1] / shapes[1][1]) {}

  PerGroup weights(const int64_t* shape, void* values) const {
    return {{shape[0] / count, shape[1], shape[2], shape[3]}, {}, static_cast<float*>(values)};
  }

  // Room for images of (N, C, H, W).
  PerGroup room(const int64_t* shape) const {
    PerGroup made{{shape[0], shape[1] / count, shape[2], shape[3]}, {}, nullptr};
    made.copy.resize(made.size() * count);
    made.data = made.copy.data();
    return made;
  }

  PerGroup images(const int64_t* shape, const void* values) const {
    PerGroup made = room(shape);
    swap_axes(shape[0], count, made.size() / shape[0], static_cast<const float*>(values), made.data);
    return made;
  }

  void put_back(const PerGroup& made, void* to) const {
    swap_axes(count, made.shape[0], made.size() / made.shape[0], made.data, static_cast<float*>(to));
  }

  // `tensors`: the operator's, but for [stride, padding], which stand before the last, its output.
  void run(Operator* dense, std::vector<PerGroup*> tensors, void* stride_pad) const {
    int64_t two[1] = {2};
    for (int64_t k = 0; k < count; ++k) {
      std::vector<void*> params;
      std::vector<int64_t*> shapes;
      for (PerGroup* tensor : tensors) {
        params.push_back(tensor->data + k * tensor->size());
        shapes.push_back(tensor->shape);
      }
      params.insert(params.end() - 1, stride_pad);
      shapes.insert(shapes.end() - 1, two);
      dense(static_cast<int>(params.size()), params.data(), nullptr, shapes.data(), nullptr, nullptr, nullptr);
    }
  }
};

// The gradient `made` by a dense operator of x, w and gy.
void gradient(const Groups& groups, Operator* dense, void** p, int64_t** shapes, PerGroup& made) {
  PerGroup x = groups.images(shapes[0], p[0]), w = groups.weights(shapes[1], p[1]), gy = groups.images(shapes[2], p[2]);
  groups.run(dense, {&x, &w, &gy, &made}, p[3]);
}

bool is_depthwise(int64_t** shapes) { return shapes[1][1] == 1; }

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x, w, int32 [stride, padding]; output y.
extern "C" int GroupedForward(int count, void** p, int* ranks, int64_t** shapes, const char** types, void* stream,
                              void* extra) {
  if (is_depthwise(shapes)) return DepthwiseForward(count, p, ranks, shapes, types, stream, extra);
  const Groups groups(shapes);
  PerGroup x = groups.images(shapes[0], p[0]), w = groups.weights(shapes[1], p[1]), y = groups.room(shapes[3]);
  groups.run(ConvForward, {&x, &w, &y}, p[2]);
  groups.put_back(y, p[3]);
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gx.
extern "C" int GroupedGradInput(int count, void** p, int* ranks, int64_t** shapes, const char** types, void* stream,
                                void* extra) {
  if (is_depthwise(shapes)) return DepthwiseGradInput(count, p, ranks, shapes, types, stream, extra);
  const Groups groups(shapes);
  PerGroup gx = groups.room(shapes[4]);
  gradient(groups, ConvGradInput, p, shapes, gx);
  groups.put_back(gx, p[4]);
  return 0;
}

// Inputs x, w, gy, int32 [stride, padding]; output gw.
extern "C" int GroupedGradWeight(int count, void** p, int* ranks, int64_t** shapes, const char** types, void* stream,
                                 void* extra) {
  if (is_depthwise(shapes)) return DepthwiseGradWeight(count, p, ranks, shapes, types, stream, extra);
  const Groups groups(shapes);
  PerGroup gw = groups.weights(shapes[4], p[4]);
  gradient(groups, ConvGradWeight, p, shapes, gw);
  return 0;
}
