"""Calibration: input ranges, quantization of every adder layer, BatchNorm re-estimation.

All passes stream over the calibration set once and keep only fixed-size statistics, which add up over batches and over
processes: each of these runs over every size-th batch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from mindspore import nn

from AdderQuant.convert import fuse, quantize_network
from AdderQuant.histogram import MagnitudeHistogram
from AdderQuant.network import adder_layers
from AdderQuant.quant_config import PAPER_QUANTILE, QuantConfig
from common import distributed
from common.data import ImageSource, Preprocessing, batches, train_dataset
from common.errors import QuantizationError
from common.quant.calibration import image_batches
from common.runtime.hooks import Images, input_hooks, reestimate_batch_norm, run_over

_BATCH = 128


@dataclass(frozen=True)
class CalibrationData:
    """Unlabelled images to calibrate with.

    Attributes:
        images: unlabelled images; labels that they have are not read.
        preprocessing: preprocessing of the network.
        reestimation_batches: number of batches of 128 images that BatchNorm statistics are taken from.
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


def calibrate(network: nn.Cell, config: QuantConfig, data: CalibrationData) -> nn.Cell:
    """Quantize a float network in place and fuse it, ready to evaluate or save.

    Args:
        network: float network; it is changed.
        config: bits, scheme and the other settings.
        data: calibration images.

    Raises:
        QuantizationError: a layer that the scheme cannot represent, see :func:`input_ranges`.
    """
    return calibrate_by(network, config, data, observe_inputs(network, distributed.share(data.plain())))


def calibrate_by(
    network: nn.Cell, config: QuantConfig, data: CalibrationData, inputs: Mapping[str, MagnitudeHistogram]
) -> nn.Cell:
    """As :func:`calibrate`, with the inputs of the layers observed."""
    ranges = input_ranges(inputs, config)
    offsets = {name: min(-inputs[name].minimum, ranges[name]) for name in config.signed}
    quantize_network(network, config, ranges, offsets)
    if config.reestimate:
        reestimate(network, config.seed, data)
    return fuse(network)


def reestimate(network: nn.Cell, seed: int, data: CalibrationData) -> nn.Cell:
    """Take the BatchNorm statistics of a network, float or quantized and not fused, anew; returns the network."""
    reestimate_batch_norm(network, distributed.share(data.augmented(seed)))
    return network


def observe_inputs(network: nn.Cell, images: Images) -> dict[str, MagnitudeHistogram]:
    """Statistics of |x| at the input of every adder layer of a float network in evaluation.

    Args:
        network: float network.
        images: batches of this process; the statistics are those of the images of all processes.
    """
    layers = adder_layers(network)
    inputs = {name: MagnitudeHistogram() for name in layers}
    network.set_train(False)
    with input_hooks(layers, lambda name, x: inputs[name].add(x)):
        run_over(network, images)
    for histogram in inputs.values():
        histogram.add_others()
    return inputs


def input_range(histogram: MagnitudeHistogram, config: QuantConfig) -> float:
    """Range R_x of a layer with these inputs."""
    if config.quantile is None and config.scheme == "two-sided":
        return histogram.least_error_range(config.bits)
    return histogram.quantile(PAPER_QUANTILE if config.quantile is None else config.quantile)


def input_ranges(inputs: Mapping[str, MagnitudeHistogram], config: QuantConfig) -> dict[str, float]:
    """Range R_x of every layer.

    Raises:
        QuantizationError: a negative input under ``two-sided``, whose clamp at 0 would not be lossless there, or a
            layer whose inputs are all zero.
    """
    ranges = {name: input_range(histogram, config) for name, histogram in inputs.items()}
    for name, histogram in inputs.items():
        if config.scheme == "two-sided" and histogram.minimum < 0 and name not in config.signed:
            raise QuantizationError(
                f"layer {name}: scheme two-sided needs inputs >= 0, found {histogram.minimum:.4g}; use --scheme paper"
            )
        if not ranges[name] > 0:
            raise QuantizationError(f"layer {name}: its inputs are 0 on the calibration set, so it has no range")
    return ranges
