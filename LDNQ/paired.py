r"""All layers in one pass, each from what it sees in the float network and behind the layers quantized before it.

With x the input patches of a layer in the float network and y those of the same images in the quantized one,

.. math::
    T = W + W (C - H)(H + s\,h\,I)^{-1}, \qquad C = \mathrm{mean}\,x y^T, \quad H = \mathrm{mean}\,y y^T, \quad
    h = \mathrm{tr} H / n

are the weights of least mean ||W x - T y||^2, drawn to W by a share s: they make up for what the layers before have
lost. The layer problem of T with H then gives the levels G. Where a BatchNorm follows, x and y are taken without their
means, and the norm's gamma and beta give its input the float network's mean and variance,

.. math::
    \gamma \leftarrow g\,\gamma, \quad g^2 = \mathrm{var}(W x) / \mathrm{var}(G y), \qquad
    \beta \leftarrow \beta + \frac{\gamma\,(m_{Wx} - \mu) - g\,\gamma\,(m_{Gy} - \mu)}{\sqrt{\sigma^2 + \epsilon}}

while its moving statistics stay. (The gain of least squares shrinks what is noisy, layer after layer, and costs more
than it gives.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from mindspore import Tensor, nn

from common.quant.conv_geometry import conv_geometry
from common.runtime.hooks import input_hooks
from LDNQ.hessian import patches

_MOST_COLUMNS, _MOST_VALUES = 120_000, 30_000_000  # of a layer's patches
_LEAST_SHARE = 1e-9  # inputs that are always 0 make H singular


@dataclass(frozen=True, eq=False)
class Pair:
    """Moments of a layer's patches x in the float network and y in the quantized one, float64.

    Attributes:
        plain: mean x x^T, (groups, n, n).
        hessian: mean y y^T.
        cross: mean x y^T.
        means: mean of x and of y, (groups, n) each; 0 where the moments are not central.
        count: number of patches.
    """

    plain: np.ndarray
    hessian: np.ndarray
    cross: np.ndarray
    means: tuple[np.ndarray, np.ndarray]
    count: int

    @classmethod
    def of(cls, plain: np.ndarray, quantized: np.ndarray, central: bool) -> "Pair":
        """The moments of patches, (groups, n, M) each."""
        parts, means = [], []
        for columns in (plain, quantized):
            mean = columns.mean(2, dtype=np.float64) * central
            parts.append(columns - mean[:, :, None].astype(columns.dtype))
            means.append(mean)
        x, y = parts
        count = x.shape[2]
        products = ((x, x), (y, y), (x, y))
        moments = [np.matmul(one, two.transpose(0, 2, 1)).astype(np.float64) / count for one, two in products]
        return cls(*moments, (means[0], means[1]), count)

    def share(self, most: float) -> float:
        """Share by which the moments are shrunk: n / M, weights of a row by patches, up to ``most``."""
        return min(most, self.hessian.shape[-1] / self.count)


def target(weight: np.ndarray, pair: Pair, share: float) -> np.ndarray:
    """The weights T for the quantized inputs, see above; weights (groups, F / groups, n) float64, of the same shape."""
    size = pair.hessian.shape[-1]
    ridge = max(share, _LEAST_SHARE) * np.trace(pair.hessian, axis1=1, axis2=2) / size + np.finfo(float).tiny
    regular = pair.hessian + ridge[:, None, None] * np.eye(size)
    change = np.linalg.solve(regular, (pair.cross - pair.hessian).transpose(0, 2, 1) @ weight.transpose(0, 2, 1))
    return weight + change.transpose(0, 2, 1)


def output_moments(weight: np.ndarray, values: np.ndarray, pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean squares of the outputs W x and G y and the mean of their product, (F,) each."""

    def mean(one: np.ndarray, moment: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.einsum("gfi,gfi->gf", one @ moment, other).ravel()

    return mean(weight, pair.plain, weight), mean(values, pair.hessian, values), mean(weight, pair.cross, values)


def match_norm(norm: nn.BatchNorm2d, weight: np.ndarray, values: np.ndarray, pair: Pair) -> np.ndarray:
    """Give the norm behind a layer the gain and the offset that match the output's moments; returns the gains (F,).

    Args:
        norm: changed in place.
        weight: float weights W, (groups, F / groups, n).
        values: weights G on levels.
        pair: moments of the inputs, central.
    """
    wanted, found, _ = output_moments(weight, values, pair)
    gain = np.sqrt(np.divide(wanted, found, out=np.ones_like(wanted), where=found > 0))
    offsets = [np.einsum("gfi,gi->gf", one, mean).ravel() for one, mean in zip((weight, values), pair.means)]
    gamma, beta, moving, variance = (
        parameter.asnumpy().astype(np.float64)
        for parameter in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    slope = gamma / np.sqrt(variance + norm.eps)
    moved = beta + slope * (offsets[0] - moving) - gain * slope * (offsets[1] - moving)
    norm.gamma.set_data(Tensor((gain * gamma).astype(np.float32)))
    norm.beta.set_data(Tensor(moved.astype(np.float32)))
    return gain


def in_one_pass(
    network: nn.Cell,
    layers: Mapping[str, nn.Cell],
    normed: Mapping[str, nn.Cell],
    images: np.ndarray,
    turn: Callable[[str, Pair], None],
) -> None:
    """Call ``turn`` for every layer as it is computed; what it does to layer and norm, the layers behind it see.

    Args:
        network: float; in evaluation.
        layers: convolutions or linear layers of it, by name.
        normed: the norm behind a layer, by the layer's name, where there is one.
        images: (N, 3, H, W); all run at once, of large feature maps only some patches are kept.
        turn: takes a layer's name and moments.
    """
    network.set_train(False)
    plain: dict[str, np.ndarray] = {}

    def some(name: str, x: np.ndarray) -> np.ndarray:
        geometry = conv_geometry(layers[name])
        per_image = int(np.prod(geometry.output_size(*x.shape[2:]))) if x.ndim == 4 else 1
        values = geometry.groups * layers[name].weight[0].size  # of a patch, all groups together
        most = min(_MOST_COLUMNS, _MOST_VALUES // values) // per_image
        return x[: max(1, most)]

    def quantized(name: str, x: np.ndarray) -> None:
        geometry = conv_geometry(layers[name])
        both = (patches(inputs, geometry) for inputs in (plain.pop(name), some(name, x)))
        turn(name, Pair.of(*both, central=name in normed))

    with input_hooks(layers, lambda name, x: plain.__setitem__(name, some(name, x).copy())):
        network(Tensor(images))
    with input_hooks(layers, quantized):
        network(Tensor(images))
