"""Networks for evaluation, and networks that training goes on from."""

import numpy as np
import pytest
from dynamic_tiny import DYNAMIC, TinyResNet, dynamic_network, logits_and_masks, same, static_network, stored
from mindspore import Tensor

from common import checkpoint
from common.checkpoint import network_state
from common.errors import CheckpointError
from DynamicQuant import storage
from DynamicQuant.frozen import continued, freeze, frozen, frozen_twin, load_dynamic
from DynamicQuant.quant_config import QuantConfig

pytestmark = pytest.mark.usefixtures("pynative")


def test_frozen_weights_are_quantized_once_for_each_width_and_kept():
    latent = stored(dynamic_network(spread=1.0))
    wanted, twin = logits_and_masks(latent.network), frozen_twin(latent)
    assert same(logits_and_masks(freeze(latent.network, twin)), wanted)
    for name, cell in twin.cells_and_names():
        if name in DYNAMIC:
            assert cell.quantize_weight is None and cell.weight.shape[0] == 3
            assert [len(np.unique(w)) <= 2**b for w, b in zip(cell.weight.asnumpy(), (2, 3, 4))] == [True] * 3
    other = dynamic_network(spread=1.0)
    other.layer2[0].conv1.weight.set_data(Tensor(-other.layer2[0].conv1.weight.asnumpy()))
    freeze(other, twin)  # the same twin takes the weights of a later moment
    assert same(logits_and_masks(twin), logits_and_masks(other)) and not same(logits_and_masks(twin), wanted)


def test_a_frozen_static_network_gives_the_same_logits_and_a_packed_one_is_frozen(tmp_path):
    latent = stored(static_network(), static=True)
    assert same(logits_and_masks(frozen(latent).network), logits_and_masks(latent.network))
    storage.save_packed(tmp_path / "net.ckpt", latent)
    packed = storage.load(tmp_path / "net.ckpt", "TinyDynamic")
    assert frozen(packed) is packed


def test_a_dynamic_network_goes_on_from_a_static_one():
    static = stored(static_network(bits=4), bits=4, static=True)
    static.network.layer2[0].conv1.quantize_input.clip.set_data(Tensor(np.array([0.77], np.float32)))
    network, _ = continued(static, QuantConfig(3, "pact", image_size=8), "file", seed=1)
    assert network.layer2[0].conv1.clip.asnumpy() == pytest.approx(0.77)
    for place in ("layer2.0.conv1.weight", "bn1.gamma", "layer3.0.downsample.0.weight"):
        kept, started = (dict(net.parameters_and_names())[place] for net in (static.network, network))
        np.testing.assert_array_equal(started.asnumpy(), kept.asnumpy())


def test_a_dynamic_network_goes_on_as_it_is():
    dynamic = stored(dynamic_network())
    assert continued(dynamic, QuantConfig(3, "pact", image_size=8), "file", 1)[0] is dynamic.network
    for other in (QuantConfig(4, "pact", image_size=8), QuantConfig(3, "dorefa", image_size=8)):
        with pytest.raises(CheckpointError, match="found a dynamic one of 3 bits and pact"):
            continued(dynamic, other, "file", 1)


def test_a_static_or_float_file_is_no_dynamic_network(tmp_path):
    static = stored(static_network(), static=True)
    checkpoint.save(tmp_path / "static.ckpt", network_state.state(static.network), static.metadata)
    with pytest.raises(CheckpointError, match="expected a dynamic network, found a static one of 3 bits"):
        load_dynamic(tmp_path / "static.ckpt", "TinyDynamic")
    about = {"kind": "float", "network": "TinyDynamic", "num_classes": 4}
    checkpoint.save(tmp_path / "float.ckpt", network_state.state(TinyResNet()), about)
    with pytest.raises(CheckpointError, match="found a float one"):
        load_dynamic(tmp_path / "float.ckpt", "TinyDynamic")
    assert storage.load(tmp_path / "float.ckpt", "TinyDynamic").kind == "float"
