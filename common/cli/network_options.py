"""The options about a network in a file that all methods share."""

from argparse import _ActionsContainer

from common.cli.typed import path, positive_int


def add_num_classes(group: _ActionsContainer) -> None:
    """Add ``--num_classes``, a check of the file."""
    classes = "number of classes that the file must have; any if not given"
    group.add_argument("--num_classes", type=positive_int, metavar="N", help=classes)


def add_wnids(group: _ActionsContainer) -> None:
    """Add ``--wnids``, the order of ImageNet's labels."""
    order = "file that lists ImageNet's class folders in the order of their labels"
    group.add_argument("--wnids", type=path, metavar="FILE", help=order)
