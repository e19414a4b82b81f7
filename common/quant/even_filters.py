r"""The same float network with filters of one size, so that one scale of a layer suits all of them.

A BatchNorm that follows a convolution takes back any factor of a filter, exactly:

.. math::
    w_f' = w_f / s_f, \quad \mu' = \mu / s_f, \quad \sigma'^2 = \sigma^2 / s_f^2, \quad
    \gamma' = \gamma\, s_f \sqrt{\frac{\sigma'^2 + \epsilon}{\sigma^2 + \epsilon}}

leaves the layer's normalised output as it is. With :math:`s_f = \max|w_f| / m` all filters reach as far. Quantizers
with a scale per layer, such as DoReFa's, then lose no levels to the largest filter: in depthwise layers, whose filters
differ by a factor of hundreds, that is most of what post-training quantization loses (M. Nagel et al., *Data-Free
Quantization through Weight Equalization and Bias Correction*, ICCV 2019, equalises neighbouring layers; a BatchNorm
between them makes it exact for each layer alone).
"""

import numpy as np
from mindspore import Tensor, nn

from common.quant.quantizable import quantizable_layers
from common.runtime.hooks import batch_norms, input_hooks, output_hooks

LARGEST = 0.05  # of a filter; tanh, which DoReFa's weights go through, is straight up to there


def norms_behind(network: nn.Cell, image_size: int) -> dict[str, str]:
    """The BatchNorm that takes each convolution's output, by the convolution's name, where there is one.

    Args:
        network: float, of images (N, 3, H, W).
        image_size: H and W of the noise that runs through it once, in evaluation.
    """
    layers, norms = quantizable_layers(network), batch_norms(network)
    outputs: dict[str, np.ndarray] = {}
    found: dict[str, str] = {}

    def match(norm: str, x: np.ndarray) -> None:
        same = (name for name, y in outputs.items() if y.shape == x.shape and np.array_equal(x, y))
        if (name := next(same, None)) is not None:
            found[name] = norm

    images = np.random.default_rng(0).normal(0, 1, (1, 3, image_size, image_size)).astype(np.float32)
    network.set_train(False)
    with output_hooks(layers, outputs.__setitem__), input_hooks(norms, match):
        network(Tensor(images))
    return found


def even_filters(network: nn.Cell, image_size: int, largest: float = LARGEST) -> list[str]:
    """Give all filters that a BatchNorm follows the same largest weight, in place; the function stays.

    Args:
        network: float.
        image_size: side of its images in pixels.
        largest: of the weights of a filter afterwards, in size, > 0. Filters of zeros stay.

    Returns:
        The names of the convolutions that were changed.
    """
    layers, norms, pairs = quantizable_layers(network), batch_norms(network), norms_behind(network, image_size)
    for name, norm in pairs.items():
        _rescale(layers[name], norms[norm], largest)
    return list(pairs)


def _rescale(conv: nn.Cell, norm: nn.BatchNorm2d, largest: float) -> None:
    weight = conv.weight.asnumpy().astype(np.float64)
    most = np.abs(weight).reshape(len(weight), -1).max(1)
    scale = np.where(most > 0, most / largest, 1.0)
    variance = norm.moving_variance.asnumpy().astype(np.float64)
    smaller = variance / scale**2
    gamma = norm.gamma.asnumpy() * scale * np.sqrt((smaller + norm.eps) / (variance + norm.eps))
    _set(conv.weight, weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
    if conv.has_bias:
        _set(conv.bias, conv.bias.asnumpy() / scale)
    _set(norm.moving_mean, norm.moving_mean.asnumpy() / scale)
    _set(norm.moving_variance, smaller)
    _set(norm.gamma, gamma)


def _set(parameter, values: np.ndarray) -> None:
    parameter.set_data(Tensor(values.astype(np.float32)))
