"""The options that choose LDNQ's network and images, and how many images it learns from."""

from common.cli import typed
from common.cli.option_parser import OptionParser
from common.errors import DataError
from common.models.registry import architecture
from LDNQ.network import MODEL_NAMES


def add_options(parser: OptionParser) -> None:
    """The options that all scripts of this method share; data sets may be written as the earlier code does."""
    group = parser.add_argument_group("network and data of LDNQ")
    where = f"where the file does not record it: {', '.join(MODEL_NAMES)}, or as ResNet18-ImageNet"
    names = {"type": architecture, "choices": MODEL_NAMES, "metavar": "NAME"}
    group.add_argument("--arch", **names, default="resnet20", help=where)
    group.add_argument("--wnids", type=typed.path, metavar="FILE", help="imagenet: class folders in label order")
    parser.add_alias("--model_name", "--arch")
    parser.add_alias("--dataset_name", "--dataset")
    parser.settable()["dataset"].type = _dataset_name


def _dataset_name(text: str) -> str:
    """``CIFAR10``, ``CIFAR-10`` and ``ImageNet`` as ``cifar10`` and ``imagenet``."""
    return text.lower().replace("-", "")


def calibration_count(total: int, ratio: float, num_images: int | None) -> int:
    """How many of ``total`` images to learn from.

    Raises:
        DataError: that is less than two images (one gives no BatchNorm statistics).
    """
    count = num_images or round(ratio * total)
    if count < 2:
        raise DataError(
            f"ratio {ratio} of {total} images is {count}, expected at least 2; raise --ratio or --num_images"
        )
    return count
