"""Every embedded checkpoint is the registered one and gives the registered accuracy."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from common import context, zoo
from common.zoo import registry
from common.zoo.registry import ROOT
from common.zoo.store import path_of

EMBEDDED = [name for name, entry in zoo.entries().items() if entry.embedded]

context.prepare_onednn()


def test_no_entry_is_stale():
    command = [sys.executable, "scripts/update_zoo.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def update():
    """The script that records embedded checkpoints."""
    spec = importlib.util.spec_from_file_location("update_zoo", ROOT / "scripts" / "update_zoo.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.parametrize("change", [{"size": 1}, {"sha256": "0" * 64}, {"preprocessing": None}])
def test_a_stale_entry_is_named_and_updated(update, monkeypatch, tmp_path, capsys, change):
    right = zoo.find("resnet20-digits")
    monkeypatch.setitem(registry.entries(), right.name, replace(right, **change))
    monkeypatch.setattr(registry, "REGISTRY", tmp_path / "registry.yaml")
    monkeypatch.setattr(update, "with_accuracy", lambda entry: entry)
    with pytest.raises(SystemExit) as stopped:
        update.main(["--check"])
    assert stopped.value.code == 2 and "resnet20-digits: stale" in capsys.readouterr().out
    assert not (tmp_path / "registry.yaml").exists()
    update.main([])
    found = registry.read(tmp_path / "registry.yaml")
    assert found[right.name] == right and found.keys() == zoo.entries().keys()


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_registered_accuracy_is_exact(name, tmp_path, capsys):
    entry = zoo.find(name)
    script = importlib.import_module(f"{entry.method}.eval")
    words = ["--checkpoint_path", name, *entry.expected["options"].split(), "--json", str(tmp_path / "out.json")]
    script.main(words)
    record = json.loads((tmp_path / "out.json").read_text())
    assert (record["acc"], record["samples"]) == (entry.expected["accuracy"], 360)
    assert capsys.readouterr().out.strip().endswith(f"ckpt= {path_of(entry)}")
