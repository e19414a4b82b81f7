r"""Quantization of an adder layer: both schemes as pure functions, and the quantized layer.

Both schemes put activations on a grid k s, k = 0 ... 2^b - 1, with s = R / (2^b - 1), and reduce to sums of absolute
differences of unsigned codes:

=========  ============================  ================  ===========================================================
scheme     weight levels                 rounding of .5    what is exact besides
=========  ============================  ================  ===========================================================
two-sided  k s, k = 0 ... 2^b - 1        to even           w < 0 acts as 0 with the constant -|w|, as inputs are >= 0
paper      2 k s, k = -2^(b-1) ...       to even           |x - 2 k s| = x + 2 |k| s for k < 0, so those codes too
           2^(b-1) - 1                                     become 0 with a constant
=========  ============================  ================  ===========================================================

4 bits = 16 levels. R: ``paper`` groups a layer's filters by the size of their weights and takes
R_g = min(max |W_g|, R_x) for each group (Nie et al., NeurIPS 2022); ``two-sided`` takes R_x, what inputs are clamped
to, for the whole layer: a group's smaller range would clip inputs, which nothing compensates. Weights beyond R are
clamped without loss where inputs stay at or below R: the constant -(w - R) joins the filter's bias.

.. math::
    |x - w| = |x - R| + (w - R) \quad (0 \le x \le R < w), \qquad |x - w| = |x - 0| + |w| \quad (w < 0 \le x)
.. math::
    y_f = -\sum |x - w_f| \approx -s_f \sum |q(x) - c_f| + b_f, \quad q(x) = \mathrm{round}(\min(x, R) / s_f), \quad
    b_f = -\sum |w_f - \mathrm{clamp}(w_f, 0, R)|

The first identity and R_g are the paper's (arXiv:2212.10200, lossless range clamp and clustering), the second is ours.
"""

from collections.abc import Callable

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype
from sklearn.cluster import KMeans

from AdderQuant.quant_config import check_choice
from common.errors import QuantizationError
from common.kernels import AdderInt8
from common.quant.conv_geometry import ConvGeometry
from common.quant.integer_weight import IntegerWeight, one
from common.quant.level_table import UNSIGNED

_MOST_SUM = 2.0**24  # integers that float32 has


def group_filters(maxima: np.ndarray, groups: int, seed: int) -> np.ndarray:
    """Group filters by k-means on their largest absolute weight; groups are numbered by rising centre.

    Args:
        maxima: (F,), max |W_f|.
        groups: wanted number; fewer distinct maxima give fewer groups.
        seed: of k-means++.

    Returns:
        (F,) uint8 group of each filter, every number below the maximum in use.
    """
    values = np.asarray(maxima, np.float64).reshape(-1, 1)
    groups = min(groups, len(np.unique(values)))
    clusters = KMeans(groups, n_init=10, max_iter=300, tol=1e-4, random_state=seed).fit(values)
    _, numbered = np.unique(clusters.cluster_centers_[clusters.labels_, 0], return_inverse=True)
    return numbered.astype(np.uint8)


def quantize_adder(
    weight: np.ndarray, activation_range: float, bits: int, groups: int = 4, scheme: str = "two-sided", seed: int = 0
) -> tuple[IntegerWeight, np.ndarray]:
    """Quantize the weights of an adder layer whose inputs lie in [0, activation_range].

    Args:
        weight: (F, C, KH, KW) float.
        activation_range: R_x > 0, what the inputs are clamped to.
        bits: 2 to 8.
        groups: 1 to 8, of ``paper``.
        scheme: ``two-sided`` or ``paper``.
        seed: of the grouping.

    Returns:
        Codes c and steps s of a layer y_f = -s_f sum |q(x) - c_f| + b_f with q(x) on the grid of s_f, and b, float32
        (F,).

    Raises:
        ConfigError: a value outside its range.
        QuantizationError: weights that are not finite, or a range that is not positive.
    """
    check_choice(bits, groups, scheme)
    if not (np.isfinite(weight).all() and np.isfinite(activation_range) and activation_range > 0):
        raise QuantizationError(f"finite weights and a positive input range are needed, found {activation_range}")
    ranges = np.array([activation_range])
    if scheme == "paper":
        ranges = paper_ranges(np.abs(weight).max((1, 2, 3)), activation_range, groups, seed)
    steps = (ranges / (2**bits - 1)).astype(np.float32)
    quantize = two_sided_codes if scheme == "two-sided" else paper_codes
    codes, constant = quantize(weight.astype(np.float64), steps.reshape(-1, 1, 1, 1).astype(np.float64), bits)
    bias = -constant.sum((1, 2, 3))
    return IntegerWeight(codes.astype(np.uint8), one(bits, np.uint8), steps, UNSIGNED), bias.astype(np.float32)


def paper_ranges(maxima: np.ndarray, activation_range: float, groups: int, seed: int) -> np.ndarray:
    """R_g = min(max |W_g|, R_x) of the group of each filter, (F,); R_x for a group of zeros."""
    group = group_filters(maxima, groups, seed)
    ranges = [min(maxima[group == g].max(), activation_range) or activation_range for g in np.unique(group)]
    return np.array(ranges)[group]


def two_sided_codes(weight: np.ndarray, step: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes 0 ... 2^bits - 1 of weights on the activations' own grid, and what |x - w| exceeds |x - clamp(w)| by."""
    top = step * (2**bits - 1)
    clamped = np.clip(weight, 0, top)
    return np.rint(clamped / step), np.abs(weight - clamped)


def paper_codes(weight: np.ndarray, step: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes of signed weights with twice the activations' step, and the constant part of each distance.

    A signed code k stands for 2 k steps. Negative ones give |x - 2 k s| = x + 2 |k| s, that is code 0 and a constant.
    """
    top = step * (2**bits - 1)
    clamped = np.clip(weight, -top, top)
    half = 2 ** (bits - 1)
    signed = np.clip(np.rint(clamped / (2 * step)), -half, half - 1)
    constant = np.abs(weight - clamped) + 2 * step * np.maximum(-signed, 0)
    return 2 * np.maximum(signed, 0), constant


class QuantAdder2d(nn.Cell):
    """Adder layer on integer codes: (N, C, H, W) to (N, F, OH, OW).

    All results of calibration are parameters, so a checkpoint alone rebuilds the layer and bits change without
    compiling anew: ``codes`` (F, C, KH, KW) uint8, ``group`` (F,) uint8, ``steps`` (G,) float32, ``bias`` (F,)
    float32 and ``qmax`` (1,) float32 = 2^bits - 1.

    Args:
        channels: C.
        filters: F.
        kernel: side of the square window.
        stride: step of the window.
        padding: zeros on each side.
        groups: G, scale groups that the layer can have.
        native: force or forbid the C++ kernel; None chooses.
        around: what gives a kernel the layer's windows, :meth:`common.models.adder.Adder2d.around`; None: none is
            needed.
        geometry: of windows that ``around`` gives; None: that of a kernel with this stride and padding.
    """

    def __init__(
        self,
        channels,
        filters,
        kernel,
        stride=1,
        padding=0,
        groups: int = 4,
        native: bool | None = None,
        around: Callable[[Callable[[int, int], nn.Cell]], nn.Cell] | None = None,
        geometry: ConvGeometry | None = None,
    ):
        super().__init__()
        shape = (filters, channels, kernel, kernel)
        self.conv_geometry = geometry or ConvGeometry((kernel,) * 2, (stride,) * 2, (padding,) * 4)
        self.stride, self.padding = stride, padding
        self.codes = _constant(np.zeros(shape, np.uint8), "codes")
        self.group = _constant(np.zeros(filters, np.uint8), "group")
        self.steps = _constant(np.ones(groups, np.float32), "steps")
        self.bias = _constant(np.zeros(filters, np.float32), "bias")
        self.qmax = _constant(np.full(1, 255, np.float32), "qmax")
        windows = around or (lambda make: make(stride, padding))
        self.conv = windows(lambda step, zeros: AdderInt8(step, zeros, False, native))
        self.conv_relu = windows(lambda step, zeros: AdderInt8(step, zeros, True, native))

    @property
    def bits(self) -> int:
        """Bits of weights and activations."""
        return int(self.qmax.asnumpy()[0] + 1).bit_length() - 1

    def set_codes(self, weight: IntegerWeight, bias: np.ndarray) -> None:
        """Take over the result of :func:`quantize_adder`."""
        for name, value in {**self.parameters_of(weight), "bias": bias}.items():
            getattr(self, name).set_data(Tensor(value))

    def to_int(self) -> IntegerWeight:
        """The integer codes (F, C, KH, KW) and the step of each filter; inputs are on the same grid."""
        steps = self.steps.asnumpy()[self.group.asnumpy()]
        scale = steps[:1] if (steps == steps[0]).all() else steps
        return IntegerWeight(self.codes.asnumpy(), one(self.bits, np.uint8), scale, UNSIGNED)

    def parameters_of(self, weight: IntegerWeight) -> dict[str, np.ndarray]:
        """The values of this cell's parameters for integers, the bias apart.

        Raises:
            QuantizationError: more different steps than the layer can have groups.
        """
        scale = np.broadcast_to(weight.scale, len(weight.codes))
        distinct, group = np.unique(scale, return_inverse=True)
        if len(distinct) > len(self.steps):
            raise QuantizationError(f"expected at most {len(self.steps)} scale groups, found {len(distinct)}")
        steps = np.ones(self.steps.shape, np.float32)
        steps[: len(distinct)] = distinct
        qmax = one(2 ** int(weight.bits[0]) - 1, np.float32)
        return {"codes": weight.codes, "group": group.astype(np.uint8), "steps": steps, "qmax": qmax}

    def _affine(self, scale, mean, shift):
        """Rows a, b, o of y = a (S - o) + b for a map ``scale (-step S + bias - mean) + shift`` after the sums S.

        Bias and mean nearly cancel step S; the integer o takes them away before anything is rounded to float32.
        """
        step = self.steps[self.group.astype(mstype.int32)].astype(mstype.float64)
        middle = self.bias.astype(mstype.float64) - mean
        offset = ops.round(ops.clamp(middle / step, -_MOST_SUM, _MOST_SUM))
        rest = middle - step * offset
        return ops.stack((-step * scale, scale * rest + shift, offset)).astype(mstype.float32)

    def construct(self, x):
        zero = ops.zeros_like(self.bias).astype(mstype.float64)
        affine = self._affine(zero + 1, zero, zero)
        return self.conv(x, self.codes, self.group, self.steps, self.qmax, affine)

    def fused(self, x, norm: nn.BatchNorm2d, residual, relu: bool):
        """The layer, the inference form of BatchNorm, a residual (or None) and ReLU (if ``relu``) in one operator."""
        gamma, beta, mean, variance = (
            part.astype(mstype.float64) for part in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        )
        affine = self._affine(gamma / ops.sqrt(variance + norm.eps), mean, beta)
        conv = self.conv_relu if relu else self.conv
        return conv(x, self.codes, self.group, self.steps, self.qmax, affine, residual)

    def extend_repr(self) -> str:
        return f"shape={self.codes.shape}, stride={self.stride}, padding={self.padding}, groups={self.steps.shape[0]}"


def _constant(value: np.ndarray, name: str) -> Parameter:
    return Parameter(Tensor(value), name=name, requires_grad=False)
