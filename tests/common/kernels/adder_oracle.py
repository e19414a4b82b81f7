"""The adder convolutions in float64 and int64 NumPy from their equations, and the kernels called without MindSpore."""

import ctypes
from pathlib import Path

import numpy as np

# N, C, H, W, F, KH, KW, stride, padding
SIZES = [
    (1, 1, 1, 1, 1, 1, 1, 1, 0),
    (3, 3, 7, 9, 5, 3, 3, 1, 1),
    (1, 5, 6, 33, 16, 2, 2, 2, 0),
    (3, 17, 5, 1, 5, 1, 1, 3, 2),
    (1, 17, 9, 9, 16, 5, 5, 1, 2),
    (3, 1, 11, 33, 1, 3, 3, 3, 0),
    (1, 3, 8, 33, 5, 5, 5, 2, 2),
    (3, 5, 4, 9, 16, 2, 2, 3, 1),
    (1, 3, 5, 17, 5, 1, 3, 2, 1),
]


def taps(x: np.ndarray, w_shape: tuple[int, ...], stride: int, padding: int):
    """For each tap (u, v): where its inputs lie in the padded image, and these inputs (N, C, OH, OW)."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    kh, kw = w_shape[2:]
    last_row, last_column = padded.shape[2] - kh, padded.shape[3] - kw
    for u in range(kh):
        for v in range(kw):
            where = np.s_[:, :, u : u + last_row + 1 : stride, v : v + last_column + 1 : stride]
            yield u, v, where, padded[where]


def forward(x, w, stride, padding):
    x, w = x.astype(np.float64), w.astype(np.float64)
    terms = (abs(p[:, None] - w[:, :, u, v, None, None]).sum(2) for u, v, _, p in taps(x, w.shape, stride, padding))
    return -sum(terms)


def input_gradient(x, w, gy, stride, padding):
    x, w, gy = x.astype(np.float64), w.astype(np.float64), gy.astype(np.float64)
    total = np.zeros((*x.shape[:2], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding))
    for u, v, where, patch in taps(x, w.shape, stride, padding):
        clipped = np.clip(w[:, :, u, v, None, None] - patch[:, None], -1, 1)  # (N, F, C, OH, OW)
        total[where] += (clipped * gy[:, :, None]).sum(1)
    return total[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]


def weight_gradient(x, w, gy, stride, padding):
    """Before the rescaling."""
    x, w, gy = x.astype(np.float64), w.astype(np.float64), gy.astype(np.float64)
    total = np.zeros(w.shape)
    for u, v, _, patch in taps(x, w.shape, stride, padding):
        total[:, :, u, v] = ((patch[:, None] - w[:, :, u, v, None, None]) * gy[:, :, None]).sum((0, 3, 4))
    return total


def rescaled(gradient):
    return gradient * (gradient.size**0.5 / 5 / np.linalg.norm(gradient))


def integer_sums(x, codes, group, steps, qmax, stride, padding):
    """Exact int64 sums; the quotient is a float32, as the operator defines it."""
    sums = []
    for f, g in enumerate(group):
        q = np.rint(np.clip(x / steps[g], np.float32(0), qmax)).astype(np.int64)
        kernel = codes[f : f + 1].astype(np.int64)
        sums.append(
            sum(abs(p - kernel[0, :, u, v, None, None]).sum(1) for u, v, _, p in taps(q, kernel.shape, stride, padding))
        )
    return np.stack(sums, 1)


def call(library: Path, function: str, inputs: list[np.ndarray], out: np.ndarray) -> np.ndarray:
    """Call an operator of a built library by the interface of ``ops.Custom``."""
    arrays = [np.ascontiguousarray(array) for array in inputs] + [out]
    count = len(arrays)
    params = (ctypes.c_void_p * count)(*[array.ctypes.data for array in arrays])
    ndims = (ctypes.c_int * count)(*[array.ndim for array in arrays])
    dims = [(ctypes.c_int64 * max(1, array.ndim))(*array.shape) for array in arrays]
    shapes = (ctypes.POINTER(ctypes.c_int64) * count)(*[ctypes.cast(d, ctypes.POINTER(ctypes.c_int64)) for d in dims])
    dtypes = (ctypes.c_char_p * count)(*[str(array.dtype).encode() for array in arrays])
    status = getattr(ctypes.CDLL(str(library)), function)(count, params, ndims, shapes, dtypes, None, None)
    assert status == 0
    return out


def output_shape(x, w, stride, padding):
    return tuple((size + 2 * padding - kernel) // stride + 1 for size, kernel in zip(x.shape[2:], w.shape[2:]))


def call_int8(library: Path, x, codes, group, steps, qmax, affine, stride, padding, residual=None, relu=False):
    settings = np.array([stride, padding, residual is not None, relu], np.int32)
    extra = np.zeros(1, np.float32) if residual is None else residual
    out = np.full((len(x), len(codes), *output_shape(x, codes, stride, padding)), np.nan, np.float32)
    inputs = [x, codes, group, steps, np.array([qmax], np.float32), affine, extra, settings]
    return call(library, "AdderInt8", inputs, out)


def text_of(library: Path, function: str) -> str:
    """Result of a C function without arguments that returns text."""
    address = getattr(ctypes.CDLL(str(library)), function)
    address.restype = ctypes.c_char_p
    return address().decode()
