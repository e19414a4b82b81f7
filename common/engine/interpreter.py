"""The reference: what a program computes, in NumPy, bit for bit what the C++ operator gives.

Sums are integers. All else is float32, one operation after the other, multiplication and addition apart, in the order
that :mod:`common.engine.tail` and the functions here have; rounding is half to even.
"""

from collections.abc import Callable
from functools import reduce

import numpy as np
from numpy.lib.stride_tricks import as_strided

from common.engine.block_sums import Block, block_sums, blocks_at
from common.engine.layout import (
    AVERAGE,
    CHOOSE,
    DEPTHWISE_CONV,
    DIFFERENCE_CONV,
    DIFFERENCE_TAPS,
    FLOAT_CONV,
    GROUP,
    IMAGE,
    INTEGER_CONV,
    MAXIMUM,
    STEP_TAPS,
    TAKE,
    WINOGRAD_CONV,
    Program,
    Record,
    padded,
)
from common.engine.tail import choice, constants, finish
from common.engine.winograd_sums import winograd_sums

Tensors = list[np.ndarray]  # (N, H + 2 border, W + 2 border, stride) each
_PIECE = 32  # taps of a kernel of one row that are added to a sum of their own
_LOWEST = np.finfo(np.float32).min


def interpret(program: Program, images: np.ndarray) -> np.ndarray:
    """Logits and choices (N, classes + decisions) float32 of images (N, C, H, W)."""
    header = program.header
    if header["decisions"] and len(images) > 1:  # each takes instructions of its own
        return np.concatenate([interpret(program, image[None]) for image in images])
    made = tensors(program, images)
    parts = [made[header["logits"]][:, 0, 0, : header["classes"]]]
    if header["decisions"]:
        parts.append(made[header["choices"]][:, 0, 0, : header["decisions"]])
    return np.concatenate(parts, 1)


def tensors(program: Program, images: np.ndarray) -> Tensors:
    """All tensors of a program, in the order of ``program.names``; of one image where images choose."""
    made = [_empty(buffer, len(images)) for buffer in program.buffers]
    for instruction in program.instructions:
        if choice(program, made, instruction["decision"]) != instruction["candidate"]:
            continue
        if instruction["operation"] == IMAGE:
            inside(made[instruction["store"]], program.buffers[instruction["store"]])[:] = images.transpose(0, 2, 3, 1)
        else:
            values = _OPERATIONS[instruction["operation"]](program, instruction, made[instruction["source"]])
            finish(program, instruction, values, made)
    return made


def _empty(buffer: Record, count: int) -> np.ndarray:
    height, width = (buffer[side] + 2 * buffer["border"] for side in ("height", "width"))
    return np.zeros((count, height, width, buffer["stride"]), np.uint8 if buffer["element"] == 1 else np.float32)


def inside(tensor: np.ndarray, buffer: Record) -> np.ndarray:
    """A tensor without its border, as a view."""
    border = buffer["border"]
    return tensor[:, border : border + buffer["height"], border : border + buffer["width"]]


def _windows(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    """(N, OH, OW, elements from the first tap of each result on), as a view."""
    border = program.buffers[instruction["source"]]["border"]
    start = source[:, border - instruction["padding"] :, border - instruction["padding"] :]
    image, row, pixel, element = start.strides
    step = instruction["stride"]
    last = (instruction["height"] - 1) * step * row + (instruction["width"] - 1) * step * pixel
    reach = (source.strides[0] - (start.ctypes.data - source.ctypes.data) - last) // element
    shape = (len(source), instruction["height"], instruction["width"], reach)
    return as_strided(start, shape, (image, step * row, step * pixel, element))


def _integer_conv(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    windows = _windows(program, instruction, source)
    blocks = decode_blocks(program, instruction)
    steps = sum(count for _, runs in blocks for _, count in runs)
    filters = padded(instruction["filters"])
    size = steps * STEP_TAPS * filters
    weights = program.weights[instruction["weights"] : instruction["weights"] + size]
    weights = weights.reshape(filters // GROUP, steps, GROUP, STEP_TAPS).transpose(1, 3, 0, 2).reshape(-1, filters)
    return _as_float(program, instruction, block_sums(windows, blocks, weights))


def _difference_conv(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    windows = _windows(program, instruction, source)
    ((_, runs),) = decode_blocks(program, instruction)
    taps = np.concatenate([np.arange(offset, offset + STEP_TAPS * steps) for offset, steps in runs])
    filters = padded(instruction["filters"])
    size = len(taps) * filters
    weights = program.weights[instruction["weights"] : instruction["weights"] + size].view(np.uint8)
    weights = weights.reshape(filters // GROUP, -1, GROUP, DIFFERENCE_TAPS).transpose(0, 2, 1, 3).reshape(filters, -1)
    values = windows[..., taps].astype(np.int32)
    sums = np.stack([np.abs(values - weight.astype(np.int32)).sum(-1) for weight in weights], -1)
    return _as_float(program, instruction, sums)


def _as_float(program: Program, instruction: Record, sums: np.ndarray) -> np.ndarray:
    if offset := constants(program, instruction, "sum_offset", 1):
        sums = sums.astype(np.int32) - offset[0].astype(np.int32)
    return sums.astype(np.int32).astype(np.float32)


def _winograd_conv(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    return _as_float(program, instruction, winograd_sums(program, instruction, source))


def decode_blocks(program: Program, instruction: Record) -> list[Block]:
    """Blocks of an integer convolution."""
    return blocks_at(program, instruction["blocks"], instruction["block_count"])[0]


def _float_conv(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    windows = _windows(program, instruction, source)
    row, taps = source.shape[2] * source.shape[3], instruction["kernel_width"] * source.shape[3]
    offsets = [y * row + tap for y in range(instruction["kernel_height"]) for tap in range(taps)]
    filters = padded(instruction["filters"])
    weights = program.constants[instruction["weights"] :][: len(offsets) * filters]
    weights = weights.reshape(filters // GROUP, len(offsets), GROUP).transpose(1, 0, 2).reshape(-1, filters)
    pieces = range(0, len(offsets), _PIECE if instruction["kernel_height"] == 1 else len(offsets))
    sums = [np.zeros((*windows.shape[:3], filters), np.float32) for _ in pieces]
    for number, (offset, weight) in enumerate(zip(offsets, weights)):
        piece = number // pieces.step
        sums[piece] = sums[piece] + windows[..., offset : offset + 1] * weight
    return reduce(np.add, sums)


def _depthwise_conv(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    windows, filters = _windows(program, instruction, source), padded(instruction["filters"])
    row, pixel = source.shape[2] * source.shape[3], source.shape[3]
    taps = [
        y * row + x * pixel for y in range(instruction["kernel_height"]) for x in range(instruction["kernel_width"])
    ]
    weights = program.constants[instruction["weights"] :][: len(taps) * filters].reshape(-1, len(taps), GROUP)
    sums = np.zeros((*windows.shape[:3], filters), np.float32)
    for tap, weight in zip(taps, weights.transpose(1, 0, 2).reshape(len(taps), filters)):
        sums = sums + windows[..., tap : tap + filters].astype(np.float32) * weight
    return sums


def _take(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    buffer = program.buffers[instruction["source"]]
    step, before, channels = instruction["stride"], instruction["before"], buffer["channels"]
    taken = inside(source, buffer)[:, ::step, ::step, :channels]
    values = np.zeros((*taken.shape[:3], padded(instruction["filters"])), np.float32)
    values[..., before : before + channels] = taken
    return values


def _choose(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    count, filters = instruction["candidates"], instruction["filters"]
    scores = source[..., : filters * count].reshape(*source.shape[:3], filters, count)
    values = np.zeros((*source.shape[:3], padded(filters)), np.float32)
    values[..., :filters] = scores.argmax(-1)
    return values


def _pool(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    buffer, step = program.buffers[instruction["source"]], instruction["stride"]
    maximum, padding = instruction["operation"] == MAXIMUM, instruction["padding"]
    sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    values = np.pad(inside(source, buffer), sides, constant_values=_LOWEST if maximum else 0)
    height, width = instruction["height"], instruction["width"]
    result = np.full((len(source), height, width, source.shape[3]), _LOWEST if maximum else 0, np.float32)
    for i in range(instruction["kernel_height"]):
        for j in range(instruction["kernel_width"]):
            tap = values[:, i : i + step * height : step, j : j + step * width : step][:, :height, :width]
            result = np.where(tap > result, tap, result) if maximum else result + tap
    count = np.float32(instruction["kernel_height"] * instruction["kernel_width"])
    return result if maximum else result / count


_OPERATIONS: dict[int, Callable[[Program, Record, np.ndarray], np.ndarray]] = {
    INTEGER_CONV: _integer_conv,
    FLOAT_CONV: _float_conv,
    TAKE: _take,
    AVERAGE: _pool,
    MAXIMUM: _pool,
    CHOOSE: _choose,
    DIFFERENCE_CONV: _difference_conv,
    DEPTHWISE_CONV: _depthwise_conv,
    WINOGRAD_CONV: _winograd_conv,
}
