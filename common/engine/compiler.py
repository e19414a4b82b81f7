"""From a network's description to its program; all bounds of integers are proven on the way."""

import numpy as np

from common.engine.decisions import check_chosen, choices
from common.engine.description import (
    Choose,
    DepthwiseConv,
    Description,
    FloatConv,
    Image,
    IntegerConv,
    Step,
    Tail,
    Take,
)
from common.engine.layout import (
    AVERAGE,
    BUFFER,
    CHOOSE,
    DEPTHWISE_CONV,
    DIFFERENCE_CONV,
    FLOAT_CONV,
    HEADER,
    IMAGE,
    IMAGES_TOGETHER,
    INSTRUCTION,
    INTEGER_CONV,
    MAGIC,
    MAXIMUM,
    NONE,
    RELU6,
    TAKE,
    VERSION,
    WINOGRAD_CONV,
    Program,
    Record,
    aligned,
    padded,
)
from common.engine.packing import PackedConv, by_taps, each_plane, pack_conv, pack_depthwise, pack_differences
from common.engine.tensors import (
    Tensor,
    kernel_of,
    place_all,
    read_behind,
    shape_of,
    tensors_of,
    together_from,
    whole_lines,
)
from common.engine.winograd import pack_winograd, pays, scratch_bytes, tiles_of
from common.errors import QuantizationError

_CONSTANTS = ("sum_offset", "scale", "norm", "steps", "top", "multiplier")
_TENSORS = ("source", "residual", "store", "active", "codes")
_NOTHING = dict.fromkeys(INSTRUCTION, 0) | dict.fromkeys((*_CONSTANTS, *_TENSORS, "decision", "grid_decision"), NONE)
_ARENA_MOST = 2**31 - 1


def compile_network(description: Description, plain: bool = False) -> Program:
    """The program of a network.

    Args:
        description: of the network.
        plain: without Winograd convolutions: the same bits from the smallest weights, as files have them.

    Raises:
        QuantizationError: steps that do not fit each other, or integers whose bounds cannot be met.
    """
    if not description.steps or not isinstance(description.steps[0], Image):
        raise QuantizationError("integer engine: expected a network that begins with its images")
    return _Compiler(description, plain).program()


class _Compiler:
    def __init__(self, description: Description, plain: bool):
        self.description, self.tensors, self.plain = description, tensors_of(description), plain
        together = together_from(description)
        once, self.image = place_all(self.tensors, together)
        self.together, self.scratch = len(description.steps) if together is None else together, 0
        self.arena = whole_lines(once + read_behind(description, self.tensors))
        if (size := self.arena + self.image) > _ARENA_MOST:
            raise QuantizationError(f"integer engine: expected an image to need below 2^31 bytes, found {size}")
        self.numbers = {name: i for i, name in enumerate(self.tensors)}
        self.blocks: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.constants: list[np.ndarray] = []
        self.places: dict[bytes, int] = {}  # of numbers of filters, which layers share where they are equal
        steps = len(description.steps)
        self.blocks_start = len(HEADER) + len(BUFFER) * len(self.tensors) + len(INSTRUCTION) * steps

    def program(self) -> Program:
        steps = self.description.steps
        instructions = [self.instruction(step) for step in steps]
        result = self.tensors[self.description.logits]
        if result.shape[1:] != (1, 1) or result.grid:
            raise QuantizationError(f"integer engine: expected logits of 1 x 1 pixels, found {result.shape[1:]}")
        channels, height, width = steps[0].shape
        first_instruction = len(HEADER) + len(BUFFER) * len(self.tensors)
        header = {
            **{"magic": MAGIC, "version": VERSION, "channels": channels, "height": height, "width": width},
            **{"classes": result.shape[0], "logits": self.numbers[self.description.logits]},
            **choices(self.description, self.tensors),
            **{"buffers": len(HEADER), "buffer_count": len(self.tensors)},
            **{"instructions": first_instruction, "instruction_count": len(steps)},
            **{"arena": self.arena, "image": self.image, "scratch": self.scratch, "together": self.together},
        }
        records = [(header, HEADER), *((tensor.record(), BUFFER) for tensor in self.tensors.values())]
        records += [(instruction, INSTRUCTION) for instruction in instructions]
        words = [np.array([record[field] for field in fields], np.int32) for record, fields in records]
        weights = np.concatenate([np.zeros(0, np.int8), *self.weights])
        constants = np.concatenate([np.zeros(0, np.float32), *self.constants])
        return Program(np.concatenate([*words, *self.blocks]), aligned(weights), aligned(constants), (*self.tensors,))

    def instruction(self, step: Step) -> Record:
        filters, height, width = shape_of(step, self.tensors)
        kernel_height, kernel_width = kernel_of(step) if not isinstance(step, Image) else (1, 1)
        record = _NOTHING | {"filters": filters, "height": height, "width": width, "stride": 1}
        if isinstance(step, Image):
            return record | {"operation": IMAGE, "store": self.numbers[step.store]}
        source = self.tensors[step.source]
        if (source.grid is not None) != isinstance(step, IntegerConv | DepthwiseConv):
            wanted, kind = ("codes", "float") if source.grid is None else ("float", "codes")
            raise QuantizationError(f"integer engine: expected {wanted} in {step.source}, found {kind}")
        record |= {"source": self.numbers[step.source]}
        if isinstance(step, Choose):
            choose = {"operation": CHOOSE, "candidates": step.candidates}
            return record | choose | self.tail(step.tail, filters, (height, width))
        check_chosen(step, self.description, self.tensors)
        record |= {"stride": step.stride}
        record |= {"kernel_height": kernel_height, "kernel_width": kernel_width}
        return record | self.operation(step, source, (height, width)) | self.tail(step.tail, filters, (height, width))

    def operation(self, step: Step, source: Tensor, size: tuple[int, int]) -> Record:
        if isinstance(step, IntegerConv):
            operation = DIFFERENCE_CONV if step.differences else INTEGER_CONV
            offset = None if step.offset is None else (step.offset,)
            record = {"operation": operation, "padding": step.padding}
            record |= {"sum_offset": self.constant(offset, len(step.weight))}
            return record | self.integer_weights(step, source, size)
        if isinstance(step, DepthwiseConv):
            weights = self.append(self.constants, pack_depthwise(step.weight, source.grid))
            return {"operation": DEPTHWISE_CONV, "padding": step.padding, "weights": weights}
        if isinstance(step, FloatConv):
            weights = self.append(self.constants, by_taps(step.weight, source.stride))
            return {"operation": FLOAT_CONV, "padding": step.padding, "weights": weights}
        if isinstance(step, Take):
            return {"operation": TAKE, "before": step.before}
        return {"operation": MAXIMUM if step.maximum else AVERAGE, "padding": step.padding}

    def integer_weights(self, step: IntegerConv, source: Tensor, size: tuple[int, int]) -> Record:
        codes = source.grid.largest(source.shape[0], step.candidate)
        if codes.max() > 255:
            raise QuantizationError(f"integer engine: expected codes of at most 255, found {codes.max()}")
        weight, channels = step.weight, source.shape[0] * (2 if source.grid.planes else 1)
        if weight.shape[1] != channels:
            raise QuantizationError(f"integer engine: expected weights of {channels} channels, found {weight.shape[1]}")
        if step.differences:
            if source.grid.planes:
                raise QuantizationError("integer engine: expected differences of codes of one byte")
            return self.packed(pack_differences(weight, source.row))
        multiplier = np.ones(channels, np.int64) if step.multiplier is None else step.multiplier
        arrays = (weight.transpose(1, 0, 2, 3), codes, multiplier)
        if source.grid.planes:  # each plane is padded on its own
            arrays = tuple(each_plane(array, padded(source.shape[0])) for array in arrays)
        packed = pack_conv(arrays[0].transpose(1, 0, 2, 3), arrays[1], arrays[2], source.row)
        chosen = {"decision": source.grid.decision, "candidate": step.candidate}
        chosen = chosen if source.grid.decision is not None else {}
        return (self.winograd(step, codes, packed, source, size) or self.packed(packed)) | chosen

    def winograd(
        self, step: IntegerConv, codes: np.ndarray, direct: PackedConv, source: Tensor, size: tuple[int, int]
    ) -> Record | None:
        """The form of fewer multiplications, where there is one and it pays."""
        if self.plain or step.weight.shape[2:] != (3, 3) or step.stride != 1 or step.multiplier is not None:
            return None
        packed = pack_winograd(step.weight, codes)
        if packed is None or not pays(packed, direct, len(step.weight), size):
            return None
        images = IMAGES_TOGETHER if self.description.steps.index(step) >= self.together else 1
        self.scratch = max(self.scratch, scratch_bytes(images * tiles_of(size), source.stride))
        blocks, weights = self.append(self.blocks, packed.blocks), self.append(self.weights, packed.weights)
        return {"operation": WINOGRAD_CONV, "weights": weights, "blocks": self.blocks_start + blocks}

    def packed(self, packed: PackedConv) -> Record:
        """Weights and blocks of a convolution, as an instruction refers to them."""
        blocks, weights = self.append(self.blocks, packed.blocks), self.append(self.weights, packed.weights)
        return {"weights": weights, "blocks": self.blocks_start + blocks, "block_count": packed.count}

    @staticmethod
    def append(parts: list[np.ndarray], part: np.ndarray) -> int:
        """Where it begins."""
        start = sum(len(other) for other in parts)
        parts.append(part)
        return start

    def tail(self, tail: Tail, filters: int, size: tuple[int, int]) -> Record:
        for name in filter(None, (tail.residual, tail.store, tail.active, tail.codes)):
            if self.tensors[name].shape != (filters, *size):
                raise QuantizationError(
                    f"integer engine: expected {name} to be {(filters, *size)}, found {self.tensors[name].shape}"
                )
        record: Record = {
            "relu": RELU6 if tail.relu6 else int(tail.relu),
            "planes": int(bool(tail.grid and tail.grid.planes)),
        }
        for field in ("residual", "store", "active", "codes"):
            if name := getattr(tail, field):
                record[field] = self.numbers[name]
        record |= {field: self.constant(getattr(tail, field), filters) for field in ("scale", "norm")}
        return record | (self.grid(tail, filters) if tail.codes else {})

    def grid(self, tail: Tail, filters: int) -> Record:
        grid, record = tail.grid, {}
        parts = {"top": grid.top, "steps": grid.steps, "multiplier": grid.multiplier}
        if grid.decision is not None:
            record["grid_decision"] = grid.decision
        for field, part in parts.items():
            if field == "top" or not np.all(part == 1):
                rows = (
                    (part,) if grid.decision is None else tuple(np.broadcast_to(part, (len(grid.top), *part.shape[1:])))
                )
                record[field] = self.constant(rows, filters)
        return record

    def constant(self, arrays: tuple[np.ndarray, ...] | None, filters: int) -> int:
        """Where arrays of a number for each filter begin, zeros behind them."""
        if arrays is None:
            return NONE
        rows = np.zeros((len(arrays), padded(filters)), np.float32)
        for row, array in zip(rows, arrays):
            row[:filters] = array
        key = rows.tobytes()
        if key not in self.places:
            self.places[key] = self.append(self.constants, rows.ravel())
        return self.places[key]
