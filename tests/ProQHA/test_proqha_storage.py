"""Networks in files: packed ones give the same logits, codes take their bits, quantized ones go on."""

import numpy as np
import pytest
from mindspore import Tensor
from proqha_tiny import LAYERS, WEIGHTS, batch, stored, tiny
from script_runs import same

from common import checkpoint
from common.checkpoint import mindspore_format, network_state
from common.errors import ConfigError
from common.quant.layers import quant_layers
from common.quant.packing import packed_size
from ProQHA import packing, storage
from ProQHA.quant import Settings, get_bits

pytestmark = pytest.mark.usefixtures("tiny_model")


def logits(network) -> np.ndarray:
    return network.set_train(False)(Tensor(batch(16))).asnumpy()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_a_packed_network_gives_the_same_logits_bit_for_bit(tmp_path, mode, suffix):
    own, path = stored(), tmp_path / f"net{suffix}"
    wanted = logits(own.network)
    storage.save_packed(path, own)
    loaded = storage.load(path, "Tiny", 5)
    np.testing.assert_array_equal(logits(loaded.network), wanted)
    assert wanted.std() > 0 and loaded.kind == storage.kind_of(path) == "packed"
    assert loaded.metadata == {
        **own.metadata,
        "kind": "packed",
        "settings": {**own.metadata["settings"], "signed": ["mix"]},
    }
    assert np.array_equal(get_bits(loaded.network), get_bits(own.network))
    for name, layer in quant_layers(loaded.network).items():
        assert len(np.unique(layer.weight.asnumpy())) <= 2 ** get_bits(loaded.network)[LAYERS.index(name), 0]
        assert layer.quantize_input.signed == (name == "mix")


def test_codes_take_the_bits_of_their_layers_and_what_training_needs_is_left_out(tmp_path):
    own = stored(((3, 8), (2, 5), (3, 4), (7, 2)))
    storage.save_packed(tmp_path / "net.ckpt", own)
    raw, _ = mindspore_format.decode_file((tmp_path / "net.ckpt").read_bytes())
    assert raw["codes_3"].nbytes == packed_size(WEIGHTS[0] + WEIGHTS[2], 3)
    assert raw["codes_2"].nbytes == packed_size(WEIGHTS[1], 2) and raw["codes_7"].nbytes == packed_size(WEIGHTS[3], 7)
    assert raw["bits"].nbytes == packed_size(8, 4) and raw["gains"].shape == raw["clips"].shape == (4,)
    rest = {name for name in raw if "." in name}
    floats = {"stem.weight", "downsample.weight", "last.weight", "last.bias", "hidden.bias", "mix.bias"}
    floats.add("inner.layer.2.bias")
    norms = {f"{name}.{part}" for name in ("norm", "inner.layer.0") for part in ("gamma", "beta")}
    norms |= {f"{name}.moving_{part}" for name in ("norm", "inner.layer.0") for part in ("mean", "variance")}
    assert rest == floats | norms


def test_a_quantized_network_goes_on_from_its_file(tmp_path):
    own = stored()
    checkpoint.save(tmp_path / "best.ckpt", network_state.state(own.network), own.metadata)
    loaded = storage.load_quantized(tmp_path / "best.ckpt", "Tiny")
    assert same(network_state.state(own.network), network_state.state(loaded.network)) == []
    names = [[p.name for p in network.trainable_params()] for network in (own.network, loaded.network)]
    assert names[0] == names[1] and loaded.kind == storage.kind_of(tmp_path / "best.ckpt") == "quantized"
    assert storage.settings_of(loaded.metadata["settings"]) == Settings(signed=("mix",))
    np.testing.assert_array_equal(logits(loaded.network), logits(own.network))


def test_packing_leaves_the_network_as_it_was():
    own = stored()
    before = network_state.state(own.network)
    own.network.set_train(True)
    packing.pack(own.network)
    assert same(before, network_state.state(own.network)) == [] and own.network.training


def test_float_networks_are_loaded(tmp_path):
    about = {"method": "DAMBQ", "kind": "float", "network": "Tiny", "num_classes": 4}
    checkpoint.save(tmp_path / "float.ckpt", network_state.state(tiny()), about)
    loaded = storage.load(tmp_path / "float.ckpt", "Tiny")
    assert loaded.kind == storage.kind_of(tmp_path / "float.ckpt") == "float" and not quant_layers(loaded.network)
    assert same(network_state.state(tiny()), network_state.state(loaded.network)) == []


def test_no_checkpoint_is_shipped_for_other_data():
    for kind in ("packed", "float"):
        with pytest.raises(ConfigError, match=f"no {kind} checkpoint is shipped for imagenet"):
            storage.embedded("imagenet", kind)
