"""``halve_checkpoint.py``: which tensors are rounded, and what it refuses."""

import halve_checkpoint
import numpy as np
import pytest

from common import checkpoint, zoo

ABOUT = {"method": "LDNQ", "kind": "float", "network": "resnet20"}


@pytest.fixture
def halve():
    return lambda *words: halve_checkpoint.main([str(word) for word in words])


def test_weights_of_layers_are_rounded_and_the_rest_stays(halve, tmp_path, capsys):
    rng = np.random.default_rng(0)
    tensors = {"conv.weight": rng.normal(0, 1, (8, 4, 3, 3)), "bn.gamma": rng.normal(1, 1, 8)}
    tensors = {name: values.astype(np.float32) for name, values in tensors.items()}
    checkpoint.save(tmp_path / "a.ckpt", tensors, ABOUT)
    halve(tmp_path / "a.ckpt", tmp_path / "b.ckpt")
    found = checkpoint.load(tmp_path / "b.ckpt")
    weight = found.tensors["conv.weight"]
    assert weight.dtype == np.float16 and found.metadata == ABOUT
    assert (np.abs(weight - tensors["conv.weight"]) <= np.abs(tensors["conv.weight"]) / 2048 + 3e-8).all()
    assert np.array_equal(found.tensors["bn.gamma"], tensors["bn.gamma"])
    assert "% of " in capsys.readouterr().out


@pytest.mark.parametrize("value", [7e4, np.nan])
def test_weights_beyond_half_precision_are_refused(halve, tmp_path, capsys, value):
    checkpoint.save(tmp_path / "a.ckpt", {"conv.weight": np.full((2, 2), value, np.float32)}, ABOUT)
    with pytest.raises(SystemExit) as stopped:
        halve(tmp_path / "a.ckpt", tmp_path / "b.ckpt")
    assert stopped.value.code == 2 and "conv.weight: expected weights from -65504 to 65504" in capsys.readouterr().err
    assert not (tmp_path / "b.ckpt").exists()


def test_packed_networks_are_refused(halve, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        halve(zoo.locate("ldnq-resnet20-digits-ternary"), tmp_path / "b.ckpt")
    assert stopped.value.code == 2 and "expected kind float, found packed" in capsys.readouterr().err
