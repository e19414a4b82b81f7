"""``python -m lowbitzoo`` and ``scripts/download_checkpoint.sh``."""

import os
import subprocess

import pytest
import yaml

from common import zoo
from common.cli import zoo as program
from common.zoo.registry import ROOT


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        program.main(list(words))
    line = capsys.readouterr().err
    assert stopped.value.code == 2 and line.startswith("error: ") and line.count("\n") == 1
    return line


def test_list_shows_every_entry(capsys):
    program.main(["list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(zoo.entries())


def test_show_is_yaml_of_all_that_is_known(capsys):
    program.main(["show", "resnet20-digits"])
    found = yaml.safe_load(capsys.readouterr().out)
    assert found["sha256"] == zoo.find("resnet20-digits").sha256 and found["path"].endswith("resnet20_digits.ckpt")


def test_download_prints_the_path(entry, server, cache, capsys):
    program.main(["download", entry.name, "resnet20-digits", "--mirrors", server.address])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(cache / "net.ckpt") and lines[1].endswith("common/zoo/files/resnet20_digits.ckpt")


def test_verify_names_what_is_wrong(entry, server, cache, capsys):
    program.main(["verify"])
    assert f"{entry.name}: not here" in capsys.readouterr().out.splitlines()
    assert "found none" in refused(capsys, "verify", entry.name)
    program.main(["download", entry.name, "--mirrors", server.address])
    program.main(["verify", entry.name])
    assert f"{entry.name}: right" in capsys.readouterr().out
    (cache / "net.ckpt").write_bytes(b"damaged")
    assert f"1 of {len(zoo.entries())} files" in refused(capsys, "verify")


@pytest.mark.parametrize("words", [[], ["show"], ["download"], ["show", "nothing"], ["list", "x"], ["fetch"]])
def test_a_mistake_is_one_line(capsys, words):
    refused(capsys, *words)


@pytest.mark.parametrize(("words", "status"), [(["resnet20-digits"], 0), (["resnet20-digit"], 2), ([], 2)])
def test_the_script_ends_as_the_program_does(tmp_path, words, status):
    command = ["bash", str(ROOT / "scripts" / "download_checkpoint.sh"), *words]
    environment = {**os.environ, "LOWBITZOO_CACHE": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    output, other = (done.stdout, done.stderr) if status == 0 else (done.stderr, done.stdout)
    assert output.count("\n") == 1 and other == ""
