"""Places that are none, answers that are empty, cut off or endless, and links where a download is written."""

import os
from dataclasses import replace

import pytest
from zoo_server import CONTENT

from common.cli.commands import download as command
from common.errors import CheckpointError
from common.zoo.download import download


def refused(entry, *mirrors, **options):
    with pytest.raises(CheckpointError) as caught:
        download(entry, list(mirrors), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def unknown(entry):
    return replace(entry, sha256=None, size=None)


@pytest.mark.parametrize("mirror", ["~nosuchuser", "~nosuchuser/files", "file://[", "file://[x", "file://a]b/c"])
def test_a_mirror_that_is_no_place(entry, cache, mirror):
    assert "cannot be read" in refused(entry, mirror)


@pytest.mark.parametrize("mirror", ["http://[", "http://[x]:y", "http://a:99999999", "https://?", "http://\0"])
def test_an_address_that_cannot_be_asked(entry, cache, mirror):
    assert "no connection" in refused(entry, mirror)


@pytest.mark.parametrize("length", ["abc", "-5", "1e3", "", "0x10", "12, 13", "9" * 5000, "²", "+5"])
def test_a_length_that_is_no_number(entry, unknown, server, cache, length):
    length = length.encode().decode("latin-1")
    for asked, options in ((entry, {}), (unknown, {"allow_unverified": True})):
        server.faults = [f"length {length}"] * 3
        refused(asked, server.address, **options)
        assert not (cache / "net.ckpt").exists()


def test_an_empty_answer_is_not_taken(unknown, server, cache):
    server.content = b""
    assert "found an empty file" in refused(unknown, server.address, allow_unverified=True)
    server.faults = ["chunked"]
    assert "found an empty file" in refused(unknown, server.address, allow_unverified=True)
    assert sorted(path.name for path in cache.iterdir()) == [".net.ckpt.lock"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1234567\n", "a Git LFS pointer to 1,234,567"),
        (b'{"error": "not found"}', "a JSON text"),
    ],
)
def test_a_page_in_the_place_of_a_file_is_not_taken(unknown, server, cache, content, what):
    server.content = content
    assert f"expected a checkpoint, found {what}" in refused(unknown, server.address, allow_unverified=True)
    assert not (cache / "net.ckpt").exists()


@pytest.mark.parametrize("faults", [["die"] * 9, ["no length"], ["chunked cut"] * 9, ["length 600000"] * 9])
def test_a_cut_answer_is_not_taken(unknown, server, cache, faults):
    server.faults = faults
    refused(unknown, server.address, allow_unverified=True)
    assert not (cache / "net.ckpt").exists()


def test_whole_answers_are_taken(unknown, server, cache):
    for fault in ("chunked", ""):
        server.faults = [fault]
        path = download(unknown, [server.address], allow_unverified=True)
        assert path.read_bytes() == CONTENT
        for made in (path, path.with_name("net.ckpt.sha256")):
            made.unlink()


@pytest.mark.parametrize("fault", ["", "chunked", "endless", "length 999999999999"])
def test_bytes_are_bounded(unknown, entry, server, cache, fault):
    server.faults = [fault] * 3
    line = refused(unknown, server.address, allow_unverified=True, max_bytes=1000)
    assert "at most 1,000 bytes" in line or "Content-Length, found none" in line
    server.faults = [fault] * 3
    if fault in ("endless", "length 999999999999"):
        assert f"expected {len(CONTENT):,} bytes" in refused(entry, server.address)
    assert not (cache / "net.ckpt").exists()


def test_a_local_file_is_bounded_and_a_file(unknown, entry, cache, tmp_path):
    (tmp_path / "net.ckpt").write_bytes(CONTENT)
    assert "at most 1,000 bytes" in refused(unknown, str(tmp_path), allow_unverified=True, max_bytes=1000)
    (tmp_path / "net.ckpt").unlink()
    os.mkfifo(tmp_path / "net.ckpt")
    assert "found a folder or a device" in refused(entry, str(tmp_path))
    (tmp_path / "net.ckpt").unlink()
    (tmp_path / "net.ckpt").symlink_to("/dev/zero")
    assert "found a folder or a device" in refused(entry, f"file://{tmp_path}")


@pytest.mark.parametrize("by_web", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_part_is_not_followed(entry, server, cache, tmp_path, by_web, there):
    victim, folder = tmp_path / "victim", tmp_path / "mirror"
    folder.mkdir()
    (folder / "net.ckpt").write_bytes(CONTENT)
    if there:
        victim.write_bytes(b"precious")
    cache.mkdir(parents=True)
    (cache / ".net.ckpt.part").symlink_to(victim)
    assert download(entry, [server.address if by_web else str(folder)]).read_bytes() == CONTENT
    assert not (cache / "net.ckpt").is_symlink()
    assert victim.read_bytes() == b"precious" if there else not victim.exists()


def test_the_command_takes_the_bound(entry, unknown, server, cache, monkeypatch, capsys):
    from common.zoo import registry

    monkeypatch.setitem(registry.entries(), entry.name, unknown)
    words = [entry.name, "--allow_unverified", "--mirrors", server.address]
    with pytest.raises(CheckpointError, match="--max_bytes takes more"):
        command.run([*words, "--max_bytes", "1000"])
    command.run(words)
    assert capsys.readouterr().out.strip() == str(cache / "net.ckpt")
