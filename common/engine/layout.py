"""The program in memory: names and places of its numbers, as ``program.h`` has them."""

from dataclasses import dataclass

import numpy as np

MAGIC, VERSION = 0x5042574C, 2  # "LWBP"
GROUP = 16  # filters that are computed together; channels of buffers are padded to it
STEP_TAPS = 4  # taps of a step: what one lane of 32 bits multiplies
DIFFERENCE_TAPS = 8  # taps of two steps: what one lane of 64 bits takes differences of
WINOGRAD_TILES = 8  # whose transformed codes lie side by side
IMAGES_TOGETHER = 4  # of a group at most: their weights are read once
NONE = -1
RELU6 = 2  # of an instruction's relu

HEADER = (
    *("magic", "version", "channels", "height", "width", "classes", "logits", "decisions", "choices"),
    *("buffers", "buffer_count", "instructions", "instruction_count", "arena", "image", "scratch", "together"),
)
BUFFER = ("element", "offset", "image", "height", "width", "channels", "stride", "border")
INSTRUCTION = (
    *("operation", "source", "height", "width", "filters", "kernel_height", "kernel_width", "stride", "padding"),
    *("weights", "blocks", "block_count", "before", "candidates", "decision", "candidate"),
    *("sum_offset", "scale", "residual", "relu", "store", "norm", "active", "steps", "top", "multiplier", "planes"),
    *("codes", "grid_decision"),
)
IMAGE, INTEGER_CONV, FLOAT_CONV, TAKE, AVERAGE, MAXIMUM, CHOOSE = range(7)
DIFFERENCE_CONV, WINOGRAD_CONV, DEPTHWISE_CONV = range(7, 10)
OPERATIONS = (
    *("image", "integer convolution", "float convolution", "take", "average", "maximum", "choose"),
    *("difference convolution", "Winograd convolution", "depthwise convolution"),
)

Record = dict[str, int]


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled network.

    Attributes:
        words: int32, header, buffers, instructions, blocks.
        weights: int8, aligned to 64 bytes.
        constants: float32.
        names: of the tensors that the buffers hold, for messages and tests; no part of what runs.
    """

    words: np.ndarray
    weights: np.ndarray
    constants: np.ndarray
    names: tuple[str, ...]

    @property
    def header(self) -> Record:
        """Numbers of the whole program."""
        return dict(zip(HEADER, self.words[: len(HEADER)].tolist()))

    @property
    def buffers(self) -> list[Record]:
        """Where tensors are in the memory of an image."""
        return _records(self.words, BUFFER, self.header["buffers"], self.header["buffer_count"])

    @property
    def instructions(self) -> list[Record]:
        """What is computed, in its order."""
        return _records(self.words, INSTRUCTION, self.header["instructions"], self.header["instruction_count"])

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays."""
        return self.words.nbytes + self.weights.nbytes + self.constants.nbytes


def _records(words: np.ndarray, fields: tuple[str, ...], first: int, count: int) -> list[Record]:
    rows = words[first : first + count * len(fields)].reshape(count, len(fields))
    return [dict(zip(fields, row)) for row in rows.tolist()]


def padded(channels: int) -> int:
    """Channels up to the next whole group."""
    return -(-channels // GROUP) * GROUP


def aligned(array: np.ndarray, boundary: int = 64) -> np.ndarray:
    """A copy of a byte array that begins at a multiple of ``boundary``."""
    space = np.zeros(array.nbytes + boundary, np.uint8)
    start = -space.ctypes.data % boundary
    copy = space[start : start + array.nbytes].view(array.dtype)
    copy[:] = array
    return copy
