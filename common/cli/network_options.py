"""The options about a network in a file that all methods share."""

from argparse import _ActionsContainer

from common.cli.typed import positive_int


def add_num_classes(group: _ActionsContainer) -> None:
    """Add ``--num_classes``, a check of the file."""
    classes = "number of classes that the file must have; any if not given"
    group.add_argument("--num_classes", type=positive_int, metavar="N", help=classes)
