"""The network that training or a search begins with."""

from dataclasses import asdict, dataclass
from pathlib import Path

from mindspore import nn

from common import checkpoint
from common.checkpoint import network_state
from common.cli.training import Images, Start, finished_metadata, save_float
from common.data import ImageSource, Preprocessing
from common.errors import CheckpointError, ConfigError
from common.models.registry import model, recorded_architecture
from common.quant.bias_correction import BiasCorrection
from common.quant.calibration import calibration_batches
from common.quant.even_filters import even_filters
from common.quant.layers import quant_layers
from common.stored.float_network import float_of_classes, of_classes
from common.stored.network import StoredNetwork
from common.training import Trainer
from ProQHA import storage
from ProQHA.convert import calibrate, quantize_network
from ProQHA.cost_model import MixedBits, cost_model
from ProQHA.network import DEFAULT, SMALL_IMAGES, arch_of, check_published
from ProQHA.quant import get_bits, set_bits
from ProQHA.quant_config import PAPERS_CLIP, QuantConfig

_CALIBRATION_IMAGES = 512
_STATISTICS_BATCH = 50


@dataclass(frozen=True)
class StartOptions:
    """The network that training or a search begins with.

    Attributes:
        arch: name of the network in the registry.
        dataset: name of the data set.
        seed: seed of the calibration images and their augmentation.
        path: file of the network; None: a new float one, or for a quantized one the shipped float one.
        kind: kind of network that the file must hold, ``float`` or ``latent``; None takes either.
        bits: bits of a quantized network that starts from a float one.
        activation_clip: first clip of such a network; None: that of least squared error on training images.
        new_head: the float network gets a new last layer, whatever classes it tells apart.
        even_filters: a float network's filters get one size first, see :mod:`common.quant.even_filters`.
        bias_images: number of training images, without labels, by which BatchNorm statistics follow quantization,
            see :mod:`common.quant.bias_correction`; 0 keeps those of the start.
    """

    arch: str
    dataset: str
    seed: int
    path: Path | None
    kind: str | None
    bits: MixedBits
    activation_clip: float | None
    new_head: bool = False
    even_filters: bool = False
    bias_images: int = 0


def float_start(options: StartOptions, images: Images) -> Start:
    """A float network to train: that of the options' file, else a new one.

    Raises:
        CheckpointError: a file that is no float network of this description and number of classes.
    """
    classes = images.train.num_classes
    about = {"method": storage.METHOD, "kind": "float", "network": options.arch}
    if options.path is None:
        return Start(model(options.arch).build(classes), about)
    network = _float(options.path, options, classes)
    return Start(network, {**about, "start": network_state.digest(network)})


def quantized_start(options: StartOptions, images: Images) -> Start:
    """A quantized network to train, as :func:`start_quantized` gives it."""
    network, config = start_quantized(options, images.train, images.preprocessing)
    if options.bias_images:
        bias_correction(network, images, options.bias_images, options.seed)()
    about = {"method": storage.METHOD, "kind": "latent", "network": options.arch, "settings": asdict(config)}
    return Start(network, {**about, "start": network_state.digest(network)} if options.path else about)


def bias_correction(network: nn.Cell, images: Images, count: int, seed: int) -> BiasCorrection:
    """The correction of a quantized network by some training images, whose labels are not read."""
    sample = images.train, images.preprocessing, count, seed
    return BiasCorrection(network, lambda: calibration_batches(*sample, batch_size=_STATISTICS_BATCH))


def start_quantized(
    options: StartOptions, source: ImageSource, preprocessing: Preprocessing
) -> tuple[nn.Cell, QuantConfig]:
    """A quantized network: that of the options' file, bits and all, or a float one with the options' bits.

    Args:
        options: network to begin with.
        source: training images, some of which set the clips.
        preprocessing: preprocessing of the network.

    Raises:
        ConfigError: no start is given where none is shipped.
        CheckpointError: a file that is not what its option asks for.
    """
    path = options.path or _shipped_float(options)
    if (options.kind or _kind_of(path)) == "latent":
        _check_architecture(path, options)
        stored = storage.load_latent(path, options.arch)
        network = of_classes(path, stored, source.num_classes)
        return network, QuantConfig.recorded(stored.metadata["settings"])
    network = _float(path, options, source.num_classes)
    if options.even_filters:
        even_filters(network, preprocessing.image_size)
    first = QuantConfig(activation_clip=options.activation_clip or PAPERS_CLIP)
    config = quantize_network(network, first, preprocessing.image_size)
    set_bits(network, options.bits.of_network(list(quant_layers(network))))
    if options.activation_clip is None:
        calibrate(network, calibration_batches(source, preprocessing, _CALIBRATION_IMAGES, options.seed))
    return network, config


def _float(path: Path, options: StartOptions, classes: int) -> nn.Cell:
    _check_architecture(path, options)
    return float_of_classes(path, options.arch, classes, options.new_head)


def _kind_of(path: Path) -> str:
    """``float``, also for published files without metadata, or ``latent``, whose reader says what will not do."""
    return "float" if checkpoint.load(path).metadata.get("kind", "float") == "float" else "latent"


def _check_architecture(path: Path, options: StartOptions) -> None:
    """Answer a file of another network of this method by the name of ``--arch`` that fits.

    Raises:
        CheckpointError: the file holds another network.
    """
    content = checkpoint.load(path)
    check_published(content, options.arch)
    metadata = content.metadata
    recorded = recorded_architecture(metadata)
    arch = arch_of(recorded, options.dataset) if "network" in metadata else None
    if arch and recorded != options.arch:
        raise CheckpointError(f"{path}: expected {options.arch}, found {recorded}; give --arch {arch}")


def _shipped_float(options: StartOptions) -> Path:
    if (options.dataset, options.arch) != ("digits", SMALL_IMAGES[DEFAULT]):
        raise ConfigError(
            f"pretrained: no float {options.arch} is shipped for {options.dataset}; give --pretrained FILE "
            "(float) or --init_from FILE (latent)"
        )
    return storage.shipped("digits", "float")


def save(path: Path, trainer: Trainer) -> str:
    """Write the trained network; returns a short description of it."""
    network = trainer.network
    if not quant_layers(network):
        return save_float(path, trainer)
    storage.save_packed(path, StoredNetwork(network, finished_metadata(trainer)))
    totals = cost_model(network, trainer.data.preprocessing.image_size).summary(get_bits(network))
    averages = f"W{totals['average_weight_bits']:.3f} A{totals['average_activation_bits']:.3f}"
    return f"{averages} cost {totals['cost']:.4f}"
