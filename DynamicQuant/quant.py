"""A convolution whose bits each image chooses, and the static one it is measured against (DoReFa weights, PACT inputs).

Weights: :mod:`common.quant.dorefa`, 2^k levels. Activations: :mod:`common.quant.pact`, 2^k levels from 0 to a clip,
which PACT learns and DoReFa keeps.
"""

from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from common.kernels.selected_conv import (
    MaskedSelectedConv2d,
    NativeDoReFaConv2d,
    NativeSelectedConv2d,
    selected_conv2d,
)
from common.quant.conv_geometry import conv_geometry
from common.quant.dorefa import DoReFaWeight, ScaledDoReFa, check_bits, fitted_scale, integers_of
from common.quant.frozen_weight import FrozenWeight
from common.quant.integer_weight import ActivationGrid, IntegerWeight, one
from common.quant.layers import QuantConv2d, QuantDense
from common.quant.pact import SMALLEST_CLIP, PACTActivation


class CandidateWeights(nn.Cell):
    """DoReFa weights at several widths: ``construct(w)``, (F, ...) to (K, F, ...); pruned ones stay 0 in each.

    Args:
        weight: what the scales are fitted to.
        bits: of the K candidates, 2 to 8 each.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Attributes:
        scale: float32 (K,), not trained; of each candidate, for all share the BatchNorm that follows.
    """

    def __init__(self, weight: np.ndarray, bits: Sequence[int], native: bool | None = None):
        super().__init__()
        self.widths = Tensor(np.array(bits, np.int32))
        scales = np.array([fitted_scale(weight, width) for width in bits], np.float32)
        self.scale = Parameter(Tensor(scales), requires_grad=False)
        self.quantize = ScaledDoReFa(native)

    def construct(self, weight):
        return self.quantize(weight, self.widths, self.scale.value())

    def to_int(self, weight: np.ndarray) -> tuple[IntegerWeight, ...]:
        """The integers of weights (F, ...) at each candidate, as ``DoReFaWeight.to_int``."""
        widths, integers = self.widths.asnumpy(), []
        for width, scale in zip(widths, self.scale.asnumpy()):
            values = self.quantize.levels(Tensor(weight), Tensor(one(width, np.int32))).asnumpy()
            integers.append(integers_of(values, int(width), scale))
        return tuple(integers)


class DynamicConv2d(nn.Cell):
    r"""A convolution whose images choose among K bit-widths, of weights and activations alike.

    .. math:: y_n = \sum_k m_{nk}\,\mathrm{conv}(Q_a(x_n; b_k), Q_w(W; b_k))

    ``construct(x, mask)``: x (N, C, H, W), mask (N, K) with one-hot rows, to (N, F, OH, OW). Only the chosen branch is
    computed (:func:`~common.kernels.selected_conv.selected_conv2d`); one clip serves all candidates.

    Args:
        conv: the float convolution; where it has groups, dilation or uneven padding all branches are computed.
        bits: of the K candidates in rising order, 2 to 8 each.
        clip: first value of the activations' clip, > 0.
        learned: whether the clip is trained.
        frozen: for evaluation alone: ``weight`` is (K, F, C, KH, KW), on its levels already.
        native: force (True) or forbid (False) the C++ kernels; None chooses.
        signed: whether inputs may be negative; all branches are computed then.

    Attributes:
        bits: int32 (K,), not trained.
        clip: float32 (1,).

    Raises:
        ConfigError: bits outside 2 to 8.
    """

    def __init__(
        self,
        conv: nn.Conv2d,
        bits: Sequence[int],
        clip: float = 1.0,
        learned: bool = False,
        frozen: bool = False,
        native: bool | None = None,
        signed: bool = False,
    ):
        super().__init__()
        for width in bits:
            check_bits(width)
        self.signed, self.has_bias = signed, conv.has_bias
        self.bias = Parameter(conv.bias.value().copy()) if conv.has_bias else None
        weight = conv.weight.asnumpy()
        self.weight = Parameter(Tensor(np.stack([weight] * len(bits)) if frozen else weight.copy()))
        self.quantize_weight = None if frozen else CandidateWeights(weight, bits, native)
        self.bits = Parameter(Tensor(np.array(bits, np.int32)), requires_grad=False)
        self.clip = Parameter(Tensor(np.array([clip], np.float32)), requires_grad=learned)
        self.conv, self.trained, self.trained_fork = _selected(conv, signed, native), None, None
        if isinstance(self.conv, NativeSelectedConv2d) and not frozen:
            self.trained, self.trained_fork = (
                NativeDoReFaConv2d(*conv_geometry(conv).even, forks) for forks in (False, True)
            )

    def construct(self, x, mask):
        if self.trained is not None:
            return self._biased(self.trained(*self._latent(x, mask))[0])
        weight = self.weight if self.quantize_weight is None else self.quantize_weight(self.weight)
        return self._biased(self.conv(x, weight, self.bits.value(), ops.maximum(self.clip, SMALLEST_CLIP), mask))

    @property
    def forks(self) -> bool:
        """Whether :meth:`fork` may be called: in training, where nobody wants to see the layer alone."""
        if self.trained_fork is None or not self.training:
            return False
        return not self._forward_pre_hook and not self._forward_hook

    def fork(self, x, mask):
        """The layer of x, and x for what else reads it."""
        y, x, _, _ = self.trained_fork(*self._latent(x, mask))
        return self._biased(y), x

    def _latent(self, x, mask):
        return x, self.weight, self.bits.value(), self.quantize_weight.scale.value(), self.clip.value(), mask

    def _biased(self, y):
        return y + self.bias.reshape(1, -1, 1, 1) if self.has_bias else y

    def grids(self) -> tuple[ActivationGrid, ...]:
        """The levels of the input at each candidate."""
        clip = np.maximum(self.clip.asnumpy(), np.float32(SMALLEST_CLIP))
        return tuple(ActivationGrid(one(bits, np.uint8), clip, self.signed) for bits in self.bits.asnumpy())


def _selected(conv: nn.Conv2d, signed: bool, native: bool | None) -> nn.Cell:
    geometry = conv_geometry(conv)
    if signed or geometry.even is None:
        return MaskedSelectedConv2d(geometry.conv2d(native), signed, native)
    return selected_conv2d(*geometry.even, native)


def static_conv2d(
    conv: nn.Conv2d | nn.Dense,
    bits: int,
    clip: float = 1.0,
    learned: bool = False,
    frozen: bool = False,
    signed: bool = False,
) -> QuantConv2d | QuantDense:
    """The convolution with the same quantizers at one width.

    Args:
        conv: the float one, or a linear layer.
        bits: of weights and activations, 2 to 8.
        clip: first value of the activations' clip, > 0.
        learned: whether the clip is trained.
        frozen: for evaluation alone: the weights are on their levels already.
        signed: whether inputs may be negative.

    Raises:
        ConfigError: bits outside 2 to 8.
    """
    quantize_weight = FrozenWeight() if frozen else DoReFaWeight(bits)
    if not frozen:
        quantize_weight.fit(conv.weight.asnumpy(), bits)
    kind = QuantDense if isinstance(conv, nn.Dense) else QuantConv2d
    return kind(conv, quantize_weight, PACTActivation(bits, clip, signed, learned))
