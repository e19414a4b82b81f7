"""The few unlabelled images that LDNQ learns from, their augmented views, and the float network's logits of each."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from common import distributed
from common.data import ImageSource, Preprocessing
from common.errors import DataError
from common.report import write_json
from common.report.progress import Progress

_CHUNK = 128
_PASS, _LEAST_PASS, _SIDE = 250, 32, 64  # images at a time up to this side; fewer of larger images, for their memory


def calibration_count(total: int, ratio: float, count: int | None) -> int:
    """Number of images to learn from, of ``total``: ``count``, or the share ``ratio`` of them.

    Raises:
        DataError: a number below two (one image gives no BatchNorm statistics).
    """
    chosen = count or round(ratio * total)
    if chosen < 2:
        raise DataError(
            f"ratio {ratio} of {total} images is {chosen}, expected at least 2; raise --ratio or --num_images"
        )
    return chosen


def choose_images(source: ImageSource, count: int, seed: int, record: Path, resample: bool = False) -> ImageSource:
    """``count`` of the images, the ones that ``record`` names where it exists.

    Args:
        source: images to choose from.
        count: number of images to choose.
        seed: seed of the choice.
        record: JSON file of the choice, written if absent.
        resample: whether to choose anew and replace the record.

    Raises:
        DataError: fewer images than ``count``, or a record that is damaged or names other images.
    """
    if count > len(source):
        raise DataError(
            f"{count} images were asked for, the data set holds {len(source)}; lower --num_images or --ratio"
        )
    if record.exists() and not resample:
        return source.take(_recorded(record, count, len(source)))
    indices = np.random.default_rng(seed).permutation(len(source))[:count]
    write_json(record, {"of": len(source), "seed": seed, "indices": indices})
    return source.take(indices)


def _recorded(record: Path, count: int, total: int) -> np.ndarray:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        indices, of = np.array(content["indices"], np.int64), content["of"]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{record}: expected a record of chosen images ({error}); give --resample") from None
    usable = indices.ndim == 1 and len(set(indices.tolist())) == len(indices) and of == total
    if not usable or len(indices) != count or indices.min() < 0 or indices.max() >= total:
        raise DataError(f"{record} names other images than {count} of {total}; give --resample to choose anew")
    return indices


class CalibrationSet:
    """Augmented views of the chosen images.

    View v of image i depends on (seed, v, i) alone and is made when it is needed; the logits of all views are computed
    once. The batch of a training step depends on (seed, step) alone, so an interrupted run can go on anywhere.

    ``mixed`` more views are mixtures s a + (1 - s) b of a view a of the image and one b of another image, s uniform
    in [1/2, 1] (mixup, arXiv:1710.09412, without labels: the float network says what it sees in them). They show many
    more inputs than the images alone.

    Args:
        images: unlabelled images; labels that they have are not read.
        preprocessing: preprocessing of the network.
        views: number of augmented views of each image.
        seed: seed of views and batches.
        mixed: number of views, besides, that are mixtures of two images.
    """

    def __init__(self, images: ImageSource, preprocessing: Preprocessing, views: int, seed: int, mixed: int = 0):
        images.check(preprocessing)
        self.images, self.preprocessing, self.seed = images, preprocessing, seed
        self.views, self.mixed = views, mixed
        self.logits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def view(self, indices: np.ndarray, view: int) -> np.ndarray:
        """One view of the images of these numbers, float32 (B, 3, S, S)."""
        images = self._augmented(indices, view)
        if view < self.views:
            return images
        generator = np.random.default_rng((self.seed, len(self), view))
        partners, shares = generator.permutation(len(self)), generator.uniform(0.5, 1, len(self)).astype(np.float32)
        share = shares[indices, None, None, None]
        return share * images + (1 - share) * self._augmented(partners[indices], view)

    def _augmented(self, indices: np.ndarray, view: int) -> np.ndarray:
        return self.images.train_batch(indices, self.preprocessing, self.seed, view)

    def compute_teacher_logits(self, network: nn.Cell) -> None:
        """Compute the logits (views + mixed, N, K) of the float network, in evaluation: what matching goes towards."""
        network.set_train(False)
        size, views = min(_CHUNK, len(self)), self.views + self.mixed
        rows = []
        with Progress(views * len(self), "views", label="float network") as progress:
            for view in range(views):
                for indices, valid in _chunks(len(self), size):
                    rows.append(network(Tensor(self.view(indices, view))).asnumpy()[:valid])
                    progress.update(valid)
        self.logits = np.concatenate(rows).reshape(views, len(self), -1)

    def batch(self, step: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Images (B, 3, S, S) and logits (B, K) of a training step; B = ``size``, or all images if they are fewer."""
        generator = np.random.default_rng((self.seed, step))
        indices = generator.permutation(len(self))[:size]
        views = generator.integers(0, self.views + self.mixed, len(indices))
        first = self.view(indices[:1], int(views[0]))
        images = np.empty((len(indices), *first.shape[1:]), np.float32)
        for view in np.unique(views):
            chosen = np.flatnonzero(views == view)
            images[chosen] = self.view(indices[chosen], int(view))
        return images, self.logits[views, indices]

    def passes(self, views: int, size: int | None = None, count: int | None = None) -> Iterator[np.ndarray]:
        """All images, or the first ``count``, in some views, in batches of about ``size``: those of this process.

        The batches are those of one process, as BatchNorm may normalise by each; more processes than batches idle.
        Without a size they are of 250 images, of ImageNet's of 32.
        """
        share = (_SIDE / max(_SIDE, self.preprocessing.image_size)) ** 2
        size = size or max(_LEAST_PASS, round(_PASS * share))
        count = min(count or len(self), len(self))
        parts = np.array_split(np.arange(count), max(1, round(count / size)))
        for view, indices in distributed.share(itertools.product(range(views), parts)):
            yield self.view(indices, view)


def _chunks(count: int, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Numbers 0 ... count - 1 in chunks of one size, the last one filled by repeats; with how many are no repeats."""
    for start in range(0, count, size):
        numbers = np.arange(start, start + size)
        yield np.minimum(numbers, count - 1), min(size, count - start)
