"""Any network whose layers choose their bits: its steps, written down with the masks handed to the layers.

The controller sees the output of one cell, the stage. Layers before it, and linear ones, have t bits; convolutions
after it choose; the first and the last layer stay float.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mindspore import Tensor, nn

from common.errors import ConfigError
from common.models.norm_act import apart
from common.quant.calibration import evaluating
from common.quant.conversion import replace_cells
from common.quant.quantizable import ends_of, quantizable_layers, traced_inputs
from common.runtime.recording import Recording, Ref, record, refs
from common.runtime.written import COUNTS, Writer, written_class
from DynamicQuant.bit_controller import GRID
from DynamicQuant.network import DynamicNetwork
from DynamicQuant.quant import DynamicConv2d, static_conv2d
from DynamicQuant.quant_config import QuantConfig

_SHARE = 1 / 3  # of all multiply-accumulates before the controller, as in the paper's ResNets


class RecordedNetwork(DynamicNetwork):
    """A network with a bit controller; ``first_stage`` and ``other_stages`` are written for each.

    Args:
        network: whose cells are taken over, under their names.
        constants: what its steps need besides.
        dynamic: names of the dynamic layers, in the order of the masks.
        macs: multiply-accumulates of an image in each quantized layer, by name.
    """

    def __init__(self, network: nn.Cell, constants: Mapping, dynamic: Sequence[str], macs: Mapping[str, int]):
        super().__init__()
        parts = {**network._cells, **network._params, **constants}
        if taken := sorted({"controller", "choose", "dynamic", "macs"} & set(parts)):
            raise ConfigError(
                f"network: expected no cell called {taken[0]}, which DynamicQuant adds, found one; rename it"
            )
        for name, part in parts.items():
            setattr(self, name, part)
        self.dynamic, self.macs = list(dynamic), dict(macs)


@dataclass(frozen=True, eq=False)
class Steps:
    """A float network's forward pass.

    Attributes:
        layers: its layers by name, in the order of their calls.
        recordings: of 2 and of 3 images.
        macs: multiply-accumulates of an image in each layer.
    """

    layers: dict[str, nn.Cell]
    recordings: tuple[Recording, Recording]
    macs: dict[str, int]


def steps_of(network: nn.Cell, image_size: int) -> Steps:
    """The steps of a float network in evaluation.

    Raises:
        ConfigError: a layer that cannot be quantized, or a network that cannot be written down as steps.
    """
    layers = quantizable_layers(network)
    order = list(traced_inputs(network, layers, image_size))
    rng = np.random.default_rng(0)
    batches = [rng.normal(0, 1, (count, 3, image_size, image_size)).astype(np.float32) for count in COUNTS]
    with evaluating(network), apart(network):
        first, second = (record(network, batch, layers) for batch in batches)
    macs = dict.fromkeys(order, 0)
    for step, value in zip(first.steps, first.values[1:]):
        if step.kind == "cell" and step.target in macs:
            macs[step.target] += layers[step.target].weight.size * int(np.prod(value.shape[2:]))
    return Steps({name: layers[name] for name in order}, (first, second), macs)


def find_stage(steps: Steps) -> str:
    """The cell after which all that follows needs its output alone, with about a third of the work before it.

    Raises:
        ConfigError: there is none: the user must name one.
    """
    recording, total = steps.recordings[0], sum(steps.macs.values())
    best: tuple[float, str] | None = None
    for name, place in recording.outputs.items():
        done = sum(steps.macs[step.target] for step in recording.steps[: place.index] if step.target in steps.macs)
        share = done / total
        if name and _is_square(recording, place) and _live(recording, place.index) == [place.index] and 0 < share < 1:
            best = min(best or (2.0, ""), (abs(share - _SHARE), name))
    if best is None:
        raise ConfigError(
            "stage: expected a cell (N, C, S, S) after which nothing before it is needed, found none; name one whose "
            "output the controller shall see with stage="
        )
    return best[1]


def settled(network: nn.Cell, config: QuantConfig) -> QuantConfig:
    """The configuration with the stage, the signed layers, the first and the last one named."""
    steps = steps_of(network, config.image_size)
    ranges = traced_inputs(network, steps.layers, config.image_size)
    ends = config.ends or ends_of(steps.layers)
    signed = tuple(name for name in quantizable_layers(network) if ranges[name].signed and name not in ends)
    return replace(config, stage=config.stage or find_stage(steps), signed=signed, ends=ends)


def quantize_recorded(
    network: nn.Cell,
    config: QuantConfig,
    clips: Mapping[str, float] | None = None,
    frozen: bool = False,
    seed: int = 0,
) -> nn.Cell:
    """Quantize any float network; arguments and result as :func:`DynamicQuant.convert.quantize_network`.

    Raises:
        ConfigError: a stage that is no cell of (N, C, S, S), or after which nothing chooses.
    """
    steps, clips = steps_of(network, config.image_size), clips or {}
    recording = steps.recordings[0]
    place = _place(recording, config.stage)
    inner = [name for name in steps.layers if name not in config.ends]
    behind = {step.target for step in recording.steps[place.index :] if step.kind == "cell"}
    choosing = [
        name for name in inner if name in behind and isinstance(steps.layers[name], nn.Conv2d) and not config.static
    ]
    cells = {}
    for name in inner:
        options = {"clip": clips.get(name, 1.0), "learned": config.learned_clip, "frozen": frozen}
        options["signed"] = name in config.signed
        layer = steps.layers[name]
        chosen = name in choosing
        cells[name] = (
            DynamicConv2d(layer, config.candidates, **options)
            if chosen
            else static_conv2d(layer, config.bits, **options)
        )
    replace_cells(network, cells)
    if config.static:
        return network
    if not choosing:
        raise ConfigError(f"stage: expected a cell with convolutions after it, found {config.stage}")
    macs = {name: steps.macs[name] for name in inner}
    return _written(network, config, steps, place, choosing, macs, None if frozen else seed)


def _written(
    network: nn.Cell,
    config: QuantConfig,
    steps: Steps,
    place: Ref,
    choosing: Sequence[str],
    macs: Mapping[str, int],
    seed: int | None,
) -> RecordedNetwork:
    recording, cut = steps.recordings[0], place.index
    writer = Writer(network, *steps.recordings, {name: f"mask[:, {index}]" for index, name in enumerate(choosing)})
    live = _live(recording, cut)
    kept = ", ".join(f"v{index}" for index in live) + ","
    count = ["n = v0.shape[0]"]
    first = [*count, *writer.lines(0, cut), f"return ({kept}), self.controller(v{cut})"]
    rest = writer.lines(cut, len(recording.steps))
    other = [f"{kept} = live", "n = mask.shape[0]", *rest, f"return v{recording.output.index}"]
    kind = written_class(RecordedNetwork, {"first_stage": ("v0", first), "other_stages": ("live, mask", other)})
    made = kind(network, writer.constants, choosing, macs)
    _, channels, side, _ = recording.values[cut].shape
    grid = max(divisor for divisor in range(1, GRID + 1) if side % divisor == 0)
    made.add_controller(config, channels, side, seed, grid)
    return replace_cells(made, {})  # names its parameters by their places


def _place(recording: Recording, stage: str | None) -> Ref:
    place = recording.outputs.get(stage or "")
    if not stage or place is None or not _is_square(recording, place):
        names = ", ".join(name for name, at in recording.outputs.items() if name and _is_square(recording, at))
        raise ConfigError(f"stage: expected a cell with an output (N, C, S, S), one of {names}; found {stage!r}")
    return place


def _is_square(recording: Recording, place: Ref) -> bool:
    value = recording.values[place.index]
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[2] == value.shape[3]


def _live(recording: Recording, cut: int) -> list[int]:
    """The results up to step ``cut`` that later ones need, or that are the output."""
    used = {recording.output.index}
    for step in recording.steps[cut:]:
        used |= {ref.index for ref in refs((step.args, step.kwargs))}
    return sorted(index for index in used if index <= cut) or [cut]
