"""The second moments of layers' inputs, from a pass over the calibration images that all processes share."""

from collections.abc import Mapping

import numpy as np
from mindspore import nn

from common.quant.conv_geometry import conv_geometry
from common.runtime.hooks import Images, batch_statistics, input_hooks, moving_statistics_kept, run_over
from LDNQ.hessian import InputMoment


def input_hessians(network: nn.Cell, layers: Mapping[str, nn.Cell], images: Images) -> dict[str, np.ndarray]:
    """Second moments of layers' inputs in the network as it is now: (groups, n, n) each, see ``hessian.py``.

    BatchNorm normalises by the statistics of each batch, as it does while the network is trained to match: those
    follow the quantized layers before it at once, the moving ones only after some steps.

    Args:
        network: network whose first layers are quantized.
        layers: convolutions or linear layers of it, by name.
        images: batches (N, 3, H, W), of this process; the moments are those of the images of all processes.

    Raises:
        DataError: there is no image, in any process.
    """
    moments = {name: InputMoment(conv_geometry(layer)) for name, layer in layers.items()}
    hooks = input_hooks(layers, lambda name, x: moments[name].add(x))
    with moving_statistics_kept(network), batch_statistics(network), hooks:
        run_over(network, images)
    for moment in moments.values():
        moment.add_others()
    return {name: moment.hessian for name, moment in moments.items()}
