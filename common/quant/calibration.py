"""Clips of uniform quantizers from the values that they will see."""

import numpy as np

_BINS = 2048
_SHARES = np.linspace(0.05, 1.0, 96)  # of the largest value that are tried as clips


def best_clip(values: np.ndarray, bits: int, signed: bool = False) -> float:
    r"""The clip with the least squared error of uniform quantization.

    .. math:: \min_a \sum_i (x_i - Q_k(x_i; a))^2

    over 96 clips up to the largest |x|, on a histogram of 2,048 bins (values stand for their bin's middle).

    Args:
        values: of any shape; below 0 they are left out, unless ``signed``.
        bits: k >= 1.
        signed: levels from -a to a in place of 0 to a.

    Returns:
        a > 0; 1 if no value is above 0.
    """
    flat = np.abs(values.ravel()) if signed else values.ravel()
    most = float(flat.max(initial=0.0))
    if most <= 0:
        return 1.0
    counts, edges = np.histogram(flat, _BINS, (0.0, most))
    middles = (edges[1:] + edges[:-1]) / 2
    errors = [
        float((counts * (middles - _quantized(middles, bits, share * most, signed)) ** 2).sum()) for share in _SHARES
    ]
    return float(_SHARES[int(np.argmin(errors))] * most)


def _quantized(values: np.ndarray, bits: int, clip: float, signed: bool) -> np.ndarray:
    steps = 2**bits - 1
    unit = (values / clip + 1) / 2 if signed else values / clip
    unit = np.rint(np.clip(unit, 0, 1) * steps) / steps
    return clip * (2 * unit - 1) if signed else clip * unit
