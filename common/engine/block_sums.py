"""Blocks of a convolution, read back from the program, and their sums: what the interpreter has of a kernel's tile."""

import numpy as np

from common.engine.layout import STEP_TAPS, Program

Block = tuple[int, list[tuple[int, int]]]  # multiplier, runs of offset and steps


def blocks_at(program: Program, place: int, count: int) -> tuple[list[Block], int]:
    """So many blocks from a place in the program's words on, and the place behind them."""
    blocks = []
    for _ in range(count):
        multiplier, count = program.words[place : place + 2].tolist()
        runs = program.words[place + 2 : place + 2 + 2 * count].reshape(count, 2).tolist()
        blocks.append((multiplier, [(offset, steps) for offset, steps in runs]))
        place += 2 + 2 * count
    return blocks, place


def block_sums(codes: np.ndarray, blocks: list[Block], weights: np.ndarray) -> np.ndarray:
    """int64 (..., F) of codes (..., taps) with weights (taps, F) in the order of the blocks."""
    sums, first = np.zeros((*codes.shape[:-1], weights.shape[1]), np.int64), 0
    for multiplier, runs in blocks:
        for offset, count in runs:
            taps = slice(first, first := first + STEP_TAPS * count)
            # In float64 for speed: all numbers stay far below 2^53.
            product = codes[..., offset : offset + STEP_TAPS * count].astype(np.float64) @ weights[taps]
            sums += multiplier * product.astype(np.int64)
    return sums
