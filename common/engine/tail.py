"""What happens to the values of an instruction before they are written: the equations of ``tail.h`` in NumPy."""

import numpy as np

from common.engine.description import PLANE
from common.engine.layout import NONE, RELU6, Program, Record, padded


def finish(program: Program, instruction: Record, values: np.ndarray, tensors: list[np.ndarray]) -> None:
    """Compute and write, in the fixed order.

    Args:
        program: whose constants are taken.
        instruction: whose tail it is.
        values: float32 (N, OH, OW, filters padded to groups).
        tensors: of the program; those that the tail writes are filled.
    """
    v = values
    if scale := constants(program, instruction, "scale", 2):
        v = v * scale[0] + scale[1]
    if instruction["residual"] != NONE:
        v = v + _inside(program, tensors, instruction["residual"])
    if instruction["relu"]:
        v = _positive(v)
    if instruction["relu"] == RELU6:
        v = np.where(v < 6, v, np.float32(6))
    if instruction["store"] != NONE:
        _inside(program, tensors, instruction["store"])[:] = v
    if norm := constants(program, instruction, "norm", 2):
        v = v * norm[0] + norm[1]
    if instruction["active"] != NONE:
        v = _positive(v)
        _inside(program, tensors, instruction["active"])[:] = v
    if instruction["codes"] != NONE:
        chosen = choice(program, tensors, instruction["grid_decision"])
        _inside(program, tensors, instruction["codes"])[:] = _codes(program, instruction, v, chosen)


def choice(program: Program, tensors: list[np.ndarray], decision: int) -> int:
    """The candidate that the image has chosen; 0 where nothing is to be chosen."""
    return 0 if decision == NONE else int(tensors[program.header["choices"]][0, 0, 0, decision])


def _codes(program: Program, instruction: Record, v: np.ndarray, chosen: int) -> np.ndarray:
    if steps := constants(program, instruction, "steps", 1, chosen):
        v = v * steps[0]
    (top,) = constants(program, instruction, "top", 1, chosen)
    v = _positive(v)
    codes = np.rint(np.where(v < top, v, top)).astype(np.int32)
    if multiplier := constants(program, instruction, "multiplier", 1, chosen):
        codes = codes * multiplier[0].astype(np.int32)
    if instruction["planes"]:
        return np.concatenate([codes // PLANE, codes % PLANE], -1)
    return codes


def _positive(v: np.ndarray) -> np.ndarray:
    return np.where(v > 0, v, np.float32(0))


def constants(program: Program, instruction: Record, field: str, rows: int, first: int = 0) -> tuple[np.ndarray, ...]:
    """Arrays of a number for each filter, from row ``first`` on; none where the instruction has none."""
    place, filters = instruction[field], padded(instruction["filters"])
    if place == NONE:
        return ()
    place += first * filters
    return tuple(program.constants[place : place + rows * filters].reshape(rows, filters))


def _inside(program: Program, tensors: list[np.ndarray], number: int) -> np.ndarray:
    buffer = program.buffers[number]
    border = buffer["border"]
    return tensors[number][:, border : border + buffer["height"], border : border + buffer["width"]]
