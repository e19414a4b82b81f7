"""Every shipped checkpoint is the registered one and gives the registered accuracy."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import update_zoo

from common import zoo
from common.zoo import registry
from common.zoo.registry import ROOT
from common.zoo.store import path_of

SHIPPED = [name for name, entry in zoo.entries().items() if entry.shipped]
ON_DIGITS = [name for name in SHIPPED if zoo.find(name).dataset == "digits"]
ON_CIFAR10 = [name for name in SHIPPED if zoo.find(name).dataset == "cifar10"]


def test_no_entry_is_stale():
    command = [sys.executable, "scripts/update_zoo.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("change", [{"size": 1}, {"sha256": "0" * 64}, {"preprocessing": None}])
def test_a_stale_entry_is_named_and_updated(monkeypatch, tmp_path, capsys, change):
    right = zoo.find("resnet20-digits")
    monkeypatch.setitem(registry.entries(), right.name, replace(right, **change))
    monkeypatch.setattr(registry, "REGISTRY", tmp_path / "registry.yaml")
    monkeypatch.setattr(update_zoo, "with_accuracy", lambda entry, _: entry)
    with pytest.raises(SystemExit) as stopped:
        update_zoo.main(["--check"])
    assert stopped.value.code == 2 and "resnet20-digits: stale" in capsys.readouterr().out
    assert not (tmp_path / "registry.yaml").exists()
    update_zoo.main([])
    found = registry.read(tmp_path / "registry.yaml")
    assert found[right.name] == right and found.keys() == zoo.entries().keys()


def measured(name, folder, *words):
    """Accuracy and N of the method's own evaluation by name."""
    entry = zoo.find(name)
    script = importlib.import_module(f"{entry.method}.eval")
    options = [*entry.expected["options"].split(), *words, "--json", str(folder / "out.json")]
    script.main(["--checkpoint_path", name, *options])
    record = json.loads((folder / "out.json").read_text())
    return {"accuracy": record["acc"], "samples": record["samples"], "options": entry.expected["options"]}


@pytest.mark.parametrize("name", ON_DIGITS)
def test_the_registered_accuracy_is_exact(name, tmp_path, capsys):
    assert measured(name, tmp_path) == zoo.find(name).expected and zoo.find(name).expected["samples"] == 360
    assert capsys.readouterr().out.strip().endswith(f"ckpt= {path_of(zoo.find(name))}")


@pytest.mark.slow
@pytest.mark.xdist_group("official")  # the images are prepared once
@pytest.mark.parametrize("name", ON_CIFAR10)
def test_the_registered_accuracy_on_cifar10_is_exact(name, official_cifar10, tmp_path):
    assert measured(name, tmp_path, "--dataset_path", str(official_cifar10)) == zoo.find(name).expected
