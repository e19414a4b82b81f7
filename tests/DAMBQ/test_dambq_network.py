"""Quantizing whole networks: what is replaced, what is kept, what is refused."""

import numpy as np
import pytest
from dambq_tiny import PREPROCESSING, USER_LAYERS, Plain, UserNet, images, random_input, seeded
from mindspore import ParameterTuple, Tensor, nn, ops

from common.checkpoint import network_state
from common.errors import ConfigError
from common.models.layers import weighted_layers
from common.models.registry import model
from common.quant.frozen_weight import FrozenWeight
from common.quant.layers import QuantConv2d, QuantDense, quant_layers
from common.runtime.context import execution_mode
from common.runtime.hooks import input_hooks
from DAMBQ.convert import calibrate_last, multi_bit_layers, quantize_network
from DAMBQ.options import ARCHITECTURES
from DAMBQ.quant import EightBitWeight, MultiBitWeight
from DAMBQ.quant_config import QuantConfig


def run(network: nn.Cell, x: np.ndarray) -> np.ndarray:
    return network.set_train(False)(Tensor(x)).asnumpy()


def test_every_layer_is_replaced_and_keeps_its_weights_and_biases():
    network = seeded(UserNet())
    before = network_state.state(network)
    assert quantize_network(network) is network
    after, layers = network_state.state(network), quant_layers(network)
    assert list(layers) == USER_LAYERS and not weighted_layers(network)
    assert list(multi_bit_layers(network)) == USER_LAYERS[1:-1]
    assert set(before) <= set(after)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    assert {name for name in before if name.endswith("bias")} >= {"stem.bias", "body.1.bias", "hidden.bias"}
    kinds = [type(layer) for layer in layers.values()]
    assert kinds == [QuantConv2d] * 4 + [QuantDense] * 2


def test_first_and_last_layer_have_eight_bits_and_the_first_input_is_float():
    layers = list(quant_layers(quantize_network(UserNet(), QuantConfig("v1-cifar", 3, 2.5))).values())
    assert isinstance(layers[0].quantize_weight, EightBitWeight) and layers[0].quantize_input is None
    assert isinstance(layers[-1].quantize_weight, EightBitWeight)
    assert set(layers[-1].quantize_input.bits.asnumpy()) == {8}
    assert not layers[-1].quantize_input.probe.requires_grad
    for layer in layers[1:-1]:
        assert isinstance(layer.quantize_weight, MultiBitWeight)
        assert set(layer.quantize_weight.bits.asnumpy()) == set(layer.quantize_input.bits.asnumpy()) == {3}
        assert layer.quantize_weight.table.clips[2] == 2.43
    assert {float(layer.quantize_input.clip.asnumpy()[0]) for layer in layers[1:]} == {2.5}
    assert [len(layer.quantize_input.bits) for layer in layers[1:]] == [8, 8, 12, 48, 10]


def test_names_of_parameters_are_distinct_and_say_their_place():
    network = quantize_network(UserNet())
    names = {name: parameter.name for name, parameter in network.parameters_and_names()}
    assert len(names) > 40 and all(name == parameter_name for name, parameter_name in names.items())
    trained = [parameter.name for parameter in network.trainable_params()]
    assert len(set(trained)) == len(trained)
    assert {"body.2.2.quantize_weight.probe", "listed.0.quantize_input.clip", "last.weight"} <= set(trained)
    assert not any(name.endswith((".bits", ".scale", ".sensitivity")) for name in trained)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_quantized_network_is_near_the_float_one(mode, bits):
    x, network = random_input(16), seeded(UserNet())
    network.stem.bias.set_data(Tensor(np.full(8, 0.5, np.float32)))
    wanted = run(network, x)
    quantize_network(network, QuantConfig(activation_clip=4.0))
    if bits == 8:  # what remains is the error of the weights
        for layer in list(quant_layers(network).values())[1:]:
            layer.quantize_input.bits.set_data(Tensor(np.full(layer.quantize_input.bits.shape, 8, np.int32)))
    error = np.square(run(network, x) - wanted).mean() / wanted.var()
    assert 1e-6 < error < 0.06


@pytest.mark.parametrize(("name", "shape"), [("stem", (2, 3, 8, 8)), ("hidden", (2, 48)), ("last", (2, 10))])
def test_a_layer_gives_its_bias_where_its_inputs_are_zero(mode, name, shape):
    layer = getattr(quantize_network(seeded(UserNet())), name)
    outputs, bias = run(layer, np.zeros(shape, np.float32)), layer.bias.asnumpy()
    assert bias.any()
    np.testing.assert_allclose(outputs, np.broadcast_to(bias.reshape(1, -1, *[1] * (outputs.ndim - 2)), outputs.shape))


@pytest.mark.parametrize("part", ["stem", "last"])
def test_weights_of_the_ends_are_off_by_half_a_step_of_eight_bits_at_most(part):
    network = seeded(Plain((3, 4)))
    weight = getattr(network, part).weight.asnumpy().copy()
    quantize_network(network)
    layer = getattr(network, part)
    quantized = layer.quantize_weight(layer.weight.value()).asnumpy()
    step = np.abs(weight).reshape(len(weight), -1).max(1) / 127
    error = np.abs(quantized - weight).reshape(len(weight), -1).max(1)
    assert np.all(error <= 0.5001 * step) and np.all(error > 0)


def test_a_network_that_has_run_before_does_not_go_on_as_it_was():
    with execution_mode("graph"):
        used, fresh, x = seeded(UserNet()), seeded(UserNet()), random_input()
        wanted = run(used, x)
        logits = run(quantize_network(used, QuantConfig(bits=2)), x)
        np.testing.assert_array_equal(logits, run(quantize_network(fresh, QuantConfig(bits=2)), x))
        assert not np.allclose(logits, wanted, atol=1e-3)


def test_bits_change_without_compiling_anew():
    with execution_mode("graph"):
        network, x = quantize_network(seeded(UserNet())), random_input()
        outputs = []
        for bits in (4, 1, 0):
            for layer in multi_bit_layers(network).values():
                layer.quantize_weight.bits.set_data(Tensor(np.full(layer.quantize_weight.bits.shape, bits, np.int32)))
                layer.quantize_weight.reset_scale(layer.weight.asnumpy())
            outputs.append(run(network, x))
        assert len(network.compile_cache) == 1
        assert not np.allclose(outputs[0], outputs[1], atol=1e-3)
        # Pruned convolutions leave the biases alone: all images give the same.
        np.testing.assert_allclose(outputs[2], np.broadcast_to(outputs[2][:1], outputs[2].shape), atol=1e-6)


def test_every_parameter_that_is_trained_gets_a_gradient(mode):
    network = quantize_network(seeded(UserNet()), QuantConfig(bits=2)).set_train(True)

    def loss(x):
        return (network(x) * ops.arange(5)).sum()

    parameters = ParameterTuple(network.trainable_params())
    gradients = ops.grad(loss, None, parameters)(Tensor(random_input()))
    slopes = {parameter.name: gradient.asnumpy() for parameter, gradient in zip(parameters, gradients)}
    assert all(np.isfinite(value).all() for value in slopes.values())
    # BatchNorm takes away what the bias in front of it adds.
    flat = [name for name, value in slopes.items() if np.abs(value).max() < 1e-4]
    assert flat == ["body.1.bias"]
    assert np.abs(slopes["hidden.weight"]).max() > 1e-3 and np.abs(slopes["hidden.quantize_input.probe"]).max() > 1e-4


def test_a_frozen_network_runs_on_the_levels_of_the_other(mode):
    network = quantize_network(seeded(UserNet()), QuantConfig(bits=3)).set_train(False)
    frozen = quantize_network(UserNet(), QuantConfig(bits=3), frozen=True)
    layers = quant_layers(frozen)
    assert [layer.quantize_weight is None for layer in layers.values()] == [True, *[False] * 4, True]
    assert all(isinstance(layer.quantize_weight, FrozenWeight) for layer in multi_bit_layers(frozen).values())
    state = network_state.state(network)
    for name, layer in quant_layers(network).items():
        state[f"{name}.weight"] = layer.quantize_weight(layer.weight.value()).asnumpy()
    network_state.restore(frozen, {name: state[name] for name, _ in frozen.parameters_and_names()})
    np.testing.assert_array_equal(run(frozen, random_input()), run(network, random_input()))


@pytest.mark.parametrize(
    "convolution",
    [
        lambda: nn.Conv2d(4, 4, 3),
        lambda: nn.Conv2d(4, 4, 3, pad_mode="same"),
        lambda: nn.Conv2d(4, 4, 3, pad_mode="pad", padding=2, dilation=2),
        lambda: nn.Conv2d(4, 4, 3, (1, 2), pad_mode="valid"),
        lambda: nn.Conv2d(4, 4, 3, pad_mode="pad", padding=(1, 1, 0, 0)),
    ],
    ids=["default", "same", "dilated", "two strides", "two paddings"],
)
def test_convolutions_of_any_geometry_are_taken(convolution):
    layers = [
        nn.Conv2d(3, 4, 3, pad_mode="valid"),
        nn.ReLU(),
        convolution(),
        nn.ReLU(),
        nn.Conv2d(4, 2, 1, pad_mode="pad"),
    ]
    network, x = nn.SequentialCell(*layers), random_input(4)
    wanted = run(network, x)
    quantize_network(network, QuantConfig(activation_clip=2.0))
    assert len(quant_layers(network)) == 3 and not weighted_layers(network)
    logits = run(network, x)
    assert logits.shape == wanted.shape and 0 < np.square(logits - wanted).mean() < 0.1 * wanted.var()


@pytest.mark.parametrize("cells", [[nn.ReLU()], [nn.Dense(4, 2)], [nn.Dense(4, 2), nn.ReLU()]])
def test_fewer_than_two_layers_are_refused(cells):
    with pytest.raises(ConfigError, match="at least two"):
        quantize_network(nn.SequentialCell(*cells))


@pytest.mark.parametrize(
    "values", [{"table": "v3"}, {"bits": 5}, {"bits": -1}, {"activation_clip": 0}, {"activation_clip": -1.0}]
)
def test_bad_settings_are_refused(values):
    with pytest.raises(ConfigError, match="found QuantConfig"):
        QuantConfig(**values)


@pytest.mark.parametrize(
    ("name", "size", "layers"),
    [("resnet20", 32, 20), ("resnet20_conv", 32, 22), ("vgg_small", 32, 7), ("resnet18", 64, 21)],
)
def test_networks_of_the_zoo_are_converted_and_run(name, size, layers):
    network = quantize_network(model(name).build(10))
    assert len(quant_layers(network)) == layers and not weighted_layers(network)
    with execution_mode("pynative"):
        logits = run(network, np.random.default_rng(0).normal(0, 1, (1, 3, size, size)).astype(np.float32))
    assert logits.shape == (1, 10) and np.isfinite(logits).all() and logits.std() > 0


def test_all_names_of_architectures_are_in_the_zoo():
    assert all(model(name) for name in ARCHITECTURES)


@pytest.mark.parametrize("count", [5, 24, 1000])
def test_the_clip_of_the_last_layer_is_its_largest_input(count):
    network, source = quantize_network(seeded(Plain())), images()
    network.last.quantize_input.clip.set_data(Tensor(np.array([0.01], np.float32)))
    calibrate_last(network, source, PREPROCESSING, count, seed=3)
    chosen, seen = source.sample(min(count, 24), 3), []
    with input_hooks({"last": network.last}, lambda _, x: seen.append(x)):
        network(Tensor(chosen.train_batch(np.arange(len(chosen)), PREPROCESSING, 3, 0)))
    clip = network.last.quantize_input.clip.asnumpy()
    assert clip.shape == (1,) and clip[0] == pytest.approx(seen[0].max(), rel=1e-5) and clip[0] > 0.1
    assert not network.training


def test_inputs_that_are_all_zero_leave_a_clip_above_zero():
    network = quantize_network(seeded(Plain()))
    for parameter in network.get_parameters():
        if parameter.name.endswith(("weight", "bias")):
            parameter.set_data(Tensor(np.zeros(parameter.shape, np.float32)))
    calibrate_last(network, images(), PREPROCESSING, 8, seed=0)
    assert network.last.quantize_input.clip.asnumpy()[0] > 0


def test_the_result_of_an_image_does_not_depend_on_the_rest_of_its_batch(mode):
    network = quantize_network(seeded(Plain((6, 8, 5))))
    calibrate_last(network, images(), PREPROCESSING, 24, seed=0)
    x = random_input(3)
    x[1:] *= 20  # the others are far brighter
    np.testing.assert_allclose(run(network, x)[:1], run(network, x[:1]), rtol=1e-5, atol=1e-6)
