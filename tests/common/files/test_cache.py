"""Where the user's cache is, whatever the environment says, and which folders are trusted."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.files import cache

as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give files to others")


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A user with home and temporary folder below ``tmp_path``, no variables set."""
    for name in ("LOWBITZOO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    cache._warn_of_no_home.cache_clear()
    return tmp_path


def test_default_folders(system, monkeypatch):
    assert cache.user_cache("x") == system / "home" / ".cache" / "lowbitzoo" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.user_cache("x") == system / "home" / ".cache" / "lowbitzoo" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", str(system / "xdg"))
    assert cache.user_cache("x") == system / "xdg" / "lowbitzoo" / "x"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("~/mine", "home/mine"),
        ("~", "home"),
        ("rel", "rel"),
        ("./a/../rel", "a/../rel"),
        ("a:b", "a:b"),
        ("a b", "a b"),
    ],
)
def test_the_variable_is_expanded_and_absolute(system, monkeypatch, value, expected):
    monkeypatch.setenv("LOWBITZOO_CACHE", value)
    place = cache.user_cache("x")
    assert place == system / expected / "x" and place.is_absolute()
    assert sorted(path.name for path in system.iterdir()) == ["home", "tmp"]


def test_an_unknown_user_is_one_line(system, monkeypatch):
    monkeypatch.setenv("LOWBITZOO_CACHE", "~nosuchuser/x")
    with pytest.raises(ConfigError, match=r"LOWBITZOO_CACHE.*nosuchuser.*full path"):
        cache.user_cache("x")


@pytest.mark.parametrize("home", [None, "", "/", "/proc/nonesuch", "relative"])
def test_no_home_is_a_temporary_folder_and_one_warning(system, monkeypatch, capsys, home):
    monkeypatch.setattr(pwd, "getpwuid", lambda _: (_ for _ in ()).throw(KeyError()))
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    expected = system / "tmp" / f"lowbitzoo-{os.getuid()}" / "x"
    assert cache.user_cache("x") == cache.user_cache("x") == expected
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("warning: ") and "LOWBITZOO_CACHE" in lines[0]


def test_no_home_but_the_variable_is_no_warning(system, monkeypatch, capsys):
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("LOWBITZOO_CACHE", "mine")
    assert next(cache.cache_folders("x")).parent.name == "mine"
    assert not capsys.readouterr().err


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o703])
def test_what_everybody_may_write_is_not_trusted(tmp_path, mode):
    folder = tmp_path / "shared" / "kernels"
    folder.mkdir(parents=True)
    assert cache.distrust(folder) is None
    for place in (folder, folder.parent, tmp_path):
        place.chmod(mode)
        assert "everybody may write" in cache.distrust(folder)
        place.chmod(0o755)
    tmp_path.chmod(0o1777)
    assert cache.distrust(folder) is None and cache.distrust(tmp_path / "new" / "kernels") is None


@as_root
@pytest.mark.parametrize("which", ["folder", "parent", "file"])
def test_what_is_another_users_is_not_trusted(tmp_path, which):
    folder = tmp_path / "cache" / "kernels"
    folder.mkdir(parents=True)
    file = folder / "a.so"
    file.write_bytes(b"")
    os.chown({"folder": folder, "parent": folder.parent, "file": file}[which], 65534, 65534)
    reason = cache.file_distrust(file) if which == "file" else cache.distrust(folder)
    assert "belongs to another user (65534)" in reason


def test_links_and_open_files_are_not_trusted(tmp_path):
    file = tmp_path / "a.so"
    file.write_bytes(b"")
    assert cache.file_distrust(file) is None
    file.chmod(0o666)
    assert "everybody" in cache.file_distrust(file)
    link = tmp_path / "link.so"
    link.symlink_to(file)
    assert "no plain file" in cache.file_distrust(link)


def test_folders_are_only_named(system):
    assert len(list(cache.cache_folders("x"))) == 2
    assert not list((system / "home").iterdir()) and isinstance(cache.temporary_cache(), Path)
