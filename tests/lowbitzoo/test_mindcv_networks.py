"""Networks of mindcv, the whole way: quantized, trained two steps, saved, loaded, evaluated and exported."""

import numpy as np
import pytest

import lowbitzoo
from common.data import Preprocessing
from common.errors import ExportError
from common.runtime.context import execution_mode
from tests import own_networks as own
from tests.lowbitzoo.test_own_networks import OPTIONS, settled, train

# The Hessians of LDNQ's 512 x 3 x 3 weights have 4,608 rows: of the deep ResNets they take minutes.
METHODS = {
    "resnet18": "ProQHA",
    "resnet50": "DAMBQ",
    "mobilenet_v2_100": "DynamicQuant",
    "densenet121": "ProQHA",
    "squeezenet1_0": "LDNQ",
    "shufflenet_v2_x1_0": "DAMBQ",
}
SMALL = {"squeezenet1_0": 64}  # its poolings leave nothing of 32 pixels
NO_ONNX = ("DAMBQ", "DynamicQuant")


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_network_goes_the_whole_way(name, tmp_path):
    mindcv = pytest.importorskip("mindcv", reason="needs the extra [mindcv]")
    method, size = METHODS[name], SMALL.get(name, 32)
    form = Preprocessing(size, own.FORM.mean, own.FORM.std)

    def fresh():
        return mindcv.create_model(name, num_classes=own.CLASSES)

    with execution_mode("pynative"):
        network = settled(fresh(), form)
        before = own.logits(network, form=form)
        pictures = own.pictures(size=size)
        stored = lowbitzoo.quantize(network, method, images=pictures, preprocessing=form, **OPTIONS[method])
        quantized = own.logits(stored.network, form=form)
        assert np.isfinite(quantized).all() and not np.array_equal(quantized, before)
        if method != "LDNQ":
            train(stored.network, form)
        expected = own.logits(stored.network, form=form)
        file = lowbitzoo.save(stored, tmp_path / "mine.ckpt")
        loaded = lowbitzoo.load(file, network=fresh())
        np.testing.assert_array_equal(own.logits(loaded.network, form=form), expected)
        evaluated(loaded, expected, size)
        exported(loaded, fresh, own.batch(6, form, size).asnumpy(), tmp_path)


def evaluated(loaded, expected, size):
    found = lowbitzoo.evaluate(loaded, images=own.pictures(6, size), batch_size=6)
    right = expected.argmax(1) == np.arange(6) % own.CLASSES
    assert found.samples == 6 and found.correct == right.sum()


def exported(loaded, fresh, images, folder):
    parity = lowbitzoo.export(loaded, folder / "mine.mindir", network=fresh(), batch_size=6, images=images)
    assert parity.samples == 6
    onnx = folder / "mine.onnx"
    if loaded.metadata["method"] in NO_ONNX:
        with pytest.raises(ExportError, match="cannot be expressed exactly in ONNX"):
            lowbitzoo.export(loaded, onnx, network=fresh(), images=images)
        assert not onnx.exists()
    else:
        assert lowbitzoo.export(loaded, onnx, network=fresh(), images=images).samples == 6
