"""The options that choose DAMBQ's network and images."""

from common.cli import config
from DAMBQ.network import ARCHITECTURES


def add_options(parser: config.OptionParser) -> None:
    """The options that all scripts of this method share."""
    group = parser.add_argument_group("network and data of DAMBQ")
    group.add_argument("-a", "--arch", choices=list(ARCHITECTURES), default="resnet20", help="network")
    group.add_argument("--wnids", type=config.path, metavar="FILE", help="imagenet: class folders in label order")
