"""Export a dynamic, static or float network to MINDIR; a static or float one also to ONNX."""

from pathlib import Path

from common.cli import config, export, typed
from common.cli.entry_point import entry_point
from common.cli.option_parser import OptionParser
from common.stored.network import StoredNetwork
from DynamicQuant import storage
from DynamicQuant.dataset import add_options, model_name
from DynamicQuant.network import DynamicNetwork

_NO_ONNX = "each image chooses the bits of each layer, and an ONNX graph computes the same for all images of a batch"


def make_parser() -> OptionParser:
    """Options of this script."""
    parser = config.build_parser("", Path(__file__).parent / "config" / "eval.yaml")
    add_options(parser)
    parser.add_argument("--num_classes", type=typed.positive_int, help="the file's own if not given")
    return export.add_options(parser, storage.METHOD)


def no_onnx(stored: StoredNetwork) -> str | None:
    """Why a network has no ONNX form; None if it has one."""
    return _NO_ONNX if isinstance(stored.network, DynamicNetwork) else None


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Load, export, check."""
    args = config.parse(make_parser(), argv)
    export.run(
        export.export_options(args),
        shipped=storage.shipped,
        load=lambda path: storage.frozen(storage.load(path, model_name(args), args.num_classes)),
        no_onnx=no_onnx,
    )


if __name__ == "__main__":
    main()
