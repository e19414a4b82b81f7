"""Synthetic data sets in their true on-disk formats, and the real samples where they are present."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture
def shared_data(shared) -> Path:
    """Folder of the real images, beside the repository."""
    return shared / "data"


@pytest.fixture
def random_images():
    """n random images (n, 32, 32, 3) and labels 0..9."""

    def make(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        return rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 10, n).astype(np.int32)

    return make


def rows(images: np.ndarray) -> np.ndarray:
    """(N, 3072), red plane first, as both official releases store them."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), 3072)


@pytest.fixture
def write_binary():
    def write(file: Path, images: np.ndarray, labels: np.ndarray) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(bytes([y]) + x.tobytes() for x, y in zip(rows(images), labels)))
        return file

    return write


@pytest.fixture
def write_pickle():
    def write(file: Path, images: np.ndarray, labels: np.ndarray, protocol: int = 2, text_keys: bool = False) -> Path:
        values = {
            b"batch_label": b"training batch 1 of 5",
            b"labels": labels.tolist(),
            b"data": rows(images),
            b"filenames": [b"leptodactylus_%06d.png" % i for i in range(len(images))],
        }
        if text_keys:
            values = {key.decode(): value for key, value in values.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(values, protocol))
        return file

    return write


@pytest.fixture
def write_class_folders():
    """PNG files so that pixels survive; image i goes to the folder of its label under a name that sorts like i."""

    def write(root: Path, images: np.ndarray, labels: np.ndarray, names: list[str] = CLASSES) -> Path:
        for i, (image, label) in enumerate(zip(images, labels)):
            folder = root / names[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{i:04d}.png")
        return root

    return write


@pytest.fixture
def image_tree(tmp_path) -> Path:
    """Seven images of awkward sizes in three class folders."""
    rng = np.random.default_rng(5)
    sizes = [(300, 260), (257, 400), (256, 256), (90, 500), (501, 333), (40, 40), (640, 300)]
    for i, (width, height) in enumerate(sizes):
        folder = tmp_path / "tree" / ["n03", "n01", "n02"][i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{i}.JPEG", quality=90)
    return tmp_path / "tree"
