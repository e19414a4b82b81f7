"""Networks of users as ONNX models: functions and methods of tensors, all padding modes, own cells."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the packages for ONNX: pip install -e '.[onnx]'")

from mindspore import nn

import lowbitzoo
from common.data import Preprocessing
from common.errors import ExportError
from common.export import onnx_model
from common.kernels.custom import without_native
from tests import own_networks as own

pytestmark = pytest.mark.usefixtures("pynative")


PADDINGS = ((0, 0), (0, 0), (1, 2), (3, 0))


def compared(network, size, bar=2e-5):
    content = onnx_model.encode(network.set_train(False), size, own.CLASSES)
    form = Preprocessing(size, own.FORM.mean, own.FORM.std)
    for count in (1, 5):
        expected = own.logits(network, count, form)
        found = onnx_model.decode(content, 1)(own.batch(count, form, size).asnumpy())
        np.testing.assert_allclose(found, expected, rtol=0, atol=bar * np.abs(expected).max())


@pytest.mark.parametrize("make", [own.SameNet, own.DilatedNet])
def test_float_networks_of_users(make):
    with without_native():
        compared(make(), own.SIZE)


class Around(nn.Cell):
    """One cell before a linear layer."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.head = cell, nn.Dense(3, own.CLASSES)

    def construct(self, x):
        return self.head(self.cell(x).mean((2, 3)))


@pytest.mark.parametrize(
    "cell",
    [
        nn.MaxPool2d(3, 2, pad_mode="same"),
        nn.MaxPool2d(3, 2, pad_mode="pad", padding=(1, 0), dilation=(2, 1)),
        nn.MaxPool2d((3, 2), (2, 3)),
        nn.AvgPool2d(3, 2, pad_mode="same"),
        nn.AvgPool2d(3, 2, pad_mode="pad", padding=(1, 0)),
        nn.AvgPool2d((2, 3), (2, 1), pad_mode="pad", padding=1, count_include_pad=False),
        nn.Pad(PADDINGS),
        nn.Pad(PADDINGS, "REFLECT"),
    ],
    ids=lambda cell: type(cell).__name__,
)
def test_pooling_and_padding(cell):
    compared(Around(cell), 13)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (nn.Pad(PADDINGS, "SYMMETRIC"), "expected padding with zeros or REFLECT, found SYMMETRIC"),
        (nn.AvgPool2d(3, 2, ceil_mode=True), "expected pooling without ceil_mode"),
        (nn.AvgPool2d(3, 2, divisor_override=5), "expected pooling without divisor_override"),
        (nn.MaxPool2d(3, 2, pad_mode="pad", return_indices=True), "expected pooling without return_indices"),
    ],
)
def test_what_has_no_nodes_is_refused(cell, expected):
    with pytest.raises(ExportError) as caught:
        onnx_model.encode(Around(cell).set_train(False), 13, own.CLASSES)
    assert f"ONNX: cell: {expected}" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["squeezenet1_0", "resnet18", "shufflenet_v2_x1_0", pytest.param("densenet121", marks=pytest.mark.slow)]
)
def test_networks_of_mindcv(name):
    mindcv = pytest.importorskip("mindcv", reason="needs the extra [mindcv]")
    from common.runtime.hooks import reestimate_batch_norm

    network = mindcv.create_model(name, num_classes=own.CLASSES)
    form = Preprocessing(64, own.FORM.mean, own.FORM.std)
    reestimate_batch_norm(network, [own.batch(8, form, 64).asnumpy()])
    compared(network, 64, bar=1e-4)  # round-off grows over up to 121 layers; at most 1.7e-5, in ShuffleNetV2


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
