"""The images DAMBQ works on and the options that choose them."""

from argparse import Namespace

from common import config
from common.data import ImageSource, open_dataset
from DAMBQ.network import ARCHITECTURES


def add_options(parser: config.OptionParser) -> None:
    """The options that all scripts of this method share."""
    group = parser.add_argument_group("network and data of DAMBQ")
    group.add_argument("-a", "--arch", choices=list(ARCHITECTURES), default="resnet20", help="network")
    group.add_argument("--wnids", type=config.path, metavar="FILE", help="imagenet: class folders in label order")


def open_split(args: Namespace, split: str) -> ImageSource:
    """The ``train`` or ``test`` images that the options name."""
    own = args.train_dataset_path if split == "train" else args.eval_dataset_path
    source = open_dataset(args.dataset, own or args.dataset_path, split, args.wnids)
    return source.head(args.num_samples) if split == "test" and args.num_samples else source
