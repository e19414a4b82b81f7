"""Parts of a training: its images, its settings, and the run that it becomes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from common import distributed
from common.data import ImageSource, Preprocessing, train_dataset
from common.training.schedules import Schedule


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training.

    Attributes:
        epochs: passes over the training images; 0 trains nothing.
        batch_size: images per step, over all processes; what does not fill a batch is left out of an epoch.
        schedule: learning rates.
        optimizer: name of the optimizer, ``sgd`` (with momentum, as PyTorch defines it) or ``adam``.
        momentum: momentum of ``sgd``.
        weight_decay: weight of the L2 penalty on all parameters.
        grad_clip_norm: upper limit of the gradient's global L2 norm; None for none.
        label_smoothing: share of the target that is spread over all classes, 0 to 1.
        augment: whether images are augmented.
        seed: seed of order and augmentation.
    """

    epochs: int
    batch_size: int
    schedule: Schedule
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    grad_clip_norm: float | None = None
    label_smoothing: float = 0.0
    augment: bool = True
    seed: int = 0


@dataclass(frozen=True, eq=False)
class TrainData:
    """The images of a training.

    Attributes:
        source: training images.
        preprocessing: preprocessing of the network.
        validation: images that are kept from training and choose the best epoch; None for none.
    """

    source: ImageSource
    preprocessing: Preprocessing
    validation: ImageSource | None = None

    def epoch(self, config: TrainConfig, epoch: int) -> Iterable[dict[str, Any]]:
        """The batches of an epoch that are this process's, in the epoch's order and augmentation."""
        count = distributed.size()
        return train_dataset(
            self.source,
            self.preprocessing,
            config.batch_size // count,
            config.seed,
            epoch,
            augment=config.augment,
            num_shards=count,
            shard_id=distributed.rank(),
        )


@dataclass(frozen=True)
class Run:
    """Folder of a training, and metadata that identify it.

    Attributes:
        folder: folder of the checkpoints; made if absent.
        metadata: metadata that identify the network, stored in its checkpoints.
        tensorboard: folder of a file of events for TensorBoard; None for none.
    """

    folder: Path
    metadata: dict[str, Any] = field(default_factory=dict)
    tensorboard: Path | None = None


def run_fingerprint(config: TrainConfig, data: TrainData, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Values that must be equal for a run to be continued."""
    images = {"images": len(data.source), "classes": data.source.num_classes, "labels": data.source.labels_digest()}
    if (kept := data.validation) is not None:
        images["validation"] = {"images": len(kept), "labels": kept.labels_digest()}
    return json.loads(json.dumps({"config": asdict(config), "data": images, **metadata}))
