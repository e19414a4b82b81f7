// Winograd's minimal filtering of three taps in one dimension, F(2, 3) and F(4, 3) (Lavin and Gray, "Fast Algorithms
// for Convolutional Neural Networks", CVPR 2016, section 4):
//
//   y = A' [(G w) * (B' x)]       x: n + 2 inputs, w: 3 taps, y: n outputs, one multiplication for each input
//
// and its transpose, by which the gradient of w is G' [(A gy) * (B' x)]. Each value is a vector: a filter or channel in
// each lane.
#pragma once

namespace lowbit {

// Exact but for roundings of the sums:
//
//   B' = 1  0 -1  0     G = 1    0    0     A' = 1  1  1  0
//        0  1  1  0         1/2  1/2  1/2        0  1 -1 -1
//        0 -1  1  0         1/2 -1/2  1/2
//        0  1  0 -1         0    0    1
struct FilterBy2 {
  static constexpr int kOutputs = 2, kInputs = 4;

  template <class V>
  static void input(const V (&x)[4], V (&to)[4]) {
    to[0] = x[0] - x[2];
    to[1] = x[1] + x[2];
    to[2] = x[2] - x[1];
    to[3] = x[1] - x[3];
  }
  template <class V>
  static void kernel(const V (&w)[3], V (&to)[4]) {
    const V outer = w[0] + w[2];
    to[0] = w[0];
    to[1] = (outer + w[1]) * 0.5f;
    to[2] = (outer - w[1]) * 0.5f;
    to[3] = w[2];
  }
  template <class V>
  static void output(const V (&m)[4], V (&y)[2]) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
  }
  template <class V>
  static void gradient(const V (&y)[2], V (&to)[4]) {
    to[0] = y[0];
    to[1] = y[0] + y[1];
    to[2] = y[0] - y[1];
    to[3] = -y[1];
  }
  template <class V>
  static void kernel_gradient(const V (&m)[4], V (&w)[3]) {
    const V mean = (m[1] + m[2]) * 0.5f;
    w[0] = m[0] + mean;
    w[1] = (m[1] - m[2]) * 0.5f;
    w[2] = m[3] + mean;
  }
};

// Polynomials through 0, a, -a, b, -b and infinity; with P(p) the product of p's distances from the other four,
//
//   B' = a^2 b^2     0     -a^2 - b^2     0      1  0     G = 1 / (a^2 b^2)  0   0      A' = 1  1    1   1    1   0
//            0    -a b^2      -b^2        a      1  0         [1  a  a^2] / P(a)             0  a   -a   b   -b   0
//            0     a b^2      -b^2       -a      1  0         [1 -a  a^2] / P(a)             0  a^2 a^2  b^2 b^2  0
//            0    -a^2 b      -a^2        b      1  0         [1  b  b^2] / P(b)             0  a^3-a^3  b^3-b^3  1
//            0     a^2 b      -a^2       -b      1  0         [1 -b  b^2] / P(b)
//            0    a^2 b^2       0     -a^2 - b^2 0  1         0        0        1
//
// a = 5/8 and b = 3/2 are short in binary and lose the least to rounding: results are four times as far from exact ones
// as those of FilterBy2, those for 1 and 2 twenty times.
struct FilterBy4 {
  static constexpr int kOutputs = 4, kInputs = 6;
  static constexpr float kA = 0.625f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB;
  static constexpr float kPA = 1 / (2 * kA2 * (kA2 - kB2)), kPB = 1 / (2 * kB2 * (kB2 - kA2));

  template <class V>
  static void input(const V (&x)[6], V (&to)[6]) {
    const V even_a = x[4] - kB2 * x[2], odd_a = x[3] - kB2 * x[1];
    const V even_b = x[4] - kA2 * x[2], odd_b = x[3] - kA2 * x[1];
    to[0] = even_b + kB2 * (kA2 * x[0] - x[2]);
    to[1] = even_a + kA * odd_a;
    to[2] = even_a - kA * odd_a;
    to[3] = even_b + kB * odd_b;
    to[4] = even_b - kB * odd_b;
    to[5] = x[5] - kA2 * x[3] - kB2 * odd_b;
  }
  template <class V>
  static void kernel(const V (&w)[3], V (&to)[6]) {
    const V even_a = (w[0] + kA2 * w[2]) * kPA, odd_a = w[1] * (kA * kPA);
    const V even_b = (w[0] + kB2 * w[2]) * kPB, odd_b = w[1] * (kB * kPB);
    to[0] = w[0] * (1 / (kA2 * kB2));
    to[1] = even_a + odd_a;
    to[2] = even_a - odd_a;
    to[3] = even_b + odd_b;
    to[4] = even_b - odd_b;
    to[5] = w[2];
  }
  template <class V>
  static void output(const V (&m)[6], V (&y)[4]) {
    const V even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = kA * odd_a + kB * odd_b;
    y[2] = kA2 * even_a + kB2 * even_b;
    y[3] = m[5] + (kA * kA2) * odd_a + (kB * kB2) * odd_b;
  }
  template <class V>
  static void gradient(const V (&y)[4], V (&to)[6]) {
    const V even_a = y[0] + kA2 * y[2], odd_a = y[1] + kA2 * y[3];
    const V even_b = y[0] + kB2 * y[2], odd_b = y[1] + kB2 * y[3];
    to[0] = y[0];
    to[1] = even_a + kA * odd_a;
    to[2] = even_a - kA * odd_a;
    to[3] = even_b + kB * odd_b;
    to[4] = even_b - kB * odd_b;
    to[5] = y[3];
  }
  template <class V>
  static void kernel_gradient(const V (&m)[6], V (&w)[3]) {
    const V even_a = (m[1] + m[2]) * kPA, odd_a = (m[1] - m[2]) * (kA * kPA);
    const V even_b = (m[3] + m[4]) * kPB, odd_b = (m[3] - m[4]) * (kB * kPB);
    w[0] = m[0] * (1 / (kA2 * kB2)) + even_a + even_b;
    w[1] = odd_a + odd_b;
    w[2] = m[5] + kA2 * even_a + kB2 * even_b;
  }
};

}  // namespace lowbit
