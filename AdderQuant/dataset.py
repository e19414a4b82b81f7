"""The preprocessing of the images AdderQuant works on."""

from common.data import CIFAR10, DIGITS, Preprocessing
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
