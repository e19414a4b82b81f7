"""Networks in files: packed ones give the same logits, others are refused."""

import numpy as np
import pytest
from dynamic_tiny import DYNAMIC, STATIC, TinyResNet, dynamic_network, random_input, static_network, stored
from mindspore import Tensor

from common import checkpoint
from common.checkpoint import mindspore_format, network_state
from common.errors import CheckpointError, ConfigError
from common.quant.packing import packed_size
from DynamicQuant import packing, storage
from DynamicQuant.network import Decisions, Settings

pytestmark = pytest.mark.usefixtures("pynative")
STATIC_SETTINGS = {"static": True}


def results(network, x=None) -> list[np.ndarray]:
    x = Tensor(random_input(12) if x is None else x)
    cell = Decisions(network) if hasattr(network, "decide") else network
    cell.set_train(False)
    found = cell(x)
    return [t.asnumpy() for t in found] if isinstance(found, tuple) else [found.asnumpy()]


def same(a, b) -> bool:
    return all(np.array_equal(*pair) for pair in zip(a, b, strict=True))


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("quantizer", ["dorefa", "pact"])
def test_a_packed_dynamic_network_gives_the_same_logits_bit_for_bit(tmp_path, suffix, quantizer):
    one = stored(dynamic_network(quantizer=quantizer, spread=1.0), quantizer=quantizer)
    wanted = results(one.network)
    storage.save_packed(tmp_path / f"net{suffix}", one)
    loaded = storage.load(tmp_path / f"net{suffix}", "TinyDynamic", 4)
    assert same(results(loaded.network), wanted) and loaded.kind == "packed"
    assert len(np.unique(wanted[1].argmax(2))) == 3
    assert loaded.metadata == {**one.metadata, "kind": "packed"}
    assert storage.frozen(loaded) is loaded


def test_a_packed_static_network_gives_the_same_logits_bit_for_bit(tmp_path):
    one = stored(static_network(), **STATIC_SETTINGS)
    wanted = results(one.network)
    storage.save_packed(tmp_path / "net.ckpt", one)
    assert same(results(storage.load(tmp_path / "net.ckpt", "TinyDynamic").network), wanted)
    assert same(results(storage.frozen(one).network), wanted)


def test_frozen_weights_are_quantized_once_for_each_width_and_kept():
    one = stored(dynamic_network(spread=1.0))
    wanted, twin = results(one.network), storage.frozen_twin(one)
    assert same(results(storage.freeze(one.network, twin)), wanted)
    for name, cell in twin.cells_and_names():
        if name in DYNAMIC:
            assert cell.quantize_weight is None and cell.weight.shape[0] == 3
            assert [len(np.unique(w)) <= 2**b for w, b in zip(cell.weight.asnumpy(), (2, 3, 4))] == [True] * 3
    other = dynamic_network(spread=1.0)
    other.layer2[0].conv1.weight.set_data(Tensor(-other.layer2[0].conv1.weight.asnumpy()))
    storage.freeze(other, twin)  # the same twin takes the weights of a later moment
    assert same(results(twin), results(other)) and not same(results(twin), wanted)


def test_codes_take_their_bits_and_training_state_is_left_out(tmp_path):
    one = stored(dynamic_network())
    storage.save_packed(tmp_path / "net.ckpt", one)
    raw, _ = mindspore_format.decode_file((tmp_path / "net.ckpt").read_bytes())
    layers = packing.quantized_layers(one.network)
    assert sorted(layers) == sorted(STATIC + DYNAMIC)
    for name, layer in layers.items():
        for bits in (2, 3, 4) if name in DYNAMIC else (3,):
            assert raw[f"{name}.codes_{bits}"].nbytes == packed_size(layer.weight.size, bits)
    assert raw["gains"].size == 3 * len(DYNAMIC) + len(STATIC) and raw["clips"].size == len(STATIC + DYNAMIC)
    assert not any(name.endswith(("noise.state", ".gain", ".clip", ".bits")) for name in raw)
    assert not any(f"{name}.weight" in raw for name in layers)
    assert {"controller.hidden.weight", "conv1.weight", "head.fc.bias", "bn1.moving_mean"} <= set(raw)


def test_the_bias_that_meets_the_budget_can_be_stored(tmp_path):
    one, bias = stored(dynamic_network()), np.arange(12, dtype=np.float32)
    storage.save_packed(tmp_path / "net.ckpt", one, bias)
    np.testing.assert_array_equal(storage.load(tmp_path / "net.ckpt", "").network.controller.last.bias.asnumpy(), bias)


def test_a_network_in_training_is_read_whole(tmp_path):
    one = stored(dynamic_network(spread=1.0))
    one.network.set_train(True)
    one.network(Tensor(random_input()))  # moves the noise's counters
    checkpoint.save(tmp_path / "best.ckpt", network_state.state(one.network), one.metadata)
    loaded = storage.load_quantized(tmp_path / "best.ckpt", "TinyDynamic")
    states = [network_state.state(network) for network in (one.network, loaded.network)]
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    assert states[1]["choose.noise.state"][1] == 1


def test_a_dynamic_network_goes_on_from_a_static_one():
    static = stored(static_network(bits=4), bits=4, static=True)
    static.network.layer2[0].conv1.quantize_input.clip.set_data(Tensor(np.array([0.77], np.float32)))
    network = storage.continued(static, Settings(3, "pact", image_size=8), "file", seed=1)
    assert network.layer2[0].conv1.clip.asnumpy() == pytest.approx(0.77)
    np.testing.assert_array_equal(
        network.layer2[0].conv1.weight.asnumpy(), static.network.layer2[0].conv1.weight.asnumpy()
    )
    np.testing.assert_array_equal(network.bn1.gamma.asnumpy(), static.network.bn1.gamma.asnumpy())
    dynamic = stored(dynamic_network())
    assert storage.continued(dynamic, Settings(3, "pact", image_size=8), "file", 1) is dynamic.network
    for other in (Settings(4, "pact", image_size=8), Settings(3, "dorefa", image_size=8)):
        with pytest.raises(CheckpointError, match="found a dynamic one of 3 bits and pact"):
            storage.continued(dynamic, other, "file", 1)


def test_a_static_or_float_file_is_no_dynamic_network(tmp_path):
    one = stored(static_network(), **STATIC_SETTINGS)
    checkpoint.save(tmp_path / "static.ckpt", network_state.state(one.network), one.metadata)
    with pytest.raises(CheckpointError, match="expected a dynamic network, found a static one of 3 bits"):
        storage.load_dynamic(tmp_path / "static.ckpt", "TinyDynamic")
    about = {"kind": "float", "network": "TinyDynamic", "num_classes": 4}
    checkpoint.save(tmp_path / "float.ckpt", network_state.state(TinyResNet()), about)
    with pytest.raises(CheckpointError, match="found a float one"):
        storage.load_dynamic(tmp_path / "float.ckpt", "TinyDynamic")
    assert storage.load(tmp_path / "float.ckpt", "TinyDynamic").kind == "float"


def test_static_parameters_do_not_fit_the_dynamic_network(tmp_path):
    one = stored(static_network())
    checkpoint.save(tmp_path / "net.ckpt", network_state.state(one.network), one.metadata)  # says that it is dynamic
    with pytest.raises(CheckpointError, match="not one of this network"):
        storage.load(tmp_path / "net.ckpt", "TinyDynamic")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.pop("gains"), "packed tensors"),
        (lambda t: t.update(gains=t["gains"][1:]), "too few"),
        (lambda t: t.update(clips=np.append(t["clips"], np.float32(1))), "left over"),
        (lambda t: t.pop("layer2.0.conv1.codes_4"), "codes_4"),
        (lambda t: t.update({"layer2.0.conv1.codes_2": t["layer2.0.conv1.codes_4"]}), "more than 2 bits"),
        (lambda t: t.pop("controller.last.bias"), "controller.last.bias"),
    ],
)
def test_damaged_packed_files_are_refused(tmp_path, change, expected):
    one = stored(dynamic_network())
    tensors, _ = packing.pack(one.network)
    change(tensors)
    checkpoint.save(tmp_path / "net.ckpt", tensors, {**one.metadata, "kind": "packed"})
    with pytest.raises(CheckpointError, match=expected):
        storage.load(tmp_path / "net.ckpt", "TinyDynamic")


@pytest.mark.parametrize("settings", [{}, {"bits": 8}, {"bits": 3, "quantizer": "lsq"}, {"bitss": 3}])
def test_settings_that_do_not_fit_are_refused(tmp_path, settings):
    about = {**stored(None).metadata, "settings": settings}
    checkpoint.save(tmp_path / "net.ckpt", network_state.state(TinyResNet()), about)
    with pytest.raises(CheckpointError):
        storage.load(tmp_path / "net.ckpt", "TinyDynamic")


def test_float_networks_of_other_methods_are_loaded(shared):
    own = storage.load(storage.embedded("digits", "float"), "resnet20")
    assert own.kind == "float" and own.metadata["network"] == "resnet20"
    published = storage.load(shared / "checkpoints" / "resnet20-12fca82f.th", "resnet20", 10)
    assert (published.kind, published.metadata["num_classes"]) == ("float", 10)


def test_no_checkpoint_is_shipped_for_other_data():
    for kind in ("packed", "float"):
        with pytest.raises(ConfigError, match=f"no {kind} checkpoint is shipped for imagenet"):
            storage.embedded("imagenet", kind)
