r"""Second moment of a layer's inputs, in the order of its kernel.

A convolution multiplies every input patch p, flattened as (C / groups, KH, KW), by the rows of its weight matrix
(F / groups, C / groups * KH * KW). For one group, with the mean over images and positions,

    H = mean p p^T,    1/2 sum_f d_f^T H d_f = 1/2 mean ||change of the output||^2 per position

for a change d (F, n) of the weights. A bias is one more weight with the constant input 1, the last of its row. A linear
layer is a 1 x 1 convolution of a 1 x 1 image.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from common import distributed
from common.errors import DataError, QuantizationError
from common.quant.conv_geometry import ConvGeometry


def patches(inputs: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """The patches of each group as columns.

    Args:
        inputs: inputs of the layer, (N, C, H, W), or (N, C) for a linear layer.
        geometry: geometry of the layer; its groups must divide C.

    Returns:
        (groups, n, N * OH * OW) of the inputs' type, n = C / groups * KH * KW, plus 1 with a bias.

    Raises:
        QuantizationError: the inputs do not fit the layer.
    """
    inputs = inputs.reshape(*inputs.shape, 1, 1) if inputs.ndim == 2 else inputs
    if inputs.ndim != 4 or inputs.shape[1] % geometry.groups:
        raise QuantizationError(f"expected inputs (N, C, H, W) for {geometry.groups} groups, found {inputs.shape}")
    top, bottom, left, right = geometry.padding_of(*inputs.shape[2:])
    padded = np.pad(inputs, ((0, 0), (0, 0), (top, bottom), (left, right)))
    if min(geometry.output_size(*inputs.shape[2:])) < 1:
        raise QuantizationError(f"expected inputs of at least the kernel {geometry.kernel}, found {padded.shape[2:]}")
    reach = [step * (side - 1) + 1 for step, side in zip(geometry.dilation, geometry.kernel)]
    windows = sliding_window_view(padded, reach, axis=(2, 3))
    windows = windows[:, :, :: geometry.stride[0], :: geometry.stride[1]]
    windows = windows[..., :: geometry.dilation[0], :: geometry.dilation[1]]  # (N, C, OH, OW, KH, KW)
    count, _, height, width = windows.shape[:4]
    grouped = windows.transpose(1, 4, 5, 0, 2, 3)  # (C, KH, KW, N, OH, OW)
    columns = grouped.reshape(geometry.groups, -1, count * height * width)
    if geometry.bias:
        ones = np.ones((geometry.groups, 1, columns.shape[2]), columns.dtype)
        columns = np.concatenate((columns, ones), axis=1)
    return columns


class InputMoment:
    """Running sum of p p^T over batches: one matrix product a batch and group, any number of images in n^2 memory.

    Products are taken in the inputs' precision and added up in float64.
    """

    def __init__(self, geometry: ConvGeometry):
        self.geometry = geometry
        self.total: np.ndarray | None = None
        self.count = 0

    def add(self, inputs: np.ndarray) -> None:
        """Take in a batch (N, C, H, W) or (N, C).

        Raises:
            QuantizationError: the inputs do not fit the layer or the batches before.
        """
        columns = patches(inputs, self.geometry)
        if self.total is None:
            self.total = np.zeros((len(columns), columns.shape[1], columns.shape[1]))
        if self.total.shape[:2] != columns.shape[:2]:
            raise QuantizationError(f"expected patches {self.total.shape[:2]}, found {columns.shape[:2]}")
        for total, group in zip(self.total, columns):
            total += group @ group.T  # NumPy computes one triangle of such a product
        self.count += columns.shape[2]

    def add_others(self) -> None:
        """Add the sums of all other processes, each of which calls this too: all end with the same bits."""
        shape = (0, 0, 0) if self.total is None else self.total.shape
        shape = distributed.gathered(shape).max(0).astype(int)  # a process without a batch does not know it
        total = np.zeros(shape) if self.total is None else self.total
        self.total, self.count = distributed.total(total), int(distributed.total(self.count))

    @property
    def hessian(self) -> np.ndarray:
        """The mean of p p^T: float64 (groups, n, n).

        Raises:
            DataError: no input was added.
        """
        if self.total is None:
            raise DataError("expected at least one image to estimate a layer's Hessian from, found none")
        return self.total / self.count


def shrunk(hessian: np.ndarray, share: float) -> np.ndarray:
    """Second moments (groups, n, n) with a share of each replaced by the mean of its diagonal times the unit matrix.

    A linear layer sees one input per image: from fewer images than weights in a row its second moment is singular, and
    codes that are best for it make use of directions in which other images have a lot.

    Source: O. Ledoit, M. Wolf, *A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices*, 2004.
    """
    size = hessian.shape[-1]
    mean = np.trace(hessian, axis1=-2, axis2=-1) / size
    return (1 - share) * hessian + share * mean[:, None, None] * np.eye(size)


def weight_matrix(weight: np.ndarray, bias: np.ndarray | None, groups: int = 1) -> np.ndarray:
    """The weights of a layer as rows in the order of the patches.

    Args:
        weight: weights of the layer, (F, C / groups, KH, KW) or (F, C).
        bias: bias of the layer, (F,), or None.
        groups: number of groups of channels.

    Returns:
        float64 (groups, F / groups, n).
    """
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    if bias is not None:
        rows = np.concatenate((rows, bias.reshape(-1, 1)), axis=1)
    return rows.reshape(groups, -1, rows.shape[1])


def split_matrix(rows: np.ndarray, shape: tuple[int, ...], bias: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Undo :func:`weight_matrix`: weights of ``shape``, and the bias (F,) or None."""
    rows = rows.reshape(shape[0], -1)
    return (rows[:, :-1] if bias else rows).reshape(shape), (rows[:, -1].copy() if bias else None)
