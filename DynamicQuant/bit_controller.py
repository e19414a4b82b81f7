"""The bit controller: a light head on the first stage that scores the candidate bit-widths of every dynamic layer."""

import numpy as np
from mindspore import Tensor, nn

from common.errors import ConfigError
from common.models.layers import conv2d
from DynamicQuant.noise import Dropout

GRID = 8  # pooled side of the feature map
HIDDEN = 64
DROPOUT = 0.2
_SPREAD = 0.1  # first deviation of the last layer's weights: images differ from the beginning


class BitController(nn.Cell):
    """Average pooling to 8 x 8, a linear layer of 64 units, ReLU, dropout, a linear layer: (N, C, S, S) to (N, L, K).

    Both linear layers are computed as convolutions: their kernel sums each image by itself in a fixed order, so that a
    choice never depends on the rest of the batch, as it could after a matrix product.

    Args:
        channels: number of input channels C.
        side: side S of the feature map, a multiple of 8.
        layers: number L of layers that choose.
        candidates: number K of bit-widths that each may take.
        seed: seed of the first weights and of dropout; None leaves dropout out, for networks that are only evaluated.
        preference: lead of the middle candidate's first scores over the others.
        grid: pooled side of the feature map.

    Raises:
        ConfigError: a side that is no multiple of the grid.
    """

    def __init__(
        self,
        channels: int,
        side: int,
        layers: int,
        candidates: int = 3,
        seed: int | None = None,
        preference: float = 0.0,
        grid: int = GRID,
    ):
        super().__init__()
        if side < grid or side % grid:
            raise ConfigError(
                f"bit controller: expected a feature map whose side is a multiple of {grid}, found {side}"
            )
        self.layers, self.candidates = layers, candidates
        self.pool = nn.AvgPool2d(side // grid, side // grid)
        self.hidden = conv2d(channels, HIDDEN, grid, has_bias=True)
        self.relu = nn.ReLU()
        self.dropout = None if seed is None else Dropout(DROPOUT, seed)
        self.last = conv2d(HIDDEN, layers * candidates, 1, has_bias=True)
        rng = np.random.default_rng(seed or 0)
        for layer, deviation in ((self.hidden, (2 / (channels * grid**2)) ** 0.5), (self.last, _SPREAD)):
            layer.weight.set_data(Tensor(rng.normal(0, deviation, layer.weight.shape).astype(np.float32)))
        lead = np.zeros((layers, candidates), np.float32)
        lead[:, candidates // 2] = preference
        self.hidden.bias.set_data(Tensor(np.zeros(HIDDEN, np.float32)))
        self.last.bias.set_data(Tensor(lead.ravel()))

    def construct(self, x):
        x = self.relu(self.hidden(self.pool(x)))  # (N, 64, 1, 1)
        if self.dropout is not None:
            x = self.dropout(x)
        return self.last(x).reshape(x.shape[0], self.layers, self.candidates)
