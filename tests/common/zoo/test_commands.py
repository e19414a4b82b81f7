"""``python -m lowbitzoo`` and ``scripts/download_checkpoint.sh``."""

import os
import subprocess
import sys

import pytest
import yaml

from common import zoo
from common.cli import program
from common.zoo.registry import ROOT


def run(*words, evaluation_of=None):
    program.main(list(words), evaluation_of)


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    line = capsys.readouterr().err
    assert stopped.value.code == 2 and line.startswith("error: ") and line.count("\n") == 1
    return line


def test_list_shows_every_entry(capsys):
    run("list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(zoo.entries())


def test_show_is_yaml_of_all_that_is_known(capsys):
    run("show", "resnet20-digits")
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["sha256"] == zoo.find("resnet20-digits").sha256 and shown["path"].endswith("resnet20_digits.ckpt")


def test_download_prints_the_path(entry, server, cache, capsys):
    run("download", entry.name, "resnet20-digits", "--mirrors", server.address)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(cache / "net.ckpt") and lines[1].endswith("common/zoo/files/resnet20_digits.ckpt")


def test_verify_names_what_is_wrong(entry, server, cache, capsys):
    run("verify")
    assert f"{entry.name}: not here" in capsys.readouterr().out.splitlines()
    assert "found none" in refused(capsys, "verify", entry.name)
    run("download", entry.name, "--mirrors", server.address)
    run("verify", entry.name)
    assert f"{entry.name}: right" in capsys.readouterr().out
    (cache / "net.ckpt").write_bytes(b"damaged")
    assert f"1 of {len(zoo.entries())} files" in refused(capsys, "verify")


@pytest.mark.parametrize(
    "words",
    [[], ["show"], ["download"], ["show", "nothing"], ["list", "x"], ["fetch"], ["eval"], ["eval", "--json", "x.json"]],
)
def test_a_mistake_is_one_line(capsys, words):
    refused(capsys, *words)


def test_near_commands_are_named(capsys):
    assert "did you mean verify?" in refused(capsys, "verifi")


@pytest.mark.parametrize("name", program.COMMANDS)
def test_every_command_has_help(capsys, name):
    with pytest.raises(SystemExit) as stopped:
        run(name, "--help")
        raise SystemExit(0)  # eval returns
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m lowbitzoo {name} ")


def test_help_lists_the_commands(capsys):
    run("--help")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(program.COMMANDS)


def test_eval_hands_each_checkpoint_to_its_method_recorded_options_first(capsys):
    calls = []
    run("eval", "resnet20-cifar10", "mine.ckpt", "--batch_size", "8", evaluation_of=lambda name: calls.append)
    assert calls == [
        ["--checkpoint_path", "resnet20-cifar10", "--dataset", "cifar10", "--batch_size", "8"],
        ["--checkpoint_path", "mine.ckpt", "--batch_size", "8"],
    ]
    assert "one by one" in refused(capsys, "eval", "a.ckpt", "b.ckpt", "--json=x.json")


def test_a_reader_that_stops_ends_the_program_quietly():
    line = f"set -o pipefail; {sys.executable} -um lowbitzoo show {' '.join(list(zoo.entries()) * 9)} | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 141 and done.stdout.count("\n") == 1 and done.stderr == ""


@pytest.mark.parametrize(("words", "status"), [(["resnet20-digits"], 0), (["resnet20-digit"], 2), ([], 2)])
def test_the_script_ends_as_the_program_does(tmp_path, words, status):
    command = ["bash", str(ROOT / "scripts" / "download_checkpoint.sh"), *words]
    environment = {**os.environ, "LOWBITZOO_CACHE": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    output, other = (done.stdout, done.stderr) if status == 0 else (done.stderr, done.stdout)
    assert output.count("\n") == 1 and other == ""
