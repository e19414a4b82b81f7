"""A network of one's own, written with MindSpore's defaults, and a plain training.

The images are the digits that come with scikit-learn. Put your own network, images and training in their places.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from common.data import DIGITS, ImageSource, Preprocessing, open_dataset
from common.runtime import context

context.setup(mode="pynative")  # before the first operator: MindSpore's own settings make CPUs many times slower

FORM = DIGITS  # size, mean and deviation of the images


class MyNetwork(nn.Cell):
    """Images (N, 3, 32, 32) to logits (N, 10)."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 32, 3, stride=2), nn.BatchNorm2d(32)
        self.conv3, self.norm3 = nn.Conv2d(32, 32, 3), nn.BatchNorm2d(32)
        self.head = nn.Dense(32, 10)

    def construct(self, x):
        x = ops.relu(self.norm1(self.conv1(x)))
        x = ops.relu(self.norm2(self.conv2(x)))
        x = ops.relu(self.norm3(self.conv3(x)) + x)
        return self.head(x.mean((2, 3)))


def images() -> tuple[ImageSource, ImageSource]:
    """Training and test images."""
    return open_dataset("digits", None, "train"), open_dataset("digits", None, "test")


def train(
    network: nn.Cell,
    source: ImageSource,
    form: Preprocessing,
    epochs: int,
    rate: float = 0.1,
    size: int = 64,
    decay: float = 0.0,
) -> None:
    """Stochastic gradient descent with momentum, in batches of ``size``; float and quantized networks alike."""
    parameters, steps = network.trainable_params(), len(source) // size
    rates = nn.cosine_decay_lr(0.0, rate, epochs * steps, steps, epochs)
    optimizer = nn.SGD(parameters, rates, momentum=0.9, weight_decay=decay)
    step = ms.value_and_grad(lambda x, y: ops.cross_entropy(network(x), y), None, parameters)
    for epoch in range(epochs):
        network.set_train(True)
        order = np.random.default_rng(epoch).permutation(len(source))
        for batch in order[: steps * size].reshape(steps, size):
            x = Tensor(source.train_batch(batch, form, seed=0, epoch=epoch))
            loss, gradients = step(x, Tensor(source.labels[batch]))
            optimizer(gradients)
        print(f"epoch {epoch + 1}: loss {float(loss.asnumpy()):.3f}")
    network.set_train(False)
