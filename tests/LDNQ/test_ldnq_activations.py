"""Activations on grids: 8 bits and 16 bits on integers and in floats, and what 16 bits keep."""

import json

import numpy as np
import pytest
from mindspore import Tensor
from script_runs import refused, run

from common import checkpoint
from common.cli.engine import FLOAT, INTEGER, choose_engine
from common.data import batches, digits, eval_dataset
from common.errors import CheckpointError
from common.models.registry import preprocessing_of
from LDNQ import eval as script
from LDNQ import export, storage
from LDNQ.activations import with_activation_grids

SHIPPED = "LDNQ/checkpoints/ternary_resnet20_digits.ckpt"


def shipped_batches():
    stored = storage.load(SHIPPED)
    data = eval_dataset(digits.load("test"), preprocessing_of("digits", stored.metadata), 120, 1, 0)
    return stored, [batch["image"] for batch in batches(data)]


@pytest.mark.parametrize("bits", [8, 16])
def test_integers_choose_the_classes_of_the_floats(bits, pynative):
    stored, images = shipped_batches()
    float_logits = np.concatenate([stored.network.set_train(False)(Tensor(x)).asnumpy() for x in images])
    stored = with_activation_grids(stored, bits, images[:1])
    assert [name for name, layer in stored.layers.items() if not layer.grids] == ["conv1"]
    engine = choose_engine(None, stored, 32)
    if engine.name != INTEGER:
        pytest.skip(engine.about)
    found, expected = (
        np.concatenate([network(Tensor(x)).asnumpy() for x in images]) for network in (engine.network, stored.network)
    )
    assert len(found) == 360 and np.array_equal(found.argmax(1), expected.argmax(1))
    assert np.abs(found - expected).max() < 0.02 * expected.std()
    if bits == 16:
        assert np.abs(found - float_logits).max() < 1e-3 * float_logits.std()


def test_evaluations_say_bits_and_engine(tmp_path):
    results = []
    for words in ([], ["--act_bits", 8], ["--act_bits", 16, "--engine", "float"]):
        lines = run(script, "--num_samples", 30, "--act_images", 64, "--json", tmp_path / "result.json", *words)
        result = json.loads((tmp_path / "result.json").read_text())
        results.append((result["act_bits"], result["engine"], result["label"], "engine: " in "\n".join(lines)))
    assert results == [
        (32, FLOAT, "3 levels", False),
        (8, INTEGER, "3 levels, activations 8 bits", True),
        (16, FLOAT, "3 levels, activations 16 bits", True),
    ]


def test_clips_are_kept_in_files(tmp_path, capsys):
    """What is written is what was measured; the file needs no training images and no option."""
    file, results = tmp_path / "a8.ckpt", []
    for words in (["--act_bits", 8, "--act_images", 64, "--save_checkpoint", file], ["--checkpoint_path", file]):
        run(script, "--json", tmp_path / "result.json", *words)
        results.append(json.loads((tmp_path / "result.json").read_text()))
    assert all(result["engine"] == INTEGER and result["act_bits"] == 8 for result in results)
    assert results[0]["acc"] == results[1]["acc"] and results[0]["loss"] == results[1]["loss"]
    stored, before = storage.load(file), storage.load(SHIPPED)
    assert stored.metadata["settings"]["activations"] == {"bits": 8, "float_inputs": ["conv1"]}
    assert (stored.metadata["accuracy"], stored.metadata["samples"]) == (results[0]["acc"], 360)
    for name, layer in stored.layers.items():
        assert np.array_equal(layer.weights[0].codes, before.layers[name].weights[0].codes)
        assert len(layer.grids) == (name != "conv1")
    words = ["--checkpoint_path", file, "--num_samples", 10]
    assert "act_bits: expected 8, that of the file's clips, found 16" in refused(
        capsys, script, *words, "--act_bits", 16
    )
    assert run(script, *words, "--act_bits", 8)[-1] == run(script, *words)[-1]


@pytest.mark.parametrize("words", [[], ["--act_bits", 16]], ids=str)
def test_files_hold_8_bits_alone(tmp_path, capsys, words):
    line = refused(capsys, script, "--save_checkpoint", tmp_path / "out.ckpt", *words)
    assert "save_checkpoint: expected it with --act_bits 8" in line and not list(tmp_path.iterdir())


@pytest.fixture
def packed_a8(tmp_path):
    """A file with clips, and the function that writes it with other metadata or tensors."""
    stored, images = shipped_batches()
    storage.save_packed(tmp_path / "a8.ckpt", with_activation_grids(stored, 8, images[:1]))

    def changed(settings=None, **tensors):
        content = checkpoint.load(tmp_path / "a8.ckpt")
        metadata = {**content.metadata, "settings": settings or content.metadata["settings"]}
        widths = {"bits": 4, "layout": 4, "codes_2": 2}
        checkpoint.save(tmp_path / "other.ckpt", {**content.tensors, **tensors}, metadata, widths)
        return tmp_path / "other.ckpt"

    return storage.load(tmp_path / "a8.ckpt"), checkpoint.load(tmp_path / "a8.ckpt").tensors, changed


def test_the_file_gives_the_network_that_was_packed(packed_a8, pynative):
    stored, (_, images) = packed_a8[0], shipped_batches()
    calibrated = with_activation_grids(storage.load(SHIPPED), 8, images[:1])
    expected, found = (each.network.set_train(False)(Tensor(images[1])).asnumpy() for each in (calibrated, stored))
    assert np.array_equal(expected, found)


@pytest.mark.parametrize(
    ("activations", "reason"),
    [
        (None, "conv1|layer1.0.conv1: expected float inputs, found inputs on a grid"),
        ({"bits": 8, "float_inputs": []}, "conv1: expected inputs on a grid, found float inputs"),
        ({"bits": 16, "float_inputs": ["conv1"]}, "expected activations of 8 bits in a file, found 16"),
        ({"bits": 7}, "expected activations of 8 or 16 bits"),
        ({"bits": 8, "float_inputs": ["conv9"]}, "expected quantized layers of the network, found conv9"),
        ({"bits": 8, "float_inputs": [1]}, "expected activations of 8 or 16 bits and names"),
        ({"bits": 8, "float_inputs": 1}, "expected settings of a LDNQ network"),
        ({"bit": 8}, "expected settings of a LDNQ network"),
        (8, "expected settings of a LDNQ network"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_the_clips_are_refused(packed_a8, activations, reason):
    stored, _, changed = packed_a8
    settings = {name: value for name, value in stored.metadata["settings"].items() if name != "activations"}
    file = changed(settings if activations is None else {**settings, "activations": activations})
    with pytest.raises(CheckpointError, match=reason) as caught:
        storage.load(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf], ids=str)
def test_clips_that_are_none_are_refused(packed_a8, value):
    _, tensors, changed = packed_a8
    clips = tensors["clips"].copy()
    clips[3] = value
    with pytest.raises(CheckpointError, match=r"a clip of .* of an activation|not finite|NaN"):
        storage.load(changed(clips=clips))


def test_packed_clips_are_exported(packed_a8, tmp_path):
    pytest.importorskip("onnxruntime")
    file, _ = tmp_path / "a8.ckpt", packed_a8
    run(export, "--checkpoint_path", file, "--format", "onnx", "--output", tmp_path / "a8.onnx")  # compares logits
    assert (tmp_path / "a8.onnx").stat().st_size > 0


def test_float_networks_have_no_such_activations(capsys):
    words = ["--checkpoint_path", "common/zoo/files/resnet20_digits.ckpt", "--act_bits", 8]
    assert "act_bits: expected a packed network, found a float one" in refused(capsys, script, *words)
