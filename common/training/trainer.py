"""The training engine of all methods: epochs, checkpoints after each, and a run that continues bit for bit.

A run lives in a folder: ``last.ckpt`` (network, optimizer, history), ``best.ckpt`` (network with the best test
accuracy), ``metrics.jsonl`` (one line per epoch) and ``curves.png``. Order and augmentation of the images depend only
on seed and epoch, so a run that was killed at any point repeats its unfinished epoch and ends with the parameters of
an uninterrupted one. A run of 0 epochs tests the network that it is given, and has no ``best.ckpt``.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from common import checkpoint, distributed
from common.checkpoint import network_state
from common.data import batches, train_dataset
from common.errors import CheckpointError, ConfigError, DataError
from common.evaluation import Metrics
from common.files.atomic_file import write_text
from common.report import curves
from common.report.progress import Progress
from common.training.callback import Callback, combined
from common.training.config import Run, TrainConfig, TrainData
from common.training.step import TrainStep, make_optimizer, trained_parameters


class OtherRunError(CheckpointError):
    """The folder holds a run of another network, configuration or data."""


class Trainer:
    """Trains a network in a run folder and keeps its checkpoints.

    Args:
        network: network from images to logits.
        data: training images and their preprocessing.
        config: settings of the training.
        run: folder and metadata of the run.
        callbacks: further actions in each step and after each epoch.
        objective: cell from images and labels to loss and logits of the network; None is cross-entropy.
        test: function from the network to its test metrics; None skips the test.
        test_every: number of epochs between tests; the last epoch is always tested.

    Raises:
        ConfigError: a batch that cannot be divided among the processes.
        DataError: fewer images than one batch.
    """

    def __init__(
        self,
        *,
        network: nn.Cell,
        data: TrainData,
        config: TrainConfig,
        run: Run,
        callbacks: Sequence[Callback] = (),
        objective: nn.Cell | None = None,
        test: Callable[[nn.Cell], Metrics] | None = None,
        test_every: int = 1,
    ):
        if config.batch_size % distributed.size():
            raise ConfigError(
                f"batch_size: expected a multiple of the {distributed.size()} processes, found {config.batch_size}"
            )
        self.steps = len(data.source) // config.batch_size
        if not self.steps and config.epochs:
            raise DataError(f"{len(data.source)} training images do not fill a batch of {config.batch_size}: lower it")
        self.network, self.data, self.config, self.callbacks = network, data, config, tuple(callbacks)
        self.test, self.test_every = test, test_every
        self.callback = combined(self.callbacks)
        optimizer = make_optimizer(trained_parameters(network, self.callback), config, self.steps)
        self.step = TrainStep(network, optimizer, config, self.callback, objective)
        self._fresh = [parameter.asnumpy().copy() for parameter in self._optimizer_state()]
        self._begin(run)

    def _begin(self, run: Run) -> None:
        self.folder, self.history = Path(run.folder), []
        self.metadata = {**run.metadata, "preprocessing": self.data.preprocessing.to_dict()}

    def reset(self, folder: Path, metadata: dict[str, Any]) -> None:
        """Become a new run of the same network and configuration, optimizer as at first, compiling nothing anew."""
        for parameter, value in zip(self._optimizer_state(), self._fresh):
            ops.assign(parameter, Tensor(value))  # in PYNATIVE mode the compiled optimizer would not see set_data
        self._begin(Run(folder, metadata))

    def run(self, go_on: bool = True) -> list[dict[str, Any]]:
        """Train to the last epoch and return one record of metrics per epoch; of 0 epochs, one of the test.

        Args:
            go_on: whether a run in the folder is continued; otherwise it is removed and started anew.

        Raises:
            OtherRunError: the folder holds a run of another network, configuration or data.
            CheckpointError: the folder holds a damaged checkpoint.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not go_on:
            self.last.unlink(missing_ok=True)
            self.best.unlink(missing_ok=True)
        elif self.last.exists():
            self._load()
            self._report()  # the run may have ended between checkpoint and report
        while self.epochs < self.config.epochs:
            self._epoch(self.epochs)
            self._save()
        if not self.history:
            self._no_epoch()
            self._save()
        return self.history

    @property
    def epochs(self) -> int:
        """Number of epochs that the network has been trained for."""
        return self.history[-1]["epoch"] if self.history else 0

    @property
    def last(self) -> Path:
        """Checkpoint from which a run goes on."""
        return self.folder / "last.ckpt"

    @property
    def best(self) -> Path:
        """Checkpoint of the network with the best test accuracy so far."""
        return self.folder / "best.ckpt"

    def _epoch(self, epoch: int) -> None:
        config, start = self.config, time.perf_counter()
        data = train_dataset(
            self.data.source,
            self.data.preprocessing,
            config.batch_size // distributed.size(),
            config.seed,
            epoch,
            augment=config.augment,
            num_shards=distributed.size(),
            shard_id=distributed.rank(),
        )
        self.step.set_train(True)
        loss_sum = correct = seen = 0
        images = self.steps * config.batch_size // distributed.size()
        with Progress(images, label=f"epoch {epoch + 1}/{config.epochs}") as progress:
            for batch in batches(data):
                loss, logits = self.step(Tensor(batch["image"]), Tensor(batch["label"]))
                count = len(batch["label"])
                loss_sum += self._finite(float(loss.asnumpy()), epoch) * count
                correct += int((logits.asnumpy().argmax(1) == batch["label"]).sum())
                seen += count
                progress.update(count, loss=loss_sum / seen, acc=correct / seen)
        self._check_parameters(epoch)
        loss_sum, correct, seen = distributed.total([loss_sum, correct, seen]).tolist()
        record = {"epoch": epoch + 1, "loss": loss_sum / seen, "acc": correct / seen}
        record["seconds"] = round(time.perf_counter() - start, 2)
        if self.callback is not None:
            record |= {**self.callback.after_epoch(epoch), "finished": self.callback.finished()}
        self.history.append(record)
        if (epoch + 1) % self.test_every == 0 or epoch + 1 == config.epochs:
            self._test()

    def _no_epoch(self) -> None:
        record: dict[str, Any] = {"epoch": 0}
        if self.callback is not None:
            record |= {**self.callback.report(), "finished": self.callback.finished()}
        self.history.append(record)
        self._test()

    def _test(self) -> None:
        """Add the test of the network to the last record."""
        if self.test is not None:
            self.history[-1] |= {f"test_{key}": value for key, value in self.test(self.network).result().items()}

    @staticmethod
    def _finite(loss: float, epoch: int) -> float:
        if not np.isfinite(loss):
            raise ConfigError(f"the loss is {loss} in epoch {epoch + 1}: training diverged, lower the learning rate")
        return loss

    def _check_parameters(self, epoch: int) -> None:
        """Refuse parameters that are not finite; the loss may hide them, for ReLU makes zeros of NaN."""
        for parameter in self.network.get_parameters():
            if not np.isfinite(parameter.asnumpy()).all():
                where = f"{parameter.name} is not finite after epoch {epoch + 1}"
                raise ConfigError(f"{where}: training diverged, lower the learning rate")

    def _fingerprint(self) -> dict[str, Any]:
        """Values that must be equal for a run to be continued."""
        source = self.data.source
        images = {"images": len(source), "classes": source.num_classes, "labels": source.labels_digest()}
        return json.loads(json.dumps({"config": asdict(self.config), "data": images, **self.metadata}))

    def _save(self) -> None:
        """Write ``last.ckpt`` last but for reports: it alone decides where a run goes on."""
        network = network_state.state(self.network)
        compared = "acc" if self.test is None else "test_acc"
        rivals = [record for record in self.history if record.get("finished", True) and compared in record]
        accuracies = [record[compared] for record in rivals]
        if self.epochs and self.history[-1] in rivals and accuracies[-1] >= max(accuracies):
            checkpoint.save(self.best, network, {**self.metadata, "history": self.history[-1:]})
        optimizer = {f"optimizer/{p.name}": p.asnumpy() for p in self._optimizer_state()}
        tensors = {f"network/{name}": value for name, value in network.items()} | optimizer
        checkpoint.save(self.last, tensors, {"run": self._fingerprint(), "history": self.history})
        self._report()

    def _report(self) -> None:
        write_text(self.folder / "metrics.jsonl", "".join(json.dumps(r, sort_keys=True) + "\n" for r in self.history))
        if self.history:
            curves.plot(self.history, self.folder / "curves.png")

    def _load(self) -> None:
        saved = checkpoint.load(self.last)
        if saved.metadata.get("run") != self._fingerprint():
            raise OtherRunError(f"{self.last} belongs to another run: network, configuration or data differ")
        parts = {"network/": {}, "optimizer/": {}}
        for name, value in saved.tensors.items():
            prefix = name[: name.index("/") + 1]
            parts[prefix][name.removeprefix(prefix)] = value
        network_state.restore(self.network, parts["network/"], self.last)
        for parameter in self._optimizer_state():
            parameter.set_data(Tensor(parts["optimizer/"][parameter.name]))
        self.history = saved.metadata["history"]

    def _optimizer_state(self) -> list[Parameter]:
        """Everything the optimizer keeps beside the network: moments, step counter, learning rates."""
        of_network = {id(parameter) for parameter in self.network.get_parameters()}
        return [p for p in self.step.optimizer.get_parameters() if id(p) not in of_network]
