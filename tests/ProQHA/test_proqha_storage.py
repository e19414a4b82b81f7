"""Networks of ProQHA in files: what a packed one takes, records and gives back, and what is refused."""

import numpy as np
import pytest
from mindspore import Tensor
from proqha_tiny import LAYERS, WEIGHTS, batch, stored, tiny
from script_runs import same

from common import checkpoint
from common.checkpoint import mindspore_format, network_state
from common.errors import CheckpointError, ConfigError
from common.quant.layers import quant_layers
from common.quant.packing import packed_size
from ProQHA import storage
from ProQHA.quant import get_bits
from ProQHA.quant_config import QuantConfig

pytestmark = pytest.mark.usefixtures("tiny_model")


def logits(network) -> np.ndarray:
    return network.set_train(False)(Tensor(batch(16))).asnumpy()


def test_a_packed_network_gives_the_same_logits_bits_and_settings(tmp_path, mode):
    latent, path = stored(), tmp_path / "net.ckpt"
    wanted = logits(latent.network)
    storage.save_packed(path, latent)
    loaded = storage.load(path, "Tiny", 5)
    np.testing.assert_array_equal(logits(loaded.network), wanted)
    assert wanted.std() > 0 and loaded.kind == "packed"
    assert QuantConfig.recorded(loaded.metadata["settings"]) == QuantConfig(signed=("mix",))
    assert np.array_equal(get_bits(loaded.network), get_bits(latent.network))
    for name, layer in quant_layers(loaded.network).items():
        assert len(np.unique(layer.weight.asnumpy())) <= 2 ** get_bits(loaded.network)[LAYERS.index(name), 0]
        assert layer.quantize_input.signed == loaded.layers[name].grids[0].signed == (name == "mix")


def test_codes_take_the_bits_of_their_layers(tmp_path):
    storage.save_packed(tmp_path / "net.ckpt", stored(((3, 8), (2, 5), (3, 4), (7, 2))))
    raw, _ = mindspore_format.decode_file((tmp_path / "net.ckpt").read_bytes())
    assert raw["codes_3"].nbytes == packed_size(WEIGHTS[0] + WEIGHTS[2], 3)
    assert raw["codes_2"].nbytes == packed_size(WEIGHTS[1], 2) and raw["codes_7"].nbytes == packed_size(WEIGHTS[3], 7)
    assert raw["bits"].nbytes == packed_size(8, 4) and raw["scales"].shape == raw["clips"].shape == (4,)


def test_a_latent_network_goes_on_from_its_file(tmp_path):
    latent = stored()
    checkpoint.save(tmp_path / "final.ckpt", network_state.state(latent.network), latent.metadata)
    loaded = storage.load_latent(tmp_path / "final.ckpt", "Tiny")
    assert same(network_state.state(latent.network), network_state.state(loaded.network)) == []
    names = [[p.name for p in network.trainable_params()] for network in (latent.network, loaded.network)]
    assert names[0] == names[1] and loaded.kind == "latent"
    np.testing.assert_array_equal(logits(loaded.network), logits(latent.network))


def test_float_networks_of_any_method_are_loaded(tmp_path):
    about = {"method": "DAMBQ", "kind": "float", "network": "Tiny", "num_classes": 4}
    checkpoint.save(tmp_path / "float.ckpt", network_state.state(tiny()), about)
    loaded = storage.load(tmp_path / "float.ckpt", "Tiny")
    assert loaded.kind == "float" and not quant_layers(loaded.network)
    assert same(network_state.state(tiny()), network_state.state(loaded.network)) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (None, "settings"),
        ({"bits": 9, "signed": []}, "settings .*found 9"),
        ({"activation_clip": "wide", "signed": []}, "settings"),
        ({"bits": 8}, "settings .*signed"),
        ({"signed": None}, "settings"),
        ({"signed": ["stem"]}, "settings .*stem"),
        ({"signed": [], "colour": 1}, "settings .*colour"),
        ([4], "settings"),
    ],
    ids=str,
)
def test_settings_of_something_else_are_refused(tmp_path, settings, expected):
    latent = stored()
    about = {**latent.metadata, "settings": settings}
    checkpoint.save(tmp_path / "net.ckpt", network_state.state(latent.network), about)
    with pytest.raises(CheckpointError, match=expected) as caught:
        storage.load(tmp_path / "net.ckpt")
    assert "net.ckpt" in str(caught.value) and "\n" not in str(caught.value)


def test_training_goes_on_from_both_networks_of_a_run(tmp_path):
    storage.save_packed(tmp_path / "packed.ckpt", stored())
    with pytest.raises(CheckpointError, match=r"found a packed one; give final.ckpt or search.ckpt of the run"):
        storage.load_latent(tmp_path / "packed.ckpt", "Tiny")


def test_no_checkpoint_is_shipped_for_other_data():
    for kind in ("packed", "float"):
        with pytest.raises(ConfigError, match=f"no {kind} checkpoint is shipped for imagenet"):
            storage.shipped("imagenet", kind)
