import numpy as np
import pytest
from ldnq_tiny import tiny_network
from mindspore import Tensor

from common.checkpoint import network_state
from common.data import CIFAR10
from common.errors import ConfigError
from common.quant.layers import QuantConv2d, QuantDense
from common.stored.network import StoredNetwork
from LDNQ import storage
from LDNQ.calibration_set import CalibrationSet
from LDNQ.cascade import Cascade
from LDNQ.convert import quantized_network
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig

PLAN = Plan(batch_size=8, steps=1, refine_steps=1)


@pytest.mark.parametrize("config", [QuantConfig(3), QuantConfig(9, "layer"), QuantConfig(5, first_and_last=False)])
def test_a_finished_cascade_computes_the_same_from_its_integers_and_from_its_file(config, images, tmp_path):
    cascade = Cascade(tiny_network(), CalibrationSet(images, CIFAR10, 1, 0), config, PLAN, tmp_path)
    layers = cascade.run()
    inputs = Tensor(np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32))
    state, expected = network_state.state(cascade.network), cascade.network(inputs).asnumpy()
    network = quantized_network(cascade.network, config, layers)
    ends = [(QuantConv2d, "conv1"), (QuantDense, "fc")] if config.first_and_last else []
    inner = [(QuantConv2d, "conv2"), *ends]
    assert all(type(getattr(network, name)) is kind for kind, name in inner) and len(layers) == len(inner)
    np.testing.assert_allclose(network(inputs).asnumpy(), expected, rtol=1e-5, atol=1e-5)
    about = {"kind": "packed", "network": "tiny", "num_classes": 10, "settings": config.__dict__}
    storage.save_packed(tmp_path / "tiny.ckpt", StoredNetwork(network, about, layers))
    again = storage.load(tmp_path / "tiny.ckpt", network=tiny_network(1))
    back = network_state.state(again.network)
    assert all(np.array_equal(state[name], back[name]) for name in state)
    assert again.metadata["settings"] == config.__dict__ and list(again.layers) == list(layers)
    for name, layer in layers.items():
        assert (layer.bias is None) == (again.layers[name].bias is None)


@pytest.mark.parametrize("values", [{"levels": 4}, {"granularity": "group"}])
def test_settings_that_the_method_does_not_have_are_refused(values):
    with pytest.raises(ConfigError, match="expected levels of 3, 5, 7, 9, 11 and granularity channel or layer, found"):
        QuantConfig(**values)
