"""DoReFa weights (Zhou et al., arXiv 1606.06160) with their bits as a parameter."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from common.errors import ConfigError
from common.kernels.custom import use_native
from common.kernels.dorefa import DoReFaQuantize, NativeDoReFaWeights
from common.kernels.dorefa_fallback import FLOAT_BITS
from common.quant.integer_weight import IntegerWeight, one
from common.quant.level_table import DOREFA
from common.quant.zeros import KeptZeros, keep_zeros, with_zero

MIN_BITS, MAX_BITS = 2, 8
DOREFA_ZERO = with_zero(DOREFA)


def fitted_scale(weight: np.ndarray, bits: int) -> np.float32:
    r"""The scale g that brings DoReFa's levels nearest to the weights: :math:`\min_g \|W - g\,Q_k(W)\|^2`.

    DoReFa's weights reach from -1 to 1 whatever W does. The BatchNorm behind a layer keeps the statistics of the float
    network; with the scale the quantized weights are on the scale that these statistics fit.
    """
    levels = dorefa_weights(weight, bits).astype(np.float64)
    return np.float32((levels * weight).sum() / max((levels**2).sum(), 1e-12) or 1.0)


def to_codes(values: np.ndarray, bits: int) -> np.ndarray:
    r"""Codes 0 to :math:`2^k - 1`, uint8, of values on DoReFa's levels from -1 to 1."""
    return np.rint((values.astype(np.float64) + 1) * (2**bits - 1) / 2).astype(np.uint8)


def integers_of(values: np.ndarray, bits: int, scale: float) -> IntegerWeight:
    """Weights (F, ...) whose values without their scale are on DoReFa's levels, 0 for pruned ones, as integers."""
    codes, table, zero = to_codes(values, bits), DOREFA, values == 0
    if zero.any():
        middle = 2 ** (bits - 1)  # the first code above 0; those below have lost their lowest one
        codes, table = np.where(zero, middle - 1, codes - (codes < middle)).astype(np.uint8), DOREFA_ZERO
    return IntegerWeight(codes, one(bits, np.uint8), one(scale, np.float32), table)


def dorefa_codes(weight: IntegerWeight) -> np.ndarray:
    """DoReFa's own codes 0 to :math:`2^k - 1` of integers, uint8; of pruned weights that of the level above 0."""
    if weight.levels is DOREFA:
        return weight.codes
    middle = 2 ** (int(weight.bits[0]) - 1)
    return np.where(weight.codes < middle - 1, weight.codes + 1, np.maximum(weight.codes, middle)).astype(np.uint8)


class KeptDoReFa(nn.Cell):
    """DoReFa's levels of weights whose pruned ones stay 0 (:mod:`common.quant.zeros`); no scale.

    ``construct(w, bits)``: (F, ...) float32 and (1,) int32 to the shape of w.

    Args:
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(self, native: bool | None = None):
        super().__init__()
        self.quantize, self.zeros = DoReFaQuantize(native), KeptZeros(native=native)
        self.keeps = Tensor(np.ones(1, np.int32))

    def construct(self, weight, bits):
        steps = ops.pow(2.0, ops.minimum(bits, FLOAT_BITS - 1).astype(mstype.float32)) - 1.0
        return self.zeros(weight, self.quantize(weight, bits), 2.0 * (1.0 / steps) - 1.0, self.keeps)


class ScaledDoReFa(nn.Cell):
    """:class:`KeptDoReFa` at K widths, times a constant scale each, in one pass where the C++ kernels serve.

    ``construct(w, bits, scale)``: (F, ...) float32, (K,) int32 and (K,) float32, without a gradient, to (K, F, ...).

    Args:
        native: force (True) or forbid (False) the C++ kernel; None chooses.
        single: K is 1, and the result has the shape of w.
    """

    def __init__(self, native: bool | None = None, single: bool = False):
        super().__init__()
        self.levels, self.single = KeptDoReFa(native), single
        self.kernel = NativeDoReFaWeights(single) if use_native(native) else None

    def construct(self, weight, bits, scale):
        if self.kernel is not None:
            return self.kernel(weight, bits, scale)[0]
        if self.single:
            return scale * self.levels(weight, bits)
        parts = []
        for k in range(bits.shape[0]):
            parts.append(scale[k] * self.levels(weight, bits[k].reshape(1)))
        return ops.stack(parts)


class DoReFaWeight(nn.Cell):
    r"""Weights on the :math:`2^k` levels of DoReFa, times a constant scale g of the layer: :math:`g\,Q_k(W)`.

    Equations and gradients are those of :class:`~common.kernels.dorefa.DoReFaQuantize`. DoReFa's weights reach from -1
    to 1 whatever W does, which a BatchNorm behind the layer takes back. Where none follows, as before the sum of a
    residual block with pre-activation, the scale keeps the layer's share in that sum: :meth:`fit` sets it to the least
    squares fit of :math:`g\,Q_8(W)` to W. A scale of 1 is the paper's quantizer.

    Pruned weights stay 0 and get no gradient; the level -1 of their layer becomes 0 (:mod:`common.quant.zeros`).

    ``construct(w)``: (F, ...) float32 to the same shape.

    Args:
        bits: to begin with, 2 to 8.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Attributes:
        bits: int32 (1,), not trained; a new value needs no compilation.
        scale: float32 (1,), not trained.

    Raises:
        ConfigError: bits outside 2 to 8.
    """

    def __init__(self, bits: int = MAX_BITS, native: bool | None = None):
        super().__init__()
        check_bits(bits)
        self.bits = Parameter(Tensor(np.array([bits], np.int32)), requires_grad=False)
        self.scale = Parameter(Tensor(np.ones(1, np.float32)), requires_grad=False)
        self.quantize = ScaledDoReFa(native, single=True)

    def construct(self, weight):
        return self.quantize(weight, self.bits.value(), self.scale.value())

    def fit(self, weight: np.ndarray, bits: int = MAX_BITS) -> None:
        """Set the scale to where weights of so many bits are nearest to these."""
        self.scale.set_data(Tensor(np.array([fitted_scale(weight, bits)], np.float32)))

    def to_int(self, weight: np.ndarray) -> IntegerWeight:
        """The integers of weights (F, ...): dequantized they are what ``construct`` gives, bit for bit."""
        values = self.quantize.levels(Tensor(weight), self.bits.value()).asnumpy()
        return integers_of(values, int(self.bits.asnumpy()[0]), self.scale.asnumpy()[0])


def check_bits(bits: int) -> None:
    """Make sure that a quantizer can have so many bits.

    Raises:
        ConfigError: bits outside 2 to 8.
    """
    if not MIN_BITS <= bits <= MAX_BITS:
        raise ConfigError(f"expected {MIN_BITS} to {MAX_BITS} bits, found {bits}")


def dorefa(weight: np.ndarray, bits: int) -> np.ndarray:
    r"""The quantizer on an array, without gain: :math:`2^k` levels from -1 to 1; float32 of the same shape."""
    t = np.tanh(weight.astype(np.float32))
    steps, most = np.float32(2**bits - 1), max(np.abs(t).max(), np.float32(1e-12))
    return _levels(np.rint(steps * (t * (np.float32(0.5) / most) + np.float32(0.5))), steps)


def dorefa_weights(weight: np.ndarray, bits: int) -> np.ndarray:
    """What :class:`KeptDoReFa` computes, on an array: :func:`dorefa`, but 0 for pruned weights."""
    return keep_zeros(weight, dorefa(weight, bits), DOREFA.levels(bits)[1])


def _levels(codes: np.ndarray, steps: np.float32) -> np.ndarray:
    return np.float32(2) * (codes / steps) - np.float32(1)
