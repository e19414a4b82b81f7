"""DAMBQ's quantizers (Zhao, Yue, Hu, CVPR 2021): multi-bit weights, uniform activations, 8-bit weights at the ends.

All state lives in parameters, so bits change without compiling the network anew and a checkpoint holds everything.
Bits and scales belong to output channels of a weight and to input channels of an activation.
"""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from common.errors import ConfigError, QuantizationError
from common.kernels.custom import use_native
from common.kernels.fake_quant import CodebookQuantize, NativeForkedUniform, UniformQuantize
from common.kernels.multi_bit import NativeMultiBit
from common.quant.integer_weight import ActivationGrid, IntegerWeight, one
from common.quant.level_table import SIGNED
from common.quant.zeros import KeptZeros, kept
from DAMBQ.tables import LEVELS, LEVELS_ZERO, MAX_BITS, TABLES

SMALLEST_CLIP = 1e-4
_EIGHT_BITS = 127  # largest code of signed 8-bit weights


def _parameter(values: np.ndarray, requires_grad: bool = False) -> Parameter:
    return Parameter(Tensor(values), requires_grad=requires_grad)


class PerChannelQuantizer(nn.Cell):
    """What a quantizer whose bits are allocated carries for each of its channels.

    Attributes:
        bits: int32 (C,).
        probe: float32 (C,), zeros; its gradient is the first-order change of the loss if the channel were not
            quantized, sum (v - v_q) dL/dv_q.
        sensitivity: float32 (C,), sum of the absolute values of that gradient since the last allocation.
    """

    def __init__(self, channels: int, bits: int, allocated: bool):
        super().__init__()
        self.bits = _parameter(np.full(channels, bits, np.int32))
        self.probe = _parameter(np.zeros(channels, np.float32), requires_grad=allocated)
        self.sensitivity = _parameter(np.zeros(channels, np.float32))


class MultiBitWeight(PerChannelQuantizer):
    r"""Weights as sums of binary codes, nearest level, straight-through gradient inside the clip.

    .. math::
        w_q = s \sum_{i \le k} a_i b_i,\quad b_i \in \{-1, +1\}, \qquad
        s \leftarrow 0.99\,s + 0.01\,c_k\,\mathrm{mean}|w| \text{ in each training step}, \qquad
        \partial w = \partial w_q [|w| \le s]

    for each output channel with its own k and s; see :mod:`DAMBQ.tables` for a and c. ``construct(w)``: (F, ...) to
    the same shape.

    Pruned weights do not count in the mean, stay 0 and get no gradient; the lowest level of their layer becomes 0
    (:mod:`common.quant.zeros`). 1 bit cannot keep 0 beside other weights: there only whole channels stay 0.

    Args:
        weight: (F, ...) what the scales start from.
        bits: of all channels to begin with, 0 to 4.
        table: ``v2``, ``v1-cifar`` or ``int8``.
        momentum: of the scale.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Raises:
        ConfigError: bits or table outside the above.
    """

    def __init__(
        self, weight: np.ndarray, bits: int, table: str = "v2", momentum: float = 0.99, native: bool | None = None
    ):
        if table not in TABLES or not 0 <= bits <= MAX_BITS:
            tables = ", ".join(TABLES)
            raise ConfigError(f"expected a table of {tables} and 0 to {MAX_BITS} bits, found {table}, {bits}")
        super().__init__(len(weight), bits, allocated=True)
        self.name, self.table, self.momentum = table, TABLES[table], momentum
        self.scale = _parameter(np.zeros(len(weight), np.float32))
        self.levels, self.clips = Tensor(self.table.as_array()), Tensor(self.table.clips.astype(np.float32))
        lowest = [0, -1, *(LEVELS[table].levels(width)[1] for width in range(2, MAX_BITS + 1))]
        self.lowest = Tensor(np.array(lowest, np.float32))
        self.quantize, self.zeros = CodebookQuantize(native), KeptZeros(False, native)
        self.kernel = NativeMultiBit() if use_native(native) else None
        self.following, self.keeping = (Tensor(np.array([m], np.float32)) for m in (momentum, 1))
        self.reset_scale(weight)

    def reset_scale(self, weight: np.ndarray, channels: np.ndarray | slice = slice(None)) -> None:
        """Set the scales of some channels to c_k mean|w| of their present bits."""
        scale, bits = self.scale.asnumpy().copy(), self.bits.asnumpy()
        flat = np.abs(weight).reshape(len(weight), -1)
        pruned = flat.shape[1] / np.maximum((flat > 0).sum(1), 1)  # exactly 1 without pruned weights
        target = self.table.clips[bits] * (flat.mean(1) * pruned.astype(np.float32))
        scale[channels] = target[channels]
        self.scale.set_data(Tensor(scale))

    def construct(self, weight):
        if self.kernel is not None:
            return self._by_kernel(weight)
        scale = self.scale.value()
        if self.training:
            scale = self._followed(ops.stop_gradient(weight), scale)
            ops.assign(self.scale, scale)
        bits = self.bits.value()
        values = self.quantize(weight, bits, scale, self.levels, self.probe)
        return self.zeros(weight, values, ops.gather(self.lowest, bits, 0) * scale, (bits != 1).astype(mstype.int32))

    def _by_kernel(self, weight):
        """The same in one operator."""
        momentum = self.following if self.training else self.keeping
        given = self.bits.value(), self.scale.value(), self.levels, self.lowest, self.clips, momentum, self.probe
        values, scale = self.kernel(weight, *given)
        if self.training:
            ops.assign(self.scale, scale)
        return values

    def _followed(self, weight, scale):
        """The scales after this step."""
        flat = ops.abs(weight).reshape(weight.shape[0], -1)
        remaining = ops.maximum((flat > 0).astype(mstype.float32).sum(1), 1.0)
        mean = flat.mean(1) * (flat.shape[1] / remaining)
        return self.momentum * scale + (1 - self.momentum) * (ops.gather(self.clips, self.bits, 0) * mean)

    def to_int(self, weight: np.ndarray) -> IntegerWeight:
        """The integers of weights (F, ...): level numbers in rising order, bits and scales of each output channel.

        ``table.codes(table.levels(k)[number], k)`` are the binary codes of a number, in layers without pruned weights.
        """
        levels = (LEVELS if kept(weight, shared_scale=False).all() else LEVELS_ZERO)[self.name]
        bits, scale = self.bits.asnumpy(), self.scale.asnumpy()
        training = self.training
        self.set_train(False)
        values = self(Tensor(weight)).asnumpy()
        self.set_train(training)
        numbers = np.zeros(weight.shape, np.uint8)
        for row in np.flatnonzero(bits):
            numbers[row] = np.searchsorted(levels.levels(int(bits[row])) * scale[row], values[row])
        scale = np.where(bits > 0, scale, np.float32(0))
        return IntegerWeight(numbers, bits.astype(np.uint8), scale, levels)


class EightBitWeight(nn.Cell):
    r"""Symmetric 8-bit weights of the first and last layer: :math:`w_q = s\,\mathrm{round}(w / s)`, s = max|w| / 127.

    One s for each output channel; the gradient passes straight through. ``construct(w)``: (F, ...).
    """

    def __init__(self):
        super().__init__()
        self.round = _StraightThroughRound()

    def construct(self, weight):
        flat = weight.reshape(weight.shape[0], -1)
        scale = ops.maximum(ops.abs(ops.stop_gradient(flat)).max(1, keepdims=True) / _EIGHT_BITS, 1e-12)
        return (self.round(flat / scale) * scale).reshape(weight.shape)

    @staticmethod
    def to_int(weight: np.ndarray) -> IntegerWeight:
        """The integers of weights (F, ...), -127 to 127, with a scale of each output channel."""
        flat = weight.reshape(len(weight), -1)
        scale = np.maximum(np.abs(flat).max(1) / np.float32(_EIGHT_BITS), np.float32(1e-12)).astype(np.float32)
        codes = (np.rint(flat / scale[:, None]) + _EIGHT_BITS).astype(np.uint8)
        return IntegerWeight(codes.reshape(weight.shape), one(8, np.uint8), scale, SIGNED)


class _StraightThroughRound(nn.Cell):
    def construct(self, x):
        return ops.round(x)

    def bprop(self, x, out, dout):
        return (dout,)


class UniformActivation(PerChannelQuantizer):
    r"""Uniform activations, the bits of each input channel, one learned clip a of the layer.

    .. math:: x_q = \frac{a}{2^k - 1}\,\mathrm{round}\left(\frac{2^k - 1}{a}\,\mathrm{clip}(x, 0, a)\right)

    ``signed``: 2^k levels from -a to a by the same equation for (x + a) / 2, for inputs that no ReLU has cut; channels
    of 0 bits are 0. Gradients as in :class:`~common.kernels.fake_quant.UniformQuantize`. ``construct(x)``: (N, C) or
    (N, C, H, W), or (N, C G) if channels are groups of G features.

    Args:
        channels: C.
        bits: of all channels to begin with, 0 to 8.
        clip: first value of a, > 0.
        allocated: whether the bits take part in the allocation.
        signed: whether inputs may be negative.
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(
        self,
        channels: int,
        bits: int,
        clip: float = 3.0,
        allocated: bool = True,
        native: bool | None = None,
        signed: bool = False,
    ):
        if not 0 <= bits <= 8 or clip <= 0:
            raise ConfigError(f"expected 0 to 8 bits and a clip > 0 of an activation, found {bits}, {clip}")
        super().__init__(channels, bits, allocated)
        self.channels, self.most = channels, MAX_BITS if allocated else 8
        self.allocated, self.signed = allocated, signed
        self.clip = _parameter(np.array([clip], np.float32), requires_grad=True)
        self.quantize = UniformQuantize(native=native, least_clip=SMALLEST_CLIP)
        self.forked = NativeForkedUniform(self.quantize) if self.quantize.native and not signed else None

    def construct(self, x):
        grouped = x if x.ndim == 4 else x.reshape(x.shape[0], self.channels, -1)
        bits = self.bits.value()
        if not self.signed:
            return self.quantize(grouped, bits, self.clip.value(), self.probe).reshape(x.shape)
        clip = ops.maximum(self.clip, SMALLEST_CLIP)
        y = self.quantize(0.5 * (grouped + clip), bits, clip, self.probe)
        alive = (bits > 0).astype(mstype.float32).reshape((1, -1) + (1,) * (grouped.ndim - 2))
        return (2.0 * y - clip * alive).reshape(x.shape)

    def fork(self, x):
        """The quantized x (N, C, H, W), and x for what else reads it; not of signed inputs."""
        return self.forked(x, self.bits.value(), self.clip.value(), self.probe)

    def grid(self) -> ActivationGrid:
        """The levels that the input is on."""
        clip = np.maximum(self.clip.asnumpy(), np.float32(SMALLEST_CLIP))
        return ActivationGrid(self.bits.asnumpy().astype(np.uint8), clip, self.signed)

    def parameters_of(self, grid: ActivationGrid) -> dict[str, np.ndarray]:
        """The values of this cell's parameters for a grid.

        Raises:
            QuantizationError: a grid that this quantizer cannot have.
        """
        fits = grid.signed == self.signed and grid.bits.shape == (self.channels,)
        if not fits or grid.bits.max() > self.most:
            kind = "a signed" if self.signed else "an unsigned"
            raise QuantizationError(
                f"expected {kind} grid of at most {self.most} bits for {self.channels} channels, found {grid}"
            )
        return {"bits": grid.bits.astype(np.int32), "clip": grid.clip}
