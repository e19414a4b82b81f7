"""Which layers of any convolutional network can be quantized, and what a trace says of their inputs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn

from common.errors import ConfigError
from common.models.layers import NativeConv2d, weighted_layers
from common.quant.calibration import evaluating
from common.runtime.context import execution_mode
from common.runtime.hooks import input_hooks

_OWN = (nn.Conv2d.construct, NativeConv2d.construct, nn.Dense.construct)
_CONVOLUTIONS = ("Conv1d", "Conv3d", "Conv1dTranspose", "Conv2dTranspose", "Conv3dTranspose", "Linear", "BiDense")
_MINDSPORE = "mindspore."
_SIDES = (32, 224, 28, 64, 16, 8, 96, 128)  # of images, in the order in which they are tried


@dataclass(frozen=True)
class InputRange:
    """What a layer has seen in a trace.

    Attributes:
        minimum: smallest input.
        maximum: largest input.
        shape: shape of the input of one image, (C, H, W) or (C,).
        calls: number of calls in a forward pass.
    """

    minimum: float
    maximum: float
    shape: tuple[int, ...]
    calls: int

    @property
    def signed(self) -> bool:
        """Whether an input was below 0."""
        return self.minimum < 0


def quantizable_layers(network: nn.Cell) -> dict[str, nn.Cell]:
    """All convolutions and linear layers of a network by name, in the order of its description.

    Raises:
        ConfigError: a layer with weights that would stay float without a word, or whose own ``construct`` would be
            lost; it is named with the reason.
    """
    for name, cell in network.cells_and_names():
        kind = type(cell)
        if isinstance(cell, nn.Conv2d | nn.Dense) and kind.construct not in _OWN:
            raise ConfigError(
                f"layer {name}: expected nn.Conv2d or nn.Dense as it is, found {kind.__name__} with a construct of its "
                "own, which quantization would drop; write what it adds as a cell beside the layer"
            )
        if kind.__module__.startswith(_MINDSPORE) and not isinstance(cell, nn.Conv2d | nn.Dense):
            known = kind.__name__ in _CONVOLUTIONS or (kind.__name__ == "Conv2d" and ".mint" in kind.__module__)
            if known:
                raise ConfigError(
                    f"layer {name}: expected nn.Conv2d or nn.Dense, found {kind.__module__}.{kind.__name__}, which no "
                    "method quantizes; write it as one of these"
                )
    return weighted_layers(network)


def traced_inputs(
    network: nn.Cell,
    layers: Mapping[str, nn.Cell],
    image_size: int | None = None,
    images: Iterable[np.ndarray] | None = None,
) -> dict[str, InputRange]:
    """What layers see in one forward pass in evaluation, in the order in which they are called.

    Args:
        network: float, of images (N, 3, H, W); its mode is kept.
        layers: of it, by name.
        image_size: H and W of the noise that runs through it; None: the first usual side that the network takes.
        images: batches (N, 3, H, W) in the noise's place.

    Raises:
        ConfigError: the network does not take such images, a layer that is not called, or one whose input is neither
            (N, C, H, W) nor (N, C).
    """
    if images is None:
        images = [_noise(_fitting_side(network) if image_size is None else image_size)]
    ranges: dict[str, InputRange] = {}

    def take(name: str, x: np.ndarray) -> None:
        before = ranges.get(name, InputRange(np.inf, -np.inf, x.shape[1:], 0))
        low, high = min(before.minimum, float(x.min())), max(before.maximum, float(x.max()))
        ranges[name] = InputRange(low, high, x.shape[1:], before.calls + 1)

    with evaluating(network), input_hooks(layers, take):
        for batch in images:
            _run(network, batch)
    for name in layers:
        _check(name, ranges.get(name))
    return ranges


def ends_of(names: Iterable[str]) -> tuple[str, str]:
    """The first and the last of layers, in the order of a trace or of the description."""
    first, *_, last = names
    return first, last


def logits_shape(network: nn.Cell, image_size: int) -> tuple[int, int]:
    """(N, K) of the logits of a few images.

    Raises:
        ConfigError: the network does not take such images, or gives something else.
    """
    with evaluating(network), execution_mode("pynative"):
        logits = _run(network, _noise(image_size))
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        found = logits.shape if isinstance(logits, Tensor) else type(logits).__name__
        raise ConfigError(f"network: expected one that gives logits (N, K), found {found}")
    return logits.shape


def _fitting_side(network: nn.Cell) -> int:
    """The first usual side of images that a network takes; 32 where it takes none."""
    with evaluating(network), execution_mode("pynative"):
        for side in _SIDES:
            try:
                _run(network, _noise(side))
            except ConfigError:
                continue
            return side
    return _SIDES[0]


def _noise(image_size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (2, 3, image_size, image_size)).astype(np.float32)


def _run(network: nn.Cell, batch: np.ndarray) -> Tensor:
    try:
        return network(Tensor(batch))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(
            f"network: expected one that takes images {batch.shape}, found {type(network).__name__}, which does not "
            f"({reason}); give image_size"
        ) from error


def _check(name: str, seen: InputRange | None) -> None:
    if seen is None:
        raise ConfigError(f"layer {name}: expected one that is called in evaluation, found none; remove it")
    if len(seen.shape) not in (1, 3):
        raise ConfigError(f"layer {name}: expected inputs (N, C, H, W) or (N, C), found (N, {seen.shape}) of others")
