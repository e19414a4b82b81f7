"""Steps of the zoo's networks in GRAPH mode: training or evaluation."""

from collections.abc import Callable

import numpy as np

DAMBQ, PROQHA = "DAMBQ W2A2", "ProQHA W4A4"
STATIC, DYNAMIC = "DynamicQuant static 3 bits", "DynamicQuant 2 to 4 bits"


def step(network: str, training: bool, batch_size: int, side: int, threads: int):
    """A step of training (forward, cross-entropy, backward, SGD) or the forward pass of evaluation.

    Args:
        network: name in the zoo, or of ``QUANTIZED``: a ResNet-20 with all that a method's training does in each step.
        training: whether the step is one of training.
        batch_size: images per step.
        side: height and width of an image.
        threads: threads to compute with.
    """
    from common.runtime import context

    context.setup("CPU", "graph", threads=threads)
    from common.models.registry import model

    if network in QUANTIZED:
        cell, callback = QUANTIZED[network](model("resnet20").build(10))
    else:
        cell, callback = model(network).build(10 if side == 32 else 1000), None
    return whole_step(cell, callback, training, batch_size, side)


def with_allocator(cell):
    """A ResNet-20 quantized to W2A2, and the callback of its training."""
    from DAMBQ.allocation import Allocator
    from DAMBQ.budget import Budget
    from DAMBQ.convert import quantize_network
    from DAMBQ.quant_config import QuantConfig

    quantize_network(cell, QuantConfig(bits=2))
    return cell, Allocator(cell, Budget(4, 4), 32, epochs=1)


def proqha(cell):
    """A ResNet-20 with uniform 4 bits, which needs no callback."""
    from ProQHA.convert import quantize_network
    from ProQHA.quant_config import QuantConfig

    quantize_network(cell, QuantConfig(bits=4))
    return cell, None


def static(cell):
    """A ResNet-20 that computes every image at 3 bits, which needs no callback."""
    return _dynamic(cell, static=True)


def dynamic(cell):
    """A ResNet-20 that chooses 2, 3 or 4 bits per image and layer, which needs no callback."""
    return _dynamic(cell, static=False)


def _dynamic(cell, static: bool):
    from DynamicQuant.convert import quantize_network
    from DynamicQuant.quant_config import QuantConfig

    return quantize_network(cell, QuantConfig(bits=3, static=static)), None


QUANTIZED = {DAMBQ: with_allocator, PROQHA: proqha, STATIC: static, DYNAMIC: dynamic}


def whole_step(cell, callback, training: bool, batch_size: int, side: int = 32) -> Callable[[], np.ndarray]:
    """A step of training or evaluation of a network, on random images; ``callback`` is that of its training."""
    from mindspore import Tensor

    rng = np.random.default_rng(0)
    images = Tensor(rng.normal(size=(batch_size, 3, side, side)).astype(np.float32))
    labels = Tensor(rng.integers(0, 10, batch_size).astype(np.int32))
    of_images = _of_images(cell, callback, training, batch_size)
    return lambda: of_images(images, labels)


def step_of_images(network: str, training: bool, threads: int):
    """The same of a network in the zoo for ImageNet, on images and labels that it is given."""
    from common.runtime import context

    context.setup("CPU", "graph", threads=threads)
    from common.models.registry import model

    return _of_images(model(network).build(1000), None, training, 1)


def _of_images(cell, callback, training: bool, batch_size: int):
    from common.training import TrainConfig
    from common.training.schedules import Schedule
    from common.training.step import TrainStep, make_optimizer, trained_parameters

    cell.set_train(training)
    if not training:
        return lambda images, _: cell(images).asnumpy()
    train_config = TrainConfig(1, batch_size, Schedule("constant", 0.01), weight_decay=1e-4)
    optimizer = make_optimizer(trained_parameters(cell, callback), train_config, 1000)
    train = TrainStep(cell, optimizer, train_config, callback)
    train.set_train()
    return lambda images, labels: train(images, labels)[0].asnumpy()
