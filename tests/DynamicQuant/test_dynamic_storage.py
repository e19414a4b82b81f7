"""Networks in files: packed ones give the same logits, others are refused."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from dynamic_tiny import DYNAMIC, STATIC, TinyResNet, dynamic_network, logits_and_masks, same, static_network, stored
from mindspore import Tensor

from common import checkpoint
from common.checkpoint import mindspore_format, network_state
from common.errors import CheckpointError, ConfigError, QuantizationError
from common.quant.packing import packed_size
from DynamicQuant import packing, storage
from DynamicQuant.quant_config import QuantConfig

pytestmark = pytest.mark.usefixtures("pynative")


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("quantizer", ["dorefa", "pact"])
def test_a_packed_dynamic_network_gives_the_same_logits_bit_for_bit(tmp_path, suffix, quantizer):
    latent = stored(dynamic_network(quantizer=quantizer, spread=1.0), quantizer=quantizer)
    wanted = logits_and_masks(latent.network)
    storage.save_packed(tmp_path / f"net{suffix}", latent)
    loaded = storage.load(tmp_path / f"net{suffix}", "TinyDynamic", 4)
    assert same(logits_and_masks(loaded.network), wanted) and loaded.kind == "packed"
    assert len(np.unique(wanted[1].argmax(2))) == 3
    settings = asdict(QuantConfig(**loaded.metadata["settings"]))  # files have lists in the place of tuples
    about = {**latent.metadata, "kind": "packed", "packing": None}
    assert {**loaded.metadata, "packing": None, "settings": settings} == about


def test_a_packed_static_network_gives_the_same_logits_bit_for_bit(tmp_path):
    latent = stored(static_network(), static=True)
    wanted = logits_and_masks(latent.network)
    storage.save_packed(tmp_path / "net.ckpt", latent)
    assert same(logits_and_masks(storage.load(tmp_path / "net.ckpt", "TinyDynamic").network), wanted)


def test_a_packed_network_is_packed_again_to_the_same_bytes(tmp_path):
    storage.save_packed(tmp_path / "a.ckpt", stored(dynamic_network(spread=1.0)))
    storage.save_packed(tmp_path / "b.ckpt", storage.load(tmp_path / "a.ckpt", "TinyDynamic"))
    assert (tmp_path / "a.ckpt").read_bytes() == (tmp_path / "b.ckpt").read_bytes()


def test_codes_take_their_bits_and_training_state_is_left_out(tmp_path):
    latent = stored(dynamic_network())
    storage.save_packed(tmp_path / "net.ckpt", latent)
    raw, _ = mindspore_format.decode_file((tmp_path / "net.ckpt").read_bytes())
    layers = packing.quantized_layers(latent.network)
    assert sorted(layers) == sorted(STATIC + DYNAMIC)
    sizes = {3: sum(layers[name].weight.size for name in STATIC)}
    for name, layer in storage.FORMAT.integers(latent).items():
        if name in DYNAMIC:  # a number of the cell of each weight, in the place of 2, 3 and 4 bits
            cells = set(zip(*(weight.codes.ravel().tolist() for weight in layer.weights)))
            width = (len(cells) - 1).bit_length()
            assert width <= 5
            sizes[width] = sizes.get(width, 0) + layers[name].weight.size
    stored_codes = {name: array.nbytes for name, array in raw.items() if name.startswith("codes")}
    assert stored_codes == {f"codes_{bits}": packed_size(values, bits) for bits, values in sizes.items()}
    assert raw["scales"].size == 3 * len(DYNAMIC) + len(STATIC) and raw["clips"].size == 3 * len(DYNAMIC) + len(STATIC)
    rest = {name: value.size for name, value in network_state.state(latent.network).items() if value.dtype.kind == "f"}
    kept = [size for name, size in rest.items() if name != "choose.level" and not name.startswith(tuple(layers))]
    assert raw["floats"].size == sum(kept)
    assert set(raw) == {*stored_codes, "cells", "bits", "layout", "scales", "clips", "floats"}


def test_the_bias_that_meets_the_budget_can_be_stored(tmp_path):
    latent, bias = stored(dynamic_network()), np.arange(12, dtype=np.float32)
    storage.save_packed(tmp_path / "net.ckpt", latent, {"controller.last.bias": bias})
    np.testing.assert_array_equal(storage.load(tmp_path / "net.ckpt", "").network.controller.last.bias.asnumpy(), bias)


def test_a_network_in_training_is_read_whole(tmp_path):
    from dynamic_tiny import random_input

    latent = stored(dynamic_network(spread=1.0))
    latent.network.set_train(True)
    latent.network(Tensor(random_input()))  # moves the noise's counters
    checkpoint.save(tmp_path / "final.ckpt", network_state.state(latent.network), latent.metadata)
    loaded = storage.load_latent(tmp_path / "final.ckpt", "TinyDynamic")
    states = [network_state.state(network) for network in (latent.network, loaded.network)]
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    assert states[1]["choose.noise.state"][1] == 1


def test_static_parameters_do_not_fit_the_dynamic_network(tmp_path):
    static = stored(static_network())  # its metadata say that it is dynamic
    checkpoint.save(tmp_path / "net.ckpt", network_state.state(static.network), static.metadata)
    with pytest.raises(CheckpointError, match="not one of this network"):
        storage.load(tmp_path / "net.ckpt", "TinyDynamic")


def test_integers_of_other_candidates_do_not_fit():
    twin, name = dynamic_network(frozen=True), DYNAMIC[0]
    layers = dict(packing.integer_layers(dynamic_network()))
    layers[name] = replace(layers[name], weights=layers[name].weights[::-1])
    with pytest.raises(QuantizationError, match=rf"{name}: expected candidates of \[2 3 4\] bits, found \[4, 3, 2\]"):
        packing.layer_tensors(twin, layers)


@pytest.mark.parametrize("settings", [{"bits": 4}, {"static": True}, {"bits": 7}])
def test_packed_codes_of_other_settings_are_refused(tmp_path, settings):
    storage.save_packed(tmp_path / "net.ckpt", stored(dynamic_network()))
    content = checkpoint.load(tmp_path / "net.ckpt")
    about = {**content.metadata, "settings": {**content.metadata["settings"], **settings}}
    widths = {name: int(name[-1]) for name in content.tensors if name.startswith("codes_")}
    checkpoint.save(tmp_path / "other.ckpt", content.tensors, about, {**widths, "bits": 4, "layout": 4})
    with pytest.raises(CheckpointError, match="expected the packed tensors of this network"):
        storage.load(tmp_path / "other.ckpt", "TinyDynamic")


@pytest.mark.parametrize("settings", [{}, {"bits": 8}, {"bits": 3, "quantizer": "lsq"}, {"bitss": 3}])
def test_settings_that_do_not_fit_are_refused(tmp_path, settings):
    about = {**stored(None).metadata, "settings": settings}
    checkpoint.save(tmp_path / "net.ckpt", network_state.state(TinyResNet()), about)
    with pytest.raises(CheckpointError):
        storage.load(tmp_path / "net.ckpt", "TinyDynamic")


def test_float_networks_of_other_methods_are_loaded(shared):
    shipped = storage.load(storage.shipped("digits", "float"), "resnet20")
    assert shipped.kind == "float" and shipped.metadata["network"] == "resnet20"
    published = storage.load(shared / "checkpoints" / "resnet20-12fca82f.th", "resnet20", 10)
    assert (published.kind, published.metadata["num_classes"]) == ("float", 10)


def test_no_checkpoint_is_shipped_for_other_data():
    for kind in ("packed", "float"):
        with pytest.raises(ConfigError, match=f"no {kind} checkpoint is shipped for imagenet"):
            storage.shipped("imagenet", kind)
