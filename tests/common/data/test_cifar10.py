import numpy as np
import pytest
from cifar10_checks import assert_holds

from common.data import cifar10
from common.errors import ConfigError, DataError


class TestBinary:
    @pytest.fixture
    def official(self, tmp_path, random_images, write_binary):
        """Both official folders with files of different lengths, and what each split must give."""
        counts = [3, 1, 7, 2, 5]
        parts = [random_images(n, seed) for seed, n in enumerate(counts)]
        for number, part in enumerate(parts, 1):
            write_binary(tmp_path / "cifar-10-batches-bin" / f"data_batch_{number}.bin", *part)
        test = random_images(4, 99)
        write_binary(tmp_path / "cifar-10-verify-bin" / "test_batch.bin", *test)
        return tmp_path, {"train": tuple(map(np.concatenate, zip(*parts))), "test": test}

    @pytest.mark.parametrize("split", ["train", "test"])
    def test_both_official_folders(self, official, split):
        root, expected = official
        assert_holds(cifar10.load(root, split), *expected[split])

    @pytest.mark.parametrize(("split", "leaf"), [("train", "cifar-10-batches-bin"), ("test", "cifar-10-verify-bin")])
    def test_leaf_folder(self, official, split, leaf):
        root, expected = official
        assert_holds(cifar10.load(str(root / leaf), split), *expected[split])

    @pytest.mark.parametrize("leaf", ["cifar-10-batches-bin", "."])
    def test_original_release_keeps_all_files_in_one_folder(self, official, leaf):
        root, expected = official
        folder = root / "cifar-10-batches-bin"
        (root / "cifar-10-verify-bin" / "test_batch.bin").rename(folder / "test_batch.bin")
        (folder / "batches.meta.txt").write_text("airplane\n")
        (folder / "data_batch_1 (copy).bin").write_bytes(b"x")
        for split in ("train", "test"):
            assert_holds(cifar10.load(root / leaf, split), *expected[split])

    def test_files_are_read_in_the_order_of_their_numbers(self, tmp_path, random_images, write_binary):
        images, labels = random_images(11)
        for i in range(11):
            write_binary(tmp_path / f"data_batch_{i + 1}.bin", images[i : i + 1], labels[i : i + 1])
        assert_holds(cifar10.load(tmp_path, "train"), images, labels)

    def test_gap_in_the_numbers_is_a_missing_file(self, official):
        folder = official[0] / "cifar-10-batches-bin"
        (folder / "data_batch_3.bin").unlink()
        with pytest.raises(DataError, match=r"data_batch_3\.bin"):
            cifar10.load(folder, "train")

    @pytest.mark.parametrize(("split", "leaf"), [("test", "cifar-10-batches-bin"), ("train", "cifar-10-verify-bin")])
    def test_leaf_of_the_other_split(self, official, split, leaf):
        with pytest.raises(DataError, match=rf"{leaf}: no CIFAR-10 {split} images: expected .*found (data|test)_batch"):
            cifar10.load(official[0] / leaf, split)

    @pytest.mark.parametrize("length", [1, 3072, 3074, 2 * 3073 - 1, 10 * 3074])
    def test_length_no_multiple_of_3073(self, tmp_path, length):
        (tmp_path / "test_batch.bin").write_bytes(bytes(length))
        with pytest.raises(DataError, match=rf"test_batch\.bin: expected a multiple of 3073 bytes, found {length}"):
            cifar10.load(tmp_path, "test")

    @pytest.mark.parametrize("label", [10, 255])
    def test_label_over_nine(self, tmp_path, random_images, write_binary, label):
        images, labels = random_images(4)
        labels[2] = label
        write_binary(tmp_path / "test_batch.bin", images, labels)
        with pytest.raises(DataError, match=rf"test_batch\.bin: image 2 has label {label}, expected 0 to 9"):
            cifar10.load(tmp_path, "test")

    def test_empty_file(self, tmp_path):
        (tmp_path / "data_batch_1.bin").touch()
        with pytest.raises(DataError, match=r"data_batch_1\.bin: expected at least one image"):
            cifar10.load(tmp_path, "train")

    @pytest.mark.parametrize("name", ["test_batch.bin", "test_batch"])
    @pytest.mark.parametrize("kind", ["folder", "broken link", "device"])
    def test_no_regular_file(self, tmp_path, name, kind):
        file = tmp_path / name
        if kind == "folder":
            file.mkdir()
        else:
            file.symlink_to("/dev/zero" if kind == "device" else tmp_path / "gone")
        with pytest.raises(DataError, match=f"{name}: expected a file"):
            cifar10.load(tmp_path, "test")


class TestClassFolders:
    @pytest.fixture
    def balanced(self, random_images):
        return random_images(20)[0], np.sort(np.arange(20, dtype=np.int32) % 10)

    @pytest.mark.parametrize("names", [None, [f"c{i}" for i in range(10)]])
    def test_train_and_test_folders(self, tmp_path, balanced, write_class_folders, names):
        images, labels = balanced
        options = {} if names is None else {"names": names}
        write_class_folders(tmp_path / "train", images, labels, **options)
        write_class_folders(tmp_path / "test", images[::-1][:10], labels[::2], **options)
        assert_holds(cifar10.load(tmp_path, "train"), images, labels)
        assert_holds(cifar10.load(tmp_path, "test"), images[::-1][:10], labels[::2])
        assert_holds(cifar10.load(tmp_path / "test", "test"), images[::-1][:10], labels[::2])

    def test_leaf_serves_either_split(self, tmp_path, balanced, write_class_folders):
        root = write_class_folders(tmp_path, *balanced)
        (root / "notes.txt").write_text("not an image")
        (root / ".cache").mkdir()
        for split in ("train", "test"):
            assert_holds(cifar10.load(root, split), *balanced)

    def test_other_split_is_not_taken(self, tmp_path, balanced, write_class_folders):
        write_class_folders(tmp_path / "train", *balanced)
        with pytest.raises(DataError, match="no CIFAR-10 test images"):
            cifar10.load(tmp_path, "test")

    def test_any_number_of_classes(self, tmp_path, balanced, write_class_folders):
        images, labels = balanced
        write_class_folders(tmp_path, images[labels > 6], labels[labels > 6])
        source = cifar10.load(tmp_path, "test")
        assert (source.num_classes, source.class_names) == (3, ("horse", "ship", "truck"))
        assert source.labels.tolist() == [0, 0, 1, 1, 2, 2]

    def test_empty_class(self, tmp_path, balanced, write_class_folders):
        images, labels = balanced
        write_class_folders(tmp_path, images[labels < 9], labels[labels < 9])
        (tmp_path / "truck").mkdir()
        with pytest.raises(DataError, match="truck: expected image files"):
            cifar10.load(tmp_path, "test")

    def test_no_class(self, tmp_path):
        (tmp_path / "train").mkdir()
        with pytest.raises(DataError, match="train: expected one folder of images for each class"):
            cifar10.load(tmp_path, "train")


@pytest.mark.parametrize("path", ["absent", "file"])
def test_no_folder(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"{path}: expected a data set folder"):
        cifar10.load(tmp_path / path, "train")


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="found nothing"):
        cifar10.load(tmp_path, "train")


@pytest.mark.parametrize("split", ["val", "", "Train"])
def test_unknown_split(tmp_path, split):
    with pytest.raises(ConfigError, match="split must be train or test"):
        cifar10.load(tmp_path, split)


@pytest.mark.parametrize(("split", "count"), [("train", 5170), ("test", 500)])
def test_real_images(shared_data, split, count):
    root = shared_data / "cifar10_lossless"
    arrays = cifar10.load(root, split)
    files = sorted(root.glob("cifar-10-batches-bin/*.bin" if split == "train" else "cifar-10-verify-bin/*.bin"))
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, 3073) for file in files])
    assert len(arrays) == len(records) == count
    assert np.array_equal(arrays.labels, records[:, 0])
    for channel in range(3):
        plane = records[:, 1 + 1024 * channel : 1 + 1024 * (channel + 1)]
        assert np.array_equal(arrays.images[..., channel].reshape(count, 1024), plane)
