"""ProQHA's networks in files of other formats."""

import json

import numpy as np
import pytest
from mindspore import Tensor

from common.kernels.custom import without_native
from common.models.registry import model
from common.quant.dorefa import from_int
from common.quant.layers import quant_layers
from ProQHA import export, storage
from ProQHA.quant import Settings, get_bits, quantize_network

pytestmark = pytest.mark.usefixtures("quickly")
FEW = ["--num_samples", "6", "--batch_size", "3", "--mode", "pynative"]


def exported(tmp_path, *words) -> dict:
    record = tmp_path / "out.json"
    export.main([*map(str, words), "--json", str(record), *FEW])
    return json.loads(record.read_text())


def test_the_shipped_network_as_mindir(tmp_path):
    file = tmp_path / "w4.mindir"
    found = exported(tmp_path, "--output", file)
    assert (found["samples"], found["same_top_1"], found["bytes"]) == (6, 6, file.stat().st_size)
    assert found["median_difference"] < 1e-4


def test_the_shipped_network_as_onnx_holds_its_codes(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file = tmp_path / "w4.onnx"
    found = exported(tmp_path, "--output", file, "--format", "onnx")
    assert (found["samples"], found["same_top_1"]) == (6, 6) and found["median_difference"] < 1e-4
    model, network = onnx.load(file), storage.load(storage.embedded("digits")).network
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = set()
    for (name, layer), (bits, _) in zip(quant_layers(network).items(), get_bits(network)):
        tensor, weight = constants[f"{name}.quantize_weight.integers"], layer.weight.asnumpy()
        kinds.add((bits <= 4, tensor.data_type))
        codes = onnx.numpy_helper.to_array(tensor).astype(np.uint8)
        assert np.array_equal(from_int(codes, int(bits), np.abs(weight).max()), weight)
    assert kinds == {(True, onnx.TensorProto.UINT4), (False, onnx.TensorProto.UINT8)}
    quantizers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(quantizers) == len(get_bits(network))


def test_a_network_with_latent_weights_and_signed_inputs_as_onnx(tmp_path):
    onnx_model = pytest.importorskip("common.export.onnx_model")
    with without_native():
        network = model("preact_resnet20").build(10)
        quantize_network(network, Settings(bits=5, clip=2.0, signed=("layer1.0.conv2",)))
        batch = np.random.default_rng(0).normal(0, 1, (2, 3, 32, 32)).astype(np.float32)
        expected = network.set_train(False)(Tensor(batch)).asnumpy()
        found = onnx_model.decode(onnx_model.encode(network, 32, 10), 1)(batch)
    assert np.median(np.abs(found - expected)) < 1e-3 * np.abs(expected).max()
