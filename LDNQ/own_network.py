"""Any network quantized by LDNQ, for ``lowbitzoo.quantize``: the cascade from some unlabelled images."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mindspore import nn

from common.errors import ConfigError
from common.quant.quantizable import ends_of, quantizable_layers, traced_inputs
from common.runtime.context import execution_mode
from common.stored.own_network import Quantized, Request, configured
from LDNQ.calibration_set import CalibrationSet
from LDNQ.cascade import Cascade
from LDNQ.convert import quantized_network
from LDNQ.network import quantized_layers
from LDNQ.plan import Plan
from LDNQ.quant_config import QuantConfig


@dataclass(frozen=True)
class Images:
    """How many of the images are used, and how often.

    Attributes:
        count: number of images, at most all.
        views: number of augmented views of each.
    """

    count: int = 500
    views: int = 20


def quantize(network: nn.Cell, request: Request, options: Mapping[str, Any]) -> Quantized:
    """The network with its weights on levels, packed: it is not trained any more.

    A run that was killed goes on in ``request.folder`` when the same call is made again, with the same float network.

    Args:
        network: float; it is changed.
        request: images, which are needed.
        options: fields of :class:`LDNQ.quant_config.QuantConfig`, :class:`LDNQ.plan.Plan` and :class:`Images`.

    Raises:
        ConfigError: no images, an option that is none, or a layer that cannot be quantized.
        CheckpointError: the folder holds another run.
    """
    config, plan, use = configured(options, QuantConfig, Plan, Images)
    if plan.feature_weight:
        raise ConfigError(f"feature_weight: expected 0 for a network of one's own, found {plan.feature_weight}")
    source = request.needed_images("LDNQ")
    source = source.sample(min(use.count, len(source)), request.seed)
    order = list(traced_inputs(network, quantizable_layers(network), request.image_size))
    if not config.first_and_last:
        config = replace(config, ends=config.ends or ends_of(order))
    data = CalibrationSet(source, request.preprocessing, use.views, request.seed)
    with _folder(request.folder) as folder, execution_mode("graph"):  # the matching step is compiled once
        layers = Cascade(network, data, config, plan, folder, order=order).run()
    layers = {name: layers[name] for name in quantized_layers(network, config)}  # files have them as described
    quantized_network(network, config, layers)
    return Quantized(network, "packed", asdict(config), layers)


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
