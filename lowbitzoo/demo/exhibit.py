"""What a network says of a picture, how long it takes and what it costs; MindSpore is set up by who calls."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor

from common.cli.engine import choose_engine
from common.data.class_names import words
from common.data.pictures import predictions, read_pictures
from common.report.latency import median_seconds
from common.runtime import context
from lowbitzoo.demo.catalogue import Offer
from lowbitzoo.methods import part
from lowbitzoo.networks import load
from lowbitzoo.prediction import recorded_form, recorded_names

_SECONDS, _MOST = 0.3, 200  # of a measurement of the latency


@dataclass(frozen=True)
class Shown:
    """A network on a picture.

    Attributes:
        label: bits, in a few words.
        classes: names and shares (softmax) of the most likely classes, the most likely first.
        bytes: of the network's file.
        bit_operations: of this picture.
        milliseconds: median of one picture, decoded already.
        computed_by: arithmetic that computes.
        layers: name, bits of the weights and of the inputs of each layer for this picture, in the order they run.
        chosen: names of the layers whose bits this picture chose.
    """

    label: str
    classes: tuple[tuple[str, float], ...]
    bytes: int
    bit_operations: float
    milliseconds: float
    computed_by: str
    layers: tuple[tuple[str, float, float], ...]
    chosen: frozenset[str]


class Exhibit:
    """A network that is loaded, for any number of pictures.

    Args:
        offer: the network.

    Raises:
        CheckpointError: its file is missing or damaged.
        ConfigError: nothing records its preprocessing.
    """

    def __init__(self, offer: Offer):
        self._file, self._stored = offer.file, load(offer.name)
        metadata = {"dataset": offer.dataset, **self._stored.metadata}
        self._form, self._names = recorded_form(metadata), recorded_names(metadata)
        engine = choose_engine(None, self._stored, self._form.image_size)
        self._computed_by = (
            f"{engine.name} engine, {engine.about}" if engine.name == "integer" else "MindSpore, float32"
        )
        self._network = _deciding(engine.network).set_train(False)

    def look(self, picture: str | Path, top: int = 5) -> Shown:
        """What the network says of a picture file of any size and mode.

        Raises:
            DataError: no picture.
        """
        images = Tensor(read_pictures([picture], self._form))
        with context.execution_mode("graph"):
            outputs = self._network(images)
            seconds = median_seconds(lambda: _first(self._network(images)).asnumpy(), _SECONDS, warmup=0, most=_MOST)
        (found,) = predictions([picture], _first(outputs).asnumpy(), self._names, top)
        index = outputs[1].asnumpy().argmax(2) if isinstance(outputs, tuple) else None
        summary = self._summary(index)
        cost, dynamic = summary.record["cost"], getattr(self._stored.network, "dynamic", ())
        return Shown(
            summary.label,
            tuple((words(name), share) for name, share in found.classes),
            self._file.stat().st_size,
            cost["bit_operations"],
            1e3 * seconds,
            self._computed_by,
            tuple((name, *bits) for name, bits in cost["bits_of_layers"].items()),
            frozenset(dynamic),
        )

    def _summary(self, index: np.ndarray | None) -> Any:
        report, size = part(self._stored.metadata["method"], "report"), self._form.image_size
        if hasattr(report, "summarize_image"):
            return report.summarize_image(self._stored, self._file, size, index)
        return report.summarize(self._stored, self._file, size)


def _deciding(network: Any) -> Any:
    """The network itself, or one that tells its choices beside the logits."""
    return part("DynamicQuant", "network").Decisions(network) if hasattr(network, "decide") else network


def _first(outputs: Any) -> Tensor:
    return outputs[0] if isinstance(outputs, tuple) else outputs
