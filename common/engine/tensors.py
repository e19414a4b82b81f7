"""The tensors of a network: their shapes, borders and lifetimes, and their places in the memory of an image."""

from collections.abc import Iterator
from dataclasses import dataclass

from common.engine.description import (
    Choose,
    DepthwiseConv,
    Description,
    FloatConv,
    Grid,
    Image,
    IntegerConv,
    Pool,
    Step,
    Take,
)
from common.engine.layout import Record, padded
from common.errors import QuantizationError

_LINE = 64  # bytes of a line of the cache
_LARGE = 2**18  # weights of a layer that do not stay in the second cache from image to image
_TILE = 16  # pixels of a tile at most, see the files of the instruction sets


@dataclass
class Tensor:
    """One tensor.

    Attributes:
        shape: (C, H, W).
        grid: of codes; None: float32.
        stride: elements from pixel to pixel.
        border: pixels of zeros on each side.
        first, last: steps that write it and that read it last.
        offset: in the memory of a thread.
        image: bytes to the place of the next image of a group; 0: images use it one after the other.
    """

    shape: tuple[int, int, int]
    grid: Grid | None
    stride: int
    first: int
    last: int
    border: int = 0
    offset: int = 0
    image: int = 0

    @property
    def element(self) -> int:
        """Bytes of an element."""
        return 1 if self.grid else 4

    @property
    def row(self) -> int:
        """Elements from row to row."""
        return (self.shape[2] + 2 * self.border) * self.stride

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return whole_lines(self.element * self.row * (self.shape[1] + 2 * self.border))

    def record(self) -> Record:
        """As the program has it."""
        channels, height, width = self.shape
        return {
            **{"element": self.element, "offset": self.offset, "image": self.image, "height": height, "width": width},
            **{"channels": channels, "stride": self.stride, "border": self.border},
        }


def tensors_of(description: Description) -> dict[str, Tensor]:
    """All tensors by name, without their places.

    Raises:
        QuantizationError: steps that do not fit each other.
    """
    tensors: dict[str, Tensor] = {}
    for i, step in enumerate(description.steps):
        for name in (*read_by(step), *_read_meanwhile(description, i)):
            _tensor(tensors, name).last = i
        if isinstance(step, IntegerConv | DepthwiseConv | FloatConv):
            source = tensors[step.source]
            source.border = max(source.border, step.padding)
        shape = shape_of(step, tensors)
        for name, grid in written_by(step):
            if name in tensors and isinstance(step, IntegerConv) and step.candidate:
                continue  # the first candidate's step has made it
            if name in tensors:
                raise QuantizationError(f"integer engine: expected every tensor to be written once, found {name} twice")
            channels = padded(shape[0]) * (2 if grid and grid.planes else 1)
            stride = shape[0] if isinstance(step, Image) else channels
            tensors[name] = Tensor(shape, grid, stride, i, i)
    for name in (description.logits, *(step.store for step in description.steps if isinstance(step, Choose))):
        _tensor(tensors, name).last = len(description.steps)
    return tensors


def _tensor(tensors: dict[str, Tensor], name: str) -> Tensor:
    if name not in tensors:
        raise QuantizationError(f"integer engine: expected a tensor that an earlier step writes, found {name!r}")
    return tensors[name]


def read_by(step: Step) -> Iterator[str]:
    """Names of the tensors that a step reads."""
    if isinstance(step, Image):
        return
    yield step.source
    if step.tail.residual:
        yield step.tail.residual


def _read_meanwhile(description: Description, i: int) -> Iterator[str]:
    """What the float convolution before a maximum reads: both are computed a few rows at a time, in turns."""
    step, before = description.steps[i], description.steps[i - 1]
    if isinstance(step, Pool) and step.maximum and isinstance(before, FloatConv) and before.tail.store == step.source:
        yield from read_by(before)


def written_by(step: Step) -> Iterator[tuple[str, Grid | None]]:
    """Names of the tensors that a step writes, and their grids."""
    if isinstance(step, Image):
        yield step.store, None
        return
    for name, grid in ((step.tail.store, None), (step.tail.active, None), (step.tail.codes, step.tail.grid)):
        if name:
            yield name, grid


def shape_of(step: Step, tensors: dict[str, Tensor]) -> tuple[int, int, int]:
    """(F, OH, OW) of a step's values."""
    if isinstance(step, Image):
        return step.shape
    channels, height, width = tensors[step.source].shape
    if isinstance(step, Choose):
        return channels // step.candidates, 1, 1
    padding = 0 if isinstance(step, Take) else step.padding
    kernel = kernel_of(step)
    sides = [(size + 2 * padding - side) // step.stride + 1 for size, side in zip((height, width), kernel)]
    if min(sides) < 1:
        raise QuantizationError(f"integer engine: expected windows within {height} x {width} pixels, found {kernel}")
    filters = {Take: lambda: step.filters or channels, Pool: lambda: channels}
    return filters.get(type(step), lambda: step.weight.shape[0])(), sides[0], sides[1]


def kernel_of(step: Step) -> tuple[int, int]:
    """Height and width of a step's windows."""
    if isinstance(step, IntegerConv | DepthwiseConv | FloatConv):
        return step.weight.shape[2], step.weight.shape[3]
    return step.kernel if isinstance(step, Pool) else (1, 1)


def place_all(tensors: dict[str, Tensor], together: int | None) -> tuple[int, int]:
    """Places for all tensors; bytes of those that a thread has once, and of those that each image of a group has.

    The latter are the tensors that steps from ``together`` on read or write, or the caller; None: there are no groups.
    """
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    for tensor in tensors.values():
        parts[int(together is not None and tensor.last >= together)].append(tensor)
    once, each = (_place(part) for part in parts)
    for tensor in parts[1]:
        tensor.offset, tensor.image = tensor.offset + once, each
    return once, each


def _place(tensors: list[Tensor]) -> int:
    """Give tensors that live at the same time places apart; the bytes up to the end of the last."""
    placed: list[Tensor] = []
    for tensor in sorted(tensors, key=lambda tensor: tensor.nbytes, reverse=True):
        others = [other for other in placed if other.first <= tensor.last and tensor.first <= other.last]
        tensor.offset = 0
        for other in sorted(others, key=lambda other: other.offset):
            if tensor.offset + tensor.nbytes <= other.offset:
                break
            tensor.offset = max(tensor.offset, other.offset + other.nbytes)
        placed.append(tensor)
    return max((tensor.offset + tensor.nbytes for tensor in placed), default=0)


def whole_lines(size: int) -> int:
    """Bytes up to the end of a line of the cache."""
    return -(-size // _LINE) * _LINE


def together_from(description: Description) -> int | None:
    """The step from which on a group of images is computed step by step, so that large weights are read once.

    Earlier steps are computed image by image; None: all are, as those of a network whose images choose.
    """
    steps = description.steps
    if any(isinstance(step, Choose) for step in steps):
        return None
    sizes = [step.weight.size if isinstance(step, IntegerConv | FloatConv) else 0 for step in steps]
    return next((i for i, size in enumerate(sizes) if size >= _LARGE), None)


def read_behind(description: Description, tensors: dict[str, Tensor]) -> int:
    """Bytes behind a tensor's end that tiles of too many pixels may read, and drop."""
    bytes_behind = [0]
    for step in description.steps:
        if isinstance(step, IntegerConv | DepthwiseConv | FloatConv):
            source = tensors[step.source]
            pixels = _TILE * step.stride + kernel_of(step)[1]
            row = source.row if step.stride == 1 else 0  # below Winograd's tiles of an odd height
            bytes_behind.append((row + pixels * source.stride) * source.element)
    return max(bytes_behind)
