"""ProQHA's networks in files of other formats."""

import json

import numpy as np
import pytest
from mindspore import Tensor

from common.data import open_split
from common.data.selection import DataSelection
from common.kernels.custom import without_native
from common.models.registry import model, preprocessing_of
from common.stored.quantized_layers import integer_layers
from ProQHA import export, storage
from ProQHA.convert import quantize_network
from ProQHA.quant_config import QuantConfig

pytestmark = pytest.mark.usefixtures("quickly")
FEW = ["--num_samples", "6", "--batch_size", "3", "--mode", "pynative"]


def exported(tmp_path, *words) -> dict:
    record = tmp_path / "out.json"
    export.main([*map(str, words), "--json", str(record), *FEW])
    return json.loads(record.read_text())


@pytest.mark.slow
def test_the_shipped_network_as_mindir(tmp_path):
    file = tmp_path / "w4.mindir"
    record = exported(tmp_path, "--output", file)
    assert (record["samples"], record["same_top_1"], record["bytes"]) == (6, 6, file.stat().st_size)
    assert record["median_difference"] < 1e-4


def test_the_shipped_network_in_the_fast_form_and_its_difference(tmp_path, capsys):
    onnx_model = pytest.importorskip("common.export.onnx_model")
    file = tmp_path / "w4.onnx"
    record = exported(tmp_path, "--output", file, "--format", "onnx", "--form", "fast")
    lines = capsys.readouterr().out.splitlines()
    assert "fast form: images, shortcuts and norms on 256 levels of their ranges, taken from 6 images" in lines
    assert lines[-1].endswith("for any number of images; opset 13, read by onnxruntime 1.6 or newer")
    stored = storage.load(storage.shipped("digits"))
    form, digits = (
        preprocessing_of("digits", stored.metadata),
        open_split(DataSelection("digits", num_samples=6), "test"),
    )
    batch = digits.eval_batch(np.arange(6), form)
    expected = stored.network.set_train(False)(Tensor(batch)).asnumpy()
    logits = onnx_model.decode(file.read_bytes(), 1)(batch)
    same, differences = (logits.argmax(1) == expected.argmax(1)).sum(), np.abs(logits - expected).max(1)
    assert (record["samples"], record["same_top_1"], record["form"]) == (6, same, "fast")
    assert record["largest_difference"] == pytest.approx(differences.max(), abs=1e-4)
    assert 1e-3 < record["median_difference"] < 0.05 * record["largest_logit"]


def test_the_shipped_network_as_onnx_holds_its_codes(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file = tmp_path / "w4.onnx"
    record = exported(tmp_path, "--output", file, "--format", "onnx")
    assert (record["samples"], record["same_top_1"]) == (6, 6) and record["median_difference"] < 1e-4
    model, stored = onnx.load(file), storage.load(storage.shipped("digits"))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = set()
    for name, layer in stored.layers.items():
        tensor, (weight,) = constants[f"{name}.quantize_weight.integers"], layer.weights
        kinds.add((weight.bits[0] <= 4, tensor.data_type))
        codes = onnx.numpy_helper.to_array(tensor).astype(np.uint8)
        assert np.array_equal(codes, weight.codes)
    assert kinds == {(True, onnx.TensorProto.UINT4), (False, onnx.TensorProto.UINT8)}
    quantizers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(quantizers) == len(stored.layers)


def test_a_network_with_latent_weights_and_signed_inputs_as_onnx(tmp_path):
    onnx_model = pytest.importorskip("common.export.onnx_model")
    with without_native():
        network = model("preact_resnet20").build(10)
        quantize_network(network, QuantConfig(bits=5, activation_clip=2.0, signed=("layer1.0.conv2",)))
        batch = np.random.default_rng(0).normal(0, 1, (2, 3, 32, 32)).astype(np.float32)
        expected = network.set_train(False)(Tensor(batch)).asnumpy()
        logits = onnx_model.decode(onnx_model.encode(network, 32, 10, integers=integer_layers(network)), 1)(batch)
    assert np.median(np.abs(logits - expected)) < 1e-3 * np.abs(expected).max()
