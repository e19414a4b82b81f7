"""What a network says of each test image, as a CSV file: two of them tell which images two networks differ in."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from common import distributed
from common.cli import typed
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from common.evaluation import OnBatch
from common.report import write_rows


def add_predictions(parser: OptionParser) -> OptionParser:
    """The option of ``eval.py`` that names the file."""
    text = "CSV file to write each test image's label and predicted class to, in the order of the images"
    parser.add_argument("--predictions", type=typed.path, metavar="FILE", help=text)
    return parser


class Predictions:
    """Collects the top-1 class of each image of an evaluation.

    Args:
        path: of the file.
        further: is told of each batch too.

    Raises:
        ConfigError: several processes, each of which sees a part of the images alone.
    """

    def __init__(self, path: Path, further: OnBatch | None = None):
        if distributed.size() > 1:
            raise ConfigError(f"predictions: expected one process, found {distributed.size()}; leave it out")
        self.path, self.further = path, further
        self.labels: list[int] = []
        self.classes: list[int] = []

    def __call__(self, batch: Mapping[str, np.ndarray], outputs: tuple[np.ndarray, ...]) -> None:
        valid = batch["valid"]
        self.labels += batch["label"][valid].tolist()
        self.classes += outputs[0][valid].argmax(1).tolist()
        if self.further is not None:
            self.further(batch, outputs)

    def write(self) -> None:
        """Write the file."""
        pairs = enumerate(zip(self.labels, self.classes))
        write_rows(self.path, [{"image": i, "label": label, "predicted": known} for i, (label, known) in pairs])
