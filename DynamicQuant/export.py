"""Export a dynamic, static or float network to MINDIR; a static or float one also to ONNX."""

from argparse import Namespace
from pathlib import Path

from common.cli import config
from common.cli import export as script
from common.cli.entry_point import entry_point
from common.stored.network import StoredNetwork
from DynamicQuant import storage
from DynamicQuant.frozen import load_frozen
from DynamicQuant.network import DynamicNetwork
from DynamicQuant.options import add_options, model_name

_NO_ONNX = "each image chooses the bits of each layer, and an ONNX graph computes the same for all images of a batch"


def make_parser() -> config.OptionParser:
    """Options of this script."""
    parser = config.build_parser("", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--num_classes", type=config.positive_int, help="the file's own if not given")
    return script.add_options(parser, storage.METHOD)


def load(args: Namespace) -> StoredNetwork:
    """The network of ``checkpoint_path``."""
    return load_frozen(args.checkpoint_path, model_name(args), args.num_classes)


def no_onnx(stored: StoredNetwork) -> str | None:
    """Why a network has no ONNX form; None if it has one."""
    return _NO_ONNX if isinstance(stored.network, DynamicNetwork) else None


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    script.run(script.setup(make_parser(), argv, storage.shipped), load, no_onnx)


if __name__ == "__main__":
    main()
