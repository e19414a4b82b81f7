// Convolution of which each image takes one of K branches: branch k quantizes its inputs to bits[k] bits between 0 and
// clip and has filters w[k], on their levels already. mask (N, K) is 1 at the branch of an image and 0 elsewhere.
//
//   y[n] = sum_k mask[n,k] conv(Q(x[n]; bits[k]), w[k])
//
// Only the chosen branch is computed, so the forward pass and the gradients for x and w cost as much as one branch.
// The gradient for the mask, sum(gy[n] conv(Q(x[n]; bits[k]), w[k])), needs the others too; it is an operator of its
// own, which never stores their outputs.
#include "conv_product.h"
#include "uniform.h"

namespace lowbit {
namespace {

struct Branches {
  int64_t count, filters;  // K; values of the filters of one branch
  const float* w;
  std::vector<Channel> levels;

  Branches(const int64_t* w_shape, const float* weights, const int32_t* bits, float clip)
      : count(w_shape[0]), filters(w_shape[1] * w_shape[2] * w_shape[3] * w_shape[4]), w(weights) {
    for (int64_t k = 0; k < count; ++k) levels.emplace_back(bits[k], clip);
  }

  void quantize(int64_t k, const float* x, int64_t size, float* q) const {
    const Channel level = levels[k];
    for (int64_t i = 0; i < size; ++i) q[i] = level.quantized(x[i]);
  }

  // The branch of each image.
  std::vector<int64_t> choices(int64_t n, const float* mask) const {
    std::vector<int64_t> found;
    for (const float* row = mask; row < mask + n * count; row += count)
      found.push_back(std::max_element(row, row + count) - row);
    return found;
  }
};

// Calls visit(k, geometry, images) with the images of each branch that is taken, `images` being their numbers.
template <class Visit>
void for_branches(const Geometry& g, const Branches& branches, const float* mask, Visit visit) {
  const auto choice = branches.choices(g.n, mask);
  for (int64_t k = 0; k < branches.count; ++k) {
    std::vector<int64_t> images;
    for (int64_t n = 0; n < g.n; ++n)
      if (choice[n] == k) images.push_back(n);
    Geometry own = g;
    own.n = static_cast<int64_t>(images.size());
    if (own.n) visit(k, own, images);
  }
}

template <class Work>
void for_each(size_t count, Work work) {
  parallel_for(static_cast<int64_t>(count), [&] { return work; });
}

// These images one after the other, as the quantizer of branch k gives them.
std::vector<float> quantized(const Branches& branches, int64_t k, const float* x, int64_t size,
                             const std::vector<int64_t>& images) {
  std::vector<float> made(images.size() * size);
  for_each(images.size(), [&](int64_t i) { branches.quantize(k, x + images[i] * size, size, made.data() + i * size); });
  return made;
}

std::vector<float> gathered(const float* values, int64_t size, const std::vector<int64_t>& images) {
  std::vector<float> made(images.size() * size);
  for_each(images.size(), [&](int64_t i) { std::copy_n(values + images[i] * size, size, made.data() + i * size); });
  return made;
}

void scatter(const std::vector<float>& values, int64_t size, const std::vector<int64_t>& images, float* to) {
  for_each(images.size(), [&](int64_t i) { std::copy_n(values.data() + i * size, size, to + images[i] * size); });
}

template <int LANES>
void selected_forward(const Geometry& g, const Branches& branches, const float* x, const float* mask, float* y) {
  const int64_t out_size = g.f * g.oh * g.ow;
  for_branches(g, branches, mask, [&](int64_t k, const Geometry& own, const std::vector<int64_t>& images) {
    const auto inputs = quantized(branches, k, x, g.c * g.h * g.w, images);
    std::vector<float> outputs(images.size() * out_size);
    conv_forward<LANES>(own, inputs.data(), branches.w + k * branches.filters, outputs.data());
    scatter(outputs, out_size, images, y);
  });
}

// Gradient for Q(x).
template <int LANES>
void selected_grad_input(const Geometry& g, const Branches& branches, const float* mask, const float* gy, float* gx) {
  const int64_t size = g.c * g.h * g.w;
  for_branches(g, branches, mask, [&](int64_t k, const Geometry& own, const std::vector<int64_t>& images) {
    const auto gradient = gathered(gy, g.f * g.oh * g.ow, images);
    std::vector<float> outputs(images.size() * size);
    conv_grad_input<LANES>(own, branches.w + k * branches.filters, gradient.data(), outputs.data());
    scatter(outputs, size, images, gx);
  });
}

template <int LANES>
void selected_grad_weight(const Geometry& g, const Branches& branches, const float* x, const float* mask,
                          const float* gy, float* gw) {
  std::fill_n(gw, branches.count * branches.filters, 0.f);
  for_branches(g, branches, mask, [&](int64_t k, const Geometry& own, const std::vector<int64_t>& images) {
    const auto gradient = gathered(gy, g.f * g.oh * g.ow, images);
    const auto inputs = quantized(branches, k, x, g.c * g.h * g.w, images);
    conv_grad_weight<LANES>(own, inputs.data(), gradient.data(), gw + k * branches.filters);
  });
}

float dot(const float* a, const float* b, int64_t size) {
  constexpr int64_t kBlock = 4096;  // float sums no longer than this
  double total = 0;
  for (int64_t start = 0; start < size; start += kBlock) {
    float lanes[16] = {};
    const int64_t count = std::min(kBlock, size - start), whole = count / 16 * 16;
    for (int64_t i = start; i < start + whole; i += 16)
      for (int lane = 0; lane < 16; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
    for (int64_t i = start + whole; i < start + count; ++i) lanes[0] += a[i] * b[i];
    for (float lane : lanes) total += lane;
  }
  return static_cast<float>(total);
}

// Gradient for the mask; y is the forward pass's, so that the chosen branch is not computed again.
template <int LANES>
void selected_scores(const Geometry& g, const Branches& branches, const float* x, const float* mask, const float* y,
                     const float* gy, float* scores) {
  const auto choice = branches.choices(g.n, mask);
  const auto offsets = tap_offsets(g);
  const int64_t in_size = g.c * g.h * g.w, out_size = g.f * g.oh * g.ow;
  std::vector<std::vector<float>> packed;
  for (int64_t k = 0; k < branches.count; ++k) packed.push_back(pack_filters(g, branches.w + k * branches.filters));
  parallel_for(g.n, [&] {
    std::vector<float> image(g.c * g.plane_size() + LANES, 0.f), q(in_size), other(out_size);
    return [&, image, q, other](int64_t n) mutable {
      for (int64_t k = 0; k < branches.count; ++k) {
        const float* output = y + n * out_size;
        if (k != choice[n]) {
          branches.quantize(k, x + n * in_size, in_size, q.data());
          split_phases(g, q.data(), image.data());
          forward_image<LANES>(g, image.data(), offsets, packed[k], other.data(), 0, AsTheyAre());
          output = other.data();
        }
        scores[n * branches.count + k] = dot(gy + n * out_size, output, out_size);
      }
    };
  });
}

Branches branches_of(void** p, int64_t** shapes) {
  return Branches(shapes[1], in(p, 1), static_cast<const int32_t*>(p[2]), *in(p, 3));
}

// Calls work(lanes, geometry) with the geometry of x and of the filters of one branch.
template <class Work>
void for_geometry(int64_t** shapes, int stride_pad_index, void** p, Work work) {
  int64_t* one[] = {shapes[0], shapes[1] + 1};
  by_width(one, stride_pad_index, p, work);
}

}  // namespace
}  // namespace lowbit

using namespace lowbit;

// Inputs x (N, C, H, W), w (K, F, C, KH, KW), bits int32 (K), clip (1), mask (N, K), int32 [stride, padding]; output y.
extern "C" int SelectedConv(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Branches branches = branches_of(p, shapes);
  for_geometry(shapes, 5, p, [&](auto lanes, const Geometry& g) {
    selected_forward<lanes>(g, branches, in(p, 0), in(p, 4), out(p, 6));
  });
  return 0;
}

// Inputs x, w, bits, clip, mask, gy, int32 [stride, padding]; output the gradient for the quantized x.
extern "C" int SelectedConvGradInput(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Branches branches = branches_of(p, shapes);
  for_geometry(shapes, 6, p, [&](auto lanes, const Geometry& g) {
    selected_grad_input<lanes>(g, branches, in(p, 4), in(p, 5), out(p, 7));
  });
  return 0;
}

// Inputs x, w, bits, clip, mask, gy, int32 [stride, padding]; output gw (K, F, C, KH, KW).
extern "C" int SelectedConvGradWeight(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Branches branches = branches_of(p, shapes);
  for_geometry(shapes, 6, p, [&](auto lanes, const Geometry& g) {
    selected_grad_weight<lanes>(g, branches, in(p, 0), in(p, 4), in(p, 5), out(p, 7));
  });
  return 0;
}

// Inputs x, w, bits, clip, mask, y, gy, int32 [stride, padding]; output the gradient for the mask (N, K).
extern "C" int SelectedConvGradMask(int, void** p, int*, int64_t** shapes, const char**, void*, void*) {
  const Branches branches = branches_of(p, shapes);
  for_geometry(shapes, 7, p, [&](auto lanes, const Geometry& g) {
    selected_scores<lanes>(g, branches, in(p, 0), in(p, 4), in(p, 5), in(p, 6), out(p, 8));
  });
  return 0;
}
