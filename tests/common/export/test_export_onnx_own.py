"""Networks of users as ONNX models: functions and methods of tensors, all padding modes, own cells."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the packages for ONNX: pip install -e '.[onnx]'")

import lowbitzoo
from common.data import Preprocessing
from common.export import onnx_model
from common.kernels.custom import without_native
from tests import own_networks as own

pytestmark = pytest.mark.usefixtures("pynative")


def compared(network, size):
    content = onnx_model.encode(network.set_train(False), size, own.CLASSES)
    form = Preprocessing(size, own.FORM.mean, own.FORM.std)
    for count in (1, 5):
        expected = own.logits(network, count, form)
        found = onnx_model.decode(content, 1)(own.batch(count, form, size).asnumpy())
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("make", [own.SameNet, own.DilatedNet])
def test_float_networks_of_users(make):
    with without_native():
        compared(make(), own.SIZE)


@pytest.mark.parametrize("name", ["squeezenet1_0", "resnet18"])
def test_networks_of_mindcv(name):
    mindcv = pytest.importorskip("mindcv", reason="needs the extra [mindcv]")
    from common.runtime.hooks import reestimate_batch_norm

    network = mindcv.create_model(name, num_classes=own.CLASSES)
    form = Preprocessing(64, own.FORM.mean, own.FORM.std)
    reestimate_batch_norm(network, [own.batch(8, form, 64).asnumpy()])
    compared(network, 64)


@pytest.mark.parametrize("method", ["ProQHA", "LDNQ"])
@pytest.mark.parametrize("make", [own.SameNet, own.DilatedNet])
def test_quantized_networks_of_users(method, make, tmp_path):
    options = {"ProQHA": {"bits": 4}, "LDNQ": {"views": 1, "count": 10, "steps": 1, "refine_steps": 1}}[method]
    stored = lowbitzoo.quantize(make(), method, images=own.pictures(), preprocessing=own.FORM, **options)
    images = own.batch(6).asnumpy()
    parity = lowbitzoo.export(stored, tmp_path / "mine.onnx", network=make(), images=images)
    assert parity.samples == 6 and parity.typical <= 0.005 * parity.largest
    found = onnx_model.decode((tmp_path / "mine.onnx").read_bytes(), 1)(images)
    assert np.median(np.abs(found - own.logits(stored.network)).max(1)) <= 0.005 * parity.largest
