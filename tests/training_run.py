"""A small training that is always the same, for test_training.py; as a program it kills itself at a given point."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from common import checkpoint
from common.data import ImageArrays, Preprocessing, batches, eval_dataset
from common.evaluation import evaluate
from common.files import atomic_file
from common.models.layers import batch_norm
from common.training import Run, Schedule, TrainConfig, TrainData, Trainer

PREPROCESSING = Preprocessing(image_size=8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), crop_padding=1, flip=True)
STEPS, BATCH = 3, 6
CONFIG = TrainConfig(
    epochs=3,
    batch_size=BATCH,
    schedule=Schedule("cosine", 0.05, warmup_epochs=1),
    weight_decay=1e-3,
    grad_clip_norm=1.0,
    label_smoothing=0.1,
    seed=5,
)


class Small(nn.Cell):
    """Convolution, BatchNorm, ReLU, mean, linear layer: (N, 3, 8, 8) to (N, 4), the same at each call."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2, pad_mode="pad", padding=1, has_bias=False)
        self.norm = batch_norm(6)
        self.relu = nn.ReLU()
        self.fc = nn.Dense(6, 4)
        rng = np.random.default_rng(3)
        for parameter in self.trainable_params():
            value = rng.normal(0, 0.4, parameter.shape) + (parameter.name == "norm.gamma")
            parameter.set_data(Tensor(value.astype(np.float32)))

    def construct(self, x):
        x = self.relu(self.norm(self.conv(x)))
        return self.fc(x.mean((2, 3)))


def images(n=20, seed=0):
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 4).astype(np.int32)
    pixels = rng.integers(0, 200, (n, 8, 8, 3)) + 15 * labels[:, None, None, None]
    return ImageArrays(pixels.astype(np.uint8), labels, 4)


def test_accuracy(network):
    return evaluate(network, batches(eval_dataset(images(12, seed=1), PREPROCESSING, 5)), 12)


test_accuracy.__test__ = False


def validation_accuracy(network):
    return evaluate(network, batches(eval_dataset(images(16, seed=2), PREPROCESSING, 5)), 16)


def trainer(
    folder,
    config=CONFIG,
    source=None,
    network=None,
    test=test_accuracy,
    validate=validation_accuracy,
    metadata=None,
    **rest,
):
    """A training; ``validate`` None has no validation images."""
    return Trainer(
        network=network or Small(),
        data=TrainData(source or images(), PREPROCESSING, images(16, seed=2) if validate else None),
        config=config,
        run=Run(folder, metadata or {"network": "small"}),
        test=test,
        validate=validate,
        **rest,
    )


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class DeadlyImages(ImageArrays):
    """Kills the process when batch ``fatal`` of ``epoch`` is made; the pipeline makes a few batches ahead."""

    def train_batch(self, indices, preprocessing, seed, epoch):
        if epoch == self.epoch and np.array_equal(indices, self.fatal):
            die()
        return super().train_batch(indices, preprocessing, seed, epoch)


def deadly_images(epoch, step):
    plain = images()
    source = DeadlyImages(plain.images, plain.labels, plain.num_classes)
    order = np.random.default_rng((CONFIG.seed, epoch)).permutation(len(plain))
    object.__setattr__(source, "epoch", epoch)
    object.__setattr__(source, "fatal", order[step * BATCH : (step + 1) * BATCH])
    return source


def kill_around_rename(name, count, after, kill=die):
    """Make the ``count``-th rename to ``name`` the last act (``after``) or the next to come."""
    real, seen = os.replace, []

    def replace(source, target):
        seen.extend([1] * (Path(target).name == name))
        fatal = len(seen) == count and Path(target).name == name
        if fatal and not after:
            kill()
        real(source, target)
        if fatal:
            kill()

    atomic_file.os.replace = replace


def trained(network):
    """Trainable parameters by their place in the network (their own names change in a training step)."""
    return {name: p.asnumpy() for name, p in network.parameters_and_names() if p.requires_grad}


def final_state(folder):
    """All that decides how a run goes on, and what it reported; wall time left out."""
    saved = checkpoint.load(folder / "last.ckpt")
    history = [{k: v for k, v in record.items() if k != "seconds"} for record in saved.metadata["history"]]
    return saved.tensors, history


def check_equal(folder, straight):
    """Bit for bit, and reports that agree with the checkpoint."""
    (tensors, history), (expected, expected_history) = final_state(folder), final_state(straight)
    assert sorted(tensors) == sorted(expected)
    for name, value in expected.items():
        assert value.dtype == tensors[name].dtype and np.array_equal(value, tensors[name]), name
    for record, wanted in zip(history, expected_history, strict=True):
        # MindSpore's loss value (not its gradient) may differ in the last bit with the alignment of its buffers.
        assert record.pop("loss") == pytest.approx(wanted.pop("loss"), rel=1e-6)
    assert history == expected_history
    for file in ("best.ckpt", "final.ckpt"):
        both = [checkpoint.load(f / file).tensors for f in (folder, straight)]
        assert all(np.array_equal(both[0][name], value) for name, value in both[1].items()), file
    check_reports(folder)
    assert sorted(path.name for path in folder.iterdir() if not path.name.endswith(".tmp")) == sorted(
        path.name for path in straight.iterdir()
    )


def check_reports(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == checkpoint.load(folder / "last.ckpt").metadata["history"]
    assert [line["epoch"] for line in lines] == list(range(1, len(lines) + 1))


if __name__ == "__main__":
    from common.runtime import context

    context.setup()
    folder, point = Path(sys.argv[1]), sys.argv[2]
    if point == "mid-epoch":
        trainer(folder, source=deadly_images(epoch=1, step=2)).run()
    kill_around_rename(point, 1, after=sys.argv[3] == "after")
    trainer(folder).run()
