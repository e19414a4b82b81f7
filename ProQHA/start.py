"""The network that training or a search begins with."""

from argparse import Namespace
from pathlib import Path

from mindspore import nn

from common.data import ImageSource, Preprocessing
from common.errors import ConfigError
from common.models.registry import model
from common.quant.calibration import calibration_batches
from common.quant.layers import quant_layers
from common.stored.float_network import load_float, of_classes
from ProQHA import storage
from ProQHA.dataset import chosen_model
from ProQHA.measure import mixed_bits
from ProQHA.quant import Settings, calibrate, quantize_network, set_bits

_PAPERS_CLIP = 10.0
_CALIBRATION_IMAGES = 512


def start_float(args: Namespace, classes: int) -> nn.Cell:
    """A float network: that of ``--resume``, else a new one.

    Raises:
        CheckpointError: a file that is no float network of this description and number of classes.
    """
    name = chosen_model(args)
    if args.resume:
        return of_classes(args.resume, load_float(args.resume, name), classes)
    return model(name).build(classes)


def start_quantized(
    args: Namespace, source: ImageSource, preprocessing: Preprocessing, bits: tuple[int, int, float]
) -> tuple[nn.Cell, Settings]:
    """A quantized network: that of ``--resume``, bits and all, or a float one with ``bits``.

    Args:
        args: the options.
        source: training images, some of which set the clips.
        preprocessing: of the network.
        bits: as :func:`~ProQHA.measure.mixed_bits` takes them, for a start from a float network.

    Raises:
        ConfigError: no start is given where none is shipped.
        CheckpointError: a file that is not what its option asks for.
    """
    name = chosen_model(args)
    path = args.resume or _shipped_float(args, name)
    if storage.kind_of(path) != "float":
        stored = storage.load_latent(path, name)
        network = of_classes(path, stored, source.num_classes)
        return network, storage.settings_of(stored.metadata["settings"])
    network = of_classes(path, load_float(path, name), source.num_classes)
    settings = quantize_network(network, Settings(clip=args.alpha or _PAPERS_CLIP), preprocessing.image_size)
    set_bits(network, mixed_bits(len(quant_layers(network)), *bits))
    if args.alpha is None:
        calibrate(network, calibration_batches(source, preprocessing, _CALIBRATION_IMAGES, args.seed))
    return network, settings


def _shipped_float(args: Namespace, name: str) -> Path:
    if (args.dataset, name) != ("digits", "preact_resnet20"):
        raise ConfigError(
            f"resume: no float {name} is shipped for {args.dataset}; give --resume FILE, a float or quantized network"
        )
    return storage.shipped("digits", "float")
