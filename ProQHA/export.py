"""Export a float network, or one whose bits were searched or set, to MINDIR or ONNX."""

from argparse import Namespace

from common.cli import config
from common.cli import export as script
from common.cli.entry_point import entry_point
from common.stored.network import StoredNetwork
from ProQHA import eval as evaluation
from ProQHA import storage
from ProQHA.options import chosen_model


def make_parser() -> config.OptionParser:
    """Options of this script."""
    return script.add_options(evaluation.make_parser(), storage.METHOD)


def load(args: Namespace) -> StoredNetwork:
    """The network of ``checkpoint_path``."""
    return storage.load(args.checkpoint_path, chosen_model(args), args.num_classes)


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    script.run(script.setup(make_parser(), argv, storage.shipped), load)


if __name__ == "__main__":
    main()
