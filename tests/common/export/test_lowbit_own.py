"""Runtime files of networks as users write them: what they compute, or one line that names what cannot be said."""

import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from own_networks import CLASSES, FORM, SIZE, DilatedNet, SameNet

import lowbitzoo
from common.engine.library import library
from common.errors import ExportError
from lowbitzoo import runtime

pytestmark = pytest.mark.skipif(library() is None, reason="needs a C++ compiler")


def conv(channels, filters, side=3, stride=1, groups=1, bias=False):
    padding = {"pad_mode": "pad", "padding": side // 2}
    return nn.Conv2d(channels, filters, side, stride=stride, group=groups, has_bias=bias, **padding)


class EveryLayer(nn.Cell):
    """A sum, a concatenation, single channels, biases, both poolings with padding, functions, a flattened head."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm0 = conv(3, 16), nn.BatchNorm2d(16)
        self.left, self.norm1 = conv(16, 16, bias=True), nn.BatchNorm2d(16)
        self.right, self.norm2 = conv(16, 8, 5), nn.BatchNorm2d(8)
        self.single, self.norm3 = conv(24, 24, 3, 2, 24), nn.BatchNorm2d(24)
        self.narrow, self.norm4 = conv(24, 32, 1), nn.BatchNorm2d(32)
        self.largest = nn.MaxPool2d(3, 2, pad_mode="pad", padding=1)
        self.average = nn.AvgPool2d(3, 1, pad_mode="pad", padding=1)
        self.flat, self.drop, self.head = nn.Flatten(), nn.Dropout(p=0.2), nn.Dense(32 * 4 * 4, CLASSES)

    def construct(self, x):
        x = ops.relu(self.norm0(self.stem(x)))
        left = ops.relu(self.norm1(self.left(x)))
        right = ops.relu(self.norm2(self.right(left)))
        x = ops.relu(self.norm3(self.single(ops.cat((x + left, right), 1))))
        x = self.largest(self.average(ops.relu(self.norm4(self.narrow(x)))))
        return self.head(self.drop(self.flat(x)))


def packed(make, folder, method="ProQHA", **options):
    stored = lowbitzoo.quantize(make(), method, preprocessing=FORM, **{"bits": 4, **options})
    lowbitzoo.save(stored, folder / "mine.ckpt")
    return lowbitzoo.load(folder / "mine.ckpt", network=make())


@pytest.mark.parametrize("method", ["ProQHA", "DAMBQ"])
def test_files_compute_what_the_network_does(method, tmp_path, pynative):
    stored = packed(EveryLayer, tmp_path, method)
    images = np.random.default_rng(0).normal(0, 1, (32, 3, SIZE, SIZE)).astype(np.float32)
    parity = lowbitzoo.export(stored, tmp_path / "mine.lowbit", images=images)
    assert parity.samples == 32
    expected = stored.network.set_train(False)(Tensor(images)).asnumpy()
    found = runtime.load(tmp_path / "mine.lowbit").logits(images)
    assert np.median(np.abs(found - expected).max(1)) < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize(("make", "reason"), [(SameNet, "has a padding of"), (DilatedNet, "is a HSwish")])
def test_what_cannot_be_said_is_named(make, reason, tmp_path, pynative):
    with pytest.raises(ExportError, match=reason):
        lowbitzoo.export(packed(make, tmp_path), tmp_path / "mine.lowbit")
    assert not (tmp_path / "mine.lowbit").exists()
