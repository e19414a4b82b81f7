"""Small intact files of every format, made without PyTorch."""

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
from PIL import Image

from common import checkpoint

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_HOOKS = b"ccollections\nOrderedDict\n)R"


def tensors() -> dict[str, np.ndarray]:
    """A few small ones of different types."""
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.standard_normal((2, 3, 3, 3)).astype(np.float32),
        "half": rng.standard_normal(5).astype(np.float16),
        "steps": np.array(7, np.int64),
        "flags": np.array([True, False]),
    }


def sealed(folder: Path, suffix: str) -> bytes:
    """A file of this project, with packed codes and metadata."""
    path = folder / f"seed{suffix}"
    codes = {"codes": np.arange(8, dtype=np.uint8)}
    metadata = {"method": "X", "kind": "float", "settings": {"bits": [3, 4], "a": None}, "num_classes": 10}
    checkpoint.save(path, {**tensors(), **codes}, metadata, packed={"codes": 3})
    return path.read_bytes()


def foreign_ckpt(folder: Path, crc: bool) -> bytes:
    """What MindSpore writes."""
    import mindspore

    path = folder / "seed_foreign.ckpt"
    values = [{"name": name, "data": mindspore.Tensor(array)} for name, array in tensors().items()]
    mindspore.save_checkpoint(values, str(path), append_dict={"epoch": 3, "note": "text"}, crc_check=crc)
    path.chmod(0o600)
    return path.read_bytes()


def foreign_safetensors() -> bytes:
    """What a safetensors writer writes."""
    from safetensors.numpy import save

    return save(tensors(), metadata={"author": "someone"})


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def _tensor(key: int, array: np.ndarray) -> bytes:
    kind = {"f": "FloatStorage", "i": "LongStorage"}[array.dtype.kind]
    storage = b"(" + _text("storage") + f"ctorch\n{kind}\n".encode() + _text(str(key)) + _text("cpu")
    storage += b"J" + struct.pack("<i", array.size) + b"tQ"
    strides = tuple(step // array.itemsize for step in array.strides)
    arguments = storage + b"K\0" + _integers(array.shape) + _integers(strides) + b"\x89" + _HOOKS
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def state_pickle() -> tuple[bytes, list[np.ndarray]]:
    """A training script's checkpoint: the pickle, and the arrays of its storages."""
    arrays = {"module.conv.weight": tensors()["conv.weight"], "module.bn.running_mean": np.ones(2, np.float32)}
    arrays |= {"module.bn.num_batches_tracked": np.array(7, np.int64)}
    state = b"".join(_text(name) + _tensor(key, array) for key, (name, array) in enumerate(arrays.items()))
    counter = pickle.dumps({"milestones": OrderedDict([(100, 1)]), "lr": 0.1, "names": ["a", ("b", None)]}, 2)[2:-1]
    namespace = b"cargparse\nNamespace\n)\x81}(" + _text("lr") + b"G" + struct.pack(">d", 0.1) + b"ub"
    body = _text("state_dict") + _HOOKS + b"(" + state + b"u" + _text("sched") + counter + _text("args") + namespace
    return b"\x80\x02}q\0(" + body + b"u.", list(arrays.values())


def pth_zip(body: bytes | None = None) -> bytes:
    """The newer container of PyTorch, around a pickle."""
    intact, arrays = state_pickle()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net/data.pkl", intact if body is None else body)
        archive.writestr("net/byteorder", "little")
        for key, array in enumerate(arrays):
            archive.writestr(f"net/data/{key}", array.tobytes())
    return buffer.getvalue()


def pth_legacy() -> bytes:
    """The older container of PyTorch."""
    body, arrays = state_pickle()
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": True}))
    keys = pickle.dumps([str(key) for key in range(len(arrays))], 2)
    return head + body + keys + b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays)


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 3072), np.uint8)


def cifar_binary(labels: int) -> bytes:
    """Two records with that many label bytes."""
    return b"".join(bytes([1] * labels) + image.tobytes() for image in _images(2))


def cifar_pickle(protocol: int, labels: str) -> bytes:
    """Two images as the Python release has them."""
    values = {b"batch_label": b"x", labels.encode(): [3, 7], b"data": _images(2), b"filenames": [b"a.png", b"b.png"]}
    if labels != "labels":
        values[b"coarse_labels"] = [1, 2]
    return pickle.dumps(values, protocol)


def image(form: str, mode: str) -> bytes:
    """A picture of 32 x 32 pixels."""
    picture = Image.fromarray(_images(1).reshape(32, 32, 3)).convert(mode)
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()


def chosen_images() -> bytes:
    """The record of LDNQ's calibration images."""
    return json.dumps({"of": 360, "seed": 1, "indices": [3, 1, 2, 359]}).encode()
