"""AdderNets in files of other formats."""

import json

import numpy as np
import pytest
from mindspore import Tensor

from AdderQuant import export
from AdderQuant.quant import QuantAdder2d
from common.export import mindir
from common.kernels import native_available

FEW = ["--num_samples", "4", "--batch_size", "2", "--calibration_size", "64", "--mode", "pynative"]


pytestmark = pytest.mark.usefixtures("pynative")


@pytest.mark.slow
def test_the_shipped_network_at_4_bits_as_mindir(tmp_path):
    file, record, kept = (tmp_path / name for name in ("four.mindir", "out.json", "four.ckpt"))
    words = ["--bits", "4", "--output", str(file), "--json", str(record), "--save_checkpoint", str(kept)]
    export.main([*words, *FEW])
    parity = json.loads(record.read_text())
    assert (parity["samples"], parity["same_top_1"], parity["bytes"]) == (4, 4, file.stat().st_size)
    assert parity["median_difference"] < 0.005 * parity["largest_logit"]
    assert kept.stat().st_size < file.stat().st_size


@pytest.mark.parametrize("form, start", [("exact", "cannot be expressed exactly"), ("fast", "has no fast form")])
def test_onnx_is_refused_with_the_reason_before_calibration(form, start, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("AdderQuant.prepare.calibrate", None)
    with pytest.raises(SystemExit) as caught:
        export.main(["--output", str(tmp_path / "adder.onnx"), "--format", "onnx", "--form", form, *FEW])
    line = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 2
    assert line.startswith(f"error: {start} in ONNX: ONNX has no operator that sums absolute")
    assert not list(tmp_path.iterdir())


def test_the_integers_of_a_layer_are_exact():
    """With steps that are powers of two nothing is rounded after the sums: the kernel's values, bit for bit."""
    if not native_available():
        pytest.skip("needs the C++ kernels")
    rng = np.random.default_rng(0)
    layers = [QuantAdder2d(6, 8, 3, 2, 1, groups=2, native=native) for native in (False, True)]
    codes, group = rng.integers(0, 256, (8, 6, 3, 3), np.uint8), np.arange(8, dtype=np.uint8) % 2
    for layer in layers:
        layer.codes.set_data(Tensor(codes))
        layer.group.set_data(Tensor(group))
        layer.steps.set_data(Tensor(np.array([2**-6, 2**-7], np.float32)))
    x = rng.uniform(-1, 5, (2, 6, 9, 9)).astype(np.float32)
    expected = layers[1].set_train(False)(Tensor(x)).asnumpy()
    assert np.array_equal(mindir.decode(mindir.encode(layers[0], x.shape))(x), expected)
