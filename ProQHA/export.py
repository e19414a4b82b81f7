"""Export a float network, or one whose bits were searched or set, to MINDIR or ONNX."""

from argparse import Namespace
from pathlib import Path

from common.cli import config, export
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.stored.network import StoredNetwork
from ProQHA import eval as evaluation
from ProQHA import storage
from ProQHA.dataset import chosen_model


def make_parser() -> OptionParser:
    """Options of this script."""
    return export.add_options(evaluation.make_parser(), storage.METHOD)


def load(args: Namespace, path: Path) -> StoredNetwork:
    """The network of a file."""
    return storage.load(path, chosen_model(args), args.num_classes)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    export.run(
        export.export_options(args),
        shipped=storage.shipped,
        load=lambda path: load(args, path),
    )


if __name__ == "__main__":
    main()
