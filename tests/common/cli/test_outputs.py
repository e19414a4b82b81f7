"""Outputs that cannot be written are one line before the work, with exit status 2."""

import os
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
from script_runs import refused

from AdderQuant import eval as adder_eval
from AdderQuant import train as adder_train
from common.cli.outputs import check_outputs
from common.errors import ConfigError
from DAMBQ import eval as dambq_eval
from DAMBQ import train as dambq_train
from DynamicQuant import eval as dynamic_eval
from DynamicQuant import train as dynamic_train
from LDNQ import eval as ldnq_eval
from LDNQ import export as ldnq_export
from LDNQ import main as ldnq_main
from LDNQ import train as ldnq_train
from ProQHA import correlation, measure, search
from ProQHA import eval as proqha_eval
from ProQHA import train as proqha_train

EVALUATE = [adder_eval, dambq_eval, dynamic_eval, ldnq_eval, proqha_eval, ldnq_export, ldnq_main, correlation, measure]
FILL = [adder_train, dambq_train, dynamic_train, ldnq_train, proqha_train, search, ldnq_main]
CANNOT = ["/etc/passwd", "/proc/x", "/dev/null", "/etc/passwd/below", "/dev/full/x"]


def name(script):
    return script.__name__


@pytest.fixture(autouse=True)
def _no_work(monkeypatch):
    """The device is not even set up."""
    monkeypatch.setattr("common.cli.run_options.DeviceOptions.set_up", None)


@pytest.mark.parametrize("path", CANNOT)
@pytest.mark.parametrize("script", FILL, ids=name)
def test_folders(capsys, script, path):
    line = refused(capsys, script, "--output_dir", path)
    assert "output_dir: cannot write" in line and path in line


@pytest.mark.parametrize("path", [*CANNOT[1:], "/dev/full", "/tmp", "."])
@pytest.mark.parametrize("script", EVALUATE, ids=name)
def test_files(capsys, script, path):
    line = refused(capsys, script, "--json", path)
    assert "json: " in line and path in line


@pytest.mark.parametrize(("script", "option"), [(adder_eval, "save_checkpoint"), (ldnq_export, "output")])
@pytest.mark.parametrize("path", ["/proc/x.onnx", "/etc/passwd/x.onnx", "/tmp", "/dev/full"])
def test_other_files(capsys, script, option, path):
    assert f"{option}: " in refused(capsys, script, f"--{option}", path)


def test_what_can_be_written_is_made_and_left_empty(tmp_path):
    args = Namespace(output_dir=tmp_path / "a" / "b", json=tmp_path / "c" / "x.json", output=None)
    check_outputs(args, folders=True)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["a", "a/b", "c"]


def test_a_script_that_fills_no_folder_makes_none(tmp_path):
    check_outputs(Namespace(output_dir=tmp_path / "a"), folders=False)
    assert not list(tmp_path.iterdir())


def test_an_earlier_file_stays_as_it_is(tmp_path):
    (tmp_path / "x.json").write_text("old")
    check_outputs(Namespace(json=tmp_path / "x.json"), folders=False)
    assert (tmp_path / "x.json").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_loop_of_links(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for args in (Namespace(output_dir=tmp_path / "a"), Namespace(json=tmp_path / "a" / "x.json")):
        with pytest.raises(ConfigError, match="cannot write"):
            check_outputs(args, folders=True)


@pytest.mark.parametrize(("total", "free", "refuses"), [(10**9, 5000, True), (10**9, 10**8, False), (0, 0, False)])
def test_room(tmp_path, monkeypatch, total, free, refuses):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(total, total - free, free))
    for args in (Namespace(output_dir=tmp_path), Namespace(json=tmp_path / "x.json")):
        if refuses:
            with pytest.raises(ConfigError, match="5,000 bytes are free, expected at least 1,048,576"):
                check_outputs(args, folders=True)
        else:
            check_outputs(args, folders=True)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_no_right_to_write(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="Permission denied"):
        check_outputs(Namespace(output_dir=Path(tmp_path, "a")), folders=True)
    tmp_path.chmod(0o700)
