"""Which preprocessing a run takes: what a file records, else what is usual, and over both what is given.

Everything that reads a network from a file comes here, so that no preprocessing is guessed without a word.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import checkpoint
from common.cli.preprocessing_options import PreprocessingOptions
from common.cli.run_options import RunOptions
from common.data import Preprocessing
from common.models.registry import preprocessing_of
from common.stored.network import StoredNetwork
from common.zoo import known

_HOW = "--preprocessing NAME, or --mean R G B --std R G B --crop N --resize N --interpolation HOW"


def with_preprocessing(options: RunOptions, stored: StoredNetwork, file: Path) -> StoredNetwork:
    """A network from a file, its metadata with the preprocessing that the run takes.

    Args:
        options: what the user chose.
        stored: the network.
        file: that it was read from.

    Raises:
        ConfigError: what is recorded or given is no preprocessing.
    """
    usual = preprocessing_of(options.data.dataset, stored.metadata | {"preprocessing": None})
    taken = resolved(options.preprocessing, usual, stored.metadata, file)
    return replace(stored, metadata={**stored.metadata, "preprocessing": taken.to_dict()})


def of_start(options: RunOptions, usual: Preprocessing, file: Path | None) -> Preprocessing:
    """The preprocessing of a training: that of the file it starts from, else the usual one of network and data set.

    Args:
        options: what the user chose.
        usual: of the network and the data set.
        file: that the training starts from; None: from a new network.

    Raises:
        ConfigError: what is recorded or given is no preprocessing.
        CheckpointError: the file that it starts from is missing or damaged.
    """
    if file is None:
        return options.preprocessing.over(usual)
    return resolved(options.preprocessing, usual, checkpoint.load(file).metadata or known.recorded(file), file)


def resolved(
    given: PreprocessingOptions, usual: Preprocessing, metadata: Mapping[str, Any], file: Path
) -> Preprocessing:
    """What is given over what is recorded, or else over what is usual; a line says what was taken where it may err.

    Args:
        given: by the user.
        usual: of the network and the data set.
        metadata: of the file.
        file: that holds the network.

    Raises:
        ConfigError: what is recorded or given is no preprocessing.
    """
    values = metadata.get("preprocessing")
    recorded = Preprocessing.from_dict(values) if values else None
    taken = given.over(recorded or usual)
    if recorded is None:
        why = "usual for its network and data set" if given == PreprocessingOptions() else "as given"
        print(f"preprocessing: {file} records none; taken, {why}: {taken}; for another give {_HOW}")
    elif str(taken) != str(recorded):
        print(f"warning: {file} was made with {recorded}; taken, as given: {taken}", file=sys.stderr)
    return taken
