"""Images per second of a network without its data: in float, and on integers where it can be."""

from pathlib import Path

import numpy as np
from mindspore import Tensor, nn

from common.cli.engine import INTEGER, choose_engine
from common.evaluation.evaluate import outputs_of
from common.report.latency import median_seconds
from common.runtime import context
from common.stored.network import StoredNetwork
from lowbitzoo import methods

_BATCH, _SIDE, _PASSES, _SECONDS = 16, 224, 15, 8.0


def images_per_second(file: Path, architecture: str) -> dict[str, str]:
    """``float_speed`` and ``integer_speed`` (where there are integers), medians over batches of 16 images."""
    context.setup()
    stored: StoredNetwork = methods.part(methods.method_of(file), "storage").load(file, architecture)
    speeds = {"float_speed": f"{_speed(stored.network):.0f}"}
    engine = choose_engine(None, stored, _SIDE)
    if engine.name == INTEGER:
        speeds["integer_speed"] = f"{_speed(engine.network):.0f}"
    return speeds


def _speed(network: nn.Cell) -> float:
    """Passes until there are enough, or time is up, after two that compile and warm up."""
    network.set_train(False)
    images = Tensor(np.random.default_rng(0).normal(0, 1, (_BATCH, 3, _SIDE, _SIDE)).astype(np.float32))
    seconds = median_seconds(lambda: outputs_of(network, images), _SECONDS, warmup=2, least=1, most=_PASSES)
    return _BATCH / seconds
