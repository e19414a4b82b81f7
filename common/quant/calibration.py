"""Calibration: which images, what layers see of them, and the clips of uniform quantizers from such values."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from mindspore import Tensor, nn

from common.data import ImageSource, Preprocessing
from common.errors import DataError
from common.runtime.hooks import input_hooks

_MOST_VALUES = 1 << 18  # of a layer's inputs that one batch adds
_BINS = 2048
_SHARES = np.linspace(0.05, 1.0, 96)  # of the largest value that are tried as clips


def image_batches(
    source: ImageSource, preprocessing: Preprocessing, seed: int | None = None, batch_size: int = 128
) -> Iterator[np.ndarray]:
    """All images in their order, in batches (N, 3, H, W) float32; the last one may be smaller.

    Args:
        source: labels are not used.
        preprocessing: of the network.
        seed: of the augmentation, that of the first epoch of a training; None leaves the images as evaluation sees
            them.
        batch_size: most images at a time.

    Raises:
        ConfigError: the images cannot be brought to the form of ``preprocessing``.
    """
    source.check(preprocessing)
    for start in range(0, len(source), batch_size):
        indices = np.arange(start, min(start + batch_size, len(source)))
        if seed is None:
            yield source.eval_batch(indices, preprocessing)
        else:
            yield source.train_batch(indices, preprocessing, seed, 0)


def calibration_batches(
    source: ImageSource,
    preprocessing: Preprocessing,
    count: int,
    seed: int,
    augment: bool = True,
    batch_size: int = 128,
) -> Iterator[np.ndarray]:
    """Some images in random order, in batches (N, 3, H, W) float32; the last one may be smaller.

    Args:
        source: training images; labels are not used.
        preprocessing: of the network.
        count: how many different images, at most all.
        seed: of their choice and augmentation.
        augment: whether they are augmented as in training.
        batch_size: most images at a time.

    Raises:
        ConfigError: a count below 1, or images that ``preprocessing`` does not fit.
    """
    chosen = source.sample(min(count, len(source)), seed)
    return image_batches(chosen, preprocessing, seed if augment else None, batch_size)


@contextlib.contextmanager
def evaluating(network: nn.Cell) -> Iterator[None]:
    """Evaluation mode while the block runs; then the network and all its cells are in its mode of before."""
    training = network.training
    network.set_train(False)
    try:
        yield
    finally:
        network.set_train(training)


def thinned(values: np.ndarray) -> np.ndarray:
    """At most 262,144 of some values, flat: every so manyth, which tells their distribution as well."""
    step = -(-values.size // _MOST_VALUES) | 1  # odd, so that it does not meet the same column in every row
    return values.ravel()[::step].copy()


def sample_inputs(
    network: nn.Cell,
    layers: Mapping[str, nn.Cell],
    batches: Iterable[np.ndarray],
    thin: Callable[[np.ndarray], np.ndarray] = thinned,
) -> dict[str, np.ndarray]:
    """Inputs of layers over batches of images, in evaluation mode: flat and thinned.

    Args:
        network: float or quantized; its mode is kept.
        layers: of it, by name.
        batches: (N, 3, H, W) each.
        thin: what is kept of a layer's input for one batch.

    Raises:
        DataError: there is no image.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    with evaluating(network), input_hooks(layers, lambda name, x: parts[name].append(thin(x))):
        for batch in batches:
            network(Tensor(batch))
    if not all(parts.values()):
        raise DataError("the calibration set is empty: give at least one image")
    return {name: np.concatenate(values) for name, values in parts.items()}


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
