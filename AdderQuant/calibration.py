"""Calibration: input ranges, quantization of every adder layer, BatchNorm re-estimation.

All passes stream over the calibration set once and keep only fixed-size statistics, which add up over batches and over
processes: each of these runs over every size-th batch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import nn

from AdderQuant.histogram import MagnitudeHistogram
from AdderQuant.network import adder_layers, quant_adder_resnet
from AdderQuant.quant import quantize_adder
from common import distributed
from common.checkpoint import network_state
from common.data import ImageSource, Preprocessing, batches, train_dataset
from common.errors import QuantizationError
from common.quant.calibration import image_batches
from common.runtime.hooks import Images, input_hooks, reestimate_batch_norm, run_over

# The share of inputs that the paper's published table leaves unclamped.
PAPER_QUANTILE = 0.9997
_BATCH = 128


@dataclass(frozen=True)
class Quantization:
    """What a network is quantized to.

    Attributes:
        bits: 2 to 8; 32 leaves the network float (for BatchNorm re-estimation alone).
        scheme: ``two-sided`` or ``paper``.
        groups: scale groups per layer of ``paper``, 1 to 8.
        quantile: share of each layer's inputs that the clamp leaves as they are; None takes the scheme's own:
            ``PAPER_QUANTILE`` for ``paper``, the least squared error of each layer's inputs for ``two-sided``.
        reestimate: whether BatchNorm statistics are taken anew.
        seed: of the grouping and of the augmented images.
    """

    bits: int = 8
    scheme: str = "two-sided"
    groups: int = 4
    quantile: float | None = None
    reestimate: bool = False
    seed: int = 0

    @property
    def scale_groups(self) -> int:
        """Groups that a layer can have: ``two-sided`` uses one range for the whole layer."""
        return self.groups if self.scheme == "paper" else 1

    def input_range(self, inputs: MagnitudeHistogram) -> float:
        """R_x of a layer with these inputs."""
        if self.quantile is None and self.scheme == "two-sided":
            return inputs.least_error_range(self.bits)
        return inputs.quantile(PAPER_QUANTILE if self.quantile is None else self.quantile)

    def metadata(self) -> dict[str, Any]:
        """What the checkpoint of the quantized network records."""
        if self.bits == 32:
            return {"bits": 32, "reestimated": self.reestimate}
        found = {"kind": "quantized", "bits": self.bits, "scheme": self.scheme, "groups": self.scale_groups}
        return found | {"quantile": self.quantile, "reestimated": self.reestimate, "seed": self.seed}


@dataclass(frozen=True)
class CalibrationData:
    """Unlabelled images to calibrate with.

    Attributes:
        images: their labels are not used.
        preprocessing: of the network.
        reestimation_batches: how many batches BatchNorm statistics are taken from.
    """

    images: ImageSource
    preprocessing: Preprocessing
    reestimation_batches: int = 16

    def plain(self) -> Iterator[np.ndarray]:
        """Batches of the images as evaluation sees them, for the ranges."""
        return image_batches(self.images, self.preprocessing, batch_size=_BATCH)

    def augmented(self, seed: int) -> Iterator[np.ndarray]:
        """Batches augmented as in training: BatchNorm statistics belong to such images.

        Images without the black border of the random crop shift them, which costs the published CIFAR-10 checkpoint
        more than four points already in float.
        """
        size = min(_BATCH, len(self.images))
        epoch_length = len(self.images) // size
        for start in range(0, self.reestimation_batches, epoch_length):
            data = batches(train_dataset(self.images, self.preprocessing, size, seed, start // epoch_length))
            for _, batch in zip(range(self.reestimation_batches - start), data, strict=False):
                yield batch["image"]


def calibrate(network: nn.Cell, metadata: Mapping[str, Any], wanted: Quantization, data: CalibrationData) -> nn.Cell:
    """Quantize a float network as ``wanted`` and return its fused form, ready to evaluate or save.

    Args:
        network: float, not changed unless it stays float.
        metadata: its ``network`` and ``num_classes``.
        wanted: bits, scheme and so on.
        data: what to calibrate with.

    Raises:
        QuantizationError: a layer that the scheme cannot represent, see :func:`input_ranges`.
    """
    if wanted.bits == 32:
        reestimate_batch_norm(network, distributed.share(data.augmented(wanted.seed)))
        return network
    ranges = input_ranges(observe_inputs(network, distributed.share(data.plain())), wanted)
    shape = (metadata["network"], metadata["num_classes"], wanted.scale_groups)
    fused = quant_adder_resnet(*shape)
    fill_quantized(network, fused, ranges, wanted)
    if wanted.reestimate:
        unfused = quant_adder_resnet(*shape, fused=False)
        network_state.restore(unfused, network_state.state(fused))
        reestimate_batch_norm(unfused, distributed.share(data.augmented(wanted.seed)))
        network_state.restore(fused, network_state.state(unfused))
    return fused


def observe_inputs(network: nn.Cell, images: Images) -> dict[str, MagnitudeHistogram]:
    """Statistics of |x| at the input of every adder layer of a float network in evaluation.

    Args:
        network: float.
        images: batches of this process; the statistics are those of the images of all processes.
    """
    layers = adder_layers(network)
    found = {name: MagnitudeHistogram() for name in layers}
    network.set_train(False)
    with input_hooks(layers, lambda name, x: found[name].add(x)):
        run_over(network, images)
    for histogram in found.values():
        histogram.add_others()
    return found


def input_ranges(found: Mapping[str, MagnitudeHistogram], wanted: Quantization) -> dict[str, float]:
    """R_x of every layer.

    Raises:
        QuantizationError: a negative input under ``two-sided``, whose clamp at 0 would not be lossless there, or a
            layer whose inputs are all zero.
    """
    ranges = {name: wanted.input_range(inputs) for name, inputs in found.items()}
    for name, inputs in found.items():
        if wanted.scheme == "two-sided" and inputs.minimum < 0:
            raise QuantizationError(
                f"layer {name}: scheme two-sided needs inputs >= 0, found {inputs.minimum:.4g}; use --scheme paper"
            )
        if not ranges[name] > 0:
            raise QuantizationError(f"layer {name}: its inputs are 0 on the calibration set, so it has no range")
    return ranges


def fill_quantized(network: nn.Cell, quantized: nn.Cell, ranges: Mapping[str, float], wanted: Quantization) -> None:
    """Fill a quantized network from a float one: codes for the adder layers, all else copied by name."""
    targets = adder_layers(quantized)
    for name, layer in adder_layers(network).items():
        weight = layer.weight.asnumpy()
        codes = quantize_adder(weight, ranges[name], wanted.bits, wanted.groups, wanted.scheme, wanted.seed)
        targets[name].set_codes(codes, wanted.bits)
    source = dict(network.parameters_and_names())
    for name, parameter in quantized.parameters_and_names():
        if name in source:
            parameter.set_data(source[name].value())
