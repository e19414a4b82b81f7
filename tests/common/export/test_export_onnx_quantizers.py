"""Quantized weights and activations in ONNX: the float32 values of the network, bit for bit."""

import numpy as np
import pytest
from export_tiny import UNITS, Flat, images
from mindspore import Parameter, Tensor, nn

from common.kernels.custom import without_native
from common.quant.dorefa import DoReFaWeight, dorefa
from common.quant.frozen_weight import FrozenWeight
from common.quant.integer_weight import IntegerLayer, IntegerWeight, one
from common.quant.layers import QuantDense
from common.quant.packing import packed_size
from common.quant.pact import PACTActivation, pact
from common.runtime.context import execution_mode
from LDNQ.levels import TABLES, code_bits

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
onnx_model = pytest.importorskip("common.export.onnx_model")


@pytest.fixture(autouse=True)
def portable():
    with execution_mode("pynative"), without_native():
        yield


def codes_of(content: bytes):
    """The one constant of a model that holds codes."""
    constants = onnx.load_model_from_string(content).graph.initializer
    return next(tensor for tensor in constants if "integers" in tensor.name)


def frozen_layer(weight: IntegerWeight, **options) -> QuantDense:
    """A linear layer whose weights are on their levels."""
    layer = QuantDense(nn.Dense(*reversed(weight.codes.shape), **options), FrozenWeight(), None)
    layer.weight.set_data(Tensor(weight.dequantize()))
    return layer


@pytest.mark.parametrize("count, kind, bits", [(3, "INT4", 4), (7, "INT4", 4), (9, "INT8", 8), (11, "INT8", 8)])
@pytest.mark.parametrize("scales", [1, 10])
def test_whole_numbers_times_a_scale(count, kind, bits, scales):
    rng = np.random.default_rng(count)
    codes = rng.integers(0, count, (10, 27)).astype(np.uint8)
    codes[0, :2] = 0, count - 1
    width, scale = one(code_bits(count), np.uint8), rng.uniform(0.01, 0.2, scales).astype(np.float32)
    weight = IntegerWeight(codes, width, scale, TABLES[count])
    layer = frozen_layer(weight, has_bias=True)
    content = onnx_model.encode(Flat(layer), 3, 10, integers={"layer": IntegerLayer((weight,))})
    expected = weight.dequantize().T + layer.bias.asnumpy()
    assert np.array_equal(onnx_model.decode(content, 1)(UNITS), expected)
    constant = codes_of(content)
    assert constant.data_type == getattr(onnx.TensorProto, kind) and len(constant.raw_data) == packed_size(270, bits)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("frozen", [False, True])
def test_weights_of_dorefa(bits, frozen):
    latent = np.random.default_rng(bits).normal(0, 0.4, (10, 27)).astype(np.float32)
    quantizer = DoReFaWeight(bits)
    quantizer.scale.set_data(Tensor(np.float32([0.37])))
    weight = quantizer.to_int(latent)
    layer = frozen_layer(weight, has_bias=False)
    if not frozen:
        layer = QuantDense(nn.Dense(27, 10, has_bias=False), quantizer, None)
        layer.weight.set_data(Tensor(latent))
    content = onnx_model.encode(Flat(layer), 3, 10, integers={"layer": IntegerLayer((weight,))})
    assert np.array_equal(onnx_model.decode(content, 1)(UNITS), np.float32(0.37) * dorefa(latent, bits).T)
    codes, kind, width = codes_of(content), "UINT4" if bits <= 4 else "UINT8", 4 if bits <= 4 else 8
    assert codes.data_type == getattr(onnx.TensorProto, kind) and len(codes.raw_data) == packed_size(270, width)


class Quantizer(nn.Cell):
    """A quantizer of images, flat as the logits of a network are."""

    def __init__(self, quantize: nn.Cell):
        super().__init__()
        self.quantize = quantize

    def construct(self, x):
        return self.quantize(x).reshape(x.shape[0], -1)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("clip", [1.0, 2.7182817, 0.013, 1e-9])
def test_inputs_of_pact_also_beside_every_threshold(bits, signed, clip):
    network = Quantizer(PACTActivation(bits, clip, signed))
    settled, steps = max(clip, 1e-3), 2**bits - 1
    thresholds = settled * (np.arange(-1, steps + 1) + 0.5) / steps
    near = np.float32(2 * thresholds - settled if signed else thresholds)
    values = [near]
    for _ in range(6):  # the float32 numbers around the middle of two levels, where a last bit decides
        values = [np.nextafter(values[0], np.float32(-9)), *values, np.nextafter(values[-1], np.float32(9))]
    values = np.concatenate([*values, 1.3 * settled * images(20, 8).ravel(), [0, -0.0, settled, 3e38]])
    batch = np.resize(values, (-(-values.size // 192), 3, 8, 8)).astype(np.float32)
    outputs = onnx_model.decode(onnx_model.encode(network, 8, 192), 1)(batch)
    assert np.array_equal(outputs, network(Tensor(batch)).asnumpy())
    assert np.array_equal(outputs, pact(batch, bits, clip, signed).reshape(outputs.shape))
    assert len(np.unique(outputs)) == steps + 1


def test_a_parameter_can_be_a_weight_without_quantizer():
    layer = QuantDense(nn.Dense(27, 4), None, PACTActivation(8, 1.0))
    layer.weight = Parameter(Tensor(np.random.default_rng(0).normal(0, 1, (4, 27)).astype(np.float32)))
    network, batch = Flat(layer), np.abs(images(2, 3))
    outputs = onnx_model.decode(onnx_model.encode(network, 3, 4), 1)(batch)
    np.testing.assert_allclose(outputs, network(Tensor(batch)).asnumpy(), atol=1e-5)
