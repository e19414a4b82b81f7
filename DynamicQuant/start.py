"""The two ends of a training: the network that it begins with, and the file that it leaves."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from mindspore import nn

from common.checkpoint import network_state
from common.cli.training import Images, Start, finished_metadata, save_float
from common.models.registry import model
from common.quant.calibration import calibration_batches
from common.stored.float_network import float_of_classes, of_classes
from common.stored.network import StoredNetwork
from common.training import TrainConfig, Trainer
from DynamicQuant import storage
from DynamicQuant.any_network import calibrate, conversion, quantized_names, settled
from DynamicQuant.budget import BudgetLoss, NoiseDecay
from DynamicQuant.frozen import config_of, continued
from DynamicQuant.network import DynamicNetwork
from DynamicQuant.options import TrainOptions
from DynamicQuant.quant_config import QuantConfig
from DynamicQuant.tester import DynamicTest, DynamicTester

_CALIBRATION_IMAGES = 512


def start(options: TrainOptions, training: TrainConfig, images: Images) -> Start:
    """The network to train, its metadata, callbacks, objective and tester.

    Raises:
        CheckpointError: a file that is not what its option asks for, or of another number of classes than the images.
    """
    network, config, digest = _network(options, images)
    metadata = _metadata(options, config, digest)
    if not isinstance(network, DynamicNetwork):
        return Start(network, metadata)
    stored = StoredNetwork(network, {**metadata, "num_classes": images.train.num_classes})
    source = images.train, images.preprocessing
    tester = DynamicTester(stored, *source, training.batch_size, options.budget, options.seed)
    loss = partial(BudgetLoss, network, tester.costs, tester.limit, options.penalty)
    decay = NoiseDecay(network, options.noise_decay * training.epochs)
    return Start(network, metadata, callbacks=[decay], objective=loss, tester=tester)


def _network(options: TrainOptions, images: Images) -> tuple[nn.Cell, QuantConfig | None, str]:
    """The network to train, its settings, and a digest of the file it starts from; empty without one."""
    classes = images.train.num_classes
    if options.init_from:
        stored = storage.load_latent(options.init_from, options.arch)
        digest = network_state.digest(of_classes(options.init_from, stored, classes))
        network, config = continued(stored, options.config, options.init_from, options.seed)
        return network, config, digest
    network, digest = model(options.arch).build(classes), ""
    if pretrained := _pretrained(options):
        network = float_of_classes(pretrained, options.arch, classes, images.new_head)
        digest = network_state.digest(network)
    if options.config is None:
        return network, None, digest
    config = settled(network, options.config, hasattr(network, "layer1"))
    clips = _first_clips(options, config, network, images)
    return conversion(config)(network, config, clips, seed=options.seed), config, digest


def _pretrained(options: TrainOptions) -> Path | None:
    """The float network to start from; that of the digits ships with this project."""
    if options.pretrained or options.config is None:
        return options.pretrained
    shipped = (options.dataset, options.arch) == ("digits", "resnet20")
    return storage.shipped("digits", "float") if shipped else None


def _first_clips(options: TrainOptions, config: QuantConfig, network: nn.Cell, images: Images) -> dict[str, float]:
    """The clips that the activations of a float network start from, by layer."""
    if options.activation_clip != "calibrate":
        return dict.fromkeys(quantized_names(network, config), options.activation_clip)
    batches = calibration_batches(images.train, images.preprocessing, _CALIBRATION_IMAGES, options.seed)
    return calibrate(network, config, batches)


def _metadata(options: TrainOptions, config: QuantConfig | None, digest: str) -> dict[str, Any]:
    """Metadata of the run's checkpoints; the digest makes runs from different starts different runs."""
    kind = "latent" if config else "float"
    about = {"method": storage.METHOD, "kind": kind, "network": options.arch, "start": digest}
    if config is None:
        return about
    about |= {"settings": asdict(config)}
    about |= {} if options.init_from else {"activation_clip": options.activation_clip}
    budget = {"budget": [options.budget, options.penalty, options.noise_decay]}
    return about if config.static else {**about, **budget}


def save(path: Path, trainer: Trainer) -> str:
    """Write the trained network; returns a short description of it."""
    stored = StoredNetwork(trainer.network, finished_metadata(trainer))
    if stored.kind == "float":
        return save_float(path, trainer)
    if not isinstance(trainer.test, DynamicTest):
        storage.save_packed(path, stored)
        return f"static {config_of(stored).bits} bits"
    tester, record = trainer.test.tester, trainer.chosen
    tester.prepare(trainer.network)
    storage.save_packed(path, stored, {"controller.last.bias": tester.bias()})
    return f"dynamic, {record['test_bits']:.3f} bits, {record['test_of_static']:.4f} of the static bit operations"
