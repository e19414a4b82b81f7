"""The options that choose DynamicQuant's network and images."""

from argparse import Namespace

from common.cli import config
from common.data import ImageSource
from common.errors import ConfigError
from DynamicQuant.network import ARCHITECTURES


def add_options(parser: config.OptionParser) -> None:
    """The options that all scripts of this method share."""
    group = parser.add_argument_group("network and data of DynamicQuant")
    group.add_argument("-a", "--arch", choices=list(ARCHITECTURES), help="network; resnet20, for imagenet resnet18")
    group.add_argument("--wnids", type=config.path, metavar="FILE", help="imagenet: class folders in label order")


def model_name(args: Namespace) -> str:
    """The registry's name of the network that the options name."""
    return ARCHITECTURES[args.arch or ("resnet18" if args.dataset == "imagenet" else "resnet20")]


def check_classes(source: ImageSource, classes: int) -> None:
    """Make sure that images and network number the same classes.

    Raises:
        ConfigError: they do not.
    """
    if source.num_classes != classes:
        raise ConfigError(
            f"expected images of {classes} classes, as the network has, found {source.num_classes}; give another "
            "data set or checkpoint, or list imagenet's class folders with --wnids"
        )
