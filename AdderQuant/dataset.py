"""The images AdderQuant works on and the preprocessing of each data set."""

from argparse import Namespace

from common.data import CIFAR10, DIGITS, ImageSource, Preprocessing, open_dataset
from common.errors import ConfigError

# cifar10: the mean and std that AdderNet's authors train with.
PREPROCESSING = {"digits": DIGITS, "cifar10": CIFAR10}


def preprocessing_of(dataset: str, metadata: dict) -> Preprocessing:
    """The preprocessing that the checkpoint records, else that of the data set.

    Raises:
        ConfigError: a data set that the 32 x 32 networks of this method do not take.
    """
    if dataset not in PREPROCESSING:
        raise ConfigError(f"dataset: the adder ResNets take {' or '.join(PREPROCESSING)}, found {dataset!r}")
    recorded = metadata.get("preprocessing")
    return Preprocessing.from_dict(recorded) if recorded else PREPROCESSING[dataset]


def open_split(args: Namespace, split: str) -> ImageSource:
    """The ``train`` or ``test`` images that the options name."""
    own = args.train_dataset_path if split == "train" else args.eval_dataset_path
    source = open_dataset(args.dataset, own or args.dataset_path, split)
    return source.head(args.num_samples) if split == "test" and args.num_samples else source
