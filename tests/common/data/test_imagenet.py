import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from common.data import IMAGENET, Preprocessing, imagenet
from common.data.class_list import LabelOrder
from common.data.draws import uniform
from common.errors import ConfigError, DataError

# Too large for any image here to be decoded at a half.
SMALL = Preprocessing(176, IMAGENET.mean, IMAGENET.std, resize=180, flip=True)


def labelled(root, listed=None):
    """The last two parts of each file's path, and its label."""
    source = imagenet.load(root, "test", LabelOrder(listed))
    return [("/".join(file.split("/")[-2:]), label) for file, label in zip(source.files, source.labels)]


def test_label_is_the_index_of_the_sorted_folder(image_tree):
    expected = [("n01/1.JPEG", 0), ("n01/4.JPEG", 0), ("n02/2.JPEG", 1), ("n02/5.JPEG", 1)]
    expected += [("n03/0.JPEG", 2), ("n03/3.JPEG", 2), ("n03/6.JPEG", 2)]
    assert labelled(image_tree) == expected


def test_label_is_the_line_of_the_list(image_tree, tmp_path):
    (tmp_path / "wnids.txt").write_text("n00 first\nn03 tench, Tinca tinca\nn04\nn02\r\nn01\n\n")
    labels = {file[:3]: label for file, label in labelled(image_tree, tmp_path / "wnids.txt")}
    assert labels == {"n03": 1, "n02": 3, "n01": 4}
    source = imagenet.load(image_tree, "test", LabelOrder(tmp_path / "wnids.txt"))
    assert source.num_classes == 5 and source.labels.dtype == np.int32 and len(source) == 7


def test_folder_outside_the_list(image_tree, tmp_path):
    (tmp_path / "wnids.txt").write_text("n01\nn03\n")
    with pytest.raises(DataError, match=r"n02: expected the name of a class in .*wnids\.txt"):
        labelled(image_tree, tmp_path / "wnids.txt")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"n01\n\nn02\n", b"n01\nn01\n", b"\xff\xfe\x00", None])
def test_damaged_list(image_tree, tmp_path, content):
    if content is not None:
        (tmp_path / "wnids.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"wnids\.txt: expected"):
        labelled(image_tree, tmp_path / "wnids.txt")


def test_empty_class(image_tree):
    (image_tree / "n05").mkdir()
    (image_tree / "n05" / "readme.txt").touch()
    with pytest.raises(DataError, match="n05: expected image files"):
        labelled(image_tree)


@pytest.mark.parametrize("path", ["absent", "tree/n01"])
def test_no_class_folder(image_tree, tmp_path, path):
    with pytest.raises(DataError, match=f"{path}: expected"):
        labelled(tmp_path / path)


def test_train_and_val_folders(image_tree, tmp_path):
    root = tmp_path / "imagenet"
    root.mkdir()
    image_tree.rename(root / "val")
    source = imagenet.load(root, "test")
    assert len(source) == 7 and source.num_classes == 3
    with pytest.raises(DataError, match="imagenet/train: expected a data set folder"):
        imagenet.load(root, "train")
    (root / "train" / "n01").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(root / "train" / "n01" / "a.png")
    assert len(imagenet.load(root, "train")) == 1 and len(imagenet.load(root, "test")) == 7


def test_unknown_split(image_tree):
    with pytest.raises(ConfigError, match="split"):
        imagenet.load(image_tree, "val")


def reference_view(file: str, preprocessing: Preprocessing, resampling=Image.Resampling.BILINEAR) -> np.ndarray:
    """Resize and CenterCrop of torchvision 0.20 written out, uint8 (S, S, 3)."""
    image, size, crop = Image.open(file).convert("RGB"), preprocessing.resize, preprocessing.image_size
    w, h = image.size
    if w <= h:
        image = image.resize((size, int(size * h / w)), resampling)
    else:
        image = image.resize((int(size * w / h), size), resampling)
    left, top = round((image.width - crop) / 2), round((image.height - crop) / 2)
    return np.asarray(image)[top : top + crop, left : left + crop]


@pytest.mark.parametrize("preprocessing", [IMAGENET, SMALL])
def test_eval_batch(image_tree, preprocessing):
    source = imagenet.load(image_tree, "test")
    batch = source.eval_batch(np.array([6, 0, 3, 3]), preprocessing)
    expected = np.stack([reference_view(source.files[i], preprocessing) for i in (6, 0, 3, 3)])
    assert batch.dtype == np.float32 and np.array_equal(batch, preprocessing.normalize(expected))


def test_train_batch(image_tree):
    source = imagenet.load(image_tree, "train")
    batch = source.train_batch(np.arange(7), SMALL, 11, 4)
    numbers = uniform(11, 4, np.arange(7), 41)
    for i in range(7):
        image = Image.open(source.files[i]).convert("RGB")
        for draws in numbers[i, :40].reshape(10, 4):
            area, aspect, row, column = draws
            target = image.width * image.height * (0.08 + 0.92 * area)
            ratio = math.exp(math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * aspect)
            w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
            if w <= image.width and h <= image.height:
                break
        top, left = int(row * (image.height - h + 1)), int(column * (image.width - w + 1))
        view = np.asarray(image.crop((left, top, left + w, top + h)).resize((176, 176), Image.BILINEAR))
        view = view[:, ::-1] if numbers[i, 40] < 0.5 else view
        assert np.array_equal(batch[i], SMALL.normalize(view[None])[0])


def test_train_batch_depends_only_on_seed_epoch_and_image(image_tree):
    source = imagenet.load(image_tree, "train")
    whole = source.train_batch(np.arange(7), SMALL, 1, 2)
    assert np.array_equal(source.train_batch(np.array([5, 2]), SMALL, 1, 2), whole[[5, 2]])
    assert not np.array_equal(source.train_batch(np.arange(7), SMALL, 1, 3), whole)


def test_grey_and_cmyk_images(tmp_path):
    (tmp_path / "n01").mkdir()
    for name, mode in (("0.JPEG", "L"), ("1.JPEG", "CMYK"), ("2.JPEG", "RGB")):
        Image.new("RGB", (70, 80), (120, 120, 120)).convert(mode).save(tmp_path / "n01" / name)
    batch = imagenet.load(tmp_path, "test").eval_batch(np.arange(3), SMALL)
    levels = batch * np.float32(IMAGENET.std)[:, None, None] + np.float32(IMAGENET.mean)[:, None, None]
    assert np.abs(levels * 255 - 120).max() < 2.5  # JPEG


def test_damaged_image_is_named(image_tree):
    file = image_tree / "n02" / "2.JPEG"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"n02/2\.JPEG: not a readable image"):
        imagenet.load(image_tree, "test").eval_batch(np.arange(7), SMALL)


@pytest.mark.parametrize("preprocessing", [Preprocessing(32), Preprocessing(32, resize=40, crop_padding=4)])
def test_preprocessing_must_bring_images_to_one_size(image_tree, preprocessing):
    with pytest.raises(ConfigError, match="resize"):
        imagenet.load(image_tree, "test").check(preprocessing)


def test_subsets_keep_files_and_labels_together(image_tree):
    source = imagenet.load(image_tree, "train")
    whole = dict(zip(source.files, source.labels))
    for part in (source.head(3), source.sample(5, 1)):
        assert part.num_classes == 3
        assert all(whole[file] == label for file, label in zip(part.files, part.labels, strict=True))
    assert source.head(3).files == source.files[:3]


def test_real_images(shared_data):
    folder = shared_data / "imagenet_sample"
    source = imagenet.load(folder, "test", LabelOrder(folder / "wnids.txt"))
    order = (folder / "wnids.txt").read_text().split()
    assert len(source) == 42 and source.num_classes == len(order) == 1000
    assert [order[label] for label in source.labels] == [file.split("/")[-2] for file in source.files]
    assert sorted(file.split("/")[-1] for file in source.files) == sorted(f.name for f in folder.glob("*/*.JPEG"))
    batch = source.eval_batch(np.arange(42), IMAGENET)
    expected = np.stack([reference_view(file, IMAGENET) for file in source.files])
    assert np.array_equal(batch, IMAGENET.normalize(expected))


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_interpolation(image_tree, name):
    source, preprocessing = imagenet.load(image_tree, "test"), replace(SMALL, interpolation=name)
    resampling = Image.Resampling[name.upper()]
    expected = np.stack([reference_view(file, SMALL, resampling) for file in source.files])
    assert np.array_equal(source.eval_batch(np.arange(7), preprocessing), SMALL.normalize(expected))
