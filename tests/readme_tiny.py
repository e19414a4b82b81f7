"""What the commands of the READMEs run on in a test: a copy of the repository, few images, small networks."""

import importlib
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from readme_commands import ROOT, Command
from repository_copy import tracked_copy

from common import checkpoint
from common.checkpoint import network_state
from common.cli.option_parser import OptionParser
from common.data import CIFAR10
from common.files.cache import user_cache
from common.models.registry import model

# Commands that no test can run, and why. Those that have options are still parsed.
_DOWNLOADS = "downloads from the network"
_MACHINES = "needs two machines"
_SEVERAL = "MASTER=10.0.0.1 PORT=8118 bash scripts/run_distribute_train.sh DAMBQ 8 --dataset_path CIFAR10"
NOT_RUN = {
    "bash scripts/quickstart.sh": f"makes an environment and {_DOWNLOADS}; test_scripts.py runs it with a stub",
    "bash scripts/setup_env.sh": f"makes an environment and {_DOWNLOADS}; test_setup_env.py runs it with a stub",
    "bash scripts/test.sh": "runs all tests, this one among them",
    "source .venv/bin/activate": "the test has the environment it was started in",
    "bash scripts/download_checkpoint.sh resnet20-cifar10": _DOWNLOADS,
    "pip install -e '..[onnx]'": _DOWNLOADS,
    "pip install -e '.[demo]'": _DOWNLOADS,
    "python -m lowbitzoo demo": "serves a page until Ctrl-C; test_demo_page.py opens it in a browser",
    f"NODES=2 NODE=0 {_SEVERAL}": _MACHINES,
    f"NODES=2 NODE=1 {_SEVERAL}": _MACHINES,
    **dict.fromkeys(
        (
            "PYTHONPATH=.. python my_pictures.py FOLDER PICTURE",
            "python -m lowbitzoo predict outputs/mine.lowbit PICTURE",
        ),
        "test_examples.py runs it on pictures that it makes",
    ),
    **{
        f"PYTHONPATH=.. python {name}.py": "test_examples.py runs it, at its own size"
        for name in ("proqha", "dambq", "dynamicquant", "ldnq", "adderquant")
    },
}

# Options appended to every command whose script has them: the last one given counts.
TINY = {
    "epochs": 1,
    "train_epochs": 1,
    "search_epochs": 1,
    "step": 2,
    "batch_size": 8,
    "match_batch_size": 4,
    "train_samples": 16,
    "num_samples": 16,
    "calibration_size": 16,
    "calibration_images": 4,
    "num_images": 4,
    "views": 1,
    "steps": 1,
    "refine_steps": 1,
    "score_images": 8,
    "loss_images": 8,
    "threads": 1,
}
# Of single scripts, in their place. A comparison takes at least two epochs; each method takes minutes.
OWN = {
    "scripts/compare.py": {"epochs": 2, "train_batch_size": 8, "bits": 4, "methods": "float uniform AdderQuant"},
    # To 2 bits in as few epochs as can be; so many images that each class has one to be validated on.
    "DAMBQ/train.py": {"epochs": 2, "shares": "1 1", "duration": "0 0", "train_samples": 256, "batch_size": 64},
}

# What the code blocks leave to the reader, by README.
_MY_NETWORK = """
from common.models.registry import model
def MyNetwork():
    return model("resnet20").build(10)
"""
PREAMBLES = {
    "README.md": "",
    "AdderQuant/README.md": "",
    "DAMBQ/README.md": f"""{_MY_NETWORK}
from pathlib import Path
from common.data import DIGITS as preprocessing, open_dataset
from common.training import Run, Schedule, TrainConfig, TrainData, Trainer
images = open_dataset("digits", None, "train").head(16)
config = TrainConfig(3, 8, Schedule("constant", 0.01))
data, run = TrainData(images, preprocessing), Run(Path("run"))
""",
    "DynamicQuant/README.md": """
import numpy as np
from unittest.mock import Mock
from mindspore import Tensor
from common.models.registry import model
float_resnet, images = model("resnet20").build(10), Tensor(np.zeros((2, 3, 32, 32), np.float32))
Trainer = Mock()  # its other arguments are left out
""",
    "ProQHA/README.md": f"""{_MY_NETWORK}
import numpy as np
batches_of_images = [np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)]
""",
}


@dataclass(frozen=True)
class StandIns:
    """What the names in the READMEs stand for.

    Attributes:
        folders: data sets, put in each folder under their names.
        words: by the word that they replace.
    """

    folders: dict[str, Path]
    words: dict[str, list[str]]


def stand_ins(folder: Path, small_cifar: Path) -> StandIns:
    """Make tiny data sets and networks for ImageNet; networks of CIFAR-10 have the weights of the digits'."""
    folders = {
        "CIFAR10": larger_cifar10(small_cifar, folder / "CIFAR10"),
        "IMAGENET": tiny_imagenet(folder / "IMAGENET"),
    }
    adder = str(cifar10_network(folder / "adder_resnet20.ckpt", "AdderQuant/checkpoints/adder_resnet20_digits.ckpt"))
    resnet20 = str(cifar10_network(folder / "resnet20.ckpt", "common/zoo/files/resnet20_digits.ckpt"))
    resnet18 = str(tiny_network(folder / "resnet18.ckpt", "resnet18"))
    mobilenet = str(tiny_network(folder / "mobilenet_v2.ckpt", "mobilenet_v2"))
    cifar10 = str(folders["CIFAR10"])
    words = {
        "resnet20-addernet.pth": [adder],
        "resnet20-12fca82f.th": [resnet20],
        "resnet20-cifar10": [resnet20],
        "FILE|NAME": [resnet20],
        "5000": ["20"],  # validation images
        "resnet18-5c106cde.pth": [resnet18],
        "resnet18.pth": [resnet18],
        "mobilenet_v2-imagenet": [mobilenet],
        "X": [adder],
        "Y": [cifar10],
        "Z": [cifar10],
        "...": ["--checkpoint_path", adder, "--dataset_path", cifar10],
    }
    return StandIns(folders, words)


def larger_cifar10(small: Path, root: Path) -> Path:
    """The training images many times over, for code that takes 1,024 of them."""
    shutil.copytree(small, root)
    file = root / "cifar-10-batches-bin" / "data_batch_1.bin"
    file.write_bytes(32 * file.read_bytes())
    return root


def tiny_imagenet(root: Path) -> Path:
    """Random images, eight of each of two classes to train with and as many to test."""
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("n01440764", "n01443537"):
            (root / part / name).mkdir(parents=True)
            for number in range(8):
                pixels = rng.integers(0, 256, (240, 240, 3), np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.jpeg")
    return root


def cifar10_network(path: Path, digits: str | Path) -> Path:
    """A float network of CIFAR-10's classes; its weights are those of the digits, for random ones give zeros."""
    shipped = checkpoint.load(ROOT / digits)
    about = {name: shipped.metadata[name] for name in ("method", "kind", "network", "num_classes")}
    checkpoint.save(path, shipped.tensors, {**about, "dataset": "cifar10", "preprocessing": CIFAR10.to_dict()})
    return path


def tiny_network(path: Path, architecture: str) -> Path:
    """A float network of two classes with random weights."""
    about = {"method": "LDNQ", "kind": "float", "network": architecture, "num_classes": 2}
    checkpoint.save(path, network_state.state(model(architecture).build(2)), about)
    return path


def copy_of_repository(root: Path, stands: StandIns) -> Path:
    """A copy with the data sets in it, so that no command writes into the repository."""
    tracked_copy(root)
    for folder in (root, *(path.parent for path in root.glob("*/README.md"))):
        for name, target in stands.folders.items():
            (folder / name).symlink_to(target)
    return root


def parser_of(file: str) -> OptionParser | None:
    """The parser of a Python file of the repository; None if it makes none for others to use."""
    if "make_parser" not in (ROOT / file).read_text(encoding="utf-8"):
        return None
    name = file.removesuffix(".py").removeprefix("scripts/").replace("/", ".")
    module = importlib.import_module(name)
    return module.make_parser() if hasattr(module, "make_parser") else None


def tiny_line(command: Command, stands: StandIns) -> str:
    """The command with stand-ins for what is not there, and tiny sizes."""
    words = [part for word in command.words for part in stands.words.get(word, [word])]
    file, _ = command.program()
    known = parser_of(file).settable()
    sizes = {name: value for name, value in TINY.items() if name in known} | OWN.get(file, {})
    return shlex.join(words) + "".join(f" --{name} {value}" for name, value in sizes.items())


def run(line: str, root: Path, folder: str) -> subprocess.CompletedProcess:
    """Run a line by bash in a folder of the copy."""
    cache = root.parent / "cache"
    cache.mkdir(exist_ok=True)
    kernels = user_cache("kernels")
    if kernels.is_dir() and not (cache / "kernels").exists():
        (cache / "kernels").symlink_to(kernels)  # compiled once; no checkpoint of the user's is looked at
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    extra = {"PATH": path, "PYTHONPATH": str(root), "LOWBITZOO_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        ["bash", "-c", line], cwd=root / folder, env=os.environ | extra, capture_output=True, text=True, timeout=3600
    )
