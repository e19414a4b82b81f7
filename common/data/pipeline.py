"""Sources as ``mindspore.dataset`` pipelines whose rows are whole batches.

A batch is made by a few NumPy operations, so one pipeline thread is enough and keeps the order; the pipeline adds the
queue that lets the next batches be made while a network computes.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import mindspore.dataset as ds
import numpy as np
from mindspore.dataset.engine.iterators import DictIterator

from common.data.preprocessing import Preprocessing
from common.data.source import ImageSource
from common.errors import ConfigError, DataError, UserError

# MindSpore's 16 would hold 2.5 GB of ImageNet batches of 256.
_PREFETCHED_BATCHES = 3


def eval_dataset(
    source: ImageSource, preprocessing: Preprocessing, batch_size: int, num_shards: int = 1, shard_id: int = 0
) -> ds.GeneratorDataset:
    """Every image exactly once, in order, in batches of one size.

    Shard k holds the k-th of ``num_shards`` consecutive stretches; all shards have the same number of batches. What
    the images do not fill is a repeated image with ``valid`` False.

    Returns:
        Columns image float32 (B, 3, S, S), label int32 (B,), valid bool (B,).

    Raises:
        ConfigError: an argument is out of range, or ``preprocessing`` does not fit the images.
    """
    return _dataset(_EvalBatches(source, preprocessing, batch_size, num_shards, shard_id), ["image", "label", "valid"])


def train_dataset(
    source: ImageSource,
    preprocessing: Preprocessing,
    batch_size: int,
    seed: int,
    epoch: int,
    augment: bool = True,
    num_shards: int = 1,
    shard_id: int = 0,
) -> ds.GeneratorDataset:
    """One epoch in random order; the images that do not fill a batch of every shard are left out.

    Order and augmentation are functions of ``seed`` and ``epoch`` alone, so that an epoch can be had again.

    Args:
        source: the images.
        preprocessing: what the network expects.
        batch_size: images in a batch of one shard.
        seed: 0 or above.
        epoch: 0 or above.
        augment: random crops and flips; False treats the images as in evaluation.
        num_shards: processes that share the epoch; together they take consecutive pieces of the permutation.
        shard_id: this process.

    Returns:
        Columns image float32 (B, 3, S, S), label int32 (B,).

    Raises:
        ConfigError: an argument is out of range, or ``preprocessing`` does not fit the images.
        DataError: there are fewer images than one batch of every shard.
    """
    shard = (source, preprocessing, batch_size, num_shards, shard_id)
    return _dataset(_TrainBatches(*shard, seed, epoch, augment), ["image", "label"])


def batches(dataset: ds.Dataset) -> Iterator[dict[str, np.ndarray]]:
    """One pass over a dataset of this module as NumPy arrays.

    Raises:
        UserError: what a batch met, such as the DataError of a damaged image; MindSpore itself turns it into a
            RuntimeError with a page of text. It overtakes the batches that wait in the queue: of those before it,
            the last ones may not have been seen.
    """
    iterator = _iterator(dataset)
    try:
        yield from iterator
    except RuntimeError:
        for failure in _failures(dataset):
            raise failure from None
        raise
    finally:
        iterator.stop()


def _iterator(dataset: ds.Dataset) -> DictIterator:
    """MindSpore reads the global prefetch size when the iterator is made: it is ours for that moment only."""
    for source in _sources(dataset):
        source.failure = None
    before = ds.config.get_prefetch_size()
    ds.config.set_prefetch_size(_PREFETCHED_BATCHES)
    try:
        return dataset.create_dict_iterator(num_epochs=1, output_numpy=True)
    finally:
        ds.config.set_prefetch_size(before)


class _Batches(ABC):
    """Random access to the batches of one shard; remembers the mistake that ended a pass."""

    def __init__(
        self, source: ImageSource, preprocessing: Preprocessing, batch_size: int, num_shards: int, shard_id: int
    ) -> None:
        _at_least("batch_size", batch_size, 1)
        _at_least("num_shards", num_shards, 1)
        if not 0 <= shard_id < num_shards:
            raise ConfigError(f"shard_id must be 0 to {num_shards - 1}, found {shard_id}")
        source.check(preprocessing)
        self.source, self.preprocessing = source, preprocessing
        self.batch_size, self.num_shards, self.shard_id = batch_size, num_shards, shard_id
        self.failure: UserError | None = None

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        try:
            return self.batch(int(index))
        except UserError as error:
            self.failure = error
            raise

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, index: int) -> tuple[np.ndarray, ...]: ...


class _EvalBatches(_Batches):
    def __len__(self) -> int:
        return -(-len(self.source) // (self.batch_size * self.num_shards))

    def batch(self, index: int) -> tuple[np.ndarray, ...]:
        start = (self.shard_id * len(self) + index) * self.batch_size
        positions = np.arange(start, start + self.batch_size)
        valid = positions < len(self.source)
        indices = np.minimum(positions, len(self.source) - 1)
        distinct = max(1, int(valid.sum()))  # the filling repeats the last of these
        images = self.source.eval_batch(indices[:distinct], self.preprocessing)
        filled = images[np.minimum(np.arange(self.batch_size), distinct - 1)] if distinct < self.batch_size else images
        return filled, self.source.labels[indices], valid


class _TrainBatches(_Batches):
    def __init__(
        self,
        source: ImageSource,
        preprocessing: Preprocessing,
        batch_size: int,
        num_shards: int,
        shard_id: int,
        seed: int,
        epoch: int,
        augment: bool,
    ) -> None:
        super().__init__(source, preprocessing, batch_size, num_shards, shard_id)
        _at_least("seed", seed, 0)
        _at_least("epoch", epoch, 0)
        together = batch_size * num_shards
        self.steps = len(source) // together
        if not self.steps:
            raise DataError(f"one training batch needs {together} images, found {len(source)}; lower batch_size")
        self.seed, self.epoch, self.augment = seed, epoch, augment
        self.order = np.random.default_rng((seed, epoch)).permutation(len(source))

    def __len__(self) -> int:
        return self.steps

    def batch(self, index: int) -> tuple[np.ndarray, ...]:
        first = (index * self.num_shards + self.shard_id) * self.batch_size
        indices = self.order[first : first + self.batch_size]
        if self.augment:
            images = self.source.train_batch(indices, self.preprocessing, self.seed, self.epoch)
        else:
            images = self.source.eval_batch(indices, self.preprocessing)
        return images, self.source.labels[indices]


def _dataset(source: _Batches, columns: list[str]) -> ds.GeneratorDataset:
    return ds.GeneratorDataset(source, columns, shuffle=False, num_parallel_workers=1, python_multiprocessing=False)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} must be at least {least}, found {value}")


def _sources(dataset: ds.Dataset) -> Iterator[_Batches]:
    """The batch sources at the leaves of a pipeline."""
    if isinstance(source := getattr(dataset, "source", None), _Batches):
        yield source
    for child in dataset.children:
        yield from _sources(child)


def _failures(dataset: ds.Dataset) -> Iterator[UserError]:
    return (source.failure for source in _sources(dataset) if source.failure is not None)
