"""Integer Winograd convolutions as the interpreter computes them; :mod:`common.engine.winograd` has the equations."""

import numpy as np

from common.engine.block_sums import Block, block_sums, blocks_at
from common.engine.layout import GROUP, STEP_TAPS, Program, Record, padded
from common.engine.winograd import INPUT, OUTPUT, POSITIONS, SHIFTS, offsets


def winograd_sums(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    """int64 (N, OH, OW, F) of codes (N, rows, pixels, channels), borders included."""
    filters, place = padded(instruction["filters"]), instruction["blocks"]
    added, place = offsets(int(program.words[place]) // 2), place + 1
    corrections, place = program.words[place : place + 4 * filters].reshape(2, 2, filters), place + 4 * filters
    blocks: list[list[Block]] = []
    for _ in range(POSITIONS):
        decoded, place = blocks_at(program, place + 1, program.words[place])
        blocks.append(decoded)
    codes = _transformed(program, instruction, source).astype(np.float64) + added[:, None]
    ends = np.cumsum([0, *(STEP_TAPS * sum(count for _, runs in decoded for _, count in runs) for decoded in blocks)])
    weights = program.weights[instruction["weights"] : instruction["weights"] + ends[-1] * filters]
    weights = weights.reshape(filters // GROUP, ends[-1] // STEP_TAPS, GROUP, STEP_TAPS)
    weights = weights.transpose(1, 3, 0, 2).reshape(-1, filters)
    sums = np.zeros((*codes.shape[:4], filters), np.int64)
    for i in range(POSITIONS):
        sums[..., i, :] = block_sums(codes[..., i, :], blocks[i], weights[ends[i] : ends[i + 1]]) << SHIFTS[i]
    sums = np.einsum("pi,qj,nyxijf->nypxqf", OUTPUT, OUTPUT, sums.reshape(*sums.shape[:3], 4, 4, filters))
    sums = (sums + corrections[:, None, :]) >> 2
    count, tiles_high, _, tiles_wide = sums.shape[:4]
    sums = sums.reshape(count, 2 * tiles_high, 2 * tiles_wide, filters)
    return sums[:, : instruction["height"], : instruction["width"]]


def _transformed(program: Program, instruction: Record, source: np.ndarray) -> np.ndarray:
    """Codes of tiles of 4 x 4 pixels, every two pixels, transformed: (N, rows, columns, 16, channels)."""
    border, padding = program.buffers[instruction["source"]]["border"], instruction["padding"]
    start = source[:, border - padding :, border - padding :].astype(np.int64)
    rows, columns = -(-instruction["height"] // 2), -(-instruction["width"] // 2)
    lacking = [(0, max(0, 2 * size + 2 - have)) for size, have in zip((rows, columns), start.shape[1:3])]
    start = np.pad(start, [(0, 0), *lacking, (0, 0)])[:, : 2 * rows + 2, : 2 * columns + 2]
    windows = np.lib.stride_tricks.sliding_window_view(start, (4, 4), (1, 2))[:, ::2, ::2]
    made = np.einsum("ik,nyxckl,jl->nyxijc", INPUT, windows, INPUT)
    return made.reshape(*made.shape[:3], POSITIONS, -1)
