"""DoReFa weights (Zhou et al., arXiv 1606.06160) with their bits as a parameter."""

import numpy as np
from mindspore import Parameter, Tensor, nn

from common.errors import ConfigError, QuantizationError
from common.kernels.dorefa import DoReFaQuantize

MIN_BITS, MAX_BITS = 2, 8


def fitted_gain(weight: np.ndarray, bits: int) -> np.float32:
    r"""The gain g that brings DoReFa's levels nearest to the weights: :math:`\min_g \|W - g\,Q_k(W)\|^2`.

    DoReFa's weights reach from -1 to 1 whatever W does. The BatchNorm behind a layer keeps the statistics of the float
    network; with the gain the quantized weights are on the scale that these statistics fit.
    """
    levels = dorefa(weight, bits).astype(np.float64)
    return np.float32((levels * weight).sum() / max((levels**2).sum(), 1e-12) or 1.0)


def to_codes(values: np.ndarray, bits: int) -> np.ndarray:
    r"""Codes 0 to :math:`2^k - 1`, uint8, of values on DoReFa's levels from -1 to 1."""
    return np.rint((values.astype(np.float64) + 1) * (2**bits - 1) / 2).astype(np.uint8)


class DoReFaWeight(nn.Cell):
    r"""Weights on the :math:`2^k` levels of DoReFa, times a constant gain g of the layer: :math:`g\,Q_k(W)`.

    Equations and gradients are those of :class:`~common.kernels.dorefa.DoReFaQuantize`. DoReFa's weights reach from -1
    to 1 whatever W does, which a BatchNorm behind the layer takes back. Where none follows, as before the sum of a
    residual block with pre-activation, the gain keeps the layer's share in that sum: :meth:`fit` sets it to the least
    squares fit of :math:`g\,Q_8(W)` to W. A gain of 1 is the paper's quantizer.

    ``construct(w)``: (F, ...) float32 to the same shape.

    Args:
        bits: to begin with, 2 to 8.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Attributes:
        bits: int32 (1,), not trained; a new value needs no compilation.
        gain: float32 (1,), not trained.

    Raises:
        ConfigError: bits outside 2 to 8.
    """

    def __init__(self, bits: int = MAX_BITS, native: bool | None = None):
        super().__init__()
        check_bits(bits)
        self.bits = Parameter(Tensor(np.array([bits], np.int32)), requires_grad=False)
        self.gain = Parameter(Tensor(np.ones(1, np.float32)), requires_grad=False)
        self.quantize = DoReFaQuantize(native)

    def construct(self, weight):
        return self.gain * self.quantize(weight, self.bits.value())

    def fit(self, weight: np.ndarray, bits: int = MAX_BITS) -> None:
        """Set the gain to where weights of so many bits are nearest to these."""
        self.gain.set_data(Tensor(np.array([fitted_gain(weight, bits)], np.float32)))

    def to_int(self, weight: np.ndarray) -> tuple[np.ndarray, int, np.float32]:
        r"""Codes 0 to :math:`2^k - 1` uint8, k, and the gain: :func:`from_int` makes the same weights of them."""
        bits = int(self.bits.asnumpy()[0])
        values = self.quantize(Tensor(weight), self.bits.value()).asnumpy()
        return to_codes(values, bits), bits, self.gain.asnumpy()[0]


class FixedWeight(nn.Cell):
    """In the place of :class:`DoReFaWeight` where the weights are on their levels already; it knows their bits."""

    def __init__(self, bits: int = MAX_BITS):
        super().__init__()
        check_bits(bits)
        self.bits = Parameter(Tensor(np.array([bits], np.int32)), requires_grad=False)

    def construct(self, weight):
        return weight

    def to_int(self, weight: np.ndarray) -> tuple[np.ndarray, int, np.float32]:
        """Codes, bits and gain of weights that are on their levels, as :meth:`DoReFaWeight.to_int`.

        The largest weight of a layer is at an end of DoReFa's range, so its size is the gain.

        Raises:
            QuantizationError: they are not bit for bit what :func:`from_int` makes of codes.
        """
        bits, gain = int(self.bits.asnumpy()[0]), np.abs(weight).max()
        codes = to_codes(weight.astype(np.float64) / (gain or 1), bits)
        if not np.array_equal(from_int(codes, bits, gain), weight):
            raise QuantizationError(f"expected weights on DoReFa's levels of {bits} bits, found others")
        return codes, bits, gain


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


def from_int(codes: np.ndarray, bits: int, gain: np.float32) -> np.ndarray:
    """The weights of :meth:`DoReFaWeight.to_int`, bit for bit."""
    return np.float32(gain) * _levels(codes.astype(np.float32), np.float32(2**bits - 1))


def _levels(codes: np.ndarray, steps: np.float32) -> np.ndarray:
    return np.float32(2) * (codes / steps) - np.float32(1)
