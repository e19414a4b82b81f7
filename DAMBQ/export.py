"""Export a float network, or one that train.py has quantized, to MINDIR; a float one also to ONNX."""

from argparse import Namespace

from common.cli import config
from common.cli import export as script
from common.cli.entry_point import entry_point
from common.stored.network import StoredNetwork
from DAMBQ import eval as evaluation
from DAMBQ import storage
from DAMBQ.network import ARCHITECTURES

_NO_ONNX = "every channel has bits of its own, and the levels of weights are no whole numbers times a scale"


def make_parser() -> config.OptionParser:
    """Options of this script."""
    return script.add_options(evaluation.make_parser(), storage.METHOD)


def load(args: Namespace) -> StoredNetwork:
    """The network of ``checkpoint_path``."""
    return storage.load(args.checkpoint_path, ARCHITECTURES[args.arch], args.num_classes)


def no_onnx(stored: StoredNetwork) -> str | None:
    """Why a network has no ONNX form; None if it has one."""
    return None if stored.kind == "float" else _NO_ONNX


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    script.run(script.setup(make_parser(), argv, storage.shipped), load, no_onnx)


if __name__ == "__main__":
    main()
