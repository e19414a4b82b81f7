"""The two ends of a training: the network that it begins with, and the file that it leaves."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from mindspore import nn

from common.checkpoint import network_state
from common.cli.training import Images, Start, finished_metadata, save_float
from common.errors import ConfigError
from common.models.registry import model
from common.stored.float_network import float_of_classes, of_classes
from common.stored.network import StoredNetwork
from common.training import TrainConfig, Trainer
from DAMBQ import plots, storage
from DAMBQ.allocation import Allocator
from DAMBQ.convert import calibrate_last, calibrated_clips, quantize_network, set_clips, set_layer_bits, settled
from DAMBQ.options import TrainOptions
from DAMBQ.quant_config import QuantConfig
from DAMBQ.tables import MAX_BITS

_CALIBRATION_IMAGES = 512


def start(options: TrainOptions, training: TrainConfig, images: Images) -> Start:
    """The network to train, its metadata and its callbacks.

    Where nothing is trained, and no clip is given, the clips are those of the least squared error: what training learns
    from its first clip on is not to be had otherwise.

    Raises:
        ConfigError: no start is given where none is shipped, or options that contradict the start.
        CheckpointError: a file that is not what its option asks for, or of another number of classes than the data.
    """
    classes = images.train.num_classes
    if options.init_from:
        return _quantized(options, images, training.epochs, *_further(options, classes))
    pretrained = options.pretrained or (_shipped(options) if options.budget else None)
    if pretrained:
        network = float_of_classes(pretrained, options.arch, classes, images.new_head)
    else:
        network = model(options.arch).build(classes)
    if options.budget is None:
        return Start(network, _metadata(options, network if pretrained else None, "float"))
    given = {"table": options.table, "activation_clip": options.activation_clip}
    quantization = QuantConfig(bits=MAX_BITS, **{name: value for name, value in given.items() if value is not None})
    quantization = settled(network, quantization, images.preprocessing.image_size)
    clips = {} if training.epochs or options.activation_clip else _clips(options, images, network, quantization)
    set_clips(quantize_network(network, quantization), clips)
    if options.bits_file is not None:
        set_layer_bits(network, options.bits_file)
    begun = _quantized(options, images, training.epochs, network, quantization)
    calibrate_last(network, images.train, images.preprocessing, _CALIBRATION_IMAGES, options.seed)
    return begun


def _clips(options: TrainOptions, images: Images, network: nn.Cell, config: QuantConfig) -> dict[str, float]:
    return calibrated_clips(network, config, images.train, images.preprocessing, _CALIBRATION_IMAGES, options.seed)


def _shipped(options: TrainOptions) -> Path:
    if (options.dataset, options.arch) != ("digits", "resnet20"):
        raise ConfigError(
            f"quantize: no float {options.arch} is shipped for {options.dataset}; give --pretrained FILE (float) or "
            "--init_from FILE (quantized)"
        )
    return storage.shipped("digits", "float")


def _further(options: TrainOptions, classes: int) -> tuple[nn.Cell, QuantConfig]:
    """The network of ``--init_from`` and its configuration, which options cannot change."""
    stored = storage.load_latent(options.init_from, options.arch)
    quantization = QuantConfig.recorded(stored.metadata["settings"])
    if options.table not in (None, quantization.table):
        raise ConfigError(
            f"table: the network of --init_from has {quantization.table}, found {options.table}; leave it out"
        )
    if options.activation_clip is not None:
        clip = f"{options.activation_clip:g}"
        raise ConfigError(
            f"activation_clip: the network of --init_from has clips that it learned, found {clip}; leave it out"
        )
    return of_classes(options.init_from, stored, classes), quantization


def _quantized(
    options: TrainOptions, images: Images, epochs: int, network: nn.Cell, quantization: QuantConfig
) -> Start:
    allocator = Allocator(network, options.budget, images.preprocessing.image_size, epochs)
    about = {"settings": asdict(quantization), "budget": asdict(options.budget)}
    return Start(network, {**_metadata(options, network, "latent"), **about}, callbacks=[allocator])


def _metadata(options: TrainOptions, begun: nn.Cell | None, kind: str) -> dict[str, Any]:
    """Metadata of the run's checkpoints; the digest makes runs from different starts different runs."""
    about = {"method": storage.METHOD, "kind": kind, "network": options.arch}
    return about if begun is None else {**about, "start": network_state.digest(begun)}


def save(path: Path, trainer: Trainer) -> str:
    """Write the trained network and the picture of its bits; returns a short description of it."""
    if not trainer.callbacks:
        return save_float(path, trainer)
    storage.save_packed(path, StoredNetwork(trainer.network, finished_metadata(trainer)))
    allocator, record = trainer.callbacks[0], trainer.chosen
    plots.plot_bits(trainer.history, list(allocator.layers), path.parent / "bits.png")
    return f"W{record['weights_bits']:.3f} A{record['activations_bits']:.3f}"
