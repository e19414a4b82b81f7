r"""A network as the engine's compiler takes it: steps that read and write named tensors, all arrays NumPy's.

Every step computes a value v of each pixel and filter and hands it to its :class:`Tail`. Tensors are of two kinds:
codes (bytes, on a :class:`Grid`), which integer convolutions read, and float32, which shortcuts and float layers read.
"""

from dataclasses import dataclass, field

import numpy as np

PLANE = 256  # value of a code of the upper plane
NO_TAP = -1  # in the place of a weight of differences: windows have no tap there, of no channel and filter


@dataclass(frozen=True, eq=False)
class Grid:
    r"""What codes are: :math:`q_c = n_c\,\mathrm{round}(\mathrm{clip}(k_c v, 0, t_c))`, half to even.

    Attributes:
        steps: k, codes per unit, float32 (1,) or (C,).
        top: t, the largest code before n, (1,) or (C,).
        multiplier: n, of codes on finer grids than their own, (1,) or (C,).
        planes: codes of 16 bits as two bytes: all channels' upper ones, then all lower ones.
        decision: number of the decision whose candidate each image takes; steps, top and multiplier have a row for
            each candidate then. None: all images share one grid.
    """

    steps: np.ndarray
    top: np.ndarray
    multiplier: np.ndarray = field(default_factory=lambda: np.ones(1, np.int64))
    planes: bool = False
    decision: int | None = None

    def largest(self, channels: int, candidate: int = 0) -> np.ndarray:
        """The largest byte of each channel of the tensor, int64 (C,) or of two planes (2 C,)."""
        codes = self.top.astype(np.int64) * self.multiplier.astype(np.int64)
        codes = np.broadcast_to(codes if self.decision is None else codes[candidate], channels)
        if not self.planes:
            return codes
        return np.concatenate([codes // PLANE, np.minimum(codes, PLANE - 1)])


@dataclass(frozen=True, eq=False)
class Tail:
    """What becomes of a step's value v, float32, in this order; a tensor's name may be empty.

    Attributes:
        scale: a and b, float (F,) each: v a + b.
        residual: float tensor that is added.
        relu: whether negative v become 0.
        relu6: whether v above 6 become 6 too.
        store: float tensor that v is written to.
        norm: g and h, float (F,) each: v g + h, behind ``store``.
        active: float tensor that max(v, 0) is written to.
        codes: tensor of codes that v is quantized to.
        grid: of the codes.
    """

    scale: tuple[np.ndarray, np.ndarray] | None = None
    residual: str = ""
    relu: bool = False
    relu6: bool = False
    store: str = ""
    norm: tuple[np.ndarray, np.ndarray] | None = None
    active: str = ""
    codes: str = ""
    grid: Grid | None = None


@dataclass(frozen=True, eq=False)
class Image:
    """The images, float32 (C, H, W).

    Attributes:
        store: name of the tensor.
        shape: (C, H, W).
    """

    store: str
    shape: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class IntegerConv:
    r"""A convolution of codes with integers: :math:`S_f = \sum_c u_c \sum_{i} x_{c,i}\,w_{f,c,i}`.

    Attributes:
        source: tensor of codes.
        weight: integers (F, C, KH, KW); C is twice the channels where the codes have two planes.
        tail: of the sums.
        stride: in both directions.
        padding: zeros on each side.
        multiplier: u, integers (C,): what a code of each channel of the source stands for; None: 1.
        differences: whether S is the sum of :math:`|x_{c,i} - w_{f,c,i}|`, with w from 0 to 255, in place of products;
            of the places i with weights ``NO_TAP`` there is no difference.
        candidate: of the decision of the source's grid that the step is for; the candidates' steps write the same
            tensors.
        offset: o, integers (F,) of at most 2^24, so that float32 has them: the tail takes S - o, see
            :func:`common.engine.centring.centred`; None: 0.
    """

    source: str
    weight: np.ndarray
    tail: Tail
    stride: int = 1
    padding: int = 0
    multiplier: np.ndarray | None = None
    differences: bool = False
    candidate: int = 0
    offset: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class DepthwiseConv:
    r"""A convolution of each channel of codes by itself: :math:`S_c = \sum_i x_{c,i}\,w_{c,i}`, exact in floats.

    Attributes:
        source: tensor of codes of one plane.
        weight: integers (C, 1, KH, KW).
        tail: of the sums.
        stride: in both directions.
        padding: zeros on each side.
    """

    source: str
    weight: np.ndarray
    tail: Tail
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True, eq=False)
class FloatConv:
    """A convolution in float32; a linear layer is one of 1 x 1 pixels.

    Attributes:
        source: float tensor.
        weight: float32 (F, C, KH, KW).
        tail: of the sums.
        stride: in both directions.
        padding: zeros on each side.
    """

    source: str
    weight: np.ndarray
    tail: Tail
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True, eq=False)
class Take:
    """Every stride-th pixel of a float tensor, with channels of zeros; of stride 1 what a tail alone computes.

    Attributes:
        source: float tensor.
        tail: of the values.
        stride: in both directions.
        before: channels of zeros before those of the source.
        filters: channels in all; None: those of the source.
    """

    source: str
    tail: Tail
    stride: int = 1
    before: int = 0
    filters: int | None = None


@dataclass(frozen=True, eq=False)
class Pool:
    """Average or maximum of windows of a float tensor.

    Attributes:
        source: float tensor.
        tail: of the values.
        kernel: height and width of the windows.
        stride: in both directions.
        padding: pixels on each side: zeros of an average, which count; nothing to a maximum.
        maximum: the largest value in place of the average.
    """

    source: str
    tail: Tail
    kernel: tuple[int, int]
    stride: int = 1
    padding: int = 0
    maximum: bool = False


@dataclass(frozen=True, eq=False)
class Choose:
    """The candidate of the largest score of each decision, the first of equal ones.

    Attributes:
        source: float tensor of 1 x 1 pixels with the scores of the first decision's candidates, the second's, ...
        store: float tensor of the candidates' numbers.
        candidates: of each decision.
    """

    source: str
    store: str
    candidates: int

    @property
    def tail(self) -> Tail:
        """It writes its values as they are."""
        return Tail(store=self.store)


Step = Image | IntegerConv | DepthwiseConv | FloatConv | Take | Pool | Choose


@dataclass(frozen=True, eq=False)
class Description:
    """A network.

    Attributes:
        steps: in their order; the first one is the :class:`Image`.
        logits: float tensor of 1 x 1 pixels that is the result.
    """

    steps: tuple[Step, ...]
    logits: str
