"""Sums of absolute values of many vectors in one operator."""

from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from common.kernels.custom import in_place_operator, use_native


class AddMagnitudes(nn.Cell):
    r"""Adds absolute values to parameters: :math:`s \leftarrow s + |x|`, or :math:`s \leftarrow s + |\sum_c x_c|`.

    ``construct(vectors)``: x (C,) float32 of each parameter s (C,), in their order.

    Args:
        sums: s, changed in place.
        together: whether the vector's sum is added to every s_c.
        native: force (True) or forbid (False) the C++ kernel; None chooses.
    """

    def __init__(self, sums: Sequence[Parameter], together: bool, native: bool | None = None):
        super().__init__(auto_prefix=False)  # the parameters keep their names
        self.sums, self.together, self.native = ParameterTuple(sums), together, use_native(native)
        if self.native:
            self.settings = Tensor(np.array([together], np.int32))
            self.add_op = in_place_operator("AddMagnitudes", 1, len(sums), len(sums))

    def construct(self, vectors):
        if self.native:
            return self.add_op(self.settings, *self.sums, *vectors)
        for i in range(len(self.sums)):
            change = vectors[i]
            if self.together:
                change = change.sum() + 0.0 * change
            ops.assign_add(self.sums[i], ops.abs(change))
        return 0
