"""What is fuzzed: for each format intact files, how they are damaged, and the public reader that takes them."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common import checkpoint
from common.cli.config import build_parser
from common.cli.yaml_options import read_config
from common.data import open_dataset
from common.data.source import ImageSource
from common.engine.opened import read
from common.models.registry import MODELS
from common.stored.float_network import load_float
from common.zoo import registry
from LDNQ.calibration_set import choose_images
from tests.fuzz import seeds
from tests.fuzz.mutate import PICKLE_TOKENS, TEXT_TOKENS, Random, damaged, damaged_document
from tests.fuzz.runtime_files import single_channels

ROOT = Path(__file__).resolve().parents[2]
Mutate = Callable[[bytes, Random], bytes]
Checksum = Callable[[bytes], bool]


@dataclass(frozen=True)
class Target:
    """A format to fuzz.

    Attributes:
        name: for the table.
        files: intact contents; one is taken for each mutation.
        place: name of the file in the folder that ``read`` is given.
        read: a digest of all that the reader gives for the folder; None if there is no need to compare.
        weight: share of the mutations, relative to the others.
        mutate: damages a content.
        checksum: whether a damaged content still has one, so that every change of it must be refused; None: never.
        beside: other files that the folder must hold.
    """

    name: str
    files: list[bytes]
    place: str
    read: Callable[[Path], Any]
    weight: float = 1.0
    mutate: Mutate = damaged
    checksum: Checksum | None = None
    beside: tuple[tuple[str, bytes], ...] = ()


def targets(folder: Path) -> Iterator[Target]:
    """All of them; intact files are made in the folder."""
    yield from _checkpoints(folder)
    yield from _packed(folder)
    yield from _runtime_file()
    yield from _data_sets()
    yield from _texts()


def _digest(loaded: checkpoint.Checkpoint) -> str:
    sha256 = hashlib.sha256(json.dumps(loaded.metadata, sort_keys=True).encode())
    for name, array in sorted(loaded.tensors.items()):
        sha256.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return sha256.hexdigest()


def _load(folder: Path, name: str) -> str:
    return _digest(checkpoint.load(folder / name))


def _file(
    name: str, place: str, files: list[bytes], weight: float, checksum: Checksum | None = None, mutate: Mutate = damaged
) -> Target:
    return Target(name, files, place, partial(_load, name=place), weight, mutate, checksum)


def _always(_content: bytes) -> bool:
    return True


def _has_crc(content: bytes) -> bool:
    """Not where it is cut off between two tensors: MindSpore's files need not have one."""
    return b"crc_num" in content


def _checkpoints(folder: Path) -> Iterator[Target]:
    pickles = partial(damaged, tokens=PICKLE_TOKENS)
    yield _file(".ckpt, sealed", "net.ckpt", [seeds.sealed(folder, ".ckpt")], 14, _always)
    yield _file(".ckpt of MindSpore", "net.ckpt", [seeds.foreign_ckpt(folder, False)], 8)
    yield _file(".ckpt of MindSpore, CRC", "net.ckpt", [seeds.foreign_ckpt(folder, True)], 4, _has_crc)
    yield _file(".safetensors, sealed", "net.safetensors", [seeds.sealed(folder, ".safetensors")], 10, _always)
    yield _file(".safetensors, foreign", "net.safetensors", [seeds.foreign_safetensors()], 6)
    yield _file(".pth, zip", "net.pth", [seeds.pth_zip()], 8, _always, pickles)
    yield _file(".pth, zip with a right CRC", "net.pth", [seeds.state_pickle()[0]], 10, mutate=_zipped)
    yield _file(".pth, legacy", "net.pth", [seeds.pth_legacy()], 12, mutate=pickles)


def _zipped(body: bytes, rng: Random) -> bytes:
    return seeds.pth_zip(damaged(body, rng, PICKLE_TOKENS))


def _packed(folder: Path) -> Iterator[Target]:
    from formats import FORMATS  # of the contract tests: a packed file of each method

    for case in FORMATS:
        place = "net.ckpt"
        yield _file(f"packed, {case.name}", place, [case.packed.read_bytes()], 0.6, _always)
        again = _sealed_anew(case.packed, folder)
        read = partial(_network, load=case.format.load, name=place)
        yield Target(f"packed, {case.name}, sealed anew", [b""], place, read, 0.05, again)
    path = ROOT / "common/zoo/files/resnet20_digits.ckpt"
    read = partial(_network, load=partial(load_float, architecture="resnet20"), name="net.ckpt")
    yield Target("float, sealed anew", [b""], "net.ckpt", read, 0.05, _sealed_anew(path, folder))


def _network(folder: Path, load: Callable[[Path], Any], name: str) -> None:
    load(folder / name)


def _sealed_anew(path: Path, folder: Path) -> Mutate:
    """Damage of what a checkpoint holds, under a right seal: metadata that are others, tensors that are."""
    intact = checkpoint.load(path)
    widths = {name: int(name[-1]) for name in intact.tensors if name.startswith("codes_")}
    if widths:
        widths |= {"bits": 4, "layout": 4}
    file = folder / "sealed_anew.ckpt"

    def mutate(_content: bytes, rng: Random) -> bytes:
        metadata, tensors = intact.metadata, dict(intact.tensors)
        if rng.random() < 0.7:
            metadata = damaged_document(metadata, rng)
        else:
            name = list(tensors)[int(rng.integers(len(tensors)))]
            tensors[name] = _other(tensors[name], rng)
        kept = {name: bits for name, bits in widths.items() if tensors[name].dtype == np.uint8}
        try:
            checkpoint.save(file, tensors, metadata, packed=kept)
        except checkpoint.store.CheckpointError:
            checkpoint.save(file, tensors, {"kind": "float", "num_classes": 10**9})
        return file.read_bytes()

    return mutate


def _other(array: np.ndarray, rng: Random) -> np.ndarray:
    """An array of other values, another shape or another type."""
    kind = int(rng.integers(5))
    flat = array.reshape(-1)
    if kind == 0:
        return flat[: max(1, flat.size - int(rng.integers(1, 9)))].copy()
    if kind == 1:
        return np.concatenate([flat, flat[:1]])
    if kind == 2:
        return array.astype([np.float64, np.int8, np.uint8, np.int64][int(rng.integers(4))])
    if kind == 3:
        return array[None].copy()
    changed = flat.copy()
    changed[int(rng.integers(flat.size))] = 1 if array.dtype.kind in "bui" else [np.nan, np.inf, 1e30][kind % 3]
    return changed.reshape(array.shape)


def _runtime_file() -> Iterator[Target]:
    yield Target(".lowbit", [single_channels()], "net.lowbit", _logits, 4, checksum=_always)


def _logits(folder: Path) -> bytes:
    """Of one image; what is damaged under a right checksum is tried by :mod:`tests.fuzz.runtime_files`."""
    opened = read(folder / "net.lowbit")
    return opened.run(np.ones((1, *opened.shape), np.float32), 1).tobytes()


def _data_sets() -> Iterator[Target]:
    pickles = partial(damaged, tokens=PICKLE_TOKENS)
    test, fine = partial(_images, name="cifar10"), partial(_images, name="cifar100")
    yield Target("CIFAR-10, binary", [seeds.cifar_binary(1)], "test_batch.bin", test, 4)
    yield Target("CIFAR-10, Python", _pickled("labels"), "test_batch", test, 8, pickles)
    yield Target("CIFAR-100, binary", [seeds.cifar_binary(2)], "test.bin", fine, 2)
    yield Target("CIFAR-100, Python", _pickled("fine_labels"), "test", fine, 4, pickles)
    pictures = [seeds.image("PNG", mode) for mode in ("RGB", "L", "P", "RGBA", "1")]
    pictures += [seeds.image("JPEG", "RGB"), seeds.image("JPEG", "CMYK")]
    others = tuple((f"test/{label}/a.png", pictures[0]) for label in range(10))
    yield Target("class folders", pictures, "test/3/b.png", test, 8, beside=others)
    names = b"".join(b"%d\n" % label for label in range(10))
    yield Target(
        "lists of classes", [names], "classes.txt", test, 2, partial(damaged, tokens=TEXT_TOKENS), beside=others
    )


def _pickled(labels: str) -> list[bytes]:
    return [seeds.cifar_pickle(protocol, labels) for protocol in (2, 4, 5)]


def _images(folder: Path, name: str) -> None:
    data = open_dataset(name, folder, "test")
    assert data.images.shape == (len(data.labels), 32, 32, 3) and data.images.dtype == np.uint8


def _texts() -> Iterator[Target]:
    texts = partial(damaged, tokens=TEXT_TOKENS)
    entries = registry.REGISTRY.read_bytes()
    yield Target(
        "registry.yaml", [entries[: entries.index(b"\n\n- name", 2000) + 1]], "registry.yaml", _registry, 2, texts
    )
    configs = [path.read_bytes() for path in sorted(ROOT.glob("*/config/*.yaml"))] + [b"seed: 3\nmirrors: [a, b]\n"]
    yield Target("YAML of options", configs, "run.yaml", _config, 4, texts)
    yield Target("images.json of LDNQ", [seeds.chosen_images()], "images.json", _chosen, 3, texts)


def _registry(folder: Path) -> None:
    registry.read(folder / "registry.yaml")


def _config(folder: Path) -> None:
    parser = build_parser("Fuzzed.")
    parser.add_argument("--arch", choices=list(MODELS))
    parser.add_argument("--lr", type=float)
    read_config(folder / "run.yaml", parser)


def _chosen(folder: Path) -> None:
    choose_images(_digits(), 4, 1, folder / "images.json")


@functools.cache
def _digits() -> ImageSource:
    return open_dataset("digits", None, "test")
