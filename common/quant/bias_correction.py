"""Bias correction: BatchNorm statistics that follow what quantization does to their inputs."""

import contextlib
from collections.abc import Callable, Iterator

from mindspore import nn

from common.quant.layers import quant_layers
from common.runtime.hooks import Images, StatisticsShift

_QUANTIZERS = ("quantize_weight", "quantize_input")


class BiasCorrection(StatisticsShift):
    """Moves the statistics of a quantized network's BatchNorms by what its quantizers change, in place.

    Post-training quantization shifts the mean of a layer's outputs and shrinks or widens their variance (M. Nagel et
    al., *Data-Free Quantization through Weight Equalization and Bias Correction*, ICCV 2019). Both are measured on
    the same images with and without the quantizers, see :func:`common.runtime.hooks.shift_batch_norm`; a call
    corrects the network for the bits and clips that it has then.

    Args:
        network: of quantized layers with latent weights; its moving statistics are those of the float network.
        images: gives the batches (N, 3, H, W) of a pass, the same each time; labels are not needed.

    Raises:
        DataError: there is no image.
    """

    def __init__(self, network: nn.Cell, images: Callable[[], Images]):
        with without_quantizers(network):
            super().__init__(network, images)


@contextlib.contextmanager
def without_quantizers(network: nn.Cell) -> Iterator[None]:
    """While the block runs, weights and inputs are float; in PYNATIVE mode, in which such passes run."""
    places = [layer._cells for layer in quant_layers(network).values()]  # an assignment would rename parameters
    kept = [{name: cells[name] for name in _QUANTIZERS if name in cells} for cells in places]
    try:
        for cells, of_layer in zip(places, kept):
            cells.update(dict.fromkeys(of_layer))
        yield
    finally:
        for cells, of_layer in zip(places, kept):
            cells.update(of_layer)
