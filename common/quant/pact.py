"""PACT activations (Choi et al., arXiv 1805.06085) with their bits as a parameter."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from common.errors import QuantizationError
from common.kernels.fake_quant import UniformQuantize
from common.quant.dorefa import MAX_BITS, MIN_BITS, check_bits
from common.quant.integer_weight import ActivationGrid

SMALLEST_CLIP = 1e-3  # a clip that learning drives to 0 or below would leave no levels


class PACTActivation(nn.Cell):
    r"""Activations clipped at a learned :math:`\alpha` on :math:`2^k` levels (equations 1 and 2 of the paper).

    .. math::
        y = \frac{\alpha}{2^k - 1}\,\mathrm{round}\left(\frac{2^k - 1}{\alpha}\,\mathrm{clip}(x, 0, \alpha)\right),
        \qquad \frac{\partial y}{\partial \alpha} = [x \ge \alpha], \qquad
        \frac{\partial y}{\partial x} = [0 \le x \le \alpha]

    ``signed``: :math:`2^k` levels from :math:`-\alpha` to :math:`\alpha` in place of 0 to :math:`\alpha`, by the same
    equations for :math:`(x + \alpha) / 2`; for inputs that no ReLU has cut.

    ``construct(x)``: (N, ...) float32 to the same shape.

    Args:
        bits: to begin with, 2 to 8.
        clip: first value of alpha, > 0; the paper's is 10.
        signed: whether inputs may be negative.
        learned: whether alpha is trained; DoReFa's activations are those of a constant 1.
        native: force (True) or forbid (False) the C++ kernel; None chooses.

    Attributes:
        bits: int32 (1,), not trained; a new value needs no compilation.
        clip: float32 (1,).

    Raises:
        ConfigError: bits outside 2 to 8.
    """

    def __init__(
        self,
        bits: int = 8,
        clip: float = 10.0,
        signed: bool = False,
        learned: bool = True,
        native: bool | None = None,
    ):
        super().__init__()
        check_bits(bits)
        self.signed = signed
        self.bits = Parameter(Tensor(np.array([bits], np.int32)), requires_grad=False)
        self.clip = Parameter(Tensor(np.array([clip], np.float32)), requires_grad=learned)
        self.quantize = UniformQuantize(learned_step=False, native=native, least_clip=SMALLEST_CLIP)
        self.probe = Tensor(np.zeros(1, np.float32))
        self.tops = Tensor(np.array([2**width - 1 for width in range(MAX_BITS + 1)], np.float32))

    def construct(self, x):
        clip = ops.maximum(self.clip, SMALLEST_CLIP) if self.signed else self.clip.value()
        unsigned = 0.5 * (x + clip) if self.signed else x
        rows = unsigned.reshape(x.shape[0], 1, -1)  # one channel: all values share their bits
        y = self.quantize(rows, self.bits.value(), clip, self.probe).reshape(x.shape)
        return 2.0 * y - clip if self.signed else y

    def codes(self, x):
        """Unsigned inputs as numbers of their levels, float32 like x and whole; and the step of a level, (1,)."""
        clip, top = ops.maximum(self.clip, SMALLEST_CLIP), ops.gather(self.tops, self.bits, 0)
        rows = (x * (top / clip)).reshape(x.shape[0], 1, -1)
        return self.quantize(rows, self.bits.value(), top, self.probe).reshape(x.shape), clip / top

    def grid(self) -> ActivationGrid:
        """The levels that the input is on."""
        clip = np.maximum(self.clip.asnumpy(), np.float32(SMALLEST_CLIP))
        return ActivationGrid(self.bits.asnumpy().astype(np.uint8), clip, self.signed)

    def parameters_of(self, grid: ActivationGrid) -> dict[str, np.ndarray]:
        """The values of this cell's parameters for a grid.

        Raises:
            QuantizationError: a grid that this quantizer cannot have.
        """
        if grid.signed != self.signed or grid.bits.shape != (1,) or not MIN_BITS <= grid.bits[0] <= MAX_BITS:
            raise QuantizationError(
                f"expected a grid of {MIN_BITS} to {MAX_BITS} bits for all channels, {'' if self.signed else 'not '}"
                f"signed, found {grid}"
            )
        return {"bits": grid.bits.astype(np.int32), "clip": grid.clip}


def pact(x: np.ndarray, bits: int, clip: float, signed: bool = False) -> np.ndarray:
    """The quantizer on an array: float32 of the same shape."""
    clip = max(np.float32(clip), np.float32(SMALLEST_CLIP))
    steps = np.float32(2**bits - 1)
    unsigned = (x + clip) * np.float32(0.5) if signed else x
    y = np.rint(np.clip(unsigned, 0, clip) * (steps / clip)) * (clip / steps)
    return 2 * y - clip if signed else y
