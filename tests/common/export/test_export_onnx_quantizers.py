"""Quantized weights and activations in ONNX: the float32 values of the network, bit for bit."""

from types import SimpleNamespace

import numpy as np
import pytest
from export_tiny import UNITS, Flat, images
from mindspore import Parameter, Tensor, nn

from common.errors import QuantizationError
from common.kernels.custom import without_native
from common.quant.dorefa import DoReFaWeight, FixedWeight, dorefa, from_int
from common.quant.layers import QuantDense
from common.quant.packing import packed_size
from common.quant.pact import PACTInput, pact
from common.runtime.context import execution_mode

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


@pytest.mark.parametrize("largest, kind, bits", [(1, "INT4", 4), (4, "INT4", 4), (8, "INT8", 8), (16, "INT8", 8)])
@pytest.mark.parametrize("scales", [1, 10])
def test_whole_numbers_times_a_scale(largest, kind, bits, scales):
    rng = np.random.default_rng(largest)
    weight = rng.choice([-largest, -1, 0, 1, largest], (10, 27)).astype(np.float64)
    bias = np.array([-largest, largest, *[0] * 8], np.float64)
    weight[0, :2] = -largest, largest
    scale = rng.uniform(0.01, 0.2, scales).astype(np.float32)
    network, layer = Flat(nn.Dense(27, 10)), SimpleNamespace(weight=weight, bias=bias, scale=scale)
    content = onnx_model.encode(network, 3, 10, integers={"layer": layer})
    expected = (scale.reshape(-1, 1) * weight.astype(np.float32)).T + scale * bias.astype(np.float32)
    assert np.array_equal(onnx_model.decode(content, 1)(UNITS), expected)
    codes = codes_of(content)
    assert codes.data_type == getattr(onnx.TensorProto, kind) and len(codes.raw_data) == packed_size(270, bits)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("frozen", [False, True])
def test_weights_of_dorefa(bits, frozen):
    latent = np.random.default_rng(bits).normal(0, 0.4, (10, 27)).astype(np.float32)
    gain = np.float32(0.37)
    values = gain * dorefa(latent, bits)
    quantizer = FixedWeight(bits) if frozen else DoReFaWeight(bits)
    layer = QuantDense(nn.Dense(27, 10, has_bias=False), quantizer, None)
    layer.weight.set_data(Tensor(values if frozen else latent))
    if not frozen:
        quantizer.gain.set_data(Tensor(gain.reshape(1)))
    content = onnx_model.encode(Flat(layer), 3, 10)
    assert np.array_equal(onnx_model.decode(content, 1)(UNITS), values.T)
    codes, kind, width = codes_of(content), "UINT4" if bits <= 4 else "UINT8", 4 if bits <= 4 else 8
    assert codes.data_type == getattr(onnx.TensorProto, kind) and len(codes.raw_data) == packed_size(270, width)


@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_of_weights_on_their_levels(bits):
    latent = np.random.default_rng(bits).normal(0, 1, (6, 5, 3, 3)).astype(np.float32)
    codes, _, gain = DoReFaWeight(bits).to_int(latent)
    weight = from_int(codes, bits, np.float32(1.7) * gain)
    recovered = FixedWeight(bits).to_int(weight)
    assert np.array_equal(recovered[0], codes) and recovered[1:] == (bits, np.float32(1.7) * gain)


def test_weights_beside_their_levels_are_refused():
    with pytest.raises(QuantizationError, match="expected weights on DoReFa's levels of 3 bits"):
        FixedWeight(3).to_int(np.array([1, 0.5], np.float32))


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
    network = Quantizer(PACTInput(bits, clip, signed))
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
    layer = QuantDense(nn.Dense(27, 4), None, PACTInput(8, 1.0))
    layer.weight = Parameter(Tensor(np.random.default_rng(0).normal(0, 1, (4, 27)).astype(np.float32)))
    network, batch = Flat(layer), np.abs(images(2, 3))
    outputs = onnx_model.decode(onnx_model.encode(network, 3, 4), 1)(batch)
    np.testing.assert_allclose(outputs, network(Tensor(batch)).asnumpy(), atol=1e-5)
