"""Networks as users write them: none of them is in the zoo."""

import numpy as np
from mindspore import Tensor, nn, ops

from common.data import ImageArrays, Preprocessing
from common.models.adder import Adder2d

SIZE, CLASSES = 16, 5
NAMES = ("ant", "bee", "cat", "dog", "eel")
FORM = Preprocessing(SIZE, (0.5, 0.4, 0.3), (0.2, 0.3, 0.25))


class SameNet(nn.Cell):
    """MindSpore's defaults (``pad_mode`` same), functional activations, a concatenation, a 1 x 1 shortcut, biases."""

    def __init__(self, classes: int = CLASSES):
        super().__init__()
        self.head = nn.Dense(12, classes)  # described first, called last
        self.stem = nn.Conv2d(3, 6, 3, stride=2, has_bias=True)
        self.left, self.right = nn.Conv2d(6, 6, 3, stride=2), nn.Conv2d(6, 6, 5, stride=2)
        self.norm = nn.BatchNorm2d(12)
        self.body, self.shortcut = nn.Conv2d(12, 12, 3, has_bias=True), nn.Conv2d(12, 12, 1)
        self.drop = nn.Dropout(p=0.3)

    def construct(self, x):
        x = ops.relu(self.stem(x))
        x = ops.relu(self.norm(ops.concat((self.left(x), self.right(x)), 1)))
        x = ops.relu(self.body(x) + self.shortcut(x))
        return self.head(self.drop(x.mean((2, 3))))


class DilatedNet(nn.Cell):
    """Dilation, depthwise convolutions, uneven padding, activations that go below 0."""

    def __init__(self, classes: int = CLASSES):
        super().__init__()
        self.features = nn.SequentialCell(
            nn.Conv2d(3, 8, 3, stride=2, pad_mode="pad", padding=1),
            nn.BatchNorm2d(8),
            nn.HSwish(),
            nn.Conv2d(8, 8, 3, pad_mode="pad", padding=2, dilation=2, group=8),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 10, 1, pad_mode="valid", has_bias=True),
            nn.LeakyReLU(0.1),
            nn.Conv2d(10, 10, (3, 1), stride=(2, 1), pad_mode="pad", padding=(1, 0, 0, 0), group=2),
        )
        self.norm, self.act = nn.BatchNorm2d(10), nn.ReLU()
        self.hidden, self.last = nn.Dense(10, 9), nn.Dense(9, classes)

    def construct(self, x):
        x = self.act(self.norm(self.features(x)))
        x = ops.adaptive_avg_pool2d(x, 1).view(x.shape[0], -1)
        return self.last(ops.tanh(self.hidden(x)))


class AdderNet(nn.Cell):
    """Adder layers between a convolution and a linear layer.

    Args:
        first: options of the first adder layer.
        second: options of the second one.
        shortcut: whether a 1 x 1 adder layer goes round both.
    """

    def __init__(self, first: dict, second: dict, shortcut: bool = False):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 3, has_bias=True), nn.BatchNorm2d(6)
        self.first, self.norm1 = Adder2d(6, 8, **first), nn.BatchNorm2d(8)
        self.second, self.norm2 = Adder2d(8, 8, **second), nn.BatchNorm2d(8)
        self.shortcut = Adder2d(6, 8, 1, stride=first.get("stride", 1)) if shortcut else None
        self.norm3, self.act, self.head = nn.BatchNorm2d(8), nn.ReLU(), nn.Dense(8, CLASSES)

    def construct(self, x):
        x = self.act(self.norm(self.stem(x)))
        y = self.norm2(self.second(self.act(self.norm1(self.first(x)))))
        if self.shortcut is not None:
            y = y + self.norm3(self.shortcut(x))
        return self.head(self.act(y).mean((2, 3)))


def same_adders() -> nn.Cell:
    """Same padding, also with strides."""
    return AdderNet({"kernel": 3, "stride": 2, "pad_mode": "same"}, {"kernel": 3, "pad_mode": "same"})


def dilated_adders() -> nn.Cell:
    """Dilated windows."""
    return AdderNet({"kernel": 3, "padding": 2, "dilation": 2}, {"kernel": 3, "stride": 2, "pad_mode": "valid"})


def shortcut_adders() -> nn.Cell:
    """A 1 x 1 shortcut."""
    return AdderNet({"kernel": 3, "stride": 2, "padding": 1}, {"kernel": 3, "padding": 1}, shortcut=True)


ADDERS = {"same": same_adders, "dilated": dilated_adders, "shortcut": shortcut_adders}


def pictures(count: int = 24, size: int = SIZE, seed: int = 0) -> ImageArrays:
    """Pictures whose brightness says their class."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % CLASSES).astype(np.int32)
    pixels = np.clip(rng.normal(30 + 40 * labels[:, None, None, None], 40, (count, size, size, 3)), 0, 255)
    return ImageArrays(pixels.astype(np.uint8), labels, CLASSES, NAMES)


def batch(count: int = 6, form: Preprocessing = FORM, size: int = SIZE) -> Tensor:
    """Some pictures as a network sees them."""
    return Tensor(pictures(count, size).eval_batch(np.arange(count), form))


def logits(network: nn.Cell, count: int = 6, form: Preprocessing = FORM) -> np.ndarray:
    """Of these pictures, in evaluation."""
    return network.set_train(False)(batch(count, form, form.image_size)).asnumpy()


def form_of(stored) -> Preprocessing:
    """The preprocessing that a file records."""
    return Preprocessing.from_dict(stored.metadata["preprocessing"])
