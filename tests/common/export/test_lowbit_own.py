"""Runtime files of networks as users write them: what they compute, or one line that names what cannot be said."""

import numpy as np
import own_networks as own
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
    stored = lowbitzoo.quantize(make(), method, preprocessing=FORM, **options)
    lowbitzoo.save(stored, folder / "mine.ckpt")
    return lowbitzoo.load(folder / "mine.ckpt", network=make())


class Windows(nn.Cell):
    """Uneven padding, dilation, groups, also of single channels, an odd kernel of an odd image."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm0 = nn.Conv2d(3, 12, 3, stride=2), nn.BatchNorm2d(12)
        self.wide = nn.Conv2d(12, 16, 3, dilation=2, pad_mode="pad", padding=2)
        self.single = nn.Conv2d(16, 16, 3, group=16, dilation=2, pad_mode="pad", padding=(2, 1, 0, 2), has_bias=True)
        self.some = nn.Conv2d(16, 24, (2, 3), group=4, pad_mode="same", has_bias=True)
        self.average, self.head = nn.AdaptiveAvgPool2d(1), nn.Dense(24, CLASSES)

    def construct(self, x):
        x = ops.relu(self.wide(ops.relu(self.norm0(self.stem(x)))))
        x = self.average(ops.relu(self.some(ops.relu(self.single(x)))))
        return self.head(x.view(x.shape[0], -1))


OPTIONS = {
    "ProQHA": {"bits": 4},
    "DAMBQ": {"bits": 4},
    "DynamicQuant": {"bits": 4, "static": True},
    "LDNQ": {"images": own.pictures(8), "count": 8, "steps": 1, "refine_steps": 0, "views": 1},
}


def check_file(stored, folder):
    """That the runtime computes from a file what the network does."""
    images = np.random.default_rng(0).normal(0, 1, (32, 3, SIZE, SIZE)).astype(np.float32)
    parity = lowbitzoo.export(stored, folder / "mine.lowbit", images=images)
    assert parity.samples == 32
    expected = stored.network.set_train(False)(Tensor(images)).asnumpy()
    found = runtime.load(folder / "mine.lowbit").logits(images)
    assert np.median(np.abs(found - expected).max(1)) < 1e-3 * np.abs(expected).max()
    assert np.ptp(expected, 0).min() > 1e-3 * np.abs(expected).max()  # they depend on the image


@pytest.mark.parametrize(
    ("make", "method"),
    [
        *[(make, "ProQHA") for make in (EveryLayer, Windows, SameNet)],
        *[pytest.param(make, "DAMBQ", marks=pytest.mark.slow) for make in (EveryLayer, Windows)],
        *[pytest.param(make, "DynamicQuant", marks=pytest.mark.slow) for make in (EveryLayer, Windows)],
        pytest.param(SameNet, "LDNQ", marks=pytest.mark.slow),
    ],
)
def test_files_compute_what_the_network_does(make, method, tmp_path, pynative):
    check_file(packed(make, tmp_path, method, **OPTIONS[method]), tmp_path)


@pytest.mark.parametrize(
    ("make", "method", "reason"),
    [
        (DilatedNet, "ProQHA", "features.2 is a HSwish"),
        (lambda: UnequalStrides(), "DAMBQ", r"body has strides of \(2, 1\)"),
        (SameNet, "DynamicQuant", "chooses its bits for each image"),
        pytest.param(EveryLayer, "LDNQ", "single filters single channels in floats", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_said_is_named(make, method, reason, tmp_path, pynative):
    with pytest.raises(ExportError, match=reason):
        options = OPTIONS[method] if method == "LDNQ" else {}
        lowbitzoo.export(packed(make, tmp_path, method, **options), tmp_path / "mine.lowbit")
    assert not (tmp_path / "mine.lowbit").exists()


class UnequalStrides(SameNet):
    """A convolution that goes down two rows and right one column."""

    def __init__(self):
        super().__init__()
        self.body, self.shortcut = nn.Conv2d(12, 12, 3, (2, 1), has_bias=True), nn.Conv2d(12, 12, 1, (2, 1))
