"""A checkpoint is known by its content: every format is read under every name, and what is none is named."""

import gzip
import io
import tarfile

import numpy as np
import pytest
from checkpoint_samples import assert_same_tensors
from torch_samples import CONTAINERS, DATA, mapping, tensor

from common.checkpoint import load, save
from common.errors import CheckpointError

NAMES = [
    "net",
    "net.bin",
    "net.ckpt",
    "net.pt",
    "net.pth",
    "net.pth.tar",
    "net.safetensors",
    "net.th",
    "net.v1.2",
    "x.onnx",
]
TENSORS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_sealed_files(tmp_path, name, suffix):
    save(tmp_path / f"made{suffix}", TENSORS, {"method": "X"})
    path = (tmp_path / f"made{suffix}").rename(tmp_path / name)
    assert_same_tensors(load(path).tensors, TENSORS)
    assert load(path).metadata == {"method": "X"}
    path.write_bytes(path.read_bytes().replace(TENSORS["w"].tobytes(), bytes(24)))
    with pytest.raises(CheckpointError, match="sha256"):
        load(path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("container", CONTAINERS)
def test_state_files_of_pytorch(tmp_path, name, container):
    (tmp_path / name).write_bytes(CONTAINERS[container](mapping(w=tensor()), {"0": DATA}))
    assert_same_tensors(load(tmp_path / name).tensors, TENSORS)


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("net.pth"))
    return stream.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1090134\n"
STRANGERS = {
    "html": (b"<!DOCTYPE html>\n<html><head>", "a web page; fetch the file itself"),
    "html in capitals": (b"\n  <HTML>", "a web page"),
    "html after a mark": (b"\xef\xbb\xbf<!doctype html>", "a web page"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "a web page"),
    "lfs": (POINTER, "a Git LFS pointer to 1,090,134 bytes; run 'git lfs pull'"),
    "lfs, cut": (POINTER[:50], "a Git LFS pointer; run"),
    "gzip": (gzip.compress(b"x"), "a gzip archive; unpack it"),
    "tar": (tar(), "a tar archive; unpack it"),
    "json": (b'{"error": "x"}', "a JSON text"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file"),
    "numpy": (b"\x93NUMPY\x01\0" + bytes(50), "a NumPy array"),
    "png": (b"\x89PNG\r\n\x1a\n", "an image"),
    "text": (b"hello", "neither of them"),
    "zeros": (bytes(100), "neither of them"),
    "zip": (b"PK\x03\x04" + bytes(50), "damaged"),
}


@pytest.mark.parametrize("name", ["net.pth", "net.ckpt", "model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_no_checkpoint_is_named(tmp_path, name, stranger):
    content, what = STRANGERS[stranger]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: .*{what}") as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "net.pth"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(CheckpointError, match="at most 2 GiB, found 1,099,511,627,776 bytes"):
        load(path)
