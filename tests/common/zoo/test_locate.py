"""Names of checkpoints in options."""

import importlib
from pathlib import Path

import pytest

from common import checkpoint, zoo
from common.cli import config
from common.errors import CheckpointError
from common.zoo.store import path_of

PARSERS = {
    "AdderQuant.eval": ["checkpoint_path"],
    "DAMBQ.eval": ["checkpoint_path"],
    "DynamicQuant.eval": ["checkpoint_path"],
    "LDNQ.eval": ["checkpoint_path"],
    "ProQHA.eval": ["checkpoint_path"],
    "DAMBQ.train": ["pretrained", "init_from"],
    "DynamicQuant.train": ["pretrained", "init_from"],
    "LDNQ.train": ["pretrained"],
    "LDNQ.main": ["pretrained"],
    "ProQHA.train": ["resume"],
    "ProQHA.search": ["resume"],
}
NAME = "resnet20-digits"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("script", PARSERS)
def test_a_name_stands_for_its_file_in_every_script(script, tmp_path):
    parser = importlib.import_module(script).make_parser()
    for option in PARSERS[script]:
        assert getattr(config.parse(parser, [f"--{option}", NAME]), option) == path_of(zoo.find(NAME))
        (tmp_path / "a.yaml").write_text(f"{option}: {NAME}\n")
        assert getattr(config.parse(parser, ["--config", "a.yaml"]), option) == path_of(zoo.find(NAME))


@pytest.mark.parametrize("folder", [False, True])
def test_a_path_that_exists_wins(tmp_path, folder):
    (tmp_path / NAME).mkdir() if folder else (tmp_path / NAME).touch()
    assert config.parse(config.build_parser("Test"), ["--checkpoint_path", NAME]).checkpoint_path == Path(NAME)


def test_a_word_that_resembles_a_name_is_answered_with_it():
    line = r"resnet20-digit: expected a checkpoint file or a registered name, found none \(did you mean resnet20-digits"
    with pytest.raises(CheckpointError, match=line):
        config.parse(config.build_parser("Test"), ["--checkpoint_path", "resnet20-digit"])


def test_other_words_are_paths_until_they_are_opened():
    args = config.parse(config.build_parser("Test"), ["--checkpoint_path", "nothing-like-it/at all.pth"])
    with pytest.raises(CheckpointError, match="found none; check the path"):
        checkpoint.load(args.checkpoint_path)


def test_mirrors_are_an_option(entry, tmp_path, server, cache):
    parser = config.build_parser("Test")
    words = ["--checkpoint_path", entry.name, "--mirrors", "/absent", server.address]
    assert config.parse(parser, words).checkpoint_path == cache / "net.ckpt"
    (cache / "net.ckpt").unlink()
    (tmp_path / "a.yaml").write_text(f"checkpoint_path: {entry.name}\nmirrors: [{server.address}]\n")
    assert config.parse(parser, ["--config", "a.yaml"]).checkpoint_path == cache / "net.ckpt"


def test_a_verified_file_needs_neither_network_nor_a_writable_cache(entry, server, cache):
    zoo.locate(entry.name, [server.address])
    for path in cache.glob(".*.lock"):
        path.unlink()
    cache.chmod(0o500)
    assert zoo.locate(entry.name, ["/absent"]) == cache / "net.ckpt"
    cache.chmod(0o700)
    assert not list(cache.glob(".*.lock"))


def test_a_damaged_shipped_file_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("common.zoo.store.ROOT", tmp_path)
    with pytest.raises(CheckpointError, match="found none; restore it with git checkout"):
        zoo.locate(NAME)
    path = tmp_path / zoo.find(NAME).file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="expected sha256"):
        zoo.locate(NAME)


def test_a_cache_that_cannot_be_written_is_one_line(entry, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOWBITZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match="set LOWBITZOO_CACHE to another folder"):
        zoo.locate(entry.name)
