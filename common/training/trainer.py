"""The training engine of all methods: epochs, checkpoints after each, and a run that continues bit for bit.

A run lives in a folder: ``last.ckpt`` (network, optimizer, history), ``metrics.jsonl`` (one line per epoch) and
``curves.png``; with validation images ``best.ckpt`` (the network that is best on them so far); at the end
``final.ckpt`` (with validation images the best network, else that of the last epoch). Test images have no part in the
choice: they are seen once, by the network of ``final.ckpt``. Order and augmentation of the images depend only on seed
and epoch, so a run that was killed at any point repeats its unfinished epoch and ends with the parameters of an
uninterrupted one. A run of 0 epochs ends with the network that it is given.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from common import checkpoint, distributed
from common.checkpoint import network_state
from common.data import batches
from common.errors import CheckpointError, ConfigError, DataError
from common.evaluation import Metrics
from common.report.duration import Duration
from common.report.progress import Progress
from common.training.callback import Callback, combined
from common.training.config import Run, TrainConfig, TrainData, run_fingerprint
from common.training.run_files import RunFiles
from common.training.selection import TEST, VALIDATION, chosen, rivals, training_summary
from common.training.step import TrainStep, check_finite, make_optimizer, trained_parameters


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
        objective: cell from images and the task's goal to loss and logits of the network; None is the task's loss.
        task: what is asked of the logits, see :mod:`common.training.task`; None: the labels.
        validate: function from the network to its metrics on the validation images; None where there are none.
        validate_every: number of epochs from one validation to the next; the last epoch always has one.
        test: function from the network to its metrics on the test images; None skips the test.

    Raises:
        ConfigError: a batch that cannot be divided among the processes, or validation images without ``validate``.
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
        task: nn.Cell | None = None,
        validate: Callable[[nn.Cell], Metrics] | None = None,
        validate_every: int = 1,
        test: Callable[[nn.Cell], Metrics] | None = None,
    ):
        if (data.validation is None) != (validate is None):
            raise ConfigError("validate: expected it together with validation images, found one of them; give both")
        if config.batch_size % distributed.size():
            raise ConfigError(
                f"batch_size: expected a multiple of the {distributed.size()} processes, found {config.batch_size}"
            )
        self.steps = len(data.source) // config.batch_size
        if not self.steps and config.epochs:
            raise DataError(f"{len(data.source)} training images do not fill a batch of {config.batch_size}: lower it")
        self.network, self.data, self.config, self.callbacks = network, data, config, tuple(callbacks)
        self.validate, self.validate_every, self.test = validate, validate_every, test
        self.callback = combined(self.callbacks)
        optimizer = make_optimizer(trained_parameters(network, self.callback), config, self.steps)
        self.step = TrainStep(network, optimizer, config, self.callback, objective, task)
        self.duration = Duration(0, "", _say)
        self._fresh = [parameter.asnumpy().copy() for parameter in self._optimizer_state()]
        self._begin(run)

    def _begin(self, run: Run) -> None:
        self.folder, self.history = Path(run.folder), []
        self.files = RunFiles(self.folder, run.tensorboard)
        self.metadata = {**run.metadata, "preprocessing": self.data.preprocessing.to_dict()}

    def reset(self, folder: Path, metadata: dict[str, Any]) -> None:
        """Become a new run of the same network and configuration, optimizer as at first, compiling nothing anew."""
        for parameter, value in zip(self._optimizer_state(), self._fresh):
            ops.assign(parameter, Tensor(value))  # in PYNATIVE mode the compiled optimizer would not see set_data
        self._begin(Run(folder, metadata))

    def run(self, go_on: bool = True) -> list[dict[str, Any]]:
        """Train to the last epoch, take the network of the chosen one, and test it; returns one record per epoch.

        Args:
            go_on: whether a run in the folder is continued; otherwise it is removed and started anew.

        Raises:
            OtherRunError: the folder holds a run of another network, configuration or data.
            CheckpointError: the folder holds a damaged checkpoint.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not go_on:
            self.files.discard()
        elif self.files.last.exists():
            self._load()
            self.files.report(self.history)  # the run may have ended between checkpoint and report
        left = self.config.epochs - self.epochs
        self.duration = Duration(left * self.steps, f"{left} epochs of {self.steps} steps", _say)
        while self.epochs < self.config.epochs:
            self._epoch(self.epochs)
            self._save()
        if not self.history:
            self._no_epoch()
            self._save()
        self._finish()
        return self.history

    @property
    def epochs(self) -> int:
        """Number of epochs that the network has been trained for."""
        return self.history[-1]["epoch"] if self.history else 0

    @property
    def chosen(self) -> dict[str, Any]:
        """Record of the epoch whose network the run ends with."""
        return chosen(self.history)

    def _epoch(self, epoch: int) -> None:
        config, start = self.config, time.perf_counter()
        self.step.set_train(True)
        loss_sum = correct = seen = 0
        images = self.steps * config.batch_size // distributed.size()
        with Progress(images, label=f"epoch {epoch + 1}/{config.epochs}") as progress:
            for batch in batches(self.data.epoch(config, epoch)):
                loss, logits = self.step(Tensor(batch["image"]), Tensor(batch["label"]))
                count = len(batch["label"])
                loss_sum += _finite(float(loss.asnumpy()), epoch) * count
                correct += int((logits.asnumpy().argmax(1) == batch["label"]).sum())
                seen += count
                progress.update(count, loss=loss_sum / seen, acc=correct / seen)
                self.duration.step()
        check_finite(self.network, epoch)
        loss_sum, correct, seen = distributed.total([loss_sum, correct, seen]).tolist()
        record = {"epoch": epoch + 1, "loss": loss_sum / seen, "acc": correct / seen}
        record["seconds"] = round(time.perf_counter() - start, 2)
        if self.callback is not None:
            record |= {**self.callback.after_epoch(epoch), "finished": self.callback.finished()}
        self.history.append(record)
        if (epoch + 1) % self.validate_every == 0 or epoch + 1 == config.epochs:
            self._validate()

    def _no_epoch(self) -> None:
        record: dict[str, Any] = {"epoch": 0}
        if self.callback is not None:
            record |= {**self.callback.report(), "finished": self.callback.finished()}
        self.history.append(record)
        self._validate()

    def _validate(self) -> None:
        """Add the validation of the network to the last record."""
        if self.validate is not None:
            self.history[-1] |= _named(VALIDATION, self.validate(self.network))

    def _finish(self) -> None:
        """Take the network of the chosen epoch, test it and write ``final.ckpt``, unless that was done before."""
        last, record = network_state.state(self.network), self.chosen
        if record is not self.history[-1]:
            self._take_best(record["epoch"])
        if self.files.final.exists() and (self.test is None or f"{TEST}acc" in record):
            return
        if self.test is not None:
            record |= _named(TEST, self.test(self.network))
        about = {**self.metadata, "history": [record], "training": training_summary(self.history, self.config.seed)}
        checkpoint.save(self.files.final, network_state.state(self.network), about)
        self._save(last)

    def _take_best(self, epoch: int) -> None:
        saved = checkpoint.load(self.files.best)
        if [one["epoch"] for one in saved.metadata.get("history", [])] != [epoch]:
            raise CheckpointError(
                f"{self.files.best}: expected the network of epoch {epoch}, found another; start anew"
            )
        for name, parameter in self.network.parameters_and_names():
            ops.assign(parameter, Tensor(saved.tensors[name]))  # not set_data, as in reset

    def _save(self, network: dict[str, np.ndarray] | None = None) -> None:
        """Write ``last.ckpt`` last but for reports: it alone decides where a run goes on.

        Args:
            network: state of the last epoch's network, where the run's network has become another one.
        """
        if network is None:
            network = network_state.state(self.network)
            if rivals(self.history) and self.chosen is self.history[-1]:
                checkpoint.save(self.files.best, network, {**self.metadata, "history": self.history[-1:]})
        optimizer = {f"optimizer/{p.name}": p.asnumpy() for p in self._optimizer_state()}
        tensors = {f"network/{name}": value for name, value in network.items()} | optimizer
        run = run_fingerprint(self.config, self.data, self.metadata)
        checkpoint.save(self.files.last, tensors, {"run": run, "history": self.history})
        self.files.report(self.history)

    def _load(self) -> None:
        saved = checkpoint.load(self.files.last)
        if saved.metadata.get("run") != run_fingerprint(self.config, self.data, self.metadata):
            raise OtherRunError(f"{self.files.last} belongs to another run: network, configuration or data differ")
        parts = {"network/": {}, "optimizer/": {}}
        for name, value in saved.tensors.items():
            prefix = name[: name.index("/") + 1]
            parts[prefix][name.removeprefix(prefix)] = value
        network_state.restore(self.network, parts["network/"], self.files.last)
        for parameter in self._optimizer_state():
            parameter.set_data(Tensor(parts["optimizer/"][parameter.name]))
        self.history = saved.metadata["history"]

    def _optimizer_state(self) -> list[Parameter]:
        """Everything the optimizer keeps beside the network: moments, step counter, learning rates."""
        of_network = {id(parameter) for parameter in self.network.get_parameters()}
        return [p for p in self.step.optimizer.get_parameters() if id(p) not in of_network]


def _say(line: str) -> None:
    if distributed.rank() == 0:
        print(line, flush=True)


def _finite(loss: float, epoch: int) -> float:
    if not np.isfinite(loss):
        raise ConfigError(f"the loss is {loss} in epoch {epoch + 1}: training diverged, lower the learning rate")
    return loss


def _named(prefix: str, metrics: Metrics) -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in metrics.result().items()}
