"""The long jobs of the repository on little data: what to run, and in which folder each leaves its files."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FLOAT = ROOT / "common" / "zoo" / "files" / "resnet20_digits.ckpt"
_IMAGES = ["--train_samples", "96", "--num_samples", "36", "--batch_size", "32", "--threads", "1"]
_TRAINING = [*_IMAGES, "--epochs", "4", "--lr", "0.01"]
_START = ["--pretrained", str(_FLOAT)]
_VALIDATED = ["--validation", "20"]
_SAME_NETWORK = ["--arch", "postresnet20"]  # ProQHA's name of the others' resnet20


@dataclass(frozen=True)
class Job:
    """A command that goes on where it was killed.

    Attributes:
        words: after the interpreter; ``{folder}`` stands for the folder of its files.
        folder: the working folder.
        environment: added to this process's; ``{folder}`` likewise.
    """

    words: Sequence[str]
    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, output: Path) -> list[str]:
        """The command line that leaves its files in ``output``."""
        return [sys.executable, *(word.replace("{folder}", str(output)) for word in self.words)]

    def variables(self, output: Path) -> dict[str, str]:
        """What the environment needs beside the usual."""
        return {name: value.replace("{folder}", str(output)) for name, value in self.environment.items()}


def _script(method: str, script: str, *words: str) -> Job:
    return Job([f"{script}.py", *words, "--output_dir", "{folder}"], ROOT / method)


def jobs(address: str) -> dict[str, Job]:
    """All jobs by their names.

    Args:
        address: of a :func:`killing.server.serving`.
    """
    program, search = str(ROOT / "scripts" / "killing" / "server.py"), ["--step", "4", "--lam", "8"]
    search += ["--score_images", "32", "--search_epochs", "1"]
    matching = ["--num_images", "12", "--views", "2", "--steps", "1", "--refine_steps", "3"]
    compared = ["--methods", "float", "uniform", "LDNQ", "AdderQuant", "--bits", "4", "--calibration_images", "8"]
    images = ["--train_samples", "96", "--num_samples", "36", "--train_batch_size", "32", "--epochs", "2"]
    return {
        "AdderQuant": _script("AdderQuant", "train", *_TRAINING),
        "DAMBQ": _script("DAMBQ", "train", *_TRAINING, *_START, *_VALIDATED, "--quantize"),
        "DynamicQuant": _script("DynamicQuant", "train", *_TRAINING, *_START),
        "LDNQ": _script("LDNQ", "train", *_TRAINING, *_VALIDATED),
        "ProQHA": _script("ProQHA", "train", *_TRAINING, *_START, *_SAME_NETWORK, "--archtype", "quant"),
        "search": _script("ProQHA", "search", *_IMAGES, *_START, *_SAME_NETWORK, *_VALIDATED, *search),
        "cascade": _script("LDNQ", "main", *matching, "--num_samples", "36", "--threads", "1"),
        "compare": Job(["scripts/compare.py", *compared, *images, "--output_dir", "{folder}"]),
        "download": Job([program, address], environment={"LOWBITZOO_CACHE": "{folder}"}),
    }
