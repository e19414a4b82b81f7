"""Archives as their authors made them, and as nobody should."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace

import pytest

from common.data.archives import ARCHIVES, Archive, Member, missing, unpack
from common.errors import DataError

CONTENT = {"train.bin": b"train" * 1000, "test.bin": b"test" * 1000}
MEMBERS = {name: Member(len(data), hashlib.sha1(data).hexdigest()) for name, data in CONTENT.items()}
ARCHIVE = Archive("tiny.tar.gz", "http://nonesuch/tiny.tar.gz", 0, "", "tiny", MEMBERS)


def packed(path, entries):
    """Write an archive of (name, content or TarInfo) pairs."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in entries:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def official(path, prefix="tiny/"):
    folder = tarfile.TarInfo()
    folder.type = tarfile.DIRTYPE
    rest = [("tiny", folder), ("tiny/readme.html", b"<html>")]
    return packed(path, [*rest, *((prefix + name, data) for name, data in CONTENT.items())])


def special(kind, target):
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("prefix", ["tiny/", "./tiny/"])
def test_the_official_files_and_no_others(tmp_path, prefix):
    file, root = official(tmp_path / "a.tar.gz", prefix), tmp_path / "root"
    assert missing(ARCHIVE, root) == ["train.bin", "test.bin"]
    unpack(ARCHIVE, file, root)
    assert missing(ARCHIVE, root) == [] and files(root) == ["tiny/test.bin", "tiny/train.bin"]
    (root / "tiny" / "test.bin").write_bytes(b"x" * len(CONTENT["test.bin"]))
    assert missing(ARCHIVE, root) == ["test.bin"]
    unpack(ARCHIVE, file, root)
    assert (root / "tiny" / "test.bin").read_bytes() == CONTENT["test.bin"]


@pytest.mark.parametrize(
    "name", ["../tiny/train.bin", "/tiny/train.bin", "tiny/../train.bin", "tiny/../../train.bin", "tiny//train.bin"]
)
def test_paths_out_of_the_folder_are_not_taken(tmp_path, name):
    root = tmp_path / "a" / "b"
    with pytest.raises(DataError, match=r"expected tiny/train\.bin in it"):
        unpack(ARCHIVE, packed(tmp_path / "a.tar.gz", [(name, CONTENT["train.bin"])]), root)
    assert files(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_no_files(tmp_path, kind):
    file = packed(tmp_path / "a.tar.gz", [("tiny/train.bin", special(kind, "/etc/passwd"))])
    with pytest.raises(DataError, match="found a link or a folder"):
        unpack(ARCHIVE, file, tmp_path / "root")
    assert files(tmp_path) == ["a.tar.gz"]


def test_a_link_in_the_place_of_the_folder_is_the_users(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "tiny").symlink_to(tmp_path / "disk")
    unpack(ARCHIVE, official(tmp_path / "a.tar.gz"), tmp_path / "root")
    assert missing(ARCHIVE, tmp_path / "root") == []


@pytest.mark.parametrize("content", [b"short", b"x" * 5000, b"x" * 5001])
def test_another_content_is_refused_and_not_kept(tmp_path, content):
    file = packed(tmp_path / "a.tar.gz", [("tiny/train.bin", content)])
    with pytest.raises(DataError, match=r"tiny/train.bin: expected (a file of 5,000 bytes|sha1)"):
        unpack(ARCHIVE, file, tmp_path / "root")
    assert files(tmp_path) == ["a.tar.gz"]


def test_endless_zeros_end(tmp_path):
    file = tmp_path / "a.tar.gz"
    info = tarfile.TarInfo("junk")
    info.size = 1 << 30
    with gzip.open(file, "wb", compresslevel=1) as stream:
        stream.write(info.tobuf())
        for _ in range(64):
            stream.write(bytes(1 << 20))
    with pytest.raises(DataError, match="unpacks to more than it should hold"):
        unpack(ARCHIVE, file, tmp_path / "root")


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "tail", "no gzip"])
def test_damaged_archives_are_one_line(tmp_path, damage):
    whole = official(tmp_path / "a.tar.gz").read_bytes()
    content = {
        "cut": whole[: len(whole) // 2],
        "text": b"<!DOCTYPE html>",
        "empty": b"",
        "tail": whole[:-9] + bytes(9),
        "no gzip": gzip.decompress(whole),
    }
    (tmp_path / "a.tar.gz").write_bytes(content[damage])
    try:
        unpack(ARCHIVE, tmp_path / "a.tar.gz", tmp_path / "root")
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert damage == "tail" and missing(ARCHIVE, tmp_path / "root") == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "root").write_text("a file")
    with pytest.raises(DataError, match="cannot be read or written"):
        unpack(ARCHIVE, official(tmp_path / "a.tar.gz"), tmp_path / "root")


def test_the_table():
    for archive in ARCHIVES.values():
        assert archive.url.startswith("https://www.cs.toronto.edu/~kriz/") and archive.url.endswith(archive.file)
        assert len(archive.sha256) == 64 and sum(member.size for member in archive.members.values()) > archive.size
    assert replace(ARCHIVES["cifar10"], members={}).folder == "cifar-10-batches-bin"
    assert [len(member.sha1) for member in ARCHIVES["cifar10"].members.values()] == [40] * 6
