"""Networks of mindcv: quantized, trained two steps, saved, loaded and evaluated, each with one method."""

import numpy as np
import pytest

import lowbitzoo
from common.data import Preprocessing
from common.runtime.context import execution_mode
from tests import own_networks as own
from tests.lowbitzoo.test_own_networks import OPTIONS, settled, train

METHODS = {
    "resnet18": "LDNQ",
    "resnet50": "ProQHA",
    "mobilenet_v2_100": "DynamicQuant",
    "densenet121": "ProQHA",
    "squeezenet1_0": "DAMBQ",
    "shufflenet_v2_x1_0": "DAMBQ",
}
SMALL = {"squeezenet1_0": 64}  # its poolings leave nothing of 32 pixels


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_network_is_quantized_trained_saved_loaded_and_evaluated(name, tmp_path):
    mindcv = pytest.importorskip("mindcv", reason="needs the extra [mindcv]")
    method, size = METHODS[name], SMALL.get(name, 32)
    form = Preprocessing(size, own.FORM.mean, own.FORM.std)

    def fresh():
        return mindcv.create_model(name, num_classes=own.CLASSES)

    with execution_mode("pynative"):
        network = settled(fresh(), form)
        before = own.logits(network, form=form)
        stored = lowbitzoo.quantize(
            network, method, images=own.pictures(size=size), preprocessing=form, **OPTIONS[method]
        )
        quantized = own.logits(stored.network, form=form)
        assert np.isfinite(quantized).all() and not np.array_equal(quantized, before)
        if method != "LDNQ":
            train(stored.network, form)
        expected = own.logits(stored.network, form=form)
        file = lowbitzoo.save(stored, tmp_path / "mine.ckpt")
        loaded = lowbitzoo.load(file, network=fresh())
        np.testing.assert_array_equal(own.logits(loaded.network, form=form), expected)
        found = lowbitzoo.evaluate(loaded, images=own.pictures(6, size), batch_size=4)
    right = expected.argmax(1) == np.arange(6) % own.CLASSES
    assert found.samples == 6 and found.correct == right.sum()
