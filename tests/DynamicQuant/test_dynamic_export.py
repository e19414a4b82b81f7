"""DynamicQuant's networks in files of other formats."""

import json

import numpy as np
import pytest
from dynamic_tiny import class_folders, images, random_input, static_network, stored
from mindspore import Tensor

from common.kernels.custom import without_native
from DynamicQuant import export, storage
from DynamicQuant.packing import integer_layers

pytestmark = pytest.mark.usefixtures("pynative")
FEW = ["--num_samples", "6", "--batch_size", "3", "--mode", "pynative"]


@pytest.mark.slow
def test_the_shipped_dynamic_network_as_mindir(tmp_path):
    file, record = tmp_path / "dynamic.mindir", tmp_path / "out.json"
    export.main(["--output", str(file), "--json", str(record), *FEW])
    result = json.loads(record.read_text())
    assert (result["samples"], result["same_top_1"], result["bytes"]) == (6, 6, file.stat().st_size)
    assert result["median_difference"] < 1e-4


@pytest.mark.parametrize("form, start", [("exact", "cannot be expressed exactly"), ("fast", "has no fast form")])
def test_onnx_is_refused_for_a_dynamic_network(form, start, capsys, tmp_path):
    with pytest.raises(SystemExit) as caught:
        export.main(["--output", str(tmp_path / "dynamic.onnx"), "--format", "onnx", "--form", form, *FEW])
    line = capsys.readouterr().err.splitlines()[-1]
    assert caught.value.code == 2
    assert line.startswith(f"error: {start} in ONNX: each image chooses the bits of each layer")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("quantizer", ["dorefa", "pact"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_static_network_as_onnx(bits, quantizer):
    onnx_model = pytest.importorskip("common.export.onnx_model")
    with without_native():
        network, batch = static_network(bits, quantizer).set_train(False), random_input(5)
        expected = network(Tensor(batch)).asnumpy()
        logits = onnx_model.decode(onnx_model.encode(network, 8, 4, integers=integer_layers(network)), 1)(batch)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_script_writes_a_static_network_as_onnx(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file, checkpoint = tmp_path / "static.onnx", tmp_path / "static.ckpt"
    storage.save_packed(checkpoint, stored(static_network(), static=True))
    words = ["--dataset", "cifar10", "--dataset_path", str(class_folders(tmp_path / "data", images(8)))]
    export.main(["--checkpoint_path", str(checkpoint), "--output", str(file), "--format", "onnx", *words, *FEW])
    assert {path.name for path in tmp_path.iterdir()} == {"static.onnx", "static.ckpt", "data"}
