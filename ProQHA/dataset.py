"""The options that choose ProQHA's network and images, and the old names of common ones."""

from argparse import Namespace

from common.cli import typed
from common.cli.option_parser import OptionParser
from common.errors import ConfigError
from ProQHA.network import IMAGENET, SMALL_IMAGES, model_name

_ALIASES = {"--data_dir": "--dataset_path", "--job_dir": "--output_dir"}


def add_options(parser: OptionParser) -> None:
    """The options that all scripts of this method share."""
    known = ", ".join(dict.fromkeys([*SMALL_IMAGES, *IMAGENET]))
    group = parser.add_argument_group("network and data of ProQHA")
    group.add_argument("--arch", default="resnet20", help=f"network: {known}; or resnet, vgg, densenet with num_layers")
    group.add_argument("--num_layers", type=typed.positive_int, metavar="N", help="of --arch, where it is not named")
    group.add_argument("--wnids", type=typed.path, metavar="FILE", help="imagenet: class folders in label order")
    for alias, option in _ALIASES.items():
        parser.add_alias(alias, option)


def chosen_model(args: Namespace) -> str:
    """The registry's name of the network; a network that only ImageNet has makes that the data set, if none was named.

    Raises:
        ConfigError: no such network for these images.
    """
    try:
        return model_name(args.arch, args.num_layers, args.dataset)
    except ConfigError:
        if args.dataset != "digits" or args.dataset_path:
            raise
        try:
            found = model_name(args.arch, args.num_layers, "imagenet")
        except ConfigError:
            pass
        else:
            args.dataset = "imagenet"
            return found
        raise
