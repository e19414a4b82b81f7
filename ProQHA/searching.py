"""A search from the values of its options to the network to use."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from common.checkpoint import network_state
from common.cli import saved_config
from common.cli.classes import open_both
from common.cli.preprocessing import of_start
from common.cli.run_options import RunOptions
from common.cli.training import Images, run_or_advise
from common.cli.validation import Validation
from common.data import ImageSource
from common.data.matching import class_record
from common.errors import ConfigError
from common.evaluation import evaluator
from common.models.registry import model, preprocessing_of
from common.stored.float_network import classes_in_file
from common.stored.network import StoredNetwork
from common.training import TrainConfig, TrainData
from ProQHA import storage
from ProQHA.cost_model import cost_model
from ProQHA.fine_tuner import FineTuner
from ProQHA.fisher import FisherScorer
from ProQHA.progressive import Plan, Progressive
from ProQHA.quant_config import QuantConfig
from ProQHA.scores import AccuracyScorer, AdamScorer, Scorer
from ProQHA.start import StartOptions, bias_correction, start_quantized

_CHUNK = 64  # images at a time
SELECTION = "last step"  # how the network that a search ends with is chosen, in words


@dataclass(frozen=True)
class ScoreOptions:
    """Score of the candidates, and its images.

    Attributes:
        kind: name of the score, one of :data:`ProQHA.scores.SCORES`.
        images: number of training images in the scoring batch.
        pseudo_labels: take the classes that the network chooses at the beginning in the place of labels.
        held_out: number of training images that are kept from training, for ``acc``.
        batch_size: images per step, for ``acc``.
        lr: learning rate of the step of ``adam``.
        grad_clip_norm: limit of the gradient's norm in that step; None for none.
        seed: seed of the choice of images.
    """

    kind: str
    images: int
    pseudo_labels: bool
    held_out: int
    batch_size: int
    lr: float
    grad_clip_norm: float | None
    seed: int


@dataclass(frozen=True)
class SearchOptions:
    """Start, plan, score and training of a search.

    Attributes:
        start: network to begin with.
        plan: steps, draws and targets.
        score: score of the candidates.
        training: training after each step; None: none.
        bias_images: number of training images, without labels, by which BatchNorm statistics follow each step, see
            :mod:`common.quant.bias_correction`; 0 keeps them.
        folder: folder of the search.
        go_on: whether a search that was stopped is continued; otherwise it starts anew.
        validation: images that are kept from the search, and measured after each step.
    """

    start: StartOptions
    plan: Plan
    score: ScoreOptions
    training: TrainConfig | None
    bias_images: int
    folder: Path
    go_on: bool
    validation: Validation

    @property
    def path(self) -> Path:
        """File of the network that the search ends with."""
        return self.folder / f"{self.folder.name}.ckpt"


def run(options: RunOptions, search: SearchOptions) -> None:
    """Search to the end, then write the network to use beside the search's own files and say what it is.

    Raises:
        ConfigError: options that do not fit each other or the images.
        CheckpointError: a start that does not fit, or a folder that holds another search.
    """
    options.device.set_up()
    data = options.data
    whole, test = open_both(data, classes_in_file(search.start.path, search.start.arch))
    rest, validation = search.validation.split(whole, options.seed)
    train, held_out = split(search.score, rest)
    images = Images(train, test, of_start(options, preprocessing_of(data.dataset, {}), search.start.path))
    progressive = make_search(options, search, images, Kept(held_out, validation))
    run_or_advise(progressive, search.go_on)
    saved_config.save(options.values, search.folder)
    save(search.path, progressive)
    print(final_line(search.path, progressive, len(images.test)))
    for warning in missed(progressive):
        print(warning)


def split(options: ScoreOptions, source: ImageSource) -> tuple[ImageSource, ImageSource | None]:
    """Images to train with and, for the score ``acc``, those that are kept from it.

    Raises:
        ConfigError: nothing would be left to train with.
    """
    if options.kind != "acc":
        return source, None
    count = options.held_out
    if count >= len(source):
        raise ConfigError(f"held_out: expected less than the {len(source)} training images, found {count}")
    order = np.random.default_rng(options.seed).permutation(len(source))
    return source.take(order[count:]), source.take(order[:count])


@dataclass(frozen=True, eq=False)
class Kept:
    """Training images that are kept from training.

    Attributes:
        scoring: images that the score ``acc`` measures on; None for other scores.
        validation: images that are measured after each step, for the log; None for none.
    """

    scoring: ImageSource | None = None
    validation: ImageSource | None = None


def make_search(options: RunOptions, search: SearchOptions, images: Images, kept: Kept) -> Progressive:
    """The search that the options describe, ready to run."""
    train, preprocessing = images.train, images.preprocessing
    network, config = start_quantized(search.start, train, preprocessing)
    about = _metadata(search, network, config, images)
    scorer = make_scorer(search, network, config, images, kept.scoring)
    validate = evaluator(kept.validation, preprocessing, options.batch_size, "validation") if kept.validation else None
    correct = bias_correction(network, images, search.bias_images, search.start.seed) if search.bias_images else None
    tuner = FineTuner(
        network=network,
        data=TrainData(train, preprocessing),
        config=search.training,
        folder=search.folder,
        metadata=about,
        correct=correct,
        validate=validate,
    )
    sizes = cost_model(network, preprocessing.image_size)
    return Progressive(
        network=network,
        sizes=sizes,
        plan=search.plan,
        scorer=scorer,
        train=tuner,
        test=evaluator(images.test, preprocessing, options.batch_size),
        folder=search.folder,
        metadata=about,
    )


def make_scorer(
    search: SearchOptions, network: nn.Cell, config: QuantConfig, images: Images, held_out: ImageSource | None
) -> Scorer:
    """The score that the options name, on a seeded batch of training images."""
    options, train, preprocessing = search.score, images.train, images.preprocessing
    batch = train.sample(min(options.images, len(train)), options.seed)
    pixels = batch.train_batch(np.arange(len(batch)), preprocessing, options.seed, 0)
    if held_out is not None:
        return AccuracyScorer(pixels, held_out, preprocessing, options.batch_size)
    labels = _chosen_classes(network, pixels) if options.pseudo_labels else batch.labels
    if options.kind == "adam":
        return AdamScorer(network, pixels, labels, options.lr, options.grad_clip_norm)
    return FisherScorer(model(search.start.arch).build(train.num_classes), config, pixels, labels)


def _chosen_classes(network: nn.Cell, images: np.ndarray) -> np.ndarray:
    """The classes (N,) that a network chooses for images (N, 3, H, W)."""
    network.set_train(False)
    parts = np.array_split(images, -(-len(images) // _CHUNK))
    return np.concatenate([network(Tensor(part)).asnumpy().argmax(1) for part in parts])


def _metadata(search: SearchOptions, network: nn.Cell, config: QuantConfig, images: Images) -> dict[str, Any]:
    """Metadata of the search's checkpoints; all of it must be equal for a search to be continued."""
    training = asdict(search.training) if search.training else None
    given = {"validation": search.validation.images, "bias_correction": search.bias_images}
    kept = {name: count for name, count in given.items() if count}
    score = {name: value for name, value in asdict(search.score).items() if name != "pseudo_labels" or value}
    return {
        "method": storage.METHOD,
        "kind": "latent",
        "network": search.start.arch,
        "num_classes": images.train.num_classes,
        "dataset": search.start.dataset,
        "settings": asdict(config),
        "start": network_state.digest(network),
        "preprocessing": images.preprocessing.to_dict(),
        "options": {"score": score, "training": training, **kept},
        "train_images": len(images.train),
        "labels": images.train.labels_digest(),
        **class_record(images.train),
    }


def save(path: Path, search: Progressive) -> None:
    """Write the network to use."""
    last = search.records[-1]
    training = {"steps": last["step"], "seed": search.plan.seed, "selection": SELECTION}
    storage.save_packed(path, StoredNetwork(search.network, {**search.metadata, "training": training}))


def final_line(path: Path, search: Progressive, images: int) -> str:
    """Line that describes the network that a search ended with.

    Args:
        path: file of the network.
        search: search that has ended.
        images: number of test images.
    """
    last = search.records[-1]
    bits = f"W{last['average_weight_bits']:.3f} A{last['average_activation_bits']:.3f}"
    costs = f"cost {last['cost']:.4f}, compute cost {last['compute_cost']:.6f} after {last['step']} steps"
    return (
        f"{path}: {bits}, {costs}, test accuracy {last['test_acc']:.4f} on {images} images, {SELECTION}, "
        f"{path.stat().st_size} bytes"
    )


def missed(search: Progressive) -> list[str]:
    """A warning for each target that the search has not reached."""
    last, targets = search.records[-1], search.plan.targets
    pairs = {"cost": targets.storage, "compute_cost": targets.compute}
    return [
        f"warning: {option} ended at {last[option]:.6g}, above {target:g}: allow more --step or a lower --floor"
        for option, target in pairs.items()
        if target is not None and last[option] > target
    ]
