"""Random numbers that are a function of (seed, epoch, image), not of what was drawn before.

So any batch of any epoch can be made again, alone, whatever the batch size, the shards or the threads were.
"""

import numpy as np

MAX_DRAWS = 64
_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def splitmix64(states: np.ndarray) -> np.ndarray:
    """Output function of the SplitMix64 generator for each state, uint64 -> uint64.

    Reference: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    z = states.astype(np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed: int, epoch: int, indices: np.ndarray, count: int) -> np.ndarray:
    """Uniform numbers that depend only on (seed, epoch, index, column).

    Args:
        seed: 0 or above.
        epoch: 0 or above.
        indices: (B,) image numbers.
        count: numbers for each image, at most ``MAX_DRAWS``.

    Returns:
        float64 (B, count) in [0, 1).
    """
    if not 0 <= count <= MAX_DRAWS:
        raise ValueError(f"count must be in 0..{MAX_DRAWS}, found {count}")
    key = _absorb(_absorb(0, seed), epoch)
    counters = np.asarray(indices, np.uint64)[:, None] * np.uint64(MAX_DRAWS) + np.arange(1, count + 1, dtype=np.uint64)
    bits = splitmix64(counters * np.uint64(_GAMMA) + np.full(1, key, np.uint64))
    return (bits >> np.uint64(11)) * 2.0**-53


def _absorb(key: int, value: int) -> int:
    state = (key ^ (value & _MASK)) + _GAMMA & _MASK
    return int(splitmix64(np.full(1, state, np.uint64))[0])
