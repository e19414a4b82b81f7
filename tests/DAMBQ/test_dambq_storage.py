"""Networks in files: packed ones give the same logits."""

import numpy as np
import pytest
from dambq_tiny import quantized, random_input
from mindspore import Tensor

from common import checkpoint
from common.checkpoint import mindspore_format, network_state
from common.errors import ConfigError
from common.models.registry import model
from common.quant.layers import quant_layers
from common.quant.packing import packed_size
from DAMBQ import storage
from DAMBQ.convert import multi_bit_layers

pytestmark = pytest.mark.usefixtures("user_model")


def logits(network, x: np.ndarray) -> np.ndarray:
    return network.set_train(False)(Tensor(x)).asnumpy()


@pytest.mark.parametrize(
    ("suffix", "table", "zero_layer"), [(".ckpt", "v2", None), (".safetensors", "v1-cifar", "listed.0")]
)
def test_a_packed_network_gives_the_same_logits_bit_for_bit(tmp_path, mode, suffix, table, zero_layer):
    stored, path = quantized(table=table, zero_layer=zero_layer), tmp_path / f"net{suffix}"
    wanted = logits(stored.network, random_input(16))
    storage.save_packed(path, stored)
    loaded = storage.load(path)
    np.testing.assert_array_equal(logits(loaded.network, random_input(16)), wanted)
    assert loaded.kind == "packed" and loaded.metadata["settings"] == stored.metadata["settings"]
    for name, layer in quant_layers(loaded.network).items():
        twin = quant_layers(stored.network)[name]
        assert layer.weight.asnumpy().any() == (name != zero_layer)
        if name != "stem":
            np.testing.assert_array_equal(layer.quantize_input.bits.asnumpy(), twin.quantize_input.bits.asnumpy())
    for name, layer in multi_bit_layers(loaded.network).items():
        bits = quant_layers(stored.network)[name].quantize_weight.bits.asnumpy()
        np.testing.assert_array_equal(layer.quantize_weight.bits.asnumpy(), bits)
        counts = [len(np.unique(row)) for row in layer.weight.asnumpy()]
        assert np.all(counts <= 2**bits)


def test_resnet20_gives_the_same_logits_bit_for_bit(tmp_path, pynative):
    x = np.random.default_rng(0).normal(0, 1, (4, 3, 32, 32)).astype(np.float32)
    stored = quantized("resnet20", zero_layer="layer2.1.conv2")
    storage.save_packed(tmp_path / "net.ckpt", stored)
    loaded = storage.load(tmp_path / "net.ckpt", num_classes=5)
    wanted = logits(stored.network, x)
    np.testing.assert_array_equal(logits(loaded.network, x), wanted)
    assert wanted.std() > 0 and (tmp_path / "net.ckpt").stat().st_size < 4 * 270_000 / 8


def test_a_network_without_any_bits_is_packed(tmp_path):
    stored = quantized()
    for layer in multi_bit_layers(stored.network).values():
        layer.quantize_weight.bits.set_data(Tensor(np.zeros(layer.quantize_weight.bits.shape, np.int32)))
    storage.save_packed(tmp_path / "net.ckpt", stored)
    loaded = storage.load(tmp_path / "net.ckpt")
    np.testing.assert_array_equal(logits(loaded.network, random_input()), logits(stored.network, random_input()))
    codes = [name for name in checkpoint.load(tmp_path / "net.ckpt").tensors if name.startswith("codes_")]
    assert codes == ["codes_8"]  # of the first and the last layer


def test_codes_take_the_bits_of_their_channels_and_training_state_is_left_out(tmp_path):
    stored = quantized()
    storage.save_packed(tmp_path / "net.ckpt", stored)
    raw, _ = mindspore_format.decode_file((tmp_path / "net.ckpt").read_bytes())
    layers = multi_bit_layers(stored.network).values()
    for bits in range(1, 5):
        count = sum((layer.quantize_weight.bits.asnumpy() == bits).sum() * layer.weight[0].size for layer in layers)
        assert count and raw[f"codes_{bits}"].nbytes == packed_size(int(count), bits)
    channels = sum(len(layer.weight) for layer in layers)
    pruned = sum(int((layer.quantize_weight.bits.asnumpy() == 0).sum()) for layer in layers)
    ends = 8 + 5  # channels of the first and the last layer, whose weights have one width each
    assert raw["codes_8"].nbytes == 8 * 27 + 5 * 10 and raw["scales"].size == channels - pruned + ends
    inputs = sum(len(layer.quantize_input.bits) for layer in list(quant_layers(stored.network).values())[1:])
    assert raw["bits"].nbytes == packed_size(channels + 2 + inputs, 4) and raw["clips"].size == 5
    floats = [
        value.size for name, value in network_state.state(model("User").build(5)).items() if not name.endswith("weight")
    ]
    assert raw["floats"].size == sum(floats) and not [name for name in raw if "." in name and "lowbitzoo" not in name]


def test_a_quantized_network_goes_on_from_its_file(tmp_path):
    stored = quantized()
    checkpoint.save(tmp_path / "final.ckpt", network_state.state(stored.network), stored.metadata)
    loaded = storage.load_latent(tmp_path / "final.ckpt", "User")
    states = [network_state.state(one.network) for one in (stored, loaded)]
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    assert len(loaded.network.trainable_params()) == len(stored.network.trainable_params()) and loaded.kind == "latent"


def test_packing_leaves_the_network_as_it_was():
    stored = quantized()
    before = network_state.state(stored.network)
    stored.network.set_train(True)
    storage.FORMAT.integers(stored)
    after = network_state.state(stored.network)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert all(cell.training for _, cell in stored.network.cells_and_names())


def test_float_networks_of_other_methods_are_loaded(shared):
    stored = storage.load(storage.shipped("digits", "float"))
    assert stored.kind == "float" and stored.metadata["network"] == "resnet20" and not quant_layers(stored.network)
    published = storage.load(shared / "checkpoints" / "resnet20-12fca82f.th", "resnet20", 10)
    assert (published.kind, published.metadata["num_classes"]) == ("float", 10)
    weights = [one.network.conv1.weight.asnumpy() for one in (stored, published)]
    assert weights[0].shape == weights[1].shape == (16, 3, 3, 3) and not np.array_equal(*weights)


def test_no_checkpoint_is_shipped_for_other_data():
    for kind in ("packed", "float"):
        with pytest.raises(ConfigError, match=f"no {kind} checkpoint is shipped for imagenet"):
            storage.shipped("imagenet", kind)
