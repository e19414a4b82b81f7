"""``python -m lowbitzoo data``: a small archive with its own sums, from a server on this machine."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from common.cli import program
from common.data import archives, open_dataset
from common.data.archives import Member

NAME = "cifar-10-binary.tar.gz"


def images(seed, count=20):
    rng = np.random.default_rng(seed)
    return np.c_[rng.integers(0, 10, count), rng.integers(0, 256, (count, 3072))].astype(np.uint8).tobytes()


PARTS = {f"data_batch_{i}.bin": images(i) for i in range(1, 6)} | {"test_batch.bin": images(0)}


def tar_of(parts):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in {"batches.meta.txt": b"airplane\n", **parts}.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(content.getvalue(), mtime=0)


CONTENT = tar_of(PARTS)


@pytest.fixture
def tiny(monkeypatch, server, cache):
    """A small archive under CIFAR-10's name, which the server has."""
    server.content = CONTENT
    members = {name: Member(len(data), hashlib.sha1(data).hexdigest()) for name, data in PARTS.items()}
    known = archives.ARCHIVES["cifar10"]
    made = replace(
        known,
        url=f"{server.address}/{NAME}",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        members=members,
    )
    monkeypatch.setitem(archives.ARCHIVES, "cifar10", made)
    return made


def command(*words):
    program.main(["data", *map(str, words)], lambda name: None)


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        command(*words)
    said = [line.rpartition("\r")[2] for line in capsys.readouterr().err.splitlines()]
    lines = [line for line in said if line.startswith("error: ")]
    assert stopped.value.code == 2 and len(lines) == 1, said
    return lines[0]


def check(root):
    """The folder is what ``--dataset_path`` takes, and nothing else lies there."""
    for split, count in (("train", 100), ("test", 20)):
        assert len(open_dataset("cifar10", root, split)) == count
    raw = np.frombuffer(PARTS["test_batch.bin"], np.uint8).reshape(20, 3073)
    assert open_dataset("cifar10", root, "test").labels.tolist() == raw[:, 0].tolist()
    names = {path.name for path in root.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
    assert names == set(PARTS)


def test_whole_and_only_once(tiny, server, tmp_path, capsys):
    for _ in range(2):
        command("cifar10", tmp_path / "c")
        assert capsys.readouterr().out == f"{tmp_path / 'c'}\n"
    check(tmp_path / "c")
    assert server.requests == [0]


def test_default_folder_is_in_the_cache(tiny, cache, capsys):
    command("cifar10")
    root = cache.parent / "data" / "cifar10"
    assert capsys.readouterr().out == f"{root}\n"
    check(root)


@pytest.mark.parametrize("fault", ["die", "stall"])
def test_cut_off_and_resumed(tiny, server, tmp_path, monkeypatch, fault):
    monkeypatch.setattr("common.zoo.web.STALL_SECONDS", 0.3)
    server.faults = [fault]
    command("cifar10", tmp_path / "c")
    check(tmp_path / "c")
    assert len(server.requests) == 2 and server.requests[1] > 0


def test_cut_off_for_good_is_continued_by_the_next_command(tiny, server, tmp_path, capsys):
    server.faults = ["die", 500, 500, 500]
    line = refused(capsys, "cifar10", tmp_path / "c")
    assert NAME in line and str(tmp_path / "c") in line and tiny.sha256 in line and tiny.url in line
    server.faults = []
    command("cifar10", tmp_path / "c")
    check(tmp_path / "c")
    assert server.requests[-1] > 0


def test_wrong_checksum(tiny, server, tmp_path, capsys):
    server.faults = ["corrupt"] * 4
    line = refused(capsys, "cifar10", tmp_path / "c")
    assert f"expected sha256 {tiny.sha256}, found" in line
    assert not list((tmp_path / "c").rglob("*.bin")) and not list((tmp_path / "c").glob("*.gz"))


def test_wrong_sum_of_a_member(tiny, monkeypatch, tmp_path, capsys):
    members = {**tiny.members, "test_batch.bin": Member(len(PARTS["test_batch.bin"]), "0" * 40)}
    monkeypatch.setitem(archives.ARCHIVES, "cifar10", replace(tiny, members=members))
    assert "test_batch.bin: expected sha1 0000" in refused(capsys, "cifar10", tmp_path / "c")
    assert not list((tmp_path / "c").rglob("test_batch.bin"))


def test_mirrors_in_order(tiny, server, tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    command("cifar10", tmp_path / "c", "--mirrors", tmp_path / "absent", folder)
    check(tmp_path / "c")
    assert not server.requests and (folder / NAME).exists()


def test_an_archive_in_the_folder_is_used_and_kept(tiny, server, tmp_path, capsys):
    (tmp_path / NAME).write_bytes(CONTENT)
    command("cifar10", tmp_path)
    assert not server.requests and (tmp_path / NAME).exists() and archives.missing(tiny, tmp_path) == []
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").unlink()
    (tmp_path / NAME).write_bytes(CONTENT[:-5])
    assert f"{tmp_path / NAME}: expected sha256" in refused(capsys, "cifar10", tmp_path)


def test_offline_says_where_to_put_which_file(tiny, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(archives.ARCHIVES, "cifar10", replace(tiny, url=f"http://127.0.0.1:1/{NAME}"))
    line = refused(capsys, "cifar10", tmp_path / "c")
    assert f"at {tmp_path / 'c' / NAME} by hand" in line and tiny.sha256 in line and "no connection" in line


@pytest.mark.parametrize("words", [(), ("nonesuch",), ("cifar10", "a", "b")])
def test_words_that_are_none(capsys, words):
    assert "error: " in refused(capsys, *words)


def test_a_folder_that_cannot_be_made(tiny, capsys):
    assert "cannot be written" in refused(capsys, "cifar10", "/proc/nonesuch")
