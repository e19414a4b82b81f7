import time

import mindspore.dataset as ds
import numpy as np
import pytest

from common.data import CIFAR10, ImageArrays, Preprocessing, batches, eval_dataset, imagenet, train_dataset
from common.errors import ConfigError, DataError

N = 20
SMALL = Preprocessing(24, resize=24, flip=True)


@pytest.fixture
def source(random_images) -> ImageArrays:
    """Labels are the image numbers, so that a batch tells which images it holds."""
    return ImageArrays(random_images(N)[0], np.arange(N, dtype=np.int32), N)


def same(first, second) -> bool:
    return len(first) == len(second) and all(
        x.keys() == y.keys() and all(np.array_equal(x[key], y[key]) for key in x) for x, y in zip(first, second)
    )


class TestEval:
    @pytest.mark.parametrize("batch_size", [1, 7, N - 1, N, N + 1])
    @pytest.mark.parametrize("num_shards", [1, 2, 3])
    def test_each_image_is_valid_once_and_in_order(self, source, batch_size, num_shards):
        expected, seen, lengths = CIFAR10.normalize(source.images), [], []
        for shard in range(num_shards):
            dataset = eval_dataset(source, CIFAR10, batch_size, num_shards, shard)
            rows = list(batches(dataset))
            lengths.append(len(rows))
            assert dataset.get_dataset_size() == len(rows)
            for row in rows:
                assert {k: (v.dtype.name, v.shape) for k, v in row.items()} == {
                    "image": ("float32", (batch_size, 3, 32, 32)),
                    "label": ("int32", (batch_size,)),
                    "valid": ("bool", (batch_size,)),
                }
                assert np.array_equal(row["image"], expected[row["label"]])  # the filling, too, is a real image
                seen += row["label"][row["valid"]].tolist()
        assert seen == list(range(N))
        assert lengths == [-(-N // (batch_size * num_shards))] * num_shards

    def test_more_shards_than_images(self, source):
        rows = [list(batches(eval_dataset(source.head(2), CIFAR10, 3, 4, shard))) for shard in range(4)]
        assert [len(r) for r in rows] == [1] * 4
        assert [r[0]["valid"].tolist() for r in rows] == [[True, True, False]] + [[False] * 3] * 3

    def test_passes_are_equal(self, source):
        dataset = eval_dataset(source, CIFAR10, 7)
        assert same(list(batches(dataset)), list(batches(dataset)))

    def test_rows_survive_further_rows(self, source):
        rows = list(batches(eval_dataset(source, CIFAR10, 3)))
        images = np.concatenate([row["image"] for row in rows])[:N]
        assert np.array_equal(images, CIFAR10.normalize(source.images))

    def test_image_folder(self, image_tree):
        folder = imagenet.load(image_tree, "test")
        rows = list(batches(eval_dataset(folder, SMALL, 3)))
        assert [row["label"].tolist() for row in rows] == [[0, 0, 1], [1, 2, 2], [2, 2, 2]]
        assert [row["valid"].sum() for row in rows] == [3, 3, 1]
        assert np.array_equal(np.concatenate([r["image"] for r in rows])[:7], folder.eval_batch(np.arange(7), SMALL))


class TestTrain:
    @pytest.mark.parametrize("batch_size", [1, 7, N - 1, N])
    @pytest.mark.parametrize("num_shards", [1, 2, 3])
    def test_shards_divide_a_permutation(self, source, batch_size, num_shards):
        steps = N // (batch_size * num_shards)
        if not steps:
            with pytest.raises(DataError, match=f"needs {batch_size * num_shards} images, found {N}"):
                train_dataset(source, CIFAR10, batch_size, 0, 0, num_shards=num_shards)
            return
        whole = [row["label"] for row in batches(train_dataset(source, CIFAR10, batch_size * num_shards, 4, 2))]
        shards = [
            [r["label"] for r in batches(train_dataset(source, CIFAR10, batch_size, 4, 2, True, num_shards, shard))]
            for shard in range(num_shards)
        ]
        assert [len(shard) for shard in shards] == [steps] * num_shards
        assert all(np.array_equal(np.concatenate(pieces), row) for *pieces, row in zip(*shards, whole))
        labels = np.concatenate(whole)
        assert len(set(labels.tolist())) == len(labels) == steps * batch_size * num_shards

    def test_columns(self, source):
        (row,) = batches(train_dataset(source, CIFAR10, 15, 0, 0))
        assert {k: (v.dtype.name, v.shape) for k, v in row.items()} == {
            "image": ("float32", (15, 3, 32, 32)),
            "label": ("int32", (15,)),
        }

    def test_same_seed_and_epoch_give_the_same_bits(self, source):
        def run(seed, epoch):
            return list(batches(train_dataset(source, CIFAR10, 6, seed, epoch)))

        assert same(run(1, 2), run(1, 2))
        for other in (run(1, 3), run(2, 2), run(2, 1)):
            assert [r["label"].tolist() for r in other] != [r["label"].tolist() for r in run(1, 2)]
            assert not same(other, run(1, 2))

    def test_without_augmentation_images_are_as_in_evaluation(self, source):
        rows = list(batches(train_dataset(source, CIFAR10, 5, 0, 0, augment=False)))
        expected = CIFAR10.normalize(source.images)
        assert sorted(np.concatenate([row["label"] for row in rows])) == list(range(N))
        assert all(np.array_equal(row["image"], expected[row["label"]]) for row in rows)

    def test_augmentation_is_a_shifted_or_mirrored_image(self, source):
        level = Preprocessing(32, crop_padding=2, flip=True)  # pixels in [0, 1]
        padded = np.pad(source.images, ((0, 0), (2, 2), (2, 2), (0, 0))).transpose(0, 3, 1, 2)
        kinds = set()
        for row in batches(train_dataset(source, level, N, 3, 3)):
            for image, label in zip(np.rint(row["image"] * 255).astype(np.uint8), row["label"]):
                kinds.add(next(
                    (top, left, step)
                    for top in range(5)
                    for left in range(5)
                    for step in (1, -1)
                    if np.array_equal(image, padded[label, :, top : top + 32, left : left + 32][:, :, ::step])
                ))  # fmt: skip
        assert len(kinds) > 12 and {kind[2] for kind in kinds} == {1, -1}


class TestArguments:
    @pytest.mark.parametrize(
        "change",
        [
            {"batch_size": 0},
            {"batch_size": -3},
            {"num_shards": 0},
            {"num_shards": 2, "shard_id": 2},
            {"shard_id": -1},
            {"preprocessing": Preprocessing(28)},
        ],
    )
    @pytest.mark.parametrize("training", [False, True])
    def test_out_of_range(self, source, change, training):
        arguments = {"preprocessing": CIFAR10, "batch_size": 4, **change}
        with pytest.raises(ConfigError):
            if training:
                train_dataset(source, **arguments, seed=0, epoch=0)
            else:
                eval_dataset(source, **arguments)

    @pytest.mark.parametrize("change", [{"seed": -1}, {"epoch": -1}])
    def test_training_out_of_range(self, source, change):
        with pytest.raises(ConfigError, match=next(iter(change))):
            train_dataset(source, CIFAR10, 4, **{"seed": 0, "epoch": 0, **change})


class TestErrors:
    @pytest.fixture
    def damaged(self, image_tree):
        file = image_tree / "n02" / "5.JPEG"
        file.write_bytes(file.read_bytes()[:500])
        return imagenet.load(image_tree, "test")

    def test_damaged_image_ends_every_pass_at_or_before_its_batch(self, damaged):
        dataset = eval_dataset(damaged, SMALL, 1)
        for _ in range(20):
            seen = []
            with pytest.raises(DataError, match=r"n02/5\.JPEG: not a readable image"):
                seen.extend(row["label"][0] for row in batches(dataset))
            assert seen == [0, 0, 1][: len(seen)]  # batches that wait in the queue may be lost

    def test_damaged_image_in_training(self, damaged):
        with pytest.raises(DataError, match=r"n02/5\.JPEG"):
            list(batches(train_dataset(damaged, SMALL, 7, 0, 0)))

    def test_error_is_found_behind_further_operations(self, damaged):
        with pytest.raises(DataError, match=r"n02/5\.JPEG"):
            list(batches(eval_dataset(damaged, SMALL, 1).repeat(2)))

    def test_error_of_an_earlier_pass_is_forgotten(self, damaged, monkeypatch):
        dataset = eval_dataset(damaged, SMALL, 1)
        with pytest.raises(DataError):
            list(batches(dataset))
        monkeypatch.setattr(type(damaged), "eval_batch", lambda *_: 1 // 0)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            list(batches(dataset))

    def test_mistakes_of_the_code_stay_what_they_are(self, source, monkeypatch):
        def fail(*_):
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(ImageArrays, "eval_batch", fail)
        with pytest.raises(RuntimeError, match="a bug"):
            list(batches(eval_dataset(source, CIFAR10, 4)))

    def test_mistakes_of_the_consumer_stay_what_they_are(self, source):
        with pytest.raises(ZeroDivisionError):
            for row in batches(eval_dataset(source, CIFAR10, 4)):
                row["label"].sum() / 0 if len(row) == 0 else 1 // 0


class TestQueue:
    def test_order_is_kept_when_batches_take_unequal_time(self, source, monkeypatch):
        plain = ImageArrays.eval_batch

        def slow(self, indices, preprocessing):
            time.sleep(0.02 if indices[0] % 4 == 0 else 0)
            return plain(self, indices, preprocessing)

        monkeypatch.setattr(ImageArrays, "eval_batch", slow)
        rows = list(batches(eval_dataset(source, CIFAR10, 2)))
        assert np.concatenate([row["label"] for row in rows]).tolist() == list(range(N))

    def test_few_batches_wait_and_the_global_setting_is_left_alone(self, source, monkeypatch):
        made, plain, before = [], ImageArrays.eval_batch, ds.config.get_prefetch_size()

        def counted(self, indices, preprocessing):
            made.append(indices[0])
            return plain(self, indices, preprocessing)

        monkeypatch.setattr(ImageArrays, "eval_batch", counted)
        ds.config.set_prefetch_size(11)
        try:
            iterator = batches(eval_dataset(source, CIFAR10, 1))
            next(iterator)
            time.sleep(0.2)
            assert 1 < len(made) <= 6
            assert ds.config.get_prefetch_size() == 11
            iterator.close()
        finally:
            ds.config.set_prefetch_size(before)

    def test_two_passes_at_once(self, source):
        dataset = eval_dataset(source, CIFAR10, 3)
        for first, second in zip(batches(dataset), batches(dataset), strict=True):
            assert same([first], [second])
