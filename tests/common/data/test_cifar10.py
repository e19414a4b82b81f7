import pickle
import struct

import numpy as np
import pytest

from common.data import cifar10
from common.errors import ConfigError, DataError


def assert_holds(arrays, images, labels):
    assert np.array_equal(arrays.images, images) and np.array_equal(arrays.labels, labels)
    assert arrays.images.dtype == np.uint8 and arrays.labels.dtype == np.int32 and arrays.num_classes == 10


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


class TestPythonRelease:
    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    @pytest.mark.parametrize("text_keys", [False, True])
    def test_every_binary_protocol(self, tmp_path, random_images, write_pickle, protocol, text_keys):
        train, test = random_images(600), random_images(3, 1)  # above 256 names the memo index takes four bytes
        folder = tmp_path / "cifar-10-batches-py"
        for number, part in enumerate((slice(0, 350), slice(350, 600)), 1):
            write_pickle(folder / f"data_batch_{number}", train[0][part], train[1][part], protocol, text_keys)
        write_pickle(folder / "test_batch", *test, protocol, text_keys)
        for path in (tmp_path, folder):
            assert_holds(cifar10.load(path, "train"), *train)
            assert_holds(cifar10.load(path, "test"), *test)

    def test_file_as_python_2_wrote_it(self, tmp_path, random_images):
        images, labels = random_images(300)
        raw = python_2_pickle(images.transpose(0, 3, 1, 2).tobytes(), labels.tolist())
        oracle = pickle.loads(raw, encoding="bytes")
        assert oracle[b"labels"] == labels.tolist() and oracle[b"data"].shape == (300, 3072)
        (tmp_path / "test_batch").write_bytes(raw)
        assert_holds(cifar10.load(tmp_path, "test"), images, labels)

    @pytest.mark.parametrize(
        "change",
        [
            lambda v: v.pop(b"labels"),
            lambda v: v.pop(b"data"),
            lambda v: v.update({b"labels": v[b"labels"][:-1]}),
            lambda v: v.update({b"labels": [*v[b"labels"][:-1], "3"]}),
            lambda v: v.update({b"labels": [*v[b"labels"][:-1], True]}),
            lambda v: v.update({b"labels": [*v[b"labels"][:-1], 10]}),
            lambda v: v.update({b"labels": [*v[b"labels"][:-1], -1]}),
            lambda v: v.update({b"labels": b"\0" * 5}),
            lambda v: v.update({b"data": v[b"data"].astype(np.float32)}),
            lambda v: v.update({b"data": v[b"data"].astype(np.int8)}),
            lambda v: v.update({b"data": v[b"data"][:, :-1]}),
            lambda v: v.update({b"data": v[b"data"][0]}),
            lambda v: v.update({b"data": np.asfortranarray(v[b"data"])}),
            lambda v: v.update({b"data": v[b"data"].astype(object)}),
            lambda v: v.update({b"data": v[b"data"].tobytes()}),
            lambda v: v.update({b"data": None, b"labels": []}),
            lambda v: v.update({b"data": v[b"data"][:0], b"labels": []}),
        ],
    )
    @pytest.mark.parametrize("protocol", [2, 4, 5])
    def test_wrong_content(self, tmp_path, random_images, change, protocol):
        images, labels = random_images(5)
        values = {b"data": images.reshape(5, 3072), b"labels": labels.tolist(), b"batch_label": b"", b"filenames": []}
        change(values)
        (tmp_path / "test_batch").write_bytes(pickle.dumps(values, protocol))
        with pytest.raises(DataError, match="test_batch"):
            cifar10.load(tmp_path, "test")

    @pytest.mark.parametrize("values", [[], None, 3, b"text", {}])
    def test_no_dictionary_of_arrays(self, tmp_path, values):
        (tmp_path / "test_batch").write_bytes(pickle.dumps(values, 2))
        with pytest.raises(DataError, match="test_batch: not a CIFAR-10 file"):
            cifar10.load(tmp_path, "test")


def python_2_pickle(raw: bytes, labels: list[int]) -> bytes:
    """What cPickle of Python 2.7 makes, opcode by opcode: byte strings as SHORT_BINSTRING and BINSTRING."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    short = struct.pack("<H", len(labels))
    dtype = b"cnumpy\ndtype\nq\x0dU\x02u1q\x0eK\x00K\x01\x87q\x0fRq\x10"
    dtype += b"(K\x03U\x01|q\x11NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x12b"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85q\x08U\x01bq\x09\x87q\x0aRq\x0b"
    array += b"(K\x01M" + short + b"M\x00\x0c\x86q\x0c" + dtype
    array += b"\x89T" + struct.pack("<I", len(raw)) + raw + b"q\x13tq\x14b"
    names = b"]q\x16(" + b"".join(text(b"camion_s_%06d.png" % i) for i in range(len(labels))) + b"e"
    items = text(b"batch_label") + b"q\x02" + text(b"testing batch 1 of 1") + b"q\x03"
    items += text(b"labels") + b"q\x04]q\x05(" + b"".join(b"K" + bytes([y]) for y in labels) + b"e"
    items += text(b"data") + array + text(b"filenames") + b"q\x15" + names
    return b"\x80\x02}q\x01(" + items + b"u."


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

    def test_folder_count(self, tmp_path, balanced, write_class_folders):
        images, labels = balanced
        write_class_folders(tmp_path, images[labels < 9], labels[labels < 9])
        with pytest.raises(DataError, match="expected 10 class folders, found 9: airplane"):
            cifar10.load(tmp_path, "test")

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
